//! Blocking work of a task on a thread of its own, so that whatever else its shard does goes on
//! meanwhile. Must not know what the work is.

use crate::base::{Error, ErrorKind, Result};
use std::io;
use std::thread;
use tokio::sync::oneshot;

/// Starts `work` on a thread called `name`, and returns its outcome to come; whoever does not wait
/// for that leaves the work to go on to its end. The error is the kernel's, which has no thread to
/// give.
pub(super) fn aside<T, W>(
    name: &str,
    work: W,
) -> io::Result<impl Future<Output = Result<T>> + use<T, W>>
where
    T: Send + 'static,
    W: FnOnce() -> Result<T> + Send + 'static,
{
    let (sender, outcome) = oneshot::channel();
    // Nobody waits any more if the task has ended meanwhile.
    let on_thread = move || _ = sender.send(work());
    thread::Builder::new().name(name.to_owned()).spawn(on_thread)?;
    Ok(async {
        let lost = |_| Err(Error::new(ErrorKind::Internal, "work aside has no outcome"));
        outcome.await.unwrap_or_else(lost)
    })
}
