//! The small ring: sockets and files, blocks to fill, groups of provided buffers, completions.
//!
//! It owns all memory that the kernel may touch, and ends only when nothing is in flight any more.
//! What a completion brought can be read until it is given back, as only the completion shows it.

use super::buffers::{ENTRIES_MAX, Group, PAGE_BYTES};
use io_uring_7::{IoUring, cqueue, opcode, squeue, types};
use ringhaul::internal::base::limits::BLOCK_BYTES;
use ringhaul::internal::io::buffers::{Lease, Pool};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd};
use rustix::net::Shutdown;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// As in `io/uring`.
const SUBMISSIONS: u32 = 128;
/// A multishot receive completes without being asked again; more would only overflow.
const COMPLETIONS: u32 = 4096;
/// `IORING_ENTER_GETEVENTS`: the kernel does what it has left to this thread, and need not wait.
const GET_EVENTS: u32 = 1;
/// What is read at a time while a head is wanted, as the engine does.
const HEAD_BYTES: usize = 4096;
/// Length of a buffer that all connections share.
const SHARED_BYTES: usize = 64 * 1024;
/// The group that all connections share; of their own they have number 1 and up.
const SHARED_GROUP: u16 = 0;

/// What has completed, for which socket or file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Sent,
    /// A silent send has failed.
    Unsent,
    Head,
    Body,
    Buffered,
    Written,
}

const EVENTS: [Event; 6] =
    [Event::Sent, Event::Unsent, Event::Head, Event::Body, Event::Buffered, Event::Written];

/// Which memory a ring has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Blocks alone.
    Blocks,
    /// Also buffers that all connections share.
    Shared,
    /// Each connection's blocks are a group that the kernel fills bit by bit.
    Incremental,
}

/// A part of a block.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) block: usize,
    pub(crate) from: usize,
    pub(crate) bytes: usize,
}

/// One completion. What it brought is looked at through the ring and ends with it.
pub(crate) struct Completion {
    pub(crate) event: Event,
    pub(crate) connection: usize,
    /// Bytes.
    pub(crate) result: io::Result<usize>,
    /// Indicates whether the operation goes on.
    pub(crate) more: bool,
    buffer: Option<u16>,
}

/// A ring, its memory, and what it reads from and writes to.
pub(crate) struct Ring {
    inner: IoUring,
    files: Vec<OwnedFd>,
    groups: Vec<Group>,
    layout: Layout,
    is_deferred: bool,
    /// What is polled for completions, if it waits outside of the ring.
    wake: Option<OwnedFd>,
    /// Operations that will still complete.
    in_flight: usize,
    starts: Vec<*mut u8>,
    /// Blocks at the front of `starts` that bodies go to; behind them heads, pages, buffers.
    blocks: usize,
    heads: usize,
    // Last, as fields end in this order.
    _leases: Vec<Lease>,
}

impl Ring {
    /// A ring for `connections` with `blocks` blocks of each. With `is_deferred` the kernel leaves
    /// its work to the moment at which this thread waits (SINGLE_ISSUER, DEFER_TASKRUN).
    pub(crate) fn new(
        is_deferred: bool,
        layout: Layout,
        connections: usize,
        blocks: usize,
        shared: usize,
    ) -> io::Result<Self> {
        let mut builder = IoUring::builder();
        builder.setup_cqsize(COMPLETIONS);
        if is_deferred {
            builder.setup_single_issuer().setup_defer_taskrun();
        }
        let inner = builder.build(SUBMISSIONS)?;
        let blocks = connections * blocks;
        let heads = (connections * HEAD_BYTES).div_ceil(BLOCK_BYTES).max(1);
        let pages = ((connections + 1) * PAGE_BYTES).div_ceil(BLOCK_BYTES);
        let total = blocks + heads + pages + (shared * SHARED_BYTES).div_ceil(BLOCK_BYTES);
        let pool = Pool::new(u32::try_from(total).expect("a few blocks"))?;
        let mut leases: Vec<Lease> = std::iter::from_fn(|| pool.try_lease()).collect();
        let start = |lease: &mut Lease| {
            // Touched now, so that no page is zeroed while it is measured.
            lease.spare_mut().fill(0);
            lease.spare_mut().as_mut_ptr()
        };
        let starts = leases.iter_mut().map(start).collect();
        let mut ring = Self {
            inner,
            files: Vec::new(),
            groups: Vec::new(),
            layout,
            is_deferred,
            wake: None,
            in_flight: 0,
            starts,
            blocks,
            heads,
            _leases: leases,
        };
        ring.register(connections, shared, heads + blocks + pages)?;
        Ok(ring)
    }

