//! Files whose pieces have known digests: verified as they come, fetched again where they are bad,
//! and gone on with by what they say.

mod common;

use common::{Place, SEED, Scene, Site, bounded, checksum, expect_error, serve, slowed, status};
use ringhaul::internal::base::size::{KIB, MIB};
use ringhaul::internal::digest::{Checksum, PieceHashes};
use ringhaul::server::{Config, Fault, Metalink, RangeAsked, Rule, Server, When, content};
use ringhaul::{
    Algorithm, Client, ClientOptions, ErrorKind, Level, OnChange, Options, Report, Url,
};
use std::fs;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Its last piece is a short one, whatever their length.
const SIZE: u64 = 8 * MIB + 3 * KIB + 7;
const PIECE: u64 = 256 * KIB;
/// Of one server, bytes per second.
const RATE: u64 = 24 * MIB;

/// The digests of the pieces of the file that all servers here have.
fn digests(algorithm: Algorithm, piece_bytes: u64) -> Vec<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(SIZE).expect("it fits the memory")];
    content::fill(SEED, 0, &mut bytes);
    let digest = |piece: &[u8]| {
        let mut hasher = algorithm.hasher();
        hasher.update(piece);
        hasher.finish().bytes
    };
    bytes.chunks(usize::try_from(piece_bytes).expect("it fits the memory")).map(digest).collect()
}

fn pieces(algorithm: Algorithm, piece_bytes: u64) -> Option<Arc<PieceHashes>> {
    let hashes = digests(algorithm, piece_bytes);
    let hashes = PieceHashes::new(algorithm, piece_bytes, SIZE, &hashes);
    Some(Arc::new(hashes.expect("pieces of the file")))
}

fn good() -> Config {
    Config::new(SEED, SIZE)
}

fn flipped(bytes: Range<u64>) -> Config {
    with(Rule::new(When::All, Fault::FlipBytes(bytes)))
}

fn with(rule: Rule) -> Config {
    Config { script: vec![rule], ..good() }
}

/// One server, and the digests of pieces of this length.
fn alone(config: Config, piece_bytes: u64) -> Site {
    Site::strict(config).with(|options| {
        options.pieces = pieces(Algorithm::Sha1, piece_bytes);
        options.connections = Some(3);
        options.chunk_bytes = Some(MIB);
    })
}

/// Several servers, the first of which is the site's own.
fn several(first: Config, others: Vec<Config>, piece_bytes: u64) -> (Site, Vec<Server>) {
    let slow = |config| slowed(config, RATE);
    let others: Vec<Server> = others.into_iter().map(|config| serve(slow(config))).collect();
    let site = alone(slow(first), piece_bytes).with(|options| {
        let url = |server: &Server| Url::parse(&server.url("/file.bin")).expect("a URL");
        options.mirrors = others.iter().map(url).collect();
        (options.connections, options.chunk_bytes) = (None, Some(512 * KIB));
    });
    (site, others)
}

#[track_caller]
fn succeeds(site: &Site) -> (Report, String) {
    let (result, told) = site.run_aloud(Level::Note);
    let report = result.unwrap_or_else(|error| panic!("{error}\n{told}"));
    site.assert_whole(SEED, SIZE);
    let pieces = report.pieces.as_ref().expect("the pieces were verified");
    let wanted = site.options.pieces.as_ref().expect("pieces");
    assert_eq!((pieces.count, pieces.algorithm), (wanted.count(), wanted.algorithm()));
    (report, told)
}

/// Bytes of the file that the server was asked for.
fn asked_bytes(server: &Server) -> u64 {
    let bytes = |range: Option<RangeAsked>| match range {
        Some(RangeAsked::FromTo { first, last }) => last + 1 - first,
        other => panic!("asked for {other:?}"),
    };
    server.stats().log.into_iter().map(|request| bytes(request.range)).sum()
}

// --- good pieces ---

#[test]
fn pieces_of_any_length_are_verified() {
    // Smaller than blocks, unaligned, larger than spans, and one for all.
    for piece_bytes in [3 * KIB, 100_001, 3 * MIB, 16 * MIB] {
        // One connection: of several a slow one may be overtaken, by which bytes come twice.
        let site = alone(good(), piece_bytes).with(|options| options.connections = Some(1));
        let (report, _) = succeeds(&site);
        assert_eq!(report.retries, 0);
        assert_eq!(asked_bytes(&site.server), SIZE, "pieces of {piece_bytes}");
    }
}

#[test]
fn pieces_within_spans_are_hashed_as_they_come() {
    let site = alone(slowed(good(), RATE), PIECE);
    let (report, _) = succeeds(&site);
    // Where a span was shared out again, a piece may come in two parts.
    let read_back_bytes = report.pieces.expect("verified").read_back_bytes;
    assert!(read_back_bytes < SIZE / 4, "{read_back_bytes} bytes");
}

