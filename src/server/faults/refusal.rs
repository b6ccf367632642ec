//! The answer to one request too many. Must not know when it is one too many.

use super::effects::Instead;
use super::shape::{Refusal, RetryAfter};
use crate::server::codec::date::http_date;
use std::time::{Duration, SystemTime};

impl Refusal {
    /// What is answered at `now` in place of the file.
    pub(in crate::server) fn answer(self, now: SystemTime) -> Instead {
        let field = |name: &str, value| (name.to_owned(), value);
        let headers = match self.retry_after {
            None => Vec::new(),
            Some(RetryAfter::Seconds(seconds)) => vec![field("Retry-After", seconds.to_string())],
            Some(RetryAfter::DateIn(seconds)) => {
                let then = now + Duration::from_secs(seconds.into());
                // Our own time beside it, as a client's clock may differ (RFC 9110 6.6.1).
                vec![field("Date", date_of(now)), field("Retry-After", date_of(then))]
            }
        };
        Instead { status: self.status, headers, body: b"too many at a time\n".to_vec() }
    }
}

/// The second that is not over yet. Times before 1970 are shown as its first second.
fn date_of(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    http_date(since.as_secs() + u64::from(since.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_in_both_forms() {
        let answer = |retry_after| {
            let refusal = Refusal { answers_max: 0, status: 429, retry_after };
            refusal.answer(SystemTime::UNIX_EPOCH + Duration::from_millis(500)).headers
        };
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(answer(None), []);
        assert_eq!(answer(Some(RetryAfter::Seconds(3))), [field("Retry-After", "3")]);
        let now = field("Date", "Thu, 01 Jan 1970 00:00:01 GMT");
        let then = field("Retry-After", "Thu, 01 Jan 1970 00:00:03 GMT");
        assert_eq!(answer(Some(RetryAfter::DateIn(2))), [now, then]);
    }
}
