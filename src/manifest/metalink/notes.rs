//! What of a Metalink is of no use here, one line each and a bounded number of them. Must not know
//! what a line speaks of.

use crate::base::limits::METALINK_NOTES_MAX;
use crate::base::text::printable;

/// Collects notes.
#[derive(Debug, Default)]
pub(super) struct Notes {
    lines: Vec<String>,
    /// Notes that found no room.
    further: usize,
}

impl Notes {
    /// Notes `what`, which stands on the line of this number.
    pub(super) fn add(&mut self, line: u64, what: &str) {
        if self.lines.len() < METALINK_NOTES_MAX {
            self.lines.push(printable(&format!("line {line}: {what}")));
        } else {
            self.further += 1;
        }
    }

    /// The notes, and behind them how many there are besides.
    pub(super) fn finish(mut self) -> Vec<String> {
        match self.further {
            0 => {}
            1 => self.lines.push("and 1 further note of this kind".to_owned()),
            further => self.lines.push(format!("and {further} further notes of this kind")),
        }
        self.lines
    }
}
