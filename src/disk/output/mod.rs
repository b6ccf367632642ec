//! The part file and its way to the final name.
//!
//! States: reserved (part file made or taken over, and locked; nothing asked of any server yet) ->
//! allocated (size known, space reserved, direct or buffered decided; anew for each attempt) ->
//! committed (synced, renamed, folder synced, journal gone) or dropped (the part file is removed,
//! unless it was said to keep it, or a journal speaks of it).
//!
//! An output may also be nowhere: it takes every block and keeps none, for measuring what is in
//! front of the disk. There is no part file, no name and no journal then.

use super::journal::{self, BarrierPace, Book, Found, Identity, Journal};
use super::place::{Place, disk_error};
use crate::base::limits::SPAN_ALIGN_BYTES;
use crate::base::size::{MIB, format_bytes};
use crate::base::{Error, ErrorKind, Result, Span};
use crate::io::buffers::Block;
use crate::io::file::{self, Allocation, BlockFile, DirectAlign};
use crate::io::ours;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files below this are written through the page cache: direct writes gain nothing where all of
/// it fits the cache, and the consumer probably reads it at once (engineering notes, part 4).
const DIRECT_BYTES_MIN: u64 = 64 * MIB;

/// When blocks bypass the page cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectPolicy {
    /// Where it pays.
    Auto,
    /// Always, or it is an error.
    Always,
    /// Never.
    Never,
}

/// What bytes that are kept nowhere are said to be written to.
const NOWHERE: &str = "/dev/null";

/// The target's name, and the part file that is ours alone; or nowhere.
#[derive(Debug)]
pub struct Reserved {
    place: Option<Arc<Place>>,
}

/// What takes blocks: a part file, or nowhere.
pub struct Output {
    kept: Option<Kept>,
}

/// A part file that takes blocks.
struct Kept {
    file: BlockFile,
    place: Arc<Place>,
    buffered_reason: Option<String>,
}

impl Reserved {
    /// Makes and locks `TARGET.part`. Refuses an existing target unless `replace`, and a part
    /// file that another process is writing. One that an earlier run has made is taken over as it
    /// is: [`find`](Self::find) what can be used of it, or [`discard`](Self::discard) it. Anything
    /// else under its name is refused untouched, or loses the name if `replace`.
    pub fn new(target: &Path, replace: bool) -> Result<Self> {
        let place = Place::take(target, replace, journal::vouches);
        Ok(Self { place: Some(Arc::new(place?)) })
    }

    /// An output that keeps nothing.
    pub fn nowhere() -> Self {
        Self { place: None }
    }

    /// Whether nothing is kept.
    pub fn is_nowhere(&self) -> bool {
        self.place.is_none()
    }

    /// Reads the journal of an earlier run, if there is one. What cannot be read is an error, and
    /// nothing is deleted. After [`Found::Useless`] it is for the caller to discard it.
    pub fn find(&self) -> Result<Found> {
        self.place.as_ref().map_or(Ok(Found::Nothing), |place| journal::find(place))
    }

    /// Bytes that a later run can go on from, as far as is known: the journal that stands vouches
    /// for them.
    pub fn kept_bytes(&self) -> u64 {
        self.place.as_ref().map_or(0, |place| place.recorded_bytes())
    }

    /// Starts over: removes the journal, durably, and empties the part file then. Any journal that
    /// was started before writes no more. A file under the journal's name that is none of ours is
    /// an error.
    pub fn discard(&self) -> Result<()> {
        self.place.as_ref().map_or(Ok(()), journal::discard)
    }

    /// Takes the file to its size, if it is known, and decides how blocks are written. The bytes
    /// that are there stay.
    pub fn allocate(&self, total: Option<u64>, policy: DirectPolicy) -> Result<Output> {
        let kept = self.place.as_ref().map(|place| Kept::allocate(place, total, policy));
        Ok(Output { kept: kept.transpose()? })
    }
}

