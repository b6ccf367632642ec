//! Downloads with what an ordinary user is granted: little locked memory, few descriptors, perhaps
//! no io_uring at all. Each runs in a process of its own, see `common::child`.
//!
//! As root the children become users nobody else is; otherwise they are who we are. A child gets
//! its limits from the shell that starts it, so nothing here needs `unsafe`.

mod common;

use common::child::{Answer, Child, EPOLL, INSISTS, program};
use common::tools::{IO_URING_SETUP, REFUSE, find_program};
use common::{SEED, Site, assert_content, both_schemes, names, paced, scratch, skipped};
use ringhaul::internal::base::size::MIB;
use ringhaul::server::Config;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;

/// Above what registering memory begins to pay at.
const SIZE: u64 = 32 * MIB;
/// Root lends the children ids that nobody uses, a new one to each: the kernel counts locked memory
/// per user, and takes its time to give back what a process had.
const FIRST_USER: u32 = 64_000;
static USERS: AtomicU32 = AtomicU32::new(FIRST_USER);
/// Descriptors with which a process does not even start, and with which everything works.
const DESCRIPTORS: std::ops::RangeInclusive<u32> = 4..=40;

/// Runs a download in this process, when it was started for that.
#[test]
fn child() {
    common::child::work();
}

/// Who is not root has one user for all children: one at a time.
static TURN: Mutex<()> = Mutex::new(());

/// A folder and a program the ordinary user can use, and the turn to do so.
struct Ground {
    _turn: MutexGuard<'static, ()>,
    home: TempDir,
    program: PathBuf,
    site: Site,
}

impl Ground {
    fn new(config: Config) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let site = Site::start(config);
        let built = program();
        let home = scratch();
        let (home, program) = if is_open_to_all(home.path()) && is_open_to_all(&built) {
            (home, built)
        } else {
            // The build is in somebody's private folder.
            let home = tempfile::tempdir().expect("a folder for everybody");
            let program = home.path().join("program");
            fs::copy(built, &program).expect("space for the program");
            (home, program)
        };
        Self { _turn: turn, home, program, site }
    }

    fn target(&self) -> PathBuf {
        self.home.path().join("file")
    }

    /// Downloads as the ordinary user, through a shell that ends in `exec "$@"`.
    fn run(&self, wrapper: &str, connections: u32) -> Option<Answer> {
        self.run_aloud(wrapper, connections).0
    }

    /// The same with the notes on the way.
    fn run_aloud(&self, wrapper: &str, connections: u32) -> (Option<Answer>, Vec<String>) {
        self.run_as(wrapper, connections, |command| {
            if is_root() {
                let user = USERS.fetch_add(1, Ordering::Relaxed);
                chown(self.home.path(), Some(user), Some(user)).expect("root gives folders away");
                command.uid(user).gid(user);
            }
        })
    }

    fn run_as(
        &self,
        wrapper: &str,
        connections: u32,
        adapt: impl FnOnce(&mut Command),
    ) -> (Option<Answer>, Vec<String>) {
        let (url, target) = (self.site.url("/f"), self.target());
        let (program, trace) = (&*self.program, None);
        let child = Child { program, url: &url, target: &target, connections, trace };
        child.run(wrapper, adapt)
    }

    /// The download has come through; makes room for the next one.
    #[track_caller]
    fn expect_file(&self, size_bytes: u64) {
        assert_content(&self.target(), SEED, size_bytes);
        fs::remove_file(self.target()).expect("our own file");
        self.expect_nothing_left();
    }

    /// Removes what a failed download has kept: the next one is another user's, who may not use it.
    fn clear_away(&self) {
        for name in names(self.home.path()).into_iter().filter(|name| name != "program") {
            fs::remove_file(self.home.path().join(name)).expect("a file in our own folder");
        }
    }

    #[track_caller]
    fn expect_nothing_left(&self) {
        let names = names(self.home.path()).into_iter().filter(|name| name != "program");
        assert_eq!(names.collect::<Vec<_>>(), [""; 0], "what is left in the folder");
    }
}

#[test]
fn with_little_locked_memory_it_works_unregistered() {
    if !grants_io_uring() {
        return;
    }
    // HTTPS has two shards, and their rings are locked memory too.
    for config in both_schemes(SIZE) {
        let ground = Ground::new(config);
        let answer = ground.run("ulimit -l 64 && exec \"$@\"", 4);
        assert_eq!(answer, Some(Answer::Done { registered: false }));
        ground.expect_file(SIZE);
    }
}

/// Kernels that account rings (6.14 and later do) cannot grant one; others need none for it.
#[test]
fn without_locked_memory_it_works_or_says_why_not() {
    if !grants_io_uring() {
        return;
    }
    let ground = Ground::new(Config::new(SEED, SIZE));
    let wrapper = "ulimit -l 0 && exec \"$@\"";
    let answer = ground.run(wrapper, 4);
    assert_eq!(answer, Some(Answer::Done { registered: false }));
    ground.expect_file(SIZE);
    match ground.run(&format!("export {INSISTS}=1 && {wrapper}"), 4) {
        Some(Answer::Done { registered: false }) => ground.expect_file(SIZE),
        Some(Answer::Failed { kind, text }) => {
            assert_eq!(kind, "ResourceLimit", "{text}");
            assert!(text.contains("raise 'ulimit -l'"), "{text}");
            ground.expect_nothing_left();
        }
        other => panic!("{other:?}"),
    }
}

