//! Checksum files: a digest that is found stands in the file, whole, beside the name it was found
//! for or alone; whatever else the file holds is a clear error.

use super::Target;
use super::input::{Input, with_choices};
use ringhaul::ErrorKind;
use ringhaul::internal::manifest::{Entry, parse};

pub(super) const TARGET: Target =
    Target { name: "checksums", run, seeds, words: WORDS, smoke_runs: 15_000 };

const WORDS: &[&str] = &[
    "\n",
    "\r\n",
    "  ",
    " *",
    "\\",
    "\\n",
    "\\\\",
    "#",
    "./",
    "/",
    "(x.iso)",
    "SHA256 (",
    ") = ",
    "SHA2-256(",
    ")= ",
    "SHA512",
    "MD5",
    "BLAKE2b",
    "x.iso",
    "\u{feff}",
    "\0",
    "\u{e4}",
    "\u{202e}",
    "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n",
    "- ",
    "-----BEGIN PGP SIGNATURE-----\n",
    "-----END PGP SIGNATURE-----\n",
    "d41d8cd98f00b204e9800998ecf8427e",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "e3069283",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
];

/// Names of checksum files, which tell algorithms of one length apart.
const HINTS: [Option<&str>; 4] = [None, Some("SHA256SUMS"), Some("B3SUMS"), Some("x.iso.crc32c")];

const DIGITS: [(&str, usize); 8] = [
    ("sha512", 128),
    ("blake3", 64),
    ("sha256", 64),
    ("sha1", 40),
    ("md5", 32),
    ("crc64nvme", 16),
    ("crc32c", 8),
    ("crc32", 8),
];

/// The hint, the name that is looked for on the first line, the checksum file behind it.
fn seeds() -> Vec<Vec<u8>> {
    let sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let md5 = "D41D8CD98F00B204E9800998ECF8427E";
    let texts = [
        format!("x.iso\n{sha256}  y.iso\n{sha256} *./pool/x.iso\n"),
        format!("x.iso\n# SHA256\nMD5 (x.iso) = {md5}\r\nSHA256 (x.iso) = {sha256}\r\n"),
        format!("a\nb\n\\{sha256}  a\\nb\nSHA2-256(x.iso)= {sha256}\n"),
        format!("x.iso\n\u{feff}{md5}\n"),
        format!(
            "x.iso\n-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{sha256}  x.iso\n\
             - -----\n-----BEGIN PGP SIGNATURE-----\n\n{md5}  x.iso\n\
             -----END PGP SIGNATURE-----\n"
        ),
        format!("x.iso\n{sha256}  x.iso\n{}  x.iso\n", sha256.replace('e', "f")),
    ];
    (0..).zip(texts).map(|(hint, text)| with_choices(&[hint], text.as_bytes())).collect()
}

fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let hint = HINTS[usize::from(input.byte()) % HINTS.len()];
    let bytes = input.rest();
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let name = String::from_utf8_lossy(&bytes[..end]);
    let file = bytes.get(end + 1..).unwrap_or_default();
    let checksums = match parse(file, hint) {
        Ok(checksums) => checksums,
        Err(error) => return refused(&error),
    };
    // Names are parts of names when a name is a folder's; users give a file's.
    match checksums.find(&name) {
        Ok(entry) => {
            assert!(checksums.names(&name));
            stands_there(&entry, file);
        }
        Err(error) => refused(&error),
    }
}

fn stands_there(entry: &Entry, file: &[u8]) {
    let known = DIGITS.iter().find(|(name, _)| *name == entry.algorithm);
    assert_eq!(entry.digits.len(), known.expect("a known algorithm").1);
    assert!(entry.digits.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()));
    let lower = file.to_ascii_lowercase();
    let digits = entry.digits.as_bytes();
    let whole = |start: usize| {
        let around = [start.checked_sub(1), Some(start + digits.len())];
        let is_digit = |at: Option<usize>| lower.get(at?).map(u8::is_ascii_hexdigit);
        lower[start..].starts_with(digits)
            && !around.into_iter().any(|at| is_digit(at) == Some(true))
    };
    assert!((0..lower.len()).any(whole), "{entry:?} is made up");
}

fn refused(error: &ringhaul::Error) {
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().chars().count() < 900, "{error}");
}
