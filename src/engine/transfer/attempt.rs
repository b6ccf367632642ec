//! One attempt at a transfer: discovering -> receiving (ranged or as one stream) -> verifying ->
//! finishing. What a failed one leaves is the next one's, or a later run's.

use crate::base::size::format_bytes;
use crate::base::url::Scheme;
use crate::base::{Error, ErrorKind, Result, Span, SpanSet, Url};
use crate::digest::{Algorithm, Digest};
use crate::disk::journal::Identity;
use crate::disk::output::{DirectPolicy, Output, Reserved};
use crate::engine::client::shard::{Shard, Sink, hash_budget_bytes};
use crate::engine::context::{Job, jitter_seed};
use crate::engine::options::{DirectMode, Engine};
use crate::engine::progress::{Level, Phase, Report, Verified};
use crate::engine::ranged::supervisor::Crews;
use crate::engine::ranged::worker::First;
use crate::engine::ranged::{FirstSpan, Ranged};
use crate::engine::receive::hashing::{Hashing, joined_crc32c};
use crate::engine::source::Source;
use crate::engine::source::discover::{self, Discovered, Found, request_size};
use crate::engine::source::exchange::Opening;
use crate::engine::source::expiry::{Versions, Whereabouts};
use crate::engine::source::follow::FirstTimes;
use crate::engine::source::twin::Twin;
use crate::engine::trace::{Line, Trace};
use crate::engine::transfer::expected_digest::{self, Expected};
use crate::engine::transfer::on_disk::{Here, Proof, identity, written};
use crate::engine::transfer::recheck::Rechecking;
use crate::engine::transfer::records::Keep;
use crate::engine::transfer::stream::{Received, Stream, Whole};
use crate::http::{Known, Validator};
use crate::io::clock::process_cpu_time;
use crate::plan::{Totals, first_request_bytes};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Hashing that takes longer than one part in so many of the transfer, after the last byte has
/// come, was behind.
const HASH_BEHIND_SHARE: u32 = 20;

/// What an attempt works with.
pub(in crate::engine) struct Attempt<'a> {
    pub(in crate::engine) job: &'a Arc<Job>,
    pub(in crate::engine) url: &'a Url,
    pub(in crate::engine) reserved: &'a Reserved,
    pub(in crate::engine) cpu_before: Duration,
    pub(in crate::engine) trace: Option<Arc<Trace>>,
    /// Ask for ranges, not for everything at once.
    pub(in crate::engine) is_ranged: bool,
}

/// How an attempt failed.
pub(in crate::engine) struct Ended {
    pub(in crate::engine) error: Error,
    /// What is here is not what was written; it is not counted among what is left.
    pub(in crate::engine) is_corrupt: bool,
    pub(in crate::engine) left: Here,
}

/// The digests of an attempt: what is expected, and what is computed.
struct Wanted {
    expected: Option<Expected>,
    algorithms: Vec<Algorithm>,
}

/// What an attempt knows once all bytes have come, besides the counters.
struct Ending {
    received: Received,
    output: Arc<Output>,
    threads: u32,
    registered: bool,
    is_ranged: bool,
    /// The plan and what it learned; `None` if there was none.
    ranges: Option<Arc<Ranged>>,
    /// The check of what was here before, if it may be under way.
    rechecking: Option<Rechecking>,
}

/// An answer that serves ranges.
struct Ranges {
    source: Source,
    known: Known,
    opening: Opening,
    span: Span,
    times: FirstTimes,
}

