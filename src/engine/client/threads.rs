//! The threads of a client, one per shard, started when they are first needed.
//!
//! A shard's thread takes tasks until the client is closed, and ends when all of them have. States
//! of a shard: absent -> running -> ended; one that cannot start hands its tasks the reason, and is
//! absent again.

use super::budget::Budget;
use super::driver::Drivers;
use super::shard::Shard;
use crate::base::limits::{CLIENT_THREADS_AUTO_MAX, DESCRIPTORS_SPARE, SHARD_DESCRIPTORS};
use crate::base::{Error, ErrorKind, Result};
use crate::engine::options::ClientOptions;
use crate::engine::race::{First, race};
use crate::io::buffers::Memory;
use crate::io::descriptors;
use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

/// Something to be done on a shard.
trait Task: Send {
    /// Begins; called on the shard's thread, inside of its driver.
    fn start(self: Box<Self>, shard: Rc<Shard>) -> Work;

    /// The shard could not be started, for this reason.
    fn refused(self: Box<Self>, error: Error);
}

/// A task as the shard's thread runs it.
type Work = Pin<Box<dyn Future<Output = ()>>>;

/// Work, and who hears of its outcome.
struct Order<W, D> {
    work: W,
    done: D,
}

impl<T, F, W, D> Task for Order<W, D>
where
    F: Future<Output = Result<T>> + 'static,
    W: FnOnce(Rc<Shard>) -> F + Send + 'static,
    D: FnOnce(Result<T>) + Send + 'static,
{
    fn start(self: Box<Self>, shard: Rc<Shard>) -> Work {
        Box::pin(async move {
            let Order { work, done } = *self;
            done(work(shard).await);
        })
    }

    fn refused(self: Box<Self>, error: Error) {
        (self.done)(Err(error));
    }
}

/// All shards of a client.
pub(in crate::engine) struct Threads {
    /// Which driver each shard gets.
    pub(in crate::engine) drivers: Arc<Drivers>,
    budget: Arc<Budget>,
    memory: Memory,
    /// Connections that one shard has blocks for.
    connections_per_shard: u32,
    /// Shards there may be.
    shards_max: u32,
    /// Shards that the first tasks of transfers are spread over.
    leads: u32,
    next_lead: AtomicU32,
    started: Mutex<Started>,
}

/// The shards that have been started.
#[derive(Default)]
struct Started {
    /// By the number of the shard.
    tasks: BTreeMap<u32, UnboundedSender<Box<dyn Task>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Threads {
    /// Each shard gets blocks for `connections_per_shard`.
    pub(super) fn new(
        options: &ClientOptions,
        budget: &Arc<Budget>,
        connections_per_shard: u32,
    ) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let cores = u32::try_from(cores).unwrap_or(u32::MAX).min(CLIENT_THREADS_AUTO_MAX);
        let shards_max = options.threads.unwrap_or(CLIENT_THREADS_AUTO_MAX);
        Self {
            drivers: Arc::new(Drivers::new(options.engine, options.register_buffers)),
            budget: budget.clone(),
            memory: Memory::new(options.memory_blocks()),
            connections_per_shard,
            shards_max,
            leads: options.threads.unwrap_or(cores),
            next_lead: AtomicU32::new(0),
            started: Mutex::default(),
        }
    }

    /// The shard on which the next transfer begins.
    pub(in crate::engine) fn next_lead(&self) -> u32 {
        self.next_lead.fetch_add(1, Ordering::Relaxed) % self.leads
    }

    /// The shards that a transfer works on which begins on `lead` and wants `wanted` of them, the
    /// lead first: no more than there may be, and than there are descriptors for. A shard that
    /// cannot start would end the transfer, and with fewer it is slower at most.
    pub(in crate::engine) fn shards_from(&self, lead: u32, wanted: u32) -> Vec<u32> {
        let wanted = wanted.clamp(1, self.shards_max);
        let mut shards: Vec<u32> = (0..wanted).map(|n| (lead + n) % self.shards_max).collect();
        let started = self.lock();
        if !shards.iter().all(|shard| started.has(*shard)) {
            let mut startable = affordable();
            shards.retain(|shard| {
                let is_usable = started.has(*shard) || startable > 0;
                startable -= u64::from(is_usable && !started.has(*shard));
                is_usable
            });
        }
        shards
    }

