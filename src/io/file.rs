//! Files as a worker sees them: write a block at an offset, past the page cache where granted; and
//! the few path operations the output needs, each one system call.

use super::buffers::Block;
use super::driver;
use crate::base::Span;
use crate::base::limits::SPAN_ALIGN_BYTES;
use rustix::fs::{
    self, AtFlags, CWD, FallocateFlags, OFlags, RenameFlags, StatxFlags, Timespec, Timestamps,
};
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::Semaphore;

#[allow(clippy::cast_possible_truncation, reason = "4096")]
const ALIGN: usize = SPAN_ALIGN_BYTES as usize;

/// Direct writes in flight per file: 1 MiB at depth 4 reaches the speed of depth 16 (measured).
const DIRECT_WRITES_MAX: usize = 8;
/// Buffered writes in flight per file: each occupies a thread of the kernel's pool on ext4.
const BUFFERED_WRITES_MAX: usize = 4;

/// A file that takes blocks at offsets, shared by all shards.
pub struct BlockFile {
    /// Writes through the page cache.
    buffered: Arc<OwnedFd>,
    /// Opened with O_DIRECT, if aligned blocks bypass the page cache.
    direct: Option<Arc<OwnedFd>>,
    /// Whether the file system has refused a direct write, so that no more are tried.
    direct_failed: AtomicBool,
    /// One permit for each write that may be in flight.
    places: Semaphore,
}

impl BlockFile {
    /// Writes through `buffered`, and through `direct` (the same file opened with O_DIRECT) what
    /// is aligned.
    pub fn new(buffered: OwnedFd, direct: Option<OwnedFd>) -> Self {
        let places = if direct.is_some() { DIRECT_WRITES_MAX } else { BUFFERED_WRITES_MAX };
        Self {
            buffered: Arc::new(buffered),
            direct: direct.map(Arc::new),
            direct_failed: AtomicBool::new(false),
            places: Semaphore::new(places),
        }
    }

    /// Whether blocks bypass the page cache.
    pub fn is_direct(&self) -> bool {
        self.direct.is_some() && !self.direct_failed.load(Ordering::Relaxed)
    }

    /// Whether as many writes are on their way as are made at a time.
    pub fn is_saturated(&self) -> bool {
        self.places.available_permits() == 0
    }

    /// Writes the whole block at `offset`: the aligned part direct, an odd tail through the page
    /// cache, where it needs no padding.
    pub async fn write(&self, block: Block, offset: u64) -> io::Result<()> {
        let _place = self.places.acquire().await.expect("the semaphore is never closed");
        let len = block.as_ref().len();
        let mut done = 0;
        if let Some(direct) = &self.direct
            && self.is_direct()
            && offset.is_multiple_of(SPAN_ALIGN_BYTES)
        {
            let aligned = len - len % ALIGN;
            match write_all(direct, &block, 0, aligned, offset).await {
                Ok(()) => done = aligned,
                // The file system took the flag at open and refuses now: it may do so for good.
                Err(e) if e.raw_os_error() == Some(libc::EINVAL) => {
                    self.direct_failed.store(true, Ordering::Relaxed);
                }
                Err(e) => return Err(e),
            }
        }
        write_all(&self.buffered, &block, done, len, offset).await
    }

    /// Waits for the file's data to be on stable storage (blocking).
    pub fn sync_data(&self) -> io::Result<()> {
        Ok(fs::fdatasync(&self.buffered)?)
    }

    /// Cuts or extends the file (blocking).
    pub fn set_len(&self, bytes: u64) -> io::Result<()> {
        Ok(fs::ftruncate(&self.buffered, bytes)?)
    }
}

