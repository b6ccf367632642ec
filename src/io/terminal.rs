//! The terminal that is standard input. Knows nothing of what is asked or shown there.

use rustix::termios::{QueueSelector, tcflush};
use std::io;

/// Discards what has been typed and not been read. Does nothing where standard input is something
/// else.
pub fn discard_typed() {
    // It fails for what is no terminal, and then there is nothing to discard.
    let _ = tcflush(io::stdin(), QueueSelector::IFlush);
}
