//! Bytes that have arrived at one connection, whether they can be read yet or wait behind a hole.
//!
//! TCP hands on what is in order: a lost packet holds back all that follows it, and filling the
//! hole hands it on at once, which is a stall and a burst to whoever counts what he reads. The
//! kernel tells how much memory it holds for the connection and what of that can be read; the rest
//! waits behind a hole. A byte takes more than a byte of memory, by a factor that hangs on network
//! card and packet size: it is learnt where a hole is filled, as what is read then gives back that
//! memory. Must not know who measures.

use super::Arrival;

/// Memory per byte before any was seen: packets of 1,448 bytes with their heads, as was measured
/// on a tun device.
const COST: f64 = 1.5;
/// Bytes of holes that count as much as that.
const COST_SURE: f64 = 2e6;
/// No packet takes less memory than it has bytes, and one in a page of its own 2.8 times as much.
const COST_MIN: f64 = 1.0;
const COST_MAX: f64 = 4.0;
/// What is left of the memory of earlier holes with each hole.
const COST_MEMORY: f64 = 0.95;
/// A hole has been filled where at least this memory is given back,
const FREED_MIN: u64 = 128 << 10;
/// and this multiple of what usually comes is read at once.
const READ_MIN: f64 = 2.0;
/// Looks whose mean is what usually comes,
const USUAL_LOOKS: u32 = 20;
/// and the least number of them.
const USUAL_LOOKS_MIN: u32 = 4;

/// Bytes that have arrived at one connection.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    /// What the kernel said last; `None`: it was not asked on this connection.
    latest: Option<Arrival>,
    /// All that has been counted.
    counted_bytes: u64,
    /// What usually comes between two looks.
    usual: Usual,
    /// What holes have taught about the memory of a byte.
    freed: Freed,
}

/// What usually comes between two looks.
#[derive(Debug, Clone, Copy, Default)]
struct Usual {
    bytes: f64,
    looks: u32,
}

/// Memory that was given back where holes were filled, the latest ones most, and the bytes that
/// were in it.
#[derive(Debug, Clone, Copy)]
struct Freed {
    memory_bytes: f64,
    bytes: f64,
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
        let Some(earlier) = self.latest.replace(arrival) else {
            self.counted_bytes = arrival.received_bytes + self.held_bytes(&arrival);
            return News { bytes: 0, is_lossy: false, is_any: false };
        };
        self.learn(&earlier, &arrival);
        // What is reckoned too high now counts less later, and is not counted twice.
        let all = arrival.received_bytes + self.held_bytes(&arrival);
        let bytes = all.saturating_sub(self.counted_bytes);
        self.counted_bytes += bytes;
        self.usual.add(bytes);
        let is_lossy = arrival.out_of_order > earlier.out_of_order;
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

    /// About what waits behind holes, in bytes.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "bytes of a receive buffer"
    )]
    fn held_bytes(&self, arrival: &Arrival) -> u64 {
        let all = arrival.memory_bytes as f64 / self.freed.cost();
        (all as u64).saturating_sub(arrival.unread_bytes)
    }

    /// Learns what a byte costs if a hole has been filled: beside what usually comes, what was read
    /// had been in the memory that is given back.
    #[allow(clippy::cast_precision_loss, reason = "bytes of a receive buffer")]
    fn learn(&mut self, earlier: &Arrival, arrival: &Arrival) {
        let memory_bytes = earlier.memory_bytes.saturating_sub(arrival.memory_bytes);
        let read = was_read(arrival).saturating_sub(was_read(earlier)) as f64;
        let Usual { bytes, looks } = self.usual;
        if memory_bytes >= FREED_MIN && looks >= USUAL_LOOKS_MIN && read > READ_MIN * bytes {
            self.freed.add(memory_bytes as f64, read - bytes);
        }
    }
}

impl Usual {
    #[allow(clippy::cast_precision_loss, reason = "bytes of a fraction of a second")]
    fn add(&mut self, bytes: u64) {
        self.looks = (self.looks + 1).min(USUAL_LOOKS);
        self.bytes += (bytes as f64 - self.bytes) / f64::from(self.looks);
    }
}

impl Default for Freed {
    fn default() -> Self {
        Self { memory_bytes: COST * COST_SURE, bytes: COST_SURE }
    }
}

