//! Whose a file is: what tells a file that we made, under a name that we derived from the user's
//! (`NAME.part`), from another program's or another user's. Owns the mark of the part file; must
//! not know what is in a file.
//!
//! The mark is the sticky bit (S_ISVTX). It has no meaning for an ordinary file on Linux, and
//! open(2) sets it in the step that creates the file: there is no moment at which the file is there
//! without it, and it costs no system call. An extended attribute needs a second step, and is not
//! to be had on tmpfs before Linux 6.6, NFS before 4.2 and FAT; a file beside it that names the
//! inode is made in a second step too, costs several calls, and is wrong once the inode is given
//! to another file. File systems that store no such bit (FAT, exFAT) leave the part file unmarked.

use rustix::process::geteuid;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::hash::BuildHasher;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// S_ISVTX.
const MARK: u32 = 0o1000;
/// What a new file is open to, before the umask.
const MODE: u32 = 0o666;
/// What the owner of a part file has to be allowed: to read and to write it.
const OWNER: u32 = 0o600;

/// Why a file cannot be one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// It is a symbolic link, wherever that leads.
    Link,
    /// It is a folder.
    Folder,
    /// It is a device, a pipe or a socket.
    Special,
    /// Another user owns it, with this id.
    Owner(u32),
    /// It has this number of hard links, more than one: a write changes what the others show.
    HardLinks(u64),
}

impl Foreign {
    /// Why the file that `meta` describes, not followed if it is a link, and that is in `folder`,
    /// cannot be ours; `None` if it can.
    pub fn of(meta: &Metadata, folder: &Path) -> Option<Self> {
        let is_linked = meta.is_file() && meta.nlink() > 1;
        if is_linked {
            return Some(Self::HardLinks(meta.nlink()));
        }
        Self::of_read(meta, folder)
    }

    /// The same for a file that is only read, or loses a name: others that it has do not matter.
    pub fn of_read(meta: &Metadata, folder: &Path) -> Option<Self> {
        if meta.is_symlink() {
            return Some(Self::Link);
        }
        if meta.is_dir() {
            return Some(Self::Folder);
        }
        if !meta.is_file() {
            return Some(Self::Special);
        }
        // Some file systems give our files another owner: NFS that squashes root, FAT and network
        // mounts with a fixed one. Which, a new file tells.
        let is_owner = meta.uid() == geteuid().as_raw();
        let is_ours = is_owner || owner_of_new(folder).is_ok_and(|owner| owner == meta.uid());
        (!is_ours).then_some(Self::Owner(meta.uid()))
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link => f.write_str("is a symbolic link"),
            Self::Folder => f.write_str("is a folder"),
            Self::Special => f.write_str("is not an ordinary file"),
            Self::Owner(id) => write!(f, "belongs to the user with id {id}"),
            Self::HardLinks(count) => write!(f, "has {count} hard links"),
        }
    }
}

/// Makes a file with the mark, for reading and writing. Whatever has the name already, a link
/// included, is an error (`AlreadyExists`).
pub fn create_marked(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(MODE | MARK).open(path)
}

/// Opens a file for reading and writing, and makes it, without the mark, if there is none; a link
/// is an error.
pub fn open_or_create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(MODE);
    options.custom_flags(libc::O_NOFOLLOW).open(path)
}

/// Opens a file that is there for reading and writing; a link is an error.
pub fn open_existing(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOFOLLOW).open(path)
}

/// Whether the file has the mark.
pub fn is_marked(meta: &Metadata) -> bool {
    meta.is_file() && meta.mode() & MARK != 0
}

/// Gives the mark to a file of ours that has lost it.
pub fn mark(file: &File) -> io::Result<()> {
    let mode = file.metadata()?.mode();
    file.set_permissions(Permissions::from_mode(mode & 0o7777 | MARK))
}

/// Takes the mark away.
pub fn unmark(file: &File) -> io::Result<()> {
    let mode = file.metadata()?.mode();
    if mode & MARK == 0 {
        return Ok(());
    }
    file.set_permissions(Permissions::from_mode(mode & 0o7777 & !MARK))
}

