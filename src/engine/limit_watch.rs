//! How long the caller's own limits of the rate have held a client's connections up, for whoever
//! runs many transfers on it. Owns that sum and the verdict; must not know the transfers.

use super::client::Client;
use crate::plan::own_limit;
use std::time::{Duration, Instant};

/// Looks at a client's limits now and then. What was waited for since the last look counts as that
/// for all of the time.
pub struct LimitWatch {
    client: Client,
    looked_at: Instant,
    held: Held,
}

/// Time in which limits were waited for, by the option that sets them.
#[derive(Debug, Default)]
struct Held {
    by_option: Vec<(&'static str, Duration)>,
}

impl LimitWatch {
    /// Counts from now on.
    pub fn new(client: &Client) -> Self {
        Self { client: client.clone(), looked_at: Instant::now(), held: Held::default() }
    }

    /// Takes note of what was waited for since the last look.
    pub fn look(&mut self) {
        let now = Instant::now();
        if let Some(option) = self.client.shared().rates.waited_for_since(self.looked_at) {
            self.held.add(option, now - self.looked_at);
        }
        self.looked_at = now;
    }

    /// That a limit was what bounded `bytes` in this time, if it was.
    pub fn verdict(&self, bytes: u64, elapsed: Duration) -> Option<String> {
        self.held.verdict(bytes, elapsed)
    }
}

impl Held {
    fn add(&mut self, option: &'static str, time: Duration) {
        match self.by_option.iter_mut().find(|(other, _)| *other == option) {
            Some((_, sum)) => *sum += time,
            None => self.by_option.push((option, time)),
        }
    }

    /// Names the option that was waited for longest.
    fn verdict(&self, bytes: u64, elapsed: Duration) -> Option<String> {
        let elapsed_s = elapsed.as_secs_f64().max(1e-6);
        let (option, _) = self.by_option.iter().max_by_key(|(_, time)| *time)?;
        let held_s: f64 = self.by_option.iter().map(|(_, time)| time.as_secs_f64()).sum();
        let limiter = own_limit(Some(option), bytes as f64 / elapsed_s, held_s / elapsed_s)?;
        Some(limiter.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_waited_for_half_of_the_time_is_the_limit() {
        let (mut held, second) = (Held::default(), Duration::from_secs(1));
        let of_ten = |held: &Held| held.verdict(100_000_000, 10 * second);
        assert_eq!(of_ten(&held), None);
        held.add("--limit-rate-per-host", 2 * second);
        held.add("--limit-rate", second);
        assert_eq!(of_ten(&held), None);
        held.add("--limit-rate", 6 * second);
        let words = "your own limit (--limit-rate): 10.00 MB/s, 90 % of the time at it";
        assert_eq!(of_ten(&held).as_deref(), Some(words));
    }
}
