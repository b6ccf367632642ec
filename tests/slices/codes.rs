//! What engines make of exit codes: the scripts of 'ringhaul help clusters' name the codes of the
//! class that 'ringhaul help codes' gives them, and the codes of runs are of the right class.

use crate::common::scene::{ended, stop, wait};
use crate::common::tools::find_or_skip;
use crate::common::{Scene, eventually, status};
use crate::farm::{Farm, SOME_FAILED, SOME_MAY_PASS, assert_ended, at, many};
use ringhaul::server::{Config, Fault};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

const SLURM: &str = include_str!("../clusters/slurm.sh");
const JOB: &str = include_str!("../clusters/job.yaml");
const RAY: &str = include_str!("../clusters/slices_ray.py");
/// Another run has it.
const BUSY: i32 = 19;

/// The codes of a class by the help.
fn codes(class: &str) -> BTreeSet<u8> {
    let help = Scene::new().run(&["help", "codes"]).stdout;
    let rows = help.lines().filter(|line| line.contains(class));
    rows.filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
}

/// The numbers in the line of `text` that has `mark`.
fn numbers(text: &str, mark: &str) -> BTreeSet<u8> {
    let line = text.lines().find(|line| line.contains(mark));
    let line = line.unwrap_or_else(|| panic!("no {mark} in {text}"));
    let line = line.split('#').next().unwrap_or_default();
    line.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

/// The value behind `key` in the manifest.
fn value<'a>(key: &str) -> &'a str {
    let line = JOB.lines().find_map(|line| line.trim().trim_start_matches("- ").strip_prefix(key));
    line.unwrap_or_else(|| panic!("no {key}")).trim().trim_matches('"')
}

#[test]
fn scripts_name_the_codes_of_their_class_and_the_help_has_the_scripts() {
    let (permanent, again) = (codes("  permanent  "), codes("  try again  "));
    assert_eq!((permanent.len(), again.len()), (12, 16), "{permanent:?} {again:?}");
    assert_eq!(numbers(JOB, "values: ["), permanent);
    assert_eq!(numbers(RAY, "PERMANENT = {"), permanent);
    let signals = BTreeSet::from([129, 130, 137, 143]);
    assert_eq!(numbers(SLURM, "129 |"), signals);
    assert_eq!(numbers(SLURM, "3 | 4 |"), &again - &signals);
    let help = Scene::new().run(&["help", "clusters"]).stdout;
    for script in [SLURM, JOB, RAY] {
        for line in script.lines().filter(|line| !line.is_empty()) {
            assert!(help.contains(&format!("    {line}\n")), "{line}");
        }
    }
}

/// By the schema that comes with the Python package of that name; asks nobody.
#[test]
fn the_manifest_is_a_job_by_the_schema_of_kubernetes() {
    let left_out = "the manifest is not held against the schema";
    let Some(program) = find_or_skip("kubernetes-validate", false, left_out) else { return };
    let scene = Scene::new();
    let judged = |manifest: &str| {
        fs::write(scene.path().join("job.yaml"), manifest).expect("it is written");
        let mut command = Command::new(&program);
        command.args(["--strict", "job.yaml"]).current_dir(scene.path());
        ended(command)
    };
    let right = judged(JOB);
    assert_eq!(right.code, Some(0), "{right:?}");
    for (word, other) in [("backoffLimitPerIndex", "backoffLimitPerIndices"), ("\"8\"", "8")] {
        let wrong = judged(&JOB.replace(word, other));
        assert_ne!(wrong.code, Some(0), "{other} passes: {wrong:?}");
    }
}

/// Not a check of the schema: what binds the manifest to `--slice auto`.
#[test]
fn the_manifest_says_how_many_indices_there_are_and_what_kubernetes_demands() {
    assert_eq!(value("completionMode:"), "Indexed", "it sets JOB_COMPLETION_INDEX");
    assert!(JOB.contains("- name: JOB_COMPLETIONS\n"));
    assert_eq!(value("value:"), value("completions:"));
    assert!(value("args:").starts_with("[--slice, auto, "));
    assert_eq!(value("restartPolicy:"), "Never", "podFailurePolicy demands it");
    assert!(JOB.contains("backoffLimitPerIndex:"), "FailIndex demands it");
    assert!(JOB.contains(&format!("        - name: {}\n", value("containerName:"))));
}

#[test]
fn what_may_pass_wins_over_what_is_permanent_until_only_that_is_left() {
    let gone = || at("/gone", status(404, "no"), None);
    let busy = at("/busy", status(503, "no"), None);
    let mut farm = Farm::new(Config { script: vec![gone(), busy], ..many() });
    farm.write("list", farm.lines(&["/a", "/gone", "/busy"]));
    let run = ["-i", "list", "-r", "0", "--retry-wait", "1ms", "--slice", "1/1"];
    assert_ended(&farm.run(&run), SOME_MAY_PASS, &["2 failed (1 may pass)"]);
    farm.replace_server(Config { script: vec![gone()], ..many() });
    let again = "1 fetched, 1 unchanged, 1 failed (0 may pass)";
    assert_ended(&farm.run(&run), SOME_FAILED, &[again]);
}

#[test]
fn a_slice_that_is_still_running_is_to_be_tried_again() {
    let mut config = many();
    config.script = vec![at("/a", Fault::StallBeforeHead, None)];
    let farm = Farm::new(config);
    farm.write("list", farm.lines(&["/a"]));
    let run = ["-d", "out", "-i", "list", "--slice", "1/1"];
    let first = farm.scene.spawn(&run);
    eventually("the first one is at work", || farm.requests() > 0);
    let second = farm.scene.run(&run);
    let words = "another ringhaul is using list.ringhaul-state.slices/1-of-1";
    assert!(second.one_error_line(BUSY).contains(words), "{second:?}");
    assert_eq!(stop(first, Signal::TERM).code, Some(143));
    let again = wait(farm.scene.spawn(&["-d", "out", "-i", "list", "--slice", "2/2"]));
    assert_ended(&again, 0, &["slice 2 of 2: 0 files"]);
}
