//! The tick: measures, steers the count, and acts on connections that did not ask. Owns the order
//! of these and the evidence for the verdict; must not know how any of them is decided.

use super::Transfer;
use crate::base::rate::smoothed;
use crate::plan::decision::Choice;
use crate::plan::endgame::{self, Standing};
use crate::plan::fanout::Sample;
use crate::plan::ledger::Assignment;
use crate::plan::limiter::{self, Evidence, Limiter, Totals};
use crate::plan::workers::{Longest, Worker};
use crate::plan::{Action, ConnectionId, Pressure, SourceId};
use std::collections::BTreeSet;
use std::time::Duration;

/// The disk is the bound if bytes waited for it in at least this share of the recent ticks.
const DISK_BOUND: f64 = 0.2;
/// The reader of an output that takes bytes in order is the bound if it was busy in at least this
/// share of the recent time. Less is no sign of it: what came early goes out in bursts.
const READER_BOUND: f64 = 0.9;
/// The same over the whole transfer, which has its start and its end in it.
const READER_SHARE: f64 = 0.8;
/// Time constant of the share of ticks in which bytes waited for the disk, or for the limit.
const DISK_MEMORY: Duration = Duration::from_secs(1);
/// The caller's limit of the rate is the bound if it was waited for in this share of the recent
/// ticks.
const LIMIT_BOUND: f64 = 0.5;
/// Steps of the connection count that are told apart: 1, 2 to 3, 4 to 7, and so on.
const COUNT_STEPS: usize = 32;
/// At most one connection is replaced in this time, so that a bad minute is no storm.
const REPLACE_INTERVAL: Duration = Duration::from_millis(250);

/// Least time that connections to an address have been at work before it is judged.
const SETTLING_MIN: Duration = Duration::from_millis(500);
/// Others move if one of them has received something within this time.
const MOVES_TIME: Duration = Duration::from_millis(500);
/// Least silence while others move that ends a connection, or eight times the time to first byte:
/// two or three retransmission timeouts, which double (RFC 6298 5.5), as a sender that has lost a
/// retransmission is silent for that time and alive.
const SILENCE_MIN: Duration = Duration::from_secs(2);
/// Replacements closer to each other than this double the patience.
const CALM_TIME: Duration = Duration::from_secs(5);
/// Most times as long as at first that silence is borne.
const PATIENCE_MAX: u32 = 16;

/// What all connections brought, as of the last tick.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Measurements {
    /// Bytes per second of all connections together.
    pub(super) rate: f64,
    /// Mean goodput of one connection, bytes per second; expected of those that have not measured.
    pub(super) each: f64,
    /// Median goodput of those at work, bytes per second.
    median: f64,
    /// Indicates whether the slowest of them brings less than half of what the fastest does.
    is_uneven: bool,
    /// Connections that bytes flow on.
    flowing: u32,
    /// When most connections were at work lately: their number, and their mean goodput.
    busiest: (u32, f64),
    /// The latest mean goodput of one, by the binary logarithm of how many were at work.
    each_by_count: [f64; COUNT_STEPS],
    /// Share of the recent ticks in which bytes waited for the disk, 0 to 1, smoothed.
    disk_share: f64,
    /// Share of the recent ticks in which the caller's limit of the rate was waited for, 0 to 1,
    /// smoothed.
    limit_share: f64,
    /// How much of that memory is filled, 0 to 1: the first ticks count in full.
    disk_weight: f64,
    /// Ticks so far.
    ticks: u32,
    /// Ticks in which bytes waited for the disk, or parts of ticks for the reader of an output that
    /// takes them in order.
    ticks_of_disk: f64,
    /// Indicates whether there is such a reader.
    has_reader: bool,
    /// Ticks in which the caller's limit of the rate was waited for.
    ticks_of_limit: u32,
    /// Ticks in which nothing flowed, as a retry or the server's wish was waited for.
    ticks_of_waits: u32,
    /// When a connection was last replaced.
    replaced_at: Duration,
    /// How many times as long as at first silence is borne.
    patience: u32,
}

