//! The packets' form of the network against measurements over an emulated path: shares of the link
//! that some numbers of connections reach. Owns the measured figures; must not know how the network
//! works.

use super::grid::{Cell, run_cell};
use super::scenario::{Control, Half, MBIT, MS, Path, Scenario, Server, Target, Tcp};
use crate::base::size::MIB;

/// A run that takes longer is given up, in seconds.
const SECONDS_MAX: f64 = 5000.0;

/// One measured figure.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Whose path it is.
    pub path: Path,
    /// Size of the file that is fetched, in bytes.
    pub file_bytes: u64,
    /// Connections at work.
    pub connections: u32,
    /// Share of the link's rate that the file's bytes take.
    pub share: f64,
}

impl Measured {
    /// The share that the simulator reaches, as the mean of seeds 1 to `seeds`.
    pub fn simulated(&self, seeds: u64) -> f64 {
        (1..=seeds).map(|seed| self.once(seed)).sum::<f64>() / seeds as f64
    }

    fn once(&self, seed: u64) -> f64 {
        let file_bytes = self.file_bytes;
        let scenario = Scenario {
            name: "as measured",
            half: Half::Judge,
            file_bytes,
            target: Target { median: 1.0, p95: 1.0 },
            path: self.path.clone(),
            server: Server::default(),
            mirrors: Vec::new(),
            faults_until_s: f64::INFINITY,
        };
        let cell = Cell { chunk_bytes: 4 * MIB, connections: self.connections };
        let outcome = run_cell(&scenario, seed, cell, SECONDS_MAX);
        file_bytes as f64 / outcome.elapsed_s / self.path.link_bytes_per_s
    }
}

/// What was measured, Linux at both ends. The sizes of the files are ours, about 20 seconds at the
/// link's rate. A connection that is alone on a wide path with little loss lives on its first
/// window for half a minute, so its share hangs on the size; its 200 MB take as long.
pub fn measured() -> Vec<Measured> {
    let far = path(200.0, 150.0, 0.001, Control::Cubic);
    let wide = path(500.0, 70.0, 0.0001, Control::Cubic);
    let lossy = path(100.0, 60.0, 0.01, Control::Cubic);
    let paced = path(100.0, 60.0, 0.01, Control::Bbr);
    // What 4 MiB of send buffer hold.
    let buffered = path(1000.0, 70.0, 0.0, Control::Cubic);
    let of = |path: &Path, megabytes: u64, figures: &[(u32, f64)]| -> Vec<Measured> {
        let file_bytes = megabytes * 1_000_000;
        let of_one = |&(connections, share)| {
            let path = path.clone();
            Measured { path, file_bytes, connections, share }
        };
        figures.iter().map(of_one).collect()
    };
    [
        of(&far, 500, &[(1, 0.02), (8, 0.20), (16, 0.45), (32, 0.73)]),
        of(&wide, 200, &[(1, 0.09)]),
        of(&wide, 1250, &[(16, 0.84)]),
        of(&lossy, 250, &[(1, 0.02), (16, 0.33)]),
        of(&paced, 250, &[(1, 0.87)]),
        of(&buffered, 500, &[(1, 0.275)]),
    ]
    .concat()
}

fn path(mbit: f64, rtt_ms: f64, loss: f64, control: Control) -> Path {
    Path {
        link_bytes_per_s: mbit * MBIT,
        rtt_s: rtt_ms * MS,
        loss,
        noise: 0.0,
        tcp: Some(Tcp { control, ..Tcp::default() }),
        ..Path::default()
    }
}
