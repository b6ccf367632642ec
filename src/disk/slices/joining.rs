//! Slices that are joined: nobody else is at work on them, their bytes are read back and compared
//! with what was written, wherever it was written, and the file gets its name.
//!
//! States: locked -> verified -> named. Whoever else wants to join meanwhile is told so, or, where
//! the file system has no locks, finds the name given.

use super::{Slices, remove_journals};
use crate::base::size::format_bytes;
use crate::base::{Error, ErrorKind, Result, Span};
use crate::digest::crc::{crc32c, crc32c_joined};
use crate::digest::{Algorithm, Digest, Hasher};
use crate::disk::output::SyncPolicy;
use crate::disk::place::shared::{explained, try_lock_all};
use crate::disk::place::{disk_error, folder_of, look_for};
use crate::disk::read_back::Open;
use crate::disk::slice_names;
use crate::io::file;
use crate::io::ours::{self, Foreign};
use crate::io::range_lock::Lock;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Slices of which nobody else has any.
#[derive(Debug)]
pub struct Joining {
    slices: Slices,
    total: u64,
    part: PathBuf,
    /// Holds the locks.
    file: File,
}

/// Who has the slices.
#[derive(Debug)]
pub enum Locked {
    /// This value has.
    Ours(Joining),
    /// Somebody fetches one of them, or joins them.
    Taken,
    /// Nobody any more: the file has its name.
    Ended,
}

/// Who has given the file its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// This run.
    Now,
    /// Another run, at the same moment.
    ByAnother,
}

impl Slices {
    /// Locks all slices, which are complete and of one file of `total` bytes. They count as taken
    /// as well if they are not what they were when they were found.
    ///
    /// # Errors
    /// What the disk has to say; [`ErrorKind::TargetUnusable`] if the part file is another's;
    /// [`ErrorKind::SlicesIncomplete`] if it is gone, or shorter than the file.
    pub fn lock(self, total: u64) -> Result<Locked> {
        let part = slice_names::part(&self.target);
        let finished = file::finish_renaming(&part, &self.target);
        if finished.map_err(|e| disk_error(e, "cannot remove", &part))? {
            return Ok(Locked::Ended);
        }
        let file = match ours::open_existing(&part) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                if look_for(&self.target)? {
                    return Ok(Locked::Ended);
                }
                let what = format!("{} is gone, and all slices with it", part.display());
                return Err(Error::new(ErrorKind::SlicesIncomplete, what));
            }
            Err(e) => return Err(explained(disk_error(e, "cannot open", &part), &part)),
        };
        let look = |e| disk_error(e, "cannot look at", &part);
        let meta = file.metadata().map_err(look)?;
        if let Some(foreign) = Foreign::of(&meta, folder_of(&part)) {
            let what = format!("{} {foreign}", part.display());
            return Err(Error::new(ErrorKind::TargetUnusable, what));
        }
        let locked = try_lock_all(&file).map_err(|e| disk_error(e, "cannot lock", &part))?;
        if locked == Lock::Taken {
            return Ok(Locked::Taken);
        }
        if !file::is_named(&file, &part).map_err(look)? {
            return Ok(if look_for(&self.target)? { Locked::Ended } else { Locked::Taken });
        }
        // One may have been begun anew just before.
        if !self.complete.is_empty()
            && Self::find(&self.target, Some(self.count))? != Some(self.clone())
        {
            return Ok(Locked::Taken);
        }
        if meta.len() < total {
            let (part, bytes) = (part.display(), meta.len());
            let what = format!("{part} has {bytes} bytes, and the file has {total}");
            return Err(Error::new(ErrorKind::SlicesIncomplete, what));
        }
        Ok(Locked::Ours(Joining { slices: self, total, part, file }))
    }
}

