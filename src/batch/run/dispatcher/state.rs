//! What the dispatcher keeps under its lock: the scheduler, the origins, and all jobs by their
//! numbers. Owns what is the same for every job, its beginning and its end. Must not know locks,
//! nor who waits for them.

use super::Terms;
use crate::base::{Error, ErrorKind, Url};
use crate::batch::result::{Outcome, Status};
use crate::batch::run::job::Job;
use crate::batch::run::origins::Origins;
use crate::batch::state::Source;
use crate::engine::progress::{Level, Waiting};
use crate::schedule::{self, ItemId, OriginId, Scheduler};
use std::collections::HashMap;
use std::fs::Metadata;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What is behind the lock.
pub(super) struct State {
    pub(super) scheduler: Scheduler,
    pub(super) origins: Origins,
    /// Jobs that wait, are in flight or have failed and are kept, by their numbers.
    pub(super) jobs: HashMap<u64, Job>,
    /// Jobs whose bytes have come and that have not landed.
    pub(super) landing: HashMap<u64, Job>,
    /// Jobs that have ended, for the batch's thread.
    pub(super) ended: Vec<Ended>,
    /// What the batch's thread is to tell.
    pub(super) told: Vec<Told>,
    /// What is known of the list.
    pub(super) known: Known,
    /// Files that lanes hold.
    pub(super) held: usize,
    /// A lane has nothing to do.
    pub(super) is_awaited: bool,
    /// The reader of the list waits for room.
    pub(super) is_reader_waiting: bool,
    pub(super) lanes: HashMap<u64, OpenLane>,
    /// Why no more is begun.
    pub(super) fatal: Option<Error>,
    /// What was waited for last at an origin, and until when.
    wait: Option<(Waiting, Duration)>,
    next_id: u64,
    terms: Terms,
    started: Instant,
}

/// A lane that is open.
pub(super) struct OpenLane {
    pub(super) origin: OriginId,
    /// Files that it has taken and that have not ended.
    pub(super) held: usize,
}

/// A job that has ended, for the batch's thread.
pub(in crate::batch::run) struct Ended {
    pub(in crate::batch::run) outcome: Box<Outcome>,
    /// The file under its name, where one has got there.
    pub(in crate::batch::run) meta: Option<Metadata>,
    /// Its path below the batch's folder and where it comes from, if it has got that far; the
    /// latter only for a journal.
    pub(in crate::batch::run) file: Option<(PathBuf, Option<Source>)>,
}

/// What the batch's thread is told.
pub(in crate::batch::run) enum Told {
    /// A job is tried again.
    Retry { path: PathBuf, url: String, number: u32, wait: Duration, cause: Error },
    /// The first request for a job goes out.
    Start { path: PathBuf, url: String },
    /// A note or a warning for the user.
    Note(Level, String),
}

/// What is known of the list.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::batch::run) struct Known {
    /// Items read so far.
    pub(in crate::batch::run) read: u64,
    /// The list has been read to its end.
    pub(in crate::batch::run) is_list_read: bool,
    /// Items that have not ended and of which nobody knows the size.
    pub(in crate::batch::run) unsized_files: u64,
    /// Bytes of the others: what was missing of them as an answer says or, before there is one,
    /// their sizes as the list says. Of files that have ended, what came of those that are done.
    /// Whoever writes a list may say of any number of files that each is as large as can be.
    expected_bytes: u128,
}

impl Known {
    /// Bytes of the files whose sizes are known.
    pub(in crate::batch::run) fn expected_bytes(&self) -> u64 {
        u64::try_from(self.expected_bytes).unwrap_or(u64::MAX)
    }
}

impl State {
    pub(super) fn new(settings: schedule::Settings, terms: Terms) -> Self {
        let (mut scheduler, mut origins) = (Scheduler::new(settings), Origins::default());
        for (origin, connections_max) in &terms.connections_by_origin {
            let url = Url::parse(&format!("{origin}/")).expect("an origin is a URL");
            scheduler.limit_origin(origins.number(&url), *connections_max);
        }
        Self {
            scheduler,
            origins,
            jobs: HashMap::new(),
            landing: HashMap::new(),
            ended: Vec::new(),
            told: Vec::new(),
            known: Known::default(),
            held: 0,
            is_awaited: false,
            is_reader_waiting: false,
            lanes: HashMap::new(),
            fatal: None,
            wait: None,
            next_id: 0,
            terms,
            started: Instant::now(),
        }
    }

