//! All files of a batch together: counts, the line at the end, and what the batch as a whole came
//! to. Must not know exit codes of the whole: those are the command line's.

use super::{Outcome, Status};
use crate::base::size::{format_bytes, format_duration, format_rate};
use crate::base::{ErrorKind, Slice};
use crate::batch::failure::{Permanence, permanence};
use std::fmt;
use std::time::Duration;

/// What a batch has done. Counts come from [`add`](Self::add); time, connections, CPU and what
/// limited it are set by whoever knows them. Its `Display` is one line, without what limited it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    /// The slice of the lists that it is about, if not all of them.
    pub slice: Option<Slice>,
    /// Files that were fetched.
    pub done: u64,
    /// Files that were there already.
    pub unchanged: u64,
    /// Files that failed, lines that are no item among them.
    pub failed: u64,
    /// Failed ones of which a later run may come to another end.
    pub failed_may_pass: u64,
    /// Bytes of the files that were fetched.
    pub bytes: u64,
    /// Failures that were retried.
    pub retries: u64,
    /// Time since the batch began.
    pub elapsed: Duration,
    /// Most connections that were open at once.
    pub connections: u32,
    /// User and system time of this process during the batch.
    pub cpu: Duration,
    /// What limited it, with the evidence, if that was the caller's own limit of the rate.
    pub limiter: Option<String>,
    /// Why the first one failed.
    first_cause: Option<ErrorKind>,
    /// Another one failed with another exit code.
    has_other_cause: bool,
}

/// What a batch as a whole came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conclusion {
    /// Every file is there.
    Complete,
    /// Every file failed, and all for a cause that ends a run with the same exit code: that of
    /// this one.
    AllFailedAlike(ErrorKind),
    /// Some files failed, or all did for different causes.
    SomeFailed,
}

impl Summary {
    /// Counts a result.
    pub fn add(&mut self, outcome: &Outcome) {
        self.retries += u64::from(outcome.retries);
        match &outcome.status {
            Status::Done => {
                self.done += 1;
                self.bytes += outcome.bytes;
            }
            Status::Unchanged => self.unchanged += 1,
            Status::Failed(error) => self.add_failure(error.kind()),
        }
    }

    /// Counts a failure without a result: that of a line that is no item, which is
    /// [`ErrorKind::Usage`].
    pub fn add_failure(&mut self, kind: ErrorKind) {
        self.failed += 1;
        self.failed_may_pass += u64::from(permanence(kind) == Permanence::MayPass);
        let first = *self.first_cause.get_or_insert(kind);
        self.has_other_cause |= first.exit_code() != kind.exit_code();
    }

    /// What had failed was tried again, and came to this.
    pub fn retried(&mut self, again: Self) {
        self.done += again.done;
        self.unchanged += again.unchanged;
        self.failed = self.failed.saturating_sub(again.files()) + again.failed;
        self.failed_may_pass = again.failed_may_pass;
        self.bytes += again.bytes;
        self.retries += again.retries;
        self.elapsed += again.elapsed;
        self.connections = self.connections.max(again.connections);
        self.cpu += again.cpu;
        self.limiter = self.limiter.take().or(again.limiter);
        if self.failed == 0 {
            (self.first_cause, self.has_other_cause) = (None, false);
        }
    }

    /// Files in all.
    pub fn files(&self) -> u64 {
        self.done + self.unchanged + self.failed
    }

