//! The binary where little of a system is around it: under a container's seccomp profile, without
//! /etc, as one static file in an empty root, and as the command that a Python wheel brings.

mod common;

use common::scene::{ended, wrapped};
use common::tools::{
    IO_URING_SETUP, find_or_skip, find_program, in_namespace, refusing, run_example,
};
use common::{NAME, Place, SEED, Scene, both_schemes, serve, skipped};
use ringhaul::internal::base::size::MIB;
use ringhaul::server::Config;
use std::path::{Path, PathBuf};
use std::process::Command;

const SIZE: u64 = 6 * MIB + 77;

/// What Docker's default profile refuses to a container without capabilities, as of version 25: the
/// calls that a program without rights might think of, by their numbers on x86-64.
#[cfg(target_arch = "x86_64")]
const REFUSED_BY_DOCKER: &[(u32, i32)] = &[
    (IO_URING_SETUP, libc::EPERM),
    (IO_URING_SETUP + 1, libc::EPERM),
    (IO_URING_SETUP + 2, libc::EPERM),
    // clone3, whose flags a filter cannot see: C libraries then use clone.
    (435, libc::ENOSYS),
    // mbind, set_mempolicy, get_mempolicy, migrate_pages, move_pages.
    (237, libc::EPERM),
    (238, libc::EPERM),
    (239, libc::EPERM),
    (256, libc::EPERM),
    (279, libc::EPERM),
    // add_key, request_key, keyctl.
    (248, libc::EPERM),
    (249, libc::EPERM),
    (250, libc::EPERM),
    // unshare, setns, perf_event_open, bpf, userfaultfd, kcmp.
    (272, libc::EPERM),
    (308, libc::EPERM),
    (298, libc::EPERM),
    (321, libc::EPERM),
    (323, libc::EPERM),
    (312, libc::EPERM),
    // syslog, quotactl, fanotify_init, open_by_handle_at.
    (103, libc::EPERM),
    (179, libc::EPERM),
    (300, libc::EPERM),
    (304, libc::EPERM),
    // process_madvise, and what is younger than the profile.
    (440, libc::EPERM),
    (451, libc::EPERM),
    (452, libc::EPERM),
    (453, libc::EPERM),
    (454, libc::EPERM),
    (455, libc::EPERM),
    (456, libc::EPERM),
];

/// Runs the binary under that profile.
#[cfg(target_arch = "x86_64")]
fn run_in_docker(scene: &Scene, arguments: &[&str]) -> Option<common::Ended> {
    let refusing = refusing(REFUSED_BY_DOCKER)?;
    Some(ended(wrapped(refusing, &scene.command(arguments))))
}

