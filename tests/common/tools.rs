//! Programs of this machine that a test runs others under: strace, a shell that sets limits, a
//! mount namespace, an example in Python. What cannot be had is skipped loudly.

use super::scene::{Ended, Scene, ended};
use super::skipped;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where an executable of this name is: `PATH`, and the folders of system services.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from);
    let mut folders = std::env::split_paths(&path).chain(system);
    folders.find_map(|folder| Some(folder.join(name)).filter(|path| path.is_file()))
}

/// The program, or `None` after saying what is left out. A required one that is missing fails the
/// test if `RINGHAUL_REQUIRE_SERVERS` is 1.
pub(crate) fn find_or_skip(name: &str, is_required: bool, left_out: &str) -> Option<PathBuf> {
    let found = find_program(name);
    if found.is_none() {
        let strict = std::env::var("RINGHAUL_REQUIRE_SERVERS").is_ok_and(|value| value == "1");
        assert!(!(strict && is_required), "{name} is required and not installed");
        skipped(&format!("{name} is not installed, so {left_out}"));
    }
    found
}

/// A shell that runs `script`, and then what it gets as arguments: `ulimit -n 40`.
pub(crate) fn shell(script: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{script} && exec \"$@\""), "sh"]);
    shell
}

/// To be told what is to fail, and then the command. `None`, said loudly, where it cannot be had.
pub(crate) fn strace() -> Option<Command> {
    let program = find_or_skip("strace", true, "no system call fails")?;
    let works = Command::new(&program).args(["-f", "-q", "-o", "/dev/null", "true"]).status();
    if !works.is_ok_and(|status| status.success()) {
        skipped("strace may not trace here, so no system call fails");
        return None;
    }
    let mut strace = Command::new(program);
    strace.args(["-f", "-q", "-e", "signal=none", "-o", "/dev/null"]);
    Some(strace)
}

/// The shell that gives what it starts a hosts file of its own, written to `home`, in which `name`
/// has the addresses 127.0.0.1, .2 and .3. `None`, said loudly, where the kernel does not let us.
pub(crate) fn with_three_addresses(home: &Path, name: &str) -> Option<String> {
    let hosts = home.join("hosts");
    let lines: String = (1..=3).map(|last| format!("127.0.0.{last} {name}\n")).collect();
    std::fs::write(&hosts, lines).expect("a scratch file is written");
    let mount = format!("mount --bind '{}' /etc/hosts && exec \"$@\"", hosts.display());
    let wrapper = find_program("unshare").map(|unshare| {
        let inner = mount.replace('\'', r"'\''");
        format!("exec {} --map-root-user --mount sh -c '{inner}' sh \"$@\"", unshare.display())
    });
    let works = wrapper.as_ref().is_some_and(|wrapper| {
        let mut probe = Command::new("sh");
        probe.args(["-c", wrapper, "sh", "true"]);
        probe.status().is_ok_and(|status| status.success())
    });
    if !works {
        skipped("no mount namespace of our own here, so no name with many addresses");
    }
    wrapper.filter(|_| works)
}

/// The script that refuses system calls to what it runs.
pub(crate) const REFUSE: &str = include_str!("refuse.py");
/// The number of `io_uring_setup`, on every architecture; `io_uring_enter` and `io_uring_register`
/// are the next ones.
pub(crate) const IO_URING_SETUP: u32 = 425;

/// Runs what it gets as arguments where each of these system calls fails with its error. `None`,
/// said loudly, where there is no python to put a seccomp filter on, which any user may.
pub(crate) fn refusing(calls: &[(u32, i32)]) -> Option<Command> {
    let python = find_or_skip("python3", true, "no system call is refused")?;
    let calls: Vec<String> =
        calls.iter().map(|(number, errno)| format!("{number}:{errno}")).collect();
    let mut command = Command::new(python);
    command.args(["-c", REFUSE, &calls.join(",")]);
    Some(command)
}

/// Runs what it gets as arguments in a mount namespace of its own, after `script`. `None`, said
/// loudly, where the kernel does not let us have one.
pub(crate) fn in_namespace(script: &str) -> Option<Command> {
    let unshare = find_or_skip("unshare", false, "nothing is mounted over")?;
    let namespace = || {
        let mut command = Command::new(&unshare);
        let script = format!("{script} && exec \"$@\"");
        command.args(["--map-root-user", "--mount", "sh", "-c", &script, "sh"]);
        command
    };
    if namespace().arg("true").status().is_ok_and(|status| status.success()) {
        return Some(namespace());
    }
    skipped("no mount namespace of our own here");
    None
}

/// The example in Python of `ringhaul help programs`.
const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/python/progress.py");

/// Runs that example in `scene`, where the command `ringhaul` is what is in the folder `binaries`.
/// `None`, said loudly, where there is no python.
pub(crate) fn run_example(scene: &Scene, binaries: &Path, arguments: &[&str]) -> Option<Ended> {
    let python = find_or_skip("python3", true, "no example in Python is run")?;
    let mut command = Command::new(python);
    command.arg(EXAMPLE).args(arguments).current_dir(scene.path());
    for (name, value) in scene.command(&[]).get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = [binaries.to_owned()].into_iter().chain(std::env::split_paths(&path));
    command.env("PATH", std::env::join_paths(folders).expect("no folder has a colon"));
    Some(ended(command))
}
