//! Limits of the rate: kept by every way in which bytes are received, shared by all files, apart
//! for each origin, and never taken for a fault of the server.

mod common;

use common::scene::wait;
use common::{Place, SEED, Scene, Site, at_once, bounded, paced, serve};
use ringhaul::internal::base::size::{KIB, MIB};
use ringhaul::internal::batch::progress::Progress;
use ringhaul::internal::engine::landing::Durability;
use ringhaul::server::{Config, Fault, Rule, Server, When, content};
use ringhaul::{Batch, BatchOptions, Item, Observer, Summary};
use ringhaul::{Client, ClientOptions, Download, Engine, Level, Options, RateLimit, Report, Url};
use std::fs;
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const SIZE: u64 = 6 * MIB + 77;
/// Bytes per second, of which `SIZE` takes a third of a second.
const LIMIT: u64 = 20_000_000;
const SECOND: Duration = Duration::from_secs(1);
/// Time whose bytes may come at once.
const BURST: Duration = Duration::from_millis(100);

fn in_total(bytes_per_second: u64) -> RateLimit {
    RateLimit { total_bytes: Some(bytes_per_second), ..RateLimit::default() }
}

/// The least time in which this may have come.
fn least(bytes: u64, bytes_per_second: u64) -> Duration {
    Duration::from_secs_f64(bytes as f64 / bytes_per_second as f64).saturating_sub(BURST)
}

#[track_caller]
fn assert_at_limit(report: &Report) {
    let limiter = report.limiter.as_deref().unwrap_or_default();
    assert!(limiter.starts_with("your own limit (--limit-rate"), "{limiter:?}");
}

#[test]
fn each_engine_keeps_the_limit_with_and_without_tls_at_any_moment() {
    let cases = [Engine::IoUring, Engine::Epoll].map(|engine| [(engine, false), (engine, true)]);
    at_once(cases.into_iter().flatten(), |(engine, is_tls)| {
        let config = if is_tls { Config::new_tls(SEED, SIZE) } else { Config::new(SEED, SIZE) };
        let site = Site::strict(config).with(|options| {
            (options.engine, options.rate) = (engine, in_total(LIMIT));
        });
        let seen = Arc::new(Mutex::new(Vec::new()));
        let own = seen.clone();
        let download = site.download().on_progress(move |progress| {
            own.lock().unwrap().push((progress.elapsed, progress.bytes_done));
        });
        let report = bounded("the download", move || download.run()).unwrap();
        site.assert_whole(SEED, SIZE);
        assert!(report.elapsed >= least(SIZE, LIMIT), "{:?}", report.elapsed);
        assert_at_limit(&report);
        for (elapsed, bytes) in seen.lock().unwrap().iter() {
            // The time is taken before the bytes are counted.
            assert!(*elapsed + BURST >= least(*bytes, LIMIT), "{bytes} bytes after {elapsed:?}");
        }
    });
}

#[test]
fn a_single_stream_keeps_it_however_its_body_is_framed() {
    at_once([Fault::Chunked, Fault::NoLength, Fault::IgnoreRange], |fault| {
        let script = vec![Rule::new(When::All, fault)];
        let site = Site::strict(Config { script, ..Config::new(SEED, SIZE) });
        let site = site.with(|options| options.rate = in_total(LIMIT));
        let report = site.succeeds(SIZE);
        assert!(report.elapsed >= least(SIZE, LIMIT), "{:?}", report.elapsed);
        assert_at_limit(&report);
    });
}

#[test]
fn files_of_a_client_share_its_limit_in_equal_parts() {
    let site = Site::strict(Config::new(SEED, SIZE / 2));
    let client =
        Client::new(&ClientOptions { rate: in_total(LIMIT), ..ClientOptions::default() }).unwrap();
    let began = Instant::now();
    let start = |name: &str, connections| {
        let options = Options { connections: Some(connections), ..site.options.clone() };
        let download = Download::new(&site.url("/a")).unwrap().output(site.home.path().join(name));
        download.options(options).start(&client).unwrap()
    };
    let running = [start("a", 2), start("b", 2)];
    let reports = running.map(|running| bounded("the download", || running.wait()).unwrap());
    assert!(began.elapsed() >= least(SIZE, LIMIT), "{:?}", began.elapsed());
    let each = reports.map(|report| {
        assert_at_limit(&report);
        report.elapsed.as_secs_f64()
    });
    assert!(each[0].min(each[1]) > 0.6 * each[0].max(each[1]), "{each:?}");
}

