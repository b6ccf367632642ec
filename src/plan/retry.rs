//! What a failure means for the span that met it: again at once, later, or never. Owns the one
//! table from error kind to class, and the backoff. Must not know the ledger or the clock.

use crate::base::ErrorKind;
use crate::base::limits::{RETRY_WAIT_MAX, RETRY_WAIT_MIN};
use std::time::Duration;

/// How an error is retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The connection ended, which says nothing about the next one: first retry without a wait.
    AtOnce,
    /// Busy, unreachable or confused for the moment: every retry waits.
    Later,
    /// The same would happen again, or retrying would do harm.
    Never,
}

/// How an error of this kind is retried.
pub fn class(kind: ErrorKind) -> Class {
    match kind {
        ErrorKind::ConnectionLost | ErrorKind::Truncated => Class::AtOnce,
        // Garbage and wrong ranges come from one confused connection or cache node; a fresh
        // connection may reach a sane one, and none of those bytes counted.
        ErrorKind::Resolve
        | ErrorKind::Connect
        | ErrorKind::TimedOut
        | ErrorKind::Tls
        | ErrorKind::Protocol
        | ErrorKind::RangeMismatch
        | ErrorKind::RangesIgnored => Class::Later,
        ErrorKind::Status(code) => status_class(code),
        ErrorKind::Usage
        | ErrorKind::TargetExists
        | ErrorKind::TargetUnusable
        | ErrorKind::DiskFull
        | ErrorKind::DiskIo
        | ErrorKind::EngineUnavailable
        | ErrorKind::ResourceLimit
        | ErrorKind::Certificate
        | ErrorKind::Changed
        | ErrorKind::ContentEncoding
        | ErrorKind::Redirect
        | ErrorKind::ChecksumMismatch
        | ErrorKind::Interrupted
        | ErrorKind::Internal => Class::Never,
    }
}

/// The wait before the next try, after `failures` consecutive failures (this one included, at
/// least 1) of which at most `retries` are forgiven. `None`: give up.
///
/// Waits double from [`RETRY_WAIT_MIN`] to [`RETRY_WAIT_MAX`].
pub fn wait_before_retry(kind: ErrorKind, failures: u32, retries: u32) -> Option<Duration> {
    if failures > retries { None } else { wait_after(kind, failures) }
}

/// The same without a budget. `None`: this kind is never retried.
pub(super) fn wait_after(kind: ErrorKind, failures: u32) -> Option<Duration> {
    assert!(failures > 0, "a failure counts itself");
    match class(kind) {
        Class::AtOnce if failures == 1 => Some(Duration::ZERO),
        Class::AtOnce => Some(backoff(failures - 2)),
        Class::Later => Some(backoff(failures - 1)),
        Class::Never => None,
    }
}

/// Statuses that speak of now rather than of the file (RFC 9110 15.5.9 and 15.6, RFC 6585 4,
/// RFC 8470 5.2); of the server errors all but "not implemented" and "version not supported".
fn status_class(code: u16) -> Class {
    match code {
        501 | 505 => Class::Never,
        408 | 425 | 429 | 500..=599 => Class::Later,
        _ => Class::Never,
    }
}

fn backoff(doublings: u32) -> Duration {
    let factor = 1u32.checked_shl(doublings).unwrap_or(u32::MAX);
    RETRY_WAIT_MIN.saturating_mul(factor).min(RETRY_WAIT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_heal_is_never_retried() {
        for kind in [
            ErrorKind::Status(401),
            ErrorKind::Status(403),
            ErrorKind::Status(404),
            ErrorKind::Status(416),
            ErrorKind::Status(501),
            ErrorKind::ChecksumMismatch,
            ErrorKind::Changed,
            ErrorKind::TargetUnusable,
            ErrorKind::DiskFull,
            ErrorKind::Certificate,
            ErrorKind::Interrupted,
        ] {
            assert_eq!(wait_before_retry(kind, 1, 1000), None, "{kind:?}");
        }
    }

    #[test]
    fn a_lost_connection_is_replaced_at_once_but_only_once() {
        let waits: Vec<_> =
            (1..=3).map(|n| wait_before_retry(ErrorKind::ConnectionLost, n, 3)).collect();
        let expected = [Duration::ZERO, RETRY_WAIT_MIN, RETRY_WAIT_MIN * 2];
        assert_eq!(waits, expected.map(Some));
    }

    #[test]
    fn waits_double_up_to_the_bound() {
        for kind in [ErrorKind::Status(503), ErrorKind::Connect, ErrorKind::Truncated] {
            let waits: Vec<Duration> =
                (1..=100).map(|n| wait_before_retry(kind, n, 100).unwrap()).collect();
            assert!(waits.is_sorted() && waits.contains(&RETRY_WAIT_MIN), "{kind:?}");
            assert!(waits.windows(2).all(|w| w[0].is_zero() || w[1] <= w[0] * 2), "{kind:?}");
            assert_eq!(waits.last(), Some(&RETRY_WAIT_MAX));
        }
    }

    #[test]
    fn the_budget_is_the_number_of_retries() {
        assert_eq!(wait_before_retry(ErrorKind::Connect, 1, 0), None);
        assert_eq!(wait_before_retry(ErrorKind::Connect, 1, 1), Some(RETRY_WAIT_MIN));
        assert_eq!(wait_before_retry(ErrorKind::Connect, 2, 1), None);
    }
}
