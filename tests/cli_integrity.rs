//! Digests on the command line: where the expected one comes from, what is said of it, and what is
//! printed.

mod common;

use common::{Place, SEED, Scene, serve, sha256_digits, status};
use ringhaul::server::{Config, DigestField, Fault, Server, When};

const SIZE_BYTES: u64 = 100_003;

fn digits() -> String {
    sha256_digits(SEED, SIZE_BYTES)
}

/// A server with the file everywhere but at `/SHA256SUMS`, where this text is.
fn serve_with(sums: &str) -> Server {
    let answer = Fault::Status { code: 200, headers: Vec::new(), body: sums.into() };
    let place = When::PathPrefix("/SHA256SUMS".to_owned());
    serve(Config::new(SEED, SIZE_BYTES).rule(place, answer))
}

#[test]
fn a_checksum_file_beside_us_is_looked_into() {
    let (scene, server) = (Scene::new(), serve_with(""));
    let lines = format!("{}  other.bin\n{} *pool/file.bin\n", "0".repeat(64), digits());
    std::fs::write(scene.path().join("sums.txt"), lines).expect("a file");
    let expected = format!("\nverified sha256:{} (from sums.txt)\n", digits());
    // Saved under the name of the list, or under another one, which the URL's replaces.
    for arguments in [&[][..], &["-o", "mine"]] {
        let common = ["--checksum-file", "sums.txt", &server.url("/a/file.bin?sig=secret")];
        let ended = scene.run(&[arguments, &common].concat());
        assert!(ended.success().stderr.contains(&expected), "{ended:?}");
    }
    let variable = [("RINGHAUL_CHECKSUM_FILE", "sums.txt")];
    let ended = scene.run_with(&["-o", "other.bin", &server.url("/file.bin")], &variable);
    assert!(ended.error_line(13).contains(&"0".repeat(64)), "the saved name counts\n{ended:?}");
    assert!(!scene.path().join("other.bin").exists(), "{:?}", scene.names());
}

#[test]
fn a_checksum_file_on_a_server_is_fetched_first() {
    let server = serve_with(&format!("SHA256 (file.bin) = {}\n", digits()));
    let (scene, url) = (Scene::new(), server.url("/file.bin"));
    let sums = server.url("/SHA256SUMS?token=secret");
    let ended = scene.run(&["-H", "X-Key: 1", "--checksum-file", &sums, &url]);
    assert!(ended.success().stderr.contains("(from SHA256SUMS)"), "{ended:?}");
    assert!(!ended.stderr.contains("secret"), "{ended:?}");
    let first = &server.stats().log[0];
    assert!(first.head.contains("X-Key: 1\r\n") && first.range.is_none(), "{first:?}");
    assert_eq!(scene.names(), ["file.bin"]);
}

#[test]
fn a_checksum_file_elsewhere_hears_nothing_that_is_not_meant_for_it() {
    let (scene, server) = (Scene::new(), serve_with(""));
    let elsewhere = serve_with(&format!("SHA256 (file.bin) = {}\n", digits()));
    let headers = ["-H", "Host: secret.example", "-H", "Private-Token: secret", "-H", "X-Plain: 1"];
    let sums = elsewhere.url("/SHA256SUMS");
    let ended =
        scene.run(&[&headers[..], &["--checksum-file", &sums, &server.url("/file.bin")]].concat());
    ended.success();
    let head = &elsewhere.stats().log[0].head;
    assert!(!head.contains("secret") && head.contains("X-Plain: 1\r\n"), "{head}");
    for request in server.stats().log {
        let is_there = |line: &str| request.head.contains(line);
        assert!(is_there("Host: secret.example\r\n") && is_there("Private-Token: secret\r\n"));
    }
}

#[test]
fn a_mismatch_names_both_digests() {
    let (scene, wrong) = (Scene::new(), "a".repeat(64));
    let server = serve_with(&format!("{wrong}  file.bin\n"));
    let sums = server.url("/SHA256SUMS");
    let ended = scene.run(&["--checksum-file", &sums, &server.url("/file.bin")]);
    let line = ended.error_line(13);
    assert!(line.contains(&wrong) && line.contains(&digits()), "{line}");
    assert!(!scene.path().join("file.bin").exists(), "{:?}", scene.names());
}

#[test]
fn checksum_files_without_our_digest_are_mistakes() {
    let digit = |digit: &str, count| digit.repeat(count);
    for (sums, words) in [
        (String::new(), "no line of it has a checksum"),
        ("<html>Not here</html>\n".to_owned(), "no line of it has a checksum"),
        ("a\0b".to_owned(), "it is no text"),
        (format!("{}  file.img\n", digit("a", 64)), "no checksum for 'file.bin', but for 'file.i"),
        (format!("{}  file.bin\n", digit("a", 96)), "of '96 digits'"),
        (format!("SHA256 (file.bin) = {}\n", digit("a", 63)), "is not 64 hexadecimal digits"),
        (
            format!("{}  file.bin\n{}  file.bin\n", digit("a", 64), digit("b", 64)),
            "several different sha256",
        ),
    ] {
        let (scene, server) = (Scene::new(), serve_with(&sums));
        std::fs::write(scene.path().join("sums"), &sums).expect("a file");
        let by_url = server.url("/SHA256SUMS?token=secret");
        for place in ["sums", by_url.as_str()] {
            let ended = scene.run(&["--checksum-file", place, &server.url("/file.bin")]);
            let line = ended.one_error_line(2);
            assert!(line.contains(words) && !line.contains("secret"), "{line}");
        }
        let stats = server.stats();
        assert!(stats.log.iter().all(|request| request.range.is_none()), "nothing was begun");
        assert_eq!(scene.names(), ["sums"]);
    }
}

