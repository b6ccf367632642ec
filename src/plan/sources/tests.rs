//! Single decisions about sources; whole transfers from several are in `transfer/tests/mirrored`.

use super::*;

const NOW: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(50);

/// The first of `count` sources is open.
fn first_open(count: u32, policy: MirrorPolicy, connections_max: u32) -> Sources {
    let mut sources = Sources::new(count, true, policy, connections_max);
    sources.opened(NOW, SourceId(0), 1);
    sources
}

/// All of `count` sources are open.
fn open(count: u32, policy: MirrorPolicy) -> Sources {
    let mut sources = first_open(count, policy, 64);
    for id in sources.open_next(NOW) {
        sources.opened(NOW, id, 1);
    }
    sources
}

fn route(sources: &mut Sources, ids: std::ops::Range<u32>) -> Vec<u32> {
    ids.map(|id| sources.route(NOW, ConnectionId(id)).expect("one takes it").0).collect()
}

#[test]
fn every_source_gets_a_connection_before_any_gets_two() {
    let mut sources = open(3, MirrorPolicy::All);
    assert_eq!(route(&mut sources, 0..6), [0, 1, 2, 0, 1, 2]);
    assert_eq!(sources.connections_min(), 3);
}

#[test]
fn further_connections_go_where_each_brings_most() {
    let mut sources = open(2, MirrorPolicy::All);
    route(&mut sources, 0..2);
    sources.sample(NOW, ConnectionId(0), 4e6, TICK);
    sources.sample(NOW, ConnectionId(1), 1e6, TICK);
    assert_eq!(route(&mut sources, 2..5), [0, 0, 0]);
}

#[test]
fn a_source_gets_no_more_than_it_is_said_to_take_until_it_is_known() {
    let mut sources = open(3, MirrorPolicy::All);
    sources.begin_with(SourceId(1), 1);
    assert_eq!(route(&mut sources, 0..6), [0, 1, 2, 0, 2, 0]);
    for (id, goodput) in [(0, 1e6), (1, 4e6), (2, 1e6)] {
        sources.sample(NOW, ConnectionId(id), goodput, TICK);
    }
    assert_eq!(sources.route(NOW, ConnectionId(6)), Some(SourceId(2)));
    let later = NOW + SETTLING;
    for id in 7..10 {
        assert_eq!(sources.route(later, ConnectionId(id)), Some(SourceId(1)), "it brings most");
    }
    assert_eq!(sources.connections_at_first(), u32::MAX, "there are others");
    // With all the connections that there may be, it gets of those of others.
    let [held_back, own] = [1, 0].map(ConnectionId);
    let mut sources = open(2, MirrorPolicy::All);
    sources.begin_with(SourceId(1), 1);
    assert_eq!(route(&mut sources, 0..4), [0, 1, 0, 0]);
    [held_back, own].iter().for_each(|id| sources.sample(NOW, *id, 1e6, TICK));
    assert!(sources.stays(NOW, own, true), "nothing is known yet");
    assert!(sources.stays(later, own, false) && !sources.stays(later, own, true));
    assert_eq!(sources.route(later, own), Some(SourceId(1)));
    assert!(sources.stays(later, ConnectionId(2), true), "two at each");
    assert!(sources.stays(later, held_back, true), "and none goes back");
    let mut alone = first_open(1, MirrorPolicy::All, 64);
    alone.begin_with(SourceId(0), 0);
    assert_eq!(alone.connections_at_first(), 1);
    assert_eq!(route(&mut alone, 0..3), [0, 0, 0]);
}

#[test]
fn no_more_sources_are_opened_than_there_are_connections_for() {
    let to_open =
        |policy, connections_max| first_open(100, policy, connections_max).open_next(NOW).len();
    assert_eq!(to_open(MirrorPolicy::All, 4), 3);
    assert_eq!(to_open(MirrorPolicy::All, 64), 7, "100 mirrors are not all asked");
    assert_eq!(to_open(MirrorPolicy::Failover, 64), 0);
}

