//! One file in slices, each fetched by a process of its own into a part file that all share, and
//! joined: killed, repeated, side by side, of different files, and where something is in the way.
//!
//! `RINGHAUL_SLICES_GIB=4` is the long form: eight processes at once, a file of that size.

mod common;

use common::scene::wait;
use common::{
    Ended, HANG_LIMIT, NAME, Place, SEED, Scene, Site, assert_content, at_once, bounded, checksum,
    eventually_within, expect_error, names, serve, skipped, slowed,
};
use ringhaul::internal::base::size::{GIB, KIB, MIB};
use ringhaul::internal::disk::journal::format::decode;
use ringhaul::internal::disk::output::Reserved;
use ringhaul::server::{Config, EntityTag, Fault, Rule, Server, When};
use ringhaul::{
    Algorithm, DirectMode, Download, ErrorKind, Join, Level, OnChange, Options, OtherSlices,
    Report, Result, Slice,
};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Mutex;
use std::time::{Duration, UNIX_EPOCH};

/// What each slice asks for to learn the size of the file, and what one that is complete asks for.
const PROBE_BYTES: u64 = 4 * KIB;
const SIZE: u64 = 5 * MIB + 3 * KIB + 7;

fn slice(index: u32, count: u32) -> Slice {
    Slice::new(index.into(), count.into()).expect("a slice")
}

/// A server, and downloads of slices into its folder.
fn site(config: Config) -> Site {
    Site::strict(config).with(|options| {
        options.connections = Some(2);
        options.chunk_bytes = Some(256 * KIB);
    })
}

fn download(site: &Site, index: u32, count: u32) -> Download {
    let options = Options { slice: Some(slice(index, count)), ..site.options.clone() };
    site.download().options(options)
}

fn fetch(site: &Site, index: u32, count: u32) -> Result<Report> {
    let download = download(site, index, count);
    bounded("the slice", move || download.run())
}

/// How the others are when this one is complete.
#[track_caller]
fn others(site: &Site, index: u32, count: u32) -> OtherSlices {
    let report = fetch(site, index, count).expect("the slice comes");
    report.slice.expect("it is one").others
}

fn join(site: &Site, options: Options) -> Result<ringhaul::JoinReport> {
    let join = Join::new(site.target()).options(options);
    bounded("joining", move || join.run())
}

fn part(site: &Site) -> PathBuf {
    site.folder().join(format!("{NAME}.slices.part"))
}

fn journal(folder: &Path, index: u32, count: u32) -> PathBuf {
    folder.join(format!("{NAME}.slice-{index}-of-{count}.ringhaul"))
}

/// Bytes of a slice that its journal vouches for; 0 before it has one.
fn durable_bytes(folder: &Path, index: u32, count: u32) -> u64 {
    let bytes = fs::read(journal(folder, index, count)).unwrap_or_default();
    // It may just be written.
    let runs = decode(&bytes).map(|decoded| decoded.slot.runs).unwrap_or_default();
    runs.iter().map(|run| run.span.len()).sum()
}

/// Processes that fetch slices of one file.
struct Cluster {
    scene: Scene,
    server: Server,
    size_bytes: u64,
    checksum: String,
}

impl Cluster {
    const COUNT: u32 = 8;

    fn new(size_bytes: u64) -> Self {
        let checksum = checksum(SEED, size_bytes).to_string();
        let server = serve(Config::new(SEED, size_bytes));
        Self { scene: Scene::new(), server, size_bytes, checksum }
    }

    /// With one connection each, so that no span is asked for twice to be done sooner.
    fn start(&self, index: u32) -> Child {
        let of = format!("{index}/{}", Self::COUNT);
        let mut command = self.scene.command(&["-o", NAME, "--slice", &of, "-c", "1"]);
        command.args(["--journal-interval", "20ms", "--chunk-size", "256K"]);
        command.args(["--checksum", &self.checksum, &self.server.url("/file.bin")]);
        command.spawn().expect("the binary runs")
    }

