//! The example in Python (`ringhaul help programs`) as a user starts it: what it shows of one file,
//! of a list and of failures, and how it ends. Must not know more of `--json` than the example.

use crate::common::tools::run_example;
use crate::common::{SEED, Scene, serve, status};
use crate::farm::{Farm, SIZE, SOME_FAILED, at, many, sized};
use ringhaul::internal::base::size::MIB;
use ringhaul::server::{Config, Shape};
use std::path::Path;

/// The folder of the binary that is tested.
fn binaries() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_ringhaul")).parent().expect("a binary is in a folder")
}

/// The shares that were shown, in percent.
fn shares(shown: &str) -> Vec<u32> {
    let first_words = shown.lines().filter_map(|line| line.split_whitespace().next());
    first_words.filter_map(|word| word.strip_suffix('%')?.parse().ok()).collect()
}

#[test]
fn the_example_shows_one_file_growing() {
    let size = 3 * MIB;
    let total_bytes_per_second = Some(4 * MIB);
    let shape = Shape { total_bytes_per_second, ..Shape::default() };
    let (scene, server) = (Scene::new(), serve(Config { shape, ..Config::new(SEED, size) }));
    let arguments = ["-o", "grown", &server.url("/x")];
    let Some(ended) = run_example(&scene, binaries(), &arguments) else { return };
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    let shares = shares(&ended.stdout);
    assert!(shares.is_sorted() && shares.last() == Some(&100), "{ended:?}");
    assert!(shares.iter().any(|share| (1..100).contains(share)), "progress on the way: {ended:?}");
    assert!(ended.stdout.contains("\n  grown: "), "the file under way: {ended:?}");
    let lines: Vec<&str> = ended.stdout.lines().rev().take(3).collect();
    assert!(lines[1].starts_with("100% "), "{ended:?}");
    assert_eq!((lines[0], lines[2]), ("1 done, 0 failed", "done: ./grown"), "{ended:?}");
    crate::common::assert_content(&scene.path().join("grown"), SEED, size);
}

#[test]
fn the_example_shows_a_list_and_what_failed_of_it() {
    let mut config = sized(many(), &[("/large", 3 * MIB)]);
    config.script = vec![at("/sick", status(404, "no"), None)];
    let farm = Farm::new(config);
    farm.write("list", farm.lines(&["/a", "/large", "/sick"]));
    let arguments = ["-d", "out", "-i", "list"];
    let Some(ended) = run_example(&farm.scene, binaries(), &arguments) else { return };
    assert_eq!(ended.code, Some(SOME_FAILED), "{ended:?}");
    let lines: Vec<&str> = ended.stdout.lines().collect();
    let has =
        |begin: &str, end: &str| lines.iter().any(|it| it.starts_with(begin) && it.contains(end));
    assert!(has("done: out/a", "") && has("done: out/large", ""), "{ended:?}");
    assert!(has("failed: out/sick (", "404"), "{ended:?}");
    assert_eq!(
        (lines.last(), shares(&ended.stdout).last()),
        (Some(&"2 done, 1 failed"), Some(&100))
    );
    farm.holds(&[("a", "/a", SIZE), ("large", "/large", 3 * MIB)]);
    let ended = run_example(&farm.scene, binaries(), &["--nonsense"]).expect("it ran before");
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
}
