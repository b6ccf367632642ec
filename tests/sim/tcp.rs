//! The network in packets: its shares of a link against measured ones, and the plan's safety over
//! it. Must not know the laws.

use crate::{named, play_in, scenario, seeds, share_of_link};
use ringhaul::internal::base::size::MIB;
use ringhaul::internal::sim::{
    Cell, Control, End, MBIT, MS, Path, Rng, Scenario, Tcp, measured, run_auto, run_cell, swarm,
};

/// Seeds of the swarm over packets.
const SEEDS: u64 = 100;
/// Seeds a measured share is simulated with.
const SEEDS_MEASURED: u64 = 8;
/// How far a simulated share may be off, relative to the measured one, which is a single run's: a
/// connection that is alone differs as much between two seeds.
const TOLERANCE: f64 = 0.20;

#[test]
fn shares_of_a_link_are_those_measured() {
    for it in measured() {
        let share = it.simulated(SEEDS_MEASURED);
        let is_near = (share / it.share - 1.0).abs() <= TOLERANCE;
        assert!(is_near, "{share:.3} where {:.3} was measured: {it:?}", it.share);
    }
}

#[test]
fn under_random_faults_over_packets_nothing_is_lost_and_everything_ends() {
    for seed in seeds(SEEDS) {
        #[allow(clippy::print_stdout, reason = "a failing test shows the seed it failed with")]
        {
            println!("RINGHAUL_SIM_SEED={seed}");
        }
        play_in(&over_packets(swarm(seed), seed), seed, None);
    }
}

/// A connection that loses packets is silent for the client although packets come: its stream has
/// a hole. One in a gap of the radio gets no packets at all.
#[test]
fn silence_has_two_causes() {
    let silences = |name, connections| {
        let cell = Cell { chunk_bytes: 4 * MIB, connections };
        let outcome = run_cell(&named(name), 1, cell, 1e4);
        (outcome.silence_s, outcome.no_packet_s)
    };
    let (silence_s, no_packet_s) = silences("far-cubic", 1);
    let has_holes = silence_s > 0.3 && no_packet_s < 0.7 * silence_s;
    assert!(has_holes, "{silence_s}, {no_packet_s} without a packet");
    let (silence_s, no_packet_s) = silences("roaming", 2);
    assert!(silence_s > 0.4 && no_packet_s > 0.4, "{silence_s}, {no_packet_s} without a packet");
}

/// Twice the buffer, about twice the rate: what is under way stays in it until it is acknowledged.
#[test]
fn a_send_buffer_caps_one_flow() {
    let share = |send_buffer_bytes| {
        let tcp = Tcp { send_buffer_bytes, ..Tcp::default() };
        share_of_link(&scenario("buffered", 400 * MIB, path(tcp)), 1)
    };
    let (half, whole) = (share(MIB as f64), share(2.0 * MIB as f64));
    assert!((1.8..2.1).contains(&(whole / half)), "{half:.3}, {whole:.3}");
}

/// Windows of many connections fill the queue, and every round trip waits in it.
#[test]
fn a_shaper_of_each_connection_makes_more_connections_faster() {
    let tcp = Tcp { flow_bytes_per_s: 20.0 * MBIT, ..Tcp::default() };
    let scenario = scenario("shaped", 200 * MIB, path(tcp));
    let (one, four) = (share_of_link(&scenario, 1), share_of_link(&scenario, 4));
    assert!((0.016..0.020).contains(&one), "{one:.4} of 0.02, headers and slow start off");
    assert!((3.6..4.1).contains(&(four / one)), "{one:.4}, {four:.4}");
}

#[test]
fn one_seed_over_packets_is_one_run() {
    let scenario = named("crowded");
    let run = || format!("{:?}", run_auto(&scenario, 3, true));
    assert_eq!(run(), run());
}

/// What came after the client had hung up was on the wire too.
#[test]
fn the_wire_carries_the_file_its_headers_and_what_is_thrown_away() {
    for name in ["regional", "far-cubic", "churn"] {
        let scenario = named(name);
        let outcome = run_auto(&scenario, 1, false);
        assert_eq!(outcome.end, End::Complete);
        let least = (scenario.file_bytes + outcome.wasted_bytes) as f64 * 1500.0 / 1448.0;
        assert!((least..1.3 * least).contains(&outcome.wire_bytes), "{name}: {outcome:?}");
    }
}

/// 1 Gbit/s and 70 ms.
fn path(tcp: Tcp) -> Path {
    let (rtt_s, noise) = (70.0 * MS, 0.0);
    Path { rtt_s, noise, tcp: Some(tcp), ..Path::default() }
}

/// The same surroundings with packets; what only the fluid knows is left out.
fn over_packets(mut scenario: Scenario, seed: u64) -> Scenario {
    let mut rng = Rng::new(seed, 97);
    scenario.path.rivals = 0;
    scenario.path.loss = scenario.path.loss.min(0.005);
    scenario.path.tcp = Some(Tcp {
        control: if rng.chance(0.3) { Control::Bbr } else { Control::Cubic },
        jitter_s: if rng.chance(0.3) { rng.between(0.0, 0.02) } else { 0.0 },
        ..Tcp::default()
    });
    scenario.server.answers_max = rng.chance(0.2).then(|| 1 + rng.below(10));
    if rng.chance(0.2) {
        scenario.server.lifetime_s = rng.between(0.5, 10.0);
    }
    scenario
}
