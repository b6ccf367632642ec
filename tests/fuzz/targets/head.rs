//! Response heads: the same at every cut, printed and read again the same, and judged without a
//! body byte that was not asked for.

use super::Target;
use super::exchange::SEEDS;
use ringhaul::internal::base::limits::COOKIE_FIELD_BYTES_MAX;
use ringhaul::internal::base::limits::HEAD_BYTES_MAX;
use ringhaul::internal::base::url::{Credentials, Scheme};
use ringhaul::internal::base::{Span, Url};
use ringhaul::internal::http::{
    Asked, Cookies, Digest, Discovery, Exchange, Framing, Head, HeadParse, Known, Part, Rules,
    Validator, check_partial, discover, follow, parse, retry_after, status_error,
};

pub(super) const TARGET: Target =
    Target { name: "head", run, seeds, words: WORDS, smoke_runs: 10_000 };

/// Also for whole responses.
pub(super) const WORDS: &[&str] = &[
    "HTTP/1.1 ",
    "HTTP/1.0 ",
    "200 OK",
    "206 Partial Content",
    "100 x",
    "101",
    "204",
    "301 x",
    "304",
    "416",
    "429",
    "\r\n",
    "\n",
    "\r\n\r\n",
    "\n\n",
    "\r\n ",
    "\r",
    "\0",
    ": ",
    ",",
    "\u{e4}",
    "Content-Length: ",
    "Content-Range: bytes ",
    "Content-Range: bytes 0-4/10\r\n",
    "*/",
    "0-4/",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: ",
    "chunked",
    "gzip",
    "identity",
    "Connection: close\r\n",
    "keep-alive",
    "ETag: \"a\"\r\n",
    "ETag: W/\"a\"\r\n",
    "W/\"",
    "\"",
    "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
    "Date: Sun, 06 Nov 2022 08:49:37 GMT\r\n",
    "Retry-After: ",
    "Location: ",
    "http://",
    "https://",
    "//",
    "user:pw@",
    "[::1]:",
    "Content-Encoding: gzip\r\n",
    "Content-Type: multipart/byteranges\r\n",
    "WWW-Authenticate: Basic\r\n",
    "18446744073709551615",
    "18446744073709551616",
];

fn seeds() -> Vec<Vec<u8>> {
    SEEDS.iter().map(|seed| seed.to_vec()).collect()
}

fn run(data: &[u8]) {
    if data.is_empty() {
        return; // Nothing received is nothing to parse; callers do not ask.
    }
    let whole = parse(data);
    prefixes_agree(data, &whole);
    reader_agrees(data, &whole);
    if let Ok(HeadParse::Complete { head, consumed }) = &whole {
        assert!((1..=data.len().min(HEAD_BYTES_MAX)).contains(consumed));
        assert!((100..=999).contains(&head.status()));
        printed_is_read_again(head);
        judgements_hold(head);
    }
}

/// What a beginning was found to be, more bytes do not change.
fn prefixes_agree(data: &[u8], whole: &ringhaul::Result<HeadParse>) {
    for cut in [1, data.len() / 2, data.len() - 1] {
        if cut == 0 {
            continue;
        }
        match (parse(&data[..cut]), whole) {
            (Ok(HeadParse::Partial), _) | (Err(_), Err(_)) => {}
            (Ok(early), Ok(whole)) => assert_eq!(early, *whole, "cut at {cut}"),
            (early, whole) => panic!("{early:?} at {cut}, {whole:?} later"),
        }
    }
}

/// The reader of pieces finds the same final head, at the same place.
fn reader_agrees(data: &[u8], whole: &ringhaul::Result<HeadParse>) {
    let mut exchange = Exchange::new();
    let fed = exchange.on_head(data);
    let Ok(HeadParse::Complete { head, consumed }) = whole else {
        let unfinished = matches!(fed, Ok(None) | Err(_));
        assert!(unfinished, "{whole:?}, but a whole head for the reader");
        return;
    };
    if (100..200).contains(&head.status()) || Framing::of(head).is_err() {
        return;
    }
    assert_eq!(fed.expect("the parser took it"), Some(data.len() - consumed));
    assert_eq!(exchange.head(), Some(head));
}

