//! The journal over real files: found again, discarded, removed, continued, refused, and what
//! happens when the part file goes away under it.

use super::*;
use crate::base::limits::BLOCK_BYTES;
use crate::base::{Span, SpanSet};
use crate::digest::crc::crc32c;
use crate::disk::output::{DirectPolicy, Output, Reserved, SyncPolicy};
use crate::io::buffers::Pool;
use crate::io::driver::{Driver, DriverKind};
use crate::io::ours;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

const TOTAL: u64 = 3 * BLOCK_BYTES as u64 + 5000;
/// Never by itself within a test.
const NEVER: BarrierPace = BarrierPace { interval: Duration::from_secs(3600), bytes: u64::MAX };
/// A barrier that is due takes milliseconds; on a busy machine, a second.
const HANG_LIMIT: Duration = Duration::from_secs(30);

struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { folder: tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn reserve(&self) -> Reserved {
        Reserved::new(&self.path("f"), false).unwrap()
    }

    fn find(&self) -> Result<Found> {
        self.reserve().find()
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A run that is stopped after a barrier over the first two blocks.
    fn interrupted(&self) {
        let run = Transfer::start(self.reserve(), Vec::new(), NEVER);
        run.write(0);
        run.write(1);
        assert_eq!(run.journal.barrier().unwrap(), 2 * BLOCK_BYTES as u64);
        run.write(2);
    }
}

/// A transfer as the engine runs it.
struct Transfer {
    journal: Journal,
    book: Arc<Book>,
    output: Arc<Output>,
    reserved: Reserved,
    failures: mpsc::Receiver<Error>,
}

impl Transfer {
    fn start(reserved: Reserved, runs: Vec<Run>, pace: BarrierPace) -> Self {
        let output = Arc::new(reserved.allocate(Some(TOTAL), DirectPolicy::Never).unwrap());
        let book = Arc::new(Book::new(TOTAL, runs));
        let (sender, failures) = mpsc::channel();
        let on_failed = move |error| sender.send(error).unwrap();
        let journal = output.start_journal(identity(), &book, pace, on_failed).unwrap();
        Self { journal, book, output, reserved, failures }
    }

    fn write(&self, block: u64) {
        let span = block_span(block);
        let bytes = content(span);
        let pool = Pool::new(1).unwrap();
        Driver::new(DriverKind::IoUring).unwrap().run(async {
            let mut lease = pool.lease().await;
            lease.append(&bytes);
            self.output.write(lease.freeze(), span.start()).await.unwrap();
        });
        let crc32c = self.book.wants_sums().then(|| crc32c(&bytes));
        self.book.on_written(span, crc32c);
    }
}

fn identity() -> Identity {
    let (url, validator) = ("http://h/f".into(), Some("\"v\"".into()));
    Identity { url, total: TOTAL, validator, digest: Some("sha256:00".into()), cut: None }
}

fn block_span(block: u64) -> Span {
    let start = block * BLOCK_BYTES as u64;
    Span::new(start, (start + BLOCK_BYTES as u64).min(TOTAL))
}

fn content(span: Span) -> Vec<u8> {
    (span.start()..span.end()).map(|at| ((at * 7) >> 5).to_le_bytes()[0]).collect()
}

fn resumable(found: Result<Found>) -> Saved {
    match found.unwrap() {
        Found::Resumable(saved) => saved,
        other => panic!("{other:?}"),
    }
}

fn spans(saved: &Saved) -> SpanSet {
    let mut spans = SpanSet::new();
    saved.runs.iter().for_each(|run| _ = spans.insert(run.span));
    spans
}

#[test]
fn what_a_barrier_recorded_is_found_again_and_continued() {
    let bench = Bench::new();
    bench.interrupted();
    assert_eq!(bench.names(), ["f.part", "f.ringhaul"]);
    let reserved = bench.reserve();
    let saved = resumable(reserved.find());
    assert_eq!((&saved.identity, &saved.note), (&identity(), &None));
    assert_eq!(spans(&saved).iter().collect::<Vec<_>>(), [Span::new(0, 2 << 20)]);
    // Twice more, with several barriers: both slots are used, and an older journal is replaced.
    let run = Transfer::start(reserved, saved.runs, NEVER);
    assert_eq!(run.journal.barrier().unwrap(), 2 << 20, "nothing is new");
    run.write(3);
    assert_eq!(run.journal.barrier().unwrap(), TOTAL - (1 << 20));
    run.book.forget(block_span(0));
    assert_eq!(run.journal.barrier().unwrap(), TOTAL - (2 << 20));
    drop(run);
    let reserved = bench.reserve();
    let saved = resumable(reserved.find());
    let run = Transfer::start(reserved, saved.runs, NEVER);
    for block in [0, 2] {
        run.write(block);
        run.journal.barrier().unwrap();
    }
    assert_eq!(run.book.crc32c(), Some(crc32c(&content(Span::new(0, TOTAL)))));
    assert_eq!(spans(&resumable(run.reserved.find())).covered(), TOTAL);
    run.output.commit(TOTAL, SyncPolicy::Always).unwrap();
    drop(run);
    assert_eq!(bench.names(), ["f"], "the journal goes with the part file");
    assert_eq!(std::fs::read(bench.path("f")).unwrap(), content(Span::new(0, TOTAL)));
}

#[test]
fn without_a_barrier_there_is_no_journal() {
    let bench = Bench::new();
    let run = Transfer::start(bench.reserve(), Vec::new(), NEVER);
    run.write(0);
    drop(run);
    assert!(bench.names().is_empty());
    assert_eq!(bench.find().unwrap(), Found::Nothing);
}

#[test]
fn time_and_bytes_make_barriers() {
    for pace in [
        BarrierPace { interval: Duration::from_millis(5), bytes: u64::MAX },
        BarrierPace { interval: Duration::from_secs(3600), bytes: BLOCK_BYTES as u64 },
    ] {
        let bench = Bench::new();
        let run = Transfer::start(bench.reserve(), Vec::new(), pace);
        run.write(1);
        let began = Instant::now();
        while !bench.path("f.ringhaul").exists() {
            assert!(began.elapsed() < HANG_LIMIT, "no barrier is made: {pace:?}");
            // sleep: the file system does not ring.
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(run);
        assert_eq!(spans(&resumable(bench.find())).first(), Some(block_span(1)));
    }
}

#[test]
fn to_start_over_removes_the_journal_first() {
    let bench = Bench::new();
    bench.interrupted();
    let run = Transfer::start(bench.reserve(), Vec::new(), NEVER);
    run.reserved.discard().unwrap();
    assert_eq!(run.reserved.find().unwrap(), Found::Nothing);
    assert_eq!(std::fs::metadata(bench.path("f.part")).unwrap().len(), 0);
    // The journal that ran meanwhile does not come back.
    run.book.on_written(block_span(0), Some(1));
    assert_eq!(run.journal.barrier().unwrap(), 0);
    assert_eq!(bench.names(), ["f.part"]);
    drop(run);
    assert!(bench.names().is_empty());
}

#[test]
fn a_journal_that_cannot_be_read_is_left_alone() {
    let bench = Bench::new();
    bench.interrupted();
    let (journal, part) = (bench.path("f.ringhaul"), bench.path("f.part"));
    let good = std::fs::read(&journal).unwrap();
    let mut newer = good.clone();
    newer[16] = 9;
    let mut damaged = good.clone();
    damaged[40] ^= 1;
    for (bytes, says, to_discard) in [
        (&newer[..], "version 9 of the format, and this ringhaul reads 1 and 3", true),
        (&damaged[..], "f.ringhaul is damaged", true),
        (&good[..good.len() - 1], "f.ringhaul is damaged", true),
        (&good[..3], "f.ringhaul is damaged", true),
        (&[][..], "f.ringhaul is damaged", true),
        (&b"my notes"[..], "f.ringhaul is not a journal of ringhaul", false),
    ] {
        std::fs::write(&journal, bytes).unwrap();
        let reserved = bench.reserve();
        let error = reserved.find().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TargetUnusable);
        assert!(error.to_string().contains(says), "{error}");
        drop(reserved);
        assert_eq!(std::fs::read(&journal).unwrap(), bytes);
        assert!(part.exists(), "nothing is deleted: {says}");
        if !to_discard {
            let error = bench.reserve().discard().unwrap_err();
            assert!(error.to_string().contains("rename it"), "{error}");
            assert!(journal.exists() && part.exists());
        }
    }
    std::fs::write(&journal, damaged).unwrap();
    bench.reserve().discard().unwrap();
    assert!(bench.names().is_empty());
}

#[test]
fn links_and_folders_are_no_journals() {
    let bench = Bench::new();
    bench.interrupted();
    std::fs::rename(bench.path("f.ringhaul"), bench.path("real")).unwrap();
    std::os::unix::fs::symlink("real", bench.path("f.ringhaul")).unwrap();
    let error = bench.find().unwrap_err();
    assert!(error.to_string().contains("not a journal"), "{error}");
    std::fs::remove_file(bench.path("f.ringhaul")).unwrap();
    std::fs::create_dir(bench.path("f.ringhaul")).unwrap();
    let error = bench.find().unwrap_err();
    assert!(error.to_string().contains("not a journal"), "{error}");
}

#[test]
fn one_torn_slot_is_normal() {
    let bench = Bench::new();
    let run = Transfer::start(bench.reserve(), Vec::new(), NEVER);
    for block in 0..2 {
        run.write(block);
        run.journal.barrier().unwrap();
    }
    drop(run);
    let mut bytes = std::fs::read(bench.path("f.ringhaul")).unwrap();
    let second_slot = (bytes.len() - 4096) / 2 + 4096;
    bytes[second_slot + 21] ^= 1;
    std::fs::write(bench.path("f.ringhaul"), bytes).unwrap();
    assert_eq!(spans(&resumable(bench.find())).covered(), 1 << 20);
}

#[test]
fn a_journal_without_its_part_file_is_useless() {
    let bench = Bench::new();
    bench.interrupted();
    std::fs::remove_file(bench.path("f.part")).unwrap();
    let Found::Useless(why) = bench.find().unwrap() else { panic!() };
    assert_eq!(why, "the part file is gone: starting over");
    assert_eq!(bench.names(), ["f.ringhaul"], "an empty part file is of no use");
}

#[test]
fn another_part_file_is_read_before_it_is_believed() {
    let bench = Bench::new();
    bench.interrupted();
    let part = bench.path("f.part");
    let mut bytes = std::fs::read(&part).unwrap();
    bytes[(1 << 20) + 3] ^= 1;
    std::fs::remove_file(&part).unwrap();
    std::fs::write(&part, &bytes).unwrap();
    // The first file's inode may be had again at once: another size tells as well.
    std::fs::OpenOptions::new().write(true).open(&part).unwrap().set_len(TOTAL + 1).unwrap();
    let saved = resumable(bench.find());
    assert_eq!(spans(&saved).iter().collect::<Vec<_>>(), [block_span(0)]);
    let note = saved.note.unwrap();
    assert!(
        note.contains("f.part") && note.ends_with("1.00 MiB of 2.00 MiB checked out"),
        "{note}"
    );
}

#[test]
fn what_the_journal_does_not_describe_is_not_ours() {
    let bench = Bench::new();
    bench.interrupted();
    let part = bench.path("f.part");
    // Of the same size, and perhaps with the same inode, which is free again.
    std::fs::remove_file(&part).unwrap();
    let theirs = vec![7; usize::try_from(TOTAL).unwrap()];
    std::fs::write(&part, &theirs).unwrap();
    let error = Reserved::new(&bench.path("f"), false).unwrap_err();
    assert!(error.to_string().contains("nothing shows that ringhaul made it"), "{error}");
    assert_eq!(std::fs::read(&part).unwrap(), theirs);
    assert_eq!(bench.names(), ["f.part", "f.ringhaul"]);
    let reserved = Reserved::new(&bench.path("f"), true).unwrap();
    assert!(matches!(reserved.find().unwrap(), Found::Useless(_)));
}

/// As after a copy, or where a file system keeps no marks.
#[test]
fn a_part_file_without_its_mark_is_ours_by_what_the_journal_describes() {
    let bench = Bench::new();
    bench.interrupted();
    let part = std::fs::File::open(bench.path("f.part")).unwrap();
    ours::unmark(&part).unwrap();
    assert_eq!(spans(&resumable(bench.find())).covered(), 2 << 20);
    assert!(ours::is_marked(&part.metadata().unwrap()), "it has its mark again");
    ours::unmark(&part).unwrap();
    // One that is damaged describes nothing.
    let journal = bench.path("f.ringhaul");
    std::fs::File::options().write(true).open(&journal).unwrap().set_len(100).unwrap();
    let error = Reserved::new(&bench.path("f"), false).unwrap_err();
    assert!(error.to_string().contains("nothing shows that ringhaul made it"), "{error}");
    assert_eq!(bench.names(), ["f.part", "f.ringhaul"]);
}

#[test]
fn a_journal_with_two_names_is_refused() {
    let bench = Bench::new();
    bench.interrupted();
    std::fs::hard_link(bench.path("f.ringhaul"), bench.path("other")).unwrap();
    let before = std::fs::read(bench.path("other")).unwrap();
    for result in [bench.find().map(drop), bench.reserve().discard()] {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TargetUnusable);
        assert!(error.to_string().contains("f.ringhaul is not a journal"), "{error}");
        assert!(error.to_string().contains("it has 2 hard links"), "{error}");
    }
    assert_eq!(std::fs::read(bench.path("other")).unwrap(), before);
    std::fs::remove_file(bench.path("other")).unwrap();
    assert_eq!(spans(&resumable(bench.find())).covered(), 2 << 20);
}

