//! How long clients may keep the server waiting. Plain data; what follows is done in `connection`,
//! `seats` and `transport`.

use crate::base::limits::{
    SERVER_HEAD_TIME_MAX, SERVER_IDLE_MAX, SERVER_IDLE_MIN, SERVER_UNREAD_MAX,
};
use std::time::Duration;

/// Times after which a connection ends because of its client. A connection that the script stalls
/// or the shape slows down is the server's own doing and has no such limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Without a byte of the next request, or of the first one; a TLS handshake is over by then.
    pub idle_max: Duration,
    /// From the first byte of a request to the end of its head.
    pub head_max: Duration,
    /// Without one byte of an answer taken by the client, when all buffers are full.
    pub unread_max: Duration,
    /// Who has waited for less than this never makes room for a new connection.
    pub idle_min: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            idle_max: SERVER_IDLE_MAX,
            head_max: SERVER_HEAD_TIME_MAX,
            unread_max: SERVER_UNREAD_MAX,
            idle_min: SERVER_IDLE_MIN,
        }
    }
}