    /// Time since the batch began, as the scheduler counts it.
    pub(super) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// A job more, which waits from now on.
    pub(super) fn add(&mut self, mut job: Job) {
        self.known.read += 1;
        match job.asked.size {
            Some(bytes) => self.known.expected_bytes += u128::from(bytes),
            None => self.known.unsized_files += 1,
        }
        let id = self.next_id;
        self.next_id += 1;
        self.avoid_unwell(&mut job);
        self.scheduler.offer(self.origins.item(ItemId(id), &job));
        self.jobs.insert(id, job);
    }

    /// The number of the origin that the job asks; `None` for a job that is not there.
    pub(super) fn origin_of(&mut self, id: ItemId) -> Option<OriginId> {
        let url: &Url = self.jobs.get(&id.0)?.url();
        Some(self.origins.number(url))
    }

    /// This is missing of a job under way, as an answer says: what is here already does not count.
    pub(super) fn learn(&mut self, id: ItemId, bytes: u64) {
        let Some(job) = self.jobs.get_mut(&id.0) else { return };
        match job.learnt_bytes.replace(bytes).or(job.asked.size) {
            Some(before) => self.known.expected_bytes -= u128::from(before),
            None => self.known.unsized_files -= 1,
        }
        self.known.expected_bytes += u128::from(bytes);
    }

    /// The job has ended.
    pub(super) fn end(&mut self, job: Job, status: Status, meta: Option<Metadata>) {
        match job.learnt_bytes.or(job.asked.size) {
            Some(expected) => self.known.expected_bytes -= u128::from(expected),
            None => self.known.unsized_files -= 1,
        }
        if let Status::Done = status {
            self.known.expected_bytes += u128::from(job.learnt_bytes.unwrap_or(job.bytes));
        }
        let file = Some((job.target.clone(), job.source));
        let outcome = Box::new(job.outcome(&self.terms.root, status));
        self.hand_out(Ended { outcome, meta, file });
    }

    /// Something has ended: the batch's thread hears of it.
    pub(super) fn hand_out(&mut self, ended: Ended) {
        if self.terms.fail_fast
            && let Status::Failed(error) = &ended.outcome.status
        {
            self.fatal.get_or_insert(error.clone());
        }
        self.ended.push(ended);
    }

    /// An origin is left alone from `now` on: for `waiting.left`.
    pub(super) fn note_wait(&mut self, now: Duration, waiting: Waiting) {
        let until = now + waiting.left;
        self.wait = Some((waiting, until));
    }

    /// What is waited for at an origin, if that goes on.
    pub(super) fn waiting(&self) -> Option<Waiting> {
        let (waiting, until) = self.wait.as_ref()?;
        let left = until.checked_sub(self.now()).filter(|left| !left.is_zero())?;
        Some(Waiting { left, ..waiting.clone() })
    }

    /// A disk that is full or broken is so for all files.
    pub(super) fn note_fatal(&mut self, error: &Error) {
        if matches!(error.kind(), ErrorKind::DiskFull | ErrorKind::DiskIo) {
            self.fatal.get_or_insert(error.clone());
        }
    }

    /// Tells of a job that is asked for, unless it was before.
    pub(super) fn tell_start(&mut self, id: ItemId) {
        let job = self.jobs.get(&id.0).filter(|job| job.began.is_none());
        let Some(job) = job.filter(|_| self.terms.tells_starts) else { return };
        let path = self.terms.root.join(&job.target);
        self.told.push(Told::Start { path, url: job.asked.url().to_owned() });
    }

    /// Counts and tells another try of the job, after this `wait`.
    pub(super) fn tell_retry(&mut self, job: &mut Job, wait: Duration, cause: &Error) {
        job.retries += 1;
        self.told.push(Told::Retry {
            path: self.terms.root.join(&job.target),
            url: job.asked.url().to_owned(),
            number: job.retries,
            wait,
            cause: cause.clone(),
        });
    }
}