    /// Waits for a run; in the long form as long as that takes.
    fn wait(&self, child: Child) -> Ended {
        if self.size_bytes < GIB {
            return wait(child);
        }
        Ended::of(child.wait_with_output().expect("it is our child"))
    }

    /// The same server at another speed, which has sent nothing yet.
    fn replace_server(&mut self, config: impl FnOnce(Config) -> Config) {
        self.server.stop();
        let address = self.server.address();
        let config = config(Config::new(SEED, self.size_bytes));
        self.server = serve(Config { address, ..config });
    }

    /// Starts a slice on a server that sends `bytes_per_second`, kills it when a part of it is
    /// durable, and says how much that is.
    fn kill(&mut self, index: u32, bytes_per_second: u64) -> u64 {
        self.replace_server(|config| slowed(config, bytes_per_second));
        let mut child = self.start(index);
        let folder = self.scene.folder();
        eventually_within(HANG_LIMIT, "some of the slice is durable", || {
            durable_bytes(&folder, index, Self::COUNT) > 0
        });
        child.kill().expect("the child can be killed");
        child.wait().expect("a killed child ends");
        assert!(!self.scene.target().exists());
        durable_bytes(&folder, index, Self::COUNT)
    }
}

#[test]
fn eight_slices_of_which_one_is_killed_and_repeated_become_the_file() {
    let gib = std::env::var("RINGHAUL_SLICES_GIB").ok().map(|gib| gib.parse::<u64>());
    let size_bytes = gib.map_or(64 * MIB, |gib| gib.expect("a number") * GIB);
    let (killed, count) = (5, Cluster::COUNT);
    let slice_bytes = size_bytes / u64::from(count);
    let mut cluster = Cluster::new(size_bytes);
    let durable = cluster.kill(killed, slice_bytes * 2);
    assert!(durable < slice_bytes, "it was killed too late");
    cluster.replace_server(|config| config);
    let others = (1..=count).filter(|index| *index != killed);
    let running: Vec<Child> = others.clone().map(|index| cluster.start(index)).collect();
    for (child, index) in running.into_iter().zip(others) {
        let ended = cluster.wait(child);
        let line = format!("{NAME}, slice {index} of 8: ");
        assert!(ended.success().stderr.contains(&line), "{ended:?}");
    }
    let missing = cluster.scene.run(&["--join", NAME]);
    let line = missing.one_error_line(26);
    assert!(line.contains("slice 5 of 8 of file.bin is not complete"), "{line}");
    let folder = cluster.scene.folder();
    assert_eq!(durable_bytes(&folder, killed, count), durable, "nothing is lost");
    let sent_before = cluster.server.body_bytes();
    assert!(sent_before <= 7 * (slice_bytes + PROBE_BYTES), "{sent_before}");
    let last = cluster.wait(cluster.start(killed));
    assert!(last.success().stderr.contains("joined 8 slices: file.bin is complete"), "{last:?}");
    let verified = format!("verified {} (given with --checksum)", cluster.checksum);
    assert!(last.stderr.contains(&verified), "{last:?}");
    let again = cluster.server.body_bytes() - sent_before;
    assert!(again <= slice_bytes - durable + PROBE_BYTES, "{again}, and {durable} were durable");
    assert_content(&cluster.scene.target(), SEED, size_bytes);
    assert_eq!(names(&folder), [NAME]);
    // A task that is repeated once all is done fetches nothing.
    let sent_before = cluster.server.body_bytes();
    let late = cluster.wait(cluster.start(2));
    let line = "file.bin: complete, as its slices were joined before";
    assert!(late.success().stderr.contains(line), "{late:?}");
    assert!(cluster.server.body_bytes() - sent_before <= PROBE_BYTES);
    let join = cluster.scene.spawn(&["--join", NAME, "--checksum", &cluster.checksum]);
    let joined = cluster.wait(join);
    assert!(joined.success().stderr.contains(line) && joined.stderr.contains(&verified));
}

