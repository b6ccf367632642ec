//! What the network is told of the world at one instant. Owns the words, and what the server sends
//! in all; must not know how a network works.

use super::Line;
use crate::sim::scenario::Scenario;

/// The world at one instant.
pub(super) struct Ground<'a> {
    pub(super) scenario: &'a Scenario,
    /// The connections, by slot.
    pub(super) lines: &'a [Option<Line>],
    pub(super) now_s: f64,
    /// What the bottleneck lets through now.
    pub(super) capacity_bytes_per_s: f64,
    /// Indicates whether the server punishes a burst.
    pub(super) is_punished: bool,
    pub(super) is_disk_full: bool,
}

impl Ground<'_> {
    /// What the server sends to this number of connections together, in bytes per second.
    pub(super) fn server_total(&self, served: usize) -> f64 {
        let server = &self.scenario.server;
        let total = server.total_bytes_per_s / (1.0 + server.crowding * (served as f64 - 1.0));
        let punished = server.throttle.filter(|_| self.is_punished);
        punished.map_or(total, |throttle| throttle.bytes_per_s.min(total))
    }
}
