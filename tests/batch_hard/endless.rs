//! A list of ten million lines on a pipe, to a server that has none of its files: the batch starts
//! at once, takes little memory, and can be stopped.

use crate::common::{SEED, Scene, serve};
use crate::ground::number;
use ringhaul::internal::base::size::{KIB, MIB};
use ringhaul::server::{Config, Paths, Server};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufWriter, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const SECONDS_VARIABLE: &str = "RINGHAUL_LIST_SECONDS";
const LINES: u64 = 10_000_000;
const FIRST_REQUEST_MAX: Duration = Duration::from_secs(2);
const END_MAX: Duration = Duration::from_secs(5);
const MEMORY_BYTES_MAX: u64 = 96 * MIB;
const SIGTERM_CODE: i32 = 143;

#[test]
#[allow(clippy::print_stdout, reason = "the long form shows its figures")]
fn a_list_of_ten_million_lines_starts_at_once_and_takes_little_memory() {
    let seconds = number(SECONDS_VARIABLE).unwrap_or(3);
    let server = serve(Config { paths: Paths::Numbered(1), ..Config::new(SEED, 1) });
    let scene = Scene::new();
    let mut command = scene.command(&["-q", "-i", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let begun = Instant::now();
    let mut child = command.spawn().expect("the binary runs");
    let stdin = child.stdin.take().expect("it is piped");
    let root = server.url("/missing/");
    let writer = thread::spawn(move || write_list(stdin, &root));
    let first = until_asked(&server, begun);
    let mut peak_bytes = 0;
    while begun.elapsed() < Duration::from_secs(seconds) {
        assert_eq!(child.try_wait().expect("the child can be asked"), None, "it ends by itself");
        peak_bytes = peak_bytes.max(peak_memory_bytes(&child));
        // sleep: memory is sampled.
        thread::sleep(Duration::from_millis(50));
    }
    let (requests, ended) = (server.counts().requests, terminate(&mut child));
    println!("first request after {first:?}; {requests} of {LINES} lines in {seconds} s");
    println!("{} MiB at most; ended after {ended:?}", peak_bytes / MIB);
    writer.join().expect("the writer does not panic");
    assert!(peak_bytes <= MEMORY_BYTES_MAX, "{peak_bytes} bytes");
    assert!(requests >= 100 * seconds, "{requests} requests");
}

/// Writes lines until all of them are written, or nobody reads on.
fn write_list(stdin: ChildStdin, root: &str) {
    let mut list = BufWriter::with_capacity(64 * 1024, stdin);
    for number in 0..LINES {
        if writeln!(list, "{root}{number:08}.jpg").is_err() {
            return;
        }
    }
}

fn until_asked(server: &Server, begun: Instant) -> Duration {
    while server.counts().requests == 0 {
        assert!(begun.elapsed() < FIRST_REQUEST_MAX, "no request after {:?}", begun.elapsed());
        // sleep: the server does not ring.
        thread::sleep(Duration::from_millis(1));
    }
    begun.elapsed()
}

/// The most memory that the process has had so far.
fn peak_memory_bytes(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id()));
    let status = status.expect("the child runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|text| text.trim().strip_suffix(" kB"));
    let kibibytes: u64 = kibibytes.and_then(|text| text.parse().ok()).expect("the kernel's words");
    kibibytes * KIB
}

/// Stops it; how long that takes.
fn terminate(child: &mut Child) -> Duration {
    let begun = Instant::now();
    kill_process(Pid::from_child(child), Signal::TERM).expect("the process is there");
    loop {
        if let Some(status) = child.try_wait().expect("the child can be asked") {
            assert_eq!(status.code(), Some(SIGTERM_CODE), "{status}");
            return begun.elapsed();
        }
        assert!(begun.elapsed() < END_MAX, "it does not end");
        // sleep: the end of a process does not ring.
        thread::sleep(Duration::from_millis(1));
    }
}
