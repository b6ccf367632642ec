//! What a server calls a file, asked before the file is: one request for its first byte, of whose
//! answer only the head counts. Must not know what is done with the name.

use super::failure::Failure;
use super::local::Local;
use super::options::Options;
use super::progress::Progress;
use super::question::Question;
use super::source::follow::{Located, locate};
use super::stop::StopHandle;
use crate::base::{Result, Span, Url};
use crate::http::{Validator, proposed_name, status_error};

/// What a server says of a file's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteName {
    /// What `Content-Disposition` proposes: a stranger's text.
    pub proposed: Option<String>,
    /// Where redirects have led to.
    pub url: Url,
}

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
    Question { url, options, stop, on_event: None }.answer(ask_once, on_progress)
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
