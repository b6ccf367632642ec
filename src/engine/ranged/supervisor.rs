//! The workers of a ranged download, spread over threads: one crew per shard.
//!
//! Connection `id` works on shard `id % threads`. The first crew works on the transfer's own thread
//! and leads: it runs the plan's tick and has workers started wherever they belong.

use crate::base::limits::{CONNECTIONS_MAX, DESCRIPTORS_SPARE, SHARD_DESCRIPTORS, WIND_DOWN_MAX};
use crate::base::{Error, ErrorKind, Result};
use crate::engine::client::driver;
use crate::engine::client::shard::Shard;
use crate::engine::race::{First, race};
use crate::engine::ranged::Ranged;
use crate::engine::ranged::worker::{First as FirstAnswer, Worker};
use crate::io::clock::thread_cpu_time;
use crate::io::descriptors;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// Time between two ticks: decisions within a few round trips, at a cost nobody measures.
const TICK: Duration = Duration::from_millis(50);
/// Time between two looks whether all that had arrived is handed over.
const WIND_DOWN_TICK: Duration = Duration::from_millis(2);

/// All crews of a transfer.
pub(in crate::engine) struct Crews {
    ranged: Arc<Ranged>,
    leader: Crew,
    orders: Vec<mpsc::Sender<u32>>,
    others: Vec<CrewThread>,
}

/// How the work went, as far as the job does not know.
pub(in crate::engine) struct Worked {
    pub(in crate::engine) threads: u32,
    pub(in crate::engine) registered: bool,
}

/// One shard's part of a ranged download.
struct Crew {
    ranged: Arc<Ranged>,
    /// Connections that may ever work here.
    connections_max: u32,
    /// Ids of workers to start; closed when the transfer is over.
    orders: mpsc::Receiver<u32>,
}

/// A crew at work on another thread.
struct CrewThread {
    thread: thread::JoinHandle<()>,
    ended: oneshot::Receiver<()>,
}

impl Crews {
    /// Threads for at most so many crews, never more than connections; failures are the job's.
    pub(in crate::engine) fn start(ranged: &Arc<Ranged>, threads_max: u32) -> Self {
        let options = &ranged.job.options;
        let connections_max = options.connections.unwrap_or(options.max_connections);
        let threads = threads_max.min(connections_max).min(ranged.connections_wanted());
        let threads = affordable(threads);
        let connections_max = connections_max.div_ceil(threads);
        let new_crew = |orders| Crew { ranged: ranged.clone(), connections_max, orders };
        let (order, leader) = mpsc::channel(CONNECTIONS_MAX as usize);
        let (mut orders, mut others) = (vec![order], Vec::new());
        for _ in 1..threads {
            let (order, receiver) = mpsc::channel(CONNECTIONS_MAX as usize);
            match new_crew(receiver).start() {
                Ok(thread) => others.push(thread),
                Err(error) => ranged.job.fail(error),
            }
            orders.push(order);
        }
        Self { ranged: ranged.clone(), leader: new_crew(leader), orders, others }
    }

    /// Works until the transfer is complete or halted and every thread is gone. The job knows of
    /// any failure.
    pub(in crate::engine) async fn work(self, first: FirstAnswer) -> Worked {
        let Self { ranged, leader, orders, others } = self;
        let threads = u32::try_from(orders.len()).expect("at most 64 threads");
        let outcome = leader.work(Some((first, orders))).await;
        let registered = outcome.unwrap_or_else(|error| {
            ranged.job.fail(error);
            false
        });
        for other in others {
            // Whoever fails makes the others end, so waiting for all of them takes no time.
            other.join().await;
        }
        Worked { threads, registered }
    }
}

/// As many of these threads as there are descriptors for, at least the one that is there: a shard
/// that cannot start would end the transfer, and one is slower at most.
fn affordable(threads: u32) -> u32 {
    if threads == 1 {
        return 1;
    }
    // Each shard is of use with a connection.
    let left = descriptors::left().unwrap_or(u64::MAX).saturating_sub(DESCRIPTORS_SPARE);
    let more = left / (SHARD_DESCRIPTORS + 1);
    u32::try_from(more).unwrap_or(u32::MAX).saturating_add(1).min(threads)
}

/// What the leading crew has that others do not: the first answer, and everybody's orders.
type Lead = (FirstAnswer, Vec<mpsc::Sender<u32>>);

impl Crew {
    /// Works on a thread and a driver of its own.
    fn start(self) -> Result<CrewThread> {
        let (sender, ended) = oneshot::channel();
        let work = move || {
            let job = self.ranged.job.clone();
            let work = || driver::driver(&job).and_then(|driver| driver.run(self.work(None)));
            let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
                Err(Error::new(ErrorKind::Internal, "a shard's thread panicked"))
            });
            if let Err(error) = result {
                // At once, or the others would do all the work for nothing.
                job.fail(error);
            }
            // The receiver waits for this, unless its own thread has died.
            let _ = sender.send(());
        };
        let spawned = thread::Builder::new().name("ringhaul-shard".into()).spawn(work);
        let thread = spawned.map_err(|e| {
            Error::new(ErrorKind::ResourceLimit, "cannot start a shard's thread").caused_by(e)
        })?;
        Ok(CrewThread { thread, ended })
    }

    /// Runs this shard's workers until the transfer is complete or halted; answers whether its
    /// blocks were registered.
    async fn work(self, lead: Option<Lead>) -> Result<bool> {
        let Self { ranged, connections_max, orders } = self;
        let job = ranged.job.clone();
        let shard = Shard::new(connections_max, ranged.sink.hashing.is_some())?;
        shard.register(&job, &ranged.sink.output, ranged.total);
        let (workers, meter) = (JoinSet::new(), Meter::new());
        let mut foreman = Foreman { ranged, shard: shard.clone(), orders, workers, meter };
        let result = job.guard(foreman.run(lead)).await;
        // What has been received is not to be lost, whatever ended the work.
        if result.is_err() {
            foreman.wind_down().await;
        }
        drop(foreman);
        shard.flushed().await;
        result?;
        Ok(shard.is_registered())
    }
}

