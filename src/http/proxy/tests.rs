//! The talks with proxies: each message byte for byte, each answer cut at each byte, each refusal.

use super::*;
use crate::base::ErrorKind;
use crate::base::host::HostPort;
use proptest::prelude::*;
use std::net::IpAddr;

fn begun(proxy: &str, target: &str, address: Option<IpAddr>) -> (Handshake, Vec<u8>) {
    let proxy = Proxy::parse(proxy).unwrap();
    let target = HostPort::parse(target, None).unwrap();
    let handshake = Handshake::new(&proxy, &target, address).unwrap();
    let first = handshake.begin();
    (handshake, first)
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Feeds `answer` cut into two parts at each place, and byte by byte: each comes to `expected`, and
/// nothing does before the last byte.
#[track_caller]
fn comes_to(proxy: &str, before: &[&[u8]], answer: &[u8], expected: &Step) {
    for cut in 0..=answer.len() {
        let (mut handshake, _) = begun(proxy, "host.example:443", None);
        for earlier in before {
            handshake.on_received(earlier).unwrap();
        }
        let (first, second) = answer.split_at(cut);
        if cut < answer.len() {
            assert_eq!(handshake.on_received(first).unwrap(), Step::Receive, "{cut}");
        }
        let rest = if cut < answer.len() { second } else { first };
        assert_eq!(handshake.on_received(rest).unwrap(), *expected, "{cut}");
    }
}

#[track_caller]
fn fails(proxy: &str, before: &[&[u8]], answer: &[u8], kind: ErrorKind, words: &str) {
    let (mut handshake, _) = begun(proxy, "host.example:443", None);
    for earlier in before {
        handshake.on_received(earlier).unwrap();
    }
    let error = handshake.on_received(answer).unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    let line = error.to_string();
    assert!(line.contains(words) && line.contains("proxy p:1"), "'{words}' in {line}");
    assert!(!line.contains("secret"), "{line}");
}

#[test]
fn connect_byte_for_byte() {
    let agent = crate::http::request::USER_AGENT;
    let (_, request) = begun("http://p:1", "Host.example:443", None);
    let plain = format!(
        "CONNECT host.example:443 HTTP/1.1\r\nHost: host.example:443\r\nUser-Agent: {agent}\r\n\r\n"
    );
    assert_eq!(text(&request), plain);
    let (handshake, request) = begun("http://Aladdin:open%20sesame@p", "[::1]:80", None);
    let known = format!(
        "CONNECT [::1]:80 HTTP/1.1\r\nHost: [::1]:80\r\nUser-Agent: {agent}\r\n\
         Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"
    );
    assert_eq!(text(&request), known);
    assert!(!format!("{handshake:?}").contains("QWx"), "{handshake:?}");
}

#[test]
fn connect_opens_with_any_2xx_at_any_cut() {
    for answer in [
        "HTTP/1.1 200 Connection established\r\n\r\n",
        "HTTP/1.0 200 OK\nContent-Length: 7\n\n",
        "HTTP/1.1 204 \r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ] {
        comes_to("http://p:1", &[], answer.as_bytes(), &Step::Done);
    }
}

#[test]
fn connect_refusals_are_the_proxys() {
    let answer = |line: &str| format!("HTTP/1.1 {line}\r\n\r\n").into_bytes();
    for (line, kind, words) in [
        ("403 Forbidden", ErrorKind::ProxyRefused, "answered 403 Forbidden to CONNECT"),
        ("405 No", ErrorKind::ProxyRefused, "CONNECT host.example:443"),
        ("302 Found", ErrorKind::ProxyRefused, "cannot redirect"),
        ("404 ", ErrorKind::ProxyRefused, "404 to CONNECT"),
        ("501 x", ErrorKind::ProxyRefused, "501"),
        ("429 x", ErrorKind::Connect, "429"),
        ("502 Bad Gateway", ErrorKind::Connect, "cannot reach it"),
        ("503 x", ErrorKind::Connect, "503"),
        ("504 x", ErrorKind::Connect, "504"),
        ("407 x", ErrorKind::ProxyRefused, "--proxy-user"),
        ("407 x\r\nProxy-Authenticate: Basic", ErrorKind::ProxyRefused, "--proxy-user"),
        ("407 x\r\nProxy-Authenticate: NTLM", ErrorKind::ProxyRefused, "NTLM credentials"),
        ("101 x", ErrorKind::Protocol, "switched protocols"),
        ("200 OK\r\n\r\nsurplus", ErrorKind::Protocol, "behind its answer"),
    ] {
        fails("http://u:secret@p:1", &[], &answer(line), kind, words);
    }
    for garbage in [&b"SSH-2.0-x\r\n"[..], b"\x05\x00", b"HTTP/2 200\r\n\r\n", b"\r\n\r\n"] {
        fails("http://p:1", &[], garbage, ErrorKind::Protocol, "does not answer in HTTP/1.1");
    }
    let many = "HTTP/1.1 100 x\r\n\r\n".repeat(17);
    fails("http://p:1", &[], many.as_bytes(), ErrorKind::Protocol, "come to its answer");
    let endless = format!("HTTP/1.1 200 {}", "x".repeat(70_000));
    fails("http://p:1", &[], endless.as_bytes(), ErrorKind::Protocol, "HTTP/1.1");
}

#[test]
fn socks4a_byte_for_byte() {
    let (_, request) = begun("socks4a://me:secret@p", "host.example:443", None);
    assert_eq!(request, b"\x04\x01\x01\xbb\x00\x00\x00\x01me\0host.example\0");
    let (_, request) = begun("socks4a://p", "1.2.3.4:80", None);
    assert_eq!(request, b"\x04\x01\x00\x50\x01\x02\x03\x04\0");
    comes_to("socks4a://p:1", &[], b"\0\x5a\x01\xbb\x01\x02\x03\x04", &Step::Done);
    let target = HostPort::parse("[::1]:80", None).unwrap();
    let proxy = Proxy::parse("socks4a://p").unwrap();
    let error = Handshake::new(&proxy, &target, None).unwrap_err();
    assert!(error.kind() == ErrorKind::Usage && error.to_string().contains("socks5://"));
}

#[test]
fn socks4a_refusals() {
    for (answer, kind, words) in [
        (&b"\0\x5b\0\0\0\0\0\0"[..], ErrorKind::Connect, "or cannot"),
        (b"\0\x5c\0\0\0\0\0\0", ErrorKind::ProxyRefused, "identd"),
        (b"\0\x00\0\0\0\0\0\0", ErrorKind::Protocol, "does not know"),
        (b"HTTP/1.1", ErrorKind::Protocol, "does not speak SOCKS4"),
        (b"\0\x5a\0\0\0\0\0\0x", ErrorKind::Protocol, "behind its answer"),
    ] {
        fails("socks4a://p:1", &[], answer, kind, words);
    }
}

#[test]
fn socks5_byte_for_byte() {
    let request = Step::Send(b"\x05\x01\0\x03\x0chost.example\x01\xbb".to_vec());
    let (_, greeting) = begun("socks5h://p", "host.example:443", None);
    assert_eq!(greeting, [5, 1, 0]);
    comes_to("socks5h://p:1", &[], &[5, 0], &request);
    let (_, greeting) = begun("socks5h://u:p@p", "host.example:443", None);
    assert_eq!(greeting, [5, 2, 0, 2]);
    comes_to("socks5h://u:pw@p:1", &[], &[5, 0], &request);
    comes_to("socks5h://u:pw@p:1", &[], &[5, 2], &Step::Send(b"\x01\x01u\x02pw".to_vec()));
    comes_to("socks5h://u:pw@p:1", &[&[5, 2]], &[1, 0], &request);
    for bound in [&b"\x01\x01\x02\x03\x04"[..], &[&[4][..], &[7; 16]].concat(), b"\x03\x02ab"] {
        let reply = [&[5, 0, 0], bound, &[0, 80]].concat();
        comes_to("socks5h://p:1", &[&[5, 0]], &reply, &Step::Done);
        comes_to("socks5h://u:pw@p:1", &[&[5, 2], &[5, 0]], &reply, &Step::Done);
    }
}

#[test]
fn socks5_sends_addresses_where_they_are_known() {
    for (target, address, expected) in [
        ("1.2.3.4:80", None, &b"\x05\x01\0\x01\x01\x02\x03\x04\0\x50"[..]),
        ("h:80", Some("1.2.3.4"), b"\x05\x01\0\x01\x01\x02\x03\x04\0\x50"),
        ("[::1]:80", None, b"\x05\x01\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\x50"),
    ] {
        let address = address.map(|text: &str| text.parse().unwrap());
        let (mut handshake, _) = begun("socks5://p:1", target, address);
        let step = handshake.on_received(&[5, 0]).unwrap();
        assert_eq!(step, Step::Send(expected.to_vec()), "{target}");
    }
}

/// Proxy, answers before, the answer, and what it comes to.
type Case<'a> = (&'a str, &'a [&'a [u8]], &'a [u8], ErrorKind, &'a str);

