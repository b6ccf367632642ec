//! Stops at every stage, and downloads side by side: prompt, nothing left behind, no thread or
//! file descriptor lost, nobody else disturbed.

mod common;

use common::process::Process;
use common::{
    NAME, Place, SEED, Site, assert_content, both_schemes, bounded, eventually, expect_error,
    paced, slowed, status, wait_for_end,
};
use ringhaul::StopHandle;
use ringhaul::internal::base::size::{KIB, MIB};
use ringhaul::server::{Config, Fault, When};
use ringhaul::{Algorithm, Checksum};
use ringhaul::{Engine, Options};
use ringhaul::{ErrorKind, Result};
use ringhaul::{Phase, Report};
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const SIZE: u64 = 8 * MIB;
/// The limit for a stop, on a loaded machine too; what it interrupts would last far longer.
const PROMPT: Duration = Duration::from_secs(2);
/// Slow enough that 8 MiB are still on their way when a test has looked.
const SLOW: u64 = 256 * KIB;

/// A download on its way; a test that fails meanwhile stops it.
struct Running {
    thread: JoinHandle<Result<Report>>,
    stop: StopOnDrop,
    bytes_done: Arc<AtomicU64>,
    events: Arc<Mutex<Vec<String>>>,
}

struct StopOnDrop(StopHandle);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Running {
    fn start(site: &Site) -> Self {
        let (bytes_done, events) = (Arc::new(AtomicU64::new(0)), Arc::<Mutex<Vec<_>>>::default());
        let (own_bytes, own_events) = (bytes_done.clone(), events.clone());
        let download = site
            .download()
            .on_progress(move |progress| own_bytes.store(progress.bytes_done, Ordering::SeqCst))
            .on_event(move |event| own_events.lock().expect("no panic").push(event.text.clone()));
        let stop = StopOnDrop(download.stop_handle());
        Self { thread: thread::spawn(move || download.run()), stop, bytes_done, events }
    }

    /// Stops it, which takes effect promptly.
    fn stop(self, site: &Site) {
        assert!(!self.thread.is_finished(), "it is still at work when it is stopped");
        let asked = Instant::now();
        self.stop.0.stop();
        let result = wait_for_end(self.thread);
        let took = asked.elapsed();
        assert!(took < PROMPT, "stopping took {took:?}");
        let words = ["stopped", "(your side)"];
        expect_error(result, ErrorKind::Interrupted, 130, &words);
        site.assert_nothing_left();
    }
}

fn site(config: Config) -> Site {
    Site::strict(config).with(|options| {
        options.connections = Some(3);
        options.chunk_bytes = Some(MIB);
        options.retries = 1000;
        // Nothing but the stop is to end these waits.
        options.connect_timeout = Duration::from_secs(60);
        options.stall_timeout = Duration::from_secs(60);
    })
}

fn slow(config: Config) -> Config {
    paced(config, SLOW)
}

/// Runs `site`, stops it as soon as `is_there` holds, and counts what is left in the process.
fn stop_when(site: Site, what: &str, is_there: impl Fn(&Site, &Running) -> bool) {
    let running = Running::start(&site);
    eventually(what, || is_there(&site, &running));
    running.stop(&site);
}

/// Each connection may lose less than a page: what does not fill one.
#[test]
fn a_stop_keeps_every_byte_that_had_arrived() {
    let _process = Process::alone();
    let connections = 4;
    for config in both_schemes(SIZE) {
        for engine in [Engine::IoUring, Engine::Epoll] {
            let site = site(slowed(config.clone(), 3 * MIB)).with(|options| {
                (options.connections, options.engine) = (Some(connections), engine);
                options.chunk_bytes = None;
            });
            let running = Running::start(&site);
            let done = running.bytes_done.clone();
            eventually("half of it is there", || done.load(Ordering::SeqCst) >= SIZE / 2);
            let had_arrived = done.load(Ordering::SeqCst);
            running.stop(&site);
            let site = site.moved(config.clone());
            let resumed = site.succeeds(SIZE).resumed_bytes;
            let lost_max = u64::from(connections) * 4096;
            let what = format!("{resumed} of {had_arrived} bytes were kept, {engine}");
            assert!(resumed + lost_max >= had_arrived, "{what}");
        }
    }
}

