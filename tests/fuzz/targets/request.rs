//! Requests from whatever a user types: no header argument and no URL puts a line of its own on
//! the wire.

use super::Target;
use super::input::Input;
use ringhaul::ErrorKind;
use ringhaul::internal::base::limits::REQUEST_BYTES_MAX;
use ringhaul::internal::base::{Span, Url};
use ringhaul::internal::http::{Request, Validator, parse_header_argument};

pub(super) const TARGET: Target =
    Target { name: "request", run, seeds, words: WORDS, smoke_runs: 8000 };

const WORDS: &[&str] = &[
    "http://h/",
    "https://u:p@h:1/",
    "?",
    "#",
    "%0d%0a",
    "%00",
    "\r\n",
    "\n",
    "\r",
    "\0",
    ":",
    ": ",
    " ",
    "\t",
    "Host: ",
    "Range: ",
    "Cookie: a=b",
    "User-Agent:",
    "Authorization: x",
    "\u{e4}",
    "Connection: close",
    "@",
    "[::1]",
];

/// A URL, and on every further line a header argument.
fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "http://user:pass@h:8080/a b?x=1#f\nCookie: a=b\nHost: other",
        "https://[::1]/%0d%0aEvil:%201\nX-Empty:\nUser-Agent: me",
        "http://h\nno colon\nRange: bytes=0-1\nTE: x\n: y",
        "http://h/\nX: a\rEvil: b",
    ];
    texts.iter().map(|text| [&[7], text.as_bytes()].concat()).collect()
}

fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let start = u64::from(input.byte());
    let text = String::from_utf8_lossy(input.rest()).into_owned();
    let mut lines = text.split('\n');
    let Ok(url) = Url::parse(lines.next().unwrap_or_default()) else { return };
    let mut request = Request::get(&url).range(Span::with_len(start, 9));
    request = request.if_range(&Validator::StrongEtag("\"tag\"".to_owned()));
    // Host, Accept-Encoding, Range, If-Range; and the two a user's own replace.
    let mut fields = 4;
    let mut agent = 1;
    let mut accept = 1;
    if let Some(Ok(with)) = url.credentials().map(|c| request.clone().basic_auth(&c)) {
        request = with;
    }
    for line in lines {
        let Ok((name, value)) = parse_header_argument(line) else { continue };
        let with = match request.clone().header(&name, &value) {
            Ok(with) => with,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Usage);
                continue;
            }
        };
        request = with;
        fields += usize::from(!name.eq_ignore_ascii_case("Host"));
        agent *= usize::from(!name.eq_ignore_ascii_case("User-Agent"));
        accept *= usize::from(!name.eq_ignore_ascii_case("Accept"));
    }
    let Ok(bytes) = request.encode() else { return };
    well_formed(&bytes, fields + agent + accept);
}

/// One request line, `fields` lines or one more (Authorization), one empty line; nothing behind.
fn well_formed(bytes: &[u8], fields: usize) {
    assert!(bytes.len() <= REQUEST_BYTES_MAX);
    let text = std::str::from_utf8(bytes).expect("made of text");
    let head = text.strip_suffix("\r\n\r\n").expect("an empty line ends the request");
    let lines: Vec<&str> = head.split("\r\n").collect();
    assert!((fields + 1..=fields + 2).contains(&lines.len()), "{fields} fields in {text:?}");
    for line in &lines {
        assert!(!line.chars().any(|c| c.is_ascii_control() && c != '\t'), "{text:?}");
        assert!(!line.is_empty(), "{text:?}");
    }
    let target = lines[0].strip_prefix("GET ").and_then(|line| line.strip_suffix(" HTTP/1.1"));
    let target = target.expect("a request line");
    assert!(target.starts_with('/') && !target.contains([' ', '#']) && target.is_ascii());
}
