//! Descriptors: few more than connections and files in flight, and enough of them are whatever a
//! shell grants.

use crate::common::scene::{ended, wait, wrapped};
use crate::common::tools::shell;
use crate::common::{SEED, paced, serve};
use crate::ground::{FILE_BYTES, Ground};
use ringhaul::internal::base::size::MIB;
use ringhaul::server::{Config, Paths, Server};
use std::fs;
use std::process::Child;
use std::thread;
use std::time::Duration;

const SMALL: u64 = 2000;
const LARGE: u64 = 3;
const LARGE_BYTES: u64 = 24 * MIB;
const FOLDERS: u64 = 100;
const CONNECTIONS: u64 = 16;
/// What a process may have besides connections and files in flight.
const OTHERS_MAX: u64 = 64;

/// Small files in many folders from one server, large ones from another; the list names no sizes.
fn servers() -> [Server; 2] {
    let distinct = |bytes| Config { paths: Paths::Distinct, ..Config::new(SEED, bytes) };
    [serve(distinct(FILE_BYTES)), serve(paced(distinct(LARGE_BYTES), 8 * MIB))]
}

fn ground([small, large]: &[Server; 2]) -> Ground {
    let ground = Ground::new();
    let small = (0..SMALL).map(|number| {
        let path = format!("{:03}/{number}", number % FOLDERS);
        format!("{}\n out={path}", small.url(&format!("/{path}")))
    });
    let large = (0..LARGE).map(|number| {
        // Beside the folder, whose files all have one size.
        large.url(&format!("/large/{number}"))
    });
    ground.list(large.map(|url| format!("{url}\n out=large/{}", after_slash(&url))).chain(small));
    ground
}

fn after_slash(url: &str) -> &str {
    url.rsplit('/').next().expect("there is a last part")
}

/// All files are there.
#[track_caller]
fn assert_whole(ground: &Ground) {
    for number in 0..LARGE {
        let path = ground.folder().join(format!("large/{number}"));
        let seed = ringhaul::server::content::seed_at(SEED, &format!("/large/{number}"));
        crate::common::assert_content(&path, seed, LARGE_BYTES);
    }
    fs::remove_dir_all(ground.folder().join("large")).expect("our own files");
    assert_eq!(ground.standing(true).files, SMALL);
}

#[test]
fn descriptors_are_few_beside_connections_and_files() {
    let servers = servers();
    let ground = ground(&servers);
    let connections = CONNECTIONS.to_string();
    let child = ground.command(&["--max-connections", &connections]).spawn();
    let mut child = child.expect("the binary runs");
    let mut most = 0;
    while child.try_wait().expect("the child can be asked").is_none() {
        most = most.max(descriptors(&child));
        // sleep: descriptors are sampled.
        thread::sleep(Duration::from_millis(1));
    }
    let ended = wait(child);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_whole(&ground);
    let most_allowed = CONNECTIONS + LARGE + OTHERS_MAX;
    assert!(most > 8 && most <= most_allowed, "{most} descriptors");
}

#[test]
fn sixty_four_descriptors_are_enough() {
    let servers = servers();
    let ground = ground(&servers);
    let ended = ended(wrapped(shell("ulimit -n 64"), &ground.command(&[])));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_whole(&ground);
}

/// Descriptors that the process has now.
fn descriptors(child: &Child) -> u64 {
    let listed = fs::read_dir(format!("/proc/{}/fd", child.id()));
    listed.map_or(0, |entries| entries.count() as u64)
}
