//! `ringhaul serve` as a user meets it: what it says, how it ends, and what its options do to
//! downloads by ringhaul itself and by curl, where that is installed.

#[path = "serve/browse.rs"]
mod browse;
mod common;
#[path = "serve/several.rs"]
mod several;

use common::pki::Authority;
use common::scene::{stop, wrapped};
use common::tools::shell;
use common::{Ended, Place, Scene, assert_content, eventually, skipped};
use ringhaul::server::content;
use rustix::process::Signal;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The seed of `serve` unless told otherwise.
const DEFAULT_SEED: u64 = 1;
const SIZE: &str = "3000001";
const SIZE_BYTES: u64 = 3_000_001;

/// A server in a process of its own.
struct Serving {
    child: Option<Child>,
    url: String,
    /// Those of several servers, of which `url` is the first.
    urls: Vec<String>,
}

impl Serving {
    fn start(scene: &Scene, arguments: &[&str]) -> Self {
        Self::start_several(scene, 1, arguments)
    }

    /// With `count` servers.
    fn start_several(scene: &Scene, count: usize, arguments: &[&str]) -> Self {
        let arguments = [&["serve", "--listen=127.0.0.1:0"], arguments].concat();
        Self::of(scene.command(&arguments), count)
    }

    /// With `descriptors` file descriptors at most.
    fn start_with_descriptors(scene: &Scene, descriptors: u32, arguments: &[&str]) -> Self {
        let arguments = [&["serve", "--listen=127.0.0.1:0"], arguments].concat();
        let limited = shell(&format!("ulimit -n {descriptors}"));
        Self::of(wrapped(limited, &scene.command(&arguments)), 1)
    }

    fn of(mut command: Command, count: usize) -> Self {
        let mut child = command.spawn().expect("the binary runs");
        let out = child.stdout.as_mut().expect("a pipe");
        let lines = BufReader::new(out).lines().take(count);
        let urls: Vec<String> = lines.map(|line| line.expect("a URL")).collect();
        if urls.len() < count || !urls.iter().all(|url| url.ends_with('/')) {
            let ended = Ended::of(child.wait_with_output().expect("it has ended"));
            panic!("no URL: {ended:?}");
        }
        Self { child: Some(child), url: urls[0].clone(), urls }
    }

    fn url(&self, name: &str) -> String {
        format!("{}{name}", self.url)
    }

    fn connect(&self) -> TcpStream {
        self.connect_to(1)
    }

    /// Host and port of server `number`, counted from 1.
    fn authority(&self, number: usize) -> &str {
        self.urls[number - 1].split('/').nth(2).expect("host and port")
    }

    fn connect_to(&self, number: usize) -> TcpStream {
        let socket = TcpStream::connect(self.authority(number)).expect("a connection");
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a time limit");
        socket
    }

