//! What this kernel, limit and file system grant; each finding with its cause and remedy.
//!
//! Everything is tried, not looked up by version: a ring is set up, memory is registered, a file is
//! written to.

use super::buffers::Pool;
use super::driver::{self, Driver, DriverKind};
use super::file::{self, Allocation, DirectAlign};
use super::uring::opcodes;
use crate::base::size::{GIB, MIB, format_bytes};
use crate::base::{Error, ErrorKind, Result};
use rustix::process::{Resource, getrlimit};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

/// Blocks of the arena that registration is tried with: what four connections use.
const TRIED_BLOCKS: u32 = 12;
/// Descriptors a download with the default settings needs, with room to spare.
const DESCRIPTORS_MIN: u64 = 64;
/// Bytes of the file that direct writes are tried on.
const TRIED_FILE_BYTES: u64 = MIB;

/// How good what was found is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FindingState {
    /// As it should be.
    Good,
    /// Works, but slower or with less.
    Degraded,
    /// Needed and not there.
    Missing,
}

/// One thing that was looked at.
#[derive(Debug, Clone)]
pub struct Finding {
    /// What it is.
    pub name: String,
    /// How good it is.
    pub state: FindingState,
    /// What was found.
    pub value: String,
    /// What a state other than good means and comes from.
    pub cause: String,
    /// What to do about it.
    pub remedy: String,
}

impl Finding {
    fn good(name: &str, value: impl Into<String>) -> Self {
        let name = name.into();
        let value = value.into();
        let cause = String::new();
        let remedy = String::new();
        Self { name, state: FindingState::Good, value, cause, remedy }
    }

    fn bad(mut self, state: FindingState, cause: impl Into<String>, remedy: &str) -> Self {
        (self.state, self.cause, self.remedy) = (state, cause.into(), remedy.into());
        self
    }
}

/// Looks at the machine, and at `folder` as a place to download to.
pub fn findings(folder: &Path) -> Vec<Finding> {
    let ring = ring();
    let has_ring = ring.state == FindingState::Good;
    let mut found = vec![kernel(), cores(), engine(has_ring), ring];
    if has_ring {
        found.extend([opcodes_found(), registration()]);
    }
    found.extend([huge_pages(), descriptors(), space(folder), direct_writes(folder)]);
    found
}

/// Bytes an ordinary user may still write below `folder`.
pub fn free_bytes(folder: &Path) -> Result<u64> {
    let stat = rustix::fs::statvfs(folder).map_err(|e| {
        let what = format!("cannot ask {} for its free space", folder.display());
        Error::new(ErrorKind::TargetUnusable, what).caused_by(e)
    })?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Waits until what was written to the file system of `folder`, by whomever, is on its disk
/// (syncfs). A refusal is no more than a wait that was not granted.
pub fn settle(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = rustix::fs::syncfs(folder);
    }
}

fn kernel() -> Finding {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    Finding::good("kernel", format!("Linux {release}"))
}

fn cores() -> Finding {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let found = Finding::good("cores", cores.to_string());
    if cores > 1 {
        return found;
    }
    let cause = "receiving, hashing and decrypting share one core";
    found.bad(FindingState::Degraded, cause, "give the machine or container more cores")
}

/// What a download uses unless it is told otherwise.
fn engine(has_ring: bool) -> Finding {
    if has_ring {
        return Finding::good("engine", "io_uring, as the kernel gives a ring");
    }
    match Driver::new(DriverKind::Epoll) {
        Ok(_) => Finding::good("engine", "epoll, as the kernel refuses a ring").bad(
            FindingState::Degraded,
            "each receive and write is a system call of its own: about a fifth more CPU time",
            "see io_uring",
        ),
        Err(e) => Finding::good("engine", format!("none: neither io_uring nor epoll ({e})")).bad(
            FindingState::Missing,
            "the kernel or a limit forbids both",
            "see io_uring and file descriptors",
        ),
    }
}

fn ring() -> Finding {
    match Driver::new(DriverKind::IoUring) {
        Ok(_) => Finding::good("io_uring", "available"),
        Err(e) => Finding::good("io_uring", format!("refused: {e}")).bad(
            FindingState::Degraded,
            "kernel, sysctl or the container's seccomp profile forbids it",
            "Linux 5.19 or newer; sysctl kernel.io_uring_disabled=0; in a container a seccomp \
             profile that permits io_uring_setup, io_uring_enter and io_uring_register",
        ),
    }
}

fn opcodes_found() -> Finding {
    let name = "io_uring operations";
    match opcodes::missing() {
        Ok(missing) if missing.is_empty() => Finding::good(name, "all there"),
        Ok(missing) => Finding::good(name, format!("without {}", missing.join(", "))).bad(
            FindingState::Missing,
            "the kernel is too old",
            "use Linux 5.19 or newer, or --engine epoll",
        ),
        Err(e) => Finding::good(name, format!("unknown: {e}")).bad(
            FindingState::Degraded,
            "the ring cannot be asked",
            "run 'ringhaul doctor' again",
        ),
    }
}

