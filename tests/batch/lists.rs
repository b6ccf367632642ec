//! What lists say is what is fetched: their formats, their keys, and what is no list.

use crate::common::Ended;
use crate::farm::{Farm, SIZE, SOME_FAILED, assert_ended, digits, many};
use std::fs;
use std::os::unix::fs::symlink;

#[test]
fn several_urls_are_several_files() {
    let farm = Farm::new(many());
    let urls = ["/a/one.bin", "/b/two.bin", "/three%20.bin?x=1"].map(|path| farm.url(path));
    let ended = farm.run(&[&urls[0], &urls[1], &urls[2], "--no-state"]);
    assert!(ended.success().stderr.contains("3 files: 3 fetched, 0 failed"), "{ended:?}");
    let [one, two] = ["/a/one.bin", "/b/two.bin"];
    farm.holds(&[
        ("one.bin", one, SIZE),
        ("two.bin", two, SIZE),
        ("three .bin", "/three%20.bin", SIZE),
    ]);
}

#[test]
fn one_url_on_each_line() {
    let farm = Farm::new(many());
    let text =
        format!("# mine\n\n{}\n   \n# {}\n{}", farm.url("/a"), farm.url("/no"), farm.url("/b"));
    farm.fetch(&text, &[]).success();
    farm.has(&["/a", "/b"]);
}

#[test]
fn standard_input_is_a_list() {
    let farm = Farm::new(many());
    farm.fetch_piped(&farm.lines(&["/a", "/b", "/c"]), &[]).success();
    farm.has(&["/a", "/b", "/c"]);
}

#[test]
fn a_piped_list_that_ended_within_a_line_is_told() {
    let words = "warning: standard input ended within line 2: is it whole?";
    let farm = Farm::new(many());
    let list = farm.lines(&["/a", "/b-and-more"]);
    let cut = list.trim_end().strip_suffix("-and-more").expect("it ends so");
    let ended = farm.fetch_piped(cut, &[]);
    assert!(ended.success().stderr.contains(words), "{ended:?}");
    farm.has(&["/a", "/b"]);
    for whole in [list.as_str(), &farm.lines(&["/a"])] {
        let ended = farm.fetch_piped(whole, &[]);
        assert!(!ended.success().stderr.contains("whole?"), "{ended:?}");
    }
    let ended = farm.fetch(cut, &[]);
    assert!(!ended.success().stderr.contains("whole?"), "editors write files so: {ended:?}");
    let ended = farm.fetch_piped(&(farm.lines(&["/a"]) + "htt"), &[]);
    assert_ended(&ended, SOME_FAILED, &["standard input:2: ", "ended within line 2: is it whole?"]);
}

#[test]
fn several_lists_and_urls_are_one_batch() {
    let farm = Farm::new(many());
    farm.write("more", farm.lines(&["/c", "/d"]));
    farm.fetch(farm.lines(&["/a", "/b"]), &["-i", "more", &farm.url("/e")]).success();
    farm.has(&["/a", "/b", "/c", "/d", "/e"]);
}

#[test]
fn options_under_a_url_are_those_of_its_file() {
    let farm = Farm::new(many());
    let (a, b, sum) = (farm.url("/a"), farm.url("/b"), digits("/a"));
    let text = format!(
        "{a}\t{b}\n  out=x/first.bin\n  dir=deep/er\n  checksum=sha-256={sum}\n  \
         header=X-Mine: yes\n  user-agent=me/1\n{b}\n"
    );
    farm.fetch(&text, &["-A", "all/1", "-H", "X-All: 1"]).success();
    farm.holds(&[("b", "/b", SIZE), ("deep/er/x/first.bin", "/a", SIZE)]);
    let (of_a, of_b) = (farm.heads("/a"), farm.heads("/b"));
    assert!(of_a[0].contains("\r\nx-mine: yes\r\n") && !of_b[0].contains("x-mine"), "{of_a:?}");
    for (head, agent) in
        [(&of_a[0], "\r\nuser-agent: me/1\r\n"), (&of_b[0], "user-agent: all/1\r\n")]
    {
        assert!(head.contains(agent) && head.contains("\r\nx-all: 1\r\n"), "{head}");
        assert_eq!(head.matches("\r\nuser-agent:").count(), 1, "{head}");
    }
}

