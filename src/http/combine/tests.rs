//! Tests of the judgement on parts: tables in which each rule is broken alone, by section.

use super::*;
use crate::http::head::tests::head;

type Fields = Vec<(&'static str, &'static str)>;

fn asked() -> Span {
    Span::new(100, 150)
}

/// A faultless answer to `asked` of a file of 1000 bytes.
fn good() -> Fields {
    vec![
        ("Content-Type", "application/octet-stream"),
        ("Content-Range", "bytes 100-149/1000"),
        ("Content-Length", "50"),
        ("ETag", "\"v1\""),
    ]
}

/// The faultless answer with one field replaced, or left out for `None`.
fn with(name: &'static str, value: Option<&'static str>) -> Fields {
    let mut fields = good();
    fields.retain(|(known, _)| *known != name);
    fields.extend(value.map(|value| (name, value)));
    fields
}

/// What a first answer with these fields teaches of a file of 1000 bytes.
fn known_of(first: &[(&str, &str)]) -> Known {
    Known::of(&head(206, first), 1000).unwrap()
}

fn known() -> Known {
    known_of(&good())
}

/// Judges an answer to a request without `If-Range`, and gives what its body holds.
fn judge(head: &Head, span: Span, known: &Known) -> Result<Span> {
    match check_partial(head, Asked { span, is_conditional: false }, &mut known.clone())? {
        Part::Usable(body) => Ok(body),
        Part::Unproved => panic!("the answer proves nothing"),
    }
}

#[test]
fn a_faultless_answer_passes() {
    assert_eq!(judge(&head(206, &good()), asked(), &known()).unwrap(), asked());
}

fn refused(rules: &[(&str, Fields, ErrorKind)]) {
    for (name, fields, kind) in rules {
        let error = judge(&head(206, fields), asked(), &known()).expect_err(name);
        assert_eq!(error.kind(), *kind, "{name}: {error}");
    }
}

#[test]
fn the_content_range_is_valid_rfc_9110_section_14_4() {
    use ErrorKind::RangeMismatch;
    refused(&[
        ("no total", with("Content-Range", Some("bytes 100-149")), RangeMismatch),
        ("ends before it starts", with("Content-Range", Some("bytes 100-99/1000")), RangeMismatch),
        ("past its total", with("Content-Range", Some("bytes 100-149/149")), RangeMismatch),
        ("other unit", with("Content-Range", Some("items 100-149/1000")), RangeMismatch),
        ("unsatisfied", with("Content-Range", Some("bytes */1000")), RangeMismatch),
        (
            "two ranges in one",
            with("Content-Range", Some("bytes 100-9, 20-29/1000")),
            RangeMismatch,
        ),
    ]);
    let mut twice = good();
    twice.push(("Content-Range", "bytes 0-9/1000"));
    refused(&[("two different fields", twice, ErrorKind::Protocol)]);
}

#[test]
fn the_part_is_the_one_asked_for_rfc_9110_section_15_3_7() {
    use ErrorKind::{Protocol, RangeMismatch};
    refused(&[
        ("starts early", with("Content-Range", Some("bytes 99-148/1000")), RangeMismatch),
        ("starts late", with("Content-Range", Some("bytes 101-150/1000")), RangeMismatch),
        ("starts at 0", with("Content-Range", Some("bytes 0-49/1000")), RangeMismatch),
        ("no range (15.3.7.1)", with("Content-Range", None), RangeMismatch),
        ("body too long", with("Content-Length", Some("51")), RangeMismatch),
        ("body too short", with("Content-Length", Some("49")), RangeMismatch),
        ("length of the file", with("Content-Length", Some("1000")), RangeMismatch),
        ("length is none", with("Content-Length", Some("fifty")), Protocol),
    ]);
    let longer =
        [("Content-Range", "bytes 100-150/1000"), ("Content-Length", "51"), ("ETag", "\"v1\"")];
    let error = judge(&head(206, &longer), asked(), &known()).unwrap_err();
    assert_eq!(error.kind(), RangeMismatch, "longer than asked");
}

