//! Whether the sources of a transfer serve one file: what follows where they do and where they do
//! not, and the last comparison before the file counts as whole.
//!
//! Two that contradict each other may both be wrong, so a third one has to say who is: the fewer
//! are left out, and all that they have brought is fetched again. Where nobody can say, and no
//! digest of the whole file does, the transfer fails.

use super::Ranged;
use super::scout::Refused;
use crate::base::limits::SPAN_ALIGN_BYTES;
use crate::base::{Error, ErrorKind, Result, Span, SpanSet};
use crate::engine::context::jitter_seed;
use crate::engine::local::Local;
use crate::engine::progress::Level;
use crate::engine::source::discover::{Discovered, Found, ask_once};
use crate::engine::source::endpoint::Endpoint;
use crate::engine::source::exchange::Opening;
use crate::engine::source::twin::Twin;
use crate::engine::source::versions::Versions;
use crate::engine::source::{Open, Source};
use crate::http::Known;
use crate::plan::{SourceId, Unopened};
use std::collections::BTreeSet;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;

/// Samples of each source's bytes that another one has to agree with in the end.
const SAMPLES: u64 = 6;

/// A source that takes longer than this to give these samples is no witness;
const WITNESS_PATIENCE: Duration = Duration::from_secs(2);
/// and than this where it has to say which of two is wrong.
const JUDGE_PATIENCE: Duration = Duration::from_secs(10);

/// Which sources agree with each other.
#[derive(Debug)]
pub(super) struct Jury {
    /// The one that the transfer began with.
    first: SourceId,
    /// Those that agree with each other.
    agreed: BTreeSet<SourceId>,
    /// Those that contradict them, and nobody has said yet who is wrong.
    disputed: Vec<(SourceId, Error)>,
}

impl Jury {
    /// The transfer has begun with `first`, which agrees with itself.
    pub(super) fn of(first: SourceId) -> Self {
        Self { first, agreed: BTreeSet::from([first]), disputed: Vec::new() }
    }

    /// A third one has spoken for those that agree.
    fn is_settled(&self) -> bool {
        self.agreed.len() > 1
    }
}

impl Ranged {
    /// The source has proved that it serves this file: connections may go there, the first of which
    /// is there already.
    pub(super) fn opened(
        &self,
        id: SourceId,
        endpoint: Endpoint,
        known: Known,
        local: &Local,
        opening: Opening,
    ) {
        let (source, addresses) = (self.source(id), endpoint.addresses());
        if let Some(connection) = opening.reuse() {
            endpoint.park(&local.shard, connection);
        }
        source.open_at(endpoint, known);
        self.plan().on_source_opened(self.context.now(), id, addresses);
        let settled = {
            let mut jury = self.jury();
            jury.agreed.insert(id);
            std::mem::take(&mut jury.disputed)
        };
        settled.iter().for_each(|(id, error)| self.leave_out(*id, error));
    }

    /// The source is not used, at least for now.
    pub(super) fn refused(&self, id: SourceId, refused: Refused) {
        let source = self.source(id);
        match refused {
            Refused::Failed(failure) => {
                let text = format!("{}: {}", source.url(), failure.error);
                self.context.tell(Level::Detail, None, text);
                self.not_reached(id, &failure.error);
            }
            Refused::Useless(error) => self.leave_out(id, &error),
            Refused::Contradicts(error) => self.contradicted(id, error),
        }
    }

    /// The source has failed, and may do better later.
    pub(super) fn not_reached(&self, id: SourceId, error: &Error) {
        self.source(id).tally.failed(error);
        let why = Unopened::Failed(error.kind());
        self.plan().on_source_unopened(self.context.now(), id, why);
    }

