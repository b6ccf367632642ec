//! What the network is told of the world at one instant. Owns the words, and what the server sends
//! in all; must not know how a network works.

use super::Line;
use super::conditions::Host;
use crate::sim::scenario::Scenario;

/// The world at one instant.
pub(super) struct Ground<'a> {
    pub(super) scenario: &'a Scenario,
    /// The connections, by slot.
    pub(super) lines: &'a [Option<Line>],
    pub(super) now_s: f64,
    /// What the bottleneck lets through now.
    pub(super) capacity_bytes_per_s: f64,
    /// Where each server stands, by its number.
    pub(super) hosts: &'a [Host],
    pub(super) is_disk_full: bool,
}

impl Ground<'_> {
    /// What the server with this number sends to this number of connections together, in bytes per
    /// second.
    pub(super) fn server_total(&self, source: usize, served: usize) -> f64 {
        let (server, host) = (self.scenario.source(source), &self.hosts[source]);
        let total = server.total_bytes_per_s / (1.0 + server.crowding * (served as f64 - 1.0));
        let step = server.total_steps.iter().rev().find(|(from_s, _)| *from_s <= self.now_s);
        let factor = step.map_or(1.0, |(_, factor)| *factor);
        let noisy = total * factor * (1.0 + server.total_noise * host.noise).clamp(0.1, 2.0);
        let is_punished = self.now_s < host.throttling.until_s;
        let punished = server.throttle.filter(|_| is_punished);
        punished.map_or(noisy, |throttle| throttle.bytes_per_s.min(noisy))
    }

    /// Whether the connection in the slot is one of the server with this number.
    pub(super) fn is_of(&self, source: usize, slot: usize) -> bool {
        self.lines[slot].as_ref().is_some_and(|line| line.source == source)
    }
}
