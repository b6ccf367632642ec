//! The facade of the plan: events and questions in, answers out. Owns the transfer's outcome and
//! time; must not know how any single decision is made.
//!
//! States: running -> complete (every byte delivered), or running -> failed (a retry budget is
//! spent or an error allows no retry). Both are final.

use super::addresses::Addresses;
use super::decision::{Choice, Decision, Log};
use super::endgame;
use super::fanout::Count;
use super::ledger::{Assignment, Ledger, Slot};
use super::retry::{self, Jitter};
use super::sizing::{self, Sizing};
use super::sources::Sources;
use super::workers::Workers;
use super::{Arrival, ConnectionId, Fanout, Fetch, Next, Settings, SourceId, Unopened};
use crate::base::size::format_wait;
use crate::base::span::{Span, SpanSet};
use std::time::Duration;

mod choose;
mod fail;
mod tick;

/// Bytes per second of a limit for each connection to begin with: about what one brings over a long
/// path, and far less than over a short one.
const CONNECTION_FED_BYTES: u64 = 1_000_000;

/// The plan of one file of known size whose server answers ranges; the module's documentation has
/// the contract. Methods panic where the caller breaks it, never for what a server did.
#[derive(Debug)]
pub struct Transfer {
    settings: Settings,
    ledger: Ledger,
    workers: Workers,
    sizing: Sizing,
    count: Count,
    sources: Sources,
    log: Log,
    /// The request size last logged, in bytes.
    noted_bytes: u64,
    /// What the connections brought at the last tick.
    measurements: tick::Measurements,
    /// Connections that came back to help after they had been closed.
    returns: u32,
    /// Bytes that may still be fetched twice.
    hedge_bytes_left: u64,
    /// Indicates whether each answer is proved as a whole, so that it must come whole by one
    /// connection: no cuts, no hedges.
    is_guarded: bool,
    jitter: Jitter,
    /// How often in a row the whole file came for a part of it, with no byte delivered in between.
    ranges_ignored: u32,
    /// The latest time seen.
    now: Duration,
    last_tick_at: Duration,
    /// Indicates whether the transfer has given up.
    failed: bool,
    /// How often the stretch that failed last has failed in a row.
    failures_in_a_row: u32,
}

impl Transfer {
    /// A file of `total_bytes` with nothing fetched; 0 bytes are complete at once.
    pub fn new(total_bytes: u64, settings: Settings) -> Self {
        Self::resume(total_bytes, settings, &SpanSet::new())
    }

    /// A file of `total_bytes` of which an earlier transfer has delivered the `delivered` bytes, or
    /// which are not wanted; only the others are fetched. Each of these spans starts aligned, and
    /// ends aligned or with the file.
    pub fn resume(total_bytes: u64, settings: Settings, delivered: &SpanSet) -> Self {
        assert!(settings.align_bytes > 0 && settings.block_bytes > 0, "units are not zero");
        assert!(settings.block_bytes.is_multiple_of(settings.align_bytes), "blocks are aligned");
        assert!(settings.span_bytes_max >= settings.align_bytes, "a span holds a unit");
        let ledger = Ledger::new(total_bytes, settings.align_bytes, delivered);
        Self {
            workers: Workers::default(),
            sizing: Sizing::new(ledger.remaining_bytes(), &settings),
            count: Count::new(settings.fanout),
            sources: sources_of(&settings),
            log: Log::default(),
            noted_bytes: 0,
            measurements: tick::Measurements::default(),
            returns: 0,
            hedge_bytes_left: settings.hedge_bytes_max,
            is_guarded: false,
            jitter: Jitter::new(settings.jitter_seed),
            ranges_ignored: 0,
            now: Duration::ZERO,
            last_tick_at: Duration::ZERO,
            failed: false,
            failures_in_a_row: 0,
            ledger,
            settings,
        }
    }

