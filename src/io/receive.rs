//! What a receive is given: when it ends, and the memory it may fill, a lease or the staging buffer
//! of a connection. Knows no driver.

use super::buffers::Lease;

/// How a receive ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Receive {
    /// With whatever has arrived.
    Some,
    /// When all asked bytes are there (MSG_WAITALL), or at the end of the stream.
    All,
}

/// Memory a receive may fill: [`Target::room`] bytes from [`Target::start`], stable until the value
/// is dropped.
///
/// # Safety
/// The memory must be writable, owned by `self`, and must not move when `self` does.
pub unsafe trait Target: Unpin + 'static {
    /// First byte to fill.
    fn start(&mut self) -> *mut u8;
    /// Bytes that may be filled.
    fn room(&self) -> usize;
}

// SAFETY: the spare part of a leased block is exclusive and the arena outlives the lease.
unsafe impl Target for Lease {
    fn start(&mut self) -> *mut u8 {
        self.spare_mut().as_mut_ptr()
    }

    fn room(&self) -> usize {
        self.spare()
    }
}

/// Ordinary memory with a filled window, for heads and ciphertext. By default it has no room.
#[derive(Default)]
pub struct Staging {
    memory: Box<[u8]>,
    /// Index of the first byte that is not used up.
    head: usize,
    /// Index behind the last byte that has arrived.
    tail: usize,
}

impl Staging {
    /// An empty buffer of `bytes`.
    pub fn new(bytes: usize) -> Self {
        Self { memory: vec![0; bytes].into_boxed_slice(), head: 0, tail: 0 }
    }

    /// What has arrived and is not used up.
    pub fn filled(&self) -> &[u8] {
        &self.memory[self.head..self.tail]
    }

    /// The same, to be changed in place.
    pub fn filled_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.head..self.tail]
    }

    /// Bytes that have arrived and are not used up.
    pub fn len(&self) -> usize {
        self.tail - self.head
    }

    /// Nothing is left to use.
    pub fn is_empty(&self) -> bool {
        self.head == self.tail
    }

    /// Uses up the first `bytes`.
    pub fn consume(&mut self, bytes: usize) {
        assert!(bytes <= self.len(), "more used than arrived");
        self.head += bytes;
        if self.head == self.tail {
            self.head = 0;
            self.tail = 0;
        }
    }

    /// Moves the rest to the front: when more is read, that is at most one partial TLS record.
    pub fn compact(&mut self) {
        self.memory.copy_within(self.head..self.tail, 0);
        self.tail -= self.head;
        self.head = 0;
    }

    /// Counts `bytes` behind the window as arrived.
    pub fn advance(&mut self, bytes: usize) {
        assert!(bytes <= self.memory.len() - self.tail, "more arrived than fits");
        self.tail += bytes;
    }

    /// The memory behind the window, for what is written there before it is counted.
    pub fn spare_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.tail..]
    }

    /// Bytes that fit behind the window.
    pub fn room(&self) -> usize {
        self.memory.len() - self.tail
    }
}

// SAFETY: the boxed slice does not move with the value; the part behind `tail` is unused.
unsafe impl Target for Staging {
    fn start(&mut self) -> *mut u8 {
        self.memory[self.tail..].as_mut_ptr()
    }

    fn room(&self) -> usize {
        Staging::room(self)
    }
}
