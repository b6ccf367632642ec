//! Proxies that answer anything, late, or not at all: each ends in an error that names the proxy,
//! and never in a hang or a file.

use super::common::{assert_line, fetch};
use super::scripted::{End, Scripted};
use super::through;
use ringhaul::{ErrorKind, Options};
use std::time::Duration;

/// No name server is asked for it: the proxy is told the name.
const URL: &str = "https://host.invalid/file";

fn options() -> Options {
    Options {
        retries: 0,
        retry_wait: Duration::from_millis(1),
        connect_timeout: Duration::from_secs(20),
        ..Options::default()
    }
}

/// The download fails so through a proxy with these answers.
#[track_caller]
fn fails(proxy: &Scripted, front: &str, kind: ErrorKind, exit_code: u8, words: &str) {
    let run = fetch(URL, through(&proxy.url(front), &options()));
    let error = run.expect_error(kind);
    assert_eq!(error.exit_code(), exit_code, "{error}");
    let line = assert_line(error);
    assert!(line.contains(&proxy.name()) && line.contains(words), "no '{words}' in: {line}");
}

#[test]
fn answers_that_are_no_way_through() {
    for (answer, kind, exit_code, words) in [
        (&b"SSH-2.0-OpenSSH\r\n"[..], ErrorKind::Protocol, 9, "does not answer in HTTP/1.1"),
        (b"\x05\x00", ErrorKind::Protocol, 9, "check the port"),
        (b"HTTP/1.1 302 x\r\nLocation: http://h/\r\n\r\n", ErrorKind::ProxyRefused, 18, "redirect"),
        (
            b"HTTP/1.1 407 x\r\nProxy-Authenticate: Kerberos\r\n\r\n",
            ErrorKind::ProxyRefused,
            18,
            "Kerberos credentials",
        ),
        (b"HTTP/1.1 405 x\r\n\r\n", ErrorKind::ProxyRefused, 18, "405 x to CONNECT host.invalid"),
        (b"HTTP/1.1 503 x\r\n\r\n", ErrorKind::Connect, 4, "503 x to CONNECT host.invalid:443"),
        (b"HTTP/1.1 200 x\r\n\r\n<html>", ErrorKind::Protocol, 9, "behind its answer"),
        (b"HTTP/1.1 200 ", ErrorKind::ConnectionLost, 5, "closed the connection"),
        (b"", ErrorKind::ConnectionLost, 5, "closed the connection"),
    ] {
        fails(&Scripted::start(&[answer], End::Close), "http://", kind, exit_code, words);
    }
    let long = [&b"HTTP/1.1 200 x\r\nX: "[..], &[b'x'; 80_000]].concat();
    let proxy = Scripted::start(&[&long], End::Hold);
    fails(&proxy, "http://", ErrorKind::Protocol, 9, "HTTP/1.1");
}

#[test]
fn socks_answers_that_end_at_each_byte() {
    let talks: [(&str, &[&[u8]]); 3] = [
        ("socks4a://", &[b"\0\x5a\0\x50\x01\x02\x03\x04"]),
        ("socks5h://", &[b"\x05\0", b"\x05\0\0\x01\x01\x02\x03\x04\0\x50"]),
        ("socks5h://u:p@", &[b"\x05\x02", b"\x01\0", b"\x05\0\0\x03\x01a\0\x50"]),
    ];
    for (front, answers) in talks {
        for (nth, last) in answers.iter().enumerate() {
            for cut in 0..last.len() {
                let mut cut_off = answers[..nth].to_vec();
                cut_off.push(&last[..cut]);
                let proxy = Scripted::start(&cut_off, End::Close);
                fails(&proxy, front, ErrorKind::ConnectionLost, 5, "closed the connection");
            }
        }
    }
}

#[test]
fn a_proxy_that_stalls_ends_with_the_time_to_connect() {
    for (front, answers) in [
        ("http://", &[&b"HTTP/1.1 200 x\r\n"[..]][..]),
        ("socks5h://", &[b"\x05\0", b"\x05"]),
        ("https://", &[b""]),
    ] {
        let proxy = Scripted::start(answers, End::Hold);
        let brief = Options { connect_timeout: Duration::from_millis(200), ..options() };
        let run = fetch(URL, through(&proxy.url(front), &brief));
        let line = assert_line(run.expect_error(ErrorKind::TimedOut));
        assert!(line.contains("host.invalid through the proxy "), "{line}");
    }
}

