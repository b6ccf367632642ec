//! The network, the server and the disk of one run in virtual time. Owns every connection's fate
//! and share of the link; must not know the plan nor what the bytes are.
//!
//! A connection lives in a slot, one per worker. Its states: open (dialled, perhaps not yet
//! answered) -> receiving <-> open -> gone. Rates change when [`World::share`] is called, never in
//! between; windows, noise and faults move on with [`World::step`].

mod fluid;

use super::rng::Rng;
use super::scenario::{AheadAnswer, Health, Refusal, Scenario};
use crate::base::ErrorKind;
use crate::base::limits::{CONNECT_TIMEOUT, CONNECTION_ATTEMPT_DELAY};
use fluid::flow::Flow;
use std::time::Duration;

/// Everything outside of the client.
#[derive(Debug)]
pub(super) struct World {
    scenario: Scenario,
    slots: Vec<Option<Line>>,
    /// Rates as last shared out, by slot, in bytes per second.
    rates: Vec<f64>,
    /// The last call of [`World::step`].
    stepped_to_s: f64,
    /// Draws the noise of the capacity.
    noise_rng: Rng,
    /// Draws random losses and the noise of single connections.
    dice: Rng,
    seed: u64,
    /// Noise of the capacity, in deviations.
    noise: f64,
    /// When the noise is drawn anew.
    next_bin_s: f64,
    /// Connections so far: what each one meets depends on its number and the seed, not on what
    /// happened before.
    dialled: u64,
    /// Requests so far: as with connections.
    asked: u64,
    throttling: Throttling,
    /// Bytes the disk has still to take.
    backlog_bytes: f64,
    /// Indicates whether the buffers are full.
    is_disk_full: bool,
    /// Indicates whether the server as a whole, not the network, is what limits.
    is_server_bound: bool,
    /// Bytes per second that all flows together offered to the link.
    offered: f64,
    /// Bytes per second that the link carried of them.
    granted: f64,
}

#[derive(Debug, Default)]
struct Throttling {
    /// Since when there are too many connections; `None`: there are not.
    over_since_s: Option<f64>,
    /// When the punishment ends.
    until_s: f64,
}

/// One connection at the server.
#[derive(Debug)]
struct Line {
    flow: Flow,
    /// The number of the address at the other end.
    address: usize,
    rtt_s: f64,
    opened_at_s: f64,
    /// Indicates whether it is one of the slow connections of the scenario.
    is_slow: bool,
    /// From then on nothing comes.
    silent_from_s: f64,
    /// When it is reset.
    breaks_at_s: f64,
    /// Noise of its limit, in deviations.
    noise: f64,
    /// Its own limit as of the last step.
    limit_bytes_per_s: f64,
    /// Indicates whether the body of an answer comes in.
    is_receiving: bool,
    /// Indicates whether a request is being served or waits to be.
    is_busy: bool,
}

/// How a dial ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dial {
    /// When it ends.
    pub(super) at_s: f64,
    /// The address that answered.
    pub(super) outcome: Result<u32, ErrorKind>,
}

/// How a request is answered.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reply {
    /// First body byte.
    Body { at_s: f64 },
    /// No body, and the connection cannot be used any more.
    Refused { at_s: f64, kind: ErrorKind, retry_after: Option<Duration> },
    /// The connection ends cleanly where the answer should be.
    Closed { at_s: f64 },
    /// Something else than what was asked for.
    Wrong { at_s: f64 },
}

impl Reply {
    pub(super) fn at_s(self) -> f64 {
        match self {
            Reply::Body { at_s }
            | Reply::Refused { at_s, .. }
            | Reply::Closed { at_s }
            | Reply::Wrong { at_s } => at_s,
        }
    }
}

