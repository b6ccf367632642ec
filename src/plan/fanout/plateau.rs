//! What is watched where slow start has ended at a rate that stays: whether the path carries that
//! for good, or only until the losses that slow start has caused are felt. Must not know what
//! follows from that.

use super::Sample;
use super::queue::Queue;
use crate::plan::window::Window;
use std::time::Duration;

/// How long it is watched: senders have filled their gaps by then, and those that drain the queue
/// for a round trip or two (BBR) are back.
const WATCH_MIN: Duration = Duration::from_millis(400);
const WATCH_ROUND_TRIPS: u32 = 12;
/// Less than this share of the rate in the second half of that time is a fall.
const FALLEN: f64 = 0.8;
/// Connections that share a path part in this share of the time.
const EVEN_PART: u32 = 3;

/// A rate that is watched.
#[derive(Debug)]
pub(super) struct Plateau {
    since: Duration,
    /// Bytes per second when slow start ended.
    rate: f64,
    queue: Queue,
    /// Whether some connection was faster than the others.
    is_shared: bool,
    /// The second half of the time.
    recent: Window,
}

impl Plateau {
    pub(super) fn new(sample: &Sample, rate: f64) -> Self {
        let queue = Queue::new(sample);
        Self { since: sample.now, rate, queue, is_shared: false, recent: Window::default() }
    }

    pub(super) fn add(&mut self, sample: &Sample) {
        self.queue.add(sample);
        if sample.now > self.since + watch(sample) / 2 {
            self.recent.add(sample.bytes, sample.elapsed);
        }
    }

    /// Bytes per second when slow start ended.
    pub(super) fn rate(&self) -> f64 {
        self.rate
    }

    /// Whether it has been watched for long enough.
    pub(super) fn is_over(&self, sample: &Sample) -> bool {
        sample.now >= self.since + watch(sample)
    }

    /// `is_one_faster`: some connection is faster than the others, so that none has a limit of its
    /// own.
    pub(super) fn note(&mut self, is_one_faster: bool) {
        self.is_shared |= is_one_faster;
    }

    /// Whether none has been faster than the others for long enough.
    pub(super) fn is_even(&self, sample: &Sample) -> bool {
        !self.is_shared && sample.now >= self.since + watch(sample) / EVEN_PART
    }

    /// Whether the rate has not stayed.
    pub(super) fn has_fallen(&self) -> bool {
        self.recent.mean().rate < FALLEN * self.rate
    }

    /// Whether a queue stands before the path.
    pub(super) fn is_queued(&self, sample: &Sample) -> bool {
        !self.queue.has_drained(sample)
    }
}

fn watch(sample: &Sample) -> Duration {
    WATCH_MIN.max(WATCH_ROUND_TRIPS * sample.tau)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(50);

    /// What is said after the watch, of a path that brought 100 bytes a tick at its start.
    fn watched(tau_ms: u64, bytes: impl Fn(u32) -> u64) -> (u32, bool) {
        let at = |index: u32| Sample {
            now: index * TICK,
            elapsed: TICK,
            bytes: bytes(index),
            tau: Duration::from_millis(tau_ms),
            ..Sample::default()
        };
        let mut plateau = Plateau::new(&at(0), 100.0 / TICK.as_secs_f64());
        for index in 1.. {
            plateau.add(&at(index));
            if plateau.is_over(&at(index)) {
                return (index, plateau.has_fallen());
            }
        }
        unreachable!("a watch ends")
    }

    #[test]
    fn it_lasts_for_twelve_round_trips_or_four_hundred_milliseconds() {
        assert_eq!(watched(20, |_| 100), (8, false));
        assert_eq!(watched(50, |_| 100), (12, false));
    }

    #[test]
    fn a_dip_is_no_fall() {
        assert_eq!(watched(50, |tick| if matches!(tick, 7 | 8) { 60 } else { 100 }), (12, false));
        assert_eq!(watched(50, |tick| if tick <= 4 { 100 } else { 75 }), (12, true));
    }
}
