//! The bytes of a served file: a pure function of seed and offset, so that any size needs no disk.
//!
//! Owns the function, its check and its digest, and which of its files stands at which path. Must
//! not know HTTP, sockets or who asks.
//!
//! The file is a row of little-endian 64-bit words; word `i` is a bijective mix of
//! `seed' + i * GAMMA` (the finaliser of splitmix64). Two different words of
//! one file are never equal, so bytes at a wrong offset are found wherever they came from.

use crate::base::Span;
use sha2::{Digest, Sha256};
use std::ops::RangeInclusive;

const WORD_BYTES: usize = 8;
/// Bytes made at a time when checking or hashing; stays in the first-level cache.
const CHECK_BYTES: usize = 8 * 1024;

/// Odd, so that `i * GAMMA` visits every word once (2^64 / golden ratio, as in splitmix64).
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
/// First multiplier of the splitmix64 finaliser (Stafford's variant 13).
const MIX_1: u64 = 0xbf58_476d_1ce4_e5b9;
/// Second multiplier of the splitmix64 finaliser.
const MIX_2: u64 = 0x94d0_49bb_1331_11eb;

/// Multiplier of the 64-bit FNV-1a hash, which takes in the bytes of a path.
const FNV_PRIME: u64 = 0x0100_0000_01b3;
/// The word of a file that decides on its size; no file has bytes up there.
const SIZE_WORD: u64 = u64::MAX;

/// Writes the bytes `[offset, offset + out.len())` of the file `seed` into `out`.
///
/// Offsets wrap at 2^64, which no file reaches.
pub fn fill(seed: u64, offset: u64, out: &mut [u8]) {
    let mut state = state_of(seed, offset / WORD_BYTES as u64);
    let inside = usize::from(offset.to_le_bytes()[0]) % WORD_BYTES;
    let head_bytes = if inside == 0 { 0 } else { (WORD_BYTES - inside).min(out.len()) };
    let (head, rest) = out.split_at_mut(head_bytes);
    if !head.is_empty() {
        head.copy_from_slice(&mix(state).to_le_bytes()[inside..inside + head_bytes]);
        state = state.wrapping_add(GAMMA);
    }
    let mut words = rest.chunks_exact_mut(WORD_BYTES);
    for word in &mut words {
        word.copy_from_slice(&mix(state).to_le_bytes());
        state = state.wrapping_add(GAMMA);
    }
    let tail = words.into_remainder();
    let tail_bytes = tail.len();
    tail.copy_from_slice(&mix(state).to_le_bytes()[..tail_bytes]);
}

/// Compares `bytes` with the file `seed` from `offset` on.
///
/// # Errors
/// The file offset of the first wrong byte.
pub fn verify(seed: u64, offset: u64, bytes: &[u8]) -> Result<(), u64> {
    let mut expected = [0; CHECK_BYTES];
    let mut at = offset;
    for piece in bytes.chunks(CHECK_BYTES) {
        let expected = &mut expected[..piece.len()];
        fill(seed, at, expected);
        if expected != piece {
            let same = expected.iter().zip(piece).take_while(|(e, p)| e == p).count();
            return Err(at.wrapping_add(same as u64));
        }
        at = at.wrapping_add(piece.len() as u64);
    }
    Ok(())
}

/// The SHA-256 of the first `size_bytes` bytes of the file `seed`.
pub fn sha256(seed: u64, size_bytes: u64) -> [u8; 32] {
    let mut hash = Sha256::new();
    walk(seed, Span::new(0, size_bytes), |piece| hash.update(piece));
    hash.finalize().into()
}

/// The seed of the file at `path` where each path has a file of its own, on a server of `seed`.
///
/// The path begins with a slash and is taken as requests have it, without query.
pub fn seed_at(seed: u64, path: &str) -> u64 {
    mix(fnv(state_of(seed, 0), path.as_bytes()))
}

/// Another number for each text, as good as random.
pub(in crate::server) fn seed_of(text: &[u8]) -> u64 {
    mix(fnv(state_of(0, 0), text))
}

/// The size of that file, where sizes differ: one of `sizes`.
pub fn size_at(seed: u64, path: &str, sizes: RangeInclusive<u64>) -> u64 {
    let (min, max) = (*sizes.start(), *sizes.end());
    let choices = u128::from(max.saturating_sub(min)) + 1;
    let choice = u128::from(word(seed_at(seed, path), SIZE_WORD)) % choices;
    min + u64::try_from(choice).expect("below the number of choices")
}

