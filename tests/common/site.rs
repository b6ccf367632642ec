//! A running server, and what a client has to know about it.

use super::run::{listen, told};
use super::{Place, Run, SEED, bounded, eventually, expect_error, fetch};
use ringhaul::Download;
use ringhaul::internal::base::size::MIB;
use ringhaul::server::{Config, Fault, Server, Shape, Stats};
use ringhaul::{ErrorKind, Result};
use ringhaul::{Level, Report};
use ringhaul::{OnChange, Options};
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

/// Ports tried where one has to be known before it is listened on.
const PORT_TRIES: u32 = 5;

/// A server, a folder that gets its file, and the options of downloads from it.
pub(crate) struct Site {
    pub(crate) server: Server,
    pub(crate) home: TempDir,
    /// Over TLS with trust in this server's certificate.
    pub(crate) options: Options,
    /// Of the file on the server.
    pub(crate) path: String,
}

/// A server of its own, for tests that are the client's side themselves.
pub(crate) fn serve(config: Config) -> Server {
    Server::start(config).expect("the built-in server starts")
}

impl Site {
    /// Serves `config` for downloads with the default options.
    pub(crate) fn start(config: Config) -> Self {
        Self::of(serve(config))
    }

    /// Serves `config` for downloads whose failures are final: no retries, no start over.
    pub(crate) fn strict(config: Config) -> Self {
        Self::start(config).with(|options| {
            (options.retries, options.on_change) = (0, OnChange::Fail);
            // Tests have no outages to ride out.
            options.retry_wait = Duration::from_millis(100);
            options.connect_timeout = Duration::from_secs(8);
            options.stall_timeout = Duration::from_secs(8);
        })
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
        let home = tempfile::tempdir().expect("a scratch folder");
        let (options, path) = (Options::default(), "/file.bin".to_owned());
        let mut site = Self { server, home, options, path };
        fs::create_dir(site.folder()).expect("an output folder");
        site.trust();
        site
    }

    /// Has the client trust the server over TLS.
    fn trust(&mut self) {
        if let Some(pem) = self.server.certificate_pem() {
            // Outside of the output folder, which is to hold the output alone.
            let authority = self.home.path().join("authority.pem");
            fs::write(&authority, pem).expect("the certificate is written");
            self.options.ca_certs = vec![authority];
        }
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
        self.server = serve(Config { address, ..config });
        self.trust();
    }

    /// The same with other options.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.options);
        self
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

    /// The download into this site's folder, not yet run.
    pub(crate) fn download(&self) -> Download {
        let download = Download::new(&self.url(&self.path)).expect("a usable URL");
        download.output(self.target()).options(self.options.clone())
    }

    /// Runs the download.
    pub(crate) fn run(&self) -> Result<Report> {
        let download = self.download();
        bounded("the download", move || download.run())
    }

    /// Runs the download; its result, and what it said up to `level`, one line each.
    pub(crate) fn run_aloud(&self, level: Level) -> (Result<Report>, String) {
        let (result, events) = listen(self.download());
        (result, told(&events, level))
    }

    /// The download fails so, and leaves neither the file nor a connection behind.
    #[track_caller]
    pub(crate) fn fails(&self, kind: ErrorKind, exit_code: u8, words: &[&str]) -> String {
        let line = expect_error(self.run(), kind, exit_code, words);
        self.assert_nothing_left();
        line
    }

    /// The download gives the whole file and nothing else.
    #[track_caller]
    pub(crate) fn succeeds(&self, size_bytes: u64) -> Report {
        let report = self.run().expect("the download survives");
        assert_eq!(report.bytes, size_bytes);
        self.assert_whole(SEED, size_bytes);
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
    #[track_caller]
    pub(crate) fn assert_nothing_left(&self) {
        self.assert_unfinished("when run() has returned");
        self.assert_disconnected();
    }

    /// No connection is open at the server, or will be in a moment.
    #[track_caller]
    pub(crate) fn assert_disconnected(&self) {
        eventually("every connection is closed", || self.stats().connections_live == 0);
    }
}

impl Place for Site {
    fn folder(&self) -> PathBuf {
        self.home.path().join("out")
    }
}

/// Serves over plain HTTP, and over TLS.
pub(crate) fn both_schemes(size_bytes: u64) -> [Config; 2] {
    [Config::new(SEED, size_bytes), Config::new_tls(SEED, size_bytes)]
}

/// An answer with this status instead of the file.
pub(crate) fn status(code: u16, body: &str) -> Fault {
    Fault::Status { code, headers: Vec::new(), body: body.into() }
}

/// All connections together get `bytes_per_second`.
pub(crate) fn slowed(config: Config, bytes_per_second: u64) -> Config {
    let shape = Shape { total_bytes_per_second: Some(bytes_per_second), ..config.shape };
    Config { shape, ..config }
}

/// Each connection gets `bytes_per_second`.
pub(crate) fn paced(config: Config, bytes_per_second: u64) -> Config {
    let shape = Shape { connection_bytes_per_second: Some(bytes_per_second), ..config.shape };
    Config { shape, ..config }
}

/// The path is long enough for a request ahead of the answer before it to pay.
pub(crate) fn distant(config: Config) -> Config {
    let mut config = paced(config, 16 * MIB);
    config.shape.first_byte_delay = Duration::from_millis(15);
    config
}
