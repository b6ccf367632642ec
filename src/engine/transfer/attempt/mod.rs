//! One attempt at a transfer: discovering -> receiving (ranged or as one stream) -> verifying ->
//! finishing. What a failed one leaves is the next one's, or a later run's.

mod finish;
mod opening;
mod part_digest;

use super::Transfer;
use super::expected_digest::{Expected, Wanted};
use super::linked::{self, Linked};
use super::on_disk::{OnDisk, Proof, identity};
use super::recheck::RecheckTask;
use super::records::Records;
use super::scope::Scope;
use super::sliced;
use super::stream::{Received, Stream, Whole, scope};
use crate::base::size::format_bytes;
use crate::base::url::Scheme;
use crate::base::{Error, ErrorKind, Result, Span, SpanSet, Url};
use crate::digest::Checksum;
use crate::disk::journal::Identity;
use crate::disk::output::{Output, StreamProof};
use crate::engine::client::shard::hash_budget_bytes;
use crate::engine::context::{Again, Context, jitter_seed};
use crate::engine::ordered::Ordered;
use crate::engine::progress::{Level, Phase, Report};
use crate::engine::ranged::worker::First;
use crate::engine::ranged::{File, FirstSpan, Ranged, supervisor};
use crate::engine::receive::hashing::Hashing;
use crate::engine::receive::pieces::{PieceLedger, Pieces};
use crate::engine::receive::sink::Destination;
use crate::engine::source::Source;
use crate::engine::source::contest::Contest;
use crate::engine::source::discover::{Discovered, Found};
use crate::engine::source::endpoint::Endpoint;
use crate::engine::source::exchange::Opening;
use crate::engine::source::facts::Facts;
use crate::engine::source::follow::{FirstTimes, Named};
use crate::engine::source::twin::Twin;
use crate::engine::source::versions::Versions;
use crate::engine::trace::Line;
use crate::http::{Known, Offered, Validator};
use crate::plan::SourceId;
use finish::{Ending, wrong_size};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Mirrors that a server names are used for files of at least this size: smaller ones are here
/// before a mirror has proved that it has the same file.
const LINKED_BYTES_MIN: u64 = 8 << 20;

/// One attempt.
pub(super) struct Attempt<'a> {
    transfer: &'a Transfer,
    /// Where the file can be had, best first.
    urls: Vec<Url>,
    /// The caller has named as many of them, the first ones.
    named: u32,
    /// Where another file was had; `None`: no source beside `urls` is wanted.
    banned: Option<&'a [Url]>,
    /// The only one of `urls` is one of several, and may be left out for a bad piece.
    is_trial: bool,
    /// Ask for ranges, not for everything at once.
    is_ranged: bool,
    /// What is here already.
    on_disk: OnDisk,
    /// Knows more than `on_disk` does, once bytes are fetched in ranges.
    records: Option<Records>,
    /// The pieces that are verified, once bytes are fetched in ranges.
    pieces: Option<Arc<Pieces>>,
}

/// How an attempt failed.
pub(super) struct Ended {
    pub(super) error: Error,
    /// What is here is not what was written; it is not counted among what is left.
    pub(super) is_corrupt: bool,
    /// A source that serves another file; what it brought is not counted among what is left.
    pub(super) liar: Option<Url>,
    /// Bad pieces ended it, and this is what the next attempt does about them.
    pub(super) again: Option<Again>,
    /// There was more than one source.
    pub(super) is_plural: bool,
    pub(super) left: OnDisk,
}

/// An answer that serves ranges.
struct Ranges {
    source: SourceId,
    /// Other sources, whose answers are still on their way.
    contest: Option<Contest>,
    endpoint: Endpoint,
    facts: Facts,
    known: Known,
    opening: Opening,
    span: Span,
    times: FirstTimes,
}

/// What is compared at the end.
struct Judge {
    /// The digest of the file, if it is known.
    expected: Option<Checksum>,
    /// That of a part at its place is known.
    has_part_digest: bool,
}

impl<'a> Attempt<'a> {
    /// With what is `on_disk` already.
    pub(super) fn new(
        transfer: &'a Transfer,
        urls: &[Url],
        banned: Option<&'a [Url]>,
        is_ranged: bool,
        on_disk: OnDisk,
    ) -> Self {
        let is_banned = |url: &&Url| banned.is_some_and(|banned| banned.contains(url));
        let urls: Vec<Url> = urls.iter().filter(|url| !is_banned(url)).cloned().collect();
        let named = u32::try_from(urls.len()).expect("sources are numbered");
        let (is_trial, records, pieces) = (false, None, None);
        Self { transfer, urls, named, banned, is_trial, is_ranged, on_disk, records, pieces }
    }

