//! The codec against round trips, flipped bits, cuts, and bytes that are no journal at all.

use super::*;
use proptest::prelude::*;

fn identity(total: u64) -> Identity {
    let (url, validator) = ("https://h/f".into(), Some("\"v1\"".into()));
    Identity { url, total, validator, digest: None, cut: None }
}

const PART: PartId = PartId { device: 7, inode: 99 };

fn run(start: u64, end: u64, crc32c: u32) -> Run {
    Run { span: Span::new(start, end), crc32c }
}

/// A journal whose two slots both hold something: seq 4 in slot 0, seq 5 in slot 1.
fn two_slots(total: u64, old: &[Run], new: &[Run]) -> (Header, Vec<u8>) {
    let header = Header::with_places(5, identity(total), PART, 40).unwrap();
    let mut image = header.image(&Slot { seq: 4, runs: old.to_vec() });
    let slot = Slot { seq: 5, runs: new.to_vec() }.encode(header.id);
    let start = usize::try_from(header.slot_offset(1)).unwrap();
    image[start..start + slot.len()].copy_from_slice(&slot);
    (header, image)
}

fn arb_runs() -> impl Strategy<Value = (u64, Vec<Run>)> {
    (proptest::collection::vec((0..3u64, 1..4u64, any::<u32>()), 0..20), 1..4096u64).prop_map(
        |(parts, tail)| {
            let (mut at, mut runs) = (0, Vec::new());
            for (gap, pages, crc32c) in parts {
                let start = at + gap * 4096;
                at = start + pages * 4096;
                runs.push(run(start, at, crc32c));
            }
            runs.push(run(at, at + tail, 77));
            (at + tail, runs)
        },
    )
}

fn arb_text() -> impl Strategy<Value = String> {
    proptest::collection::vec(any::<char>(), 0..40).prop_map(|chars| chars.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_goes_in_comes_out(
        (total, runs) in arb_runs(), id: u64, device: u64, inode: u64, url in arb_text(),
        validator in proptest::option::of(arb_text()), digest in proptest::option::of(arb_text()),
        slice in proptest::option::of((1..9u64, 9..100_000u64)),
        modified_s in proptest::option::of(0..u64::MAX),
    ) {
        let span = Span::new(total / 8192 * 4096, total);
        let slice = slice.map(|(index, count)| Slice::new(index, count).unwrap());
        let cut = slice.map(|slice| Cut { slice, span, modified_s });
        let identity = Identity { url, total, validator, digest, cut };
        let header = Header::new(id, identity, PartId { device, inode }).unwrap();
        prop_assert_eq!(&header.fitting(runs.clone()), &runs);
        let slot = Slot { seq: 1, runs };
        let decoded = decode(&header.image(&slot)).unwrap();
        prop_assert_eq!(decoded, Decoded { header, slot });
    }

    #[test]
    fn a_flipped_bit_never_yields_other_runs((total, runs) in arb_runs(), at: u32) {
        let old = &runs[..runs.len() / 2];
        let (header, mut image) = two_slots(total, old, &runs);
        let bit = at as usize % (image.len() * 8);
        image[bit / 8] ^= 1 << (bit % 8);
        if let Ok(decoded) = decode(&image) {
            prop_assert_eq!(decoded.header, header);
            prop_assert!(decoded.slot.runs == runs || decoded.slot.runs == old);
        }
    }

    #[test]
    fn a_cut_journal_is_damaged((total, runs) in arb_runs(), at: u32) {
        let (_, image) = two_slots(total, &[], &runs);
        prop_assert_eq!(decode(&image[..at as usize % image.len()]), Err(Flaw::Damaged));
    }

    #[test]
    fn random_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert_ne!(decode(&bytes).err(), None);
        let behind_magic: Vec<u8> =
            MAGIC.into_iter().chain(VERSION.to_le_bytes()).chain(bytes).collect();
        prop_assert_eq!(decode(&behind_magic), Err(Flaw::Damaged));
    }

    /// Fields of any value, with CRCs that fit: what a fuzzer finds last.
    #[test]
    fn any_field_with_a_fitting_crc_does_no_harm(
        numbers in proptest::array::uniform5(any::<u64>()), texts in
        proptest::array::uniform3(any::<u32>()), count: u32, filler in 0..9000usize,
    ) {
        let mut bytes: Vec<u8> = MAGIC.into_iter().chain(VERSION.to_le_bytes()).collect();
        bytes.extend(u32::try_from(HEADER_BYTES_MIN).unwrap().to_le_bytes());
        numbers.iter().for_each(|n| bytes.extend(n.to_le_bytes()));
        texts.iter().for_each(|n| bytes.extend(n.to_le_bytes()));
        bytes.extend(crc32c(&bytes).to_le_bytes());
        bytes.resize(4096, 0);
        bytes.extend([0; 16]);
        bytes.extend(count.to_le_bytes());
        bytes.resize(4096 + filler, 0);
        prop_assert_ne!(decode(&bytes).err(), None);
    }

    #[test]
    fn runs_of_any_value_are_refused_or_right(
        numbers in proptest::collection::vec((any::<u64>(), any::<u64>()), 1..4), small: bool,
    ) {
        let total = 1 << 20;
        let header = Header::with_places(5, identity(total), PART, 40).unwrap();
        let mut slot: Vec<u8> = 5u64.to_le_bytes().into_iter().chain(1u64.to_le_bytes()).collect();
        slot.extend(u32::try_from(numbers.len()).unwrap().to_le_bytes());
        for (start, end) in numbers {
            let pages = |n: u64| if small { n % 300 * 4096 } else { n };
            slot.extend(pages(start).to_le_bytes());
            slot.extend(pages(end).to_le_bytes());
            slot.extend([0; 4]);
        }
        slot.extend(crc32c(&slot).to_le_bytes());
        if let Some(slot) = Slot::decode(&slot, &header) {
            let mut end = 0;
            for run in &slot.runs {
                prop_assert!(run.span.start() >= end && run.span.end() <= total);
                prop_assert!(!run.span.is_empty());
                end = run.span.end();
            }
        }
    }
}

