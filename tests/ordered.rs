//! Bytes passed on in order: over many connections and through faults, to readers that are slow,
//! stuck or gone, in little memory; what can be proved on the way, and what cannot be taken back.

mod common;

use common::run::listen;
use common::scene::{ended, stop, wait};
use common::{
    Ended, SEED, Scene, Site, both_schemes, bounded, checksum, eventually, paced, sha256_digits,
};
use ringhaul::internal::base::limits::BLOCK_BYTES;
use ringhaul::internal::base::size::{KIB, MIB};
use ringhaul::server::{Config, Fault, Metalink, Rule, Server, When, content};
use ringhaul::{Download, ErrorKind, Options, Report, Result};
use rustix::process::Signal;
use std::fs::File;
use std::io::{PipeReader, Read};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

const SIZE: u64 = 20 * MIB + 3 * KIB + 7;
/// The least that may be asked for.
const MEMORY: u64 = 8 * MIB;

fn site(config: Config) -> Site {
    Site::start(config).with(|options| {
        (options.connections, options.memory_bytes) = (Some(4), MEMORY);
        options.retry_wait = std::time::Duration::from_millis(1);
    })
}

/// Downloads into a pipe, which `read` reads on a thread of its own.
fn pass<T: Send + 'static>(
    site: &Site,
    change: impl FnOnce(&mut Options),
    read: impl FnOnce(PipeReader) -> T + Send + 'static,
) -> (Result<Report>, T) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut options = site.options.clone();
    change(&mut options);
    let reading = thread::spawn(move || read(reader));
    let download = Download::new(&site.url(&site.path)).expect("a URL");
    let (result, _) = listen(download.stream(writer).options(options));
    (result, bounded("the reader", move || reading.join().expect("the reader does not panic")))
}

/// Everything that comes.
fn all(mut reader: PipeReader) -> Vec<u8> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).expect("the pipe can be read");
    bytes
}

/// What came are the first bytes of the content of the seed.
#[track_caller]
fn assert_start(bytes: &[u8]) {
    assert_eq!(content::verify(SEED, 0, bytes), Ok(()), "the first wrong byte");
}

#[track_caller]
fn assert_passed(site: &Site, change: impl FnOnce(&mut Options), size_bytes: u64) -> Report {
    let (result, bytes) = pass(site, change, all);
    let report = result.unwrap_or_else(|error| panic!("{error}"));
    assert_start(&bytes);
    assert_eq!((bytes.len() as u64, report.bytes), (size_bytes, size_bytes));
    assert!(report.is_ordered);
    report
}

#[test]
fn many_connections_make_one_stream() {
    for config in both_schemes(SIZE) {
        // On a busy machine one connection alone may have brought all before there is another.
        let site = site(paced(config, 40 * MIB));
        let digest = checksum(SEED, SIZE);
        let report = assert_passed(&site, |options| options.checksum = Some(digest), SIZE);
        assert!(report.verified.is_some());
        assert_eq!(report.connections, 2, "as many as the memory is enough for");
        // Each request is for a few pages, so that next to no block is full.
        assert_passed(&site, |options| options.chunk_bytes = Some(20 * KIB), SIZE);
    }
}

#[test]
fn files_of_no_and_of_few_bytes_pass() {
    for size_bytes in [0, 1, 4097] {
        let site = site(Config::new(SEED, size_bytes));
        let digest = checksum(SEED, size_bytes);
        assert_passed(&site, |options| options.checksum = Some(digest), size_bytes);
    }
}

#[test]
fn faults_on_the_way_cost_no_order() {
    let faults = [
        Fault::ResetAfter(100_000),
        Fault::CloseAfter { bytes: 300_000, close_notify: false },
        Fault::ShorterRange(70_000),
    ];
    for (n, fault) in faults.into_iter().enumerate() {
        let mut config = Config::new(SEED, SIZE);
        for request in [1, 3, 4] {
            config.script.push(Rule::once(When::Request(request), fault.clone()));
        }
        let site = site(config);
        assert_passed(&site, |options| options.chunk_bytes = Some(MIB + n as u64), SIZE);
        site.assert_fired();
    }
}

#[test]
fn one_stream_goes_on_behind_what_has_been_passed_on() {
    let config = Config::new(SEED, SIZE)
        .rule(When::All, Fault::NoRangeSupport)
        .rule(When::Request(1), Fault::ResetAfter(3 * MIB + 1))
        .rule(When::Request(2), Fault::ResetAfter(12 * MIB));
    let site = site(config);
    let report = assert_passed(&site, |_| (), SIZE);
    assert_eq!((report.ranges, report.retries), (false, 2));
}

#[test]
fn a_server_that_stops_serving_ranges_is_gone_on_with() {
    let config = Config::new(SEED, SIZE).rule(When::FromRequest(6), Fault::NoRangeSupport);
    let site = site(config);
    assert_passed(&site, |options| options.chunk_bytes = Some(MIB), SIZE);
    site.assert_fired();
}

