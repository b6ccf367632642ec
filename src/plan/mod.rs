//! Rank 1: pure decisions about one transfer. Owns which connection fetches what, when a failure
//! is retried, and when a transfer is over. Must not know sockets, files, HTTP, tokio or the clock.
//!
//! # The contract
//!
//! [`Transfer`] is a state machine behind the engine's lock. Events and questions go in with `now`,
//! the time since the transfer's start; answers come out; nothing happens in between. `now` may
//! come from several threads and be a little late: the plan goes by the latest time it has seen.
//!
//! A worker is one [`ConnectionId`]. It keeps its id when it reconnects, receives one span at a
//! time, holds at most one more that is requested *ahead*, and connects only once it holds one, so
//! that every failure is the failure of a span. Its loop:
//!
//! 1. [`Transfer::next`] says what to do. [`Next::Fetch`] assigns a span. Before it connects, the
//!    worker asks [`Transfer::route`] and [`Transfer::address_order`] whom to, and reports
//!    [`Transfer::on_connected`].
//! 2. It reports [`Transfer::on_requested`] and [`Transfer::on_first_byte`], and each delivery (a
//!    block handed to the disk) with [`Transfer::on_delivered`], in any order.
//! 3. When no more than [`Fetch::lead_bytes`] of the span are missing, it asks once for the next
//!    one with [`Transfer::ahead`] and sends that request while the present answer still runs.
//! 4. The span ends with [`Transfer::on_finished`] once all of it is delivered, which returns the
//!    span ahead, now the one being received; or with [`Transfer::on_failed`]. By then nothing
//!    of it may be on its way to the disk any more that `on_delivered` does not know: the rest is
//!    free for anybody at once. Back to 1, after a failure too; the plan knows what must wait.
//!
//! A worker whose span failed without a byte delivered pauses, and as long as another one is at
//! work it gets only bytes that nobody has tried yet: the failure may be its own, as where a server
//! limits connections, and holes are safer with a worker that has shown it can fetch.
//!
//! An idle worker may be told to steal: [`Next::Steal`] names a victim and a cut. The engine asks
//! the victim, which either gives up everything from the cut on and ends there, or refuses because
//! it has claimed bytes beyond it; the answer goes back with [`Transfer::on_steal`]. The victim may
//! finish or fail between its answer and that call; the thief then gets what is free by then.
//!
//! Or it may be told to hedge: [`Next::Hedge`] names bytes that another connection is stuck in. The
//! victim keeps its assignment and goes on; the hedger delivers a shadow of it.
//! [`Transfer::on_delivered`] says how many bytes were new. Once all is there, the slower side gets
//! [`Action::Abort`].
//!
//! A transfer may start in the middle: [`Transfer::resume`] knows what an earlier one has left. Its
//! source may move: a worker that meets an expired URL keeps its span, and when the engine has
//! found the new one it says [`Transfer::on_new_addresses`].
//!
//! Where there are several sources, [`Transfer::sources_to_open`] names those that the engine is to
//! look at beside the transfer; it answers with [`Transfer::on_source_opened`] once a source has
//! proved that it serves this file, or with [`Transfer::on_source_unopened`]. A connection belongs
//! to one source; a worker that keeps its connection asks [`Transfer::stays`] before each request.
//! What fails at one source while another one is open is no failure of the bytes: they go to the
//! others at once, and the source rests, longer each time.
//!
//! What the kernel has received goes to [`Transfer::on_arrival`] before each tick, where the engine
//! knows it: rates are measured by it, and a connection where segments arrive behind a hole is not
//! silent. Nor is one that its worker does not read ([`Transfer::on_held_back`]).
//!
//! While the caller's own limit of the rate is what is waited for ([`Pressure::is_rate_limited`]),
//! the count of connections stands, nobody takes work from others, and slow connections stay: more
//! of anything would bring nothing. Silent ones are replaced still.
//!
//! The tick, [`Transfer::on_tick`] every 50 to 100 ms, measures and returns [`Action`]s. They
//! may cross with the worker's own reports; each is a wish that a report made meanwhile outdates.
//!
//! # When to ask again
//!
//! * [`Next::WaitUntil`]: at that time, or earlier on one of the events below.
//! * [`Next::Wait`]: after any `on_failed` or `on_ahead_refused`, after an `on_steal` of another
//!   worker, when [`Transfer::is_complete`] has become true, and on every tick, after the
//!   workers' positions went to [`Transfer::on_progress`].
//! * [`Next::Done`], [`Next::Failed`]: never; the answer stays.
//! * [`Next::Retire`]: the worker ends; its id may be started again when more are wanted.
//! * [`Transfer::connections_wanted`]: on the same occasions.
//!
//! With [`Settings::ahead_bytes_max`], [`Next::Wait`] may mean that no more may be assigned before
//! the oldest missing byte is delivered: then it is worth asking again as soon as
//! [`Transfer::delivered_to`] has grown. How far ahead blocks of what is assigned are received is
//! decided apart from that ([`Ahead`]), as it depends on the reader.
//!
//! Every event costs O(log n) in the number of open spans, whatever the size of the file; only the
//! tick, and the choice of a victim, look at each connection.

