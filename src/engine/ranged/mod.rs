//! A file fetched in spans: what its workers share, over all shards, and the tick that steers them.

pub(super) mod blame;
mod proving;
pub(super) mod scout;
pub(super) mod settings;
mod steering;
pub(super) mod supervisor;
pub(super) mod worker;

use super::context::{Context, jitter_seed};
use super::failure::{Failure, Stage};
use super::local::Local;
use super::progress::{Level, SourceReport};
use super::receive::claim::Claim;
use super::receive::sink::Destination;
use super::source::connection::Connection;
use super::source::contest::all_failed;
use super::source::endpoint::Endpoint;
use super::source::follow::FirstTimes;
use super::source::twin::Twin;
use super::source::{Renewed, Source};
use super::trace::Trace;
use crate::base::{Error, ErrorKind, Result, Span, SpanSet, Url};
use crate::digest::Checksum;
use crate::io::socket::{SocketHandle, TcpInfo};
use crate::plan::retry::is_of_source;
use crate::plan::{
    AheadFault, Arrival, ConnectionId, Fetch, Next, Settings, SourceId, Transfer, Verdict,
};
use proving::Jury;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// The plan with its one lock, and everything a worker needs to carry its answers out.
pub(in crate::engine) struct Ranged {
    pub(in crate::engine) context: Arc<Context>,
    /// Where the file can be had; at least one, and numbered as the plan has them.
    sources: Vec<Arc<Source>>,
    /// The one that the transfer began with.
    first: SourceId,
    /// Which of them agree.
    jury: Mutex<Jury>,
    file: File,
    pub(in crate::engine) to: Destination,
    pub(in crate::engine) trace: Option<Arc<Trace>>,
    plan: Mutex<Transfer>,
    workers: Mutex<BTreeMap<ConnectionId, WorkerState>>,
    /// Rings when waiting workers may find something to do.
    pub(in crate::engine) bell: Notify,
    /// The transfer has failed or was stopped: workers hand over what they have, and end.
    is_halted: AtomicBool,
    /// It has been said that this machine grants no more connections.
    is_shortage_told: AtomicBool,
}

/// The file, whichever source serves it.
#[derive(Debug, Clone)]
pub(in crate::engine) struct File {
    /// Its size.
    pub(in crate::engine) total_bytes: u64,
    /// Its digest, if that is known; it is compared at the end.
    pub(in crate::engine) expected: Option<Checksum>,
    /// The digests of its pieces are known; they are compared as they come.
    pub(in crate::engine) has_pieces: bool,
    /// Sources that the caller has named, the first ones; a server has named the others, and they
    /// have no say where they contradict one of these.
    pub(in crate::engine) named: u32,
    /// What is fetched can be read back, and so be compared.
    pub(in crate::engine) is_readable: bool,
}

impl File {
    /// Whether digests decide what its bytes are: its own, or those of its pieces.
    pub(in crate::engine) fn has_digest(&self) -> bool {
        self.expected.is_some() || self.has_pieces
    }
}

/// A worker as others see it.
#[derive(Default)]
struct WorkerState {
    /// Whom it asks, once it has asked anybody.
    source: Option<SourceId>,
    /// Who else has brought bytes of its present span, which may be in one block with others.
    former: Vec<SourceId>,
    /// The span it receives.
    claim: Option<Arc<Claim>>,
    socket: Option<SocketHandle>,
    /// Its bytes have been delivered by another one.
    is_aborted: bool,
    /// Its connection was shut because it lags behind.
    is_replaced: bool,
}

