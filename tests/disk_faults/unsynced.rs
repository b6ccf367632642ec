//! Downloads that make nothing durable at their end: the syncs that are made, as strace sees them.

use crate::common::child::program;
use crate::common::scene::ended;
use crate::common::tools::strace;
use crate::common::{Place, SEED, assert_content};
use crate::ground::{Ground, SIZE, fast, slow};
use ringhaul::server::Server;
use ringhaul::{Download, Options, SyncMode};
use std::env;
use std::path::PathBuf;
use std::time::Duration;

/// What the child downloads, where to, how it syncs, and the time between barriers in ms.
const URL: &str = "RINGHAUL_UNSYNCED_URL";
const TARGET: &str = "RINGHAUL_UNSYNCED_TARGET";
const SYNCS: &str = "RINGHAUL_UNSYNCED_SYNCS";
const INTERVAL_MS: &str = "RINGHAUL_UNSYNCED_INTERVAL_MS";

/// The download of a child process; without its variables nothing.
#[test]
fn unsynced_child() {
    let Ok(url) = env::var(URL) else { return };
    let target = PathBuf::from(env::var_os(TARGET).expect("a child has a target"));
    let interval_ms = env::var(INTERVAL_MS).expect("a child has an interval");
    let options = Options {
        sync: if env::var_os(SYNCS).is_some() { SyncMode::File } else { SyncMode::None },
        journal_interval: Duration::from_millis(interval_ms.parse().expect("a number")),
        remote_time: true,
        ..Options::default()
    };
    let download = Download::new(&url).expect("a URL").output(target).options(options);
    download.run().expect("a good server");
}

/// How many syncs a download makes; `None` where nobody can be traced.
fn syncs(server: &Server, mode: SyncMode, interval_ms: u32) -> Option<usize> {
    let ground = Ground::new();
    let log = ground.scene.path().join("calls");
    let mut strace = strace()?;
    strace.arg("-o").arg(&log).args(["-e", "trace=fsync,fdatasync,syncfs,sync,sync_file_range"]);
    strace.arg(program()).args(["--exact", "unsynced::unsynced_child"]);
    strace.env(URL, server.url("/file.bin")).env(TARGET, ground.target());
    strace.env(INTERVAL_MS, interval_ms.to_string());
    if mode == SyncMode::File {
        strace.env(SYNCS, "1");
    }
    assert_eq!(ended(strace).code, Some(0));
    assert_content(&ground.target(), SEED, SIZE);
    ground.assert_whole(SEED, SIZE);
    let log = std::fs::read_to_string(log).expect("strace writes its log");
    Some(log.lines().filter(|line| line.contains("sync")).count())
}

#[test]
fn a_download_that_is_not_synced_makes_no_sync_at_its_end() {
    const NEVER: u32 = 3_600_000;
    let server = fast();
    let Some(synced) = syncs(&server, SyncMode::File, NEVER) else { return };
    assert_eq!(synced, 2, "the file and its folder");
    assert_eq!(syncs(&server, SyncMode::None, NEVER), Some(0));
}

#[test]
fn the_journal_of_a_download_that_is_not_synced_has_its_barriers() {
    let Some(syncs) = syncs(&slow(), SyncMode::None, 100) else { return };
    assert!(syncs >= 4, "{syncs}");
}
