//! A batch on its way: items in, results out.
//!
//! Three threads meet at the `dispatcher`: the reader takes items from the list and prepares them
//! (`prepare`), lanes and downloads fetch them, and the batch's own thread, here, carries out what
//! the scheduler orders, records what has ended and tells the caller. An item on its way is a
//! `job`; `large` looks after downloads, `origins` knows whom lanes lead to.

mod dispatcher;
mod job;
mod large;
mod origins;
mod prepare;

use super::item::Item;
use super::naming::Taken;
use super::progress::Progress;
use super::result::{Happening, LogLine, Outcome, Status, Summary};
use super::state::{Done, Failed, FileTime, IfExists, Key, Record, State};
use crate::base::limits::{BATCH_FLUSH_RECORDS, BATCH_FLUSH_TIME, LANE_ITEMS_MAX};
use crate::base::{Error, ErrorKind, Result};
use crate::engine::Client;
use crate::engine::landing::{Durability, Landing};
use crate::engine::lane::{LaneCounts, Lanes};
use crate::engine::options::{ClientOptions, Options, SyncMode};
use crate::engine::progress::{Event, Level};
use crate::engine::stop::StopHandle;
use crate::schedule::{self, Order, Parallel};
use dispatcher::{Dispatcher, Ended, Terms, Told};
use large::Large;
use prepare::{Prepared, Preparer};
use std::cmp::Reverse;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// The batch's thread looks up at least this often.
const LOOK: Duration = Duration::from_millis(50);
/// Time between two progress reports.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);
/// Active files that progress names.
const ACTIVE_MAX: usize = 8;
/// Time that is waited for downloads to end when the batch is stopped.
const STOP_TIME: Duration = Duration::from_secs(10);
/// Wait before what has failed is tried once more.
const LAST_ROUND_WAIT: Duration = Duration::from_millis(500);

/// Settings of a batch; `BatchOptions::default()` is a good start.
#[derive(Debug, Clone)]
pub struct BatchOptions {
    /// The folder that all files go to; it must exist.
    pub dir: PathBuf,
    /// Files at once; `None` for as many as pay.
    pub parallel: Option<u32>,
    /// Most connections of all files at once, at least 1.
    pub max_connections: u32,
    /// Most connections to one origin at once, at least 1.
    pub max_connections_per_host: u32,
    /// What is done about targets that are there.
    pub if_exists: IfExists,
    /// Folders below [`dir`](Self::dir) that items name are made.
    pub create_dirs: bool,
    /// When files are durable.
    pub sync: Durability,
    /// Files have the time at which the server says that they were changed.
    pub remote_time: bool,
    /// The journal of the batch: what it has done a later run does not do again.
    pub state: Option<PathBuf>,
    /// The first failure ends the batch.
    pub fail_fast: bool,
    /// Settings of each file. Its checksum, output and trace are not used.
    pub options: Options,
    /// Settings of the client that fetches them all.
    pub client: ClientOptions,
}

impl Default for BatchOptions {
    fn default() -> Self {
        let options = Options::default();
        Self {
            dir: PathBuf::from("."),
            parallel: None,
            max_connections: options.max_connections,
            max_connections_per_host: options.max_connections,
            if_exists: IfExists::default(),
            create_dirs: true,
            sync: Durability::default(),
            remote_time: false,
            state: None,
            fail_fast: false,
            options,
            client: ClientOptions::default(),
        }
    }
}

/// Who hears of what a batch does; all of it on the thread that runs it.
pub trait Observer {
    /// A file has ended. A failed one may be tried again in a later round, which is told then.
    fn on_result(&mut self, outcome: &Outcome) {
        let _ = outcome;
    }

    /// Something happened to a file.
    fn on_log(&mut self, line: &LogLine<'_>) {
        let _ = line;
    }

    /// Whether it hears of each start of a file, which takes time.
    fn hears_log(&self) -> bool {
        false
    }

    /// About ten times a second, and once at the end.
    fn on_progress(&mut self, progress: &Progress) {
        let _ = progress;
    }

