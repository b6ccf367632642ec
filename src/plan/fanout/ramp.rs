//! The ramp: more connections, by steps, while that pays. Must not know what comes after it.

use super::plateau::Plateau;
use super::settling::Settling;
use super::{
    Change, Count, DISTANCE_MIN, FEW, Peak, Phase, Sample, UP_WAIT_CALM, WORSE, ceil, start,
};
use crate::plan::limiter::Trial;
use crate::plan::window::Window;
use std::time::Duration;

/// Bytes one more connection must find to fetch.
const BYTES_PER_CONNECTION_MIN: u64 = 1 << 20;
/// More connections pay if the rate grows by this share of what the count grew by.
const GAIN_SHARE: f64 = 0.12;
/// The next step is tried at once if it grows by this share; below it the knee is behind.
const GAIN_SHARE_ON: f64 = 0.25;
/// The same after a step whose connections have kept their rates: where they share a path with
/// others, gains shrink from step to step; where they are suddenly small, the knee is behind.
const GAIN_SHARE_ON_KEPT: f64 = 0.32;
/// The gain of the first two, whose starts overlap, from which on four are tried,
const START_GAIN: f64 = 1.45;
/// and from which on three are.
const START_GAIN_DOUBTFUL: f64 = 1.2;
/// Up to this number of connections, slow start of the first answers is told by smaller steps of
/// their rate.
const FEW_AT_START: u32 = 16;
/// Losses that begin at this share of the rate that slow start ends at are those of a full queue;
/// losses that begin below it are the path's own.
const OVERFLOW_SHARE: f64 = 0.7;
/// A connection that was once this many times as fast as the mean one has no limit of its own.
const UNEVEN: f64 = 1.5;
/// Connections that are tried where the first two do not share anything.
const START_LEAP: u32 = 8;
/// Connections have kept their rate if the gain is this share of what the count grew by.
pub(super) const KEPT_SHARE: f64 = 0.85;
/// The least gain that is clear before the rate has settled.
const CLEAR_GAIN_MIN: f64 = 1.5;
/// Where connections keep their rate, a step may grow by more than doubling, up to this count.
const LEAP_MAX: u32 = 16;
/// The same where packets are lost, which makes rates and gains uncertain.
const LEAP_LOSSY_MAX: u32 = 8;
/// The most such a step grows by.
const LEAP_FACTOR_MAX: u32 = 8;
/// A step is judged once bytes flow on this share of its connections,
const THERE_SHARE: f64 = 0.75;
/// or this time and another round of handshakes later: addresses may be dead.
const LATE: Duration = Duration::from_millis(250);
/// No gain is believed in until this time more has been looked at, or as many round trips: two of
/// the shortest retransmission timeouts.
const DOUBT_TIME: Duration = Duration::from_millis(500);
const DOUBT_ROUND_TRIPS: u32 = 6;
/// Time to first byte from which a server is as good as far away, however near it is.
const SLOW_ANSWER: Duration = Duration::from_millis(60);
/// The second connection, and each source, is waited for this time at the start.
const LATE_START: Duration = Duration::from_millis(700);
/// How much above the computed knee the count is set.
const KNEE_MARGIN: f64 = 1.1;
/// Round trips that slow start and its measurement take, beside those of the handshake.
const STEP_ROUND_TRIPS: u32 = 6;
/// Least time of a step.
const STEP_TIME_MIN: Duration = Duration::from_millis(150);

/// One step of the ramp.
#[derive(Debug)]
pub(super) struct Ramp {
    /// When its connections were wished for.
    pub(super) since: Duration,
    /// Indicates whether its connections come one after the other: they go to several addresses, of
    /// which some may be dead or far, or some have been there before.
    awaits_most: bool,
    settling: Settling,
    /// The same of the connection that brought most in each tick.
    alone: Settling,
    /// The rate before, and the connections that made it.
    base: Option<(f64, u32)>,
    /// What came since, before its connections were there.
    before: Window,
    /// The rate of a first measurement that showed no gain, and a longer one since then.
    doubt: Option<(f64, Window)>,
    /// The rate that the first connections have settled at, if it is worth watching.
    plateau: Option<Box<Plateau>>,
    /// The best rate before the first loss.
    lossless: Option<f64>,
    /// Indicates whether it makes up for a rate that has fallen, and ends with this step.
    is_restoring: bool,
}

