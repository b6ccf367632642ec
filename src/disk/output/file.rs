//! The part file and its way to the final name.
//!
//! States: reserved (part file made or taken over, and locked; nothing asked of any server yet) ->
//! allocated (size known, space reserved, direct or buffered decided; anew for each attempt) ->
//! committed (synced, renamed, folder synced, journal gone) or dropped (the part file is removed,
//! unless it was said to keep it, or a journal speaks of it).

use crate::base::limits::SPAN_ALIGN_BYTES;
use crate::base::size::{MIB, format_bytes};
use crate::base::{Error, ErrorKind, Result, Slice, Span};
use crate::disk::journal::{self, BarrierPace, Book, Found, Identity, Journal};
use crate::disk::place::{Place, disk_error};
use crate::io::buffers::Block;
use crate::io::file::{self, BlockFile, DirectAlign};
use crate::io::ours;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

/// Files below this size in bytes are written through the page cache. From here on a file alone
/// takes as long either way and less processor time past the cache; lists of such files take half
/// of both, as a cache that fills up has to find memory and to be written out.
const DIRECT_BYTES_MIN: u64 = 2 * MIB;

/// When blocks bypass the page cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectPolicy {
    /// Where it pays.
    Auto,
    /// Always, or it is an error.
    Always,
    /// Never.
    Never,
}

/// Whether a file is durable when it has got its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Its data before it gets the name, the name before that is told.
    Always,
    /// The kernel writes it out when it pleases: after a power failure any part of it may be
    /// missing under its name.
    Never,
}

/// The target's name, and the part file that is ours alone.
#[derive(Debug)]
pub struct ReservedFile {
    place: Arc<Place>,
}

/// A part file that takes blocks.
pub struct FileOutput {
    file: BlockFile,
    place: Arc<Place>,
    /// Why blocks go through the page cache, if that was decided at allocation.
    buffered_reason: Option<String>,
    /// The file's time is not that of its last write.
    is_time_set: AtomicBool,
}

impl ReservedFile {
    /// Makes and locks `TARGET.part`, or takes one over.
    pub(super) fn new(target: &Path, replace: bool) -> Result<Self> {
        let place = Place::take(target, replace, journal::vouches)?;
        Ok(Self { place: Arc::new(place) })
    }

    /// The same, unless the target is there: then it is written where it stands.
    pub(super) fn inside(target: &Path, replace_part: bool) -> Result<Self> {
        match Place::inside(target)? {
            Some(place) => Ok(Self { place: Arc::new(place) }),
            None => Self::new(target, replace_part),
        }
    }

    /// The same for a better version of the file that stands under the name `target`.
    pub(super) fn over(target: &Path, replace_part: bool) -> Result<Self> {
        let place = Place::take_over(target, replace_part, journal::vouches)?;
        Ok(Self { place: Arc::new(place) })
    }

    /// The same for one slice of the file that is to be called `target`.
    pub(super) fn slice(target: &Path, slice: Slice, is_fresh: bool) -> Result<Self> {
        Ok(Self { place: Arc::new(Place::take_slice(target, slice, is_fresh)?) })
    }

    /// Where the part file is.
    pub(in crate::disk) fn place(&self) -> &Arc<Place> {
        &self.place
    }

    /// Reads the journal of an earlier run, if there is one.
    pub(super) fn find(&self) -> Result<Found> {
        journal::find(&self.place)
    }

    /// Bytes that the standing journal vouches for.
    pub(super) fn kept_bytes(&self) -> u64 {
        self.place.recorded_bytes()
    }

    /// Removes the journal, durably, and empties the part file then.
    pub(super) fn discard(&self) -> Result<()> {
        journal::discard(&self.place)
    }

    /// Takes the file to its size, if it is known, and decides how blocks are written.
    pub(super) fn allocate(&self, total: Option<u64>, policy: DirectPolicy) -> Result<FileOutput> {
        if let Some(total) = total {
            self.place.reserve_space(total)?;
        }
        self.open(total, policy)
    }

