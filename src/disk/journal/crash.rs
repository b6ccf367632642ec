//! Crash consistency: barriers are recorded, and the power is cut behind every step, with random
//! parts of what no sync had reached. Whatever the journal then calls durable must be right, and
//! all bytes that a finished barrier has recorded must be there. Later generations go on from such
//! disks.

use super::barrier::{Barrier, Layer, discard};
use super::format::{self, Header, PartId};
use super::load::{Part, judge};
use super::{Book, Found, Identity};
use crate::base::{Result, Span, SpanSet};
use crate::digest::crc::crc32c;
use crate::sim::rng::Rng;
use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

const PAGE_BYTES: usize = 4096;
const TOTAL: u64 = 24 * PAGE_BYTES as u64 + 777;
/// What of an unsynced write is lost or kept as a whole: pages of the part file; of the journal,
/// whose slots fit into one page here, less than any disk tears.
const JOURNAL_TEAR_BYTES: usize = 64;
const GENERATIONS: u32 = 3;
const ACTIONS: u32 = 12;
const STATES_PER_STEP: u32 = 3;
const SEEDS: u64 = 60;

/// Ways to get the order wrong, each of which the checker has to notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mistake {
    DataNeverSynced,
    DataSyncedAfterTheRecord,
    NamedBeforeSynced,
    AlwaysTheSameSlot,
    SlotNeverSynced,
    FolderNeverSynced,
    ForgottenWithoutABarrier,
}

enum Step {
    WritePart {
        offset: usize,
        bytes: Vec<u8>,
    },
    SyncPart,
    MakeJournal(Vec<u8>),
    WriteJournal {
        offset: usize,
        bytes: Vec<u8>,
    },
    SyncJournal,
    NameJournal,
    RemoveJournal,
    SyncFolder,
    /// From here on these bytes have to be found after a crash.
    Promise(SpanSet),
}

/// What is on a disk after a crash.
#[derive(Clone)]
struct Disk {
    part: Vec<u8>,
    inode: u64,
    journal: Option<Vec<u8>>,
}

/// The steps of one generation, and the process that makes them.
struct Tape {
    steps: Vec<Step>,
    book: Arc<Book>,
    /// Of the file on the server; its bytes are those of `content(version)`.
    version: u32,
    rng: Rng,
    mistake: Option<Mistake>,
    named: bool,
    /// The last promise.
    promised: SpanSet,
    /// Nobody else writes at the moment.
    quiet: bool,
}

#[derive(Clone)]
struct Recorder(Rc<RefCell<Tape>>);

impl Layer for Recorder {
    fn check_part(&mut self, _: u64) -> Result<()> {
        self.0.borrow_mut().write_meanwhile();
        Ok(())
    }

    fn sync_part(&mut self) -> Result<()> {
        use Mistake::{DataNeverSynced, DataSyncedAfterTheRecord};
        let mut tape = self.0.borrow_mut();
        if !matches!(tape.mistake, Some(DataNeverSynced | DataSyncedAfterTheRecord)) {
            tape.step(Step::SyncPart);
        }
        Ok(())
    }

    fn sum_part(&mut self, span: Span) -> Result<u32> {
        Ok(crc32c(&content(self.0.borrow().version)[range(span)]))
    }

    fn make_journal(&mut self, image: &[u8]) -> Result<()> {
        let mut tape = self.0.borrow_mut();
        tape.named = false;
        tape.step(Step::MakeJournal(image.to_vec()));
        Ok(())
    }

    fn is_journal_named(&mut self) -> Result<bool> {
        Ok(true)
    }

    fn write_journal(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let mut tape = self.0.borrow_mut();
        let right = usize::try_from(offset).unwrap();
        // The header fits into the first page.
        let same = tape.mistake == Some(Mistake::AlwaysTheSameSlot);
        let offset = if same { PAGE_BYTES } else { right };
        tape.step(Step::WriteJournal { offset, bytes: bytes.to_vec() });
        Ok(())
    }

    fn sync_journal(&mut self) -> Result<()> {
        let mut tape = self.0.borrow_mut();
        let mistake = tape.mistake;
        let skipped = match mistake {
            Some(Mistake::NamedBeforeSynced) => !tape.named,
            Some(Mistake::SlotNeverSynced) => tape.named,
            _ => false,
        };
        if !skipped {
            tape.step(Step::SyncJournal);
        }
        if mistake == Some(Mistake::DataSyncedAfterTheRecord) {
            tape.step(Step::SyncPart);
        }
        Ok(())
    }

    fn name_journal(&mut self) -> Result<()> {
        let mut tape = self.0.borrow_mut();
        tape.named = true;
        tape.step(Step::NameJournal);
        if tape.mistake == Some(Mistake::NamedBeforeSynced) {
            tape.step(Step::SyncJournal);
        }
        Ok(())
    }

