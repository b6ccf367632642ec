//! The folder as others read it: names, golden lines, and what fails before the first run.

use super::*;
use crate::bench::conclude::results::tests::results;

#[test]
fn a_folder_has_everything_and_is_rewritten_whole() {
    let scratch = tempfile::tempdir().unwrap();
    let create = || Export::create(scratch.path(), "a b/c", Some("abcdef"), false).unwrap();
    let export = create();
    let name = export.folder().file_name().unwrap().to_string_lossy().into_owned();
    assert!(name.ends_with("-a-b-c") && name.starts_with("20"), "{name}");
    let mut results = results();
    export.write(&results).unwrap();
    results.notes.push("later".to_owned());
    export.write(&results).unwrap();
    let mut names: Vec<String> = fs::read_dir(export.folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "README.md",
            "goodput.svg",
            "heatmap.svg",
            "latency.svg",
            "raw.csv",
            "summary.json",
            "summary.md",
            "timeline.svg"
        ]
    );
    let text = fs::read_to_string(export.folder().join("summary.md")).unwrap();
    assert!(text.contains("- later\n"), "{text}");
    assert_ne!(create().folder(), export.folder());
}

#[test]
fn a_tree_with_changes_publishes_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let create =
        |unpublished| Export::create(scratch.path(), "x", Some("abcdef-dirty"), unpublished);
    let error = create(false).err().expect("it is refused");
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("(abcdef-dirty)"), "{error}");
    assert!(error.to_string().contains("--unpublished"), "{error}");
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
    let export = create(true).unwrap();
    assert!(export.folder().to_str().unwrap().ends_with("-x-unpublished"));
    assert!(Export::create(scratch.path(), "x", None, false).is_ok(), "installed, without a tree");
}

#[test]
fn a_run_under_load_says_so_first() {
    let mut results = results();
    assert!(!summary(&results).contains("under load"));
    results.conditions.load.busy_before = Some(0.5);
    let warning = "**made under load, do not compare: others used 50 % of the processors before";
    let text = summary(&results);
    assert!(text.lines().nth(2).is_some_and(|line| line.starts_with(warning)), "{text}");
    assert!(readme(&results, &[]).contains(warning));
}

/// The new file had a name that anybody could foresee, and was opened through a link there.
#[test]
fn a_planted_link_is_not_followed() {
    let scratch = tempfile::tempdir().unwrap();
    let export = Export::create(scratch.path(), "x", None, false).unwrap();
    let (victim, planted) = (scratch.path().join("victim"), export.folder().join(".raw.csv.new"));
    fs::write(&victim, "theirs").unwrap();
    std::os::unix::fs::symlink(&victim, &planted).unwrap();
    export.write(&results()).unwrap();
    assert_eq!(fs::read(&victim).unwrap(), b"theirs");
    assert!(planted.is_symlink());
    assert!(export.folder().join("raw.csv").is_file());
}

#[test]
fn readme_names_the_conditions_and_shows_the_plots() {
    let results = results();
    let text = readme(&results, &plot::all(&results));
    for words in [
        "# 2026-01-02 03:04 UTC, the built-in server\n\n    ringhaul bench\n",
        "| ringhaul | 0.1.0, commit abcdef |",
        "| interface | loopback, MTU 65536, cubic |",
        "| file | 1.00 GiB, over HTTP, sink auto |",
        "| file system | ext4 on /dev/vda |",
        "| load average | 0.25 before, 1.50 after |",
        "| processors busy with other work | 1.0 % before, 2.0 % after |",
        "| time stolen by the hypervisor | 0.4 % |",
        "| memory | 8.00 GiB, 6.00 GiB available before |",
        "| governor | performance |",
        "| peers | curl 7.88.1 |",
        "**tie: auto is ahead",
        "](heatmap.svg)",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
}

#[test]
fn the_summary_keeps_its_schema() {
    let value: serde_json::Value = serde_json::from_str(&json(&results())).unwrap();
    let keys =
        |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&value), ["comparisons", "conditions", "notes", "rows", "schema", "verdict"]);
    assert_eq!(value["schema"], 1);
    assert_eq!(value["verdict"]["kind"], "tie");
    assert_eq!(value["verdict"]["names"][1], "16M x 4");
    let mut rows = keys(&value["rows"][0]);
    rows.sort();
    assert_eq!(
        rows,
        [
            "chunk_bytes",
            "connections",
            "context_switches_per_gib",
            "cpu_seconds",
            "cpu_seconds_per_gib",
            "failures",
            "files_per_second",
            "first_byte_ms",
            "goodput",
            "left_out",
            "name",
            "out_of_order",
            "peak_memory_bytes",
            "pushed_back",
            "retransmits",
            "runs",
            "span_ms",
            "verdict",
            "wall_seconds"
        ]
    );
    assert!(value["rows"][0]["goodput"]["interval"]["confidence"].as_f64() == Some(0.95));
    assert_eq!(value["conditions"]["machine"]["cores"], 2);
}

#[test]
fn every_run_is_a_line_of_as_many_fields() {
    let results = results();
    let text = csv::csv(&results.records);
    assert_eq!(text.matches(",1M x 1,").count(), 1, "given up after the first round");
    let line = text.lines().find(|line| line.contains("16M x 4")).unwrap();
    assert_eq!(
        line,
        "2.030,1,16M x 4,ringhaul,16777216,4,1073741824,2.030100,0.507525,0.507525,100,11,\
         41943040,2.007,2.007,2.007,2.007,10.047,10.047,10.047,10.047,2,1,1,2,,path: full,1"
    );
    assert!(text.contains(",\"exit \"\"code\"\", 5\",path: full,1\n"), "{text}");
    assert_eq!(text.lines().count(), 1 + results.records.len());
}

#[test]
fn an_unwritable_folder_fails_at_once() {
    let Err(error) = Export::create(Path::new("/proc/nowhere"), "x", None, false) else {
        panic!("in /proc")
    };
    assert_eq!(error.kind(), ErrorKind::TargetUnusable);
    assert!(error.to_string().contains("--out"), "{error}");
}