impl Ranged {
    /// A plan in which `delivered` is in the file and connection 0 already receives `first` from
    /// its source, which is open.
    pub(in crate::engine) fn new(
        context: &Arc<Context>,
        sources: Vec<Arc<Source>>,
        file: File,
        to: Destination,
        trace: Option<Arc<Trace>>,
        delivered: &SpanSet,
        first: &FirstSpan,
    ) -> (Arc<Self>, Fetch) {
        let endpoint = sources[first.source.0 as usize].endpoint();
        let count = u32::try_from(sources.len()).expect("sources are numbered");
        let settings = Settings {
            sources: count,
            first_source: first.source,
            ..settings::settings(context, &file, &endpoint, to.hashing.is_some())
        };
        let mut plan = Transfer::resume(file.total_bytes, settings, delivered);
        plan.set_connections_max(first.times.connected, context.connections_limit());
        let (id, address) = (ConnectionId(0), first.address);
        plan.on_connected(first.times.connected, id, address, first.setup);
        plan.on_requested(first.times.requested, id, first.span.start());
        let lead_bytes = plan.adopt(context.now(), id, address, first.span);
        let ranged = Arc::new(Self {
            context: context.clone(),
            sources,
            first: first.source,
            jury: Mutex::new(Jury::of(first.source)),
            file,
            to,
            trace,
            plan: Mutex::new(plan),
            workers: Mutex::default(),
            bell: Notify::new(),
            is_halted: AtomicBool::new(false),
            is_shortage_told: AtomicBool::new(false),
        });
        ranged
            .workers()
            .insert(id, WorkerState { source: Some(first.source), ..Default::default() });
        (ranged, Fetch { span: first.span, lead_bytes })
    }

    /// What the URL leads to at the moment of the source that has brought most.
    pub(in crate::engine) fn url(&self) -> Url {
        let open = self.sources.iter().filter(|source| source.opened().is_some());
        let most = open.max_by_key(|source| source.tally.bytes());
        most.expect("one source was open").endpoint().url().clone()
    }

    /// What each of several sources brought; nothing if there is only one.
    pub(in crate::engine) fn account(&self) -> Vec<SourceReport> {
        let sources = self.sources.iter().filter(|_| !self.is_single());
        let report = |source: &Arc<Source>| SourceReport {
            url: source.url().clone(),
            bytes: source.tally.bytes(),
            connects: source.tally.connects(),
            failures: source.tally.failures(),
            error: source.tally.last_error(),
        };
        sources.map(report).collect()
    }

    /// Whether there is only one source.
    pub(in crate::engine) fn is_single(&self) -> bool {
        self.sources.len() == 1
    }

    /// How many workers the plan wants, the first one included.
    pub(in crate::engine) fn connections_wanted(&self) -> u32 {
        self.plan().connections_wanted(self.context.now()).max(1)
    }

    /// Workers that are to be started now, no more than have connections to hope for, be they new
    /// or one of `idle`; they count as running from here on.
    pub(in crate::engine) fn to_start(&self, idle: u32) -> Vec<u32> {
        let wanted = self.plan().connections_wanted(self.context.now());
        let budget = &self.context.client.budget;
        let open = self.sources.iter().filter_map(|source| source.opened());
        let permits = open.fold(idle, |permits, open| {
            permits.saturating_add(budget.available(open.endpoint.origin()))
        });
        let mut workers = self.workers();
        let missing = (wanted as usize).saturating_sub(workers.len()).min(permits as usize);
        let mut started = Vec::new();
        for id in 0.. {
            if started.len() == missing {
                break;
            }
            if let Entry::Vacant(place) = workers.entry(ConnectionId(id)) {
                place.insert(WorkerState::default());
                started.push(id);
            }
        }
        started
    }

    /// Sources that are to be looked at now.
    pub(in crate::engine) fn to_scout(&self) -> Vec<SourceId> {
        if self.is_single() { Vec::new() } else { self.plan().sources_to_open(self.context.now()) }
    }

    /// The worker has ended; its id may be started again.
    pub(in crate::engine) fn retired(&self, id: ConnectionId) {
        self.workers().remove(&id);
    }