    fn sync_folder(&mut self) -> Result<()> {
        let mut tape = self.0.borrow_mut();
        if tape.mistake != Some(Mistake::FolderNeverSynced) {
            tape.step(Step::SyncFolder);
        }
        Ok(())
    }

    fn remove_journal(&mut self) -> Result<()> {
        let mut tape = self.0.borrow_mut();
        tape.promise(SpanSet::new());
        tape.step(Step::RemoveJournal);
        Ok(())
    }

    fn empty_part(&mut self) -> Result<()> {
        let bytes = vec![0; usize::try_from(TOTAL).unwrap()];
        self.0.borrow_mut().step(Step::WritePart { offset: 0, bytes });
        Ok(())
    }
}

impl Tape {
    /// Other threads go on writing while a step is made: before it and after it.
    fn step(&mut self, step: Step) {
        self.write_meanwhile();
        self.steps.push(step);
        self.write_meanwhile();
    }

    fn promise(&mut self, spans: SpanSet) {
        self.promised = spans.clone();
        self.steps.push(Step::Promise(spans));
    }

    fn write_meanwhile(&mut self) {
        if !self.quiet && self.rng.chance(0.2) {
            self.write_block();
        }
    }

    /// Writes a block somewhere where nothing is yet.
    fn write_block(&mut self) {
        let pages = u32::try_from(TOTAL.div_ceil(PAGE_BYTES as u64)).unwrap();
        let first = u64::from(self.rng.below(pages)) * PAGE_BYTES as u64;
        let len = u64::from(self.rng.below(3) + 1) * PAGE_BYTES as u64;
        let wanted = Span::new(first, (first + len).min(TOTAL));
        if let Some(span) = self.book.written().first_gap(wanted) {
            let bytes = self.write(span, self.version);
            let crc32c = self.rng.chance(0.7).then(|| crc32c(&bytes));
            self.book.on_written(span, crc32c);
        }
    }

    fn write(&mut self, span: Span, version: u32) -> Vec<u8> {
        let bytes = content(version)[range(span)].to_vec();
        let offset = usize::try_from(span.start()).unwrap();
        self.steps.push(Step::WritePart { offset, bytes: bytes.clone() });
        bytes
    }
}

/// What one file holds, and what of it no sync has reached.
#[derive(Default)]
struct Volatile {
    durable: Vec<u8>,
    pending: Vec<(usize, Vec<u8>)>,
}

impl Volatile {
    fn sync(&mut self) {
        for (offset, bytes) in self.pending.drain(..) {
            overlay(&mut self.durable, offset, &bytes);
        }
    }

    /// Each piece of each unsynced write is there or not.
    fn crash(&self, rng: &mut Rng, tear_bytes: usize) -> Vec<u8> {
        let mut left = self.durable.clone();
        let kept = [0.0, 0.1, 0.5, 0.9, 1.0][rng.below(5) as usize];
        for (offset, bytes) in &self.pending {
            for (index, piece) in bytes.chunks(tear_bytes).enumerate() {
                if rng.chance(kept) {
                    overlay(&mut left, offset + index * tear_bytes, piece);
                }
            }
        }
        left
    }
}

/// A running machine: replays steps, and can be cut off.
struct Machine {
    part: Volatile,
    inode: u64,
    journals: Vec<Volatile>,
    /// Which journal has the name: durably, and what it was changed to since.
    name: Option<usize>,
    names_pending: Vec<Option<usize>>,
    promised: SpanSet,
}

impl Machine {
    fn new(disk: &Disk) -> Self {
        let volatile = |durable: &Vec<u8>| Volatile { durable: durable.clone(), pending: vec![] };
        Self {
            part: volatile(&disk.part),
            inode: disk.inode,
            journals: disk.journal.iter().map(volatile).collect(),
            name: disk.journal.as_ref().map(|_| 0),
            names_pending: Vec::new(),
            promised: SpanSet::new(),
        }
    }

    fn replay(&mut self, step: &Step) {
        match step {
            Step::WritePart { offset, bytes } => self.part.pending.push((*offset, bytes.clone())),
            Step::SyncPart => self.part.sync(),
            Step::MakeJournal(image) => {
                self.journals.push(Volatile { durable: vec![], pending: vec![(0, image.clone())] });
            }
            Step::WriteJournal { offset, bytes } => {
                self.journals.last_mut().unwrap().pending.push((*offset, bytes.clone()));
            }
            Step::SyncJournal => self.journals.last_mut().unwrap().sync(),
            Step::NameJournal => self.names_pending.push(Some(self.journals.len() - 1)),
            Step::RemoveJournal => self.names_pending.push(None),
            Step::SyncFolder => {
                self.name = self.names_pending.drain(..).next_back().unwrap_or(self.name);
            }
            Step::Promise(spans) => self.promised = spans.clone(),
        }
    }

