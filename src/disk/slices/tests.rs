//! Slices over real files: fetched side by side, again, twice, of other files; and joined.

use super::*;
use crate::digest::crc::crc32c;
use crate::digest::{Algorithm, Digest};
use crate::disk::journal::{BarrierPace, Book, Cut, Found, Journal, Saved};
use crate::disk::output::{DirectPolicy, Output, Reserved, SyncPolicy};
use crate::disk::slices::joining::{Joining, Locked, Named};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

const BLOCK: u64 = 1 << 20;
const TOTAL: u64 = 4 * BLOCK + 777;
/// Never by itself within a test.
const NEVER: BarrierPace = BarrierPace { interval: Duration::from_secs(3600), bytes: u64::MAX };

struct Bench {
    folder: tempfile::TempDir,
}

/// A slice that is being fetched.
struct Fetching {
    reserved: Reserved,
    output: Output,
    book: Arc<Book>,
    journal: Journal,
    span: Span,
}

fn slice(text: &str) -> Slice {
    text.parse().unwrap()
}

/// Slices of two blocks each, but for the last one of three.
fn cut(slice: Slice) -> Cut {
    let start = u64::from(slice.index() - 1) * 2 * BLOCK;
    let end = if slice.index() == slice.count() { TOTAL } else { start + 2 * BLOCK };
    Cut { slice, span: Span::new(start, end), modified_s: None }
}

fn identity(slice: Slice) -> Identity {
    let (url, validator) = ("http://h/f".to_owned(), Some("etag \"a\"".to_owned()));
    Identity { url, total: TOTAL, validator, digest: None, cut: Some(cut(slice)) }
}

fn content(span: Span) -> Vec<u8> {
    (span.start()..span.end()).map(|at| ((at * 7) >> 5).to_le_bytes()[0]).collect()
}

impl Bench {
    fn new() -> Self {
        Self { folder: tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap() }
    }

    fn target(&self) -> PathBuf {
        self.folder.path().join("f")
    }

    fn part(&self) -> File {
        File::options()
            .read(true)
            .write(true)
            .open(self.target().with_extension("slices.part"))
            .unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn reserve(&self, text: &str) -> Result<Reserved> {
        Reserved::slice(&self.target(), slice(text), false)
    }

    fn begin(&self, identity: Identity) -> Fetching {
        let Cut { slice, span, .. } = identity.cut.unwrap();
        let reserved = Reserved::slice(&self.target(), slice, false).unwrap();
        let never = DirectPolicy::Never;
        let output = reserved.allocate_slice(identity.total, span, never).unwrap();
        let book = Arc::new(Book::new(identity.total, Vec::new()));
        let journal = output.start_journal(identity, &book, NEVER, |e| panic!("{e}")).unwrap();
        Fetching { reserved, output, book, journal, span }
    }

    /// Fetches all of it.
    fn complete(&self, identity: Identity) {
        let fetching = self.begin(identity);
        fetching.write(fetching.span);
        assert_eq!(fetching.journal.barrier().unwrap(), fetching.span.len());
    }

    fn find(&self) -> Slices {
        Slices::find(&self.target(), None).unwrap().unwrap()
    }

    fn lock(&self) -> Joining {
        match self.find().lock(TOTAL).unwrap() {
            Locked::Ours(joining) => joining,
            other => panic!("{other:?}"),
        }
    }
}

impl Fetching {
    fn write(&self, span: Span) {
        let bytes = content(span);
        self.book.on_writing(span);
        let part = File::options().write(true).open(self.output.part_path()).unwrap();
        part.write_all_at(&bytes, span.start()).unwrap();
        self.book.on_written(span, Some(crc32c(&bytes)));
    }
}

fn kept(found: Result<Found>) -> Saved {
    match found.unwrap() {
        Found::Resumable(saved) => saved,
        other => panic!("{other:?}"),
    }
}

/// As on a file system where a link and an unlink give a name: another machine may count two names
/// of a journal, and a kill leaves both names of the file.
#[test]
fn names_that_are_given_in_two_steps_hinder_nobody() {
    let bench = Bench::new();
    bench.complete(identity(slice("1/2")));
    bench.complete(identity(slice("2/2")));
    let journal = bench.target().with_extension("slice-1-of-2.ringhaul");
    std::fs::hard_link(&journal, bench.target().with_extension("seen")).unwrap();
    bench.find().check_complete().unwrap();
    std::fs::hard_link(bench.target().with_extension("slices.part"), bench.target()).unwrap();
    let error = bench.reserve("1/2").map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SlicesIncomplete, "{error}");
    assert!(matches!(bench.find().lock(TOTAL).unwrap(), Locked::Ended));
    assert_eq!(standing(&bench.target()).unwrap(), Standing::Named);
    assert_eq!(bench.names(), ["f", "f.seen"]);
    // The other way round: whoever looks first ends it.
    std::fs::hard_link(bench.target(), bench.target().with_extension("slices.part")).unwrap();
    assert_eq!(standing(&bench.target()).unwrap(), Standing::Named);
    assert_eq!(bench.names(), ["f", "f.seen"]);
}

