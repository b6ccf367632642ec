//! Files of a folder, whose bytes the kernel sends by itself, and what else may meet them.

use super::{SEED, ask, connect, get, read_head, read_reply, read_rest, server};
use crate::server::content;
use crate::server::{Config, DigestField, Fault, Losses, Server, Shape, When};
use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Long enough for many pieces, and no multiple of any size.
const LONG: u64 = 3 * 1024 * 1024 + 777;

/// A folder with the file `long`, whose bytes are those of the made-up file, served so.
fn folder(adapt: impl FnOnce(Config) -> Config) -> (TempDir, Server) {
    let scratch = tempfile::tempdir().unwrap();
    let mut bytes = vec![0; usize::try_from(LONG).unwrap()];
    content::fill(SEED, 0, &mut bytes);
    std::fs::write(scratch.path().join("long"), bytes).unwrap();
    std::fs::write(scratch.path().join("empty"), "").unwrap();
    let config = Config { folder: Some(scratch.path().to_owned()), ..Config::new(SEED, 0) };
    let server = server(adapt(config));
    (scratch, server)
}

fn get_long(range: &str, fields: &str) -> String {
    get(range, fields).replace("/file", "/long")
}

#[test]
fn a_folder_is_served_like_made_up_files() {
    let (_scratch, server) = folder(|config| config);
    let whole = ask(&server, "GET /long HTTP/1.1\r\n\r\n");
    whole.expect_content(0, 3 * 1024 * 1024 + 777);
    let (tag, date) = (whole.field("ETag").unwrap(), whole.field("Last-Modified").unwrap());
    assert!(tag.starts_with('"') && date.ends_with(" GMT"), "{tag} {date}");
    for (range, start, len) in
        [("5-", 5, 3_146_500), ("1000000-2999999", 1_000_000, 2_000_000), ("-9", LONG - 9, 9)]
    {
        let reply = ask(&server, &get_long(range, ""));
        assert_eq!(reply.status, 206);
        reply.expect_content(start, len);
    }
    let head = ask(&server, "HEAD /long HTTP/1.1\r\n\r\n");
    assert_eq!((head.field("Content-Length"), head.field("ETag")), (Some("3146505"), Some(tag)));
    assert_eq!(ask(&server, "GET /empty HTTP/1.1\r\n\r\n").field("Content-Length"), Some("0"));
    for (fields, status) in [
        (format!("If-Range: {tag}\r\n"), 206),
        (format!("If-Range: {date}\r\n"), 206),
        ("If-Range: \"other\"\r\n".to_owned(), 200),
        ("If-Match: \"other\"\r\n".to_owned(), 412),
    ] {
        assert_eq!(ask(&server, &get_long("0-9", &fields)).status, status, "{fields}");
    }
    for path in ["/", "/missing", "/../long", "/%2e%2e/long", "//etc/passwd", "/long/"] {
        let request = format!("GET {path} HTTP/1.1\r\n\r\n");
        assert_eq!(ask(&server, &request).status, 404, "{path}");
    }
}

#[test]
fn what_a_client_has_is_not_sent_again() {
    let (_scratch, server) = folder(|config| config);
    let whole = ask(&server, "HEAD /long HTTP/1.1\r\n\r\n");
    let (tag, date) = (whole.field("ETag").unwrap(), whole.field("Last-Modified").unwrap());
    let mut socket = connect(&server);
    for fields in [
        format!("If-None-Match: \"x\", W/{tag}\r\n"),
        "If-None-Match: *\r\n".to_owned(),
        format!("If-Modified-Since: {date}\r\n"),
    ] {
        // All on one connection: nothing follows the head.
        socket.write_all(get_long("0-9", &fields).as_bytes()).unwrap();
        let head = read_head(&mut socket);
        assert!(head.starts_with("HTTP/1.1 304 ") && head.contains(tag), "{fields}\n{head}");
        assert!(!head.contains("Content-Length"), "{head}");
    }
    for fields in [
        format!("If-None-Match: \"x\"\r\nIf-Modified-Since: {date}\r\n"),
        "If-Modified-Since: Mon, 01 Jan 2024 00:00:00 GMT\r\n".to_owned(),
    ] {
        assert_eq!(ask(&server, &get_long("0-9", &fields)).status, 206, "{fields}");
    }
}