#[test]
fn what_may_pass_is_tried_again_and_what_does_not_is_not() {
    for (answer, tries) in [
        (&b"HTTP/1.1 502 x\r\n\r\n"[..], 3),
        (b"HTTP/1.1 429 x\r\n\r\n", 3),
        (b"HTTP/1.1 403 x\r\n\r\n", 1),
        (b"HTTP/1.1 405 x\r\n\r\n", 1),
        (b"HTTP/1.1 407 x\r\n\r\n", 1),
        (b"HTTP/1.1 501 x\r\n\r\n", 1),
    ] {
        let proxy = Scripted::start(&[answer], End::Close);
        let run = fetch(URL, through(&proxy.url("http://"), &Options { retries: 2, ..options() }));
        assert!(run.result.is_err());
        let heard = proxy.heard();
        assert_eq!(heard.len(), tries, "{}", answer.escape_ascii());
    }
}

#[test]
fn credentials_with_an_at_go_to_the_proxy_as_they_are() {
    let proxy = Scripted::start(&[b"HTTP/1.1 407 x\r\n\r\n"], End::Close);
    let run = fetch(URL, through(&proxy.url("http://user:pa@sesame@"), &options()));
    assert_line(run.expect_error(ErrorKind::ProxyRefused));
    let heard = proxy.heard();
    let request = String::from_utf8_lossy(&heard[0][0]).into_owned();
    assert!(request.starts_with("CONNECT host.invalid:443 HTTP/1.1\r\n"), "{request}");
    // user:pa@sesame
    assert!(request.contains("Proxy-Authorization: Basic dXNlcjpwYUBzZXNhbWU=\r\n"), "{request}");
}

#[test]
fn a_proxy_that_is_not_there() {
    let gone = Scripted::start(&[], End::Close);
    let (url, name) = (gone.url("http://"), gone.name());
    drop(gone);
    let run = fetch(URL, through(&url, &options()));
    let line = assert_line(run.expect_error(ErrorKind::Connect));
    assert!(line.contains(&format!("cannot connect to {name} at ")), "{line}");
    let run = fetch(URL, through("http://no-such-proxy.invalid:3128", &options()));
    let line = assert_line(run.expect_error(ErrorKind::Resolve));
    assert!(line.contains("the proxy 'no-such-proxy.invalid'"), "{line}");
}

#[test]
fn names_are_resolved_where_the_protocol_says() {
    for (front, url, told) in [
        ("socks5h://", "http://localhost:81/f", &b"\x05\x01\0\x03\x09localhost\0\x51"[..]),
        ("socks5://", "http://127.0.0.3:81/f", b"\x05\x01\0\x01\x7f\0\0\x03\0\x51"),
        ("socks4a://", "http://localhost:81/f", b"\x04\x01\0\x51\0\0\0\x01\0localhost\0"),
    ] {
        let answers: &[&[u8]] = if front == "socks4a://" { &[b""] } else { &[b"\x05\0", b""] };
        let proxy = Scripted::start(answers, End::Close);
        let run = fetch(url, through(&proxy.url(front), &options()));
        assert!(run.result.is_err());
        let said = proxy.heard().concat();
        assert!(said.iter().any(|message| message == told), "{front}: {said:?}");
    }
    let proxy = Scripted::start(&[b"\x05\0", b""], End::Close);
    let run = fetch("http://localhost:81/f", through(&proxy.url("socks5://"), &options()));
    assert!(run.result.is_err());
    let said = proxy.heard().concat();
    // Address types 1 and 4; 3 is a name.
    let is_address = |message: &Vec<u8>| {
        message.starts_with(b"\x05\x01\0") && matches!(message.get(3), Some(1 | 4))
    };
    assert!(said.iter().any(is_address), "{said:?}");
}
