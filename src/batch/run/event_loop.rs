//! The batch's own thread: carries out what the scheduler orders, records what has ended, and tells
//! the observer.
//!
//! States: running -> paused before the last round -> running -> closing (what still runs is
//! stopped, what is whole is kept) -> ended.

use super::dispatcher::{Dispatcher, Ended, Told};
use super::large::Large;
use super::observer::Observer;
use super::rate::Pace;
use super::recorder::Recorder;
use crate::base::limits::BATCH_ACTIVE_MAX;
use crate::base::{Error, ErrorKind, Result, Slice};
use crate::batch::progress::{Active, Progress};
use crate::batch::result::{Happening, LogLine, Summary};
use crate::engine::landing::Landing;
use crate::engine::lane::{LaneCounts, Lanes};
use crate::engine::limit_watch::LimitWatch;
use crate::engine::progress::{Event, Waiting};
use crate::engine::stop::StopHandle;
use crate::schedule::Order;
use std::cmp::Reverse;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// The thread looks up at least this often.
const LOOK: Duration = Duration::from_millis(50);
/// Time between two progress reports.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);
/// Time that is waited for downloads to end when the batch is stopped.
const STOP_TIME: Duration = Duration::from_secs(10);
/// Wait before what has failed is tried once more.
const LAST_ROUND_WAIT: Duration = Duration::from_millis(500);

/// Silence from which on a wait is what holds the batch up: something of another origin would have
/// come.
const SILENCE_OF_WAIT: Duration = Duration::from_millis(300);

/// A batch that runs.
pub(super) struct EventLoop<'a> {
    dispatcher: Arc<Dispatcher>,
    lanes: Lanes,
    large: Large,
    landing: Arc<Landing>,
    limits: LimitWatch,
    recorder: Recorder,
    stop: StopHandle,
    observer: &'a mut dyn Observer,
    summary: Summary,
    began: Instant,
    /// Processor time of this process before.
    cpu_before: Duration,
    last_progress: Option<Instant>,
    pace: Pace,
    /// Bytes that have arrived in this run, as told last.
    bytes_done: u64,
}

/// Who does the work.
pub(super) struct Crew {
    pub(super) dispatcher: Arc<Dispatcher>,
    /// Fetch small files.
    pub(super) lanes: Lanes,
    /// Fetches large files.
    pub(super) large: Large,
    /// Gives small files their names.
    pub(super) landing: Arc<Landing>,
    /// Sees whether a limit of the rate is what is waited for.
    pub(super) limits: LimitWatch,
}

impl<'a> EventLoop<'a> {
    pub(super) fn new(
        crew: Crew,
        recorder: Recorder,
        stop: StopHandle,
        observer: &'a mut dyn Observer,
    ) -> Self {
        let Crew { dispatcher, lanes, large, landing, limits } = crew;
        let cpu_before = lanes.counts().cpu;
        Self {
            dispatcher,
            lanes,
            large,
            landing,
            limits,
            recorder,
            stop,
            observer,
            summary: Summary::default(),
            began: Instant::now(),
            cpu_before,
            last_progress: None,
            pace: Pace::default(),
            bytes_done: 0,
        }
    }

    /// Of the items of this slice.
    pub(super) fn of(mut self, slice: Option<Slice>) -> Self {
        self.summary.slice = slice;
        self
    }

