//! Many made-up files: each path has its own, and lists name them.

use super::{SEED, ask, connect, field, read_reply, server};
use crate::server::{Config, DigestField, Numbered, Paths, Route, Served, Server, content};
use std::io::Write;

/// Sizes of the files of most tests.
const SIZES: std::ops::RangeInclusive<u64> = 1000..=3000;

fn config(paths: Paths) -> Config {
    let (size_bytes, size_bytes_max) = (*SIZES.start(), Some(*SIZES.end()));
    Config { paths, size_bytes_max, ..Config::new(SEED, size_bytes) }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: example:81\r\n\r\n")
}

/// The status and the text of a list.
fn text(server: &Server, path: &str) -> (u16, String) {
    let reply = ask(server, &get(path));
    (reply.status, String::from_utf8(reply.body).unwrap())
}

#[test]
fn each_path_has_its_own_file() {
    let server = server(config(Paths::Distinct));
    let paths = ["/a", "/b", "/a/b", "/A", "/"];
    let mut tags: Vec<String> = Vec::new();
    for path in paths {
        let reply = ask(&server, &get(&format!("{path}?query")));
        assert_eq!(reply.body.len() as u64, content::size_at(SEED, path, SIZES), "{path}");
        for other in paths {
            let seed = content::seed_at(SEED, other);
            let is_that_of = content::verify(seed, 0, &reply.body).is_ok();
            assert_eq!(is_that_of, path == other, "{path} is {other}");
        }
        tags.push(reply.field("ETag").unwrap().to_owned());
    }
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), paths.len(), "{tags:?}");
}

#[test]
fn ranges_of_one_of_many_are_those_of_its_own_file() {
    let server = server(config(Paths::Distinct));
    let request = "GET /x HTTP/1.1\r\nRange: bytes=5-704\r\n\r\n";
    let part = ask(&server, request);
    assert_eq!((part.status, part.body.len()), (206, 700));
    assert_eq!(content::verify(content::seed_at(SEED, "/x"), 5, &part.body), Ok(()));
    // A validator of one file is none of another's.
    let tag = part.field("ETag").unwrap().to_owned();
    for (path, status) in [("/x", 206), ("/y", 200)] {
        let fields = format!("Range: bytes=0-9\r\nIf-Range: {tag}\r\n");
        let reply = ask(&server, &format!("GET {path} HTTP/1.1\r\n{fields}\r\n"));
        assert_eq!(reply.status, status, "{path}");
    }
}

#[test]
fn every_line_of_the_list_is_a_file_and_nothing_else_is() {
    let server = server(config(Paths::Numbered(25)));
    let (status, list) = text(&server, "/list.txt");
    assert_eq!((status, list.lines().count()), (200, 25));
    let (status, sums) = text(&server, "/SHA256SUMS");
    assert_eq!((status, sums.lines().count()), (200, 25));
    let mut socket = connect(&server);
    for (url, line) in list.lines().zip(sums.lines()) {
        let path = url.strip_prefix("http://example:81").unwrap();
        socket.write_all(get(path).as_bytes()).unwrap();
        let reply = read_reply(&mut socket, true);
        assert_eq!(reply.status, 200, "{url}");
        let (seed, size) = (content::seed_at(SEED, path), content::size_at(SEED, path, SIZES));
        assert_eq!(reply.body.len() as u64, size);
        assert_eq!(content::verify(seed, 0, &reply.body), Ok(()));
        let sum: String = content::sha256(seed, size).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(line, format!("{sum}  {}", &path[1..]));
    }
    for path in ["/", "/0000.bin", "/0026.bin", "/1.bin", "/list", "/sha256sums", "/0001.bin/"] {
        assert_eq!(ask(&server, &get(path)).status, 404, "{path}");
    }
}

#[test]
fn a_list_is_a_file_with_ranges_and_a_validator() {
    let server = server(config(Paths::Numbered(9)));
    let (_, list) = text(&server, "/list.txt");
    let ask = |fields: &str| {
        ask(&server, &format!("GET /list.txt HTTP/1.1\r\nHost: example:81\r\n{fields}\r\n"))
    };
    let part = ask("Range: bytes=20-70\r\n");
    assert_eq!((part.status, part.body.as_slice()), (206, &list.as_bytes()[20..=70]));
    let tag = part.field("ETag").unwrap().to_owned();
    assert_eq!(super::ask(&server, &get("/list.txt")).field("ETag"), Some(&*tag));
    let renamed = "GET /list.txt HTTP/1.1\r\nHost: exampl3:81\r\n\r\n";
    assert_ne!(super::ask(&server, renamed).field("ETag"), Some(&*tag), "other bytes");
    assert_eq!(super::ask(&server, "GET /list.txt HTTP/1.1\r\n\r\n").status, 400, "no Host");
}

/// A list of any length costs what is read of it.
#[test]
fn lists_have_an_end_that_is_not_waited_for() {
    let count = 1_000_000_000;
    let server = server(config(Paths::Numbered(count)));
    let request =
        "GET /list.txt HTTP/1.1\r\nHost: h\r\nRange: bytes=-24\r\nConnection: close\r\n\r\n";
    let tail = ask(&server, request);
    assert_eq!(tail.body, b"http://h/1000000000.bin\n");
    let last = format!("/{}", Numbered::new(count).name(count));
    assert_eq!(ask(&server, &get(&last)).status, 200);
    assert_eq!(ask(&server, &get("/SHA256SUMS")).status, 404, "hashing them takes too long");
}

#[test]
fn routes_stand_before_numbers() {
    let what = Served::File { seed: 9, size_bytes: 3 };
    let routes = vec![Route { path: "/0002.bin".into(), what }];
    let server = server(Config { routes, ..config(Paths::Numbered(3)) });
    let reply = ask(&server, &get("/0002.bin"));
    assert_eq!((reply.body.len(), content::verify(9, 0, &reply.body)), (3, Ok(())));
}

#[test]
fn digests_are_of_each_file_and_lists_have_none() {
    let digests = vec![DigestField::XAmzSha256FullObject, DigestField::ContentDigestSha256];
    let server = server(Config { digests, ..config(Paths::Numbered(2)) });
    let digest = |path: &str| {
        let head = ask(&server, &get(path)).head;
        field(&head, "x-amz-checksum-sha256").map(str::to_owned)
    };
    let of = |path: &str| {
        let size = content::size_at(SEED, path, SIZES);
        let sum = content::sha256(content::seed_at(SEED, path), size);
        Some(crate::server::codec::base64::base64(&sum))
    };
    assert_eq!(digest("/0001.bin"), of("/0001.bin"));
    assert_eq!(digest("/0002.bin"), of("/0002.bin"));
    assert_eq!(digest("/0001.bin"), of("/0001.bin"), "remembered");
    assert_eq!(digest("/list.txt"), None);
}