#[test]
fn connections_wait_for_the_hash_and_nothing_is_read_back() {
    // There are fewer blocks than would be set aside for connections alone.
    let site = alone(slowed(good(), RATE), PIECE);
    let memory_bytes = Some(4 * MIB);
    let client = Client::new(&ClientOptions { memory_bytes, ..ClientOptions::default() });
    let running = site.download().start(&client.expect("usable options")).expect("it starts");
    let report = bounded("the download", move || running.wait()).expect("it succeeds");
    site.assert_whole(SEED, SIZE);
    // Where a span was shared out again, a piece may come in two parts.
    let read_back_bytes = report.pieces.expect("verified").read_back_bytes;
    assert!(read_back_bytes < SIZE / 4, "{read_back_bytes} bytes");
}

#[test]
fn every_algorithm_and_the_digest_of_the_file_besides() {
    for algorithm in [Algorithm::Sha256, Algorithm::Md5, Algorithm::Crc32] {
        let site = alone(good(), PIECE).with(|options| {
            options.pieces = pieces(algorithm, PIECE);
            options.checksum = Some(checksum(SEED, SIZE));
        });
        assert!(succeeds(&site).0.verified.is_some());
    }
    // Neither contradicts itself, but the one the other: another attempt would find no more.
    let mut site = alone(good(), PIECE).with(|options| options.connections = Some(1));
    let wrong = vec![7; 32];
    site.options.checksum = Some(Checksum { algorithm: Algorithm::Sha256, expected: wrong });
    expect_error(site.run(), ErrorKind::ChecksumMismatch, 13, &["sha256"]);
    assert_eq!(asked_bytes(&site.server), SIZE);
}

#[test]
fn a_file_in_one_stream_is_verified() {
    for fault in [Fault::NoRangeSupport, Fault::Chunked] {
        let config = Config {
            script: vec![Rule::new(When::All, Fault::NoRangeSupport), Rule::new(When::All, fault)],
            ..good()
        };
        succeeds(&alone(config, PIECE));
    }
}

#[test]
fn pieces_are_those_of_a_file_of_this_size() {
    let words = ["8391688 bytes", "8391687"];
    for fault in [None, Some(Fault::NoRangeSupport), Some(Fault::NoLength)] {
        let script = fault.into_iter().map(|fault| Rule::new(When::All, fault)).collect();
        let config = Config { script, ..Config::new(SEED, SIZE + 1) };
        expect_error(alone(config, PIECE).run(), ErrorKind::ChecksumMismatch, 13, &words);
    }
    let (site, _others) = several(Config::new(SEED, SIZE + 1), vec![good()], PIECE);
    succeeds(&site);
    let site = alone(good(), PIECE).with(|options| options.expected_bytes = Some(SIZE + 1));
    expect_error(site.run(), ErrorKind::Usage, 2, &["piece hashes"]);
}

#[test]
fn the_size_of_the_file_may_be_the_servers_to_say() {
    let hashes = digests(Algorithm::Sha1, PIECE);
    let hashes = PieceHashes::of_any_size(Algorithm::Sha1, PIECE, &hashes).expect("pieces");
    let site = |config: Config| {
        let hashes = Some(Arc::new(hashes.clone()));
        alone(config, PIECE).with(|options| options.pieces = hashes)
    };
    succeeds(&site(good()));
    // The last piece is a longer one then.
    let longer = site(Config::new(SEED, SIZE + 1));
    expect_error(longer.run(), ErrorKind::ChecksumMismatch, 13, &["piece 33 of 33"]);
    let one_more = site(Config::new(SEED, SIZE + PIECE));
    expect_error(one_more.run(), ErrorKind::ChecksumMismatch, 13, &["33 piece hashes"]);
    let unsaid = [Fault::NoRangeSupport, Fault::NoLength].map(|fault| Rule::new(When::All, fault));
    let unsaid = site(Config { script: unsaid.to_vec(), ..good() });
    expect_error(unsaid.run(), ErrorKind::ChecksumMismatch, 13, &["does not say the size"]);
}

// --- bad pieces, and one source only ---

#[test]
fn a_piece_that_comes_wrong_once_is_fetched_again_alone() {
    for (piece_bytes, read_again) in [(PIECE, PIECE), (3 * MIB, 3 * MIB)] {
        let once = Rule::once(When::RangeStartFrom(2 * MIB), Fault::FlipBytes(0..SIZE));
        let mut site = alone(with(once), piece_bytes);
        site.options.connections = Some(1);
        site.options.chunk_bytes = Some(PIECE);
        let (_, told) = succeeds(&site);
        site.assert_fired();
        assert!(told.contains("fetching what is wrong again"), "{told}");
        assert_eq!(asked_bytes(&site.server), SIZE + read_again, "{told}");
    }
}