impl Attempt<'_> {
    /// Runs it to the end, with what is `here` already.
    pub(in crate::engine) async fn run(self, here: Here) -> Result<Report, Ended> {
        self.job.set_unchecked(here.unchecked_bytes());
        let discovering = discover::find(self.job, self.url, self.range(&here));
        let discovered = match self.job.guard(discovering).await {
            Ok(discovered) => discovered,
            Err(error) => return Err(self.failed(error, here)),
        };
        let wanted = match self.wanted(&discovered) {
            Ok(wanted) => wanted,
            Err(error) => return Err(self.failed(error, here)),
        };
        self.job.set_phase(Phase::Downloading);
        let Discovered { source, found, .. } = discovered;
        match found {
            Found::Ranged { known, opening, span, times } => {
                let ranges = Ranges { source, known, opening, span, times };
                self.by_ranges(ranges, wanted, here).await
            }
            Found::Whole { total, validator, opening } => {
                let url = source.url().clone();
                let whole = Whole { url, total, validator, opening };
                let result = self.by_stream(whole, &wanted, &here).await;
                result.map_err(|error| self.failed(error, here))
            }
            Found::Empty => {
                let now = identity(source.url(), 0, &Validator::None, wanted.digest());
                if let Err(error) = here.judge(&now) {
                    return Err(self.failed(error, here));
                }
                let result = self.empty(&wanted).await;
                result.map_err(|error| self.failed(error, here))
            }
        }
    }

    /// What to ask first; `None` for everything.
    fn range(&self, here: &Here) -> Option<Span> {
        let bytes_max = first_request_bytes(request_size(&self.job.options));
        self.is_ranged.then(|| here.first_request(bytes_max))
    }

    fn wanted(&self, discovered: &Discovered) -> Result<Wanted> {
        let expected = expected_digest::choose(self.job, &discovered.offers)?;
        let algorithms = expected_digest::algorithms(expected.as_ref(), &self.job.options);
        Ok(Wanted { expected, algorithms })
    }

    /// What made the attempt fail says more than how its other parts noticed.
    fn failed(&self, error: Error, left: Here) -> Ended {
        let error = self.job.take_failure().unwrap_or(error);
        let corrupt = self.job.take_corrupt();
        let is_corrupt = !corrupt.is_empty();
        let left = if is_corrupt { left.without(&corrupt) } else { left };
        Ended { error, is_corrupt, left }
    }

    async fn by_ranges(&self, ranges: Ranges, wanted: Wanted, here: Here) -> Result<Report, Ended> {
        let (known, digest) = (&ranges.known, wanted.digest());
        let now = identity(ranges.source.url(), known.total, &known.validator, digest);
        let (output, rechecking) = match self.join(&ranges, &now, &here).await {
            Ok(joined) => joined,
            Err(error) => return Err(self.failed(error, here)),
        };
        // From here on the book knows more than `here` does.
        let keep = Keep::start(self.job, &output, now, here.runs(), &wanted.algorithms);
        let mut keep = match keep {
            Ok(keep) => keep,
            Err(error) => return Err(self.failed(error, here)),
        };
        let result = self.fetch_and_commit(ranges, &wanted, output, &mut keep, rechecking).await;
        result.map_err(|error| {
            let error = self.job.take_failure().unwrap_or(error);
            let corrupt = self.job.take_corrupt();
            corrupt.iter().for_each(|span| keep.forget(span));
            Ended { error, is_corrupt: !corrupt.is_empty(), left: keep.end() }
        })
    }

    /// Makes sure that what is `here` is a part of the file that is served `now`, and gives the
    /// output, with the check of these bytes under way.
    async fn join(
        &self,
        ranges: &Ranges,
        now: &Identity,
        here: &Here,
    ) -> Result<(Arc<Output>, Option<Rechecking>)> {
        let proof = here.judge(now)?;
        let output = self.allocate(Some(now.total))?;
        let Ranges { source, known, .. } = ranges;
        if proof == Proof::ByComparison {
            let versions = &Versions::new(known.clone());
            let (job, url) = (self.job, self.url);
            let twin = Twin { job, url, source, versions, output: &output };
            self.job.guard(twin.test(&written(&here.runs()), jitter_seed())).await?;
            let text = "samples of what is here are the same there: it is taken for one file";
            self.job.tell(Level::Note, None, text);
        }
        if !here.is_empty() {
            let (bytes, total) = (format_bytes(here.bytes()), format_bytes(now.total));
            self.job.tell(Level::Note, None, format!("resuming: {bytes} of {total} are here"));
        }
        let rechecking = Rechecking::start(self.job, &output, here)?;
        Ok((output, rechecking))
    }

    async fn fetch_and_commit(
        &self,
        ranges: Ranges,
        wanted: &Wanted,
        output: Arc<Output>,
        keep: &mut Keep,
        rechecking: Option<Rechecking>,
    ) -> Result<Report> {
        let threads_max = threads(self.job, ranges.source.url().scheme());
        let (budget_bytes, here) = (hash_budget_bytes(threads_max), written(&keep.runs()));
        let in_order = wanted.in_order();
        let hashing = Hashing::start(self.job, &in_order, budget_bytes, &output, &here)?;
        let (book, is_journaled) = (keep.book().clone(), keep.is_journaled());
        let sink = Sink { output, hashing, book, is_journaled };
        let has_digest = wanted.expected.is_some();
        let ending = self.fetch(ranges, has_digest, sink, &here, threads_max).await?;
        self.finish(Ending { rechecking, ..ending }, wanted, Some(keep)).await
    }

    async fn fetch(
        &self,
        ranges: Ranges,
        has_digest: bool,
        sink: Sink,
        here: &SpanSet,
        threads_max: u32,
    ) -> Result<Ending> {
        let Ranges { source, known, opening, span, times } = ranges;
        let (output, hashing, total) = (sink.output.clone(), sink.hashing.clone(), known.total);
        let received = Received { bytes: total, hashing };
        self.begin_trace(&source, total);
        if here.covers(Span::new(0, total)) {
            return Ok(Ending::new(received, output));
        }
        let (setup, address) = (opening.connection.setup, opening.connection.address);
        let first = FirstSpan { span, times, setup, address };
        let whereabouts = Whereabouts::new(self.url.clone(), source);
        let (job, trace) = (self.job.clone(), self.trace.clone());
        let known = (known, has_digest);
        let (ranged, fetch) = Ranged::new(job, whereabouts, known, sink, trace, here, &first);
        let crews = Crews::start(&ranged, threads_max);
        let worked = crews.work(First { fetch, opening, requested: times.requested }).await;
        self.check_failure()?;
        self.job.check_stop()?;
        ranged.assert_complete();
        let (threads, registered, ranges) = (worked.threads, worked.registered, Some(ranged));
        Ok(Ending { threads, registered, ranges, ..Ending::new(received, output) })
    }

    async fn by_stream(&self, whole: Whole, wanted: &Wanted, here: &Here) -> Result<Report> {
        let (total, digest) = (whole.total, wanted.digest());
        if self.is_ranged {
            self.job.cannot_keep(total, "the server does not serve ranges, only one stream");
        }
        let output = self.allocate(total)?;
        let rechecking = Rechecking::start(self.job, &output, here)?;
        let shard = Shard::new(1, !wanted.algorithms.is_empty())?;
        shard.register(self.job, &output, total.unwrap_or(u64::MAX));
        let registered = shard.is_registered();
        let (job, url, algorithms) = (self.job.clone(), self.url, &wanted.algorithms[..]);
        let stream = Stream { job, shard, output: output.clone(), url, algorithms, here, digest };
        let received = self.job.guard(stream.receive(whole)).await?;
        let ending = Ending { registered, is_ranged: false, ..Ending::new(received, output) };
        self.finish(Ending { rechecking, ..ending }, wanted, None).await
    }

    async fn empty(&self, wanted: &Wanted) -> Result<Report> {
        let output = self.allocate(Some(0))?;
        let nothing = SpanSet::new();
        let hashing = Hashing::start(self.job, &wanted.algorithms, 0, &output, &nothing)?;
        let received = Received { bytes: 0, hashing };
        self.finish(Ending::new(received, output), wanted, None).await
    }

    fn allocate(&self, total: Option<u64>) -> Result<Arc<Output>> {
        self.job.set_total(total);
        let policy = match self.job.options.direct {
            DirectMode::Auto => DirectPolicy::Auto,
            DirectMode::On => DirectPolicy::Always,
            DirectMode::Off => DirectPolicy::Never,
        };
        let output = self.reserved.allocate(total, policy)?;
        if let Some(reason) = output.buffered_reason() {
            self.job.tell(Level::Detail, None, format!("buffered writes: {reason}"));
        }
        Ok(Arc::new(output))
    }

    /// The failure of any part of the transfer ends it here.
    fn check_failure(&self) -> Result<()> {
        self.job.take_failure().map_or(Ok(()), Err)
    }

    /// All bytes are in the part file: verifies them and gives the file its name.
    async fn finish(
        &self,
        mut ending: Ending,
        wanted: &Wanted,
        mut keep: Option<&mut Keep>,
    ) -> Result<Report> {
        let received_at = self.job.now();
        let joined = keep.as_deref().and_then(|keep| joined_crc32c(keep.book()));
        if let Some(keep) = &mut keep {
            keep.received();
        }
        if let Some(rechecking) = ending.rechecking.take() {
            self.job.set_phase(Phase::Verifying);
            self.job.guard(rechecking.finished(self.job)).await?;
        }
        let verified = self.job.guard(self.verify(&ending, wanted, joined)).await;
        let (verified, digests) = verified.inspect_err(|error| {
            if error.kind() == ErrorKind::ChecksumMismatch {
                keep.iter_mut().for_each(|keep| keep.disown());
            }
        })?;
        let limiter = self.limiter(&ending, received_at);
        self.job.set_phase(Phase::Finishing);
        // The last writes may have failed after all else was through.
        self.check_failure()?;
        if let Some(keep) = &mut keep {
            keep.stop();
        }
        let path = ending.output.commit(ending.received.bytes)?;
        Ok(self.report(path, &ending, limiter, (verified, digests)))
    }

    /// Waits for the digests, and compares the one that is expected.
    async fn verify(
        &self,
        ending: &Ending,
        wanted: &Wanted,
        joined: Option<Digest>,
    ) -> Result<(Option<Verified>, Vec<Digest>)> {
        if wanted.algorithms.is_empty() {
            return Ok((None, Vec::new()));
        }
        self.job.set_phase(Phase::Verifying);
        let bytes = ending.received.bytes;
        let (mut digests, mut read_back_bytes) = (Vec::new(), 0);
        if let Some(hashing) = &ending.received.hashing {
            let hashed = hashing.finish(bytes).await?;
            (digests, read_back_bytes) = (hashed.digests, hashed.read_back_bytes);
        }
        digests.extend(joined.filter(|_| wanted.algorithms.contains(&Algorithm::Crc32c)));
        let is_lacking = |a: &&Algorithm| digests.iter().all(|digest| digest.algorithm != **a);
        if let Some(&crc32c) = wanted.algorithms.iter().find(is_lacking) {
            // The parts overlap, as where a slow connection was overtaken: read it all again.
            let nothing = SpanSet::new();
            let hashing = Hashing::start(self.job, &[crc32c], 0, &ending.output, &nothing)?;
            let hashing = hashing.expect("there is something to compute");
            hashing.on_written(Span::new(0, bytes));
            let hashed = hashing.finish(bytes).await?;
            read_back_bytes += hashed.read_back_bytes;
            digests.extend(hashed.digests);
        }
        let verified =
            expected_digest::compare(wanted.expected.as_ref(), &digests, read_back_bytes);
        let verified = verified.map_err(|error| self.mismatch(error, ending))?;
        digests.retain(|digest| self.job.options.digests.contains(&digest.algorithm));
        Ok((verified, digests))
    }

    fn mismatch(&self, error: Error, ending: &Ending) -> Error {
        ending.output.keep_part();
        let part = ending.output.part_path().display();
        error.advise(format!(
            "the bytes are kept as {part} until the next run, which fetches them anew; compare the \
             expected digest with its source"
        ))
    }

    /// What limited the transfer, whose last byte had arrived at `received_at`.
    fn limiter(&self, ending: &Ending, received_at: Duration) -> Option<String> {
        let elapsed = self.job.now();
        let cpu_busy = self.job.load.cpu_of_busiest().as_secs_f64() / received_at.as_secs_f64();
        let hash_behind = elapsed.saturating_sub(received_at) > elapsed / HASH_BEHIND_SHARE;
        let bytes = ending.received.bytes - self.job.resumed_bytes().min(ending.received.bytes);
        let totals = Totals { elapsed: received_at, bytes, cpu_busy, hash_behind };
        ending.ranges.as_ref().map(|ranged| ranged.limiter(totals).to_string())
    }

    fn begin_trace(&self, source: &Source, bytes: u64) {
        if let Some(trace) = &self.trace {
            let (url, addresses) = (source.url().to_string(), source.addresses());
            let engine = self.engine().to_string();
            trace.write(&Line::Begin { url: &url, bytes, addresses, engine: &engine });
        }
    }

    /// What moves the bytes.
    fn engine(&self) -> Engine {
        if self.job.is_on_epoll() { Engine::Epoll } else { Engine::IoUring }
    }

    fn report(
        &self,
        path: PathBuf,
        ending: &Ending,
        limiter: Option<String>,
        (verified, digests): (Option<Verified>, Vec<Digest>),
    ) -> Report {
        let digests = digests.iter().map(|digest| format!("{}:{digest}", digest.algorithm));
        Report {
            path,
            bytes: ending.received.bytes,
            resumed_bytes: self.job.resumed_bytes(),
            elapsed: self.job.now(),
            connections: self.job.counts.open_max(),
            connects: self.job.counts.established(),
            engine: self.engine(),
            threads: ending.threads,
            cpu: process_cpu_time().saturating_sub(self.cpu_before),
            discarded: ending.output.is_nowhere(),
            direct: ending.output.is_direct(),
            registered: ending.registered,
            ranges: ending.is_ranged,
            retries: self.job.retries(),
            limiter,
            verified,
            digests: digests.collect(),
        }
    }
}

impl Ending {
    /// Of a file served in ranges, by one thread without a plan.
    fn new(received: Received, output: Arc<Output>) -> Self {
        let (threads, registered, is_ranged, ranges, rechecking) = (1, false, true, None, None);
        Self { received, output, threads, registered, is_ranged, ranges, rechecking }
    }
}

impl Wanted {
    /// The digest the file must have, as text.
    fn digest(&self) -> Option<String> {
        self.expected.as_ref().map(|expected| expected.checksum.to_string())
    }

    /// What has to be hashed in file order, where the book has the CRC-32C of the blocks.
    fn in_order(&self) -> Vec<Algorithm> {
        let mut algorithms = self.algorithms.clone();
        algorithms.retain(|algorithm| *algorithm != Algorithm::Crc32c);
        algorithms
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