impl Transfer {
    /// Measures, and says what is to be done to connections that did not ask. Call it every 50 to
    /// 100 ms, after [`Transfer::on_progress`] of each connection.
    pub fn on_tick(&mut self, now: Duration, pressure: Pressure) -> Vec<Action> {
        self.advance(now);
        let elapsed = self.now.saturating_sub(self.last_tick_at);
        self.last_tick_at = self.now;
        let mut actions = Vec::new();
        for id in self.ledger.delivered_by_others() {
            self.workers.entry(id).will_close = true;
            actions.push(Action::Abort(id));
        }
        if self.failed || self.is_complete() || elapsed.is_zero() {
            return actions;
        }
        let (bytes, bytes_most) = self.measure(elapsed, pressure);
        self.sources.on_tick(self.now);
        self.follow_sources();
        self.measurements.ticks_of_waits += u32::from(self.only_waits());
        let Longest { reach, tau, knows_tau } = self.workers.longest();
        let change = self.count.on_tick(&Sample {
            now: self.now,
            elapsed,
            bytes,
            bytes_most,
            flowing: self.measurements.flowing,
            reach,
            tau,
            knows_tau,
            remaining_bytes: self.ledger.unreceived_bytes(),
            is_disk_bound: self.measurements.disk_share
                >= self.measurements.disk_bound()
                    * self.measurements.disk_weight.max(f64::MIN_POSITIVE),
            is_rate_limited: self.is_rate_limited(),
            is_uneven: self.measurements.is_uneven,
            is_lossy: self.workers.iter().any(|(_, worker)| worker.meter.is_lossy(self.now)),
            queueing: self.workers.queueing(tau),
            awaits_source: self.sources.awaits_any(),
        });
        let has_collapsed = matches!(change, Some((Choice::Collapse, _)));
        self.note(change);
        if !self.is_rate_limited() {
            self.leave_slow_addresses(&mut actions);
        }
        if has_collapsed {
            self.shut_surplus(&mut actions);
        }
        self.take_back(&mut actions);
        self.replace(&mut actions);
        actions
    }

    /// The count goes with the number of open sources.
    pub(super) fn follow_sources(&mut self) {
        let change = self.count.set_min(self.now, self.sources.connections_min());
        self.note(change);
    }

    /// What limited the transfer, at its end.
    pub fn limiter(&self, totals: Totals) -> Limiter {
        let (connections, goodput) = self.measurements.busiest;
        let ticks = f64::from(self.measurements.ticks.max(1));
        let disk_waiting = self.measurements.ticks_of_disk / ticks;
        let is_reader_slow = !self.measurements.has_reader || disk_waiting >= READER_SHARE;
        let evidence = Evidence {
            disk_waiting: if is_reader_slow { disk_waiting } else { 0.0 },
            waiting: f64::from(self.measurements.ticks_of_waits) / ticks,
            at_limit: f64::from(self.measurements.ticks_of_limit) / ticks,
            connections,
            goodput,
            goodput_of_fewer: self.measurements.of_fewer(connections),
            cap: self.count.tolerance().cap(),
            refusals: self.count.tolerance().refusals(),
            is_throttled: self.count.was_throttled(),
            trial: self.count.trial(),
        };
        limiter::judge(totals, evidence)
    }

    /// Whether the caller's own limit of the rate is what bounds the transfer now.
    pub(super) fn is_rate_limited(&self) -> bool {
        let weight = self.measurements.disk_weight.max(f64::MIN_POSITIVE);
        self.measurements.limit_share >= LIMIT_BOUND * weight
    }

    /// Whether nothing is being fetched, as a retry or the server's wish is waited for.
    fn only_waits(&self) -> bool {
        let is_braked = self.sources.are_braked(self.now);
        let pauses = |worker: &Worker| worker.setback.is_some_and(|it| it.ready_at > self.now);
        self.measurements.flowing == 0
            && (is_braked
                || self.ledger.next_ready_at().is_some_and(|at| at > self.now)
                || self.workers.iter().any(|(_, worker)| pauses(worker)))
    }

    /// Reads the meters; returns the bytes that came since the last tick, of all connections and
    /// of the one that brought most.
    fn measure(&mut self, elapsed: Duration, pressure: Pressure) -> (u64, u64) {
        let (mut bytes, mut bytes_most) = (0, 0);
        let mut goodputs = Vec::new();
        for (id, worker) in self.workers.iter_mut() {
            let bytes_each = worker.meter.tick(self.now);
            bytes += bytes_each;
            bytes_most = bytes_each.max(bytes_most);
            let goodput = worker.meter.goodput().filter(|_| worker.meter.is_busy());
            if let Some(goodput) = goodput {
                goodputs.push(goodput);
                self.sources.sample(self.now, id, goodput, elapsed);
            }
        }
        self.measurements.learn(goodputs);
        self.measurements.feel(elapsed, pressure);
        (bytes, bytes_most)
    }

