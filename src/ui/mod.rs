//! What a person sees of a running transfer, all of it on standard error: a bar on a terminal,
//! plain lines elsewhere, nothing when quiet. Owns that choice and the order of the output; knows
//! only the engine's progress words. Writing to standard error never fails a transfer.
//!
//! `batch` is the same for many files, and the question at their end. `screen` redraws lines in
//! place, which `parts` makes; `terminal` is where they go, `charset` what can be shown there, and
//! `width` counts columns.

mod bar;
mod batch;
mod charset;
mod lines;
mod parts;
mod password;
#[cfg(test)]
mod samples;
mod screen;
mod slices;
#[cfg(test)]
mod snapshot;
mod terminal;
mod text;
mod wait_line;
mod width;

pub use crate::base::text::printable;
pub use batch::{Answer, BatchUi, Failure, ask, can_ask};
pub use password::ask_password;
pub use terminal::{can_redraw, colours_allowed, write_line};

use crate::engine::progress::{Event, JoinReport, Level, Progress, Report};
use bar::Bar;
use lines::Lines;
use terminal::Looks;

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verbosity {
    /// Nothing; an error is the caller's to print.
    Quiet,
    /// Progress, warnings, notes and the closing line.
    #[default]
    Normal,
    /// Also what the server said, per connection.
    Detail,
    /// Also every request and span.
    Trace,
}

impl Verbosity {
    /// The least important level that is still shown.
    fn limit(self) -> Option<Level> {
        match self {
            Verbosity::Quiet => None,
            Verbosity::Normal => Some(Level::Note),
            Verbosity::Detail => Some(Level::Detail),
            Verbosity::Trace => Some(Level::Trace),
        }
    }
}

/// The face of one transfer. Feed it progress and events from any thread.
/// After `clear` the terminal is free again.
#[derive(Debug)]
pub struct Ui {
    face: Face,
    limit: Option<Level>,
}

#[derive(Debug)]
enum Face {
    Silent,
    Lines(Lines),
    Bar(Bar),
}

impl Ui {
    /// A bar if standard error is a terminal that can redraw a line, plain lines if it is not.
    /// `name` stands for the file in both.
    pub fn new(name: &str, verbosity: Verbosity) -> Self {
        let face = match verbosity {
            Verbosity::Quiet => Face::Silent,
            _ if can_redraw() => Face::Bar(Bar::new(name, Looks::of_terminal())),
            _ => Face::Lines(Lines::new(name)),
        };
        Self { face, limit: verbosity.limit() }
    }

    /// A bar where there can be one, and warnings; nothing else. For transfers that are a part of
    /// something which reports by itself.
    pub fn bar_only(name: &str) -> Self {
        let face = match can_redraw() {
            true => Face::Bar(Bar::new(name, Looks::of_terminal())),
            false => Face::Silent,
        };
        Self { face, limit: Some(Level::Warning) }
    }

    /// Shows a snapshot.
    pub fn on_progress(&self, progress: &Progress) {
        match &self.face {
            Face::Silent => {}
            Face::Bar(bar) => bar.show(progress),
            Face::Lines(lines) => {
                if let Some(line) = lines.next(progress) {
                    self.print(&line);
                }
            }
        }
    }

    /// Shows an event, if its level is wanted.
    pub fn on_event(&self, event: &Event) {
        if self.limit.is_some_and(|limit| event.level <= limit) {
            self.print(&text::event_line(event));
        }
    }

    /// Shows a line, if its level is wanted.
    pub fn say(&self, level: Level, text: &str) {
        self.on_event(&Event { level, connection: None, text: text.to_owned() });
    }

    /// Takes the bar off the terminal for good; there may be other lines to print.
    pub fn clear(&self) {
        if let Face::Bar(bar) = &self.face {
            bar.clear();
        }
    }

    /// Replaces the bar by the closing line.
    pub fn finish(&self, report: &Report) {
        self.clear();
        if self.limit.is_some() {
            if self.limit >= Some(Level::Detail) {
                text::source_lines(report).iter().for_each(|line| write_line(line));
            }
            let lines = match &report.slice {
                Some(slice) => slices::slice_lines(report, slice),
                None => text::closing_lines(report),
            };
            lines.iter().for_each(|line| write_line(line));
        }
    }

    /// Replaces the bar by what became of slices.
    pub fn finish_join(&self, report: &JoinReport) {
        self.clear();
        if self.limit.is_some() {
            slices::join_lines(report).iter().for_each(|line| write_line(line));
        }
    }

    /// A line above the bar or, without a bar, just a line.
    fn print(&self, line: &str) {
        match &self.face {
            Face::Bar(bar) => bar.say(line),
            Face::Silent | Face::Lines(_) => write_line(line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbosity_grows_by_level() {
        let shown = |verbosity: Verbosity, level: Level| {
            verbosity.limit().is_some_and(|limit| level <= limit)
        };
        assert!(!shown(Verbosity::Quiet, Level::Warning));
        assert!(shown(Verbosity::Normal, Level::Note) && !shown(Verbosity::Normal, Level::Detail));
        assert!(shown(Verbosity::Detail, Level::Detail) && !shown(Verbosity::Detail, Level::Trace));
        assert!(shown(Verbosity::Trace, Level::Trace));
    }
}
