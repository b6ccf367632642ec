//! Tests of the digest fields: what counts, what does not, and that nothing panics.

use super::*;
use crate::http::head::tests::head;
use proptest::prelude::*;

/// Digests of `hello`.
const SHA256_HELLO: &str = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=";
const SHA1_HELLO: &str = "qvTGHdzF6KLavt4PO0gs2a6pQ00=";
const MD5_HELLO: &str = "XUFAKrxLKna5cZ2REBfFkg==";
const CRC32C_HELLO: &str = "mnG7TA==";
const CRC32_HELLO: &str = "NhCmhg==";
const HEX_HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

type Fields<'a> = &'a [(&'a str, &'a str)];

/// Field and algorithm of what counts.
fn kept(offers: &Offers) -> Vec<(&'static str, &'static str)> {
    offers.digests.iter().map(|o| (o.field, o.algorithm)).collect()
}

fn whole(status: u16, fields: Fields) -> Offers {
    whole_file_digests(&head(status, fields))
}

/// Asserts that nothing counts, for one reason that has these words in it.
fn ignored(offers: &Offers, words: &[&str]) {
    assert_eq!(kept(offers), [], "{offers:?}");
    assert_eq!(offers.ignored.len(), 1, "{offers:?}");
    for word in words {
        assert!(offers.ignored[0].contains(word), "{word}: {offers:?}");
    }
}

#[test]
fn repr_digest_is_of_the_file_in_part_and_whole_rfc_9530_section_3() {
    let value = format!("sha-256=:{SHA256_HELLO}:, md5=:{MD5_HELLO}:;q=1");
    for status in [200, 206] {
        let fields = [("repr-digest", value.as_str()), ("Content-Range", "bytes 0-0/5")];
        let offers = whole(status, &fields);
        assert_eq!(kept(&offers), [("Repr-Digest", "sha256"), ("Repr-Digest", "md5")]);
        assert_eq!(Some(&offers.digests[0].value), hex::decode(HEX_HELLO).as_ref());
        assert!(offers.ignored.is_empty(), "{offers:?}");
    }
    for status in [204, 301, 404, 416] {
        assert_eq!(whole(status, &[("Repr-Digest", &value)]), Offers::default(), "{status}");
    }
}

#[test]
fn a_dictionary_is_taken_whole_or_not_rfc_8941_section_4_2() {
    let good = format!("sha-256=:{SHA256_HELLO}:");
    for bad in [
        "sha-512".to_owned(),
        "sha-512=1".to_owned(),
        format!("SHA-256=:{SHA256_HELLO}:"),
        format!("sha-256={SHA256_HELLO}"),
        format!("sha-256=:{SHA256_HELLO}"),
        format!("sha-256=:{SHA256_HELLO}: ;a"),
        format!("=:{SHA256_HELLO}:"),
        format!("1=:{SHA256_HELLO}:"),
        "sha-256=:".to_owned(),
    ] {
        let offers = whole(200, &[("Repr-Digest", &good), ("Repr-Digest", &bad)]);
        ignored(&offers, &["Repr-Digest: ", "dictionary"]);
    }
    let lines = [("Repr-Digest", good.as_str()), ("Repr-Digest", "unixsum=:AAA=:")];
    let offers = whole(200, &lines);
    assert_eq!(kept(&offers), [("Repr-Digest", "sha256")]);
    assert!(offers.ignored[0].contains("'unixsum' is no algorithm"), "{offers:?}");
}

