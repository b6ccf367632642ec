//! Journals, damaged or made up: what is read keeps every rule of the format, is written again the
//! same, and one flipped bit never makes other runs of it.

use super::Target;
use super::input::{Input, with_choices};
use ringhaul::internal::base::limits::SPAN_ALIGN_BYTES;
use ringhaul::internal::digest::crc::crc32c;
use ringhaul::internal::disk::journal::format::{Decoded, decode};

pub(super) const TARGET: Target =
    Target { name: "journal", run, seeds, words: WORDS, smoke_runs: 15_000 };

const WORDS: &[&str] = &[
    "ringhaul-journal",
    "\u{1}\0\0\0",
    "\0\0\0\0",
    "\0\0\0\0\0\0\0\0",
    "\0\u{10}\0\0\0\0\0\0",
    "\0 \0\0\0\0\0\0",
    "\u{2}\0\0\0",
    "\u{10}'\0\0\0\0\0\0",
    "http://h/",
];

/// Where a header keeps its own length and the room for a slot, and a slot the count of its runs.
const HEADER_BYTES_AT: usize = 20;
const SLOT_BYTES_AT: usize = 32;
const COUNT_AT: usize = 16;
const SLOT_BYTES_MIN: usize = 24;
const RUN_BYTES: usize = 20;

/// Choices: what is repaired, the bit that is flipped, the lengths of header and first slot. Then
/// the two, and the second slot, all without the padding between them.
fn seeds() -> Vec<Vec<u8>> {
    let header = |total: u64, texts: [Option<&str>; 3]| {
        let mut out = [&b"ringhaul-journal"[..], &1u32.to_le_bytes(), &[0; 4]].concat();
        for number in [77, 4096, total, 2, 3] {
            out.extend(u64::to_le_bytes(number));
        }
        for text in texts {
            let bytes = text.map_or(u32::MAX, |text| u32::try_from(text.len()).expect("short"));
            out.extend(bytes.to_le_bytes());
            out.extend(text.unwrap_or_default().as_bytes());
        }
        [out, vec![0; 4]].concat()
    };
    let slot = |seq: u64, runs: &[(u64, u64)]| {
        let count = u32::try_from(runs.len()).expect("few");
        let mut out = [77u64.to_le_bytes(), seq.to_le_bytes()].concat();
        out.extend(count.to_le_bytes());
        for (start, end) in runs {
            out.extend([start.to_le_bytes(), end.to_le_bytes()].concat());
            out.extend([9; 4]);
        }
        [out, vec![0; 4]].concat()
    };
    let plain = header(10_000, [Some("http://h/f"), None, None]);
    let full = header(1 << 40, [Some("https://h/f"), Some("etag \"a\""), Some("sha256:00")]);
    let seeds = [
        (&plain, slot(1, &[(0, 4096)]), slot(2, &[(0, 4096), (8192, 10_000)])),
        (&full, slot(8, &[(0, 1 << 39), (1 << 39, 1 << 40)]), slot(7, &[])),
        (&plain, slot(1, &[(0, 10_000)]), vec![]),
    ];
    let pack = |(header, a, b): (&Vec<u8>, Vec<u8>, Vec<u8>), repair: u8| {
        let length = |part: &Vec<u8>| u16::try_from(part.len()).expect("short").to_be_bytes();
        let choices = [&[repair, 1, 50][..], &length(header), &length(&a)].concat();
        with_choices(&choices, &[&header[..], &a, &b].concat())
    };
    seeds.into_iter().flat_map(|seed| [3, 2].map(|repair| pack(seed.clone(), repair))).collect()
}

