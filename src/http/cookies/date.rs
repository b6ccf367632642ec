//! The dates of cookies (RFC 6265 section 5.1.1), which are read more tolerantly than those of
//! other fields.

/// Seconds since 1970 of a cookie's `Expires`; `None` for what is no date. What lies before 1970 is
/// its first second.
pub(super) fn cookie_date(text: &str) -> Option<u64> {
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    for token in text.split(is_delimiter).filter(|token| !token.is_empty()) {
        if time.is_none()
            && let Some(found) = time_of_day(token)
        {
            time = Some(found);
        } else if day.is_none()
            && let Some(found) = number(token, 1, 2)
        {
            day = Some(found);
        } else if month.is_none()
            && let Some(found) = month_of(token)
        {
            month = Some(found);
        } else if year.is_none()
            && let Some(found) = number(token, 2, 4)
        {
            year = Some(found);
        }
    }
    let (time, day, month, year) = (time?, day?, month?, year?);
    let year = match year {
        70..=99 => year + 1900,
        0..=69 => year + 2000,
        _ => year,
    };
    if year < 1601 || !(1..=days_in(month, year)).contains(&day) {
        return None;
    }
    let days = days_since_1970(year, month, day);
    Some(u64::try_from(days * 86_400 + i64::from(time)).unwrap_or(0))
}

fn is_delimiter(c: char) -> bool {
    matches!(c, '\t' | ' '..='/' | ';'..='@' | '['..='`' | '{'..='~')
}

/// The number that a token begins with: of `min` to `max` digits, and no digit behind them.
fn number(token: &str, min: usize, max: usize) -> Option<u32> {
    let digits = token.bytes().take_while(u8::is_ascii_digit).count();
    (min..=max).contains(&digits).then(|| token[..digits].parse().ok())?
}

/// `8:49:37` as seconds of the day.
fn time_of_day(token: &str) -> Option<u32> {
    let mut parts = token.splitn(3, ':');
    let mut part = |is_last: bool| {
        let part = parts.next()?;
        let value = number(part, 1, 2)?;
        (is_last || part.bytes().all(|byte| byte.is_ascii_digit())).then_some(value)
    };
    let (hour, minute, second) = (part(false)?, part(false)?, part(true)?);
    (hour < 24 && minute < 60 && second < 60).then_some(hour * 3600 + minute * 60 + second)
}

/// 1 to 12, by the first three letters of its name.
fn month_of(token: &str) -> Option<u32> {
    const NAMES: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let start = token.get(..3)?;
    let found = (1..).zip(NAMES).find(|(_, name)| start.eq_ignore_ascii_case(name));
    found.map(|(month, _)| month)
}

fn days_in(month: u32, year: u32) -> u32 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// By Howard Hinnant (days_from_civil, 2013): years begin in March, so that the leap day is their
/// last.
fn days_since_1970(year: u32, month: u32, day: u32) -> i64 {
    let year = i64::from(year) - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let from_march = i64::from((month + 9) % 12);
    let of_year = (153 * from_march + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_as_servers_write_them() {
        for (text, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777),
            ("Sun Nov  6 08:49:37 1994", 784_111_777),
            ("06 nov 1994 8:49:37", 784_111_777),
            ("Thu, 29-Feb-2024 23:59:59 GMT", 1_709_251_199),
            ("1 Mar 2100 00:00:00", 4_107_542_400),
            ("Mon, 01 January 1601 00:00:00 GMT", 0),
            ("Wed, 09 Jun 2021 10:18:14Z", 1_623_233_894),
        ] {
            assert_eq!(cookie_date(text), Some(seconds), "{text}");
        }
    }

    #[test]
    fn what_is_no_date() {
        for text in [
            "",
            "soon",
            "Sun, 06 Nov 1994",
            "06 Nov 08:49:37",
            "31 Feb 2024 00:00:00",
            "29 Feb 2023 00:00:00",
            "0 Jan 2024 00:00:00",
            "1 Jan 1600 00:00:00",
            "1 Jan 20240 00:00:00",
            "1 Jan 2024 24:00:00",
            "1 Jan 2024 1:2",
            "1 Jän 2024 00:00:00",
        ] {
            assert_eq!(cookie_date(text), None, "{text}");
        }
    }
}
