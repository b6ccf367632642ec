//! What limited the transfer, with the evidence. Owns the verdict; must not know how a transfer is
//! steered.

use crate::base::size;
use std::fmt;
use std::time::Duration;

/// Below this time no rate was steady long enough to be judged.
const TIME_MIN: Duration = Duration::from_secs(1);
/// Fewer bytes are over before any rate is steady.
const BYTES_MIN: u64 = 1 << 20;
/// A processor this busy is the bottleneck; the rest is waits between two packets.
const CPU_BUSY: f64 = 0.9;
/// Receiving that waited for the hash in this share of the ticks was held up by it.
const HASH_SHARE: f64 = 0.2;
/// Receiving that waited for writes in this share of the ticks was held up by them.
const DISK_SHARE: f64 = 0.2;
/// A limit of the caller's own that was waited for in this share of the ticks was the bound.
const LIMIT_SHARE: f64 = 0.5;
/// Waits before retries that took this share of the time were what took it.
const WAIT_SHARE: f64 = 0.5;
/// Connections that bring less than this share of what fewer brought share something.
const SHARED_DROP: f64 = 0.75;
/// What they bring at the same time may be this multiple of the mean over the transfer, which has
/// its ramp and its end in it; a comparison that promised more was no steady one.
const STEADY_MAX: f64 = 2.0;
/// More connections brought no more if the gain is below this.
const GAIN_MIN: f64 = 1.1;

/// What the engine measured over the whole transfer.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Totals {
    /// From the first request to the last byte.
    pub elapsed: Duration,
    /// Body bytes received in that time, so none of an earlier run.
    pub bytes: u64,
    /// Share of the time the busiest engine thread was on a processor, 0 to 1.
    pub cpu_busy: f64,
    /// Indicates whether the hash of the file ended long after the last byte had come.
    pub hash_behind: bool,
    /// Share of the time in which receiving waited for the hash of pieces, 0 to 1.
    pub hash_waiting: f64,
    /// Time in waits before retries while nothing else went on, before there was a plan.
    pub waited: Duration,
    /// Failures that were retried.
    pub retries: u32,
    /// The option that sets the caller's own limit of the rate, if there is one.
    pub rate_limit: Option<&'static str>,
}

/// Other counts of connections that were tried, and what came of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trial {
    /// Connections before.
    pub from: u32,
    /// Connections that were tried.
    pub to: u32,
    /// Their rate together over that of those before.
    pub gain: f64,
}

/// What limited a transfer. `Display` is one line with the evidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limiter {
    /// It ended before anything was steady.
    TooShort {
        /// How long it took.
        elapsed: Duration,
        /// Bytes received in that time.
        bytes: u64,
    },
    /// Nothing on this machine or in the server's words was the limit, and no other count of
    /// connections was tried to tell the path from a limit per connection.
    Untried {
        /// Mean rate, bytes per second.
        rate: f64,
        /// Connections at work.
        connections: u32,
        /// The last count that was tried, which still paid; `None`: the count was fixed, or the
        /// transfer was over before.
        trial: Option<Trial>,
    },
    /// The network: more connections were tried and brought no more.
    Path {
        /// Mean rate, bytes per second.
        rate: f64,
        /// What was tried.
        trial: Trial,
    },
    /// Each connection brought the same however many there were.
    ServerPerConnection {
        /// Bytes per second of one connection.
        rate: f64,
        /// What was tried.
        trial: Trial,
    },
    /// Waits before retries.
    Waits {
        /// Their share of the time, 0 to 1.
        share: f64,
        /// Failures that were retried.
        retries: u32,
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
    /// The caller's own limit of the rate.
    OwnLimit {
        /// The option that sets it.
        option: &'static str,
        /// Mean rate, bytes per second.
        rate: f64,
        /// Share of the time in which it was waited for, 0 to 1.
        share: f64,
    },
    /// This machine's processor: TLS, copies, the hash.
    Cpu {
        /// Share of the time the busiest thread was on a processor.
        busy: f64,
        /// Indicates whether it was the hash that receiving waited for.
        is_hash: bool,
    },
    /// This machine's disk, or whatever the file is written to.
    Disk {
        /// Share of the time in which received bytes waited to be written.
        waiting: f64,
    },
}