#[test]
fn one_range_has_no_multipart_answer_rfc_9110_section_15_3_7_2() {
    for kind in ["multipart/byteranges", "Multipart/Byteranges; boundary=x"] {
        refused(&[(kind, with("Content-Type", Some(kind)), ErrorKind::RangeMismatch)]);
    }
}

#[test]
fn coded_bytes_are_not_the_files_rfc_9110_section_8_4() {
    for coding in ["gzip", "identity, br", "x-unknown"] {
        let fields = with("Content-Encoding", Some(coding));
        refused(&[(coding, fields.clone(), ErrorKind::ContentEncoding)]);
        // A coded 200 has another tag and length for that reason alone (section 8.8.3.3).
        let error = judge(&head(200, &fields), asked(), &known()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ContentEncoding, "{coding}");
    }
}

#[test]
fn parts_share_size_and_strong_validator_rfc_9110_section_15_3_7_3() {
    use ErrorKind::{Changed, RangeMismatch};
    refused(&[
        ("unknown total", with("Content-Range", Some("bytes 100-149/*")), RangeMismatch),
        ("file grew", with("Content-Range", Some("bytes 100-149/1001")), Changed),
        ("file shrank", with("Content-Range", Some("bytes 100-149/150")), Changed),
        ("other tag", with("ETag", Some("\"v2\"")), Changed),
        ("tag turned weak (8.8.3.2)", with("ETag", Some("W/\"v1\"")), Changed),
    ]);
}

#[test]
fn weak_tags_can_differ_but_prove_nothing_rfc_9110_section_8_8_3_2() {
    let known = known_of(&[("ETag", "W/\"v1\"")]);
    let check = |tag| judge(&head(206, &with("ETag", tag)), asked(), &known);
    for same in ["W/\"v1\"", "\"v1\""] {
        assert!(check(Some(same)).is_ok(), "{same:?}");
    }
    for other in [Some("W/\"v2\""), Some("\"v2\""), Some("v1"), Some(""), None] {
        assert_eq!(check(other).unwrap_err().kind(), ErrorKind::Changed, "{other:?}");
    }
    // Where the tag does not tell, the size does.
    let grown = with("Content-Range", Some("bytes 100-149/1001"));
    let error = judge(&head(206, &grown), asked(), &known).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Changed);
}

#[test]
fn what_is_legal_passes() {
    let cases: &[(&str, Fields)] = &[
        ("no length (chunked)", with("Content-Length", None)),
        ("identity", with("Content-Encoding", Some("Identity"))),
        ("empty coding", with("Content-Encoding", Some(""))),
        ("no coding by that name", with("Content-Encoding", Some("none"))),
        ("twice no coding", with("Content-Encoding", Some("None, identity"))),
        ("other type", with("Content-Type", Some("multipart/mixed"))),
        ("same range twice", {
            let mut fields = good();
            fields.push(("content-range", "bytes 100-149/1000"));
            fields
        }),
    ];
    for (name, fields) in cases {
        let body = judge(&head(206, fields), asked(), &known());
        assert_eq!(body.expect(name), asked(), "{name}");
    }
    let shorter = [("Content-Range", "bytes 100-100/1000"), ("ETag", "\"v1\"")];
    let body = judge(&head(206, &shorter), asked(), &known()).unwrap();
    assert_eq!(body, Span::new(100, 101), "shorter than asked");
}

