//! The network, the server and the disk of one run in virtual time. Owns the server's part: who is
//! accepted, what is answered, which connections are slow, fall silent or break; and the disk. Must
//! not know the plan nor what the bytes are, nor how the network carries them.
//!
//! A connection lives in a slot, one per worker. Its states: open (dialled, perhaps not yet
//! answered) -> receiving <-> open -> gone. The network is a fluid or, where the scenario's path
//! says so, packets of TCP. The clock belongs to the driver: [`World::carry`] lets time pass, and
//! every [`World::step_s`] windows, noise and faults move on with [`World::step`].

mod conditions;
mod fluid;
mod ground;
mod look;
mod network;
mod tcp;

pub(super) use tcp::TcpState;

use super::rng::Rng;
use super::scenario::{AheadAnswer, Ending, Health, Refusal, Scenario};
use crate::base::ErrorKind;
use crate::base::limits::{CONNECT_TIMEOUT, CONNECTION_ATTEMPT_DELAY};
use conditions::Host;
use ground::Ground;
use network::Network;
use std::time::Duration;

/// Bytes received and not yet on the disk that the buffers hold.
const POOL_BYTES: f64 = 64.0 * 1024.0 * 1024.0;
/// Everything outside of the client.
#[derive(Debug)]
pub(super) struct World {
    scenario: Scenario,
    lines: Vec<Option<Line>>,
    network: Network,
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
    /// The servers, by their numbers.
    hosts: Vec<Host>,
    /// Bytes the disk has still to take.
    backlog_bytes: f64,
    /// Indicates whether the buffers are full.
    is_disk_full: bool,
}

