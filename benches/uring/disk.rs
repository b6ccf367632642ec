//! Writing 1 MiB blocks through the small ring: page cache, the same with RWF_DONTCACHE, O_DIRECT.

use crate::kernel::{Completion, Layout, Place, Ring, cached_bytes, kernel_threads_s};
use crate::load::{Cost, Meter};
use ringhaul::internal::base::limits::BLOCK_BYTES;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Instant;

/// How a file is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Buffered,
    DontCache,
    Direct,
}

/// What writing a file has cost.
pub(crate) struct Written {
    /// Until everything was handed over; the processor time of this process until it was durable.
    pub(crate) cost: Cost,
    /// Until it was durable.
    pub(crate) durable_s: f64,
    /// Processor time of all kernel threads meanwhile.
    pub(crate) kernel_s: f64,
    /// Bytes in the page cache when everything was handed over, and when it was durable.
    pub(crate) cached: [u64; 2],
}

/// Writes `blocks` blocks to a new file in `folder`, `depth` of them at a time. Unsupported is what
/// the kernel or the file system lacks.
pub(crate) fn write(folder: &Path, blocks: usize, mode: Mode, depth: usize) -> io::Result<Written> {
    let path = folder.join("written");
    let flags = if mode == Mode::Direct { libc::O_DIRECT } else { 0 };
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create_new(true).custom_flags(flags).open(&path)?;
    // Gone with its last descriptor.
    std::fs::remove_file(&path)?;
    file.set_len((blocks * BLOCK_BYTES) as u64)?;
    let mut ring = Ring::new(true, Layout::Blocks, depth, 1, 0)?;
    let number = ring.adopt(file.try_clone()?);
    let (meter, kernel_s) = (Meter::start(), kernel_threads_s());
    let began = Instant::now();
    let flags = if mode == Mode::DontCache { libc::RWF_DONTCACHE } else { 0 };
    write_all(&mut ring, number, blocks, depth, flags)?;
    let handed_over = meter.stop();
    let cached = cached_bytes(&file)?;
    file.sync_data()?;
    let durable_s = began.elapsed().as_secs_f64();
    Ok(Written {
        cost: Cost { wall_s: handed_over.wall_s, ..meter.stop() },
        durable_s,
        kernel_s: kernel_threads_s() - kernel_s,
        cached: [cached, cached_bytes(&file)?],
    })
}

fn write_all(
    ring: &mut Ring,
    file: usize,
    blocks: usize,
    depth: usize,
    flags: i32,
) -> io::Result<()> {
    let mut next = 0;
    let mut free: Vec<usize> = (0..depth).collect();
    let mut completions: Vec<Completion> = Vec::new();
    while next < blocks || free.len() < depth {
        while next < blocks
            && let Some(block) = free.pop()
        {
            let place = Place { block, from: 0, bytes: BLOCK_BYTES };
            ring.write(file, place, (next * BLOCK_BYTES) as u64, flags);
            next += 1;
        }
        ring.wait(&mut completions)?;
        for completion in completions.drain(..) {
            let bytes = completion.result.map_err(lacking)?;
            assert_eq!(bytes, BLOCK_BYTES, "a block is written whole");
            free.push(completion.connection);
        }
    }
    Ok(())
}

fn lacking(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(libc::EOPNOTSUPP | libc::EINVAL) => io::ErrorKind::Unsupported.into(),
        _ => error,
    }
}

/// Whether the folder's file system opens files with O_DIRECT is seen when one is opened.
pub(crate) fn is_lacking(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported || error.raw_os_error() == Some(libc::EINVAL)
}
