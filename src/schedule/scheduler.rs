//! The state machine of a batch: items come in, wait, are handed out and end. Owns what is in
//! flight, and keeps all counts in step; the decisions about connections are in `decide`. Must not
//! know the clock.

mod decide;
#[cfg(test)]
mod tests;

use super::budget::Budget;
use super::failed::Failed;
use super::origin::{LastUnknown, Origin};
use super::share::large_files_max;
use super::{Item, ItemId, LaneId, LaneNext, Moved, OriginId, Outcome, Settings};
use crate::base::limits::{ORIGINS_MAX, SMALL_FILE_BYTES_MAX};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Which file of a batch is next, and how many connections each gets. See the module for how it is
/// called.
#[derive(Debug)]
pub struct Scheduler {
    settings: Settings,
    origins: BTreeMap<OriginId, Origin>,
    budget: Budget,
    lanes: BTreeMap<LaneId, Lane>,
    /// Which lane holds an item.
    in_lane: BTreeMap<ItemId, LaneId>,
    /// Large files that run.
    large: BTreeMap<ItemId, Large>,
    /// Whom items that a redirect has moved were to ask first; of items that wait or are in flight.
    moved_from: BTreeMap<ItemId, OriginId>,
    failed: Failed,
    /// Items that wait, of all origins.
    waiting: usize,
    list_ended: bool,
    lanes_opened: u64,
    turns: u64,
    /// A limit of the caller's own bounds all files.
    is_rate_limited: bool,
    /// Something that decisions depend on has changed since the last one.
    is_changed: bool,
    /// At the last decision, some origin got nothing of what it could use.
    somebody_waits: bool,
    /// When the last decision has to be made again though nothing happens.
    wake_at: Option<Duration>,
}

/// One connection for small files.
#[derive(Debug)]
struct Lane {
    origin: OriginId,
    /// In the order in which they were asked for.
    items: VecDeque<Item>,
    /// When it ended an item last, or began with one while it held none.
    since: Duration,
    /// It has ended an item.
    has_ended_one: bool,
    /// It takes nothing more.
    is_draining: bool,
    /// It holds one item, which makes no progress, and takes nothing more until that has ended.
    is_stuck: bool,
}

/// A large file that runs.
#[derive(Debug)]
struct Large {
    item: Item,
    /// Large files are numbered by when they started.
    turn: u64,
    /// Connections that count, at least 1.
    granted: u32,
    /// Connections that it was last told; fewer than granted until it has closed some.
    ordered: u32,
}

impl Scheduler {
    /// Nothing waits yet.
    pub fn new(settings: Settings) -> Self {
        settings.check();
        Self {
            settings,
            origins: BTreeMap::new(),
            budget: Budget::new(
                settings.connections_total_max,
                settings.connections_per_origin_max,
            ),
            lanes: BTreeMap::new(),
            in_lane: BTreeMap::new(),
            large: BTreeMap::new(),
            moved_from: BTreeMap::new(),
            failed: Failed::new(settings.failed_items_max),
            waiting: 0,
            list_ended: false,
            lanes_opened: 0,
            turns: 0,
            is_rate_limited: false,
            is_changed: true,
            somebody_waits: false,
            wake_at: None,
        }
    }

    /// Bounds the connections of this origin by a number of its own, at least 1, in the place of
    /// [`Settings::connections_per_origin_max`]; to be called before anything of it is offered.
    pub fn limit_origin(&mut self, origin: OriginId, connections_max: u32) {
        self.budget.limit(origin, connections_max);
    }

    /// Whether a limit of the caller's own is what bounds all files from now on: the number of
    /// lanes stands while it does.
    pub fn set_rate_limited(&mut self, is_rate_limited: bool) {
        self.is_rate_limited = is_rate_limited;
    }

    /// Indicates whether the list should be read on.
    pub fn wants_more(&self) -> bool {
        !self.list_ended && self.waiting < self.settings.waiting_items_max
    }

    /// The next item of the list; only while [`Scheduler::wants_more`].
    pub fn offer(&mut self, item: Item) {
        assert!(self.wants_more(), "the list is read while there is room");
        self.enqueue(item, false);
    }

    /// The list has no more items.
    pub fn end_of_list(&mut self) {
        self.list_ended = true;
    }

    /// Indicates whether all items of the list, or of the last round, have ended.
    pub fn is_done(&self) -> bool {
        self.list_ended && self.waiting == 0 && self.in_flight() == 0 && !self.failed.is_in_round()
    }

