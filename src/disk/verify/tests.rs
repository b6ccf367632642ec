//! The hash thread on real files: blocks in any order, and what an earlier run has left.

#![allow(clippy::cast_possible_truncation, reason = "test data is small")]

use super::*;
use crate::disk::output::{DirectPolicy, Reserved};
use crate::io::buffers::Pool;
use crate::io::driver::{Driver, DriverKind};
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::sync::mpsc;
use std::time::Duration;

/// What a harmed file ends takes milliseconds; what does not end waits for ever.
const HANG_LIMIT: Duration = Duration::from_secs(30);
const BLOCK: u64 = BLOCK_BYTES as u64;
const ALL: [Algorithm; 8] = [
    Algorithm::Md5,
    Algorithm::Sha256,
    Algorithm::Blake3,
    Algorithm::Crc32,
    Algorithm::Sha512,
    Algorithm::Crc64Nvme,
    Algorithm::Sha1,
    Algorithm::Crc32c,
];
const POOL_BLOCKS: u32 = 8;

/// A file, its part file, and blocks to write it with.
struct Rig {
    _folder: tempfile::TempDir,
    content: Vec<u8>,
    output: Output,
    pool: Pool,
}

impl Rig {
    fn new(total: u64, policy: DirectPolicy) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let reserved = Reserved::new(&folder.path().join("f"), false).unwrap();
        let output = reserved.allocate(Some(total), policy).unwrap();
        let content = (0..=250u8).cycle().take(total as usize).collect();
        Self { _folder: folder, content, output, pool: Pool::new(POOL_BLOCKS).unwrap() }
    }

    fn direct(total: u64) -> Self {
        Self::new(total, DirectPolicy::Always)
    }

    fn bytes(&self, span: Span) -> &[u8] {
        &self.content[span.start() as usize..span.end() as usize]
    }

    /// What an earlier run has left in the part file.
    fn leave(&self, spans: &[Span]) -> SpanSet {
        let file = OpenOptions::new().write(true).open(self.output.part_path()).unwrap();
        let mut left = SpanSet::new();
        for &span in spans {
            file.write_all_at(self.bytes(span), span.start()).unwrap();
            left.insert(span);
        }
        left
    }

    fn start(
        &self,
        algorithms: &[Algorithm],
        budget_blocks: u64,
        written: &SpanSet,
    ) -> (Verifier, mpsc::Receiver<Result<Hashed>>) {
        let (sender, receiver) = mpsc::channel();
        let on_end = move |outcome| sender.send(outcome).unwrap();
        let budget_bytes = budget_blocks * BLOCK;
        let started = Verifier::start(algorithms, budget_bytes, &self.output, written, on_end);
        (started.unwrap(), receiver)
    }

    /// Spans of a block at most arrive in this order.
    fn deliver(&self, verifier: &Verifier, spans: &[Span]) {
        Driver::new(DriverKind::IoUring).unwrap().run(async {
            for &span in spans {
                let mut lease = self.pool.lease().await;
                assert_eq!(lease.append(self.bytes(span)) as u64, span.len());
                let filled = lease.freeze();
                verifier.offer(span.start(), filled.clone());
                self.output.write(filled, span.start()).await.unwrap();
                verifier.on_written(span);
            }
        });
    }

    /// The digests are right, and every block went home; returns how many bytes were read back.
    fn expect_hashed(&self, outcome: Result<Hashed>, algorithms: &[Algorithm]) -> u64 {
        let hashed = outcome.unwrap();
        let expected = algorithms.iter().map(|algorithm| {
            let mut whole = algorithm.hasher();
            whole.update(&self.content);
            whole.finish()
        });
        assert_eq!(hashed.digests, expected.collect::<Vec<_>>());
        assert_eq!(self.pool.free_blocks(), POOL_BLOCKS as usize, "every block went home");
        hashed.read_back_bytes
    }

    /// The blocks of the file, in this order.
    fn blocks(&self, order: &[u64]) -> Vec<Span> {
        let whole = Span::new(0, self.content.len() as u64);
        order.iter().map(|index| Span::with_len(index * BLOCK, BLOCK).intersect(whole)).collect()
    }
}

/// Writes a file in blocks, the last one of `tail` bytes; returns how many were read back.
fn hash(algorithms: &[Algorithm], order: &[u64], budget_blocks: u64, tail: u64) -> u64 {
    let rig = Rig::direct((order.len() as u64 - 1) * BLOCK + tail);
    let (verifier, ended) = rig.start(algorithms, budget_blocks, &SpanSet::new());
    rig.deliver(&verifier, &rig.blocks(order));
    verifier.set_total(rig.content.len() as u64);
    rig.expect_hashed(ended.recv().unwrap(), algorithms)
}

#[test]
fn in_order_nothing_is_read_back() {
    assert_eq!(hash(&[Algorithm::Sha256], &[0, 1, 2, 3], 4, 100), 0);
    assert_eq!(hash(&ALL, &[0, 1, 2], 3, 4097), 0);
}