    /// From here on it waits outside of the ring until completions are there. Of work that is left
    /// to this thread the ring's own descriptor tells nothing (seen on 6.18: a poll that began
    /// before sleeps on), but an event descriptor does.
    pub(crate) fn wait_in_poll(&mut self) -> io::Result<()> {
        let wake = if self.is_deferred {
            let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
            self.inner.submitter().register_eventfd(wake.as_raw_fd())?;
            wake
        } else {
            // SAFETY: the ring is open while it is borrowed.
            unsafe { BorrowedFd::borrow_raw(self.inner.as_raw_fd()) }.try_clone_to_owned()?
        };
        self.wake = Some(wake);
        Ok(())
    }

    /// Whether receives may take several buffers at once.
    pub(crate) fn has_bundles(&self) -> bool {
        self.inner.params().is_feature_recvsend_bundle()
    }

    /// Takes a connected socket or a file; returns its number, counted from 0.
    pub(crate) fn adopt(&mut self, file: impl Into<OwnedFd>) -> usize {
        self.files.push(file.into());
        self.files.len() - 1
    }

    /// Sends a request, which has to go out at once. If `is_silent`, only a failure completes.
    pub(crate) fn send(&mut self, connection: usize, request: &'static [u8], is_silent: bool) {
        let len = length(request.len());
        let entry = opcode::Send::new(self.fd(connection), request.as_ptr(), len)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
            .build();
        let (event, flags) = if is_silent {
            (Event::Unsent, squeue::Flags::SKIP_SUCCESS)
        } else {
            self.in_flight += 1;
            (Event::Sent, squeue::Flags::empty())
        };
        // SAFETY: the request lives for ever.
        unsafe { self.push(entry.flags(flags), connection, event) };
    }

    /// Receives what there is into the connection's memory for heads.
    pub(crate) fn receive_head(&mut self, connection: usize) {
        let start = self.head_start(connection);
        let entry = opcode::Recv::new(self.fd(connection), start, length(HEAD_BYTES)).build();
        self.in_flight += 1;
        // SAFETY: the ring owns the memory and outlives the operation; no other one names it.
        unsafe { self.push(entry, connection, Event::Head) };
    }

    /// Receives until `place` is full (MSG_WAITALL).
    pub(crate) fn receive_all(&mut self, connection: usize, place: Place) {
        let start = self.place_start(place);
        let entry = opcode::Recv::new(self.fd(connection), start, length(place.bytes))
            .flags(libc::MSG_WAITALL)
            .build();
        self.in_flight += 1;
        // SAFETY: the ring owns the memory and outlives the operation, and shows nothing of it.
        unsafe { self.push(entry, connection, Event::Body) };
    }

    /// Receives again and again into provided buffers, `bundled` into several at once.
    pub(crate) fn receive_multi(&mut self, connection: usize, bundled: bool) {
        let (fd, group) = (self.fd(connection), self.group_number(connection));
        let entry = if bundled {
            opcode::RecvMultiBundle::new(fd, group).build()
        } else {
            opcode::RecvMulti::new(fd, group).build()
        };
        self.in_flight += 1;
        // SAFETY: the buffers are the ring's and outlive the operation.
        unsafe { self.push(entry, connection, Event::Buffered) };
    }

    /// Writes the first bytes of a block of this ring at `offset`, with flags as of `pwritev2`.
    pub(crate) fn write(&mut self, file: usize, place: Place, offset: u64, flags: i32) {
        let start = self.place_start(place);
        let entry = opcode::Write::new(self.fd(file), start, length(place.bytes))
            .offset(offset)
            .rw_flags(flags)
            .build();
        self.in_flight += 1;
        // SAFETY: the ring owns the memory and outlives the operation, which only reads.
        unsafe { self.push(entry, place.block, Event::Written) };
    }

    /// Copies what a completion brought, the `at`th piece of it, into a block.
    pub(crate) fn copy(&self, completion: &Completion, at: usize, skip: usize, to: Place) {
        let (start, len) = self.find(completion, at).expect("the piece was just looked at");
        assert!(skip + to.bytes <= len, "no more than the piece has");
        let target = self.place_start(to);
        // SAFETY: both ranges lie within memory of the ring, one in a buffer or a head, the other
        // in a block; the kernel has handed the former over and knows nothing of the latter.
        unsafe { std::ptr::copy_nonoverlapping(start.add(skip), target, to.bytes) };
    }

