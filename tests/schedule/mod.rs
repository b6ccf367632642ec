//! Seeded random schedules of faults and interruptions: a download, run again where it was
//! stopped, ends in the right bytes or in a clean error, and where every fault passes, in the right
//! bytes.
//!
//! `RINGHAUL_FAULTS_SEED=N` runs one schedule again, `N..M` those from N to M - 1.

mod blame;
mod liars;
mod random;

use crate::common::{NAME, Place, SEED, Site, assert_line, bounded, checksum};
use blame::may_cause;
use liars::Liar;
pub(crate) use random::Random;
use ringhaul::Report;
use ringhaul::internal::base::size::{KIB, MIB};
use ringhaul::server::{Config, DigestField, EntityTag, Fault, RequestLog, Rule, content};
use ringhaul::{Error, ErrorKind, Result};
use ringhaul::{OnChange, Options};
use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

const SEED_VARIABLE: &str = "RINGHAUL_FAULTS_SEED";
/// A fault drawn so often happens at least once. The rarest are for connections and offsets that
/// many downloads never come to.
const DRAWS_TO_HAPPEN: u64 = 12;
/// More failures than one schedule holds, so that surviving is a duty.
const RETRIES: u32 = 8;
/// Runs after a clean error in which all that wears out has worn out.
const RUNS_TO_RECOVER: u32 = 3;
/// Seed of the file that takes the place of the first one.
const SEED_REPLACED: u64 = SEED + 1;

/// One schedule.
#[derive(Debug)]
pub(crate) struct Schedule {
    seed: u64,
    config: Config,
    must_survive: bool,
    /// A byte of the file is wrong, which only a digest finds.
    flip: Option<u64>,
    /// The server says a wrong digest.
    lies: bool,
    liar: Option<Liar>,
    /// The caller names the right digest of the first file.
    is_checked: bool,
    threads: u32,
    /// The runs before the last one, each of them to be stopped.
    stopped: Vec<Leg>,
    last: Leg,
}

/// What differs from run to run.
#[derive(Debug)]
struct Leg {
    /// Bytes of bodies the server sends before the stop.
    stop_after: Option<u64>,
    /// Connections and bytes of a request; `None` for those the test has chosen.
    means: Option<(Option<u32>, Option<u64>)>,
    resume: bool,
    journal: bool,
    path: &'static str,
}

impl Schedule {
    /// The schedule of this seed; `shape` adds to the server's settings.
    pub(crate) fn new(seed: u64, shape: impl FnOnce(&mut Random, &mut Config)) -> Self {
        let mut random = Random::new(seed);
        let size_bytes = MIB + random.below(5 * MIB);
        let mut config = match random.one_in(4) {
            true => Config::new_tls(SEED, size_bytes),
            false => Config::new(SEED, size_bytes),
        };
        for _ in 0..1 + random.below(6) {
            config.script.push(random.passing());
        }
        let passing = config.script.clone();
        config.etag = random.etag();
        config.digests = random.digests();
        let mut must_survive = true;
        if random.one_in(4) {
            must_survive = add_fatal(&mut random, &mut config);
        }
        let mut lies = !config.digests.is_empty() && random.one_in(4);
        if lies {
            must_survive = false;
            let times = random.one_of(&[None, Some(1)]);
            config.script.push(Rule { when: random.when(), what: Fault::WrongDigest, times });
        }
        let mut flip = random.one_in(8).then(|| random.below(size_bytes));
        if let Some(offset) = flip {
            config.script.push(Rule::once(random.when(), Fault::FlipByte(offset)));
        }
        let is_offered = config.digests.iter().any(|d| *d != DigestField::ContentDigestSha256);
        let mut is_checked = random.one_in(2) || (flip.is_some() && !is_offered);
        let threads = 1 + u32::try_from(random.below(3)).expect("a small number");
        shape(&mut random, &mut config);
        let mut stops = random.one_of(&[0, 0, 0, 0, 1, 1, 2, 3]);
        let liar = Liar::of(seed, &mut config, passing);
        if let Some(liar) = &liar {
            (must_survive, flip, lies) = (liar.must_survive, liar.flip, false);
            is_checked = liar.is_checked.unwrap_or(is_checked);
            stops = if liar.is_one_run { 0 } else { stops };
        }
        let total = &mut config.shape.total_bytes_per_second;
        if stops > 0 && total.is_none() {
            // Slow enough to be met on its way.
            *total = Some(8 * MIB + random.below(24 * MIB));
        }
        let stopped = (0..stops).map(|at| Leg::new(&mut random, at > 0, Some(size_bytes)));
        let stopped = stopped.collect();
        let last = Leg::new(&mut random, stops > 0, None);
        Self { seed, config, must_survive, flip, lies, liar, is_checked, threads, stopped, last }
    }

