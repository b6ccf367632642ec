//! What all parts of one running transfer share: settings, the clock's zero, counters, the first
//! failure, and who listens. Knows neither plan nor sockets.

use super::client::Shared;
use super::client::rates::{RateWaits, Rates, throttle};
use super::counts::ConnectionCounts;
use super::options::{Engine, Options};
use super::progress::{Event, INSECURE_WARNING, Level, Phase, Progress};
use super::race::{First, race};
use super::stop::StopHandle;
use super::waits::{Retry, Waits};
use super::window::Window;
use crate::base::limits::UNKEPT_NOTE_BYTES_MIN;
use crate::base::rate::{RateWindow, SteadyRate};
use crate::base::size::format_bytes;
use crate::base::url::Origin;
use crate::base::{Error, ErrorKind, Result, Span, SpanSet, Url};
use crate::io::throttle::Throttle;
use crate::plan::Pressure;
use crate::plan::retry::Backoff;
use std::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Who hears of events.
pub(super) type EventListener = Box<dyn Fn(&Event) + Send + Sync>;

/// One transfer's common ground. All shards hold it.
pub(super) struct Context {
    pub(super) options: Options,
    /// What the transfer runs on.
    pub(super) client: Arc<Shared>,
    pub(super) counts: Arc<ConnectionCounts>,
    started: Instant,
    stop: StopHandle,
    /// Ends all work of the present attempt; the stop handle belongs to the caller.
    halt: Mutex<StopHandle>,
    failure: Mutex<Option<Error>>,
    /// Bytes on the disk that are not what was written there, or not those of the file.
    corrupt: Mutex<SpanSet>,
    /// A source that serves another file, and has to be left out of the next attempt.
    liar: Mutex<Option<Url>>,
    /// What ended the attempt, if it was a bad piece.
    again: Mutex<Option<Again>>,
    /// Two sources serve two files, and nobody can say which is right.
    is_undecided: AtomicBool,
    /// What the file is made of.
    window: Mutex<Window>,
    /// Where the caller's secrets belong: the origin of the URL that was named first.
    home: OnceLock<Origin>,
    on_event: Option<EventListener>,
    /// Bytes of the file that are here.
    here_bytes: AtomicU64,
    /// Those of them that an earlier run has left.
    resumed_bytes: AtomicU64,
    /// Those that have not been read back and compared.
    unchecked_bytes: AtomicU64,
    /// Why a stop keeps nothing, if that is so.
    unkept: Mutex<Option<&'static str>>,
    retries: AtomicU32,
    is_insecurity_told: AtomicBool,
    /// Blocks could not be registered, as too little memory may be locked.
    lacks_locked_memory: AtomicBool,
    /// Most connections at once, whatever the options allow.
    connections_limit: AtomicU32,
    /// Grows with each byte that is received, and with what else arrives.
    arrived: AtomicU64,
    /// Time in waits before retries while nothing else went on, in nanoseconds.
    waited_ns: AtomicU64,
    /// Limits of the rate that this transfer has beside those of its client.
    rates: Rates,
    /// Waits for any of them.
    pub(super) rate_waits: Arc<RateWaits>,
    /// What the shards have felt since the last tick of the plan.
    pub(super) load: Load,
    told: Mutex<Told>,
}

/// What the next attempt does about bad pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Again {
    /// Fetches them from the same sources.
    Same,
    /// Does without these sources, which brought parts of one; or with one of them alone.
    Without(Vec<Url>),
}

/// How busy the shards are; each adds to it, the tick takes it.
#[derive(Default)]
pub(super) struct Load {
    blocks_exhausted: AtomicBool,
    writes_waiting: AtomicBool,
    /// Of the busiest thread, in thousandths.
    cpu_permille: AtomicU32,
    /// Over the whole transfer, per thread slot: CPU time in microseconds.
    cpu_us_max: AtomicU64,
    /// Reports over the whole transfer.
    reports: AtomicU32,
    /// Those of shards whose connections waited for the hash of pieces.
    reports_of_hash: AtomicU32,
}

