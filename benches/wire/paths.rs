//! The paths: what the built-in server pretends to be, and how large the file is there.
//!
//! Rates are decimal, as links are sold; sizes are chosen so that the best setting takes 2 to 6 s.

use ringhaul::server::{
    Config, Fault, RateStep, Refusal, RetryAfter, Rule, Shape, SlowConnections, StepAfter,
    Throttle, When,
};
use std::time::Duration;

/// One megabyte of a rate.
pub(crate) const MB: u64 = 1_000_000;
/// Content of the file.
const SEED: u64 = 7;
/// Bytes per second of one connection on most paths.
pub(crate) const CONNECTION_RATE: u64 = 25 * MB;
const TOTAL_RATE: u64 = 200 * MB;

/// One path.
pub(crate) struct Path {
    /// As `--paths` names it.
    pub(crate) name: &'static str,
    /// What it is, in one line.
    pub(crate) what: &'static str,
    /// Size of the file.
    pub(crate) size_bytes: u64,
    /// Stall timeout of fixed settings, where a connection stalls and the engine's own 30 s would
    /// only measure themselves: what somebody who knows the path would choose.
    pub(crate) fixed_stall_timeout: Option<Duration>,
    shape: fn() -> Shape,
    rules: fn() -> Vec<Rule>,
}

impl Path {
    /// A server for one run with a file of this size; steps and faults begin anew.
    pub(crate) fn config(&self, size_bytes: u64) -> Config {
        Config { shape: (self.shape)(), script: (self.rules)(), ..Config::new(SEED, size_bytes) }
    }

    const fn new(
        name: &'static str,
        what: &'static str,
        size_bytes: u64,
        shape: fn() -> Shape,
    ) -> Self {
        Self { name, what, size_bytes, fixed_stall_timeout: None, shape, rules: Vec::new }
    }
}

/// The path without faults that the bad connections are compared with.
pub(crate) static CAPPED: Path =
    Path::new("capped", "25 MB/s per connection, 200 MB/s in all", 500 * MB, capped);

/// One of eight connections is slow.
pub(crate) static SLOW: Path = Path::new(
    "slow",
    "25 MB/s per connection, 200 MB/s in all; every eighth connection at 5 %",
    500 * MB,
    || Shape {
        slow_connections: Some(SlowConnections {
            every: 8,
            bytes_per_second: CONNECTION_RATE / 20,
        }),
        ..capped()
    },
);

/// One connection stalls for ever.
pub(crate) static STALL: Path = Path {
    fixed_stall_timeout: Some(Duration::from_secs(3)),
    rules: || vec![Rule::new(When::Connection(2), Fault::StallAfter(100_000))],
    ..Path::new(
        "stall",
        "25 MB/s per connection, 200 MB/s in all; the second connection stalls for ever",
        500 * MB,
        capped,
    )
};

/// The total keeps the grid's 32 connections within what two cores can do.
static FIRST_BYTE: Path = Path::new(
    "first-byte",
    "50 ms to the first byte, 25 MB/s per connection, 200 MB/s in all",
    500 * MB,
    || Shape { first_byte_delay: Duration::from_millis(50), ..capped() },
);

/// One connection that is slow to start each answer: long enough that connecting, the first answer
/// and the sync at the end are a percent.
pub(crate) static ONE_SLOW_TO_START: Path =
    Path::new("one-slow-to-start", "50 ms to the first byte, 25 MB/s", 200 * MB, || Shape {
        first_byte_delay: Duration::from_millis(50),
        ..per_connection()
    });

/// All paths of the grid, in the order of the report.
pub(crate) static ALL: [&Path; 11] = [
    &CAPPED,
    &AGGREGATE,
    &FIRST_BYTE,
    &REFUSE_503,
    &REFUSE_RESET,
    &SLOW,
    &THROTTLE,
    &STEP_DOWN,
    &STEP_UP,
    &LOOPBACK,
    &STALL,
];

static AGGREGATE: Path = Path::new("aggregate", "50 MB/s in all", 150 * MB, || Shape {
    total_bytes_per_second: Some(50 * MB),
    ..Shape::default()
});

static REFUSE_503: Path = Path::new(
    "refuse-503",
    "25 MB/s per connection; more than 4 requests at a time get 503, Retry-After 1 s",
    300 * MB,
    || Shape {
        refusal: Some(Refusal {
            answers_max: 4,
            status: 503,
            retry_after: Some(RetryAfter::Seconds(1)),
        }),
        ..per_connection()
    },
);

static REFUSE_RESET: Path = Path::new(
    "refuse-reset",
    "25 MB/s per connection; a fifth connection is reset at accept",
    300 * MB,
    || Shape { resets_beyond: Some(4), ..per_connection() },
);

static THROTTLE: Path = Path::new(
    "throttle",
    "25 MB/s per connection, 100 MB/s in all; more than 8 connections for 1 s: 10 MB/s for 3 s",
    300 * MB,
    || Shape {
        total_bytes_per_second: Some(100 * MB),
        throttle: Some(Throttle {
            connections: 8,
            patience: Duration::from_secs(1),
            penalty: Duration::from_secs(3),
            total_bytes_per_second: 10 * MB,
        }),
        ..per_connection()
    },
);

static STEP_DOWN: Path = Path::new(
    "step-down",
    "25 MB/s per connection; 200 MB/s in all, after 1 s only 50 MB/s",
    350 * MB,
    || Shape { step: after(1, 50 * MB), ..capped() },
);

static STEP_UP: Path = Path::new(
    "step-up",
    "25 MB/s per connection; 50 MB/s in all, after 1 s 200 MB/s",
    450 * MB,
    || Shape {
        total_bytes_per_second: Some(50 * MB),
        step: after(1, TOTAL_RATE),
        ..per_connection()
    },
);

static LOOPBACK: Path =
    Path::new("loopback", "plain loopback, no limits", 4000 * MB, Shape::default);

fn per_connection() -> Shape {
    Shape { connection_bytes_per_second: Some(CONNECTION_RATE), ..Shape::default() }
}

fn capped() -> Shape {
    Shape { total_bytes_per_second: Some(TOTAL_RATE), ..per_connection() }
}

#[expect(clippy::unnecessary_wraps, reason = "the form Shape has for it")]
fn after(seconds: u64, total_bytes_per_second: u64) -> Option<RateStep> {
    let after = StepAfter::Time(Duration::from_secs(seconds));
    Some(RateStep { after, total_bytes_per_second })
}
