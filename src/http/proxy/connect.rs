//! CONNECT (RFC 9110 section 9.3.6): the request, and what its answer means.

use super::step::{Step, garbled, surplus};
use crate::base::host::HostPort;
use crate::base::limits::INTERIM_RESPONSES_MAX;
use crate::base::url::Credentials;
use crate::base::{Error, ErrorKind, Result};
use crate::http::auth::basic;
use crate::http::head::{Head, HeadReader, quoted};
use crate::http::request::USER_AGENT;
use crate::http::status::wants_credentials;
use std::fmt;

/// A CONNECT and its answer.
pub(super) struct Connect {
    target: HostPort,
    request: Vec<u8>,
    reader: HeadReader,
    /// Interim responses skipped so far.
    interim: u32,
}

impl Connect {
    pub(super) fn new(
        target: &HostPort,
        credentials: Option<&Credentials>,
        name: &str,
    ) -> Result<Self> {
        let mut text =
            format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nUser-Agent: {USER_AGENT}\r\n");
        if let Some(credentials) = credentials {
            let value = basic(credentials).map_err(|error| {
                error.advise("give other credentials with --proxy-user").within(name)
            })?;
            text.extend(["Proxy-Authorization: ", &value, "\r\n"]);
        }
        text.push_str("\r\n");
        let (request, reader) = (text.into_bytes(), HeadReader::default());
        Ok(Self { target: target.clone(), request, reader, interim: 0 })
    }

    pub(super) fn begin(&self) -> Vec<u8> {
        self.request.clone()
    }

    pub(super) fn on_received(&mut self, received: &[u8], name: &str) -> Result<Step> {
        let mut rest = received;
        loop {
            let parsed = self.reader.feed(rest).map_err(|_| garbled(name, NOT_HTTP))?;
            let Some((head, taken)) = parsed else { return Ok(Step::Receive) };
            rest = &rest[taken..];
            match head.status() {
                101 => return Err(garbled(name, "switched protocols without being asked")),
                100..=199 if self.interim < INTERIM_RESPONSES_MAX => {
                    self.interim += 1;
                    self.reader = HeadReader::default();
                }
                100..=199 => return Err(garbled(name, "does not come to its answer")),
                // Whatever length such a head names, no body follows (RFC 9110 section 9.3.6).
                200..=299 if rest.is_empty() => return Ok(Step::Done),
                200..=299 => return Err(surplus(name)),
                407 => return Err(wants_credentials(&head, name)),
                _ => return Err(self.refusal(&head, name)),
            }
        }
    }

    fn refusal(&self, head: &Head, name: &str) -> Error {
        let code = head.status();
        let reason = match head.reason() {
            "" => String::new(),
            reason => format!(" {}", quoted(reason)),
        };
        let what = format!("{name} answered {code}{reason} to CONNECT {}", self.target);
        match code {
            // What would be retried of an origin; 501 and 505 say that CONNECT is unknown.
            501 | 505 => Error::new(ErrorKind::ProxyRefused, what),
            408 | 425 | 429 | 500..=599 => Error::new(ErrorKind::Connect, what)
                .advise("check host and port of the URL; the proxy cannot reach it"),
            300..=399 => Error::new(ErrorKind::ProxyRefused, what)
                .advise("proxies cannot redirect a connection; check which proxy is meant"),
            _ => Error::new(ErrorKind::ProxyRefused, what),
        }
    }
}

/// What a malformed head is called.
const NOT_HTTP: &str = "does not answer in HTTP/1.1";

impl fmt::Debug for Connect {
    /// Without the request, which may hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect").field("target", &self.target).finish_non_exhaustive()
    }
}
