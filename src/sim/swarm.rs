//! Random surroundings for the safety tests. Owns the draw: per seed a random subset of all kinds
//! of faults is switched on, so that rare pairs meet undisturbed by the rest. Must not know what is
//! checked.

use super::rng::Rng;
use super::scenario::{
    Address, AheadAnswer, Half, Health, Limit, MBIT, MS, Path, Refusal, Scenario, Server, Target,
    Throttle,
};
use crate::base::size::{KIB, MIB};

/// Bounds what one seed costs.
const LARGEST_BYTES: u64 = 512 * MIB;

/// A random scenario whose faults end after some seconds.
pub fn swarm(seed: u64) -> Scenario {
    let mut rng = Rng::new(seed, 77);
    let path = path(&mut rng);
    let server = server(&mut rng);
    let faults_until_s = rng.between(1.0, 30.0);
    // Most are aligned to nothing. Many would take as long as there are faults if they were alone
    // on the link, a quarter is small.
    let bytes_max = path.link_bytes_per_s.min(server.connection_bytes_per_s) * faults_until_s;
    #[allow(clippy::cast_possible_truncation, reason = "at most the number beside it")]
    let bytes_max = bytes_max.min(LARGEST_BYTES as f64) as u64;
    let bytes_max = if rng.chance(0.25) { KIB << rng.below(14) } else { bytes_max };
    let file_bytes = 1 + rng.next_u64() % bytes_max;
    Scenario {
        name: "swarm",
        half: Half::Judge,
        file_bytes,
        target: Target { median: f64::INFINITY, p95: f64::INFINITY },
        path,
        server,
        mirrors: Vec::new(),
        faults_until_s,
    }
}

fn path(rng: &mut Rng) -> Path {
    let usual = Path::default();
    let step_s = rng.between(0.5, 5.0);
    Path {
        link_bytes_per_s: 10.0 * MBIT * rng.between(0.0, 8.0).exp2(),
        rtt_s: MS * rng.between(0.0, 8.0).exp2(),
        loss: if rng.chance(0.2) { rng.between(0.0, 0.01) } else { 0.0 },
        buffer_bdp: rng.between(0.1, 2.0),
        noise: if rng.chance(0.3) { rng.between(0.0, 0.5) } else { usual.noise },
        steps: if rng.chance(0.2) {
            vec![(step_s, rng.between(0.05, 0.5)), (3.0 * step_s, 1.0)]
        } else {
            Vec::new()
        },
        rivals: if rng.chance(0.2) { rng.below(10) } else { 0 },
        disk_bytes_per_s: if rng.chance(0.2) {
            1e6 * rng.between(3.0, 8.0).exp2()
        } else {
            usual.disk_bytes_per_s
        },
        ..usual
    }
}

fn server(rng: &mut Rng) -> Server {
    let usual = Server::default();
    Server {
        connection_bytes_per_s: if rng.chance(0.5) {
            1e6 * rng.between(0.0, 6.0).exp2()
        } else {
            usual.connection_bytes_per_s
        },
        connection_noise: if rng.chance(0.2) { rng.between(0.0, 0.5) } else { 0.0 },
        total_bytes_per_s: if rng.chance(0.2) {
            1e6 * rng.between(0.0, 7.0).exp2()
        } else {
            usual.total_bytes_per_s
        },
        crowding: if rng.chance(0.2) { rng.between(0.0, 0.2) } else { 0.0 },
        setup_rtts: 1.0 + f64::from(rng.below(3)),
        think_s: if rng.chance(0.3) { rng.between(0.0, 0.3) } else { usual.think_s },
        think_jitter_s: if rng.chance(0.2) { rng.between(0.0, 0.3) } else { 0.0 },
        ramp_s: if rng.chance(0.1) { rng.between(0.1, 5.0) } else { 0.0 },
        limit: if rng.chance(0.3) { Some(limit(rng)) } else { None },
        throttle: if rng.chance(0.15) { Some(throttle(rng)) } else { None },
        slow: rng.chance(0.2).then(|| (1 + rng.below(8), rng.between(0.01, 0.3))),
        silent_of: rng.chance(0.2).then(|| 1 + rng.below(8)),
        freezes_per_s: if rng.chance(0.15) { rng.between(0.0, 0.5) } else { 0.0 },
        resets_per_s: if rng.chance(0.3) { rng.between(0.0, 3.0) } else { 0.0 },
        ahead: match rng.below(6) {
            0 => AheadAnswer::Closed,
            1 => AheadAnswer::WrongRange,
            _ => AheadAnswer::Served,
        },
        keeps_alive: rng.chance(0.85),
        addresses: addresses(rng),
        ..usual
    }
}

fn limit(rng: &mut Rng) -> Limit {
    let retry_after_s = rng.chance(0.5).then(|| f64::from(rng.below(4)));
    let code = if rng.chance(0.5) { 429 } else { 503 };
    let refusal = match rng.below(3) {
        0 => Refusal::Connect,
        1 => Refusal::Close,
        _ => Refusal::Status { code, retry_after_s },
    };
    Limit { connections: 1 + rng.below(12), refusal }
}

fn throttle(rng: &mut Rng) -> Throttle {
    Throttle {
        above: rng.below(8),
        burst_s: rng.between(0.1, 3.0),
        bytes_per_s: 1e6 * rng.between(0.05, 1.0),
        penalty_s: rng.between(1.0, 20.0),
    }
}

/// One to four addresses, the last one up.
fn addresses(rng: &mut Rng) -> Vec<Address> {
    let others = if rng.chance(0.3) { rng.below(4) } else { 0 };
    let draw = |rng: &mut Rng| Address {
        bytes_per_s: if rng.chance(0.5) {
            1e6 * rng.between(-2.0, 6.0).exp2()
        } else {
            f64::INFINITY
        },
        extra_rtt_s: rng.between(0.0, 0.1),
        health: match rng.below(4) {
            0 => Health::Refuses,
            1 => Health::Silent,
            _ => Health::Up,
        },
    };
    let mut addresses: Vec<Address> = (0..others).map(|_| draw(rng)).collect();
    addresses.push(Address::default());
    addresses
}
