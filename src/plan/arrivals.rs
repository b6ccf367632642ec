//! Bytes that have arrived at one connection, whether they can be read yet or wait behind a hole.
//!
//! TCP hands on what is in order: a lost packet holds back all that follows it, and filling the
//! hole hands it on at once, which is a stall and a burst to whoever counts what he reads. The
//! kernel counts segments when they come, and these make the rate while there is a hole. Must not
//! know who measures.

use super::Arrival;

/// Data of a segment on most paths, in bytes: an Ethernet frame without headers and a timestamp.
const SEGMENT_BYTES: f64 = 1448.0;
/// Segments that tell something of their size.
const SEGMENTS_SURE: f64 = 16.0;
/// Up to this number of them a hole is no small part of all.
const SEGMENTS_YOUNG: u32 = 512;
/// Weight of the latest look in the mean size: forty looks, two seconds, are longer than most holes
/// stand.
const WEIGHT: f64 = 1.0 / 40.0;
/// What comes in order differs by no more than this from what the segments make: there is no hole
/// any more.
const TOLERANCE: f64 = 0.2;

/// Bytes that have arrived at one connection.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    /// What the kernel said last; `None`: it was not asked on this connection.
    latest: Option<Arrival>,
    /// Bytes and segments of late, each look with less weight than the one after it. What the
    /// kernel counts as one segment may be several: a tun device that hands on large ones does not
    /// say how many they are.
    recent: (f64, f64),
    /// About what waits behind holes, in bytes.
    held_bytes: u64,
}

/// What has come since the kernel was asked last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct News {
    /// Bytes, whether they can be read yet or not.
    pub(super) bytes: u64,
    /// Indicates whether something came behind a hole.
    pub(super) is_lossy: bool,
    /// Indicates whether anything came at all.
    pub(super) is_any: bool,
}

impl Arrivals {
    /// What the kernel says now; the first word of a connection is news of nothing.
    pub(super) fn add(&mut self, arrival: Arrival) -> News {
        let earlier = self.latest.replace(arrival).unwrap_or(arrival);
        let in_order = arrival.received_bytes.saturating_sub(earlier.received_bytes);
        let segments = arrival.segments.saturating_sub(earlier.segments);
        let is_lossy = arrival.out_of_order > earlier.out_of_order;
        let bytes = if is_lossy || self.held_bytes > 0 {
            self.around_holes(in_order, segments, is_lossy)
        } else {
            in_order
        };
        self.learn(in_order, segments);
        News { bytes, is_lossy, is_any: arrival != earlier }
    }

    /// What the kernel said last, if it was asked.
    pub(super) fn latest(&self) -> Option<Arrival> {
        self.latest
    }

    /// Another connection.
    pub(super) fn restart(&mut self) {
        *self = Self::default();
    }

