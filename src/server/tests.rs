//! The server seen from the wire, by clients made of raw sockets and strings.

mod digests;
mod faults;
mod many;
mod mirrors;
mod outages;
mod patience;
mod secure;
mod shaping;
mod stored;
mod words;

use super::{
    Config, EntityTag, Fault, Patience, RangeAsked, Route, Served, Server, Shape, When, content,
};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

pub(super) const SEED: u64 = 7;
pub(super) const SIZE: u64 = 100_000;

pub(super) fn connect(server: &Server) -> TcpStream {
    let socket = TcpStream::connect(server.address()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket
}

/// Waits until `condition` holds, for at most five seconds.
#[track_caller]
pub(super) fn eventually(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !condition() {
        assert!(Instant::now() < deadline, "not so after five seconds");
        // sleep: the server counts on threads of its own and wakes nobody.
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A request for the range with whatever fields besides.
pub(super) fn get(range: &str, fields: &str) -> String {
    format!("GET /file HTTP/1.1\r\nHost: x\r\nRange: bytes={range}\r\n{fields}\r\n")
}

/// One answer, its body framed by Content-Length.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }

    /// The body is `[start, start + len)` of the file.
    pub(super) fn expect_content(&self, start: u64, len: usize) {
        assert_eq!(self.body.len(), len, "{}", self.head);
        assert_eq!(content::verify(SEED, start, &self.body), Ok(()), "{}", self.head);
    }
}

pub(super) fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Reads one head, byte by byte so that nothing behind it is taken.
pub(super) fn read_head(from: &mut impl Read) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        from.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

pub(super) fn read_reply(from: &mut impl Read, has_body: bool) -> Reply {
    let head = read_head(from);
    let status = head[9..12].parse().unwrap();
    let length = field(&head, "Content-Length").unwrap().parse().unwrap();
    let mut body = vec![0; if has_body { length } else { 0 }];
    from.read_exact(&mut body).unwrap();
    Reply { status, head, body }
}

/// One request on a new connection.
pub(super) fn ask(server: &Server, request: &str) -> Reply {
    let mut socket = connect(server);
    socket.write_all(request.as_bytes()).unwrap();
    read_reply(&mut socket, !request.starts_with("HEAD"))
}

/// Everything until the server closes, and whether it closed in order.
pub(super) fn read_rest(from: &mut impl Read) -> (Vec<u8>, std::io::Result<usize>) {
    let mut bytes = Vec::new();
    let end = from.read_to_end(&mut bytes);
    (bytes, end)
}

pub(super) fn split_head(bytes: &[u8]) -> (String, &[u8]) {
    let at = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    (String::from_utf8(bytes[..at].to_vec()).unwrap(), &bytes[at..])
}

pub(super) fn server(config: Config) -> Server {
    Server::start(config).unwrap()
}

fn plain() -> Server {
    server(Config::new(SEED, SIZE))
}

#[test]
fn whole_file_and_head_request() {
    let server = plain();
    let reply = ask(&server, "GET /any/path?q HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(reply.status, 200);
    reply.expect_content(0, 100_000);
    assert_eq!(reply.field("Accept-Ranges"), Some("bytes"));
    assert_eq!(reply.field("ETag"), Some("\"7-186a0\""));
    assert_eq!(reply.field("Connection"), None);
    let head = ask(&server, "HEAD / HTTP/1.1\r\nRange: bytes=0-1\r\n\r\n");
    assert_eq!((head.status, head.field("Content-Length")), (200, Some("100000")));
    assert_eq!(server.stats().body_bytes, 100_000);
}

#[test]
fn ranges_are_exact() {
    let server = plain();
    for (asked, label, start, len) in [
        ("0-0", "bytes 0-0/100000", 0, 1),
        ("5-4100", "bytes 5-4100/100000", 5, 4096),
        ("99999-", "bytes 99999-99999/100000", 99_999, 1),
        ("99990-200000", "bytes 99990-99999/100000", 99_990, 10),
        ("-7", "bytes 99993-99999/100000", 99_993, 7),
    ] {
        let reply = ask(&server, &get(asked, ""));
        assert_eq!((reply.status, reply.field("Content-Range")), (206, Some(label)));
        reply.expect_content(start, len);
    }
    let reply = ask(&server, &get("100000-", ""));
    assert_eq!((reply.status, reply.field("Content-Range")), (416, Some("bytes */100000")));
    assert_eq!(ask(&server, &get("0-1,5-6", "")).status, 200);
}

#[test]
fn a_file_larger_than_any_disk() {
    let server = server(Config::new(SEED, u64::MAX));
    let reply = ask(&server, &get("18446744073709551600-18446744073709551613", ""));
    let label = "bytes 18446744073709551600-18446744073709551613/18446744073709551615";
    assert_eq!(reply.field("Content-Range"), Some(label));
    reply.expect_content(18_446_744_073_709_551_600, 14);
}

#[test]
fn an_empty_file() {
    let server = server(Config::new(SEED, 0));
    assert_eq!(ask(&server, "GET / HTTP/1.1\r\n\r\n").field("Content-Length"), Some("0"));
    assert_eq!(ask(&server, &get("0-0", "")).status, 416);
}

#[test]
fn conditions_follow_the_strong_validator() {
    let date = "Mon, 01 Jan 2024 00:00:00 GMT";
    let config = Config { last_modified: Some(date.into()), ..Config::new(SEED, SIZE) };
    let server = server(config.clone());
    for (field, status) in [
        ("If-Range: \"7-186a0\"\r\n", 206),
        ("If-Range: \"other\"\r\n", 200),
        ("If-Range: W/\"7-186a0\"\r\n", 200),
        ("If-Range: Mon, 01 Jan 2024 00:00:00 GMT\r\n", 206),
        ("If-Range: Mon, 01 Jan 2024 00:00:01 GMT\r\n", 200),
        ("If-Match: \"x\", \"7-186a0\"\r\n", 206),
        ("If-Match: *\r\n", 206),
        ("If-Match: \"x\"\r\n", 412),
    ] {
        assert_eq!(ask(&server, &get("0-9", field)).status, status, "{field}");
    }
    let weak = EntityTag::Fixed("W/\"w\"".into());
    let weak = Server::start(Config { etag: weak, ..config }).unwrap();
    assert_eq!(ask(&weak, &get("0-9", "If-Range: W/\"w\"\r\n")).status, 200);
    let reply = ask(&weak, &get("0-9", ""));
    assert_eq!((reply.field("ETag"), reply.field("Last-Modified")), (Some("W/\"w\""), Some(date)));
}

#[test]
fn routes_and_methods() {
    let mut config = Config { etag: EntityTag::Absent, ..Config::new(SEED, SIZE) };
    let small = Served::File { seed: 9, size_bytes: 3 };
    config.routes = vec![
        Route { path: "/gone".into(), what: Served::Missing },
        Route { path: "/small".into(), what: small },
    ];
    let server = server(config);
    let missing = ask(&server, "GET /gone?x HTTP/1.1\r\n\r\n");
    assert_eq!((missing.status, missing.body.as_slice()), (404, &b"404 Not Found\n"[..]));
    let small = ask(&server, "GET /small HTTP/1.1\r\n\r\n");
    assert_eq!((small.body.len(), content::verify(9, 0, &small.body)), (3, Ok(())));
    assert_eq!(small.field("ETag"), None);
    assert_eq!(ask(&server, "POST / HTTP/1.1\r\n\r\n").status, 405);
    assert_eq!(ask(&server, "nonsense\r\n\r\n").status, 400);
}

#[test]
fn pipelined_requests_on_one_connection() {
    let server = plain();
    let mut socket = connect(&server);
    let last = get("9-11", "Connection: close\r\n");
    let requests = format!("{}{}{last}", get("0-2", ""), get("5-70000", ""));
    // Cut inside a head, so that read-ahead bytes have to be kept.
    let (first, second) = requests.as_bytes().split_at(requests.len() - 9);
    socket.write_all(first).unwrap();
    read_reply(&mut socket, true).expect_content(0, 3);
    socket.write_all(second).unwrap();
    read_reply(&mut socket, true).expect_content(5, 69_996);
    let third = read_reply(&mut socket, true);
    third.expect_content(9, 3);
    assert_eq!(third.field("Connection"), Some("close"));
    assert_eq!(read_rest(&mut socket).1.unwrap(), 0);

    let stats = server.stats();
    assert_eq!((stats.connections, stats.requests, stats.body_bytes), (1, 3, 70_002));
    assert_eq!(stats.log[1].range, Some(RangeAsked::FromTo { first: 5, last: 70_000 }));
    assert_eq!((stats.log[1].status, stats.log[1].body_bytes), (Some(206), 69_996));
    assert_eq!(stats.log[2].head, last);
}

#[test]
fn an_old_client_keeps_the_connection_only_if_it_asks() {
    let server = plain();
    let reply = ask(&server, "GET / HTTP/1.0\r\n\r\n");
    assert_eq!(reply.field("Connection"), Some("close"));
    let reply = ask(&server, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(reply.field("Connection"), Some("keep-alive"));
}

#[test]
fn connections_above_the_limit_are_closed() {
    // The first one is idle, but not for long enough to make room.
    let patience = Patience { idle_min: Duration::from_secs(3600), ..Patience::default() };
    let server = server(Config { connections_max: 1, patience, ..Config::new(SEED, SIZE) });
    let mut first = connect(&server);
    first.write_all(get("0-1", "").as_bytes()).unwrap();
    read_reply(&mut first, true);
    assert_eq!(read_rest(&mut connect(&server)).0, b"");
    drop(first);
    let deadline = Instant::now() + Duration::from_secs(5);
    while server.stats().connections_live > 0 && Instant::now() < deadline {
        std::thread::yield_now();
    }
    assert_eq!(ask(&server, &get("0-1", "")).status, 206);
    let stats = server.stats();
    assert_eq!((stats.connections, stats.connections_refused), (2, 1));
    assert_eq!(stats.connections_peak, 1);
}

#[test]
fn ipv6_and_urls() {
    let address = "[::1]:0".parse().unwrap();
    let Ok(server) = Server::start(Config { address, ..Config::new(SEED, SIZE) }) else {
        return crate::skip::skipped("this machine has no IPv6 loopback");
    };
    let port = server.address().port();
    assert_eq!(server.url("/a"), format!("http://[::1]:{port}/a"));
    ask(&server, &get("3-5", "")).expect_content(3, 3);
    let taken = Config { address: server.address(), ..Config::new(SEED, SIZE) };
    let error = Server::start(taken).err().unwrap();
    assert!(error.to_string().contains("cannot listen on [::1]:"), "{error}");
}

#[test]
fn rates_and_delay_shape_the_flow() {
    let shape = Shape {
        connection_bytes_per_second: Some(400_000),
        first_byte_delay: Duration::from_millis(50),
        ..Shape::default()
    };
    let server = server(Config { shape, ..Config::new(SEED, SIZE) });
    let begin = Instant::now();
    ask(&server, "GET / HTTP/1.1\r\n\r\n").expect_content(0, 100_000);
    let took = begin.elapsed();
    // 100 kB at 400 kB/s, the last piece free, plus the delay; a busy machine may take longer.
    assert!(took >= Duration::from_millis(230), "{took:?}");
}

#[test]
fn the_total_rate_is_shared() {
    let shape = Shape { total_bytes_per_second: Some(800_000), ..Shape::default() };
    let server = server(Config { shape, ..Config::new(SEED, SIZE) });
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| ask(&server, "GET / HTTP/1.1\r\n\r\n").expect_content(0, 100_000));
        }
    });
    assert!(begin.elapsed() >= Duration::from_millis(180), "{:?}", begin.elapsed());
}

