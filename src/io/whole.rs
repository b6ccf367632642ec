//! A file that has its name only once it is whole: made without a name (O_TMPFILE), named by a
//! link. Where a file system has no nameless files, a temporary name and a rename do the same. Owns
//! these system calls; must not know what is in the file.
//!
//! The one rule for the files that this program writes beside downloads (profiles, results of a
//! bench, a certificate): [`replace`]. A trace is written while others read it: [`open_stream`].

use super::file::rename_no_replace;
use super::ours::{Foreign, fresh_path};
use rustix::fs::{self, AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::geteuid;
use std::fs::{File, Metadata, Permissions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What a new file is open to, before the umask.
pub const FILE_MODE: u32 = 0o666;

/// A file on its way to its name. Dropped before it has it, it is gone.
#[derive(Debug)]
pub struct Nameless {
    file: File,
    temporary: Temporary,
}

/// A name that a file may have for a while.
#[derive(Debug)]
struct Temporary {
    path: PathBuf,
    /// Whether the file has it.
    is_taken: bool,
}

impl Nameless {
    /// Makes an empty file for reading and writing in the folder of `temporary`, a name that it may
    /// need on its way: what has that already is left alone and is an error (`AlreadyExists`), now
    /// or later. `mode` is what it is open to, before the umask.
    pub fn create(temporary: &Path, mode: u32) -> io::Result<Self> {
        let nameless = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(mode);
        let temporary = temporary.to_owned();
        if let Ok(fd) = fs::open(folder_of(&temporary), nameless, mode) {
            let file = File::from(fd);
            // Without /proc there is no way to link it that needs no privilege.
            if fs::access(link_source(&file), fs::Access::EXISTS).is_ok() {
                let temporary = Temporary { path: temporary, is_taken: false };
                return Ok(Self { file, temporary });
            }
        }
        Self::create_temporary(temporary, mode)
    }

    fn create_temporary(temporary: PathBuf, mode: Mode) -> io::Result<Self> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
        let file = File::from(fs::open(&temporary, flags | OFlags::NOFOLLOW, mode)?);
        Ok(Self { file, temporary: Temporary { path: temporary, is_taken: true } })
    }

    /// Whether it has the temporary name, as the file system has no nameless files.
    pub fn is_named(&self) -> bool {
        self.temporary.is_taken
    }

    /// The file, to be filled.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Gives it the name `path`, at once and as a whole. Whoever has the name already is replaced
    /// if `replace` says so, and an error (`AlreadyExists`) otherwise. The folder is not synced.
    pub fn name(mut self, path: &Path, replace: bool) -> io::Result<File> {
        let temporary = &mut self.temporary;
        if !temporary.is_taken {
            let to = if replace { &temporary.path } else { path };
            fs::linkat(CWD, link_source(&self.file), CWD, to, AtFlags::SYMLINK_FOLLOW)?;
            temporary.is_taken = replace;
        }
        if temporary.is_taken {
            if replace {
                std::fs::rename(&temporary.path, path)?;
            } else {
                rename_no_replace(&temporary.path, path)?;
            }
            temporary.is_taken = false;
        }
        Ok(self.file)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.is_taken {
            // What stays here is for its owner to remove.
            let _ = remove(&self.path);
        }
    }
}

/// Replaces `path` by a file that holds `bytes`, as a whole: it is made under a name that nobody
/// has and takes the name of the old one, whose mode it gets; without one its mode is `mode`,
/// before the umask. If `durable`, its bytes are on the disk before it has the name.
///
/// What is not an ordinary file (a link, a device, a pipe) is written to as it is. A link is
/// followed by the kernel, not by us, so that its protection against the links that others plant in
/// shared folders holds.
pub fn replace(path: &Path, mode: u32, bytes: &[u8], durable: bool) -> io::Result<()> {
    let old = look_at(path)?;
    if old.as_ref().is_some_and(|old| !old.is_file()) {
        return File::create(path)?.write_all(bytes);
    }
    let new = Nameless::create(&fresh_path(folder_of(path)), mode)?;
    if let Some(old) = old {
        new.file.set_permissions(Permissions::from_mode(old.mode() & 0o777))?;
    }
    new.file().write_all(bytes)?;
    if durable {
        new.file().sync_all()?;
    }
    new.name(path, true).map(drop)
}

/// The same for a secret: whatever mode the old file has, the new one has `mode`. A device or pipe
/// is written to as it is, and so is what a link leads to.
pub fn replace_private(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    if look_at(path)?.is_some_and(|old| !old.is_file()) {
        return File::options().write(true).truncate(true).open(path)?.write_all(bytes);
    }
    let new = Nameless::create(&fresh_path(folder_of(path)), mode)?;
    new.file().write_all(bytes)?;
    new.name(path, true).map(drop)
}

/// Finds out whether [`replace`] can do its work; leaves everything as it is.
pub fn check_replaceable(path: &Path, mode: u32) -> io::Result<()> {
    match look_at(path)? {
        Some(old) if !old.is_file() => File::options().write(true).open(path).map(drop),
        _ => Nameless::create(&fresh_path(folder_of(path)), mode).map(drop),
    }
}

/// Opens `path` for a stream of bytes: makes the file, or empties it, as whoever follows it while
/// it grows expects. A link that another user has made is an error, and a file that is not ours
/// alone is replaced, so that nobody else's bytes are lost.
pub fn open_stream(path: &Path) -> io::Result<File> {
    let Some(old) = look_at(path)? else {
        return File::options().write(true).create_new(true).open(path);
    };
    match Foreign::of(&old, folder_of(path)) {
        // The administrator's as well: that is how /dev/stderr is made.
        Some(Foreign::Link) if old.uid() != 0 && old.uid() != geteuid().as_raw() => {
            let what = format!("it is a symbolic link of the user with id {}", old.uid());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
        }
        Some(Foreign::Owner(_) | Foreign::HardLinks(_)) => {
            let new = Nameless::create(&fresh_path(folder_of(path)), FILE_MODE)?;
            return new.name(path, true);
        }
        None | Some(Foreign::Link | Foreign::Folder | Foreign::Special) => {}
    }
    File::create(path)
}

/// What has this name, not followed if it is a link.
fn look_at(path: &Path) -> io::Result<Option<Metadata>> {
    match std::fs::symlink_metadata(path) {
        Ok(meta) => Ok(Some(meta)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Removes a file, if it is there.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::unlinkat(CWD, path, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

fn link_source(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::fd::OwnedFd;
    use std::os::unix::fs::symlink;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Both ways, whatever the file system of the test offers.
    fn both_ways(check: impl Fn(&Path, &dyn Fn(&Path) -> Nameless)) {
        for forced in [false, true] {
            let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
            check(folder.path(), &|temporary| {
                let made = if forced {
                    let mode = Mode::from_raw_mode(FILE_MODE);
                    Nameless::create_temporary(temporary.to_owned(), mode)
                } else {
                    Nameless::create(temporary, FILE_MODE)
                };
                made.unwrap()
            });
        }
    }

    #[test]
    fn it_has_its_name_when_it_is_given() {
        both_ways(|folder, create| {
            let (path, temporary) = (folder.join("f"), folder.join("f~"));
            let made = create(&temporary);
            made.file().write_all(b"whole").unwrap();
            assert!(!path.exists());
            made.name(&path, false).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"whole");
            assert_eq!(names(folder), ["f"]);
        });
    }

    #[test]
    fn it_replaces_only_if_told_to() {
        both_ways(|folder, create| {
            let (path, temporary) = (folder.join("f"), folder.join("f~"));
            std::fs::write(&path, "old").unwrap();
            let error = create(&temporary).name(&path, false).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(std::fs::read(&path).unwrap(), b"old");
            let made = create(&temporary);
            made.file().write_all(b"new").unwrap();
            made.name(&path, true).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"new");
            assert_eq!(names(folder), ["f"]);
        });
    }

    #[test]
    fn what_has_the_temporary_name_is_left_alone() {
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let (path, temporary) = (folder.path().join("f"), folder.path().join("f~"));
        let victim = folder.path().join("victim");
        std::fs::write(&path, "old").unwrap();
        std::fs::write(&victim, "theirs").unwrap();
        symlink(&victim, &temporary).unwrap();
        // Where there are nameless files only the name is refused.
        let nameless = Nameless::create(&temporary, FILE_MODE);
        let error = nameless.and_then(|new| new.name(&path, true)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        let made = Nameless::create_temporary(temporary, Mode::from_raw_mode(FILE_MODE));
        assert_eq!(made.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read(&victim).unwrap(), b"theirs");
        assert_eq!(names(folder.path()), ["f", "f~", "victim"]);
    }

    #[test]
    fn a_replaced_file_keeps_its_mode_and_its_other_names_their_bytes() {
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let (path, other) = (folder.path().join("f"), folder.path().join("other"));
        replace(&path, 0o600, b"first", true).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        std::fs::hard_link(&path, &other).unwrap();
        check_replaceable(&path, 0o600).unwrap();
        replace(&path, 0o600, b"second", false).unwrap();
        assert_eq!(mode(&path), 0o640);
        assert_eq!(std::fs::read(&path).unwrap(), b"second");
        assert_eq!(std::fs::read(&other).unwrap(), b"first");
        assert_eq!(names(folder.path()), ["f", "other"]);
        assert!(check_replaceable(Path::new("/proc/f"), 0o600).is_err());
    }

    /// What is no ordinary file stays what it is, and gets the bytes.
    #[test]
    fn links_and_pipes_are_written_to() {
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        symlink(&real, &link).unwrap();
        // Where the link leads nothing is at first.
        for bytes in ["first", "second"] {
            replace(&link, FILE_MODE, bytes.as_bytes(), false).unwrap();
            assert_eq!(std::fs::read_to_string(&real).unwrap(), bytes);
            open_stream(&link).unwrap().write_all(b"stream").unwrap();
            assert_eq!(std::fs::read_to_string(&real).unwrap(), "stream");
        }
        assert!(link.is_symlink());
        replace(Path::new("/dev/null"), FILE_MODE, b"gone", false).unwrap();
        open_stream(Path::new("/dev/null")).unwrap().write_all(b"gone").unwrap();
        assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
        let (mut read, write) = io::pipe().unwrap();
        let write = File::from(OwnedFd::from(write));
        let pipe = PathBuf::from(link_source(&write));
        open_stream(&pipe).unwrap().write_all(b"stream, ").unwrap();
        replace(&pipe, FILE_MODE, b"bytes", false).unwrap();
        drop(write);
        let mut text = String::new();
        read.read_to_string(&mut text).unwrap();
        assert_eq!(text, "stream, bytes");
        assert_eq!(names(folder.path()), ["link", "real"]);
    }

    #[test]
    fn a_stream_empties_our_own_file_and_no_others() {
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let (path, other) = (folder.path().join("f"), folder.path().join("other"));
        open_stream(&path).unwrap().write_all(b"first").unwrap();
        let follower = File::open(&path).unwrap();
        open_stream(&path).unwrap().write_all(b"second").unwrap();
        assert_eq!(io::read_to_string(follower).unwrap(), "second", "it is the same file");
        std::fs::hard_link(&path, &other).unwrap();
        open_stream(&path).unwrap().write_all(b"third").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"third");
        assert_eq!(std::fs::read(&other).unwrap(), b"second");
        assert_eq!(names(folder.path()), ["f", "other"]);
    }
}
