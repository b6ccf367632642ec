//! One download that has ended: all it said, where its file is, and what must hold after it.

use super::{NAME, assert_content, bounded, names, scratch};
use ringhaul::Download;
use ringhaul::Options;
use ringhaul::{Error, ErrorKind, Result};
use ringhaul::{Event, Level, Progress, Report};
use std::path::PathBuf;
use std::sync::mpsc;
use tempfile::TempDir;

/// One download that has ended, and all it said.
pub(crate) struct Run {
    pub(crate) result: Result<Report>,
    pub(crate) events: Vec<Event>,
    pub(crate) progress: Vec<Progress>,
    folder: TempDir,
}

/// Downloads `url` into a folder of its own; a hang is a panic.
pub(crate) fn fetch(url: &str, options: Options) -> Run {
    let folder = scratch();
    let (progress_sender, progress) = mpsc::channel();
    let download = Download::new(url)
        .expect("the test's URL is one")
        .output(folder.path().join(NAME))
        .options(options)
        .on_progress(move |now| progress_sender.send(now.clone()).expect("somebody listens"));
    let (result, events) = listen(download);
    Run { result, events, progress: progress.try_iter().collect(), folder }
}

/// Runs `download`; its result, and its events in their order.
pub(crate) fn listen(download: Download) -> (Result<Report>, Vec<Event>) {
    let (sender, events) = mpsc::channel();
    let download =
        download.on_event(move |event| sender.send(event.clone()).expect("somebody listens"));
    let result = bounded("the download", move || download.run());
    (result, events.try_iter().collect())
}

/// The texts of the events up to `level`, one line each.
pub(crate) fn told(events: &[Event], level: Level) -> String {
    let told = events.iter().filter(|event| event.level <= level);
    told.map(|event| event.text.clone() + "\n").collect()
}

impl Run {
    /// The file is there, whole and alone, and the report agrees with it.
    #[track_caller]
    pub(crate) fn expect_file(&self, seed: u64, size_bytes: u64) -> &Report {
        let report = match &self.result {
            Ok(report) => report,
            Err(error) => panic!("the download failed: {error:?}; {:#?}", self.events),
        };
        self.assert_whole(seed, size_bytes);
        assert_eq!(report.path, self.target());
        assert_eq!(report.bytes, size_bytes, "bytes the report names");
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
        assert_eq!(self.names(), [""; 0], "what is left in the folder");
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

impl Place for Run {
    fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }
}

/// A folder that gets the file [`NAME`], and holds nothing but output.
pub(crate) trait Place {
    fn folder(&self) -> PathBuf;

    /// The final name.
    fn target(&self) -> PathBuf {
        self.folder().join(NAME)
    }

    fn part(&self) -> PathBuf {
        self.folder().join(PART_AND_JOURNAL[0])
    }

    fn journal(&self) -> PathBuf {
        self.folder().join(PART_AND_JOURNAL[1])
    }

    /// The names in the folder, sorted.
    fn names(&self) -> Vec<String> {
        names(&self.folder())
    }

    /// The file is there, with the content of `seed`, and nothing else.
    #[track_caller]
    fn assert_whole(&self, seed: u64, size_bytes: u64) {
        assert_content(&self.target(), seed, size_bytes);
        assert_eq!(self.names(), [NAME], "nothing but the file is left");
    }

    /// Part file and journal are there, and nothing else.
    #[track_caller]
    fn assert_left_for_later(&self) {
        assert_eq!(self.names(), PART_AND_JOURNAL);
    }

    /// No file under its name; at most what a later run goes on from.
    #[track_caller]
    fn assert_unfinished(&self, what: &str) {
        let left = self.names();
        let may_be = [&[], &PART_AND_JOURNAL[..1], &PART_AND_JOURNAL];
        assert!(may_be.iter().any(|names| left == *names), "{left:?} is left: {what}");
    }
}

/// What a run that fails may leave.
const PART_AND_JOURNAL: [&str; 2] = ["file.bin.part", "file.bin.ringhaul"];

/// The error is of this kind, ends the process so, and is one printable line with all `words`.
#[track_caller]
pub(crate) fn expect_error<T>(
    result: Result<T>,
    kind: ErrorKind,
    exit_code: u8,
    words: &[&str],
) -> String {
    let Err(error) = result else { panic!("{kind:?} was expected, and it succeeded") };
    assert_eq!((error.kind(), error.exit_code()), (kind, exit_code), "{error}");
    let line = assert_line(&error);
    assert_words(&line, words);
    line
}

/// The line names all `words`.
#[track_caller]
pub(crate) fn assert_words(line: &str, words: &[&str]) {
    for word in words {
        assert!(line.contains(word), "no '{word}' in: {line}");
    }
}

/// One line that names the side and what to do, and holds no secret of the tests' URLs.
#[track_caller]
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
