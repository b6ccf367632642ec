//! One connection by itself: what a loss, a gap, a queue and its end do to its stream.

use super::super::Line;
use super::super::conditions::Host;
use super::super::ground::Ground;
use super::queue::{Jitter, Queue};
use super::receiver::Receiver;
use super::sender::Sender;
use super::way::{Way, Wire};
use super::{PACKET_BYTES, PAYLOAD_BYTES, Tcp};
use crate::sim::rng::Rng;
use crate::sim::scenario::{Control, Scenario};
use crate::sim::table::scenarios;

const RTT_S: f64 = 0.1;
const STEP_S: f64 = 0.001;

/// A connection over 100 ms whose losses are made by hand.
struct Bench {
    sender: Sender,
    receiver: Receiver,
    way: Way,
    bottleneck: Queue,
    now_s: f64,
    data_to: u64,
}

impl Bench {
    fn new(packets_per_s: f64, queue_packets: f64, packets: u64) -> Self {
        let rate = packets_per_s * PACKET_BYTES;
        let unlimited = Queue::new(f64::INFINITY, 0.0);
        let way = Way::new(RTT_S / 2.0, RTT_S / 2.0, unlimited, 0.0, Rng::new(1, 1));
        Self {
            sender: Sender::new(Control::Cubic, 1e9, 1e9, 0.0, RTT_S),
            receiver: Receiver::new(0.0),
            way,
            bottleneck: Queue::new(rate, queue_packets * PACKET_BYTES),
            now_s: 0.0,
            data_to: packets * PAYLOAD_BYTES,
        }
    }

    fn step(&mut self, is_out: bool) {
        self.now_s += STEP_S;
        let mut jitters = [4, 5].map(|stream| Jitter::new(0.0, Rng::new(1, stream)));
        let [down, up] = &mut jitters;
        let mut wire = Wire {
            now_s: self.now_s,
            bottleneck: &mut self.bottleneck,
            down,
            up,
            is_out,
            run_packets_max: 1,
            bytes: &mut 0.0,
        };
        self.sender.hear(&mut self.receiver, self.now_s);
        let read_to = self.receiver.in_order_to();
        self.sender.send(self.now_s, self.data_to, read_to, &mut self.way, &mut wire);
    }

    fn run_to(&mut self, at_s: f64) {
        while self.now_s < at_s {
            self.step(false);
        }
    }

    /// Packets in order at the receiver.
    fn packets(&self) -> u64 {
        self.receiver.in_order_to() / PAYLOAD_BYTES
    }

    /// When this number of packets is there in order.
    fn has_s(&mut self, packets: u64) -> f64 {
        while self.packets() < packets {
            assert!(self.now_s < 60.0, "{} of {packets} packets", self.packets());
            self.step(false);
        }
        self.now_s
    }
}

#[test]
fn slow_start_doubles_each_round_trip() {
    let mut bench = Bench::new(1e6, 1e6, 1000);
    for (trips, packets) in [(1.0, 10), (2.0, 30), (3.0, 70), (4.0, 150)] {
        bench.run_to((trips - 0.4) * RTT_S + 0.01);
        assert_eq!(bench.packets(), packets, "after {trips} round trips");
    }
}

/// A loss costs the stream a round trip; then everything behind the hole is there at once.
#[test]
fn a_loss_holds_back_what_is_behind_it() {
    let mut bench = Bench::new(1000.0, 1e6, 1000);
    // The second window leaves in two packets a millisecond; those of one instant are lost.
    bench.run_to(1.05 * RTT_S);
    bench.step(true);
    let lost_s = bench.now_s;
    bench.run_to(lost_s + 0.7 * RTT_S);
    let before = bench.packets();
    bench.run_to(lost_s + 1.4 * RTT_S);
    assert_eq!(bench.packets(), before, "the hole");
    assert!(bench.receiver.beyond_packets() > 5, "what is behind it");
    let again_s = bench.has_s(before + 2);
    assert!(again_s < lost_s + 1.8 * RTT_S, "{again_s} after {lost_s}");
    assert!(bench.packets() > before + 5, "{} after {before}: a lump", bench.packets());
}

