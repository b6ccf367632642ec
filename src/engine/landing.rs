//! The last steps of the small files of a batch, many at a time: their bytes are made durable
//! together, then they get their names together, then each folder is synced once. Until then they
//! are in the staging folder. A thread of its own does it, as each of these calls blocks.
//!
//! Must not know where files come from, nor what is recorded of them.

use crate::base::limits::{BARRIER_FILES_MAX, BARRIER_TIME_MAX};
use crate::base::{Error, ErrorKind, Result};
use crate::disk::folders::{Below, Root};
use crate::disk::staging::{Staged, Staging, split};
use crate::engine::options::DirectMode;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

/// When files of a batch are durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Durability {
    /// Each before the next one gets its name.
    File,
    /// Many together: at most 1,000 files or one second behind. None has its name before.
    #[default]
    Batch,
    /// When the kernel gets to it: after a crash of the machine, files may be empty.
    None,
}

/// A whole file that is to get its name.
#[derive(Debug)]
pub struct Ready {
    /// The number of its item.
    pub id: u64,
    /// Its bytes, written or on their way.
    pub staged: Staged,
    /// Its path below the batch's folder.
    pub target: PathBuf,
    /// Whether what has the name may be replaced.
    pub replace: bool,
}

/// What became of a file.
#[derive(Debug)]
pub struct Landed {
    /// The number of its item.
    pub id: u64,
    /// The file under its name, durable as far as that was asked for.
    pub result: Result<Metadata>,
}

/// Who hears of files that have landed.
type Listener = Box<dyn Fn(Vec<Landed>) + Send>;

/// Where files land.
pub struct Landing {
    shared: Arc<Shared>,
    /// `None` at the end.
    staging: Mutex<Option<Arc<Staging>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    root: Root,
    durability: Durability,
    create_dirs: bool,
    queue: Mutex<Queue>,
    bell: Condvar,
}

#[derive(Default)]
struct Queue {
    ready: Vec<Ready>,
    /// When the first of them came.
    since: Option<Instant>,
    /// Files that the thread is at work on.
    landing: usize,
    /// Nobody waits for more files.
    is_hurried: bool,
    is_closed: bool,
}

impl Landing {
    /// Files land in the folder `root`, in folders below it that are made if `create_dirs` says so.
    /// The staging folder with the number `staging_first` is theirs if it is free; `direct` says
    /// which of them bypass the page cache.
    ///
    /// # Errors
    /// What the disk has to say of the folder.
    pub fn new(
        root: &Path,
        durability: Durability,
        create_dirs: bool,
        staging_first: u32,
        direct: DirectMode,
        listener: Listener,
    ) -> Result<Self> {
        let root = Root::open(root)?;
        let staging = Staging::open(&root, staging_first, direct.policy())?;
        let (queue, bell) = (Mutex::default(), Condvar::new());
        let shared = Arc::new(Shared { root, durability, create_dirs, queue, bell });
        let (own, own_staging) = (shared.clone(), staging.clone());
        let thread = thread::Builder::new()
            .name("ringhaul-landing".to_owned())
            .spawn(move || own.run(&own_staging, &listener))
            .map_err(|e| {
                Error::new(ErrorKind::ResourceLimit, "cannot start a thread").caused_by(e)
            })?;
        let (staging, thread) = (Mutex::new(Some(staging)), Mutex::new(Some(thread)));
        Ok(Self { shared, staging, thread })
    }

    /// A new file in the staging folder.
    ///
    /// # Errors
    /// What the disk has to say.
    pub fn begin(&self) -> Result<Staged> {
        let staging = lock(&self.staging).clone();
        let over = || Error::new(ErrorKind::Interrupted, "the batch has ended");
        staging.ok_or_else(over)?.begin()
    }

    /// Has the file land; the listener hears of it.
    pub fn land(&self, ready: Ready) {
        let mut queue = self.shared.lock();
        queue.since.get_or_insert_with(Instant::now);
        queue.ready.push(ready);
        if queue.ready.len() == 1 || queue.is_due() {
            self.shared.bell.notify_all();
        }
    }

    /// Files that have not landed yet.
    pub fn behind(&self) -> usize {
        let queue = self.shared.lock();
        queue.ready.len() + queue.landing
    }

    /// No more files come for now: those that wait land at once.
    pub fn hurry(&self) {
        let mut queue = self.shared.lock();
        if !queue.ready.is_empty() {
            queue.is_hurried = true;
            self.shared.bell.notify_all();
        }
    }

