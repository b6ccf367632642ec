//! The state of a batch, damaged or made up: a record that is read is written again the same and
//! may be sent to a server, and of a damaged log a prefix is found, never another record.

use super::Target;
use super::input::{Cuts, Input, with_choices};
use ringhaul::internal::base::limits::{LOG_RECORD_BYTES_MAX, STATE_TEXT_BYTES_MAX};
use ringhaul::internal::batch::state::{Record, peek};
use ringhaul::internal::disk::record_log::format::{
    FRAME_BYTES, Frame, HEADER_BYTES, Opening, Purpose, Scan, decode, encode,
};
use std::io::{self, Read};

pub(super) const TARGET: Target =
    Target { name: "state", run, seeds, words: WORDS, smoke_runs: 15_000 };

const WORDS: &[&str] = &[
    "ringhaul-batch\r\n",
    "\u{1}\0\0\0",
    "\u{1}",
    "\u{2}",
    "\0\0",
    "\u{6}\0status",
    "\u{7}\0connect",
    "\u{9}\0timed_out",
    "\u{3}\0\"a\"",
    "\r\n",
    "sha256:",
    "crc32c:e3069283",
];

const PURPOSE: Purpose =
    Purpose { magic: *b"ringhaul-batch\r\n", version: 1, noun: "a state", advice: "none" };

/// Choices: how the log arrives, the length of its records, where it is damaged and how. Then a
/// record, or several.
fn seeds() -> Vec<Vec<u8>> {
    let text = |text: &str| {
        let bytes = u16::try_from(text.len()).expect("short");
        [&bytes.to_le_bytes()[..], text.as_bytes()].concat()
    };
    let head = |tag: u8| [&[tag][..], &[0x61; 16], &7u64.to_le_bytes(), &[9; 8]].concat();
    let done = |form: u8, validator: &str, digest: &str| {
        let file = [4096u64.to_le_bytes(), 1_800_000_000i64.to_le_bytes()].concat();
        let file = [&head(1)[..], &file, &5u32.to_le_bytes(), &[form]].concat();
        [file, text(validator), text(digest)].concat()
    };
    let failed = |status: u16, kind: &str| {
        [&head(2)[..], &status.to_le_bytes(), &text(kind), &text("why")].concat()
    };
    let sha256 = format!("sha256:{}", "ab".repeat(32));
    let records = [
        done(1, "W/\"a\"", &sha256),
        done(2, "Sat, 28 Nov 2026 06:00:00 GMT", "crc32c:e3069283"),
        done(0, "", ""),
        failed(404, "status"),
        failed(0, "timed_out"),
    ];
    let together = records.concat();
    let one = records.into_iter().map(|record| with_choices(&[1, 60, 0, 90, 3], &record));
    one.chain([with_choices(&[2, 40, 1, 0, 1], &together)]).collect()
}

fn run(data: &[u8]) {
    let _ = decode(data);
    let _ = PURPOSE.opening(data);
    check_record(data);
    let mut input = Input::new(data);
    let (cuts, record_bytes, damage) = (input.byte(), input.byte(), input.u16());
    let mask = input.byte();
    let rest = input.rest();
    check_record(rest);
    let payloads: Vec<&[u8]> = rest.chunks(usize::from(record_bytes) + 1).collect();
    let mut log = PURPOSE.header().to_vec();
    payloads.iter().for_each(|payload| encode(payload, &mut log));
    assert_eq!(PURPOSE.opening(&log), Opening::Ours);
    for cuts in Cuts::all(cuts) {
        assert_eq!(read(&log, cuts), payloads);
    }
    let at = usize::from(damage) % log.len();
    if mask == 0 {
        log.truncate(at);
    } else {
        log[at] ^= mask;
    }
    if at < HEADER_BYTES {
        assert_ne!(PURPOSE.opening(&log), Opening::Ours);
        return;
    }
    let found = read(&log, Cuts::Whole);
    let before = payloads.iter().scan(HEADER_BYTES, |end, payload| {
        *end += FRAME_BYTES + payload.len();
        Some(*end)
    });
    let whole = before.take_while(|end| *end <= at).count();
    assert!(found.len() <= payloads.len() && found[..] == payloads[..found.len()], "a prefix");
    // A length that was changed may swallow the record, and no byte before it.
    assert_eq!(found.len(), whole, "everything before the damage, and nothing behind it");
}

/// A record that is read is written again the same, within the bounds.
fn check_record(bytes: &[u8]) {
    let Some((key, record)) = Record::decode(bytes) else { return };
    assert_eq!(peek(bytes).map(|(_, key)| key), Some(key));
    let again = record.encode(&key);
    assert!(again.len() <= LOG_RECORD_BYTES_MAX);
    match &record {
        Record::Done(done) => {
            if let Some(validator) = &done.validator {
                let (_, value) = validator.condition();
                assert!(!value.is_empty() && !value.contains(char::is_control), "{value:?}");
            }
        }
        Record::Failed(failed) => assert!(failed.text.len() <= STATE_TEXT_BYTES_MAX),
    }
    assert_eq!(Record::decode(&again), Some((key, record)));
    let mut framed = Vec::new();
    encode(&again, &mut framed);
    assert_eq!(decode(&framed), Frame::Whole(&again));
}

/// The payloads of a log that arrives in such pieces.
fn read(log: &[u8], cuts: Cuts) -> Vec<Vec<u8>> {
    let mut scan = Scan::new(Pieces { bytes: &log[HEADER_BYTES..], cuts }, HEADER_BYTES as u64);
    let mut found = Vec::new();
    while let Some((_, payload)) = scan.next_record().expect("memory does not fail") {
        found.push(payload.to_vec());
    }
    assert!(scan.end() <= log.len() as u64);
    found
}

struct Pieces<'a> {
    bytes: &'a [u8],
    cuts: Cuts,
}

impl Read for Pieces<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let bytes = self.cuts.next(self.bytes.len()).min(self.bytes.len()).min(out.len());
        let (piece, rest) = self.bytes.split_at(bytes);
        out[..bytes].copy_from_slice(piece);
        self.bytes = rest;
        Ok(bytes)
    }
}
