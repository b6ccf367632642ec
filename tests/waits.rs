//! What a user sees while nothing comes, and that what is said is true: waits before retries,
//! silence, time limits, changed files, certificates that are not checked.

mod common;

use common::{SEED, Scene, Site, fetch, serve, status};
use ringhaul::server::{Config, Fault, Rule, Server, When};
use ringhaul::{ErrorKind, OnChange, Options, Phase};
use std::time::Duration;

const SIZE_BYTES: u64 = 300_001;

fn config() -> Config {
    Config::new(SEED, SIZE_BYTES)
}

fn scripted(script: Vec<Rule>) -> Server {
    serve(Config { script, ..config() })
}

fn busy(retry_after: &str) -> Fault {
    let headers = vec![("Retry-After".to_owned(), retry_after.to_owned())];
    Fault::Status { code: 503, headers, body: Vec::new() }
}

#[test]
fn a_wait_counts_down_to_the_next_try() {
    let server = scripted(vec![Rule::once(When::All, busy("1"))]);
    let run = fetch(&server.url("/x"), Options::default());
    run.expect_file(SEED, SIZE_BYTES);
    let waits: Vec<_> = run.progress.iter().filter_map(|p| p.waiting.as_ref()).collect();
    assert!(waits.len() > 2, "ten snapshots a second: {:?}", run.progress);
    for wait in &waits {
        assert_eq!((wait.kind, wait.is_asked), (ErrorKind::Status(503), true));
        assert_eq!((wait.retry, wait.retries_max), (1, 5));
        assert!(wait.left <= Duration::from_secs(1));
    }
    assert!(waits.windows(2).all(|pair| pair[1].left < pair[0].left), "{waits:?}");
    assert_eq!(run.progress.last().and_then(|p| p.waiting.clone()), None);
}

#[test]
fn a_broken_range_counts_its_tries() {
    // Each try at the last part of the file fails.
    let failing = Rule::new(When::FromRequest(2), status(500, ""));
    let server = scripted(vec![failing]);
    let options = Options {
        connections: Some(1),
        chunk_bytes: Some(64 << 10),
        retries: 2,
        retry_wait: Duration::from_millis(400),
        ..Options::default()
    };
    let run = fetch(&server.url("/x"), options);
    let error = run.result.as_ref().expect_err("it never comes");
    assert_eq!(error.kind(), ErrorKind::Status(500));
    let waits = run.progress.iter().filter_map(|p| p.waiting.as_ref());
    let mut numbers: Vec<_> = waits.map(|wait| (wait.retry, wait.retries_max)).collect();
    numbers.dedup();
    assert_eq!(numbers, [(1, 2), (2, 2)]);
}

#[test]
fn silence_is_measured() {
    let server = serve(config().rule(When::All, Fault::StallAfter(100_000)));
    let options =
        Options { retries: 0, stall_timeout: Duration::from_millis(600), ..Options::default() };
    let run = fetch(&server.url("/x"), options);
    let error = run.result.as_ref().expect_err("the rest never comes");
    assert!(error.to_string().contains("sent nothing for 0.6 s"), "{error}");
    let silent = run.progress.iter().filter(|p| p.phase == Phase::Downloading);
    let longest = silent.map(|p| p.silence).max().expect("snapshots");
    assert!(longest >= Duration::from_millis(300), "{longest:?}");
}

#[test]
fn without_a_terminal_a_wait_is_told_once() {
    let server = scripted(vec![Rule::once(When::All, busy("2"))]);
    let ended = Scene::new().run(&["-o", "a.bin", &server.url("/x")]);
    let told = "a.bin: 503, trying again in 2 s as asked (1 of 5)\n";
    assert_eq!(ended.success().stderr.matches(told).count(), 1, "{ended:?}");
    assert_eq!(ended.stderr.matches("trying again").count(), 1, "{ended:?}");
}

