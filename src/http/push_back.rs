//! How long a server that has enough asks to be left alone (RFC 9110 section 10.2.3).
//!
//! Owns the two forms of Retry-After. Must not know what a wait is for, nor the time.

use super::date::http_date;
use super::head::Head;
use std::time::Duration;

/// The wait that Retry-After asks for: seconds, or a date, which is read against the server's own
/// `Date`, so that no clock of ours has to be right. `None` if there is none that can be read.
pub fn retry_after(head: &Head) -> Option<Duration> {
    let value = head.get("Retry-After")?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let (then, now) = (http_date(value)?, http_date(head.get("Date")?.trim())?);
    // A date in the past asks for no wait.
    Some(then.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::head::tests::head;

    const NOW: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    #[test]
    fn both_forms_are_read() {
        for (value, seconds) in [
            ("120", Some(120)),
            ("0", Some(0)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("Sun, 06 Nov 1994 08:50:07 GMT", Some(30)),
            ("Sunday, 06-Nov-94 08:50:07 GMT", Some(30)),
            ("Sun Nov  6 08:50:07 1994", Some(30)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            let head = head(503, &[("Date", NOW), ("Retry-After", value)]);
            assert_eq!(retry_after(&head), seconds.map(Duration::from_secs), "{value}");
        }
    }

    #[test]
    fn a_date_needs_the_servers_date() {
        let head = head(503, &[("Retry-After", NOW)]);
        assert_eq!(retry_after(&head), None);
    }
}
