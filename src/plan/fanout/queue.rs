//! Whether a queue before the path stands or drains. Slow start leaves one behind wherever it ends,
//! which the losses that it causes drain within a few round trips; one that stays says that the
//! path is full. Must not know what follows from that.

use super::{DISTANCE_MIN, QUEUED, Sample};
use std::time::Duration;

/// Time constant of the mean: a single connection's losses are no end of a queue.
const MEMORY: Duration = Duration::from_millis(300);

/// A queue that is watched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Queue {
    /// Mean of the round trips lately, in multiples of the usual time to first byte.
    queueing: f64,
}

impl Queue {
    pub(super) fn new(sample: &Sample) -> Self {
        Self { queueing: sample.queueing }
    }

    pub(super) fn add(&mut self, sample: &Sample) {
        let weight = sample.elapsed.as_secs_f64() / (sample.elapsed + MEMORY).as_secs_f64();
        self.queueing += weight * (sample.queueing - self.queueing);
    }

    /// Whether there is none, or none any more. Next door the kernel's own waits are as long as a
    /// round trip, and nobody can say.
    pub(super) fn has_drained(&self, sample: &Sample) -> bool {
        sample.tau < DISTANCE_MIN || self.queueing < QUEUED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a queue of such round trips, each 50 ms the next one, has drained.
    fn has_drained(tau_ms: u64, queueing: &[f64]) -> bool {
        let tick = Duration::from_millis(50);
        let at = |queueing| {
            let tau = Duration::from_millis(tau_ms);
            Sample { elapsed: tick, tau, queueing, ..Sample::default() }
        };
        let mut queue = Queue::new(&at(queueing[0]));
        for &queueing in &queueing[1..] {
            queue.add(&at(queueing));
        }
        queue.has_drained(&at(queueing[queueing.len() - 1]))
    }

    #[test]
    fn what_slow_start_has_left_drains() {
        assert!(has_drained(60, &[1.1]), "there was none");
        assert!(!has_drained(60, &[1.6; 12]));
        let drains = [1.8, 1.8, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
        assert!(!has_drained(60, &drains[..3]), "a dip is not its end");
        assert!(has_drained(60, &drains));
    }

    #[test]
    fn next_door_nobody_can_say() {
        assert!(has_drained(1, &[9.0; 20]));
    }
}
