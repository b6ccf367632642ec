//! The mean rate over a stretch of time, and how far it can be trusted. Must not know what is
//! measured.

use std::time::Duration;

/// The ticks of a stretch of time, added up.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Window {
    bytes: u64,
    lasted: Duration,
    ticks: u32,
    /// Ticks in which bytes came.
    flowing_ticks: u32,
    /// Sum of the ticks' rates.
    sum: f64,
    /// Sum of the squares of the ticks' rates.
    squares: f64,
}

/// What a window measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Mean {
    /// Bytes per second.
    pub(super) rate: f64,
    /// Standard error as a share of the rate; ticks are related, so twice what independent ones
    /// would have.
    pub(super) error: f64,
    /// Share of the ticks in which bytes came.
    pub(super) flowing: f64,
}

impl Window {
    pub(super) fn add(&mut self, bytes: u64, elapsed: Duration) {
        if elapsed.is_zero() {
            return;
        }
        let rate = bytes as f64 / elapsed.as_secs_f64();
        self.bytes += bytes;
        self.lasted += elapsed;
        self.ticks += 1;
        self.flowing_ticks += u32::from(bytes > 0);
        self.sum += rate;
        self.squares += rate * rate;
    }

    pub(super) fn lasted(&self) -> Duration {
        self.lasted
    }

    pub(super) fn mean(&self) -> Mean {
        if self.ticks == 0 || self.bytes == 0 {
            return Mean { rate: 0.0, error: 1.0, flowing: 0.0 };
        }
        let ticks = f64::from(self.ticks);
        let mean = self.sum / ticks;
        let variance = (self.squares / ticks - mean * mean).max(0.0);
        let rate = self.bytes as f64 / self.lasted.as_secs_f64();
        let flowing = f64::from(self.flowing_ticks) / ticks;
        Mean { rate, error: 2.0 * (variance / ticks).sqrt() / mean, flowing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(50);

    #[test]
    fn a_steady_rate_has_no_error_and_a_noisy_one_has() {
        let (mut steady, mut noisy) = (Window::default(), Window::default());
        for tick in 0..20 {
            steady.add(1000, TICK);
            noisy.add(if tick % 2 == 0 { 500 } else { 1500 }, TICK);
        }
        let (steady_mean, noisy_mean) = (steady.mean(), noisy.mean());
        assert!((steady_mean.rate - 20_000.0).abs() < 1e-6 && steady_mean.error < 1e-6);
        assert!((noisy_mean.rate - 20_000.0).abs() < 1e-6);
        // A deviation of a half over twenty ticks, doubled.
        assert!((noisy_mean.error - 1.0 / 20f64.sqrt()).abs() < 1e-6);
        assert_eq!(steady.lasted(), Duration::from_secs(1));
        assert_eq!(Window::default().mean().rate, 0.0);
    }
}
