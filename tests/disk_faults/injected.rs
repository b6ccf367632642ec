//! System calls that fail on the way of a download: syncs, names, reserved space, reading back.

use crate::common::run::assert_words;
use crate::common::scene::{ended, wrapped};
use crate::common::tools::strace;
use crate::common::{Ended, NAME, Place, SEED, checksum};
use crate::ground::{CHUNK_BYTES, Ground, SAMPLES_BYTES, SIZE, fast, slow};
use ringhaul::server::Server;

/// A system call that fails.
struct Failing<'a> {
    call: &'a str,
    error: &'a str,
    /// The number of the call within its thread, from 1; `1+` is every call.
    when: &'a str,
    /// Only calls on the part file count.
    is_of_part: bool,
}

impl Failing<'_> {
    /// Runs a download in which it fails; how that ended, and the calls of this name.
    fn run(&self, ground: &Ground, server: &Server, more: &[&str]) -> Option<(Ended, Vec<String>)> {
        let Failing { call, error, when, .. } = self;
        let log = ground.scene.path().join("calls");
        let mut strace = strace()?;
        strace.arg("-o").arg(&log).args(["-e", &format!("trace={call}")]);
        strace.args(["-e", &format!("inject={call}:error={error}:when={when}")]);
        if self.is_of_part {
            strace.arg("-P").arg(ground.part());
        }
        let ended = ended(wrapped(strace, &ground.command(server, &[&["-q"], more].concat())));
        let log = std::fs::read_to_string(log).expect("strace writes its log");
        let calls: Vec<String> = log.lines().map(str::to_owned).collect();
        assert!(log.contains("(INJECTED)"), "{call} did not fail: {ended:?}\n{log}");
        Some((ended, calls))
    }
}

/// How errors of the disk end: the name of each, exit code, and whose side it is on.
const ENDS: [(&str, i32, &str); 4] = [
    ("EIO", 16, "(this machine); check the disk and the kernel log"),
    ("ENOSPC", 15, "(this machine); free space"),
    ("EDQUOT", 15, "(this machine); free space"),
    ("EROFS", 14, "(your side); make it writable again"),
];

/// The side alone, where the advice is a special one.
fn before_advice(side: &str) -> &str {
    side.split_once(';').map_or(side, |(side, _)| side)
}

#[test]
fn a_sync_that_fails_is_the_last_one() {
    for (error, code, side) in ENDS {
        let ground = Ground::new();
        let failing = Failing { call: "fdatasync", error, when: "2", is_of_part: true };
        let Some((ended, calls)) = failing.run(&ground, &slow(), &[]) else { return };
        assert_words(ended.one_error_line(code), &["cannot sync", ".part", side, "are kept"]);
        let failed = calls.iter().rposition(|line| line.contains("(INJECTED)"));
        let last = calls.iter().rposition(|line| line.contains("fdatasync("));
        assert!(last <= failed, "synced again: {calls:#?}");
        ground.assert_left_for_later();
        ground.finish_the_rest();
    }
}

#[test]
fn a_first_sync_that_fails_leaves_nothing() {
    let ground = Ground::new();
    let failing = Failing { call: "fdatasync", error: "EIO", when: "1", is_of_part: true };
    let Some((ended, calls)) = failing.run(&ground, &slow(), &[]) else { return };
    let line = ended.one_error_line(16);
    assert!(!line.contains("are kept"), "{line}");
    assert_eq!(calls.iter().filter(|line| line.contains("fdatasync(")).count(), 1);
    assert!(ground.names().is_empty(), "no journal tells what of it is true");
    ground.finish(&[]);
}

