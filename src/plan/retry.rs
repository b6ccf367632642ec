//! What a failure means for the span that met it: again at once, elsewhere, later, or never. Owns
//! the one table from error kind to class, the backoff and its jitter. Must not know the ledger,
//! the addresses or the clock.

use crate::base::ErrorKind;
use crate::base::error::status_may_pass;
use crate::base::limits::RETRY_WAIT_MAX;
use crate::base::rng::Rng;
use std::time::Duration;

/// However short the wait that was asked for: a server that refuses at once is no busy loop.
const WAIT_FLOOR: Duration = Duration::from_millis(10);

/// How an error is retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The connection ended, which says nothing about the next one: first retry without a wait.
    AtOnce,
    /// This address, or the node behind it, is unwell: first retry without a wait if there is
    /// another one, later otherwise.
    Elsewhere,
    /// Busy or unreachable for the moment: every retry waits.
    Later,
    /// The same would happen again, or retrying would do harm.
    Never,
}

/// How an error of this kind is retried.
pub fn class(kind: ErrorKind) -> Class {
    match kind {
        ErrorKind::ConnectionLost | ErrorKind::Truncated => Class::AtOnce,
        // Silence, a broken handshake, garbage and wrong ranges come from one hung or confused
        // node; none of those bytes counted, and another node may be sane.
        ErrorKind::TimedOut
        | ErrorKind::Tls
        | ErrorKind::Protocol
        | ErrorKind::RangeMismatch
        | ErrorKind::RangesIgnored => Class::Elsewhere,
        // A failed connect has tried every address already: there is no elsewhere.
        ErrorKind::Resolve | ErrorKind::Connect => Class::Later,
        ErrorKind::Status(code) => status_class(code),
        // A certificate that is not trusted stays so, and a person has to look at it: asking
        // around until some address passes would hide it, and waits would only delay the word.
        ErrorKind::Certificate
        | ErrorKind::ProxyRefused
        | ErrorKind::Usage
        | ErrorKind::TargetExists
        | ErrorKind::TargetUnusable
        | ErrorKind::Busy
        | ErrorKind::DiskFull
        | ErrorKind::DiskIo
        | ErrorKind::EngineUnavailable
        | ErrorKind::ResourceLimit
        | ErrorKind::Changed
        | ErrorKind::ContentEncoding
        | ErrorKind::Redirect
        | ErrorKind::ChecksumMismatch
        | ErrorKind::SlicesIncomplete
        | ErrorKind::Interrupted
        | ErrorKind::Internal => Class::Never,
    }
}

/// Whether an error of this kind is the source's, so that another one may do better; otherwise it
/// is this machine's, or the caller's.
pub fn is_of_source(kind: ErrorKind) -> bool {
    match kind {
        ErrorKind::ConnectionLost
        | ErrorKind::Truncated
        | ErrorKind::TimedOut
        | ErrorKind::Tls
        | ErrorKind::Protocol
        | ErrorKind::RangeMismatch
        | ErrorKind::RangesIgnored
        | ErrorKind::Resolve
        | ErrorKind::Connect
        | ErrorKind::ProxyRefused
        | ErrorKind::Status(_)
        | ErrorKind::Certificate
        | ErrorKind::Changed
        | ErrorKind::ContentEncoding
        | ErrorKind::Redirect
        | ErrorKind::ChecksumMismatch => true,
        ErrorKind::Usage
        | ErrorKind::TargetExists
        | ErrorKind::TargetUnusable
        | ErrorKind::Busy
        | ErrorKind::DiskFull
        | ErrorKind::DiskIo
        | ErrorKind::EngineUnavailable
        | ErrorKind::ResourceLimit
        | ErrorKind::SlicesIncomplete
        | ErrorKind::Interrupted
        | ErrorKind::Internal => false,
    }
}

