//! The trace as a file: off unless asked for, and refused before anything is fetched. What stands
//! in it is checked wherever a test downloads with `fetch_traced`.

use super::common::{SEED, Site, fetch, scratch, status};
use super::traced::fetch_traced;
use ringhaul::ErrorKind;
use ringhaul::Options;
use ringhaul::internal::base::size::MIB;
use ringhaul::server::{Config, When};

const SIZE: u64 = 3 * MIB + 5;

#[test]
fn an_unwritable_path_is_refused_before_anything_is_fetched() {
    let site = Site::start(Config::new(SEED, SIZE));
    let folder = scratch();
    for path in [folder.path().join("no/such/folder"), folder.path().to_owned()] {
        let run = site.fetch("/f", Options { trace: Some(path.clone()), ..site.options.clone() });
        let line = run.expect_error(ErrorKind::Usage).to_string();
        assert!(line.contains(&path.display().to_string()) && line.contains("--trace"), "{line}");
    }
    assert_eq!(site.stats().connections, 0);
}

#[test]
fn there_is_none_unless_asked_for() {
    let site = Site::start(Config::new(SEED, SIZE));
    assert_eq!(Options::default().trace, None);
    // The folder of the download holds the file alone, which `expect_file` checks.
    site.fetch("/f", site.options.clone()).expect_file(SEED, SIZE);
}

#[test]
fn an_earlier_trace_is_replaced() {
    let site = Site::start(Config::new(SEED, SIZE));
    let folder = scratch();
    let path = folder.path().join("trace");
    std::fs::write(&path, "x".repeat(1 << 20)).expect("a scratch file is written");
    let options = Options { trace: Some(path.clone()), ..site.options.clone() };
    site.fetch("/f", options).expect_file(SEED, SIZE);
    super::traced::Trace::read(&path, SIZE);
}

#[test]
fn a_failure_is_the_last_line_and_secrets_are_not_in_it() {
    let gone = status(404, "");
    let site = Site::start(Config::new(SEED, SIZE).rule(When::FromRequest(2), gone));
    let folder = scratch();
    let path = folder.path().join("trace");
    let url = site.url("/f?token=sesame").replace("://", "://user:sesame@");
    let options = Options { trace: Some(path.clone()), journal: false, ..site.options.clone() };
    let run = fetch(&url, options);
    let error = run.expect_error(ErrorKind::Status(404)).to_string();
    let text = std::fs::read_to_string(&path).expect("the trace is there");
    assert!(!text.contains("sesame"), "{text}");
    let last: serde_json::Value =
        serde_json::from_str(text.lines().last().expect("lines")).expect("the last line is JSON");
    assert_eq!((&last["event"], &last["outcome"]), (&"end".into(), &error.into()), "{text}");
}

#[test]
fn every_line_reads_back_over_https_too() {
    let site = Site::start(Config::new_tls(SEED, SIZE));
    let traced = fetch_traced(&site, site.options.clone(), SIZE);
    let is_well = |outcome: &str| ["ok", "cut", "aborted"].contains(&outcome);
    assert!(traced.trace.spans.iter().all(|span| is_well(&span.outcome)), "{:#?}", traced.trace);
}
