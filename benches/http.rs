//! What HTTP costs: response heads read and judged, requests written, the chunked coding taken off.
//!
//! Bytes per second of heads read and of decoded body, heads judged and requests per second. A head
//! comes once per request, so its time stands against that of a span (1 MiB at 1 GB/s: a
//! millisecond); a chunked body passes the decoder with every byte, so its rate stands against that
//! of a connection.
//!
//! `cargo bench --bench http`; `-- head`, `-- request` or `-- chunked` for a part of it.

#[path = "common/size.rs"]
mod size;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringhaul::internal::base::size::MIB;
use ringhaul::internal::base::{Span, Url};
use ringhaul::internal::http::{
    Asked, ChunkedDecoder, Exchange, Known, Request, Validator, Want, check_partial,
};
use size::sized;
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Duration;

/// What the answers carry, the first bytes of the file, and how large that is.
const ASKED_BYTES: u64 = 8 * MIB;
const FILE_BYTES: u64 = 10 << 30;
const ETAG: &str = "\"6a0f-61c3ab9de6c00\"";

/// Bytes of a head that come at a time where it comes in pieces.
const PIECE_BYTES: usize = 100;
/// What the engine reads of a coded body at a time.
const READ_BYTES: usize = 64 * 1024;
const BODY_BYTES: usize = 8 << 20;
/// From a server that flushes lines to one that sends what it has read of a file.
const CHUNK_BYTES: [usize; 4] = [64, 1024, 16 * 1024, 1 << 20];

/// Fields of an object store behind a content network, besides those of a plain server.
const CLOUD_FIELDS: &str = "\
    x-amz-id-2: 3JHxZ1K0Qw7mQm9jJmVt5Yq0Zr7b8u2cM1nQ5pXw4oT6sL9dE0fG3hB8aC5vK2iRyWzU1N4xSoE=\r\n\
    x-amz-request-id: 7Q2ZJ5W4V9K1M3XB\r\n\
    x-amz-server-side-encryption: AES256\r\n\
    x-amz-version-id: 0bq3yJb6kq1mYQmDq9cXn2z5rTtW7uV8\r\n\
    x-amz-checksum-crc64nvme: rosUhgp5mIg=\r\n\
    x-amz-checksum-type: FULL_OBJECT\r\n\
    x-amz-replication-status: COMPLETED\r\n\
    Cache-Control: public, max-age=31536000, immutable\r\n\
    Age: 48213\r\n\
    Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\r\n\
    Access-Control-Allow-Origin: *\r\n\
    Access-Control-Expose-Headers: ETag, Content-Range, Content-Length, Accept-Ranges\r\n\
    Strict-Transport-Security: max-age=63072000; includeSubDomains; preload\r\n\
    X-Content-Type-Options: nosniff\r\n\
    Via: 1.1 4f7e2d9c8b6a5e3f1d0c9b8a7f6e5d4c.cloudfront.example (CloudFront)\r\n\
    X-Cache: Hit from cloudfront\r\n\
    X-Amz-Cf-Pop: FRA56-P4\r\n\
    X-Amz-Cf-Id: nT7yqk0y4Zl3o1xVbW9cR8sUuJ2mE5hQ6dKpG7fA4iXtYwLzNvBoCg==\r\n\
    Alt-Svc: h3=\":443\"; ma=86400\r\n";

fn head(criterion: &mut Criterion) {
    let heads = [
        ("plain server", answer("")),
        ("content network", answer(CLOUD_FIELDS)),
        ("100 fields of 300 bytes", answer(&many_fields(100, 300))),
    ];
    let asked = Asked { span: asked(), is_conditional: false };
    let mut group = criterion.benchmark_group("head");
    for (name, head) in &heads {
        group.throughput(Throughput::Bytes(head.len() as u64));
        group.bench_function(BenchmarkId::new("whole", name), |bench| {
            bench.iter(|| read(black_box(head), head.len()));
        });
        group.bench_function(BenchmarkId::new("in pieces of 100 bytes", name), |bench| {
            bench.iter(|| read(black_box(head), PIECE_BYTES));
        });
        let exchange = read(head, head.len());
        let head = exchange.head().expect("the head is complete");
        group.throughput(Throughput::Elements(1));
        let mut known = Known::of(head, FILE_BYTES).expect("it is like all others");
        group.bench_function(BenchmarkId::new("judged", name), |bench| {
            bench.iter(|| {
                check_partial(black_box(head), asked, &mut known).expect("what was asked")
            });
        });
    }
    group.finish();
}

