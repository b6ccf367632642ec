//! Help on topics, manual pages and completions, as terminals, `man` and the shells have them.

mod common;

use common::Scene;
use common::tools::find_or_skip;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const TOPICS: [&str; 15] = [
    "resume", "lists", "clusters", "mirrors", "proxies", "login", "names", "parts", "pipes",
    "programs", "config", "habits", "bench", "server", "codes",
];
const JOBS: [&str; 7] = ["doctor", "serve", "bench", "config", "completions", "man", "help"];

/// Prints to standard output and succeeds.
fn printed(arguments: &[&str]) -> String {
    let ended = Scene::new().run(arguments);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    assert!(!ended.stdout.is_empty(), "{arguments:?}");
    ended.stdout
}

#[test]
fn help_knows_commands_and_topics() {
    for topic in TOPICS {
        let text = printed(&["help", topic]);
        assert!(text.lines().count() > 12, "{topic}:\n{text}");
    }
    assert!(
        printed(&["help", "codes"]).contains("\n     13  permanent  the checksum does not match\n")
    );
    assert!(printed(&["help", "serve"]).contains("Usage: ringhaul serve"));
    assert_eq!(printed(&["help"]), printed(&["--help"]));
    let text = printed(&["--help"]);
    assert!(TOPICS.iter().all(|topic| text.contains(topic)), "{text}");
    for (word, words) in
        [("resum", "did you mean resume?"), ("sevre", "did you mean"), ("nothing", "there is: ")]
    {
        let ended = Scene::new().run(&["help", word]);
        assert!(ended.one_error_line(2).contains(words), "{ended:?}");
    }
}

#[test]
fn manual_pages_are_read_by_man() {
    let pages = ["doctor", "serve", "bench", "config"].map(|job| printed(&["man", job]));
    let whole = printed(&["man"]);
    for words in [".SH NAME", "connections", "EXIT CODES", "RESUMING AND CHANGES", "RINGHAUL_"] {
        assert!(whole.contains(words), "{words}");
    }
    let ended = Scene::new().run(&["man", "resume"]);
    ended.one_error_line(2);
    let Some(man) = find_or_skip("man", false, "no manual page is shown") else { return };
    let folder = tempfile::tempdir().expect("a scratch folder");
    for (index, text) in pages.iter().chain([&whole]).enumerate() {
        let path = folder.path().join(format!("{index}.1"));
        fs::write(&path, text).expect("a scratch file");
        let mut command = Command::new(&man);
        command.args(["--warnings", "-E", "UTF-8", "-l"]).arg(&path);
        command.env("LC_ALL", "C.UTF-8").env("MANROFFSEQ", "").env("MANWIDTH", "80");
        let output = command.env("MANPAGER", "cat").output().expect("man runs");
        let (shown, said) = texts(&output);
        assert!(output.status.success() && said.is_empty(), "{said}");
        assert!(shown.lines().count() > 10, "{shown}");
        // Every example stands as it is typed.
        let is_whole = index == pages.len();
        let example = "curl -fsSLO URL             ringhaul -fsSLO URL";
        assert!(!is_whole || shown.contains(example), "{shown}");
    }
}

#[test]
fn shells_read_their_completions() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    for shell in ["bash", "zsh", "fish"] {
        let text = printed(&["completions", shell]);
        assert!(JOBS.iter().all(|job| text.contains(job)) && text.contains("connections"));
        let path = folder.path().join(shell);
        fs::write(&path, text).expect("a scratch file");
        let left_out = format!("no completion of {shell} is read");
        let Some(program) = find_or_skip(shell, false, &left_out) else { continue };
        let output = Command::new(&program).arg("-n").arg(&path).output().expect("it runs");
        let (_, said) = texts(&output);
        assert!(output.status.success() && said.is_empty(), "{shell}: {said}");
    }
    assert!(printed(&["completions", "elvish"]).contains("connections"));
    assert!(printed(&["completions", "powershell"]).contains("connections"));
    let ended = Scene::new().run(&["completions", "csh"]);
    assert!(ended.one_error_line(2).contains("bash"), "{ended:?}");
}

#[test]
fn bash_and_fish_complete_a_word() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let saved = |shell: &str| {
        let path = folder.path().join(shell);
        fs::write(&path, printed(&["completions", shell])).expect("a scratch file");
        path
    };
    if let Some(bash) = find_or_skip("bash", false, "it completes nothing") {
        let script = format!(
            "source '{}'; COMP_WORDS=(ringhaul --connec); COMP_CWORD=1; \
             _ringhaul ringhaul --connec ringhaul; echo \"${{COMPREPLY[*]}}\"",
            saved("bash").display()
        );
        let output = Command::new(bash).args(["-c", &script]).output().expect("bash runs");
        let (out, said) = texts(&output);
        assert!(out.contains("--connections") && out.contains("--connect-timeout"), "{out}{said}");
    }
    if let Some(fish) = find_or_skip("fish", false, "it completes nothing") {
        let script = format!("source '{}'; complete -C 'ringhaul --conf'", saved("fish").display());
        let output = in_home(folder.path(), Command::new(fish).args(["-c", &script]));
        let (out, said) = texts(&output);
        assert!(out.contains("--config"), "{out}{said}");
    }
}

fn in_home(home: &Path, command: &mut Command) -> Output {
    command.env("HOME", home).env_remove("XDG_CONFIG_HOME").output().expect("it runs")
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}
