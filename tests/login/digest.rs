//! Digest authentication: over several connections and ahead of answers, with nonces that end.

use super::common::{SEED, Site, distant, fetch};
use super::{SECRET, guarded, heads};
use ringhaul::internal::base::size::{KIB, MIB};
use ringhaul::server::{Config, DigestGate, Fault, Gate, When};
use ringhaul::{Credentials, ErrorKind, Login, Options};

fn gate(md5: bool, nonce_requests: Option<u32>, names_next: bool) -> Fault {
    let gate = DigestGate::new("me".to_owned(), SECRET.to_owned());
    Fault::Gate(Gate::Digest(DigestGate { md5, nonce_requests, names_next, ..gate }))
}

fn options(password: &str) -> Options {
    let user = Credentials { user: b"me".to_vec(), password: password.into() };
    Options {
        login: Login { user: Some(user), ..Login::default() },
        connections: Some(6),
        chunk_bytes: Some(64 * KIB),
        retries: 0,
        ..Options::default()
    }
}

/// Every request behind the first is let in at once, and no count comes twice, whichever
/// connection it comes on.
#[test]
fn connections_share_a_nonce() {
    for md5 in [false, true] {
        for config in [Config::new(SEED, 4 * MIB), distant(Config::new(SEED, 4 * MIB))] {
            let site = Site::start(config.rule(When::All, gate(md5, None, false)));
            let run = site.fetch("/f?x=1&y", options(SECRET));
            let report = run.expect_file(SEED, 4 * MIB);
            assert_eq!(report.retries, 0);
            let log = site.stats().log;
            assert_eq!(log.iter().filter(|entry| entry.status == Some(401)).count(), 1);
            assert!(log.iter().all(|entry| entry.status != Some(400)), "a count came twice");
            assert!(log[0].head.contains("Authorization: Basic "), "nobody knew better");
            assert!(log[1..].iter().all(|entry| entry.head.contains("Authorization: Digest ")));
            assert!(!run.texts().iter().any(|text| text.contains(SECRET)));
        }
    }
}

#[test]
fn stale_nonces_are_renewed_without_a_failure() {
    for ahead in [false, true] {
        let config = distant(Config::new(SEED, 4 * MIB));
        let site = Site::start(config.rule(When::All, gate(false, Some(5), false)));
        let (connections, chunk_bytes) = (Some(1), Some(256 * KIB));
        let options = Options { request_ahead: ahead, connections, chunk_bytes, ..options(SECRET) };
        let report = site.fetch("/f", options).expect_file(SEED, 4 * MIB).clone();
        assert_eq!(report.retries, 0, "ahead: {ahead}");
        let log = site.stats().log;
        assert!(log.iter().filter(|entry| entry.status == Some(401)).count() >= 3, "{log:#?}");
        assert!(log.iter().all(|entry| entry.status != Some(400)));
        let last = &log[log.len() - 6..];
        assert_eq!(last.iter().any(|entry| entry.is_early), ahead, "requests ahead go on");
    }
}

#[test]
fn the_next_nonce_is_taken_where_it_is_named() {
    let site = Site::start(Config::new(SEED, 4 * MIB).rule(When::All, gate(false, Some(5), true)));
    site.fetch("/f", options(SECRET)).expect_file(SEED, 4 * MIB);
    let log = site.stats().log;
    assert_eq!(log.iter().filter(|entry| entry.status == Some(401)).count(), 1);
    let nonce = |head: &str| head.split_once("nonce=\"")?.1.split('"').next().map(str::to_owned);
    let nonces: std::collections::BTreeSet<_> = heads_of(&site).iter().map(|h| nonce(h)).collect();
    assert!(nonces.len() > 3, "{nonces:?}");
}

fn heads_of(site: &Site) -> Vec<String> {
    heads(&site.server)
}

#[test]
fn a_wrong_password_is_answered_once() {
    let site = Site::start(Config::new(SEED, MIB).rule(When::All, gate(false, None, false)));
    let run = site.fetch("/f", options("wrong"));
    let error = run.expect_error(ErrorKind::Status(401)).to_string();
    assert!(error.contains("Digest") && error.contains("those that were sent"), "{error}");
    assert_eq!(site.stats().requests, 2);
    let url = site.url("/f").replacen("://", "://me:sesame@", 1);
    fetch(&url, Options { login: Login::default(), ..options("x") }).expect_file(SEED, MIB);
}

/// A server that calls every nonce stale does not keep a client for ever.
#[test]
fn stale_without_end_has_an_end() {
    let field = "Digest realm=\"r\", nonce=\"n\", qop=\"auth\", stale=true".to_owned();
    let headers = vec![("WWW-Authenticate".to_owned(), field)];
    let server = guarded(Fault::Status { code: 401, headers, body: b"no".to_vec() });
    let run = fetch(&server.url("/f"), options(SECRET));
    run.expect_error(ErrorKind::Status(401));
    assert!(heads(&server).len() < 1000);
}