    /// The connection has asked `address` for `span` before there was a plan, and its answer is on
    /// the wire; returns the span's [`Fetch::lead_bytes`]. `span` is aligned and not empty,
    /// starts with a gap in what is delivered, in a new transfer at 0, and lies within that gap.
    /// [`Transfer::on_connected`] and [`Transfer::on_requested`], called before with the times they
    /// happened, tell the plan how far the server is.
    pub fn adopt(
        &mut self,
        now: Duration,
        connection: ConnectionId,
        address: u32,
        span: Span,
    ) -> u64 {
        self.advance(now);
        self.ledger.wake(self.now);
        self.ledger.adopt(connection, span);
        self.take_place(connection, self.settings.first_source, address);
        self.last_tick_at = self.now;
        self.workers.run(connection);
        let worker = self.workers.entry(connection);
        worker.is_connected = true;
        worker.last_bytes = Some(span.len());
        self.workers.on_first_byte(now, connection, span.start());
        let (bytes, addresses) = (self.ledger.remaining_bytes(), self.settings.addresses);
        let distance = self.workers.distance(connection, addresses);
        match self.settings.connections_known {
            Some(connections) => self.count.start_with(self.now, connections),
            None => {
                let fed = self.settings.rate_limit_bytes.map_or(u32::MAX, connections_fed);
                let most = self.sources.connections_at_first().min(fed);
                self.count.on_start(self.now, distance, bytes, addresses, most);
            }
        }
        sizing::lead_bytes(&self.view(connection), span.len())
    }

    /// The source is said to take this number of connections: no more go there at first, until it
    /// is known what one of them brings. To be called before [`Transfer::adopt`].
    pub fn begin_with(&mut self, source: SourceId, connections: u32) {
        self.sources.begin_with(source, connections);
    }

    /// How many workers should exist now. The engine starts workers, the lowest unused ids, up to
    /// this number; it stops none for it, as each one hears from [`Transfer::next`] when it is
    /// over.
    pub fn connections_wanted(&mut self, now: Duration) -> u32 {
        self.advance(now);
        if self.failed || self.is_complete() {
            return 0;
        }
        if self.sources.are_braked(self.now) {
            return self.workers.running().min(self.count.target());
        }
        let target = self.count.target().min(self.sources.connections_max(self.now));
        let mut pieces = self.ledger.pieces(self.sizing.piece_bytes(), self.assignable_to());
        if pieces < u64::from(target) {
            let block_bytes = self.settings.block_bytes;
            let splittable = |assignment: &Assignment| {
                endgame::worth_splitting(assignment.unclaimed(), block_bytes)
            };
            pieces +=
                self.ledger.assignments().filter(|(_, assignment)| splittable(assignment)).count()
                    as u64;
        }
        u32::try_from(pieces).map_or(target, |pieces| pieces.min(target))
    }

    /// No more than `max` connections, at least 1, from now on; more than the settings allow are
    /// never wanted. Those too many go on with what they have, and hear [`Next::Retire`] then.
    pub fn set_connections_max(&mut self, now: Duration, max: u32) {
        self.advance(now);
        let change = self.count.set_max(self.now, max);
        self.note(change);
    }

    /// What the connection, which holds no span, does next.
    pub fn next(&mut self, now: Duration, connection: ConnectionId) -> Next {
        self.advance(now);
        assert!(self.ledger.receiving(connection).is_none(), "{connection} holds a span already");
        self.next_for(connection, 1)
    }

    /// One more span for a connection that is about to have received the present one. `None`: not
    /// now, or not on this connection.
    pub fn ahead(&mut self, now: Duration, connection: ConnectionId) -> Option<Fetch> {
        self.advance(now);
        assert!(self.ledger.ahead(connection).is_none(), "{connection} has asked ahead already");
        let is_kept_alive = self.workers.is_kept_alive(connection);
        let is_whole = self.ledger.assignment(connection).is_some_and(Assignment::is_undisputed);
        let is_ahead_on = self.sources.at(connection).is_ahead_on;
        let is_allowed = is_ahead_on && is_kept_alive && is_whole && !self.failed;
        let is_braked = self.sources.is_braked_totally(self.now, connection);
        let stays = self.stays(now, connection);
        if !is_allowed || is_braked || !stays || self.is_surplus(connection) {
            return None;
        }
        self.assign(connection, Slot::Ahead)
    }

