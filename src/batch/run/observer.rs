//! Who hears of what a batch does. Must not know how it is shown or kept.

use crate::batch::progress::Progress;
use crate::batch::result::{LogLine, Outcome};
use crate::engine::progress::Event;

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
