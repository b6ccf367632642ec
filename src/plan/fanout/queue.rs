//! Whether a queue before the path stands or drains. Slow start leaves one behind wherever it ends,
//! which the losses that it causes drain within a few round trips; one that stays says that the
//! path is full. Must not know what follows from that.

use super::{DISTANCE_MIN, QUEUED, Sample};
use std::time::Duration;

/// A queue that has stood for this time, and for this number of round trips, goes on standing.
const STANDS_AFTER: Duration = Duration::from_millis(500);
const STANDS_AFTER_ROUND_TRIPS: u32 = 10;
/// Time constant of the mean: a single connection's losses are no end of a queue.
const MEMORY: Duration = Duration::from_millis(300);

/// A queue that is watched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Queue {
    since: Duration,
    /// Mean of the round trips lately, in multiples of the usual time to first byte.
    queueing: f64,
}

impl Queue {
    pub(super) fn new(sample: &Sample) -> Self {
        Self { since: sample.now, queueing: sample.queueing }
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

    /// Whether it has stood long enough to go on standing.
    pub(super) fn is_standing(&self, sample: &Sample) -> bool {
        let stands_after = STANDS_AFTER.max(STANDS_AFTER_ROUND_TRIPS * sample.tau);
        !self.has_drained(sample) && sample.now >= self.since + stands_after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a queue of such round trips, each 50 ms the next one.
    fn watch(tau_ms: u64, queueing: &[f64]) -> (bool, bool) {
        let tick = Duration::from_millis(50);
        let at = |index: u32, queueing| {
            let tau = Duration::from_millis(tau_ms);
            Sample { now: index * tick, elapsed: tick, tau, queueing, ..Sample::default() }
        };
        let mut queue = Queue::new(&at(0, queueing[0]));
        let mut latest = at(0, queueing[0]);
        for (index, &queueing) in (1..).zip(&queueing[1..]) {
            latest = at(index, queueing);
            queue.add(&latest);
        }
        (queue.has_drained(&latest), queue.is_standing(&latest))
    }

    #[test]
    fn what_stands_for_ten_round_trips_goes_on_standing() {
        assert_eq!(watch(60, &[1.6; 12]), (false, false), "550 of 600 ms");
        assert_eq!(watch(60, &[1.6; 13]), (false, true));
        assert_eq!(watch(20, &[1.6; 10]), (false, false), "450 of 500 ms");
        assert_eq!(watch(20, &[1.6; 11]), (false, true));
    }

    #[test]
    fn what_slow_start_has_left_drains() {
        assert!(watch(60, &[1.1]).0, "there was none");
        let drains = [1.8, 1.8, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
        assert!(!watch(60, &drains[..3]).0, "a dip is not its end");
        assert!(watch(60, &drains).0);
    }

    #[test]
    fn next_door_nobody_can_say() {
        assert_eq!(watch(1, &[9.0; 20]), (true, false));
    }
}