#[test]
fn out_of_order_beyond_the_budget_is_read_back() {
    assert!(hash(&[Algorithm::Sha256], &[5, 4, 3, 2, 1, 0], 2, 4097) > 0);
    assert!(hash(&ALL, &[3, 2, 0, 1], 1, 100) > 0);
    hash(&[Algorithm::Md5, Algorithm::Crc32c], &[2, 0, 1], 0, 1);
}

#[test]
fn what_an_earlier_run_left_is_read_back() {
    let total = 3 * BLOCK + 4321;
    // One run of more than two blocks; borders anywhere.
    let cuts = [0, 7, 4096, 5000, 2 * BLOCK + 70_001, 2 * BLOCK + 70_002, total];
    for policy in [DirectPolicy::Always, DirectPolicy::Never] {
        let rig = Rig::new(total, policy);
        let spans: Vec<Span> = cuts.windows(2).map(|two| Span::new(two[0], two[1])).collect();
        let algorithms = [Algorithm::Sha256, Algorithm::Crc64Nvme];
        let (verifier, ended) = rig.start(&algorithms, 4, &rig.leave(&spans));
        verifier.set_total(total);
        assert_eq!(rig.expect_hashed(ended.recv().unwrap(), &algorithms), total);
    }
}

#[test]
fn runs_and_new_blocks_take_turns() {
    let total = 6 * BLOCK;
    let rig = Rig::direct(total);
    let (late, odd) = (Span::new(4 * BLOCK, 5 * BLOCK + 4096), Span::new(BLOCK, BLOCK + 10_001));
    let (verifier, ended) = rig.start(&ALL, 2, &rig.leave(&[odd, late]));
    let rest_of_1 = Span::new(odd.end(), 2 * BLOCK);
    let rest_of_5 = Span::new(late.end(), total);
    let mut arriving = vec![rest_of_5];
    arriving.extend(rig.blocks(&[3, 0, 2]));
    arriving.push(rest_of_1);
    rig.deliver(&verifier, &arriving);
    verifier.set_total(total);
    let read_back_bytes = rig.expect_hashed(ended.recv().unwrap(), &ALL);
    assert!(read_back_bytes >= odd.len() + late.len(), "{read_back_bytes}");
}

/// What becomes of the hash if the part file is harmed in this way.
fn failure(harm: impl FnOnce(&std::path::Path)) -> Error {
    let rig = Rig::direct(2 * BLOCK);
    let left = rig.leave(&[Span::new(0, 2 * BLOCK)]);
    harm(rig.output.part_path());
    let (_verifier, ended) = rig.start(&[Algorithm::Sha256], 1, &left);
    let outcome = ended.recv_timeout(HANG_LIMIT).expect("the hash does not go on");
    let error = outcome.expect_err("hashed nevertheless");
    assert_eq!(error.kind(), ErrorKind::DiskIo, "{error}");
    assert!(error.to_string().contains("f.part"), "{error}");
    error
}

#[test]
fn a_harmed_part_file_says_where() {
    let cut = failure(|path| {
        OpenOptions::new().write(true).open(path).unwrap().set_len(BLOCK + 5).unwrap();
    });
    assert!(cut.to_string().contains("ends before byte 2097151"), "{cut}");
    let gone = failure(|path| std::fs::remove_file(path).unwrap());
    assert!(gone.advice().contains("another program removed"), "{gone}");
    let folder = failure(|path| {
        std::fs::remove_file(path).unwrap();
        std::fs::create_dir(path).unwrap();
    });
    assert!(folder.advice().contains("another program removed"), "{folder}");
}

/// The same bytes: only the name leads to another file, of which nothing is known.
#[test]
fn another_file_under_the_part_files_name_is_not_read() {
    for is_fifo in [false, true] {
        let replaced = failure(|path| {
            std::fs::rename(path, path.with_extension("moved")).unwrap();
            if is_fifo {
                let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
                assert!(made.success());
            } else {
                std::fs::copy(path.with_extension("moved"), path).unwrap();
            }
        });
        let said = replaced.to_string();
        assert!(said.contains("to read it back: another file has its name now"), "{said}");
        assert!(replaced.advice().contains("removed or changed it meanwhile"), "{said}");
    }
}

#[test]
fn dropping_it_gives_blocks_back_and_says_nothing() {
    let rig = Rig::new(4 * BLOCK, DirectPolicy::Never);
    let left = rig.leave(&[Span::new(0, 2 * BLOCK)]);
    let (verifier, ended) = rig.start(&[Algorithm::Sha256], 4, &left);
    let mut lease = rig.pool.try_lease().unwrap();
    lease.append(rig.bytes(Span::new(3 * BLOCK, 4 * BLOCK)));
    verifier.offer(3 * BLOCK, lease.freeze());
    assert_eq!(rig.pool.free_blocks(), POOL_BLOCKS as usize - 1);
    drop(verifier);
    assert_eq!(rig.pool.free_blocks(), POOL_BLOCKS as usize);
    assert!(ended.recv().is_err());
}
