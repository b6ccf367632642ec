//! The request head: how it is found in the bytes and what it says.
//!
//! Owns a parser of its own, on purpose a tolerant one and no kin of the client's. Must not know
//! what is served.

use crate::base::limits::SERVER_HEAD_BYTES_MAX;

/// One request, with its head as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server) struct Request {
    pub(in crate::server) method: String,
    pub(in crate::server) target: String,
    /// HTTP/1.0 closes unless asked otherwise.
    pub(in crate::server) is_http_10: bool,
    pub(in crate::server) head: String,
    fields: Vec<(String, String)>,
}

/// What the bytes read so far hold.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::server) enum Parsed {
    /// A request, and how many bytes its head took.
    Whole(Box<Request>, usize),
    /// More bytes are needed.
    Partial,
    /// No request: the status to answer with before closing.
    Bad(u16),
}

impl Request {
    /// Looks for one head at the start of `bytes`.
    pub(in crate::server) fn parse(bytes: &[u8]) -> Parsed {
        // RFC 9112 2.2: empty lines before a request line are skipped.
        let skipped = bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        if bytes.get(skipped).is_some_and(|first| !first.is_ascii_graphic()) {
            // No method begins so. A TLS client would wait for an answer to its hello for ever.
            return Parsed::Bad(400);
        }
        let Some(head_bytes) = head_length(&bytes[skipped..]) else {
            let is_over = bytes.len() >= SERVER_HEAD_BYTES_MAX;
            return if is_over { Parsed::Bad(431) } else { Parsed::Partial };
        };
        let end = skipped + head_bytes;
        if end > SERVER_HEAD_BYTES_MAX {
            return Parsed::Bad(431);
        }
        let head = String::from_utf8_lossy(&bytes[skipped..end]).into_owned();
        match Self::from_head(head) {
            Some(request) => Parsed::Whole(Box::new(request), end),
            None => Parsed::Bad(400),
        }
    }

    fn from_head(head: String) -> Option<Self> {
        let mut lines = head.lines();
        let mut words = lines.next()?.split_ascii_whitespace();
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let is_http_10 = match words.next()? {
            "HTTP/1.0" => true,
            version if version.starts_with("HTTP/1.") => false,
            _ => return None,
        };
        if words.next().is_some() {
            return None;
        }
        let mut fields = Vec::new();
        for line in lines.take_while(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':')?;
            fields.push((name.to_owned(), value.trim().to_owned()));
        }
        Some(Self { method, target, is_http_10, fields, head })
    }

    /// The first field of that name, in any case.
    pub(in crate::server) fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Indicates whether it depends on a condition (RFC 9110 13.1).
    pub(in crate::server) fn has_condition(&self) -> bool {
        let names = ["if-match", "if-none-match", "if-modified-since", "if-range"];
        names.iter().any(|name| self.field(name).is_some())
    }

    /// The path without query and, where the target is a whole URL, without its origin.
    pub(in crate::server) fn path(&self) -> &str {
        let target = match self.target.split_once("://") {
            Some((_, rest)) if !self.target.starts_with('/') => {
                rest.find('/').map_or("/", |slash| &rest[slash..])
            }
            Some(_) | None => &self.target,
        };
        target.split(['?', '#']).next().unwrap_or_default()
    }

    /// What follows the path behind a question mark, if anything does.
    pub(in crate::server) fn query(&self) -> &str {
        let target = self.target.split('#').next().unwrap_or_default();
        target.split_once('?').map_or("", |(_, query)| query)
    }

    /// Indicates whether the client wants the connection to stay (RFC 9112 9.3). A request with a
    /// body is answered but ends the connection, because the body is not read.
    pub(in crate::server) fn keeps_alive(&self) -> bool {
        let has_body = self.field("transfer-encoding").is_some()
            || self.field("content-length").is_some_and(|length| length != "0");
        let says = |word: &str| {
            let connection = self.field("connection").unwrap_or_default();
            connection.split(',').any(|option| option.trim().eq_ignore_ascii_case(word))
        };
        !has_body && !says("close") && (!self.is_http_10 || says("keep-alive"))
    }
}

/// Bytes up to and with the empty line; lines may end in a bare line feed.
fn head_length(bytes: &[u8]) -> Option<usize> {
    let mut line_start = 0;
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
        if matches!(&bytes[line_start..at], b"" | b"\r") {
            return Some(at + 1);
        }
        line_start = at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Request {
        match Request::parse(text.as_bytes()) {
            Parsed::Whole(request, _) => *request,
            other => panic!("{text:?} gives {other:?}"),
        }
    }

    #[test]
    fn parts_of_a_request() {
        let text = "GET /a?b HTTP/1.1\r\nHost: h\r\nRANGE:bytes=1-2 \r\n\r\nrest";
        let request = whole(text);
        assert_eq!((request.method.as_str(), request.path()), ("GET", "/a"));
        assert_eq!(request.field("range"), Some("bytes=1-2"));
        assert_eq!(request.head, text.strip_suffix("rest").unwrap());
        assert!(request.keeps_alive());
        assert_eq!(whole("GET http://h:1/x?q HTTP/1.1\n\n").path(), "/x");
        assert_eq!(whole("GET /?u=http://h/x HTTP/1.1\n\n").path(), "/");
    }

    #[test]
    fn cut_anywhere_it_is_partial_and_then_the_same() {
        let text = "\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n";
        for cut in 0..text.len() {
            assert_eq!(Request::parse(&text.as_bytes()[..cut]), Parsed::Partial, "cut {cut}");
        }
        let pipelined = format!("{text}GET /2");
        let Parsed::Whole(_, taken) = Request::parse(pipelined.as_bytes()) else { panic!() };
        assert_eq!(taken, text.len());
    }

    #[test]
    fn who_keeps_the_connection() {
        assert!(!whole("GET / HTTP/1.1\r\nConnection: x, Close\r\n\r\n").keeps_alive());
        assert!(!whole("GET / HTTP/1.0\r\n\r\n").keeps_alive());
        assert!(whole("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").keeps_alive());
        assert!(!whole("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n").keeps_alive());
    }

    #[test]
    fn what_is_no_request_is_answered_with_a_status() {
        for text in [
            "x\n\n",
            "GET /\n\n",
            "GET / HTTP/2\n\n",
            "GET / a HTTP/1.1\n\n",
            "GET / HTTP/1.1\nno colon\n\n",
            "\x16\x03\x01",
        ] {
            assert_eq!(Request::parse(text.as_bytes()), Parsed::Bad(400), "{text:?}");
        }
        assert_eq!(Request::parse(&vec![b'a'; SERVER_HEAD_BYTES_MAX]), Parsed::Bad(431));
    }
}
