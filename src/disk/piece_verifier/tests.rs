//! The verifying thread on real files: blocks in any order, and what an earlier run has left.

#![allow(clippy::cast_possible_truncation, reason = "test data is small")]

use super::*;
use crate::digest::{Algorithm, PieceHashes};
use crate::disk::output::{DirectPolicy, Reserved};
use crate::io::buffers::Pool;
use crate::io::driver::{Driver, DriverKind};
use std::os::unix::fs::FileExt;
use std::sync::mpsc;
use std::time::Duration;

/// What a harmed file ends takes milliseconds; what does not end waits for ever.
const HANG_LIMIT: Duration = Duration::from_secs(30);
const BLOCK: u64 = BLOCK_BYTES as u64;
const TOTAL: u64 = 4 * BLOCK + 4321;
const POOL_BLOCKS: u32 = 8;

struct Rig {
    _folder: tempfile::TempDir,
    content: Vec<u8>,
    output: Output,
    pool: Pool,
    check: Arc<Mutex<PieceCheck>>,
}

impl Rig {
    /// A file in pieces of this length.
    fn new(piece_bytes: u64) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let reserved = Reserved::new(&folder.path().join("f"), false).unwrap();
        let output = reserved.allocate(Some(TOTAL), DirectPolicy::Always).unwrap();
        let content: Vec<u8> = (0..=250u8).cycle().take(TOTAL as usize).collect();
        let digest = |piece: &[u8]| {
            let mut hasher = Algorithm::Sha1.hasher();
            hasher.update(piece);
            hasher.finish().bytes
        };
        let hashes: Vec<Vec<u8>> = content.chunks(piece_bytes as usize).map(digest).collect();
        let hashes = PieceHashes::new(Algorithm::Sha1, piece_bytes, TOTAL, &hashes).unwrap();
        let check = Arc::new(Mutex::new(PieceCheck::new(hashes)));
        Self { _folder: folder, content, output, pool: Pool::new(POOL_BLOCKS).unwrap(), check }
    }

    fn start(&self, on_disk: &SpanSet) -> (PieceVerifier, mpsc::Receiver<Verdict>) {
        let (sender, receiver) = mpsc::channel();
        let on_verdict = move |verdict| _ = sender.send(verdict);
        let on_failed = |error| panic!("{error}");
        let (check, output) = (&self.check, &self.output);
        let started = PieceVerifier::start(check, output, on_disk, on_verdict, || {}, on_failed);
        (started.unwrap(), receiver)
    }

    /// Blocks of the file arrive in this order.
    fn deliver(&self, verifier: &PieceVerifier, order: &[u64]) {
        self.write(verifier, order, true);
    }

    /// Blocks of the file are written in this order, and offered first if that is wanted.
    fn write(&self, verifier: &PieceVerifier, order: &[u64], is_offered: bool) {
        Driver::new(DriverKind::IoUring).unwrap().run(async {
            for index in order {
                let span = Span::with_len(index * BLOCK, BLOCK).intersect(Span::new(0, TOTAL));
                let mut lease = self.pool.lease().await;
                lease.append(&self.content[span.start() as usize..span.end() as usize]);
                let filled = lease.freeze();
                if is_offered {
                    verifier.offer(span.start(), filled.clone());
                }
                self.output.write(filled, span.start()).await.unwrap();
                verifier.on_written(span);
            }
        });
    }

    /// The numbers of the bad pieces, once all of the file is judged, and the bytes that were read
    /// back.
    fn end(&self, verifier: &PieceVerifier, verdicts: &mpsc::Receiver<Verdict>) -> (Vec<u64>, u64) {
        while lock(&self.check).judged_bytes() < TOTAL {
            verdicts.recv_timeout(HANG_LIMIT).unwrap();
        }
        verifier.end();
        assert_eq!(self.pool.free_blocks(), POOL_BLOCKS as usize, "every block went home");
        let check = lock(&self.check);
        let bad = check.bad().iter().flat_map(|span| check.hashes().touched(span));
        (bad.collect(), verifier.take_read_back_bytes())
    }

    fn spoil(&self, at: u64) {
        let part = std::fs::OpenOptions::new().write(true).open(self.output.part_path()).unwrap();
        part.write_all_at(&[self.content[at as usize] ^ 1], at).unwrap();
    }
}

