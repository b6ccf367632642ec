//! This test program as a child process: another user, lower limits, another view of the system.
//!
//! Told by the environment, the child runs one test alone. Either it is the test that has started
//! it ([`child_of`], [`run_child`]), or the test `child` with one download in it ([`Child`],
//! [`work`]). The child prints a line when it is through: one that ran no test is no success.

use super::tools::shell;
use super::{bounded, skipped};
use ringhaul::Download;
use ringhaul::Level;
use ringhaul::{Engine, Options};
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Set in a child process: which test it is for, and with what.
pub(crate) const CHILD_VARIABLE: &str = "RINGHAUL_TEST_CHILD";
/// What a child prints when its test has run to the end.
pub(crate) const CHILD_DONE: &str = "the child is through";
/// What a child prints when this machine does not let it have what it needs.
pub(crate) const CHILD_SKIPS: &str = "the child cannot be set up";

/// What the parent has told this process, if it is the child for `test`.
pub(crate) fn child_of(test: &str) -> Option<String> {
    let told = env::var(CHILD_VARIABLE).ok()?;
    let (name, argument) = told.split_once(':')?;
    (name == test).then(|| argument.to_owned())
}

/// This very test, run under what `limits` does in a shell.
pub(crate) fn limited(test: &str, limits: &str) -> Command {
    let mut shell = shell(limits);
    shell.arg(program()).args([test, "--exact", "--nocapture"]);
    shell
}

/// Runs the child to its end; what failed there fails here.
pub(crate) fn run_child(child: &mut Command, test: &str, argument: &str) {
    let told = format!("{test}:{argument}");
    let output = match child.current_dir("/").env(CHILD_VARIABLE, told).output() {
        Ok(output) => output,
        Err(e) => return skipped(&format!("another user cannot run this program: {e}")),
    };
    let (out, err) = texts(&output);
    if out.contains(CHILD_SKIPS) {
        return skipped(err.trim());
    }
    assert!(output.status.success() && out.contains(CHILD_DONE), "{}\n{out}\n{err}", output.status);
}

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
    /// its answer and the notes on the way. `None`: the process did not come as far as the
    /// download.
    pub(crate) fn run(
        &self,
        wrapper: &str,
        adapt: impl FnOnce(&mut Command),
    ) -> (Option<Answer>, Vec<String>) {
        let output = self.output(wrapper, adapt);
        let (stdout, stderr) = texts(&output);
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
        // The child has a limit of its own (`bounded`), so this wait ends.
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
    let Ok(url) = env::var(URL) else { return };
    let target = PathBuf::from(env::var_os(TARGET).expect("a child has a target"));
    let connections = env::var(CONNECTIONS).expect("a child has a connection count");
    let connections: u32 = connections.parse().expect("the connection count is a number");
    let is_set = |name| env::var_os(name).is_some();
    let engine = match (is_set(INSISTS), is_set(EPOLL)) {
        (true, _) => Engine::IoUring,
        (false, true) => Engine::Epoll,
        (false, false) => Engine::Auto,
    };
    let options = Options {
        connections: (connections > 0).then_some(connections),
        engine,
        // Certificates are tested elsewhere; the file with ours may be closed to the child's user.
        insecure: true,
        trace: env::var_os(TRACE).map(PathBuf::from),
        ..Options::default()
    };
    let download = Download::new(&url).expect("a URL").output(target).options(options);
    let download = download.on_event(|event| {
        if event.level == Level::Note {
            say(&format!("{NOTE}{}", event.text));
        }
    });
    let answer = match bounded("the child's download", move || download.run()) {
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

/// This test program.
pub(crate) fn program() -> PathBuf {
    env::current_exe().expect("a process knows its program")
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}