impl Ramp {
    pub(super) fn new(since: Duration, base: Option<(f64, u32)>) -> Self {
        Self {
            since,
            awaits_most: false,
            settling: Settling::default(),
            alone: Settling::default(),
            base,
            before: Window::default(),
            doubt: None,
            plateau: None,
            lossless: None,
            is_restoring: false,
        }
    }

    /// The first step, of these connections.
    pub(super) fn first(since: Duration, connections: u32) -> Self {
        let is_few = connections <= FEW_AT_START;
        let settling = if is_few { Settling::at_start() } else { Settling::default() };
        Self { settling, alone: settling, ..Self::new(since, None) }
    }

    /// The same step where the server has this number of `addresses`.
    pub(super) fn to(self, addresses: u32) -> Self {
        Self { awaits_most: addresses > 1, ..self }
    }

    /// One step that makes up for a fall to the rate of `base`.
    pub(super) fn restoring(since: Duration, base: (f64, u32)) -> Self {
        Self { is_restoring: true, ..Self::new(since, Some(base)) }
    }

    /// Whether nothing has been compared yet.
    pub(super) fn is_first(&self) -> bool {
        self.base.is_none()
    }

    /// Whether a next step is worth trying after `growth` times as many connections have brought
    /// `rate`. If those before have kept their rates, that was seen while they still grew.
    fn goes_on(&self, rate: f64, growth: f64, was_kept: bool) -> bool {
        let before = self.base.map_or(0.0, |(rate, _)| rate);
        let (before, share) = match was_kept {
            true => (before.max(self.before.mean().rate), GAIN_SHARE_ON_KEPT),
            false => (before, GAIN_SHARE_ON),
        };
        rate >= before.max(1.0) * (1.0 + share * (growth - 1.0))
    }

    /// Whether packets were lost before the path can have been full.
    fn has_own_losses(&self, rate: f64) -> bool {
        self.lossless.is_some_and(|lossless| lossless < OVERFLOW_SHARE * rate)
    }

    /// Whether packets were lost as soon as the rate stood, and not before.
    fn has_overflowed(&self, rate: f64) -> bool {
        self.lossless.is_some() && !self.has_own_losses(rate)
    }
}

impl Count {
    pub(super) fn ramp(&mut self, sample: &Sample, mut ramp: Ramp) -> (Phase, Option<Change>) {
        if let Some(change) = self.start_anew(sample, &ramp) {
            let first = Ramp::first(sample.now, self.target);
            return (Phase::Ramp(Ramp { awaits_most: true, ..first }), Some(change));
        }
        let rate = self.rate_of(sample, &mut ramp);
        let Some(rate) = rate else { return (Phase::Ramp(ramp), None) };
        self.note_peak(rate);
        let Some((before, count)) = ramp.base else {
            return self.judge_start(sample, ramp, rate);
        };
        let gain = rate / before.max(1.0);
        let growth = f64::from(self.target) / f64::from(count);
        let pays = gain >= pays_from(growth);
        if !pays && ramp.doubt.is_none() {
            // Connections that end a small span at the same time make a hole in the rate, and so
            // does a retransmission that is lost.
            ramp.doubt = Some((rate, Window::default()));
            return (Phase::Ramp(ramp), None);
        }
        let text = format!("{} brought {:+.0} %", self.target, (gain - 1.0) * 100.0);
        let is_kept = gain >= KEPT_SHARE * growth;
        let was_kept = self.kept_up_to(count);
        self.is_knee = was_kept && !is_kept;
        self.trial = Some(Trial { from: count, to: self.target, gain });
        if ramp.is_restoring {
            if !pays {
                // The path itself has become slower.
                self.peak = Peak { rate: rate.max(before), connections: count };
            }
            let is_kept = pays || sample.is_lossy;
            let target = if is_kept { self.target } else { count };
            return (self.start_hold(sample.now), self.set(target, text));
        }
        // A limit per connection may make a queue for each of them; then they keep their rates.
        let is_full = sample.is_queued() && !is_kept;
        if ramp.goes_on(rate, growth, was_kept) && !is_full {
            let factor = if is_kept { self.leap(sample) } else { 2 };
            return self.step_up(sample, rate, factor * self.target, text);
        }
        // Where each connection brings its full rate up to a knee, this is the knee.
        let knee = ceil(f64::from(count) * gain.max(1.0) * KNEE_MARGIN).clamp(count, self.target);
        let target = match pays {
            false if growth <= 2.0 => count,
            true if growth <= 2.0 => self.target,
            _ => knee,
        };
        // Senders that lose packets fall back from what slow start has reached, and need long to
        // come up again at a distance: the connections are there, and will be needed.
        let kept = self.target.min(LEAP_LOSSY_MAX.max(2 * count));
        let falls_back = sample.is_lossy && sample.tau >= DISTANCE_MIN;
        let target = if falls_back { target.max(kept) } else { target };
        let phase = self.start_hold(sample.now);
        let change = self.set(target, text);
        // Nor is a rate that falls back a sign that more are worse.
        if gain < WORSE && !falls_back {
            self.down.at = sample.now;
        }
        (phase, change)
    }

