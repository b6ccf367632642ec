//! The chunked coding against a second decoder, written from RFC 9112 section 7.1 for whole
//! inputs, at any cut and with any room for the output.

use super::Target;
use super::input::{Cuts, Input, with_choices};
use ringhaul::ErrorKind;
use ringhaul::internal::base::limits::{CHUNK_LINE_BYTES_MAX, TRAILER_BYTES_MAX};
use ringhaul::internal::http::ChunkedDecoder;

pub(super) const TARGET: Target =
    Target { name: "chunked", run, seeds, words: WORDS, smoke_runs: 5000 };

const WORDS: &[&str] = &[
    "0\r\n\r\n",
    "1\r\nx\r\n",
    "\r\n",
    "\n",
    "\r",
    ";",
    ";a=\"b\"",
    " ",
    "\t",
    "0",
    "f",
    "F",
    "0x",
    "ffffffffffffffff",
    "10000000000000000",
    "7fffffffffffffff",
    "A: b\r\n",
    "\0",
    "\u{7f}",
    "-1",
];

fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "4\r\nWiki\r\n5;a=\"b\"\r\npedia\r\n00E \t\r\n in\r\n\r\nchunks.\r\n0\r\nT: x\r\n\r\nHTTP",
        "ffffffffffffffff\r\nx",
        "a\r\n0123456789\r\n0;x\r\nA: b\r\n c\r\nD:\r\n\r\n",
    ];
    let short =
        texts.iter().flat_map(|text| (0..6).map(|c| with_choices(&[c, c], text.as_bytes())));
    // Lines of the greatest length, and so costly that there are few of them.
    let line = format!("1;{}\r\nx\r\n", "e".repeat(CHUNK_LINE_BYTES_MAX - 2));
    let trailer = format!("0\r\n{}\r\n\r\n", "t".repeat(TRAILER_BYTES_MAX));
    short.chain([line, trailer].map(|text| with_choices(&[1, 9], text.as_bytes()))).collect()
}

fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (cuts, room) = (input.byte(), input.byte());
    let coded = input.rest();
    let expected = reference(coded);
    for cuts in Cuts::all(cuts) {
        let fine = matches!(cuts, Cuts::Bytes);
        let decoded = decode(coded, cuts, usize::from(room % 40));
        assert_eq!(decoded.end, expected.end);
        // A call that fails gives out nothing, so only the finest cut sees all before the error.
        if fine || expected.end != End::Broken {
            assert_eq!(decoded.body, expected.body);
        }
        assert!(expected.body.starts_with(&decoded.body));
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Decoded {
    body: Vec<u8>,
    end: End,
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    /// The body is over; the number of bytes that belong to it.
    Done(usize),
    Unfinished,
    Broken,
}

fn decode(coded: &[u8], mut cuts: Cuts, room: usize) -> Decoded {
    let mut decoder = ChunkedDecoder::new();
    let (mut body, mut at) = (Vec::new(), 0);
    while at < coded.len() {
        let mut end = at + cuts.next(coded.len() - at);
        let mut room = room;
        while at < end {
            let mut output = vec![0xEE; room];
            let owed = decoder.pending();
            let step = match decoder.decode(&coded[at..end], &mut output) {
                Ok(step) => step,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Protocol);
                    return Decoded { body, end: End::Broken };
                }
            };
            assert!(output[step.produced..].iter().all(|byte| *byte == 0xEE), "wrote behind");
            assert!(step.consumed > 0 || step.done || (owed > 0 && room == 0), "no progress");
            room = room.max(1);
            body.extend_from_slice(&output[..step.produced]);
            at += step.consumed;
            if step.done {
                end = at;
                let again = decoder.decode(&coded[at..], &mut output).expect("the body is over");
                assert_eq!((again.consumed, again.produced, again.done), (0, 0, true));
                return Decoded { body, end: End::Done(end) };
            }
        }
    }
    Decoded { body, end: End::Unfinished }
}

/// The coding read from one slice, line by line.
fn reference(coded: &[u8]) -> Decoded {
    let (mut body, mut rest) = (Vec::new(), coded);
    let end = loop {
        if rest.first() == Some(&b'\r') {
            break End::Broken;
        }
        let size = match line(rest, CHUNK_LINE_BYTES_MAX, size_line_may_go_on) {
            Ok((text, behind)) => {
                rest = behind;
                size_of(text)
            }
            Err(end) => break end,
        };
        if size == 0 {
            break trailers(rest).map_or_else(|end| end, |left| End::Done(coded.len() - left));
        }
        let bytes = usize::try_from(size).map_or(rest.len(), |size| size.min(rest.len()));
        body.extend_from_slice(&rest[..bytes]);
        rest = &rest[bytes..];
        if (bytes as u64) < size {
            break End::Unfinished;
        }
        match rest.strip_prefix(b"\r\n") {
            Some(behind) => rest = behind,
            None if b"\r\n".starts_with(rest) => break End::Unfinished,
            None => break End::Broken,
        }
    };
    Decoded { body, end }
}

/// The text of the first line and what follows it. The line ends with CRLF; `may_go_on` judges
/// every beginning of it, so that a broken line is found where it breaks.
fn line(
    bytes: &[u8],
    bytes_max: usize,
    may_go_on: fn(&[u8]) -> bool,
) -> Result<(&[u8], &[u8]), End> {
    let text_bytes = bytes.iter().position(|byte| *byte == b'\r').unwrap_or(bytes.len());
    let (text, behind) = bytes.split_at(text_bytes);
    if text_bytes > bytes_max || !may_go_on(text) {
        return Err(End::Broken);
    }
    match behind {
        [b'\r', b'\n', behind @ ..] => Ok((text, behind)),
        [b'\r', _, ..] => Err(End::Broken),
        _ => Err(End::Unfinished),
    }
}

/// `1*HEXDIG BWS [ ";" ... ]`, below 2^64.
fn size_line_may_go_on(text: &[u8]) -> bool {
    let digits = text.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (size, behind) = text.split_at(digits);
    let significant = size.iter().skip_while(|byte| **byte == b'0').count();
    let spaces = behind.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let extension = &behind[spaces..];
    significant <= 16
        && (digits > 0 || text.is_empty())
        && (extension.is_empty() || extension[0] == b';')
        && extension.iter().all(is_text)
}

fn size_of(text: &[u8]) -> u64 {
    let digits = text.iter().map_while(|byte| char::from(*byte).to_digit(16));
    digits.fold(0, |size, digit| size << 4 | u64::from(digit))
}

/// What is left behind the trailers and their empty line.
fn trailers(mut rest: &[u8]) -> Result<usize, End> {
    let mut room = TRAILER_BYTES_MAX;
    loop {
        let (text, behind) = line(rest, room, |text| text.iter().all(is_text))?;
        if text.is_empty() {
            return Ok(behind.len());
        }
        room -= text.len();
        rest = behind;
    }
}

fn is_text(byte: &u8) -> bool {
    *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f)
}
