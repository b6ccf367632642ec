//! What a failure means for a job: another URL of it, another try at once or after a wait, the last
//! round, or the end. Owns that order and its bounds. Must not know who reports the failure.
//!
//! A *pass* asks all URLs of a job in turn, and goes on from one to the next without a wait; only
//! between two passes is something waited for.

use super::state::State;
use crate::base::{Error, ErrorKind, Side};
use crate::batch::failure::{Permanence, permanence};
use crate::batch::result::Status;
use crate::batch::run::job::Job;
use crate::batch::run::origins::FAILURES_MAX;
use crate::engine::progress::Waiting;
use crate::schedule::{self, ItemId, OriginId};
use std::time::Duration;

/// Passes over a small file that follow a failure at once; after that it waits for the end of the
/// list.
const RETRIES_AT_ONCE: u32 = 1;
/// Refusals (429, 503) of one file that are waited out.
const REFUSALS_MAX: u32 = 8;
/// The wait after a refusal that names none.
const REFUSAL_WAIT: Duration = Duration::from_secs(1);
/// The longest wait that a refusal may ask for.
const REFUSAL_WAIT_MAX: Duration = Duration::from_secs(120);

impl State {
    /// A small file, in flight at `origin`, could not be had there. The wait that the server asks
    /// for is `retry_after`.
    pub(super) fn on_failed(
        &mut self,
        id: ItemId,
        origin: Option<OriginId>,
        error: Error,
        retry_after: Option<Duration>,
    ) {
        let mut wait = Duration::ZERO;
        if let Some(origin) = origin.filter(|_| is_refusal(&error)) {
            wait = retry_after.unwrap_or(REFUSAL_WAIT).min(REFUSAL_WAIT_MAX);
            let waiting = Waiting {
                kind: error.kind(),
                left: wait,
                retry: self.jobs.get(&id.0).map_or(1, |job| job.passes + 1),
                retries_max: REFUSALS_MAX,
                is_asked: retry_after.is_some(),
            };
            self.on_refusal(origin, waiting, &error);
        }
        if self.ask_mirror(id, &error) {
            return;
        }
        let Some(mut job) = self.jobs.remove(&id.0) else { return };
        let error = job.failure(error);
        let most = if is_refusal(&error) { REFUSALS_MAX } else { RETRIES_AT_ONCE };
        if !may_pass(&error) || job.passes >= most || self.fatal.is_some() {
            self.jobs.insert(id.0, job);
            return self.fail(id, error, true);
        }
        self.tell_retry(&mut job, wait, &error);
        job.begin_pass();
        self.avoid_unwell(&mut job);
        self.scheduler.put_back_as(self.origins.item(id, &job));
        self.jobs.insert(id.0, job);
    }

    /// The job, in flight, has failed at one of its URLs. It is asked for at the next one, and
    /// after the last one kept for the last round if that may help.
    pub(super) fn fail(&mut self, id: ItemId, error: Error, may_be_kept: bool) {
        self.note_fatal(&error);
        if self.ask_mirror(id, &error) {
            return;
        }
        let Some(mut job) = self.jobs.remove(&id.0) else { return };
        let (error, now) = (job.failure(error), self.now());
        let may_be_kept = may_be_kept && self.fatal.is_none() && job.error.is_none();
        if !may_be_kept || !may_pass(&error) {
            self.scheduler.finished(id, now, schedule::Outcome::Dropped);
            return self.end(job, Status::Failed(error), None);
        }
        let next = self.origins.number(job.next_url());
        let kept_before = self.scheduler.failed_kept();
        self.scheduler.failed_here(id, now, next);
        if self.scheduler.failed_kept() == kept_before {
            // There is no room for it.
            return self.end(job, Status::Failed(error), None);
        }
        self.tell_retry(&mut job, Duration::ZERO, &error);
        job.error = Some(error);
        job.begin_pass();
        self.jobs.insert(id.0, job);
    }

    /// Nobody could be asked at the origin.
    pub(super) fn on_unreachable(&mut self, origin: OriginId, error: Error) {
        self.leave(origin, &error);
        let kind = error.kind();
        if let Some((wait, retry)) = self.origins.failed(origin, error) {
            let now = self.now();
            self.scheduler.push_back(origin, now, now + wait);
            let retries_max = FAILURES_MAX - 1;
            self.note_wait(now, Waiting { kind, left: wait, retry, retries_max, is_asked: false });
        }
    }

    /// A download, which tries by itself, could not be had from the origin.
    pub(super) fn on_failed_download(&mut self, origin: OriginId, error: &Error) {
        let is_unreachable = matches!(
            error.kind(),
            ErrorKind::Resolve
                | ErrorKind::Connect
                | ErrorKind::ProxyRefused
                | ErrorKind::Certificate
        );
        if is_unreachable {
            self.origins.suspect(origin);
            self.leave(origin, error);
        }
    }

    /// Lets the job ask URLs last whose origins bring nothing for now.
    pub(super) fn avoid_unwell(&mut self, job: &mut Job) {
        for _ in 0..job.unasked() {
            let (origin, now) = (self.origins.number(&job.at), self.now());
            if !self.origins.is_failing(origin) && !self.scheduler.is_blocked(origin, now) {
                return;
            }
            job.postpone();
        }
    }

    /// The origin wants to be left alone for `waiting.left`.
    fn on_refusal(&mut self, origin: OriginId, waiting: Waiting, error: &Error) {
        let now = self.now();
        let is_news = !self.scheduler.is_blocked(origin, now);
        self.scheduler.push_back(origin, now, now + waiting.left);
        self.note_wait(now, waiting);
        if is_news {
            self.leave(origin, error);
        }
    }

    /// Nothing comes from the origin for now: what waits for it and can be had elsewhere is asked
    /// for there.
    fn leave(&mut self, origin: OriginId, error: &Error) {
        if !is_theirs(error) {
            return;
        }
        for item in self.scheduler.take_waiting(origin) {
            let there = self.go_on(item.id, error);
            self.scheduler.wait_again(there.unwrap_or(item));
        }
    }

    /// Asks for a job, in flight, at the next of its URLs; `false` if `error` is not the server's
    /// or the path's, or no URL is left in this pass.
    fn ask_mirror(&mut self, id: ItemId, error: &Error) -> bool {
        if self.fatal.is_some() || !is_theirs(error) {
            return false;
        }
        let Some(item) = self.go_on(id, error) else { return false };
        self.scheduler.put_back_as(item);
        true
    }

    /// The job goes on to its next URL after this failure; `None` if none is left in this pass.
    fn go_on(&mut self, id: ItemId, error: &Error) -> Option<schedule::Item> {
        if self.jobs.get(&id.0)?.unasked() == 0 {
            return None;
        }
        let mut job = self.jobs.remove(&id.0)?;
        self.tell_retry(&mut job, Duration::ZERO, error);
        job.go_on(error);
        self.avoid_unwell(&mut job);
        let item = self.origins.item(id, &job);
        self.jobs.insert(id.0, job);
        Some(item)
    }
}

/// Whether the server wants to be left alone.
fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Status(429 | 503))
}

/// Whether another server may do better.
fn is_theirs(error: &Error) -> bool {
    matches!(error.side(), Side::Network | Side::Server)
}

/// Whether another try may do better.
fn may_pass(error: &Error) -> bool {
    permanence(error.kind()) == Permanence::MayPass
}
