//! What a worker does next: fetch, steal, hedge, wait, retire. Owns the order of these; must not
//! know how any of them is decided.

use super::Transfer;
use crate::base::limits::STEAL_TRIES_MAX;
use crate::base::size;
use crate::base::span::Span;
use crate::plan::decision::Choice;
use crate::plan::endgame::{self, Cut, Helper, Price, Runner, Units};
use crate::plan::ledger::{Assignment, Proposal, Slot};
use crate::plan::{ConnectionId, Fetch, Next, Settings, sizing};
use std::time::Duration;

/// The least time after which an idle sender starts slowly again, as Linux has it.
const RETRANSMISSION_TIME_MIN: Duration = Duration::from_millis(200);

/// Silence after which a connection that has measured nothing is taken for stuck.
const MUTE_MIN: Duration = Duration::from_secs(1);
/// Of the connections wanted, at most one in this number comes back to help after it was closed.
const RETURNS_SHARE: u32 = 6;
/// In a long transfer one more may do that after each time of this length.
const RETURN_TIME: Duration = Duration::from_secs(20);
/// Slow start has filled most windows after this number of round trips.
const YOUNG_ROUND_TRIPS: u32 = 8;
/// What would take this number of seconds does not come at all.
const STUCK_S: f64 = 3600.0;
/// Any rate does where none is known: work is then divided evenly.
const GOODPUT_UNKNOWN: f64 = 1e6;

impl Transfer {
    /// `tries` counts the proposals to steal in a row, one made now included.
    pub(super) fn next_for(&mut self, connection: ConnectionId, tries: u32) -> Next {
        if self.failed {
            return Next::Failed;
        }
        if self.is_complete() {
            return Next::Done;
        }
        self.workers.run(connection);
        if self.is_surplus(connection) {
            self.workers.retire(connection);
            self.sources.leave(connection);
            return Next::Retire;
        }
        if let Some(at) = self.must_pause(connection) {
            return Next::WaitUntil(at);
        }
        if !self.finds_source(connection) {
            self.workers.entry(connection).is_idle = true;
            return Next::Wait;
        }
        let next = self.work_for(connection, tries);
        self.workers.entry(connection).is_idle |= next.is_none();
        next.or_else(|| self.ledger.next_ready_at().map(Next::WaitUntil)).unwrap_or(Next::Wait)
    }

    /// Whether fewer connections are wanted than there are without this one. The unproven go
    /// first, so that those who stay can fetch.
    pub(super) fn is_surplus(&self, connection: ConnectionId) -> bool {
        let target = self.count.target();
        if !self.count.may_shrink() || self.workers.running() <= target {
            return false;
        }
        if !self.sources.may_retire(connection) {
            return false;
        }
        let proven = self.workers.proven();
        proven > target || (proven == target && !self.workers.is_proven(connection))
    }

    /// The next span: the lowest bytes first, as a digest in file order wants them. An unproven
    /// connection leaves the holes to the proven ones as long as one is at work, which will ask
    /// soon.
    pub(super) fn assign(&mut self, connection: ConnectionId, slot: Slot) -> Option<Fetch> {
        self.ledger.wake(self.now);
        let view = self.view(connection);
        let request_bytes = self.sizing.request_bytes(&view);
        let is_proven = |(other, _): (ConnectionId, &Assignment)| self.workers.is_proven(other);
        let leave_holes =
            !self.workers.is_proven(connection) && self.ledger.assignments().any(is_proven);
        let below = self.assignable_to();
        let hole = if leave_holes {
            None
        } else {
            self.ledger.assign_hole(connection, slot, request_bytes, below)
        };
        let tail = || self.ledger.assign_tail(connection, slot, request_bytes, below);
        let span = hole.or_else(tail)?;
        self.workers.entry(connection).last_bytes = Some(request_bytes);
        self.note_size(&view, request_bytes);
        if slot == Slot::Now {
            self.begin(connection, span);
        }
        Some(self.fetch(connection, span))
    }