    /// Bytes per second over the whole batch.
    pub fn rate_bytes_per_second(&self) -> f64 {
        self.bytes as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// What it came to. A batch that was stopped has an exit code of its own, whatever this says.
    pub fn conclusion(&self) -> Conclusion {
        match self.first_cause {
            None => Conclusion::Complete,
            Some(cause) if self.failed == self.files() && !self.has_other_cause => {
                Conclusion::AllFailedAlike(cause)
            }
            Some(_) => Conclusion::SomeFailed,
        }
    }
}

impl fmt::Display for Summary {
    /// `5 files: 2 fetched, 1 unchanged, 2 failed (1 may pass); 32.00 KiB in 0.85 s, 38.55 kB/s,
    /// 4 connections, 0.12 s of CPU`, behind `slice 3 of 8: ` where it is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(slice) = self.slice {
            write!(f, "slice {slice}: ")?;
        }
        let files = if self.files() == 1 { "file" } else { "files" };
        write!(f, "{} {files}: {} fetched", self.files(), self.done)?;
        if self.unchanged > 0 {
            write!(f, ", {} unchanged", self.unchanged)?;
        }
        write!(f, ", {} failed", self.failed)?;
        if self.failed > 0 {
            write!(f, " ({} may pass)", self.failed_may_pass)?;
        }
        let connections = if self.connections == 1 { "connection" } else { "connections" };
        write!(
            f,
            "; {} in {}, {}, {} {connections}, {:.2} s of CPU",
            format_bytes(self.bytes),
            format_duration(self.elapsed),
            format_rate(self.rate_bytes_per_second()),
            self.connections,
            self.cpu.as_secs_f64(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Error;
    use crate::batch::failure::tests::all;
    use crate::batch::result::Asked;

    fn of(statuses: Vec<Status>) -> Summary {
        let mut summary = Summary::default();
        for status in statuses {
            summary.add(&Outcome {
                asked: Asked::default(),
                path: "a".into(),
                bytes: 16_384,
                elapsed: Duration::ZERO,
                status,
                digest: None,
                validator: None,
                retries: 1,
            });
        }
        summary
    }

    fn failed(kind: ErrorKind) -> Status {
        Status::Failed(Error::new(kind, "x"))
    }

    #[test]
    fn one_line_tells_all_counts() {
        let summary = of(vec![
            Status::Done,
            Status::Done,
            Status::Unchanged,
            failed(ErrorKind::Connect),
            failed(ErrorKind::Status(404)),
        ]);
        let summary = Summary {
            elapsed: Duration::from_millis(850),
            cpu: Duration::from_millis(123),
            connections: 4,
            ..summary
        };
        assert_eq!(
            summary.to_string(),
            "5 files: 2 fetched, 1 unchanged, 2 failed (1 may pass); 32.00 KiB in 0.85 s, \
             38.55 kB/s, 4 connections, 0.12 s of CPU"
        );
        let of_slice = Summary { slice: "3/8".parse().ok(), ..summary.clone() };
        assert_eq!(of_slice.to_string(), format!("slice 3 of 8: {summary}"));
        assert_eq!(summary.retries, 5);
        let one =
            Summary { connections: 1, elapsed: Duration::from_secs(1), ..of(vec![Status::Done]) };
        let text = "1 file: 1 fetched, 0 failed; 16.00 KiB in 1.00 s, 16.38 kB/s, 1 connection, \
                    0.00 s of CPU";
        assert_eq!(one.to_string(), text);
    }

    #[test]
    fn a_batch_is_complete_failed_alike_or_failed_in_part() {
        let (status, other) = (ErrorKind::Status(404), ErrorKind::Status(410));
        for (statuses, conclusion) in [
            (vec![], Conclusion::Complete),
            (vec![Status::Done, Status::Unchanged], Conclusion::Complete),
            (vec![failed(status)], Conclusion::AllFailedAlike(status)),
            (vec![failed(status), failed(other)], Conclusion::AllFailedAlike(status)),
            (vec![failed(status), failed(ErrorKind::Connect)], Conclusion::SomeFailed),
            (vec![failed(status), Status::Done], Conclusion::SomeFailed),
            (vec![Status::Unchanged, failed(status)], Conclusion::SomeFailed),
        ] {
            assert_eq!(of(statuses.clone()).conclusion(), conclusion, "{statuses:?}");
        }
        let mut bad_line = of(vec![]);
        bad_line.add_failure(ErrorKind::Usage);
        assert_eq!(bad_line.conclusion(), Conclusion::AllFailedAlike(ErrorKind::Usage));
    }

    #[test]
    fn a_single_cause_of_any_kind_keeps_its_code() {
        for kind in all() {
            let alike = of(vec![failed(kind), failed(kind)]);
            assert_eq!(alike.conclusion(), Conclusion::AllFailedAlike(kind));
        }
    }
}
