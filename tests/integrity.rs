//! Digests end to end: what a server says of its file or of one answer is compared with what
//! arrived, what differs is found, and what was asked for is computed.

mod common;

use common::{
    NAME, Place, SEED, Site, assert_content, both_schemes, checksum, distant, expect_error,
    sha256_digits, status,
};
use ringhaul::ErrorKind;
use ringhaul::internal::base::size::{KIB, MIB};
use ringhaul::internal::base::{Span, SpanSet};
use ringhaul::server::{
    Config, DigestField, Fault, RangeAsked, Rule, Server, Shape, SlowConnections, When, content,
};
use ringhaul::{Algorithm, Checksum};
use ringhaul::{Level, Report};
use sha2::Digest;
use std::time::Duration;

/// Thirteen spans and a tail that fits nothing.
const SIZE: u64 = 3 * MIB + 3 * KIB + 7;
/// In the middle of a span.
const FLIPPED: u64 = MIB + 300 * KIB;

/// The fields that speak of the whole file beside any part of it, and what is reported of them.
const OF_THE_FILE: [(DigestField, &str, &str); 3] = [
    (DigestField::ReprDigestSha256, "sha256", "server's Repr-Digest"),
    (DigestField::DigestSha256, "sha256", "server's Digest"),
    (DigestField::XGoogCrc32c, "crc32c", "server's x-goog-hash"),
];
/// Those that do so beside the whole file only.
const OF_THE_ANSWER: [(DigestField, &str, &str); 2] = [
    (DigestField::XAmzSha256FullObject, "sha256", "server's x-amz-checksum-sha256"),
    (DigestField::ContentDigestSha256, "sha256", "server's Content-Digest"),
];

fn site(config: Config) -> Site {
    Site::strict(config).with(|options| {
        options.connections = Some(3);
        options.chunk_bytes = Some(256 * KIB);
        options.retry_wait = Duration::from_millis(1);
    })
}

fn both(size: u64, digests: &[DigestField]) -> [Config; 2] {
    both_schemes(size).map(|config| Config { digests: digests.to_vec(), ..config })
}

fn plain(digests: &[DigestField]) -> Config {
    Config { digests: digests.to_vec(), ..Config::new(SEED, SIZE) }
}