    /// Whom the worker, which has no connection, is to ask. `None`: no source takes another
    /// connection at the moment; the worker lets go of its span.
    pub fn route(&mut self, now: Duration, connection: ConnectionId) -> Option<SourceId> {
        self.advance(now);
        let to = self.sources.route(self.now, connection)?;
        self.workers.on_routed(connection, to);
        Some(to)
    }

    /// Addresses of its source for the connection to race, best first.
    pub fn address_order(&mut self, now: Duration, connection: ConnectionId) -> Vec<u32> {
        self.advance(now);
        self.sources.at_mut(connection).addresses.order(self.now, connection)
    }

    /// Whether the worker should use the connection it has for its next request, and not close it
    /// and ask for another [`Transfer::route`].
    pub fn stays(&mut self, now: Duration, connection: ConnectionId) -> bool {
        self.advance(now);
        let is_full = self.workers.running() >= self.count.target();
        self.sources.stays(self.now, connection, is_full)
    }

    /// Whether connections may go to the source.
    pub fn is_source_open(&self, source: SourceId) -> bool {
        self.sources.is_open(source)
    }

    /// Sources that the engine is to look at now, beside everything else.
    pub fn sources_to_open(&mut self, now: Duration) -> Vec<SourceId> {
        self.advance(now);
        if self.failed || self.is_complete() {
            return Vec::new();
        }
        self.sources.open_next(self.now)
    }

    /// The source serves this file, at `addresses` addresses, at least 1, numbered from 0.
    pub fn on_source_opened(&mut self, now: Duration, source: SourceId, addresses: u32) {
        self.advance(now);
        self.sources.opened(self.now, source, addresses);
        self.log.note(self.now, Choice::Source, format!("{source} serves the same file"));
        self.follow_sources();
    }

    /// The source could not be opened.
    pub fn on_source_unopened(&mut self, now: Duration, source: SourceId, why: Unopened) {
        self.advance(now);
        let text = match why {
            Unopened::Useless => {
                self.sources.dropped(source);
                format!("{source} is left out: it does not serve this file in ranges")
            }
            Unopened::Disputed => {
                self.sources.dropped(source);
                format!("{source} waits: it contradicts the others")
            }
            Unopened::Failed(kind) => {
                let rest = self.sources.not_opened(self.now, source, retry::class(kind));
                format!("{source} is tried again in {}: {}", format_wait(rest), kind.in_brief())
            }
        };
        self.log.note(self.now, Choice::Source, text);
    }

    /// A connection to `address` stands, after `setup` (TCP, proxy and TLS).
    pub fn on_connected(
        &mut self,
        now: Duration,
        connection: ConnectionId,
        address: u32,
        setup: Duration,
    ) {
        self.advance(now);
        let source = self.sources.of(connection);
        let addresses = &mut self.sources.get_mut(source).addresses;
        let bad = addresses.on_connected(self.now, connection, address);
        self.note_bad_address(bad);
        self.workers.on_routed(connection, source);
        self.workers.on_connected(connection, setup);
    }

    /// The request for the span that starts at `start` has been sent.
    pub fn on_requested(&mut self, now: Duration, connection: ConnectionId, start: u64) {
        self.advance(now);
        let is_idle = self
            .ledger
            .ahead(connection)
            .is_none_or(|assignment| assignment.span().start() != start);
        self.workers.entry(connection).meter.on_requested(now, start, is_idle);
    }

    /// The first body byte of the span that starts at `start` has arrived. If that span was asked
    /// for ahead, all of the one before has.
    pub fn on_first_byte(&mut self, now: Duration, connection: ConnectionId, start: u64) {
        self.advance(now);
        let starts = |assignment: &Assignment| assignment.span().start() == start;
        if self.ledger.ahead(connection).is_some_and(starts) {
            let end = self.ledger.receiving(connection).map(Span::end);
            let worker = self.workers.entry(connection);
            worker.has_started_ahead = true;
            if let Some(end) = end {
                worker.meter.on_progress(now, end);
            }
        }
        self.workers.on_first_byte(now, connection, start);
    }

    /// A clean partial answer was completed and the connection stays open.
    pub fn on_keep_alive(&mut self, now: Duration, connection: ConnectionId) {
        self.advance(now);
        self.workers.on_keep_alive(connection);
    }

