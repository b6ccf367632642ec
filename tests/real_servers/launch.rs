//! Starting a server program for one test and ending it with the test; its certificate and file.
//!
//! Knows no particular server.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use ringhaul::server::content;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Between reserving a port and listening on it somebody else may take it: other ports then.
const START_TRIES: u32 = 5;
/// Far longer than any of them takes to listen.
const START_LIMIT: Duration = Duration::from_secs(30);
/// Bytes of the served file made at a time.
const PIECE_BYTES: usize = 1 << 20;

/// Where a server is to listen on 127.0.0.1.
pub(crate) struct Ports {
    pub(crate) http: u16,
    pub(crate) https: u16,
}

impl Ports {
    /// Two ports nobody listens on.
    fn reserve() -> Self {
        let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let sockets = [bind(), bind()];
        let [http, https] =
            sockets.map(|socket| socket.local_addr().expect("a bound address").port());
        Self { http, https }
    }
}

/// A running server program. Dropping it ends it.
pub(crate) struct RealServer {
    child: Child,
    ports: Ports,
}

impl RealServer {
    /// Runs the command that `prepare` makes for some ports, until it listens.
    pub(crate) fn start(home: &Path, prepare: impl Fn(&Ports) -> Command) -> Self {
        let output = home.join("output");
        for _ in 0..START_TRIES {
            let ports = Ports::reserve();
            let log = File::create(&output).expect("a scratch file");
            let mut command = prepare(&ports);
            command.current_dir(home).stdin(Stdio::null());
            command.stdout(log.try_clone().expect("a descriptor")).stderr(log);
            let child = command.spawn().expect("an installed program can be started");
            let mut server = Self { child, ports };
            if server.listens() {
                return server;
            }
        }
        let said = |name| fs::read_to_string(home.join(name)).unwrap_or_default();
        panic!("the server does not start:\n{}\n{}", said("output"), said("log"));
    }

    pub(crate) fn http(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ports.http)
    }

    pub(crate) fn https(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.ports.https)
    }

    /// Waits until it accepts connections; false if it ends instead.
    fn listens(&mut self) -> bool {
        let begin = Instant::now();
        while begin.elapsed() < START_LIMIT {
            if let Ok(Some(_)) = self.child.try_wait() {
                return false;
            }
            if TcpStream::connect((Ipv4Addr::LOCALHOST, self.ports.http)).is_ok() {
                return true;
            }
            // sleep: a foreign program says to nobody that it listens; its port is asked again
            thread::sleep(Duration::from_millis(5));
        }
        false
    }
}

impl Drop for RealServer {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Puts the file that every server serves into `served/file`, readable by whatever user a server
/// becomes.
pub(crate) fn write_served_file(home: &Path, seed: u64, size_bytes: u64) {
    let folder = home.join("served");
    fs::create_dir(&folder).expect("a scratch folder");
    for folder in [home, &folder] {
        fs::set_permissions(folder, Permissions::from_mode(0o755)).expect("our own folder");
    }
    let mut file = File::create(folder.join("file")).expect("a scratch file");
    let mut piece = vec![0; PIECE_BYTES];
    let mut offset = 0;
    while offset < size_bytes {
        let left = usize::try_from(size_bytes - offset).unwrap_or(PIECE_BYTES);
        let piece = &mut piece[..left.min(PIECE_BYTES)];
        content::fill(seed, offset, piece);
        file.write_all(piece).expect("there is space");
        offset += piece.len() as u64;
    }
}

/// PEM files for a server on 127.0.0.1, and of the authority to trust.
pub(crate) struct Certificate {
    pub(crate) authority: PathBuf,
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificate {
    /// Makes them in `home`.
    pub(crate) fn make(home: &Path) -> Self {
        let path = |name| home.join(name);
        let files = Self {
            authority: path("authority.pem"),
            chain: path("chain.pem"),
            key: path("key.pem"),
        };
        let mut authority = CertificateParams::new(Vec::new()).expect("no names are fine");
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority_key = KeyPair::generate().expect("a key");
        let own = authority.self_signed(&authority_key).expect("a certificate");
        let issuer = Issuer::new(authority, authority_key);
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let mut server = CertificateParams::new(names).expect("usual names");
        server.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().expect("a key");
        let signed = server.signed_by(&key, &issuer).expect("a certificate");
        let texts = [own.pem(), signed.pem(), key.serialize_pem()];
        for (path, text) in [&files.authority, &files.chain, &files.key].into_iter().zip(texts) {
            fs::write(path, text).expect("a scratch file");
        }
        files
    }
}
