//! The config file end to end: what stands in it is done, the command line and variables count
//! before it, and `ringhaul config` shows what holds.

mod common;

use common::{SEED, Scene, Site, serve};
use ringhaul::server::{Config, Fault, When};
use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

/// The kit's runs read no config file; these do.
const READS: (&str, &str) = ("RINGHAUL_NO_CONFIG", "");

fn scene_with(text: &str) -> Scene {
    let scene = Scene::new();
    fs::write(scene.path().join("c.toml"), text).expect("a scratch file");
    scene
}

#[test]
fn settings_of_the_file_are_those_of_the_download() {
    let site = Site::start(Config::new(SEED, 100_000));
    let url = site.url("/file.bin");
    let origin = url.trim_end_matches("/file.bin");
    let scene = scene_with(&format!(
        "user-agent = 'of-file'\nquiet = true\nheader = ['X-One: 1', 'X-Two: 2']\n\
         [\"{origin}\"]\nuser-agent = 'of-table'\nreferer = 'http://page.example/'\n"
    ));
    let ended = scene.run(&["--config", "c.toml", &url]);
    assert_eq!(ended.success().stderr, "", "quiet");
    let ended = scene.run(&["--config=c.toml", "-A", "of-line", "-v", "-o", "b", &url]);
    assert!(!ended.success().stderr.is_empty(), "the command line is not quiet");
    let variable = [("RINGHAUL_USER_AGENT", "of-variable"), ("RINGHAUL_CONFIG", "c.toml")];
    scene.run_with(&["-o", "c", &url], &variable).success();
    scene.run(&["--no-config", "-o", "d", &url]).success();
    let heads = site.heads();
    let of = |name: &str| heads.iter().filter(|head| head.contains(name)).count();
    for name in ["of-table", "of-line", "of-variable"] {
        assert!(of(&format!("User-Agent: {name}\r\n")) > 0, "{name}: {heads:?}");
    }
    assert_eq!(of("of-file"), 0, "the table counts before the rest");
    assert_eq!(of("X-One: 1\r\n"), of("X-Two: 2\r\n"));
    assert_eq!(of("Referer: http://page.example/"), of("X-One: 1"));
    assert!(of("X-One: 1") < heads.len(), "--no-config");
}

#[test]
fn the_usual_file_is_read_and_so_is_standard_input() {
    let site = Site::start(Config::new(SEED, 1000));
    let url = site.url("/file.bin");
    let scene = Scene::new();
    let home = scene.path().to_str().expect("plain").to_owned();
    fs::create_dir(scene.path().join("ringhaul")).expect("a folder");
    fs::write(scene.path().join("ringhaul/config.toml"), "output = 'named'\n").expect("a file");
    scene.run_with(&[&url], &[READS, ("XDG_CONFIG_HOME", &home)]).success();
    assert!(scene.path().join("named").is_file());

    let mut command = scene.command(&["--config", "-", &url]);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("the binary runs");
    let mut input = child.stdin.take().expect("piped");
    input.write_all(b"output = 'typed'\n").expect("it is read");
    drop(input);
    common::scene::wait(child).success();
    assert!(scene.path().join("typed").is_file());

    fs::write(scene.path().join("ringhaul/config.toml"), "output = 5..\n").expect("a file");
    let ended = scene.run_with(&[&url], &[READS, ("XDG_CONFIG_HOME", &home)]);
    assert!(ended.one_error_line(2).contains("ringhaul/config.toml:1:"), "{ended:?}");
    let help = scene.run_with(&["--help"], &[READS, ("XDG_CONFIG_HOME", &home)]);
    assert_eq!(help.code, Some(0), "help is there also if the file is broken");
    let doctor = scene.run_with(&["doctor", "x"], &[READS, ("XDG_CONFIG_HOME", &home)]);
    doctor.one_error_line(14);
}

