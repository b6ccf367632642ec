//! How many connections there should be. Owns the count law; must not know what the connections
//! fetch.
//!
//! States: ramp (by steps, while they pay; what slow start ends at is watched first) -> hold
//! (restores a rate that has fallen) -> probe (a few more or fewer, measured against the hold
//! before it) -> hold ...; a probe that pays well goes back to ramp. Collapse (the origin
//! throttles) -> frozen -> hold. A fixed count knows no states.
//!
//! Connections are opened no faster than that: a step waits until those of the one before have come
//! up to their rate. Rates are compared by bytes that have arrived (`meter`), gains against what
//! the count grew by, so that a connection more has its price.

mod below_limit;
mod collapse;
mod floor;
mod hold;
mod limit;
mod plateau;
mod queue;
mod ramp;
mod settling;

use super::Fanout;
use super::decision::Choice;
use super::limiter::Trial;
use super::tolerance::Tolerance;
use super::window::Window;
use hold::{Hold, Probe};
use ramp::Ramp;
use std::time::Duration;

/// Least time to first byte of a server that is not next door.
const DISTANCE_MIN: Duration = Duration::from_millis(8);
/// Connections to start with next door: steps are short there, and one may do.
const START_NEAR: u32 = 2;
/// Connections to start with from a distance on: one may do at that of a region, and slow start is
/// short there; far away it takes seconds and wants company.
const STARTS: [Start; 3] = [
    Start { from: Duration::from_millis(120), usual: 16, short_rate: 0.4e9, short: 32 },
    Start { from: Duration::from_millis(40), usual: 8, short_rate: 0.4e9, short: 32 },
    Start { from: DISTANCE_MIN, usual: 2, short_rate: 3.2e9, short: 4 },
];
/// Where there are several addresses, each of two is tried by as many connections.
const ADDRESS_TRIES: u32 = 2;
const ADDRESSES_MAX: u32 = 2;
/// Up to this number of connections each one's luck matters.
const FEW: u32 = 4;
/// More connections may be harmful if the rate falls below this share of what it was.
const WORSE: f64 = 0.97;
/// Round trips that take this many times as long as they have to show a queue that never drains:
/// the path is full, and more connections would only share it out anew.
const QUEUED: f64 = 1.25;
/// First wait before a probe of more connections; it grows by half each time such a probe fails.
const UP_WAIT: Duration = Duration::from_secs(2);
/// The same for each of a few connections that do not run evenly,
const UP_WAIT_EACH: Duration = Duration::from_millis(400);
/// and for a few that do, as well as where more have brought nothing and the rate has not fallen.
const UP_WAIT_CALM: Duration = Duration::from_secs(8);
/// First wait before a probe of fewer connections, which grows alike.
const DOWN_WAIT: Duration = Duration::from_secs(8);
/// Beyond the most connections at a time, this number may be opened where the count goes down and
/// up again,
const REGROWTH: u32 = 4;
/// and one more in this time: a path that changes for good gets what it needs, one that swings is
/// not followed.
const REGROWTH_TIME: Duration = Duration::from_secs(5);
/// Longest wait before a probe.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Connections to start with.
#[derive(Debug, Clone, Copy)]
struct Start {
    /// Least time to first byte.
    from: Duration,
    /// Connections.
    usual: u32,
    /// A file is short if it has no more than these bytes for each second of that time: 16 round
    /// trips, which slow start takes, of a path that is fast for its length.
    short_rate: f64,
    /// Connections for a short file, which is over before anything could be learnt.
    short: u32,
}

/// The connection count of one transfer.
#[derive(Debug)]
pub(super) struct Count {
    /// Connections wanted where there is enough to do.
    target: u32,
    /// Fewest connections, below which a source would have none.
    min: u32,
    /// Most connections the caller allows now.
    max: u32,
    /// Most connections the caller may ever allow; a fixed count itself.
    max_of_settings: u32,
    /// `None`: the count is fixed.
    phase: Option<Phase>,
    /// What the server was seen to tolerate.
    tolerance: Tolerance,
    /// Most connections that this machine has descriptors and memory for, once that is known.
    grant: Option<u32>,
    /// All that the count has grown by so far.
    grown: u32,
    /// What it may grow by in all by now.
    growth_max: u32,
    /// When the count was last settled on.
    held_since: Duration,
    /// When more connections are tried next.
    up: ProbeTimer,
    /// When fewer connections are tried next.
    down: ProbeTimer,
    /// The most that the path has carried, and how many connections did that.
    peak: Peak,
    /// Looks in a row that found the rate fallen below that.
    fallen_looks: u32,
    /// Windows in a row far below it.
    poor_windows: u32,
    /// Indicates whether the origin has throttled all connections.
    was_throttled: bool,
    /// The last comparison with more connections.
    trial: Option<Trial>,
    /// Indicates whether connections have kept their rates up to the step of that, and then not.
    is_knee: bool,
    /// Indicates whether the first two connections may have brought more than one.
    is_start_doubtful: bool,
    /// Indicates whether fewer connections were better: still fewer are tried at once, by halves,
    /// until that is worse.
    is_descending: bool,
}

