//! Whole transfers from several sources in virtual time: sources of fixed rates that fail, fall
//! silent, come back or lie, under the plan as it is.

use super::*;
use crate::plan::{Action, MirrorPolicy, Pressure};

const STEP: Duration = Duration::from_millis(1);
/// From the wish for a connection to its first byte.
const REACH: Duration = Duration::from_millis(40);
/// What a look at a source takes.
const LOOK: Duration = Duration::from_millis(30);
/// 25 MB/s in whole sectors per step.
const STEP_BYTES: u64 = 6 * 4096;

/// What a source does to its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Each request fails, and what runs breaks.
    Fails(ErrorKind),
    /// Nothing comes.
    Silent,
}

/// One source; each of its connections brings [`STEP_BYTES`] per [`STEP`].
#[derive(Debug, Clone, Default)]
struct Origin {
    /// What it does from when to when, in seconds.
    faults: Vec<(f64, f64, Fault)>,
    lies: bool,
}

#[derive(Debug)]
struct Worker {
    /// Where its connection leads.
    source: Option<SourceId>,
    /// Its span, and up to where that is delivered.
    job: Option<(Span, u64)>,
    /// Its first byte comes then.
    begins_at: Duration,
    is_started: bool,
}

/// What has happened, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Looked,
    Routed,
    Failed,
    Delivered,
}

struct Drive {
    transfer: Transfer,
    origins: Vec<Origin>,
    workers: Vec<Worker>,
    looks: Vec<(SourceId, Duration)>,
    events: Vec<(Event, SourceId, Duration)>,
    /// What a disk that takes no byte twice has taken.
    disk: SpanSet,
    total_bytes: u64,
    now: Duration,
}

impl Drive {
    fn new(total_bytes: u64, origins: Vec<Origin>, settings: Settings) -> Self {
        let connections = match settings.fanout {
            Fanout::Auto { max } => max,
            Fanout::Fixed(connections) => connections,
        };
        let sources = u32::try_from(origins.len()).unwrap();
        let worker =
            |_| Worker { source: None, job: None, begins_at: Duration::ZERO, is_started: false };
        Self {
            transfer: Transfer::new(total_bytes, Settings { sources, ..settings }),
            origins,
            workers: (0..connections).map(worker).collect(),
            looks: Vec::new(),
            events: Vec::new(),
            disk: SpanSet::new(),
            total_bytes,
            now: Duration::ZERO,
        }
    }

    /// Runs to the end; whether every byte is there then.
    fn run(&mut self) -> bool {
        while self.now < Duration::from_secs(120) {
            self.end_looks();
            if self.now.as_millis().is_multiple_of(50) {
                self.tick();
            }
            let wanted = self.transfer.connections_wanted(self.now) as usize;
            for index in 0..self.workers.len() {
                self.workers[index].is_started |= index < wanted;
                match self.workers[index].job {
                    Some((span, position)) => self.receive(index, span, position),
                    None if !self.workers[index].is_started => {}
                    None => match self.ask(index) {
                        Next::Failed => return false,
                        Next::Done => {
                            assert!(self.disk.covers(Span::new(0, self.total_bytes)));
                            return true;
                        }
                        _ => {}
                    },
                }
            }
            self.transfer.invariants();
            self.now += STEP;
        }
        panic!("the transfer does not end: {:?}", self.transfer);
    }

    fn tick(&mut self) {
        for (index, worker) in self.workers.iter().enumerate() {
            if let Some((_, position)) = worker.job {
                self.transfer.on_progress(self.now, id(index), position);
            }
        }
        for action in self.transfer.on_tick(self.now, Pressure::default()) {
            match action {
                Action::Replace(victim) => self.fail(victim.0 as usize, ErrorKind::TimedOut),
                Action::Abort(_) | Action::TakeBack(_) => unreachable!("no hedges, none ahead"),
            }
        }
        for source in self.transfer.sources_to_open(self.now) {
            self.note(Event::Looked, source);
            self.looks.push((source, self.now + LOOK));
        }
    }

    fn end_looks(&mut self) {
        let now = self.now;
        let (ended, running) = self.looks.iter().partition(|(_, at)| *at <= now);
        self.looks = running;
        for (source, _) in ended {
            let why = match self.fault(source) {
                Some(Fault::Fails(kind)) => Unopened::Failed(kind),
                Some(Fault::Silent) => Unopened::Failed(ErrorKind::TimedOut),
                None if self.origins[source.0 as usize].lies => Unopened::Useless,
                None => {
                    self.transfer.on_source_opened(now, source, 1);
                    continue;
                }
            };
            self.transfer.on_source_unopened(now, source, why);
        }
    }

