//! The network in packets: TCP senders behind a shared drop-tail queue. Owns the connections, the
//! bottleneck and the order in which they come to send; must not know the plan, nor what the
//! server thinks of a request.
//!
//! # What it knows
//!
//! - Slow start from ten segments (RFC 6928) and after idle times; cubic with its Reno-friendly
//!   region and fast convergence (RFC 9438) and a delay-based end of slow start, or a sender by
//!   measured rate (draft-ietf-ccwg-bbr).
//! - Random loss per packet, and gaps in which all packets are lost. Losses found by selective
//!   acknowledgements of what was sent later, also of what is lost again, and a probe at the end of
//!   what there is to send (RACK and TLP, RFC 8985); the retransmission timer, 200 ms beyond the
//!   round trip at least and doubled on repetition (RFC 6298), where nothing comes back.
//! - A stream that is read in order, so that a hole holds back what is behind it.
//! - The server's socket buffer and the client's receive window.
//! - A drop-tail queue that adds delay, an optional shaper per connection with a queue of its own,
//!   jitter that reorders nothing.
//! - Round trips of TCP, TLS and the request through the queue as it is at the time, and their
//!   losses; what the server still sends after the client has hung up.
//!
//! # What not
//!
//! Delayed and lost acknowledgements, growth of the receive window, reordering, other traffic
//! (`rivals`), rates of single addresses, a queue for the way up, active queue management. What is
//! sent within a quantum, [`Tcp::step_s`], is sent at its end, in an order that rotates over the
//! connections.

mod ack;
mod bbr;
mod congestion;
mod cubic;
mod queue;
mod receiver;
mod run;
mod sender;
#[cfg(test)]
mod tests;
mod way;

use super::ground::Ground;
use crate::sim::rng::Rng;
use crate::sim::scenario::{self, Path};
use queue::{Jitter, QUEUE_BYTES_MIN, Queue};
use receiver::Receiver;
use sender::Sender;
use std::collections::VecDeque;
use way::{Way, Wire};

/// Payload of a full packet, with timestamps.
const PAYLOAD_BYTES: u64 = 1448;
/// Headers of IP and TCP, with timestamps.
const HEADER_BYTES: f64 = 52.0;
/// A full packet on the wire.
const PACKET_BYTES: f64 = PAYLOAD_BYTES as f64 + HEADER_BYTES;
/// Packets of the first window (RFC 6928).
const INITIAL_PACKETS: f64 = 10.0;
/// A quantum is this share of the round trip,
const QUANTUM_SHARE: f64 = 1.0 / 40.0;
/// but at least and at most this, in seconds.
const QUANTUM_S_MIN: f64 = 0.0004;
const QUANTUM_S_MAX: f64 = 0.004;
/// First retransmission time of a SYN, in seconds (RFC 6298 2.1).
const SYN_TIMEOUT_S: f64 = 1.0;
/// Shortest retransmission time beyond the round trip, in seconds (as in Linux).
const TIMEOUT_S_MIN: f64 = 0.2;
/// Tries of a packet that is sent by itself.
const TRIES_MAX: i32 = 6;

/// What a client's kernel tells of a connection (TCP_INFO of Linux). It does not say whether there
/// is a hole in the stream at present; packets that came out of order while nothing came in order
/// do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::sim) struct TcpState {
    /// Smoothed round trip of what the client sent, and its deviation (`tcpi_rtt`, `tcpi_rttvar`).
    pub(in crate::sim) rtt_s: f64,
    pub(in crate::sim) rtt_deviation_s: f64,
    /// Round trip as a receiver sees it (`tcpi_rcv_rtt`).
    pub(in crate::sim) receive_rtt_s: f64,
    /// Time since data came in order (`tcpi_last_data_recv`: what fills no gap does not count).
    pub(in crate::sim) since_data_s: f64,
    /// Bytes that came in order and were not taken (FIONREAD).
    pub(in crate::sim) unread_bytes: u64,
    /// Memory that all that was not taken is held in (SO_MEMINFO).
    pub(in crate::sim) memory_bytes: u64,
    /// Packets that came behind a hole, since the beginning (`tcpi_rcv_ooopack`).
    pub(in crate::sim) out_of_order_packets: u64,
    /// Bytes that came in order, since the beginning (`tcpi_bytes_received`).
    pub(in crate::sim) received_bytes: u64,
}

