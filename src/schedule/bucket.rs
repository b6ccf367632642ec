//! A limit of the rate at which bytes are received, shared by all connections that are given the
//! same bucket. Owns who may receive how much, and from when on; must not know sockets, nor why
//! there is a limit.
//!
//! It keeps the time up to which all that was granted to bodies is paid for at the rate. That time
//! may run ahead of the clock by a part of a second (`AHEAD_SHARE`), which is what a caller that
//! wakes late catches up with. Whoever has to wait waits for the beginning of a `SLOT`, so that
//! many receives share one wakeup.
//!
//! What was granted and has not come may come all at once. So a grant begins no sooner than what
//! has come lately (`window`) leaves room for all that may still come, in one sum over all
//! connections, however suddenly their number rises. In any tenth of a second no more comes than
//! 150 ms worth for bodies, 10 ms worth for heads and `HEAD_BYTES_MIN` for each head that is due.
//!
//! Grants are made in the order in which they are asked for, so connections that always want more
//! get equal parts. All sums are whole numbers of a unit that a byte and a nanosecond both divide
//! into, and nothing is lost to rounding at any rate.

mod window;

use std::time::Duration;
use window::Window;

/// The bytes of a second divided by this are what may be received ahead of the rate.
const AHEAD_SHARE: u64 = 25;
/// Waits end at multiples of this, up to one of it too early: 50 wakeups a second for all
/// connections of a thread, instead of one for each receive.
const SLOT: Duration = Duration::from_millis(20);
/// The bytes of a second divided by this are what all bodies together are granted at a time: those
/// of a slot, so that each connection gets its part in each slot, in whatever order they wake.
const BODIES_SHARE: u64 = 50;
/// The bytes of a second divided by this are what may have been granted to heads and not come yet.
const HEADS_SHARE: u64 = 100;
/// But a head is granted no less than this, or it would come in very many pieces.
const HEAD_BYTES_MIN: u64 = 512;
/// Milliseconds whose bytes may come in a window, which is as long as 120 ms: a tenth of a second
/// begins anywhere in a slot. The rest is for grants that stay unused for long, or these would take
/// their bytes from the rate.
const WINDOW_BYTES_MS: u64 = 150;

const NANOSECONDS: u128 = 1_000_000_000;

/// A rate limit. Times are those since any fixed moment.
#[derive(Debug)]
pub struct Bucket {
    bytes_per_second: u64,
    /// The time that all granted bytes are paid for, in nanoseconds times `bytes_per_second`: a
    /// byte adds [`NANOSECONDS`].
    paid_to: u128,
    bodies: Held,
    heads: Held,
    window: Window,
}

/// What a grant is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Payload. It is paid for when it is granted.
    Body,
    /// The head of an answer, and what comes with it. Payload among that is to be charged once it
    /// has turned out to be that ([`Bucket::charge`]).
    Head,
}

/// The right to receive some bytes, to be settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// How many, at least 1.
    pub bytes: u64,
    /// From when on.
    pub at: Duration,
}

/// Grants for one purpose that were not settled.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    grants: u64,
    bytes: u64,
}

impl Bucket {
    /// A limit of this rate, at least 1.
    pub fn new(bytes_per_second: u64) -> Self {
        assert!(bytes_per_second > 0, "without a rate nothing would ever come");
        let (bodies, heads) = Default::default();
        Self { bytes_per_second, paid_to: 0, bodies, heads, window: Window::default() }
    }

    /// What somebody who asks now, and wants no more than `bytes`, at least 1, could be granted at
    /// a time.
    pub fn grantable(&self, purpose: Purpose, bytes: u64) -> u64 {
        let most = match purpose {
            Purpose::Body => self.bodies.part(self.bytes_per_second / BODIES_SHARE),
            Purpose::Head => {
                let bytes_max = self.bytes_per_second / HEADS_SHARE;
                let room = bytes_max.saturating_sub(self.heads.bytes);
                self.heads.part(bytes_max).min(room).max(HEAD_BYTES_MIN)
            }
        };
        bytes.min(most).max(1)
    }

