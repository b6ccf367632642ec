//! Conditions that change on their own: which connections are slow, fall silent or break, noise,
//! steps of the capacity, punished bursts. Owns these draws; must not know how the network carries
//! anything.

use super::{Line, World};
use crate::sim::rng::Rng;
use crate::sim::scenario::Ending;

/// Length of a bin of noise, in seconds.
const BIN_S: f64 = 0.1;
/// Share of a bin's noise that is left in the next one.
const BIN_MEMORY: f64 = 0.7;

/// What has become of one server.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) throttling: Throttling,
    /// What the last look has taken from it, in bytes.
    pub(super) looked_bytes: f64,
    /// When a look has left its connection here, in seconds, if that stands.
    pub(super) left_at_s: Option<f64>,
    /// Noise of what it sends in all, in deviations.
    pub(super) noise: f64,
    rng: Rng,
}

/// Where the punishment of bursts stands.
#[derive(Debug, Default)]
pub(super) struct Throttling {
    /// Since when there are too many connections; `None`: there are not.
    over_since_s: Option<f64>,
    /// When the punishment ends.
    pub(super) until_s: f64,
}

impl Host {
    /// The server with the number `source`.
    pub(super) fn new(seed: u64, source: usize) -> Self {
        let rng = Rng::new(seed, 4 << 32 | source as u64);
        Self {
            throttling: Throttling::default(),
            looked_bytes: 0.0,
            left_at_s: None,
            noise: 0.0,
            rng,
        }
    }
}

impl World {
    /// The connection of the latest number and its fate.
    pub(super) fn line(&self, ready_s: f64, source: usize, address: usize, rtt_s: f64) -> Line {
        let server = self.scenario.source(source);
        let mut fate = Rng::new(self.seed, 1 << 32 | self.dialled);
        let mut common = Rng::new(self.seed, 3);
        let is_slow = server.slow.is_some_and(|(one_in, _)| {
            self.dialled % u64::from(one_in) == u64::from(common.below(one_in))
        });
        let falls_silent =
            server.silent_of.is_some_and(|of| self.dialled == 1 + u64::from(common.below(of)));
        let freeze_s = fate.exponential(1.0) / server.freezes_per_s;
        let silent_after_s = if falls_silent { fate.between(0.05, 1.0) } else { freeze_s };
        let breaks_after_s = fate.exponential(1.0) / server.resets_per_s;
        let noise = fate.normal();
        // What would happen after the time of faults never does.
        let in_time = |at_s: f64| if self.has_faults(at_s) { at_s } else { f64::INFINITY };
        let end = server.end.filter(|_| self.has_faults(ready_s));
        let ends_s = |how| end.filter(|end| end.how == how).map_or(f64::INFINITY, |end| end.at_s);
        Line {
            source,
            address,
            rtt_s,
            opened_at_s: ready_s,
            is_slow,
            silent_from_s: in_time((ready_s + silent_after_s).min(ends_s(Ending::Silence))),
            breaks_at_s: in_time((ready_s + breaks_after_s).min(ends_s(Ending::Reset))),
            closes_from_s: ready_s + server.lifetime_s * fate.between(0.75, 1.25),
            answers: 0,
            noise,
            limit_bytes_per_s: f64::INFINITY,
            is_receiving: false,
            is_busy: false,
        }
    }

    /// The next bin of noise.
    pub(super) fn draw_noise(&mut self) {
        self.next_bin_s += BIN_S;
        let fresh = (1.0 - BIN_MEMORY * BIN_MEMORY).sqrt();
        self.noise = BIN_MEMORY * self.noise + fresh * self.noise_rng.normal();
        for line in self.lines.iter_mut().flatten() {
            if self.scenario.source(line.source).connection_noise > 0.0 {
                line.noise = BIN_MEMORY * line.noise + fresh * self.dice.normal();
            }
        }
        for host in &mut self.hosts {
            host.noise = BIN_MEMORY * host.noise + fresh * host.rng.normal();
        }
    }

    /// How the server with this number has ended by then, if it has.
    pub(super) fn ending(&self, at_s: f64, source: usize) -> Option<Ending> {
        let end = self.scenario.source(source).end.filter(|_| self.has_faults(at_s))?;
        (at_s >= end.at_s).then_some(end.how)
    }

    /// Sees whether there have been too many connections for too long.
    pub(super) fn throttle(&mut self, now_s: f64) {
        let has_faults = self.has_faults(now_s);
        for source in 0..self.hosts.len() {
            let Some(throttle) = self.scenario.source(source).throttle else { continue };
            let is_over = self.open_at(source) > throttle.above as usize;
            let throttling = &mut self.hosts[source].throttling;
            if !has_faults {
                *throttling = Throttling::default();
                continue;
            }
            if !is_over || now_s < throttling.until_s {
                throttling.over_since_s = None;
                continue;
            }
            let since_s = *throttling.over_since_s.get_or_insert(now_s);
            if now_s - since_s >= throttle.burst_s {
                throttling.until_s = now_s + throttle.penalty_s;
            }
        }
    }

    /// What the bottleneck lets through, in bytes per second.
    pub(super) fn capacity(&self, now_s: f64) -> f64 {
        let path = &self.scenario.path;
        let step = path.steps.iter().rev().find(|(from_s, _)| *from_s <= now_s);
        let factor = step.map_or(1.0, |(_, factor)| *factor);
        path.link_bytes_per_s * factor * (1.0 + path.noise * self.noise).clamp(0.1, 2.0)
    }

    /// What the server lets through the slot's connection at most.
    pub(super) fn line_limit(&self, now_s: f64, slot: usize) -> f64 {
        let Some(line) = &self.lines[slot] else { return 0.0 };
        let server = self.scenario.source(line.source);
        let mut limit = server.connection_bytes_per_s;
        if server.connection_noise > 0.0 {
            limit *= (1.0 + server.connection_noise * line.noise).max(0.1);
        }
        if server.ramp_s > 0.0 {
            let limit_max = limit.min(self.scenario.path.link_bytes_per_s);
            limit = limit_max * ((now_s - line.opened_at_s) / server.ramp_s).clamp(0.1, 1.0);
        }
        if let Some((_, factor)) = server.slow.filter(|_| line.is_slow && self.has_faults(now_s)) {
            limit = limit.min(self.scenario.path.link_bytes_per_s) * factor;
        }
        limit
    }
}