fn registration() -> Finding {
    let name = "registered buffers";
    let limit = getrlimit(Resource::Memlock);
    let limit = limit.maximum.map_or("unlimited".into(), format_bytes);
    let tried = Pool::new(TRIED_BLOCKS).and_then(|pool| {
        Driver::new(DriverKind::IoUring)?.run(async { driver::register(&pool, TRIED_BLOCKS) })
    });
    match tried {
        Ok(()) => Finding::good(name, format!("granted (memlock limit {limit})")),
        Err(e) => Finding::good(name, format!("refused: {e} (memlock limit {limit})")).bad(
            FindingState::Degraded,
            "the limit of locked memory is below what four connections use; plain writes cost a \
             little more CPU",
            "ulimit -l unlimited, or LimitMEMLOCK=infinity for a service",
        ),
    }
}

fn huge_pages() -> Finding {
    let name = "transparent huge pages";
    let setting = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
    let setting = setting.unwrap_or_default();
    let chosen = setting.split('[').nth(1).and_then(|rest| rest.split(']').next());
    match chosen {
        Some(chosen @ ("always" | "madvise")) => Finding::good(name, chosen),
        other => Finding::good(name, other.unwrap_or("unknown")).bad(
            FindingState::Degraded,
            "blocks lie in small pages, which direct writes pay for",
            "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
        ),
    }
}

fn descriptors() -> Finding {
    let name = "file descriptors";
    match getrlimit(Resource::Nofile).current {
        Some(limit) if limit < DESCRIPTORS_MIN => Finding::good(name, limit.to_string()).bad(
            FindingState::Degraded,
            "each connection needs one",
            "ulimit -n 1024",
        ),
        Some(limit) => Finding::good(name, limit.to_string()),
        None => Finding::good(name, "unlimited"),
    }
}

fn space(folder: &Path) -> Finding {
    let name = "free space";
    match free_bytes(folder) {
        Ok(free) if free < GIB => Finding::good(name, format_bytes(free)).bad(
            FindingState::Degraded,
            format!("little is left below {}", folder.display()),
            "free space, or choose another folder",
        ),
        Ok(free) => Finding::good(name, format_bytes(free)),
        Err(e) => Finding::good(name, "unknown").bad(
            FindingState::Missing,
            e.to_string(),
            "choose another folder",
        ),
    }
}

fn direct_writes(folder: &Path) -> Finding {
    let name = "direct writes";
    match try_direct(folder) {
        Ok(Direct::Granted(how)) => Finding::good(name, how),
        Ok(Direct::Unused(why)) => Finding::good(name, why).bad(
            FindingState::Degraded,
            "writes go through the page cache, which costs CPU and memory bandwidth",
            "download to ext4, xfs or f2fs",
        ),
        Err(e) => Finding::good(name, format!("cannot be tried: {e}")).bad(
            FindingState::Missing,
            format!("no file can be made in {}", folder.display()),
            "choose a folder you may write to",
        ),
    }
}

enum Direct {
    Granted(String),
    Unused(String),
}

/// Makes a small file as a download would and writes to it directly.
fn try_direct(folder: &Path) -> io::Result<Direct> {
    let probe = ProbeFile::new(folder)?;
    let file_system = file::file_system(&probe.file);
    let fs = file_system.name;
    if file::preallocate(&probe.file, TRIED_FILE_BYTES)? == Allocation::Sparse {
        return Ok(Direct::Unused(format!("{fs} cannot preallocate")));
    }
    let align = match file::direct_align(&probe.file) {
        DirectAlign::Refused => return Ok(Direct::Unused(format!("{fs} refuses them"))),
        DirectAlign::Unknown => "alignment unknown, 4096 used".into(),
        DirectAlign::Bytes { memory, offset } => {
            format!("alignment {offset} in the file, {memory} in memory")
        }
    };
    let tried = file::open_direct(&probe.path, &probe.file)
        .and_then(|direct| file::try_direct_write(direct, &probe.file));
    match tried {
        Err(e) => Ok(Direct::Unused(format!("{fs} refuses them: {e}"))),
        Ok(()) if !file_system.direct_pays => {
            Ok(Direct::Unused(format!("accepted by {fs}, but not used: nothing is gained there")))
        }
        Ok(()) => Ok(Direct::Granted(format!("{fs}, {align}"))),
    }
}

/// A file that is gone when dropped.
struct ProbeFile {
    path: PathBuf,
    file: File,
}

impl ProbeFile {
    fn new(folder: &Path) -> io::Result<Self> {
        let path = folder.join(format!(".ringhaul-probe-{}", std::process::id()));
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        Ok(Self { path, file })
    }
}

impl Drop for ProbeFile {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bad_finding_has_cause_and_remedy_and_nothing_stays() {
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let found = findings(folder.path());
        for finding in &found {
            let is_good = finding.state == FindingState::Good;
            assert_eq!(finding.cause.is_empty(), is_good, "{finding:?}");
            assert_eq!(finding.remedy.is_empty(), is_good, "{finding:?}");
        }
        for name in ["engine", "io_uring"] {
            assert!(found.iter().any(|f| f.name == name && f.state == FindingState::Good));
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn without_a_ring_the_engine_is_epoll() {
        let engine = engine(false);
        assert_eq!(engine.state, FindingState::Degraded);
        assert!(engine.value.starts_with("epoll"), "{engine:?}");
    }

    #[test]
    fn an_unusable_folder_is_said_to_be_so() {
        let missing = findings(Path::new("/nonexistent/folder"));
        for name in ["free space", "direct writes"] {
            let finding = missing.iter().find(|f| f.name == name).unwrap();
            assert_eq!(finding.state, FindingState::Missing, "{finding:?}");
        }
    }
}
