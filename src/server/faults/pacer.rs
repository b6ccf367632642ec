//! One rate limit: how long to wait before the next bytes may go, and how many go at a time.
//!
//! Pure; time is an argument. Must not know what the rate belongs to.

use std::time::{Duration, Instant};

/// Keeps bytes at a rate that may change.
#[derive(Debug, Clone)]
pub(in crate::server) struct Pacer {
    /// `None` is no limit.
    bytes_per_second: Option<u64>,
    free_at: Instant,
}

impl Pacer {
    /// Late wake-ups are made up for within this time, or the rate would never be reached.
    const CREDIT: Duration = Duration::from_millis(50);
    /// Bytes of this time go at once: smooth for a client, 200 wake-ups per second for us.
    const PIECE_TIME: Duration = Duration::from_millis(5);
    /// Smaller pieces than a packet's payload would only cost.
    const PIECE_BYTES_MIN: u64 = 1460;
    /// Unless even that takes longer than this.
    const PIECE_TIME_MAX: Duration = Duration::from_millis(20);

    pub(in crate::server) fn new(bytes_per_second: Option<u64>, now: Instant) -> Self {
        let mut pacer = Self { bytes_per_second: None, free_at: now };
        pacer.set_rate(bytes_per_second);
        pacer
    }

    /// Indicates whether bytes never wait.
    pub(in crate::server) fn is_unlimited(&self) -> bool {
        self.bytes_per_second.is_none()
    }

    /// What is booked stays booked; later bytes go at this rate.
    pub(in crate::server) fn set_rate(&mut self, bytes_per_second: Option<u64>) {
        self.bytes_per_second = bytes_per_second.map(|rate| rate.max(1));
    }

    /// There was nothing to send until `now`: idle time earns no credit.
    pub(in crate::server) fn restart(&mut self, now: Instant) {
        self.free_at = self.free_at.max(now);
    }

    /// Books `bytes`; returns the wait before they may be sent.
    pub(in crate::server) fn book(&mut self, bytes: usize, now: Instant) -> Duration {
        let Some(rate) = self.bytes_per_second else { return Duration::ZERO };
        let earliest = now.checked_sub(Self::CREDIT).unwrap_or(now);
        let start = self.free_at.max(earliest);
        // Nobody waits for hours; the cap keeps any rate inside what an Instant can hold.
        let seconds = (bytes as f64 / rate as f64).min(3600.0);
        self.free_at = start + Duration::from_secs_f64(seconds);
        start.saturating_duration_since(now)
    }

    /// Bytes that each of `sharers` sends at a time, 1 to `most`: all of them send once within
    /// the piece time.
    pub(in crate::server) fn piece_bytes(&self, sharers: usize, most: usize) -> usize {
        let Some(rate) = self.bytes_per_second else { return most };
        let within = |time: Duration| {
            let bytes = u128::from(rate) * time.as_micros() / 1_000_000;
            u64::try_from(bytes).unwrap_or(u64::MAX)
        };
        let fair = within(Self::PIECE_TIME) / u64::try_from(sharers.max(1)).unwrap_or(1);
        let least = within(Self::PIECE_TIME_MAX).min(Self::PIECE_BYTES_MIN);
        usize::try_from(fair.max(least)).unwrap_or(most).clamp(1, most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_rate_is_kept_in_virtual_time_even_by_a_late_riser() {
        for late in [Duration::ZERO, 3 * MS, 49 * MS] {
            let begin = Instant::now();
            let mut pacer = Pacer::new(Some(1_000_000), begin);
            let mut now = begin;
            for _ in 0..400 {
                let wait = pacer.book(5000, now);
                now += if wait.is_zero() { wait } else { wait + late };
            }
            // Two megabytes, the last piece of them booked but not yet waited for.
            let took = now - begin;
            assert!((1945..=2044).contains(&took.as_millis()), "{late:?}: {took:?}");
        }
    }

    #[test]
    fn idle_time_earns_nothing_and_lateness_little() {
        let begin = Instant::now();
        let later = begin + Duration::from_secs(60);
        let mut pacer = Pacer::new(Some(1000), begin);
        assert_eq!(pacer.book(100, later), Duration::ZERO);
        assert_eq!(pacer.book(1, later), 50 * MS);
        let mut pacer = Pacer::new(Some(1000), begin);
        pacer.restart(later);
        assert_eq!(pacer.book(100, later), Duration::ZERO);
        assert_eq!(pacer.book(1, later), 100 * MS);
        // Booked time is not given back either.
        pacer.restart(later);
        assert_eq!(pacer.book(1, later), 101 * MS);
    }

    #[test]
    fn rates_change_and_end() {
        let now = Instant::now();
        let mut pacer = Pacer::new(Some(1000), now);
        pacer.book(100, now);
        pacer.set_rate(Some(100));
        assert_eq!(pacer.book(100, now), 100 * MS);
        assert_eq!(pacer.book(1, now), 1100 * MS);
        pacer.set_rate(None);
        assert_eq!((pacer.book(1, now), pacer.piece_bytes(3, 77)), (Duration::ZERO, 77));
    }

    #[test]
    fn pieces_are_smooth_but_not_dust() {
        let piece =
            |rate, sharers| Pacer::new(Some(rate), Instant::now()).piece_bytes(sharers, 1 << 18);
        assert_eq!(piece(25_000_000, 1), 125_000);
        assert_eq!(piece(200_000_000, 1), 1 << 18);
        assert_eq!(piece(200_000_000, 32), 31_250);
        assert_eq!(piece(1_000_000, 32), 1460);
        assert_eq!((piece(1000, 1), piece(1, 1), piece(0, 9)), (20, 1, 1));
        assert_eq!(piece(u64::MAX, 0), 1 << 18);
    }
}
