//! A log cut, torn, damaged, taken and replaced: what was whole is found again, in order, and what
//! is another's stays as it is.

use super::format::{FRAME_BYTES, Frame, HEADER_BYTES, decode};
use super::{Purpose, RecordLog, opening};
use crate::base::ErrorKind;
use crate::base::limits::{LOG_PIECE_BYTES, LOG_RECORD_BYTES_MAX, LOG_RESERVE_BYTES};
use crate::base::rng::Rng;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

const PURPOSE: Purpose = Purpose {
    magic: *b"ringhaul-a-test\n",
    version: 3,
    noun: "a log of this test",
    advice: "name another file",
};

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap()
}

/// Opens the log and collects what is in it.
fn open(path: &Path) -> crate::base::Result<(RecordLog, Vec<Vec<u8>>)> {
    let mut found = Vec::new();
    let log = RecordLog::open(path, &PURPOSE, |_, payload| found.push(payload.to_vec()))?;
    Ok((log, found))
}

/// Payloads without zeros, so that what is cut off them is not put back by a tail of zeros.
fn payloads(count: u16, bytes_max: usize) -> Vec<Vec<u8>> {
    let mut rng = Rng::new(count.into());
    let one = |index: u16| {
        let len = 1 + rng.index(bytes_max);
        (0x101 + index)
            .to_be_bytes()
            .map(|byte| byte | 0x80)
            .into_iter()
            .cycle()
            .take(len)
            .collect()
    };
    (0..count).map(one).collect()
}

/// A log with these records, closed; and the places of the records.
fn made(path: &Path, payloads: &[Vec<u8>]) -> Vec<u64> {
    let mut log = RecordLog::open(path, &PURPOSE, |_, _| ()).unwrap();
    let places = payloads.iter().map(|payload| log.append(payload)).collect();
    log.sync().unwrap();
    places
}

#[test]
fn records_come_back_in_order_and_by_their_place() {
    let folder = scratch();
    let path = folder.path().join("log");
    let all = payloads(300, 4096);
    let (mut log, found) = open(&path).unwrap();
    assert!(found.is_empty());
    let places: Vec<u64> = all[..200].iter().map(|payload| log.append(payload)).collect();
    assert_eq!(fs::metadata(&path).unwrap().len(), HEADER_BYTES as u64, "nothing is written yet");
    for (payload, at) in all.iter().zip(&places) {
        assert_eq!(log.read(*at).unwrap().as_ref(), Some(payload), "from memory");
    }
    log.flush().unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), log.bytes());
    drop(log);
    let (mut log, found) = open(&path).unwrap();
    assert_eq!((found, log.cut_bytes()), (all[..200].to_vec(), 0));
    let places = places.into_iter().chain(all[200..].iter().map(|payload| log.append(payload)));
    let places: Vec<u64> = places.collect();
    log.sync().unwrap();
    for (payload, at) in all.iter().zip(&places) {
        assert_eq!(log.read(*at).unwrap().as_ref(), Some(payload), "from the file");
    }
    assert_eq!(log.read(places[3] + 1).unwrap(), None, "no place of a record");
    drop(log);
    assert_eq!(open(&path).unwrap().1, all);
}

#[test]
fn room_for_records_to_come_is_reserved_while_a_log_is_open() {
    let folder = scratch();
    let path = folder.path().join("log");
    let used = || fs::metadata(&path).unwrap().blocks() * 512;
    let (mut log, _) = open(&path).unwrap();
    if used() == 0 {
        // A file system without preallocation.
        return;
    }
    assert!(used() >= LOG_RESERVE_BYTES);
    while log.bytes() < LOG_RESERVE_BYTES {
        log.append(&[7; 4000]);
    }
    log.flush().unwrap();
    assert!(used() >= log.bytes() + LOG_RESERVE_BYTES / 2, "more of it");
    let bytes = log.bytes();
    drop(log);
    assert_eq!(fs::metadata(&path).unwrap().len(), bytes);
    assert!(used() < bytes + LOG_RESERVE_BYTES / 2, "given back");
}

