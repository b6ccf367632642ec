//! Random histories of several connections, checked after each step against a bitmap of the file.

mod strategies;

use crate::base::ErrorKind;
use crate::base::limits::RETRY_WAIT_MAX;
use crate::base::span::{Span, SpanSet};
use crate::plan::ledger::Owner;
use crate::plan::retry::{self, Class};
use crate::plan::{
    Action, AheadFault, ConnectionId, Fanout, Fetch, Next, Pressure, RequestSize, Settings,
    SourceId, Transfer, Unopened, Verdict,
};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::time::Duration;
use strategies::{aligned, delivered, ops, settings};

const WORKERS: usize = 4;

/// One byte of the file as the model sees it.
#[derive(Debug, Clone, Copy)]
struct Byte {
    owner: Owner,
    /// Failures in a row of the stretch it belongs to.
    failures: u32,
    ready_at: Duration,
    /// Assigned before there was a plan, and so at any distance.
    is_adopted: bool,
}

/// What a worker of the engine knows.
#[derive(Debug, Clone, Default)]
struct Worker {
    job: Option<Job>,
    /// What it has asked for beyond that.
    ahead: Option<Span>,
    /// The victim's answer to a proposal that the plan does not know yet.
    answer: Option<(ConnectionId, Result<u64, u64>)>,
    /// Failures that nobody was charged with, and the bytes delivered at the last one.
    forgiven: (u32, usize),
}

#[derive(Debug, Clone, Copy)]
struct Job {
    span: Span,
    claimed_to: u64,
    /// The bytes are another worker's, or its own and another one fetches them too.
    is_shared: bool,
    shadows: Option<ConnectionId>,
}

#[derive(Debug, Clone, Copy)]
enum Op {
    Next,
    Report,
    Ahead,
    Refuse,
    KeepAlive,
    Tick,
    Claim { quarters: u64 },
    Deliver { skip: u64, units: u64 },
    Finish,
    Fail(ErrorKind),
    Move,
    Route,
    Look { opens: bool, useless: bool },
    Sample,
    Limit { connections: u32 },
    Pass { millis: u64 },
}

struct Model {
    transfer: Transfer,
    settings: Settings,
    bytes: Vec<Byte>,
    /// What a disk that takes no byte twice has taken, by its own account.
    disk: SpanSet,
    workers: Vec<Worker>,
    now: Duration,
    is_failed: bool,
    /// This machine has refused a connection.
    is_short: bool,
    /// The most connections that are allowed now.
    connections_max: u32,
    /// Sources that are looked at, and those that were found to be of no use.
    looks: BTreeSet<SourceId>,
    useless: BTreeSet<SourceId>,
}

impl Model {
    fn new(total_bytes: u64, settings: Settings, delivered: &SpanSet) -> Self {
        let byte = |offset| {
            let is_delivered = delivered.span_at(offset).is_some();
            let owner = if is_delivered { Owner::Delivered } else { Owner::Unassigned };
            Byte { owner, failures: 0, ready_at: Duration::ZERO, is_adopted: false }
        };
        Self {
            transfer: Transfer::resume(total_bytes, settings, delivered),
            settings,
            bytes: (0..total_bytes).map(byte).collect(),
            disk: delivered.clone(),
            workers: vec![Worker::default(); WORKERS],
            now: Duration::ZERO,
            is_failed: false,
            is_short: false,
            connections_max: u32::MAX,
            looks: BTreeSet::new(),
            useless: BTreeSet::new(),
        }
    }

    /// The first answer, of any size, comes before the plan. It is for the start of some gap.
    fn adopt(&mut self, bytes: u64, delivered: &SpanSet, skipped: u64) {
        let bytes = bytes.next_multiple_of(self.settings.align_bytes);
        let from = skipped.next_multiple_of(self.settings.align_bytes).min(self.total_bytes());
        // In the middle of a gap there is nothing to adopt.
        let is_start = from == 0 || delivered.span_at(from - 1).is_some();
        let from = if is_start { from } else { 0 };
        let gap = delivered.first_gap(Span::new(from, self.total_bytes()));
        let Some(gap) = gap.filter(|_| bytes > 0) else { return };
        let (span, _) = gap.split_at(gap.start() + bytes);
        self.transfer.adopt(self.now, id(0), 0, span);
        self.assign(0, span);
        self.slice(span).iter_mut().for_each(|byte| byte.is_adopted = true);
        self.start(0, span, None);
    }

