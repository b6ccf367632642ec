//! Signals while transfers run. The first SIGINT, SIGTERM or SIGHUP asks them to end cleanly; a
//! second one ends the process at once. SIGXFSZ, which a file above 'ulimit -f' brings, ends
//! nothing: the write that caused it fails and says so. Owns the handlers; knows of a transfer only
//! how to stop it.

use crate::base::{Error, ErrorKind, Result};
use crate::engine::stop::StopHandle;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;
use signal_hook::iterator::{Handle, Signals};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a shell adds to the number of the signal that ended a program.
const SHELL_SIGNAL_BASE: i32 = 128;

/// Listens until dropped.
pub(super) struct Watch {
    shared: Arc<Shared>,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// The number of the signal that arrived, 0 before.
    received: Arc<AtomicUsize>,
    /// The transfer to stop when one arrives.
    stop: Mutex<Option<StopHandle>>,
    /// Rung, with the mutex above held, when one arrives.
    bell: Condvar,
}

impl Watch {
    /// Installs the handlers. A signal that is ignored (nohup, a background job of a script) stays
    /// ignored.
    pub(super) fn start() -> Result<Self> {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let ignored = ignored_signals(&status);
        let wanted = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|s| ignored >> (s - 1) & 1 == 0);
        Self::listen(&wanted.collect::<Vec<i32>>()).map_err(|cause| {
            Error::new(ErrorKind::ResourceLimit, "cannot install signal handlers").caused_by(cause)
        })
    }

    fn listen(wanted: &[i32]) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let armed = Arc::new(AtomicBool::new(false));
        for &signal in wanted {
            // In this order: the first signal finds the way out closed and then opens it.
            let exit_code = SHELL_SIGNAL_BASE + signal;
            flag::register_conditional_shutdown(signal, exit_code, Arc::clone(&armed))?;
            flag::register(signal, Arc::clone(&armed))?;
            let number = usize::try_from(signal).expect("signal numbers are positive");
            flag::register_usize(signal, Arc::clone(&shared.received), number)?;
        }
        flag::register(SIGXFSZ, Arc::default())?;
        let mut signals = Signals::new(wanted)?;
        let handle = signals.handle();
        let listener = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for _ in signals.forever() {
                listener.stop_now();
            }
        })?;
        Ok(Self { shared, handle, thread: Some(thread) })
    }

    /// From now on a signal stops this transfer; one that arrived before stops it right away.
    pub(super) fn guard(&self, stop: StopHandle) {
        *self.shared.stop.lock().unwrap_or_else(PoisonError::into_inner) = Some(stop);
        if self.received().is_some() {
            self.shared.stop_now();
        }
    }

    /// Waits for a signal, `time` at most; returns whether one has arrived.
    pub(super) fn wait(&self, time: Duration) -> bool {
        let stop = self.shared.stop.lock().unwrap_or_else(PoisonError::into_inner);
        let quiet = |_: &mut Option<StopHandle>| self.received().is_none();
        // Who waits looks at the signal itself, so a poisoned lock makes no difference.
        drop(self.shared.bell.wait_timeout_while(stop, time, quiet));
        self.received().is_some()
    }

    /// From now on the end of standard input counts as SIGHUP: whoever held its other end is gone.
    pub(super) fn hang_up_with_input(&self) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let reader = std::thread::Builder::new().name("input".to_owned());
        let started = reader.spawn(move || {
            // An error is an end, too.
            let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
            let number = usize::try_from(SIGHUP).expect("signal numbers are positive");
            shared.received.store(number, Ordering::SeqCst);
            shared.stop_now();
        });
        // Nobody waits for it: it ends with the input or with the process.
        started.map(drop).map_err(|cause| {
            Error::new(ErrorKind::ResourceLimit, "cannot start a thread").caused_by(cause)
        })
    }

    /// The exit code of the signal that arrived: 130 for SIGINT, 143 for SIGTERM, 129 for SIGHUP.
    pub(super) fn exit_code(&self) -> Option<u8> {
        u8::try_from(self.received()? + SHELL_SIGNAL_BASE).ok()
    }

    fn received(&self) -> Option<i32> {
        let number = self.shared.received.load(Ordering::SeqCst);
        i32::try_from(number).ok().filter(|&number| number != 0)
    }
}

impl Shared {
    fn stop_now(&self) {
        let stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stop) = &*stop {
            stop.stop();
        }
        self.bell.notify_all();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The mask of ignored signals from `/proc/self/status`; bit 0 is signal 1. Unknown means none.
fn ignored_signals(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_ignored_signals_is_read() {
        assert_eq!(ignored_signals("Name:\tx\nSigIgn:\t0000000000001001\n"), 0x1001);
        assert_eq!(ignored_signals(""), 0);
        assert_eq!(ignored_signals("SigIgn:\tgarbage"), 0);
    }

    #[test]
    fn a_watch_without_signals_ends_quietly() {
        let watch = Watch::listen(&[]).unwrap();
        let stop = StopHandle::new();
        watch.guard(stop.clone());
        assert_eq!(watch.exit_code(), None);
        assert!(!watch.wait(Duration::from_millis(1)));
        drop(watch);
        assert!(!stop.is_stopped());
    }

    #[test]
    fn a_signal_before_the_transfer_still_stops_it() {
        let watch = Watch::listen(&[]).unwrap();
        watch.shared.received.store(15, Ordering::SeqCst);
        let stop = StopHandle::new();
        watch.guard(stop.clone());
        assert!(stop.is_stopped());
        assert_eq!(watch.exit_code(), Some(143));
        assert!(watch.wait(Duration::MAX));
    }
}
