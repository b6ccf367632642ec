//! The folders of a batch: all below one root, made and entered one after the other without ever
//! following a link. Owns the refusal of what would lead outside. Must not know what names were
//! refused before, nor which files go there.

use super::place::disk_error;
use crate::base::{Error, ErrorKind, Result};
use crate::io::file;
use crate::io::folder::{Folder, Named};
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Component, Path, PathBuf};

/// The folder of a batch, which its user has named: links on the way to it are the user's own.
#[derive(Debug)]
pub struct Root {
    folder: Folder,
    path: PathBuf,
}

/// An open folder at or below the root.
#[derive(Debug)]
pub struct Below {
    folder: Folder,
    path: PathBuf,
    /// Folders that have got a new one in them, whose name is not durable before they are synced.
    grown: Vec<PathBuf>,
}

impl Root {
    /// Opens the folder `path`.
    ///
    /// # Errors
    /// [`ErrorKind::TargetUnusable`] if it is missing or no folder, and what the disk has to say.
    pub fn open(path: &Path) -> Result<Self> {
        let folder = Folder::open(path).map_err(|e| {
            disk_error(e, "cannot use the output folder", path)
                .advise("create it, or choose another place with -d")
        })?;
        Ok(Self { folder, path: path.to_owned() })
    }

    /// Its path, as it was named.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open folder.
    pub(super) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Opens the folder `relative` below this one, and if `create` makes what of it is missing.
    /// Takes two descriptors at most while it works; the result has one.
    ///
    /// # Errors
    /// [`ErrorKind::TargetUnusable`] if a part of it is a link (even one that stays inside: it may
    /// be another one by the time a file is written), no folder, missing, or if `relative` is not a
    /// path of names alone.
    pub fn enter(&self, relative: &Path, create: bool) -> Result<Below> {
        let here = OsStr::new(".");
        let folder = self.folder.enter(here);
        let folder = folder.map_err(|e| disk_error(e, "cannot open", &self.path))?;
        let mut below = Below { folder, path: self.path.clone(), grown: Vec::new() };
        for part in relative.components() {
            let Component::Normal(name) = part else {
                let what = format!("{} is no path below a folder", relative.display());
                return Err(Error::new(ErrorKind::TargetUnusable, what));
            };
            below.descend(name, create)?;
        }
        Ok(below)
    }
}

impl Below {
    /// The folder's path: that of the root, and the names below it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open folder.
    pub(super) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Makes the entries of the folder durable (blocking).
    ///
    /// # Errors
    /// What the disk has to say.
    pub fn sync(&self) -> Result<()> {
        self.folder.sync().map_err(|e| disk_error(e, "cannot sync the folder", &self.path))
    }

    /// Makes the names of folders durable that were made on the way (blocking).
    ///
    /// # Errors
    /// What the disk has to say.
    pub fn sync_grown(&self) -> Result<()> {
        self.grown.iter().try_for_each(|folder| {
            let synced = file::sync_folder(folder);
            synced.map_err(|e| disk_error(e, "cannot sync the folder", folder))
        })
    }

    fn descend(&mut self, name: &OsStr, create: bool) -> Result<()> {
        let path = self.path.join(name);
        let mut entered = self.folder.enter(name);
        if create && is_missing(&entered) {
            let made = self.folder.make(name);
            if made.map_err(|e| disk_error(e, "cannot create the folder", &path))? {
                self.grown.push(self.path.clone());
            }
            entered = self.folder.enter(name);
        }
        self.folder = entered.map_err(|e| self.refusal(name, &path, e))?;
        self.path = path;
        Ok(())
    }

    /// Why the folder `name`, whose path is `path`, was not entered.
    fn refusal(&self, name: &OsStr, path: &Path, error: io::Error) -> Error {
        let (what, advice) = match self.folder.look_at(name) {
            Ok(Named::Link) => {
                ("is a symbolic link, which a list may not use", "make it a folder, or use another")
            }
            Ok(Named::Other) => ("is not a folder", "use another folder, or move it away"),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                ("is missing", "create the folder, or have it created with --create-dirs")
            }
            Ok(Named::Folder) | Err(_) => return disk_error(error, "cannot open", path),
        };
        let what = format!("{} {what}", path.display());
        Error::new(ErrorKind::TargetUnusable, what).advise(advice)
    }
}

