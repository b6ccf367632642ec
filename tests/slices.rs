//! Slices of a list: each file is one slice's, whoever runs it, and what any slice has done stays
//! done for all others. By the binary, and under GNU parallel with the line that the help has.

mod common;

#[path = "slices/codes.rs"]
mod codes;
#[path = "batch/farm.rs"]
#[allow(dead_code, reason = "each test binary uses its own part")]
mod farm;
#[path = "slices/parallel.rs"]
mod parallel;

use common::Ended;
use farm::{Farm, SIZE, assert_ended, many, sized};
use ringhaul::internal::base::size::KIB;
use serde_json::Value;
use std::collections::BTreeSet;

/// Files of a list.
const FILES: usize = 60;

/// The paths of all files.
fn paths() -> Vec<String> {
    (0..FILES).map(|number| format!("/d{}/f{number}", number % 3)).collect()
}

/// A list of them, without sizes or digests, each with the folder that it is in.
fn list(farm: &Farm) -> String {
    let line = |path: &String| format!("{}\n  out={}\n", farm.url(path), &path[1..]);
    paths().iter().map(line).collect()
}

/// Runs all slices of `count` one after the other.
fn run_all(farm: &Farm, count: usize, arguments: &[&str]) -> Vec<Ended> {
    let slice = |index| {
        let slice = format!("{index}/{count}");
        let slice = ["-d", "out", "-i", "list", "--sync", "none", "--slice", &slice];
        let ended = farm.scene.run(&[&slice, arguments].concat());
        ended.success();
        assert!(ended.stderr.contains(&format!("slice {index} of {count}: ")), "{ended:?}");
        ended
    };
    (1..=count).map(slice).collect()
}

/// The folder has all files, whole, and nothing else.
#[track_caller]
fn has_all(farm: &Farm) {
    let paths = paths();
    let files: Vec<_> = paths.iter().map(|path| (&path[1..], path.as_str(), SIZE)).collect();
    farm.holds(&files);
}

#[test]
fn each_file_is_one_slices_and_another_number_of_slices_fetches_none_again() {
    let farm = Farm::new(many());
    farm.write("list", list(&farm));
    run_all(&farm, 4, &[]);
    has_all(&farm);
    assert_eq!(farm.requests(), FILES as u64, "each file once");
    let bytes = farm.server.body_bytes();
    for count in [4, 3, 1] {
        run_all(&farm, count, &[]);
    }
    run_all(&farm, 2, &["--slice-by", "bytes"]);
    let whole = farm.run(&["-i", "list"]);
    let unchanged = format!("{FILES} files: 0 fetched, {FILES} unchanged, 0 failed");
    assert!(whole.success().stderr.contains(&unchanged), "without slices: {whole:?}");
    assert_eq!(farm.server.body_bytes(), bytes, "not a byte again");
    has_all(&farm);
}

#[test]
fn results_log_and_progress_say_which_slice_it_is() {
    let farm = Farm::new(many());
    farm.write("list", list(&farm) + "nonsense\n");
    let told = ["--results", "results", "--log-file", "log"];
    let mut urls = BTreeSet::new();
    for index in 1..=3 {
        let slice = format!("{index}/3");
        let ended = farm.run(&[&["-i", "list", "--slice", &slice], &told[..]].concat());
        let said = format!("slice {index} of 3");
        for line in farm.json("results") {
            assert_eq!(line["slice"], said.strip_prefix("slice ").unwrap_or_default(), "{line}");
            assert!(urls.insert(line["url"].to_string()), "twice: {line}");
        }
        let log = farm.read("log");
        let lines = log.lines().filter(|line| line.contains(&format!("Z {said}: "))).count();
        assert!(lines >= 2, "{log}");
        // The bad line is nobody's, and the first one says it.
        let code = if index == 1 { farm::SOME_FAILED } else { 0 };
        assert_ended(&ended, code, &[&said]);
        let failed = format!("files of {said} failed");
        assert_eq!(ended.stderr.contains(&failed), index == 1, "{ended:?}");
    }
    assert_eq!(urls.len(), FILES + 1);
    farm.write("list", list(&farm));
    let json = farm.run(&["-i", "list", "--slice", "1/3", "--json"]);
    let lines = farm::json_lines(&json.stdout);
    let progress = lines.iter().find(|line| line["progress"].is_object()).expect("a line");
    assert_eq!(progress["progress"]["slice"], "1 of 3");
}

