//! Files of all sizes from servers of all kinds, good and bad: each file is whole or said to have
//! failed, and nothing else is left in the folder.

use crate::common::{Ended, eventually, scene, status, tools};
use crate::farm::{
    Farm, SIZE, SOME_FAILED, SOME_MAY_PASS, assert_ended, at, many, many_tls, sized,
};
use ringhaul::internal::base::size::{KIB, MIB};
use ringhaul::server::{Config, Fault, Rule, When};
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// Names and sizes around every bound that sizes have.
const SIZES: [(&str, u64); 8] = [
    ("/empty", 0),
    ("/byte", 1),
    ("/small", SIZE),
    ("/read", 128 * KIB),
    ("/read-and-byte", 128 * KIB + 1),
    ("/block", MIB),
    ("/block-and-byte", MIB + 1),
    ("/large", 3 * MIB + 3),
];

/// All of them are in the folder.
#[track_caller]
fn has_all_sizes(farm: &Farm) {
    let files: Vec<_> = SIZES.iter().map(|(path, size)| (&path[1..], *path, *size)).collect();
    farm.holds(&files);
}

fn all_sizes(farm: &Farm) -> String {
    farm.lines(&SIZES.map(|(path, _)| path))
}

/// Many small files, by the names of their URLs.
fn names() -> Vec<String> {
    (0..60).map(|number| format!("/{number:02}")).collect()
}

/// Fetches many small files; all of them are there.
#[track_caller]
fn survives(config: Config, arguments: &[&str]) -> (Farm, Ended) {
    let farm = Farm::new(config);
    let names = names();
    let paths: Vec<&str> = names.iter().map(String::as_str).collect();
    let ended = farm.fetch(farm.lines(&paths), arguments);
    ended.success();
    farm.has(&paths);
    let fired = farm.server.counts().fired;
    assert!(fired.iter().all(|count| *count > 0), "these faults happened: {fired:?}");
    (farm, ended)
}

#[test]
fn files_of_all_sizes_are_one_batch() {
    let mut sizes = SIZES.to_vec();
    sizes.push(("/huge", 20 * MIB));
    let farm = Farm::new(sized(many(), &sizes));
    let ended = farm.fetch(farm.lines(&["/huge"]) + &all_sizes(&farm), &[]);
    assert!(ended.success().stderr.contains("9 files: 9 fetched, 0 failed"), "{ended:?}");
    let files: Vec<_> = sizes.iter().map(|(path, size)| (&path[1..], *path, *size)).collect();
    farm.holds(&files);
}

#[test]
fn sizes_in_the_list_change_nothing_even_if_they_are_wrong() {
    for wrong in [false, true] {
        let farm = Farm::new(sized(many(), &SIZES));
        let other = |size: u64| if size > MIB { 10 } else { 10 * MIB };
        let said = |size: u64| if wrong { other(size) } else { size };
        let line = |(path, size): &(&str, u64)| {
            format!("{{\"url\":\"{}\",\"size\":{}}}\n", farm.url(path), said(*size))
        };
        farm.fetch(SIZES.iter().map(line).collect::<String>(), &[]).success();
        has_all_sizes(&farm);
    }
}

#[test]
fn https_carries_all_of_them() {
    let farm = Farm::new(sized(many_tls(), &SIZES));
    farm.write("ca.pem", farm.server.certificate_pem().expect("it has one"));
    assert_ended(&farm.fetch(all_sizes(&farm), &[]), 7, &["--ca-cert", "8 of 8 files failed"]);
    assert!(farm.files().is_empty(), "{:?}", farm.files());
    farm.fetch(all_sizes(&farm), &["--ca-cert", "ca.pem"]).success();
    has_all_sizes(&farm);
}

#[test]
fn servers_without_ranges_or_lengths_give_all_of_them() {
    for fault in [Fault::IgnoreRange, Fault::NoRangeSupport, Fault::Chunked, Fault::NoLength] {
        let farm = Farm::new(sized(many().rule(When::All, fault.clone()), &SIZES));
        let ended = farm.fetch(all_sizes(&farm), &[]);
        assert_eq!(ended.code, Some(0), "{fault:?} {ended:?}");
        has_all_sizes(&farm);
    }
}

#[test]
fn connections_that_end_behind_each_answer_are_replaced() {
    for announce in [true, false] {
        survives(many().rule(When::All, Fault::CloseAfterReply { announce }), &[]);
    }
}