impl CrewThread {
    /// Waits until the crew has ended, which the job knows more of, and its thread is gone.
    async fn join(self) {
        // Both fail only if the thread panicked where nothing catches it, which is reported then.
        let _ = self.ended.await;
        let _ = self.thread.join();
    }
}

/// Runs one crew's workers.
struct Foreman {
    ranged: Arc<Ranged>,
    shard: Rc<Shard>,
    orders: mpsc::Receiver<u32>,
    workers: JoinSet<()>,
    meter: Meter,
}

/// What happened next.
enum Event {
    Ordered(Option<u32>),
    Ended(Result<(), tokio::task::JoinError>),
    Tick,
}

impl Foreman {
    async fn run(&mut self, lead: Option<Lead>) -> Result<()> {
        let (first, mut everybody) = lead.unzip();
        if let Some(first) = first {
            let worker = Worker::new(0, self.ranged.clone(), self.shard.clone());
            self.workers.spawn_local(worker.run(Some(first)));
            self.order_workers(everybody.as_deref());
        }
        let mut next_tick = Instant::now() + TICK;
        let mut is_open = true;
        while is_open || !self.workers.is_empty() {
            match self.next_event(is_open, next_tick).await {
                Event::Ordered(Some(id)) => {
                    let worker = Worker::new(id, self.ranged.clone(), self.shard.clone());
                    self.workers.spawn_local(worker.run(None));
                }
                Event::Ordered(None) => is_open = false,
                Event::Ended(joined) => joined.map_err(|e| {
                    Error::new(ErrorKind::Internal, "a worker panicked").caused_by(e)
                })?,
                Event::Tick => {
                    next_tick = Instant::now() + TICK;
                    self.report_load();
                    if everybody.is_some() {
                        self.ranged.tick(self.ranged.job.load.take());
                        self.order_workers(everybody.as_deref());
                    }
                }
            }
            if self.ranged.is_complete() {
                // Closes everybody's orders, the leader's own included.
                if everybody.take().is_some() {
                    self.ranged.end_laggards();
                }
            }
        }
        self.report_load();
        Ok(())
    }

    /// Ends all connections, and waits until the workers have handed over what has arrived. Those
    /// that have nothing, as they connect or wait for an answer, are not waited for.
    async fn wind_down(&mut self) {
        self.ranged.halt();
        let deadline = Instant::now() + WIND_DOWN_MAX;
        while self.ranged.holds_bytes() && !self.workers.is_empty() {
            // Bytes are handed over before a worker ends, and by those of other shards.
            race(self.workers.join_next(), tokio::time::sleep(WIND_DOWN_TICK)).await;
            if Instant::now() >= deadline {
                break;
            }
        }
    }

    async fn next_event(&mut self, is_open: bool, next_tick: Instant) -> Event {
        let Self { orders, workers, .. } = self;
        let ordered =
            async { if is_open { orders.recv().await } else { std::future::pending().await } };
        let ended = async {
            match workers.join_next().await {
                Some(joined) => joined,
                None => std::future::pending().await,
            }
        };
        let tick = tokio::time::sleep_until(next_tick.into());
        match race(race(ordered, ended), tick).await {
            First::Left(First::Left(order)) => Event::Ordered(order),
            First::Left(First::Right(joined)) => Event::Ended(joined),
            First::Right(()) => Event::Tick,
        }
    }

    /// Has the workers started that the plan wants and that do not exist.
    fn order_workers(&self, everybody: Option<&[mpsc::Sender<u32>]>) {
        let Some(everybody) = everybody else { return };
        for id in self.ranged.to_start() {
            let crew = &everybody[id as usize % everybody.len()];
            if crew.try_send(id).is_err() {
                // The crew has died and the job knows why, or drowns in orders: then later.
                self.ranged.retired(crate::plan::ConnectionId(id));
            }
        }
    }

    fn report_load(&mut self) {
        let (cpu_busy, cpu_total) = self.meter.read();
        let saturated = self.ranged.sink.output.is_saturated();
        let exhausted = self.shard.was_exhausted();
        self.ranged.job.load.report(exhausted, saturated, cpu_busy, cpu_total);
    }
}

/// How busy this thread is.
struct Meter {
    started: Duration,
    at: Instant,
    cpu: Duration,
}

impl Meter {
    fn new() -> Self {
        let cpu = thread_cpu_time();
        Self { started: cpu, at: Instant::now(), cpu }
    }

    /// Share of the time on a processor since the last call, and CPU time since the start.
    fn read(&mut self) -> (f64, Duration) {
        let (at, cpu) = (Instant::now(), thread_cpu_time());
        let elapsed = at.duration_since(self.at).as_secs_f64();
        let busy = cpu.saturating_sub(self.cpu).as_secs_f64() / elapsed.max(1e-6);
        (self.at, self.cpu) = (at, cpu);
        (busy.min(1.0), cpu.saturating_sub(self.started))
    }
}
