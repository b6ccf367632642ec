//! How many lanes an origin should have. Owns the count law; must not know what they carry.
//!
//! States: measure (with `LANES_START` lanes) -> try (twice the lanes) -> try ... while each
//! doubling pays, then hold with the count before. A hold ends with another try; the time it lasts
//! doubles each time. A count that was asked for knows no states.
//!
//! The rate is work per time: bytes, and a price for each file that stands for its request and its
//! name. It is measured only while as many lanes are open as are wanted.

use std::time::Duration;

/// Lanes to start with.
const LANES_START: u32 = 4;
/// A doubling pays if it brings this share of what it could.
const GAIN_MIN: f64 = 0.25;
/// Least time that is measured, which covers some round trips of any path,
const TIME_MIN: Duration = Duration::from_millis(400);
/// and least files for each lane, of which not all begin and end with it.
const FILES_MIN: u32 = 4;
/// Time from which one for each lane is enough: files that take this long make even that a good
/// measure, and too few lanes cost more than a wrong judgement.
const TIME_OF_SLOW: Duration = Duration::from_secs(2);
/// What a file costs besides its bytes, in bytes: files of 1 byte and of 16 KiB take about the same
/// time.
const FILE_BYTES: f64 = 16.0 * 1024.0;
/// First and longest time until another try.
const HOLD_MIN: Duration = Duration::from_secs(10);
/// See [`HOLD_MIN`].
const HOLD_MAX: Duration = Duration::from_secs(160);

/// The lanes of one origin.
#[derive(Debug)]
pub(super) struct LaneCount {
    wanted: u32,
    max: u32,
    is_fixed: bool,
    measured: Measured,
    /// Lanes and rate before the doubling that is being tried.
    before: Option<(u32, f64)>,
    hold_until: Duration,
    hold: Duration,
}

/// What came since a time.
#[derive(Debug, Default, Clone, Copy)]
struct Measured {
    /// `None`: from the next file on.
    since: Option<Duration>,
    files: u32,
    work: f64,
}

impl LaneCount {
    /// As many as pay, up to `max`.
    pub(super) fn auto(max: u32) -> Self {
        Self { wanted: LANES_START.min(max), is_fixed: false, ..Self::fixed(max) }
    }

    /// This number.
    pub(super) fn fixed(lanes: u32) -> Self {
        Self {
            wanted: lanes,
            max: lanes,
            is_fixed: true,
            measured: Measured::default(),
            before: None,
            hold_until: Duration::ZERO,
            hold: HOLD_MIN,
        }
    }

    /// Lanes that there should be, if there is enough to do.
    pub(super) fn wanted(&self) -> u32 {
        self.wanted
    }

    /// A file of `bytes` ended at `now`, while `lanes` were open; 0 bytes if it failed.
    pub(super) fn on_file(&mut self, now: Duration, bytes: u64, lanes: u32) {
        if self.is_fixed {
            return;
        }
        if lanes != self.wanted {
            self.measured = Measured::default();
            return;
        }
        let Some(since) = self.measured.since else {
            self.measured.since = Some(now);
            return;
        };
        self.measured.files += 1;
        self.measured.work += bytes as f64 + FILE_BYTES;
        let elapsed = now.saturating_sub(since);
        let files_min = if elapsed < TIME_OF_SLOW { FILES_MIN } else { 1 };
        if elapsed < TIME_MIN || self.measured.files < files_min * lanes {
            return;
        }
        let rate = self.measured.work / elapsed.as_secs_f64();
        self.measured = Measured::default();
        self.judge(now, rate);
    }

    /// What bounds all files is a limit of the caller's own: more lanes would bring nothing, and
    /// what was being tried is taken back.
    pub(super) fn rest(&mut self) {
        self.measured = Measured::default();
        if let Some((lanes, _)) = self.before.take() {
            self.wanted = lanes;
        }
    }

    fn judge(&mut self, now: Duration, rate: f64) {
        if let Some((lanes, rate_before)) = self.before.take() {
            let growth = f64::from(self.wanted) / f64::from(lanes) - 1.0;
            if rate / rate_before - 1.0 < GAIN_MIN * growth {
                self.wanted = lanes;
                self.hold_until = now + self.hold;
                self.hold = (self.hold * 2).min(HOLD_MAX);
                return;
            }
        }
        if now >= self.hold_until && self.wanted < self.max {
            self.before = Some((self.wanted, rate));
            self.wanted = (self.wanted * 2).min(self.max);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The count after `seconds` at an origin that gives `rate(lanes)` files per second.
    fn after(seconds: f64, count: &mut LaneCount, rate: impl Fn(u32) -> f64) -> Vec<u32> {
        let (mut now, mut seen) = (0.0, Vec::new());
        while now < seconds {
            now += 1.0 / rate(count.wanted());
            count.on_file(Duration::from_secs_f64(now), 1000, count.wanted());
            if seen.last() != Some(&count.wanted()) {
                seen.push(count.wanted());
            }
        }
        seen
    }

    #[test]
    fn lanes_are_doubled_while_it_pays() {
        let mut count = LaneCount::auto(16);
        assert_eq!(after(5.0, &mut count, |lanes| 100.0 * f64::from(lanes)), [4, 8, 16]);
        let mut count = LaneCount::auto(6);
        assert_eq!(after(5.0, &mut count, |lanes| 100.0 * f64::from(lanes)), [4, 6]);
        assert_eq!(LaneCount::auto(2).wanted(), 2);
    }

    #[test]
    fn a_doubling_that_does_not_pay_is_taken_back_and_tried_later() {
        let mut count = LaneCount::auto(16);
        let rate = |lanes: u32| 100.0 * f64::from(lanes.min(8));
        assert_eq!(after(9.0, &mut count, rate), [4, 8, 16, 8]);
        let mut count = LaneCount::auto(16);
        assert_eq!(after(30.0, &mut count, rate), [4, 8, 16, 8, 16, 8]);
    }

    /// 3 s for each file of a lane, as where a server bounds the rate of a connection; or where all
    /// lanes share what there is.
    #[test]
    fn slow_files_are_judged_by_fewer() {
        let mut count = LaneCount::auto(16);
        assert_eq!(after(15.0, &mut count, |lanes| f64::from(lanes) / 3.0), [4, 8, 16]);
        let mut count = LaneCount::auto(16);
        assert_eq!(after(15.0, &mut count, |_| 4.0 / 3.0), [4, 8, 4]);
    }

    #[test]
    fn below_a_limit_of_the_rate_it_stands() {
        let mut count = LaneCount::auto(16);
        assert_eq!(after(0.6, &mut count, |lanes| 100.0 * f64::from(lanes)), [4, 8]);
        count.rest();
        assert_eq!(count.wanted(), 4, "what was being tried is taken back");
    }

    #[test]
    fn it_is_not_judged_by_lanes_that_are_not_open() {
        let mut count = LaneCount::auto(16);
        for file in 0..10_000 {
            count.on_file(Duration::from_millis(file), 1000, 3);
        }
        assert_eq!(count.wanted(), 4);
        let mut count = LaneCount::fixed(50);
        assert_eq!(after(5.0, &mut count, |_| 100.0), [50]);
    }
}
