//! `--remote-name`: when a server names the file, what becomes of the name, and that it never takes
//! that of a file which is there.

mod common;

use common::{Place, SEED, Scene, assert_content, serve, status};
use ringhaul::server::{Config, Fault, Rule, Server, When};
use std::fs;

const SIZE_BYTES: u64 = 300_001;

fn config() -> Config {
    Config::new(SEED, SIZE_BYTES)
}

fn proposing(value: &str) -> Fault {
    Fault::Fields(vec![("Content-Disposition".to_owned(), value.to_owned())])
}

/// A server that proposes this name for every file.
fn server(value: &str) -> Server {
    serve(config().rule(When::All, proposing(value)))
}

/// One run in a folder of its own saves under this name.
#[track_caller]
fn assert_named(server: &Server, arguments: &[&str], name: &str) {
    let scene = Scene::new();
    scene.run(arguments).success();
    assert_eq!(scene.names(), [name], "{arguments:?}");
    assert_content(&scene.path().join(name), SEED, SIZE_BYTES);
    assert!(server.counts().connections_live <= 1, "that of the question is closed");
}

#[test]
fn a_server_names_the_file_only_where_it_is_asked_to() {
    let server = server("attachment; filename=\"no\"; filename*=UTF-8''r%C3%A9sum%C3%A9%20v2.pdf");
    let (url, nameless) = (server.url("/get.php?id=5"), server.url("/d/"));
    for (options, url, name) in [
        (&[][..], &url, "get.php"),
        (&["--remote-name=off"], &nameless, "index.html"),
        (&["--remote-name=auto"], &url, "get.php"),
        (&["--remote-name=auto"], &nameless, "résumé v2.pdf"),
        (&["--remote-name"], &url, "résumé v2.pdf"),
        (&["-J"], &url, "résumé v2.pdf"),
        (&["--remote-header-name"], &url, "résumé v2.pdf"),
        (&["-J", "-o", "mine"], &url, "mine"),
        (&["-J", "-o", "./mine"], &url, "mine"),
    ] {
        assert_named(&server, &[options, &[url]].concat(), name);
    }
    let scene = Scene::new();
    fs::create_dir(scene.path().join("sub")).expect("a folder");
    scene.run_with(&["-o", "sub", &url], &[("RINGHAUL_REMOTE_NAME", "always")]).success();
    assert_content(&scene.path().join("sub/résumé v2.pdf"), SEED, SIZE_BYTES);
}

#[test]
fn names_are_made_safe() {
    for (value, name) in [
        ("attachment; filename=\"../../../etc/passwd\"", "passwd"),
        ("attachment; filename=\"/etc/.profile\"", "_profile"),
        ("attachment; filename=\"-rf\"", "_rf"),
        ("attachment; filename=\"x.part\"", "x_part"),
        ("attachment; filename=\"..\"", "file.bin"),
        ("attachment; filename*=UTF-8''a%00%1b%5b2J", "a__[2J"),
        ("nonsense", "file.bin"),
    ] {
        let server = server(value);
        assert_named(&server, &["-J", &server.url("/file.bin")], name);
    }
    let long = server(&format!("attachment; filename=\"{}.iso\"", "n".repeat(60_000)));
    assert_named(&long, &["-J", &long.url("/x")], &format!("{}.iso", "n".repeat(241)));
}

#[test]
fn no_file_that_is_there_is_replaced() {
    let (scene, server) = (Scene::new(), server("attachment; filename=mine.txt"));
    fs::write(scene.path().join("mine.txt"), "mine").expect("a file");
    for options in [&["-J"][..], &["-J", "--force"]] {
        let ended = scene.run(&[options, &[&server.url("/x")]].concat());
        let line = ended.one_error_line(14);
        assert!(line.contains("the server chose that name") && line.contains("-o"), "{line}");
    }
    assert_eq!(fs::read(scene.path().join("mine.txt")).expect("the file"), b"mine");
    assert_eq!(scene.names(), ["mine.txt"]);
}

#[test]
fn redirects_name_nothing_unless_asked() {
    let target = server("attachment");
    let location = target.url("/real-1.2.iso?sig=secret");
    let hop = Fault::Redirect { status: 302, location };
    let server = serve(config().rule(When::All, hop));
    let (latest, nameless) = (server.url("/latest"), server.url("/"));
    for (option, url, name) in [
        ("-J", &latest, "latest"),
        ("-J", &nameless, "index.html"),
        ("--remote-name=auto", &nameless, "index.html"),
        ("--remote-name=final", &latest, "real-1.2.iso"),
    ] {
        assert_named(&target, &[option, url], name);
    }
}

#[test]
fn a_name_is_asked_for_again_and_the_part_file_found() {
    // Broken amid the file once, behind the question for the name.
    let name = "attachment; filename=big.iso";
    let rules = vec![
        Rule::new(When::All, proposing(name)),
        Rule::new(When::FromRequest(2), Fault::CloseAfter { bytes: 200_000, close_notify: true }),
    ];
    let broken = serve(Config { script: rules, ..config() });
    let scene = Scene::new();
    let limits = ["-J", "-r", "0", "-c", "1", "--journal-interval", "10ms"];
    let ended = scene.run(&[&limits[..], &[&broken.url("/get")]].concat());
    ended.error_line(11);
    assert!(scene.names().iter().all(|name| name.starts_with("big.iso.")), "{:?}", scene.names());
    let whole = server(name);
    scene.run(&["-J", &whole.url("/get")]).success();
    assert_content(&scene.path().join("big.iso"), SEED, SIZE_BYTES);
    assert_eq!(scene.names(), ["big.iso"]);
}

#[test]
fn what_goes_wrong_with_the_question_is_the_servers_error() {
    let missing = serve(config().rule(When::All, status(404, "")));
    let scene = Scene::new();
    let line = scene.run(&["-J", &missing.url("/x?token=secret")]).one_error_line(8).to_owned();
    assert!(line.contains("the file's name: ") && line.contains("404"), "{line}");
    assert!(!line.contains("secret"), "{line}");
    let headers = vec![("Retry-After".to_owned(), "2".to_owned())];
    let busy = Fault::Status { code: 503, headers, body: Vec::new() };
    let busy = Rule::once(When::All, busy);
    let named = Rule::new(When::All, proposing("attachment; filename=a"));
    let server = serve(Config { script: vec![busy, named], ..config() });
    let ended = scene.run(&["-J", &server.url("/x")]);
    let told = "x: 503, trying again in 2 s as asked (1 of 5)\n";
    assert!(ended.success().stderr.starts_with(told), "the wait is told: {ended:?}");
    assert_eq!(scene.names(), ["a"]);
}

#[test]
fn lists_name_their_files_themselves() {
    let (scene, server) = (Scene::new(), server("attachment; filename=a"));
    let (a, b) = (server.url("/1"), server.url("/2"));
    let line = scene.run(&["-J", &a, &b]).one_error_line(2).to_owned();
    assert!(line.contains("--remote-name is for one file"), "{line}");
}
