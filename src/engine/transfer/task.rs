//! Blocking work of a transfer on a thread of its own, such as reading a file. Must not know what
//! the work is.

use crate::base::{Error, ErrorKind, Result};
use crate::engine::context::Context;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use tokio::sync::oneshot;

/// Hears of bytes that are through; its error ends the work.
pub(super) type OnStep<'a> = &'a mut dyn FnMut(u64) -> Result<()>;

/// Work that is under way. Dropping it ends the work with its next step.
pub(super) struct Task<T> {
    is_over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
    outcome: oneshot::Receiver<Result<T>>,
}

impl<T: Send + 'static> Task<T> {
    /// Starts `work`, which takes what it is through with from the context's unchecked bytes.
    pub(super) fn start(
        context: &Arc<Context>,
        work: impl FnOnce(OnStep<'_>) -> Result<T> + Send + 'static,
    ) -> Result<Self> {
        let is_over = Arc::new(AtomicBool::new(false));
        let (sender, outcome) = oneshot::channel();
        let (context, is_given_up) = (context.clone(), is_over.clone());
        let on_thread = move || {
            let mut on_step = |bytes: u64| {
                context.set_unchecked(context.unchecked_bytes().saturating_sub(bytes));
                if is_given_up.load(Ordering::Relaxed) {
                    return Err(Error::new(ErrorKind::Interrupted, "given up"));
                }
                Ok(())
            };
            // Nobody waits any more if the transfer was stopped meanwhile.
            _ = sender.send(work(&mut on_step));
        };
        let spawned = thread::Builder::new().name("ringhaul-reading".into()).spawn(on_thread);
        let thread = spawned.map_err(|e| {
            let what = "cannot start the thread that reads the file";
            Error::new(ErrorKind::ResourceLimit, what).caused_by(e)
        })?;
        Ok(Self { is_over, thread: Some(thread), outcome })
    }

    /// Waits for its end.
    pub(super) async fn outcome(&mut self) -> Result<T> {
        let outcome = (&mut self.outcome).await;
        let lost = |_| Err(Error::new(ErrorKind::Internal, "reading the file has no outcome"));
        outcome.unwrap_or_else(lost)
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // At most one block is still being read. Its panic has been reported as no outcome.
            let _ = thread.join();
        }
    }
}
