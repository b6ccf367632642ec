//! One transfer from its first request to the file under its final name.
//!
//! States: discovering -> receiving (ranged or as one stream) -> verifying -> finishing. Runs on a
//! thread of its own, which is the first shard; others join it for a ranged download.

use super::ask::Opening;
use super::crew::Crews;
use super::discover::{self, Discovered, Found};
use super::hashing::Hashing;
use super::job::Job;
use super::options::DirectMode;
use super::progress::{Level, Phase, Report, Verified};
use super::ranged::{FirstSpan, Ranged};
use super::shard::{self, Shard, Sink, hash_budget_bytes};
use super::source::Source;
use super::stream::{Received, Stream};
use super::trace::{Line, Trace, seconds};
use super::worker::First;
use crate::base::url::Scheme;
use crate::base::{ErrorKind, Result, Url};
use crate::disk::output::{DirectPolicy, Output, Reserved};
use crate::http::Known;
use crate::io::clock::process_cpu_time;
use crate::plan::Totals;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Hashing that takes longer than one part in so many of the transfer, after the last byte has
/// come, was behind.
const HASH_BEHIND_SHARE: u32 = 20;

/// Runs the transfer on this thread, to the end; all its other threads have ended then.
pub(super) fn run(job: Arc<Job>, url: &Url, reserved: Reserved) -> Result<Report> {
    let cpu_before = process_cpu_time();
    let ring = shard::ring()?;
    let trace = job.options.trace.as_deref().map(Trace::create).transpose()?;
    let transfer = Transfer { job: job.clone(), url: url.clone(), cpu_before, trace };
    let result = ring.run(transfer.run(reserved));
    // What made the transfer fail says more than how its other parts noticed.
    let result = result.map_err(|error| job.take_failure().unwrap_or(error));
    transfer.end_trace(&result);
    result
}

struct Transfer {
    job: Arc<Job>,
    url: Url,
    cpu_before: Duration,
    trace: Option<Arc<Trace>>,
}

/// What a finished transfer knows besides the counters.
struct Ending {
    received: Received,
    output: Arc<Output>,
    threads: u32,
    registered: bool,
    /// The plan and what it learned; `None` for one stream.
    ranges: Option<Arc<Ranged>>,
}

impl Transfer {
    async fn run(&self, reserved: Reserved) -> Result<Report> {
        let Discovered { source, found } =
            self.job.guard(discover::find(&self.job, &self.url)).await?;
        self.job.set_phase(Phase::Downloading);
        let ending = match found {
            Found::Ranged { known, opening, span, times } => {
                let output = self.allocate(reserved, Some(known.total))?;
                self.begin_trace(&source, known.total);
                let (setup, address) = (opening.connection.setup, opening.connection.address);
                let first = FirstSpan { span, times, setup, address };
                self.ranged(source, known, opening, first, output).await?
            }
            Found::Whole { total, opening } => {
                self.job.tell(
                    Level::Note,
                    None,
                    "the server does not serve ranges: one stream, which a failure starts over",
                );
                let output = self.allocate(reserved, total)?;
                self.stream(total, opening, output).await?
            }
            Found::Empty => self.empty(reserved)?,
        };
        let received_at = self.job.now();
        let verified = self.job.guard(self.verify(&ending)).await?;
        let limiter = self.limiter(&ending, received_at);
        self.job.set_phase(Phase::Finishing);
        // The last writes may have failed after all else was through.
        self.check_failure()?;
        let path = ending.output.commit(ending.received.bytes)?;
        Ok(self.report(path, &ending, limiter, verified))
    }

    fn allocate(&self, reserved: Reserved, total: Option<u64>) -> Result<Arc<Output>> {
        self.job.set_total(total);
        let policy = match self.job.options.direct {
            DirectMode::Auto => DirectPolicy::Auto,
            DirectMode::On => DirectPolicy::Always,
            DirectMode::Off => DirectPolicy::Never,
        };
        let output = reserved.allocate(total, policy)?;
        if let Some(reason) = output.buffered_reason() {
            self.job.tell(Level::Detail, None, format!("buffered writes: {reason}"));
        }
        Ok(Arc::new(output))
    }