    /// Addresses far slower than the best one are left, by the connections there too.
    fn leave_slow_addresses(&mut self, actions: &mut Vec<Action>) {
        // Slow start takes some round trips, more where the address is far.
        let mut leaving = Vec::new();
        for (id, source) in self.sources.iter_mut() {
            let settling = SETTLING_MIN.max(10 * self.workers.tau_of(id));
            for (address, share) in source.addresses.drop_slow(self.now, settling) {
                let share = share * 100.0;
                let text = format!("{address} rests: {share:.0} % of the best one's rate");
                self.log.note(self.now, Choice::Address, text);
                leaving.extend(source.addresses.connections_at(address));
            }
        }
        for id in leaving {
            let is_receiving = self.ledger.assignment(id).is_some_and(Assignment::is_divisible);
            if is_receiving && !is_named(actions, id) {
                self.workers.entry(id).replace(self.now);
                actions.push(Action::Replace(id));
            }
        }
    }

    /// Whether nothing is being fetched from some open source, which may do better than the others.
    fn has_source_without_work(&self) -> bool {
        let at_work = self.ledger.assignments().map(|(id, _)| self.sources.of(id));
        let at_work: BTreeSet<SourceId> = at_work.collect();
        !self.sources.is_single() && self.sources.open().any(|source| !at_work.contains(&source))
    }

    /// What a connection is compared with, bytes per second: the others, or those of its source
    /// where there are several, as a slow source makes slow connections.
    fn median_for(&self, id: ConnectionId) -> f64 {
        let own = self.sources.goodput_at(id).filter(|_| !self.sources.is_single());
        own.unwrap_or(self.measurements.median)
    }

    /// A span that nobody has started on goes to an idle worker that can start sooner.
    fn take_back(&mut self, actions: &mut Vec<Action>) {
        let has_none = self.ledger.aheads().next().is_none();
        if self.ledger.unassigned_bytes() > 0 || has_none || self.is_rate_limited() {
            return;
        }
        let idle = self.workers.iter().filter(|(_, worker)| worker.is_idle && worker.is_running);
        let idle: Vec<ConnectionId> = idle.map(|(id, _)| id).collect();
        for helper in idle {
            let aheads = self.ledger.aheads().filter_map(|(id, ahead)| {
                let assignment = self.ledger.assignment(id)?;
                let has_started = self.workers.get(id).is_some_and(|it| it.has_started_ahead);
                let runner = self.runner(id, assignment.unclaimed());
                let is_free = !has_started && !is_named(actions, id);
                is_free.then(|| (runner, ahead.span().len()))
            });
            let Some(owner) = endgame::best_take_back(aheads, self.helper(helper)) else { return };
            self.ledger.release_ahead(owner);
            self.workers.entry(owner).will_close = true;
            let text = format!("what {owner} asked for ahead, as {helper} is idle");
            self.log.note(self.now, Choice::TakeBack, text);
            actions.push(Action::TakeBack(owner));
        }
    }

    /// An origin that throttles counts connections, and their spans would take for ever.
    fn shut_surplus(&mut self, actions: &mut Vec<Action>) {
        let surplus = self.workers.running().saturating_sub(self.count.target()) as usize;
        let busy = self.ledger.assignments().map(|(id, _)| id).filter(|id| !is_named(actions, *id));
        let shut = busy.skip(self.count.target() as usize).take(surplus);
        let shut: Vec<ConnectionId> = shut.collect();
        for id in shut {
            self.workers.entry(id).replace(self.now);
            actions.push(Action::Replace(id));
        }
    }

