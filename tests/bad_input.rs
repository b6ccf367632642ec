//! Each case of bad input, end to end: the right kind and exit code, one line that names cause and
//! side, no file, no connection, no hang.

mod common;

use common::child::{CHILD_DONE, CHILD_SKIPS, child_of, limited, program, run_child};
use common::{
    NAME, Place, SEED, Site, assert_content, assert_line, bounded, eventually, expect_error, fetch,
    names, skipped, status,
};
use ringhaul::Download;
use ringhaul::Options;
use ringhaul::Report;
use ringhaul::internal::base::size::MIB;
use ringhaul::server::{
    Config, EntityTag, Fault, Route, Rule, Served, Server, TlsConfig, When, content,
};
use ringhaul::{ErrorKind, Result};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// A small file in several spans.
const SIZE: u64 = 3 * MIB + 5;

/// A server with one fault in every answer, asked for three spans on two connections.
fn always(fault: Fault) -> Site {
    over(Config::new(SEED, SIZE).rule(When::All, fault))
}

fn always_tls(fault: Fault) -> Site {
    over(Config::new_tls(SEED, SIZE).rule(When::All, fault))
}

fn over(config: Config) -> Site {
    Site::strict(config).with(|options| {
        options.chunk_bytes = Some(MIB);
        options.connections = Some(2);
    })
}

/// Downloads `url` into a folder of its own, which is empty afterwards.
fn run_alone(url: &str, options: Options) -> Result<Report> {
    let run = fetch(url, options);
    assert_eq!(run.names(), [""; 0]);
    run.result
}

/// Downloads the site's file to `target`.
fn run_to(site: &Site, target: &Path) -> Result<Report> {
    let download = site.download().output(target);
    bounded("the download", move || download.run())
}

fn no_retries() -> Options {
    Options { retries: 0, ..Options::default() }
}

// --- the URL ---

#[test]
fn an_unparsable_url_is_your_mistake() {
    for url in ["", "no url", "http://", "http://[::1", "http://h:99999/", "//h/x", "http:///"] {
        let error = Download::new(url).map(drop);
        expect_error(error, ErrorKind::Usage, 2, &["(your side)"]);
    }
}

#[test]
fn an_unparsable_url_shows_no_password() {
    for url in [
        "http://me:sesame@h:99999/",
        "http://me:ses/sesame@h/f",
        "https:/me:sesame@h:99999/f",
        "http:\\\\me:ses\\sesame@h:99999/f",
        "http://me:ses?sesame@h:99999/f",
        "http://me:sesame%40h/f",
        "sesame:pw@h/f",
        "ftp://me:sesame@h/?token=1",
    ] {
        let line =
            expect_error(Download::new(url).map(drop), ErrorKind::Usage, 2, &["(your side)"]);
        assert!(!line.contains("ses"), "{line}");
    }
}

#[test]
fn an_unknown_scheme_is_named() {
    for url in ["ftp://h/x", "file:///etc/passwd", "httpx://h/", "mailto:me@h"] {
        let scheme = url.split_once(':').unwrap().0;
        expect_error(Download::new(url).map(drop), ErrorKind::Usage, 2, &[scheme, "(your side)"]);
    }
}

#[test]
fn a_header_that_cannot_be_sent_is_refused_before_anything_happens() {
    for (name, value) in [("X\r\nY", "v"), ("", "v"), ("X", "v\r\nInjected: 1"), ("X", "\0")] {
        let site = over(Config::new(SEED, SIZE));
        let site = site.with(|options| options.headers.push((name.into(), value.into())));
        site.fails(ErrorKind::Usage, 2, &["(your side)"]);
        assert_eq!(site.server.stats().connections, 0);
    }
}

// --- getting connected ---

#[test]
fn an_unknown_host_is_named() {
    let result = run_alone("http://no-such-host.invalid/x?token=1", no_retries());
    let words = ["no-such-host.invalid", "(network)", "check the host name"];
    expect_error(result, ErrorKind::Resolve, 3, &words);
}

