//! The network as a fluid: a link shared max-min fairly among flows whose rates are constant
//! between two events. Owns the flows, how the bytes per second are shared out and how windows
//! react; must not know who asks for what.
//!
//! Rates change when [`Fluid::share`] is called, never in between; windows with [`Fluid::step`].

mod flow;

use super::Line;
use super::ground::Ground;
use super::tcp::TcpState;
use crate::sim::rng::Rng;
use crate::sim::scenario::{Path, Scenario};
use flow::{Flow, SEGMENT_BYTES};

/// Bytes of a packet over the bytes of its payload.
const HEADER_FACTOR: f64 = 1500.0 / SEGMENT_BYTES;

/// Flows on a link.
#[derive(Debug)]
pub(super) struct Fluid {
    flows: Vec<Option<Flow>>,
    /// Rates as last shared out, by slot, in bytes per second.
    rates: Vec<f64>,
    /// Bytes that came since the last event, by slot.
    arrived: Vec<f64>,
    /// Round trip of the path.
    rtt_s: f64,
    /// The last call of [`Fluid::step`].
    stepped_to_s: f64,
    /// Indicates by server whether that as a whole, not the network, is what limits.
    are_servers_bound: Vec<bool>,
    /// Bytes per second that all flows together offered to the link.
    offered: f64,
    /// Bytes per second that the link carried of them.
    granted: f64,
    /// Payload that came, or was on its way when its connection was closed.
    payload_bytes: f64,
}

impl Fluid {
    pub(super) fn new(scenario: &Scenario, slots: usize) -> Self {
        Self {
            flows: (0..slots).map(|_| None).collect(),
            rates: vec![0.0; slots],
            arrived: vec![0.0; slots],
            rtt_s: scenario.path.rtt_s,
            stepped_to_s: 0.0,
            are_servers_bound: vec![false; scenario.sources().count()],
            offered: 0.0,
            granted: 0.0,
            payload_bytes: 0.0,
        }
    }

    pub(super) fn step_s(&self) -> f64 {
        self.rtt_s.clamp(0.002, 0.01)
    }

    pub(super) fn open(&mut self, slot: usize, ready_s: f64) {
        self.flows[slot] = Some(Flow::new(ready_s));
    }

    /// The connection has carried this number of bytes before.
    pub(super) fn warm(&mut self, slot: usize, bytes: f64) {
        self.flow(slot).warm(bytes);
    }

    /// What is under way on the connection comes in vain: about a round trip's worth.
    pub(super) fn close(&mut self, slot: usize, rtt_s: f64) {
        self.payload_bytes += self.rates[slot] * rtt_s;
        self.flows[slot] = None;
        self.rates[slot] = 0.0;
    }

    pub(super) fn start(&mut self, now_s: f64, slot: usize, rtt_s: f64) {
        self.flow(slot).resume(now_s, rtt_s);
    }

    pub(super) fn stop(&mut self, now_s: f64, slot: usize) {
        self.flow(slot).rest(now_s);
        self.rates[slot] = 0.0;
    }

    pub(super) fn rate(&self, slot: usize) -> f64 {
        self.rates[slot]
    }

    /// What a client's kernel would tell: losses show as packets that come behind a hole.
    pub(super) fn info(&self, slot: usize) -> Option<TcpState> {
        let (received, losses) = self.flows[slot].as_ref()?.arrivals();
        #[allow(clippy::cast_possible_truncation, reason = "no connection carries that much")]
        #[allow(clippy::cast_sign_loss, reason = "not below 0")]
        let received_bytes = received as u64;
        Some(TcpState {
            rtt_s: self.rtt_s,
            rtt_deviation_s: 0.0,
            receive_rtt_s: self.rtt_s,
            since_data_s: 0.0,
            unread_bytes: 0,
            memory_bytes: 0,
            out_of_order_packets: losses,
            received_bytes,
        })
    }

    pub(super) fn wire_bytes(&self) -> f64 {
        self.payload_bytes * HEADER_FACTOR
    }

    /// What came since the last event, at most this; the rest is lost.
    pub(super) fn read(&mut self, slot: usize, bytes_max: f64) -> f64 {
        std::mem::take(&mut self.arrived[slot]).min(bytes_max)
    }

    /// Time passes at the present rates; returns the bytes that come.
    pub(super) fn carry(&mut self, dt_s: f64) -> f64 {
        let mut bytes = 0.0;
        for (slot, flow) in self.flows.iter_mut().enumerate() {
            self.arrived[slot] = self.rates[slot] * dt_s;
            if let Some(flow) = flow {
                flow.carry(self.rates[slot] * dt_s);
                bytes += self.rates[slot] * dt_s;
            }
        }
        self.payload_bytes += bytes;
        bytes
    }

