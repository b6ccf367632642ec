//! What the end-to-end tests share: a running site, folders on the disk, and downloads that are
//! checked in every way that holds for all of them.
//!
//! Each test binary declares it with `mod support` and uses its own part of it. Talks to the
//! library through its public face only.

pub(crate) mod child;
pub(crate) mod hosts;
#[allow(clippy::duplicate_mod, reason = "some test binaries have `rig` and `support`")]
#[path = "../common/skip.rs"]
mod skip;

use ringhaul::base::{Error, ErrorKind, Result};
use ringhaul::engine::Download;
use ringhaul::engine::options::{Checksum, Options};
use ringhaul::engine::progress::{Event, Progress, Report};
use ringhaul::server::{Config, Server, Stats, content};
pub(crate) use skip::skipped;
use std::fs::{self, File};
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// Seed of the files the tests serve.
pub(crate) const SEED: u64 = 7;
/// No download of the tests takes a tenth of this on an idle machine: past it, it hangs.
const HANG_AFTER: Duration = Duration::from_secs(120);
/// Bytes compared at a time.
const COMPARED_BYTES: usize = 1 << 20;
/// Ports tried where one has to be known before it is listened on.
const PORT_TRIES: u32 = 5;
/// The name of every downloaded file.
const FILE_NAME: &str = "file";

/// A running server, and what a client has to know about it.
pub(crate) struct Site {
    server: Server,
    home: TempDir,
}

impl Site {
    pub(crate) fn start(config: Config) -> Self {
        Self::of(Server::start(config).expect("the built-in server starts"))
    }

    /// For a server whose configuration names its own port.
    pub(crate) fn start_knowing_its_port(config: impl Fn(u16) -> Config) -> Self {
        for _ in 0..PORT_TRIES {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
            let address = free.local_addr().expect("a bound socket has an address");
            drop(free);
            // Somebody else may have been faster.
            if let Ok(server) = Server::start(Config { address, ..config(address.port()) }) {
                return Self::of(server);
            }
        }
        panic!("every free port is taken at once");
    }

    fn of(server: Server) -> Self {
        let home = scratch();
        if let Some(pem) = server.certificate_pem() {
            fs::write(home.path().join("authority.pem"), pem).expect("a scratch file is written");
        }
        Self { server, home }
    }

    /// The defaults, with trust in this server's certificate.
    pub(crate) fn options(&self) -> Options {
        let mut options = Options::default();
        if self.server.certificate_pem().is_some() {
            options.ca_certs.push(self.home.path().join("authority.pem"));
        }
        options
    }

    pub(crate) fn url(&self, path: &str) -> String {
        self.server.url(path)
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.address().port()
    }

    pub(crate) fn stats(&self) -> Stats {
        self.server.stats()
    }

    /// The heads of all requests so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.stats().log.into_iter().map(|entry| entry.head).collect()
    }

    /// Downloads `path` into a folder of its own.
    pub(crate) fn fetch(&self, path: &str, options: Options) -> Run {
        fetch(&self.url(path), options)
    }
}

/// One download that has ended, and all it said.
pub(crate) struct Run {
    pub(crate) result: Result<Report>,
    pub(crate) events: Vec<Event>,
    pub(crate) progress: Vec<Progress>,
    folder: TempDir,
}

impl Run {
    /// The file is there, whole and alone, and the report agrees with it.
    #[track_caller]
    pub(crate) fn expect_file(&self, seed: u64, size_bytes: u64) -> &Report {
        let report = match &self.result {
            Ok(report) => report,
            Err(error) => panic!("the download failed: {error:?}; {:#?}", self.events),
        };
        assert_eq!(names_in(self.folder.path()), [FILE_NAME], "what is left in the folder");
        assert_eq!(report.path, self.folder.path().join(FILE_NAME));
        assert_eq!(report.bytes, size_bytes, "bytes the report names");
        assert_content(&report.path, seed, size_bytes);
        let last = self.progress.last().expect("there is a last progress report");
        assert_eq!(last.bytes_done, size_bytes, "bytes the last progress report names");
        report
    }

    /// It failed for this reason and left nothing behind.
    #[track_caller]
    pub(crate) fn expect_error(&self, kind: ErrorKind) -> &Error {
        let error = match &self.result {
            Ok(report) => panic!("the download came through: {report:?}"),
            Err(error) => error,
        };
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(names_in(self.folder.path()), [""; 0], "what is left in the folder");
        error
    }