#[test]
fn a_last_sync_that_fails_gives_no_name() {
    let ground = Ground::new();
    ground.begin();
    let failing = Failing { call: "fdatasync", error: "EIO", when: "1", is_of_part: true };
    let Some((ended, calls)) = failing.run(&ground, &fast(), &["--journal-interval=1h"]) else {
        return;
    };
    assert_words(ended.one_error_line(16), &["cannot sync", ".part", "are kept"]);
    assert_eq!(calls.iter().filter(|line| line.contains("fdatasync(")).count(), 1);
    ground.assert_left_for_later();
    ground.finish_the_rest();
}

/// The journal's own sync, after the part file's of the second barrier, and its names.
#[test]
fn a_journal_that_cannot_be_written_is_as_it_was() {
    let calls = [("fdatasync", "4"), ("pwrite64", "2"), ("fsync", "1")];
    for (call, when) in calls {
        let ground = Ground::new();
        let failing = Failing { call, error: "EIO", when, is_of_part: false };
        let Some((ended, _)) = failing.run(&ground, &slow(), &[]) else { return };
        assert_words(ended.one_error_line(16), &[NAME, "(this machine)"]);
        ground.assert_left_for_later();
        ground.finish_the_rest();
    }
}

#[test]
fn a_journal_that_gets_no_name_is_an_error() {
    for (error, code, side) in ENDS {
        let ground = Ground::new();
        let failing = Failing { call: "linkat", error, when: "1", is_of_part: false };
        let Some((ended, _)) = failing.run(&ground, &slow(), &[]) else { return };
        let side = before_advice(side);
        assert_words(ended.one_error_line(code), &["cannot create", ".ringhaul", side]);
        assert!(ground.names().is_empty());
        ground.finish(&[]);
    }
}

#[test]
fn a_complete_file_that_gets_no_name_is_kept() {
    for (error, code, side) in ENDS {
        let ground = Ground::new();
        let failing = Failing { call: "renameat2", error, when: "1", is_of_part: false };
        let Some((ended, _)) = failing.run(&ground, &fast(), &[]) else { return };
        let side = before_advice(side);
        let words = ["cannot rename", ".part", side, "the complete file is kept as"];
        assert_words(ended.one_error_line(code), &words);
        ground.assert_left_for_later();
        let fetched = ground.finish(&[]);
        assert!(fetched <= CHUNK_BYTES + SAMPLES_BYTES, "only its name was missing: {fetched}");
    }
}

#[test]
fn a_name_that_may_not_last_is_said_to_be_such() {
    let ground = Ground::new();
    let failing = Failing { call: "fsync", error: "EIO", when: "1", is_of_part: false };
    let Some((ended, _)) = failing.run(&ground, &fast(), &["--journal-interval=1h"]) else {
        return;
    };
    let words = ["cannot sync the folder", "is complete, but after a power failure"];
    assert_words(ended.one_error_line(16), &words);
    ground.assert_whole(SEED, SIZE);
}

#[test]
fn space_that_cannot_be_reserved_is_asked_for_first() {
    for (error, code, side) in ENDS {
        let ground = Ground::new();
        let failing = Failing { call: "fallocate", error, when: "1", is_of_part: true };
        let server = fast();
        let Some((ended, _)) = failing.run(&ground, &server, &[]) else { return };
        assert_words(ended.one_error_line(code), &["cannot reserve 4.00 MiB", side]);
        assert!(ground.names().is_empty());
    }
}

#[test]
fn bytes_that_cannot_be_read_back_stop_it_and_cost_nothing() {
    let ground = Ground::new();
    ground.begin();
    let checksum = format!("--checksum={}", checksum(SEED, SIZE));
    let failing = Failing { call: "pread64", error: "EIO", when: "1+", is_of_part: true };
    let Some((ended, _)) = failing.run(&ground, &fast(), &[&checksum]) else { return };
    let words = ["cannot read back", ".part", "(this machine); check the disk"];
    assert_words(ended.one_error_line(16), &words);
    ground.assert_left_for_later();
    let fetched = ground.finish(&[&checksum]);
    assert!(fetched < SIZE, "it starts from zero");
}
