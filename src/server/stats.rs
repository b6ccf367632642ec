//! What the server saw and did, for tests and benches to read.
//!
//! Must not know sockets or HTTP beyond the words in its records.

use super::codec::range::RangeAsked;
use super::stop::lock;
use crate::base::limits::{SERVER_LOG_BYTES_MAX, SERVER_LOG_ENTRIES_MAX};
use std::mem;
use std::sync::Mutex;
use std::time::Duration;

/// A moment's picture of the server's counters and its log.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    /// Connections accepted and served.
    pub connections: u64,
    /// Connections closed or reset at once because the limit was reached.
    pub connections_refused: u64,
    /// Connections open now.
    pub connections_live: usize,
    /// The most connections that were open at the same time.
    pub connections_peak: usize,
    /// Idle connections ended to make room for new ones.
    pub connections_displaced: u64,
    /// Connections ended because their client was idle, sent its head too slowly or took nothing of
    /// its answer for too long.
    pub connections_timed_out: u64,
    /// Connections broken by the shape's losses.
    pub connections_lost: u64,
    /// TLS handshakes that resumed an earlier session.
    pub tls_resumed: u64,
    /// Requests read.
    pub requests: u64,
    /// Requests refused because too many answers were under way.
    pub requests_refused: u64,
    /// How often each rule of the script made a difference to a connection or an answer, in the
    /// order of the script. A fault in a body counts if the body has the bytes for it, also where
    /// the client does not read on until there.
    pub fired: Vec<u64>,
    /// Bytes of bodies sent, counted as they are handed to the kernel: never fewer than a client
    /// has received, up to one piece (256 KiB) more per connection that broke.
    pub body_bytes: u64,
    /// Bytes that the connections' own rates would have let go, had this machine been in time:
    /// what it made up for later and what slow clients did not take is not among them.
    pub missed_bytes_of_connections: u64,
    /// The same of the rate of all connections together.
    pub missed_bytes_in_all: u64,
    /// The first requests, in the order they were read; bounded in number and in bytes of text.
    pub log: Vec<RequestLog>,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestLog {
    /// Which connection, counted from 1.
    pub connection: u64,
    /// When it was found to have arrived, since the server's start.
    pub at: Duration,
    /// It was there before the last bytes of the answer before it were sent. A server whose shape
    /// is the default does not look.
    pub is_early: bool,
    /// GET, HEAD or what else was sent.
    pub method: String,
    /// The target as sent.
    pub target: String,
    /// The whole head as sent.
    pub head: String,
    /// The single range asked for, if it was one.
    pub range: Option<RangeAsked>,
    /// The status of the answer; `None` where the script gave none.
    pub status: Option<u16>,
    /// Bytes of its body sent, counted like [`Stats::body_bytes`].
    pub body_bytes: u64,
    /// Its answer was handed to the kernel to the end, and did not break off.
    pub is_whole: bool,
    /// The rules of the script counted in [`Stats::fired`], by their index.
    pub faults: Vec<usize>,
}

/// The server's own book, written by every connection.
pub(super) struct Book {
    pages: Mutex<Pages>,
}

#[derive(Default)]
struct Pages {
    stats: Stats,
    /// Bytes of text in the log.
    log_bytes: usize,
    /// The first request that finds no room ends the log, so that it has no gaps.
    log_is_full: bool,
}

/// Names one request in the book: its number, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry(pub(super) u64);

impl Book {
    /// For a script of `rules` rules.
    pub(super) fn new(rules: usize) -> Self {
        let stats = Stats { fired: vec![0; rules], ..Stats::default() };
        Self { pages: Mutex::new(Pages { stats, ..Pages::default() }) }
    }

    pub(super) fn snapshot(&self) -> Stats {
        lock(&self.pages).stats.clone()
    }

    /// All but the log.
    pub(super) fn counts(&self) -> Stats {
        let stats = &mut lock(&self.pages).stats;
        let log = mem::take(&mut stats.log);
        let counts = stats.clone();
        stats.log = log;
        counts
    }

