//! What the tests of bad input, faults and stops share: a server beside a scratch folder, downloads
//! that cannot hang a test, and what has to hold after every one of them.
//!
//! Knows the public API only. Waits are for conditions with a bound, never for a time.

#![allow(dead_code, reason = "each test binary that includes it uses its own part")]

pub(crate) mod child;
pub(crate) mod process;
#[allow(clippy::duplicate_mod, reason = "some test binaries have `rig` and `support`")]
#[path = "../common/skip.rs"]
pub(crate) mod skip;

use ringhaul::base::{Error, ErrorKind, Result};
use ringhaul::digest::{Algorithm, Checksum};
use ringhaul::engine::Download;
use ringhaul::engine::options::{OnChange, Options};
use ringhaul::engine::progress::Report;
use ringhaul::server::{Config, Server, content};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A download that takes longer hangs: most take milliseconds, none is to wait for as long.
const HANG_LIMIT: Duration = Duration::from_secs(20);
/// What ends by itself, but on another thread, has so long for it.
const SOON: Duration = Duration::from_secs(5);

/// Seed of every file these tests serve, unless several must differ.
pub(crate) const SEED: u64 = 0x5eed;
/// The target's name in its folder.
pub(crate) const NAME: &str = "file.bin";

/// A server, and a folder that gets its file.
pub(crate) struct Rig {
    pub(crate) server: Server,
    pub(crate) folder: TempDir,
    pub(crate) options: Options,
    pub(crate) path: String,
}

impl Rig {
    /// Serves `config`; over TLS the client trusts the server. Failures are final: no retries, no
    /// start over.
    pub(crate) fn new(config: Config) -> Self {
        let server = Server::start(config).expect("the server starts");
        let folder = tempfile::tempdir().expect("a scratch folder");
        let mut options = Options {
            retries: 0,
            on_change: OnChange::Fail,
            // Tests have no outages to ride out.
            retry_wait: Duration::from_millis(100),
            connect_timeout: Duration::from_secs(8),
            stall_timeout: Duration::from_secs(8),
            ..Options::default()
        };
        trust(&server, &folder, &mut options);
        std::fs::create_dir(folder.path().join("out")).expect("an output folder");
        Self { server, folder, options, path: "/file.bin".to_owned() }
    }

    /// The same folder and options, and another server in the place of the first one: the same
    /// origin, as far as it uses the same scheme.
    pub(crate) fn moved(mut self, config: Config) -> Self {
        self.replace_server(config);
        self
    }

    /// Another server takes the place of the present one, at its address.
    pub(crate) fn replace_server(&mut self, config: Config) {
        self.server.stop();
        let address = self.server.address();
        self.server = Server::start(Config { address, ..config }).expect("the server starts");
        trust(&self.server, &self.folder, &mut self.options);
    }

    /// The same with other options.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.options);
        self
    }

    /// The folder that holds nothing but output.
    pub(crate) fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    /// The final name.
    pub(crate) fn target(&self) -> PathBuf {
        self.out().join(NAME)
    }

    /// The download, not yet run.
    pub(crate) fn download(&self) -> Download {
        let download = Download::new(&self.server.url(&self.path)).expect("a usable URL");
        download.output(self.target()).options(self.options.clone())
    }

    /// Runs the download; answers with all it said, too, one line each.
    pub(crate) fn run_aloud(&self) -> (Result<Report>, String) {
        let said = Arc::new(Mutex::new(String::new()));
        let own = said.clone();
        let download = self.download().on_event(move |event| {
            *own.lock().expect("nobody panics with it") += &format!("{}\n", event.text);
        });
        let result = bounded("the download", move || download.run());
        let said = said.lock().expect("nobody panics with it").clone();
        (result, said)
    }

    /// Runs the download.
    pub(crate) fn run(&self) -> Result<Report> {
        let download = self.download();
        bounded("the download", move || download.run())
    }

    /// The download fails so, and leaves neither the file nor a connection behind.
    pub(crate) fn fails(&self, kind: ErrorKind, exit_code: u8, words: &[&str]) -> String {
        let line = expect_error(self.run(), kind, exit_code, words);
        self.assert_nothing_left();
        line
    }

    /// The download gives the whole file and nothing else.
    pub(crate) fn succeeds(&self, size_bytes: u64) -> Report {
        let report = self.run().expect("the download survives");
        assert_eq!(report.bytes, size_bytes);
        assert_content(&self.target(), SEED, size_bytes);
        assert_eq!(files(&self.out()), [NAME], "nothing but the file is left");
        self.assert_disconnected();
        report
    }

    /// Each fault of the script has happened: one that does not proves nothing.
    #[track_caller]
    pub(crate) fn assert_fired(&self) {
        let fired = self.server.counts().fired;
        assert!(!fired.is_empty(), "a script without rules");
        assert!(fired.iter().all(|count| *count > 0), "these faults happened: {fired:?}");
    }

    /// No file under its name and no connection; at most what a later run goes on from.
    pub(crate) fn assert_nothing_left(&self) {
        let left = files(&self.out());
        let (part, journal) = (format!("{NAME}.part"), format!("{NAME}.ringhaul"));
        let may_be: [&[&str]; 3] = [&[], &[&part], &[&part, &journal]];
        let is_fine = may_be.iter().any(|names| left == *names);
        assert!(is_fine, "left when run() has returned: {left:?}");
        self.assert_disconnected();
    }

    /// No connection is open at the server, or will be in a moment.
    pub(crate) fn assert_disconnected(&self) {
        let is_alone = || self.server.stats().connections_live == 0;
        eventually("every connection is closed", is_alone);
    }
}

