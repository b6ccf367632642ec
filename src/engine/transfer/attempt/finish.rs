//! The end of an attempt, all bytes of which have come: verifying, the name, the report.

use super::Attempt;
use crate::base::size::MIB;
use crate::base::{Error, ErrorKind, Result, Span, SpanSet, Url};
use crate::digest::{Algorithm, Digest};
use crate::disk::output::{Output, SyncPolicy};
use crate::engine::aside::aside;
use crate::engine::options::SyncMode;
use crate::engine::progress::{Level, Phase, Report, Verified, VerifiedPieces};
use crate::engine::ranged::Ranged;
use crate::engine::ranged::blame::refetch;
use crate::engine::receive::hashing::{Hashing, joined_crc32c};
use crate::engine::receive::pieces::PieceLedger;
use crate::engine::source::facts::Facts;
use crate::engine::transfer::expected_digest::{self, Wanted};
use crate::engine::transfer::recheck::RecheckTask;
use crate::engine::transfer::records::Records;
use crate::engine::transfer::stream::Received;
use crate::io::clock::process_cpu_time;
use crate::plan::{Limiter, Totals, own_limit};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Hashing that takes longer than this share of the transfer's time, after the last byte has come,
/// was behind: one part in 20.
const HASH_BEHIND_SHARE: u32 = 20;

/// Files from this size on, in bytes, are made durable on a thread of their own: that takes as long
/// as the disk does, and other files of the shard go on meanwhile. Less is soon written.
const COMMIT_ASIDE_BYTES_MIN: u64 = MIB;

/// What an attempt knows once all bytes have come, besides the counters.
pub(super) struct Ending {
    pub(super) received: Received,
    pub(super) output: Arc<Output>,
    /// Shards that worked.
    pub(super) shards: u32,
    /// The arena was registered with the kernel.
    pub(super) is_registered: bool,
    /// Whose single stream it was; `None` if the server serves ranges.
    pub(super) stream: Option<Url>,
    /// The plan and what it learned; `None` if there was none.
    pub(super) ranges: Option<Arc<Ranged>>,
    /// The check of what was here before, if it may be under way.
    pub(super) recheck: Option<RecheckTask>,
}

/// What has come of the digests.
struct Verdict {
    /// The comparison, if a digest was expected.
    verified: Option<Verified>,
    /// The digests that were asked for.
    digests: Vec<Digest>,
}

/// Gives the file of this size its name, as `sync` says.
async fn commit(output: &Arc<Output>, bytes: u64, sync: SyncPolicy) -> Result<PathBuf> {
    if sync == SyncPolicy::Always && bytes >= COMMIT_ASIDE_BYTES_MIN {
        let own = output.clone();
        // Without a thread to be had the others have to wait.
        if let Ok(committed) = aside("ringhaul-commit", move || own.commit(bytes, sync)) {
            return committed.await;
        }
    }
    output.commit(bytes, sync)
}

impl Ending {
    /// Of a file served in ranges, by one shard without a plan.
    pub(super) fn new(received: Received, output: Arc<Output>) -> Self {
        Self {
            received,
            output,
            shards: 1,
            is_registered: false,
            stream: None,
            ranges: None,
            recheck: None,
        }
    }
}