#[test]
fn a_file_that_changes_on_the_way_is_never_mixed_with_another() {
    let other = Fault::Replaced { seed: SEED + 1, size_bytes: SIZE };
    let site = site(Config::new(SEED, SIZE).rule(When::FromRequest(5), other));
    let (result, bytes) = pass(&site, |options| options.chunk_bytes = Some(MIB), all);
    assert_eq!(result.expect_err("it changed").kind(), ErrorKind::TargetUnusable);
    assert!(!bytes.is_empty() && (bytes.len() as u64) < SIZE);
    assert_start(&bytes);
}

#[test]
fn the_last_block_waits_for_the_digest() {
    for is_ranged in [true, false] {
        let mut config = Config::new(SEED, SIZE);
        if !is_ranged {
            config = config.rule(When::All, Fault::NoRangeSupport);
        }
        let wrong = checksum(SEED + 1, SIZE);
        let (result, bytes) = pass(&site(config), |options| options.checksum = Some(wrong), all);
        let error = result.expect_err("the digest is another one");
        assert_eq!(error.kind(), ErrorKind::ChecksumMismatch, "{error}");
        assert!(error.to_string().contains("have been passed on"), "{error}");
        assert_start(&bytes);
        let missing = SIZE - bytes.len() as u64;
        assert!((1..=BLOCK_BYTES as u64).contains(&missing), "{missing} are held back");
    }
}

#[test]
fn a_stuck_reader_is_waited_for_in_bounded_memory() {
    let site = site(Config::new(SEED, 8 * SIZE));
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let seen = Arc::new(AtomicU64::new(0));
    let told = seen.clone();
    let download = Download::new(&site.url("/f")).expect("a URL").stream(writer);
    let download = download
        .options(site.options.clone())
        .on_progress(move |now| told.store(now.bytes_done, Ordering::Relaxed));
    let handle = download.stop_handle();
    let (sender, outcome) = mpsc::channel();
    thread::spawn(move || sender.send(download.run()).is_ok());
    // All leases but those kept for the oldest byte are filled, and the pipe.
    eventually("the memory is used", || seen.load(Ordering::Relaxed) >= MEMORY / 2);
    handle.stop();
    let result = bounded("the stop", move || outcome.recv().expect("it ends"));
    assert_eq!(result.expect_err("it was stopped").kind(), ErrorKind::Interrupted);
    let most = seen.load(Ordering::Relaxed);
    assert!(most <= MEMORY + MIB, "{most} bytes were taken, with 1 MiB in the pipe");
    drop(reader);
}

#[test]
fn what_a_reader_does_not_take_is_not_fetched_far_ahead() {
    const FILE: u64 = 128 * MIB;
    let site = site(Config::new(SEED, FILE));
    let (reader, writer) = std::io::pipe().expect("a pipe");
    // The bytes that have come, and how often in a row they were the same.
    let seen = Arc::new(Mutex::new((0, 0)));
    let told = seen.clone();
    let options = Options { memory_bytes: 2 * FILE, ..site.options.clone() };
    let download = Download::new(&site.url("/f")).expect("a URL").stream(writer);
    let download = download.options(options).on_progress(move |now| {
        let mut told = told.lock().expect("nobody panics");
        let repeats = if told.0 == now.bytes_done { told.1 + 1 } else { 0 };
        *told = (now.bytes_done, repeats);
    });
    let handle = download.stop_handle();
    let (sender, outcome) = mpsc::channel();
    thread::spawn(move || sender.send(download.run()).is_ok());
    let now = || *seen.lock().expect("nobody panics");
    eventually("all connections are held", || now().0 >= MEMORY && now().1 >= 3);
    // The window opens while the first bytes are waited for.
    assert!(now().0 <= FILE / 2, "{} bytes were taken", now().0);
    handle.stop();
    let result = bounded("the stop", move || outcome.recv().expect("it ends"));
    assert_eq!(result.expect_err("it was stopped").kind(), ErrorKind::Interrupted);
    drop(reader);
}

#[test]
fn a_reader_that_closes_early_ends_the_download() {
    let site = site(Config::new(SEED, 8 * SIZE));
    let (result, bytes) = pass(
        &site,
        |_| (),
        |mut reader| {
            let mut bytes = vec![0; 3 * BLOCK_BYTES];
            reader.read_exact(&mut bytes).expect("the pipe can be read");
            bytes
        },
    );
    assert_eq!(result.expect_err("nobody reads").kind(), ErrorKind::DiskIo);
    assert_start(&bytes);
}

#[test]
fn without_a_digest_no_second_source_is_asked() {
    let (site, mirror) = (site(Config::new(SEED, SIZE)), site(Config::new(SEED, SIZE)));
    let url = ringhaul::Url::parse(&mirror.url("/f")).expect("a URL");
    let mirrors = vec![url];
    assert_passed(&site, |options| options.mirrors.clone_from(&mirrors), SIZE);
    assert_eq!(mirror.stats().requests, 0);
    let digest = checksum(SEED, SIZE);
    let change = |options: &mut Options| {
        (options.mirrors, options.checksum) = (mirrors, Some(digest));
    };
    assert_passed(&site, change, SIZE);
    assert!(mirror.stats().requests > 0, "the digest judges whatever comes");
}

