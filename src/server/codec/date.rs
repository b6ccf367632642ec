//! HTTP dates (RFC 9110 5.6.7).
//!
//! Pure; must not know what a date is for.

/// The preferred form of a date, IMF-fixdate, of a time in seconds since the start of 1970.
pub(in crate::server) fn http_date(seconds: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    // A file system may hold any time; the form has four digits for the year.
    let seconds = seconds.min(LAST_SECOND);
    let weekday = (seconds / 86_400 % 7) as usize;
    let weekday = DAYS.iter().cycle().nth(weekday).expect("a cycle has no end");
    let (day, month, year) = date(seconds);
    format!("{weekday}, {day:02} {month} {year} {} GMT", time_of_day(seconds))
}

/// The same time as the Common Log Format has it.
pub(in crate::server) fn log_time(seconds: u64) -> String {
    let seconds = seconds.min(LAST_SECOND);
    let (day, month, year) = date(seconds);
    format!("{day:02}/{month}/{year}:{} +0000", time_of_day(seconds))
}

fn time_of_day(seconds: u64) -> String {
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{hour:02}:{minute:02}:{second:02}")
}

/// Day, month and year.
fn date(seconds: u64) -> (u64, &'static str, u64) {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (mut year, mut day) = (1970, seconds / 86_400);
    while day >= days_in_year(year) {
        day -= days_in_year(year);
        year += 1;
    }
    let mut month = 0;
    while day >= days_in_month(year, month) {
        day -= days_in_month(year, month);
        month += 1;
    }
    (day + 1, MONTHS[month], year)
}

/// The end of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

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
            (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(http_date(seconds), date);
        }
    }
}
