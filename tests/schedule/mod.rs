//! Seeded random schedules of faults: a download ends in the right bytes or in a clean error, and
//! where every fault passes, in the right bytes.
//!
//! `RINGHAUL_FAULTS_SEED=N` runs one schedule again, `N..M` those from N to M - 1.

use crate::rig::{NAME, Rig, SEED, assert_content, assert_line, bounded, files};
use ringhaul::base::ErrorKind;
use ringhaul::digest::{Algorithm, Checksum};
use ringhaul::engine::options::Options;
use ringhaul::server::{Config, Fault, Rule, When, content};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const SEED_VARIABLE: &str = "RINGHAUL_FAULTS_SEED";
/// More failures than one schedule holds, so that surviving is a duty.
const RETRIES: u32 = 8;

/// One schedule.
pub(crate) struct Schedule {
    seed: u64,
    config: Config,
    is_tls: bool,
    must_survive: bool,
    /// A byte is wrong, which only a checksum finds.
    flips: bool,
    is_checked: bool,
    threads: u32,
}

impl Schedule {
    /// The schedule of this seed; `shape` adds to the server's settings.
    pub(crate) fn new(seed: u64, shape: impl FnOnce(&mut Random, &mut Config)) -> Self {
        let mut random = Random(seed);
        let size_bytes = MIB + random.below(5 * MIB);
        let is_tls = random.below(4) == 0;
        let mut config = match is_tls {
            true => Config::new_tls(SEED, size_bytes),
            false => Config::new(SEED, size_bytes),
        };
        for _ in 0..1 + random.below(6) {
            config.script.push(random.passing());
        }
        let must_survive = random.below(4) > 0;
        if !must_survive {
            config.script.push(random.fatal());
        }
        let flips = random.below(8) == 0;
        let is_checked = flips || random.below(2) == 0;
        if flips {
            let flip = Fault::FlipByte(random.below(size_bytes));
            config.script.push(Rule::once(random.when(), flip));
        }
        let threads = 1 + u32::try_from(random.below(3)).expect("a small number");
        shape(&mut random, &mut config);
        Self { seed, config, is_tls, must_survive, flips, is_checked, threads }
    }

    /// Runs it with options that `adapt` has changed; answers whether the download ended well.
    pub(crate) fn run(self, adapt: impl FnOnce(&mut Options)) -> bool {
        let Self { seed, config, is_tls, must_survive, flips, is_checked, threads } = self;
        let size_bytes = config.size_bytes;
        let what = format!(
            "seed {seed}: {size_bytes} bytes, TLS {is_tls}, {:?}, {:?}",
            config.shape, config.script
        );
        let rig = Rig::new(config).with(|options| {
            options.retries = RETRIES;
            options.stall_timeout = Duration::from_millis(600);
            options.checksum = is_checked.then(|| sha256_of(size_bytes));
            options.threads = Some(threads);
            adapt(options);
        });
        let download = rig.download();
        match bounded(&what, move || download.run()) {
            Ok(report) => {
                assert_eq!(report.bytes, size_bytes, "{what}");
                assert_content(&rig.target(), SEED, size_bytes);
                assert_eq!(files(&rig.out()), [NAME], "{what}");
                true
            }
            Err(error) => {
                let line = assert_line(&error);
                let is_mismatch = error.kind() == ErrorKind::ChecksumMismatch;
                assert!(!must_survive || (flips && is_mismatch), "{what}: {line}");
                assert!(flips || !is_mismatch, "{what}: {line}");
                assert_ne!(error.kind(), ErrorKind::Internal, "{what}: {line}");
                let part = format!("{NAME}.part");
                let left: &[&str] = if is_mismatch { &[&part] } else { &[] };
                assert_eq!(files(&rig.out()), left, "{what}: {line}");
                rig.assert_disconnected();
                false
            }
        }
    }
}

