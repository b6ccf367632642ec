//! What this process has cost so far, where it runs, and what of a file is in the page cache.

use std::fs::{self, File};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;

/// Microseconds of a second.
const MICROSECONDS: f64 = 1e6;
/// `cachestat` (Linux 6.5) on x86-64, arm64 and all other architectures with common numbers.
const SYS_CACHESTAT: libc::c_long = 451;

/// Resources of the whole process, with the kernel's worker threads of its rings.
#[derive(Clone, Copy)]
pub(crate) struct Usage {
    /// Seconds of user and system time.
    pub(crate) cpu_s: f64,
    /// Voluntary and involuntary ones.
    pub(crate) switches: i64,
}

/// What the process has used until now.
pub(crate) fn usage() -> Usage {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the kernel fills the structure, for which zero is a value, too.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / MICROSECONDS;
    Usage {
        cpu_s: seconds(usage.ru_utime) + seconds(usage.ru_stime),
        switches: usage.ru_nvcsw + usage.ru_nivcsw,
    }
}

/// Keeps this process on one processor, counted from 0; without effect where there is none.
pub(crate) fn pin(processor: usize) {
    // SAFETY: the set is plain bits, for which zero is a value; the kernel only reads it.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(processor, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set);
    }
}

/// Bytes of the file that are in the page cache.
pub(crate) fn cached_bytes(file: &File) -> io::Result<u64> {
    #[repr(C)]
    struct Range {
        offset: u64,
        len: u64,
    }
    #[repr(C)]
    #[derive(Default)]
    struct Answer {
        cached_pages: u64,
        others: [u64; 4],
    }
    let range = Range { offset: 0, len: 0 };
    let mut answer = Answer::default();
    let flags = 0;
    // SAFETY: both structures are as the kernel declares them and outlive the call.
    let status = unsafe {
        libc::syscall(SYS_CACHESTAT, file.as_raw_fd(), &raw const range, &raw mut answer, flags)
    };
    if status != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: asks for a number.
    let page_bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    Ok(answer.cached_pages * u64::try_from(page_bytes).expect("pages have a size"))
}

/// Seconds of processor time of all kernel threads there are, writeback among them.
pub(crate) fn kernel_threads_s() -> f64 {
    let Ok(processes) = fs::read_dir("/proc") else { return 0.0 };
    let time_ns = |path: std::path::PathBuf| {
        let status = fs::read_to_string(path.join("stat")).ok()?;
        // Behind the name, which may hold anything: state, then the parent.
        let parent = status.rsplit_once(") ")?.1.split(' ').nth(1)?;
        let schedule = (parent == "2").then(|| fs::read_to_string(path.join("schedstat")).ok())?;
        schedule?.split(' ').next()?.parse::<f64>().ok()
    };
    processes.flatten().filter_map(|process| time_ns(process.path())).sum::<f64>() / 1e9
}