#[test]
fn each_origin_has_a_limit_of_its_own() {
    let sites = [0, 1, 2].map(|_| Site::strict(Config::new(SEED, SIZE / 2)));
    let free = Url::parse(&sites[2].url("/")).unwrap().origin();
    let by_origin = vec![(free, u64::MAX)];
    let rate = RateLimit { per_host_bytes: Some(LIMIT / 2), by_origin, ..RateLimit::default() };
    let client = Client::new(&ClientOptions { rate, ..ClientOptions::default() }).unwrap();
    let running = sites.each_ref().map(|site| site.download().start(&client).unwrap());
    let [one, other, free] =
        running.map(|running| bounded("the download", || running.wait()).unwrap());
    for report in [one, other] {
        assert!(report.elapsed >= least(SIZE / 2, LIMIT / 2), "{:?}", report.elapsed);
        assert_eq!(report.limiter.as_ref().unwrap().find("--limit-rate-per-host"), Some(16));
    }
    let limiter = free.limiter.unwrap();
    assert!(!limiter.contains("your own limit"), "{limiter}");
}

#[test]
fn a_limit_is_never_taken_for_a_slow_server() {
    at_once([Engine::IoUring, Engine::Epoll], |engine| {
        let (size, limit) = (60 * KIB, 60_000);
        let site = Site::strict(Config::new(SEED, size)).with(|options| {
            (options.engine, options.rate) = (engine, in_total(limit));
            options.stall_timeout = Duration::from_millis(150);
            options.speed_limit_bytes = Some(100 * limit);
            options.speed_time = Some(Duration::from_millis(150));
        });
        let report = site.succeeds(size);
        assert!(report.elapsed >= least(size, limit), "{:?}", report.elapsed);
        assert_eq!((report.connects, report.retries), (1, 0));
    });
}

#[test]
fn no_connection_is_opened_where_the_limit_leaves_nothing_to_gain() {
    // Two connections bring the limit, and are all that it begins with: they would pay without it.
    let site = Site::strict(paced(Config::new(SEED, SIZE / 2), LIMIT));
    let site = site.with(|options| options.rate = in_total(2_000_000 * 4));
    let (result, told) = site.run_aloud(Level::Detail);
    assert_at_limit(&result.unwrap());
    let has_grown = |line: &&str| {
        let (count, before) = line.split_once("connections: ")?.1.split_once(" after ")?;
        let before = before.split_once(':')?.0.parse::<u32>().ok()?;
        Some(count.parse::<u32>().ok()? > before)
    };
    let grown: Vec<&str> = told.lines().filter(|line| has_grown(line) == Some(true)).collect();
    assert!(grown.is_empty(), "{grown:?}");
    // What cannot feed two connections begins with one.
    let site = Site::strict(Config::new(SEED, MIB / 2));
    let site = site.with(|options| options.rate = in_total(1_900_000));
    assert_eq!(site.succeeds(MIB / 2).connects, 1);
}