    fn total_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn slice(&mut self, span: Span) -> &mut [Byte] {
        &mut self.bytes[at(span.start())..at(span.end())]
    }

    fn step(&mut self, worker: usize, op: Op) {
        let id = id(worker);
        match (op, self.workers[worker].job) {
            (Op::Pass { millis }, _) => self.now += Duration::from_millis(millis),
            (Op::Next, None) if self.workers[worker].answer.is_none() => {
                let next = self.transfer.next(self.now, id);
                self.obey(worker, next);
            }
            (Op::Report, None) => self.report(worker),
            (Op::Ahead, Some(job)) if self.workers[worker].ahead.is_none() => {
                self.ahead(worker, job);
            }
            (Op::Refuse, _) if self.workers[worker].ahead.is_some() => {
                self.transfer.on_ahead_refused(self.now, id, AheadFault::Closed);
                self.take_back(worker);
            }
            (Op::KeepAlive, _) => self.transfer.on_keep_alive(self.now, id),
            (Op::Tick, _) => self.tick(),
            (Op::Claim { quarters }, Some(job)) => {
                let to = job.claimed_to + (job.span.end() - job.claimed_to) * quarters / 4;
                self.set_claim(worker, to);
            }
            (Op::Sample, Some(job)) => self.transfer.on_progress(self.now, id, job.claimed_to),
            (Op::Deliver { skip, units }, Some(job)) => self.deliver(worker, job, skip, units),
            (Op::Finish, Some(job)) => self.finish(worker, job),
            (Op::Fail(kind), Some(_)) => self.fail(worker, kind),
            (Op::Limit { connections }, _) => {
                self.transfer.set_connections_max(self.now, connections);
                self.connections_max = connections;
            }
            (Op::Route, Some(_)) => self.route(worker),
            (Op::Look { opens, useless }, _) => self.look(opens, useless),
            (Op::Move, _) => self.transfer.on_new_addresses(self.now, ConnectionId(0), 1),
            // The operation does not apply to this worker now.
            (_, _) => {}
        }
        self.check();
    }

    /// The worker connects, where it may.
    fn route(&mut self, worker: usize) {
        if let Some(source) = self.transfer.route(self.now, id(worker)) {
            assert!(self.transfer.is_source_open(source) && !self.useless.contains(&source));
            self.transfer.on_connected(self.now, id(worker), 0, Duration::from_millis(1));
            return;
        }
        self.transfer.on_let_go(self.now, id(worker));
        self.take_back(worker);
        let job = self.workers[worker].job.take().expect("only with a job");
        if job.shadows.is_none() {
            let failures = self.failures(job);
            self.give_back(worker, Some((failures, self.now)));
        }
    }

    /// One look at a source ends, or those that are wanted begin.
    fn look(&mut self, opens: bool, useless: bool) {
        let wanted = self.transfer.sources_to_open(self.now);
        for source in wanted {
            assert!(!self.transfer.is_source_open(source) && !self.useless.contains(&source));
            assert!(self.looks.insert(source), "{source} is looked at already");
        }
        let Some(source) = self.looks.pop_first() else { return };
        if opens {
            return self.transfer.on_source_opened(self.now, source, 1);
        }
        let kind = ErrorKind::Connect;
        let why = if useless { Unopened::Useless } else { Unopened::Failed(kind) };
        self.transfer.on_source_unopened(self.now, source, why);
        if useless {
            self.useless.insert(source);
        }
    }

    /// Whether a failure of this kind sends the worker's bytes to another source.
    fn fails_over(&self, worker: usize, kind: ErrorKind) -> bool {
        let sources = &self.transfer.sources;
        retry::is_of_source(kind) && sources.has_other(sources.of(id(worker)))
    }

    fn set_claim(&mut self, worker: usize, to: u64) {
        let job = self.workers[worker].job.as_mut().expect("only with a job");
        job.claimed_to = job.claimed_to.max(to);
    }

