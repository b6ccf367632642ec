//! The plan in virtual time. Safety: under random faults no byte is lost, delivered twice or left
//! unassigned, and bounds are kept; the simulator panics where that breaks. Liveness: once the
//! faults are off, every transfer ends within a bound. The model itself against measurements. And
//! the targets that `cargo bench --bench sim` prints, with fewer seeds, and its lists over a
//! cluster with fewer files.
//!
//! `RINGHAUL_SIM_SEED=n` runs one seed of the swarm, `RINGHAUL_SIM_SEEDS=n` those from 1
//! to n.

#[path = "sim/cluster.rs"]
mod cluster;
#[path = "sim/targets.rs"]
mod targets;
#[path = "sim/tcp.rs"]
mod tcp;

use ringhaul::internal::base::limits::RETRIES_MAX;
use ringhaul::internal::base::size::{KIB, MIB};
use ringhaul::internal::plan::{Fanout, RequestSize, Settings};
use ringhaul::internal::sim::{
    Cell, End, Ending, Half, MBIT, MS, Outcome, Path, Rng, Run, Scenario, Server, ServerEnd,
    Target, auto_settings, mirrored, run, run_auto, run_cell, scenarios, swarm,
};
use std::env;
use std::ops::RangeInclusive;

/// Seeds of the swarm in `cargo test`: a second or two.
const SEEDS: u64 = 180;
/// Seeds of the swarm with a bound on how far ahead spans are assigned.
const BOUNDED_SEEDS: u64 = 70;
/// Seeds of the swarm with several servers.
const MIRRORED_SEEDS: u64 = 70;
/// Waits that no fault of the moment explains: a stall timeout, a dial timeout, the longest wait
/// before a retry, and each of them again.
const PATIENCE_S: f64 = 190.0;

#[test]
fn under_random_faults_nothing_is_lost_and_everything_ends() {
    for seed in seeds(SEEDS) {
        play(seed, None);
    }
}

#[test]
fn under_random_faults_a_bound_ahead_is_kept_and_everything_ends() {
    for seed in seeds(BOUNDED_SEEDS) {
        play(seed, Some(MIB << Rng::new(seed, 98).below(8)));
    }
}

/// Two to eight servers, each of them with random faults of its own, one of them sound.
#[test]
fn under_random_faults_of_several_servers_nothing_is_lost_and_everything_ends() {
    for seed in seeds(MIRRORED_SEEDS) {
        let mut scenario = swarm(seed);
        let mut rng = Rng::new(seed, 97);
        for number in 0..1 + rng.below(7) {
            let mut server = swarm(1000 * seed + u64::from(number)).server;
            server.lies = rng.chance(0.1);
            let how = [Ending::Reset, Ending::Silence, Ending::Status(404), Ending::Changed];
            let end = ServerEnd { at_s: rng.between(0.1, 5.0), how: how[rng.below(4) as usize] };
            server.end = rng.chance(0.4).then_some(end);
            scenario.mirrors.push(server);
        }
        play_seed(&scenario, seed, None);
    }
}

/// What the environment asks for, or 1 to `usual`.
fn seeds(usual: u64) -> RangeInclusive<u64> {
    let number = |name| env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    match number("RINGHAUL_SIM_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=number("RINGHAUL_SIM_SEEDS").unwrap_or(usual),
    }
}

fn play(seed: u64, ahead_bytes_max: Option<u64>) {
    play_seed(&swarm(seed), seed, ahead_bytes_max);
}

#[allow(clippy::print_stdout, reason = "a failing test shows the seed it failed with")]
fn play_seed(scenario: &Scenario, seed: u64, ahead_bytes_max: Option<u64>) {
    // Seen where the test fails: the last one is to blame.
    println!("RINGHAUL_SIM_SEED={seed}");
    play_in(scenario, seed, ahead_bytes_max);
}

fn play_in(scenario: &Scenario, seed: u64, ahead_bytes_max: Option<u64>) {
    let settings = Settings { ahead_bytes_max, ..random_settings(scenario, seed) };
    let seconds_max = scenario.faults_until_s + liveness_bound_s(scenario);
    let how = Run { settings, seed, seconds_max, audit: true, keep_decisions: false };
    let outcome = run(scenario, &how);
    let what = || format!("{outcome:?}\n{settings:?}\n{scenario:?}");
    assert_eq!(outcome.end, End::Complete, "not over after {seconds_max} s: {}", what());
    assert!(is_calm(&outcome, &settings, scenario.file_bytes), "too busy: {}", what());
}

