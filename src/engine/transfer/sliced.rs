//! What is different for one slice of a file that several machines fetch: what it may not do
//! without, what is told of the other slices, and that the last one joins them.

use super::Transfer;
use super::task::Task;
use crate::base::limits::SPAN_ALIGN_BYTES;
use crate::base::text::listed;
use crate::base::{Error, ErrorKind, Result, Slice, Span};
use crate::disk::journal::{Cut, Identity};
use crate::disk::slices::{self, Slices, Standing};
use crate::engine::join::{End, Joined, Judged, OnRead, join, judge_standing, written};
use crate::engine::options::OnChange;
use crate::engine::progress::{Level, OtherSlices, Phase, Report, SliceReport};
use crate::engine::source::discover::{self, Found};
use crate::engine::source::facts::Facts;
use crate::http::http_date;
use std::path::Path;
use std::time::UNIX_EPOCH;

impl Transfer {
    /// The report if the file has its name already, as its slices were joined before: it has the
    /// size of the server's, and the digest that it should have, if one is given.
    pub(super) async fn standing(&self, path: &Path) -> Result<Report> {
        let (local, context) = (&self.local, self.context());
        let first = Some(Span::with_len(0, SPAN_ALIGN_BYTES));
        let discovered = context.guard(discover::find(local, &self.urls[0], first)).await?;
        let total = match discovered.found {
            Found::Ranged { known, .. } => Some(known.total),
            Found::Whole { total, .. } => total,
            Found::Empty => Some(0),
        };
        let meta = std::fs::metadata(path).map_err(|e| {
            let what = format!("cannot look at {}", path.display());
            Error::new(ErrorKind::DiskIo, what).caused_by(e)
        })?;
        let bytes = meta.len();
        if total != Some(bytes) {
            let total = total.map_or("another one".to_owned(), |total| format!("{total}"));
            let what = format!("{} exists with {bytes} bytes", path.display());
            let what = format!("{what}, and the server's file has {total}");
            return Err(Error::new(ErrorKind::TargetExists, what));
        }
        let (own_context, own_path) = (context.clone(), path.to_owned());
        let judged =
            self.read(move |on_read| judge_standing(&own_path, &own_context.options, on_read));
        let Judged { verified, digests } = judged.await?;
        let slice = context.options.slice.expect("only slices look at a file that stands");
        let others = OtherSlices::JoinedBefore;
        let slice = Some(SliceReport { slice, others });
        let digests = written(&digests);
        Ok(Report { verified, digests, slice, ..self.untouched(path, bytes) })
    }

    /// The cut of `slice`, whose bytes are `span`. An error if nothing proves that what other
    /// machines fetch is of the same file, or if slices are here that are not and that is not
    /// wanted.
    pub(super) fn check_slice(
        &self,
        slice: Slice,
        span: Span,
        now: &Identity,
        facts: &Facts,
    ) -> Result<Cut> {
        let (context, target) = (self.context(), self.reserved.target());
        if now.validator.is_none() && now.digest.is_none() {
            let what = "the server's answers have no validator that tells versions apart: nothing \\
                        shows that slices are of one file";
            return Err(Error::new(ErrorKind::Usage, what).advise(
                "give the digest of the file with --checksum, or fetch it on one machine",
            ));
        }
        let here = Slices::find(target, Some(slice.count()))?;
        let mut others = here.map_or_else(Vec::new, |here| here.other_than(now));
        others.retain(|index| *index != slice.index());
        if !others.is_empty() {
            let (are, of) = if others.len() == 1 { ("slice", "is") } else { ("slices", "are") };
            let count = slice.count();
            let what =
                format!("{are} {} of {count} {of} of another version of the file", listed(&others));
            if context.options.on_change == OnChange::Fail {
                return Err(Error::new(ErrorKind::Changed, what));
            }
            let text = format!("{what}, and cannot be joined with this one: run them again");
            context.tell(Level::Warning, None, text);
        }
        let modified = facts.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let modified_s = modified.map(|since| since.as_secs());
        Ok(Cut { slice, span, modified_s })
    }

    /// Once all bytes of a slice are durable: joins the slices, if it was the last one.
    pub(super) async fn end_slice(&self, report: Report) -> Result<Report> {
        let context = self.context();
        let Some(slice) = context.options.slice.filter(|_| report.slice.is_none()) else {
            return Ok(report);
        };
        self.reserved.release();
        let target = self.reserved.target();
        let found = match Slices::find(target, Some(slice.count()))? {
            Some(found) => found,
            None if slices::standing(target)? == Standing::Named => {
                return Ok(with(report, slice, OtherSlices::JoinedBefore));
            }
            // One without bytes has none itself.
            None if report.bytes == 0 => {
                let others = (1..=slice.count()).filter(|index| *index != slice.index());
                return Ok(with(report, slice, OtherSlices::Missing(others.collect())));
            }
            None => {
                let what = format!("the journal of slice {slice} of {} is gone", target.display());
                return Err(Error::new(ErrorKind::SlicesIncomplete, what));
            }
        };
        if !found.missing().is_empty() {
            let missing = found.missing().to_vec();
            return Ok(with(report, slice, OtherSlices::Missing(missing)));
        }
        self.join_all(found, slice, report).await
    }

    /// Those of a file without bytes.
    pub(super) async fn end_empty(&self, slice: Slice, report: Report) -> Result<Report> {
        self.reserved.release();
        let none = Slices::empty(self.reserved.target(), slice.count());
        self.join_all(none, slice, report).await
    }

    async fn join_all(&self, found: Slices, slice: Slice, report: Report) -> Result<Report> {
        let context = self.context();
        let modified = report.last_modified.as_deref().and_then(http_date);
        let own_context = context.clone();
        let ended = self.read(move |on_read| join(found, &own_context.options, modified, on_read));
        Ok(match ended.await? {
            End::Taken => with(report, slice, OtherSlices::InUse),
            End::JoinedBefore => with(report, slice, OtherSlices::JoinedBefore),
            End::Joined(joined) => {
                let Joined { path, verified, digests, .. } = *joined;
                let (elapsed, digests) = (context.now(), written(&digests));
                let joined = Report { path, verified, digests, elapsed, ..report };
                with(joined, slice, OtherSlices::Joined)
            }
        })
    }

    /// Does blocking work that reads a file.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(OnRead<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let context = self.context();
        context.set_phase(Phase::Verifying);
        let own_context = context.clone();
        let mut task = Task::start(context, move |on_step| {
            let mut is_total_known = false;
            work(&mut |bytes, total| {
                if !std::mem::replace(&mut is_total_known, true) {
                    own_context.set_unchecked(total);
                }
                on_step(bytes)
            })
        })?;
        let outcome = context.guard(task.outcome()).await;
        context.set_unchecked(0);
        outcome
    }
}

fn with(report: Report, slice: Slice, others: OtherSlices) -> Report {
    Report { slice: Some(SliceReport { slice, others }), ..report }
}

/// The error of a server that serves only whole files.
pub(super) fn no_ranges() -> Error {
    let what = "the server serves the file in one stream only: each slice would fetch all of it";
    Error::new(ErrorKind::Usage, what).advise("fetch the file on one machine, without --slice")
}
