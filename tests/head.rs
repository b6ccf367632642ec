//! What a server says of a file, asked without a download: in words and as JSON, of all kinds of
//! servers, and what it costs them.

mod common;

use common::{Ended, Place, SEED, Scene, both_schemes, serve, sha256_digits, status};
use ringhaul::internal::base::size::{KIB, MIB};
use ringhaul::server::{Config, DigestField, Fault, Server, When};
use serde_json::{Value, json};

const SIZE: u64 = 20 * MIB + 3 * KIB + 7;

fn ask(scene: &Scene, arguments: &[&str]) -> Ended {
    let ended = scene.run(&[&["--head"], arguments].concat());
    assert_eq!(scene.names(), [""; 0], "nothing is written");
    assert!(!ended.stdout.contains("sesame") && !ended.stderr.contains("sesame"), "{ended:?}");
    ended
}

fn json_of(url: &str) -> Value {
    let ended = ask(&Scene::new(), &["--json", "-k", "-q", url]);
    assert_eq!((ended.code, ended.stdout.lines().count()), (Some(0), 1), "{ended:?}");
    serde_json::from_str(&ended.stdout).expect("a line of JSON")
}

/// The lines, with one blank between words.
fn lines(ended: &Ended) -> Vec<String> {
    let normal = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    ended.stdout.lines().map(normal).collect()
}

#[track_caller]
fn assert_says(ended: &Ended, expected: &[&str]) {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let said = lines(ended);
    for line in expected {
        assert!(said.iter().any(|said| said == line), "no '{line}' in {said:#?}");
    }
}

fn always(fault: Fault) -> Server {
    serve(Config::new(SEED, SIZE).rule(When::All, fault))
}

#[test]
fn what_a_server_says_is_printed_and_one_byte_is_fetched() {
    for mut config in both_schemes(SIZE) {
        config.digests = vec![DigestField::ReprDigestSha256];
        config.last_modified = Some("Sat, 01 Nov 2025 08:00:00 GMT".into());
        let server = serve(config);
        let url = server.url("/pool/file.bin?token=sesame");
        let ended = ask(&Scene::new(), &["-k", &url]);
        let (size, address) = (format!("size {SIZE} bytes (20.00 MiB)"), server.address());
        let (address, digits) = (format!("address {address}"), sha256_digits(SEED, SIZE));
        let digest = format!("digest sha256:{digits} (Repr-Digest)");
        let modified = "last modified Sat, 01 Nov 2025 08:00:00 GMT";
        assert_says(&ended, &["status 206", "ranges yes", "name file.bin", modified]);
        assert_says(&ended, &[&size, &address, &digest]);
        assert_eq!(ended.stdout.contains("HTTP/1.1, TLS 1.3"), url.starts_with("https"));
        assert_eq!(server.stats().body_bytes, 1);
        let said = json_of(&url);
        let digests = json!([{"field": "Repr-Digest", "digest": format!("sha256:{digits}")}]);
        assert_eq!((&said["size"], &said["digests"]), (&json!(SIZE), &digests));
        assert_eq!((&said["ranges"], &said["strong"]), (&json!(true), &json!(true)));
        assert_eq!(said["tls"].is_null(), url.starts_with("http:"));
    }
}

#[test]
fn servers_of_all_kinds_are_understood() {
    let stream = always(Fault::NoRangeSupport);
    let said = json_of(&stream.url("/f"));
    let size = json!(SIZE);
    assert_eq!((&said["ranges"], &said["size"]), (&json!(false), &size));
    assert_says(&ask(&Scene::new(), &[&stream.url("/f")]), &["ranges no: one stream"]);
    let endless = serve(
        Config::new(SEED, SIZE)
            .rule(When::All, Fault::NoRangeSupport)
            .rule(When::All, Fault::Chunked),
    );
    assert!(json_of(&endless.url("/f"))["size"].is_null());
    assert_says(&ask(&Scene::new(), &[&endless.url("/f")]), &["size not told"]);
    let refusing = serve(Config::new(SEED, SIZE).rule(When::Request(1), status(403, "no")));
    assert_eq!(json_of(&refusing.url("/f"))["size"], json!(SIZE), "asked without a range");
    let empty = serve(Config::new(SEED, 0));
    assert_eq!(json_of(&empty.url("/f"))["size"], json!(0));
}

#[test]
fn redirects_are_named() {
    let end = serve(Config::new(SEED, SIZE));
    let location = end.url("/deep/other.bin?token=sesame");
    let start = always(Fault::Redirect { status: 302, location });
    let said = json_of(&start.url("/file.bin"));
    let to = end.url("/deep/other.bin?…");
    assert_eq!(said["redirects"], json!([{"status": 302, "url": to}]));
    assert_eq!(said["final_url"], json!(to));
    let ended = ask(&Scene::new(), &[&start.url("/file.bin")]);
    assert_says(&ended, &[&format!("redirect 302 to {to}"), "name file.bin"]);
}

#[test]
fn each_url_is_asked_and_failures_are_told() {
    let (good, bad) = (serve(Config::new(SEED, SIZE)), always(status(404, "no")));
    let (good, bad) = (good.url("/f"), bad.url("/g?token=sesame"));
    let scene = Scene::new();
    let ended = ask(&scene, &[&bad, &good]);
    assert_eq!(ended.code, Some(20), "{ended:?}");
    assert!(lines(&ended).contains(&"status 206".to_owned()), "{ended:?}");
    assert_eq!(ended.stderr.matches("404").count(), 1, "{ended:?}");
    ask(&scene, &[&bad]).one_error_line(8);
    let ended = ask(&scene, &["--json", &bad, &good]);
    let failed: Value = serde_json::from_str(ended.stdout.lines().next().unwrap_or_default())
        .expect("a line of JSON");
    assert_eq!(failed["error"]["exit_code"], json!(8));
    for (arguments, words) in [
        (&["ftp://h/"][..], "'ftp' is not supported"),
        (&["--range", "0-9", &good], "--range"),
        (&["-i", "list", &good], "--input-file"),
    ] {
        let ended = ask(&scene, arguments);
        assert!(ended.one_error_line(2).contains(words), "{ended:?}");
    }
}
