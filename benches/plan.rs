//! What the planning core costs per event, with 10,000 open spans in its ledger, on a file of one
//! pebibyte; and what it costs to take up a file that an earlier run has left with 10,000 gaps.
//!
//! Events per second. One turn is a span's life in four events: progress, a delivery, the end, the
//! next span. All connections share the plan's lock, so events per second bound requests per
//! second; they must not fall with the number of spans.
//!
//! `cargo bench --bench plan`; `-- gaps` for a part of it.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ringhaul::ErrorKind;
use ringhaul::internal::base::size::MIB;
use ringhaul::internal::base::span::{Span, SpanSet};
use ringhaul::internal::plan::{
    ConnectionId, Fanout, Next, Pressure, RequestSize, Settings, Transfer,
};
use std::hint::black_box;
use std::time::Duration;

const FILE_BYTES: u64 = 1 << 50;
const OPEN_SPANS: u32 = 10_000;
const EVENTS_PER_TURN: u64 = 4;
/// A span's life without a report of progress.
const EVENTS_PER_GAP: u64 = 3;

/// A transfer, and the span that each of its connections holds.
struct Fixture {
    transfer: Transfer,
    spans: Vec<Span>,
    now: Duration,
    turns: usize,
}

impl Fixture {
    fn new(connections: u32, settings: Settings) -> Self {
        let mut fixture = Self {
            transfer: Transfer::new(FILE_BYTES, settings),
            spans: Vec::new(),
            now: Duration::ZERO,
            turns: 0,
        };
        fixture.transfer.adopt(fixture.now, ConnectionId(0), 0, Span::new(0, MIB));
        fixture.spans.push(Span::new(0, MIB));
        for id in 1..connections {
            let span = fixture.fetch(ConnectionId(id));
            fixture.spans.push(span);
        }
        fixture
    }

    fn fetch(&mut self, id: ConnectionId) -> Span {
        fetch(&mut self.transfer, self.now, id)
    }

    /// One span's life on one connection.
    fn turn(&mut self) {
        self.turns += 1;
        self.now += Duration::from_micros(100);
        let index = self.turns.wrapping_mul(7919) % self.spans.len();
        let id = ConnectionId(u32::try_from(index).expect("few connections"));
        let span = self.spans[index];
        self.transfer.on_progress(self.now, id, span.start() + span.len() / 2);
        self.transfer.on_delivered(self.now, id, span);
        self.transfer.on_finished(self.now, id);
        self.spans[index] = self.fetch(id);
    }
}

/// The connection's next span.
fn fetch(transfer: &mut Transfer, now: Duration, id: ConnectionId) -> Span {
    match transfer.next(now, id) {
        Next::Fetch(fetch) => fetch.span,
        other => panic!("there is always more of this file, not {other:?}"),
    }
}

fn settings(fanout: Fanout) -> Settings {
    let request = RequestSize::Fixed(MIB);
    Settings { request, fanout, retries: u32::MAX, ..Settings::default() }
}

fn turns(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("turn of 4 events");
    group.throughput(Throughput::Elements(EVENTS_PER_TURN));
    let fixture = || Fixture::new(OPEN_SPANS, settings(Fanout::Fixed(OPEN_SPANS)));
    let mut assignments = fixture();
    group.bench_function("10000 assignments", |bench| bench.iter(|| assignments.turn()));
    let mut holes = fixture();
    // All but sixteen lose their connections: as many holes, sixteen assignments.
    for id in (16..OPEN_SPANS).map(ConnectionId) {
        let kind = ErrorKind::TimedOut;
        holes.transfer.on_failed(holes.now, id, kind, None, false);
    }
    holes.spans.truncate(16);
    group.bench_function("10000 holes", |bench| bench.iter(|| holes.turn()));
    group.finish();
}

fn adaptive(criterion: &mut Criterion) {
    let automatic = Settings { fanout: Fanout::Fixed(8), ..Settings::default() };
    let mut group = criterion.benchmark_group("automatic sizes");
    group.throughput(Throughput::Elements(1000 * EVENTS_PER_TURN));
    group.bench_function("1000 turns and 63 ticks", |bench| {
        bench.iter_batched_ref(
            || Fixture::new(8, automatic),
            |fixture| {
                for turn in 0..1000 {
                    fixture.turn();
                    if turn % 16 == 0 {
                        black_box(fixture.transfer.on_tick(fixture.now, Pressure::default()));
                    }
                }
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

/// A file of which an earlier run has left every second mebibyte.
fn gaps(criterion: &mut Criterion) {
    let spans = u64::from(OPEN_SPANS);
    let mut delivered = SpanSet::new();
    for number in 0..spans {
        delivered.insert(Span::with_len((2 * number + 1) * MIB, MIB));
    }
    let resume = || Transfer::resume(2 * spans * MIB, settings(Fanout::Fixed(1)), &delivered);
    let mut group = criterion.benchmark_group("10000 gaps");
    group.throughput(Throughput::Elements(spans)).sample_size(50);
    group.bench_function("taken up", |bench| bench.iter_with_large_drop(resume));
    group.throughput(Throughput::Elements(spans * EVENTS_PER_GAP));
    group.bench_function("filled", |bench| {
        bench.iter_batched_ref(resume, fill, BatchSize::PerIteration);
    });
    group.finish();
}

/// One connection fetches all that is missing.
fn fill(transfer: &mut Transfer) {
    let (now, id) = (Duration::ZERO, ConnectionId(0));
    while !transfer.is_complete() {
        let span = fetch(transfer, now, id);
        transfer.on_delivered(now, id, span);
        transfer.on_finished(now, id);
    }
}

fn config() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(4))
}

criterion_group!(name = benches; config = config(); targets = turns, adaptive, gaps);
criterion_main!(benches);