    /// What the connection does next; steals are carried out on the way. All under one lock: a
    /// victim that ended in between could be cut in a span the plan does not mean.
    pub(in crate::engine) fn next(&self, id: ConnectionId) -> Next {
        let mut steals = Vec::new();
        let mut plan = self.plan();
        self.report_positions(&mut plan);
        let mut next = plan.next(self.context.now(), id);
        while let Next::Steal { victim, at } = next {
            let outcome = self.claim_of(victim).map_or(Err(at), |claim| claim.cut(at));
            steals.push((victim, outcome));
            next = plan.on_steal(self.context.now(), id, victim, outcome);
        }
        if let Next::Hedge { victim, .. } = next
            && let Some(claim) = self.claim_of(victim)
        {
            claim.share();
            // What the victim flushed since the positions were read; from here on it asks first.
            self.tell_untold(&mut plan, victim, &claim);
        }
        drop(plan);
        for (victim, outcome) in steals {
            let text = match outcome {
                Ok(end) => format!("takes over the rest of connection {} from {end}", victim.0),
                Err(claimed) => format!("connection {} is already at {claimed}", victim.0),
            };
            self.context.tell(Level::Trace, Some(id.0), text);
        }
        next
    }

    /// The connection starts on a span.
    pub(in crate::engine) fn open(
        &self,
        id: ConnectionId,
        span: Span,
        is_hedge: bool,
    ) -> Arc<Claim> {
        let claim = Arc::new(Claim::new(span));
        if is_hedge {
            claim.share();
        }
        let mut workers = self.workers();
        let state = workers.entry(id).or_default();
        (state.claim, state.is_aborted) = (Some(claim.clone()), false);
        state.is_replaced = false;
        state.former.clear();
        claim
    }

    /// Which source the connection asks.
    pub(in crate::engine) fn source_of(&self, id: ConnectionId) -> &Arc<Source> {
        let at = self.workers().get(&id).and_then(|state| state.source);
        self.source(at.unwrap_or(self.first))
    }

    /// The source with this number.
    pub(in crate::engine) fn source(&self, id: SourceId) -> &Arc<Source> {
        &self.sources[id.0 as usize]
    }

    /// Whom the connection, which is to be made, is to ask; `None`: nobody at the moment.
    pub(in crate::engine) fn route(&self, id: ConnectionId) -> Option<&Arc<Source>> {
        let to = self.plan().route(self.context.now(), id)?;
        let mut workers = self.workers();
        let state = workers.entry(id).or_default();
        if state.claim.is_some() {
            state.former.extend(state.source.filter(|source| *source != to));
        }
        state.source = Some(to);
        Some(self.source(to))
    }

    /// Whether the connection's next request should go where it is.
    pub(in crate::engine) fn stays(&self, id: ConnectionId) -> bool {
        self.is_single() || self.plan().stays(self.context.now(), id)
    }

    /// After the endpoint `used` has refused to give `asked`: the answer of a new one, or `None` if
    /// there is a new one to be asked.
    pub(in crate::engine) async fn renew(
        &self,
        local: &Local,
        id: ConnectionId,
        used: &Arc<Endpoint>,
        asked: Span,
    ) -> Result<Option<Renewed>, Failure> {
        let source = self.source_of(id);
        let prove = async |endpoint: &Endpoint| self.prove(local, source, endpoint).await;
        let renewed = source.renew(local, used, asked, prove).await?;
        if let Some(Renewed { endpoint, opening, times }) = &renewed {
            let Connection { address, setup, .. } = opening.connection;
            self.attach(id, &opening.connection);
            let mut plan = self.plan();
            plan.on_new_addresses(self.context.now(), id, endpoint.addresses());
            plan.on_connected(self.context.now(), id, address, setup);
            plan.on_requested(times.requested, id, asked.start());
        }
        Ok(renewed)
    }

    /// Compares what is written with what `endpoint` serves; nothing to do where a digest decides
    /// at the end.
    async fn prove(&self, local: &Local, source: &Source, endpoint: &Endpoint) -> Result<()> {
        if self.file.has_digest() {
            return Ok(());
        }
        let (url, versions, output) = (source.url(), &source.versions(), &*self.to.output);
        let twin = Twin { local, url, endpoint, versions, output };
        twin.test(&self.to.book.written(), jitter_seed()).await
    }

