//! Limits, slow connections, the throttle and requests sent ahead, as a client meets them.

use super::{SEED, SIZE, ask, connect, get, read_reply, read_rest, server};
use crate::server::{
    Config, Fault, RateStep, Refusal, RetryAfter, Server, Shape, SlowConnections, StepAfter,
    Throttle, When,
};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

fn shaped(shape: Shape) -> Server {
    server(Config { shape, ..Config::new(SEED, SIZE) })
}

/// Polls until the server shows what is waited for.
fn until(what: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !what() {
        assert!(Instant::now() < deadline, "the server never came to it");
        std::thread::yield_now();
    }
}

fn is_reset(mut socket: TcpStream) -> bool {
    let asked = socket.write_all(get("0-1", "").as_bytes());
    // The reset may be there before the request.
    let end = asked.and_then(|()| read_rest(&mut socket).1);
    end.is_err_and(|e| matches!(e.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe))
}

#[test]
fn one_connection_too_many_is_reset() {
    let server = shaped(Shape { resets_beyond: Some(1), ..Shape::default() });
    let mut first = connect(&server);
    first.write_all(get("0-1", "").as_bytes()).unwrap();
    read_reply(&mut first, true);
    assert!(is_reset(connect(&server)));
    drop(first);
    until(|| server.stats().connections_live == 0);
    assert_eq!(ask(&server, &get("0-1", "")).status, 206);
    assert_eq!(server.stats().connections_refused, 1);
}

#[test]
fn one_request_too_many_gets_a_status() {
    let refusal =
        Refusal { answers_max: 1, status: 429, retry_after: Some(RetryAfter::Seconds(7)) };
    let shape = Shape { refusal: Some(refusal), ..Shape::default() };
    let server = server(Config { shape, ..Config::new(SEED, 1 << 40) });
    // Two connections may be open; one answer without an end is under way.
    let mut second = connect(&server);
    let mut first = connect(&server);
    first.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    until(|| server.stats().body_bytes > 0);
    second.write_all(get("0-9", "").as_bytes()).unwrap();
    let reply = read_reply(&mut second, true);
    assert_eq!((reply.status, reply.field("Retry-After")), (429, Some("7")));
    assert_eq!(server.stats().requests_refused, 1);
    drop(first);
    until(|| server.stats().connections_live == 1);
    second.write_all(get("0-9", "").as_bytes()).unwrap();
    read_reply(&mut second, true).expect_content(0, 10);
}

#[test]
fn the_second_connection_is_slow() {
    let slow = SlowConnections { every: 2, bytes_per_second: 100_000 };
    let server = shaped(Shape { slow_connections: Some(slow), ..Shape::default() });
    ask(&server, &get("0-1", ""));
    let begin = Instant::now();
    ask(&server, &get("0-9999", "")).expect_content(0, 10_000);
    assert!(begin.elapsed() >= Duration::from_millis(80), "{:?}", begin.elapsed());
}

#[test]
fn a_crowd_is_throttled() {
    let throttle = Throttle {
        connections: 1,
        patience: Duration::ZERO,
        penalty: Duration::from_secs(3600),
        total_bytes_per_second: 1,
    };
    let server = shaped(Shape { throttle: Some(throttle), ..Shape::default() });
    let mut first = connect(&server);
    first.write_all(get("0-99999", "").as_bytes()).unwrap();
    read_reply(&mut first, true).expect_content(0, 100_000);
    let _second = connect(&server);
    until(|| server.stats().connections_live == 2);
    first.write_all(get("0-99999", "").as_bytes()).unwrap();
    first.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let (bytes, end) = read_rest(&mut first);
    assert!(bytes.len() < 100, "{} bytes", bytes.len());
    assert_eq!(end.unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn the_rate_steps_up() {
    let step = RateStep { after: StepAfter::Bytes(1000), total_bytes_per_second: 1 << 40 };
    let shape = Shape { total_bytes_per_second: Some(1000), step: Some(step), ..Shape::default() };
    let server = shaped(shape);
    let begin = Instant::now();
    ask(&server, &get("0-999", ""));
    assert!(begin.elapsed() >= Duration::from_millis(800), "{:?}", begin.elapsed());
    // At the rate before the step this would take a hundred seconds.
    let begin = Instant::now();
    ask(&server, &get("0-99999", ""));
    assert!(begin.elapsed() < Duration::from_secs(50), "{:?}", begin.elapsed());
}

/// Four connections that each ask for a part of the file at the same time: none ends early, so
/// none had more than its share.
#[test]
fn a_total_rate_is_fair_and_kept() {
    let shape = Shape { total_bytes_per_second: Some(10_000_000), ..Shape::default() };
    let server = server(Config { shape, ..Config::new(SEED, 4_000_000) });
    let mut sockets = [(); 4].map(|()| connect(&server));
    let begin = Instant::now();
    for socket in &mut sockets {
        socket.write_all(get("0-999999", "").as_bytes()).unwrap();
    }
    let times = std::thread::scope(|scope| {
        let read = |mut socket: TcpStream| {
            read_reply(&mut socket, true).expect_content(0, 1_000_000);
            begin.elapsed()
        };
        let readers = sockets.map(|socket| scope.spawn(move || read(socket)));
        readers.map(|reader| reader.join().unwrap())
    });
    assert!(times.iter().all(|time| time.as_millis() >= 330), "{times:?}");
    assert!(times.iter().any(|time| time.as_millis() >= 380), "{times:?}");
}

/// Asks for all of the file, and for one byte more once the first byte is there. Answers the time
/// from the last byte of the one answer to the end of the other.
fn wait_of_one_ahead(server: &Server) -> Duration {
    let mut socket = connect(server);
    socket.write_all(get("0-99999", "").as_bytes()).unwrap();
    // Half a second of body; the next request arrives when it begins.
    let mut reply = vec![0];
    socket.read_exact(&mut reply).unwrap();
    socket.write_all(get("5-5", "").as_bytes()).unwrap();
    read_reply(&mut Read::chain(&reply[..], &mut socket), true).expect_content(0, 100_000);
    let begin = Instant::now();
    read_reply(&mut socket, true).expect_content(5, 1);
    begin.elapsed()
}

#[test]
fn a_request_sent_ahead_has_waited_already() {
    let delay = Duration::from_millis(400);
    let shape = Shape {
        connection_bytes_per_second: Some(200_000),
        first_byte_delay: delay,
        ..Shape::default()
    };
    let server = shaped(shape);
    // One that had to wait is never faster than the delay, on a busy machine neither.
    let waits = || (0..5).map(|_| wait_of_one_ahead(&server));
    assert!(waits().any(|wait| wait < delay), "each one waits after the answer before it");
    // One that is not ahead waits, whatever the rate has to make up for.
    let mut socket = connect(&server);
    socket.write_all(get("0-99999", "").as_bytes()).unwrap();
    read_reply(&mut socket, true).expect_content(0, 100_000);
    let begin = Instant::now();
    socket.write_all(get("6-6", "").as_bytes()).unwrap();
    read_reply(&mut socket, true).expect_content(6, 1);
    assert!(begin.elapsed() >= delay, "{:?}", begin.elapsed());
}

#[test]
fn only_one_connection_stalls() {
    let config = Config::new(SEED, SIZE).rule(When::Connection(1), Fault::StallAfter(1000));
    let server = server(config);
    let mut first = connect(&server);
    first.write_all(get("0-9999", "").as_bytes()).unwrap();
    first.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert_eq!(read_rest(&mut first).1.unwrap_err().kind(), ErrorKind::WouldBlock);
    ask(&server, &get("0-9999", "")).expect_content(0, 10_000);
}