    fn ask(&mut self, index: usize) -> Next {
        let mut next = self.transfer.next(self.now, id(index));
        while let Next::Steal { victim, at } = next {
            let outcome = self.cut(victim, at);
            next = self.transfer.on_steal(self.now, id(index), victim, outcome);
        }
        match next {
            Next::Fetch(Fetch { span, .. }) => self.begin(index, span),
            Next::Retire => {
                (self.workers[index].source, self.workers[index].is_started) = (None, false);
            }
            Next::WaitUntil(at) => assert!(at > self.now, "waiting for the past is a busy loop"),
            _ => {}
        }
        next
    }

    fn begin(&mut self, index: usize, span: Span) {
        let stays =
            self.workers[index].source.is_some() && self.transfer.stays(self.now, id(index));
        if !stays {
            let Some(source) = self.transfer.route(self.now, id(index)) else {
                self.workers[index].source = None;
                return self.transfer.on_let_go(self.now, id(index));
            };
            assert!(self.transfer.is_source_open(source), "{source} is not to be asked");
            let address = self.transfer.address_order(self.now, id(index))[0];
            self.transfer.on_connected(self.now, id(index), address, REACH / 2);
            self.note(Event::Routed, source);
            (self.workers[index].source, self.workers[index].begins_at) =
                (Some(source), self.now + REACH);
        }
        self.transfer.on_requested(self.now, id(index), span.start());
        self.workers[index].job = Some((span, span.start()));
    }

    fn cut(&mut self, victim: ConnectionId, at: u64) -> Result<u64, u64> {
        let victim = &mut self.workers[victim.0 as usize];
        let (span, position) = victim.job.as_mut().expect("a victim has a job");
        if *position > at {
            return Err(*position);
        }
        *span = Span::new(span.start(), at);
        Ok(at)
    }

    fn receive(&mut self, index: usize, span: Span, position: u64) {
        let source = self.workers[index].source.expect("who has a job has a connection");
        match self.fault(source) {
            Some(Fault::Fails(kind)) => return self.fail(index, kind),
            Some(Fault::Silent) => return,
            None if self.now < self.workers[index].begins_at => return,
            None => {}
        }
        if position == span.start() {
            self.transfer.on_first_byte(self.now, id(index), position);
        }
        let to = (position + STEP_BYTES).min(span.end());
        let new = Span::new(position, to);
        assert_eq!(self.disk.insert(new), new.len(), "{new} came before");
        assert_eq!(self.transfer.on_delivered(self.now, id(index), new), new.len());
        self.note(Event::Delivered, source);
        self.workers[index].job = Some((span, to));
        if to == span.end() {
            self.workers[index].job = None;
            self.transfer.on_finished(self.now, id(index));
            self.transfer.on_keep_alive(self.now, id(index));
        }
    }

    fn fail(&mut self, index: usize, kind: ErrorKind) {
        let source = self.workers[index].source.take().expect("who fails has a connection");
        self.note(Event::Failed, source);
        self.workers[index].job = None;
        let is_connecting = kind == ErrorKind::Connect;
        let verdict = self.transfer.on_failed(self.now, id(index), kind, None, is_connecting);
        if let Verdict::Retry { at } = verdict {
            assert!(at >= self.now);
        }
    }

    fn fault(&self, source: SourceId) -> Option<Fault> {
        let now_s = self.now.as_secs_f64();
        let faults = &self.origins[source.0 as usize].faults;
        faults.iter().find(|(from, to, _)| (*from..*to).contains(&now_s)).map(|(.., fault)| *fault)
    }

    fn note(&mut self, event: Event, source: SourceId) {
        self.events.push((event, source, self.now));
    }

    /// When that happened to the source with this number, in seconds.
    fn times(&self, event: Event, source: u32) -> Vec<f64> {
        let is_it = |it: &&(Event, SourceId, Duration)| (it.0, it.1) == (event, SourceId(source));
        self.events.iter().filter(is_it).map(|(.., at)| at.as_secs_f64()).collect()
    }
}

fn id(index: usize) -> ConnectionId {
    ConnectionId(u32::try_from(index).unwrap())
}

