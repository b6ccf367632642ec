//! How many connections there should be. Owns the count law; must not know what the connections
//! fetch.
//!
//! States: ramp (doubles while that pays) -> hold (waits) -> probe (a few more or fewer, measured
//! against the hold before it) -> hold ...; a probe that pays well goes back to ramp. Collapse
//! (the origin throttles) -> frozen -> hold. A fixed count knows no states.

mod collapse;

use super::Fanout;
use super::decision::Choice;
use super::tolerance::Tolerance;
use super::window::{Mean, Window};
use std::time::Duration;

/// Connections to start with next to the server: one ramp step finds out whether more pay.
const START_NEAR: u32 = 4;
/// Connections to start with far from the server, where a step of the ramp takes long and slow
/// start wants company.
const START_FAR: u32 = 8;
/// Connections to start with very far from the server.
const START_VERY_FAR: u32 = 16;
/// Time to first byte from which a server is far.
const FAR: Duration = Duration::from_millis(8);
/// Time to first byte from which a server is very far.
const VERY_FAR: Duration = Duration::from_millis(60);
/// Bytes one more connection must find to fetch.
const BYTES_PER_CONNECTION_MIN: u64 = 1 << 20;
/// More connections pay if the rate grows by this share of what the count grew by.
const GAIN_SHARE: f64 = 0.15;
/// Fewer connections are kept if the rate falls by no more than this.
const LOSS_MAX: f64 = 0.02;
/// More connections may be harmful if the rate falls below this share of what it was.
const WORSE: f64 = 0.97;
/// Fewer connections are better if the rate rises to this share of what it was.
const BETTER: f64 = 1.03;
/// With more noise than this nothing speaks for fewer: a lull before the probe looks like a gain.
const NOISE_MAX: f64 = 0.1;
/// Least time of one ramp step's measurement; noise on shorter ones decides nothing well.
const RAMP_WINDOW_MIN: Duration = Duration::from_millis(150);
/// From this distance on a ramp step that did not pay is not undone at once.
const KEEP_REACH: Duration = Duration::from_millis(100);
/// Least time of one probe's measurement.
const PROBE_WINDOW_MIN: Duration = Duration::from_secs(1);
/// A span lasts no longer than about this.
const SPAN_TIME: Duration = Duration::from_secs(4);
/// First wait before a probe of more connections; it grows by half each time such a probe fails.
const UP_WAIT: Duration = Duration::from_secs(1);
/// First wait before a probe of fewer connections, which grows alike.
const DOWN_WAIT: Duration = Duration::from_secs(8);
/// Longest wait before a probe.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The connection count of one transfer.
#[derive(Debug)]
pub(super) struct Count {
    /// Connections wanted where there is enough to do.
    target: u32,
    /// Most connections the caller allows.
    max: u32,
    /// `None`: the count is fixed.
    phase: Option<Phase>,
    /// What the server was seen to tolerate.
    tolerance: Tolerance,
    /// Most connections that this machine has descriptors and memory for, once that is known.
    grant: Option<u32>,
    /// When more connections are tried next.
    up: ProbeTimer,
    /// When fewer connections are tried next.
    down: ProbeTimer,
    /// The best rate of a hold, and the connections that made it.
    best: Option<(f64, u32)>,
    /// Windows in a row far below it.
    poor_windows: u32,
    /// Indicates whether the origin has throttled all connections.
    was_throttled: bool,
    /// Indicates whether the last connections added raised the rate enough.
    still_pays: bool,
    /// Indicates whether fewer connections were better: still fewer are tried at once, by halves,
    /// until that is worse.
    is_descending: bool,
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
    Ramp {
        since: Duration,
        window: Window,
        /// The rate before this step's connections were added, and how many there were then.
        base: Option<(f64, u32)>,
        /// The rate of a first window that did not show a gain; 0: there was none.
        earlier: f64,
    },
    Hold {
        window: Window,
    },
    Probe {
        since: Duration,
        window: Window,
        /// Connections before the probe.
        from: u32,
        /// The rate before the probe.
        base: Mean,
    },
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
pub(super) struct Sample {
    /// Time since the transfer's start.
    pub(super) now: Duration,
    /// Time since the last tick.
    pub(super) elapsed: Duration,
    /// Bytes that came since the last tick.
    pub(super) bytes: u64,
    /// Connections that bytes flow on.
    pub(super) flowing: u32,
    /// Time from the wish for a connection to its first byte.
    pub(super) reach: Duration,
    /// Time from request to first byte.
    pub(super) tau: Duration,
    /// Bytes that have not come yet.
    pub(super) remaining_bytes: u64,
    /// Indicates whether receiving waits for the disk.
    pub(super) is_disk_bound: bool,
}

/// A change of the count, for the log.
pub(super) type Change = (Choice, String);

impl Count {
    pub(super) fn new(fanout: Fanout) -> Self {
        let (target, max, phase) = match fanout {
            Fanout::Fixed(connections) => (connections, connections, None),
            Fanout::Auto { max } => {
                (START_NEAR.min(max), max, Some(start_ramp(Duration::ZERO, None)))
            }
        };
        assert!(max > 0, "at least one connection");
        let timer = |wait| ProbeTimer { wait, at: Duration::ZERO };
        Self {
            target,
            max,
            phase,
            tolerance: Tolerance::default(),
            grant: None,
            up: timer(UP_WAIT),
            down: timer(DOWN_WAIT),
            best: None,
            poor_windows: 0,
            was_throttled: false,
            still_pays: false,
            is_descending: false,
        }
    }

