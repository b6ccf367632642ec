//! The scenarios: half to tune the laws on, half to judge them by. Owns the table; must not know
//! how it is simulated. Rates and times are those of paths people complain about, sizes make a run
//! last some seconds.

mod mirrored;
mod wide;

pub use mirrored::scenarios as mirrored;

use super::scenario::{
    Address, AheadAnswer, GBIT, Half, Health, Limit, MBIT, MS, Path, Refusal, Scenario, Server,
    Target, Throttle,
};
use crate::base::size::{GIB, MIB};

/// The target where nothing else is said.
const USUAL: Target = Target { median: 1.10, p95: 1.30 };
/// For files that take less than two seconds.
const SHORT: Target = Target { median: 1.20, p95: 1.30 };
/// For a throttle that nobody announces.
const HIDDEN: Target = Target { median: 2.00, p95: 2.00 };

const MB: f64 = 1e6;

/// All scenarios of one server, those to tune on first.
pub fn scenarios() -> Vec<Scenario> {
    let mut all = tune_paths();
    all.extend(tune_servers());
    all.extend(judge_paths());
    all.extend(judge_servers());
    all.extend(wide::scenarios());
    all
}

/// In the fluid, unless the path says otherwise.
fn scenario(
    half: Half,
    name: &'static str,
    file_bytes: u64,
    path: Path,
    server: Server,
) -> Scenario {
    let faults_until_s = f64::INFINITY;
    let mirrors = Vec::new();
    Scenario { name, half, file_bytes, target: USUAL, path, server, mirrors, faults_until_s }
}

/// A server that limits each connection to this rate.
fn capped(connection_bytes_per_s: f64) -> Server {
    Server { connection_bytes_per_s, ..Server::default() }
}

fn tune_paths() -> Vec<Scenario> {
    let tune = |name, bytes, path, server| scenario(Half::Tune, name, bytes, path, server);
    let quick = Server { think_s: 0.3 * MS, think_jitter_s: 0.1 * MS, ..Server::default() };
    let noisy = Server { connection_noise: 0.3, ..capped(20.0 * MB) };
    vec![
        tune(
            "data centre",
            4 * GIB,
            Path {
                link_bytes_per_s: 10.0 * GBIT,
                rtt_s: 0.2 * MS,
                window_bytes: 16.0 * MIB as f64,
                noise: 0.05,
                ..Path::default()
            },
            quick,
        ),
        tune(
            "lossy and far",
            150 * MIB,
            Path {
                link_bytes_per_s: 200.0 * MBIT,
                rtt_s: 150.0 * MS,
                loss: 0.001,
                ..Path::default()
            },
            Server::default(),
        ),
        Scenario {
            target: SHORT,
            ..tune(
                "short and near",
                60 * MIB,
                Path { rtt_s: 15.0 * MS, ..Path::default() },
                Server { think_s: 5.0 * MS, ..Server::default() },
            )
        },
        tune(
            "noisy",
            GIB,
            Path { rtt_s: 40.0 * MS, noise: 0.3, buffer_bdp: 0.5, ..Path::default() },
            noisy,
        ),
        tune(
            "satellite",
            80 * MIB,
            Path {
                link_bytes_per_s: 50.0 * MBIT,
                rtt_s: 600.0 * MS,
                loss: 0.0003,
                ..Path::default()
            },
            Server::default(),
        ),
        tune(
            "disk bound",
            GIB,
            Path {
                link_bytes_per_s: 2.5 * GBIT,
                rtt_s: 5.0 * MS,
                disk_bytes_per_s: 120.0 * MB,
                ..Path::default()
            },
            Server::default(),
        ),
    ]
}

fn tune_servers() -> Vec<Scenario> {
    let tune = |name, bytes, path, server| scenario(Half::Tune, name, bytes, path, server);
    let wide = Path { link_bytes_per_s: 1.6 * GBIT, rtt_s: 10.0 * MS, ..Path::default() };
    let throttle = Throttle { above: 6, burst_s: 3.0, bytes_per_s: MB, penalty_s: 30.0 };
    let four = Limit { connections: 4, refusal: Refusal::Connect };
    let ten = Limit { connections: 10, refusal: Refusal::Close };
    let slow_address = Address { bytes_per_s: 4.0 * MB, ..Address::default() };
    vec![
        tune("capped connections", 600 * MIB, Path::default(), capped(40.0 * MBIT)),
        tune(
            "slow first byte",
            GIB,
            wide.clone(),
            Server { think_s: 50.0 * MS, ..capped(25.0 * MB) },
        ),
        Scenario {
            target: HIDDEN,
            ..tune(
                "hidden throttle",
                4 * GIB,
                Path { rtt_s: 50.0 * MS, ..wide },
                Server { throttle: Some(throttle), ..capped(25.0 * MB) },
            )
        },
        tune(
            "accepts four",
            GIB,
            Path { rtt_s: 30.0 * MS, ..Path::default() },
            Server { limit: Some(four), ..capped(25.0 * MB) },
        ),
        tune(
            "hangs up beyond ten",
            800 * MIB,
            Path::default(),
            Server { limit: Some(ten), ..capped(8.0 * MB) },
        ),
        tune(
            "slow one in eight",
            GIB,
            Path::default(),
            Server { slow: Some((8, 0.05)), ..capped(12.0 * MB) },
        ),
        tune(
            "two addresses",
            600 * MIB,
            Path::default(),
            Server { addresses: vec![slow_address, Address::default()], ..capped(25.0 * MB) },
        ),
        tune(
            "resets",
            800 * MIB,
            Path { rtt_s: 30.0 * MS, ..Path::default() },
            Server { resets_per_s: 0.1, ..capped(10.0 * MB) },
        ),
    ]
}

