//! The workers as the plan sees them: who runs, who is proven, what each connection measures. Owns
//! this table; must not know spans.

use super::meter::Meter;
use super::retry::{self, Class, Terms};
use super::{ConnectionId, SourceId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Round trips that it takes to make a connection, at most: TCP, and TLS 1.2. What takes longer,
/// as addresses are dead or the server is slow to shake hands, costs as much as distance would.
const SETUP_ROUND_TRIPS_MAX: u32 = 3;
/// A replaced connection reports its end within this time; a later failure is one of its own.
const REPLACED_WITHIN: Duration = Duration::from_secs(2);

/// All workers that were ever seen.
#[derive(Debug, Default)]
pub(super) struct Workers {
    by_id: BTreeMap<ConnectionId, Worker>,
    /// How many of them run.
    running: u32,
    /// What connections have measured of the way to each source.
    paths: BTreeMap<SourceId, Path>,
    /// The same of whichever path was measured last, for those of which nothing is known.
    latest: Path,
    /// Bytes that had come when the server last forbade a request.
    forbidden_at_bytes: Option<u64>,
}

/// What is known of the way to one source, and of how it treats connections.
#[derive(Debug, Clone, Copy, Default)]
struct Path {
    /// Time to first byte of the connection that measured last, for those that have not.
    tau: Option<Duration>,
    /// How far above that such times strayed lately.
    jitter: Duration,
    /// Measured times to first byte so far.
    tau_samples: u32,
    /// What the last connection took to be made.
    setup: Option<Duration>,
    /// Indicates whether some connection has completed an answer and stayed open.
    is_kept_alive: bool,
    /// Indicates whether some span was completed.
    has_completed: bool,
}

/// The way to the sources as the number of connections depends on it: the longest of those that
/// are in use, as what more connections bring is seen no earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Longest {
    /// From the wish for a new connection to its first byte.
    pub(super) reach: Duration,
    /// Time to first byte as it usually is on the median connection: the least one, how far others
    /// stray above it, and the connection where each answer needs its own.
    pub(super) tau: Duration,
    /// Indicates whether that is more than the time of one answer, which may have its own reasons.
    pub(super) knows_tau: bool,
}

/// One worker.
#[derive(Debug, Default)]
pub(super) struct Worker {
    pub(super) meter: Meter,
    /// Indicates whether it is between its first question and
    /// [`Next::Retire`](super::Next::Retire).
    pub(super) is_running: bool,
    /// Where it was sent last; `None`: nowhere yet.
    source: Option<SourceId>,
    /// Indicates whether it has a connection, as far as is known.
    pub(super) is_connected: bool,
    /// Indicates whether it has ever had one.
    pub(super) has_connected: bool,
    /// Indicates whether this connection has completed an answer and stayed open.
    pub(super) is_kept_alive: bool,
    /// Bytes of its last request.
    pub(super) last_bytes: Option<u64>,
    /// Indicates whether its connection ends with the present answer, or has been told to.
    pub(super) will_close: bool,
    /// Indicates whether it asked for work and got none.
    pub(super) is_idle: bool,
    /// Indicates whether it works on the span ahead though the one before is not reported as
    /// finished.
    pub(super) has_started_ahead: bool,
    /// Its last span failed without a byte delivered. It pauses, leaves holes to others and does
    /// not steal: one that the server refuses, while it serves the rest, would otherwise spend the
    /// budget of one span after the other.
    pub(super) setback: Option<Setback>,
    /// When it was told to make a new connection, until it reports the end of the old one.
    replaced_at: Option<Duration>,
    /// Failures that no span was charged with.
    forgiven: Forgiven,
    /// Bytes that had come, from whomever, when the server last forbade it a request.
    forbidden_at_bytes: Option<u64>,
}

/// Failures of one connection that no span was charged with, while no byte of the file came.
#[derive(Debug, Clone, Copy, Default)]
struct Forgiven {
    /// How many in a row.
    failures: u32,
    /// Bytes of the file that were delivered at the last one.
    delivered_bytes: u64,
}

/// A connection's own failures, beside those of the spans it tried.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setback {
    /// Spans in a row that failed without a byte delivered.
    failures: u32,
    /// When it may try again.
    pub(super) ready_at: Duration,
}

impl Workers {
    /// The worker; one that was never seen is new.
    pub(super) fn entry(&mut self, id: ConnectionId) -> &mut Worker {
        self.by_id.entry(id).or_default()
    }

