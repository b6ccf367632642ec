//! Kill -9 at seeded random moments, then the same command again: always the right file, never more
//! fetched twice than was not yet durable, never all of it once there is a journal.
//!
//! What may be lost is judged from outside, by when the journal was written: a barrier begins after
//! the one before it has ended, so whatever was written by then is durable. `RINGHAUL_KILLS=300`
//! is the long form with 256 MiB; `RINGHAUL_KILLS_SEED=N` runs one seed of it again.

mod common;

use common::scene::wait;
use common::{
    HANG_LIMIT, NAME, Place, SEED, Scene, assert_content, checksum, eventually_within, serve,
    slowed,
};
use ringhaul::internal::base::rng::Rng;
use ringhaul::internal::base::size::{KIB, MIB};
use ringhaul::server::{Config, Server};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

const KILLS_VARIABLE: &str = "RINGHAUL_KILLS";
const SEED_VARIABLE: &str = "RINGHAUL_KILLS_SEED";
const JOURNAL_INTERVAL: &str = "50ms";
/// Fewer seeds say nothing of how many are gone on with.
const SEEDS_MIN: usize = 8;
/// The part of the file after which several barriers were due, whatever else the machine does.
const LATE_SHARE: u64 = 3;

/// What one test downloads, and how fast it comes.
#[derive(Debug, Clone, Copy)]
struct Load {
    size_bytes: u64,
    bytes_per_second: u64,
    chunks: [u64; 4],
}

const SMALL: Load = Load {
    size_bytes: 24 * MIB + 4097,
    bytes_per_second: 40 * MIB,
    chunks: [64 * KIB, 128 * KIB, 200 * KIB, 256 * KIB],
};
const LARGE: Load = Load {
    size_bytes: 256 * MIB,
    bytes_per_second: 340 * MIB,
    chunks: [256 * KIB, 300 * KIB, MIB, 2 * MIB],
};

#[test]
fn killed_at_any_moment_it_goes_on_where_it_was_durable() {
    let number = |name| std::env::var(name).ok().map(|text: String| text.parse::<u64>());
    let number = |name| number(name).map(|parsed| parsed.expect("a number"));
    match (number(SEED_VARIABLE), number(KILLS_VARIABLE)) {
        (Some(seed), _) => run_all(seed..seed + 1, 1, LARGE),
        (None, Some(kills)) => run_all(0..kills, 1, LARGE),
        (None, None) => run_all(0..8, 2, SMALL),
    }
}

/// Runs these seeds, `at_once` at the same time.
#[allow(clippy::print_stdout, reason = "a failing test shows the seeds, the long form its sums")]
fn run_all(seeds: Range<u64>, at_once: usize, load: Load) {
    let (next, all) = (AtomicU64::new(seeds.start), Mutex::new(Vec::new()));
    let checksum = checksum(SEED, load.size_bytes).to_string();
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let trial = Trial::new(seed, load, &checksum);
                    println!("{}", trial.what);
                    let sums = trial.run();
                    println!("seed {seed}: {sums:?}");
                    all.lock().expect("no panic").push(sums);
                }
            });
        }
    });
    let all = all.into_inner().expect("no panic");
    let kills: usize = all.iter().map(|sums| sums.kills).sum();
    let worst = all.iter().map(|sums| sums.twice_bytes).max().unwrap_or_default();
    let resumed = all.iter().filter(|sums| sums.is_resumed).count();
    println!("{kills} kills, {resumed} resumed; at most {worst} bytes were fetched twice");
    // Without a journal the files are right as well, and every one is fetched from zero.
    let late: Vec<_> = all.iter().filter(|sums| sums.is_late).collect();
    let resumed = late.iter().filter(|sums| sums.is_resumed).count();
    let is_most = all.len() < SEEDS_MIN || resumed * 2 > late.len();
    assert!(is_most, "of {} that were killed late {resumed} were gone on with", late.len());
}

