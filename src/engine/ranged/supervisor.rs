//! The workers of a ranged download, spread over shards: one supervisor on each.
//!
//! Connection `id` works on the shard number `id % shards` of the transfer. The first supervisor
//! works on the shard where the transfer began, and leads: it runs the plan's tick and has workers
//! started wherever they belong.

use super::Ranged;
use super::scout::scout;
use super::worker::{First as FirstAnswer, Worker};
use crate::base::limits::{CONNECTIONS_MAX, WIND_DOWN_MAX};
use crate::base::{Error, ErrorKind, Result};
use crate::disk::output::Output;
use crate::engine::client::shard::Shard;
use crate::engine::failure::Failure;
use crate::engine::local::Local;
use crate::engine::race::{First, race};
use crate::engine::receive::sink::Sink;
use crate::engine::source::contest::{Answer, Contest};
use crate::engine::source::discover::Discovered;
use crate::io::clock::thread_cpu_time;
use crate::plan::{ConnectionId, Pressure, SourceId};
use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// Time between two ticks: decisions within a few round trips, at a cost nobody measures.
const TICK: Duration = Duration::from_millis(50);
/// Time between two looks whether all that had arrived is handed over.
const WIND_DOWN_TICK: Duration = Duration::from_millis(2);

/// How the work went, as far as the transfer's context does not know.
pub(in crate::engine) struct Worked {
    /// Shards that worked.
    pub(in crate::engine) shards: u32,
    /// Blocks of the leading shard were registered.
    pub(in crate::engine) is_registered: bool,
}

/// Runs all workers of a transfer, which began on this shard, the one numbered `lead`, until it is
/// complete or halted and every supervisor has ended. Uses at most `shards_max` shards, never more
/// than there are connections. The context knows of any failure.
pub(in crate::engine) async fn work(
    ranged: &Arc<Ranged>,
    local: &Local,
    lead: u32,
    shards_max: u32,
    first: FirstAnswer,
    contest: Option<Contest>,
) -> Worked {
    let (context, threads) = (&ranged.context, &ranged.context.client.threads);
    let options = &context.options;
    let connections_max = options.connections.unwrap_or(options.max_connections);
    let wanted = shards_max.min(connections_max).min(ranged.connections_wanted());
    let shards = threads.shards_from(lead, wanted);
    let shard_count = u32::try_from(shards.len()).expect("at most as many as are wanted");
    let connections_max = connections_max.div_ceil(shard_count);
    let (mut orders, mut others) = (Vec::new(), Vec::new());
    let (order, own_orders) = mpsc::channel(CONNECTIONS_MAX as usize);
    orders.push(order);
    for &shard in &shards[1..] {
        let (order, receiver) = mpsc::channel(CONNECTIONS_MAX as usize);
        orders.push(order);
        others.push(start(ranged, shard, connections_max, receiver));
    }
    let supervisor = Supervisor::new(ranged, local.clone(), connections_max, own_orders);
    let lead = Lead { first, orders, contest };
    let is_registered = supervisor.work(Some(lead)).await;
    for ended in others {
        // Whoever fails makes the others end, so waiting for all of them takes no time. Nothing
        // comes of one that panicked, which is reported as the end of its task.
        let _ = ended.await;
    }
    Worked { shards: shard_count, is_registered }
}

/// Starts a supervisor on another shard; completes when that has ended.
fn start(
    ranged: &Arc<Ranged>,
    shard: u32,
    connections_max: u32,
    orders: mpsc::Receiver<u32>,
) -> oneshot::Receiver<()> {
    let (sender, ended) = oneshot::channel();
    let (own, watched) = (ranged.clone(), Watched { ranged: ranged.clone(), sender: Some(sender) });
    let work = async move |shard: Rc<Shard>| {
        let local = Local::new(&own.context, &shard);
        Supervisor::new(&own, local, connections_max, orders).work(None).await;
        Ok(())
    };
    ranged.context.client.threads.spawn(shard, work, move |outcome| watched.end(outcome));
    ended
}

/// Tells the leading supervisor of the end of another one, also if that is a panic.
struct Watched {
    ranged: Arc<Ranged>,
    sender: Option<oneshot::Sender<()>>,
}

