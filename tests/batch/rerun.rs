//! What is there already is not fetched again: `--if-exists`, and the batch's journal.

use crate::common::{Ended, status};
use crate::farm::{Farm, SIZE, SOME_FAILED, assert_ended, digits, json_lines, many, sized};
use ringhaul::internal::base::size::MIB;
use ringhaul::server::{Config, EntityTag, Fault, Rule, When, content};
use serde_json::json;
use std::fs;
use std::time::{Duration, SystemTime};

const PATHS: [&str; 4] = ["/a", "/b", "/c", "/d"];
/// Where the state of `list` is by default.
const STATE: &str = "list.ringhaul-state";

/// A list that was fetched.
fn fetched() -> Farm {
    let farm = Farm::new(many());
    farm.fetch(farm.lines(&PATHS), &[]).success();
    farm.has(&PATHS);
    farm
}

/// The statuses of the answers from the request number `from` on.
fn statuses(farm: &Farm, from: usize) -> Vec<u16> {
    farm.stats().log[from..].iter().filter_map(|entry| entry.status).collect()
}

/// Puts another file of [`SIZE`] in the place of one of the folder.
fn spoil(farm: &Farm, name: &str) {
    let mut bytes = vec![0; usize::try_from(SIZE).expect("small")];
    content::fill(1, 0, &mut bytes);
    fs::write(farm.out().join(name), bytes).expect("it is ours");
}

#[test]
fn the_same_list_again_fetches_nothing() {
    let farm = fetched();
    let before = farm.server.counts();
    let ended = farm.fetch(farm.lines(&PATHS), &["--results", "results"]);
    assert!(ended.success().stderr.contains("4 files: 0 fetched, 4 unchanged, 0 failed"));
    farm.has(&PATHS);
    assert_eq!(farm.server.body_bytes(), before.body_bytes, "no body");
    assert_eq!(statuses(&farm, 4), [304; 4]);
    assert!(farm.json("results").iter().all(|line| line["status"] == "unchanged"));
    assert!(farm.scene.path().join(STATE).exists());
}

#[test]
fn a_list_of_digests_is_compared_without_the_server() {
    let farm = Farm::new(many());
    let line = |path: &str| format!("{}\n  checksum=sha-256={}\n", farm.url(path), digits(path));
    let list: String = PATHS.iter().map(|path| line(path)).collect();
    farm.fetch(&list, &["--no-state"]).success();
    assert!(!farm.scene.path().join(STATE).exists());
    let before = farm.requests();
    farm.fetch(&list, &["--no-state"]).success();
    farm.fetch(&list, &[]).success();
    assert_eq!(farm.requests_since(before), 0);
    spoil(&farm, "b");
    let ended = farm.fetch(&list, &[]);
    assert!(ended.success().stderr.contains("1 fetched, 3 unchanged"), "{ended:?}");
    farm.has(&PATHS);
    assert_eq!(farm.requests_since(before), 1);
}

#[test]
fn a_file_that_has_changed_at_the_server_is_fetched() {
    let farm = Farm::new(many().rule(When::FromRequest(5), Fault::ETag("\"new\"".into())));
    farm.fetch(farm.lines(&PATHS), &[]).success();
    spoil(&farm, "a");
    let ended = farm.fetch(farm.lines(&PATHS), &[]);
    assert!(ended.success().stderr.contains("4 files: 4 fetched, 0 failed"), "{ended:?}");
    farm.has(&PATHS);
    let ended = farm.fetch(farm.lines(&PATHS), &[]);
    assert!(ended.success().stderr.contains("0 fetched, 4 unchanged"), "{ended:?}");
}

#[test]
fn a_file_that_has_changed_here_is_fetched() {
    let farm = fetched();
    spoil(&farm, "b");
    fs::remove_file(farm.out().join("c")).expect("it is there");
    let ended = farm.fetch(farm.lines(&PATHS), &[]);
    assert!(ended.success().stderr.contains("2 fetched, 2 unchanged"), "{ended:?}");
    farm.has(&PATHS);
}

#[test]
fn a_list_that_has_changed_is_seen() {
    let farm = fetched();
    let other = format!("{}\n  out=a\n", farm.url("/other/a"));
    let list = other + &farm.lines(&["/b", "/c", "/e"]);
    let ended = farm.fetch(list, &[]);
    assert!(ended.success().stderr.contains("2 fetched, 2 unchanged"), "{ended:?}");
    let [b, c, d, e] = ["/b", "/c", "/d", "/e"].map(|path| (&path[1..], path, SIZE));
    farm.holds(&[("a", "/other/a", SIZE), b, c, d, e]);
}

#[test]
fn without_validators_the_journal_is_believed() {
    let farm = Farm::new(ringhaul::server::Config { etag: EntityTag::Absent, ..many() });
    farm.fetch(farm.lines(&PATHS), &[]).success();
    let before = farm.requests();
    farm.fetch(farm.lines(&PATHS), &[]).success();
    assert_eq!(farm.requests_since(before), 0);
    farm.fetch(farm.lines(&PATHS), &["--no-state"]).success();
    assert_eq!(farm.requests_since(before), 4, "nothing is known of what is there");
    farm.has(&PATHS);
}