    /// The first of two was alone for the time that the other one took to connect. If it had the
    /// path then, the other one has brought nothing; otherwise, and with more to start with, still
    /// more are tried.
    fn judge_start(
        &mut self,
        sample: &Sample,
        mut ramp: Ramp,
        rate: f64,
    ) -> (Phase, Option<Change>) {
        // Where each is alone at its source, the first one's rate says nothing of the other one's.
        if self.target != 2 || self.min > 1 {
            return self.judge_many(sample, ramp, rate);
        }
        let gain = rate / ramp.alone.best().max(1.0);
        self.trial = Some(Trial { from: 1, to: 2, gain });
        // One that has not got through yet has shown nothing.
        self.is_start_doubtful = sample.flowing < self.target;
        if gain < START_GAIN_DOUBTFUL {
            return (self.start_hold(sample.now), None);
        }
        let are_kept = gain >= 2.0 * KEPT_SHARE;
        // The first one was not alone for long enough to show what it can do.
        if !are_kept && sample.tau >= DISTANCE_MIN && ramp.has_overflowed(rate) {
            let plateau = ramp.plateau.get_or_insert_with(|| Box::new(Plateau::new(sample, rate)));
            if !plateau.is_over(sample) {
                return (Phase::Ramp(ramp), None);
            }
            if plateau.is_queued(sample) {
                return (self.start_hold(sample.now), None);
            }
        }
        let text = format!("2 bring {gain:.1} times what one does");
        let target = match gain {
            _ if are_kept && sample.tau >= DISTANCE_MIN => START_LEAP,
            gain if gain >= START_GAIN => 4,
            _ => 3,
        };
        self.step_up(sample, rate, target, text)
    }

    /// Of many that began together none was alone to compare with. A rate that stands where slow
    /// start would double it says that they fill the path; whether they go on doing so is seen once
    /// the losses that slow start has caused are over. On a path with losses of its own they do
    /// not. Where none was ever faster than the others it is a limit for each.
    fn judge_many(
        &mut self,
        sample: &Sample,
        mut ramp: Ramp,
        rate: f64,
    ) -> (Phase, Option<Change>) {
        let share = rate / f64::from(self.target);
        let is_one_faster = sample.is_uneven || ramp.alone.best() > UNEVEN * share;
        let may_share = self.min == 1 && sample.tau >= DISTANCE_MIN;
        let is_flat = ramp.settling.is_steady() && !ramp.has_own_losses(rate);
        if may_share && (is_flat || sample.is_queued() || ramp.plateau.is_some()) {
            let plateau = ramp.plateau.get_or_insert_with(|| Box::new(Plateau::new(sample, rate)));
            plateau.note(is_one_faster);
            let is_even = plateau.is_even(sample);
            if !is_even && !plateau.is_over(sample) {
                return (Phase::Ramp(ramp), None);
            }
            if !is_even && !plateau.has_fallen() {
                // If it falls later, that is restored; more of them have nothing to gain now.
                let phase = self.start_hold(sample.now);
                self.up.at = sample.now + UP_WAIT_CALM;
                return (phase, None);
            }
        }
        self.step_up(sample, rate, 2 * self.target, "growth may pay".into())
    }

    /// A server that needs a long time for each answer is as good as far away.
    fn start_anew(&mut self, sample: &Sample, ramp: &Ramp) -> Option<Change> {
        // Of several sources one may be far away and the others near.
        let is_one = self.min == 1;
        if !ramp.is_first() || !is_one || !sample.knows_tau || sample.tau < SLOW_ANSWER {
            return None;
        }
        let target = start(sample.tau, sample.remaining_bytes).min(self.ceiling());
        if target <= self.target {
            return None;
        }
        self.set(target, format!("{:.0} ms to each first byte", sample.tau.as_secs_f64() * 1e3))
    }