/// Writes `block[from..to]`, whose first byte belongs at `offset + from`.
async fn write_all(
    fd: &Arc<OwnedFd>,
    block: &Block,
    mut from: usize,
    to: usize,
    offset: u64,
) -> io::Result<()> {
    while from < to {
        match driver::write(fd, block.clone(), from, to, offset + from as u64).await {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => from += written,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Fills a new, empty file with `block`: what is aligned past the page cache, and an odd tail
/// through it, after [`set_direct`]. Returns whether the file system took that; where it refuses,
/// all of it has gone through the cache.
pub async fn fill_direct(fd: &Arc<OwnedFd>, block: &Block) -> io::Result<bool> {
    let bytes = block.as_ref().len();
    let aligned = bytes - bytes % ALIGN;
    let (done, is_taken) = match write_all(fd, block, 0, aligned, 0).await {
        Ok(()) => (aligned, true),
        // It took the flag, and refuses now.
        Err(e) if e.raw_os_error() == Some(libc::EINVAL) => (0, false),
        Err(e) => return Err(e),
    };
    if done < bytes {
        set_direct(fd, false)?;
        write_all(fd, block, done, bytes, 0).await?;
    }
    Ok(is_taken)
}

/// Has writes through this handle bypass the page cache from now on, or not; an error where the
/// file system does not do that.
pub fn set_direct(file: impl AsFd, direct: bool) -> io::Result<()> {
    let mut flags = fs::fcntl_getfl(&file)?;
    flags.set(OFlags::DIRECT, direct);
    Ok(fs::fcntl_setfl(file, flags)?)
}

/// Sets the time at which a file was changed last.
pub fn set_modified(file: impl AsFd, time: SystemTime) -> io::Result<()> {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let tv_sec = since.as_secs().try_into().unwrap_or(i64::MAX);
    let modified = Timespec { tv_sec, tv_nsec: since.subsec_nanos().into() };
    let unchanged = Timespec { tv_sec: 0, tv_nsec: fs::UTIME_OMIT };
    let times = Timestamps { last_access: unchanged, last_modification: modified };
    Ok(fs::futimens(file, &times)?)
}

/// What became of a preallocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allocation {
    /// Space is reserved and the size is set.
    Reserved,
    /// The file system cannot reserve; the size is set, the file is sparse.
    Sparse,
}

/// Reserves `bytes` (fallocate mode 0, which also sets the size: on ext4 that is what keeps direct
/// writes asynchronous), or makes the file sparse where that is not supported.
pub fn preallocate(file: &File, bytes: u64) -> io::Result<Allocation> {
    if bytes == 0 {
        file.set_len(0)?;
        return Ok(Allocation::Reserved);
    }
    if i64::try_from(bytes).is_err() {
        // The kernel counts in i64 and calls more an invalid argument.
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    loop {
        match fs::fallocate(file, FallocateFlags::empty(), 0, bytes) {
            Ok(()) => return Ok(Allocation::Reserved),
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
                file.set_len(bytes)?;
                return Ok(Allocation::Sparse);
            }
            Err(e) => return Err(e.into()),
        }
    }
}

/// Reserves space for the bytes from `from` to `to` without changing the size of the file: a write
/// to them finds room later, also when the disk is full by then. Does nothing where that is not
/// supported.
pub fn reserve_behind(file: &File, from: u64, to: u64) -> io::Result<()> {
    loop {
        match fs::fallocate(file, FallocateFlags::KEEP_SIZE, from, to.saturating_sub(from)) {
            Err(rustix::io::Errno::INTR) => {}
            Err(e @ (rustix::io::Errno::NOSPC | rustix::io::Errno::DQUOT)) => return Err(e.into()),
            Ok(()) | Err(_) => return Ok(()),
        }
    }
}

/// Bytes an ordinary user may still write to the file system of `file`.
pub fn free_bytes(file: impl AsFd) -> io::Result<u64> {
    let stat = fs::fstatvfs(file)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Has the kernel forget what it has cached of a file, as far as that is written out: what is read
/// then comes from the disk or the file server. A wish; nothing depends on it.
pub fn forget_cached(file: &File) {
    _ = fs::fadvise(file, 0, None, fs::Advice::DontNeed);
}

/// Opens `path` a second time with O_DIRECT for writing; an error if it no longer names `file`.
pub fn open_direct(path: &Path, file: &File) -> io::Result<OwnedFd> {
    open_again(path, OFlags::WRONLY | OFlags::DIRECT, file).map(OwnedFd::from)
}

/// Opens `path` for reading past the page cache, or through it where that is refused; an error if
/// it no longer names `file`.
pub fn open_for_read_back(path: &Path, direct: bool, file: &File) -> io::Result<File> {
    // A pipe in its place does not make us wait. (A ring would take it as a wish never to wait.)
    let flags = OFlags::RDONLY | OFlags::NONBLOCK;
    if direct && let Ok(opened) = open_again(path, flags | OFlags::DIRECT, file) {
        return Ok(opened);
    }
    open_again(path, flags, file)
}

/// A second handle of `file`, which has the name `path`; an error of kind `Other` if another file
/// has it now.
fn open_again(path: &Path, flags: OFlags, file: &File) -> io::Result<File> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let opened = File::from(fs::open(path, flags, fs::Mode::empty())?);
    if same_file(&opened, file)? {
        return Ok(opened);
    }
    Err(io::Error::other("another file has its name now"))
}

/// Fills `memory` from `span` of the file. The memory must hold the span rounded up to
/// [`SPAN_ALIGN_BYTES`], which a direct read asks for; a short file is an error.
pub fn read_span(file: &File, span: Span, memory: &mut [u8]) -> io::Result<()> {
    let wanted = usize::try_from(span.len()).expect("one block at most");
    let padded = wanted.next_multiple_of(ALIGN);
    let mut filled = 0;
    while filled < wanted {
        match file.read_at(&mut memory[filled..padded], span.start() + filled as u64) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Makes `to` a copy-on-write clone of `from`: both share their bytes on the disk until one of them
/// is written to. An error where the file system has no clones, or the two are on different ones.
pub fn clone_whole(from: &File, to: &File) -> io::Result<()> {
    Ok(fs::ioctl_ficlone(to, from)?)
}

/// Copies the first bytes of `span`, at least one, within the kernel, which shares them on the disk
/// where it can; returns how many. An error where that is not possible.
pub fn copy_range(from: &File, to: &File, span: Span) -> io::Result<u64> {
    let bytes = usize::try_from(span.len()).unwrap_or(usize::MAX);
    let (mut read_at, mut write_at) = (span.start(), span.start());
    loop {
        match fs::copy_file_range(from, Some(&mut read_at), to, Some(&mut write_at), bytes) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(copied) => return Ok(copied as u64),
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// Whether both handles name the same inode.
pub fn same_file(a: &File, b: &File) -> io::Result<bool> {
    Ok(same_inode(&a.metadata()?, &b.metadata()?))
}

/// Whether `path` itself, and not a link in its place, names `file`; needs no descriptor.
pub fn is_named(file: &File, path: &Path) -> io::Result<bool> {
    match std::fs::symlink_metadata(path) {
        Ok(named) => Ok(same_inode(&named, &file.metadata()?)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

fn same_inode(a: &Metadata, b: &Metadata) -> bool {
    a.dev() == b.dev() && a.ino() == b.ino()
}

/// Renames within one file system and never over an existing file. Where the file system lacks
/// RENAME_NOREPLACE (EINVAL), a hard link does the same; without those too the name is looked up
/// first.
pub fn rename_no_replace(from: &Path, to: &Path) -> io::Result<()> {
    match fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {}
        other => return Ok(other?),
    }
    match fs::linkat(CWD, from, CWD, to, AtFlags::empty()) {
        Ok(()) => Ok(fs::unlinkat(CWD, from, AtFlags::empty())?),
        Err(e @ rustix::io::Errno::EXIST) => Err(e.into()),
        Err(_) if fs::statat(CWD, to, AtFlags::SYMLINK_NOFOLLOW).is_ok() => {
            Err(rustix::io::Errno::EXIST.into())
        }
        Err(_) => std::fs::rename(from, to),
    }
}

/// Ends what a kill has cut short, or another process is at, between the two steps of
/// [`rename_no_replace`] with a hard link: `true` if `to` was the same file as `from`, which has
/// lost that name.
pub fn finish_renaming(from: &Path, to: &Path) -> io::Result<bool> {
    let (Ok(one), Ok(other)) = (std::fs::symlink_metadata(from), std::fs::symlink_metadata(to))
    else {
        return Ok(false);
    };
    if !same_inode(&one, &other) {
        return Ok(false);
    }
    match std::fs::remove_file(from) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(true),
    }
}

/// Makes the folder's entries durable; file systems that cannot sync a folder do not need it.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    let folder =
        fs::open(folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, fs::Mode::empty())?;
    match fs::fsync(folder) {
        Err(rustix::io::Errno::INVAL) => Ok(()),
        other => Ok(other?),
    }
}

/// What the kernel says about O_DIRECT on an open file (STATX_DIOALIGN, Linux 6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectAlign {
    /// The kernel does not say.
    Unknown,
    /// Not supported.
    Refused,
    /// Memory and file offset must be multiples of these.
    Bytes {
        /// Of the memory address.
        memory: u32,
        /// Of offset and length.
        offset: u32,
    },
}

impl DirectAlign {
    /// Whether direct writes of blocks keep it, as far as is known.
    pub fn is_kept_by_blocks(self) -> bool {
        match self {
            Self::Refused => false,
            Self::Bytes { memory, offset } => u64::from(memory.max(offset)) <= SPAN_ALIGN_BYTES,
            Self::Unknown => true,
        }
    }
}

/// Asks the kernel for the alignment of direct writes.
pub fn direct_align(file: impl AsFd) -> DirectAlign {
    let mask = StatxFlags::DIOALIGN;
    match fs::statx(file, c"", AtFlags::EMPTY_PATH, mask) {
        Ok(stat) if stat.stx_mask & mask.bits() != 0 => match stat.stx_dio_offset_align {
            0 => DirectAlign::Refused,
            offset => DirectAlign::Bytes { memory: stat.stx_dio_mem_align, offset },
        },
        _ => DirectAlign::Unknown,
    }
}

/// The kind of file system a file is on, by its magic number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSystem {
    /// Its usual name, or "unknown".
    pub name: &'static str,
    /// Direct writes are real and asynchronous there once space is reserved.
    pub direct_pays: bool,
    /// Reserved space counts as the file's (`st_blocks`) until it is truncated: nothing is
    /// compressed or written elsewhere.
    pub lasting: bool,
    /// It is memory: to reserve space takes as long there as to write to it.
    pub in_memory: bool,
}

/// Names the file system. Only those whose direct path was measured or is documented as real pay;
/// btrfs falls back to the cache for files with checksums, network and user-space ones vary.
pub fn file_system(file: impl AsFd) -> FileSystem {
    let magic = fs::fstatfs(file).map(|s| s.f_type).unwrap_or_default();
    #[allow(
        clippy::cast_sign_loss,
        clippy::cast_possible_truncation,
        clippy::unnecessary_cast,
        reason = "magic numbers are 32-bit patterns"
    )]
    let (name, direct_pays) = match magic as u32 {
        0xEF53 => ("ext4", true),
        0x5846_5342 => ("xfs", true),
        0xF2F5_2010 => ("f2fs", true),
        0x794C_7630 => ("overlayfs", true),
        0x0102_1994 => ("tmpfs", false),
        0x9123_683E => ("btrfs", false),
        0x2FC1_2FC1 => ("zfs", false),
        0x6969 => ("nfs", false),
        0x6573_5546 => ("fuse", false),
        0x0102_1997 => ("9p", false),
        0x4D44 => ("vfat", false),
        0x2011_BAB0 => ("exfat", false),
        _ => ("unknown", false),
    };
    let lasting = matches!(name, "ext4" | "xfs" | "tmpfs");
    FileSystem { name, direct_pays, lasting, in_memory: name == "tmpfs" }
}

/// One aligned 4 KiB write at the start of a preallocated file: some file systems take the flag at
/// open and refuse the first write. What is written is what `file`, the same file, holds there: it
/// may have been durable for long.
pub fn try_direct_write(direct: impl AsFd, file: &File) -> io::Result<()> {
    #[repr(align(4096))]
    struct Page([u8; ALIGN]);
    let mut page = Page([0; ALIGN]);
    file.read_exact_at(&mut page.0, 0)?;
    let written = rustix::io::pwrite(direct, &page.0, 0)?;
    if written == page.0.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::limits::BLOCK_BYTES;
    use crate::io::buffers::Pool;
    use crate::io::driver::{Driver, DriverKind};

    fn scratch() -> tempfile::TempDir {
        // Beside the build output: the system's temporary folder may be a memory file system.
        tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap()
    }

    fn write_and_read(kind: DriverKind, direct: bool, registered: bool) {
        let folder = scratch();
        let path = folder.path().join("f");
        let file = File::create(&path).unwrap();
        let len = BLOCK_BYTES + 4096 + 77;
        assert_eq!(preallocate(&file, len as u64).unwrap(), Allocation::Reserved);
        let second = direct.then(|| open_direct(&path, &file).unwrap());
        if let Some(second) = &second {
            let readable = File::open(&path).unwrap();
            try_direct_write(second, &readable).unwrap();
        }
        let out = BlockFile::new(file.into(), second);
        let expected: Vec<u8> = (0..=250).cycle().take(len).collect();
        let pool = Pool::new(2).unwrap();
        Driver::new(kind).unwrap().run(async {
            if registered {
                driver::register(&pool, 2).unwrap();
                assert_eq!(pool.is_registered(), kind == DriverKind::IoUring);
            }
            for (offset, part) in
                [(0, &expected[..BLOCK_BYTES]), (BLOCK_BYTES, &expected[BLOCK_BYTES..])]
            {
                let mut lease = pool.lease().await;
                assert_eq!(lease.append(part), part.len());
                out.write(lease.freeze(), offset as u64).await.unwrap();
            }
        });
        out.sync_data().unwrap();
        assert_eq!(out.is_direct(), direct);
        assert_eq!(std::fs::read(&path).unwrap(), expected);
    }

    #[test]
    fn blocks_land_at_their_offsets() {
        for direct in [false, true] {
            for registered in [false, true] {
                for kind in DriverKind::BOTH {
                    write_and_read(kind, direct, registered);
                }
            }
        }
    }

    #[test]
    fn rename_never_replaces() {
        let folder = scratch();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::write(&a, "new").unwrap();
        std::fs::write(&b, "old").unwrap();
        let error = rename_no_replace(&a, &b).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&b).unwrap(), b"old");
        std::fs::remove_file(&b).unwrap();
        rename_no_replace(&a, &b).unwrap();
        sync_folder(folder.path()).unwrap();
        assert_eq!(std::fs::read(&b).unwrap(), b"new");
    }

    #[test]
    fn read_back_pads_to_the_alignment() {
        let folder = scratch();
        let path = folder.path().join("f");
        std::fs::write(&path, vec![5; 10_000]).unwrap();
        let written = File::open(&path).unwrap();
        let file = open_for_read_back(&path, true, &written).unwrap();
        let pool = Pool::new(1).unwrap();
        let mut lease = pool.try_lease().unwrap();
        read_span(&file, Span::new(8192, 10_000), lease.spare_mut()).unwrap();
        lease.advance(1808);
        assert!(lease.freeze().as_ref().iter().all(|b| *b == 5));
        let mut lease = pool.try_lease().unwrap();
        assert!(read_span(&file, Span::new(8192, 12_000), lease.spare_mut()).is_err());
    }

    #[test]
    fn ext4_names_its_alignment() {
        let folder = scratch();
        let file = File::create(folder.path().join("f")).unwrap();
        match file_system(&file).name {
            "ext4" => assert_ne!(direct_align(&file), DirectAlign::Refused),
            other => crate::skip::skipped(&format!("scratch files lie on {other}, not on ext4")),
        }
    }
}
