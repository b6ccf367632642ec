//! Progress where nothing can be redrawn (a log, a pipe, a dumb terminal): which snapshots are
//! worth a line. The output stays bounded: one line at the start, then one when a tenth of the
//! file and five seconds have passed, whichever is later, and at least one a minute.

use super::text;
use crate::base::limits::{PROGRESS_LINE_INTERVAL_MAX, PROGRESS_LINE_INTERVAL_MIN};
use crate::base::text::printable;
use crate::engine::progress::{Phase, Progress};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Lines {
    name: String,
    last: Mutex<Option<Said>>,
}

/// What the last line told.
#[derive(Debug, Clone, Copy)]
struct Said {
    elapsed: Duration,
    bytes_done: u64,
}

impl Lines {
    pub(super) fn new(name: &str) -> Self {
        Self { name: printable(name), last: Mutex::new(None) }
    }

    /// The line for this snapshot, if one is due.
    pub(super) fn next(&self, progress: &Progress) -> Option<String> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let line = match *last {
            _ if progress.phase != Phase::Downloading => return None,
            None => text::opening_line(&self.name, progress),
            Some(said) if is_due(said, progress) => text::progress_line(&self.name, progress),
            Some(_) => return None,
        };
        *last = Some(Said { elapsed: progress.elapsed, bytes_done: progress.bytes_done });
        Some(line)
    }
}

fn is_due(said: Said, progress: &Progress) -> bool {
    let waited = progress.elapsed.saturating_sub(said.elapsed);
    let gained = progress.bytes_done.saturating_sub(said.bytes_done);
    let tenth = progress.bytes_total.is_some_and(|total| gained >= total.div_ceil(10));
    waited >= PROGRESS_LINE_INTERVAL_MAX || (waited >= PROGRESS_LINE_INTERVAL_MIN && tenth)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64, bytes_done: u64, bytes_total: Option<u64>) -> Progress {
        Progress {
            phase: Phase::Downloading,
            bytes_done,
            resumed_bytes: 0,
            unchecked_bytes: 0,
            bytes_total,
            elapsed: Duration::from_secs(seconds),
            rate_bytes_per_second: 1000.0,
            connections: 4,
        }
    }

    #[test]
    fn first_line_at_once_then_by_share_and_time() {
        let lines = Lines::new("x");
        let connecting = Progress { phase: Phase::Connecting, ..at(0, 0, None) };
        assert_eq!(lines.next(&connecting), None);
        assert!(lines.next(&at(1, 0, Some(1000))).unwrap().starts_with("x: downloading"));
        assert_eq!(lines.next(&at(3, 500, Some(1000))), None, "too early");
        assert!(lines.next(&at(6, 500, Some(1000))).unwrap().starts_with("x: 50 %"));
        assert_eq!(lines.next(&at(30, 550, Some(1000))), None, "too little");
        assert!(lines.next(&at(31, 600, Some(1000))).is_some());
        assert!(lines.next(&at(91, 600, Some(1000))).is_some(), "a sign of life");
    }

    #[test]
    fn output_is_bounded() {
        let count = |seconds: u64, total: Option<u64>| {
            let lines = Lines::new("x");
            (0..=seconds).filter(|&s| lines.next(&at(s, s, total)).is_some()).count()
        };
        assert_eq!(count(300, Some(300)), 11);
        assert_eq!(count(36_000, Some(36_000)), 601);
        assert_eq!(count(600, None), 11);
    }
}