    fn obey(&mut self, worker: usize, next: Next) {
        match next {
            Next::Fetch(Fetch { span, .. }) => {
                self.check_order(worker, span);
                self.assign(worker, span);
                self.start(worker, span, None);
            }
            Next::Hedge { victim, span } => {
                let job = self.workers[index(victim)].job.as_mut().expect("a victim has a job");
                assert!(job.span.covers(span) && span.end() == job.span.end());
                job.is_shared = true;
                assert_ne!(self.bytes[at(span.start())].owner, Owner::Delivered);
                self.start(worker, span, Some(victim));
            }
            Next::Retire => {
                let may_shrink = match self.settings.fanout {
                    Fanout::Auto { .. } => true,
                    Fanout::Fixed(connections) => {
                        self.is_short || self.connections_max < connections
                    }
                };
                assert!(may_shrink, "nothing asks for fewer");
            }
            Next::Steal { victim, at } => {
                assert_eq!(self.workers[index(victim)].ahead, None, "it would be lost");
                let job = self.workers[index(victim)].job.as_mut().expect("a victim has a job");
                assert!(job.span.start() < at && at < job.span.end(), "{at} cuts {job:?}");
                let agreed = job.claimed_to <= at;
                if agreed {
                    job.span = Span::new(job.span.start(), at);
                }
                let outcome = if agreed { Ok(at) } else { Err(job.claimed_to) };
                self.workers[worker].answer = Some((victim, outcome));
            }
            Next::WaitUntil(at) => assert!(at > self.now, "waiting for the past"),
            Next::Wait => {
                let busy = self.workers.iter().any(|w| w.job.is_some() || w.answer.is_some());
                assert!(busy, "somebody must make the next event");
            }
            Next::Done => assert!(self.bytes.iter().all(|byte| byte.owner == Owner::Delivered)),
            Next::Failed => assert!(self.is_failed),
        }
    }

    /// Nothing that rests, and nothing ready below it unless the worker skips all holes.
    fn check_order(&mut self, worker: usize, span: Span) {
        let now = self.now;
        if let RequestSize::Fixed(bytes) = self.settings.request {
            assert!(span.len() <= bytes.next_multiple_of(self.settings.align_bytes));
        }
        assert!(self.slice(span).iter().all(|byte| byte.ready_at <= now), "{span} rests");
        let is_ready = |byte: &Byte| byte.owner == Owner::Unassigned && byte.ready_at <= now;
        let lowest = self.bytes.iter().position(is_ready).expect("the span is unassigned") as u64;
        let skips_holes = !self.transfer.workers.is_proven(id(worker));
        let is_tail = self.bytes[at(span.start())..]
            .iter()
            .all(|byte| byte.owner == Owner::Unassigned && byte.failures == 0);
        assert!(lowest == span.start() || (skips_holes && is_tail), "{span} is not the lowest");
    }

    fn assign(&mut self, worker: usize, span: Span) {
        assert!(!span.is_empty());
        for byte in self.slice(span) {
            assert_eq!(byte.owner, Owner::Unassigned, "{span} has an owner");
            byte.owner = Owner::Assigned(id(worker));
        }
    }

    fn start(&mut self, worker: usize, span: Span, shadows: Option<ConnectionId>) {
        let (claimed_to, is_shared) = (span.start(), shadows.is_some());
        self.workers[worker].job = Some(Job { span, claimed_to, is_shared, shadows });
    }

    fn ahead(&mut self, worker: usize, job: Job) {
        let Some(fetch) = self.transfer.ahead(self.now, id(worker)) else { return };
        assert!(!job.is_shared, "a shared span may end at any time");
        self.check_order(worker, fetch.span);
        self.assign(worker, fetch.span);
        self.workers[worker].ahead = Some(fetch.span);
    }

    /// The span ahead is nobody's again, without a penalty.
    fn take_back(&mut self, worker: usize) {
        if let Some(span) = self.workers[worker].ahead.take() {
            for byte in self.slice(span) {
                assert_eq!(byte.owner, Owner::Assigned(id(worker)));
                (byte.owner, byte.ready_at) = (Owner::Unassigned, Duration::ZERO);
                byte.is_adopted = false;
            }
        }
    }

    fn tick(&mut self) {
        for (worker, job) in (0..).zip(self.workers.clone()) {
            if let Some(job) = job.job {
                self.transfer.on_progress(self.now, id(worker), job.claimed_to);
            }
        }
        let actions = self.transfer.on_tick(self.now, Pressure::default());
        let named: BTreeSet<ConnectionId> = actions.iter().map(|it| it.connection()).collect();
        assert_eq!(named.len(), actions.len(), "each connection once: {actions:?}");
        for action in actions {
            match action {
                Action::TakeBack(victim) => {
                    assert!(self.workers[index(victim)].ahead.is_some());
                    self.take_back(index(victim));
                }
                Action::Abort(victim) => {
                    let job = self.workers[index(victim)].job.expect("it fetches still");
                    self.finish(index(victim), job);
                    let left = self.workers[index(victim)].job;
                    assert!(left.is_none_or(|left| left.span != job.span), "all is there");
                }
                Action::Replace(victim) => self.replaced(index(victim)),
            }
        }
    }

