//! Errors: what happened, whose side it is on, what to do next, and the exit code of each kind.
//!
//! Owns the two exhaustive tables (side, exit code). Must not know how errors are printed.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Who has to act for the error to go away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Side {
    /// The caller: an argument, a file name, a choice.
    You,
    /// The machine ringhaul runs on: kernel, limits, disk.
    Machine,
    /// The path between this machine and the server.
    Network,
    /// The server or something that answers in its name.
    Server,
    /// ringhaul itself: a bug.
    Ringhaul,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::You => "your side",
            Side::Machine => "this machine",
            Side::Network => "network",
            Side::Server => "server side",
            Side::Ringhaul => "a bug in ringhaul",
        })
    }
}

/// The reason of an [`Error`]. Retry class and exit code are functions of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An option, URL or header that cannot be used.
    Usage,
    /// The target file exists and may not be replaced.
    TargetExists,
    /// The output folder is missing, read-only or not a folder.
    TargetUnusable,
    /// Another run has the part file, or the state of the batch.
    Busy,
    /// No space or quota left for the file.
    DiskFull,
    /// Reading or writing the output failed.
    DiskIo,
    /// The kernel or a sandbox does not grant what the engine needs, and no other engine may be
    /// taken in its place.
    EngineUnavailable,
    /// Too few file descriptors or too little memory.
    ResourceLimit,
    /// The host name has no address.
    Resolve,
    /// No connection: refused, unreachable or reset while connecting.
    Connect,
    /// A proxy refuses to connect, or wants other credentials.
    ProxyRefused,
    /// The established connection broke.
    ConnectionLost,
    /// Connect, stall or idle time limit reached.
    TimedOut,
    /// The TLS handshake or record layer failed.
    Tls,
    /// The server's certificate is not trusted for this host, or ours by the server.
    Certificate,
    /// The server answered with this status instead of data.
    Status(u16),
    /// What came back is not HTTP/1.1, or breaks its framing.
    Protocol,
    /// A partial answer that does not fit what was asked (RFC 9110 14.4, 15.3.7).
    RangeMismatch,
    /// The whole file where a part was asked for: the server stopped serving ranges (RFC 9110
    /// 14.2 lets it), and the bytes cannot be used where they were wanted.
    RangesIgnored,
    /// Size or validator differ between answers: these are parts of different files.
    Changed,
    /// The body ended before its promised length, or TLS ended without close_notify.
    Truncated,
    /// Content-Encoding in spite of `identity`: the bytes are not the file.
    ContentEncoding,
    /// A redirect that may not or cannot be followed.
    Redirect,
    /// The digest of the bytes is not the expected one.
    ChecksumMismatch,
    /// Slices of a file that several machines fetch are missing, damaged, or in use.
    SlicesIncomplete,
    /// Stopped by the caller or a signal.
    Interrupted,
    /// An invariant of ringhaul does not hold.
    Internal,
}

impl ErrorKind {
    /// Whose side the error is on.
    pub fn side(self) -> Side {
        match self {
            ErrorKind::Usage
            | ErrorKind::TargetExists
            | ErrorKind::TargetUnusable
            | ErrorKind::SlicesIncomplete
            | ErrorKind::Busy
            | ErrorKind::Interrupted => Side::You,
            ErrorKind::DiskFull
            | ErrorKind::DiskIo
            | ErrorKind::EngineUnavailable
            | ErrorKind::ResourceLimit => Side::Machine,
            ErrorKind::Resolve
            | ErrorKind::Connect
            | ErrorKind::ProxyRefused
            | ErrorKind::ConnectionLost
            | ErrorKind::TimedOut => Side::Network,
            ErrorKind::Tls
            | ErrorKind::Certificate
            | ErrorKind::Status(_)
            | ErrorKind::Protocol
            | ErrorKind::RangeMismatch
            | ErrorKind::RangesIgnored
            | ErrorKind::Changed
            | ErrorKind::Truncated
            | ErrorKind::ContentEncoding
            | ErrorKind::Redirect
            | ErrorKind::ChecksumMismatch => Side::Server,
            ErrorKind::Internal => Side::Ringhaul,
        }
    }