#[test]
fn wrong_lengths_and_bad_base64_do_not_count() {
    let stray_bits = SHA256_HELLO.replace("Q=", "R=");
    let url_alphabet = SHA256_HELLO.replace('+', "-");
    let spaced = SHA256_HELLO.replace('u', " ");
    let unpadded = SHA256_HELLO.replace('=', "A");
    for text in [&stray_bits, &url_alphabet, &spaced, &unpadded] {
        assert!(text.len() == SHA256_HELLO.len() && text != SHA256_HELLO, "{text}");
        let value = format!("sha-256=:{text}:");
        ignored(&whole(200, &[("Repr-Digest", &value)]), &["sha256", "32 bytes"]);
    }
    for text in ["", "AAAA", MD5_HELLO, "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmC==", HEX_HELLO] {
        let value = format!("sha-256=:{text}:");
        ignored(&whole(200, &[("Repr-Digest", &value)]), &["sha256", "32 bytes"]);
        ignored(&content_digests(&head(206, &[("Content-Digest", &value)])), &["Content-Digest"]);
        let value = format!("SHA-256={text}");
        ignored(&whole(200, &[("Digest", &value)]), &["Digest: ", "sha256"]);
    }
}

#[test]
fn content_digest_is_of_this_answers_bytes_rfc_9530_section_2() {
    let value = format!("sha-256=:{SHA256_HELLO}:");
    let part = [("Content-Digest", value.as_str()), ("Content-Range", "bytes 0-4/10")];
    let of = |status| content_digests(&head(status, &part));
    assert_eq!(kept(&of(206)), [("Content-Digest", "sha256")]);
    assert_eq!(kept(&of(200)), [("Content-Digest", "sha256")]);
    assert_eq!(of(404), Offers::default());
    assert_eq!(kept(&whole(206, &part)), [], "not of the file");
    assert_eq!(kept(&whole(200, &part)), [("Content-Digest", "sha256")], "the content is the file");
    let repr = [("Repr-Digest", value.as_str())];
    assert_eq!(content_digests(&head(206, &repr)), Offers::default());
}

#[test]
fn digest_is_of_the_instance_rfc_3230_section_4_3_2() {
    let value = format!("sha-256={SHA256_HELLO} ,MD5={MD5_HELLO},,Sha={SHA1_HELLO}");
    for status in [200, 206] {
        let offers = whole(status, &[("Digest", &value), ("Content-Range", "bytes 0-0/5")]);
        assert_eq!(kept(&offers), [("Digest", "sha256"), ("Digest", "sha1"), ("Digest", "md5")]);
    }
    ignored(&whole(200, &[("Digest", "\u{9b}31m\t=x")]), &["' 31m ' is no algorithm"]);
    let offers = whole(200, &[("Digest", "adler32=03da0195, UNIXsum=30637, x")]);
    assert_eq!(kept(&offers), []);
    assert_eq!(offers.ignored.len(), 3, "{offers:?}");
}

#[test]
fn content_md5_counts_where_the_body_is_the_file() {
    let of = |status, range| whole(status, &[("Content-MD5", MD5_HELLO), ("Content-Range", range)]);
    assert_eq!(kept(&of(200, "")), [("Content-MD5", "md5")]);
    assert_eq!(kept(&of(206, "bytes 0-4/5")), [("Content-MD5", "md5")]);
    for range in ["bytes 0-3/5", "bytes 1-4/5", "bytes 0-4/*", "bytes */5", "x"] {
        ignored(&of(206, range), &["Content-MD5", "part"]);
    }
}

#[test]
fn x_goog_hash_is_of_what_is_stored() {
    let both = format!("crc32c={CRC32C_HELLO},md5={MD5_HELLO}");
    let (crc, md5) = (format!("crc32c={CRC32C_HELLO}"), format!("md5={MD5_HELLO}"));
    let range = ("Content-Range", "bytes 0-0/5");
    let plain = ("x-goog-stored-content-encoding", "identity");
    let expected = [("x-goog-hash", "md5"), ("x-goog-hash", "crc32c")];
    assert_eq!(kept(&whole(200, &[("x-goog-hash", &both)])), expected);
    let twice = [("X-Goog-Hash", crc.as_str()), ("X-Goog-Hash", &md5), plain, range];
    let offers = whole(206, &twice);
    assert_eq!(kept(&offers), expected);
    assert_eq!(offers.digests[1].value, [0x9a, 0x71, 0xbb, 0x4c], "highest byte first");
    let coded = [("x-goog-hash", both.as_str()), ("x-goog-stored-content-encoding", "gzip")];
    ignored(&whole(200, &coded), &["x-goog-hash", "gzip"]);
    assert_eq!(whole(200, &coded[1..]), Offers::default());
}

