//! What verification costs: the digests of a file whose blocks arrive in order and out of it, and
//! the CRC-32C that the journal keeps of every block.
//!
//! Bytes per second on one core. The hash has a thread of its own, so a download is verified
//! without delay as long as its rate stays below these; "frontier" against "hash" is what the order
//! costs. CRC-32C is computed by the thread that receives, between receive and write.
//!
//! `cargo bench --bench digest`; `-- sha256` for one algorithm.

#[path = "common/size.rs"]
mod size;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringhaul::Algorithm;
use ringhaul::internal::base::Span;
use ringhaul::internal::base::limits::BLOCK_BYTES;
use ringhaul::internal::digest::crc::{crc32c, crc32c_joined};
use ringhaul::internal::digest::{Digest, Frontier, Offer, Step};
use ringhaul::internal::io::buffers::{Block, Pool};
use ringhaul::server::content;
use size::sized;
use std::hint::black_box;
use std::time::Duration;

const SEED: u64 = 7;
/// Four connections with spans of eight blocks, which deliver in turn.
const CONNECTIONS: usize = 4;
const SPAN_BLOCKS: usize = 8;
/// Windows of such spans.
const WINDOWS: usize = 2;
const ALGORITHMS: [Algorithm; 4] =
    [Algorithm::Sha256, Algorithm::Sha512, Algorithm::Blake3, Algorithm::Crc32c];

fn hash(criterion: &mut Criterion) {
    let block = blocks(1).swap_remove(0);
    let mut group = criterion.benchmark_group("hash of a block");
    group.throughput(Throughput::Bytes(BLOCK_BYTES as u64));
    for algorithm in ALGORITHMS {
        group.bench_function(algorithm.name(), |bench| {
            let mut hasher = algorithm.hasher();
            bench.iter(|| hasher.update(black_box(block.as_ref())));
        });
    }
    group.finish();
}

fn frontier(criterion: &mut Criterion) {
    let windows = sized(WINDOWS, 1);
    let blocks = blocks(windows * CONNECTIONS * SPAN_BLOCKS);
    let orders = [
        ("in order", (0..blocks.len()).collect()),
        ("4 connections in turn", delivered_in_turn(windows)),
    ];
    let mut group = criterion.benchmark_group("frontier");
    group.throughput(Throughput::Bytes((blocks.len() * BLOCK_BYTES) as u64)).sample_size(20);
    for (name, order) in &orders {
        for algorithm in ALGORITHMS {
            group.bench_function(BenchmarkId::new(algorithm.name(), name), |bench| {
                bench.iter(|| digest(&blocks, order, algorithm));
            });
        }
    }
    group.finish();
}

fn crc(criterion: &mut Criterion) {
    let block = blocks(1).swap_remove(0);
    let mut group = criterion.benchmark_group("crc32c");
    for bytes in [4 * 1024, 64 * 1024, BLOCK_BYTES] {
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(BenchmarkId::new("bytes", bytes), |bench| {
            bench.iter(|| crc32c(black_box(&block.as_ref()[..bytes])));
        });
    }
    group.throughput(Throughput::Elements(1));
    group.bench_function("join of two blocks", |bench| {
        bench.iter(|| crc32c_joined(black_box(1), black_box(2), BLOCK_BYTES as u64));
    });
    group.finish();
}

/// The first `count` blocks of the file, all of them full, from an arena as the engine has it.
fn blocks(count: usize) -> Vec<Block> {
    let pool = Pool::new(u32::try_from(count).expect("few blocks")).expect("memory");
    let fill = |number: usize| {
        let mut lease = pool.try_lease().expect("a block for each");
        content::fill(SEED, offset(number), lease.spare_mut());
        lease.advance(BLOCK_BYTES);
        lease.freeze()
    };
    (0..count).map(fill).collect()
}

fn offset(block: usize) -> u64 {
    (block * BLOCK_BYTES) as u64
}

/// The numbers of the blocks as they arrive: the first of each span, the second of each, ...
fn delivered_in_turn(windows: usize) -> Vec<usize> {
    let mut order = Vec::new();
    for window in 0..windows {
        for block in 0..SPAN_BLOCKS {
            let span = |connection| (window * CONNECTIONS + connection) * SPAN_BLOCKS;
            order.extend((0..CONNECTIONS).map(|connection| span(connection) + block));
        }
    }
    order
}

/// The digest of the file whose blocks arrive in this order, all of them held until their turn.
fn digest(blocks: &[Block], order: &[usize], algorithm: Algorithm) -> Digest {
    let total = offset(blocks.len());
    let mut frontier = Frontier::new(total, BLOCK_BYTES as u64);
    frontier.set_total(total);
    let mut hasher = algorithm.hasher();
    for &number in order {
        let offer = frontier.offer(offset(number), blocks[number].clone());
        assert!(matches!(offer, Offer::Kept { .. }), "there is room for all");
        while let Step::Hash { block, range } = frontier.next_step() {
            let bytes = &block.as_ref()[range];
            hasher.update(bytes);
            frontier.advance(bytes.len() as u64);
        }
        frontier.on_written(Span::with_len(offset(number), BLOCK_BYTES as u64));
    }
    assert_eq!(frontier.position(), total, "every byte had its turn");
    hasher.finish()
}

fn config() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(4))
}

criterion_group!(name = benches; config = config(); targets = hash, frontier, crc);
criterion_main!(benches);
