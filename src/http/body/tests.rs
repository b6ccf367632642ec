//! Tests of framing and the chunked coding.

use super::*;
use crate::base::ErrorKind;
use crate::http::head::tests::head;
use crate::http::{HeadParse, parse};
use proptest::prelude::*;

/// Encodes `data` in chunks of the given sizes, round and round.
fn encode(data: &[u8], sizes: &[usize], extension: &str, trailers: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = data;
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (chunk, tail) = rest.split_at((*size).min(rest.len()));
        out.extend_from_slice(format!("{:x}{extension}\r\n", chunk.len()).as_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
        rest = tail;
    }
    out.extend_from_slice(format!("0{extension}\r\n{trailers}\r\n").as_bytes());
    out
}

/// Decodes pieces of the given sizes into outputs of the given sizes. Answers the body, the bytes
/// consumed and whether it was over.
fn decode(bytes: &[u8], inputs: &[usize], outputs: &[usize]) -> Result<(Vec<u8>, usize, bool)> {
    let mut decoder = ChunkedDecoder::new();
    let (mut body, mut at) = (Vec::new(), 0);
    let mut outputs = outputs.iter().cycle();
    for size in inputs.iter().cycle() {
        let end = (at + size).min(bytes.len());
        while at < end {
            let mut output = vec![0xEE; *outputs.next().expect("outputs repeat")];
            let owed = decoder.pending();
            let step = decoder.decode(&bytes[at..end], &mut output)?;
            assert!(step.produced <= output.len() && step.consumed <= end - at);
            assert!(step.consumed > 0 || step.done || (owed > 0 && output.is_empty()));
            assert!(output[step.produced..].iter().all(|b| *b == 0xEE), "wrote behind");
            body.extend_from_slice(&output[..step.produced]);
            at += step.consumed;
            if step.done {
                return Ok((body, at, true));
            }
        }
        if at == bytes.len() {
            break;
        }
    }
    Ok((body, at, false))
}

#[test]
fn chunked_example_at_every_cut_rfc_9112_section_7_1() {
    let bytes =
        b"4\r\nWiki\r\n5;a=\"b\"\r\npedia\r\n00E \t\r\n in\r\n\r\nchunks.\r\n0\r\nT: x\r\n\r\n";
    for cut in 1..bytes.len() {
        let cuts = [cut, bytes.len()];
        let (body, consumed, done) = decode(bytes, &cuts, &[64]).unwrap();
        assert_eq!(body, b"Wikipedia in\r\n\r\nchunks.", "cut at {cut}");
        assert_eq!((consumed, done), (bytes.len(), true));
        let (_, consumed, done) = decode(&bytes[..cut], &[1], &[1]).unwrap();
        assert_eq!((consumed, done), (cut, false), "an early end is no end");
    }
}

#[test]
fn bytes_behind_the_body_are_left_alone() {
    let (body, consumed, done) = decode(b"1\r\nx\r\n0\r\n\r\nHTTP/1.1", &[99], &[9]).unwrap();
    assert_eq!((body.as_slice(), consumed, done), (&b"x"[..], 11, true));
    let mut decoder = ChunkedDecoder::new();
    decoder.decode(b"0\r\n\r\n", &mut []).unwrap();
    let again = decoder.decode(b"more", &mut []).unwrap();
    assert_eq!(again, Step { consumed: 0, produced: 0, done: true });
}

#[test]
fn the_end_is_read_even_when_the_output_is_full() {
    let mut decoder = ChunkedDecoder::new();
    let step = decoder.decode(b"2\r\nab\r\n0\r\n\r\n", &mut [0; 2]).unwrap();
    assert_eq!(step, Step { consumed: 12, produced: 2, done: true });
    let mut decoder = ChunkedDecoder::new();
    let step = decoder.decode(b"ffffffffffffffff\r\nab", &mut [0; 1]).unwrap();
    assert_eq!((step.consumed, step.produced), (19, 1));
    assert_eq!(decoder.pending(), u64::MAX - 1);
}

#[test]
fn broken_chunks_are_protocol_errors() {
    let line = format!("1;{}\r\n", "x".repeat(CHUNK_LINE_BYTES_MAX));
    let zeros = "0".repeat(CHUNK_LINE_BYTES_MAX + 1);
    let trailer = format!("0\r\n{}", "A: b\r\n".repeat(TRAILER_BYTES_MAX / 4 + 1));
    let cases: &[(&str, &str)] = &[
        ("no size", "\r\n"),
        ("no digit", "x\r\n"),
        ("space before the size", " 5\r\nhello\r\n"),
        ("sign", "+5\r\nhello\r\n"),
        ("prefix", "0x5\r\nhello\r\n"),
        ("only an extension", ";a\r\n"),
        ("2^64", "10000000000000000\r\n"),
        ("bare LF behind the size", "5\nhello\r\n"),
        ("CR without LF", "5\rhello"),
        ("digit behind a space", "5 5\r\n"),
        ("bare LF in an extension", "5;a\nhello"),
        ("NUL in an extension", "5;a\0\r\n"),
        ("data longer than its size", "5\r\nhello!\r\n"),
        ("CR behind the data without LF", "5\r\nhello\r!"),
        ("bare LF in a trailer", "0\r\nA: b\n\r\n"),
        ("bare LF at the end", "0\r\n\n"),
        ("CR in a trailer", "0\r\nA\rb\r\n"),
        ("endless extension", &line),
        ("endless zeros", &zeros),
        ("endless trailers", &trailer),
    ];
    for (name, bytes) in cases {
        for pieces in [1, bytes.len()] {
            let error = decode(bytes.as_bytes(), &[pieces], &[64]).expect_err(name);
            assert_eq!(error.kind(), ErrorKind::Protocol, "{name}");
        }
    }
}