#[test]
fn json_lines_say_the_same() {
    let farm = Farm::new(many());
    let (a, b, sum) = (farm.url("/a"), farm.url("/b"), digits("/a"));
    let text = format!(
        "{{\"url\":\"{a}\",\"out\":\"x/y\",\"sha256\":\"{sum}\",\"size\":{SIZE},\
         \"headers\":[\"X-Mine: yes\"],\"user_agent\":\"me/1\"}}\n{{\"url\":\"{b}\"}}\n"
    );
    farm.fetch(&text, &[]).success();
    farm.holds(&[("x/y", "/a", SIZE), ("b", "/b", SIZE)]);
    let head = &farm.heads("/a")[0];
    assert!(
        head.contains("\r\nx-mine: yes\r\n") && head.contains("user-agent: me/1\r\n"),
        "{head}"
    );
}

#[test]
fn checksum_lines_need_a_base_and_are_checked() {
    let farm = Farm::new(many());
    let line = |sum: &str, name: &str| format!("{sum}  {name}\n");
    let text = line(&digits("/dir/a"), "a") + &line(&digits("/dir/sub/b"), "sub/b");
    assert_ended(&farm.fetch(&text, &[]), 2, &["--base-url"]);
    assert_eq!((farm.requests(), farm.files().len()), (0, 0));

    farm.fetch(&text, &["--base-url", &farm.url("/dir/")]).success();
    farm.holds(&[("a", "/dir/a", SIZE), ("sub/b", "/dir/sub/b", SIZE)]);

    let farm = Farm::new(many());
    let wrong = line(&digits("/dir/a"), "a") + &line(&digits("/dir/c"), "b");
    let ended = farm.fetch(&wrong, &["--base-url", &farm.url("/dir/")]);
    assert_ended(&ended, SOME_FAILED, &["out/b: ", "1 of 2 files failed"]);
    farm.holds(&[("a", "/dir/a", SIZE)]);
}

#[test]
fn a_wrong_checksum_keeps_the_name_free() {
    let farm = Farm::new(many());
    let (a, b, sum) = (farm.url("/a"), farm.url("/b"), digits("/b"));
    let ended = farm.fetch(format!("{a}\n checksum=sha-256={sum}\n{b}\n"), &[]);
    assert_ended(&ended, SOME_FAILED, &["out/a: ", "1 of 2 files failed"]);
    farm.has(&["/b"]);
    let only = Farm::new(many());
    let ended = only.fetch(format!("{a}\n checksum=sha-256={sum}\n"), &[]);
    assert_ended(&ended, 13, &["out/a: "]);
    assert!(only.files().is_empty());
}

#[test]
fn bad_lines_are_named_and_the_others_go_on() {
    let farm = Farm::new(many());
    let [a, b, c] = ["/a", "/b", "/c"].map(|path| farm.url(path));
    let long = "x".repeat(1 << 20);
    let text = format!(
        "{a}\nnonsense\nftp://h/x\n{b}\n  size=many\n  out=z\nhttp://\n{c}\n  tomorrow=yes\n\
         {c}/{long}\n"
    );
    let ended = farm.fetch(&text, &["-v"]);
    let words = ["list:2: ", "list:3: ", "list:5: ", "list:7: ", "list:10: ", "tomorrow"];
    assert_ended(&ended, SOME_FAILED, &words);
    farm.has(&["/a", "/c"]);
}

#[test]
fn line_ends_of_windows_and_a_byte_order_mark_do_no_harm() {
    let farm = Farm::new(many());
    let (a, b) = (farm.url("/a"), farm.url("/b"));
    farm.fetch(format!("\u{feff}{a}\r\n  out=x\r\n\r\n{b}\r\n"), &[]).success();
    farm.holds(&[("x", "/a", SIZE), ("b", "/b", SIZE)]);
}

