//! A batch in virtual time: servers with a round trip and a rate per connection, and a caller that
//! carries out the orders. Counts open connections and files itself, and checks every bound after
//! every event. Must not look into the scheduler.

use crate::base::limits::{LANE_SILENCE, SMALL_FILE_BYTES_MAX};
use crate::base::rng::Rng;
use crate::schedule::{
    Item, ItemId, LaneId, LaneNext, Moved, Order, OriginId, Outcome, Parallel, Scheduler, Settings,
};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::time::Duration;

/// Round trip of all origins.
pub(super) const ROUND_TRIP: Duration = Duration::from_millis(20);
/// What one connection carries, in bytes per second.
const RATE: f64 = 10e6;
/// Longest time a large file takes to close connections.
const RELEASE_MS_MAX: u64 = 300;
/// Longest time an origin wants to be left alone, in ms.
pub(super) const REFUSAL_MS_MAX: u64 = 2000;

/// A file, and what happens to it on its way.
#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) id: u64,
    /// Whom it asks now.
    pub(super) origin: u32,
    /// Whom it asked first.
    first: u32,
    pub(super) bytes: u64,
    pub(super) hint: Option<u64>,
    pub(super) redirect: Option<u32>,
    /// Times that it fails.
    pub(super) failures: u32,
    /// Times that its origin refuses it.
    pub(super) refusals: u32,
    /// Times that its connection is lost.
    pub(super) losses: u32,
    /// Time that its first answer in a lane takes more than others.
    pub(super) silence: Duration,
}

impl File {
    pub(super) fn new(id: u64, origin: u32, bytes: u64) -> Self {
        let hint = Some(bytes);
        Self {
            id,
            origin,
            first: origin,
            bytes,
            hint,
            redirect: None,
            failures: 0,
            refusals: 0,
            losses: 0,
            silence: Duration::ZERO,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waits,
    InFlight,
    Failed,
    Ended,
}

/// How one file fared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fate {
    state: State,
    offered: Duration,
    /// When it ended.
    pub(super) ended: Option<Duration>,
    /// Most connections that it was granted.
    pub(super) connections_max: u32,
}

impl Fate {
    /// From the list to its end.
    pub(super) fn latency(&self) -> Duration {
        self.ended.expect("the file has ended") - self.offered
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    LaneOpen(LaneId),
    /// The head of the lane is answered, or whole.
    Head(LaneId),
    /// The head of the lane, this item, has not been answered for `LANE_SILENCE`.
    Silent(LaneId, ItemId),
    /// The large file is whole, unless its grant has changed since.
    Whole(ItemId, u64),
    /// The large file has its first answer.
    Answer(ItemId, u64),
    Release(ItemId, u32),
    Wake,
}

#[derive(Debug)]
struct Lane {
    origin: OriginId,
    /// With the time of the first byte.
    items: VecDeque<(ItemId, Duration)>,
}

#[derive(Debug)]
struct Large {
    origin: OriginId,
    open: u32,
    /// What it was told last.
    ordered: u32,
    bytes_left: f64,
    since: Duration,
    /// Outdates events.
    version: u64,
}

/// A batch that runs.
pub(super) struct World {
    pub(super) scheduler: Scheduler,
    settings: Settings,
    list: Box<dyn Iterator<Item = File>>,
    files: BTreeMap<ItemId, File>,
    pub(super) fates: BTreeMap<ItemId, Fate>,
    lanes: BTreeMap<LaneId, Lane>,
    large: BTreeMap<ItemId, Large>,
    events: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    numbers: u64,
    pub(super) now: Duration,
    rng: Rng,
    /// Probability that an event cancels some file.
    pub(super) cancel: f64,
    pub(super) rounds_left: u32,
    waiting: usize,
    /// Most items that waited.
    pub(super) waiting_max: usize,
    /// Small files that were read from the list and have not ended.
    pub(super) small_left: usize,
}

impl World {
    pub(super) fn new(
        settings: Settings,
        list: impl Iterator<Item = File> + 'static,
        seed: u64,
    ) -> Self {
        Self {
            scheduler: Scheduler::new(settings),
            settings,
            list: Box::new(list),
            files: BTreeMap::new(),
            fates: BTreeMap::new(),
            lanes: BTreeMap::new(),
            large: BTreeMap::new(),
            events: BinaryHeap::new(),
            numbers: 0,
            now: Duration::ZERO,
            rng: Rng::new(seed),
            cancel: 0.0,
            rounds_left: 1,
            waiting: 0,
            waiting_max: 0,
            small_left: 0,
        }
    }

