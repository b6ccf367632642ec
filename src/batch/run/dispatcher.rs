//! What lanes, downloads, the reader of the list and the batch's own thread share: the scheduler
//! and the items behind its numbers, under one lock. Lanes take their files here.
//!
//! An item waits -> is in flight (in a lane, or as a download) -> lands -> has ended; or waits
//! again.
//! Must not know where results go.

use super::job::Job;
use super::origins::Origins;
use crate::base::limits::{BARRIER_FILES_MAX, WAITING_ITEMS_MAX};
use crate::base::{Error, ErrorKind, Side, Url};
use crate::batch::failure::{Permanence, permanence};
use crate::batch::result::{Outcome, Status};
use crate::batch::state::Source;
use crate::batch::validator::{Form, Validator};
use crate::engine::landing::{Landed, Landing, Ready};
use crate::engine::lane::{Bell, Desk, End, Fetched, Step};
use crate::engine::progress::Level;
use crate::schedule::{self, ItemId, LaneId, LaneNext, Moved, Order, OriginId, Scheduler};
use std::collections::HashMap;
use std::fs::Metadata;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Small files that may be behind the barrier before lanes wait for it.
const BEHIND_MAX: usize = 2 * BARRIER_FILES_MAX;
/// How often a small file is asked for again at once; after that it waits for the end of the list.
const RETRIES_AT_ONCE: u32 = 1;
/// Refusals (429, 503) of one file that are waited out.
const REFUSALS_MAX: u32 = 8;
/// The wait after a refusal that names none.
const REFUSAL_WAIT: Duration = Duration::from_secs(1);
/// The longest wait that a refusal may ask for.
const REFUSAL_WAIT_MAX: Duration = Duration::from_secs(120);

/// The shared state of a batch.
pub(super) struct Dispatcher {
    inner: Mutex<Inner>,
    /// Rings for lanes.
    bell: Bell,
    /// Rings for the batch's own thread: for what cannot wait for its next look.
    wake: Condvar,
    /// Rings for the reader of the list, when there is much room.
    room: Condvar,
    landing: OnceLock<Arc<Landing>>,
    root: PathBuf,
    started: Instant,
    fail_fast: bool,
    /// Somebody hears of items that begin.
    tells_starts: bool,
}

/// An item that has ended, for the batch's thread.
pub(super) struct Ended {
    pub(super) outcome: Box<Outcome>,
    /// The file under its name, where one has got there.
    pub(super) meta: Option<Metadata>,
    /// Its path below the batch's folder and where it comes from, if it has got that far.
    pub(super) file: Option<(PathBuf, Source)>,
}

/// What the batch's thread is told.
pub(super) enum Told {
    /// An item has begun, or is tried again: a line of the log.
    Retry { path: PathBuf, url: String, number: u32, wait: Duration, cause: Error },
    /// The first request for an item goes out.
    Start { path: PathBuf, url: String },
    /// A note or a warning for the user.
    Note(Level, String),
}

struct Inner {
    scheduler: Scheduler,
    origins: Origins,
    items: HashMap<u64, Job>,
    /// Items whose bytes have come and that have not landed.
    landing: HashMap<u64, Job>,
    next_id: u64,
    ended: Vec<Ended>,
    told: Vec<Told>,
    known: Known,
    /// Files that lanes hold.
    held: usize,
    /// A lane has nothing to do.
    is_awaited: bool,
    lanes: HashMap<u64, LaneState>,
    /// Why no more is begun.
    fatal: Option<Error>,
}

/// A lane that is open.
struct LaneState {
    origin: OriginId,
    /// Files that it has taken and that have not ended.
    held: usize,
}

/// A snapshot for the batch's thread.
pub(super) struct Snapshot {
    pub(super) orders: Vec<Order>,
    pub(super) ended: Vec<Ended>,
    pub(super) told: Vec<Told>,
    pub(super) is_done: bool,
    pub(super) fatal: Option<Error>,
}

/// What is known of the list.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Known {
    /// Items read so far.
    pub(super) read: u64,
    /// The list has been read to its end.
    pub(super) is_list_read: bool,
    /// Items of which nobody knows the size.
    pub(super) unsized_files: u64,
    /// Bytes of the others.
    pub(super) expected_bytes: u64,
}

