//! Tests of whole responses: cut everywhere, ended everywhere, and made of noise.

use super::*;
use proptest::prelude::*;

/// What came of a response fed to the end.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    status: Option<u16>,
    body: Vec<u8>,
    /// Bytes behind the response.
    rest: Vec<u8>,
    complete: bool,
    reusable: bool,
}

/// Plays the caller: pieces of the given sizes round and round, an output buffer of 7 bytes, and a
/// promise of the body's length if there is one.
fn play(bytes: &[u8], sizes: &[usize], promise: Option<u64>, eof: bool) -> Result<Outcome> {
    let mut exchange = Exchange::new();
    let (mut body, mut at) = (Vec::new(), 0);
    for size in sizes.iter().cycle() {
        let piece = &bytes[at..(at + size).min(bytes.len())];
        if piece.is_empty() || exchange.is_complete() {
            break;
        }
        at += feed(&mut exchange, piece, promise, &mut body)?;
    }
    if eof {
        exchange.on_eof()?;
    }
    assert_eq!(exchange.received_bytes(), body.len() as u64);
    assert_eq!(exchange.is_complete(), exchange.want() == Want::Nothing);
    Ok(Outcome {
        status: exchange.head().map(Head::status),
        body,
        rest: bytes[at..].to_vec(),
        complete: exchange.is_complete(),
        reusable: exchange.reusable(),
    })
}

/// Feeds one received piece; answers how much of it belongs to the response.
fn feed(
    exchange: &mut Exchange,
    piece: &[u8],
    promise: Option<u64>,
    body: &mut Vec<u8>,
) -> Result<usize> {
    let mut at = 0;
    if exchange.want() == Want::Head {
        let Some(surplus) = exchange.on_head(piece)? else {
            return Ok(piece.len());
        };
        at = piece.len() - surplus;
        if let Some(bytes) = promise {
            exchange.expect_body(bytes);
        }
    }
    while at < piece.len() {
        let fed = &piece[at..];
        match exchange.want() {
            Want::Head => panic!("a head is followed by a body"),
            Want::Direct(left) => {
                let count = fed.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                assert!(count > 0, "nothing is wanted where nothing is left");
                body.extend_from_slice(&fed[..count]);
                exchange.on_direct(count as u64);
                at += count;
            }
            Want::UntilClose => {
                body.extend_from_slice(fed);
                exchange.on_direct(fed.len() as u64);
                at += fed.len();
            }
            Want::Framed => {
                let mut output = [0; 7];
                let step = exchange.on_framed(fed, &mut output)?;
                assert!(step.consumed + step.produced > 0, "a step is progress");
                body.extend_from_slice(&output[..step.produced]);
                at += step.consumed;
            }
            Want::Nothing => break,
        }
    }
    Ok(at)
}

const CASES: &[(&str, &[u8], &[u8], bool)] = &[
    ("length", b"HTTP/1.1 206 x\r\nContent-Length: 5\r\n\r\nhello", b"hello", true),
    ("no bytes", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"", true),
    ("no body", b"HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n", b"", true),
    ("not modified", b"HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n", b"", true),
    (
        "chunked",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
          b\r\nhello world\r\n0\r\nA: b\r\n\r\n",
        b"hello world",
        true,
    ),
    (
        "interim",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\nLink: y\r\nContent-Length: 9\r\n\r\n\
          HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab",
        b"ab",
        true,
    ),
    (
        "close",
        b"HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nab",
        b"ab",
        false,
    ),
    ("old", b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab", b"ab", false),
    (
        "old kept alive",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nab",
        b"ab",
        false,
    ),
];

#[test]
fn every_response_at_every_cut_rfc_9112_sections_6_3_and_9_3() {
    for (name, bytes, body, reusable) in CASES {
        let next = [bytes, &b"HTTP/1.1 200"[..]].concat();
        for cut in 1..=next.len() {
            let outcome = play(&next, &[cut, next.len()], None, false).expect(name);
            assert_eq!(outcome.body, *body, "{name} cut at {cut}");
            assert_eq!(outcome.rest, b"HTTP/1.1 200", "{name} cut at {cut}");
            assert_eq!((outcome.complete, outcome.reusable), (true, *reusable), "{name}");
        }
    }
}

#[test]
fn every_early_end_is_an_error_rfc_9112_section_8() {
    for (name, bytes, ..) in CASES {
        let error = play(&[], &[1], None, true).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionLost, "{name}");
        for end in 1..bytes.len() {
            let error = play(&bytes[..end], &[end], None, true).expect_err(name);
            assert_eq!(error.kind(), ErrorKind::Truncated, "{name} ended at {end}");
        }
        let outcome = play(bytes, &[bytes.len()], None, true).expect(name);
        assert!(outcome.complete && !outcome.reusable, "{name}");
    }
}