impl Load {
    /// A shard's report since its last one; `cpu_total` is its thread's since it started.
    pub(super) fn report(
        &self,
        exhausted: bool,
        writing: bool,
        cpu_busy: f64,
        cpu_total: Duration,
    ) {
        self.blocks_exhausted.fetch_or(exhausted, Ordering::Relaxed);
        self.writes_waiting.fetch_or(writing, Ordering::Relaxed);
        #[allow(clippy::cast_possible_truncation, reason = "0 to 1 becomes 0 to 1000")]
        self.cpu_permille.fetch_max((cpu_busy * 1000.0) as u32, Ordering::Relaxed);
        let cpu_us = u64::try_from(cpu_total.as_micros()).unwrap_or(u64::MAX);
        self.cpu_us_max.fetch_max(cpu_us, Ordering::Relaxed);
    }

    /// Beside each report: whether connections waited for the hash of pieces.
    pub(super) fn report_hash(&self, held: bool) {
        self.reports.fetch_add(1, Ordering::Relaxed);
        self.reports_of_hash.fetch_add(u32::from(held), Ordering::Relaxed);
    }

    /// Share of the reports, 0 to 1, in which connections waited for the hash of pieces.
    pub(super) fn hash_waiting(&self) -> f64 {
        let reports = self.reports.load(Ordering::Relaxed).max(1);
        f64::from(self.reports_of_hash.load(Ordering::Relaxed)) / f64::from(reports)
    }

    /// What was reported since the last call.
    pub(super) fn take(&self) -> Pressure {
        Pressure {
            blocks_exhausted: self.blocks_exhausted.swap(false, Ordering::Relaxed),
            writes_waiting: self.writes_waiting.swap(false, Ordering::Relaxed),
            cpu_busy: f64::from(self.cpu_permille.swap(0, Ordering::Relaxed)) / 1000.0,
            reader_busy: None,
            is_rate_limited: false,
        }
    }

    /// CPU time of the busiest thread over the whole transfer.
    pub(super) fn cpu_of_busiest(&self) -> Duration {
        Duration::from_micros(self.cpu_us_max.load(Ordering::Relaxed))
    }
}

/// What changes seldom and is shown to the caller.
struct Told {
    phase: Phase,
    total_bytes: Option<u64>,
    rate: RateWindow,
    steady_rate: SteadyRate,
    waits: Waits,
}

impl Context {
    pub(super) fn new(
        options: Options,
        stop: StopHandle,
        on_event: Option<EventListener>,
        client: &Arc<Shared>,
    ) -> Arc<Self> {
        let told = Told {
            phase: Phase::Connecting,
            total_bytes: None,
            rate: RateWindow::new(),
            steady_rate: SteadyRate::default(),
            waits: Waits::default(),
        };
        Arc::new(Self {
            rates: Rates::new(&options.rate),
            rate_waits: Arc::default(),
            options,
            client: client.clone(),
            counts: Arc::default(),
            started: Instant::now(),
            stop,
            halt: Mutex::default(),
            failure: Mutex::new(None),
            corrupt: Mutex::default(),
            liar: Mutex::default(),
            again: Mutex::default(),
            is_undecided: AtomicBool::new(false),
            window: Mutex::default(),
            home: OnceLock::new(),
            on_event,
            here_bytes: AtomicU64::new(0),
            resumed_bytes: AtomicU64::new(0),
            unchecked_bytes: AtomicU64::new(0),
            unkept: Mutex::new(None),
            retries: AtomicU32::new(0),
            is_insecurity_told: AtomicBool::new(false),
            lacks_locked_memory: AtomicBool::new(false),
            connections_limit: AtomicU32::new(u32::MAX),
            arrived: AtomicU64::new(0),
            waited_ns: AtomicU64::new(0),
            load: Load::default(),
            told: Mutex::new(told),
        })
    }

    /// On a client of its own, for tests.
    #[cfg(test)]
    pub(super) fn alone(options: Options) -> Arc<Self> {
        let client = super::client::Client::for_one(&options).expect("usable options");
        Self::new(options, StopHandle::new(), None, client.shared())
    }

    /// Time since the transfer began: the plan's `now`.
    pub(super) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Ends the transfer with `error`; only the first one counts.
    pub(super) fn fail(&self, error: Error) {
        lock(&self.failure).get_or_insert(error);
        lock(&self.halt).stop();
    }

    /// Ends the attempt, as these bytes, which an earlier run has left, are not what it wrote.
    pub(super) fn fail_corrupt(&self, wrong: SpanSet) {
        let bytes = wrong.covered();
        self.set_resumed(self.resumed_bytes().saturating_sub(bytes));
        *lock(&self.corrupt) = wrong;
        let bytes = format_bytes(bytes);
        let what = format!("{bytes} on the disk are not what an earlier run has written there");
        self.fail(Error::new(ErrorKind::DiskIo, what));
    }