/// Faulty from then on.
fn from(seconds: f64, fault: Fault) -> Origin {
    Origin { faults: vec![(seconds, f64::INFINITY, fault)], lies: false }
}

fn fails_from(seconds: f64, kind: ErrorKind) -> Origin {
    from(seconds, Fault::Fails(kind))
}

/// One connection for each source, and no budget: nothing that fails may cost any of it.
fn strict(connections: u32) -> Settings {
    Settings { retries: 0, hedge_bytes_max: 0, ..with(connections) }
}

#[test]
fn each_byte_comes_once_whatever_fails_and_no_budget_is_touched() {
    for kind in [
        ErrorKind::ConnectionLost,
        ErrorKind::Connect,
        ErrorKind::Status(404),
        ErrorKind::Status(403),
        ErrorKind::Status(503),
        ErrorKind::Certificate,
        ErrorKind::Changed,
        ErrorKind::RangesIgnored,
        ErrorKind::RangeMismatch,
    ] {
        let silent = from(0.7, Fault::Silent);
        let origins = vec![fails_from(0.5, kind), Origin::default(), fails_from(0.9, kind), silent];
        let mut drive = Drive::new(256 * MIB, origins, strict(4));
        assert!(drive.run(), "{kind:?}: one source is left");
        let ideal_s = 256.0 * MIB as f64 / (4.0 * STEP_BYTES as f64 * 1000.0);
        // All four connections end up at the one that is left; its silence is borne for a while.
        let seconds = drive.now.as_secs_f64();
        assert!(seconds < ideal_s + 3.0, "{kind:?}: {seconds} s against {ideal_s} s");
        assert!(drive.times(Event::Failed, 1).is_empty());
    }
}

#[test]
fn a_source_that_fails_rests_longer_each_time_and_comes_back() {
    let is_down = (1.0, 6.0, Fault::Fails(ErrorKind::Connect));
    let down = Origin { faults: vec![is_down], lies: false };
    let mut drive = Drive::new(600 * MIB, vec![Origin::default(), down], strict(2));
    assert!(drive.run());
    let looks = drive.times(Event::Looked, 1);
    // The first one is the start; then a second, two and four after a failure each.
    let waits: Vec<f64> = looks.windows(2).map(|pair| pair[1] - pair[0]).skip(1).collect();
    assert!(waits.len() == 2 && waits[0] > 1.9 && waits[1] > 3.9, "{looks:?}");
    let last = looks[looks.len() - 1];
    let back = drive.times(Event::Delivered, 1).iter().filter(|at| **at > last).count();
    assert!(back > 100, "it brings its share again after {last} s: {back}");
    assert_eq!(drive.times(Event::Failed, 1).len(), 1, "nobody is sent there meanwhile");
}

#[test]
fn all_gone_gives_up_after_the_retries() {
    for kind in [ErrorKind::Connect, ErrorKind::Status(404)] {
        let origins = [0.3, 0.6, 0.9].map(|at| fails_from(at, kind)).to_vec();
        let settings = Settings { retries: 3, ..strict(1) };
        let mut drive = Drive::new(GIB, origins, settings);
        assert!(!drive.run(), "{kind:?}: nobody has it any more");
        let failures: Vec<usize> =
            (0..3).map(|source| drive.times(Event::Failed, source).len()).collect();
        let all: usize = failures.iter().sum();
        // The last one has the whole budget of its span, whatever was lost at the others.
        assert!((4..=8).contains(&all) && failures.iter().all(|it| *it > 0), "{failures:?}");
    }
}

#[test]
fn a_reserve_is_asked_in_time() {
    for (policy, connections) in [(MirrorPolicy::Failover, 3), (MirrorPolicy::All, 1)] {
        let origins = vec![fails_from(0.5, ErrorKind::Status(404)), Origin::default()];
        let settings = Settings { mirror_policy: policy, retries: 1, ..strict(connections) };
        let mut drive = Drive::new(128 * MIB, origins, settings);
        assert!(drive.run(), "{policy:?}");
        let looked = drive.times(Event::Looked, 1);
        assert!(looked.len() == 1 && (0.5..0.6).contains(&looked[0]), "{policy:?}: {looked:?}");
        let delivered = drive.times(Event::Delivered, 1);
        assert!(delivered[0] < 1.2, "{policy:?}: from {} s on", delivered[0]);
    }
}

