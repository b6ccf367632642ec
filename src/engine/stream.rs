//! A file fetched in one stream, because the server serves no ranges or does not tell the size.
//! The same blocks, hash and file as a ranged download; only a failure starts over.

use super::ask::Opening;
use super::claim::Claim;
use super::discover::{self, Found};
use super::hashing::Hashing;
use super::intake::Intake;
use super::job::Job;
use super::progress::Level;
use super::shard::{Shard, Sink, hash_budget_bytes};
use crate::base::{Error, ErrorKind, Result, Span, Url};
use crate::disk::output::Output;
use crate::http::Exchange;
use crate::plan::retry::wait_before_retry;
use std::rc::Rc;
use std::sync::Arc;

/// What a stream needs besides its response.
pub(super) struct Stream {
    pub(super) job: Arc<Job>,
    pub(super) shard: Rc<Shard>,
    pub(super) output: Arc<Output>,
    /// Where to ask again.
    pub(super) url: Url,
}

/// A file received whole.
pub(super) struct Received {
    pub(super) bytes: u64,
    pub(super) hashing: Option<Arc<Hashing>>,
}

impl Stream {
    /// Receives the file from the opening's body; a failed attempt is repeated from the start, as
    /// often as retries allow.
    pub(super) async fn receive(&self, total: Option<u64>, opening: Opening) -> Result<Received> {
        let mut response = Some((total, opening));
        let mut failures = 0;
        loop {
            let error = match self.attempt(response.take()).await {
                Ok(received) => return Ok(received),
                Err(error) => error,
            };
            self.shard.flushed().await;
            failures += 1;
            let Some(wait) = wait_before_retry(error.kind(), failures, self.job.options.retries)
            else {
                return Err(error.within(&self.url));
            };
            self.job.retried();
            let text = format!("{error}; starting over in {wait:.1?}, as there are no ranges");
            self.job.tell(Level::Detail, Some(0), text);
            tokio::time::sleep(wait).await;
        }
    }

    async fn attempt(&self, response: Option<(Option<u64>, Opening)>) -> Result<Received> {
        let (total, mut opening) = match response {
            Some(response) => response,
            None => self.ask_again().await?,
        };
        let sink = Sink { output: self.output.clone(), hashing: self.hashing()? };
        let claim = Claim::new(Span::new(0, total.unwrap_or(u64::MAX)));
        let mut intake = Intake::new(&self.job, &self.shard, &sink, &claim);
        let result = intake.receive(&mut opening, 0).await;
        intake.flush();
        let result = match result {
            Ok(()) if !opening.surplus.is_empty() => Err(Exchange::excess_error()),
            other => other,
        };
        if let Err(error) = result {
            self.job.lost(intake.position());
            return Err(error);
        }
        self.shard.flushed().await;
        Ok(Received { bytes: intake.position(), hashing: sink.hashing })
    }

    /// Nothing of the first attempt is kept, so any answer with the whole file will do.
    async fn ask_again(&self) -> Result<(Option<u64>, Opening)> {
        let discovered = discover::find(&self.job, &self.url).await?;
        match discovered.found {
            Found::Whole { total, opening } => {
                self.job.set_total(total);
                Ok((total, opening))
            }
            Found::Ranged { .. } | Found::Empty => Err(Error::new(
                ErrorKind::Changed,
                "the server served the file in one stream first, and answers otherwise now",
            )),
        }
    }

    fn hashing(&self) -> Result<Option<Arc<Hashing>>> {
        Hashing::start(&self.job, hash_budget_bytes(1), &self.output)
    }
}
