//! What an answer says of the file beside its bytes, for the report and the file's time. Must not
//! know how the file is fetched.

use super::endpoint::Endpoint;
use crate::base::Url;
use crate::engine::progress::FileValidator;
use crate::http::{Head, Validator, http_date};
use std::time::SystemTime;

/// What an answer says of the file.
#[derive(Debug, Clone)]
pub(in crate::engine) struct Facts {
    /// Where the answer came from, redirects followed.
    pub(in crate::engine) url: Url,
    /// What tells this version of the file from others.
    pub(in crate::engine) validator: Option<FileValidator>,
    /// `Last-Modified` as sent.
    pub(in crate::engine) last_modified: Option<String>,
    /// `Content-Type` as sent.
    pub(in crate::engine) content_type: Option<String>,
}

impl Facts {
    /// Of an answer of `endpoint`. Where it says several different things it says nothing.
    pub(in crate::engine) fn of(endpoint: &Endpoint, head: &Head) -> Self {
        let last_modified = head.single("Last-Modified").ok().flatten().map(str::to_owned);
        let validator = match Validator::of(head).unwrap_or(Validator::None) {
            Validator::StrongEtag(tag) | Validator::WeakEtag(tag) => Some(FileValidator::Etag(tag)),
            // One that is too young to prove two parts to be of one version tells versions apart.
            Validator::LastModified(_) | Validator::None => {
                last_modified.clone().map(FileValidator::LastModified)
            }
        };
        let content_type = head.single("Content-Type").ok().flatten().map(str::to_owned);
        Self { url: endpoint.url().clone(), validator, last_modified, content_type }
    }

    /// When the file was last changed.
    ///
    /// # Errors
    /// Why that is not known, in words.
    pub(in crate::engine) fn modified(&self) -> Result<SystemTime, &'static str> {
        let text = self.last_modified.as_deref().ok_or("the server sends no Last-Modified")?;
        http_date(text).ok_or("the server's Last-Modified is no date")
    }
}
