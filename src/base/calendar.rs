//! Dates and times of day in UTC, from the seconds the clock counts. Must not know what is dated.

use std::time::{SystemTime, UNIX_EPOCH};

/// `2026-01-02 03:04 UTC`.
pub fn date_and_time(now: SystemTime) -> String {
    let [year, month, day, hour, minute, _] = parts(now);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

/// `2026-01-02T03:04:05.678Z` (RFC 3339), which sorts up to the year 9999. A time before 1970
/// counts as its first moment.
pub fn rfc3339(now: SystemTime) -> String {
    let [year, month, day, hour, minute, second] = parts(now);
    let millisecond = now.duration_since(UNIX_EPOCH).unwrap_or_default().subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
}

/// `2026-01-02-0304`, which sorts.
pub fn stamp(now: SystemTime) -> String {
    let [year, month, day, hour, minute, _] = parts(now);
    format!("{year:04}-{month:02}-{day:02}-{hour:02}{minute:02}")
}

/// Year, month, day, hour, minute, second. Days to dates as by Howard Hinnant (days_from_civil,
/// 2013): years begin in March, so that the leap day is their last.
fn parts(now: SystemTime) -> [u64; 6] {
    let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    [year, month, day, rest / 3600, rest / 60 % 60, rest % 60]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn known_dates() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_340, "2000-02-28 23:59 UTC"),
            (951_827_640, "2000-02-29 12:34 UTC"),
            (1_709_251_199, "2024-02-29 23:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
        ] {
            assert_eq!(date_and_time(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
        assert_eq!(stamp(UNIX_EPOCH), "1970-01-01-0000");
        let leap_day = UNIX_EPOCH + Duration::new(951_827_645, 678_999_999);
        assert_eq!(rfc3339(leap_day), "2000-02-29T12:34:05.678Z");
        assert_eq!(rfc3339(UNIX_EPOCH - Duration::from_secs(1)), "1970-01-01T00:00:00.000Z");
    }
}