    /// A note or a warning.
    fn on_event(&mut self, event: &Event) {
        let _ = event;
    }
}

/// Nobody hears of anything.
impl Observer for () {}

/// Many files, fetched together.
///
/// # Example
///
/// ```
/// use ringhaul::{Batch, BatchOptions, Item, server};
///
/// # fn main() -> ringhaul::Result<()> {
/// let server = server::Server::start(server::Config::new(1, 20_000))?;
/// let folder = tempfile::tempdir().expect("a scratch folder");
///
/// let options = BatchOptions { dir: folder.path().into(), ..BatchOptions::default() };
/// let urls: Vec<String> = (0..50).map(|n| server.url(&format!("/{n}.bin"))).collect();
/// let items = urls.into_iter().map(|url| Ok(Item::new(url)));
/// let summary = Batch::new(options)?.run(items, &mut ())?;
///
/// assert_eq!((summary.done, summary.failed), (50, 0));
/// assert_eq!(std::fs::metadata(folder.path().join("49.bin")).expect("it is there").len(), 20_000);
/// # Ok(())
/// # }
/// ```
#[must_use = "a batch does nothing before run()"]
pub struct Batch {
    options: BatchOptions,
    client: Client,
    state: Option<Arc<Mutex<State>>>,
    stop: StopHandle,
}

/// A batch that runs.
struct Run<'a> {
    options: &'a BatchOptions,
    dispatcher: Arc<Dispatcher>,
    lanes: Lanes,
    large: Large,
    landing: Arc<Landing>,
    state: Option<Arc<Mutex<State>>>,
    stop: StopHandle,
    taken: Arc<Mutex<Taken>>,
    observer: &'a mut dyn Observer,
    summary: Summary,
    began: Instant,
    cpu_before: Duration,
    last_progress: Option<Instant>,
    last_flush: Instant,
    /// Records that are in memory only.
    unflushed: usize,
    rate: Rate,
}

/// The rates of the last seconds.
#[derive(Default)]
struct Rate {
    samples: std::collections::VecDeque<(Instant, u64, u64)>,
}

impl Batch {
    /// A batch with these settings. Takes the lock of its journal.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if a setting is wrong, and what the disk has to say of the journal.
    pub fn new(options: BatchOptions) -> Result<Self> {
        options.options.validate()?;
        let client = ClientOptions {
            max_connections: Some(options.max_connections),
            max_connections_per_host: Some(options.max_connections_per_host),
            ..options.client.clone()
        };
        let client = Client::new(&client)?;
        let state = options.state.as_deref().map(State::open).transpose()?;
        let state = state.map(|state| Arc::new(Mutex::new(state)));
        Ok(Self { options, client, state, stop: StopHandle::new() })
    }