impl Output {
    /// Writes a block at its offset; answers when the kernel has taken all of it.
    pub async fn write(&self, block: Block, offset: u64) -> Result<()> {
        let Some(Kept { file, place, .. }) = &self.kept else { return Ok(()) };
        let written = file.write(block, offset).await;
        written.map_err(|e| disk_error(e, "cannot write", &place.part))
    }

    /// Reads bytes that are there (blocking); [`ErrorKind::DiskIo`] if they are not.
    pub fn read(&self, span: Span) -> Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(span.len()).expect("a sample fits the memory")];
        let Some(Kept { place, .. }) = &self.kept else { return Ok(bytes) };
        let read = place.file.read_exact_at(&mut bytes, span.start());
        read.map_err(|e| disk_error(e, "cannot read back", &place.part))?;
        Ok(bytes)
    }

    /// Whether as many writes are on their way as are made at a time.
    pub fn is_saturated(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.file.is_saturated())
    }

    /// Whether blocks bypass the page cache.
    pub fn is_direct(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.file.is_direct())
    }

    /// Whether blocks are thrown away.
    pub fn is_nowhere(&self) -> bool {
        self.kept.is_none()
    }

    /// Why blocks go through the page cache, if they do by decision.
    pub fn buffered_reason(&self) -> Option<&str> {
        self.kept.as_ref()?.buffered_reason.as_deref()
    }

    /// The part file's name.
    pub fn part_path(&self) -> &Path {
        self.kept.as_ref().map_or(Path::new(NOWHERE), |kept| &kept.place.part)
    }

    /// The part file stays when this value is dropped.
    pub fn keep_part(&self) {
        if let Some(kept) = &self.kept {
            kept.place.keep_part();
        }
    }

    /// The part file stays, and nothing of it counts any more: a later run starts over.
    pub fn disown(&self) {
        let Some(Kept { place, .. }) = &self.kept else { return };
        let mut journals_ended = place.journals_ended();
        *journals_ended += 1;
        self.keep_part();
        journal::remove(place);
    }

    /// Starts the journal of the part file: a thread that makes what `book` has durable. The book
    /// has what the standing journal vouches for, or what came after, or less of it. `on_failed` is
    /// called once, on that thread, when a barrier fails; it must not drop the journal.
    ///
    /// # Errors
    /// Usage, if a text of the identity is too long (64 KiB); ResourceLimit, if there is no thread.
    ///
    /// # Panics
    /// If the output is nowhere: no journal is kept of that.
    pub fn start_journal(
        &self,
        identity: Identity,
        book: &Arc<Book>,
        pace: BarrierPace,
        on_failed: impl FnOnce(Error) + Send + 'static,
    ) -> Result<Journal> {
        Journal::start(self.place(), identity, book, pace, on_failed)
    }

    /// Makes `bytes` bytes durable under the final name: data, name and folder, in this order; then
    /// the journal has served its purpose. If someone has taken the name meanwhile, the part file
    /// stays. An error as well after any failed sync, as nobody knows what reached the disk then.
    pub fn commit(&self, bytes: u64) -> Result<PathBuf> {
        self.kept.as_ref().map_or(Ok(NOWHERE.into()), |kept| kept.commit(bytes))
    }

    /// Where the part file is.
    ///
    /// # Panics
    /// If the output is nowhere: no journal is kept of that.
    pub(super) fn place(&self) -> &Arc<Place> {
        &self.kept.as_ref().expect("journals are of files").place
    }
}

