//! What limited the transfer, with the evidence. Owns the verdict; must not know how a transfer is
//! steered.

use crate::base::size;
use std::fmt;
use std::time::Duration;

/// Below this time no rate was steady long enough to be judged.
const TIME_MIN: Duration = Duration::from_secs(1);
/// A processor this busy is the bottleneck; the rest is waits between two packets.
const CPU_BUSY: f64 = 0.9;
/// Receiving that waited for the disk in this share of the ticks was held up by it.
const DISK_SHARE: f64 = 0.2;
/// Connections whose rates differ by no more than this share of their mean run into a fixed cap.
const CAP_SPREAD: f64 = 0.15;
/// Connections that bring less than this share of what fewer brought share something.
const SHARED_DROP: f64 = 0.75;

/// What the engine measured over the whole transfer.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Totals {
    /// From the first request to the last byte.
    pub elapsed: Duration,
    /// Body bytes received in that time, so none of an earlier run.
    pub bytes: u64,
    /// Share of the time the busiest engine thread was on a processor, 0 to 1.
    pub cpu_busy: f64,
    /// Indicates whether receiving waited for the hash.
    pub hash_behind: bool,
}

/// What limited a transfer. `Display` is one line with the evidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limiter {
    /// It ended before anything was steady.
    TooShort {
        /// How long it took.
        elapsed: Duration,
    },
    /// The network: more connections brought no more.
    Path {
        /// Mean goodput, bytes per second.
        rate: f64,
        /// Connections at work at the end.
        connections: u32,
    },
    /// The server limits the rate of each connection.
    ServerPerConnection {
        /// Bytes per second of one connection.
        rate: f64,
        /// Connections at work at the end.
        connections: u32,
    },
    /// The server refused or throttled connections.
    ServerPushBack {
        /// Connections it tolerated.
        connections: u32,
        /// Refusals.
        refusals: u32,
        /// Indicates whether it slowed down what it did not refuse.
        is_throttled: bool,
    },
    /// This machine's processor: TLS, copies, the hash.
    Cpu {
        /// Share of the time the busiest thread was on a processor.
        busy: f64,
        /// Indicates whether it was the hash that receiving waited for.
        is_hash: bool,
    },
    /// This machine's disk.
    Disk {
        /// Share of the time in which no block was free to receive into.
        waiting: f64,
    },
}

impl fmt::Display for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Limiter::TooShort { elapsed } => {
                write!(f, "too short to say: {:.1} s", elapsed.as_secs_f64())
            }
            Limiter::Path { rate, connections } => write!(
                f,
                "the network path: {}, and more than {connections} connections bring no more",
                size::format_rate(rate)
            ),
            Limiter::ServerPerConnection { rate, connections } => write!(
                f,
                "the server's limit per connection: {connections} connections at {} each",
                size::format_rate(rate)
            ),
            Limiter::ServerPushBack { connections, refusals, is_throttled: false } => write!(
                f,
                "the server's push-back: it refused {refusals} times beyond {connections} \
                 connections"
            ),
            Limiter::ServerPushBack { connections, is_throttled: true, .. } => write!(
                f,
                "the server's push-back: it throttled, and {connections} connections were kept"
            ),
            Limiter::Cpu { busy, is_hash } => write!(
                f,
                "this machine's processor{}: the busiest thread was at {:.0} %",
                if is_hash { " (the hash)" } else { "" },
                busy * 100.0
            ),
            Limiter::Disk { waiting } => write!(
                f,
                "this machine's disk: {:.0} % of the time bytes waited for it",
                waiting * 100.0
            ),
        }
    }
}

