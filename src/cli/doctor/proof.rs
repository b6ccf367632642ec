//! The proof: two real downloads from the built-in server on loopback into the examined folder,
//! checked against content that client and server compute independently of each other. Owns the
//! scratch folder, which disappears whatever happens.

use super::super::Failure;
use super::super::download::{failure, transfer};
use super::super::signals::Watch;
use crate::base::limits::BLOCK_BYTES;
use crate::base::size::{format_bytes, format_duration, format_rate};
use crate::base::{Error, ErrorKind, Result, hex};
use crate::engine::Download;
use crate::engine::options::{Checksum, Engine, Options};
use crate::engine::progress::Report;
use crate::io::probe;
use crate::server::{Config, Server, content};
use crate::ui::Ui;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The content's seed; any would do.
const SEED: u64 = 0x72_69_6e_67_68_61_75_6c;

/// What stays free beside the file: part of a nearly full disk belongs to others.
const SPARE_BYTES: u64 = 16 << 20;

/// Everything two runs need.
pub(super) struct Proof {
    scratch: Scratch,
    size_bytes: u64,
    checksum: Checksum,
}

/// The result of one run.
pub(super) struct Figures {
    scheme: &'static str,
    report: Report,
}

impl Proof {
    /// Checks the free space, makes the scratch folder and computes the digest to expect.
    pub(super) fn prepare(dir: &Path, size_bytes: u64) -> Result<Self> {
        must_have_room(dir, size_bytes.saturating_add(SPARE_BYTES))?;
        let scratch = Scratch::create(dir)?;
        let digest = content::sha256(SEED, size_bytes);
        let checksum = format!("sha256:{}", hex::encode(&digest)).parse()?;
        Ok(Self { scratch, size_bytes, checksum })
    }

    /// The size of the file, for people.
    pub(super) fn size(&self) -> String {
        format_bytes(self.size_bytes)
    }

    /// One download over plain HTTP.
    pub(super) fn over_http(&self, watch: &Watch) -> Result<Figures, Failure> {
        let server = Server::start(Config::new(SEED, self.size_bytes))?;
        self.run("HTTP", &server, Options::default(), watch)
    }

    /// One download over HTTPS, the server's certificate given as a file of authorities.
    pub(super) fn over_https(&self, watch: &Watch) -> Result<Figures, Failure> {
        let server = Server::start(Config::new_tls(SEED, self.size_bytes))?;
        let pem = server.certificate_pem().expect("a TLS server has a certificate");
        let path = self.scratch.path("authority.pem");
        std::fs::write(&path, pem).map_err(|cause| disk_error("cannot write", &path, cause))?;
        let options = Options { ca_certs: vec![path], ..Options::default() };
        self.run("HTTPS", &server, options, watch)
    }

    fn run(
        &self,
        scheme: &'static str,
        server: &Server,
        options: Options,
        watch: &Watch,
    ) -> Result<Figures, Failure> {
        let target = self.scratch.path("proof.bin");
        let options = Options { checksum: Some(self.checksum.clone()), ..options };
        let download = Download::new(&server.url("/proof.bin"))?.output(&target).options(options);
        let ui = Arc::new(Ui::bar_only(scheme));
        let report = transfer(download, &ui, watch)?;
        self.compare(&target, watch).map_err(|error| failure(error, watch))?;
        std::fs::remove_file(&target)
            .map_err(|cause| disk_error("cannot remove", &target, cause))?;
        Ok(Figures { scheme, report })
    }

    /// The digest was computed from memory; this looks at what really is in the file.
    fn compare(&self, path: &Path, watch: &Watch) -> Result<()> {
        let read_error = |cause| disk_error("cannot read back", path, cause);
        let mut file = File::open(path).map_err(read_error)?;
        let mut block = vec![0; BLOCK_BYTES];
        let mut offset = 0;
        loop {
            if watch.exit_code().is_some() {
                return Err(Error::new(ErrorKind::Interrupted, "the proof was stopped"));
            }
            let count = file.read(&mut block).map_err(read_error)?;
            let wrong = content::verify(SEED, offset, &block[..count]).err();
            offset += count as u64;
            if count == 0 && offset == self.size_bytes {
                return Ok(());
            }
            if let Some(wrong) = wrong.or((count == 0).then_some(offset)) {
                let context = format!("the file on disk is wrong from byte {wrong} on");
                return Err(Error::new(ErrorKind::ChecksumMismatch, context)
                    .advise("check memory and disk; if they are sound, report it"));
            }
        }
    }
}