    pub(super) fn is_auto(&self) -> bool {
        self.phase.is_some()
    }

    /// Whether workers may become too many: not while the count is fixed and granted.
    pub(super) fn may_shrink(&self) -> bool {
        self.is_auto() || self.grant.is_some()
    }

    /// Connections wanted where there is enough to do.
    pub(super) fn target(&self) -> u32 {
        self.target
    }

    /// The first answer has come, `tau` after its request.
    pub(super) fn on_start(&mut self, now: Duration, tau: Duration) {
        if let Some(Phase::Ramp { since, base: None, .. }) = &mut self.phase {
            *since = now;
            let start = match tau {
                tau if tau >= VERY_FAR => START_VERY_FAR,
                tau if tau >= FAR => START_FAR,
                _ => START_NEAR,
            };
            self.target = start.min(self.max);
        }
    }

    pub(super) fn on_tick(&mut self, sample: &Sample) -> Option<Change> {
        let phase = self.phase.take()?;
        let (phase, change) = match phase {
            Phase::Ramp { since, window, base, earlier } => {
                self.ramp(sample, since, window, base, earlier)
            }
            Phase::Hold { window } => self.hold(sample, window),
            Phase::Probe { since, window, from, base } => {
                self.probe(sample, since, window, from, base)
            }
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
        self.phase = Some(Phase::Hold { window: Window::default() });
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
            self.phase = Some(Phase::Hold { window: Window::default() });
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

    pub(super) fn still_pays(&self) -> bool {
        self.still_pays
    }

    /// Most connections now.
    fn ceiling(&self) -> u32 {
        let cap = self.tolerance.cap().unwrap_or(self.max);
        cap.min(self.grant.unwrap_or(self.max)).clamp(1, self.max)
    }

    fn ramp(
        &mut self,
        sample: &Sample,
        since: Duration,
        mut window: Window,
        base: Option<(f64, u32)>,
        earlier: f64,
    ) -> (Phase, Option<Change>) {
        if sample.now > since + sample.reach {
            window.add(sample.bytes, sample.elapsed);
        }
        if window.lasted() < RAMP_WINDOW_MIN.max(sample.tau) {
            return (Phase::Ramp { since, window, base, earlier }, None);
        }
        let rate = window.reached().max(earlier);
        let (before, count) = base.unwrap_or((0.0, self.target));
        let gain = if before > 0.0 { rate / before } else { f64::INFINITY };
        let growth = f64::from(self.target) / f64::from(count);
        let pays = base.is_none() || gain >= pays_from(growth);
        if !pays && earlier == 0.0 {
            // Connections that end a small span at the same time make a hole in the rate.
            let window = Window::default();
            return (Phase::Ramp { since, window, base, earlier: rate.max(1.0) }, None);
        }
        self.still_pays = pays;
        if !pays {
            // Where each connection brings its full rate up to a knee, this is the knee.
            let knee = ceil(f64::from(count) * gain.max(1.0) * 1.1).clamp(count, self.target);
            let target = match gain {
                // Far away slow start still hides what each connection is worth, and to open
                // them again would cost more than to keep them until a probe says so.
                _ if sample.reach >= KEEP_REACH => self.target,
                gain if gain < pays_from(growth).sqrt() => count,
                _ => knee,
            };
            let text = format!("{} brought {:+.0} %", self.target, (gain - 1.0) * 100.0);
            let phase = self.start_hold(sample.now);
            let change = self.set(target, text);
            if gain < WORSE {
                self.down.at = sample.now;
            }
            return (phase, change);
        }
        let target = (2 * self.target).min(self.ceiling());
        let base = Some((rate, self.target));
        if !self.may_grow(sample, rate, target) {
            return (self.start_hold(sample.now), None);
        }
        let change = self.set(target, "growth pays so far".into());
        (start_ramp(sample.now, base), change)
    }

    fn hold(&mut self, sample: &Sample, mut window: Window) -> (Phase, Option<Change>) {
        window.add(sample.bytes, sample.elapsed);
        if window.lasted() < probe_window(sample) {
            return (Phase::Hold { window }, None);
        }
        let mean = window.mean();
        if let Some(frozen) = self.look_for_collapse(sample, mean) {
            return frozen;
        }
        let is_ending = !has_time_for_probe(sample, mean.rate);
        let up = (self.target + (self.target / 2).max(1)).min(self.ceiling());
        let step = if self.is_descending { self.target / 2 } else { self.target / 4 };
        let down = self.target - step.max(1).min(self.target - 1);
        let may_go_down =
            down < self.target && self.down.at <= sample.now && mean.error < NOISE_MAX / 2.0;
        let (target, text) = if is_ending {
            (self.target, "")
        } else if may_go_down && (self.is_descending || self.down.at < self.up.at) {
            (down, "to see whether fewer do")
        } else if self.up.at <= sample.now && self.may_grow(sample, mean.rate, up) {
            (up, "to see whether more pay")
        } else if may_go_down {
            (down, "to see whether fewer do")
        } else {
            (self.target, "")
        };
        if target == self.target {
            return (Phase::Hold { window: Window::default() }, None);
        }
        let from = self.target;
        let change = self.set(target, text.into());
        let window = Window::default();
        (Phase::Probe { since: sample.now, window, from, base: mean }, change)
    }

    fn probe(
        &mut self,
        sample: &Sample,
        since: Duration,
        mut window: Window,
        from: u32,
        base: Mean,
    ) -> (Phase, Option<Change>) {
        let settled_at = since + sample.reach + 2 * sample.tau;
        // Those too many end their spans first, which takes as long as a span.
        let is_thinned = sample.flowing <= self.target || sample.now > settled_at + SPAN_TIME;
        if sample.now > settled_at && is_thinned {
            window.add(sample.bytes, sample.elapsed);
        }
        if window.lasted() < probe_window(sample) {
            return (Phase::Probe { since, window, from, base }, None);
        }
        let mean = window.mean();
        let gain = mean.rate / base.rate.max(1.0);
        let noise = mean.error.hypot(base.error);
        let growth = f64::from(self.target) / f64::from(from);
        let is_up = growth > 1.0;
        let text = format!("brought {:+.0} %", (gain - 1.0) * 100.0);
        let is_kept = if is_up {
            self.still_pays = gain >= pays_from(growth);
            gain >= pays_from(growth) + noise.min(0.1)
        } else {
            noise < NOISE_MAX && gain - noise >= 1.0 - 2.0 * LOSS_MAX
        };
        let timer = if is_up { &mut self.up } else { &mut self.down };
        timer.restart(sample.now, is_kept, if is_up { UP_WAIT } else { DOWN_WAIT });
        self.is_descending = is_kept && !is_up && gain - noise >= BETTER;
        if !is_kept {
            let text = format!("{} {text}", self.target);
            return (Phase::Hold { window: Window::default() }, self.set(from, text));
        }
        if !is_up {
            // On to the next lower count soon, and not up again.
            self.up.restart(sample.now, false, UP_WAIT);
            self.down.at = sample.now;
            if !self.is_descending {
                self.down.at += DOWN_WAIT / 4;
            }
            return (Phase::Hold { window: Window::default() }, None);
        }
        // It pays: find out how far, by doubling.
        let target = (2 * self.target).min(self.ceiling());
        let base = Some((mean.rate, self.target));
        if !self.may_grow(sample, mean.rate, target) {
            return (Phase::Hold { window: Window::default() }, None);
        }
        let change = self.set(target, text);
        (start_ramp(sample.now, base), change)
    }

    fn start_hold(&mut self, now: Duration) -> Phase {
        self.up.at = now + self.up.wait;
        self.down.at = now + self.down.wait;
        Phase::Hold { window: Window::default() }
    }

    /// Whether `target` connections are allowed and find enough to do.
    fn may_grow(&self, sample: &Sample, rate: f64, target: u32) -> bool {
        let share = sample.remaining_bytes / u64::from(target.max(1));
        let lasts = sample.remaining_bytes as f64 / rate.max(1.0);
        target > self.target
            && !sample.is_disk_bound
            && share >= BYTES_PER_CONNECTION_MIN
            && lasts > 2.0 * (sample.reach + RAMP_WINDOW_MIN.max(sample.tau)).as_secs_f64()
    }

    fn set(&mut self, target: u32, why: String) -> Option<Change> {
        let target = target.min(self.ceiling());
        if target == self.target {
            return None;
        }
        let from = std::mem::replace(&mut self.target, target);
        Some((Choice::Connections, format!("{target} after {from}: {why}")))
    }
}

impl ProbeTimer {
    fn restart(&mut self, now: Duration, succeeded: bool, wait_min: Duration) {
        self.wait = if succeeded { wait_min } else { (self.wait * 3 / 2).min(WAIT_MAX) };
        self.at = now + self.wait;
    }
}

/// The least gain that pays for `growth` times as many connections.
fn pays_from(growth: f64) -> f64 {
    1.0 + GAIN_SHARE * (growth - 1.0)
}

fn probe_window(sample: &Sample) -> Duration {
    PROBE_WINDOW_MIN.max(8 * sample.tau)
}

/// A probe that the end overtakes costs and says nothing.
fn has_time_for_probe(sample: &Sample, rate: f64) -> bool {
    let lasts = sample.remaining_bytes as f64 / rate.max(1.0);
    lasts > 2.0 * (probe_window(sample) + sample.reach).as_secs_f64()
}

fn start_ramp(now: Duration, base: Option<(f64, u32)>) -> Phase {
    Phase::Ramp { since: now, window: Window::default(), base, earlier: 0.0 }
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
