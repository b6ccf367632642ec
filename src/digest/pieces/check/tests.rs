//! Pieces against a model: a file in memory, bytes that arrive in any order, and some that are not
//! what they should be.

#![allow(clippy::cast_possible_truncation, reason = "test data is small")]

use super::*;
use crate::base::ErrorKind;
use crate::base::limits::{PIECE_BYTES_MAX, PIECE_BYTES_MIN, PIECES_MAX};
use crate::digest::Algorithm;
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::BTreeMap;

const KIB: u64 = 1024;

fn bytes_of_file(total: u64) -> Vec<u8> {
    (0..=250u8).cycle().take(total as usize).collect()
}

fn hashes(algorithm: Algorithm, length_bytes: u64, file: &[u8]) -> PieceHashes {
    let digest = |piece: &[u8]| {
        let mut hasher = algorithm.hasher();
        hasher.update(piece);
        hasher.finish().bytes
    };
    let digests: Vec<Vec<u8>> = file.chunks(length_bytes as usize).map(digest).collect();
    PieceHashes::new(algorithm, length_bytes, file.len() as u64, &digests).unwrap()
}

fn check(length_bytes: u64, file: &[u8]) -> PieceCheck {
    PieceCheck::new(hashes(Algorithm::Crc32c, length_bytes, file))
}

fn part(file: &[u8], span: Span) -> &[u8] {
    &file[span.start() as usize..span.end() as usize]
}

fn verdicts(check: &mut PieceCheck) -> Vec<(u64, bool)> {
    std::iter::from_fn(|| check.next_verdict()).map(|v| (v.piece, v.is_good)).collect()
}

fn unhashed(check: &PieceCheck) -> Vec<Span> {
    check.unhashed().collect()
}

