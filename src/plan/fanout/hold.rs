//! What happens while the count stands: rates that have fallen are restored by more connections,
//! and from time to time a few more or fewer are tried. Must not know how the ramp got here.

use super::queue::Queue;
use super::ramp::{KEPT_SHARE, Ramp, pays_from};
use super::{
    Change, Count, DOWN_WAIT, FEW, Peak, Phase, ProbeTimer, START_NEAR, Sample, UP_WAIT,
    UP_WAIT_CALM, UP_WAIT_EACH, WAIT_MAX, WORSE,
};
use crate::plan::limiter::Trial;
use crate::plan::window::{Mean, Window};
use std::time::Duration;

/// Fewer connections are kept if the rate falls by no more than this.
const LOSS_MAX: f64 = 0.02;
/// Fewer connections are better if the rate rises to this share of what it was.
const BETTER: f64 = 1.03;
/// With more noise than this nothing speaks for fewer: a lull before the probe looks like a gain.
const NOISE_MAX: f64 = 0.1;
/// Least time of one probe's measurement.
const PROBE_WINDOW_MIN: Duration = Duration::from_secs(1);
/// Least time of one look at whether the rate has fallen,
const LOOK_MIN: Duration = Duration::from_millis(300);
/// and with less than a few connections that lose nothing, where one that stalls makes much of the
/// rate.
const LOOK_FEW: Duration = Duration::from_millis(750);
/// What is seen at the end of it has to be fallen as well: senders that drain the queue to see how
/// short the path is (BBR, for 200 ms every ten seconds, all at once) are back by then.
const LOOK_END: Duration = Duration::from_millis(100);
/// A rate below this share of what the path has carried is worth more connections at once: senders
/// that lose packets fall back from what slow start had reached.
const FALLEN: f64 = 0.88;
/// Looks in a row that have to find it fallen.
const FALLEN_LOOKS: u32 = 2;
/// Less than this share is left by an origin that throttles, or by a path that has changed.
const FALLEN_MIN: f64 = 0.3;
/// From this share on nothing has fallen.
const NOT_FALLEN: f64 = 0.95;
/// Up to this number of connections half as many more are tried at a time; beyond it a quarter is,
/// as each costs the server something.
const TRIES_HALF_MAX: u32 = 16;
/// What is left of the memory of the best rate after each look, as paths change.
const PEAK_MEMORY: f64 = 0.99;
/// What is left has to last as long as this many probes before a rate is restored,
const PROBES_RESTORE: f64 = 1.0;
/// before more are tried,
const PROBES_MORE: f64 = 2.0;
/// and before fewer are: those that stay need seconds to take over what the others have left.
const PROBES_FEWER: f64 = 8.0;
/// A span lasts no longer than about this.
const SPAN_TIME: Duration = Duration::from_secs(4);

/// The count stands.
#[derive(Debug, Default)]
pub(super) struct Hold {
    /// All of the hold since the last probe was thought of.
    window: Window,
    /// Since the last look at whether the rate has fallen.
    look: Window,
    /// The end of that time.
    end: Window,
    /// Whether a queue stood, by its mean over the hold: losses make dips in it.
    queue: Option<Queue>,
}

/// A few more connections or fewer.
#[derive(Debug)]
pub(super) struct Probe {
    since: Duration,
    window: Window,
    /// Connections before the probe.
    pub(super) from: u32,
    /// The rate before the probe.
    base: Mean,
}

impl Count {
    pub(super) fn hold(&mut self, sample: &Sample, mut hold: Hold) -> (Phase, Option<Change>) {
        hold.window.add(sample.bytes, sample.elapsed);
        let is_one_much = self.target < FEW && !sample.is_lossy;
        let look = if is_one_much { LOOK_FEW } else { LOOK_MIN }.max(2 * sample.tau);
        if hold.look.lasted() + LOOK_END.max(sample.tau) <= look {
            hold.end = Window::default();
        }
        hold.look.add(sample.bytes, sample.elapsed);
        hold.end.add(sample.bytes, sample.elapsed);
        hold.queue.get_or_insert_with(|| Queue::new(sample)).add(sample);
        if hold.look.lasted() >= look {
            let rate = std::mem::take(&mut hold.look).mean().rate;
            let end = std::mem::take(&mut hold.end).mean().rate;
            if let Some(restoring) = self.restore(sample, rate, end) {
                return restoring;
            }
        }
        if hold.window.lasted() < probe_window(sample) {
            return (Phase::Hold(hold), None);
        }
        let mean = hold.window.mean();
        if let Some(frozen) = self.look_for_collapse(sample, mean) {
            return frozen;
        }
        let is_full = hold.queue.is_some_and(|queue| !queue.has_drained(sample));
        let target = self.worth_a_try(sample, mean, is_full);
        let Some((target, text)) = target.filter(|(target, _)| *target != self.target) else {
            hold.window = Window::default();
            return (Phase::Hold(hold), None);
        };
        let from = self.target;
        let change = self.set(target, text.into());
        let probe = Probe { since: sample.now, window: Window::default(), from, base: mean };
        (Phase::Probe(probe), change)
    }

