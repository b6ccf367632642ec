//! What the write path takes: blocks at fixed offsets of a fresh part file, through the ring; and
//! what small files take, each with a name of its own.
//!
//! `write`: bytes per second of one thread. "taken" ends when the kernel has taken the last block,
//! which is what a connection waits for; "durable" when the file stands synced under its name,
//! which is what a user waits for. Direct against buffered is the choice behind `--direct`,
//! registered against not the one behind the memlock limit. The disk is the one that holds the
//! build output.
//!
//! `small files`: files per second of one thread, none of them synced, which is what a list costs
//! without a network. "created" makes each under its name, as a program does that takes no care of
//! names; "staged" is the way of a list, a name among our own and then the final one; "linked" has
//! no name at first (O_TMPFILE) and takes a descriptor for as long. ext4 takes its time with inodes
//! that have gone within the last minutes, so a second run soon after says nothing.
//!
//! `cargo bench --bench disk`; `-- direct` for a part of it. A way that this machine does not grant
//! is named and left out.

#[path = "common/ring.rs"]
mod ring;
#[path = "common/size.rs"]
mod size;

use criterion::{
    BatchSize, BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use ring::Shard;
use ringhaul::internal::base::limits::BLOCK_BYTES;
use ringhaul::internal::base::size::MIB;
use ringhaul::internal::disk::folders::Root;
use ringhaul::internal::disk::output::{DirectPolicy, Output, Reserved, SyncPolicy};
use ringhaul::internal::disk::staging::Staging;
use ringhaul::internal::io::buffers::Pool;
use ringhaul::server::content;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, open};
use size::sized;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;
use tokio::task::JoinSet;

const SEED: u64 = 7;
const FILE_BYTES: u64 = 128 * MIB;
const FILE_BYTES_SMALLEST: u64 = 4 * MIB;
/// As the engine registers; the file itself decides how many of them are written at a time.
const BLOCKS: u32 = 16;
/// Small files of one round, which is a list's barrier, and their size.
const SMALL_FILES: u32 = 1000;
const SMALL_FILES_SMALLEST: u32 = 10;
const SMALL_BYTES: usize = 16 * 1024;

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

/// Makes this number of files in a folder, each of `bytes`.
type Make = fn(folder: &Path, files: u32, bytes: &[u8]);

fn small_files(criterion: &mut Criterion) {
    let files = sized(SMALL_FILES, SMALL_FILES_SMALLEST);
    let mut bytes = vec![0; SMALL_BYTES];
    content::fill(SEED, 0, &mut bytes);
    // Nothing is removed before the end: ext4 is slow to give out inodes that have just gone.
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder");
    let mut rounds = 0..;
    let mut group = criterion.benchmark_group("small files");
    group.throughput(Throughput::Elements(files.into())).sample_size(10);
    // Few rounds, as each leaves its files behind.
    group.sampling_mode(SamplingMode::Flat).warm_up_time(Duration::from_millis(1));
    group.measurement_time(Duration::from_millis(1));
    for (name, make) in
        [("created", created as Make), ("staged", staged as Make), ("linked", linked as Make)]
    {
        if name == "linked" && nameless(scratch.path()).is_err() {
            left_out(name);
            continue;
        }
        group.bench_function(name, |bench| {
            bench.iter_batched_ref(
                || empty_folder(scratch.path(), rounds.next().expect("they have no end")),
                |folder| make(folder, files, &bytes),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn empty_folder(scratch: &Path, round: u32) -> PathBuf {
    let folder = scratch.join(round.to_string());
    fs::create_dir(&folder).expect("the folder is ours");
    folder
}

fn created(folder: &Path, files: u32, bytes: &[u8]) {
    for number in 0..files {
        let file = File::create_new(folder.join(number.to_string()));
        file.and_then(|mut file| file.write_all(bytes)).expect("room on the disk");
    }
}

fn staged(folder: &Path, files: u32, bytes: &[u8]) {
    let root = Root::open(folder).expect("the folder is ours");
    let staging = Staging::open(&root, 0, DirectPolicy::Never).expect("the folder is ours");
    let to = root.enter(Path::new(""), false).expect("the folder is ours");
    let written: Vec<_> = (0..files)
        .map(|_| {
            let mut file = staging.begin().expect("room on the disk");
            file.write(bytes).and_then(|()| file.close(None)).expect("room on the disk");
            file
        })
        .collect();
    for (number, file) in written.into_iter().enumerate() {
        file.place(&to, OsStr::new(&number.to_string()), false).expect("nobody has the name");
    }
}

/// A file in `folder` that has no name; not every file system has such.
fn nameless(folder: &Path) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY;
    Ok(open(folder, flags, Mode::RUSR | Mode::WUSR)?.into())
}

fn linked(folder: &Path, files: u32, bytes: &[u8]) {
    let write = |_| {
        let mut file = nameless(folder).expect("a descriptor for each file");
        file.write_all(bytes).expect("room on the disk");
        file
    };
    let written: Vec<File> = (0..files).map(write).collect();
    for (number, file) in written.into_iter().enumerate() {
        let (from, to) =
            (format!("/proc/self/fd/{}", file.as_raw_fd()), folder.join(number.to_string()));
        linkat(CWD, from, CWD, to, AtFlags::SYMLINK_FOLLOW).expect("nobody has the name");
    }
}

fn config() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(8))
}

criterion_group!(name = benches; config = config(); targets = write, small_files);
criterion_main!(benches);
