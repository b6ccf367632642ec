//! Request sizes and connection counts against a single stream, on four paths of the built-in
//! server: what the choice is worth, and how near `auto` comes to it.
//!
//! Bytes per second of whole downloads, from the call to the file synced under its name; one group
//! for each path. On plain loopback a single stream is enough; with a rate per connection the count
//! matters; with 50 ms to the first byte the request size does as well; and with one slow
//! connection everything that has to wait for it. The files are a second long for one connection at
//! most, so `auto` shows how it starts; `wire` compares longer ones on more paths, in hours.
//!
//! `cargo bench --bench download`; `-- loopback` for one path, `-- auto` for one row of each.
//! Smallest size: `-- --test`.

#[path = "common/size.rs"]
mod size;

use criterion::{
    BatchSize, BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use ringhaul::internal::base::size::{KIB, MIB, format_bytes};
use ringhaul::server::{Config, Fault, Rule, Server, Shape, When};
use ringhaul::{Download, Options};
use size::sized;
use std::path::Path;
use std::time::Duration;

const SEED: u64 = 7;
const CHUNKS: [u64; 3] = [256 * KIB, MIB, 8 * MIB];
const CONNECTIONS: [u32; 3] = [1, 4, 16];
/// Bytes per second of a connection where there is a rate, and of the slow one: 5 % of it.
const CONNECTION_RATE: u64 = 25_000_000;
const SLOW_RATE: u64 = CONNECTION_RATE / 20;
const FIRST_BYTE_DELAY: Duration = Duration::from_millis(50);

fn loopback(criterion: &mut Criterion) {
    grid(criterion, "loopback", || Config::new(SEED, sized(128 * MIB, 2 * MIB)));
}

fn capped(criterion: &mut Criterion) {
    grid(criterion, "25 MB/s per connection", capped_path);
}

fn distant(criterion: &mut Criterion) {
    grid(criterion, "50 ms to the first byte", || {
        let mut config = capped_path();
        config.shape.first_byte_delay = FIRST_BYTE_DELAY;
        config
    });
}

fn one_slow(criterion: &mut Criterion) {
    grid(criterion, "second connection at 5 %", || {
        let mut config = capped_path();
        config.script.push(Rule::new(When::Connection(2), Fault::Rate(SLOW_RATE)));
        config
    });
}

fn capped_path() -> Config {
    let mut config = Config::new(SEED, sized(24 * MIB, 512 * KIB));
    config.shape = Shape { connection_bytes_per_second: Some(CONNECTION_RATE), ..Shape::default() };
    config
}

fn grid(criterion: &mut Criterion, path: &str, config: fn() -> Config) {
    // Beside the build output: the system's temporary folder may be a memory file system.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder");
    let target = folder.path().join("file");
    let bytes = config().size_bytes;
    let mut group = criterion.benchmark_group(path);
    group.throughput(Throughput::Bytes(bytes)).sample_size(10).sampling_mode(SamplingMode::Flat);
    // One request for everything on one connection: what a plain client does.
    let mut settings = vec![(BenchmarkId::from_parameter("single stream"), fixed(bytes, 1))];
    for chunk_bytes in CHUNKS {
        for connections in CONNECTIONS {
            let id = BenchmarkId::new(format!("{} chunks", format_bytes(chunk_bytes)), connections);
            settings.push((id, fixed(chunk_bytes, connections)));
        }
    }
    settings.push((BenchmarkId::from_parameter("auto"), Options::default()));
    for (id, options) in settings {
        let options = Options { force: true, ..options };
        group.bench_function(id, |bench| {
            bench.iter_batched_ref(
                // A new one each time, which counts its connections anew.
                || Server::start(config()).expect("a free port on loopback"),
                |server| download(server, &target, &options),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn fixed(chunk_bytes: u64, connections: u32) -> Options {
    let (size, count) = (Some(chunk_bytes), Some(connections));
    Options { chunk_bytes: size, connections: count, ..Options::default() }
}

fn download(server: &Server, target: &Path, options: &Options) {
    let download = Download::new(&server.url("/file")).expect("the server's URL");
    let download = download.output(target).options(options.clone());
    download.run().expect("the built-in server answers");
}

fn config() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_secs(4))
}

criterion_group!(
    name = benches;
    config = config();
    targets = loopback, capped, distant, one_slow
);
criterion_main!(benches);