fn run(data: &[u8]) {
    let _ = decode(data);
    let mut input = Input::new(data);
    let (repair, flip) = (input.byte(), usize::from(input.u16()));
    let (header_bytes, slot_bytes) = (usize::from(input.u16()), usize::from(input.u16()));
    let rest = input.rest();
    let (header, rest) = rest.split_at(header_bytes.min(rest.len()));
    let (a, b) = rest.split_at(slot_bytes.min(rest.len()));
    let mut parts = [header.to_vec(), a.to_vec(), b.to_vec()];
    if repair & 1 != 0 {
        repair_header(&mut parts[0]);
    }
    if repair & 2 != 0 {
        parts[1..].iter_mut().for_each(|slot| repair_slot(slot));
    }
    let Ok(decoded) = decode(&image(&parts)) else { return };
    rules_hold(&decoded);
    let again = decoded.header.image(&decoded.slot);
    assert_eq!(decode(&again), Ok(decoded.clone()), "written again");
    // Which slots there are: each alone, with the other one empty.
    let alone = [1, 2].map(|other| {
        let mut parts = parts.clone();
        parts[other].clear();
        decode(&image(&parts)).ok()
    });
    assert!(alone.contains(&Some(decoded.clone())));
    let newest = alone.iter().flatten().map(|decoded| decoded.slot.seq).max();
    assert_eq!(Some(decoded.slot.seq), newest);
    if flip_bit(&mut parts, flip)
        && let Ok(flipped) = decode(&image(&parts))
    {
        assert!(alone.contains(&Some(flipped)), "one bit made other runs");
    }
}

fn rules_hold(decoded: &Decoded) {
    let total = decoded.header.identity.total;
    let mut end_before = 0;
    for run in &decoded.slot.runs {
        let (start, end) = (run.span.start(), run.span.end());
        assert!(end_before <= start && start < end && end <= total, "{decoded:?}");
        assert!(start.is_multiple_of(SPAN_ALIGN_BYTES));
        assert!(end.is_multiple_of(SPAN_ALIGN_BYTES) || end == total);
        end_before = end;
    }
}

/// The parts at their places, if the header names a place that is not too large for a test.
fn image(parts: &[Vec<u8>; 3]) -> Vec<u8> {
    const SLOT_BYTES_MAX: u64 = 1 << 16;
    let named = parts[0].get(SLOT_BYTES_AT..SLOT_BYTES_AT + 8);
    let named = named.map_or(0, |b| u64::from_le_bytes(b.try_into().expect("8 bytes")));
    let place = if named <= SLOT_BYTES_MAX { named } else { SPAN_ALIGN_BYTES };
    let place = usize::try_from(place).expect("bounded above");
    let align = usize::try_from(SPAN_ALIGN_BYTES).expect("a page");
    let mut image = parts[0].clone();
    image.resize(image.len().next_multiple_of(align), 0);
    for slot in &parts[1..] {
        let end = image.len() + place;
        image.extend(slot);
        image.resize(end, 0);
    }
    image
}

fn repair_header(header: &mut [u8]) {
    let len = u32::try_from(header.len()).expect("its length has 16 bits");
    if let Some(field) = header.get_mut(HEADER_BYTES_AT..HEADER_BYTES_AT + 4) {
        field.copy_from_slice(&len.to_le_bytes());
    }
    seal(header);
}

fn repair_slot(slot: &mut [u8]) {
    let Some(count) = slot.get(COUNT_AT..COUNT_AT + 4) else { return };
    let count = u32::from_le_bytes(count.try_into().expect("4 bytes")) as usize;
    let bytes = SLOT_BYTES_MIN + RUN_BYTES * count;
    if let Some(used) = slot.get_mut(..bytes) {
        seal(used);
    }
}

/// Ends `part` with its CRC.
fn seal(part: &mut [u8]) {
    if let Some((body, crc)) = part.split_last_chunk_mut() {
        *crc = crc32c(body).to_le_bytes();
    }
}

/// Flips one bit, unless it stands in a length: those move the CRC, and then chance, or a fuzzer
/// that watches comparisons, may find one that fits.
fn flip_bit(parts: &mut [Vec<u8>; 3], flip: usize) -> bool {
    let (part, bit) = (flip % 3, flip / 3);
    let at = bit / 8;
    let lengths = if part == 0 { HEADER_BYTES_AT } else { COUNT_AT };
    if at >= parts[part].len() || (lengths..lengths + 4).contains(&at) {
        return false;
    }
    parts[part][at] ^= 1 << (bit % 8);
    true
}