    /// The offset from which on no byte may be assigned now. The oldest missing byte always may,
    /// with one unit of alignment, so that the transfer goes on.
    pub(super) fn assignable_to(&self) -> u64 {
        let Settings { align_bytes, ahead_bytes_max, .. } = self.settings;
        ahead_bytes_max.map_or(u64::MAX, |bytes| {
            let whole_bytes = (bytes - bytes % align_bytes).max(align_bytes);
            self.ledger.delivered_to().saturating_add(whole_bytes)
        })
    }

    /// The worker has got something to receive.
    pub(super) fn begin(&mut self, connection: ConnectionId, span: Span) {
        let now = self.now;
        let worker = self.workers.entry(connection);
        worker.is_idle = false;
        worker.meter.on_span(now, span.start());
    }

    pub(super) fn fetch(&self, connection: ConnectionId, span: Span) -> Fetch {
        let view = self.view(connection);
        Fetch { span, lead_bytes: sizing::lead_bytes(&view, span.len()) }
    }

    pub(super) fn view(&self, connection: ConnectionId) -> sizing::View {
        let worker = self.workers.get(connection);
        let assignments = u32::try_from(self.ledger.assignment_count()).unwrap_or(u32::MAX);
        let ahead_bytes_max = self.settings.ahead_bytes_max.unwrap_or(u64::MAX);
        // Where a small first request costs a connection, the others' rate is better than none.
        let is_reconnecting = self.workers.closes_each_time(connection);
        let each =
            (is_reconnecting && self.measurements.each > 0.0).then_some(self.measurements.each);
        sizing::View {
            goodput: worker.and_then(|worker| worker.meter.goodput()).or(each),
            tau: self.workers.tau(connection).unwrap_or_default(),
            is_reconnecting,
            gap: if is_reconnecting {
                self.workers.reach(connection)
            } else {
                self.workers.tau(connection).unwrap_or_default()
            },
            jitter: worker.map_or(Duration::ZERO, |worker| worker.meter.jitter()),
            is_pipelined: self.sources.at(connection).is_ahead_on
                && self.workers.is_kept_alive(connection),
            previous_bytes: worker.and_then(|worker| worker.last_bytes),
            // Shares of what may be assigned at a time, or the first to ask would take all of it.
            unassigned_bytes: self.ledger.unassigned_bytes().min(ahead_bytes_max),
            goodput_all: self.measurements.rate,
            connections: self.count.target().saturating_sub(assignments).max(1),
        }
    }

    /// What an idle worker can expect of itself.
    pub(super) fn helper(&self, connection: ConnectionId) -> Helper {
        let worker = self.workers.get(connection);
        let goodput = worker.and_then(|worker| worker.meter.goodput());
        let is_connected = worker.is_some_and(|worker| worker.is_connected);
        // Without a connection it may go elsewhere.
        let own = self.sources.of(connection);
        let to = if is_connected { own } else { self.sources.next(self.now).unwrap_or(own) };
        let tau = self.workers.tau(connection).filter(|_| to == own);
        let tau = tau.unwrap_or(self.workers.tau_of(to));
        // A sender forgets its window after a retransmission time of idleness (RFC 5681 4.1).
        let idle = worker.map_or(Duration::MAX, |worker| worker.meter.silence(self.now));
        let is_warm = is_connected && idle < RETRANSMISSION_TIME_MIN + tau;
        Helper {
            goodput: goodput.unwrap_or(self.expected()),
            reach: if is_connected { tau } else { self.workers.reach_of(to).max(tau) },
            cold: (!is_warm).then_some(tau),
            must_connect: !is_connected,
        }
    }