#[test]
fn without_a_journal_little_more_is_fetched_again() {
    let once = Rule::once(When::RangeStartFrom(2 * MIB), Fault::FlipBytes(0..SIZE));
    let mut site = alone(with(once), PIECE);
    site.options.journal = false;
    succeeds(&site);
    assert!(asked_bytes(&site.server) <= SIZE + 3 * MIB);
}

#[test]
fn a_piece_that_stays_wrong_is_named() {
    let site = alone(flipped(3 * MIB + 5..3 * MIB + 6), PIECE);
    let site = site.with(|options| options.connections = Some(1));
    let words = ["piece 13 of 33", "3145728..3407872", "sha1"];
    expect_error(site.run(), ErrorKind::ChecksumMismatch, 13, &words);
    assert!(asked_bytes(&site.server) <= SIZE + 2 * PIECE, "it alone was fetched again, twice");
    // What is right of it is gone on with.
    let site = site.moved(good());
    let (report, _) = succeeds(&site);
    assert_eq!(report.resumed_bytes, SIZE - PIECE);
    assert_eq!(asked_bytes(&site.server), PIECE);
}

#[test]
fn another_file_is_not_fetched_to_its_end() {
    let site = alone(slowed(Config::new(SEED + 1, SIZE), 4 * MIB), 16 * KIB);
    expect_error(site.run(), ErrorKind::ChecksumMismatch, 13, &["piece 1 of"]);
    assert!(site.stats().body_bytes < SIZE, "{}", site.stats().body_bytes);
}

#[test]
fn a_stream_with_a_bad_piece_is_fetched_again() {
    let stream = Rule::new(When::All, Fault::NoRangeSupport);
    let once = Rule::once(When::All, Fault::FlipBytes(MIB..MIB + 1));
    let config = Config { script: vec![stream.clone(), once], ..good() };
    succeeds(&alone(config, PIECE));
    let always = Rule::new(When::All, Fault::FlipBytes(MIB..MIB + 1));
    let site = alone(Config { script: vec![stream, always], ..good() }, PIECE);
    expect_error(site.run(), ErrorKind::ChecksumMismatch, 13, &["piece 5 of 33"]);
    assert_eq!(site.stats().requests, 3);
}

// --- bad pieces, and several sources ---

#[test]
fn who_brings_a_bad_piece_is_named_and_left_out() {
    for is_first in [true, false] {
        let liar = flipped(2 * MIB..SIZE);
        let (site, others) = match is_first {
            true => several(liar, vec![good(), good()], PIECE),
            false => several(good(), vec![liar, good()], PIECE),
        };
        let (report, told) = succeeds(&site);
        let port = if is_first { site.port() } else { others[0].address().port() };
        let is_named = |line: &str| line.contains(&port.to_string()) && line.contains("left out");
        assert!(told.lines().any(is_named), "{told}");
        let is_there = |url: &Url| url.to_string().contains(&port.to_string());
        assert!(!report.sources.iter().any(|source| is_there(&source.url)), "{report:#?}");
        assert!(!report.is_compared, "{report:#?}");
    }
}

#[test]
fn only_what_the_liar_brought_is_fetched_again() {
    let (site, others) = several(good(), vec![flipped(0..SIZE), good()], PIECE);
    let (_, told) = succeeds(&site);
    assert!(told.contains("left out"), "{told}");
    let honest = site.stats().body_bytes + others[1].stats().body_bytes;
    // Beside the file: first answers, and what was on its way when the attempt ended.
    assert!(honest <= SIZE + 3 * MIB, "{honest} bytes for {SIZE}");
}

#[test]
fn pieces_of_several_sources_still_tell_who_is_wrong() {
    // Each piece is larger than what one request asks for.
    let (site, others) = several(good(), vec![flipped(0..SIZE)], 4 * MIB);
    let (_, told) = succeeds(&site);
    assert!(told.contains("going on with") || told.contains("left out"), "{told}");
    let liars_port = others[0].address().port().to_string();
    assert!(told.contains(&liars_port), "{told}");
}

#[test]
fn a_mirror_that_is_dead_is_no_reason_to_leave_the_only_source_out() {
    let dead = with(Rule::new(When::All, status(404, "no")));
    let once = Rule::once(When::RangeStartFrom(2 * MIB), Fault::FlipBytes(0..SIZE));
    let (site, _others) = several(with(once), vec![dead], PIECE);
    let (_, told) = succeeds(&site);
    assert!(told.contains("fetching what is wrong again"), "{told}");
}

#[test]
fn once_all_are_wrong_the_piece_is_named() {
    let spoilt = || flipped(3 * MIB..3 * MIB + 1);
    let (site, _others) = several(spoilt(), vec![spoilt()], PIECE);
    expect_error(site.run(), ErrorKind::ChecksumMismatch, 13, &["piece 13 of 33"]);
}

