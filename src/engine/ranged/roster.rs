//! The workers of a file as others see them: whom each asks, what it receives, over which socket,
//! and whether others have ended that.
//!
//! Owns which ids are taken. Decides nothing, and knows neither the plan nor the sources.

use crate::engine::receive::claim::Claim;
use crate::io::socket::SocketHandle;
use crate::io::tcp_info::TcpInfo;
use crate::plan::{ConnectionId, SourceId};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

/// All workers that run, or are about to.
#[derive(Default)]
pub(super) struct Roster {
    workers: BTreeMap<ConnectionId, WorkerState>,
}

/// A worker as others see it.
#[derive(Default)]
struct WorkerState {
    /// Whom it asks, once it has asked anybody.
    source: Option<SourceId>,
    /// Who else has brought bytes of its present span, which may be in one block with others.
    former: Vec<SourceId>,
    /// The span it receives.
    claim: Option<Arc<Claim>>,
    socket: Option<SocketHandle>,
    /// Bytes that had arrived on the socket when this was last asked.
    arrived_bytes: Cell<u64>,
    /// Its bytes have been delivered by another one.
    is_aborted: bool,
    /// Its connection was shut because it lags behind.
    is_replaced: bool,
}

impl Roster {
    /// Workers that are to be started so that there are `wanted`, but no more than `most`; they are
    /// on the roster from here on.
    pub(super) fn enlist(&mut self, wanted: u32, most: u32) -> Vec<u32> {
        let missing = (wanted as usize).saturating_sub(self.workers.len()).min(most as usize);
        let mut started = Vec::new();
        for id in 0.. {
            if started.len() == missing {
                break;
            }
            if let Entry::Vacant(place) = self.workers.entry(ConnectionId(id)) {
                place.insert(WorkerState::default());
                started.push(id);
            }
        }
        started
    }

    /// The worker has ended; its id is free.
    pub(super) fn retire(&mut self, id: ConnectionId) {
        self.workers.remove(&id);
    }

    /// The worker starts on the span of this claim.
    pub(super) fn open(&mut self, id: ConnectionId, claim: Arc<Claim>) {
        let state = self.entry(id);
        (state.claim, state.is_aborted, state.is_replaced) = (Some(claim), false, false);
        state.former.clear();
    }

    /// The worker receives nothing any more.
    pub(super) fn close(&mut self, id: ConnectionId) {
        self.entry(id).claim = None;
    }

    /// What the worker receives.
    pub(super) fn claim(&self, id: ConnectionId) -> Option<Arc<Claim>> {
        self.workers.get(&id)?.claim.clone()
    }

    /// Workers that have a span, and what they receive of it.
    pub(super) fn claims(&self) -> impl Iterator<Item = (ConnectionId, &Claim)> {
        let workers = self.workers.iter();
        workers.filter_map(|(id, state)| Some((*id, state.claim.as_deref()?)))
    }

    /// The worker asks this source from here on, perhaps in the middle of a span.
    pub(super) fn lead(&mut self, id: ConnectionId, to: SourceId) {
        let state = self.entry(id);
        if state.claim.is_some() {
            state.former.extend(state.source.filter(|source| *source != to));
        }
        state.source = Some(to);
    }

    /// Whom the worker asks.
    pub(super) fn source(&self, id: ConnectionId) -> Option<SourceId> {
        self.workers.get(&id)?.source
    }

    /// Who else has brought bytes of the worker's present span.
    pub(super) fn former_sources(&self, id: ConnectionId) -> &[SourceId] {
        self.workers.get(&id).map_or(&[], |state| &state.former)
    }

    /// The worker has a new connection, which others may shut and look at.
    pub(super) fn attach(&mut self, id: ConnectionId, socket: SocketHandle) {
        self.entry(id).socket = Some(socket);
    }

    /// What the kernel knows of the worker's connection: a system call.
    pub(super) fn tcp_info(&self, id: ConnectionId) -> Option<TcpInfo> {
        self.workers.get(&id)?.socket.as_ref()?.tcp_info()
    }

