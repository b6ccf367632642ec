//! Our own operations on tokio-uring's one-shot slots: RECV with flags, SEND, WRITE, WRITE_FIXED.
//!
//! Each operation owns the memory and the descriptor it names, and a ticket that counts it as in
//! flight until the kernel has answered, even if its future is dropped before.

use super::super::buffers::Block;
use super::super::receive::{Receive, Target};
use io_uring::{cqueue, opcode, squeue, types};
use std::cell::Cell;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;
use tokio_uring::{OneshotOutputTransform, UnsubmittedOneshot};

thread_local! {
    static IN_FLIGHT: Cell<usize> = const { Cell::new(0) };
}

/// Pause between two looks at the counter while draining; only the end of a shard waits here.
const DRAIN_POLL: Duration = Duration::from_micros(200);

/// Index of the arena among the ring's registered buffers.
const ARENA_BUFFER_INDEX: u16 = 0;

/// Waits until the kernel has answered every operation of this thread.
pub async fn drained() {
    while IN_FLIGHT.get() > 0 {
        tokio::time::sleep(DRAIN_POLL).await;
    }
}

/// Operations of this thread the kernel has not answered.
pub fn in_flight() -> usize {
    IN_FLIGHT.get()
}

/// RECV of up to `len` bytes into the target's room.
pub async fn receive<T: Target>(
    fd: &Arc<OwnedFd>,
    mut target: T,
    len: usize,
    mode: Receive,
) -> (io::Result<usize>, T) {
    let len = len.min(target.room());
    let flags = if mode == Receive::All { libc::MSG_WAITALL } else { 0 };
    let entry = opcode::Recv::new(types::Fd(fd.as_raw_fd()), target.start(), length(len))
        .flags(flags)
        .build();
    // SAFETY: the entry names memory of `target` and the descriptor, both owned by the operation.
    let (result, (target, _fd)) = unsafe { submit(entry, (target, fd.clone())) }.await;
    (result, target)
}

/// SEND of `bytes[from..]`; a closed peer is an error, not a signal.
pub async fn send(fd: &Arc<OwnedFd>, bytes: Vec<u8>, from: usize) -> (io::Result<usize>, Vec<u8>) {
    let rest = &bytes[from..];
    let entry = opcode::Send::new(types::Fd(fd.as_raw_fd()), rest.as_ptr(), length(rest.len()))
        .flags(libc::MSG_NOSIGNAL)
        .build();
    // SAFETY: the vector's memory does not move with it and nobody writes to it; both the vector
    // and the descriptor are owned by the operation.
    let (result, (bytes, _fd)) = unsafe { submit(entry, (bytes, fd.clone())) }.await;
    (result, bytes)
}

/// WRITE_FIXED or WRITE of `block[from..to]` at `offset`.
pub async fn write(
    fd: &Arc<OwnedFd>,
    block: Block,
    from: usize,
    to: usize,
    offset: u64,
) -> io::Result<usize> {
    let bytes = &block.as_ref()[from..to];
    let fd_type = types::Fd(fd.as_raw_fd());
    let len = length(bytes.len());
    let entry = if block.is_registered() {
        opcode::WriteFixed::new(fd_type, bytes.as_ptr(), len, ARENA_BUFFER_INDEX)
            .offset(offset)
            .build()
    } else {
        opcode::Write::new(fd_type, bytes.as_ptr(), len).offset(offset).build()
    };
    // SAFETY: a frozen block is read-only and stays leased until the operation lets go of it.
    unsafe { submit(entry, (block, fd.clone())) }.await.0
}

/// Puts one entry on this thread's ring and waits for its completion.
///
/// # Safety
/// All memory and descriptors the entry names must be owned by `data`.
unsafe fn submit<D: Unpin + 'static>(
    entry: squeue::Entry,
    data: D,
) -> impl Future<Output = (io::Result<usize>, D)> {
    let stored = Stored { data, _ticket: Ticket::new() };
    UnsubmittedOneshot::new(stored, Completion(std::marker::PhantomData), entry).submit()
}

struct Stored<D> {
    data: D,
    _ticket: Ticket,
}

struct Completion<D>(std::marker::PhantomData<fn() -> D>);

impl<D: 'static> OneshotOutputTransform for Completion<D> {
    type Output = (io::Result<usize>, D);
    type StoredData = Stored<D>;

    fn transform_oneshot_output(self, stored: Stored<D>, entry: cqueue::Entry) -> Self::Output {
        let result = usize::try_from(entry.result())
            .map_err(|_| io::Error::from_raw_os_error(-entry.result()));
        (result, stored.data)
    }
}

/// One operation in flight; dropped with its memory, which is after its completion.
struct Ticket;

impl Ticket {
    fn new() -> Self {
        IN_FLIGHT.set(IN_FLIGHT.get() + 1);
        Self
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // The slot may already be gone when a thread ends in a panic.
        let _ = IN_FLIGHT.try_with(|count| count.set(count.get() - 1));
    }
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("buffers are far smaller than 4 GiB")
}