    /// The same without room on the disk for what is not written.
    pub(super) fn allocate_sparse(&self, total: u64, policy: DirectPolicy) -> Result<FileOutput> {
        self.place.size_sparsely(total)?;
        self.open(Some(total), policy)
    }

    /// The same with room for `span` alone, in a part file that others write to as well.
    pub(super) fn allocate_slice(
        &self,
        total: u64,
        span: Span,
        policy: DirectPolicy,
    ) -> Result<FileOutput> {
        self.place.reserve_slice(total, span)?;
        self.open(Some(total), policy)
    }

    fn open(&self, total: Option<u64>, policy: DirectPolicy) -> Result<FileOutput> {
        let place = &self.place;
        let failed = |e, what: &str| disk_error(e, what, &place.part);
        let (direct, buffered_reason) = match open_direct(place, total, policy) {
            Ok(direct) => (Some(direct), None),
            Err(reason) if policy == DirectPolicy::Always => {
                return Err(Error::new(
                    ErrorKind::DiskIo,
                    format!("direct writes are not possible: {reason}"),
                )
                .advise("use --direct auto, or another place with -o or -d"));
            }
            Err(reason) => (None, Some(reason)),
        };
        // The same open file: its lock lasts as long as any of the two.
        let file = place.file.try_clone().map_err(|e| failed(e, "cannot open"))?;
        let file = BlockFile::new(file.into(), direct);
        let (place, is_time_set) = (place.clone(), AtomicBool::new(false));
        Ok(FileOutput { file, place, buffered_reason, is_time_set })
    }
}

impl FileOutput {
    /// Writes a block at its offset; ends when the kernel has taken all of it.
    pub(super) async fn write(&self, block: Block, offset: u64) -> Result<()> {
        let written = self.file.write(block, offset).await;
        written.map_err(|e| disk_error(e, "cannot write", &self.place.part))
    }