#[cfg(target_arch = "x86_64")]
#[test]
fn under_dockers_profile_epoll_does_the_work() {
    for config in both_schemes(SIZE) {
        let (scene, server) = (Scene::new(), serve(config));
        let arguments = ["-k", "-c4", "-o", NAME, &server.url("/x")];
        let Some(ended) = run_in_docker(&scene, &arguments) else { return };
        let stderr = &ended.success().stderr;
        let notes: Vec<&str> = stderr.lines().filter(|l| l.contains("no io_uring")).collect();
        let [note] = notes[..] else { panic!("one note: {ended:?}") };
        assert!(note.contains("so epoll") && note.contains("seccomp"), "{note}");
        assert!(stderr.contains(", epoll\n"), "{ended:?}");
        scene.assert_whole(SEED, SIZE);
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn under_dockers_profile_doctor_says_what_is_missing() {
    let scene = Scene::new();
    let Some(ended) = run_in_docker(&scene, &["doctor", "--size=64K"]) else { return };
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:?}");
    for words in ["epoll, as the kernel refuses a ring", "seccomp", "proof holds"] {
        assert!(ended.stdout.contains(words), "{words}\n{}", ended.stdout);
    }
    let server = serve(Config::new(SEED, MIB));
    let insisting = ["-o", NAME, "--engine=io_uring", &server.url("/x")];
    let ended = run_in_docker(&scene, &insisting).expect("it ran before");
    assert!(ended.one_error_line(17).contains("seccomp"), "{ended:?}");
}

/// Without a hosts file and a resolver there are addresses, and there is this machine.
#[test]
fn without_etc_this_machine_has_its_name() {
    for (config, name) in both_schemes(SIZE).into_iter().zip(["localhost", "x.localhost"]) {
        let (scene, server) = (Scene::new(), serve(config));
        let url = server.url("/x").replace("127.0.0.1", name);
        let Some(bare) = in_namespace("mount -t tmpfs none /etc") else { return };
        let command = scene.command(&["-k", "-o", NAME, &url]);
        ended(wrapped(bare, &command)).success();
        scene.assert_whole(SEED, SIZE);
        let bare = in_namespace("mount -t tmpfs none /etc").expect("there was one before");
        let missing = scene.command(&["-r0", "-o", "b", "http://no-such-host.invalid/"]);
        let ended = ended(wrapped(bare, &missing));
        assert!(ended.error_line(3).contains("no-such-host.invalid"), "{ended:?}");
    }
}

/// What `cargo static` has built, if RINGHAUL_STATIC_BINARY says where that is: a build with all
/// optimisations takes minutes.
fn static_binary() -> Option<PathBuf> {
    let named = std::env::var_os("RINGHAUL_STATIC_BINARY").map(PathBuf::from);
    if named.is_none() {
        skipped("RINGHAUL_STATIC_BINARY does not name what 'cargo static' has built");
    }
    named
}

/// Runs `binary` in a root that has nothing but it and the folder of `scene`.
fn run_alone(scene: &Scene, binary: &Path, arguments: &[&str]) -> Option<common::Ended> {
    let root = scene.path().join("root");
    std::fs::create_dir_all(&root).expect("a folder");
    std::fs::copy(binary, root.join("ringhaul")).expect("the binary is copied");
    let mut alone = in_namespace(&format!("cd '{}'", root.display()))?;
    // Variables of the one who runs this name files that are not there.
    alone.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    alone.args(["chroot", ".", "/ringhaul"]).args(arguments);
    Some(ended(piped(alone)))
}

fn piped(mut command: Command) -> Command {
    use std::process::Stdio;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn the_static_binary_needs_nothing_beside_it() {
    let Some(binary) = static_binary() else { return };
    if let Some(ldd) = find_program("ldd") {
        let said = Command::new(ldd).arg(&binary).output().expect("ldd runs");
        let said = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
        let is_static = ["not a dynamic executable", "statically linked"];
        assert!(is_static.iter().any(|words| said.contains(words)), "{said}");
    }
    for config in both_schemes(SIZE) {
        let scene = Scene::new();
        let server = serve(config);
        for (name, host) in [("a", "127.0.0.1"), ("b", "localhost")] {
            let url = server.url("/x").replace("127.0.0.1", host);
            let Some(ended) = run_alone(&scene, &binary, &["-k", "-o", name, &url]) else { return };
            ended.success();
            common::assert_content(&scene.path().join("root").join(name), SEED, SIZE);
        }
        let ended = run_alone(&scene, &binary, &["-r0", "https://no-such-host.invalid/x"]);
        ended.expect("it ran before").error_line(3);
    }
}

/// The wheel that `maturin` has built of `src/python`, if RINGHAUL_WHEEL says where that is: a
/// build with all optimisations takes minutes.
fn wheel() -> Option<PathBuf> {
    let named = std::env::var_os("RINGHAUL_WHEEL").map(PathBuf::from);
    if named.is_none() {
        skipped("RINGHAUL_WHEEL does not name what 'maturin build' has built in src/python");
    }
    named
}

/// Runs a program that a wheel is installed with.
fn run_tool(mut command: Command) -> common::Ended {
    // Neither the user's settings nor an index are asked.
    command.env("PIP_CONFIG_FILE", "/dev/null").env("PIP_NO_INDEX", "1");
    command.env("PIP_DISABLE_PIP_VERSION_CHECK", "1").env_remove("PYTHONPATH");
    ended(piped(command))
}

/// Makes a virtual environment, and returns the folder of its programs.
fn virtual_environment(scene: &Scene) -> Option<PathBuf> {
    let mut python = Command::new(find_or_skip("python3", true, "no wheel is installed")?);
    let folder = scene.path().join("venv");
    python.args(["-m", "venv"]).arg(&folder);
    let made = run_tool(python);
    if made.code != Some(0) {
        // Debian has what it needs in a package of its own.
        skipped(&format!("python3 makes no virtual environment: {}", made.stderr.trim()));
        return None;
    }
    Some(folder.join("bin"))
}

#[test]
fn the_wheel_brings_the_command() {
    let Some(wheel) = wheel() else { return };
    let (scene, installed) = (Scene::new(), Scene::new());
    let Some(bin) = virtual_environment(&installed) else { return };
    let mut pip = Command::new(bin.join("python"));
    pip.args(["-m", "pip", "install", "--quiet"]).arg(&wheel);
    assert_eq!(run_tool(pip).code, Some(0), "{}", wheel.display());
    let mut version = Command::new(bin.join("ringhaul"));
    version.arg("--version");
    let said = run_tool(version).stdout;
    assert_eq!(said, format!("ringhaul {}\n", env!("CARGO_PKG_VERSION")));
    for config in both_schemes(SIZE) {
        let server = serve(config);
        let arguments = ["-k", "-c4", "--force", "-o", NAME, &server.url("/x")];
        let ended = run_example(&scene, &bin, &arguments).expect("there was a python before");
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stdout.ends_with("\n1 done, 0 failed\n"), "{ended:?}");
        scene.assert_whole(SEED, SIZE);
    }
    let mut pip = Command::new(bin.join("python"));
    pip.args(["-m", "pip", "uninstall", "--quiet", "--yes", "ringhaul"]);
    assert_eq!((run_tool(pip).code, bin.join("ringhaul").exists()), (Some(0), false));
}

/// What `cargo install` leaves is one file for each program of the package.
#[test]
fn the_package_has_one_program() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let mut command = Command::new(cargo);
    command.args(["metadata", "--format-version=1", "--no-deps", "--offline", "--manifest-path"]);
    let Ok(output) = command.arg(manifest).output() else { return skipped("there is no cargo") };
    assert!(output.status.success(), "{output:?}");
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo says JSON");
    let targets = said["packages"][0]["targets"].as_array().expect("the package has targets");
    let is_program = |target: &&serde_json::Value| target["kind"] == serde_json::json!(["bin"]);
    let programs: Vec<_> = targets.iter().filter(is_program).map(|t| &t["name"]).collect();
    assert_eq!(programs, ["ringhaul"]);
}