fn asked() -> Span {
    Span::new(0, ASKED_BYTES)
}

/// An answer to the request for [`asked`], with these fields besides.
fn answer(fields: &str) -> Vec<u8> {
    let (bytes, last) = (ASKED_BYTES, ASKED_BYTES - 1);
    format!(
        "HTTP/1.1 206 Partial Content\r\nServer: nginx\r\nDate: Sat, 14 Mar 2026 15:09:26 GMT\r\n\
         Content-Type: application/octet-stream\r\nContent-Length: {bytes}\r\n\
         Last-Modified: Sun, 01 Mar 2026 08:00:00 GMT\r\nConnection: keep-alive\r\nETag: {ETAG}\r\n\
         {fields}Content-Range: bytes 0-{last}/{FILE_BYTES}\r\n\r\n"
    )
    .into_bytes()
}

fn many_fields(count: usize, value_bytes: usize) -> String {
    let value = "v".repeat(value_bytes);
    (0..count).fold(String::new(), |mut fields, index| {
        write!(fields, "X-Field-{index}: {value}\r\n").expect("a string takes all");
        fields
    })
}

/// A head that arrives in pieces of `piece_bytes` bytes.
fn read(head: &[u8], piece_bytes: usize) -> Exchange {
    let mut exchange = Exchange::new();
    for piece in head.chunks(piece_bytes) {
        exchange.on_head(piece).expect("a head by the letter");
    }
    assert_eq!(exchange.want(), Want::Direct(ASKED_BYTES), "the head is complete");
    exchange
}

fn request(criterion: &mut Criterion) {
    let url = Url::parse("https://files.example/models/large.safetensors").expect("a URL");
    let validator = Validator::StrongEtag(ETAG.to_owned());
    let request = Request::get(&url).if_match(&validator).if_range(&validator);
    let mut group = criterion.benchmark_group("request");
    group.throughput(Throughput::Elements(1));
    group.bench_function("of a span", |bench| {
        bench.iter(|| request.clone().range(black_box(asked())).encode().expect("a short request"));
    });
    group.finish();
}

fn chunked(criterion: &mut Criterion) {
    let body_bytes = sized(BODY_BYTES, BODY_BYTES / 16);
    let mut block = vec![0; READ_BYTES];
    let mut group = criterion.benchmark_group("chunked");
    group.throughput(Throughput::Bytes(body_bytes as u64));
    for chunk_bytes in CHUNK_BYTES {
        let coded = encode(body_bytes, chunk_bytes);
        let id = BenchmarkId::new("chunks of bytes", chunk_bytes);
        group.bench_function(id, |bench| {
            bench.iter(|| assert_eq!(decode(black_box(&coded), &mut block), body_bytes));
        });
    }
    group.finish();
}

fn encode(body_bytes: usize, chunk_bytes: usize) -> Vec<u8> {
    let body: Vec<u8> = (0..=250).cycle().take(body_bytes).collect();
    let mut coded = Vec::with_capacity(body_bytes * 2);
    for chunk in body.chunks(chunk_bytes) {
        coded.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        coded.extend_from_slice(chunk);
        coded.extend_from_slice(b"\r\n");
    }
    coded.extend_from_slice(b"0\r\n\r\n");
    coded
}

/// Decodes what comes in reads of [`READ_BYTES`] to the same memory over and over, so that the
/// decoder is measured and not the memory; returns the bytes of the body.
fn decode(coded: &[u8], output: &mut [u8]) -> usize {
    let mut decoder = ChunkedDecoder::new();
    let (mut produced, mut done) = (0, false);
    for input in coded.chunks(READ_BYTES) {
        let step = decoder.decode(input, output).expect("chunks by the letter");
        assert_eq!(step.consumed, input.len(), "as much room as input");
        produced += step.produced;
        done = step.done;
        black_box(&mut *output);
    }
    assert!(done, "the last chunk was there");
    produced
}

fn config() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(4))
}

criterion_group!(name = benches; config = config(); targets = head, request, chunked);
criterion_main!(benches);
