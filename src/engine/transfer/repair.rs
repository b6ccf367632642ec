//! Repair: finds out what a file that is there has of the one to be downloaded, before anything of
//! this is asked for, so that the first attempt fetches the rest alone. Owns by what that is
//! judged, and the words where it cannot be. Must not know how bytes are fetched.
//!
//! States: reading the file -> whole (nothing is to be done), or refused, or taking over what is
//! good -> begun.

use super::Transfer;
use super::expected_digest::{self, Wanted};
use super::on_disk::OnDisk;
use super::task::{OnStep, Task};
use crate::base::limits::SPAN_ALIGN_BYTES;
use crate::base::size::format_bytes;
use crate::base::{Error, ErrorKind, Result, Span, SpanSet};
use crate::digest::PieceHashes;
use crate::digest::crc::Run;
use crate::disk::journal::{Found, Identity, Saved};
use crate::disk::salvage::{Salvage, Survey};
use crate::engine::context::{Context, jitter_seed};
use crate::engine::join::written;
use crate::engine::progress::{Level, Phase, Repaired, Report, Verified, VerifiedPieces};
use crate::engine::source::discover::{self, Discovered, Found as Answer};
use crate::engine::source::twin::Twin;
use crate::engine::source::versions::Versions;
use std::sync::Arc;

/// What there is when the first attempt begins.
pub(super) enum Begun {
    /// What is on the disk, and what a repair has found, if it is one.
    With(OnDisk, Option<Repaired>),
    /// The file is as it should be.
    Whole(Box<Report>),
}

/// A repair that has not begun to fetch.
struct Repair<'a> {
    transfer: &'a Transfer,
    salvage: Salvage,
}

/// The report of an attempt, which may have been one at a repair.
pub(super) fn told(repaired: Option<Repaired>, report: Report) -> Report {
    let fetched_bytes = report.bytes.saturating_sub(report.resumed_bytes);
    let repaired = repaired.map(|repaired| Repaired { fetched_bytes, ..repaired });
    Report { repaired, ..report }
}

impl Transfer {
    /// What is on the disk already: of an earlier run, or of the file that is to be repaired.
    pub(super) async fn begin(&self) -> Result<Begun> {
        if let Some(path) = &self.standing {
            let looked = Box::pin(self.standing(path)).await;
            let context = self.context();
            let looked = looked.map_err(|error| context.take_failure().unwrap_or(error));
            return looked.map(|report| Begun::Whole(Box::new(report)));
        }
        let Some(salvage) = self.reserved.salvage() else {
            return Ok(Begun::With(self.look()?, None));
        };
        let context = self.context();
        // In a box, as an attempt is: the types of futures within futures become too deep.
        let begun = Box::pin(Repair { transfer: self, salvage }.begin()).await;
        context.set_unchecked(0);
        context.set_phase(Phase::Connecting);
        begun.map_err(|error| self.explain(context.take_failure().unwrap_or(error)))
    }
}

