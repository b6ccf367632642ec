//! What is here of a file that several machines fetch in slices: which of them are complete, and
//! whether all are of one file (`agree`); whether their bytes are what was written, and the name in
//! the end (`joining`).
//!
//! A slice is complete when its journal says that all of its bytes are durable; there is no other
//! mark. So nobody has to be told of anybody: whoever finds all journals complete may join. Must
//! not know where bytes come from, nor how a file is cut: the journals say which bytes are whose.

mod agree;
mod joining;
#[cfg(test)]
mod tests;

pub use agree::Agreed;
pub use joining::{Joining, Locked, Named, digests_of};

use super::journal::{self, Identity};
use super::place::{disk_error, folder_of, look_for};
use super::slice_names;
use crate::base::text::listed;
use crate::base::url::is_one_resource;
use crate::base::{Error, ErrorKind, Result, Slice, Span, SpanSet};
use crate::digest::crc::Run;
use crate::io::{file, whole};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What journals say of the slices of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slices {
    /// The name that the file gets.
    target: PathBuf,
    count: u32,
    /// In order.
    complete: Vec<Complete>,
    /// The numbers of the others, in order.
    missing: Vec<u32>,
}

/// A slice all of whose bytes are durable.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Complete {
    index: u32,
    identity: Identity,
    span: Span,
    /// Its bytes, in order and without gaps.
    runs: Vec<Run>,
}

impl Slices {
    /// Looks for the slices of the file that is to be called `target`: those of `count`, if that is
    /// given. `None`: there is no journal of any.
    ///
    /// # Errors
    /// What the disk has to say; [`ErrorKind::TargetUnusable`] if a journal is another's, or if it
    /// is not known which of several counts is meant.
    pub fn find(target: &Path, count: Option<u32>) -> Result<Option<Self>> {
        let folder = folder_of(target);
        let found = slice_names::found(folder, target);
        let mut found = found.map_err(|e| disk_error(e, "cannot list", folder))?;
        found.retain(|slice| count.is_none_or(|count| slice.count() == count));
        let [first, .., last] = found[..] else {
            let Some(only) = found.first() else { return Ok(None) };
            return Self::read(target, only.count(), &found).map(Some);
        };
        if first.count() != last.count() {
            let (one, other, name) = (first.count(), last.count(), target.display());
            let what = format!("{name} is here in {one} slices and in {other}");
            let journals = slice_names::journal(target, first);
            let advice = format!("remove the journals of one of them ({} ..)", journals.display());
            return Err(Error::new(ErrorKind::TargetUnusable, what).advise(advice));
        }
        Self::read(target, first.count(), &found).map(Some)
    }

    fn read(target: &Path, count: u32, found: &[Slice]) -> Result<Self> {
        let mut complete = Vec::new();
        for &slice in found {
            let recorded = journal::recorded_of(slice, &slice_names::journal(target, slice))?;
            complete.extend(recorded.and_then(|(identity, runs)| Complete::of(identity, runs)));
        }
        let here: BTreeSet<u32> = complete.iter().map(|it: &Complete| it.index).collect();
        let mut missing: Vec<u32> = (1..=count).filter(|index| !here.contains(index)).collect();
        // Slices without bytes have no journal.
        if covers_whole(&complete) {
            missing.clear();
        }
        Ok(Self { target: target.to_owned(), count, complete, missing })
    }

    /// Those of a file without bytes: all are complete, and none has a journal.
    pub fn empty(target: &Path, count: u32) -> Self {
        let (complete, missing) = (Vec::new(), Vec::new());
        Self { target: target.to_owned(), count, complete, missing }
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The numbers of those that are not complete, in order.
    pub fn missing(&self) -> &[u32] {
        &self.missing
    }

    /// [`ErrorKind::SlicesIncomplete`] with the numbers of those that are not complete, if there
    /// are any.
    pub fn check_complete(&self) -> Result<()> {
        if self.missing.is_empty() {
            return Ok(());
        }
        let what = format!("{} not complete", self.named(&self.missing));
        let again = if self.missing.len() == 1 { "run it again" } else { "run them again" };
        Err(Error::new(ErrorKind::SlicesIncomplete, what).advise(again))
    }

    /// The numbers of those that are complete and of another file than `now`, by size, version and
    /// digest, as far as that can be told.
    pub fn other_than(&self, now: &Identity) -> Vec<u32> {
        let differs = |one: &Option<String>, other: &Option<String>| {
            one.as_ref().zip(other.as_ref()).is_some_and(|(one, other)| one != other)
        };
        let is_other = |it: &&Complete| {
            let same_place = is_one_resource(&it.identity.url, &now.url);
            it.identity.total != now.total
                || differs(&it.identity.digest, &now.digest)
                || (same_place && differs(&it.identity.validator, &now.validator))
        };
        self.complete.iter().filter(is_other).map(|it| it.index).collect()
    }

    /// `slices 2 and 5 of 8 of big.bin are`.
    fn named(&self, numbers: &[u32]) -> String {
        let (count, name) = (self.count, self.target.display());
        let (slices, are) = if numbers.len() == 1 { ("slice", "is") } else { ("slices", "are") };
        format!("{slices} {} of {count} of {name} {are}", listed(numbers))
    }
}

impl Complete {
    /// `None` if some of its bytes are not durable.
    fn of(identity: Identity, mut runs: Vec<Run>) -> Option<Self> {
        let cut = identity.cut?;
        runs.retain(|run| cut.span.covers(run.span));
        set_of(runs.iter().map(|run| run.span)).covers(cut.span).then(|| Self {
            index: cut.slice.index(),
            span: cut.span,
            identity,
            runs,
        })
    }
}

/// Whether these are all bytes of the file.
fn covers_whole(complete: &[Complete]) -> bool {
    let here = set_of(complete.iter().map(|it| it.span));
    let total = complete.iter().map(|it| it.identity.total).max();
    total.is_some_and(|total| here.covers(Span::new(0, total)))
}

fn set_of(spans: impl Iterator<Item = Span>) -> SpanSet {
    let mut set = SpanSet::new();
    spans.for_each(|span| _ = set.insert(span));
    set
}

/// How far a file is that slices are to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing has its name.
    Unnamed,
    /// It has its name, and nothing of its slices is there any more.
    Named,
    /// Something has its name while its slices are there.
    InTheWay,
}

/// Looks at what has the name `target`. Journals are removed that a run left which was killed when
/// it had just given the file its name.
///
/// # Errors
/// What the disk has to say.
pub fn standing(target: &Path) -> Result<Standing> {
    if !look_for(target)? {
        return Ok(Standing::Unnamed);
    }
    let part = slice_names::part(target);
    let finished = file::finish_renaming(&part, target);
    let is_finished = finished.map_err(|e| disk_error(e, "cannot remove", &part))?;
    if !is_finished && look_for(&part)? {
        return Ok(Standing::InTheWay);
    }
    remove_journals(target, None)?;
    Ok(Standing::Named)
}

/// Removes the journals of all slices, or of those of this count.
fn remove_journals(target: &Path, count: Option<u32>) -> Result<()> {
    let folder = folder_of(target);
    let found = slice_names::found(folder, target);
    let found = found.map_err(|e| disk_error(e, "cannot list", folder))?;
    for slice in found.into_iter().filter(|it| count.is_none_or(|count| it.count() == count)) {
        let journal = slice_names::journal(target, slice);
        if journal::recorded_of(slice, &journal).is_ok() {
            whole::remove(&journal).map_err(|e| disk_error(e, "cannot remove", &journal))?;
        }
    }
    Ok(())
}