/// It was verified, with this algorithm and against this; a SHA-256 is the right one.
fn assert_verified(report: &Report, size: u64, algorithm: &str, against: &str) {
    let verified = report.verified.as_ref().expect("it was verified");
    assert_eq!(verified.against, against);
    let (name, digits) = verified.digest.split_once(':').expect("a name and digits");
    assert_eq!(name, algorithm);
    if name == "sha256" {
        assert_eq!(digits, sha256_digits(SEED, size));
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every byte of the file that was asked for, and those that were asked for twice.
fn asked(server: &Server) -> (SpanSet, SpanSet) {
    let (mut once, mut twice) = (SpanSet::new(), SpanSet::new());
    for request in server.stats().log {
        let Some(RangeAsked::FromTo { first, last }) = request.range else { continue };
        let span = Span::new(first, (last + 1).min(SIZE));
        for again in once.iter().map(|known| known.intersect(span)).collect::<Vec<_>>() {
            twice.insert(again);
        }
        once.insert(span);
    }
    (once, twice)
}

/// The bytes that the nth request asked for.
fn asked_by(server: &Server, request: usize) -> Span {
    match server.stats().log[request - 1].range {
        Some(RangeAsked::FromTo { first, last }) => Span::new(first, (last + 1).min(SIZE)),
        other => panic!("no bounded range: {other:?}"),
    }
}

// --- what the server says of its file ---

#[test]
fn a_digest_of_the_file_is_compared() {
    for (field, algorithm, against) in OF_THE_FILE {
        for size in [SIZE, 5] {
            for config in both(size, &[field]) {
                let report = site(config).succeeds(size);
                assert!(report.ranges);
                assert_verified(&report, size, algorithm, against);
            }
        }
    }
}

#[test]
fn a_digest_of_the_file_is_compared_in_one_stream() {
    for (field, algorithm, against) in OF_THE_FILE.into_iter().chain(OF_THE_ANSWER) {
        for size in [SIZE, 5, 0] {
            for config in both(size, &[field]) {
                let report = site(config.rule(When::All, Fault::NoRangeSupport)).succeeds(size);
                assert_verified(&report, size, algorithm, against);
            }
        }
    }
}

#[test]
fn a_digest_beside_a_part_that_may_be_the_parts_does_not_count() {
    let site = site(plain(&[DigestField::XAmzSha256FullObject]));
    let (result, said) = site.run_aloud(Level::Trace);
    assert!(result.unwrap().verified.is_none());
    assert!(said.contains("x-amz-checksum-sha256: beside a part"), "{said}");
}

#[test]
fn an_empty_file_behind_ranges_has_no_digest() {
    // Its 416 is no answer about the file.
    let report = site(Config { size_bytes: 0, ..plain(&[DigestField::DigestSha256]) }).succeeds(0);
    assert!(report.verified.is_none());
}

#[test]
fn a_wrong_byte_is_found() {
    for (field, ..) in OF_THE_FILE {
        for config in both(SIZE, &[field]) {
            let site = site(config.rule(When::All, Fault::FlipByte(FLIPPED)));
            site.fails(ErrorKind::ChecksumMismatch, 13, &["what arrived", "are kept"]);
            assert_eq!(site.names(), [format!("{NAME}.part")], "nobody goes on from it");
        }
    }
    for (field, ..) in OF_THE_FILE.into_iter().chain(OF_THE_ANSWER) {
        let flipped = plain(&[field]).rule(When::All, Fault::FlipByte(FLIPPED));
        let site = site(flipped.rule(When::All, Fault::NoRangeSupport));
        expect_error(site.run(), ErrorKind::ChecksumMismatch, 13, &["are kept"]);
        assert_eq!(site.names(), [format!("{NAME}.part")], "a stream has no journal");
    }
}

#[test]
fn what_did_not_fit_is_fetched_anew() {
    let flipped = plain(&[DigestField::ReprDigestSha256]);
    let site = site(flipped.rule(When::All, Fault::FlipByte(FLIPPED)));
    site.fails(ErrorKind::ChecksumMismatch, 13, &[]);
    let site = site.moved(plain(&[DigestField::ReprDigestSha256]));
    let report = site.succeeds(SIZE);
    assert_eq!(report.resumed_bytes, 0);
    assert_verified(&report, SIZE, "sha256", "server's Repr-Digest");
}

#[test]
fn a_resumed_file_is_compared_as_a_whole() {
    for (field, algorithm, against) in OF_THE_FILE {
        for config in both(SIZE, &[field]) {
            let gone = status(404, "");
            let site = site(config.clone().rule(When::RangeStartFrom(2 * MIB), gone));
            expect_error(site.run(), ErrorKind::Status(404), 8, &["are kept"]);
            let site = site.moved(config);
            let report = site.succeeds(SIZE);
            assert!(report.resumed_bytes >= MIB, "{}", report.resumed_bytes);
            assert_verified(&report, SIZE, algorithm, against);
        }
    }
}

#[test]
fn nothing_is_compared_unasked() {
    for is_stream in [false, true] {
        let every = OF_THE_FILE.into_iter().chain(OF_THE_ANSWER).map(|(field, ..)| field);
        let mut config = plain(&every.collect::<Vec<_>>()).rule(When::All, Fault::WrongDigest);
        if is_stream {
            config = config.rule(When::All, Fault::NoRangeSupport);
        }
        let site = site(config).with(|options| options.verify = false);
        assert!(site.succeeds(SIZE).verified.is_none());
        let heads = site.server.stats().log.into_iter().map(|request| request.head);
        assert!(heads.into_iter().all(|head| !head.contains("Want-")), "nothing is asked for");
    }
}

#[test]
fn the_callers_digest_counts_and_the_servers_is_not_looked_at() {
    let lying = plain(&[DigestField::ReprDigestSha256]).rule(When::All, Fault::WrongDigest);
    let site = site(lying).with(|options| options.checksum = Some(checksum(SEED, SIZE)));
    assert_verified(&site.succeeds(SIZE), SIZE, "sha256", "given with --checksum");
}

#[test]
fn a_server_that_contradicts_itself_is_refused() {
    let other = "3q2+7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    for (name, value) in [
        ("Repr-Digest", format!("sha-256=:{other}:")),
        ("Digest", format!("sha-256={other}")),
        ("X-Linked-Etag", format!("\"{}\"", "ab".repeat(32))),
    ] {
        let fields = Fault::Fields(vec![(name.to_owned(), value)]);
        let config = plain(&[DigestField::ReprDigestSha256]).rule(When::All, fields);
        let site = site(config);
        site.fails(ErrorKind::Protocol, 9, &["sha256", "different", "--checksum", "--no-verify"]);
        let site = site.with(|options| options.checksum = Some(checksum(SEED, SIZE)));
        site.succeeds(SIZE);
    }
    let fields = Fault::Fields(vec![("Digest".to_owned(), format!("sha-256={other}"))]);
    let config = plain(&[DigestField::ReprDigestSha256]).rule(When::All, fields);
    let site = site(config).with(|options| options.verify = false);
    assert!(site.succeeds(SIZE).verified.is_none());
}

#[test]
fn malformed_fields_are_no_digests() {
    for (name, value, words) in [
        ("Repr-Digest", "sha-256=:AAAA:", "is no sha256"),
        ("Repr-Digest", "sha-256=AAAA", "no dictionary"),
        ("Digest", "SHA-256", "no algorithm with its digest"),
        ("Digest", "UNIXsum=30637", "no algorithm that is known here"),
        ("x-goog-hash", "crc32c=", "is no crc32c"),
        ("x-amz-checksum-sha256", "AAAA-2", "the digests of parts"),
        ("Content-MD5", "=", "may be the part's"),
        ("X-Linked-Etag", "\"xyz\"", "no sha256 in hex"),
    ] {
        let fields = Fault::Fields(vec![(name.to_owned(), value.to_owned())]);
        let (result, said) = site(plain(&[]).rule(When::All, fields)).run_aloud(Level::Trace);
        assert!(result.unwrap().verified.is_none());
        let line = said.lines().find(|line| line.starts_with(&format!("{name}: ")));
        assert!(line.is_some_and(|line| line.contains(words)), "{words}: {said}");
    }
}

// --- what was asked for ---

/// A reflected CRC, one bit at a time: slow and no kin of the client's.
fn crc(polynomial: u64, bits: u32, bytes: &[u8]) -> u64 {
    let ones = u64::MAX >> (64 - bits);
    let mut crc = ones;
    for byte in bytes {
        crc ^= u64::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ polynomial } else { crc >> 1 };
        }
    }
    crc ^ ones
}

