//! A question to the server of a file, without a download: asked on a client of its own, retried
//! and limited in time like one. Must not know what is asked.

use super::client::Client;
use super::context::{Context, EventListener};
use super::failure::Failure;
use super::local::Local;
use super::options::Options;
use super::progress::Progress;
use super::source::retry::retrying;
use super::stop::StopHandle;
use crate::base::size::format_wait;
use crate::base::{Error, ErrorKind, Result, Url};
use std::rc::Rc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// Time between two progress reports.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// A question about the file at a URL.
pub(super) struct Question<'a> {
    pub(super) url: &'a Url,
    /// Those count that concern connections, requests, trust, retries and time.
    pub(super) options: &'a Options,
    pub(super) stop: &'a StopHandle,
    pub(super) on_event: Option<EventListener>,
}

impl Question<'_> {
    /// What `ask`, which does so once, is answered; blocks until then, and calls `on_progress`
    /// meanwhile.
    pub(super) fn answer<T: Send + 'static>(
        self,
        ask: impl AsyncFn(&Url, &Local) -> Result<T, Failure> + Send + 'static,
        on_progress: impl Fn(&Progress),
    ) -> Result<T> {
        let Self { url, options, stop, on_event } = self;
        options.validate()?;
        let client = Client::for_one(options)?;
        let context = Context::new(options.clone(), stop.clone(), on_event, client.shared());
        context.set_home(url.origin());
        let (sender, receiver) = mpsc::channel();
        let (url, own_context) = (url.clone(), context.clone());
        let work = async move |shard: Rc<_>| {
            let local = Local::new(&own_context, &shard);
            limited(&url, &local, async || ask(&url, &local).await).await
        };
        // Nobody has left: the caller waits below.
        client.shared().threads.spawn(0, work, move |outcome| _ = sender.send(outcome));
        loop {
            match receiver.recv_timeout(PROGRESS_INTERVAL) {
                Ok(outcome) => return outcome,
                Err(RecvTimeoutError::Timeout) => on_progress(&context.progress()),
                Err(RecvTimeoutError::Disconnected) => {
                    let what = "the task that asks a server panicked";
                    return Err(Error::new(ErrorKind::Internal, what));
                }
            }
        }
    }
}

async fn limited<T>(
    url: &Url,
    local: &Local,
    ask: impl AsyncFn() -> Result<T, Failure>,
) -> Result<T> {
    let context = &local.context;
    let asking = retrying(context, ask);
    let limited = async {
        let Some(time) = context.options.max_time else { return asking.await };
        tokio::time::timeout(time, asking).await.unwrap_or_else(|_| {
            let what = format!("{url} did not answer within {}", format_wait(time));
            Err(Error::new(ErrorKind::TimedOut, what).advise("allow more with --max-time"))
        })
    };
    context.guard(limited).await
}
