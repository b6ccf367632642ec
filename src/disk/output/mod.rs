//! What takes the blocks of a transfer: a part file on its way to its final name (`file`), or
//! nowhere, which takes every block and keeps none, for measuring what is in front of the disk.
//!
//! Reserved before any server is asked, so that an output that cannot be used is known first;
//! allocated anew for each attempt. Must not know where blocks come from.

mod file;

pub use file::{DirectPolicy, FileOutput, ReservedFile};

use super::journal::{BarrierPace, Book, Found, Identity, Journal};
use crate::base::{Error, Result, Span};
use crate::io::buffers::Block;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What bytes that are kept nowhere are said to be written to.
const NOWHERE: &str = "/dev/null";

/// An output that nobody else writes to, before anything is known of the file.
#[derive(Debug)]
pub enum Reserved {
    /// The target's name, and the part file that is ours alone.
    File(ReservedFile),
    /// Blocks are taken and thrown away.
    Nowhere,
}

/// What takes blocks.
pub enum Output {
    /// A part file takes each block at its offset.
    File(FileOutput),
    /// Blocks are taken and thrown away.
    Nowhere,
}

impl Reserved {
    /// Makes and locks `TARGET.part`. Refuses an existing target unless `replace`, and a part
    /// file that another process is writing. One that an earlier run has made is taken over as it
    /// is: [`find`](Self::find) what can be used of it, or [`discard`](Self::discard) it. Anything
    /// else under its name is refused untouched, or loses the name if `replace`.
    pub fn new(target: &Path, replace: bool) -> Result<Self> {
        ReservedFile::new(target, replace).map(Self::File)
    }

    /// An output that keeps nothing.
    pub fn nowhere() -> Self {
        Self::Nowhere
    }

    /// Reads the journal of an earlier run, if there is one. What cannot be read is an error, and
    /// nothing is deleted. After [`Found::Useless`] it is for the caller to discard it.
    pub fn find(&self) -> Result<Found> {
        match self {
            Self::File(file) => file.find(),
            Self::Nowhere => Ok(Found::Nothing),
        }
    }

    /// Bytes that a later run can go on from, as far as is known: the journal that stands vouches
    /// for them.
    pub fn kept_bytes(&self) -> u64 {
        match self {
            Self::File(file) => file.kept_bytes(),
            Self::Nowhere => 0,
        }
    }

    /// Starts over: removes the journal, durably, and empties the part file then. Any journal that
    /// was started before writes no more. A file under the journal's name that is none of ours is
    /// an error.
    pub fn discard(&self) -> Result<()> {
        match self {
            Self::File(file) => file.discard(),
            Self::Nowhere => Ok(()),
        }
    }

    /// Takes the file to its size, if it is known, and decides how blocks are written. The bytes
    /// that are there stay.
    pub fn allocate(&self, total: Option<u64>, policy: DirectPolicy) -> Result<Output> {
        match self {
            Self::File(file) => file.allocate(total, policy).map(Output::File),
            Self::Nowhere => Ok(Output::Nowhere),
        }
    }
}

impl Output {
    /// Writes a block at its offset; ends when the kernel has taken all of it.
    pub async fn write(&self, block: Block, offset: u64) -> Result<()> {
        match self {
            Self::File(file) => file.write(block, offset).await,
            Self::Nowhere => Ok(()),
        }
    }

    /// Reads bytes that are there (blocking); [`ErrorKind::DiskIo`](crate::base::ErrorKind) if they
    /// are not. From nowhere come zeros.
    pub fn read(&self, span: Span) -> Result<Vec<u8>> {
        match self {
            Self::File(file) => file.read(span),
            Self::Nowhere => {
                Ok(vec![0; usize::try_from(span.len()).expect("a sample fits the memory")])
            }
        }
    }

    /// Whether as many writes are on their way as are made at a time.
    pub fn is_saturated(&self) -> bool {
        match self {
            Self::File(file) => file.is_saturated(),
            Self::Nowhere => false,
        }
    }

    /// Whether blocks bypass the page cache.
    pub fn is_direct(&self) -> bool {
        self.file().is_some_and(FileOutput::is_direct)
    }

    /// Whether blocks are thrown away.
    pub fn is_nowhere(&self) -> bool {
        matches!(self, Self::Nowhere)
    }

    /// Why blocks go through the page cache, if they do by decision.
    pub fn buffered_reason(&self) -> Option<&str> {
        self.file()?.buffered_reason()
    }

    /// The part file's name.
    pub fn part_path(&self) -> &Path {
        match self {
            Self::File(file) => &file.place().part,
            Self::Nowhere => Path::new(NOWHERE),
        }
    }

    /// The part file stays when this value is dropped.
    pub fn keep_part(&self) {
        if let Self::File(file) = self {
            file.keep_part();
        }
    }

    /// The part file stays, and nothing of it counts any more: a later run starts over.
    pub fn disown(&self) {
        if let Self::File(file) = self {
            file.disown();
        }
    }

    /// Starts the journal of the part file: a thread that makes what `book` has durable. The book
    /// has what the standing journal vouches for, or what came after, or less of it. `on_failed` is
    /// called once, on that thread, when a barrier fails; it must not drop the journal.
    ///
    /// # Errors
    /// Usage, if a text of the identity is too long (64 KiB); ResourceLimit, if there is no thread.
    ///
    /// # Panics
    /// If the output is no file: no journal is kept of anything else.
    pub fn start_journal(
        &self,
        identity: Identity,
        book: &Arc<Book>,
        pace: BarrierPace,
        on_failed: impl FnOnce(Error) + Send + 'static,
    ) -> Result<Journal> {
        let file = self.file().expect("journals are of files");
        file.start_journal(identity, book, pace, on_failed)
    }

    /// Makes `bytes` bytes durable under the final name: data, name and folder, in this order; then
    /// the journal has served its purpose. If someone has taken the name meanwhile, the part file
    /// stays. An error as well after any failed sync, as nobody knows what reached the disk then.
    pub fn commit(&self, bytes: u64) -> Result<PathBuf> {
        match self {
            Self::File(file) => file.commit(bytes),
            Self::Nowhere => Ok(NOWHERE.into()),
        }
    }

    /// The part file, if that is what takes the blocks.
    pub(super) fn file(&self) -> Option<&FileOutput> {
        match self {
            Self::File(file) => Some(file),
            Self::Nowhere => None,
        }
    }
}

#[cfg(test)]
mod tests;