// --- the command line ---

/// The program with `-o OUTPUT`, and what it passes on as digits of its SHA-256.
fn run(scene: &Scene, output: &str, more: &[&str]) -> Ended {
    let mut arguments = vec!["-c", "4", "-o", output];
    arguments.extend(more);
    let command = scene.command(&arguments);
    let mut shell = Command::new("bash");
    // The status is that of the program, not of the reader.
    shell.args(["-c", "\"$@\" | sha256sum; exit \"${PIPESTATUS[0]}\"", "-"]);
    ended(common::scene::wrapped(shell, &command))
}

#[test]
fn standard_output_gets_the_file_and_nothing_else() {
    let (scene, site) = (Scene::new(), site(Config::new(SEED, SIZE)));
    let (url, digits) = (site.url("/f"), sha256_digits(SEED, SIZE));
    for output in ["-", "/dev/stdout"] {
        let done = run(&scene, output, &["--print-digest", "sha256", "--memory", "8M", &url]);
        assert_eq!(done.code, Some(0), "{done:?}");
        assert_eq!(done.stdout, format!("{digits}  -\n"), "{done:?}");
        assert!(done.stderr.contains(&digits), "the digest goes elsewhere: {done:?}");
        assert!(done.stderr.contains(", 2 connections"), "--memory bounds them: {done:?}");
        assert!(done.stderr.contains(", in order"), "{done:?}");
    }
    assert_eq!(common::names(scene.path()), [""; 0]);
    let wrong = format!("sha256:{}", "0".repeat(64));
    let failed = run(&scene, "-", &["--checksum", &wrong, &url]);
    assert_eq!(failed.code, Some(13), "{failed:?}");
}

#[test]
fn a_fifo_gets_it_too() {
    let (scene, site) = (Scene::new(), site(Config::new(SEED, SIZE)));
    let status = Command::new("mkfifo").arg(scene.path().join("pipe")).status();
    assert!(status.is_ok_and(|status| status.success()), "a FIFO is made");
    let child = scene.spawn(&["-o", "pipe", &site.url("/f")]);
    let mut bytes = Vec::new();
    let mut reader = File::open(scene.path().join("pipe")).expect("it can be opened");
    reader.read_to_end(&mut bytes).expect("it can be read");
    wait(child).success();
    assert_eq!(bytes.len() as u64, SIZE);
    assert_start(&bytes);
}

#[test]
fn a_reader_that_has_enough_is_no_error_to_be_told() {
    let (scene, site) = (Scene::new(), site(Config::new(SEED, 8 * SIZE)));
    let mut child = scene.command(&["-q", "-o", "-", &site.url("/f")]);
    let mut child = child.stdout(Stdio::piped()).spawn().expect("the binary runs");
    let mut start = [0; 1000];
    child.stdout.take().expect("it is piped").read_exact(&mut start).expect("it comes");
    let done = wait(child);
    assert_eq!((done.code, done.stderr.as_str()), (Some(16), ""), "{done:?}");
    assert_start(&start);
}

#[test]
fn a_stop_does_not_wait_for_a_stuck_reader() {
    let (scene, site) = (Scene::new(), site(Config::new(SEED, 8 * SIZE)));
    let mut child = scene.spawn(&["-o", "-", &site.url("/f")]);
    let stuck = child.stdout.take().expect("it is piped");
    eventually("the pipe is full", || site.stats().body_bytes > 4 * MIB);
    let done = stop(child, Signal::INT);
    assert_eq!(done.code, Some(130), "{done:?}");
    drop(stuck);
}

#[test]
fn the_digest_of_a_metalink_is_enough() {
    let metalink = Some(Metalink::new(Vec::new()));
    let config = Config { metalink, ..Config::new(SEED, SIZE) };
    // It describes itself only where it knows of its URL.
    let servers = Server::start_mirrors(vec![config]).expect("the server starts");
    let done = run(&Scene::new(), "-", &[&servers[0].url("/file.bin.meta4")]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(done.stdout, format!("{}  -\n", sha256_digits(SEED, SIZE)), "{done:?}");
    assert!(done.stderr.contains("verified sha256:"), "{done:?}");
}

#[test]
fn what_cannot_be_is_refused_in_words() {
    let (scene, site) = (Scene::new(), site(Config::new(SEED, SIZE)));
    let url = site.url("/f");
    let little = scene.run(&["--memory", "1M", "-o", "-", &url]);
    assert!(little.error_line(2).contains("not within 8.00 MiB"), "{little:?}");
    let many = scene.run(&["-o", "-", &url, &site.url("/g")]);
    assert_eq!(many.code, Some(2), "{many:?}");
    let mut command = Command::new("script");
    let line = format!("{} -o - {url}", env!("CARGO_BIN_EXE_ringhaul"));
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]).stdin(Stdio::null());
    let on_terminal = ended(command);
    assert_eq!(on_terminal.code, Some(2), "{on_terminal:?}");
    assert!(on_terminal.stdout.contains("is a terminal"), "{on_terminal:?}");
    assert_eq!(site.stats().requests, 0, "nothing is asked");
}