    /// A handle that stops it from another thread: what has come whole is kept and recorded.
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// Fetches all items; blocks until each of them has ended. An item that is an error counts as
    /// a failed file. The iterator runs on a thread of its own, a few hundred items ahead.
    ///
    /// # Errors
    /// What ends all of it: the folder is of no use, the disk is full, it was stopped
    /// ([`ErrorKind::Interrupted`]), the iterator panicked ([`ErrorKind::Internal`]), or with
    /// [`BatchOptions::fail_fast`] the first failure. That files failed is no error: the summary
    /// says it.
    pub fn run(
        self,
        items: impl IntoIterator<Item = Result<Item>, IntoIter: Send> + Send + 'static,
        observer: &mut dyn Observer,
    ) -> Result<Summary> {
        let Self { options, client, state, stop } = self;
        let settings = schedule::Settings {
            parallel: options.parallel.map_or(Parallel::Auto, Parallel::Fixed),
            connections_total_max: options.max_connections,
            connections_per_origin_max: options.max_connections_per_host,
            ..schedule::Settings::default()
        };
        let terms = Terms {
            root: options.dir.clone(),
            fail_fast: options.fail_fast,
            tells_starts: observer.hears_log(),
        };
        let dispatcher = Dispatcher::new(settings, terms);
        let listener = dispatcher.clone();
        let listener = Box::new(move |landed| listener.on_landed(landed));
        let landing = Landing::new(&options.dir, options.sync, options.create_dirs, listener)?;
        let landing = Arc::new(landing);
        dispatcher.set_landing(landing.clone());
        let remote_time = options.remote_time;
        let lanes = Lanes::new(
            &client,
            Options { checksum: None, trace: None, remote_time, ..options.options.clone() },
            stop.clone(),
            None,
            dispatcher.clone(),
            landing.clone(),
            LANE_ITEMS_MAX as usize,
        );
        let sync = match options.sync {
            Durability::None => SyncMode::None,
            Durability::File | Durability::Batch => SyncMode::File,
        };
        let large_options = Options { trace: None, sync, remote_time, ..options.options.clone() };
        let large = Large::new(&client, large_options, landing.clone(), dispatcher.clone());
        let taken = Arc::new(Mutex::new(Taken::new()));
        let preparer = Preparer {
            root: options.dir.clone(),
            if_exists: options.if_exists,
            state: state.clone(),
            taken: taken.clone(),
        };
        read_on(items, preparer, dispatcher.clone())?;
        let cpu_before = lanes.counts().cpu;
        let run = Run {
            options: &options,
            dispatcher,
            lanes,
            large,
            landing,
            state,
            stop,
            taken,
            observer,
            summary: Summary::default(),
            began: Instant::now(),
            cpu_before,
            last_progress: None,
            last_flush: Instant::now(),
            unflushed: 0,
            rate: Rate::default(),
        };
        run.run()
    }
}

/// Reads the list on a thread of its own. It is not waited for at the end: a pipe may say nothing
/// for ever.
fn read_on(
    items: impl IntoIterator<Item = Result<Item>, IntoIter: Send> + Send + 'static,
    preparer: Preparer,
    dispatcher: Arc<Dispatcher>,
) -> Result<()> {
    let reader = thread::Builder::new().name("ringhaul-list".to_owned());
    let read = move || {
        let _guard = ReaderGuard { dispatcher: dispatcher.clone() };
        for item in items {
            let goes_on = match item {
                Ok(mut item) => {
                    let (warnings, notes) =
                        (std::mem::take(&mut item.warnings), std::mem::take(&mut item.notes));
                    warnings.into_iter().for_each(|text| dispatcher.note(Level::Warning, text));
                    notes.into_iter().for_each(|text| dispatcher.note(Level::Note, text));
                    match preparer.prepare(item) {
                        Prepared::Fetch(job) => dispatcher.offer(*job),
                        Prepared::Ended(outcome) => dispatcher.ended_unasked(outcome),
                    }
                }
                Err(error) => dispatcher.ended_unasked(Box::new(Outcome::of_bad_item(error))),
            };
            if !goes_on {
                return;
            }
        }
        dispatcher.end_of_list();
    };
    let started = reader.spawn(read);
    started
        .map(drop)
        .map_err(|e| Error::new(ErrorKind::ResourceLimit, "cannot start a thread").caused_by(e))
}

/// Ends the batch if the reader of the list panics: nobody else would say that no more items come.
struct ReaderGuard {
    dispatcher: Arc<Dispatcher>,
}

impl Drop for ReaderGuard {
    fn drop(&mut self) {
        if thread::panicking() {
            let error = Error::new(ErrorKind::Internal, "the iterator of the items panicked");
            self.dispatcher.abort(error.advise("the message of the panic says where"));
        }
    }
}

