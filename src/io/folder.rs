//! An open folder, and what is in it by name: each step is one system call relative to it, so that
//! nobody can lead us elsewhere between two of them. Must not know which folders are wanted.

use super::file::{FileSystem, file_system};
use super::ours::fresh_path;
use rustix::fs::{self, AtFlags, FileType, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

/// What a new folder is open to, before the umask.
const FOLDER_MODE: u32 = 0o777;
/// The same of a folder that nobody else has to look into.
const FOLDER_MODE_PRIVATE: u32 = 0o700;
/// What a new file is open to, before the umask.
const FILE_MODE: u32 = 0o666;
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
        self.make_with(name, FOLDER_MODE)
    }

    /// The same, for ourselves alone.
    pub fn make_private(&self, name: &OsStr) -> io::Result<bool> {
        self.make_with(name, FOLDER_MODE_PRIVATE)
    }

    fn make_with(&self, name: &OsStr, mode: u32) -> io::Result<bool> {
        match fs::mkdirat(&self.0, name, Mode::from_raw_mode(mode)) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    /// Makes the file `name` in this folder, or in one below it, for writing. Whatever has the name
    /// already is an error (`AlreadyExists`).
    pub fn create(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        Ok(fs::openat(&self.0, name, flags, Mode::from_raw_mode(FILE_MODE))?.into())
    }

    /// Gives the file `name` of this folder the name `new` in the folder `to` of the same file
    /// system. What has that name is replaced if `replace` says so, and is an error
    /// (`AlreadyExists`) otherwise.
    pub fn rename(&self, name: &str, to: &Self, new: &OsStr, replace: bool) -> io::Result<()> {
        if replace {
            return Ok(fs::renameat(&self.0, name, &to.0, new)?);
        }
        match fs::renameat_with(&self.0, name, &to.0, new, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS) => {}
            other => return Ok(other?),
        }
        // The file system cannot do it in one step: a link never replaces anything.
        match fs::linkat(&self.0, name, &to.0, new, AtFlags::empty()) {
            Ok(()) => Ok(fs::unlinkat(&self.0, name, AtFlags::empty())?),
            Err(e @ Errno::EXIST) => Err(e.into()),
            Err(_) if fs::statat(&to.0, new, AtFlags::SYMLINK_NOFOLLOW).is_ok() => {
                Err(Errno::EXIST.into())
            }
            Err(_) => Ok(fs::renameat(&self.0, name, &to.0, new)?),
        }
    }

    /// Removes the file `name` of this folder.
    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(fs::unlinkat(&self.0, name, AtFlags::empty())?)
    }

    /// Removes the empty folder `name` of this folder.
    pub fn remove_folder(&self, name: &OsStr) -> io::Result<()> {
        Ok(fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR)?)
    }

    /// Whether the user who runs us owns it, or whoever owns what we make in `parent`: some file
    /// systems give that another owner, as NFS does that squashes root.
    pub fn is_ours(&self, parent: &Self) -> io::Result<bool> {
        let owner = fs::fstat(&self.0)?.st_uid;
        let is_owner = owner == rustix::process::geteuid().as_raw();
        Ok(is_owner || parent.owner_of_new().is_ok_and(|new| new == owner))
    }

    /// Who owns the folders that we make in this one.
    fn owner_of_new(&self) -> io::Result<u32> {
        let name = fresh_path(Path::new(""));
        fs::mkdirat(&self.0, &name, Mode::from_raw_mode(FOLDER_MODE_PRIVATE))?;
        let made = fs::statat(&self.0, &name, AtFlags::SYMLINK_NOFOLLOW);
        fs::unlinkat(&self.0, &name, AtFlags::REMOVEDIR)?;
        Ok(made?.st_uid)
    }

    /// The names of everything in this folder.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(&self.0)? {
            let name = entry?.file_name().to_owned();
            if name.as_bytes() != b"." && name.as_bytes() != b".." {
                names.push(OsString::from_vec(name.into_bytes()));
            }
        }
        Ok(names)
    }

    /// Takes the folder for ourselves, against others who ask for it in this way; it is ours as
    /// long as it is open. Returns whether nobody else has it. Where the file system has no locks,
    /// nobody can be told.
    pub fn try_lock(&self) -> io::Result<bool> {
        match fs::flock(&self.0, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) | Err(Errno::NOTSUP | Errno::NOSYS) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    /// Makes its entries durable (blocking); file systems that cannot sync a folder do not need it.
    pub fn sync(&self) -> io::Result<()> {
        match fs::fsync(&self.0) {
            Err(Errno::INVAL) => Ok(()),
            other => Ok(other?),
        }
    }

    /// Makes everything durable that has been written to the file system of this folder (blocking);
    /// reports what failed since the folder was opened (Linux 5.8).
    pub fn sync_file_system(&self) -> io::Result<()> {
        Ok(fs::syncfs(&self.0)?)
    }

    /// The file system that it is on.
    pub fn file_system(&self) -> FileSystem {
        file_system(&self.0)
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
    fn a_new_folder_tells_who_owns_ours() {
        let scratch = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let folder = Folder::open(scratch.path()).unwrap();
        let own = rustix::process::geteuid().as_raw();
        assert_eq!(folder.owner_of_new().unwrap(), own);
        assert_eq!(folder.names().unwrap().len(), 0, "nothing is left behind");
        let roots = Folder::open(Path::new("/proc/1")).unwrap();
        assert_eq!(roots.is_ours(&folder).unwrap(), own == 0);
    }

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
