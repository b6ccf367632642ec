//! Which servers are trusted: roots, folders, pins, versions; and what connections share of it.

use crate::common::{Ended, SEED, Scene, Site, bounded, serve};
use rcgen::PublicKeyData;
use ringhaul::internal::base::size::MIB;
use ringhaul::server::{self, Config, Server};
use ringhaul::{Client, ClientOptions, Download, ErrorKind, Options, Pins, TlsOptions, TlsVersion};
use std::fs;
use std::os::unix::fs::symlink;

const SIZE: u64 = 300_000;
/// A pin of nobody here.
const OTHER_PIN: &str = "sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

/// A scene with the server's authority in `ca.pem`.
fn trusting_scene() -> (Scene, Server) {
    let (scene, server) = (Scene::new(), serve(Config::new_tls(SEED, SIZE)));
    let pem = server.certificate_pem().expect("a TLS server has a certificate");
    fs::write(scene.path().join("ca.pem"), pem).expect("a file");
    (scene, server)
}

#[track_caller]
fn assert_untrusted(ended: &Ended) {
    let line = ended.error_line(7);
    assert!(line.contains("not signed by a known authority"), "{line}");
}

/// The digest that a failed download names.
fn named_pin(line: &str) -> Pins {
    let start = line.find("sha256//").expect("the message names the key's digest");
    line[start..start + OTHER_PIN.len()].parse().expect("it is a pin")
}

#[test]
fn a_pinned_key_is_asked_for_with_and_without_authorities() {
    for insecure in [false, true] {
        let with = |pins: Pins| {
            Site::strict(Config::new_tls(SEED, SIZE)).with(|options| {
                options.insecure = insecure;
                options.tls.pins = Some(pins);
            })
        };
        let site = with(OTHER_PIN.parse().expect("a pin"));
        let words = ["is not the expected one", "--pinnedpubkey"];
        let line = site.fails(ErrorKind::Certificate, 7, &words);
        assert_eq!(site.stats().requests, 0, "nothing is said to another server");
        // Another server has another key; this one has the one that it was found to have.
        let several = format!("{OTHER_PIN};{}", named_pin(&line)).parse().expect("two pins");
        let site = site.with(|options| options.tls.pins = Some(several));
        site.succeeds(SIZE);
    }
}

/// curl's and openssl's idea of a pin is ours.
#[test]
fn a_pin_is_that_of_the_public_key() {
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()])
        .expect("a name")
        .self_signed(&key)
        .expect("a certificate");
    let home = tempfile::tempdir().expect("a scratch folder");
    let path = |name| home.path().join(name);
    fs::write(path("c.pem"), certificate.pem()).expect("a file");
    fs::write(path("k.pem"), key.serialize_pem()).expect("a file");
    let files = server::CertificateFiles { certificate: path("c.pem"), key: path("k.pem") };
    let tls = server::TlsConfig { files: Some(files), ..server::TlsConfig::default() };
    let site = Site::strict(Config { tls: Some(tls), ..Config::new(SEED, SIZE) });
    let digest = sha256(&key.subject_public_key_info());
    let pins = format!("sha256//{digest}").parse().expect("a pin");
    let site = site.with(|options| {
        options.insecure = true;
        options.tls.pins = Some(pins);
    });
    site.succeeds(SIZE);
}

fn sha256(bytes: &[u8]) -> String {
    use base64::Engine;
    use sha2::Digest;
    base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(bytes))
}

#[test]
fn what_cannot_be_pinned_is_refused() {
    let (scene, server) = (Scene::new(), serve(Config::new(SEED, SIZE)));
    let ended = scene.run(&["--pinned-pubkey", OTHER_PIN, &server.url("/x")]);
    let line = ended.one_error_line(7);
    assert!(line.contains("https URL"), "{line}");
    assert_eq!(server.stats().connections, 0);
    let line = scene.run(&["--pinnedpubkey", "key.pem", "https://h/"]).stderr;
    assert!(line.contains("openssl x509"), "{line}");
}

/// What was connected without a look at the certificate is no connection for who wants one.
#[test]
fn connections_and_sessions_stay_with_their_trust() {
    let site = Site::strict(Config::new_tls(SEED, SIZE));
    let client = Client::new(&ClientOptions::default()).expect("usable options");
    let run = |name: &str, options: Options| {
        let download = Download::new(&site.url("/x")).expect("a URL");
        let download = download.output(site.home.path().join(name)).options(options);
        let running = download.start(&client).expect("it starts");
        bounded("the download", move || running.wait())
    };
    let insecure = Options { insecure: true, ca_certs: Vec::new(), ..site.options.clone() };
    run("a", insecure.clone()).expect("anybody will do");
    let tls = TlsOptions { pins: Some(OTHER_PIN.parse().expect("a pin")), ..TlsOptions::default() };
    let error = run("b", Options { tls, ..insecure.clone() }).expect_err("another key");
    assert_eq!(error.kind(), ErrorKind::Certificate, "{error}");
    let error = run("c", Options { insecure: false, ..insecure }).expect_err("nobody knows it");
    assert_eq!(error.kind(), ErrorKind::Certificate, "{error}");
}

