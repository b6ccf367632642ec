//! Which partial answers are parts of one file, decided before one of their body bytes counts.
//!
//! Owns every rule of RFC 9110 about combining parts; each check quotes the section it obeys. Must
//! not know connections or retries: it judges one head at a time.
//!
//! | section | rule | here |
//! |---|---|---|
//! | 8.8.3.2 | strong and weak comparison of entity tags | [`Known`] |
//! | 13.1.1 | 412: the file is not the one `If-Match` names | [`check_partial`] |
//! | 13.1.5 | 200 after `If-Range`: the file is another one | `whole_instead` |
//! | 14.2 | 200: a server may ignore `Range` | `whole_instead` |
//! | 14.4 | an invalid `Content-Range` is never combined | `part` |
//! | 15.3.7 | a part says which part it is, and which version | `part`, [`Known`] |
//! | 15.3.7.2 | no multipart answer to a single range | `part` |
//! | 15.3.7.3 | parts share one strong validator | [`check_partial`] |
//! | 15.5.17 | 416: the range lies outside the file | [`check_partial`] |
//!
//! What is asked follows two more of them in [`Request`](super::Request): only strong validators
//! are sent, and `If-Range` only beside a `Range` (13.1.1, 13.1.5).
//!
//! Which version a part is of, by what the first answer said and what the part says. All fields of
//! the first answer count, not only the strongest: equal weak ones prove nothing, but different
//! ones prove a change. `-` is no such field.
//!
//! | first answer | later answer | judgement |
//! |---|---|---|
//! | a size | another size | changed |
//! | `ETag: "a"` | `"a"` | proved |
//! | `ETag: "a"` | `"b"`, `W/"a"`, `a` | changed |
//! | `ETag: "a"` | - | asked again with `If-Range`: 206 is proved, 200 is changed |
//! | strong date, no entity tag | the same date | proved |
//! | strong date, no entity tag | another date | changed |
//! | strong date, no entity tag | -, or only an entity tag | asked again with `If-Range` |
//! | `ETag: W/"a"` | `W/"a"`, `"a"` | fits |
//! | `ETag: W/"a"` | `W/"b"`, `"b"`, `a` | changed |
//! | `ETag: a`, which is no entity tag | `a` | fits |
//! | `ETag: a` | `b`, `"a"` | changed |
//! | weak date | the same | fits |
//! | weak date | another | changed |
//! | weak tag, text that is no tag, weak date | -, and nothing strong is proved | changed |
//! | no tag, no date | one | fits, and is remembered: from then on another one is changed |
//! | a digest of the file | another of that algorithm | changed |
//! | a digest of the file | -, or one of another algorithm, which is remembered | as without |
//!
//! A field beside one that is proved may be missing, but not differ. What an answer brings that the
//! first one lacked need not be repeated: who did not say it once may not say it again.

use super::body::content_length;
use super::fingerprint::{Fingerprint, Found, Proof, changed};
use super::head::{Head, content_coding, quoted};
use super::range::ContentRange;
use super::status::status_error;
use super::validator::Validator;
use crate::base::{Error, ErrorKind, Result, Span};

/// What the first answer taught about the file, and every later one is held against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The file's bytes.
    pub total: u64,
    /// The strongest of what identifies the version: what may be sent, and kept for a later run.
    pub validator: Validator,
    /// All that answers have said of the version.
    fingerprint: Fingerprint,
    /// Indicates whether an answer has lacked the strong validator, so that later requests ask for
    /// its proof beforehand.
    is_proof_needed: bool,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// The bytes of the file.
    pub span: Span,
    /// Indicates whether `If-Range` was sent along, so that a 206 vouches for the version.
    pub is_conditional: bool,
}

/// What a partial answer is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Its body holds these bytes of the file.
    Usable(Span),
    /// It is the part that was asked for, but lacks the strong validator that the first answer had:
    /// ask again with [`Known::condition`].
    Unproved,
}

