//! `--engine`: whole downloads on epoll, with all that goes wrong on the way; and what becomes of a
//! download where the kernel refuses io_uring.
//!
//! Refused it is through strace; without that those tests are skipped loudly. The schedules of
//! `storm` and the slow connections of `adaptive` run on epoll, too.

mod common;

use common::scene::{ended, stop, wrapped};
use common::tools::strace;
use common::{
    Ended, NAME, Place, SEED, Scene, Site, assert_content, both_schemes, checksum, eventually,
    scratch, serve, slowed,
};
use ringhaul::internal::base::size::{KIB, MIB};
use ringhaul::server::{Config, Fault, Rule, When};
use ringhaul::{DirectMode, Engine};
use rustix::process::Signal;

const SIZE: u64 = 24 * MIB + 77;

#[test]
fn every_path_gives_the_file_on_epoll() {
    for config in both_schemes(SIZE) {
        for (connections, threads, direct) in [
            (1, 1, DirectMode::Auto),
            (4, 1, DirectMode::Off),
            (4, 2, DirectMode::Auto),
            (16, 2, DirectMode::Off),
        ] {
            let site = Site::strict(config.clone()).with(|options| {
                options.engine = Engine::Epoll;
                (options.connections, options.threads) = (Some(connections), Some(threads));
                (options.chunk_bytes, options.direct) = (Some(MIB), direct);
                options.checksum = Some(checksum(SEED, SIZE));
            });
            let report = site.succeeds(SIZE);
            assert_eq!((report.engine, report.registered), (Engine::Epoll, false));
            assert!(report.verified.is_some());
        }
    }
}

#[test]
fn direct_writes_and_odd_sizes_work_on_epoll() {
    for size_bytes in [0, 1, 4096, MIB + 4095, 5 * MIB] {
        let mut site = Site::strict(Config::new(SEED, size_bytes)).with(|options| {
            options.engine = Engine::Epoll;
            options.direct = DirectMode::On;
        });
        // The system's temporary folder may be a memory file system.
        site.home = scratch();
        std::fs::create_dir(site.folder()).expect("an output folder");
        site.succeeds(size_bytes);
    }
}

#[test]
fn streams_and_broken_answers_work_on_epoll() {
    let once = |fault| vec![Rule::once(When::Request(2), fault)];
    let always = |fault| vec![Rule::new(When::All, fault)];
    for script in [
        always(Fault::IgnoreRange),
        always(Fault::Chunked),
        always(Fault::NoLength),
        once(Fault::ResetAfter(100 * KIB)),
        once(Fault::CloseAfter { bytes: 70 * KIB, close_notify: false }),
        once(Fault::StallAfter(100 * KIB)),
    ] {
        let site = Site::strict(Config { script, ..Config::new(SEED, 3 * MIB) }).with(|options| {
            options.engine = Engine::Epoll;
            options.retries = 3;
            options.chunk_bytes = Some(512 * KIB);
            options.stall_timeout = std::time::Duration::from_millis(600);
        });
        site.succeeds(3 * MIB);
    }
}

#[test]
fn a_stop_on_epoll_is_gone_on_with_by_either_engine() {
    let config = || Config::new(SEED, 6 * MIB);
    for later in ["--engine=epoll", "--engine=io_uring"] {
        let (scene, slow) = (Scene::new(), serve(slowed(config(), 4 * MIB)));
        let run = ["-o", NAME, "-c2", "--chunk-size=512K", "--journal-interval=50ms"];
        let url = slow.url("/x");
        let arguments = [&run[..], &["--engine=epoll", &url]].concat();
        let child = scene.spawn(&arguments);
        eventually("half of the file is sent", || slow.body_bytes() > 3 * MIB);
        let stopped = stop(child, Signal::TERM);
        assert!(stopped.error_line(143).contains("are kept"), "{stopped:?}");

        let fast = serve(config());
        scene.run(&[&run[..], &[later, &fast.url("/y")]].concat()).success();
        assert!(fast.body_bytes() < 5 * MIB, "some of it was here");
        scene.assert_whole(SEED, 6 * MIB);
    }
}

