//! The window in virtual time: connections that fetch spans, an output, and its reader.

use super::*;
use std::collections::BTreeSet;

const BLOCK: u64 = MIB;
const MEMORY: u64 = 64 * MIB;
const STEP: Duration = Duration::from_micros(500);
const MS: Duration = Duration::from_millis(1);

/// What is fetched, from whom, and who reads it.
struct Scene {
    blocks: u64,
    connections: usize,
    /// Blocks of one span.
    span_blocks: u64,
    /// Bytes per second of one connection.
    rate: f64,
    /// Between two spans of a connection.
    round_trip: Duration,
    /// The first connection has this share of the rate.
    late_share: f64,
    /// Each span of which the number is a multiple of this stops once for a retransmission.
    lossy_spans: u64,
    /// Bytes per second that the reader takes at this time.
    reader: fn(Duration) -> f64,
}

impl Default for Scene {
    /// Eight connections of 50 MB/s, and a reader that takes all.
    fn default() -> Self {
        Self {
            blocks: 1024,
            connections: 8,
            span_blocks: 4,
            rate: 50e6,
            round_trip: STEP,
            late_share: 1.0,
            lossy_spans: u64::MAX,
            reader: |_| 4e9,
        }
    }
}

#[derive(Default)]
struct Connection {
    /// Of the block being received, or to be received next.
    block: u64,
    end: u64,
    /// Bytes of it that have come; `None`: it has not been begun.
    filled: Option<f64>,
    /// Nothing comes before this.
    quiet_until: Duration,
    /// When it asks again.
    asks_at: Duration,
}

#[derive(Default)]
struct Output {
    taken: u64,
    early: BTreeSet<u64>,
    /// Bytes of the block that is being written which the reader has not taken.
    writing: f64,
    dry: Duration,
}

impl Output {
    fn outlet(&self) -> Outlet {
        Outlet { taken_to: self.taken * BLOCK, dry: self.dry }
    }

    /// `true` if a block has been written.
    fn passes(&mut self, reader: f64) -> bool {
        let taken_before = self.taken;
        let mut budget = reader * STEP.as_secs_f64();
        while budget > 0.0 {
            if self.writing <= 0.0 {
                if !self.early.remove(&self.taken) {
                    let share = budget / (reader * STEP.as_secs_f64());
                    self.dry += STEP.mul_f64(share);
                    break;
                }
                self.taken += 1;
                self.writing = BLOCK as f64;
            }
            let step = budget.min(self.writing);
            self.writing -= step;
            budget -= step;
        }
        self.taken > taken_before
    }
}

/// What came of it.
#[derive(Debug)]
struct Ran {
    time: Duration,
    /// Most blocks that waited for their turn or the reader.
    waiting_max: usize,
    window_bytes: u64,
}

fn run(scene: &Scene, mut ahead: Ahead) -> Ran {
    let mut output = Output::default();
    let mut connections: Vec<Connection> = Vec::new();
    connections.resize_with(scene.connections, Connection::default);
    let (mut now, mut assigned, mut waiting_max) = (Duration::ZERO, 0, 0);
    while output.taken < scene.blocks || output.writing > 0.0 {
        let is_written = output.passes((scene.reader)(now));
        for (id, connection) in connections.iter_mut().enumerate() {
            if connection.block == connection.end {
                let may_be_assigned = assigned * BLOCK < output.taken * BLOCK + MEMORY;
                if assigned == scene.blocks || !may_be_assigned {
                    continue;
                }
                let is_lossy = (assigned / scene.span_blocks + 1).is_multiple_of(scene.lossy_spans);
                let lost = if is_lossy { 200 * MS } else { Duration::ZERO };
                connection.block = assigned;
                assigned = (assigned + scene.span_blocks).min(scene.blocks);
                connection.end = assigned;
                connection.quiet_until = now + scene.round_trip + lost;
            }
            if connection.filled.is_none() && (is_written || connection.asks_at <= now) {
                match ahead.ask(now, connection.block * BLOCK, output.outlet()) {
                    Room::Free => connection.filled = Some(0.0),
                    Room::Unclear(time) => connection.asks_at = now + time,
                    Room::Full => connection.asks_at = now + 10 * MS,
                }
            }
            let share = if id == 0 { scene.late_share } else { 1.0 };
            if connection.quiet_until <= now
                && let Some(filled) = &mut connection.filled
            {
                *filled += scene.rate * share * STEP.as_secs_f64();
                if *filled >= BLOCK as f64 {
                    output.early.insert(connection.block);
                    connection.block += 1;
                    connection.filled = None;
                    connection.asks_at = now;
                }
            }
        }
        waiting_max = waiting_max.max(output.early.len());
        now += STEP;
        assert!(now < Duration::from_secs(600), "it goes on");
    }
    assert!(waiting_max as u64 * BLOCK <= MEMORY, "{waiting_max} blocks");
    Ran { time: now, waiting_max, window_bytes: ahead.window_bytes }
}

