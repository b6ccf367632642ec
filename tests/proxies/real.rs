//! Whole downloads through real proxies: one file over several connections, many small ones over
//! lanes, with credentials that reach the proxy only.

use super::common::{Run, SEED, Scene, Site, both_schemes, checksum, fetch, status};
use super::programs::{self, PASSWORD, Program};
use super::{reached, through};
use ringhaul::internal::base::size::MIB;
use ringhaul::server::{Config, Fault, When};
use ringhaul::{ErrorKind, NoProxy, Options, Proxies, Proxy};
use std::fs;
use std::time::Duration;

const SIZE: u64 = 2 * MIB + 17;

/// The file over four connections, all of them through the proxy at this URL.
#[track_caller]
fn expect_through(site: &Site, options: Options) -> Run {
    let whole = checksum(SEED, SIZE);
    let options = Options {
        connections: Some(4),
        chunk_bytes: Some(MIB / 8),
        checksum: Some(whole),
        // Tinyproxy closes behind each answer, and takes along what was asked ahead.
        retries: 5,
        retry_wait: Duration::from_millis(1),
        ..options
    };
    let run = fetch(&site.url("/file.bin"), options);
    let report = run.expect_file(SEED, SIZE);
    assert!(report.ranges && report.connections >= 2, "{report:?}");
    let connected: Vec<String> =
        run.texts().into_iter().filter(|text| text.starts_with("connected to ")).collect();
    assert!(!connected.is_empty(), "{:#?}", run.texts());
    assert!(connected.iter().all(|text| text.contains(" through the proxy ")), "{connected:#?}");
    expect_discreet(site, &run.texts());
    run
}

/// What is for the proxy is not told to the server, nor to anybody else.
#[track_caller]
fn expect_discreet(site: &Site, texts: &[String]) {
    for text in texts {
        assert!(!text.contains(PASSWORD), "a secret is told: {text}");
    }
    for head in site.heads() {
        assert!(!head.to_ascii_lowercase().contains("proxy-authorization"), "{head}");
        assert!(head.starts_with("GET /"), "the server gets the origin form: {head}");
    }
}

fn sites() -> [Site; 2] {
    both_schemes(SIZE).map(Site::start)
}

fn expect_both(proxy: &Program, front: &str) {
    for site in sites() {
        expect_through(&site, through(&proxy.url(front), &site.options));
    }
}

#[test]
fn squid_forwards_and_tunnels() {
    let Some(proxy) = programs::squid(false) else { return };
    expect_both(&proxy, "http://");
    let [plain, secure] = sites();
    let forwarded = expect_through(&plain, through(&proxy.url("http://"), &plain.options));
    assert!(plain.heads().iter().all(|head| head.contains("\r\nVia: ")), "{:?}", plain.heads());
    drop(forwarded);
    // By option a server of an http URL is connected to, and sees no proxy.
    let site = Site::start(Config::new(SEED, SIZE));
    let tunnels = |front: &str| {
        let proxy = Proxy::parse(&proxy.url(front)).expect("a proxy");
        Proxies::all(proxy, NoProxy::default(), true)
    };
    expect_through(&site, reached(tunnels("http://"), &site.options));
    assert!(site.heads().iter().all(|head| !head.contains("\r\nVia: ")), "{:?}", site.heads());
    // What it refuses is told from what the server does.
    let url = secure.url("/file").replace("127.0.0.1", "blocked.invalid");
    let options = Options { retries: 3, ..through(&proxy.url("http://"), &secure.options) };
    let run = fetch(&url, options);
    let error = run.expect_error(ErrorKind::ProxyRefused);
    assert!(error.to_string().contains("answered 403 Forbidden to CONNECT blocked"), "{error}");
    let url = secure.url("/file").replace("127.0.0.1", "no-such-host.invalid");
    let run =
        fetch(&url, Options { retries: 0, ..through(&proxy.url("http://"), &secure.options) });
    let error = run.expect_error(ErrorKind::Connect);
    assert!(error.to_string().contains("50"), "{error}");
}

