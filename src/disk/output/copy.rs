//! The file that gets the same bytes as a stream, by the same thread: on its way to its name like
//! any other, and it has that only when it is whole and the stream has been judged. Nothing of it
//! stays after a failure, as nothing of a stream can be gone on with.

use super::file::{DirectPolicy, FileOutput, ReservedFile, SyncPolicy};
use crate::base::{Error, ErrorKind, Result};
use crate::disk::place::disk_error;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The copy of a stream.
pub(super) struct Copy {
    file: FileOutput,
}

impl Copy {
    /// A file that will be called `target`.
    ///
    /// # Errors
    /// TargetUnusable, if a download under this name can be gone on with; and as for the part file
    /// of one.
    pub(super) fn reserve(target: &Path, replace: bool) -> Result<Self> {
        let reserved = ReservedFile::new(target, replace)?;
        if reserved.place().journal_stands() {
            let what = format!("a download was begun under the name {}", target.display());
            return Err(Error::new(ErrorKind::TargetUnusable, what)
                .advise("go on with it first (-o), or choose another name"));
        }
        reserved.discard()?;
        let file = reserved.allocate(None, DirectPolicy::Never)?;
        Ok(Self { file })
    }

    /// Makes room for `total` bytes.
    pub(super) fn make_room(&self, total: u64) -> Result<()> {
        self.file.place().reserve_space(total)
    }

    /// Writes bytes to their place (blocking).
    pub(super) fn write(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let place = self.file.place();
        let written = place.file.write_all_at(bytes, offset);
        written.map_err(|e| disk_error(e, "cannot write", &place.part))
    }

    /// Gives `bytes` bytes their name.
    pub(super) fn commit(&self, bytes: u64, sync: SyncPolicy) -> Result<()> {
        self.file.commit(bytes, sync).map(drop)
    }
}
