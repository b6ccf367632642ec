//! What receiving takes: answers of the built-in server on loopback, through one connection into
//! blocks, plain and over TLS; no disk, no plan.
//!
//! Bytes per second of one connection on one thread. The server sends a stored file from another
//! core, plain without touching its bytes, so that it is the faster side. It bounds what one
//! connection can bring, and "pieces of" says what receiving in smaller pieces costs, as slow
//! connections do.
//!
//! `cargo bench --bench receive`; `-- TLS` for a part of it.

#[path = "common/ring.rs"]
mod ring;
#[path = "common/size.rs"]
mod size;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ring::Shard;
use ringhaul::internal::base::limits::{BLOCK_BYTES, STALL_TIMEOUT};
use ringhaul::internal::base::size::MIB;
use ringhaul::internal::base::{Span, Url};
use ringhaul::internal::http::{Exchange, Request, Want};
use ringhaul::internal::io::buffers::Pool;
use ringhaul::internal::io::patience::Limits;
use ringhaul::internal::io::socket::Socket;
use ringhaul::internal::net::wire::Wire;
use ringhaul::internal::tls::{TlsConfig, TrustOptions};
use ringhaul::server::{Config, Server, content};
use size::sized;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

const SEED: u64 = 7;
const ANSWER_BYTES: u64 = 64 * MIB;
const ANSWER_BYTES_SMALLEST: u64 = 2 * MIB;
/// What the engine asks of the socket at a time, at least and at most.
const PIECE_BYTES: [usize; 2] = [64 * 1024, BLOCK_BYTES];
/// What the engine reads at a time while it looks for the end of a head.
const HEAD_READ_BYTES: usize = 4096;
/// The one being filled and one to spare.
const BLOCKS: u32 = 2;

fn receive(criterion: &mut Criterion) {
    let bytes = sized(ANSWER_BYTES, ANSWER_BYTES_SMALLEST);
    let shard = Shard::new(BLOCKS, false).expect("a kernel with io_uring");
    let mut group = criterion.benchmark_group("receive");
    group.throughput(Throughput::Bytes(bytes)).sample_size(30);
    let folder = stored(bytes);
    let servers = [("plain", Config::new(SEED, bytes)), ("TLS", Config::new_tls(SEED, bytes))];
    for (name, config) in servers {
        let config = Config { folder: Some(folder.path().to_owned()), ..config };
        let server = Server::start(config).expect("a free port on loopback");
        let url = Url::parse(&server.url("/file")).expect("the server's URL");
        let span = Span::new(0, bytes);
        let request = Request::get(&url).range(span).encode().expect("a short request");
        for piece_bytes in PIECE_BYTES {
            let mut wire = shard.run(connect(&server));
            let id = BenchmarkId::new(name, format!("pieces of {} KiB", piece_bytes / 1024));
            group.bench_function(id, |bench| {
                bench.iter(|| {
                    let answer = fetch(&mut wire, shard.pool(), request.clone(), piece_bytes);
                    assert_eq!(shard.run(answer), bytes, "the answer is whole");
                });
            });
        }
    }
    group.finish();
}

/// A folder with a `file` of `bytes` bytes, which the page cache holds.
fn stored(bytes: u64) -> TempDir {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder");
    let mut content = vec![0; usize::try_from(bytes).expect("small")];
    content::fill(SEED, 0, &mut content);
    std::fs::write(folder.path().join("file"), content).expect("room on the disk");
    folder
}

/// One connection; over TLS if that is what the server speaks.
async fn connect(server: &Server) -> Wire {
    let limits = Limits::new(STALL_TIMEOUT, None, Arc::default());
    let socket = Socket::connect(server.address(), limits).await.expect("it listens");
    if server.certificate_pem().is_none() {
        return Wire::plain(socket);
    }
    let trust = TrustOptions { insecure: true, ..TrustOptions::default() };
    let config = TlsConfig::new(&trust).expect("no roots to read");
    let host = server.address().ip().to_string();
    Wire::tls(socket, &config, &host).await.expect("both ends shake hands")
}

/// One answer, received as the engine does it; gives its bytes up and returns their number.
async fn fetch(wire: &mut Wire, pool: &Pool, request: Vec<u8>, piece_bytes: usize) -> u64 {
    wire.send(request).await.expect("the connection stands");
    let mut exchange = Exchange::new();
    let mut lease = pool.lease().await;
    while exchange.want() == Want::Head {
        let arrived = wire.read_some(HEAD_READ_BYTES).await.expect("the connection stands");
        if let Some(surplus) = exchange.on_head(&arrived).expect("a head by the letter") {
            lease.append(&arrived[arrived.len() - surplus..]);
            exchange.on_direct(surplus as u64);
        }
    }
    while let Want::Direct(left) = exchange.want() {
        if lease.spare() == 0 {
            // Back to the pool first, so that the same memory is filled over and over.
            drop(lease);
            lease = pool.lease().await;
        }
        let room = lease.spare().min(piece_bytes);
        let wanted = usize::try_from(left).map_or(room, |left| left.min(room));
        let filled = lease.filled();
        let result;
        (lease, result) = wire.fill(lease, wanted, left - wanted as u64).await;
        result.expect("the connection stands");
        exchange.on_direct((lease.filled() - filled) as u64);
    }
    exchange.received_bytes()
}

fn config() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(6))
}

criterion_group!(name = benches; config = config(); targets = receive);
criterion_main!(benches);