#[test]
fn socks5_refusals() {
    let known = "socks5://u:secret@p:1";
    let cases: &[Case<'_>] = &[
        ("socks5://p:1", &[], &[5, 0xff], ErrorKind::ProxyRefused, "--proxy-user"),
        (known, &[], &[5, 0xff], ErrorKind::ProxyRefused, "takes neither"),
        ("socks5://p:1", &[], &[5, 2], ErrorKind::Protocol, "not offered"),
        (known, &[], &[5, 1], ErrorKind::Protocol, "not offered"),
        ("socks5://p:1", &[], &[4], ErrorKind::Protocol, "does not speak SOCKS5"),
        ("socks5://p:1", &[], b"HTTP/1.1 400", ErrorKind::Protocol, "does not speak SOCKS5"),
        ("socks5://p:1", &[], &[5, 0, 5], ErrorKind::Protocol, "behind its answer"),
        (known, &[&[5, 2]], &[1, 1], ErrorKind::ProxyRefused, "does not take these credentials"),
        (known, &[&[5, 0]], &[5, 2, 0, 1, 0, 0, 0, 0, 0, 0], ErrorKind::ProxyRefused, "rules"),
        (known, &[&[5, 0]], &[5, 5, 0, 1, 0, 0, 0, 0, 0, 0], ErrorKind::Connect, "was refused"),
        (known, &[&[5, 0]], &[5, 4, 0, 0], ErrorKind::Connect, "unreachable or unknown"),
        (known, &[&[5, 0]], &[5, 8, 0, 0], ErrorKind::ProxyRefused, "socks5h://"),
        (known, &[&[5, 0]], &[5, 0, 0, 9], ErrorKind::Protocol, "of a kind"),
        (known, &[&[5, 0]], &[5, 77, 0, 0], ErrorKind::Connect, "reply 77"),
        (known, &[&[5, 0]], &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0, 9], ErrorKind::Protocol, "behind"),
    ];
    for (proxy, before, answer, kind, words) in cases {
        fails(proxy, before, answer, *kind, words);
    }
    let target = HostPort { host: "x".repeat(256), port: 1 };
    let error = Handshake::new(&Proxy::parse("socks5h://p").unwrap(), &target, None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
}

