//! A TLS session whose server sends anything: the same end at every cut, every pump gets on or
//! asks for more, and nothing is passed for plaintext before there are keys.

use super::Target;
use super::input::{Cuts, Input, with_choices};
use ringhaul::ErrorKind;
use ringhaul::internal::tls::{Session, TlsConfig, TrustOptions};
use std::sync::LazyLock;

pub(super) const TARGET: Target =
    Target { name: "tls_garbage", run, seeds, words: WORDS, smoke_runs: 1500 };

/// Longer streams cost time and end at the same limits.
const STREAM_BYTES_MAX: usize = 20_000;

/// Record headers and beginnings of messages; bytes above 0x7f come from mutation.
const WORDS: &[&str] = &[
    "\u{14}\u{3}\u{3}\0\u{1}\u{1}",
    "\u{15}\u{3}\u{3}\0\u{2}",
    "\u{2}\u{28}",
    "\u{1}\0",
    "\u{16}\u{3}\u{3}\0",
    "\u{16}\u{3}\u{1}\0",
    "\u{17}\u{3}\u{3}\0",
    "\u{2}\0\0",
    "\u{3}\u{3}",
    "\u{13}\u{1}",
    "\0\u{2b}\0\u{2}\u{3}\u{4}",
    "\0\u{33}\0\u{24}\0\u{1d}\0 ",
    "HTTP/1.1 400",
    "\u{b}\0",
    "\u{e}\0\0\0",
];

fn seeds() -> Vec<Vec<u8>> {
    // A HelloRetryRequest has a fixed random (RFC 8446 section 4.1.3).
    const RETRY_RANDOM: [u8; 32] = [
        0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8,
        0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8,
        0x33, 0x9c,
    ];
    let hello = |random: [u8; 32], suite: [u8; 2], extensions: &[u8]| {
        let extensions_bytes = u8::try_from(extensions.len()).expect("a small seed");
        let body = [&[3, 3][..], &random, &[0], &suite, &[0, 0, extensions_bytes], extensions];
        let body = body.concat();
        let bytes = u8::try_from(body.len()).expect("a small seed");
        [&[22, 3, 3, 0, bytes + 4, 2, 0, 0, bytes][..], &body].concat()
    };
    let key_share = [&[0, 51, 0, 36, 0, 29, 0, 32][..], &[9; 32], &[0, 43, 0, 2, 3, 4]].concat();
    let streams = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        vec![21, 3, 3, 0, 2, 2, 40],
        vec![21, 3, 3, 0, 2, 1, 0],
        vec![22, 3, 3, 0, 4, 2, 0, 0xff, 0xf0, 22, 3, 3, 0, 1, 0],
        [hello([7; 32], [0x13, 1], &key_share), vec![20, 3, 3, 0, 1, 1], vec![23, 3, 3, 0, 40]]
            .concat(),
        [hello(RETRY_RANDOM, [0x13, 1], &[0, 51, 0, 2, 0, 23, 0, 43, 0, 2, 3, 4]), vec![0; 9]]
            .concat(),
        [hello([7; 32], [0xc0, 0x2b], &[0, 23, 0, 0]), vec![22, 3, 3, 0, 4, 14, 0, 0, 0]].concat(),
    ];
    (0..).zip(streams).map(|(choice, stream)| with_choices(&[choice], &stream)).collect()
}

static ANYBODY: LazyLock<TlsConfig> = LazyLock::new(|| {
    let options = TrustOptions { insecure: true, ..TrustOptions::default() };
    TlsConfig::new(&options).expect("no roots to be wrong")
});

fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let cuts = input.byte();
    let stream = input.rest();
    let stream = &stream[..stream.len().min(STREAM_BYTES_MAX)];
    let [whole, bytes, random] = Cuts::all(cuts).map(|cuts| feed(stream, cuts));
    assert_eq!(whole, random);
    // Every byte fed alone costs a record's work: long streams are cut coarsely only.
    if stream.len() <= 400 {
        assert_eq!(whole, bytes);
    }
}

/// The error, or how many bytes were left over and whether the peer closed.
fn feed(stream: &[u8], mut cuts: Cuts) -> Result<(usize, bool), ErrorKind> {
    let mut session = Session::new(&ANYBODY, "files.test").expect("a name");
    let first = session.pump(&mut [], &mut []).expect("nothing to object to");
    assert!(first.needs_input && !session.take_outgoing().is_empty());
    let (mut staging, mut at) = (Vec::new(), 0);
    while at < stream.len() && !session.peer_closed() {
        let piece = cuts.next(stream.len() - at);
        staging.extend_from_slice(&stream[at..at + piece]);
        at += piece;
        if let Err(kind) = pump_dry(&mut session, &mut staging) {
            let again = session.pump(&mut staging, &mut []).expect_err("failed is failed");
            assert_eq!(again.kind(), ErrorKind::Tls);
            return Err(kind);
        }
        assert!(session.is_handshaking(), "nobody can guess the keys");
    }
    if session.peer_closed() {
        return Ok((0, true));
    }
    Ok((staging.len(), false))
}

fn pump_dry(session: &mut Session, staging: &mut Vec<u8>) -> Result<(), ErrorKind> {
    loop {
        let mut output = [0xEE; 64];
        let pump = session.pump(staging, &mut output).map_err(|error| error.kind())?;
        assert_eq!((pump.produced, session.pending_plaintext()), (0, 0), "plaintext without keys");
        assert_eq!(output, [0xEE; 64]);
        staging.drain(..pump.consumed);
        let sent = session.take_outgoing().len();
        if pump.needs_input || session.peer_closed() {
            return Ok(());
        }
        assert!(pump.consumed + sent > 0, "a pump is progress");
    }
}