    /// The silent, and the slow ones that everybody would wait for, get a new connection.
    fn replace(&mut self, actions: &mut Vec<Action>) {
        let since = self.now.saturating_sub(self.measurements.replaced_at);
        let moves =
            |id| self.workers.get(id).is_some_and(|it| it.meter.silence(self.now) < MOVES_TIME);
        // Who has done all of its work shows that the path is not to blame either.
        let is_free = |worker: &Worker| worker.is_idle && worker.is_running && worker.is_connected;
        let is_lone = !self.ledger.assignments().any(|(id, _)| moves(id))
            && !self.workers.iter().any(|(_, worker)| is_free(worker))
            && !self.has_source_without_work();
        if since < REPLACE_INTERVAL || is_lone {
            return;
        }
        let reasons = self.ledger.assignments().filter_map(|(id, assignment)| {
            let worker = self.workers.get(id)?;
            let is_ending = worker.is_being_replaced(self.now) || is_named(actions, id);
            if !worker.is_connected || is_ending {
                return None;
            }
            let others = self.measurements.rate.max(1.0);
            let tau = self.workers.tau(id).unwrap_or_default() + 2 * worker.meter.jitter();
            let standing = Standing {
                goodput: worker.meter.goodput().unwrap_or(0.0),
                median: self.median_for(id),
                flowing_for: worker.meter.flowing_for(self.now),
                is_lossy: worker.meter.is_lossy(self.now),
                silent_for: worker.meter.silence(self.now),
                patience: self.measurements.patience.max(1) * tau.mul_f64(8.0).max(SILENCE_MIN),
                tau,
                takes: assignment.unclaimed().len() as f64
                    / worker.meter.goodput().unwrap_or(0.0).max(1.0),
                others_take: self.ledger.unassigned_bytes() as f64 / others,
            };
            let why = endgame::why_replace(&standing)?;
            // A silent one has to be given up; a slow one costs the server a connection.
            let is_silent = standing.silent_for >= standing.patience;
            let may_be_closed = self.may_return() && !self.is_rate_limited();
            (is_silent || may_be_closed).then_some((id, why, is_silent))
        });
        let Some((id, why, is_silent)) = reasons.into_iter().next() else { return };
        self.returns += u32::from(!is_silent);
        // A server that takes its time with some bytes is not asked for them for ever.
        let is_often = since < CALM_TIME;
        let patience = self.measurements.patience.max(1);
        self.measurements.patience = if is_often { (2 * patience).min(PATIENCE_MAX) } else { 1 };
        self.measurements.replaced_at = self.now;
        self.workers.entry(id).replace(self.now);
        let lost = self.workers.get(id).and_then(|worker| worker.meter.goodput()).unwrap_or(0.0)
            * self.workers.tau(id).unwrap_or_default().as_secs_f64();
        let text = format!("{id}: {why}; {:.0} KiB may be lost", lost / 1024.0);
        self.log.note(self.now, Choice::Replace, text);
        actions.push(Action::Replace(id));
    }
}

/// Whether this tick has something else in mind for the connection.
fn is_named(actions: &[Action], id: ConnectionId) -> bool {
    actions.iter().any(|action| action.connection() == id)
}

impl Measurements {
    fn learn(&mut self, mut goodputs: Vec<f64>) {
        self.flowing = u32::try_from(goodputs.len()).expect("worker ids are 32 bits wide");
        self.rate = goodputs.iter().sum();
        if goodputs.is_empty() {
            return;
        }
        goodputs.sort_by(f64::total_cmp);
        let count = f64::from(self.flowing);
        self.median = goodputs[goodputs.len() / 2];
        self.is_uneven = 2.0 * goodputs[0] < goodputs[goodputs.len() - 1];
        self.each = self.rate / count;
        self.each_by_count[count_step(self.flowing)] = self.each;
        // The end game leaves few workers busy and says nothing of what bounded it.
        if self.flowing >= self.busiest.0 / 2 {
            self.busiest = (self.flowing.max(self.busiest.0 / 2), self.each);
        }
    }

    /// The most each brought while at most half as many as `connections` were at work.
    fn of_fewer(&self, connections: u32) -> f64 {
        let fewer = &self.each_by_count[..count_step(connections.max(1))];
        fewer.iter().copied().fold(0.0, f64::max)
    }

    /// The least share of the recent time that makes the disk the bound, or the reader.
    fn disk_bound(&self) -> f64 {
        if self.has_reader { READER_BOUND } else { DISK_BOUND }
    }

    fn feel(&mut self, elapsed: Duration, pressure: Pressure) {
        self.ticks += 1;
        // Both mean that bytes wait for the disk: in their blocks, or already in the socket.
        let waits = pressure.blocks_exhausted || pressure.writes_waiting;
        self.has_reader |= pressure.reader_busy.is_some();
        let share = pressure.reader_busy.unwrap_or(if waits { 1.0 } else { 0.0 });
        self.ticks_of_disk += share;
        self.disk_share = smoothed(self.disk_share, share, elapsed, DISK_MEMORY);
        self.disk_weight = smoothed(self.disk_weight, 1.0, elapsed, DISK_MEMORY);
        self.ticks_of_limit += u32::from(pressure.is_rate_limited);
        let share = if pressure.is_rate_limited { 1.0 } else { 0.0 };
        self.limit_share = smoothed(self.limit_share, share, elapsed, DISK_MEMORY);
    }
}

fn count_step(count: u32) -> usize {
    count.max(1).ilog2() as usize
}