#[test]
fn a_liar_is_never_asked_again() {
    let liar = Origin { lies: true, ..Origin::default() };
    let origins = vec![Origin::default(), liar, fails_from(0.5, ErrorKind::Connect)];
    let mut drive = Drive::new(GIB, origins, strict(2));
    assert!(drive.run());
    assert_eq!(drive.times(Event::Looked, 1).len(), 1);
    assert!(drive.times(Event::Routed, 1).is_empty());
    assert!(drive.times(Event::Looked, 2).len() > 1, "another one gets its chances");
}

#[test]
fn a_connection_that_begins_far_away_gives_its_span_to_a_near_one() {
    let mut transfer = Transfer::new(
        3 * MIB,
        Settings { request: RequestSize::Fixed(MIB), sources: 2, hedge_bytes_max: 0, ..with(2) },
    );
    transfer.sources_to_open(NOW);
    transfer.on_source_opened(NOW, SourceId(1), 1);
    let mut now = NOW;
    for (worker, reach_ms) in [(A, 10), (B, 200)] {
        let source = SourceId(worker.0);
        let Next::Fetch(Fetch { span, .. }) = transfer.next(now, worker) else { panic!("a span") };
        assert_eq!(transfer.route(now, worker), Some(source));
        let reach = Duration::from_millis(reach_ms);
        transfer.on_connected(now, worker, 0, reach);
        transfer.on_requested(now, worker, span.start());
        now += reach;
        transfer.on_first_byte(now, worker, span.start());
        for half in 1..=2 {
            now += Duration::from_millis(50);
            transfer.on_progress(now, worker, span.start() + half * MIB / 2);
            transfer.on_tick(now, Pressure::default());
        }
        transfer.on_delivered(now, worker, span);
        transfer.on_finished(now, worker);
    }
    transfer.on_keep_alive(now, A);
    transfer.on_let_go(now, B);
    assert!(matches!(transfer.next(now, B), Next::Fetch(_)), "the last MiB");
    assert_eq!(transfer.route(now, B), Some(SourceId(1)));
    transfer.on_connected(now, B, 0, Duration::from_millis(200));
    transfer.on_requested(now, B, 2 * MIB);
    // It ran at 10 MB/s, but has a round trip and a slow start of seven more before it.
    let next = transfer.next(now, A);
    assert!(matches!(next, Next::Steal { victim: B, at } if at < 2 * MIB + MIB / 4), "{next:?}");
}

#[test]
fn what_was_measured_at_one_source_is_not_expected_of_another() {
    let mut transfer = Transfer::new(64 * MIB, Settings { sources: 2, ..with(1) });
    let goodput = |transfer: &Transfer| transfer.workers.get(A).unwrap().meter.goodput();
    let Next::Fetch(Fetch { span, .. }) = transfer.next(NOW, A) else { panic!("a span") };
    assert_eq!(transfer.route(NOW, A), Some(SourceId(0)));
    transfer.on_connected(NOW, A, 0, REACH);
    transfer.on_requested(NOW, A, span.start());
    transfer.on_first_byte(NOW, A, span.start());
    let later = NOW + Duration::from_millis(100);
    transfer.on_progress(later, A, MIB);
    transfer.on_tick(later, Pressure::default());
    assert!(goodput(&transfer).is_some());
    fail(&mut transfer, later, A, ErrorKind::ConnectionLost);
    let later = later + Duration::from_secs(60);
    assert!(matches!(transfer.next(later, A), Next::Fetch(_)));
    assert_eq!(transfer.route(later, A), Some(SourceId(0)));
    assert!(goodput(&transfer).is_some(), "the same path");
    transfer.on_failed(later, A, ErrorKind::TimedOut, None, false);
    assert_eq!(transfer.sources_to_open(later), [SourceId(1)]);
    transfer.on_source_opened(later, SourceId(1), 1);
    transfer.on_source_unopened(later, SourceId(0), Unopened::Failed(ErrorKind::TimedOut));
    assert_eq!(transfer.route(later, A), Some(SourceId(1)));
    assert_eq!(goodput(&transfer), None, "another path");
}

