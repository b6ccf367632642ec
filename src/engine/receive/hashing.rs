//! The digests of a transfer: hands blocks to the hash thread, and waits for its result.

use crate::base::{Error, ErrorKind, Result, Span, SpanSet};
use crate::digest::{Algorithm, Digest};
use crate::disk::journal::Book;
use crate::disk::output::Output;
use crate::disk::verify::{Hashed, Verifier};
use crate::engine::context::Context;
use crate::io::buffers::Block;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// Digests being computed over the bytes in file order.
pub(in crate::engine) struct Hashing {
    verifier: Verifier,
    end: Mutex<Option<oneshot::Receiver<Hashed>>>,
}

impl Hashing {
    /// Starts to hash, if there is anything to compute. At most `budget_bytes` of blocks wait in
    /// memory; `written` is in the file already. A failure is the context's at once.
    pub(in crate::engine) fn start(
        context: &Arc<Context>,
        algorithms: &[Algorithm],
        budget_bytes: u64,
        output: &Output,
        written: &SpanSet,
    ) -> Result<Option<Arc<Self>>> {
        if algorithms.is_empty() {
            return Ok(None);
        }
        let (sender, receiver) = oneshot::channel();
        let own_context = context.clone();
        let on_end = move |outcome| match outcome {
            // Nobody waits any more if the transfer has failed meanwhile.
            Ok(hashed) => _ = sender.send(hashed),
            Err(error) => own_context.fail(error),
        };
        let verifier = Verifier::start(algorithms, budget_bytes, output, written, on_end)?;
        let end = Mutex::new(Some(receiver));
        Ok(Some(Arc::new(Self { verifier, end })))
    }

    /// Offers the block at `offset`, before it is written.
    pub(in crate::engine) fn offer(&self, offset: u64, block: Block) {
        self.verifier.offer(offset, block);
    }

    /// These bytes can be read back from now on.
    pub(in crate::engine) fn on_written(&self, span: Span) {
        self.verifier.on_written(span);
    }

    /// Waits for the digests of the file, all of whose `total` bytes are written. To be called
    /// once, and given up when the context fails.
    pub(in crate::engine) async fn finish(&self, total: u64) -> Result<Hashed> {
        self.verifier.set_total(total);
        let receiver = self
            .end
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .expect("the digests are asked for once");
        receiver
            .await
            .map_err(|_| Error::new(ErrorKind::Internal, "the hash thread ended without a digest"))
    }
}

/// The file's CRC-32C from those of its parts, if they were kept and fit together.
pub(in crate::engine) fn joined_crc32c(book: &Book) -> Option<Digest> {
    let crc = book.crc32c()?;
    Some(Digest { algorithm: Algorithm::Crc32c, bytes: crc.to_be_bytes().to_vec() })
}