    /// The process exit code, as documented in the README and `ringhaul --help`.
    pub fn exit_code(self) -> u8 {
        match self {
            ErrorKind::Internal => 1,
            ErrorKind::Usage => 2,
            ErrorKind::Resolve => 3,
            ErrorKind::Connect => 4,
            ErrorKind::ConnectionLost => 5,
            ErrorKind::TimedOut => 6,
            ErrorKind::Certificate => 7,
            ErrorKind::Status(code) if status_may_pass(code) => 22,
            ErrorKind::Status(_) => 8,
            ErrorKind::Protocol => 9,
            ErrorKind::RangeMismatch | ErrorKind::RangesIgnored | ErrorKind::Changed => 10,
            ErrorKind::Truncated => 11,
            ErrorKind::Redirect => 12,
            ErrorKind::ChecksumMismatch => 13,
            ErrorKind::TargetExists | ErrorKind::TargetUnusable => 14,
            ErrorKind::DiskFull => 15,
            ErrorKind::DiskIo => 16,
            ErrorKind::EngineUnavailable => 17,
            ErrorKind::ProxyRefused => 18,
            ErrorKind::Busy => 19,
            ErrorKind::Tls => 23,
            ErrorKind::ContentEncoding => 24,
            ErrorKind::ResourceLimit => 25,
            ErrorKind::SlicesIncomplete => 26,
            ErrorKind::Interrupted => 130,
        }
    }

    /// The reason in a few words, where there is no room for more: `503`, `connection lost`.
    pub fn in_brief(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            ErrorKind::Usage => "wrong arguments",
            ErrorKind::TargetExists => "the target exists",
            ErrorKind::TargetUnusable => "target not usable",
            ErrorKind::Busy => "in use by another run",
            ErrorKind::DiskFull => "disk full",
            ErrorKind::DiskIo => "disk error",
            ErrorKind::EngineUnavailable => "no engine",
            ErrorKind::ResourceLimit => "a limit of this machine",
            ErrorKind::Resolve => "host name not found",
            ErrorKind::Connect => "no connection",
            ErrorKind::ProxyRefused => "refused by the proxy",
            ErrorKind::ConnectionLost => "connection lost",
            ErrorKind::TimedOut => "timed out",
            ErrorKind::Tls => "TLS failed",
            ErrorKind::Certificate => "certificate not trusted",
            ErrorKind::Status(code) => return Cow::Owned(code.to_string()),
            ErrorKind::Protocol => "broken answer",
            ErrorKind::RangeMismatch => "wrong range",
            ErrorKind::RangesIgnored => "range ignored",
            ErrorKind::Changed => "file changed",
            ErrorKind::Truncated => "answer cut short",
            ErrorKind::ContentEncoding => "content encoded",
            ErrorKind::Redirect => "bad redirect",
            ErrorKind::ChecksumMismatch => "wrong digest",
            ErrorKind::SlicesIncomplete => "slices missing",
            ErrorKind::Interrupted => "stopped",
            ErrorKind::Internal => "internal error",
        })
    }

    /// What to do next, where nothing more specific is known.
    pub fn advice(self) -> &'static str {
        match self {
            ErrorKind::Usage => "see ringhaul --help",
            ErrorKind::TargetExists => "choose another name with -o, or replace it with --force",
            ErrorKind::TargetUnusable => "choose another place with -o or -d",
            ErrorKind::Busy => "wait for the other run to end",
            ErrorKind::DiskFull => "free space or choose another place with -o or -d",
            ErrorKind::DiskIo => "check the disk and the kernel log",
            ErrorKind::EngineUnavailable => "run 'ringhaul doctor' to see what is missing",
            ErrorKind::ResourceLimit => "raise the limit or use fewer connections with -c",
            ErrorKind::Resolve => "check the host name and this machine's name service",
            ErrorKind::Connect => "check address and port, and that the server is up",
            ErrorKind::ProxyRefused => {
                "ask the proxy's operator, or choose another one with --proxy"
            }
            ErrorKind::ConnectionLost => "try again; fewer connections (-c) may help",
            ErrorKind::TimedOut => "try again, or allow more time with --timeout",
            ErrorKind::Tls => "check that the port speaks TLS 1.2 or 1.3",
            ErrorKind::Certificate => {
                "add its authority with --ca-cert, or accept any certificate with --insecure"
            }
            ErrorKind::Status(code) => status_advice(code),
            ErrorKind::Protocol => "check that the URL is served by an HTTP/1.1 server",
            ErrorKind::RangeMismatch => "try -c 1; the server or a cache answers ranges wrongly",
            ErrorKind::RangesIgnored => "try -c 1; the server stopped serving ranges",
            ErrorKind::Changed => "start again; the file changed on the server meanwhile",
            ErrorKind::Truncated => "try again; the server or a proxy cut the body short",
            ErrorKind::ContentEncoding => "ask the server's operator to honour 'identity'",
            ErrorKind::Redirect => "check the URL with -v",
            ErrorKind::ChecksumMismatch => "compare the expected digest with its source",
            ErrorKind::SlicesIncomplete => "run them again",
            ErrorKind::Interrupted => "run the same command again",
            ErrorKind::Internal => "please report it with the output of -vv",
        }
    }
}

