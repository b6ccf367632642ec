//! The place of an output: the names of target, part file and journal, the lock that makes them
//! ours, and what happens to the part file at the end. What is different where several machines
//! write to one part file is in `shared`. Must not know how blocks are written, nor what is in a
//! journal.

pub(super) mod shared;

use crate::base::limits::{IN_MAKING_SUFFIX, JOURNAL_SUFFIX, PART_SUFFIX};
use crate::base::size::format_bytes;
use crate::base::{Error, ErrorKind, Result, Slice};
use crate::io::file::Allocation;
use crate::io::ours::{self, Foreign};
use crate::io::{file, whole};
use std::ffi::OsString;
use std::fs::{File, Metadata, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

mod inside;

/// Bytes of one unit of `st_blocks`, whatever the file system's own block size.
const STAT_BLOCK_BYTES: u64 = 512;
/// Memory that has this many times the room that is needed has enough of it: nothing is reserved.
const MEMORY_AMPLE: u64 = 2;
/// How often the part file's name may be found to lead elsewhere before that is an error.
const RESERVE_TRIES_MAX: u32 = 8;
/// The advice where there is room, but not for one file of this size.
const TOO_LARGE_ADVICE: &str =
    "raise 'ulimit -f', or choose a file system that takes files of this size with -o or -d";
/// The advice where the kernel may have stopped writing by itself, after errors.
const READ_ONLY_ADVICE: &str = "make it writable again (the kernel log may say why it is not), or \
     choose another place with -o or -d";

/// The advice where the part file's name is another's.
const PART_ADVICE: &str =
    "rename or remove it, or choose another name with -o; --force replaces it";

/// Whether a journal (its path) shows that a part file without our mark is ours all the same.
type Vouch = fn(&File, &Path) -> Result<bool>;

/// The three names, and the part file that is ours alone. When the last owner drops it, the part
/// file is removed, unless it was said to keep it, or it holds bytes that a journal speaks of.
#[derive(Debug)]
pub(super) struct Place {
    /// The part file, open for reading and writing, and locked.
    pub(super) file: File,
    /// The final name.
    pub(super) target: PathBuf,
    /// The part file's name.
    pub(super) part: PathBuf,
    /// The journal's name.
    pub(super) journal: PathBuf,
    /// Whether what has the final name may be replaced.
    pub(super) replace: bool,
    /// The file that has the final name and is repaired, open for reading; `None` if none is.
    pub(super) old: Option<File>,
    /// Which slice of the file is fetched here; `None`: all of it, and the part file is ours alone.
    pub(super) slice: Option<Slice>,
    /// The part file is the target itself.
    pub(super) is_inside: bool,
    /// Whether the part file stays at the end, whatever a journal says.
    keep_part: AtomicBool,
    /// Whether a journal has its name.
    journal_stands: AtomicBool,
    /// Device and inode of the journal that this run has made, if it has.
    journal_made: Mutex<Option<(u64, u64)>>,
    /// Bytes of the part file that the standing journal vouches for.
    recorded_bytes: AtomicU64,
    /// Bytes on the disk that the part file has in any case, unless someone takes them away.
    reserved_bytes: AtomicU64,
    /// Nothing is reserved for it, and it was empty: this run writes all of it.
    is_written_whole: AtomicBool,
    /// Why no sync may be tried any more.
    sync_failed: OnceLock<Error>,
    /// Counts how often the journal was taken away: one that was begun before is not continued.
    journals_ended: Mutex<u64>,
}

impl Place {
    /// Makes `TARGET.part`, or takes over one that an earlier run has made, and locks it. Refuses,
    /// unless `replace`, an existing target, and what has the part file's name and was made by
    /// others, or has another owner or another name besides; in any case a part file that another
    /// process is writing. What is refused is left as it is; what is replaced loses its name, and
    /// its bytes are not touched.
    pub(super) fn take(target: &Path, replace: bool, vouch: Vouch) -> Result<Self> {
        check_target(target, replace)?;
        Self::take_names(target, replace, vouch)
    }

    /// The same for a better version of the file that has the name `target`: it is opened, it has
    /// to be there, and it is replaced in the end. `replace` is about the part file alone. Nobody
    /// may read the part file who may not read the old one.
    pub(super) fn take_over(target: &Path, replace: bool, vouch: Vouch) -> Result<Self> {
        let target = resolved(target, "repair")?;
        let old = open_old(&target)?;
        let failed = |e| disk_error(e, "cannot look at", &target);
        let mode = old.metadata().map_err(failed)?.mode();
        let mut place = Self::take_names(&target, replace, vouch)?;
        ours::restrict(&place.file, mode)
            .map_err(|e| disk_error(e, "cannot set the permissions of", &place.part))?;
        (place.replace, place.old) = (true, Some(old));
        Ok(place)
    }

    fn take_names(target: &Path, replace: bool, vouch: Vouch) -> Result<Self> {
        let (part, journal) = (named(target, PART_SUFFIX), named(target, JOURNAL_SUFFIX));
        // Before the part file is made: a name may be too long for the one and not the other.
        look_for(&journal)?;
        let file = open_and_lock(&part, replace, |file| vouch(file, &journal))?;
        // Again, under the lock: an owner before us may just have made it.
        let journal_stands = look_for(&journal)?;
        let mut place = Self::of(file, target, part, journal, journal_stands);
        place.replace = replace;
        Ok(place)
    }

    fn of(
        file: File,
        target: &Path,
        part: PathBuf,
        journal: PathBuf,
        journal_stands: bool,
    ) -> Self {
        Self {
            file,
            target: target.to_owned(),
            part,
            journal,
            replace: false,
            old: None,
            slice: None,
            is_inside: false,
            keep_part: AtomicBool::new(false),
            journal_stands: AtomicBool::new(journal_stands),
            journal_made: Mutex::default(),
            recorded_bytes: AtomicU64::new(0),
            reserved_bytes: AtomicU64::new(0),
            is_written_whole: AtomicBool::new(false),
            sync_failed: OnceLock::new(),
            journals_ended: Mutex::new(0),
        }
    }

    /// The part file stays at the end.
    pub(super) fn keep_part(&self) {
        self.keep_part.store(true, Ordering::Relaxed);
    }

    /// Whether a journal stands under its name.
    pub(super) fn journal_stands(&self) -> bool {
        self.journal_stands.load(Ordering::Relaxed)
    }

    /// A journal of ours has taken its name.
    pub(super) fn on_journal_named(&self, journal: &Metadata) {
        *self.journal_made() = Some((journal.dev(), journal.ino()));
        self.journal_stands.store(true, Ordering::Relaxed);
    }

    /// Whether what has the journal's name is the journal that this run has made. That takes no
    /// descriptor: there may be none left.
    pub(super) fn is_journal_of_this_run(&self) -> bool {
        let made = *self.journal_made();
        let named = std::fs::symlink_metadata(&self.journal);
        made.is_some_and(|made| named.is_ok_and(|meta| (meta.dev(), meta.ino()) == made))
    }

    fn journal_made(&self) -> MutexGuard<'_, Option<(u64, u64)>> {
        self.journal_made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The journal has lost its name.
    pub(super) fn on_journal_lost(&self) {
        self.journal_stands.store(false, Ordering::Relaxed);
        self.set_recorded_bytes(0);
    }

    /// Bytes that a later run can go on from, by the journal that stands.
    pub(super) fn recorded_bytes(&self) -> u64 {
        self.recorded_bytes.load(Ordering::Relaxed)
    }

    /// From now on the journal that stands vouches for `bytes` bytes.
    pub(super) fn set_recorded_bytes(&self, bytes: u64) {
        self.recorded_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Takes the part file to its size, `total`, with room on the disk for all of it, where the
    /// file system can reserve that.
    pub(super) fn reserve_space(&self, total: u64) -> Result<()> {
        self.try_reserve(total).map_err(|e| {
            disk_error(e, &format!("cannot reserve {} for", format_bytes(total)), &self.part)
        })
    }

    /// Takes the part file to its size, `total`, with holes where nothing is written.
    pub(super) fn size_sparsely(&self, total: u64) -> Result<()> {
        if self.is_inside {
            return self.check_size(total);
        }
        self.set_reserved_bytes(0);
        let sized = self.file.set_len(total);
        sized.map_err(|e| disk_error(e, "cannot size", &self.part))
    }

    /// ext4 takes all free space before it says that it is not enough, and the machine's other
    /// programs with it: so look first. What an earlier run reserved needs no room again. Memory
    /// takes 0.25 s/GiB to reserve, for which bytes would wait: not where there is enough of it.
    fn try_reserve(&self, total: u64) -> io::Result<()> {
        let file = &self.file;
        self.set_reserved_bytes(0);
        if file.metadata()?.len() > total && !self.is_shared() {
            file.set_len(total)?;
        }
        let missing = total.saturating_sub(self.bytes_on_disk()?);
        let free = file::free_bytes(file).ok();
        if let Some(free) = free.filter(|free| *free < missing) {
            let what = format!("{} are free there", format_bytes(free));
            return Err(io::Error::new(io::ErrorKind::StorageFull, what));
        }
        let file_system = file::file_system(file);
        let is_ample = free.is_some_and(|free| free / MEMORY_AMPLE >= missing);
        // Whether what stands in a file has holes is not known.
        if file_system.in_memory && is_ample && file.metadata()?.len() == 0 {
            self.is_written_whole.store(true, Ordering::Relaxed);
            return file.set_len(total);
        }
        self.is_written_whole.store(false, Ordering::Relaxed);
        let allocation = file::preallocate(file, total)?;
        let is_lasting = allocation == Allocation::Reserved && file_system.lasting;
        // Some say that they have reserved what they have not.
        let is_there = is_lasting && self.bytes_on_disk()? >= total;
        self.set_reserved_bytes(if is_there { total } else { 0 });
        Ok(())
    }

    /// Sets how many bytes of the disk are reserved for the part file for good; 0 where the file
    /// system does not tell.
    fn set_reserved_bytes(&self, bytes: u64) {
        self.reserved_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Bytes of the disk that the part file has now.
    fn bytes_on_disk(&self) -> io::Result<u64> {
        Ok(on_disk(&self.file.metadata()?))
    }

    /// The name a journal has while it is being made, where it needs one.
    pub(super) fn journal_in_making(&self) -> PathBuf {
        named(&self.journal, IN_MAKING_SUFFIX)
    }

    /// Held during a barrier, and while the journal is taken away: never both at a time. The number
    /// tells whether the journal has been taken away meanwhile.
    pub(super) fn journals_ended(&self) -> MutexGuard<'_, u64> {
        self.journals_ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes the journal.
    pub(super) fn remove_journal(&self) -> Result<()> {
        let removed = whole::remove(&self.journal);
        removed.map_err(|e| disk_error(e, "cannot remove", &self.journal))?;
        self.on_journal_lost();
        Ok(())
    }

    /// Makes the part file's data durable (blocking). After a failure the kernel may call pages
    /// clean that never reached the disk: it is not asked a second time.
    pub(super) fn sync_data(&self) -> Result<()> {
        self.synced(File::sync_data)
    }

    /// The same for data, size and time (blocking).
    pub(super) fn sync_all(&self) -> Result<()> {
        self.synced(File::sync_all)
    }

    /// The error of the sync that has failed, if one has: nobody knows what reached the disk then.
    pub(super) fn check_syncs(&self) -> Result<()> {
        self.sync_failed.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    fn synced(&self, sync: impl FnOnce(&File) -> io::Result<()>) -> Result<()> {
        self.check_syncs()?;
        sync(&self.file).map_err(|e| {
            let error = disk_error(e, "cannot sync", &self.part);
            self.sync_failed.get_or_init(|| error).clone()
        })
    }

    /// Makes names given and taken durable (blocking).
    pub(super) fn sync_folder(&self) -> Result<()> {
        let synced = file::sync_folder(folder_of(&self.target));
        synced.map_err(|e| disk_error(e, "cannot sync the folder of", &self.target))
    }

    /// Whether the part file's name still leads to our file, and `bytes` bytes are in it. Someone
    /// else may have cut it and our writes made it long again: its reserved space is less then.
    pub(super) fn check_part(&self, bytes: u64) -> Result<()> {
        let look = |e| disk_error(e, "cannot look at", &self.part);
        let ours = self.file.metadata().map_err(look)?;
        let reserved_bytes = self.reserved_bytes.load(Ordering::Relaxed);
        let fate = match std::fs::symlink_metadata(&self.part) {
            Ok(named) if (named.dev(), named.ino()) != (ours.dev(), ours.ino()) => "replaced",
            Ok(_) if ours.len() < bytes || on_disk(&ours) < reserved_bytes => "truncated",
            Ok(_) => return Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => "deleted or moved",
            Err(e) => return Err(look(e)),
        };
        // What the journal says of it is for the next run to hold against what is there then.
        self.set_recorded_bytes(0);
        let what = format!("{} was {fate} while it was written", self.part.display());
        Err(Error::new(ErrorKind::DiskIo, what)
            .advise("see what else uses the folder, and run the same command again"))
    }

    /// The same of a file whose `bytes` bytes have all been written.
    pub(super) fn check_whole(&self, bytes: u64) -> Result<()> {
        if self.is_written_whole.load(Ordering::Relaxed) {
            self.set_reserved_bytes(bytes);
        }
        self.check_part(bytes)
    }
}

impl Place {
    /// Checks that the file that is repaired, if one is, has its name still, and gives the part
    /// file its owner and permissions.
    pub(super) fn inherit(&self) -> Result<()> {
        let Some(old) = &self.old else { return Ok(()) };
        let target = &self.target;
        let failed = |e| disk_error(e, "cannot look at", target);
        if !file::is_named(old, target).map_err(failed)? {
            let what = format!("{} was replaced or removed during the repair", target.display());
            self.keep_part();
            let part = self.part.display();
            return Err(Error::new(ErrorKind::TargetExists, what)
                .advise(format!("the repaired file is kept as {part}")));
        }
        let inherited = ours::inherit(&self.file, &old.metadata().map_err(failed)?);
        inherited.map_err(|e| disk_error(e, "cannot set the permissions of", &self.part))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_shared() {
            return self.drop_shared();
        }
        let is_filled = || self.file.metadata().is_ok_and(|meta| meta.len() > 0);
        if self.keep_part.load(Ordering::Relaxed) || (self.journal_stands() && is_filled()) {
            return;
        }
        // Under the lock still. Another file under the name is not ours to remove; what else could
        // fail cannot be helped here.
        if file::is_named(&self.file, &self.part).unwrap_or(false) {
            let _ = std::fs::remove_file(&self.part);
        }
    }
}

fn on_disk(meta: &Metadata) -> u64 {
    meta.blocks() * STAT_BLOCK_BYTES
}

pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn named(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Whether anything, a link included, has this name.
pub(super) fn look_for(path: &Path) -> Result<bool> {
    match std::fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(disk_error(e, "cannot look for", path)),
    }
}

fn check_target(target: &Path, replace: bool) -> Result<()> {
    let folder = folder_of(target);
    match std::fs::metadata(folder) {
        Ok(meta) if meta.is_dir() => {}
        Ok(_) => {
            let what = format!("{} is not a folder", folder.display());
            return Err(Error::new(ErrorKind::TargetUnusable, what));
        }
        Err(e) => {
            let what = format!("the output folder {} cannot be used", folder.display());
            return Err(Error::new(ErrorKind::TargetUnusable, what)
                .caused_by(e)
                .advise("create it, or choose another place with -o or -d"));
        }
    }
    match std::fs::symlink_metadata(target) {
        Ok(meta) if meta.is_dir() => {
            let what = format!("{} is a folder", target.display());
            Err(Error::new(ErrorKind::TargetUnusable, what))
        }
        Ok(_) if !replace => {
            let what = format!("{} exists", target.display());
            Err(Error::new(ErrorKind::TargetExists, what))
        }
        _ => Ok(()),
    }
}

/// Where the name of a file leads with which `what` is to be done: a link stays, and that is done
/// with what it leads to.
fn resolved(target: &Path, what: &str) -> Result<PathBuf> {
    let refused = |e| unusable(e, what, target);
    let meta = std::fs::symlink_metadata(target).map_err(refused)?;
    if !meta.is_symlink() {
        return Ok(target.to_owned());
    }
    std::fs::canonicalize(target).map_err(refused)
}

/// Opens the file that is to be repaired, which no pipe in its place may hold up.
fn open_old(target: &Path) -> Result<File> {
    let mut options = File::options();
    options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let is_file = std::fs::metadata(target).is_ok_and(|meta| meta.is_file());
    if is_file {
        return options.open(target).map_err(|e| unusable(e, "repair", target));
    }
    let what = format!("cannot repair {}: it is not an ordinary file", target.display());
    Err(Error::new(ErrorKind::TargetUnusable, what).advise("name the file that is to be repaired"))
}

fn unusable(error: io::Error, what: &str, target: &Path) -> Error {
    let is_missing = error.kind() == io::ErrorKind::NotFound;
    let error = disk_error(error, &format!("cannot {what}"), target);
    if is_missing {
        return error.advise("name a file that is there, or download it with -o");
    }
    error
}

/// Makes the part file or opens ours, and takes its lock; whoever renamed or removed it between the
/// two makes us try again, and so does what is replaced.
fn open_and_lock(
    part: &Path,
    replace: bool,
    vouch: impl Fn(&File) -> Result<bool>,
) -> Result<File> {
    for _ in 0..RESERVE_TRIES_MAX {
        let (file, is_new) = match ours::create_marked(part) {
            Ok(file) => (file, true),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => match reopen(part, replace)? {
                Some(file) => (file, false),
                None => continue,
            },
            Err(e) => return Err(disk_error(e, "cannot create", part)),
        };
        lock(&file, part)?;
        let look = |e| disk_error(e, "cannot look at", part);
        if !file::is_named(&file, part).map_err(look)? {
            continue;
        }
        if is_new {
            return Ok(file);
        }
        // Again, under the lock: it may be another file than the one that was looked at.
        let meta = file.metadata().map_err(look)?;
        let foreign = Foreign::of(&meta, folder_of(part)).map(|foreign| foreign.to_string());
        let why = match foreign {
            None if ours::is_marked(&meta) => return Ok(file),
            None if vouch(&file)? => {
                // The journal may go before it does. Where there are no marks this changes nothing.
                let _ = ours::mark(&file);
                return Ok(file);
            }
            None => "is there, and nothing shows that ringhaul made it".to_owned(),
            Some(foreign) => foreign,
        };
        if !replace {
            return Err(refusal(part, &why));
        }
        remove_foreign(part)?;
    }
    let what = format!("{} is replaced again and again", part.display());
    Err(Error::new(ErrorKind::TargetUnusable, what))
}

/// Opens what has the part file's name, if that can be ours. `None` if there is nothing any more,
/// or if something that cannot has been removed.
fn reopen(part: &Path, replace: bool) -> Result<Option<File>> {
    let opened = match std::fs::symlink_metadata(part) {
        Ok(meta) => match Foreign::of(&meta, folder_of(part)) {
            None => ours::open_existing(part),
            Some(foreign) if !replace || foreign == Foreign::Folder => {
                return Err(refusal(part, &foreign.to_string()));
            }
            Some(_) => {
                // Another user's ringhaul may be at work on it.
                let readable = meta.is_file().then(|| File::open(part).ok()).flatten();
                readable.map_or(Ok(()), |file| lock(&file, part))?;
                return remove_foreign(part).map(|()| None);
            }
        },
        Err(e) => Err(e),
    };
    match opened {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(disk_error(e, "cannot open", part)),
    }
}

/// Takes the lock that says that somebody is writing.
fn lock(file: &File, part: &Path) -> Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            let what = format!("another ringhaul is writing {}", part.display());
            Err(Error::new(ErrorKind::Busy, what)
                .advise("wait for it, or choose another name with -o"))
        }
        // Some network file systems have no locks; then nobody can be warned.
        Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => Ok(()),
        Err(TryLockError::Error(e)) => Err(disk_error(e, "cannot lock", part)),
    }
}

/// Takes the name from what is not ours. Nothing is written through it: a link, another name or an
/// open handle keeps its bytes.
fn remove_foreign(part: &Path) -> Result<()> {
    whole::remove(part).map_err(|e| disk_error(e, "cannot replace", part))
}

/// The part file's name is taken, and `why` it is not ours.
fn refusal(part: &Path, why: &str) -> Error {
    let what = format!("{} {why}", part.display());
    Error::new(ErrorKind::TargetUnusable, what).advise(PART_ADVICE)
}

/// What went wrong with which file, and whose side it is on.
pub(super) fn disk_error(error: io::Error, what: &str, path: &Path) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::DiskFull,
        io::ErrorKind::FileTooLarge => ErrorKind::DiskFull,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            ErrorKind::TargetUnusable
        }
        io::ErrorKind::InvalidFilename | io::ErrorKind::NotADirectory | io::ErrorKind::NotFound => {
            ErrorKind::TargetUnusable
        }
        io::ErrorKind::IsADirectory => ErrorKind::TargetUnusable,
        _ => match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM) => ErrorKind::ResourceLimit,
            Some(libc::ELOOP) => ErrorKind::TargetUnusable,
            _ => ErrorKind::DiskIo,
        },
    };
    let advice = match error.kind() {
        io::ErrorKind::FileTooLarge => Some(TOO_LARGE_ADVICE),
        io::ErrorKind::ReadOnlyFilesystem => Some(READ_ONLY_ADVICE),
        _ => None,
    };
    let error = Error::new(kind, format!("{what} {}", path.display())).caused_by(error);
    match advice {
        Some(advice) => error.advise(advice),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn after_a_failed_sync_none_is_tried() {
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let mut place = Place::take(&folder.path().join("f"), false, |_, _| Ok(false)).unwrap();
        place.sync_data().unwrap();
        let socket = File::from(OwnedFd::from(UnixStream::pair().unwrap().0));
        let good = std::mem::replace(&mut place.file, socket);
        let first = place.sync_data().unwrap_err();
        assert_eq!(first.kind(), ErrorKind::DiskIo);
        place.file = good;
        assert_eq!(place.sync_data().unwrap_err().to_string(), first.to_string());
    }

    #[test]
    fn faults_of_the_disk_have_their_kinds() {
        for (code, kind) in [
            (libc::ENOSPC, ErrorKind::DiskFull),
            (libc::EDQUOT, ErrorKind::DiskFull),
            (libc::EIO, ErrorKind::DiskIo),
            (libc::EROFS, ErrorKind::TargetUnusable),
            (libc::EISDIR, ErrorKind::TargetUnusable),
            (libc::EFBIG, ErrorKind::DiskFull),
            (libc::EMFILE, ErrorKind::ResourceLimit),
        ] {
            let error = disk_error(io::Error::from_raw_os_error(code), "cannot", Path::new("f"));
            assert_eq!(error.kind(), kind, "{error}");
        }
    }

    #[test]
    fn a_name_too_long_for_a_journal_is_refused_at_once() {
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let target = folder.path().join("f".repeat(248));
        let error = Place::take(&target, false, |_, _| Ok(false)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TargetUnusable, "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