/// A reader in file order bounds memory, not speed: 64 MiB are many times what is on the wire here.
#[test]
fn a_bound_ahead_of_64_mib_costs_little() {
    for name in ["data centre", "metro", "one flow fills it", "accepts four"] {
        let scenario = named(name);
        let time = |ahead_bytes_max| {
            let settings = Settings { ahead_bytes_max, ..auto_settings(&scenario) };
            let (seed, seconds_max) = (1, 1e4);
            let how = Run { settings, seed, seconds_max, audit: false, keep_decisions: false };
            run(&scenario, &how).elapsed_s
        };
        let ratio = time(Some(64 * MIB)) / time(None);
        assert!(ratio <= 1.1, "{name}: {ratio:.3}");
    }
}

#[test]
fn every_scenario_completes_with_everything_automatic() {
    for scenario in scenarios().into_iter().chain(mirrored()) {
        let outcome = run_auto(&scenario, 1, false);
        assert_eq!(outcome.end, End::Complete, "{}: {outcome:?}", scenario.name);
    }
}

#[test]
fn one_seed_is_one_run() {
    let scenario = swarm(3);
    let settings = random_settings(&scenario, 3);
    let how = Run { settings, seed: 3, seconds_max: 1e4, audit: false, keep_decisions: false };
    let (first, second) = (run(&scenario, &how), run(&scenario, &how));
    assert_eq!(format!("{first:?}"), format!("{second:?}"));
}

/// A bad connection costs at most 1.15 times the time without it.
#[test]
fn one_bad_connection_costs_little() {
    for name in ["slow one in eight", "one stalls for ever"] {
        let faulty = named(name);
        let mut sound = faulty.clone();
        (sound.server.slow, sound.server.silent_of) = (None, None);
        let time = |scenario: &Scenario| -> f64 {
            (1..=5).map(|seed| run_auto(scenario, seed, false).elapsed_s).sum()
        };
        let ratio = time(&faulty) / time(&sound);
        assert!(ratio <= 1.15, "{name}: {ratio:.3}");
    }
}

/// One connection of 25 MB/s whose server thinks for 50 ms reaches 0.97 of it.
#[test]
fn request_ahead_hides_the_time_to_the_first_byte() {
    let scenario = named("slow first byte");
    let one = |request_ahead| {
        let fanout = Fanout::Fixed(1);
        let settings = Settings { fanout, request_ahead, ..auto_settings(&scenario) };
        let how = Run { settings, seed: 1, seconds_max: 1e3, audit: false, keep_decisions: false };
        let rate = scenario.file_bytes as f64 / run(&scenario, &how).elapsed_s;
        rate / scenario.server.connection_bytes_per_s
    };
    let (with, without) = (one(true), one(false));
    assert!(with >= 0.97 && with > without, "{with:.3} with, {without:.3} without");
}

/// Measured over an emulated path with cubic senders: 1 connection reaches 2 % of the
/// link, 8 reach 20 %, 16 reach 45 %, 32 reach 73 %.
#[test]
fn flows_on_a_lossy_path_are_as_fast_as_measured() {
    let (link_bytes_per_s, rtt_s, loss) = (200.0 * MBIT, 150.0 * MS, 0.001);
    let path = Path { link_bytes_per_s, rtt_s, loss, ..Path::default() };
    let scenario = scenario("as measured", 400 * MIB, path);
    for (connections, measured) in [(1, 0.02), (8, 0.20), (16, 0.45), (32, 0.73)] {
        let share = share_of_link(&scenario, connections);
        let is_near = (share / measured - 1.0).abs() < 0.3;
        assert!(is_near, "{connections} connections reach {share:.3}, measured {measured}");
    }
}

#[test]
fn one_flow_fills_a_clean_link_with_a_queue() {
    let scenario = scenario("clean", 1024 * MIB, Path { noise: 0.0, ..Path::default() });
    assert!(share_of_link(&scenario, 1) > 0.95);
    assert!(share_of_link(&scenario, 8) > 0.95);
}