    /// To the end.
    pub(super) fn run(&mut self) {
        while self.step() {}
        let ended = |fate: &Fate| fate.state != State::InFlight && fate.state != State::Waits;
        assert!(self.fates.values().all(ended), "every file has ended");
        assert!(self.lanes.is_empty() && self.large.is_empty(), "nothing is left open");
    }

    /// One round of the caller's loop; `false` at the end.
    pub(super) fn step(&mut self) -> bool {
        self.read();
        for order in self.scheduler.decide(self.now) {
            self.carry_out(order);
            self.check();
        }
        assert_eq!(self.scheduler.in_flight(), self.in_flight(), "what is in flight is known");
        if self.scheduler.is_done() && self.lanes.is_empty() {
            if self.rounds_left == 0 || self.scheduler.start_last_round() == 0 {
                return false;
            }
            self.rounds_left -= 1;
            for fate in self.fates.values_mut().filter(|fate| fate.state == State::Failed) {
                fate.state = State::Waits;
                self.waiting += 1;
            }
            return true;
        }
        if let Some(at) = self.scheduler.wake_at() {
            self.at(at.max(self.now), Event::Wake);
        }
        let Reverse((at, _, event)) = self.events.pop().expect("the batch is stuck");
        self.now = at;
        self.happen(event);
        self.cancel_some();
        // One wake is enough.
        self.events.retain(|Reverse((_, _, event))| *event != Event::Wake);
        true
    }

    /// Connections open to `origin`, and files that use them.
    pub(super) fn open(&self, origin: u32) -> (u32, u32) {
        let origin = OriginId(origin);
        let lanes = self.lanes.values().filter(|lane| lane.origin == origin).count();
        let large = self.large.values().filter(|large| large.origin == origin);
        (u32::try_from(lanes).unwrap(), large.map(|large| large.open).sum())
    }

    fn read(&mut self) {
        while self.scheduler.wants_more() {
            let Some(file) = self.list.next() else {
                self.scheduler.end_of_list();
                return;
            };
            let (id, origin) = (ItemId(file.id), OriginId(file.origin));
            assert!(self.waiting < self.settings.waiting_items_max, "the window is bounded");
            self.scheduler.offer(Item { id, origin, size_hint: file.hint });
            self.small_left += usize::from(file.bytes <= SMALL_FILE_BYTES_MAX);
            self.files.insert(id, file);
            let fate =
                Fate { state: State::Waits, offered: self.now, ended: None, connections_max: 0 };
            self.fates.insert(id, fate);
            self.waiting += 1;
            self.waiting_max = self.waiting_max.max(self.waiting);
        }
    }

