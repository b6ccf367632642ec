//! What the write path takes: blocks at fixed offsets of a fresh part file, through the ring.
//!
//! Bytes per second of one thread. "taken" ends when the kernel has taken the last block, which is
//! what a connection waits for; "durable" when the file stands synced under its name, which is what
//! a user waits for. Direct against buffered is the choice behind `--direct`, registered against
//! not the one behind the memlock limit. The disk is the one that holds the build output.
//!
//! `cargo bench --bench disk`; `-- direct` for a part of it. A way that this machine does not grant
//! is named and left out.

#[path = "common/ring.rs"]
mod ring;
#[path = "common/size.rs"]
mod size;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ring::Shard;
use ringhaul::internal::base::limits::BLOCK_BYTES;
use ringhaul::internal::base::size::MIB;
use ringhaul::internal::disk::output::{DirectPolicy, Output, Reserved, SyncPolicy};
use ringhaul::internal::io::buffers::Pool;
use ringhaul::server::content;
use size::sized;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;
use tokio::task::JoinSet;

const SEED: u64 = 7;
const FILE_BYTES: u64 = 128 * MIB;
const FILE_BYTES_SMALLEST: u64 = 4 * MIB;
/// As the engine registers; the file itself decides how many of them are written at a time.
const BLOCKS: u32 = 16;

/// Where a measurement ends.
#[derive(Clone, Copy)]
enum End {
    Taken,
    Durable,
}

fn write(criterion: &mut Criterion) {
    let bytes = sized(FILE_BYTES, FILE_BYTES_SMALLEST);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder");
    let target = folder.path().join("file");
    let mut group = criterion.benchmark_group("write");
    group.throughput(Throughput::Bytes(bytes)).sample_size(20);
    for (end, end_name) in [(End::Taken, "taken"), (End::Durable, "durable")] {
        for (policy, name) in [(DirectPolicy::Always, "direct"), (DirectPolicy::Never, "buffered")]
        {
            for registered in [true, false] {
                let memory = if registered { "registered" } else { "not registered" };
                let name = format!("{name}, {memory}");
                let Some(shard) = shard(registered).filter(|_| grants(&target, policy)) else {
                    left_out(&name);
                    continue;
                };
                group.bench_function(BenchmarkId::new(end_name, name), |bench| {
                    bench.iter_batched_ref(
                        || Rc::new(output(&target, bytes, policy)),
                        |output| fill(&shard, output, bytes, end),
                        BatchSize::PerIteration,
                    );
                });
            }
        }
    }
    group.finish();
}

/// A ring, and blocks with something in them.
fn shard(registered: bool) -> Option<Shard> {
    let shard = Shard::new(BLOCKS, registered).ok()?;
    let pool = shard.pool();
    let mut leases: Vec<_> = (0..BLOCKS).filter_map(|_| pool.try_lease()).collect();
    leases.iter_mut().for_each(|lease| content::fill(SEED, 0, lease.spare_mut()));
    Some(shard)
}

fn grants(target: &Path, policy: DirectPolicy) -> bool {
    let reserved = Reserved::new(target, true).expect("the folder is ours");
    reserved.allocate(Some(FILE_BYTES_SMALLEST), policy).is_ok()
}

#[allow(clippy::print_stderr, reason = "a row that is missing is explained")]
fn left_out(name: &str) {
    eprintln!("{name}: this machine does not grant it, left out");
}

/// A part file with its space reserved; takes the place of what the round before has left.
fn output(target: &Path, bytes: u64, policy: DirectPolicy) -> Output {
    let reserved = Reserved::new(target, true).expect("the folder is ours");
    reserved.discard().expect("nothing is left of the round before");
    reserved.allocate(Some(bytes), policy).expect("room on the disk")
}

fn fill(shard: &Shard, output: &Rc<Output>, bytes: u64, end: End) {
    shard.run(write_all(shard.pool(), output, bytes));
    match end {
        End::Taken => {}
        End::Durable => _ = output.commit(bytes, SyncPolicy::Always).expect("a disk that syncs"),
    }
}

/// Writes every block of the file, as many at a time as there are blocks in the pool.
async fn write_all(pool: &Pool, output: &Rc<Output>, bytes: u64) {
    let mut writes = JoinSet::new();
    for offset in (0..bytes).step_by(BLOCK_BYTES) {
        let mut lease = pool.lease().await;
        // What it was filled with once, so that the write is measured and not the filling.
        lease.advance(BLOCK_BYTES);
        let (output, block) = (output.clone(), lease.freeze());
        writes.spawn_local(async move { output.write(block, offset).await });
    }
    for result in writes.join_all().await {
        result.expect("a disk that writes");
    }
}

fn config() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(8))
}

criterion_group!(name = benches; config = config(); targets = write);
criterion_main!(benches);