#[test]
fn a_receive_window_caps_one_flow() {
    let (rtt_s, window_bytes) = (100.0 * MS, 3.0 * MIB as f64);
    let path = Path { rtt_s, window_bytes, noise: 0.0, ..Path::default() };
    let scenario = scenario("windowed", 400 * MIB, path);
    let expected = window_bytes / rtt_s / scenario.path.link_bytes_per_s;
    let share = share_of_link(&scenario, 1);
    assert!(0.9 * expected < share && share <= expected, "{share} of {expected}");
}

fn named(name: &str) -> Scenario {
    scenarios().into_iter().find(|it| it.name == name).expect("it is in the table")
}

fn scenario(name: &'static str, file_bytes: u64, path: Path) -> Scenario {
    let target = Target { median: 1.0, p95: 1.0 };
    let (server, mirrors, faults_until_s) = (Server::default(), Vec::new(), f64::INFINITY);
    Scenario { name, half: Half::Judge, file_bytes, target, path, server, mirrors, faults_until_s }
}

fn share_of_link(scenario: &Scenario, connections: u32) -> f64 {
    let outcome = run_cell(scenario, 1, Cell { chunk_bytes: 4 * MIB, connections }, 1e4);
    scenario.file_bytes as f64 / outcome.elapsed_s / scenario.path.link_bytes_per_s
}

fn random_settings(scenario: &Scenario, seed: u64) -> Settings {
    let mut rng = Rng::new(seed, 99);
    let usual = auto_settings(scenario);
    Settings {
        request: if rng.chance(0.5) {
            RequestSize::Auto
        } else {
            RequestSize::Fixed(KIB << (6 + rng.below(11)))
        },
        fanout: if rng.chance(0.6) {
            Fanout::Auto { max: 1 + rng.below(64) }
        } else {
            Fanout::Fixed(1 + rng.below(40))
        },
        retries: RETRIES_MAX,
        request_ahead: rng.chance(0.8),
        hedge_bytes_max: if rng.chance(0.7) { usual.hedge_bytes_max } else { 0 },
        ..usual
    }
}

/// How long a transfer may take without faults: four times what a single flow at its worst needs.
fn liveness_bound_s(scenario: &Scenario) -> f64 {
    let (path, server) = (&scenario.path, &scenario.server);
    let lowest = path.steps.iter().fold(1.0, |low: f64, step| low.min(step.1));
    let share = lowest * (1.0 - path.noise) / f64::from(1 + path.rivals);
    let addresses = server.addresses.iter();
    let slowest = addresses.map(|it| it.bytes_per_s).fold(f64::INFINITY, f64::min);
    // Cubic under random loss (RFC 9438 5.2, in Reno's region the same within a factor).
    let segments = if path.loss > 0.0 { path.loss.powf(-0.75) } else { f64::INFINITY };
    let worst = (path.link_bytes_per_s * share)
        .min(server.connection_bytes_per_s * (1.0 - server.connection_noise))
        .min(segments * 1448.0 / (path.rtt_s + 0.1))
        .min(path.disk_bytes_per_s)
        .min(server.total_bytes_per_s / (1.0 + 64.0 * server.crowding))
        .min(slowest);
    // The smallest requests pay a round trip and the time to the first byte each.
    let request_s = 2.0 * path.rtt_s + 0.2 + server.think_s + server.think_jitter_s;
    let requests = 1.0 + scenario.file_bytes as f64 / (64 * KIB) as f64;
    PATIENCE_S + 4.0 * scenario.file_bytes as f64 / worst + requests * request_s
}

/// No busy loop: questions and requests stay within what ticks and failures can cause.
fn is_calm(outcome: &Outcome, settings: &Settings, file_bytes: u64) -> bool {
    let workers = f64::from(match settings.fanout {
        Fanout::Auto { max } => max,
        Fanout::Fixed(connections) => connections,
    });
    let smallest = match settings.request {
        RequestSize::Auto => 64 * KIB,
        RequestSize::Fixed(bytes) => bytes,
    };
    let useful = file_bytes.div_ceil(smallest) as f64;
    let requests_max = 2.0 * useful + workers * 10.0 * (1.0 + outcome.elapsed_s);
    // Twenty ticks a second ask each idle worker; a bell rings after a failure or a steal.
    let questions_max = workers * 80.0 * (1.0 + outcome.elapsed_s) + 8.0 * requests_max;
    (outcome.requests as f64) < requests_max && (outcome.questions as f64) < questions_max
}