#[test]
fn a_source_that_failed_rests_longer_each_time() {
    let mut sources = open(2, MirrorPolicy::All);
    let mut rests = Vec::new();
    let mut now = NOW;
    for _ in 0..10 {
        let rest = sources.on_failed(now, SourceId(0), Class::Later, Duration::ZERO).unwrap();
        assert_eq!(sources.route(now, ConnectionId(0)), Some(SourceId(1)));
        assert_eq!(sources.open_next(now + rest - TICK), []);
        now += rest;
        assert_eq!(sources.open_next(now), [SourceId(0)]);
        assert_eq!(sources.open_next(now), [], "it is being opened");
        sources.opened(NOW, SourceId(0), 1);
        rests.push(rest.as_secs());
    }
    assert_eq!(rests, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
}

#[test]
fn one_broken_connection_is_an_accident_two_in_a_row_are_not() {
    let mut sources = open(2, MirrorPolicy::All);
    let fail = |sources: &mut Sources| {
        sources.on_failed(NOW, SourceId(0), Class::AtOnce, Duration::ZERO).is_some()
    };
    assert!(!fail(&mut sources));
    route(&mut sources, 0..1);
    sources.on_delivered(ConnectionId(0));
    assert!(!fail(&mut sources), "bytes came in between");
    assert!(fail(&mut sources));
    assert!(!fail(&mut sources), "it rests already");
}

#[test]
fn a_reserve_steps_in_for_a_source_that_fails() {
    let mut sources = first_open(3, MirrorPolicy::Failover, 64);
    assert_eq!(route(&mut sources, 0..3), [0, 0, 0]);
    assert!(!sources.has_other(SourceId(0)) && sources.has_hope(SourceId(0)));
    sources.on_last_failed(SourceId(0), Class::AtOnce);
    assert_eq!(sources.open_next(NOW), [], "one connection may break");
    sources.on_last_failed(SourceId(0), Class::AtOnce);
    assert!(sources.is_open(SourceId(0)), "nobody else can");
    assert_eq!(sources.open_next(NOW), [SourceId(1)]);
    assert_eq!(sources.open_next(NOW), []);
    sources.opened(NOW, SourceId(1), 1);
    sources.leave(ConnectionId(0));
    assert_eq!(route(&mut sources, 0..1), [1]);
    sources.on_failed(NOW, SourceId(0), Class::Later, Duration::ZERO).expect("it rests");
    assert_eq!(sources.open_next(NOW), [], "one at a time");
}

#[test]
fn a_source_that_delivers_again_is_not_doubted() {
    let mut sources = first_open(2, MirrorPolicy::All, 1);
    route(&mut sources, 0..1);
    sources.on_last_failed(SourceId(0), Class::Later);
    sources.on_delivered(ConnectionId(0));
    assert_eq!(sources.open_next(NOW), [], "there is one connection, and it has a source");
    sources.on_last_failed(SourceId(0), Class::Later);
    assert_eq!(sources.open_next(NOW), [SourceId(1)]);
    assert_eq!(sources.route(NOW, ConnectionId(0)), Some(SourceId(0)), "nobody else is there");
    sources.opened(NOW, SourceId(1), 1);
    assert_eq!(sources.route(NOW, ConnectionId(0)), Some(SourceId(1)));
}

#[test]
fn a_cap_of_one_source_sends_connections_to_the_others() {
    let mut sources = open(2, MirrorPolicy::All);
    route(&mut sources, 0..4);
    assert_eq!(sources.on_refusal(NOW, SourceId(0), 2, false), Some(2));
    assert_eq!(route(&mut sources, 4..6), [1, 1]);
    assert_eq!(sources.on_refusal(NOW, SourceId(1), 1, false), Some(1));
    let (newcomer, own) = (ConnectionId(6), ConnectionId(5));
    assert!(!sources.has_room(NOW, newcomer), "both have enough");
    assert!(sources.has_room(NOW, own), "its own place is counted");
}

#[test]
fn a_source_without_connections_gets_one_that_can_be_spared() {
    let mut sources = first_open(2, MirrorPolicy::All, 2);
    assert_eq!(route(&mut sources, 0..2), [0, 0]);
    for id in sources.open_next(NOW) {
        sources.opened(NOW, id, 1);
    }
    let (a, b) = (ConnectionId(0), ConnectionId(1));
    assert!(sources.stays(NOW, a, false), "another connection may still be made");
    assert!(!sources.stays(NOW, a, true));
    assert_eq!(sources.route(NOW, a), Some(SourceId(1)));
    assert!(sources.stays(NOW, a, true) && sources.stays(NOW, b, true));
    assert!(!sources.may_retire(a) && !sources.may_retire(b));
}

#[test]
fn connections_are_given_up_where_they_weigh_most() {
    let mut sources = open(2, MirrorPolicy::All);
    route(&mut sources, 0..6);
    let (a, b) = (ConnectionId(0), ConnectionId(1));
    assert!(sources.may_retire(a) && sources.may_retire(b), "three at each");
    sources.sample(NOW, a, 4e6, TICK);
    sources.sample(NOW, b, 1e6, TICK);
    assert!(!sources.may_retire(a) && sources.may_retire(b));
    for id in [1, 3] {
        sources.leave(ConnectionId(id));
    }
    let last = ConnectionId(5);
    assert!(!sources.may_retire(last), "its source's only one");
    sources.not_opened(NOW, SourceId(1), Class::Later);
    assert!(sources.may_retire(last) && sources.may_retire(a), "only one is open");
}

#[test]
fn a_source_is_awaited_until_something_has_come_from_there() {
    let mut sources = first_open(2, MirrorPolicy::All, 8);
    route(&mut sources, 0..1);
    sources.sample(NOW, ConnectionId(0), 1e6, TICK);
    assert!(!sources.awaits_any());
    sources.open_next(NOW);
    sources.opened(NOW, SourceId(1), 1);
    assert!(sources.awaits_any());
    route(&mut sources, 1..2);
    sources.sample(NOW, ConnectionId(1), 1e6, TICK);
    assert!(!sources.awaits_any());
}

#[test]
fn the_best_one_is_kept_once_all_are_known() {
    let mut sources = open(2, MirrorPolicy::Best);
    route(&mut sources, 0..2);
    let (a, b) = (ConnectionId(0), ConnectionId(1));
    sources.sample(NOW, a, 1e6, TICK);
    sources.sample(NOW, b, 4e6, TICK);
    assert!(sources.stays(NOW, a, true), "nobody knows yet");
    let later = NOW + SETTLING;
    assert!(!sources.stays(later, a, true) && sources.stays(later, b, true));
    assert_eq!(sources.route(later, a), Some(SourceId(1)));
}

#[test]
fn a_source_that_is_of_no_use_is_never_asked_again() {
    let mut sources = open(2, MirrorPolicy::All);
    sources.dropped(SourceId(1));
    let later = NOW + Duration::from_secs(1_000_000);
    assert_eq!(sources.open_next(later), []);
    assert_eq!(route(&mut sources, 0..3), [0, 0, 0]);
    assert!(!sources.has_hope(SourceId(0)));
}

#[test]
fn those_that_are_about_to_be_opened_are_left_something() {
    let mut sources = first_open(3, MirrorPolicy::All, 64);
    assert_eq!(sources.connections_max(NOW), u32::MAX, "nobody looks at the others");
    sources.open_next(NOW);
    assert_eq!(sources.connections_max(NOW), START_EACH);
    sources.opened(NOW, SourceId(1), 1);
    assert_eq!(sources.connections_max(NOW), 2 * START_EACH);
    assert_eq!(sources.connections_max(NOW + OPENING_TIME), u32::MAX);
}