/// Has the client trust a server over TLS.
fn trust(server: &Server, folder: &TempDir, options: &mut Options) {
    if let Some(pem) = server.certificate_pem() {
        // Outside of the output folder, which is to hold the output alone.
        let authority = folder.path().join("authority.pem");
        std::fs::write(&authority, pem).expect("the certificate is written");
        options.ca_certs = vec![authority];
    }
}

/// Runs `work`; panics rather than waits when it hangs.
pub(crate) fn bounded<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (sender, receiver) = mpsc::channel();
    let worker = thread::spawn(move || {
        // Nobody listens any more once the limit has passed.
        let _ = sender.send(work());
    });
    match receiver.recv_timeout(HANG_LIMIT) {
        Ok(outcome) => {
            worker.join().expect("it has sent its outcome");
            outcome
        }
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("{what} hangs: {HANG_LIMIT:?} have passed"),
        Err(mpsc::RecvTimeoutError::Disconnected) => panic!("{what} panicked"),
    }
}

/// Waits until `condition` holds; panics if it does not come to hold.
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < SOON, "not so after {SOON:?}: {what}");
        // sleep: the condition is another thread's, process's or the kernel's; nobody rings.
        thread::sleep(Duration::from_millis(1));
    }
}

/// The error is of this kind, ends the process so, and is one printable line with all `words`.
pub(crate) fn expect_error<T>(
    result: Result<T>,
    kind: ErrorKind,
    exit_code: u8,
    words: &[&str],
) -> String {
    let Err(error) = result else { panic!("{kind:?} was expected, and it succeeded") };
    assert_eq!((error.kind(), error.exit_code()), (kind, exit_code), "{error}");
    let line = assert_line(&error);
    for word in words {
        assert!(line.contains(word), "no '{word}' in: {line}");
    }
    line
}

/// One line that names the side and what to do, and holds no secret of the tests' URLs.
pub(crate) fn assert_line(error: &Error) -> String {
    let line = error.to_string();
    assert!(!line.chars().any(char::is_control), "{line:?}");
    assert!(line.len() < 600, "too long for a line: {line}");
    let (what, advice) = line.split_once("); ").unwrap_or_else(|| panic!("no advice: {line}"));
    assert!(!advice.is_empty(), "{line}");
    assert!(what.ends_with(&format!("({}", error.side())), "no side: {line}");
    for secret in ["sesame", "token="] {
        assert!(!line.contains(secret), "a secret in: {line}");
    }
    line
}

/// The names in a folder, sorted.
pub(crate) fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder can be read");
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.expect("the folder can be read").file_name().to_string_lossy().into_owned()
    };
    let mut names: Vec<String> = entries.map(name).collect();
    names.sort();
    names
}

/// The digest of the file of so many bytes that these tests serve.
pub(crate) fn sha256_of(size_bytes: u64) -> Checksum {
    let expected = content::sha256(SEED, size_bytes).to_vec();
    Checksum { algorithm: Algorithm::Sha256, expected }
}

/// The file holds exactly the first `size_bytes` bytes of the content `seed`.
pub(crate) fn assert_content(path: &Path, seed: u64, size_bytes: u64) {
    let bytes = std::fs::read(path).expect("the file can be read");
    assert_eq!(bytes.len() as u64, size_bytes, "size of {}", path.display());
    if let Err(offset) = content::verify(seed, 0, &bytes) {
        panic!("{} has a wrong byte at {offset}", path.display());
    }
}

/// Joins `thread`; panics rather than waits when it does not end.
pub(crate) fn wait_for_end<T: Send + 'static>(thread: thread::JoinHandle<T>) -> T {
    bounded("the thread", move || thread.join().expect("the thread does not panic"))
}