fn judge_paths() -> Vec<Scenario> {
    let judge = |name, bytes, path, server| scenario(Half::Judge, name, bytes, path, server);
    let steps = vec![(4.0, 0.2), (10.0, 1.0)];
    vec![
        judge(
            "metro",
            GIB + GIB / 2,
            Path { rtt_s: 10.0 * MS, ..Path::default() },
            Server { think_s: 5.0 * MS, ..Server::default() },
        ),
        judge(
            "long fat pipe",
            2 * GIB,
            Path {
                link_bytes_per_s: 2.5 * GBIT,
                rtt_s: 90.0 * MS,
                window_bytes: 6.0 * MIB as f64,
                ..Path::default()
            },
            Server { setup_rtts: 2.0, ..Server::default() },
        ),
        judge(
            "one flow fills it",
            800 * MIB,
            Path {
                link_bytes_per_s: 500.0 * MBIT,
                rtt_s: 15.0 * MS,
                buffer_bdp: 2.0,
                ..Path::default()
            },
            Server::default(),
        ),
        judge("rate steps", 800 * MIB, Path { steps, ..Path::default() }, capped(10.0 * MB)),
        judge(
            "rivals",
            300 * MIB,
            Path { rtt_s: 30.0 * MS, rivals: 12, buffer_bdp: 0.5, ..Path::default() },
            Server::default(),
        ),
        Scenario {
            target: SHORT,
            ..judge(
                "short and far",
                24 * MIB,
                Path { link_bytes_per_s: 300.0 * MBIT, rtt_s: 120.0 * MS, ..Path::default() },
                Server { think_s: 40.0 * MS, ..Server::default() },
            )
        },
    ]
}

fn judge_servers() -> Vec<Scenario> {
    let judge = |name, bytes, path, server| scenario(Half::Judge, name, bytes, path, server);
    let busy = Refusal::Status { code: 503, retry_after_s: Some(2.0) };
    let punishment = Throttle { above: 12, burst_s: 6.0, bytes_per_s: 3.0 * MB, penalty_s: 20.0 };
    let dead = |health| Address { health, ..Address::default() };
    let lying = Server {
        addresses: vec![dead(Health::Silent), Address::default(), dead(Health::Refuses)],
        ahead: AheadAnswer::WrongRange,
        ..capped(15.0 * MB)
    };
    vec![
        Scenario {
            target: HIDDEN,
            ..judge(
                "punished bursts",
                3 * GIB,
                Path { link_bytes_per_s: 1.6 * GBIT, ..Path::default() },
                Server { throttle: Some(punishment), ..capped(8.0 * MB) },
            )
        },
        judge(
            "503 beyond six",
            800 * MIB,
            Path { rtt_s: 30.0 * MS, ..Path::default() },
            Server { limit: Some(Limit { connections: 6, refusal: busy }), ..capped(15.0 * MB) },
        ),
        judge(
            "one stalls for ever",
            800 * MIB,
            Path::default(),
            Server { silent_of: Some(3), ..capped(12.0 * MB) },
        ),
        judge(
            "jittery first byte",
            800 * MIB,
            Path::default(),
            Server { think_s: 20.0 * MS, think_jitter_s: 150.0 * MS, ..capped(25.0 * MB) },
        ),
        judge("dead and lying", 500 * MIB, Path { rtt_s: 30.0 * MS, ..Path::default() }, lying),
        judge(
            "slow starters",
            800 * MIB,
            Path { rtt_s: 25.0 * MS, ..Path::default() },
            Server { ramp_s: 4.0, ..capped(15.0 * MB) },
        ),
        judge(
            "crowded server",
            GIB,
            Path { rtt_s: 15.0 * MS, ..Path::default() },
            Server { total_bytes_per_s: 80.0 * MB, crowding: 0.04, ..Server::default() },
        ),
        judge(
            "closes each time",
            800 * MIB,
            Path { rtt_s: 40.0 * MS, ..Path::default() },
            Server { keeps_alive: false, setup_rtts: 2.0, ..capped(10.0 * MB) },
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn half_tunes_and_half_judges() {
        let all = scenarios();
        let names: BTreeSet<&str> = all.iter().map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), all.len(), "names seed the randomness");
        let tune = all.iter().filter(|scenario| scenario.half == Half::Tune).count();
        assert!(all.len() >= 16 && tune * 2 == all.len(), "{tune} of {}", all.len());
        let in_fluid = all.iter().filter(|scenario| scenario.path.tcp.is_none()).count();
        assert_eq!(in_fluid, 28);
    }
}