/// The retries of one question that is asked again and again, outside of a
/// [`Transfer`](super::Transfer): a limited number in a row, each after a longer wait.
#[derive(Debug)]
pub struct Backoff {
    /// Failures in a row that are forgiven.
    retries: u32,
    /// Failures in a row so far.
    failures: u32,
    /// The first wait, before its share is taken.
    retry_wait: Duration,
    jitter: Jitter,
}

impl Backoff {
    /// Forgives `retries` failures in a row. The first wait is half to all of `retry_wait`; each
    /// one after it doubles, up to [`RETRY_WAIT_MAX`]. One seed makes one sequence of waits.
    pub fn new(retries: u32, retry_wait: Duration, jitter_seed: u64) -> Self {
        Self { retries, failures: 0, retry_wait, jitter: Jitter::new(jitter_seed) }
    }

    /// Failures in a row so far.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// The question has failed: the wait before it is asked again, or `None`: give up. What the
    /// server asked for with Retry-After is the caller's to add.
    pub fn next(&mut self, kind: ErrorKind) -> Option<Duration> {
        self.failures = self.failures.saturating_add(1);
        let share = self.jitter.share();
        let terms = Terms { retry_wait: self.retry_wait, has_elsewhere: false, share };
        let is_spent = self.failures > self.retries;
        if is_spent { None } else { wait_after(class(kind), self.failures, terms) }
    }
}

/// What a wait is made of beside class and number of the failure.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// The first wait, before its share is taken.
    pub(super) retry_wait: Duration,
    /// Indicates whether another address is there to be tried.
    pub(super) has_elsewhere: bool,
    /// The share that is waited, drawn from [`Jitter`].
    pub(super) share: f64,
}

/// The wait before the next try, after `failures` in a row, this one included, so at least 1.
/// `None`: this class is never retried.
pub(super) fn wait_after(class: Class, failures: u32, terms: Terms) -> Option<Duration> {
    assert!(failures > 0, "a failure counts itself");
    let unwaited = match class {
        Class::AtOnce => 1,
        Class::Elsewhere => u32::from(terms.has_elsewhere),
        Class::Later => 0,
        Class::Never => return None,
    };
    let doublings = failures.checked_sub(1 + unwaited);
    Some(doublings.map_or(Duration::ZERO, |doublings| backoff(doublings, terms)))
}

/// The randomness of waits, so that clients and connections that failed together do
/// not come back together.
#[derive(Debug)]
pub(super) struct Jitter {
    rng: Rng,
}

impl Jitter {
    pub(super) fn new(seed: u64) -> Self {
        Self { rng: Rng::new(seed) }
    }

    /// The share of a wait that is waited: even in `[0.5, 1)`.
    pub(super) fn share(&mut self) -> f64 {
        0.5 + self.rng.unit() / 2.0
    }
}

fn status_class(code: u16) -> Class {
    if status_may_pass(code) { Class::Later } else { Class::Never }
}