    /// Bytes of bodies sent so far.
    pub(super) fn body_bytes(&self) -> u64 {
        lock(&self.pages).stats.body_bytes
    }

    /// Counts one connection in and returns its number, unless `limit` are live.
    pub(super) fn arrive(&self, limit: usize) -> Option<u64> {
        let stats = &mut lock(&self.pages).stats;
        if stats.connections_live >= limit {
            return None;
        }
        stats.connections += 1;
        stats.connections_live += 1;
        stats.connections_peak = stats.connections_peak.max(stats.connections_live);
        Some(stats.connections)
    }

    pub(super) fn refused(&self) {
        self.count(|stats| stats.connections_refused += 1);
    }

    pub(super) fn leave(&self) {
        self.count(|stats| stats.connections_live -= 1);
    }

    pub(super) fn displaced(&self) {
        self.count(|stats| stats.connections_displaced += 1);
    }

    pub(super) fn timed_out(&self) {
        self.count(|stats| stats.connections_timed_out += 1);
    }

    pub(super) fn lost(&self) {
        self.count(|stats| stats.connections_lost += 1);
    }

    pub(super) fn resumed(&self) {
        self.count(|stats| stats.tls_resumed += 1);
    }

    pub(super) fn request(&self, record: RequestLog) -> Entry {
        let mut pages = lock(&self.pages);
        pages.stats.requests += 1;
        pages.write_down(record);
        Entry(pages.stats.requests)
    }

    pub(super) fn turned_away(&self) {
        self.count(|stats| stats.requests_refused += 1);
    }

    pub(super) fn answered(&self, entry: Entry, status: u16) {
        self.count(|stats| stats.with(entry, |record| record.status = Some(status)));
    }

    /// Its answer has been sent whole.
    pub(super) fn ended(&self, entry: Entry) {
        self.count(|stats| stats.with(entry, |record| record.is_whole = true));
    }

    /// These rules made a difference to the answer.
    pub(super) fn fired(&self, entry: Entry, rules: Vec<usize>) {
        if rules.is_empty() {
            return;
        }
        self.count(|stats| {
            rules.iter().for_each(|rule| stats.fired[*rule] += 1);
            stats.with(entry, |record| record.faults = rules);
        });
    }

    /// This rule ends a connection before its first request, or the whole server.
    pub(super) fn fired_without_request(&self, rule: usize) {
        self.count(|stats| stats.fired[rule] += 1);
    }

    /// Returns the bytes of bodies sent so far, with these.
    pub(super) fn sent(&self, entry: Entry, body_bytes: u64) -> u64 {
        let stats = &mut lock(&self.pages).stats;
        stats.body_bytes += body_bytes;
        stats.with(entry, |record| record.body_bytes += body_bytes);
        stats.body_bytes
    }

    pub(super) fn missed(&self, of_connections: u64, in_all: u64) {
        if of_connections + in_all > 0 {
            self.count(|stats| {
                stats.missed_bytes_of_connections += of_connections;
                stats.missed_bytes_in_all += in_all;
            });
        }
    }

    fn count(&self, change: impl FnOnce(&mut Stats)) {
        change(&mut lock(&self.pages).stats);
    }
}

impl Pages {
    fn write_down(&mut self, record: RequestLog) {
        let bytes = record.head.len() + record.method.len() + record.target.len();
        let log = &mut self.stats.log;
        self.log_is_full |=
            log.len() >= SERVER_LOG_ENTRIES_MAX || bytes > SERVER_LOG_BYTES_MAX - self.log_bytes;
        if !self.log_is_full {
            self.log_bytes += bytes;
            log.push(record);
        }
    }
}

impl Stats {
    fn with(&mut self, entry: Entry, change: impl FnOnce(&mut RequestLog)) {
        let index = usize::try_from(entry.0 - 1).unwrap_or(usize::MAX);
        if let Some(record) = self.log.get_mut(index) {
            change(record);
        }
    }
}
