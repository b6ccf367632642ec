//! The face of a running bench on standard error: one line that is redrawn on a terminal, a line
//! per run elsewhere. Writing to it never fails a bench.

use super::print;
use crate::base::size::format_duration;
use crate::bench::{News, Record};
use crate::ui::{can_redraw, printable};
use std::io::Write;
use std::time::Duration;

/// Back to the first column, and clear to the end.
const CLEAR: &str = "\r\x1b[K";

/// What stands on the terminal.
pub(super) struct Screen {
    redraws: bool,
    last: String,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self { redraws: can_redraw(), last: String::new() }
    }

    /// Shows what is new.
    pub(super) fn show(&mut self, news: &News<'_>) {
        match news {
            News::WarmUp(progress) => {
                let total = progress.bytes_total.unwrap_or(0).max(1);
                let percent = u128::from(progress.bytes_done) * 100 / u128::from(total);
                self.draw(&format!("first download, not measured: {percent} %"));
            }
            News::Begins { entry, round, done, total, left } => {
                let (count, left, last) = (done + 1, remaining(*left), &self.last);
                self.draw(&format!("{count} of {total}{left}, round {round}: {entry}{last}"));
            }
            News::Ended { record, left } => {
                let result = result(record);
                let (entry, round) = (record.entry, record.round);
                if self.redraws {
                    self.last = format!("; last {entry}: {result}");
                } else {
                    let left = remaining(*left);
                    self.say(&format!("round {round}, {entry}: {result}{left}"));
                }
            }
            News::Note(note) => self.say(&format!("note: {note}")),
            News::Cut(results) => {
                self.clear();
                // The error that follows is the one to report.
                let _ = print(results);
            }
        }
    }

    /// A line that stays.
    pub(super) fn say(&mut self, line: &str) {
        let clear = if self.redraws { CLEAR } else { "" };
        write(&format!("{clear}{}\n", printable(line)));
    }

    /// Takes the redrawn line off the terminal.
    pub(super) fn clear(&mut self) {
        if self.redraws {
            write(CLEAR);
        }
    }

    fn draw(&self, line: &str) {
        if self.redraws {
            write(&format!("{CLEAR}{}", printable(line)));
        }
    }
}

/// `, 2:31 left`; nothing where it is not known or over.
fn remaining(left: Option<Duration>) -> String {
    let left = left.filter(|left| !left.is_zero());
    left.map_or_else(String::new, |left| format!(", {} left", format_duration(left)))
}

fn result(record: &Record) -> String {
    match (record.goodput(), &record.failure) {
        (Some(rate), _) => {
            format!("{:.1} MB/s in {}", rate / 1e6, format_duration(record.usage.wall))
        }
        (None, failure) => failure.clone().unwrap_or_default(),
    }
}

/// A closed standard error is no reason to lose a bench.
fn write(text: &str) {
    let mut err = std::io::stderr().lock();
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}
