//! The shared part of the world: the link, its queue, its noise, the disk, the server's total. Owns
//! how the bytes per second are shared out and how the flows' windows react; must not know who
//! asks for what.

pub(super) mod flow;

use super::{Line, Throttling, World};
use flow::SEGMENT_BYTES;

/// Bytes received and not yet on the disk that the buffers hold.
const POOL_BYTES: f64 = 64.0 * 1024.0 * 1024.0;
/// Length of a bin of noise, in seconds.
const BIN_S: f64 = 0.1;
/// Share of a bin's noise that is left in the next one.
const BIN_MEMORY: f64 = 0.7;

impl World {
    /// Time passes at the present rates.
    pub(in crate::sim) fn carry(&mut self, dt_s: f64) {
        let mut bytes = 0.0;
        for (line, rate) in self.slots.iter_mut().zip(&self.rates) {
            if let Some(line) = line {
                line.flow.carry(rate * dt_s);
                bytes += rate * dt_s;
            }
        }
        let disk = self.scenario.path.disk_bytes_per_s;
        if disk.is_finite() {
            self.backlog_bytes = (self.backlog_bytes + bytes - disk * dt_s).max(0.0);
            let full_at = if self.is_disk_full { 0.95 * POOL_BYTES } else { POOL_BYTES };
            self.is_disk_full = self.backlog_bytes >= full_at;
        }
    }

    /// Windows grow and shrink, noise changes, faults come and go.
    pub(in crate::sim) fn step(&mut self, now_s: f64) {
        let dt_s = now_s - self.stepped_to_s;
        self.stepped_to_s = now_s;
        while self.next_bin_s <= now_s {
            self.draw_noise();
        }
        self.throttle(now_s);
        for index in 0..self.slots.len() {
            let limit = self.line_limit(now_s, index);
            if let Some(line) = &mut self.slots[index] {
                line.limit_bytes_per_s = limit;
            }
        }
        self.move_windows(now_s, dt_s);
        self.overflow(now_s);
    }

    /// Shares the link out anew: max-min fairness among what windows and limits let through.
    pub(in crate::sim) fn share(&mut self, now_s: f64) {
        for (line, rate) in self.slots.iter().zip(&mut self.rates) {
            *rate = match line {
                Some(line) if line.is_receiving && now_s < line.silent_from_s => {
                    (line.flow.window_bytes() / line.rtt_s).min(line.limit_bytes_per_s)
                }
                _ => 0.0,
            };
        }
        for (index, address) in self.scenario.server.addresses.iter().enumerate() {
            if address.bytes_per_s.is_finite() {
                let at_address =
                    |line: &Option<Line>| line.as_ref().is_some_and(|line| line.address == index);
                let slots = self.slots.iter().map(at_address);
                fill(address.bytes_per_s, &mut self.rates, slots, 0);
            }
        }
        self.offered = self.rates.iter().sum();
        let all = || std::iter::repeat(true);
        let link = self.capacity(now_s);
        let rivals = self.scenario.path.rivals;
        fill(link, &mut self.rates, all(), rivals);
        self.granted = self.rates.iter().sum();
        let total = self.server_total(now_s);
        self.is_server_bound = self.granted > total;
        fill(total, &mut self.rates, all(), 0);
        if self.is_disk_full {
            fill(self.scenario.path.disk_bytes_per_s, &mut self.rates, all(), 0);
        }
    }

    fn draw_noise(&mut self) {
        self.next_bin_s += BIN_S;
        let fresh = (1.0 - BIN_MEMORY * BIN_MEMORY).sqrt();
        self.noise = BIN_MEMORY * self.noise + fresh * self.noise_rng.normal();
        if self.scenario.server.connection_noise > 0.0 {
            for line in self.slots.iter_mut().flatten() {
                line.noise = BIN_MEMORY * line.noise + fresh * self.dice.normal();
            }
        }
    }

    fn throttle(&mut self, now_s: f64) {
        let Some(throttle) = self.scenario.server.throttle else { return };
        if !self.has_faults(now_s) {
            self.throttling = Throttling::default();
            return;
        }
        let is_over = self.open_count() > throttle.above as usize;
        if !is_over || now_s < self.throttling.until_s {
            self.throttling.over_since_s = None;
            return;
        }
        let since_s = *self.throttling.over_since_s.get_or_insert(now_s);
        if now_s - since_s >= throttle.burst_s {
            self.throttling.until_s = now_s + throttle.penalty_s;
        }
    }