/// The most that the path has carried.
#[derive(Debug, Clone, Copy, Default)]
struct Peak {
    /// Bytes per second.
    rate: f64,
    /// The connections then.
    connections: u32,
}

/// When the next probe in one direction is due.
#[derive(Debug, Clone, Copy)]
struct ProbeTimer {
    /// The present wait between two probes.
    wait: Duration,
    /// When the next one is due.
    at: Duration,
}

#[derive(Debug)]
enum Phase {
    Ramp(Ramp),
    Hold(Hold),
    Probe(Probe),
    Frozen {
        since: Duration,
        window: Window,
        /// The rate at the collapse and the connections then; `None` once it is clear that fewer
        /// connections are no worse.
        check: Option<(f64, u32)>,
    },
}

/// What a tick saw.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(test, derive(Default))]
pub(super) struct Sample {
    /// Time since the transfer's start.
    pub(super) now: Duration,
    /// Time since the last tick.
    pub(super) elapsed: Duration,
    /// Bytes that came since the last tick.
    pub(super) bytes: u64,
    /// Bytes of the connection that brought most of them.
    pub(super) bytes_most: u64,
    /// Connections that bytes flow on.
    pub(super) flowing: u32,
    /// Time from the wish for a connection to its first byte.
    pub(super) reach: Duration,
    /// Time from request to first byte.
    pub(super) tau: Duration,
    /// Indicates whether that is more than the first answer's, which may have had its own reasons.
    pub(super) knows_tau: bool,
    /// Bytes that have not come yet.
    pub(super) remaining_bytes: u64,
    /// Indicates whether receiving waits for the disk.
    pub(super) is_disk_bound: bool,
    /// Indicates whether the caller's own limit of the rate is what is waited for.
    pub(super) is_rate_limited: bool,
    /// Indicates whether some connection brings less than half of what another one does.
    pub(super) is_uneven: bool,
    /// Indicates whether some connection has lost packets lately.
    pub(super) is_lossy: bool,
    /// Round trip of the data that comes, over the usual time to first byte: beyond 1 it waits in
    /// queues; 0 if it is unknown.
    pub(super) queueing: f64,
    /// Indicates whether some source has been opened and nothing has come from there yet.
    pub(super) awaits_source: bool,
}

impl Sample {
    /// Whether a queue stands before the path. Next door the kernel's own waits are as long as a
    /// round trip, and nobody can say.
    fn is_queued(&self) -> bool {
        self.tau >= DISTANCE_MIN && self.queueing >= QUEUED
    }
}

/// A change of the count, for the log.
pub(super) type Change = (Choice, String);

impl Count {
    pub(super) fn new(fanout: Fanout) -> Self {
        let (target, max, phase) = match fanout {
            Fanout::Fixed(connections) => (connections, connections, None),
            Fanout::Auto { max } => {
                (START_NEAR.min(max), max, Some(Phase::Ramp(Ramp::new(Duration::ZERO, None))))
            }
        };
        assert!(max > 0, "at least one connection");
        let timer = |wait| ProbeTimer { wait, at: Duration::ZERO };
        Self {
            target,
            min: 1,
            max,
            max_of_settings: max,
            phase,
            tolerance: Tolerance::default(),
            grant: None,
            grown: target,
            growth_max: max,
            held_since: Duration::ZERO,
            up: timer(UP_WAIT),
            down: timer(DOWN_WAIT),
            peak: Peak::default(),
            fallen_looks: 0,
            poor_windows: 0,
            was_throttled: false,
            trial: None,
            is_knee: false,
            is_start_doubtful: false,
            is_descending: false,
        }
    }

    pub(super) fn is_auto(&self) -> bool {
        self.phase.is_some()
    }

    /// Whether workers may become too many: not while the count is fixed, granted and allowed.
    pub(super) fn may_shrink(&self) -> bool {
        self.is_auto() || self.grant.is_some() || self.is_limited()
    }

    /// Connections wanted where there is enough to do.
    pub(super) fn target(&self) -> u32 {
        self.target.max(self.min.min(self.ceiling()))
    }

    /// The first answer of a transfer of `bytes` has come over a round trip of `distance`, from one
    /// of `addresses`. No more than `most` connections are wanted at first.
    pub(super) fn on_start(
        &mut self,
        now: Duration,
        distance: Duration,
        bytes: u64,
        addresses: u32,
        most: u32,
    ) {
        if let Some(Phase::Ramp(ramp)) = &mut self.phase
            && ramp.is_first()
        {
            let start = start(distance, bytes).max(ADDRESS_TRIES * addresses.min(ADDRESSES_MAX));
            self.target = start.min(self.max).min(most);
            self.grown = self.target;
            *ramp = Ramp::first(now, self.target).to(addresses);
        }
    }