impl Attempt<'_> {
    /// All bytes are in the part file: verifies them and gives the file its name.
    pub(super) async fn finish(&mut self, mut ending: Ending, wanted: &Wanted) -> Result<Report> {
        let context = self.context();
        if context.options.slice.is_some() {
            return self.finish_slice(ending).await;
        }
        let received_at = context.now();
        let joined = self.records.as_ref().and_then(|records| joined_crc32c(records.book()));
        if let Some(records) = &mut self.records {
            records.received();
        }
        if let Some(recheck) = ending.recheck.take() {
            context.set_phase(Phase::Verifying);
            context.guard(recheck.finished(context)).await?;
        }
        self.verify_pieces(&ending).await?;
        let verdict = context.guard(self.verify(&ending, wanted, joined)).await;
        let verdict = verdict.inspect_err(|error| {
            let is_mismatch = error.kind() == ErrorKind::ChecksumMismatch;
            let has_pieces = self.transfer.pieces.get().is_some();
            let by_first = |ranged: &Arc<Ranged>| !has_pieces && ranged.blame_first(error);
            let is_blamed = || ending.ranges.as_ref().is_some_and(by_first);
            if is_mismatch && !is_blamed() {
                self.records.iter_mut().for_each(Records::disown);
            }
        })?;
        let limiter = self.limiter(&ending, received_at);
        context.set_phase(Phase::Finishing);
        // The last writes may have failed after all else was through.
        self.check_failure()?;
        if let Some(records) = &mut self.records {
            records.stop();
        }
        if context.options.remote_time {
            self.set_time(&ending);
        }
        let sync = match context.options.sync {
            SyncMode::File => SyncPolicy::Always,
            SyncMode::None => SyncPolicy::Never,
        };
        let path = commit(&ending.output, ending.received.bytes, sync).await?;
        Ok(self.report(path, &ending, limiter, verdict))
    }

    /// All bytes of a slice are in the part file: makes them durable, which is all that there is to
    /// it by itself.
    async fn finish_slice(&mut self, mut ending: Ending) -> Result<Report> {
        let context = self.context();
        let received_at = context.now();
        if let Some(recheck) = ending.recheck.take() {
            context.set_phase(Phase::Verifying);
            context.guard(recheck.finished(context)).await?;
        }
        self.verify_pieces(&ending).await?;
        let limiter = self.limiter(&ending, received_at);
        context.set_phase(Phase::Finishing);
        // The last writes may have failed after all else was through.
        self.check_failure()?;
        if let Some(records) = &mut self.records {
            records.complete(ending.received.wanted_bytes)?;
        }
        let path = self.transfer.reserved.target().to_owned();
        let nothing = Verdict { verified: None, digests: Vec::new() };
        Ok(self.report(path, &ending, limiter, nothing))
    }

    /// Waits until every piece is judged, if their digests are known; bad ones end the attempt.
    async fn verify_pieces(&self, ending: &Ending) -> Result<()> {
        let context = self.context();
        let Received { bytes, pieces: Some(pieces), .. } = &ending.received else { return Ok(()) };
        wrong_size(pieces.ledger(), *bytes).map_or(Ok(()), Err)?;
        context.set_phase(Phase::Verifying);
        context.guard(pieces.finished()).await?;
        pieces.end();
        let bad = pieces.bad();
        match (&ending.ranges, &ending.stream, bad.first()) {
            (_, _, None) => {}
            (Some(ranged), ..) => {
                ranged.judge_pieces(true);
                ranged.settle_liar();
            }
            (None, Some(url), Some(first)) if self.urls.len() > 1 || self.is_trial => {
                let mut all = SpanSet::new();
                all.insert(Span::new(0, *bytes));
                context.set_liar(url.clone(), all);
                return Err(pieces.ledger().mismatch(first).within(url));
            }
            (None, _, Some(_)) => refetch(context, pieces, &bad),
        }
        self.check_failure()
    }

    /// Waits for the digests, and compares the one that is expected.
    async fn verify(
        &self,
        ending: &Ending,
        wanted: &Wanted,
        joined: Option<Digest>,
    ) -> Result<Verdict> {
        if wanted.is_of_part {
            let verified = self.verify_part(ending, wanted).await;
            let verified = verified.map_err(|error| self.part_mismatch(error, ending));
            return Ok(Verdict { verified: verified?, digests: Vec::new() });
        }
        if wanted.algorithms.is_empty() {
            return Ok(Verdict { verified: None, digests: Vec::new() });
        }
        let context = self.context();
        context.set_phase(Phase::Verifying);
        let bytes = ending.received.bytes;
        let (mut digests, mut read_back_bytes) = (Vec::new(), 0);
        if let Some(hashing) = &ending.received.hashing {
            let hashed = hashing.finish(bytes).await?;
            (digests, read_back_bytes) = (hashed.digests, hashed.read_back_bytes);
        }
        let joined = joined.filter(|_| !ending.output.is_ordered());
        digests.extend(joined.filter(|_| wanted.algorithms.contains(&Algorithm::Crc32c)));
        digests.extend(ending.output.digests().await?);
        let is_lacking = |a: &&Algorithm| digests.iter().all(|digest| digest.algorithm != **a);
        if let Some(&crc32c) = wanted.algorithms.iter().find(is_lacking) {
            // The parts overlap, as where a slow connection was overtaken: read it all again.
            let nothing = SpanSet::new();
            let hashing = Hashing::start(context, &[crc32c], 0, &ending.output, &nothing)?;
            let hashing = hashing.expect("there is something to compute");
            hashing.on_written(Span::new(0, bytes));
            let hashed = hashing.finish(bytes).await?;
            read_back_bytes += hashed.read_back_bytes;
            digests.extend(hashed.digests);
        }
        let verified =
            expected_digest::compare(wanted.expected.as_ref(), &digests, read_back_bytes)
                .map_err(|error| mismatch(error, ending, wanted))?;
        let asked = &context.options.digests;
        digests.retain(|digest| asked.contains(&digest.algorithm));
        digests.sort_by_key(|digest| asked.iter().position(|asked| *asked == digest.algorithm));
        Ok(Verdict { verified, digests })
    }

    /// Sets the file's time to the server's. A file without it is whole all the same.
    fn set_time(&self, ending: &Ending) {
        let Ending { received, output, .. } = ending;
        if !output.is_readable() {
            return;
        }
        let (level, why) = match received.facts.modified() {
            Err(why) => (Level::Detail, why.to_owned()),
            Ok(modified) => match output.set_modified(received.bytes, modified) {
                Ok(()) => return,
                Err(error) => (Level::Note, error.to_string()),
            },
        };
        let text = format!("{why}: the file keeps the time of its download");
        self.context().tell(level, None, text);
    }

    /// What limited the transfer, whose last byte had arrived at `received_at`.
    fn limiter(&self, ending: &Ending, received_at: Duration) -> Option<String> {
        let context = self.context();
        let elapsed = context.now();
        let cpu_busy = context.load.cpu_of_busiest().as_secs_f64() / received_at.as_secs_f64();
        let hash_behind = elapsed.saturating_sub(received_at) > elapsed / HASH_BEHIND_SHARE;
        let bytes = ending.received.wanted_bytes;
        let bytes = bytes - context.resumed_bytes().min(bytes);
        let (waited, retries) = (context.waited(), context.retries());
        let elapsed = received_at;
        let hash_waiting = context.load.hash_waiting();
        let rate_limit = context.rate_limit(&ending.received.facts.url.origin());
        let rate_limit = rate_limit.map(|(_, option)| option);
        let Some(ranged) = &ending.ranges else {
            let elapsed_s = elapsed.as_secs_f64();
            let at_limit = context.rate_waits.waited().as_secs_f64() / elapsed_s;
            let own = own_limit(rate_limit, bytes as f64 / elapsed_s, at_limit);
            return own.map(|limiter| limiter.to_string());
        };
        let totals = Totals {
            elapsed,
            bytes,
            cpu_busy,
            hash_behind,
            hash_waiting,
            waited,
            retries,
            rate_limit,
        };
        Some(match ranged.limiter(totals) {
            Limiter::Disk { waiting } if ending.output.is_ordered() => {
                let share = waiting * 100.0;
                format!("the reader of the output: {share:.0} % of the time bytes waited for it")
            }
            limiter => limiter.to_string(),
        })
    }

    /// All of them are good by now.
    fn verified_pieces(&self) -> Option<VerifiedPieces> {
        let ledger = self.transfer.pieces.get()?;
        let (count, algorithm) = (ledger.count(), ledger.hashes().algorithm());
        Some(VerifiedPieces { count, algorithm, read_back_bytes: ledger.read_back_bytes() })
    }

    fn report(
        &self,
        path: PathBuf,
        ending: &Ending,
        limiter: Option<String>,
        verdict: Verdict,
    ) -> Report {
        let (context, Verdict { verified, digests }) = (self.context(), verdict);
        let digests = digests.iter().map(|digest| format!("{}:{digest}", digest.algorithm));
        let Facts { url, validator, last_modified, content_type } = ending.received.facts.clone();
        let url = ending.ranges.as_ref().map_or(url, |ranged| ranged.url());
        Report {
            path,
            url,
            validator,
            last_modified,
            content_type,
            bytes: ending.received.wanted_bytes,
            resumed_bytes: context.resumed_bytes(),
            elapsed: context.now(),
            connections: context.counts.open_max(),
            connects: context.counts.established(),
            engine: context.engine(),
            threads: ending.shards,
            cpu: process_cpu_time().saturating_sub(self.transfer.cpu_before),
            is_ordered: ending.output.is_ordered(),
            discarded: ending.output.is_nowhere(),
            direct: ending.output.is_direct(),
            registered: ending.is_registered,
            lacks_locked_memory: context.lacks_locked_memory(),
            ranges: ending.stream.is_none(),
            retries: context.retries(),
            limiter,
            verified,
            pieces: self.verified_pieces(),
            digests: digests.collect(),
            sources: ending.ranges.as_ref().map(|it| it.account()).unwrap_or_default(),
            repaired: None,
            slice: None,
            is_compared: ending.ranges.as_ref().is_some_and(|ranged| ranged.is_compared()),
        }
    }
}