impl Kept {
    fn allocate(place: &Arc<Place>, total: Option<u64>, policy: DirectPolicy) -> Result<Self> {
        let failed = |e, what: &str| disk_error(e, what, &place.part);
        if let Some(total) = total {
            reserve_space(place, total)
                .map_err(|e| failed(e, &format!("cannot reserve {} for", format_bytes(total))))?;
        }
        let (direct, buffered_reason) = match open_direct(place, total, policy) {
            Ok(direct) => (Some(direct), None),
            Err(reason) if policy == DirectPolicy::Always => {
                return Err(Error::new(
                    ErrorKind::DiskIo,
                    format!("direct writes are not possible: {reason}"),
                )
                .advise("use --direct auto, or another place with -o or -d"));
            }
            Err(reason) => (None, Some(reason)),
        };
        // The same open file: its lock lasts as long as any of the two.
        let file = place.file.try_clone().map_err(|e| failed(e, "cannot open"))?;
        let file = BlockFile::new(file.into(), direct);
        Ok(Self { file, place: place.clone(), buffered_reason })
    }

    fn commit(&self, bytes: u64) -> Result<PathBuf> {
        let Place { target, part, .. } = &*self.place;
        let mut journals_ended = self.place.journals_ended();
        self.place.check_part(bytes)?;
        // What could not be preallocated may end in a file that is too long.
        self.file.set_len(bytes).map_err(|e| disk_error(e, "cannot size", part))?;
        self.place.sync_data()?;
        let renamed = if self.place.replace {
            std::fs::rename(part, target)
        } else {
            file::rename_no_replace(part, target)
        };
        // In any case: there is none any more, and its name may be another's; or it is complete.
        self.place.keep_part();
        renamed.map_err(|e| {
            let error = if e.kind() == io::ErrorKind::AlreadyExists {
                let what = format!("{} appeared during the download", target.display());
                Error::new(ErrorKind::TargetExists, what)
            } else {
                disk_error(e, "cannot rename", part)
            };
            error.advise(format!("the complete file is kept as {}", part.display()))
        })?;
        // Not before: whoever is killed between the two leaves a part file that is known as ours.
        // What stays if it fails has no meaning for an ordinary file.
        let _ = ours::unmark(&self.place.file);
        *journals_ended += 1;
        let synced = self.place.sync_folder();
        journal::remove(&self.place);
        synced.map_err(|error| {
            let what = "is complete, but after a power failure its name may be gone";
            error.advise(format!("{} {what}; check the disk and the kernel log", target.display()))
        })?;
        Ok(target.clone())
    }
}

/// ext4 takes all free space before it says that it is not enough, and the machine's other
/// programs with it: so look first. What an earlier run reserved needs no room again.
fn reserve_space(place: &Place, total: u64) -> io::Result<()> {
    let file = &place.file;
    place.set_reserved_bytes(0);
    if file.metadata()?.len() > total {
        file.set_len(total)?;
    }
    let missing = total.saturating_sub(place.bytes_on_disk()?);
    if let Some(free) = file::free_bytes(file).ok().filter(|free| *free < missing) {
        let what = format!("{} are free there", format_bytes(free));
        return Err(io::Error::new(io::ErrorKind::StorageFull, what));
    }
    let allocation = file::preallocate(file, total)?;
    let is_lasting = allocation == Allocation::Reserved && file::file_system(file).lasting;
    // Some say that they have reserved what they have not.
    let is_there = is_lasting && place.bytes_on_disk()? >= total;
    place.set_reserved_bytes(if is_there { total } else { 0 });
    Ok(())
}