    /// Runs to the end of the list, or until something ends all of it.
    pub(super) fn run(mut self) -> Result<Summary> {
        let result = self.rounds();
        self.landing.hurry();
        self.close();
        self.report_progress(true);
        self.sum_up();
        result.map(|()| self.summary)
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
            self.limits.look();
            self.dispatcher.set_rate_limited(self.lanes.were_rate_limited());
            let snapshot = self.dispatcher.snapshot();
            snapshot.told.into_iter().for_each(|told| self.tell(told));
            snapshot.ended.into_iter().for_each(|ended| self.record(ended));
            if let Some(error) = snapshot.fatal {
                return Err(error);
            }
            if snapshot.is_done {
                return self.recorder.sync();
            }
            snapshot.orders.into_iter().for_each(|order| self.carry_out(order));
            self.recorder.flush()?;
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
            self.record_ended();
            if self.is_idle() {
                break;
            }
            self.dispatcher.wait(LOOK);
        }
        self.landing.finish();
        self.record_ended();
        self.dispatcher.give_up_failed();
        self.record_ended();
        // Best effort: there is nothing more to do for a journal that cannot be written.
        let _ = self.recorder.sync();
    }

    /// Whether nothing is on its way any more.
    fn is_idle(&self) -> bool {
        self.large.is_empty() && self.landing.behind() == 0 && self.dispatcher.lanes_open() == 0
    }

    fn record_ended(&mut self) {
        let snapshot = self.dispatcher.snapshot();
        snapshot.ended.into_iter().for_each(|ended| self.record(ended));
    }

    /// A job has ended: the journal and the observer hear of it.
    fn record(&mut self, ended: Ended) {
        let slice = self.summary.slice;
        self.summary.add(&ended.outcome);
        self.recorder.record(&ended);
        self.observer.on_log(&LogLine::end(SystemTime::now(), slice, &ended.outcome));
        self.observer.on_result(&ended.outcome);
    }

    fn tell(&mut self, told: Told) {
        let (at, slice) = (SystemTime::now(), self.summary.slice);
        match told {
            Told::Start { path, url } => {
                let happening = Happening::Start;
                self.observer.on_log(&LogLine { at, slice, path: &path, url: &url, happening });
            }
            Told::Note(level, text) => {
                self.observer.on_event(&Event { level, connection: None, text });
            }
            Told::Retry { path, url, number, wait, cause } => {
                let happening = Happening::Retry { number, wait, bytes: 0, cause: &cause };
                self.observer.on_log(&LogLine { at, slice, path: &path, url: &url, happening });
            }
        }
    }

    fn sum_up(&mut self) {
        let LaneCounts { cpu, open_max, .. } = self.lanes.counts();
        // Lanes and downloads count for themselves; their sum is seen when progress is reported.
        let most = open_max.max(self.large.connections_max());
        self.summary.elapsed = self.began.elapsed();
        self.summary.cpu = cpu.saturating_sub(self.cpu_before);
        self.summary.connections = self.summary.connections.max(most);
        self.summary.limiter = self.limits.verdict(self.bytes_done, self.summary.elapsed);
    }

    /// Reports progress, if that is due or the batch is over.
    fn report_progress(&mut self, is_end: bool) {
        let is_due = self.last_progress.is_none_or(|at| at.elapsed() >= PROGRESS_INTERVAL);
        if is_due || is_end {
            self.last_progress = Some(Instant::now());
            let progress = self.progress();
            self.summary.connections = self.summary.connections.max(progress.connections);
            self.bytes_done = progress.bytes_done;
            self.observer.on_progress(&progress);
        }
    }

    fn progress(&mut self) -> Progress {
        let counts = self.lanes.counts();
        let (mut active, large_bytes, large_connections) = self.large.look();
        active.sort_by_key(|file| Reverse(file.bytes_total));
        active.truncate(BATCH_ACTIVE_MAX);
        let bytes_done = counts.bytes + large_bytes;
        let elapsed = self.began.elapsed();
        let rates = self.pace.sample(elapsed, bytes_done, self.summary.files());
        let known = self.dispatcher.known();
        let waiting = self.dispatcher.waiting().or_else(|| next_of(&active));
        Progress {
            slice: self.summary.slice,
            files_done: self.summary.done,
            files_unchanged: self.summary.unchanged,
            files_failed: self.summary.failed,
            files_read: known.read,
            is_list_read: known.is_list_read,
            files_unsized: known.unsized_files,
            files_landing: self.landing.behind() as u64,
            bytes_done,
            bytes_expected: Some(known.expected_bytes()).filter(|bytes| *bytes > 0),
            elapsed,
            rate_bytes_per_second: rates.bytes_per_second,
            files_per_second: rates.files_per_second,
            steady_rate_bytes_per_second: rates.steady_bytes_per_second,
            steady_files_per_second: rates.steady_files_per_second,
            connections: counts.open + large_connections,
            waiting: waiting.filter(|_| rates.silence >= SILENCE_OF_WAIT),
            silence: rates.silence,
            active,
        }
    }
}

/// What is waited for next in downloads, if one waits.
fn next_of(active: &[Active]) -> Option<Waiting> {
    active.iter().filter_map(|file| file.waiting.clone()).min_by_key(|waiting| waiting.left)
}
