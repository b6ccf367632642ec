//! The stop signal of the server, and waits that end with it.
//!
//! Must not know HTTP, sockets or rates.

use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Raised once, for good; every wait of the server ends with it.
#[derive(Default)]
pub(super) struct StopSignal {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl StopSignal {
    /// Ends all waits, now and later.
    pub(super) fn raise(&self) {
        *lock(&self.stopped) = true;
        self.changed.notify_all();
    }

    pub(super) fn is_stopped(&self) -> bool {
        *lock(&self.stopped)
    }

    /// Waits for `pause`; an error as soon as the server stops.
    pub(super) fn wait(&self, pause: Duration) -> io::Result<()> {
        if pause.is_zero() {
            return Ok(());
        }
        let stopped = lock(&self.stopped);
        let (stopped, _) = self
            .changed
            .wait_timeout_while(stopped, pause, |stopped| !*stopped)
            .unwrap_or_else(PoisonError::into_inner);
        if *stopped { Err(io::Error::other("the server stops")) } else { Ok(()) }
    }
}

/// Locks even after a panic of another thread: what is guarded here is whole at every moment.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn stopping_ends_a_long_wait() {
        let signal = Arc::new(StopSignal::default());
        assert!(signal.wait(Duration::from_millis(1)).is_ok());
        let waiter = {
            let signal = Arc::clone(&signal);
            std::thread::spawn(move || signal.wait(Duration::from_secs(3600)))
        };
        signal.raise();
        assert!(waiter.join().unwrap().is_err());
        assert!(signal.is_stopped() && signal.wait(Duration::from_secs(3600)).is_err());
    }
}