impl Watched {
    fn end(mut self, outcome: Result<()>) {
        if let Err(error) = outcome {
            // At once, or the others would do all the work for nothing.
            self.ranged.context.fail(error);
        }
        self.tell();
    }

    fn tell(&mut self) {
        if let Some(sender) = self.sender.take() {
            // Nobody waits if the leading supervisor has died.
            let _ = sender.send(());
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if self.sender.is_some() {
            let error = Error::new(ErrorKind::Internal, "the workers of a shard panicked");
            self.ranged.context.fail(error);
            self.tell();
        }
    }
}

/// What the leading supervisor has that others do not.
struct Lead {
    /// The first answer.
    first: FirstAnswer,
    /// Everybody's orders.
    orders: Vec<mpsc::Sender<u32>>,
    /// Other sources that were asked for the same, if there are any.
    contest: Option<Contest>,
}

/// Runs the workers of one shard.
struct Supervisor {
    ranged: Arc<Ranged>,
    local: Local,
    sink: Rc<Sink>,
    /// Ids of workers to start; closed when the transfer is over.
    orders: mpsc::Receiver<u32>,
    workers: JoinSet<()>,
    /// Those that look at further sources; they end with the work.
    scouts: JoinSet<()>,
    contest: Option<Contest>,
    meter: Meter,
    reader: ReaderMeter,
}

/// What a supervisor has heard of.
enum Happened {
    Ordered(Option<u32>),
    Ended(Result<(), tokio::task::JoinError>),
    Answered(Answer),
    Scouted(Result<(), tokio::task::JoinError>),
    Tick,
}

impl Supervisor {
    /// For at most `connections_max` workers.
    fn new(
        ranged: &Arc<Ranged>,
        local: Local,
        connections_max: u32,
        orders: mpsc::Receiver<u32>,
    ) -> Self {
        ranged.context.tell_of_fallback();
        let sink = Sink::new(&ranged.context, &local.shard, &ranged.to, connections_max);
        sink.register(ranged.file.total_bytes);
        let (workers, scouts) = (JoinSet::new(), JoinSet::new());
        let (ranged, contest, meter) = (ranged.clone(), None, Meter::new());
        let reader = ReaderMeter::new();
        Self { ranged, local, sink, orders, workers, scouts, contest, meter, reader }
    }

    /// Runs this shard's workers until the transfer is complete or halted; `true` if its blocks
    /// were registered.
    async fn work(mut self, lead: Option<Lead>) -> bool {
        let context = self.ranged.context.clone();
        let result = context.guard(self.run(lead)).await;
        // What has been received is not to be lost, whatever ended the work.
        if result.is_err() {
            self.wind_down().await;
        }
        let sink = self.sink.clone();
        drop(self);
        match result {
            Ok(()) => sink.flushed().await,
            Err(error) => {
                sink.abandoned(&error).await;
                context.fail(error);
            }
        }
        sink.is_registered()
    }

