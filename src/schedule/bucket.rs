//! A limit of the rate at which bytes are received, shared by all connections that are given the
//! same bucket. Owns who may receive how much, and from when on; must not know sockets, nor why
//! there is a limit.
//!
//! It keeps the time up to which all that was granted is paid for at the rate. That time may run
//! ahead of the clock by a part of a second (`AHEAD_SHARE`), which is what a caller that wakes
//! late catches up with. What was granted and has not come yet is bounded as well
//! (`IN_FLIGHT_SHARE`), as it may come all at once. Whoever has to wait waits for the beginning
//! of a `SLOT`, so that many receives share one wakeup. All of these together are the largest
//! burst: less than a tenth of a second's worth.
//!
//! Grants are made in the order in which they are asked for, so connections that always want more
//! get equal parts. All sums are whole numbers of a unit that a byte and a nanosecond both divide
//! into, and nothing is lost to rounding at any rate.

use std::time::Duration;

/// The bytes of a second divided by this are what may be received ahead of the rate.
const AHEAD_SHARE: u64 = 25;
/// The bytes of a second divided by this are what may have been granted and not come yet. They are
/// those of one [`SLOT`], so that each connection gets its part in each slot, in whatever order
/// they wake.
const IN_FLIGHT_SHARE: u64 = 50;
/// Waits end at multiples of this, up to one of it too early: 50 wakeups a second for all
/// connections of a thread, instead of one for each receive.
const SLOT: Duration = Duration::from_millis(20);
/// With very many connections at once each is granted at least this part of that, or receives would
/// become too small to pay.
const GRANT_PARTS_MAX: u64 = 512;
/// What is read without a grant, as it may be the head of an answer, is at most this part of a
/// second's worth: those of 16 connections together are a tenth of a second's.
const UNGRANTED_SHARE: u64 = 160;
/// But not less, or a head would come in very many pieces.
const UNGRANTED_BYTES_MIN: u64 = 512;

const NANOSECONDS: u128 = 1_000_000_000;

/// A rate limit. Times are those since any fixed moment.
#[derive(Debug)]
pub struct Bucket {
    bytes_per_second: u64,
    /// The time that all granted bytes are paid for, in nanoseconds times `bytes_per_second`: a
    /// byte adds [`NANOSECONDS`].
    paid_to: u128,
    /// Grants that were not settled.
    holders: u64,
}

/// The right to receive some bytes, to be settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// How many, at least 1.
    pub bytes: u64,
    /// From when on.
    pub at: Duration,
}

impl Bucket {
    /// A limit of this rate, at least 1.
    pub fn new(bytes_per_second: u64) -> Self {
        assert!(bytes_per_second > 0, "without a rate nothing would ever come");
        Self { bytes_per_second, paid_to: 0, holders: 0 }
    }

    /// What somebody who asks now, and wants no more than `bytes`, at least 1, could be granted at
    /// a time.
    pub fn grantable(&self, bytes: u64) -> u64 {
        let in_flight_max = (self.bytes_per_second / IN_FLIGHT_SHARE).max(1);
        // One that is alone leaves room for a second one, which is not to wait long.
        let part = in_flight_max / (self.holders + 1).max(2);
        bytes.min(part.max(in_flight_max / GRANT_PARTS_MAX)).max(1)
    }

    /// Grants `bytes`, which were said to be [`Bucket::grantable`].
    pub fn grant(&mut self, now: Duration, bytes: u64) -> Grant {
        self.charge(now, bytes);
        self.holders += 1;
        Grant { bytes, at: slot_of(self.open_at(now)).max(now) }
    }

    /// A grant of `granted` bytes has been used as far as `received`, at most all of them. The rest
    /// is there for others.
    pub fn settle(&mut self, granted: u64, received: u64) {
        assert!(received <= granted, "more came than was granted");
        self.holders -= 1;
        let unused = u128::from(granted - received) * NANOSECONDS;
        self.paid_to = self.paid_to.saturating_sub(unused);
    }

    /// Counts bytes that were received without a grant: others wait for them.
    pub fn charge(&mut self, now: Duration, bytes: u64) {
        self.paid_to = self.paid_to.max(self.units(now)) + u128::from(bytes) * NANOSECONDS;
    }

    /// When what is received without a grant does not exceed the rate, `now` or later.
    pub fn open_at(&self, now: Duration) -> Duration {
        let rate = u128::from(self.bytes_per_second);
        let ahead_bytes = (self.bytes_per_second / AHEAD_SHARE).max(1);
        let open = self.paid_to.saturating_sub(u128::from(ahead_bytes) * NANOSECONDS);
        let nanoseconds = open.div_ceil(rate);
        let seconds = u64::try_from(nanoseconds / NANOSECONDS).unwrap_or(u64::MAX);
        let rest = u32::try_from(nanoseconds % NANOSECONDS).expect("less than a second");
        Duration::new(seconds, rest).max(now)
    }

    /// Most bytes to be received at a time without a grant.
    pub fn ungranted_bytes_max(&self) -> u64 {
        (self.bytes_per_second / UNGRANTED_SHARE).max(UNGRANTED_BYTES_MIN)
    }

    fn units(&self, time: Duration) -> u128 {
        time.as_nanos().saturating_mul(u128::from(self.bytes_per_second))
    }
}

/// The beginning of the slot that this time lies in. To come early is fair: all that lies in one
/// slot was granted before whatever comes behind it.
fn slot_of(at: Duration) -> Duration {
    let past = at.as_nanos() % SLOT.as_nanos();
    at - Duration::from_nanos(u64::try_from(past).expect("less than a slot"))
}

#[cfg(test)]
mod tests;
