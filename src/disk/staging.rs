//! Where small files of a batch are until they get their names: a folder of our own beside them, in
//! which they have numbers. So nothing but whole files ever stands among the files of the batch,
//! and what a crash leaves is found, and removed by the next run.
//!
//! States of a file: begun -> written, at once or behind the caller's back -> (synced) -> placed,
//! or dropped, which removes it. Must not know when files are synced, nor what is in them.

mod past_cache;

use super::folders::{Below, Root};
use super::output::DirectPolicy;
use super::place::disk_error;
use crate::base::limits::STAGING_FOLDERS_MAX;
use crate::base::{Error, ErrorKind, Result};
use crate::io::buffers::Block;
use crate::io::file;
use crate::io::folder::{Folder, Named};
use past_cache::{PastCache, Writing, given_up};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::SystemTime;

/// The folder's name in the folder of the batch. A batch that finds it taken adds a number.
const NAME: &str = ".ringhaul.staging";

/// Bytes written at once. A page cache with large folios takes memory for as many at once, which it
/// has to look for: in a virtual machine 1 MiB took up to four times the time of 64 KiB pieces.
const WRITE_BYTES: usize = 64 * 1024;

/// Folders in it, so that those who make files and those who name them seldom wait for each other:
/// a folder has one lock. A file system also looks through all names of a small folder: with 32 of
/// them making and naming 5,000 files on ext4 takes 8 % less CPU time than with 8.
const ROOMS: u64 = 32;
/// Files that go to one room before it is the turn of the next, so that few files need few rooms.
const ROOM_FILES: u64 = 4;

/// The folder that is ours alone, as long as any of its files is there. Removed at the end.
#[derive(Debug)]
pub struct Staging {
    parent: Folder,
    name: OsString,
    folder: Folder,
    path: PathBuf,
    next: AtomicU64,
    past_cache: PastCache,
}

/// A file without a name of its own yet. Dropped, it is removed.
#[derive(Debug)]
pub struct Staged {
    staging: Arc<Staging>,
    /// Its room and its name there; empty once it has another one.
    name: String,
    /// Open until all is written, or on its way.
    file: Option<File>,
    /// The end of what is on its way.
    ended: Option<Receiver<Result<()>>>,
}

impl Staging {
    /// Takes a staging folder in `root`, and removes what an earlier run has left in it. The one
    /// with the number `first` is tried first: whoever asks for the same one each time comes upon
    /// what it has left itself. `direct` says which files bypass the page cache.
    ///
    /// # Errors
    /// What the disk has to say, and [`ErrorKind::TargetUnusable`] if all names are taken.
    pub fn open(root: &Root, first: u32, direct: DirectPolicy) -> Result<Arc<Self>> {
        let path = root.path();
        let failed = |e| disk_error(e, "cannot make a staging folder in", path);
        let parent = root.folder().enter(OsStr::new(".")).map_err(failed)?;
        for offset in 0..STAGING_FOLDERS_MAX {
            let number = (first % STAGING_FOLDERS_MAX + offset) % STAGING_FOLDERS_MAX;
            let name = if number == 0 { NAME.to_owned() } else { format!("{NAME}.{number}") };
            let name = OsString::from(name);
            if let Some(folder) = take(&parent, &name).map_err(failed)? {
                let (path, next) = (path.join(&name), AtomicU64::new(0));
                let past_cache = PastCache::new(&folder, direct);
                return Ok(Arc::new(Self { parent, name, folder, path, next, past_cache }));
            }
        }
        let what = format!("all staging folders in {} are in use", path.display());
        Err(Error::new(ErrorKind::TargetUnusable, what)
            .advise(format!("remove what is called {NAME}.N there, or use another folder")))
    }

    /// A new, empty file.
    ///
    /// # Errors
    /// What the disk has to say.
    pub fn begin(self: &Arc<Self>) -> Result<Staged> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let room = (number / ROOM_FILES % ROOMS).to_string();
        let name = format!("{room}/{number}");
        let file = self.create(&room, &name);
        let file = file.map_err(|e| disk_error(e, "cannot create a file in", &self.path))?;
        Ok(Staged { staging: self.clone(), name, file: Some(file), ended: None })
    }

    /// Makes the file `name`, and its room if it is the first there.
    fn create(&self, room: &str, name: &str) -> io::Result<File> {
        match self.folder.create(name) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.folder.make_private(OsStr::new(room))?;
                self.folder.create(name)
            }
            made => made,
        }
    }

    /// Makes the bytes of all files that have been written durable, in one go (blocking): those of
    /// other programs on the same file system come along.
    ///
    /// # Errors
    /// What the disk has to say: none of them counts as durable then.
    pub fn sync(&self) -> Result<()> {
        let synced = self.folder.sync_file_system();
        synced.map_err(|e| disk_error(e, "cannot sync the file system of", &self.path))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What is still in it belongs to the next run, which removes it.
        for room in 0..ROOMS {
            let _ = self.folder.remove_folder(OsStr::new(&room.to_string()));
        }
        let _ = self.parent.remove_folder(&self.name);
    }
}

