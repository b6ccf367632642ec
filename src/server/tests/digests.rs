//! The digests the server offers, against what the body gives.

use super::{SEED, SIZE, ask, get, server};
use crate::server::codec::base64::base64;
use crate::server::{Config, DigestField, Fault, Rule, Server, When, content};
use sha2::{Digest, Sha256};

const ALL: [DigestField; 5] = [
    DigestField::ReprDigestSha256,
    DigestField::ContentDigestSha256,
    DigestField::DigestSha256,
    DigestField::XGoogCrc32c,
    DigestField::XAmzSha256FullObject,
];
const OF_WHOLE: [&str; 4] = ["Repr-Digest", "Digest", "x-goog-hash", "x-amz-checksum-sha256"];

fn with(script: Vec<Rule>) -> Server {
    server(Config { digests: ALL.to_vec(), script, ..Config::new(SEED, SIZE) })
}

#[test]
fn of_the_whole_file_and_of_the_part() {
    let server = with(Vec::new());
    let whole = base64(&content::sha256(SEED, SIZE));
    let part = |bytes: &[u8]| format!("sha-256=:{}:", base64(&Sha256::digest(bytes)));
    for (range, len) in [("0-99999", 100_000), ("5-1004", 1000)] {
        let reply = ask(&server, &get(range, ""));
        assert_eq!(reply.body.len(), len);
        assert_eq!(reply.field("Repr-Digest"), Some(&*format!("sha-256=:{whole}:")));
        assert_eq!(reply.field("Digest"), Some(&*format!("SHA-256={whole}")));
        assert_eq!(reply.field("x-amz-checksum-sha256"), Some(&*whole));
        assert_eq!(reply.field("x-amz-checksum-type"), Some("FULL_OBJECT"));
        assert_eq!(reply.field("x-goog-hash").unwrap().len(), "crc32c=".len() + 8);
        assert_eq!(reply.field("Content-Digest"), Some(&*part(&reply.body)));
    }
    let refused = ask(&server, &get("200000-", ""));
    assert_eq!((refused.status, refused.field("Repr-Digest")), (416, None));
}

#[test]
fn wrong_once() {
    let server = with(vec![Rule::once(When::Request(1), Fault::WrongDigest)]);
    let wrong = ask(&server, &get("0-9", ""));
    let right = ask(&server, &get("0-9", ""));
    assert_eq!(wrong.body, right.body);
    for name in OF_WHOLE.into_iter().chain(["Content-Digest"]) {
        let (wrong, right) = (wrong.field(name).unwrap(), right.field(name).unwrap());
        assert_eq!(wrong.len(), right.len());
        assert_ne!(wrong, right, "{name}");
    }
}

#[test]
fn of_the_true_bytes_of_whatever_is_there() {
    let replaced = Fault::Replaced { seed: 8, size_bytes: 50 };
    let script = vec![
        Rule::new(When::All, Fault::FlipByte(3)),
        Rule::new(When::Request(2), Fault::IgnoreRange),
        Rule::new(When::FromRequest(2), replaced),
    ];
    let server = with(script);
    let digest = |seed, size| format!("sha-256=:{}:", base64(&content::sha256(seed, size)));
    let part = ask(&server, &get("0-9", ""));
    assert_eq!(part.field("Repr-Digest"), Some(&*digest(SEED, SIZE)));
    assert_eq!(part.field("Content-Digest"), Some(&*digest(SEED, 10)));
    assert!(content::verify(SEED, 0, &part.body).is_err());
    let other = ask(&server, &get("0-9", ""));
    assert_eq!((other.status, other.body.len()), (200, 50));
    assert_eq!(other.field("Repr-Digest"), Some(&*digest(8, 50)));
    assert_eq!(other.field("Content-Digest"), Some(&*digest(8, 50)));
}
