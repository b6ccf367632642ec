//! A bench whose folder runs out of space while it measures.

use crate::common::scene::wait;
use crate::common::{Place, Scene};
use crate::memory::Memory;
use ringhaul::internal::base::size::MIB;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

/// What a bench of 1 MiB wants, and a little more.
const ROOM: u64 = 20 * MIB;

/// Takes all that is free now.
fn fill(path: &Path) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).expect("a file");
    let zeros = vec![0; 64 * 1024];
    while file.write_all(&zeros).is_ok() {}
}

#[test]
fn a_bench_whose_folder_fills_up_ends_with_what_it_has() {
    let Some(memory) = Memory::mount(ROOM) else { return };
    let scene = Scene::new();
    let folder = format!("--dir={}", memory.path().display());
    let mut command = scene.command(&["bench", "--size=1M", "--chunks=256K", "--connections=1"]);
    command.args(["--runs=1000", "--out=r", "--unpublished", &folder]);
    let mut child = command.spawn().expect("the binary runs");
    let mut lines = Vec::new();
    // The file of the run that has begun meanwhile has its space already.
    for line in BufReader::new(child.stderr.take().expect("a pipe")).lines() {
        lines.push(line.expect("text"));
        if lines.last().is_some_and(|line| line.starts_with("round ")) {
            fill(&memory.path().join("others"));
        }
    }
    let ended = wait(child);
    assert_eq!(ended.code, Some(15), "{lines:?}");
    let last = lines.last().expect("the error");
    for words in ["failed, and there is no room: ", " free, each run needs 17.00 MiB", "--dir"] {
        assert!(last.contains(words), "{words}: {last}");
    }
    assert!(ended.stdout.contains("note: the bench ended early: "), "{ended:?}");
    assert_eq!(scene.names(), ["r"]);
    let mut left = std::fs::read_dir(memory.path()).expect("the folder");
    assert_eq!(left.next().expect("an entry").expect("its name").file_name(), "others");
    assert!(left.next().is_none(), "its own files are gone");
}
