//! Name and password, tokens and header files: where they come from, and whom they reach.

use super::common::tools::find_or_skip;
use super::common::{Ended, SEED, Scene, bounded, serve};
use super::{Place, private};
use super::{SECRET, SIZE, assert_discreet, assert_fetched, assert_refused, basic, guarded, heads};
use ringhaul::server::{Config, DigestGate, Fault, Gate, Paths, When};
use std::io::{Read, Write};
use std::process::{Command, Stdio};

#[test]
fn name_and_password_on_the_command_line_and_by_variable() {
    let (scene, server) = (Scene::new(), guarded(basic("me")));
    let url = server.url("/f");
    let pair = format!("me:{SECRET}");
    assert_fetched(&scene, &scene.run(&["-u", &pair, &url]), "f");
    assert_fetched(&scene, &scene.run_with(&[&url], &[("RINGHAUL_USER", &pair)]), "f");
    let wrong = scene.run(&["-u", "me:wrong", &url]);
    assert_refused(&wrong, 8, &["401", "Basic", "'ringhaul'", "those that were sent are refused"]);
    assert_refused(&scene.run(&[&url]), 8, &["401", "Basic", "-u NAME", "--netrc"]);
    // Those of the URL count first, then -u, then the token.
    let in_url = url.replacen("://", &format!("://{}@", pair), 1);
    assert_fetched(&scene, &scene.run(&["-u", "me:wrong", &in_url]), "f");
    assert_fetched(&scene, &scene.run(&["-u", &pair, "--oauth2-bearer", "x", &url]), "f");
    let own = format!("Authorization: Bearer {SECRET}");
    let before = heads(&server).len();
    assert_refused(&scene.run(&["-H", &own, "-u", &pair, &url]), 8, &["401"]);
    assert!(heads(&server)[before].contains("Bearer"), "the user's own field counts");
}

#[test]
fn digest_alone_sends_no_password() {
    let (scene, server) = (Scene::new(), guarded(basic("me")));
    let ended = scene.run(&["--digest", "-u", &format!("me:{SECRET}"), &server.url("/f")]);
    assert_refused(&ended, 8, &["401", "Basic", "--digest"]);
    assert!(heads(&server).iter().all(|head| !head.contains("Authorization")));
}

#[test]
fn another_origin_gets_neither_name_nor_token() {
    let file = serve(Config::new(SEED, SIZE));
    let location = file.url("/f");
    let hop = Fault::Redirect { status: 302, location };
    let start = serve(Config::new(SEED, 0).rule(When::PathPrefix("/start".into()), hop));
    let scene = Scene::new();
    let from = start.url("/start");
    for login in [["-u", "me:sesame"], ["--oauth2-bearer", "sesame"]] {
        let words = [&login[..], &["-o", "f", &from]].concat();
        assert_fetched(&scene, &scene.run(&words), "f");
    }
    let (there, here) = (heads(&file), heads(&start));
    assert!(here[0].contains("Authorization: Basic ") && here[1].contains("Bearer sesame"));
    assert!(there.iter().all(|head| !head.contains("Authorization")), "{there:?}");
    // A mirror is another origin, too.
    let (mirror, home) = (serve(Config::new(SEED, SIZE)), guarded(basic("me")));
    let words = ["-u", "me:sesame", "--mirror", &mirror.url("/f"), &home.url("/f")];
    assert_fetched(&scene, &scene.run(&words), "f");
    let mirrored = heads(&mirror);
    assert!(mirrored.iter().all(|head| !head.contains("Authorization")), "{mirrored:?}");
}

#[test]
fn tokens_come_from_the_line_of_a_file_from_standard_input_or_the_command_line() {
    let (scene, server) = (Scene::new(), guarded(Fault::Gate(Gate::Bearer(SECRET.to_owned()))));
    let url = server.url("/f");
    private(&scene, "token", format!("{SECRET}\r\nnot this\n"));
    assert_fetched(&scene, &scene.run(&["--bearer-file", "token", &url]), "f");
    assert_fetched(&scene, &scene.run(&["--oauth2-bearer", SECRET, &url]), "f");
    let by_variable = [("RINGHAUL_OAUTH2_BEARER", "wrong")];
    assert_fetched(&scene, &scene.run_with(&["--bearer-file", "token", &url], &by_variable), "f");
    let both = scene.run(&["--bearer-file", "token", "--oauth2-bearer", SECRET, &url]);
    assert_refused(&both, 2, &["cannot be used together"]);
    let mut command = scene.command(&["--bearer-file", "-", &url]);
    command.stdin(Stdio::piped());
    assert_fetched(&scene, &typed_to(command, SECRET), "f");
    assert_refused(&scene.run(&[&url]), 8, &["401", "Bearer", "--bearer-file"]);
    assert_refused(&scene.run(&["--oauth2-bearer", "x", &url]), 8, &["the one that was sent"]);
    for text in ["", "two words sesame", "sesame\u{e4}"] {
        private(&scene, "bad", text);
        let ended = scene.run(&["--bearer-file", "bad", &url]);
        assert_refused(&ended, 2, &["the token of a Bearer"]);
    }
}

fn typed_to(mut command: Command, text: &str) -> Ended {
    let mut child = command.spawn().expect("the binary runs");
    let mut keyboard = child.stdin.take().expect("it is a pipe");
    keyboard.write_all(text.as_bytes()).expect("the binary reads");
    drop(keyboard);
    Ended::of(bounded("the download", move || child.wait_with_output().expect("it ends")))
}

