//! Bytes per second, over a sliding window and weighted. Owns the samples; must not know what is
//! counted.

use super::limits::{
    RATE_SAMPLES_MAX, RATE_WINDOW, STEADY_RATE_AFTER, STEADY_RATE_MEMORY_MAX,
    STEADY_RATE_MEMORY_PART,
};
use std::collections::VecDeque;
use std::time::Duration;

/// The rate of a growing total over the last [`RATE_WINDOW`], from samples taken at any pace. Keeps
/// at most [`RATE_SAMPLES_MAX`] samples.
#[derive(Debug, Clone, Default)]
pub struct RateWindow {
    /// Oldest first; the first one is the base and may be older than the window.
    samples: VecDeque<Sample>,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Duration,
    total_bytes: u64,
}

impl RateWindow {
    /// Nothing is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// The total at `now`. A sample older than the last one is ignored.
    pub fn sample(&mut self, now: Duration, total_bytes: u64) {
        let newest = self.samples.back().map(|newest| newest.at);
        if newest.is_some_and(|at| now < at) {
            return;
        }
        let before = self.samples.iter().rev().nth(1).map(|before| before.at);
        // Closer than a step to its predecessor: the newest sample moves on instead.
        if newest.zip(before).is_some_and(|(newest, before)| newest - before < step_min()) {
            self.samples.pop_back();
        }
        self.samples.push_back(Sample { at: now, total_bytes });
        while self.samples.get(1).is_some_and(|second| second.at + RATE_WINDOW <= now) {
            self.samples.pop_front();
        }
        debug_assert!(self.samples.len() <= RATE_SAMPLES_MAX, "bounded by the step");
    }

    /// Bytes per second up to `now`: falls while nothing is sampled, 0 before two instants are
    /// known.
    pub fn bytes_per_second(&self, now: Duration) -> f64 {
        let (Some(base), Some(newest)) = (self.samples.front(), self.samples.back()) else {
            return 0.0;
        };
        let elapsed = now.max(newest.at).saturating_sub(base.at);
        if elapsed.is_zero() {
            return 0.0;
        }
        let gained_bytes = newest.total_bytes.saturating_sub(base.total_bytes);
        gained_bytes as f64 / elapsed.as_secs_f64()
    }
}

/// The rate of a growing total since its first byte, in which recent bytes count more: steadier
/// than a [`RateWindow`], and soon rid of a slow start. The time left is told by it.
#[derive(Debug, Clone, Default)]
pub struct SteadyRate {
    /// Where the total began to grow.
    first: Option<Sample>,
    newest: Option<Sample>,
    bytes_per_second: f64,
}

impl SteadyRate {
    /// The total at `now`. A sample closer than a step to the last one is ignored.
    pub fn sample(&mut self, now: Duration, total_bytes: u64) {
        let sample = Sample { at: now, total_bytes };
        let (Some(first), Some(newest)) = (self.first, self.newest) else {
            if total_bytes > 0 {
                (self.first, self.newest) = (Some(sample), Some(sample));
            }
            return;
        };
        let lasted = now.saturating_sub(newest.at);
        if lasted < step_min() {
            return;
        }
        let gained_bytes = total_bytes.saturating_sub(newest.total_bytes);
        let rate = gained_bytes as f64 / lasted.as_secs_f64();
        let flowing = newest.at - first.at;
        self.bytes_per_second = match flowing.is_zero() {
            true => rate,
            false => {
                let memory = (flowing / STEADY_RATE_MEMORY_PART).min(STEADY_RATE_MEMORY_MAX);
                smoothed(self.bytes_per_second, rate, lasted, memory)
            }
        };
        self.newest = Some(sample);
    }

    /// Bytes per second; `None` in the first second of the flow.
    pub fn bytes_per_second(&self) -> Option<f64> {
        let flowing = self.newest?.at - self.first?.at;
        (flowing >= STEADY_RATE_AFTER).then_some(self.bytes_per_second)
    }
}

/// An exponentially weighted mean: `old`, moved towards `sample` by the share of `memory` that the
/// sample's duration makes.
pub fn smoothed(old: f64, sample: f64, lasted: Duration, memory: Duration) -> f64 {
    let weight = 1.0 - (-lasted.as_secs_f64() / memory.as_secs_f64()).exp();
    old + weight * (sample - old)
}