/// As on a file system where a journal takes its name by a link and an unlink.
#[test]
fn a_journal_that_a_kill_left_with_both_of_its_names_counts() {
    let bench = Bench::new();
    bench.interrupted();
    std::fs::hard_link(bench.path("f.ringhaul"), bench.path("f.ringhaul~")).unwrap();
    assert_eq!(spans(&resumable(bench.find())).covered(), 2 << 20);
    let reserved = bench.reserve();
    reserved.discard().unwrap();
    assert_eq!(bench.names(), ["f.part"]);
}

/// The name a journal may need while it is made, and what a killed run leaves there.
#[test]
fn a_journal_in_the_making_is_removed_and_what_is_none_is_not() {
    let bench = Bench::new();
    let in_making = bench.path("f.ringhaul~");
    for torn in [&b""[..], b"ringhaul", b"ringhaul-journal and more"] {
        bench.interrupted();
        std::fs::write(&in_making, torn).unwrap();
        let reserved = bench.reserve();
        let saved = resumable(reserved.find());
        let run = Transfer::start(reserved, saved.runs, NEVER);
        run.write(2);
        assert_eq!(run.journal.barrier().unwrap(), 3 << 20);
        assert!(!in_making.exists());
        std::fs::write(&in_making, torn).unwrap();
        run.reserved.discard().unwrap();
        assert!(!in_making.exists());
    }
    bench.interrupted();
    std::fs::write(&in_making, "my notes").unwrap();
    let reserved = bench.reserve();
    let saved = resumable(reserved.find());
    let run = Transfer::start(reserved, saved.runs, NEVER);
    run.write(2);
    let error = run.journal.barrier().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TargetUnusable);
    assert!(error.to_string().contains("f.ringhaul~ is not a journal"), "{error}");
    run.reserved.discard().unwrap();
    drop(run);
    assert_eq!(bench.names(), ["f.ringhaul~"], "in nobody's way it stays");
    assert_eq!(std::fs::read(&in_making).unwrap(), b"my notes");
}