#[test]
fn a_log_cut_at_any_byte_has_a_prefix_of_its_records_and_goes_on_behind_it() {
    let folder = scratch();
    let path = folder.path().join("log");
    let all = payloads(6, 40);
    let places = made(&path, &all);
    let image = fs::read(&path).unwrap();
    let image_end = [image.len() as u64];
    for end in 0..=image.len() {
        // Beside nothing: zeros and noise, as an unclean end of the machine leaves them.
        for tail in [&[][..], &[0; 64], &[0xa5; 9]] {
            fs::write(&path, [&image[..end], tail].concat()).unwrap();
            let whole = places.iter().skip(1).chain(&image_end);
            let whole = whole.filter(|record_end| **record_end <= end as u64).count();
            if end < HEADER_BYTES && !tail.is_empty() {
                assert_eq!(open(&path).unwrap_err().kind(), ErrorKind::Usage, "{end}");
                continue;
            }
            let (mut log, found) = open(&path).unwrap();
            assert_eq!(found, all[..whole], "cut at {end} with {} bytes behind", tail.len());
            assert_eq!(log.bytes(), fs::metadata(&path).unwrap().len(), "the tail is cut off");
            log.append(b"behind");
            log.sync().unwrap();
            drop(log);
            let found = open(&path).unwrap().1;
            assert_eq!(found, [&all[..whole], &[b"behind".to_vec()]].concat());
        }
    }
}

#[test]
fn one_flipped_bit_never_makes_another_record() {
    let folder = scratch();
    let path = folder.path().join("log");
    let all = payloads(4, 12);
    made(&path, &all);
    let image = fs::read(&path).unwrap();
    for bit in 0..image.len() * 8 {
        let mut flipped = image.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &flipped).unwrap();
        match open(&path) {
            Ok((log, found)) => {
                assert!(bit / 8 >= HEADER_BYTES && found.len() < all.len(), "{bit}");
                assert!(all.starts_with(&found) && log.cut_bytes() > 0, "{bit}");
            }
            Err(error) => {
                assert!(bit / 8 < HEADER_BYTES, "{bit}: {error}");
                assert_eq!(error.kind(), ErrorKind::Usage);
                assert_eq!(fs::read(&path).unwrap(), flipped, "left as it is");
            }
        }
    }
}

#[test]
fn what_is_not_ours_is_refused_and_left_as_it_is() {
    let folder = scratch();
    let path = |name: &str| folder.path().join(name);
    let refused = |name: &str, reason: &str| {
        let error = open(&path(name)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
        assert!(error.to_string().contains(reason), "{error}");
        assert!(error.to_string().contains("a log of this test"), "{error}");
        assert_eq!(error.advice(), PURPOSE.advice);
    };
    fs::write(path("text"), "my notes").unwrap();
    refused("text", "it is something else");
    assert_eq!(fs::read(path("text")).unwrap(), b"my notes");
    symlink("nowhere", path("link")).unwrap();
    refused("link", "symbolic link");
    assert!(!path("nowhere").exists());
    fs::create_dir(path("folder")).unwrap();
    refused("folder", "is a folder");
    made(&path("one"), &payloads(1, 9));
    fs::hard_link(path("one"), path("two")).unwrap();
    refused("two", "2 hard links");
    let other = Purpose { version: 4, ..PURPOSE };
    fs::write(path("newer"), [&other.header()[..], b"records"].concat()).unwrap();
    refused("newer", "version 4 of the format, and this ringhaul reads 3");
    let foreign = Purpose { magic: *b"ringhaul-another", ..PURPOSE };
    fs::write(path("another"), foreign.header()).unwrap();
    refused("another", "it is something else");
    let missing = open(&path("no/such/folder")).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::TargetUnusable, "{missing}");
}