    fn crash(&self, rng: &mut Rng) -> Disk {
        let changes = u32::try_from(self.names_pending.len()).unwrap();
        let reached = rng.below(changes + 1) as usize;
        let name = if reached == 0 { self.name } else { self.names_pending[reached - 1] };
        Disk {
            part: self.part.crash(rng, PAGE_BYTES),
            inode: self.inode,
            journal: name.map(|name| self.journals[name].crash(rng, JOURNAL_TEAR_BYTES)),
        }
    }

    /// What a run finds on `disk`, or what is wrong with it.
    fn check(&self, disk: &Disk) -> Result<Found, String> {
        let found = disk.load()?;
        let mut durable = SpanSet::new();
        if let Found::Resumable(saved) = &found {
            let version = saved.identity.validator.as_ref().unwrap().parse().unwrap();
            for run in &saved.runs {
                let bytes = &disk.part[range(run.span)];
                if bytes != &content(version)[range(run.span)] || crc32c(bytes) != run.crc32c {
                    return Err(format!("{:?} is called durable and is not right", run.span));
                }
                durable.insert(run.span);
            }
        }
        let lost = self.promised.iter().find(|promised| !durable.covers(*promised));
        lost.map_or(Ok(found), |lost| Err(format!("{lost:?} was promised and is not there")))
    }
}

impl Disk {
    fn load(&self) -> Result<Found, String> {
        let Some(journal) = &self.journal else { return Ok(Found::Nothing) };
        let decoded = format::decode(journal).map_err(|flaw| format!("the journal is {flaw:?}"))?;
        judge(decoded, self, Path::new("f.part")).map_err(|e| e.to_string())
    }

    fn part_id(&self) -> PartId {
        PartId { device: 1, inode: self.inode }
    }
}

impl Part for Disk {
    fn identify(&self) -> io::Result<(PartId, u64)> {
        Ok((self.part_id(), self.part.len() as u64))
    }

    fn crc32c(&self, span: Span) -> io::Result<u32> {
        Ok(crc32c(&self.part[range(span)]))
    }
}

fn range(span: Span) -> std::ops::Range<usize> {
    usize::try_from(span.start()).unwrap()..usize::try_from(span.end()).unwrap()
}

fn overlay(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    file.resize(file.len().max(offset + bytes.len()), 0);
    file[offset..offset + bytes.len()].copy_from_slice(bytes);
}

/// The bytes of one version: no page is like another's.
fn content(version: u32) -> Rc<Vec<u8>> {
    thread_local! {
        static VERSIONS: RefCell<Vec<Rc<Vec<u8>>>> = const { RefCell::new(Vec::new()) };
    }
    VERSIONS.with_borrow_mut(|versions| {
        while versions.len() <= version as usize {
            let mut rng = Rng::new(versions.len() as u64, 0);
            let words = (0..TOTAL.div_ceil(8)).flat_map(|_| rng.next_u64().to_le_bytes());
            versions.push(Rc::new(words.take(usize::try_from(TOTAL).unwrap()).collect()));
        }
        versions[version as usize].clone()
    })
}

fn new_barrier(recorder: &Recorder, disk: &Disk) -> Barrier<Recorder> {
    let mut tape = recorder.0.borrow_mut();
    let identity = Identity {
        url: "https://h/f".into(),
        total: TOTAL,
        validator: Some(tape.version.to_string()),
        digest: None,
        cut: None,
    };
    let id = tape.rng.next_u64();
    let header = Header::with_places(id, identity, disk.part_id(), 100).unwrap();
    drop(tape);
    Barrier::new(recorder.clone(), header)
}

fn run_barrier(recorder: &Recorder, barrier: &mut Barrier<Recorder>) {
    let (book, before) = {
        let tape = recorder.0.borrow();
        (tape.book.clone(), tape.book.written())
    };
    let recorded = barrier.run(book.snapshot()).unwrap();
    recorded.summed.iter().for_each(|&run| book.on_summed(run));
    recorder.0.borrow_mut().promise(before);
}

