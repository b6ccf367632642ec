//! Several servers by one command: their ports, what each has for itself, and how they describe
//! their file, seen by raw requests.

use super::{DEFAULT_SEED, Serving};
use crate::common::Scene;
use ringhaul::server::content;
use rustix::process::Signal;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

const SIZE: usize = 1 << 20;

/// `count` servers of 1 MiB.
fn serving(count: usize, arguments: &[&str]) -> Serving {
    let ports = format!("--ports={count}");
    let arguments = [&["--size=1M", &ports], arguments].concat();
    let serving = Serving::start_several(&Scene::new(), count, &arguments);
    assert_eq!(serving.urls.len(), count);
    serving
}

/// The answer of server `number`, counted from 1: its head, and its body.
struct Answer {
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn field(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut named = fields.filter(|(is, _)| *is == name).map(|(_, value)| value);
        named.next()
    }

    fn is_file(&self, seed: u64) -> bool {
        self.body.len() == SIZE && content::verify(seed, 0, &self.body).is_ok()
    }
}

fn ask(serving: &Serving, number: usize, path: &str) -> Answer {
    let mut socket = serving.connect_to(number);
    let request = format!("GET {path} HTTP/1.1\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).expect("a request");
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).expect("an answer");
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
    let body = bytes.split_off(end);
    Answer { head: String::from_utf8(bytes).expect("text"), body }
}

/// The first of three free ports in a row, none of which the kernel chooses for anybody (32768 and
/// up, if nobody has changed that).
fn free_ports() -> u16 {
    let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let start = std::process::id() % 5_000;
    let mut tried = (0..100).map(|step| 12_000 + 3 * (start + step));
    let found = tried.find_map(|port| {
        let port = u16::try_from(port).expect("below 32768");
        (port..port + 3).all(is_free).then_some(port)
    });
    found.expect("three free ports in a row")
}

#[test]
fn ports_in_a_row_or_free_ones() {
    let scene = Scene::new();
    let first = free_ports();
    let listen = format!("--listen=127.0.0.1:{first}");
    let serving = Serving::of(scene.command(&["serve", "--size=9", "--ports=3", &listen]), 3);
    for (number, url) in (0_u16..).zip(&serving.urls) {
        assert_eq!(*url, format!("http://127.0.0.1:{}/", first + number));
    }
    let ended = serving.stop(Signal::TERM);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("serving 9 B of seed 1 at every path, at 3 ports;"), "{ended:?}");
    assert!(ended.stderr.contains(&format!("\n:{} served 0 requests", first + 2)), "{ended:?}");

    let arguments = ["serve", "--size=9", "--ports=2", "--on=2:listen=127.0.0.2:0"];
    let serving = Serving::of(scene.command(&arguments), 2);
    assert!(serving.url.starts_with("http://127.0.0.1:") && !serving.url.contains(":8080"));
    assert!(serving.urls[1].starts_with("http://127.0.0.2:"), "{}", serving.urls[1]);
    assert_eq!(ask(&serving, 2, "/").body.len(), 9);
}

#[test]
fn each_has_the_words_of_all_and_its_own() {
    let own = ["--on=2:rate=4MiB", "--on=3:seed=9", "--on=3:etag=none", "--on=4:corrupt=10-20"];
    let all = ["--etag=v1", "--rate=400M"];
    let serving = serving(4, &[&own[..], &all].concat());
    let begin = Instant::now();
    assert!(ask(&serving, 2, "/x").is_file(DEFAULT_SEED));
    let took = begin.elapsed();
    assert!(took > Duration::from_millis(200), "1 MiB at 4 MiB/s took {took:?}");
    let first = ask(&serving, 1, "/x");
    assert!(first.is_file(DEFAULT_SEED));
    assert_eq!(first.field("ETag"), Some("\"v1\""));
    let other = ask(&serving, 3, "/x");
    assert!(other.is_file(9));
    assert_eq!(other.field("ETag"), None);
    let liar = ask(&serving, 4, "/x");
    assert_eq!(liar.field("ETag"), Some("\"v1\""));
    assert_eq!(content::verify(DEFAULT_SEED, 0, &liar.body), Err(10));
    assert_eq!(content::verify(DEFAULT_SEED, 19, &liar.body[19..]), Err(19));
    assert_eq!(content::verify(DEFAULT_SEED, 20, &liar.body[20..]), Ok(()));
    let ended = serving.stop(Signal::INT);
    assert!(ended.stderr.contains("/ has seed=9, etag=none\n"), "{ended:?}");
}

