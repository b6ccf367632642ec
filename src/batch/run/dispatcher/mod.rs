//! What lanes, downloads, the reader of the list and the batch's own thread share: the scheduler
//! and the jobs behind its numbers, under one lock, and the bells that wake whoever waits.
//!
//! A job waits -> is in flight (in a lane, or as a download) -> lands -> has ended; or waits again.
//!
//! `state` is what lies under the lock, `failures` what a failure means for a job. `intake` is the
//! side of the reader, `lanes` that of lanes, `downloads` that of large files; that of the batch's
//! thread is here. Must not know where results go.

mod downloads;
mod failures;
mod intake;
mod lanes;
mod state;

pub(super) use downloads::{LargeDone, Start};
pub(super) use state::{Ended, Known, Told};

use crate::base::limits::BARRIER_FILES_MAX;
use crate::base::url::Origin;
use crate::base::{Error, ErrorKind, Url};
use crate::batch::result::Status;
use crate::engine::landing::{Landed, Landing};
use crate::engine::lane::Bell;
use crate::engine::progress::Waiting;
use crate::schedule::{self, LaneId, LaneNext, Order, OriginId};
use state::{OpenLane, State};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// Small files that may be behind the barrier before lanes wait for it.
const BEHIND_MAX: usize = 2 * BARRIER_FILES_MAX;

/// The shared state of a batch.
pub(super) struct Dispatcher {
    state: Mutex<State>,
    /// Rings for lanes.
    bell: Bell,
    /// Rings for the batch's own thread: for what cannot wait for its next look.
    wake: Condvar,
    /// Rings for the reader of the list, when there is much room.
    room: Condvar,
    landing: OnceLock<Arc<Landing>>,
}

/// What a batch was told of itself.
pub(super) struct Terms {
    /// The folder of the batch.
    pub(super) root: PathBuf,
    /// The first failure ends it.
    pub(super) fail_fast: bool,
    /// Somebody hears of jobs that begin.
    pub(super) tells_starts: bool,
    /// Most connections to single origins.
    pub(super) connections_by_origin: Vec<(Origin, u32)>,
}

/// A snapshot for the batch's thread.
pub(super) struct Snapshot {
    /// What the scheduler wants done.
    pub(super) orders: Vec<Order>,
    /// Jobs that have ended since the last one.
    pub(super) ended: Vec<Ended>,
    /// What is to be told.
    pub(super) told: Vec<Told>,
    /// Every job of the list, or of the last round, has ended.
    pub(super) is_done: bool,
    /// Why no more is begun.
    pub(super) fatal: Option<Error>,
}

impl Dispatcher {
    pub(super) fn new(settings: schedule::Settings, terms: Terms) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State::new(settings, terms)),
            bell: Bell::default(),
            wake: Condvar::new(),
            room: Condvar::new(),
            landing: OnceLock::new(),
        })
    }

    /// Where small files land, once that is known.
    pub(super) fn set_landing(&self, landing: Arc<Landing>) {
        assert!(self.landing.set(landing).is_ok(), "there is one landing");
    }

    /// What is to be done now.
    pub(super) fn snapshot(&self) -> Snapshot {
        let mut state = self.lock();
        let now = state.now();
        let orders = if state.fatal.is_some() { Vec::new() } else { state.scheduler.decide(now) };
        for order in &orders {
            if let Order::OpenLane { lane, origin } = order {
                state.lanes.insert(lane.0, OpenLane { origin: *origin, held: 0 });
            }
        }
        let is_idle = state.held == 0;
        let snapshot = Snapshot {
            orders,
            ended: std::mem::take(&mut state.ended),
            told: std::mem::take(&mut state.told),
            is_done: state.scheduler.is_done() && state.landing.is_empty(),
            fatal: state.fatal.clone(),
        };
        drop(state);
        if is_idle {
            self.landing().hurry();
        }
        if !snapshot.ended.is_empty() {
            self.room.notify_all();
        }
        snapshot
    }

    /// Whether a limit of the rate is what bounds small files now.
    pub(super) fn set_rate_limited(&self, is_rate_limited: bool) {
        self.lock().scheduler.set_rate_limited(is_rate_limited);
    }

    /// What is known of the list.
    pub(super) fn known(&self) -> Known {
        self.lock().known
    }

    /// What is waited for at an origin, if it is.
    pub(super) fn waiting(&self) -> Option<Waiting> {
        self.lock().waiting()
    }

    /// Lanes that are open.
    pub(super) fn lanes_open(&self) -> usize {
        self.lock().lanes.len()
    }

    /// Waits for something to happen, `time` at most.
    pub(super) fn wait(&self, time: Duration) {
        let state = self.lock();
        if state.ended.is_empty() && state.told.is_empty() && state.fatal.is_none() {
            drop(self.wake.wait_timeout(state, time));
        }
    }

    /// The URL that a lane is opened with; `None` if its origin is out of reach, and what it was to
    /// fetch has failed there.
    pub(super) fn lane_url(&self, lane: LaneId, origin: OriginId) -> Option<Url> {
        let mut state = self.lock();
        let known = state.origins.get(origin);
        let Some(error) = known.lost.clone() else { return Some(known.url.clone()) };
        let now = state.now();
        while let LaneNext::Take(id) = state.scheduler.next_for_lane(lane, now) {
            state.fail(id, error.clone(), true);
        }
        state.scheduler.close_lane(lane);
        state.lanes.remove(&lane.0);
        drop(state);
        self.ring();
        None
    }

    /// Everything has ended: what failed and may pass comes once more. How many files that is.
    pub(super) fn start_last_round(&self) -> usize {
        let mut state = self.lock();
        state.origins.forgive();
        let count = state.scheduler.start_last_round();
        drop(state);
        self.ring();
        count
    }

    /// What failed stays failed: it is handed out as such.
    pub(super) fn give_up_failed(&self) {
        let mut state = self.lock();
        for (_, job) in std::mem::take(&mut state.jobs) {
            let error = job.error.clone().unwrap_or_else(|| {
                Error::new(ErrorKind::Interrupted, "stopped before it was begun")
            });
            state.end(job, Status::Failed(error), None);
        }
    }

    /// No more is begun, for this reason.
    pub(super) fn abort(&self, error: Error) {
        self.lock().fatal.get_or_insert(error);
        self.ring();
    }

    /// Files have landed, or failed to.
    pub(super) fn on_landed(&self, landed: Vec<Landed>) {
        let mut state = self.lock();
        for Landed { id, result } in landed {
            let Some(job) = state.landing.remove(&id) else { continue };
            match result {
                Ok(meta) => state.end(job, Status::Done, Some(meta)),
                Err(error) => {
                    state.note_fatal(&error);
                    state.end(job, Status::Failed(error), None);
                }
            }
        }
        drop(state);
        self.ring();
    }

    fn landing(&self) -> &Arc<Landing> {
        self.landing.get().expect("it is set before anything is fetched")
    }

    /// Wakes everybody.
    fn ring(&self) {
        self.wake.notify_all();
        self.room.notify_all();
        self.bell.ring();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
