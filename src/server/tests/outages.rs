//! The end of a whole server in the middle of its life, and faults that begin with the bytes that
//! have been sent.

use super::{SEED, SIZE, ask, connect, eventually, get, read_head, read_reply, read_rest, server};
use crate::server::{Config, Fault, Server, Shape, When, content};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const MIB: u64 = 1 << 20;

/// A server of a larger file, slow enough for its end to come amid an answer.
fn dying(fault: Fault) -> Server {
    let shape = Shape { total_bytes_per_second: Some(20 * MIB), ..Shape::default() };
    let config = Config { shape, ..Config::new(SEED, 64 * MIB) };
    server(config.rule(When::FromBodyBytes(MIB), fault))
}

/// A connection that waits for a request, and one amid an answer.
fn idle_and_busy(server: &Server) -> [TcpStream; 2] {
    let [mut idle, mut busy] = [(); 2].map(|()| connect(server));
    idle.write_all(get("0-9", "").as_bytes()).unwrap();
    read_reply(&mut idle, true).expect_content(0, 10);
    busy.write_all(get("0-", "").as_bytes()).unwrap();
    read_head(&mut busy);
    [idle, busy]
}

#[test]
fn a_server_that_is_gone_resets_and_refuses() {
    let mut server = dying(Fault::ServerGone);
    let [mut idle, mut busy] = idle_and_busy(&server);
    let (bytes, end) = read_rest(&mut busy);
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    let expected = MIB - 10..=3 * MIB;
    assert!(expected.contains(&(bytes.len() as u64)), "{} bytes", bytes.len());
    assert_eq!(content::verify(SEED, 0, &bytes), Ok(()));
    assert_eq!(read_rest(&mut idle).1.unwrap_err().kind(), ErrorKind::ConnectionReset);
    let refused = TcpStream::connect(server.address()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    eventually(|| server.counts().connections_live == 0);
    assert_eq!(server.counts().fired, [1]);

    // Nobody else gets its port until it is stopped.
    let address = server.address();
    server.stop();
    let next = Server::start(Config { address, ..Config::new(SEED, SIZE) }).unwrap();
    ask(&next, &get("3-5", "")).expect_content(3, 3);
}

#[test]
fn a_server_that_falls_silent_keeps_its_connections() {
    let server = dying(Fault::ServerSilent);
    let [idle, mut busy] = idle_and_busy(&server);
    idle.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    busy.set_read_timeout(Some(Duration::from_millis(400))).unwrap();
    let (bytes, end) = read_rest(&mut busy);
    assert_eq!(end.unwrap_err().kind(), ErrorKind::WouldBlock);
    let expected = MIB - 10..=3 * MIB;
    assert!(expected.contains(&(bytes.len() as u64)), "{} bytes", bytes.len());
    let late = connect(&server);
    late.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    for mut socket in [idle, late] {
        socket.write_all(get("0-9", "").as_bytes()).unwrap();
        assert_eq!(socket.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    }
    drop(busy);
    eventually(|| server.counts().connections_live == 0);
}

#[test]
fn a_server_that_is_unreachable_answers_no_connect() {
    let mut server = dying(Fault::ServerUnreachable);
    let [_idle, mut busy] = idle_and_busy(&server);
    busy.set_read_timeout(Some(Duration::from_millis(400))).unwrap();
    assert_eq!(read_rest(&mut busy).1.unwrap_err().kind(), ErrorKind::WouldBlock);
    let connect = |server: &Server| {
        let end = TcpStream::connect_timeout(&server.address(), Duration::from_millis(300));
        end.unwrap_err().kind()
    };
    assert_eq!([connect(&server), connect(&server)], [ErrorKind::TimedOut; 2]);
    assert_eq!(server.counts().connections_live, 2);
    server.stop();
    assert_eq!(connect(&server), ErrorKind::ConnectionRefused);
    let off = Config::new(SEED, SIZE).rule(When::All, Fault::ServerUnreachable);
    assert_eq!(connect(&Server::start(off).unwrap()), ErrorKind::TimedOut);
}

#[test]
fn a_server_can_be_dead_from_the_start() {
    let gone = server(Config::new(SEED, SIZE).rule(When::All, Fault::ServerGone));
    let refused = TcpStream::connect(gone.address()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    let mut silent = server(Config::new_tls(SEED, SIZE).rule(When::All, Fault::ServerSilent));
    let mut socket = connect(&silent);
    socket.write_all(b"hello").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    assert_eq!(socket.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    silent.stop();
}

#[test]
fn other_faults_begin_with_the_bytes_sent() {
    let missing = Fault::Status { code: 404, headers: Vec::new(), body: Vec::new() };
    let replaced = Fault::Replaced { seed: SEED, size_bytes: SIZE + 1 };
    for (fault, status, tag) in [
        (missing, 404, None),
        (Fault::ETag("\"new\"".into()), 206, Some("\"new\"")),
        (replaced, 206, Some("\"7-186a1\"")),
    ] {
        let server = server(Config::new(SEED, SIZE).rule(When::FromBodyBytes(100), fault));
        // The answer with which that number is reached is not hit.
        for range in ["0-49", "50-149"] {
            assert_eq!(ask(&server, &get(range, "")).field("ETag"), Some("\"7-186a0\""));
        }
        let reply = ask(&server, &get("0-9", ""));
        assert_eq!((reply.status, reply.field("ETag")), (status, tag));
        assert_eq!(server.counts().fired, [1]);
    }
}

#[test]
fn a_part_of_the_file_is_wrong() {
    let server = server(Config::new(SEED, SIZE).rule(When::All, Fault::FlipBytes(70_000..70_010)));
    let reply = ask(&server, &get("69990-70019", ""));
    assert_eq!(content::verify(SEED, 69_990, &reply.body[..10]), Ok(()));
    for at in 10..20 {
        let verdict = content::verify(SEED, 69_990 + at as u64, &reply.body[at..=at]);
        assert!(verdict.is_err(), "offset {at}");
    }
    assert_eq!(content::verify(SEED, 70_010, &reply.body[20..]), Ok(()));
    ask(&server, &get("0-69999", "")).expect_content(0, 70_000);
    assert_eq!(server.counts().fired, [1], "the second range has none of it");
}