    pub(super) fn get(&self, id: ConnectionId) -> Option<&Worker> {
        self.by_id.get(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (ConnectionId, &Worker)> {
        self.by_id.iter().map(|(&id, worker)| (id, worker))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (ConnectionId, &mut Worker)> {
        self.by_id.iter_mut().map(|(&id, worker)| (id, worker))
    }

    pub(super) fn is_proven(&self, id: ConnectionId) -> bool {
        self.get(id).is_none_or(|worker| worker.setback.is_none())
    }

    /// Workers that run and are proven.
    pub(super) fn proven(&self) -> u32 {
        let proven = |worker: &&Worker| worker.is_running && worker.setback.is_none();
        count(self.by_id.values().filter(proven).count())
    }

    pub(super) fn running(&self) -> u32 {
        self.running
    }

    /// The worker asks, or is known to work.
    pub(super) fn run(&mut self, id: ConnectionId) {
        let worker = self.by_id.entry(id).or_default();
        self.running += u32::from(!worker.is_running);
        worker.is_running = true;
    }

    /// The worker ends.
    pub(super) fn retire(&mut self, id: ConnectionId) {
        let worker = self.by_id.entry(id).or_default();
        self.running -= u32::from(worker.is_running);
        (worker.is_running, worker.is_idle) = (false, false);
        worker.setback = None;
        worker.on_gone();
    }

    /// The worker's next connection, or its present one, is at this source.
    pub(super) fn on_routed(&mut self, id: ConnectionId, to: SourceId) {
        let worker = self.entry(id);
        if worker.source.replace(to).is_some_and(|from| from != to) {
            worker.meter.on_moved();
        }
    }

    pub(super) fn on_connected(&mut self, id: ConnectionId, setup: Duration) {
        self.path_mut(id).setup = Some(setup);
        self.latest.setup = Some(setup);
        let worker = self.entry(id);
        (worker.is_connected, worker.is_kept_alive, worker.will_close) = (true, false, false);
        worker.has_connected = true;
        worker.meter.on_connected();
    }

    /// The connection has completed an answer and stays open.
    pub(super) fn on_keep_alive(&mut self, id: ConnectionId) {
        self.path_mut(id).is_kept_alive = true;
        self.entry(id).is_kept_alive = true;
    }

    /// The worker has completed a span.
    pub(super) fn on_completed(&mut self, id: ConnectionId) {
        self.path_mut(id).has_completed = true;
    }

    /// From the wish for a new connection to its source to its first byte.
    pub(super) fn reach(&self, id: ConnectionId) -> Duration {
        self.reach_of(self.source_of(id))
    }

    /// The same of a connection to this source.
    pub(super) fn reach_of(&self, source: SourceId) -> Duration {
        self.path(source).reach()
    }

    /// Whether some connection of the worker's source has completed an answer and stayed open.
    pub(super) fn is_kept_alive(&self, id: ConnectionId) -> bool {
        self.path(self.source_of(id)).is_kept_alive
    }

    /// Whether answers of its source were completed, and no connection stayed open after one.
    pub(super) fn closes_each_time(&self, id: ConnectionId) -> bool {
        self.path(self.source_of(id)).closes_each_time()
    }

    /// The longest of the ways that connections stand on, or have stood on if none does.
    pub(super) fn longest(&self) -> Longest {
        let is_any_connected = self.by_id.values().any(|worker| worker.is_connected);
        let used = self.by_id.values().filter(|it| it.is_connected || !is_any_connected);
        let sources: BTreeSet<_> = used.map(|it| it.source.unwrap_or_default()).collect();
        let paths = sources.into_iter().map(|source| self.usual_path(source));
        let longest = paths.max_by_key(Path::tau_usual).unwrap_or(self.latest);
        Longest {
            reach: longest.reach(),
            tau: longest.tau_usual(),
            knows_tau: longest.tau_samples > 1,
        }
    }

    /// The way to the source with the time to first byte of its median connection: on a single one
    /// a packet may have been lost, or it has begun behind a queue.
    fn usual_path(&self, source: SourceId) -> Path {
        let path = self.path(source);
        let own = self.by_id.values().filter(|it| it.source.unwrap_or_default() == source);
        let times = own.filter_map(|it| Some((it.meter.tau()?, it.meter.jitter())));
        let mut times: Vec<_> = times.collect();
        times.sort_unstable();
        let median = times.get(times.len().saturating_sub(1) / 2);
        median.map_or(path, |&(tau, jitter)| Path { tau: Some(tau), jitter, ..path })
    }

    /// The median round trip of the data that comes, in multiples of `tau`; 0 if it is unknown.
    pub(super) fn queueing(&self, tau: Duration) -> f64 {
        let flowing = self.by_id.values().filter(|worker| worker.meter.is_flowing());
        let mut times: Vec<Duration> = flowing.filter_map(|it| it.meter.round_trip()).collect();
        times.sort_unstable();
        let median = times.get(times.len() / 2).copied().unwrap_or_default();
        if tau.is_zero() { 0.0 } else { median.as_secs_f64() / tau.as_secs_f64() }
    }

    /// The round trip to the server, as far as it is known: a first answer may be slow for reasons
    /// of its own. Where one of several `addresses` is dead, connections take longer than round
    /// trips explain, and it is as if the server were farther away; with a single address a packet
    /// was lost, and the next connection is sooner there.
    pub(super) fn distance(&self, id: ConnectionId, addresses: u32) -> Duration {
        let tau = self.tau(id).unwrap_or_default();
        let setup = self.path(self.source_of(id)).setup.unwrap_or_default();
        match addresses {
            _ if setup.is_zero() => tau,
            1 => tau.min(setup),
            _ => tau.min(setup).max(setup / SETUP_ROUND_TRIPS_MAX),
        }
    }

    /// Workers other than `id`, of its siblings, whose connection stands.
    pub(super) fn connected_beside(
        &self,
        id: ConnectionId,
        is_sibling: impl Fn(ConnectionId) -> bool,
    ) -> u32 {
        let others = self.iter().filter(|(other, _)| *other != id && is_sibling(*other));
        count(others.filter(|(_, worker)| worker.is_connected).count())
    }

    /// The server has forbidden the worker's request. Whether that is because it serves others of
    /// its siblings: one of them is receiving, or bytes have come since the last time this worker,
    /// or else anybody, was told so.
    pub(super) fn look_for_others_served(
        &mut self,
        id: ConnectionId,
        is_sibling: impl Fn(ConnectionId) -> bool,
    ) -> bool {
        let others = self.iter().filter(|(other, _)| *other != id && is_sibling(*other));
        let is_one_served = others.into_iter().any(|(_, worker)| worker.meter.is_flowing());
        let received = self.iter().filter(|(other, _)| *other == id || is_sibling(*other));
        let received_bytes = received.map(|(_, worker)| worker.meter.received_bytes()).sum();
        let earlier = self.forbidden_at_bytes.replace(received_bytes);
        let own = self.entry(id).forbidden_at_bytes.replace(received_bytes);
        is_one_served || own.or(earlier).is_some_and(|earlier| earlier < received_bytes)
    }

    /// Notes that the worker's first byte came, and what that says of the path.
    pub(super) fn on_first_byte(&mut self, now: Duration, id: ConnectionId, start: u64) {
        let worker = self.entry(id);
        let is_measured = worker.meter.on_first_byte(now, start);
        let (tau, jitter) = (worker.meter.tau(), worker.meter.jitter());
        let path = self.path_mut(id);
        path.jitter = jitter;
        path.tau = tau.or(path.tau);
        path.tau_samples += u32::from(is_measured);
        self.latest = *path;
    }

    /// Time to first byte of this worker, or else of whoever knows, first of all at its source;
    /// `None`: nobody does.
    pub(super) fn tau(&self, id: ConnectionId) -> Option<Duration> {
        let own = self.get(id).and_then(|worker| worker.meter.tau());
        own.or(self.path(self.source_of(id)).tau)
    }

    /// Time to first byte of this source, or of whoever knows.
    pub(super) fn tau_of(&self, source: SourceId) -> Duration {
        self.path(source).tau.unwrap_or_default()
    }

    fn source_of(&self, id: ConnectionId) -> SourceId {
        self.get(id).and_then(|worker| worker.source).unwrap_or_default()
    }

    /// What is known of the way to the source; the times of another way where nothing is.
    fn path(&self, source: SourceId) -> Path {
        let own = self.paths.get(&source).copied().unwrap_or_default();
        let setup = own.setup.or(self.latest.setup);
        match own.tau {
            Some(_) => Path { setup, ..own },
            None => Path { setup, tau: self.latest.tau, jitter: self.latest.jitter, ..own },
        }
    }

    fn path_mut(&mut self, id: ConnectionId) -> &mut Path {
        self.paths.entry(self.source_of(id)).or_default()
    }
}

impl Path {
    fn reach(&self) -> Duration {
        self.setup.unwrap_or_default() + self.tau.unwrap_or_default()
    }

    fn closes_each_time(&self) -> bool {
        self.has_completed && !self.is_kept_alive
    }

    fn tau_usual(&self) -> Duration {
        let setup = self.setup.filter(|_| self.closes_each_time());
        setup.unwrap_or_default() + self.tau.unwrap_or_default() + self.jitter
    }
}

impl Worker {
    /// Pauses like a span that failed, but by its own count, and at least for `wait_min`.
    pub(super) fn set_back(
        &mut self,
        now: Duration,
        class: Class,
        terms: Terms,
        wait_min: Duration,
    ) {
        let failures = self.setback.map_or(0, |setback| setback.failures).saturating_add(1);
        let wait = retry::wait_after(class, failures, terms).unwrap_or_default().max(wait_min);
        self.setback = Some(Setback { failures, ready_at: now.saturating_add(wait) });
    }

    /// Whether a failure that its span is not to blame for may go uncounted: as many in a row as
    /// are retried, and one more, unless the file has grown in between. Otherwise connections that
    /// are refused or replaced because of each other could go on for ever.
    pub(super) fn forgive(&mut self, delivered_bytes: u64, retries: u32) -> bool {
        let has_grown = self.forgiven.delivered_bytes != delivered_bytes;
        let earlier = if has_grown { 0 } else { self.forgiven.failures };
        self.forgiven = Forgiven { failures: earlier.saturating_add(1), delivered_bytes };
        earlier <= retries
    }

    /// The connection is gone.
    pub(super) fn on_gone(&mut self) {
        self.meter.on_idle();
        (self.is_connected, self.is_kept_alive) = (false, false);
        (self.has_started_ahead, self.will_close) = (false, false);
    }

    pub(super) fn replace(&mut self, now: Duration) {
        self.replaced_at = Some(now);
    }

    /// Whether the failure that is being reported is our own doing.
    pub(super) fn take_replaced(&mut self, now: Duration) -> bool {
        let replaced_at = self.replaced_at.take();
        replaced_at.is_some_and(|at| now.saturating_sub(at) <= REPLACED_WITHIN)
    }

    pub(super) fn is_being_replaced(&self, now: Duration) -> bool {
        self.replaced_at.is_some_and(|at| now.saturating_sub(at) <= REPLACED_WITHIN)
    }
}

fn count(workers: usize) -> u32 {
    u32::try_from(workers).expect("worker ids are 32 bits wide")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Arrival;

    fn distance_ms(setup_ms: u64, tau_ms: u64, addresses: u32) -> u128 {
        let (mut workers, id) = (Workers::default(), ConnectionId(0));
        let ms = Duration::from_millis;
        workers.on_connected(id, ms(setup_ms));
        workers.entry(id).meter.on_requested(ms(setup_ms), 0, true);
        workers.on_first_byte(ms(setup_ms + tau_ms), id, 0);
        workers.distance(id, addresses).as_millis()
    }

    #[test]
    fn a_connection_that_lost_its_first_packet_does_not_make_the_way_longer() {
        let (mut workers, ms) = (Workers::default(), Duration::from_millis);
        for (id, tau_ms) in [(0, 50), (1, 48), (2, 51), (3, 270)] {
            workers.on_connected(ConnectionId(id), ms(40));
            workers.entry(ConnectionId(id)).meter.on_requested(ms(40), 0, true);
            workers.on_first_byte(ms(40 + tau_ms), ConnectionId(id), 0);
        }
        assert_eq!(workers.longest().tau, ms(50));
        workers.entry(ConnectionId(3)).source = Some(SourceId(1));
        workers.paths.insert(SourceId(1), Path::default());
        assert_eq!(workers.longest().tau, ms(270), "to another source it may be as long");
    }

    #[test]
    fn the_median_round_trip_tells_how_much_waits_in_queues() {
        let (mut workers, ms) = (Workers::default(), Duration::from_millis);
        assert!(workers.queueing(ms(50)) < 0.1, "nothing is known");
        for (id, round_trip_ms, is_flowing) in
            [(0, 0, true), (1, 50, true), (2, 70, true), (3, 200, true), (4, 900, false)]
        {
            let meter = &mut workers.entry(ConnectionId(id)).meter;
            meter.on_requested(ms(0), 0, true);
            if is_flowing {
                meter.on_first_byte(ms(50), 0);
            }
            let round_trip = ms(round_trip_ms);
            meter.on_arrival(ms(60), Arrival { round_trip, ..Arrival::default() });
        }
        assert!((workers.queueing(ms(50)) - 1.4).abs() < 1e-9, "{}", workers.queueing(ms(50)));
        assert!(workers.queueing(ms(0)) < 0.1);
    }

    #[test]
    fn connections_that_take_long_to_make_are_a_distance() {
        assert_eq!(distance_ms(30, 30, 2), 30);
        assert_eq!(distance_ms(90, 30, 2), 30, "TLS 1.2");
        assert_eq!(distance_ms(30, 500, 2), 30, "the answer took its time");
        assert_eq!(distance_ms(280, 30, 2), 93, "a dead address was tried first");
        assert_eq!(distance_ms(1030, 30, 1), 30, "the first packet was lost");
    }
}
