//! URLs that a redirect led to and that expire on the way: asked anew as often as that, with no
//! more requests than it takes, and never for a refusal that is meant.

mod common;

use common::{Place, SEED, Site, both_schemes, distant, serve, status};
use ringhaul::ErrorKind;
use ringhaul::OnChange;
use ringhaul::internal::base::size::{KIB, MIB};
use ringhaul::server::{Config, Fault, RequestLog, Rule, When};
use std::time::Duration;

/// Twelve spans and a tail that fits nothing.
const SIZE: u64 = 3 * MIB + 7;

fn site(config: Config, connections: u32) -> Site {
    Site::strict(config).with(|options| {
        options.connections = Some(connections);
        options.chunk_bytes = Some(256 * KIB);
        options.retry_wait = Duration::from_millis(1);
    })
}

/// The URL redirects to others, each of them good for `requests` requests.
fn expiring(requests: u32) -> Rule {
    Rule::new(When::PathPrefix("/file".into()), Fault::ExpiringRedirect { requests })
}

fn both(rules: &[Rule]) -> [Config; 2] {
    both_schemes(SIZE).map(|config| Config { script: rules.to_vec(), ..config })
}

fn with_status(site: &Site, status: u16) -> Vec<RequestLog> {
    let log = site.server.stats().log;
    log.into_iter().filter(|request| request.status == Some(status)).collect()
}

/// The download ends well, and each URL but the last one has served as often as it can.
fn renews(config: impl Fn(Rule) -> Config) {
    for requests in [1, 3] {
        for connections in [1, 3, 8] {
            let site = site(config(expiring(requests)), connections);
            site.succeeds(SIZE);
            let redirects = with_status(&site, 302).len();
            let needed = with_status(&site, 206).len().div_ceil(requests as usize);
            let what = format!("{requests} requests each, {connections} connections");
            assert!(redirects <= needed + 1, "{redirects} of {needed}: {what}");
        }
    }
}

#[test]
fn an_expired_url_is_asked_for_anew_as_often_as_it_takes() {
    renews(|rule| Config { script: vec![rule], ..Config::new(SEED, SIZE) });
}

#[test]
fn a_url_may_expire_while_every_connection_waits_for_an_answer() {
    renews(|rule| distant(Config { script: vec![rule], ..Config::new_tls(SEED, SIZE) }));
}

#[test]
fn requests_ahead_go_on_behind_a_new_url() {
    for config in both(&[expiring(8)]) {
        let site = site(distant(config), 1).with(|options| options.chunk_bytes = Some(128 * KIB));
        site.succeeds(SIZE);
        let renewed = with_status(&site, 302)[1].at;
        let later = site.server.stats().log.into_iter().filter(|request| request.at > renewed);
        assert!(later.into_iter().any(|request| request.is_early), "none behind the new URL");
    }
}

#[test]
fn a_new_url_that_refuses_means_it() {
    // The first URL serves four requests; those after it serve none.
    let config = Config::new(SEED, SIZE);
    let refused = status(403, "");
    for connections in [1, 3, 8] {
        let script = vec![expiring(4), Rule::new(When::Signature(2), refused.clone())];
        let site = site(Config { script, ..config.clone() }, connections);
        let site = site.with(|options| options.retries = 5);
        site.fails(ErrorKind::Status(403), 8, &["403", "are kept"]);
        assert_eq!(with_status(&site, 302).len(), 2, "the original URL is asked once per expiry");
    }
}