#[test]
fn checksum_files_that_cannot_be_had_say_why() {
    let (scene, server) = (Scene::new(), serve_with(""));
    let missing = serve(Config::new(SEED, SIZE_BYTES).rule(When::All, status(404, "")));
    let large = serve(Config::new(SEED, 9 << 20));
    let (missing, large) = (missing.url("/SHA256SUMS?token=secret"), large.url("/sums"));
    for (place, code, words) in [
        ("missing", 2, "cannot read the checksum file 'missing': No such file"),
        (".", 2, "cannot read the checksum file '.'"),
        (missing.as_str(), 8, "404"),
        (large.as_str(), 2, "more than 8.00 MiB"),
        ("ftp://user:secret@h/SHA256SUMS", 2, "'ftp' is not supported"),
        ("http://user:secret@h:99999/SHA256SUMS", 2, "cannot parse the URL"),
        ("http://user:sec/secret@h/SHA256SUMS", 2, "cannot parse the URL"),
        ("https:/user:secret@h:99999/SHA256SUMS", 2, "cannot parse the URL"),
    ] {
        let ended = scene.run(&["--checksum-file", place, &server.url("/file.bin")]);
        let line = ended.one_error_line(code);
        assert!(line.contains("checksum") && line.contains(words), "{line}");
        assert!(!line.contains("secret"), "{line}");
    }
    assert!(scene.names().is_empty() && server.stats().requests == 0);
}

#[test]
fn digests_are_printed_as_sha256sum_does() {
    let (scene, server) = (Scene::new(), serve_with(""));
    let url = server.url("/file.bin");
    let ended = scene.run(&["-o", "a", "--print-digest", "sha256", &url]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stdout, format!("{}  a\n", digits()));
    let both = format!("--checksum=sha256:{}", digits());
    let ended = scene.run(&["-q", "-o", "b", &both, "--print-digest=sha256,sha256", &url]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    assert_eq!(ended.stdout, format!("{}  b\n", digits()));
}

#[test]
fn other_digests_are_labelled_and_keep_the_order_asked_for() {
    let (scene, server) = (Scene::new(), serve_with(""));
    let asked = "--print-digest=crc32c,md5,sha256,sha1";
    let checksum = format!("--checksum=sha256:{}", digits());
    for (output, checksum) in [("a", None), ("b", Some(&checksum)), ("/dev/null", None)] {
        let url = server.url("/file.bin");
        let arguments = [asked, "-q", "-o", output, &url].into_iter();
        let arguments: Vec<&str> = arguments.chain(checksum.map(String::as_str)).collect();
        let ended = scene.run(&arguments);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let lines: Vec<&str> = ended.stdout.lines().collect();
        let [crc32c, md5, sha256, sha1] = lines[..] else { panic!("{ended:?}") };
        assert!(crc32c.starts_with(&format!("CRC32C ({output}) = ")), "{crc32c}");
        assert!(md5.starts_with(&format!("MD5 ({output}) = ")), "{md5}");
        assert_eq!(sha256, format!("{}  {output}", digits()));
        assert!(sha1.starts_with(&format!("SHA1 ({output}) = ")), "{sha1}");
    }
}

#[test]
fn dev_null_is_hashed_in_order_whatever_the_hash_takes() {
    let (scene, server) = (Scene::new(), serve(Config::new(SEED, 64 << 20)));
    let url = server.url("/file.bin");
    let right = format!("--checksum={}", common::checksum(SEED, 64 << 20));
    // Slower than loopback: blocks wait for the hash.
    let slow = "--print-digest=md5,sha512,sha1";
    let ended = scene.run(&["-o", "/dev/null", "-c", "4", &right, slow, &url]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.stderr.contains("1 connection (one stream: bytes that are not kept"),
        "{ended:?}"
    );
    assert!(ended.stderr.contains("\nverified sha256:"), "{ended:?}");
    assert_eq!(ended.stdout.lines().count(), 3, "{ended:?}");
    let wrong = format!("--checksum=sha256:{}", "a".repeat(64));
    let line = scene.run(&["-o", "/dev/null", &wrong, &url]).error_line(13).to_owned();
    assert!(line.contains("compare the expected digest") && !line.contains("kept"), "{line}");
    assert!(scene.names().is_empty());
}

#[test]
fn a_digest_of_the_server_that_does_not_fit_says_whose_it_is() {
    let mut config = Config::new(SEED, SIZE_BYTES).rule(When::All, Fault::WrongDigest);
    config.digests = vec![DigestField::ReprDigestSha256];
    let (scene, server) = (Scene::new(), serve(config));
    let url = server.url("/file.bin");
    let line = scene.run(&["-o", "a", &url]).error_line(13).to_owned();
    assert!(line.contains("not those of the server's Repr-Digest"), "{line}");
    assert!(line.contains("--no-verify ignores that word"), "{line}");
    assert!(!line.contains("its source"), "{line}");
    scene.run(&["-o", "b", "--no-verify", &url]).success();
}
