//! Bytes that are passed on in order and kept in a file, too: both or, of the file, nothing.

mod common;

use common::{Place, SEED, Scene, Site, assert_content, checksum};
use ringhaul::internal::base::size::{KIB, MIB};
use ringhaul::server::{Config, Fault, When, content};
use std::fs;
use std::io::Read;
use std::process::Output;

const SIZE: u64 = 5 * MIB + 3 * KIB + 7;

fn site(config: Config) -> Site {
    Site::start(config)
}

fn run(scene: &Scene, site: &Site, arguments: &[&str]) -> Output {
    let url = site.url("/file.bin");
    let mut command = scene.command(&["-q", "-o", "-", "--chunk-size", "256K"]);
    command.args(arguments).arg(url).output().expect("it runs")
}

#[track_caller]
fn assert_failed(ended: &Output, code: i32, words: &str) {
    let line = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(code), "{line}");
    assert!(line.contains(words), "{line}");
}

#[test]
fn reader_and_file_get_the_same_bytes() {
    let config = Config::new(SEED, SIZE).rule(When::Request(3), Fault::ResetAfter(100_000));
    let (scene, site) = (Scene::new(), site(config));
    let digest = checksum(SEED, SIZE).to_string();
    for arguments in [&["--tee", "copy"][..], &["--tee", "copy", "--force", "--checksum", &digest]]
    {
        let ended = run(&scene, &site, arguments);
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        assert_eq!(ended.stdout.len() as u64, SIZE);
        assert_eq!(content::verify(SEED, 0, &ended.stdout), Ok(()));
        assert_content(&scene.path().join("copy"), SEED, SIZE);
        assert_eq!(scene.names(), ["copy"]);
    }
    let ended = run(&scene, &site, &["--tee", "part", "--range", "5-9,0-2"]);
    assert!(ended.status.success() && ended.stdout.len() == 8);
    assert_eq!(fs::read(scene.path().join("part")).expect("the copy"), ended.stdout);
    assert_eq!(scene.names(), ["copy", "part"]);
}

#[test]
fn what_is_wrong_or_cut_short_gets_no_name() {
    let (scene, site) = (Scene::new(), site(Config::new(SEED, SIZE)));
    let wrong = checksum(SEED + 1, SIZE).to_string();
    let ended = run(&scene, &site, &["--tee", "copy", "--checksum", &wrong]);
    assert_failed(&ended, 13, "");
    assert!((ended.stdout.len() as u64) < SIZE, "the last bytes are held back");
    assert_eq!(scene.names(), [""; 0]);
    let mut command = scene.command(&["-o", "-", "--tee", "copy", &site.url("/file.bin")]);
    let mut child = command.spawn().expect("it runs");
    let mut reader = child.stdout.take().expect("a pipe");
    reader.read_exact(&mut [0; 10]).expect("the first bytes");
    drop(reader);
    let ended = common::scene::wait(child);
    assert_eq!((ended.code, scene.names()), (Some(16), Vec::new()), "{ended:?}");
}

#[test]
fn names_that_are_taken_are_refused_before_anything_is_asked() {
    let (scene, site) = (Scene::new(), site(Config::new(SEED, SIZE)));
    fs::write(scene.path().join("copy"), "old").expect("a file");
    assert_failed(&run(&scene, &site, &["--tee", "copy"]), 14, "copy exists");
    assert_failed(&run(&scene, &site, &["--tee", "none/copy"]), 14, "none");
    assert_failed(&run(&scene, &site, &["--tee", "/dev/full"]), 14, "neither a file nor a folder");
    let url = site.url("/file.bin");
    let ended = scene.run(&["--tee", "x", "-o", "y", &url]);
    assert!(ended.one_error_line(2).contains("passed on in order"), "{ended:?}");
    assert_failed(&run(&scene, &site, &["--tee", "x", "http://h/b"]), 2, "'--tee' is for one file");
    assert_eq!(fs::read(scene.path().join("copy")).expect("the old file"), b"old");
    assert_eq!(site.stats().requests, 0);
    assert_eq!(scene.names(), ["copy"]);
}
