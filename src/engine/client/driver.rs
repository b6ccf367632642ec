//! Which driver the thread of a shard gets: the one that was asked for or, where nobody cares,
//! epoll once the kernel has refused a ring. Says what a refusal comes from and what to do then.

use crate::base::{Error, ErrorKind, Result};
use crate::engine::options::Engine;
use crate::io::driver::{Driver, DriverKind};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The drivers of a client.
pub(in crate::engine) struct Drivers {
    /// What was asked for.
    engine: Engine,
    /// Blocks are registered with the kernel where that pays.
    pub(in crate::engine) registers_buffers: bool,
    is_on_epoll: AtomicBool,
    /// Why, if nobody has been told.
    note: Mutex<Option<String>>,
}

impl Drivers {
    pub(super) fn new(engine: Engine, registers_buffers: bool) -> Self {
        let (is_on_epoll, note) = (AtomicBool::new(false), Mutex::default());
        Self { engine, registers_buffers, is_on_epoll, note }
    }

    /// A driver for this thread. Where one shard goes through epoll, those that start later do so,
    /// too.
    pub(super) fn make(&self) -> Result<Driver> {
        let engine = if self.is_on_epoll() { Engine::Epoll } else { self.engine };
        if engine != Engine::Epoll {
            match Driver::new(DriverKind::IoUring) {
                Ok(driver) => return Ok(driver),
                Err(refused) if engine == Engine::Auto && !is_out_of_descriptors(&refused) => {
                    *self.lock_note() = Some(fallback(&refused));
                }
                Err(refused) => return Err(ring_error(refused)),
            }
        }
        let driver = Driver::new(DriverKind::Epoll).map_err(epoll_error)?;
        self.is_on_epoll.store(true, Ordering::Relaxed);
        Ok(driver)
    }

    /// Whether a shard goes through epoll.
    pub(in crate::engine) fn is_on_epoll(&self) -> bool {
        self.is_on_epoll.load(Ordering::Relaxed)
    }

    /// Why, for whoever asks first.
    pub(in crate::engine) fn take_note(&self) -> Option<String> {
        self.lock_note().take()
    }

    fn lock_note(&self) -> MutexGuard<'_, Option<String>> {
        self.note.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is said of the fallback.
fn fallback(refused: &io::Error) -> String {
    let (_, remedy) = kind_and_remedy(refused);
    format!("no io_uring ({refused}), so epoll does its work; to change that, {remedy}")
}

/// Then epoll is not to be had either.
fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

fn ring_error(error: io::Error) -> Error {
    let (kind, remedy) = kind_and_remedy(&error);
    let advice = match kind {
        ErrorKind::EngineUnavailable => format!("{remedy}; or leave it to '--engine auto'"),
        _ => remedy.to_owned(),
    };
    Error::new(kind, "the kernel does not give us an io_uring").caused_by(error).advise(advice)
}

fn epoll_error(error: io::Error) -> Error {
    let failed = Error::new(ErrorKind::ResourceLimit, "the kernel does not give us an epoll");
    let failed =
        if is_out_of_descriptors(&error) { failed.advise(DESCRIPTORS_REMEDY) } else { failed };
    failed.caused_by(error)
}

const DESCRIPTORS_REMEDY: &str = "raise 'ulimit -n'; a download needs about 20 descriptors";

/// What a refused ring means, and what makes the kernel give one.
fn kind_and_remedy(error: &io::Error) -> (ErrorKind, &'static str) {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => (
            ErrorKind::EngineUnavailable,
            "allow io_uring: sysctl kernel.io_uring_disabled=0, or a seccomp profile that permits \
             it in a container",
        ),
        Some(libc::ENOSYS | libc::EINVAL) => {
            (ErrorKind::EngineUnavailable, "use Linux 5.19 or newer, or a host with io_uring")
        }
        Some(libc::EMFILE | libc::ENFILE) => (ErrorKind::ResourceLimit, DESCRIPTORS_REMEDY),
        Some(libc::ENOMEM) => {
            (ErrorKind::ResourceLimit, "raise 'ulimit -l' (locked memory) or free memory")
        }
        _ => (ErrorKind::EngineUnavailable, "run 'ringhaul doctor' to see what is missing"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_ring_says_why() {
        for (errno, kind, word) in [
            (libc::EPERM, ErrorKind::EngineUnavailable, "seccomp"),
            (libc::ENOSYS, ErrorKind::EngineUnavailable, "Linux 5.19"),
            (libc::EMFILE, ErrorKind::ResourceLimit, "ulimit -n"),
            (libc::ENOMEM, ErrorKind::ResourceLimit, "ulimit -l"),
        ] {
            let error = ring_error(io::Error::from_raw_os_error(errno));
            assert_eq!(error.kind(), kind);
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn what_is_asked_for_is_given_and_epoll_goes_on_with_epoll() {
        for (engine, kind) in [
            (Engine::Auto, DriverKind::IoUring),
            (Engine::IoUring, DriverKind::IoUring),
            (Engine::Epoll, DriverKind::Epoll),
        ] {
            let drivers = Drivers::new(engine, true);
            assert_eq!(drivers.make().unwrap().kind(), kind, "{engine:?}");
            assert_eq!(drivers.is_on_epoll(), kind == DriverKind::Epoll);
        }
        let drivers = Drivers::new(Engine::Auto, true);
        drivers.is_on_epoll.store(true, Ordering::Relaxed);
        assert_eq!(drivers.make().unwrap().kind(), DriverKind::Epoll);
    }
}