    /// Whether a limit of the rate keeps the worker from reading its connection.
    pub(super) fn is_throttled(&self, id: ConnectionId) -> bool {
        let socket = self.workers.get(&id).and_then(|state| state.socket.as_ref());
        socket.is_some_and(SocketHandle::is_throttled)
    }

    /// Whether any of the bytes that have arrived on the worker's socket came since the last call.
    pub(super) fn has_stirred(&self, id: ConnectionId, received_bytes: u64) -> bool {
        let state = self.workers.get(&id);
        state.is_some_and(|state| received_bytes > state.arrived_bytes.replace(received_bytes))
    }

    /// Others have delivered the worker's bytes: ends its connection.
    pub(super) fn abort(&mut self, id: ConnectionId) {
        if let Some(state) = self.workers.get_mut(&id) {
            state.is_aborted = true;
            state.shut();
        }
    }

    /// As `abort`, for each worker that has a span.
    pub(super) fn abort_all(&mut self) {
        for state in self.workers.values_mut().filter(|state| state.claim.is_some()) {
            state.is_aborted = true;
            state.shut();
        }
    }

    /// The worker's connection lags behind: ends it, so that the worker makes a new one.
    pub(super) fn replace(&mut self, id: ConnectionId) {
        if let Some(state) = self.workers.get_mut(&id) {
            state.is_replaced = true;
            state.shut();
        }
    }

    /// Ends every connection: what has arrived on it comes out, and then its end.
    pub(super) fn shut_all(&self) {
        self.workers.values().for_each(WorkerState::shut);
    }

    /// Whether the worker's bytes have been delivered by another one.
    pub(super) fn is_aborted(&self, id: ConnectionId) -> bool {
        self.workers.get(&id).is_some_and(|state| state.is_aborted)
    }

    /// Whether the worker's connection was shut because it lags behind.
    pub(super) fn is_replaced(&self, id: ConnectionId) -> bool {
        self.workers.get(&id).is_some_and(|state| state.is_replaced)
    }

    fn entry(&mut self, id: ConnectionId) -> &mut WorkerState {
        self.workers.entry(id).or_default()
    }
}

impl WorkerState {
    fn shut(&self) {
        if let Some(socket) = &self.socket {
            socket.shutdown();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Span;

    const ID: ConnectionId = ConnectionId(0);

    #[test]
    fn free_ids_are_taken_first_and_no_more_than_are_wanted() {
        let mut roster = Roster::default();
        assert_eq!(roster.enlist(3, 9), [0, 1, 2]);
        roster.retire(ConnectionId(1));
        assert_eq!(roster.enlist(6, 2), [1, 3]);
        assert!(roster.enlist(4, 9).is_empty());
    }

    #[test]
    fn a_span_knows_all_that_have_brought_bytes_of_it() {
        let mut roster = Roster::default();
        roster.lead(ID, SourceId(0));
        roster.open(ID, Arc::new(Claim::new(Span::new(0, 9))));
        roster.lead(ID, SourceId(0));
        roster.lead(ID, SourceId(1));
        assert_eq!(roster.source(ID), Some(SourceId(1)));
        assert_eq!(roster.former_sources(ID), [SourceId(0)]);
        roster.open(ID, Arc::new(Claim::new(Span::new(9, 18))));
        assert!(roster.former_sources(ID).is_empty());
    }

    #[test]
    fn who_was_ended_starts_afresh_with_the_next_span() {
        let mut roster = Roster::default();
        roster.replace(ID);
        assert!(!roster.is_replaced(ID), "there is no such worker");
        roster.open(ID, Arc::new(Claim::new(Span::new(0, 9))));
        roster.replace(ID);
        roster.abort_all();
        assert!(roster.is_replaced(ID) && roster.is_aborted(ID));
        assert_eq!(roster.claims().count(), 1);
        roster.close(ID);
        assert!(roster.claim(ID).is_none());
        roster.open(ID, Arc::new(Claim::new(Span::new(9, 18))));
        assert!(!roster.is_replaced(ID) && !roster.is_aborted(ID));
    }
}