#[test]
fn slices_beside_each_other_become_the_file() {
    let bench = Bench::new();
    let (one, two) = (bench.begin(identity(slice("1/2"))), bench.begin(identity(slice("2/2"))));
    for fetching in [&one, &two] {
        fetching.write(Span::with_len(fetching.span.start(), BLOCK));
        fetching.journal.barrier().unwrap();
    }
    assert_eq!(bench.find().missing(), [1, 2]);
    let error = bench.find().check_complete().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SlicesIncomplete);
    assert!(error.context().starts_with("slices 1 and 2 of 2 of "), "{error}");
    two.write(Span::new(two.span.start() + BLOCK, TOTAL));
    two.journal.barrier().unwrap();
    assert_eq!(bench.find().missing(), [1]);
    one.write(Span::new(BLOCK, 2 * BLOCK));
    one.journal.barrier().unwrap();
    bench.find().check_complete().unwrap();
    let agreed = bench.find().agree(false).unwrap();
    assert_eq!((agreed.total, agreed.digest), (TOTAL, None));
    // While one is at work nobody joins.
    one.reserved.release();
    assert!(matches!(bench.find().lock(TOTAL).unwrap(), Locked::Taken));
    two.reserved.release();
    let joining = bench.lock();
    assert!(matches!(bench.find().lock(TOTAL).unwrap(), Locked::Taken));
    let error = bench.reserve("1/2").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SlicesIncomplete, "{error}");
    let mut read_bytes = 0;
    let digests = joining.verify(&[Algorithm::Sha256], |bytes| {
        read_bytes += bytes;
        Ok(())
    });
    let mut whole = Algorithm::Sha256.hasher();
    whole.update(&content(Span::new(0, TOTAL)));
    let whole: Digest = whole.finish();
    assert_eq!((digests.unwrap(), read_bytes), (vec![whole], TOTAL));
    let (path, named) = joining.name(false, None, SyncPolicy::Always).unwrap();
    assert_eq!((path, named), (bench.target(), Named::Now));
    drop((one, two));
    assert_eq!(bench.names(), ["f"]);
    assert_eq!(std::fs::read(bench.target()).unwrap(), content(Span::new(0, TOTAL)));
    assert_eq!(standing(&bench.target()).unwrap(), Standing::Named);
}

#[test]
fn a_killed_slice_goes_on_and_the_others_stay() {
    let bench = Bench::new();
    bench.complete(identity(slice("2/2")));
    let one = bench.begin(identity(slice("1/2")));
    one.write(Span::with_len(0, BLOCK));
    one.journal.barrier().unwrap();
    one.write(Span::new(BLOCK, 2 * BLOCK));
    drop(one);
    let saved = kept(bench.reserve("1/2").unwrap().find());
    assert_eq!(saved.runs.iter().map(|run| run.span).collect::<Vec<_>>(), [Span::new(0, BLOCK)]);
    assert_eq!(saved.identity, identity(slice("1/2")));
    // To begin it anew takes nothing from the others.
    let reserved = bench.reserve("1/2").unwrap();
    reserved.discard().unwrap();
    drop(reserved);
    assert_eq!(bench.names(), ["f.slice-2-of-2.ringhaul", "f.slices.part"]);
    assert_eq!(bench.part().metadata().unwrap().len(), TOTAL);
    bench.complete(identity(slice("1/2")));
    bench.lock().verify(&[], |_| Ok(())).unwrap();
}

#[test]
fn lost_writes_are_found_and_named() {
    let bench = Bench::new();
    (1..=2).for_each(|index| bench.complete(identity(Slice::new(index, 2).unwrap())));
    bench.part().write_all_at(&[0; 4096], 3 * BLOCK).unwrap();
    let error = bench.lock().verify(&[], |_| Ok(())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SlicesIncomplete);
    assert!(error.context().starts_with("slice 2 of 2 of "), "{error}");
    assert!(error.context().ends_with("is damaged: 2.00 MiB are not what was written there"));
    // Whoever gives up is heard.
    let given_up = bench.lock().verify(&[], |_| Err(Error::new(ErrorKind::Interrupted, "no")));
    assert_eq!(given_up.unwrap_err().kind(), ErrorKind::Interrupted);
}