    /// Every byte is here: compares samples of what each source has brought with another one's, so
    /// that no file is put together of two. Nothing to do where a digest of the whole file decides.
    pub(in crate::engine) async fn compare_all(self: &Arc<Self>, local: &Local) -> Result<()> {
        if self.is_single() || self.file.has_digest() || !self.file.is_readable {
            return Ok(());
        }
        let mut comparisons = JoinSet::new();
        for (id, _) in self.numbered().filter(|(_, source)| source.tally.bytes() > 0) {
            let (ranged, local) = (self.clone(), local.clone());
            comparisons.spawn_local(async move { ranged.compare(&local, id).await });
        }
        while let Some(compared) = comparisons.join_next().await {
            let panicked =
                |e| Error::new(ErrorKind::Internal, "a comparison panicked").caused_by(e);
            compared.unwrap_or_else(|e| Err(panicked(e)))?;
        }
        let jury = self.jury();
        match jury.disputed.first() {
            None => Ok(()),
            Some(_) if self.file.is_judged() => Ok(()),
            Some((id, error)) => Err(self.undecided(jury.first, *id, error)),
        }
    }

    /// Whether samples were compared, of bytes of more than one source.
    pub(in crate::engine) fn is_compared(&self) -> bool {
        let brought = self.sources.iter().filter(|source| source.tally.bytes() > 0);
        !self.file.has_digest() && self.file.is_readable && brought.count() > 1
    }

    /// Compares samples of the bytes of one source with those of another one.
    async fn compare(&self, local: &Local, id: SourceId) -> Result<()> {
        let spans = self.source(id).tally.spans();
        let seed = jitter_seed();
        for (witness, other, open) in self.witnesses(&[id]) {
            let agreed = self.agrees(local, other, &open, &spans, seed);
            match within(WITNESS_PATIENCE, agreed).await {
                Some(Ok(())) => return Ok(()),
                Some(Err(error)) => return self.judge(local, id, witness, error, seed).await,
                // It cannot be asked any more; another one can.
                None => {}
            }
        }
        Ok(())
    }

    /// Whether what `other` serves of these bytes is what is here; `None` if it gives no answer.
    async fn agrees(
        &self,
        local: &Local,
        other: &Source,
        open: &Open,
        spans: &SpanSet,
        seed: u64,
    ) -> Option<Result<()>> {
        let (url, output) = (other.url(), &*self.to.output);
        let Open { endpoint, versions } = open;
        let twin = Twin { local, url, endpoint, versions, output };
        match twin.test_once(spans, SAMPLES, seed).await {
            Ok(()) => Some(Ok(())),
            Err(failure) if failure.error.kind() == ErrorKind::Changed => Some(Err(failure.error)),
            Err(failure) => {
                other.tally.failed(&failure.error);
                None
            }
        }
    }

    /// The bytes of `id` are not those of `witness`: a third source says who is wrong.
    async fn judge(
        &self,
        local: &Local,
        id: SourceId,
        witness: SourceId,
        error: Error,
        seed: u64,
    ) -> Result<()> {
        let spans = self.source(id).tally.spans();
        for (_, other, open) in self.witnesses(&[id, witness]) {
            let agreed = self.agrees(local, other, &open, &spans, seed);
            match within(JUDGE_PATIENCE, agreed).await {
                Some(Ok(())) => return Err(self.accuse(witness, &error)),
                Some(Err(_)) => return Err(self.accuse(id, &error)),
                None => {}
            }
        }
        for stranger in self.sources.iter().filter(|source| source.opened().is_none()) {
            let agreed = async {
                let open = self.reach(local, stranger, &spans).await?;
                self.agrees(local, stranger, &open, &spans, seed).await
            };
            // One that disagrees may have a third file, and says nothing of these two then.
            if let Some(Ok(())) = within(JUDGE_PATIENCE, agreed).await {
                return Err(self.accuse(witness, &error));
            }
        }
        match (self.is_named(id), self.is_named(witness)) {
            (true, false) => Err(self.accuse(witness, &error)),
            (false, true) => Err(self.accuse(id, &error)),
            _ => Err(self.undecided(id, witness, &error)),
        }
    }

    /// How to ask a source that nobody has used so far; `None` if that is not to be found out soon.
    async fn reach(&self, local: &Local, source: &Source, spans: &SpanSet) -> Option<Open> {
        let start = spans.first().map_or(0, Span::start);
        let sample = Span::with_len(start, SPAN_ALIGN_BYTES.min(self.file.total_bytes - start));
        let asking = ask_once(local, source.url(), Some(sample));
        let Discovered { endpoint, found: Found::Ranged { known, .. }, .. } = asking.await.ok()?
        else {
            return None;
        };
        let is_of_size = known.total == self.file.served_bytes;
        let (endpoint, versions) = (Arc::new(endpoint), Arc::new(Versions::new(known)));
        is_of_size.then_some(Open { endpoint, versions })
    }

