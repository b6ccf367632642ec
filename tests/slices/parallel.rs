//! GNU parallel runs the line that 'ringhaul help clusters' has: one slice waits for a server that
//! is silent, and is killed (SIGKILL) when all else is done; GNU parallel repeats it.

use crate::common::tools::find_or_skip;
use crate::common::{HANG_LIMIT, bounded, eventually_within, scene};
use crate::farm::{Farm, SIZE, at, digits, many};
use ringhaul::server::Fault;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Files of the list besides the two that are slow.
const FILES: usize = 198;
/// The server is silent for as long before it answers this one.
const LATE: (&str, Duration) = ("/late", Duration::from_millis(300));
/// The server never answers the first request for this one.
const STUCK: &str = "/stuck";

#[test]
fn gnu_parallel_repeats_a_slice_that_was_killed_and_every_file_comes_once() {
    let left_out = "slices are not run under it";
    if find_or_skip("parallel", true, left_out).is_none() {
        return;
    }
    let mut config = many();
    config.script = vec![
        at(STUCK, Fault::StallBeforeHead, Some(1)),
        at(LATE.0, Fault::DelayHead(LATE.1), None),
    ];
    let farm = Farm::new(config);
    let paths: Vec<String> = (0..FILES)
        .map(|number| format!("/f{number}"))
        .chain([LATE.0, STUCK].map(Into::into))
        .collect();
    let item = |path: &String| format!("{}\n  checksum=sha-256={}\n", farm.url(path), digits(path));
    farm.write("list.txt", paths.iter().map(item).collect::<String>());
    fs::create_dir(farm.scene.path().join("files")).expect("an output folder");

    let line = line_of_help(&farm);
    let child = command(&farm, &line).spawn().expect("a shell runs");
    let is_whole = |path: &&String| farm.scene.path().join("files").join(&path[1..]).exists();
    let others = || paths.iter().filter(is_whole).count() == paths.len() - 1;
    eventually_within(HANG_LIMIT, "all but one file are there", others);
    let waiting = || running_in(farm.scene.path());
    eventually_within(HANG_LIMIT, "one slice is left", || waiting().len() == 1);
    let stuck = Pid::from_raw(waiting()[0]).expect("a process");
    kill_process(stuck, Signal::KILL).expect("it is there");
    let ended = scene::wait(child);
    assert_eq!(ended.code, Some(0), "{ended:?}");

    farm_has(&farm, &paths);
    let mut requests = BTreeMap::new();
    for entry in farm.stats().log {
        *requests.entry(entry.target).or_insert(0) += 1;
    }
    let twice: Vec<_> = requests.iter().filter(|(_, count)| **count != 1).collect();
    assert_eq!(twice, [(&STUCK.to_owned(), &2)], "each once, and what was killed once more");

    let before = farm.requests();
    for line in [&line, &line.replace('8', "3")] {
        let ended = bounded("slices again", {
            let mut command = command(&farm, line);
            move || command.output().expect("a shell runs")
        });
        assert!(ended.status.success(), "{ended:?}");
    }
    assert_eq!(farm.requests_since(before), 0, "another number of slices asks for nothing again");
    farm_has(&farm, &paths);
}

/// The line of the help that runs GNU parallel.
fn line_of_help(farm: &Farm) -> String {
    let help = farm.scene.run(&["help", "clusters"]).stdout;
    let line = help.lines().map(str::trim).find(|line| line.contains("parallel -j 8"));
    line.unwrap_or_else(|| panic!("no such line in {help}")).to_owned()
}

/// A shell that runs `line` where the binary is found by its name.
fn command(farm: &Farm, line: &str) -> Command {
    let binary = Path::new(env!("CARGO_BIN_EXE_ringhaul")).parent().expect("it has a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("sh");
    shell.args(["-c", line]);
    let mut command = scene::wrapped(shell, &farm.scene.command(&[]));
    command.env("PATH", format!("{}:{path}", binary.display()));
    // It keeps notes on its own use, and has no business in the home of whoever runs this.
    command.env("PARALLEL_HOME", farm.scene.path()).env("RINGHAUL_SYNC", "none");
    command
}

/// The ringhauls that work in this folder.
fn running_in(folder: &Path) -> Vec<i32> {
    let folder = folder.canonicalize().expect("it is there");
    let processes = fs::read_dir("/proc").expect("the kernel lists processes");
    let numbers = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_ours = |number: &i32| {
        let is = |name: &str, path: &Path| {
            fs::read_link(format!("/proc/{number}/{name}")).is_ok_and(|found| found == path)
        };
        is("cwd", &folder) && is("exe", Path::new(env!("CARGO_BIN_EXE_ringhaul")))
    };
    numbers.filter(is_ours).collect()
}

/// All files are there, whole, and nothing else.
#[track_caller]
fn farm_has(farm: &Farm, paths: &[String]) {
    let folder = farm.scene.path().join("files");
    for path in paths {
        let seed = ringhaul::server::content::seed_at(crate::farm::SEED, path);
        crate::common::assert_content(&folder.join(&path[1..]), seed, SIZE);
    }
    assert_eq!(crate::common::names(&folder).len(), paths.len(), "nothing else");
}