/// Every algorithm's digest of the file, computed elsewhere.
fn expected_digests(size: u64) -> Vec<(Algorithm, String)> {
    let mut bytes = vec![0; usize::try_from(size).expect("a small file")];
    content::fill(SEED, 0, &mut bytes);
    let bytes = &bytes[..];
    vec![
        (Algorithm::Sha256, sha256_digits(SEED, size)),
        (Algorithm::Sha512, hex(&sha2::Sha512::digest(bytes))),
        (Algorithm::Blake3, blake3::hash(bytes).to_hex().to_string()),
        (Algorithm::Crc64Nvme, format!("{:016x}", crc(0x9a6c_9329_ac4b_c9b5, 64, bytes))),
        (Algorithm::Crc32c, format!("{:08x}", crc(0x82f6_3b78, 32, bytes))),
        (Algorithm::Crc32, format!("{:08x}", crc(0xedb8_8320, 32, bytes))),
        (Algorithm::Sha1, hex(&sha1::Sha1::digest(bytes))),
        (Algorithm::Md5, hex(&md5::Md5::digest(bytes))),
    ]
}

#[test]
fn every_digest_can_be_had_at_once() {
    assert_eq!(crc(0x9a6c_9329_ac4b_c9b5, 64, b"123456789"), 0xae8b_1486_0a79_9888);
    assert_eq!(crc(0x82f6_3b78, 32, b"123456789"), 0xe306_9283);
    assert_eq!(crc(0xedb8_8320, 32, b"123456789"), 0xcbf4_3926);
    for size in [SIZE, 5, 0] {
        let expected = expected_digests(size);
        for is_stream in [false, true] {
            let mut config = Config::new(SEED, size);
            if is_stream {
                config = config.rule(When::All, Fault::NoRangeSupport);
            }
            let site = site(config).with(|options| {
                options.digests = expected.iter().map(|(algorithm, _)| *algorithm).collect();
            });
            let report = site.succeeds(size);
            assert_eq!(report.digests.len(), expected.len());
            for (algorithm, digest) in &expected {
                let line = format!("{algorithm}:{digest}");
                assert!(report.digests.contains(&line), "{line} of {:?}", report.digests);
            }
        }
    }
}

