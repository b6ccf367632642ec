//! What an answer means for the file, decided before one of its body bytes counts.
//!
//! Owns the checks of RFC 9110 sections 14.4, 15.3.7 and 15.5.17. Must not know connections or
//! retries: it judges one head.

use super::auth::challenge;
use super::body::content_length;
use super::head::{Head, quoted};
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

/// What the first answer says about file and server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Discovery {
    /// 206: the server serves ranges.
    Ranged {
        /// The file's bytes.
        total: u64,
        /// What the body of this answer holds: starts where asked, ends there or earlier.
        body: Span,
        /// What later answers have to repeat.
        validator: Validator,
    },
    /// 200: the whole file from byte 0 on in one stream, whatever was asked.
    Whole {
        /// The file's bytes, if the server says so.
        total: Option<u64>,
        /// What would identify the version.
        validator: Validator,
    },
    /// 416 with `bytes */0`: the file has no bytes. What body there is, is an error page.
    Empty {
        /// What identifies the version; a 416 seldom has one.
        validator: Validator,
    },
    /// Ranges do not tell the size: 206 with an unknown total, or 416 without any. The file can
    /// be had by asking again without `Range`; if that gives this answer too, the server is
    /// broken.
    AskWhole,
}

/// Judges the first answer, asked for `asked`.
///
/// Errors: a partial answer that is not where asked or invalid is [`ErrorKind::RangeMismatch`],
/// a content coding [`ErrorKind::ContentEncoding`], every other status [`ErrorKind::Status`].
/// Redirects are [`follow`](super::follow)'s and come first.
pub fn discover(head: &Head, asked: Span) -> Result<Discovery> {
    assert!(!asked.is_empty(), "a range names at least one byte");
    match head.status() {
        206 => match partial(head, asked)? {
            (body, Some(total)) => {
                Ok(Discovery::Ranged { total, body, validator: Validator::of(head)? })
            }
            (_, None) => Ok(Discovery::AskWhole),
        },
        200 => {
            check_identity(head)?;
            let (total, validator) = (content_length(head)?, Validator::of(head)?);
            Ok(Discovery::Whole { total, validator })
        }
        416 => match unsatisfied_total(head) {
            Some(0) => Ok(Discovery::Empty { validator: Validator::of(head)? }),
            // A range from byte 0 on fits every file that has a byte (RFC 9110 section 14.1.2).
            None if asked.start() == 0 => Ok(Discovery::AskWhole),
            Some(_) | None => Err(status_error(head)),
        },
        _ => Err(status_error(head)),
    }
}

/// Judges every later answer, asked for `asked` of the file `known`. Gives the span its body holds:
/// it starts where asked and may end earlier, which RFC 9110 section 15.3.7 allows.
///
/// Errors: another size or validator, 412, and 416 for that reason are [`ErrorKind::Changed`]; an
/// answer that does not fit the question is [`ErrorKind::RangeMismatch`]; a content coding is
/// [`ErrorKind::ContentEncoding`]; every other status [`ErrorKind::Status`].
pub fn check_partial(head: &Head, asked: Span, known: &Known) -> Result<Span> {
    assert!(!asked.is_empty() && asked.end() <= known.total, "what is asked lies in the file");
    match head.status() {
        206 => {}
        200 => return Err(whole_instead(head, asked, known)),
        412 => return Err(changed("the file is another one by now (412)")),
        416 if unsatisfied_total(head) != Some(known.total) => {
            return Err(changed(format!("the file no longer has the bytes {asked} (416)")));
        }
        416 => return Err(mismatch(format!("the server denies the bytes {asked} it has (416)"))),
        _ => return Err(status_error(head)),
    }
    let (body, total) = partial(head, asked)?;
    match total {
        Some(total) if total == known.total => {}
        Some(total) => {
            let before = known.total;
            return Err(changed(format!("the file had {before} bytes and now has {total}")));
        }
        None => return Err(mismatch("the partial answer no longer names the file's size")),
    }
    check_validator(head, &known.validator)?;
    Ok(body)
}

/// The error of an answer whose status is no data: status, reason phrase, and for 401 the scheme
/// asked for.
pub fn status_error(head: &Head) -> Error {
    let code = head.status();
    let mut text = format!("the server answered {code}");
    if !head.reason().is_empty() {
        text = format!("{text} {}", quoted(head.reason()));
    }
    let scheme = if code == 401 { challenge(head) } else { None };
    if let Some(scheme) = scheme {
        text = format!("{text}, asking for {scheme} authentication");
    }
    Error::new(ErrorKind::Status(code), text)
}

