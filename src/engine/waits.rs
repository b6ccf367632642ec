//! What a transfer waits for while nothing comes: the time before a retry, and since when there has
//! been silence. Must not know the clock, nor who waits.

use super::progress::Waiting;
use crate::base::ErrorKind;
use std::time::Duration;

/// The waits of one transfer. Times are those since its start.
#[derive(Debug, Default)]
pub(super) struct Waits {
    retry: Option<Retry>,
    /// What had arrived at the last look, and when that was new.
    arrived: u64,
    since: Duration,
}

/// A failure that is retried after a wait.
#[derive(Debug, Clone)]
pub(super) struct Retry {
    pub(super) kind: ErrorKind,
    /// When it is retried.
    pub(super) at: Duration,
    /// How often it has failed in a row.
    pub(super) number: u32,
    /// How often it may fail in a row.
    pub(super) number_max: u32,
    /// The server has named this time.
    pub(super) is_asked: bool,
}

impl Waits {
    /// A wait begins at `now`, when `arrived` had arrived.
    pub(super) fn begin(&mut self, now: Duration, arrived: u64, retry: Retry) {
        self.look(now, arrived);
        // A failure is a sign of life as well.
        self.since = now;
        let under_way = self.retry.take();
        self.retry = match under_way {
            _ if retry.at <= now => None,
            // Of several connections the next try is told, and the most tries.
            Some(other) => {
                let number = retry.number.max(other.number);
                let next = if other.at < retry.at { other } else { retry };
                Some(Retry { number, ..next })
            }
            None => Some(retry),
        };
    }

    /// The wait before a retry, if nothing has come since it began, and the time since something
    /// has come. `arrived` is a number that grows with all that arrives.
    pub(super) fn look(&mut self, now: Duration, arrived: u64) -> (Option<Waiting>, Duration) {
        if self.arrived != arrived {
            (self.arrived, self.since) = (arrived, now);
            self.retry = None;
        }
        if let Some(ended) = self.retry.take_if(|retry| retry.at <= now) {
            self.since = ended.at;
        }
        let waiting = self.retry.as_ref().map(|retry| Waiting {
            kind: retry.kind,
            left: retry.at - now,
            retry: retry.number,
            retries_max: retry.number_max,
            is_asked: retry.is_asked,
        });
        (waiting, now.saturating_sub(self.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn retry(at: Duration) -> Retry {
        let kind = ErrorKind::Status(503);
        Retry { kind, at, number: 2, number_max: 5, is_asked: true }
    }

    fn left(waits: &mut Waits, now: u64, arrived: u64) -> Option<Duration> {
        waits.look(s(now), arrived).0.map(|waiting| waiting.left)
    }

    #[test]
    fn a_wait_is_told_until_it_ends_or_something_comes() {
        let mut waits = Waits::default();
        assert_eq!(left(&mut waits, 1, 10), None);
        waits.begin(s(2), 20, retry(s(6)));
        assert_eq!(left(&mut waits, 3, 20), Some(s(3)), "what came before it does not end it");
        assert_eq!(left(&mut waits, 5, 20), Some(s(1)));
        assert_eq!(left(&mut waits, 6, 20), None);
        waits.begin(s(7), 20, retry(s(9)));
        assert_eq!(left(&mut waits, 8, 21), None, "another connection has brought something");
        waits.begin(s(8), 21, retry(s(8)));
        assert_eq!(left(&mut waits, 8, 21), None, "no wait at all");
        waits.begin(s(9), 21, Retry { number: 3, ..retry(s(20)) });
        waits.begin(s(10), 21, retry(s(15)));
        waits.begin(s(11), 21, retry(s(18)));
        let (waiting, _) = waits.look(s(12), 21);
        assert_eq!(waiting.map(|it| (it.left, it.retry)), Some((s(3), 3)), "the next one");
    }

    #[test]
    fn silence_is_the_time_since_something_came() {
        let mut waits = Waits::default();
        assert_eq!(waits.look(s(2), 0).1, s(2));
        assert_eq!(waits.look(s(3), 5).1, s(0));
        assert_eq!(waits.look(s(8), 5).1, s(5));
        waits.begin(s(9), 5, retry(s(14)));
        assert_eq!(waits.look(s(12), 5).1, s(3));
        assert_eq!(waits.look(s(16), 5).1, s(2), "since it was tried again");
    }
}
