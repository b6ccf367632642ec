//! A ring of provided buffers: memory the kernel picks from when bytes arrive. Knows which buffer
//! follows which; owns none of the memory.

use io_uring_7::IoUring;
use io_uring_7::types::BufRingEntry;
use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

/// Memory that a group's entries take up at least: the kernel wants whole pages.
pub(crate) const PAGE_BYTES: usize = 4096;
/// Entries that fit into one page.
pub(crate) const ENTRIES_MAX: usize = PAGE_BYTES / size_of::<BufRingEntry>();

/// `IOU_PBUF_RING_INC` (Linux 6.12), which the crate does not export.
const INCREMENTAL: u16 = 2;

/// One buffer of a group.
struct Slot {
    start: *mut u8,
    bytes: usize,
    /// Bytes at its start that the kernel has filled and handed over.
    used: usize,
    /// Position in the ring at which it was provided last.
    position: u16,
}

/// A registered group.
pub(crate) struct Group {
    entries: *mut BufRingEntry,
    /// Entries less one; a power of two less one.
    mask: u16,
    tail: u16,
    slots: Vec<Slot>,
    /// Which buffer was provided at each position.
    order: Vec<u16>,
}

impl Group {
    /// Registers a group of `slots` (start and length of each buffer) that are not yet provided.
    ///
    /// # Safety
    /// `page` is a zeroed page for this group alone; it and the buffers outlive the ring's last
    /// operation, and nobody else touches a buffer between [`Group::provide`] and the completion
    /// that names it.
    pub(crate) unsafe fn register(
        ring: &IoUring,
        id: u16,
        page: *mut u8,
        slots: impl Iterator<Item = (*mut u8, usize)>,
        is_incremental: bool,
    ) -> io::Result<Self> {
        let slots: Vec<Slot> =
            slots.map(|(start, bytes)| Slot { start, bytes, used: 0, position: 0 }).collect();
        let entries = slots.len().next_power_of_two();
        assert!(entries <= ENTRIES_MAX, "the entries fit into their page");
        let count = u16::try_from(entries).expect("fits into a page");
        let flags = if is_incremental { INCREMENTAL } else { 0 };
        // SAFETY: the page outlives the ring, says the caller, and holds this number of entries.
        unsafe {
            ring.submitter().register_buf_ring_with_flags(page as u64, count, id, flags)?;
        }
        let order = vec![0; entries];
        Ok(Self { entries: page.cast(), mask: count - 1, tail: 0, slots, order })
    }

    /// Gives the kernel `bytes` of the buffer from `from` on.
    pub(crate) fn provide(&mut self, id: u16, from: usize, bytes: usize) {
        let slot = &mut self.slots[usize::from(id)];
        assert!(from + bytes <= slot.bytes, "no more than the buffer has");
        slot.used = from;
        slot.position = self.tail;
        let at = usize::from(self.tail & self.mask);
        self.order[at] = id;
        // SAFETY: `at` is below the number of entries, and the kernel reads an entry only once the
        // tail is behind it. The buffer's range lies within the buffer.
        unsafe {
            let entry = &mut *self.entries.add(at);
            entry.set_addr(slot.start.add(from) as u64);
            entry.set_len(u32::try_from(bytes).expect("at most a block"));
            entry.set_bid(id);
        }
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the tail lies in the first entry, is aligned, and is shared with the kernel,
        // which only reads it.
        let tail = unsafe { &*BufRingEntry::tail(self.entries).cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
    }

    /// The `at`th piece of `bytes` bytes that the kernel put into buffer `id` and, where that one
    /// was too short, into those provided behind it: which buffer, and its part.
    pub(crate) fn piece(
        &self,
        id: u16,
        mut bytes: usize,
        at: usize,
    ) -> Option<(u16, *mut u8, usize)> {
        let mut id = id;
        for _ in 0..at {
            let slot = &self.slots[usize::from(id)];
            bytes = bytes.checked_sub(slot.bytes - slot.used)?;
            id = self.order[usize::from(slot.position.wrapping_add(1) & self.mask)];
        }
        let slot = &self.slots[usize::from(id)];
        let len = bytes.min(slot.bytes - slot.used);
        // SAFETY: `used` is at most the buffer's length.
        (len > 0).then(|| (id, unsafe { slot.start.add(slot.used) }, len))
    }

    /// Counts `bytes` more bytes of the buffer as used.
    pub(crate) fn advance(&mut self, id: u16, bytes: usize) {
        let slot = &mut self.slots[usize::from(id)];
        slot.used += bytes;
        assert!(slot.used <= slot.bytes, "no more arrives than was provided");
    }
}