#[test]
fn piece_hashes_have_to_make_the_file() {
    let digests = |count: usize| vec![vec![0; 20]; count];
    let new = |length, total, digests: &[Vec<u8>]| {
        PieceHashes::new(Algorithm::Sha1, length, total, digests)
    };
    for (total, count) in [(0, 0), (1, 1), (1024, 1), (1025, 2)] {
        let hashes = new(KIB, total, &digests(count)).unwrap();
        assert_eq!(hashes.count(), count as u64);
        for wrong in [count + 1, count.wrapping_sub(1)].into_iter().filter(|wrong| *wrong < 9) {
            let error = new(KIB, total, &digests(wrong)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert!(error.to_string().contains("piece hashes for the"), "{error}");
        }
    }
    for length in [0, PIECE_BYTES_MIN - 1, PIECE_BYTES_MAX + 1, u64::MAX] {
        assert!(new(length, 1, &digests(1)).is_err(), "{length}");
    }
    let error = new(KIB, 1025, &[vec![0; 20], vec![0; 19]]).unwrap_err();
    assert!(error.to_string().contains("the sha1 of piece 2 has 19 bytes instead of 20"));
    let many = vec![Vec::new(); PIECES_MAX + 1];
    let error = new(KIB, KIB * (PIECES_MAX as u64 + 1), &many).unwrap_err();
    assert!(error.to_string().contains("more than 1000000"), "{error}");
}

#[test]
fn the_size_of_the_file_may_become_known_later() {
    let unsized_hashes =
        PieceHashes::of_any_size(Algorithm::Sha1, KIB, &vec![vec![0; 20]; 3]).unwrap();
    assert_eq!((unsized_hashes.size_bytes(), unsized_hashes.total_bytes()), (None, 3 * KIB));
    let sized = unsized_hashes.clone().of_size(2049).unwrap();
    assert_eq!((sized.size_bytes(), sized.span(2)), (Some(2049), Span::new(2048, 2049)));
    for wrong in [2048, 3073] {
        assert_eq!(unsized_hashes.clone().of_size(wrong).unwrap_err().kind(), ErrorKind::Usage);
    }
    let error = sized.of_size(2050).unwrap_err();
    assert!(error.to_string().contains("of a file of 2049 bytes, not of 2050"), "{error}");
}

#[test]
fn pieces_know_where_they_lie() {
    let hashes = hashes(Algorithm::Crc32, KIB, &bytes_of_file(2500));
    assert_eq!(hashes.span(0), Span::new(0, 1024));
    assert_eq!(hashes.span(2), Span::new(2048, 2500));
    assert_eq!(hashes.touched(Span::new(0, 0)), 0..0);
    assert_eq!(hashes.touched(Span::new(1023, 1025)), 0..2);
    assert_eq!(hashes.touched(Span::new(1024, 2048)), 1..2);
    assert_eq!(hashes.touched(Span::new(2499, u64::MAX)), 2..3);
    assert_eq!(hashes.touched(Span::new(2500, 9999)), 0..0, "beyond the file");
}

#[test]
fn bytes_in_order_are_judged_from_memory() {
    let file = bytes_of_file(2500);
    for algorithm in [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Blake3, Algorithm::Md5] {
        let mut check = PieceCheck::new(hashes(algorithm, KIB, &file));
        for (offset, bytes) in (0..).step_by(700).zip(file.chunks(700)) {
            assert!(!check.is_complete());
            check.on_bytes(offset, bytes);
            check.on_written(Span::with_len(offset, bytes.len() as u64));
            assert!(unhashed(&check).is_empty());
        }
        assert_eq!(verdicts(&mut check), [(0, true), (1, true), (2, true)], "{algorithm}");
        assert!(check.is_complete());
        assert_eq!(check.good().iter().collect::<Vec<_>>(), [Span::new(0, 2500)]);
    }
    assert!(PieceCheck::new(hashes(Algorithm::Sha1, KIB, &[])).is_complete());
}

#[test]
fn a_bad_piece_is_found_alone_and_comes_again() {
    let file = bytes_of_file(4096);
    let mut check = check(KIB, &file);
    let mut other = file.clone();
    other[2047] ^= 1;
    check.on_bytes(0, &other);
    assert_eq!(verdicts(&mut check), [(0, true), (1, false), (2, true), (3, true)]);
    check.on_bytes(0, &file);
    check.on_written(Span::new(0, 4096));
    assert!(verdicts(&mut check).is_empty(), "what is judged stays judged");
    assert!(unhashed(&check).is_empty() && check.written.is_empty());
    check.forget(Span::new(1024, 2048));
    assert_eq!(check.good().covered(), 3072);
    check.on_bytes(1024, &file[1024..2000]);
    check.on_bytes(2000, &file[2000..3000]);
    assert_eq!(verdicts(&mut check), [(1, true)]);
    assert!(check.is_complete());
}

#[test]
fn bytes_behind_a_gap_are_read_back_from_where_hashing_stopped() {
    let file = bytes_of_file(4096);
    let mut check = check(2048, &file);
    check.on_bytes(1000, &file[1000..3000]);
    check.on_written(Span::new(1000, 3000));
    assert!(unhashed(&check).is_empty(), "nothing is whole");
    check.on_bytes(0, &file[..900]);
    assert!(unhashed(&check).is_empty(), "bytes are missing");
    check.on_bytes(900, &file[900..1000]);
    assert_eq!(unhashed(&check), [Span::new(1000, 2048)]);
    check.on_bytes(1000, &file[1000..1500]);
    assert_eq!(unhashed(&check), [Span::new(1500, 2048)], "a part will do");
    check.on_bytes(1400, &file[1400..2048]);
    assert_eq!(verdicts(&mut check), [(0, true)]);
    check.on_bytes(3000, &file[3000..]);
    assert_eq!(verdicts(&mut check), [(1, true)], "it was hashed from its start on");
}

#[test]
fn what_an_earlier_run_left_is_read_back() {
    let file = bytes_of_file(5000);
    let mut check = check(KIB, &file);
    check.on_written(Span::new(500, 3500));
    check.on_written(Span::new(4096, 9999));
    let whole = [Span::new(1024, 2048), Span::new(2048, 3072), Span::new(4096, 5000)];
    assert_eq!(unhashed(&check), whole);
    while let Some(span) = check.next_unhashed() {
        check.on_bytes(span.start(), part(&file, span));
    }
    assert_eq!(verdicts(&mut check), [(1, true), (2, true), (4, true)]);
}

#[test]
fn a_busy_piece_takes_no_other_bytes() {
    let file = bytes_of_file(2048);
    let mut check = check(2048, &file);
    let mut first = check.take(Span::new(0, 1000));
    assert!(check.take(Span::new(1000, 2048)).is_empty());
    check.on_written(Span::new(0, 2048));
    assert!(unhashed(&check).is_empty(), "while it is busy");
    let mut work = first.remove(0);
    assert_eq!(work.span(), Span::new(0, 1000));
    work.hash(0, &file[..1500]);
    check.put_back(work);
    assert_eq!(unhashed(&check), [Span::new(1000, 2048)]);
    check.on_bytes(1000, &file[1000..]);
    assert_eq!(verdicts(&mut check), [(0, true)]);
}

#[test]
fn what_is_forgotten_while_it_is_hashed_does_not_count() {
    let file = bytes_of_file(2048);
    let mut check = check(2048, &file);
    let mut lost = check.take(Span::new(0, 2048)).remove(0);
    lost.hash(0, &[0; 2048]);
    check.on_written(Span::new(0, 2048));
    check.forget(Span::new(0, 1));
    assert!(unhashed(&check).is_empty(), "a byte is missing");
    check.on_bytes(0, &file[..1]);
    check.put_back(lost);
    assert!(verdicts(&mut check).is_empty());
    assert_eq!(unhashed(&check), [Span::new(1, 2048)], "the others are there");
    check.on_bytes(1, &file[1..]);
    assert_eq!(verdicts(&mut check), [(0, true)]);
    check.forget(Span::new(0, 1));
    check.on_bytes(0, &file);
    check.forget(Span::new(2047, 2048));
    assert!(verdicts(&mut check).is_empty(), "a verdict that nobody has taken");
}

#[test]
fn a_forgotten_part_behind_the_hashed_one_costs_no_hashing() {
    let file = bytes_of_file(2048);
    let mut check = check(2048, &file);
    check.on_bytes(0, &file[..1000]);
    check.on_written(Span::new(0, 1500));
    check.forget(Span::new(1000, 1500));
    check.on_bytes(1000, &file[1000..]);
    assert_eq!(verdicts(&mut check), [(0, true)]);
    check.forget(Span::new(2000, 2001));
    assert_eq!(check.good().covered(), 0, "half a piece proves nothing");
    check.on_written(Span::new(2000, 2001));
    assert_eq!(unhashed(&check), [Span::new(0, 2048)]);
}

#[test]
fn hashers_are_bounded_and_further_pieces_are_read_back() {
    let count = PIECES_UNDER_WAY_MAX as u64 + 3;
    let file = bytes_of_file(count * KIB);
    let mut check = check(KIB, &file);
    let mut taken = 0;
    for piece in 0..count {
        let span = Span::with_len(piece * KIB, 100);
        for mut work in check.take(span) {
            taken += 1;
            work.hash(span.start(), part(&file, span));
            check.put_back(work);
        }
    }
    assert_eq!(taken, PIECES_UNDER_WAY_MAX);
    let last = (count - 1) * KIB;
    check.on_bytes(last, &file[last as usize..]);
    assert_eq!(verdicts(&mut check), [(count - 1, true)], "a whole one needs no room");
    check.on_written(Span::new(0, count * KIB));
    for piece in [count - 2, 5] {
        let start = piece * KIB;
        check.on_bytes(start, &file[start as usize..][..600]);
        check.on_bytes(start + 600, &file[start as usize + 600..][..424]);
        assert_eq!(verdicts(&mut check), [(piece, true)], "read back in parts");
    }
}

/// Where the bytes of the model are.
struct Model {
    check: PieceCheck,
    /// The bytes as they arrive.
    sent: Vec<u8>,
    /// The bytes in the file.
    disk: Vec<u8>,
    on_disk: SpanSet,
    to_come: Vec<Span>,
    to_write: Vec<Span>,
    to_put_back: Vec<PieceWork>,
    found: BTreeMap<u64, bool>,
}

impl Model {
    fn new(check: PieceCheck, sent: Vec<u8>, to_come: Vec<Span>) -> Self {
        Self {
            check,
            disk: vec![0xee; sent.len()],
            sent,
            on_disk: SpanSet::new(),
            to_come,
            to_write: Vec::new(),
            to_put_back: Vec::new(),
            found: BTreeMap::new(),
        }
    }

    fn step(&mut self, action: u8, which: Index) {
        match action {
            0..=2 if !self.to_come.is_empty() => self.arrive(which),
            3..=4 if !self.to_put_back.is_empty() => {
                let work = self.to_put_back.remove(which.index(self.to_put_back.len()));
                self.check.put_back(work);
            }
            5..=6 if !self.to_write.is_empty() => self.write(which),
            _ => self.read_back(which),
        }
        self.judge();
    }

    /// A piece of the stream arrives; some of the work on it takes its time.
    fn arrive(&mut self, which: Index) {
        let span = self.to_come.remove(which.index(self.to_come.len()));
        for mut work in self.check.take(span) {
            work.hash(span.start(), part(&self.sent, span));
            self.to_put_back.push(work);
        }
        self.to_write.push(span);
    }

    fn write(&mut self, which: Index) {
        let span = self.to_write.remove(which.index(self.to_write.len()));
        let (start, end) = (span.start() as usize, span.end() as usize);
        self.disk[start..end].copy_from_slice(&self.sent[start..end]);
        self.on_disk.insert(span);
        self.check.on_written(span);
    }

    fn read_back(&mut self, which: Index) {
        let open = unhashed(&self.check);
        if open.is_empty() {
            return;
        }
        let span = open[which.index(open.len())];
        assert!(self.on_disk.covers(span), "{span} can be read");
        let (head, _) = span.split_at(span.start() + 1 + which.index(span.len() as usize) as u64);
        self.check.on_bytes(head.start(), part(&self.disk, head));
    }

    fn judge(&mut self) {
        while let Some(verdict) = self.check.next_verdict() {
            assert_eq!(verdict.span, self.check.hashes().span(verdict.piece));
            let again = self.found.insert(verdict.piece, verdict.is_good);
            assert_eq!(again, None, "a piece is judged once");
        }
    }

    /// Everything arrives, is written and read back.
    fn finish(&mut self, which: Index) {
        while !self.to_come.is_empty() {
            self.arrive(which);
        }
        while let Some(work) = self.to_put_back.pop() {
            self.check.put_back(work);
        }
        while !self.to_write.is_empty() {
            self.write(which);
        }
        while self.check.next_unhashed().is_some() {
            self.read_back(which);
        }
        self.judge();
    }
}

/// Cuts `total` bytes at random and shuffles the parts.
fn parts(total: u64) -> impl Strategy<Value = Vec<Span>> {
    prop::collection::vec(0..=total, 0..14)
        .prop_map(move |mut cuts| {
            cuts.extend([0, total]);
            cuts.sort_unstable();
            cuts.dedup();
            cuts.windows(2).map(|two| Span::new(two[0], two[1])).collect::<Vec<_>>()
        })
        .prop_shuffle()
}

fn steps() -> impl Strategy<Value = Vec<(u8, Index)>> {
    prop::collection::vec((0u8..9, any::<Index>()), 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None, ..ProptestConfig::with_cases(400)
    })]

    #[test]
    fn every_piece_is_judged_as_what_was_written_of_it(
        length in KIB..4 * KIB,
        (total, first, second) in (1u64..12_000).prop_flat_map(|total| {
            (Just(total), parts(total), parts(total))
        }),
        steps_first in steps(),
        steps_second in steps(),
        damaged in prop::collection::vec(any::<Index>(), 0..3),
        last in any::<Index>(),
    ) {
        let file = bytes_of_file(total);
        let check = check(length, &file);
        let mut sent = file.clone();
        let damaged: Vec<u64> = damaged.iter().map(|at| at.index(sent.len()) as u64).collect();
        damaged.iter().for_each(|at| sent[*at as usize] = 255);
        let is_damaged = |span: Span| damaged.iter().any(|at| span.contains(*at));

        let mut model = Model::new(check, sent, first);
        steps_first.into_iter().for_each(|(action, which)| model.step(action, which));
        model.finish(last);
        let hashes = model.check.hashes().clone();
        for piece in 0..hashes.count() {
            let is_good = !is_damaged(hashes.span(piece));
            prop_assert_eq!(model.found.get(&piece), Some(&is_good), "piece {}", piece);
            prop_assert_eq!(model.check.good().covers(hashes.span(piece)), is_good);
        }
        prop_assert!(model.check.written.is_empty() && model.check.under_way.is_empty());

        // What is bad comes again, in other parts, and good this time.
        model.sent = file;
        model.to_come.clear();
        for piece in 0..hashes.count() {
            let span = hashes.span(piece);
            if model.found.get(&piece) == Some(&false) {
                model.found.remove(&piece);
                model.check.forget(span);
                model.on_disk.remove(span);
                let parts = second.iter().map(|part| part.intersect(span));
                model.to_come.extend(parts.filter(|part| !part.is_empty()));
            }
        }
        steps_second.into_iter().for_each(|(action, which)| model.step(action, which));
        model.finish(last);
        prop_assert!(model.check.is_complete());
    }
}
