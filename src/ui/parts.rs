//! A line that is drawn, made of parts: those that do not fit are left out, the least important one
//! first. A bar takes the columns that are left. Knows no cursor, and not what the parts mean.

use super::screen::Line;
use super::width;

const CYAN: &str = "\x1b[36m";
const DIM: &str = "\x1b[2m";
/// Ranks of the parts of a line.
const RANKS: u8 = 10;
/// Between two parts of a line.
pub(super) const GAP: &str = "  ";
/// A bar shorter than this says less than its percentage.
pub(super) const BAR_COLUMNS_MIN: usize = 10;

/// A part of a line.
pub(super) struct Part {
    pub(super) content: Content,
    /// Parts are given room in this order, from 0, which stays in any case, to 9.
    pub(super) rank: u8,
}

/// What a part shows.
pub(super) enum Content {
    /// A text, and the sequence that colours it, or none.
    Text(String, &'static str),
    /// A bar for this share, which also takes the columns that are left.
    Bar(f64),
}

impl Part {
    fn columns_min(&self) -> usize {
        match &self.content {
            Content::Text(text, _) => width::columns(text),
            Content::Bar(_) => BAR_COLUMNS_MIN,
        }
    }
}

/// The line of those parts that have room in `columns`; the one of rank 0 is shortened rather than
/// left out.
pub(super) fn lay_out(parts: Vec<Part>, columns: usize) -> Line {
    let (parts, left) = fitting(parts, columns);
    let mut line = Line::default();
    for (number, part) in parts.iter().enumerate() {
        line.push(if number == 0 { "" } else { GAP }, "");
        match &part.content {
            Content::Text(text, style) => line.push(&width::shorten(text, columns), style),
            Content::Bar(share) => push_bar(&mut line, *share, BAR_COLUMNS_MIN + left),
        }
    }
    line
}

/// A bar of `columns` for a share from 0 to 1.
pub(super) fn push_bar(line: &mut Line, share: f64, columns: usize) {
    let halves = (share.clamp(0.0, 1.0) * 2.0 * columns as f64).floor();
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and twice the columns"
    )]
    let halves = halves as usize;
    let half = if halves % 2 == 1 { "╸" } else { "" };
    line.push(&format!("{}{half}", "━".repeat(halves / 2)), CYAN);
    line.push(&"─".repeat(columns - halves.div_ceil(2)), DIM);
}

/// Those parts that have room, and columns that are left.
fn fitting(mut parts: Vec<Part>, columns: usize) -> (Vec<Part>, usize) {
    let mut left = columns + GAP.len();
    for rank in 0..RANKS {
        let Some(at) = parts.iter().position(|part| part.rank == rank) else { continue };
        match left.checked_sub(parts[at].columns_min() + GAP.len()) {
            Some(rest) => left = rest,
            None if rank == 0 => left = 0,
            None => drop(parts.remove(at)),
        }
    }
    (parts, left)
}
