//! netrc and cookie files: which entry is used for whom, and what is no such file.

use super::common::{SEED, Scene, serve, skipped};
use super::{SECRET, SIZE, assert_fetched, assert_refused, basic, guarded, heads, private};
use ringhaul::server::{Config, Fault, When};
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

/// Listened at by nobody.
const URL: &str = "http://127.0.0.1:9/f";
const SPARSE_BYTES: u64 = 1 << 30;
/// Far less than it takes to read such a file.
const PROMPT: Duration = Duration::from_secs(10);

#[test]
fn a_netrc_file_is_found_where_it_is_named() {
    let (scene, server) = (Scene::new(), guarded(basic("me")));
    let url = server.url("/f");
    let text = format!("machine 127.0.0.1 login me password \"{SECRET}\"\n");
    let home = scene.path().to_str().expect("a usual path").to_owned();
    private(&scene, ".netrc", &text);
    private(&scene, "other", &text);
    for words in [&["-n"][..], &["--netrc"], &["--netrc-optional"], &["--netrc-file", "other"]] {
        let ended = scene.run_with(&[words, &[&url]].concat(), &[("HOME", &home)]);
        assert_fetched(&scene, &ended, "f");
    }
    let by_variables = [("HOME", "/nowhere"), ("NETRC", "other"), ("RINGHAUL_NETRC", "1")];
    assert_fetched(&scene, &scene.run_with(&[&url], &by_variables), "f");
    let nowhere = [("HOME", "/nowhere")];
    let ended = scene.run_with(&["-n", &url], &nowhere);
    assert_refused(&ended, 2, &["the netrc file '/nowhere/.netrc' cannot be opened", "--netrc"]);
    let ended = scene.run_with(&["--netrc-optional", &url], &nowhere);
    assert_refused(&ended, 8, &["401"]);
    let user = url.replacen("://", "://me@", 1);
    assert_fetched(&scene, &scene.run(&["--netrc-file", "other", &user]), "f");
    // -u and a token count before it.
    let ended = scene.run(&["-u", "me:wrong", "--netrc-file", "other", &url]);
    assert_refused(&ended, 8, &["401"]);
}

#[test]
fn each_host_has_its_own_entry_and_default_is_for_the_first() {
    let away = guarded(basic("away"));
    let location = away.url("/f").replace("127.0.0.1", "localhost");
    let hop = Fault::Redirect { status: 302, location };
    let home = Config::new(SEED, 0).rule(When::All, hop).rule(When::All, basic("home"));
    let (scene, home) = (Scene::new(), serve(home));
    let entry = |host: &str, user: &str| format!("{host} login {user} password {SECRET}\n");
    private(&scene, "both", entry("machine localhost", "away") + &entry("default", "home"));
    let url = home.url("/f");
    assert_fetched(&scene, &scene.run(&["--netrc-file", "both", &url]), "f");
    private(&scene, "one", entry("default", "home"));
    assert_refused(&scene.run(&["--netrc-file", "one", &url]), 8, &["401"]);
    assert!(!heads(&away).last().expect("it was asked").contains("Authorization"));
    // A mirror gets its own, too.
    let (first, mirror) = (serve(Config::new(SEED, SIZE)), guarded(basic("away")));
    let mirror = mirror.url("/f").replace("127.0.0.1", "localhost");
    private(&scene, "mirrors", entry("machine localhost", "away"));
    let words = ["--netrc-file", "mirrors", "--mirror", &mirror, "-v", &first.url("/f")];
    let ended = scene.run(&words);
    assert!(!ended.stderr.contains("HTTP/1.1 401"), "{ended:?}");
    assert_fetched(&scene, &ended, "f");
}

#[test]
fn a_netrc_file_that_others_can_read_needs_permission() {
    let (scene, server) = (Scene::new(), guarded(basic("me")));
    let text = format!("machine 127.0.0.1 login me password {SECRET}");
    let path = private(&scene, "open", text);
    for mode in [0o604, 0o640, 0o620] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("our file");
        let ended = scene.run(&["--netrc-file", "open", &server.url("/f")]);
        assert_refused(&ended, 2, &["open to other users", "chmod 600 'open'"]);
    }
    let words = ["--netrc-file", "open", "--allow-readable-netrc", &server.url("/f")];
    assert_fetched(&scene, &scene.run(&words), "f");
}

#[test]
fn what_is_no_such_file_is_refused_before_anything_is_asked() {
    let scene = Scene::new();
    let binary: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    private(&scene, "binary", binary);
    private(&scene, "words", "machine h login me\npassword sesame sesame\n");
    let sparse = File::create(private(&scene, "sparse", "")).expect("a scratch file");
    sparse.set_len(SPARSE_BYTES).expect("a sparse file");
    std::fs::create_dir(scene.path().join("folder")).expect("a folder");
    let began = Instant::now();
    for (option, name, words) in [
        ("--netrc-file", "binary", "line 1: "),
        ("--netrc-file", "words", "line 2: neither machine"),
        ("--netrc-file", "sparse", "has more than 1.00 MiB"),
        ("--netrc-file", "folder", "cannot be read"),
        ("--netrc-file", "none", "cannot be opened"),
        ("-b", "binary", "line 1: control characters"),
        ("-b", "words", "line 1: fewer than seven fields"),
        ("-b", "sparse", "has more than 16.00 MiB"),
        ("-b", "folder", "cannot be read"),
        ("-b", "none", "cannot be opened"),
        ("--bearer-file", "binary", "is no text"),
        ("--bearer-file", "sparse", "has more than 32.00 KiB"),
        ("--bearer-file", "none", "cannot be opened"),
    ] {
        let ended = scene.run(&[option, name, "--allow-readable-netrc", URL]);
        assert_refused(&ended, 2, &[name, words]);
    }
    assert!(began.elapsed() < PROMPT, "{:?}", began.elapsed());
    let path = scene.path().join("words");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).expect("our own file");
    if File::open(&path).is_ok() {
        return skipped("this user may read every file");
    }
    assert_refused(&scene.run(&["-b", "words", URL]), 2, &["cannot be opened", "ermission"]);
}
