//! The part file and its way to the final name.
//!
//! States: reserved (part file made and locked, nothing asked of any server yet) -> allocated
//! (size known, space reserved, direct or buffered decided) -> committed (synced, renamed, folder
//! synced) or dropped (the part file is removed, unless it was said to keep it).

use crate::base::limits::{PART_SUFFIX, SPAN_ALIGN_BYTES};
use crate::base::size::{MIB, format_bytes};
use crate::base::{Error, ErrorKind, Result};
use crate::io::buffers::Block;
use crate::io::file::{self, BlockFile, DirectAlign};
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Files below this are written through the page cache: direct writes gain nothing where all of
/// it fits the cache, and the consumer probably reads it at once (engineering notes, part 4).
const DIRECT_BYTES_MIN: u64 = 64 * MIB;
/// How often the part file's name may be found to lead elsewhere before that is an error.
const RESERVE_TRIES_MAX: u32 = 8;

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

/// The target's name, and the part file that is ours alone.
#[derive(Debug)]
pub struct Reserved {
    file: File,
    names: Names,
}

/// A part file that takes blocks.
pub struct Output {
    file: BlockFile,
    names: Names,
    buffered_reason: Option<String>,
}

#[derive(Debug)]
struct Names {
    target: PathBuf,
    part: PathBuf,
    replace: bool,
    keep_part: AtomicBool,
}

impl Reserved {
    /// Makes and locks `TARGET.part`. Refuses an existing target unless `replace`, and a part
    /// file that another process is writing. A part file nobody writes is left over and reused.
    pub fn new(target: &Path, replace: bool) -> Result<Self> {
        check_target(target, replace)?;
        let mut part = target.as_os_str().to_owned();
        part.push(PART_SUFFIX);
        let part = PathBuf::from(part);
        let file = open_and_lock(&part)?;
        let keep_part = AtomicBool::new(false);
        let names = Names { target: target.to_owned(), part, replace, keep_part };
        let reserved = Self { file, names };
        let emptied = reserved.file.set_len(0);
        emptied.map_err(|e| disk_error(e, "cannot empty", &reserved.names.part))?;
        Ok(reserved)
    }

    /// Takes the file to its size, if it is known, and decides how blocks are written.
    pub fn allocate(self, total: Option<u64>, policy: DirectPolicy) -> Result<Output> {
        if let Some(total) = total {
            self.reserve_space(total).map_err(|e| {
                let what = format!("cannot reserve {} for", format_bytes(total));
                disk_error(e, &what, &self.names.part)
            })?;
        }
        let (direct, buffered_reason) = match self.open_direct(total, policy) {
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
        let Self { file, names } = self;
        Ok(Output { file: BlockFile::new(file.into(), direct), names, buffered_reason })
    }

    /// ext4 takes all free space before it says that it is not enough, and the machine's other
    /// programs with it: so look first.
    fn reserve_space(&self, total: u64) -> io::Result<()> {
        if file::free_bytes(&self.file).is_ok_and(|free| free < total) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        file::preallocate(&self.file, total).map(drop)
    }

    /// The same file opened with O_DIRECT, or why not.
    fn open_direct(&self, total: Option<u64>, policy: DirectPolicy) -> Result<OwnedFd, String> {
        if policy == DirectPolicy::Never {
            return Err("not wanted".into());
        }
        let Some(total) = total else {
            return Err("the size is not known beforehand".into());
        };
        let file_system = file::file_system(&self.file);
        if policy == DirectPolicy::Auto {
            if total < DIRECT_BYTES_MIN {
                return Err(format!("the file is below {}", format_bytes(DIRECT_BYTES_MIN)));
            }
            if !file_system.direct_pays {
                return Err(format!("{} gains nothing from it", file_system.name));
            }
        }
        let align = file::direct_align(&self.file);
        match align {
            DirectAlign::Refused => return Err(format!("{} refuses it", file_system.name)),
            DirectAlign::Bytes { memory, offset } if memory.max(offset) > 4096 => {
                return Err(format!("{} wants {offset}-byte alignment", file_system.name));
            }
            DirectAlign::Bytes { .. } | DirectAlign::Unknown => {}
        }
        let direct = file::open_direct(&self.names.part, &self.file)
            .map_err(|e| format!("{}: {e}", file_system.name))?;
        // Where the kernel names no alignment only a write can tell. It leaves a written block in
        // reserved space, which costs the first real write its fast path: not done without need.
        if align == DirectAlign::Unknown && total >= SPAN_ALIGN_BYTES {
            file::try_direct_write(&direct).map_err(|e| format!("{}: {e}", file_system.name))?;
        }
        Ok(direct)
    }
}

impl Output {
    /// Writes a block at its offset; answers when the kernel has taken all of it.
    pub async fn write(&self, block: Block, offset: u64) -> Result<()> {
        let written = self.file.write(block, offset).await;
        written.map_err(|e| disk_error(e, "cannot write", &self.names.part))
    }

    /// Whether as many writes are on their way as are made at a time.
    pub fn is_saturated(&self) -> bool {
        self.file.is_saturated()
    }

    /// Whether blocks bypass the page cache.
    pub fn is_direct(&self) -> bool {
        self.file.is_direct()
    }

    /// Why blocks go through the page cache, if they do by decision.
    pub fn buffered_reason(&self) -> Option<&str> {
        self.buffered_reason.as_deref()
    }