impl Staged {
    /// Adds `bytes` to the file.
    ///
    /// # Errors
    /// What the disk has to say.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let file = self.file.as_mut().expect("a file is written before it is closed");
        let written = bytes.chunks(WRITE_BYTES).try_for_each(|piece| file.write_all(piece));
        written.map_err(|e| self.failed(e, "cannot write"))
    }

    /// Fills the new file with `block` and closes it, as [`Staged::write`] and [`Staged::close`]
    /// do; where the file bypasses the page cache most of that is left to the future that is
    /// returned. That needs the driver of its thread, and nobody has to wait for it here.
    ///
    /// # Errors
    /// What the disk has to say so far; the rest is said by [`Staged::written`].
    pub fn fill(
        &mut self,
        block: Block,
        modified: Option<SystemTime>,
    ) -> Result<Option<impl Future<Output = ()> + use<>>> {
        let bytes = block.as_ref().len() as u64;
        let past_cache = &self.staging.past_cache;
        let file = self.file.as_ref().expect("a file is filled once");
        if !past_cache.takes(bytes) || !past_cache.set(file) {
            self.write(block.as_ref())?;
            self.close(modified)?;
            return Ok(None);
        }
        // In reserved space a ring writes without a thread of the kernel's.
        file::preallocate(file, bytes).map_err(|e| self.failed(e, "cannot reserve space for"))?;
        let (ended, end) = mpsc::sync_channel(1);
        self.ended = Some(end);
        let file = Arc::new(self.file.take().expect("it was there").into());
        let writing = Writing { file, path: self.path(), block, modified, ended };
        let staging = self.staging.clone();
        Ok(Some(async move { writing.run(&staging.past_cache).await }))
    }

    /// Waits until what is on its way has been written (blocking).
    ///
    /// # Errors
    /// What the disk has to say.
    pub fn written(&mut self) -> Result<()> {
        let Some(ended) = self.ended.take() else { return Ok(()) };
        ended.recv().unwrap_or_else(|_| Err(given_up()))
    }

    /// Nothing more is written; if `modified` is given, that is when the file was changed last.
    ///
    /// # Errors
    /// What the disk has to say.
    pub fn close(&mut self, modified: Option<SystemTime>) -> Result<()> {
        let file = self.file.take().expect("a file is closed once");
        match modified {
            Some(time) => {
                file.set_modified(time).map_err(|e| self.failed(e, "cannot set the time of"))
            }
            None => Ok(()),
        }
    }

    /// Makes the bytes of this file durable (blocking).
    ///
    /// # Errors
    /// What the disk has to say.
    pub fn sync(&self) -> Result<()> {
        let synced = File::open(self.path()).and_then(|f| f.sync_data());
        synced.map_err(|e| self.failed(e, "cannot sync"))
    }

    /// Gives the file the name `name` in the folder `to`, where what has the name is replaced if
    /// `replace` says so. The folder is not synced.
    ///
    /// # Errors
    /// [`ErrorKind::TargetExists`] if something has the name, and what the disk has to say.
    pub fn place(mut self, to: &Below, name: &OsStr, replace: bool) -> Result<()> {
        let target = to.path().join(name);
        if replace && matches!(to.folder().look_at(name), Ok(Named::Folder)) {
            let what = format!("{} is a folder", target.display());
            return Err(Error::new(ErrorKind::TargetUnusable, what));
        }
        let renamed = self.staging.folder.rename(&self.name, to.folder(), name, replace);
        renamed.map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => {
                Error::new(ErrorKind::TargetExists, format!("{} exists", target.display()))
            }
            _ => disk_error(e, "cannot give the name", &target),
        })?;
        self.name.clear();
        Ok(())
    }

    fn path(&self) -> PathBuf {
        self.staging.path.join(&self.name)
    }

    fn failed(&self, error: io::Error, what: &str) -> Error {
        disk_error(error, what, &self.path())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.name.is_empty() {
            // What stays is removed by the next run.
            let _ = self.staging.folder.remove(OsStr::new(&self.name));
        }
    }
}

