//! What other programs and other users have under the names that a download takes besides its own,
//! and under those of the files that are written beside it: refused in one line and left as it is.

use crate::common::run::assert_words;
use crate::common::scene::ended;
use crate::common::{NAME, Place, SEED, serve, skipped, status};
use crate::ground::{Ground, SIZE, fast};
use ringhaul::server::{Config, Rule, Server, When};
use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, chown, lchown, symlink};
use std::path::Path;
use std::process::Command;

/// A user that nobody is.
const STRANGER: u32 = 64_001;
const UNKNOWN: &str = ".part is there, and nothing shows that ringhaul made it (your side)";
const ADVICE: &str = "rename or remove it, or choose another name with -o; --force replaces it";

/// A server that has no such file.
fn empty() -> Server {
    let gone = status(404, "");
    serve(Config { script: vec![Rule::new(When::All, gone)], ..Config::new(SEED, SIZE) })
}

/// Everything that could be changed about a file, and its bytes.
fn state(path: &Path) -> (u64, u32, u32, u64, i64, Vec<u8>) {
    let meta = fs::symlink_metadata(path).expect("it is there");
    let bytes = if meta.is_file() { fs::read(path).expect("it can be read") } else { Vec::new() };
    (meta.ino(), meta.mode(), meta.uid(), meta.nlink(), meta.mtime_nsec(), bytes)
}

/// It is refused with these words whatever the URL answers, before it is asked, and `theirs` is as
/// it was.
#[track_caller]
fn refused(ground: &Ground, theirs: &Path, words: &[&str]) {
    let (before, names) = (state(theirs), ground.names());
    for server in [fast(), empty()] {
        for more in [&[][..], &["--no-resume"], &["--no-journal"]] {
            let ended = ground.run(&server, &[&["-q"], more].concat());
            assert_words(ended.one_error_line(14), words);
            assert_eq!(state(theirs), before, "it is as it was: {more:?}");
            assert_eq!(ground.names(), names);
        }
        assert_eq!(server.stats().requests, 0, "nobody was asked before");
    }
}

#[test]
fn a_part_file_of_another_program_stays_byte_for_byte() {
    let large = vec![7; 100_000];
    for bytes in [&b"the browser's"[..], b"", &large] {
        let ground = Ground::new();
        fs::write(ground.part(), bytes).unwrap();
        refused(&ground, &ground.part(), &[UNKNOWN, ADVICE]);
        ground.finish(&["--force"]);
    }
}

/// Beside a journal of ours too, with the size and perhaps the inode that it names.
#[test]
fn a_journal_speaks_for_the_bytes_it_describes_and_no_others() {
    let ground = Ground::new();
    ground.begin();
    fs::remove_file(ground.part()).unwrap();
    fs::write(ground.part(), vec![7; usize::try_from(SIZE).unwrap()]).unwrap();
    refused(&ground, &ground.part(), &[UNKNOWN, ADVICE]);
    assert!(ground.finish(&["--force"]) >= SIZE);
}

#[test]
fn files_with_two_names_are_not_gone_on_with() {
    let ground = Ground::new();
    ground.begin();
    let other = ground.scene.path().join("other");
    fs::hard_link(ground.part(), &other).unwrap();
    refused(&ground, &ground.part(), &[".part has 2 hard links (your side)", ADVICE]);
    fs::remove_file(&other).unwrap();
    fs::hard_link(ground.journal(), &other).unwrap();
    let words = ["is not a journal", "it has 2 hard links (your side)", "rename it"];
    refused(&ground, &ground.journal(), &words);
    fs::remove_file(&other).unwrap();
    ground.finish_the_rest();
}

#[test]
fn files_of_another_user_are_not_gone_on_with() {
    if !rustix::process::geteuid().is_root() {
        skipped("only root can give a file to another user");
        return;
    }
    let ground = Ground::new();
    ground.begin();
    let whose = format!("belongs to the user with id {STRANGER} (your side)");
    chown(ground.part(), Some(STRANGER), None).unwrap();
    refused(&ground, &ground.part(), &[".part", &whose, ADVICE]);
    chown(ground.part(), Some(0), None).unwrap();
    chown(ground.journal(), Some(STRANGER), None).unwrap();
    let words = ["is not a journal", &format!("it {whose}"), "rename it"];
    refused(&ground, &ground.journal(), &words);
    chown(ground.journal(), Some(0), None).unwrap();
    ground.finish_the_rest();
    fs::remove_file(ground.target()).unwrap();
    // What replaces it is not the stranger's.
    ground.begin();
    chown(ground.part(), Some(STRANGER), None).unwrap();
    assert!(ground.finish(&["--force"]) >= SIZE);
    assert_eq!(fs::metadata(ground.target()).unwrap().uid(), 0);
}

