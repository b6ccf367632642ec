//! What a running batch tells: a snapshot of all its files. Plain data and the time that is left;
//! knows nothing of terminals.

use crate::base::Slice;
use crate::base::limits::SILENCE_WITHOUT_ETA;
use crate::engine::progress::Waiting;
use std::time::Duration;

/// A snapshot of a running batch.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// The slice of the lists that is fetched, if not all of them.
    pub slice: Option<Slice>,
    /// Files that were fetched in this run.
    pub files_done: u64,
    /// Files that were there already.
    pub files_unchanged: u64,
    /// Files that failed and are not tried again for now.
    pub files_failed: u64,
    /// Items read from the lists until now.
    pub files_read: u64,
    /// Indicates whether the lists have been read to their ends, so that `files_read` is final.
    pub is_list_read: bool,
    /// Files among `files_read` that have not ended and whose size neither the list nor an answer
    /// has told yet: `bytes_expected` says nothing of them.
    pub files_unsized: u64,
    /// Files that have come whole, and are still to be written, made durable or given their names.
    pub files_landing: u64,
    /// Bytes that have arrived in this run.
    pub bytes_done: u64,
    /// `bytes_done` and what is missing of files whose size is known; `None` while no size is
    /// known.
    pub bytes_expected: Option<u64>,
    /// Time since the batch began.
    pub elapsed: Duration,
    /// Bytes per second over the last seconds.
    pub rate_bytes_per_second: f64,
    /// Files that ended, in whichever way, per second over the last seconds.
    pub files_per_second: f64,
    /// Bytes per second since the first byte, of which recent ones count more; `None` in the first
    /// second, in which it says little.
    pub steady_rate_bytes_per_second: Option<f64>,
    /// The same for files that ended.
    pub steady_files_per_second: Option<f64>,
    /// Connections that are open now.
    pub connections: u32,
    /// What is waited for before something is tried again, if nothing else comes.
    pub waiting: Option<Waiting>,
    /// Time in which nothing has come.
    pub silence: Duration,
    /// The largest files that are being fetched, at most
    /// [`BATCH_ACTIVE_MAX`](crate::base::limits::BATCH_ACTIVE_MAX).
    pub active: Vec<Active>,
}

/// One file that is being fetched.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Active {
    /// Its target below the folder of the batch.
    pub name: String,
    /// Bytes of the file that are here.
    pub bytes_done: u64,
    /// Size of the file, once it is known.
    pub bytes_total: Option<u64>,
    /// Bytes per second over the last seconds.
    pub rate_bytes_per_second: f64,
    /// What is waited for before the next try of this file, if nothing of it comes.
    pub waiting: Option<Waiting>,
    /// Time in which nothing of it has come.
    pub silence: Duration,
}

impl Progress {
    /// A line of JSON for programs, without its end.
    pub fn json_line(&self) -> String {
        let mut progress = serde_json::json!({
            "files_done": self.files_done,
            "files_unchanged": self.files_unchanged,
            "files_failed": self.files_failed,
            "files_landing": self.files_landing,
            "files_read": self.files_read,
            "list_read": self.is_list_read,
            "share": self.share(),
            "seconds_left": self.eta().map(|left| left.as_secs_f64()),
            "active": self.active.iter().map(Active::json).collect::<Vec<_>>(),
            "bytes": self.bytes_done,
            "bytes_expected": self.bytes_expected,
            "bytes_per_second": self.rate_bytes_per_second,
            "files_per_second": self.files_per_second,
            "connections": self.connections,
            "silence_seconds": self.silence.as_secs_f64(),
            "waiting": self.waiting.as_ref().map(|waiting| serde_json::json!({
                "cause": waiting.kind.in_brief(),
                "seconds_left": waiting.left.as_secs_f64(),
            })),
            "seconds": self.elapsed.as_secs_f64(),
        });
        if let Some(slice) = self.slice {
            progress["slice"] = slice.to_string().into();
        }
        serde_json::json!({ "progress": progress }).to_string()
    }