    /// What a connection at work still has before it, `rest` of its span.
    pub(super) fn runner(&self, id: ConnectionId, rest: Span) -> Runner {
        let goodput = self.workers.get(id).and_then(|worker| worker.meter.goodput());
        // Who has never brought a byte and keeps silent is not expected to any more.
        let tau = self.workers.tau(id).unwrap_or_default();
        let silence = self.workers.get(id).map_or(Duration::ZERO, |it| it.meter.silence(self.now));
        let is_mute = silence >= MUTE_MIN.max(4 * tau);
        let expected = if is_mute { 0.0 } else { self.expected() };
        let age = self.workers.get(id).and_then(|it| it.meter.flowing_for(self.now));
        let is_young = age.is_some_and(|age| age < YOUNG_ROUND_TRIPS * tau);
        let growth = (is_young && !is_mute).then_some((tau, expected));
        let goodput = goodput.unwrap_or(expected);
        let wait = Duration::ZERO;
        let runner = Runner { id, rest, goodput, growth, wait };
        if self.sources.is_single() || is_mute { runner } else { self.cold(runner, tau, age) }
    }

    /// The same where there are several sources, of which one may be far away: a new connection
    /// there has its first byte and its slow start before it, whatever the last one brought.
    fn cold(&self, runner: Runner, tau: Duration, age: Option<Duration>) -> Runner {
        let Some(worker) = self.workers.get(runner.id) else { return runner };
        let is_young = age.is_none_or(|age| age < YOUNG_ROUND_TRIPS * tau);
        if worker.is_kept_alive || !is_young || tau.is_zero() {
            return runner;
        }
        let reach =
            if worker.is_connected { tau } else { self.workers.reach(runner.id).max(2 * tau) };
        let doublings = age.unwrap_or_default().as_secs_f64() / tau.as_secs_f64();
        let grown = endgame::FIRST_WINDOW_BYTES / tau.as_secs_f64() * doublings.exp2();
        let growth = Some((tau, runner.goodput));
        let wait = if age.is_some() { Duration::ZERO } else { reach };
        Runner { goodput: grown.min(runner.goodput), growth, wait, ..runner }
    }

    /// What a connection that has measured nothing is taken for: one like the others.
    fn expected(&self) -> f64 {
        if self.measurements.each > 0.0 { self.measurements.each } else { GOODPUT_UNKNOWN }
    }

    /// Logged when it has doubled or halved since the last time.
    fn note_size(&mut self, view: &sizing::View, bytes: u64) {
        let is_near = bytes < 2 * self.noted_bytes && 2 * bytes > self.noted_bytes;
        if !self.sizing.is_auto() || is_near {
            return;
        }
        self.noted_bytes = bytes;
        let text = match view.goodput {
            None => format!("{}: nothing is measured yet", size::format_bytes(bytes)),
            Some(goodput) => format!(
                "{} at {}, {:.0} ms to the first byte",
                size::format_bytes(bytes),
                size::format_rate(goodput),
                view.tau.as_secs_f64() * 1000.0
            ),
        };
        self.log.note(self.now, Choice::RequestSize, text);
    }

    /// Whether there is a source for the connection, be it the one that it is at.
    fn finds_source(&self, connection: ConnectionId) -> bool {
        let is_connected = self.workers.get(connection).is_some_and(|it| it.is_connected);
        is_connected || self.sources.has_room(self.now, connection)
    }

    /// A pause after a failure, or because the server asked for one.
    fn must_pause(&self, connection: ConnectionId) -> Option<Duration> {
        let worker = self.workers.get(connection)?;
        let own = worker.setback.map(|setback| setback.ready_at);
        let brake = self.sources.braked_until(connection, worker.is_kept_alive);
        own.max(Some(brake)).filter(|at| *at > self.now)
    }