    /// Its only source may be left out for a bad piece, as there are others that are not asked.
    pub(super) fn on_trial(mut self, is_trial: bool) -> Self {
        self.is_trial = is_trial;
        self
    }

    /// Runs it to the end.
    pub(super) async fn run(mut self) -> Result<Report, Ended> {
        match self.fetch_file().await {
            Ok(report) => Ok(report),
            Err(error) => Err(self.ended(error)),
        }
    }

    /// What made the attempt fail says more than how its other parts noticed.
    fn ended(self, error: Error) -> Ended {
        let context = self.context().clone();
        let error = context.take_failure().unwrap_or(error);
        let (mut corrupt, liar) = (context.take_corrupt(), context.take_liar());
        let again = context.take_again();
        let is_corrupt = !corrupt.is_empty() && liar.is_none();
        if let Some(ledger) = self.transfer.pieces.get() {
            self.pieces.iter().for_each(|pieces| pieces.end());
            ledger.good().iter().for_each(|good| _ = corrupt.remove(good));
            context.set_resumed(ledger.forget_resumed(&corrupt));
        }
        let is_plural = self.urls.len() > 1;
        let left = match self.records {
            Some(records) => {
                corrupt.iter().for_each(|span| records.forget(span));
                records.end()
            }
            None if !corrupt.is_empty() => self.on_disk.without(&corrupt),
            None => self.on_disk,
        };
        Ended { error, is_corrupt, liar, again, is_plural, left }
    }

    async fn fetch_file(&mut self) -> Result<Report> {
        let context = self.context();
        context.set_unchecked(self.on_disk.unchecked_bytes());
        let (source, discovered, contest) = context.guard(self.discover()).await?;
        let Discovered { endpoint, mut found, facts, offers, named } = discovered;
        if let Found::Ranged { known, times, .. } = &mut found
            && known.total >= LINKED_BYTES_MIN
        {
            let waited = context.guard(self.read_description(&named, known.total, &offers)).await?;
            times.delay(waited);
            self.add_mirrors(named.mirrors);
        }
        let wanted = Wanted::choose(context, &offers, self.described())?;
        let (algorithms, holds_back) = (wanted.algorithms.clone(), wanted.expected.is_some());
        self.transfer.reserved.prove(StreamProof { algorithms, holds_back });
        context.set_phase(Phase::Downloading);
        match found {
            Found::Ranged { known, opening, span, times } => {
                self.check_pieces(source, Some(known.total))?;
                let ranges =
                    Ranges { source, contest, endpoint, facts, known, opening, span, times };
                self.by_ranges(ranges, &wanted).await
            }
            Found::Whole { total, validator, opening } => {
                self.check_pieces(source, total)?;
                let url = self.urls[source.0 as usize].clone();
                let whole = Whole { facts, total, validator, opening };
                self.by_stream(&url, whole, &wanted).await
            }
            Found::Empty => {
                self.check_pieces(source, Some(0))?;
                let options = &self.context().options;
                let digest = wanted.digest();
                let now = identity(options, endpoint.url(), 0, &Validator::None, digest);
                self.on_disk.judge(&now, false)?;
                self.empty(facts, &wanted).await
            }
        }
    }

    /// Starts to verify pieces, if their digests are known.
    fn start_pieces(&self, output: &Output, here: &SpanSet) -> Result<Option<Arc<Pieces>>> {
        let Some(ledger) = self.transfer.pieces.get() else { return Ok(None) };
        let (context, is_trial) = (self.context(), self.is_trial);
        Pieces::start(context, ledger, is_trial, output, here).map(Some)
    }