/// Connections and what they share.
#[derive(Debug)]
pub(in crate::sim) struct Tcp {
    path: Path,
    tcp: scenario::Tcp,
    quantum_s: f64,
    bottleneck: Queue,
    down: Jitter,
    up: Jitter,
    outage: Outage,
    /// Draws the losses of packets that are sent by themselves: SYN, TLS, requests.
    dice: Rng,
    seed: u64,
    /// By slot.
    connections: Vec<Option<Connection>>,
    /// The client has hung up, the server has not heard of it.
    dying: Vec<Connection>,
    /// Who sends first.
    turn: usize,
    wire_bytes: f64,
    /// Bytes the client has taken since it was asked last.
    read_bytes: f64,
}

#[derive(Debug)]
struct Connection {
    sender: Sender,
    receiver: Receiver,
    way: Way,
    /// Answers to come: when and how many bytes.
    orders: VecDeque<(f64, u64)>,
    /// The stream has bytes up to here.
    ordered_to: u64,
    /// The server has written up to here.
    written_to: f64,
    /// The client's own round trips.
    rtt_s: f64,
    rtt_deviation_s: f64,
    /// From then on the server knows that the client has hung up.
    ends_s: f64,
}

/// Gaps in which all packets are lost, as of a radio.
#[derive(Debug)]
struct Outage {
    every_s: f64,
    lasts_s: f64,
    rng: Rng,
    /// The present gap or the next one.
    from_s: f64,
    to_s: f64,
}

impl Tcp {
    pub(super) fn new(path: &Path, tcp: scenario::Tcp, seed: u64, slots: usize) -> Self {
        assert!(path.rivals == 0, "other traffic is for the fluid");
        let product_bytes = path.link_bytes_per_s * path.rtt_s;
        let limit_bytes = (product_bytes * path.buffer_bdp).max(QUEUE_BYTES_MIN);
        Self {
            path: path.clone(),
            tcp,
            quantum_s: (path.rtt_s * QUANTUM_SHARE).clamp(QUANTUM_S_MIN, QUANTUM_S_MAX),
            bottleneck: Queue::new(path.link_bytes_per_s, limit_bytes),
            down: Jitter::new(tcp.jitter_s, Rng::new(seed, 4)),
            up: Jitter::new(tcp.jitter_s, Rng::new(seed, 5)),
            outage: Outage::new(&tcp, Rng::new(seed, 8)),
            dice: Rng::new(seed, 6),
            seed,
            connections: (0..slots).map(|_| None).collect(),
            dying: Vec::new(),
            turn: 0,
            wire_bytes: 0.0,
            read_bytes: 0.0,
        }
    }

    /// Time between two calls of [`Tcp::step`].
    pub(super) fn step_s(&self) -> f64 {
        self.quantum_s
    }

    /// Time of the handshakes, through the queue as it is and with what they lose.
    pub(super) fn setup_s(&mut self, now_s: f64, rtt_s: f64, setup_rtts: f64) -> f64 {
        let trip_s = rtt_s + self.bottleneck.wait_s(now_s);
        let mut setup_s = setup_rtts * trip_s + self.lone_loss_s(2, SYN_TIMEOUT_S);
        if setup_rtts > 1.0 {
            setup_s += self.lone_loss_s(2, trip_s + TIMEOUT_S_MIN);
        }
        setup_s
    }

