//! Parts of files: at their places in a file of the full size, and as files of their own; over many
//! connections and in one stream, through faults, stops and wrong sizes.

mod common;

use common::{NAME, Place, Run, SEED, Site, both_schemes, expect_error};
use ringhaul::internal::base::size::{KIB, MIB};
use ringhaul::server::{Config, Fault, Rule, When, content};
use ringhaul::{Algorithm, ErrorKind, Options, Part, PieceHashes, Report};
use std::fs;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;

const SIZE: u64 = 20 * MIB + 3 * KIB + 7;

fn part(ranges: &str) -> Option<Part> {
    Some(Part::of(ranges.parse().expect("ranges")))
}

fn site(config: Config) -> Site {
    Site::start(config).with(|options| {
        (options.connections, options.retry_wait) = (Some(4), Duration::from_millis(1));
        options.chunk_bytes = Some(256 * KIB);
    })
}

/// The file has its full size, the content in `spans`, and holes elsewhere.
#[track_caller]
fn assert_sparse(place: &impl Place, spans: &[Range<u64>]) {
    let target = place.target();
    let bytes = fs::read(&target).expect("the file is there");
    assert_eq!(bytes.len() as u64, SIZE);
    let index = |at: u64| usize::try_from(at).expect("within a file in memory");
    let mut end = 0;
    for &Range { start, end: next } in spans {
        assert!(bytes[index(end)..index(start)].iter().all(|byte| *byte == 0), "before {start}");
        let there = &bytes[index(start)..index(next)];
        assert_eq!(content::verify(SEED, start, there), Ok(()), "from {start} to {next}");
        end = next;
    }
    assert_eq!(place.names(), [NAME]);
    assert!(bytes[index(end)..].iter().all(|byte| *byte == 0), "behind {end}");
    let on_disk = fs::metadata(&target).expect("it is there").blocks() * 512;
    assert!(on_disk < SIZE, "{on_disk} bytes on the disk: there are no holes");
}

/// The run has brought these bytes and told of no others.
#[track_caller]
fn expect_part<'a>(run: &'a Run, spans: &[Range<u64>]) -> &'a Report {
    let report = run.result.as_ref().unwrap_or_else(|error| panic!("{error}"));
    let bytes = spans.iter().map(|span| span.end - span.start).sum();
    assert_eq!(report.bytes, bytes);
    let last = run.progress.last().expect("there is a last report");
    assert_eq!((last.bytes_done, last.bytes_total), (bytes, Some(bytes)));
    assert_sparse(run, spans);
    report
}

fn run(site: &Site) -> Run {
    site.fetch(&site.path, site.options.clone())
}

#[test]
fn a_part_comes_to_its_place_and_nothing_else_is_fetched() {
    for config in both_schemes(SIZE) {
        let site = site(config).with(|options| {
            options.part = part("5000000-9000000,100000-100001,-70000");
        });
        let tail = (SIZE - 70_000) / 4096 * 4096;
        let spans = [98_304..102_400, 4_997_120..9_003_008, tail..SIZE];
        let run = run(&site);
        let report = expect_part(&run, &spans);
        assert!(report.ranges && report.connections > 1);
        // Of a part at the end only the size of the file says where it is.
        let sent = site.stats().body_bytes;
        assert!(sent <= report.bytes + 4096 + 64 * KIB, "{sent} for {}", report.bytes);
    }
}

#[test]
fn shares_make_the_file() {
    let site = site(Config::new(SEED, SIZE));
    let mut bytes = 0;
    for number in 0..3 {
        let share = Options { part: Part::share(number, 3).ok(), ..site.options.clone() };
        let run = site.fetch("/file.bin", share);
        bytes += run.result.expect("a share").bytes;
    }
    assert_eq!(bytes, SIZE);
}

#[test]
fn a_stream_is_received_as_far_as_it_is_wanted() {
    let config = Config::new(SEED, SIZE)
        .rule(When::All, Fault::NoRangeSupport)
        .rule(When::Request(1), Fault::ResetAfter(2 * MIB));
    let site = site(config).with(|options| options.part = part("1048576-1050000,4096-8191"));
    let run = run(&site);
    let report = expect_part(&run, &[4096..8192, MIB..MIB + 4096]);
    assert!(!report.ranges);
    let unsized_one = Config::new(SEED, SIZE).rule(When::All, Fault::Chunked);
    let unsized_one = unsized_one.rule(When::All, Fault::NoRangeSupport);
    let site = self::site(unsized_one).with(|options| options.part = part("0-9"));
    site.fails(ErrorKind::RangeMismatch, 10, &["does not say the size"]);
}

#[test]
fn a_stopped_part_goes_on() {
    let config = Config::new(SEED, SIZE).rule(When::Request(9), Fault::ResetAfter(1000));
    let site = site(config).with(|options| {
        (options.part, options.retries) = (part("4194304-8388607"), 0);
    });
    site.run().expect_err("the first run fails");
    assert!(!site.target().exists());
    let report = site.run().expect("the second run");
    assert_sparse(&site, &[4 * MIB..8 * MIB]);
    assert_eq!(report.bytes, 4 * MIB);
    assert!(report.resumed_bytes > 0, "it goes on");
    assert!(report.resumed_bytes > 0, "it goes on");
}

#[test]
fn what_names_no_byte_is_an_error_that_names_the_size() {
    for fault in [None, Some(Fault::NoRangeSupport)] {
        let mut config = Config::new(SEED, SIZE);
        config.script.extend(fault.map(|fault| Rule::new(When::All, fault)));
        let site = site(config);
        for ranges in ["0-9,30000000-", "20974599-20974600", "30000000-40000000,-5"] {
            let options = Options { part: part(ranges), ..site.options.clone() };
            let run = site.fetch(&site.path, options);
            expect_error(run.result, ErrorKind::Usage, 2, &[&format!("has {SIZE} bytes")]);
        }
    }
}

#[test]
fn pieces_in_the_part_are_verified() {
    let mut bytes = vec![0; usize::try_from(SIZE).expect("it fits the memory")];
    content::fill(SEED, 0, &mut bytes);
    let digest = |piece: &[u8]| {
        let mut hasher = Algorithm::Sha1.hasher();
        hasher.update(piece);
        hasher.finish().bytes
    };
    let mut digests: Vec<Vec<u8>> = bytes.chunks(1 << 20).map(digest).collect();
    // Of a piece that is not fetched whole.
    digests[2].fill(0);
    let of = |digests: &[Vec<u8>]| PieceHashes::new(Algorithm::Sha1, MIB, SIZE, digests).ok();
    let site = site(Config::new(SEED, SIZE)).with(|options| {
        options.part = part("3000000-6291455");
        options.pieces = of(&digests).map(Arc::new);
    });
    let report = run(&site).result.expect("all of these pieces are good");
    assert_eq!(report.pieces.expect("they are verified").count, 3);
    digests[4].fill(0);
    let site = site.with(|options| options.pieces = of(&digests).map(Arc::new));
    expect_error(run(&site).result, ErrorKind::ChecksumMismatch, 13, &["piece 5 of 21"]);
}

#[test]
fn a_digest_of_the_whole_is_none_of_a_part() {
    let site = site(Config::new(SEED, SIZE)).with(|options| {
        (options.part, options.digests) = (part("0-9"), vec![Algorithm::Sha256]);
    });
    site.fails(ErrorKind::Usage, 2, &["a part of a file"]);
}