    /// The file that the source serves has to have the size of that whose pieces are known.
    fn check_pieces(&self, source: SourceId, total: Option<u64>) -> Result<()> {
        let (context, url) = (self.context(), &self.urls[source.0 as usize]);
        let Some(hashes) = self.transfer.piece_hashes() else { return Ok(()) };
        let Some(bytes) = total.or(hashes.size_bytes()) else {
            let what = "the server does not say the size of the file, which the piece hashes need";
            let error = Error::new(ErrorKind::ChecksumMismatch, what);
            return Err(error.advise("give them with a Metalink that says the size"));
        };
        match (**hashes).clone().of_size(bytes) {
            Ok(hashes) => {
                let unwanted = Scope::new(&context.options, bytes)?.settled(&SpanSet::new());
                let new = || PieceLedger::new(hashes, self.on_disk.spans(), &unwanted);
                let ledger = self.transfer.pieces.get_or_init(new);
                wrong_size(ledger, bytes).map_or(Ok(()), Err)
            }
            Err(error) => {
                if self.urls.len() > 1 {
                    context.set_liar(url.clone(), SpanSet::new());
                }
                let mismatch = Error::new(ErrorKind::ChecksumMismatch, error.context());
                Err(mismatch.within(url).advise(error.advice()))
            }
        }
    }

    /// Reads the description of the file that the server has named, unless that was done before;
    /// the time it took. Where the caller has named several servers none of them describes the
    /// file for the others.
    async fn read_description(
        &self,
        named: &Named,
        total: u64,
        offers: &[Offered],
    ) -> Result<Duration> {
        let Transfer { local, linked, urls, .. } = self.transfer;
        let began = local.context.now();
        if let ([url], Some(description), None) = (&urls[..], &named.description, linked.get()) {
            let known = linked::Known { url, total, offers };
            let found = Linked::find(local, description, &known).await;
            linked.get_or_init(|| found);
        }
        Ok(local.context.now().saturating_sub(began))
    }

    /// The digest of the description that the server has named.
    fn described(&self) -> Option<Expected> {
        self.transfer.linked()?.expected()
    }

    /// The connections that the source is said to take.
    fn connections_hint(&self, url: &Url) -> Option<u32> {
        let described = || self.transfer.linked()?.hints.connections_of(url);
        self.context().options.hints.connections_of(url).or_else(described)
    }

    /// Takes up the mirrors that a server has named, and those of its description.
    fn add_mirrors(&mut self, mirrors: Vec<Url>) {
        let Some(banned) = self.banned else { return };
        let described = self.transfer.linked().map_or(&[][..], |linked| &linked.mirrors);
        for mirror in mirrors.iter().chain(described) {
            if !self.urls.contains(mirror) && !banned.contains(mirror) {
                let text = format!("the server names a mirror: {mirror}");
                self.context().tell(Level::Detail, None, text);
                self.urls.push(mirror.clone());
            }
        }
    }

    async fn by_ranges(&mut self, ranges: Ranges, wanted: &Wanted) -> Result<Report> {
        let known = &ranges.known;
        let ledger = self.transfer.pieces.get();
        let digest = wanted.digest().or_else(|| Some(ledger?.hashes().fingerprint()));
        let (options, url) = (&self.context().options, ranges.endpoint.url());
        let total = self.context().window().bytes(known.total);
        let mut now = identity(options, url, total, &known.validator, digest);
        let scope = Scope::new(options, total)?;
        if let Some(slice) = options.slice {
            let facts = &ranges.facts;
            now.cut = Some(self.transfer.check_slice(slice, scope.first(), &now, facts)?);
        }
        let (output, recheck) = self.join(&ranges, &now, &scope).await?;
        let (context, runs) = (self.context(), self.on_disk.runs());
        let has_pieces = self.transfer.pieces.get().is_some();
        let records = Records::start(context, &output, now, runs, wanted, has_pieces)?;
        let (book, is_journaled) = (records.book().clone(), records.is_journaled());
        self.records = Some(records);
        let here = self.on_disk.spans();
        let shards_max = shards_max(self.context(), ranges.endpoint.url().scheme());
        let budget_bytes = hash_budget_bytes(shards_max);
        // An ordered output computes digests on the way.
        let is_ordered = self.transfer.ordered.is_some();
        let in_order = if is_ordered { Vec::new() } else { wanted.in_order() };
        let hashing = Hashing::start(self.context(), &in_order, budget_bytes, &output, &here)?;
        self.pieces = self.start_pieces(&output, &here)?;
        let pieces = self.pieces.clone();
        let ordered = self.transfer.ordered.clone();
        let to = Destination { output, hashing, pieces, book, is_journaled, ordered };
        // That of the whole says nothing before all slices are here.
        let expected = wanted.of_whole().filter(|_| self.context().options.slice.is_none());
        let expected = expected.map(|expected| expected.checksum.clone());
        let judge = Judge { expected, has_part_digest: wanted.is_of_part };
        let ending = self.fetch(ranges, judge, to, &scope, shards_max).await?;
        self.finish(Ending { recheck, ..ending }, wanted).await
    }

