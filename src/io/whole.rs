//! A file that has its name only once it is whole: made without a name (O_TMPFILE), named by a
//! link. Where a file system has no nameless files, a temporary name and a rename do the same. Owns
//! these system calls; must not know what is in the file.

use super::file::rename_no_replace;
use rustix::fs::{self, AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// A file on its way to its name. Dropped before it has it, it is gone.
#[derive(Debug)]
pub struct Nameless {
    file: File,
    temporary: PathBuf,
    /// Whether the temporary name is taken by this file.
    is_temporary: bool,
}

impl Nameless {
    /// Makes an empty file for writing in the folder of `temporary`, a name that only its owner
    /// uses: what an earlier run left there is removed.
    pub fn create(temporary: &Path) -> io::Result<Self> {
        let folder = match temporary.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        remove(temporary)?;
        let nameless = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o666);
        let temporary = temporary.to_owned();
        if let Ok(fd) = fs::open(folder, nameless, mode) {
            let file = File::from(fd);
            // Without /proc there is no way to link it that needs no privilege.
            if fs::access(link_source(&file), fs::Access::EXISTS).is_ok() {
                return Ok(Self { file, temporary, is_temporary: false });
            }
        }
        Self::create_temporary(temporary, mode)
    }

    fn create_temporary(temporary: PathBuf, mode: Mode) -> io::Result<Self> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = File::from(fs::open(&temporary, flags | OFlags::NOFOLLOW, mode)?);
        Ok(Self { file, temporary, is_temporary: true })
    }

    /// The file, to be filled.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Gives it the name `path`, at once and as a whole. Whoever has the name already is replaced
    /// if `replace` says so, and an error (`AlreadyExists`) otherwise. The folder is not synced.
    pub fn name(mut self, path: &Path, replace: bool) -> io::Result<File> {
        if !self.is_temporary {
            let to = if replace { &self.temporary } else { path };
            fs::linkat(CWD, link_source(&self.file), CWD, to, AtFlags::SYMLINK_FOLLOW)?;
            self.is_temporary = replace;
        }
        if self.is_temporary {
            if replace {
                std::fs::rename(&self.temporary, path)?;
            } else {
                rename_no_replace(&self.temporary, path)?;
            }
            self.is_temporary = false;
        }
        self.file.try_clone()
    }
}

impl Drop for Nameless {
    fn drop(&mut self) {
        if self.is_temporary {
            // What stays here is removed by the next one.
            let _ = remove(&self.temporary);
        }
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
    use std::io::Write;

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
                    Nameless::create_temporary(temporary.to_owned(), Mode::from_raw_mode(0o666))
                } else {
                    Nameless::create(temporary)
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
    fn what_was_left_behind_is_removed() {
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        std::fs::write(folder.path().join("f~"), "torn").unwrap();
        drop(Nameless::create(&folder.path().join("f~")).unwrap());
        assert!(names(folder.path()).is_empty());
    }
}
