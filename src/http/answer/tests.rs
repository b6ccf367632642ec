//! Tests of the judgement on answers: tables in which each rule is broken alone.

use super::*;
use crate::http::head::tests::head;
use crate::http::{HeadParse, parse};

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

#[test]
fn each_rule_for_a_part_broken_alone_rfc_9110_sections_14_4_and_15_3_7() {
    use ErrorKind::{Changed, ContentEncoding, Protocol, RangeMismatch};
    let cases: &[(&str, Fields, ErrorKind)] = &[
        ("starts early", with("Content-Range", Some("bytes 99-148/1000")), RangeMismatch),
        ("starts late", with("Content-Range", Some("bytes 101-150/1000")), RangeMismatch),
        ("starts at 0", with("Content-Range", Some("bytes 0-49/1000")), RangeMismatch),
        ("invalid range", with("Content-Range", Some("bytes 100-149")), RangeMismatch),
        ("past its total", with("Content-Range", Some("bytes 100-149/149")), RangeMismatch),
        ("other unit", with("Content-Range", Some("items 100-149/1000")), RangeMismatch),
        ("no range", with("Content-Range", None), RangeMismatch),
        ("unsatisfied", with("Content-Range", Some("bytes */1000")), RangeMismatch),
        ("unknown total", with("Content-Range", Some("bytes 100-149/*")), RangeMismatch),
        ("file grew", with("Content-Range", Some("bytes 100-149/1001")), Changed),
        ("file shrank", with("Content-Range", Some("bytes 100-149/150")), Changed),
        ("body too long", with("Content-Length", Some("51")), RangeMismatch),
        ("body too short", with("Content-Length", Some("49")), RangeMismatch),
        ("length is none", with("Content-Length", Some("fifty")), Protocol),
        ("other tag", with("ETag", Some("\"v2\"")), Changed),
        ("tag turned weak", with("ETag", Some("W/\"v1\"")), Changed),
        ("tag is gone", with("ETag", None), RangeMismatch),
        ("gzip", with("Content-Encoding", Some("gzip")), ContentEncoding),
        ("identity, br", with("Content-Encoding", Some("identity, br")), ContentEncoding),
        (
            "multipart",
            with("Content-Type", Some("Multipart/Byteranges; boundary=x")),
            RangeMismatch,
        ),
    ];
    for (name, fields, kind) in cases {
        let error = check_partial(&head(206, fields), asked(), &known()).expect_err(name);
        assert_eq!(error.kind(), *kind, "{name}: {error}");
    }
    let longer =
        [("Content-Range", "bytes 100-150/1000"), ("Content-Length", "51"), ("ETag", "\"v1\"")];
    let error = check_partial(&head(206, &longer), asked(), &known()).unwrap_err();
    assert_eq!(error.kind(), RangeMismatch, "longer than asked");
    let mut twice = good();
    twice.push(("Content-Range", "bytes 0-9/1000"));
    assert!(check_partial(&head(206, &twice), asked(), &known()).is_err(), "two ranges");
}

#[test]
fn what_is_legal_passes() {
    let cases: &[(&str, Fields)] = &[
        ("no length (chunked)", with("Content-Length", None)),
        ("identity", with("Content-Encoding", Some("Identity"))),
        ("empty coding", with("Content-Encoding", Some(""))),
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
fn other_statuses_where_a_part_was_asked_for() {
    use ErrorKind::{Changed, RangeMismatch, Status};
    let cases: &[(u16, Fields, ErrorKind)] = &[
        (200, vec![("ETag", "\"v1\""), ("Content-Length", "1000")], RangeMismatch),
        (200, vec![], RangeMismatch),
        (200, vec![("ETag", "\"v2\""), ("Content-Length", "1000")], Changed),
        (200, vec![("ETag", "\"v1\""), ("Content-Length", "999")], Changed),
        (412, vec![], Changed),
        (416, vec![], Changed),
        (416, vec![("Content-Range", "bytes */90")], Changed),
        (416, vec![("Content-Range", "bytes */1000")], RangeMismatch),
        (404, vec![], Status(404)),
        (302, vec![("Location", "/x")], Status(302)),
        (304, vec![], Status(304)),
        (503, vec![], Status(503)),
        (203, vec![], Status(203)),
        (999, vec![], Status(999)),
    ];
    for (status, fields, kind) in cases {
        let error = check_partial(&head(*status, fields), asked(), &known()).unwrap_err();
        assert_eq!(error.kind(), *kind, "{status} {fields:?}: {error}");
    }
}

#[test]
#[should_panic(expected = "what is asked lies in the file")]
fn asking_outside_the_file_is_our_bug() {
    let _ = check_partial(&head(206, &good()), Span::new(990, 1001), &known());
}

#[test]
fn discovery_table() {
    let v1 = Validator::StrongEtag("\"v1\"".to_owned());
    let first = Span::new(0, 100);
    let cases: &[(u16, Fields, Discovery)] = &[
        (
            206,
            vec![("Content-Range", "bytes 0-99/1000"), ("ETag", "\"v1\"")],
            Discovery::Ranged { total: 1000, body: first, validator: v1.clone() },
        ),
        (
            206,
            vec![("Content-Range", "bytes 0-9/10"), ("ETag", "W/\"v1\""), ("Content-Length", "10")],
            Discovery::Ranged { total: 10, body: Span::new(0, 10), validator: Validator::None },
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
    ];
    for (status, fields, expected) in cases {
        let found = discover(&head(*status, fields), first).unwrap();
        assert_eq!(found, *expected, "{status} {fields:?}");
    }
}

#[test]
fn what_cannot_be_discovered_is_an_error() {
    use ErrorKind::{ContentEncoding, RangeMismatch, Status};
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
        (416, 0, vec![("Content-Range", "bytes */1000")], Status(416)),
        (416, 50, vec![], Status(416)),
        (401, 0, vec![], Status(401)),
        (204, 0, vec![], Status(204)),
    ];
    for (status, start, fields, kind) in cases {
        let error = discover(&head(*status, fields), Span::new(*start, 100)).unwrap_err();
        assert_eq!(error.kind(), *kind, "{status} {fields:?}: {error}");
    }
}

#[test]
fn status_errors_name_status_reason_and_scheme() {
    let bytes = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"x\"\r\n\r\n";
    let HeadParse::Complete { head: unauthorized, .. } = parse(bytes).unwrap() else {
        panic!("partial")
    };
    let text = status_error(&unauthorized).to_string();
    assert!(text.starts_with(
        "the server answered 401 Unauthorized, asking for Digest authentication (server side)"
    ));
    assert!(status_error(&head(404, &[])).to_string().starts_with("the server answered 404 ("));
}
