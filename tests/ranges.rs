//! Parts of files: at their places in a file of the full size, and as files of their own; over many
//! connections and in one stream, through faults, stops and wrong sizes.

#![allow(clippy::single_range_in_vec_init, reason = "a list of ranges may have one of them")]

mod common;

use common::scene::wait;
use common::{
    Ended, HANG_LIMIT, NAME, Place, Run, SEED, Scene, Site, both_schemes, bounded,
    eventually_within, expect_error, fetch, serve, slowed,
};
use ringhaul::internal::base::size::{KIB, MIB};
use ringhaul::internal::disk::journal::format::decode;
use ringhaul::server::{Config, Fault, Rule, When, content};
use ringhaul::{Algorithm, ErrorKind, Options, Part, PieceHashes, Report};
use std::fs;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const SIZE: u64 = 5 * MIB + 3 * KIB + 7;

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
            options.part = part("1500000-3500000,100000-100001,-70000");
        });
        let tail = (SIZE - 70_000) / 4096 * 4096;
        let spans = [98_304..102_400, 1_499_136..3_502_080, tail..SIZE];
        let run = run(&site);
        let report = expect_part(&run, &spans);
        assert!(report.ranges && report.connections > 1);
        // Of a part at the end only the size of the file says where it is.
        let sent = site.stats().body_bytes;
        assert!(sent <= report.bytes + MIB, "{sent} for {}", report.bytes);
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
        (options.part, options.retries) = (part("1048576-4194303"), 0);
    });
    site.run().expect_err("the first run fails");
    assert!(!site.target().exists());
    let report = site.run().expect("the second run");
    assert_sparse(&site, &[MIB..4 * MIB]);
    assert_eq!(report.bytes, 3 * MIB);
    assert!(report.resumed_bytes > 0, "it goes on");
    assert!(report.resumed_bytes > 0, "it goes on");
}