#[test]
fn x_amz_checksum_counts_only_for_full_objects() {
    const FIELD: &str = "x-amz-checksum-crc32";
    let crc = (FIELD, CRC32_HELLO);
    let kind = |kind| ("x-amz-checksum-type", kind);
    let (all, some) = (("Content-Range", "bytes 0-4/5"), ("Content-Range", "bytes 0-3/5"));
    let counts = [(FIELD, "crc32")];
    assert_eq!(kept(&whole(200, &[crc])), counts);
    assert_eq!(kept(&whole(200, &[crc, kind("FULL_OBJECT")])), counts);
    assert_eq!(kept(&whole(206, &[crc, kind("FULL_OBJECT"), all])), counts);
    ignored(&whole(200, &[crc, kind("COMPOSITE")]), &["digests of parts"]);
    ignored(&whole(200, &[(FIELD, "NhCmhg==-7")]), &["digests of parts"]);
    // A range that is one uploaded part gets its digest; a composite one loses its mark.
    ignored(&whole(206, &[crc, kind("FULL_OBJECT"), some]), &["the part's"]);
    ignored(&whole(206, &[crc, all]), &["the part's"]);
    ignored(&whole(206, &[crc, some]), &["the part's"]);
    let others = [
        ("x-amz-checksum-crc64nvme", "AAAAAAAAAAA="),
        ("x-amz-checksum-crc32c", CRC32C_HELLO),
        ("x-amz-checksum-sha1", SHA1_HELLO),
        ("x-amz-checksum-sha256", SHA256_HELLO),
    ];
    let names: Vec<_> = whole(200, &others).digests.iter().map(|o| o.algorithm).collect();
    assert_eq!(names, ["sha256", "sha1", "crc64nvme", "crc32c"]);
}

#[test]
fn x_linked_etag_stands_in_the_redirect() {
    let quoted = format!("\"{HEX_HELLO}\"");
    let weak = format!("W/{}", quoted.to_uppercase());
    for status in [200, 206, 302, 307] {
        for tag in [&quoted, &weak] {
            // The redirect's own text may be coded; that is not the file.
            let coded = if status > 299 { "gzip" } else { "" };
            let offers = whole(status, &[("X-Linked-ETag", tag), ("Content-Encoding", coded)]);
            assert_eq!(kept(&offers), [("X-Linked-Etag", "sha256")]);
            assert_eq!(Some(&offers.digests[0].value), hex::decode(HEX_HELLO).as_ref());
        }
    }
    let git = format!("\"{}\"", &HEX_HELLO[..40]);
    ignored(&whole(302, &[("X-Linked-Etag", &git)]), &["git"]);
    for tag in [HEX_HELLO, "\"\"", "\"abc\"", "\"xy\"", "\"", ""] {
        ignored(&whole(302, &[("X-Linked-Etag", tag)]), &["X-Linked-Etag", "hex"]);
    }
}

#[test]
fn nothing_counts_in_a_coded_answer() {
    let value = format!("sha-256=:{SHA256_HELLO}:");
    let fields = [("Repr-Digest", value.as_str()), ("Content-Encoding", "identity, br")];
    ignored(&whole(200, &fields), &["Repr-Digest", "'br'"]);
    let fields = [("Content-Digest", value.as_str()), ("Content-Encoding", "gzip")];
    ignored(&content_digests(&head(206, &fields)), &["Content-Digest", "'gzip'"]);
    assert_eq!(whole(200, &fields[1..]), Offers::default());
}

