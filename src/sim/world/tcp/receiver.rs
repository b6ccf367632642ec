//! The receiving half of one connection: which bytes of the stream have arrived, what is in order,
//! what the client has read. Owns the holes; must not know how bytes travel nor what they are.

use super::PAYLOAD_BYTES;
use crate::base::span::{Span, SpanSet};

/// What has arrived on one connection.
#[derive(Debug)]
pub(super) struct Receiver {
    /// Everything below has arrived.
    in_order_to: u64,
    /// Everything below was taken by the client.
    read_to: u64,
    /// What has arrived behind a hole.
    beyond: SpanSet,
    /// Packets that came behind a hole.
    beyond_packets: u64,
    /// When data arrived last in order, in seconds.
    in_order_s: f64,
}

impl Receiver {
    pub(super) fn new(now_s: f64) -> Self {
        Self {
            in_order_to: 0,
            read_to: 0,
            beyond: SpanSet::new(),
            beyond_packets: 0,
            in_order_s: now_s,
        }
    }

    /// Bytes `start` to `end` of the stream arrive.
    pub(super) fn arrive(&mut self, start: u64, end: u64, at_s: f64) {
        let packets = (end - start).div_ceil(PAYLOAD_BYTES);
        if start > self.in_order_to {
            self.beyond.insert(Span::new(start, end));
            self.beyond_packets += packets;
            return;
        }
        self.in_order_s = at_s;
        self.in_order_to = self.in_order_to.max(end);
        if self.beyond.is_empty() {
            return;
        }
        let rest = Span::new(self.in_order_to, u64::MAX);
        let gap = self.beyond.first_gap(rest).expect("no stream ends at the end of numbers");
        self.in_order_to = gap.start();
        self.beyond.remove(Span::new(0, self.in_order_to));
    }

    pub(super) fn in_order_to(&self) -> u64 {
        self.in_order_to
    }

    pub(super) fn read_to(&self) -> u64 {
        self.read_to
    }

    pub(super) fn unread_bytes(&self) -> u64 {
        self.in_order_to - self.read_to
    }

    /// Memory that all of what is not read takes, as was measured on a tun device.
    pub(super) fn memory_bytes(&self) -> u64 {
        (self.unread_bytes() + self.beyond.covered()) * 8 / 5
    }

    pub(super) fn beyond_packets(&self) -> u64 {
        self.beyond_packets
    }

    pub(super) fn in_order_s(&self) -> f64 {
        self.in_order_s
    }

    /// The client takes what is there in order, at most this number of bytes.
    pub(super) fn read(&mut self, bytes_max: u64) -> u64 {
        let bytes = self.unread_bytes().min(bytes_max);
        self.read_to += bytes;
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_holds_back_what_is_behind_it() {
        let mut receiver = Receiver::new(0.0);
        receiver.arrive(0, 100, 1.0);
        receiver.arrive(200, 300, 2.0);
        receiver.arrive(300, 350, 3.0);
        assert_eq!((receiver.unread_bytes(), receiver.beyond_packets()), (100, 2));
        assert_eq!(receiver.in_order_s(), 1.0);
        assert_eq!(receiver.read(60), 60);
        receiver.arrive(100, 200, 4.0);
        assert_eq!((receiver.unread_bytes(), receiver.in_order_s()), (290, 4.0));
    }
}