impl Known {
    /// What the first answer, a 206 or a 200, says of a file of `total` bytes. Several different
    /// validators in one answer are [`ErrorKind::Protocol`].
    pub fn of(head: &Head, total: u64) -> Result<Self> {
        let validator = Validator::of(head)?;
        let fingerprint = Fingerprint::of(head)?;
        Ok(Self { total, validator, fingerprint, is_proof_needed: false })
    }

    /// The same, blind for digests on answers, as for a user who distrusts the server's.
    pub fn without_digests(mut self) -> Self {
        self.fingerprint.digests = None;
        self
    }

    /// What requests are to send as `If-Range`: the strong validator once an answer has lacked it,
    /// else [`Validator::None`]. Not from the start, as servers may know ranges and not `If-Range`.
    pub fn condition(&self) -> Validator {
        if self.is_proof_needed { self.validator.clone() } else { Validator::None }
    }
}

/// Judges every later answer. Its body starts where asked and may end earlier, which RFC 9110
/// section 15.3.7 allows. What `known` lacks and the answer has, is remembered.
///
/// Errors: another size or version, 412, and 416 for that reason are [`ErrorKind::Changed`]; the
/// whole of what may be the same file is [`ErrorKind::RangesIgnored`]; any other answer that does
/// not fit the question is [`ErrorKind::RangeMismatch`]; a content coding is
/// [`ErrorKind::ContentEncoding`]; every other status [`ErrorKind::Status`].
pub fn check_partial(head: &Head, asked: Asked, known: &mut Known) -> Result<Part> {
    let span = asked.span;
    assert!(!span.is_empty() && span.end() <= known.total, "what is asked lies in the file");
    match head.status() {
        206 => {}
        200 => return Err(whole_instead(head, asked, known)),
        412 => return Err(precondition_failed()),
        // RFC 9110 section 15.5.17: none of the range lies in the file; Content-Range tells how
        // long the file is by now.
        416 if unsatisfied_total(head) == Some(known.total) => return Err(denied(span)),
        416 => return Err(out_of_range(span)),
        _ => return Err(status_error(head)),
    }
    let (body, total) = part(head, span)?;
    // RFC 9110 section 15.3.7.3: parts of different versions must not meet, and versions of
    // different sizes are different. Without a strong validator the size is all there is.
    match total {
        Some(total) if total == known.total => {}
        Some(total) => return Err(resized(known.total, total)),
        None => return Err(mismatch("the partial answer no longer names the file's size")),
    }
    let found = Found::of(head)?;
    known.fingerprint.compare(&found, &known.validator)?;
    // RFC 9110 section 13.1.5: after If-Range a 206 is of the version that was named. It may lack
    // Last-Modified then (section 15.3.7), and nothing else tells more.
    if !asked.is_conditional {
        match known.fingerprint.proof(&found, &known.validator) {
            Proof::Enough => {}
            Proof::AskAgain => {
                known.is_proof_needed = true;
                return Ok(Part::Unproved);
            }
            Proof::Missing(name) => return Err(vanished(name)),
        }
    }
    known.fingerprint.remember(found);
    Ok(Part::Usable(body))
}

