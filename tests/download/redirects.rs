//! Redirects: where they lead, what travels along, and where they end.

use super::common::{SEED, Site, fetch, status};
use ringhaul::ErrorKind;
use ringhaul::Options;
use ringhaul::internal::base::limits::REDIRECTS_MAX;
use ringhaul::internal::base::size::KIB;
use ringhaul::server::{Config, Fault, Rule, When};

const SIZE: u64 = 600_000;

fn redirect(config: Config, path: &str, status: u16, location: impl Into<String>) -> Config {
    let location = location.into();
    config.rule(When::PathPrefix(path.into()), Fault::Redirect { status, location })
}

/// "name:password@" put into a URL.
fn with_userinfo(url: &str, userinfo: &str) -> String {
    url.replacen("://", &format!("://{userinfo}@"), 1)
}

fn secret_options(site: &Site) -> Options {
    let headers = [("Cookie", "id=cookie-secret"), ("X-Plain", "goes everywhere")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    Options { headers, chunk_bytes: Some(64 * KIB), ..site.options.clone() }
}

fn has_secrets(head: &str) -> bool {
    let head = head.to_lowercase();
    let found = ["\r\nauthorization: basic ", "\r\ncookie: id=cookie-secret"];
    let found = found.map(|field| head.contains(field));
    assert_eq!(found[0], found[1], "either both secrets travel or none: {head}");
    found[0]
}

#[test]
fn a_chain_within_one_origin_keeps_everything() {
    let mut config = Config::new(SEED, SIZE);
    let mut hop = |path: &str, status, location: &str, times| {
        let (when, location) = (When::PathPrefix(path.into()), location.into());
        config.script.push(Rule { when, what: Fault::Redirect { status, location }, times });
    };
    hop("/a/start", 301, "../b/two?token=1", None);
    hop("/b/two", 302, "/c/three", None);
    hop("/c/three", 303, "four#fragment", None);
    // The first rule counts as long as it is not worn out.
    hop("/c/four", 307, "?query=1", Some(1));
    hop("/c/four", 307, "./five", None);
    hop("/c/five", 308, "/file", None);
    let site = Site::start(config);
    let url = with_userinfo(&site.url("/a/start"), "user:pass%20word");
    let run = fetch(&url, secret_options(&site));
    assert_eq!(run.expect_file(SEED, SIZE).retries, 0);
    let stats = site.stats();
    let targets: Vec<&str> = stats.log.iter().map(|entry| entry.target.as_str()).collect();
    let hops = ["/a/start", "/b/two?token=1", "/c/three", "/c/four", "/c/four?query=1", "/c/five"];
    assert_eq!(targets[..6], hops);
    assert!(targets[6..].iter().all(|target| *target == "/file"), "{targets:?}");
    assert_eq!(stats.requests - 6, SIZE.div_ceil(64 * KIB), "the parts come from the last place");
    assert!(site.heads().iter().all(|head| has_secrets(head)), "{:?}", site.heads());
    assert!(site.heads()[0].contains("Basic dXNlcjpwYXNzIHdvcmQ="), "{}", site.heads()[0]);
}

/// There and back again: what went out without secrets comes back without them. One server is two
/// origins, as it has two names.
#[test]
fn another_origin_gets_no_secrets_and_they_do_not_come_back() {
    let site = Site::start_knowing_its_port(|port| {
        let config = Config::new(SEED, SIZE);
        let config = redirect(config, "/start", 302, format!("http://127.0.0.1:{port}/away"));
        redirect(config, "/away", 302, format!("http://localhost:{port}/file"))
    });
    let url = format!("http://localhost:{}/start", site.port());
    let run = fetch(&with_userinfo(&url, "user:word"), secret_options(&site));
    assert_eq!(run.expect_file(SEED, SIZE).retries, 0);
    let heads = site.heads();
    let hosts = ["localhost", "127.0.0.1", "localhost"].map(|host| format!("Host: {host}:"));
    assert!(heads.iter().zip(&hosts).all(|(head, host)| head.contains(host)), "{heads:?}");
    assert!(has_secrets(&heads[0]), "{heads:?}");
    for head in &heads[1..] {
        assert!(!has_secrets(head), "{head}");
        assert!(head.contains("goes everywhere"), "{head}");
    }
}

/// `Host` names a site of the first server; a key is one of its users'.
#[test]
fn host_and_tokens_stay_with_the_origin_they_were_given_for() {
    let file = Site::start(Config::new(SEED, SIZE));
    let start = redirect(Config::new(SEED, 0), "/start", 302, "/again".to_owned());
    let start = Site::start(redirect(start, "/again", 302, file.url("/file")));
    let given = [
        ("Host", "secret.example"),
        ("X-Api-Key", "secret-1"),
        ("Private-Token", "secret-2"),
        ("X-Auth-Token", "secret-3"),
        ("X-Plain", "goes everywhere"),
    ];
    let headers = given.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let options = Options { headers, ..start.options.clone() };
    start.fetch("/start", options).expect_file(SEED, SIZE);
    for head in start.heads() {
        let is_there =
            |(name, value): &(&str, &str)| head.contains(&format!("{name}: {value}\r\n"));
        assert!(given.iter().all(is_there), "the same origin gets them: {head}");
    }
    assert_eq!(start.heads().len(), 2);
    for head in file.heads() {
        assert!(!head.contains("secret") && head.contains("goes everywhere"), "{head}");
        assert!(head.contains(&format!("Host: 127.0.0.1:{}\r\n", file.port())), "{head}");
    }
}

/// The next origin may be another server; it is the one that serves the parts.
#[test]
fn all_parts_come_from_where_the_redirects_end() {
    let file = Site::start(Config::new_tls(SEED, SIZE));
    let start = Site::start(redirect(Config::new(SEED, 0), "/", 302, file.url("/file")));
    let url = with_userinfo(&start.url("/start"), "user:word");
    let options = Options { ca_certs: file.options.clone().ca_certs, ..secret_options(&start) };
    fetch(&url, options).expect_file(SEED, SIZE);
    assert_eq!(start.stats().requests, 1);
    assert_eq!(file.stats().requests, SIZE.div_ceil(64 * KIB));
    assert!(has_secrets(&start.heads()[0]));
    assert!(!file.heads().iter().any(|head| has_secrets(head)), "{:?}", file.heads());
}

#[test]
fn userinfo_in_a_location_is_used_there_in_place_of_ours() {
    let file = Site::start(Config::new(SEED, SIZE));
    let location = with_userinfo(&file.url("/file"), "guest:pass");
    let site = Site::start(redirect(Config::new(SEED, 0), "/", 302, location));
    let url = with_userinfo(&site.url("/start"), "me:mine");
    fetch(&url, secret_options(&site)).expect_file(SEED, SIZE);
    assert!(site.heads()[0].contains("Authorization: Basic bWU6bWluZQ=="), "{:?}", site.heads());
    for head in file.heads() {
        assert!(head.contains("Authorization: Basic Z3Vlc3Q6cGFzcw=="), "{head}");
        assert!(!head.contains("cookie-secret"), "{head}");
    }
}

#[test]
fn from_http_to_https_and_back_only_if_allowed() {
    let secure = Site::start(Config::new_tls(SEED, SIZE));
    let plain = Site::start(redirect(Config::new(SEED, SIZE), "/up", 301, secure.url("/file")));
    let run = plain.fetch("/up", secure.options.clone());
    assert!(run.expect_file(SEED, SIZE).ranges);
    let down = redirect(Config::new_tls(SEED, SIZE), "/down", 301, plain.url("/file"));
    let down = Site::start(down);
    let run = down.fetch("/down", down.options.clone());
    let error = run.expect_error(ErrorKind::Redirect).to_string();
    assert!(error.contains("--allow-downgrade"), "{error}");
    assert_eq!(plain.stats().requests, 1, "nothing was asked in the open");
    let run = down.fetch("/down", Options { allow_downgrade: true, ..down.options.clone() });
    run.expect_file(SEED, SIZE);
}

#[test]
fn the_limit_and_loops() {
    let hop = Fault::Redirect { status: 302, location: "/on".into() };
    for (hops, is_reached) in [(REDIRECTS_MAX, true), (REDIRECTS_MAX + 1, false)] {
        let mut config = Config::new(SEED, SIZE);
        config.script.push(Rule { when: When::All, what: hop.clone(), times: Some(hops) });
        let site = Site::start(config);
        let run = site.fetch("/start", site.options.clone());
        if is_reached {
            run.expect_file(SEED, SIZE);
        } else {
            let error = run.expect_error(ErrorKind::Redirect).to_string();
            assert!(error.contains(&REDIRECTS_MAX.to_string()), "{error}");
            assert_eq!(site.stats().requests, u64::from(REDIRECTS_MAX) + 1);
        }
    }
    let ping = redirect(Config::new(SEED, SIZE), "/ping", 302, "/pong");
    let site = Site::start(redirect(ping, "/pong", 302, "/ping"));
    site.fetch("/ping", site.options.clone()).expect_error(ErrorKind::Redirect);
}

#[test]
fn redirects_that_lead_nowhere() {
    for location in ["ftp://host/file", "http://", "file:///etc/passwd", ""] {
        let site = Site::start(redirect(Config::new(SEED, SIZE), "/", 302, location));
        let run = site.fetch("/start", site.options.clone());
        run.expect_error(ErrorKind::Redirect);
        assert_eq!(site.stats().requests, 1, "{location}: such a server is not asked again");
    }
    let status = status(302, "");
    let site = Site::start(Config::new(SEED, SIZE).rule(When::All, status));
    site.fetch("/start", site.options.clone()).expect_error(ErrorKind::Redirect);
}