    /// The first answer has come, and these connections were right a moment ago.
    pub(super) fn start_with(&mut self, now: Duration, connections: u32) {
        if self.is_auto() {
            self.target = connections.clamp(1, self.max);
            self.grown = self.target;
            self.phase = Some(self.start_hold(now));
        }
    }

    /// The connections that were settled on, whatever is being tried beside them; `None` as well
    /// while more of them are not allowed, as nobody knows whether more would pay.
    pub(super) fn settled(&self) -> Option<u32> {
        if self.is_held_down() {
            return None;
        }
        match self.phase.as_ref()? {
            Phase::Hold(_) | Phase::Frozen { .. } => Some(self.target),
            Phase::Probe(probe) => Some(probe.from),
            Phase::Ramp(_) => None,
        }
    }

    pub(super) fn on_tick(&mut self, sample: &Sample) -> Option<Change> {
        let phase = self.phase.take()?;
        let earned = sample.now.as_secs() / REGROWTH_TIME.as_secs();
        let earned = u32::try_from(earned).unwrap_or(u32::MAX).saturating_add(REGROWTH);
        self.growth_max = self.max.saturating_add(earned);
        let (phase, change) = match phase {
            phase if sample.is_rate_limited => self.rest(sample.now, phase),
            Phase::Ramp(ramp) => self.ramp(sample, ramp),
            Phase::Hold(hold) => self.hold(sample, hold),
            Phase::Probe(probe) => self.probe(sample, probe),
            Phase::Frozen { since, window, check } => self.frozen(sample, since, window, check),
        };
        self.phase = Some(phase);
        self.tolerance.on_tick(sample.now, sample.flowing);
        change
    }

    /// The server would not serve a connection while `working` others stood. A weak sign needs a
    /// second one soon after.
    pub(super) fn on_push_back(
        &mut self,
        now: Duration,
        working: u32,
        is_weak: bool,
    ) -> Option<Change> {
        let cap = self.tolerance.on_refusal(now, working, is_weak)?;
        self.phase.as_ref()?;
        self.target = self.target.min(cap);
        self.phase = Some(Phase::Hold(Hold::default()));
        Some((Choice::Cap, format!("{cap}: the server refuses more")))
    }

    /// This machine refused a connection beside `busy` others, at least 1. No more than these from
    /// now on, whatever else is wanted: the descriptors do not come back while they are there.
    pub(super) fn on_shortage(&mut self, busy: u32) -> Option<Change> {
        self.grant = Some(self.grant.map_or(busy, |grant| grant.min(busy)));
        if busy >= self.target {
            return None;
        }
        self.target = busy;
        if self.is_auto() {
            self.phase = Some(Phase::Hold(Hold::default()));
        }
        Some((Choice::Cap, format!("{busy}: this machine grants no more")))
    }

    /// What the server was seen to tolerate.
    pub(super) fn tolerance(&self) -> &Tolerance {
        &self.tolerance
    }

    pub(super) fn was_throttled(&self) -> bool {
        self.was_throttled
    }

    /// The last comparison with more connections.
    pub(super) fn trial(&self) -> Option<Trial> {
        self.trial
    }

    /// Most connections now.
    fn ceiling(&self) -> u32 {
        let cap = self.tolerance.cap().unwrap_or(self.max);
        let grown = self.target + self.growth_max.saturating_sub(self.grown);
        cap.min(self.grant.unwrap_or(self.max)).min(grown).clamp(1, self.max)
    }

    /// The path has carried this rate, bytes per second.
    fn note_peak(&mut self, rate: f64) {
        if rate > self.peak.rate {
            self.peak = Peak { rate, connections: self.target };
        }
    }

    fn set(&mut self, target: u32, why: String) -> Option<Change> {
        let ceiling = self.ceiling();
        let target = target.clamp(self.min.min(ceiling), ceiling);
        if target == self.target {
            return None;
        }
        let from = std::mem::replace(&mut self.target, target);
        self.grown += target.saturating_sub(from);
        Some((Choice::Connections, format!("{target} after {from}: {why}")))
    }
}

/// Connections to start with at the time to first byte `tau`.
fn start(tau: Duration, bytes: u64) -> u32 {
    let Some(start) = STARTS.iter().find(|start| tau >= start.from) else { return START_NEAR };
    let is_short = bytes as f64 <= start.short_rate * tau.as_secs_f64();
    if is_short { start.short } else { start.usual }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates, and the caller clamps"
)]
fn ceil(count: f64) -> u32 {
    count.ceil() as u32
}

#[cfg(test)]
mod tests;
