//! What was served, and whether the rates were reached that were asked for: the lines of `serve`.
//! Owns their words. Must not know options or sockets.

use crate::base::size::{format_bytes, format_duration, format_rate};
use crate::server::{Shape, Stats};

use std::time::{Duration, Instant};

/// A path that gave less than this part of what it was asked for is not the one that was wanted.
const GIVEN_PART_MIN: f64 = 0.95;

/// The rates that were asked for, bytes per second.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rates {
    of_each: Option<u64>,
    in_all: Option<u64>,
}

impl Rates {
    pub(super) fn of(shape: &Shape) -> Self {
        Self { of_each: shape.connection_bytes_per_second, in_all: shape.total_bytes_per_second }
    }

    /// What was asked for and not given between two moments; `None` where this machine kept up.
    pub(super) fn shortfall(self, before: &Stats, after: &Stats) -> Option<String> {
        let given = after.body_bytes - before.body_bytes;
        let line = |rate: Option<u64>, missed: u64, whose: &str| {
            let part = given as f64 / (given + missed).max(1) as f64;
            let rate = rate.filter(|_| missed > 0 && part < GIVEN_PART_MIN)? as f64;
            let (asked, gave) = (format_rate(rate), format_rate(rate * part));
            Some(format!("asked for {asked}{whose}, gave {gave}: this machine is too slow or busy"))
        };
        let in_all = after.missed_bytes_in_all - before.missed_bytes_in_all;
        let of_each = after.missed_bytes_of_connections - before.missed_bytes_of_connections;
        line(self.in_all, in_all, "").or_else(|| line(self.of_each, of_each, " per connection"))
    }
}

/// The lines, and what the last one said.
pub(super) struct Report {
    rates: Rates,
    begin: Instant,
    last: Stats,
    last_at: Instant,
}

impl Report {
    pub(super) fn new(now: Instant, rates: Rates) -> Self {
        Self { rates, begin: now, last: Stats::default(), last_at: now }
    }

    /// What was served since the line before; `None` if nothing was.
    pub(super) fn next(&mut self, stats: &Stats, now: Instant) -> Option<String> {
        let last = std::mem::replace(&mut self.last, stats.clone());
        let last_at = self.last_at;
        self.last_at = now;
        let bytes = stats.body_bytes - last.body_bytes;
        let requests = stats.requests - last.requests;
        let connections = stats.connections - last.connections;
        if bytes == 0 && requests == 0 && connections == 0 {
            return None;
        }
        let shortfall = self.rates.shortfall(&last, stats);
        Some(format!(
            "{}: {requests} requests, {}, {}, {} connections open{}",
            format_duration(now - self.begin),
            format_bytes(bytes),
            rate(bytes, now - last_at),
            stats.connections_live,
            shortfall.map_or_else(String::new, |line| format!("; {line}")),
        ))
    }

    /// What was served in all.
    pub(super) fn total(&self, stats: &Stats, now: Instant) -> String {
        let mut line = format!(
            "served {} requests, {}, over {} connections, {} at a time, in {}",
            stats.requests,
            format_bytes(stats.body_bytes),
            stats.connections,
            stats.connections_peak,
            format_duration(now - self.begin),
        );
        for (count, what) in [
            (stats.requests_refused, "requests refused"),
            (stats.connections_refused, "connections refused"),
            (stats.connections_displaced, "idle connections made room for new ones"),
            (stats.connections_timed_out, "connections ended as idle, slow or unread"),
        ] {
            if count > 0 {
                line.push_str(&format!("; {count} {what}"));
            }
        }
        if let Some(shortfall) = self.rates.shortfall(&Stats::default(), stats) {
            line.push_str(&format!("; {shortfall}"));
        }
        line
    }
}

fn rate(bytes: u64, time: Duration) -> String {
    format_rate(bytes as f64 / time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_tell_what_is_new() {
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        let mut report = Report::new(begin, Rates { of_each: None, in_all: None });
        let mut stats = Stats::default();
        assert_eq!(report.next(&stats, after(10)), None);
        stats.requests = 3;
        stats.body_bytes = 4096;
        stats.connections = 2;
        stats.connections_live = 1;
        stats.connections_peak = 2;
        let line = report.next(&stats, after(14));
        let expected = "14.0 s: 3 requests, 4.00 KiB, 1.02 kB/s, 1 connections open";
        assert_eq!(line.as_deref(), Some(expected));
        assert_eq!(report.next(&stats, after(24)), None);
        let total = "served 3 requests, 4.00 KiB, over 2 connections, 2 at a time, in 25.0 s";
        assert_eq!(report.total(&stats, after(25)), total);
        stats.requests_refused = 4;
        assert!(report.total(&stats, after(25)).ends_with("; 4 requests refused"));
    }

    #[test]
    fn a_rate_that_was_not_reached_is_said() {
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        let rates = Rates { of_each: Some(2_000_000), in_all: Some(5_000_000) };
        let mut report = Report::new(begin, rates);
        let mut stats = Stats { body_bytes: 18_000_000, ..Stats::default() };
        stats.missed_bytes_in_all = 32_000_000;
        let line = report.next(&stats, after(10)).unwrap();
        assert!(line.contains("; asked for 5.00 MB/s, gave 1.80 MB/s: this machine"), "{line}");
        // The next interval is another one.
        stats.body_bytes += 49_000_000;
        stats.missed_bytes_in_all += 1_000_000;
        let line = report.next(&stats, after(20)).unwrap();
        assert!(!line.contains("asked"), "{line}");
        let total = report.total(&stats, after(20));
        assert!(total.contains("; asked for 5.00 MB/s, gave 3.35 MB/s"), "{total}");
        let stats = Stats { body_bytes: 1, missed_bytes_of_connections: 3, ..Stats::default() };
        let line = rates.shortfall(&Stats::default(), &stats).unwrap();
        assert!(line.starts_with("asked for 2.00 MB/s per connection, gave 500.00 kB/s"), "{line}");
    }
}
