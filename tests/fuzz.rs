//! Fuzzing on stable: every target of `fuzz/targets/` against mutated seeds, for a moment.
//!
//! `RINGHAUL_FUZZ_SECONDS=n` runs each target for n seconds instead, `RINGHAUL_FUZZ_TARGET=name`
//! only that one, `RINGHAUL_FUZZ_SEED=n` repeats a run (the seed is printed). The long form, led by
//! coverage, is the package in `fuzz/`; `RINGHAUL_FUZZ_CORPUS=folder` writes seeds and dictionaries
//! for it.

#![allow(clippy::print_stdout, reason = "a seed is printed before it is used")]

#[path = "fuzz/mutate.rs"]
mod mutate;
#[path = "fuzz/targets/mod.rs"]
mod targets;

use mutate::Mutator;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};
use targets::{TARGETS, Target, target};

/// Defines one test for each target, and the list of their names.
macro_rules! fuzz {
    ($($name:ident)*) => {
        $(#[test] fn $name() { fuzz(target(stringify!($name))); })*
        const TESTED: &[&str] = &[$(stringify!($name)),*];
    };
}

fuzz! {
    head exchange chunked content_range request url sizes digest_fields links dispositions checksums
    lists metalinks piece_lists journal tls_garbage tls_wire state proxies
}

#[test]
fn every_target_has_a_test_and_a_long_form() {
    let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(names, TESTED);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).expect("the package's manifest");
    for name in names {
        assert!(folder.join(format!("fuzz_targets/{name}.rs")).is_file(), "{name}");
        assert!(manifest.contains(&format!("[[bin]]\nname = \"{name}\"\n")), "{name}");
    }
}

fn fuzz(target: &Target) {
    let variable = |name: &str| std::env::var(format!("RINGHAUL_FUZZ_{name}")).ok();
    let number = |name: &str| variable(name).map(|text| text.parse::<u64>().expect("a number"));
    if variable("TARGET").is_some_and(|wanted| wanted != target.name) {
        return;
    }
    if let Some(folder) = variable("CORPUS") {
        return write_corpus(target, Path::new(&folder));
    }
    let time = number("SECONDS").map(Duration::from_secs);
    // One and the same smoke test for everybody; a long run goes where none has been.
    let seed = number("SEED").unwrap_or_else(|| time.map_or(1, |_| seed_of_the_moment()));
    println!("RINGHAUL_FUZZ_TARGET={} RINGHAUL_FUZZ_SEED={seed}", target.name);
    for input in (target.seeds)() {
        attempt(target, &input);
    }
    let (started, mut runs) = (Instant::now(), 0u64);
    let mut mutator = Mutator::new(target, seed);
    while time.map_or(runs < target.smoke_runs.into(), |time| started.elapsed() < time) {
        attempt(target, &mutator.next());
        runs += 1;
    }
    println!("{}: {runs} runs in {:.1} s", target.name, started.elapsed().as_secs_f64());
}

/// Runs the target; where it panics, says with which bytes.
fn attempt(target: &Target, input: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_err() {
        panic!("{} fails for b\"{}\"", target.name, input.escape_ascii());
    }
}

fn seed_of_the_moment() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.expect("the clock is past 1970").as_secs()
}

/// The seeds as files in `folder/name/`, the words as `folder/name.dict`, as libFuzzer reads them.
fn write_corpus(target: &Target, folder: &Path) {
    let inputs = folder.join(target.name);
    fs::create_dir_all(&inputs).expect("a folder for the corpus");
    for (index, seed) in (target.seeds)().into_iter().enumerate() {
        fs::write(inputs.join(format!("seed-{index}")), seed).expect("a file for a seed");
    }
    let mut dictionary = String::new();
    for word in target.words {
        let bytes: String = word.bytes().map(|byte| format!("\\x{byte:02x}")).collect();
        dictionary.push_str(&format!("\"{bytes}\"\n"));
    }
    let file = folder.join(format!("{}.dict", target.name));
    fs::write(file, dictionary).expect("a file for the dictionary");
}
