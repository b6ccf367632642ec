//! Cookies: set on the way and sent back, given, read from files and written to them.

use super::common::{SEED, Scene, serve};
use super::private;
use super::{Place, SECRET, SIZE, assert_discreet, assert_fetched, assert_refused, guarded, heads};
use ringhaul::internal::base::limits::COOKIES_PER_DOMAIN_MAX;
use ringhaul::server::{Config, Fault, Gate, Paths, When};
use std::os::unix::fs::PermissionsExt;

fn set(cookies: &[&str]) -> Fault {
    let field = |cookie: &&str| ("Set-Cookie".to_owned(), (*cookie).to_owned());
    Fault::Fields(cookies.iter().map(field).collect())
}

#[test]
fn a_gate_that_sets_a_cookie_opens() {
    let (scene, server) = (Scene::new(), guarded(Fault::Gate(Gate::Cookie)));
    let ended = scene.run(&["-c", "4", "--chunk-size", "256K", &server.url("/f")]);
    assert_fetched(&scene, &ended, "f");
    let heads = heads(&server);
    assert!(!heads[0].contains("Cookie"), "{heads:?}");
    assert!(heads.len() > 5 && heads[1..].iter().all(|head| head.contains("Cookie: gate=1\r\n")));
}

#[test]
fn many_small_files_pass_the_gate_of_the_first() {
    let config = Config { paths: Paths::Distinct, ..Config::new(SEED, 5000) };
    let (scene, server) = (Scene::new(), serve(config.rule(When::All, Fault::Gate(Gate::Cookie))));
    let list: String = (0..60).map(|n| server.url(&format!("/{n}\n"))).collect();
    private(&scene, "list", list);
    scene.run(&["-i", "list", "-d", "."]).success();
    assert_eq!(scene.names().iter().filter(|name| name.parse::<u32>().is_ok()).count(), 60);
    let log = server.stats().log;
    let asked_twice = log.iter().filter(|entry| entry.status == Some(302)).count();
    assert!((1..60).contains(&asked_twice), "{asked_twice} of 60");
}

/// One server under two names.
#[test]
fn cookies_go_where_their_rules_allow() {
    let mut config = Config::new(SEED, SIZE);
    let hop = |path: &str, location: &str| {
        let what = Fault::Redirect { status: 302, location: location.to_owned() };
        ringhaul::server::Rule::new(When::PathPrefix(path.to_owned()), what)
    };
    config.script.push(hop("/a/start", "/file"));
    let fields = ["id=sesame; Path=/", "near=1", "secure=1; Secure", "other=1; Domain=com"];
    config.script.push(ringhaul::server::Rule::new(When::All, set(&fields)));
    let (scene, server) = (Scene::new(), serve(config));
    let here = server.url("/x/f");
    let there = here.replace("127.0.0.1", "localhost");
    private(&scene, "list", format!("{here}\n"));
    // The jar is written even where it is read from, and holds what the run before has left.
    assert_fetched(&scene, &scene.run(&["--cookie-jar", "jar", &here]), "f");
    assert_fetched(&scene, &scene.run(&["-b", "jar", &here]), "f");
    assert_fetched(&scene, &scene.run(&["-b", "jar", &there]), "f");
    let jar = std::fs::read_to_string(scene.path().join("jar")).expect("it is written");
    assert!(jar.starts_with("# Netscape HTTP Cookie File\n"), "{jar}");
    assert!(jar.contains("127.0.0.1\tFALSE\t/\tFALSE\t0\tid\tsesame\n"), "{jar}");
    assert!(jar.contains("\t/x\tFALSE\t0\tnear\t1\n"), "{jar}");
    assert!(!jar.contains("secure") && !jar.contains("other"), "{jar}");
    let heads = heads(&server);
    let first = |host: &str, nth: usize| {
        let of_host = heads.iter().filter(|head| head.contains(&format!("Host: {host}")));
        of_host.collect::<Vec<_>>()[nth].clone()
    };
    assert!(!first("127.0.0.1", 0).contains("Cookie"));
    let asked = heads.iter().any(|head| head.contains("Cookie: near=1; id=sesame\r\n"));
    assert!(asked, "longer paths first: {heads:?}");
    assert!(!first("localhost", 0).contains("Cookie"), "another host");
}

