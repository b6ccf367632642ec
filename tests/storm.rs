//! Storms: seeded schedules of many faults and interruptions at once. No wrong byte, no panic, no
//! hang, and nothing left in the process, at the server or under the final name.
//!
//! `RINGHAUL_FAULTS_SEED=0..2000 cargo test --test storm` is the long form.

mod common;
#[allow(dead_code, reason = "each test binary uses its own part")]
mod schedule;

use common::process::Process;
use ringhaul::Engine;
use ringhaul::internal::base::size::{KIB, MIB};
use ringhaul::server::{Config, Refusal, Shape};
use schedule::{Random, Schedule, run_all};
use std::time::Duration;

#[test]
fn over_loopback() {
    let process = Process::alone();
    run_all(48, 16, |seed| {
        Schedule::new(seed, |_, _| {}).run(|options| {
            options.connections = Some(3);
            options.chunk_bytes = Some(256 * KIB);
        })
    });
    process.assert_as_before();
}

/// The same schedules, without a ring.
#[test]
fn over_loopback_on_epoll() {
    let process = Process::alone();
    run_all(24, 16, |seed| {
        Schedule::new(seed, |_, _| {}).run(|options| {
            options.engine = Engine::Epoll;
            options.connections = Some(3);
            options.chunk_bytes = Some(256 * KIB);
        })
    });
    process.assert_as_before();
}

/// Everything automatic and requests sent ahead, over paths slow enough for the plan to measure
/// them.
#[test]
fn over_paths_of_some_distance() {
    let process = Process::alone();
    run_all(45, 20, |seed| {
        let is_fixed = seed % 3 == 0;
        Schedule::new(seed, shape).run(|options| {
            if is_fixed {
                // Small spans, so that many requests go ahead.
                (options.connections, options.chunk_bytes) = (Some(2), Some(256 * KIB));
            }
        })
    });
    process.assert_as_before();
}

/// A path of some distance, now and then to a server that wants few requests at a time.
fn shape(random: &mut Random, config: &mut Config) {
    let rate = 2 * MIB + random.below(10 * MIB);
    let is_crowded = random.one_in(4);
    let answers_max = usize::try_from(1 + random.below(4)).expect("a small number");
    let refusal = Refusal { answers_max, status: 503, retry_after: None };
    config.shape = Shape {
        connection_bytes_per_second: Some(rate),
        first_byte_delay: Duration::from_millis(random.below(40)),
        refusal: is_crowded.then_some(refusal),
        ..Shape::default()
    };
}
