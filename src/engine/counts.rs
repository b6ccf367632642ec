//! Connections of one transfer, counted for its report; they bound nothing.

use crate::io::patience::Line;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Connections of one transfer, over all its sources.
#[derive(Default)]
pub(super) struct ConnectionCounts {
    open: AtomicU32,
    open_max: AtomicU32,
    established: AtomicU32,
    /// What they bring together.
    pub(super) line: Arc<Line>,
}

/// One connection, which counts as open until this is dropped.
pub(super) struct Counted {
    counts: Arc<ConnectionCounts>,
}

impl ConnectionCounts {
    /// Connections that are open now.
    pub(super) fn open(&self) -> u32 {
        self.open.load(Ordering::Relaxed)
    }

    /// Most that were open at once.
    pub(super) fn open_max(&self) -> u32 {
        self.open_max.load(Ordering::Relaxed)
    }

    /// How many were established in all.
    pub(super) fn established(&self) -> u32 {
        self.established.load(Ordering::Relaxed)
    }

    /// A connection has been established for the transfer.
    pub(super) fn count_new(self: &Arc<Self>) -> Counted {
        self.established.fetch_add(1, Ordering::Relaxed);
        self.count_kept()
    }

    /// A connection that another transfer has established is used by this one.
    pub(super) fn count_kept(self: &Arc<Self>) -> Counted {
        let open = self.open.fetch_add(1, Ordering::Relaxed) + 1;
        self.open_max.fetch_max(open, Ordering::Relaxed);
        Counted { counts: self.clone() }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.counts.open.fetch_sub(1, Ordering::Relaxed);
    }
}
