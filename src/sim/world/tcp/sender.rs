//! The sending half of one connection: what is under way, what is known to be lost, when to send
//! what again. Owns the stream's numbers and the timer; must not know the server's answers nor the
//! path's queues.
//!
//! Losses are found by packets that were sent later and arrive (RFC 8985; without finding so what
//! was sent again and lost again the measured share of a sender by rate is not reached), and sent
//! again at once. Where nothing arrives behind, a probe follows after two round trips, then the
//! timer (RFC 6298). What is under way is kept in runs, pieces of a burst that travel together.

use super::ack::{Ack, RateSample};
use super::congestion::Congestion;
use super::receiver::Receiver;
use super::run::Run;
use super::way::{Burst, Way, Wire};
use super::{PAYLOAD_BYTES, TIMEOUT_S_MIN};
use crate::sim::scenario::Control;
use std::collections::VecDeque;

/// Packets that arrive behind a missing one until it counts as lost at once (RFC 8985 6.2).
const PACKETS_BEHIND: u32 = 3;
/// With fewer it counts as lost after this share of the shortest round trip (RFC 8985 7.2).
const REORDERING_SHARE: f64 = 0.25;
/// Packets that may be sent for each that arrives while a loss shrinks the window (RFC 6937).
const RECOVERY_SHARE: f64 = 0.7;
/// Round trips without news after which the last packet is sent again as a probe (RFC 8985 7.3);
const PROBE_RTTS: f64 = 2.0;
/// with a single packet under way after this time, in seconds, more: its acknowledgement may wait.
const PROBE_LONE_S: f64 = 0.2;
/// Longest retransmission time, in seconds (RFC 6298 2.5 asks for at least 60).
const TIMEOUT_S_MAX: f64 = 60.0;
/// Share of a socket's send buffer that holds payload; the rest is the kernel's book-keeping. 4 MiB
/// hold one connection to 275 Mbit/s at 70 ms.
const PAYLOAD_SHARE: f64 = 0.575;
/// The pace may make up for this number of seconds in which nothing was sent.
const PACE_S_MAX: f64 = 0.002;

/// Bytes of the stream that did not arrive.
#[derive(Debug, Clone, Copy)]
struct Missing {
    start: u64,
    end: u64,
    packets: u32,
    /// Packets sent later that arrived, and when the first of them was known.
    behind: u32,
    behind_since_s: f64,
}

/// The sending half of one connection.
#[derive(Debug)]
pub(super) struct Sender {
    congestion: Congestion,
    /// In the order of sending, which is that of arrival.
    flight: VecDeque<Run>,
    /// Runs of `flight` that the receiver has seen.
    seen: usize,
    missing: Vec<Missing>,
    /// To be sent again.
    again: VecDeque<(u64, u64)>,
    /// Packets under way: in flight or missing, and not known to be lost.
    under_way: u32,
    sent_to: u64,
    acked_to: u64,
    /// Losses below belong to the last cut.
    recovers_to: u64,
    /// Indicates whether the timer ran out and not everything sent before has arrived yet.
    was_timed_out: bool,
    /// Packets known to have arrived, when the last of them was known and when it was sent.
    delivered: u64,
    delivered_s: f64,
    delivered_sent_s: f64,
    smooth_rtt_s: f64,
    rtt_deviation_s: f64,
    shortest_rtt_s: f64,
    /// The timer counts from here.
    timer_from_s: f64,
    /// Times in a row that it ran out.
    timeouts: i32,
    last_sent_s: f64,
    /// Packets the pace has not used.
    pace_credit: f64,
    paced_to_s: f64,
    /// Indicates whether a packet has to be sent again at once, whatever the window says.
    is_urgent: bool,
    /// Packets that may be sent while a loss shrinks the window, though it is full.
    recovery_credit: f64,
    /// Indicates whether there was a probe since the last news.
    was_probed: bool,
    /// Indicates whether the window is what ended the last burst.
    is_window_full: bool,
    is_app_limited: bool,
    buffer_bytes: u64,
    receive_window_bytes: u64,
}