/// One connection at the server.
#[derive(Debug)]
struct Line {
    /// The number of the server at the other end.
    source: usize,
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
    /// From then on the server closes it at the end of an answer.
    closes_from_s: f64,
    /// Answers that have ended.
    answers: u32,
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
    /// First body byte; infinite where only time will tell, see [`World::answer_s`].
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
        assert!(
            scenario.mirrors.is_empty() || scenario.path.tcp.is_none(),
            "several are a fluid's"
        );
        let hosts = (0..scenario.sources().count()).map(|source| Host::new(seed, source)).collect();
        Self {
            scenario: scenario.clone(),
            lines: (0..slots).map(|_| None).collect(),
            network: Network::new(scenario, seed, slots),
            noise_rng: Rng::new(seed, 1),
            dice: Rng::new(seed, 2),
            seed,
            noise: 0.0,
            next_bin_s: 0.0,
            dialled: 0,
            asked: 0,
            hosts,
            backlog_bytes: 0.0,
            is_disk_full: false,
        }
    }

    /// Time between two calls of [`World::step`].
    pub(super) fn step_s(&self) -> f64 {
        self.network.step_s()
    }

    /// Dials the server's addresses in this order, a new one a while after the last or once that
    /// failed (RFC 8305). The slot is free.
    pub(super) fn dial(&mut self, now_s: f64, slot: usize, source: usize, order: &[u32]) -> Dial {
        assert!(self.lines[slot].is_none(), "a slot holds one connection");
        let mut at_s = now_s;
        let mut was_silent = false;
        for &address in order {
            let rtt_s = self.rtt_s(source, address as usize);
            match self.health(now_s, source, address as usize) {
                Health::Up => return self.accept(at_s, slot, source, address, rtt_s),
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

    /// A request for this number of `bytes` on the slot's connection; nothing else is asked for on
    /// it.
    pub(super) fn request(&mut self, now_s: f64, slot: usize, bytes: u64) -> Reply {
        let line = self.lines[slot].as_mut().expect("a request needs a connection");
        assert!(!line.is_busy, "the answer before has ended");
        let (source, rtt_s, silent_from_s) = (line.source, line.rtt_s, line.silent_from_s);
        let is_other = |line: &&Line| line.is_busy && line.source == source;
        let others = self.lines.iter().flatten().filter(is_other).count();
        self.lines[slot].as_mut().expect("looked at before").is_busy = true;
        if let Some(reply) = self.refusal(now_s, source, rtt_s, others) {
            return reply;
        }
        let think_s = self.think(source);
        let at_s = self.network.answer(now_s, slot, rtt_s, think_s, bytes);
        Reply::Body { at_s: if at_s < silent_from_s { at_s } else { f64::INFINITY } }
    }

    /// A request behind one whose answer still runs. The server thinks about it meanwhile.
    pub(super) fn request_ahead(&mut self, now_s: f64, slot: usize, bytes: u64) -> Reply {
        let line = self.lines[slot].as_ref().expect("a request needs a connection");
        let (source, rtt_s, silent_from_s) = (line.source, line.rtt_s, line.silent_from_s);
        let think_s = self.think(source);
        let at_s = now_s + rtt_s + think_s;
        if at_s >= silent_from_s {
            return Reply::Body { at_s: f64::INFINITY };
        }
        let has_faults = now_s < self.scenario.faults_until_s;
        if matches!(self.ending(now_s, source), Some(Ending::Status(_) | Ending::Changed)) {
            return Reply::Wrong { at_s };
        }
        match self.scenario.source(source).ahead {
            AheadAnswer::Closed if has_faults => return Reply::Closed { at_s },
            AheadAnswer::WrongRange if has_faults => return Reply::Wrong { at_s },
            AheadAnswer::Served | AheadAnswer::Closed | AheadAnswer::WrongRange => {}
        }
        if !self.will_keep(now_s, slot, 1) {
            return Reply::Closed { at_s };
        }
        Reply::Body { at_s: self.network.answer(now_s, slot, rtt_s, think_s, bytes) }
    }

    /// When the answer begins to come in at the slot, infinite if nobody knows yet.
    pub(super) fn answer_s(&self, now_s: f64, slot: usize, reply: Reply) -> f64 {
        match (&self.network, reply) {
            (Network::Tcp(tcp), Reply::Body { .. }) => {
                if tcp.unread_bytes(slot) > 0 {
                    now_s
                } else {
                    f64::INFINITY
                }
            }
            (Network::Fluid(_) | Network::Tcp(_), reply) => reply.at_s(),
        }
    }

    /// Whether the server keeps the slot's connection after the answer that has just ended.
    pub(super) fn keeps_alive(&self, now_s: f64, slot: usize) -> bool {
        self.will_keep(now_s, slot, 0)
    }

    /// The body of an answer has begun.
    pub(super) fn start(&mut self, now_s: f64, slot: usize) {
        let line = self.lines[slot].as_mut().expect("a body needs a connection");
        line.is_receiving = true;
        line.is_busy = true;
        if let Network::Fluid(fluid) = &mut self.network {
            fluid.start(now_s, slot, line.rtt_s);
        }
    }

    /// The body of an answer has ended.
    pub(super) fn stop(&mut self, now_s: f64, slot: usize) {
        let line = self.lines[slot].as_mut().expect("a body needs a connection");
        line.is_receiving = false;
        line.is_busy = false;
        line.answers += 1;
        if let Network::Fluid(fluid) = &mut self.network {
            fluid.stop(now_s, slot);
        }
    }

    /// The client closes the slot's connection, if it has one.
    pub(super) fn hang_up(&mut self, now_s: f64, slot: usize) {
        if let Some(line) = self.lines[slot].take() {
            self.network.close(now_s, slot, line.rtt_s);
        }
    }

    pub(super) fn is_open(&self, slot: usize) -> bool {
        self.lines[slot].is_some()
    }

    /// Connections at all servers.
    pub(super) fn open_count(&self) -> usize {
        self.lines.iter().flatten().count()
    }

    /// Connections at the server with this number.
    pub(super) fn open_at(&self, source: usize) -> usize {
        self.lines.iter().flatten().filter(|line| line.source == source).count()
    }

    /// The number of the server that the slot's connection leads to.
    pub(super) fn source_of(&self, slot: usize) -> Option<usize> {
        self.lines[slot].as_ref().map(|line| line.source)
    }

    /// Connections that the servers have accepted so far.
    pub(super) fn opened(&self) -> u64 {
        self.dialled
    }

    /// Bytes of packets that reached the client or will, headers included.
    pub(super) fn wire_bytes(&self) -> f64 {
        self.network.wire_bytes()
    }

    /// What the slot receives, in bytes per second.
    pub(super) fn rate(&self, slot: usize) -> f64 {
        self.network.rate(slot)
    }

    /// Takes bytes that have come in at the slot, at most this number of them.
    pub(super) fn read(&mut self, slot: usize, bytes_max: f64) -> f64 {
        match &mut self.network {
            Network::Fluid(fluid) => fluid.read(slot, bytes_max),
            Network::Tcp(_) if self.is_disk_full => 0.0,
            Network::Tcp(tcp) => tcp.read(slot, bytes_max),
        }
    }

    /// When this number of bytes will have come in at the slot, if nothing changes; infinite if
    /// nobody knows.
    pub(super) fn comes_s(&self, now_s: f64, slot: usize, bytes: f64) -> f64 {
        match &self.network {
            Network::Fluid(fluid) => now_s + bytes / fluid.rate(slot),
            Network::Tcp(_) => f64::INFINITY,
        }
    }

    /// What the client's kernel says of the slot's connection.
    pub(super) fn tcp_info(&self, now_s: f64, slot: usize) -> Option<TcpState> {
        match &self.network {
            Network::Fluid(fluid) => fluid.info(slot),
            Network::Tcp(tcp) => tcp.info(now_s, slot),
        }
    }

    /// When the slot's connection is reset.
    pub(super) fn breaks_at_s(&self, slot: usize) -> f64 {
        self.lines[slot].as_ref().map_or(f64::INFINITY, |line| line.breaks_at_s)
    }

    /// Whether the buffers are full.
    pub(super) fn is_disk_full(&self) -> bool {
        self.is_disk_full
    }

    /// How long the disk needs for what it has not taken yet.
    pub(super) fn drain_s(&self) -> f64 {
        self.backlog_bytes / self.scenario.path.disk_bytes_per_s
    }

    /// Time passes.
    pub(super) fn carry(&mut self, dt_s: f64) {
        let bytes = self.network.carry(dt_s);
        let disk = self.scenario.path.disk_bytes_per_s;
        if disk.is_finite() {
            self.backlog_bytes = (self.backlog_bytes + bytes - disk * dt_s).max(0.0);
            let full_at = if self.is_disk_full { 0.95 * POOL_BYTES } else { POOL_BYTES };
            self.is_disk_full = self.backlog_bytes >= full_at;
        }
    }

    /// Windows grow and shrink, packets travel, noise changes, faults come and go.
    pub(super) fn step(&mut self, now_s: f64) {
        while self.next_bin_s <= now_s {
            self.draw_noise();
        }
        self.throttle(now_s);
        for slot in 0..self.lines.len() {
            let limit = self.line_limit(now_s, slot);
            if let Some(line) = &mut self.lines[slot] {
                line.limit_bytes_per_s = limit;
            }
        }
        let (ground, network, dice) = self.ground(now_s);
        match network {
            Network::Fluid(fluid) => fluid.step(&ground, dice),
            Network::Tcp(tcp) => tcp.step(&ground),
        }
    }

    /// Shares the fluid's link out anew.
    pub(super) fn share(&mut self, now_s: f64) {
        let (ground, network, _) = self.ground(now_s);
        if let Network::Fluid(fluid) = network {
            fluid.share(&ground);
        }
    }

    fn ground(&mut self, now_s: f64) -> (Ground<'_>, &mut Network, &mut Rng) {
        let capacity_bytes_per_s = self.capacity(now_s);
        let ground = Ground {
            scenario: &self.scenario,
            lines: &self.lines,
            now_s,
            capacity_bytes_per_s,
            hosts: &self.hosts,
            is_disk_full: self.is_disk_full,
        };
        (ground, &mut self.network, &mut self.dice)
    }

    fn has_faults(&self, now_s: f64) -> bool {
        now_s < self.scenario.faults_until_s
    }

    fn rtt_s(&self, source: usize, address: usize) -> f64 {
        self.scenario.path.rtt_s + self.scenario.source(source).addresses[address].extra_rtt_s
    }

    fn health(&self, now_s: f64, source: usize, address: usize) -> Health {
        match self.ending(now_s, source) {
            Some(Ending::Reset) => return Health::Refuses,
            Some(Ending::Silence) => return Health::Silent,
            Some(Ending::Status(_) | Ending::Changed) | None => {}
        }
        let health = self.scenario.source(source).addresses[address].health;
        if self.has_faults(now_s) { health } else { Health::Up }
    }

    /// Whether the server keeps the slot's connection once `more` answers have ended.
    fn will_keep(&self, now_s: f64, slot: usize, more: u32) -> bool {
        let line = self.lines[slot].as_ref().expect("an answer needs a connection");
        let server = self.scenario.source(line.source);
        let answers_max = server.answers_max.unwrap_or(u32::MAX);
        let keeps = server.keeps_alive
            && now_s < line.closes_from_s
            && line.answers.saturating_add(more) < answers_max;
        keeps || !self.has_faults(now_s)
    }

    fn accept(&mut self, at_s: f64, slot: usize, source: usize, address: u32, rtt_s: f64) -> Dial {
        let server = self.scenario.source(source);
        let limit = server.limit.filter(|_| self.has_faults(at_s));
        if let Some(limit) = limit
            && matches!(limit.refusal, Refusal::Connect)
            && self.open_at(source) >= limit.connections as usize
        {
            return Dial { at_s: at_s + rtt_s, outcome: Err(ErrorKind::Connect) };
        }
        let setup_s = self.network.setup_s(at_s, rtt_s, server.setup_rtts);
        self.dialled += 1;
        let line = self.line(at_s + setup_s, source, address as usize, rtt_s);
        let ready_s = line.opened_at_s;
        self.network.open(slot, ready_s, rtt_s, self.dialled);
        self.lines[slot] = Some(line);
        let limit = self.line_limit(ready_s, slot);
        self.lines[slot].as_mut().expect("just opened").limit_bytes_per_s = limit;
        Dial { at_s: ready_s, outcome: Ok(address) }
    }

    /// The answer of a server that serves `others` already and has enough of it, or has not got the
    /// file any more.
    fn refusal(&self, now_s: f64, source: usize, rtt_s: f64, others: usize) -> Option<Reply> {
        let (at_s, server) = (now_s + rtt_s, self.scenario.source(source));
        match self.ending(now_s, source) {
            Some(Ending::Status(code)) => {
                let kind = ErrorKind::Status(code);
                return Some(Reply::Refused { at_s, kind, retry_after: None });
            }
            Some(Ending::Changed) => {
                let kind = ErrorKind::Changed;
                return Some(Reply::Refused { at_s, kind, retry_after: None });
            }
            Some(Ending::Reset | Ending::Silence) | None => {}
        }
        let limit = server.limit.filter(|_| self.has_faults(now_s))?;
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

    fn think(&mut self, source: usize) -> f64 {
        self.asked += 1;
        let server = self.scenario.source(source);
        let jitter_s = Rng::new(self.seed, 2 << 32 | self.asked).exponential(server.think_jitter_s);
        server.think_s + jitter_s
    }
}
