//! What the planning core costs per event, with 10,000 open spans on a file of one pebibyte.
//!
//! One turn is a span's life: progress, a delivery, the end, the next span; the numbers are for the
//! turn of four events. `-- --test` runs each
//! once.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use ringhaul::base::ErrorKind;
use ringhaul::base::Span;
use ringhaul::base::size::MIB;
use ringhaul::plan::{ConnectionId, Fanout, Next, Pressure, RequestSize, Settings, Transfer};
use std::hint::black_box;
use std::time::Duration;

const FILE_BYTES: u64 = 1 << 50;
const OPEN_SPANS: u32 = 10_000;

/// Who holds what.
struct Crew {
    transfer: Transfer,
    spans: Vec<Span>,
    now: Duration,
    turns: usize,
}

impl Crew {
    fn new(connections: u32, settings: Settings) -> Self {
        let mut crew = Self {
            transfer: Transfer::new(FILE_BYTES, settings),
            spans: Vec::new(),
            now: Duration::ZERO,
            turns: 0,
        };
        crew.transfer.adopt(crew.now, ConnectionId(0), 0, Span::new(0, MIB));
        crew.spans.push(Span::new(0, MIB));
        for id in 1..connections {
            let span = crew.fetch(ConnectionId(id));
            crew.spans.push(span);
        }
        crew
    }

    fn fetch(&mut self, id: ConnectionId) -> Span {
        match self.transfer.next(self.now, id) {
            Next::Fetch(fetch) => fetch.span,
            other => panic!("there is always more of this file, not {other:?}"),
        }
    }

    /// One span's life on one connection.
    fn turn(&mut self) {
        self.turns += 1;
        self.now += Duration::from_micros(100);
        let index = self.turns.wrapping_mul(7919) % self.spans.len();
        let id = ConnectionId(u32::try_from(index).expect("few connections"));
        let span = self.spans[index];
        self.transfer.on_progress(self.now, id, span.start() + span.len() / 2);
        self.transfer.on_written(self.now, id, span);
        self.transfer.on_finished(self.now, id);
        self.spans[index] = self.fetch(id);
    }
}

fn settings(fanout: Fanout) -> Settings {
    let request = RequestSize::Fixed(MIB);
    Settings { request, fanout, retries: u32::MAX, ..Settings::default() }
}

fn many_leases(criterion: &mut Criterion) {
    let mut crew = Crew::new(OPEN_SPANS, settings(Fanout::Fixed(OPEN_SPANS)));
    criterion.bench_function("turn of 4 events, 10000 leases", |bench| {
        bench.iter(|| crew.turn());
    });
}

fn many_holes(criterion: &mut Criterion) {
    let mut crew = Crew::new(OPEN_SPANS, settings(Fanout::Fixed(OPEN_SPANS)));
    // All but sixteen lose their connections: as many holes, sixteen leases.
    for id in (16..OPEN_SPANS).map(ConnectionId) {
        let kind = ErrorKind::TimedOut;
        crew.transfer.on_failed(crew.now, id, kind, None, false);
    }
    crew.spans.truncate(16);
    criterion.bench_function("turn of 4 events, 10000 holes", |bench| {
        bench.iter(|| crew.turn());
    });
}

fn adaptive(criterion: &mut Criterion) {
    let automatic = Settings { fanout: Fanout::Fixed(8), ..Settings::default() };
    criterion.bench_function("1000 turns and 63 ticks, automatic sizes", |bench| {
        bench.iter_batched_ref(
            || Crew::new(8, automatic),
            |crew| {
                for turn in 0..1000 {
                    crew.turn();
                    if turn % 16 == 0 {
                        black_box(crew.transfer.on_tick(crew.now, Pressure::default()));
                    }
                }
            },
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, many_leases, many_holes, adaptive);
criterion_main!(benches);
