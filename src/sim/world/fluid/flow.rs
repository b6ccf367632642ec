//! One TCP flow as a fluid: slow start, cubic growth, cuts. Owns the congestion window of a
//! connection; must not know the link it shares nor what is transferred.
//!
//! States: slow start (the window doubles each round trip) -> cubic (it grows back to where it was
//! cut, and beyond). A cut of the window leads to cubic, a long idle time back to slow start.

/// Bytes of a full segment.
pub(super) const SEGMENT_BYTES: f64 = 1448.0;
/// Segments of the first window (RFC 6928).
const INITIAL_SEGMENTS: f64 = 10.0;
/// What a cut leaves of the window (RFC 9438 4.6).
const CUT: f64 = 0.7;
/// Cubic's scale in segments per second cubed (RFC 9438 5).
const CUBIC: f64 = 0.4;
/// Shortest retransmission time, after which an idle flow gives its window up (RFC 5681 4.1).
const IDLE_S: f64 = 0.2;

/// The sender's window of one connection.
#[derive(Debug, Clone)]
pub(super) struct Flow {
    /// Bytes that may be under way.
    window_bytes: f64,
    /// The window at which slow start ends.
    threshold_bytes: f64,
    /// The window at the last cut.
    peak_bytes: f64,
    /// Time of growth since the last cut.
    grown_s: f64,
    /// Losses before this belong to the last cut.
    recovers_at_s: f64,
    /// Since when there is nothing to send.
    idle_since_s: f64,
    /// Bytes received since the last step.
    carried_bytes: f64,
    /// Bytes received since the beginning.
    received_bytes: f64,
    /// Cuts since the beginning.
    losses: u64,
}

impl Flow {
    pub(super) fn new(now_s: f64) -> Self {
        Self {
            window_bytes: INITIAL_SEGMENTS * SEGMENT_BYTES,
            threshold_bytes: f64::INFINITY,
            peak_bytes: 0.0,
            grown_s: 0.0,
            recovers_at_s: 0.0,
            idle_since_s: now_s,
            carried_bytes: 0.0,
            received_bytes: 0.0,
            losses: 0,
        }
    }

    /// Slow start has come as far as it does within this number of bytes: all but the first window
    /// came in windows that doubled.
    pub(super) fn warm(&mut self, bytes: f64) {
        self.window_bytes = self.window_bytes.max(bytes / 2.0);
    }

    pub(super) fn window_bytes(&self) -> f64 {
        self.window_bytes
    }

    pub(super) fn carry(&mut self, bytes: f64) {
        self.carried_bytes += bytes;
        self.received_bytes += bytes;
    }

    /// Bytes that have come, and losses on the way, since the beginning.
    pub(super) fn arrivals(&self) -> (f64, u64) {
        (self.received_bytes, self.losses)
    }

    /// Takes the count of bytes since the last call.
    pub(super) fn take_carried(&mut self) -> f64 {
        std::mem::take(&mut self.carried_bytes)
    }

    /// The flow has nothing to send.
    pub(super) fn rest(&mut self, now_s: f64) {
        self.idle_since_s = now_s;
    }

    /// The flow sends again; for each retransmission time it was idle the window has halved.
    pub(super) fn resume(&mut self, now_s: f64, rtt_s: f64) {
        let timeouts = ((now_s - self.idle_since_s) / (IDLE_S + rtt_s)).floor();
        if timeouts >= 1.0 {
            self.threshold_bytes = self.threshold_bytes.max(0.75 * self.window_bytes);
            let halved = self.window_bytes * 0.5f64.powf(timeouts.min(60.0));
            self.window_bytes = halved.max(INITIAL_SEGMENTS * SEGMENT_BYTES);
        }
    }

    /// `dt_s` seconds of sending with a full window, which the receiver limits to `max_bytes`.
    pub(super) fn grow(&mut self, dt_s: f64, rtt_s: f64, max_bytes: f64) {
        let before = self.window_bytes;
        if before < self.threshold_bytes {
            let doubled = before * (dt_s / rtt_s).min(60.0).exp2();
            self.window_bytes = doubled.min(self.threshold_bytes);
        } else {
            self.grown_s += dt_s;
            let peak = self.peak_bytes / SEGMENT_BYTES;
            let back_s = (peak * (1.0 - CUT) / CUBIC).cbrt();
            let cubic = CUBIC * (self.grown_s - back_s).powi(3) + peak;
            // Never slower than Reno would be (RFC 9438 4.3).
            let reno = before / SEGMENT_BYTES + 0.53 * dt_s / rtt_s;
            self.window_bytes = (cubic.max(reno) * SEGMENT_BYTES).min(2.0 * before);
        }
        self.window_bytes = self.window_bytes.min(max_bytes).max(before.min(max_bytes));
    }

    /// A loss: the window shrinks, once per round trip. Returns whether it did.
    pub(super) fn cut(&mut self, now_s: f64, rtt_s: f64) -> bool {
        if now_s < self.recovers_at_s {
            return false;
        }
        self.recovers_at_s = now_s + rtt_s;
        self.losses += 1;
        self.peak_bytes = self.window_bytes;
        self.window_bytes = (self.window_bytes * CUT).max(2.0 * SEGMENT_BYTES);
        self.threshold_bytes = self.window_bytes;
        self.grown_s = 0.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_windows_double_each_round_trip() {
        let mut flow = Flow::new(0.0);
        for _ in 0..30 {
            flow.grow(0.01, 0.1, 1e9);
        }
        let expected = INITIAL_SEGMENTS * SEGMENT_BYTES * 8.0;
        assert!((flow.window_bytes() - expected).abs() < 1.0);
        flow.grow(10.0, 0.1, 1e6);
        assert!((flow.window_bytes() - 1e6).abs() < 1.0, "the receiver's window binds");
    }

    #[test]
    fn a_cut_is_regained_by_the_cubic_law() {
        let mut flow = Flow::new(0.0);
        flow.grow(1.0, 0.1, 1000.0 * SEGMENT_BYTES);
        assert!(flow.cut(1.0, 0.1) && !flow.cut(1.05, 0.1));
        assert!((flow.window_bytes() - 700.0 * SEGMENT_BYTES).abs() < 1.0);
        let back_s = (1000.0 * 0.3 / 0.4f64).cbrt();
        let mut now_s = 0.0;
        while flow.window_bytes() < 999.0 * SEGMENT_BYTES {
            flow.grow(0.01, 0.1, 1e9);
            now_s += 0.01;
        }
        assert!((now_s - back_s).abs() < 0.3 * back_s, "{now_s} against {back_s}");
    }

    #[test]
    fn a_long_idle_time_costs_the_window() {
        let mut flow = Flow::new(0.0);
        flow.grow(1.0, 0.05, 1e6);
        flow.rest(1.0);
        flow.resume(1.1, 0.05);
        assert!(flow.window_bytes() > 9e5);
        flow.resume(60.0, 0.05);
        assert!((flow.window_bytes() - 10.0 * SEGMENT_BYTES).abs() < 1.0);
    }
}
