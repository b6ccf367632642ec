//! No room: at the start, in the middle, for the journal alone, or not for one file of this size.

use crate::common::run::assert_words;
use crate::common::scene::{ended, wrapped};
use crate::common::tools::{shell, strace};
use crate::common::{NAME, Place, SEED, serve};
use crate::ground::{Ground, SIZE, fast, slow};
use crate::memory::Memory;
use ringhaul::internal::base::size::{KIB, MIB};
use ringhaul::server::{Config, Fault, When};
use std::process::Command;

/// With the journal, and room to spare.
const ENOUGH: u64 = SIZE + 2 * MIB;

/// A target on a file system of `bytes` bytes.
fn on_memory(bytes: u64) -> Option<(Memory, Ground)> {
    let memory = Memory::mount(bytes)?;
    let ground = Ground::within(memory.path());
    Some((memory, ground))
}

#[test]
fn a_disk_that_is_full_at_the_start_is_left_as_it_was() {
    let Some((memory, ground)) = on_memory(2 * MIB) else { return };
    let server = fast();
    let ended = ground.run(&server, &["-q"]);
    let words = ["cannot reserve", NAME, "2.00 MiB are free there", "(this machine); free space"];
    assert_words(ended.one_error_line(15), &words);
    assert!(ground.names().is_empty());
    memory.remount(&format!("size={ENOUGH}"));
    ground.finish(&[]);
}

/// Where space cannot be reserved, as on file systems without fallocate.
#[test]
fn a_disk_that_fills_up_in_the_middle_keeps_what_is_there() {
    let Some(mut strace) = strace() else { return };
    let Some((memory, ground)) = on_memory(2 * MIB) else { return };
    strace.args(["-e", "inject=fallocate:error=EOPNOTSUPP", "-e", "inject=fstatfs:error=ENOSYS"]);
    let ended = ended(wrapped(strace, &ground.command(&slow(), &["-q"])));
    let words = ["cannot write", ".part", "No space left", "(this machine)", "are kept"];
    assert_words(ended.one_error_line(15), &words);
    ground.assert_left_for_later();
    memory.remount(&format!("size={ENOUGH}"));
    ground.finish_the_rest();
}

#[test]
fn a_disk_with_room_for_the_file_alone_needs_no_journal() {
    let Some((_memory, ground)) = on_memory(SIZE.next_multiple_of(4 * KIB) + 8 * KIB) else {
        return;
    };
    let ended = ground.run(&slow(), &["-q"]);
    let words = [".ringhaul", "No space left", "(this machine)", "--no-journal"];
    assert_words(ended.one_error_line(15), &words);
    assert!(ground.names().is_empty());
    ground.finish(&["--no-journal"]);
}

#[test]
fn a_file_system_that_is_read_only_between_two_runs_loses_nothing() {
    let Some((memory, ground)) = on_memory(ENOUGH) else { return };
    ground.begin();
    memory.remount("ro");
    let ended = ground.run(&fast(), &["-q"]);
    assert_words(ended.one_error_line(14), &["cannot open", ".part", "Read-only", "(your side)"]);
    ground.assert_left_for_later();
    memory.remount("rw");
    ground.finish_the_rest();
}

/// Such a write brings SIGXFSZ, which ends a process that does not know better.
#[test]
fn a_limit_of_file_sizes_is_an_error_like_others() {
    let limited = |command: &Command| ended(wrapped(shell("ulimit -f 2048"), command));
    let ground = Ground::new();
    let ended = limited(&ground.command(&fast(), &["-q"]));
    assert_words(ended.one_error_line(15), &["cannot reserve", NAME, "ulimit -f"]);
    assert!(ground.names().is_empty());
    let stream = Config::new(SEED, SIZE).rule(When::All, Fault::NoRangeSupport);
    let ended = limited(&ground.command(&serve(stream.rule(When::All, Fault::Chunked)), &["-q"]));
    assert_words(ended.one_error_line(15), &["cannot write", NAME, "ulimit -f"]);
    assert!(ground.names().is_empty());
}
