//! The place of one slice of a file that several machines fetch: the part file is everybody's, and
//! is made by whoever comes first; the journal is this slice's, and so is a lock on one byte far
//! behind the end of any file. Where the file system has no locks the same slice may be fetched
//! twice at once, which brings the same bytes to the same offsets.
//!
//! What is different for it: nobody cuts or empties the part file, as others write to it, and
//! nobody removes it but who finds it empty and alone. It has no mark: nothing but slices has a
//! part file of this name.

use super::{
    Place, RESERVE_TRIES_MAX, check_target, disk_error, folder_of, look_for, on_disk, refusal,
};
use crate::base::limits::SLICES_MAX;
use crate::base::size::format_bytes;
use crate::base::{Error, ErrorKind, Result, Slice, Span};
use crate::disk::slice_names;
use crate::io::ours::{self, Foreign};
use crate::io::range_lock::{self, Lock};
use crate::io::{file, whole};
use std::fs::File;
use std::io;
use std::path::Path;

/// The byte whose lock is that of slice 0, which there is not: no file is that long.
const LOCKS_START: u64 = 1 << 62;
/// The advice where this machine may not write to what the others share.
const SQUASH_ADVICE: &str = "let this user write to the folder from this machine, too; where a \
                             file server squashes root, root has no more rights than nobody";

impl Place {
    /// Opens the part file of all slices, or makes it, and locks the bytes of `slice`. Refuses to
    /// while there are journals of another count of slices, unless `is_fresh`, which removes them.
    pub(in crate::disk) fn take_slice(target: &Path, slice: Slice, is_fresh: bool) -> Result<Self> {
        check_target(target, true)?;
        let (part, journal) = (slice_names::part(target), slice_names::journal(target, slice));
        // Before the part file is made: a name may be too long for the one and not the other.
        look_for(&journal)?;
        settle_counts(target, slice, is_fresh)?;
        let file = open_and_lock(&part, slice, target).map_err(|e| explained(e, &part))?;
        let journal_stands = look_for(&journal)?;
        let mut place = Self::of(file, target, part, journal, journal_stands);
        place.slice = Some(slice);
        Ok(place)
    }

    /// Others write to the part file, too.
    pub(in crate::disk) fn is_shared(&self) -> bool {
        self.slice.is_some()
    }

    /// Takes the part file to its size, `total`, unless it is longer, with room on the disk for
    /// `span`, where the file system can reserve that. Space for the whole file has to be there.
    pub(in crate::disk) fn reserve_slice(&self, total: u64, span: Span) -> Result<()> {
        let file = &self.file;
        let failed = |e| self.explain(disk_error(e, "cannot reserve space in", &self.part));
        let meta = file.metadata().map_err(failed)?;
        let missing = total.saturating_sub(on_disk(&meta));
        if let Some(free) = file::free_bytes(file).ok().filter(|free| *free < missing) {
            let what = format!("{} are free there", format_bytes(free));
            return Err(failed(io::Error::new(io::ErrorKind::StorageFull, what)));
        }
        if meta.len() < total {
            file.set_len(total).map_err(failed)?;
        }
        file::reserve_behind(file, span.start(), span.end()).map_err(failed)
    }

    /// Gives up the lock of the slice, which is complete.
    pub(in crate::disk) fn unlock(&self) {
        if let Some(slice) = self.slice {
            // What cannot be unlocked was not locked.
            _ = range_lock::unlock(&self.file, lock_of(slice), 1);
        }
    }

    /// Removes the part file if nobody has any use for it: before the first journal, when everybody
    /// has failed.
    pub(super) fn drop_shared(&self) {
        let is_empty = self.file.metadata().is_ok_and(|meta| meta.len() == 0);
        let is_alone = || matches!(try_lock_all(&self.file), Ok(Lock::Ours));
        if is_empty && is_alone() && file::is_named(&self.file, &self.part).unwrap_or(false) {
            let _ = std::fs::remove_file(&self.part);
        }
    }

    /// The same error with what it may mean on a shared file system.
    pub(in crate::disk) fn explain(&self, error: Error) -> Error {
        if self.is_shared() { explained(error, &self.part) } else { error }
    }
}

/// Locks all slices at once, if nobody is at work on one of them.
pub(in crate::disk) fn try_lock_all(part: &File) -> io::Result<Lock> {
    range_lock::try_lock(part, LOCKS_START, u64::from(SLICES_MAX) + 1)
}