#[test]
fn of_those_that_end_together_one_joins() {
    for _ in 0..2 {
        let site = site(Config::new(SEED, SIZE));
        let ends = Mutex::new(Vec::new());
        at_once(1..=4, |index| {
            let end = others(&site, index, 4);
            ends.lock().expect("nobody panics with it").push(end);
        });
        let ends = ends.into_inner().expect("nobody panics with it");
        let joined = ends.iter().filter(|end| **end == OtherSlices::Joined).count();
        assert_eq!(joined, 1, "{ends:?}");
        site.assert_whole(SEED, SIZE);
    }
}

#[test]
fn what_is_complete_is_joined_later_if_nobody_could() {
    let site = site(Config::new(SEED, SIZE));
    assert_eq!(others(&site, 2, 2), OtherSlices::Missing(vec![1]));
    // Somebody fetches one of them again.
    let busy = Reserved::slice(&site.target(), slice(2, 2), false).expect("nobody else has it");
    assert_eq!(others(&site, 1, 2), OtherSlices::InUse);
    let error = expect_error(fetch(&site, 2, 2), ErrorKind::SlicesIncomplete, 26, &["at work"]);
    assert!(error.contains("slice 2 of 2 of "), "{error}");
    drop(busy);
    let options = Options { digests: vec![Algorithm::Sha256], ..Options::default() };
    let report = join(&site, options).expect("it is joined");
    assert_eq!((report.slices, report.bytes), (Some(2), SIZE));
    assert_eq!(report.digests, [checksum(SEED, SIZE).to_string()]);
    site.assert_whole(SEED, SIZE);
    let again = join(&site, Options::default()).expect("there is nothing to do");
    assert_eq!((again.slices, again.bytes), (None, SIZE));
}

#[test]
fn a_digest_that_is_not_the_files_keeps_the_slices() {
    let site = site(Config::new(SEED, SIZE)).with(|options| {
        options.checksum = Some(checksum(SEED + 1, SIZE));
    });
    assert_eq!(others(&site, 1, 2), OtherSlices::Missing(vec![2]));
    expect_error(fetch(&site, 2, 2), ErrorKind::ChecksumMismatch, 13, &["--no-resume"]);
    assert!(!site.target().exists());
    // What the slices were begun with counts, too, unless something else is said.
    expect_error(join(&site, Options::default()), ErrorKind::ChecksumMismatch, 13, &["sha256"]);
    let right = Options { checksum: Some(checksum(SEED, SIZE)), ..Options::default() };
    let report = join(&site, right).expect("that is its digest");
    assert!(report.verified.expect("it is verified").against.contains("--checksum"));
    site.assert_whole(SEED, SIZE);
}

#[test]
fn whoever_joins_reads_a_checksum_file_and_sets_the_time_that_a_slice_knows() {
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    let modified = UNIX_EPOCH + Duration::from_secs(784_111_777);
    let dated = |date: Option<&str>| Config {
        last_modified: date.map(str::to_owned),
        ..Config::new(SEED, SIZE)
    };
    for date in [Some(DATE), None] {
        let mut site = site(dated(date));
        assert_eq!(others(&site, 1, 2), OtherSlices::Missing(vec![2]));
        site.replace_server(dated(None));
        // Somebody fetches it again, so that the other one joins nothing.
        let busy = Reserved::slice(&site.target(), slice(1, 2), false).expect("nobody has it");
        assert_eq!(others(&site, 2, 2), OtherSlices::InUse);
        drop(busy);
        let (scene, right) = (Scene::new(), checksum(SEED, SIZE).to_string());
        let target = site.target().display().to_string();
        let join = |digits: &str| {
            let sums = format!("{digits}  {NAME}\n");
            fs::write(scene.path().join("SUMS"), sums).expect("it is written");
            scene.run(&["--join", &target, "-R", "--checksum-file", "SUMS"])
        };
        let wrong = join(&"0".repeat(64));
        assert!(wrong.error_line(13).contains(&"0".repeat(64)), "{wrong:?}");
        let joined = join(&right["sha256:".len()..]);
        assert!(joined.success().stderr.contains("(from SUMS)"), "{joined:?}");
        let meta = fs::metadata(site.target()).expect("it is joined");
        let is_set = meta.modified().expect("a time") == modified;
        assert_eq!(is_set, date.is_some(), "{joined:?}");
        assert_eq!(joined.stderr.contains("keeps the time of its download"), date.is_none());
        site.assert_whole(SEED, SIZE);
    }
}

