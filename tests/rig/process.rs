//! What a test leaves in its own process: threads of the engine and file descriptors.

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
