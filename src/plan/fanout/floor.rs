//! What happens to the count when sources come and go: one connection for each of them comes and
//! goes with it. Must not know why.

use super::hold::Hold;
use super::ramp::Ramp;
use super::{Change, Count, Peak, Phase};
use crate::plan::decision::Choice;
use std::time::Duration;

impl Count {
    /// No fewer than `min` connections from now on, as far as that many are allowed. Other sources
    /// bring other rates: what was measured before is compared with nothing any more.
    pub(in crate::plan) fn set_min(&mut self, now: Duration, min: u32) -> Option<Change> {
        if min == self.min || !self.is_auto() {
            self.min = min;
            return None;
        }
        let earlier = std::mem::replace(&mut self.min, min);
        (self.peak, self.poor_windows, self.fallen_looks) = (Peak::default(), 0, 0);
        let from = self.target;
        // The connections there are have spans, and a new source is not to wait for their ends.
        let target = (from + min).saturating_sub(earlier).max(min).min(self.ceiling());
        self.phase = match self.phase.take() {
            Some(Phase::Ramp(_)) => Some(Phase::Ramp(Ramp::first(now, target))),
            Some(Phase::Hold(_) | Phase::Probe(_)) => Some(Phase::Hold(Hold::default())),
            other => other,
        };
        // The path has not swung: what goes may come again.
        self.grown = (self.grown + target).saturating_sub(from);
        self.target = target;
        let text = format!("{target} after {from}: {min} sources are open");
        (target != from).then_some((Choice::Connections, text))
    }
}
