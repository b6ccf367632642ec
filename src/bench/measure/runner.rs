//! One run: a program is started, accounted for, and its file compared byte for byte.
//!
//! The programs see neither the user's settings nor a proxy: they start with an environment of
//! their own.

use super::content::Content;
use super::entry::Entry;
use super::file_list::{Contents, Fetched, FileList, Lists};
use super::list_errand;
use super::peer::{Errand, Peer};
use super::record::{Detail, Record, Traced};
use super::scratch::{Scratch, must_have_room, scratch_error};
use super::server_process::ServerProcess;
use super::sink::Sink;
use super::sweep::Measure;
use crate::base::{Error, ErrorKind, Result};
use crate::engine::options::Engine;
use crate::engine::stop::StopHandle;
use crate::io::{child, probe};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Characters of a program's last words that are kept.
const LAST_WORDS_MAX: usize = 300;
/// Before what ringhaul says of itself.
const OWN_PREFIX: &str = "ringhaul: error: ";
/// Consecutive runs of ringhaul without a connection, each with its retries, after which the bench
/// ends: a restart of the server takes less time.
const UNREACHABLE_RUNS_MAX: u32 = 2;
/// Interval at which a pause checks for the stop signal.
const REST_TICK: Duration = Duration::from_millis(50);

/// Where every run takes place.
pub(in crate::bench) struct Runner {
    pub(in crate::bench) scratch: Scratch,
    pub(in crate::bench) sink: Sink,
    /// Waits between two runs until the disk is at rest.
    pub(in crate::bench) settles: bool,
    /// ringhaul itself.
    pub(in crate::bench) program: PathBuf,
    pub(in crate::bench) url: String,
    /// The built-in server, if it is to be another one for each run.
    pub(in crate::bench) renewed: Option<ServerProcess>,
    pub(in crate::bench) bytes: u64,
    pub(in crate::bench) content: Content,
    /// The list of files that is fetched in place of one, and what is known of their bytes.
    pub(in crate::bench) files: Option<(FileList, Contents)>,
    pub(in crate::bench) ca_cert: Option<PathBuf>,
    pub(in crate::bench) insecure: bool,
    pub(in crate::bench) threads: Option<u32>,
    pub(in crate::bench) engine: Option<Engine>,
    pub(in crate::bench) stop: StopHandle,
    pub(in crate::bench) started: Instant,
    /// The latest runs of ringhaul, as far as they reached no server.
    pub(in crate::bench) unreachable_runs: u32,
}

impl Measure for Runner {
    fn measure(
        &mut self,
        entry: Entry,
        round: u32,
        time_max: Duration,
    ) -> Result<(Record, Detail)> {
        self.clear();
        if let Some(server) = &mut self.renewed {
            server.renew()?;
            self.url.clone_from(&server.url);
        }
        let at = self.started.elapsed();
        let mut command = self.command(entry)?;
        let stop = self.stop.clone();
        let go_on = |time| !stop.is_stopped() && time < time_max;
        let ended = child::run(&mut command, go_on).map_err(|cause| {
            Error::new(ErrorKind::ResourceLimit, format!("cannot run {entry}")).caused_by(cause)
        })?;
        self.must_go_on()?;
        let failure = match (ended.status.success(), ended.is_stopped) {
            (true, _) if self.files.is_some() => self.compare_list(entry)?,
            (true, _) => self.compare(entry)?,
            (false, true) => Some(format!("stopped after {:.0} s", ended.usage.wall.as_secs_f64())),
            (false, false) => Some(self.last_words(ended.status)),
        };
        let trace = fs::read_to_string(self.scratch.path("trace")).ok();
        let traced = trace.filter(|text| !text.is_empty()).map(|text| Traced::read(&text));
        let (traced, detail) = traced.unzip();
        self.clear();
        self.must_make_sense(entry, failure.as_deref(), ended.status.code())?;
        let files = self.files.as_ref().map_or(1, |(files, _)| files.count);
        let (bytes, usage) = (self.bytes, ended.usage);
        let record = Record { entry, round, at, bytes, files, usage, failure, traced };
        Ok((record, detail.unwrap_or_default()))
    }

    fn rest(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until && !self.stop.is_stopped() {
            std::thread::sleep(REST_TICK);
        }
    }
}

