//! Client certificates: shown where they are demanded, and refused in words where they are none.

use crate::common::pki::{Authority, Pair};
use crate::common::tools::find_or_skip;
use crate::common::{SEED, Scene, Site, serve};
use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256};
use ringhaul::server::{Config, TlsConfig, TlsVersion};
use ringhaul::{ErrorKind, Options, TlsOptions};
use std::fs;
use std::path::Path;
use std::process::Command;

const SIZE: u64 = 300_000;
/// Far from every end of a certificate here.
const VALID: i32 = 2090;
const BOTH: [TlsVersion; 2] = [TlsVersion::V1_2, TlsVersion::V1_3];

/// A server that demands certificates of `authority`.
fn demanding(authority: &Path, versions: &[TlsVersion]) -> Config {
    let tls = TlsConfig {
        versions: versions.to_vec(),
        client_authority: Some(authority.to_owned()),
        ..TlsConfig::default()
    };
    Config { tls: Some(tls), ..Config::new(SEED, SIZE) }
}

fn showing(pair: &Pair) -> TlsOptions {
    TlsOptions {
        certificate: Some(pair.certificate.clone()),
        key: Some(pair.key.clone()),
        ..TlsOptions::default()
    }
}

#[test]
fn a_certificate_is_shown_where_it_is_demanded() {
    let home = tempfile::tempdir().expect("a scratch folder");
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let pair = ours.client(home.path(), "me", VALID);
    let stranger = theirs.client(home.path(), "stranger", VALID);
    for version in BOTH {
        let config = || demanding(&ours.file(home.path()), &[version]);
        let site = Site::strict(config());
        let words = ["demands a client certificate", "--cert"];
        site.fails(ErrorKind::Certificate, 7, &words);
        let site = Site::strict(config()).with(|options| options.tls = showing(&stranger));
        let words = ["does not accept the client certificate", "--cert"];
        site.fails(ErrorKind::Certificate, 7, &words);
        assert_eq!(site.stats().requests, 0);
        Site::strict(config()).with(|options| options.tls = showing(&pair)).succeeds(SIZE);
    }
}

/// A refusal is final: another try would have the same answer, and waiting would only delay it.
#[test]
fn a_refused_certificate_is_not_tried_again() {
    let home = tempfile::tempdir().expect("a scratch folder");
    let authority = Authority::new("ours").file(home.path());
    let site = Site::start(demanding(&authority, &[TlsVersion::V1_3]));
    site.fails(ErrorKind::Certificate, 7, &["demands a client certificate"]);
    assert_eq!(site.stats().connections, 1);
}

/// The forms that keys come in, made by openssl from one of each kind.
#[test]
fn keys_are_read_in_every_form() {
    let Some(openssl) = find_or_skip("openssl", false, "no key is converted") else { return };
    let scene = Scene::new();
    let folder = scene.path();
    let run = |words: &str| {
        let mut command = Command::new(&openssl);
        let output = command.args(words.split(' ')).current_dir(folder).output();
        assert!(output.expect("openssl runs").status.success(), "openssl {words}");
    };
    let authority = Authority::new("ours");
    let server = serve(demanding(&authority.file(folder), &BOTH));
    let url = server.url("/x");
    let fetch = |cert: &str, key: &str| {
        scene.run(&["-kq", "--force", "-o", "x", "--cert", cert, "--key", key, &url])
    };
    for (name, algorithm, form) in [
        ("rsa", &PKCS_RSA_SHA256, "RSA PRIVATE KEY"),
        ("ec", &PKCS_ECDSA_P384_SHA384, "EC PRIVATE"),
    ] {
        let key = KeyPair::generate_for(algorithm).expect("a key");
        authority.certify(&key, folder, name, VALID);
        let cert = format!("{name}.pem");
        fetch(&cert, &format!("{name}.key")).success();
        run(&format!("{name} -in {name}.key -out {name}.old{}", traditional(name)));
        let old = fs::read_to_string(folder.join(format!("{name}.old"))).expect("it is text");
        assert!(old.contains(form), "{old}");
        fetch(&cert, &format!("{name}.old")).success();
        run(&format!("pkcs8 -topk8 -in {name}.key -out {name}.enc -passout pass:sesame"));
        let line = fetch(&cert, &format!("{name}.enc")).one_error_line(2).to_owned();
        let advice = format!("decrypt it: openssl pkey -in {name}.enc");
        assert!(line.contains("is encrypted") && line.contains(&advice), "{line}");
        run(&format!("pkey -in {name}.key -outform DER -out {name}.der"));
        let line = fetch(&cert, &format!("{name}.der")).one_error_line(2).to_owned();
        assert!(line.contains(&format!("openssl pkey -inform DER -in {name}.der")), "{line}");
    }
    run("pkcs12 -export -in ec.pem -inkey ec.key -out ec.p12 -passout pass:sesame");
    let line = scene.run(&["-kq", "-o", "y", "-E", "ec.p12", &url]).one_error_line(2).to_owned();
    assert!(line.contains("openssl pkcs12 -in ec.p12 -out ec.pem -nodes"), "{line}");
    // What that line makes holds both.
    run("pkcs12 -in ec.p12 -out both.pem -nodes -passin pass:sesame");
    scene.run(&["-kq", "--force", "-o", "x", "-E", "both.pem", &url]).success();
}