#[test]
fn header_fields_come_from_a_file_one_a_line() {
    let (scene, server) = (Scene::new(), serve(Config::new(SEED, SIZE)));
    private(&scene, "fields", format!("X-Api-Key: {SECRET}\n\nX-Two: 2\r\n"));
    let ended = scene.run(&["-H", "X-One: 1", "-H", "@fields", &server.url("/f")]);
    assert_fetched(&scene, &ended, "f");
    let head = &heads(&server)[0];
    for field in ["X-One: 1\r\n", "X-Api-Key: sesame\r\n", "X-Two: 2\r\n"] {
        assert!(head.contains(field), "{head}");
    }
    private(&scene, "bad", "X-One: 1\nsesame\n");
    let ended = scene.run(&["-H", "@bad", &server.url("/f")]);
    assert_refused(&ended, 2, &["line 2 of bad", "Name: value"]);
    assert_refused(&scene.run(&["-H", "@none", &server.url("/f")]), 2, &["'none'", "-H @FILE"]);
}

/// Small files over a lane, where each has the credentials of its origin.
#[test]
fn a_list_is_let_in_as_well() {
    let config = Config { paths: Paths::Distinct, ..Config::new(SEED, 5000) };
    for gate in [basic("me"), digest_gate()] {
        let (scene, server) = (Scene::new(), serve(config.clone().rule(When::All, gate)));
        let list: String = (0..40).map(|n| server.url(&format!("/{n}\n"))).collect();
        private(&scene, "list", list);
        let ended = scene.run(&["-u", &format!("me:{SECRET}"), "-i", "list", "-d", "."]);
        assert_discreet(ended.success());
        assert_eq!(scene.names().iter().filter(|name| name.parse::<u32>().is_ok()).count(), 40);
        assert!(server.stats().log.iter().all(|entry| entry.status != Some(400)));
        let refused = scene.run(&["-u", "me:no", "-i", "list", "-d", ".", "--if-exists=replace"]);
        assert_refused(&refused, 8, &["40 of 40 files failed"]);
        assert!(refused.stderr.contains("those that were sent are refused"), "{refused:?}");
    }
}

fn digest_gate() -> Fault {
    let gate = DigestGate::new("me".into(), SECRET.into());
    Fault::Gate(Gate::Digest(DigestGate { nonce_requests: Some(7), ..gate }))
}

#[test]
fn a_missing_password_is_asked_for_unseen() {
    let (scene, server) = (Scene::new(), guarded(basic("me")));
    let url = server.url("/f");
    let Some((seen, code)) = on_terminal(&scene, &["-u", "me", &url], "sesamX\x7fe\n") else {
        return;
    };
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.contains("Password of me: ") && !seen.contains("sesam"), "{seen}");
    super::assert_content(&scene.path().join("f"), SEED, SIZE);
    let (seen, code) = on_terminal(&scene, &["-u", "me", &url], "sesame\x03").expect("as before");
    assert_eq!(code, Some(130), "{seen}");
    assert!(!seen.contains("sesame"), "{seen}");
    let (seen, code) = on_terminal(&scene, &["-u", "me", &url], "\x04").expect("as before");
    assert!(code == Some(2) && seen.contains("no password was given"), "{seen}");
}

#[test]
fn without_a_terminal_a_missing_password_is_a_mistake() {
    let Some(setsid) = find_or_skip("setsid", false, "a process without a terminal") else {
        return;
    };
    let (scene, server) = (Scene::new(), guarded(basic("me")));
    let command = scene.command(&["-u", "me", &server.url("/f")]);
    let mut alone = Command::new(setsid);
    alone.arg("-w");
    let ended = super::common::scene::ended(super::common::scene::wrapped(alone, &command));
    assert_refused(&ended, 2, &["-u names no password", "no terminal", "--netrc"]);
    assert_eq!(heads(&server).len(), 0);
}

/// Runs the binary on a terminal of its own, and types once it has asked; what was shown, and the
/// exit code. `None`, said loudly, where there is no `script`.
fn on_terminal(
    scene: &Scene,
    arguments: &[&str],
    typed: &'static str,
) -> Option<(String, Option<i32>)> {
    let program = find_or_skip("script", false, "no password is typed")?;
    let command = scene.command(arguments);
    let words = [command.get_program()].into_iter().chain(command.get_args());
    let line: Vec<String> = words.map(|word| format!("'{}'", word.to_string_lossy())).collect();
    let mut script = Command::new(program);
    script.args(["-q", "-e", "-c", &line.join(" "), "/dev/null"]).current_dir(scene.path());
    script.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut running = script.spawn().expect("script can be started");
    let mut keyboard = running.stdin.take().expect("it is a pipe");
    let mut screen = running.stdout.take().expect("it is a pipe");
    Some(bounded("the terminal", move || {
        let (mut seen, mut piece, mut is_asked) = (String::new(), [0; 4096], false);
        loop {
            let read = screen.read(&mut piece).unwrap_or(0);
            seen += &String::from_utf8_lossy(&piece[..read]);
            if !is_asked && seen.contains("Password of") {
                is_asked = true;
                keyboard.write_all(typed.as_bytes()).expect("script reads");
            }
            if read == 0 {
                break;
            }
        }
        let code = running.wait().expect("script ends").code();
        (seen, code)
    }))
}