#[test]
fn connections_that_break_are_replaced() {
    let close = Fault::CloseAfter { bytes: 7_000, close_notify: false };
    for fault in [Fault::ResetAfter(7_000), close, Fault::Garbage(b"what\r\n\r\n".to_vec())] {
        let mut config = many();
        let rule = |nth: u64| Rule::new(When::Request(nth), fault.clone());
        config.script = [1, 9, 30, 31, 47].map(rule).to_vec();
        survives(config, &[]);
    }
    let refuse = |nth: u64| Rule::new(When::Connection(nth), Fault::ResetOnAccept);
    survives(Config { script: vec![refuse(1), refuse(2)], ..many() }, &[]);
}

#[test]
fn a_file_that_always_breaks_fails_alone() {
    let cut = Fault::CloseAfter { bytes: 7_000, close_notify: true };
    for fault in [Fault::ResetAfter(7_000), cut, Fault::Garbage(b"what\r\n\r\n".to_vec())] {
        let mut config = many();
        config.script = vec![at("/bad", fault.clone(), None)];
        let farm = Farm::new(config);
        let ended = farm.fetch(farm.lines(&["/a", "/bad", "/b", "/c"]), &["-r", "1"]);
        assert_ended(&ended, SOME_MAY_PASS, &["out/bad: ", "1 failed (1 may pass)"]);
        farm.has(&["/a", "/b", "/c"]);
    }
}

#[test]
fn a_busy_server_is_asked_again_later() {
    let busy = |field: &str| Fault::Status {
        code: 503,
        headers: vec![("Retry-After".into(), field.into())],
        body: b"busy".to_vec(),
    };
    let mut config = many();
    config.script = vec![Rule { when: When::All, what: busy("1"), times: Some(3) }];
    let began = Instant::now();
    survives(config, &[]);
    assert!(began.elapsed() >= Duration::from_secs(1), "it was told to wait");
}

#[test]
fn statuses_of_errors_are_those_of_their_file() {
    let mut config = many();
    config.script = [(404, "/gone"), (403, "/mine"), (500, "/broken")]
        .map(|(code, path)| at(path, status(code, "an error page"), None))
        .to_vec();
    let farm = Farm::new(config);
    let list = farm.lines(&["/a", "/gone", "/mine", "/b", "/broken", "/c"]);
    let words = ["out/gone: ", "404", "out/mine: ", "403", "out/broken: ", "500"];
    assert_ended(&farm.fetch(list, &["-r", "0"]), SOME_MAY_PASS, &words);
    farm.has(&["/a", "/b", "/c"]);
    let missing = farm.fetch(farm.lines(&["/gone", "/gone/too"]), &[]);
    assert_ended(&missing, 8, &["2 of 2 files failed"]);
}

#[test]
fn redirects_are_followed_and_names_stay() {
    let other = Farm::new(sized(many(), &[("/far-large", 3 * MIB)]));
    let to =
        |path: &str, location: String| at(path, Fault::Redirect { status: 302, location }, None);
    let mut config = sized(many(), &[("/near-large", 3 * MIB)]);
    config.script = vec![
        to("/1", "/near".into()),
        to("/2", "/3".into()),
        to("/3", "/again".into()),
        to("/4", "/near-large".into()),
        to("/5", other.url("/far")),
        to("/6", other.url("/far-large")),
        to("/7", "/7".into()),
    ];
    let farm = Farm::new(config);
    let list = farm.lines(&["/0", "/1", "/2", "/4", "/5", "/6", "/7"]);
    let ended = farm.fetch(list + "  header=Authorization: Bearer mine\n", &["-H", "X-Any: 1"]);
    assert_ended(&ended, SOME_FAILED, &["out/7: ", "redirects", "1 of 7 files failed"]);
    farm.holds(&[
        ("0", "/0", SIZE),
        ("1", "/near", SIZE),
        ("2", "/again", SIZE),
        ("4", "/near-large", 3 * MIB),
        ("5", "/far", SIZE),
        ("6", "/far-large", 3 * MIB),
    ]);
}