#[test]
fn they_die_one_by_one() {
    let own = [
        "--on=1:fault=404@500K",
        "--on=2:fault=etag@500K",
        "--on=3:fault=size@500K",
        "--on=4:fault=content@500K",
        "--on=5:fault=503x1",
    ];
    let serving = serving(5, &own);
    for number in 1..=4 {
        let before = ask(&serving, number, "/");
        assert!(before.is_file(DEFAULT_SEED), "{number}: {}", before.head);
        assert_eq!(before.field("ETag"), Some("\"1-100000\""));
    }
    let after: Vec<Answer> = (1..=5).map(|number| ask(&serving, number, "/")).collect();
    assert!(after[0].head.starts_with("HTTP/1.1 404 "));
    assert_eq!(after[1].field("ETag"), Some("\"changed\""));
    assert!(after[1].is_file(DEFAULT_SEED));
    assert_eq!(after[2].field("ETag"), Some("\"1-100001\""));
    assert_eq!(after[2].body.len(), SIZE + 1);
    assert_eq!(after[3].body.len(), SIZE);
    assert_eq!(content::verify(DEFAULT_SEED, 0, &after[3].body), Err(0));
    assert_ne!(after[3].field("ETag"), Some("\"1-100000\""));
    assert!(after[4].head.starts_with("HTTP/1.1 503 "));
    assert!(ask(&serving, 5, "/").is_file(DEFAULT_SEED), "it has come back");
}