    /// Has `work` done on the shard with this number, which is started if it is absent. `done`
    /// hears of the outcome; it is dropped unheard if the work panics.
    pub(in crate::engine) fn spawn<T, F, W, D>(&self, shard: u32, work: W, done: D)
    where
        T: 'static,
        F: Future<Output = Result<T>> + 'static,
        W: FnOnce(Rc<Shard>) -> F + Send + 'static,
        D: FnOnce(Result<T>) + Send + 'static,
    {
        let refused = {
            let mut started = self.lock();
            match started.send(shard, Box::new(Order { work, done })) {
                Ok(()) => None,
                Err(task) => self.start(&mut started, shard, task).err(),
            }
        };
        if let Some((task, error)) = refused {
            task.refused(error);
        }
    }

    /// Starts a shard, which begins with `task`.
    fn start(
        &self,
        started: &mut Started,
        shard: u32,
        task: Box<dyn Task>,
    ) -> Result<(), (Box<dyn Task>, Error)> {
        let (drivers, budget) = (self.drivers.clone(), self.budget.clone());
        let (connections, memory) = (self.connections_per_shard, self.memory.clone());
        let (sender, tasks) = unbounded_channel();
        let work = move || {
            let new_shard = || Shard::new(connections, &memory);
            run_shard(&drivers, &budget, new_shard, tasks);
        };
        match thread::Builder::new().name("ringhaul-shard".into()).spawn(work) {
            Ok(thread) => {
                // A shard takes its first task in any case.
                _ = sender.send(task);
                started.tasks.insert(shard, sender);
                started.threads.push(thread);
                Ok(())
            }
            Err(e) => {
                let what = "cannot start the thread of a shard";
                Err((task, Error::new(ErrorKind::ResourceLimit, what).caused_by(e)))
            }
        }
    }

    /// Takes no more tasks, and waits until all shards have ended; but for the one that calls this,
    /// as where a listener had the last handle of the client.
    pub(super) fn close(&self) {
        let Started { tasks, threads } = std::mem::take(&mut *self.lock());
        drop(tasks);
        let own = thread::current().id();
        for thread in threads.into_iter().filter(|thread| thread.thread().id() != own) {
            // It ends in a panic only where nothing catches it, which its tasks have noticed.
            let _ = thread.join();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Started> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Started {
    fn has(&self, shard: u32) -> bool {
        self.tasks.get(&shard).is_some_and(|tasks| !tasks.is_closed())
    }

    /// The task itself if the shard is absent.
    fn send(&self, shard: u32, task: Box<dyn Task>) -> Result<(), Box<dyn Task>> {
        match self.tasks.get(&shard) {
            Some(tasks) => tasks.send(task).map_err(|returned| returned.0),
            None => Err(task),
        }
    }
}

type Tasks = UnboundedReceiver<Box<dyn Task>>;

/// Shards that can be started with the descriptors there are; each is of use with a connection.
fn affordable() -> u64 {
    let left = descriptors::left().unwrap_or(u64::MAX).saturating_sub(DESCRIPTORS_SPARE);
    left / (SHARD_DESCRIPTORS + 1)
}

/// A shard's life on its thread.
fn run_shard(
    drivers: &Drivers,
    budget: &Budget,
    new_shard: impl FnOnce() -> Result<Rc<Shard>>,
    tasks: Tasks,
) {
    let made = drivers.make().and_then(|driver| Ok((driver, new_shard()?)));
    match made {
        Ok((driver, shard)) => driver.run(serve(&shard, budget, tasks)),
        Err(error) => refuse(tasks, &error),
    }
}

/// Hands the reason to the first task, which may be yet to come, and to those behind it.
fn refuse(mut tasks: Tasks, error: &Error) {
    let mut next = tasks.blocking_recv();
    tasks.close();
    while let Some(task) = next {
        task.refused(error.clone());
        next = tasks.try_recv().ok();
    }
}

/// Does what comes, until the client is closed and all of it is done.
async fn serve(shard: &Rc<Shard>, budget: &Budget, mut tasks: Tasks) {
    let mut working = JoinSet::new();
    loop {
        let ended = async {
            match working.join_next().await {
                Some(_) => {}
                None => pending().await,
            }
        };
        match race(race(tasks.recv(), ended), shard.idle.needless(budget)).await {
            First::Left(First::Left(Some(task))) => {
                _ = working.spawn_local(task.start(shard.clone()));
            }
            First::Left(First::Left(None)) => break,
            // A panic is found by whoever waits for the task's outcome.
            First::Left(First::Right(())) | First::Right(()) => {}
        }
    }
    while working.join_next().await.is_some() {}
    shard.idle.clear();
    shard.flushed().await;
}