impl World {
    pub(super) fn new(scenario: &Scenario, seed: u64, slots: usize) -> Self {
        let name = scenario.name.bytes();
        let seed = name.fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0193));
        Self {
            scenario: scenario.clone(),
            slots: (0..slots).map(|_| None).collect(),
            rates: vec![0.0; slots],
            stepped_to_s: 0.0,
            noise_rng: Rng::new(seed, 1),
            dice: Rng::new(seed, 2),
            seed,
            noise: 0.0,
            next_bin_s: 0.0,
            dialled: 0,
            asked: 0,
            throttling: Throttling::default(),
            backlog_bytes: 0.0,
            is_disk_full: false,
            is_server_bound: false,
            offered: 0.0,
            granted: 0.0,
        }
    }

    /// Time between two calls of [`World::step`].
    pub(super) fn step_s(&self) -> f64 {
        self.scenario.path.rtt_s.clamp(0.002, 0.01)
    }

    /// Dials the addresses in this order, a new one a while after the last or once that failed
    /// (RFC 8305). The slot is free.
    pub(super) fn dial(&mut self, now_s: f64, slot: usize, order: &[u32]) -> Dial {
        assert!(self.slots[slot].is_none(), "a slot holds one connection");
        let mut at_s = now_s;
        let mut was_silent = false;
        for &address in order {
            let rtt_s = self.rtt_s(address as usize);
            match self.health(now_s, address as usize) {
                Health::Up => return self.accept(at_s, slot, address, rtt_s),
                Health::Refuses => at_s += rtt_s,
                Health::Silent => {
                    at_s += CONNECTION_ATTEMPT_DELAY.as_secs_f64();
                    was_silent = true;
                }
            }
        }
        if was_silent {
            let at_s = now_s + CONNECT_TIMEOUT.as_secs_f64();
            Dial { at_s, outcome: Err(ErrorKind::TimedOut) }
        } else {
            Dial { at_s, outcome: Err(ErrorKind::Connect) }
        }
    }

    /// A request on the slot's connection; nothing else is asked for on it.
    pub(super) fn request(&mut self, now_s: f64, slot: usize) -> Reply {
        let others = self.slots.iter().flatten().filter(|line| line.is_busy).count();
        let line = self.slots[slot].as_mut().expect("a request needs a connection");
        assert!(!line.is_busy, "the answer before has ended");
        line.is_busy = true;
        let (rtt_s, silent_from_s) = (line.rtt_s, line.silent_from_s);
        if let Some(reply) = self.refusal(now_s + rtt_s, now_s, others) {
            return reply;
        }
        let at_s = now_s + rtt_s + self.think();
        Reply::Body { at_s: if at_s < silent_from_s { at_s } else { f64::INFINITY } }
    }

    /// A request behind one whose answer still runs. The server thinks about it meanwhile.
    pub(super) fn request_ahead(&mut self, now_s: f64, slot: usize) -> Reply {
        let line = self.slots[slot].as_ref().expect("a request needs a connection");
        let (rtt_s, silent_from_s) = (line.rtt_s, line.silent_from_s);
        let at_s = now_s + rtt_s + self.think();
        if at_s >= silent_from_s {
            return Reply::Body { at_s: f64::INFINITY };
        }
        let has_faults = now_s < self.scenario.faults_until_s;
        match self.scenario.server.ahead {
            AheadAnswer::Closed if has_faults => Reply::Closed { at_s },
            AheadAnswer::WrongRange if has_faults => Reply::Wrong { at_s },
            AheadAnswer::Served | AheadAnswer::Closed | AheadAnswer::WrongRange => {
                Reply::Body { at_s }
            }
        }
    }

    /// Whether the server keeps the connection after an answer.
    pub(super) fn keeps_alive(&self, now_s: f64) -> bool {
        self.scenario.server.keeps_alive || now_s >= self.scenario.faults_until_s
    }

    /// The body of an answer has begun.
    pub(super) fn start(&mut self, now_s: f64, slot: usize) {
        let line = self.slots[slot].as_mut().expect("a body needs a connection");
        line.flow.resume(now_s, line.rtt_s);
        line.is_receiving = true;
        line.is_busy = true;
    }

    /// The body of an answer has ended.
    pub(super) fn stop(&mut self, now_s: f64, slot: usize) {
        let line = self.slots[slot].as_mut().expect("a body needs a connection");
        line.flow.rest(now_s);
        line.is_receiving = false;
        line.is_busy = false;
        self.rates[slot] = 0.0;
    }

    /// The client closes the slot's connection, if it has one.
    pub(super) fn hang_up(&mut self, slot: usize) {
        self.slots[slot] = None;
        self.rates[slot] = 0.0;
    }

    pub(super) fn is_open(&self, slot: usize) -> bool {
        self.slots[slot].is_some()
    }

    /// Connections at the server.
    pub(super) fn open_count(&self) -> usize {
        self.slots.iter().flatten().count()
    }

    /// What the slot receives, in bytes per second.
    pub(super) fn rate(&self, slot: usize) -> f64 {
        self.rates[slot]
    }

    /// When the slot's connection is reset.
    pub(super) fn breaks_at_s(&self, slot: usize) -> f64 {
        self.slots[slot].as_ref().map_or(f64::INFINITY, |line| line.breaks_at_s)
    }

    /// Whether the buffers are full.
    pub(super) fn is_disk_full(&self) -> bool {
        self.is_disk_full
    }

    /// How long the disk needs for what it has not taken yet.
    pub(super) fn drain_s(&self) -> f64 {
        self.backlog_bytes / self.scenario.path.disk_bytes_per_s
    }

    fn has_faults(&self, now_s: f64) -> bool {
        now_s < self.scenario.faults_until_s
    }

    fn rtt_s(&self, address: usize) -> f64 {
        self.scenario.path.rtt_s + self.scenario.server.addresses[address].extra_rtt_s
    }

    fn health(&self, now_s: f64, address: usize) -> Health {
        let health = self.scenario.server.addresses[address].health;
        if self.has_faults(now_s) { health } else { Health::Up }
    }

    fn accept(&mut self, at_s: f64, slot: usize, address: u32, rtt_s: f64) -> Dial {
        let server = &self.scenario.server;
        let limit = server.limit.filter(|_| self.has_faults(at_s));
        if let Some(limit) = limit
            && matches!(limit.refusal, Refusal::Connect)
            && self.open_count() >= limit.connections as usize
        {
            return Dial { at_s: at_s + rtt_s, outcome: Err(ErrorKind::Connect) };
        }
        let ready_s = at_s + rtt_s * server.setup_rtts;
        self.dialled += 1;
        let mut fate = Rng::new(self.seed, 1 << 32 | self.dialled);
        let mut common = Rng::new(self.seed, 3);
        let is_slow = server.slow.is_some_and(|(one_in, _)| {
            self.dialled % u64::from(one_in) == u64::from(common.below(one_in))
        });
        let falls_silent =
            server.silent_of.is_some_and(|of| self.dialled == 1 + u64::from(common.below(of)));
        let freeze_s = fate.exponential(1.0) / server.freezes_per_s;
        let silent_after_s = if falls_silent { fate.between(0.05, 1.0) } else { freeze_s };
        let breaks_after_s = fate.exponential(1.0) / server.resets_per_s;
        // What would happen after the time of faults never does.
        let in_time = |at_s: f64| if self.has_faults(at_s) { at_s } else { f64::INFINITY };
        self.slots[slot] = Some(Line {
            flow: Flow::new(ready_s),
            address: address as usize,
            rtt_s,
            opened_at_s: ready_s,
            is_slow,
            silent_from_s: in_time(ready_s + silent_after_s),
            breaks_at_s: in_time(ready_s + breaks_after_s),
            noise: fate.normal(),
            limit_bytes_per_s: f64::INFINITY,
            is_receiving: false,
            is_busy: false,
        });
        let limit = self.line_limit(ready_s, slot);
        self.slots[slot].as_mut().expect("just opened").limit_bytes_per_s = limit;
        Dial { at_s: ready_s, outcome: Ok(address) }
    }

    /// The answer of a server that serves `others` already, if it has enough of it.
    fn refusal(&self, at_s: f64, now_s: f64, others: usize) -> Option<Reply> {
        let limit = self.scenario.server.limit.filter(|_| self.has_faults(now_s))?;
        if others < limit.connections as usize {
            return None;
        }
        let (kind, retry_after_s) = match limit.refusal {
            Refusal::Connect => return None,
            Refusal::Close => (ErrorKind::ConnectionLost, None),
            Refusal::Status { code, retry_after_s } => (ErrorKind::Status(code), retry_after_s),
        };
        let retry_after = retry_after_s.map(Duration::from_secs_f64);
        Some(Reply::Refused { at_s, kind, retry_after })
    }

    fn think(&mut self) -> f64 {
        self.asked += 1;
        let server = &self.scenario.server;
        let jitter_s = Rng::new(self.seed, 2 << 32 | self.asked).exponential(server.think_jitter_s);
        server.think_s + jitter_s
    }

    /// What the server lets through the slot's connection at most.
    fn line_limit(&self, now_s: f64, slot: usize) -> f64 {
        let Some(line) = &self.slots[slot] else { return 0.0 };
        let server = &self.scenario.server;
        let mut limit = server.connection_bytes_per_s;
        if server.connection_noise > 0.0 {
            limit *= (1.0 + server.connection_noise * line.noise).max(0.1);
        }
        if server.ramp_s > 0.0 {
            let limit_max = limit.min(self.scenario.path.link_bytes_per_s);
            limit = limit_max * ((now_s - line.opened_at_s) / server.ramp_s).clamp(0.1, 1.0);
        }
        if let Some((_, factor)) = server.slow.filter(|_| line.is_slow && self.has_faults(now_s)) {
            limit = limit.min(self.scenario.path.link_bytes_per_s) * factor;
        }
        limit
    }
}