/// The first barriers come early: with the default interval of two seconds, too, a short and slow
/// download has something to go on from.
#[test]
fn a_short_and_slow_download_survives_a_kill() {
    let load = Load { size_bytes: 8 * MIB, bytes_per_second: 3 * MIB, chunks: [MIB; 4] };
    let trial = Trial::new(1, load, "");
    let url = trial.server.url("/file.bin");
    let run = || trial.scene.spawn(&["-q", "-o", NAME, "-c", "4", &url]);
    let mut child = run();
    let journal = trial.scene.target().with_added_extension("ringhaul");
    // On a busy machine its first sync takes a while.
    eventually_within(HANG_LIMIT, "there is a journal", || journal.exists());
    child.kill().expect("the child can be killed");
    child.wait().expect("a killed child ends");
    trial.settle();
    let sent_before = trial.server.body_bytes();
    let ended = wait(run());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let again = trial.server.body_bytes() - sent_before;
    assert!(again < load.size_bytes, "{again} bytes were fetched by the second run");
    assert_content(&trial.scene.target(), SEED, load.size_bytes);
}

/// What one seed came to.
#[derive(Debug, Default)]
struct Sums {
    kills: usize,
    /// A run was killed that had fetched much of the file.
    is_late: bool,
    /// The last run went on with what a killed one had left.
    is_resumed: bool,
    /// Bytes sent beyond the size of the file, and the most they may have been.
    twice_bytes: u64,
    twice_bytes_max: u64,
}

/// One file, downloaded by runs of which all but the last are killed.
struct Trial<'a> {
    what: String,
    load: Load,
    checksum: &'a str,
    scene: Scene,
    server: Server,
    rng: Rng,
    kills: u64,
}

impl<'a> Trial<'a> {
    fn new(seed: u64, load: Load, checksum: &'a str) -> Self {
        let mut rng = Rng::new(seed);
        // One kill, and now and then of the resume as well, twice and three times.
        let kills = [1, 1, 1, 2, 2, 3][index(&mut rng, 6)];
        let config = slowed(Config::new(SEED, load.size_bytes), load.bytes_per_second);
        Self {
            what: format!("{SEED_VARIABLE}={seed}, {load:?}, {kills} kills"),
            load,
            checksum,
            scene: Scene::new(),
            server: serve(config),
            rng,
            kills,
        }
    }

    fn run(mut self) -> Sums {
        let mut sums = Sums::default();
        for _ in 0..self.kills {
            let means = self.draw_means(sums.kills == 0);
            sums.twice_bytes_max += means.in_flight_bytes();
            let sent_before = self.server.body_bytes();
            let Some(lost_bytes_max) = self.run_and_kill(&means) else {
                sums.is_resumed = sums.kills > 0 && !self.has_sent_all_since(sent_before);
                return self.end(sums);
            };
            sums.twice_bytes_max += lost_bytes_max;
            sums.kills += 1;
            let sent = self.server.body_bytes() - sent_before;
            sums.is_late |= sent >= self.load.size_bytes / LATE_SHARE;
            assert!(!self.scene.target().exists(), "a kill has left a file: {}", self.what);
        }
        let means = self.draw_means(false);
        sums.twice_bytes_max += means.in_flight_bytes();
        let sent_before = self.server.body_bytes();
        let had_journal = self.scene.journal().exists();
        let ended = wait(self.start(&means));
        assert_eq!(ended.code, Some(0), "{ended:?}: {}", self.what);
        let is_all = self.has_sent_all_since(sent_before);
        assert!(!had_journal || !is_all, "it started from zero: {}", self.what);
        sums.is_resumed = !is_all;
        self.end(sums)
    }

    /// The download has ended well: the file is right, and so is what it took.
    fn end(&self, mut sums: Sums) -> Sums {
        assert_content(&self.scene.target(), SEED, self.load.size_bytes);
        self.settle();
        sums.twice_bytes = self.server.body_bytes().saturating_sub(self.load.size_bytes);
        let Sums { twice_bytes, twice_bytes_max, .. } = sums;
        let is_within = twice_bytes <= twice_bytes_max;
        assert!(is_within, "{twice_bytes} fetched twice, not {twice_bytes_max}: {}", self.what);
        sums
    }

