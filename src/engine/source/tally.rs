//! What has come of one source during a transfer: its bytes, its failures, and which bytes of the
//! file rest on its word alone. Must not know how it is asked.

use crate::base::{Error, Span, SpanSet};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The account of one source.
#[derive(Default)]
pub(in crate::engine) struct Tally {
    bytes: AtomicU64,
    failures: AtomicU32,
    connects: AtomicU32,
    last_error: Mutex<Option<Error>>,
    delivered: Mutex<SpanSet>,
}

impl Tally {
    /// It has delivered `span`, of which `new_bytes` nobody else had.
    pub(in crate::engine) fn delivered(&self, span: Span, new_bytes: u64) {
        self.bytes.fetch_add(new_bytes, Ordering::Relaxed);
        lock(&self.delivered).insert(span);
    }

    /// It has failed so.
    pub(in crate::engine) fn failed(&self, error: &Error) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        *lock(&self.last_error) = Some(error.clone());
    }

    /// A connection to it stands.
    pub(in crate::engine) fn connected(&self) {
        self.connects.fetch_add(1, Ordering::Relaxed);
    }

    /// Bytes of the file that it has brought.
    pub(in crate::engine) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Its failures so far.
    pub(in crate::engine) fn failures(&self) -> u32 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Connections made to it so far.
    pub(in crate::engine) fn connects(&self) -> u32 {
        self.connects.load(Ordering::Relaxed)
    }

    /// How it failed last.
    pub(in crate::engine) fn last_error(&self) -> Option<Error> {
        lock(&self.last_error).clone()
    }

    /// The bytes of the file that it has delivered.
    pub(in crate::engine) fn spans(&self) -> SpanSet {
        lock(&self.delivered).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
