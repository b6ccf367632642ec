//! What the first answer says about file and server.
//!
//! Owns discovery. Must not know connections or retries: it judges one head. Which parts belong
//! together is `combine`'s.

use super::body::content_length;
use super::combine::{
    Known, check_identity, out_of_range, part, precondition_failed, unsatisfied_total,
};
use super::head::Head;
use super::status::status_error;
use super::validator::Validator;
use crate::base::{Result, Span};

/// What the first answer says about file and server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Discovery {
    /// 206: the server serves ranges.
    Ranged {
        /// The file's size, and what later answers are held against.
        known: Known,
        /// What the body of this answer holds: starts where asked, ends there or earlier.
        body: Span,
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
    /// Ranges are refused, or do not tell the size: 400, 403, 416 or 501, which a request without
    /// `Range` may not get, or 206 with an unknown total. The file can be had by asking again
    /// without `Range`; if that gives this answer too, it is meant.
    AskWhole,
}

/// Judges the first answer, asked for `asked`: from byte 0 on, or, where an earlier run has left a
/// part of the file, from the first byte that is missing.
///
/// # Errors
/// `RangeMismatch` for a partial answer that is not where asked or invalid; `ContentEncoding` for a
/// content coding; `Changed` for 412, and for 416 with a size below what an earlier run knew of;
/// `Status` for every other status. Redirects are [`follow`](super::follow)'s and come first.
/// Whether the validator is the one an earlier run saw, the caller compares: [`Validator::strong`].
pub fn discover(head: &Head, asked: Span) -> Result<Discovery> {
    assert!(!asked.is_empty(), "a range names at least one byte");
    match head.status() {
        206 => match part(head, asked)? {
            (body, Some(total)) => Ok(Discovery::Ranged { known: Known::of(head, total)?, body }),
            (_, None) => Ok(Discovery::AskWhole),
        },
        200 => {
            check_identity(head)?;
            let total = content_length(head)?;
            let validator = Validator::of(head)?;
            Ok(Discovery::Whole { total, validator })
        }
        412 => Err(precondition_failed()),
        // RFC 9110 section 14.1.2: a range that starts inside the file is satisfiable. So a total
        // beyond the start contradicts the status: all ranges are refused. Without a total nobody
        // knows, and the whole file tells.
        416 => match unsatisfied_total(head) {
            Some(0) if asked.start() == 0 => {
                Ok(Discovery::Empty { validator: Validator::of(head)? })
            }
            Some(total) if total <= asked.start() => Err(out_of_range(asked)),
            Some(_) | None => Ok(Discovery::AskWhole),
        },
        // Some servers and firewalls in front of them refuse every range so.
        400 | 403 | 501 => Ok(Discovery::AskWhole),
        _ => Err(status_error(head)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ErrorKind;
    use crate::http::head::tests::head;

    type Fields = Vec<(&'static str, &'static str)>;

    #[test]
    fn discovery_table() {
        let v1 = Validator::StrongEtag("\"v1\"".to_owned());
        let known = |total, tag| Known::of(&head(206, &[("ETag", tag)]), total).unwrap();
        let first = Span::new(0, 100);
        let cases: &[(u16, Fields, Discovery)] = &[
            (
                206,
                vec![("Content-Range", "bytes 0-99/1000"), ("ETag", "\"v1\"")],
                Discovery::Ranged { known: known(1000, "\"v1\""), body: first },
            ),
            (
                206,
                vec![
                    ("Content-Range", "bytes 0-9/10"),
                    ("ETag", "W/\"v1\""),
                    ("Content-Length", "10"),
                ],
                Discovery::Ranged { known: known(10, "W/\"v1\""), body: Span::new(0, 10) },
            ),
            (206, vec![("Content-Range", "bytes 0-99/*")], Discovery::AskWhole),
            (
                200,
                vec![("Content-Length", "1000"), ("ETag", "\"v1\"")],
                Discovery::Whole { total: Some(1000), validator: v1 },
            ),
            (
                200,
                vec![("Content-Length", "0")],
                Discovery::Whole { total: Some(0), validator: Validator::None },
            ),
            (
                200,
                vec![("Transfer-Encoding", "chunked")],
                Discovery::Whole { total: None, validator: Validator::None },
            ),
            (
                416,
                vec![("Content-Range", "bytes */0"), ("Content-Length", "197")],
                Discovery::Empty { validator: Validator::None },
            ),
            (416, vec![], Discovery::AskWhole),
            (416, vec![("Content-Range", "bytes */*")], Discovery::AskWhole),
            (416, vec![("Content-Range", "bytes */1000")], Discovery::AskWhole),
            (400, vec![], Discovery::AskWhole),
            (403, vec![], Discovery::AskWhole),
            (501, vec![], Discovery::AskWhole),
        ];
        for (status, fields, expected) in cases {
            let found = discover(&head(*status, fields), first).unwrap();
            assert_eq!(found, *expected, "{status} {fields:?}");
        }
    }

    #[test]
    fn what_cannot_be_discovered_is_an_error() {
        use ErrorKind::{Changed, ContentEncoding, RangeMismatch, Status};
        let cases: &[(u16, u64, Fields, ErrorKind)] = &[
            (206, 0, vec![], RangeMismatch),
            (206, 0, vec![("Content-Range", "bytes 1-99/1000")], RangeMismatch),
            (206, 0, vec![("Content-Range", "bytes 0-100/1000")], RangeMismatch),
            (206, 0, vec![("Content-Range", "bytes */1000")], RangeMismatch),
            (206, 0, vec![("Content-Type", "multipart/byteranges")], RangeMismatch),
            (
                206,
                0,
                vec![("Content-Range", "bytes 0-9/10"), ("Content-Encoding", "br")],
                ContentEncoding,
            ),
            (200, 0, vec![("Content-Encoding", "gzip")], ContentEncoding),
            (401, 0, vec![], Status(401)),
            (404, 0, vec![], Status(404)),
            (410, 0, vec![], Status(410)),
            (500, 0, vec![], Status(500)),
            (412, 0, vec![], Changed),
            (204, 0, vec![], Status(204)),
        ];
        for (status, start, fields, kind) in cases {
            let error = discover(&head(*status, fields), Span::new(*start, 100)).unwrap_err();
            assert_eq!(error.kind(), *kind, "{status} {fields:?}: {error}");
        }
    }

    #[test]
    fn a_resumed_file_asks_for_its_first_missing_bytes_rfc_9110_sections_14_1_2_and_15_5_17() {
        use ErrorKind::{Changed, RangeMismatch, Status};
        let asked = Span::new(4096, 8192);
        let tag = ("ETag", "\"v1\"");
        let v1 = Validator::StrongEtag(tag.1.to_owned());
        let found = |status, fields: &[_]| discover(&head(status, fields), asked);

        let ranged = found(206, &[tag, ("Content-Range", "bytes 4096-8191/9000")]);
        let known = Known::of(&head(206, &[tag]), 9000).unwrap();
        assert_eq!(known.validator, v1);
        assert_eq!(ranged.unwrap(), Discovery::Ranged { known, body: asked });
        let whole = found(200, &[tag, ("Content-Length", "9000")]);
        assert_eq!(whole.unwrap(), Discovery::Whole { total: Some(9000), validator: v1 });

        let cases: &[(u16, Fields, ErrorKind)] = &[
            (206, vec![("Content-Range", "bytes 0-4095/9000")], RangeMismatch),
            (206, vec![("Content-Range", "bytes 4096-8192/9000")], RangeMismatch),
            (412, vec![], Changed),
            (416, vec![("Content-Range", "bytes */0")], Changed),
            (416, vec![("Content-Range", "bytes */4096")], Changed),
            (404, vec![], Status(404)),
        ];
        for (status, fields, kind) in cases {
            let error = found(*status, fields).unwrap_err();
            assert_eq!(error.kind(), *kind, "{status} {fields:?}: {error}");
        }
        // Whether the file is shorter by now, or ranges are refused, the whole of it tells.
        for fields in [&[][..], &[("Content-Range", "bytes */4097")]] {
            assert_eq!(found(416, fields).unwrap(), Discovery::AskWhole, "{fields:?}");
        }
    }
}