mod addresses;
mod ahead;
mod arrivals;
mod decision;
mod endgame;
mod fanout;
mod ledger;
mod limiter;
mod meter;
pub mod retry;
mod sizing;
mod sources;
mod tolerance;
mod transfer;
mod window;
mod workers;

pub use ahead::{Ahead, Outlet, Room};
pub use decision::{Choice, Decision};
pub use limiter::{Limiter, Totals, Trial, own_limit};
pub use sizing::first_request_bytes;
pub use transfer::Transfer;

use crate::base::ErrorKind;
use crate::base::limits;
use crate::base::span::Span;
use std::fmt;
use std::time::Duration;

/// One worker of the engine, across its reconnects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u32);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection {}", self.0)
    }
}

/// One of the sources of the file, numbered from 0 in the order of preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct SourceId(pub u32);

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "source {}", self.0)
    }
}

/// Which of several sources are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MirrorPolicy {
    /// All of them at once, each for as much as it delivers.
    #[default]
    All,
    /// All of them for a moment, and then the fastest one; another one if that fails.
    Best,
    /// One at a time; the next one if that fails.
    Failover,
}

/// Why a source could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unopened {
    /// It failed, which may pass.
    Failed(ErrorKind),
    /// It serves another file, or no ranges: it is never asked again.
    Useless,
    /// It contradicts the others, and it is not clear yet who is right: nothing is asked of it
    /// until that is.
    Disputed,
}

/// How much one request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestSize {
    /// By measured goodput and time to first byte, and less towards the end.
    Auto,
    /// This number of bytes, at least 1, rounded up to the alignment; with a fixed connection
    /// count never more than an equal share of what is missing, or of
    /// [`Settings::ahead_bytes_max`].
    Fixed(u64),
}

/// How many connections there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fanout {
    /// As many as measurably pay.
    Auto {
        /// But never more than this, at least 1.
        max: u32,
    },
    /// This number, at least 1, as long as there is work for them.
    Fixed(u32),
}

/// What the caller fixed for one transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Request size.
    pub request: RequestSize,
    /// Connection count.
    pub fanout: Fanout,
    /// Consecutive failures of one stretch that are forgiven while no byte of it gets delivered.
    pub retries: u32,
    /// First wait before a retry; doubles with each one after it.
    pub retry_wait: Duration,
    /// Seeds the jitter of waits: one seed and one history make one outcome.
    pub jitter_seed: u64,
    /// Bytes of one write, a multiple of `align_bytes`: what large spans round to.
    pub block_bytes: u64,
    /// Every span starts at a multiple of this, at least 1, and ends at one or at the file's end.
    pub align_bytes: u64,
    /// Indicates whether the next span's request may go out before the present one ends.
    pub request_ahead: bool,
    /// Largest span of an automatic request size, in bytes: bounds what a reset or a hash in file
    /// order has to carry.
    pub span_bytes_max: u64,
    /// Addresses of the first source, at least 1; they are numbered from 0.
    pub addresses: u32,
    /// Sources of the file, at least 1.
    pub sources: u32,
    /// The one that is open from the start; the others are asked for with
    /// [`Transfer::sources_to_open`].
    pub first_source: SourceId,
    /// Which of them are used.
    pub mirror_policy: MirrorPolicy,
    /// The connections that another transfer has settled on with this origin a moment ago: an
    /// automatic count starts with them, and looks for better ones from there.
    pub connections_known: Option<u32>,
    /// Bytes that may be fetched twice to get round a stalled connection; 0 turns hedging off.
    pub hedge_bytes_max: u64,
    /// How far beyond the oldest byte that is not delivered spans may be assigned, in bytes,
    /// rounded down to the alignment, but at least one unit of it; `None`: any distance. It is for
    /// outputs in file order, where blocks that come early wait in memory for those before them.
    pub ahead_bytes_max: Option<u64>,
    /// The caller's own limit of the rate, in bytes per second: it is no use to begin with more
    /// connections than it feeds.
    pub rate_limit_bytes: Option<u64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            request: RequestSize::Auto,
            fanout: Fanout::Auto { max: limits::CONNECTIONS_AUTO_MAX },
            retries: limits::RETRIES_DEFAULT,
            retry_wait: limits::RETRY_WAIT_MIN,
            jitter_seed: 0,
            block_bytes: limits::BLOCK_BYTES as u64,
            align_bytes: limits::SPAN_ALIGN_BYTES,
            request_ahead: true,
            span_bytes_max: limits::SPAN_BYTES_AUTO_MAX,
            addresses: 1,
            sources: 1,
            first_source: SourceId(0),
            mirror_policy: MirrorPolicy::All,
            connections_known: None,
            hedge_bytes_max: limits::HEDGE_BYTES_MAX,
            ahead_bytes_max: None,
            rate_limit_bytes: None,
        }
    }
}

