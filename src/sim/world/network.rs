//! The two forms of the network behind one face. Owns the choice; must not know how either works.

use super::fluid::Fluid;
use super::tcp::Tcp;
use crate::sim::scenario::Scenario;

/// What carries bytes from the server to the client.
#[derive(Debug)]
pub(super) enum Network {
    Fluid(Fluid),
    Tcp(Box<Tcp>),
}

impl Network {
    pub(super) fn new(scenario: &Scenario, seed: u64, slots: usize) -> Self {
        match scenario.path.tcp {
            None => Network::Fluid(Fluid::new(scenario, slots)),
            Some(tcp) => Network::Tcp(Box::new(Tcp::new(&scenario.path, tcp, seed, slots))),
        }
    }

    pub(super) fn step_s(&self) -> f64 {
        match self {
            Network::Fluid(fluid) => fluid.step_s(),
            Network::Tcp(tcp) => tcp.step_s(),
        }
    }

    /// Time from the dial until the request may be sent.
    pub(super) fn setup_s(&mut self, at_s: f64, rtt_s: f64, setup_rtts: f64) -> f64 {
        match self {
            Network::Fluid(_) => rtt_s * setup_rtts,
            Network::Tcp(tcp) => tcp.setup_s(at_s, rtt_s, setup_rtts),
        }
    }

    /// Connection `number` takes the slot, which is free.
    pub(super) fn open(&mut self, slot: usize, ready_s: f64, rtt_s: f64, number: u64) {
        match self {
            Network::Fluid(fluid) => fluid.open(slot, ready_s),
            Network::Tcp(tcp) => tcp.open(slot, ready_s, rtt_s, number),
        }
    }

    pub(super) fn close(&mut self, now_s: f64, slot: usize, rtt_s: f64) {
        match self {
            Network::Fluid(fluid) => fluid.close(slot, rtt_s),
            Network::Tcp(tcp) => tcp.close(now_s, slot, rtt_s),
        }
    }

    /// The server will answer a request that leaves now with this number of `bytes`. Returns when
    /// the first of them comes, infinite if nobody knows yet.
    pub(super) fn answer(
        &mut self,
        now_s: f64,
        slot: usize,
        rtt_s: f64,
        think_s: f64,
        bytes: u64,
    ) -> f64 {
        match self {
            Network::Fluid(_) => now_s + rtt_s + think_s,
            Network::Tcp(tcp) => {
                tcp.answer(now_s, slot, rtt_s, think_s, bytes);
                f64::INFINITY
            }
        }
    }

    /// Time passes; returns how many bytes the client has taken.
    pub(super) fn carry(&mut self, dt_s: f64) -> f64 {
        match self {
            Network::Fluid(fluid) => fluid.carry(dt_s),
            Network::Tcp(tcp) => tcp.take_read_bytes(),
        }
    }

    pub(super) fn rate(&self, slot: usize) -> f64 {
        match self {
            Network::Fluid(fluid) => fluid.rate(slot),
            Network::Tcp(tcp) => tcp.rate(slot),
        }
    }

    pub(super) fn wire_bytes(&self) -> f64 {
        match self {
            Network::Fluid(fluid) => fluid.wire_bytes(),
            Network::Tcp(tcp) => tcp.wire_bytes(),
        }
    }
}
