//! How fast a batch goes: rates of the last seconds, steady ones for the time that is left, and how
//! long nothing has come. Must not know the clock.

use crate::base::rate::{RateWindow, SteadyRate};
use std::time::Duration;

/// Counts bytes and files.
#[derive(Default)]
pub(super) struct Pace {
    bytes: Flow,
    files: Flow,
    /// When something came last, since the batch began.
    since: Duration,
}

/// How fast it goes.
#[derive(Default)]
pub(super) struct Rates {
    pub(super) bytes_per_second: f64,
    pub(super) files_per_second: f64,
    /// Recent bytes and files count more; `None` in the first second.
    pub(super) steady_bytes_per_second: Option<f64>,
    pub(super) steady_files_per_second: Option<f64>,
    /// Time in which nothing has come.
    pub(super) silence: Duration,
}

/// One total that grows.
#[derive(Default)]
struct Flow {
    total: u64,
    window: RateWindow,
    steady: SteadyRate,
}

impl Pace {
    /// The rates at `now`, given the bytes and files until then.
    pub(super) fn sample(&mut self, now: Duration, bytes: u64, files: u64) -> Rates {
        let (has_bytes, has_files) = (self.bytes.grows(now, bytes), self.files.grows(now, files));
        if has_bytes || has_files {
            self.since = now;
        }
        Rates {
            bytes_per_second: self.bytes.window.bytes_per_second(now),
            files_per_second: self.files.window.bytes_per_second(now),
            steady_bytes_per_second: self.bytes.steady.bytes_per_second(),
            steady_files_per_second: self.files.steady.bytes_per_second(),
            silence: now.saturating_sub(self.since),
        }
    }
}

impl Flow {
    /// Indicates whether `total` is more than before.
    fn grows(&mut self, now: Duration, total: u64) -> bool {
        self.window.sample(now, total);
        self.steady.sample(now, total);
        std::mem::replace(&mut self.total, total) < total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_the_time_since_a_byte_or_a_file_came() {
        let mut pace = Pace::default();
        let mut silence = |seconds, bytes, files| {
            pace.sample(Duration::from_secs(seconds), bytes, files).silence.as_secs()
        };
        assert_eq!(silence(3, 0, 0), 3);
        assert_eq!(silence(4, 1, 0), 0);
        assert_eq!(silence(9, 1, 0), 5);
        assert_eq!(silence(10, 1, 1), 0, "a file that was there brings no bytes");
        assert_eq!(silence(12, 1, 1), 2);
    }

    #[test]
    fn the_steady_rate_does_not_jump_with_each_file() {
        let mut pace = Pace::default();
        let mut at = |tenths: u64| {
            // Ten files a second, all of them in the first half of each second.
            let files = tenths / 10 * 10 + (2 * (tenths % 10)).min(10);
            pace.sample(Duration::from_millis(100 * tenths), 0, files)
        };
        let rates: Vec<Rates> = (0..=600).map(&mut at).collect();
        let steady = rates[100..].iter().map(|rates| rates.steady_files_per_second.unwrap());
        let (least, most) = steady
            .fold((f64::MAX, 0.0_f64), |(least, most), rate| (least.min(rate), most.max(rate)));
        assert!(least > 8.5 && most < 11.5, "{least} to {most}");
        assert_eq!(rates[5].steady_files_per_second, None);
    }
}
