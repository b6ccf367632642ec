//! What a person sees of a running batch, all of it on standard error: a few lines that are
//! redrawn on a terminal, one line now and then elsewhere, nothing when quiet. Owns that choice and
//! the order of the output; knows only the batch's words. Writing to standard error never fails a
//! batch.
//!
//! `frame` is what is drawn, `lines` what is said where nothing can be drawn, `ask` the question at
//! the end.

mod ask;
mod frame;
mod lines;

pub use ask::{Answer, Failure, ask, can_ask};

use super::screen::Screen;
use super::terminal::{Looks, Size, can_redraw, size, write, write_line};
use super::{Verbosity, text};
use crate::base::limits::PROGRESS_DRAW_INTERVAL_MIN;
use crate::batch::progress::Progress;
use crate::batch::result::Summary;
use crate::engine::progress::{Event, Level};
use frame::frame;
use lines::Lines;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The face of one batch. Feed it progress and events from any thread. After `clear` the terminal
/// is free, until the next progress.
#[derive(Debug)]
pub struct BatchUi {
    face: Face,
    limit: Option<Level>,
}

#[derive(Debug)]
enum Face {
    Silent,
    Lines(Mutex<Lines>),
    Drawing(Mutex<Drawing>),
}

impl BatchUi {
    /// Lines that are redrawn if standard error is a terminal that can, plain lines if not.
    pub fn new(verbosity: Verbosity) -> Self {
        let face = match verbosity {
            Verbosity::Quiet => Face::Silent,
            _ if can_redraw() => Face::Drawing(Mutex::new(Drawing::new(Looks::of_terminal()))),
            _ => Face::Lines(Mutex::default()),
        };
        Self { face, limit: verbosity.limit() }
    }

    /// Shows a snapshot, if one is due.
    pub fn on_progress(&self, progress: &Progress) {
        match &self.face {
            Face::Silent => {}
            Face::Drawing(drawing) => write(&locked(drawing).show(progress, size())),
            Face::Lines(lines) => {
                let line = locked(lines).next(progress);
                line.iter().for_each(|line| write_line(line));
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

    /// Takes what is drawn off the terminal.
    pub fn clear(&self) {
        if let Face::Drawing(drawing) = &self.face {
            write(&locked(drawing).clear(size()));
        }
    }

    /// Replaces what is drawn by the closing line, and what limited the batch.
    pub fn finish(&self, summary: &Summary) {
        self.clear();
        if self.limit.is_some() {
            write_line(&summary.to_string());
            let limiter = summary.limiter.as_ref();
            let limiter = text::limiter_line(limiter, summary.bytes, summary.retries);
            limiter.iter().for_each(|line| write_line(line));
        }
    }

    /// A line above what is drawn or, where nothing is, just a line.
    fn print(&self, line: &str) {
        match &self.face {
            Face::Drawing(drawing) => write(&locked(drawing).say(line, size())),
            Face::Silent | Face::Lines(_) => write_line(line),
        }
    }
}

/// The batch on a terminal: what stands there, and what of.
#[derive(Debug, Default)]
struct Drawing {
    screen: Screen,
    /// The snapshot that is drawn.
    shown: Option<Progress>,
    looks: Looks,
}

impl Drawing {
    fn new(looks: Looks) -> Self {
        Self { looks, ..Self::default() }
    }

    /// The bytes that show `progress`; none if the last drawing is too recent.
    fn show(&mut self, progress: &Progress, size: Size) -> String {
        let is_recent = |shown: &Progress| {
            let age = progress.elapsed.checked_sub(shown.elapsed);
            // None: a second run of the same batch begins at zero again.
            age.is_some_and(|age: Duration| age < PROGRESS_DRAW_INTERVAL_MIN)
        };
        if self.shown.as_ref().is_some_and(is_recent) {
            return String::new();
        }
        self.shown = Some(progress.clone());
        self.draw(size)
    }

    /// The bytes that put `line` above what is drawn.
    fn say(&mut self, line: &str, size: Size) -> String {
        let line = self.looks.charset.line(line);
        self.screen.replace_by(&line, size.columns) + &self.draw(size)
    }

    fn draw(&mut self, size: Size) -> String {
        let Some(progress) = &self.shown else { return String::new() };
        self.screen.draw(&frame(progress, size, self.looks), size.columns)
    }

    fn clear(&mut self, size: Size) -> String {
        if self.shown.take().is_none() {
            return String::new();
        }
        self.screen.replace_by("", size.columns)
    }
}

fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is drawn on a terminal of this width.
#[cfg(test)]
pub(super) fn frame_lines(progress: &Progress, columns: usize) -> Vec<String> {
    let lines = frame(progress, Size { rows: 24, columns }, Looks::default());
    lines.into_iter().map(|line| line.plain).collect()
}

/// What is said where nothing can be drawn.
#[cfg(test)]
pub(super) fn batch_lines(progress: &Progress) -> String {
    lines::line(progress)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { rows: 24, columns: 80 };

    fn at(milliseconds: u64) -> Progress {
        Progress { elapsed: Duration::from_millis(milliseconds), ..Progress::default() }
    }

    #[test]
    fn drawings_keep_their_distance() {
        let mut drawing = Drawing::new(Looks::default());
        let mut is_drawn = |milliseconds| !drawing.show(&at(milliseconds), SIZE).is_empty();
        assert_eq!([0, 49, 50, 99, 100].map(&mut is_drawn), [true, false, true, false, true]);
        assert!(is_drawn(10), "another run");
    }

    #[test]
    fn lines_stand_above_what_is_drawn() {
        let mut drawing = Drawing::new(Looks::default());
        assert_eq!(drawing.say("first", SIZE), "\r\x1b[Jfirst\n");
        drawing.show(&at(0), SIZE);
        let said = drawing.say("second", SIZE);
        assert!(said.starts_with("\r\x1b[Jsecond\n\r0/0+ files  "), "{said:?}");
        assert_eq!(drawing.clear(SIZE), "\r\x1b[J");
        assert_eq!(drawing.clear(SIZE), "");
        assert_eq!(drawing.say("third", SIZE), "\r\x1b[Jthird\n");
        assert!(!drawing.show(&at(1), SIZE).is_empty(), "the next one is drawn at once");
    }
}
