//! Cubic's window (RFC 9438), as Linux has it: slow start from ten segments (RFC 6928) that ends
//! early where the round trip grows (`HyStart`), cuts to 0.7 with fast convergence, never slower
//! than Reno. Owns the window in packets; must not know what is sent nor how losses are found.

use super::INITIAL_PACKETS;
use super::ack::Ack;

/// What a cut leaves of the window (RFC 9438 4.6).
const BETA: f64 = 0.7;
/// Cubic's scale in packets per second cubed (RFC 9438 5).
const SCALE: f64 = 0.4;
/// Least packets that a cut leaves.
const PACKETS_MIN: f64 = 2.0;
/// `HyStart` leaves slow start if all round trips of a round are longer than the shortest ever by
/// an eighth of it, but by at least and at most this time, in seconds (as in Linux).
const DELAY_S_MIN: f64 = 0.004;
const DELAY_S_MAX: f64 = 0.016;
/// Round trips that must have been measured in a round for that.
const DELAY_SAMPLES: u32 = 8;
/// Least window at which that happens.
const DELAY_WINDOW_MIN: f64 = 16.0;

/// One sender's window.
#[derive(Debug, Clone)]
pub(super) struct Cubic {
    window: f64,
    /// Slow start ends here.
    threshold: f64,
    /// The window that the curve's plateau is at.
    peak: f64,
    /// When the curve began, in seconds; `None`: with the next growth.
    epoch_s: Option<f64>,
    /// Time from the epoch to the plateau, in seconds.
    plateau_s: f64,
    /// Where Reno's window would be.
    reno: f64,
    round: Round,
}

/// What `HyStart` sees.
#[derive(Debug, Clone, Default)]
struct Round {
    /// Ends when this number of packets has arrived.
    ends_at: u64,
    shortest_s: Option<f64>,
    samples: u32,
}

impl Cubic {
    pub(super) fn new() -> Self {
        Self {
            window: INITIAL_PACKETS,
            threshold: f64::INFINITY,
            peak: 0.0,
            epoch_s: None,
            plateau_s: 0.0,
            reno: 0.0,
            round: Round::default(),
        }
    }

    pub(super) fn window(&self) -> f64 {
        self.window
    }

    /// Packets are acknowledged, and the window was what limited.
    pub(super) fn grow(&mut self, ack: &Ack) {
        let mut packets = ack.packets;
        if self.window < self.threshold {
            self.look_at_delay(ack);
            let grown = (self.window + packets).min(self.threshold.max(self.window));
            packets -= grown - self.window;
            self.window = grown;
        }
        if packets > 0.0 && self.window >= self.threshold {
            self.follow_curve(ack, packets);
        }
    }

    /// A packet of the present window was lost.
    pub(super) fn cut(&mut self) {
        // Leaves room for newcomers (RFC 9438 4.7).
        let is_falling = self.window < self.peak;
        self.peak = if is_falling { self.window * (1.0 + BETA) / 2.0 } else { self.window };
        self.window = (self.window * BETA).max(PACKETS_MIN);
        self.threshold = self.window;
        self.epoch_s = None;
    }

    /// Nothing came back for the retransmission time.
    pub(super) fn collapse(&mut self) {
        self.cut();
        self.window = 1.0;
    }

    /// Nothing was sent for this number of retransmission times (RFC 5681 4.1, RFC 7661).
    pub(super) fn decay(&mut self, timeouts: f64) {
        self.threshold = self.threshold.max(0.75 * self.window);
        let halved = self.window * 0.5f64.powf(timeouts.min(60.0));
        self.window = halved.max(INITIAL_PACKETS.min(self.window));
        self.epoch_s = None;
    }

    fn look_at_delay(&mut self, ack: &Ack) {
        if ack.delivered >= self.round.ends_at {
            #[allow(clippy::cast_possible_truncation, reason = "packets under way")]
            #[allow(clippy::cast_sign_loss, reason = "not below 0")]
            let ends_at = ack.delivered + ack.under_way as u64;
            self.round = Round { ends_at, shortest_s: None, samples: 0 };
        }
        let Some(rtt_s) = ack.rtt_s else { return };
        let shortest_s = self.round.shortest_s.map_or(rtt_s, |it| it.min(rtt_s));
        self.round.shortest_s = Some(shortest_s);
        self.round.samples += 1;
        let more_s = (ack.shortest_rtt_s / 8.0).clamp(DELAY_S_MIN, DELAY_S_MAX);
        let is_judged = self.round.samples >= DELAY_SAMPLES && self.window >= DELAY_WINDOW_MIN;
        if is_judged && shortest_s > ack.shortest_rtt_s + more_s {
            self.threshold = self.window;
        }
    }

    fn follow_curve(&mut self, ack: &Ack, packets: f64) {
        let epoch_s = *self.epoch_s.get_or_insert_with(|| {
            self.peak = self.peak.max(self.window);
            self.plateau_s = ((self.peak - self.window) / SCALE).cbrt();
            self.reno = self.window;
            ack.now_s
        });
        let curve = |at_s: f64| SCALE * (at_s - self.plateau_s).powi(3) + self.peak;
        let since_s = ack.now_s - epoch_s;
        // Linux keeps this slope beyond the last peak too, where RFC 9438 4.3 would take 1.
        self.reno += 3.0 * (1.0 - BETA) / (1.0 + BETA) * packets / self.window;
        let ahead = curve(since_s + ack.smooth_rtt_s).clamp(self.window, 1.5 * self.window);
        self.window += (ahead - self.window) * packets / self.window;
        self.window = self.window.max(self.reno);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ack(now_s: f64, packets: f64) -> Ack {
        Ack {
            now_s,
            packets,
            rtt_s: Some(0.1),
            shortest_rtt_s: 0.1,
            smooth_rtt_s: 0.1,
            delivered: 0,
            under_way: 0.0,
        }
    }

    #[test]
    fn slow_start_doubles_and_a_growing_round_trip_ends_it() {
        let mut cubic = Cubic::new();
        for _ in 0..3 {
            cubic.grow(&ack(0.1, cubic.window()));
        }
        assert!((cubic.window() - 80.0).abs() < 1e-9);
        for delivered in (0..80).step_by(4) {
            let under_way = cubic.window();
            cubic.grow(&Ack { rtt_s: Some(0.15), delivered, under_way, ..ack(0.4, 4.0) });
        }
        assert!(cubic.window() < 130.0, "{}", cubic.window());
    }

    #[test]
    fn a_cut_is_regained_by_the_cubic_law() {
        let mut cubic = Cubic::new();
        cubic.grow(&ack(0.0, 990.0));
        cubic.cut();
        assert!((cubic.window() - 700.0).abs() < 1e-9);
        let mut now_s = 0.0;
        while cubic.window() < 999.0 {
            cubic.grow(&ack(now_s, cubic.window() / 10.0));
            now_s += 0.01;
        }
        // The plateau is flat: the last packet before it takes a second.
        let back_s = (300.0 / 0.4f64).cbrt() - 1.3;
        assert!((now_s - back_s).abs() < 0.1 * back_s, "{now_s} against {back_s}");
    }

    #[test]
    fn a_small_window_grows_as_renos_does() {
        let mut cubic = Cubic::new();
        cubic.cut();
        (0..20).for_each(|it| cubic.grow(&ack(0.001 * f64::from(it), cubic.window())));
        assert!(cubic.window() > 7.0 + 20.0 * 0.5, "{}", cubic.window());
    }
}