#[test]
fn an_end_is_the_proxys() {
    let (handshake, _) = begun("socks5://p:1", "h:1", None);
    let error = handshake.on_eof();
    assert_eq!(error.kind(), ErrorKind::ConnectionLost);
    assert!(error.to_string().contains("the proxy p:1 closed"), "{error}");
}

proptest! {
    #[test]
    fn any_bytes_in_any_pieces_come_to_the_same(
        kind in 0..4usize,
        answers in prop::collection::vec(prop::collection::vec(0..=6u8, 0..12), 1..4),
    ) {
        let proxy = ["http://p:1", "socks4a://p:1", "socks5h://p:1", "socks5h://u:p@p:1"][kind];
        let (mut whole, _) = begun(proxy, "h:1", None);
        let (mut cut, _) = begun(proxy, "h:1", None);
        for answer in answers {
            let mut last = Ok(Step::Receive);
            for byte in &answer {
                // A byte too many is surplus only where the whole says so, too.
                last = match last {
                    Ok(Step::Receive) => cut.on_received(std::slice::from_ref(byte)),
                    _ => return Ok(()),
                };
            }
            let all = match answer.as_slice() {
                [] => Ok(Step::Receive),
                answer => whole.on_received(answer),
            };
            match (all, last) {
                (Ok(all), Ok(last)) => prop_assert_eq!(all, last),
                (Err(all), Err(last)) => {
                    prop_assert_eq!(all.kind(), last.kind());
                    return Ok(());
                }
                (all, last) => prop_assert!(false, "{:?} {:?}", all, last),
            }
        }
    }
}