#[test]
fn lost_writes_are_found_and_fetched_again() {
    let site = site(Config::new(SEED, SIZE));
    let busy = Reserved::slice(&site.target(), slice(3, 3), false).expect("nobody else has it");
    assert_eq!(others(&site, 1, 3), OtherSlices::Missing(vec![2, 3]));
    assert_eq!(others(&site, 2, 3), OtherSlices::Missing(vec![3]));
    drop(busy);
    let file = fs::OpenOptions::new().write(true).open(part(&site)).expect("the part file");
    file.write_all_at(&[7; 4096], 2 * MIB).expect("it is written");
    let words = ["slice 2 of 3 of ", "is damaged", "run them again"];
    expect_error(fetch(&site, 3, 3), ErrorKind::SlicesIncomplete, 26, &words);
    let sent_before = site.stats().body_bytes;
    assert_eq!(others(&site, 2, 3), OtherSlices::Joined);
    let sent = site.stats().body_bytes - sent_before;
    assert!(sent <= 2 * MIB + 2 * PROBE_BYTES, "{sent}: more than what was wrong");
    site.assert_whole(SEED, SIZE);
}

#[test]
fn slices_of_two_versions_are_never_joined() {
    let mut site = site(Config::new(SEED + 1, SIZE));
    assert_eq!(others(&site, 1, 3), OtherSlices::Missing(vec![2, 3]));
    site.replace_server(Config::new(SEED, SIZE));
    // The first one to see it says so; and refuses, if it is to.
    expect_error(
        fetch(&site, 2, 3),
        ErrorKind::Changed,
        10,
        &["slice 1 of 3 is of another version"],
    );
    site.options.on_change = OnChange::Restart;
    let warned = Mutex::new(String::new());
    let warned: &'static Mutex<String> = Box::leak(Box::new(warned));
    let download = download(&site, 2, 3).on_event(move |event| {
        if event.level == Level::Warning {
            warned.lock().expect("nobody panics with it").push_str(&event.text);
        }
    });
    bounded("the slice", move || download.run()).expect("it comes");
    let text = warned.lock().expect("nobody panics with it").clone();
    assert!(text.contains("cannot be joined with this one: run them again"), "{text}");
    let words = ["slice 1 of 3 of ", "of the version etag", "run all of them again"];
    expect_error(fetch(&site, 3, 3), ErrorKind::Changed, 10, &words);
    assert!(!site.target().exists());
    assert_eq!(others(&site, 1, 3), OtherSlices::Joined);
    site.assert_whole(SEED, SIZE);
}

#[test]
fn slices_of_two_urls_need_a_digest() {
    let mut site = site(Config::new(SEED, SIZE));
    assert_eq!(others(&site, 1, 2), OtherSlices::Missing(vec![2]));
    site.path = "/elsewhere/file.bin".into();
    let words = ["slice 2 of 2 of ", "/elsewhere/file.bin, and nothing shows", "--checksum"];
    expect_error(fetch(&site, 2, 2), ErrorKind::Changed, 10, &words);
    let right = Options { checksum: Some(checksum(SEED, SIZE)), ..Options::default() };
    join(&site, right).expect("the digest says that they are one file");
    site.assert_whole(SEED, SIZE);
}