impl Sender {
    pub(super) fn new(
        control: Control,
        buffer_bytes: f64,
        receive_window_bytes: f64,
        now_s: f64,
        rtt_s: f64,
    ) -> Self {
        #[allow(clippy::cast_possible_truncation, reason = "a buffer of some megabytes")]
        #[allow(clippy::cast_sign_loss, reason = "a buffer of some megabytes")]
        let whole = |bytes: f64| bytes as u64;
        Self {
            congestion: Congestion::new(control),
            flight: VecDeque::new(),
            seen: 0,
            missing: Vec::new(),
            again: VecDeque::new(),
            under_way: 0,
            sent_to: 0,
            acked_to: 0,
            recovers_to: 0,
            was_timed_out: false,
            delivered: 0,
            delivered_s: now_s,
            delivered_sent_s: now_s,
            smooth_rtt_s: rtt_s,
            rtt_deviation_s: rtt_s / 2.0,
            shortest_rtt_s: rtt_s,
            timer_from_s: now_s,
            timeouts: 0,
            last_sent_s: now_s,
            pace_credit: 0.0,
            paced_to_s: now_s,
            is_urgent: false,
            recovery_credit: 0.0,
            was_probed: false,
            is_window_full: false,
            is_app_limited: true,
            buffer_bytes: whole(buffer_bytes * PAYLOAD_SHARE),
            receive_window_bytes: whole(receive_window_bytes),
        }
    }

    pub(super) fn smooth_rtt_s(&self) -> f64 {
        self.smooth_rtt_s
    }

    /// Bytes per second at present.
    pub(super) fn rate(&self) -> f64 {
        f64::from(self.under_way) * PAYLOAD_BYTES as f64 / self.smooth_rtt_s
    }

    /// What has arrived by now, at the other end and as news of it.
    pub(super) fn hear(&mut self, receiver: &mut Receiver, now_s: f64) {
        while let Some(run) = self.flight.get_mut(self.seen).filter(|run| run.arrives_s <= now_s) {
            if !run.is_lost {
                receiver.arrive(run.start, run.end, run.arrives_s);
            }
            run.in_order_to = receiver.in_order_to();
            self.seen += 1;
        }
        let (mut packets, mut rtt_s, mut latest) = (0, None, None);
        while self.seen > 0
            && let Some(run) = self.flight.pop_front_if(|run| run.known_s <= now_s)
        {
            self.seen -= 1;
            if run.is_lost {
                self.miss(&run);
                continue;
            }
            packets += run.packets;
            if !run.is_repeat {
                rtt_s = Some(run.known_s - run.sent_s);
            }
            self.arrived(&run);
            latest = Some(run);
        }
        if let Some(run) = latest {
            self.was_probed = false;
            self.find_lost(now_s);
            self.learn(&run, packets, rtt_s, now_s);
        } else if !self.missing.is_empty() {
            self.find_lost(now_s);
            self.look_at_timer(now_s);
        }
    }

    /// Sends what may be sent of the stream, which has bytes up to `data_to`.
    pub(super) fn send(
        &mut self,
        now_s: f64,
        data_to: u64,
        read_to: u64,
        way: &mut Way,
        wire: &mut Wire<'_>,
    ) {
        let window_to = (self.acked_to + self.buffer_bytes)
            .min(self.acked_to.min(read_to) + self.receive_window_bytes);
        let end = data_to.min(window_to);
        let has_work = !self.again.is_empty() || end > self.sent_to;
        if has_work && self.under_way == 0 {
            self.wake(now_s);
        }
        let mut packets = self.allowed(now_s);
        let before = packets;
        while packets > 0
            && let Some((start, end)) = self.again.pop_front()
        {
            let cut = end.min(start + u64::from(packets) * PAYLOAD_BYTES);
            if cut < end {
                self.again.push_front((cut, end));
            }
            packets -= self.transmit(now_s, (start, cut), true, way, wire);
            self.timer_from_s = now_s;
        }
        if packets > 0 && end > self.sent_to {
            // The last packet of what there is may be short, one that a window cuts may not.
            let mut to = end.min(self.sent_to + u64::from(packets) * PAYLOAD_BYTES);
            if to < data_to {
                to -= (to - self.sent_to) % PAYLOAD_BYTES;
            }
            if to > self.sent_to {
                packets -= self.transmit(now_s, (self.sent_to, to), false, way, wire);
                self.sent_to = to;
            }
        }
        let sent = f64::from(before - packets);
        self.pace_credit -= sent;
        self.recovery_credit = (self.recovery_credit - sent).max(0.0);
        self.is_window_full = packets == 0;
        self.is_app_limited = packets > 0 && self.sent_to == data_to;
    }

