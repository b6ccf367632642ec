//! Which source the next connection goes to, where several serve the file. Owns which of them may
//! be asked, how long one that failed rests, and what each was seen to tolerate. Must not know what
//! a source is, nor how one proves that it serves the same file.
//!
//! States of a source: closed (nobody has looked at it, or it failed and rests) -> opening (the
//! engine finds out whether it serves this file) -> open (connections may go there) -> closed ...;
//! or dropped, for good: it serves another file, or none in ranges. A transfer with one source
//! knows only open.

use super::addresses::Addresses;
use super::retry::Class;
use super::tolerance::Tolerance;
use super::{ConnectionId, MirrorPolicy, SourceId};
use crate::base::ErrorKind;
use crate::base::rate::smoothed;
use std::collections::BTreeMap;
use std::time::Duration;

/// Rest of a source that failed for the moment; each later rest is twice as long.
const REST_MIN: Duration = Duration::from_secs(1);
/// Rest of a source that says that it does not have the file, which seldom passes.
const REST_REFUSED_MIN: Duration = Duration::from_secs(10);
/// Longest rest of a source.
const REST_MAX: Duration = Duration::from_secs(300);
/// Connections of a source that end in a row without a byte until it rests.
const FAILURES_MAX: u32 = 2;
/// Sources are waited for this long after the first one has been opened, before that one gets all
/// the connections it wants.
const OPENING_TIME: Duration = Duration::from_secs(1);
/// Connections of each open source until then.
const START_EACH: u32 = 2;
/// Time constant of a source's goodput.
const MEMORY: Duration = Duration::from_secs(2);
/// A source is known after it has been at work for this time, which slow start is over in.
const SETTLING: Duration = Duration::from_secs(1);
/// A connection moves to a source that was held back where it weighs less by this factor at least:
/// goodput varies, and each move costs a new connection.
const HELD_BACK_SHARE: f64 = 1.5;
/// Most sources that are open or being opened at a time: more would be connections for their own
/// sake. The others step in where one of these fails.
const OPEN_MAX: u32 = 8;

/// The sources of one file, best first by what the caller knows of them.
#[derive(Debug)]
pub(super) struct Sources {
    sources: Vec<Source>,
    /// Where each connection is, or goes.
    of: BTreeMap<ConnectionId, SourceId>,
    policy: MirrorPolicy,
    /// When the first source was opened.
    opened_at: Duration,
    /// Most sources that are worth opening, as there are no more connections.
    open_max: u32,
}

/// One source.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) addresses: Addresses,
    state: State,
    /// Connections to it, those being made included.
    connections: u32,
    /// Most connections to it while nobody knows what one there brings, as somebody has said.
    connections_at_first: Option<u32>,
    /// Goodput of one connection there, bytes per second; `None`: not measured.
    goodput: Option<f64>,
    /// When a connection there was first measured.
    measured_since: Option<Duration>,
    /// Failures in a row with no byte in between.
    failures: u32,
    /// Indicates whether it has failed while no other one was open, and has brought nothing since.
    is_doubtful: bool,
    /// How often it has rested.
    rests: u32,
    /// It is not tried again before this time.
    resting_until: Duration,
    /// Indicates whether requests go out ahead: allowed, and nothing it did speaks against.
    pub(super) is_ahead_on: bool,
    brake: Brake,
    tolerance: Tolerance,
}

/// Whether connections may go to a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Opening,
    Open,
    Dropped,
}

/// A source has asked to be left alone.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Brake {
    /// No request before this time.
    until: Duration,
    /// Indicates whether that holds for the connections that it serves, too.
    is_total: bool,
}

impl Sources {
    /// `sources` of them, at least 1, none of which is open.
    pub(super) fn new(
        sources: u32,
        is_ahead_on: bool,
        policy: MirrorPolicy,
        connections_max: u32,
    ) -> Self {
        assert!(sources > 0, "a file has a source");
        let source = |_| Source {
            addresses: Addresses::new(1),
            state: State::Closed,
            connections: 0,
            connections_at_first: None,
            goodput: None,
            measured_since: None,
            failures: 0,
            is_doubtful: false,
            rests: 0,
            resting_until: Duration::ZERO,
            is_ahead_on,
            brake: Brake::default(),
            tolerance: Tolerance::default(),
        };
        let open_max = match policy {
            MirrorPolicy::Failover => 1,
            MirrorPolicy::All | MirrorPolicy::Best => OPEN_MAX.min(connections_max),
        };
        let sources = (0..sources).map(source).collect();
        Self { sources, of: BTreeMap::new(), policy, opened_at: Duration::MAX, open_max }
    }

