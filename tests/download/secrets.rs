//! Credentials of the URL reach the server that asks for them, and no eye on the way.

use super::common::{Run, SEED, Site, fetch, status};
use ringhaul::Download;
use ringhaul::ErrorKind;
use ringhaul::Options;
use ringhaul::internal::base::size::KIB;
use ringhaul::server::{Config, Fault, When};

const SIZE: u64 = 300_000;
/// In the URL, decoded, and as the header field carries it.
const USERINFO: &str = "us%40er:open%2Dsesame%3A%C3%A9";
const SECRETS: [&str; 5] = [
    "open-sesame",
    "open%2Dsesame",
    "dXNAZXI6b3Blbi1zZXNhbWU6w6k=",
    "token-secret",
    "field-secret",
];

fn url(site: &Site, userinfo: &str) -> String {
    let url = site.url("/private/file?token=token-secret");
    url.replacen("://", &format!("://{userinfo}@"), 1)
}

fn options(site: &Site) -> Options {
    let headers = vec![("X-Key".to_owned(), "field-secret".to_owned())];
    Options { headers, retries: 1, chunk_bytes: Some(64 * KIB), ..site.options.clone() }
}

fn guarded(tls: bool) -> Config {
    let config = if tls { Config::new_tls(SEED, SIZE) } else { Config::new(SEED, SIZE) };
    let (user, password) = ("us@er".to_owned(), "open-sesame:é".to_owned());
    config.rule(When::All, Fault::RequireBasicAuth { user, password })
}

#[track_caller]
fn expect_discreet(run: &Run) {
    for text in run.texts() {
        let told = SECRETS.iter().find(|secret| text.contains(**secret));
        assert_eq!(told, None, "a secret is told: {text}");
    }
}

#[test]
fn credentials_of_the_url_open_the_door() {
    for tls in [false, true] {
        let site = Site::start(guarded(tls));
        let run = fetch(&url(&site, USERINFO), options(&site));
        run.expect_file(SEED, SIZE);
        expect_discreet(&run);
        let field = format!("Basic {}", SECRETS[2]);
        assert!(site.heads().iter().all(|head| head.contains(&field)), "{:?}", site.heads());
        let whole = site.heads().iter().all(|head| head.contains("?token=token-secret HTTP/1.1"));
        assert!(whole, "{:?}", site.heads());
    }
}

#[test]
fn a_wrong_password_is_refused_once_and_not_told() {
    let site = Site::start(guarded(false));
    for userinfo in ["us%40er:open-sesame-wrong", "open-sesame"] {
        let before = site.stats().requests;
        let run = fetch(&url(&site, userinfo), options(&site));
        let error = run.expect_error(ErrorKind::Status(401)).to_string();
        assert!(error.contains("those that were sent are refused"), "{error}");
        expect_discreet(&run);
        assert_eq!(site.stats().requests, before + 1, "asking again would not help");
    }
    let run = site.fetch("/private/file?token=token-secret", options(&site));
    let error = run.expect_error(ErrorKind::Status(401)).to_string();
    assert!(error.contains("'ringhaul'") && error.contains("-u NAME"), "{error}");
    expect_discreet(&run);
}

#[test]
fn no_failure_tells_secrets() {
    let elsewhere = |location: &str| Fault::Redirect { status: 302, location: location.into() };
    for (fault, kind) in [
        (status(404, "no"), ErrorKind::Status(404)),
        (status(503, "no"), ErrorKind::Status(503)),
        (Fault::Garbage(b"SSH-2.0-x\r\n".to_vec()), ErrorKind::Protocol),
        (Fault::WrongRange { shift: 4096 }, ErrorKind::RangeMismatch),
        (Fault::ContentEncoding("gzip".into()), ErrorKind::ContentEncoding),
        (elsewhere("ftp://us:open-sesame@h/?token=token-secret"), ErrorKind::Redirect),
        (elsewhere("/loop?token=token-secret"), ErrorKind::Redirect),
        (Fault::CloseAfter { bytes: 10, close_notify: true }, ErrorKind::Truncated),
        (Fault::ResetAfter(10), ErrorKind::ConnectionLost),
        (Fault::CloseOnAccept, ErrorKind::ConnectionLost),
    ] {
        let site = Site::start(Config::new(SEED, SIZE).rule(When::All, fault.clone()));
        let run = fetch(&url(&site, USERINFO), options(&site));
        let got = run.result.as_ref().err().map(|error| error.kind());
        assert_eq!(got, Some(kind), "{fault:?}: {:?}", run.result);
        run.expect_error(kind);
        expect_discreet(&run);
    }
}

#[test]
fn an_unreachable_server_and_a_wrong_certificate_tell_no_secrets() {
    let site = Site::start(Config::new_tls(SEED, SIZE));
    let untrusting = Options { ca_certs: Vec::new(), ..options(&site) };
    let run = fetch(&url(&site, USERINFO), untrusting);
    run.expect_error(ErrorKind::Certificate);
    expect_discreet(&run);
    let (gone, options) = (url(&site, USERINFO), options(&site));
    drop(site);
    let run = fetch(&gone, Options { ca_certs: Vec::new(), ..options });
    run.expect_error(ErrorKind::Connect);
    expect_discreet(&run);
    let nowhere = format!("http://{USERINFO}@no-such-host.invalid/?token=token-secret");
    let run = fetch(&nowhere, Options { retries: 0, ..Options::default() });
    run.expect_error(ErrorKind::Resolve);
    expect_discreet(&run);
}

#[test]
fn a_url_that_is_none_is_not_repeated_with_its_secrets() {
    for url in [
        format!("http://{USERINFO}@host:99999/?token=token-secret"),
        format!("ftp://{USERINFO}@host/?token=token-secret"),
        format!("{USERINFO}@host/?token=token-secret"),
        format!("http://{USERINFO}@/?token=token-secret"),
        format!("http://{USERINFO}@ho st/?token=token-secret"),
    ] {
        let error = Download::new(&url).err().expect("this is no URL");
        assert_eq!(error.kind(), ErrorKind::Usage);
        for text in [error.to_string(), format!("{error:?}")] {
            assert!(SECRETS.iter().all(|secret| !text.contains(secret)), "{text}");
        }
    }
}
