//! The way of one connection's packets: random loss, the connection's own shaper, the shared
//! bottleneck, the delay. Owns when a packet arrives and which ones do not; must not know why it
//! was sent.

use super::queue::{Jitter, Queue};
use super::run::Run;
use super::{HEADER_BYTES, PAYLOAD_BYTES};
use crate::sim::rng::Rng;
use std::collections::VecDeque;

/// What all connections share.
pub(super) struct Wire<'a> {
    pub(super) now_s: f64,
    pub(super) bottleneck: &'a mut Queue,
    pub(super) down: &'a mut Jitter,
    pub(super) up: &'a mut Jitter,
    /// Indicates whether all packets are lost at present.
    pub(super) is_out: bool,
    /// Packets that travel together at most.
    pub(super) run_packets_max: u32,
    /// Bytes that have passed the bottleneck, headers included.
    pub(super) bytes: &'a mut f64,
}

/// Bytes of a stream that are sent at once.
pub(super) struct Burst {
    pub(super) start: u64,
    pub(super) end: u64,
    /// What its runs have in common.
    pub(super) pattern: Run,
}

/// One connection's way.
#[derive(Debug)]
pub(super) struct Way {
    /// From the bottleneck to the client, and back to the server, in seconds.
    down_s: f64,
    up_s: f64,
    shaper: Queue,
    loss: Loss,
    /// Nothing overtakes anything.
    last_arrival_s: f64,
    last_known_s: f64,
}

/// Packets that are lost for no fault of ours.
#[derive(Debug)]
struct Loss {
    share: f64,
    rng: Rng,
    /// Packets until the next one that is lost.
    in_packets: u32,
}

impl Way {
    pub(super) fn new(down_s: f64, up_s: f64, shaper: Queue, loss: f64, rng: Rng) -> Self {
        let mut loss = Loss { share: loss, rng, in_packets: 0 };
        loss.draw();
        Self { down_s, up_s, shaper, loss, last_arrival_s: 0.0, last_known_s: 0.0 }
    }

    /// Sends a burst; its runs are added to `flight`. Returns the number of packets.
    pub(super) fn carry(
        &mut self,
        burst: Burst,
        flight: &mut VecDeque<Run>,
        wire: &mut Wire<'_>,
    ) -> u32 {
        let mut at = burst.start;
        let mut sent = 0;
        while at < burst.end {
            let rest = u32::try_from((burst.end - at).div_ceil(PAYLOAD_BYTES)).expect("a window");
            let whole = rest.min(self.loss.in_packets).min(wire.run_packets_max);
            let room = self.shaper.room(wire.now_s).min(wire.bottleneck.room(wire.now_s));
            let fits = if wire.is_out { 0 } else { whole.min(room) };
            // The next packet is lost on the way, or all of these find the queue full.
            let packets = if fits > 0 { fits } else { whole.max(1) };
            let end = burst.end.min(at + u64::from(packets) * PAYLOAD_BYTES);
            let (arrives_s, known_s) = self.pass(fits, wire);
            let is_lost = fits == 0;
            if !is_lost {
                *wire.bytes += (end - at) as f64 + f64::from(packets) * HEADER_BYTES;
            }
            let mut run = burst.pattern;
            (run.start, run.end, run.packets) = (at, end, packets);
            (run.is_lost, run.arrives_s, run.known_s) = (is_lost, arrives_s, known_s);
            flight.push_back(run);
            self.loss.pass(packets);
            (at, sent) = (end, sent + packets);
        }
        sent
    }

    /// Packets that fit go through the queues; returns when they arrive and when that is known.
    fn pass(&mut self, packets: u32, wire: &mut Wire<'_>) -> (f64, f64) {
        let shaped_s = self.shaper.admit(wire.now_s, packets);
        let left_s = wire.bottleneck.admit(wire.now_s, packets).max(shaped_s);
        let arrives_s = left_s + self.down_s + wire.down.at(left_s);
        self.last_arrival_s = self.last_arrival_s.max(arrives_s);
        let known_s = self.last_arrival_s + self.up_s + wire.up.at(self.last_arrival_s);
        self.last_known_s = self.last_known_s.max(known_s);
        (self.last_arrival_s, self.last_known_s)
    }
}

impl Loss {
    /// Packets go by of which only the next one due may be lost.
    fn pass(&mut self, packets: u32) {
        if packets > self.in_packets {
            self.draw();
        } else if self.in_packets < u32::MAX {
            self.in_packets -= packets;
        }
    }

    fn draw(&mut self) {
        if self.share == 0.0 {
            self.in_packets = u32::MAX;
            return;
        }
        let packets = (1.0 - self.rng.unit()).ln() / (1.0 - self.share).ln();
        #[allow(clippy::cast_possible_truncation, reason = "cut at the largest number")]
        #[allow(clippy::cast_sign_loss, reason = "not below 0")]
        {
            self.in_packets = packets.min(f64::from(u32::MAX - 1)) as u32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_that_is_lost_is_the_path_s() {
        let mut loss = Loss { share: 0.01, rng: Rng::new(1, 1), in_packets: 0 };
        loss.draw();
        let mut lost = 0;
        for _ in 0..100_000 {
            lost += u32::from(loss.in_packets == 0);
            loss.pass(1);
        }
        assert!((900..1100).contains(&lost), "{lost}");
    }
}