/// An error of permissions says what else it may come from.
pub(in crate::disk) fn explained(error: Error, part: &Path) -> Error {
    let cause = std::error::Error::source(&error).and_then(|e| e.downcast_ref::<io::Error>());
    let is_denied = cause.is_some_and(|e| e.kind() == io::ErrorKind::PermissionDenied);
    // Root may write anywhere but there; and others see a folder's permissions for themselves.
    let is_meant = is_denied && folder_of(part).is_dir();
    if is_meant { error.advise(SQUASH_ADVICE) } else { error }
}

fn lock_of(slice: Slice) -> u64 {
    LOCKS_START + u64::from(slice.index())
}

/// Another count of slices cuts the file elsewhere: what its journals say is of no use.
fn settle_counts(target: &Path, slice: Slice, is_fresh: bool) -> Result<()> {
    let found = slice_names::found(folder_of(target), target);
    let found = found.map_err(|e| disk_error(e, "cannot list", folder_of(target)))?;
    for other in found.into_iter().filter(|it| it.count() != slice.count()) {
        let journal = slice_names::journal(target, other);
        if !is_fresh {
            let (index, count, shown) = (other.index(), other.count(), journal.display());
            let what =
                format!("{} was begun in {count} slices, not {}", target.display(), slice.count());
            return Err(Error::new(ErrorKind::TargetUnusable, what).advise(format!(
                "go on with --slice {index}/{count}, or do away with {shown} and all like it by \
                 --no-resume"
            )));
        }
        whole::remove(&journal).map_err(|e| disk_error(e, "cannot remove", &journal))?;
    }
    Ok(())
}

fn open_and_lock(part: &Path, slice: Slice, target: &Path) -> Result<File> {
    for _ in 0..RESERVE_TRIES_MAX {
        let opened = ours::open_or_create(part);
        let file = opened.map_err(|e| disk_error(e, "cannot open or create", part))?;
        let look = |e| disk_error(e, "cannot look at", part);
        let meta = file.metadata().map_err(look)?;
        match Foreign::of(&meta, folder_of(part)) {
            None => {}
            // Where only a link and an unlink rename without replacing anything.
            Some(Foreign::HardLinks(2)) if look_for(target)? => {
                let what = format!("the slices of {} are just being joined", target.display());
                return Err(Error::new(ErrorKind::SlicesIncomplete, what).advise("run it again"));
            }
            Some(foreign) => return Err(refusal(part, &foreign.to_string())),
        }
        let locked = range_lock::try_lock(&file, lock_of(slice), 1);
        if locked.map_err(|e| disk_error(e, "cannot lock", part))? == Lock::Taken {
            let what =
                format!("another ringhaul is at work on slice {slice} of {}", target.display());
            return Err(Error::new(ErrorKind::SlicesIncomplete, what).advise("wait for it"));
        }
        // Whoever joins the slices may have given it its final name meanwhile.
        if file::is_named(&file, part).map_err(look)? {
            return Ok(file);
        }
    }
    let what = format!("{} is replaced again and again", part.display());
    Err(Error::new(ErrorKind::TargetUnusable, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_server_forbids_says_what_it_may_be() {
        let folder = tempfile::tempdir().unwrap();
        let part = folder.path().join("f.slices.part");
        let denied = |code| {
            let error = io::Error::from_raw_os_error(code);
            explained(disk_error(error, "cannot open or create", &part), &part)
        };
        let error = denied(libc::EACCES);
        assert_eq!(error.kind(), ErrorKind::TargetUnusable);
        assert!(error.advice().contains("where a file server squashes root"), "{error}");
        assert!(!denied(libc::EROFS).advice().contains("squashes"));
    }

    #[test]
    fn nobody_makes_the_part_file_of_others_shorter() {
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let target = folder.path().join("f");
        let place = |text: &str| Place::take_slice(&target, text.parse().unwrap(), false).unwrap();
        let (one, two) = (place("1/2"), place("2/2"));
        two.reserve_slice(20_000, Span::new(8192, 20_000)).unwrap();
        one.reserve_slice(10_000, Span::new(0, 8192)).unwrap();
        assert_eq!(one.file.metadata().unwrap().len(), 20_000);
        let error = one.reserve_slice(1 << 60, Span::new(0, 8192)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DiskFull, "{error}");
    }
}