#[test]
fn a_body_until_close_ends_with_the_connection_rfc_9112_section_6_3() {
    let bytes = b"HTTP/1.1 200 OK\r\n\r\nall of it";
    let open = play(bytes, &[20], None, false).unwrap();
    assert!(!open.complete && !open.reusable);
    let closed = play(bytes, &[20], None, true).unwrap();
    assert_eq!((closed.body.as_slice(), closed.complete), (&b"all of it"[..], true));
    assert!(!closed.reusable);
}

#[test]
fn a_promised_length_holds_for_bodies_that_tell_none() {
    let close = b"HTTP/1.1 206 x\r\n\r\nhello";
    let chunked = b"HTTP/1.1 206 x\r\nTransfer-Encoding: chunked\r\n\r\n\
        2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n";
    for size in [1, 3, 99] {
        let outcome = play(close, &[size], Some(5), false).unwrap();
        assert_eq!((outcome.complete, outcome.reusable), (true, false));
        assert_eq!(play(close, &[size], Some(4), false).unwrap().rest, b"o");
        let error = play(close, &[size], Some(6), true).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Truncated);
        let outcome = play(chunked, &[size], Some(5), false).unwrap();
        assert_eq!((outcome.body.as_slice(), outcome.reusable), (&b"hello"[..], true));
        for (promise, kind) in [(4, ErrorKind::Protocol), (6, ErrorKind::Truncated)] {
            let error = play(chunked, &[size], Some(promise), false).unwrap_err();
            assert_eq!(error.kind(), kind, "promised {promise} in pieces of {size}");
        }
    }
}

#[test]
fn no_byte_beyond_the_promise_is_put_out() {
    let mut exchange = Exchange::new();
    exchange.on_head(b"HTTP/1.1 206 x\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    exchange.expect_body(3);
    let mut output = [0xEE; 8];
    let error = exchange.on_framed(b"5\r\nhello\r\n", &mut output).unwrap_err();
    assert_eq!(error.to_string(), Exchange::excess_error().to_string());
    assert_eq!(output[3..], [0xEE; 5]);
    assert!(!exchange.is_complete() && !exchange.reusable());
}

#[test]
fn bytes_nobody_asked_for_end_the_connection() {
    let mut exchange = Exchange::new();
    let surplus = exchange.on_head(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nmore").unwrap();
    assert_eq!(surplus, Some(4));
    assert!(exchange.reusable());
    exchange.on_excess();
    assert!(exchange.is_complete() && !exchange.reusable());
    assert_eq!(Exchange::excess_error().kind(), ErrorKind::Protocol);
}

#[test]
fn hostile_responses_are_protocol_errors() {
    let interim = b"HTTP/1.1 100 x\r\n\r\n".repeat(INTERIM_RESPONSES_MAX as usize + 1);
    let cases: &[(&str, &[u8])] = &[
        ("not HTTP", b"220 ftp ready\r\n"),
        ("switching protocols", b"HTTP/1.1 101 x\r\nUpgrade: h2c\r\n\r\n"),
        ("endless interim responses", &interim),
        ("two lengths", b"HTTP/1.1 200 x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
        (
            "length and coding",
            b"HTTP/1.1 200 x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
        ("coding", b"HTTP/1.1 200 x\r\nTransfer-Encoding: gzip\r\n\r\n"),
        ("chunk", b"HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\nz"),
    ];
    for (name, bytes) in cases {
        for size in [1, bytes.len()] {
            let error = play(bytes, &[size], None, false).expect_err(name);
            assert_eq!(error.kind(), ErrorKind::Protocol, "{name}");
        }
    }
}

#[test]
#[should_panic(expected = "no more bytes are counted than were wanted")]
fn counting_too_much_is_our_bug() {
    let mut exchange = Exchange::new();
    exchange.on_head(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n").unwrap();
    exchange.on_direct(2);
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None, ..ProptestConfig::with_cases(256)
    })]

    #[test]
    fn noise_never_panics_and_cuts_never_matter(
        case in 0..CASES.len(),
        keep in any::<prop::sample::Index>(),
        noise in proptest::collection::vec(any::<u8>(), 0..40),
        text in "[0-9a-f:\r\n HTP/.]{0,40}",
        sizes in proptest::collection::vec(1..30usize, 1..5),
        promise in proptest::option::of(1..20u64),
        eof in any::<bool>(),
    ) {
        let start = CASES[case].1;
        let bytes = [&start[..keep.index(start.len() + 1)], text.as_bytes(), &noise].concat();
        let whole = play(&bytes, &[bytes.len().max(1)], promise, eof);
        let cut = play(&bytes, &sizes, promise, eof);
        match (whole, cut) {
            (Ok(whole), Ok(cut)) => prop_assert_eq!(whole, cut),
            (Err(whole), Err(cut)) => prop_assert_eq!(whole.kind(), cut.kind()),
            (whole, cut) => prop_assert!(false, "{:?} but {:?}", whole, cut),
        }
    }
}
