//! Files that are large enough bypass the page cache, in lists as alone; small ones do not.

use crate::farm::{Farm, SEED, many, sized};
use ringhaul::internal::io::file::file_system;
use ringhaul::server::content;
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use std::fs::File;
use std::io::IoSliceMut;
use std::path::Path;

/// Of lanes, one with an odd tail, and of downloads of their own.
const LARGE: [(&str, u64); 3] = [("/odd", 700_001), ("/even", 1 << 20), ("/own", 5 << 20)];

/// Whether the first byte of a file is in the page cache; `None` if the file system does not say.
fn is_cached(path: &Path) -> Option<bool> {
    let file = File::open(path).expect("it is there");
    let mut byte = [0];
    match preadv2(&file, &mut [IoSliceMut::new(&mut byte)], 0, ReadWriteFlags::NOWAIT) {
        Ok(_) => Some(true),
        Err(Errno::AGAIN) => Some(false),
        Err(_) => None,
    }
}

/// Fetches them all, a small one among them; which are in the cache then.
fn cached(arguments: &[&str]) -> Vec<Option<bool>> {
    let farm = Farm::new(sized(many(), &LARGE));
    farm.fetch(farm.lines(&["/small", "/odd", "/even", "/own"]), arguments).success();
    let names = ["small", "odd", "even", "own"];
    let cached = names.iter().map(|name| is_cached(&farm.out().join(name))).collect();
    let mut files = LARGE.map(|(path, size)| (&path[1..], path, size)).to_vec();
    files.push(("small", "/small", crate::farm::SIZE));
    farm.holds(&files);
    cached
}

#[test]
fn large_files_of_a_list_bypass_the_cache() {
    let folder = Farm::new(many());
    let here = File::open(folder.out()).expect("the folder");
    let by_itself = if file_system(&here).direct_pays { Some(false) } else { Some(true) };
    let found = cached(&[]);
    if found.contains(&None) {
        return eprintln!("the file system does not tell what is cached: only the bytes were seen");
    }
    assert_eq!(found, [Some(true), by_itself, by_itself, by_itself]);
    assert_eq!(cached(&["--direct", "off"]), [Some(true); 4]);
    assert_eq!(cached(&["--engine", "epoll"]), [Some(true), by_itself, by_itself, by_itself]);
}

/// A digest is compared before anything has the name, whichever way the bytes go.
#[test]
fn what_bypasses_the_cache_is_verified_as_well() {
    let farm = Farm::new(sized(many(), &LARGE));
    let right = crate::common::sha256_digits(content::seed_at(SEED, "/even"), 1 << 20);
    let line = |digits: &str, out: &str| {
        format!("{{\"url\":\"{}\",\"out\":\"{out}\",\"sha256\":\"{digits}\"}}\n", farm.url("/even"))
    };
    let list = line(&right, "right") + &line(&"0".repeat(64), "wrong");
    assert_eq!(farm.fetch(list, &["--ask", "never"]).code, Some(20), "one of two has failed");
    farm.holds(&[("right", "/even", 1 << 20)]);
}