/// The counterpart: the same user with enough of it registers, from a low soft limit too.
#[test]
fn with_enough_locked_memory_it_works_registered() {
    // What systemd grants; one connection needs 6 MiB of it.
    const ENOUGH_KIB: u64 = 8 * 1024;
    let granted = rustix::process::getrlimit(rustix::process::Resource::Memlock).maximum;
    if granted.is_some_and(|bytes| bytes < ENOUGH_KIB * 1024) {
        skipped("the limit of locked memory (ulimit -H -l) is below 8 MiB");
        return;
    }
    if !grants_io_uring() {
        return;
    }
    let ground = Ground::new(Config::new(SEED, SIZE));
    for soft_kib in [ENOUGH_KIB, 64] {
        let wrapper =
            format!("ulimit -H -l {ENOUGH_KIB} && ulimit -S -l {soft_kib} && exec \"$@\"");
        let answer = ground.run(&wrapper, 1);
        assert_eq!(answer, Some(Answer::Done { registered: true }), "soft limit {soft_kib} KiB");
        ground.expect_file(SIZE);
    }
}

#[test]
fn too_few_descriptors_are_said_to_be_too_few() {
    let ground = Ground::new(Config::new(SEED, MIB));
    let mut refusals = 0;
    let mut last = None;
    for descriptors in DESCRIPTORS {
        let wrapper = format!("ulimit -n {descriptors} && exec \"$@\"");
        let answer = ground.run(&wrapper, 8);
        match &answer {
            // Not even the program could be loaded.
            None => assert_eq!(refusals, 0, "with {descriptors} descriptors"),
            Some(Answer::Done { .. }) => ground.expect_file(MIB),
            Some(Answer::Failed { kind, text }) => {
                assert_eq!(kind, "ResourceLimit", "with {descriptors} descriptors: {text}");
                let is_clear = text.contains("Too many open files");
                assert!(is_clear, "with {descriptors} descriptors: {text}");
                ground.expect_nothing_left();
                refusals += 1;
            }
        }
        last = answer;
    }
    assert!(refusals > 0, "some number of descriptors is too small");
    assert!(matches!(last, Some(Answer::Done { .. })), "{last:?}");
}

/// Wherever one connection works, so do many asked for: as many of them as there are descriptors.
#[test]
fn few_descriptors_mean_fewer_connections() {
    const AUTO: u32 = 0;
    const SIZE: u64 = 6 * MIB + 7;
    let engines = [INSISTS, EPOLL].into_iter().filter(|name| *name == EPOLL || grants_io_uring());
    for engine in engines.collect::<Vec<_>>() {
        for config in both_schemes(SIZE) {
            // At a pace at which all connections are at work at the same time.
            let ground = Ground::new(paced(config, 24 * MIB));
            let run = |descriptors: u32, connections| {
                let limit = format!("ulimit -n {descriptors}");
                ground
                    .run_aloud(&format!("export {engine}=1 && {limit} && exec \"$@\""), connections)
            };
            let works = |descriptors: &u32| {
                let is_done = matches!(run(*descriptors, 1).0, Some(Answer::Done { .. }));
                if is_done {
                    ground.expect_file(SIZE);
                } else {
                    ground.clear_away();
                }
                is_done
            };
            let least = DESCRIPTORS.into_iter().find(works).expect("a number that is enough");
            for descriptors in [0, 2, 6].map(|more| least + more) {
                for connections in [16, AUTO] {
                    let (answer, notes) = run(descriptors, connections);
                    let what = format!("{engine} -n {descriptors} -c {connections}: {notes:?}");
                    assert!(matches!(answer, Some(Answer::Done { .. })), "{what} {answer:?}");
                    ground.expect_file(SIZE);
                    let told = notes.iter().filter(|note| note.contains("raise 'ulimit -n'"));
                    let told = told.count();
                    assert!(told == 1 || (connections == AUTO && told == 0), "{what}");
                }
            }
        }
    }
}

/// A seccomp filter, as containers have one, refuses the system call; any user may put one on.
#[test]
fn without_io_uring_it_works_or_says_what_is_missing() {
    let Some(python) = find_program("python3") else {
        skipped("no python3 to put a seccomp filter on");
        return;
    };
    let ground = Ground::new(Config::new(SEED, MIB));
    for (errno, advice) in [(libc::EPERM, "seccomp"), (libc::ENOSYS, "Linux 5.19")] {
        let setup = format!("{IO_URING_SETUP}:{errno}");
        let wrapper = format!("exec '{}' -c \"$SCRIPT\" {setup} \"$@\"", python.display());
        // As who we are: python may be in a private folder.
        let run = |wrapper: &str| {
            ground
                .run_as(wrapper, 4, |command| {
                    command.env("SCRIPT", REFUSE);
                })
                .0
        };
        assert_eq!(run(&wrapper), Some(Answer::Done { registered: false }));
        ground.expect_file(MIB);
        let answer = run(&format!("export {INSISTS}=1 && {wrapper}"));
        let Some(Answer::Failed { kind, text }) = answer else { panic!("{answer:?}") };
        assert_eq!(kind, "EngineUnavailable", "{text}");
        assert!(text.contains(advice), "{text}");
        ground.expect_nothing_left();
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether an ordinary user gets a ring here; says so if not.
fn grants_io_uring() -> bool {
    let disabled = fs::read_to_string("/proc/sys/kernel/io_uring_disabled").unwrap_or_default();
    let granted = matches!(disabled.trim(), "" | "0");
    if !granted {
        skipped("kernel.io_uring_disabled keeps io_uring from ordinary users");
    }
    granted
}

/// Whether everybody may go to `path`.
fn is_open_to_all(path: &Path) -> bool {
    let mut above = path.ancestors().skip(1);
    above.all(|folder| fs::metadata(folder).is_ok_and(|meta| meta.permissions().mode() & 1 != 0))
}