    fn carry_out(&mut self, order: Order) {
        match order {
            Order::OpenLane { lane, origin } => {
                self.lanes.insert(lane, Lane { origin, items: VecDeque::new() });
                self.at(self.now + 2 * ROUND_TRIP, Event::LaneOpen(lane));
            }
            Order::StartLarge { item, connections } => {
                self.set(item, State::InFlight);
                let file = &self.files[&item];
                assert!(file.bytes > SMALL_FILE_BYTES_MAX || file.hint.is_some());
                let (origin, bytes_left) = (OriginId(file.origin), file.bytes as f64);
                self.numbers += 1;
                let version = self.numbers;
                let since = self.now + 3 * ROUND_TRIP;
                let (open, ordered) = (connections, connections);
                let large = Large { origin, open, ordered, bytes_left, since, version };
                assert!(self.large.insert(item, large).is_none(), "it runs once");
                self.at(since, Event::Answer(item, version));
            }
            Order::Regrant { item, connections } => {
                let large = self.large.get_mut(&item).expect("it runs");
                assert_ne!(large.ordered, connections, "an order changes something");
                large.ordered = connections;
                if connections < large.open {
                    let delay = Duration::from_millis(self.rng.below(RELEASE_MS_MAX));
                    self.at(self.now + delay, Event::Release(item, connections));
                } else {
                    self.widen(item, connections);
                    self.fates.get_mut(&item).unwrap().connections_max = connections;
                }
            }
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::LaneOpen(lane) => self.ask(lane),
            Event::Head(lane) => self.head(lane),
            Event::Silent(lane, id) => self.silent(lane, id),
            Event::Answer(id, version) => {
                if self.large.get(&id).is_some_and(|large| large.version == version) {
                    self.answer(id);
                }
            }
            Event::Whole(id, version) => {
                if self.large.get(&id).is_some_and(|large| large.version == version) {
                    let bytes = self.files[&id].bytes;
                    self.end(id, Outcome::Done { bytes });
                }
            }
            Event::Release(id, connections) => {
                // It may have been told another number meanwhile.
                if let Some(large) = self.large.get(&id) {
                    let left = large.open.min(connections.max(large.ordered));
                    if left < large.open {
                        self.widen(id, left);
                    }
                }
                self.scheduler.released(id, connections);
            }
            Event::Wake => {}
        }
        self.check();
    }

    /// Asks what the lane does until it says to wait.
    fn ask(&mut self, id: LaneId) {
        while self.lanes.contains_key(&id) {
            match self.scheduler.next_for_lane(id, self.now) {
                LaneNext::Take(item) => {
                    self.set(item, State::InFlight);
                    let lane = self.lanes.get_mut(&id).unwrap();
                    assert_eq!(lane.origin.0, self.files[&item].origin, "a lane has one origin");
                    lane.items.push_back((item, self.now + ROUND_TRIP));
                    assert!(lane.items.len() <= self.settings.lane_items_max as usize);
                    if lane.items.len() == 1 {
                        self.schedule_head(id);
                    }
                }
                LaneNext::Wait => {
                    assert!(!self.lanes[&id].items.is_empty(), "an empty lane does not wait");
                    return;
                }
                LaneNext::Close => {
                    assert!(self.lanes[&id].items.is_empty(), "only an empty lane closes");
                    self.close(id);
                }
            }
        }
    }

    /// The answer to the head of a lane comes, and its bytes if it has some.
    fn schedule_head(&mut self, id: LaneId) {
        let Some(&(item, first_byte)) = self.lanes[&id].items.front() else { return };
        let silence = self.files[&item].silence;
        if silence > LANE_SILENCE {
            self.at(self.now + LANE_SILENCE, Event::Silent(id, item));
        }
        let file = &self.files[&item];
        let is_short = file.bytes > SMALL_FILE_BYTES_MAX
            || file.redirect.is_some()
            || file.failures + file.refusals + file.losses > 0;
        let seconds = if is_short { 0.0 } else { file.bytes as f64 / RATE };
        let bytes = Duration::from_secs_f64(seconds);
        self.at(self.now.max(first_byte) + silence + bytes, Event::Head(id));
    }