#[test]
fn they_die_amid_an_answer() {
    let own = [
        "--on=1:fault=reset@256K",
        "--on=2:fault=silence@256K",
        "--on=3:fault=reset",
        "--on=4:fault=unreachable",
    ];
    let serving = serving(4, &[&own[..], &["--rate=1M"]].concat());
    for (number, kind) in [(1, ErrorKind::ConnectionReset), (2, ErrorKind::WouldBlock)] {
        let mut socket = serving.connect_to(number);
        socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a time limit");
        socket.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("a request");
        let mut bytes = Vec::new();
        assert_eq!(socket.read_to_end(&mut bytes).expect_err("no end").kind(), kind);
        assert!((200_000..600_000).contains(&bytes.len()), "{number}: {}", bytes.len());
    }
    for number in [1, 3] {
        let refused = TcpStream::connect(serving.authority(number)).expect_err("it is gone");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
    let address = serving.authority(4).parse().expect("an address");
    let late = TcpStream::connect_timeout(&address, Duration::from_millis(300));
    assert_eq!(late.expect_err("nobody is there").kind(), ErrorKind::TimedOut);
}

#[test]
fn they_describe_their_file() {
    let arguments = [
        "--metalink",
        "--piece-length=256K",
        "--piece-hash=sha-1",
        "--on=2:geo=DE",
        "--on=2:priority=7",
    ];
    let serving = serving(2, &arguments);
    let [first, second] = [&serving.urls[0], &serving.urls[1]];
    let file = ask(&serving, 1, "/x.iso");
    let link = format!("<{second}x.iso>; rel=duplicate; pri=7; geo=de");
    assert_eq!(file.field("Link"), Some(&*link));
    let described = "</x.iso.meta4>; rel=describedby; type=\"application/metalink4+xml\"";
    assert!(file.head.contains(&format!("\r\nLink: {described}\r\n")), "{}", file.head);
    assert!(file.field("Repr-Digest").is_some() && file.field("Digest").is_some());
    let answer = ask(&serving, 2, "/x.iso.meta4");
    assert_eq!(answer.field("Content-Type"), Some("application/metalink4+xml"));
    let text = String::from_utf8(answer.body).expect("text");
    let hash = content::sha256(DEFAULT_SEED, 1 << 20).map(|byte| format!("{byte:02x}")).concat();
    for part in [
        "<size>1048576</size>".to_owned(),
        format!("<hash type=\"sha-256\">{hash}</hash>"),
        "<pieces length=\"262144\" type=\"sha-1\">".to_owned(),
        format!("<url priority=\"1\">{first}x.iso</url>"),
        format!("<url location=\"de\" priority=\"7\">{second}x.iso</url>"),
    ] {
        assert!(text.contains(&part), "{part}\n{text}");
    }
    assert_eq!(text.matches("      <hash>").count(), 4, "{text}");
    let answer = ask(&serving, 1, "/x.iso.metalink");
    assert_eq!(answer.field("Content-Type"), Some("application/metalink+xml"));
    let text = String::from_utf8(answer.body).expect("text");
    assert!(text.contains(&format!(" preference=\"94\">{second}x.iso</url>")), "{text}");
}

#[test]
fn servers_at_every_address_have_the_host_they_are_asked_for() {
    let scene = Scene::new();
    let arguments = ["serve", "--size=9", "--ports=2", "--listen=0.0.0.0:0", "--metalink"];
    let serving = Serving::of(scene.command(&arguments), 2);
    let answer = serving.ask("/x.meta4", "Host: localhost:99\r\n");
    let [first, second] =
        [1, 2].map(|number| serving.authority(number).replace("127.0.0.1", "localhost"));
    assert!(answer.contains(&format!(">http://{first}/x</url>")), "{answer}");
    let answer = serving.ask("/x", "Host: localhost:99\r\n");
    assert!(answer.contains(&format!("Link: <http://{second}/x>; rel=duplicate")), "{answer}");
}

#[test]
fn a_redirector_carries_the_links_of_the_mirrors() {
    let arguments =
        ["--metalink", "--links=redirects", "--on=1:redirect=2", "--digests=x-goog-hash"];
    let serving = serving(2, &arguments);
    let answer = ask(&serving, 1, "/x?y");
    assert!(answer.head.starts_with("HTTP/1.1 302 "), "{}", answer.head);
    let url = &serving.urls[1];
    assert_eq!(answer.field("Location"), Some(&*format!("{url}x?y")));
    assert_eq!(answer.field("Link"), Some(&*format!("<{url}x>; rel=duplicate; pri=2")));
    let description = ask(&serving, 1, "/x.meta4");
    assert!(description.head.starts_with("HTTP/1.1 200 "), "{}", description.head);
    let text = String::from_utf8(description.body).expect("text");
    assert!(text.contains(url) && !text.contains(&serving.urls[0]), "{text}");
    let file = ask(&serving, 2, "/x");
    assert_eq!((file.field("Link"), file.field("Repr-Digest")), (None, None));
    assert!(file.field("x-goog-hash").is_some());
}

#[test]
fn one_file_of_authorities_is_good_for_all() {
    let scene = Scene::new();
    let arguments = ["--size=1M", "--ports=2", "--cert-out=ca.pem", "--on=2:seed=9"];
    let serving = Serving::start_several(&scene, 2, &arguments);
    for (seed, url) in [DEFAULT_SEED, 9].into_iter().zip(&serving.urls) {
        let target = format!("of-{seed}");
        scene.run(&["-q", "--ca-cert=ca.pem", "-o", &target, &format!("{url}x")]).success();
        let bytes = std::fs::read(scene.path().join(&target)).expect("the file");
        assert_eq!(content::verify(seed, 0, &bytes), Ok(()));
    }
}