#[test]
fn the_newest_valid_slot_counts() {
    let (old, new) = ([run(0, 4096, 1)], [run(0, 8192, 2)]);
    let (header, image) = two_slots(10_000, &old, &new);
    assert_eq!(decode(&image).unwrap().slot.runs, new);
    for (spoiled, left) in [(0, &new), (1, &old)] {
        let mut image = image.clone();
        image[usize::try_from(header.slot_offset(spoiled)).unwrap() + 30] ^= 1;
        assert_eq!(decode(&image).unwrap().slot.runs, left);
    }
    let mut image = image;
    for slot in [0, 1] {
        image[usize::try_from(header.slot_offset(slot)).unwrap()] ^= 1;
    }
    assert_eq!(decode(&image), Err(Flaw::Damaged));
}

#[test]
fn slots_of_another_journal_do_not_fit() {
    let (header, mut image) = two_slots(10_000, &[], &[]);
    let foreign = Slot { seq: 9, runs: vec![run(0, 4096, 1)] }.encode(header.id + 1);
    let start = usize::try_from(header.slot_offset(0)).unwrap();
    image[start..start + foreign.len()].copy_from_slice(&foreign);
    assert_eq!(decode(&image).unwrap().slot, Slot { seq: 5, runs: vec![] });
}

#[test]
fn other_versions_and_other_files_are_told_apart() {
    let (_, mut image) = two_slots(10_000, &[], &[]);
    for version in [2, 4] {
        image[16] = version;
        assert_eq!(decode(&image), Err(Flaw::Version(version.into())));
    }
    // The journal of a slice says which.
    image[16] = 3;
    assert_eq!(decode(&image), Err(Flaw::Damaged));
    assert_eq!(decode(b"a letter to my aunt"), Err(Flaw::Foreign));
    assert_eq!(decode(b""), Err(Flaw::Damaged));
    assert!(is_ours(b"ringhaul") && !is_ours(b"ringhaul-joke"));
}

#[test]
fn what_has_no_room_is_left_out() {
    let header = Header::with_places(5, identity(1 << 40), PART, 3).unwrap();
    let count = header.places();
    let runs: Vec<Run> = (0..count + 5).map(|i| run(i * 8192, i * 8192 + 4096, 0)).collect();
    let fitting = header.fitting(runs.clone());
    assert_eq!(fitting, runs[..usize::try_from(count).unwrap()]);
    let slot = Slot { seq: 1, runs: fitting };
    assert!(slot.encode(5).len() as u64 <= header.slot_bytes, "slots never overlap");
    assert_eq!(decode(&header.image(&slot)).unwrap().slot, slot);
    // Neither is what does not end where a span may end.
    assert!(header.fitting(vec![run(0, 100, 0), run(4096, 4097, 0)]).is_empty());
}

/// Numbers that no slice has, with a CRC that fits.
#[test]
fn a_slice_that_is_none_is_damage() {
    let of = |index: u32, count: u32, start: u64, end: u64| {
        let slice = Slice::new(1, 2).unwrap();
        let cut = Some(Cut { slice, span: Span::new(0, 4096), modified_s: None });
        let header = Header::new(5, Identity { cut, ..identity(10_000) }, PART).unwrap();
        let mut image = header.image(&Slot { seq: 1, runs: vec![] });
        let end_at = header.bytes() - 4;
        let fields = [index, count].map(u32::to_le_bytes).concat();
        let fields = [fields, [start, end].map(u64::to_le_bytes).concat()].concat();
        image[end_at - CUT_BYTES..][..fields.len()].copy_from_slice(&fields);
        let crc = crc32c(&image[..end_at]);
        image[end_at..end_at + 4].copy_from_slice(&crc.to_le_bytes());
        decode(&image).map(|decoded| decoded.header.identity.cut)
    };
    let fine = of(2, 2, 4096, 10_000).unwrap().unwrap();
    assert_eq!((fine.slice.index(), fine.span), (2, Span::new(4096, 10_000)));
    for (index, count, start, end) in [
        (0, 2, 0, 4096),
        (3, 2, 0, 4096),
        (1, 0, 0, 4096),
        (1, u32::MAX, 0, 4096),
        (1, 2, 4096, 0),
        (1, 2, 1, 4096),
        (1, 2, 0, 4097),
        (1, 2, 8192, 12_288),
        (1, 2, 0, u64::MAX),
    ] {
        assert_eq!(
            of(index, count, start, end),
            Err(Flaw::Damaged),
            "{index}/{count} {start}..{end}"
        );
    }
}

#[test]
fn the_largest_file_has_a_journal() {
    for total in [0, 1, 1 << 20, (1 << 36) + 1, u64::MAX] {
        let header = Header::new(1, identity(total), PART).unwrap();
        let image = header.image(&Slot { seq: 1, runs: vec![] });
        assert!(image.len() as u64 <= JOURNAL_BYTES_MAX);
        assert_eq!(decode(&image).unwrap().header, header);
        assert!(total.div_ceil(run_bytes_max(total)) <= JOURNAL_RUNS_MAX);
    }
}

#[test]
fn texts_are_bounded() {
    let mut long = identity(1);
    long.validator = Some("v".repeat(JOURNAL_TEXT_BYTES_MAX + 1));
    assert_eq!(Header::new(1, long, PART).unwrap_err().kind(), ErrorKind::Usage);
}