/// With the window that learns, and the time over that with all of the memory.
fn compared(scene: &Scene) -> (Ran, f64) {
    let most = Ahead { window_bytes: MEMORY, ..Ahead::new(MEMORY) };
    let ran = run(scene, Ahead::new(MEMORY));
    let ratio = ran.time.as_secs_f64() / run(scene, most).time.as_secs_f64();
    (ran, ratio)
}

#[test]
fn a_slow_reader_keeps_the_window_small_and_loses_nothing() {
    // Four slow connections are needed, which takes room for their spans; of fast ones, one.
    for (rate, window_bytes_max) in [(50e6, MEMORY / 2), (500e6, 2 * WINDOW_BYTES_MIN)] {
        let (ran, ratio) = compared(&Scene { reader: |_| 150e6, rate, ..Scene::default() });
        assert!(ran.window_bytes <= window_bytes_max, "{ran:?}");
        assert!(ran.waiting_max as u64 * BLOCK <= window_bytes_max, "{ran:?}");
        assert!(ratio < 1.01, "{ratio}: {ran:?}");
    }
}

#[test]
fn a_late_connection_opens_it() {
    let scene = Scene { late_share: 0.05, ..Scene::default() };
    let (ran, ratio) = compared(&scene);
    assert_eq!(ran.window_bytes, MEMORY, "{ran:?}");
    assert!(ratio < 1.02, "{ratio}: {ran:?}");
}

#[test]
fn round_trips_and_losses_open_it() {
    let scene = Scene { round_trip: 100 * MS, lossy_spans: 7, ..Scene::default() };
    let (ran, ratio) = compared(&scene);
    assert_eq!(ran.window_bytes, MEMORY, "{ran:?}");
    assert!(ratio < 1.02, "{ratio}: {ran:?}");
}

#[test]
fn connections_that_are_held_beside_a_fast_reader_open_it() {
    // Each gap is shorter than the time of a look.
    let scene = Scene { rate: 1e9, connections: 2, span_blocks: 64, ..Scene::default() };
    let (ran, ratio) = compared(&Scene { blocks: 2048, ..scene });
    assert_eq!(ran.window_bytes, MEMORY, "{ran:?}");
    assert!(ratio < 1.02, "{ratio}: {ran:?}");
}

#[test]
fn a_reader_that_pauses_opens_it() {
    let reader = |now: Duration| if now.as_millis() % 200 < 100 { 1.0 } else { 800e6 };
    let scene = Scene { blocks: 2048, reader, ..Scene::default() };
    let (ran, ratio) = compared(&scene);
    assert!(ran.window_bytes >= MEMORY / 2, "{ran:?}");
    assert!(ratio < 1.05, "{ratio}: {ran:?}");
}

#[test]
fn the_next_bytes_always_have_room() {
    for most in [0, 1, MIB, MEMORY] {
        let mut ahead = Ahead::new(most);
        let outlet = Outlet { taken_to: 5 * MIB, dry: Duration::ZERO };
        assert_eq!(ahead.ask(MS, 5 * MIB, outlet), Room::Free, "{most}");
        let held = ahead.ask(MS, 5 * MIB + most.max(1), outlet);
        assert_ne!(held, Room::Free, "{most}");
    }
}

#[test]
fn a_reader_that_is_waited_for_is_told_from_a_look_that_has_begun() {
    let mut ahead = Ahead::new(MEMORY);
    let outlet = Outlet { taken_to: 0, dry: Duration::ZERO };
    assert_eq!(ahead.ask(MS, MEMORY, outlet), Room::Unclear(LOOK_TIME));
    assert_eq!(ahead.ask(2 * MS, MEMORY, outlet), Room::Unclear(LOOK_TIME));
    assert_eq!(ahead.ask(3 * MS, MEMORY, outlet), Room::Full);
    assert_eq!(ahead.ask(4 * MS, MEMORY, outlet), Room::Full);
    // Much later it is another hold.
    assert_eq!(ahead.ask(100 * MS, MEMORY, outlet), Room::Unclear(LOOK_TIME));
}