#[test]
fn by_bytes_the_large_files_are_apart_and_a_list_that_is_a_stream_is_refused() {
    let sizes: Vec<(String, u64)> =
        (0..4).map(|number| (format!("/large{number}"), (300 + number) * KIB)).collect();
    let sizes: Vec<(&str, u64)> = sizes.iter().map(|(path, size)| (path.as_str(), *size)).collect();
    let farm = Farm::new(sized(many(), &sizes));
    let line = |(path, size): &(&str, u64)| {
        format!("{{\"url\":\"{}\",\"size\":{size}}}\n", farm.url(path))
    };
    let small = |number: usize| format!("{{\"url\":\"{}\"}}\n", farm.url(&format!("/s{number}")));
    let list: String = sizes.iter().map(line).chain((0..20).map(small)).collect();
    farm.write("list", &list);
    let ended = run_all(&farm, 4, &["--slice-by", "bytes", "--results", "results"]);
    assert_eq!(ended.len(), 4);
    assert_eq!(farm.requests(), 24, "each file once");
    for index in 1..=4 {
        let slice = format!("{index}/4");
        let by_bytes = ["-i", "list", "--slice-by", "bytes", "--results", "results"];
        farm.run(&[&by_bytes[..], &["--slice", &slice]].concat()).success();
        let results = farm.json("results");
        let is_large = |line: &&Value| line["url"].to_string().contains("/large");
        let large = results.iter().filter(is_large).count();
        assert_eq!(large, 1, "slice {slice}: {results:#?}");
    }
    let piped = farm.fetch_piped(&list, &["--slice", "1/4", "--slice-by", "bytes"]);
    assert!(piped.error_line(2).contains("reads the list twice, and it is a stream"), "{piped:?}");
    let by_name = farm.fetch_piped(&list, &["--slice", "1/4"]);
    assert!(by_name.success().stderr.contains("slice 1 of 4"), "{by_name:?}");
}

#[test]
fn auto_says_which_variables_it_used_and_fails_in_words_without_any() {
    let farm = Farm::new(many());
    farm.write("list", list(&farm));
    let auto = |wish: &str, set: &[(&str, &str)]| {
        let starters = ["SLURM_", "JOB_COMPLETION", "OMPI_COMM_WORLD_", "PARALLEL_"];
        let arguments = ["-d", "out", "-i", "list", "--slice", wish];
        let mut command = farm.scene.command(&arguments);
        let is_starter = |name: &str| starters.iter().any(|prefix| name.starts_with(prefix));
        std::env::vars().filter(|(name, _)| is_starter(name)).for_each(|(name, _)| {
            command.env_remove(name);
        });
        command.envs(set.iter().copied());
        common::scene::ended(command)
    };
    let array = [
        ("SLURM_ARRAY_TASK_ID", "5"),
        ("SLURM_ARRAY_TASK_MIN", "1"),
        ("SLURM_ARRAY_TASK_MAX", "7"),
        ("SLURM_ARRAY_TASK_STEP", "2"),
        ("SLURM_ARRAY_TASK_COUNT", "4"),
        ("SLURM_PROCID", "0"),
        ("SLURM_NTASKS", "1"),
    ];
    let ended = auto("auto", &array);
    let by = "this is slice 3 of 4, by SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT";
    assert!(ended.success().stderr.contains(by), "{ended:?}");
    assert!(ended.stderr.contains("slice 3 of 4: "), "{ended:?}");
    let index = auto("auto/4", &[("JOB_COMPLETION_INDEX", "3")]);
    assert!(index.success().stderr.contains("slice 4 of 4, by JOB_COMPLETION_INDEX"), "{index:?}");
    let before = farm.requests();
    for (wish, set, why) in [
        ("auto", &[][..], "--slice auto finds none of the variables SLURM_ARRAY_TASK_ID, "),
        ("auto", &[("SLURM_PROCID", "x")], "the variable SLURM_PROCID is 'x', which is no number"),
        ("auto", &[("PARALLEL_SEQ", "1")], "nothing says of how many"),
        ("9/8", &[], "there is no slice 9/8"),
        ("0/8", &[], "they are 1/8 to 8/8"),
        ("a/b", &[], "not a slice"),
        ("auto/0", &[], "behind the slash is within 1 to 100000"),
    ] {
        let ended = auto(wish, set);
        assert!(ended.one_error_line(2).contains(why), "{ended:?}");
    }
    assert_eq!(farm.requests(), before);
}
