//! The span a worker is busy with, as seen by those who may take the end of it away.
//!
//! The worker claims bytes before it receives them; a thief may lower the end to anything that is
//! not claimed yet. One small lock per connection, so that the plan's lock is not needed per block,
//! unless the bytes are shared with a second connection (hedged), which the claim says.

use crate::base::Span;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Claimed position and end of one worker's span.
pub(in crate::engine) struct Claim {
    state: Mutex<State>,
}

#[derive(Clone, Copy)]
struct State {
    /// Everything below is claimed.
    position: u64,
    /// Everything below has arrived.
    received_to: u64,
    /// Everything below has gone to the disk.
    flushed_to: u64,
    /// Everything below has been told to the plan.
    told_to: u64,
    /// Bytes told that the plan did not have from another connection.
    new_bytes: u64,
    end: u64,
    /// A second connection delivers these bytes too.
    is_shared: bool,
}

impl Claim {
    /// Nothing of `span` is claimed.
    pub(in crate::engine) fn new(span: Span) -> Self {
        let start = span.start();
        let state = State {
            position: start,
            received_to: start,
            flushed_to: start,
            told_to: start,
            new_bytes: 0,
            end: span.end(),
            is_shared: false,
        };
        Self { state: Mutex::new(state) }
    }

    /// Claims up to `bytes` more: the bytes that were still there to claim.
    pub(in crate::engine) fn take(&self, bytes: u64) -> u64 {
        let mut state = self.lock();
        let granted = bytes.min(state.end - state.position);
        state.position += granted;
        granted
    }

    /// Everything claimed has arrived, except for the last `missing` bytes, which are returned.
    pub(in crate::engine) fn settle(&self, missing: u64) {
        let mut state = self.lock();
        state.position -= missing;
        state.received_to = state.position;
    }

    /// Everything below has arrived.
    pub(in crate::engine) fn received_to(&self) -> u64 {
        self.lock().received_to
    }

    /// Everything below `offset` has gone to the disk.
    pub(in crate::engine) fn flushed(&self, offset: u64) {
        self.lock().flushed_to = offset;
    }

    /// The same, unless a second connection delivers these bytes too: then nothing has changed, and
    /// the plan has to say first which of them are new. One step, so that whoever shares the claim
    /// finds either the bytes told or their worker asking.
    pub(in crate::engine) fn flushed_alone(&self, offset: u64) -> bool {
        let mut state = self.lock();
        if !state.is_shared {
            state.flushed_to = offset;
        }
        !state.is_shared
    }

    /// What has gone to the disk and was not told to the plan; counts as told from here on.
    pub(in crate::engine) fn take_untold(&self) -> Option<Span> {
        let mut state = self.lock();
        let untold = Span::new(state.told_to, state.flushed_to);
        state.told_to = state.flushed_to;
        (!untold.is_empty()).then_some(untold)
    }

    /// Counts bytes told that were new to the plan.
    pub(in crate::engine) fn count_new(&self, bytes: u64) {
        self.lock().new_bytes += bytes;
    }

    /// Bytes told that were new to the plan.
    pub(in crate::engine) fn new_bytes(&self) -> u64 {
        self.lock().new_bytes
    }

    /// From now on a second connection delivers these bytes too.
    pub(in crate::engine) fn share(&self) {
        self.lock().is_shared = true;
    }

    /// Whether a second connection delivers these bytes too.
    pub(in crate::engine) fn is_shared(&self) -> bool {
        self.lock().is_shared
    }

    /// Whether bytes have arrived, or may have, that have not gone to the disk.
    pub(in crate::engine) fn holds_bytes(&self) -> bool {
        let state = self.lock();
        state.position > state.flushed_to
    }

    /// Whether bytes are being received, and not held back by this machine.
    pub(in crate::engine) fn is_receiving(&self) -> bool {
        let state = self.lock();
        state.position > state.received_to
    }

    /// Where the next claim starts.
    pub(in crate::engine) fn position(&self) -> u64 {
        self.lock().position
    }

    /// What is not claimed.
    pub(in crate::engine) fn rest(&self) -> Span {
        let state = self.lock();
        Span::new(state.position, state.end)
    }

    /// Lowers the end to `end`, unless bytes from there on are claimed: then `Err(position)`.
    pub(in crate::engine) fn cut(&self, end: u64) -> Result<u64, u64> {
        let mut state = self.lock();
        if end < state.position || end >= state.end {
            return Err(state.position);
        }
        state.end = end;
        Ok(end)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_and_cuts_never_overlap() {
        let claim = Claim::new(Span::new(100, 200));
        assert_eq!(claim.take(30), 30);
        assert_eq!(claim.cut(120), Err(130));
        assert_eq!(claim.cut(200), Err(130), "nothing would be gained");
        assert_eq!(claim.cut(150), Ok(150));
        assert_eq!(claim.take(30), 20);
        assert_eq!(claim.received_to(), 100);
        assert!(claim.is_receiving());
        claim.settle(5);
        assert!(!claim.is_receiving());
        assert_eq!(claim.rest(), Span::new(145, 150));
        assert_eq!(claim.received_to(), 145);
        claim.flushed(140);
        assert_eq!(claim.take_untold(), Some(Span::new(100, 140)));
        assert_eq!(claim.take_untold(), None);
        assert_eq!(claim.take(99), 5);
        assert_eq!(claim.take(1), 0);
        assert_eq!(claim.position(), 150);
    }

    #[test]
    fn once_shared_nothing_is_flushed_unasked() {
        let claim = Claim::new(Span::new(0, 100));
        assert!(claim.flushed_alone(40));
        claim.share();
        assert!(!claim.flushed_alone(80));
        assert_eq!(claim.take_untold(), Some(Span::new(0, 40)));
    }
}