#[test]
fn squid_asks_for_credentials() {
    let Some(proxy) = programs::squid(true) else { return };
    expect_both(&proxy, &format!("http://me:{PASSWORD}@"));
    for site in sites() {
        for front in ["http://", "http://me:wrong-word@"] {
            let options = Options { retries: 3, ..through(&proxy.url(front), &site.options) };
            let run = fetch(&site.url("/file"), options);
            let error = run.expect_error(ErrorKind::ProxyRefused).to_string();
            assert!(error.contains("asks for credentials (407)"), "{error}");
            assert!(error.contains("--proxy-user") && !error.contains("wrong-word"), "{error}");
        }
        assert!(site.heads().is_empty(), "nothing has got past it");
    }
}

#[test]
fn tls_with_the_proxy_carries_everything() {
    let Some(proxy) = programs::squid(false) else { return };
    for site in sites() {
        let untrusted = through(&proxy.url_tls("https://"), &site.options);
        let run = fetch(&site.url("/file"), Options { retries: 0, ..untrusted.clone() });
        let error = run.expect_error(ErrorKind::Certificate).to_string();
        assert!(error.contains("the proxy https://127.0.0.1:"), "{error}");
        let mut options = untrusted;
        options.ca_certs.push(proxy.certificate.authority.clone());
        expect_through(&site, options);
    }
    // CONNECT within TLS, and nothing but HTTP within that.
    let site = Site::start(Config::new(SEED, SIZE));
    let parsed = Proxy::parse(&proxy.url_tls("https://")).expect("a proxy");
    let mut options = reached(Proxies::all(parsed, NoProxy::default(), true), &site.options);
    options.ca_certs.push(proxy.certificate.authority.clone());
    expect_through(&site, options);
    assert!(site.heads().iter().all(|head| !head.contains("\r\nVia: ")), "{:?}", site.heads());
}

#[test]
fn tinyproxy_forwards_and_tunnels() {
    let Some(proxy) = programs::tinyproxy() else { return };
    expect_both(&proxy, "http://");
}

#[test]
fn microsocks_connects() {
    let Some(proxy) = programs::microsocks(false) else { return };
    expect_both(&proxy, "socks5://");
    expect_both(&proxy, "socks5h://");
    let url = "http://127.0.0.1:1/file";
    let options = Options { retries: 0, ..through(&proxy.url("socks5://"), &Options::default()) };
    let run = fetch(url, options);
    let error = run.expect_error(ErrorKind::Connect).to_string();
    assert!(error.contains("cannot connect to 127.0.0.1:1: "), "{error}");
    let Some(proxy) = programs::microsocks(true) else { return };
    expect_both(&proxy, &format!("socks5h://me:{PASSWORD}@"));
    for (front, words) in [
        ("socks5h://", "asks for credentials"),
        ("socks5h://me:wrong-word@", "does not take these credentials"),
    ] {
        let options = through(&proxy.url(front), &Options::default());
        let run = fetch(url, options);
        let error = run.expect_error(ErrorKind::ProxyRefused).to_string();
        assert!(error.contains(words) && !error.contains("wrong-word"), "{error}");
    }
}

#[test]
fn dante_connects_in_both_versions() {
    let Some(proxy) = programs::dante() else { return };
    expect_both(&proxy, "socks4a://");
    expect_both(&proxy, "socks5://");
    // A name that it resolves itself.
    let site = Site::start(Config::new(SEED, SIZE));
    let url = site.url("/file.bin").replace("127.0.0.1", "localhost");
    fetch(&url, through(&proxy.url("socks5h://"), &site.options)).expect_file(SEED, SIZE);
    let options = through(&proxy.url("socks5://"), &Options::default());
    let run = fetch("http://127.0.0.2:80/file", options);
    let error = run.expect_error(ErrorKind::ProxyRefused).to_string();
    assert!(error.contains("its rules do not allow it"), "{error}");
}

