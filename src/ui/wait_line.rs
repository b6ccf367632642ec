//! Which waits are worth a line where nothing can be redrawn: each wait before a retry and each
//! silence is told once, if some seconds have passed since the last one. Knows no words.

use crate::base::limits::{PROGRESS_LINE_INTERVAL_MIN, WAIT_LINE_MIN};
use crate::engine::progress::Waiting;
use std::time::Duration;

/// What was told last.
#[derive(Debug, Default)]
pub(super) struct WaitLine {
    /// When a wait or a silence was told.
    at: Option<Duration>,
    /// The one that goes on has been told: the number of the retry, 0 of a silence.
    told: Option<u32>,
}

impl WaitLine {
    /// The `words` for what is waited for at `elapsed`, if that is new and worth a line.
    pub(super) fn next(
        &mut self,
        elapsed: Duration,
        waiting: Option<&Waiting>,
        words: Option<String>,
    ) -> Option<String> {
        let Some(words) = words else {
            self.told = None;
            return None;
        };
        let (number, left) = waiting.map_or((0, Duration::MAX), |it| (it.retry, it.left));
        let since = self.at.map(|at| elapsed.saturating_sub(at));
        let is_rare = since.is_none_or(|since| since >= PROGRESS_LINE_INTERVAL_MIN);
        if self.told == Some(number) || left < WAIT_LINE_MIN || !is_rare {
            return None;
        }
        (self.told, self.at) = (Some(number), Some(elapsed));
        Some(words)
    }
}