/// The same file opened with O_DIRECT, or why not.
fn open_direct(place: &Place, total: Option<u64>, policy: DirectPolicy) -> Result<OwnedFd, String> {
    if policy == DirectPolicy::Never {
        return Err("not wanted".into());
    }
    let Some(total) = total else {
        return Err("the size is not known beforehand".into());
    };
    let (file, part) = (&place.file, &place.part);
    let file_system = file::file_system(file);
    if policy == DirectPolicy::Auto {
        if total < DIRECT_BYTES_MIN {
            return Err(format!("the file is below {}", format_bytes(DIRECT_BYTES_MIN)));
        }
        if !file_system.direct_pays {
            return Err(format!("{} gains nothing from it", file_system.name));
        }
    }
    let align = file::direct_align(file);
    match align {
        DirectAlign::Refused => return Err(format!("{} refuses it", file_system.name)),
        DirectAlign::Bytes { memory, offset } if memory.max(offset) > 4096 => {
            return Err(format!("{} wants {offset}-byte alignment", file_system.name));
        }
        DirectAlign::Bytes { .. } | DirectAlign::Unknown => {}
    }
    let direct = file::open_direct(part, file).map_err(|e| format!("{}: {e}", file_system.name))?;
    // Where the kernel names no alignment only a write can tell. It leaves a written block in
    // reserved space, which costs the first real write its fast path: not done without need.
    if align == DirectAlign::Unknown && total >= SPAN_ALIGN_BYTES {
        file::try_direct_write(&direct, file).map_err(|e| format!("{}: {e}", file_system.name))?;
    }
    Ok(direct)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::buffers::Pool;
    use crate::io::driver::{Driver, DriverKind};
    use std::os::unix::fs::MetadataExt;

    fn scratch() -> tempfile::TempDir {
        tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap()
    }

    /// What another program has under the part file's name.
    fn theirs(folder: &Path) -> PathBuf {
        let part = folder.join("f.part");
        std::fs::write(&part, "theirs").unwrap();
        part
    }

    fn write(output: &Output, bytes: &[u8], offset: u64) {
        let pool = Pool::new(1).unwrap();
        Driver::new(DriverKind::IoUring).unwrap().run(async {
            let mut lease = pool.lease().await;
            lease.append(bytes);
            output.write(lease.freeze(), offset).await.unwrap();
        });
    }

    #[test]
    fn a_committed_file_has_its_name_and_size() {
        for policy in [DirectPolicy::Never, DirectPolicy::Auto, DirectPolicy::Always] {
            let folder = scratch();
            let target = folder.path().join("f");
            let reserved = Reserved::new(&target, false).unwrap();
            let output = reserved.allocate(Some(5000), policy).unwrap();
            assert_eq!(output.is_direct(), policy == DirectPolicy::Always, "{policy:?}");
            write(&output, &[1; 5000], 0);
            assert!(!target.exists(), "nothing stands at the final name before the end");
            assert_eq!(output.commit(5000).unwrap(), target);
            assert_eq!(std::fs::read(&target).unwrap(), vec![1; 5000]);
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
            let other = theirs(folder.path());
            let mode = |path: &Path| std::fs::metadata(path).unwrap().mode();
            assert_eq!(mode(&target), mode(&other), "the mark of a part file is gone");
        }
    }

    #[test]
    fn a_part_file_is_known_as_ours_from_its_first_instant() {
        let folder = scratch();
        let (target, part) = (folder.path().join("f"), folder.path().join("f.part"));
        let is_marked = || ours::is_marked(&std::fs::metadata(&part).unwrap());
        // Whoever is killed leaves what stands at each step, without what a drop cleans up.
        for step in 0..4 {
            let reserved = Reserved::new(&target, false).unwrap();
            assert!(is_marked(), "it is made with the mark");
            let total = [None, Some(0), Some(5000), Some(5000)][step];
            let output = reserved.allocate(total, DirectPolicy::Never).unwrap();
            if step == 3 {
                write(&output, &[1; 5000], 0);
            }
            output.keep_part();
            drop((reserved, output));
            assert!(is_marked());
        }
        drop(Reserved::new(&target, false).unwrap());
        assert!(!part.exists());
    }

    #[test]
    fn a_part_file_of_others_is_refused_untouched() {
        let folder = scratch();
        let target = folder.path().join("f");
        for bytes in ["theirs", ""] {
            let part = theirs(folder.path());
            std::fs::write(&part, bytes).unwrap();
            let before = std::fs::metadata(&part).unwrap();
            let error = Reserved::new(&target, false).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TargetUnusable);
            for words in ["f.part is there, and nothing shows that ringhaul made it", "--force"] {
                assert!(error.to_string().contains(words), "{error}");
            }
            let after = std::fs::metadata(&part).unwrap();
            assert_eq!((before.ino(), before.mode()), (after.ino(), after.mode()));
            assert_eq!(std::fs::read_to_string(&part).unwrap(), bytes);
        }
    }

    #[test]
    fn what_is_replaced_loses_its_name_and_nothing_else() {
        let folder = scratch();
        let (target, other) = (folder.path().join("f"), folder.path().join("other"));
        let victim = folder.path().join("victim");
        std::fs::write(&victim, "victim").unwrap();
        for is_link in [false, true] {
            let part = theirs(folder.path());
            if is_link {
                std::fs::remove_file(&part).unwrap();
                std::os::unix::fs::symlink(&victim, &part).unwrap();
            } else {
                std::fs::hard_link(&part, &other).unwrap();
            }
            let error = Reserved::new(&target, false).unwrap_err().to_string();
            let why = if is_link { "f.part is a symbolic link" } else { "f.part has 2 hard links" };
            assert!(error.contains(why), "{error}");
            let output = Reserved::new(&target, true).unwrap();
            let output = output.allocate(Some(3), DirectPolicy::Never).unwrap();
            write(&output, b"new", 0);
            output.commit(3).unwrap();
            assert_eq!(std::fs::read(&target).unwrap(), b"new");
            assert_eq!(std::fs::read(&victim).unwrap(), b"victim");
            assert_eq!(std::fs::read(&other).unwrap(), b"theirs");
            std::fs::remove_file(&target).unwrap();
        }
        std::fs::create_dir(folder.path().join("f.part")).unwrap();
        let error = Reserved::new(&target, true).unwrap_err();
        assert!(error.to_string().contains("f.part is a folder"), "{error}");
    }

    #[test]
    fn what_somebody_writes_is_not_replaced() {
        let folder = scratch();
        let target = folder.path().join("f");
        let writer = std::fs::File::open(theirs(folder.path())).unwrap();
        writer.lock().unwrap();
        for is_linked in [false, true] {
            if is_linked {
                std::fs::hard_link(folder.path().join("f.part"), folder.path().join("g")).unwrap();
            }
            let error = Reserved::new(&target, true).unwrap_err();
            assert!(error.to_string().contains("another ringhaul is writing"), "{error}");
        }
        drop(writer);
        drop(Reserved::new(&target, true).unwrap());
    }

    #[test]
    fn unknown_size_is_cut_to_what_came() {
        let folder = scratch();
        let target = folder.path().join("f");
        let output = Reserved::new(&target, false).unwrap();
        let output = output.allocate(None, DirectPolicy::Auto).unwrap();
        write(&output, &[2; 100], 0);
        output.commit(60).unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), vec![2; 60]);
    }

    #[test]
    fn a_dropped_part_is_removed_unless_kept() {
        let folder = scratch();
        let target = folder.path().join("f");
        let part = folder.path().join("f.part");
        drop(Reserved::new(&target, false).unwrap());
        assert!(!part.exists());
        let reserved = Reserved::new(&target, false).unwrap();
        let output = reserved.allocate(Some(1), DirectPolicy::Never).unwrap();
        output.keep_part();
        drop((reserved, output));
        assert!(part.exists() && !target.exists());
        // Left over and locked by nobody: reused.
        drop(Reserved::new(&target, false).unwrap());
        assert!(!part.exists());
    }

    #[test]
    fn bytes_that_are_there_stay() {
        let folder = scratch();
        let target = folder.path().join("f");
        for policy in [DirectPolicy::Never, DirectPolicy::Always] {
            let made = Reserved::new(&target, true).unwrap();
            let before = made.allocate(Some(9000), DirectPolicy::Never).unwrap();
            write(&before, &[7; 9000], 0);
            before.keep_part();
            drop((before, made));
            let reserved = Reserved::new(&target, true).unwrap();
            let first = reserved.allocate(Some(8500), policy).unwrap();
            // A second attempt, over what the first one wrote.
            write(&first, &[1; 4096], 0);
            drop(first);
            let second = reserved.allocate(Some(8500), policy).unwrap();
            second.commit(8500).unwrap();
            assert_eq!(std::fs::read(&target).unwrap(), [&[1; 4096][..], &[7; 4404]].concat());
        }
    }

    #[test]
    fn what_was_cut_meanwhile_is_not_committed() {
        let folder = scratch();
        let target = folder.path().join("f");
        let reserved = Reserved::new(&target, false).unwrap();
        let output = reserved.allocate(Some(5000), DirectPolicy::Never).unwrap();
        write(&output, &[1; 5000], 0);
        std::fs::File::options().write(true).open(output.part_path()).unwrap().set_len(10).unwrap();
        let error = output.commit(5000).unwrap_err();
        assert!(error.to_string().contains("f.part was truncated"), "{error}");
        assert!(!target.exists());
    }

    #[test]
    fn what_was_cut_and_grew_again_is_not_committed() {
        let folder = scratch();
        let target = folder.path().join("f");
        let reserved = Reserved::new(&target, false).unwrap();
        let output = reserved.allocate(Some(50_000), DirectPolicy::Never).unwrap();
        let part = std::fs::File::options().write(true).open(output.part_path()).unwrap();
        let file_system = file::file_system(&part);
        if !file_system.lasting {
            let name = file_system.name;
            return crate::skip::skipped(&format!("{name} may count fewer blocks by itself"));
        }
        write(&output, &[1; 40_960], 0);
        output.place().check_part(50_000).unwrap();
        part.set_len(0).unwrap();
        write(&output, &[1; 9040], 40_960);
        let error = output.commit(50_000).unwrap_err();
        assert!(error.to_string().contains("f.part was truncated"), "{error}");
        assert!(!target.exists());
    }

    #[test]
    fn an_existing_target_is_refused_or_replaced() {
        let folder = scratch();
        let target = folder.path().join("f");
        std::fs::write(&target, "old").unwrap();
        let error = Reserved::new(&target, false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TargetExists);
        let output = Reserved::new(&target, true).unwrap();
        let output = output.allocate(Some(3), DirectPolicy::Never).unwrap();
        write(&output, b"new", 0);
        assert_eq!(std::fs::read(&target).unwrap(), b"old");
        output.commit(3).unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"new");
    }

    #[test]
    fn a_target_that_appears_meanwhile_is_not_replaced() {
        let folder = scratch();
        let target = folder.path().join("f");
        let output = Reserved::new(&target, false).unwrap();
        let output = output.allocate(Some(3), DirectPolicy::Never).unwrap();
        write(&output, b"new", 0);
        std::fs::write(&target, "theirs").unwrap();
        assert_eq!(output.commit(3).unwrap_err().kind(), ErrorKind::TargetExists);
        assert_eq!(std::fs::read(&target).unwrap(), b"theirs");
        assert_eq!(std::fs::read(folder.path().join("f.part")).unwrap(), b"new");
    }

    #[test]
    fn one_writer_at_a_time() {
        let folder = scratch();
        let target = folder.path().join("f");
        let first = Reserved::new(&target, false).unwrap();
        let error = Reserved::new(&target, false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TargetUnusable);
        assert!(error.to_string().contains("another ringhaul"), "{error}");
        drop(first);
        drop(Reserved::new(&target, false).unwrap());
    }

    #[test]
    fn unusable_places_are_named() {
        let folder = scratch();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let link = folder.path().join("f.part");
        std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
        for target in [
            folder.path().join("missing/f"),
            file.join("f"),
            folder.path().to_owned(),
            folder.path().join("f"),
        ] {
            let error = Reserved::new(&target, false).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TargetUnusable, "{error}");
        }
    }

    #[test]
    fn too_large_a_file_is_refused_at_preallocation() {
        let folder = scratch();
        let reserved = Reserved::new(&folder.path().join("f"), false).unwrap();
        let error = reserved.allocate(Some(1 << 50), DirectPolicy::Auto).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::DiskFull, "{error}");
        drop(reserved);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