    /// No more than `connections`, at least 1, go to the source until it is known what one of them
    /// brings. Without a word on it that is any number.
    pub(super) fn begin_with(&mut self, id: SourceId, connections: u32) {
        self.get_mut(id).connections_at_first = Some(connections.max(1));
    }

    /// Most connections to start with where this is the only source.
    pub(super) fn connections_at_first(&self) -> u32 {
        let first = self.sources.first().filter(|_| self.is_single());
        first.and_then(|source| source.connections_at_first).unwrap_or(u32::MAX)
    }

    /// Whether there is only one, which then is always asked.
    pub(super) fn is_single(&self) -> bool {
        self.sources.len() == 1
    }

    /// Where the connection is or goes; without one, the first source that is open.
    pub(super) fn of(&self, connection: ConnectionId) -> SourceId {
        let first = || self.open().next().unwrap_or(SourceId(0));
        self.of.get(&connection).copied().unwrap_or_else(first)
    }

    pub(super) fn get(&self, id: SourceId) -> &Source {
        &self.sources[id.0 as usize]
    }

    pub(super) fn get_mut(&mut self, id: SourceId) -> &mut Source {
        &mut self.sources[id.0 as usize]
    }

    /// The source the connection is at or goes to.
    pub(super) fn at(&self, connection: ConnectionId) -> &Source {
        self.get(self.of(connection))
    }