    fn delivered(&self) -> usize {
        self.bytes.iter().filter(|byte| byte.owner == Owner::Delivered).count()
    }

    /// As many failures in a row as are retried, and one more, while the file does not grow.
    fn forgive(&mut self, worker: usize) -> bool {
        let delivered = self.delivered();
        let forgiven = &mut self.workers[worker].forgiven;
        let earlier = if forgiven.1 == delivered { forgiven.0 } else { 0 };
        *forgiven = (earlier + 1, delivered);
        earlier <= self.settings.retries
    }

    /// Our own doing: nothing is counted as long as it is forgiven, and nothing rests.
    fn replaced(&mut self, worker: usize) {
        if !self.fails_over(worker, ErrorKind::TimedOut) && !self.forgive(worker) {
            return self.fail(worker, ErrorKind::TimedOut);
        }
        let verdict =
            self.transfer.on_failed(self.now, id(worker), ErrorKind::TimedOut, None, false);
        if !self.is_failed {
            assert_eq!(verdict, Verdict::Retry { at: self.now });
        }
        self.take_back(worker);
        let failures = self.workers[worker].job.take().map(|job| self.failures(job)).unwrap_or(0);
        self.give_back(worker, Some((failures, self.now)));
    }

    /// Failures of what is left of a job.
    fn failures(&mut self, job: Job) -> u32 {
        let undelivered = |byte: &&mut Byte| byte.owner != Owner::Delivered;
        self.slice(job.span).iter_mut().find(undelivered).map_or(0, |byte| byte.failures)
    }

    fn report(&mut self, worker: usize) {
        let Some((victim, outcome)) = self.workers[worker].answer.take() else { return };
        let next = self.transfer.on_steal(self.now, id(worker), victim, outcome);
        // A tail that its victim still holds changes hands; otherwise the thief got what was free.
        if let (Ok(new_end), Next::Fetch(Fetch { span, .. })) = (outcome, next)
            && span.start() == new_end
            && self.bytes[at(new_end)].owner == Owner::Assigned(victim)
        {
            for byte in self.slice(span) {
                assert_eq!(byte.owner, Owner::Assigned(victim), "{span} was not the victim's");
                byte.owner = Owner::Unassigned;
            }
            self.assign(worker, span);
            self.start(worker, span, None);
        } else {
            self.obey(worker, next);
        }
    }

    /// Delivers an aligned run of undelivered bytes of the worker's span.
    fn deliver(&mut self, worker: usize, job: Job, skip: u64, units: u64) {
        let align_bytes = self.settings.align_bytes;
        let start = (job.span.start() + skip * align_bytes).min(job.span.end());
        let wanted = Span::with_len(start, units * align_bytes).intersect(job.span);
        // What two fetch arrives twice.
        let undelivered =
            |offset: &u64| job.is_shared || self.bytes[at(*offset)].owner != Owner::Delivered;
        let len = (wanted.start()..wanted.end()).take_while(undelivered).count() as u64;
        let span = Span::with_len(wanted.start(), len);
        if !span.is_empty() {
            self.deliver_span(worker, span);
        }
    }

    fn deliver_span(&mut self, worker: usize, span: Span) {
        for new in self.transfer.undelivered(span) {
            assert_eq!(self.disk.insert(new), new.len(), "{new} is delivered a second time");
        }
        let new_bytes = self.transfer.on_delivered(self.now, id(worker), span);
        let job = self.workers[worker].job.expect("who delivers has a job");
        let owner = job.shadows.unwrap_or(id(worker));
        let undelivered = |byte: &&mut Byte| byte.owner != Owner::Delivered;
        let mut expected_bytes = 0;
        for byte in self.slice(span).iter_mut().filter(undelivered) {
            assert_eq!(byte.owner, Owner::Assigned(owner));
            byte.owner = Owner::Delivered;
            expected_bytes += 1;
        }
        assert_eq!(new_bytes, expected_bytes);
        // All of the owner's stretch, an end that a thief has not reported yet included.
        let ahead = self.workers[index(owner)].ahead.unwrap_or(Span::new(0, 0));
        for (offset, byte) in (0..).zip(&mut self.bytes) {
            if new_bytes > 0 && byte.owner == Owner::Assigned(owner) && !ahead.contains(offset) {
                byte.failures = 0;
            }
        }
        self.set_claim(worker, span.end());
    }