#[test]
fn the_whole_file_instead_of_a_part_rfc_9110_sections_13_1_5_and_14_2() {
    use ErrorKind::{Changed, RangesIgnored};
    let cases: &[(Fields, ErrorKind)] = &[
        (vec![("ETag", "\"v1\""), ("Content-Length", "1000")], RangesIgnored),
        (vec![("ETag", "\"v1\"")], RangesIgnored),
        (vec![("Content-Length", "1000")], RangesIgnored),
        (vec![], RangesIgnored),
        (vec![("ETag", "\"v2\""), ("Content-Length", "1000")], Changed),
        (vec![("ETag", "W/\"v1\""), ("Content-Length", "1000")], Changed),
        (vec![("ETag", "\"v1\""), ("Content-Length", "999")], Changed),
    ];
    for (fields, kind) in cases {
        let error = judge(&head(200, fields), asked(), &known()).unwrap_err();
        assert_eq!(error.kind(), *kind, "{fields:?}: {error}");
    }
    for first in [&[("ETag", "W/\"v1\"")][..], &[]] {
        let known = known_of(first);
        let judge = |fields: &[_]| judge(&head(200, fields), asked(), &known).unwrap_err().kind();
        assert_eq!(judge(&[("Content-Length", "1000")]), RangesIgnored);
        assert_eq!(judge(&[("Content-Length", "1001")]), Changed);
    }
}

#[test]
fn a_failed_precondition_is_a_change_rfc_9110_section_13_1_1() {
    let error = judge(&head(412, &[]), asked(), &known()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Changed);
}

#[test]
fn a_range_that_is_not_there_is_a_change_rfc_9110_section_15_5_17() {
    use ErrorKind::{Changed, RangeMismatch};
    for (range, kind) in [
        (None, Changed),
        (Some("bytes */90"), Changed),
        (Some("bytes */1001"), Changed),
        (Some("bytes 100-149/1000"), Changed),
        (Some("bytes */1000"), RangeMismatch),
    ] {
        let fields: Fields = range.map(|range| ("Content-Range", range)).into_iter().collect();
        let error = judge(&head(416, &fields), asked(), &known()).unwrap_err();
        assert_eq!(error.kind(), kind, "{range:?}: {error}");
    }
}

#[test]
fn every_other_status_is_no_part() {
    for status in [203, 204, 302, 304, 404, 503, 999] {
        let error = judge(&head(status, &good()), asked(), &known()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Status(status));
    }
}

#[test]
#[should_panic(expected = "what is asked lies in the file")]
fn asking_outside_the_file_is_our_bug() {
    let _ = judge(&head(206, &good()), Span::new(990, 1001), &known());
}

/// The table of `combine`: what the first answer said, what later ones said, one after the other,
/// and what is made of each.
mod versions {
    use super::*;