// --- going on ---

/// A run that ends in the middle.
fn begin(change: impl FnOnce(&mut Options)) -> Site {
    let gone = Rule::new(When::RangeStartFrom(5 * MIB), status(404, ""));
    let site = alone(with(gone), PIECE).with(|options| options.connections = Some(1)).with(change);
    expect_error(site.run(), ErrorKind::Status(404), 8, &["are kept"]);
    site
}

fn spoil(site: &Site, at: u64) {
    let part =
        fs::OpenOptions::new().read(true).write(true).open(site.part()).expect("the part file");
    let mut byte = [0];
    part.read_exact_at(&mut byte, at).expect("a byte");
    part.write_all_at(&[byte[0] ^ 1], at).expect("a byte");
}

#[test]
fn what_is_here_is_verified_and_only_what_is_wrong_is_fetched_again() {
    let site = begin(|_| ());
    spoil(&site, MIB + 5);
    let site = site.moved(good());
    let (report, told) = succeeds(&site);
    assert_eq!(report.resumed_bytes, 5 * MIB - PIECE, "{told}");
    assert_eq!(asked_bytes(&site.server), SIZE - 5 * MIB + PIECE, "{told}");
    assert_eq!(report.pieces.expect("verified").read_back_bytes, 5 * MIB);
}

#[test]
fn a_whole_part_file_is_verified() {
    let site = alone(flipped(3 * MIB..3 * MIB + 1), PIECE);
    expect_error(site.run(), ErrorKind::ChecksumMismatch, 13, &[]);
    let mut site = site.moved(with(Rule::new(When::RangeStartFrom(4 * MIB), status(404, ""))));
    site.options.connections = Some(1);
    succeeds(&site);
}

#[test]
fn pieces_prove_what_is_here_whatever_validators_say() {
    let no_validators = Rule::new(When::All, Fault::HideValidators);
    let another = Rule::new(When::All, Fault::ETag("\"another\"".into()));
    for rule in [another, no_validators] {
        let site = begin(|options| options.on_change = OnChange::Fail).moved(with(rule));
        assert_eq!(succeeds(&site).0.resumed_bytes, 5 * MIB);
    }
}

#[test]
fn without_validators_pieces_keep_what_was_fetched() {
    let script = |rule: Option<Rule>| {
        let hidden = Rule::new(When::All, Fault::HideValidators);
        rule.into_iter().chain([hidden]).collect::<Vec<Rule>>()
    };
    let gone = Rule::new(When::RangeStartFrom(5 * MIB), status(404, ""));
    let site = alone(Config { script: script(Some(gone)), ..good() }, PIECE);
    let site = site.with(|options| options.connections = Some(1));
    expect_error(site.run(), ErrorKind::Status(404), 8, &["are kept"]);
    let site = site.moved(Config { script: script(None), ..good() });
    let (report, _) = succeeds(&site);
    assert_eq!(report.resumed_bytes, 5 * MIB);
}

// --- on the command line ---

#[test]
fn a_list_or_a_metalink_has_the_piece_hashes() {
    let described = Config { metalink: Some(Metalink::new(Vec::new())), ..good() };
    let servers = Server::start_mirrors(vec![described]).expect("the server starts");
    let (scene, server) = (Scene::new(), &servers[0]);
    let hex = |digest: Vec<u8>| digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let lines = digests(Algorithm::Sha1, PIECE).into_iter().map(hex).collect::<Vec<_>>();
    let list = format!("sha-1 256K\n{}\n", lines.join("\n"));
    fs::write(scene.path().join("list"), &list).unwrap();
    let (url, metalink) = (server.url("/file.bin"), server.url("/file.bin.meta4"));
    for (place, said) in [("list", "verified 33 pieces (sha-1)"), (&metalink, " pieces (sha-")] {
        let ended = scene.run(&["--force", "--piece-hashes", place, &url]);
        assert!(ended.success().stderr.contains(said), "{ended:?}");
    }
    // Described by a Metalink, it has them as well.
    let ended = scene.run(&["--force", &metalink]);
    assert!(ended.success().stderr.contains(" pieces (sha-"), "{ended:?}");
    fs::write(scene.path().join("list"), list.replace(&lines[12], &lines[13])).unwrap();
    let ended = scene.run(&["--force", "--piece-hashes", "list", &url]);
    assert!(ended.error_line(13).contains("piece 13 of 33"), "{ended:?}");
    fs::write(scene.path().join("list"), "nothing").unwrap();
    let ended = scene.run(&["--force", "--piece-hashes", "list", &url]);
    assert!(ended.one_error_line(2).contains("list"), "{ended:?}");
}