    /// Runs it and kills it; the most bytes that may have cost, or `None` if it was faster.
    fn run_and_kill(&mut self, means: &Means) -> Option<u64> {
        let took = self.load.size_bytes as f64 / self.load.bytes_per_second as f64;
        let after = Duration::from_secs_f64(took * 1.1 * self.rng.unit());
        let begun_at = self.server.body_bytes();
        let mut barriers = Barriers::new(self.scene.journal());
        let mut child = self.start(means);
        let begin = Instant::now();
        while begin.elapsed() < after {
            barriers.look(self.server.body_bytes());
            if let Some(status) = child.try_wait().expect("the child can be asked") {
                let ended = wait(child);
                assert!(status.success(), "{ended:?}: {}", self.what);
                return None;
            }
            // sleep: neither the server nor the file system rings.
            thread::sleep(Duration::from_millis(1));
        }
        child.kill().expect("the child can be killed");
        let status = child.wait().expect("a killed child ends");
        self.settle();
        let sent = self.server.body_bytes();
        barriers.look(sent);
        if status.success() || self.scene.target().exists() {
            // It was through, or had given the file its name.
            return None;
        }
        Some(sent - barriers.durable_bytes_min().unwrap_or(begun_at))
    }

    fn start(&self, means: &Means) -> Child {
        let (connections, chunk) = (means.connections.to_string(), means.chunk_bytes.to_string());
        let mut command = self.scene.command(&["-q", "-o", NAME]);
        command.args(["--journal-interval", JOURNAL_INTERVAL]);
        command.args(["-c", &connections, "--chunk-size", &chunk]);
        if means.is_checked {
            command.args(["--checksum", self.checksum]);
        }
        command.arg(self.server.url("/file.bin")).spawn().expect("the binary runs")
    }

    /// Eight connections at first, any number later.
    fn draw_means(&mut self, is_first: bool) -> Means {
        let rng = &mut self.rng;
        Means {
            connections: if is_first { 8 } else { [1, 2, 4, 8, 12][index(rng, 5)] },
            chunk_bytes: self.load.chunks[index(rng, 4)],
            is_checked: index(rng, 2) == 0,
        }
    }

    /// Whether at least the file's size in bytes was sent since the server had sent `sent_before`.
    fn has_sent_all_since(&self, sent_before: u64) -> bool {
        self.settle();
        self.server.body_bytes() - sent_before >= self.load.size_bytes
    }

    /// Every connection's last bytes are counted.
    fn settle(&self) {
        let is_alone = || self.server.stats().connections_live == 0;
        eventually_within(HANG_LIMIT, "every connection is closed", is_alone);
    }
}

/// The options of one run.
#[derive(Debug)]
struct Means {
    connections: u64,
    chunk_bytes: u64,
    is_checked: bool,
}

impl Means {
    /// The most that is sent and not yet written: on each connection the block on its way to the
    /// disk, the answer being received, and the one asked for ahead of it.
    fn in_flight_bytes(&self) -> u64 {
        self.connections * 3 * self.chunk_bytes
    }
}

/// The barriers of one run, seen from outside.
struct Barriers {
    journal: PathBuf,
    /// The last moment at which the run before this one wrote its journal.
    before: Option<SystemTime>,
    /// When this run has written it.
    written_at: Vec<SystemTime>,
    /// Bytes the server had sent, and when.
    sent: Vec<(SystemTime, u64)>,
}

impl Barriers {
    fn new(journal: PathBuf) -> Self {
        let before = modified(&journal);
        Self { journal, before, written_at: Vec::new(), sent: Vec::new() }
    }

    fn look(&mut self, sent_bytes: u64) {
        self.sent.push((SystemTime::now(), sent_bytes));
        let last = self.written_at.last().copied().or(self.before);
        self.written_at.extend(modified(&self.journal).filter(|at| Some(*at) != last));
    }

    /// Bytes sent before the last barrier can have begun: those that had arrived and been written
    /// are durable. `None` where there was no barrier, or perhaps only one.
    fn durable_bytes_min(&self) -> Option<u64> {
        let [.., last_but_one, _] = self.written_at[..] else { return None };
        let earlier = self.sent.iter().rev().find(|(at, _)| *at <= last_but_one);
        earlier.map(|(_, sent_bytes)| *sent_bytes)
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

/// From 0 to `end - 1`.
fn index(rng: &mut Rng, end: usize) -> usize {
    usize::try_from(rng.next_u64() % end as u64).expect("below a usize")
}