#[test]
fn a_stop_says_that_nothing_could_be_kept_and_why() {
    let _process = Process::alone();
    let site = site(slow(Config::new(SEED, SIZE))).with(|options| options.journal = false);
    let running = Running::start(&site);
    let (done, stop) = (running.bytes_done.clone(), running.stop.0.clone());
    eventually("bytes have come", || done.load(Ordering::SeqCst) > 0);
    stop.stop();
    let words = ["run the same command again", "nothing of it could be kept", "--no-journal"];
    expect_error(wait_for_end(running.thread), ErrorKind::Interrupted, 130, &words);
    let events = running.events.lock().expect("no panic").clone();
    let said = events.iter().filter(|text| text.contains("the next run starts over")).count();
    assert_eq!(said, 1, "beforehand, once: {events:?}");
}

fn checksum() -> Checksum {
    Checksum { algorithm: Algorithm::Sha256, expected: vec![0; 32] }
}

#[test]
fn a_stop_before_the_start() {
    let process = Process::alone();
    let site = site(Config::new(SEED, SIZE));
    let download = site.download();
    download.stop_handle().stop();
    let result = bounded("the stopped download", move || download.run());
    expect_error(result, ErrorKind::Interrupted, 130, &["stopped"]);
    site.assert_nothing_left();
    drop(site);
    process.assert_as_before();
}

#[test]
fn a_stop_while_connecting() {
    let process = Process::alone();
    let silent = || Config::new_tls(SEED, SIZE).rule(When::All, Fault::StallOnAccept);
    stop_when(site(silent()), "the handshake has begun", |site, _| {
        site.server.stats().connections == 1
    });
    process.assert_as_before();
}

#[test]
fn a_stop_while_other_connections_are_made() {
    let process = Process::alone();
    for threads in [1, 3] {
        let config = slow(Config::new_tls(SEED, SIZE));
        let site = site(config.rule(When::FromConnection(2), Fault::StallOnAccept));
        let site = site.with(|options| options.threads = Some(threads));
        stop_when(site, "three connections", |site, _| site.server.stats().connections == 3);
    }
    process.assert_as_before();
}

#[test]
fn a_stop_before_the_head() {
    let process = Process::alone();
    for config in both_schemes(SIZE) {
        let site = site(config.rule(When::All, Fault::StallBeforeHead));
        stop_when(site, "the request has been sent", |site, _| site.server.stats().requests == 1);
    }
    process.assert_as_before();
}

#[test]
fn a_stop_in_the_middle() {
    let process = Process::alone();
    for threads in [1, 3] {
        for is_checked in [false, true] {
            for config in both_schemes(SIZE) {
                let site = site(slow(config)).with(|options| {
                    options.threads = Some(threads);
                    options.checksum = is_checked.then(checksum);
                });
                stop_when(site, "bytes flow on each connection", |site, running| {
                    site.server.stats().requests >= 3
                        && running.bytes_done.load(Ordering::SeqCst) > 0
                });
            }
        }
    }
    process.assert_as_before();
}

#[test]
fn a_stop_in_the_middle_of_a_stream() {
    let process = Process::alone();
    for framing in [Fault::NoRangeSupport, Fault::Chunked, Fault::NoLength] {
        for config in both_schemes(SIZE) {
            let config = slow(config).rule(When::All, Fault::NoRangeSupport);
            let site = site(config.rule(When::All, framing.clone()));
            stop_when(site, "bytes flow", |_, running| {
                running.bytes_done.load(Ordering::SeqCst) > 0
            });
        }
    }
    process.assert_as_before();
}

#[test]
fn a_stop_while_every_connection_stalls() {
    let process = Process::alone();
    for config in both_schemes(SIZE) {
        // The first pieces of each span arrive, another one begins and never ends.
        let site = site(config.rule(When::All, Fault::StallAfter(600_000)));
        stop_when(site, "pieces on three connections", |site, running| {
            let is_all_sent = site.server.stats().body_bytes == 3 * 600_000;
            is_all_sent && running.bytes_done.load(Ordering::SeqCst) >= 3 * 65_536
        });
    }
    process.assert_as_before();
}

#[test]
fn a_stop_while_waiting_to_try_again() {
    let process = Process::alone();
    let busy = || status(503, "");
    let both = [When::All, When::FromRequest(2)].map(|when| {
        let site = site(Config::new(SEED, SIZE).rule(when, busy()));
        // Half of it is waited at least, which is longer than a stop may last.
        let wait = Duration::from_secs(20);
        let site = site.with(|options| (options.connections, options.retry_wait) = (Some(1), wait));
        let running = Running::start(&site);
        (site, running)
    });
    for (site, running) in both {
        eventually("a wait", || {
            running.events.lock().unwrap().iter().any(|text| text.contains("trying again in"))
        });
        running.stop(&site);
    }
    process.assert_as_before();
}