    /// Runs it with options that `adapt` has changed.
    pub(crate) fn run(self, adapt: impl FnOnce(&mut Options)) -> Outcome {
        let what = format!("{self:?}");
        let mut site = Site::strict(self.config.clone()).with(|options| {
            options.retries = RETRIES;
            options.retry_wait = Duration::from_millis(50);
            options.connect_timeout = Duration::from_millis(1500);
            options.stall_timeout = Duration::from_millis(600);
            options.journal_interval = Duration::from_millis(20);
            options.checksum = self.is_checked.then(|| checksum(SEED, self.config.size_bytes));
            options.threads = Some(self.threads);
            adapt(options);
        });
        let error = self.run_legs(&mut site, &what).map(|error| error.to_string());
        let fired = site.server.counts().fired;
        let faults = self.config.script.iter().map(|rule| name_of(&rule.what));
        let faults = faults.zip(fired.iter().map(|count| *count > 0)).collect();
        Outcome { error, faults, liar: self.liar.map(|liar| format!("{:?}", liar.kind)) }
    }

    /// The error of a download that did not end well.
    fn run_legs(&self, site: &mut Site, what: &str) -> Option<Error> {
        for leg in self.stopped.iter().chain([&self.last]) {
            leg.prepare(site);
            match leg.run(site, what) {
                Ok(report) => {
                    self.assert_right(site, &report, what);
                    return None;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {
                    assert!(leg.stop_after.is_some(), "nobody has stopped it: {what}");
                    assert_left(site, what);
                }
                Err(error) => {
                    self.assert_clean(site, &error, what);
                    self.recover(site, &error, what);
                    return Some(error);
                }
            }
        }
        unreachable!("nobody stops the last run")
    }

    /// The file is there, whole and alone: all of it the first one's or all of it that which has
    /// taken its place.
    fn assert_right(&self, site: &Site, report: &Report, what: &str) {
        let mut bytes = std::fs::read(site.target()).expect("the file can be read");
        assert_eq!(report.bytes, bytes.len() as u64, "{what}");
        if let Some(offset) = self.flip
            && report.verified.is_none()
            && content::verify(SEED, 0, &bytes) == Err(offset)
        {
            // Nobody has found it, and nobody has said that it is not there.
            bytes[usize::try_from(offset).expect("it is in memory")] ^= 0xff;
        }
        let is = |seed, size_bytes| {
            bytes.len() as u64 == size_bytes && content::verify(seed, 0, &bytes).is_ok()
        };
        let is_first = is(SEED, self.config.size_bytes);
        let is_second = self.replacements().any(|size| is(SEED_REPLACED, size));
        let first_wrong = content::verify(SEED, 0, &bytes);
        let is_right = is_first || (is_second && !self.is_checked);
        assert!(is_right || self.has_no_proof(site), "{first_wrong:?}: {what}");
        let is_verified = report.verified.is_some();
        assert!(is_verified || !self.must_be_verified(), "nothing was compared: {what}");
        assert_eq!(site.names(), [NAME], "{what}");
        site.assert_disconnected();
    }

    /// Whether a digest of the whole file is there on every answer, whatever happens to it.
    fn must_be_verified(&self) -> bool {
        // One member that is none makes a whole dictionary useless (RFC 8941 section 4.2).
        let is_digest = |(name, _): &(String, String)| name == "Repr-Digest";
        let is_whole = self.config.script.iter().all(|rule| match &rule.what {
            Fault::Fields(fields) => !fields.iter().any(is_digest),
            fault => *fault != Fault::NoDigests,
        });
        let counts = |field: &DigestField| match field {
            DigestField::ReprDigestSha256 => is_whole,
            DigestField::DigestSha256 | DigestField::XGoogCrc32c => true,
            // Of a part they say nothing about the file.
            DigestField::ContentDigestSha256 | DigestField::XAmzSha256FullObject => false,
        };
        self.is_checked || self.config.digests.iter().any(counts)
    }

    /// The error is one that may be, and leaves nothing but what a later run can use.
    fn assert_clean(&self, site: &Site, error: &Error, what: &str) {
        let line = assert_line(error);
        let is_mismatch = error.kind() == ErrorKind::ChecksumMismatch;
        assert!(!self.must_survive || (self.flip.is_some() && is_mismatch), "{line}: {what}");
        let is_other = self.is_checked && self.replacements().next().is_some();
        let may_mismatch = self.flip.is_some() || self.lies || self.liar.is_some() || is_other;
        assert!(may_mismatch || !is_mismatch, "{line}: {what}");
        let stats = site.server.counts();
        let fired = self.config.script.iter().zip(&stats.fired).filter(|(_, count)| **count > 0);
        let is_caused = fired.into_iter().any(|(rule, _)| may_cause(&rule.what, error.kind()))
            || (stats.requests_refused > 0 && error.kind() == ErrorKind::Status(503));
        assert!(is_caused, "{line}, and {:?} of these faults happened: {what}", stats.fired);
        assert_left(site, &format!("{line}: {what}"));
    }

    /// Whether no answer that came whole told one version from the other.
    fn has_no_proof(&self, site: &Site) -> bool {
        let Some(proof) = self.liar.as_ref().and_then(|liar| liar.proof.clone()) else {
            return false;
        };
        let log = site.server.stats().log;
        let mut tellers = (1..).zip(&log).filter(|(number, _)| proof.contains(number));
        !tellers.any(|(_, record): (u64, &RequestLog)| {
            matches!(record.status, Some(200 | 206)) && record.is_whole
        })
    }

    /// Once the cause is gone the same command ends well, with whatever was left.
    fn recover(&self, site: &mut Site, error: &Error, what: &str) {
        let passes = self.config.script.iter().all(|rule| rule.times.is_some());
        if !passes {
            return;
        }
        if error.kind() == ErrorKind::Changed {
            // A size that a server made up is that of another file for ever.
            site.options.on_change = OnChange::Restart;
        }
        for _ in 0..RUNS_TO_RECOVER {
            match self.last.run(site, what) {
                Ok(report) => return self.assert_right(site, &report, what),
                Err(error) => self.assert_clean(site, &error, what),
            }
        }
        panic!("it does not recover from {error}: {what}");
    }

    /// Sizes of the file that takes the place of the first one.
    fn replacements(&self) -> impl Iterator<Item = u64> {
        self.config.script.iter().filter_map(|rule| match rule.what {
            Fault::Replaced { size_bytes, .. } => Some(size_bytes),
            _ => None,
        })
    }
}

/// How a schedule ended.
pub(crate) struct Outcome {
    /// What it ended with first, if that was not well.
    error: Option<String>,
    /// The names of its faults, and whether they happened.
    faults: Vec<(String, bool)>,
    liar: Option<String>,
}

/// What all schedules of a run came to.
#[derive(Debug, Default)]
struct Tally {
    ran: u64,
    well: u64,
    failed: Vec<u64>,
    /// How often each fault was drawn, and how often it happened.
    faults: BTreeMap<String, (u64, u64)>,
    /// How many schedules had each liar, and how many of them ended well.
    liars: BTreeMap<String, (u64, u64)>,
}

impl Leg {
    fn new(random: &mut Random, is_later: bool, stop_within: Option<u64>) -> Self {
        let connections = random.one_of(&[None, Some(1), Some(2), Some(5)]);
        let chunk_bytes = random.one_of(&[None, Some(64 * KIB), Some(300 * KIB), Some(MIB)]);
        let journal = !random.one_in(8);
        let is_mirror = random.one_in(4);
        Self {
            stop_after: stop_within.map(|size_bytes| random.below(size_bytes)),
            means: is_later.then_some((connections, chunk_bytes)),
            resume: journal && !random.one_in(8),
            journal,
            path: if is_later && is_mirror { "/mirror/file.bin?token=2" } else { "/file.bin" },
        }
    }