#[test]
fn slices_of_different_files_are_named() {
    let other_version = |it: &mut Identity| it.validator = Some("etag \"b\"".into());
    let other_url = |it: &mut Identity| it.url = "http://h/g".into();
    let other_query = |it: &mut Identity| it.url = "http://h/f?…".into();
    let with_digest = |it: &mut Identity| it.digest = Some("crc32c:00000001".into());
    let other_digest = |it: &mut Identity| it.digest = Some("crc32c:00000002".into());
    let longer = |it: &mut Identity| {
        it.total += 1;
        it.cut.as_mut().unwrap().span = Span::new(2 * BLOCK, TOTAL + 1);
    };
    let with_pieces = |it: &mut Identity| it.digest = Some("pieces:01".into());
    type Change = fn(&mut Identity);
    type Case<'a> = (&'a [Change], &'a [Change], std::result::Result<(), &'a str>);
    let cases: [Case<'_>; 10] = [
        (&[], &[], Ok(())),
        (&[], &[other_query], Ok(())),
        (&[], &[with_digest], Ok(())),
        (&[], &[other_version], Err("slice 2 of 2 of")),
        (&[], &[other_url], Err("http://h/g, and nothing shows")),
        (&[with_digest], &[with_digest, other_version, other_url], Ok(())),
        (&[with_pieces], &[with_pieces, other_version], Err("the version etag \"b\"")),
        (&[], &[with_digest, other_version], Err("the version etag \"b\"")),
        (&[with_digest], &[other_digest], Err("whose digest is crc32c:00000002")),
        (&[], &[longer], Err("a file of 4195082 bytes")),
    ];
    for (first, second, expected) in cases {
        let bench = Bench::new();
        for (index, changes) in [(1, first), (2, second)] {
            let mut identity = identity(Slice::new(index, 2).unwrap());
            changes.iter().for_each(|change| change(&mut identity));
            bench.complete(identity);
        }
        let agreed = bench.find().agree(false);
        match (agreed, expected) {
            (Ok(_), Ok(())) => {}
            (Err(error), Err(words)) => {
                assert_eq!(error.kind(), ErrorKind::Changed);
                assert!(error.context().contains(words), "{error}");
            }
            (agreed, expected) => panic!("{agreed:?}, {expected:?}"),
        }
    }
}

#[test]
fn the_same_slice_is_not_fetched_twice_at_once() {
    let bench = Bench::new();
    let first = bench.reserve("1/2").unwrap();
    let error = bench.reserve("1/2").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SlicesIncomplete, "{error}");
    let second = bench.reserve("2/2").unwrap();
    // Who has written nothing leaves nothing, once nobody else is there.
    drop(first);
    assert_eq!(bench.names(), ["f.slices.part"]);
    drop(second);
    assert!(bench.names().is_empty());
}

#[test]
fn another_count_is_refused_until_it_is_done_away_with() {
    let bench = Bench::new();
    bench.complete(identity(slice("1/2")));
    let error = bench.reserve("1/3").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TargetUnusable);
    assert!(error.context().ends_with("f was begun in 2 slices, not 3"), "{error}");
    assert!(error.advice().contains("--slice 1/2") && error.advice().contains("--no-resume"));
    Reserved::slice(&bench.target(), slice("1/3"), true).unwrap();
    assert_eq!(bench.names(), ["f.slices.part"]);
    // They can only be both there if both began at once.
    bench.complete(identity(slice("1/2")));
    let journal = bench.folder.path().join("f.slice-1-of-2.ringhaul");
    std::fs::copy(&journal, bench.folder.path().join("f.slice-1-of-3.ringhaul")).unwrap();
    let error = Slices::find(&bench.target(), None).unwrap_err();
    assert!(error.context().ends_with("f is here in 2 slices and in 3"), "{error}");
}

#[test]
fn a_journal_of_something_else_is_refused_untouched() {
    let bench = Bench::new();
    bench.complete(identity(slice("1/2")));
    let journal = |name| bench.folder.path().join(name);
    let (first, second) = (journal("f.slice-1-of-2.ringhaul"), journal("f.slice-2-of-2.ringhaul"));
    std::fs::copy(&first, &second).unwrap();
    let errors = [
        bench.reserve("2/2").unwrap().find().unwrap_err(),
        Slices::find(&bench.target(), None).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::TargetUnusable);
        let words = "is the journal of slice 1 of 2, and not of slice 2 of 2";
        assert!(error.context().ends_with(words), "{error}");
    }
    // A run without slices does not take it for its own either.
    std::fs::rename(&second, journal("f.ringhaul")).unwrap();
    let whole = Reserved::new(&bench.target(), false).unwrap();
    assert!(whole.find().unwrap_err().context().ends_with("and not of a whole file"));
    std::fs::write(&second, "a letter").unwrap();
    let error = Slices::find(&bench.target(), None).unwrap_err();
    assert!(error.context().ends_with("is not a journal of ringhaul"), "{error}");
    // What was a journal once is a slice that is missing.
    let mut bytes = std::fs::read(&first).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&second, bytes).unwrap();
    assert_eq!(bench.find().missing(), [2]);
    assert_eq!(bench.names().len(), 5, "{:?}", bench.names());
}

