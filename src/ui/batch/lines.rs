//! Progress of a batch where nothing can be redrawn: which snapshots are worth a line, and the
//! line. One comes when five seconds have passed and a tenth has ended, of the whole or, while the
//! lists are being read, of what had ended before; and at least one a minute. Between them stand
//! the lines of waits. Knows no terminal.

use super::frame::wait_words;
use crate::base::limits::{PROGRESS_LINE_INTERVAL_MAX, PROGRESS_LINE_INTERVAL_MIN};
use crate::base::size::{format_bytes, format_rate};
use crate::batch::progress::Progress;
use crate::ui::text::clock;
use crate::ui::wait_line::WaitLine;
use std::time::Duration;

/// A tenth, whatever is lost in fractions of two.
const SHARE_STEP: f64 = 0.1 - 1e-9;

/// What the last line told; at first, that nothing has ended.
#[derive(Debug, Default)]
pub(super) struct Lines {
    elapsed: Duration,
    files_ended: u64,
    bytes_done: u64,
    share: f64,
    wait: WaitLine,
}

impl Lines {
    /// The line for this snapshot, if one is due.
    pub(super) fn next(&mut self, progress: &Progress) -> Option<String> {
        let (waiting, words) = (progress.waiting.as_ref(), wait_words(progress, true));
        if let Some(words) = self.wait.next(progress.elapsed, waiting, words) {
            return Some(words);
        }
        if !self.is_due(progress) {
            return None;
        }
        self.elapsed = progress.elapsed;
        self.files_ended = progress.files_ended();
        self.bytes_done = progress.bytes_done;
        self.share = progress.share().unwrap_or(0.0);
        Some(line(progress))
    }

    fn is_due(&self, progress: &Progress) -> bool {
        // A second run of the same batch may begin at zero again.
        let Some(waited) = progress.elapsed.checked_sub(self.elapsed) else { return true };
        let is_more = match progress.share() {
            Some(share) => share - self.share >= SHARE_STEP,
            None => {
                is_tenth_more(self.files_ended, progress.files_ended())
                    || is_tenth_more(self.bytes_done, progress.bytes_done)
            }
        };
        waited >= PROGRESS_LINE_INTERVAL_MAX || (waited >= PROGRESS_LINE_INTERVAL_MIN && is_more)
    }
}

fn is_tenth_more(before: u64, now: u64) -> bool {
    now > before && now - before >= before / 10
}

/// `1234 of 5000 files, 3 failed, 1.20 GiB of 5.00 GiB, 812.30 MB/s, 0:03 left, 50 connections`.
pub(super) fn line(progress: &Progress) -> String {
    let read = if progress.is_list_read { "" } else { " read until now" };
    let mut line = format!("{} of {} files{read}", progress.files_present(), progress.files_read);
    if let Some(slice) = progress.slice {
        line.push_str(&format!(", slice {slice}"));
    }
    for (count, what) in
        [(progress.files_unchanged, "unchanged"), (progress.files_failed, "failed")]
    {
        if count > 0 {
            line.push_str(&format!(", {count} {what}"));
        }
    }
    line.push_str(&format!(", {}", format_bytes(progress.bytes_done)));
    if let Some(bytes) = progress.bytes_expected {
        let is_all = progress.is_list_read && progress.files_unsized == 0;
        let least = if is_all { "" } else { "at least " };
        line.push_str(&format!(" of {least}{}", format_bytes(bytes)));
    }
    line.push_str(&format!(", {}", format_rate(progress.rate_bytes_per_second)));
    if let Some(left) = progress.eta() {
        line.push_str(&format!(", {} left", clock(Some(left))));
    }
    let connections = if progress.connections == 1 { "connection" } else { "connections" };
    line.push_str(&format!(", {} {connections}", progress.connections));
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ErrorKind;
    use crate::base::size::MIB;
    use crate::engine::progress::Waiting;

    fn at(seconds: u64, files: u64, read: u64, is_list_read: bool) -> Progress {
        Progress {
            files_done: files,
            files_read: read,
            is_list_read,
            bytes_done: files * MIB,
            elapsed: Duration::from_secs(seconds),
            rate_bytes_per_second: 1e6,
            steady_files_per_second: Some(files as f64 / seconds.max(1) as f64),
            ..Progress::default()
        }
    }

    #[test]
    fn the_line_tells_counts_amounts_and_time() {
        let mut progress = at(10, 20, 100, true);
        let line = line(&progress);
        assert_eq!(line, "20 of 100 files, 20.00 MiB, 1.00 MB/s, 0:40 left, 0 connections");
        progress.is_list_read = false;
        progress.bytes_expected = Some(50 * MIB);
        progress.slice = "3/8".parse().ok();
        (progress.files_unchanged, progress.files_failed, progress.connections) = (5, 3, 1);
        assert_eq!(
            super::line(&progress),
            "25 of 100 files read until now, slice 3 of 8, 5 unchanged, 3 failed, 20.00 MiB of \
             at least 50.00 MiB, 1.00 MB/s, 1 connection"
        );
    }

    #[test]
    fn lines_come_by_share_and_time() {
        let mut lines = Lines::default();
        assert_eq!(lines.next(&at(4, 50, 100, true)), None, "too early");
        assert!(lines.next(&at(5, 50, 100, true)).is_some());
        assert_eq!(lines.next(&at(30, 59, 100, true)), None, "too little");
        assert!(lines.next(&at(31, 60, 100, true)).is_some());
        assert_eq!(lines.next(&at(90, 60, 100, true)), None);
        assert!(lines.next(&at(91, 60, 100, true)).is_some(), "a sign of life");
        assert!(lines.next(&at(1, 0, 100, true)).is_some(), "another run");
    }

    #[test]
    fn a_wait_and_a_silence_are_told_once() {
        let mut lines = Lines::default();
        let left = Duration::from_secs(4);
        let (kind, retries_max) = (ErrorKind::Status(503), 8);
        let waiting = Some(Waiting { kind, left, retry: 1, retries_max, is_asked: true });
        let waits = Progress { waiting, ..at(1, 0, 100, true) };
        let told = lines.next(&waits).unwrap();
        assert_eq!(told, "503, trying again in 4 s as asked (1 of 8)");
        assert_eq!(lines.next(&waits), None);
        let silent = Progress { silence: Duration::from_secs(6), ..at(12, 0, 100, true) };
        assert_eq!(lines.next(&silent).unwrap(), "connecting for 6 s");
        assert_eq!(lines.next(&silent), None);
        let over = Progress { files_done: 100, connections: 3, ..silent };
        assert!(lines.next(&over).unwrap().starts_with("100 of 100 files"), "nothing is missing");
    }

    #[test]
    fn output_is_bounded() {
        let count = |seconds: u64, read: u64, is_list_read| {
            let mut lines = Lines::default();
            (0..=seconds).filter(|&s| lines.next(&at(s, s, read, is_list_read)).is_some()).count()
        };
        assert_eq!(count(300, 300, true), 10);
        assert_eq!(count(36_000, 36_000, true), 600);
        let reading = count(36_000, 100_000, false);
        assert!((600..640).contains(&reading), "{reading} lines");
    }
}
