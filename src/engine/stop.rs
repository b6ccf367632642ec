//! Stopping a transfer from outside: a flag every worker looks at, and a bell that wakes them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

/// Stops the transfer it belongs to; clones stop the same one. Safe to use from a signal thread.
///
/// # Example
///
/// ```
/// use ringhaul::{Download, ErrorKind};
///
/// # fn main() -> ringhaul::Result<()> {
/// # let server = ringhaul::server::Server::start(ringhaul::server::Config::new(1, 300_000))?;
/// # let folder = tempfile::tempdir().expect("a scratch folder");
/// let download = Download::new(&server.url("/file"))?.output(folder.path().join("file"));
/// let stop = download.stop_handle();
/// std::thread::spawn(move || stop.stop()).join().expect("it stops the download");
/// assert_eq!(download.run().unwrap_err().kind(), ErrorKind::Interrupted);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct StopHandle {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    stopped: AtomicBool,
    bell: Notify,
}

impl StopHandle {
    /// A handle nobody has used yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the transfer to end. Returns at once; `run` answers `Interrupted` when all is closed.
    pub fn stop(&self) {
        self.inner.stopped.store(true, Ordering::SeqCst);
        self.inner.bell.notify_waiters();
    }

    /// Whether `stop` has been called.
    pub fn is_stopped(&self) -> bool {
        self.inner.stopped.load(Ordering::SeqCst)
    }

    /// Completes once `stop` has been called.
    pub(crate) async fn stopped(&self) {
        loop {
            // Enlist before looking, or a stop between look and wait would be missed.
            let bell = self.inner.bell.notified();
            if self.is_stopped() {
                return;
            }
            bell.await;
        }
    }
}