    /// Whom to connect to, best first.
    pub(in crate::engine) fn address_order(&self, id: ConnectionId) -> Vec<u32> {
        self.plan().address_order(self.context.now(), id)
    }

    /// The worker has a new connection.
    pub(in crate::engine) fn connected(&self, id: ConnectionId, connection: &Connection) {
        self.attach(id, connection);
        self.source_of(id).tally.connected();
        self.plan().on_connected(self.context.now(), id, connection.address, connection.setup);
    }

    /// Lets the tick reach the connection.
    pub(in crate::engine) fn attach(&self, id: ConnectionId, connection: &Connection) {
        self.workers().entry(id).or_default().socket = Some(connection.wire.handle());
    }

    /// What the kernel knows of the connection.
    pub(in crate::engine) fn tcp_info(&self, id: ConnectionId) -> Option<TcpInfo> {
        self.workers().get(&id)?.socket.as_ref()?.tcp_info()
    }

    /// One more span for the connection, whose present one is about to end.
    pub(in crate::engine) fn ahead(&self, id: ConnectionId) -> Option<Fetch> {
        self.plan().ahead(self.context.now(), id)
    }

    /// The request for the span that starts at `start` is on the wire.
    pub(in crate::engine) fn requested(&self, id: ConnectionId, start: u64) {
        self.plan().on_requested(self.context.now(), id, start);
    }

    /// Its answer has begun.
    pub(in crate::engine) fn first_byte(&self, id: ConnectionId, start: u64) {
        self.plan().on_first_byte(self.context.now(), id, start);
    }

    /// An answer was completed and the connection stays open.
    pub(in crate::engine) fn kept_alive(&self, id: ConnectionId) {
        self.plan().on_keep_alive(self.context.now(), id);
    }

    /// Tells the plan what of the claim has gone to the disk.
    pub(in crate::engine) fn deliver(&self, id: ConnectionId, claim: &Claim) {
        self.tell_untold(&mut self.plan(), id, claim);
    }

    /// The next block of a shared claim is about to leave: the parts of it that no other connection
    /// has delivered, which count as delivered from here on.
    pub(in crate::engine) fn deliver_new(
        &self,
        id: ConnectionId,
        claim: &Claim,
        block: Span,
    ) -> Vec<Span> {
        let mut plan = self.plan();
        // The blocks before it, which left before the claim was shared.
        self.tell_untold(&mut plan, id, claim);
        let new = plan.undelivered(block);
        claim.flushed(block.end());
        self.tell_untold(&mut plan, id, claim);
        new
    }

    /// The bytes of the answer `body` to what the claim stands for have to wait for its digest.
    /// From here on nobody cuts or doubles any span, so that each answer comes from its first to
    /// its last byte by one connection; `false` if that is too late for this one.
    pub(in crate::engine) fn guard(&self, claim: &Claim, body: Span) -> bool {
        self.plan().on_guarded(self.context.now());
        !claim.is_shared() && body.end() <= claim.rest().end()
    }

    /// The connection gives its span back, without a failure of anybody: its answer cannot be
    /// proved as it is, or it gets no permit for a connection.
    pub(in crate::engine) fn let_go(&self, id: ConnectionId) {
        let mut plan = self.plan();
        self.close(id);
        plan.on_let_go(self.context.now(), id);
        drop(plan);
        self.bell.notify_waiters();
    }

    /// The connection's span has been delivered, all of it. The span ahead, if it has one.
    pub(in crate::engine) fn finished(&self, id: ConnectionId) -> Option<Span> {
        let mut plan = self.plan();
        self.close(id);
        let ahead = plan.on_finished(self.context.now(), id);
        let is_complete = plan.is_complete();
        drop(plan);
        if is_complete {
            self.bell.notify_waiters();
        }
        ahead
    }

