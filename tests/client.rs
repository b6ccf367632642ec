//! Downloads that share a client: side by side and one after another, within its budgets, with what
//! the one before has left.

mod common;

use common::{
    NAME, SEED, Site, Watch, assert_content, both_schemes, bounded, checksum, distant, eventually,
    paced, slowed,
};
use ringhaul::ErrorKind;
use ringhaul::Report;
use ringhaul::internal::base::size::{KIB, MIB};
use ringhaul::server::{Config, Fault, Rule, When};
use ringhaul::{Client, Download, Running};
use ringhaul::{ClientOptions, Engine, Options};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc;

const SIZE: u64 = 6 * MIB + 77;

/// A client that is dropped on the test's own thread.
fn client(options: &ClientOptions) -> Client {
    Client::new(options).expect("usable options")
}

/// Where the download number `index` of a site goes.
fn target(site: &Site, index: usize) -> PathBuf {
    site.home.path().join(format!("{index}-{NAME}"))
}

/// Begins the download number `index` with four connections.
fn start(site: &Site, client: &Client, index: usize) -> Running {
    let options =
        Options { connections: Some(4), chunk_bytes: Some(256 * KIB), ..site.options.clone() };
    let download = Download::new(&site.url(&site.path)).expect("a URL").output(target(site, index));
    download.options(options).start(client).expect("it starts")
}

fn finish(site: &Site, index: usize, running: Running) -> Report {
    let stop = running.stop_handle();
    let report = bounded("the download", || running.wait()).expect("the download survives");
    assert!(!stop.is_stopped(), "nobody has stopped it");
    assert_eq!(report.bytes, SIZE);
    assert_content(&target(site, index), SEED, SIZE);
    report
}

#[test]
fn downloads_side_by_side_share_the_threads_and_keep_the_budget() {
    for engine in [Engine::IoUring, Engine::Epoll] {
        for config in both_schemes(SIZE) {
            let site = Site::strict(paced(config, 8 * MIB));
            let client = client(&ClientOptions {
                engine,
                threads: Some(2),
                max_connections: Some(3),
                ..ClientOptions::default()
            });
            let watch = Watch::start(site.port());
            let running: Vec<Running> = (0..4).map(|index| start(&site, &client, index)).collect();
            for (index, running) in running.into_iter().enumerate() {
                let report = finish(&site, index, running);
                assert_eq!(report.engine, engine);
                assert_eq!(report.retries, 0, "to wait for a connection is no failure");
            }
            let peak = watch.peak();
            assert!((1..=3).contains(&peak), "four downloads of four connections had {peak}");
        }
    }
}

#[test]
fn connections_to_one_host_have_a_bound_of_their_own() {
    let sites = [0, 1].map(|_| Site::strict(slowed(config(), 4 * MIB)));
    let client =
        client(&ClientOptions { max_connections_per_host: Some(2), ..ClientOptions::default() });
    let watches = [0, 1].map(|index: usize| Watch::start(sites[index].port()));
    let running = [0, 1].map(|index| start(&sites[index], &client, index));
    for (index, running) in running.into_iter().enumerate() {
        finish(&sites[index], index, running);
    }
    assert_eq!(watches.map(Watch::peak), [2, 2]);
}

#[test]
fn the_next_download_goes_on_with_the_connections_of_the_last() {
    for engine in [Engine::IoUring, Engine::Epoll] {
        for config in both_schemes(SIZE) {
            let site = Site::strict(config);
            let client = client(&ClientOptions {
                engine,
                threads: Some(1),
                max_connections: Some(4),
                ..ClientOptions::default()
            });
            let first = finish(&site, 0, start(&site, &client, 0));
            let before = site.stats().connections;
            let second = finish(&site, 1, start(&site, &client, 1));
            assert!(second.connects < first.connects, "{} of {}", second.connects, first.connects);
            assert!(second.connections > 1, "idle connections are no reason to wait");
            assert_eq!(site.stats().connections - before, u64::from(second.connects));
            drop(client);
            site.assert_disconnected();
        }
    }
}

#[test]
fn a_connection_that_the_server_has_closed_meanwhile_is_no_failure() {
    let mut site = Site::strict(config());
    let options = ClientOptions { threads: Some(1), ..ClientOptions::default() };
    let client = client(&options);
    finish(&site, 0, start(&site, &client, 0));
    site.replace_server(config());
    let report = finish(&site, 1, start(&site, &client, 1));
    assert_eq!(report.retries, 0);
}