/// Nothing behind it tells of the loss of the last packets: a probe does, after two round trips.
#[test]
fn the_end_of_an_answer_is_probed_for() {
    let mut bench = Bench::new(1e6, 1e6, 10);
    bench.step(true);
    let done_s = bench.has_s(10);
    // Known after two and one, a quarter of patience; seven of the rest at once, two behind them.
    assert!((4.6 * RTT_S..5.0 * RTT_S).contains(&done_s), "{done_s}");
}

/// In a gap the timer runs out, and again after twice the time.
#[test]
fn a_gap_ends_in_a_timeout() {
    let mut bench = Bench::new(1e6, 1e6, 10_000);
    bench.run_to(0.35);
    while bench.now_s < 0.8 {
        bench.step(true);
    }
    let before = bench.packets();
    let back_s = bench.has_s(before + 1);
    assert!(back_s > 0.9 && back_s < 2.0, "{back_s}");
}

/// A long idle time costs the window (RFC 5681 4.1).
#[test]
fn after_an_idle_time_the_window_is_small_again() {
    let mut bench = Bench::new(1e6, 1e6, 1000);
    bench.has_s(1000);
    bench.run_to(30.0);
    bench.data_to += 1000 * PAYLOAD_BYTES;
    bench.run_to(30.0 + 0.6 * RTT_S);
    assert_eq!(bench.packets(), 1010);
}

/// The server sends on until it hears that the client has hung up; all of that is on the wire.
#[test]
fn what_is_sent_after_a_hang_up_counts() {
    let scenario = named("regional");
    let line = Line {
        source: 0,
        address: 0,
        rtt_s: scenario.path.rtt_s,
        opened_at_s: 0.0,
        is_slow: false,
        silent_from_s: f64::INFINITY,
        breaks_at_s: f64::INFINITY,
        closes_from_s: f64::INFINITY,
        answers: 0,
        noise: 0.0,
        limit_bytes_per_s: f64::INFINITY,
        is_receiving: true,
        is_busy: true,
    };
    let settings = scenario.path.tcp.expect("it is in packets");
    let mut tcp = Tcp::new(&scenario.path, settings, 1, 1);
    let (mut lines, hosts) = ([Some(line)], [Host::new(1, 0)]);
    let mut pass = |tcp: &mut Tcp, from_s: f64, to_s: f64, is_open: bool| {
        if !is_open {
            lines = [None];
        }
        let mut now_s = from_s;
        while now_s < to_s {
            now_s += tcp.step_s();
            tcp.step(&Ground {
                scenario: &scenario,
                lines: &lines,
                now_s,
                capacity_bytes_per_s: scenario.path.link_bytes_per_s,
                hosts: &hosts,
                is_disk_full: false,
            });
            tcp.read(0, 1e12);
        }
        tcp.wire_bytes()
    };
    tcp.open(0, 0.0, scenario.path.rtt_s, 1);
    tcp.answer(0.0, 0, scenario.path.rtt_s, 0.0, 1 << 40);
    let before = pass(&mut tcp, 0.0, 2.0, true);
    tcp.close(2.0, 0, scenario.path.rtt_s);
    let after = pass(&mut tcp, 2.0, 2.1, false);
    let half_a_trip = scenario.path.link_bytes_per_s * scenario.path.rtt_s / 2.0;
    assert!((0.8..1.6).contains(&((after - before) / half_a_trip)), "{before} {after}");
    assert_eq!(pass(&mut tcp, 2.1, 3.0, false), after, "it has heard of it");
}

fn named(name: &str) -> Scenario {
    scenarios().into_iter().find(|it| it.name == name).expect("it is in the table")
}

#[test]
fn a_queue_adds_delay_and_limits_what_is_under_way() {
    let mut bench = Bench::new(1000.0, 100.0, 100_000);
    bench.run_to(20.0);
    let rtt_s = bench.sender.smooth_rtt_s();
    assert!(rtt_s > 1.2 * RTT_S && rtt_s < RTT_S + 0.11, "{rtt_s}");
    assert!(bench.packets() > 18_000, "{} of 20000 fit", bench.packets());
}
