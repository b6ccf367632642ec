//! Digests in response heads: none is made up, none counts where it may be another's, and nothing
//! a server writes reaches a terminal as it is.

use super::Target;
use ringhaul::internal::base::limits::DIGESTS_OFFERED_MAX;
use ringhaul::internal::http::{
    HeadParse, Offered, Offers, content_digests, contradiction, parse, whole_file_digests,
};

pub(super) const TARGET: Target =
    Target { name: "digest_fields", run, seeds, words: WORDS, smoke_runs: 15_000 };

const WORDS: &[&str] = &[
    "\r\n",
    "Repr-Digest: ",
    "Content-Digest: ",
    "Digest: ",
    "Content-MD5: ",
    "x-goog-hash: ",
    "x-amz-checksum-crc32c: ",
    "x-amz-checksum-sha256: ",
    "x-amz-checksum-type: FULL_OBJECT\r\n",
    "x-amz-checksum-type: COMPOSITE\r\n",
    "X-Linked-Etag: \"",
    "Content-Encoding: gzip\r\n",
    "x-goog-stored-content-encoding: gzip\r\n",
    "Content-Range: bytes 0-9/10\r\n",
    "sha-256=:",
    "sha-512=:",
    "md5=:",
    "SHA-256=",
    "crc32c=",
    ":",
    "=",
    "==",
    ",",
    ";a=1",
    "-5",
    "206 x",
    "302 x",
    "XUFAKrxLKna5cZ2REBfFkg==",
    "4waSgw==",
    "X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=",
];

/// Bytes and algorithm of every digest that may be offered, best first.
const ALGORITHMS: [(&str, usize); 7] = [
    ("sha256", 32),
    ("sha512", 64),
    ("sha1", 20),
    ("md5", 16),
    ("crc64nvme", 8),
    ("crc32c", 4),
    ("crc32", 4),
];

/// What follows the version of a status line.
fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "206 x\r\nRepr-Digest: sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:, \
         md5=:XUFAKrxLKna5cZ2REBfFkg==:\r\nContent-Digest: sha=:Kq5sNclPz7QV2+lfQIuc6R7oRu0=:;a=1\
         \r\nDigest: MD5=XUFAKrxLKna5cZ2REBfFkg==,SHA=Kq5sNclPz7QV2+lfQIuc6R7oRu0=",
        "200 OK\r\nContent-MD5: XUFAKrxLKna5cZ2REBfFkg==\r\nx-goog-hash: crc32c=4waSgw==\r\n\
         x-goog-hash: md5=XUFAKrxLKna5cZ2REBfFkg==\r\nx-goog-stored-content-encoding: identity",
        "206 x\r\nContent-Range: bytes 0-9/10\r\nx-amz-checksum-type: FULL_OBJECT\r\n\
         x-amz-checksum-crc64nvme: AAECAwQFBgc=\r\nx-amz-checksum-sha1: abc-5",
        "302 x\r\nX-Linked-Etag: \
         \"5f8f04f6a3a892aaabbddb6cf273894493773960d4a325b105fee46eef4304f1\"",
        "200 OK\r\nContent-Encoding: gzip\r\nContent-Digest: sha-256=:AA==:, sha-256=x",
    ];
    // More different ones than are kept.
    let many = (b'A'..=b'Z').map(|c| format!("crc32c=AAA{}AA==,", char::from(c)));
    let many = format!("200 OK\r\nx-goog-hash: {}", many.collect::<String>());
    let seeds = texts.iter().copied().chain([many.as_str()]);
    seeds.map(|text| text.as_bytes().to_vec()).collect()
}

fn run(data: &[u8]) {
    let text = [b"HTTP/1.1 ", data, b"\r\n\r\n"].concat();
    let Ok(HeadParse::Complete { head, consumed }) = parse(&text) else { return };
    let (whole, content) = (whole_file_digests(&head), content_digests(&head));
    let sent = &text[..consumed];
    for offers in [&whole, &content] {
        bounded(offers);
        for offered in &offers.digests {
            assert!(was_sent(offered, sent), "{offered:?} is made up");
        }
        let digests = &offers.digests;
        let differ = |a: &Offered, b: &Offered| a.algorithm == b.algorithm && a.value != b.value;
        let contradicts = digests.iter().any(|a| digests.iter().any(|b| differ(a, b)));
        assert_eq!(contradiction(digests).is_some(), contradicts);
    }
    let is_data = matches!(head.status(), 200 | 206);
    assert!(is_data || content.digests.is_empty());
    for offered in &whole.digests {
        let part_only = ["Content-Digest", "Content-MD5"].contains(&offered.field)
            || offered.field.starts_with("x-amz-");
        let holds_all = head.status() == 200 || head.get("Content-Range").is_some();
        assert!(!part_only || holds_all, "{offered:?} may be a part's");
        assert!(is_data || (300..400).contains(&head.status()) && offered.field == "X-Linked-Etag");
    }
}

fn bounded(offers: &Offers) {
    assert!(offers.digests.len().max(offers.ignored.len()) <= DIGESTS_OFFERED_MAX);
    let rank = |o: &Offered| ALGORITHMS.iter().position(|(name, _)| *name == o.algorithm);
    assert!(offers.digests.is_sorted_by_key(|offered| rank(offered).expect("a known one")));
    for offered in &offers.digests {
        let bytes = ALGORITHMS[rank(offered).expect("a known one")].1;
        assert_eq!(offered.value.len(), bytes, "{offered:?}");
    }
    for line in &offers.ignored {
        assert!(!line.chars().any(char::is_control) && line.chars().count() < 200, "{line:?}");
    }
}

/// Whether the digest stands in the head, in base64 or in hex.
fn was_sent(offered: &Offered, sent: &[u8]) -> bool {
    let hex: String = offered.value.iter().map(|byte| format!("{byte:02x}")).collect();
    let contains = |sent: &[u8], text: &str| sent.windows(text.len()).any(|w| w == text.as_bytes());
    match offered.field {
        "X-Linked-Etag" => contains(&sent.to_ascii_lowercase(), &hex),
        _ => contains(sent, &base64(&offered.value)),
    }
}

/// RFC 4648 section 4, bit by bit.
fn base64(bytes: &[u8]) -> String {
    let bits: Vec<u8> =
        bytes.iter().flat_map(|byte| (0..8).rev().map(move |i| byte >> i & 1)).collect();
    let digit = |group: &[u8]| {
        let value = (0..6).fold(0, |value, i| value << 1 | group.get(i).copied().unwrap_or(0));
        char::from(match value {
            0..=25 => b'A' + value,
            26..=51 => b'a' + value - 26,
            52..=61 => b'0' + value - 52,
            62 => b'+',
            _ => b'/',
        })
    };
    let mut text: String = bits.chunks(6).map(digit).collect();
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}