/// Hands the bytes of `span` of the file `seed` to `each`, in order and in small pieces.
pub(in crate::server) fn walk(seed: u64, span: Span, mut each: impl FnMut(&[u8])) {
    let mut piece = [0; CHECK_BYTES];
    let mut at = span.start();
    while at < span.end() {
        let bytes = usize::try_from(span.end() - at).unwrap_or(CHECK_BYTES).min(CHECK_BYTES);
        fill(seed, at, &mut piece[..bytes]);
        each(&piece[..bytes]);
        at += bytes as u64;
    }
}

/// Word `index` of the file `seed`: as good as random.
pub(in crate::server) fn word(seed: u64, index: u64) -> u64 {
    mix(state_of(seed, index))
}

/// Takes `bytes` into the hash `state`.
fn fnv(state: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(state, |state, byte| (state ^ u64::from(*byte)).wrapping_mul(FNV_PRIME))
}

/// The input of word `index`; neighbours are `GAMMA` apart.
fn state_of(seed: u64, index: u64) -> u64 {
    // Mixed first, or seeds 1 and 2 would be files that differ by a small shift.
    mix(seed.wrapping_add(GAMMA)).wrapping_add(index.wrapping_mul(GAMMA))
}

#[inline(always)]
fn mix(state: u64) -> u64 {
    let z = (state ^ (state >> 30)).wrapping_mul(MIX_1);
    let z = (z ^ (z >> 27)).wrapping_mul(MIX_2);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(seed: u64, offset: u64, len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        fill(seed, offset, &mut out);
        out
    }

    #[test]
    fn the_function_does_not_drift() {
        // Recorded part files and benchmark runs rely on these bytes.
        assert_eq!(bytes(1, 0, 8), 0xdce4_23fc_82c0_d5b8_u64.to_le_bytes());
        assert_eq!(sha256(7, 0)[..4], [0xe3, 0xb0, 0xc4, 0x42]);
    }

    #[test]
    fn words_are_those_of_the_bytes() {
        assert_eq!(bytes(1, 24, 8), word(1, 3).to_le_bytes());
    }

    #[test]
    fn digest_is_that_of_the_bytes() {
        let size = 3 * CHECK_BYTES + 5;
        let whole: [u8; 32] = Sha256::digest(bytes(3, 0, size)).into();
        assert_eq!(sha256(3, size as u64), whole);
    }

    #[test]
    fn each_path_and_each_server_has_files_of_its_own() {
        let paths: Vec<String> = (0..10_000).map(|number| format!("/{number:05}.bin")).collect();
        let seeds = paths.iter().flat_map(|path| [seed_at(1, path), seed_at(2, path)]);
        let seeds: std::collections::BTreeSet<u64> = seeds.collect();
        assert_eq!(seeds.len(), 20_000);
        assert_ne!(seed_at(1, "/ab"), seed_at(1, "/ba"));
        // Tests know files by this function, also those of servers in other processes.
        assert_eq!(seed_at(1, "/0001.bin"), 0x73f7_1c5b_f8da_43fc);
    }

    #[test]
    fn sizes_are_spread_over_all_that_are_allowed() {
        let sizes: Vec<u64> = (0..1000).map(|n| size_at(1, &format!("/{n}"), 10..=13)).collect();
        for size in 10..=13 {
            let count = sizes.iter().filter(|is| **is == size).count();
            assert!((150..350).contains(&count), "{size}: {count}");
        }
        assert_eq!(size_at(1, "/", 5..=5), 5);
        assert!(size_at(1, "/", 0..=u64::MAX) > 0);
    }

    #[test]
    fn misplaced_bytes_are_found() {
        for shift in [1, 8, 511, 512, 4096, 1 << 20, 1 << 40] {
            assert_eq!(verify(1, 0, &bytes(1, 0, 64)), Ok(()));
            assert!(verify(1, 0, &bytes(1, shift, 64)).unwrap_err() < 8, "shift {shift}");
        }
        assert!(verify(1, 0, &bytes(2, 0, 64)).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn any_split_gives_the_same_bytes(
            seed: u64,
            offset in prop_oneof![0..100u64, any::<u64>().prop_map(|o| o >> 1)],
            len in 0..200usize,
            cut in 0..200usize,
        ) {
            let cut = cut.min(len);
            let whole = bytes(seed, offset, len);
            let mut parts = bytes(seed, offset, cut);
            parts.extend(bytes(seed, offset + cut as u64, len - cut));
            prop_assert_eq!(whole, parts);
        }

        #[test]
        fn verify_names_the_first_wrong_byte(
            offset in 0..1_000_000u64,
            len in 1..20_000usize,
            wrong in 0..20_000usize,
            flip in 1..=255u8,
        ) {
            let mut bytes = bytes(9, offset, len);
            prop_assert_eq!(verify(9, offset, &bytes), Ok(()));
            let wrong = wrong % len;
            bytes[wrong] ^= flip;
            prop_assert_eq!(verify(9, offset, &bytes), Err(offset + wrong as u64));
        }
    }
}
