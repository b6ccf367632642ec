//! Running the binary: a clean environment, a folder of its own, and what came out of it.

#![allow(dead_code, reason = "each test file uses its part of this module")]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A scratch folder that is the working directory of the runs in it.
pub(crate) struct Scene {
    folder: TempDir,
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
        Self { folder: tempfile::tempdir().expect("a scratch folder") }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The names in the folder, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path()).expect("the scratch folder");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// The binary, ready to run here, with none of the caller's settings. A script that runs the
    /// tests in the background has them ignore SIGINT, which children inherit and ringhaul
    /// respects; so the usual dispositions are put back.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("env");
        command.args(["--default-signal=INT,TERM,HUP", env!("CARGO_BIN_EXE_ringhaul")]);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("RINGHAUL_") {
                command.env_remove(name);
            }
        }
        command.args(arguments).current_dir(self.path()).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(arguments, &[])
    }

    pub(crate) fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
        let mut command = self.command(arguments);
        command.envs(environment.iter().copied());
        Ended::of(command.output().expect("the binary runs"))
    }
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
    /// answered.
    pub(crate) fn one_error_line(&self, code: i32) -> &str {
        let line = self.error_line(code);
        assert_eq!(self.stderr.lines().count(), 1, "one line only\n{self:?}");
        line
    }

    /// Ended with `code`, nothing on standard output, the error as the last line.
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
    pub(crate) fn success(&self) -> &Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        self
    }
}
