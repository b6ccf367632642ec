//! One transfer from its first request to the file under its final name.
//!
//! States: looking for what an earlier run has left -> an attempt (discovering -> receiving, ranged
//! or as one stream -> verifying -> finishing) -> done, or failed, or another attempt: with the new
//! file if it has changed (the last time in one stream, as parts may never agree), in one stream if
//! the server has stopped serving ranges, or with what turned out to be damaged fetched again. Runs
//! on a thread of its own, which is the first shard; others join it for a ranged download.

mod attempt;
mod expected_digest;
mod on_disk;
mod recheck;
mod records;
mod stream;

use crate::base::limits::ATTEMPTS_MAX;
use crate::base::size::format_bytes;
use crate::base::{Error, ErrorKind, Result, Url};
use crate::disk::journal::Found;
use crate::disk::output::Reserved;
use crate::engine::client::driver;
use crate::engine::context::Job;
use crate::engine::options::OnChange;
use crate::engine::progress::{Level, Report};
use crate::engine::trace::{Line, Trace, seconds};
use crate::engine::transfer::attempt::{Attempt, Ended};
use crate::engine::transfer::on_disk::Here;
use crate::io::clock::process_cpu_time;
use std::sync::Arc;
use std::time::Duration;

/// Runs the transfer on this thread, to the end; all its other threads have ended then.
pub(in crate::engine) fn run(job: Arc<Job>, url: &Url, reserved: Reserved) -> Result<Report> {
    let cpu_before = process_cpu_time();
    let driver = driver::driver(&job)?;
    let trace = job.options.trace.as_deref().map(Trace::create).transpose()?;
    let transfer = Transfer { job, url, reserved, cpu_before, trace };
    let result = driver.run(transfer.run());
    transfer.end_trace(&result);
    result
}

struct Transfer<'a> {
    job: Arc<Job>,
    url: &'a Url,
    reserved: Reserved,
    cpu_before: Duration,
    trace: Option<Arc<Trace>>,
}

impl Transfer<'_> {
    async fn run(&self) -> Result<Report> {
        let mut here = self.look()?;
        self.job.set_resumed(here.bytes());
        let mut is_ranged = true;
        let mut attempts = 0;
        loop {
            self.job.set_here(here.bytes());
            attempts += 1;
            let (job, url, reserved) = (&self.job, self.url, &self.reserved);
            let (trace, cpu_before) = (self.trace.clone(), self.cpu_before);
            let attempt = Attempt { job, url, reserved, cpu_before, trace, is_ranged };
            let Ended { error, is_corrupt, left } = match attempt.run(here).await {
                Ok(report) => return Ok(report),
                Err(ended) => ended,
            };
            here = left;
            if attempts == ATTEMPTS_MAX || self.job.check_stop().is_err() {
                return Err(self.explain(error));
            }
            match error.kind() {
                ErrorKind::Changed if self.job.options.on_change == OnChange::Restart => {
                    // One answer is of one version, however much several may disagree.
                    is_ranged &= attempts + 1 < ATTEMPTS_MAX;
                    let how =
                        if is_ranged { "starting over" } else { "starting over in one stream" };
                    self.note(&error, how);
                    self.reserved.discard()?;
                    here = Here::default();
                    self.job.set_resumed(0);
                }
                // Of a file that is whole nothing is left then.
                ErrorKind::ChecksumMismatch if here.is_empty() && self.job.resumed_bytes() > 0 => {
                    self.note(&error, "starting over, as an earlier run may have left wrong bytes");
                    self.reserved.discard()?;
                    self.job.set_resumed(0);
                }
                ErrorKind::RangesIgnored => {
                    self.note(&error, "going on in one stream");
                    is_ranged = false;
                }
                _ if is_corrupt => self.note(&error, "fetching them again"),
                _ => return Err(self.explain(error)),
            }
            self.job.rearm();
        }
    }

    /// What an earlier run has left; what is of no use of it is cleared away. What others have
    /// under our names was refused when these were taken, before anything was asked.
    fn look(&self) -> Result<Here> {
        let options = &self.job.options;
        let found = match options.resume && options.journal {
            true => self.reserved.find()?,
            false => Found::Nothing,
        };
        match found {
            Found::Nothing => {}
            Found::Useless(why) => self.job.tell(Level::Note, None, why),
            Found::Resumable(saved) => {
                if let Some(note) = &saved.note {
                    self.job.tell(Level::Note, None, note);
                }
                return Ok(Here::saved(saved));
            }
        }
        self.reserved.discard()?;
        Ok(Here::default())
    }

    fn note(&self, error: &Error, what_now: &str) {
        self.job.tell(Level::Note, None, format!("{}; {what_now}", error.context()));
    }

    /// Says what is kept for a later run, if it is.
    fn explain(&self, error: Error) -> Error {
        let advice = match error.kind() {
            ErrorKind::Interrupted => "run the same command again",
            _ => error.advice(),
        };
        let kept = match (self.reserved.kept_bytes(), self.job.unkept()) {
            (0, Some(why)) if self.job.new_bytes() > 0 => {
                format!("nothing of it could be kept: {why}")
            }
            (0, _) => return error,
            (bytes, _) => {
                format!("{} are kept, and the next run goes on from there", format_bytes(bytes))
            }
        };
        let advice = format!("{advice}; {kept}");
        error.advise(advice)
    }

    fn end_trace(&self, result: &Result<Report>) {
        let Some(trace) = &self.trace else { return };
        let (bytes, outcome, limiter) = match result {
            Ok(report) => (report.bytes, "ok".to_owned(), report.limiter.as_deref()),
            Err(error) => (0, error.to_string(), None),
        };
        let (at, limiter) = (seconds(self.job.now()), limiter.unwrap_or_default());
        trace.write(&Line::End { at, bytes, outcome: &outcome, limiter });
        trace.flush();
    }
}
