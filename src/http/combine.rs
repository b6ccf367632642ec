//! Which partial answers are parts of one file, decided before one of their body bytes counts.
//!
//! Owns every rule of RFC 9110 about combining parts; each check quotes the section it obeys. Must
//! not know connections or retries: it judges one head at a time.
//!
//! | section | rule | here |
//! |---|---|---|
//! | 8.8.3.2 | strong and weak comparison of entity tags | `check_validator` |
//! | 13.1.1 | 412: the file is not the one `If-Match` names | [`check_partial`] |
//! | 13.1.5 | 200 after `If-Range`: the file is another one | `whole_instead` |
//! | 14.2 | 200: a server may ignore `Range` | `whole_instead` |
//! | 14.4 | an invalid `Content-Range` is never combined | `part` |
//! | 15.3.7 | a part says which part it is, and which version | `part`, `check_validator` |
//! | 15.3.7.2 | no multipart answer to a single range | `part` |
//! | 15.3.7.3 | parts share one strong validator | [`check_partial`] |
//! | 15.5.17 | 416: the range lies outside the file | [`check_partial`] |
//!
//! What is asked follows two more of them in [`Request`](super::Request): only strong validators
//! are sent, and `If-Range` only beside a `Range` (13.1.1, 13.1.5).

use super::answer::status_error;
use super::body::content_length;
use super::head::{Head, content_coding, quoted};
use super::range::ContentRange;
use super::validator::Validator;
use crate::base::{Error, ErrorKind, Result, Span};

/// What the first answer taught about the file, and every later one has to repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The file's bytes.
    pub total: u64,
    /// What identifies the version.
    pub validator: Validator,
}

/// Judges every later answer, asked for `asked` of the file `known`. Gives the span its body holds:
/// it starts where asked and may end earlier, which RFC 9110 section 15.3.7 allows.
///
/// Errors: another size or validator, 412, and 416 for that reason are [`ErrorKind::Changed`]; the
/// whole of what may be the same file is [`ErrorKind::RangesIgnored`]; any other answer that does
/// not fit the question is [`ErrorKind::RangeMismatch`]; a content coding is
/// [`ErrorKind::ContentEncoding`]; every other status [`ErrorKind::Status`].
pub fn check_partial(head: &Head, asked: Span, known: &Known) -> Result<Span> {
    assert!(!asked.is_empty() && asked.end() <= known.total, "what is asked lies in the file");
    match head.status() {
        206 => {}
        200 => return Err(whole_instead(head, asked, known)),
        412 => return Err(precondition_failed()),
        // RFC 9110 section 15.5.17: none of the range lies in the file; Content-Range tells how
        // long the file is by now.
        416 if unsatisfied_total(head) == Some(known.total) => return Err(denied(asked)),
        416 => return Err(out_of_range(asked)),
        _ => return Err(status_error(head)),
    }
    let (body, total) = part(head, asked)?;
    // RFC 9110 section 15.3.7.3: parts of different versions must not meet, and versions of
    // different sizes are different. Without a strong validator the size is all there is.
    match total {
        Some(total) if total == known.total => {}
        Some(total) => return Err(resized(known.total, total)),
        None => return Err(mismatch("the partial answer no longer names the file's size")),
    }
    check_validator(head, &known.validator)?;
    Ok(body)
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

/// RFC 9110 section 15.3.7.3: parts may be combined "if they share the same strong validator".
///
/// A 206 MUST repeat the ETag a 200 would have had (section 15.3.7), so one that lacks a strong tag
/// comes from elsewhere and is refused. Last-Modified may rightly be missing (same section, after
/// If-Range), and a weak tag would prove nothing: then the equal total has to do.
fn check_validator(head: &Head, known: &Validator) -> Result<()> {
    let differs = |name: &str| changed(format!("the file's {name} is another one by now"));
    match known {
        // RFC 9110 section 8.8.3.2, strong comparison: neither is weak, and all characters agree.
        Validator::StrongEtag(tag) => match head.single("ETag")? {
            Some(found) if found == tag => Ok(()),
            Some(_) => Err(differs("ETag")),
            None => Err(mismatch("the partial answer lacks the ETag the first one had")),
        },
        // RFC 9110 section 8.8.3.2, weak comparison: the opaque tags agree, `W/` or not. What
        // differs even so is a different version.
        Validator::WeakEtag(tag) => match head.single("ETag")? {
            Some(found) if opaque(found) != opaque(tag) => Err(differs("ETag")),
            Some(_) | None => Ok(()),
        },
        // RFC 9110 section 8.8.2.2: a strong date names one version; another date, another one.
        Validator::LastModified(date) => match head.single("Last-Modified")? {
            Some(found) if found != date => Err(differs("Last-Modified")),
            Some(_) | None => Ok(()),
        },
        Validator::None => Ok(()),
    }
}

/// A 200 where a part was asked for: the file changed (RFC 9110 section 13.1.5: If-Range turns the
/// request into one for the whole file), or the server ignores ranges by now, which section 14.2
/// lets it do at any time. Validator and size tell which, as far as they are there.
fn whole_instead(head: &Head, asked: Span, known: &Known) -> Error {
    // A coded answer has another tag and length for that reason alone (section 8.8.3.3).
    if let Err(coded) = check_identity(head) {
        return coded;
    }
    let judged = check_validator(head, &known.validator).and_then(|()| content_length(head));
    match judged {
        Err(error) if error.kind() == ErrorKind::Changed => error,
        Ok(Some(total)) if total != known.total => resized(known.total, total),
        Ok(_) | Err(_) => Error::new(
            ErrorKind::RangesIgnored,
            format!("the bytes {asked} were asked for, the whole file was sent (200)"),
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
pub(super) fn denied(asked: Span) -> Error {
    mismatch(format!("the server denies the bytes {asked} it has (416)"))
}

/// An entity tag without its mark of weakness (RFC 9110 section 8.8.3).
fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

fn resized(before: u64, now: u64) -> Error {
    changed(format!("the file had {before} bytes and now has {now}"))
}

fn mismatch(context: impl Into<String>) -> Error {
    Error::new(ErrorKind::RangeMismatch, context)
}

fn changed(context: impl Into<String>) -> Error {
    Error::new(ErrorKind::Changed, context)
}

#[cfg(test)]
mod tests;
