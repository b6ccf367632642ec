//! Files whose server says nothing hold back no others: what was asked for behind them, on one
//! connection, comes by another.

use crate::common::{eventually_within, scene};
use crate::farm::{Farm, at, many, sized};
use ringhaul::internal::base::size::MIB;
use ringhaul::server::{Config, Fault};
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// The others take a second or two, what is stuck is waited for 30 seconds.
const PROMPT: Duration = Duration::from_secs(12);
const FILES: usize = 1000;

/// Fetches these paths, of which those that begin with `/stuck` never come: the time until all
/// others are there.
fn others_take(config: Config, paths: &[String], arguments: &[&str]) -> (Farm, Duration) {
    let farm = Farm::new(config);
    let lines: String = paths.iter().map(|path| farm.url(path) + "\n").collect();
    farm.write("list", lines);
    let others = paths.iter().filter(|path| !path.starts_with("/stuck"));
    let others: Vec<_> = others.map(|path| farm.out().join(&path[1..])).collect();
    let began = Instant::now();
    let child = farm.scene.spawn(&[&["-d", "out", "-i", "list"], arguments].concat());
    eventually_within(PROMPT, "all others are there", || others.iter().all(|path| path.exists()));
    let elapsed = began.elapsed();
    scene::stop(child, Signal::INT).error_line(130);
    farm.assert_disconnected();
    (farm, elapsed)
}

fn paths(stuck: &[usize]) -> Vec<String> {
    let path = |number: usize| match stuck.contains(&number) {
        true => format!("/stuck-{number}"),
        false => format!("/{number:03}"),
    };
    (0..FILES).map(path).collect()
}

#[test]
#[allow(clippy::print_stdout, reason = "the long form shows its figures")]
fn a_file_that_is_stuck_holds_back_no_other() {
    for fault in [Fault::StallAfter(5000), Fault::StallBeforeHead] {
        let mut config = many();
        config.script = vec![at("/stuck", fault, None)];
        let (farm, elapsed) = others_take(config, &paths(&[500]), &[]);
        println!("all others after {elapsed:?}");
        let again = farm.requests() - FILES as u64;
        assert!(again <= 7, "only what was behind it is asked for again: {again} files");
    }
}

#[test]
fn neither_do_more_of_them_than_there_are_lanes() {
    let mut config = many();
    config.script = vec![at("/stuck", Fault::StallBeforeHead, None)];
    others_take(config, &paths(&[0, 1, 2, 3, 4, 5, 6, 300, 301, 302]), &[]);
}

#[test]
fn a_file_that_is_stuck_holds_back_no_other_where_files_are_large() {
    let mut paths: Vec<String> = (0..20).map(|number| format!("/large-{number}")).collect();
    let sizes: Vec<_> = paths.iter().map(|path| (path.as_str(), MIB + 1)).collect();
    let mut config = sized(many(), &sizes);
    config.script = vec![at("/stuck", Fault::StallBeforeHead, None)];
    paths.insert(1, "/stuck".to_owned());
    others_take(config, &paths, &[]);
}

#[test]
fn an_answer_that_only_takes_its_time_is_waited_for() {
    let mut config = many();
    let pause = Fault::DelayHead(Duration::from_millis(2500));
    config.script = vec![at("/slow", pause, None)];
    let farm = Farm::new(config);
    farm.fetch(farm.lines(&["/a", "/slow", "/b", "/c", "/d"]), &["-j", "2"]).success();
    farm.has(&["/a", "/slow", "/b", "/c", "/d"]);
    assert_eq!(farm.heads("/slow").len(), 1);
}
