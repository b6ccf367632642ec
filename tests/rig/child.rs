//! A test run again in a process of its own, with other limits or as another user.
//!
//! The test asks [`child_of`] which of the two it is. The parent waits for a line that the child
//! prints at its very end, so that a child that ran no test is no success.

use super::skip::skipped;
use std::env;
use std::process::Command;

/// Set in a child process: which test it is for, and with what.
const CHILD_VARIABLE: &str = "RINGHAUL_TEST_CHILD";
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
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("{limits}; exec \"$0\" \"$@\""));
    shell.arg(env::current_exe().expect("a program has a path")).args([
        test,
        "--exact",
        "--nocapture",
    ]);
    shell
}

/// Runs the child to its end; what failed there fails here.
pub(crate) fn run_child(child: &mut Command, test: &str, argument: &str) {
    let told = format!("{test}:{argument}");
    let output = match child.current_dir("/").env(CHILD_VARIABLE, told).output() {
        Ok(output) => output,
        Err(e) => return skipped(&format!("another user cannot run this program: {e}")),
    };
    let (out, err) = (output.stdout, output.stderr);
    let (out, err) = (String::from_utf8_lossy(&out), String::from_utf8_lossy(&err));
    if out.contains(CHILD_SKIPS) {
        return skipped(err.trim());
    }
    assert!(output.status.success() && out.contains(CHILD_DONE), "{}\n{out}\n{err}", output.status);
}
