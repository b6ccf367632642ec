//! The command line as a user meets it, with bytes on the way: what each option does to a transfer
//! from the built-in server, what is said, and how a run ends.

mod common;

use common::scene::stop;
use common::{
    Ended, Place, SEED, Scene, assert_content, checksum, eventually, serve, slowed, status,
};
use ringhaul::server::{Config, Fault, RangeAsked, Rule, Server, Shape, When};
use rustix::process::Signal;
use std::time::{Duration, Instant};

const SIZE_BYTES: u64 = (1 << 20) + 7;

/// Longer than anything here takes, shorter than the default time limit of a stall.
const PROMPT: Duration = Duration::from_secs(20);

fn config() -> Config {
    Config::new(SEED, SIZE_BYTES)
}

fn always(fault: Fault) -> Server {
    serve(config().rule(When::All, fault))
}

/// The file is there, whole, and nothing lies beside it.
fn assert_saved(scene: &Scene, name: &str) {
    assert_content(&scene.path().join(name), SEED, SIZE_BYTES);
    assert!(!scene.path().join(format!("{name}.part")).exists(), "{:?}", scene.names());
}

fn digest() -> String {
    checksum(SEED, SIZE_BYTES).to_string()
}

#[test]
fn the_url_names_the_file() {
    let (scene, server) = (Scene::new(), serve(config()));
    scene.run(&[&server.url("/pool/my%20file.bin?token=1")]).success();
    assert_saved(&scene, "my file.bin");
    assert_eq!(scene.names(), ["my file.bin"]);
    scene.run(&[&server.url("/")]).success();
    assert_saved(&scene, "index.html");
}

#[test]
fn dev_null_checks_every_byte_and_keeps_none() {
    let (scene, server) = (Scene::new(), serve(config()));
    let url = server.url("/f");
    let ended = scene.run(&["-c", "3", "--chunk-size", "256K", "-o", "/dev/null", &url]);
    assert!(!ended.stderr.contains("starts over"), "nobody expects it: {ended:?}");
    assert!(ended.success().stderr.contains("3 connections"), "{ended:?}");
    assert!(ended.stderr.contains(", discarded"), "{ended:?}");
    assert_eq!(scene.names(), [""; 0]);
    assert!(std::fs::metadata("/dev/null").is_ok_and(|meta| !meta.is_file()));
    let short = always(Fault::CloseAfter { bytes: 1000, close_notify: false });
    let ended = scene.run(&["-r", "0", "-o", "/dev/null", &short.url("/f")]);
    assert!(ended.error_line(11).contains("ended"), "{ended:?}");
    let stream = always(Fault::NoRangeSupport);
    let ended = scene.run(&["-o", "/dev/null", &stream.url("/f")]);
    assert!(ended.success().stderr.contains("one stream"), "{ended:?}");
}

#[test]
fn output_and_dir_choose_the_place() {
    let (scene, server) = (Scene::new(), serve(config()));
    std::fs::create_dir(scene.path().join("sub")).expect("a folder");
    let url = server.url("/file.bin");
    for (arguments, name) in [
        (&["-o", "a"][..], "a"),
        (&["-d", "sub"], "sub/file.bin"),
        (&["-d", "sub", "-o", "b"], "sub/b"),
        (&["-o", "sub/c"], "sub/c"),
    ] {
        scene.run(&[arguments, &[&url]].concat()).success();
        assert_saved(&scene, name);
    }
    let by_variables = [("RINGHAUL_DIR", "sub"), ("RINGHAUL_OUTPUT", "d")];
    scene.run_with(&[&url], &by_variables).success();
    assert_saved(&scene, "sub/d");
}

#[test]
fn an_existing_target_needs_force() {
    let (scene, server) = (Scene::new(), serve(config()));
    let (path, url) = (scene.path().join("a"), server.url("/x"));
    std::fs::write(&path, "mine").expect("a file");
    let line = scene.run(&["-o", "a", &url]).error_line(14).to_owned();
    assert!(line.contains("--force"), "{line}");
    assert_eq!(std::fs::read(&path).expect("the file"), b"mine");
    scene.run(&["-o", "a", "--force", &url]).success();
    assert_saved(&scene, "a");
    scene.run_with(&["-o", "a", &url], &[("RINGHAUL_FORCE", "yes")]).success();
    let refused = scene.run_with(&["-o", "a", &url], &[("RINGHAUL_FORCE", "0")]);
    assert!(refused.error_line(14).contains("--force"));
}

#[test]
fn headers_reach_the_server() {
    let (scene, server) = (Scene::new(), serve(config()));
    let url = server.url("/x");
    scene.run(&["-H", "X-One: 1", "-H", "X-Two: a: b", "-A", "me/1", &url]).success();
    let variables = [("RINGHAUL_HEADER", "X-Three: 3\nX-Four: 4"), ("RINGHAUL_USER_AGENT", "you")];
    scene.run_with(&["--force", &url], &variables).success();
    let log = server.stats().log;
    let (first, last) = (&log[0].head, &log[log.len() - 1].head);
    for (head, field) in [
        (first, "X-One: 1\r\n"),
        (first, "X-Two: a: b\r\n"),
        (first, "User-Agent: me/1\r\n"),
        (last, "X-Three: 3\r\n"),
        (last, "X-Four: 4\r\n"),
        (last, "User-Agent: you\r\n"),
    ] {
        let found = head.to_ascii_lowercase().contains(&field.to_ascii_lowercase());
        assert!(found, "{field}{head}");
        let name = field.split(':').next().unwrap_or_default().to_ascii_lowercase();
        assert_eq!(head.to_ascii_lowercase().matches(&format!("\n{name}:")).count(), 1, "{head}");
    }
}

