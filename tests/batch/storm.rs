//! Random servers on bad days: whatever they do, each file is whole and has its own bytes, or is
//! said to have failed and is not there.

use crate::farm::{Farm, SEED, SOME_FAILED, SOME_MAY_PASS, at, many, many_tls};
use ringhaul::internal::base::rng::Rng;
use ringhaul::internal::base::size::MIB;
use ringhaul::server::{Config, Fault, Losses, Refusal, RetryAfter, Rule, Shape, When, content};

/// Files of each batch.
const FILES: u64 = 40;
/// Sizes are from 0 to this.
const SIZE_MAX: u64 = 3 * MIB / 2;
/// Batches, unless the environment says from which seed on, and how many.
const SEEDS: std::ops::Range<u64> = 1..4;

fn bad_day(rng: &mut Rng) -> Config {
    let mut config = if rng.below(4) == 0 { many_tls() } else { many() };
    config.size_bytes = 0;
    config.size_bytes_max = Some(SIZE_MAX);
    let mut maybe = |parts: u64| rng.below(parts) == 0;
    let losses = maybe(2).then_some(Losses { every: 3, bytes_max: 2 * MIB });
    let (status, retry_after) = (503, Some(RetryAfter::Seconds(0)));
    let refusal = maybe(4).then_some(Refusal { answers_max: 3, status, retry_after });
    let resets_beyond = maybe(3).then_some(4);
    config.shape = Shape { losses, refusal, resets_beyond, ..Shape::default() };
    let always = [Fault::Chunked, Fault::NoLength, Fault::IgnoreRange, Fault::NoRangeSupport];
    for fault in always {
        let path = format!("/{}", rng.below(4));
        if rng.below(2) == 0 {
            config.script.push(at(&path, fault, None));
        }
    }
    for _ in 0..rng.below(12) {
        let bytes = rng.below(SIZE_MAX);
        let fault = match rng.below(6) {
            0 => Fault::ResetAfter(bytes),
            1 => Fault::CloseAfter { bytes, close_notify: rng.below(2) == 0 },
            2 => Fault::CloseAfterReply { announce: rng.below(2) == 0 },
            3 => Fault::Garbage(b"HTTP/1.1 garbage".to_vec()),
            4 => Fault::ShorterRange(1 + bytes),
            _ => Fault::Interim(2),
        };
        config.script.push(Rule::once(When::Request(1 + rng.below(2 * FILES)), fault));
    }
    config
}

fn survive(seed: u64) {
    let mut rng = Rng::new(seed);
    let config = bad_day(&mut rng);
    let farm = Farm::new(config);
    let path = |number: u64| format!("/{number}");
    let mut list = String::new();
    for number in 0..FILES {
        let size = content::size_at(SEED, &path(number), 0..=SIZE_MAX);
        let said = if rng.below(3) == 0 { format!(",\"size\":{size}") } else { String::new() };
        let url = farm.url(&path(number));
        list += &format!("{{\"url\":\"{url}\",\"out\":\"{}/{number}\"{said}}}\n", number % 3);
    }
    let ended = farm.fetch(list, &["-k", "--results", "results", "--no-state", "-r", "2"]);
    assert!(
        [Some(0), Some(SOME_FAILED), Some(SOME_MAY_PASS)].contains(&ended.code),
        "seed {seed}: {ended:?}"
    );
    let results = farm.json("results");
    assert_eq!(results.len() as u64, FILES, "seed {seed}: {ended:?}");
    let mut failed = results.iter().filter(|line| line["status"] == "failed");
    let may_pass = failed.all(|line| line["error"]["may_pass"] == true);
    assert!(may_pass, "seed {seed}: {ended:?}");
    let mut left = farm.files();
    // What a large file goes on from, and a folder in which all have failed.
    left.retain(|name| ![".part", ".ringhaul", "/"].iter().any(|end| name.ends_with(end)));
    let done = results.iter().filter(|line| line["status"] == "done");
    let path_of = |line: &serde_json::Value| line["path"].as_str().map(|path| path[4..].to_owned());
    let mut expected: Vec<String> = done.filter_map(path_of).collect();
    expected.sort();
    assert_eq!(left, expected, "seed {seed}");
    for name in &expected {
        let path = &name[1..];
        let size = content::size_at(SEED, path, 0..=SIZE_MAX);
        let bytes = std::fs::read(farm.out().join(name)).expect("it is there");
        assert_eq!(bytes.len() as u64, size, "seed {seed}: {name}");
        let compared = content::verify(content::seed_at(SEED, path), 0, &bytes);
        assert_eq!(compared, Ok(()), "seed {seed}: {name}");
    }
}

#[test]
fn bad_days_are_survived() {
    let from = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let first = from("BATCH_SEED").unwrap_or(SEEDS.start);
    let count = from("BATCH_SEEDS").unwrap_or(SEEDS.end - SEEDS.start);
    (first..first + count).for_each(survive);
}
