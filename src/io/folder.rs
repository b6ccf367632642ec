//! An open folder, and what is in it by name: each step is one system call relative to it, so that
//! nobody can lead us elsewhere between two of them. Must not know which folders are wanted.

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// What a new folder is open to, before the umask.
const FOLDER_MODE: u32 = 0o777;
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// An open folder.
#[derive(Debug)]
pub struct Folder(OwnedFd);

/// What has a name in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// A folder.
    Folder,
    /// A symbolic link, wherever it leads.
    Link,
    /// Anything else.
    Other,
}

impl Folder {
    /// Opens a folder; links on the way to it are followed.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(fs::open(path, FOLDER, Mode::empty())?))
    }

    /// Opens the folder `name`, a single component, in this one; a link is never followed, and is
    /// an error as anything else is that is no folder.
    pub fn enter(&self, name: &OsStr) -> io::Result<Self> {
        Ok(Self(fs::openat(&self.0, name, FOLDER | OFlags::NOFOLLOW, Mode::empty())?))
    }

    /// Makes the folder `name` in this one. Returns whether it is new: something may have the name.
    pub fn make(&self, name: &OsStr) -> io::Result<bool> {
        match fs::mkdirat(&self.0, name, Mode::from_raw_mode(FOLDER_MODE)) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    /// Looks at what has the name `name` in this folder.
    pub fn look_at(&self, name: &OsStr) -> io::Result<Named> {
        let stat = fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Named::Folder,
            FileType::Symlink => Named::Link,
            _ => Named::Other,
        })
    }
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_link_is_seen_and_not_entered() {
        let scratch = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        symlink("/", scratch.path().join("link")).unwrap();
        std::fs::write(scratch.path().join("file"), "x").unwrap();
        let folder = Folder::open(scratch.path()).unwrap();
        assert!(folder.make(OsStr::new("new")).unwrap());
        for (name, named) in [("link", Named::Link), ("file", Named::Other)] {
            let name = OsStr::new(name);
            assert_eq!(folder.look_at(name).unwrap(), named);
            assert!(folder.enter(name).is_err() && !folder.make(name).unwrap());
        }
        let new = folder.enter(OsStr::new("new")).unwrap();
        assert!(new.make(OsStr::new("inner")).unwrap());
        assert!(scratch.path().join("new/inner").is_dir());
        assert_eq!(folder.look_at(OsStr::new("new")).unwrap(), Named::Folder);
    }
}
