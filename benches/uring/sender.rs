//! The built-in server in a process of its own, so that what it costs is not the receiver's.
//!
//! The bench starts itself again for it; the server ends when its standard input does.

use crate::kernel::pin;
use ringhaul::server::{Config, Server, content};
use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// The argument that makes the bench a server; behind it the folder to serve.
pub(crate) const SERVE: &str = "--serve";
/// Behind the folder: stay on one processor.
const PINNED: &str = "--pinned";
/// Behind the folder: send at a fixed rate.
const PACED: &str = "--paced";
/// That rate, in bytes per second of all connections together: a line of one gigabit per second.
const PACE: u64 = 125_000_000;

const SEED: u64 = 7;
/// Where the sender runs, if it is kept in one place.
const PROCESSOR: usize = 0;

/// A server with one stored file.
pub(crate) struct Sender {
    child: Child,
    address: SocketAddr,
    content: &'static [u8],
    _folder: TempDir,
}

impl Sender {
    /// Serves `bytes` as `/file`, from the page cache.
    pub(crate) fn start(bytes: usize, is_pinned: bool, is_paced: bool) -> io::Result<Self> {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let mut content = vec![0; bytes];
        content::fill(SEED, 0, &mut content);
        std::fs::write(folder.path().join("file"), &content)?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg(SERVE)
            .arg(folder.path())
            .args(is_pinned.then_some(PINNED))
            .args(is_paced.then_some(PACED))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line)?;
        let address = line.trim().parse().map_err(io::Error::other)?;
        Ok(Self { child, address, content: content.leak(), _folder: folder })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What `/file` holds.
    pub(crate) fn content(&self) -> &'static [u8] {
        self.content
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        // It also ends by itself, as its standard input does.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the other process does.
#[allow(clippy::print_stdout, reason = "tells the bench where it listens")]
pub(crate) fn serve(folder: &Path) {
    let has = |word: &str| std::env::args().any(|other| other == word);
    if has(PINNED) {
        pin(PROCESSOR);
    }
    let mut config = Config { folder: Some(folder.to_owned()), ..Config::new(SEED, 0) };
    config.shape.total_bytes_per_second = has(PACED).then_some(PACE);
    let server = Server::start(config).expect("a free port on loopback");
    println!("{}", server.address());
    let _ = io::stdin().read_to_end(&mut Vec::new());
}