#[test]
fn the_last_line_and_the_trace_name_epoll() {
    let (scene, server) = (Scene::new(), serve(Config::new(SEED, MIB)));
    let url = server.url("/x");
    let ended = scene.run(&["-o", NAME, "--engine", "epoll", "--trace", "trace", &url]);
    assert!(ended.success().stderr.contains(", buffered, epoll\n"), "{ended:?}");
    let trace = std::fs::read_to_string(scene.path().join("trace")).expect("the trace");
    let begin = trace.lines().next().unwrap_or_default();
    assert!(begin.contains(r#""engine":"epoll""#), "{begin}");
    let ended = scene.run_with(&["-o", "b", &url], &[("RINGHAUL_ENGINE", "epoll")]);
    assert!(ended.success().stderr.contains(", epoll\n"), "{ended:?}");
    let ended = scene.run(&["-o", "c", &url]);
    assert!(!ended.success().stderr.contains("epoll"), "nobody asked for it: {ended:?}");
    assert!(scene.run(&["--engine", "kqueue", &url]).error_line(2).contains("--engine"));
}

/// Runs the binary where `io_uring_setup` fails. `None`, said loudly, where that cannot be had.
fn run_refused(scene: &Scene, error: &str, arguments: &[&str]) -> Option<Ended> {
    let mut refused = strace()?;
    refused.args(["-e", "trace=io_uring_setup"]);
    refused.args(["-e", &format!("inject=io_uring_setup:error={error}")]);
    Some(ended(wrapped(refused, &scene.command(arguments))))
}

#[test]
fn where_io_uring_is_refused_epoll_does_its_work() {
    for (error, remedy) in [("EPERM", "seccomp"), ("ENOSYS", "Linux 5.19"), ("ENOMEM", "ulimit")] {
        for config in both_schemes(SIZE) {
            let (scene, server) = (Scene::new(), serve(config));
            let arguments = ["-k", "-c4", "-o", NAME, &server.url("/x")];
            let Some(ended) = run_refused(&scene, error, &arguments) else { return };
            let stderr = &ended.success().stderr;
            let notes: Vec<&str> = stderr.lines().filter(|l| l.contains("no io_uring")).collect();
            let [note] = notes[..] else { panic!("one note: {ended:?}") };
            assert!(note.contains("so epoll") && note.contains(remedy), "{note}");
            assert!(stderr.ends_with(", epoll\n") || stderr.contains(", epoll\nlimited by: "));
            assert_content(&scene.target(), SEED, SIZE);
        }
    }
}

#[test]
fn who_insists_on_io_uring_hears_that_it_is_refused() {
    for (error, code, words) in [
        ("EPERM", 17, ["seccomp", "--engine auto"]),
        ("ENOSYS", 17, ["Linux 5.19", "--engine auto"]),
        ("ENOMEM", 25, ["ulimit -l", "Cannot allocate"]),
    ] {
        let (scene, server) = (Scene::new(), serve(Config::new(SEED, MIB)));
        let arguments = ["-o", NAME, "--engine=io_uring", &server.url("/x")];
        let Some(ended) = run_refused(&scene, error, &arguments) else { return };
        let line = ended.one_error_line(code);
        assert!(words.iter().all(|word| line.contains(word)), "{line}");
        assert!(scene.names().is_empty());
    }
}

/// `--engine epoll` does not even ask.
#[test]
fn epoll_never_touches_io_uring() {
    let (scene, server) = (Scene::new(), serve(Config::new(SEED, MIB)));
    let Some(mut traced) = strace() else { return };
    let command = scene.command(&["-o", NAME, "--engine=epoll", &server.url("/x")]);
    traced.args(["-o", "calls", "-e", "trace=/^io_uring"]);
    ended(wrapped(traced, &command)).success();
    let calls = std::fs::read_to_string(scene.path().join("calls")).expect("strace's log");
    assert!(!calls.contains("io_uring"), "{calls}");
}

#[test]
fn doctor_says_which_engine_and_why() {
    let scene = Scene::new();
    let granted = scene.run(&["doctor", "--size=64K"]);
    assert!(granted.stdout.contains("io_uring, as the kernel gives a ring"), "{granted:?}");
    let Some(refused) = run_refused(&scene, "EPERM", &["doctor", "--size=64K"]) else { return };
    assert_eq!((refused.code, &*refused.stderr), (Some(0), ""), "{refused:?}");
    for words in ["epoll, as the kernel refuses a ring", "seccomp", ", epoll\n", "proof holds"] {
        assert!(refused.stdout.contains(words), "{words}\n{}", refused.stdout);
    }
}