    /// The source at `url` serves another file: the `wrong` bytes, which it has brought, are to be
    /// fetched again.
    pub(super) fn set_liar(&self, url: Url, wrong: SpanSet) {
        *lock(&self.corrupt) = wrong;
        *lock(&self.liar) = Some(url);
    }

    /// Ends the attempt, as pieces of the file are bad: the `wrong` bytes do not count. `again` is
    /// what the next attempt does about them; `None`: there is none. Only the first failure counts.
    pub(super) fn fail_pieces(&self, error: Error, wrong: SpanSet, again: Option<Again>) {
        let mut failure = lock(&self.failure);
        if failure.is_some() {
            return;
        }
        *failure = Some(error);
        *lock(&self.corrupt) = wrong;
        *lock(&self.again) = again;
        drop(failure);
        lock(&self.halt).stop();
    }

    /// Whether the attempt has failed.
    pub(super) fn has_failed(&self) -> bool {
        lock(&self.failure).is_some()
    }

    /// What the next attempt does about the bad pieces that ended this one.
    pub(super) fn take_again(&self) -> Option<Again> {
        lock(&self.again).take()
    }

    /// The source that is to be left out of the next attempt, if one is.
    pub(super) fn liar(&self) -> Option<Url> {
        lock(&self.liar).clone()
    }

    /// Two sources serve two files: another attempt would find no more than that.
    pub(super) fn set_undecided(&self) {
        self.is_undecided.store(true, Ordering::Relaxed);
    }

    /// Whether two sources serve two files, and nobody can say which is right.
    pub(super) fn is_undecided(&self) -> bool {
        self.is_undecided.load(Ordering::Relaxed)
    }

    /// The source that ended the attempt, as it serves another file.
    pub(super) fn take_liar(&self) -> Option<Url> {
        lock(&self.liar).take()
    }

    /// What the file is made of, as far as is known.
    pub(super) fn window(&self) -> Window {
        lock(&self.window).clone()
    }

    /// From now on the file is made of that.
    pub(super) fn set_window(&self, window: Window) {
        *lock(&self.window) = window;
    }

    /// The bytes of what servers have that a request for `span` of the file asks for.
    pub(super) fn there(&self, span: Span) -> Span {
        lock(&self.window).there(span)
    }

    /// The caller's secrets, in header fields, are meant for this origin.
    pub(super) fn set_home(&self, origin: Origin) {
        // One transfer has one home.
        _ = self.home.set(origin);
    }

    /// Whether the caller's secrets are meant for `origin`.
    pub(super) fn is_home(&self, origin: &Origin) -> bool {
        self.home.get().is_none_or(|home| home == origin)
    }

    /// The bytes that ended the attempt; none if it was something else.
    pub(super) fn take_corrupt(&self) -> SpanSet {
        std::mem::take(&mut *lock(&self.corrupt))
    }

    /// Another attempt begins after a failed one; everything of that has ended.
    pub(super) fn rearm(&self) {
        *lock(&self.failure) = None;
        *lock(&self.halt) = StopHandle::new();
    }

    /// The failure that ended the transfer, if one did; once, for whoever reports the outcome.
    pub(super) fn take_failure(&self) -> Option<Error> {
        lock(&self.failure).take()
    }

    /// An error if the caller has stopped the transfer.
    pub(super) fn check_stop(&self) -> Result<()> {
        if self.stop.is_stopped() { Err(stopped()) } else { Ok(()) }
    }

