//! Items with several URLs: each of them is asked in turn, and none is waited for while another one
//! has not been asked.

use crate::common::{serve, status};
use crate::farm::{Farm, SIZE, assert_ended, many, sized};
use ringhaul::internal::base::size::MIB;
use ringhaul::server::{Config, Fault, Rule, Server, When};
use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// Less than a single one of the waits that are to be saved: a refusal here asks for a minute, and
/// an origin that cannot be reached is tried again for longer than this in all.
const PROMPT: Duration = Duration::from_secs(4);

fn busy() -> Fault {
    let headers = vec![("Retry-After".into(), "60".into())];
    Fault::Status { code: 503, headers, body: b"busy".to_vec() }
}

/// A server that answers everything so.
fn refusing(fault: Fault) -> Server {
    serve(many().rule(When::All, fault))
}

/// An address that refuses connections, as long as it is kept.
fn gone() -> (OwnedFd, String) {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    bind(&socket, &any).expect("a free port");
    let address = SocketAddr::try_from(getsockname(&socket).expect("it is bound"));
    (socket, format!("http://{}", address.expect("an IP address")))
}

/// Where a server is.
fn base(server: &Server) -> String {
    server.url("")
}

/// A line for each path with these servers in turn.
fn lines(servers: &[String], paths: &[&str]) -> String {
    let line = |path: &&str| {
        let urls: Vec<String> = servers.iter().map(|server| format!("{server}{path}")).collect();
        urls.join("\t") + "\n"
    };
    paths.iter().map(line).collect()
}

const PATHS: [&str; 12] = ["/a", "/b", "/c", "/d", "/e", "/f", "/g", "/h", "/i", "/j", "/k", "/l"];

#[test]
fn all_mirrors_are_asked_in_turn_and_at_once() {
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]] {
        let refusing = [status(404, "no"), status(403, "no"), busy()].map(refusing);
        let (_kept, gone) = gone();
        let mut bases = refusing.each_ref().map(base).to_vec();
        bases.push(gone);
        let farm = Farm::new(many());
        let mut servers: Vec<String> = order.iter().map(|index| bases[*index].clone()).collect();
        servers.push(base(&farm.server));
        let began = Instant::now();
        farm.fetch(lines(&servers, &PATHS), &[]).success();
        assert!(began.elapsed() < PROMPT, "{order:?}: {:?}", began.elapsed());
        farm.has(&PATHS);
        assert_eq!(farm.requests(), PATHS.len() as u64, "{order:?}");
        assert!(refusing[0].counts().requests <= PATHS.len() as u64, "each is asked once");
    }
}

#[test]
fn large_files_have_mirrors_too() {
    let (_kept, gone) = gone();
    let (missing, busy) = (refusing(status(404, "no")), refusing(busy()));
    let farm = Farm::new(sized(many(), &[("/large", 3 * MIB)]));
    let line = lines(&[base(&missing), base(&farm.server)], &["/large"]);
    farm.fetch(line, &[]).success();
    let all = [gone, base(&busy), base(&missing), base(&farm.server)];
    let with_size = lines(&all, &["/large"]) + &format!("  size={}\n  out=again\n", 3 * MIB);
    let began = Instant::now();
    farm.fetch(with_size, &[]).success();
    assert!(began.elapsed() < PROMPT, "{:?}", began.elapsed());
    farm.holds(&[("large", "/large", 3 * MIB), ("again", "/large", 3 * MIB)]);
}

#[test]
fn an_item_that_no_mirror_has_fails_at_once() {
    let missing = [404, 410, 404].map(|code| refusing(status(code, "no")));
    let farm = Farm::new(many());
    let began = Instant::now();
    let list = lines(&missing.each_ref().map(base), &["/a"]);
    assert_ended(&farm.fetch(list, &[]), 8, &["out/a: ", "1 of 1 files failed"]);
    assert!(began.elapsed() < PROMPT, "{:?}", began.elapsed());
    assert_eq!(missing.each_ref().map(|server| server.counts().requests), [1, 1, 1]);
}

#[test]
fn a_mirror_that_was_busy_is_asked_again_though_another_one_has_nothing() {
    let busy = Fault::Status {
        code: 503,
        headers: vec![("Retry-After".into(), "1".into())],
        body: b"busy".to_vec(),
    };
    let once = Rule { when: When::All, what: busy, times: Some(1) };
    let farm = Farm::new(Config { script: vec![once], ..many() });
    let missing = refusing(status(404, "no"));
    farm.fetch(lines(&[base(&farm.server), base(&missing)], &["/a"]), &[]).success();
    farm.has(&["/a"]);
}

#[test]
fn what_a_mirror_has_brought_is_not_fetched_again() {
    let missing = refusing(status(404, "no"));
    let farm = Farm::new(many());
    let list = lines(&[base(&missing), base(&farm.server)], &["/a", "/b"]);
    farm.fetch(&list, &[]).success();
    let again = farm.fetch(&list, &[]);
    assert!(again.success().stderr.contains("0 fetched, 2 unchanged"), "{again:?}");
    farm.holds(&[("a", "/a", SIZE), ("b", "/b", SIZE)]);
}