    fn allowed(&mut self, now_s: f64) -> u32 {
        let pace = self.congestion.pace();
        let passed_s = now_s - self.paced_to_s;
        self.paced_to_s = now_s;
        let window = self.congestion.window();
        if pace.is_finite() {
            let most = pace * (passed_s + PACE_S_MAX) + 1.0;
            self.pace_credit = (self.pace_credit + pace * passed_s).min(most);
        } else {
            self.pace_credit = window;
        }
        let open = (window - f64::from(self.under_way)).max(self.recovery_credit);
        let is_urgent = std::mem::take(&mut self.is_urgent) && !self.again.is_empty();
        let least = if is_urgent { 1.0 } else { 0.0 };
        #[allow(clippy::cast_possible_truncation, reason = "a window is some thousand packets")]
        #[allow(clippy::cast_sign_loss, reason = "not below 0")]
        let packets = open.min(self.pace_credit).max(least) as u32;
        packets
    }

    /// Begins to send again after a silence, with a timer and perhaps a window of its own.
    fn wake(&mut self, now_s: f64) {
        self.timer_from_s = now_s;
        let idle = ((now_s - self.last_sent_s) / self.timeout_s()).floor();
        if idle >= 1.0 && self.again.is_empty() && self.missing.is_empty() {
            self.congestion.was_idle(idle);
        }
    }

    /// Returns the number of packets.
    fn transmit(
        &mut self,
        now_s: f64,
        (start, end): (u64, u64),
        is_repeat: bool,
        way: &mut Way,
        wire: &mut Wire<'_>,
    ) -> u32 {
        if self.under_way == 0 {
            (self.delivered_s, self.delivered_sent_s) = (now_s, now_s);
        }
        self.last_sent_s = now_s;
        let pattern = Run {
            start,
            end,
            packets: 0,
            is_repeat,
            is_lost: false,
            sent_s: now_s,
            arrives_s: 0.0,
            known_s: 0.0,
            in_order_to: 0,
            delivered_before: self.delivered,
            delivered_before_s: self.delivered_s,
            sent_before_s: self.delivered_sent_s,
            was_app_limited: self.is_app_limited,
        };
        let packets = way.carry(Burst { start, end, pattern }, &mut self.flight, wire);
        self.under_way += packets;
        packets
    }

    /// A run that was lost would have been heard of by now.
    fn miss(&mut self, run: &Run) {
        let Run { start, end, packets, .. } = *run;
        let (behind, behind_since_s) = (0, f64::INFINITY);
        self.missing.push(Missing { start, end, packets, behind, behind_since_s });
    }

    fn arrived(&mut self, run: &Run) {
        self.under_way -= run.packets;
        self.delivered += u64::from(run.packets);
        self.recovery_credit += RECOVERY_SHARE * f64::from(run.packets);
        if run.in_order_to > self.acked_to {
            self.acked_to = run.in_order_to;
            self.timer_from_s = run.known_s;
            self.timeouts = 0;
        }
        for missing in &mut self.missing {
            missing.behind += run.packets;
            missing.behind_since_s = missing.behind_since_s.min(run.known_s);
        }
    }

    /// What is missing for long enough, or with enough behind it, is to be sent again.
    fn find_lost(&mut self, now_s: f64) {
        let patience_s = REORDERING_SHARE * self.shortest_rtt_s;
        let is_lost = |it: &mut Missing| {
            it.behind >= PACKETS_BEHIND || now_s >= it.behind_since_s + patience_s
        };
        let mut is_cut = false;
        for lost in self.missing.extract_if(.., is_lost) {
            self.under_way -= lost.packets;
            self.again.push_back((lost.start, lost.end));
            is_cut |= lost.start >= self.recovers_to;
        }
        if self.acked_to >= self.recovers_to {
            self.recovery_credit = 0.0;
        }
        if is_cut {
            self.is_urgent = true;
            self.congestion.lost();
            self.recovers_to = self.sent_to;
        }
    }