impl Repair<'_> {
    async fn begin(&self) -> Result<Begun> {
        let options = &self.context().options;
        let wanted = Wanted::choose(self.context(), &[], None)?;
        if let Some(pieces) = &options.pieces {
            return self.by_pieces(&self.sized(pieces).await?, &wanted).await;
        }
        let is_recorded = options.resume && options.journal;
        let recorded = if is_recorded { self.salvage.recorded()? } else { None };
        match recorded.filter(|(_, runs)| !runs.is_empty()) {
            Some((identity, runs)) => self.by_journal(identity, runs, &wanted).await,
            None if wanted.expected.is_some() => match self.has_digest(&wanted).await? {
                Some(report) => Ok(Begun::Whole(report)),
                None => Err(self.refusal(&digest_differs(&wanted))),
            },
            None => self.by_samples().await,
        }
    }

    /// The pieces of the file of the size that it has, which the server says if nobody else does.
    async fn sized(&self, pieces: &Arc<PieceHashes>) -> Result<Arc<PieceHashes>> {
        if pieces.size_bytes().is_some() {
            return Ok(pieces.clone());
        }
        let total = match self.discover().await?.found {
            Answer::Ranged { known, .. } => Some(known.total),
            Answer::Whole { total, .. } => total,
            Answer::Empty => Some(0),
        };
        let unknown = "neither the piece hashes nor the server say what size the file has";
        let total = total.ok_or_else(|| self.refusal(unknown))?;
        Ok(Arc::new(PieceHashes::clone(pieces).of_size(total)?))
    }

    /// What the server says of its file.
    async fn discover(&self) -> Result<Discovered> {
        let first = Some(Span::new(0, SPAN_ALIGN_BYTES));
        let (local, url) = (&self.transfer.local, &self.transfer.urls[0]);
        self.context().guard(discover::find(local, url, first)).await
    }

    async fn by_pieces(&self, pieces: &Arc<PieceHashes>, wanted: &Wanted) -> Result<Begun> {
        let (bytes, total, count) = (self.salvage.bytes()?, pieces.total_bytes(), pieces.count());
        self.context().set_total(Some(total));
        self.tell_of_check(bytes.min(total));
        let (own_pieces, algorithms) = (pieces.clone(), wanted.algorithms.clone());
        let survey = self.work(bytes.min(total), move |salvage, on_step| {
            salvage.survey(Some(&own_pieces), &algorithms, on_step)
        });
        let survey = survey.await?;
        let bad_pieces = survey.bad_pieces;
        let repaired =
            Repaired { pieces: Some(count), bad_pieces, fetched_bytes: 0, is_untouched: false };
        if bad_pieces == 0 && bytes == total {
            let digests = &survey.digests;
            let verified = expected_digest::compare(wanted.expected.as_ref(), digests, 0);
            let verified = verified.map_err(|error| {
                error.within(format!("all pieces of {} are right, but", self.name()))
            })?;
            return Ok(Begun::Whole(self.whole(bytes, repaired, verified, &survey)));
        }
        let length = match bytes {
            _ if bytes == total => String::new(),
            _ => format!("; it has {bytes} bytes instead of {total}"),
        };
        let found = format!("{bad_pieces} of {count} pieces of {} are bad or missing", self.name());
        self.context().tell(Level::Note, None, found + &length);
        let on_disk = self.take_over(total, None, survey.good).await?;
        Ok(Begun::With(on_disk, Some(repaired)))
    }

    /// By the CRCs of a journal that stands beside the file.
    async fn by_journal(
        &self,
        identity: Identity,
        runs: Vec<Run>,
        wanted: &Wanted,
    ) -> Result<Begun> {
        if wanted.expected.is_some()
            && let Some(report) = self.has_digest(wanted).await?
        {
            return Ok(Begun::Whole(report));
        }
        let total = identity.total;
        self.context().set_total(Some(total));
        let recorded_bytes = bytes_of(&runs);
        self.tell_of_check(recorded_bytes);
        let matching =
            self.work(recorded_bytes, move |salvage, on_step| salvage.matching(runs, on_step));
        let good = matching.await?;
        let (good_bytes, all) = (format_bytes(bytes_of(&good)), format_bytes(total));
        let name = self.name();
        let found = format!("{good_bytes} of {all} of {name} are as its journal says");
        self.context().tell(Level::Note, None, found);
        let repaired =
            Repaired { pieces: None, bad_pieces: 0, fetched_bytes: 0, is_untouched: false };
        let on_disk = self.take_over(total, Some(identity), good).await?;
        Ok(Begun::With(on_disk, Some(repaired)))
    }

    /// The report if the file has the digest that it should have.
    async fn has_digest(&self, wanted: &Wanted) -> Result<Option<Box<Report>>> {
        let bytes = self.salvage.bytes()?;
        self.context().set_total(Some(bytes));
        self.tell_of_check(bytes);
        let algorithms = wanted.algorithms.clone();
        let survey =
            self.work(bytes, move |salvage, on_step| salvage.survey(None, &algorithms, on_step));
        let survey = survey.await?;
        match expected_digest::compare(wanted.expected.as_ref(), &survey.digests, 0) {
            Ok(verified) => {
                let repaired =
                    Repaired { pieces: None, bad_pieces: 0, fetched_bytes: 0, is_untouched: true };
                Ok(Some(self.whole(bytes, repaired, verified, &survey)))
            }
            Err(error) if error.kind() == ErrorKind::ChecksumMismatch => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Nothing is known of the file but what its server says: it can have the digest that this
    /// offers, or samples can tell that it is another one.
    async fn by_samples(&self) -> Result<Begun> {
        let (local, url) = (&self.transfer.local, &self.transfer.urls[0]);
        let context = self.context();
        let Discovered { endpoint, found, offers, .. } = self.discover().await?;
        let wanted = Wanted::choose(context, &offers, None)?;
        if wanted.expected.is_some() {
            return match self.has_digest(&wanted).await? {
                Some(report) => Ok(Begun::Whole(report)),
                None => Err(self.refusal(&digest_differs(&wanted))),
            };
        }
        let Answer::Ranged { known, .. } = found else {
            return Err(self.refusal("the server serves no parts of its file"));
        };
        let (bytes, total) = (self.salvage.bytes()?, known.total);
        let mut here = SpanSet::new();
        here.insert(Span::new(0, bytes.min(total)));
        let (versions, output) = (&Versions::new(known), &self.salvage);
        let twin = Twin { local, url, endpoint: &endpoint, versions, output };
        if here.is_empty() {
            return Err(self.refusal("there are no bytes to compare with the server's"));
        }
        let difference = context.guard(twin.first_difference(&here, jitter_seed())).await?;
        let length = match bytes {
            _ if bytes == total => String::new(),
            _ => format!("it has {bytes} bytes and the server's file {total}, and "),
        };
        let found = match difference {
            Some(at) => format!("byte {at} differs: the whole file has to be fetched"),
            None => "samples of it are equal to the server's, which proves nothing".to_owned(),
        };
        Err(self.refusal(&(length + &found)))
    }

    /// Brings what is good into the part file, in so far as an earlier repair has not: `identity`
    /// says by what it is known, if not by digests of its pieces.
    async fn take_over(
        &self,
        total: u64,
        identity: Option<Identity>,
        good: Vec<Run>,
    ) -> Result<OnDisk> {
        let context = self.context();
        if self.salvage.other_names() > 0 {
            let text = format!("{} has other names, which keep the old file", self.name());
            context.tell(Level::Note, None, text);
        }
        let left = self.left(total)?;
        if left.is_none() && identity.is_none() {
            self.transfer.reserved.discard()?;
        }
        let is_empty = left.is_none();
        let (left_identity, mut runs) =
            left.map_or((None, Vec::new()), |saved| (Some(saved.identity), saved.runs));
        let here = spans_of(&runs);
        let lacking = good.into_iter().filter(|run| here.gaps(run.span) == [run.span]);
        let lacking: Vec<Run> = lacking.collect();
        if !lacking.is_empty() {
            let spans = spans_of(&lacking);
            let bytes = spans.covered();
            let means = self.work(bytes, move |salvage, on_step| {
                salvage.fill(&spans, total, is_empty, on_step)
            });
            let text = format!("{} of {} {}", format_bytes(bytes), self.name(), means.await?);
            context.tell(Level::Detail, None, text);
        }
        runs.extend(lacking);
        runs.sort_unstable_by_key(|run| run.span.start());
        Ok(match left_identity.or(identity) {
            Some(identity) => OnDisk::new(identity, runs, false),
            None => OnDisk::proved(total, runs),
        })
    }

    /// What an earlier repair has left.
    fn left(&self, total: u64) -> Result<Option<Saved>> {
        let options = &self.context().options;
        if !options.resume || !options.journal {
            return Ok(None);
        }
        match self.transfer.reserved.find()? {
            Found::Resumable(saved) if saved.identity.total == total => {
                if let Some(note) = &saved.note {
                    self.context().tell(Level::Note, None, note);
                }
                Ok(Some(saved))
            }
            Found::Resumable(_) | Found::Useless(_) | Found::Nothing => Ok(None),
        }
    }

    /// Does blocking work on a thread of its own, which has `bytes` to go through.
    async fn work<T: Send + 'static>(
        &self,
        bytes: u64,
        work: impl FnOnce(&Salvage, OnStep<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let context = self.context();
        context.set_phase(Phase::Verifying);
        context.set_unchecked(bytes);
        let salvage = self.salvage.clone();
        let mut task = Task::start(context, move |on_step| work(&salvage, on_step))?;
        context.guard(task.outcome()).await
    }

    /// Where there is no bar, that is all that is heard of it until it has ended.
    fn tell_of_check(&self, bytes: u64) {
        let text = format!("checking {} of {}", format_bytes(bytes), self.name());
        self.context().tell(Level::Note, None, text);
    }

    fn refusal(&self, why: &str) -> Error {
        let name = self.name();
        Error::new(ErrorKind::Usage, format!("cannot repair {name}: {why}")).advise(format!(
            "give the hashes of its pieces (--metalink, --piece-hashes), or download it anew with \
             -o {name} --force"
        ))
    }

    fn whole(
        &self,
        bytes: u64,
        repaired: Repaired,
        verified: Option<Verified>,
        survey: &Survey,
    ) -> Box<Report> {
        let context = self.context();
        let pieces = repaired.pieces.zip(context.options.pieces.as_ref());
        let pieces = pieces.map(|(count, hashes)| VerifiedPieces {
            count,
            algorithm: hashes.algorithm(),
            read_back_bytes: bytes,
        });
        let mut digests = survey.digests.clone();
        digests.retain(|digest| context.options.digests.contains(&digest.algorithm));
        Box::new(Report {
            verified,
            pieces,
            digests: written(&digests),
            repaired: Some(Repaired { is_untouched: true, ..repaired }),
            ..self.transfer.untouched(self.salvage.path(), bytes)
        })
    }

    fn name(&self) -> String {
        self.salvage.path().display().to_string()
    }

    fn context(&self) -> &Arc<Context> {
        self.transfer.context()
    }
}

fn bytes_of(runs: &[Run]) -> u64 {
    runs.iter().map(|run| run.span.len()).sum()
}

fn spans_of(runs: &[Run]) -> SpanSet {
    let mut spans = SpanSet::new();
    runs.iter().for_each(|run| _ = spans.insert(run.span));
    spans
}

fn digest_differs(wanted: &Wanted) -> String {
    let algorithm = wanted.expected.as_ref().map(|it| it.checksum.algorithm);
    let algorithm = algorithm.expect("there is a digest to compare with");
    format!("its {algorithm} differs, and a digest of the whole file does not tell where")
}
