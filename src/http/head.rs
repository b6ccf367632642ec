//! Response heads: status line and fields (RFC 9112 sections 4 and 5), parsed once and owned.
//!
//! Owns syntax and bounds. Must not know what the fields mean: framing is `body`'s, parts are
//! `combine`'s.

use crate::base::limits::{HEAD_BYTES_MAX, HEAD_FIELDS_MAX};
use crate::base::{Error, ErrorKind, Result};
use std::fmt;

/// Status line and header fields of one response.
#[derive(Clone, PartialEq, Eq)]
pub struct Head {
    version_minor: u8,
    status: u16,
    reason: String,
    fields: Vec<(String, String)>,
}

impl Head {
    /// The status code, 100 to 999; what lies beyond 599 counts as a failing server (RFC 9110
    /// section 15).
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The minor version: 1 for HTTP/1.1, 0 for HTTP/1.0.
    pub fn version_minor(&self) -> u8 {
        self.version_minor
    }

    /// The reason phrase as sent, possibly empty. The peer's words: not for decisions.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The value of the first field called `name`; case does not matter (RFC 9110 section 5.1).
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The values of all fields called `name`, in order.
    pub fn all<'h>(&'h self, name: &str) -> impl Iterator<Item = &'h str> {
        self.fields().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The value of a field that may stand only once. Equal repetitions are tolerated; different
    /// ones are [`ErrorKind::Protocol`], since nobody can say which one is meant (RFC 9110
    /// section 5.3).
    pub fn single(&self, name: &str) -> Result<Option<&str>> {
        let mut values = self.all(name);
        let first = values.next();
        if values.any(|value| Some(value) != first) {
            return Err(protocol(format!("the server sent several different {name} fields")));
        }
        Ok(first)
    }

    /// The members of a comma-separated list field over all its lines, empty ones left out
    /// (RFC 9110 section 5.6.1). Not for lists whose members quote commas.
    pub fn list<'h>(&'h self, name: &str) -> impl Iterator<Item = &'h str> {
        self.all(name).flat_map(|value| value.split(',')).map(trim_ows).filter(|m| !m.is_empty())
    }

    /// All fields as name and value, in order. Values may hold secrets (cookies, signed URLs).
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl fmt::Debug for Head {
    /// Status and field names; values may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Head({} ", self.status)?;
        f.debug_list().entries(self.fields.iter().map(|(name, _)| name)).finish()?;
        f.write_str(")")
    }
}

/// What the bytes so far amount to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeadParse {
    /// A head so far, not yet its end.
    Partial,
    /// A whole head in the first `consumed` bytes.
    Complete {
        /// The head.
        head: Head,
        /// Its length in bytes, with the empty line.
        consumed: usize,
    },
}

/// Parses the head at the start of `bytes`.
///
/// Spaces before a colon, stray control characters and empty lines in front are
/// [`ErrorKind::Protocol`] (RFC 9112 sections 2.2 and 5.1), and so is more than [`HEAD_BYTES_MAX`]
/// or [`HEAD_FIELDS_MAX`]. A bare LF ends a line, as section 2.2 allows. A folded line is read as
/// one, with a space for each fold, as section 5.2 asks of a user agent.
pub fn parse(bytes: &[u8]) -> Result<HeadParse> {
    check_start(bytes)?;
    let mut table = [httparse::EMPTY_HEADER; HEAD_FIELDS_MAX];
    let mut response = httparse::Response::new(&mut table);
    let window = &bytes[..bytes.len().min(HEAD_BYTES_MAX)];
    let mut config = httparse::ParserConfig::default();
    config.allow_obsolete_multiline_headers_in_responses(true);
    match config.parse_response(&mut response, window) {
        Ok(httparse::Status::Complete(consumed)) => {
            Ok(HeadParse::Complete { head: owned(&response)?, consumed })
        }
        Ok(httparse::Status::Partial) if bytes.len() >= HEAD_BYTES_MAX => Err(too_long()),
        Ok(httparse::Status::Partial) => Ok(HeadParse::Partial),
        Err(httparse::Error::TooManyHeaders) => {
            Err(protocol(format!("the head of the answer has more than {HEAD_FIELDS_MAX} fields")))
        }
        Err(cause) => Err(protocol("the head of the answer is malformed").caused_by(cause)),
    }
}

/// Collects a head that arrives in pieces and parses it once, when its empty line is there: the
/// work stays linear however small the pieces are.
#[derive(Debug, Default)]
pub(super) struct HeadReader {
    bytes: Vec<u8>,
    line: Line,
}