/// What every 206 has to be, first or not: one part, not coded, with a valid Content-Range that
/// starts where asked, ends inside, and agrees with Content-Length. Gives the part and the total.
pub(super) fn part(head: &Head, asked: Span) -> Result<(Span, Option<u64>)> {
    let kind = head.get("Content-Type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim_end();
    if kind.eq_ignore_ascii_case("multipart/byteranges") {
        // RFC 9110 section 15.3.7.2: "A server MUST NOT generate a multipart response to a request
        // for a single range".
        return Err(mismatch("the server answered one range with a multipart body"));
    }
    check_identity(head)?;
    // RFC 9110 section 15.3.7: "A client MUST inspect a 206 response's Content-Type and
    // Content-Range field(s) to determine what parts are enclosed"; section 15.3.7.1 has the server
    // send the latter.
    let value = head.single("Content-Range")?;
    let value = value.ok_or_else(|| mismatch("the partial answer has no Content-Range"))?;
    // RFC 9110 section 14.4: who receives an invalid Content-Range, or one of an unknown unit,
    // "MUST NOT attempt to recombine the received content". What is invalid, `range` says.
    let ContentRange::Satisfied { span, total } = ContentRange::parse(value)? else {
        return Err(mismatch("the partial answer says that it holds no range"));
    };
    // RFC 9110 section 15.3.7 lets a server send less than was asked for. Bytes that were not asked
    // for have no place, and a late start would leave a hole that looks like an end.
    if span.start() != asked.start() || span.end() > asked.end() {
        return Err(mismatch(format!("the bytes {asked} were asked for, {span} were sent")));
    }
    // RFC 9110 section 15.3.7: Content-Length counts the part, not the file.
    match content_length(head)? {
        Some(bytes) if bytes != span.len() => Err(mismatch(format!(
            "the answer has the bytes {span}, but its Content-Length is {bytes}"
        ))),
        Some(_) | None => Ok((span, total)),
    }
}

/// RFC 9110 section 8.4: coded bytes are not the file's, and ranges of them (section 14.1.2) are
/// not the file's ranges.
pub(super) fn check_identity(head: &Head) -> Result<()> {
    match content_coding(head) {
        None => Ok(()),
        Some(coding) => {
            let shown = quoted(coding);
            let text = format!("the server sent the file with the content coding '{shown}'");
            Err(Error::new(ErrorKind::ContentEncoding, text))
        }
    }
}

/// A 200 where a part was asked for: the file changed (RFC 9110 section 13.1.5: If-Range turns the
/// request into one for the whole file), or the server ignores ranges by now, which section 14.2
/// lets it do at any time. Validators, digests and size tell which, as far as they are there.
fn whole_instead(head: &Head, asked: Asked, known: &Known) -> Error {
    // A coded answer has another tag and length for that reason alone (section 8.8.3.3).
    if let Err(coded) = check_identity(head) {
        return coded;
    }
    let is_proved = Found::of(head).and_then(|found| {
        known.fingerprint.compare(&found, &known.validator)?;
        Ok(known.fingerprint.proof(&found, &known.validator) == Proof::Enough)
    });
    match (&is_proved, content_length(head)) {
        (Err(error), _) if error.kind() == ErrorKind::Changed => error.clone(),
        (_, Ok(Some(total))) if total != known.total => resized(known.total, total),
        (Ok(false), _) if asked.is_conditional => {
            changed("the file is another one by now (200 after If-Range)")
        }
        (Ok(_) | Err(_), Ok(_) | Err(_)) => Error::new(
            ErrorKind::RangesIgnored,
            format!("the bytes {} were asked for, the whole file was sent (200)", asked.span),
        ),
    }
}

/// The total a 416 names (RFC 9110 section 15.5.17), if it names one. Nothing is combined with a
/// 416, so an invalid field here is as good as none.
pub(super) fn unsatisfied_total(head: &Head) -> Option<u64> {
    match head.get("Content-Range").map(ContentRange::parse) {
        Some(Ok(ContentRange::Unsatisfied { total })) => Some(total),
        Some(Ok(ContentRange::Satisfied { .. }) | Err(_)) | None => None,
    }
}

/// RFC 9110 section 13.1.1: 412, the file's entity tag is not the one `If-Match` names.
pub(super) fn precondition_failed() -> Error {
    changed("the file is another one by now (412)")
}

/// 416 for bytes that the file had.
pub(super) fn out_of_range(asked: Span) -> Error {
    changed(format!("the file no longer has the bytes {asked} (416)"))
}

/// 416 for bytes that the file has, by the server's own words.
fn denied(asked: Span) -> Error {
    mismatch(format!("the server denies the bytes {asked} it has (416)"))
}

fn resized(before: u64, now: u64) -> Error {
    changed(format!("the file had {before} bytes and now has {now}"))
}

fn vanished(name: &str) -> Error {
    changed(format!("the answer lacks the {name} the first one had: it may be of another version"))
}

fn mismatch(context: impl Into<String>) -> Error {
    Error::new(ErrorKind::RangeMismatch, context)
}

#[cfg(test)]
mod tests;