    /// The status and all of the answer to a request whose connection closes.
    fn ask(&self, path: &str, fields: &str) -> String {
        let mut socket = self.connect();
        let request = format!("GET {path} HTTP/1.1\r\nConnection: close\r\n{fields}\r\n");
        socket.write_all(request.as_bytes()).expect("a request");
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).expect("an answer");
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Ends it with `signal`.
    fn stop(mut self, signal: Signal) -> Ended {
        let child = self.child.take().expect("it runs");
        stop(child, signal)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn assert_bytes(bytes: &[u8], offset: u64, len: u64) {
    assert_eq!(bytes.len() as u64, len);
    assert_eq!(content::verify(DEFAULT_SEED, offset, bytes), Ok(()));
}

fn assert_saved(scene: &Scene, name: &str) {
    assert_content(&scene.path().join(name), DEFAULT_SEED, SIZE_BYTES);
}

/// What curl writes to standard output; `None`, said loudly, where there is no curl.
fn curl(arguments: &[&str]) -> Option<Vec<u8>> {
    let mut curl = Command::new("curl");
    let output = curl.args(["-sS", "--fail", "--noproxy", "*"]).args(arguments).output();
    let Ok(output) = output else {
        skipped("curl is not installed");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(output.stdout)
}

#[test]
fn help_says_how_it_ends() {
    let ended = Scene::new().run(&["serve", "--help"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    let themes = ["TLS:", "Several servers:", "Shaping:", "Faults:", "Metalink:"];
    let details = ["[DIR]", "--size", "[default: 127.0.0.1:8080]", "exit code 0"];
    for words in themes.iter().chain(&details) {
        assert!(ended.stdout.contains(words), "{words}\n{}", ended.stdout);
    }
}

#[test]
fn mistakes_are_one_line_and_exit_code_2() {
    let scene = Scene::new();
    std::fs::write(scene.path().join("file"), "no PEM").expect("a file");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().map(|address| (taken, address.to_string())).expect("bound");
    for (arguments, words) in [
        (&["missing"][..], "cannot serve the folder 'missing'"),
        (&["file"], "cannot serve the folder 'file'"),
        (&["--size=1M", "."], "DIR and '--size' cannot be used together"),
        (&["--size=many"], "'many' is not a size"),
        (&["--files=9"], "add '--size'"),
        (&["--by-path", "."], "add '--size'"),
        (&["--size=1", "--files=0"], "1..=1000000000000"),
        (&["--size=1", "--files=9", "--by-path"], "'--by-path'"),
        (&["--size=1", "--size-max=2"], "needs '--files' or '--by-path'"),
        (&["--size=2", "--size-max=1", "--by-path"], "less than '--size'"),
        (&["--size=1", "--listen", &taken.1], "cannot listen on 127.0.0.1:"),
        (&["--size=1", "--listen=192.0.2.1:0"], "cannot listen on 192.0.2.1:"),
        (&["--listen=localhost:1"], "such as 0.0.0.0:8080"),
        (&["--rate=0"], "a rate cannot be zero"),
        (&["--rate=fast"], "'fast' is not a rate"),
        (&["--first-byte=2h"], "3600s"),
        (&["--report-every=10ms"], "1s to 3600s"),
        (&["--slow-every=2"], "--slow-rate"),
        (&["--slow-every=0", "--slow-rate=1"], "--slow-every"),
        (&["--throttle-after=1M"], "--throttle-rate"),
        (&["--throttle-after=soon", "--throttle-rate=1"], "'soon' is not a size"),
        (&["--lose-connections=0"], "--lose-connections"),
        (&["--refuse-beyond=0"], "--refuse-beyond"),
        (&["--digests=md4"], "repr-digest"),
        (&["--cert=file"], "--key"),
        (&["--cert=file", "--key=file"], "cannot read the certificate in 'file'"),
        (&["--cert=file", "--key=file", "--cert-out=x"], "--cert-out"),
        (&["--size=1", "--name=a b", "--tls"], "certificate"),
        (&["--size=1", "--ports=0"], "1..=64"),
        (&["--size=1", "--ports=2", "--listen=:65535"], "no 2 ports from 65535 on"),
        (&["--size=1", "--ports=2", "--on=2:rate=0"], "'--on 2:…': --rate <RATE>: a rate cannot"),
        (&["--size=1", "--ports=2", "--on=3:rate=1"], "the numbers 1 to 2"),
        (&["--size=1", "--on=rate=1"], "write N:OPTION=VALUE, such as 2:rate=5M"),
        (&["--size=1", "--on=1:files=9"], "unexpected argument '--files'"),
        (&["--size=1", "--fault=resetx2"], "only of a request's faults"),
        (&["--ports=2", "--on=2:size=1", "."], "only where all have '--size'"),
        (&["--fault=dead"], "write reset, silence, unreachable, a status"),
        (&["--fault=size@1M"], "need the one file of '--size'"),
        (&["--size=1", "--by-path", "--fault=content"], "need the one file of '--size'"),
        (&["--size=1", "--corrupt=0-2"], "more than the file's 1 bytes"),
        (&["--size=1", "--corrupt=1"], "such as 100M-101M"),
        (&["--size=1", "--etag="], "an ETag is visible letters"),
        (&["--size=1", "--redirect=2"], "has the number 2"),
        (&["--size=1", "--redirect=h:1"], "neither the number of a port nor a URL"),
        (&["--size=1", "--geo=de"], "need '--metalink'"),
        (&["--size=1", "--metalink", "--geo=deu"], "two letters each, such as de"),
        (&["--size=1", "--piece-length=1M"], "--metalink"),
        (&["--size=1G", "--metalink", "--piece-length=1K"], "a longer '--piece-length'"),
    ] {
        let arguments = [&["serve"], arguments].concat();
        let ended = scene.run_with(&arguments, &[("RINGHAUL_SERVE_LISTEN", "127.0.0.1:0")]);
        let line = ended.one_error_line(2);
        assert!(line.contains(words) && line.contains("(your side); "), "{arguments:?}\n{line}");
    }
    let no_folder = ["serve", "--size=1", "--listen=:0", "--cert-out=missing/x"];
    assert!(scene.run(&no_folder).one_error_line(14).contains("--cert-out"));
    assert_eq!(scene.names(), ["file"]);
}

#[test]
fn options_are_variables_too() {
    let scene = Scene::new();
    let bad = [("RINGHAUL_SERVE_RATE", "fast")];
    assert!(scene.run_with(&["serve"], &bad).one_error_line(2).contains("RINGHAUL_SERVE_RATE"));
    let made_up = [
        ("RINGHAUL_SERVE_SIZE", "5"),
        ("RINGHAUL_SERVE_FILES", "5"),
        ("RINGHAUL_SERVE_SIZE_MAX", "6"),
        ("RINGHAUL_SERVE_LISTEN", "127.0.0.1:0"),
    ];
    let ended = scene.run_with(&["serve", "missing"], &made_up);
    assert!(ended.one_error_line(2).contains("'missing'"), "the folder wins: {ended:?}");
}

#[test]
fn made_up_bytes_for_ringhaul_and_curl() {
    let scene = Scene::new();
    let serving = Serving::start(&scene, &["--size", SIZE]);
    scene.run(&["-q", "-c4", "--chunk-size=256K", "-o", "a", &serving.url("x/y")]).success();
    assert_saved(&scene, "a");
    if let Some(bytes) = curl(&[&serving.url("z?q")]) {
        assert_bytes(&bytes, 0, SIZE_BYTES);
    }
    if let Some(bytes) = curl(&["-r", "5-1000004", &serving.url("z")]) {
        assert_bytes(&bytes, 5, 1_000_000);
    }
    let ended = serving.stop(Signal::INT);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("serving 2.86 MiB of seed 1 at every path"), "{ended:?}");
    let last = ended.stderr.lines().last().unwrap_or_default();
    assert!(last.starts_with("served ") && last.contains(" connections, "), "{ended:?}");
}

/// The body of an answer to `path`, whose status is 200.
fn body(serving: &Serving, path: &str) -> Vec<u8> {
    let mut socket = serving.connect();
    let request = format!("GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).expect("a request");
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).expect("an answer");
    let head_bytes = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
    answer.split_off(head_bytes)
}

#[test]
fn many_files_and_the_lists_that_name_them() {
    let arguments = ["--size=1K", "--size-max=2K", "--files=20", "--seed=5"];
    let serving = Serving::start(&Scene::new(), &arguments);
    let list = String::from_utf8(body(&serving, "/list.txt")).expect("text");
    let expected: Vec<String> = (1..=20).map(|n| format!("http://here/{n:04}.bin")).collect();
    assert_eq!(list.lines().collect::<Vec<_>>(), expected);
    for url in list.lines() {
        let path = url.strip_prefix("http://here").expect("the host asked for");
        let bytes = body(&serving, path);
        assert_eq!(bytes.len() as u64, content::size_at(5, path, 1024..=2048), "{path}");
        assert_eq!(content::verify(content::seed_at(5, path), 0, &bytes), Ok(()), "{path}");
    }
    let sums = String::from_utf8(body(&serving, "/SHA256SUMS")).expect("text");
    assert_eq!(sums.lines().count(), 20, "{sums}");
    assert!(serving.ask("/0021.bin", "").starts_with("HTTP/1.1 404 "));
    let ended = serving.stop(Signal::TERM);
    let said = "serving 20 files of 1.00 KiB to 2.00 KiB and seed 5, up to /0020.bin";
    assert!(ended.stderr.contains(said), "{ended:?}");
}

#[test]
fn every_path_has_a_file_of_its_own_if_asked_for() {
    let serving = Serving::start(&Scene::new(), &["--size=1K", "--by-path"]);
    for path in ["/", "/a/b.bin"] {
        let bytes = body(&serving, path);
        assert_eq!(content::verify(content::seed_at(DEFAULT_SEED, path), 0, &bytes), Ok(()));
    }
}

#[test]
fn a_folder_and_nothing_outside() {
    let scene = Scene::new();
    let inside = scene.path().join("in");
    std::fs::create_dir(&inside).expect("a folder");
    let mut bytes = vec![0; usize::try_from(SIZE_BYTES).expect("a small file")];
    content::fill(DEFAULT_SEED, 0, &mut bytes);
    std::fs::write(inside.join("my file"), &bytes).expect("a file");
    std::fs::write(scene.path().join("secret"), "secret").expect("a file");
    std::os::unix::fs::symlink("../secret", inside.join("out")).expect("a link");
    let serving = Serving::start(&scene, &["in"]);
    scene.run(&["-q", "-c4", "--chunk-size=256K", "-o", "a", &serving.url("my%20file")]).success();
    assert_saved(&scene, "a");
    for path in ["/../secret", "/%2e%2e/secret", "/..%2Fsecret", "/out", "//etc/passwd"] {
        let answer = serving.ask(path, "");
        assert!(answer.starts_with("HTTP/1.1 404 ") && !answer.contains("secret\n"), "{answer}");
    }
    let answer = serving.ask("/my%20file", "Range: bytes=0-9\r\n");
    assert!(answer.starts_with("HTTP/1.1 206 ") && answer.contains("0-9/3000001"), "{answer}");
    let ended = serving.stop(Signal::TERM);
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn https_with_a_certificate_made_or_given() {
    let scene = Scene::new();
    let serving = Serving::start(&scene, &["--size", SIZE, "--cert-out=ca.pem", "--quiet"]);
    assert!(serving.url.starts_with("https://127.0.0.1:"), "{}", serving.url);
    scene.run(&["-q", "--ca-cert=ca.pem", "-o", "a", &serving.url("x")]).success();
    assert_saved(&scene, "a");
    let authority = scene.path().join("ca.pem");
    let authority = authority.to_str().expect("a path of letters");
    if let Some(bytes) = curl(&["--cacert", authority, "-r", "7-99", &serving.url("x")]) {
        assert_bytes(&bytes, 7, 93);
    }
    let ended = serving.stop(Signal::INT);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");

    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    std::fs::write(scene.path().join("c.pem"), made.cert.pem()).expect("a file");
    std::fs::write(scene.path().join("k.pem"), made.signing_key.serialize_pem()).expect("a file");
    let serving = Serving::start(&scene, &["--size", SIZE, "--cert=c.pem", "--key=k.pem"]);
    scene.run(&["-q", "--insecure", "-o", "b", &serving.url("x")]).success();
    assert_saved(&scene, "b");
}

#[test]
fn certificates_of_clients_are_demanded() {
    let (scene, authority) = (Scene::new(), Authority::new("clients"));
    authority.file(scene.path());
    authority.client(scene.path(), "me", 2090);
    let arguments = ["--size", SIZE, "--client-ca=clients.pem", "--cert-out=ca.pem"];
    let serving = Serving::start(&scene, &arguments);
    let url = serving.url("x");
    let line = scene.run(&["--ca-cert=ca.pem", "-oa", &url]).error_line(7).to_owned();
    assert!(line.contains("demands a client certificate"), "{line}");
    let shown = [("RINGHAUL_CERT", "me.pem"), ("RINGHAUL_KEY", "me.key")];
    scene.run_with(&["--ca-cert=ca.pem", "-oa", &url], &shown).success();
    assert_saved(&scene, "a");
    let ended = scene.run(&["serve", "--size=9", "--client-ca=missing.pem"]);
    assert!(ended.error_line(2).contains("'missing.pem'"), "{ended:?}");
}

#[test]
fn digests_are_sent() {
    let serving = Serving::start(&Scene::new(), &["--size=9", "--digests=repr-digest,x-goog-hash"]);
    let answer = serving.ask("/", "");
    assert!(answer.contains("\r\nRepr-Digest: sha-256=:"), "{answer}");
    assert!(answer.contains("\r\nx-goog-hash: crc32c="), "{answer}");
}

#[test]
fn rates_hold_for_one_and_for_all() {
    for (option, parts, expected) in [
        ("--rate=6MiB", 2, Duration::from_secs_f64(2.0 / 3.0)),
        ("--rate-per-connection=6MiB", 2, Duration::from_secs_f64(1.0 / 3.0)),
    ] {
        let serving = Serving::start(&Scene::new(), &["--size=1G", option]);
        let begin = Instant::now();
        let sockets: Vec<TcpStream> = (0..parts)
            .map(|_| {
                let mut socket = serving.connect();
                let request = b"GET / HTTP/1.1\r\nRange: bytes=0-2097151\r\n\r\n";
                socket.write_all(request).expect("a request");
                socket
            })
            .collect();
        let readers: Vec<_> = sockets
            .into_iter()
            .map(|mut socket| {
                std::thread::spawn(move || {
                    let mut bytes = vec![0; 2 << 20];
                    socket.read_exact(&mut bytes).expect("head and body");
                })
            })
            .collect();
        for reader in readers {
            reader.join().expect("all came");
        }
        let ratio = begin.elapsed().as_secs_f64() / expected.as_secs_f64();
        assert!((0.8..1.2).contains(&ratio), "{option}: {ratio}");
    }
}

#[test]
fn a_shaped_path_still_gives_the_file() {
    let scene = Scene::new();
    let faults = [
        "--lose-connections=3",
        "--first-byte=5ms",
        "--jitter=10ms",
        "--slow-every=4",
        "--slow-rate=1M",
        "--throttle-after=1M",
        "--throttle-rate=8M",
        "--refuse-beyond=6",
        "--seed=1",
    ];
    let serving = Serving::start(&scene, &[&["--size", SIZE], &faults[..]].concat());
    let options = ["-q", "-c8", "--chunk-size=128K", "--retry-wait=1ms", "-o", "a"];
    scene.run(&[&options[..], &[&serving.url("x")]].concat()).success();
    assert_saved(&scene, "a");
}

#[test]
fn three_hundred_connections_at_once() {
    let serving = Serving::start(&Scene::new(), &["--size=1G"]);
    let mut sockets: Vec<TcpStream> = (0..300).map(|_| serving.connect()).collect();
    for (number, socket) in sockets.iter_mut().enumerate() {
        let start = number * 1_000_003;
        let range = format!("Range: bytes={start}-{}\r\n", start + 39_999);
        let request = format!("GET / HTTP/1.1\r\n{range}\r\n");
        socket.write_all(request.as_bytes()).expect("a request");
    }
    for (number, socket) in sockets.iter().enumerate() {
        let mut reader = BufReader::new(socket);
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).expect("a line of the head");
        }
        let mut body = [0; 40_000];
        reader.read_exact(&mut body).expect("the body");
        assert_bytes(&body, number as u64 * 1_000_003, 40_000);
    }
    let ended = serving.stop(Signal::TERM);
    let last = ended.stderr.lines().last().unwrap_or_default();
    assert!(last.contains("served 300 requests, 11.44 MiB, over 300 connections"), "{ended:?}");
    assert!(ended.code == Some(0) && last.contains(", 300 at a time, "), "{ended:?}");
}

/// Each connection takes a descriptor, and these are all idle.
#[test]
fn idle_connections_lock_nobody_out_when_descriptors_run_out() {
    let scene = Scene::new();
    let serving = Serving::start_with_descriptors(&scene, 40, &["--size=9"]);
    let idle: Vec<TcpStream> = (0..60).map(|_| serving.connect()).collect();
    let answer = serving.ask("/", "");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    idle.iter().for_each(|one| one.set_nonblocking(true).expect("a socket's flag"));
    let has_ended = |one: &TcpStream| matches!(one.peek(&mut [0]), Ok(0));
    eventually("one of them made room", || idle.iter().any(has_ended));
    let ended = serving.stop(Signal::TERM);
    let last = ended.stderr.lines().last().unwrap_or_default();
    assert!(last.contains(" idle connections made room for new ones"), "{ended:?}");
}

#[test]
fn nobody_to_tell_the_url_is_an_error() {
    let scene = Scene::new();
    let full = std::fs::File::options().write(true).open("/dev/full").expect("/dev/full");
    let mut command = scene.command(&["serve", "--size=1", "--listen=:0"]);
    let output = command.stdout(Stdio::from(full)).output().expect("the binary runs");
    assert!(Ended::of(output).one_error_line(16).contains("standard output"));
}

/// Gates as curl and ringhaul pass them, and as they hold back who shows nothing.
#[test]
fn gates_let_in_who_shows_what_they_ask_for() {
    let scene = Scene::new();
    for (gate, ours, theirs) in [
        (&["--require-user", "me:pw"][..], &["-u", "me:pw"][..], &["-u", "me:pw"][..]),
        (
            &["--require-digest", "me:pw", "--nonce-requests", "2"],
            &["-u", "me:pw", "--digest", "--chunk-size", "512K"],
            &["--digest", "-u", "me:pw"],
        ),
        (
            &["--require-bearer", "t0ken"],
            &["--oauth2-bearer", "t0ken"],
            &["--oauth2-bearer", "t0ken"],
        ),
        (&["--cookie-gate"], &[], &["-L", "-b", "none"]),
    ] {
        let serving = Serving::start(&scene, &[&["--size", SIZE], gate].concat());
        let url = serving.url("f");
        scene.run(&[ours, &[&url]].concat()).success();
        assert_content(&scene.path().join("f"), DEFAULT_SEED, SIZE_BYTES);
        std::fs::remove_file(scene.path().join("f")).expect("our own file");
        if gate[0] != "--cookie-gate" {
            assert!(scene.run(&[&url]).error_line(8).contains("401"), "{gate:?}");
        }
        let Some(curl) = common::tools::find_or_skip("curl", false, "no gate meets it") else {
            continue;
        };
        let mut command = Command::new(curl);
        command.args(["-s", "-f", "-o", "c"]).args(theirs).arg(&url).current_dir(scene.path());
        assert!(command.status().expect("curl runs").success(), "{gate:?}");
        assert_content(&scene.path().join("c"), DEFAULT_SEED, SIZE_BYTES);
    }
}