/// What the plan saw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Evidence {
    /// Share of the ticks without a free block.
    pub(super) disk_waiting: f64,
    /// Connections at work when there was most to do.
    pub(super) connections: u32,
    /// Mean of their goodputs, bytes per second.
    pub(super) goodput: f64,
    /// Standard deviation of their goodputs, bytes per second.
    pub(super) goodput_spread: f64,
    /// The most one connection brought on average while there were clearly fewer; 0 if there never
    /// were.
    pub(super) goodput_of_fewer: f64,
    /// Connections the server tolerates, if it said so.
    pub(super) cap: Option<u32>,
    /// Connections and requests that the server refused because of the others.
    pub(super) refusals: u32,
    /// Indicates whether the origin has slowed everything down, which it does without a word.
    pub(super) is_throttled: bool,
    /// Indicates whether the last connections added raised the rate.
    pub(super) still_paid: bool,
}

pub(super) fn judge(totals: Totals, evidence: Evidence) -> Limiter {
    if totals.elapsed < TIME_MIN {
        return Limiter::TooShort { elapsed: totals.elapsed };
    }
    if evidence.disk_waiting >= DISK_SHARE {
        return Limiter::Disk { waiting: evidence.disk_waiting };
    }
    if totals.cpu_busy >= CPU_BUSY || totals.hash_behind {
        return Limiter::Cpu { busy: totals.cpu_busy, is_hash: totals.hash_behind };
    }
    let Evidence { connections, refusals, is_throttled, .. } = evidence;
    if is_throttled || evidence.cap.is_some() {
        let connections = evidence.cap.unwrap_or(connections);
        return Limiter::ServerPushBack { connections, refusals, is_throttled };
    }
    let is_even = evidence.goodput_spread <= CAP_SPREAD * evidence.goodput;
    // A cap per connection leaves each one what it had when there were fewer; a shared bound does
    // not, even if the ramp has taken the first seconds' noise for growth.
    let is_kept = evidence.goodput >= SHARED_DROP * evidence.goodput_of_fewer;
    if evidence.still_paid && is_even && is_kept && connections > 1 {
        return Limiter::ServerPerConnection { rate: evidence.goodput, connections };
    }
    let rate = totals.bytes as f64 / totals.elapsed.as_secs_f64();
    Limiter::Path { rate, connections }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals() -> Totals {
        let elapsed = Duration::from_secs(10);
        Totals { elapsed, bytes: 1_000_000_000, cpu_busy: 0.3, hash_behind: false }
    }

    fn evidence() -> Evidence {
        Evidence {
            disk_waiting: 0.0,
            connections: 8,
            goodput: 12.5e6,
            goodput_spread: 4e6,
            goodput_of_fewer: 0.0,
            cap: None,
            refusals: 0,
            is_throttled: false,
            still_paid: false,
        }
    }

    fn line(totals: Totals, evidence: Evidence) -> String {
        judge(totals, evidence).to_string()
    }

    #[test]
    fn each_verdict_names_its_evidence() {
        let short = Totals { elapsed: Duration::from_millis(400), ..totals() };
        assert_eq!(line(short, evidence()), "too short to say: 0.4 s");
        assert!(line(totals(), evidence()).starts_with("the network path"));
        let even = Evidence { goodput_spread: 1e6, still_paid: true, ..evidence() };
        assert!(line(totals(), even).contains("8 connections at"));
        let shared = Evidence { goodput_of_fewer: 25e6, ..even };
        assert!(line(totals(), shared).starts_with("the network path"));
        let capped = Evidence { cap: Some(4), refusals: 12, ..even };
        assert!(line(totals(), capped).contains("refused 12 times beyond 4"));
        let throttled = Evidence { is_throttled: true, ..capped };
        assert!(line(totals(), throttled).contains("throttled, and 4"));
        let busy = Totals { cpu_busy: 0.97, ..totals() };
        assert!(line(busy, evidence()).ends_with("at 97 %"));
        let hash = Totals { hash_behind: true, ..totals() };
        assert!(line(hash, evidence()).contains("(the hash)"));
        let disk = Evidence { disk_waiting: 0.5, ..even };
        assert!(line(busy, disk).starts_with("this machine's disk: 50 %"));
    }
}