/// Runs `count` schedules, or those the variable names, `at_once` at the same time: most of their
/// time is waiting. Three of four have to end well.
#[allow(clippy::print_stdout, reason = "a failing test shows the seeds that were running")]
pub(crate) fn run_all(count: u64, at_once: usize, run: impl Fn(u64) -> bool + Sync) {
    let Range { start, end } = seeds(count);
    println!("schedules {start} to {}; one again: {SEED_VARIABLE}=N", end - 1);
    let (next, well) = (AtomicU64::new(start), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    println!("schedule {seed}");
                    well.fetch_add(u64::from(run(seed)), Ordering::Relaxed);
                }
            });
        }
    });
    let (well, ran) = (well.into_inner(), end - start);
    assert!(ran < count || well >= ran * 3 / 4, "{well} of {ran} ended well");
}

/// The seeds to run: the usual ones, or those asked for as `N` or `N..M`.
fn seeds(count: u64) -> Range<u64> {
    let Ok(text) = std::env::var(SEED_VARIABLE) else { return 1..1 + count };
    let number = |text: &str| text.parse().expect("seeds are given as N or N..M");
    match text.split_once("..") {
        Some((start, end)) => number(start)..number(end),
        None => number(&text)..number(&text) + 1,
    }
}

/// The digest of the file of so many bytes.
pub(crate) fn sha256_of(size_bytes: u64) -> Checksum {
    let expected = content::sha256(SEED, size_bytes).to_vec();
    Checksum { algorithm: Algorithm::Sha256, expected }
}

/// A small generator (splitmix64): the schedule is a function of the seed alone.
pub(crate) struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to `end - 1`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn bytes(&mut self) -> u64 {
        let edge = [0, 1, 4096, 65_536, 256 * KIB - 1];
        match self.below(8) {
            at @ 0..5 => edge[usize::try_from(at).expect("a small index")],
            _ => self.below(256 * KIB),
        }
    }

    fn when(&mut self) -> When {
        match self.below(4) {
            0 => When::Connection(1 + self.below(5)),
            1 => When::RangeStartFrom(self.below(6 * MIB)),
            _ => When::Request(1 + self.below(20)),
        }
    }

    /// A fault that passes, so that the download has to end well.
    fn passing(&mut self) -> Rule {
        let what = match self.below(17) {
            0 | 1 => Fault::ResetAfter(self.bytes()),
            2 | 3 => Fault::CloseAfter { bytes: self.bytes(), close_notify: self.below(2) == 0 },
            4 => Fault::StallAfter(self.bytes()),
            5 => Fault::StallBeforeHead,
            6 => Fault::DelayHead(Duration::from_millis(self.below(60))),
            7 => Fault::Rate(MIB + self.below(4 * MIB)),
            8 => Fault::CloseAfterReply { announce: self.below(2) == 0 },
            9 => Fault::Interim(1),
            10 => Fault::ShorterRange(4096 + self.below(256 * KIB)),
            11 => Fault::Chunked,
            12 => Fault::NoLength,
            13 => Fault::WrongRange { shift: 4096 },
            14 => Fault::Status { code: 503, headers: Vec::new(), body: Vec::new() },
            15 => Fault::LongBody(1 + self.below(3)),
            _ => Fault::Garbage(b"\x00garbage".to_vec()),
        };
        Rule::once(self.when(), what)
    }

    /// A fault after which the download may end well or with a clean error.
    fn fatal(&mut self) -> Rule {
        let what = match self.below(7) {
            0 => Fault::ETag("\"another\"".into()),
            1 => Fault::ContentEncoding("gzip".into()),
            2 => Fault::Status { code: 404, headers: Vec::new(), body: Vec::new() },
            3 => Fault::NoRangeSupport,
            4 => Fault::IgnoreRange,
            5 => Fault::WrongTotal(MIB),
            _ => Fault::Redirect { status: 302, location: "/elsewhere".into() },
        };
        // For good, those that are tried again would wait for longer than a test may.
        Rule { when: self.when(), what, times: Some(1 + u32::from(self.below(2) == 0)) }
    }
}