    const OLD: (&str, &str) = ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT");
    const NEW: (&str, &str) = ("Last-Modified", "Sun, 06 Nov 1994 08:49:38 GMT");
    /// Beside it the dates above count as strong.
    const LATER: (&str, &str) = ("Date", "Sun, 06 Nov 2022 08:49:37 GMT");
    const A: (&str, &str) = ("ETag", "\"a\"");
    const B: (&str, &str) = ("ETag", "\"b\"");
    const WEAK_A: (&str, &str) = ("ETag", "W/\"a\"");
    const WEAK_B: (&str, &str) = ("ETag", "W/\"b\"");
    const BARE_A: (&str, &str) = ("ETag", "a");
    const BARE_B: (&str, &str) = ("ETag", "b");
    const SHA_1: (&str, &str) = ("Digest", "SHA=AAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    const SHA_2: (&str, &str) = ("Digest", "SHA=AQAAAAAAAAAAAAAAAAAAAAAAAAA=");
    const MD5_1: (&str, &str) = ("Digest", "MD5=AAAAAAAAAAAAAAAAAAAAAA==");
    const MD5_2: (&str, &str) = ("Digest", "MD5=AQAAAAAAAAAAAAAAAAAAAA==");
    const REPR_MD5_2: (&str, &str) = ("Repr-Digest", "md5=:AQAAAAAAAAAAAAAAAAAAAA==:");

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Judged {
        Fits,
        AskAgain,
        Changed,
    }
    use Judged::{AskAgain, Changed, Fits};

    type Answer<'a> = &'a [(&'a str, &'a str)];

    fn check(status: u16, fields: Answer<'_>, known: &mut Known, is_conditional: bool) -> Judged {
        let mut fields = fields.to_vec();
        if status == 206 {
            fields.push(("Content-Range", "bytes 100-149/1000"));
        }
        let asked = Asked { span: asked(), is_conditional };
        match check_partial(&head(status, &fields), asked, known) {
            Ok(Part::Usable(body)) => {
                assert_eq!(body, asked.span);
                Fits
            }
            Ok(Part::Unproved) => AskAgain,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Changed, "{error}");
                Changed
            }
        }
    }

    #[track_caller]
    fn row(first: Answer<'_>, later: &[(Answer<'_>, Judged)]) {
        let mut known = known_of(first);
        for (fields, expected) in later {
            let judged = check(206, fields, &mut known, false);
            assert_eq!(judged, *expected, "{fields:?} after {first:?}");
        }
    }

    /// After an answer without proof the strong validator is asked for, and a 206 is taken for it.
    #[track_caller]
    fn row_with_proof(first: Answer<'_>, later: Answer<'_>, sent: &str) {
        let mut known = known_of(first);
        assert_eq!(known.condition(), Validator::None, "not before it is needed");
        assert_eq!(check(206, later, &mut known, false), AskAgain);
        let condition = known.condition();
        assert!(condition.strong().is_some_and(|text| text.ends_with(sent)), "{condition:?}");
        assert_eq!(check(206, later, &mut known, true), Fits);
        assert_eq!(check(200, later, &mut known, true), Changed);
        // The whole of the same version is no change: ranges are ignored by now.
        let asked = Asked { span: asked(), is_conditional: true };
        let error = check_partial(&head(200, first), asked, &mut known).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RangesIgnored);
    }

    #[test]
    fn a_strong_tag_is_repeated() {
        row(&[A], &[(&[A], Fits), (&[A, OLD], Fits), (&[A, NEW], Changed)]);
        row(&[A, OLD], &[(&[A, OLD], Fits), (&[A], Fits), (&[A, NEW], Changed)]);
    }

    #[test]
    fn a_strong_tag_that_differs_is_a_change() {
        for other in [B, WEAK_A, WEAK_B, BARE_A] {
            row(&[A], &[(&[other], Changed)]);
            assert_eq!(check(206, &[other], &mut known_of(&[A]), true), Changed, "{other:?}");
        }
    }

    #[test]
    fn a_strong_tag_that_is_missing_is_asked_for() {
        row_with_proof(&[A], &[], "\"a\"");
        row_with_proof(&[A, OLD, LATER], &[OLD, LATER], "\"a\"");
        row(&[A], &[(&[("ETag", "")], AskAgain)]);
    }

    #[test]
    fn a_strong_date_is_repeated() {
        row(&[OLD, LATER], &[(&[OLD], Fits), (&[OLD, A], Fits), (&[OLD, B], Changed)]);
    }

    #[test]
    fn a_strong_date_may_come_in_another_form_rfc_9110_section_5_6_7() {
        let other_form = ("Last-Modified", "Sunday, 06-Nov-94 08:49:37 GMT");
        row(&[OLD, LATER], &[(&[other_form], Fits)]);
    }

    #[test]
    fn a_strong_date_that_differs_is_a_change() {
        row(&[OLD, LATER], &[(&[NEW], Changed)]);
        row(&[OLD, LATER], &[(&[("Last-Modified", "yesterday")], Changed)]);
        assert_eq!(check(206, &[NEW], &mut known_of(&[OLD, LATER]), true), Changed);
    }

    #[test]
    fn a_strong_date_that_is_missing_is_asked_for() {
        row_with_proof(&[OLD, LATER], &[], OLD.1);
        row_with_proof(&[OLD, LATER], &[A], OLD.1);
        // Two different dates say as much as none.
        row(&[OLD, LATER], &[(&[OLD, NEW], AskAgain)]);
    }

    #[test]
    fn a_weak_tag_may_be_equal() {
        row(&[WEAK_A], &[(&[WEAK_A], Fits), (&[A], Fits), (&[WEAK_A, OLD], Fits)]);
    }

    #[test]
    fn a_weak_tag_that_differs_is_a_change() {
        for other in [WEAK_B, B, BARE_A] {
            row(&[WEAK_A], &[(&[other], Changed)]);
        }
    }

    #[test]
    fn a_constant_weak_tag_does_not_hide_another_date() {
        row(&[WEAK_A, OLD], &[(&[WEAK_A, OLD], Fits), (&[WEAK_A, NEW], Changed)]);
        row(&[WEAK_A, OLD, LATER], &[(&[WEAK_A, NEW], Changed)]);
    }

    #[test]
    fn text_that_is_no_entity_tag_can_differ_too() {
        row(&[BARE_A], &[(&[BARE_A], Fits), (&[BARE_B], Changed), (&[A], Changed)]);
        row(&[BARE_A, OLD, LATER], &[(&[BARE_B, OLD], Changed)]);
    }

    #[test]
    fn a_weak_date_that_differs_is_a_change() {
        let close = ("Date", OLD.1);
        row(&[OLD], &[(&[OLD], Fits), (&[NEW], Changed)]);
        row(&[OLD, close], &[(&[OLD, LATER], Fits), (&[NEW, LATER], Changed)]);
    }

    #[test]
    fn what_proves_nothing_must_not_be_missing() {
        row(&[WEAK_A], &[(&[], Changed)]);
        row(&[BARE_A], &[(&[], Changed)]);
        row(&[OLD], &[(&[], Changed), (&[A], Changed)]);
        row(&[WEAK_A, OLD], &[(&[WEAK_A], Changed), (&[OLD], Changed)]);
    }

    #[test]
    fn a_strong_date_beside_a_weak_tag_is_a_proof() {
        row(&[WEAK_A, OLD, LATER], &[(&[OLD], Fits), (&[WEAK_A], Changed)]);
        row(&[BARE_A, OLD, LATER], &[(&[OLD], Fits), (&[BARE_A], AskAgain)]);
    }

    #[test]
    fn what_appears_later_is_remembered() {
        row(&[], &[(&[], Fits), (&[A], Fits), (&[A], Fits), (&[], Fits), (&[B], Changed)]);
        row(&[], &[(&[OLD], Fits), (&[], Fits), (&[NEW], Changed)]);
        row(&[OLD], &[(&[OLD, A], Fits), (&[OLD], Fits), (&[OLD, B], Changed)]);
        // Of an answer that does not count, nothing is.
        row(&[OLD, LATER], &[(&[A], AskAgain), (&[OLD, B], Fits)]);
    }

    #[test]
    fn digests_of_one_algorithm_do_not_differ() {
        row(&[SHA_1], &[(&[SHA_1], Fits), (&[], Fits), (&[SHA_2], Changed)]);
        row(&[A, SHA_1], &[(&[A, SHA_2], Changed)]);
        row(&[], &[(&[MD5_1], Fits), (&[REPR_MD5_2], Changed)]);
        row(&[SHA_1], &[(&[MD5_1], Fits), (&[SHA_1], Fits), (&[MD5_2], Changed)]);
        // What contradicts itself says nothing.
        row(&[MD5_1], &[(&[MD5_1, REPR_MD5_2], Fits), (&[REPR_MD5_2], Changed)]);
        row(&[MD5_1, REPR_MD5_2], &[(&[MD5_1, REPR_MD5_2], Fits), (&[MD5_2], Fits)]);
        assert_eq!(check(206, &[A, SHA_2], &mut known_of(&[A, SHA_1]), true), Changed);
        assert_eq!(check(200, &[A, SHA_2], &mut known_of(&[A, SHA_1]), false), Changed);
    }

    #[test]
    fn digests_can_be_ignored() {
        let mut known = known_of(&[SHA_1]).without_digests();
        assert_eq!(check(206, &[SHA_2], &mut known, false), Fits);
        assert_eq!(check(206, &[SHA_1], &mut known, false), Fits);
    }

    #[test]
    fn a_changed_field_of_the_whole_file_is_a_change() {
        for (first, other) in [(WEAK_A, WEAK_B), (BARE_A, BARE_B), (OLD, NEW), (A, B)] {
            assert_eq!(check(200, &[other], &mut known_of(&[first]), false), Changed, "{other:?}");
        }
    }
}
