//! A drop-tail queue in front of a link of constant rate, and the path's jitter. Owns when a packet
//! leaves and whether there is room for it; must not know whose packet it is.
//!
//! The queue is a virtual clock: it knows when everything it holds has left, which is exact for one
//! queue in order of arrival, and costs nothing per packet. Packets of one burst arrive at once.

use super::PACKET_BYTES;
use crate::sim::rng::Rng;

/// Shortest queue, in bytes: what no router goes below.
pub(super) const QUEUE_BYTES_MIN: f64 = 65_536.0;
/// Time between two draws of the jitter, in seconds; it is linear in between.
const JITTER_PERIOD_S: f64 = 0.02;

/// The queue of a link or of a shaper.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    bytes_per_s: f64,
    /// Most bytes that wait or are being sent.
    limit_bytes: f64,
    /// When all that was admitted has left.
    busy_until_s: f64,
}

impl Queue {
    /// A rate of infinity is a queue that nobody notices.
    pub(super) fn new(bytes_per_s: f64, limit_bytes: f64) -> Self {
        Self { bytes_per_s, limit_bytes, busy_until_s: 0.0 }
    }

    /// From now on it drains at this rate.
    pub(super) fn set_rate(&mut self, now_s: f64, bytes_per_s: f64) {
        if bytes_per_s != self.bytes_per_s {
            let held_bytes = self.wait_s(now_s) * self.bytes_per_s;
            self.busy_until_s = now_s + held_bytes / bytes_per_s;
            self.bytes_per_s = bytes_per_s;
        }
    }

    /// How long a packet that arrives now waits, in seconds.
    pub(super) fn wait_s(&self, now_s: f64) -> f64 {
        (self.busy_until_s - now_s).max(0.0)
    }

    /// How many packets that arrive now find room.
    pub(super) fn room(&self, now_s: f64) -> u32 {
        if self.bytes_per_s.is_infinite() {
            return u32::MAX;
        }
        let held_bytes = self.wait_s(now_s) * self.bytes_per_s;
        #[allow(clippy::cast_possible_truncation, reason = "a queue holds millions at most")]
        #[allow(clippy::cast_sign_loss, reason = "not below 0")]
        let room = ((self.limit_bytes - held_bytes) / PACKET_BYTES).max(0.0) as u32;
        if held_bytes > 0.0 { room } else { room.max(1) }
    }

    /// Takes packets that have room. Returns when the last of them has left.
    pub(super) fn admit(&mut self, now_s: f64, packets: u32) -> f64 {
        if self.bytes_per_s.is_infinite() {
            return now_s;
        }
        let takes_s = f64::from(packets) * PACKET_BYTES / self.bytes_per_s;
        self.busy_until_s = self.busy_until_s.max(now_s) + takes_s;
        self.busy_until_s
    }
}

/// A delay that wanders between 0 and its most.
#[derive(Debug)]
pub(super) struct Jitter {
    most_s: f64,
    rng: Rng,
    /// The last draw, when it was valid, and the next one, a period later.
    from_s: f64,
    before_s: f64,
    after_s: f64,
}

impl Jitter {
    pub(super) fn new(most_s: f64, rng: Rng) -> Self {
        Self { most_s, rng, from_s: 0.0, before_s: 0.0, after_s: 0.0 }
    }

    /// The delay at this time; times rarely go back.
    pub(super) fn at(&mut self, at_s: f64) -> f64 {
        if self.most_s == 0.0 {
            return 0.0;
        }
        while at_s >= self.from_s + JITTER_PERIOD_S {
            self.from_s += JITTER_PERIOD_S;
            self.before_s = self.after_s;
            self.after_s = self.rng.unit() * self.most_s;
        }
        let share = ((at_s - self.from_s) / JITTER_PERIOD_S).max(0.0);
        self.before_s + (self.after_s - self.before_s) * share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_delays_and_then_drops() {
        let mut queue = Queue::new(1000.0 * PACKET_BYTES, 20.0 * PACKET_BYTES);
        assert_eq!(queue.room(1.0), 20);
        assert!((queue.admit(1.0, 15) - 1.015).abs() < 1e-9);
        assert!((queue.wait_s(1.005) - 0.010).abs() < 1e-9);
        assert_eq!(queue.room(1.0055), 10);
        queue.set_rate(1.005, 500.0 * PACKET_BYTES);
        assert!((queue.wait_s(1.005) - 0.020).abs() < 1e-9, "the same bytes take twice the time");
    }

    #[test]
    fn jitter_stays_in_its_bounds_and_moves() {
        let mut jitter = Jitter::new(0.01, Rng::new(1, 1));
        let values: Vec<f64> = (0..1000).map(|it| jitter.at(0.003 * f64::from(it))).collect();
        assert!(values.iter().all(|it| (0.0..=0.01).contains(it)));
        let mean = values.iter().sum::<f64>() / 1000.0;
        assert!((mean - 0.005).abs() < 0.001, "{mean}");
    }
}