impl fmt::Display for Figures {
    /// One line; the server works in the same process, which the CPU figure cannot hide.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = &self.report;
        let rate = format_rate(report.rate_bytes_per_second());
        let time = format_duration(report.elapsed);
        let many = if report.connections == 1 { "" } else { "s" };
        let connections = format!("{} connection{many}", report.connections);
        write!(f, "  {:<5}  {time}, {rate}, {connections}", self.scheme)?;
        if let Some(cpu) = report.cpu_seconds_per_gib() {
            write!(f, ", {cpu:.2} CPU s/GiB with the server's")?;
        }
        f.write_str(if report.direct { ", direct" } else { ", buffered" })?;
        f.write_str(match (report.registered, report.lacks_locked_memory) {
            (true, _) => ", registered",
            (false, true) => ", not registered (memlock limit)",
            (false, false) => "",
        })?;
        if report.engine == Engine::Epoll {
            f.write_str(", epoll")?;
        }
        Ok(())
    }
}

/// A folder of our own, removed with all that is in it.
struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    fn create(dir: &Path) -> Result<Self> {
        let folder = dir.join(format!(".ringhaul-doctor-{}", std::process::id()));
        std::fs::create_dir(&folder).map_err(|cause| {
            let context = format!("cannot write into '{}'", dir.display());
            Error::new(ErrorKind::TargetUnusable, context)
                .caused_by(cause)
                .advise("name a folder you may write to: ringhaul doctor DIR")
        })?;
        Ok(Self { folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Best effort on the way out; an error on the way in has been reported already.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn must_have_room(dir: &Path, wanted_bytes: u64) -> Result<()> {
    let free_bytes = probe::free_bytes(dir)?;
    if free_bytes >= wanted_bytes {
        return Ok(());
    }
    let (free, wanted) = (format_bytes(free_bytes), format_bytes(wanted_bytes));
    let context = format!("'{}' has {free} free, the proof needs {wanted}", dir.display());
    Err(Error::new(ErrorKind::DiskFull, context).advise("name another folder, or a smaller --size"))
}

fn disk_error(what: &str, path: &Path, cause: std::io::Error) -> Error {
    Error::new(ErrorKind::DiskIo, format!("{what} '{}'", path.display())).caused_by(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_noticed_before_anything_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let Err(error) = Proof::prepare(folder.path(), u64::MAX) else { panic!("no such disk") };
        assert_eq!(error.kind(), ErrorKind::DiskFull);
        assert!(error.to_string().contains("--size"), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_file_on_disk_is_compared_to_its_last_byte() {
        let folder = tempfile::tempdir().unwrap();
        let size_bytes = BLOCK_BYTES as u64 + 7;
        let proof = Proof::prepare(folder.path(), size_bytes).unwrap();
        let path = proof.scratch.path("x");
        let mut bytes = vec![0; BLOCK_BYTES + 7];
        content::fill(SEED, 0, &mut bytes);
        std::fs::write(&path, &bytes).unwrap();
        let watch = Watch::start().unwrap();
        proof.compare(&path, &watch).unwrap();
        let wrong = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            proof.compare(&path, &watch).unwrap_err().to_string()
        };
        assert!(wrong(&bytes[..BLOCK_BYTES]).contains("from byte 1048576 on"));
        assert!(wrong(&[&bytes[..], &[0]].concat()).contains("from byte 1048583 on"));
        bytes[BLOCK_BYTES + 3] ^= 1;
        assert!(wrong(&bytes).contains("from byte 1048579 on"));
        drop(proof);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "all removed");
    }

    #[test]
    fn a_folder_that_refuses_is_named() {
        let missing = Path::new("/proc/nowhere");
        let Err(error) = Scratch::create(missing) else { panic!("written into /proc") };
        assert_eq!(error.kind(), ErrorKind::TargetUnusable);
    }
}
