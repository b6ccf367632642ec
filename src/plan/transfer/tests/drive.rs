//! Whole transfers in virtual time: connections of fixed rates fetch a file under the plan.

use crate::base::ErrorKind;
use crate::base::size::{GIB, MIB};
use crate::base::span::{Span, SpanSet};
use crate::plan::{
    Action, ConnectionId, Fanout, Fetch, Next, Pressure, RequestSize, Settings, Transfer, Verdict,
};
use std::time::Duration;

const TICK: Duration = Duration::from_millis(1);
/// Connect, request and first byte; paid once per connection.
const CONNECT: Duration = Duration::from_millis(50);
const BLOCK_BYTES: u64 = MIB;

/// What the network does with one connection.
#[derive(Clone, Copy)]
enum Line {
    /// Bytes per second.
    Rate(u64),
    /// Every connect is refused.
    Refused,
    /// Brings `bytes` at `rate` bytes per second and breaks, each time.
    Fragile { rate: u64, bytes: u64 },
}

struct Worker {
    id: ConnectionId,
    line: Line,
    is_started: bool,
    is_connected: bool,
    /// Nothing happens here before this time.
    busy_until: Duration,
    job: Option<Job>,
}

struct Job {
    span: Span,
    /// Received and delivered up to here.
    position: u64,
}

impl Job {
    /// A worker claims its span block by block.
    fn claimed_to(&self) -> u64 {
        let blocks = (self.position - self.span.start()).div_ceil(BLOCK_BYTES);
        self.span.end().min(self.span.start() + blocks * BLOCK_BYTES)
    }
}

struct Drive {
    transfer: Transfer,
    settings: Settings,
    workers: Vec<Worker>,
    now: Duration,
    may_steal: bool,
    steals: u32,
    failures: u32,
}

impl Drive {
    fn new(total_bytes: u64, lines: &[Line]) -> Self {
        Self::with_chunks(total_bytes, lines, 8 * MIB)
    }

    fn with_chunks(total_bytes: u64, lines: &[Line], chunk_bytes: u64) -> Self {
        let connections = u32::try_from(lines.len()).unwrap();
        let settings = Settings {
            request: RequestSize::Fixed(chunk_bytes),
            fanout: Fanout::Fixed(connections),
            request_ahead: false,
            hedge_bytes_max: 0,
            ..Settings::default()
        };
        let worker = |(id, &line): (u32, &Line)| Worker {
            id: ConnectionId(id),
            line,
            is_started: false,
            is_connected: false,
            busy_until: Duration::ZERO,
            job: None,
        };
        Self {
            transfer: Transfer::new(total_bytes, settings),
            settings,
            workers: (0..).zip(lines).map(worker).collect(),
            now: Duration::ZERO,
            may_steal: true,
            steals: 0,
            failures: 0,
        }
    }

    /// Runs to the end; the time it took, or `None` if the transfer failed.
    fn run(&mut self) -> Option<Duration> {
        while self.now < Duration::from_secs(600) {
            if self.now.as_millis().is_multiple_of(50) {
                self.tick();
            }
            let wanted = self.transfer.connections_wanted(self.now) as usize;
            for index in 0..self.workers.len() {
                if self.workers[index].busy_until > self.now {
                    continue;
                }
                let worker = &mut self.workers[index];
                worker.is_started |= index < wanted;
                match worker.job.take() {
                    Some(job) => self.receive(index, job),
                    None if !worker.is_started => {}
                    None => match self.ask(index) {
                        Next::Failed => return None,
                        Next::Done => {
                            self.transfer.invariants();
                            return Some(self.now);
                        }
                        Next::Fetch(_)
                        | Next::Steal { .. }
                        | Next::Hedge { .. }
                        | Next::Retire
                        | Next::Wait
                        | Next::WaitUntil(_) => {}
                    },
                }
            }
            self.now += TICK;
        }
        panic!("the transfer does not end: {:?}", self.transfer);
    }

    fn tick(&mut self) {
        for worker in &self.workers {
            if let Some(job) = &worker.job {
                self.transfer.on_progress(self.now, worker.id, job.position);
            }
        }
        for action in self.transfer.on_tick(self.now, Pressure::default()) {
            if let Action::Replace(id) = action {
                self.transfer.on_failed(self.now, id, ErrorKind::TimedOut, None, false);
                let worker = &mut self.workers[id.0 as usize];
                (worker.job, worker.is_connected) = (None, false);
            }
        }
    }

    fn ask(&mut self, index: usize) -> Next {
        let id = self.workers[index].id;
        for worker in &self.workers {
            if let Some(job) = &worker.job {
                self.transfer.on_progress(self.now, worker.id, job.claimed_to());
            }
        }
        let mut next = self.transfer.next(self.now, id);
        while let Next::Steal { victim, at } = next {
            let outcome = self.cut(victim, at);
            next = self.transfer.on_steal(self.now, id, victim, outcome);
        }
        let worker = &mut self.workers[index];
        match next {
            Next::Fetch(Fetch { span, .. }) => {
                worker.job = Some(Job { span, position: span.start() });
                if !worker.is_connected {
                    worker.busy_until = self.now + CONNECT;
                    worker.is_connected = true;
                }
            }
            Next::WaitUntil(at) => {
                assert!(at > self.now, "waiting for the past is a busy loop");
            }
            Next::Steal { .. }
            | Next::Hedge { .. }
            | Next::Retire
            | Next::Wait
            | Next::Done
            | Next::Failed => {}
        }
        next
    }

