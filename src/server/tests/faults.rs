//! Each fault of the script, by its effect on the wire.

use super::{Reply, split_head};
use super::{
    SEED, SIZE, ask, connect, eventually, field, get, read_head, read_reply, read_rest, server,
};
use crate::server::{Config, Fault, Rule, Server, When, content};
use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

fn with(fault: Fault) -> Server {
    server(Config::new(SEED, SIZE).rule(When::All, fault))
}

/// Asks for the first 1000 bytes and reads until the connection ends.
fn drained(fault: Fault) -> (Vec<u8>, std::io::Result<usize>) {
    let server = with(fault);
    let mut socket = connect(&server);
    socket.write_all(get("0-999", "").as_bytes()).unwrap();
    read_rest(&mut socket)
}

fn asked(fault: Fault, range: &str) -> Reply {
    ask(&with(fault), &get(range, ""))
}

#[test]
fn status_and_redirect() {
    let reply = asked(
        Fault::Status {
            code: 503,
            headers: vec![("Retry-After".into(), "2".into())],
            body: b"busy".to_vec(),
        },
        "0-9",
    );
    assert_eq!((reply.status, reply.body.as_slice()), (503, &b"busy"[..]));
    assert_eq!(reply.field("Retry-After"), Some("2"));
    let reply = asked(Fault::Redirect { status: 302, location: "../b?c".into() }, "0-9");
    assert_eq!((reply.status, reply.field("Location")), (302, Some("../b?c")));
}

#[test]
fn basic_auth() {
    let server = with(Fault::RequireBasicAuth { user: "u".into(), password: "p:w".into() });
    let reply = ask(&server, &get("0-9", ""));
    assert_eq!(reply.status, 401);
    assert!(reply.field("WWW-Authenticate").unwrap().starts_with("Basic realm="));
    assert_eq!(ask(&server, &get("0-9", "Authorization: Basic dTpw\r\n")).status, 401);
    assert_eq!(ask(&server, &get("0-9", "Authorization: Basic dTpwOnc=\r\n")).status, 206);
}

#[test]
fn ranges_that_are_not_what_was_asked() {
    let reply = asked(Fault::IgnoreRange, "5-9");
    assert_eq!((reply.status, reply.field("Accept-Ranges")), (200, Some("bytes")));
    let reply = asked(Fault::NoRangeSupport, "5-9");
    assert_eq!((reply.status, reply.field("Accept-Ranges")), (200, None));
    reply.expect_content(0, 100_000);
    let reply = asked(Fault::WrongRange { shift: -3 }, "5-9");
    assert_eq!(reply.field("Content-Range"), Some("bytes 2-6/100000"));
    reply.expect_content(2, 5);
    let reply = asked(Fault::WrongTotal(5), "5-9");
    assert_eq!(reply.field("Content-Range"), Some("bytes 5-9/5"));
    let reply = asked(Fault::ShorterRange(3), "5-9");
    assert_eq!(reply.field("Content-Range"), Some("bytes 5-7/100000"));
    reply.expect_content(5, 3);
}

#[test]
fn a_file_that_changes_and_one_wrong_byte() {
    let rule = Rule::new(When::FromRequest(2), Fault::ETag("\"new\"".into()));
    let mut config = Config::new(SEED, SIZE);
    config.script.push(rule);
    let server = server(config.clone());
    let condition = "If-Range: \"7-186a0\"\r\n";
    assert_eq!(ask(&server, &get("0-9", condition)).status, 206);
    let reply = ask(&server, &get("0-9", condition));
    assert_eq!((reply.status, reply.field("ETag")), (200, Some("\"new\"")));

    config.script.push(Rule::new(When::All, Fault::IgnoreConditions));
    let careless = Server::start(config).unwrap();
    assert_eq!(ask(&careless, &get("0-9", condition)).status, 206);
    let reply = ask(&careless, &get("0-9", "If-Match: \"7-186a0\"\r\n"));
    assert_eq!((reply.status, reply.field("ETag")), (206, Some("\"new\"")));

    let silent = with(Fault::HideValidators);
    let reply = ask(&silent, &get("0-9", condition));
    assert_eq!((reply.status, reply.field("ETag")), (206, None));
    assert_eq!(ask(&silent, &get("0-9", "If-Range: \"new\"\r\n")).status, 200);

    let reply = asked(Fault::FlipByte(70_000), "69999-70001");
    assert_eq!(content::verify(SEED, 69_999, &reply.body), Err(70_000));
    assert_eq!(content::verify(SEED, 70_001, &reply.body[2..]), Ok(()));
}