/// One run of the program over `disk`, which ends wherever; its steps.
fn record(disk: &Disk, rng: &mut Rng, mistake: Option<Mistake>) -> Vec<Step> {
    let found = disk.load().expect("checked before");
    let (version, runs) = match &found {
        Found::Resumable(saved) => {
            (saved.identity.validator.as_ref().unwrap().parse().unwrap(), saved.runs.clone())
        }
        Found::Useless(_) | Found::Nothing => (rng.below(5), Vec::new()),
    };
    let book = Arc::new(Book::new(TOTAL, runs));
    let tape = Tape {
        steps: Vec::new(),
        book,
        version,
        rng: Rng::new(rng.next_u64(), 1),
        mistake,
        named: false,
        promised: SpanSet::new(),
        quiet: false,
    };
    let recorder = Recorder(Rc::new(RefCell::new(tape)));
    recorder.0.borrow_mut().promise(match &found {
        Found::Resumable(saved) => Book::new(TOTAL, saved.runs.clone()).written(),
        Found::Useless(_) | Found::Nothing => SpanSet::new(),
    });
    if matches!(found, Found::Useless(_)) {
        start_over(&recorder);
    }
    let mut barrier = new_barrier(&recorder, disk);
    for _ in 0..ACTIONS {
        match rng.below(12) {
            0..=7 => recorder.0.borrow_mut().write_block(),
            8 | 9 => run_barrier(&recorder, &mut barrier),
            10 => forget(&recorder, &mut barrier, rng),
            _ => {
                // The file has changed on the server: everything anew.
                start_over(&recorder);
                recorder.0.borrow_mut().version += 1;
                barrier = new_barrier(&recorder, disk);
            }
        }
    }
    std::mem::take(&mut recorder.0.borrow_mut().steps)
}

/// Nobody may write before the journal is gone.
fn start_over(recorder: &Recorder) {
    recorder.0.borrow_mut().quiet = true;
    discard(&mut recorder.clone()).unwrap();
    recorder.0.borrow_mut().quiet = false;
    recorder.0.borrow_mut().book = Arc::new(Book::new(TOTAL, Vec::new()));
}

/// Bytes turn out to be wrong: they are forgotten, durably, and others are written over them.
fn forget(recorder: &Recorder, barrier: &mut Barrier<Recorder>, rng: &mut Rng) {
    let start = u64::from(rng.below(20)) * PAGE_BYTES as u64;
    let mut tape = recorder.0.borrow_mut();
    let forgotten = tape.book.forget(Span::with_len(start, 2 * PAGE_BYTES as u64));
    let mut left = tape.promised.clone();
    forgotten.iter().for_each(|span| _ = left.remove(span));
    tape.promise(left);
    let told = tape.mistake != Some(Mistake::ForgottenWithoutABarrier);
    drop(tape);
    if told {
        run_barrier(recorder, barrier);
    }
    let mut tape = recorder.0.borrow_mut();
    let version = tape.version + 1;
    let written = tape.book.written();
    for span in forgotten.iter().filter(|span| written.first_gap(*span) == Some(*span)) {
        tape.write(span, version);
    }
}

/// All states of all steps of all generations of one seed; how many, or what was wrong.
fn explore(seed: u64, mistake: Option<Mistake>) -> Result<u32, String> {
    let mut rng = Rng::new(seed, 0);
    let part = vec![0; usize::try_from(TOTAL).unwrap()];
    let mut disk = Disk { part, inode: 1, journal: None };
    let mut states = 0;
    for generation in 0..GENERATIONS {
        let steps = record(&disk, &mut rng, mistake);
        let mut machine = Machine::new(&disk);
        let last = rng.below(u32::try_from(steps.len()).unwrap()) as usize;
        for (index, step) in steps.iter().enumerate() {
            machine.replay(step);
            for _ in 0..STATES_PER_STEP {
                let crashed = machine.crash(&mut rng);
                machine.check(&crashed).map_err(|what| {
                    format!("seed {seed}, generation {generation}, step {index}: {what}")
                })?;
                states += 1;
                if index == last {
                    disk = crashed;
                }
            }
        }
        if rng.chance(0.2) {
            // Copied to another place: to be read back before it is believed.
            disk.inode += 1;
        }
    }
    Ok(states)
}

#[test]
fn what_is_called_durable_is_right_after_any_crash() {
    let mut states = 0;
    for seed in 0..SEEDS {
        states += explore(seed, None).unwrap_or_else(|what| panic!("{what}"));
    }
    assert!(states >= 10_000, "{states} states");
}

#[test]
fn a_wrong_order_is_noticed() {
    for mistake in [
        Mistake::DataNeverSynced,
        Mistake::DataSyncedAfterTheRecord,
        Mistake::NamedBeforeSynced,
        Mistake::AlwaysTheSameSlot,
        Mistake::SlotNeverSynced,
        Mistake::FolderNeverSynced,
        Mistake::ForgottenWithoutABarrier,
    ] {
        let noticed = (0..SEEDS).find_map(|seed| explore(seed, Some(mistake)).err());
        assert!(noticed.is_some(), "{mistake:?} goes unnoticed");
    }
}