    /// Items that wait.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Items that were handed out and have not ended.
    pub fn in_flight(&self) -> usize {
        self.in_lane.len() + self.large.len()
    }

    /// Items that failed and are kept for the last round.
    pub fn failed_kept(&self) -> usize {
        self.failed.kept()
    }

    /// Items that failed and found no room among those kept.
    pub fn failed_lost(&self) -> u64 {
        self.failed.lost()
    }

    /// When all is done: everything that has failed and was kept comes once more. Returns the
    /// number of items.
    pub fn start_last_round(&mut self) -> usize {
        assert!(self.is_done(), "the last round comes after all others");
        self.is_changed = true;
        self.failed.start_round()
    }

    /// What the open lane `lane` does next.
    pub fn next_for_lane(&mut self, lane_id: LaneId, now: Duration) -> LaneNext {
        let lane = self.lanes.get_mut(&lane_id).expect("the lane is open");
        if lane.is_stuck {
            return LaneNext::Wait;
        }
        let origin = self.origins.get_mut(&lane.origin).expect("a lane's origin is known");
        let taking = origin.lanes - origin.lanes_draining;
        if lane.is_draining && taking < origin.lanes_share {
            lane.is_draining = false;
            origin.lanes_draining -= 1;
        } else if !lane.is_draining && taking > origin.lanes_share {
            lane.is_draining = true;
            origin.lanes_draining += 1;
        }
        let nothing = origin.small.is_empty() || origin.push_back.is_blocked(now);
        if lane.is_draining || nothing {
            return if lane.items.is_empty() { LaneNext::Close } else { LaneNext::Wait };
        }
        if lane.items.len() >= origin.lane_items_max(&self.settings) as usize {
            return LaneNext::Wait;
        }
        let item = origin.small.pop_front().expect("a small file waits");
        origin.held += 1;
        if lane.items.is_empty() {
            lane.since = now;
        }
        lane.items.push_back(item);
        self.in_lane.insert(item.id, lane_id);
        self.waiting -= 1;
        self.is_changed |= origin.wants_other_lanes();
        LaneNext::Take(item.id)
    }

    /// The connection of the lane is closed; what it still held waits again, before all others.
    pub fn close_lane(&mut self, lane: LaneId) {
        let lane = self.lanes.remove(&lane).expect("the lane is open");
        let origin = self.origins.get_mut(&lane.origin).expect("a lane's origin is known");
        origin.lanes -= 1;
        origin.lanes_draining -= u32::from(lane.is_draining);
        origin.lanes_stuck -= u32::from(lane.is_stuck);
        for item in lane.items.into_iter().rev() {
            self.in_lane.remove(&item.id);
            origin.held -= 1;
            origin.wait(item, true);
            self.waiting += 1;
        }
        self.budget.give_back(lane.origin, 1);
        self.is_changed = true;
    }

    /// A large file that was told to use fewer connections now has at most `connections`. Ignored
    /// if it does not run any more.
    pub fn released(&mut self, item: ItemId, connections: u32) {
        let Some(large) = self.large.get_mut(&item) else { return };
        // It may have been told a larger number meanwhile, which is valid at once.
        let left = large.granted.min(connections.max(large.ordered));
        self.budget.give_back(large.item.origin, large.granted - left);
        large.granted = left;
        self.is_changed = true;
    }

    /// The item has ended. One that failed begins again at the origin that it was to ask first.
    pub fn finished(&mut self, id: ItemId, now: Duration, outcome: Outcome) {
        let item = self.end(id, now, outcome);
        if outcome == Outcome::Failed {
            self.failed.keep(item);
        }
    }

    /// The item has failed, and is kept for the last round, in which it begins at another origin:
    /// that of a mirror.
    pub fn failed_here(&mut self, id: ItemId, now: Duration, next: OriginId) {
        let item = self.end(id, now, Outcome::Failed);
        self.failed.keep(Item { origin: next, ..item });
    }

