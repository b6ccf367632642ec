//! The decision: brings what is open nearer to what should be. Owns the order in which surplus is
//! asked back and room is given out; who should have what is `share`'s. Must not know single
//! events.

use super::{Lane, Large, Scheduler};
use crate::base::limits::CONNECTIONS_MAX;
use crate::schedule::origin::Origin;
use crate::schedule::share::{self, Bounds, Claim, Share};
use crate::schedule::{ItemId, LaneId, Order, OriginId};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

impl Scheduler {
    /// What the caller does now. Costs nothing if nothing has changed, and otherwise time
    /// proportional to the origins in use and the large files that run.
    pub fn decide(&mut self, now: Duration) -> Vec<Order> {
        self.refill();
        let is_due = self.wake_at.is_some_and(|at| at <= now);
        if !self.is_changed && !is_due {
            return Vec::new();
        }
        self.is_changed = false;
        let shares = self.shares(now);
        let mut orders = Vec::new();
        self.open_lanes(now, &shares, &mut orders);
        self.ask_back(&shares, &mut orders);
        self.start_large(&shares, &mut orders);
        self.grow(&shares, &mut orders);
        self.wake_at = self.next_change(now);
        self.check();
        orders
    }

    /// When to call [`Scheduler::decide`] again though nothing has happened; `None`: never.
    pub fn wake_at(&self) -> Option<Duration> {
        self.wake_at
    }

    /// Lets items of the last round wait, as far as the window goes.
    fn refill(&mut self) {
        while self.waiting < self.settings.waiting_items_max {
            let Some(item) = self.failed.next() else { return };
            self.enqueue(item, false);
        }
    }

    /// What each origin should have, without those that should have nothing. Also tells the lanes.
    fn shares(&mut self, now: Duration) -> BTreeMap<OriginId, Share> {
        let mut in_use: Vec<(OriginId, &mut Origin)> = Vec::new();
        let mut claims: Vec<Claim> = Vec::new();
        for (id, origin) in &mut self.origins {
            let bound = self.budget.origin_max(*id);
            origin.push_back.pass(now, bound);
            if origin.is_idle() {
                // Or its next item would look as if it had a lane already.
                (origin.lanes_claimed, origin.lanes_share) = (0, 0);
            } else {
                claims.push(origin.claim(now, bound));
                in_use.push((*id, origin));
            }
        }
        let bounds = Bounds {
            connections: self.settings.connections_total_max,
            files: self.settings.files_max(),
            large_base: self.settings.large_base(),
            large_max: CONNECTIONS_MAX,
        };
        let shares = share::divide(bounds, &claims);
        self.somebody_waits = share::somebody_waits(&claims, &shares);
        for ((_, origin), share) in in_use.iter_mut().zip(&shares) {
            origin.lanes_share = share.lanes;
        }
        let all = in_use.into_iter().map(|(id, _)| id).zip(shares);
        all.filter(|(_, share)| share.lanes + share.large_files() > 0).collect()
    }

    fn open_lanes(
        &mut self,
        now: Duration,
        shares: &BTreeMap<OriginId, Share>,
        orders: &mut Vec<Order>,
    ) {
        for (&id, share) in shares {
            let mut unclaimed = self.unclaimed(id);
            while self.origins[&id].lanes < share.lanes && self.has_room(id) && unclaimed > 0 {
                unclaimed -= 1;
                self.lanes_opened += 1;
                let lane = LaneId(self.lanes_opened);
                self.budget.take(id, 1);
                let empty = Lane {
                    origin: id,
                    items: VecDeque::new(),
                    since: now,
                    has_ended_one: false,
                    is_draining: false,
                    is_stuck: false,
                };
                self.lanes.insert(lane, empty);
                self.count_lane(id, now);
                orders.push(Order::OpenLane { lane, origin: id });
            }
            let origin = self.origins.get_mut(&id).expect("a share's origin is known");
            origin.lacks_items = origin.lanes < share.lanes && unclaimed == 0;
        }
    }

    /// Small files of the origin that wait, but for one for each lane that holds none: a lane that
    /// is opened for what others hold finds nothing, closes, and would be opened again.
    fn unclaimed(&self, id: OriginId) -> usize {
        let is_empty = |lane: &&Lane| lane.origin == id && lane.items.is_empty();
        let empty = self.lanes.values().filter(is_empty).count();
        self.origins[&id].small.len().saturating_sub(empty)
    }