#[test]
fn each_algorithm_is_good_for_a_checksum() {
    for (algorithm, digits) in expected_digests(SIZE) {
        let right: Checksum = format!("{algorithm}:{digits}").parse().expect("a checksum");
        let mut wrong = right.clone();
        wrong.expected[0] ^= 1;
        let site = site(plain(&[])).with(|options| options.checksum = Some(wrong));
        site.fails(ErrorKind::ChecksumMismatch, 13, &[algorithm.name()]);
        let site = site.with(|options| options.checksum = Some(right));
        let report = site.succeeds(SIZE);
        assert_eq!(report.verified.unwrap().digest, format!("{algorithm}:{digits}"));
    }
}

#[test]
fn crc32c_is_joined_from_parts_and_reads_nothing_back() {
    for field in [None, Some(DigestField::XGoogCrc32c)] {
        let site = site(plain(field.as_slice())).with(|options| {
            // One connection overtakes nobody, so its blocks fit together.
            options.connections = Some(1);
            let (algorithm, digits) = expected_digests(SIZE).swap_remove(4);
            let checksum = format!("{algorithm}:{digits}").parse().expect("a checksum");
            options.checksum = field.is_none().then_some(checksum);
        });
        assert_eq!(site.succeeds(SIZE).verified.unwrap().read_back_bytes, 0);
    }
}

// --- what the server says of one answer ---

#[test]
fn an_answer_that_does_not_fit_is_asked_for_again() {
    for config in both(SIZE, &[DigestField::ContentDigestSha256]) {
        for request in [1, 2, 7] {
            let mut config = config.clone();
            config.script = vec![Rule::once(When::Request(request as u64), Fault::WrongDigest)];
            let site = site(config).with(|options| {
                // Alone and one after the other, so that nothing else is asked for twice.
                (options.connections, options.retries) = (Some(1), 1);
                options.request_ahead = false;
            });
            let report = site.succeeds(SIZE);
            assert_eq!((report.retries, report.bytes), (1, SIZE));
            let bad = asked_by(&site.server, request);
            let twice: Vec<Span> = asked(&site.server).1.iter().collect();
            assert_eq!(twice, [bad], "that answer and no other");
        }
    }
}

#[test]
fn an_answer_that_does_not_fit_is_found_with_requests_ahead_and_with_company() {
    for (connections, shape) in [(1, distant as fn(Config) -> Config), (3, |config| config)] {
        for config in both(SIZE, &[DigestField::ContentDigestSha256]) {
            let mut config = shape(config);
            config.script = vec![Rule::once(When::Request(4), Fault::WrongDigest)];
            let site = site(config).with(|options| {
                (options.connections, options.retries) = (Some(connections), 1);
                options.chunk_bytes = Some(128 * KIB);
            });
            assert_eq!(site.succeeds(SIZE).retries, 1);
            let bad = asked_by(&site.server, 4);
            assert!(asked(&site.server).1.covers(bad), "it was asked for again");
            let ahead = site.server.stats().log.iter().any(|request| request.is_early);
            assert!(ahead || connections > 1, "a request went ahead");
        }
    }
}