#[test]
fn a_part_file_that_goes_away_ends_the_journal() {
    for (fate, harm) in [
        (
            "deleted or moved",
            &(|part: &PathBuf| std::fs::remove_file(part)) as &dyn Fn(&PathBuf) -> _,
        ),
        ("replaced", &|part| {
            std::fs::rename(part, part.with_extension("x"))
                .and_then(|()| std::fs::write(part, "theirs"))
        }),
        ("truncated", &|part| std::fs::File::options().write(true).open(part)?.set_len(4096)),
    ] {
        let bench = Bench::new();
        let run = Transfer::start(bench.reserve(), Vec::new(), NEVER);
        run.write(0);
        run.journal.barrier().unwrap();
        let recorded = std::fs::read(bench.path("f.ringhaul")).unwrap();
        harm(&bench.path("f.part")).unwrap();
        run.write(1);
        if fate == "truncated" {
            harm(&bench.path("f.part")).unwrap();
        }
        for _ in 0..2 {
            let error = run.journal.barrier().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::DiskIo);
            let said = error.to_string();
            assert!(said.contains(&format!("f.part was {fate} while it was written")), "{said}");
        }
        assert_eq!(run.failures.iter().count(), 1, "told once");
        assert_eq!(std::fs::read(bench.path("f.ringhaul")).unwrap(), recorded);
        assert_eq!(
            run.output.commit(TOTAL, SyncPolicy::Always).unwrap_err().kind(),
            ErrorKind::DiskIo
        );
        assert!(!bench.path("f").exists());
        drop(run);
        assert!(
            fate != "replaced" || bench.path("f.part").exists(),
            "theirs is not ours to remove"
        );
    }
}

