//! Many faults at once, with everything automatic and requests sent ahead, over paths slow enough
//! for the plan to measure them.

use super::schedule::{Random, Schedule, run_all};
use ringhaul::base::size::{KIB, MIB};
use ringhaul::server::{Config, Refusal, Shape};
use std::time::Duration;

/// Schedules tried, unless the environment says which.
const SCHEDULES: u64 = 100;
const SCHEDULES_AT_ONCE: usize = 16;

/// A path of some distance, now and then to a server that wants few requests at a time.
fn shape(random: &mut Random, config: &mut Config) {
    let rate = 2 * MIB + random.below(10 * MIB);
    let is_crowded = random.below(4) == 0;
    let answers_max = usize::try_from(1 + random.below(4)).expect("a small number");
    let refusal = Refusal { answers_max, status: 503, retry_after: None };
    config.shape = Shape {
        connection_bytes_per_second: Some(rate),
        first_byte_delay: Duration::from_millis(random.below(40)),
        refusal: is_crowded.then_some(refusal),
        ..Shape::default()
    };
}

#[test]
fn random_schedules_end_in_the_right_bytes_or_a_clean_error() {
    run_all(SCHEDULES, SCHEDULES_AT_ONCE, |seed| {
        let is_fixed = seed % 3 == 0;
        Schedule::new(seed, shape).run(|options| {
            if is_fixed {
                // Small spans, so that many requests go ahead.
                (options.connections, options.chunk_bytes) = (Some(2), Some(256 * KIB));
            }
        })
    });
}