    pub(super) fn at_mut(&mut self, connection: ConnectionId) -> &mut Source {
        self.get_mut(self.of(connection))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (SourceId, &mut Source)> {
        (0..).map(SourceId).zip(&mut self.sources)
    }

    /// Sends the connection, which has none, to a source: the open one where it weighs least.
    /// `None`: no source takes another connection at the moment.
    pub(super) fn route(&mut self, now: Duration, connection: ConnectionId) -> Option<SourceId> {
        self.leave(connection);
        let to = self.next(now)?;
        self.get_mut(to).connections += 1;
        self.of.insert(connection, to);
        Some(to)
    }

    /// Where a connection that were made now would go.
    pub(super) fn next(&self, now: Duration) -> Option<SourceId> {
        if self.is_single() { Some(SourceId(0)) } else { self.best(now) }
    }

    /// The connection, which nobody has sent anywhere, is at this source.
    pub(super) fn place(&mut self, connection: ConnectionId, at: SourceId) {
        if self.of.insert(connection, at).is_none() {
            self.get_mut(at).connections += 1;
        }
    }

    /// The connection is closed.
    pub(super) fn leave(&mut self, connection: ConnectionId) {
        self.at_mut(connection).addresses.leave(connection);
        if let Some(left) = self.of.remove(&connection) {
            self.get_mut(left).connections -= 1;
        }
    }

    /// Whether the connection, which is closed, would find a source: its own place at one is free
    /// for it.
    pub(super) fn has_room(&self, now: Duration, connection: ConnectionId) -> bool {
        self.is_single() || self.of.contains_key(&connection) || self.best(now).is_some()
    }

    /// Whether the connection, which may `spare` its place as no other one may be made, should go
    /// on where it is.
    pub(super) fn stays(&self, now: Duration, connection: ConnectionId, spare: bool) -> bool {
        if self.is_single() {
            return true;
        }
        let own = self.of(connection);
        let source = self.get(own);
        if source.state != State::Open {
            return self.best(now).is_none();
        }
        match self.policy {
            MirrorPolicy::Failover => true,
            MirrorPolicy::Best => self.fastest(now).is_none_or(|fastest| fastest == own),
            MirrorPolicy::All => {
                let is_lonely = |id: SourceId| self.takes(now, id) && self.get(id).connections == 0;
                let is_owed = |id: SourceId| is_lonely(id) || self.was_held_back(now, id, own);
                !(spare && source.connections > 1 && self.ids().any(is_owed))
            }
        }
    }

    /// Whether the connection may be given up for a smaller count: where each source is used, only
    /// where it weighs most, and no source loses its only one.
    pub(super) fn may_retire(&self, connection: ConnectionId) -> bool {
        let own = self.of(connection);
        if self.policy != MirrorPolicy::All || self.is_single() || !self.is_open(own) {
            return true;
        }
        let weight = |id| self.weight(id, 0);
        self.get(own).connections != 1 && self.open().all(|id| weight(id) <= weight(own))
    }

    /// Connections that the sources should have at least.
    pub(super) fn connections_min(&self) -> u32 {
        if self.policy == MirrorPolicy::All && !self.is_single() { self.open_count() } else { 1 }
    }

    /// Most connections while other sources are about to be opened for the first time: what those
    /// that are open now are given is not left for them.
    pub(super) fn connections_max(&self, now: Duration) -> u32 {
        let is_new = |source: &&Source| source.state == State::Opening && source.rests == 0;
        let is_early = now < self.opened_at.saturating_add(OPENING_TIME);
        if self.policy == MirrorPolicy::Failover
            || !is_early
            || !self.sources.iter().any(|it| is_new(&it))
        {
            return u32::MAX;
        }
        START_EACH * self.open_count()
    }

    /// Whether nothing has come yet from some source that is open, where each is used.
    pub(super) fn awaits_any(&self) -> bool {
        let is_awaited = |id: SourceId| self.get(id).goodput.is_none();
        self.policy == MirrorPolicy::All && !self.is_single() && self.open().any(is_awaited)
    }

    /// Sources that the engine is to open now; they count as being opened from here on.
    pub(super) fn open_next(&mut self, now: Duration) -> Vec<SourceId> {
        let sound = self.open().filter(|id| !self.get(*id).is_doubtful).count();
        let open = u32::try_from(sound).expect("sources are numbered") + self.count(State::Opening);
        let mut waiting: Vec<SourceId> = self
            .ids()
            .filter(|id| {
                let source = self.get(*id);
                source.state == State::Closed && source.resting_until <= now
            })
            .collect();
        // One that never failed goes before one that did.
        waiting.sort_by_key(|id| self.get(*id).rests);
        waiting.truncate(self.open_max.saturating_sub(open) as usize);
        for id in &waiting {
            self.get_mut(*id).state = State::Opening;
        }
        waiting
    }

    /// The source serves this file, at `addresses` addresses of which nothing is known.
    pub(super) fn opened(&mut self, now: Duration, id: SourceId, addresses: u32) {
        self.opened_at = self.opened_at.min(now);
        let source = self.get_mut(id);
        source.addresses = Addresses::new(addresses);
        (source.state, source.failures, source.is_doubtful) = (State::Open, 0, false);
        (source.goodput, source.measured_since) = (None, None);
    }

    /// The source is of no use, for good.
    pub(super) fn dropped(&mut self, id: SourceId) {
        self.get_mut(id).state = State::Dropped;
    }

    /// The source could not be opened: the time after which it is tried again.
    pub(super) fn not_opened(&mut self, now: Duration, id: SourceId, class: Class) -> Duration {
        self.get_mut(id).rest(now, class, Duration::ZERO)
    }

    /// Whether connections may go to the source.
    pub(super) fn is_open(&self, id: SourceId) -> bool {
        self.get(id).state == State::Open
    }

    /// Whether another source than this one is open.
    pub(super) fn has_other(&self, id: SourceId) -> bool {
        self.open().any(|other| other != id)
    }

    /// Whether another source than this one is being opened: it may serve the file in a moment.
    pub(super) fn is_opening_other(&self, id: SourceId) -> bool {
        self.ids().any(|other| other != id && self.get(other).state == State::Opening)
    }

    /// Whether another source than this one may be of use some time.
    pub(super) fn has_hope(&self, id: SourceId) -> bool {
        self.ids().any(|other| other != id && self.get(other).state != State::Dropped)
    }

    /// A connection of the source failed, with another source open. The time until the source is
    /// tried again, if it rests now.
    pub(super) fn on_failed(
        &mut self,
        now: Duration,
        id: SourceId,
        class: Class,
        asked: Duration,
    ) -> Option<Duration> {
        let source = self.get_mut(id);
        (!source.is_accident(class) && source.state == State::Open)
            .then(|| source.rest(now, class, asked))
    }

    /// The same where no other source is open: it goes on, as nobody else can, while another one is
    /// looked at.
    pub(super) fn on_last_failed(&mut self, id: SourceId, class: Class) {
        let source = self.get_mut(id);
        source.is_doubtful |= !source.is_accident(class);
    }

    /// The source refused a connection beside `working` others of its own; the cap, if that is new.
    pub(super) fn on_refusal(
        &mut self,
        now: Duration,
        id: SourceId,
        working: u32,
        is_weak: bool,
    ) -> Option<u32> {
        self.get_mut(id).tolerance.on_refusal(now, working, is_weak)
    }

    /// Bytes have come on the connection: whatever failed there before is over.
    pub(super) fn on_delivered(&mut self, connection: ConnectionId) {
        let source = self.at_mut(connection);
        (source.failures, source.is_doubtful) = (0, false);
        source.addresses.on_delivered(connection);
    }

    /// The goodput of a connection at work over the last `tick`.
    pub(super) fn sample(
        &mut self,
        now: Duration,
        connection: ConnectionId,
        goodput: f64,
        tick: Duration,
    ) {
        let source = self.at_mut(connection);
        source.addresses.sample(now, connection, goodput, tick);
        source.measured_since.get_or_insert(now);
        let old = source.goodput.unwrap_or(goodput);
        source.goodput = Some(smoothed(old, goodput, tick, MEMORY));
        // Whoever has delivered for a while has earned its first rest again.
        let is_calm = now.saturating_sub(source.resting_until) > REST_MAX;
        source.rests = if is_calm { 0 } else { source.rests };
    }

    /// Time passes: caps end.
    pub(super) fn on_tick(&mut self, now: Duration) {
        if self.is_single() {
            return;
        }
        for source in &mut self.sources {
            source.tolerance.on_tick(now, source.connections);
        }
    }

    /// Goodput of one connection of the source that the connection is at, bytes per second.
    pub(super) fn goodput_at(&self, connection: ConnectionId) -> Option<f64> {
        self.at(connection).goodput
    }

    /// The source asked for a wait: no new connection, and no request on one that it has not served
    /// yet. If it counts requests (RFC 6585 4), none at all; otherwise those that it serves go on.
    pub(super) fn brake(&mut self, now: Duration, id: SourceId, kind: ErrorKind, wait: Duration) {
        if !wait.is_zero() {
            let brake = &mut self.get_mut(id).brake;
            let was_total = brake.is_total && brake.until > now;
            brake.is_total = was_total || kind == ErrorKind::Status(429);
            brake.until = brake.until.max(now + wait);
        }
    }

    /// The time until which the connection may not ask its source; one that `is_served` may, unless
    /// no request is wanted at all.
    pub(super) fn braked_until(&self, connection: ConnectionId, is_served: bool) -> Duration {
        let brake = self.at(connection).brake;
        let holds = brake.is_total || !is_served;
        if holds { brake.until } else { Duration::ZERO }
    }

    /// Whether no request at all is wanted on the connection now.
    pub(super) fn is_braked_totally(&self, now: Duration, connection: ConnectionId) -> bool {
        let brake = self.at(connection).brake;
        brake.is_total && brake.until > now
    }

    /// Whether no open source wants a new connection now.
    pub(super) fn are_braked(&self, now: Duration) -> bool {
        self.open().all(|id| self.get(id).brake.until > now)
    }

    fn ids(&self) -> impl Iterator<Item = SourceId> + use<> {
        (0..u32::try_from(self.sources.len()).expect("sources are numbered")).map(SourceId)
    }

    /// Those that connections may go to.
    pub(super) fn open(&self) -> impl Iterator<Item = SourceId> {
        self.ids().filter(|id| self.get(*id).state == State::Open)
    }

    fn open_count(&self) -> u32 {
        self.count(State::Open)
    }

    fn count(&self, state: State) -> u32 {
        count(self.sources.iter().filter(|source| source.state == state))
    }

    /// Whether the source takes one more connection.
    fn takes(&self, now: Duration, id: SourceId) -> bool {
        let source = self.get(id);
        let at_first = source.connections_at_first.filter(|_| !source.is_known(now));
        let most = at_first.into_iter().chain(source.tolerance.cap()).min();
        let has_room = most.is_none_or(|most| source.connections < most);
        source.state == State::Open && has_room && source.brake.until <= now
    }

    /// Where one more connection weighs least: connections for what each of them brings.
    fn best(&self, now: Duration) -> Option<SourceId> {
        if self.policy == MirrorPolicy::Best
            && let Some(fastest) = self.fastest(now)
            && self.takes(now, fastest)
        {
            return Some(fastest);
        }
        if self.policy == MirrorPolicy::Failover {
            // The last one that was opened, as the one before has failed.
            let order = |id: &SourceId| (self.get(*id).is_doubtful, self.get(*id).rests, id.0);
            return self.ids().filter(|id| self.takes(now, *id)).min_by_key(order);
        }
        let load = |id: &SourceId| {
            let source = self.get(*id);
            match source.connections {
                _ if source.is_doubtful => f64::INFINITY,
                // A source without a connection brings nothing: it comes first.
                0 => 0.0,
                _ => self.weight(*id, 1),
            }
        };
        let takes = self.ids().filter(|id| self.takes(now, *id));
        takes.min_by(|a, b| load(a).total_cmp(&load(b)))
    }

    /// What the source's connections and this number of `more` weigh: their number for what each of
    /// them brings, as a share of the best source's.
    fn weight(&self, id: SourceId, more: u32) -> f64 {
        let best = self.sources.iter().filter_map(|source| source.goodput).fold(1.0, f64::max);
        let source = self.get(id);
        f64::from(source.connections + more) / (source.goodput.unwrap_or(best) / best)
    }

    /// Whether the source, of which more is known by now than what it was said to take, should have
    /// one of the connections of the other one, which got those that it did not.
    fn was_held_back(&self, now: Duration, id: SourceId, other: SourceId) -> bool {
        let source = self.get(id);
        let is_past = source.connections_at_first.is_some() && source.is_known(now);
        is_past
            && id != other
            && self.takes(now, id)
            && HELD_BACK_SHARE * self.weight(id, 1) <= self.weight(other, 0)
    }

    /// The source that is known to be fastest, once all that are open are known.
    fn fastest(&self, now: Duration) -> Option<SourceId> {
        if self.count(State::Opening) > 0 || !self.open().all(|id| self.get(id).is_known(now)) {
            return None;
        }
        let goodput = |id: &SourceId| self.get(*id).goodput.unwrap_or_default();
        self.open().max_by(|a, b| goodput(a).total_cmp(&goodput(b)))
    }
}

fn count<'a>(sources: impl Iterator<Item = &'a Source>) -> u32 {
    u32::try_from(sources.count()).expect("sources are numbered")
}

impl Source {
    /// Whether what it brings was measured for long enough.
    fn is_known(&self, now: Duration) -> bool {
        self.measured_since.is_some_and(|since| now.saturating_sub(since) >= SETTLING)
    }

    /// Counts a failure; whether it may be that of one connection.
    fn is_accident(&mut self, class: Class) -> bool {
        self.failures += 1;
        class == Class::AtOnce && self.failures < FAILURES_MAX
    }

    fn rest(&mut self, now: Duration, class: Class, asked: Duration) -> Duration {
        let first = if class == Class::Never { REST_REFUSED_MIN } else { REST_MIN };
        let factor = 1u32 << self.rests.min(10);
        let rest = first.saturating_mul(factor).min(REST_MAX).max(asked);
        self.rests += 1;
        self.resting_until = now + rest;
        (self.state, self.failures, self.is_doubtful) = (State::Closed, 0, false);
        rest
    }
}

#[cfg(test)]
mod tests;