    /// Whether the step to this number of connections has left each its rate.
    fn kept_up_to(&self, count: u32) -> bool {
        let is_kept = |trial: Trial| {
            let growth = f64::from(trial.to) / f64::from(trial.from);
            trial.to == count && trial.gain >= KEPT_SHARE * growth
        };
        count >= FEW && self.trial.is_some_and(is_kept)
    }

    /// The rate of the step, once it is known well enough.
    fn rate_of(&self, sample: &Sample, ramp: &mut Ramp) -> Option<f64> {
        if !self.has_begun(sample, ramp) {
            if ramp.base.is_some_and(|(_, count)| sample.flowing <= count) {
                ramp.before.add(sample.bytes, sample.elapsed);
            }
            return None;
        }
        if let Some(plateau) = &mut ramp.plateau {
            plateau.add(sample);
            return Some(plateau.rate());
        }
        if let Some((rate, window)) = &mut ramp.doubt {
            window.add(sample.bytes, sample.elapsed);
            let is_long = window.lasted() >= DOUBT_TIME.max(DOUBT_ROUND_TRIPS * sample.tau);
            return is_long.then(|| window.mean().rate.max(*rate));
        }
        if sample.is_lossy {
            ramp.lossless.get_or_insert(ramp.settling.best());
        }
        ramp.alone.add(sample.bytes_most, sample.elapsed, sample.tau);
        let settled = ramp.settling.add(sample.bytes, sample.elapsed, sample.tau);
        settled.or_else(|| self.clear_gain(ramp))
    }

    /// Whether bytes flow on most of the step's connections, or should by now.
    fn has_begun(&self, sample: &Sample, ramp: &Ramp) -> bool {
        let is_most = f64::from(sample.flowing) >= THERE_SHARE * f64::from(self.target);
        if ramp.is_first() {
            let is_there = sample.flowing >= self.target.min(2) && (!ramp.awaits_most || is_most);
            let is_late = sample.now > ramp.since + LATE_START;
            return (is_there && !sample.awaits_source) || (is_late && sample.flowing > 0);
        }
        let begins_at = ramp.since + sample.reach;
        let is_late = sample.now > begins_at + sample.reach + LATE;
        sample.now > begins_at && (is_most || is_late) && sample.flowing > 0
    }

    /// The rate while it still grows, if each connection has brought its full share already.
    fn clear_gain(&self, ramp: &Ramp) -> Option<f64> {
        let (before, count) = ramp.base?;
        let growth = f64::from(self.target) / f64::from(count);
        let rate = ramp.settling.at_least(if growth > 2.0 { 1 } else { 2 });
        (rate >= before * (KEPT_SHARE * growth).max(CLEAR_GAIN_MIN)).then_some(rate)
    }

    /// `target` connections, if there is enough to do for them.
    pub(super) fn step_up(
        &mut self,
        sample: &Sample,
        rate: f64,
        target: u32,
        why: String,
    ) -> (Phase, Option<Change>) {
        let base = Some((rate, self.target));
        let target = target.min(self.ceiling());
        if !self.may_grow(sample, rate, target) {
            return (self.start_hold(sample.now), None);
        }
        let change = self.set(target, why);
        (Phase::Ramp(Ramp::new(sample.now, base)), change)
    }

    /// The factor of a step after connections have kept their rates.
    fn leap(&self, sample: &Sample) -> u32 {
        let most = if sample.is_lossy { LEAP_LOSSY_MAX } else { LEAP_MAX };
        (most / self.target).clamp(2, LEAP_FACTOR_MAX)
    }

    /// Whether `target` connections are allowed and find enough to do.
    pub(super) fn may_grow(&self, sample: &Sample, rate: f64, target: u32) -> bool {
        let share = sample.remaining_bytes / u64::from(target.max(1));
        let lasts = sample.remaining_bytes as f64 / rate.max(1.0);
        let step = sample.reach + STEP_TIME_MIN.max(STEP_ROUND_TRIPS * sample.tau);
        target > self.target
            && !sample.is_disk_bound
            && share >= BYTES_PER_CONNECTION_MIN
            && lasts > step.as_secs_f64()
    }
}

/// The least gain that pays for `growth` times as many connections.
pub(super) fn pays_from(growth: f64) -> f64 {
    1.0 + GAIN_SHARE * (growth - 1.0)
}
