//! Plays the engine in virtual time: drives a [`Transfer`] through a [`World`] exactly as the
//! plan's contract says. Owns the workers and the clock; must not decide anything the plan decides.
//!
//! The clock jumps from event to event: a worker's next one, the world's next step, the next tick.
//! Between two events all rates are constant.

mod look;
mod tick;
mod work;

use super::book::Book;
use super::scenario::Scenario;
use super::worker::{Job, State, Worker};
use super::world::{Reply, World};
use crate::base::limits::STALL_TIMEOUT;
use crate::base::span::Span;
use crate::plan::{
    ConnectionId, Fanout, Fetch, Limiter, Settings, SourceId, Totals, Transfer, first_request_bytes,
};
use std::time::Duration;

/// Less of a span than this is a rounding error.
const CRUMB_BYTES: f64 = 0.5;

/// Share of its time the client's processor works: never what limits.
const CPU_BUSY: f64 = 0.1;

/// How a run ended, and what it took.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Indicates whether every byte is there.
    pub end: End,
    /// Time from the start to the last byte on the disk, in seconds.
    pub elapsed_s: f64,
    /// Connections open, averaged over the time.
    pub connections_mean: f64,
    /// Requests sent.
    pub requests: u64,
    /// Refused connects, and answers that say that there are too many connections.
    pub push_backs: u64,
    /// Bytes fetched twice, or lost with a connection.
    pub wasted_bytes: u64,
    /// Connections that the server accepted.
    pub opened: u64,
    /// Spans that were cut for another worker, which costs a connection each.
    pub cuts: u64,
    /// Connections closed since the plan wanted them replaced, or their bytes had come otherwise.
    pub replaced: u64,
    /// Bytes of packets that reached the client, headers included, also those that came after the
    /// client had hung up.
    pub wire_bytes: f64,
    /// Longest time, in seconds, that a connection whose answer ran had no bytes for the client; 0
    /// in the fluid.
    pub silence_s: f64,
    /// Longest time of it in which no packet came either, in seconds, as far as ticks can tell.
    pub no_packet_s: f64,
    /// Questions to the plan of what to do next.
    pub questions: u64,
    /// What the plan says limited the transfer.
    pub limiter: Limiter,
    /// The plan's decisions, one line each, if asked for.
    pub decisions: Vec<String>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Every byte is there.
    Complete,
    /// The plan gave up.
    GaveUp,
    /// It was not over in the time it was given.
    OutOfTime,
}

/// How to run.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// What the plan is told.
    pub settings: Settings,
    /// Seeds the noise and the faults, together with the scenario's name, and the plan's jitter.
    pub seed: u64,
    /// Virtual time at which the run is given up, in seconds.
    pub seconds_max: f64,
    /// Indicates whether the plan's invariants are checked on every tick.
    pub audit: bool,
    /// Indicates whether decisions are kept.
    pub keep_decisions: bool,
}

/// Fetches the scenario's file. Panics where the plan breaks its contract.
pub fn run(scenario: &Scenario, how: &Run) -> Outcome {
    let mut driver = Driver::new(scenario, how);
    driver.discover();
    driver.drive()
}

struct Driver {
    plan: Transfer,
    world: World,
    workers: Vec<Worker>,
    book: Book,
    settings: Settings,
    file_bytes: u64,
    seconds_max: f64,
    audit: bool,
    decisions: Option<Vec<String>>,
    /// The looks at further sources that are under way: at which, and when each one ends.
    looks: Vec<(SourceId, f64)>,
    now_s: f64,
    next_tick_s: f64,
    next_step_s: f64,
    /// Indicates whether idle workers have reason to ask again.
    bell: bool,
    /// Indicates whether rates have to be shared out anew.
    is_stale: bool,
    was_disk_full: bool,
    gave_up: bool,
}

impl Driver {
    fn new(scenario: &Scenario, how: &Run) -> Self {
        let workers = match how.settings.fanout {
            Fanout::Auto { max } => max as usize,
            Fanout::Fixed(connections) => connections as usize,
        };
        let file_bytes = scenario.file_bytes;
        Self {
            plan: Transfer::new(file_bytes, Settings { jitter_seed: how.seed, ..how.settings }),
            world: World::new(scenario, how.seed, workers),
            workers: (0..workers).map(|_| Worker::off()).collect(),
            book: Book::new(file_bytes, &how.settings, workers),
            settings: how.settings,
            file_bytes,
            seconds_max: how.seconds_max,
            audit: how.audit,
            decisions: how.keep_decisions.then(Vec::new),
            looks: Vec::new(),
            now_s: 0.0,
            next_tick_s: 0.0,
            next_step_s: 0.0,
            bell: false,
            is_stale: true,
            was_disk_full: false,
            gave_up: false,
        }
    }

    /// The first request, which is made before there is a plan and tried until it is answered.
    fn discover(&mut self) {
        let order: Vec<u32> = (0..self.settings.addresses).collect();
        let first_bytes = first_request_bytes(self.settings.request).min(self.file_bytes);
        let source = self.settings.first_source.0 as usize;
        let (address, began_s, requested_s) = loop {
            let began_s = self.now_s;
            let dial = self.world.dial(self.now_s, 0, source, &order);
            self.now_s = dial.at_s;
            if let Ok(address) = dial.outcome {
                let reply = self.world.request(self.now_s, 0, first_bytes);
                self.book.requests += 1;
                let requested_s = self.now_s;
                if self.await_body(reply) {
                    break (address, began_s, requested_s);
                }
                self.world.hang_up(self.now_s, 0);
            }
            self.now_s += 0.2;
        };
        self.book.adopted(first_bytes);
        let requested_at = Duration::from_secs_f64(requested_s);
        let id = ConnectionId(0);
        let setup = Duration::from_secs_f64(requested_s - began_s);
        self.plan.on_connected(requested_at, id, address, setup);
        self.plan.on_requested(requested_at, id, 0);
        let lead_bytes = self.plan.adopt(self.now(), id, address, Span::new(0, first_bytes));
        self.world.start(self.now_s, 0);
        let fetch = Fetch { span: Span::new(0, first_bytes), lead_bytes };
        let worker = &mut self.workers[0];
        (worker.state, worker.job) = (State::Receiving, Some(Job::new(fetch)));
        worker.source = source;
        worker.quiet_since_s = self.now_s;
        (self.next_tick_s, self.next_step_s) = (self.now_s, self.now_s);
        self.start_looks(first_bytes);
    }