    /// Only if the plan may be told so: all of the span up to its agreed end is delivered.
    fn finish(&mut self, worker: usize, job: Job) {
        if self.slice(job.span).iter().all(|byte| byte.owner == Owner::Delivered) {
            let ahead = self.transfer.on_finished(self.now, id(worker));
            assert_eq!(ahead, self.workers[worker].ahead.take());
            self.workers[worker].job = None;
            self.disown(worker);
            match ahead {
                // What a thief has agreed to take and not reported is nobody's.
                None => self.give_back(worker, None),
                Some(span) => self.start(worker, span, None),
            }
        }
    }

    fn fail(&mut self, worker: usize, kind: ErrorKind) {
        let is_connecting = kind == ErrorKind::ResourceLimit;
        let fails_over = self.fails_over(worker, kind);
        let is_hopeful = {
            let sources = &self.transfer.sources;
            retry::is_of_source(kind) && sources.has_hope(sources.of(id(worker)))
        };
        let is_awaited = {
            let sources = &self.transfer.sources;
            retry::is_of_source(kind) && sources.is_opening_other(sources.of(id(worker)))
        };
        let verdict = self.transfer.on_failed(self.now, id(worker), kind, None, is_connecting);
        self.is_short |= is_connecting && matches!(verdict, Verdict::Retry { .. });
        self.take_back(worker);
        let job = self.workers[worker].job.take().expect("who fails had a span");
        if job.shadows.is_some() {
            let expected = Verdict::Retry { at: self.now };
            assert_eq!(verdict, if self.is_failed { Verdict::GiveUp } else { expected });
            return;
        }
        // A span whose bytes are all delivered has nothing left to retry, but failed all the same.
        let earlier = self.failures(job);
        if fails_over {
            let expected = Verdict::Retry { at: self.now };
            assert_eq!(verdict, if self.is_failed { Verdict::GiveUp } else { expected });
            return self.give_back(worker, Some((earlier, self.now)));
        }
        if is_awaited {
            // Another source is being opened: nothing is counted, and it is waited for.
            let Verdict::Retry { at } = verdict else { panic!("another source may have it") };
            assert!(at >= self.now && at <= self.now + RETRY_WAIT_MAX);
            return self.give_back(worker, Some((earlier, at)));
        }
        let is_crowd_kind = matches!(kind, ErrorKind::Status(403) | ErrorKind::ResourceLimit);
        if let Verdict::Retry { at } = verdict
            && is_crowd_kind
            && !(is_hopeful && at > self.now)
        {
            // Because of the others, so that nothing is counted and nothing rests.
            assert_eq!(at, self.now);
            assert!(!is_connecting || self.workers.iter().any(|other| other.job.is_some()));
            return self.give_back(worker, Some((earlier, self.now)));
        }
        let is_final = retry::class(kind) == Class::Never && !is_hopeful;
        let hopeless = is_final || earlier >= self.settings.retries;
        self.is_failed |= hopeless;
        match verdict {
            Verdict::GiveUp => assert!(self.is_failed, "gave up at failure {}", earlier + 1),
            Verdict::Retry { at } => {
                assert!(!self.is_failed, "no more than the budget");
                assert!(at >= self.now && at <= self.now + RETRY_WAIT_MAX);
                self.give_back(worker, Some((earlier + 1, at)));
                return;
            }
        }
        self.give_back(worker, Some((earlier + 1, self.now)));
    }

    /// Who shadows this worker's bytes owns them now, or they are all delivered.
    fn disown(&mut self, worker: usize) -> Option<usize> {
        let heir = self
            .workers
            .iter()
            .position(|other| other.job.is_some_and(|job| job.shadows == Some(id(worker))))?;
        let job = self.workers[heir].job.as_mut().expect("found by it");
        job.shadows = None;
        Some(heir)
    }

