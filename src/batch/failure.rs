//! What a failure means for whoever runs a batch again: the name of its kind, for files that
//! programs read, and whether another run may come to another end. Must not know the exit code of
//! a whole batch.

use crate::base::ErrorKind;
use crate::plan::retry::{Class, class};

/// Whether a failure stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Permanence {
    /// The same command may succeed later: it is worth being run again.
    MayPass,
    /// It fails in the same way until a person has changed something.
    Permanent,
}

/// Whether a failure of this kind stays. What is retried within a run may pass, and of the rest
/// what depends on the moment.
pub fn permanence(kind: ErrorKind) -> Permanence {
    match class(kind) {
        Class::AtOnce | Class::Elsewhere | Class::Later => Permanence::MayPass,
        Class::Never => of_unretried(kind),
    }
}

/// Of kinds that are never retried within a run.
fn of_unretried(kind: ErrorKind) -> Permanence {
    match kind {
        // The next run takes the new file, finds space that was freed, has the machine or the file
        // to itself, finds the slices complete, or goes on where this one was stopped.
        ErrorKind::Changed
        | ErrorKind::Busy
        | ErrorKind::DiskFull
        | ErrorKind::ResourceLimit
        | ErrorKind::SlicesIncomplete
        | ErrorKind::Interrupted => Permanence::MayPass,
        // These are always retried, and do not come here.
        ErrorKind::Resolve
        | ErrorKind::Connect
        | ErrorKind::ConnectionLost
        | ErrorKind::TimedOut
        | ErrorKind::Tls
        | ErrorKind::Protocol
        | ErrorKind::RangeMismatch
        | ErrorKind::RangesIgnored
        | ErrorKind::Truncated => Permanence::MayPass,
        ErrorKind::Usage
        | ErrorKind::TargetExists
        | ErrorKind::TargetUnusable
        | ErrorKind::DiskIo
        | ErrorKind::EngineUnavailable
        | ErrorKind::ProxyRefused
        | ErrorKind::Certificate
        | ErrorKind::Status(_)
        | ErrorKind::ContentEncoding
        | ErrorKind::Redirect
        | ErrorKind::ChecksumMismatch
        | ErrorKind::Internal => Permanence::Permanent,
    }
}

/// Whether the failure of a run that ended with this exit code stays; `None` for a code that is no
/// failure's of a single file. For whoever runs commands again: kinds of which some stay and some
/// do not have codes of their own.
pub fn permanence_of_code(exit_code: u8) -> Option<Permanence> {
    let statuses = [404, 503].map(ErrorKind::Status);
    let kinds = KINDS.iter().copied().chain(statuses);
    kinds.into_iter().find(|kind| kind.exit_code() == exit_code).map(permanence)
}

/// The names of the kinds, and from them the list of all kinds: one that is missing does not
/// compile.
macro_rules! names {
    ($($kind:ident => $name:literal,)+) => {
        /// Every kind but that of a status, which has a number.
        pub const KINDS: &[ErrorKind] = &[$(ErrorKind::$kind),+];

        /// The name of a kind, as it stands in files: `timed_out`. Names do not change from version
        /// to version. That of a status is without its number.
        pub fn name(kind: ErrorKind) -> &'static str {
            match kind {
                $(ErrorKind::$kind => $name,)+
                ErrorKind::Status(_) => "status",
            }
        }
    };
}

names! {
    Usage => "usage",
    TargetExists => "target_exists",
    TargetUnusable => "target_unusable",
    Busy => "busy",
    DiskFull => "disk_full",
    DiskIo => "disk_io",
    EngineUnavailable => "engine_unavailable",
    ResourceLimit => "resource_limit",
    Resolve => "resolve",
    Connect => "connect",
    ProxyRefused => "proxy_refused",
    ConnectionLost => "connection_lost",
    TimedOut => "timed_out",
    Tls => "tls",
    Certificate => "certificate",
    Protocol => "protocol",
    RangeMismatch => "range_mismatch",
    RangesIgnored => "ranges_ignored",
    Changed => "changed",
    Truncated => "truncated",
    ContentEncoding => "content_encoding",
    Redirect => "redirect",
    ChecksumMismatch => "checksum_mismatch",
    SlicesIncomplete => "slices_incomplete",
    Interrupted => "interrupted",
    Internal => "internal",
}

/// The status of a kind that has one.
pub fn status(kind: ErrorKind) -> Option<u16> {
    if let ErrorKind::Status(code) = kind { Some(code) } else { None }
}

/// The kind that [`name`] and [`status`] say; `None` if they are those of no kind.
pub fn kind(named: &str, code: Option<u16>) -> Option<ErrorKind> {
    let of_name = || KINDS.iter().copied().find(|kind| name(*kind) == named);
    match code {
        Some(code) => (named == "status").then_some(ErrorKind::Status(code)),
        None => of_name(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::collections::HashSet;

    /// All kinds, statuses of each class among them.
    pub(in crate::batch) fn all() -> impl Iterator<Item = ErrorKind> {
        let codes = [0, 200, 400, 401, 403, 404, 408, 410, 416, 425, 429, 500, 501, 503, 505, 599];
        KINDS.iter().copied().chain(codes.map(ErrorKind::Status))
    }

    #[test]
    fn names_lead_back_to_their_kind() {
        for one in all() {
            assert_eq!(kind(name(one), status(one)), Some(one), "{one:?}");
        }
        assert_eq!(all().map(name).collect::<HashSet<_>>().len(), KINDS.len() + 1);
        for (named, code) in [("status", None), ("usage", Some(404)), ("", None), ("Usage", None)] {
            assert_eq!(kind(named, code), None, "{named} {code:?}");
        }
    }

    #[test]
    fn what_is_retried_may_pass_and_of_the_rest_what_depends_on_the_moment() {
        let of_the_moment = [
            ErrorKind::Changed,
            ErrorKind::Busy,
            ErrorKind::DiskFull,
            ErrorKind::ResourceLimit,
            ErrorKind::SlicesIncomplete,
            ErrorKind::Interrupted,
        ];
        for kind in all() {
            let may_pass = class(kind) != Class::Never || of_the_moment.contains(&kind);
            assert_eq!(permanence(kind) == Permanence::MayPass, may_pass, "{kind:?}");
        }
        for (code, expected) in [
            (404, Permanence::Permanent),
            (403, Permanence::Permanent),
            (429, Permanence::MayPass),
            (503, Permanence::MayPass),
        ] {
            assert_eq!(permanence(ErrorKind::Status(code)), expected, "{code}");
        }
    }

    #[test]
    fn an_exit_code_says_whether_another_run_may_come_to_another_end() {
        for kind in KINDS.iter().copied().chain((0..1000).map(ErrorKind::Status)) {
            let of_code = permanence_of_code(kind.exit_code());
            assert_eq!(of_code, Some(permanence(kind)), "{kind:?}: one of its code differs");
        }
        let codes = |wanted| -> Vec<u8> {
            (0..=255).filter(|code| permanence_of_code(*code) == wanted).collect()
        };
        let may_pass = codes(Some(Permanence::MayPass));
        assert_eq!(may_pass, [3, 4, 5, 6, 9, 10, 11, 15, 19, 22, 23, 25, 26, 130]);
        let permanent = codes(Some(Permanence::Permanent));
        assert_eq!(permanent, [1, 2, 7, 8, 12, 13, 14, 16, 17, 18, 24]);
        assert_eq!(codes(None).len(), 256 - may_pass.len() - permanent.len());
    }
}