impl Runner {
    fn command(&self, entry: Entry) -> Result<Command> {
        let (program, arguments) = match self.files {
            Some((files, _)) => self.list_errand(entry, files)?,
            None => self.errand(entry)?,
        };
        let said = File::create(self.scratch.path("said"))
            .map_err(|cause| scratch_error("cannot write into", self.scratch.folder(), cause))?;
        let mut command = Command::new(program);
        command.args(arguments).env_clear().env("LC_ALL", "C").env("HOME", self.scratch.folder());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        if let Some(path) = &self.ca_cert {
            command.env("SSL_CERT_FILE", path);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
        Ok(command)
    }

    /// The program that fetches the one file, and its arguments.
    fn errand(&self, entry: Entry) -> Result<(PathBuf, Vec<OsString>)> {
        let target = self.sink.target(self.scratch.path("out"));
        if let Entry::Peer(peer, connections) = entry {
            let arguments = peer.arguments(self.peer_errand(&self.url, &target), connections);
            return Ok((program_of(peer)?, arguments));
        }
        let mut words = entry.options().unwrap_or_default();
        let trace = self.scratch.path("trace");
        words.extend(["--trace".into(), trace.into(), "-o".into(), target.into()]);
        words.extend(self.own_words(entry));
        words.push(self.url.clone().into());
        Ok((self.program.clone(), words))
    }

    /// The program that fetches the list, which is written now, and its arguments.
    fn list_errand(&self, entry: Entry, files: FileList) -> Result<(PathBuf, Vec<OsString>)> {
        let (folder, target) = (self.scratch.path("out"), self.list_target());
        let root = folder_of(&self.url);
        let lists = Lists::of(&folder);
        fs::create_dir_all(&target)
            .and_then(|()| lists.write(files, root, &target))
            .map_err(|cause| scratch_error("cannot write into", &folder, cause))?;
        if let Entry::PeerList(peer, parallel) = entry {
            let errand = self.peer_errand(root, &target);
            return Ok((program_of(peer)?, peer.list_arguments(errand, &lists, parallel)));
        }
        let mut words = list_errand::own_words(&lists.urls, &target);
        words.extend(self.own_words(entry));
        Ok((self.program.clone(), words))
    }

    /// Where the files of a list go. Beside it there is room for what programs put beside a list.
    fn list_target(&self) -> PathBuf {
        self.scratch.path("out").join("files")
    }

    fn peer_errand<'a>(&'a self, url: &'a str, target: &'a Path) -> Errand<'a> {
        let ca_cert = self.ca_cert.as_deref();
        Errand { url, bytes: self.bytes, target, ca_cert, insecure: self.insecure }
    }

    /// ringhaul's words that do not depend on what it fetches.
    fn own_words(&self, entry: Entry) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec!["--quiet".into()];
        words.extend(self.sink.options());
        if let Some(engine) = entry.engine().or(self.engine) {
            words.extend(["--engine".into(), engine.to_string().into()]);
        }
        if let Some(threads) = self.threads {
            words.extend(["--threads".into(), threads.to_string().into()]);
        }
        if let Some(path) = &self.ca_cert {
            words.extend(["--ca-cert".into(), path.into()]);
        }
        words.extend(self.insecure.then(|| "--insecure".into()));
        words
    }

    /// What is wrong with the files of the list: nothing, or not all of them are there. Wrong bytes
    /// end all.
    fn compare_list(&self, entry: Entry) -> Result<Option<String>> {
        let keeps = entry.peer().is_none_or(Peer::keeps);
        let Some((files, contents)) = self.files.as_ref().filter(|_| keeps) else {
            return Ok(None);
        };
        let target = self.list_target();
        let fetched = Fetched::look(&target, *files, contents, &self.stop);
        match fetched.map_err(|cause| scratch_error("cannot read in", &target, cause))? {
            Fetched::Whole => Ok(None),
            Fetched::Incomplete(what) => Ok(Some(what)),
            Fetched::Wrong(..) if self.stop.is_stopped() => Err(interrupted()),
            Fetched::Wrong(name, offset) => {
                Err(wrong_file(format!("{entry}: {name} is wrong from byte {offset} on")))
            }
        }
    }

    /// What is wrong with the file: nothing, its length, or it is not there. Wrong bytes end all.
    fn compare(&self, entry: Entry) -> Result<Option<String>> {
        let keeps = entry.peer().is_none_or(Peer::keeps);
        if self.sink == Sink::Null || !keeps {
            return Ok(None);
        }
        let path = self.scratch.path("out");
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                return Ok(Some("it ended well, but there is no file".to_owned()));
            }
            Err(cause) => return Err(scratch_error("cannot read", &path, cause)),
        };
        let length = file.metadata().map_or(0, |meta| meta.len());
        if length != self.bytes {
            let what = format!("its file has {length} bytes instead of {}", self.bytes);
            if entry.peer().is_some() {
                return Ok(Some(what));
            }
            // ringhaul says it is whole, so this is what the server has by now.
            return Err(wrong_file(format!("{entry}: {what}")));
        }
        let wrong = self.content.first_difference(&mut file, self.bytes, &self.stop);
        match wrong.map_err(|cause| scratch_error("cannot read", &path, cause))? {
            None => Ok(None),
            Some(_) if self.stop.is_stopped() => Err(interrupted()),
            Some(offset) => {
                Err(wrong_file(format!("{entry}: the file is wrong from byte {offset} on")))
            }
        }
    }

    /// Nothing of one run is there for the next: the time to remove a file is nobody's, and neither
    /// is that for what a tool has left for the kernel to write.
    fn clear(&self) {
        self.remove_files();
        if self.settles {
            probe::settle(self.scratch.folder());
        }
    }

    fn remove_files(&self) {
        let Ok(entries) = fs::read_dir(self.scratch.folder()) else { return };
        for entry in entries.flatten() {
            // Part files and journals of every tool begin with the name of its target.
            let name = entry.file_name();
            if name.as_encoded_bytes().starts_with(b"out") || name == "trace" {
                let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
                let remove = if is_folder { fs::remove_dir_all } else { fs::remove_file };
                let _ = remove(entry.path());
            }
        }
    }

    fn last_words(&self, status: ExitStatus) -> String {
        let said = fs::read(self.scratch.path("said")).unwrap_or_default();
        let said = String::from_utf8_lossy(&said).into_owned();
        let last = said.lines().rev().map(str::trim).find(|line| !line.is_empty());
        let last: String = last.unwrap_or_default().chars().take(LAST_WORDS_MAX).collect();
        let url = self.url.as_str();
        match (last.as_str(), status.code()) {
            ("", Some(code)) => format!("exit code {code}"),
            ("", None) => "ended by a signal".to_owned(),
            // The URL may carry a token; the report says it once, without.
            (words, _) => words.trim_start_matches(OWN_PREFIX).replace(url, "URL"),
        }
    }

    /// # Errors
    /// If more runs make no sense: the disk is full, or the server is gone.
    fn must_make_sense(
        &mut self,
        entry: Entry,
        failure: Option<&str>,
        code: Option<i32>,
    ) -> Result<()> {
        let is_ours = entry.peer().is_none();
        let code = code.filter(|_| is_ours);
        let Some(failure) = failure else {
            self.unreachable_runs = if is_ours { 0 } else { self.unreachable_runs };
            return Ok(());
        };
        // What the program said of a full disk stood on that disk.
        if self.sink != Sink::Null {
            let folder = self.scratch.folder().parent().expect("it was made in a folder");
            let room = must_have_room(folder, self.bytes);
            room.map_err(|error| error.within(format!("{entry} failed, and there is no room")))?;
        }
        let is_one = |kind: ErrorKind| code == Some(kind.exit_code().into());
        if is_one(ErrorKind::DiskFull) {
            return Err(Error::new(ErrorKind::DiskFull, format!("{entry}: {failure}"))
                .advise("choose another --dir or a smaller file"));
        }
        if is_one(ErrorKind::Connect) || is_one(ErrorKind::Resolve) {
            self.unreachable_runs += 1;
        }
        if self.unreachable_runs >= UNREACHABLE_RUNS_MAX {
            let runs = self.unreachable_runs;
            let what = format!("the server is gone: the last {runs} runs could not reach it");
            return Err(
                Error::new(ErrorKind::Connect, what).advise("start the server and the bench again")
            );
        }
        Ok(())
    }

    fn must_go_on(&self) -> Result<()> {
        if self.stop.is_stopped() { Err(interrupted()) } else { Ok(()) }
    }
}

