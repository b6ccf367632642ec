//! The rate that connections settle at, once slow start and the queue it fills are over. Must not
//! know why anybody asks.

use super::super::window::Window;
use std::time::Duration;

/// Least time of one stretch of measurement: a tick.
const STRETCH_MIN: Duration = Duration::from_millis(50);
/// The same where a round trip takes nearly as long as that: a tick may meet two of slow start's
/// bursts or none, and what has come around a hole is reckoned.
const STRETCH_MIN_FAR: Duration = Duration::from_millis(100);
const FAR: Duration = Duration::from_millis(40);
/// Slow start goes on while a stretch brings this multiple of the best one before it: it doubles
/// the rate within a round trip.
const GROWS: f64 = 1.4;
/// The same at the start, where answers are short and slow start pauses between them.
const GROWS_START: f64 = 1.15;
/// Stretches without growth that end the wait.
const FLAT_MIN: u32 = 2;
/// Two stretches that differ by no more than this are enough.
const STEADY: f64 = 0.05;
/// Stretches after which the rate is taken as it is: no path doubles its rate for longer.
const STRETCHES_MAX: u32 = 16;

/// Looks at one stretch of time after the other until the rate has stopped growing.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Settling {
    window: Window,
    /// Indicates whether these are the first answers of a transfer over few connections.
    is_start: bool,
    stretches: u32,
    /// The best stretch, bytes per second.
    best: f64,
    /// Stretches in a row that did not grow.
    flat: u32,
    /// The stretch before, bytes per second.
    previous: f64,
    /// Indicates whether the latest two stretches hardly differ.
    is_steady: bool,
    /// The lesser of the latest two stretches, bytes per second.
    lately: f64,
}

impl Settling {
    /// For the first answers of a transfer over few connections.
    pub(super) fn at_start() -> Self {
        Self { is_start: true, ..Self::default() }
    }

    /// `bytes` came within `elapsed`. The rate in bytes per second, once it has settled: the
    /// better one of the last two stretches, as a gap between two answers makes a hole in one.
    pub(super) fn add(&mut self, bytes: u64, elapsed: Duration, tau: Duration) -> Option<f64> {
        self.window.add(bytes, elapsed);
        let is_far = tau >= FAR;
        let stretch_min = if is_far { STRETCH_MIN_FAR } else { STRETCH_MIN };
        if self.window.lasted() < stretch_min.max(tau) {
            return None;
        }
        let rate = self.window.mean().rate;
        self.window = Window::default();
        self.stretches += 1;
        let grows = if self.is_start { GROWS_START } else { GROWS };
        let has_grown = rate > grows * self.best || self.stretches == 1;
        self.flat = if has_grown { 0 } else { self.flat + 1 };
        self.best = self.best.max(rate);
        let recent = rate.max(self.previous);
        self.is_steady =
            self.stretches > 1 && (rate - self.previous).abs() <= STEADY * self.previous;
        self.lately = rate.min(self.previous);
        self.previous = rate;
        (self.is_steady || self.flat >= FLAT_MIN || self.stretches >= STRETCHES_MAX)
            .then_some(recent)
    }

    /// Whether the latest two stretches hardly differ.
    pub(super) fn is_steady(&self) -> bool {
        self.is_steady
    }

    /// The best stretch, bytes per second.
    pub(super) fn best(&self) -> f64 {
        self.best
    }

    /// The rate of the latest `stretches` at least, one or two, bytes per second, settled or not; 0
    /// where there are not as many.
    pub(super) fn at_least(&self, stretches: u32) -> f64 {
        match stretches {
            _ if self.stretches < stretches => 0.0,
            1 => self.previous,
            _ => self.lately,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ceil;
    use super::*;

    const TICK: Duration = Duration::from_millis(50);

    fn settle(tau_ms: u64, rate: impl Fn(u32) -> f64) -> (u32, f64) {
        let mut settling = Settling::default();
        for tick in 0..1000 {
            let bytes = u64::from(ceil(rate(tick) * 0.05));
            if let Some(settled) = settling.add(bytes, TICK, Duration::from_millis(tau_ms)) {
                return (tick, settled);
            }
        }
        panic!("it never settles");
    }

    #[test]
    fn slow_start_is_waited_for() {
        // Doubles every 100 ms up to 64 MB/s.
        let (tick, rate) = settle(100, |tick| 1e6 * 2f64.powi(tick as i32 / 2).min(64.0));
        assert!((14..=18).contains(&tick) && (rate - 64e6).abs() < 1e6, "{tick} {rate}");
    }

    #[test]
    fn what_is_flat_settles_at_once() {
        let (tick, rate) = settle(20, |_| 3e6);
        assert!(tick <= 6 && (rate - 3e6).abs() < 1e3, "{tick} {rate}");
    }

    #[test]
    fn two_bursts_in_one_tick_are_no_end_of_slow_start() {
        // One burst in each round trip of 45 ms, twice as large as the one before; the second and
        // the third share a tick, and the next tick has as much.
        let ticks = [1e6, 6e6, 6e6, 16e6, 32e6, 32e6, 32e6, 32e6, 32e6, 32e6];
        let mut settling = Settling::at_start();
        let settled = ticks.iter().enumerate().find_map(|(tick, rate)| {
            let bytes = u64::from(ceil(rate * 0.05));
            Some((tick, settling.add(bytes, TICK, Duration::from_millis(45))?))
        });
        assert_eq!(settled, Some((7, 32e6)));
    }

    #[test]
    fn a_path_that_grows_for_ever_settles_too() {
        let (tick, _) = settle(100, |tick| 1e6 * 1.2f64.powi(tick as i32));
        assert_eq!(tick, 31, "sixteen stretches of two ticks");
    }
}