#[test]
fn a_folder_that_goes_away_takes_the_part_file_along() {
    let bench = Bench::new();
    let reserved = bench.reserve();
    let output = reserved.allocate(Some(TOTAL), DirectPolicy::Never).unwrap();
    let mut files = Files::new(output.file().unwrap().place().clone());
    std::fs::remove_dir_all(bench.folder.path()).unwrap();
    let error = files.sync_folder().unwrap_err();
    assert!(error.to_string().contains("f.part was deleted or moved"), "{error}");
}

#[test]
fn a_journal_that_appears_meanwhile_is_not_replaced() {
    let bench = Bench::new();
    let run = Transfer::start(bench.reserve(), Vec::new(), NEVER);
    std::fs::write(bench.path("f.ringhaul"), "theirs").unwrap();
    run.write(0);
    run.journal.barrier().unwrap_err();
    assert_eq!(std::fs::read(bench.path("f.ringhaul")).unwrap(), b"theirs");
}

#[test]
fn what_takes_the_name_of_an_earlier_journal_is_not_replaced() {
    let bench = Bench::new();
    bench.interrupted();
    let reserved = bench.reserve();
    let saved = resumable(reserved.find());
    let run = Transfer::start(reserved, saved.runs, NEVER);
    std::fs::write(bench.path("theirs"), "theirs").unwrap();
    std::fs::rename(bench.path("theirs"), bench.path("f.ringhaul")).unwrap();
    run.write(2);
    let error = run.journal.barrier().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TargetUnusable, "{error}");
    assert_eq!(std::fs::read(bench.path("f.ringhaul")).unwrap(), b"theirs");
}