#[test]
fn lists_and_ordered_output_keep_it() {
    let server = serve(Config::new(SEED, 16 * KIB));
    let large = serve(Config::new(SEED, SIZE / 4));
    let list = |server: &Server, files: u32| -> String {
        (0..files).map(|file| format!("{}\n", server.url(&format!("/{file}.bin")))).collect()
    };
    let small = (list(&server, 200), 200 * 16 * KIB, 10_000_000);
    let four = (list(&large, 4), SIZE / 4 * 4, LIMIT / 2);
    at_once([small, four], |(list, bytes, limit)| {
        let scene = Scene::new();
        fs::write(scene.path().join("list"), list).unwrap();
        let rate = format!("--limit-rate={limit}");
        let began = Instant::now();
        let ended = scene.run(&["-i", "list", "-d", ".", &rate]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(began.elapsed() >= least(bytes, limit), "{:?}", began.elapsed());
        let says = ended.stderr.contains("\nlimited by: your own limit (--limit-rate): ");
        assert!(says, "{}", ended.stderr);
    });
    let (scene, whole) = (Scene::new(), serve(Config::new(SEED, SIZE)));
    let mut command = scene.command(&["-o", "-", "--limit-rate", "20MB/s", &whole.url("/a")]);
    let began = Instant::now();
    let output = bounded("the run", move || command.output().unwrap());
    assert!(began.elapsed() >= least(SIZE, LIMIT), "{:?}", began.elapsed());
    assert_eq!(output.stdout.len() as u64, SIZE);
    assert_eq!(content::verify(SEED, 0, &output.stdout), Ok(()));
}

#[test]
fn the_command_line_and_the_config_file_say_it() {
    let server = serve(Config::new(SEED, MIB));
    let scene = Scene::new();
    let url = server.url("/a.bin");
    let unlimited = scene.run(&["--limit-rate", "0", "-v", &url]);
    assert_eq!(unlimited.code, Some(0), "{}", unlimited.stderr);
    let wrong = scene.run(&["--limit-rate", "fast", &url]);
    assert!(wrong.one_error_line(2).contains("'fast' is not a rate"), "{}", wrong.stderr);
    let origin = url.trim_end_matches("/a.bin");
    let config = format!("[\"{origin}\"]\nlimit-rate-per-host = \"8M\"\n");
    fs::write(scene.path().join("config.toml"), config).unwrap();
    fs::write(scene.path().join("list"), [1, 2].map(|n| server.url(&format!("/{n}\n"))).concat())
        .unwrap();
    let began = Instant::now();
    let arguments = ["--config", "config.toml", "-i", "list", "--json"];
    let ended = scene.run_with(&arguments, &[("RINGHAUL_NO_CONFIG", "")]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("left out"), "{}", ended.stderr);
    assert!(began.elapsed() >= least(2 * MIB, 8_000_000), "{:?}", began.elapsed());
    let summary = ended.stdout.lines().last().unwrap_or_default();
    let says = summary.contains("\"limited_by\":\"your own limit (--limit-rate-per-host): ");
    assert!(summary.starts_with("{\"summary\"") && says, "{summary}");
}

/// What had come when.
#[derive(Default)]
struct Seen(Vec<(Duration, u64)>);

impl Observer for Seen {
    fn on_progress(&mut self, progress: &Progress) {
        self.0.push((progress.elapsed, progress.bytes_done));
    }
}

impl Seen {
    /// Between any two moments no more came than their time's worth, that of another tenth of a
    /// second, and `more`.
    #[track_caller]
    fn assert_steady(&self, bytes_per_second: u64, more: u64) {
        for (index, (from, before)) in self.0.iter().enumerate() {
            for (until, after) in &self.0[index..] {
                let worth = (*until - *from + BURST).as_secs_f64() * bytes_per_second as f64;
                let came = after - before;
                assert!(
                    came as f64 <= worth + more as f64,
                    "{came} bytes from {from:?} to {until:?}: {:?}",
                    self.0
                );
            }
        }
    }
}

/// Fetches this number of files in a batch.
fn fetch(server: &Server, files: u64, options: BatchOptions) -> (Summary, Seen) {
    let scene = Scene::new();
    let options = BatchOptions { dir: scene.path().to_owned(), ..options };
    let item = |file| Ok(Item::new(server.url(&format!("/{file}"))));
    let items: Vec<_> = (0..files).map(item).collect();
    let (batch, mut seen) = (Batch::new(options).expect("usable options"), Seen::default());
    let summary = batch.run(items, &mut seen).expect("files are there");
    assert_eq!((summary.done, summary.failed), (files, 0));
    let limiter = summary.limiter.as_deref().unwrap_or_default();
    assert!(limiter.starts_with("your own limit (--limit-rate): "), "{limiter}");
    (summary, seen)
}

/// Measured where the bytes are received: the server sends what fits into the buffers of both
/// kernels, some megabytes, whatever is taken out of them.
#[test]
fn sixty_four_connections_at_once_bring_no_burst() {
    let (files, size, limit) = (150, 64 * KIB, 10_000_000);
    let server = serve(Config::new(SEED, size));
    let rate = in_total(limit);
    let options = BatchOptions {
        parallel: Some(64),
        max_connections: 64,
        max_connections_per_host: 64,
        client: ClientOptions { engine: Engine::Epoll, rate, ..ClientOptions::default() },
        ..BatchOptions::default()
    };
    let (summary, seen) = bounded("the batch", move || fetch(&server, files, options));
    assert!(summary.elapsed >= least(files * size, limit), "{:?}", summary.elapsed);
    assert!(seen.0.len() > 5, "{:?}", seen.0);
    // What a busy machine counts late.
    let late = limit / 20;
    seen.assert_steady(limit, late);
}

#[test]
#[ignore = "a measurement: cargo test --release --test limit_rate -- --ignored --nocapture"]
fn thirty_seconds_keep_each_rate_within_2_percent() {
    for (rate, files) in [1, 10, 100].into_iter().flat_map(|rate| [(rate, 1), (rate, 8)]) {
        let limit = rate * 1_000_000;
        let server = serve(Config::new(SEED, 30 * limit / files));
        let client = ClientOptions { rate: in_total(limit), ..ClientOptions::default() };
        let sync = Durability::None;
        let options = BatchOptions { client, sync, ..BatchOptions::default() };
        let (summary, seen) = fetch(&server, files, options);
        let tens = seen.0.iter().filter_map(|(from, before)| {
            let later = seen.0.iter().find(|(until, _)| *until >= *from + 10 * SECOND)?;
            Some((later.1 - before) as f64 / (later.0 - *from).as_secs_f64() / limit as f64)
        });
        let (least, most) = tens.fold((f64::MAX, 0.0_f64), |(a, b), it| (a.min(it), b.max(it)));
        println!("{rate} MB/s, {files} files: any 10 s {least:.4} to {most:.4} of it; {summary}");
        let mean = summary.rate_bytes_per_second() / limit as f64;
        assert!((0.98..1.02).contains(&mean), "{mean} of it over all of the time");
        // At low rates the bytes of a connection are counted 64 KiB at a time.
        let excess = 0.02 + (files * 64 * KIB) as f64 / (10.0 * limit as f64);
        assert!(least >= 1.0 - excess && most <= 1.0 + excess, "{least} to {most}");
    }
}

/// Read as it is passed on, in blocks of a mebibyte.
#[test]
fn an_ordered_stream_is_steady() {
    let (size, limit) = (16 * MIB, 20_000_000);
    let server = serve(Config::new(SEED, size));
    let scene = Scene::new();
    let arguments = ["-o", "-", "-c", "1", "--engine", "epoll", "--limit-rate", "20M"];
    let mut child = scene.spawn(&[&arguments[..], &[&server.url("/a")]].concat());
    let mut stream = child.stdout.take().unwrap();
    let (seen, content) = bounded("the run", move || {
        let (mut seen, mut content, began) = (Seen::default(), Vec::new(), Instant::now());
        let mut part = vec![0; 64 << 10];
        loop {
            let bytes = stream.read(&mut part).unwrap();
            if bytes == 0 {
                return (seen, content);
            }
            content.extend_from_slice(&part[..bytes]);
            seen.0.push((began.elapsed(), content.len() as u64));
        }
    });
    assert_eq!(wait(child).code, Some(0));
    assert_eq!(content.len() as u64, size);
    assert_eq!(content::verify(SEED, 0, &content), Ok(()));
    seen.assert_steady(limit, MIB);
}