/// The error of a file of `bytes` that is not of the size of the one whose pieces are known.
pub(super) fn wrong_size(ledger: &PieceLedger, bytes: u64) -> Option<Error> {
    let expected_bytes = ledger.hashes().total_bytes();
    let what = format!("it has {bytes} bytes, and the piece hashes are those of {expected_bytes}");
    let error = Error::new(ErrorKind::ChecksumMismatch, what)
        .advise("give the piece hashes of this very file, or none");
    (bytes != expected_bytes).then_some(error)
}

/// The error of a wrong digest says who has named the right one.
fn mismatch(error: Error, ending: &Ending, wanted: &Wanted) -> Error {
    let servers = wanted.expected.as_ref().filter(|expected| expected.is_servers);
    let (error, advice) = match servers {
        Some(expected) => {
            let advice = "try again, as the bytes or the server's word are wrong; --no-verify \
                          ignores that word";
            (error.within(format!("the bytes are not those of the {}", expected.against)), advice)
        }
        None => (error, "compare the expected digest with its source"),
    };
    if ending.output.is_ordered() {
        let what = "all bytes but the last ones have been passed on: whatever was made of them is \
                    wrong";
        return error.advise(format!("{what}; {advice}"));
    }
    if !ending.output.is_readable() {
        return error.advise(advice);
    }
    ending.output.keep_part();
    let part = ending.output.part_path().display();
    error.advise(format!(
        "the bytes are kept as {part} until the next run, which fetches them anew; {advice}"
    ))
}
