//! The settings of the path that a server stands for: delay, rates, and what they depend on.
//!
//! Plain data. What total rate applies when is decided in `flow`, how bytes keep it in `pacer`.

use crate::server::files::content;
use std::time::Duration;

/// The random choices are words of files that nobody serves.
const JITTER: u64 = 0x006a_6974_7465_7200;
/// As above, of connections.
const LOSSES: u64 = 0x006c_6f73_7365_7300;

/// Delay, rates and manners of every answer. The default is no limit at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shape {
    /// Bytes per second of one connection, heads included, TLS overhead not.
    pub connection_bytes_per_second: Option<u64>,
    /// Bytes per second of all connections together, shared fairly.
    pub total_bytes_per_second: Option<u64>,
    /// Wait between a request and the first byte of its answer. A request that arrives while the
    /// answer before it is being sent waits from its arrival on.
    pub first_byte_delay: Duration,
    /// Up to this much more wait before the first byte, another one for each request.
    pub first_byte_jitter: Duration,
    /// Some connections with a rate of their own.
    pub slow_connections: Option<SlowConnections>,
    /// Connections that break.
    pub losses: Option<Losses>,
    /// A total rate that collapses when too many connect for too long.
    pub throttle: Option<Throttle>,
    /// A total rate that changes once.
    pub step: Option<RateStep>,
    /// Open connections beyond which a new one is accepted and reset, without a byte.
    pub resets_beyond: Option<usize>,
    /// Answers under way beyond which a request gets an error status.
    pub refusal: Option<Refusal>,
    /// What jitter and losses are drawn from: the same for the same seed.
    pub seed: u64,
}

/// Every so-manieth accepted connection is slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlowConnections {
    /// 8 makes connections 8, 16, 24 and so on slow; 0 none.
    pub every: u64,
    /// Their rate, in place of the other connections' rate.
    pub bytes_per_second: u64,
}

/// Every so-manieth accepted connection is reset in the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Losses {
    /// 3 breaks connections 3, 6, 9 and so on; 0 none.
    pub every: u64,
    /// Most bytes that such a connection sends before it breaks, heads included, TLS overhead not;
    /// the least is one. Every order of size is as likely, so that heads, first bytes and long
    /// bodies are all hit.
    pub bytes_max: u64,
}

/// The hidden throttle of a content network: nothing happens at first when too many connect, and
/// everybody pays later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttle {
    /// Open connections that are tolerated for ever.
    pub connections: usize,
    /// How long more than these are tolerated.
    pub patience: Duration,
    /// How long the collapse lasts; after it patience begins anew.
    pub penalty: Duration,
    /// The total rate meanwhile.
    pub total_bytes_per_second: u64,
}

/// The total rate changes, once in the life of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateStep {
    /// When.
    pub after: StepAfter,
    /// The total rate from then on.
    pub total_bytes_per_second: u64,
}

/// The moment of a [`RateStep`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepAfter {
    /// This time after the first byte of the first body.
    Time(Duration),
    /// This number of bytes of bodies.
    Bytes(u64),
}

/// An error status for one request too many. Only requests being answered count, as in nginx's
/// `limit_conn`; the connection stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// Answers under way at a time.
    pub answers_max: usize,
    /// 503 or 429, mostly.
    pub status: u16,
    /// The `Retry-After` field (RFC 9110 10.2.3), if there is to be one.
    pub retry_after: Option<RetryAfter>,
}

/// The two forms of `Retry-After`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// Delay in seconds.
    Seconds(u32),
    /// An HTTP date, this number of seconds after the answer.
    DateIn(u32),
}

impl Shape {
    /// The rate of the server's connection `number`, counted from 1.
    pub(in crate::server) fn connection_rate(&self, number: u64) -> Option<u64> {
        let slow = self.slow_connections.filter(|slow| number.is_multiple_of(slow.every));
        slow.map(|slow| slow.bytes_per_second).or(self.connection_bytes_per_second)
    }

    /// How long after the server's request `number`, counted from 1, its answer may begin.
    pub(in crate::server) fn delay(&self, number: u64) -> Duration {
        let share = unit(content::word(self.seed ^ JITTER, number));
        self.first_byte_delay + self.first_byte_jitter.mul_f64(share)
    }

    /// How many bytes the server's connection `number`, counted from 1, sends before it is reset;
    /// `None` if it is not.
    pub(in crate::server) fn bytes_until_loss(&self, number: u64) -> Option<u64> {
        let losses = self.losses.filter(|losses| number.is_multiple_of(losses.every))?;
        let share = unit(content::word(self.seed ^ LOSSES, number));
        #[allow(clippy::cast_possible_truncation, reason = "float to integer saturates")]
        let bytes = (losses.bytes_max as f64).powf(share) as u64;
        Some(bytes.clamp(1, losses.bytes_max.max(1)))
    }
}

/// A random word as a number from 0 to 1.
fn unit(word: u64) -> f64 {
    word as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_so_manieth_connection_is_slow() {
        let slow = |every| Some(SlowConnections { every, bytes_per_second: 1 });
        let rates = |shape: &Shape| [1, 2, 3, 4].map(|number| shape.connection_rate(number));
        let mut shape = Shape { connection_bytes_per_second: Some(9), ..Shape::default() };
        assert_eq!(rates(&shape), [Some(9); 4]);
        shape.slow_connections = slow(2);
        assert_eq!(rates(&shape), [Some(9), Some(1), Some(9), Some(1)]);
        shape.slow_connections = slow(0);
        assert_eq!(rates(&shape), [Some(9); 4]);
    }

    #[test]
    fn delays_are_spread_evenly_and_repeat() {
        let (fixed, jitter) = (Duration::from_millis(10), Duration::from_millis(100));
        let mut shape = Shape { first_byte_delay: fixed, ..Shape::default() };
        assert_eq!(shape.delay(1), fixed);
        shape.first_byte_jitter = jitter;
        let delays: Vec<Duration> = (1..=1000).map(|number| shape.delay(number)).collect();
        assert!(delays.iter().all(|delay| (fixed..=fixed + jitter).contains(delay)));
        let mean = delays.iter().sum::<Duration>() / 1000;
        assert!((55..65).contains(&mean.as_millis()), "{mean:?}");
        assert_eq!(shape.delay(7), delays[6]);
        shape.seed = 1;
        assert_ne!(shape.delay(7), delays[6]);
    }

    #[test]
    fn every_so_manieth_connection_breaks_anywhere() {
        let mut shape = Shape::default();
        assert_eq!(shape.bytes_until_loss(2), None);
        shape.losses = Some(Losses { every: 2, bytes_max: 1 << 20 });
        assert_eq!([1, 3].map(|number| shape.bytes_until_loss(number)), [None; 2]);
        let bytes: Vec<u64> = (1..=400).filter_map(|n| shape.bytes_until_loss(2 * n)).collect();
        let early = bytes.iter().filter(|bytes| **bytes < 1 << 10).count();
        assert!(bytes.len() == 400 && (150..250).contains(&early), "{early}");
        assert!(bytes.iter().all(|bytes| (1..=1 << 20).contains(bytes)));
        shape.losses = Some(Losses { every: 1, bytes_max: 0 });
        assert_eq!(shape.bytes_until_loss(5), Some(1));
        shape.losses = Some(Losses { every: 0, bytes_max: 9 });
        assert_eq!(shape.bytes_until_loss(5), None);
    }
}