    /// Grants `bytes`, which were said to be [`Bucket::grantable`].
    pub fn grant(&mut self, purpose: Purpose, now: Duration, bytes: u64) -> Grant {
        if purpose == Purpose::Body {
            self.charge(now, bytes);
        }
        self.held(purpose).add(bytes);
        Grant { bytes, at: self.next_begin(now) }
    }

    /// A grant of `granted` bytes has been used as far as `received`, at most all of them. The rest
    /// is there for others.
    pub fn settle(&mut self, purpose: Purpose, now: Duration, granted: u64, received: u64) {
        assert!(received <= granted, "more came than was granted");
        self.held(purpose).remove(granted);
        self.window.add(slot_at(now), received);
        if purpose == Purpose::Body {
            let unused = u128::from(granted - received) * NANOSECONDS;
            self.paid_to = self.paid_to.saturating_sub(unused);
        }
    }

    /// Counts payload that was received without a grant for a body: others wait for it.
    pub fn charge(&mut self, now: Duration, bytes: u64) {
        self.paid_to = self.paid_to.max(self.units(now)) + u128::from(bytes) * NANOSECONDS;
    }

    /// When the grant that was just made begins: at the beginning of a slot, or now. To begin early
    /// in its slot is fair: all that lies in it was granted before whatever comes behind it.
    fn next_begin(&self, now: Duration) -> Duration {
        let open = self.open_at(now);
        let past = open.as_nanos() % SLOT.as_nanos();
        let mut begin = open - Duration::from_nanos(u64::try_from(past).expect("below a slot"));
        let worth = u128::from(self.bytes_per_second) * u128::from(WINDOW_BYTES_MS) / 1000;
        // Each may have been granted one byte, however small its part is.
        let window_bytes = worth + u128::from(self.bodies.grants);
        let room = window_bytes.saturating_sub(self.bodies.bytes.into());
        // Nothing has come in slots that are far enough ahead.
        while self.window.bytes_until(slot_at(begin)) > room {
            begin = begin.saturating_add(SLOT);
        }
        begin.max(now)
    }

    /// When what is granted last does not exceed the rate, `now` or later.
    fn open_at(&self, now: Duration) -> Duration {
        let rate = u128::from(self.bytes_per_second);
        let ahead_bytes = (self.bytes_per_second / AHEAD_SHARE).max(1);
        let open = self.paid_to.saturating_sub(u128::from(ahead_bytes) * NANOSECONDS);
        let nanoseconds = open.div_ceil(rate);
        let seconds = u64::try_from(nanoseconds / NANOSECONDS).unwrap_or(u64::MAX);
        let rest = u32::try_from(nanoseconds % NANOSECONDS).expect("less than a second");
        Duration::new(seconds, rest).max(now)
    }

    fn held(&mut self, purpose: Purpose) -> &mut Held {
        match purpose {
            Purpose::Body => &mut self.bodies,
            Purpose::Head => &mut self.heads,
        }
    }

    fn units(&self, time: Duration) -> u128 {
        time.as_nanos().saturating_mul(u128::from(self.bytes_per_second))
    }
}

impl Held {
    /// The equal part of one more of what all may hold.
    fn part(&self, bytes_max: u64) -> u64 {
        // One that is alone leaves room for a second one, which is not to wait long.
        bytes_max / (self.grants + 1).max(2)
    }

    fn add(&mut self, bytes: u64) {
        self.grants += 1;
        self.bytes += bytes;
    }

    fn remove(&mut self, bytes: u64) {
        self.grants -= 1;
        self.bytes -= bytes;
    }
}

/// The number of the slot that this time lies in.
fn slot_at(time: Duration) -> u64 {
    u64::try_from(time.as_nanos() / SLOT.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