    /// The part file's name.
    pub fn part_path(&self) -> &Path {
        &self.names.part
    }

    /// The part file stays when this value is dropped.
    pub fn keep_part(&self) {
        self.names.keep_part.store(true, Ordering::Relaxed);
    }

    /// A handle for reading back what was written.
    pub fn open_for_read_back(&self) -> Result<File> {
        file::open_for_read_back(&self.names.part, self.is_direct())
            .map_err(|e| disk_error(e, "cannot read back", &self.names.part))
    }

    /// Makes `bytes` bytes durable under the final name: data, name and folder, in this order.
    /// If someone has taken the name meanwhile, the part file stays.
    pub fn commit(&self, bytes: u64) -> Result<PathBuf> {
        let Names { target, part, replace, .. } = &self.names;
        // What could not be preallocated may end in a file that is too long.
        self.file.set_len(bytes).map_err(|e| disk_error(e, "cannot size", part))?;
        self.file.sync_data().map_err(|e| disk_error(e, "cannot sync", part))?;
        let renamed = if *replace {
            std::fs::rename(part, target)
        } else {
            file::rename_no_replace(part, target)
        };
        match renamed {
            Ok(()) => self.keep_part(), // There is none any more; its name may be another's.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                self.keep_part();
                return Err(Error::new(
                    ErrorKind::TargetExists,
                    format!("{} appeared during the download", target.display()),
                )
                .advise(format!("the complete file is kept as {}", part.display())));
            }
            Err(e) => {
                self.keep_part();
                return Err(disk_error(e, "cannot rename", part)
                    .advise(format!("the complete file is kept as {}", part.display())));
            }
        }
        let synced = file::sync_folder(folder_of(target));
        synced.map_err(|e| disk_error(e, "cannot sync the folder of", target))?;
        Ok(target.clone())
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        if !self.keep_part.load(Ordering::Relaxed) {
            // Gone already is as good; what else could fail cannot be helped here.
            let _ = std::fs::remove_file(&self.part);
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn check_target(target: &Path, replace: bool) -> Result<()> {
    let folder = folder_of(target);
    match std::fs::metadata(folder) {
        Ok(meta) if meta.is_dir() => {}
        Ok(_) => {
            let what = format!("{} is not a folder", folder.display());
            return Err(Error::new(ErrorKind::TargetUnusable, what));
        }
        Err(e) => {
            let what = format!("the output folder {} cannot be used", folder.display());
            return Err(Error::new(ErrorKind::TargetUnusable, what)
                .caused_by(e)
                .advise("create it, or choose another place with -o or -d"));
        }
    }
    match std::fs::symlink_metadata(target) {
        Ok(meta) if meta.is_dir() => {
            let what = format!("{} is a folder", target.display());
            Err(Error::new(ErrorKind::TargetUnusable, what))
        }
        Ok(_) if !replace => {
            let what = format!("{} exists", target.display());
            Err(Error::new(ErrorKind::TargetExists, what))
        }
        _ => Ok(()),
    }
}

/// Opens the part file and takes its lock; whoever renamed or removed it between the two makes us
/// try again.
fn open_and_lock(part: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    // A link planted under the name would lead our writes elsewhere.
    options.write(true).create(true).truncate(false).custom_flags(libc::O_NOFOLLOW);
    for _ in 0..RESERVE_TRIES_MAX {
        let file = options.open(part).map_err(|e| disk_error(e, "cannot create", part))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let what = format!("another ringhaul is writing {}", part.display());
                return Err(Error::new(ErrorKind::TargetUnusable, what)
                    .advise("wait for it, or choose another name with -o"));
            }
            // Some network file systems have no locks; then nobody can be warned.
            Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(e)) => return Err(disk_error(e, "cannot lock", part)),
        }
        if file::is_named(&file, part).map_err(|e| disk_error(e, "cannot look at", part))? {
            return Ok(file);
        }
    }
    let what = format!("{} is replaced again and again", part.display());
    Err(Error::new(ErrorKind::TargetUnusable, what))
}

fn disk_error(error: io::Error, what: &str, path: &Path) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::DiskFull,
        io::ErrorKind::FileTooLarge => ErrorKind::DiskFull,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            ErrorKind::TargetUnusable
        }
        io::ErrorKind::InvalidFilename | io::ErrorKind::NotADirectory | io::ErrorKind::NotFound => {
            ErrorKind::TargetUnusable
        }
        _ => match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM) => ErrorKind::ResourceLimit,
            Some(libc::ELOOP) => ErrorKind::TargetUnusable,
            _ => ErrorKind::DiskIo,
        },
    };
    Error::new(kind, format!("{what} {}", path.display())).caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::buffers::Pool;
    use crate::io::uring::Ring;

    fn scratch() -> tempfile::TempDir {
        tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap()
    }

    fn write(output: &Output, bytes: &[u8], offset: u64) {
        let pool = Pool::new(1).unwrap();
        let ring = Ring::new().unwrap();
        ring.run(async {
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
        }
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
        let output = Reserved::new(&target, false).unwrap();
        let output = output.allocate(Some(1), DirectPolicy::Never).unwrap();
        output.keep_part();
        drop(output);
        assert!(part.exists() && !target.exists());
        // Left over and locked by nobody: reused.
        drop(Reserved::new(&target, false).unwrap());
        assert!(!part.exists());
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
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
