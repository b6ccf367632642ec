//! A file fetched in spans: what its workers, supervisors and scouts share, over all shards, and
//! what a transfer is told of it. What each of them does stands in a file of its own.

mod arrivals;
pub(super) mod blame;
mod failures;
mod proving;
mod roster;
mod routing;
mod scout;
pub(super) mod settings;
mod spans;
mod steering;
pub(super) mod supervisor;
pub(super) mod worker;

use super::context::Context;
use super::progress::SourceReport;
use super::receive::sink::Destination;
use super::source::Source;
use super::source::follow::FirstTimes;
use super::trace::Trace;
use crate::base::{Span, SpanSet, Url};
use crate::digest::Checksum;
use crate::plan::{ConnectionId, Fetch, Settings, SourceId, Transfer};
use proving::Jury;
use roster::Roster;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// The plan with its one lock, and everything a worker needs to carry its answers out.
pub(in crate::engine) struct Ranged {
    context: Arc<Context>,
    /// Where the file can be had; at least one, and numbered as the plan has them.
    sources: Vec<Arc<Source>>,
    /// The one that the transfer began with.
    first: SourceId,
    /// Which of them agree.
    jury: Mutex<Jury>,
    file: File,
    to: Destination,
    trace: Option<Arc<Trace>>,
    plan: Mutex<Transfer>,
    roster: Mutex<Roster>,
    /// Rings when waiting workers may find something to do.
    bell: Notify,
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
    /// Size of the file that servers have, of which it may be a part.
    pub(in crate::engine) served_bytes: u64,
    /// Bytes that are fetched of it, or would be if none were here.
    pub(in crate::engine) wanted_bytes: u64,
    /// Its digest, if that is known; it is compared at the end.
    pub(in crate::engine) expected: Option<Checksum>,
    /// The digest of what is fetched of it is known, without what was rounded up to; it is compared
    /// at the end.
    pub(in crate::engine) has_part_digest: bool,
    /// The digests of its pieces are known; they are compared as they come.
    pub(in crate::engine) has_pieces: bool,
    /// Sources that the caller has named, the first ones; a server has named the others, and they
    /// have no say where they contradict one of these.
    pub(in crate::engine) named: u32,
    /// What is fetched can be read back, and so be compared.
    pub(in crate::engine) is_readable: bool,
    /// How far ahead of its oldest missing byte it is fetched, in bytes; `None`: anywhere.
    pub(in crate::engine) ahead_bytes_max: Option<u64>,
}

impl File {
    /// Whether digests decide what its bytes are: its own, or those of its pieces.
    fn has_digest(&self) -> bool {
        self.expected.is_some() || self.has_pieces
    }

    /// Whether a digest says in the end which of two sources is right.
    fn is_judged(&self) -> bool {
        self.has_digest() || self.has_part_digest
    }
}

impl Ranged {
    /// A plan in which `delivered` is in the file or not wanted, and connection 0 already receives
    /// `first` from its source, which is open.
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
        for (id, source) in (0..).map(SourceId).zip(&sources) {
            source.connections_hint().into_iter().for_each(|hint| plan.begin_with(id, hint));
        }
        let (id, address) = (ConnectionId(0), first.address);
        plan.on_connected(first.times.connected, id, address, first.setup);
        plan.on_requested(first.times.requested, id, first.span.start());
        let lead_bytes = plan.adopt(context.now(), id, address, first.span);
        let mut roster = Roster::default();
        roster.lead(id, first.source);
        let ranged = Arc::new(Self {
            context: context.clone(),
            sources,
            first: first.source,
            jury: Mutex::new(Jury::of(first.source)),
            file,
            to,
            trace,
            plan: Mutex::new(plan),
            roster: Mutex::new(roster),
            bell: Notify::new(),
            is_halted: AtomicBool::new(false),
            is_shortage_told: AtomicBool::new(false),
        });
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
    fn is_single(&self) -> bool {
        self.sources.len() == 1
    }

    /// The source with this number.
    fn source(&self, id: SourceId) -> &Arc<Source> {
        &self.sources[id.0 as usize]
    }

    /// Panics unless every byte of the file has been delivered exactly once.
    pub(in crate::engine) fn assert_complete(&self) {
        let plan = self.plan();
        plan.invariants();
        assert!(plan.is_complete(), "workers end when every byte is delivered");
    }

    fn plan(&self) -> MutexGuard<'_, Transfer> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Taken inside of the plan's lock, never the other way round.
    fn roster(&self) -> MutexGuard<'_, Roster> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
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