#[test]
fn what_cannot_be_fetched_in_slices_is_refused_in_words() {
    let whole = || Config::new(SEED, SIZE);
    let no_ranges = whole().rule(When::All, Fault::NoRangeSupport);
    let no_version = Config { etag: EntityTag::Absent, last_modified: None, ..whole() };
    for (config, words) in [
        (no_ranges, ["in one stream only: each slice would fetch all", "without --slice"]),
        (no_version.clone(), ["no validator that tells versions apart", "--checksum"]),
    ] {
        let site = site(config);
        expect_error(fetch(&site, 1, 2), ErrorKind::Usage, 2, &words);
        // How much of an answer that nobody reads the kernel's buffers take is its own affair.
        assert!(site.stats().requests <= 3, "{:?}", site.stats());
        assert!(!journal(&site.folder(), 1, 2).exists());
    }
    let site = site(no_version).with(|options| options.checksum = Some(checksum(SEED, SIZE)));
    fetch(&site, 1, 2).expect("its digest tells the file");
    assert_eq!(others(&site, 2, 2), OtherSlices::Joined);
    site.assert_whole(SEED, SIZE);
}

#[test]
fn what_is_in_the_way_stays_as_it_is() {
    let site = site(Config::new(SEED, SIZE));
    fs::write(site.target(), "another file").expect("it is written");
    let words = ["exists with 12 bytes, and the server's file has"];
    expect_error(fetch(&site, 1, 2), ErrorKind::TargetExists, 14, &words);
    assert_eq!(site.names(), [NAME]);
    let site = site.with(|options| options.force = true);
    assert_eq!(others(&site, 1, 2), OtherSlices::Missing(vec![2]));
    let mut site = site.with(|options| options.force = false);
    let words = ["exists, and slices of another file", "--force"];
    expect_error(fetch(&site, 2, 2), ErrorKind::TargetExists, 14, &words);
    site.options.force = true;
    // Another count is another file to the journals.
    let words = ["was begun in 2 slices, not 3", "--slice 1/2", "--no-resume"];
    expect_error(fetch(&site, 1, 3), ErrorKind::TargetUnusable, 14, &words);
    assert_eq!(fs::read(site.target()).expect("it is there"), b"another file");
    site.options.resume = false;
    assert_eq!(others(&site, 1, 3), OtherSlices::Missing(vec![2, 3]));
    assert_eq!(others(&site, 3, 3), OtherSlices::Missing(vec![2]));
    assert_eq!(others(&site, 2, 3), OtherSlices::Joined);
    site.assert_whole(SEED, SIZE);
}

#[test]
fn small_files_have_slices_without_bytes() {
    for size in [0, 7, MIB + 1] {
        let site = site(Config::new(SEED, size));
        let ends: Vec<OtherSlices> = (1..=4).map(|index| others(&site, index, 4)).collect();
        let last = OtherSlices::Joined;
        let before = OtherSlices::JoinedBefore;
        assert!(ends.contains(&last) && [last, before].contains(&ends[3]), "{size}: {ends:?}");
        site.assert_whole(SEED, size);
    }
}

#[test]
fn a_slice_that_fails_goes_on_later() {
    let gone = Rule::new(When::RangeStartFrom(4 * MIB), common::status(404, ""));
    let mut site = site(Config { script: vec![gone], ..Config::new(SEED, SIZE) });
    // All that was served before is in the file then.
    site.options.connections = Some(1);
    let words = ["are kept, and the next run goes on from there"];
    expect_error(fetch(&site, 2, 2), ErrorKind::Status(404), 8, &words);
    site.replace_server(Config::new(SEED, SIZE));
    let report = fetch(&site, 2, 2).expect("the rest of it comes");
    assert!(report.resumed_bytes >= MIB, "{report:?}");
    assert_eq!(others(&site, 1, 2), OtherSlices::Joined);
    site.assert_whole(SEED, SIZE);
}