    /// A request sent ahead came to nothing.
    pub(in crate::engine) fn ahead_refused(&self, id: ConnectionId, why: AheadFault) {
        let mut plan = self.plan();
        self.close(id);
        plan.on_ahead_refused(self.context.now(), id, why);
        drop(plan);
        self.bell.notify_waiters();
    }

    /// The connection ends behind the present answer, all of which is here, and so a request sent
    /// ahead came to nothing.
    pub(in crate::engine) fn ahead_lost(&self, id: ConnectionId) {
        self.plan().on_ahead_lost(self.context.now(), id, AheadFault::Closed);
        self.bell.notify_waiters();
    }

    /// The connection's span failed. The transfer goes on, or has failed too.
    pub(in crate::engine) fn failed(&self, id: ConnectionId, failure: Failure) {
        let Failure { error, retry_after, stage } = failure;
        let now = self.context.now();
        let is_own_doing = self.is_replaced(id);
        let source = self.source_of(id);
        if !is_own_doing {
            source.tally.failed(&error);
        }
        let mut plan = self.plan();
        self.close(id);
        let kind = match error.kind() {
            // Of one answer, not of the file: to the plan it is like any other wrong answer.
            ErrorKind::ChecksumMismatch => ErrorKind::RangeMismatch,
            kind => kind,
        };
        let verdict = plan.on_failed(now, id, kind, retry_after, stage == Stage::Connecting);
        drop(plan);
        match verdict {
            // The decision has been told: nobody else has failed.
            Verdict::Retry { .. } if is_own_doing => {
                let text = "closed to be replaced; asks for the rest anew".to_owned();
                self.context.tell(Level::Trace, Some(id.0), text);
            }
            Verdict::Retry { at } => {
                match error.kind() {
                    ErrorKind::ResourceLimit => self.tell_of_shortage(&error),
                    _ => self.context.retried(),
                }
                let wait = at.saturating_sub(now);
                let text = match self.is_single() {
                    true => format!("{error}; trying again in {wait:.1?}"),
                    false if wait.is_zero() => format!("{}: {error}; going on", source.url()),
                    false => format!("{}: {error}; going on in {wait:.1?}", source.url()),
                };
                self.context.tell(Level::Detail, Some(id.0), text);
            }
            Verdict::GiveUp => self.give_up(id, &error),
        }
        self.bell.notify_waiters();
    }

    /// The transfer has failed with `error`, which the connection has met.
    pub(in crate::engine) fn give_up(&self, id: ConnectionId, error: &Error) {
        if !self.is_single() && is_of_source(error.kind()) {
            return self.context.fail(self.all_failed(id, error));
        }
        let endpoint = self.source_of(id).endpoint();
        self.context.fail(error.clone().within(endpoint.url()));
    }

    /// The error with which the last source has failed, and the causes of the others.
    fn all_failed(&self, id: ConnectionId, error: &Error) -> Error {
        self.source_of(id).tally.failed(error);
        let causes = self.sources.iter().filter_map(|source| {
            source.tally.last_error().map(|error| (source.url().clone(), error))
        });
        all_failed(causes)
    }

    /// Says once that there will be fewer connections, and why.
    fn tell_of_shortage(&self, error: &Error) {
        if !self.is_shortage_told.swap(true, Ordering::Relaxed) {
            let text = format!("{error}; going on with the connections there are");
            self.context.tell(Level::Note, None, text);
        }
    }

    /// Whether the connection was shut because it lags behind; so what it reports now is our doing.
    pub(in crate::engine) fn is_replaced(&self, id: ConnectionId) -> bool {
        self.workers().get(&id).is_some_and(|state| state.is_replaced)
    }

    /// Whether the connection's bytes have been delivered by another one.
    pub(in crate::engine) fn is_aborted(&self, id: ConnectionId) -> bool {
        self.workers().get(&id).is_some_and(|state| state.is_aborted)
    }

    /// Whether the transfer has failed or was stopped.
    pub(in crate::engine) fn is_halted(&self) -> bool {
        self.is_halted.load(Ordering::Relaxed)
    }

