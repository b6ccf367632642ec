//! What the count does while the caller's own limit of the rate is what bounds the transfer: it
//! stands. What comes then says nothing of the path. Must not know how that was found out.

use super::hold::Probe;
use super::{Change, Count, Peak, Phase};
use std::time::Duration;

impl Count {
    /// Another tick in which only the limit of the rate was felt.
    pub(super) fn rest(&mut self, now: Duration, phase: Phase) -> (Phase, Option<Change>) {
        // Rates from before would make those behind the limit look poor.
        (self.peak, self.poor_windows, self.fallen_looks) = (Peak::default(), 0, 0);
        match phase {
            Phase::Frozen { .. } => (phase, None),
            Phase::Probe(Probe { from, .. }) if from < self.target => {
                let change = self.set(from, "the limit of the rate leaves nothing to gain".into());
                (self.start_hold(now), change)
            }
            Phase::Ramp(_) | Phase::Hold(_) | Phase::Probe(_) => (self.start_hold(now), None),
        }
    }
}