/// What every 206 has to be, first or not: one part, not coded, with a valid Content-Range that
/// starts where asked, ends inside, and agrees with Content-Length.
fn partial(head: &Head, asked: Span) -> Result<(Span, Option<u64>)> {
    let kind = head.get("Content-Type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim_end();
    if kind.eq_ignore_ascii_case("multipart/byteranges") {
        // RFC 9110 section 15.3.7.2: not for a request of a single range.
        return Err(mismatch("the server answered one range with a multipart body"));
    }
    check_identity(head)?;
    let value = head.single("Content-Range")?;
    let value = value.ok_or_else(|| mismatch("the partial answer has no Content-Range"))?;
    let ContentRange::Satisfied { span, total } = ContentRange::parse(value)? else {
        return Err(mismatch("the partial answer says that it holds no range"));
    };
    if span.start() != asked.start() || span.end() > asked.end() {
        return Err(mismatch(format!("the bytes {asked} were asked for, {span} were sent")));
    }
    match content_length(head)? {
        Some(bytes) if bytes != span.len() => Err(mismatch(format!(
            "the answer has the bytes {span}, but its Content-Length is {bytes}"
        ))),
        Some(_) | None => Ok((span, total)),
    }
}

/// RFC 9110 section 8.4: coded bytes are not the file's. `identity` (section 12.5.3) codes nothing.
fn check_identity(head: &Head) -> Result<()> {
    match head.list("Content-Encoding").find(|coding| !coding.eq_ignore_ascii_case("identity")) {
        None => Ok(()),
        Some(coding) => {
            let shown = quoted(coding);
            let text = format!("the server sent the file with the content coding '{shown}'");
            Err(Error::new(ErrorKind::ContentEncoding, text))
        }
    }
}

/// Parts may be combined only if they share the same strong validator (RFC 9110 section 15.3.7.3).
///
/// A 206 MUST repeat the ETag a 200 would have had (section 15.3.7), so one that lacks it comes
/// from elsewhere and is refused. Last-Modified may rightly be missing (same section, after
/// If-Range): then the equal total has to do.
fn check_validator(head: &Head, known: &Validator) -> Result<()> {
    let differs = |name: &str| changed(format!("the file's {name} is another one by now"));
    match known {
        Validator::StrongEtag(tag) => match head.single("ETag")? {
            Some(found) if found == tag => Ok(()),
            Some(_) => Err(differs("ETag")),
            None => Err(mismatch("the partial answer lacks the ETag the first one had")),
        },
        Validator::LastModified(date) => match head.single("Last-Modified")? {
            Some(found) if found != date => Err(differs("Last-Modified")),
            Some(_) | None => Ok(()),
        },
        Validator::None => Ok(()),
    }
}

/// A 200 where a part was asked for: the file changed, or the server has stopped serving ranges
/// (RFC 9110 section 14.2 lets it).
fn whole_instead(head: &Head, asked: Span, known: &Known) -> Error {
    let judged = check_validator(head, &known.validator).and_then(|()| content_length(head));
    match judged {
        Err(error) if error.kind() == ErrorKind::Changed => error,
        Ok(Some(total)) if total != known.total => {
            let before = known.total;
            changed(format!("the file had {before} bytes and now has {total}"))
        }
        Ok(_) | Err(_) => {
            mismatch(format!("the bytes {asked} were asked for, the whole file was sent (200)"))
        }
    }
}

/// The total a 416 names (RFC 9110 section 15.5.17), if it names one. Nothing is combined with a
/// 416, so an invalid field here is as good as none.
fn unsatisfied_total(head: &Head) -> Option<u64> {
    match head.get("Content-Range").map(ContentRange::parse) {
        Some(Ok(ContentRange::Unsatisfied { total })) => Some(total),
        Some(Ok(ContentRange::Satisfied { .. }) | Err(_)) | None => None,
    }
}

fn mismatch(context: impl Into<String>) -> Error {
    Error::new(ErrorKind::RangeMismatch, context)
}

fn changed(context: impl Into<String>) -> Error {
    Error::new(ErrorKind::Changed, context)
}

#[cfg(test)]
mod tests;