#[test]
fn many_small_files_take_the_same_way() {
    let Some(proxy) = programs::squid(true) else { return };
    const FILES: usize = 40;
    const BYTES: u64 = 3000;
    for site in both_schemes(BYTES).map(Site::start) {
        let scene = Scene::new();
        let urls: String = (0..FILES).map(|nth| site.url(&format!("/{nth}.bin")) + "\n").collect();
        fs::write(scene.path().join("list"), urls).expect("a scratch file");
        let authority = site.home.path().join("authority.pem");
        let trust = format!("--ca-cert={}", authority.display());
        let mut arguments = vec!["-i", "list", "-d", "out", "-vv", "--retries=0"];
        if authority.is_file() {
            arguments.push(&trust);
        }
        fs::create_dir(scene.path().join("out")).expect("a scratch folder");
        let (url, user) = (proxy.url("http://"), format!("me:{PASSWORD}"));
        arguments.extend(["-x", &url, "--proxy-user"]);
        let ended = scene.run(&[&arguments[..], &["me:wrong-word"]].concat());
        assert_eq!(ended.code, Some(18), "{ended:?}");
        assert!(site.heads().is_empty(), "nothing gets past the proxy: {:?}", site.heads());
        let ended = scene.run(&[&arguments[..], &[&user]].concat());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        for nth in 0..FILES {
            let path = scene.path().join(format!("out/{nth}.bin"));
            super::common::assert_content(&path, SEED, BYTES);
        }
        expect_discreet(&site, &[ended.stderr.clone(), ended.stdout.clone()]);
        assert_eq!(site.heads().len(), FILES, "each is asked for once");
    }
}

#[test]
fn each_url_on_the_way_has_its_own_proxy_or_none() {
    let Some(proxy) = programs::squid(false) else { return };
    let site = Site::start(Config::new(SEED, SIZE));
    let location = site.url("/file.bin");
    let redirect = Fault::Redirect { status: 302, location };
    let gate = Site::start(Config::new(SEED, 1).rule(When::All, redirect));
    let parsed = Proxy::parse(&proxy.url("http://")).expect("a proxy");
    let proxies = Proxies::all(parsed, NoProxy::parse("localhost"), false);
    let url = gate.url("/gate").replace("127.0.0.1", "localhost");
    let run = fetch(&url, reached(proxies, &site.options));
    run.expect_file(SEED, SIZE);
    assert!(gate.heads().iter().all(|head| !head.contains("\r\nVia: ")), "{:?}", gate.heads());
    assert!(site.heads().iter().all(|head| head.contains("\r\nVia: ")), "{:?}", site.heads());
}

#[test]
fn a_servers_own_refusal_is_not_the_proxys() {
    let Some(proxy) = programs::squid(false) else { return };
    for config in both_schemes(SIZE) {
        let site = Site::start(config.rule(When::All, status(403, "no")));
        let run = fetch(&site.url("/file"), through(&proxy.url("http://"), &site.options));
        run.expect_error(ErrorKind::Status(403));
    }
}

#[test]
fn a_proxy_counts_as_the_host_if_asked_to() {
    let Some(proxy) = programs::squid(false) else { return };
    let sites = [(); 2].map(|()| {
        let mut config = Config::new(SEED, 20_000);
        config.shape.first_byte_delay = Duration::from_millis(15);
        Site::start(config)
    });
    let scene = Scene::new();
    let urls: String =
        (0..30).map(|nth| sites[nth % 2].url(&format!("/{nth}.bin")) + "\n").collect();
    fs::write(scene.path().join("list"), urls).expect("a scratch file");
    let watch = super::common::Watch::start(proxy.port());
    let url = proxy.url("http://");
    let arguments =
        ["-i", "list", "-x", &url, "--proxy-counts-as-host", "--max-connections-per-host=1"];
    let ended = scene.run(&arguments);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // Where this machine is busy it sees none.
    assert!(watch.peak() <= 1, "connections to the proxy at once");
}

#[test]
fn an_idle_connection_is_not_taken_for_another_way() {
    let Some(proxy) = programs::microsocks(false) else { return };
    let site = Site::start(Config::new(SEED, 20_000));
    // On one thread, as each has idle connections of its own.
    let one = ringhaul::ClientOptions { threads: Some(1), ..ringhaul::ClientOptions::default() };
    let client = ringhaul::Client::new(&one).expect("a client");
    let ways = [site.options.clone(), through(&proxy.url("socks5://"), &site.options)];
    let folder = tempfile::tempdir().expect("a scratch folder");
    for (nth, options) in ways.iter().chain(&ways).enumerate() {
        let download = ringhaul::Download::new(&site.url("/file.bin")).expect("a URL");
        let target = folder.path().join(nth.to_string());
        let running = download.output(target).options(options.clone()).start(&client);
        running.expect("it starts").wait().expect("it comes");
    }
    // One for each way: the second file of each takes what the first has left.
    assert_eq!(site.stats().connections, 2, "{:?}", site.stats());
}