#[test]
fn connections_resume_each_others_sessions() {
    const BYTES: u64 = 8 * MIB;
    for version in [server::TlsVersion::V1_2, server::TlsVersion::V1_3] {
        let tls = server::TlsConfig { versions: vec![version], ..server::TlsConfig::default() };
        let config = Config { tls: Some(tls), ..Config::new(SEED, BYTES) };
        let site = Site::strict(config).with(|options| {
            options.connections = Some(2);
            options.chunk_bytes = Some(MIB);
        });
        site.succeeds(BYTES);
        let stats = site.stats();
        assert_eq!((stats.connections, stats.tls_resumed), (2, 1), "{version:?}");
    }
}

#[test]
fn an_old_version_is_not_spoken_where_it_is_not_wanted() {
    let speaking = |version| {
        let tls = server::TlsConfig { versions: vec![version], ..server::TlsConfig::default() };
        Site::strict(Config { tls: Some(tls), ..Config::new(SEED, SIZE) })
            .with(|options| options.tls.version_min = TlsVersion::V1_3)
    };
    let old = speaking(server::TlsVersion::V1_2);
    old.fails(ErrorKind::Tls, 23, &["protocol_version", "--tls-min"]);
    speaking(server::TlsVersion::V1_3).succeeds(SIZE);
    let (scene, server) = trusting_scene();
    let url = server.url("/x");
    let ended = scene.run(&["-v", "--ca-cert=ca.pem", "--tls-min=1.3", "-oa", &url]);
    assert!(ended.success().stderr.contains("TLS 1.3"), "{ended:?}");
}

#[test]
fn a_folder_of_certificates_is_trusted() {
    let (scene, server) = trusting_scene();
    let (folder, url) = (scene.path(), server.url("/x"));
    let run = |path: &str, name: &str| scene.run(&["-o", name, "--ca-path", path, &url]);
    for name in ["empty", "plain", "hashed"] {
        fs::create_dir(folder.join(name)).expect("a folder");
    }
    fs::write(folder.join("empty/README"), "no certificate").expect("a file");
    let line = run("empty", "a").one_error_line(2).to_owned();
    assert!(line.contains("'empty' has no certificate"), "{line}");
    let line = run("missing", "a").one_error_line(2).to_owned();
    assert!(line.contains("--ca-path"), "{line}");

    fs::copy(folder.join("ca.pem"), folder.join("plain/any name")).expect("a copy");
    fs::write(folder.join("plain/README"), b"\xff no certificate").expect("a file");
    run("plain", "b").success();
    symlink("../ca.pem", folder.join("hashed/5ed36f99.0")).expect("a link");
    symlink("gone", folder.join("hashed/5ed36f99.1")).expect("a link");
    run("hashed", "c").success();
    scene.run_with(&["-od", &url], &[("RINGHAUL_CA_PATH", "plain")]).success();
    // Beside Mozilla's roots; without them, beside none.
    scene.run(&["-oe", "--ca=none", "--ca-path=plain", &url]).success();
}

#[test]
fn roots_are_the_built_in_ones_this_machines_or_none() {
    let (scene, server) = trusting_scene();
    let url = server.url("/x");
    let named = [("SSL_CERT_FILE", "ca.pem")];
    scene.run_with(&["-oa", "--ca=native", &url], &named).success();
    assert_untrusted(&scene.run_with(&["-ob", "--ca=built-in", &url], &named));
    let line = scene.run(&["-ob", "--ca=none", &url]).one_error_line(2).to_owned();
    assert!(line.contains("no certificate is trusted"), "{line}");
    scene.run(&["-ob", "--ca=none", "--ca-cert=ca.pem", &url]).success();
}

#[test]
fn the_variables_of_openssl_are_honoured() {
    let (scene, server) = trusting_scene();
    let url = server.url("/x");
    fs::create_dir(scene.path().join("certs")).expect("a folder");
    fs::copy(scene.path().join("ca.pem"), scene.path().join("certs/ca.pem")).expect("a copy");
    let file = [("SSL_CERT_FILE", "ca.pem")];
    let ended = scene.run_with(&["-v", "-oa", &url], &file);
    let said = "trusting the certificates that SSL_CERT_FILE names instead of the built-in ones";
    assert!(ended.success().stderr.contains(said), "{ended:?}");
    scene.run_with(&["-ob", &url], &[("SSL_CERT_DIR", "/nowhere-else:certs")]).error_line(2);
    scene.run_with(&["-ob", &url], &[("SSL_CERT_DIR", ":certs")]).success();
    scene.run_with(&["-oc", &url], &[("SSL_CERT_FILE", "")]).error_line(7);
    let gone = scene.run_with(&["-oc", &url], &[("SSL_CERT_FILE", "gone.pem")]);
    let line = gone.one_error_line(2);
    assert!(line.contains("'gone.pem', which SSL_CERT_FILE names"), "{line}");
    // An option says it all.
    let other = [("SSL_CERT_FILE", "gone.pem")];
    scene.run_with(&["-oc", "--ca-cert=ca.pem", &url], &other).success();
}
