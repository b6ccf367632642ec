//! The log of a batch: one line for each event, for people and for `grep`.
//!
//! ```text
//! 2026-11-28T06:00:00.123Z start: out/f from http://h/f
//! 2026-11-28T06:00:00.135Z success, 16384 bytes in 0.012 s, 1.37 MB/s: out/f from http://h/f
//! 2026-11-28T06:00:00.140Z unchanged: out/g from http://h/g
//! 2026-11-28T06:00:00.150Z retry 1 in 0.500 s, 8192 bytes: out/i from http://h/i: cause
//! 2026-11-28T06:00:03.150Z failure, 8192 bytes in 3.010 s, 2.72 kB/s: out/i from http://h/i: cause
//! ```
//!
//! Behind the time stands `slice 3 of 8: ` where the list is divided: slices may share a log.
//!
//! Names and causes come from strangers: control characters become question marks, URLs are
//! without user name, password and query. Must not know where lines are written.

use super::{Outcome, Status};
use crate::base::calendar::rfc3339;
use crate::base::size::format_rate;
use crate::base::text::printable;
use crate::base::url::without_secrets;
use crate::base::{Error, Slice};
use std::fmt;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// One line of a log; its `Display` is the line without an end.
#[derive(Debug, Clone, Copy)]
pub struct LogLine<'a> {
    /// When it happened.
    pub at: SystemTime,
    /// The slice of the list that it happened in, if that is divided.
    pub slice: Option<Slice>,
    /// Where the file is to be.
    pub path: &'a Path,
    /// Its URL, as the list has it.
    pub url: &'a str,
    /// What happened.
    pub happening: Happening<'a>,
}

/// What happened to a file.
#[derive(Debug, Clone, Copy)]
pub enum Happening<'a> {
    /// Its first request is sent.
    Start,
    /// It failed, and is tried again.
    Retry {
        /// Number of this retry, from 1.
        number: u32,
        /// Time until then.
        wait: Duration,
        /// Bytes of the file that have arrived.
        bytes: u64,
        /// Why it failed.
        cause: &'a Error,
    },
    /// It is done, unchanged, or failed for good.
    End {
        /// How it ended.
        status: &'a Status,
        /// Bytes of the file, or of it those that had arrived.
        bytes: u64,
        /// Time since its start.
        elapsed: Duration,
    },
}

impl<'a> LogLine<'a> {
    /// The last line of a file.
    pub fn end(at: SystemTime, slice: Option<Slice>, outcome: &'a Outcome) -> Self {
        let Outcome { asked, path, bytes, elapsed, status, .. } = outcome;
        let happening = Happening::End { status, bytes: *bytes, elapsed: *elapsed };
        Self { at, slice, path, url: asked.url(), happening }
    }
}

impl fmt::Display for LogLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", rfc3339(self.at))?;
        if let Some(slice) = self.slice {
            write!(f, "slice {slice}: ")?;
        }
        let cause = match self.happening {
            Happening::Start => {
                f.write_str("start")?;
                None
            }
            Happening::Retry { number, wait, bytes, cause } => {
                write!(f, "retry {number} in {:.3} s, {bytes} bytes", wait.as_secs_f64())?;
                Some(cause)
            }
            Happening::End { status, bytes, elapsed } => end(f, status, bytes, elapsed)?,
        };
        let path = self.path.to_string_lossy();
        write!(f, ": {} from {}", printable(&path), printable(&without_secrets(self.url)))?;
        cause.map_or(Ok(()), |cause| write!(f, ": {}", printable(&cause.to_string())))
    }
}

/// Writes how a file ended; returns why it failed.
fn end<'a>(
    f: &mut fmt::Formatter<'_>,
    status: &'a Status,
    bytes: u64,
    elapsed: Duration,
) -> Result<Option<&'a Error>, fmt::Error> {
    let (word, cause) = match status {
        Status::Done => ("success", None),
        Status::Unchanged => {
            f.write_str("unchanged")?;
            return Ok(None);
        }
        Status::Failed(error) => ("failure", Some(error)),
    };
    let seconds = elapsed.as_secs_f64();
    let rate = format_rate(bytes as f64 / seconds.max(1e-9));
    write!(f, "{word}, {bytes} bytes in {seconds:.3} s, {rate}")?;
    Ok(cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ErrorKind;
    use std::time::UNIX_EPOCH;

    fn line(happening: Happening<'_>) -> String {
        let at = UNIX_EPOCH + Duration::from_millis(1_795_845_600_123);
        let url = "http://user:secret@h/f?token=secret";
        LogLine { at, slice: None, path: Path::new("out/f"), url, happening }.to_string()
    }

    #[test]
    fn each_event_says_time_bytes_rate_and_cause() {
        let cause = Error::new(ErrorKind::Connect, "refused");
        let failed = Status::Failed(cause.clone());
        let end =
            |status, bytes| Happening::End { status, bytes, elapsed: Duration::from_millis(12) };
        let retry = Happening::Retry {
            number: 1,
            wait: Duration::from_millis(500),
            bytes: 8192,
            cause: &cause,
        };
        for (happening, text) in [
            (Happening::Start, "start: FILE".to_owned()),
            (end(&Status::Done, 16_384), "success, 16384 bytes in 0.012 s, 1.37 MB/s: FILE".into()),
            (end(&Status::Unchanged, 16_384), "unchanged: FILE".into()),
            (end(&failed, 0), format!("failure, 0 bytes in 0.012 s, 0 B/s: FILE: {cause}")),
            (retry, format!("retry 1 in 0.500 s, 8192 bytes: FILE: {cause}")),
        ] {
            let text = text.replace("FILE", "out/f from http://h/f?…");
            assert_eq!(line(happening), format!("2026-11-28T06:00:00.123Z {text}"));
        }
    }

    #[test]
    fn strangers_do_not_begin_a_line() {
        let evil = "a\n2026-11-28T06:00:00.123Z success\r\u{1b}[2J\u{202e}";
        let cause = Error::new(ErrorKind::Protocol, evil);
        let status = Status::Failed(cause);
        let happening = Happening::End { status: &status, bytes: 0, elapsed: Duration::ZERO };
        let (at, path) = (UNIX_EPOCH, Path::new(evil));
        let slice = "3/8".parse().ok();
        let line = LogLine { at, slice, path, url: evil, happening }.to_string();
        assert!(line.starts_with("1970-01-01T00:00:00.000Z slice 3 of 8: failure"), "{line}");
        assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{line:?}");
    }

    #[test]
    fn no_secret_of_a_url_is_logged() {
        assert!(!line(Happening::Start).contains("secret"));
    }
}