#[test]
fn a_deleted_journal_is_made_anew_and_a_replaced_one_is_not() {
    let bench = Bench::new();
    let run = Transfer::start(bench.reserve(), Vec::new(), NEVER);
    let journal = bench.path("f.ringhaul");
    run.write(0);
    run.journal.barrier().unwrap();
    std::fs::remove_file(&journal).unwrap();
    run.write(1);
    run.journal.barrier().unwrap();
    assert_eq!(run.reserved.kept_bytes(), 2 * BLOCK_BYTES as u64);
    assert!(matches!(run.reserved.find(), Ok(Found::Resumable(_))));
    std::fs::remove_file(&journal).unwrap();
    std::fs::write(&journal, "theirs").unwrap();
    run.write(2);
    let error = run.journal.barrier().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TargetUnusable, "{error}");
    assert_eq!(std::fs::read(&journal).unwrap(), b"theirs");
}

/// To look into it takes a descriptor, and connections may have all of them.
#[test]
fn a_journal_of_this_run_is_removed_without_a_look_into_it() {
    for is_replaced in [false, true] {
        let bench = Bench::new();
        let run = Transfer::start(bench.reserve(), Vec::new(), NEVER);
        (0..4).for_each(|block| run.write(block));
        assert_eq!(run.journal.barrier().unwrap(), TOTAL);
        let journal = bench.path("f.ringhaul");
        if is_replaced {
            std::fs::remove_file(&journal).unwrap();
        }
        std::fs::write(&journal, "what is no journal of ours").unwrap();
        run.output.commit(TOTAL, SyncPolicy::Always).unwrap();
        let left: &[&str] = if is_replaced { &["f", "f.ringhaul"] } else { &["f"] };
        assert_eq!(bench.names(), left);
    }
}

#[test]
fn a_second_journal_records_what_came_after_the_first() {
    let bench = Bench::new();
    let run = Transfer::start(bench.reserve(), Vec::new(), NEVER);
    run.write(0);
    run.journal.barrier().unwrap();
    run.write(1);
    let Transfer { journal, book, output, reserved, .. } = run;
    drop(journal);
    assert_eq!(reserved.kept_bytes(), BLOCK_BYTES as u64);
    let journal = output.start_journal(identity(), &book, NEVER, |_| ()).unwrap();
    assert_eq!(journal.barrier().unwrap(), 2 * BLOCK_BYTES as u64);
    assert_eq!(reserved.kept_bytes(), 2 * BLOCK_BYTES as u64);
}
