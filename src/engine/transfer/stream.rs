//! A file fetched in one stream, because the server serves no ranges or does not tell the size.
//! The same blocks, hash and file as a ranged download; only a failure starts over. What is here
//! already is received again, as there is no other way, and compared instead of written.

use crate::base::{Error, ErrorKind, Result, Span, SpanSet, Url};
use crate::digest::{Algorithm, LeftOver};
use crate::disk::journal::Book;
use crate::disk::output::Output;
use crate::engine::client::shard::{Shard, Sink, hash_budget_bytes};
use crate::engine::context::Job;
use crate::engine::progress::Level;
use crate::engine::receive::claim::Claim;
use crate::engine::receive::hashing::Hashing;
use crate::engine::receive::intake::{Delivery, Intake};
use crate::engine::source::discover::{self, Discovered, Found};
use crate::engine::source::exchange::Opening;
use crate::engine::transfer::on_disk::{Here, Proof, identity, written};
use crate::http::{Exchange, Validator};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// What a stream needs besides its response.
pub(in crate::engine) struct Stream<'a> {
    pub(in crate::engine) job: Arc<Job>,
    pub(in crate::engine) shard: Rc<Shard>,
    pub(in crate::engine) output: Arc<Output>,
    /// Where to ask again.
    pub(in crate::engine) url: &'a Url,
    /// Digests to compute.
    pub(in crate::engine) algorithms: &'a [Algorithm],
    /// What is here of the same file.
    pub(in crate::engine) here: &'a Here,
    /// The digest the file must have, as text.
    pub(in crate::engine) digest: Option<String>,
}

/// A response with the whole file, of which the head has arrived.
pub(in crate::engine) struct Whole {
    /// Where it came from, redirects followed.
    pub(in crate::engine) url: Url,
    pub(in crate::engine) total: Option<u64>,
    pub(in crate::engine) validator: Validator,
    pub(in crate::engine) opening: Opening,
}

/// A file received whole.
pub(in crate::engine) struct Received {
    pub(in crate::engine) bytes: u64,
    pub(in crate::engine) hashing: Option<Arc<Hashing>>,
}

/// What is here already of the file that comes once more.
struct Kept<'a> {
    job: &'a Job,
    here: RefCell<SpanSet>,
    left_over: RefCell<LeftOver>,
}

impl Delivery for Kept<'_> {
    /// A server whose file begins otherwise than what is here has another file, whatever its
    /// validator says.
    fn deliver(&self, block: Span, bytes: &[u8]) -> Vec<Span> {
        if let Err(run) = self.left_over.borrow_mut().update(bytes) {
            let what = format!("the bytes {run} of the server's file are not those fetched before");
            self.job.fail(Error::new(ErrorKind::Changed, what));
        }
        let new = self.here.borrow().gaps(block);
        self.here.borrow_mut().insert(block);
        new
    }
}

impl Stream<'_> {
    /// Receives the file from the opening's body; a failed attempt is repeated from the start, as
    /// often as retries allow.
    pub(in crate::engine) async fn receive(&self, whole: Whole) -> Result<Received> {
        let mut response = Some(whole);
        let mut backoff = self.job.backoff();
        loop {
            let error = match self.attempt(response.take()).await {
                Ok(received) => return Ok(received),
                Err(error) => error,
            };
            self.shard.flushed().await;
            let Some(wait) = backoff.next(error.kind()) else {
                return Err(error.within(self.url));
            };
            self.job.retried();
            let text = format!("{error}; starting over in {wait:.1?}, as there are no ranges");
            self.job.tell(Level::Detail, Some(0), text);
            tokio::time::sleep(wait).await;
        }
    }

    async fn attempt(&self, response: Option<Whole>) -> Result<Received> {
        let whole = match response {
            Some(response) => response,
            None => self.ask_again().await?,
        };
        let (total, proof) = (whole.total, self.check(&whole)?);
        self.job.set_total(total);
        let hashing = self.hashing()?;
        let book = Arc::new(Book::new(total.unwrap_or(u64::MAX), self.here.runs()));
        book.want_sums(false);
        let sink = Sink { output: self.output.clone(), hashing, book, is_journaled: false };
        let end = match proof {
            Proof::Given => self.end_of_missing(total),
            // All of what is here has to be compared.
            Proof::ByComparison => total.unwrap_or(u64::MAX),
        };
        let claim = Claim::new(Span::new(0, end));
        if !self.here.is_empty() {
            // As with bytes that a second connection delivers: written is what is new.
            claim.share();
        }
        let kept = self.kept();
        let mut intake = Intake::new(&self.job, &self.shard, &sink, &claim).delivering(&kept);
        let mut opening = whole.opening;
        let result = intake.receive(&mut opening, 0).await;
        intake.flush();
        let is_excess = opening.exchange.is_complete() && !opening.surplus.is_empty();
        let result = match result {
            Ok(()) if is_excess => Err(Exchange::excess_error()),
            other => other,
        };
        if let Err(error) = result {
            self.job.set_here(self.here.bytes());
            return Err(error);
        }
        self.shard.flushed().await;
        let bytes = total.filter(|_| !self.here.is_empty()).unwrap_or(intake.position());
        Ok(Received { bytes, hashing: sink.hashing })
    }

    /// What is kept of earlier attempts must be of this file.
    fn check(&self, whole: &Whole) -> Result<Proof> {
        let total = whole.total.unwrap_or(u64::MAX);
        let digest = self.digest.clone();
        self.here.judge(&identity(&whole.url, total, &whole.validator, digest))
    }

    /// Where the last missing byte ends: the rest need not be received.
    fn end_of_missing(&self, total: Option<u64>) -> u64 {
        let total = total.unwrap_or(u64::MAX);
        let last = self.here.runs().last().map(|run| run.span);
        last.filter(|last| last.end() == total).map_or(total, |_| self.here.start_of_last_island())
    }

    /// Nothing of the failed attempt is needed, so any answer with the whole file will do.
    async fn ask_again(&self) -> Result<Whole> {
        let Discovered { source, found, .. } = discover::find(&self.job, self.url, None).await?;
        match found {
            Found::Whole { total, validator, opening } => {
                Ok(Whole { url: source.url().clone(), total, validator, opening })
            }
            Found::Ranged { .. } | Found::Empty => Err(Error::new(
                ErrorKind::Changed,
                "the server served the file in one stream first, and answers otherwise now",
            )),
        }
    }

    fn kept(&self) -> Kept<'_> {
        let here = RefCell::new(written(&self.here.runs()));
        let left_over = RefCell::new(LeftOver::new(self.here.runs()));
        Kept { job: &self.job, here, left_over }
    }

    fn hashing(&self) -> Result<Option<Arc<Hashing>>> {
        let (budget_bytes, here) = (hash_budget_bytes(1), written(&self.here.runs()));
        Hashing::start(&self.job, self.algorithms, budget_bytes, &self.output, &here)
    }
}