fn printed_is_read_again(head: &Head) {
    let (version, status, reason) = (head.version_minor(), head.status(), head.reason());
    let mut text = format!("HTTP/1.{version} {status} {reason}\r\n");
    for (name, value) in head.fields() {
        text.extend([name, ": ", value, "\r\n"]);
    }
    text.push_str("\r\n");
    // Bytes that are no UTF-8 grow when printed.
    if text.len() > HEAD_BYTES_MAX {
        return;
    }
    let again = parse(text.as_bytes()).expect("a head we printed");
    assert_eq!(again, HeadParse::Complete { head: head.clone(), consumed: text.len() });
}

/// An answer fits itself, if it fits at all; and what has fitted once still does. What another
/// first answer taught may make it a change, but no other part.
fn parts_hold(head: &Head, span: Span, total: u64) {
    const OTHER: &[u8] = b"HTTP/1.1 206 x\r\nETag: \"other\"\r\n\r\n";
    let Ok(HeadParse::Complete { head: other, .. }) = parse(OTHER) else {
        panic!("a head of ours")
    };
    for first in [head, &other] {
        let Ok(mut known) = Known::of(first, total) else { continue };
        for is_conditional in [false, true, false] {
            let asked = Asked { span, is_conditional };
            let Ok(part) = check_partial(head, asked, &mut known) else { continue };
            let Part::Usable(body) = part else {
                assert!(!is_conditional && first == &other, "its own fields are its proof");
                assert_ne!(known.condition(), Validator::None, "there is something to ask for");
                continue;
            };
            assert!(span.covers(body) && body.start() == span.start() && !body.is_empty());
            assert!(head.status() == 206 && head.get("Content-Range").is_some());
            let again = check_partial(head, asked, &mut known).expect("it fitted before");
            assert_eq!(again, part);
        }
    }
}

/// A judgement lets no byte count that was not asked for or lies outside the file.
fn judgements_hold(head: &Head) {
    let (asked, total) = (Span::new(0, 5), 10);
    if let Ok(Discovery::Ranged { known, body }) = discover(head, asked) {
        assert!(asked.covers(body) && body.start() == asked.start() && !body.is_empty());
        assert!(body.end() <= known.total && head.status() == 206);
    }
    for span in [asked, Span::new(2, 10)] {
        parts_hold(head, span, total);
    }
    let text = status_error(head).to_string();
    assert!(!text.chars().any(char::is_control) && text.chars().count() < 600, "{text:?}");
    logs_in(head);
    let _ = retry_after(head);
    let current = Url::parse("https://me:secret@h/a?token").expect("a URL");
    if let Ok(Some(next)) = follow(&current, head, &Rules::default()) {
        assert_eq!(next.url.scheme(), Scheme::Https, "a downgrade needs permission");
        let found = next.url.credentials();
        let is_ours = found.is_some_and(|found| found.password == b"secret");
        assert!(!is_ours || next.same_origin, "ours stay in the origin");
        assert_eq!(next.same_origin, next.url.origin() == current.origin());
    }
}

/// Whatever is asked for is answered in one line, and cookies keep their bounds.
fn logs_in(head: &Head) {
    let url = Url::parse("https://www.example.com/a/b").expect("a URL");
    let me = Credentials { user: b"me".to_vec(), password: b"\xff\0".to_vec() };
    if let Some(mut digest) = Digest::of(head) {
        let value = digest.answer(&me, "/a/b", 1).expect("a usual name");
        assert!(!value.contains(['\r', '\n']), "{value:?}");
    }
    let mut cookies = Cookies::default();
    cookies.hear(&url, head, 1_700_000_000);
    assert!(cookies.count() <= head.all("Set-Cookie").count());
    if let Some(field) = cookies.field(&url, 1_700_000_000, &[]) {
        assert!(field.len() <= COOKIE_FIELD_BYTES_MAX && !field.contains(['\r', '\n', '\0']));
    }
}
