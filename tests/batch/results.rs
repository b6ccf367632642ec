//! What programs and people read of a batch: results, log, `--json`, the exit code.

use crate::common::status;
use crate::farm::{Farm, SIZE, SOME_FAILED, assert_ended, at, digits, json_lines, many, sized};
use ringhaul::internal::base::size::MIB;
use ringhaul::server::Fault;
use serde_json::{Value, json};

/// A server without what is at `/sick`, with a large file.
fn sick() -> Farm {
    let mut config = sized(many(), &[("/large", 3 * MIB), ("/sick-large", 3 * MIB)]);
    config.script = vec![at("/sick", status(404, "no"), None)];
    Farm::new(config)
}

/// The line of the file with this path.
fn of<'a>(lines: &'a [Value], path: &str) -> &'a Value {
    let found: Vec<_> = lines.iter().filter(|line| line["path"] == path).collect();
    assert_eq!(found.len(), 1, "{path} in {lines:#?}");
    found[0]
}

#[test]
fn results_have_a_line_for_each_file() {
    let farm = sick();
    let item = format!("{}\n  out=x/y\n  checksum=sha-256={}\n", farm.url("/a"), digits("/a"));
    let list = item + &farm.lines(&["/large", "/sick", "/sick-large"]) + "nonsense\n";
    assert_ended(&farm.fetch(list, &["--results", "results"]), SOME_FAILED, &["3 of 5 files"]);
    let lines = farm.json("results");
    assert_eq!(lines.len(), 5, "{lines:#?}");
    let (a, large, sick) = (of(&lines, "out/x/y"), of(&lines, "out/large"), of(&lines, "out/sick"));
    let expected = json!({
        "url": farm.url("/a"), "status": "done", "path": "out/x/y", "bytes": SIZE, "retries": 0,
        "digest": format!("sha256:{}", digits("/a")), "error": null,
        "validator": a["validator"], "seconds": a["seconds"],
    });
    assert_eq!(a, &expected);
    assert!(a["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{a}");
    assert!(a["validator"].as_str().is_some_and(|tag| tag.starts_with('"')), "{a}");
    assert_eq!((&large["status"], &large["bytes"]), (&json!("done"), &json!(3 * MIB)));
    assert!(large["validator"].is_string() && large["digest"].is_null(), "{large}");
    for line in [sick, of(&lines, "out/sick-large"), of(&lines, "")] {
        assert_eq!((&line["status"], &line["digest"]), (&json!("failed"), &Value::Null), "{line}");
    }
    let error = &sick["error"];
    assert_eq!((&error["kind"], &error["http_status"]), (&json!("status"), &json!(404)), "{error}");
    assert_eq!(error["may_pass"], false);
    assert_eq!(of(&lines, "")["error"]["kind"], "usage");
}

#[test]
fn results_go_to_standard_output_too() {
    let farm = sick();
    let ended = farm.fetch(farm.lines(&["/a", "/sick", "/large"]), &["--results", "-"]);
    assert_eq!(ended.code, Some(SOME_FAILED), "{ended:?}");
    let lines = json_lines(&ended.stdout);
    assert_eq!(lines.len(), 3);
    assert_eq!(of(&lines, "out/sick")["url"], json!(farm.url("/sick")));
}

#[test]
fn failed_lines_are_a_list_that_fetches_them() {
    let mut farm = sick();
    let item = |path: &str, more: &str| format!("{}\n{more}", farm.url(path));
    let sum = format!("  out=deep/sick\n  checksum=sha-256={}\n", digits("/sick"));
    let list = item("/a", "")
        + &item("/sick", &format!("{sum}  header=X-Mine: yes\n  user-agent=me/1\n"))
        + &item("/sick-large", "  dir=other\n")
        + &item("/large", "");
    let ended = farm.fetch(list, &["--results", "results", "--no-state"]);
    assert_ended(&ended, SOME_FAILED, &["2 of 4 files failed"]);
    farm.holds(&[("a", "/a", SIZE), ("large", "/large", 3 * MIB)]);
    let failed: String = {
        let results = farm.read("results");
        let lines = results.lines().filter(|line| line.contains("\"failed\""));
        lines.map(|line| format!("{line}\n")).collect()
    };
    farm.replace_server(sized(many(), &[("/sick-large", 3 * MIB)]));
    let ended = farm.fetch(failed, &["--no-state"]);
    assert!(ended.success().stderr.contains("2 files: 2 fetched, 0 failed"), "{ended:?}");
    farm.holds(&[
        ("a", "/a", SIZE),
        ("deep/sick", "/sick", SIZE),
        ("large", "/large", 3 * MIB),
        ("other/sick-large", "/sick-large", 3 * MIB),
    ]);
    let head = &farm.heads("/sick")[0];
    assert!(head.contains("x-mine: yes\r\n") && head.contains("user-agent: me/1\r\n"), "{head}");
}

#[test]
fn the_log_has_a_line_for_each_event_and_grows() {
    let mut config = many();
    config.script =
        vec![at("/sick", status(404, "no"), None), at("/weak", Fault::ResetAfter(9_000), Some(2))];
    let farm = Farm::new(config);
    // The reset would take an answer before it along that has not been read.
    let list = farm.lines(&["/weak", "/a?token=sesame", "/sick"]);
    let run = || farm.fetch(&list, &["--log-file", "log"]);
    assert_eq!(run().code, Some(SOME_FAILED));
    let log = farm.read("log");
    let line = |word: &str, name: &str| {
        let name = format!(": out/{name} from http://");
        let found = log.lines().find(|line| line.contains(word) && line.contains(&name));
        found.unwrap_or_else(|| panic!("no {word} of {name} in {log}")).to_owned()
    };
    assert!(line(" success, 20000 bytes in ", "a").contains("B/s"), "{log}");
    assert!(line(" retry 1 in ", "weak").contains("broke"), "{log}");
    line(" success, 20000 bytes in ", "weak");
    assert!(line(" failure, 0 bytes in ", "sick").contains("404"), "{log}");
    let is_dated = |line: &str| line.starts_with("20") && line.as_bytes()[10] == b'T';
    assert!(log.lines().all(is_dated) && !log.contains("sesame"), "{log}");
    assert_eq!(run().code, Some(SOME_FAILED));
    let longer = farm.read("log");
    assert!(longer.starts_with(&log) && longer.contains(" unchanged: out/a from"), "{longer}");
}

#[test]
fn json_tells_progress_and_results_of_lists_and_of_one_url() {
    let farm = sick();
    farm.write("list", farm.lines(&["/a", "/large", "/sick"]));
    let url = farm.url("/b");
    for (arguments, files, failed) in [(&["-i", "list"][..], 3, 1), (&[url.as_str()], 1, 0)] {
        let ended = farm.run(&[arguments, &["--json"]].concat());
        assert_eq!(ended.code, Some(if failed > 0 { SOME_FAILED } else { 0 }), "{ended:?}");
        let mut lines = json_lines(&ended.stdout);
        let summary = &lines.pop().expect("the last line")["summary"];
        assert_eq!(
            (&summary["files_done"], &summary["files_failed"]),
            (&json!(files - failed), &json!(failed)),
            "{ended:?}"
        );
        assert_eq!(summary.get("limited_by"), Some(&Value::Null), "{ended:?}");
        let (progress, results): (Vec<_>, Vec<_>) =
            lines.iter().partition(|line| line["progress"].is_object());
        let last = &progress.last().expect("one at the end")["progress"];
        assert_eq!(
            (&last["share"], &last["files_failed"]),
            (&json!(1.0), &json!(failed)),
            "{ended:?}"
        );
        assert_eq!(results.len(), files, "{ended:?}");
        let count = |status: &str| results.iter().filter(|line| line["status"] == status).count();
        assert_eq!((count("done"), count("failed")), (files - failed, failed), "{ended:?}");
        assert!(!progress.is_empty() && progress[0]["progress"]["bytes"].is_u64(), "{ended:?}");
    }
}

#[test]
fn what_cannot_be_written_is_said_before_anything_is_fetched() {
    let farm = Farm::new(many());
    for option in ["--results", "--log-file"] {
        let ended = farm.fetch(farm.lines(&["/a"]), &[option, "missing/file"]);
        assert!(ended.error_line(14).contains("missing/file"), "{ended:?}");
    }
    assert_eq!((farm.requests(), farm.files().len()), (0, 0));
}

#[test]
fn the_exit_code_tells_all_some_and_none() {
    let farm = sick();
    let code = |paths: &[&str]| farm.fetch(farm.lines(paths), &["--no-state"]).code;
    assert_eq!(code(&["/a", "/b"]), Some(0));
    assert_eq!(code(&["/a", "/sick"]), Some(SOME_FAILED));
    assert_eq!(code(&["/sick", "/sick-large"]), Some(8));
    let mixed = farm.lines(&["/sick"]) + "nonsense\n";
    assert_eq!(farm.fetch(mixed, &[]).code, Some(SOME_FAILED), "failed, but not alike");
    assert_eq!(farm.fetch("nonsense\nftp://h/x\n", &[]).code, Some(2));
    assert_eq!(farm.run(&[&farm.url("/sick"), &farm.url("/sick?2")]).code, Some(SOME_FAILED));
    let quiet = farm.fetch(farm.lines(&["/sick", "/c"]), &["-q"]);
    assert_eq!(quiet.stderr, "ringhaul: error: 1 of 2 files failed\n");
}