impl fmt::Display for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Limiter::TooShort { elapsed, bytes } => {
                let bytes = size::format_bytes(bytes);
                write!(f, "too short to say: {bytes} in {:.1} s", elapsed.as_secs_f64())
            }
            Limiter::Untried { rate, connections, trial } => {
                let (rate, all) = (size::format_rate(rate), Connections(connections));
                write!(f, "not enough was tried to say: {rate} over {all}")?;
                match trial {
                    Some(trial) => write!(f, ", and {trial}"),
                    None => f.write_str(", and no other number was compared"),
                }
            }
            Limiter::Path { rate, trial } => {
                write!(f, "the network path: {}, and {trial}", size::format_rate(rate))
            }
            Limiter::ServerPerConnection { rate, trial } => {
                write!(f, "a limit per connection: {} each, and {trial}", size::format_rate(rate))
            }
            Limiter::Waits { share, retries } => {
                let noun = if retries == 1 { "retry" } else { "retries" };
                write!(f, "waits before {retries} {noun}: {:.0} % of the time", share * 100.0)
            }
            Limiter::ServerPushBack { connections, refusals, is_throttled: false } => {
                let (all, times) = (Connections(connections), if refusals == 1 { "" } else { "s" });
                write!(f, "the server's push-back: {refusals} refusal{times} beyond {all}")
            }
            Limiter::ServerPushBack { connections, is_throttled: true, .. } => {
                let (all, were) =
                    (Connections(connections), if connections == 1 { "was" } else { "were" });
                write!(f, "the server's push-back: it throttled, and {all} {were} kept")
            }
            Limiter::OwnLimit { option, rate, share } => {
                let (rate, share) = (size::format_rate(rate), share * 100.0);
                write!(f, "your own limit ({option}): {rate}, {share:.0} % of the time at it")
            }
            Limiter::Cpu { busy, is_hash } => write!(
                f,
                "this machine's processor{}: the busiest thread was at {:.0} %",
                if is_hash { " (the hash)" } else { "" },
                busy * 100.0
            ),
            Limiter::Disk { waiting } => write!(
                f,
                "writing on this machine: {:.0} % of the time received bytes waited for it",
                waiting * 100.0
            ),
        }
    }
}

/// A number of connections in words.
struct Connections(u32);

impl fmt::Display for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} connection{}", self.0, if self.0 == 1 { "" } else { "s" })
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Trial { from, to, gain } = *self;
        write!(f, "{} brought {:+.0} % against {from}", Connections(to), (gain - 1.0) * 100.0)
    }
}

/// What the plan saw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Evidence {
    /// Share of the ticks in which received bytes waited to be written.
    pub(super) disk_waiting: f64,
    /// Share of the ticks in which nothing flowed, as a retry or the server's wish was waited for.
    pub(super) waiting: f64,
    /// Share of the ticks in which the caller's own limit of the rate was waited for.
    pub(super) at_limit: f64,
    /// Connections at work when there was most to do.
    pub(super) connections: u32,
    /// Mean of their goodputs, bytes per second.
    pub(super) goodput: f64,
    /// The most one connection brought on average while there were clearly fewer; 0 if there never
    /// were.
    pub(super) goodput_of_fewer: f64,
    /// Connections the server tolerates, if it said so.
    pub(super) cap: Option<u32>,
    /// Connections and requests that the server refused because of the others.
    pub(super) refusals: u32,
    /// Indicates whether the origin has slowed everything down, which it does without a word.
    pub(super) is_throttled: bool,
    /// The last comparison of two counts of connections.
    pub(super) trial: Option<Trial>,
}