    fn give_back(&mut self, worker: usize, failure: Option<(u32, Duration)>) {
        if let Some(heir) = self.disown(worker) {
            for byte in &mut self.bytes {
                if byte.owner == Owner::Assigned(id(worker)) {
                    byte.owner = Owner::Assigned(id(heir));
                }
            }
            return;
        }
        for byte in &mut self.bytes {
            if byte.owner == Owner::Assigned(id(worker)) {
                (byte.owner, byte.is_adopted) = (Owner::Unassigned, false);
                if let Some((failures, ready_at)) = failure {
                    byte.failures = failures;
                    byte.ready_at = ready_at;
                }
            }
        }
    }

    fn check(&mut self) {
        self.transfer.invariants();
        for (offset, byte) in (0..).zip(&self.bytes) {
            assert_eq!(self.transfer.ledger.owner(offset), byte.owner, "byte {offset}");
        }
        self.check_bound();
        let delivered = self.delivered();
        assert_eq!(self.transfer.delivered_bytes(), delivered as u64);
        assert_eq!(self.disk.covered(), delivered as u64, "all that counts was delivered, once");
        assert_eq!(self.transfer.remaining_bytes(), self.total_bytes() - delivered as u64);
        let wanted = self.transfer.connections_wanted(self.now);
        let is_over = self.is_failed || self.transfer.is_complete();
        assert_eq!(wanted == 0, is_over, "{wanted} connections are wanted");
        assert!(wanted as usize <= WORKERS && wanted <= self.connections_max);
    }

    /// No byte is assigned that lies beyond the bound. The oldest missing byte only moves up, so
    /// what was assigned rightly once stays so.
    fn check_bound(&self) {
        let is_missing = |byte: &Byte| byte.owner != Owner::Delivered;
        let oldest = self.bytes.iter().position(is_missing).unwrap_or(self.bytes.len());
        assert_eq!(self.transfer.delivered_to(), oldest as u64);
        let Settings { align_bytes, ahead_bytes_max, .. } = self.settings;
        let Some(bytes_max) = ahead_bytes_max else { return };
        let units = (bytes_max / align_bytes).max(1);
        let bound = units.saturating_mul(align_bytes).saturating_add(oldest as u64);
        for (offset, byte) in (0..).zip(&self.bytes).skip_while(|(offset, _)| *offset < bound) {
            let is_assigned = matches!(byte.owner, Owner::Assigned(_));
            assert!(!is_assigned || byte.is_adopted, "byte {offset} lies beyond {bound}");
        }
    }

    /// Faults are over: each worker does what it is told, and the transfer ends.
    fn finish_all(&mut self) {
        // A round moves each worker on by one span; a wait costs a round at most.
        let rounds_max = 2 * self.total_bytes() + 100;
        for _ in 0..rounds_max {
            for worker in 0..WORKERS {
                if let Some(job) = self.workers[worker].job {
                    for offset in job.span.start()..job.span.end() {
                        if offset.is_multiple_of(self.settings.align_bytes) {
                            let skip = (offset - job.span.start()) / self.settings.align_bytes;
                            self.deliver(worker, job, skip, 1);
                        }
                    }
                    self.step(worker, Op::Finish);
                }
                self.step(worker, Op::Report);
                self.step(worker, Op::Next);
            }
            self.step(0, Op::Tick);
            if self.is_failed || self.transfer.is_complete() {
                return;
            }
            self.now += Duration::from_secs(1);
        }
        panic!("no end after {rounds_max} rounds: {:?}", self.transfer);
    }
}

fn id(worker: usize) -> ConnectionId {
    ConnectionId(u32::try_from(worker).unwrap())
}

fn at(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}

fn index(connection: ConnectionId) -> usize {
    connection.0 as usize
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn any_history_keeps_the_partition_and_ends(
        total_bytes in 0..160u64,
        settings in settings(),
        delivered in delivered(),
        adopted_bytes in 0..120u64,
        skipped_bytes in 0..160u64,
        history in prop::collection::vec((0..WORKERS, ops()), 0..250),
    ) {
        let delivered = aligned(&delivered, total_bytes, settings.align_bytes);
        let mut model = Model::new(total_bytes, settings, &delivered);
        model.adopt(adopted_bytes, &delivered, skipped_bytes);
        for (worker, op) in history {
            model.step(worker, op);
        }
        model.finish_all();
        prop_assert!(model.is_failed || model.transfer.is_complete());
    }
}
