//! A rate limit as a socket meets it: what it may receive, and when. Who shares the limit, and how
//! it is divided, is decided elsewhere.
//!
//! Bytes are received by grants: a receive is asked for no more than was granted, or all that lies
//! in the socket would come at once. What comes while a head is due may be of a body, too; it is
//! read in small parts, and is paid for once it has turned out to be payload.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Grants bytes to all who share it.
pub trait Throttle: Debug + Send + Sync {
    /// Grants up to `bytes`, at least 1: how many, and from when on. Each grant is settled once.
    fn grant(&self, purpose: Purpose, bytes: usize) -> (usize, Instant);

    /// `received` of the `granted` bytes have come, and no more will.
    fn settle(&self, purpose: Purpose, granted: usize, received: usize);

    /// Counts payload that has come without a grant for a body.
    fn charge(&self, bytes: u64);

    /// A connection waits from here on because of the limit.
    fn begin_wait(&self);

    /// A connection has waited for this time.
    fn end_wait(&self, waited: Duration);
}

/// What is received by a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A body, which is paid for by the grant.
    Body,
    /// The head of an answer, and what comes with it.
    Head,
}

/// The limit of one socket.
#[derive(Debug)]
pub struct Throttled {
    throttle: Arc<dyn Throttle>,
    /// Bytes that have come by grants for bodies and are not known to be payload.
    credit_bytes: u64,
    /// Indicates whether the socket waits for the limit.
    is_waiting: Arc<AtomicBool>,
}

/// A grant, settled when dropped.
#[derive(Debug)]
pub struct Granted {
    throttle: Arc<dyn Throttle>,
    purpose: Purpose,
    /// How many bytes were granted.
    pub bytes: usize,
    /// How many of them have come.
    received: usize,
}

impl Throttled {
    /// A socket that shares `throttle`.
    pub fn new(throttle: Arc<dyn Throttle>) -> Self {
        Self { throttle, credit_bytes: 0, is_waiting: Arc::default() }
    }

    /// Whether the socket waits for the limit, as seen by others.
    pub fn waiting(&self) -> &Arc<AtomicBool> {
        &self.is_waiting
    }

    /// A grant of up to `bytes`, and when it begins.
    pub fn grant(&self, purpose: Purpose, bytes: usize) -> (Granted, Instant) {
        let (bytes, at) = self.throttle.grant(purpose, bytes);
        (Granted { throttle: self.throttle.clone(), purpose, bytes, received: 0 }, at)
    }

    /// A receive has used a grant as far as `received` bytes.
    pub fn use_up(&mut self, mut grant: Granted, received: usize) {
        grant.received = received;
        if grant.purpose == Purpose::Body {
            self.credit_bytes += received as u64;
        }
    }

    /// Counts payload. What has not come by a grant for a body is paid for now.
    pub fn pay(&mut self, bytes: u64) {
        let covered = bytes.min(self.credit_bytes);
        self.credit_bytes -= covered;
        if bytes > covered {
            self.throttle.charge(bytes - covered);
        }
    }

    /// To be held while the socket waits for the limit.
    pub fn wait(&self) -> Waiting {
        self.throttle.begin_wait();
        self.is_waiting.store(true, Ordering::Relaxed);
        let (throttle, is_waiting) = (self.throttle.clone(), self.is_waiting.clone());
        Waiting { throttle, is_waiting, began: Instant::now() }
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        self.throttle.settle(self.purpose, self.bytes, self.received.min(self.bytes));
    }
}

/// A socket waits for the limit until this is dropped.
pub struct Waiting {
    throttle: Arc<dyn Throttle>,
    is_waiting: Arc<AtomicBool>,
    began: Instant,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.is_waiting.store(false, Ordering::Relaxed);
        self.throttle.end_wait(self.began.elapsed());
    }
}