    /// Gives back what the lane holds behind its head, if that is still silent.
    fn silent(&mut self, lane_id: LaneId, id: ItemId) {
        let Some(lane) = self.lanes.get_mut(&lane_id) else { return };
        if lane.items.front().is_none_or(|(head, _)| *head != id) {
            return;
        }
        let back = self.scheduler.stuck(lane_id);
        let behind: Vec<ItemId> = lane.items.iter().skip(1).map(|(item, _)| *item).collect();
        assert!(back.is_empty() || back == behind, "all that is behind, in its order");
        lane.items.truncate(if back.is_empty() { usize::MAX } else { 1 });
        back.into_iter().for_each(|item| self.set(item, State::Waits));
        self.at(self.now + LANE_SILENCE, Event::Silent(lane_id, id));
    }

    fn head(&mut self, lane_id: LaneId) {
        let Some(lane) = self.lanes.get_mut(&lane_id) else { return };
        let Some(&(id, _)) = lane.items.front() else { return };
        let file = self.files.get_mut(&id).unwrap();
        file.silence = Duration::ZERO;
        if file.losses > 0 {
            file.losses -= 1;
            return self.close(lane_id);
        }
        lane.items.pop_front();
        if file.refusals > 0 {
            file.refusals -= 1;
            let origin = OriginId(file.origin);
            let until = self.now + Duration::from_millis(self.rng.below(REFUSAL_MS_MAX));
            self.scheduler.push_back(origin, self.now, until);
            self.set(id, State::Waits);
            self.scheduler.put_back(id);
        } else if let Some(to) = file.redirect.take() {
            file.origin = to;
            self.set(id, State::Waits);
            assert_eq!(self.scheduler.moved(id, OriginId(to), self.now), Moved::Waits);
        } else if file.failures > 0 {
            file.failures -= 1;
            self.end(id, Outcome::Failed);
        } else if file.bytes > SMALL_FILE_BYTES_MAX {
            file.hint = Some(file.bytes);
            self.scheduler.turned_out_large(id, file.bytes);
            self.set(id, State::Waits);
            return self.close(lane_id);
        } else {
            let bytes = file.bytes;
            self.end(id, Outcome::Done { bytes });
        }
        self.schedule_head(lane_id);
        self.ask(lane_id);
    }

    fn answer(&mut self, id: ItemId) {
        let file = self.files.get_mut(&id).unwrap();
        if file.refusals > 0 {
            // The large file tries again by itself.
            file.refusals -= 1;
            let origin = OriginId(file.origin);
            let wait = Duration::from_millis(self.rng.below(REFUSAL_MS_MAX));
            self.scheduler.push_back(origin, self.now, self.now + wait);
            let version = self.large[&id].version;
            self.at(self.now + wait, Event::Answer(id, version));
        } else if let Some(to) = file.redirect.take() {
            file.origin = to;
            match self.scheduler.moved(id, OriginId(to), self.now) {
                Moved::Granted { connections } => {
                    let large = self.large.get_mut(&id).unwrap();
                    large.origin = OriginId(to);
                    (large.open, large.ordered) = (connections, connections);
                    let version = large.version;
                    self.at(self.now + 2 * ROUND_TRIP, Event::Answer(id, version));
                }
                Moved::Waits => {
                    self.large.remove(&id);
                    self.set(id, State::Waits);
                }
            }
        } else if file.failures > 0 {
            file.failures -= 1;
            self.end(id, Outcome::Failed);
        } else if file.losses > 0 {
            file.losses -= 1;
            self.large.remove(&id);
            self.set(id, State::Waits);
            self.scheduler.put_back(id);
        } else {
            let open = self.large[&id].open;
            self.widen(id, open);
        }
    }

    /// The large file has `connections` from now on.
    fn widen(&mut self, id: ItemId, connections: u32) {
        self.numbers += 1;
        let file = &self.files[&id];
        let large = self.large.get_mut(&id).expect("it runs");
        let seconds = self.now.saturating_sub(large.since).as_secs_f64();
        let flows = self.now >= large.since
            && file.redirect.is_none()
            && file.failures + file.refusals + file.losses == 0;
        if flows {
            large.bytes_left -= f64::from(large.open) * RATE * seconds;
            large.since = self.now;
        }
        large.open = connections;
        if flows {
            large.version = self.numbers;
            let left = large.bytes_left.max(0.0) / (f64::from(connections) * RATE);
            let event = Event::Whole(id, large.version);
            self.at(self.now + Duration::from_secs_f64(left), event);
        }
    }