impl Joining {
    /// Reads all bytes, compares them with what was written, and computes these digests of them.
    /// `on_read` hears of bytes that are through; its error ends the work.
    ///
    /// # Errors
    /// [`ErrorKind::SlicesIncomplete`] with the numbers of those whose bytes are not what was
    /// written.
    pub fn verify(
        &self,
        algorithms: &[Algorithm],
        mut on_read: impl FnMut(u64) -> Result<()>,
    ) -> Result<Vec<Digest>> {
        let mut hashers: Vec<Hasher> = algorithms.iter().map(|it| it.hasher()).collect();
        // What this machine has cached is not what the others will read.
        file::forget_cached(&self.file);
        let direct = file::file_system(&self.file).direct_pays;
        let mut reader = Open::new(&self.part, &self.file, direct)?;
        let (mut wrong, mut wrong_bytes) = (Vec::new(), 0);
        // Slices and the runs of each are in order.
        for slice in &self.slices.complete {
            for run in &slice.runs {
                let (mut crc, mut rest) = (0, run.span);
                while !rest.is_empty() {
                    let bytes = reader.read(&self.part, rest)?;
                    let read_bytes = bytes.len() as u64;
                    crc = crc32c_joined(crc, crc32c(bytes), read_bytes);
                    hashers.iter_mut().for_each(|hasher| hasher.update(bytes));
                    on_read(read_bytes)?;
                    rest = Span::new(rest.start() + read_bytes, rest.end());
                }
                if crc != run.crc32c {
                    wrong_bytes += run.span.len();
                    wrong.push(slice.index);
                }
            }
        }
        wrong.dedup();
        if wrong.is_empty() {
            return Ok(hashers.into_iter().map(Hasher::finish).collect());
        }
        let (named, wrong_bytes) = (self.slices.named(&wrong), format_bytes(wrong_bytes));
        let what = format!("{named} damaged: {wrong_bytes} are not what was written there");
        Err(Error::new(ErrorKind::SlicesIncomplete, what)
            .advise("run them again, which fetches what is wrong; and see what else writes there"))
    }

    /// Gives the file its name, durably unless `sync` says otherwise, and removes the journals.
    /// What has the name is replaced if `replace` says so. `modified` is when the file was last
    /// changed on the server, if it is to be its time here.
    ///
    /// # Errors
    /// [`ErrorKind::TargetExists`] if something else has the name; what the disk has to say.
    pub fn name(
        self,
        replace: bool,
        modified: Option<SystemTime>,
        sync: SyncPolicy,
    ) -> Result<(PathBuf, Named)> {
        let Self { slices: Slices { target, count, .. }, total, part, file } = self;
        let failed = |e, what: &str| disk_error(e, what, &part);
        if file.metadata().map_err(|e| failed(e, "cannot look at"))?.len() != total {
            file.set_len(total).map_err(|e| failed(e, "cannot size"))?;
        }
        if let Some(modified) = modified {
            file.set_modified(modified).map_err(|e| failed(e, "cannot set the time of"))?;
        }
        if sync == SyncPolicy::Always {
            file.sync_all().map_err(|e| failed(e, "cannot sync"))?;
        }
        let renamed = match replace {
            true => std::fs::rename(&part, &target),
            false => file::rename_no_replace(&part, &target),
        };
        match renamed {
            Ok(()) => {}
            // Where there are no locks.
            Err(e) if e.kind() == io::ErrorKind::NotFound && look_for(&target)? => {
                return Ok((target, Named::ByAnother));
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                let what = format!("{} exists", target.display());
                let advice = format!(
                    "the slices are complete and kept: join them with --join {} --force, which \
                     replaces it",
                    target.display()
                );
                return Err(Error::new(ErrorKind::TargetExists, what).advise(advice));
            }
            Err(e) => return Err(explained(failed(e, "cannot rename"), &part)),
        }
        if sync == SyncPolicy::Always {
            let synced = file::sync_folder(folder_of(&target));
            synced.map_err(|e| disk_error(e, "cannot sync the folder of", &target))?;
        }
        // What stays is removed by whoever looks next.
        _ = remove_journals(&target, Some(count));
        Ok((target, Named::Now))
    }
}

/// The digests of a file (blocking), and its size; `on_read` hears of bytes that are through, and
/// of how many there are. Its error ends the work.
///
/// # Errors
/// What the disk has to say.
pub fn digests_of(
    path: &Path,
    algorithms: &[Algorithm],
    on_read: &mut dyn FnMut(u64, u64) -> Result<()>,
) -> Result<(Vec<Digest>, u64)> {
    let failed = |e| disk_error(e, "cannot read", path);
    let file = File::open(path).map_err(failed)?;
    let total = file.metadata().map_err(failed)?.len();
    let mut hashers: Vec<Hasher> = algorithms.iter().map(|it| it.hasher()).collect();
    let mut reader = Open::new(path, &file, file::file_system(&file).direct_pays)?;
    let mut rest = Span::new(0, total);
    while !rest.is_empty() {
        let bytes = reader.read(path, rest)?;
        hashers.iter_mut().for_each(|hasher| hasher.update(bytes));
        let read_bytes = bytes.len() as u64;
        on_read(read_bytes, total)?;
        rest = Span::new(rest.start() + read_bytes, rest.end());
    }
    Ok((hashers.into_iter().map(Hasher::finish).collect(), total))
}
