//! The threads that write blocks for one reactor: started as writes come, gone with it.
//!
//! A write owns its block and its descriptor until it has ended, whether anybody still waits for
//! it or not.

use super::super::buffers::Block;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::sync::oneshot;

/// Pause between two looks at the counter while draining; only the end of a reactor waits here.
const DRAIN_POLL: Duration = Duration::from_micros(200);

/// The writing threads of one reactor, and what they have to do.
pub struct Writers {
    shared: Arc<Shared>,
    threads: RefCell<Vec<JoinHandle<()>>>,
    threads_max: usize,
    in_flight: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Write>,
    /// Number of threads without work.
    idle: usize,
    /// Whether no more writes come, so that threads without work end.
    closed: bool,
}

impl Writers {
    /// Starts no thread yet, and never more than `threads_max`.
    pub fn new(threads_max: usize) -> Self {
        Self {
            shared: Arc::default(),
            threads: RefCell::default(),
            threads_max,
            in_flight: Arc::default(),
        }
    }

    /// Writes bytes of `block[from..to]` at `offset` and returns how many, as a write may end
    /// early.
    pub async fn write(
        &self,
        fd: &Arc<OwnedFd>,
        block: Block,
        from: usize,
        to: usize,
        offset: u64,
    ) -> io::Result<usize> {
        assert!(from <= to && to <= block.as_ref().len(), "a write stays inside its block");
        let (ended, end) = oneshot::channel();
        let ticket = Ticket::new(&self.in_flight);
        let fd = fd.clone();
        self.hand_over(Write { block, fd, range: from..to, offset, ended, _ticket: ticket });
        end.await.unwrap_or_else(|_| Err(io::Error::other("a thread that writes has died")))
    }

    /// Writes that have not ended.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }

    /// Waits until every write has ended.
    pub async fn drained(&self) {
        while self.in_flight() > 0 {
            tokio::time::sleep(DRAIN_POLL).await;
        }
    }

    fn hand_over(&self, write: Write) {
        let mut queue = self.shared.queue();
        queue.waiting.push_back(write);
        let is_lacking = queue.waiting.len() > queue.idle;
        drop(queue);
        if is_lacking && self.threads.borrow().len() < self.threads_max {
            self.start_thread();
        }
        if self.threads.borrow().is_empty() {
            // No thread is to be had: slow is better than not at all.
            let write = self.shared.queue().waiting.pop_front();
            write.expect("nobody else takes it").perform();
        }
        self.shared.changed.notify_one();
    }

    /// One more, unless the system has none to give: those that are there do the work then.
    fn start_thread(&self) {
        let shared = self.shared.clone();
        let work = move || {
            while let Some(write) = shared.next() {
                write.perform();
            }
        };
        let started = thread::Builder::new().name("ringhaul-write".into()).spawn(work);
        self.threads.borrow_mut().extend(started);
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        self.shared.queue().closed = true;
        self.shared.changed.notify_all();
        for thread in self.threads.take() {
            // One that has panicked is gone as well.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to do next; waits for it. `None` when there will be nothing more.
    fn next(&self) -> Option<Write> {
        let mut queue = self.queue();
        loop {
            if let Some(write) = queue.waiting.pop_front() {
                return Some(write);
            }
            if queue.closed {
                return None;
            }
            queue.idle += 1;
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
        }
    }
}

/// One write that has not ended.
struct Write {
    block: Block,
    fd: Arc<OwnedFd>,
    range: std::ops::Range<usize>,
    offset: u64,
    ended: oneshot::Sender<io::Result<usize>>,
    /// The last field, and so dropped behind the block.
    _ticket: Ticket,
}

impl Write {
    fn perform(self) {
        let Self { block, fd, range, offset, ended, _ticket } = self;
        let written = rustix::io::pwrite(&fd, &block.as_ref()[range], offset);
        // The block goes home before anybody hears of the end.
        drop((block, fd));
        // Nobody listens any more if the write was given up.
        let _ = ended.send(written.map_err(io::Error::from));
    }
}

/// One write on its way; dropped with it.
struct Ticket(Arc<AtomicUsize>);

impl Ticket {
    fn new(in_flight: &Arc<AtomicUsize>) -> Self {
        in_flight.fetch_add(1, Ordering::Relaxed);
        Self(in_flight.clone())
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::limits::EPOLL_WRITERS_MAX;
    use crate::io::buffers::Pool;
    use crate::io::epoll::Reactor;
    use std::fs::File;
    use std::future::Future;
    use std::task::{Context, Poll, Waker};

    const PIECE: usize = 5000;
    const PIECES: u8 = 24;

    fn block(pool: &Pool, value: u8) -> Block {
        let mut lease = pool.try_lease().unwrap();
        lease.append(&[value; PIECE]);
        lease.freeze()
    }

    /// Starts a write of each piece, all of them at once, and waits for them or gives them up.
    async fn write_all(writers: &Writers, fd: &Arc<OwnedFd>, pool: &Pool, is_awaited: bool) {
        let mut writes = Vec::new();
        for value in 0..PIECES {
            let offset = u64::from(value) * PIECE as u64;
            let mut write = Box::pin(writers.write(fd, block(pool, value), 0, PIECE, offset));
            match write.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(result) => assert_eq!(result.unwrap(), PIECE),
                Poll::Pending => writes.push(write),
            }
        }
        for write in writes.into_iter().filter(|_| is_awaited) {
            assert_eq!(write.await.unwrap(), PIECE);
        }
    }

    #[test]
    fn every_write_lands_awaited_or_not_with_many_threads_or_none() {
        for (is_awaited, threads_max) in
            [(true, EPOLL_WRITERS_MAX), (false, EPOLL_WRITERS_MAX), (true, 1), (false, 0)]
        {
            let file = tempfile::NamedTempFile::new().unwrap();
            let fd = Arc::new(OwnedFd::from(file.reopen().unwrap()));
            let pool = Pool::new(u32::from(PIECES)).unwrap();
            let reactor = Reactor::with_writers(threads_max).unwrap();
            reactor.run(write_all(reactor.writers(), &fd, &pool, is_awaited));
            assert_eq!(reactor.writers().in_flight(), 0);
            assert_eq!(pool.free_blocks(), usize::from(PIECES), "every block is home");
            let expected = (0..PIECES).flat_map(|value| [value; PIECE]);
            let found = std::fs::read(file.path()).unwrap();
            assert!(found.into_iter().eq(expected), "{threads_max} threads");
        }
    }

    #[test]
    fn a_refused_write_says_why() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let read_only = Arc::new(OwnedFd::from(File::open(file.path()).unwrap()));
        let pool = Pool::new(1).unwrap();
        let reactor = Reactor::new().unwrap();
        let writing = reactor.writers().write(&read_only, block(&pool, 1), 0, PIECE, 0);
        let error = reactor.run(writing).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
    }
}