/// A span to fetch, assigned to the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fetch {
    /// The bytes.
    pub span: Span,
    /// When no more than this is missing, the worker asks once for the next span; 0: never.
    pub lead_bytes: u64,
}

/// What a worker without a span does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Fetch this.
    Fetch(Fetch),
    /// Ask `victim` to end its span at `at`, and report with [`Transfer::on_steal`].
    Steal {
        /// Who would give up the upper part of its span.
        victim: ConnectionId,
        /// The proposed new end of the victim's span, an offset in the file.
        at: u64,
    },
    /// Fetch these bytes too, which `victim` seems stuck in and keeps trying.
    Hedge {
        /// Whose bytes they are.
        victim: ConnectionId,
        /// The undelivered rest of its span.
        span: Span,
    },
    /// Nothing before this time since the transfer's start, unless something happens.
    WaitUntil(Duration),
    /// Nothing until something happens.
    Wait,
    /// Fewer connections are wanted: close this one and end the worker.
    Retire,
    /// Every byte is delivered.
    Done,
    /// The transfer has given up.
    Failed,
}

/// What a failure leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The undelivered rest is handed out again from `at` on, to this or another worker. The worker
    /// may ask for its next span at once.
    Retry {
        /// Time since the transfer's start.
        at: Duration,
    },
    /// The transfer fails with this failure.
    GiveUp,
}

/// What went wrong with a request sent ahead, before a byte of its answer counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AheadFault {
    /// The server closed the connection after the answer before.
    Closed,
    /// It answered with something else than the range asked for.
    WrongAnswer(ErrorKind),
}

/// What has arrived at a connection by now, read or not: the receiver's side of TCP_INFO.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Arrival {
    /// Bytes that came in order.
    pub received_bytes: u64,
    /// What of that has not been read.
    pub unread_bytes: u64,
    /// Memory that the kernel holds for all that has not been read, what waits behind a hole
    /// included; zero if it is unknown.
    pub memory_bytes: u64,
    /// Segments that came out of order: behind a hole that the sender has yet to fill.
    pub out_of_order: u32,
    /// The round trip as the receiver estimates it from the data, queues included; zero if it is
    /// unknown.
    pub round_trip: Duration,
}

/// What the machine felt since the last tick.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pressure {
    /// Indicates whether some connection found no free block to receive into.
    pub blocks_exhausted: bool,
    /// Indicates whether as many writes are under way as the disk is given at a time.
    pub writes_waiting: bool,
    /// Share of the time the busiest engine thread was on a processor, 0 to 1.
    pub cpu_busy: f64,
    /// Share of the time in which an output that takes bytes in order was busy with those that it
    /// had, 0 to 1; `None`: there is no such output. It stands for blocks and writes, too: those
    /// of such an output wait for bytes before theirs as well.
    pub reader_busy: Option<f64>,
    /// Indicates whether some connection was not read for a while, as the caller's own limit of the
    /// rate was reached.
    pub is_rate_limited: bool,
}

/// What the engine does to a connection that did not ask. One tick names each connection once at
/// most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Shut this connection; its worker reports `on_failed(TimedOut)`, which counts no failure
    /// against the span.
    Replace(ConnectionId),
    /// Its span ahead has been taken back: close the connection after the present answer.
    TakeBack(ConnectionId),
    /// Its bytes have been delivered by another one: stop and report `on_finished`.
    Abort(ConnectionId),
}

impl Action {
    /// Whom it is about.
    pub fn connection(self) -> ConnectionId {
        match self {
            Action::Replace(id) | Action::TakeBack(id) | Action::Abort(id) => id,
        }
    }
}