#[test]
fn connections_and_chunk_size_shape_the_requests() {
    let shape = Shape { first_byte_delay: Duration::from_millis(20), ..Shape::default() };
    let server = serve(Config { shape, ..config() });
    let url = server.url("/x");
    Scene::new().run(&["-c", "1", "--chunk-size", "64K", &url]).success();
    let stats = server.stats();
    assert_eq!(stats.connections_peak, 1, "{stats:?}");
    assert!(stats.log.len() >= 17, "{} requests", stats.log.len());
    for request in &stats.log {
        let Some(RangeAsked::FromTo { first, last }) = request.range else {
            panic!("not a bounded range: {request:?}");
        };
        assert!(last - first < 64 << 10, "{request:?}");
    }
    Scene::new().run(&["-c", "3", "--chunk-size", "64K", &url]).success();
    assert!((2..=3).contains(&server.stats().connections_peak), "{:?}", server.stats());
}

#[test]
fn quiet_says_nothing_and_verbose_says_more() {
    let (scene, server) = (Scene::new(), serve(config()));
    let url = server.url("/x");
    assert_eq!(scene.run(&["-q", &url]).success().stderr, "");
    let normal = scene.run(&["-o", "n", &url]);
    let detail = scene.run(&["-o", "d", "-v", &url]);
    let trace = scene.run(&["-o", "t", "-vv", "-c", "4", "--chunk-size", "64K", &url]);
    // The whole status line, as a rate may have these digits.
    assert!(!normal.success().stderr.contains("HTTP/1.1 206"), "{normal:?}");
    assert!(detail.success().stderr.contains("HTTP/1.1 206"), "{detail:?}");
    let lines = |ended: &Ended| ended.stderr.lines().count();
    assert!(lines(&normal) < lines(&detail) && lines(&detail) < lines(&trace), "{trace:?}");
    let quiet_failure = scene.run(&["-q", &url]);
    quiet_failure.one_error_line(14);
}

#[test]
fn plain_lines_without_a_terminal() {
    // Slow enough for a progress snapshot, ten of which come in a second.
    let server = serve(slowed(config(), 2 << 20));
    let ended = Scene::new().run(&["-o", "a.bin", &server.url("/x")]);
    let lines: Vec<&str> = ended.success().stderr.lines().collect();
    assert!(lines[0].starts_with("a.bin: downloading, 1.00 MiB, "), "{ended:?}");
    assert!(!ended.stderr.contains(['\r', '\x1b']), "nothing to redraw a line with\n{ended:?}");
    assert!(lines.len() <= 4, "{ended:?}");
}

#[test]
fn the_closing_line_tells_the_means() {
    let (scene, server) = (Scene::new(), serve(config()));
    let options = ["-o", "a", "-c2", "--direct=off", "--no-register", "--checksum"];
    let (url, digest) = (server.url("/x"), digest());
    let ended = scene.run(&[&options[..], &[&digest, &url]].concat());
    let lines: Vec<&str> = ended.success().stderr.lines().collect();
    let [.., last, verified, limiter] = lines[..] else { panic!("{ended:?}") };
    assert_eq!(limiter.split_once(": ").map(|(label, _)| label), Some("limited by"), "{limiter}");
    assert!(last.starts_with("a: 1.00 MiB in "), "{last}");
    assert!(last.contains("B/s, ") && last.contains(" connection"), "{last}");
    assert!(last.ends_with(", buffered"), "neither asked to register nor large: {last}");
    assert_eq!(verified, format!("verified {digest} (given with --checksum)"));
    let one_stream = scene.run(&["-o", "b", &always(Fault::NoRangeSupport).url("/x")]);
    let words = "1 connection (one stream: the server offers no ranges)";
    assert!(one_stream.success().stderr.contains(words), "{one_stream:?}");
    assert_saved(&scene, "b");
}

#[test]
fn a_wrong_checksum_keeps_the_name_free() {
    let (scene, server) = (Scene::new(), always(Fault::FlipByte(70_000)));
    let ended = scene.run(&["-o", "a", "--checksum", &digest(), &server.url("/x")]);
    ended.error_line(13);
    assert!(!scene.path().join("a").exists(), "{:?}", scene.names());
}

#[test]
fn error_statuses_have_their_exit_code() {
    for (code, words) in [(404, "404"), (401, "401"), (403, "403"), (410, "410"), (500, "500")] {
        let scene = Scene::new();
        let ended =
            scene.run(&["-r", "0", "-o", "a", &always(status(code, "no")).url("/x?token=secret")]);
        let line = ended.error_line(if code == 500 { 22 } else { 8 });
        assert!(line.contains(words) && !line.contains("secret"), "{line}");
        assert!(!scene.path().join("a").exists(), "{:?}", scene.names());
    }
}