/// An address that refuses connections for as long as the socket lives: its port is taken by a
/// client, so nobody can come to listen on it.
fn refusing() -> (SocketAddr, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let client = TcpStream::connect(address).expect("it listens");
    (client.local_addr().expect("it is connected"), client)
}

#[test]
fn a_refused_connection_names_the_address() {
    let (address, _keeper) = refusing();
    for scheme in ["http", "https"] {
        let result = run_alone(&format!("{scheme}://me:sesame@{address}/x"), no_retries());
        let words = [&*address.to_string(), "refused", "(network)"];
        expect_error(result, ErrorKind::Connect, 4, &words);
    }
}

#[test]
fn a_refused_connection_is_tried_as_often_as_allowed() {
    let (address, _keeper) = refusing();
    let options = Options { retries: 2, ..Options::default() };
    let run = fetch(&format!("http://{address}/"), options);
    expect_error(run.result, ErrorKind::Connect, 4, &[]);
    let retries = run.events.iter().filter(|event| event.text.contains("trying again")).count();
    assert_eq!(retries, 2);
}

#[test]
fn a_stopped_server_refuses() {
    let mut site = over(Config::new(SEED, SIZE));
    site.server.stop();
    eventually("the listener is gone", || TcpStream::connect(site.server.address()).is_err());
    site.fails(ErrorKind::Connect, 4, &["refused", "(network)"]);
}

#[test]
fn a_reset_on_accept_is_the_networks_fault() {
    for site in [always(Fault::ResetOnAccept), always_tls(Fault::ResetOnAccept)] {
        let error = site.run().unwrap_err();
        // The reset may overtake the end of connect().
        let (kind, exit_code) = match error.kind() {
            ErrorKind::Connect => (ErrorKind::Connect, 4),
            _ => (ErrorKind::ConnectionLost, 5),
        };
        expect_error(Err::<(), _>(error), kind, exit_code, &["127.0.0.1", "(network)"]);
        site.assert_nothing_left();
        assert_eq!(site.server.stats().connections, 1);
    }
}

#[test]
fn a_close_on_accept_is_a_lost_connection() {
    always(Fault::CloseOnAccept).fails(ErrorKind::ConnectionLost, 5, &["closed", "(network)"]);
    let line = always_tls(Fault::CloseOnAccept).fails(ErrorKind::Tls, 23, &["(server side)"]);
    assert!(line.contains("handshake"), "{line}");
}

#[test]
fn a_reset_in_each_body_is_a_lost_connection() {
    for site in [always(Fault::ResetAfter(1000)), always_tls(Fault::ResetAfter(1000))] {
        // Retried at once, then after a wait: nothing is ever kept, so two retries are the end.
        let site = site.with(|options| options.retries = 2);
        site.fails(ErrorKind::ConnectionLost, 5, &["127.0.0.1", "(network)"]);
    }
}

#[test]
fn silence_is_a_time_out() {
    for (fault, is_tls) in [
        (Fault::StallOnAccept, false),
        (Fault::StallOnAccept, true),
        (Fault::StallBeforeHead, false),
        (Fault::StallBeforeHead, true),
        (Fault::StallAfter(70_000), false),
        (Fault::StallAfter(70_000), true),
    ] {
        let site = if is_tls { always_tls(fault) } else { always(fault) };
        let site = site.with(|options| {
            options.connect_timeout = Duration::from_millis(400);
            options.stall_timeout = Duration::from_millis(400);
        });
        site.fails(ErrorKind::TimedOut, 6, &["-timeout", "(network)"]);
    }
}

// --- TLS ---

#[test]
fn an_unknown_authority_is_a_certificate_error() {
    let site = over(Config::new_tls(SEED, SIZE)).with(|options| options.ca_certs.clear());
    let words = ["not signed by a known authority", "(server side)", "--ca-cert"];
    site.fails(ErrorKind::Certificate, 7, &words);
    assert_eq!(site.server.stats().requests, 0, "nothing is said to a server nobody trusts");
}