    /// Reads bytes that are there (blocking).
    pub(super) fn read(&self, span: Span) -> Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(span.len()).expect("a sample fits the memory")];
        let read = self.place.file.read_exact_at(&mut bytes, span.start());
        read.map_err(|e| disk_error(e, "cannot read back", &self.place.part))?;
        Ok(bytes)
    }

    /// Whether as many writes are on their way as are made at a time.
    pub(super) fn is_saturated(&self) -> bool {
        self.file.is_saturated()
    }

    /// Whether blocks bypass the page cache.
    pub(in crate::disk) fn is_direct(&self) -> bool {
        self.file.is_direct()
    }

    /// Why blocks go through the page cache, if they do by decision.
    pub(super) fn buffered_reason(&self) -> Option<&str> {
        self.buffered_reason.as_deref()
    }

    /// Where the part file is.
    pub(in crate::disk) fn place(&self) -> &Arc<Place> {
        &self.place
    }

    /// The part file stays when this value is dropped.
    pub(super) fn keep_part(&self) {
        self.place.keep_part();
    }

    /// The part file stays, and nothing of it counts any more.
    pub(super) fn disown(&self) {
        let mut journals_ended = self.place.journals_ended();
        *journals_ended += 1;
        self.keep_part();
        journal::remove(&self.place);
    }

    /// Starts the journal of the part file.
    pub(super) fn start_journal(
        &self,
        identity: Identity,
        book: &Arc<Book>,
        pace: BarrierPace,
        on_failed: impl FnOnce(Error) + Send + 'static,
    ) -> Result<Journal> {
        Journal::start(&self.place, identity, book, pace, on_failed)
    }

    /// Takes the file to its size, which is `bytes`, and sets when it was last changed.
    pub(super) fn set_modified(&self, bytes: u64, modified: SystemTime) -> Result<()> {
        self.set_len(bytes)?;
        let Place { file, part, .. } = &*self.place;
        file.set_modified(modified).map_err(|e| disk_error(e, "cannot set the time of", part))?;
        self.is_time_set.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Gives `bytes` bytes their final name.
    pub(super) fn commit(&self, bytes: u64, sync: SyncPolicy) -> Result<PathBuf> {
        let Place { target, part, .. } = &*self.place;
        let mut journals_ended = self.place.journals_ended();
        self.place.check_whole(bytes)?;
        self.set_len(bytes)?;
        self.place.inherit()?;
        match sync {
            SyncPolicy::Always if self.is_time_set.load(Ordering::Relaxed) => {
                self.place.sync_all()?;
            }
            SyncPolicy::Always => self.place.sync_data()?,
            SyncPolicy::Never => self.place.check_syncs()?,
        }
        let renamed = if self.place.replace {
            std::fs::rename(part, target)
        } else {
            file::rename_no_replace(part, target)
        };
        // In any case: there is none any more, and its name may be another's; or it is complete.
        self.place.keep_part();
        renamed.map_err(|e| {
            let error = if e.kind() == io::ErrorKind::AlreadyExists {
                let what = format!("{} appeared during the download", target.display());
                Error::new(ErrorKind::TargetExists, what)
            } else {
                disk_error(e, "cannot rename", part)
            };
            error.advise(format!("the complete file is kept as {}", part.display()))
        })?;
        // Not before: whoever is killed between the two leaves a part file that is known as ours.
        // What stays if it fails has no meaning for an ordinary file.
        let _ = ours::unmark(&self.place.file);
        *journals_ended += 1;
        let synced = match sync {
            SyncPolicy::Always => self.place.sync_folder(),
            SyncPolicy::Never => Ok(()),
        };
        journal::remove(&self.place);
        synced.map_err(|error| {
            let what = "is complete, but after a power failure its name may be gone";
            error.advise(format!("{} {what}; check the disk and the kernel log", target.display()))
        })?;
        Ok(target.clone())
    }

    /// What could not be preallocated may end in a file that is too long. One that has its size is
    /// not touched: that would change its time.
    fn set_len(&self, bytes: u64) -> Result<()> {
        let Place { file, part, .. } = &*self.place;
        let has_its_size = file.metadata().is_ok_and(|meta| meta.len() == bytes);
        let sized = if has_its_size { Ok(()) } else { self.file.set_len(bytes) };
        sized.map_err(|e| disk_error(e, "cannot size", part))
    }
}

/// The same file opened with O_DIRECT, or why not.
fn open_direct(place: &Place, total: Option<u64>, policy: DirectPolicy) -> Result<OwnedFd, String> {
    if policy == DirectPolicy::Never {
        return Err("not wanted".into());
    }
    let Some(total) = total else {
        return Err("the size is not known beforehand".into());
    };
    let file = &place.file;
    let file_system = file::file_system(file);
    if policy == DirectPolicy::Auto {
        if total < DIRECT_BYTES_MIN {
            return Err(format!("the file is below {}", format_bytes(DIRECT_BYTES_MIN)));
        }
        if !file_system.direct_pays {
            return Err(format!("{} gains nothing from it", file_system.name));
        }
    }
    let align = file::direct_align(file);
    match align {
        DirectAlign::Refused => return Err(format!("{} refuses it", file_system.name)),
        DirectAlign::Bytes { offset, .. } if !align.is_kept_by_blocks() => {
            return Err(format!("{} wants {offset}-byte alignment", file_system.name));
        }
        DirectAlign::Bytes { .. } | DirectAlign::Unknown => {}
    }
    let direct =
        file::open_direct(&place.part, file).map_err(|e| format!("{}: {e}", file_system.name))?;
    // Where the kernel names no alignment only a write can tell. It leaves a written block in
    // reserved space, which costs the first real write its fast path: not done without need. Nor
    // where others write: it would put back what was there before them.
    let may_try = total >= SPAN_ALIGN_BYTES && !place.is_shared();
    if align == DirectAlign::Unknown && may_try {
        file::try_direct_write(&direct, file).map_err(|e| format!("{}: {e}", file_system.name))?;
    }
    Ok(direct)
}
