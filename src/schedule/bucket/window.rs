//! What has come in the slots of the last tenth of a second. Knows slots by their numbers, no
//! times.

/// Slots of a window: a tenth of a second, wherever it begins, lies in this number of slots of 20
/// milliseconds.
pub(super) const SLOTS: usize = 6;

/// Bytes that came, by slot.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Window {
    /// The slot in which bytes came last.
    newest: u64,
    /// Bytes of that slot and those before it, each at its number modulo [`SLOTS`].
    bytes: [u64; SLOTS],
}

impl Window {
    /// Counts bytes that came in a slot, which is that of the last ones or a later one.
    pub(super) fn add(&mut self, slot: u64, bytes: u64) {
        let passed = slot.saturating_sub(self.newest).min(SLOTS as u64);
        for ahead in 1..=passed {
            self.bytes[index(self.newest + ahead)] = 0;
        }
        self.newest = self.newest.max(slot);
        let sum = &mut self.bytes[index(self.newest)];
        *sum = sum.saturating_add(bytes);
    }

    /// Bytes that have come in the window whose last slot is `slot`, in which bytes came last or
    /// later.
    pub(super) fn bytes_until(&self, slot: u64) -> u128 {
        let passed = slot.saturating_sub(self.newest).min(SLOTS as u64);
        let kept = SLOTS as u64 - passed;
        let slots = (0..kept).filter_map(|back| self.newest.checked_sub(back));
        slots.map(|slot| u128::from(self.bytes[index(slot)])).sum()
    }
}

fn index(slot: u64) -> usize {
    usize::try_from(slot % SLOTS as u64).expect("below the number of slots")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_leave_with_their_slots() {
        let mut window = Window::default();
        for slot in 100..106 {
            window.add(slot, 1 << (slot - 100));
        }
        window.add(105, 64);
        let seen: Vec<u128> = (105..112).map(|slot| window.bytes_until(slot)).collect();
        assert_eq!(seen, [127, 126, 124, 120, 112, 96, 0]);
        window.add(107, 128);
        assert_eq!([107, 108, 111].map(|slot| window.bytes_until(slot)), [252, 248, 128]);
        window.add(1000, 1);
        assert_eq!(window.bytes_until(1000), 1);
        assert_eq!(window.bytes_until(u64::MAX), 0);
    }
}