    /// Every text a user could come to see.
    pub(crate) fn texts(&self) -> Vec<String> {
        let mut texts: Vec<String> = self.events.iter().map(|event| event.text.clone()).collect();
        match &self.result {
            Ok(report) => texts.push(format!("{report:?}")),
            Err(error) => texts.extend([error.to_string(), format!("{error:?}")]),
        }
        texts.extend(self.progress.iter().map(|progress| format!("{progress:?}")));
        texts
    }
}

/// Downloads `url` into a folder of its own; a hang is a panic.
pub(crate) fn fetch(url: &str, options: Options) -> Run {
    let folder = scratch();
    let (event_sender, events) = mpsc::channel();
    let (progress_sender, progress) = mpsc::channel();
    let download = Download::new(url)
        .expect("the test's URL is one")
        .output(folder.path().join(FILE_NAME))
        .options(options)
        .on_event(move |event| event_sender.send(event.clone()).expect("somebody listens"))
        .on_progress(move |now| progress_sender.send(now.clone()).expect("somebody listens"));
    let result = within_limit(move || download.run());
    Run {
        result,
        events: events.try_iter().collect(),
        progress: progress.try_iter().collect(),
        folder,
    }
}

/// What the served file's digest has to be.
pub(crate) fn checksum(seed: u64, size_bytes: u64) -> Checksum {
    let hex: String =
        content::sha256(seed, size_bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}").parse().expect("64 digits are a checksum")
}

/// A folder on the file system of the build: a disk's, where O_DIRECT means something.
pub(crate) fn scratch() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("the build's folder is writable")
}

/// The file is `size_bytes` long and holds the content of `seed`.
#[track_caller]
pub(crate) fn assert_content(path: &Path, seed: u64, size_bytes: u64) {
    let mut file = File::open(path).expect("the downloaded file can be opened");
    let length = file.metadata().expect("an open file has metadata").len();
    assert_eq!(length, size_bytes, "length of the file");
    let mut piece = vec![0; COMPARED_BYTES];
    let mut offset = 0;
    while offset < size_bytes {
        let read = file.read(&mut piece).expect("the downloaded file can be read");
        assert!(read > 0, "the file shrinks while it is compared");
        let compared = content::verify(seed, offset, &piece[..read]);
        assert_eq!(compared, Ok(()), "first wrong byte of {size_bytes}");
        offset += read as u64;
    }
}

/// Names of the entries of a folder, sorted.
pub(crate) fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder can be listed");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("a folder's entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Where an executable of this name is: `PATH`, and the folders of system services.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from);
    let mut folders = std::env::split_paths(&path).chain(system);
    folders.find_map(|folder| Some(folder.join(name)).filter(|path| path.is_file()))
}

/// To be told what is to fail, and then the command. `None`, said loudly, where it cannot be had.
pub(crate) fn strace() -> Option<Command> {
    let Some(program) = find_program("strace") else {
        let strict = std::env::var("RINGHAUL_REQUIRE_SERVERS").is_ok_and(|value| value == "1");
        assert!(!strict, "strace is required and not installed");
        skipped("strace is not installed, so no system call fails");
        return None;
    };
    let works = Command::new(&program).args(["-f", "-q", "-o", "/dev/null", "true"]).status();
    if !works.is_ok_and(|status| status.success()) {
        skipped("strace may not trace here, so no system call fails");
        return None;
    }
    let mut strace = Command::new(program);
    strace.args(["-f", "-q", "-e", "signal=none", "-o", "/dev/null"]);
    Some(strace)
}

/// Whether this process may pin memory without limit (CAP_IPC_LOCK): registration then succeeds.
pub(crate) fn may_pin_memory() -> bool {
    const CAP_IPC_LOCK: u64 = 1 << 14;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let mask = mask.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    mask.is_some_and(|mask| mask & CAP_IPC_LOCK != 0)
}

/// Runs `work` on a thread of its own and panics if it does not end.
fn within_limit<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    let worker = thread::spawn(move || {
        // Nobody waits any more if the time is up.
        let _ = sender.send(work());
    });
    match receiver.recv_timeout(HANG_AFTER) {
        Ok(output) => output,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("no end after {HANG_AFTER:?}: a hang"),
        Err(mpsc::RecvTimeoutError::Disconnected) => match worker.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => unreachable!("the worker sends before it ends"),
        },
    }
}