#[test]
fn contradictions_are_seen() {
    let other = format!("sha-256=:{}:", STANDARD.encode([7; 32]));
    let value = format!("sha-256=:{SHA256_HELLO}:, md5=:{MD5_HELLO}:");
    let old = format!("SHA-256={SHA256_HELLO}");
    let of = |fields: Fields| contradiction(&whole(200, fields).digests);
    assert_eq!(of(&[("Repr-Digest", &value), ("Digest", &old), ("Repr-Digest", &value)]), None);
    assert_eq!(
        of(&[("Digest", &old), ("Repr-Digest", &other)]).as_deref(),
        Some("Repr-Digest and Digest give different sha256 digests")
    );
    assert_eq!(
        of(&[("Repr-Digest", &value), ("Repr-Digest", &other)]).as_deref(),
        Some("Repr-Digest gives two different sha256 digests")
    );
    assert_eq!(contradiction(&[]), None);
}

#[test]
fn a_flood_of_digests_is_bounded() {
    let many: Vec<_> = (0..200).map(|n| format!("md5={}", STANDARD.encode([n; 16]))).collect();
    let offers = whole(200, &[("Digest", &many.join(",")), ("Repr-Digest", &"a,".repeat(999))]);
    assert_eq!(offers.digests.len(), DIGESTS_OFFERED_MAX);
    assert_eq!(offers.ignored.len(), DIGESTS_OFFERED_MAX);
    assert!(offers.ignored.iter().all(|line| line.len() < 200));
}

#[test]
fn what_is_asked_for_is_well_formed_rfc_9530_section_4() {
    let names: Vec<_> = want_digests().iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["Want-Repr-Digest", "Want-Content-Digest", "Want-Digest"]);
    for (name, value) in &want_digests()[..2] {
        for member in value.split(", ") {
            let (key, weight) = member.split_once('=').expect(name);
            assert!(named(REGISTERED, key).is_some(), "{member}");
            assert!((1..=10).contains(&weight.parse::<u8>().expect(name)), "{member}");
        }
    }
}

const NAMES: [&str; 14] = [
    "Repr-Digest",
    "Content-Digest",
    "Digest",
    "Content-MD5",
    "x-goog-hash",
    "x-goog-stored-content-encoding",
    "x-amz-checksum-type",
    "x-amz-checksum-sha256",
    "x-amz-checksum-sha1",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-crc32",
    "X-Linked-Etag",
    "Content-Range",
    "Content-Encoding",
];

/// Field values as bytes: noise, and what looks right until close to its end.
fn values() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..60),
        "(W/)?\"[0-9a-f]{38,66}\"?".prop_map(String::into_bytes),
        "(sha-256|sha|md5|crc32c|x)=:?[A-Za-z0-9+/]{6,44}={0,3}:?(;a|, )?(md5=:)?"
            .prop_map(String::into_bytes),
        "FULL_OBJECT|COMPOSITE|identity|bytes 0-4/5".prop_map(String::into_bytes),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None, ..ProptestConfig::with_cases(512)
    })]

    #[test]
    fn any_bytes_are_judged(
        status in prop_oneof![Just(200u16), Just(206), Just(302), 100..999u16],
        fields in proptest::collection::vec((0..NAMES.len(), values()), 0..6),
    ) {
        let mut bytes = format!("HTTP/1.1 {status} x\r\n").into_bytes();
        for (name, value) in fields {
            let clean = value.iter().filter(|b| !b.is_ascii_control());
            bytes.extend(NAMES[name].bytes().chain(*b": ").chain(clean.copied()).chain(*b"\r\n"));
        }
        bytes.extend(b"\r\n");
        if let crate::http::HeadParse::Complete { head, .. } = crate::http::parse(&bytes).unwrap() {
            for offers in [whole_file_digests(&head), content_digests(&head)] {
                let _ = contradiction(&offers.digests);
                let mut lines = offers.ignored.iter();
                prop_assert!(!lines.any(|line| line.chars().any(char::is_control)));
                for offered in &offers.digests {
                    let known = ALGORITHMS.iter().find(|known| known.name == offered.algorithm);
                    prop_assert_eq!(known.map(|known| known.bytes), Some(offered.value.len()));
                }
            }
        }
    }
}
