//! A disk that fills up in the middle of a batch: all of it ends in one line, what is done stands
//! and is recorded, and once there is room the same command does the rest.

use crate::common::run::assert_words;
use crate::common::scene::ended;
use crate::common::serve;
use crate::ground::{FILE_BYTES, Ground, many, urls};
use crate::memory::Memory;
use ringhaul::internal::base::size::MIB;
use std::fs;

const FILES: u64 = 1500;
/// Room for a third of the files.
const ROOM_BYTES: u64 = FILES / 3 * FILE_BYTES;
const ENOUGH_BYTES: u64 = FILES * FILE_BYTES + 8 * MIB;
const DISK_FULL_CODE: i32 = 15;

#[test]
fn a_disk_that_is_full_ends_a_batch_and_what_is_done_stands() {
    is_full(false);
}

/// The journal has no more room than the files.
#[test]
fn a_disk_that_is_full_for_the_journal_too_loses_no_more() {
    is_full(true);
}

fn is_full(has_journal: bool) {
    let Some(memory) = Memory::mount(ROOM_BYTES) else { return };
    let folder = memory.path().join("out");
    fs::create_dir(&folder).expect("an empty file system has room");
    let ground = Ground::within(folder);
    let server = serve(many(FILES));
    ground.list(urls(&server.url("/"), FILES));
    let state = if has_journal { memory.path() } else { ground.scene.path().to_owned() };
    let state = state.join("state").display().to_string();
    // Barriers come early enough for some files to have their names when the disk is full.
    let arguments = ["--state", &state, "--sync", "file"];
    let run = || ended(ground.command(&arguments));
    let full = run();
    assert_words(full.error_line(DISK_FULL_CODE), &["No space left", "(this machine)"]);
    let standing = ground.standing(true).files;
    assert!(standing > 0 && standing < FILES, "{standing} files stand");

    memory.remount(&format!("size={ENOUGH_BYTES}"));
    let fetched_before = server.body_bytes();
    let rest = run();
    assert_eq!(rest.code, Some(0), "{rest:?}");
    assert_eq!(ground.standing(true).files, FILES);
    let fetched = (server.body_bytes() - fetched_before) / FILE_BYTES;
    assert!(fetched <= FILES - standing, "{fetched} fetched, {standing} were there");
}
