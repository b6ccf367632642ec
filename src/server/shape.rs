//! The settings of the path that a server stands for: delay, rates, and what they depend on.
//!
//! Plain data. What total rate applies when is decided in `flow`, how bytes keep it in `pacer`.

use std::time::Duration;

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
    /// Some connections with a rate of their own.
    pub slow_connections: Option<SlowConnections>,
    /// A total rate that collapses when too many connect for too long.
    pub throttle: Option<Throttle>,
    /// A total rate that changes once.
    pub step: Option<RateStep>,
    /// Open connections beyond which a new one is accepted and reset, without a byte.
    pub resets_beyond: Option<usize>,
    /// Answers under way beyond which a request gets an error status.
    pub refusal: Option<Refusal>,
}

/// Every so-manieth accepted connection is slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlowConnections {
    /// 8 makes connections 8, 16, 24 and so on slow; 0 none.
    pub every: u64,
    /// Their rate, in place of the other connections' rate.
    pub bytes_per_second: u64,
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
    /// So many bytes of bodies.
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
    /// An HTTP date, so many seconds from the answer.
    DateIn(u32),
}

impl Shape {
    /// The rate of the server's connection `number`, counted from 1.
    pub(super) fn connection_rate(&self, number: u64) -> Option<u64> {
        let slow = self.slow_connections.filter(|slow| number.is_multiple_of(slow.every));
        slow.map(|slow| slow.bytes_per_second).or(self.connection_bytes_per_second)
    }
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
}