#[test]
fn items_of_a_list_have_the_headers_of_their_origins() {
    let first = Site::start(Config::new(SEED, 1000));
    let second = Site::start(Config::new(SEED, 1000));
    let (one, other) = (first.url("/one.bin"), second.url("/other.bin"));
    let origin = one.trim_end_matches("/one.bin");
    let scene = scene_with(&format!(
        "[\"{origin}\"]\nheader = 'Authorization: Bearer abc'\nuser-agent = 'mine'\nretries = 1\n"
    ));
    fs::write(scene.path().join("list"), format!("{one}\n{other}\n")).expect("a list");
    let ended = scene.run(&["--config=c.toml", "-i", "list", "--results=r"]);
    let said = &ended.success().stderr;
    assert!(said.contains("left out: retries (c.toml:4:1)"), "{said}");
    let is_his = |head: &String| {
        head.contains("Authorization: Bearer abc\r\n") && head.contains("User-Agent: mine\r\n")
    };
    assert!(first.heads().iter().all(is_his), "{:?}", first.heads());
    let is_none = |head: &String| !head.contains("Authorization") && !head.contains("mine");
    assert!(second.heads().iter().all(is_none), "{:?}", second.heads());
    assert!(!first.heads().is_empty() && !second.heads().is_empty());
    let results = fs::read_to_string(scene.path().join("r")).expect("results");
    assert!(!results.contains("abc"), "the file's secrets stay out of results: {results}");
}

#[test]
fn items_of_a_list_are_let_in_where_tables_say() {
    let guarded = |user: &str| {
        let (user, password) = (user.to_owned(), "sesame".to_owned());
        let gate = Fault::RequireBasicAuth { user, password };
        Site::start(Config::new(SEED, 1000).rule(When::All, gate))
    };
    let (first, second) = (guarded("a"), guarded("b"));
    let third = Site::start(Config::new(SEED, 1000));
    let urls = [first.url("/1"), second.url("/2"), third.url("/3")];
    let origin = |url: &str| url[..url.rfind('/').expect("it has a path")].to_owned();
    let settings = ["user = 'a:sesame'", "user = 'b:sesame'", "bearer-file = 'token'"];
    let tables = urls.iter().zip(settings);
    let tables = tables.map(|(url, setting)| format!("[\"{}\"]\n{setting}\n", origin(url)));
    let scene = scene_with(&tables.collect::<String>());
    fs::write(scene.path().join("token"), "abc\n").expect("a token");
    fs::write(scene.path().join("list"), urls.join("\n")).expect("a list");
    let ended = scene.run(&["--config=c.toml", "-i", "list"]);
    assert!(!ended.success().stderr.contains("left out"), "{ended:?}");
    let is_bearer = |head: &String| head.contains("Authorization: Bearer abc\r\n");
    assert!(third.heads().iter().all(is_bearer), "{:?}", third.heads());
    assert!(!second.heads().iter().any(is_bearer), "{:?}", second.heads());
    let shown = scene.run(&["config", "--config=c.toml", "-i", "list"]).stdout;
    assert!(!shown.contains("sesame") && shown.contains("bearer-file"), "{shown}");
}

/// Each file takes some time, so that as many connections are open as may be.
#[test]
fn an_origin_of_a_list_has_its_own_number_of_connections() {
    let slow = |config: Config| config.rule(When::All, Fault::DelayHead(Duration::from_millis(50)));
    let (few, many) = (serve(slow(Config::new(SEED, 9))), serve(slow(Config::new(SEED, 9))));
    let list: String = (0..12)
        .map(|n| format!("{}\n{}\n", few.url(&format!("/f{n}")), many.url(&format!("/m{n}"))))
        .collect();
    let origin = few.url("").trim_end_matches('/').to_owned();
    let scene = scene_with(&format!("[\"{origin}\"]\nmax-connections-per-host = 1\n"));
    fs::write(scene.path().join("list"), list).expect("a list");
    scene.run(&["--config=c.toml", "-i", "list", "-j", "6"]).success();
    assert_eq!(few.stats().connections_peak, 1);
    assert!(many.stats().connections_peak > 1, "{}", many.stats().connections_peak);
    let none = format!("[\"{origin}\"]\nmax-connections-per-host = 0\n");
    fs::write(scene.path().join("c.toml"), none).expect("a scratch file");
    let line = scene.run(&["--config=c.toml", "-i", "list"]).error_line(2).to_owned();
    assert!(line.contains("c.toml:2:28") && line.contains("not in 1..=256"), "{line}");
}