#[test]
fn one_program_has_it_at_a_time_after_it_was_rewritten_too() {
    let folder = scratch();
    let path = folder.path().join("log");
    let busy = |path: &Path| {
        let error = open(path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert!(error.to_string().contains("another ringhaul is using"), "{error}");
    };
    let (mut log, _) = open(&path).unwrap();
    busy(&path);
    log.append(b"a");
    log.rewrite(|_, _| true).unwrap();
    busy(&path);
    drop(log);
    assert_eq!(open(&path).unwrap().1, [b"a"]);
}

#[test]
fn a_rewritten_log_has_what_was_kept_and_its_mode() {
    let folder = scratch();
    let path = folder.path().join("log");
    // More than one piece, so that it is written in several.
    let all = payloads(400, 4096);
    assert!(all.iter().map(Vec::len).sum::<usize>() > 2 * LOG_PIECE_BYTES);
    made(&path, &all);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let inode = fs::metadata(&path).unwrap().ino();
    let (mut log, _) = open(&path).unwrap();
    log.append(b"pending");
    let mut index = 0;
    log.rewrite(|_, _| {
        index += 1;
        index % 3 == 0 || index == 401
    })
    .unwrap();
    let meta = fs::metadata(&path).unwrap();
    assert_ne!(meta.ino(), inode);
    assert_eq!((meta.mode() & 0o777, meta.len()), (0o600, log.bytes()));
    let kept = || all.iter().skip(2).step_by(3).cloned().chain([b"pending".to_vec()]);
    let mut places = Vec::new();
    let end = log.scan(|at, payload| places.push((at, payload.to_vec()))).unwrap();
    assert_eq!(end, log.bytes());
    assert!(places.iter().map(|(_, payload)| payload.clone()).eq(kept()));
    let (at, payload) = &places[17];
    assert_eq!(log.read(*at).unwrap().as_ref(), Some(payload));
    log.append(b"after");
    log.sync().unwrap();
    drop(log);
    assert!(open(&path).unwrap().1.into_iter().eq(kept().chain([b"after".to_vec()])));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
}

#[test]
fn a_log_that_lost_its_name_says_so_and_touches_no_other_file() {
    let folder = scratch();
    let path = folder.path().join("log");
    let (mut log, _) = open(&path).unwrap();
    log.append(b"a");
    fs::remove_file(&path).unwrap();
    fs::write(&path, "another's").unwrap();
    for result in [log.sync(), log.rewrite(|_, _| true)] {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TargetUnusable);
        assert!(error.to_string().contains("removed or replaced"), "{error}");
    }
    assert_eq!(fs::read(&path).unwrap(), b"another's");
}

#[test]
fn what_the_disk_refuses_is_written_by_a_later_call() {
    let folder = scratch();
    let path = folder.path().join("log");
    let (mut log, _) = open(&path).unwrap();
    log.append(b"a");
    let writable = std::mem::replace(&mut log.file, File::open(&path).unwrap());
    log.flush().unwrap_err();
    log.append(b"b");
    log.file = writable;
    log.sync().unwrap();
    drop(log);
    assert_eq!(open(&path).unwrap().1, [b"a", b"b"]);
}

#[test]
fn lengths_beyond_the_bound_are_damage() {
    let beyond = u32::try_from(LOG_RECORD_BYTES_MAX + 1).unwrap();
    for length in [0, beyond, u32::MAX] {
        let bytes = [&length.to_le_bytes()[..], &[0; 2 * LOG_RECORD_BYTES_MAX]].concat();
        assert_eq!(decode(&bytes), Frame::Damaged, "{length}");
    }
    assert_eq!(decode(&[9; FRAME_BYTES - 5]), Frame::Partial);
}

#[test]
fn programs_that_begin_at_the_same_time_make_one_log() {
    let folder = scratch();
    let path: PathBuf = folder.path().join("log");
    for _ in 0..20 {
        let threads: Vec<_> = (0..4u8)
            .map(|number| {
                let path = path.clone();
                std::thread::spawn(move || {
                    let (mut log, _) = open(&path).ok()?;
                    log.append(&[number]);
                    log.sync().unwrap();
                    Some(number)
                })
            })
            .collect();
        let won = threads.into_iter().filter_map(|thread| thread.join().unwrap()).count();
        assert!(won >= 1);
        assert_eq!(open(&path).unwrap().1.len(), won, "none was lost");
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_log_that_has_its_name_from_the_start_is_one_as_well() {
    let folder = scratch();
    let path = folder.path().join("log");
    let made = opening::create_named(&path, &PURPOSE).unwrap();
    assert!(opening::create_named(&path, &PURPOSE).unwrap().is_none(), "it is there");
    assert_eq!(open(&path).map(drop).unwrap_err().kind(), ErrorKind::Busy);
    drop(made);
    open(&path).unwrap();
    // Killed before its header.
    fs::remove_file(&path).unwrap();
    File::create_new(&path).unwrap();
    open(&path).unwrap();
    assert_eq!(fs::read(&path).unwrap()[..16], PURPOSE.magic);
}