#[test]
fn a_certificate_for_another_host_names_both() {
    let tls = TlsConfig { names: vec!["other.example".into()], ..TlsConfig::default() };
    let site = over(Config { tls: Some(tls), ..Config::new(SEED, SIZE) });
    let words = ["127.0.0.1", "other.example", "(server side)"];
    site.fails(ErrorKind::Certificate, 7, &words);
    assert_eq!(site.server.stats().requests, 0);
}

#[test]
fn certificates_that_cannot_be_read_are_your_mistake() {
    let site = over(Config::new_tls(SEED, SIZE));
    let site = site.with(|options| options.ca_certs.push("/no/such/file.pem".into()));
    site.fails(ErrorKind::Usage, 2, &["/no/such/file.pem", "(your side)", "--ca-cert"]);
}

#[test]
fn https_to_a_plain_server_is_said_so() {
    let site = over(Config::new(SEED, SIZE));
    let url = site.server.url("/").replace("http:", "https:");
    let words = ["does not speak TLS", "(server side)", "http://"];
    expect_error(run_alone(&url, no_retries()), ErrorKind::Tls, 23, &words);
    site.assert_disconnected();
}

#[test]
fn http_to_a_tls_server_is_said_so() {
    let site = over(Config::new_tls(SEED, SIZE));
    let url = site.server.url("/").replace("https:", "http:");
    let words = ["127.0.0.1", "TLS", "(server side)", "https://"];
    expect_error(run_alone(&url, no_retries()), ErrorKind::Protocol, 9, &words);
    site.assert_disconnected();
}

// --- the answer ---

/// The exit code of a status: one that may pass has its own.
fn code_of(status: u16) -> u8 {
    if matches!(status, 500 | 503) { 22 } else { 8 }
}

#[test]
fn statuses_without_data_are_named() {
    for code in [400, 401, 403, 404, 410, 416, 451, 500, 501, 503] {
        let site = always(status(code, "no\n"));
        let words = [&*code.to_string(), "127.0.0.1", "(server side)"];
        site.fails(ErrorKind::Status(code), code_of(code), &words);
    }
}

#[test]
fn what_may_pass_is_asked_again_and_what_may_not_is_not() {
    // What might be meant for ranges alone is asked once more without one.
    for (code, requests) in [(403, 2), (404, 1), (410, 1), (500, 2), (503, 2)] {
        let site = always(status(code, "no\n")).with(|options| options.retries = 1);
        site.fails(ErrorKind::Status(code), code_of(code), &[]);
        assert_eq!(site.server.stats().requests, requests, "{code}");
    }
}

#[test]
fn what_refuses_ranges_and_answers_nothing_else_is_said_so() {
    let config = Config::new(SEED, SIZE)
        .rule(When::RangeStartFrom(0), status(403, "no\n"))
        .rule(When::Request(2), Fault::Garbage(Vec::new()));
    over(config).fails(ErrorKind::ConnectionLost, 5, &["asking without a range", "(network)"]);
    // Whoever may not read the file hears that, and nothing of ranges.
    let line = always(status(403, "no\n")).fails(ErrorKind::Status(403), 8, &["403"]);
    assert!(!line.contains("range"), "{line}");
}

#[test]
fn a_416_that_names_a_size_is_a_status() {
    let headers = vec![("Content-Range".to_owned(), "bytes */1000".to_owned())];
    let site = always(Fault::Status { code: 416, headers, body: Vec::new() });
    site.fails(ErrorKind::Status(416), 8, &["416", "(server side)"]);
}

#[test]
fn wrong_credentials_are_a_401_that_shows_none() {
    let fault = Fault::RequireBasicAuth { user: "me".into(), password: "other".into() };
    let site = always(fault);
    let url = site.server.url("/x?token=1").replace("http://", "http://me:sesame@");
    let words = ["401", "Basic", "(server side)", "check name and password"];
    expect_error(run_alone(&url, no_retries()), ErrorKind::Status(401), 8, &words);
    site.assert_disconnected();
}

#[test]
fn a_missing_file_is_a_404() {
    let route = Route { path: "/file.bin".into(), what: Served::Missing };
    let site = over(Config { routes: vec![route], ..Config::new(SEED, SIZE) });
    site.fails(ErrorKind::Status(404), 8, &["404", "Not Found", "(server side)"]);
}

