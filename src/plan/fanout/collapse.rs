//! What is done when the origin throttles after a burst: back off, freeze, and come back with care.
//! Must not know how connections are counted while all is well.

use super::hold::probe_window;
use super::{Change, Count, Peak, Phase, Sample};
use crate::plan::decision::Choice;
use crate::plan::window::{Mean, Window};
use std::time::Duration;

/// The origin has collapsed if two windows in a row bring less than this share of the best one.
/// Punishments leave a hundredth (2.3 GB/s became 0.1 to 1 MB/s, huggingface_hub #4893), while
/// paths that get slower mostly stay within a factor of ten.
const COLLAPSE_SHARE: f64 = 0.1;
/// What is throttled flows on: least share of the ticks in which bytes came.
const FLOWING_MIN: f64 = 0.5;
/// What is kept of the connections then: browsers open six, and no origin punishes that.
pub(super) const COLLAPSED_MAX: u32 = 4;
/// The origin has recovered when this share of its rate per connection is back.
const RECOVERY_SHARE: f64 = 0.5;
/// It is taken for recovered after this time in any case.
const FREEZE_MAX: Duration = Duration::from_secs(180);

impl Count {
    /// The rate has fallen far below what it was, for no reason of ours.
    pub(super) fn look_for_collapse(
        &mut self,
        sample: &Sample,
        mean: Mean,
    ) -> Option<(Phase, Option<Change>)> {
        self.note_peak(mean.rate);
        let Peak { rate: best, connections } = self.peak;
        // Nothing at all is an outage of the path.
        let is_poor = mean.flowing >= FLOWING_MIN
            && mean.rate < COLLAPSE_SHARE * best
            && !sample.is_disk_bound;
        self.poor_windows = if is_poor { self.poor_windows + 1 } else { 0 };
        if self.poor_windows < 2 || self.target == 1 {
            return None;
        }
        self.poor_windows = 0;
        let from = self.target;
        let text = format!(
            "{:.0} % of the best rate is left, which {connections} connections made",
            mean.rate / best * 100.0
        );
        self.target = (self.target / 2).clamp(1, COLLAPSED_MAX);
        let check = Some((mean.rate, from));
        let frozen = Phase::Frozen { since: sample.now, window: Window::default(), check };
        Some((frozen, Some((Choice::Collapse, format!("{}: {text}", self.target)))))
    }

    pub(super) fn frozen(
        &mut self,
        sample: &Sample,
        since: Duration,
        mut window: Window,
        check: Option<(f64, u32)>,
    ) -> (Phase, Option<Change>) {
        if sample.now > since + sample.reach + 2 * sample.tau {
            window.add(sample.bytes, sample.elapsed);
        }
        if window.lasted() < probe_window(sample) {
            return (Phase::Frozen { since, window, check }, None);
        }
        let rate = window.mean().rate;
        if let Some((before, from)) = check {
            if rate < 0.75 * before {
                // Each connection brings as much as before: the path has become slow, and the
                // origin counts nothing.
                self.peak = Peak { rate, connections: self.target };
                // What was taken for a collapse is made up for, however much was opened before.
                let made_up = from.saturating_sub(self.target);
                self.grown = self.grown.saturating_sub(made_up).max(self.target);
                let change = self.set(from, "fewer are worse: the path has changed".into());
                return (self.start_hold(sample.now), change);
            }
            self.was_throttled = true;
        }
        let Peak { rate: best, connections } = self.peak;
        let expected = best / f64::from(connections.max(1)) * f64::from(self.target);
        if rate >= RECOVERY_SHARE * expected || sample.now > since + FREEZE_MAX {
            self.tolerance.set(sample.now, self.target);
            self.peak = Peak { rate, connections: self.target };
            return (self.start_hold(sample.now), None);
        }
        (Phase::Frozen { since, window: Window::default(), check: None }, None)
    }
}