#[test]
fn what_gives_rights_does_not_follow_to_another_origin() {
    let other = Farm::new(sized(many(), &[("/large", 3 * MIB)]));
    let to =
        |path: &str| at(path, Fault::Redirect { status: 307, location: other.url(path) }, None);
    let mut config = many();
    config.script = vec![to("/small"), to("/large")];
    let farm = Farm::new(config);
    let with = |path: &str, field: &str| format!("{}\n  header={field}\n", farm.url(path));
    let own = "Authorization: Bearer own";
    let list = with("/small", own) + &with("/large", own) + &farm.lines(&["/near"]);
    farm.fetch(list, &["-H", "Cookie: all=1", "-H", "X-Any: 1"]).success();
    farm.holds(&[("small", "/small", SIZE), ("large", "/large", 3 * MIB), ("near", "/near", SIZE)]);
    for path in ["/small", "/large"] {
        let asked = &farm.heads(path)[0];
        assert!(asked.contains("bearer own") && asked.contains("all=1"), "{asked}");
        for head in other.heads(path) {
            assert!(!head.contains("bearer") && !head.contains("all=1"), "{head}");
            assert!(head.contains("x-any: 1"), "{head}");
        }
    }
}

#[test]
fn each_file_has_the_credentials_of_its_own_url() {
    let needs = |path: &str, password: &str| {
        let (user, password) = ("me".to_owned(), password.to_owned());
        at(path, Fault::RequireBasicAuth { user, password }, None)
    };
    let mut config = sized(many(), &[("/two-large", 3 * MIB)]);
    config.script = vec![needs("/one", "first"), needs("/two", "second")];
    let farm = Farm::new(config);
    let with = |path: &str, user: &str| {
        farm.url(path).replace("http://", &format!("http://{user}@")) + "\n"
    };
    let own = "  header=Authorization: Basic bWU6Zmlyc3Q=\n";
    let list = with("/one", "me:first")
        + &with("/two", "me:second")
        + &with("/two-large", "me:second")
        + &farm.lines(&["/open"])
        + &with("/one-more", "me:wrong")
        + own
        + &farm.lines(&["/one-none"]);
    let ended = farm.fetch(list, &[]);
    assert_ended(&ended, SOME_FAILED, &["out/one-none: ", "401", "1 of 6 files failed"]);
    assert!(!ended.stderr.contains("second") && !ended.stderr.contains("wrong"), "{ended:?}");
    let large = ("two-large", "/two-large", 3 * MIB);
    let small = ["one", "two", "open", "one-more"];
    let paths = ["/one", "/two", "/open", "/one-more"];
    let mut files: Vec<_> = small.into_iter().zip(paths).map(|(n, path)| (n, path, SIZE)).collect();
    files.push(large);
    farm.holds(&files);
    assert!(!farm.heads("/open")[0].contains("authorization"));
}

#[test]
fn a_server_that_is_gone_fails_its_own_files_only() {
    let mut gone = Farm::new(many());
    let lines = gone.lines(&["/1", "/2", "/3"]);
    gone.server.stop();
    let farm = Farm::new(many());
    let ended = farm.fetch(lines.clone() + &farm.lines(&["/a", "/b"]), &[]);
    assert_ended(&ended, SOME_MAY_PASS, &["out/1: ", "cannot connect", "3 of 5 files failed"]);
    assert!(ended.stderr.contains("3 failed (3 may pass)"), "{ended:?}");
    let named = |number: u32| ended.stderr.contains(&format!("/{number}: cannot connect"));
    assert!(![1, 2, 3].into_iter().any(named), "no file is the cause of another's: {ended:?}");
    farm.has(&["/a", "/b"]);
    assert_eq!(farm.fetch(lines, &[]).code, Some(4));
}

#[test]
fn few_descriptors_are_enough() {
    let farm = Farm::new(sized(many(), &SIZES));
    let names = names();
    let paths: Vec<&str> = names.iter().map(String::as_str).collect();
    farm.write("list", all_sizes(&farm) + &farm.lines(&paths));
    let limited = tools::shell("ulimit -n 64");
    let command = farm.scene.command(&["-d", "out", "-i", "list"]);
    scene::ended(scene::wrapped(limited, &command)).success();
    assert_eq!(farm.files().len(), SIZES.len() + paths.len());
}

