//! The answer to one request too many, and HTTP dates (RFC 9110 5.6.7).
//!
//! Must not know when it is one too many.

use super::effects::Instead;
use super::shape::{Refusal, RetryAfter};
use std::time::{Duration, SystemTime};

impl Refusal {
    /// What is answered at `now` in place of the file.
    pub(super) fn answer(self, now: SystemTime) -> Instead {
        let field = |name: &str, value| (name.to_owned(), value);
        let headers = match self.retry_after {
            None => Vec::new(),
            Some(RetryAfter::Seconds(seconds)) => vec![field("Retry-After", seconds.to_string())],
            Some(RetryAfter::DateIn(seconds)) => {
                let then = now + Duration::from_secs(seconds.into());
                // Our own time beside it, as a client's clock may differ (RFC 9110 6.6.1).
                vec![field("Date", http_date(now)), field("Retry-After", http_date(then))]
            }
        };
        Instead { status: self.status, headers, body: b"too many at a time\n".to_vec() }
    }
}

/// The preferred form of a date, IMF-fixdate; the second that is not over yet. Times before 1970
/// are shown as its first second.
fn http_date(time: SystemTime) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs() + u64::from(since.subsec_nanos() > 0);
    let days = seconds / 86_400;
    let weekday = DAYS.iter().cycle().nth((days % 7) as usize).expect("a cycle has no end");
    let (mut year, mut day) = (1970, days);
    while day >= days_in_year(year) {
        day -= days_in_year(year);
        year += 1;
    }
    let mut month = 0;
    while day >= days_in_month(year, month) {
        day -= days_in_month(year, month);
        month += 1;
    }
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let month = MONTHS[month];
    format!("{weekday}, {:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT", day + 1)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in_year(year: u64) -> u64 {
    365 + u64::from(is_leap(year))
}

/// `month` counts from 0.
fn days_in_month(year: u64, month: usize) -> u64 {
    [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_as_everybody_writes_them() {
        for (seconds, date) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            // The example of RFC 9110 5.6.7.
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        ] {
            assert_eq!(http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)), date);
        }
    }

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