    /// Connection `number` takes the slot, which is free.
    pub(super) fn open(&mut self, slot: usize, ready_s: f64, rtt_s: f64, number: u64) {
        let Path { loss, window_bytes, .. } = self.path;
        let trip_s = rtt_s + self.bottleneck.wait_s(ready_s);
        let scenario::Tcp { control, send_buffer_bytes, flow_bytes_per_s, .. } = self.tcp;
        let shaper_bytes = (flow_bytes_per_s * rtt_s).max(QUEUE_BYTES_MIN);
        let shaper = Queue::new(flow_bytes_per_s, shaper_bytes);
        // What is due within a quantum waits for its end, half of it on average.
        let up_s = rtt_s / 2.0 - self.quantum_s / 2.0;
        let rng = Rng::new(self.seed, 7 << 32 | number);
        self.connections[slot] = Some(Connection {
            sender: Sender::new(control, send_buffer_bytes, window_bytes, ready_s, trip_s),
            receiver: Receiver::new(ready_s),
            way: Way::new(rtt_s / 2.0, up_s, shaper, loss, rng),
            orders: VecDeque::new(),
            ordered_to: 0,
            written_to: 0.0,
            rtt_s: trip_s,
            rtt_deviation_s: trip_s / 2.0,
            ends_s: f64::INFINITY,
        });
    }

    /// The client hangs up. The server sends on until it hears of it.
    pub(super) fn close(&mut self, now_s: f64, slot: usize, rtt_s: f64) {
        if let Some(mut connection) = self.connections[slot].take() {
            connection.ends_s = now_s + rtt_s / 2.0;
            self.dying.push(connection);
        }
    }

    /// The server will answer a request that leaves now with this number of `bytes`.
    pub(super) fn answer(&mut self, now_s: f64, slot: usize, rtt_s: f64, think_s: f64, bytes: u64) {
        let wait_s = self.bottleneck.wait_s(now_s);
        let trip_s = rtt_s + wait_s + self.up.at(now_s) + self.down.at(now_s);
        let lost_s = self.lone_loss_s(1, trip_s + TIMEOUT_S_MIN);
        let connection = self.connections[slot].as_mut().expect("a request needs a connection");
        let off_s = (connection.rtt_s - trip_s).abs();
        connection.rtt_deviation_s += (off_s - connection.rtt_deviation_s) / 4.0;
        connection.rtt_s += (trip_s - connection.rtt_s) / 8.0;
        let at_s = now_s + rtt_s / 2.0 + lost_s + think_s;
        // Answers come in the order of their requests.
        let before_s = connection.orders.back().map_or(0.0, |(at_s, _)| *at_s);
        connection.orders.push_back((at_s.max(before_s), bytes));
    }

    pub(super) fn unread_bytes(&self, slot: usize) -> u64 {
        self.connections[slot].as_ref().map_or(0, |it| it.receiver.unread_bytes())
    }

    /// The client takes what is there in order, at most this number of bytes.
    pub(super) fn read(&mut self, slot: usize, bytes_max: f64) -> f64 {
        let Some(connection) = &mut self.connections[slot] else { return 0.0 };
        #[allow(clippy::cast_possible_truncation, reason = "the rest of a span")]
        #[allow(clippy::cast_sign_loss, reason = "the rest of a span")]
        let bytes = connection.receiver.read(bytes_max.ceil() as u64) as f64;
        self.read_bytes += bytes;
        bytes
    }

    pub(super) fn take_read_bytes(&mut self) -> f64 {
        std::mem::take(&mut self.read_bytes)
    }

    pub(super) fn wire_bytes(&self) -> f64 {
        self.wire_bytes
    }

    /// About what the slot receives, in bytes per second.
    pub(super) fn rate(&self, slot: usize) -> f64 {
        self.connections[slot].as_ref().map_or(0.0, |it| it.sender.rate())
    }

    pub(super) fn info(&self, now_s: f64, slot: usize) -> Option<TcpState> {
        let connection = self.connections[slot].as_ref()?;
        let receiver = &connection.receiver;
        Some(TcpState {
            rtt_s: connection.rtt_s,
            rtt_deviation_s: connection.rtt_deviation_s,
            receive_rtt_s: connection.sender.smooth_rtt_s(),
            since_data_s: (now_s - receiver.in_order_s()).max(0.0),
            unread_bytes: receiver.unread_bytes(),
            memory_bytes: receiver.memory_bytes(),
            out_of_order_packets: receiver.beyond_packets(),
            received_bytes: receiver.in_order_to(),
        })
    }

