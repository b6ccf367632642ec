//! What the random histories are made of.

use super::Op;
use crate::base::ErrorKind;
use crate::base::span::{Span, SpanSet};
use crate::plan::{Fanout, MirrorPolicy, RequestSize, Settings, SourceId};
use proptest::prelude::*;

fn kinds() -> impl Strategy<Value = ErrorKind> {
    prop_oneof![
        // Kinds that are no push-back, which would forgive failures.
        10 => Just(ErrorKind::Truncated),
        10 => Just(ErrorKind::Status(500)),
        10 => Just(ErrorKind::TimedOut),
        1 => Just(ErrorKind::Status(404)),
        // Final, unless others are the reason.
        2 => Just(ErrorKind::Status(403)),
        2 => Just(ErrorKind::ResourceLimit),
    ]
}

pub(super) fn ops() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => Just(Op::Next),
        4 => Just(Op::Ahead),
        1 => Just(Op::Refuse),
        2 => Just(Op::KeepAlive),
        4 => Just(Op::Tick),
        3 => Just(Op::Report),
        2 => (1..=4u64).prop_map(|quarters| Op::Claim { quarters }),
        8 => (0..8u64, 1..8u64).prop_map(|(skip, units)| Op::Deliver { skip, units }),
        3 => Just(Op::Finish),
        2 => kinds().prop_map(Op::Fail),
        1 => Just(Op::Move),
        3 => Just(Op::Route),
        3 => any::<(bool, bool)>().prop_map(|(opens, useless)| Op::Look { opens, useless }),
        2 => Just(Op::Sample),
        1 => (1..=5u32).prop_map(|connections| Op::Limit { connections }),
        3 => (1..500u64).prop_map(|millis| Op::Pass { millis }),
    ]
}

fn requests() -> impl Strategy<Value = RequestSize> {
    prop_oneof![
        1 => Just(RequestSize::Auto),
        3 => (1..40u64).prop_map(RequestSize::Fixed),
    ]
}

fn fanouts() -> impl Strategy<Value = Fanout> {
    prop_oneof![
        1 => (1..=4u32).prop_map(|max| Fanout::Auto { max }),
        2 => (1..=4u32).prop_map(Fanout::Fixed),
    ]
}

/// Half of the time none, and as often less than a unit of alignment as more than the file.
fn bounds() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![
        4 => Just(None),
        3 => (0..100u64).prop_map(Some),
        1 => Just(Some(u64::MAX)),
    ]
}

/// Half of the time one, and any of three policies.
fn sources() -> impl Strategy<Value = (u32, u32, MirrorPolicy)> {
    let policies = prop_oneof![
        Just(MirrorPolicy::All),
        Just(MirrorPolicy::Best),
        Just(MirrorPolicy::Failover)
    ];
    let counts = prop_oneof![Just(1), 2..=4u32];
    (counts, 0..4u32, policies).prop_map(|(count, first, policy)| (count, first % count, policy))
}

pub(super) fn settings() -> impl Strategy<Value = Settings> {
    (of_one(), sources()).prop_map(|(settings, (sources, first, mirror_policy))| Settings {
        sources,
        first_source: SourceId(first),
        mirror_policy,
        ..settings
    })
}

fn of_one() -> impl Strategy<Value = Settings> {
    (1..=4u64, 1..=3u64, requests(), fanouts(), 0..6u32, 0..200u64, bounds()).prop_map(
        |(align_bytes, block_units, request, fanout, retries, hedge_bytes_max, ahead_bytes_max)| {
            Settings {
                request,
                fanout,
                retries,
                jitter_seed: hedge_bytes_max,
                block_bytes: align_bytes * block_units,
                align_bytes,
                span_bytes_max: 40 * align_bytes,
                hedge_bytes_max,
                ahead_bytes_max,
                ..Settings::default()
            }
        },
    )
}

/// What an earlier transfer may have left: half of the time nothing.
pub(super) fn delivered() -> impl Strategy<Value = Vec<(u64, u64)>> {
    prop_oneof![Just(Vec::new()), prop::collection::vec((0..160u64, 1..40u64), 1..8)]
}

pub(super) fn aligned(spans: &[(u64, u64)], total_bytes: u64, align_bytes: u64) -> SpanSet {
    let mut set = SpanSet::new();
    for &(start, units) in spans {
        let span = Span::with_len(start.next_multiple_of(align_bytes), units * align_bytes);
        set.insert(span.intersect(Span::new(0, total_bytes)));
    }
    set
}