#[test]
fn an_answer_may_end_before_its_digest_can_be_compared() {
    let slow = SlowConnections { every: 3, bytes_per_second: 200 * KIB };
    for config in both(SIZE, &[DigestField::ContentDigestSha256]) {
        let shape = Shape {
            connection_bytes_per_second: Some(8 * MIB),
            slow_connections: Some(slow),
            ..Shape::default()
        };
        let site = site(Config { shape, ..config });
        let site = site.with(|options| options.chunk_bytes = Some(MIB));
        site.succeeds(SIZE);
    }
}

#[test]
fn answers_that_never_fit_end_the_download() {
    for config in both(SIZE, &[DigestField::ContentDigestSha256]) {
        let site = site(config.rule(When::FromRequest(4), Fault::WrongDigest));
        let site = site.with(|options| options.retries = 2);
        site.fails(ErrorKind::ChecksumMismatch, 13, &["Content-Digest", "are kept", "proxy"]);
        let requests = site.server.stats().requests;
        // Three tries of each span that was begun before the first of them was over.
        assert!(requests < 40, "{requests} requests for three tries each");
    }
}

#[test]
fn what_did_not_fit_is_not_kept_for_a_later_run() {
    for config in both(SIZE, &[DigestField::ContentDigestSha256]) {
        let site = site(config.rule(When::All, Fault::FlipByte(FLIPPED)));
        let site = site.with(|options| options.retries = 2);
        site.fails(ErrorKind::ChecksumMismatch, 13, &["Content-Digest"]);
        site.assert_left_for_later();
        // Nobody tells the later run of digests, and it has no need of them.
        let report = site.moved(plain(&[])).succeeds(SIZE);
        assert!(report.resumed_bytes > 0, "what fitted is kept");
    }
}

#[test]
fn answers_shorter_than_asked_are_held_against_their_digests_too() {
    // Lengths of whole pages, and lengths at which no block may end.
    for bytes_max in [64 * KIB, 65_000, 5001] {
        for config in both(SIZE, &[DigestField::ContentDigestSha256]) {
            let config = config.rule(When::All, Fault::ShorterRange(bytes_max));
            let report = site(config.clone()).succeeds(SIZE);
            assert_eq!(report.retries, 0);
            let wrong = Config { ..config.clone() }.rule(When::FromRequest(4), Fault::WrongDigest);
            let never = site(wrong).with(|options| options.retries = 2);
            never.fails(ErrorKind::ChecksumMismatch, 13, &["Content-Digest"]);
            let mut once = config.clone();
            once.script.push(Rule::once(When::Request(3), Fault::WrongDigest));
            let once = site(once).with(|options| options.retries = 2);
            assert_eq!(once.succeeds(SIZE).retries, 1);
        }
    }
}

/// One connection is so slow that others would take over its bytes, or fetch them too.
#[test]
fn answers_with_digests_are_neither_cut_nor_fetched_twice() {
    let slow = SlowConnections { every: 3, bytes_per_second: 400 * KIB };
    let shape = Shape {
        connection_bytes_per_second: Some(8 * MIB),
        slow_connections: Some(slow),
        ..Shape::default()
    };
    let with_digests = [DigestField::ContentDigestSha256];
    for (digests, is_shared) in [(&with_digests[..], false), (&[], true)] {
        let config = Config { shape: shape.clone(), ..plain(digests) };
        let site = site(config).with(|options| options.chunk_bytes = Some(MIB));
        let (result, said) = site.run_aloud(Level::Trace);
        result.expect("it ends well");
        assert_content(&site.target(), SEED, SIZE);
        let shares = ["takes over the rest of", "fetches "].iter().any(|what| said.contains(what));
        assert_eq!(shares, is_shared, "{said}");
    }
}
