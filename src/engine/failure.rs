//! How something that a server was to do has failed: the error, when the server wants to be asked
//! again, and how far it had got.

use crate::base::{Error, Result};
use crate::http::{Head, retry_after};
use std::time::Duration;

/// Something a server was to do, and did not.
pub(super) struct Failure {
    pub(super) error: Error,
    /// Time for which the server wants to be left alone, if it has named one.
    pub(super) retry_after: Option<Duration>,
    pub(super) stage: Stage,
}

/// What was under way when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// A new connection was to be made.
    Connecting,
    /// A request was sent, and its answer received.
    Exchange,
    /// A request had been sent before the answer before it had ended.
    Ahead,
    /// A new URL was asked in the place of an expired one, and refuses as well: it means it,
    /// whoever else is served.
    Renewal,
}

impl Failure {
    /// What is wrong with the answer that has this head, which may say when to come back.
    pub(super) fn of_answer(head: &Head, error: Error) -> Self {
        Self { retry_after: retry_after(head), ..Self::from(error) }
    }

    /// The same, met elsewhere.
    pub(super) fn at(self, stage: Stage) -> Self {
        Self { stage, ..self }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, retry_after: None, stage: Stage::Exchange }
    }
}

/// What has not worked out, with the place where it has not.
pub(super) trait AtStage<T> {
    /// Names the stage of a failure.
    fn at_stage(self, stage: Stage) -> Result<T, Failure>;
}

impl<T, E: Into<Failure>> AtStage<T> for Result<T, E> {
    fn at_stage(self, stage: Stage) -> Result<T, Failure> {
        self.map_err(|error| error.into().at(stage))
    }
}
