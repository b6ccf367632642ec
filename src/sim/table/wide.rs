//! Scenarios over a wide area, in packets: loss, queues, jitter, silence, servers that hang up.
//! Owns this part of the table; must not know how it is simulated.
//!
//! The first eight are those of the emulated paths that the downloaders are compared on: one-way
//! delays doubled, sizes as there, senders by measured rate where the emulator takes the machine's
//! default.

use super::{MB, SHORT, USUAL, capped, scenario};
use crate::sim::scenario::{
    Control, Half, Limit, MBIT, MS, Path, Refusal, Scenario, Server, Target, Tcp,
};

/// Connections whose times differ by random losses more than by the plan.
const LOSSY: Target = Target { median: 1.10, p95: 1.50 };

/// All of them, those to tune on first.
pub(super) fn scenarios() -> Vec<Scenario> {
    let mut all = emulated();
    all.extend(tune());
    all.extend(judge_losses());
    all.extend(judge_queues());
    all.extend(judge_servers());
    all
}

/// Rate in Mbit/s, round trip in ms, loss in percent.
fn path(mbit: f64, rtt_ms: f64, loss_percent: f64) -> Path {
    Path {
        link_bytes_per_s: mbit * MBIT,
        rtt_s: rtt_ms * MS,
        loss: loss_percent / 100.0,
        noise: 0.0,
        tcp: Some(Tcp::default()),
        ..Path::default()
    }
}

fn with(path: Path, tcp: Tcp) -> Path {
    Path { tcp: Some(tcp), ..path }
}

fn bbr() -> Tcp {
    Tcp { control: Control::Bbr, ..Tcp::default() }
}

fn of(half: Half, name: &'static str, megabytes: u64, path: Path) -> Scenario {
    let is_lossy = path.loss > 0.0;
    let target = if is_lossy { LOSSY } else { USUAL };
    Scenario { target, ..scenario(half, name, megabytes * 1_000_000, path, Server::default()) }
}

fn emulated() -> Vec<Scenario> {
    let tune = |name, megabytes, path| of(Half::Tune, name, megabytes, path);
    let jittery = |ms: f64| Tcp { jitter_s: ms * MS, ..Tcp::default() };
    let capped = Tcp { flow_bytes_per_s: 25.0 * MBIT, ..bbr() };
    vec![
        tune("regional", 500, with(path(400.0, 20.0, 0.0), bbr())),
        tune("continental", 400, with(path(300.0, 45.0, 0.005), bbr())),
        tune("continental-cubic", 400, path(300.0, 45.0, 0.005)),
        tune("far-cubic", 180, path(120.0, 190.0, 0.05)),
        tune("capped", 600, with(path(500.0, 30.0, 0.0), capped)),
        tune("wifi", 80, with(path(60.0, 16.0, 0.5), Tcp { jitter_s: 8.0 * MS, ..bbr() })),
        tune("leo", 200, with(path(150.0, 50.0, 0.1), jittery(15.0))),
        tune("crowded", 125, Path { buffer_bdp: 0.25, ..path(100.0, 80.0, 0.2) }),
    ]
}

fn tune() -> Vec<Scenario> {
    let tune = |name, megabytes, path| of(Half::Tune, name, megabytes, path);
    let gaps = Tcp { jitter_s: 10.0 * MS, outage_every_s: 3.0, outage_s: 0.25, ..Tcp::default() };
    let tls = Server { setup_rtts: 2.0, answers_max: Some(4), ..Server::default() };
    vec![
        tune("silences", 60, with(path(40.0, 30.0, 1.0), gaps)),
        Scenario { server: tls, ..tune("churn", 150, path(120.0, 80.0, 0.02)) },
        tune("bufferbloat", 100, Path { buffer_bdp: 8.0, ..path(80.0, 40.0, 0.0) }),
        Scenario { target: SHORT, ..tune("small and far", 16, path(200.0, 180.0, 0.02)) },
    ]
}

fn judge_losses() -> Vec<Scenario> {
    let judge = |name, megabytes, path| of(Half::Judge, name, megabytes, path);
    let gaps = Tcp { jitter_s: 15.0 * MS, outage_every_s: 4.0, outage_s: 0.4, ..Tcp::default() };
    let jittery = Tcp { jitter_s: 8.0 * MS, ..Tcp::default() };
    vec![
        judge("150 ms cubic", 250, path(200.0, 150.0, 0.1)),
        judge("70 ms cubic", 500, path(500.0, 70.0, 0.01)),
        judge("jittery wifi", 80, with(path(60.0, 16.0, 0.5), jittery)),
        judge("roaming", 60, with(path(30.0, 60.0, 0.5), gaps)),
        judge("geostationary", 80, path(50.0, 600.0, 0.03)),
    ]
}

fn judge_queues() -> Vec<Scenario> {
    let judge = |name, megabytes, path| of(Half::Judge, name, megabytes, path);
    let shaped = Tcp { flow_bytes_per_s: 16.0 * MBIT, ..Tcp::default() };
    vec![
        judge("shallow queue", 150, Path { buffer_bdp: 0.15, ..path(150.0, 60.0, 0.01) }),
        judge("deep queue", 60, Path { buffer_bdp: 12.0, ..path(40.0, 50.0, 0.0) }),
        judge("bbr long fat pipe", 1200, with(path(1000.0, 120.0, 0.01), bbr())),
        judge("shaped flows", 200, with(path(200.0, 50.0, 0.0), shaped)),
    ]
}

fn judge_servers() -> Vec<Scenario> {
    let judge = |name, megabytes, path| of(Half::Judge, name, megabytes, path);
    let short = |name, megabytes, path| Scenario { target: SHORT, ..judge(name, megabytes, path) };
    let tls = Server { setup_rtts: 2.0, ..Server::default() };
    let short_lived = Server { lifetime_s: 3.0, ..tls.clone() };
    let six = Limit { connections: 6, refusal: Refusal::Status { code: 503, retry_after_s: None } };
    let strict = Server { limit: Some(six), ..capped(2.0 * MB) };
    vec![
        Scenario { server: short_lived, ..judge("short-lived", 200, path(150.0, 100.0, 0.02)) },
        Scenario { server: strict, ..judge("strict and far", 100, path(200.0, 110.0, 0.01)) },
        Scenario { server: tls, ..short("8 MB far", 8, path(300.0, 220.0, 0.01)) },
    ]
}
