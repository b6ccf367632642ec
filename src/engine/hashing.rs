//! The transfer's digest: hands blocks to the hash thread, and waits for its result.

use super::job::Job;
use super::progress::Verified;
use crate::base::{Error, ErrorKind, Result, Span};
use crate::digest::Checksum;
use crate::disk::output::Output;
use crate::disk::verify::{Hashed, Verifier};
use crate::io::buffers::Block;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// A digest being computed, and what it has to be.
pub(super) struct Hashing {
    checksum: Checksum,
    verifier: Verifier,
    outcome: Mutex<Option<oneshot::Receiver<Result<Hashed>>>>,
}

impl Hashing {
    /// Starts to hash if the options name a checksum. At most `budget_bytes` of blocks wait in
    /// memory.
    pub(super) fn start(
        job: &Job,
        budget_bytes: u64,
        output: &Output,
    ) -> Result<Option<Arc<Self>>> {
        let Some(checksum) = job.options.checksum.clone() else { return Ok(None) };
        let (sender, receiver) = oneshot::channel();
        let on_hashed = move |hashed| {
            // Nobody waits any more if the transfer has failed meanwhile.
            let _ = sender.send(hashed);
        };
        let verifier = Verifier::start(checksum.algorithm, budget_bytes, output, on_hashed)?;
        let outcome = Mutex::new(Some(receiver));
        Ok(Some(Arc::new(Self { checksum, verifier, outcome })))
    }

    /// Offers the block at `offset`, before it is written.
    pub(super) fn offer(&self, offset: u64, block: Block) {
        self.verifier.offer(offset, block);
    }

    /// These bytes can be read back from now on.
    pub(super) fn on_written(&self, span: Span) {
        self.verifier.on_written(span);
    }

    /// Waits for the digest of the file, all of whose `total` bytes are written, and compares it.
    /// To be called once.
    pub(super) async fn verify(&self, total: u64) -> Result<Verified> {
        self.verifier.set_total(total);
        let receiver = self.outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
        let receiver = receiver.expect("a digest is asked for once");
        let hashed = receiver.await.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Internal, "the hash thread ended without a digest"))
        })?;
        self.checksum.verify(&hashed.digest)?;
        let digest = format!("{}:{}", self.checksum.algorithm, hashed.digest);
        let against = "--checksum".to_owned();
        Ok(Verified { digest, against, read_back_bytes: hashed.read_back_bytes })
    }
}