#[test]
fn what_holds_is_shown_with_its_origin() {
    let scene = scene_with(
        "timeout = 7\nheader = ['Authorization: Bearer secret']\nforce = true\n\
         mirror = ['http://user:secret@h/x']\n['http://h']\nretries = 9\n",
    );
    let variables = [("RINGHAUL_DIR", "of-variable"), ("RINGHAUL_CONECTIONS", "4")];
    let arguments = ["config", "--config=c.toml", "-c", "4", "-vv", "http://h/x"];
    let ended = scene.run_with(&arguments, &variables);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    let has = |setting: &str, origin: &str| {
        let of = |line: &str| line.starts_with(setting) && line.ends_with(&format!("# {origin}"));
        assert!(ended.stdout.lines().any(of), "{setting} # {origin}\n{}", ended.stdout);
    };
    has("connections = \"4\" ", "command line");
    has("verbose = 2 ", "command line");
    has("dir = \"of-variable\" ", "variable RINGHAUL_DIR");
    has("retries = \"9\" ", "c.toml:6:1");
    has("timeout = \"7\" ", "c.toml:1:1");
    has("force = true ", "c.toml:3:1");
    has("header = [\"Authorization: …\"] ", "c.toml:2:1");
    has("mirror = [\"http://h/x\"] ", "c.toml:4:1");
    has("chunk-size = \"auto\" ", "default");
    assert!(ended.stdout.contains("did you mean RINGHAUL_CONNECTIONS?"), "{}", ended.stdout);
    assert!(!ended.stdout.contains("secret"), "{}", ended.stdout);
    // What is shown is a config file.
    let again = scene.path().join("again.toml");
    let shown: Vec<&str> = ended.stdout.lines().filter(|line| !line.contains("onfig")).collect();
    fs::write(&again, shown.join("\n")).expect("a scratch file");
    let ended = scene.run(&["config", "--config=again.toml"]);
    assert!(ended.stdout.contains("again.toml:"), "{ended:?}");

    let ended = scene.run(&["config", "doctor"]);
    assert!(ended.one_error_line(2).contains("downloads"), "{ended:?}");
    let ended = scene.run(&["config", "-c", "0"]);
    assert!(ended.one_error_line(2).contains("1 to 256"), "{ended:?}");
}

#[test]
fn a_misspelt_variable_is_named() {
    let site = Site::start(Config::new(SEED, 1000));
    let url = site.url("/file.bin");
    let scene = Scene::new();
    let ended = scene.run_with(&[&url], &[("RINGHAUL_CONECTIONS", "4"), ("RINGHAUL_EMPTY", "")]);
    let said = &ended.success().stderr;
    assert!(said.contains("did you mean RINGHAUL_CONNECTIONS?"), "{said}");
    assert!(!said.contains("EMPTY"), "{said}");
}

#[test]
fn a_config_is_no_reason_to_fail_nor_to_leak() {
    let scene = scene_with("connections = 300\n");
    for (text, words) in [
        ("connections = 300\n", "c.toml:1:15: "),
        ("header = 'secret'\n", "header 1"),
        ("['http://127.0.0.1:9']\nheader = 'secret'\n", "header"),
        ("conections = 4\n", "did you mean connections?"),
    ] {
        fs::write(scene.path().join("c.toml"), text).expect("a scratch file");
        for urls in [&["http://127.0.0.1:9/a"][..], &["http://127.0.0.1:9/a", "http://h.invalid/"]]
        {
            let arguments: Vec<&str> =
                ["--config=c.toml", "-r0"].into_iter().chain(urls.iter().copied()).collect();
            let ended = scene.run(&arguments);
            let line = ended.one_error_line(2);
            assert!(line.contains(words) && !line.contains("secret"), "{line}");
        }
    }
}
