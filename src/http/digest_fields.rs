//! Digests that servers send along: which fields there are, and what each of them is a digest of.
//!
//! Owns the fields' grammars and the rules by which one counts. Must not know how anything is
//! hashed, nor which digest is the one to check.
//!
//! | field | of what | defined in |
//! |---|---|---|
//! | `Repr-Digest` | the file | RFC 9530 section 3 |
//! | `Content-Digest` | this answer's bytes | RFC 9530 section 2 |
//! | `Digest` | the file | RFC 3230 section 4.3.2, RFC 5843 |
//! | `Content-MD5` | this answer's bytes | RFC 2616 section 14.15 |
//! | `x-goog-hash` | the file as stored | Google Cloud Storage |
//! | `x-amz-checksum-*` | the file, one part of it, or a digest of digests | Amazon S3 |
//! | `X-Linked-Etag` | the file behind the link | Hugging Face |

use super::head::{Head, content_coding, quoted};
use super::range::ContentRange;
use crate::base::hex;
use crate::base::limits::DIGESTS_OFFERED_MAX;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A digest that a server gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// Where it stood, as in `Repr-Digest`.
    pub field: &'static str,
    /// `sha256`, `sha512`, `sha1`, `md5`, `crc64nvme`, `crc32c` or `crc32`.
    pub algorithm: &'static str,
    /// The digest, as many bytes as the algorithm makes; of a CRC the highest byte first.
    pub value: Vec<u8>,
}

/// All the digests of one answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offers {
    /// Those that count, best first: in the order in which [`Offered::algorithm`] lists them.
    pub digests: Vec<Offered>,
    /// One line each for those that do not: what was there, and why it does not count.
    pub ignored: Vec<String>,
}

/// The digests of the whole file that the head of an answer gives, be it the file (200) or a part
/// of it (206). A redirect tells of the file only in `X-Linked-Etag`, and any other status not at
/// all: what it digests is an error page.
///
/// Of one head no more than [`DIGESTS_OFFERED_MAX`] digests and as many reasons are kept.
pub fn whole_file_digests(head: &Head) -> Offers {
    let mut offers = Offers::default();
    match head.status() {
        200 | 206 => {
            dictionary(head, "Repr-Digest", &mut offers);
            instance_digest(head, &mut offers);
            if head.status() == 200 {
                // Without a range the content is the file (RFC 9530 section 2).
                dictionary(head, "Content-Digest", &mut offers);
            }
            content_md5(head, &mut offers);
            google(head, &mut offers);
            amazon(head, &mut offers);
            linked_etag(head, &mut offers);
            drop_if_coded(head, &mut offers);
        }
        // Coding the text of a redirect changes nothing about the file.
        300..=399 => linked_etag(head, &mut offers),
        _ => {}
    }
    offers.digests.sort_by_key(|offered| rank(offered.algorithm));
    offers
}

/// The digests of the very bytes that follow this head, from `Content-Digest`: in a 206, of the
/// part it holds (RFC 9530 section 2). None for other statuses than 200 and 206.
///
/// Of one head no more than [`DIGESTS_OFFERED_MAX`] digests and as many reasons are kept.
pub fn content_digests(head: &Head) -> Offers {
    let mut offers = Offers::default();
    if matches!(head.status(), 200 | 206) {
        dictionary(head, "Content-Digest", &mut offers);
        drop_if_coded(head, &mut offers);
    }
    offers.digests.sort_by_key(|offered| rank(offered.algorithm));
    offers
}

/// The fields that ask for digests, each with its preferences.
///
/// RFC 9530 section 4 weighs from 1 to 10, RFC 3230 section 4.3.1 with a quality up to 1. SHA-256
/// comes first: it is as good as any, and processors compute it. What is insecure (RFC 9530
/// section 5) is asked for only in the old field, whose servers may have nothing else.
pub fn want_digests() -> &'static [(&'static str, &'static str)] {
    &[
        ("Want-Repr-Digest", "sha-256=10, sha-512=5"),
        ("Want-Content-Digest", "sha-256=10, sha-512=5"),
        ("Want-Digest", "SHA-256;q=1, SHA-512;q=0.5, SHA;q=0.2, MD5;q=0.1"),
    ]
}

/// Two digests of one algorithm that differ, so that one of them has to be wrong: names the
/// algorithm and the fields.
pub fn contradiction(offered: &[Offered]) -> Option<String> {
    let mut rest = offered;
    while let Some((first, others)) = rest.split_first() {
        let differs = |o: &&Offered| o.algorithm == first.algorithm && o.value != first.value;
        if let Some(other) = others.iter().find(differs) {
            let algorithm = first.algorithm;
            let a = first.field;
            let b = other.field;
            return Some(if a == b {
                format!("{a} gives two different {algorithm} digests")
            } else {
                format!("{a} and {b} give different {algorithm} digests")
            });
        }
        rest = others;
    }
    None
}