impl Run<'_> {
    fn run(mut self) -> Result<Summary> {
        let result = self.rounds();
        self.landing.hurry();
        self.close();
        self.report_progress(true);
        self.sum_up();
        match result {
            Ok(()) => Ok(self.summary),
            Err(error) => Err(error),
        }
    }

    /// Until everything has ended, and what failed has been tried once more.
    fn rounds(&mut self) -> Result<()> {
        self.until_done()?;
        if self.dispatcher.start_last_round() > 0 {
            self.pause(LAST_ROUND_WAIT);
            self.until_done()?;
        }
        Ok(())
    }

    fn until_done(&mut self) -> Result<()> {
        loop {
            if self.stop.is_stopped() {
                let what = "the batch was stopped before its end";
                let error = Error::new(ErrorKind::Interrupted, what);
                let error = error.advise("run the same command again: it goes on from here");
                self.dispatcher.abort(error);
            }
            self.large.tend();
            let snapshot = self.dispatcher.snapshot();
            self.tell(snapshot.told);
            for ended in snapshot.ended {
                self.record(ended);
            }
            if let Some(error) = snapshot.fatal {
                return Err(error);
            }
            if snapshot.is_done {
                return self.flush(true);
            }
            snapshot.orders.into_iter().for_each(|order| self.carry_out(order));
            self.flush(false)?;
            self.report_progress(false);
            self.dispatcher.wait(LOOK);
        }
    }

    fn carry_out(&mut self, order: Order) {
        match order {
            Order::OpenLane { lane, origin } => {
                if let Some(url) = self.dispatcher.lane_url(lane, origin) {
                    self.lanes.open(lane.0, &url);
                }
            }
            Order::StartLarge { item, connections } => self.large.start(item, connections),
            Order::Regrant { item, connections } => self.large.regrant(item, connections),
        }
    }

    fn pause(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until && !self.stop.is_stopped() {
            self.dispatcher.wait(LOOK);
            self.report_progress(false);
        }
    }

    /// Ends what still runs; what has come whole is kept.
    fn close(&mut self) {
        let why = Error::new(ErrorKind::Interrupted, "stopped before the end");
        self.dispatcher.abort(why);
        self.stop.stop();
        self.large.stop();
        let until = Instant::now() + STOP_TIME;
        while Instant::now() < until {
            self.large.tend();
            let snapshot = self.dispatcher.snapshot();
            snapshot.ended.into_iter().for_each(|ended| self.record(ended));
            if self.large.is_empty()
                && self.landing.behind() == 0
                && self.dispatcher.lanes_open() == 0
            {
                break;
            }
            self.dispatcher.wait(LOOK);
        }
        self.landing.finish();
        let snapshot = self.dispatcher.snapshot();
        snapshot.ended.into_iter().for_each(|ended| self.record(ended));
        self.dispatcher.give_up_failed();
        let snapshot = self.dispatcher.snapshot();
        snapshot.ended.into_iter().for_each(|ended| self.record(ended));
        // Best effort: there is nothing more to do for a journal that cannot be written.
        let _ = self.flush(true);
    }

    fn tell(&mut self, told: Vec<Told>) {
        for told in told {
            match told {
                Told::Start { path, url } => {
                    let (at, happening) = (SystemTime::now(), Happening::Start);
                    self.observer.on_log(&LogLine { at, path: &path, url: &url, happening });
                }
                Told::Note(level, text) => {
                    self.observer.on_event(&Event { level, connection: None, text });
                }
                Told::Retry { path, url, number, wait, cause } => {
                    let happening = Happening::Retry { number, wait, bytes: 0, cause: &cause };
                    let at = SystemTime::now();
                    self.observer.on_log(&LogLine { at, path: &path, url: &url, happening });
                }
            }
        }
    }

    /// A file has ended: the journal and the caller hear of it.
    fn record(&mut self, ended: Ended) {
        let Ended { outcome, meta, file } = ended;
        self.summary.add(&outcome);
        if let Some((target, source)) = file {
            let key = Key::of(&target);
            match (&outcome.status, meta) {
                (Status::Done, Some(meta)) => {
                    let done = Done {
                        source,
                        bytes: meta.len(),
                        modified: FileTime::of(&meta),
                        validator: outcome.validator.clone(),
                        digest: outcome.digest.clone(),
                    };
                    self.append(&key, &Record::Done(done));
                }
                (Status::Failed(error), _) => {
                    let target = target.display().to_string();
                    let (kind, text) = (error.kind(), error.to_string());
                    self.append(&key, &Record::Failed(Failed { source, kind, target, text }));
                    // Nobody has the name: another item of the list may.
                    lock(&self.taken).release(&outcome_target(&outcome, self.options));
                }
                (Status::Done | Status::Unchanged, _) => {}
            }
        }
        self.observer.on_log(&LogLine::end(SystemTime::now(), &outcome));
        self.observer.on_result(&outcome);
    }

    fn append(&mut self, key: &Key, record: &Record) {
        if let Some(state) = &self.state {
            lock(state).append(key, record);
            self.unflushed += 1;
        }
    }

    /// Writes the journal, now and then; at the end so that it is durable.
    fn flush(&mut self, is_end: bool) -> Result<()> {
        let Some(state) = self.state.clone().filter(|_| self.unflushed > 0 || is_end) else {
            return Ok(());
        };
        let is_due =
            self.unflushed >= BATCH_FLUSH_RECORDS || self.last_flush.elapsed() >= BATCH_FLUSH_TIME;
        if !is_end && !is_due {
            return Ok(());
        }
        self.last_flush = Instant::now();
        // At the end it may use the room that a full disk has left.
        let flushed = if is_end { lock(&state).sync() } else { lock(&state).flush() };
        if flushed.is_ok() {
            self.unflushed = 0;
        }
        flushed
    }

    fn sum_up(&mut self) {
        let LaneCounts { cpu, open_max, .. } = self.lanes.counts();
        // Lanes and downloads count for themselves; their sum is seen when progress is reported.
        let most = open_max.max(self.large.connections_max());
        self.summary.elapsed = self.began.elapsed();
        self.summary.cpu = cpu.saturating_sub(self.cpu_before);
        self.summary.connections = self.summary.connections.max(most);
    }

    fn report_progress(&mut self, is_end: bool) {
        let is_due = self.last_progress.is_none_or(|at| at.elapsed() >= PROGRESS_INTERVAL);
        if !is_due && !is_end {
            return;
        }
        self.last_progress = Some(Instant::now());
        let counts = self.lanes.counts();
        let (mut active, large_bytes, large_connections) = self.large.look();
        active.sort_by_key(|file| Reverse(file.bytes_total));
        active.truncate(ACTIVE_MAX);
        let connections = counts.open + large_connections;
        self.summary.connections = self.summary.connections.max(connections);
        let bytes_done = counts.bytes + large_bytes;
        let ended = self.summary.files();
        let (rate, files) = self.rate.of(bytes_done, ended);
        let known = self.dispatcher.known();
        let progress = Progress {
            files_done: self.summary.done,
            files_unchanged: self.summary.unchanged,
            files_failed: self.summary.failed,
            files_read: known.read,
            is_list_read: known.is_list_read,
            files_unsized: known.unsized_files,
            bytes_done,
            bytes_expected: (known.expected_bytes > 0).then_some(known.expected_bytes),
            elapsed: self.began.elapsed(),
            rate_bytes_per_second: rate,
            files_per_second: files,
            connections,
            active,
        };
        self.observer.on_progress(&progress);
    }
}

impl Rate {
    /// Bytes and files per second over the last two seconds.
    fn of(&mut self, bytes: u64, files: u64) -> (f64, f64) {
        let now = Instant::now();
        self.samples.push_back((now, bytes, files));
        let window = Duration::from_secs(2);
        while self.samples.len() > 2 && now - self.samples[1].0 > window {
            self.samples.pop_front();
        }
        let (then, bytes_then, files_then) = self.samples[0];
        let seconds = (now - then).as_secs_f64();
        if seconds == 0.0 {
            return (0.0, 0.0);
        }
        let per_second = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
        (per_second(bytes, bytes_then), per_second(files, files_then))
    }
}

/// The path of a file below the batch's folder.
fn outcome_target(outcome: &Outcome, options: &BatchOptions) -> PathBuf {
    outcome.path.strip_prefix(&options.dir).unwrap_or(&outcome.path).to_owned()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
