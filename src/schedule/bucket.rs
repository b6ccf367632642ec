//! A limit of the rate at which bytes are received, shared by all connections that are given the
//! same bucket. Owns who may receive how much, and from when on; must not know sockets, nor why
//! there is a limit.
//!
//! It keeps the time up to which all that was granted is paid for at the rate. That time may run
//! ahead of the clock by a part of a second ([`AHEAD_SHARE`]), which is what a caller that wakes
//! late catches up with. What was granted and has not come yet is bounded as well ([`IN_FLIGHT_SHARE`]), as it
//! may come all at once. Both together are the largest burst: a tenth of a second's worth.
//!
//! Grants are made in the order in which they are asked for, so connections that always want more
//! get equal parts. All sums are whole numbers of a unit that a byte and a nanosecond both divide
//! into, and nothing is lost to rounding at any rate.

use std::time::Duration;

/// The bytes of a second divided by this are what may be received ahead of the rate.
const AHEAD_SHARE: u64 = 20;
/// The bytes of a second divided by this are what may have been granted and not come yet.
const IN_FLIGHT_SHARE: u64 = 20;
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
    /// Bytes that were granted and not settled.
    in_flight: u64,
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
        Self { bytes_per_second, paid_to: 0, in_flight: 0, holders: 0 }
    }

    /// The limit.
    pub fn bytes_per_second(&self) -> u64 {
        self.bytes_per_second
    }

    /// What somebody who asks now, and wants no more than `bytes`, at least 1, could be granted at
    /// a time.
    pub fn grantable(&self, bytes: u64) -> u64 {
        let in_flight_max = (self.bytes_per_second / IN_FLIGHT_SHARE).max(1);
        // One that is alone leaves room for a second one, which is not to wait long.
        let part = in_flight_max / (self.holders + 1).max(2);
        let left = in_flight_max.saturating_sub(self.in_flight) / 2;
        bytes.min(part.min(left).max(in_flight_max / GRANT_PARTS_MAX)).max(1)
    }

    /// Grants `bytes`, which were said to be [`Bucket::grantable`].
    pub fn grant(&mut self, now: Duration, bytes: u64) -> Grant {
        self.charge(now, bytes);
        self.in_flight += bytes;
        self.holders += 1;
        Grant { bytes, at: self.open_at(now) }
    }

    /// A grant of `granted` bytes has been used as far as `received`, at most all of them. The rest
    /// is there for others.
    pub fn settle(&mut self, granted: u64, received: u64) {
        assert!(received <= granted, "more came than was granted");
        self.in_flight -= granted;
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

#[cfg(test)]
mod tests;