#[test]
fn a_status_between_spans_is_named() {
    let site = over(Config::new(SEED, SIZE).rule(When::FromRequest(2), status(403, "no\n")));
    site.fails(ErrorKind::Status(403), 8, &["403", "127.0.0.1", "(server side)"]);
}

#[test]
fn a_head_above_the_limit_is_refused() {
    for site in [always(Fault::HugeHead(70_000)), always_tls(Fault::HugeHead(70_000))] {
        site.fails(ErrorKind::Protocol, 9, &["head", "65536", "(server side)"]);
    }
}

#[test]
fn garbage_is_no_http() {
    for garbage in [
        &b"SSH-2.0-OpenSSH_9.6\r\n"[..],
        b"220 ftp.example FTP server ready\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 20x Odd\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"\x00\x01\x02\xff\xfe\x1b[31m\r\n\r\n",
        b"<html>what?</html>\r\n\r\n",
    ] {
        let site = always(Fault::Garbage(garbage.to_vec()));
        site.fails(ErrorKind::Protocol, 9, &["127.0.0.1", "(server side)"]);
    }
}

#[test]
fn the_peers_words_cannot_draw_on_the_terminal() {
    let long = "x".repeat(50_000);
    for answer in [
        "HTTP/1.1 404 \u{9b}31mRed\t\u{202e}\r\nContent-Length: 0\r\n\r\n".to_owned(),
        format!("HTTP/1.1 404 {long}\r\nContent-Length: 0\r\n\r\n"),
        format!("HTTP/1.1 401 No\r\nWWW-Authenticate: {long}\r\nContent-Length: 0\r\n\r\n"),
    ] {
        // Refused as malformed or shown in bounds, but never printed as it came.
        let error = always(Fault::Garbage(answer.into_bytes())).run().unwrap_err();
        assert_line(&error);
        assert!(matches!(error.kind(), ErrorKind::Status(_) | ErrorKind::Protocol), "{error}");
    }
}

#[test]
fn silence_after_the_request_is_a_lost_connection_and_half_a_head_is_truncated() {
    let site = always(Fault::Garbage(Vec::new()));
    site.fails(ErrorKind::ConnectionLost, 5, &["closed", "(network)"]);
    let site = always(Fault::Garbage(b"HTTP/1.1 206 Partial\r\nContent-Le".to_vec()));
    site.fails(ErrorKind::Truncated, 11, &["head", "(server side)"]);
}

#[test]
fn too_many_interim_answers_are_refused() {
    always(Fault::Interim(1000)).fails(ErrorKind::Protocol, 9, &["(server side)"]);
}

// --- the body ---

#[test]
fn a_shorter_body_is_truncated() {
    let cut = |close_notify| Fault::CloseAfter { bytes: 1000, close_notify };
    for site in [always(cut(true)), always_tls(cut(true)), always_tls(cut(false))] {
        site.fails(ErrorKind::Truncated, 11, &["127.0.0.1", "(server side)"]);
    }
}

#[test]
fn a_shorter_body_without_ranges_is_truncated_in_each_framing() {
    for framing in [Fault::NoRangeSupport, Fault::Chunked] {
        let config = Config::new(SEED, SIZE)
            .rule(When::All, Fault::NoRangeSupport)
            .rule(When::All, framing)
            .rule(When::All, Fault::CloseAfter { bytes: 2 * MIB, close_notify: true });
        over(config).fails(ErrorKind::Truncated, 11, &["127.0.0.1", "(server side)"]);
    }
}

#[test]
fn a_body_that_ends_with_the_connection_needs_close_notify_under_tls() {
    let config = |close_notify| {
        Config::new_tls(SEED, SIZE)
            .rule(When::All, Fault::NoRangeSupport)
            .rule(When::All, Fault::NoLength)
            .rule(When::All, Fault::CloseAfter { bytes: SIZE, close_notify })
    };
    over(config(true)).succeeds(SIZE);
    over(config(false)).fails(ErrorKind::Truncated, 11, &["close_notify", "(server side)"]);
}

#[test]
fn a_partial_answer_without_length_is_held_to_its_range() {
    let config = Config::new(SEED, SIZE)
        .rule(When::All, Fault::NoLength)
        .rule(When::All, Fault::CloseAfter { bytes: 1000, close_notify: true });
    over(config).fails(ErrorKind::Truncated, 11, &["(server side)"]);
}

#[test]
fn a_longer_body_never_reaches_the_file() {
    // Seen with the end of the body it is an error, in the next answer too; unseen it is nobody's
    // business. Either way the file is right or is not there.
    for site in [always(Fault::LongBody(7)), always_tls(Fault::LongBody(100_000))] {
        match site.run() {
            Ok(_) => assert_content(&site.target(), SEED, SIZE),
            Err(error) => {
                assert_eq!((error.kind(), error.exit_code()), (ErrorKind::Protocol, 9), "{error}");
                assert_line(&error);
                site.assert_nothing_left();
            }
        }
        site.assert_disconnected();
    }
}

#[test]
fn a_longer_body_that_comes_with_its_head_is_refused() {
    let site = over(Config::new(SEED, 100).rule(When::All, Fault::LongBody(7)));
    site.fails(ErrorKind::Protocol, 9, &["127.0.0.1", "longer", "(server side)"]);
}

#[test]
fn another_range_is_refused() {
    for shift in [4096, 1] {
        let site = always(Fault::WrongRange { shift });
        site.fails(ErrorKind::RangeMismatch, 10, &["asked for", "127.0.0.1", "(server side)"]);
    }
    for shift in [-4096, -1, 4096] {
        let rule = Rule::new(When::FromRequest(2), Fault::WrongRange { shift });
        let site = over(Config { script: vec![rule], ..Config::new(SEED, SIZE) });
        site.fails(ErrorKind::RangeMismatch, 10, &["127.0.0.1", "(server side)"]);
    }
}

#[test]
fn another_size_between_spans_is_a_changed_file() {
    for total in [SIZE + 1, SIZE - 1, 1 << 40] {
        let site =
            over(Config::new(SEED, SIZE).rule(When::FromRequest(2), Fault::WrongTotal(total)));
        site.fails(ErrorKind::Changed, 10, &[&total.to_string(), "127.0.0.1", "(server side)"]);
    }
}

#[test]
fn a_total_that_contradicts_its_range_is_refused() {
    always(Fault::WrongTotal(10)).fails(ErrorKind::RangeMismatch, 10, &["(server side)"]);
}

#[test]
fn another_etag_between_spans_is_a_changed_file() {
    let other = || Fault::ETag("\"other\"".into());
    let honest = Config::new(SEED, SIZE).rule(When::FromRequest(2), other());
    over(honest).fails(ErrorKind::Changed, 10, &["127.0.0.1", "(server side)"]);
    let careless = Config::new(SEED, SIZE)
        .rule(When::FromRequest(2), other())
        .rule(When::All, Fault::IgnoreConditions);
    over(careless).fails(ErrorKind::Changed, 10, &["ETag", "127.0.0.1", "(server side)"]);
}

#[test]
fn a_changed_file_is_not_retried() {
    let config = Config::new(SEED, SIZE)
        .rule(When::FromRequest(2), Fault::ETag("\"other\"".into()))
        .rule(When::All, Fault::IgnoreConditions);
    let site =
        over(config).with(|options| (options.retries, options.connections) = (1000, Some(1)));
    site.fails(ErrorKind::Changed, 10, &[]);
    assert_eq!(site.server.stats().requests, 2);
}

#[test]
fn another_date_between_spans_is_a_changed_file() {
    let date = |day: u32| format!("Sat, 0{day} Jan 2000 00:00:00 GMT");
    let mut body = vec![0; 1 << 20];
    content::fill(SEED, 0, &mut body);
    let headers = vec![
        ("Content-Range".into(), format!("bytes 0-{}/{SIZE}", MIB - 1)),
        ("Last-Modified".into(), date(1)),
        // Long after the file was written: only then is its date proof of a version.
        ("Date".into(), date(8)),
    ];
    let first = Fault::Status { code: 206, headers, body };
    let etag = EntityTag::Absent;
    let config = Config { etag, last_modified: Some(date(2)), ..Config::new(SEED, SIZE) }
        .rule(When::Request(1), first)
        .rule(When::All, Fault::IgnoreConditions);
    over(config).fails(ErrorKind::Changed, 10, &["Last-Modified", "(server side)"]);
}

#[test]
fn a_content_coding_is_refused() {
    for coding in ["gzip", "br", "x-unknown"] {
        let site = always(Fault::ContentEncoding(coding.into()));
        site.fails(ErrorKind::ContentEncoding, 24, &[coding, "127.0.0.1", "(server side)"]);
    }
}

// --- redirects ---

#[test]
fn a_redirect_loop_ends() {
    let to_itself = Fault::Redirect { status: 302, location: "/file.bin?token=1".into() };
    let site = always(to_itself);
    site.fails(ErrorKind::Redirect, 12, &["more than 20 redirects", "(server side)"]);
    assert_eq!(site.server.stats().requests, 21);
}

#[test]
fn a_redirect_to_what_is_no_url_is_refused() {
    for location in ["", "ftp://h/", "file:///etc/passwd", "http://[", "javascript:alert(1)"] {
        let site = always(Fault::Redirect { status: 301, location: location.into() });
        site.fails(ErrorKind::Redirect, 12, &["127.0.0.1", "(server side)"]);
    }
}

#[test]
fn a_redirect_to_plain_http_is_refused_unless_allowed() {
    let plain = Server::start(Config::new(SEED, SIZE)).unwrap();
    let redirect = Fault::Redirect { status: 302, location: plain.url("/file.bin") };
    let site = always_tls(redirect);
    let words = ["from https to plain http", "(server side)", "--allow-downgrade"];
    site.fails(ErrorKind::Redirect, 12, &words);
    assert_eq!(plain.stats().connections, 0, "the plain server never hears of it");
    let site = site.with(|options| options.allow_downgrade = true);
    site.succeeds(SIZE);
}

// --- the output ---

#[test]
fn no_output_is_your_mistake() {
    let site = over(Config::new(SEED, SIZE));
    let download = Download::new(&site.server.url("/")).unwrap();
    expect_error(download.run(), ErrorKind::Usage, 2, &["output", "(your side)"]);
}

/// Runs with `target`, which is not usable; nobody is asked for anything.
fn unusable(target: &Path, kind: ErrorKind, words: &[&str]) {
    let site = over(Config::new(SEED, SIZE));
    expect_error(run_to(&site, target), kind, kind.exit_code(), words);
    assert_eq!(site.server.stats().connections, 0, "no server hears of a target that is no good");
}

#[test]
fn a_missing_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("missing").join(NAME);
    unusable(&target, ErrorKind::TargetUnusable, &["missing", "(your side)", "create it"]);
    fs::write(folder.path().join("missing"), "a file").unwrap();
    unusable(&target, ErrorKind::TargetUnusable, &["missing", "not a folder", "(your side)"]);
    assert_eq!(names(folder.path()), ["missing"]);
}

