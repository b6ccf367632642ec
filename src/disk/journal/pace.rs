//! When the next barrier is due, and who waits for one.
//!
//! States: idle (nothing new) -> counting (bytes that no barrier has seen) -> in a barrier -> idle
//! or counting; failed or stopped for good. Owns the bell between those who write, those who want a
//! barrier, and the journal's thread. Must not know what a barrier does.

use crate::base::limits::{BARRIER_EARLY_BYTES, BARRIER_FIRST, BARRIER_PAUSE_FACTOR};
use crate::base::{Error, ErrorKind, Result};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often barriers are made: as soon as the interval is over or the bytes are written. Where
/// little is written the first ones come earlier, [`BARRIER_FIRST`] after the start, and then each
/// after twice the time of the one before, up to the interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BarrierPace {
    /// Time from the beginning of one barrier to the next, at most, while anything is written.
    pub interval: Duration,
    /// Bytes written since the last barrier began, after which another one is due.
    pub bytes: u64,
}

/// The bell between those who write, those who want a barrier, and the journal's thread.
pub(super) struct Pacer {
    pace: BarrierPace,
    state: Mutex<State>,
    /// Rings for the journal's thread: it has to look at the clock or at the demands anew.
    work: Condvar,
    /// Rings for those who asked for a barrier: one has ended.
    answers: Condvar,
}

struct State {
    /// Whether the book has changed since the last barrier began.
    changed: bool,
    /// Bytes written since the last barrier began.
    new_bytes: u64,
    /// When the last barrier began.
    began: Instant,
    /// Time from the last barrier to the next, unless more than [`BARRIER_EARLY_BYTES`] are
    /// written.
    gap: Duration,
    /// No barrier is made before this moment, except on demand: a slow disk gets a pause.
    pause_until: Instant,
    /// Number of barriers that were asked for.
    asked: u64,
    /// Number of these demands that a barrier has served, oldest first.
    answered: u64,
    /// Bytes that the last good barrier has recorded.
    durable_bytes: u64,
    /// How the journal has ended, once it has.
    ended: Option<Result<(), Error>>,
}

/// What the journal's thread does next.
#[derive(Debug, PartialEq, Eq)]
enum Due {
    Now,
    At(Instant),
    /// When something happens.
    Later,
}

impl Pacer {
    /// Begins at `now`. `durable_bytes` are recorded already; `changed` indicates whether the book
    /// differs from that record, so that a barrier has something to do.
    pub(super) fn new(pace: BarrierPace, now: Instant, durable_bytes: u64, changed: bool) -> Self {
        let state = State {
            changed,
            new_bytes: 0,
            began: now,
            gap: BARRIER_FIRST.min(pace.interval),
            pause_until: now,
            asked: 0,
            answered: 0,
            durable_bytes,
            ended: None,
        };
        Self { pace, state: Mutex::new(state), work: Condvar::new(), answers: Condvar::new() }
    }

    /// The book has changed, and `new_bytes` of it were not written before. Wakes the thread only
    /// where it has to look at the clock anew.
    pub(super) fn on_change(&self, new_bytes: u64) {
        let mut state = self.lock();
        let bytes_before = state.new_bytes;
        state.new_bytes += new_bytes;
        let is_full = bytes_before < self.pace.bytes && state.new_bytes >= self.pace.bytes;
        if !std::mem::replace(&mut state.changed, true) || is_full {
            self.work.notify_one();
        }
    }

    /// Asks for a barrier that sees all that happened until now, and waits for it. Returns how many
    /// bytes are durable and recorded by then.
    pub(super) fn ask(&self) -> Result<u64> {
        let mut state = self.lock();
        state.asked += 1;
        let own = state.asked;
        self.work.notify_one();
        loop {
            match &state.ended {
                Some(Err(error)) => return Err(error.clone()),
                _ if state.answered >= own => return Ok(state.durable_bytes),
                Some(Ok(())) => {
                    return Err(Error::new(ErrorKind::Internal, "the journal has ended"));
                }
                None => state = wait(&self.answers, state),
            }
        }
    }

