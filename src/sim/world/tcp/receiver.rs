//! The receiving half of one connection: which bytes of the stream have arrived, what is in order,
//! what the client has read. Owns the holes; must not know how bytes travel nor what they are.

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
    /// When a packet with data arrived last, in order or not, in seconds.
    last_data_s: f64,
}

impl Receiver {
    pub(super) fn new(now_s: f64) -> Self {
        Self { in_order_to: 0, read_to: 0, beyond: SpanSet::new(), last_data_s: now_s }
    }

    /// Bytes `start` to `end` of the stream arrive.
    pub(super) fn arrive(&mut self, start: u64, end: u64, at_s: f64) {
        self.last_data_s = at_s;
        if start > self.in_order_to {
            self.beyond.insert(Span::new(start, end));
            return;
        }
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

    /// Bytes that wait behind a hole.
    pub(super) fn beyond_bytes(&self) -> u64 {
        self.beyond.covered()
    }

    pub(super) fn last_data_s(&self) -> f64 {
        self.last_data_s
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
        assert_eq!((receiver.unread_bytes(), receiver.beyond_bytes()), (100, 150));
        assert_eq!(receiver.read(60), 60);
        receiver.arrive(100, 200, 4.0);
        assert_eq!((receiver.unread_bytes(), receiver.beyond_bytes()), (290, 0));
        assert_eq!(receiver.last_data_s(), 4.0);
    }
}
