//! One worker's loop, step by step: ask, connect, request, receive, ask ahead, finish or fail. Owns
//! the order of the calls the plan's contract lays down; must not know when they happen.

use super::{CRUMB_BYTES, Driver, id};
use crate::base::ErrorKind;
use crate::base::limits::STALL_TIMEOUT;
use crate::base::span::Span;
use crate::plan::{AheadFault, ConnectionId, Fetch, Next, Verdict};
use crate::sim::worker::{Job, State};
use crate::sim::world::{Dial, Reply};
use std::time::Duration;

/// Least the engine claims at a time.
const PIECE_BYTES_MIN: u64 = 64 * 1024;

impl Driver {
    /// What is due for the worker happens.
    pub(super) fn serve(&mut self, slot: usize) {
        let worker = &self.workers[slot];
        let stalls_s = worker.quiet_since_s + STALL_TIMEOUT.as_secs_f64();
        let is_broken = self.now_s >= self.world.breaks_at_s(slot);
        match worker.state {
            State::Off => {}
            State::Idle { .. } => self.ask(slot),
            State::Connecting { since_s, dial } => self.connected(slot, since_s, dial),
            State::Asked { .. } | State::Receiving if is_broken => {
                self.fail(slot, ErrorKind::ConnectionLost, None, false);
            }
            State::Asked { .. } | State::Receiving if self.now_s >= stalls_s => {
                self.fail(slot, ErrorKind::TimedOut, None, false);
            }
            State::Asked { reply } => self.answered(slot, reply),
            State::Receiving => {
                let job = worker.job.as_ref().expect("who receives holds a span");
                if job.rest() <= CRUMB_BYTES { self.finish(slot) } else { self.ask_ahead(slot) }
            }
        }
    }

    fn connected(&mut self, slot: usize, since_s: f64, dial: Dial) {
        match dial.outcome {
            Ok(address) => {
                let setup = Duration::from_secs_f64(self.now_s - since_s);
                self.workers[slot].link = (address, setup);
                self.workers[slot].is_parked = false;
                self.plan.on_connected(self.now(), id(slot), address, setup);
                self.request(slot);
            }
            Err(kind) => {
                self.book.push_backs += u64::from(kind == ErrorKind::Connect);
                self.fail(slot, kind, None, true);
            }
        }
    }

    fn request(&mut self, slot: usize) {
        let now = self.now();
        let worker = &mut self.workers[slot];
        let span = worker.job.as_ref().expect("a request is for a span").span();
        worker.quiet_since_s = self.now_s;
        self.plan.on_requested(now, id(slot), span.start());
        self.book.requests += 1;
        worker.state = State::Asked { reply: self.world.request(self.now_s, slot, span.len()) };
    }

    fn answered(&mut self, slot: usize, reply: Reply) {
        let now = self.now();
        match reply {
            Reply::Body { .. } => {
                let worker = &mut self.workers[slot];
                let start = worker.job.as_ref().expect("an answer is for a span").start;
                worker.state = State::Receiving;
                worker.quiet_since_s = self.now_s;
                self.plan.on_first_byte(now, id(slot), start);
                self.world.start(self.now_s, slot);
                self.is_stale = true;
            }
            Reply::Refused { kind, retry_after, .. } => {
                self.book.push_backs += 1;
                self.fail(slot, kind, retry_after, false);
            }
            Reply::Closed { .. } => self.ahead_refused(slot, AheadFault::Closed),
            Reply::Wrong { .. } => {
                self.ahead_refused(slot, AheadFault::WrongAnswer(ErrorKind::RangeMismatch));
            }
        }
    }

    fn ahead_refused(&mut self, slot: usize, why: AheadFault) {
        self.plan.on_ahead_refused(self.now(), id(slot), why);
        self.world.hang_up(self.now_s, slot);
        self.workers[slot].job = None;
        self.bell = true;
        self.ask(slot);
    }

    fn ask_ahead(&mut self, slot: usize) {
        let now = self.now();
        let worker = &mut self.workers[slot];
        worker.job.as_mut().expect("who receives holds a span").lead_bytes = 0;
        let Some(fetch) = self.plan.ahead(now, id(slot)) else { return };
        self.book.handed_out(fetch.span, false);
        self.plan.on_requested(now, id(slot), fetch.span.start());
        self.book.requests += 1;
        let reply = self.world.request_ahead(self.now_s, slot, fetch.span.len());
        worker.ahead = Some((Job::new(fetch), reply));
    }

