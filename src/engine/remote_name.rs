//! What a server calls a file, asked before the file is: one request for its first byte, of whose
//! answer only the head counts. Must not know what is done with the name.

use super::client::Client;
use super::context::Context;
use super::failure::Failure;
use super::local::Local;
use super::options::Options;
use super::progress::Progress;
use super::source::follow::{Located, locate};
use super::source::retry::retrying;
use super::stop::StopHandle;
use crate::base::size::format_wait;
use crate::base::{Error, ErrorKind, Result, Span, Url};
use crate::http::{Validator, proposed_name, status_error};
use std::rc::Rc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// What a server says of a file's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteName {
    /// What `Content-Disposition` proposes: a stranger's text.
    pub proposed: Option<String>,
    /// Where redirects have led to.
    pub url: Url,
}

/// Time between two progress reports.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Asks the server of `url`; blocks until it has answered, and calls `on_progress` meanwhile. Of
/// the options those count that concern connections, requests, trust, retries and time.
///
/// # Errors
/// As for [`Download::run`](super::Download::run), but for those of the output.
pub fn remote_name(
    url: &Url,
    options: &Options,
    stop: &StopHandle,
    on_progress: impl Fn(&Progress),
) -> Result<RemoteName> {
    options.validate()?;
    let client = Client::for_one(options)?;
    let context = Context::new(options.clone(), stop.clone(), None, client.shared());
    let (sender, receiver) = mpsc::channel();
    let (url, own_context) = (url.clone(), context.clone());
    let work = async move |shard: Rc<_>| ask(&url, &Local::new(&own_context, &shard)).await;
    // Nobody has left: the caller waits below.
    client.shared().threads.spawn(0, work, move |outcome| _ = sender.send(outcome));
    loop {
        match receiver.recv_timeout(PROGRESS_INTERVAL) {
            Ok(outcome) => return outcome,
            Err(RecvTimeoutError::Timeout) => on_progress(&context.progress()),
            Err(RecvTimeoutError::Disconnected) => {
                let what = "the task that asks for a name panicked";
                return Err(Error::new(ErrorKind::Internal, what));
            }
        }
    }
}

async fn ask(url: &Url, local: &Local) -> Result<RemoteName> {
    let context = &local.context;
    let asking = retrying(context, async || ask_once(url, local).await);
    let limited = async {
        let Some(time) = context.options.max_time else { return asking.await };
        tokio::time::timeout(time, asking).await.unwrap_or_else(|_| {
            let what = format!("{url} did not answer within {}", format_wait(time));
            Err(Error::new(ErrorKind::TimedOut, what).advise("allow more with --max-time"))
        })
    };
    context.guard(limited).await
}

/// The connection is dropped with the body that may follow the head.
async fn ask_once(url: &Url, local: &Local) -> Result<RemoteName, Failure> {
    let located = locate(local, url, Some(Span::new(0, 1)), &Validator::None).await?;
    let Located { endpoint, opening, .. } = located;
    let head = opening.head();
    // An empty file has no first byte.
    if !matches!(head.status(), 200..=299 | 416) {
        let error = status_error(head).within(endpoint.url());
        return Err(Failure::of_answer(head, error));
    }
    Ok(RemoteName { proposed: proposed_name(head), url: endpoint.url().clone() })
}
