//! The epoll driver, for where the kernel refuses a ring: sockets by readiness, through tokio;
//! writes on a few threads of its own, as files are always ready and yet block.
//!
//! Of sockets nothing is ever in flight in the kernel, so their futures may simply be dropped.
//! Writes are, and [`Reactor::run`] returns only when all of them have ended.

mod ready;
mod writers;

pub use ready::Ready;
pub use writers::Writers;

use super::unwinding;
use crate::base::limits::EPOLL_WRITERS_MAX;
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

/// One epoll instance with the runtime and the writers that belong to it.
pub struct Reactor {
    /// Dropped before the runtime that its tasks use.
    tasks: LocalSet,
    runtime: Runtime,
    writers: Rc<Writers>,
}

impl Reactor {
    /// Sets it up; the error is the kernel's.
    pub fn new() -> io::Result<Self> {
        Self::with_writers(EPOLL_WRITERS_MAX)
    }

    fn with_writers(threads_max: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let writers = Rc::new(Writers::new(threads_max));
        Ok(Self { tasks: LocalSet::new(), runtime, writers })
    }

    /// Who writes.
    pub fn writers(&self) -> &Rc<Writers> {
        &self.writers
    }

    /// Runs `future` to its end, or into a panic, then waits until no write is on its way any more.
    pub fn run<F: Future>(&self, future: F) -> F::Output {
        let work = || {
            self.tasks.block_on(&self.runtime, async {
                let output = future.await;
                self.writers.drained().await;
                output
            })
        };
        unwinding::drained(work, |time_max| self.drain(time_max))
    }

    /// Waits until no write is on its way any more, or until the time is over: each of them owns
    /// its memory, so what is left is safe.
    fn drain(&self, time_max: Duration) -> bool {
        let drained = async {
            // Not all of them: they end on their threads, for which the reactor's end waits.
            let _ = tokio::time::timeout(time_max, self.writers.drained()).await;
        };
        self.tasks.block_on(&self.runtime, drained);
        true
    }
}