/// Where in a line the reader stands; only an empty line ends a head.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// Inside a line with text.
    #[default]
    Text,
    /// Right behind a line feed.
    Start,
    /// Behind a carriage return at the start of a line.
    StartCr,
    /// Behind the empty line.
    End,
}

impl HeadReader {
    /// Indicates whether no byte of a head has come yet.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes the next bytes. A whole head comes with the count of `input` bytes that belong to it.
    pub(super) fn feed(&mut self, input: &[u8]) -> Result<Option<(Head, usize)>> {
        let taken = self.scan(input);
        if self.bytes.len() + taken > HEAD_BYTES_MAX {
            return Err(too_long());
        }
        self.bytes.extend_from_slice(&input[..taken]);
        if self.line != Line::End {
            // What is no HTTP at all is said at once: such a peer may wait for us for ever.
            check_start(&self.bytes)?;
            return Ok(None);
        }
        match parse(&self.bytes)? {
            HeadParse::Complete { head, consumed } if consumed == self.bytes.len() => {
                Ok(Some((head, taken)))
            }
            HeadParse::Complete { .. } | HeadParse::Partial => {
                Err(protocol("the head of the answer is malformed"))
            }
        }
    }

    /// Counts the bytes of `input` up to and with the empty line, or all of them.
    fn scan(&mut self, input: &[u8]) -> usize {
        for (at, byte) in input.iter().enumerate() {
            self.line = match (self.line, byte) {
                (Line::Start | Line::StartCr, b'\n') => Line::End,
                (Line::Start, b'\r') => Line::StartCr,
                (_, b'\n') => Line::Start,
                (_, _) => Line::Text,
            };
            if self.line == Line::End {
                return at + 1;
            }
        }
        input.len()
    }
}

/// The first content coding of an answer that changes its bytes. `identity` (RFC 9110 section
/// 12.5.3) does not; nor does `none`, which is registered nowhere and sent by servers that mean it.
pub(super) fn content_coding(head: &Head) -> Option<&str> {
    let is_plain =
        |coding: &&str| ["identity", "none"].iter().any(|plain| coding.eq_ignore_ascii_case(plain));
    head.list("Content-Encoding").find(|coding| !is_plain(coding))
}

/// A peer's words for a message: short, so that a head of 64 KiB does not become one line.
pub(super) fn quoted(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    let mut short: String = text.chars().take(CHARS_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// Drops optional whitespace, which is space and tab only (RFC 9110 section 5.6.3).
pub(super) fn trim_ows(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

pub(super) fn protocol(context: impl Into<String>) -> Error {
    Error::new(ErrorKind::Protocol, context)
}

fn too_long() -> Error {
    protocol(format!("the head of the answer is longer than {HEAD_BYTES_MAX} bytes"))
}

/// The first bytes tell HTTP/1 from everything else before a whole line is there.
fn check_start(bytes: &[u8]) -> Result<()> {
    const START: &[u8] = b"HTTP/1.";
    const SHOWN_BYTES: usize = 24;
    /// Content types of a TLS alert and handshake record (RFC 8446 section 5.1).
    const TLS: [u8; 2] = [21, 22];
    let known = bytes.len().min(START.len());
    if bytes[..known] == START[..known] {
        return Ok(());
    }
    if TLS.contains(&bytes[0]) {
        return Err(protocol("the server answered plain HTTP with TLS").advise("use https://"));
    }
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN_BYTES)]);
    Err(protocol(format!("the server does not speak HTTP/1.1; its answer starts with '{shown}'")))
}

fn owned(response: &httparse::Response<'_, '_>) -> Result<Head> {
    let status = response.code.expect("a complete head has a status");
    if status < 100 {
        return Err(protocol(format!("the server answered with the status {status:03}")));
    }
    Ok(Head {
        version_minor: response.version.expect("a complete head has a version"),
        status,
        reason: response.reason.unwrap_or_default().to_owned(),
        fields: response
            .headers
            .iter()
            .map(|field| (field.name.to_owned(), text_of(field.value)))
            .collect(),
    })
}

/// Field values are bytes (RFC 9110 section 5.5). UTF-8 stays what it is; anything else is read as
/// ISO-8859-1, which loses nothing and never fails.
fn text_of(value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok(text) => unfolded(text),
        Err(_) => unfolded(&value.iter().copied().map(char::from).collect::<String>()),
    }
}

