//! Somebody else at our files while they are written: noticed within a barrier interval, not at the
//! end of a long download, and never the reason for wrong bytes.

use crate::common::run::assert_words;
use crate::common::scene::wait;
use crate::common::{Place, SEED, assert_content, eventually};
use crate::ground::{CHUNK_BYTES, Ground, SAMPLES_BYTES, SIZE, slow};
use ringhaul::server::Server;
use std::fs::{self, OpenOptions};
use std::process::Child;
use std::time::{Duration, Instant};

/// The slow server takes two seconds for the file.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A run that has made its journal.
fn running(ground: &Ground, server: &Server, more: &[&str]) -> Child {
    let child = ground.command(server, more).spawn().expect("the binary runs");
    eventually("there is a journal", || ground.journal().exists());
    child
}

/// What happens to the files of a run ends it soon, with exit code `code` and a line with `words`.
#[track_caller]
fn ends_when(ground: &Ground, happens: impl FnOnce(), code: i32, words: &[&str]) {
    let server = slow();
    let child = running(ground, &server, &["-q"]);
    happens();
    let began = Instant::now();
    let ended = wait(child);
    assert_words(ended.one_error_line(code), words);
    assert!(began.elapsed() < AT_ONCE, "it took {:?}", began.elapsed());
    assert!(!ground.target().exists());
}

#[test]
fn a_deleted_part_file_is_noticed() {
    let ground = Ground::new();
    let words = [".part was deleted or moved while it was written (this machine)"];
    ends_when(&ground, || fs::remove_file(ground.part()).unwrap(), 16, &words);
    ground.finish(&[]);
}

#[test]
fn a_truncated_part_file_is_noticed() {
    let ground = Ground::new();
    let cut = || OpenOptions::new().write(true).open(ground.part()).unwrap().set_len(9).unwrap();
    ends_when(&ground, cut, 16, &[".part was truncated while it was written (this machine)"]);
    ground.assert_left_for_later();
    ground.finish(&[]);
}

#[test]
fn a_replaced_part_file_is_noticed() {
    let ground = Ground::new();
    let other = ground.scene.path().join("other");
    fs::write(&other, [7; 100_000]).unwrap();
    let words = [".part was replaced while it was written (this machine)"];
    ends_when(&ground, || fs::rename(&other, ground.part()).unwrap(), 16, &words);
    assert_eq!(fs::read(ground.part()).unwrap(), [7; 100_000], "it is somebody else's");
    let ended = ground.run(&slow(), &["-q"]);
    assert_words(ended.one_error_line(14), &["nothing shows that ringhaul made it", "--force"]);
    assert_eq!(fs::read(ground.part()).unwrap(), [7; 100_000], "and stays so");
    ground.finish(&["--force"]);
}

#[test]
fn what_is_lost_is_not_said_to_be_kept() {
    let ground = Ground::new();
    let server = slow();
    let child = running(&ground, &server, &["-q"]);
    fs::remove_file(ground.part()).unwrap();
    let ended = wait(child);
    assert!(!ended.one_error_line(16).contains("kept"), "{ended:?}");
}

#[test]
fn a_removed_folder_is_noticed() {
    let ground = Ground::new();
    let words = [".part was deleted or moved", "(this machine)"];
    ends_when(&ground, || fs::remove_dir_all(ground.folder()).unwrap(), 16, &words);
    assert!(!ground.folder().exists());
}

#[test]
fn a_moved_folder_can_be_gone_on_with() {
    let ground = Ground::new();
    let elsewhere = ground.scene.path().join("elsewhere");
    let words = [".part was deleted or moved", "(this machine)"];
    ends_when(&ground, || fs::rename(ground.folder(), &elsewhere).unwrap(), 16, &words);
    let moved = Ground::within(elsewhere);
    moved.assert_left_for_later();
    moved.finish_the_rest();
}

#[test]
fn a_deleted_journal_is_made_anew() {
    let ground = Ground::new();
    let server = slow();
    let mut child = running(&ground, &server, &["-q"]);
    fs::remove_file(ground.journal()).unwrap();
    eventually("there is a journal again", || ground.journal().exists());
    child.kill().unwrap();
    child.wait().unwrap();
    ground.assert_left_for_later();
    ground.finish_the_rest();
}

#[test]
fn a_replaced_journal_is_left_alone() {
    let ground = Ground::new();
    let diary = ground.scene.path().join("diary");
    fs::write(&diary, "mine").unwrap();
    let words = [".ringhaul was replaced during the download (your side)"];
    ends_when(&ground, || fs::rename(&diary, ground.journal()).unwrap(), 14, &words);
    assert_eq!(fs::read(ground.journal()).unwrap(), b"mine");
    let ended = ground.run(&slow(), &["-q"]);
    assert_words(ended.one_error_line(14), &["is not a journal of ringhaul"]);
    fs::remove_file(ground.journal()).unwrap();
    ground.finish(&[]);
}

#[test]
fn a_target_that_appears_is_kept_and_so_is_the_download() {
    let ground = Ground::new();
    let server = slow();
    let child = running(&ground, &server, &["-q"]);
    fs::write(ground.target(), "theirs").unwrap();
    let words = ["appeared during the download (your side)", "the complete file is kept as"];
    assert_words(wait(child).one_error_line(14), &words);
    assert_eq!(fs::read(ground.target()).unwrap(), b"theirs");
    assert_content(&ground.part(), SEED, SIZE);
    let fetched = ground.finish(&["--force"]);
    assert!(fetched <= CHUNK_BYTES + SAMPLES_BYTES, "only its name was missing: {fetched}");
}

#[test]
fn a_second_ringhaul_says_so_and_touches_nothing() {
    let ground = Ground::new();
    // A journal of before stands, or there is none yet.
    for is_begun in [false, true] {
        if is_begun {
            ground.begin();
        }
        let server = slow();
        let first = ground.command(&server, &["-q"]).spawn().expect("the binary runs");
        eventually("the first one is at work", || server.body_bytes() > 0);
        for more in [&[][..], &["--force"], &["--no-resume"], &["--no-journal"]] {
            let ended = ground.run(&server, &[&["-q"], more].concat());
            let words = ["another ringhaul is writing", ".part", "(your side)"];
            assert_words(ended.one_error_line(19), &words);
        }
        wait(first).success();
        ground.assert_whole(SEED, SIZE);
        fs::remove_file(ground.target()).unwrap();
    }
}