    fn work_for(&mut self, connection: ConnectionId, tries: u32) -> Option<Next> {
        if let Some(fetch) = self.assign(connection, Slot::Now) {
            return Some(Next::Fetch(fetch));
        }
        if !self.workers.is_proven(connection) {
            return None;
        }
        if self.is_guarded || self.is_rate_limited() || !self.may_help(connection) {
            return None;
        }
        if tries <= STEAL_TRIES_MAX
            && let Some((saving, cut)) = self.find_cut(connection)
        {
            let Cut { victim, at } = cut;
            let saving = expected(saving);
            let text = format!("{connection} asks {victim} for what is behind {at}: {saving}");
            self.log.note(self.now, Choice::Cut, text);
            self.note_return(connection);
            self.ledger.set_proposal(cut.victim, Some(Proposal { thief: connection, tries }));
            return Some(Next::Steal { victim: cut.victim, at: cut.at });
        }
        self.hedge(connection)
    }

    /// Whether a connection without work may take some of another one's. Those that we have closed
    /// come back for that in small numbers only, as each costs the server a connection.
    fn may_help(&self, connection: ConnectionId) -> bool {
        let worker = self.workers.get(connection);
        let is_back = worker.is_some_and(|worker| worker.has_connected && !worker.is_connected);
        !is_back || self.may_return()
    }

    /// Whether one more connection may be made in the place of one that we have closed.
    pub(super) fn may_return(&self) -> bool {
        let earned = self.now.as_secs() / RETURN_TIME.as_secs();
        let allowed = (self.count.target() / RETURNS_SHARE).max(1);
        u64::from(self.returns) < u64::from(allowed) + earned
    }

    /// Counts a connection that comes back to help.
    fn note_return(&mut self, connection: ConnectionId) {
        let worker = self.workers.entry(connection);
        self.returns += u32::from(worker.has_connected && !worker.is_connected);
    }

    fn find_cut(&self, thief: ConnectionId) -> Option<(f64, Cut)> {
        let asked_by =
            |assignment: &Assignment| assignment.proposal().map(|proposal| proposal.thief);
        let free = self.ledger.assignments().filter(|(id, assignment)| {
            assert_ne!(
                asked_by(assignment),
                Some(thief),
                "a steal is reported before the next one"
            );
            // A cut closes the connection, and what it holds ahead would be lost with it.
            assignment.is_divisible() && self.ledger.ahead(*id).is_none()
        });
        // Without a rate nobody knows what a small cut would save.
        let is_measured = self.measurements.each > 0.0;
        let free = free.filter(|(_, assignment)| {
            is_measured
                || endgame::worth_splitting(assignment.unclaimed(), self.settings.block_bytes)
        });
        let pace = self.measurements.rate;
        let runners = free.map(|(id, assignment)| {
            let rtt = self.workers.tau(id).unwrap_or_default();
            (self.runner(id, assignment.unclaimed()), Price { rtt, pace })
        });
        let Settings { block_bytes, align_bytes, .. } = self.settings;
        endgame::best_cut(runners, self.helper(thief), Units { block_bytes, align_bytes })
    }

    fn hedge(&mut self, hedger: ConnectionId) -> Option<Next> {
        if self.hedge_bytes_left == 0 {
            return None;
        }
        let late = self.ledger.assignments().filter(|(_, assignment)| assignment.is_divisible());
        let runners =
            late.map(|(id, assignment)| self.runner(id, self.ledger.undelivered(assignment)));
        let (saving, victim) =
            endgame::best_hedge(runners, self.helper(hedger), self.hedge_bytes_left)?;
        let span = self.ledger.shadow(victim, hedger)?;
        self.note_return(hedger);
        self.begin(hedger, span);
        self.hedge_bytes_left = self.hedge_bytes_left.saturating_sub(span.len());
        let (saving, bytes) = (expected(saving), size::format_bytes(span.len()));
        let text = format!("{hedger} fetches {span:?} of {victim} too: {saving} for {bytes}");
        self.log.note(self.now, Choice::Hedge, text);
        Some(Next::Hedge { victim, span })
    }
}

/// The time that something is expected to save, in words.
fn expected(saving_s: f64) -> String {
    let is_stuck = saving_s >= STUCK_S;
    if is_stuck { "it is stuck".to_owned() } else { format!("saves {saving_s:.2} s") }
}