impl AsFd for Below {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }
}

fn is_missing(entered: &io::Result<Folder>) -> bool {
    entered.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::sync::Barrier;

    fn scratch() -> tempfile::TempDir {
        tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap()
    }

    #[test]
    fn what_is_missing_is_made_and_told() {
        let scratch = scratch();
        let root = Root::open(scratch.path()).unwrap();
        let below = root.enter(Path::new("a/b/c"), true).unwrap();
        assert_eq!(below.path(), scratch.path().join("a/b/c"));
        let grown = ["", "a", "a/b"].map(|path| scratch.path().join(path));
        assert!(below.grown.iter().eq(&grown), "{:?}", below.grown);
        assert!(scratch.path().join("a/b/c").is_dir());

        let again = root.enter(Path::new("a/b/c"), true).unwrap();
        assert!(again.grown.is_empty());
        let here = root.enter(Path::new(""), false).unwrap();
        assert_eq!(here.path(), scratch.path());
        let error = root.enter(Path::new("a/d"), false).unwrap_err();
        assert!(error.to_string().contains("a/d is missing"), "{error}");
        assert!(error.advice().contains("--create-dirs"));
        assert!(!scratch.path().join("a/d").exists());
    }

    #[test]
    fn links_are_not_followed_wherever_they_lead() {
        let (scratch, outside) = (scratch(), scratch());
        std::fs::create_dir_all(scratch.path().join("real/inner")).unwrap();
        for (link, to) in [
            ("outside", outside.path()),
            ("real/outside", outside.path()),
            ("dangling", Path::new("/nowhere/at/all")),
            ("inside", Path::new("real")),
            ("up", Path::new("..")),
        ] {
            symlink(to, scratch.path().join(link)).unwrap();
        }
        let root = Root::open(scratch.path()).unwrap();
        for path in ["outside", "outside/x", "real/outside/x", "dangling/x", "inside/x", "up"] {
            for create in [true, false] {
                let error = root.enter(Path::new(path), create).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::TargetUnusable);
                assert!(error.to_string().contains("is a symbolic link"), "{error}");
            }
        }
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
        assert_eq!(std::fs::read_dir(scratch.path().join("real/inner")).unwrap().count(), 0);
        // The root itself is the user's word.
        let linked = Root::open(&scratch.path().join("outside")).unwrap();
        linked.enter(Path::new("x"), true).unwrap();
        assert!(outside.path().join("x").is_dir());
    }

    #[test]
    fn what_is_no_folder_is_refused() {
        let scratch = scratch();
        let file = scratch.path().join("file");
        std::fs::write(&file, "x").unwrap();
        for path in [&file, &scratch.path().join("none")] {
            let error = Root::open(path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TargetUnusable, "{error}");
        }
        let root = Root::open(scratch.path()).unwrap();
        let long = "x".repeat(256);
        for (path, reason) in [
            ("file/x", "is not a folder"),
            ("..", "no path below"),
            ("a/../../x", "no path below"),
            ("/etc", "no path below"),
            (&long, "cannot"),
        ] {
            let error = root.enter(Path::new(path), true).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TargetUnusable, "{error}");
            assert!(error.to_string().contains(reason), "{error}");
        }
    }

    #[test]
    fn a_path_longer_than_the_kernel_takes_is_made_step_by_step() {
        let scratch = scratch();
        let root = Root::open(scratch.path()).unwrap();
        let deep: PathBuf = std::iter::repeat_n("d".repeat(100), 60).collect();
        let below = root.enter(&deep, true).unwrap();
        assert_eq!(below.grown.len(), 60);
    }

    #[test]
    fn several_may_make_the_same_folders() {
        let scratch = scratch();
        let root = Root::open(scratch.path()).unwrap();
        for round in 0..50 {
            let path = format!("{round}/a/b");
            let start = Barrier::new(4);
            let make = || {
                start.wait();
                root.enter(Path::new(&path), true).unwrap().grown.len()
            };
            let made: usize = std::thread::scope(|scope| {
                let makers: Vec<_> = (0..4).map(|_| scope.spawn(make)).collect();
                makers.into_iter().map(|maker| maker.join().unwrap()).sum()
            });
            assert_eq!(made, 3, "each folder is new to one of them");
        }
    }
}