#[test]
fn a_target_that_is_a_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(NAME)).unwrap();
    let words = [NAME, "is a folder", "(your side)"];
    unusable(&folder.path().join(NAME), ErrorKind::TargetUnusable, &words);
    assert_eq!(names(folder.path()), [NAME]);
}

#[test]
fn an_existing_target_is_kept_unless_forced() {
    let site = over(Config::new(SEED, SIZE));
    fs::write(site.target(), "mine").unwrap();
    expect_error(site.run(), ErrorKind::TargetExists, 14, &[NAME, "(your side)", "--force"]);
    assert_eq!(fs::read(site.target()).unwrap(), b"mine");
    assert_eq!(site.names(), [NAME]);
    assert_eq!(site.server.stats().connections, 0);
    site.with(|options| options.force = true).succeeds(SIZE);
}

#[test]
fn a_failure_keeps_the_target_that_was_to_be_replaced() {
    let site = always(status(404, "no\n")).with(|options| options.force = true);
    fs::write(site.target(), "mine").unwrap();
    expect_error(site.run(), ErrorKind::Status(404), 8, &[]);
    assert_eq!(fs::read(site.target()).unwrap(), b"mine");
    assert_eq!(site.names(), [NAME]);
}

#[test]
fn a_part_file_in_use_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join(format!("{NAME}.part"));
    fs::write(&part, "theirs").unwrap();
    let theirs = fs::File::open(&part).unwrap();
    theirs.lock().unwrap();
    let words = ["another ringhaul", &*part.to_string_lossy(), "(your side)"];
    unusable(&folder.path().join(NAME), ErrorKind::Busy, &words);
    assert_eq!(fs::read(&part).unwrap(), b"theirs");
}

