//! What a set of spans costs that holds 10,000 of them: a file that has been fetched by many
//! connections for long, or resumed from the worst of journals.
//!
//! Spans or questions per second. Each delivered block asks the set once or twice, so a microsecond
//! is nothing against its millisecond; what must not happen is a cost that grows with the spans.
//! The ledger over such a set is measured by `plan`.
//!
//! `cargo bench --bench spans`; `-- 'one of'` for a part of it.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ringhaul::internal::base::size::MIB;
use ringhaul::internal::base::span::{Span, SpanSet};
use std::hint::black_box;
use std::time::Duration;

const SPANS: u64 = 10_000;
/// Without a common factor with [`SPANS`]: visits each of them once, in no order.
const STRIDE: u64 = 7919;

/// The span of this number: every second mebibyte of the file.
fn island(number: u64) -> Span {
    Span::with_len(number * 2 * MIB, MIB)
}

/// What lies between it and the next one.
fn gap(number: u64) -> Span {
    Span::with_len(number * 2 * MIB + MIB, MIB)
}

/// All numbers, shuffled.
fn shuffled() -> impl Iterator<Item = u64> {
    (0..SPANS).map(|number| number * STRIDE % SPANS)
}

fn islands() -> SpanSet {
    built(shuffled().map(island))
}

fn built(spans: impl Iterator<Item = Span>) -> SpanSet {
    spans.fold(SpanSet::new(), |mut set, span| {
        set.insert(span);
        set
    })
}

fn many(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("10000 spans");
    group.throughput(Throughput::Elements(SPANS));
    group.bench_function("inserted in order, all touch", |bench| {
        bench.iter(|| built((0..SPANS).map(|number| Span::with_len(number * MIB, MIB))));
    });
    group.bench_function("inserted in order, none touch", |bench| {
        bench.iter(|| built((0..SPANS).map(island)));
    });
    group.bench_function("inserted in no order, none touch", |bench| bench.iter(islands));
    group.bench_function("joined by their gaps in no order", |bench| {
        bench.iter_batched_ref(
            islands,
            |set| {
                shuffled().for_each(|number| _ = set.insert(gap(number)));
                assert_eq!(set.count(), 1, "no gap is left");
            },
            BatchSize::LargeInput,
        );
    });
    group.bench_function("removed in no order", |bench| {
        bench.iter_batched_ref(
            islands,
            |set| {
                shuffled().for_each(|number| _ = set.remove(island(number)));
                assert!(set.is_empty(), "no span is left");
            },
            BatchSize::LargeInput,
        );
    });
    let set = islands();
    group.bench_function("each gap found from the one before", |bench| {
        bench.iter(|| {
            let (mut at, mut gaps) = (Span::new(0, SPANS * 2 * MIB), 0);
            while let Some(gap) = set.first_gap(at) {
                at = Span::new(gap.end(), at.end());
                gaps += 1;
            }
            assert_eq!(gaps, SPANS);
        });
    });
    group.finish();
}

fn one(criterion: &mut Criterion) {
    let mut set = islands();
    let mut number = 0;
    let mut next = move || {
        number = (number + STRIDE) % SPANS;
        number
    };
    let mut group = criterion.benchmark_group("one of 10000 spans");
    group.throughput(Throughput::Elements(1));
    group.bench_function("first gap", |bench| {
        bench.iter(|| {
            let within = Span::with_len(island(next()).start(), 8 * MIB);
            black_box(set.first_gap(within))
        });
    });
    group.bench_function("covers", |bench| {
        bench.iter(|| black_box(set.covers(island(next()))));
    });
    group.bench_function("insert that joins two, remove that parts them", |bench| {
        bench.iter(|| {
            let gap = gap(next());
            set.insert(gap);
            set.remove(gap);
        });
    });
    group.finish();
}

fn config() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
}

criterion_group!(name = benches; config = config(); targets = many, one);
criterion_main!(benches);