#[test]
fn mirrors_take_over() {
    let mut bad = sized(many(), &[("/bad-large", 3 * MIB)]);
    let cut = Fault::CloseAfter { bytes: 100, close_notify: true };
    bad.script = vec![at("/gone", status(404, "no"), None), at("/bad", cut, None)];
    let (bad, good) = (Farm::new(bad), Farm::new(sized(many(), &[("/large", 3 * MIB)])));
    let pairs = [("/gone", "/a"), ("/bad", "/b"), ("/bad-large", "/large"), ("/fine", "/c")];
    let line = |(from, or): (&str, &str)| format!("{}\t{}\n", bad.url(from), good.url(or));
    let ended = good.fetch(pairs.map(line).concat(), &["-r", "1"]);
    ended.success();
    let large = ("bad-large", "/large", 3 * MIB);
    good.holds(&[("gone", "/a", SIZE), ("bad", "/b", SIZE), large, ("fine", "/fine", SIZE)]);
    assert!(bad.heads("/a").is_empty() && bad.heads("/b").is_empty(), "each server its own");
}

#[test]
fn signals_leave_what_is_whole_and_nothing_else() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut config = sized(many(), &[("/stuck-large", 3 * MIB)]);
        config.script = vec![at("/stuck", Fault::StallAfter(5_000), None)];
        let farm = Farm::new(config);
        let mut names: Vec<String> = names();
        names.extend(["/stuck".into(), "/stuck-large".into()]);
        let paths: Vec<&str> = names.iter().map(String::as_str).collect();
        farm.write("list", farm.lines(&paths));
        let child = farm.scene.spawn(&["-d", "out", "-i", "list"]);
        eventually("the others are there", || {
            let files = farm.files();
            names[..60].iter().all(|name| files.iter().any(|file| *file == name[1..]))
        });
        let began = Instant::now();
        let ended = scene::stop(child, signal);
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        ended.error_line(code);
        let mut left = farm.files();
        // The large one goes on from there.
        left.retain(|name| !["stuck-large.part", "stuck-large.ringhaul"].contains(&name.as_str()));
        let expected: Vec<&str> = names[..60].iter().map(|name| &name[1..]).collect();
        assert_eq!(left, expected);
        farm.assert_disconnected();
        let before = farm.server.counts().requests;
        let again = farm.fetch(farm.lines(&paths[..60]), &[]);
        assert!(again.success().stderr.contains("0 fetched, 60 unchanged"), "{again:?}");
        assert_eq!(farm.requests_since(before), 60);
    }
}

#[test]
fn what_a_kill_leaves_is_taken_away_by_the_next_run() {
    let mut config = sized(many(), &[("/stuck-large", 3 * MIB)]);
    config.script = vec![at("/stuck", Fault::StallAfter(5_000), None)];
    let mut farm = Farm::new(config);
    let mut names: Vec<String> = names();
    names.push("/stuck".into());
    let paths: Vec<&str> = names.iter().map(String::as_str).collect();
    let list = farm.lines(&paths) + &farm.lines(&["/stuck-large"]);
    farm.write("list", &list);
    let child = farm.scene.spawn(&["-d", "out", "-i", "list"]);
    eventually("the others are there", || farm.files().len() >= 60);
    assert_eq!(scene::stop(child, Signal::KILL).code, None);
    farm.replace_server(sized(many(), &[("/stuck-large", 3 * MIB)]));
    farm.fetch(list, &[]).success();
    let small = paths.iter().map(|path| (&path[1..], *path, SIZE));
    farm.holds(&small.chain([("stuck-large", "/stuck-large", 3 * MIB)]).collect::<Vec<_>>());
}

#[test]
fn the_first_failure_ends_it_if_asked() {
    let mut config = many();
    config.script = vec![at("/gone", status(404, "no"), None)];
    let farm = Farm::new(config);
    let list = farm.lines(&["/gone"]) + &"\n".repeat(3) + &farm.lines(&["/a"]);
    let ended = farm.fetch(list, &["--fail-fast", "-j1"]);
    assert_ended(&ended, 8, &["404"]);
    let left = farm.files();
    assert!(left.is_empty() || left == ["a"], "{left:?}");
}

#[test]
fn each_way_to_be_durable_gives_the_same_files() {
    for sync in ["file", "batch", "none"] {
        let farm = Farm::new(sized(many(), &SIZES));
        let list = all_sizes(&farm) + &format!("{}\n  out=x/y\n", farm.url("/small"));
        farm.fetch(list, &["--sync", sync]).success();
        let mut files: Vec<_> =
            SIZES.iter().map(|(path, size)| (&path[1..], *path, *size)).collect();
        files.push(("x/y", "/small", SIZE));
        farm.holds(&files);
    }
}
