//! The journal of a batch: which files are done and which failed, so that a later run fetches only
//! what is missing.
//!
//! One record per result in a log that only grows; a later record of a file takes the place of an
//! earlier one. In memory is where the records of files lie that earlier runs have done: at most 52
//! bytes a file. What this run records is for the next one and takes no memory, nor do failures: a
//! list of any length can fail.
//!
//! `key` says which file it is, `record` is the codec, `decide` what follows from a record, and
//! `of_slice` whose records count besides. Must not know transfers, nor when records are made.

mod decide;
mod key;
mod of_slice;
mod record;
#[cfg(test)]
mod tests;

pub use decide::{Comparison, Decision, IfExists, LocalFile, Wanted, decide};
pub use key::{KEY_BYTES, Key, Source};
pub use record::{Done, Failed, FileTime, Record, Tag, peek};

use crate::base::Result;
use crate::base::limits::STATE_RECORDS_COMPACT_MIN;
use crate::disk::record_log::{Purpose, RecordLog};
use std::collections::HashMap;
use std::path::Path;

/// What is called so is the state of a batch, in this version of its format.
const PURPOSE: Purpose = Purpose {
    magic: *b"ringhaul-batch\r\n",
    version: 1,
    noun: "the state of a batch",
    advice: "name another file with --state, or remove this one to begin anew",
};

/// The open state of a batch, and its lock.
#[derive(Debug)]
pub struct State {
    log: RecordLog,
    earlier: Earlier,
}

impl State {
    /// Opens the state `path`, or makes an empty one. If more than half of its records are out of
    /// date it is written anew; failures are, as this run tries their files again.
    ///
    /// # Errors
    /// As those of [`RecordLog::open`]: [`Usage`](crate::base::ErrorKind::Usage) for a file that is
    /// something else, which is left as it is, and
    /// [`TargetUnusable`](crate::base::ErrorKind::TargetUnusable) while another run uses it.
    pub fn open(path: &Path) -> Result<Self> {
        let mut earlier = Earlier::default();
        let log = RecordLog::open(path, &PURPOSE, |at, payload| earlier.add(at, payload))?;
        let mut state = Self { log, earlier };
        if state.earlier.is_mostly_out_of_date() {
            state.compact()?;
        }
        Ok(state)
    }

    /// Bytes at the end of the file that were torn or damaged, and are ignored: what a crash cut
    /// short. The files they spoke of count as unknown.
    pub fn cut_bytes(&self) -> u64 {
        self.log.cut_bytes()
    }

    /// How many files earlier runs have done, as far as this one has recorded nothing of them.
    pub fn done_count(&self) -> usize {
        self.earlier.places.len()
    }

    /// What an earlier run has recorded of a file that is done; `None` once this run has recorded
    /// something of it. A record that cannot be read counts as none: the file is fetched again,
    /// which is always right.
    pub fn done(&self, key: &Key) -> Option<Done> {
        let payload = self.log.read(*self.earlier.places.get(key)?).ok()??;
        match Record::decode(&payload)? {
            (found, Record::Done(done)) if found == *key => Some(done),
            _ => None,
        }
    }

    /// Adds a record, in memory. A file is recorded as done only once it is whole and durable at
    /// its name: the caller's duty, as the next run takes the record's word for it.
    pub fn append(&mut self, key: &Key, record: &Record) {
        self.log.append(&record.encode(key));
        self.earlier.places.remove(key);
    }

    /// Hands all records to the kernel: they survive the end of this program (`kill -9`), and not
    /// that of the machine.
    ///
    /// # Errors
    /// What the disk answers; nothing is lost, and a later call tries again.
    pub fn flush(&mut self) -> Result<()> {
        self.log.flush()
    }

    /// Makes all records durable (blocking).
    ///
    /// # Errors
    /// What the disk answers. It stays: the caller ends the batch.
    pub fn sync(&mut self) -> Result<()> {
        self.log.sync()
    }

    fn compact(&mut self) -> Result<()> {
        let places = &self.earlier.places;
        let is_newest = |at, payload: &[u8]| {
            peek(payload).and_then(|(_, key)| places.get(&key)).is_some_and(|place| *place == at)
        };
        if self.log.rewrite(is_newest).is_err() {
            // A full disk, say: the log is as it was, and only larger than it need be.
            return Ok(());
        }
        self.earlier.clear();
        self.log.scan(|at, payload| self.earlier.add(at, payload)).map(drop)
    }
}

/// What earlier runs have recorded.
#[derive(Debug, Default)]
struct Earlier {
    /// Where the record of each file lies that is done: 24 bytes, and at most 52 with the table's
    /// empty places.
    places: HashMap<Key, u64>,
    /// Records in all.
    records: u64,
}

impl Earlier {
    /// The record `payload` lies at `at`. One that speaks of no file is as good as out of date.
    fn add(&mut self, at: u64, payload: &[u8]) {
        self.records += 1;
        match peek(payload) {
            Some((Tag::Done, key)) => drop(self.places.insert(key, at)),
            Some((Tag::Failed, key)) => drop(self.places.remove(&key)),
            None => {}
        }
    }

    /// Adds the record if it is of a file that `has` is true for.
    fn add_of(&mut self, at: u64, payload: &[u8], has: &dyn Fn(&Key) -> bool) {
        if peek(payload).is_some_and(|(_, key)| has(&key)) {
            self.add(at, payload);
        }
    }

    fn is_mostly_out_of_date(&self) -> bool {
        self.records > STATE_RECORDS_COMPACT_MIN && self.places.len() as u64 * 2 < self.records
    }

    /// Forgets all records. The room is kept, so that no second table is made beside the first.
    fn clear(&mut self) {
        self.places.clear();
        self.records = 0;
    }
}