/// The URL of the folder that `url` is in, with its slash.
pub(in crate::bench) fn folder_of(url: &str) -> &str {
    url.rfind('/').map_or(url, |slash| &url[..=slash])
}

fn program_of(peer: Peer) -> Result<PathBuf> {
    peer.find().ok_or_else(|| {
        Error::new(ErrorKind::Usage, format!("{} is no longer installed", peer.name()))
    })
}

fn wrong_file(what: String) -> Error {
    Error::new(ErrorKind::ChecksumMismatch, what)
        .advise("if the file does not change on the server, please report it")
}

/// The end that was asked for.
pub(in crate::bench) fn interrupted() -> Error {
    Error::new(ErrorKind::Interrupted, "the bench was stopped")
        .advise("what was measured so far stands above, and in the folder given with --out")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runner(folder: &Path) -> Runner {
        Runner {
            scratch: Scratch::create(folder).unwrap(),
            sink: Sink::Auto,
            settles: false,
            program: PathBuf::from("ringhaul"),
            url: "http://h/".to_owned(),
            renewed: None,
            bytes: 1,
            content: Content::Seed(1),
            files: None,
            ca_cert: None,
            insecure: false,
            threads: None,
            engine: None,
            stop: StopHandle::new(),
            started: Instant::now(),
            unreachable_runs: 0,
        }
    }

    #[test]
    fn a_server_that_is_gone_and_a_full_disk_end_it_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let mut runner = runner(folder.path());
        let tool = Entry::Peer(crate::bench::Peer::Curl, 1);
        let mut ends = |entry, failure, code| {
            runner.must_make_sense(entry, failure, code).err().map(|error| error.kind())
        };
        let (gone, full) = (Some(4), Some(15));
        assert_eq!(ends(Entry::Auto, Some("x"), gone), None);
        assert_eq!(ends(Entry::Auto, None, Some(0)), None, "it is back");
        assert_eq!(ends(Entry::Auto, Some("x"), gone), None);
        assert_eq!(ends(tool, Some("x"), gone), None, "of a tool it is any other code");
        assert_eq!(ends(tool, Some("x"), full), None);
        assert_eq!(ends(Entry::Auto, Some("x"), Some(8)), None);
        assert_eq!(ends(Entry::Auto, Some("x"), Some(3)), Some(ErrorKind::Connect));
        assert_eq!(ends(Entry::Auto, Some("x"), full), Some(ErrorKind::DiskFull));
    }
}
