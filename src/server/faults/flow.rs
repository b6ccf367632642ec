//! What all connections of a server share: the total rate, and who may be answered.
//!
//! Owns which total rate applies when. States: usual, crowded (too many connections are open, and
//! patience runs), throttled; beside them, before or after the rate step. Pure; time is an
//! argument. Must not know HTTP or sockets.

use super::pacer::{Booking, Pacer};
use super::shape::{RateStep, Shape, StepAfter, Throttle};
use crate::server::stop::lock;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The shared flow of bytes.
#[derive(Debug)]
pub(in crate::server) struct Flow {
    total_bytes_per_second: Option<u64>,
    throttle: Option<Throttle>,
    step: Option<RateStep>,
    answers_max: usize,
    pacer: Pacer,
    /// Open connections.
    connections: usize,
    /// Requests being answered.
    answers: usize,
    /// Those of them that are past their delays.
    senders: usize,
    crowded_since: Option<Instant>,
    throttled_until: Option<Instant>,
    first_body_at: Option<Instant>,
    body_bytes: u64,
}

impl Flow {
    pub(in crate::server) fn new(shape: &Shape, now: Instant) -> Self {
        Self {
            total_bytes_per_second: shape.total_bytes_per_second,
            throttle: shape.throttle,
            step: shape.step,
            answers_max: shape.refusal.map_or(usize::MAX, |refusal| refusal.answers_max),
            pacer: Pacer::new(shape.total_bytes_per_second, now),
            connections: 0,
            answers: 0,
            senders: 0,
            crowded_since: None,
            throttled_until: None,
            first_body_at: None,
            body_bytes: 0,
        }
    }

    /// One more connection is open.
    pub(in crate::server) fn joined(&mut self, now: Instant) {
        self.connections += 1;
        self.watch_crowd(now);
    }

    /// One connection fewer is open.
    pub(in crate::server) fn left(&mut self, now: Instant) {
        self.connections -= 1;
        self.watch_crowd(now);
    }

    /// Books `bytes`, of which `body_bytes` belong to a body. Connections send in the order in
    /// which they book, and none books again before it has sent, so all get the same share.
    pub(in crate::server) fn book(
        &mut self,
        bytes: usize,
        body_bytes: u64,
        now: Instant,
    ) -> Booking {
        self.set_rate(now);
        let booking = self.pacer.book(bytes, now);
        if body_bytes > 0 {
            self.first_body_at.get_or_insert(now + booking.wait);
            self.body_bytes = self.body_bytes.saturating_add(body_bytes);
        }
        booking
    }

    /// A wait for a booking took this much longer than was asked for.
    pub(in crate::server) fn overslept(&mut self, late: Duration) {
        self.pacer.overslept(late);
    }

    /// Indicates whether bytes never wait.
    pub(in crate::server) fn is_unlimited(&self) -> bool {
        self.pacer.is_unlimited()
    }

    /// Bytes one connection sends at a time at the rate of this moment, 1 to `most`.
    pub(in crate::server) fn piece_bytes(&mut self, most: usize, now: Instant) -> usize {
        self.set_rate(now);
        self.pacer.piece_bytes(self.senders, most)
    }

    fn set_rate(&mut self, now: Instant) {
        let rate = self.rate(now);
        self.pacer.set_rate(rate, now);
    }

    /// The total rate of this moment.
    fn rate(&mut self, now: Instant) -> Option<u64> {
        self.watch_crowd(now);
        let throttle = self.throttle.filter(|_| self.throttled_until.is_some());
        let step = self.step.filter(|step| self.is_behind(step.after, now));
        throttle
            .map(|throttle| throttle.total_bytes_per_second)
            .or(step.map(|step| step.total_bytes_per_second))
            .or(self.total_bytes_per_second)
    }

    fn is_behind(&self, step: StepAfter, now: Instant) -> bool {
        match step {
            StepAfter::Time(time) => self.first_body_at.is_some_and(|first| now >= first + time),
            StepAfter::Bytes(bytes) => self.body_bytes >= bytes,
        }
    }

    /// Moves between usual, crowded and throttled.
    fn watch_crowd(&mut self, now: Instant) {
        let Some(throttle) = self.throttle else { return };
        if let Some(until) = self.throttled_until {
            if now < until {
                return;
            }
            self.throttled_until = None;
            self.crowded_since = None;
        }
        if self.connections <= throttle.connections {
            self.crowded_since = None;
            return;
        }
        let since = *self.crowded_since.get_or_insert(now);
        if now.saturating_duration_since(since) > throttle.patience {
            self.throttled_until = Some(now + throttle.penalty);
        }
    }
}

/// The right to be answered, given back when dropped.
pub(in crate::server) struct Place<'a> {
    flow: &'a Mutex<Flow>,
    sends: bool,
}

impl<'a> Place<'a> {
    /// A place, unless as many answers as are allowed are under way.
    pub(in crate::server) fn take(flow: &'a Mutex<Flow>) -> Option<Self> {
        let mut state = lock(flow);
        if state.answers >= state.answers_max {
            return None;
        }
        state.answers += 1;
        Some(Self { flow, sends: false })
    }