    /// Windows grow and shrink.
    pub(super) fn step(&mut self, ground: &Ground<'_>, dice: &mut Rng) {
        let dt_s = ground.now_s - self.stepped_to_s;
        self.stepped_to_s = ground.now_s;
        self.move_windows(ground, dt_s, dice);
        self.overflow(ground, dice);
    }

    /// Shares the link out anew: max-min fairness among what windows and limits let through.
    pub(super) fn share(&mut self, ground: &Ground<'_>) {
        for (slot, rate) in self.rates.iter_mut().enumerate() {
            *rate = match (&ground.lines[slot], &self.flows[slot]) {
                (Some(line), Some(flow))
                    if line.is_receiving && ground.now_s < line.silent_from_s =>
                {
                    (flow.window_bytes() / line.rtt_s).min(line.limit_bytes_per_s)
                }
                _ => 0.0,
            };
        }
        let Path { rivals, disk_bytes_per_s, .. } = ground.scenario.path;
        for (source, server) in ground.scenario.sources().enumerate() {
            for (index, address) in server.addresses.iter().enumerate() {
                if address.bytes_per_s.is_finite() {
                    let is_there = |line: &Line| (line.source, line.address) == (source, index);
                    let lines = ground.lines.iter();
                    let chosen = lines.map(|line| line.as_ref().is_some_and(is_there));
                    fill(address.bytes_per_s, &mut self.rates, chosen, 0);
                }
            }
        }
        // What one of several servers does not send takes no room on the link.
        let are_several = !ground.scenario.mirrors.is_empty();
        if are_several {
            self.limit_servers(ground);
        }
        self.offered = self.rates.iter().sum();
        let all = || std::iter::repeat(true);
        fill(ground.capacity_bytes_per_s, &mut self.rates, all(), rivals);
        self.granted = self.rates.iter().sum();
        if !are_several {
            self.limit_servers(ground);
        }
        if ground.is_disk_full {
            fill(disk_bytes_per_s, &mut self.rates, all(), 0);
        }
    }

    /// No server sends more than it can.
    fn limit_servers(&mut self, ground: &Ground<'_>) {
        for source in 0..self.are_servers_bound.len() {
            let own = (0..self.rates.len()).map(|slot| ground.is_of(source, slot));
            let rates = || self.rates.iter().zip(own.clone()).filter(|(_, own)| *own);
            let sum: f64 = rates().map(|(rate, _)| rate).sum();
            let total =
                ground.server_total(source, rates().filter(|(rate, _)| **rate > 0.0).count());
            self.are_servers_bound[source] = sum > total;
            fill(total, &mut self.rates, own, 0);
        }
    }

    fn flow(&mut self, slot: usize) -> &mut Flow {
        self.flows[slot].as_mut().expect("a body needs a connection")
    }

    /// Growth where the window is what limits; random losses.
    fn move_windows(&mut self, ground: &Ground<'_>, dt_s: f64, dice: &mut Rng) {
        let path = &ground.scenario.path;
        let are_several = !ground.scenario.mirrors.is_empty();
        for ((line, flow), rate) in ground.lines.iter().zip(&mut self.flows).zip(&self.rates) {
            let (Some(line), Some(flow)) = (line, flow) else { continue };
            // A new connection gets its share of what its server sends. Where there is one server,
            // the laws were tuned on what happens without that.
            let is_held = !are_several || *rate < flow.window_bytes() / line.rtt_s;
            let is_server_bound = is_held && self.are_servers_bound[line.source];
            let has_room = !ground.is_disk_full && !is_server_bound;
            let carried = flow.take_carried();
            if carried <= 0.0 {
                continue;
            }
            let loss = 1.0 - (1.0 - path.loss).powf(carried / SEGMENT_BYTES);
            if path.loss > 0.0 && dice.chance(loss) {
                flow.cut(ground.now_s, line.rtt_s);
            } else if has_room && flow.window_bytes() <= line.limit_bytes_per_s * line.rtt_s {
                flow.grow(dt_s, line.rtt_s, path.window_bytes);
            }
        }
    }

    /// More is under way than link and queue hold: some flow, the likelier the faster it is, loses
    /// a packet, and another one, until it fits.
    fn overflow(&mut self, ground: &Ground<'_>, dice: &mut Rng) {
        let held = self.granted * (1.0 + ground.scenario.path.buffer_bdp) * 1.001;
        let mut excess = self.offered - held;
        for _ in 0..self.flows.len() {
            if excess <= 0.0 {
                return;
            }
            let mut mark = dice.unit() * self.granted;
            for (slot, rate) in self.rates.iter().enumerate() {
                mark -= rate;
                let line = ground.lines[slot].as_ref().filter(|_| mark < 0.0);
                if let (Some(line), Some(flow)) = (line, &mut self.flows[slot]) {
                    let before = flow.window_bytes();
                    if flow.cut(ground.now_s, line.rtt_s) {
                        excess -= (before - flow.window_bytes()) / line.rtt_s;
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