    /// Files that are there.
    pub fn files_present(&self) -> u64 {
        self.files_done.saturating_add(self.files_unchanged)
    }

    /// Files that have ended, in whichever way.
    pub fn files_ended(&self) -> u64 {
        self.files_present().saturating_add(self.files_failed)
    }

    /// Part of the batch that has ended, from 0 to 1: of its bytes if all sizes are known, else of
    /// its files. `None` while the lists are being read.
    pub fn share(&self) -> Option<f64> {
        if !self.is_list_read {
            return None;
        }
        let (part, whole) = match self.bytes_all_expected() {
            Some(bytes) if bytes > 0 => (self.bytes_done, bytes),
            _ => (self.files_ended(), self.files_read),
        };
        Some(if whole == 0 { 1.0 } else { (part as f64 / whole as f64).min(1.0) })
    }

    /// Time that is left: by bytes if all sizes are known; else by files, but no less than the
    /// bytes that are known to be missing take; each at its steady rate. `None` while the lists are
    /// being read, or nothing moves, and in the first second, in which the rates say little.
    pub fn eta(&self) -> Option<Duration> {
        if !self.is_list_read || self.silence >= SILENCE_WITHOUT_ETA {
            return None;
        }
        let seconds = match self.bytes_all_expected() {
            Some(_) => self.seconds_by_bytes()?,
            None => self.seconds_by_files()?.max(self.seconds_by_bytes().unwrap_or(0.0)),
        };
        Duration::try_from_secs_f64(seconds).ok()
    }

    /// `bytes_expected`, if it counts every file.
    fn bytes_all_expected(&self) -> Option<u64> {
        self.bytes_expected.filter(|_| self.files_unsized == 0)
    }

    fn seconds_by_bytes(&self) -> Option<f64> {
        let left = self.bytes_expected?.saturating_sub(self.bytes_done);
        seconds(left, self.steady_rate_bytes_per_second)
    }

    fn seconds_by_files(&self) -> Option<f64> {
        let left = self.files_read.saturating_sub(self.files_ended());
        // Below one file a second even the steady rate jumps with each file; the mean does not.
        // Files that were there already took no time.
        let worked = self.files_ended() - self.files_unchanged;
        let mean = worked as f64 / self.elapsed.as_secs_f64().max(1e-9);
        let steady = self.steady_files_per_second;
        seconds(left, steady.map(|rate| if rate >= 1.0 { rate } else { mean }))
    }
}

impl Active {
    /// Part of the file that is here, from 0 to 1, once its size is known.
    pub fn share(&self) -> Option<f64> {
        let total = self.bytes_total?;
        Some(if total == 0 { 1.0 } else { (self.bytes_done as f64 / total as f64).min(1.0) })
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "name": self.name,
            "bytes": self.bytes_done,
            "bytes_total": self.bytes_total,
            "bytes_per_second": self.rate_bytes_per_second,
        })
    }
}

