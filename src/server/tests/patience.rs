//! Clients that keep the server waiting or fill its memory: what they get, and that others are
//! served all the same.

use super::{SEED, SIZE, ask, connect, get, read_head, read_reply, read_rest, secure, server};
use crate::base::limits::{SERVER_HEAD_BYTES_MAX, SERVER_LOG_BYTES_MAX};
use crate::server::{Config, Fault, Patience, Server, Shape, When};
use rustix::net::sockopt::set_socket_recv_buffer_size;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(100);

/// No limit is ever met.
const ENDLESS: Patience =
    Patience { idle_max: LONG, head_max: LONG, unread_max: LONG, idle_min: LONG };

fn patient(patience: Patience) -> Server {
    server(Config { patience, ..Config::new(SEED, SIZE) })
}

/// Polls until the server shows what is waited for.
fn until(what: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !what() {
        assert!(Instant::now() < deadline, "the server never came to it");
        // sleep: the server does not ring.
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Answered, and idle from then on.
fn served(server: &Server) -> TcpStream {
    let mut socket = connect(server);
    socket.write_all(get("0-9", "").as_bytes()).unwrap();
    read_reply(&mut socket, true).expect_content(0, 10);
    socket
}

fn is_open(socket: &mut TcpStream) -> bool {
    socket.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    socket.read(&mut [0]).is_err_and(|e| e.kind() == ErrorKind::WouldBlock)
}

#[test]
fn the_log_of_huge_heads_is_bounded() {
    let server = patient(ENDLESS);
    let padding = format!("X-Padding: {}\r\n", "p".repeat(60_000));
    let requests = 2 * SERVER_LOG_BYTES_MAX / SERVER_HEAD_BYTES_MAX;
    let mut socket = connect(&server);
    for _ in 0..requests {
        socket.write_all(get("0-9", &padding).as_bytes()).unwrap();
        read_reply(&mut socket, true).expect_content(0, 10);
    }
    ask(&server, &get("0-9", ""));
    let stats = server.stats();
    assert_eq!(stats.requests, requests as u64 + 1);
    let bytes: usize = stats.log.iter().map(|record| record.head.len()).sum();
    assert!(bytes <= SERVER_LOG_BYTES_MAX, "{bytes} bytes of heads are kept");
    assert!(bytes > SERVER_LOG_BYTES_MAX / 2, "the first ones are whole");
    // A small one behind the end of the log would be taken for another request.
    assert!(stats.log.len() < requests);
    assert!(stats.log.iter().all(|record| record.head.len() > 60_000));
    assert_eq!(stats.body_bytes, 10 * stats.requests);
}

#[test]
fn an_idle_connection_ends() {
    let idle_max = SHORT;
    for config in [Config::new(SEED, SIZE), Config::new_tls(SEED, SIZE)] {
        let server = server(Config { patience: Patience { idle_max, ..ENDLESS }, ..config });
        // No word from the beginning, no TLS handshake either.
        let (bytes, end) = read_rest(&mut connect(&server));
        assert!(end.is_ok(), "{end:?} {bytes:?}");
        until(|| server.counts().connections_live == 0);
        assert_eq!(server.counts().connections_timed_out, 1);
    }
    let server = patient(Patience { idle_max, ..ENDLESS });
    let (bytes, end) = read_rest(&mut served(&server));
    assert!(bytes.is_empty() && end.is_ok(), "{end:?}");
}

#[test]
fn a_head_that_trickles_is_answered_with_408() {
    let server = patient(Patience { head_max: SHORT, ..ENDLESS });
    let mut socket = connect(&server);
    socket.set_nodelay(true).unwrap();
    let mut reader = socket.try_clone().unwrap();
    let answer = std::thread::spawn(move || read_reply(&mut reader, true).status);
    for byte in get("0-9", "").as_bytes() {
        if socket.write_all(&[*byte]).is_err() || answer.is_finished() {
            break;
        }
        // sleep: the pace of this client, which takes seconds for its head.
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(answer.join().unwrap(), 408);
    assert_eq!(server.counts().requests, 0);
    assert_eq!(server.counts().connections_timed_out, 1);
}

#[test]
fn a_client_that_reads_nothing_is_reset() {
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
    for config in [Config::new(SEED, 1 << 40), Config::new_tls(SEED, 1 << 40)] {
        let patience = Patience { unread_max: SHORT, ..ENDLESS };
        let server = server(Config { patience, ..config });
        let mut socket = if server.certificate_pem().is_some() {
            let mut client = secure::connect(&server, &secure::trust(&server), "localhost");
            client.write_all(REQUEST).unwrap();
            client.sock
        } else {
            let mut socket = connect(&server);
            socket.write_all(REQUEST).unwrap();
            socket
        };
        until(|| server.counts().requests == 1 && server.counts().connections_live == 0);
        assert_eq!(server.counts().connections_timed_out, 1);
        let (_, end) = read_rest(&mut socket);
        assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
}

/// The kernel wakes a sender when a third of its buffer is free, which this client takes longer
/// for than the limit.
#[test]
fn a_client_that_reads_slowly_is_served() {
    let unread_max = Duration::from_secs(2);
    let patience = Patience { unread_max, ..ENDLESS };
    // Pieces of 16 KiB, the bytes of 5 ms: where the buffer is full at the end of one, the next one
    // finds no room at all.
    let shape = Shape { connection_bytes_per_second: Some(16_384 * 200), ..Shape::default() };
    let server = server(Config { patience, shape, ..Config::new(SEED, 1 << 40) });
    let mut socket = connect(&server);
    // The window opens in small steps, so that each of them frees some of the sender's buffer.
    set_socket_recv_buffer_size(&socket, 16 * 1024).unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let begin = Instant::now();
    while begin.elapsed() < unread_max * 7 / 2 {
        socket.read_exact(&mut [0; 2048]).unwrap();
        // sleep: the pace of this client.
        std::thread::sleep(Duration::from_millis(25));
    }
    assert_eq!((server.counts().connections_live, server.counts().connections_timed_out), (1, 0));
}

#[test]
fn what_the_script_delays_or_stalls_has_no_limit() {
    let patience =
        Patience { idle_max: SHORT, head_max: SHORT, unread_max: SHORT, idle_min: Duration::ZERO };
    let config = Config { patience, ..Config::new(SEED, SIZE) }
        .rule(When::Connection(1), Fault::StallAfter(5))
        .rule(When::Connection(2), Fault::StallOnAccept)
        .rule(When::Connection(3), Fault::DelayHead(4 * SHORT))
        .rule(When::Connection(3), Fault::Rate(100_000));
    let server = server(config);
    let mut stalled = [connect(&server), connect(&server)];
    stalled[0].write_all(get("0-9", "").as_bytes()).unwrap();
    read_head(&mut stalled[0]);
    stalled[0].read_exact(&mut [0; 5]).unwrap();
    let begin = Instant::now();
    ask(&server, &get("0-19999", "")).expect_content(0, 20_000);
    assert!(begin.elapsed() > 4 * SHORT);
    assert!(stalled.iter_mut().all(is_open));
}

#[test]
fn the_longest_idle_connection_makes_room_for_a_new_one() {
    let patience = Patience { idle_min: Duration::ZERO, ..ENDLESS };
    let config = Config { patience, connections_max: 3, ..Config::new(SEED, SIZE) };
    let server = server(config.rule(When::Connection(1), Fault::StallAfter(5)));
    let mut busy = connect(&server);
    busy.write_all(get("0-9", "").as_bytes()).unwrap();
    read_head(&mut busy);
    busy.read_exact(&mut [0; 5]).unwrap();
    let mut silent = connect(&server);
    until(|| server.counts().connections_live == 2);
    let mut idle = served(&server);

    let newcomer = served(&server);
    assert!(read_rest(&mut silent).1.is_ok(), "it has waited for longest");
    let another = served(&server);
    let (bytes, end) = read_rest(&mut idle);
    assert!(bytes.is_empty() && end.is_ok(), "then this one: {end:?}");
    let stats = server.counts();
    assert_eq!((stats.connections_displaced, stats.connections_refused), (2, 0));
    assert_eq!((stats.connections_live, stats.connections_peak), (3, 3));
    assert!(is_open(&mut busy), "work makes no room");
    drop((newcomer, another));
}

#[test]
fn idle_connections_in_their_thousands_lock_nobody_out() {
    let patience = Patience { idle_min: Duration::ZERO, ..ENDLESS };
    let server = server(Config { patience, connections_max: 64, ..Config::new(SEED, SIZE) });
    let idle: Vec<TcpStream> = (0..200).map(|_| connect(&server)).collect();
    ask(&server, &get("0-9", "")).expect_content(0, 10);
    let stats = server.counts();
    assert_eq!((stats.connections_refused, stats.connections_peak), (0, 64));
    drop(idle);
}
