//! A server with many files, a scratch folder with lists, and the folder that the batch fills.

use super::common::{Ended, Scene, assert_content, eventually, scene, serve};
use ringhaul::server::{Config, Fault, Paths, Route, Rule, Served, Server, Stats, When, content};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Seed of the server, of which every path makes its own.
pub(crate) const SEED: u64 = 0xba7c4;
/// Size of every file that has no route.
pub(crate) const SIZE: u64 = 20_000;
/// The batch's folder in the scene.
const OUT: &str = "out";

/// A server and the folders of one test.
pub(crate) struct Farm {
    pub(crate) server: Server,
    pub(crate) scene: Scene,
}

/// At every path a file of its own, of [`SIZE`].
pub(crate) fn many() -> Config {
    Config { paths: Paths::Distinct, ..Config::new(SEED, SIZE) }
}

/// The same over HTTPS.
pub(crate) fn many_tls() -> Config {
    Config { paths: Paths::Distinct, ..Config::new_tls(SEED, SIZE) }
}

/// The same, where these paths have another size.
pub(crate) fn sized(config: Config, sizes: &[(&str, u64)]) -> Config {
    let route = |(path, size_bytes): &(&str, u64)| {
        let what = Served::File { seed: content::seed_at(SEED, path), size_bytes: *size_bytes };
        Route { path: (*path).to_owned(), what }
    };
    Config { routes: sizes.iter().map(route).collect(), ..config }
}

/// Requests of paths that begin so meet the fault, this number of times.
pub(crate) fn at(prefix: &str, what: Fault, times: Option<u32>) -> Rule {
    Rule { when: When::PathPrefix(prefix.to_owned()), what, times }
}

/// The SHA-256 of the file at `path`, as digits.
pub(crate) fn digits(path: &str) -> String {
    super::common::sha256_digits(content::seed_at(SEED, path), SIZE)
}

impl Farm {
    pub(crate) fn new(config: Config) -> Self {
        Self::at(serve(config))
    }

    pub(crate) fn at(server: Server) -> Self {
        let scene = Scene::new();
        fs::create_dir(scene.path().join(OUT)).expect("an output folder");
        Self { server, scene }
    }

    /// Another server at the address of the first.
    pub(crate) fn replace_server(&mut self, config: Config) {
        self.server.stop();
        let address = self.server.address();
        self.server = serve(Config { address, ..config });
    }

    pub(crate) fn url(&self, path: &str) -> String {
        self.server.url(path)
    }

    /// A line for each path.
    pub(crate) fn lines(&self, paths: &[&str]) -> String {
        paths.iter().map(|path| self.url(path) + "\n").collect()
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.scene.path().join(OUT)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.scene.path().join(name), text).expect("the scratch folder is writable");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.scene.path().join(name)).expect("it was written")
    }

    /// Every line of a file of the scene, as JSON.
    pub(crate) fn json(&self, name: &str) -> Vec<Value> {
        json_lines(&self.read(name))
    }

    /// Runs it with `-d out` and these arguments.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.scene.run(&[&["-d", OUT], arguments].concat())
    }

    /// Runs it with this list.
    pub(crate) fn fetch(&self, list: impl AsRef<[u8]>, arguments: &[&str]) -> Ended {
        self.write("list", list);
        self.run(&[&["-i", "list"], arguments].concat())
    }

    /// Runs it with this list on standard input.
    pub(crate) fn fetch_piped(&self, list: &str, arguments: &[&str]) -> Ended {
        let arguments = [&["-d", OUT, "-i", "-"], arguments].concat();
        let mut command = self.scene.command(&arguments);
        let mut child = command.stdin(Stdio::piped()).spawn().expect("the binary runs");
        let mut input = child.stdin.take().expect("it is piped");
        // Who does not read to the end of a list has a reason, which is looked at.
        let _ = input.write_all(list.as_bytes());
        drop(input);
        scene::wait(child)
    }

    /// The folder has just these files, whole: the name, the path it came from, its size.
    #[track_caller]
    pub(crate) fn holds(&self, files: &[(&str, &str, u64)]) {
        for (name, path, size) in files {
            assert_content(&self.out().join(name), content::seed_at(SEED, path), *size);
        }
        let mut expected: Vec<String> = files.iter().map(|file| file.0.to_owned()).collect();
        expected.sort();
        assert_eq!(self.files(), expected);
    }

    /// The same, of files with their names on the server and [`SIZE`].
    #[track_caller]
    pub(crate) fn has(&self, paths: &[&str]) {
        let files: Vec<_> = paths
            .iter()
            .map(|path| (path.rsplit('/').next().unwrap_or(path), *path, SIZE))
            .collect();
        self.holds(&files);
    }

    /// Everything in the folder but folders with something in them, sorted.
    pub(crate) fn files(&self) -> Vec<String> {
        let (root, mut found) = (self.out(), Vec::new());
        walk(&root, &root, &mut found);
        found.sort();
        found
    }

    pub(crate) fn stats(&self) -> Stats {
        self.server.stats()
    }

    /// Requests since the last time that it was asked, given what was returned then.
    pub(crate) fn requests_since(&self, before: u64) -> u64 {
        self.server.counts().requests - before
    }

    pub(crate) fn requests(&self) -> u64 {
        self.server.counts().requests
    }

    /// The heads of the requests for `path`, in small letters.
    pub(crate) fn heads(&self, path: &str) -> Vec<String> {
        let log = self.stats().log.into_iter();
        log.filter(|entry| entry.target == path).map(|entry| entry.head.to_lowercase()).collect()
    }

    pub(crate) fn assert_disconnected(&self) {
        eventually("every connection is closed", || self.server.counts().connections_live == 0);
    }
}

/// Every line of `text`.
pub(crate) fn json_lines(text: &str) -> Vec<Value> {
    let parsed = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    assert!(text.is_empty() || text.ends_with('\n'), "whole lines: {text:?}");
    text.lines().map(parsed).collect()
}

fn walk(root: &Path, folder: &Path, found: &mut Vec<String>) {
    let entries: Vec<_> = fs::read_dir(folder).expect("it can be listed").collect();
    if entries.is_empty() && folder != root {
        found.push(format!("{}/", relative(root, folder)));
    }
    for entry in entries {
        let path = entry.expect("a folder's entry").path();
        if path.is_dir() && !path.is_symlink() {
            walk(root, &path, found);
        } else {
            found.push(relative(root, &path));
        }
    }
}

fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).expect("it is below").display().to_string()
}

/// One failure of many that is permanent has this exit code.
pub(crate) const SOME_FAILED: i32 = 20;
/// One that may pass has this one, whatever the others are.
pub(crate) const SOME_MAY_PASS: i32 = 21;

/// Ended with `code`, and standard error has all `words`.
#[track_caller]
pub(crate) fn assert_ended(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    for word in words {
        assert!(ended.stderr.contains(word), "no '{word}' in {}", ended.stderr);
    }
}