    /// Takes out an item that has ended; returns it as it was offered.
    fn end(&mut self, id: ItemId, now: Duration, outcome: Outcome) -> Item {
        let lane = self.in_lane.get(&id).copied();
        let was_small = lane.is_some();
        let item = self.take_out(id);
        let origin = self.origins.get_mut(&item.origin).expect("an origin in use is known");
        if let Some(lane) = lane {
            let lane = self.lanes.get_mut(&lane).expect("it has held the item");
            let time = now.saturating_sub(std::mem::replace(&mut lane.since, now));
            let is_first = !std::mem::replace(&mut lane.has_ended_one, true);
            origin.ahead.on_file(time, is_first);
            origin.small_turn.items += 1;
            self.is_changed |= self.somebody_waits && origin.small_turn.is_over(now);
            let bytes = if let Outcome::Done { bytes } = outcome { bytes } else { 0 };
            match self.is_rate_limited {
                true => origin.lane_count.rest(),
                false => origin.lane_count.on_file(now, bytes, origin.lanes_at_work()),
            }
        }
        if let Outcome::Done { bytes } = outcome
            && was_small
            && item.size_hint.is_none()
        {
            let is_small = bytes <= SMALL_FILE_BYTES_MAX;
            origin.last_unknown = if is_small { LastUnknown::Small } else { LastUnknown::Large };
        }
        self.is_changed |= origin.wants_other_lanes();
        let first = self.moved_from.remove(&id).unwrap_or(item.origin);
        Item { origin: first, ..item }
    }

    /// The item has not ended, but is in flight no more: it waits again, before all others of its
    /// origin.
    pub fn put_back(&mut self, id: ItemId) {
        let item = self.take_out(id);
        self.enqueue(item, true);
    }

    /// The same, from now on as `item`, which has its number and another origin: that of a mirror,
    /// where it begins again if it fails.
    pub fn put_back_as(&mut self, item: Item) {
        self.take_out(item.id);
        self.moved_from.remove(&item.id);
        self.enqueue(item, true);
    }

    /// Takes out all items that wait for the origin, in their order: the caller decides anew where
    /// they go, and hands each of them to [`Scheduler::wait_again`].
    pub fn take_waiting(&mut self, id: OriginId) -> Vec<Item> {
        let Some(origin) = self.origins.get_mut(&id) else { return Vec::new() };
        let small = std::mem::take(&mut origin.small).into_iter();
        let items: Vec<Item> = small.chain(std::mem::take(&mut origin.large)).collect();
        self.waiting -= items.len();
        self.is_changed = true;
        items
    }

    /// The item, which was taken out, waits again: here or at another origin, behind all others
    /// there.
    pub fn wait_again(&mut self, item: Item) {
        self.enqueue(item, false);
    }

    /// The first item that the lane holds makes no progress. Those behind it wait again, before all
    /// others and in their order, and are returned; until the first one has ended the lane takes
    /// nothing more, and another one may be opened in its place. Where there can be no other lane
    /// nothing changes.
    pub fn stuck(&mut self, lane_id: LaneId) -> Vec<ItemId> {
        let lane = self.lanes.get_mut(&lane_id).expect("the lane is open");
        let bound = self.budget.origin_max(lane.origin).min(self.settings.files_max());
        let origin = self.origins.get_mut(&lane.origin).expect("a lane's origin is known");
        let most = origin.push_back.cap(bound);
        if lane.is_stuck || lane.items.is_empty() || origin.lanes_stuck + 1 >= most {
            return Vec::new();
        }
        lane.is_stuck = true;
        origin.lanes_stuck += 1;
        origin.lanes_draining -= u32::from(std::mem::take(&mut lane.is_draining));
        let behind = lane.items.split_off(1);
        for item in behind.iter().rev() {
            self.in_lane.remove(&item.id);
            origin.held -= 1;
            origin.wait(*item, true);
            self.waiting += 1;
        }
        self.is_changed = true;
        behind.into_iter().map(|item| item.id).collect()
    }

    /// Forgets an item that waits; returns `false` if it does not, and where it is kept for the
    /// last round.
    pub fn withdraw(&mut self, id: ItemId) -> bool {
        for origin in self.origins.values_mut() {
            for queue in [&mut origin.small, &mut origin.large] {
                if let Some(index) = queue.iter().position(|item| item.id == id) {
                    queue.remove(index);
                    self.moved_from.remove(&id);
                    self.waiting -= 1;
                    self.is_changed = true;
                    return true;
                }
            }
        }
        false
    }

    /// The first answer to an item in a lane says that it has `bytes`, too many for a lane. It
    /// waits among the large files, and the lane holds it no more; a lane whose connection is of
    /// no use now has to be closed.
    pub fn turned_out_large(&mut self, id: ItemId, bytes: u64) {
        assert!(self.in_lane.contains_key(&id), "a lane holds the item");
        assert!(bytes > SMALL_FILE_BYTES_MAX, "the file is large");
        let mut item = self.take_out(id);
        if item.size_hint.is_none() {
            let origin = self.origins.get_mut(&item.origin).expect("an origin in use is known");
            origin.last_unknown = LastUnknown::Large;
        }
        item.size_hint = Some(bytes);
        self.enqueue(item, true);
    }