#[test]
fn force_takes_the_name_and_writes_through_no_link() {
    let ground = Ground::new();
    let victim = ground.scene.path().join("victim");
    fs::write(&victim, "theirs").unwrap();
    for make in [
        &(|part: &Path| symlink(&victim, part).unwrap()) as &dyn Fn(&Path),
        &|part| fs::hard_link(&victim, part).unwrap(),
        &|part| assert!(Command::new("mkfifo").arg(part).status().unwrap().success()),
    ] {
        make(&ground.part());
        refused(&ground, &ground.part(), &[".part ", "(your side)", ADVICE]);
        ground.finish(&["--force"]);
        assert_eq!(fs::read(&victim).unwrap(), b"theirs");
        fs::remove_file(ground.target()).unwrap();
    }
    // Whoever has it open keeps what is in it.
    fs::write(ground.part(), "theirs").unwrap();
    let mut reader = fs::File::open(ground.part()).unwrap();
    ground.finish(&["--force"]);
    let mut bytes = String::new();
    reader.read_to_string(&mut bytes).unwrap();
    assert_eq!(bytes, "theirs");
    fs::create_dir(ground.part()).unwrap();
    let ended = ground.run(&fast(), &["-q", "--force"]);
    assert_words(ended.one_error_line(14), &[".part is a folder (your side)"]);
}

#[test]
fn a_trace_goes_where_it_is_sent_and_through_no_strangers_link() {
    let ground = Ground::new();
    let traced = |trace: &str| {
        let ended = ground.run(&fast(), &["-q", "--force", "--trace", trace]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended
    };
    let is_whole = |text: &str| text.contains(r#""event":"begin""#) && text.contains(r#""end""#);
    assert!(is_whole(&traced("/dev/stderr").stderr));
    assert!(is_whole(&traced("/dev/stdout").stdout));
    let pipe = ground.scene.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let own = pipe.clone();
    let reader = std::thread::spawn(move || fs::read_to_string(own).unwrap());
    traced(pipe.to_str().unwrap());
    assert!(is_whole(&reader.join().unwrap()));
    // A file that has another name as well: that one keeps its bytes.
    let (file, other) = (ground.scene.path().join("trace"), ground.scene.path().join("other"));
    fs::write(&other, "theirs").unwrap();
    fs::hard_link(&other, &file).unwrap();
    traced(file.to_str().unwrap());
    assert!(is_whole(&fs::read_to_string(&file).unwrap()));
    assert_eq!(fs::read(&other).unwrap(), b"theirs");
    if !rustix::process::geteuid().is_root() {
        skipped("only root can make a link of another user's");
        return;
    }
    let planted = ground.scene.path().join("planted");
    symlink(&other, &planted).unwrap();
    lchown(&planted, Some(STRANGER), None).unwrap();
    let trace = format!("--trace={}", planted.display());
    let ended = ground.run(&fast(), &["-q", "--force", &trace]);
    let whose = format!("it is a symbolic link of the user with id {STRANGER}");
    assert_words(ended.one_error_line(2), &["cannot create the trace", &whose]);
    assert_eq!(fs::read(&other).unwrap(), b"theirs");
}

/// A URL without the file is no reason to take anything away.
#[test]
fn what_is_ours_goes_as_it_came() {
    let ground = Ground::new();
    ended(ground.command(&empty(), &["-q"])).one_error_line(8);
    assert_eq!(ground.names(), [""; 0]);
    ground.begin();
    ended(ground.command(&empty(), &["-q"])).one_error_line(8);
    ground.assert_left_for_later();
    // Started over it is ours still.
    ended(ground.command(&empty(), &["-q", "--no-resume"])).one_error_line(8);
    assert_eq!(ground.names(), [""; 0]);
    fs::write(ground.target(), "mine").unwrap();
    ground.run(&fast(), &["-q"]).one_error_line(14);
    assert_eq!(ground.names(), [NAME]);
}