/// Gives a part file of ours the permissions `mode`, but for its owner to read and write it.
pub fn restrict(file: &File, mode: u32) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(mode & 0o777 | OWNER | MARK))
}

/// Gives a part file of ours, which keeps its mark, the owner and permissions that `meta` tells.
pub fn inherit(file: &File, meta: &Metadata) -> io::Result<()> {
    let own = file.metadata()?;
    let is_given = (own.uid(), own.gid()) == (meta.uid(), meta.gid())
        || fchown(file, Some(meta.uid()), Some(meta.gid())).is_ok();
    // A file that stays another's must not run with the rights of its new owner.
    let kept = if is_given { 0o7777 } else { 0o777 };
    file.set_permissions(Permissions::from_mode(meta.mode() & kept | MARK))
}

/// A path in `folder` that nobody has and nobody can foresee, for a file that lives briefly.
pub fn fresh_path(folder: &Path) -> PathBuf {
    let number = RandomState::new().hash_one(Instant::now());
    folder.join(format!(".ringhaul-{number:016x}"))
}

/// Who owns what we make in `folder`.
fn owner_of_new(folder: &Path) -> io::Result<u32> {
    let path = fresh_path(folder);
    let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
    let owner = file.metadata().map(|meta| meta.uid());
    fs::remove_file(&path)?;
    owner
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileTypeExt;
    use std::os::unix::net::UnixListener;

    fn scratch() -> tempfile::TempDir {
        tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap()
    }

    #[test]
    fn a_file_has_the_mark_until_it_is_taken_away() {
        let folder = scratch();
        let path = folder.path().join("f");
        fs::write(folder.path().join("other"), "").unwrap();
        assert!(!is_marked(&fs::metadata(folder.path().join("other")).unwrap()));
        let file = create_marked(&path).unwrap();
        assert!(is_marked(&fs::metadata(&path).unwrap()));
        let mode = fs::metadata(folder.path().join("other")).unwrap().mode();
        for _ in 0..2 {
            unmark(&file).unwrap();
            assert_eq!(file.metadata().unwrap().mode(), mode, "as any new file's");
        }
        mark(&file).unwrap();
        assert!(is_marked(&file.metadata().unwrap()));
        assert!(!is_marked(&fs::metadata("/tmp").unwrap()), "folders have the bit for themselves");
    }

    #[test]
    fn what_is_there_is_not_made_anew() {
        let folder = scratch();
        let (path, victim) = (folder.path().join("f"), folder.path().join("victim"));
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        assert_eq!(create_marked(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(open_existing(&path).is_err());
        assert!(!victim.exists());
    }

    #[test]
    fn kinds_links_and_owners_are_told() {
        let folder = scratch();
        let path = |name| folder.path().join(name);
        let foreign = |name| Foreign::of(&fs::symlink_metadata(path(name)).unwrap(), folder.path());
        fs::write(path("file"), "").unwrap();
        assert_eq!(foreign("file"), None);
        fs::hard_link(path("file"), path("again")).unwrap();
        assert_eq!(foreign("file"), Some(Foreign::HardLinks(2)));
        std::os::unix::fs::symlink("file", path("link")).unwrap();
        assert_eq!(foreign("link"), Some(Foreign::Link));
        fs::create_dir(path("folder")).unwrap();
        assert_eq!(foreign("folder"), Some(Foreign::Folder));
        let _socket = UnixListener::bind(path("socket")).unwrap();
        assert!(fs::symlink_metadata(path("socket")).unwrap().file_type().is_socket());
        assert_eq!(foreign("socket"), Some(Foreign::Special));
        let meta = fs::metadata("/proc/1/stat").unwrap();
        let is_ours = meta.uid() == geteuid().as_raw();
        assert_eq!(Foreign::of(&meta, folder.path()).is_none(), is_ours);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 5, "nothing is left behind");
    }

    #[test]
    fn a_new_file_tells_who_owns_ours() {
        let folder = scratch();
        assert_eq!(owner_of_new(folder.path()).unwrap(), geteuid().as_raw());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(owner_of_new(Path::new("/proc")).is_err());
    }
}