#[test]
fn what_names_no_byte_is_an_error_that_names_the_size() {
    for fault in [None, Some(Fault::NoRangeSupport)] {
        let mut config = Config::new(SEED, SIZE);
        config.script.extend(fault.map(|fault| Rule::new(When::All, fault)));
        let site = site(config);
        for ranges in ["0-9,30000000-", "5245959-5245960", "30000000-40000000,-5"] {
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
    digests[1].fill(0);
    let of = |digests: &[Vec<u8>]| PieceHashes::new(Algorithm::Sha1, MIB, SIZE, digests).ok();
    let site = site(Config::new(SEED, SIZE)).with(|options| {
        options.part = part("1500000-5242879");
        options.pieces = of(&digests).map(Arc::new);
    });
    let report = run(&site).result.expect("all of these pieces are good");
    assert_eq!(report.pieces.expect("they are verified").count, 3);
    digests[3].fill(0);
    let site = site.with(|options| options.pieces = of(&digests).map(Arc::new));
    expect_error(run(&site).result, ErrorKind::ChecksumMismatch, 13, &["piece 4 of 6"]);
}

#[test]
fn a_digest_of_the_whole_is_none_of_a_part() {
    let site = site(Config::new(SEED, SIZE)).with(|options| {
        (options.part, options.digests) = (part("0-9"), vec![Algorithm::Sha256]);
    });
    site.fails(ErrorKind::Usage, 2, &["a part at its place"]);
}

/// The bytes of the file that a list of ranges names, one after the other.
fn picked(spans: &[Range<u64>]) -> Vec<u8> {
    let pick = |span: &Range<u64>| {
        let length = usize::try_from(span.end - span.start).expect("it fits the memory");
        let mut bytes = vec![0; length];
        content::fill(SEED, span.start, &mut bytes);
        bytes
    };
    spans.iter().flat_map(pick).collect()
}

/// Lists of ranges, and what they name of the file.
fn lists() -> Vec<(&'static str, Vec<Range<u64>>)> {
    vec![
        ("0-499", vec![0..500]),
        ("0-", vec![0..SIZE]),
        ("-500", vec![SIZE - 500..SIZE]),
        ("5000000-30000000", vec![5_000_000..SIZE]),
        ("1000001-4000000", vec![1_000_001..4_000_001]),
        (
            "7-7,2000000-4000000,4000005-4000005",
            vec![7..8, 2_000_000..4_000_001, 4_000_005..4_000_006],
        ),
    ]
}

/// Those that only a server of ranges has in that order.
fn tangled() -> Vec<(&'static str, Vec<Range<u64>>)> {
    vec![
        ("-3000000,0-2000000", vec![SIZE - 3_000_000..SIZE, 0..2_000_001]),
        ("500-599,550-4000000,500-599", vec![500..600, 550..4_000_001, 500..600]),
        ("5000000-,5000000-,5000000-", vec![5_000_000..SIZE, 5_000_000..SIZE, 5_000_000..SIZE]),
    ]
}

fn packed(ranges: &str) -> Option<Part> {
    Some(Part::packed(ranges.parse().expect("ranges")))
}

#[test]
fn ranges_make_a_file_of_their_own() {
    for config in both_schemes(SIZE) {
        let site = site(config);
        for (ranges, spans) in lists().into_iter().chain(tangled()) {
            let wanted = picked(&spans);
            let digest = digest_of(&wanted);
            let options = Options {
                part: packed(ranges),
                checksum: Some(digest.parse().expect("a digest")),
                ..site.options.clone()
            };
            let run = fetch(&site.url(&site.path), options);
            let report = run.result.as_ref().unwrap_or_else(|error| panic!("{ranges}: {error}"));
            assert!(report.verified.is_some() && report.bytes == wanted.len() as u64);
            assert!(fs::read(run.target()).expect("the file") == wanted, "{ranges}");
        }
    }
    let site = site(Config::new(SEED, SIZE));
    let options = Options { part: packed("9000-9999"), ..site.options.clone() };
    fetch(&site.url(&site.path), options).result.expect("a part");
    let log = site.stats().log;
    assert_eq!((log.len(), log[0].body_bytes), (1, 1000), "one request for these very bytes");
}

fn digest_of(bytes: &[u8]) -> String {
    let mut hasher = Algorithm::Sha256.hasher();
    hasher.update(bytes);
    format!("sha256:{}", hasher.finish())
}

#[test]
fn a_server_without_ranges_is_read_as_far_as_needed() {
    let config = Config::new(SEED, SIZE).rule(When::All, Fault::NoRangeSupport);
    let site = site(config);
    for (ranges, spans) in lists() {
        let options = Options { part: packed(ranges), ..site.options.clone() };
        let run = fetch(&site.url(&site.path), options);
        run.result.as_ref().unwrap_or_else(|error| panic!("{ranges}: {error}"));
        assert!(fs::read(run.target()).expect("the file") == picked(&spans), "{ranges}");
    }
    for (ranges, _) in tangled() {
        let options = Options { part: packed(ranges), ..site.options.clone() };
        let run = fetch(&site.url(&site.path), options);
        expect_error(run.result, ErrorKind::RangeMismatch, 10, &["not in its order"]);
    }
}

#[test]
fn ranges_go_on_and_are_not_mixed_with_others() {
    let config = Config::new(SEED, SIZE).rule(When::Request(9), Fault::ResetAfter(1000));
    let ranges = "-4194304,1000-3000000";
    let site = site(config).with(|options| {
        (options.part, options.retries) = (packed(ranges), 0);
    });
    site.run().expect_err("the first run fails");
    site.assert_left_for_later();
    let site = site.with(|options| options.part = packed("1000-3000000"));
    let words = ["was begun under this name", "bytes=-4194304,1000-3000000", "--no-resume"];
    expect_error(site.run(), ErrorKind::TargetUnusable, 14, &words);
    let site = site.with(|options| options.part = None);
    expect_error(site.run(), ErrorKind::TargetUnusable, 14, &words);
    let site = site.with(|options| options.part = packed(ranges));
    let report = site.run().expect("it goes on");
    assert!(report.resumed_bytes > 0);
    let bytes = fs::read(site.target()).expect("the file");
    assert!(bytes == picked(&[SIZE - 4 * MIB..SIZE, 1000..3_000_001]));
}

#[test]
fn a_file_that_is_there_is_written_where_it_stands() {
    let site = site(Config::new(SEED, SIZE)).with(|options| options.part = part("1000000-"));
    let download = || {
        let download = ringhaul::Download::new(&site.url(&site.path)).expect("a URL");
        download.output_in_place(site.target()).options(site.options.clone())
    };
    let old = vec![0xa5; usize::try_from(SIZE).expect("it fits the memory")];
    fs::write(site.target(), &old[1..]).expect("a file of another size");
    let words = ["5245958 bytes and the file 5245959"];
    expect_error(download().run(), ErrorKind::TargetExists, 14, &words);
    fs::write(site.target(), &old).expect("a file of the size");
    let inode = |site: &Site| fs::metadata(site.target()).expect("it is there").ino();
    let before = inode(&site);
    let report = download().run().expect("a part");
    let bytes = fs::read(site.target()).expect("the file");
    assert_eq!((inode(&site), report.bytes), (before, SIZE - 999_424));
    let (kept, new) = bytes.split_at(999_424);
    assert!(kept.iter().all(|byte| *byte == 0xa5), "what was not asked for stays");
    assert_eq!(content::verify(SEED, 999_424, new), Ok(()));
    assert_eq!(site.names(), [NAME]);
    let site = site.with(|options| options.part = None);
    let download = ringhaul::Download::new(&site.url(&site.path)).expect("a URL");
    let download = download.output_in_place(site.target()).options(site.options.clone());
    expect_error(download.run(), ErrorKind::Usage, 2, &["only a part"]);
}

/// Ranges in no order, and the bytes that they come to when they are rounded outwards.
const ODD: &str = "3000000-4000000,5-9,3000001-3000007";
const ODD_SPANS: [Range<u64>; 2] = [0..4096, 2_998_272..4_001_792];

fn odd() -> Vec<u8> {
    picked(&[3_000_000..4_000_001, 5..10, 3_000_001..3_000_008])
}

fn in_place(site: &Site) -> ringhaul::Result<Report> {
    let download = ringhaul::Download::new(&site.url(&site.path)).expect("a URL");
    let download = download.output_in_place(site.target()).options(site.options.clone());
    bounded("the download", move || download.run())
}

/// What a file that is there has before a part of it is fetched.
const OLD: u8 = 0xa5;

fn old() -> Vec<u8> {
    vec![OLD; usize::try_from(SIZE).expect("it fits the memory")]
}

/// Outside of `spans` the file is what it was.
#[track_caller]
fn assert_rest_untouched(target: &Path, spans: &[Range<u64>]) {
    let bytes = fs::read(target).expect("the file is there");
    assert_eq!(bytes.len() as u64, SIZE);
    let mut end = 0;
    for Range { start, end: next } in spans.iter().cloned().chain([SIZE..SIZE]) {
        let index = |at: u64| usize::try_from(at).expect("within a file in memory");
        let rest = &bytes[index(end)..index(start)];
        assert!(rest.iter().all(|byte| *byte == OLD), "something is written from {end} to {start}");
        end = next;
    }
}

#[test]
fn a_wrong_digest_of_a_part_says_what_is_written_and_the_next_run_fetches_it_again() {
    for (is_there, has_ranges) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut config = Config::new(SEED, SIZE);
        if !has_ranges {
            config = config.rule(When::All, Fault::NoRangeSupport);
        }
        let site = site(config).with(|options| {
            options.part = part(ODD);
            options.checksum = digest_of(&odd()[1..]).parse().ok();
        });
        if is_there {
            fs::write(site.target(), old()).expect("a file of the size");
        }
        let words = match is_there {
            true => ["file.bin, at its bytes 0-4095, 2998272-4001791, and", "taken back"],
            false => ["file.bin.part until the next run, which", "of these ranges alone"],
        };
        let line = expect_error(in_place(&site), ErrorKind::ChecksumMismatch, 13, &words);
        assert!(line.contains("fetches them anew"), "{line}");
        if is_there {
            assert_rest_untouched(&site.target(), &ODD_SPANS);
            let bytes = fs::read(site.target()).expect("the file");
            assert_eq!(content::verify(SEED, 0, &bytes[..4096]), Ok(()), "it is written");
        }
        assert_eq!(site.names(), [if is_there { NAME } else { "file.bin.part" }], "no journal");
        let sent_before = site.stats().body_bytes;
        let site = site.with(|options| options.checksum = digest_of(&odd()).parse().ok());
        let report = in_place(&site).expect("that is the digest of the part");
        let verified = report.verified.expect("it is compared");
        assert_eq!((verified.digest, verified.read_back_bytes), (digest_of(&odd()), 1_000_013));
        assert_eq!((report.resumed_bytes, report.bytes), (0, 4096 + 1_003_520));
        assert!(site.stats().body_bytes - sent_before >= report.bytes, "all of it comes again");
        assert_eq!(site.names(), [NAME]);
        match is_there {
            true => assert_rest_untouched(&site.target(), &ODD_SPANS),
            false => assert_sparse(&site, &ODD_SPANS),
        }
    }
}

#[test]
fn a_digest_of_a_part_is_read_back_from_where_it_is_kept() {
    let site = site(Config::new(SEED, SIZE)).with(|options| {
        (options.part, options.checksum) = (part(ODD), digest_of(&odd()).parse().ok());
    });
    let nowhere = site.download().discard();
    let nowhere = bounded("the download", move || nowhere.run());
    expect_error(nowhere, ErrorKind::Usage, 2, &["kept nowhere", "a file of its own"]);
    // Any algorithm, also the one that is computed on the way elsewhere.
    let mut hasher = Algorithm::Crc32c.hasher();
    hasher.update(&odd());
    let crc = format!("crc32c:{}", hasher.finish());
    let site = site.with(|options| options.checksum = crc.parse().ok());
    assert!(in_place(&site).expect("it fits").verified.is_some());
    // A share is one range.
    let site = site.with(|options| {
        let block = usize::try_from(MIB).expect("it fits the memory");
        let bytes = picked(&[0..SIZE]);
        options.force = true;
        options.part = Part::share(1, 3).ok();
        options.checksum = digest_of(&bytes[2 * block..4 * block]).parse().ok();
    });
    assert!(site.run().expect("it fits").verified.is_some());
}

/// Bytes that the journal of the file vouches for; 0 before it has one.
fn durable_bytes(place: &impl Place) -> u64 {
    let bytes = fs::read(place.journal()).unwrap_or_default();
    // It may just be written.
    let runs = decode(&bytes).map(|decoded| decoded.slot.runs).unwrap_or_default();
    runs.iter().map(|run| run.span.len()).sum()
}

#[test]
fn a_part_of_a_file_that_is_killed_leaves_the_rest_of_it_alone_and_goes_on() {
    let (ranges, span) = ("1000001-3999998", 999_424..4_001_792);
    let wanted = picked(&[1_000_001..3_999_999]);
    let (scene, server) = (Scene::new(), serve(slowed(Config::new(SEED, SIZE), 6 * MIB)));
    fs::write(scene.target(), old()).expect("a file of the size");
    let inode = || fs::metadata(scene.target()).expect("it is there").ino();
    let before = inode();
    let (digest, url) = (digest_of(&wanted), server.url("/file.bin"));
    let arguments = ["--range", ranges, "--in-place", "-o", NAME, "--checksum", &digest];
    let pace = ["-c", "2", "--chunk-size", "128K", "--journal-interval", "20ms", &url];
    let start = || scene.spawn(&[&arguments[..], &pace[..]].concat());
    let mut child = start();
    eventually_within(HANG_LIMIT, "some of the part is durable", || {
        assert_rest_untouched(&scene.target(), std::slice::from_ref(&span));
        durable_bytes(&scene) > 0
    });
    child.kill().expect("the child can be killed");
    child.wait().expect("a killed child ends");
    let durable = durable_bytes(&scene);
    assert!(durable < span.end - span.start, "it was killed too late");
    assert_rest_untouched(&scene.target(), std::slice::from_ref(&span));
    let sent_before = server.body_bytes();
    let mut child = start();
    while child.try_wait().expect("it is our child").is_none() {
        assert_rest_untouched(&scene.target(), std::slice::from_ref(&span));
    }
    let ended = wait(child);
    assert!(ended.success().stderr.contains("resuming: "), "{ended:?}");
    assert!(ended.stderr.contains("verified sha256:"), "{ended:?}");
    let again = server.body_bytes() - sent_before;
    assert!(again <= span.end - span.start - durable + 256 * KIB, "{again}, {durable} were here");
    let bytes = fs::read(scene.target()).expect("the file");
    assert!(bytes[1_000_001..3_999_999] == wanted[..]);
    assert_rest_untouched(&scene.target(), &[span]);
    assert_eq!((inode(), scene.names()), (before, vec![NAME.to_owned()]));
}

fn run_in(scene: &Scene, site: &Site, arguments: &[&str]) -> Ended {
    let url = site.url("/file.bin");
    scene.run(&[arguments, &["-q", &url]].concat())
}

#[test]
fn the_command_line_takes_ranges() {
    let (site, scene) = (Site::start(Config::new(SEED, SIZE)), Scene::new());
    run_in(&scene, &site, &["--range", "-500"]).success();
    assert!(fs::read(scene.target()).expect("the file") == picked(&[SIZE - 500..SIZE]));
    run_in(&scene, &site, &["--range=5000-5999", "--in-place", "-o", "sparse"]).success();
    assert_eq!(fs::metadata(scene.path().join("sparse")).expect("a file").len(), SIZE);
    let mut command = scene.command(&["--range", "70-79,5-9", "-q", "-o", "-"]);
    command.arg(site.url("/file.bin"));
    let passed = command.output().expect("it runs");
    assert!(passed.status.success() && passed.stdout == picked(&[70..80, 5..10]));
    for (arguments, code, words) in [
        (&["--range", "9-5"][..], 2, "'9-5' is no range of bytes"),
        (&["--range", "30000000-", "-o", "x"], 2, "the file has 5245959 bytes"),
        (&["--in-place"], 2, "--range"),
        (&["-r", "0-499"], 2, "--range RANGES"),
        (&["--start-pos", "5"], 2, "--range N-"),
        (&["--range", "0-9", "http://h/b"], 2, "xargs -n 1 ringhaul --range"),
        (&["--range", "0-9", "-i", "list"], 2, "'--range' is for one file"),
        (&["--range", "0-9", "-i", "list", "--slice", "1/2"], 2, "'--range' is for one file"),
        (&["--range", "0-9", "--slice", "1/2", "-o", "x"], 2, "each say which part"),
        (&["--range", "0-9", "--in-place", "-o", "-"], 2, "in order"),
        (&["--range", "0-9", "--checksum", "crc32c:00000000", "-o", "x"], 13, "crc32c"),
        (&["--range", "0-9", "--repair", "sparse"], 2, "repaired as a whole"),
        (&["--range", "0-9", "--in-place", "--print-digest", "md5", "-o", "x"], 2, "at its place"),
    ] {
        let ended = run_in(&scene, &site, arguments);
        let line = ended.error_line(code);
        assert!(line.contains(words), "{arguments:?}: {line}");
    }
    // The digest may stand in a file.
    let digest = digest_of(&picked(&[5..10]));
    let sums = format!("{}  sparse\n", digest.trim_start_matches("sha256:"));
    fs::write(scene.path().join("SUMS"), sums).expect("it is written");
    let arguments = ["--range", "5-9", "--in-place", "-o", "sparse", "--checksum-file", "SUMS"];
    run_in(&scene, &site, &arguments).success();
    let arguments = ["--range", "6-9", "--in-place", "-o", "sparse", "--checksum-file", "SUMS"];
    let ended = run_in(&scene, &site, &arguments);
    assert!(
        ended.error_line(13).contains("already stand in sparse, at its bytes 0-4095, "),
        "{ended:?}"
    );
}