/// RFC 9112 section 5.2: a space in place of each fold, which is a line end with the space around.
fn unfolded(value: &str) -> String {
    if !value.contains('\n') {
        return trim_ows(value).to_owned();
    }
    let lines = value.split('\n').map(|line| line.trim_matches([' ', '\t', '\r']));
    trim_ows(&lines.collect::<Vec<_>>().join(" ")).to_owned()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A head as the tests of the neighbours need it.
    pub(in crate::http) fn head(status: u16, fields: &[(&str, &str)]) -> Head {
        let fields = fields.iter().map(|&(n, v)| (n.to_owned(), v.to_owned())).collect();
        Head { version_minor: 1, status, reason: String::new(), fields }
    }

    const NGINX: &[u8] = b"HTTP/1.1 206 Partial Content\r\nServer: nginx\r\nContent-Length: 5\r\n\
        ETag: \"65a-1\"\r\nContent-Range: bytes 0-4/10\r\nX-A: 1\r\nx-a:\t2 \r\n\r\n";

    fn complete(bytes: &[u8]) -> (Head, usize) {
        match parse(bytes).unwrap() {
            HeadParse::Complete { head, consumed } => (head, consumed),
            HeadParse::Partial => panic!("partial: {}", String::from_utf8_lossy(bytes)),
        }
    }

    #[test]
    fn parts_of_a_head() {
        let (head, consumed) = complete(&[NGINX, b"hello"].concat());
        assert_eq!(consumed, NGINX.len());
        assert_eq!((head.status(), head.version_minor()), (206, 1));
        assert_eq!(head.reason(), "Partial Content");
        assert_eq!(head.get("CONTENT-LENGTH"), Some("5"));
        assert_eq!(head.all("X-a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(head.single("etag").unwrap(), Some("\"65a-1\""));
        assert_eq!(head.single("x-a").unwrap_err().kind(), ErrorKind::Protocol);
        assert_eq!(head.get("absent"), None);
        assert_eq!(
            format!("{:?}", head),
            r#"Head(206 ["Server", "Content-Length", "ETag", "Content-Range", "X-A", "x-a"])"#
        );
    }

    #[test]
    fn lists_span_lines_and_skip_empty_members_rfc_9110_section_5_6_1() {
        let head = head(200, &[("Connection", "a,, b"), ("connection", " , Close\t")]);
        assert_eq!(head.list("Connection").collect::<Vec<_>>(), ["a", "b", "Close"]);
    }

    #[test]
    fn every_cut_gives_the_same_head() {
        let whole = complete(NGINX).0;
        for cut in 0..NGINX.len() {
            assert_eq!(parse(&NGINX[..cut]).unwrap(), HeadParse::Partial, "cut at {cut}");
            let mut reader = HeadReader::default();
            assert!(reader.feed(&NGINX[..cut]).unwrap().is_none());
            let rest = [&NGINX[cut..], b"\r\n\r\nbody"].concat();
            let (head, taken) = reader.feed(&rest).unwrap().unwrap();
            assert_eq!((head, taken), (whole.clone(), NGINX.len() - cut), "cut at {cut}");
        }
    }

    #[test]
    fn bare_line_feeds_end_lines_rfc_9112_section_2_2() {
        let bytes = b"HTTP/1.0 200\nA: b\n\nrest";
        let (head, consumed) = complete(bytes);
        assert_eq!((head.version_minor(), head.reason(), head.get("a")), (0, "", Some("b")));
        assert_eq!(&bytes[consumed..], b"rest");
        let (_, taken) = HeadReader::default().feed(bytes).unwrap().unwrap();
        assert_eq!(taken, consumed);
    }

    #[test]
    fn a_folded_line_is_one_value_rfc_9112_section_5_2() {
        for (text, value) in [
            ("A: b\r\n c", "b c"),
            ("A: b \t\r\n\t \tc", "b c"),
            ("A: b\n c\n d", "b c d"),
            ("A:\r\n b", "b"),
            ("A: b\r\n ", "b"),
            ("A: b\r\n \r\n c", "b  c"),
            ("A: \r\n ", ""),
            ("A: \u{e4}\r\n \u{e4}", "\u{e4} \u{e4}"),
        ] {
            let bytes = format!("HTTP/1.1 200 OK\r\n{text}\r\nB: c\r\n\r\nbody");
            let (head, consumed) = complete(bytes.as_bytes());
            assert_eq!(head.fields().collect::<Vec<_>>(), [("A", value), ("B", "c")], "{text:?}");
            assert_eq!(&bytes[consumed..], "body");
            let (fed, taken) = HeadReader::default().feed(bytes.as_bytes()).unwrap().unwrap();
            assert_eq!((fed, taken), (head, consumed), "{text:?}");
        }
        let (head, _) = complete(b"HTTP/1.1 200 \r\nA: \xe4\r\n \xe4\r\n\r\n");
        assert_eq!(head.get("a"), Some("\u{e4} \u{e4}"));
    }

    #[test]
    fn values_that_are_not_utf8_are_kept() {
        let (head, _) = complete(b"HTTP/1.1 200 \xff\r\nA: \xe4\r\nB: \xc3\xa4\r\n\r\n");
        assert_eq!((head.get("a"), head.get("b")), (Some("ä"), Some("ä")));
        assert_eq!(head.reason(), "");
    }

    #[test]
    fn hostile_heads_are_protocol_errors() {
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(HEAD_FIELDS_MAX + 1));
        let long = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "x".repeat(HEAD_BYTES_MAX));
        let cases: &[(&str, &[u8])] = &[
            ("not HTTP", b"SSH-2.0-OpenSSH_9.6\r\n"),
            ("one wrong byte", b"X"),
            ("wrong version", b"HTTP/2.0 200 OK\r\n\r\n"),
            ("wrong minor version", b"HTTP/1.2 200 OK\r\n\r\n"),
            ("ICY", b"ICY 200 OK\r\n\r\n"),
            ("empty line first", b"\r\nHTTP/1.1 200 OK\r\n\r\n"),
            ("status of two digits", b"HTTP/1.1 20 OK\r\n\r\n"),
            ("status of four digits", b"HTTP/1.1 2000 OK\r\n\r\n"),
            ("status 099", b"HTTP/1.1 099 OK\r\n\r\n"),
            ("signed status", b"HTTP/1.1 +20 OK\r\n\r\n"),
            ("space before the colon (RFC 9112 5.1)", b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n"),
            ("space before the first field", b"HTTP/1.1 200 OK\r\n A: b\r\n\r\n"),
            ("no colon", b"HTTP/1.1 200 OK\r\nAbc\r\n\r\n"),
            ("no name", b"HTTP/1.1 200 OK\r\n: b\r\n\r\n"),
            ("NUL in a value", b"HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n"),
            ("bare CR in a value", b"HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n"),
            ("bare CR as line end", b"HTTP/1.1 200 OK\rA: b\r\n\r\n"),
            ("escape in the reason", b"HTTP/1.1 200 \x1b[31m\r\n\r\n"),
            ("too many fields", many.as_bytes()),
            ("too long", long.as_bytes()),
            ("TLS alert", b"\x15\x03\x01\x00\x02\x02\x46"),
        ];
        for (name, bytes) in cases {
            assert_eq!(parse(bytes).unwrap_err().kind(), ErrorKind::Protocol, "{name}");
            let mut reader = HeadReader::default();
            let fed = bytes.iter().find_map(|b| reader.feed(&[*b]).err());
            assert_eq!(fed.expect(name).kind(), ErrorKind::Protocol, "{name}");
        }
    }

    #[test]
    fn an_endless_head_ends_at_the_limit() {
        let mut reader = HeadReader::default();
        assert!(reader.feed(b"HTTP/1.1 200 OK\r\nA: ").unwrap().is_none());
        let fed = (0..HEAD_BYTES_MAX).take_while(|_| reader.feed(b"x").is_ok()).count();
        assert_eq!(fed, HEAD_BYTES_MAX - b"HTTP/1.1 200 OK\r\nA: ".len());
        assert!(reader.bytes.len() <= HEAD_BYTES_MAX);
    }

    #[test]
    fn long_words_of_a_peer_are_cut() {
        assert_eq!(quoted("short"), "short");
        assert_eq!(quoted(&"ä".repeat(1000)).chars().count(), 61);
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None, ..ProptestConfig::with_cases(256)
        })]

        #[test]
        fn random_bytes_never_panic_and_the_reader_agrees_with_the_parser(
            keep in 0..NGINX.len(),
            noise in proptest::collection::vec(any::<u8>(), 0..80),
            cut in 0..200usize,
        ) {
            let bytes = [&NGINX[..keep], &noise].concat();
            let mut reader = HeadReader::default();
            let (a, b) = bytes.split_at(cut.min(bytes.len()));
            let fed = match reader.feed(a) {
                Ok(None) => reader.feed(b).map(|got| got.map(|(h, n)| (h, n + a.len()))),
                other => other,
            };
            match (parse(&bytes), fed) {
                (Ok(HeadParse::Complete { head, consumed }), Ok(fed)) => {
                    prop_assert_eq!(fed, Some((head, consumed)));
                }
                // The parser sees a broken line earlier than the reader, which waits for the end.
                (Ok(HeadParse::Partial), Ok(None)) | (Err(_), Ok(None) | Err(_)) => {}
                (parsed, fed) => prop_assert!(false, "{:?} but {:?}", parsed, fed),
            }
        }
    }
}