    /// The `at`th piece of what a completion brought, from 0; `None` behind the last.
    pub(crate) fn piece(&self, completion: &Completion, at: usize) -> Option<&[u8]> {
        let (start, len) = self.find(completion, at)?;
        // SAFETY: the completion handed these bytes over; they go back to the kernel with it, by
        // value and through a mutable borrow of the ring.
        Some(unsafe { std::slice::from_raw_parts(start, len) })
    }

    /// The bytes of a block, for checks while nothing of its connection is in flight.
    pub(crate) fn block(&self, place: Place) -> &[u8] {
        let start = self.place_start(place);
        // SAFETY: the caller has seen the completion of every operation that named these bytes.
        unsafe { std::slice::from_raw_parts(start, place.bytes) }
    }

    /// Gives back what a completion brought; shared buffers go to the kernel again.
    pub(crate) fn give_back(&mut self, completion: Completion) {
        let (Some(mut id), Ok(bytes)) = (completion.buffer, &completion.result) else { return };
        let group = &mut self.groups[usize::from(Self::number(self.layout, completion.connection))];
        if self.layout == Layout::Incremental {
            return group.advance(id, *bytes);
        }
        // Which buffers those were is asked before the first of them takes another position.
        let mut at = 1;
        loop {
            let next = group.piece(id, *bytes - (at - 1) * SHARED_BYTES, 1);
            group.provide(id, 0, SHARED_BYTES);
            let Some((following, _, _)) = next else { return };
            (id, at) = (following, at + 1);
        }
    }

    /// Lends a part of a connection's block to its group. `index` counts the connection's blocks.
    pub(crate) fn lend(&mut self, connection: usize, index: usize, from: usize, bytes: usize) {
        let id = u16::try_from(index).expect("a connection has few blocks");
        self.groups[connection].provide(id, from, bytes);
    }

