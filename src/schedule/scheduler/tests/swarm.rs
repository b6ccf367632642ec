//! Random batches by the thousand: sizes with a heavy tail, redirects, failures, refusals, lost
//! connections and cancellations, under random bounds. The world checks the bounds.

use super::world::{File, REFUSAL_MS_MAX, ROUND_TRIP, World};
use crate::base::rng::Rng;
use crate::base::size::{GIB, KIB};
use crate::schedule::{Parallel, Settings};
use std::time::Duration;

const SEEDS: u64 = 3000;

#[test]
fn every_file_ends_in_bounded_time_within_all_bounds() {
    for seed in 0..SEEDS {
        println!("seed {seed}");
        play(seed);
    }
}

#[test]
fn small_files_are_not_stuck_behind_large_ones_that_run_for_ever() {
    for seed in 0..1000 {
        println!("seed {seed}");
        let mut rng = Rng::new(seed);
        let origins = 1 + rng.below(4);
        let per_origin = 2 + rng.below(7);
        let total = 2 * origins + rng.below(16);
        let bound = |connections: u64| u32::try_from(connections).unwrap();
        let settings = Settings {
            connections_total_max: bound(total),
            connections_per_origin_max: bound(per_origin),
            ..Settings::default()
        };
        let last_small = |large: u64| {
            let mut rng = Rng::new(seed);
            let mut file = |id: u64| {
                let bytes = if id < large { 4096 * GIB } else { 16 * KIB };
                File::new(id, u32::try_from(rng.below(origins)).unwrap(), bytes)
            };
            let files: Vec<File> = (0..large + 900).map(&mut file).collect();
            let mut world = World::new(settings, files.into_iter(), seed);
            while world.small_left > 0 || world.fates.is_empty() {
                assert!(world.step());
            }
            world.now.as_secs_f64()
        };
        let (alone, beside) = (last_small(0), last_small(1 + seed % 20));
        let ratio = beside / alone;
        println!("{origins} origins, {total} and {per_origin} connections: {ratio:.2}");
        assert!(ratio < 2.5, "{alone} s alone, {beside} s beside large files");
    }
}

/// Bounds of the batch of `seed`.
fn settings(rng: &mut Rng) -> Settings {
    let below = |rng: &mut Rng, most: u64| 1 + u32::try_from(rng.below(most)).unwrap();
    let most = [1, 2, 4, 8, 32][rng.index(5)];
    let total = below(rng, most);
    let parallel = match rng.below(2) {
        0 => Parallel::Auto,
        _ => Parallel::Fixed(below(rng, 12)),
    };
    Settings {
        parallel,
        connections_total_max: total,
        connections_per_origin_max: below(rng, u64::from(total) + 2),
        lane_items_max: below(rng, 8),
        waiting_items_max: 1 + rng.index(64),
        failed_items_max: rng.index(20),
    }
}

/// A file of the batch; `trouble` is the probability of each trouble.
fn file(rng: &mut Rng, id: u64, origins: u64, trouble: f64) -> File {
    let mut origin = || u32::try_from(rng.below(origins)).unwrap();
    let (first, second) = (origin(), origin());
    // Pareto: the mean of a thousand files is mostly one of them.
    let kib = Duration::from_secs_f64(4.0 / (1.0 - rng.unit()).powf(1.3).max(1e-6)).as_secs();
    let mut file = File::new(id, first, (kib * KIB).min(2 * GIB));
    let mut chance = |probability: f64| rng.unit() < probability;
    if chance(0.3) {
        file.hint = None;
    }
    if chance(trouble) && first != second {
        file.redirect = Some(second);
    }
    file.failures = u32::from(chance(trouble)) + u32::from(chance(trouble));
    file.refusals = u32::from(chance(trouble / 4.0));
    file.losses = u32::from(chance(trouble / 2.0));
    if chance(trouble / 8.0) {
        file.silence = Duration::from_secs(1 + id % 30);
    }
    file
}

fn play(seed: u64) {
    let mut rng = Rng::new(seed);
    let settings = settings(&mut rng);
    let origins = 1 + rng.below(5);
    let trouble = [0.0, 0.05, 0.3][rng.index(3)];
    let count = 1 + rng.below(150);
    let files: Vec<File> = (0..count).map(|id| file(&mut rng, id, origins, trouble)).collect();
    let time_max = time_max(&files);
    let mut world = World::new(settings, files.into_iter(), seed);
    world.cancel = if rng.below(3) == 0 { 0.02 } else { 0.0 };
    world.rounds_left = u32::try_from(rng.below(3)).unwrap();
    world.run();
    let lanes = settings.connections_total_max * settings.lane_items_max;
    assert!(world.waiting_max <= settings.waiting_items_max + lanes as usize);
    assert!(world.now <= time_max, "{:?} instead of {time_max:?}", world.now);
    assert_eq!(world.fates.len() as u64, count);
}

/// What the files take one after the other, each with a connection of its own, whenever they come
/// back; refusals are waited for, and twice more for the count that they leave behind.
fn time_max(files: &[File]) -> Duration {
    let time = |file: &File| {
        let troubles = file.failures + file.refusals + file.losses;
        let tries = 2 + troubles + u32::from(file.redirect.is_some());
        let refusals = Duration::from_millis(REFUSAL_MS_MAX) * file.refusals * 3;
        let bytes = Duration::from_secs_f64(file.bytes as f64 / 10e6);
        bytes + 5 * ROUND_TRIP * tries + refusals + file.silence
    };
    files.iter().map(time).sum::<Duration>() + Duration::from_secs(1)
}
