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

fn known() -> Known {
    Known { total: 1000, validator: Validator::StrongEtag("\"v1\"".to_owned()) }
}

#[test]
fn a_faultless_answer_passes() {
    assert_eq!(check_partial(&head(206, &good()), asked(), &known()).unwrap(), asked());
}

fn refused(rules: &[(&str, Fields, ErrorKind)]) {
    for (name, fields, kind) in rules {
        let error = check_partial(&head(206, fields), asked(), &known()).expect_err(name);
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
    let error = check_partial(&head(206, &longer), asked(), &known()).unwrap_err();
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
        let error = check_partial(&head(200, &fields), asked(), &known()).unwrap_err();
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
        ("tag is gone (15.3.7)", with("ETag", None), RangeMismatch),
    ]);
}

#[test]
fn weak_tags_can_differ_but_prove_nothing_rfc_9110_section_8_8_3_2() {
    let known = Known { total: 1000, validator: Validator::WeakEtag("W/\"v1\"".to_owned()) };
    let check = |tag| check_partial(&head(206, &with("ETag", tag)), asked(), &known);
    for same in [Some("W/\"v1\""), Some("\"v1\""), None] {
        assert!(check(same).is_ok(), "{same:?}");
    }
    for other in ["W/\"v2\"", "\"v2\"", "v1", ""] {
        assert_eq!(check(Some(other)).unwrap_err().kind(), ErrorKind::Changed, "{other}");
    }
    // Where the tag does not tell, the size does.
    let grown = with("Content-Range", Some("bytes 100-149/1001"));
    let error = check_partial(&head(206, &grown), asked(), &known).unwrap_err();
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
        let body = check_partial(&head(206, fields), asked(), &known());
        assert_eq!(body.expect(name), asked(), "{name}");
    }
    let shorter = [("Content-Range", "bytes 100-100/1000"), ("ETag", "\"v1\"")];
    let body = check_partial(&head(206, &shorter), asked(), &known()).unwrap();
    assert_eq!(body, Span::new(100, 101), "shorter than asked");
}

#[test]
fn dates_must_not_differ_but_may_be_missing_rfc_9110_section_15_3_7() {
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    let known = Known { total: 1000, validator: Validator::LastModified(DATE.to_owned()) };
    let check = |value| check_partial(&head(206, &with("Last-Modified", value)), asked(), &known);
    assert!(check(Some(DATE)).is_ok());
    assert!(check(None).is_ok());
    let error = check(Some("Sun, 06 Nov 1994 08:49:38 GMT")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Changed);
    let none = Known { total: 1000, validator: Validator::None };
    assert!(check_partial(&head(206, &good()), asked(), &none).is_ok());
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
        let error = check_partial(&head(200, fields), asked(), &known()).unwrap_err();
        assert_eq!(error.kind(), *kind, "{fields:?}: {error}");
    }
    for validator in [Validator::WeakEtag("W/\"v1\"".to_owned()), Validator::None] {
        let known = Known { total: 1000, validator };
        let judge =
            |fields: &[_]| check_partial(&head(200, fields), asked(), &known).unwrap_err().kind();
        assert_eq!(judge(&[("Content-Length", "1000")]), RangesIgnored);
        assert_eq!(judge(&[("Content-Length", "1001")]), Changed);
    }
}

#[test]
fn a_failed_precondition_is_a_change_rfc_9110_section_13_1_1() {
    let error = check_partial(&head(412, &[]), asked(), &known()).unwrap_err();
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
        let error = check_partial(&head(416, &fields), asked(), &known()).unwrap_err();
        assert_eq!(error.kind(), kind, "{range:?}: {error}");
    }
}

#[test]
fn every_other_status_is_no_part() {
    for status in [203, 204, 302, 304, 404, 503, 999] {
        let error = check_partial(&head(status, &good()), asked(), &known()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Status(status));
    }
}

#[test]
#[should_panic(expected = "what is asked lies in the file")]
fn asking_outside_the_file_is_our_bug() {
    let _ = check_partial(&head(206, &good()), Span::new(990, 1001), &known());
}