    /// Makes sure that what is on the disk is a part of the file that is served `now`, and gives
    /// the output, with the check of these bytes under way.
    async fn join(
        &self,
        ranges: &Ranges,
        now: &Identity,
        scope: &Scope,
    ) -> Result<(Arc<Output>, Option<RecheckTask>)> {
        let Transfer { local, .. } = self.transfer;
        let (context, url) = (&local.context, &self.urls[ranges.source.0 as usize]);
        let has_pieces = self.transfer.pieces.get().is_some();
        let proof = self.on_disk.judge(now, has_pieces)?;
        let output = self.allocate(Some(scope))?;
        let Ranges { endpoint, known, .. } = ranges;
        if proof == Proof::ByComparison && output.is_ordered() {
            let what = "nothing shows that the server's file is the one that was begun";
            return Err(Error::new(ErrorKind::Changed, what));
        }
        if proof == Proof::ByComparison {
            let versions = &Versions::new(known.clone());
            let twin = Twin { local, url, endpoint, versions, output: &*output };
            context.guard(twin.test(&self.on_disk.spans(), jitter_seed())).await?;
            let text = "samples of what is here are the same there: it is taken for one file";
            context.tell(Level::Note, None, text);
        }
        if !self.on_disk.is_empty() && !self.on_disk.is_proved() {
            let bytes = format_bytes(scope.bytes_of(&self.on_disk.spans()));
            let total = format_bytes(scope.bytes());
            context.tell(Level::Note, None, format!("resuming: {bytes} of {total} are here"));
        }
        Ok((output.clone(), self.recheck(&output)?))
    }

    /// Starts the check of what is here. Pieces are read back, too, and say more than that.
    fn recheck(&self, output: &Output) -> Result<Option<RecheckTask>> {
        match self.transfer.pieces.get() {
            Some(_) => Ok(None),
            None => RecheckTask::start(self.context(), output, &self.on_disk),
        }
    }

    async fn fetch(
        &self,
        ranges: Ranges,
        judge: Judge,
        to: Destination,
        scope: &Scope,
        shards_max: u32,
    ) -> Result<Ending> {
        let Transfer { local, lead, trace, .. } = self.transfer;
        let Ranges { source, contest, endpoint, facts, known, opening, span, times } = ranges;
        let (context, total_bytes) = (&local.context, scope.total());
        let served_bytes = known.total;
        let (hashing, pieces) = (to.hashing.clone(), to.pieces.clone());
        let has_pieces = pieces.is_some();
        let (settled, wanted_bytes) = (scope.settled(&self.on_disk.spans()), scope.bytes());
        let received = Received { bytes: total_bytes, wanted_bytes, facts, hashing, pieces };
        let ending = Ending::new(received, to.output.clone());
        self.begin_trace(&endpoint, wanted_bytes);
        if settled.covers(Span::new(0, total_bytes)) {
            return Ok(ending);
        }
        let (setup, address) = (opening.connection.setup, opening.connection.address);
        let first = FirstSpan { source, span, times, setup, address };
        let closed = |url: &Url| Arc::new(Source::closed(url.clone(), self.connections_hint(url)));
        let sources: Vec<Arc<Source>> = self.urls.iter().map(closed).collect();
        sources[source.0 as usize].open_at(endpoint, known);
        let (named, is_readable) = (self.named, to.output.is_readable());
        let ahead_bytes_max = self.transfer.ordered.as_ref().map(Ordered::ahead_bytes);
        let file = File {
            total_bytes,
            served_bytes,
            wanted_bytes,
            expected: judge.expected,
            has_part_digest: judge.has_part_digest,
            has_pieces,
            named,
            is_readable,
            ahead_bytes_max,
        };
        let (ranged, fetch) =
            Ranged::new(context, sources, file, to, trace.clone(), &settled, &first);
        let first = First { fetch, opening, requested: times.requested };
        let working = supervisor::work(&ranged, local, *lead, shards_max, first, contest);
        let worked = Box::pin(working).await;
        ranged.teach();
        ranged.settle_liar();
        self.check_failure()?;
        context.check_stop()?;
        ranged.assert_complete();
        context.guard(ranged.compare_all(local)).await?;
        Ok(Ending {
            shards: worked.shards,
            is_registered: worked.is_registered,
            ranges: Some(ranged),
            ..ending
        })
    }

