//! Dates of HTTP fields, as seconds since 1970. Reads no clock.

/// Seconds since 1970 of an IMF-fixdate, `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7).
/// The two obsolete formats are not read: a date in them is merely not strong.
pub(super) fn imf_fixdate(text: &str) -> Option<i64> {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (day_name, rest) = text.split_once(", ")?;
    let [day, month, year, time, "GMT"] = *rest.split(' ').collect::<Vec<_>>() else {
        return None;
    };
    let [hour, minute, second] = *time.split(':').collect::<Vec<_>>() else {
        return None;
    };
    let month = (1i64..).zip(MONTHS).find(|(_, name)| *name == month)?.0;
    let (day, year) = (number(day, 2, 1, 31)?, number(year, 4, 0, 9999)?);
    let (hour, minute) = (number(hour, 2, 0, 23)?, number(minute, 2, 0, 59)?);
    // 60 is a leap second.
    let second = number(second, 2, 0, 60)?;
    let days = days_since_1970(year, month, day);
    DAYS.contains(&day_name).then_some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

fn number(text: &str, digits: usize, min: i64, max: i64) -> Option<i64> {
    if text.len() != digits || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|value| (min..=max).contains(value))
}

/// Days of the Gregorian calendar. Years begin in March here, so that a leap day is a year's last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    const TO_1970: i64 = 719_468;
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - TO_1970
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dates_rfc_9110_section_5_6_7() {
        for (text, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Thu, 29 Feb 2024 23:59:59 GMT", 1_709_251_199),
            ("Fri, 01 Mar 2024 00:00:00 GMT", 1_709_251_200),
            ("Mon, 01 Mar 2100 00:00:00 GMT", 4_107_542_400),
            ("Wed, 31 Dec 1969 23:59:59 GMT", -1),
            ("Sat, 31 Dec 2016 23:59:60 GMT", 1_483_228_800),
        ] {
            assert_eq!(imf_fixdate(text), Some(seconds), "{text}");
        }
        for text in [
            "",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1994 08:60:37 GMT",
            "Sun, 06 Nov 1994 08:49:61 GMT",
            "Sun, 32 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov +994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT ",
            "Sun, 06 Nov 1994 08:49 GMT",
        ] {
            assert_eq!(imf_fixdate(text), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None, ..ProptestConfig::with_cases(256)
        })]

        #[test]
        fn random_dates_never_panic(
            text in "[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9: ]{0,16}GMT|\\PC{0,32}",
        ) {
            let _ = imf_fixdate(&text);
        }
    }
}