    /// Waits until a barrier is due; returns the number of the last demand that it serves, or
    /// `None` once the journal has ended.
    pub(super) fn next(&self) -> Option<u64> {
        let mut state = self.lock();
        while state.ended.is_none() {
            let now = Instant::now();
            match self.due(&state, now) {
                Due::Now => {
                    state.changed = false;
                    state.new_bytes = 0;
                    state.began = now;
                    state.gap = (2 * state.gap).min(self.pace.interval);
                    return Some(state.asked);
                }
                Due::At(moment) => {
                    let timeout = moment.saturating_duration_since(now);
                    let waited = self.work.wait_timeout(state, timeout);
                    state = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
                Due::Later => {
                    if state.answered < state.asked {
                        // Nothing is new: what is recorded is all there is.
                        state.answered = state.asked;
                        self.answers.notify_all();
                    }
                    state = wait(&self.work, state);
                }
            }
        }
        None
    }

    /// The barrier that served this `demand`, and all before it, is through, and `durable_bytes`
    /// are recorded.
    pub(super) fn on_done(&self, demand: u64, durable_bytes: u64) {
        let now = Instant::now();
        let mut state = self.lock();
        state.pause_until = now + (now - state.began) * BARRIER_PAUSE_FACTOR;
        state.durable_bytes = durable_bytes;
        state.answered = demand;
        self.answers.notify_all();
    }

    /// No barrier is made any more; if `outcome` is an error, it is that of every later demand.
    pub(super) fn end(&self, outcome: Result<(), Error>) {
        self.lock().ended.get_or_insert(outcome);
        self.work.notify_one();
        self.answers.notify_all();
    }

    fn due(&self, state: &State, now: Instant) -> Due {
        if !state.changed {
            return Due::Later;
        }
        let is_full = state.new_bytes >= self.pace.bytes;
        let is_early = state.new_bytes <= BARRIER_EARLY_BYTES;
        let gap = if is_early { state.gap } else { self.pace.interval };
        let wanted = if is_full { now } else { state.began + gap };
        let moment = wanted.max(state.pause_until);
        if state.asked > state.answered || moment <= now { Due::Now } else { Due::At(moment) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wait<'a>(bell: &Condvar, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    bell.wait(state).unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: BarrierPace = BarrierPace { interval: Duration::from_secs(2), bytes: 1000 };

    fn due(pacer: &Pacer, now: Instant) -> Due {
        pacer.due(&pacer.lock(), now)
    }

    #[test]
    fn by_time_by_bytes_and_on_demand() {
        let start = Instant::now();
        let pacer = Pacer::new(PACE, start, 0, false);
        pacer.lock().gap = PACE.interval;
        assert_eq!(due(&pacer, start + PACE.interval), Due::Later, "nothing is new");
        pacer.on_change(999);
        assert_eq!(due(&pacer, start), Due::At(start + PACE.interval));
        assert_eq!(due(&pacer, start + PACE.interval), Due::Now);
        pacer.on_change(1);
        assert_eq!(due(&pacer, start), Due::Now);
        pacer.lock().new_bytes = 0;
        pacer.lock().asked = 1;
        assert_eq!(due(&pacer, start), Due::Now);
    }

    #[test]
    fn the_first_ones_come_early_unless_much_is_written() {
        let pace = BarrierPace { bytes: u64::MAX, ..PACE };
        let start = Instant::now();
        let pacer = Pacer::new(pace, start, 0, false);
        let mut gaps = Vec::new();
        for _ in 0..5 {
            pacer.on_change(1);
            let began = pacer.lock().began;
            let Due::At(at) = due(&pacer, began) else { panic!("not yet due") };
            gaps.push(at - began);
            // As a demand has it made at once.
            pacer.lock().asked += 1;
            let demand = pacer.next().unwrap();
            pacer.on_done(demand, 1);
            pacer.lock().pause_until = start;
        }
        let ms = Duration::from_millis;
        assert_eq!(gaps, [ms(250), ms(500), ms(1000), ms(2000), ms(2000)]);

        let pacer = Pacer::new(pace, start, 0, false);
        pacer.on_change(BARRIER_EARLY_BYTES + 1);
        assert_eq!(due(&pacer, start), Due::At(start + PACE.interval));
        let pacer = Pacer::new(BarrierPace { interval: ms(50), ..pace }, start, 0, false);
        pacer.on_change(1);
        assert_eq!(due(&pacer, start), Due::At(start + ms(50)), "never after the interval");
    }

    #[test]
    fn a_slow_barrier_is_followed_by_a_long_pause() {
        let start = Instant::now();
        let pacer = Pacer::new(PACE, start, 0, false);
        pacer.on_change(5000);
        let pause_until = start + Duration::from_secs(50);
        pacer.lock().pause_until = pause_until;
        assert_eq!(due(&pacer, start + Duration::from_secs(9)), Due::At(pause_until));
        pacer.lock().asked = 1;
        assert_eq!(due(&pacer, start + Duration::from_secs(9)), Due::Now, "on demand it is made");
    }

    #[test]
    fn a_demand_is_served_by_a_barrier_that_began_after_it() {
        let pacer = Pacer::new(PACE, Instant::now(), 7, true);
        std::thread::scope(|scope| {
            let first = scope.spawn(|| pacer.ask().unwrap());
            while pacer.lock().asked == 0 {
                std::thread::yield_now();
            }
            let demand = pacer.next().unwrap();
            // Comes too late for this barrier.
            pacer.on_change(1);
            let second = scope.spawn(|| pacer.ask().unwrap());
            while pacer.lock().asked == 1 {
                std::thread::yield_now();
            }
            pacer.on_done(demand, 100);
            assert_eq!(first.join().unwrap(), 100);
            let demand = pacer.next().unwrap();
            assert!(!second.is_finished());
            pacer.on_done(demand, 200);
            assert_eq!(second.join().unwrap(), 200);
        });
    }

    #[test]
    fn after_a_failure_everybody_hears_it() {
        let pacer = Pacer::new(PACE, Instant::now(), 0, true);
        pacer.end(Err(Error::new(ErrorKind::DiskFull, "no room")));
        pacer.end(Ok(()));
        assert_eq!(pacer.next(), None);
        for _ in 0..2 {
            assert_eq!(pacer.ask().unwrap_err().kind(), ErrorKind::DiskFull);
        }
    }
}