/// Indicates whether a status speaks of now rather than of the file (RFC 9110 15.5.9 and 15.6, RFC
/// 6585 4, RFC 8470 5.2): of the server errors all but "not implemented" and "version not
/// supported" do.
pub fn status_may_pass(code: u16) -> bool {
    matches!(code, 408 | 425 | 429 | 500..=599) && !matches!(code, 501 | 505)
}

fn status_advice(code: u16) -> &'static str {
    match code {
        401 => "give credentials with -u NAME, --netrc or --bearer-file",
        403 => "check that you may read it; a signed URL may have expired",
        404 | 410 => "check the URL",
        416 => "the file is shorter than expected; start again",
        429 | 503 => "the server asks for less; wait, or use fewer connections with -c",
        500..=599 => "try again later; the server failed",
        _ => "check the URL with -v",
    }
}

/// One failure: its kind, what was being done, and the cause below it if there is one. A clone is
/// for those who hear of the same failure later.
///
/// # Example
///
/// ```
/// use ringhaul::{Download, ErrorKind, Side};
///
/// let error = Download::new("https://").err().expect("no URL");
/// assert_eq!((error.kind(), error.side()), (ErrorKind::Usage, Side::You));
/// // One line: what happened, whose side, what to do.
/// println!("{error}");
/// ```
#[derive(Clone)]
pub struct Error {
    kind: ErrorKind,
    context: String,
    advice: Option<String>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind`; `context` says what happened, without a full stop.
    pub fn new(kind: ErrorKind, context: impl Into<String>) -> Self {
        Self { kind, context: context.into(), advice: None, source: None }
    }

    /// Keeps the error below this one.
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// Replaces the kind's general advice by one that fits this case.
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Puts "what was being done" before the context: `within("connection 3")`.
    pub fn within(mut self, outer: impl fmt::Display) -> Self {
        self.context = format!("{outer}: {}", self.context);
        self
    }

    /// What happened, without causes and advice.
    pub fn context(&self) -> String {
        one_line(&self.context)
    }

    /// The reason.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whose side it is on.
    pub fn side(&self) -> Side {
        self.kind.side()
    }

    /// The process exit code of this kind.
    pub fn exit_code(&self) -> u8 {
        self.kind.exit_code()
    }

    /// What to do next.
    pub fn advice(&self) -> &str {
        self.advice.as_deref().unwrap_or_else(|| self.kind.advice())
    }
}

impl fmt::Display for Error {
    /// One line: context and causes, the side, the advice.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&one_line(&self.context))?;
        let mut cause = self.source();
        while let Some(inner) = cause {
            write!(f, ": {}", one_line(&inner.to_string()))?;
            cause = inner.source();
        }
        write!(f, " ({}); {}", self.side(), self.advice())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.kind)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|s| &**s as &(dyn StdError + 'static))
    }
}

/// Peers choose some of these words: no line breaks, no control characters reach a terminal.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_is_one_line_with_side_and_advice() {
        let io = std::io::Error::other("first\nsecond \x1b[31m");
        let error = Error::new(ErrorKind::Connect, "cannot connect to h:1").caused_by(io);
        let line = error.to_string();
        assert!(!line.chars().any(char::is_control), "{line:?}");
        assert!(line.starts_with("cannot connect to h:1: first second"), "{line}");
        assert!(line.ends_with("(network); check address and port, and that the server is up"));
    }

    #[test]
    fn specific_advice_replaces_the_general_one() {
        let error = Error::new(ErrorKind::Usage, "no").advise("do this");
        assert_eq!(error.to_string(), "no (your side); do this");
        assert_eq!(error.within("x").to_string(), "x: no (your side); do this");
    }

    #[test]
    fn exit_codes_keep_clear_of_shell_codes() {
        for kind in [ErrorKind::Usage, ErrorKind::Status(404), ErrorKind::ResourceLimit] {
            assert!((1..=63).contains(&kind.exit_code()));
        }
        assert_eq!(ErrorKind::Interrupted.exit_code(), 130);
    }
}
