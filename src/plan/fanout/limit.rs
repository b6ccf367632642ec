//! What happens to the count when the caller allows more connections than before, or fewer. Must
//! not know why.

use super::ramp::Ramp;
use super::{Change, Count, Peak, Phase};
use crate::plan::decision::Choice;
use std::time::Duration;

impl Count {
    /// The caller allows `max` connections, at least 1, from now on; never more than the settings
    /// do. A count that the limit has held down looks anew for the best one when it is raised.
    pub(in crate::plan) fn set_max(&mut self, now: Duration, max: u32) -> Option<Change> {
        assert!(max > 0, "at least one connection");
        let max = max.min(self.max_of_settings);
        let was_held_down = self.is_held_down();
        let before = std::mem::replace(&mut self.max, max);
        if max < self.target {
            self.lower(now, max)
        } else if max > before && was_held_down {
            self.raise(now)
        } else {
            None
        }
    }

    /// Whether the caller allows fewer connections than the settings do, and all of these are
    /// wanted.
    pub(super) fn is_held_down(&self) -> bool {
        self.is_limited() && self.target >= self.max
    }

    /// Whether the caller allows fewer connections than the settings do.
    pub(super) fn is_limited(&self) -> bool {
        self.max < self.max_of_settings
    }

    fn lower(&mut self, now: Duration, target: u32) -> Option<Change> {
        let from = std::mem::replace(&mut self.target, target);
        // The path has not swung: these may come again.
        self.grown -= from - target;
        // The rate falls, and nobody but the caller is to blame.
        (self.peak, self.poor_windows, self.fallen_looks) = (Peak::default(), 0, 0);
        if matches!(self.phase, Some(Phase::Ramp(_) | Phase::Hold(_) | Phase::Probe(_))) {
            self.phase = Some(self.start_hold(now));
        }
        Some((Choice::Connections, format!("{target} after {from}: the limit was lowered")))
    }

    fn raise(&mut self, now: Duration) -> Option<Change> {
        match self.phase {
            None => {
                let from = self.target;
                self.target = self.max.min(self.grant.unwrap_or(self.max));
                self.grown += self.target - from;
                let text = format!("{} after {from}: the limit was raised", self.target);
                (self.target > from).then_some((Choice::Connections, text))
            }
            Some(Phase::Ramp(_) | Phase::Hold(_) | Phase::Probe(_)) => {
                self.phase = Some(Phase::Ramp(Ramp::new(now, None)));
                None
            }
            // An origin that throttles is left alone.
            Some(Phase::Frozen { .. }) => None,
        }
    }
}
