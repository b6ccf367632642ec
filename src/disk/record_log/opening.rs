//! Finding a record log: makes the file or opens ours, takes its lock, and refuses what is
//! another's. Must not know records.

use super::format::{HEADER_BYTES, Opening, Purpose};
use super::read_at_most;
use crate::base::limits::LOG_OPEN_TRIES_MAX;
use crate::base::{Error, ErrorKind, Result};
use crate::disk::place::{disk_error, folder_of};
use crate::io::file;
use crate::io::ours::{self, Foreign, fresh_path};
use crate::io::whole::{FILE_MODE, Nameless};
use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Time that a lock is waited for.
const LOCK_WAIT: Duration = Duration::from_millis(250);

/// The log `path`, locked, with a whole header. Who replaces or removes it between two steps makes
/// us begin again.
pub(super) fn open(path: &Path, purpose: &Purpose) -> Result<File> {
    for _ in 0..LOG_OPEN_TRIES_MAX {
        let found = match std::fs::symlink_metadata(path) {
            Ok(meta) => match Foreign::of(&meta, folder_of(path)) {
                None => reopen(path, purpose)?,
                Some(foreign) => return Err(refusal(path, purpose, &format!("it {foreign}"))),
            },
            Err(e) if e.kind() == io::ErrorKind::NotFound => create(path, purpose)?,
            Err(e) => return Err(disk_error(e, "cannot look for", path)),
        };
        if let Some(file) = found {
            return Ok(file);
        }
    }
    let what = format!("{} is replaced again and again", path.display());
    Err(Error::new(ErrorKind::TargetUnusable, what))
}

/// Takes the lock that says that somebody is writing. Waits a moment for it: a run that was just
/// killed may still be ending, and a program that another thread starts holds our descriptors until
/// it is loaded.
pub(super) fn lock(file: &File, path: &Path) -> Result<()> {
    let began = Instant::now();
    while matches!(file.try_lock(), Err(TryLockError::WouldBlock)) && began.elapsed() < LOCK_WAIT {
        // sleep: the lock is another process's to give up; nobody rings.
        thread::sleep(LOCK_WAIT / 25);
    }
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            let what = format!("another ringhaul is using {}", path.display());
            let error = Error::new(ErrorKind::Busy, what);
            Err(error.advise("wait for it to end, or name another file"))
        }
        // Some network file systems have no locks; then nobody can be warned.
        Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => Ok(()),
        Err(TryLockError::Error(e)) => Err(disk_error(e, "cannot lock", path)),
    }
}

/// Makes an empty log, which has its header before it has its name; `None` if somebody else has
/// made one meanwhile.
fn create(path: &Path, purpose: &Purpose) -> Result<Option<File>> {
    let failed = |e| disk_error(e, "cannot create", path);
    let nameless = Nameless::create(&fresh_path(folder_of(path)), FILE_MODE).map_err(failed)?;
    if nameless.is_named() {
        drop(nameless);
        return create_named(path, purpose);
    }
    nameless.file().write_all_at(&purpose.header(), 0).map_err(failed)?;
    nameless.file().sync_all().map_err(failed)?;
    lock(nameless.file(), path)?;
    match nameless.name(path, false) {
        Ok(file) => {
            let synced = file::sync_folder(folder_of(path));
            synced.map_err(|e| disk_error(e, "cannot sync the folder of", path))?;
            Ok(Some(file))
        }
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(e) => Err(failed(e)),
    }
}

/// The same under its own name from the start, where the file system has no nameless files: the two
/// steps that give a name there leave two of them for a moment, and after a kill for good. A header
/// that is torn is written anew.
pub(super) fn create_named(path: &Path, purpose: &Purpose) -> Result<Option<File>> {
    let failed = |e| disk_error(e, "cannot create", path);
    let mut options = File::options();
    let file = match options.read(true).write(true).create_new(true).mode(FILE_MODE).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        Err(e) => return Err(failed(e)),
    };
    lock(&file, path)?;
    file.write_all_at(&purpose.header(), 0).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    let synced = file::sync_folder(folder_of(path));
    synced.map_err(|e| disk_error(e, "cannot sync the folder of", path))?;
    Ok(Some(file))
}

/// Opens what has the name; `None` if that is gone, or another file has it by now.
fn reopen(path: &Path, purpose: &Purpose) -> Result<Option<File>> {
    let failed = |e| disk_error(e, "cannot open", path);
    let file = match ours::open_existing(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(e)),
    };
    // Before the lock: a file that is none of ours may be locked by its owner.
    check_header(&file, path, purpose)?;
    lock(&file, path)?;
    if !file::is_named(&file, path).map_err(failed)? {
        return Ok(None);
    }
    if let Some(foreign) = Foreign::of(&file.metadata().map_err(failed)?, folder_of(path)) {
        return Err(refusal(path, purpose, &format!("it {foreign}")));
    }
    if check_header(&file, path, purpose)? == Opening::Torn {
        file.write_all_at(&purpose.header(), 0).map_err(failed)?;
    }
    Ok(Some(file))
}

/// The log `path`, to be read as it is.
pub(super) fn open_to_look(path: &Path, purpose: &Purpose) -> io::Result<File> {
    let meta = std::fs::symlink_metadata(path)?;
    if Foreign::of_read(&meta, folder_of(path)).is_some() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let file = ours::open_existing(path)?;
    let mut header = [0; HEADER_BYTES];
    let read = read_at_most(&file, &mut header, 0)?;
    match purpose.opening(&header[..read]) {
        Opening::Ours => Ok(file),
        Opening::Torn | Opening::Foreign | Opening::Damaged | Opening::Version(_) => {
            Err(io::ErrorKind::InvalidData.into())
        }
    }
}

/// Reads the header; an error unless it is ours, whole or torn.
fn check_header(file: &File, path: &Path, purpose: &Purpose) -> Result<Opening> {
    let mut header = [0; HEADER_BYTES];
    let read = read_at_most(file, &mut header, 0);
    let read = read.map_err(|e| disk_error(e, "cannot read", path))?;
    let opening = purpose.opening(&header[..read]);
    let why = match opening {
        Opening::Ours | Opening::Torn => return Ok(opening),
        Opening::Foreign => "it is something else".to_owned(),
        Opening::Damaged => "its header is damaged".to_owned(),
        Opening::Version(version) => format!(
            "it has version {version} of the format, and this ringhaul reads {}",
            purpose.version
        ),
    };
    Err(refusal(path, purpose, &why))
}

fn refusal(path: &Path, purpose: &Purpose, why: &str) -> Error {
    let what = format!("{} cannot be used as {}: {why}", path.display(), purpose.noun);
    Error::new(ErrorKind::Usage, what).advise(purpose.advice)
}
