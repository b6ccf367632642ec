//! URLs and references to them: what is shown holds no secret and leads to the same place, what
//! goes on the wire is one word, and the file name stays in its folder.

use super::Target;
use ringhaul::internal::base::Url;
use ringhaul::internal::base::limits::{FILE_NAME_BYTES_MAX, PART_SUFFIX};
use ringhaul::internal::batch::naming::file_name;

pub(super) const TARGET: Target =
    Target { name: "url", run, seeds, words: WORDS, smoke_runs: 8000 };

const WORDS: &[&str] = &[
    "http://",
    "https://",
    "//",
    "/",
    "\\",
    "@",
    ":",
    "?",
    "#",
    "..",
    "%2e%2e",
    "%2f",
    "%00",
    "%",
    "[::1]",
    "[",
    "]",
    "127.1",
    "0x7f",
    "xn--",
    "\u{e4}",
    "\u{202e}",
    "\u{3002}",
    "\t",
    "\n",
    " ",
    "%ff",
    ".part",
    "-",
    ":0",
    ":65536",
    ":443",
    "ftp:",
    "file:",
    "javascript:",
    "sesame",
    "%40",
];

/// A URL, and on the next line a reference.
fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "https://us%40er:p%3aw@Example.COM:8443/a/b%20c?t=1#frag\n../c?d",
        "http://[::1]:8080/%2e%2e%2fetc%2fpasswd\n//o/c",
        "http://h/..%5c.part\nhttp:\\\\eve:pw@h\\x",
        "http://127.1/\u{202e}gpj.exe\nhttps:c",
        "user:secret@h/x\nx",
        "http://user:pa/sesame@host/f\nx",
        "https:/sesame:pw@host:99999/f\nx",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (text, reference) = text.split_once('\n').unwrap_or((&text, ""));
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => return repeats_no_userinfo(text, &error),
    };
    for url in [Some(&url), url.join(reference).ok().as_ref()].into_iter().flatten() {
        shown_is_bare(url);
        let target = url.request_target();
        assert!(target.starts_with('/') && target.bytes().all(|byte| byte.is_ascii_graphic()));
        let host = url.origin().host_header();
        assert!(!host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic()), "{host:?}");
        assert!(!host.contains(['/', '@', '?', '#', '\\']), "{host:?}");
        name_is_safe(&file_name(url));
    }
}

/// An error shows nothing that stands in front of an `@`.
fn repeats_no_userinfo(text: &str, error: &ringhaul::Error) {
    const SECRET: &str = "sesame";
    let hidden = text.rfind('@').map_or("", |at| &text[..at]);
    let is_behind = text[hidden.len()..].contains(SECRET);
    assert!(
        !hidden.contains(SECRET) || is_behind || !error.to_string().contains(SECRET),
        "{error}"
    );
}

/// What is displayed, the mark of a query taken off, is a URL without secrets, to the same file.
fn shown_is_bare(url: &Url) {
    let shown = url.to_string();
    let bare = Url::parse(shown.strip_suffix("?…").unwrap_or(&shown)).expect("we printed it");
    assert_eq!((bare.origin(), bare.credentials()), (url.origin(), None), "{shown:?}");
    let target = url.request_target();
    let path = target.split('?').next().unwrap_or_default();
    assert_eq!(bare.request_target(), path, "{shown:?}");
}

fn name_is_safe(name: &str) {
    assert!((1..=FILE_NAME_BYTES_MAX - PART_SUFFIX.len()).contains(&name.len()), "{name:?}");
    assert!(!name.contains(['/', '\\', '\u{202e}']) && !name.chars().any(char::is_control));
    assert!(!name.starts_with(['.', '-']) && !name.ends_with(PART_SUFFIX), "{name:?}");
}