#[test]
fn what_a_download_has_learnt_of_an_origin_holds_for_the_next_one() {
    // Once it ends the connection behind an answer, so that the request sent ahead is lost.
    let closes = Rule::once(When::Request(7), Fault::CloseAfterReply { announce: false });
    let site = Site::start(Config { script: vec![closes], ..distant(config()) });
    let early = || site.stats().log.iter().filter(|request| request.is_early).count();
    let requests_ahead = |client: &Client, index| {
        let before = early();
        let (connections, chunk_bytes) = (Some(1), Some(256 * KIB));
        let options = Options { connections, chunk_bytes, ..site.options.clone() };
        let download = Download::new(&site.url(&site.path)).expect("a URL");
        let download = download.output(target(&site, index)).options(options);
        finish(&site, index, download.start(client).expect("it starts"));
        early() - before
    };
    let shared = client(&ClientOptions::default());
    assert!(requests_ahead(&shared, 0) > 0, "the first one has tried");
    site.assert_fired();
    assert_eq!(requests_ahead(&shared, 1), 0, "the second one knows");
    let stranger = client(&ClientOptions::default());
    assert!(requests_ahead(&stranger, 2) > 0, "one that does not know tries");
}

#[test]
fn a_handle_that_is_dropped_stops_its_download_and_no_other() {
    let slow = Site::strict(slowed(config(), 256 * KIB));
    let other = Site::strict(config());
    let client = client(&ClientOptions::default());
    let stopped = start(&slow, &client, 0);
    eventually("some bytes are here", || stopped.progress().bytes_done > 0);
    let running = start(&other, &client, 1);
    drop(stopped);
    slow.assert_disconnected();
    finish(&other, 1, running);
    assert!(!target(&slow, 0).exists());
}

#[test]
fn a_download_that_fails_leaves_the_others_alone() {
    let site = Site::strict(config());
    let client = client(&ClientOptions { threads: Some(1), ..ClientOptions::default() });
    let refused = Download::new("http://127.0.0.1:9/").expect("a URL");
    let refused = refused.output(target(&site, 9)).options(site.options.clone());
    let refused = refused.start(&client).expect("it starts");
    let running = start(&site, &client, 0);
    let failed = bounded("the download", || refused.wait()).expect_err("nobody listens there");
    assert_eq!(failed.kind(), ErrorKind::Connect);
    finish(&site, 0, running);
}

#[test]
fn a_listener_may_have_the_last_handle_of_the_client() {
    let site = Site::strict(config());
    let client = client(&ClientOptions::default());
    let own = client.clone();
    let download = Download::new(&site.url(&site.path)).expect("a URL").output(target(&site, 0));
    // Dropped with the listener, on a thread of the client.
    let download = download.on_event(move |_| _ = &own);
    let running = download.start(&client).expect("it starts");
    drop(client);
    finish(&site, 0, running);
    site.assert_disconnected();
}

/// A download of many spans that starts with as many connections as `options` allow.
fn start_large(site: &Site, client: &Client, options: Options) -> Running {
    let download = Download::new(&site.url(&site.path)).expect("a URL").output(target(site, 0));
    download.options(options).start(client).expect("it starts")
}

#[test]
fn the_limit_of_connections_follows_the_caller() {
    const LARGE: u64 = 64 * MIB;
    let chunk_bytes = Some(64 * KIB);
    let fixed = Options { connections: Some(6), chunk_bytes, ..Options::default() };
    let auto = Options { max_connections: 6, chunk_bytes, ..Options::default() };
    for (options, is_fixed) in [(fixed, true), (auto, false)] {
        for config in both_schemes(LARGE) {
            let site = Site::start(paced(config, MIB));
            let client = client(&ClientOptions::default());
            let options = Options { ca_certs: site.options.ca_certs.clone(), ..options.clone() };
            let running = start_large(&site, &client, options);
            let comes_to = |connections| {
                let what = format!("{connections} connections");
                eventually(&what, || running.progress().connections == connections);
            };
            comes_to(6);
            running.limit_connections(2);
            comes_to(2);
            running.limit_connections(0);
            comes_to(1);
            assert!(running.progress().bytes_done < LARGE, "too soon to say anything");
            running.limit_connections(u32::MAX);
            eventually("more again", || running.progress().connections >= 4);
            if is_fixed {
                comes_to(6);
            }
        }
    }
}

#[test]
fn a_limit_holds_from_the_first_request_on() {
    let site = Site::strict(paced(config(), 8 * MIB));
    let client = client(&ClientOptions::default());
    let options = Options { connections: Some(4), ..site.options.clone() };
    let download = Download::new(&site.url(&site.path)).expect("a URL").output(target(&site, 0));
    let running = download.options(options).limit_connections(1).start(&client).expect("it starts");
    assert_eq!(finish(&site, 0, running).connections, 1);
}