#[test]
fn stop_ends_threads_wherever_they_are() {
    let config = Config::new(SEED, 1 << 40)
        .rule(When::PathPrefix("/stall".into()), Fault::StallAfter(3))
        .rule(When::PathPrefix("/mute".into()), Fault::StallBeforeHead)
        .rule(When::PathPrefix("/late".into()), Fault::DelayHead(Duration::from_secs(3600)))
        .rule(When::PathPrefix("/slow".into()), Fault::Rate(1))
        .rule(When::Connection(6), Fault::StallOnAccept);
    let mut server = server(config);
    let mut sockets = Vec::new();
    // Idle in the middle of a head, the faults, one that never reads its endless body, one mute.
    for target in ["", "/stall", "/mute", "/late", "/slow", "/", "/"] {
        let mut socket = connect(&server);
        let rest = if target.is_empty() { "" } else { " HTTP/1.1\r\n\r\n" };
        socket.write_all(format!("GET {target}{rest}").as_bytes()).unwrap();
        sockets.push(socket);
    }
    eventually(|| server.stats().requests >= 5);
    assert_eq!(server.stats().connections_live, 7);
    let begin = Instant::now();
    server.stop();
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    assert_eq!(server.stats().connections_live, 0);
    assert!(TcpStream::connect(server.address()).is_err());
    server.stop();
}