#[test]
fn a_read_only_folder_is_refused() {
    let test = "a_read_only_folder_is_refused";
    if let Some(folder) = child_of(test) {
        let words = ["cannot create", &*folder, "denied", "(your side)"];
        let target = Path::new(&folder).join(NAME);
        unusable(&target, ErrorKind::TargetUnusable, &words);
        return println!("{CHILD_DONE}");
    }
    let folder = tempfile::tempdir().unwrap();
    let read_only = folder.path().join("read-only");
    fs::create_dir(&read_only).unwrap();
    for path in [folder.path(), &read_only] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o555)).unwrap();
    }
    let mut child = Command::new(program());
    if fs::metadata(&read_only).unwrap().uid() == 0 {
        // Root may write anywhere.
        child.uid(65534).gid(65534);
    }
    run_child(child.args([test, "--exact", "--nocapture"]), test, &read_only.to_string_lossy());
    assert_eq!(names(&read_only), [""; 0]);
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_size_no_disk_has_room_for_is_refused() {
    let small = Config::new(SEED, 1 << 50);
    let site = over(small);
    site.fails(ErrorKind::DiskFull, 15, &["reserve", "1.00 PiB", NAME, "(this machine)"]);
}

#[test]
fn sizes_at_the_edge_of_what_can_be_said_are_refused() {
    for size_bytes in [i64::MAX as u64 - 1, i64::MAX as u64, 1 << 63, u64::MAX - 1, u64::MAX] {
        let headers = vec![("Content-Range".into(), format!("bytes 0-0/{size_bytes}"))];
        let fault = Fault::Status { code: 206, headers, body: vec![0] };
        let error = always(fault).run().unwrap_err();
        assert_line(&error);
        let kinds = [ErrorKind::DiskFull, ErrorKind::RangeMismatch, ErrorKind::Protocol];
        assert!(kinds.contains(&error.kind()), "{size_bytes}: {error}");
    }
}

