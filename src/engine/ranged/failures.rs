//! What follows from the failure of a connection: whether it goes on, what is said of it, and with
//! which error the transfer ends where it does not.

use super::Ranged;
use crate::base::{Error, ErrorKind};
use crate::engine::failure::{Failure, Stage};
use crate::engine::progress::Level;
use crate::engine::source::contest::all_failed;
use crate::engine::source::retry::after;
use crate::plan::retry::is_of_source;
use crate::plan::{ConnectionId, Verdict};
use std::sync::atomic::Ordering;

impl Ranged {
    /// The connection's span failed. The transfer goes on, or has failed too.
    pub(super) fn failed(&self, id: ConnectionId, failure: Failure) {
        let Failure { error, retry_after, stage } = failure;
        let now = self.context.now();
        let is_own_doing = self.is_replaced(id);
        let source = self.source_of(id);
        if !is_own_doing {
            source.tally.failed(&error);
        }
        let mut plan = self.plan();
        self.close(id);
        let kind = match error.kind() {
            // Of one answer, not of the file: to the plan it is like any other wrong answer.
            ErrorKind::ChecksumMismatch => ErrorKind::RangeMismatch,
            kind => kind,
        };
        let verdict = plan.on_failed(now, id, kind, retry_after, stage == Stage::Connecting);
        let number = plan.failures_in_a_row();
        drop(plan);
        match verdict {
            // The decision has been told: nobody else has failed.
            Verdict::Retry { .. } if is_own_doing => {
                let text = "closed to be replaced; asks for the rest anew".to_owned();
                self.context.tell(Level::Trace, Some(id.0), text);
            }
            Verdict::Retry { at } => {
                match error.kind() {
                    ErrorKind::ResourceLimit => self.tell_of_shortage(&error),
                    _ => self.context.retried(),
                }
                let wait = at.saturating_sub(now);
                if number > 0 {
                    let is_asked = retry_after.is_some_and(|asked| asked >= wait);
                    self.context.wait_for_retry(error.kind(), wait, number, is_asked);
                }
                let when = after(wait);
                let text = match self.is_single() {
                    true => format!("{error}; trying again {when}"),
                    false => format!("{}: {error}; going on {when}", source.url()),
                };
                self.context.tell(Level::Detail, Some(id.0), text);
            }
            Verdict::GiveUp => self.give_up(id, &error),
        }
        self.bell.notify_waiters();
    }

    /// The transfer has failed with `error`, which the connection has met.
    pub(super) fn give_up(&self, id: ConnectionId, error: &Error) {
        if !self.is_single() && is_of_source(error.kind()) {
            return self.context.fail(self.all_failed(id, error));
        }
        let endpoint = self.source_of(id).endpoint();
        self.context.fail(error.clone().within(endpoint.url()));
    }

    /// The error with which the last source has failed, and the causes of the others.
    fn all_failed(&self, id: ConnectionId, error: &Error) -> Error {
        self.source_of(id).tally.failed(error);
        let causes = self.sources.iter().filter_map(|source| {
            source.tally.last_error().map(|error| (source.url().clone(), error))
        });
        all_failed(causes)
    }

    /// Says once that there will be fewer connections, and why.
    fn tell_of_shortage(&self, error: &Error) {
        if !self.is_shortage_told.swap(true, Ordering::Relaxed) {
            let text = format!("{error}; going on with the connections there are");
            self.context.tell(Level::Note, None, text);
        }
    }

    /// Whether the connection was shut because it lags behind; so what it reports now is our doing.
    pub(super) fn is_replaced(&self, id: ConnectionId) -> bool {
        self.roster().is_replaced(id)
    }

    /// Whether the connection's bytes have been delivered by another one.
    pub(super) fn is_aborted(&self, id: ConnectionId) -> bool {
        self.roster().is_aborted(id)
    }
}
