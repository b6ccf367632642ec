//! How many files one lane may hold. Owns that judgement; must not know which files they are.
//!
//! What is asked for ahead covers the round trip to the next answer. Where files take long a few
//! do that, and all beyond them would wait behind a slow one, out of reach of the lanes that are
//! opened meanwhile.

use crate::base::size::MIB;
use std::time::Duration;

/// What a lane holds takes about this time, which is more than a round trip on any path.
const HELD_TIME: Duration = Duration::from_secs(1);
/// The same in bytes, as long as nothing is known of the time.
const HELD_BYTES: u64 = MIB;
/// The one that is being received, and the next.
const ITEMS_MIN: u32 = 2;
/// A lane's first file also pays for its connection: with TLS that is four round trips in place of
/// one.
const FIRST_FILE_ROUND_TRIPS: u32 = 4;
/// Weight of the latest file in the mean.
const WEIGHT: f64 = 0.125;

/// What the files of an origin take in a lane.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// Mean time from one file of a lane to the next, in seconds; `None` before the first.
    seconds: Option<f64>,
}

impl Ahead {
    /// A lane has had a file, for which it took `time`: its first one, or behind another.
    pub(super) fn on_file(&mut self, time: Duration, is_first: bool) {
        let time = if is_first { time / FIRST_FILE_ROUND_TRIPS } else { time };
        let mean = self.seconds.get_or_insert(time.as_secs_f64());
        *mean += WEIGHT * (time.as_secs_f64() - *mean);
    }

    /// Files that a lane may hold, `most` at most; the next one has `bytes`, 0 if nobody knows.
    pub(super) fn items_max(&self, most: u32, bytes: u64) -> u32 {
        let files = match self.seconds {
            Some(seconds) => HELD_TIME.as_secs_f64() / seconds,
            None => HELD_BYTES as f64 / bytes as f64,
        };
        // A quotient beyond all numbers is `most`, as is that of no time at all.
        let held = (ITEMS_MIN..most).find(|held| f64::from(*held + 1) > files);
        held.unwrap_or(most).min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: u32 = 8;

    fn after(times_ms: &[u64]) -> u32 {
        let mut ahead = Ahead::default();
        for (index, time) in times_ms.iter().enumerate() {
            ahead.on_file(Duration::from_millis(*time), index == 0);
        }
        ahead.items_max(MOST, 300_000)
    }

    #[test]
    fn a_lane_holds_what_it_brings_within_a_second() {
        assert_eq!(after(&[]), 3, "nothing is known but the size");
        assert_eq!(Ahead::default().items_max(MOST, 16_384), MOST);
        assert_eq!(Ahead::default().items_max(MOST, 0), MOST, "nor that");
        assert_eq!(after(&[0, 0, 0]), MOST);
        assert_eq!(after(&[400, 20, 20]), MOST, "a path of 100 ms");
        assert_eq!(after(&[1200]), 3);
        assert_eq!(after(&[3000]), 2);
        assert_eq!(after(&[3000; 9]), 2, "never fewer");
        assert_eq!(after(&[[3000].as_slice(), &[50; 40]].concat()), MOST, "the mean follows");
    }

    #[test]
    fn a_small_bound_holds() {
        let mut ahead = Ahead::default();
        assert_eq!((ahead.items_max(1, 0), ahead.items_max(1, MIB)), (1, 1));
        ahead.on_file(Duration::from_secs(9), false);
        assert_eq!(
            (ahead.items_max(1, 0), ahead.items_max(2, 0), ahead.items_max(3, 0)),
            (1, 2, 2)
        );
    }
}