    async fn ranged(
        &self,
        source: Source,
        known: Known,
        opening: Opening,
        first: FirstSpan,
        output: Arc<Output>,
    ) -> Result<Ending> {
        let (total, scheme) = (known.total, source.url().scheme());
        let threads_max = threads(&self.job, scheme);
        let budget_bytes = hash_budget_bytes(threads_max);
        let hashing = Hashing::start(&self.job, budget_bytes, &output)?;
        let sink = Sink { output: output.clone(), hashing: hashing.clone() };
        let (job, trace) = (self.job.clone(), self.trace.clone());
        let (ranged, fetch) = Ranged::new(job, source, known, sink, trace, &first);
        let requested = first.times.requested;
        let crews = Crews::start(&ranged, threads_max);
        let registered = crews.work(First { fetch, opening, requested }).await;
        self.check_failure()?;
        self.job.check_stop()?;
        ranged.assert_complete();
        let received = Received { bytes: total, hashing };
        let threads = registered.threads;
        let (ranges, registered) = (Some(ranged), registered.registered);
        Ok(Ending { received, output, threads, registered, ranges })
    }

    /// The failure of any part of the transfer ends it here.
    fn check_failure(&self) -> Result<()> {
        self.job.take_failure().map_or(Ok(()), Err)
    }

    async fn stream(
        &self,
        total: Option<u64>,
        opening: Opening,
        output: Arc<Output>,
    ) -> Result<Ending> {
        let shard = Shard::new(1, self.job.options.checksum.is_some())?;
        shard.register(&self.job, total.unwrap_or(u64::MAX));
        let registered = shard.is_registered();
        let (job, url) = (self.job.clone(), self.url.clone());
        let stream = Stream { job, shard, output: output.clone(), url };
        let received = self.job.guard(stream.receive(total, opening)).await?;
        Ok(Ending { received, output, threads: 1, registered, ranges: None })
    }

    fn empty(&self, reserved: Reserved) -> Result<Ending> {
        let output = self.allocate(reserved, Some(0))?;
        let received = Received { bytes: 0, hashing: Hashing::start(&self.job, 0, &output)? };
        Ok(Ending { received, output, threads: 1, registered: false, ranges: None })
    }

    async fn verify(&self, ending: &Ending) -> Result<Option<Verified>> {
        let Some(hashing) = &ending.received.hashing else { return Ok(None) };
        self.job.set_phase(Phase::Verifying);
        let verified = hashing.verify(ending.received.bytes).await.map_err(|e| {
            if e.kind() != ErrorKind::ChecksumMismatch {
                return e;
            }
            ending.output.keep_part();
            let part = ending.output.part_path().display();
            e.advise(format!(
                "the bytes are kept as {part}; compare the expected digest with its source"
            ))
        })?;
        Ok(Some(verified))
    }

    /// What limited the transfer, whose last byte had arrived at `received_at`.
    fn limiter(&self, ending: &Ending, received_at: Duration) -> Option<String> {
        let elapsed = self.job.now();
        let cpu_busy = self.job.load.cpu_of_busiest().as_secs_f64() / received_at.as_secs_f64();
        let hash_behind = elapsed.saturating_sub(received_at) > elapsed / HASH_BEHIND_SHARE;
        let bytes = ending.received.bytes;
        let totals = Totals { elapsed: received_at, bytes, cpu_busy, hash_behind };
        ending.ranges.as_ref().map(|ranged| ranged.limiter(totals).to_string())
    }

    fn begin_trace(&self, source: &Source, bytes: u64) {
        if let Some(trace) = &self.trace {
            let (url, addresses) = (source.url().to_string(), source.addresses());
            trace.write(&Line::Begin { url: &url, bytes, addresses });
        }
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

    fn report(
        &self,
        path: PathBuf,
        ending: &Ending,
        limiter: Option<String>,
        verified: Option<Verified>,
    ) -> Report {
        Report {
            path,
            bytes: ending.received.bytes,
            resumed_bytes: 0,
            elapsed: self.job.now(),
            connections: self.job.counts.open_max(),
            connects: self.job.counts.established(),
            threads: ending.threads,
            cpu: process_cpu_time().saturating_sub(self.cpu_before),
            direct: ending.output.is_direct(),
            registered: ending.registered,
            ranges: ending.ranges.is_some() || ending.received.bytes == 0,
            retries: self.job.retries(),
            limiter,
            verified,
            digests: Vec::new(),
        }
    }
}

/// Threads to use at most: what was asked for, or one, which keeps up with 20 Gbit/s of plain
/// HTTP; decryption gets a second one where there are cores. Measured, see the README: a second
/// shard saves HTTP nothing that could be told from noise, and HTTPS a little.
fn threads(job: &Job, scheme: Scheme) -> u32 {
    job.options.threads.unwrap_or_else(|| match scheme {
        Scheme::Http => 1,
        Scheme::Https => {
            let cores = thread::available_parallelism().map_or(1, usize::from);
            if cores > 1 { 2 } else { 1 }
        }
    })
}
