//! A folder that gets a file, servers that have it, and the runs of the binary between the two.

use crate::common::scene::ended;
use crate::common::{Ended, Place, SEED, Scene, serve, slowed, status};
use ringhaul::internal::base::size::{KIB, MIB};
use ringhaul::server::{Config, Rule, Server, When};
use std::path::PathBuf;
use std::process::Command;

pub(crate) const SIZE: u64 = 4 * MIB + 77;
/// A download lasts two seconds at this rate, so that something can happen in the middle of it.
const SLOW_BYTES_PER_SECOND: u64 = 2 * MIB;
/// Nobody gets bytes from here on of a run that is to be gone on from.
const BROKEN_FROM: u64 = 3 * MIB;

/// One target.
pub(crate) struct Ground {
    pub(crate) scene: Scene,
    folder: PathBuf,
}

impl Ground {
    /// In a folder of its own.
    pub(crate) fn new() -> Self {
        let scene = Scene::new();
        let folder = scene.path().join("out");
        std::fs::create_dir(&folder).expect("a scratch folder");
        Self { scene, folder }
    }

    /// In `folder`, which is empty.
    pub(crate) fn within(folder: PathBuf) -> Self {
        Self { scene: Scene::new(), folder }
    }

    /// The download of the server's file, with barriers as often as possible.
    pub(crate) fn command(&self, server: &Server, more: &[&str]) -> Command {
        let mut command = self.scene.command(&["-c4", "--chunk-size=64K", "--on-change=fail"]);
        command.env("RINGHAUL_JOURNAL_INTERVAL", "10ms").args(more);
        command.arg("-o").arg(self.target()).arg(server.url("/file.bin"));
        command
    }

    pub(crate) fn run(&self, server: &Server, more: &[&str]) -> Ended {
        ended(self.command(server, more))
    }

    /// A run that fails, and leaves something to go on from.
    pub(crate) fn begin(&self) {
        let gone = status(404, "");
        let script = vec![Rule::new(When::RangeStartFrom(BROKEN_FROM), gone)];
        let server = serve(Config { script, ..Config::new(SEED, SIZE) });
        let ended = self.run(&server, &["-q"]);
        assert!(ended.one_error_line(8).contains("are kept"), "{ended:?}");
        self.assert_left_for_later();
    }

    /// A run that ends well, and leaves the file alone behind; the bytes it fetched. Its server is
    /// another origin: samples of what is here are among them, [`SAMPLES_BYTES`] at most.
    #[track_caller]
    pub(crate) fn finish(&self, more: &[&str]) -> u64 {
        self.finish_aloud(more).0
    }

    /// The same, without starting from zero.
    #[track_caller]
    pub(crate) fn finish_the_rest(&self) {
        let (_, ended) = self.finish_aloud(&[]);
        assert!(ended.stderr.contains("resuming: "), "it starts from zero: {ended:?}");
    }

    #[track_caller]
    fn finish_aloud(&self, more: &[&str]) -> (u64, Ended) {
        let server = fast();
        let ended = self.run(&server, more);
        ended.success();
        self.assert_whole(SEED, SIZE);
        (server.body_bytes(), ended)
    }
}

impl Place for Ground {
    fn folder(&self) -> PathBuf {
        self.folder.clone()
    }
}

/// A server of the file, as fast as can be.
pub(crate) fn fast() -> Server {
    serve(Config::new(SEED, SIZE))
}

/// A server of the file that takes two seconds for it.
pub(crate) fn slow() -> Server {
    serve(slowed(Config::new(SEED, SIZE), SLOW_BYTES_PER_SECOND))
}

/// Bytes of one request.
pub(crate) const CHUNK_BYTES: u64 = 64 * KIB;
/// Bytes of all samples of the twin test.
pub(crate) const SAMPLES_BYTES: u64 = MIB;