    fn prepare(&self, site: &mut Site) {
        let options = &mut site.options;
        if let Some(means) = self.means {
            (options.connections, options.chunk_bytes) = means;
        }
        (options.resume, options.journal) = (self.resume, self.journal);
        self.path.clone_into(&mut site.path);
    }

    /// Runs the download, until its end or until the server has sent enough.
    fn run(&self, site: &Site, what: &str) -> Result<Report> {
        let download = site.download();
        let stop = download.stop_handle();
        let (is_over, server) = (&AtomicBool::new(false), &site.server);
        let stop_at = self.stop_after.map(|after_bytes| server.body_bytes() + after_bytes);
        thread::scope(|scope| {
            let over = SetOnDrop(is_over);
            if let Some(stop_at) = stop_at {
                scope.spawn(move || {
                    while !is_over.load(Ordering::SeqCst) && server.body_bytes() < stop_at {
                        // sleep: the server does not ring; ends with the download.
                        thread::sleep(Duration::from_millis(1));
                    }
                    stop.stop();
                });
            }
            let result = bounded(what, move || download.run());
            drop(over);
            result
        })
    }
}

/// Says that something is over, in a panic too.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Adds a fault that does not pass; true if the download has to end well all the same.
fn add_fatal(random: &mut Random, config: &mut Config) -> bool {
    let fatal = random.fatal(config.size_bytes);
    if matches!(fatal.what, Fault::Replaced { .. }) {
        // Without a strong tag nobody can tell the two files apart.
        config.etag = EntityTag::FromContent;
    }
    // One stream without a length may be cut anywhere, and nobody can tell.
    config.script.retain(|rule| rule.what != Fault::NoLength);
    let is_survived = matches!(fatal.what, Fault::ExpiringRedirect { .. });
    config.script.push(fatal);
    is_survived
}

/// Nothing under the final name; what is left is what a later run can go on with.
fn assert_left(site: &Site, what: &str) {
    site.assert_unfinished(what);
    site.assert_disconnected();
}

/// Runs `count` schedules, or those the variable names, `at_once` at the same time: most of their
/// time is waiting. Two of three have to end well, and three of five of their faults to happen.
#[allow(clippy::print_stdout, reason = "a failing test shows its seeds and what they came to")]
pub(crate) fn run_all(count: u64, at_once: usize, run: impl Fn(u64) -> Outcome + Sync) {
    let Range { start, end } = seeds(count);
    println!("schedules {start} to {}; one again: {SEED_VARIABLE}=N", end - 1);
    let (next, tally) = (AtomicU64::new(start), Mutex::new(Tally::default()));
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    println!("schedule {seed}");
                    // The others go on, so that all seeds that fail are known at once.
                    let outcome = catch_unwind(AssertUnwindSafe(|| run(seed))).ok();
                    if let Some(error) = outcome.as_ref().and_then(|it| it.error.as_ref()) {
                        println!("schedule {seed} ended with {error}");
                    }
                    tally.lock().expect("counting does not panic").add(seed, outcome);
                }
            });
        }
    });
    let tally = tally.into_inner().expect("counting does not panic");
    tally.print();
    tally.judge(end - start >= count);
}

