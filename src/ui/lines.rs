//! Progress where nothing can be redrawn (a log, a pipe, a dumb terminal): which snapshots are
//! worth a line. The output stays bounded: one line at the start, then one when a tenth of the
//! file and five seconds have passed, whichever is later, and at least one a minute. Between them
//! stand the lines of waits.

use super::text;
use super::wait_line::WaitLine;
use crate::base::limits::{PROGRESS_LINE_INTERVAL_MAX, PROGRESS_LINE_INTERVAL_MIN};
use crate::base::text::printable;
use crate::engine::progress::{Phase, Progress};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Lines {
    name: String,
    last: Mutex<Last>,
}

/// What was told last.
#[derive(Debug, Default)]
struct Last {
    progress: Option<Said>,
    wait: WaitLine,
}

/// What the last line told.
#[derive(Debug, Clone, Copy)]
struct Said {
    elapsed: Duration,
    bytes_done: u64,
}

impl Lines {
    pub(super) fn new(name: &str) -> Self {
        Self { name: printable(name), last: Mutex::default() }
    }

    /// The line for this snapshot, if one is due.
    pub(super) fn next(&self, progress: &Progress) -> Option<String> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let words = text::wait_words(progress, true);
        let waiting = progress.waiting.as_ref();
        if let Some(words) = last.wait.next(progress.elapsed, waiting, words) {
            return Some(format!("{}: {words}", self.name));
        }
        let line = match last.progress {
            _ if progress.phase != Phase::Downloading => return None,
            None => text::opening_line(&self.name, progress),
            Some(said) if is_due(said, progress) => text::progress_line(&self.name, progress),
            Some(_) => return None,
        };
        let said = Said { elapsed: progress.elapsed, bytes_done: progress.bytes_done };
        last.progress = Some(said);
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
    use crate::base::ErrorKind;
    use crate::engine::progress::Waiting;

    fn at(seconds: u64, bytes_done: u64, bytes_total: Option<u64>) -> Progress {
        Progress {
            phase: Phase::Downloading,
            bytes_done,
            bytes_total,
            elapsed: Duration::from_secs(seconds),
            rate_bytes_per_second: 1000.0,
            connections: 4,
            ..Progress::default()
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
    fn each_wait_is_told_once() {
        let lines = Lines::new("x");
        let waiting = |at: u64, retry, left| {
            let (kind, left) = (ErrorKind::Status(503), Duration::from_millis(left));
            let waiting = Waiting { kind, left, retry, retries_max: 5, is_asked: false };
            let now = at / 10;
            lines.next(&Progress {
                phase: Phase::Connecting,
                elapsed: Duration::from_millis(at * 100),
                waiting: Some(waiting),
                ..super::tests::at(now, 0, None)
            })
        };
        assert_eq!(waiting(1, 1, 400), None, "too short");
        let told = waiting(5, 2, 1_900).unwrap();
        assert_eq!(told, "x: 503, trying again in 2 s (2 of 5)");
        assert_eq!(waiting(6, 2, 1_800), None);
        assert_eq!(waiting(25, 3, 3_900), None, "too soon after the last one");
        assert!(waiting(60, 4, 7_900).is_some());
        let silent = |seconds, silence| {
            let silence = Duration::from_secs(silence);
            lines.next(&Progress { silence, ..at(seconds, 500, Some(1000)) })
        };
        assert!(silent(20, 0).unwrap().starts_with("x: downloading"));
        assert_eq!(silent(26, 6).unwrap(), "x: stalled for 6 s");
        assert_eq!(silent(40, 20), None);
        assert_eq!(silent(41, 0), None);
        assert_eq!(silent(47, 6).unwrap(), "x: stalled for 6 s");
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
