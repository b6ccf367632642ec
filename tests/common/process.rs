//! What a test has and leaves in its own process: threads, file descriptors, rights.

use super::eventually;
use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Threads and descriptors belong to the process, so tests that count them run one at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Takes the process for one test, and checks at its end that nothing was left in it.
pub(crate) struct Process {
    descriptors: usize,
    _alone: MutexGuard<'static, ()>,
}

impl Process {
    pub(crate) fn alone() -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        eventually("no thread of an earlier test is left", || threads().is_empty());
        Self { descriptors: descriptors(), _alone: alone }
    }

    /// To be called when servers have been stopped.
    pub(crate) fn assert_as_before(self) {
        eventually("every thread of the engine has ended", || threads().is_empty());
        let before = self.descriptors;
        eventually("every file descriptor is closed", || descriptors() == before);
    }
}

/// Names of the engine's threads, and of those the kernel made for its rings.
fn threads() -> Vec<String> {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else { return Vec::new() };
    // A thread may end between its listing and its reading.
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    let ours = |name: &String| ["ringhaul", "iou-"].iter().any(|p| name.starts_with(p));
    names.filter(ours).collect()
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("procfs is mounted").count()
}

/// Whether this process may pin memory without limit (CAP_IPC_LOCK): registration then succeeds.
pub(crate) fn may_pin_memory() -> bool {
    const CAP_IPC_LOCK: u64 = 1 << 14;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let mask = mask.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    mask.is_some_and(|mask| mask & CAP_IPC_LOCK != 0)
}