    /// What has come while something waits behind a hole: what the segments make, and no less than
    /// what is in order now and was not held before.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "bytes of a fraction of a second"
    )]
    fn around_holes(&mut self, in_order: u64, segments: u32, is_lossy: bool) -> u64 {
        let came = f64::from(segments) * self.segment_bytes();
        let is_in_order = (in_order as f64 - came).abs() <= TOLERANCE * came;
        if !is_lossy && is_in_order && f64::from(segments) >= SEGMENTS_SURE {
            // What is held by this reckoning were copies of what had come before.
            self.held_bytes = 0;
            return in_order;
        }
        let came = (came as u64).max(in_order.saturating_sub(self.held_bytes));
        self.held_bytes = (self.held_bytes + came).saturating_sub(in_order);
        came
    }

    #[allow(clippy::cast_precision_loss, reason = "bytes of a few seconds")]
    fn learn(&mut self, in_order: u64, segments: u32) {
        let (bytes, all) = self.recent;
        let rest = 1.0 - WEIGHT;
        self.recent = (rest * bytes + in_order as f64, rest * all + f64::from(segments));
    }

    /// Mean data of a segment in bytes.
    #[allow(clippy::cast_precision_loss, reason = "bytes of a few seconds")]
    fn segment_bytes(&self) -> f64 {
        let (bytes, segments) = self.recent;
        let is_young = self.latest.is_none_or(|latest| latest.segments < SEGMENTS_YOUNG);
        let held = if is_young { self.held_bytes as f64 } else { 0.0 };
        if segments < SEGMENTS_SURE { SEGMENT_BYTES } else { (bytes + held) / segments }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// A connection that has brought four thousand segments of this `size` in order. Then takes the
    /// segments in order, of all, and out of order since, and returns how many have come since the
    /// last look.
    fn begun(size: u64) -> impl FnMut(u64, u32, u32) -> u64 {
        let mut arrivals = Arrivals::default();
        let mut look = move |in_order: u64, all: u32, out_of_order: u32| {
            let received_bytes = in_order * size;
            let round_trip = Duration::ZERO;
            let arrival = Arrival { received_bytes, segments: all, out_of_order, round_trip };
            (arrivals.add(arrival).bytes + size / 2) / size
        };
        for step in 0..=40 {
            look(step * 100, u32::try_from(step).unwrap() * 100, 0);
        }
        move |in_order, all, out_of_order| look(4000 + in_order, 4000 + all, out_of_order)
    }

    #[test]
    fn what_comes_behind_a_hole_counts_when_it_comes() {
        for size in [1448, 8948, 30_000] {
            let mut look = begun(size);
            assert_eq!(look(20, 100, 80), 100);
            assert!((93..=100).contains(&look(20, 200, 180)), "fewer come in order");
            // The hole is filled, and more comes in order.
            assert!((93..=110).contains(&look(300, 300, 180)));
            assert_eq!(look(400, 400, 180), 100);
        }
    }

    #[test]
    fn one_hole_of_many_is_filled() {
        let mut look = begun(1448);
        assert_eq!(look(10, 100, 90), 100);
        assert_eq!(look(40, 101, 90), 1, "what fills the first hole comes alone");
        assert_eq!(look(70, 102, 90), 1);
        assert!(look(103, 103, 90) < 8);
        assert_eq!(look(203, 203, 90), 100);
    }

    #[test]
    fn copies_are_no_hole_for_ever() {
        let mut look = begun(1448);
        assert_eq!(look(100, 400, 300), 400, "200 of them came twice");
        assert_eq!(look(200, 400, 300), 0);
        assert_eq!(look(300, 500, 300), 100);
        assert_eq!(look(400, 510, 300), 100, "few large segments");
    }

    #[test]
    fn a_new_connection_is_taken_for_one_of_usual_segments() {
        let mut arrivals = Arrivals::default();
        let at = |segments, out_of_order| {
            let received_bytes = 5 * 1448;
            Arrival { received_bytes, segments, out_of_order, ..Arrival::default() }
        };
        arrivals.add(at(5, 0));
        assert_eq!(arrivals.add(at(15, 10)).bytes, 10 * 1448);
    }

    #[test]
    fn while_it_is_young_what_is_held_tells_of_the_size_as_well() {
        let mut arrivals = Arrivals::default();
        let mut look = |in_order: u64, segments, out_of_order| {
            let received_bytes = in_order * 1448;
            let arrival = Arrival { received_bytes, segments, out_of_order, ..Arrival::default() };
            arrivals.add(arrival).bytes.div_ceil(1448)
        };
        look(0, 0, 0);
        look(60, 60, 0);
        assert_eq!(look(60, 120, 60), 60);
        assert!(look(60, 180, 120) >= 57, "not half of it");
    }

    #[test]
    fn another_connection_begins_anew() {
        let mut arrivals = Arrivals::default();
        let at = |received_bytes| Arrival { received_bytes, ..Arrival::default() };
        assert_eq!(arrivals.add(at(500)), News { bytes: 0, is_lossy: false, is_any: false });
        assert_eq!(arrivals.add(at(700)).bytes, 200);
        arrivals.restart();
        assert_eq!(arrivals.add(at(1 << 40)).bytes, 0);
    }

    #[test]
    fn a_kernel_that_counts_no_segments_tells_what_came_in_order() {
        let mut arrivals = Arrivals::default();
        let at = |received_bytes, out_of_order| Arrival {
            received_bytes,
            out_of_order,
            ..Arrival::default()
        };
        arrivals.add(at(0, 0));
        assert_eq!(arrivals.add(at(5000, 3)).bytes, 5000);
        assert_eq!(arrivals.add(at(9000, 3)).bytes, 4000);
    }
}