    /// Whether the caller has named the source, and not a server.
    fn is_named(&self, id: SourceId) -> bool {
        id.0 < self.file.named
    }

    /// A source that was looked at does not agree with those that are used.
    fn contradicted(&self, id: SourceId, error: Error) {
        let mut jury = self.jury();
        if jury.is_settled() || !self.is_named(id) {
            drop(jury);
            return self.leave_out(id, &error);
        }
        jury.disputed.push((id, error.clone()));
        let (first, disputed) = (jury.first, jury.disputed.len());
        drop(jury);
        self.plan().on_source_unopened(self.context.now(), id, Unopened::Disputed);
        let (one, other) = (self.source(first).url(), self.source(id).url());
        let text = format!("{one} and {other} serve two files");
        self.context.tell(Level::Detail, None, text);
        if self.file.is_judged() {
            // It will say who is right.
        } else if disputed > 1 {
            self.context.fail(self.accuse(first, &error));
        } else if self.file.named == 2 {
            self.context.fail(self.undecided(first, id, &error));
        }
    }

    /// The source serves another file, or not in ranges: it is named, and not asked again.
    fn leave_out(&self, id: SourceId, error: &Error) {
        let source = self.source(id);
        source.tally.failed(error);
        let text = format!("{} is left out: {}", source.url(), error.context());
        self.context.tell(Level::Note, None, text);
        self.plan().on_source_unopened(self.context.now(), id, Unopened::Useless);
    }

    /// The source is wrong: all that it has brought is fetched again, from the others. The error
    /// ends this attempt.
    fn accuse(&self, id: SourceId, error: &Error) -> Error {
        let source = self.source(id);
        self.context.set_liar(source.url().clone(), source.tally.spans());
        let what = format!("{} serves another file than the others", source.url());
        Error::new(ErrorKind::Changed, what).caused_by(error.clone())
    }

    fn undecided(&self, one: SourceId, other: SourceId, error: &Error) -> Error {
        self.context.set_undecided();
        let (one, other) = (self.source(one).url(), self.source(other).url());
        let what = format!("{one} and {other} serve two files, and nothing says which is right");
        Error::new(ErrorKind::Changed, what)
            .caused_by(error.clone())
            .advise("name the right one alone, or its digest with --checksum")
    }

    /// The digest of the whole file is not what it has to be. Where a source contradicts the one
    /// that the transfer began with, that one is wrong: `true`, and the next attempt does without.
    pub(in crate::engine) fn blame_first(&self, error: &Error) -> bool {
        let jury = self.jury();
        let is_disputed = !jury.disputed.is_empty();
        let first = jury.first;
        drop(jury);
        if is_disputed {
            self.accuse(first, error);
        }
        is_disputed
    }

    /// Sources other than `involved` that were seen to serve the file, first those that still do.
    fn witnesses(&self, involved: &[SourceId]) -> Vec<(SourceId, &Source, Open)> {
        let others = self.numbered().filter(|(id, _)| !involved.contains(id));
        let mut witnesses: Vec<_> =
            others.filter_map(|(id, source)| Some((id, source, source.opened()?))).collect();
        let (plan, count) = (self.plan(), self.sources.len());
        // Each asks another one, the one that follows it, or all would ask the first.
        let behind = involved.first().map_or(0, |id| id.0 as usize + 1);
        let distance = |id: SourceId| (id.0 as usize + count - behind % count) % count;
        witnesses.sort_by_key(|(id, _, _)| (!plan.is_source_open(*id), distance(*id)));
        witnesses
    }

    pub(super) fn numbered(&self) -> impl Iterator<Item = (SourceId, &Source)> {
        (0..).map(SourceId).zip(self.sources.iter().map(|source| &**source))
    }

    fn jury(&self) -> MutexGuard<'_, Jury> {
        self.jury.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The outcome, unless it takes longer than this.
async fn within<T>(patience: Duration, outcome: impl Future<Output = Option<T>>) -> Option<T> {
    tokio::time::timeout(patience, outcome).await.ok().flatten()
}
