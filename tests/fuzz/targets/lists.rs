//! Lists of files: pieces do not matter, lines are counted, every item can be asked for, and what
//! is none is a clear error.

use super::Target;
use super::input::{Input, with_choices};
use ringhaul::ErrorKind;
use ringhaul::internal::base::Url;
use ringhaul::internal::manifest::{BadLine, ListItem, ListOptions, ListReader};

pub(super) const TARGET: Target =
    Target { name: "lists", run, seeds, words: WORDS, smoke_runs: 10_000 };

const WORDS: &[&str] = &[
    "\n",
    "\r\n",
    "\t",
    " ",
    "#",
    "http://h/a",
    "https://u:p@h/b?c",
    "ftp://h/",
    "://",
    " out=",
    " dir=",
    " checksum=sha-256=",
    " header=A: b",
    " size=7",
    "..",
    "./",
    "{\"url\":\"http://h/a\"}",
    "\"out\":",
    "\"urls\":[",
    "\"headers\":{",
    "\"sha256\":",
    "\"error\":",
    "null",
    "\\u0000",
    "{",
    "}",
    "[",
    "]",
    "\"",
    ",",
    "<",
    "\0",
    "\u{feff}",
    "SHA256 (x) = ",
    "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n",
    "-----BEGIN PGP SIGNATURE-----\n",
    "d41d8cd98f00b204e9800998ecf8427e",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
];

/// Whether there is a base URL, the length of a piece, the list.
fn seeds() -> Vec<Vec<u8>> {
    let sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let texts = [
        "# today\r\nhttp://h/a\r\n\r\nhttps://h/b\r\n".to_owned(),
        format!(
            "http://a/f\thttp://b/f\n out=x/y\n checksum=sha-256={sha256}\n header=A: b\n\
             \tno-such=1\nhttp://a/g\n"
        ),
        format!(
            "{{\"url\":\"http://h/a\",\"urls\":[\"http://b/a\"],\"out\":\"x\",\"size\":7,\
             \"sha256\":\"{sha256}\",\"headers\":[\"A: b\"],\"odd\":[1]}}\n\
             {{\"url\":\"http://h/b\",\"status\":404,\"error\":{{\"kind\":\"Status\"}}}}\n"
        ),
        format!("{sha256}  pool/a b\n{sha256} *./c\nMD5 (d) = d41d8cd98f00b204e9800998ecf8427e\n"),
        format!(
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nSHA256 (x) = {sha256}\n\
             -----BEGIN PGP SIGNATURE-----\n\niQ\n-----END PGP SIGNATURE-----\n"
        ),
    ];
    let seeds = texts.iter().flat_map(|text| [0, 1].map(|base| (base, text)));
    seeds.map(|(base, text)| with_choices(&[base, 6], text.as_bytes())).collect()
}

fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let has_base = input.byte() & 1 != 0;
    let piece_bytes = usize::from(input.byte()).max(1);
    let list = input.rest();
    let whole = read(list, list.len().max(1), has_base);
    let in_pieces = read(list, piece_bytes, has_base);
    assert_eq!(format!("{whole:?}"), format!("{in_pieces:?}"), "pieces of {piece_bytes} bytes");

    let lines = list.split(|byte| *byte == b'\n').count() as u64;
    let mut before = 0;
    for (index, entry) in whole.iter().enumerate() {
        let line = match entry {
            Ok(item) => {
                usable(item, lines);
                item.line
            }
            Err(bad) => {
                assert_eq!(bad.error.kind(), ErrorKind::Usage);
                assert!(bad.to_string().chars().count() < 900, "{bad}");
                assert!(!bad.is_last || index + 1 == whole.len(), "more behind {bad}");
                bad.line
            }
        };
        assert!(before < line && line <= lines, "line {line} behind {before} of {lines}");
        before = line;
    }
}

fn read(list: &[u8], piece_bytes: usize, has_base: bool) -> Vec<Result<ListItem, BadLine>> {
    let base_url = has_base.then(|| "https://h/pool?sig=1".to_owned());
    let options = ListOptions { base_url, name: None };
    let mut reader = ListReader::new(options).expect("the base is a URL");
    let mut entries = Vec::new();
    for piece in list.chunks(piece_bytes) {
        reader.push(piece);
        entries.extend(reader.by_ref());
    }
    reader.finish();
    entries.extend(reader.by_ref());
    assert_eq!(reader.is_empty(), entries.is_empty());
    assert!(reader.next().is_none(), "it ends once");
    entries
}

fn usable(item: &ListItem, lines: u64) {
    assert!(!item.uris.is_empty());
    for uri in &item.uris {
        Url::parse(uri).expect("a URL that can be asked for");
    }
    if let Some(entry) = &item.checksum {
        let bytes = entry.digits.bytes();
        assert!(bytes.into_iter().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()));
    }
    for other in &item.other {
        assert!(item.line <= other.line && other.line <= lines, "{other:?}");
    }
}