#[test]
fn a_stop_after_the_end_changes_nothing() {
    let process = Process::alone();
    let site = site(Config::new(SEED, SIZE));
    let download = site.download();
    let stop = download.stop_handle();
    bounded("the download", move || download.run()).unwrap();
    stop.stop();
    assert_content(&site.target(), SEED, SIZE);
    drop(site);
    process.assert_as_before();
}

#[test]
fn a_stop_at_any_moment_leaves_the_whole_file_or_none() {
    let process = Process::alone();
    let site = site(Config::new(SEED, SIZE));
    // From the first event on, each run is stopped one event later than the one before.
    for after_events in 0..24 {
        let seen = Arc::new(AtomicU64::new(0));
        let download = site.download();
        let stop = download.stop_handle();
        let download = download.on_event(move |_| {
            if seen.fetch_add(1, Ordering::SeqCst) >= after_events {
                stop.stop();
            }
        });
        match bounded("the download", move || download.run()) {
            Ok(_) => {
                assert_content(&site.target(), SEED, SIZE);
                fs::remove_file(site.target()).unwrap();
            }
            Err(error) => {
                expect_error(Err::<(), _>(error), ErrorKind::Interrupted, 130, &[]);
                site.assert_nothing_left();
            }
        }
    }
    drop(site);
    process.assert_as_before();
}

#[test]
fn failures_leave_nothing_in_the_process() {
    let process = Process::alone();
    let cut = Fault::CloseAfter { bytes: 1000, close_notify: false };
    let faults = [
        (Fault::ResetAfter(1000), ErrorKind::ConnectionLost, 5),
        (cut, ErrorKind::Truncated, 11),
        (Fault::ETag("\"other\"".into()), ErrorKind::Changed, 10),
        (Fault::ContentEncoding("gzip".into()), ErrorKind::ContentEncoding, 24),
    ];
    for (fault, kind, exit_code) in faults {
        for threads in [1, 3] {
            for config in both_schemes(SIZE) {
                // The other connections are in the middle of theirs when the second one fails.
                let config = slow(config).rule(When::FromRequest(2), fault.clone());
                let site = site(config).with(|options| {
                    options.retries = 0;
                    options.threads = Some(threads);
                    options.checksum = Some(checksum());
                });
                site.fails(kind, exit_code, &["127.0.0.1"]);
            }
        }
    }
    process.assert_as_before();
}

#[test]
fn a_failure_beside_another_download_does_not_disturb_it() {
    let process = Process::alone();
    let good = site(paced(Config::new(SEED, SIZE), 2 * MIB));
    let quick = |fault| {
        let site = Site::strict(Config::new_tls(SEED, SIZE).rule(When::All, fault));
        site.with(|options: &mut Options| options.connections = Some(2))
    };
    let bad = quick(Fault::CloseAfter { bytes: 1000, close_notify: true });
    let stopped = quick(Fault::StallAfter(600_000));
    let running = Running::start(&good);
    eventually("the good one is at work", || running.bytes_done.load(Ordering::SeqCst) > 0);
    bad.fails(ErrorKind::Truncated, 11, &["127.0.0.1"]);
    stop_when(stopped, "some bytes", |_, running| running.bytes_done.load(Ordering::SeqCst) > 0);
    let Running { thread, stop: _still_running, .. } = running;
    assert!(wait_for_end(thread).is_ok());
    good.assert_whole(SEED, SIZE);
    drop((good, bad));
    process.assert_as_before();
}

#[test]
fn two_downloads_of_one_target_do_not_mix() {
    let process = Process::alone();
    let site = site(slow(Config::new(SEED, SIZE)));
    let first = Running::start(&site);
    eventually("the first one is at work", || first.bytes_done.load(Ordering::SeqCst) > 0);
    let words = ["another ringhaul", NAME, "(your side)"];
    expect_error(site.run(), ErrorKind::Busy, 19, &words);
    assert_eq!(site.names(), [format!("{NAME}.part")], "the first one's part file stays");
    first.stop(&site);
    drop(site);
    process.assert_as_before();
}

#[test]
fn the_last_progress_says_it_is_finishing() {
    let process = Process::alone();
    let site = site(Config::new(SEED, SIZE));
    let last = Arc::new(Mutex::new(None));
    let own = last.clone();
    let download = site.download().on_progress(move |p| *own.lock().unwrap() = Some(p.clone()));
    bounded("the download", move || download.run()).unwrap();
    let last = last.lock().unwrap().take().unwrap();
    assert_eq!((last.phase, last.bytes_done, last.connections), (Phase::Finishing, SIZE, 0));
    drop(site);
    process.assert_as_before();
}