#[test]
fn one_thread_hears_of_the_ends_of_many_downloads() {
    let site = Site::strict(config());
    let client = client(&ClientOptions { max_connections: Some(8), ..ClientOptions::default() });
    let (sender, ends) = mpsc::channel();
    let mut running = BTreeMap::new();
    for index in 0..40 {
        // Every fourth asks where nobody listens.
        let is_good = index % 4 > 0;
        let url = if is_good { site.url(&site.path) } else { "http://127.0.0.1:9/".to_owned() };
        let download = Download::new(&url).expect("a URL").output(target(&site, index));
        let (sender, stop) = (sender.clone(), download.stop_handle());
        let done = move |outcome| _ = sender.send((index, outcome));
        let download = download.options(site.options.clone());
        running.insert(index, (download.start_then(&client, done).expect("it starts"), stop));
    }
    bounded("the downloads", move || {
        while let Some((_, stop)) = running.first_key_value().map(|(_, value)| value) {
            assert!(!stop.is_stopped());
            let (index, outcome) = ends.recv().expect("each one tells its end");
            let (ended, stop) = running.remove(&index).expect("each one ends once");
            drop(ended);
            assert!(!stop.is_stopped(), "it had ended before its handle was dropped");
            match outcome {
                Ok(report) => assert_eq!((report.bytes, index % 4 > 0), (SIZE, true)),
                Err(error) => assert_eq!((error.kind(), index % 4), (ErrorKind::Connect, 0)),
            }
        }
    });
    for index in (0..40).filter(|index| index % 4 > 0) {
        assert_content(&target(&site, index), SEED, SIZE);
    }
}

#[test]
fn a_handle_that_is_dropped_still_tells_the_end_to_the_callback() {
    let site = Site::strict(slowed(config(), 256 * KIB));
    let client = client(&ClientOptions::default());
    let (sender, ends) = mpsc::channel();
    let download = Download::new(&site.url(&site.path)).expect("a URL").output(target(&site, 0));
    let running = download.start_then(&client, move |outcome| _ = sender.send(outcome));
    drop(running.expect("it starts"));
    let outcome = bounded("the end", move || ends.recv()).expect("it is told");
    assert_eq!(outcome.expect_err("it was stopped").kind(), ErrorKind::Interrupted);
}

#[test]
fn a_panic_of_a_transfer_reaches_the_callback_and_no_other_download() {
    let site = Site::strict(config());
    let client = client(&ClientOptions { threads: Some(1), ..ClientOptions::default() });
    let (sender, ends) = mpsc::channel();
    let download = Download::new(&site.url(&site.path)).expect("a URL").output(target(&site, 1));
    // Of the caller's listener, which the transfer calls.
    let download = download.on_event(|_| panic!("on purpose"));
    let done = move |outcome| _ = sender.send(outcome);
    let panicking = download.start_then(&client, done).expect("it starts");
    let outcome = bounded("the end", move || ends.recv()).expect("it is told");
    assert_eq!(outcome.expect_err("it panicked").kind(), ErrorKind::Internal);
    let waited = bounded("the wait", || panicking.wait());
    assert_eq!(waited.expect_err("it panicked").kind(), ErrorKind::Internal);
    finish(&site, 0, start(&site, &client, 0));
}

#[test]
fn many_connections_make_do_with_little_memory() {
    for engine in [Engine::IoUring, Engine::Epoll] {
        let site = Site::strict(config()).with(|options| {
            options.checksum = Some(checksum(SEED, SIZE));
        });
        let memory_bytes = Some(4 * MIB);
        let client = client(&ClientOptions { engine, memory_bytes, ..ClientOptions::default() });
        let running: Vec<Running> = (0..4).map(|index| start(&site, &client, index)).collect();
        for (index, running) in running.into_iter().enumerate() {
            let report = finish(&site, index, running);
            assert!(report.verified.is_some());
        }
    }
}

#[test]
fn a_client_checks_its_bounds() {
    for options in [
        ClientOptions { threads: Some(0), ..ClientOptions::default() },
        ClientOptions { threads: Some(65), ..ClientOptions::default() },
        ClientOptions { max_connections: Some(0), ..ClientOptions::default() },
        ClientOptions { max_connections_per_host: Some(0), ..ClientOptions::default() },
        ClientOptions { memory_bytes: Some(4 * MIB - 1), ..ClientOptions::default() },
    ] {
        let refused = Client::new(&options).err().expect("out of range");
        assert_eq!(refused.kind(), ErrorKind::Usage);
    }
}

fn config() -> Config {
    Config::new(SEED, SIZE)
}