#[test]
fn framing_table_rfc_9112_section_6_3() {
    const CL: &str = "Content-Length";
    const TE: &str = "Transfer-Encoding";
    type Fields = &'static [(&'static str, &'static str)];
    let cases: &[(u16, Fields, Option<Framing>)] = &[
        (200, &[], Some(Framing::UntilClose)),
        (200, &[(CL, "0")], Some(Framing::Length(0))),
        (206, &[(CL, "005")], Some(Framing::Length(5))),
        (200, &[(CL, "18446744073709551615")], Some(Framing::Length(u64::MAX))),
        (200, &[(CL, "18446744073709551616")], None),
        (200, &[(CL, "5"), (CL, "5")], Some(Framing::Length(5))),
        (200, &[(CL, "5, 5")], Some(Framing::Length(5))),
        (200, &[(CL, "5"), (CL, "6")], None),
        (200, &[(CL, "5, 6")], None),
        (200, &[(CL, "5,")], None),
        (200, &[(CL, "")], None),
        (200, &[(CL, "-5")], None),
        (200, &[(CL, "+5")], None),
        (200, &[(CL, "5 5")], None),
        (200, &[(CL, "0x5")], None),
        (200, &[(CL, "5.0")], None),
        (200, &[(CL, "\u{0665}")], None),
        (200, &[(TE, "chunked")], Some(Framing::Chunked)),
        (200, &[("transfer-encoding", "Chunked")], Some(Framing::Chunked)),
        (200, &[(TE, "chunked"), (CL, "5")], None),
        (200, &[(TE, "gzip, chunked")], None),
        (200, &[(TE, "chunked, chunked")], None),
        (200, &[(TE, "chunked, identity")], None),
        (200, &[(TE, "gzip")], None),
        (200, &[(TE, "xchunked")], None),
        (200, &[(TE, "")], None),
        (200, &[(TE, "chunked"), (TE, "chunked")], None),
        (204, &[(CL, "5")], Some(Framing::None)),
        (304, &[(CL, "5")], Some(Framing::None)),
        (100, &[(TE, "chunked")], Some(Framing::None)),
    ];
    for (status, fields, expected) in cases {
        match (Framing::of(&head(*status, fields)), expected) {
            (Ok(found), Some(expected)) => assert_eq!(found, *expected, "{status} {fields:?}"),
            (Err(error), None) => assert_eq!(error.kind(), ErrorKind::Protocol, "{fields:?}"),
            (found, expected) => panic!("{status} {fields:?}: {found:?}, not {expected:?}"),
        }
    }
}

#[test]
fn http_1_0_has_no_chunks_rfc_9112_section_6_1() {
    let bytes = b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let HeadParse::Complete { head, .. } = parse(bytes).unwrap() else { panic!("partial") };
    assert_eq!(Framing::of(&head).unwrap_err().kind(), ErrorKind::Protocol);
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None, ..ProptestConfig::with_cases(256)
    })]

    #[test]
    fn encoded_then_decoded_is_the_same_at_any_split(
        data in proptest::collection::vec(any::<u8>(), 0..600),
        chunks in proptest::collection::vec(1..80usize, 1..6),
        inputs in proptest::collection::vec(1..50usize, 1..6),
        outputs in proptest::collection::vec(0..40usize, 0..5),
        extension in prop::sample::select(vec!["", ";a", " ; b=\"c\""]),
        trailers in prop::sample::select(vec!["", "A: b\r\n", "A: b\r\n c\r\nD:\r\n"]),
    ) {
        let mut bytes = encode(&data, &chunks, extension, trailers);
        let length = bytes.len();
        bytes.extend_from_slice(b"HTTP/1.1 206");
        let outputs = [outputs, vec![7]].concat();
        let (body, consumed, done) = decode(&bytes, &inputs, &outputs).unwrap();
        prop_assert_eq!(body, data);
        prop_assert_eq!((consumed, done), (length, true));
    }

    #[test]
    fn random_bytes_never_panic(
        start in prop::sample::select(vec!["", "5\r\nab", "f;x", "0\r\n", "0\r\nA: "]),
        noise in "[0-9a-fA-F;\r\n\t x]{0,60}",
        raw in proptest::collection::vec(any::<u8>(), 0..20),
        piece in 1..9usize,
    ) {
        let bytes = [start.as_bytes(), noise.as_bytes(), &raw].concat();
        let small = decode(&bytes, &[piece], &[3]);
        let whole = decode(&bytes, &[bytes.len().max(1)], &[4096]);
        match (small, whole) {
            (Ok(small), Ok(whole)) => prop_assert_eq!(small, whole),
            (Err(_), Err(_)) => {}
            (small, whole) => prop_assert!(false, "{:?} but {:?}", small, whole),
        }
    }
}