#[test]
fn a_stall_ends_by_the_time_limit() {
    let (scene, server) = (Scene::new(), always(Fault::StallBeforeHead));
    let begin = Instant::now();
    let ended = scene.run(&["--timeout", "200ms", "-r", "0", &server.url("/x")]);
    ended.error_line(6);
    assert!(begin.elapsed() < PROMPT);
}

#[test]
fn certificates_are_trusted_only_when_told() {
    let (scene, server) = (Scene::new(), serve(Config::new_tls(SEED, SIZE_BYTES)));
    let pem = server.certificate_pem().expect("a TLS server has a certificate");
    std::fs::write(scene.path().join("ca.pem"), pem).expect("a file");
    let url = server.url("/x");
    let line = scene.run(&["-o", "a", &url]).error_line(7).to_owned();
    assert!(line.contains("--ca-cert"), "{line}");
    scene.run(&["-o", "b", "--ca-cert", "ca.pem", &url]).success();
    scene.run_with(&["-o", "c", &url], &[("RINGHAUL_CA_CERT", "ca.pem\n")]).success();
    let insecure = scene.run(&["-o", "d", "--insecure", &url]);
    assert!(insecure.success().stderr.contains("warning: "), "{insecure:?}");
    ["b", "c", "d"].iter().for_each(|name| assert_saved(&scene, name));
    assert_eq!(scene.names(), ["b", "c", "ca.pem", "d"]);
}

#[test]
fn a_downgrade_must_be_allowed() {
    let (scene, plain) = (Scene::new(), serve(config()));
    let away = Fault::Redirect { status: 302, location: plain.url("/x") };
    let tls = serve(Config::new_tls(SEED, SIZE_BYTES).rule(When::All, away));
    let url = tls.url("/start.bin");
    let line = scene.run(&["-k", &url]).error_line(12).to_owned();
    assert!(line.contains("--allow-downgrade"), "{line}");
    scene.run(&["-k", "--allow-downgrade", &url]).success();
    assert_saved(&scene, "start.bin");
}

#[test]
fn a_passing_failure_is_retried() {
    let mut config = config();
    config.script.push(Rule::once(When::Request(1), Fault::ResetAfter(100_000)));
    let (scene, server) = (Scene::new(), serve(config));
    scene.run(&["-o", "a", &server.url("/x")]).success();
    assert_saved(&scene, "a");
}

#[test]
fn signals_end_a_transfer_without_a_trace_at_the_name() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let (scene, server) = (Scene::new(), always(Fault::StallAfter(100_000)));
        let url = server.url("/x");
        let child = scene.spawn(&["-o", "a", &url]);
        eventually("a request is there", || server.stats().requests > 0);
        let begin = Instant::now();
        let ended = stop(child, signal);
        assert!(begin.elapsed() < PROMPT, "a signal must not wait for the stall's time limit");
        ended.error_line(code);
        assert!(!scene.path().join("a").exists(), "{:?}", scene.names());
    }
}

#[test]
fn an_interrupted_run_is_gone_on_with() {
    const SIZE_BYTES: u64 = 6 << 20;
    let config = || Config::new(SEED, SIZE_BYTES);
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let (scene, server) = (Scene::new(), serve(slowed(config(), 4 << 20)));
        let run = ["-o", "a", "-c2", "--chunk-size=512K", "--journal-interval=50ms"];
        let url = server.url("/x?token=secret");
        let child = scene.spawn(&[&run[..], &[&url]].concat());
        eventually("half of the file is sent", || server.body_bytes() > SIZE_BYTES / 2);
        let ended = stop(child, signal);
        let line = ended.error_line(code);
        assert!(line.contains(" MiB are kept, and the next run goes on from there"), "{line}");
        assert_eq!(scene.names(), ["a.part", "a.ringhaul"]);

        // Another place, slow enough for a line of progress.
        let server = serve(slowed(config(), 8 << 20));
        let ended = scene.run(&[&run[..], &[&server.url("/y")]].concat());
        let stderr = &ended.success().stderr;
        for words in ["resuming: ", " of 6.00 MiB are here", " of it are here", ", resumed "] {
            assert!(stderr.contains(words), "{words}\n{stderr}");
        }
        assert!(server.body_bytes() < SIZE_BYTES * 3 / 4, "most of it was here");
        assert_content(&scene.path().join("a"), SEED, SIZE_BYTES);
        assert_eq!(scene.names(), ["a"]);
    }
}

#[test]
fn doctor_proves_it_and_cleans_up() {
    let scene = Scene::new();
    let ended = scene.run(&["doctor", "--size", "3M"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    for words in ["ringhaul ", "proof: 3.00 MiB", "\n  HTTP   ", "\n  HTTPS  ", "the proof holds"] {
        assert!(ended.stdout.contains(words), "{words}\n{}", ended.stdout);
    }
    assert!(scene.names().is_empty(), "{:?}", scene.names());
}