    /// The worker's span is received to its end.
    fn finish(&mut self, slot: usize) {
        let end = self.workers[slot].job.as_ref().expect("what ends was begun").end;
        self.deliver(slot, end);
        let ahead = self.plan.on_finished(self.now(), id(slot));
        let own = self.workers[slot].ahead.as_ref().map(|(job, _)| job.span());
        assert_eq!(ahead, own, "plan and worker {slot} agree on the span ahead");
        self.world.stop(self.now_s, slot);
        self.is_stale = true;
        let is_kept = self.world.keeps_alive(self.now_s, slot);
        let worker = &mut self.workers[slot];
        worker.job = None;
        let closes = std::mem::take(&mut worker.closes);
        if closes || !is_kept {
            self.world.hang_up(self.now_s, slot);
        } else {
            self.plan.on_keep_alive(self.now(), id(slot));
        }
        match self.workers[slot].ahead.take() {
            None => self.ask(slot),
            Some(_) if !is_kept => self.ahead_refused(slot, AheadFault::Closed),
            Some((job, reply)) => self.go_on_with(slot, job, reply),
        }
    }

    /// The span ahead is the present one now.
    pub(super) fn go_on_with(&mut self, slot: usize, job: Job, reply: Reply) {
        let worker = &mut self.workers[slot];
        worker.job = Some(job);
        worker.quiet_since_s = self.now_s;
        if self.world.is_open(slot) {
            worker.state = State::Asked { reply }
        } else {
            self.begin(slot)
        }
    }

    /// Reports the worker's bytes up to `to`.
    pub(super) fn deliver(&mut self, slot: usize, to: u64) {
        let now = self.now();
        let job = self.workers[slot].job.as_mut().expect("what is delivered was fetched");
        if to > job.reported_to {
            let span = Span::new(job.reported_to, to);
            job.reported_to = to;
            let oldest = self.plan.delivered_to();
            let new_bytes = self.plan.on_delivered(now, id(slot), span);
            self.book.delivered(span, new_bytes);
            let is_bounded = self.settings.ahead_bytes_max.is_some();
            self.bell |= is_bounded && self.plan.delivered_to() > oldest;
        }
    }

    pub(super) fn fail(
        &mut self,
        slot: usize,
        kind: ErrorKind,
        retry_after: Option<Duration>,
        while_connecting: bool,
    ) {
        let job = self.workers[slot].job.as_ref().expect("who fails holds a span");
        let received_to = job.received_to();
        let complete_to = job.complete_to(self.settings.align_bytes);
        self.deliver(slot, complete_to);
        self.book.wasted_bytes += received_to - complete_to;
        let verdict =
            self.plan.on_failed(self.now(), id(slot), kind, retry_after, while_connecting);
        self.gave_up |= matches!(verdict, Verdict::GiveUp);
        self.world.hang_up(self.now_s, slot);
        self.is_stale = true;
        let worker = &mut self.workers[slot];
        (worker.job, worker.ahead, worker.closes) = (None, None, false);
        worker.state = State::Idle { until_s: f64::INFINITY };
        worker.quiet_since_s = self.now_s;
        self.bell = true;
    }

    /// A worker without a span asks what to do, and does it.
    pub(super) fn ask(&mut self, slot: usize) {
        let now = self.now();
        if !self.workers[slot].is_idle() {
            self.workers[slot].quiet_since_s = self.now_s;
        }
        self.book.questions += 1;
        let mut next = self.plan.next(now, id(slot));
        while let Next::Steal { victim, at } = next {
            let outcome = self.cut(victim, at);
            next = self.plan.on_steal(now, id(slot), victim, outcome);
            self.bell |= outcome.is_ok();
        }
        let until_s = match next {
            Next::Fetch(fetch) => {
                self.book.handed_out(fetch.span, false);
                return self.begin_with(slot, Job::new(fetch));
            }
            Next::Hedge { span, .. } => {
                self.book.handed_out(span, true);
                return self.begin_with(slot, Job::new(Fetch { span, lead_bytes: 0 }));
            }
            Next::Steal { .. } => unreachable!("steals are carried out above"),
            Next::WaitUntil(at) => {
                self.book.asked_in_vain(self.now_s, slot, Some(at));
                at.as_secs_f64()
            }
            Next::Wait => {
                self.book.asked_in_vain(self.now_s, slot, None);
                f64::INFINITY
            }
            Next::Retire => {
                // The connection is kept, for when the worker is wanted again.
                let worker = &mut self.workers[slot];
                worker.state = State::Off;
                (worker.is_parked, worker.quiet_since_s) = (true, self.now_s);
                return;
            }
            Next::Done | Next::Failed => {
                self.world.hang_up(self.now_s, slot);
                self.workers[slot].state = State::Off;
                return;
            }
        };
        self.workers[slot].state = State::Idle { until_s };
    }

