//! How fair the decisions are over time: small files beside large ones, origins beside each other,
//! the tail of the batch, and a list without end.

use super::world::{File, World};
use crate::base::size::{GIB, KIB, MIB};
use crate::schedule::{ItemId, Parallel, Settings};
use std::time::Duration;

fn bounds(total: u32, per_origin: u32) -> Settings {
    Settings {
        connections_total_max: total,
        connections_per_origin_max: per_origin,
        ..Settings::default()
    }
}

fn small(id: u64, origin: u32) -> File {
    File::new(id, origin, 16 * KIB)
}

/// The median time from the list to the end, of 2,000 small files.
fn median_latency(settings: Settings, large: u64) -> Duration {
    let first = (0..large).map(|id| File::new(id, 0, 4 * GIB));
    let list = first.chain((0..2000).map(move |id| small(large + id, 0)));
    let mut world = World::new(settings, list, 7);
    world.run();
    let fates = world.fates.iter().filter(|(id, _)| id.0 >= large);
    let mut latencies: Vec<Duration> = fates.map(|(_, fate)| fate.latency()).collect();
    latencies.sort_unstable();
    latencies[latencies.len() / 2]
}

#[test]
fn a_small_file_waits_little_longer_beside_large_ones() {
    for (connections, factor) in [(2, 2.2), (4, 2.2), (8, 2.2), (16, 1.5), (32, 1.2), (64, 1.2)] {
        let alone = median_latency(bounds(connections, connections), 0);
        for large in [1, 5] {
            let beside = median_latency(bounds(connections, connections), large);
            let ratio = beside.as_secs_f64() / alone.as_secs_f64();
            println!(
                "{connections} connections, {large} large: {alone:?} -> {beside:?}, {ratio:.2}"
            );
            assert!(ratio <= factor, "{ratio} times as long with {connections} connections");
        }
    }
}

/// The time at which all of 1,000 files have ended but those that are silent for a minute.
fn ended_beside_silent(settings: Settings, silent: &'static [u64], hint: bool) -> Duration {
    let list = (0..1000).map(move |id| {
        let mut file = small(id, 0);
        file.hint = file.hint.filter(|_| hint);
        if silent.contains(&id) {
            file.silence = Duration::from_secs(60);
        }
        file
    });
    let mut world = World::new(settings, list, 3);
    world.run();
    let others = world.fates.iter().filter(|(id, _)| !silent.contains(&id.0));
    others.map(|(_, fate)| fate.ended.unwrap()).max().unwrap()
}

#[test]
fn files_that_are_silent_do_not_hold_back_others() {
    for hint in [true, false] {
        for connections in [2, 4, 64] {
            let settings = bounds(connections, connections);
            let alone = ended_beside_silent(settings, &[], hint);
            let beside = ended_beside_silent(settings, &[500], hint);
            println!("{connections} connections: {alone:?}, {beside:?} beside a silent one");
            let most = alone * connections / (connections - 1) + Duration::from_millis(1500);
            assert!(beside < most, "{beside:?} instead of {alone:?}");
        }
        let many = ended_beside_silent(bounds(64, 64), &[0, 1, 2, 3, 4, 5, 300, 301, 302], hint);
        assert!(many < Duration::from_secs(8), "more than there are lanes at first: {many:?}");
    }
}

#[test]
fn at_one_connection_the_classes_take_turns() {
    let large = (0..5).map(|id| File::new(id, 0, 20 * MIB));
    let list = large.chain((5..1000).map(|id| small(id, 0)));
    let mut world = World::new(bounds(1, 1), list, 1);
    world.run();
    let ended = |id| world.fates[&ItemId(id)].ended.unwrap();
    // A large file takes about 2.2 s, a turn of small ones at most 1.1 s.
    assert!(ended(5) < Duration::from_secs(4), "one large file is waited for: {:?}", ended(5));
    assert!(ended(4) < Duration::from_secs(18), "so is one turn each: {:?}", ended(4));
    assert!(ended(999) > ended(4), "small files do not all go first");
}

#[test]
fn origins_take_turns_where_there_is_not_a_lane_for_each() {
    let list = (0..).map(|id| small(id, u32::try_from(id % 5).unwrap()));
    let mut world = World::new(bounds(2, 2), list.take(20_000), 1);
    while world.now < Duration::from_secs(20) && world.step() {}
    let mut ended = [0_u32; 5];
    for (id, fate) in &world.fates {
        ended[usize::try_from(id.0 % 5).unwrap()] += u32::from(fate.ended.is_some());
    }
    println!("{ended:?}");
    let (least, most) = (ended.iter().min().unwrap(), ended.iter().max().unwrap());
    assert!(*least > 0 && most <= &(2 * least), "{ended:?}");
}

#[test]
fn large_files_of_one_origin_do_not_keep_another_waiting() {
    let many = (0..40).map(|id| File::new(id, 0, 100 * MIB));
    let list = many.chain((40..42).map(|id| File::new(id, 1, 100 * MIB)));
    let mut world = World::new(bounds(8, 8), list, 1);
    world.run();
    let ended = |id| world.fates[&ItemId(id)].ended.unwrap();
    println!("{:?} of {:?}", ended(41), world.now);
    assert!(ended(41) < world.now / 3, "{:?} of {:?}", ended(41), world.now);
}

#[test]
fn the_tail_uses_what_the_bounds_allow() {
    let list = (0..6).map(|id| File::new(id, 0, if id < 5 { 100 * MIB } else { GIB }));
    let mut world = World::new(bounds(24, 16), list, 1);
    world.run();
    assert_eq!(world.fates[&ItemId(5)].connections_max, 16);
    // At 10 MB/s for each of 16 connections, and a little for the changes.
    let least = Duration::from_secs_f64(1524.0 * MIB as f64 / 160e6);
    assert!(world.now < least.mul_f64(1.15), "{:?} instead of {least:?}", world.now);
}

#[test]
fn lanes_become_more_while_it_pays() {
    let list = (0..20_000).map(|id| small(id, 0));
    let mut world = World::new(bounds(64, 64), list, 1);
    while world.now < Duration::from_secs(2) && world.step() {}
    assert_eq!(world.open(0), (16, 0));
    let asked = Settings { parallel: Parallel::Fixed(50), ..bounds(64, 64) };
    let mut world = World::new(asked, (0..20_000).map(|id| small(id, 0)), 1);
    while world.now < Duration::from_secs(1) && world.step() {}
    assert_eq!(world.open(0), (50, 0));
}

#[test]
fn a_list_without_end_is_read_as_it_is_worked_off() {
    let list = (0..).map(|id| small(id, u32::try_from(id % 3000).unwrap()));
    let settings = bounds(64, 16);
    let mut world = World::new(settings, list, 1);
    for _ in 0..20_000 {
        assert!(world.step());
    }
    assert!(world.waiting_max <= settings.waiting_items_max, "{}", world.waiting_max);
    assert!(world.fates.len() > 5000);
}
