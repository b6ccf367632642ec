//! Being let in: credentials from the command line, from files and from the terminal, Digest
//! authentication over several connections, and cookies on the way; to whom each of them goes, and
//! that no message shows any.

mod common;
#[path = "login/cookies.rs"]
mod cookies;
#[path = "login/credentials.rs"]
mod credentials;
#[path = "login/digest.rs"]
mod digest;
#[path = "login/files.rs"]
mod files;

use common::{Ended, Place, SEED, Scene, assert_content, serve};
use ringhaul::server::{Config, Fault, Server, When};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

const SIZE: u64 = 3_000_001;
/// Part of every secret of these tests.
const SECRET: &str = "sesame";

/// Serves the file behind this gate.
fn guarded(gate: Fault) -> Server {
    serve(Config::new(SEED, SIZE).rule(When::All, gate))
}

fn basic(user: &str) -> Fault {
    Fault::RequireBasicAuth { user: user.to_owned(), password: SECRET.to_owned() }
}

/// A file of the scene for its owner alone.
fn private(scene: &Scene, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = scene.path().join(name);
    std::fs::write(&path, text).expect("a scratch file");
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&path, mode).expect("our own file");
    path
}

fn heads(server: &Server) -> Vec<String> {
    server.stats().log.into_iter().map(|entry| entry.head).collect()
}

/// The file is there, and nothing that was said has a secret in it.
#[track_caller]
fn assert_fetched(scene: &Scene, ended: &Ended, name: &str) {
    assert_discreet(ended.success());
    let path = scene.path().join(name);
    assert_content(&path, SEED, SIZE);
    std::fs::remove_file(path).expect("our own file");
}

/// The run has failed with this code and one line with all `words`.
#[track_caller]
fn assert_refused(ended: &Ended, code: i32, words: &[&str]) {
    let line = ended.error_line(code);
    for word in words {
        assert!(line.contains(word), "no '{word}' in: {line}");
    }
    assert_discreet(ended);
}

#[track_caller]
fn assert_discreet(ended: &Ended) {
    assert!(!format!("{ended:?}").contains(SECRET), "a secret is shown: {ended:?}");
}
