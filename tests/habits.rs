//! What people type out of habit: every flag on the first page of other tools' help is decided, and
//! the program does with it what the lists in `tests/habits` say.
//!
//! A line of a list is a flag, what becomes of it, and a word for that, with TABs between them:
//! `ours` (the word is our long name of it), `taken` (the word is its value, maybe with what it
//! needs beside it), `refused` (the word is part of the advice), or `other`, which is an option of
//! ours that means something else (the word is its long name). A flag that is ours, too, may have a
//! value behind it that only the other tool's has.

mod common;

use common::{Place, SEED, Scene, Site, names};
use ringhaul::server::Config;
use std::fs;
use std::path::Path;

/// A URL that is refused once the flags in front of it have been understood.
const LATER_MISTAKE: &str = "ftp://h/";

#[test]
fn every_flag_of_the_first_pages_is_decided() {
    for (tool, flags_min) in [("curl", 22), ("aria2c", 45), ("wget", 195), ("axel", 30)] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/habits/{tool}.txt"));
        let list = fs::read_to_string(&path).expect("the list is there");
        let lines = list.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let lines: Vec<&str> = lines.collect();
        assert!(lines.len() >= flags_min, "{tool}: {}", lines.len());
        let help = Scene::new().run(&["--help"]).stdout;
        let wrong: Vec<String> = lines.iter().filter_map(|line| look(line, &help).err()).collect();
        assert!(wrong.is_empty(), "{tool}:\n{}", wrong.join("\n"));
    }
}

/// What is wrong with this line of a list.
fn look(line: &str, help: &str) -> Result<(), String> {
    let mut parts = line.split('\t');
    let mut part = || parts.next().unwrap_or_default();
    let (flag, decision, word) = (part(), part(), part());
    let has = |flag: &str| {
        let words = help.split(|c: char| c.is_whitespace() || "[]=,<.".contains(c));
        words.into_iter().any(|word| word == flag)
    };
    let stands = || {
        let both = format!("{flag}, --{word}");
        help.lines().any(|line| line.trim_start().starts_with(&both))
    };
    let is_fine = match decision {
        "ours" => has(flag) && (word.is_empty() || stands()),
        "other" => stands(),
        "taken" => {
            let words = word.split(' ').filter(|word| !word.is_empty());
            let mut arguments: Vec<&str> = std::iter::once(flag).chain(words).collect();
            arguments.push(LATER_MISTAKE);
            let ended = Scene::new().run(&arguments);
            !has(flag) && ended.one_error_line(2).contains("'ftp' is not supported")
        }
        "refused" => {
            let (flag, value) = flag.split_once(' ').unwrap_or((flag, ""));
            let values = value.split(' ').filter(|value| !value.is_empty());
            let arguments: Vec<&str> =
                std::iter::once(flag).chain(values).chain([LATER_MISTAKE]).collect();
            let ended = Scene::new().run(&arguments);
            let said = ended.one_error_line(2);
            let shown = flag.split('=').next().unwrap_or_default();
            let is_told = !word.is_empty() && said.contains(shown) && said.contains(word);
            is_told && (!has(flag) || !value.is_empty())
        }
        _ => false,
    };
    is_fine.then_some(()).ok_or_else(|| line.to_owned())
}

#[test]
fn commands_for_other_tools_do_what_they_say() {
    let site = Site::start(Config::new(SEED, 200_000));
    let url = site.url("/file.bin");
    for (arguments, name) in [
        (&["-fsSLO"][..], "file.bin"),
        (&["-L", "-C", "-", "-o", "out"], "out"),
        (&["-#", "--retry", "3", "--out=out"], "out"),
        (&["--continue", "--max-tries=5", "--dir=."], "file.bin"),
    ] {
        let scene = Scene::new();
        let arguments: Vec<&str> = arguments.iter().copied().chain([url.as_str()]).collect();
        let ended = scene.run(&arguments);
        ended.success();
        assert_eq!(names(scene.path()), [name], "{arguments:?}");
        let is_silent = arguments[0].contains('s');
        assert_eq!(ended.stderr.is_empty(), is_silent, "{ended:?}");
    }
}

#[test]
fn a_url_without_a_scheme_means_https_and_nothing_else() {
    let site = Site::start(Config::new_tls(SEED, 1000));
    let scene = Scene::new();
    let ended = scene.run(&["-k", &format!("127.0.0.1:{}/a.bin?token=x", site.port())]);
    ended.success();
    let note = "has no scheme: https:// is meant, http:// is not tried";
    assert_eq!(ended.stderr.matches(note).count(), 1, "{ended:?}");
    assert!(!ended.stderr.contains("token"), "{ended:?}");
    assert_eq!(scene.names(), ["a.bin"]);
    let ended = scene.run(&["-kq", &format!("127.0.0.1:{}/b.bin", site.port())]);
    assert_eq!(ended.success().stderr, "", "quiet");

    let plain = Site::start(Config::new(SEED, 1000));
    let place = format!("127.0.0.1:{}/c.bin", plain.port());
    let ended = scene.run(&["-r", "0", &place]);
    ended.error_line(23);
    assert_eq!(plain.heads().len(), 0, "nothing is asked over http");

    let both = format!("127.0.0.1:{}/d.bin", site.port());
    let other = format!("127.0.0.1:{}/e.bin", site.port());
    let ended = scene.run(&["-k", &both, &other]);
    ended.success();
    assert_eq!(ended.stderr.matches(note).count(), 1, "said once: {ended:?}");

    fs::write(scene.path().join("list.txt"), "").expect("a file");
    let ended = scene.run(&["list.txt"]);
    assert!(ended.one_error_line(2).contains("-i in front of a list"), "{ended:?}");
    fs::write(scene.path().join("x.meta4"), "").expect("a file");
    let ended = scene.run(&["x.meta4"]);
    assert!(ended.one_error_line(2).contains("Metalink"), "a Metalink may be a file: {ended:?}");
}

#[test]
fn the_referer_is_sent_without_what_is_private() {
    let site = Site::start(Config::new(SEED, 1000));
    let url = site.url("/file.bin");
    let scene = Scene::new();
    for arguments in [
        &["-e", "https://user:secret@page.example/a?b#c", "-o", "a"][..],
        &["--referer=https://page.example/a?b", "-o", "b"],
    ] {
        let arguments: Vec<&str> = arguments.iter().copied().chain([url.as_str()]).collect();
        scene.run(&arguments).success();
    }
    let heads = site.heads();
    assert!(heads.len() >= 2);
    for head in heads {
        assert!(head.contains("\r\nReferer: https://page.example/a?b\r\n"), "{head}");
    }
}
