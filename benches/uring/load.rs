//! What is received: a number of connections, each with a number of requests one after the other,
//! and what receiving it has cost. Knows no ring.

use crate::kernel::{Usage, usage};
use std::net::SocketAddr;
use std::time::Instant;

/// What one measurement receives.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) connections: usize,
    /// Of each connection.
    pub(crate) requests: usize,
    /// Of each answer.
    pub(crate) body_bytes: usize,
    /// An encoded request.
    pub(crate) request: &'static [u8],
    /// What each body has to be, where that is to be checked.
    pub(crate) content: Option<&'static [u8]>,
}

/// What a measurement has cost the receiving process.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) wall_s: f64,
    pub(crate) cpu_s: f64,
    pub(crate) switches: f64,
}

/// Measures from now on.
pub(crate) struct Meter {
    began: Instant,
    before: Usage,
}

impl Load {
    /// Bytes of all bodies.
    pub(crate) fn bytes(&self) -> usize {
        self.connections * self.requests * self.body_bytes
    }

    /// Panics unless a body has these bytes at `from`; without effect where nothing is checked.
    pub(crate) fn check(&self, from: usize, bytes: &[u8]) {
        if let Some(content) = self.content {
            assert!(content[from..from + bytes.len()] == *bytes, "wrong bytes from {from} on");
        }
    }
}

impl Meter {
    pub(crate) fn start() -> Self {
        Self { began: Instant::now(), before: usage() }
    }

    pub(crate) fn stop(&self) -> Cost {
        let after = usage();
        Cost {
            wall_s: self.began.elapsed().as_secs_f64(),
            cpu_s: after.cpu_s - self.before.cpu_s,
            switches: (after.switches - self.before.switches) as f64,
        }
    }
}
