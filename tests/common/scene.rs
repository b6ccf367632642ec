//! A scratch folder in which the binary runs, with a clean environment, and what came out of it.

use super::{Place, bounded};
use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

/// A scratch folder that is the working directory of the runs in it.
pub(crate) struct Scene {
    home: TempDir,
}

/// How one run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self { home: tempfile::tempdir().expect("a scratch folder") }
    }

    pub(crate) fn path(&self) -> &Path {
        self.home.path()
    }

    /// The binary, ready to run here, with none of the caller's settings. A script that runs the
    /// tests in the background has them ignore SIGINT, which children inherit and ringhaul
    /// respects; so the usual dispositions are put back.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("env");
        command.args(["--default-signal=INT,TERM,HUP", env!("CARGO_BIN_EXE_ringhaul")]);
        for (name, _) in std::env::vars_os() {
            let shown = name.to_string_lossy().to_ascii_lowercase();
            let is_ours = shown.starts_with("ringhaul_") || shown.starts_with("ssl_cert_");
            if is_ours || shown.ends_with("_proxy") {
                command.env_remove(name);
            }
        }
        // Whoever runs the tests may have a config file.
        command.env("RINGHAUL_NO_CONFIG", "1");
        command.args(arguments).current_dir(self.path());
        piped(command)
    }

    /// The binary, started here.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().expect("the binary runs")
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(arguments, &[])
    }

    pub(crate) fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
        let mut command = self.command(arguments);
        command.envs(environment.iter().copied());
        ended(command)
    }
}

impl Place for Scene {
    fn folder(&self) -> PathBuf {
        self.path().to_owned()
    }
}

/// Runs it to its end.
pub(crate) fn ended(mut command: Command) -> Ended {
    bounded("the run", move || Ended::of(command.output().expect("the binary runs")))
}

/// Waits for the end of what was spawned.
pub(crate) fn wait(child: Child) -> Ended {
    bounded("the run", move || Ended::of(child.wait_with_output().expect("it is our child")))
}

/// Sends `signal` to what was spawned, and waits for its end.
pub(crate) fn stop(child: Child, signal: Signal) -> Ended {
    kill_process(Pid::from_child(&child), signal).expect("the process is there");
    wait(child)
}

/// `command`, run by another program that takes it as its last arguments.
pub(crate) fn wrapped(mut wrapper: Command, command: &Command) -> Command {
    wrapper.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapper.env(name, value),
            None => wrapper.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        wrapper.current_dir(folder);
    }
    piped(wrapper)
}

fn piped(mut command: Command) -> Command {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Ended {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Ended with `code`, nothing on standard output, and exactly one line, the error's, which is
    /// returned.
    #[track_caller]
    pub(crate) fn one_error_line(&self, code: i32) -> &str {
        let line = self.error_line(code);
        assert_eq!(self.stderr.lines().count(), 1, "one line only\n{self:?}");
        line
    }

    /// Ended with `code`, nothing on standard output, the error as the last line.
    #[track_caller]
    pub(crate) fn error_line(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        let line = self.stderr.lines().last().unwrap_or_default();
        assert!(line.starts_with("ringhaul: error: "), "{self:?}");
        let errors = self.stderr.matches("ringhaul: error: ").count();
        assert_eq!(errors, 1, "said once\n{self:?}");
        line
    }

    /// Ended well, nothing on standard output.
    #[track_caller]
    pub(crate) fn success(&self) -> &Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        self
    }
}