#[test]
fn a_part_file_of_others_is_refused() {
    let bench = Bench::new();
    let part = bench.folder.path().join("f.slices.part");
    std::os::unix::fs::symlink("elsewhere", &part).unwrap();
    assert_eq!(bench.reserve("1/2").unwrap_err().kind(), ErrorKind::TargetUnusable);
    std::fs::remove_file(&part).unwrap();
    std::fs::create_dir(&part).unwrap();
    assert_eq!(bench.reserve("1/2").unwrap_err().kind(), ErrorKind::TargetUnusable);
    assert_eq!(bench.names(), ["f.slices.part"]);
}

#[test]
fn the_name_is_given_once() {
    let bench = Bench::new();
    (1..=2).for_each(|index| bench.complete(identity(Slice::new(index, 2).unwrap())));
    std::fs::write(bench.target(), "old").unwrap();
    assert_eq!(standing(&bench.target()).unwrap(), Standing::InTheWay);
    let error = bench.lock().name(false, None, SyncPolicy::Never).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TargetExists);
    assert_eq!(bench.names().len(), 4, "all is kept");
    let late = bench.lock();
    // As where there are no locks: another one has been faster.
    std::fs::rename(bench.folder.path().join("f.slices.part"), bench.target()).unwrap();
    let (_, named) = late.name(true, None, SyncPolicy::Never).unwrap();
    assert_eq!(named, Named::ByAnother);
    assert!(matches!(bench.find().lock(TOTAL).unwrap(), Locked::Ended));
    // And it was killed before it removed the journals.
    assert_eq!(standing(&bench.target()).unwrap(), Standing::Named);
    assert_eq!(bench.names(), ["f"]);
    std::fs::remove_file(bench.target()).unwrap();
    assert_eq!(standing(&bench.target()).unwrap(), Standing::Unnamed);
    assert!(Slices::find(&bench.target(), None).unwrap().is_none());
}

#[test]
fn a_part_file_that_is_gone_or_short_is_no_file() {
    let bench = Bench::new();
    (1..=2).for_each(|index| bench.complete(identity(Slice::new(index, 2).unwrap())));
    bench.part().set_len(TOTAL - 1).unwrap();
    let error = bench.find().lock(TOTAL).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SlicesIncomplete, "{error}");
    std::fs::remove_file(bench.folder.path().join("f.slices.part")).unwrap();
    let error = bench.find().lock(TOTAL).unwrap_err();
    assert!(error.context().contains("is gone, and all slices with it"), "{error}");
}

#[test]
fn slices_without_bytes_are_joined_to_a_file_without_bytes() {
    let bench = Bench::new();
    let reserved = bench.reserve("2/2").unwrap();
    reserved.release();
    let Locked::Ours(joining) = Slices::empty(&bench.target(), 2).lock(0).unwrap() else {
        panic!("nobody else is there");
    };
    joining.verify(&[], |_| Ok(())).unwrap();
    joining.name(false, None, SyncPolicy::Never).unwrap();
    drop(reserved);
    assert_eq!((bench.names(), bench.target().metadata().unwrap().len()), (vec!["f".into()], 0));
    let again = Slices::empty(&bench.target(), 2).lock(0).unwrap();
    assert!(matches!(again, Locked::Ended));
}

#[test]
fn the_slices_of_another_version_are_told() {
    let bench = Bench::new();
    bench.complete(identity(slice("2/2")));
    let now = identity(slice("1/2"));
    assert!(bench.find().other_than(&now).is_empty());
    let changed = Identity { validator: Some("etag \"b\"".into()), ..now.clone() };
    assert_eq!(bench.find().other_than(&changed), [2]);
    // Nothing tells of another place's versions.
    let elsewhere = Identity { url: "http://h/g".into(), ..changed };
    assert!(bench.find().other_than(&elsewhere).is_empty());
    assert_eq!(bench.find().other_than(&Identity { total: TOTAL + 1, ..now }), [2]);
}
