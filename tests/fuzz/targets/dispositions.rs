//! `Content-Disposition` fields: a proposed name is a part of a path, and stands in the field where
//! nothing in it is encoded.

use super::Target;
use ringhaul::internal::batch::naming;
use ringhaul::internal::http::{HeadParse, parse, proposed_name};

pub(super) const TARGET: Target =
    Target { name: "dispositions", run, seeds, words: WORDS, smoke_runs: 10_000 };

const WORDS: &[&str] = &[
    "\r\nContent-Disposition: ",
    "attachment",
    "inline",
    "; filename=",
    "; filename*=",
    "filename",
    "UTF-8''",
    "UTF8''",
    "iso-8859-1'en'",
    "koi8-r''",
    "%e2%82%ac",
    "%2f",
    "%ff",
    "%",
    "\"",
    "\\",
    "\\\"",
    "/",
    "..",
    ".part",
    ";",
    "=",
    "'",
    " ",
    "\t",
    "\u{202e}",
];

/// What follows the status line.
fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "Content-Disposition: attachment; filename=\"a \\\"b\\\" c.iso\"; size=5",
        "Content-Disposition: attachment; filename=\"x\"; filename*=UTF-8''%e2%82%ac%20rates",
        "content-disposition: inline; filename*=iso-8859-1'en'%A3%20rates; filename=../../x",
        "Content-Disposition: filename=a\r\nContent-Disposition: filename=b",
    ];
    let long = format!("Content-Disposition: filename=\"{}", "\\a/".repeat(2_000));
    let seeds = texts.iter().copied().chain([long.as_str()]);
    seeds.map(|text| text.as_bytes().to_vec()).collect()
}

fn run(data: &[u8]) {
    let text = [b"HTTP/1.1 200 OK\r\n", data, b"\r\n\r\n"].concat();
    let Ok(HeadParse::Complete { head, .. }) = parse(&text) else { return };
    let Some(name) = proposed_name(&head) else { return };
    assert!(!name.trim().is_empty() && !name.contains(['/', '\\']), "{name:?}");
    let field = head.get("Content-Disposition").expect("a name comes from a field");
    assert!(name.len() <= 2 * field.len(), "ISO-8859-1 becomes two bytes at most");
    assert!(field.contains(['%', '\\']) || field.contains(&name), "{name:?} is made up");
    if let Some(safe) = naming::proposed_name(&name) {
        assert!((1..=245).contains(&safe.len()) && !safe.starts_with(['.', '-']), "{safe:?}");
        assert!(!safe.contains(|c: char| c == '/' || c.is_control()), "{safe:?}");
    }
}