#[test]
fn a_full_file_system_is_named_when_space_is_reserved() {
    let memory = Path::new("/dev/shm");
    let Ok(folder) = tempfile::tempdir_in(memory) else {
        return skipped("there is no /dev/shm to fill");
    };
    // tmpfs compares with its size before it takes anything: nobody runs out of space for this.
    let site = over(Config::new(SEED, 1 << 43));
    let result = run_to(&site, &folder.path().join(NAME));
    expect_error(result, ErrorKind::DiskFull, 15, &["reserve", "/dev/shm", "(this machine)"]);
    assert_eq!(names(folder.path()), [""; 0]);
    site.assert_disconnected();
}

/// The size limit of the child's files (`ulimit -f`).
const FILE_LIMIT_BYTES: u64 = 3 * MIB;

#[test]
fn a_disk_that_fills_up_in_the_middle_is_named() {
    let test = "a_disk_that_fills_up_in_the_middle_is_named";
    if child_of(test).is_none() {
        let limit = FILE_LIMIT_BYTES / 512;
        return run_child(
            &mut limited(test, &format!("trap '' XFSZ; ulimit -f {limit}")),
            test,
            "",
        );
    }
    // Far beyond the limit, or just so that the very last write is the one that fails.
    for size_bytes in [32 * MIB, FILE_LIMIT_BYTES + 1, FILE_LIMIT_BYTES + 5000] {
        for framing in [Fault::NoLength, Fault::Chunked] {
            let config = Config::new(SEED, size_bytes)
                .rule(When::All, Fault::NoRangeSupport)
                .rule(When::All, framing);
            over(config).fails(ErrorKind::DiskFull, 15, &["write", NAME, "(this machine)"]);
        }
    }
    over(Config::new(SEED, FILE_LIMIT_BYTES)).succeeds(FILE_LIMIT_BYTES);
    let site = over(Config::new(SEED, FILE_LIMIT_BYTES + 1));
    site.fails(ErrorKind::DiskFull, 15, &["reserve", NAME, "(this machine)"]);
    println!("{CHILD_DONE}");
}