fn all() -> SpanSet {
    let mut all = SpanSet::new();
    all.insert(Span::new(0, TOTAL));
    all
}

#[test]
fn small_pieces_in_any_order_and_large_ones_in_order_are_not_read_back() {
    for (piece_bytes, order) in [(1 << 18, [4, 1, 3, 0, 2]), (2 * BLOCK, [0, 1, 2, 3, 4])] {
        let rig = Rig::new(piece_bytes);
        let (verifier, verdicts) = rig.start(&SpanSet::new());
        rig.deliver(&verifier, &order);
        assert_eq!(rig.end(&verifier, &verdicts), (vec![], 0), "pieces of {piece_bytes}");
    }
}

#[test]
fn what_cannot_be_hashed_as_it_comes_is_read_back() {
    let rig = Rig::new(2 * BLOCK);
    let (verifier, verdicts) = rig.start(&SpanSet::new());
    rig.deliver(&verifier, &[1, 0, 2, 3, 4]);
    assert_eq!(rig.end(&verifier, &verdicts), (vec![], BLOCK));
    // Nobody offers anything.
    let rig = Rig::new(1 << 18);
    let (verifier, verdicts) = rig.start(&SpanSet::new());
    rig.write(&verifier, &[3, 2, 1, 0, 4], false);
    assert_eq!(rig.end(&verifier, &verdicts), (vec![], TOTAL));
}

#[test]
fn a_full_queue_takes_more_and_says_when_there_is_room() {
    let rig = Rig::new(1 << 18);
    let (room, rung) = mpsc::channel();
    let (sender, verdicts) = mpsc::channel();
    let (held, gate) = mpsc::channel::<()>();
    let verifier = PieceVerifier::start(
        &rig.check,
        &rig.output,
        &SpanSet::new(),
        move |verdict| {
            _ = sender.send(verdict);
            _ = gate.recv();
        },
        move || _ = room.send(()),
        |error| panic!("{error}"),
    );
    let verifier = verifier.unwrap();
    assert!(!verifier.is_full());
    let mut lease = rig.pool.try_lease().unwrap();
    lease.append(&rig.content[..BLOCK_BYTES]);
    let block = lease.freeze();
    verifier.offer(0, block.clone());
    // The thread stops at the first verdict.
    verdicts.recv_timeout(HANG_LIMIT).unwrap();
    for _ in 0..WAITING_MAX + 1 {
        verifier.offer(0, block.clone());
    }
    drop(block);
    assert!(verifier.is_full() && rung.try_recv().is_err());
    drop(held);
    rung.recv_timeout(HANG_LIMIT).unwrap();
    assert!(!verifier.is_full());
    rig.deliver(&verifier, &[1, 2, 3, 4]);
    assert_eq!(rig.end(&verifier, &verdicts), (vec![], 0));
    // Whoever waits at its end is not forgotten.
    rung.recv_timeout(HANG_LIMIT).unwrap();
}

#[test]
fn what_is_known_outlives_one_thread_and_what_was_bad_is_judged_anew() {
    let rig = Rig::new(1 << 18);
    let (verifier, verdicts) = rig.start(&SpanSet::new());
    rig.deliver(&verifier, &[0, 1, 2, 3, 4]);
    rig.end(&verifier, &verdicts);
    // The third block is lost, and the last byte changes, which nobody looks at.
    let mut kept = all();
    kept.remove(Span::with_len(2 * BLOCK, BLOCK));
    rig.spoil(TOTAL - 1);
    rig.spoil(2 * BLOCK + 9);
    let (verifier, verdicts) = rig.start(&kept);
    verifier.on_written(Span::with_len(2 * BLOCK, BLOCK));
    assert_eq!(rig.end(&verifier, &verdicts), (vec![8], BLOCK));
    let (verifier, verdicts) = rig.start(&all());
    assert_eq!(verdicts.recv_timeout(HANG_LIMIT).map(|verdict| verdict.piece), Ok(8));
    assert_eq!(rig.end(&verifier, &verdicts), (vec![8], 1 << 18));
}