    /// Round trip, window and rate from what was heard of at once.
    fn learn(&mut self, run: &Run, packets: u32, rtt_s: Option<f64>, now_s: f64) {
        if let Some(rtt_s) = rtt_s {
            let off_s = (self.smooth_rtt_s - rtt_s).abs();
            self.rtt_deviation_s += (off_s - self.rtt_deviation_s) / 4.0;
            self.smooth_rtt_s += (rtt_s - self.smooth_rtt_s) / 8.0;
            self.shortest_rtt_s = self.shortest_rtt_s.min(rtt_s);
        }
        let arriving_s = run.known_s - run.delivered_before_s;
        let sending_s = run.sent_s - run.sent_before_s;
        let delivered = (self.delivered - run.delivered_before) as f64;
        let sample = RateSample {
            packets_per_s: delivered / arriving_s.max(sending_s).max(1e-6),
            is_app_limited: run.was_app_limited,
            delivered_before: run.delivered_before,
        };
        (self.delivered_s, self.delivered_sent_s) = (run.known_s, run.sent_s);
        let ack = Ack {
            now_s,
            packets: f64::from(packets),
            rtt_s,
            shortest_rtt_s: self.shortest_rtt_s,
            smooth_rtt_s: self.smooth_rtt_s,
            delivered: self.delivered,
            under_way: f64::from(self.under_way),
        };
        let is_recovering = self.acked_to < self.recovers_to;
        self.was_timed_out &= is_recovering;
        let may_grow = self.is_window_full && (!is_recovering || self.was_timed_out);
        self.congestion.acknowledged(&ack, sample, may_grow);
    }

    fn timeout_s(&self) -> f64 {
        let once_s = self.smooth_rtt_s + (4.0 * self.rtt_deviation_s).max(TIMEOUT_S_MIN);
        (once_s * 2f64.powi(self.timeouts)).min(TIMEOUT_S_MAX)
    }

    /// Something is missing, and there is no news. What is only late will come: a sender finds out
    /// and takes the timeout back (RFC 5682).
    fn look_at_timer(&mut self, now_s: f64) {
        if now_s < self.timer_from_s + self.timeout_s() {
            return self.probe(now_s);
        }
        self.timeouts = (self.timeouts + 1).min(10);
        self.timer_from_s = now_s;
        self.is_urgent = true;
        self.recovery_credit = 0.0;
        self.congestion.timed_out();
        self.was_timed_out = true;
        self.recovers_to = self.sent_to;
        self.missing.sort_by_key(|missing| missing.start);
        for lost in self.missing.drain(..).rev() {
            self.under_way -= lost.packets;
            self.again.push_front((lost.start, lost.end));
        }
    }
    /// Sends the last missing packet again if nothing else tells what became of the others.
    fn probe(&mut self, now_s: f64) {
        let is_recovering = self.acked_to < self.recovers_to || !self.again.is_empty();
        let is_told = self.missing.iter().any(|missing| missing.behind > 0);
        if is_recovering || is_told || self.was_probed {
            return;
        }
        let lone_s = if self.under_way == 1 { PROBE_LONE_S } else { 0.0 };
        let patience_s = PROBE_RTTS * self.smooth_rtt_s + lone_s;
        let Some(last) = self.missing.last_mut().filter(|_| now_s >= self.last_sent_s + patience_s)
        else {
            return;
        };
        let start = last.start + u64::from(last.packets - 1) * PAYLOAD_BYTES;
        self.again.push_front((start, last.end));
        (last.end, last.packets) = (start, last.packets - 1);
        if last.packets == 0 {
            self.missing.pop();
        }
        self.under_way -= 1;
        (self.is_urgent, self.was_probed) = (true, true);
    }
}