    /// Submits what is prepared and waits for a completion; appends all there are.
    pub(crate) fn wait(&mut self, completions: &mut Vec<Completion>) -> io::Result<()> {
        let waited = match self.wake {
            Some(_) => self.poll(),
            None => self.inner.submit_and_wait(1).map(drop),
        };
        match waited {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for entry in self.inner.completion() {
            let event = EVENTS[usize::try_from(entry.user_data() % 8).expect("below 8")];
            let more = cqueue::more(entry.flags());
            let result = usize::try_from(entry.result())
                .map_err(|_| io::Error::from_raw_os_error(-entry.result()));
            self.in_flight -= usize::from(!more && event != Event::Unsent);
            completions.push(Completion {
                event,
                connection: usize::try_from(entry.user_data() / 8).expect("a small number"),
                result,
                more,
                buffer: cqueue::buffer_select(entry.flags()),
            });
        }
        Ok(())
    }

    /// Sets SO_RCVLOWAT: the kernel stays silent until this number of bytes is there.
    pub(crate) fn set_low_water(&self, connection: usize, bytes: usize) {
        let value = libc::c_int::try_from(bytes).expect("below a block");
        // SAFETY: the option takes one int, which outlives the call. A failure costs wakeups only.
        unsafe {
            libc::setsockopt(
                self.files[connection].as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_RCVLOWAT,
                std::ptr::from_ref(&value).cast(),
                libc::socklen_t::try_from(size_of::<libc::c_int>()).expect("four"),
            );
        }
    }

    /// Submits, and waits outside of the ring, as a ring below tokio does.
    fn poll(&mut self) -> io::Result<()> {
        loop {
            let count = u32::try_from(self.inner.submission().len()).expect("a short queue");
            let none = None::<&libc::sigset_t>;
            // SAFETY: no pointer is handed over; what the entries name is owned by the ring.
            unsafe { self.inner.submitter().enter(count, 0, GET_EVENTS, none) }?;
            let Some(wake) = self.wake.as_ref().filter(|_| self.inner.completion().is_empty())
            else {
                return Ok(());
            };
            rustix::event::poll(&mut [PollFd::new(wake, PollFlags::IN)], None)?;
            if self.is_deferred {
                // Counts nothing that matters: the next turn looks at everything.
                let _ = rustix::io::read(wake, &mut [0; 8]);
            }
        }
    }

    fn register(&mut self, connections: usize, shared: usize, buffers: usize) -> io::Result<()> {
        let page = |starts: &[*mut u8], pages: usize, number: usize| {
            // SAFETY: the blocks for pages were made large enough for this number of groups.
            unsafe { starts[pages].add(number * PAGE_BYTES) }
        };
        assert!((connections + 1) * PAGE_BYTES <= BLOCK_BYTES, "one block holds all pages");
        let (starts, pages) = (&self.starts, self.blocks + self.heads);
        match self.layout {
            Layout::Blocks => {}
            Layout::Shared => {
                let per_block = BLOCK_BYTES / SHARED_BYTES;
                assert!(shared.is_power_of_two() && shared <= ENTRIES_MAX, "a full ring");
                // SAFETY: the index is below the number of buffers that room was made for.
                let start = |at: usize| unsafe {
                    starts[buffers + at / per_block].add(at % per_block * SHARED_BYTES)
                };
                let slots = (0..shared).map(|at| (start(at), SHARED_BYTES));
                let page = page(starts, pages, 0);
                // SAFETY: page and buffers are memory of the ring that nothing else uses.
                let group =
                    unsafe { Group::register(&self.inner, SHARED_GROUP, page, slots, false) };
                self.groups.push(group?);
                for id in 0..u16::try_from(shared).expect("at most a page of entries") {
                    self.groups[0].provide(id, 0, SHARED_BYTES);
                }
            }
            Layout::Incremental => {
                let each = self.blocks / connections;
                for connection in 0..connections {
                    let number = u16::try_from(connection).expect("few connections");
                    let blocks = &starts[connection * each..][..each];
                    let slots = blocks.iter().map(|start| (*start, BLOCK_BYTES));
                    let page = page(starts, pages, connection);
                    // SAFETY: page and blocks are memory of the ring for this connection alone.
                    let group = unsafe { Group::register(&self.inner, number, page, slots, true) };
                    self.groups.push(group?);
                }
            }
        }
        Ok(())
    }

    /// # Safety
    /// The memory the entry names lives until the ring ends, and nothing else writes to it.
    unsafe fn push(&mut self, entry: squeue::Entry, number: usize, event: Event) {
        let place = EVENTS.iter().position(|other| *other == event).expect("all are there");
        let entry = entry.user_data(number as u64 * 8 + place as u64);
        // SAFETY: the caller's promise.
        while unsafe { self.inner.submission().push(&entry) }.is_err() {
            self.inner.submit().expect("the kernel takes what fits into the queue");
        }
    }

    fn find(&self, completion: &Completion, at: usize) -> Option<(*mut u8, usize)> {
        let bytes = *completion.result.as_ref().ok()?;
        match (completion.event, completion.buffer) {
            (Event::Head, _) => (at == 0).then(|| (self.head_start(completion.connection), bytes)),
            (_, Some(id)) => {
                let number = Self::number(self.layout, completion.connection);
                let found = self.groups[usize::from(number)].piece(id, bytes, at);
                found.map(|(_, start, len)| (start, len))
            }
            _ => None,
        }
    }

    fn group_number(&self, connection: usize) -> u16 {
        Self::number(self.layout, connection)
    }

    fn number(layout: Layout, connection: usize) -> u16 {
        match layout {
            Layout::Incremental => u16::try_from(connection).expect("few connections"),
            Layout::Blocks | Layout::Shared => SHARED_GROUP,
        }
    }

    fn fd(&self, number: usize) -> types::Fd {
        types::Fd(self.files[number].as_raw_fd())
    }

    fn head_start(&self, connection: usize) -> *mut u8 {
        let per_block = BLOCK_BYTES / HEAD_BYTES;
        let block = self.starts[self.blocks + connection / per_block];
        assert!(connection / per_block < self.heads, "every connection has memory for its heads");
        // SAFETY: the offset is below a block's length.
        unsafe { block.add(connection % per_block * HEAD_BYTES) }
    }

    fn place_start(&self, place: Place) -> *mut u8 {
        assert!(place.block < self.blocks, "a body goes to a block for bodies");
        assert!(place.from + place.bytes <= BLOCK_BYTES, "a place lies within its block");
        // SAFETY: just checked.
        unsafe { self.starts[place.block].add(place.from) }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        for file in &self.files {
            // Fails for files, whose operations end by themselves.
            let _ = rustix::net::shutdown(file, Shutdown::Both);
        }
        let mut completions = Vec::new();
        while self.in_flight > 0 && self.wait(&mut completions).is_ok() {}
    }
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("at most a block")
}
