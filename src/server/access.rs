//! The access log: one line for each answered request, in the Common Log Format that log readers
//! know. Owns the line; who writes it where is the caller's.

use super::codec::date::log_time;
use super::codec::request::Request;
use std::fmt::{self, Write};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Gets each line, without a line break, on the thread of its connection.
#[derive(Clone)]
pub struct AccessLog {
    write: Arc<dyn Fn(&str) + Send + Sync>,
}

impl AccessLog {
    /// Hands each line to `write`.
    pub fn new(write: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { write: Arc::new(write) }
    }

    /// Writes down that `client` got `body_bytes` bytes of an answer of this status.
    pub(super) fn answered(
        &self,
        client: Option<IpAddr>,
        request: &Request,
        status: u16,
        body_bytes: u64,
        now: SystemTime,
    ) {
        let client = client.map_or("-".to_owned(), |address| address.to_string());
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
        let time = log_time(seconds);
        let line = escaped(request.head.lines().next().unwrap_or_default());
        let bytes = if body_bytes == 0 { "-".to_owned() } else { body_bytes.to_string() };
        (self.write)(&format!("{client} - - [{time}] \"{line}\" {status} {bytes}"));
    }
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessLog(..)")
    }
}

/// As Apache writes what clients send: neither quotes nor what a terminal would obey.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() || !c.is_ascii() => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    write!(out, "\\x{byte:02x}").expect("text takes what is written");
                }
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::codec::request::Parsed;
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn a_line_is_in_the_common_format() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let log = {
            let lines = Arc::clone(&lines);
            AccessLog::new(move |line| lines.lock().unwrap().push(line.to_owned()))
        };
        let head = "GET /a\"b\\\u{1b}\u{fc} HTTP/1.1\r\nHost: h\r\n\r\n";
        let Parsed::Whole(request, _) = Request::parse(head.as_bytes()) else { panic!() };
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        log.answered(Some([127, 0, 0, 1].into()), &request, 206, 5, now);
        log.answered(None, &request, 304, 0, now);
        let asked = r#"[06/Nov/1994:08:49:37 +0000] "GET /a\"b\\\x1b\xc3\xbc HTTP/1.1""#;
        let expected = [format!("127.0.0.1 - - {asked} 206 5"), format!("- - - {asked} 304 -")];
        assert_eq!(*lines.lock().unwrap(), expected);
    }
}