    /// Everything of the span being received below the offset `received_to` has arrived. May be
    /// sampled at any time; what does not fit the span is stale and ignored.
    pub fn on_progress(&mut self, now: Duration, connection: ConnectionId, received_to: u64) {
        self.advance(now);
        let worker = self.workers.entry(connection);
        let span = if worker.has_started_ahead {
            self.ledger.ahead(connection).map(Assignment::span)
        } else {
            self.ledger.claim(connection, received_to);
            self.ledger.receiving(connection)
        };
        let fits = |span: Span| span.start() <= received_to && received_to <= span.end();
        if span.is_some_and(fits) {
            worker.meter.on_progress(now, received_to);
        }
    }

    /// What the kernel has received for the connection so far, to be told at every tick if it is
    /// told at all: bytes arrive long before they make up a piece that the worker waits for.
    pub fn on_arrival(&mut self, now: Duration, connection: ConnectionId, arrival: Arrival) {
        self.advance(now);
        self.workers.entry(connection).meter.on_arrival(now, arrival);
    }

    /// The connection's worker is not receiving though its answer has begun, as blocks, the disk or
    /// a hash hold it back: its silence is this machine's.
    pub fn on_held_back(&mut self, now: Duration, connection: ConnectionId) {
        self.advance(now);
        self.workers.entry(connection).meter.on_held_back(now);
    }

    /// The answer to [`Next::Steal`]: `Ok` with the new end the victim has agreed to, inside of its
    /// span and aligned; or `Err` with the offset up to which it has claimed bytes. On success the
    /// upper part is assigned to the thief.
    pub fn on_steal(
        &mut self,
        now: Duration,
        thief: ConnectionId,
        victim: ConnectionId,
        outcome: Result<u64, u64>,
    ) -> Next {
        self.advance(now);
        if self.failed {
            // The proposal stays noted, so that a victim that agreed may still finish at its cut.
            return Next::Failed;
        }
        let proposal = self.ledger.assignment(victim).and_then(Assignment::proposal);
        // Otherwise the victim has finished or failed meanwhile, and what it gave up is a hole.
        let Some(proposal) = proposal.filter(|proposal| proposal.thief == thief) else {
            return self.next_for(thief, 1);
        };
        self.ledger.set_proposal(victim, None);
        match outcome {
            Ok(new_end) => {
                // The victim's connection ends at the cut, and with it what it has asked for ahead.
                self.ledger.release_ahead(victim);
                self.workers.entry(victim).will_close = true;
                let span = self.ledger.split(victim, new_end, thief);
                self.begin(thief, span);
                Next::Fetch(self.fetch(thief, span))
            }
            Err(claimed_to) => {
                self.ledger.claim(victim, claimed_to);
                self.next_for(thief, proposal.tries + 1)
            }
        }
    }

    /// `span`, part of what the connection receives, is delivered: aligned, in any order, and
    /// reported once by each connection that has it. Returns how many of its bytes were new.
    pub fn on_delivered(&mut self, now: Duration, connection: ConnectionId, span: Span) -> u64 {
        self.advance(now);
        let new_bytes = self.ledger.deliver(connection, span);
        if new_bytes > 0 {
            self.ranges_ignored = 0;
        }
        if !span.is_empty() {
            self.sources.on_delivered(connection);
            let worker = self.workers.entry(connection);
            worker.setback = None;
            if !worker.has_started_ahead {
                worker.meter.on_progress(now, span.end());
            }
        }
        new_bytes
    }

    /// The bytes of `span` that nobody has delivered, in order. Whoever delivers these and no
    /// others delivers no byte twice, if [`Transfer::on_delivered`] follows before anybody else
    /// asks.
    pub fn undelivered(&self, span: Span) -> Vec<Span> {
        self.ledger.gaps(span)
    }

