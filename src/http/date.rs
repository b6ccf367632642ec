//! Dates of HTTP fields. Reads no clock; the `httpdate` crate knows the grammar.

use std::time::SystemTime;

/// The time an HTTP-date names, in any of the three forms of RFC 9110 section 5.6.7, which obliges
/// a recipient to accept the two obsolete ones as well. `None` for what is no date or names a day
/// that the calendar does not have.
pub fn http_date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn all_three_forms_are_read_rfc_9110_section_5_6_7() {
        for (text, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777),
            ("Sun Nov  6 08:49:37 1994", 784_111_777),
            ("Thu, 29 Feb 2024 23:59:59 GMT", 1_709_251_199),
            ("Thursday, 29-Feb-24 23:59:59 GMT", 1_709_251_199),
            ("Thu Feb 29 23:59:59 2024", 1_709_251_199),
            ("Mon, 01 Mar 2100 00:00:00 GMT", 4_107_542_400),
        ] {
            assert_eq!(http_date(text), Some(UNIX_EPOCH + Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "yesterday",
            "784111777",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1994 08:60:37 GMT",
            "Fri, 30 Feb 2024 08:49:37 GMT",
            "Sun, 06 Nov +994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49 GMT",
        ] {
            assert_eq!(http_date(text), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None, ..ProptestConfig::with_cases(256)
        })]

        #[test]
        fn random_dates_never_panic(
            text in "[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9: ]{0,16}GMT\
                     |[A-Z][a-z]{2,8}, [0-9]{2}-[A-Z][a-z]{2}-[0-9: ]{0,12}GMT|\\PC{0,32}",
        ) {
            let _ = http_date(&text);
        }
    }
}
