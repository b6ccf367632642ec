//! What may stand under the journal's or the part file's name when a run begins.

use crate::common::run::assert_words;
use crate::common::{NAME, Place};
use crate::ground::{Ground, SIZE, fast};
use ringhaul::internal::disk::journal::format::{Flaw, decode};
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

/// Where the version stands, behind the words that tell a journal.
const VERSION_OFFSET: usize = 16;
const STEP_BYTES: usize = 100;

/// It is refused with exit code 14 and these words, and everything is as it was.
#[track_caller]
fn refused(ground: &Ground, more: &[&str], words: &[&str]) {
    let before = fs::read(ground.part()).ok();
    let names = ground.names();
    let server = fast();
    let ended = ground.run(&server, &[&["-q"], more].concat());
    assert_words(ended.one_error_line(14), &[&["(your side)"], words].concat());
    assert_eq!(ground.names(), names);
    assert_eq!(fs::read(ground.part()).ok(), before, "the part file is as it was");
    assert_eq!(server.stats().requests, 0, "nobody was asked before");
}

#[test]
fn a_journal_of_another_version_is_left_to_those_who_read_it() {
    let ground = Ground::new();
    ground.begin();
    let mut newer = fs::read(ground.journal()).unwrap();
    newer[VERSION_OFFSET] = 4;
    fs::write(ground.journal(), &newer).unwrap();
    refused(&ground, &[], &["version 4", "reads 1 and 3", "--no-resume"]);
    assert_eq!(fs::read(ground.journal()).unwrap(), newer);
    ground.finish(&["--no-resume"]);
}

#[test]
fn a_journal_cut_short_anywhere_is_damaged() {
    let ground = Ground::new();
    ground.begin();
    let whole = fs::read(ground.journal()).unwrap();
    assert!(decode(&whole).is_ok());
    for len in (0..whole.len()).step_by(STEP_BYTES) {
        assert_eq!(decode(&whole[..len]), Err(Flaw::Damaged), "the first {len} bytes");
    }
    for len in [0, STEP_BYTES, whole.len() - 1] {
        fs::write(ground.journal(), &whole[..len]).unwrap();
        refused(&ground, &[], &["is damaged", "start over with --no-resume"]);
        assert_eq!(fs::read(ground.journal()).unwrap(), whole[..len]);
    }
    assert_eq!(fs::metadata(ground.part()).unwrap().len(), SIZE);
    ground.finish(&["--no-resume"]);
}

#[test]
fn what_is_no_journal_is_not_touched() {
    let foreign = "is not a journal of ringhaul";
    for bytes in [vec![0; 100_000], b"my diary".to_vec()] {
        let ground = Ground::new();
        ground.begin();
        fs::write(ground.journal(), &bytes).unwrap();
        for more in [&[][..], &["--no-resume"], &["--no-journal"]] {
            refused(&ground, more, &[foreign, "rename it"]);
            assert_eq!(fs::read(ground.journal()).unwrap(), bytes);
        }
    }
    let ground = Ground::new();
    ground.begin();
    let elsewhere = ground.scene.path().join("elsewhere");
    fs::rename(ground.journal(), &elsewhere).unwrap();
    symlink(&elsewhere, ground.journal()).unwrap();
    refused(&ground, &[], &[foreign]);
    fs::remove_file(ground.journal()).unwrap();
    fs::create_dir(ground.journal()).unwrap();
    refused(&ground, &[], &[foreign]);
    fs::remove_dir(ground.journal()).unwrap();
    // Back under its name it is as good as before.
    fs::rename(&elsewhere, ground.journal()).unwrap();
    ground.finish_the_rest();
}

#[test]
fn what_is_no_file_is_no_part_file() {
    let ground = Ground::new();
    fs::create_dir(ground.part()).unwrap();
    refused(&ground, &[], &[".part is a folder", "rename or remove it"]);
    fs::remove_dir(ground.part()).unwrap();
    symlink("/dev/null", ground.part()).unwrap();
    refused(&ground, &[], &[".part is a symbolic link", "rename or remove it", "--force"]);
    fs::remove_file(ground.part()).unwrap();
    let made = Command::new("mkfifo").arg(ground.part()).status().expect("coreutils are there");
    assert!(made.success());
    let ended = ground.run(&fast(), &["-q"]);
    assert_words(ended.one_error_line(14), &[".part is not an ordinary file (your side)"]);
    assert_eq!(ground.names(), [format!("{NAME}.part")]);
}

#[test]
fn without_a_journal_none_is_left() {
    let ground = Ground::new();
    ground.begin();
    assert!(ground.finish(&["--no-journal"]) >= SIZE, "it knows nothing of what is there");
}