/// Decodes a chunked body strictly; answers it with its trailers.
fn unchunk(mut rest: &[u8]) -> (Vec<u8>, String) {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|w| w == b"\r\n").unwrap();
        let line = std::str::from_utf8(&rest[..end]).unwrap();
        let size = usize::from_str_radix(line.split(';').next().unwrap(), 16).unwrap();
        rest = &rest[end + 2..];
        if size == 0 {
            return (body, String::from_utf8(rest.to_vec()).unwrap());
        }
        body.extend_from_slice(&rest[..size]);
        assert_eq!(&rest[size..size + 2], b"\r\n");
        rest = &rest[size + 2..];
    }
}

#[test]
fn chunked_bodies() {
    let server = with(Fault::Chunked);
    let mut socket = connect(&server);
    socket.write_all(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
    let (bytes, _) = read_rest(&mut socket);
    let (head, rest) = split_head(&bytes);
    assert_eq!(field(&head, "Transfer-Encoding"), Some("chunked"));
    assert_eq!(field(&head, "Content-Length"), None);
    let (body, trailers) = unchunk(rest);
    assert_eq!(trailers, "X-Trailer: the end\r\n\r\n");
    assert_eq!((body.len() as u64, content::verify(SEED, 0, &body)), (SIZE, Ok(())));

    let cut = Config::new(SEED, SIZE)
        .rule(When::All, Fault::Chunked)
        .rule(When::All, Fault::CloseAfter { bytes: 20, close_notify: true });
    let server = Server::start(cut).unwrap();
    let mut socket = connect(&server);
    socket.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let (bytes, _) = read_rest(&mut socket);
    let (_, rest) = split_head(&bytes);
    // 1 + 7 bytes, then 12 of the 255 announced.
    let mut expected = vec![0; 12];
    content::fill(SEED, 8, &mut expected);
    assert!(rest.ends_with(&[b"ff\r\n", &expected[..]].concat()), "{rest:?}");
}

#[test]
fn a_chunk_that_is_none() {
    let line = b"zz\r\n".to_vec();
    // 1 + 7 + 255 bytes are out when 8 have been, and one chunk more.
    let (bytes, end) = drained(Fault::MangledChunk { after_bytes: 9, line: line.clone() });
    assert!(end.is_ok());
    assert!(bytes.ends_with(b"\r\nzz\r\n"), "in place of a size line");
    let (head, body) = split_head(&bytes);
    assert_eq!(field(&head, "Transfer-Encoding"), Some("chunked"));
    let framing = "1\r\n\r\n".len() + "7;note=\"a; b\"\r\n\r\n".len() + "ff\r\n\r\n".len();
    assert_eq!(body.len(), 1 + 7 + 255 + framing + line.len());

    // The body is shorter than that: nothing happens.
    let server = with(Fault::MangledChunk { after_bytes: 1000, line });
    let mut socket = connect(&server);
    socket.write_all(get("0-999", "Connection: close\r\n").as_bytes()).unwrap();
    let (bytes, end) = read_rest(&mut socket);
    assert!(end.is_ok());
    assert!(bytes.ends_with(b"X-Trailer: the end\r\n\r\n"));
}

#[test]
fn bodies_without_length_or_with_too_much() {
    let (bytes, end) = drained(Fault::NoLength);
    let (head, body) = split_head(&bytes);
    assert!(end.is_ok() && field(&head, "Content-Length").is_none(), "{head}");
    assert_eq!(field(&head, "Connection"), Some("close"));
    assert_eq!((body.len(), content::verify(SEED, 0, body)), (1000, Ok(())));

    let server = with(Fault::LongBody(4));
    let mut socket = connect(&server);
    socket.write_all(get("0-9", "Connection: close\r\n").as_bytes()).unwrap();
    let reply = read_reply(&mut socket, true);
    reply.expect_content(0, 10);
    assert_eq!(read_rest(&mut socket).0, b"++++");

    let reply = asked(Fault::ContentEncoding("gzip".into()), "0-9");
    assert_eq!(reply.field("Content-Encoding"), Some("gzip"));
    reply.expect_content(0, 10);
}

#[test]
fn a_range_refused_and_a_head_forbidden() {
    for (total, label) in [(None, None), (Some(9), Some("bytes */9"))] {
        let server = with(Fault::NotSatisfiable { total });
        let reply = ask(&server, &get("0-9", ""));
        assert_eq!((reply.status, reply.field("Content-Range")), (416, label));
        assert_eq!(ask(&server, "GET / HTTP/1.1\r\n\r\n").status, 200);
    }
    let server = with(Fault::NoHead);
    assert_eq!(ask(&server, "HEAD / HTTP/1.1\r\n\r\n").status, 405);
    assert_eq!(ask(&server, &get("0-9", "")).status, 206);
}

#[test]
fn a_file_that_is_replaced() {
    let replaced = Fault::Replaced { seed: 8, size_bytes: 50 };
    let server = server(Config::new(SEED, SIZE).rule(When::FromRequest(2), replaced));
    assert_eq!(ask(&server, &get("0-9", "")).field("ETag"), Some("\"7-186a0\""));
    let reply = ask(&server, &get("40-99", ""));
    assert_eq!(reply.field("ETag"), Some("\"8-32\""));
    assert_eq!(reply.field("Content-Range"), Some("bytes 40-49/50"));
    assert_eq!(content::verify(8, 40, &reply.body), Ok(()));
    // What If-Range names is gone: the whole of what is there now.
    let reply = ask(&server, &get("40-49", "If-Range: \"7-186a0\"\r\n"));
    assert_eq!((reply.status, reply.body.len()), (200, 50));
}

#[test]
fn urls_that_expire() {
    let expiring = Fault::ExpiringRedirect { requests: 2 };
    let server = server(Config::new(SEED, SIZE).rule(When::PathPrefix("/file".into()), expiring));
    for number in 1..=2 {
        let reply = ask(&server, &get("0-9", ""));
        let location = reply.field("Location").unwrap();
        assert_eq!(reply.status, 302);
        assert_eq!(location, format!("/signed/file?sig=sesame-{number}"));
        let signed = get("5-9", "").replace("/file", location);
        for _ in 0..2 {
            ask(&server, &signed).expect_content(5, 5);
        }
        assert_eq!(ask(&server, &signed).status, 403);
    }
    assert_eq!(server.stats().log.last().unwrap().status, Some(403));
}

#[test]
fn odd_heads() {
    let fields = [("Link", "a"), ("Link", "b")].map(|(name, value)| (name.into(), value.into()));
    let reply = asked(Fault::Fields(fields.to_vec()), "0-9");
    assert!(reply.head.contains("Link: a\r\nLink: b\r\n"), "{}", reply.head);
    reply.expect_content(0, 10);

    assert_eq!(asked(Fault::HugeHead(100_000), "0-9").head.len(), 100_000);
    let (bytes, end) = drained(Fault::Garbage(b"\0\xffSSH-2.0\r\n".to_vec()));
    assert!(end.is_ok());
    assert_eq!(bytes, b"\0\xffSSH-2.0\r\n");

    let server = with(Fault::Interim(3));
    let mut socket = connect(&server);
    socket.write_all(get("0-9", "").as_bytes()).unwrap();
    let statuses: Vec<String> = (0..3).map(|_| read_head(&mut socket)[9..12].to_owned()).collect();
    assert_eq!(statuses, ["103", "100", "103"]);
    read_reply(&mut socket, true).expect_content(0, 10);

    let begin = Instant::now();
    let reply = asked(Fault::SlowHead(Duration::from_micros(200)), "0-9");
    let pauses = u32::try_from(reply.head.len()).unwrap();
    assert!(begin.elapsed() >= Duration::from_micros(200) * pauses);
    let begin = Instant::now();
    asked(Fault::DelayHead(Duration::from_millis(30)), "0-9").expect_content(0, 10);
    assert!(begin.elapsed() >= Duration::from_millis(30));
}

#[test]
fn bodies_and_trailers_that_drip() {
    let pause = Duration::from_millis(5);
    let begin = Instant::now();
    asked(Fault::DripBody { bytes: 3, pause }, "0-9").expect_content(0, 10);
    assert!(begin.elapsed() >= 4 * pause);

    let server = with(Fault::DripTrailer(pause));
    let mut socket = connect(&server);
    socket.write_all(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
    let begin = Instant::now();
    let (bytes, _) = read_rest(&mut socket);
    let (body, trailers) = unchunk(split_head(&bytes).1);
    assert_eq!((body.len() as u64, content::verify(SEED, 0, &body)), (SIZE, Ok(())));
    let dripped = u32::try_from("0\r\n".len() + trailers.len()).unwrap();
    assert!(begin.elapsed() >= dripped * pause);
}

#[test]
fn connections_cut_in_the_body() {
    let (bytes, end) = drained(Fault::ResetAfter(300));
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    let (head, body) = split_head(&bytes);
    assert_eq!(field(&head, "Content-Length"), Some("1000"));
    assert_eq!((body.len(), content::verify(SEED, 0, body)), (300, Ok(())));

    let (bytes, end) = drained(Fault::CloseAfter { bytes: 300, close_notify: true });
    assert!(end.is_ok());
    assert_eq!(split_head(&bytes).1.len(), 300);

    // The body is shorter than that: nothing happens.
    let server = with(Fault::CloseAfter { bytes: 1001, close_notify: true });
    let mut socket = connect(&server);
    for _ in 0..2 {
        socket.write_all(get("0-999", "").as_bytes()).unwrap();
        read_reply(&mut socket, true).expect_content(0, 1000);
    }
}

#[test]
fn an_orderly_close_is_no_reset_even_over_pipelined_requests() {
    let server = with(Fault::CloseAfter { bytes: 10, close_notify: true });
    let mut socket = connect(&server);
    socket.write_all(get("0-999", "").repeat(100).as_bytes()).unwrap();
    let (bytes, end) = read_rest(&mut socket);
    assert!(end.is_ok(), "{end:?}");
    assert_eq!(split_head(&bytes).1.len(), 10);
}

#[test]
fn stalls_last() {
    for (fault, expected) in [(Fault::StallAfter(300), 300), (Fault::StallBeforeHead, 0)] {
        let server = with(fault);
        let mut socket = connect(&server);
        socket.write_all(get("0-999", "").as_bytes()).unwrap();
        if expected > 0 {
            read_head(&mut socket);
        }
        socket.read_exact(&mut vec![0; expected]).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(30))).unwrap();
        assert_eq!(socket.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        // A client that leaves frees the thread.
        drop(socket);
        eventually(|| server.stats().connections_live == 0);
    }
}

#[test]
fn closing_behind_an_answer() {
    for (announce, field) in [(true, Some("close")), (false, None)] {
        let server = with(Fault::CloseAfterReply { announce });
        let mut socket = connect(&server);
        socket.write_all(get("0-9", "").as_bytes()).unwrap();
        let reply = read_reply(&mut socket, true);
        reply.expect_content(0, 10);
        assert_eq!(reply.field("Connection"), field);
        assert_eq!(read_rest(&mut socket).1.unwrap(), 0);
    }
}

#[test]
fn faults_at_accept() {
    let mut config = Config::new(SEED, SIZE);
    config.script = vec![
        Rule::new(When::Connection(1), Fault::CloseOnAccept),
        Rule::new(When::Connection(2), Fault::ResetOnAccept),
        Rule::once(When::FromConnection(3), Fault::StallOnAccept),
    ];
    let server = server(config);
    let (bytes, end) = read_rest(&mut connect(&server));
    assert!(bytes.is_empty() && end.is_ok());
    let (bytes, end) = read_rest(&mut connect(&server));
    assert!(bytes.is_empty());
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    let mut stalled = connect(&server);
    stalled.write_all(get("0-9", "").as_bytes()).unwrap();
    stalled.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    assert_eq!(stalled.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(ask(&server, &get("0-9", "")).status, 206);
}

#[test]
fn a_rate_of_its_own() {
    let config = Config::new(SEED, SIZE).rule(When::Connection(1), Fault::Rate(10_000));
    let server = server(config);
    let begin = Instant::now();
    ask(&server, &get("0-999", "")).expect_content(0, 1000);
    assert!(begin.elapsed() >= Duration::from_millis(50), "{:?}", begin.elapsed());
}

#[test]
fn clients_may_leave_in_the_middle() {
    let server = server(Config::new(SEED, 1 << 40));
    for _ in 0..5 {
        let mut socket = connect(&server);
        socket.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        read_head(&mut socket);
    }
    eventually(|| server.stats().connections_live == 0);
}