#[test]
fn requests_sent_ahead_and_faults_meet_stored_files_too() {
    let (_scratch, server) = folder(|config| {
        config
            .rule(When::Request(3), Fault::FlipByte(1_000_000))
            .rule(When::Request(4), Fault::Replaced { seed: 9, size_bytes: 5 })
            .rule(When::Request(5), Fault::ResetAfter(70_000))
    });
    let mut socket = connect(&server);
    let ranges = ["0-99999", "7-2000006", "900000-1099999", "0-4", "0-99999"];
    let requests: String = ranges.map(|range| get_long(range, "")).concat();
    socket.write_all(requests.as_bytes()).unwrap();
    read_reply(&mut socket, true).expect_content(0, 100_000);
    read_reply(&mut socket, true).expect_content(7, 2_000_000);
    let flipped = read_reply(&mut socket, true);
    assert_eq!(content::verify(SEED, 900_000, &flipped.body), Err(1_000_000));
    let other = read_reply(&mut socket, true);
    assert_eq!(content::verify(9, 0, &other.body), Ok(()));
    read_head(&mut socket);
    assert!(read_rest(&mut socket).1.is_err());
    assert_eq!(server.stats().log[4].body_bytes, 70_000);
}

#[test]
fn a_file_that_shrinks_ends_the_connection() {
    // Behind a delay the file is open already, its length is in the head.
    let shape = Shape { total_bytes_per_second: Some(4_000_000), ..Shape::default() };
    let (scratch, server) = folder(|config| Config { shape, ..config });
    let mut socket = connect(&server);
    socket.write_all(b"GET /long HTTP/1.1\r\n\r\n").unwrap();
    read_head(&mut socket);
    File::options().write(true).open(scratch.path().join("long")).unwrap().set_len(9).unwrap();
    let (body, _) = read_rest(&mut socket);
    assert!((body.len() as u64) < LONG, "{}", body.len());
}

#[test]
fn digests_of_stored_files_follow_the_file() {
    let digests = vec![DigestField::ReprDigestSha256, DigestField::ContentDigestSha256];
    let (scratch, server) = folder(|config| Config { digests, ..config });
    let ask_long = |range: &str| ask(&server, &get_long(range, ""));
    let made = super::server(Config {
        digests: vec![DigestField::ReprDigestSha256, DigestField::ContentDigestSha256],
        ..Config::new(SEED, LONG)
    });
    for range in ["0-", "5-70000"] {
        let (stored, made) = (ask_long(range), ask(&made, &get(range, "")));
        for name in ["Repr-Digest", "Content-Digest"] {
            assert!(stored.field(name).is_some());
            assert_eq!(stored.field(name), made.field(name), "{range}");
        }
    }
    let before = ask_long("0-1").field("Repr-Digest").map(str::to_owned);
    std::fs::write(scratch.path().join("long"), "short").unwrap();
    assert_ne!(ask_long("0-1").field("Repr-Digest").map(str::to_owned), before);
}

#[test]
fn the_kernel_sends_at_the_rate_too() {
    let shape = Shape { connection_bytes_per_second: Some(8 << 20), ..Shape::default() };
    let (_scratch, server) = folder(|config| Config { shape, ..config });
    let begin = Instant::now();
    ask(&server, "GET /long HTTP/1.1\r\n\r\n").expect_content(0, 3 * 1024 * 1024 + 777);
    let took = begin.elapsed();
    assert!((330..600).contains(&took.as_millis()), "{took:?}");
}

#[test]
fn every_second_connection_is_lost_where_its_seed_says() {
    let losses = Some(Losses { every: 2, bytes_max: 1 << 20 });
    let shapes = (0..).map(|seed| Shape { losses, seed, ..Shape::default() });
    let lost = |shape: &Shape| shape.bytes_until_loss(2).expect("the second one");
    // In the body, behind its first piece.
    let shape = shapes.into_iter().find(|shape| lost(shape) > 300_000).unwrap();
    let expected = lost(&shape);
    let made = server(Config { shape: shape.clone(), ..Config::new(SEED, LONG) });
    let (_scratch, stored) = folder(|config| Config { shape, ..config });
    for server in [made, stored] {
        ask(&server, "GET /long HTTP/1.1\r\n\r\n").expect_content(0, 3 * 1024 * 1024 + 777);
        let mut socket = connect(&server);
        socket.write_all(b"GET /long HTTP/1.1\r\n\r\n").unwrap();
        let head = read_head(&mut socket);
        let (body, end) = read_rest(&mut socket);
        assert!(end.is_err(), "a reset");
        assert_eq!((head.len() + body.len()) as u64, expected);
        assert_eq!(content::verify(SEED, 0, &body), Ok(()));
    }
}

#[test]
fn jitter_delays_some_more_than_others() {
    let shape = Shape { first_byte_jitter: Duration::from_millis(60), ..Shape::default() };
    let expected: Vec<Duration> = (1..=4).map(|number| shape.delay(number)).collect();
    let server = server(Config { shape, ..Config::new(SEED, LONG) });
    let mut socket = connect(&server);
    for delay in expected {
        let begin = Instant::now();
        socket.write_all(get("0-9", "").as_bytes()).unwrap();
        read_reply(&mut socket, true).expect_content(0, 10);
        assert!(begin.elapsed() >= delay);
    }
}
