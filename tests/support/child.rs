//! Downloads in a process of their own: another user, lower limits, another view of the system.
//!
//! The child is the same test binary, told by the environment to run its test `child` alone, with
//! one download in it; no command line is needed. Its answer is one line on standard output.

use super::within_limit;
use ringhaul::engine::Download;
use ringhaul::engine::options::{Engine, Options};
use ringhaul::engine::progress::Level;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What the child downloads, where to, and over how many connections; 0 is automatic.
const URL: &str = "RINGHAUL_TEST_CHILD_URL";
const TARGET: &str = "RINGHAUL_TEST_CHILD_TARGET";
const CONNECTIONS: &str = "RINGHAUL_TEST_CHILD_CONNECTIONS";
/// Where it writes its trace, if it is to have one.
const TRACE: &str = "RINGHAUL_TEST_CHILD_TRACE";
/// Set to have it insist on io_uring.
pub(crate) const INSISTS: &str = "RINGHAUL_TEST_CHILD_INSISTS";
/// Set to have it use epoll.
pub(crate) const EPOLL: &str = "RINGHAUL_TEST_CHILD_EPOLL";
/// Begins a line with what it said as a note.
const NOTE: &str = "the child notes: ";
/// Begins the line with the child's answer.
const ANSWER: &str = "the child says: ";

/// One download to be run by a child.
pub(crate) struct Child<'a> {
    pub(crate) program: &'a Path,
    pub(crate) url: &'a str,
    pub(crate) target: &'a Path,
    /// 0 is automatic.
    pub(crate) connections: u32,
    pub(crate) trace: Option<&'a Path>,
}

/// How the child's download ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Done { registered: bool },
    Failed { kind: String, text: String },
}

impl Child<'_> {
    /// Runs a download through `wrapper`, a shell script that ends in `exec "$@"`, and waits for
    /// its answer. `None`: the process did not come as far as the download.
    pub(crate) fn run(&self, wrapper: &str, adapt: impl FnOnce(&mut Command)) -> Option<Answer> {
        self.run_aloud(wrapper, adapt).0
    }

    /// The same with the notes on the way.
    pub(crate) fn run_aloud(
        &self,
        wrapper: &str,
        adapt: impl FnOnce(&mut Command),
    ) -> (Option<Answer>, Vec<String>) {
        let output = self.output(wrapper, adapt);
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!stderr.contains("panicked"), "the child panicked:\n{stderr}\n{stdout}");
        let after = |line: &str, mark| line.split_once(mark).map(|(_, said)| said.to_owned());
        let notes = stdout.lines().filter_map(|line| after(line, NOTE)).collect();
        let answer = stdout.lines().find_map(|line| after(line, ANSWER));
        (answer.map(|line| Answer::read(&line)), notes)
    }

    fn output(&self, wrapper: &str, adapt: impl FnOnce(&mut Command)) -> Output {
        let mut command = Command::new("sh");
        command
            .args(["-c", wrapper, "sh"])
            .arg(self.program)
            .args(["--exact", "child", "--nocapture", "--test-threads=1"])
            .env(URL, self.url)
            .env(TARGET, self.target)
            .env(CONNECTIONS, self.connections.to_string())
            .stdin(Stdio::null());
        if let Some(trace) = self.trace {
            command.env(TRACE, trace);
        }
        adapt(&mut command);
        // The child has a limit of its own (`within_limit`), so this wait ends.
        command.output().expect("a shell can be started")
    }
}

impl Answer {
    fn read(line: &str) -> Self {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["done", registered] => Answer::Done { registered: registered == "registered" },
            ["failed", kind, ref text @ ..] => {
                Answer::Failed { kind: kind.into(), text: text.join(" ") }
            }
            _ => panic!("the child says something else: {line}"),
        }
    }
}

/// The body of the test `child`: in a child process the one download, otherwise nothing.
pub(crate) fn work() {
    let Ok(url) = std::env::var(URL) else { return };
    let target = PathBuf::from(std::env::var_os(TARGET).expect("a child has a target"));
    let connections = std::env::var(CONNECTIONS).expect("a child has a connection count");
    let connections: u32 = connections.parse().expect("the connection count is a number");
    // Certificates are tested elsewhere; the file with ours may be closed to the child's user.
    let trace = std::env::var_os(TRACE).map(PathBuf::from);
    let is_set = |name| std::env::var_os(name).is_some();
    let engine = match (is_set(INSISTS), is_set(EPOLL)) {
        (true, _) => Engine::IoUring,
        (false, true) => Engine::Epoll,
        (false, false) => Engine::Auto,
    };
    let (connections, insecure) = ((connections > 0).then_some(connections), true);
    let options = Options { connections, engine, insecure, trace, ..Options::default() };
    let download = Download::new(&url).expect("a URL").output(target).options(options);
    let download = download.on_event(|event| {
        if event.level == Level::Note {
            say(&format!("{NOTE}{}", event.text));
        }
    });
    let answer = match within_limit(move || download.run()) {
        Ok(report) if report.registered => "done registered".to_owned(),
        Ok(_) => "done plain".to_owned(),
        Err(error) => {
            let kind = format!("{:?}", error.kind());
            assert!(!kind.contains(' '), "the kind is one word of the answer");
            format!("failed {kind} {error}")
        }
    };
    say(&format!("{ANSWER}{answer}"));
}

#[allow(clippy::print_stdout, reason = "standard output is how parent and child talk")]
fn say(line: &str) {
    println!("{line}");
}
