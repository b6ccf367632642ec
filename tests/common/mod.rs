//! The one kit of all tests: its parts, and the checks and limits that all of them share.
//!
//! Each test binary declares it with `mod common` and uses its own part. Knows the public API and
//! the binary only. Waits are for conditions with a bound, never for a time.

#![allow(dead_code, unused_imports, reason = "each test binary uses its own part")]

pub(crate) mod child;
pub(crate) mod pki;
pub(crate) mod process;
pub(crate) mod run;
pub(crate) mod scene;
pub(crate) mod site;
pub(crate) mod skip;
pub(crate) mod tools;
pub(crate) mod watch;

pub(crate) use run::{Place, Run, assert_line, expect_error, fetch};
pub(crate) use scene::{Ended, Scene};
pub(crate) use site::{Site, both_schemes, distant, paced, serve, slowed, status};
pub(crate) use skip::skipped;
pub(crate) use watch::Watch;

use ringhaul::server::content;
use ringhaul::{Algorithm, Checksum};
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Seed of every file the tests serve, unless several must differ.
pub(crate) const SEED: u64 = 0x5eed;
/// The name of every downloaded file in its folder.
pub(crate) const NAME: &str = "file.bin";

/// What takes longer hangs. No run takes a quarter of it on an idle machine, and the timeouts that
/// tests set to rule them out as the cause of an end (60 s) are longer.
pub(crate) const HANG_LIMIT: Duration = Duration::from_secs(45);
/// The limit for what ends by itself, but on another thread: shorter than the client's timeouts.
const SOON: Duration = Duration::from_secs(5);
/// Bytes compared at a time.
const COMPARED_BYTES: usize = 1 << 20;

/// Runs `work` on a thread of its own; panics rather than waits when it hangs.
pub(crate) fn bounded<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (sender, receiver) = mpsc::channel();
    let worker = thread::spawn(move || {
        // Nobody listens any more once the limit has passed.
        let _ = sender.send(work());
    });
    let outcome = receiver.recv_timeout(HANG_LIMIT);
    if let Err(mpsc::RecvTimeoutError::Timeout) = outcome {
        panic!("{what} hangs: {HANG_LIMIT:?} have passed");
    }
    if let Err(panic) = worker.join() {
        std::panic::resume_unwind(panic);
    }
    outcome.expect("a worker that does not panic sends its outcome")
}

/// Runs all cases at once: for those that wait for a server or a timeout rather than compute. A
/// case that fails says what; the others go on to their end.
pub(crate) fn at_once<T: Send>(cases: impl IntoIterator<Item = T>, run: impl Fn(T) + Sync) {
    thread::scope(|scope| {
        for case in cases {
            let run = &run;
            scope.spawn(move || run(case));
        }
    });
}

/// Joins `thread`; panics rather than waits when it does not end.
pub(crate) fn wait_for_end<T: Send + 'static>(thread: thread::JoinHandle<T>) -> T {
    bounded("the thread", move || thread.join().expect("the thread does not panic"))
}

/// Waits until `condition` holds; panics if it does not come to hold within [`SOON`].
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    eventually_within(SOON, what, condition);
}

/// The same with another limit.
pub(crate) fn eventually_within(limit: Duration, what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < limit, "not so after {limit:?}: {what}");
        // sleep: the condition is another thread's, process's or the kernel's; nobody rings.
        thread::sleep(Duration::from_millis(1));
    }
}

/// The file is `size_bytes` long and holds the content of `seed`.
#[track_caller]
pub(crate) fn assert_content(path: &Path, seed: u64, size_bytes: u64) {
    let mut file = File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let length = file.metadata().expect("an open file has metadata").len();
    assert_eq!(length, size_bytes, "length of {}", path.display());
    let mut piece = vec![0; COMPARED_BYTES];
    let mut offset = 0;
    while offset < size_bytes {
        let read = file.read(&mut piece).expect("the file can be read");
        assert!(read > 0, "the file shrinks while it is compared");
        let compared = content::verify(seed, offset, &piece[..read]);
        assert_eq!(compared, Ok(()), "first wrong byte of {}", path.display());
        offset += read as u64;
    }
}

/// The digest of the first `size_bytes` bytes of the content of `seed`; printed as
/// `sha256:digits`.
pub(crate) fn checksum(seed: u64, size_bytes: u64) -> Checksum {
    let expected = content::sha256(seed, size_bytes).to_vec();
    Checksum { algorithm: Algorithm::Sha256, expected }
}

/// The digits of that digest.
pub(crate) fn sha256_digits(seed: u64, size_bytes: u64) -> String {
    checksum(seed, size_bytes).to_string().split_off("sha256:".len())
}

/// Names of the entries of a folder, sorted.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder can be listed");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("a folder's entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// A folder on the file system of the build: a disk's, where O_DIRECT means something.
pub(crate) fn scratch() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("the build's folder is writable")
}
