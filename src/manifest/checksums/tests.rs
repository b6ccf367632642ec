//! Checksum files as tools and projects write them, and as nobody should.

use super::*;
use proptest::prelude::*;

const MD5: &str = "900150983cd24fb0d6963f7d28e17f72";
const SHA256: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn read(text: &str) -> Checksums {
    parse(text.as_bytes(), None).expect("a checksum file")
}

fn entry(algorithm: &'static str, digits: &str) -> Entry {
    Entry { algorithm, digits: digits.to_owned() }
}

/// A digest that differs for each letter.
fn sha256(letter: char) -> String {
    letter.to_string().repeat(64)
}

#[test]
fn lines_of_every_tool_are_found_by_name() {
    for text in [
        format!("{SHA256}  x.iso\n"),
        format!("{} *x.iso\r\n{}  y.iso\r\n", SHA256.to_uppercase(), sha256('b')),
        format!("\u{feff}{SHA256}  x.iso"),
        format!("SHA256 (x.iso) = {SHA256}\n"),
        format!("SHA2-256(x.iso)= {SHA256}\n"),
        format!("# made today\n\n{SHA256}  ./x.iso\n"),
        format!("{SHA256}  pool/main/x.iso\n{}  y.iso\n", sha256('b')),
        format!("{SHA256}  pool\\x.iso\n{}  y.iso\n", sha256('b')),
        format!("{}  old/x.iso\n{SHA256}  x.iso\n", sha256('b')),
        format!("{SHA256}\n"),
        format!("SHA256 hash of it:\r\n{SHA256}\r\ndone\r\n"),
    ] {
        assert_eq!(read(&text).find("x.iso").unwrap(), entry("sha256", SHA256), "{text}");
    }
}

#[test]
fn what_is_signed_is_read_and_the_signature_is_not() {
    let text = format!(
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{SHA256}  x.iso\n- # {MD5}\n\
         - {MD5}  -y.iso\n-----BEGIN PGP SIGNATURE-----\n\n{}\n{MD5}  x.iso\n\
         -----END PGP SIGNATURE-----\n",
        sha256('0')
    );
    let checksums = read(&text);
    assert_eq!(checksums.find("x.iso").unwrap(), entry("sha256", SHA256));
    assert_eq!(checksums.find("-y.iso").unwrap(), entry("md5", MD5));
}

#[test]
fn the_strongest_of_several_counts() {
    let sha512 = "0".repeat(128);
    let text = format!("MD5 (x) = {MD5}\nSHA384 (x) = ab\nSHA512 (x) = {sha512}\n{SHA256}  x\n");
    assert_eq!(read(&text).find("x").unwrap(), entry("sha512", &sha512));
    let text = format!("{MD5}\n{SHA256}\n");
    assert_eq!(read(&text).find("anything").unwrap(), entry("sha256", SHA256));
}