/// The bound gives way to a first wait that was asked to be longer.
fn backoff(doublings: u32, terms: Terms) -> Duration {
    let first = terms.retry_wait.max(WAIT_FLOOR);
    let factor = 1u32.checked_shl(doublings).unwrap_or(u32::MAX);
    let whole = first.saturating_mul(factor).min(RETRY_WAIT_MAX.max(first));
    Duration::try_from_secs_f64(whole.as_secs_f64() * terms.share).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::limits::{RETRIES_DEFAULT, RETRY_WAIT_MIN};

    /// Waits without jitter.
    fn wait(kind: ErrorKind, failures: u32, has_elsewhere: bool) -> Option<Duration> {
        let terms = Terms { retry_wait: RETRY_WAIT_MIN, has_elsewhere, share: 1.0 };
        wait_after(class(kind), failures, terms)
    }

    fn waits(kind: ErrorKind, has_elsewhere: bool) -> Vec<Duration> {
        (1..=3).map(|n| wait(kind, n, has_elsewhere).expect("it is retried")).collect()
    }

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
            ErrorKind::Busy,
            ErrorKind::DiskFull,
            ErrorKind::Certificate,
            ErrorKind::ProxyRefused,
            ErrorKind::Interrupted,
        ] {
            assert_eq!(wait(kind, 1, true), None, "{kind:?}");
            assert_eq!(Backoff::new(1000, RETRY_WAIT_MIN, 0).next(kind), None, "{kind:?}");
        }
    }

    #[test]
    fn each_class_waits_in_its_own_way() {
        let at_once = [Duration::ZERO, RETRY_WAIT_MIN, RETRY_WAIT_MIN * 2];
        let later = [RETRY_WAIT_MIN, RETRY_WAIT_MIN * 2, RETRY_WAIT_MIN * 4];
        for has_elsewhere in [false, true] {
            assert_eq!(waits(ErrorKind::ConnectionLost, has_elsewhere), at_once);
            assert_eq!(waits(ErrorKind::Status(503), has_elsewhere), later);
            assert_eq!(waits(ErrorKind::Connect, has_elsewhere), later);
        }
        assert_eq!(waits(ErrorKind::TimedOut, true), at_once, "once, at another address");
        assert_eq!(waits(ErrorKind::TimedOut, false), later);
    }

    #[test]
    fn waits_double_up_to_the_bound() {
        for kind in [ErrorKind::Status(503), ErrorKind::Connect, ErrorKind::Truncated] {
            let waits: Vec<Duration> = (1..=100).map(|n| wait(kind, n, false).unwrap()).collect();
            assert!(waits.is_sorted() && waits.contains(&RETRY_WAIT_MIN), "{kind:?}");
            assert!(waits.windows(2).all(|w| w[0].is_zero() || w[1] <= w[0] * 2), "{kind:?}");
            assert_eq!(waits.last(), Some(&RETRY_WAIT_MAX));
        }
    }

    #[test]
    fn a_first_wait_of_any_length_is_taken() {
        let first = |retry_wait| {
            let terms = Terms { retry_wait, has_elsewhere: false, share: 1.0 };
            wait_after(class(ErrorKind::Connect), 1, terms)
        };
        assert_eq!(first(RETRY_WAIT_MAX * 3), Some(RETRY_WAIT_MAX * 3));
        assert_eq!(first(Duration::MAX), Some(Duration::MAX));
        assert_eq!(first(Duration::ZERO), Some(WAIT_FLOOR));
    }

    #[test]
    fn the_budget_is_the_number_of_retries() {
        let mut none = Backoff::new(0, RETRY_WAIT_MIN, 0);
        assert_eq!(none.next(ErrorKind::Connect), None);
        let mut one = Backoff::new(1, RETRY_WAIT_MIN, 0);
        assert!(one.next(ErrorKind::Connect).is_some());
        assert_eq!(one.next(ErrorKind::Connect), None);
    }

    #[test]
    fn one_seed_is_one_sequence_between_half_and_all_of_each_wait() {
        let sequence = |seed| -> Vec<Duration> {
            let mut backoff = Backoff::new(50, RETRY_WAIT_MIN, seed);
            (0..50).map(|_| backoff.next(ErrorKind::Connect).expect("within the budget")).collect()
        };
        assert_eq!(sequence(7), sequence(7));
        assert_ne!(sequence(7), sequence(8));
        for (n, waited) in (1..).zip(sequence(7)) {
            let whole = wait(ErrorKind::Connect, n, false).unwrap();
            assert!(whole / 2 <= waited && waited < whole, "{waited:?} of {whole:?}");
        }
        let shares: Vec<f64> = (0..1000).scan(Jitter::new(1), |it, _| Some(it.share())).collect();
        assert!((shares.iter().sum::<f64>() / 1000.0 - 0.75).abs() < 0.01);
    }

    #[test]
    fn a_short_outage_is_ridden_out_by_default() {
        let waits = (1..=RETRIES_DEFAULT).map(|n| wait(ErrorKind::Connect, n, false).unwrap());
        let whole: Duration = waits.sum();
        assert!((15..17).contains(&whole.as_secs()), "{whole:?}");
    }
}