    /// More connections if the rate has fallen below what the path has carried.
    fn restore(&mut self, sample: &Sample, rate: f64, end: f64) -> Option<(Phase, Option<Change>)> {
        self.peak.rate *= PEAK_MEMORY;
        self.note_peak(rate);
        let share = rate / self.peak.rate.max(1.0);
        // A steeper fall is none of senders that lose packets; one look may have met a stall.
        let is_fallen = (FALLEN_MIN..FALLEN).contains(&share) && !self.was_throttled;
        self.fallen_looks = if is_fallen { self.fallen_looks + 1 } else { 0 };
        let is_over = end >= FALLEN * self.peak.rate;
        if self.fallen_looks < FALLEN_LOOKS || is_over {
            return None;
        }
        self.fallen_looks = 0;
        // Senders that have begun to fall back go on falling.
        let target = (2 * self.target).min(self.ceiling());
        // A full path carries what it can: what it has carried was a burst, or it has got narrower.
        let has_time = has_time_for_probe(sample, rate, PROBES_RESTORE);
        if sample.is_queued() || !has_time || !self.may_grow(sample, rate, target) {
            return None;
        }
        let base = (rate, self.target);
        let text = format!("{:.0} % of the best rate are left", share * 100.0);
        let change = self.set(target, text);
        Some((Phase::Ramp(Ramp::restoring(sample.now, base)), change))
    }

    /// The count to try next, and why.
    fn worth_a_try(
        &self,
        sample: &Sample,
        mean: Mean,
        is_full: bool,
    ) -> Option<(u32, &'static str)> {
        if !has_time_for_probe(sample, mean.rate, PROBES_MORE) {
            return None;
        }
        let more = self.target / if self.target > TRIES_HALF_MAX { 4 } else { 2 };
        let up = (self.target + more.max(1)).min(self.ceiling());
        let step = if self.is_descending { self.target / 2 } else { self.target / 4 };
        let down = self.target - step.max(1).min(self.target - 1);
        let may_go_down = down < self.target && self.may_try_fewer(sample, mean);
        if may_go_down && (self.is_descending || self.down.at < self.up.at) {
            Some((down, "to see whether fewer do"))
        } else if self.may_try_more(sample, mean, is_full) && self.may_grow(sample, mean.rate, up) {
            Some((up, "to see whether more pay"))
        } else if may_go_down {
            Some((down, "to see whether fewer do"))
        } else {
            None
        }
    }

    /// Whether it is time to try fewer. Two are few: one is tried where they were worse than it.
    fn may_try_fewer(&self, sample: &Sample, mean: Mean) -> bool {
        let are_worse = self.trial.is_some_and(|trial| trial.gain < WORSE);
        let is_due = self.down.at <= sample.now && mean.error < NOISE_MAX / 2.0;
        let has_time = has_time_for_probe(sample, mean.rate, PROBES_FEWER);
        is_due && has_time && (self.target > START_NEAR || are_worse)
    }

    /// Whether it is time to try more. Of a few connections one may have had bad luck, be it with
    /// losses or with the server: then soon. Where nothing of that kind is seen, a few connections
    /// are left alone for long, as each one more is seen by the server. Where the path is full
    /// there is nothing to gain; of a few a queue that stands just now says so as well.
    fn may_try_more(&self, sample: &Sample, mean: Mean, is_full: bool) -> bool {
        if self.target >= FEW {
            let wait = if self.has_enough(mean) { UP_WAIT_CALM } else { Duration::ZERO };
            return !is_full && self.up.at.max(self.held_since + wait) <= sample.now;
        }
        if is_full || sample.is_queued() {
            return false;
        }
        let is_doubtful =
            self.is_start_doubtful || sample.is_uneven || sample.is_lossy || mean.error > NOISE_MAX;
        let wait = if is_doubtful { UP_WAIT_EACH * self.target } else { UP_WAIT_CALM };
        self.up.at.max(self.held_since + wait) <= sample.now
            || (is_doubtful && self.up.wait <= UP_WAIT && self.held_since + wait <= sample.now)
    }