    fn capacity(&self, now_s: f64) -> f64 {
        let path = &self.scenario.path;
        let step = path.steps.iter().rev().find(|(from_s, _)| *from_s <= now_s);
        let factor = step.map_or(1.0, |(_, factor)| *factor);
        path.link_bytes_per_s * factor * (1.0 + path.noise * self.noise).clamp(0.1, 2.0)
    }

    /// What the server sends to all connections together.
    fn server_total(&self, now_s: f64) -> f64 {
        let server = &self.scenario.server;
        let served = self.rates.iter().filter(|rate| **rate > 0.0).count();
        let total = server.total_bytes_per_s / (1.0 + server.crowding * (served as f64 - 1.0));
        let punished = server.throttle.filter(|_| now_s < self.throttling.until_s);
        punished.map_or(total, |throttle| throttle.bytes_per_s.min(total))
    }

    /// Growth where the window is what limits; random losses.
    fn move_windows(&mut self, now_s: f64, dt_s: f64) {
        let path = &self.scenario.path;
        let has_room = !self.is_disk_full && !self.is_server_bound;
        for line in self.slots.iter_mut().flatten() {
            let carried = line.flow.take_carried();
            if carried <= 0.0 {
                continue;
            }
            let loss = 1.0 - (1.0 - path.loss).powf(carried / SEGMENT_BYTES);
            if path.loss > 0.0 && self.dice.chance(loss) {
                line.flow.cut(now_s, line.rtt_s);
            } else if has_room && line.flow.window_bytes() <= line.limit_bytes_per_s * line.rtt_s {
                line.flow.grow(dt_s, line.rtt_s, path.window_bytes);
            }
        }
    }

    /// More is under way than link and queue hold: some flow, the likelier the faster it is, loses
    /// a packet, and another one, until it fits.
    fn overflow(&mut self, now_s: f64) {
        let held = self.granted * (1.0 + self.scenario.path.buffer_bdp) * 1.001;
        let mut excess = self.offered - held;
        for _ in 0..self.slots.len() {
            if excess <= 0.0 {
                return;
            }
            let mut mark = self.dice.unit() * self.granted;
            for (line, rate) in self.slots.iter_mut().zip(&self.rates) {
                mark -= rate;
                if let Some(line) = line.as_mut().filter(|_| mark < 0.0) {
                    let before = line.flow.window_bytes();
                    if line.flow.cut(now_s, line.rtt_s) {
                        excess -= (before - line.flow.window_bytes()) / line.rtt_s;
                    }
                    break;
                }
            }
        }
    }
}

/// Lowers `rates` so that the chosen ones and `rivals` greedy others fit into `capacity`, each
/// getting what it asks for up to one common level.
fn fill(capacity: f64, rates: &mut [f64], chosen: impl Iterator<Item = bool> + Clone, rivals: u32) {
    let asking = |rates: &[f64], above: f64| {
        let of = rates.iter().copied().zip(chosen.clone());
        of.filter(move |(rate, chosen)| *chosen && *rate > above)
            .fold((0.0, 0.0), |(count, sum), (rate, _)| (count + 1.0, sum + rate))
    };
    let (_, sum) = asking(rates, 0.0);
    if sum <= capacity && rivals == 0 {
        return;
    }
    // The level rises as those below it are found: each round fixes at least one flow.
    let mut level = 0.0;
    for _ in 0..=rates.len() {
        let (above_count, above_sum) = asking(rates, level);
        let spare = capacity - (sum - above_sum);
        let next = spare / (above_count + f64::from(rivals)).max(1.0);
        if next <= level * (1.0 + 1e-12) {
            break;
        }
        level = next;
    }
    for (rate, chosen) in rates.iter_mut().zip(chosen.clone()) {
        if chosen {
            *rate = rate.min(level);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(capacity: f64, rates: &[f64], rivals: u32) -> Vec<f64> {
        let mut rates = rates.to_vec();
        fill(capacity, &mut rates, std::iter::repeat(true), rivals);
        rates
    }

    #[test]
    fn a_link_is_shared_max_min() {
        assert_eq!(filled(10.0, &[1.0, 2.0, 3.0], 0), [1.0, 2.0, 3.0]);
        assert_eq!(filled(6.0, &[1.0, 9.0, 0.0, 9.0], 0), [1.0, 2.5, 0.0, 2.5]);
        assert_eq!(filled(9.0, &[9.0, 9.0], 1), [3.0, 3.0]);
        assert_eq!(filled(9.0, &[1.0, 9.0], 1), [1.0, 4.0]);
        assert_eq!(filled(9.0, &[1.0], 2), [1.0]);
    }
}