    async fn by_stream(&mut self, url: &Url, whole: Whole, wanted: &Wanted) -> Result<Report> {
        let Transfer { local, .. } = self.transfer;
        let (context, total) = (&local.context, whole.total);
        if context.options.slice.is_some() {
            return Err(sliced::no_ranges());
        }
        let scope = scope(context, total)?;
        if self.is_ranged && self.transfer.ordered.is_none() {
            context.cannot_keep(total, "the server does not serve ranges, only one stream");
        }
        let output = self.allocate(scope.as_ref())?;
        let recheck = self.recheck(&output)?;
        let stream = Stream::new(self.transfer, url, &output, wanted, &self.on_disk);
        let received = context.guard(stream.receive(whole)).await;
        let is_registered = stream.end(received.as_ref().err()).await;
        let stream = Some(url.clone());
        let ending = Ending { is_registered, stream, ..Ending::new(received?, output) };
        self.finish(Ending { recheck, ..ending }, wanted).await
    }

    async fn empty(&mut self, facts: Facts, wanted: &Wanted) -> Result<Report> {
        let scope = scope(self.context(), Some(0))?;
        let output = self.allocate(scope.as_ref())?;
        let nothing = SpanSet::new();
        let is_ordered = self.transfer.ordered.is_some();
        let algorithms = if is_ordered { &[][..] } else { &wanted.algorithms };
        let hashing = Hashing::start(self.context(), algorithms, 0, &output, &nothing)?;
        let received = Received { bytes: 0, wanted_bytes: 0, facts, hashing, pieces: None };
        let report = self.finish(Ending::new(received, output), wanted).await?;
        match self.context().options.slice {
            None => Ok(report),
            Some(slice) => Box::pin(self.transfer.end_empty(slice, report)).await,
        }
    }

    fn allocate(&self, scope: Option<&Scope>) -> Result<Arc<Output>> {
        let context = self.context();
        context.set_total(scope.map(Scope::bytes));
        let policy = context.options.direct.policy();
        let reserved = &self.transfer.reserved;
        let output = match scope.filter(|scope| scope.is_partial()) {
            Some(scope) if context.options.slice.is_some() => {
                reserved.allocate_slice(scope.total(), scope.first(), policy)?
            }
            Some(scope) => reserved.allocate_sparse(scope.total(), policy)?,
            None => reserved.allocate(scope.map(Scope::total), policy)?,
        };
        self.check_goes_on(&output)?;
        if let Some(reason) = output.buffered_reason() {
            context.tell(Level::Detail, None, format!("buffered writes: {reason}"));
        }
        Ok(Arc::new(output))
    }

    /// What has been passed on in order can neither be taken back nor come again.
    fn check_goes_on(&self, output: &Output) -> Result<()> {
        let Some(passed_on) = output.passed_on() else { return Ok(()) };
        let here = self.on_disk.spans();
        if self.on_disk.bytes() == passed_on && here.covers(Span::new(0, passed_on)) {
            return Ok(());
        }
        let passed_on = format_bytes(passed_on);
        let what = format!("{passed_on} have been passed on in order and cannot be taken back");
        Err(Error::new(ErrorKind::TargetUnusable, what)
            .advise("start again; a file (-o) can be begun anew in the middle of a download"))
    }

    /// The failure of any part of the transfer ends it here.
    fn check_failure(&self) -> Result<()> {
        self.context().take_failure().map_or(Ok(()), Err)
    }

    fn begin_trace(&self, endpoint: &Endpoint, bytes: u64) {
        if let Some(trace) = &self.transfer.trace {
            let (url, addresses) = (endpoint.url().to_string(), endpoint.addresses());
            let engine = self.context().engine().to_string();
            trace.write(&Line::Begin { url: &url, bytes, addresses, engine: &engine });
        }
    }

    fn context(&self) -> &'a Arc<Context> {
        &self.transfer.local.context
    }
}

/// Shards to use at most: what was asked for, or one, which keeps up with 20 Gbit/s of plain HTTP;
/// decryption gets a second one where there are cores. Measured, see the README: a second shard
/// saves HTTP nothing that could be told from noise, and HTTPS a little.
fn shards_max(context: &Context, scheme: Scheme) -> u32 {
    context.options.threads.unwrap_or_else(|| match scheme {
        Scheme::Http => 1,
        Scheme::Https => {
            let cores = thread::available_parallelism().map_or(1, usize::from);
            if cores > 1 { 2 } else { 1 }
        }
    })
}
