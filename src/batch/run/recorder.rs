//! The journal of a batch that runs: what has ended is recorded there, and handed to the kernel now
//! and then. Must not know who else hears of it.

use super::dispatcher::Ended;
use crate::base::Result;
use crate::base::limits::{BATCH_FLUSH_RECORDS, BATCH_FLUSH_TIME};
use crate::batch::naming::Taken;
use crate::batch::result::Status;
use crate::batch::state::{Done, Failed, FileTime, Key, Record, State};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Writes the journal, if the batch has one.
pub(super) struct Recorder {
    state: Option<Arc<Mutex<State>>>,
    /// The names that jobs have.
    taken: Arc<Mutex<Taken>>,
    /// Records that are in memory only.
    unflushed: usize,
    last_flush: Instant,
}

impl Recorder {
    pub(super) fn new(state: Option<Arc<Mutex<State>>>, taken: Arc<Mutex<Taken>>) -> Self {
        Self { state, taken, unflushed: 0, last_flush: Instant::now() }
    }

    /// Records how a job has ended, if it had got as far as a name.
    pub(super) fn record(&mut self, ended: &Ended) {
        let Some((target, source)) = &ended.file else { return };
        let outcome = &ended.outcome;
        if matches!(outcome.status, Status::Failed(_)) {
            // Nobody has the name: another item of the list may.
            lock(&self.taken).release(target);
        }
        let Some(source) = *source else { return };
        match (&outcome.status, &ended.meta) {
            (Status::Done, Some(meta)) => {
                let done = Done {
                    source,
                    bytes: meta.len(),
                    modified: FileTime::of(meta),
                    validator: outcome.validator.clone(),
                    digest: outcome.digest.clone(),
                };
                self.append(&Key::of(target), &Record::Done(done));
            }
            (Status::Failed(error), _) => {
                let (kind, text) = (error.kind(), error.to_string());
                let name = target.display().to_string();
                let failed = Failed { source, kind, target: name, text };
                self.append(&Key::of(target), &Record::Failed(failed));
            }
            (Status::Done | Status::Unchanged, _) => {}
        }
    }

    /// Hands the records to the kernel, if that is due.
    pub(super) fn flush(&mut self) -> Result<()> {
        let is_due =
            self.unflushed >= BATCH_FLUSH_RECORDS || self.last_flush.elapsed() >= BATCH_FLUSH_TIME;
        let Some(state) = self.state.as_ref().filter(|_| is_due && self.unflushed > 0) else {
            return Ok(());
        };
        self.last_flush = Instant::now();
        lock(state).flush()?;
        self.unflushed = 0;
        Ok(())
    }

    /// Makes all records durable. It may use the room that a full disk has left.
    pub(super) fn sync(&mut self) -> Result<()> {
        let Some(state) = &self.state else { return Ok(()) };
        lock(state).sync()?;
        self.unflushed = 0;
        Ok(())
    }

    fn append(&mut self, key: &Key, record: &Record) {
        if let Some(state) = &self.state {
            lock(state).append(key, record);
            self.unflushed += 1;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