    async fn run(&mut self, lead: Option<Lead>) -> Result<()> {
        let mut everybody = None;
        if let Some(Lead { first, orders, contest }) = lead {
            for (id, error) in contest.iter().flat_map(Contest::failed) {
                self.ranged.not_reached(id, error);
            }
            self.contest = contest;
            self.start_worker(0, Some(first));
            self.start_scouts();
            self.order_workers(Some(&orders));
            everybody = Some(orders);
        }
        let mut next_tick = Instant::now() + TICK;
        let mut is_open = true;
        while is_open || !self.workers.is_empty() {
            match self.next_event(is_open, next_tick).await {
                Happened::Ordered(Some(id)) => self.start_worker(id, None),
                Happened::Ordered(None) => is_open = false,
                Happened::Ended(joined) => joined.map_err(|e| {
                    Error::new(ErrorKind::Internal, "a worker panicked").caused_by(e)
                })?,
                Happened::Answered((id, answer)) => self.start_scout(id, Some(answer)),
                Happened::Scouted(joined) => {
                    joined.map_err(|e| {
                        Error::new(ErrorKind::Internal, "a look at a source panicked").caused_by(e)
                    })?;
                    // A source that is open now is not to wait for the tick.
                    self.order_workers(everybody.as_deref());
                }
                Happened::Tick => {
                    next_tick = Instant::now() + TICK;
                    self.report_load();
                    if everybody.is_some() {
                        let reader_busy = self.reader.read(&self.ranged.to.output);
                        let pressure = self.ranged.context.pressure();
                        self.ranged.tick(Pressure { reader_busy, ..pressure });
                        self.start_scouts();
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

    fn start_worker(&mut self, id: u32, first: Option<FirstAnswer>) {
        let worker = Worker::new(id, &self.ranged, &self.local, &self.sink);
        self.workers.spawn_local(worker.run(first));
    }

    /// Has the sources looked at that the plan names, unless one is about to answer already.
    fn start_scouts(&mut self) {
        for id in self.ranged.to_scout() {
            if !self.contest.as_ref().is_some_and(|contest| contest.is_asking(id)) {
                self.start_scout(id, None);
            }
        }
    }

    fn start_scout(&mut self, id: SourceId, answer: Option<Result<Box<Discovered>, Failure>>) {
        self.scouts.spawn_local(scout(self.ranged.clone(), self.local.clone(), id, answer));
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

    async fn next_event(&mut self, is_open: bool, next_tick: Instant) -> Happened {
        let Self { orders, workers, scouts, contest, .. } = self;
        let ordered = async { if is_open { orders.recv().await } else { pending().await } };
        let ended = async {
            match workers.join_next().await {
                Some(joined) => joined,
                None => pending().await,
            }
        };
        let answered = async {
            match contest {
                Some(contest) => contest.next().await,
                None => pending().await,
            }
        };
        let scouted = async {
            match scouts.join_next().await {
                Some(joined) => joined,
                None => pending().await,
            }
        };
        let tick = tokio::time::sleep_until(next_tick.into());
        match race(race(ordered, ended), race(race(answered, scouted), tick)).await {
            First::Left(First::Left(order)) => Happened::Ordered(order),
            First::Left(First::Right(joined)) => Happened::Ended(joined),
            First::Right(First::Left(First::Left(answer))) => Happened::Answered(answer),
            First::Right(First::Left(First::Right(joined))) => Happened::Scouted(joined),
            First::Right(First::Right(())) => Happened::Tick,
        }
    }

    /// Has the workers started that the plan wants and that do not exist.
    fn order_workers(&self, everybody: Option<&[mpsc::Sender<u32>]>) {
        let Some(everybody) = everybody else { return };
        for id in self.ranged.to_start(self.local.shard.idle.count()) {
            let supervisor = &everybody[id as usize % everybody.len()];
            if supervisor.try_send(id).is_err() {
                // It has died and the context knows why, or it drowns in orders: then later.
                self.ranged.retired(ConnectionId(id));
            }
        }
    }

    fn report_load(&mut self) {
        let (cpu_busy, cpu_total) = self.meter.read();
        let saturated = self.ranged.to.output.is_saturated();
        let exhausted = self.sink.was_exhausted();
        let load = &self.ranged.context.load;
        load.report(exhausted, saturated, cpu_busy, cpu_total);
        load.report_hash(self.sink.was_held_by_hash());
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

/// How busy the reader of an output is that takes bytes in order.
struct ReaderMeter {
    at: Instant,
    /// For how long the output had waited for its next bytes by then.
    dry: Duration,
}

impl ReaderMeter {
    fn new() -> Self {
        Self { at: Instant::now(), dry: Duration::ZERO }
    }

    /// Share of the time since the last call in which it was not waited for bytes; `None` if the
    /// output is no such one.
    fn read(&mut self, output: &Output) -> Option<f64> {
        let (at, (_, dry)) = (Instant::now(), output.outlet()?);
        let elapsed = at.duration_since(self.at).as_secs_f64();
        let waited = dry.saturating_sub(self.dry).as_secs_f64();
        (self.at, self.dry) = (at, dry);
        Some((1.0 - waited / elapsed.max(1e-6)).clamp(0.0, 1.0))
    }
}
