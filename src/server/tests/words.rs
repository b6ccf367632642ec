//! Words of the script beside those in `faults`: validators that come, go and change, digests left
//! out, drips; and the count of the faults that happened.

use super::{Reply, SEED, SIZE, ask, connect, field, get, read_rest, server, split_head};
use crate::server::{Config, DigestField, EntityTag, Fault, Rule, Server, When};
use std::io::{ErrorKind, Write};
use std::time::{Duration, Instant};

const OLD: &str = "Mon, 01 Jan 2024 00:00:00 GMT";
const NEW: &str = "Tue, 02 Jan 2024 00:00:00 GMT";

fn identity(reply: &Reply) -> (Option<&str>, Option<&str>) {
    (reply.field("ETag"), reply.field("Last-Modified"))
}

#[test]
fn validators_come_go_and_change() {
    let config = Config { last_modified: Some(OLD.into()), ..Config::new(SEED, SIZE) };
    let config = config
        .rule(When::Request(2), Fault::NoETag)
        .rule(When::Request(3), Fault::LastModified(NEW.into()))
        .rule(When::FromRequest(4), Fault::NoETag)
        .rule(When::FromRequest(4), Fault::NoLastModified);
    let server = server(config);
    let tag = Some("\"7-186a0\"");
    for expected in [(tag, Some(OLD)), (None, Some(OLD)), (tag, Some(NEW)), (None, None)] {
        assert_eq!(identity(&ask(&server, &get("0-9", ""))), expected);
    }
    // What is not there fits no condition.
    for condition in ["If-Range: \"7-186a0\"\r\n", &format!("If-Range: {OLD}\r\n")] {
        assert_eq!(ask(&server, &get("0-9", condition)).status, 200, "{condition}");
    }
    assert_eq!(ask(&server, &get("0-9", "If-Match: \"7-186a0\"\r\n")).status, 412);
    assert_eq!(server.counts().fired, [1, 1, 4, 4]);

    let without = Config { etag: EntityTag::Absent, ..Config::new(SEED, SIZE) };
    let late = without
        .rule(When::FromRequest(2), Fault::ETag("W/\"late\"".into()))
        .rule(When::FromRequest(2), Fault::LastModified(NEW.into()));
    let late = Server::start(late).unwrap();
    assert_eq!(identity(&ask(&late, &get("0-9", ""))), (None, None));
    assert_eq!(identity(&ask(&late, &get("0-9", ""))), (Some("W/\"late\""), Some(NEW)));
    assert_eq!(ask(&late, &get("0-9", &format!("If-Range: {NEW}\r\n"))).status, 206);
}

#[test]
fn digests_are_left_out() {
    let digests = vec![DigestField::ReprDigestSha256, DigestField::ContentDigestSha256];
    let config = Config { digests, ..Config::new(SEED, SIZE) };
    let server = server(config.rule(When::Request(1), Fault::NoDigests));
    let has =
        |reply: &Reply| ["Repr-Digest", "Content-Digest"].map(|name| reply.field(name).is_some());
    assert_eq!(has(&ask(&server, &get("0-9", ""))), [false; 2]);
    assert_eq!(has(&ask(&server, &get("0-9", ""))), [true; 2]);
}

/// Reads the answer to one request to the end of its connection; answers how long it took.
fn drained(fault: Fault, request: &str) -> (Vec<u8>, Duration) {
    let server = server(Config::new(SEED, SIZE).rule(When::All, fault));
    let mut socket = connect(&server);
    let begin = Instant::now();
    socket.write_all(request.as_bytes()).unwrap();
    let (bytes, end) = read_rest(&mut socket);
    assert!(end.is_ok(), "{end:?}");
    assert_eq!(server.counts().fired, [1]);
    (bytes, begin.elapsed())
}

#[test]
fn drips_in_body_and_trailer() {
    let pause = Duration::from_millis(5);
    let request = get("5-24", "Connection: close\r\n");
    let (bytes, took) = drained(Fault::DripBody { bytes: 3, pause }, &request);
    let (head, body) = split_head(&bytes);
    assert_eq!(field(&head, "Content-Length"), Some("20"));
    assert_eq!(crate::server::content::verify(SEED, 5, body), Ok(()));
    assert!(body.len() == 20 && took >= 7 * pause, "{took:?}");

    let (bytes, took) = drained(Fault::DripTrailer(pause), &request);
    let trailer = "0\r\nX-Trailer: the end\r\n\r\n";
    assert!(bytes.ends_with(trailer.as_bytes()));
    let pauses = u32::try_from(trailer.len()).unwrap();
    assert!(took >= pauses * pause, "{took:?}");
}

#[test]
fn a_drip_is_seen_before_it_ends() {
    let drip = Fault::DripBody { bytes: 1, pause: Duration::from_millis(20) };
    let server = server(Config::new(SEED, SIZE).rule(When::All, drip));
    let mut socket = connect(&server);
    socket.write_all(get("0-99999", "").as_bytes()).unwrap();
    super::read_head(&mut socket);
    // Of two thousand seconds.
    std::io::Read::read_exact(&mut socket, &mut [0; 3]).unwrap();
    assert!(server.counts().body_bytes < 1000);
}

#[test]
fn faults_count_only_where_they_make_a_difference() {
    let rules = [
        (When::All, Fault::ResetAfter(11)),
        (When::All, Fault::FlipByte(10)),
        (When::All, Fault::IgnoreRange),
        (When::All, Fault::NoHead),
        (When::All, Fault::WrongDigest),
        (When::All, Fault::MangledChunk { after_bytes: 9, line: b"zz\r\n".to_vec() }),
        (When::All, Fault::IgnoreConditions),
        (When::Connection(9), Fault::Chunked),
    ];
    for (number, (when, fault)) in rules.into_iter().enumerate() {
        let server = server(Config::new(SEED, SIZE).rule(when, fault.clone()));
        // No range, then ten bytes: too few for these faults, or not what they are about.
        let request = if number == 2 { "GET / HTTP/1.1\r\n\r\n".into() } else { get("0-9", "") };
        let mut socket = connect(&server);
        socket.write_all(request.as_bytes()).unwrap();
        super::read_head(&mut socket);
        let stats = server.stats();
        assert_eq!((stats.fired, &stats.log[0].faults[..]), (vec![0], &[][..]), "{fault:?}");
    }
    let mut config = Config::new(SEED, SIZE);
    config.script = vec![
        Rule::new(When::Connection(2), Fault::CloseOnAccept),
        Rule::new(When::All, Fault::FlipByte(9)),
        Rule::once(When::All, Fault::ResetAfter(10)),
    ];
    let server = server(config);
    let mut socket = connect(&server);
    socket.write_all(get("0-9", "").as_bytes()).unwrap();
    assert_eq!(read_rest(&mut socket).1.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(read_rest(&mut connect(&server)).0.is_empty());
    assert_eq!(ask(&server, &get("0-9", "")).status, 206);
    let stats = server.stats();
    assert_eq!(stats.fired, [1, 2, 1]);
    assert_eq!(stats.log[0].faults, [1, 2]);
    assert_eq!(stats.log[1].faults, [1]);
    assert!(!stats.log[0].is_whole);
}