#[test]
fn if_exists_says_what_becomes_of_a_file_that_is_there() {
    let farm = Farm::new(many());
    let list = farm.lines(&["/a", "/b"]);
    let run = |what: &str| {
        spoil(&farm, "a");
        let _ = fs::remove_file(farm.out().join("b"));
        farm.fetch(&list, &["--no-state", "--if-exists", what])
    };
    let is_spoiled = || {
        let bytes = fs::read(farm.out().join("a")).expect("it is there");
        content::verify(1, 0, &bytes).is_ok()
    };
    assert_ended(&run("fail"), SOME_FAILED, &["out/a exists", "--if-exists"]);
    assert!(is_spoiled());
    assert!(run("skip").success().stderr.contains("1 fetched, 1 unchanged"));
    assert!(is_spoiled());
    for what in ["replace", "check"] {
        run(what).success();
        farm.has(&["/a", "/b"]);
    }
    spoil(&farm, "a");
    farm.fetch(&list, &["--no-state", "--force"]).success();
    farm.has(&["/a", "/b"]);
}

#[test]
fn one_url_is_checked_too_when_asked() {
    let farm = Farm::new(many());
    let url = farm.url("/a");
    let run = |arguments: &[&str]| farm.run(&[&[url.as_str()], arguments].concat());
    run(&["--if-exists", "check", "--state", "state"]).success();
    farm.has(&["/a"]);
    let before = farm.server.body_bytes();
    run(&["--if-exists", "check", "--state", "state"]).success();
    assert_eq!((farm.server.body_bytes(), statuses(&farm, 1)), (before, vec![304]));
    let refused: Ended = run(&["--if-exists", "fail"]);
    assert_ended(&refused, 14, &["out/a exists"]);
    let sum = format!("sha256:{}", digits("/a"));
    spoil(&farm, "a");
    run(&["--if-exists", "check", "--checksum", &sum]).success();
    farm.has(&["/a"]);
    let requests = farm.requests();
    run(&["--if-exists", "check", "--checksum", &sum]).success();
    assert_eq!(farm.requests_since(requests), 0, "its digest says that it is the same");
    farm.run(&["-o", "b", "--if-exists", "skip", &url]).success();
    farm.holds(&[("a", "/a", SIZE), ("b", "/a", SIZE)]);
}

#[test]
fn the_state_is_where_it_is_asked_for() {
    let farm = Farm::new(many());
    let list = farm.lines(&["/a", "/b"]);
    farm.fetch(&list, &["--state", "elsewhere"]).success();
    let exists = |name: &str| farm.scene.path().join(name).exists();
    assert!(exists("elsewhere") && !exists(STATE));
    farm.fetch_piped(&list, &[]).success();
    let urls = ["/c", "/d", "/e"].map(|path| farm.url(path));
    farm.run(&[&urls[0], &urls[1]]).success();
    assert_eq!(farm.files(), ["a", "b", "c", "d"], "two URLs have no state");
    farm.run(&[&urls[0], &urls[1], &urls[2]]).success();
    assert_eq!(farm.files(), [".ringhaul-state", "a", "b", "c", "d", "e"]);
}

#[test]
fn a_state_that_is_none_or_in_use_is_refused() {
    let farm = Farm::new(many());
    let list = farm.lines(&["/a"]);
    farm.write("mine", "my own words\n");
    let ended = farm.fetch(&list, &["--state", "mine"]);
    assert_ne!(ended.code, Some(0));
    ended.error_line(ended.code.expect("no signal"));
    assert!(ended.stderr.contains("mine"), "{ended:?}");
    assert_eq!(farm.read("mine"), "my own words\n");
    assert_eq!((farm.requests(), farm.files().len()), (0, 0));
}

#[test]
fn files_have_the_time_of_the_server_if_asked() {
    let date = "Sat, 01 Jan 2000 00:00:00 GMT";
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(946_684_800);
    let dated = ringhaul::server::Config { last_modified: Some(date.into()), ..many() };
    let farm = Farm::new(crate::farm::sized(dated, &[("/large", 3 << 20), ("/empty", 0)]));
    let list = farm.lines(&["/a", "/large", "/empty"]);
    let modified = |name: &str| {
        let meta = fs::metadata(farm.out().join(name)).expect("it is there");
        meta.modified().expect("files have times")
    };
    farm.fetch(&list, &["-R"]).success();
    for name in ["a", "large", "empty"] {
        assert_eq!(modified(name), time, "{name}");
    }
    let before = farm.server.body_bytes();
    farm.fetch(&list, &["-R"]).success();
    assert_eq!(farm.server.body_bytes(), before, "it is known by that time");
    farm.fetch(&list, &["--if-exists", "replace"]).success();
    assert!(["a", "large", "empty"].iter().all(|name| modified(name) > time));
}

/// Sizes that the list gives are those of whole files, of which a part is here.
#[test]
fn what_a_run_before_has_left_is_not_expected_again() {
    const LARGE: u64 = 8 * MIB;
    let config = sized(many(), &[("/large", LARGE)]);
    let refused = Rule::new(When::RangeStartFrom(2 * MIB), status(404, ""));
    let mut farm = Farm::new(Config { script: vec![refused], ..config.clone() });
    let line = |path: &str, size| format!("{{\"url\":\"{}\",\"size\":{size}}}\n", farm.url(path));
    let list = line("/large", LARGE) + &line("/a", SIZE);
    let arguments = ["-c", "1", "--chunk-size", "512K"];
    assert_ne!(farm.fetch(&list, &arguments).code, Some(0));
    farm.replace_server(config);
    let ended = farm.fetch(&list, &[&arguments[..], &["--json"]].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let lines = json_lines(&ended.stdout);
    let last = lines.iter().rfind(|line| line["progress"].is_object()).expect("one at the end");
    let progress = &last["progress"];
    let bytes = progress["bytes"].as_u64().expect("a number");
    assert!((1..LARGE).contains(&bytes), "nothing was left: {ended:?}");
    assert_eq!((&progress["bytes_expected"], &progress["share"]), (&json!(bytes), &json!(1.0)));
    farm.holds(&[("a", "/a", SIZE), ("large", "/large", LARGE)]);
}