    /// Runs `work`, or gives it up (drops it) when the transfer fails elsewhere or is stopped. The
    /// error says no more than that then: the reason is what [`Context::take_failure`] answers.
    pub(super) async fn guard<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let halt = lock(&self.halt).clone();
        let halted = race(halt.stopped(), self.stop.stopped());
        match race(work, halted).await {
            First::Left(result) => result,
            First::Right(_) => Err(Error::new(ErrorKind::Interrupted, "stopped before the end")),
        }
    }

    /// Says once that certificates are not checked, when the first one would be. Who has many
    /// transfers says so by itself.
    pub(super) fn warn_of_insecurity(&self) {
        if !self.client.is_shared && !self.is_insecurity_told.swap(true, Ordering::Relaxed) {
            self.tell(Level::Warning, None, INSECURE_WARNING);
        }
    }

    /// Says that a shard has another driver than it should, if nobody has said so.
    pub(super) fn tell_of_fallback(&self) {
        if let Some(note) = self.client.threads.drivers.take_note() {
            self.tell(Level::Note, None, note);
        }
    }

    /// What moves the bytes.
    pub(super) fn engine(&self) -> Engine {
        if self.client.threads.drivers.is_on_epoll() { Engine::Epoll } else { Engine::IoUring }
    }

    /// What bounds the rate of connections to `origin`, if anything does.
    pub(super) fn throttle(&self, origin: &Origin) -> Option<Arc<dyn Throttle>> {
        throttle([&self.client.rates, &self.rates], origin, &self.rate_waits)
    }

    /// The least limit of what comes from `origin`, in bytes per second, and the option that sets
    /// it.
    pub(super) fn rate_limit(&self, origin: &Origin) -> Option<(u64, &'static str)> {
        let both = [&self.client.rates, &self.rates].into_iter();
        both.filter_map(|rates| rates.least(origin)).min()
    }

    /// What this machine and the limits of the rate have held up since the last call.
    pub(super) fn pressure(&self) -> Pressure {
        Pressure { is_rate_limited: self.rate_waits.take(), ..self.load.take() }
    }

    /// Counts body bytes that arrived.
    pub(super) fn received(&self, bytes: u64) {
        self.here_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.arrived.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Something has arrived that nobody has received yet.
    pub(super) fn stirred(&self) {
        self.arrived.fetch_add(1, Ordering::Relaxed);
    }

    /// `bytes` of the file are here when an attempt begins.
    pub(super) fn set_here(&self, bytes: u64) {
        self.here_bytes.store(bytes, Ordering::Relaxed);
    }

    /// `bytes` of those that are here were left by an earlier run.
    pub(super) fn set_resumed(&self, bytes: u64) {
        self.resumed_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Bytes of the file that this run has brought.
    pub(super) fn new_bytes(&self) -> u64 {
        self.here_bytes.load(Ordering::Relaxed).saturating_sub(self.resumed_bytes())
    }

    /// Bytes of the file that an earlier run has left.
    pub(super) fn resumed_bytes(&self) -> u64 {
        self.resumed_bytes.load(Ordering::Relaxed)
    }

    /// `bytes` of those that are here have not been compared with what was written.
    pub(super) fn set_unchecked(&self, bytes: u64) {
        self.unchecked_bytes.store(bytes, Ordering::Relaxed);
    }

    /// `bytes` more have been compared.
    pub(super) fn checked(&self, bytes: u64) {
        self.unchecked_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Bytes that are here and have not been compared with what was written.
    pub(super) fn unchecked_bytes(&self) -> u64 {
        self.unchecked_bytes.load(Ordering::Relaxed)
    }

    /// If the transfer is stopped, nothing of it will be there for a later run, for this reason.
    /// Says so, once; of a file that is hardly worth it only to who wants to know much.
    pub(super) fn cannot_keep(&self, total: Option<u64>, why: &'static str) {
        let is_new = lock(&self.unkept).replace(why).is_none();
        if is_new {
            let is_small = total.is_some_and(|total| total < UNKEPT_NOTE_BYTES_MIN);
            let level = if is_small { Level::Detail } else { Level::Note };
            let text = format!("{why}: if this download stops, the next run starts over");
            self.tell(level, None, text);
        }
    }

    /// Why a stop keeps nothing, if that is so.
    pub(super) fn unkept(&self) -> Option<&'static str> {
        *lock(&self.unkept)
    }

    /// Waits between tries, as the options ask for.
    pub(super) fn backoff(&self) -> Backoff {
        Backoff::new(self.options.retries, self.options.retry_wait, jitter_seed())
    }

    /// Takes back body bytes that arrived and were lost.
    pub(super) fn lost(&self, bytes: u64) {
        self.here_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Counts a failure that is retried.
    pub(super) fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// What has failed, `number` times in a row by now, is retried after `wait`, in which nothing
    /// may come. The server has named this time, if it `is_asked`.
    pub(super) fn wait_for_retry(
        &self,
        kind: ErrorKind,
        wait: Duration,
        number: u32,
        is_asked: bool,
    ) {
        let (now, arrived) = (self.now(), self.arrived.load(Ordering::Relaxed));
        let (at, number_max) = (now.saturating_add(wait), self.options.retries);
        let retry = Retry { kind, at, number, number_max, is_asked };
        lock(&self.told).waits.begin(now, arrived, retry);
    }

    /// Counts a failure that is retried after `wait`, in which nothing else goes on.
    pub(super) fn retried_after(&self, wait: Duration) {
        self.retried();
        let nanoseconds = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        self.waited_ns.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// Time in such waits.
    pub(super) fn waited(&self) -> Duration {
        Duration::from_nanos(self.waited_ns.load(Ordering::Relaxed))
    }

    /// Blocks could not be registered, as this machine lets too little memory be locked.
    pub(super) fn set_lacks_locked_memory(&self) {
        self.lacks_locked_memory.store(true, Ordering::Relaxed);
    }

    /// Whether that was so.
    pub(super) fn lacks_locked_memory(&self) -> bool {
        self.lacks_locked_memory.load(Ordering::Relaxed)
    }

    /// Failures that were retried.
    pub(super) fn retries(&self) -> u32 {
        self.retries.load(Ordering::Relaxed)
    }

    /// The transfer may have no more than `connections` at once from now on, and one in any case.
    /// Its plan hears of it with the next tick.
    pub(super) fn limit_connections(&self, connections: u32) {
        self.connections_limit.store(connections.max(1), Ordering::Relaxed);
    }

    /// Most connections at once, at least 1.
    pub(super) fn connections_limit(&self) -> u32 {
        self.connections_limit.load(Ordering::Relaxed)
    }

    /// The server has said the size.
    pub(super) fn set_total(&self, total: Option<u64>) {
        lock(&self.told).total_bytes = total;
    }

    /// What the transfer does from now on.
    pub(super) fn set_phase(&self, phase: Phase) {
        lock(&self.told).phase = phase;
    }

    /// A snapshot for the caller; called by one thread at a steady pace.
    pub(super) fn progress(&self) -> Progress {
        let (now, bytes_done) = (self.now(), self.here_bytes.load(Ordering::Relaxed));
        let resumed_bytes = self.resumed_bytes();
        let mut told = lock(&self.told);
        told.rate.sample(now, self.new_bytes());
        told.steady_rate.sample(now, self.new_bytes());
        let (waiting, silence) = told.waits.look(now, self.arrived.load(Ordering::Relaxed));
        Progress {
            phase: told.phase,
            bytes_done,
            resumed_bytes,
            unchecked_bytes: self.unchecked_bytes(),
            bytes_total: told.total_bytes,
            elapsed: now,
            rate_bytes_per_second: told.rate.bytes_per_second(now),
            steady_rate_bytes_per_second: told.steady_rate.bytes_per_second(),
            connections: self.counts.open(),
            waiting,
            silence,
        }
    }

    /// Whether anybody hears of events; their text need not be made otherwise.
    pub(super) fn is_heard(&self) -> bool {
        self.on_event.is_some()
    }

    /// Tells the caller what happened.
    pub(super) fn tell(&self, level: Level, connection: Option<u32>, text: impl Into<String>) {
        if let Some(listener) = &self.on_event {
            listener(&Event { level, connection, text: text.into() });
        }
    }
}

/// A seed that differs from run to run, so that clients that failed together do not come back
/// together.
pub(super) fn jitter_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn stopped() -> Error {
    Error::new(ErrorKind::Interrupted, "stopped before the end")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::client::Client;
    use crate::io::driver::{Driver, DriverKind};
    use std::future::pending;

    fn context() -> (Arc<Context>, StopHandle) {
        let stop = StopHandle::new();
        let client = Client::for_one(&Options::default()).unwrap();
        (Context::new(Options::default(), stop.clone(), None, client.shared()), stop)
    }

    fn work_for_ever(context: &Context) -> Result<()> {
        Driver::new(DriverKind::Epoll).unwrap().run(context.guard(pending()))
    }

    #[test]
    fn the_first_failure_ends_the_work_and_is_the_reason() {
        let (context, _stop) = context();
        context.fail(Error::new(ErrorKind::DiskFull, "first"));
        context.fail(Error::new(ErrorKind::Connect, "second"));
        let result = work_for_ever(&context);
        assert!(result.is_err());
        assert_eq!(context.take_failure().unwrap().kind(), ErrorKind::DiskFull);
    }

    #[test]
    fn a_stop_from_another_thread_ends_the_work() {
        let (context, stop) = context();
        let stopper = std::thread::spawn(move || stop.stop());
        let result = work_for_ever(&context);
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Interrupted);
        stopper.join().unwrap();
    }
}
