//! All that answers say of a file's version, field by field: whether two of them differ, and
//! whether one proves that it is of the same version as the first.
//!
//! Owns the comparison of each field. Must not know ranges, statuses or what follows from the
//! outcome: that is `combine`'s, whose table says what is what.

use super::date::http_date;
use super::digest_fields::{Offered, whole_file_digests};
use super::head::Head;
use super::validator::{Validator, is_strong_date};
use crate::base::{Error, ErrorKind, Result};

/// What the first answer said, and what later ones added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fingerprint {
    etag: Option<Mark>,
    modified: Option<Mark>,
    /// Indicates whether the date of the first answer counts as strong (RFC 9110 section 8.8.2.2).
    is_date_strong: bool,
    /// One for each algorithm; `None` if digests are not to be looked at.
    pub(super) digests: Option<Vec<Offered>>,
}

/// A field of a version, as sent.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    value: String,
    /// Indicates whether the first answer had it, so that every later one has to.
    is_of_first: bool,
}

/// What one answer says of its version.
pub(super) struct Found<'h> {
    etag: Option<&'h str>,
    modified: Option<&'h str>,
    digests: Vec<Offered>,
}

/// Whether an answer of which no field differs is of the same version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// It repeats what the first one had, as far as that can be asked for.
    Enough,
    /// It lacks the strong validator, which `If-Range` can ask about.
    AskAgain,
    /// It lacks this field, and nothing can be asked.
    Missing(&'static str),
}

impl Fingerprint {
    /// What the first answer says; errors as for [`Found::of`].
    pub(super) fn of(head: &Head) -> Result<Self> {
        let found = Found::of(head)?;
        let is_date_strong =
            found.modified.is_some_and(|modified| is_strong_date(modified, head.get("Date")));
        let (etag, modified) = (None, None);
        let mut first = Self { etag, modified, is_date_strong, digests: Some(Vec::new()) };
        first.add(found, true);
        Ok(first)
    }

    /// [`ErrorKind::Changed`] if any field differs from what is known.
    pub(super) fn compare(&self, found: &Found<'_>, known: &Validator) -> Result<()> {
        if let Some((mark, tag)) = self.etag.as_ref().zip(found.etag) {
            let same = match known {
                // RFC 9110 section 8.8.3.2, strong comparison: neither is weak, and all characters
                // agree.
                Validator::StrongEtag(strong) => strong == tag,
                // The same section, weak comparison: the opaque tags agree, `W/` or not.
                Validator::LastModified(_) | Validator::WeakEtag(_) | Validator::None => {
                    opaque(&mark.value) == opaque(tag)
                }
            };
            if !same {
                return Err(changed("the file's ETag is another one by now"));
            }
        }
        if let Some((mark, date)) = self.modified.as_ref().zip(found.modified)
            && !is_same_date(&mark.value, date)
        {
            return Err(changed("the file's Last-Modified is another one by now"));
        }
        for known in self.digests.iter().flatten() {
            let differs = |o: &&Offered| o.algorithm == known.algorithm && o.value != known.value;
            if let Some(other) = found.digests.iter().find(differs) {
                let (algorithm, field) = (other.algorithm, other.field);
                let text = format!("the file's {algorithm} digest ({field}) is another one by now");
                return Err(changed(text).advise(
                    "start again; if the server's digests are wrong, ignore them with --no-verify",
                ));
            }
        }
        Ok(())
    }

    /// What an answer of which no field differs proves.
    pub(super) fn proof(&self, found: &Found<'_>, known: &Validator) -> Proof {
        match known {
            // RFC 9110 section 15.3.7.3: parts may be combined "if they share the same strong
            // validator".
            Validator::StrongEtag(_) if found.etag.is_some() => Proof::Enough,
            Validator::LastModified(_) if found.modified.is_some() => Proof::Enough,
            Validator::StrongEtag(_) | Validator::LastModified(_) => Proof::AskAgain,
            // A strong date beside a weak tag proves as much, though it must not be asked for
            // (section 13.1.5).
            Validator::WeakEtag(_) | Validator::None
                if self.is_date_strong && found.modified.is_some() =>
            {
                Proof::Enough
            }
            Validator::WeakEtag(_) | Validator::None => {
                let lacks = |mark: &Option<Mark>, found: Option<&str>| {
                    mark.as_ref().is_some_and(|mark| mark.is_of_first) && found.is_none()
                };
                // RFC 9110 section 15.3.7: without If-Range a 206 has all fields a 200 would have,
                // so this one comes from elsewhere.
                match (lacks(&self.etag, found.etag), lacks(&self.modified, found.modified)) {
                    (true, _) => Proof::Missing("ETag"),
                    (false, true) => Proof::Missing("Last-Modified"),
                    (false, false) => Proof::Enough,
                }
            }
        }
    }

    /// Takes note of what no answer before this one has said.
    pub(super) fn remember(&mut self, found: Found<'_>) {
        self.add(found, false);
    }

    fn add(&mut self, found: Found<'_>, is_of_first: bool) {
        let mark = |value: &str| Mark { value: value.to_owned(), is_of_first };
        self.etag = self.etag.take().or_else(|| found.etag.map(mark));
        self.modified = self.modified.take().or_else(|| found.modified.map(mark));
        let Some(known) = &mut self.digests else { return };
        for offered in found.digests {
            if known.iter().all(|known| known.algorithm != offered.algorithm) {
                known.push(offered);
            }
        }
    }
}

impl<'h> Found<'h> {
    /// What `head` says. What it contradicts itself in counts as not said, be it a date or a
    /// digest, and so does an empty field; several different entity tags are
    /// [`ErrorKind::Protocol`].
    pub(super) fn of(head: &'h Head) -> Result<Self> {
        let is_there = |text: &&str| !text.is_empty();
        let etag = head.single("ETag")?.filter(is_there);
        let modified = head.single("Last-Modified").ok().flatten().filter(is_there);
        let mut digests = whole_file_digests(head).digests;
        let said = digests.clone();
        let contradicts = |one: &Offered, other: &Offered| {
            one.algorithm == other.algorithm && one.value != other.value
        };
        digests.retain(|one| !said.iter().any(|other| contradicts(one, other)));
        Ok(Self { etag, modified, digests })
    }
}

/// An entity tag without its mark of weakness (RFC 9110 section 8.8.3).
fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

/// The same text, or the same time in another of the three forms.
fn is_same_date(one: &str, other: &str) -> bool {
    one == other || http_date(one).zip(http_date(other)).is_some_and(|(one, other)| one == other)
}

/// What proves that the file is another one by now.
pub(super) fn changed(context: impl Into<String>) -> Error {
    Error::new(ErrorKind::Changed, context)
}
