//! Files of the staging folder that are written past the page cache: which of them are, and the
//! way there of one. A file of a block costs half the processor time, and the barrier finds it on
//! the disk. Must not know where files come from, nor when they get their names.

use crate::base::limits::STAGED_DIRECT_BYTES_MIN;
use crate::base::{Error, ErrorKind, Result};
use crate::disk::output::DirectPolicy;
use crate::disk::place::disk_error;
use crate::io::buffers::Block;
use crate::io::file;
use crate::io::folder::Folder;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::SystemTime;

/// Which files of a folder bypass the page cache.
#[derive(Debug)]
pub(super) struct PastCache {
    /// Those from this size on.
    bytes_min: u64,
    /// The file system has refused.
    is_refused: AtomicBool,
}

/// The bytes of a file on their way past the page cache.
pub(super) struct Writing {
    pub(super) file: Arc<OwnedFd>,
    pub(super) path: PathBuf,
    pub(super) block: Block,
    /// When the file was changed last, if that is to be said.
    pub(super) modified: Option<SystemTime>,
    /// Hears of the end.
    pub(super) ended: SyncSender<Result<()>>,
}

impl PastCache {
    /// As `policy` says for files in `folder`.
    pub(super) fn new(folder: &Folder, policy: DirectPolicy) -> Self {
        let bytes_min = match policy {
            DirectPolicy::Auto if !folder.file_system().direct_pays => u64::MAX,
            DirectPolicy::Auto => STAGED_DIRECT_BYTES_MIN,
            DirectPolicy::Always => 1,
            DirectPolicy::Never => u64::MAX,
        };
        Self { bytes_min, is_refused: AtomicBool::new(false) }
    }

    /// Whether a file of this size does.
    pub(super) fn takes(&self, bytes: u64) -> bool {
        bytes >= self.bytes_min && !self.is_refused.load(Ordering::Relaxed)
    }

    /// Has the writes to a new file bypass the cache; `false` where the file system refuses, which
    /// is not asked again.
    pub(super) fn set(&self, new: &File) -> bool {
        let is_aligned = file::direct_align(new).is_kept_by_blocks();
        let is_set = is_aligned && file::set_direct(new, true).is_ok();
        if !is_set {
            self.refused();
        }
        is_set
    }

    fn refused(&self) {
        self.is_refused.store(true, Ordering::Relaxed);
    }
}

impl Writing {
    /// Writes the block, and closes the file.
    pub(super) async fn run(self, past_cache: &PastCache) {
        let Self { file, path, block, modified, ended } = self;
        let failed = |e, what: &str| disk_error(e, what, &path);
        let result = match file::fill_direct(&file, &block).await {
            Ok(is_taken) => {
                if !is_taken {
                    past_cache.refused();
                }
                let set = |time| file::set_modified(&file, time);
                modified.map_or(Ok(()), set).map_err(|e| failed(e, "cannot set the time of"))
            }
            Err(e) => Err(failed(e, "cannot write")),
        };
        drop(file);
        // Nobody listens if the file was given up.
        let _ = ended.send(result);
    }
}

/// What is said of a file whose writing has ended without a word.
pub(super) fn given_up() -> Error {
    Error::new(ErrorKind::Internal, "the writing of a file was given up")
}