/// A large file to start.
pub(super) struct Start {
    pub(super) url: Url,
    pub(super) target: PathBuf,
    pub(super) headers: Vec<(String, String)>,
    pub(super) checksum: Option<crate::engine::options::Checksum>,
    pub(super) replace: bool,
}

impl Dispatcher {
    pub(super) fn new(
        settings: schedule::Settings,
        root: PathBuf,
        fail_fast: bool,
        tells_starts: bool,
    ) -> Arc<Self> {
        let inner = Inner {
            scheduler: Scheduler::new(settings),
            origins: Origins::default(),
            items: HashMap::new(),
            landing: HashMap::new(),
            next_id: 0,
            ended: Vec::new(),
            told: Vec::new(),
            known: Known::default(),
            held: 0,
            is_awaited: false,
            lanes: HashMap::new(),
            fatal: None,
        };
        Arc::new(Self {
            inner: Mutex::new(inner),
            bell: Bell::default(),
            wake: Condvar::new(),
            room: Condvar::new(),
            landing: OnceLock::new(),
            root,
            started: Instant::now(),
            fail_fast,
            tells_starts,
        })
    }

    /// Where small files land, once that is known.
    pub(super) fn set_landing(&self, landing: Arc<Landing>) {
        assert!(self.landing.set(landing).is_ok(), "there is one landing");
    }

