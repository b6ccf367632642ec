//! The rates of the last seconds.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Time that rates are averaged over.
const WINDOW: Duration = Duration::from_secs(2);

/// Counts of the last seconds.
#[derive(Default)]
pub(super) struct Rate {
    /// When, bytes until then, files until then.
    samples: VecDeque<(Instant, u64, u64)>,
}

impl Rate {
    /// Bytes and files per second, given those until now.
    pub(super) fn of(&mut self, bytes: u64, files: u64) -> (f64, f64) {
        let now = Instant::now();
        self.samples.push_back((now, bytes, files));
        while self.samples.len() > 2 && now - self.samples[1].0 > WINDOW {
            self.samples.pop_front();
        }
        let (then, bytes_then, files_then) = self.samples[0];
        let seconds = (now - then).as_secs_f64();
        if seconds == 0.0 {
            return (0.0, 0.0);
        }
        let per_second = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
        (per_second(bytes, bytes_then), per_second(files, files_then))
    }
}
