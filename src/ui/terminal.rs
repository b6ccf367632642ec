//! The terminal that standard error is: whether there is one, its size, colours and characters,
//! and how bytes get there. Writing never fails: a closed standard error (`2>&1 | head`) is no
//! reason to lose a download. Must not know what is shown.

use super::charset::Charset;
use super::screen::Line;
use console::Term;
use std::io::{IsTerminal, Write};

/// The size of a terminal that does not say it.
const SIZE_UNKNOWN: Size = Size { rows: 24, columns: 80 };

/// Rows and columns of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) rows: usize,
    pub(super) columns: usize,
}

/// What a terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Looks {
    pub(super) colours: bool,
    pub(super) charset: Charset,
}

impl Looks {
    /// Those of this process's terminal.
    pub(super) fn of_terminal() -> Self {
        Self { colours: colours_allowed(), charset: Charset::of_locale() }
    }

    /// A line as the terminal can show it.
    pub(super) fn put(self, line: Line) -> Line {
        let styled = if self.colours { &line.styled } else { &line.plain };
        let styled = self.charset.drawn(styled).into_owned();
        Line { plain: self.charset.drawn(&line.plain).into_owned(), styled }
    }
}

/// Asked anew for each drawing, as a window may have been resized.
pub(super) fn size() -> Size {
    let size = Term::stderr().size_checked();
    size.map_or(SIZE_UNKNOWN, |(rows, columns)| Size { rows: rows.into(), columns: columns.into() })
}

/// Whether standard error is a terminal that can redraw a line.
pub fn can_redraw() -> bool {
    let terminal_named = std::env::var_os("TERM").is_some_and(|t| !t.is_empty() && t != "dumb");
    terminal_named && std::io::stderr().is_terminal()
}

/// Any non-empty NO_COLOR forbids colour (no-color.org).
pub fn colours_allowed() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// Writes a line to standard error, in the characters that its terminal can show, if it is one. One
/// write per line keeps lines of several threads whole.
pub fn write_line(line: &str) {
    let is_terminal = std::io::stderr().is_terminal();
    let charset = if is_terminal { Charset::of_locale() } else { Charset::Utf8 };
    write(&format!("{}\n", charset.line(line)));
}

/// One write, so that a terminal shows no half of it.
pub(super) fn write(bytes: &str) {
    if !bytes.is_empty() {
        let _ = std::io::stderr().lock().write_all(bytes.as_bytes());
    }
}