    /// Whether more brought nothing when that was tried, or a knee was found, and the rate has not
    /// fallen since.
    fn has_enough(&self, mean: Mean) -> bool {
        let did_not_pay =
            |trial: Trial| trial.gain < pays_from(f64::from(trial.to) / f64::from(trial.from));
        let has_end = self.is_knee || self.trial.is_some_and(did_not_pay);
        has_end && mean.rate >= NOT_FALLEN * self.peak.rate
    }

    pub(super) fn probe(&mut self, sample: &Sample, mut probe: Probe) -> (Phase, Option<Change>) {
        let settled_at = probe.since + sample.reach + 2 * sample.tau;
        // Those too many end their spans first, which takes as long as a span.
        let is_thinned = sample.flowing <= self.target || sample.now > settled_at + SPAN_TIME;
        if sample.now > settled_at && is_thinned {
            probe.window.add(sample.bytes, sample.elapsed);
        }
        if probe.window.lasted() < probe_window(sample) {
            return (Phase::Probe(probe), None);
        }
        let Probe { window, from, base, .. } = probe;
        let mean = window.mean();
        let gain = mean.rate / base.rate.max(1.0);
        let noise = mean.error.hypot(base.error);
        let growth = f64::from(self.target) / f64::from(from);
        let is_up = growth > 1.0;
        let text = format!("brought {:+.0} %", (gain - 1.0) * 100.0);
        let is_kept = if is_up {
            self.trial = Some(Trial { from, to: self.target, gain });
            self.is_knee = false;
            gain >= pays_from(growth) + noise.min(0.1)
        } else {
            noise < NOISE_MAX && gain - noise >= 1.0 - 2.0 * LOSS_MAX
        };
        let timer = if is_up { &mut self.up } else { &mut self.down };
        timer.restart(sample.now, is_kept, if is_up { UP_WAIT } else { DOWN_WAIT });
        self.is_start_doubtful = false;
        self.is_descending = is_kept && !is_up && gain - noise >= BETTER;
        if !is_kept {
            if is_up && gain >= WORSE {
                // This is what the path carries now, whatever it once did.
                self.peak = Peak { rate: mean.rate.max(base.rate), connections: from };
            }
            let text = format!("{} {text}", self.target);
            return (Phase::Hold(Hold::default()), self.set(from, text));
        }
        if !is_up {
            // On to the next lower count soon, and not up again.
            self.up.restart(sample.now, false, UP_WAIT);
            self.down.at = sample.now;
            if !self.is_descending {
                self.down.at += DOWN_WAIT / 4;
            }
            return (Phase::Hold(Hold::default()), None);
        }
        // It pays: find out how far, by large steps where connections keep their rates.
        self.note_peak(mean.rate);
        let is_full_gain = gain >= KEPT_SHARE * growth;
        let more = if is_full_gain { self.target } else { self.target / 2 };
        self.step_up(sample, mean.rate, self.target + more.max(1), text)
    }

    pub(super) fn start_hold(&mut self, now: Duration) -> Phase {
        self.up.at = now + self.up.wait;
        self.held_since = now;
        self.down.at = now + self.down.wait;
        Phase::Hold(Hold::default())
    }
}

impl ProbeTimer {
    fn restart(&mut self, now: Duration, succeeded: bool, wait_min: Duration) {
        self.wait = if succeeded { wait_min } else { (self.wait * 3 / 2).min(WAIT_MAX) };
        self.at = now + self.wait;
    }
}

pub(super) fn probe_window(sample: &Sample) -> Duration {
    PROBE_WINDOW_MIN.max(8 * sample.tau)
}

/// Whether what is left lasts as long as this many probes: one that the end overtakes costs and
/// says nothing.
fn has_time_for_probe(sample: &Sample, rate: f64, probes: f64) -> bool {
    let lasts = sample.remaining_bytes as f64 / rate.max(1.0);
    lasts > probes * (probe_window(sample) + sample.reach).as_secs_f64()
}