/// The rows of the table, from the surest evidence to the weakest.
pub(super) fn judge(totals: Totals, evidence: Evidence) -> Limiter {
    let Totals { elapsed, bytes, retries, rate_limit, .. } = totals;
    let waits = Limiter::Waits { share: share_of_waits(totals, evidence), retries };
    if matches!(waits, Limiter::Waits { share, .. } if share >= WAIT_SHARE) && retries > 0 {
        return waits;
    }
    let rate = bytes as f64 / elapsed.as_secs_f64().max(1e-6);
    if let Some(own) = own_limit(rate_limit, rate, evidence.at_limit) {
        return own;
    }
    if elapsed < TIME_MIN || bytes < BYTES_MIN {
        return Limiter::TooShort { elapsed, bytes };
    }
    // It waits in the same blocks, and counts as waiting for the disk, too.
    if totals.hash_waiting >= HASH_SHARE {
        return Limiter::Cpu { busy: totals.cpu_busy, is_hash: true };
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
    let Some(trial) = evidence.trial else {
        return Limiter::Untried { rate, connections, trial: None };
    };
    if trial.gain < GAIN_MIN {
        return Limiter::Path { rate, trial };
    }
    // A limit for each leaves each one what it had when there were fewer; a shared bound does not,
    // even if the first seconds' noise was taken for growth.
    let is_kept = trial.gain >= SHARED_DROP * f64::from(trial.to) / f64::from(trial.from)
        && evidence.goodput >= SHARED_DROP * evidence.goodput_of_fewer
        && evidence.goodput * f64::from(connections) <= STEADY_MAX * rate;
    if is_kept {
        return Limiter::ServerPerConnection { rate: evidence.goodput, trial };
    }
    Limiter::Untried { rate, connections, trial: Some(trial) }
}

/// The caller's own limit, which `option` sets, if it was waited for in enough of the time.
pub fn own_limit(option: Option<&'static str>, rate: f64, share: f64) -> Option<Limiter> {
    let option = option.filter(|_| share >= LIMIT_SHARE)?;
    Some(Limiter::OwnLimit { option, rate, share })
}

fn share_of_waits(totals: Totals, evidence: Evidence) -> f64 {
    let elapsed = totals.elapsed.as_secs_f64().max(1e-6);
    let before = totals.waited.as_secs_f64().min(elapsed);
    (before + evidence.waiting * (elapsed - before)) / elapsed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals() -> Totals {
        let elapsed = Duration::from_secs(10);
        Totals { elapsed, bytes: 1_000_000_000, cpu_busy: 0.3, ..Totals::default() }
    }

    fn evidence() -> Evidence {
        Evidence {
            disk_waiting: 0.0,
            waiting: 0.0,
            at_limit: 0.0,
            connections: 8,
            goodput: 12.5e6,
            goodput_of_fewer: 0.0,
            cap: None,
            refusals: 0,
            is_throttled: false,
            trial: None,
        }
    }

    fn trial(from: u32, to: u32, gain: f64) -> Option<Trial> {
        Some(Trial { from, to, gain })
    }

    fn line(totals: Totals, evidence: Evidence) -> String {
        judge(totals, evidence).to_string()
    }

    #[test]
    fn each_row_names_its_evidence() {
        let rows = [
            (totals(), evidence(), "not enough was tried to say: "),
            (totals(), Evidence { trial: trial(4, 8, 1.4), ..evidence() }, "not enough was tried"),
            (totals(), Evidence { trial: trial(4, 8, 1.02), ..evidence() }, "the network path: "),
            (
                totals(),
                Evidence { trial: trial(4, 8, 1.9), ..evidence() },
                "a limit per connection",
            ),
            (totals(), Evidence { cap: Some(4), refusals: 12, ..evidence() }, "the server's push"),
            (totals(), Evidence { is_throttled: true, ..evidence() }, "the server's push-back"),
            (totals(), Evidence { disk_waiting: 0.5, ..evidence() }, "writing on this machine: 50"),
            (Totals { cpu_busy: 0.97, ..totals() }, evidence(), "this machine's processor: the"),
            (Totals { hash_behind: true, ..totals() }, evidence(), "this machine's processor (the"),
            (
                Totals { hash_waiting: 0.5, ..totals() },
                Evidence { disk_waiting: 0.5, ..evidence() },
                "this machine's processor (the hash)",
            ),
            (
                Totals { rate_limit: Some("--limit-rate"), ..totals() },
                Evidence { at_limit: 0.97, disk_waiting: 0.5, ..evidence() },
                "your own limit (--limit-rate): 100.00 MB/s, 97 % of the time at it",
            ),
            (
                Totals { rate_limit: Some("--limit-rate"), ..totals() },
                Evidence { at_limit: 0.1, ..evidence() },
                "not enough was tried to say: ",
            ),
            (Totals { bytes: 10, ..totals() }, evidence(), "too short to say: 10 B in 10.0 s"),
        ];
        for (totals, evidence, begins) in rows {
            let line = line(totals, evidence);
            assert!(line.starts_with(begins), "{line:?} does not begin with {begins:?}");
        }
    }

    #[test]
    fn waits_before_retries_have_their_own_words() {
        let waited = Duration::from_secs(6);
        let waits = Totals { waited, retries: 3, ..totals() };
        assert_eq!(line(waits, evidence()), "waits before 3 retries: 60 % of the time");
        // Half of the rest passed in waits, too.
        let more = Evidence { waiting: 0.5, ..evidence() };
        assert_eq!(line(waits, more), "waits before 3 retries: 80 % of the time");
        let few = Totals { waited: Duration::from_secs(2), ..waits };
        assert!(line(few, evidence()).starts_with("not enough"));
        let short = Totals { elapsed: Duration::from_secs(7), bytes: 10, ..waits };
        assert!(line(short, evidence()).starts_with("waits before 3"));
    }

    #[test]
    fn what_was_tried_is_said_with_its_gain() {
        let tried = Evidence { trial: trial(8, 16, 1.03), ..evidence() };
        assert!(line(totals(), tried).ends_with(", and 16 connections brought +3 % against 8"));
        let alone = Evidence { connections: 1, ..evidence() };
        let text = line(totals(), alone);
        assert!(text.ends_with("over 1 connection, and no other number was compared"), "{text}");
    }

    #[test]
    fn a_bound_that_is_shared_is_no_limit_for_each() {
        let noisy = Evidence { trial: trial(4, 8, 1.9), goodput_of_fewer: 25e6, ..evidence() };
        assert!(line(totals(), noisy).starts_with("not enough was tried"));
        let burst = Evidence { goodput: 30e6, goodput_of_fewer: 0.0, ..noisy };
        assert!(line(totals(), burst).starts_with("not enough was tried"), "240 of 100 MB/s");
    }

    #[test]
    fn this_machine_is_named_before_what_lies_behind_it() {
        let all =
            Evidence { disk_waiting: 0.3, cap: Some(2), trial: trial(1, 2, 1.0), ..evidence() };
        assert!(line(Totals { cpu_busy: 1.0, ..totals() }, all).starts_with("writing"));
        let hot = Evidence { disk_waiting: 0.0, ..all };
        assert!(line(Totals { cpu_busy: 1.0, ..totals() }, hot).contains("processor"));
        assert!(line(totals(), hot).contains("push-back"));
    }
}
