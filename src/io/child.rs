//! Another program, run to its end, and what the kernel accounted to it. Owns waiting, its time
//! limit and its end; what the program is and what its output means is the caller's.

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// How often the program's memory is read and the caller is asked: microseconds each time.
const TICK: Duration = Duration::from_millis(20);
/// Time to end after SIGTERM; then it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// What one run of a program cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// From before its start to its end.
    pub wall: Duration,
    /// Time in user mode, all of its threads and of the children it waited for.
    pub user: Duration,
    /// Time in the kernel on its behalf, the ring's workers included.
    pub system: Duration,
    /// Times it gave up the processor to wait.
    pub voluntary_switches: u64,
    /// Times the processor was taken from it.
    pub involuntary_switches: u64,
    /// Most memory it had resident; `None` where that cannot be told from its parent's.
    pub peak_memory_bytes: Option<u64>,
}

/// How a program ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// Its exit code or signal.
    pub status: ExitStatus,
    /// What it cost.
    pub usage: Usage,
    /// The caller had it stopped.
    pub is_stopped: bool,
}

/// Starts `command` in a process group of its own, so that Ctrl-C is the caller's to pass on, and
/// waits for its end. `go_on` is asked about fifty times a second, with the time since the start;
/// its `false` stops the program, with SIGTERM first.
pub fn run(command: &mut Command, mut go_on: impl FnMut(Duration) -> bool) -> io::Result<Ended> {
    let started = Instant::now();
    let mut child = command.process_group(0).spawn()?;
    let id = child.id();
    let pid = Pid::from_child(&child);
    let (ended, end) = mpsc::channel();
    thread::scope(|scope| {
        let handle = pidfd_open(pid, PidfdFlags::empty()).map_err(io::Error::from);
        let waiter = thread::Builder::new().name("child-wait".to_owned());
        // The handle first: once somebody waits, the number may belong to another process.
        let ready = handle.and_then(|handle| {
            waiter.spawn_scoped(scope, move || {
                let waited = wait(pid);
                // Nobody listens only after a panic.
                let _ = ended.send((waited, started.elapsed()));
            })?;
            Ok(handle)
        });
        let handle = ready.inspect_err(|_| {
            // Without a waiter it is ours to end.
            let _ = child.kill();
            let _ = child.wait();
        })?;
        let mut watch = Watch { handle, id, peak_seen: None, asked_to_end: None };
        loop {
            match end.recv_timeout(TICK) {
                Ok((waited, wall)) => return watch.conclude(waited?, wall),
                Err(RecvTimeoutError::Timeout) => watch.tick(|| go_on(started.elapsed())),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(io::Error::other("the thread that waits has ended"));
                }
            }
        }
    })
}

/// What is kept of a program while it runs.
struct Watch {
    handle: OwnedFd,
    id: u32,
    peak_seen: Option<u64>,
    asked_to_end: Option<Instant>,
}

impl Watch {
    fn tick(&mut self, go_on: impl FnOnce() -> bool) {
        self.peak_seen = peak_memory_bytes(&self.id.to_string()).or(self.peak_seen);
        // A program that has just ended takes no signal, and needs none.
        match self.asked_to_end {
            None if !go_on() => {
                let _ = pidfd_send_signal(&self.handle, Signal::TERM);
                self.asked_to_end = Some(Instant::now());
            }
            Some(asked) if asked.elapsed() > GRACE => {
                let _ = pidfd_send_signal(&self.handle, Signal::KILL);
            }
            None | Some(_) => {}
        }
    }

    fn conclude(&self, waited: Waited, wall: Duration) -> io::Result<Ended> {
        let usage = waited.usage;
        // The kernel's figure begins with the memory of the process that started the program.
        let whole = count(usage.ru_maxrss) * 1024;
        let own = peak_memory_bytes("self").unwrap_or(u64::MAX);
        let usage = Usage {
            wall,
            user: duration(usage.ru_utime),
            system: duration(usage.ru_stime),
            voluntary_switches: count(usage.ru_nvcsw),
            involuntary_switches: count(usage.ru_nivcsw),
            peak_memory_bytes: Some(whole).filter(|whole| *whole > own).or(self.peak_seen),
        };
        Ok(Ended { status: waited.status, usage, is_stopped: self.asked_to_end.is_some() })
    }
}

struct Waited {
    status: ExitStatus,
    usage: libc::rusage,
}

fn wait(pid: Pid) -> io::Result<Waited> {
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    loop {
        // SAFETY: both pointers are to locals that outlive the call.
        let answer =
            unsafe { libc::wait4(pid.as_raw_nonzero().get(), &mut status, 0, usage.as_mut_ptr()) };
        if answer >= 0 {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    // SAFETY: all zero is a valid rusage, and the kernel has filled it in.
    let usage = unsafe { usage.assume_init() };
    Ok(Waited { status: ExitStatus::from_raw(status), usage })
}

/// The high-water mark of a process that lives; `None` of one that has ended.
fn peak_memory_bytes(process: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

fn duration(time: libc::timeval) -> Duration {
    Duration::from_secs(count(time.tv_sec)) + Duration::from_micros(count(time.tv_usec))
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn the_kernel_accounts_for_the_program() {
        let busy = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; exit 3";
        let ended = run(&mut shell(busy), |_| true).unwrap();
        assert_eq!((ended.status.code(), ended.is_stopped), (Some(3), false));
        let usage = ended.usage;
        let cpu = usage.user + usage.system;
        assert!(cpu > Duration::from_millis(10) && cpu <= usage.wall * 2, "{usage:?}");
    }

    #[test]
    fn a_program_that_takes_too_long_is_stopped() {
        let ended = run(&mut shell("exec sleep 60"), |time| time.as_millis() < 60).unwrap();
        assert!(ended.is_stopped && ended.usage.wall < Duration::from_secs(5), "{ended:?}");
        assert_eq!(ended.status.signal(), Some(libc::SIGTERM));
    }

    #[test]
    fn its_memory_is_told_from_ours() {
        // A shell needs a megabyte or two; the test's process far more.
        let ended = run(&mut shell("sleep 0.2; :"), |_| true).unwrap();
        let peak = ended.usage.peak_memory_bytes.unwrap();
        assert!((100_000..8_000_000).contains(&peak), "{peak}");
    }

    #[test]
    fn what_does_not_exist_is_an_error() {
        let error = run(&mut Command::new("/nonexistent"), |_| true).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
