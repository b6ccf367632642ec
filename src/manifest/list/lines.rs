//! Bytes into lines, with a bound: of a line that is too long only that is kept. Owns the buffer.
//! Must not know what a line says.

use crate::base::limits::LIST_LINE_BYTES_MAX;

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Without its end, LF or CRLF.
    Text(&'a [u8]),
    /// Longer than a line may be.
    TooLong,
    /// Has a byte that no text has (NUL). These are its bytes, unless it is too long as well.
    Binary(&'a [u8]),
}

/// The lines of what was pushed.
#[derive(Debug, Default)]
pub(super) struct Lines {
    buffer: Vec<u8>,
    /// Bytes of the buffer that belong to lines handed out.
    taken: usize,
    /// Bytes of the buffer known to hold no end of the present line.
    searched: usize,
    /// Lines handed out.
    count: u64,
    /// What is left of a line that is too long, while its end has not come.
    dropped: Option<Dropped>,
    is_finished: bool,
    /// Whether the list has ended within a line.
    is_last_open: bool,
}

#[derive(Debug, Clone, Copy)]
struct Dropped {
    has_nul: bool,
}

impl Lines {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.taken);
        self.searched -= self.taken;
        self.taken = 0;
        let bytes = match &mut self.dropped {
            Some(dropped) => {
                let end = end_of_line(bytes).unwrap_or(bytes.len());
                dropped.has_nul |= bytes[..end].contains(&0);
                &bytes[end..]
            }
            None => bytes,
        };
        self.buffer.extend_from_slice(bytes);
    }

    pub(super) fn finish(&mut self) {
        self.is_finished = true;
    }

    /// The number of the line that was handed out last, if it had no end.
    pub(super) fn open_line(&self) -> Option<u64> {
        self.is_last_open.then_some(self.count)
    }

    /// Whether all lines were handed out and no more can come.
    pub(super) fn are_over(&self) -> bool {
        self.is_finished && self.taken == self.buffer.len() && self.dropped.is_none()
    }

    /// The next line and its number, which counts from 1; `None` if its end has not come.
    pub(super) fn next(&mut self) -> Option<(u64, Piece<'_>)> {
        let start = self.taken;
        let end = end_of_line(&self.buffer[self.searched..]).map(|at| self.searched + at);
        let line_end = match end {
            Some(end) => {
                self.taken = end + 1;
                end
            }
            None if self.is_finished && !self.are_over() => {
                self.is_last_open = true;
                self.taken = self.buffer.len();
                self.taken
            }
            None => {
                self.drop_too_long();
                self.searched = self.buffer.len();
                return None;
            }
        };
        self.searched = self.taken;
        self.count += 1;
        Some((self.count, piece(&self.buffer[start..line_end], self.dropped.take())))
    }

    /// Lets go of a line whose bytes up to now are too many.
    fn drop_too_long(&mut self) {
        let line = &self.buffer[self.taken..];
        if line.len() > LIST_LINE_BYTES_MAX {
            self.dropped = Some(Dropped { has_nul: line.contains(&0) });
            self.buffer.clear();
            self.taken = 0;
        }
    }

    /// Bytes of memory that the buffer takes.
    #[cfg(test)]
    pub(super) fn buffer_bytes(&self) -> usize {
        self.buffer.capacity()
    }
}

fn piece(line: &[u8], dropped: Option<Dropped>) -> Piece<'_> {
    let is_too_long = line.len() > LIST_LINE_BYTES_MAX || dropped.is_some();
    if line.contains(&0) || dropped.is_some_and(|dropped| dropped.has_nul) {
        Piece::Binary(if is_too_long { &[] } else { line })
    } else if is_too_long {
        Piece::TooLong
    } else {
        Piece::Text(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

fn end_of_line(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == b'\n')
}