#[test]
fn a_source_begins_with_the_connections_it_is_said_to_take_and_gets_more_where_they_pay() {
    let routed = |hint: Option<u32>| {
        let settings = Settings { fanout: Fanout::Auto { max: 12 }, ..strict(12) };
        let mut drive = Drive::new(2 * GIB, vec![Origin::default(); 2], settings);
        hint.into_iter().for_each(|hint| drive.transfer.begin_with(SourceId(1), hint));
        assert!(drive.run());
        let times = drive.times(Event::Routed, 1);
        let at_first = times.iter().filter(|at| **at < 1.0).count();
        (at_first, times.len())
    };
    let (at_first, _) = routed(None);
    assert!(at_first > 1, "{at_first}");
    let (at_first, at_last) = routed(Some(1));
    assert_eq!(at_first, 1);
    assert!(at_last > 2, "what each brings is known by then: {at_last}");
}

#[test]
fn a_transfer_begins_with_the_connections_its_only_source_is_said_to_take() {
    let wanted = |hint: Option<u32>, connections_known: Option<u32>| {
        let fanout = Fanout::Auto { max: 16 };
        let mut transfer =
            Transfer::new(GIB, Settings { fanout, connections_known, ..Settings::default() });
        hint.into_iter().for_each(|hint| transfer.begin_with(SourceId(0), hint));
        let (far, span) = (Duration::from_millis(200), Span::new(0, MIB));
        transfer.on_connected(NOW, A, 0, far);
        transfer.on_requested(NOW, A, 0);
        transfer.adopt(NOW + far, A, 0, span);
        transfer.connections_wanted(NOW + far)
    };
    assert!(wanted(None, None) > 3);
    assert_eq!(wanted(Some(3), None), 3);
    assert_eq!(wanted(Some(3), Some(5)), 5, "what was measured says more");
}

/// Both of two workers have fetched a MiB each, from a near source and from a far one that closes
/// its connection after each answer.
fn near_and_far() -> Transfer {
    let mut transfer = Transfer::new(
        64 * MIB,
        Settings { request: RequestSize::Fixed(MIB), request_ahead: true, sources: 2, ..with(2) },
    );
    transfer.sources_to_open(NOW);
    transfer.on_source_opened(NOW, SourceId(1), 1);
    let mut now = NOW;
    for (worker, reach_ms) in [(B, 10), (A, 200), (B, 10)] {
        let Next::Fetch(Fetch { span, .. }) = transfer.next(now, worker) else { panic!("a span") };
        if !transfer.workers.entry(worker).is_connected {
            let source = transfer.route(now, worker).expect("both are open");
            assert_eq!(source, SourceId(u32::from(worker == A)));
            transfer.on_connected(now, worker, 0, Duration::from_millis(reach_ms));
        }
        transfer.on_requested(now, worker, span.start());
        now += Duration::from_millis(reach_ms);
        transfer.on_first_byte(now, worker, span.start());
        now += Duration::from_millis(50);
        transfer.on_progress(now, worker, span.end());
        transfer.on_tick(now, Pressure::default());
        transfer.on_delivered(now, worker, span);
        transfer.on_finished(now, worker);
        match worker {
            A => transfer.on_let_go(now, A),
            _ => transfer.on_keep_alive(now, worker),
        }
    }
    transfer
}

#[test]
fn what_one_path_takes_says_nothing_of_another() {
    let transfer = near_and_far();
    let (near, far) = (transfer.view(B), transfer.view(A));
    let ms = Duration::from_millis;
    assert_eq!((near.tau, far.tau), (ms(10), ms(200)));
    assert_eq!((near.is_reconnecting, far.is_reconnecting), (false, true));
    assert_eq!((near.gap, far.gap), (ms(10), ms(400)), "each answer needs its own connection");
    assert_eq!((near.is_pipelined, far.is_pipelined), (true, false));
    assert_eq!(transfer.workers.reach(B), ms(20));
}

#[test]
fn the_count_waits_for_the_longest_path_in_use() {
    let mut transfer = near_and_far();
    let ms = Duration::from_millis;
    assert_eq!(transfer.workers.longest().reach, ms(20), "nobody is connected to the far one");
    let now = NOW + Duration::from_secs(1);
    assert!(matches!(transfer.next(now, A), Next::Fetch(_)));
    assert_eq!(transfer.route(now, A), Some(SourceId(1)));
    transfer.on_connected(now, A, 0, ms(200));
    assert_eq!(transfer.workers.longest().reach, ms(400));
    transfer.on_let_go(now, A);
    transfer.on_let_go(now, B);
    assert_eq!(transfer.workers.longest().reach, ms(400), "both may come back");
}
