//! Answers of proxies: however they are cut, they come to the same, to an end, and to no secret in
//! the message; and what is said to a proxy is what its protocol allows.

use super::Target;
use super::input::{Cuts, Input, with_choices};
use ringhaul::internal::base::Error;
use ringhaul::internal::base::host::HostPort;
use ringhaul::internal::http::proxy::{Handshake, NoProxy, Proxy, Step};

pub(super) const TARGET: Target =
    Target { name: "proxies", run, seeds, words: WORDS, smoke_runs: 3_000 };

const PROXIES: [&str; 4] = [
    "http://user:hidden-word@p:1",
    "socks4a://user:hidden-word@p:1",
    "socks5h://p:1",
    "socks5://user:hidden-word@p:1",
];
/// Messages of ours in one talk: no protocol has more.
const SENT_MAX: usize = 3;

const WORDS: &[&str] = &[
    "HTTP/1.1 200 OK\r\n\r\n",
    "HTTP/1.1 407 x\r\nProxy-Authenticate: ",
    "HTTP/1.1 100 x\r\n\r\n",
    "Basic realm=",
    "\r\n\r\n",
    "\x05\x00",
    "\x05\x02",
    "\x01\x00",
    "\x05\x00\x00\x01",
    "\x05\x00\x00\x03\x01",
    "\x00\x5a",
    "@",
    "://",
    ":",
    "/",
    "*",
    ",",
];

/// Which proxy, how the answers are cut, and the answers, each behind its length.
fn seeds() -> Vec<Vec<u8>> {
    let answers = |proxy: u8, answers: &[&[u8]]| {
        let mut bytes = Vec::new();
        for answer in answers {
            let length = u16::try_from(answer.len()).unwrap_or(u16::MAX);
            bytes.extend(length.to_be_bytes());
            bytes.extend(*answer);
        }
        with_choices(&[proxy, 7], &bytes)
    };
    vec![
        answers(0, &[b"HTTP/1.1 200 Connection established\r\n\r\n"]),
        answers(0, &[b"HTTP/1.1 407 x\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n"]),
        answers(0, &[b"HTTP/1.1 100 x\r\n\r\nHTTP/1.1 503 x\r\n\r\n"]),
        answers(1, &[b"\x00\x5a\x00\x50\x01\x02\x03\x04"]),
        answers(2, &[b"\x05\x00", b"\x05\x00\x00\x01\x01\x02\x03\x04\x00\x50"]),
        answers(3, &[b"\x05\x02", b"\x01\x00", b"\x05\x00\x00\x03\x02ab\x00\x50"]),
        answers(3, &[b"\x05\xff"]),
    ]
}

fn run(data: &[u8]) {
    parse(&String::from_utf8_lossy(data));
    let mut input = Input::new(data);
    let proxy = PROXIES[usize::from(input.byte()) % PROXIES.len()];
    let seed = input.byte();
    let mut answers = Vec::new();
    let mut rest = input.rest();
    while let Some((length, behind)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length)).min(behind.len());
        let (answer, behind) = behind.split_at(length);
        answers.push(answer);
        rest = behind;
    }
    let [whole, others @ ..] = Cuts::all(seed).map(|cuts| talk(proxy, &answers, cuts));
    for other in others {
        assert_eq!(whole, other, "cut elsewhere, they come to something else");
    }
}

/// What the answers come to: all that is sent, and how it ends.
fn talk(proxy: &str, answers: &[&[u8]], mut cuts: Cuts) -> (Vec<Vec<u8>>, String) {
    let proxy = Proxy::parse(proxy).expect("a proxy");
    let target = HostPort::parse("host.example:443", None).expect("a host");
    let mut handshake = Handshake::new(&proxy, &target, None).expect("a usable target");
    let mut sent = vec![handshake.begin()];
    for answer in answers {
        let mut left = *answer;
        while !left.is_empty() {
            let (piece, behind) = left.split_at(cuts.next(left.len()));
            left = behind;
            match handshake.on_received(piece) {
                Ok(Step::Receive) => {}
                // The whole answer would have been too much at once.
                Ok(_) if !left.is_empty() => return (sent, "surplus".to_owned()),
                Ok(Step::Send(bytes)) => {
                    assert!(!bytes.is_empty() && bytes.len() <= 520, "{bytes:?}");
                    sent.push(bytes);
                    assert!(sent.len() <= SENT_MAX, "the talk has no end");
                }
                Ok(Step::Done) => return (sent, "done".to_owned()),
                Err(error) => return (sent, word(&error)),
            }
        }
    }
    (sent, "unfinished".to_owned())
}

fn word(error: &Error) -> String {
    let line = error.to_string();
    assert!(!line.contains("hidden-word") && !line.chars().any(char::is_control), "{line}");
    assert!(line.len() < 600, "too long for a line: {line}");
    let is_surplus = line.contains("bytes behind its answer");
    if is_surplus { "surplus".to_owned() } else { format!("{:?}", error.kind()) }
}

/// A proxy's URL, and a list of hosts without one.
fn parse(text: &str) {
    if let Ok(proxy) = Proxy::parse(text) {
        let again = Proxy::parse(&proxy.to_string()).expect("what is shown is one");
        assert_eq!(again.address(), proxy.address());
        assert!(again.credentials().is_none());
    }
    let list = NoProxy::parse(text);
    for host in ["host.example", "127.0.0.1", "::1"] {
        let _ = list.covers(host);
    }
}
