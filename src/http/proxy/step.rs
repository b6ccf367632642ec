//! What all talks with proxies have in common: what comes next, and what is wrong with a proxy that
//! breaks its protocol.

use crate::base::{Error, ErrorKind};

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// More of the answer has to come.
    Receive,
    /// This is to be sent, and then more received.
    Send(Vec<u8>),
    /// What is sent from here on reaches the origin.
    Done,
}

/// The error of a proxy that says what its protocol does not know.
pub(super) fn garbled(name: &str, what: &str) -> Error {
    Error::new(ErrorKind::Protocol, format!("{name} {what}"))
        .advise("check the port of the proxy, and that it speaks what its URL says")
}

/// The error of a proxy that says more than it was asked.
pub(super) fn surplus(name: &str) -> Error {
    garbled(name, "sent bytes behind its answer, before anything was asked of the server")
}