    fn begin_with(&mut self, slot: usize, job: Job) {
        self.workers[slot].job = Some(job);
        self.begin(slot);
    }

    /// The worker's span is requested, on the connection there is or on a new one.
    fn begin(&mut self, slot: usize) {
        if !self.has_place(slot) {
            return self.let_go(slot);
        }
        if self.world.is_open(slot) {
            if std::mem::take(&mut self.workers[slot].is_parked) {
                let (address, setup) = self.workers[slot].link;
                self.plan.on_connected(self.now(), id(slot), address, setup);
            }
            return self.request(slot);
        }
        if let Some((address, setup_s)) = self.looked_at(slot) {
            let setup = Duration::from_secs_f64(setup_s);
            (self.workers[slot].link, self.workers[slot].is_parked) = ((address, setup), false);
            self.plan.on_connected(self.now(), id(slot), address, setup);
            return self.request(slot);
        }
        let order = self.plan.address_order(self.now(), id(slot));
        assert!(!order.is_empty(), "there is always an address to try");
        let dial = self.world.dial(self.now_s, slot, self.workers[slot].source, &order);
        self.workers[slot].state = State::Connecting { since_s: self.now_s, dial };
    }

    /// Makes sure that the worker knows whom to ask: where its connection leads, unless it is
    /// wanted elsewhere; `false` if no source takes another connection at the moment.
    fn has_place(&mut self, slot: usize) -> bool {
        if self.settings.sources == 1 {
            return true;
        }
        let now = self.now();
        let is_open = self.world.is_open(slot);
        if is_open && !self.workers[slot].is_parked && self.plan.stays(now, id(slot)) {
            return true;
        }
        let to = self.plan.route(now, id(slot));
        let source = to.map(|to| to.0 as usize);
        if source.is_none() || self.world.source_of(slot) != source {
            self.world.hang_up(self.now_s, slot);
            self.is_stale = true;
        }
        let (Some(id), Some(source)) = (to, source) else { return false };
        self.book.routed(id);
        let worker = &mut self.workers[slot];
        (worker.source, worker.is_parked) = (source, true);
        true
    }

    /// The address, and the time to connect in seconds, of a connection that a look has left where
    /// the worker goes.
    fn looked_at(&mut self, slot: usize) -> Option<(u32, f64)> {
        self.world.take_over(self.now_s, slot, self.workers[slot].source)
    }

    /// Nobody can be asked for the worker's span.
    fn let_go(&mut self, slot: usize) {
        self.plan.on_let_go(self.now(), id(slot));
        let worker = &mut self.workers[slot];
        (worker.job, worker.closes) = (None, false);
        worker.state = State::Idle { until_s: f64::INFINITY };
        worker.quiet_since_s = self.now_s;
    }

    /// The victim gives up what is behind `at`, or says up to where it has claimed bytes.
    fn cut(&mut self, victim: ConnectionId, at: u64) -> Result<u64, u64> {
        let worker = &mut self.workers[victim.0 as usize];
        let Some(job) = &mut worker.job else { return Err(at) };
        // What comes within about 100 ms, as the engine does.
        let most_bytes = self.settings.block_bytes;
        let piece_bytes = [PIECE_BYTES_MIN, 2 * PIECE_BYTES_MIN, 4 * PIECE_BYTES_MIN]
            .into_iter()
            .find(|bytes| *bytes as f64 >= 0.1 * self.world.rate(victim.0 as usize));
        let claimed_to = job.claimed_to(piece_bytes.unwrap_or(most_bytes).min(most_bytes));
        if at <= job.start || at < claimed_to || at >= job.end {
            return Err(claimed_to);
        }
        job.end = at;
        job.lead_bytes = 0;
        self.book.cuts += 1;
        // Its answer runs on behind the cut: the connection ends with it, and so does what was
        // asked for ahead, which the plan takes back.
        worker.ahead = None;
        worker.closes |= matches!(worker.state, State::Asked { .. } | State::Receiving);
        Ok(at)
    }
}