    /// A redirect sends the item to another origin, where it is fetched from now on; if it fails,
    /// it begins again at the first one. An item of a lane waits there, before all others.
    pub fn moved(&mut self, id: ItemId, to: OriginId, now: Duration) -> Moved {
        let granted = self.large.get(&id).map_or(0, |large| large.granted);
        let mut item = self.take_out(id);
        self.moved_from.entry(id).or_insert(item.origin);
        item.origin = to;
        let connections = granted.min(self.room_for_large(to, now));
        if connections == 0 {
            self.enqueue(item, true);
            return Moved::Waits;
        }
        self.start(item, connections);
        Moved::Granted { connections }
    }

    /// The origin has refused at `now` (429, 503), and wants nothing new before `until`. What is
    /// in flight there is reported on its own.
    pub fn push_back(&mut self, origin_id: OriginId, now: Duration, until: Duration) {
        let granted = self.budget.granted(origin_id);
        self.origin(origin_id).push_back.refused(now, until, granted);
        self.is_changed = true;
    }

    /// Indicates whether the origin has refused, and is left alone for now.
    pub fn is_blocked(&self, origin: OriginId, now: Duration) -> bool {
        self.origins.get(&origin).is_some_and(|origin| origin.push_back.is_blocked(now))
    }

    /// Connections for one more large file of the origin; 0 if it has to wait.
    fn room_for_large(&mut self, id: OriginId, now: Duration) -> u32 {
        let bound = self.budget.origin_max(id);
        let granted = self.budget.granted(id);
        let origin = self.origin(id);
        let cap = origin.push_back.cap(bound);
        if origin.push_back.is_blocked(now) || origin.large_running >= large_files_max(cap) {
            return 0;
        }
        self.budget.room(id).min(cap.saturating_sub(granted))
    }

    fn enqueue(&mut self, item: Item, is_first: bool) {
        let origin = self.origin(item.origin);
        origin.wait(item, is_first);
        let is_changed = item.is_large() || origin.wants_other_lanes() || origin.lacks_items;
        self.is_changed |= is_changed;
        self.waiting += 1;
    }

    /// Takes an item out of its lane, or out of the large files that run.
    fn take_out(&mut self, id: ItemId) -> Item {
        let Some(lane) = self.in_lane.remove(&id) else {
            let large = self.large.remove(&id).expect("the item is in flight");
            self.budget.give_back(large.item.origin, large.granted);
            let origin =
                self.origins.get_mut(&large.item.origin).expect("an origin in use is known");
            origin.large_running -= 1;
            self.is_changed = true;
            return large.item;
        };
        let lane = self.lanes.get_mut(&lane).expect("a lane that holds an item is open");
        let index = lane.items.iter().position(|item| item.id == id);
        let item = lane.items.remove(index.expect("the lane holds the item"));
        let origin = self.origins.get_mut(&lane.origin).expect("a lane's origin is known");
        origin.held -= 1;
        origin.lanes_stuck -= u32::from(std::mem::take(&mut lane.is_stuck));
        self.is_changed |= origin.wants_other_lanes();
        item.expect("the lane holds the item")
    }

    /// Lets a large file run, for which there is room.
    fn start(&mut self, item: Item, connections: u32) {
        self.budget.take(item.origin, connections);
        let turn = self.turns + 1;
        self.turns = turn;
        let origin = self.origin(item.origin);
        origin.large_running += 1;
        origin.large_turn = turn;
        let large = Large { item, turn, granted: connections, ordered: connections };
        let before = self.large.insert(item.id, large);
        assert!(before.is_none(), "an item is in flight once");
        self.is_changed = true;
    }

    fn origin(&mut self, id: OriginId) -> &mut Origin {
        if self.origins.len() >= ORIGINS_MAX && !self.origins.contains_key(&id) {
            // What was learnt of origins without work is lost; memory stays bounded.
            self.origins.retain(|_, origin| !origin.is_idle());
        }
        let connections_max = self.budget.origin_max(id);
        self.origins.entry(id).or_insert_with(|| Origin::new(&self.settings, connections_max))
    }
}
