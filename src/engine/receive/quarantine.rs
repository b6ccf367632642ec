//! Bytes of one answer that count only once the digest of that answer fits (RFC 9530 section 2):
//! until then they go to the output, but neither the plan nor hash nor journal hears of them.
//!
//! States: closed (bytes are hashed as their blocks leave) -> open (the digest fits: what was
//! written counts, and what is still being written will) or dropped (nothing ever counts). Must
//! not know what a block is: `W` stands for one that has been written.

use crate::base::{Error, ErrorKind, Result, Span};
use crate::digest::{Checksum, Hasher};
use crate::http::{Head, Offered, content_digests};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use tokio::sync::Notify;

/// The quarantine of one answer.
pub(in crate::engine) struct Quarantine<W> {
    checksum: Checksum,
    field: &'static str,
    hasher: RefCell<Option<Hasher>>,
    is_open: Cell<bool>,
    /// Written while it was closed.
    held: RefCell<Vec<W>>,
    /// Blocks on their way to the output.
    writing: Cell<usize>,
    written: Notify,
}

impl<W> Quarantine<W> {
    /// A quarantine for the answer, if it offers a digest of its content that we know.
    pub(in crate::engine) fn of(head: &Head) -> Option<Rc<Self>> {
        let offers = content_digests(head).digests;
        let (field, checksum) = offers.into_iter().find_map(known)?;
        Some(Rc::new(Self {
            hasher: RefCell::new(Some(checksum.algorithm.hasher())),
            checksum,
            field,
            is_open: Cell::new(false),
            held: RefCell::default(),
            writing: Cell::new(0),
            written: Notify::new(),
        }))
    }

    /// The next bytes of the answer.
    pub(in crate::engine) fn update(&self, bytes: &[u8]) {
        if let Some(hasher) = self.hasher.borrow_mut().as_mut() {
            hasher.update(bytes);
        }
    }

    /// A block leaves for the output.
    pub(in crate::engine) fn leaves(&self) {
        self.writing.set(self.writing.get() + 1);
    }

    /// A block that left has been written, or (`None`) has not; given back if it counts now.
    pub(in crate::engine) fn arrived(&self, written: Option<W>) -> Option<W> {
        self.writing.set(self.writing.get() - 1);
        self.written.notify_waiters();
        let written = written?;
        if self.is_open.get() {
            return Some(written);
        }
        self.held.borrow_mut().push(written);
        None
    }

    /// The answer has ended, all of it: opens if its digest fits, and gives what counts then.
    /// Otherwise an error, once nothing of it is on its way to the output any more, as the bytes
    /// will be fetched again.
    pub(in crate::engine) async fn close(&self, span: Span) -> Result<Vec<W>> {
        let Some(hasher) = self.hasher.borrow_mut().take() else { return Ok(Vec::new()) };
        let digest = hasher.finish();
        if digest.bytes == self.checksum.expected {
            return Ok(self.open());
        }
        self.drained().await;
        let (field, algorithm) = (self.field, digest.algorithm);
        let what = format!("the {algorithm} of the bytes {span} is not what {field} says");
        Err(Error::new(ErrorKind::ChecksumMismatch, what)
            .advise("try again; a cache or a proxy on the way changes bytes"))
    }

    /// Lets through what was not compared, as the answer did not come to its end.
    pub(in crate::engine) fn open(&self) -> Vec<W> {
        self.is_open.set(true);
        self.held.take()
    }

    async fn drained(&self) {
        loop {
            let written = self.written.notified();
            if self.writing.get() == 0 {
                return;
            }
            written.await;
        }
    }
}

fn known(offered: Offered) -> Option<(&'static str, Checksum)> {
    let algorithm = offered.algorithm.parse().ok()?;
    Some((offered.field, Checksum::new(algorithm, offered.value).ok()?))
}