impl Freed {
    fn add(&mut self, memory_bytes: f64, bytes: f64) {
        self.memory_bytes = COST_MEMORY * self.memory_bytes + memory_bytes;
        self.bytes = COST_MEMORY * self.bytes + bytes;
    }

    /// Memory of a byte.
    fn cost(&self) -> f64 {
        (self.memory_bytes / self.bytes).clamp(COST_MIN, COST_MAX)
    }
}

fn was_read(arrival: &Arrival) -> u64 {
    arrival.received_bytes.saturating_sub(arrival.unread_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection on which 100 KB have come with each of 20 looks, without a loss. Then takes
    /// what has come in order and behind a hole since, and returns what the latest look counted,
    /// all in KB. 100 bytes take this memory.
    fn begun(cost: u64) -> impl FnMut(u64, u64) -> u64 {
        let mut arrivals = Arrivals::default();
        let mut look = move |in_order: u64, beyond: u64| {
            let memory_bytes = beyond * 10 * cost;
            let received_bytes = in_order * 1000;
            let arrival = Arrival { received_bytes, memory_bytes, ..Arrival::default() };
            arrivals.add(arrival).bytes / 1000
        };
        for step in 0..=20 {
            look(step * 100, 0);
        }
        move |in_order, beyond| look(2000 + in_order, beyond)
    }

    #[test]
    fn what_comes_behind_a_hole_counts_when_it_comes_and_once() {
        let mut look = begun(150);
        assert_eq!(look(20, 80), 100);
        assert_eq!(look(20, 180), 100);
        assert_eq!(look(300, 0), 100, "the hole is filled");
        assert_eq!(look(400, 0), 100);
    }

    #[test]
    fn one_hole_of_many_is_filled() {
        let mut look = begun(150);
        assert_eq!(look(10, 90), 100);
        assert_eq!(look(40, 61), 1, "what fills the first hole comes alone");
        assert_eq!(look(70, 32), 1);
        assert_eq!(look(203, 0), 101);
    }

    #[test]
    fn the_memory_of_a_byte_is_learnt_from_holes() {
        for cost in [110, 150, 280] {
            let mut look = begun(cost);
            let mut in_order = 0;
            for _ in 0..20 {
                for step in 1..=10 {
                    look(in_order, step * 100);
                }
                in_order += 1100;
                look(in_order, 0);
            }
            for step in 1..=10 {
                let came = look(in_order, step * 100);
                assert!((90..=110).contains(&came), "{came} at {cost}");
            }
            let came = look(in_order + 1100, 0);
            assert!((50..=150).contains(&came), "a burst of {came} at {cost}");
        }
    }

    #[test]
    fn memory_that_is_given_back_without_a_hole_teaches_nothing() {
        let mut look = begun(150);
        for step in 0..20 {
            // The kernel copies what it holds into fewer pages,
            look(100 * step, 400);
            look(100 * step, 200);
        }
        look(2000, 0);
        for step in 7..20 {
            // and has some packets of little data.
            look(300 * step, 80);
            look(300 * step + 300, 0);
        }
        assert_eq!(look(6000, 100), 100);
    }

    #[test]
    fn what_was_reckoned_too_high_is_not_counted_again() {
        let mut look = begun(300);
        assert_eq!(look(0, 100), 200);
        assert_eq!(look(200, 0), 0);
        assert_eq!(look(300, 0), 100);
    }

    #[test]
    fn what_can_be_read_waits_behind_no_hole() {
        let mut arrivals = Arrivals::default();
        arrivals.add(Arrival::default());
        let arrival = Arrival {
            received_bytes: 500_000,
            unread_bytes: 400_000,
            memory_bytes: 600_000,
            ..Arrival::default()
        };
        assert_eq!(arrivals.add(arrival).bytes, 500_000);
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
    fn a_loss_is_told_where_the_memory_is_not() {
        let mut arrivals = Arrivals::default();
        let at = |received_bytes, out_of_order| Arrival {
            received_bytes,
            out_of_order,
            ..Arrival::default()
        };
        arrivals.add(at(0, 0));
        assert_eq!(arrivals.add(at(0, 3)), News { bytes: 0, is_lossy: true, is_any: true });
        assert_eq!(arrivals.add(at(9000, 3)), News { bytes: 9000, is_lossy: false, is_any: true });
    }
}