    fn landing(&self) -> &Arc<Landing> {
        self.landing.get().expect("it is set before anything is fetched")
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    // The reader of the list.

    /// One more item; waits while enough of them wait. `false` if no more are wanted.
    pub(super) fn offer(&self, mut job: Job) -> bool {
        let mut inner = self.lock();
        while !inner.scheduler.wants_more() && inner.fatal.is_none() {
            inner = self.room.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        if inner.fatal.is_some() {
            return false;
        }
        inner.known.read += 1;
        match job.asked.size {
            Some(bytes) => inner.known.expected_bytes += bytes,
            None => inner.known.unsized_files += 1,
        }
        let (id, now) = (inner.next_id, self.now());
        inner.next_id += 1;
        inner.avoid_unwell(&mut job, now);
        let item = inner.origins.item(ItemId(id), &job);
        inner.scheduler.offer(item);
        inner.items.insert(id, job);
        // Who is at work looks by itself.
        let is_first = inner.scheduler.waiting() == 1;
        let is_awaited = std::mem::take(&mut inner.is_awaited) || is_first;
        drop(inner);
        if is_awaited {
            self.ring();
        }
        true
    }

    /// An item that has ended before anything was asked. `false` if no more are wanted.
    pub(super) fn ended_unasked(&self, outcome: Box<Outcome>) -> bool {
        let mut inner = self.lock();
        inner.known.read += 1;
        self.note_failure(&mut inner, &outcome);
        inner.ended.push(Ended { outcome, meta: None, file: None });
        // A list of which everything is there must not outrun whoever writes the results.
        while inner.ended.len() > BEHIND_MAX && inner.fatal.is_none() {
            self.wake.notify_all();
            inner = self.room.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        inner.fatal.is_none()
    }

    /// A note or a warning for the user.
    pub(super) fn note(&self, level: Level, text: String) {
        self.lock().told.push(Told::Note(level, text));
    }

    /// The list has ended.
    pub(super) fn end_of_list(&self) {
        let mut inner = self.lock();
        inner.scheduler.end_of_list();
        inner.known.is_list_read = true;
        drop(inner);
        self.ring();
    }

    // The batch's own thread.

    /// What is to be done now.
    pub(super) fn snapshot(&self) -> Snapshot {
        let now = self.now();
        let mut inner = self.lock();
        let orders = if inner.fatal.is_some() { Vec::new() } else { inner.scheduler.decide(now) };
        for order in &orders {
            if let Order::OpenLane { lane, origin } = order {
                inner.lanes.insert(lane.0, LaneState { origin: *origin, held: 0 });
            }
        }
        let is_idle = inner.held == 0;
        let snapshot = Snapshot {
            orders,
            ended: std::mem::take(&mut inner.ended),
            told: std::mem::take(&mut inner.told),
            is_done: inner.scheduler.is_done() && inner.landing.is_empty(),
            fatal: inner.fatal.clone(),
        };
        drop(inner);
        if is_idle {
            self.landing().hurry();
        }
        if !snapshot.ended.is_empty() {
            self.room.notify_all();
        }
        snapshot
    }

    /// What is known of the list.
    pub(super) fn known(&self) -> Known {
        self.lock().known
    }

    /// Lanes that are open.
    pub(super) fn lanes_open(&self) -> usize {
        self.lock().lanes.len()
    }

    /// Waits for something to happen, `time` at most.
    pub(super) fn wait(&self, time: Duration) {
        let inner = self.lock();
        if inner.ended.is_empty() && inner.told.is_empty() && inner.fatal.is_none() {
            drop(self.wake.wait_timeout(inner, time));
        }
    }

    /// The URL that a lane is opened with; `None` if its origin is out of reach, and what it was to
    /// fetch has failed.
    pub(super) fn lane_url(&self, lane: LaneId, origin: OriginId) -> Option<Url> {
        let now = self.now();
        let mut inner = self.lock();
        let known = inner.origins.get(origin);
        let Some(error) = known.lost.clone() else { return Some(known.url.clone()) };
        while let LaneNext::Take(id) = inner.scheduler.next_for_lane(lane, now) {
            self.fail(&mut inner, id.0, error.clone(), true);
        }
        inner.scheduler.close_lane(lane);
        inner.lanes.remove(&lane.0);
        drop(inner);
        self.ring();
        None
    }

    /// A large file is started.
    pub(super) fn start_large(&self, id: ItemId) -> Start {
        let mut inner = self.lock();
        self.tell_start(&mut inner, id.0);
        let job = inner.items.get_mut(&id.0).expect("what is started is there");
        job.began.get_or_insert_with(Instant::now);
        Start {
            url: job.url().clone(),
            target: job.target.clone(),
            headers: job.headers.clone(),
            checksum: job.asked.checksum.clone(),
            replace: job.replace,
        }
    }

    /// A large file has come.
    pub(super) fn large_done(&self, id: ItemId, bytes: u64, done: LargeDone) {
        let now = self.now();
        let mut inner = self.lock();
        let Some(mut job) = inner.items.remove(&id.0) else { return };
        inner.scheduler.finished(id, now, schedule::Outcome::Done { bytes });
        let origin = inner.origins.number(job.url());
        inner.origins.answered(origin);
        let LargeDone { retries, digest, validator, meta } = done;
        job.bytes = bytes;
        job.retries += retries;
        (job.digest, job.validator) = (digest.or(job.digest), validator);
        self.end(&mut inner, job, Status::Done, meta);
        drop(inner);
        self.ring();
    }

    /// A large file has failed.
    pub(super) fn large_failed(&self, id: ItemId, error: Error) {
        let mut inner = self.lock();
        let url = inner.items.get(&id.0).map(|job| job.url().clone());
        if let Some(url) = url.filter(|_| is_unreachable(error.kind())) {
            let origin = inner.origins.number(&url);
            inner.origins.suspect(origin);
            self.leave(&mut inner, origin, &error);
        }
        self.fail(&mut inner, id.0, error, true);
        drop(inner);
        self.ring();
    }

    /// A large file that was to use fewer connections does.
    pub(super) fn released(&self, id: ItemId, connections: u32) {
        self.lock().scheduler.released(id, connections);
        self.ring();
    }

    /// Everything has ended: what failed and may pass comes once more. How many files that is.
    pub(super) fn start_last_round(&self) -> usize {
        let mut inner = self.lock();
        inner.origins.forgive();
        let count = inner.scheduler.start_last_round();
        drop(inner);
        self.ring();
        count
    }

    /// What failed stays failed: it is handed out as such.
    pub(super) fn give_up_failed(&self) {
        let mut inner = self.lock();
        let ids: Vec<u64> = inner.items.keys().copied().collect();
        for id in ids {
            let job = inner.items.remove(&id).expect("it was there");
            let error = job.error.clone().unwrap_or_else(|| {
                Error::new(ErrorKind::Interrupted, "stopped before it was begun")
            });
            self.end(&mut inner, job, Status::Failed(error), None);
        }
    }

    /// No more is begun, for this reason.
    pub(super) fn abort(&self, error: Error) {
        self.lock().fatal.get_or_insert(error);
        self.ring();
    }

    // What has landed.

    /// Files have landed, or failed to.
    pub(super) fn on_landed(&self, landed: Vec<Landed>) {
        let mut inner = self.lock();
        for Landed { id, result } in landed {
            let Some(job) = inner.landing.remove(&id) else { continue };
            match result {
                Ok(meta) => self.end(&mut inner, job, Status::Done, Some(meta)),
                Err(error) => {
                    self.note_fatal(&mut inner, &error);
                    self.end(&mut inner, job, Status::Failed(error), None);
                }
            }
        }
        drop(inner);
        self.ring();
    }

    fn end(&self, inner: &mut Inner, job: Job, status: Status, meta: Option<Metadata>) {
        if job.asked.size.is_none() {
            inner.known.unsized_files -= 1;
            inner.known.expected_bytes += job.bytes;
        }
        let file = Some((job.target.clone(), job.source));
        let outcome = Box::new(job.outcome(&self.root, status));
        self.note_failure(inner, &outcome);
        inner.ended.push(Ended { outcome, meta, file });
    }

    fn note_failure(&self, inner: &mut Inner, outcome: &Outcome) {
        if self.fail_fast
            && let Status::Failed(error) = &outcome.status
        {
            inner.fatal.get_or_insert(error.clone());
        }
    }

    /// A disk that is full or broken is so for all files.
    fn note_fatal(&self, inner: &mut Inner, error: &Error) {
        if matches!(error.kind(), ErrorKind::DiskFull | ErrorKind::DiskIo) {
            inner.fatal.get_or_insert(error.clone());
        }
    }

    /// The item, in flight, has failed at one of its URLs. It is asked for at the next one, and
    /// after the last one kept for the last round if that may help.
    fn fail(&self, inner: &mut Inner, id: u64, error: Error, may_be_kept: bool) {
        self.note_fatal(inner, &error);
        if self.ask_mirror(inner, id, &error) {
            return;
        }
        let Some(mut job) = inner.items.remove(&id) else { return };
        let error = job.failure(error);
        let may_pass = permanence(error.kind()) == Permanence::MayPass;
        let is_kept = may_be_kept && may_pass && inner.fatal.is_none() && job.error.is_none();
        if !is_kept {
            inner.scheduler.finished(ItemId(id), self.now(), schedule::Outcome::Dropped);
            return self.end(inner, job, Status::Failed(error), None);
        }
        let next = inner.origins.number(job.next_url());
        let kept_before = inner.scheduler.failed_kept();
        inner.scheduler.failed_here(ItemId(id), self.now(), next);
        if inner.scheduler.failed_kept() == kept_before {
            // There is no room for it.
            return self.end(inner, job, Status::Failed(error), None);
        }
        job.retries += 1;
        inner.told.push(retry(&job, &self.root, Duration::ZERO, error.clone()));
        job.error = Some(error);
        job.begin_pass();
        inner.items.insert(id, job);
    }

    /// Asks for an item, in flight, at the next of its URLs; `false` if `error` is not the server's
    /// or the path's, or no URL is left in this pass. Every mirror is asked before any of them is
    /// waited for.
    fn ask_mirror(&self, inner: &mut Inner, id: u64, error: &Error) -> bool {
        if inner.fatal.is_some() || !is_theirs(error) {
            return false;
        }
        let Some(item) = self.go_on(inner, id, error) else { return false };
        inner.scheduler.put_back_as(item);
        true
    }

    /// An origin cannot be reached, or has refused: what waits for it and can be had elsewhere is
    /// asked for there.
    fn leave(&self, inner: &mut Inner, origin: OriginId, error: &Error) {
        if !is_theirs(error) {
            return;
        }
        for item in inner.scheduler.take_waiting(origin) {
            let there = self.go_on(inner, item.id.0, error);
            inner.scheduler.wait_again(there.unwrap_or(item));
        }
    }

    /// The item goes on to its next URL after this failure; `None` if there is none left.
    fn go_on(&self, inner: &mut Inner, id: u64, error: &Error) -> Option<schedule::Item> {
        let mut job = inner.items.remove(&id)?;
        let has_unasked = job.unasked() > 0;
        if has_unasked {
            job.retries += 1;
            inner.told.push(retry(&job, &self.root, Duration::ZERO, error.clone()));
            job.go_on(error);
            inner.avoid_unwell(&mut job, self.now());
        }
        let item = inner.origins.item(ItemId(id), &job);
        inner.items.insert(id, job);
        has_unasked.then_some(item)
    }

    fn on_fetched(&self, inner: &mut Inner, id: u64, fetched: Fetched) {
        let Some(mut job) = inner.items.remove(&id) else { return };
        let Fetched { staged, bytes, etag, last_modified, digest } = fetched;
        inner.scheduler.finished(ItemId(id), self.now(), schedule::Outcome::Done { bytes });
        let by_date = || Validator::new(Form::LastModified, last_modified.as_deref()?);
        job.validator = etag.and_then(|etag| Validator::new(Form::Etag, &etag)).or_else(by_date);
        job.bytes = bytes;
        job.digest = digest.or(job.digest);
        let (target, replace) = (job.target.clone(), job.replace);
        inner.landing.insert(id, job);
        self.landing().land(Ready { id, staged, target, replace });
    }

    fn on_moved(&self, inner: &mut Inner, id: u64, url: Url, is_same_origin: bool) {
        let now = self.now();
        let origin = inner.origins.number(&url);
        let Some(job) = inner.items.get_mut(&id) else { return };
        match job.follow(url, is_same_origin) {
            Err(error) => self.fail(inner, id, error, false),
            Ok(()) if is_same_origin => inner.scheduler.put_back(ItemId(id)),
            Ok(()) => match inner.scheduler.moved(ItemId(id), origin, now) {
                Moved::Waits => {}
                Moved::Granted { .. } => unreachable!("an item of a lane has no grant"),
            },
        }
    }

    /// A small file could not be had.
    fn on_failed(
        &self,
        inner: &mut Inner,
        origin: Option<OriginId>,
        id: u64,
        error: Error,
        retry_after: Option<Duration>,
    ) {
        let is_refusal = matches!(error.kind(), ErrorKind::Status(429 | 503));
        let mut wait = Duration::ZERO;
        if let Some(origin) = origin.filter(|_| is_refusal) {
            let now = self.now();
            wait = retry_after.unwrap_or(REFUSAL_WAIT).min(REFUSAL_WAIT_MAX);
            let is_news = !inner.scheduler.is_blocked(origin, now);
            inner.scheduler.push_back(origin, now, now + wait);
            if is_news {
                self.leave(inner, origin, &error);
            }
        }
        if self.ask_mirror(inner, id, &error) {
            return;
        }
        let Some(mut job) = inner.items.remove(&id) else { return };
        let error = job.failure(error);
        let may_pass = permanence(error.kind()) == Permanence::MayPass;
        let is_refusal = matches!(error.kind(), ErrorKind::Status(429 | 503));
        let most = if is_refusal { REFUSALS_MAX } else { RETRIES_AT_ONCE };
        if !may_pass || job.passes >= most || inner.fatal.is_some() {
            inner.items.insert(id, job);
            return self.fail(inner, id, error, true);
        }
        job.retries += 1;
        inner.told.push(retry(&job, &self.root, wait, error));
        job.begin_pass();
        inner.avoid_unwell(&mut job, self.now());
        inner.scheduler.put_back_as(inner.origins.item(ItemId(id), &job));
        inner.items.insert(id, job);
    }

    /// Tells of an item that is asked for, unless it was before.
    fn tell_start(&self, inner: &mut Inner, id: u64) {
        let Some(job) = inner.items.get(&id).filter(|job| job.began.is_none()) else {
            return;
        };
        if self.tells_starts {
            let path = self.root.join(&job.target);
            let url = job.asked.url().to_owned();
            inner.told.push(Told::Start { path, url });
        }
    }

    fn ring(&self) {
        self.wake.notify_all();
        self.room.notify_all();
        self.bell.ring();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a download has told of a large file.
pub(super) struct LargeDone {
    pub(super) retries: u32,
    pub(super) digest: Option<crate::engine::options::Checksum>,
    pub(super) validator: Option<Validator>,
    pub(super) meta: Option<Metadata>,
}

impl Desk for Dispatcher {
    fn next(&self, lane: u64) -> Step {
        let now = self.now();
        let mut inner = self.lock();
        if inner.fatal.is_some() {
            return Step::Close;
        }
        if self.landing().behind() > BEHIND_MAX {
            return Step::Wait;
        }
        match inner.scheduler.next_for_lane(LaneId(lane), now) {
            LaneNext::Take(id) => {
                if inner.scheduler.waiting() <= WAITING_ITEMS_MAX / 2 {
                    self.room.notify_all();
                }
                inner.held += 1;
                if let Some(state) = inner.lanes.get_mut(&lane) {
                    state.held += 1;
                }
                self.tell_start(&mut inner, id.0);
                let job = inner.items.get_mut(&id.0).expect("what waits is there");
                Step::Take(Box::new(job.wanted(id.0)))
            }
            LaneNext::Wait => {
                inner.is_awaited |= inner.lanes.get(&lane).is_some_and(|state| state.held == 0);
                Step::Wait
            }
            LaneNext::Close => Step::Close,
        }
    }

    fn ended(&self, lane: u64, id: u64, end: End) {
        let mut inner = self.lock();
        inner.held -= 1;
        let origin = inner.lanes.get_mut(&lane).map(|state| {
            state.held -= 1;
            state.origin
        });
        if let Some(origin) = origin {
            inner.origins.answered(origin);
        }
        let is_large = matches!(end, End::Large(_));
        match end {
            End::Fetched(fetched) => self.on_fetched(&mut inner, id, fetched),
            End::Unchanged => {
                let now = self.now();
                let Some(job) = inner.items.remove(&id) else { return };
                inner.scheduler.finished(ItemId(id), now, schedule::Outcome::Done { bytes: 0 });
                self.end(&mut inner, job, Status::Unchanged, None);
            }
            End::Large(bytes) => {
                let bytes = bytes.unwrap_or(u64::MAX);
                inner.scheduler.turned_out_large(ItemId(id), bytes);
            }
            End::Moved { url, is_same_origin } => {
                self.on_moved(&mut inner, id, url, is_same_origin);
            }
            End::Failed { error, retry_after } => {
                self.on_failed(&mut inner, origin, id, error, retry_after);
            }
        }
        // The counts of lanes can wait for the next look, the end and large files cannot.
        let cannot_wait = inner.held == 0 || is_large || inner.fatal.is_some();
        drop(inner);
        if cannot_wait {
            self.wake.notify_all();
        }
    }

    fn stuck(&self, lane: u64) -> usize {
        let mut inner = self.lock();
        let behind = inner.scheduler.stuck(LaneId(lane)).len();
        inner.held -= behind;
        if let Some(state) = inner.lanes.get_mut(&lane) {
            state.held -= behind;
        }
        drop(inner);
        self.ring();
        behind
    }

    fn closed(&self, lane: u64, failure: Option<Error>) {
        let now = self.now();
        let mut inner = self.lock();
        inner.scheduler.close_lane(LaneId(lane));
        let state = inner.lanes.remove(&lane);
        inner.held -= state.as_ref().map_or(0, |state| state.held);
        if let (Some(LaneState { origin, .. }), Some(error)) = (state, failure)
            && inner.fatal.is_none()
        {
            self.leave(&mut inner, origin, &error);
            if let Some(wait) = inner.origins.failed(origin, error) {
                inner.scheduler.push_back(origin, now, now + wait);
            }
        }
        drop(inner);
        self.ring();
    }

    fn bell(&self) -> &Bell {
        &self.bell
    }
}

impl Inner {
    /// Lets the item ask URLs last whose origins bring nothing for now.
    fn avoid_unwell(&mut self, job: &mut Job, now: Duration) {
        for _ in 0..job.unasked() {
            let origin = self.origins.number(&job.at);
            if !self.origins.is_failing(origin) && !self.scheduler.is_blocked(origin, now) {
                return;
            }
            job.postpone();
        }
    }
}

/// Whether another server may do better.
fn is_theirs(error: &Error) -> bool {
    matches!(error.side(), Side::Network | Side::Server)
}

/// Whether nobody was there to be asked.
fn is_unreachable(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Resolve | ErrorKind::Connect | ErrorKind::Certificate)
}

fn retry(job: &Job, root: &std::path::Path, wait: Duration, cause: Error) -> Told {
    Told::Retry {
        path: root.join(&job.target),
        url: job.asked.url().to_owned(),
        number: job.retries,
        wait,
        cause,
    }
}