/// Seconds that `left` takes; `None` if nothing moves, or it is not known how fast.
fn seconds(left: u64, per_second: Option<f64>) -> Option<f64> {
    match (left, per_second) {
        (0, _) => Some(0.0),
        (_, Some(rate)) if rate > 0.0 => Some(left as f64 / rate),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn half_way() -> Progress {
        Progress {
            files_done: 40,
            files_unchanged: 5,
            files_failed: 5,
            files_read: 100,
            is_list_read: true,
            bytes_done: 4000,
            bytes_expected: Some(16_000),
            elapsed: Duration::from_secs(90),
            rate_bytes_per_second: 2000.0,
            files_per_second: 20.0,
            steady_rate_bytes_per_second: Some(1000.0),
            steady_files_per_second: Some(10.0),
            ..Progress::default()
        }
    }

    fn eta_seconds(progress: &Progress) -> Option<u64> {
        progress.eta().map(|left| left.as_secs())
    }

    #[test]
    fn known_sizes_count_bytes() {
        assert_eq!((half_way().share(), eta_seconds(&half_way())), (Some(0.25), Some(12)));
        let early = Progress { steady_rate_bytes_per_second: None, ..half_way() };
        assert_eq!(early.eta(), None);
        let stuck = Progress { steady_rate_bytes_per_second: Some(0.0), ..half_way() };
        assert_eq!(stuck.eta(), None);
        let silent = Progress { silence: SILENCE_WITHOUT_ETA, ..half_way() };
        assert_eq!(silent.eta(), None);
        let beyond = Progress { bytes_done: 20_000, ..half_way() };
        assert_eq!((beyond.share(), eta_seconds(&beyond)), (Some(1.0), Some(0)));
    }

    #[test]
    fn unknown_sizes_count_files() {
        let some = Progress { files_unsized: 1, ..half_way() };
        assert_eq!(
            (some.share(), eta_seconds(&some)),
            (Some(0.5), Some(12)),
            "bytes known to miss"
        );
        let none = Progress { bytes_expected: None, ..half_way() };
        assert_eq!((none.share(), eta_seconds(&none)), (Some(0.5), Some(5)));
        let slow = Progress { steady_files_per_second: Some(0.3), ..none.clone() };
        assert_eq!(eta_seconds(&slow), Some(100), "45 files took 90 s");
        let unchanged = Progress { files_done: 0, files_failed: 0, ..slow };
        assert_eq!(unchanged.eta(), None);
    }

    #[test]
    fn a_list_that_is_being_read_promises_nothing() {
        let reading = Progress { is_list_read: false, ..half_way() };
        assert_eq!((reading.share(), reading.eta()), (None, None));
    }

    #[test]
    fn a_line_of_json_tells_what_a_bar_needs() {
        let file = Active { name: "a\n\"b".into(), bytes_done: 3, ..Active::default() };
        let line = Progress { active: vec![file], ..half_way() }.json_line();
        assert!(!line.contains('\n'), "{line}");
        let parsed: serde_json::Value = serde_json::from_str(&line).unwrap();
        let progress = &parsed["progress"];
        assert_eq!(
            (progress["share"].as_f64(), progress["bytes"].as_u64()),
            (Some(0.25), Some(4000))
        );
        assert_eq!(progress["seconds_left"], 12.0);
        let file = serde_json::json!({
            "name": "a\n\"b", "bytes": 3, "bytes_total": null, "bytes_per_second": 0.0,
        });
        assert_eq!(progress["active"], serde_json::json!([file]));
        let reading =
            Progress { is_list_read: false, rate_bytes_per_second: f64::NAN, ..half_way() };
        let parsed: serde_json::Value = serde_json::from_str(&reading.json_line()).unwrap();
        let progress = &parsed["progress"];
        assert!(progress["share"].is_null() && progress["bytes_per_second"].is_null(), "{parsed}");
    }

    #[test]
    fn extremes_do_not_overflow() {
        let empty = Progress { is_list_read: true, ..Progress::default() };
        assert_eq!((empty.share(), empty.eta()), (Some(1.0), Some(Duration::ZERO)));
        let most = Progress {
            files_done: u64::MAX,
            files_unchanged: u64::MAX,
            files_failed: u64::MAX,
            steady_rate_bytes_per_second: Some(f64::NAN),
            ..half_way()
        };
        assert_eq!(most.files_ended(), u64::MAX);
        assert_eq!((most.share(), most.eta()), (Some(0.25), None));
        let slow = Some(1e-9);
        let far =
            Progress { bytes_expected: Some(u64::MAX), steady_rate_bytes_per_second: slow, ..most };
        assert_eq!(far.eta(), None);
    }

    #[test]
    fn a_file_has_its_share() {
        let file = Active { bytes_done: 1, bytes_total: Some(4), ..Active::default() };
        assert_eq!(file.share(), Some(0.25));
        assert_eq!(Active { bytes_total: None, ..file.clone() }.share(), None);
        assert_eq!(Active { bytes_total: Some(0), ..file }.share(), Some(1.0));
    }
}