/// The folder `name`, emptied, if nobody else has it.
fn take(parent: &Folder, name: &OsStr) -> io::Result<Option<Folder>> {
    parent.make_private(name)?;
    let folder = match parent.enter(name) {
        Ok(folder) => folder,
        // A link, a file, or another user's.
        Err(_) => return Ok(None),
    };
    if !folder.try_lock()? || !folder.is_ours(parent)? {
        return Ok(None);
    }
    for room in folder.names()? {
        if !is_ours(&room) || !is_emptied(&folder, &room)? {
            return Ok(None);
        }
    }
    Ok(Some(folder))
}

/// Removes what an earlier run has left in a room, and the room; `false` if it is none of ours.
fn is_emptied(folder: &Folder, name: &OsStr) -> io::Result<bool> {
    let Ok(room) = folder.enter(name) else { return Ok(false) };
    for file in room.names()? {
        if !is_ours(&file) || room.remove(&file).is_err() {
            return Ok(false);
        }
    }
    Ok(folder.remove_folder(name).is_ok())
}

/// Whether a file may be one of an earlier run: nothing else is removed.
fn is_ours(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The parts of a path relative to the batch's folder: the folder below it, and the name.
pub fn split(target: &Path) -> (&Path, &OsStr) {
    let folder = target.parent().unwrap_or(Path::new(""));
    (folder, target.file_name().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::limits::{BLOCK_BYTES, STAGED_DIRECT_BYTES_MIN};
    use crate::io::buffers::Pool;
    use crate::io::driver::{Driver, DriverKind};
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    fn scratch() -> tempfile::TempDir {
        tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap()
    }

    fn staged(staging: &Arc<Staging>, bytes: &[u8]) -> Staged {
        let mut staged = staging.begin().unwrap();
        staged.write(bytes).unwrap();
        staged.close(None).unwrap();
        staged
    }

    #[test]
    fn a_file_gets_its_name_as_a_whole_and_nothing_stays() {
        let scratch = scratch();
        let root = Root::open(scratch.path()).unwrap();
        let staging = Staging::open(&root, 0, DirectPolicy::Auto).unwrap();
        let to = root.enter(Path::new("a/b"), true).unwrap();
        let mut file = staging.begin().unwrap();
        file.write(b"one").unwrap();
        file.write(b"two").unwrap();
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        file.close(Some(time)).unwrap();
        file.sync().unwrap();
        staging.sync().unwrap();
        assert!(!scratch.path().join("a/b/f").exists());
        file.place(&to, OsStr::new("f"), false).unwrap();
        let placed = scratch.path().join("a/b/f");
        assert_eq!(fs::read(&placed).unwrap(), b"onetwo");
        assert_eq!(fs::metadata(&placed).unwrap().modified().unwrap(), time);
        drop(staged(&staging, b"given up"));
        drop(staging);
        let left: Vec<_> =
            fs::read_dir(scratch.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["a"]);
    }

    /// A block with `bytes` bytes, no two pages of which are the same.
    fn block(pool: &Pool, bytes: usize) -> Block {
        let mut lease = pool.try_lease().unwrap();
        let filled: Vec<u8> =
            (0..bytes).map(|at| u8::try_from((at / 4096 + at) % 251).unwrap()).collect();
        lease.append(&filled);
        lease.freeze()
    }

    /// Whatever the file system of the test offers; past the cache and not, on both drivers.
    #[test]
    fn a_block_is_there_once_it_is_written_and_has_the_time_that_was_given() {
        let time = SystemTime::UNIX_EPOCH + Duration::new(1_000_000, 77);
        for (kind, direct) in DriverKind::BOTH
            .into_iter()
            .flat_map(|kind| [(kind, DirectPolicy::Always), (kind, DirectPolicy::Never)])
        {
            let scratch = scratch();
            let root = Root::open(scratch.path()).unwrap();
            let staging = Staging::open(&root, 0, direct).unwrap();
            let here = root.enter(Path::new(""), false).unwrap();
            let pool = Pool::new(1).unwrap();
            for bytes in [1, 4095, 4096, 500_001, BLOCK_BYTES] {
                let filled = block(&pool, bytes);
                let expected = filled.as_ref().to_vec();
                let mut file = staging.begin().unwrap();
                Driver::new(kind).unwrap().run(async {
                    let rest = file.fill(filled, Some(time)).unwrap();
                    assert!(direct == DirectPolicy::Always || rest.is_none(), "{direct:?}");
                    if let Some(rest) = rest {
                        rest.await;
                    }
                });
                file.written().unwrap();
                file.place(&here, OsStr::new("f"), true).unwrap();
                let placed = scratch.path().join("f");
                assert!(fs::read(&placed).unwrap() == expected, "{kind:?} {direct:?} {bytes}");
                assert_eq!(fs::metadata(&placed).unwrap().modified().unwrap(), time);
            }
        }
    }

    #[test]
    fn a_block_on_its_way_is_waited_for_and_one_that_was_given_up_is_an_error() {
        let scratch = scratch();
        let root = Root::open(scratch.path()).unwrap();
        let staging = Staging::open(&root, 0, DirectPolicy::Always).unwrap();
        let pool = Pool::new(2).unwrap();
        let (mut given_up, mut slow) = (staging.begin().unwrap(), staging.begin().unwrap());
        let waited = Driver::new(DriverKind::Epoll).unwrap().run(async {
            drop(given_up.fill(block(&pool, BLOCK_BYTES), None).unwrap());
            let rest = slow.fill(block(&pool, BLOCK_BYTES), None).unwrap();
            let waits = std::thread::spawn(move || slow.written());
            if let Some(rest) = rest {
                assert!(!waits.is_finished(), "nothing has been written");
                assert!(given_up.written().is_err());
                rest.await;
            }
            waits.join().unwrap()
        });
        waited.unwrap();
    }

    /// Small files gain nothing from it, and some file systems do not either.
    #[test]
    fn only_large_files_bypass_the_cache_by_themselves() {
        let scratch = scratch();
        let root = Root::open(scratch.path()).unwrap();
        let folder = root.folder();
        let min = STAGED_DIRECT_BYTES_MIN;
        let auto = PastCache::new(folder, DirectPolicy::Auto);
        assert!(!auto.takes(min - 1));
        assert_eq!(auto.takes(min), folder.file_system().direct_pays);
        assert!(PastCache::new(folder, DirectPolicy::Always).takes(1));
        assert!(!PastCache::new(folder, DirectPolicy::Never).takes(u64::MAX - 1));
        if let Ok(memory) = tempfile::tempdir_in("/dev/shm") {
            let memory = Root::open(memory.path()).unwrap();
            assert!(!PastCache::new(memory.folder(), DirectPolicy::Auto).takes(min));
        }
    }

    #[test]
    fn what_is_there_is_replaced_only_if_that_is_wanted() {
        let scratch = scratch();
        let root = Root::open(scratch.path()).unwrap();
        let staging = Staging::open(&root, 0, DirectPolicy::Auto).unwrap();
        let here = root.enter(Path::new(""), false).unwrap();
        let path = scratch.path().join("f");
        fs::write(&path, "old").unwrap();
        let error = staged(&staging, b"new").place(&here, OsStr::new("f"), false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TargetExists, "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        staged(&staging, b"new").place(&here, OsStr::new("f"), true).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        fs::create_dir(scratch.path().join("d")).unwrap();
        for replace in [false, true] {
            let refused = staged(&staging, b"new").place(&here, OsStr::new("d"), replace);
            assert!(refused.is_err() && scratch.path().join("d").is_dir());
        }
    }

    #[test]
    fn what_a_crash_has_left_is_removed_and_what_is_in_use_is_left_alone() {
        let scratch = scratch();
        let root = Root::open(scratch.path()).unwrap();
        let left = scratch.path().join(NAME);
        fs::create_dir_all(left.join("3")).unwrap();
        fs::write(left.join("3/17"), "half").unwrap();
        let first = Staging::open(&root, 0, DirectPolicy::Auto).unwrap();
        assert!(!left.join("3/17").exists());
        let file = staged(&first, b"mine");
        let second = Staging::open(&root, 0, DirectPolicy::Auto).unwrap();
        assert_ne!(first.path, second.path);
        assert!(first.path.join("0/0").exists());
        assert_eq!(fs::read_dir(&first.path).unwrap().count(), 1, "rooms are made as files come");
        drop((file, first, second));
        // What is not ours stays, and its folder is not used.
        symlink("/etc", scratch.path().join(NAME)).unwrap();
        let other = scratch.path().join(format!("{NAME}.1"));
        fs::create_dir(&other).unwrap();
        fs::write(other.join("notes"), "x").unwrap();
        let third = Staging::open(&root, 0, DirectPolicy::Auto).unwrap();
        assert!(third.path.ends_with(format!("{NAME}.2")));
        assert!(other.join("notes").exists());
        // Who asks for the same one again comes upon what it has left, however many are free.
        let left = scratch.path().join(format!("{NAME}.7"));
        fs::create_dir_all(left.join("3")).unwrap();
        fs::write(left.join("3/17"), "half").unwrap();
        let own = Staging::open(&root, STAGING_FOLDERS_MAX + 7, DirectPolicy::Auto).unwrap();
        assert_eq!(own.path, left);
        assert!(!left.join("3").exists());
        let beside = Staging::open(&root, 7, DirectPolicy::Auto).unwrap();
        assert!(beside.path.ends_with(format!("{NAME}.8")), "it is in use");
    }
}