#[test]
fn what_is_no_list_is_one_error() {
    let farm = Farm::new(many());
    let refused = |ended: Ended, words: &[&str]| {
        assert_ended(&ended, 2, words);
        assert_eq!((farm.requests(), farm.files().len()), (0, 0), "{ended:?}");
    };
    refused(farm.fetch("# nothing\n\n", &[]), &["list", "names nothing"]);
    refused(farm.fetch("", &[]), &["names nothing"]);
    refused(farm.fetch_piped("", &[]), &["standard input", "names nothing"]);
    refused(farm.fetch(b"\x7fELF\x00\x01\x02\x00", &[]), &["list:1", "binary"]);
    refused(farm.fetch("<html>\n", &[]), &["HTML"]);
    refused(farm.run(&["-i", "out"]), &["is a folder"]);
    refused(farm.run(&["-i", "missing"]), &["cannot read the list missing"]);
}

#[test]
fn one_target_is_one_file() {
    let farm = Farm::new(many());
    let [a, b, c] = ["/a", "/b", "/c/a"].map(|path| farm.url(path));
    let ended = farm.fetch(format!("{a}\n{a}\n{b}\n  out=./a\n{c}\n  out=c\n{c}\n"), &["-j1"]);
    assert_ended(
        &ended,
        SOME_FAILED,
        &["line 2: an earlier", "out/a: line 3: an", "out/a: line 7: an", "3 of 5 files failed"],
    );
    farm.holds(&[("a", "/a", SIZE), ("c", "/c/a", SIZE)]);
}

#[test]
fn targets_stay_in_the_folder() {
    let farm = Farm::new(many());
    let elsewhere = farm.scene.path().join("elsewhere");
    fs::create_dir(&elsewhere).expect("a folder");
    fs::create_dir(farm.out().join("real")).expect("a folder");
    symlink("../elsewhere", farm.out().join("leads-away")).expect("a link");
    let item = |path: &str, out: &str| format!("{}\n  out={out}\n", farm.url(path));
    let bad = ["../a", "/tmp/ringhaul-a", "x/../../a", "leads-away/a", "leads-away/b/a"];
    let text: String = bad.iter().map(|out| item("/a", out)).collect();
    let ended = farm.fetch(text + &item("/fine", "real/fine"), &[]);
    assert_ended(&ended, SOME_FAILED, &["line 1", "line 3", "line 5", "5 of 6 files failed"]);
    fs::remove_file(farm.out().join("leads-away")).expect("it is still a link");
    farm.holds(&[("real/fine", "/fine", SIZE)]);
    assert_eq!(fs::read_dir(&elsewhere).expect("a folder").count(), 0);
    assert!(!farm.scene.path().join("a").exists());
}

#[test]
fn folders_are_made_unless_they_must_be_there() {
    let farm = Farm::new(many());
    let text = format!("{}\n  out=new/a\n{}\n", farm.url("/a"), farm.url("/b"));
    let ended = farm.fetch(&text, &["--no-create-dirs"]);
    assert_ended(&ended, SOME_FAILED, &["new", "1 of 2 files failed"]);
    farm.has(&["/b"]);
    farm.fetch(&text, &[]).success();
    farm.holds(&[("new/a", "/a", SIZE), ("b", "/b", SIZE)]);
}

#[test]
fn what_is_for_one_file_is_refused_for_several() {
    let farm = Farm::new(many());
    let (a, b) = (farm.url("/a"), farm.url("/b"));
    let sum = format!("sha256:{}", digits("/a"));
    for arguments in [
        &["-o", "x", &a, &b][..],
        &["--checksum", &sum, &a, &b],
        &["--print-digest", "sha256", &a, &b],
    ] {
        let ended = farm.scene.run(arguments);
        ended.one_error_line(2);
    }
    farm.write("list", farm.lines(&["/a"]));
    farm.scene.run(&["-o", "x", "-i", "list"]).one_error_line(2);
    farm.run(&["-i", "-", "-i", "-"]).one_error_line(2);
    assert_eq!((farm.requests(), farm.files().len()), (0, 0));
}

/// Sizes of a list are hints, and their sum has to be counted.
#[test]
fn sizes_beyond_all_measure_do_no_harm() {
    let farm = Farm::new(many());
    let line =
        |path: &str, size: u64| format!("{{\"url\":\"{}\",\"size\":{size}}}\n", farm.url(path));
    let list = line("/a", u64::MAX) + &line("/b", u64::MAX) + &line("/c", SIZE);
    farm.fetch(list, &[]).success();
    farm.has(&["/a", "/b", "/c"]);
}