/// Nothing of it depends on O_DIRECT, nor on a disk.
#[test]
fn slices_may_lie_in_memory_or_go_past_the_cache() {
    let shared = Path::new("/dev/shm");
    if !shared.is_dir() {
        return skipped("there is no /dev/shm");
    }
    for (folder, direct) in [
        (tempfile::tempdir_in(shared).expect("a folder there"), DirectMode::Auto),
        (common::scratch(), DirectMode::On),
    ] {
        let server = serve(Config::new(SEED, SIZE));
        for index in 1..=2 {
            let options = Options { slice: Some(slice(index, 2)), direct, ..Options::default() };
            let download = Download::new(&server.url("/file.bin")).expect("a URL");
            let download = download.output(folder.path().join(NAME)).options(options);
            let report = bounded("the slice", move || download.run()).expect("it comes");
            assert_eq!(report.direct, direct == DirectMode::On);
        }
        assert_content(&folder.path().join(NAME), SEED, SIZE);
        assert_eq!(names(folder.path()), [NAME]);
    }
}

#[test]
fn words_that_contradict_each_other_are_refused() {
    let scene = Scene::new();
    let url = "http://127.0.0.1:9/f";
    for (arguments, code, words) in [
        (&["--join", "f"][..], 14, "there are no slices of f here"),
        (&["--join", "no/f"], 14, "cannot list no"),
        (&["--join", "f", url], 2, "'--join' fetches nothing, and a URL is given besides"),
        (&["--join", "f", "-o", "g"], 2, "and --output is given besides"),
        (&["--slice", "1/2", "-o", "f", "--no-journal", url], 2, "cannot do without a journal"),
        (&["--slice", "1/2", "-o", "/dev/null", url], 2, "needs a file that the others are"),
        (&["--slice", "1/2", "-o", "-", url], 2, "needs a file that the others are"),
        (&["--slice", "3/2", "-o", "f", url], 2, "no slice 3/2"),
        (&["--slice", "1/2", "-o", "f", "--results", "r", url], 2, "--results tells of many"),
    ] {
        let ended = scene.run(arguments);
        let line = ended.error_line(code);
        assert!(line.contains(words), "{line}");
    }
    assert!(names(scene.path()).is_empty());
    fs::write(scene.target(), "").expect("it is written");
    let of_there = |wish| scene.run(&["--slice", "1/2", "-o", NAME, "--if-exists", wish, url]);
    of_there("skip").success();
    assert!(of_there("fail").error_line(14).contains("exists"));
    fs::write(scene.path().join("f.slice-1-of-2.ringhaul"), "a letter").expect("it is written");
    let ended = scene.run(&["--join", "f"]);
    assert!(ended.error_line(14).contains("is not a journal of ringhaul"), "{ended:?}");
}

/// A transfer that is stopped while it joins leaves all slices as they are.
#[test]
fn whoever_joins_can_be_stopped() {
    let site = site(Config::new(SEED, SIZE));
    let busy = Reserved::slice(&site.target(), slice(1, 2), false).expect("nobody else has it");
    assert_eq!(others(&site, 2, 2), OtherSlices::Missing(vec![1]));
    drop(busy);
    let busy = Reserved::slice(&site.target(), slice(2, 2), false).expect("nobody else has it");
    assert_eq!(others(&site, 1, 2), OtherSlices::InUse);
    let join = Join::new(site.target());
    let stop = join.stop_handle();
    let join = join.on_event(move |event| {
        assert!(event.text.starts_with("waiting, as another ringhaul"), "{event:?}");
        stop.stop();
    });
    let stopped = bounded("joining", move || join.run());
    expect_error(stopped, ErrorKind::Interrupted, 130, &["stopped"]);
    drop(busy);
    join_in_time(&site);
}

fn join_in_time(site: &Site) {
    let began = std::time::Instant::now();
    join(site, Options::default()).expect("it is joined");
    assert!(began.elapsed() < Duration::from_secs(20));
    site.assert_whole(SEED, SIZE);
}