    /// All of what the connection receives is delivered, up to the end it last agreed to. Returns
    /// its span ahead, which it works on from now on; `None` if it has none, or not any more.
    pub fn on_finished(&mut self, now: Duration, connection: ConnectionId) -> Option<Span> {
        self.advance(now);
        let present = self.ledger.receiving(connection);
        let ahead = self.ledger.finish(connection);
        self.workers.on_completed(connection);
        let worker = self.workers.entry(connection);
        if let Some(span) = present.filter(|_| !worker.has_started_ahead) {
            worker.meter.on_progress(now, span.end());
            worker.meter.on_end(now, span.start());
        }
        worker.has_started_ahead = false;
        if worker.will_close {
            worker.on_gone();
        }
        if let Some(span) = ahead {
            worker.meter.on_span(now, span.start());
        }
        ahead
    }

    /// Answers carry a digest of their own, which proves all of an answer or nothing: from here on
    /// no span is cut or fetched twice.
    pub fn on_guarded(&mut self, now: Duration) {
        self.advance(now);
        self.is_guarded = true;
    }

    /// The source of the connection has moved, as a fresh redirect does it: connections from now on
    /// go to one of `addresses` new ones, at least 1, numbered from 0, of which nothing is known.
    pub fn on_new_addresses(&mut self, now: Duration, connection: ConnectionId, addresses: u32) {
        self.advance(now);
        self.sources.at_mut(connection).addresses = Addresses::new(addresses);
    }

    /// Whether requests may go out ahead to the source, as far as it is known by now.
    pub fn takes_ahead(&self, source: SourceId) -> bool {
        self.sources.get(source).is_ahead_on
    }

    /// The connections that an automatic count has settled on; `None` while it has not.
    pub fn settled_connections(&self) -> Option<u32> {
        self.count.settled()
    }

    /// Decisions since the last call, oldest first.
    pub fn decisions(&mut self) -> Vec<Decision> {
        self.log.drain()
    }

    /// Every byte is delivered.
    pub fn is_complete(&self) -> bool {
        self.ledger.remaining_bytes() == 0
    }

    /// Bytes that have been handed to the disk, by an earlier transfer or by this one.
    pub fn delivered_bytes(&self) -> u64 {
        self.ledger.delivered_bytes()
    }

    /// The offset below which every byte is delivered; the file's size once all of it is.
    pub fn delivered_to(&self) -> u64 {
        self.ledger.delivered_to()
    }

    /// Bytes that have not been handed to the disk.
    pub fn remaining_bytes(&self) -> u64 {
        self.ledger.remaining_bytes()
    }

    /// Panics unless every byte is exactly one of delivered, assigned to one connection, or
    /// unassigned. O(n) in open spans: for tests and for the end of a transfer.
    pub fn invariants(&self) {
        self.ledger.invariants();
    }

    /// Callers read their clock before they get the lock, so times may arrive out of order.
    fn advance(&mut self, now: Duration) {
        self.now = self.now.max(now);
    }

    fn note(&mut self, change: Option<(Choice, String)>) {
        if let Some((what, text)) = change {
            self.log.note(self.now, what, text);
        }
    }

    /// The connection is at this address of the source, if nobody has said so before.
    fn take_place(&mut self, connection: ConnectionId, source: SourceId, address: u32) {
        self.sources.place(connection, source);
        self.workers.on_routed(connection, source);
        if self.sources.get(source).addresses.address_of(connection).is_none() {
            self.sources.get_mut(source).addresses.on_connected(self.now, connection, address);
        }
    }

    fn note_bad_address(&mut self, bad: Option<u32>) {
        if let Some(address) = bad {
            let text = format!("{address} rests: connects fail or lose the race");
            self.log.note(self.now, Choice::Address, text);
        }
    }
}

/// Connections that a limit of the rate in bytes per second feeds, at least 1.
fn connections_fed(rate_limit_bytes: u64) -> u32 {
    u32::try_from(rate_limit_bytes / CONNECTION_FED_BYTES).unwrap_or(u32::MAX).max(1)
}

fn sources_of(settings: &Settings) -> Sources {
    let connections_max = match settings.fanout {
        Fanout::Auto { max } => max,
        Fanout::Fixed(connections) => connections,
    };
    let mut sources = Sources::new(
        settings.sources,
        settings.request_ahead,
        settings.mirror_policy,
        connections_max,
    );
    sources.opened(Duration::ZERO, settings.first_source, settings.addresses);
    sources
}

#[cfg(test)]
mod tests;