    /// Waits for the answer to the first request; returns whether its body has begun.
    fn await_body(&mut self, reply: Reply) -> bool {
        let until_s = self.now_s + STALL_TIMEOUT.as_secs_f64();
        loop {
            let at_s = self.world.answer_s(self.now_s, 0, reply);
            if at_s <= self.now_s {
                return matches!(reply, Reply::Body { .. });
            }
            if self.now_s >= until_s {
                return false;
            }
            let step_s = if at_s.is_finite() { f64::INFINITY } else { self.world.step_s() };
            self.now_s = at_s.min(until_s).min(self.now_s + step_s);
            if at_s.is_infinite() {
                self.world.step(self.now_s);
            }
        }
    }

    fn drive(mut self) -> Outcome {
        loop {
            if std::mem::take(&mut self.is_stale) {
                self.world.share(self.now_s);
            }
            let next_s = self.next_event_s();
            if next_s > self.seconds_max {
                return self.outcome(End::OutOfTime);
            }
            self.pass_time(next_s);
            if self.now_s >= self.next_step_s {
                self.world.step(self.now_s);
                self.next_step_s = self.now_s + self.world.step_s();
                self.is_stale = true;
            }
            self.read();
            for slot in 0..self.workers.len() {
                if self.due_s(slot) <= self.now_s {
                    self.serve(slot);
                }
            }
            self.end_looks();
            if self.now_s >= self.next_tick_s {
                self.tick();
            }
            if std::mem::take(&mut self.bell) {
                self.recruit();
                self.ask_all();
            }
            if self.plan.is_complete() {
                assert!(self.book.all_delivered(), "complete means that every byte is there");
                self.plan.invariants();
                return self.outcome(End::Complete);
            }
            if self.gave_up {
                return self.outcome(End::GaveUp);
            }
        }
    }

    fn outcome(mut self, end: End) -> Outcome {
        self.collect_decisions();
        let elapsed_s = self.now_s + if end == End::Complete { self.world.drain_s() } else { 0.0 };
        let totals = Totals {
            elapsed: Duration::from_secs_f64(elapsed_s),
            bytes: self.plan.delivered_bytes() + self.book.wasted_bytes,
            cpu_busy: CPU_BUSY,
            hash_behind: false,
            hash_waiting: 0.0,
            ..Totals::default()
        };
        Outcome {
            end,
            elapsed_s,
            limiter: self.plan.limiter(totals),
            connections_mean: self.book.connections_mean(),
            requests: self.book.requests,
            push_backs: self.book.push_backs,
            wasted_bytes: self.book.wasted_bytes,
            opened: self.world.opened(),
            cuts: self.book.cuts,
            replaced: self.book.replaced,
            wire_bytes: self.world.wire_bytes(),
            silence_s: self.book.silence_s,
            no_packet_s: self.book.no_packet_s,
            questions: self.book.questions,
            decisions: self.decisions.unwrap_or_default(),
        }
    }

    fn now(&self) -> Duration {
        Duration::from_secs_f64(self.now_s)
    }

    fn next_event_s(&self) -> f64 {
        let due = (0..self.workers.len()).map(|slot| self.due_s(slot));
        let looks = self.looks.iter().map(|(_, ends_s)| *ends_s);
        due.chain(looks).fold(self.next_tick_s.min(self.next_step_s), f64::min).max(self.now_s)
    }

    /// When something happens to the worker.
    fn due_s(&self, slot: usize) -> f64 {
        let worker = &self.workers[slot];
        let at_s = match worker.state {
            State::Off => return f64::INFINITY,
            State::Idle { until_s } => return until_s,
            State::Connecting { dial, .. } => return dial.at_s,
            State::Asked { reply } => self.world.answer_s(self.now_s, slot, reply),
            State::Receiving => {
                let bytes = worker.job.as_ref().map_or(0.0, Job::bytes_to_event);
                if bytes <= CRUMB_BYTES {
                    self.now_s
                } else {
                    self.world.comes_s(self.now_s, slot, bytes)
                }
            }
        };
        let stalls_s = worker.quiet_since_s + STALL_TIMEOUT.as_secs_f64();
        at_s.min(self.world.breaks_at_s(slot)).min(stalls_s)
    }

    fn pass_time(&mut self, to_s: f64) {
        let dt_s = to_s - self.now_s;
        self.world.carry(dt_s);
        self.was_disk_full |= self.world.is_disk_full();
        self.book.passed(dt_s, self.world.open_count());
        self.now_s = to_s;
    }

    /// Workers take what has come in.
    fn read(&mut self) {
        for (slot, worker) in self.workers.iter_mut().enumerate() {
            if let (State::Receiving, Some(job)) = (worker.state, &mut worker.job) {
                let bytes = self.world.read(slot, job.rest());
                if bytes > 0.0 {
                    job.received += bytes;
                    worker.quiet_since_s = self.now_s;
                }
            }
        }
    }
}

fn id(slot: usize) -> ConnectionId {
    ConnectionId(u32::try_from(slot).expect("slots are counted in a u32"))
}