fn traditional(kind: &str) -> &'static str {
    if kind == "rsa" { " -traditional" } else { "" }
}

/// What is wrong with them is said before anything is connected.
#[test]
fn bad_pairs_are_refused_before_anything_is_connected() {
    let home = tempfile::tempdir().expect("a scratch folder");
    let (folder, authority) = (home.path(), Authority::new("ours"));
    let pair = authority.client(folder, "me", VALID);
    let expired = authority.client(folder, "expired", 2021);
    let other = authority.client(folder, "other", VALID);
    let missing = folder.join("missing");
    let binary = folder.join("binary");
    fs::write(&binary, [0xff, 0, 0x30, 0x82].repeat(5_000)).expect("a file");
    let endless = Path::new("/dev/zero");
    let (me, key) = (&*pair.certificate, Some(&*pair.key));
    let site = Site::strict(demanding(&authority.file(folder), &BOTH));
    for (certificate, key, words) in [
        (me, None, "a certificate and no private key"),
        (me, Some(&*other.key), "is not that of the certificate"),
        (&*expired.certificate, Some(&*expired.key), "has expired"),
        (&*pair.key, key, "contains no certificate"),
        (me, Some(&*pair.certificate), "contains no private key"),
        (&missing, key, "--cert"),
        (me, Some(&*missing), "--key"),
        (&binary, key, "contains no certificate"),
        (endless, key, "more than 16"),
        (folder, key, "cannot read the client certificate"),
    ] {
        let tls = TlsOptions {
            certificate: Some(certificate.to_owned()),
            key: key.map(Path::to_owned),
            ..TlsOptions::default()
        };
        let options = Options { tls, ..site.options.clone() };
        let run = site.fetch("/x", options);
        let line = run.expect_error(ErrorKind::Usage).to_string();
        assert!(line.contains(words), "{words}: {line}");
    }
    assert_eq!(site.stats().connections, 0, "nothing is connected for a bad certificate");
    let lone = TlsOptions { key: Some(pair.key), ..TlsOptions::default() };
    let options = Options { tls: lone, ..site.options.clone() };
    let error = options.validate().expect_err("a key of nothing");
    assert!(error.to_string().contains("--cert"), "{error}");
}

/// curl would take it so; the message must not repeat it.
#[test]
fn a_password_on_the_command_line_is_not_repeated() {
    let scene = Scene::new();
    let ended = scene.run(&["--cert", "me.pem:sesame", "https://127.0.0.1:9/"]);
    let line = ended.one_error_line(2);
    assert!(line.contains("me.pem") && !line.contains("sesame"), "{line}");
}