    /// The folder of the file `target`, made if it is missing and wanted (blocking).
    ///
    /// # Errors
    /// As those of [`Root::enter`].
    pub fn folder_of(&self, target: &Path) -> Result<PathBuf> {
        let (folder, _) = split(target);
        let below = self.shared.enter(folder)?;
        Ok(below.path().to_owned())
    }

    /// Waits until all have landed, and takes no more.
    pub fn finish(&self) {
        self.shared.lock().is_closed = true;
        self.shared.bell.notify_all();
        if let Some(thread) = lock(&self.thread).take() {
            // It panics only if the listener does, which is noticed where that comes from.
            let _ = thread.join();
        }
        *lock(&self.staging) = None;
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Queue {
    fn is_due(&self) -> bool {
        self.ready.len() >= BARRIER_FILES_MAX || self.is_hurried || self.is_closed
    }
}

impl Shared {
    fn run(&self, staging: &Staging, listener: &Listener) {
        while let Some(ready) = self.next() {
            let landed = match self.durability {
                Durability::File => {
                    ready.into_iter().flat_map(|one| self.land(staging, vec![one])).collect()
                }
                Durability::Batch | Durability::None => self.land(staging, ready),
            };
            listener(landed);
            self.lock().landing = 0;
        }
    }

    /// What lands next, once it is time; `None` at the end.
    fn next(&self) -> Option<Vec<Ready>> {
        let mut queue = self.lock();
        loop {
            let waits = self.durability == Durability::Batch && !queue.is_due();
            let left = queue.since.map(|since| BARRIER_TIME_MAX.saturating_sub(since.elapsed()));
            match left {
                None if queue.is_closed => return None,
                None => queue = self.bell.wait(queue).unwrap_or_else(PoisonError::into_inner),
                Some(left) if waits && !left.is_zero() => {
                    let waited = self.bell.wait_timeout(queue, left);
                    queue = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
                Some(_) => {
                    (queue.since, queue.is_hurried) = (None, false);
                    let ready = std::mem::take(&mut queue.ready);
                    queue.landing = ready.len();
                    return Some(ready);
                }
            }
        }
    }

    /// One barrier.
    fn land(&self, staging: &Staging, ready: Vec<Ready>) -> Vec<Landed> {
        let mut landed = Vec::with_capacity(ready.len());
        let mut written = Vec::with_capacity(ready.len());
        for mut file in ready {
            match file.staged.written() {
                Ok(()) => written.push(file),
                Err(error) => landed.push(Landed { id: file.id, result: Err(error) }),
            }
        }
        landed.extend(self.land_written(staging, written));
        landed
    }

    fn land_written(&self, staging: &Staging, mut ready: Vec<Ready>) -> Vec<Landed> {
        let synced = match (self.durability, &ready[..]) {
            (Durability::None, _) => Ok(()),
            (_, []) => return Vec::new(),
            // A single file need not wait for what others write to the same file system.
            (_, [only]) => only.staged.sync(),
            _ => staging.sync(),
        };
        if let Err(error) = synced {
            let failed = |file: Ready| Landed { id: file.id, result: Err(error.clone()) };
            return ready.into_iter().map(failed).collect();
        }
        ready.sort_by(|a, b| split(&a.target).0.cmp(split(&b.target).0));
        let mut landed = Vec::with_capacity(ready.len());
        let mut rest = ready.into_iter().peekable();
        while let Some(first) = rest.next() {
            let folder = split(&first.target).0.to_owned();
            let mut together = vec![first];
            while let Some(file) = rest.next_if(|file| split(&file.target).0 == folder) {
                together.push(file);
            }
            self.name(&folder, together, &mut landed);
        }
        landed
    }

    /// Names the files of one folder.
    fn name(&self, folder: &Path, files: Vec<Ready>, landed: &mut Vec<Landed>) {
        let first = landed.len();
        let below = self.enter(folder);
        for Ready { id, staged, target, replace } in files {
            let result = match &below {
                Ok(below) => place(below, staged, &target, replace),
                Err(error) => Err(error.clone()),
            };
            landed.push(Landed { id, result });
        }
        let synced = match below {
            Ok(below) if self.durability != Durability::None => below.sync(),
            _ => Ok(()),
        };
        if let Err(error) = synced {
            for file in &mut landed[first..] {
                if file.result.is_ok() {
                    file.result = Err(error.clone());
                }
            }
        }
    }

    fn enter(&self, folder: &Path) -> Result<Below> {
        let below = self.root.enter(folder, self.create_dirs)?;
        if self.durability != Durability::None {
            below.sync_grown()?;
        }
        Ok(below)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn place(below: &Below, staged: Staged, target: &Path, replace: bool) -> Result<Metadata> {
    let (_, name) = split(target);
    staged.place(below, name, replace)?;
    let path = below.path().join(name);
    std::fs::metadata(&path).map_err(|e| {
        let what = format!("{} was removed as soon as it had its name", path.display());
        Error::new(ErrorKind::DiskIo, what).caused_by(e)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::buffers::Pool;
    use crate::io::driver::{Driver, DriverKind};
    use std::sync::mpsc;

    struct Bench {
        scratch: tempfile::TempDir,
        landing: Landing,
        landed: mpsc::Receiver<Vec<Landed>>,
    }

    fn bench(durability: Durability, create_dirs: bool) -> Bench {
        let scratch = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let (sender, landed) = mpsc::channel();
        let listener = Box::new(move |files| sender.send(files).unwrap());
        let landing =
            Landing::new(scratch.path(), durability, create_dirs, 0, DirectMode::On, listener)
                .unwrap();
        Bench { scratch, landing, landed }
    }

    impl Bench {
        fn land(&self, id: u64, target: &str, replace: bool) {
            let mut staged = self.landing.begin().unwrap();
            staged.write(&id.to_le_bytes()).unwrap();
            staged.close(None).unwrap();
            self.landing.land(Ready { id, staged, target: target.into(), replace });
        }

        fn has(&self, target: &str) -> bool {
            self.scratch.path().join(target).exists()
        }
    }

    #[test]
    fn nothing_has_its_name_before_the_barrier_and_everything_behind_it() {
        let bench = bench(Durability::Batch, true);
        for id in 0..BARRIER_FILES_MAX as u64 - 1 {
            bench.land(id, &format!("{}/{id}", id % 3), false);
        }
        assert!(bench.landed.try_recv().is_err() && !bench.has("0/0"));
        assert_eq!(bench.landing.behind(), BARRIER_FILES_MAX - 1);
        bench.land(9999, "last", false);
        let landed = bench.landed.recv().unwrap();
        assert_eq!(landed.len(), BARRIER_FILES_MAX);
        assert!(landed.iter().all(|file| file.result.as_ref().is_ok_and(|meta| meta.len() == 8)));
        assert!(bench.has("0/0") && bench.has("1/1") && bench.has("last"));
    }

    #[test]
    fn who_is_in_a_hurry_waits_for_no_more() {
        for durability in [Durability::File, Durability::Batch, Durability::None] {
            let bench = bench(durability, false);
            bench.land(1, "a", false);
            bench.landing.hurry();
            assert!(bench.landed.recv().unwrap()[0].result.is_ok());
            bench.land(2, "b", false);
            bench.landing.finish();
            assert!(bench.landed.recv().unwrap()[0].result.is_ok());
        }
    }

    /// Whose bytes did not arrive on the disk has no name, and the others have theirs.
    #[test]
    fn what_could_not_be_written_does_not_land() {
        let bench = bench(Durability::Batch, false);
        let pool = Pool::new(1).unwrap();
        let mut staged = bench.landing.begin().unwrap();
        let mut lease = pool.try_lease().unwrap();
        lease.append(b"lost");
        let is_lost = Driver::new(DriverKind::Epoll).unwrap().run(async {
            let writing = staged.fill(lease.freeze(), None).unwrap();
            writing.is_some()
        });
        let target = PathBuf::from("lost");
        bench.landing.land(Ready { id: 1, staged, target, replace: false });
        bench.land(2, "fine", false);
        bench.landing.hurry();
        let mut landed = bench.landed.recv().unwrap();
        landed.sort_by_key(|file| file.id);
        assert_eq!(
            landed[0].result.is_err(),
            is_lost,
            "only what bypasses the cache is on its way"
        );
        assert!(landed[1].result.is_ok());
        assert_eq!((bench.has("lost"), bench.has("fine")), (!is_lost, true));
    }

    #[test]
    fn one_files_failure_is_its_own() {
        let bench = bench(Durability::Batch, false);
        std::fs::write(bench.scratch.path().join("taken"), "old").unwrap();
        bench.land(1, "taken", false);
        bench.land(2, "missing/file", false);
        bench.land(3, "fine", false);
        bench.landing.hurry();
        let mut landed = bench.landed.recv().unwrap();
        landed.sort_by_key(|file| file.id);
        let kinds = landed.iter().map(|file| file.result.as_ref().err().map(Error::kind));
        let expected = [Some(ErrorKind::TargetExists), Some(ErrorKind::TargetUnusable), None];
        assert_eq!(kinds.collect::<Vec<_>>(), expected);
        assert_eq!(std::fs::read(bench.scratch.path().join("taken")).unwrap(), b"old");
    }
}
