//! Chunk sizes and connection counts against a single stream, on the built-in server.
//!
//! Two paths: plain loopback, where one stream is enough, and 25 MB/s per connection with 10 ms to
//! the first byte, where the choice matters. Smallest size:
//! `cargo bench --bench download -- --test`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringhaul::server::{Config, Server, Shape};
use ringhaul::{Download, Options};
use std::path::Path;
use std::time::Duration;

const MIB: u64 = 1 << 20;
const CHUNKS: [u64; 2] = [MIB, 8 * MIB];
const CONNECTIONS: [u32; 3] = [1, 4, 8];
const SEED: u64 = 7;

fn plain(criterion: &mut Criterion) {
    grid(criterion, "loopback", Config::new(SEED, 128 * MIB));
}

fn shaped(criterion: &mut Criterion) {
    let mut config = Config::new(SEED, 16 * MIB);
    config.shape = Shape {
        connection_bytes_per_second: Some(25_000_000),
        first_byte_delay: Duration::from_millis(10),
        ..Shape::default()
    };
    grid(criterion, "25 MB/s per connection", config);
}

fn grid(criterion: &mut Criterion, path: &str, config: Config) {
    let bytes = config.size_bytes;
    let server = Server::start(config).expect("a free port on loopback");
    // Beside the build output: the system's temporary folder may be a memory file system.
    let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("a scratch folder");
    let target = folder.path().join("file");
    let url = server.url("/file");
    let mut group = criterion.benchmark_group(path);
    group.throughput(Throughput::Bytes(bytes)).sample_size(10);
    // One request for everything on one connection: what a plain client does.
    let stream = Options { connections: Some(1), chunk_bytes: Some(bytes), ..Options::default() };
    group.bench_function("single stream", |b| b.iter(|| download(&url, &target, &stream)));
    for chunk_bytes in CHUNKS {
        for connections in CONNECTIONS {
            let (count, size) = (Some(connections), Some(chunk_bytes));
            let options = Options { connections: count, chunk_bytes: size, ..Options::default() };
            let id = BenchmarkId::new(format!("{} MiB chunks", chunk_bytes / MIB), connections);
            group.bench_function(id, |b| b.iter(|| download(&url, &target, &options)));
        }
    }
    group.finish();
}

fn download(url: &str, target: &Path, options: &Options) {
    let options = Options { force: true, ..options.clone() };
    let download = Download::new(url).expect("the server's URL").output(target).options(options);
    download.run().expect("the built-in server answers");
}

criterion_group!(benches, plain, shaped);
criterion_main!(benches);