    fn cut(&mut self, victim: ConnectionId, at: u64) -> Result<u64, u64> {
        let victim = &mut self.workers[victim.0 as usize];
        let job = victim.job.as_mut().expect("a victim has a job");
        if !self.may_steal || job.claimed_to() > at {
            return Err(job.claimed_to());
        }
        job.span = Span::new(job.span.start(), at);
        victim.is_connected = false;
        self.steals += 1;
        Ok(at)
    }

    fn receive(&mut self, index: usize, mut job: Job) {
        let worker = &mut self.workers[index];
        let (rate, bytes_max) = match worker.line {
            Line::Rate(rate) => (rate, u64::MAX),
            Line::Fragile { rate, bytes } => (rate, bytes),
            Line::Refused => (0, 0),
        };
        // Bytes reach the disk as whole sectors.
        let arrived = job.position + rate / 1000 / 4096 * 4096;
        let breaks_at = job.span.start().saturating_add(bytes_max);
        let to = arrived.min(job.span.end()).min(breaks_at);
        self.transfer.on_delivered(self.now, worker.id, Span::new(job.position, to));
        job.position = to;
        if to == job.span.end() {
            self.transfer.on_finished(self.now, worker.id);
        } else if to == breaks_at {
            self.failures += 1;
            worker.is_connected = false;
            let lost = matches!(worker.line, Line::Fragile { .. });
            let kind = if lost { ErrorKind::ConnectionLost } else { ErrorKind::Connect };
            if let Verdict::Retry { at } =
                self.transfer.on_failed(self.now, worker.id, kind, None, false)
            {
                assert!(at >= self.now);
            }
        } else {
            worker.job = Some(job);
        }
    }
}

/// 98 MiB/s, a multiple of sectors per tick.
const FAST: Line = Line::Rate(25 * 4096 * 1000);
const FAST_BYTES_PER_SECOND: f64 = 25.0 * 4096.0 * 1000.0;
/// 4 MiB/s.
const SLOW: Line = Line::Rate(4096 * 1000);

#[test]
fn equal_connections_share_the_file() {
    let mut drive = Drive::new(GIB, &[FAST; 4]);
    let seconds = drive.run().expect("no failure").as_secs_f64();
    let ideal = GIB as f64 / (4.0 * FAST_BYTES_PER_SECOND);
    assert!(seconds < ideal * 1.05, "{seconds} s against {ideal} s");
}

#[test]
fn a_small_file_uses_all_connections() {
    let mut drive = Drive::new(16 * MIB, &[FAST; 4]);
    let seconds = drive.run().expect("no failure").as_secs_f64();
    let alone = 16.0 * MIB as f64 / FAST_BYTES_PER_SECOND;
    assert!(seconds < alone / 4.0 + 0.06, "{seconds} s");
}

#[test]
fn a_resumed_file_takes_the_time_of_what_is_missing() {
    let mut delivered = SpanSet::new();
    // 4 of each 8 MiB of the first half, and of the second half all but its last quarter.
    (0..64).for_each(|n| _ = delivered.insert(Span::with_len(8 * n * MIB, 4 * MIB)));
    delivered.insert(Span::new(GIB / 2, GIB - GIB / 8));
    let mut drive = Drive::new(GIB, &[FAST; 4]);
    drive.transfer = Transfer::resume(GIB, drive.settings, &delivered);
    let seconds = drive.run().expect("no failure").as_secs_f64();
    let ideal = (GIB / 4 + GIB / 8) as f64 / (4.0 * FAST_BYTES_PER_SECOND);
    assert!(seconds < ideal * 1.1 + CONNECT.as_secs_f64(), "{seconds} s against {ideal} s");
}

#[test]
fn stealing_shortens_the_tail_of_a_slow_connection() {
    let drive = || Drive::with_chunks(GIB, &[FAST, FAST, FAST, SLOW], 32 * MIB);
    let mut alone = drive();
    alone.may_steal = false;
    let without = alone.run().expect("no failure");
    let mut helped = drive();
    let with = helped.run().expect("no failure");
    assert!(helped.steals > 0 && alone.steals == 0);
    assert!(with < without / 2, "{with:?} with, {without:?} without");
}

#[test]
fn one_refused_connection_does_not_fail_the_others() {
    let mut drive = Drive::new(GIB, &[Line::Refused, FAST, FAST, Line::Refused]);
    let seconds = drive.run().expect("two connections work").as_secs_f64();
    let ideal = GIB as f64 / (2.0 * FAST_BYTES_PER_SECOND);
    assert!(seconds < ideal * 1.05, "{seconds} s against {ideal} s");
    assert!(drive.failures < 20, "{} connects were refused", drive.failures);
}

#[test]
fn connections_that_break_after_each_half_span_still_finish() {
    let fragile = Line::Fragile { rate: 25 * 4096 * 1000, bytes: 3 * MIB };
    let mut drive = Drive::new(256 * MIB, &[fragile; 4]);
    assert!(drive.run().is_some());
    assert!(drive.failures > 32);
}

#[test]
fn a_dead_server_fails_within_the_budget() {
    for connections in [1, 4, 16] {
        let mut drive = Drive::new(GIB, &vec![Line::Refused; connections]);
        assert_eq!(drive.run(), None);
        // Five waits of at most 0.5, 1, 2, 4 and 8 s, and six connects.
        assert!(drive.now < Duration::from_secs(16), "{:?}", drive.now);
    }
}