#[test]
fn a_last_write_that_fails_leaves_no_file() {
    let test = "a_last_write_that_fails_leaves_no_file";
    let Some(folder) = child_of(test) else {
        let folder = tempfile::tempdir().unwrap();
        let mount = format!("mount -t tmpfs -o size={FILE_LIMIT_BYTES} tmpfs {:?}", folder.path());
        let limits = format!("{mount} || {{ echo {CHILD_SKIPS}; exit 0; }}");
        let shell = limited(test, &limits);
        let mut child = Command::new("unshare");
        child.args(["--user", "--map-root-user", "--mount"]);
        child.arg(shell.get_program()).args(shell.get_args());
        return run_child(&mut child, test, &folder.path().to_string_lossy());
    };
    // All but the last bytes find room, and the file could be given its full size.
    for framing in [Fault::NoLength, Fault::Chunked] {
        let config = Config::new(SEED, FILE_LIMIT_BYTES + 5000)
            .rule(When::All, Fault::NoRangeSupport)
            .rule(When::All, framing);
        let site = over(config);
        let result = run_to(&site, &Path::new(&folder).join(NAME));
        expect_error(result, ErrorKind::DiskFull, 15, &["write", NAME, "(this machine)"]);
        assert_eq!(names(Path::new(&folder)), [""; 0]);
    }
    println!("{CHILD_DONE}");
}

// --- the machine ---

#[test]
fn too_few_file_descriptors_are_named() {
    let test = "too_few_file_descriptors_are_named";
    let Some(spare) = child_of(test) else {
        // From too few for a ring to enough for the whole transfer and the server beside it.
        for spare in (0..=40).step_by(5) {
            run_child(&mut limited(test, "ulimit -n 1024"), test, &spare.to_string());
        }
        return;
    };
    let spare: u64 = spare.parse().unwrap();
    let site = over(Config::new(SEED, SIZE));
    let open = names(Path::new("/proc/self/fd")).len() as u64;
    let limit = Rlimit { current: Some(open + spare), maximum: Some(1024) };
    setrlimit(Resource::Nofile, limit).unwrap();
    let result = site.run();
    setrlimit(Resource::Nofile, Rlimit { current: Some(1024), maximum: Some(1024) }).unwrap();
    match result {
        Ok(_) => {
            assert!(spare > 4, "{spare} descriptors cannot be enough");
            assert_content(&site.target(), SEED, SIZE);
        }
        Err(error) => {
            assert_line(&error);
            // The server lives under the same limit: it may be the one that cannot go on.
            assert!(spare < 40 && error.kind() != ErrorKind::Internal, "{spare}: {error}");
            assert!(spare >= 4 || error.kind() == ErrorKind::ResourceLimit, "{spare}: {error}");
            site.assert_nothing_left();
        }
    }
    println!("{CHILD_DONE}");
}

#[test]
fn little_lockable_memory_is_no_obstacle() {
    let test = "little_lockable_memory_is_no_obstacle";
    if child_of(test).is_none() {
        return run_child(&mut limited(test, "ulimit -l 64"), test, "");
    }
    let size_bytes = 20 * MIB;
    let report = over(Config::new(SEED, size_bytes)).succeeds(size_bytes);
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    assert!(is_root || !report.registered, "an ordinary user cannot register that much");
    println!("{CHILD_DONE}");
}