#[test]
fn a_list_tells_its_waits_too() {
    let server = scripted(vec![Rule::once(When::All, busy("2"))]);
    let ended = Scene::new().run(&["-j", "1", &server.url("/x"), &server.url("/y")]);
    let told = "503, trying again in 2 s as asked (1 of 8)\n";
    assert_eq!(ended.success().stderr.matches(told).count(), 1, "{ended:?}");
    assert_eq!(ended.stderr.matches("trying again").count(), 1, "{ended:?}");
}

#[test]
fn a_retry_without_a_wait_is_told_as_such() {
    let lost = Rule::once(When::All, Fault::ResetAfter(100_000));
    let server = scripted(vec![lost]);
    let ended = Scene::new().run(&["-v", "-c", "1", "-o", "a", &server.url("/x")]);
    assert!(ended.success().stderr.contains("; trying again at once"), "{ended:?}");
    assert!(!ended.stderr.contains("0.0ns"), "{ended:?}");
}

#[test]
fn time_limits_say_how_long() {
    let server = serve(Config::new_tls(SEED, SIZE_BYTES).rule(When::All, Fault::StallOnAccept));
    let (scene, url) = (Scene::new(), server.url("/x"));
    let brief = ["-r", "0", "-k", "--connect-timeout", "300ms"];
    let line = scene.run(&[&brief[..], &[&url]].concat()).error_line(6).to_owned();
    assert!(line.contains("could not be connected to within 0.3 s"), "{line}");
    let server = serve(config().rule(When::All, Fault::StallBeforeHead));
    let brief = ["-r", "0", "--timeout", "300ms"];
    let line = scene.run(&[&brief[..], &[&server.url("/x")]].concat()).error_line(6).to_owned();
    assert!(line.contains("head of its answer within 0.3 s"), "{line}");
}

#[test]
fn a_changed_file_that_is_refused_does_not_start_over() {
    let broken = config().rule(When::FromRequest(3), Fault::ResetAfter(1000));
    let mut site = Site::strict(broken).with(|options| {
        options.connections = Some(1);
        options.chunk_bytes = Some(64 << 10);
        options.journal_interval = Duration::from_millis(10);
    });
    site.run().expect_err("it breaks");
    site.options.on_change = OnChange::Fail;
    site.replace_server(config().rule(When::All, Fault::ETag("\"new\"".into())));
    let error = site.run().expect_err("another file").to_string();
    assert!(error.contains("fetch the new one with --on-change restart"), "{error}");
    assert!(error.contains(" of the old one are kept until then"), "{error}");
    assert!(!error.contains("start again") && !error.contains("goes on from there"), "{error}");
}

#[test]
fn unchecked_certificates_are_told_where_there_are_any() {
    let (scene, plain) = (Scene::new(), serve(config()));
    let secure = serve(Config::new_tls(SEED, SIZE_BYTES));
    let warnings = |arguments: &[&str]| {
        let ended = scene.run(arguments);
        ended.success().stderr.matches("warning: --insecure: ").count()
    };
    let (http, https) = (plain.url("/x"), secure.url("/x"));
    assert_eq!(warnings(&["-k", "-o", "a", &http]), 0);
    assert_eq!(warnings(&["-k", "-o", "b", "-c", "4", &https]), 1);
    let hop = Fault::Redirect { status: 302, location: https.clone() };
    let hopping = serve(config().rule(When::All, hop));
    assert_eq!(warnings(&["-k", "-o", "c", &hopping.url("/x")]), 1, "a redirect led there");
    assert_eq!(warnings(&["-k", "-d", ".", &http, &plain.url("/y")]), 0);
    assert_eq!(warnings(&["-k", &plain.url("/z"), &secure.url("/w")]), 1);
}

#[test]
fn a_few_bytes_are_told_without_rates() {
    let server = serve(Config::new(SEED, 3));
    let ended = Scene::new().run(&["-o", "a", &server.url("/x")]);
    let lines: Vec<&str> = ended.success().stderr.lines().collect();
    let last = lines.last().expect("a closing line");
    assert!(last.starts_with("a: 3 B in ") && last.ends_with(", 1 connection, buffered"), "{last}");
}
