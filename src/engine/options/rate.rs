//! The limits of the rate that a caller sets. Plain data with its bounds.

use crate::base::url::Origin;
use crate::base::{Error, ErrorKind, Result};

/// Most bytes per second of bodies, as they are received; what comes with them (heads, TLS
/// handshakes) is not counted.
///
/// A limit is kept within 2 % over any ten seconds. In any tenth of a second comes at most 1.6
/// times its worth, and 512 bytes for each answer that is waited for. All connections that it is
/// for share it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RateLimit {
    /// In total, at least 1; `None` for any.
    pub total_bytes: Option<u64>,
    /// From each origin, which is a scheme, a host and a port, at least 1; `None` for any.
    pub per_host_bytes: Option<u64>,
    /// From these origins, in place of [`per_host_bytes`](Self::per_host_bytes), each at least 1.
    pub by_origin: Vec<(Origin, u64)>,
}

impl RateLimit {
    /// An error if a limit is zero: nothing would ever come.
    pub(crate) fn validate(&self) -> Result<()> {
        let by_origin = self.by_origin.iter().map(|(_, bytes)| *bytes);
        let all = self.total_bytes.into_iter().chain(self.per_host_bytes).chain(by_origin);
        match all.min() {
            Some(0) => Err(Error::new(ErrorKind::Usage, "a limit of the rate is zero")),
            _ => Ok(()),
        }
    }

    /// What may come from `origin` per second.
    pub(in crate::engine) fn of_host(&self, origin: &Origin) -> Option<u64> {
        let own = self.by_origin.iter().find(|(other, _)| other == origin);
        own.map(|(_, bytes)| *bytes).or(self.per_host_bytes)
    }
}