#[test]
fn cookies_that_are_given_win_and_stay_at_home() {
    let away = serve(Config::new(SEED, SIZE));
    let hop = Fault::Redirect { status: 302, location: away.url("/f") };
    let mut config = Config::new(SEED, 0);
    config.script.push(ringhaul::server::Rule::once(When::All, Fault::Gate(Gate::Cookie)));
    config.script.push(ringhaul::server::Rule::new(When::All, hop));
    let (scene, home) = (Scene::new(), serve(config));
    let words = ["-b", "gate=sesame", "-b", "", "-b", "a=1; b=2", "-H", "Cookie: c=3", "-o", "f"];
    let ended = scene.run(&[&words[..], &[&home.url("/start")]].concat());
    assert_fetched(&scene, &ended, "f");
    let asked = heads(&home);
    for head in &asked {
        for pair in ["c=3", "gate=sesame", "a=1; b=2"] {
            assert!(head.contains(pair), "{head}");
        }
        assert!(!head.contains("gate=1"), "the user's own counts: {head}");
    }
    assert!(heads(&away).iter().all(|head| !head.contains("Cookie")), "{:?}", heads(&away));
}

#[test]
fn a_jar_is_private_and_replaced_as_a_whole() {
    let (scene, server) =
        (Scene::new(), serve(Config::new(SEED, SIZE).rule(When::All, set(&["a=sesame"]))));
    std::fs::write(scene.path().join("jar"), "old").expect("a scratch file");
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(scene.path().join("jar"), open).expect("our own file");
    assert_fetched(&scene, &scene.run(&["--cookie-jar", "jar", &server.url("/f")]), "f");
    let mode =
        std::fs::metadata(scene.path().join("jar")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(scene.names(), ["jar"]);
    // Also where the download has failed.
    let fields = vec![("Set-Cookie".to_owned(), "b=sesame".to_owned())];
    let broken = guarded(Fault::Status { code: 404, headers: fields, body: Vec::new() });
    scene.run(&["--cookie-jar", "jar", &broken.url("/f")]).error_line(8);
    let jar = std::fs::read_to_string(scene.path().join("jar")).expect("it is there");
    assert!(jar.contains("\tb\tsesame\n"), "{jar}");
    let before = heads(&server).len();
    let ended = scene.run(&["--cookie-jar", "no/such/folder/jar", &server.url("/f")]);
    assert_refused(&ended, 14, &["cannot write cookies", "--cookie-jar"]);
    assert_eq!(heads(&server).len(), before, "said before anything is asked");
}

#[test]
fn a_flood_of_cookies_is_borne() {
    let long = "x".repeat(400);
    let cookies: Vec<String> = (0..100).map(|n| format!("n{n}={long}; Path=/")).collect();
    let cookies: Vec<&str> = cookies.iter().map(String::as_str).collect();
    let (scene, server) =
        (Scene::new(), serve(Config::new(SEED, SIZE).rule(When::All, set(&cookies))));
    let ended = scene.run(&["--chunk-size", "64K", "--cookie-jar", "jar", &server.url("/f")]);
    assert_fetched(&scene, &ended, "f");
    assert_discreet(&ended);
    let jar = std::fs::read_to_string(scene.path().join("jar")).expect("it is there");
    assert!((100..=COOKIES_PER_DOMAIN_MAX + 4).contains(&jar.lines().count()));
    let longest = heads(&server).iter().map(String::len).max().unwrap_or(0);
    assert!((8000..10_000).contains(&longest), "{longest}");
    assert!(!jar.contains(SECRET));
}