    /// Bytes follow from `now` on. `was_idle` is whether this connection had nothing to send just
    /// before; if nobody else had, the total rate has not been used and earns no credit for it.
    pub(in crate::server) fn send(&mut self, was_idle: bool, now: Instant) {
        let mut state = lock(self.flow);
        if was_idle && state.senders == 0 {
            state.pacer.restart(now);
        }
        if !self.sends {
            self.sends = true;
            state.senders += 1;
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = lock(self.flow);
        state.answers -= 1;
        state.senders -= usize::from(self.sends);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn usual() -> Shape {
        Shape { total_bytes_per_second: Some(1000), ..Shape::default() }
    }

    #[test]
    fn the_throttle_waits_collapses_and_forgives() {
        let throttle = Throttle {
            connections: 2,
            patience: SECOND,
            penalty: 5 * SECOND,
            total_bytes_per_second: 10,
        };
        let begin = Instant::now();
        let mut flow = Flow::new(&Shape { throttle: Some(throttle), ..usual() }, begin);
        for _ in 0..3 {
            flow.joined(begin);
        }
        assert_eq!(flow.rate(begin + SECOND), Some(1000));
        // Patience begins anew when one leaves in time.
        flow.left(begin + SECOND);
        flow.joined(begin + SECOND);
        assert_eq!(flow.rate(begin + 2 * SECOND), Some(1000));
        let collapse = begin + SECOND * 21 / 10;
        assert_eq!(flow.rate(collapse), Some(10));
        // To leave does not help before the penalty is over.
        flow.left(collapse);
        assert_eq!(flow.rate(collapse + SECOND * 49 / 10), Some(10));
        assert_eq!(flow.rate(collapse + 5 * SECOND), Some(1000));
        flow.joined(collapse + 6 * SECOND);
        assert_eq!(flow.rate(collapse + 7 * SECOND), Some(1000));
        assert_eq!(flow.rate(collapse + 8 * SECOND), Some(10));
    }

    #[test]
    fn the_rate_steps_by_time_from_the_first_body_byte() {
        let step = RateStep { after: StepAfter::Time(SECOND), total_bytes_per_second: 4000 };
        let begin = Instant::now();
        let mut flow = Flow::new(&Shape { step: Some(step), ..usual() }, begin);
        flow.book(10, 0, begin);
        let first = begin + 60 * SECOND;
        flow.book(10, 10, first);
        assert_eq!(flow.rate(first + SECOND / 2), Some(1000));
        assert_eq!(flow.rate(first + SECOND), Some(4000));
    }

    #[test]
    fn the_rate_steps_by_bytes() {
        let step = RateStep { after: StepAfter::Bytes(100), total_bytes_per_second: 10 };
        let now = Instant::now();
        let mut flow = Flow::new(&Shape { step: Some(step), ..usual() }, now);
        flow.book(1000, 99, now);
        assert_eq!(flow.rate(now), Some(1000));
        flow.book(1000, 1, now);
        assert_eq!(flow.rate(now), Some(10));
    }

    #[test]
    fn all_senders_get_the_same_share() {
        let now = Instant::now();
        let mut flow = Flow::new(&usual(), now);
        // Whoever waits shortest books next, as threads do; one of them joins late.
        let mut ready = [Duration::ZERO, Duration::ZERO, Duration::ZERO, SECOND];
        let mut bytes = [0_u64; 4];
        for _ in 0..1000 {
            let next = (0..4).min_by_key(|&i| ready[i]).unwrap();
            bytes[next] += 10;
            let at = now + ready[next];
            ready[next] += flow.book(10, 10, at).wait.max(Duration::from_micros(1));
        }
        assert!(bytes[..3].iter().all(|b| b.abs_diff(2580) <= 20), "{bytes:?}");
        assert!(bytes[3].abs_diff(2250) <= 30, "{bytes:?}");
    }

    #[test]
    fn places_are_limited_and_come_back() {
        let refusal = crate::server::Refusal { answers_max: 2, status: 503, retry_after: None };
        let shape = Shape { refusal: Some(refusal), ..usual() };
        let flow = Mutex::new(Flow::new(&shape, Instant::now()));
        let first = Place::take(&flow);
        let second = Place::take(&flow);
        assert!(first.is_some() && second.is_some() && Place::take(&flow).is_none());
        drop(first);
        assert!(Place::take(&flow).is_some());
    }

    #[test]
    fn an_idle_total_earns_no_credit() {
        let begin = Instant::now();
        let later = begin + 60 * SECOND;
        let flow = Mutex::new(Flow::new(&usual(), begin));
        let mut place = Place::take(&flow).unwrap();
        place.send(true, later);
        lock(&flow).book(100, 100, later);
        assert_eq!(lock(&flow).book(1, 1, later).wait, SECOND / 10);
        // Another one that was idle changes nothing while this one sends.
        let mut other = Place::take(&flow).unwrap();
        other.send(true, later + SECOND);
        drop((place, other));
        let state = lock(&flow);
        assert_eq!((state.answers, state.senders), (0, 0));
    }
}