/// The least distance between two samples that are both kept.
fn step_min() -> Duration {
    // The base, the newest sample and a rounded step stand beside the full ones.
    RATE_WINDOW / u32::try_from(RATE_SAMPLES_MAX - 3).expect("a small constant")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn sampled(step_ms: u64, until_ms: u64, bytes_per_ms: u64) -> RateWindow {
        let mut rate = RateWindow::new();
        for at in (0..=until_ms).step_by(usize::try_from(step_ms).unwrap()) {
            rate.sample(ms(at), at * bytes_per_ms);
        }
        rate
    }

    #[test]
    fn a_steady_total_has_its_rate_at_any_pace() {
        for step_ms in [1, 7, 100, 250, 5000] {
            let rate = sampled(step_ms, 20_000, 5).bytes_per_second(ms(20_000));
            assert!((rate - 5000.0).abs() < 10.0, "{rate} every {step_ms} ms");
        }
    }

    #[test]
    fn memory_is_bounded() {
        assert!(sampled(1, 20_000, 5).samples.len() <= RATE_SAMPLES_MAX);
        assert!(sampled(99, 20_000, 5).samples.len() <= RATE_SAMPLES_MAX);
        assert!(sampled(101, 20_000, 5).samples.len() <= RATE_SAMPLES_MAX);
    }

    #[test]
    fn the_past_is_forgotten_within_a_window() {
        let mut rate = sampled(50, 10_000, 5);
        for at in (10_050..=13_200).step_by(50) {
            rate.sample(ms(at), 50_000);
        }
        assert_eq!(rate.bytes_per_second(ms(13_200)), 0.0);
    }

    #[test]
    fn silence_lowers_the_rate() {
        let rate = sampled(100, 3000, 5);
        assert!(rate.bytes_per_second(ms(6000)) < 2600.0);
    }

    /// Samples every 100 ms of a flow that begins after 500 ms and brings `rate` bytes per
    /// millisecond at each time since then; the seconds that are told to be left of `whole_ms`.
    fn seconds_left(whole_ms: u64, rate: impl Fn(u64) -> u64) -> Vec<Option<f64>> {
        let total: u64 = (0..whole_ms).step_by(100).map(|at| 100 * rate(at)).sum();
        let (mut steady, mut done) = (SteadyRate::default(), 0);
        steady.sample(ms(100), 0);
        let left = |at| {
            steady.sample(ms(500 + at), done + 1);
            done += 100 * rate(at);
            steady.bytes_per_second().map(|rate| (total - done) as f64 / rate)
        };
        (0..whole_ms).step_by(100).map(left).collect()
    }

    #[test]
    fn no_time_left_is_told_in_the_first_second() {
        let left = seconds_left(30_000, |_| 5000);
        assert!(left[..10].iter().all(Option::is_none) && left[10].is_some(), "{:?}", &left[..12]);
        for (index, left) in left.iter().enumerate().skip(10) {
            let (told, is) = (left.unwrap(), 30.0 - index as f64 / 10.0);
            assert!((told - is).abs() < 0.2, "{told} s told where {is} s are left");
        }
    }

    #[test]
    fn a_slow_start_is_soon_forgotten() {
        // Doubles each 100 ms, as TCP does; and 1, 2, 4 and 8 connections, half a second each.
        let ramps: [fn(u64) -> u64; 2] = [
            |at| 5000 >> 8u64.saturating_sub(at / 100),
            |at| 5000 >> 3u64.saturating_sub(at / 500),
        ];
        for ramp in ramps {
            let left = seconds_left(30_000, ramp);
            let told: Vec<f64> = left.iter().copied().flatten().collect();
            assert!(told.iter().all(|told| *told < 120.0), "{told:?}");
            let (at_3s, is) = (left[30].unwrap(), 27.0);
            assert!((at_3s - is).abs() < 8.0, "{at_3s} s told after 3 s");
        }
    }

    #[test]
    fn a_burst_moves_a_steady_rate_little() {
        let left = seconds_left(60_000, |at| if at == 30_000 { 50_000 } else { 5000 });
        let (before, behind) = (left[300].unwrap(), left[302].unwrap());
        assert!(behind > 0.8 * before, "{before} s, then {behind} s");
    }

    #[test]
    fn too_little_is_known_to_say() {
        let mut rate = RateWindow::new();
        assert_eq!(rate.bytes_per_second(ms(5)), 0.0);
        rate.sample(ms(5), 100);
        assert_eq!(rate.bytes_per_second(ms(5)), 0.0);
        rate.sample(ms(4), 900);
        assert_eq!(rate.bytes_per_second(ms(10)), 0.0, "a late sample is ignored");
    }
}
