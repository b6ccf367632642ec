//! How requests to one endpoint say who asks: credentials, the answer to a Digest challenge,
//! cookies; and what is learnt from its answers for that.
//!
//! Must not know spans, or what is done about an answer that refuses.

use crate::base::{Error, ErrorKind, Result, Url};
use crate::engine::client::Shared;
use crate::engine::context::Context;
use crate::engine::jar::{CookieJar, NoneAt};
use crate::engine::options::login::{Login, Rights};
use crate::http::{Head, Request, Sent};
use std::sync::Arc;

/// Who asks an endpoint.
pub(in crate::engine) struct Identity {
    login: Login,
    /// At the endpoint's own URL.
    rights: Rights,
    client: Arc<Shared>,
    jar: CookieJar,
    none_at: NoneAt,
}

impl Identity {
    /// `is_home`: what the caller has given for its own origin may be sent to `url`.
    pub(super) fn new(url: &Url, is_home: bool, context: &Context) -> Self {
        let login = context.options.login.clone();
        let jar = login.jar.clone().unwrap_or_else(|| context.client.jar.clone());
        let (rights, client) = (login.rights(url, is_home), context.client.clone());
        Self { login, rights, client, jar, none_at: NoneAt::default() }
    }

    /// Adds who asks to a request for its own URL, whose fields are complete.
    pub(super) fn sign(&self, request: Request, url: &Url) -> Result<Request> {
        self.sign_with(request, url, &self.rights)
    }

    /// The same for another URL of its origin.
    pub(super) fn sign_for(&self, request: Request, url: &Url, is_home: bool) -> Result<Request> {
        self.sign_with(request, url, &self.login.rights(url, is_home))
    }

    fn sign_with(&self, request: Request, url: &Url, rights: &Rights) -> Result<Request> {
        let request = match rights {
            Rights::None => request,
            Rights::Bearer(token) => request.authorization(format!("Bearer {}", token.0), 0),
            Rights::Name(_) if request.has_authorization() => request,
            Rights::Name(name) => {
                let target = url.request_target();
                match self.client.logins.answer(&url.origin(), name, &target)? {
                    Some((value, number)) => request.authorization(value, number),
                    None if self.login.digest_only => request,
                    None => request.basic_auth(name)?,
                }
            }
        };
        let taken = || request.cookie_names().into_iter().map(str::to_owned).collect();
        Ok(match self.jar.field(url, &self.none_at, taken) {
            Some(cookies) => request.cookies(cookies),
            None => request,
        })
    }

    /// Takes what an answer of `url` says for later requests: cookies, the next nonce.
    pub(super) fn hear(&self, url: &Url, is_home: bool, head: &Head) {
        self.jar.hear(url, head);
        if head.status() != 401
            && self.client.logins.has_any()
            && let Rights::Name(name) = self.login.rights(url, is_home)
        {
            self.client.logins.accepted(&url.origin(), &name, head);
        }
    }

    /// Whether an answer to a request for its own URL may be a challenge.
    pub(in crate::engine) fn may_learn(&self, head: &Head) -> bool {
        head.status() == 401 && matches!(self.rights, Rights::Name(_))
    }

    /// Takes the challenge of a 401 to a request for its own URL; `true` if it is worth repeating.
    pub(super) fn learns(&self, url: &Url, head: &Head, sent: Sent) -> bool {
        self.learns_with(url, head, sent, &self.rights)
    }

    /// The same for another URL of its origin.
    pub(super) fn learns_for(&self, url: &Url, is_home: bool, head: &Head, sent: Sent) -> bool {
        head.status() == 401 && self.learns_with(url, head, sent, &self.login.rights(url, is_home))
    }

    fn learns_with(&self, url: &Url, head: &Head, sent: Sent, rights: &Rights) -> bool {
        match rights {
            Rights::Name(name) if !sent.has_own_login => {
                self.client.logins.learn(&url.origin(), name, head, sent.login)
            }
            Rights::Name(_) | Rights::None | Rights::Bearer(_) => false,
        }
    }

    /// A refusal of what was sent is another matter than one of nothing.
    pub(in crate::engine) fn explain(&self, error: Error) -> Error {
        self.explain_with(error, &self.rights)
    }

    /// The same of another URL of its origin.
    pub(super) fn explain_for(&self, url: &Url, is_home: bool, error: Error) -> Error {
        self.explain_with(error, &self.login.rights(url, is_home))
    }

    fn explain_with(&self, error: Error, rights: &Rights) -> Error {
        let is_refusal = error.kind() == ErrorKind::Status(401);
        match rights {
            Rights::Name(_) if is_refusal && self.login.digest_only => error
                .advise("check name and password; --digest answers nothing but Digest challenges"),
            Rights::Name(_) if is_refusal => {
                error.advise("check name and password: those that were sent are refused")
            }
            Rights::Bearer(_) if is_refusal => {
                error.advise("check the token: the one that was sent is refused")
            }
            _ => error,
        }
    }
}