#[test]
fn repetition_is_fine_and_contradiction_is_not() {
    let repeated = format!("{SHA256}  x\n{}  x\n", SHA256.to_uppercase());
    assert_eq!(read(&repeated).find("x").unwrap().digits, SHA256);
    let (a, b) = (sha256('a'), sha256('b'));
    for text in [
        format!("{a}  x\n{b}  x\n"),
        format!("{a}  one/x\n{b}  two/x\n"),
        format!("{a}\n{b}\n"),
        format!("{}  x\n{MD5}  x\n{a}  x\n", "0".repeat(32)),
    ] {
        let error = read(&text).find("x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.to_string().contains("several different"), "{error}");
    }
}

#[test]
fn a_missing_name_is_answered_with_the_nearest() {
    let names = ["disk-arm64.iso", "README", "disk-amd64.img", "notes", "disk-amd64.iso"];
    let text: String = names.iter().map(|name| format!("{SHA256}  a/{name}\n")).collect();
    let error = read(&text).find("disk-i386.iso").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    let line = error.to_string();
    let expected = "no checksum for 'disk-i386.iso', but for 'disk-amd64.iso', 'disk-arm64.iso', \
                    'disk-amd64.img' (your side); ";
    assert!(line.starts_with(expected), "{line}");
    let long = read(&format!("{SHA256}  {}\n", "é".repeat(1000))).find("x").unwrap_err();
    assert!(long.to_string().len() < 400, "{long}");
}

#[test]
fn a_digest_alone_beside_names_is_not_ours() {
    let checksums = read(&format!("{}\n{SHA256}  y\n", sha256('a')));
    assert!(!checksums.names("x") && checksums.names("y"));
}

#[test]
fn digests_that_cannot_be_used_say_why() {
    for (line, words) in [
        (format!("{}  x", "0".repeat(96)), "of '96 digits'"),
        (format!("SHA384 (x) = {}", "0".repeat(96)), "of 'SHA384'"),
        (format!("SHA256 (x) = {MD5}"), "sha256 for 'x' is not 64 hexadecimal digits"),
        (format!("SHA256 (x) = {}=", &SHA256[1..]), "is not 64 hexadecimal digits"),
        (format!("{SHA256}0  x"), "of '65 digits'"),
    ] {
        let error = read(&line).find("x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn what_is_no_checksum_file_is_refused() {
    let large = vec![b'\n'; usize::try_from(CHECKSUM_FILE_BYTES_MAX).unwrap() + 1];
    for (text, words) in [
        (&b""[..], "no line of it"),
        (b"<html>\n<body>Not Found</body>\n", "no line of it"),
        (b"\x7fELF\0\0\0", "no text"),
        (b"\xff\xfea\0b\0", "no text"),
        (&large, "8.00 MiB"),
    ] {
        let error = parse(text, Some("SHA256SUMS")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn names_in_another_encoding_cost_only_their_line() {
    let mut text = format!("{}  na", sha256('a')).into_bytes();
    text.extend(b"\xefve\n");
    text.extend(format!("{SHA256}  x\n").bytes());
    assert_eq!(parse(&text, None).unwrap().find("x").unwrap().digits, SHA256);
}

#[test]
fn many_lines_about_one_file_take_no_longer_than_others() {
    let text = format!("{MD5}  x\n").repeat(200_000);
    assert_eq!(read(&text).find("x").unwrap(), entry("md5", MD5));
    assert!(read(&text).find("y").is_err());
}

/// GNU's own escaping.
fn gnu_line(name: &str, digits: &str, mark: char) -> String {
    let escaped = name.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r");
    let sign = if escaped == name { "" } else { "\\" };
    format!("{sign}{digits} {mark}{escaped}\n")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_bytes_are_an_answer(
        text in proptest::collection::vec(any::<u8>(), 0..300),
        name in "\\PC{0,20}",
    ) {
        if let Ok(checksums) = parse(&text, Some(&name)) {
            let _ = checksums.find(&name);
        }
    }

    #[test]
    fn near_misses_of_the_grammar_are_an_answer(
        text in "(\\\\?([0-9a-f]{31,33}|[0-9a-f]{64}|SHA256|MD5)?[ *()=\\\\n]{0,4}[xy#-]{0,2}\
                 [ )=]{0,3}([0-9a-f]{32})?(\r?\n|-----BEGIN PGP SIGNATURE-----\n)?){0,6}",
    ) {
        if let Ok(entry) = parse(text.as_bytes(), None).and_then(|sums| sums.find("x")) {
            prop_assert!(entry.digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
            prop_assert!(text.contains(&entry.digits));
        }
    }

    #[test]
    fn every_name_that_gnu_can_write_is_found(
        names in proptest::collection::btree_set("[^/\\x00\\s*][^/\\x00]{0,12}[^/\\x00\\s]", 1..8),
        mark in prop_oneof![Just(' '), Just('*')],
    ) {
        let names: Vec<String> = names.into_iter().filter(|n| !n.contains('\\')).collect();
        let digits = |index: usize| format!("{index:064x}");
        let lines = names.iter().enumerate();
        let text: String = lines.map(|(at, name)| gnu_line(name, &digits(at), mark)).collect();
        if names.is_empty() {
            return Ok(());
        }
        let checksums = parse(text.as_bytes(), None).unwrap();
        for (at, name) in names.iter().enumerate() {
            prop_assert_eq!(checksums.find(name).unwrap().digits, digits(at), "{}", name);
        }
    }
}
