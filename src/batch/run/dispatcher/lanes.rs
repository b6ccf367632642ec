//! The side of lanes: they take small files, and say how each of them ended.

use super::state::{OpenLane, State};
use super::{BEHIND_MAX, Dispatcher};
use crate::base::limits::WAITING_ITEMS_MAX;
use crate::base::{Error, Url};
use crate::batch::result::Status;
use crate::batch::validator::{Form, Validator};
use crate::engine::landing::Ready;
use crate::engine::lane::{Bell, Desk, End, Fetched, Step};
use crate::schedule::{ItemId, LaneId, LaneNext, Moved, OriginId, Outcome};

impl Desk for Dispatcher {
    fn next(&self, lane: u64) -> Step {
        let mut state = self.lock();
        if state.fatal.is_some() {
            return Step::Close;
        }
        if self.landing().behind() > BEHIND_MAX {
            return Step::Wait;
        }
        let now = state.now();
        match state.scheduler.next_for_lane(LaneId(lane), now) {
            LaneNext::Take(id) => {
                // A bell costs a system call, and most of the time nobody listens.
                let has_room = state.scheduler.waiting() <= WAITING_ITEMS_MAX / 2;
                if has_room && std::mem::take(&mut state.is_reader_waiting) {
                    self.room.notify_all();
                }
                state.take(lane, id)
            }
            LaneNext::Wait => {
                state.is_awaited |= state.lanes.get(&lane).is_some_and(|lane| lane.held == 0);
                Step::Wait
            }
            LaneNext::Close => Step::Close,
        }
    }

    fn ended(&self, lane: u64, id: u64, end: End) {
        let mut state = self.lock();
        let origin = state.give(lane, 1);
        if let Some(origin) = origin {
            state.origins.answered(origin);
        }
        let is_large = matches!(end, End::Large(_));
        let ready = state.on_end(ItemId(id), origin, end);
        // The counts of lanes can wait for the next look, the end and large files cannot.
        let cannot_wait = state.held == 0 || is_large || state.fatal.is_some();
        drop(state);
        if let Some(ready) = ready {
            self.landing().land(ready);
        }
        if cannot_wait {
            self.wake.notify_all();
        }
    }

    fn stuck(&self, lane: u64) -> usize {
        let mut state = self.lock();
        let behind = state.scheduler.stuck(LaneId(lane)).len();
        state.give(lane, behind);
        drop(state);
        self.ring();
        behind
    }

    fn closed(&self, lane: u64, failure: Option<Error>) {
        let mut state = self.lock();
        state.scheduler.close_lane(LaneId(lane));
        let closed = state.lanes.remove(&lane);
        state.held -= closed.as_ref().map_or(0, |lane| lane.held);
        if let (Some(OpenLane { origin, .. }), Some(error)) = (closed, failure)
            && state.fatal.is_none()
        {
            state.on_unreachable(origin, error);
        }
        drop(state);
        self.ring();
    }

    fn bell(&self) -> &Bell {
        &self.bell
    }
}

impl State {
    /// The lane takes this job.
    fn take(&mut self, lane: u64, id: ItemId) -> Step {
        self.held += 1;
        if let Some(lane) = self.lanes.get_mut(&lane) {
            lane.held += 1;
        }
        self.tell_start(id);
        let job = self.jobs.get_mut(&id.0).expect("what waits is there");
        Step::Take(Box::new(job.wanted(id.0)))
    }

    /// The lane gives this number of jobs away; its origin.
    fn give(&mut self, lane: u64, jobs: usize) -> Option<OriginId> {
        self.held -= jobs;
        let lane = self.lanes.get_mut(&lane)?;
        lane.held -= jobs;
        Some(lane.origin)
    }

    /// A job in a lane has ended there; what is to land now.
    fn on_end(&mut self, id: ItemId, origin: Option<OriginId>, end: End) -> Option<Ready> {
        match end {
            End::Fetched(fetched) => return self.on_fetched(id, fetched),
            End::Unchanged => {
                let job = self.jobs.remove(&id.0)?;
                let now = self.now();
                self.scheduler.finished(id, now, Outcome::Done { bytes: 0 });
                self.end(job, Status::Unchanged, None);
            }
            End::Large(bytes) => {
                self.scheduler.turned_out_large(id, bytes.unwrap_or(u64::MAX));
            }
            End::Moved { url, is_same_origin } => self.on_moved(id, url, is_same_origin),
            End::Failed { error, retry_after } => self.on_failed(id, origin, error, retry_after),
        }
        None
    }

    fn on_fetched(&mut self, id: ItemId, fetched: Fetched) -> Option<Ready> {
        let mut job = self.jobs.remove(&id.0)?;
        let Fetched { staged, bytes, etag, last_modified, digest } = fetched;
        let now = self.now();
        self.scheduler.finished(id, now, Outcome::Done { bytes });
        let by_date = || Validator::new(Form::LastModified, last_modified.as_deref()?);
        job.validator = etag.and_then(|etag| Validator::new(Form::Etag, &etag)).or_else(by_date);
        job.bytes = bytes;
        job.digest = digest.or(job.digest);
        let (target, replace) = (job.target.clone(), job.replace);
        self.landing.insert(id.0, job);
        Some(Ready { id: id.0, staged, target, replace })
    }

    fn on_moved(&mut self, id: ItemId, url: Url, is_same_origin: bool) {
        let origin = self.origins.number(&url);
        let Some(job) = self.jobs.get_mut(&id.0) else { return };
        match job.follow(url, is_same_origin) {
            Err(error) => self.fail(id, error, false),
            Ok(()) if is_same_origin => self.scheduler.put_back(id),
            Ok(()) => {
                let now = self.now();
                match self.scheduler.moved(id, origin, now) {
                    Moved::Waits => {}
                    Moved::Granted { .. } => unreachable!("a job of a lane has no grant"),
                }
            }
        }
    }
}
