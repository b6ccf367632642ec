//! How far ahead of an output that takes bytes in order blocks are received, of what its memory
//! allows. Owns the window in use; must not know connections, spans, or what takes the bytes.
//!
//! What runs far ahead is written to memory that is in no cache any more, and read again from
//! there, and where the reader is the slower side nothing is gained by it. So the window begins
//! small. It doubles when the output has run dry, which means that it waited for its next bytes,
//! and more room would have given it some:
//!
//! * while connections were held at the end of the window, as the one with the next bytes was late;
//! * or after they had been held because of the reader, which has become faster than they are.

use crate::base::size::MIB;
use std::time::Duration;

/// The window to begin with: more than two connections have in flight, and a reader that takes a
/// gigabyte per second is busy with it for longer than a scheduler lets a thread wait.
const WINDOW_BYTES_MIN: u64 = 8 * MIB;
/// Time that is looked at together: shorter waits are those between two receives.
const LOOK_TIME: Duration = Duration::from_millis(2);
/// The window is too small if the output is dry for one part in this number of the time in which
/// connections are held.
const DRY_PARTS: u32 = 4;
/// Time after which what was seen of a hold belongs to another one.
const HOLD_GAP: Duration = Duration::from_millis(20);

/// The window of one transfer. Asked for each block.
#[derive(Debug)]
pub struct Ahead {
    /// Bytes beyond those that the output has taken.
    window_bytes: u64,
    /// The most that the memory allows.
    window_bytes_max: u64,
    /// Where the present look at held connections began.
    look: Option<Moment>,
    /// Indicates whether the last look found that the reader is waited for.
    is_reader_slow: bool,
    /// When a connection was last held.
    held: Option<Moment>,
}

/// What an output has done by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outlet {
    /// It has taken all bytes before this offset of the file.
    pub taken_to: u64,
    /// For how long it has been dry so far.
    pub dry: Duration,
}

/// Whether a block may be received now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Yes.
    Free,
    /// No; it is worth asking again after this time, or as soon as the output has taken a block.
    Unclear(Duration),
    /// No, as the window is as large as it may be or the reader is waited for; it is worth asking
    /// again as soon as the output has taken a block.
    Full,
}

#[derive(Debug, Clone, Copy)]
struct Moment {
    at: Duration,
    /// For how long the output had been dry by then.
    dry: Duration,
}

impl Ahead {
    /// For a window of at most this number of bytes.
    pub fn new(window_bytes_max: u64) -> Self {
        let window_bytes = WINDOW_BYTES_MIN.min(window_bytes_max);
        Self { window_bytes, window_bytes_max, look: None, is_reader_slow: false, held: None }
    }

    /// Whether a connection may receive a block that begins at `offset`. The one with the next
    /// bytes of the output always may.
    pub fn ask(&mut self, now: Duration, offset: u64, outlet: Outlet) -> Room {
        let moment = Moment { at: now, dry: outlet.dry };
        if self.holds(offset, outlet) {
            self.look_at_hold(moment);
        } else if self.held.is_some_and(|held| dry_since(held, moment) >= LOOK_TIME) {
            self.grow();
        }
        if !self.holds(offset, outlet) {
            return Room::Free;
        }
        self.held = Some(moment);
        match self.is_reader_slow || self.window_bytes == self.window_bytes_max {
            true => Room::Full,
            false => Room::Unclear(LOOK_TIME),
        }
    }

    fn holds(&self, offset: u64, outlet: Outlet) -> bool {
        offset >= outlet.taken_to.saturating_add(self.window_bytes.max(1))
    }

    /// A connection is held: has the output been dry meanwhile?
    fn look_at_hold(&mut self, moment: Moment) {
        let is_new = self.held.is_none_or(|held| moment.at.saturating_sub(held.at) > HOLD_GAP);
        let Some(look) = self.look.filter(|_| !is_new) else {
            (self.look, self.is_reader_slow) = (Some(moment), false);
            return;
        };
        let elapsed = moment.at.saturating_sub(look.at);
        if elapsed < LOOK_TIME {
            return;
        }
        (self.look, self.is_reader_slow) = (Some(moment), true);
        if dry_since(look, moment) >= elapsed / DRY_PARTS {
            self.grow();
        }
    }

    fn grow(&mut self) {
        self.window_bytes = self.window_bytes.saturating_mul(2).min(self.window_bytes_max);
        (self.held, self.is_reader_slow) = (None, false);
    }
}

/// For how long the output was dry between two moments.
fn dry_since(then: Moment, now: Moment) -> Duration {
    now.dry.saturating_sub(then.dry)
}

#[cfg(test)]
mod tests;