    /// A quantum passes.
    pub(super) fn step(&mut self, ground: &Ground<'_>) {
        let now_s = ground.now_s;
        self.bottleneck.set_rate(now_s, ground.capacity_bytes_per_s);
        let slowest = ground.capacity_bytes_per_s.min(self.tcp.flow_bytes_per_s);
        #[allow(clippy::cast_possible_truncation, reason = "packets of a few milliseconds")]
        #[allow(clippy::cast_sign_loss, reason = "not below 0")]
        let run_packets_max = (slowest * self.quantum_s / PACKET_BYTES).max(1.0) as u32;
        let mut wire = Wire {
            now_s,
            bottleneck: &mut self.bottleneck,
            down: &mut self.down,
            up: &mut self.up,
            is_out: self.outage.is_at(now_s),
            run_packets_max,
            bytes: &mut self.wire_bytes,
        };
        let served = ground.lines.iter().flatten().filter(|line| line.is_receiving).count();
        let share = ground.server_total(0, served) / served.max(1) as f64;
        let slots = self.connections.len();
        self.turn = (self.turn + 1) % slots;
        for slot in (self.turn..slots).chain(0..self.turn) {
            let (Some(connection), Some(line)) = (&mut self.connections[slot], &ground.lines[slot])
            else {
                continue;
            };
            let is_silent = now_s >= line.silent_from_s;
            let limit = line.limit_bytes_per_s.min(share);
            connection.step(&mut wire, limit * self.quantum_s, is_silent);
        }
        for connection in &mut self.dying {
            connection.step(&mut wire, 0.0, false);
        }
        self.dying.retain(|connection| now_s < connection.ends_s);
    }

    /// Time that is lost with a packet that is sent by itself, or in an exchange of this number of
    /// packets; each try waits twice as long.
    fn lone_loss_s(&mut self, packets: i32, timeout_s: f64) -> f64 {
        let fails = 1.0 - (1.0 - self.path.loss).powi(packets);
        let mut lost_s = 0.0;
        for tries in 0..TRIES_MAX {
            if fails == 0.0 || !self.dice.chance(fails) {
                break;
            }
            lost_s += timeout_s * 2f64.powi(tries);
        }
        lost_s
    }
}

impl Outage {
    fn new(tcp: &scenario::Tcp, rng: Rng) -> Self {
        let (every_s, lasts_s) = (tcp.outage_every_s, tcp.outage_s);
        let mut outage = Self { every_s, lasts_s, rng, from_s: 0.0, to_s: 0.0 };
        outage.draw();
        outage
    }

    /// Whether there is one at this time; times do not go back.
    fn is_at(&mut self, at_s: f64) -> bool {
        while self.to_s <= at_s {
            self.draw();
        }
        self.from_s <= at_s
    }

    fn draw(&mut self) {
        self.from_s = self.to_s + self.rng.exponential(self.every_s);
        // Neither so short that a retransmission passes nor longer than anybody would wait.
        self.to_s = self.from_s + self.lasts_s * self.rng.between(0.5, 1.5);
    }
}

impl Connection {
    /// A quantum passes in which the server writes at most this number of bytes.
    fn step(&mut self, wire: &mut Wire<'_>, written_bytes_max: f64, is_silent: bool) {
        let now_s = wire.now_s;
        self.sender.hear(&mut self.receiver, now_s);
        while let Some((_, bytes)) = self.orders.pop_front_if(|(at_s, _)| *at_s <= now_s) {
            self.ordered_to += bytes;
        }
        if is_silent {
            return;
        }
        self.written_to = (self.written_to + written_bytes_max).min(self.ordered_to as f64);
        #[allow(clippy::cast_possible_truncation, reason = "an offset of the stream")]
        #[allow(clippy::cast_sign_loss, reason = "an offset of the stream")]
        let data_to = self.written_to as u64;
        self.sender.send(now_s, data_to, self.receiver.read_to(), &mut self.way, wire);
    }
}