    fn end(&mut self, id: ItemId, outcome: Outcome) {
        let lost = self.scheduler.failed_lost();
        let file = self.files.get_mut(&id).unwrap();
        file.origin = file.first;
        self.scheduler.finished(id, self.now, outcome);
        self.large.remove(&id);
        let is_kept = outcome == Outcome::Failed && self.scheduler.failed_lost() == lost;
        self.set(id, if is_kept { State::Failed } else { State::Ended });
        let before = self.fates.get_mut(&id).unwrap().ended.replace(self.now);
        let is_small = self.files[&id].bytes <= SMALL_FILE_BYTES_MAX;
        // What has failed may come again, and is counted once.
        self.small_left -= usize::from(is_small && before.is_none());
    }

    fn close(&mut self, id: LaneId) {
        let lane = self.lanes.remove(&id).unwrap();
        for (item, _) in lane.items {
            self.set(item, State::Waits);
        }
        self.scheduler.close_lane(id);
    }

    fn cancel_some(&mut self) {
        if self.rng.unit() >= self.cancel || self.fates.is_empty() {
            return;
        }
        let ids: Vec<ItemId> = self.fates.keys().copied().collect();
        let id = ids[self.rng.index(ids.len())];
        let lane = self.lanes.iter().find(|(_, lane)| lane.items.iter().any(|it| it.0 == id));
        match (self.fates[&id].state, lane) {
            (State::Waits, _) => {
                // In a last round the scheduler may still have it among those that failed.
                if self.scheduler.withdraw(id) {
                    self.set(id, State::Ended);
                }
            }
            (State::InFlight, None) => self.end(id, Outcome::Dropped),
            (State::InFlight, Some((&lane_id, _))) => {
                let lane = self.lanes.get_mut(&lane_id).unwrap();
                lane.items.retain(|it| it.0 != id);
                self.end(id, Outcome::Dropped);
                self.close(lane_id);
            }
            (State::Failed | State::Ended, _) => {}
        }
        self.check();
    }

    fn set(&mut self, id: ItemId, state: State) {
        let fate = self.fates.get_mut(&id).expect("the file is known");
        assert_ne!(fate.state, State::Ended, "a file ends once");
        self.waiting -= usize::from(fate.state == State::Waits);
        self.waiting += usize::from(state == State::Waits);
        fate.state = state;
    }

    fn at(&mut self, at: Duration, event: Event) {
        self.numbers += 1;
        self.events.push(Reverse((at, self.numbers, event)));
    }

    fn check(&mut self) {
        let mut by_origin: BTreeMap<OriginId, u32> = BTreeMap::new();
        for lane in self.lanes.values() {
            *by_origin.entry(lane.origin).or_default() += 1;
        }
        for large in self.large.values() {
            assert!(large.open >= 1, "a large file that runs has a connection");
            *by_origin.entry(large.origin).or_default() += large.open;
        }
        let per_origin_max = self.settings.connections_per_origin_max;
        assert!(by_origin.values().all(|&open| open <= per_origin_max), "{by_origin:?}");
        let total: u32 = by_origin.values().sum();
        assert!(total <= self.settings.connections_total_max, "{total} connections are open");
        if let Parallel::Fixed(files) = self.settings.parallel {
            assert!(self.lanes.len() + self.large.len() <= files as usize, "files at once");
        }
    }

    fn in_flight(&self) -> usize {
        self.large.len() + self.lanes.values().map(|lane| lane.items.len()).sum::<usize>()
    }
}