/// An algorithm as the caller knows it, and the length of its digests.
#[derive(Clone, Copy)]
struct Algorithm {
    name: &'static str,
    bytes: usize,
}

const SHA256: Algorithm = Algorithm { name: "sha256", bytes: 32 };
const SHA512: Algorithm = Algorithm { name: "sha512", bytes: 64 };
const SHA1: Algorithm = Algorithm { name: "sha1", bytes: 20 };
const MD5: Algorithm = Algorithm { name: "md5", bytes: 16 };
const CRC64NVME: Algorithm = Algorithm { name: "crc64nvme", bytes: 8 };
const CRC32C: Algorithm = Algorithm { name: "crc32c", bytes: 4 };
const CRC32: Algorithm = Algorithm { name: "crc32", bytes: 4 };

/// Best first: cannot be forged, then hard to hit by chance, then cheap.
const ALGORITHMS: [Algorithm; 7] = [SHA256, SHA512, SHA1, MD5, CRC64NVME, CRC32C, CRC32];

/// A field's names for algorithms.
type Names = [(&'static str, Algorithm)];

/// As RFC 9530 section 5 and RFC 5843 name them. The CRCs and sums of both registries are left out:
/// deprecated, and written in more than one way.
const REGISTERED: &Names = &[("sha-256", SHA256), ("sha-512", SHA512), ("sha", SHA1), ("md5", MD5)];

const GOOGLE: &Names = &[("crc32c", CRC32C), ("md5", MD5)];

const AMAZON: &Names = &[
    ("x-amz-checksum-sha256", SHA256),
    ("x-amz-checksum-sha1", SHA1),
    ("x-amz-checksum-crc64nvme", CRC64NVME),
    ("x-amz-checksum-crc32c", CRC32C),
    ("x-amz-checksum-crc32", CRC32),
];

impl Offers {
    /// Takes a digest in base64, if it has the length that it should have.
    fn take(&mut self, field: &'static str, algorithm: Algorithm, text: &str) {
        let Algorithm { name, bytes } = algorithm;
        // Length first: nothing is decoded that cannot be right. Padding is required and stray bits
        // are refused, so no two texts mean the same digest.
        let fits = Some(text.len()) == base64::encoded_len(bytes, true);
        let value = if fits { STANDARD.decode(text).ok() } else { None };
        match value.filter(|value| value.len() == bytes) {
            Some(value) => self.keep(Offered { field, algorithm: name, value }),
            None => {
                let shown = quoted(text);
                self.ignore(field, format!("'{shown}' is no {name} of {bytes} bytes in base64"));
            }
        }
    }

    /// The same field may say the same twice; what differs is kept for [`contradiction`].
    fn keep(&mut self, offered: Offered) {
        if self.digests.contains(&offered) {
            return;
        }
        if self.digests.len() < DIGESTS_OFFERED_MAX {
            self.digests.push(offered)
        } else {
            self.ignore(offered.field, "too many digests in one answer")
        }
    }

    /// Some of the words are the peer's: none of them may move a terminal's cursor.
    fn ignore(&mut self, field: &str, why: impl AsRef<str>) {
        if self.ignored.len() < DIGESTS_OFFERED_MAX {
            let why: String =
                why.as_ref().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            self.ignored.push(format!("{field}: {why}"));
        }
    }
}

/// RFC 9530 sections 2 and 3: a dictionary of byte sequences. One member that is none makes the
/// whole field as good as absent (RFC 8941 section 4.2).
fn dictionary(head: &Head, field: &'static str, offers: &mut Offers) {
    let Some(members) = head.list(field).map(byte_sequence).collect::<Option<Vec<_>>>() else {
        let value = quoted(head.get(field).unwrap_or_default());
        return offers.ignore(field, format!("'{value}' is no dictionary of byte sequences"));
    };
    for (key, text) in members {
        match named(REGISTERED, key) {
            Some(algorithm) => offers.take(field, algorithm, text),
            None => offers.ignore(field, unknown(key)),
        }
    }
}

/// One member, `key=:base64:`, as key and base64 (RFC 8941 sections 3.1.2, 3.2 and 3.3.5).
/// Parameters say nothing about a digest and are dropped.
fn byte_sequence(member: &str) -> Option<(&str, &str)> {
    let (key, value) = member.split_once('=')?;
    let value = value.split(';').next().unwrap_or_default();
    let text = value.strip_prefix(':')?.strip_suffix(':')?;
    let follows =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.*".contains(&byte);
    let starts = key.starts_with(|first: char| first.is_ascii_lowercase() || first == '*');
    (starts && key.bytes().all(follows)).then_some((key, text))
}

/// RFC 3230 section 4.3.2: digests of the instance, which is the file, also beside a part of it
/// (section 3.1). Names of algorithms have no case (section 4.1.1).
fn instance_digest(head: &Head, offers: &mut Offers) {
    pairs(head, "Digest", REGISTERED, offers);
}

/// Google Cloud Storage: of the object as it is stored, also beside a part of it. What is stored
/// compressed may be served plain, and then the digest is not of what is served.
fn google(head: &Head, offers: &mut Offers) {
    const FIELD: &str = "x-goog-hash";
    let coding = head.get("x-goog-stored-content-encoding").unwrap_or("identity");
    if coding.eq_ignore_ascii_case("identity") {
        pairs(head, FIELD, GOOGLE, offers);
    } else if head.get(FIELD).is_some() {
        let shown = quoted(coding);
        offers.ignore(FIELD, format!("it is of the stored bytes, which are coded with '{shown}'"));
    }
}

/// A list of `name=base64`.
fn pairs(head: &Head, field: &'static str, names: &Names, offers: &mut Offers) {
    for member in head.list(field) {
        let Some((name, text)) = member.split_once('=') else {
            let shown = quoted(member);
            offers.ignore(field, format!("'{shown}' is no algorithm with its digest"));
            continue;
        };
        match named(names, name) {
            Some(algorithm) => offers.take(field, algorithm, text),
            None => offers.ignore(field, unknown(name)),
        }
    }
}

/// RFC 2616 section 14.15: of the body. RFC 7231 appendix B dropped the field, because some servers
/// send the whole file's beside a part, so it counts only where both are the same.
fn content_md5(head: &Head, offers: &mut Offers) {
    const FIELD: &str = "Content-MD5";
    for text in head.all(FIELD) {
        if holds_all(head) {
            offers.take(FIELD, MD5, text)
        } else {
            offers.ignore(FIELD, "beside a part of the file it may be the part's")
        }
    }
}

/// Amazon S3 and its likes. For an object that was uploaded in parts the value may be a digest of
/// the parts' digests: marked with `-` and their number, or with the type `COMPOSITE`, or, beside a
/// range, not at all. A range that is one uploaded part gets that part's digest. So beside a range
/// a value counts only if the range is the whole file and the type says so, too.
fn amazon(head: &Head, offers: &mut Offers) {
    let kind = head.get("x-amz-checksum-type");
    let full = |kind: &str| kind.eq_ignore_ascii_case("FULL_OBJECT");
    for (field, algorithm) in AMAZON {
        for text in head.all(field) {
            if text.contains('-') || kind.is_some_and(|kind| !full(kind)) {
                offers.ignore(field, "it is made of the digests of parts");
            } else if head.status() == 206 && !(kind.is_some_and(full) && holds_all(head)) {
                offers.ignore(field, "beside a part of the file it may be the part's");
            } else {
                offers.take(field, *algorithm, text);
            }
        }
    }
}

/// Hugging Face: the entity tag of the file behind a link, sent with the redirect to it. For large
/// files that is their SHA-256 in hex, for small ones the name of a git blob, which hashes more
/// than the bytes.
fn linked_etag(head: &Head, offers: &mut Offers) {
    const FIELD: &str = "X-Linked-Etag";
    for tag in head.all(FIELD) {
        let bare = tag.strip_prefix("W/").unwrap_or(tag);
        let digits = bare.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        match digits.and_then(hex::decode) {
            Some(value) if value.len() == SHA256.bytes => {
                offers.keep(Offered { field: FIELD, algorithm: SHA256.name, value });
            }
            Some(value) if value.len() == SHA1.bytes => {
                offers.ignore(FIELD, "it is the name of a git blob, not a digest of the bytes");
            }
            Some(_) | None => {
                let shown = quoted(tag);
                offers.ignore(FIELD, format!("'{shown}' is no sha256 in hex"));
            }
        }
    }
}

/// Indicates whether the body is the whole file: a 200, or a 206 from its first byte to its last.
fn holds_all(head: &Head) -> bool {
    let part = || ContentRange::parse(head.get("Content-Range")?).ok();
    match head.status() {
        200 => true,
        206 => match part() {
            Some(ContentRange::Satisfied { span, total }) => Some(span.len()) == total,
            Some(ContentRange::Unsatisfied { .. }) | None => false,
        },
        _ => false,
    }
}

/// A digest in the head of a coded answer is of the coded bytes (RFC 9530 sections 2 and 3), which
/// are not the file (RFC 9110 section 8.4).
fn drop_if_coded(head: &Head, offers: &mut Offers) {
    let Some(coding) = content_coding(head) else { return };
    let shown = quoted(coding);
    for offered in std::mem::take(&mut offers.digests) {
        offers.ignore(offered.field, format!("the answer is coded with '{shown}'"));
    }
}

fn named(names: &Names, name: &str) -> Option<Algorithm> {
    names.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, found)| *found)
}

fn unknown(name: &str) -> String {
    let shown = quoted(name);
    format!("'{shown}' is no algorithm that is known here")
}

fn rank(algorithm: &str) -> usize {
    let known = ALGORITHMS.iter().position(|known| known.name == algorithm);
    known.expect("every algorithm offered is in the table")
}

#[cfg(test)]
mod tests;