impl Tally {
    fn add(&mut self, seed: u64, outcome: Option<Outcome>) {
        self.ran += 1;
        let Some(outcome) = outcome else { return self.failed.push(seed) };
        let well = u64::from(outcome.error.is_none());
        self.well += well;
        for (name, happened) in outcome.faults {
            let counts = self.faults.entry(name).or_default();
            *counts = (counts.0 + 1, counts.1 + u64::from(happened));
        }
        if let Some(liar) = outcome.liar {
            let counts = self.liars.entry(liar).or_default();
            *counts = (counts.0 + 1, counts.1 + well);
        }
    }

    #[allow(clippy::print_stdout, reason = "a test says what it covered")]
    fn print(&self) {
        println!("{} of {} schedules ended well", self.well, self.ran);
        for (name, (drawn, happened)) in &self.faults {
            println!("{name} happened {happened} times of {drawn}");
        }
        for (name, (drawn, well)) in &self.liars {
            println!("liars about {name}: {drawn}, of which {well} ended well");
        }
    }

    /// `is_usual`: these are enough schedules to expect something of them together.
    fn judge(&self, is_usual: bool) {
        assert!(self.failed.is_empty(), "these seeds fail: {:?}", self.failed);
        if !is_usual {
            return;
        }
        assert!(self.well >= self.ran * 2 / 3, "{} of {} ended well", self.well, self.ran);
        let drawn: u64 = self.faults.values().map(|(drawn, _)| drawn).sum();
        let happened: u64 = self.faults.values().map(|(_, happened)| happened).sum();
        assert!(happened * 5 >= drawn * 3, "{happened} of {drawn} faults happened");
        let never = self.faults.iter().filter(|(name, (drawn, happened))| {
            // Nobody asks for a head alone.
            *drawn >= DRAWS_TO_HAPPEN && *happened == 0 && *name != "NoHead"
        });
        let never: Vec<&String> = never.map(|(name, _)| name).collect();
        assert!(never.is_empty(), "these faults never happened: {never:?}");
    }
}

/// The first word of a fault.
fn name_of(fault: &Fault) -> String {
    let text = format!("{fault:?}");
    text.split([' ', '(']).next().unwrap_or_default().to_owned()
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