    /// Whether a worker holds bytes that have arrived and have not gone to the disk.
    pub(in crate::engine) fn holds_bytes(&self) -> bool {
        self.workers().values().filter_map(|state| state.claim.as_ref()).any(|c| c.holds_bytes())
    }

    /// The worker has handed over what it had of its span; nothing more comes of it.
    pub(in crate::engine) fn left(&self, id: ConnectionId) {
        let _plan = self.plan();
        self.close(id);
    }

    /// Every byte has been delivered.
    pub(in crate::engine) fn is_complete(&self) -> bool {
        self.plan().is_complete()
    }

    /// Panics unless every byte of the file has been delivered exactly once.
    pub(in crate::engine) fn assert_complete(&self) {
        let plan = self.plan();
        plan.invariants();
        assert!(plan.is_complete(), "workers end when every byte is delivered");
    }

    /// The connection receives nothing any more. To be called with the plan locked.
    fn close(&self, id: ConnectionId) {
        self.workers().entry(id).or_default().claim = None;
    }

    /// Tells the plan what the kernel knows of the connections: a system call for each.
    fn report_arrivals(&self, plan: &mut Transfer) {
        let now = self.context.now();
        for (&id, state) in &*self.workers() {
            let Some(claim) = &state.claim else { continue };
            if !claim.is_receiving() {
                plan.on_held_back(now, id);
            }
            if let Some(tcp) = state.socket.as_ref().and_then(SocketHandle::tcp_info) {
                let TcpInfo { received_bytes, out_of_order, .. } = tcp;
                plan.on_arrival(now, id, Arrival { received_bytes, out_of_order });
            }
        }
    }

    /// Tells the plan how far each connection has come.
    fn report_positions(&self, plan: &mut Transfer) {
        for (&id, state) in &*self.workers() {
            if let Some(claim) = &state.claim {
                if let Some((span, new_bytes)) = self.tell(plan, id, claim)
                    && !self.is_single()
                {
                    self.credit(state, span, new_bytes);
                }
                plan.on_progress(self.context.now(), id, claim.received_to());
            }
        }
    }

    /// Under the plan's lock, so that nothing is told behind the back of a report of its end.
    fn tell_untold(&self, plan: &mut Transfer, id: ConnectionId, claim: &Claim) {
        if let Some((span, new_bytes)) = self.tell(plan, id, claim)
            && !self.is_single()
            && let Some(state) = self.workers().get(&id)
        {
            self.credit(state, span, new_bytes);
        }
    }

    /// What was untold of the claim, and how much of it is new to the plan.
    fn tell(&self, plan: &mut Transfer, id: ConnectionId, claim: &Claim) -> Option<(Span, u64)> {
        let span = claim.take_untold()?;
        let new_bytes = plan.on_delivered(self.context.now(), id, span);
        claim.count_new(new_bytes);
        Some((span, new_bytes))
    }

    /// Notes on whose word these bytes rest.
    fn credit(&self, state: &WorkerState, span: Span, new_bytes: u64) {
        self.source(state.source.unwrap_or(self.first)).tally.delivered(span, new_bytes);
        state.former.iter().for_each(|former| self.source(*former).tally.delivered(span, 0));
    }

    fn claim_of(&self, id: ConnectionId) -> Option<Arc<Claim>> {
        self.workers().get(&id).and_then(|state| state.claim.clone())
    }

    fn plan(&self) -> MutexGuard<'_, Transfer> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Taken inside of the plan's lock, never the other way round.
    fn workers(&self) -> MutexGuard<'_, BTreeMap<ConnectionId, WorkerState>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the plan has to know of the span that discovery has asked for.
pub(in crate::engine) struct FirstSpan {
    pub(in crate::engine) source: SourceId,
    pub(in crate::engine) span: Span,
    pub(in crate::engine) times: FirstTimes,
    pub(in crate::engine) setup: Duration,
    pub(in crate::engine) address: u32,
}