    /// The origin has a lane more; with its first one its turn begins.
    fn count_lane(&mut self, id: OriginId, now: Duration) {
        let origin = self.origins.get_mut(&id).expect("a share's origin is known");
        origin.lanes += 1;
        if origin.lanes == 1 {
            self.turns += 1;
            origin.small_turn.number = self.turns;
            origin.small_turn.began = now;
            origin.small_turn.items = 0;
        }
    }

    /// Asks large files that have more than their part to close connections.
    fn ask_back(&mut self, shares: &BTreeMap<OriginId, Share>, orders: &mut Vec<Order>) {
        for (item, connections) in self.parts(shares) {
            let large = self.large.get_mut(&item).expect("a part is of a file that runs");
            // What it was asked to close it may keep, if nobody needs it any more.
            let connections = connections.min(large.granted);
            if connections != large.ordered {
                large.ordered = connections;
                orders.push(Order::Regrant { item, connections });
            }
        }
    }

    fn start_large(&mut self, shares: &BTreeMap<OriginId, Share>, orders: &mut Vec<Order>) {
        for (&id, share) in shares {
            for nth in share.large_running..share.large_files() {
                if !self.has_room(id) {
                    break;
                }
                let connections = share.part(nth).min(self.budget.room(id));
                let origin = self.origins.get_mut(&id).expect("a share's origin is known");
                let item = origin.large.pop_front().expect("a file to start waits");
                self.waiting -= 1;
                self.start(item, connections);
                orders.push(Order::StartLarge { item: item.id, connections });
            }
        }
    }

    /// Gives large files that have less than their part the room there is.
    fn grow(&mut self, shares: &BTreeMap<OriginId, Share>, orders: &mut Vec<Order>) {
        for (item, connections) in self.parts(shares) {
            let large = self.large.get_mut(&item).expect("a part is of a file that runs");
            let missing = connections.saturating_sub(large.granted);
            let more = missing.min(self.budget.room(large.item.origin));
            if more == 0 {
                continue;
            }
            self.budget.take(large.item.origin, more);
            large.granted += more;
            large.ordered = large.granted;
            orders.push(Order::Regrant { item, connections: large.granted });
        }
    }

    /// How many connections each running large file should have, those that started first in
    /// front: equal parts, at least 1, of what the large files of its origin should have. Those
    /// that are still to start have parts as well.
    fn parts(&self, shares: &BTreeMap<OriginId, Share>) -> Vec<(ItemId, u32)> {
        let mut running: Vec<&Large> = self.large.values().collect();
        running.sort_unstable_by_key(|large| large.turn);
        let mut counted: BTreeMap<OriginId, u32> = BTreeMap::new();
        let part = |large: &Large| {
            let share = shares.get(&large.item.origin).expect("an origin in use has a share");
            let nth = counted.entry(large.item.origin).or_default();
            *nth += 1;
            (large.item.id, share.part(*nth - 1))
        };
        running.into_iter().map(part).collect()
    }

    fn has_room(&self, origin: OriginId) -> bool {
        let files = self.lanes.len() + self.large.len();
        files < self.settings.files_max() as usize && self.budget.room(origin) > 0
    }

    /// When the decision changes by itself: an origin may be asked again, or a turn is over that
    /// somebody waits for.
    fn next_change(&self, now: Duration) -> Option<Duration> {
        let in_use = self.origins.values().filter(|origin| !origin.is_idle());
        let change = |origin: &Origin| {
            let turn_ends = origin.small_turn.ends_at();
            let is_awaited = self.somebody_waits && origin.lanes > 0 && turn_ends > now;
            let turn = is_awaited.then_some(turn_ends);
            origin.push_back.changes_at(now).into_iter().chain(turn).min()
        };
        in_use.filter_map(change).min()
    }

    /// What has to hold between two calls; cheap beside the decision itself.
    fn check(&self) {
        let files = self.lanes.len() + self.large.len();
        assert!(files <= self.settings.files_max() as usize, "files at once are bounded");
        let open = self.large.values().map(|large| large.granted).sum::<u32>();
        let lanes = u32::try_from(self.lanes.len()).expect("lanes are bounded by connections");
        assert!(open + lanes <= self.settings.connections_total_max, "connections are bounded");
        assert!(self.large.values().all(|large| large.granted >= 1), "a file that runs has one");
    }
}
