//! Whether the bytes that an earlier run has left are still those it wrote: each run is read back
//! and compared with its CRC-32C, on a thread of its own and at low priority, while the download
//! goes on. Must not know what becomes of what does not fit.
//!
//! States: checking -> over (every run compared, a read failed, or dropped).

use super::output::Output;
use super::read_back::Reader;
use crate::base::{Error, ErrorKind, Result, Span, SpanSet};
use crate::digest::crc::{Run, crc32c, crc32c_joined};
use crate::io::priority;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// A running check. Dropping it ends the thread.
pub struct Recheck {
    is_over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

/// What the thread works with.
struct Checker<F> {
    reader: Reader,
    on_checked: F,
    is_over: Arc<AtomicBool>,
}

impl Recheck {
    /// Starts to read `runs` back. The thread calls `on_checked` with the bytes of each piece that
    /// is read, and `on_end` once, with the bytes that are not what was written there, or why they
    /// could not be read; not at all if this value is dropped before.
    ///
    /// # Errors
    /// ResourceLimit, if there is no thread.
    pub fn start(
        output: &Output,
        runs: Vec<Run>,
        on_checked: impl Fn(u64) + Send + 'static,
        on_end: impl FnOnce(Result<SpanSet>) + Send + 'static,
    ) -> Result<Self> {
        let is_over = Arc::new(AtomicBool::new(false));
        let reader = Reader::new(output);
        let mut checker = Checker { reader, on_checked, is_over: is_over.clone() };
        let work = move || {
            priority::lower_this_thread();
            if let Some(outcome) = checker.check_all(&runs) {
                on_end(outcome);
            }
        };
        let spawned = thread::Builder::new().name("ringhaul-recheck".into()).spawn(work);
        let thread = spawned.map_err(|e| {
            Error::new(ErrorKind::ResourceLimit, "cannot start the thread that checks kept bytes")
                .caused_by(e)
        })?;
        Ok(Self { is_over, thread: Some(thread) })
    }
}

impl Drop for Recheck {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // At most one block is still being read. Its panic has been reported as no outcome.
            let _ = thread.join();
        }
    }
}

impl<F: Fn(u64)> Checker<F> {
    /// The thread's life; `None` if it was ended from outside.
    fn check_all(&mut self, runs: &[Run]) -> Option<Result<SpanSet>> {
        let mut wrong = SpanSet::new();
        for run in runs {
            match self.sum(run.span)? {
                Ok(crc32c) if crc32c == run.crc32c => {}
                Ok(_) => _ = wrong.insert(run.span),
                Err(error) => return Some(Err(error)),
            }
        }
        Some(Ok(wrong))
    }

    /// The CRC-32C of what the file holds there; `None` if the check was ended from outside.
    fn sum(&mut self, span: Span) -> Option<Result<u32>> {
        let mut crc = 0;
        let mut rest = span;
        while !rest.is_empty() {
            if self.is_over.load(Ordering::Relaxed) {
                return None;
            }
            let bytes = match self.reader.read(rest) {
                Ok(bytes) => bytes,
                Err(error) => return Some(Err(error)),
            };
            let read_bytes = bytes.len() as u64;
            crc = crc32c_joined(crc, crc32c(bytes), read_bytes);
            (self.on_checked)(read_bytes);
            rest = Span::new(rest.start() + read_bytes, rest.end());
        }
        Some(Ok(crc))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::limits::BLOCK_BYTES;
    use crate::disk::output::{DirectPolicy, Reserved};
    use std::fs::OpenOptions;
    use std::os::unix::fs::FileExt;
    use std::sync::mpsc;

    const BLOCK: u64 = BLOCK_BYTES as u64;
    const TOTAL: u64 = 5 * BLOCK + 4321;

    /// A part file with three runs, of which the second one and the third one have a wrong byte.
    fn check(policy: DirectPolicy, harm: &[u64]) -> (Result<SpanSet>, u64) {
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let reserved = Reserved::new(&folder.path().join("f"), false).unwrap();
        let output = reserved.allocate(Some(TOTAL), policy).unwrap();
        let content: Vec<u8> = (0..=250u8).cycle().take(usize::try_from(TOTAL).unwrap()).collect();
        let file = OpenOptions::new().write(true).open(output.part_path()).unwrap();
        file.write_all_at(&content, 0).unwrap();
        let bytes = |span: Span| {
            &content[usize::try_from(span.start()).unwrap()..usize::try_from(span.end()).unwrap()]
        };
        let runs: Vec<Run> =
            spans().iter().map(|&span| Run { span, crc32c: crc32c(bytes(span)) }).collect();
        for &at in harm {
            file.write_all_at(&[bytes(Span::new(at, at + 1))[0] ^ 1], at).unwrap();
        }
        let ((sender, receiver), (count, counts)) = (mpsc::channel(), mpsc::channel());
        let on_checked = move |bytes| count.send(bytes).unwrap();
        let on_end = move |end| sender.send(end).unwrap();
        let _recheck = Recheck::start(&output, runs, on_checked, on_end).unwrap();
        let outcome = receiver.recv().unwrap();
        (outcome, counts.try_iter().sum())
    }

    fn spans() -> [Span; 3] {
        [Span::new(0, 4096), Span::new(BLOCK, 3 * BLOCK + 4096), Span::new(4 * BLOCK, TOTAL)]
    }

    #[test]
    fn each_run_with_a_wrong_byte_is_named() {
        let all: u64 = spans().iter().map(|span| span.len()).sum();
        for policy in [DirectPolicy::Always, DirectPolicy::Never] {
            let (outcome, checked_bytes) = check(policy, &[]);
            assert_eq!((outcome.unwrap().covered(), checked_bytes), (0, all));
            // A byte outside of all runs is nobody's.
            let (outcome, _) = check(policy, &[3 * BLOCK, 5000, TOTAL - 1]);
            let wrong: Vec<Span> = outcome.unwrap().iter().collect();
            assert_eq!(wrong, [spans()[1], spans()[2]]);
        }
    }
}
