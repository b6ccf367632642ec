//! One rate limit: how long to wait before the next bytes may go, and how many go at a time.
//!
//! Pure; time is an argument. Must not know what the rate belongs to.

use std::time::{Duration, Instant};

/// Keeps bytes at a rate that may change.
#[derive(Debug, Clone)]
pub(in crate::server) struct Pacer {
    /// `None` is no limit.
    bytes_per_second: Option<u64>,
    /// When the bytes that are booked will all have gone at the rate.
    free_at: Instant,
    /// Lateness of wake-ups that is not made up for yet.
    late: Duration,
}

/// What a booking comes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::server) struct Booking {
    /// Time before the bytes may be sent.
    pub(in crate::server) wait: Duration,
    /// Bytes that the rate would have let go before, and that will never be made up for.
    pub(in crate::server) missed_bytes: u64,
}

impl Pacer {
    /// Time behind the rate that is made up for whatever it was lost with: sending takes time, too.
    const CREDIT: Duration = Duration::from_millis(50);
    /// Late wake-ups are made up for in full, up to this time's bytes in one burst: a machine that
    /// sleeps longer is not fit to play a path.
    const LATE_MAX: Duration = Duration::from_secs(1);
    /// Bytes of this time go at once: smooth for a client, 200 wake-ups per second for us.
    const PIECE_TIME: Duration = Duration::from_millis(5);
    /// Smaller pieces than a packet's payload would only cost.
    const PIECE_BYTES_MIN: u64 = 1460;
    /// Unless even that takes longer than this.
    const PIECE_TIME_MAX: Duration = Duration::from_millis(20);

    pub(in crate::server) fn new(bytes_per_second: Option<u64>, now: Instant) -> Self {
        let mut pacer = Self { bytes_per_second: None, free_at: now, late: Duration::ZERO };
        pacer.set_rate(bytes_per_second, now);
        pacer
    }

    /// Indicates whether bytes never wait.
    pub(in crate::server) fn is_unlimited(&self) -> bool {
        self.bytes_per_second.is_none()
    }

    /// What is booked stays booked; later bytes go at this rate. Time without a limit, up to `now`,
    /// earns no credit.
    pub(in crate::server) fn set_rate(&mut self, bytes_per_second: Option<u64>, now: Instant) {
        if self.is_unlimited() {
            self.restart(now);
        }
        self.bytes_per_second = bytes_per_second.map(|rate| rate.max(1));
    }

    /// There was nothing to send until `now`: idle time earns no credit.
    pub(in crate::server) fn restart(&mut self, now: Instant) {
        self.free_at = self.free_at.max(now);
        self.late = Duration::ZERO;
    }

    /// A wait for a booking took this much longer than was asked for.
    pub(in crate::server) fn overslept(&mut self, late: Duration) {
        self.late = self.late.saturating_add(late).min(Self::LATE_MAX);
    }

    /// Books `bytes`.
    pub(in crate::server) fn book(&mut self, bytes: usize, now: Instant) -> Booking {
        let Some(rate) = self.bytes_per_second else { return Booking::default() };
        let earliest = now.checked_sub(Self::CREDIT + self.late).unwrap_or(now);
        let missed = earliest.saturating_duration_since(self.free_at);
        let start = self.free_at.max(earliest);
        // Nobody waits for hours; the cap keeps any rate inside what an Instant can hold.
        let seconds = (bytes as f64 / rate as f64).min(3600.0);
        self.free_at = start + Duration::from_secs_f64(seconds);
        self.late = self.late.min(now.saturating_duration_since(self.free_at));
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "float to integer saturates, and neither factor is negative"
        )]
        let missed_bytes = (missed.as_secs_f64() * rate as f64).round() as u64;
        Booking { wait: start.saturating_duration_since(now), missed_bytes }
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
        for late in [Duration::ZERO, 3 * MS, 49 * MS, 200 * MS, 900 * MS] {
            let begin = Instant::now();
            let mut pacer = Pacer::new(Some(1_000_000), begin);
            let (mut now, mut missed_bytes) = (begin, 0);
            for _ in 0..2000 {
                let booking = pacer.book(5000, now);
                missed_bytes += booking.missed_bytes;
                if !booking.wait.is_zero() {
                    now += booking.wait + late;
                    pacer.overslept(late);
                }
            }
            // Ten megabytes, the last piece of them booked but not yet waited for, and at most one
            // wake-up not yet made up for.
            let took = now - begin;
            let most = Duration::from_millis(9995) + late;
            assert!(took >= 9945 * MS && took <= most, "{late:?}: {took:?}");
            assert_eq!(missed_bytes, 0, "{late:?}");
        }
    }

    #[test]
    fn a_burst_is_bounded_and_the_rest_is_counted_as_missed() {
        let begin = Instant::now();
        let mut pacer = Pacer::new(Some(1_000_000), begin);
        pacer.book(5000, begin);
        // Three seconds of sleep instead of 5 ms; 1.05 s of them are made up for.
        pacer.overslept(Duration::from_millis(2995));
        let now = begin + 3000 * MS;
        let first = pacer.book(5000, now);
        assert_eq!(first, Booking { wait: Duration::ZERO, missed_bytes: 1_945_000 });
        let mut burst = 5000;
        while pacer.book(5000, now).wait.is_zero() {
            burst += 5000;
        }
        assert_eq!(burst, 1_055_000, "and the piece of this moment");
    }

    #[test]
    fn time_lost_otherwise_is_missed_but_for_the_credit() {
        let begin = Instant::now();
        let mut pacer = Pacer::new(Some(1_000_000), begin);
        pacer.book(5000, begin);
        assert_eq!(pacer.book(5000, begin + 40 * MS).missed_bytes, 0);
        assert_eq!(pacer.book(5000, begin + 160 * MS).missed_bytes, 100_000);
        pacer.overslept(500 * MS);
        pacer.restart(begin + 700 * MS);
        assert_eq!(pacer.book(1, begin + 800 * MS).missed_bytes, 50_000, "idle time is no sleep");
    }

    #[test]
    fn idle_time_earns_nothing_and_lateness_little() {
        let begin = Instant::now();
        let later = begin + Duration::from_secs(60);
        let mut pacer = Pacer::new(Some(1000), begin);
        assert_eq!(pacer.book(100, later).wait, Duration::ZERO);
        assert_eq!(pacer.book(1, later).wait, 50 * MS);
        let mut pacer = Pacer::new(Some(1000), begin);
        pacer.restart(later);
        assert_eq!(pacer.book(100, later).wait, Duration::ZERO);
        assert_eq!(pacer.book(1, later).wait, 100 * MS);
        // Booked time is not given back either.
        pacer.restart(later);
        assert_eq!(pacer.book(1, later).wait, 101 * MS);
    }

    #[test]
    fn rates_change_and_end() {
        let now = Instant::now();
        let mut pacer = Pacer::new(Some(1000), now);
        pacer.book(100, now);
        pacer.set_rate(Some(100), now);
        assert_eq!(pacer.book(100, now).wait, 100 * MS);
        assert_eq!(pacer.book(1, now).wait, 1100 * MS);
        pacer.set_rate(None, now);
        assert_eq!((pacer.book(1, now).wait, pacer.piece_bytes(3, 77)), (Duration::ZERO, 77));
        // A limit that comes later begins then.
        let later = now + Duration::from_secs(60);
        pacer.set_rate(Some(100), later);
        assert_eq!(pacer.book(1, later), Booking::default());
        assert_eq!(pacer.book(1, later).wait, 10 * MS);
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
