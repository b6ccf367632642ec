//! Kill -9 before each step that a run takes with its files, one after the other: whatever is left
//! is known as ours, so that the same command ends well then, and nothing else is left.

use crate::common::scene::{ended, wrapped};
use crate::common::tools::strace;
use crate::common::{NAME, Place, SEED, assert_content, at_once, serve, slowed};
use crate::ground::{Ground, SIZE};
use ringhaul::internal::base::size::MIB;
use ringhaul::server::{Config, Server};
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

/// The system calls that make, name, size, sync and remove files.
const CALLS: [&str; 14] = [
    "openat",
    "flock",
    "ftruncate",
    "fallocate",
    "pwrite64",
    "fdatasync",
    "fsync",
    "linkat",
    "rename",
    "renameat2",
    "unlink",
    "unlinkat",
    "fchmod",
    "statx",
];
/// Calls of one name that one thread makes with these files; with more of them a run goes on by
/// itself, as from one barrier to the next.
const CALLS_MAX: u32 = 8;
/// Names of calls that are looked at together: the runs wait for their server and the disk.
const CALLS_AT_ONCE: usize = 5;

/// Serves the file in a quarter of a second: a few barriers.
fn brisk() -> Server {
    serve(slowed(Config::new(SEED, SIZE), 16 * MIB))
}

/// Kills a run before its `nth` call of `call`; whether it came to that.
fn kill(ground: &Ground, call: &str, nth: u32, more: &[&str]) -> bool {
    let mut strace = strace().expect("it could be had before");
    strace.args(["-e", &format!("trace={call}")]);
    strace.args(["-e", &format!("inject={call}:signal=KILL:when={nth}")]);
    for path in [ground.part(), ground.journal(), ground.target()] {
        strace.arg("-P").arg(path);
    }
    strace.arg("-P").arg(ground.folder());
    let ended = ended(wrapped(strace, &ground.command(&brisk(), &[&["-q"], more].concat())));
    match ended.code {
        Some(0) => false,
        None => true,
        // strace ends as its child did.
        Some(137) => true,
        Some(_) => panic!("killed it does not say anything: {ended:?}"),
    }
}

#[track_caller]
fn killed_before_each_step(more: &[&str]) {
    if strace().is_none() {
        return;
    }
    let kills = AtomicU32::new(0);
    for calls in CALLS.chunks(CALLS_AT_ONCE) {
        at_once(calls, |call| {
            let killed = (1..=CALLS_MAX).take_while(|nth| is_killed_and_mended(call, *nth, more));
            kills.fetch_add(u32::try_from(killed.count()).expect("a few"), Ordering::Relaxed);
        });
    }
    let kills = kills.into_inner();
    assert!(kills >= 8, "only {kills} steps were seen");
}

/// Kills a run before this step and mends what is left; `false` if there is no such step.
fn is_killed_and_mended(call: &str, nth: u32, more: &[&str]) -> bool {
    let ground = Ground::new();
    let is_killed = kill(&ground, call, nth, more);
    let is_whole = ground.target().exists();
    if is_whole {
        assert_content(&ground.target(), SEED, SIZE);
    }
    if !is_killed {
        assert_eq!(ground.names(), [NAME], "before {call} {nth}");
        return false;
    }
    let left = ground.names();
    let again = if is_whole { &["-q", "--force"][..] } else { &["-q"] };
    let ended = ground.run(&brisk(), &[again, more].concat());
    assert_eq!(ended.code, Some(0), "before {call} {nth}, with {left:?}: {ended:?}");
    assert_content(&ground.target(), SEED, SIZE);
    assert_eq!(ground.names(), [NAME], "before {call} {nth}, with {left:?}");
    let mode = |path| fs::metadata(path).expect("it is there").permissions();
    fs::write(ground.folder().join("new"), "").expect("a file");
    let (target, new) = (ground.target(), ground.folder().join("new"));
    assert_eq!(mode(target), mode(new), "before {call} {nth}: it is an ordinary file");
    true
}

#[test]
fn what_a_kill_before_any_step_leaves_is_known_as_ours() {
    killed_before_each_step(&[]);
}

#[test]
fn what_a_kill_without_a_journal_leaves_is_known_as_ours() {
    killed_before_each_step(&["--no-journal"]);
}
