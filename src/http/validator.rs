//! Validators: what ties several answers to one and the same file (RFC 9110 section 8.8).
//!
//! Owns what counts as strong. Must not know what happens when a validator differs: that is
//! `combine`'s.

use super::date::http_date;
use super::head::Head;
use crate::base::Result;
use std::time::Duration;

/// The strongest proof of identity an answer gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Validator {
    /// A strong entity tag with its quotes, as sent (RFC 9110 section 8.8.3).
    StrongEtag(String),
    /// A modification date that counts as strong, as sent (section 8.8.2.2).
    LastModified(String),
    /// A weak entity tag as sent, `W/` and all. Different ones tell versions apart; equal ones
    /// prove nothing (section 8.8.1), as a weak tag may stay when the bytes change.
    WeakEtag(String),
    /// Nothing that could prove two answers to be parts of one file.
    None,
}

impl Validator {
    /// The validator of an answer.
    ///
    /// A weak entity tag keeps the date out, too: a date may stand in only where there is no entity
    /// tag (RFC 9110 section 13.1.5). A tag that breaks the grammar, such as one without quotes, is
    /// no entity tag. Several different ones are
    /// [`Protocol`](crate::base::ErrorKind::Protocol).
    pub fn of(head: &Head) -> Result<Self> {
        match head.single("ETag")? {
            Some(tag) if is_opaque_tag(tag) => return Ok(Validator::StrongEtag(tag.to_owned())),
            Some(tag) if tag.strip_prefix("W/").is_some_and(is_opaque_tag) => {
                return Ok(Validator::WeakEtag(tag.to_owned()));
            }
            Some(_) | None => {}
        }
        match head.single("Last-Modified")? {
            Some(date) if is_strong_date(date, head.get("Date")) => {
                Ok(Validator::LastModified(date.to_owned()))
            }
            Some(_) | None => Ok(Validator::None),
        }
    }

    /// One line of text that is equal for two answers exactly if their strong validators are, so
    /// that a later run can tell the same version (RFC 9110 section 8.8.3.2): `etag "abc"` or
    /// `modified Sun, 06 Nov 1994 08:49:37 GMT`. `None` if nothing proves a version.
    pub fn strong(&self) -> Option<String> {
        match self {
            Validator::StrongEtag(tag) => Some(format!("etag {tag}")),
            Validator::LastModified(date) => Some(format!("modified {date}")),
            Validator::WeakEtag(_) | Validator::None => None,
        }
    }
}

/// `opaque-tag` of RFC 9110 section 8.8.3, without obs-text: we send it back and compare it byte by
/// byte, and outside ASCII nobody agrees on the bytes.
fn is_opaque_tag(text: &str) -> bool {
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.is_some_and(|tag| tag.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"'))
}

/// Whether the file had rested long enough before the answer that its date names one version.
///
/// RFC 9110 section 8.8.2.2 asks for a second between `Last-Modified` and `Date`, and for a reason
/// to believe that one clock made both. A minute, as RFC 7232 section 2.2.2 asked, is that reason.
pub(super) fn is_strong_date(modified: &str, date: Option<&str>) -> bool {
    const REST_MIN: Duration = Duration::from_secs(60);
    let rested = http_date(modified)
        .zip(date.and_then(http_date))
        .and_then(|(modified, date)| date.duration_since(modified).ok());
    rested.is_some_and(|rested| rested >= REST_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ErrorKind;
    use crate::http::head::tests::head;

    const OLD: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn of(fields: &[(&str, &str)]) -> Validator {
        Validator::of(&head(200, fields)).unwrap()
    }

    #[test]
    fn entity_tags_rfc_9110_section_8_8_3() {
        for tag in ["\"xyzzy\"", "\"\"", "\"a,b;c'd\\\""] {
            assert_eq!(of(&[("ETag", tag)]), Validator::StrongEtag(tag.to_owned()));
        }
        for tag in ["W/\"xyzzy\"", "W/\"\""] {
            assert_eq!(of(&[("ETag", tag)]), Validator::WeakEtag(tag.to_owned()));
        }
        for tag in ["W/xyzzy", "W/\"", "xyzzy", "\"", "\"a\"b\"", "\"a b\"", "\"ä\"", "w/\"x\"", ""]
        {
            assert_eq!(of(&[("ETag", tag)]), Validator::None, "{tag}");
        }
    }

    #[test]
    fn dates_count_only_when_strong_rfc_9110_section_8_8_2_2() {
        let date = Validator::LastModified(OLD.to_owned());
        let with_date =
            |date: &str| of(&[("Last-Modified", OLD), ("Date", date), ("Content-Length", "1")]);
        assert_eq!(with_date("Sun, 06 Nov 1994 08:50:37 GMT"), date);
        assert_eq!(with_date("Sun, 06 Nov 1994 08:50:36 GMT"), Validator::None);
        assert_eq!(with_date("Sun, 06 Nov 1993 08:50:37 GMT"), Validator::None);
        assert_eq!(with_date("yesterday"), Validator::None);
        for obsolete in ["Sunday, 06-Nov-94 08:50:37 GMT", "Sun Nov  6 08:50:37 1994"] {
            assert_eq!(with_date(obsolete), date, "{obsolete}");
        }
        assert_eq!(of(&[("Last-Modified", OLD)]), Validator::None);
    }

    #[test]
    fn a_date_stands_in_only_without_an_entity_tag_rfc_9110_section_13_1_5() {
        let with_tag = |tag: &str| {
            of(&[("ETag", tag), ("Last-Modified", OLD), ("Date", "Sun, 06 Nov 2022 08:49:37 GMT")])
        };
        assert_eq!(with_tag("\"a\""), Validator::StrongEtag("\"a\"".to_owned()));
        assert_eq!(with_tag("W/\"a\""), Validator::WeakEtag("W/\"a\"".to_owned()));
        assert_eq!(with_tag("no-quotes"), Validator::LastModified(OLD.to_owned()));
    }

    #[test]
    fn texts_are_equal_only_for_equal_strong_validators_rfc_9110_section_8_8_3_2() {
        let old = [("Last-Modified", OLD), ("Date", "Sun, 06 Nov 2022 08:49:37 GMT")];
        assert_eq!(of(&[("ETag", "\"a\"")]).strong().as_deref(), Some("etag \"a\""));
        assert_eq!(of(&old).strong(), Some(format!("modified {OLD}")));
        assert_eq!(of(&[("ETag", "W/\"a\"")]).strong(), None);
        assert_eq!(of(&[]).strong(), None);
        // A tag that looks like a date is still a tag.
        let tag = Validator::StrongEtag(OLD.to_owned());
        assert_ne!(tag.strong(), Validator::LastModified(OLD.to_owned()).strong());
    }

    #[test]
    fn different_tags_in_one_answer_are_a_protocol_error() {
        let twice = head(200, &[("ETag", "\"a\""), ("ETag", "\"b\"")]);
        assert_eq!(Validator::of(&twice).unwrap_err().kind(), ErrorKind::Protocol);
    }
}