#[test]
fn a_renewed_url_elsewhere_hears_nothing_that_is_not_meant_for_it() {
    let elsewhere = serve(Config::new(SEED, SIZE).rule(expiring(4).when, expiring(4).what));
    let away = Fault::Redirect { status: 302, location: elsewhere.url("/file.bin") };
    let site = site(Config::new(SEED, 0).rule(When::All, away), 3).with(|options| {
        let headers = [("Host", "secret.example"), ("X-Api-Key", "secret"), ("X-Plain", "1")];
        options.headers = headers.map(|(name, value)| (name.into(), value.into())).to_vec();
    });
    site.succeeds(SIZE);
    let asked = site.server.stats().log;
    assert!(asked.len() > 1, "the URL was renewed");
    for request in asked {
        let is_there = |line: &str| request.head.contains(line);
        assert!(is_there("Host: secret.example\r\n") && is_there("X-Api-Key: secret\r\n"));
    }
    for request in elsewhere.stats().log {
        let head = &request.head;
        assert!(!head.contains("secret") && head.contains("X-Plain: 1\r\n"), "{head}");
    }
}

#[test]
fn a_refusal_without_a_redirect_is_final() {
    for code in [401, 403, 410] {
        let refused = status(code, "");
        let config = Config::new(SEED, SIZE).rule(When::FromRequest(4), refused);
        let site = site(config, 1).with(|options| {
            (options.retries, options.request_ahead) = (5, false);
        });
        site.fails(ErrorKind::Status(code), 8, &["are kept"]);
        assert_eq!(site.server.stats().requests, 4);
    }
}

#[test]
fn the_original_url_may_be_busy_for_a_moment() {
    for fault in [Fault::StallBeforeHead, Fault::Garbage(b"?".to_vec())] {
        // The request that asks for the second URL: one redirect and four spans came before.
        let rules = [Rule::once(When::Request(7), fault), expiring(4)];
        for config in both(&rules) {
            let site = site(config, 1).with(|options| {
                options.retries = 2;
                options.request_ahead = false;
                options.stall_timeout = Duration::from_millis(300);
            });
            let report = site.succeeds(SIZE);
            assert!(report.retries >= 1, "it was busy");
        }
    }
}

#[test]
fn a_file_that_was_replaced_meanwhile_is_noticed() {
    let replaced = Fault::Replaced { seed: SEED + 1, size_bytes: SIZE };
    // From the second URL on there is another file.
    let script = vec![expiring(4), Rule::new(When::Signature(2), replaced.clone())];
    for connections in [1, 3] {
        let config = || Config { script: script.clone(), ..Config::new(SEED, SIZE) };
        let site = site(config(), connections);
        site.fails(ErrorKind::Changed, 10, &["another one by now", "are kept"]);

        let script = [script.clone(), vec![Rule::new(When::FromRequest(7), replaced.clone())]];
        let site = site.moved(Config { script: script.concat(), ..config() }).with(|options| {
            options.on_change = OnChange::Restart;
            options.resume = false;
        });
        site.run().expect("it starts over");
        site.assert_whole(SEED + 1, SIZE);
    }
}

#[test]
fn one_stream_begins_again_at_the_original_url() {
    let rules = [
        expiring(1),
        Rule::new(When::All, Fault::NoRangeSupport),
        Rule::once(When::Request(2), Fault::ResetAfter(MIB)),
    ];
    for config in both(&rules) {
        let site = site(config, 3).with(|options| options.retries = 1);
        site.succeeds(SIZE);
        assert_eq!(with_status(&site, 302).len(), 2);
    }
}

/// The samples that are compared are more than one URL is good for.
#[test]
fn a_url_may_expire_while_another_one_is_proved_to_be_the_same_file() {
    for requests in [1, 5] {
        let gone = status(404, "");
        let script = vec![Rule::new(When::RangeStartFrom(2 * MIB), gone)];
        let mut site = site(Config { script, ..Config::new(SEED, SIZE) }, 3);
        site.path = "/mirror/file.bin".to_owned();
        site.run().expect_err("a part is missing there");
        let mut site =
            site.moved(Config { script: vec![expiring(requests)], ..both(&[])[0].clone() });
        site.path = "/file.bin".to_owned();
        assert!(site.succeeds(SIZE).resumed_bytes >= MIB);
    }
}
