//! One origin: what waits for it, how many lanes and large files it has, whose turn it is. Owns the
//! answers to "how many lanes could it use" and "how many items may a lane hold"; must not know
//! other origins.

use super::ahead::Ahead;
use super::lane_count::LaneCount;
use super::push_back::PushBack;
use super::share::{Claim, Place};
use super::{Item, Parallel, Settings};
use crate::base::limits;
use std::collections::VecDeque;
use std::time::Duration;

/// What the scheduler knows of one origin.
#[derive(Debug)]
pub(super) struct Origin {
    /// Small files that wait, in the order of the list; what came back from flight is in front.
    pub(super) small: VecDeque<Item>,
    /// Large files that wait, in the same order.
    pub(super) large: VecDeque<Item>,
    /// Open lanes.
    pub(super) lanes: u32,
    /// Those of them that take nothing more and close.
    pub(super) lanes_draining: u32,
    /// Lanes whose one item makes no progress; never among those that are draining.
    pub(super) lanes_stuck: u32,
    /// Lanes that it could use at the last decision.
    pub(super) lanes_claimed: u32,
    /// Lanes that the last decision gave it.
    pub(super) lanes_share: u32,
    /// The last decision gave it more lanes than it had items for.
    pub(super) lacks_items: bool,
    /// Items that its lanes hold.
    pub(super) held: u32,
    /// Large files that run.
    pub(super) large_running: u32,
    /// Turn of its small files.
    pub(super) small_turn: Turn,
    /// Number of the last turn of its large files.
    pub(super) large_turn: u64,
    pub(super) push_back: PushBack,
    pub(super) lane_count: LaneCount,
    pub(super) ahead: Ahead,
    /// What the last item without a size in the list turned out to be.
    pub(super) last_unknown: LastUnknown,
}

/// What an item of unknown size turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LastUnknown {
    /// There was none yet.
    None,
    Small,
    Large,
}

/// The turn of an origin's small files: from its first lane on.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// Turns are numbered by when they began; 0 is none.
    pub(super) number: u64,
    pub(super) began: Duration,
    /// Items that have ended in it.
    pub(super) items: u32,
}

impl Turn {
    pub(super) fn is_over(&self, now: Duration) -> bool {
        self.items >= limits::LANE_TURN_ITEMS || now >= self.ends_at()
    }

    /// When it ends at the latest.
    pub(super) fn ends_at(&self) -> Duration {
        self.began + limits::LANE_TURN_TIME
    }
}

impl Origin {
    /// An origin that has `connections_max` connections at most.
    pub(super) fn new(settings: &Settings, connections_max: u32) -> Self {
        let lane_count = match settings.parallel {
            Parallel::Auto => LaneCount::auto(connections_max.min(limits::LANES_AUTO_MAX)),
            Parallel::Fixed(_) => LaneCount::fixed(settings.files_max().min(connections_max)),
        };
        Self {
            small: VecDeque::new(),
            large: VecDeque::new(),
            lanes: 0,
            lanes_draining: 0,
            lanes_stuck: 0,
            lanes_claimed: 0,
            lanes_share: 0,
            lacks_items: false,
            held: 0,
            large_running: 0,
            small_turn: Turn::default(),
            large_turn: 0,
            push_back: PushBack::default(),
            lane_count,
            ahead: Ahead::default(),
            last_unknown: LastUnknown::None,
        }
    }

    /// Puts `item` where it waits.
    pub(super) fn wait(&mut self, item: Item, is_first: bool) {
        let queue = if item.is_large() { &mut self.large } else { &mut self.small };
        if is_first {
            queue.push_front(item);
        } else {
            queue.push_back(item);
        }
    }

    /// Indicates whether nothing of it waits or is in flight.
    pub(super) fn is_idle(&self) -> bool {
        let in_flight = self.lanes + self.held + self.large_running;
        in_flight == 0 && self.small.is_empty() && self.large.is_empty()
    }

    /// Lanes that its small files could use: those that are stuck, and as many that work as if
    /// there were no others. A server of which very many are stuck is ill, and not asked more.
    pub(super) fn lanes_wanted(&self) -> u32 {
        // Where files of unknown size are large, each probe costs a connection.
        let is_probe = self.small.front().is_some_and(|item| item.size_hint.is_none());
        let probes_only = is_probe && self.last_unknown == LastUnknown::Large;
        let most = if probes_only { limits::PROBE_LANES } else { self.lane_count.wanted() };
        most.min(self.items_at_work()) + self.lanes_stuck.min(limits::LANES_AUTO_MAX)
    }

    /// Lanes that take items and bring them.
    pub(super) fn lanes_at_work(&self) -> u32 {
        self.lanes - self.lanes_draining - self.lanes_stuck
    }

    /// Small files that wait, and those that lanes hold which are not stuck.
    fn items_at_work(&self) -> u32 {
        count(self.small.len()) + self.held - self.lanes_stuck
    }

    /// Indicates whether it could use another number of lanes than at the last decision.
    pub(super) fn wants_other_lanes(&self) -> bool {
        self.lanes_wanted() != self.lanes_claimed
    }

    /// Items that one lane may hold, at least 1: as many as pay, and at most an equal part of what
    /// is left, so that all lanes end together.
    pub(super) fn lane_items_max(&self, settings: &Settings) -> u32 {
        let next = self.small.front();
        let next_is_unknown = next.is_some_and(|item| item.size_hint.is_none());
        if next_is_unknown && self.last_unknown != LastUnknown::Small {
            // A large file costs the connection, with all that was asked for behind it.
            return 1;
        }
        let even = self.items_at_work().div_ceil(self.lanes_at_work().max(1));
        let bytes = next.and_then(|item| item.size_hint).unwrap_or(0);
        self.ahead.items_max(settings.lane_items_max, bytes).min(even)
    }

    /// What it could use at `now`, of at most `bound` connections.
    pub(super) fn claim(&mut self, now: Duration, bound: u32) -> Claim {
        let is_blocked = self.push_back.is_blocked(now);
        let last_turn = self.small_turn.number;
        let small_place = match (self.lanes, self.small_turn.is_over(now)) {
            (0, _) => Place::Waits { last_turn },
            (_, false) => Place::Holds,
            (_, true) => Place::Outstayed { turn: last_turn },
        };
        self.lanes_claimed = self.lanes_wanted();
        Claim {
            cap: self.push_back.cap(bound),
            lanes: if is_blocked { 0 } else { self.lanes_claimed },
            small_place,
            large_running: self.large_running,
            large_waiting: if is_blocked { 0 } else { count(self.large.len()) },
            large_place: Place::Waits { last_turn: self.large_turn },
        }
    }
}

/// A number of items as the number of connections they could use.
fn count(items: usize) -> u32 {
    u32::try_from(items).unwrap_or(u32::MAX / 2)
}
