//! Part files on a real file system: taken, refused, written, cut, committed.

use super::*;
use crate::base::ErrorKind;
use crate::io::buffers::Pool;
use crate::io::driver::{Driver, DriverKind};
use crate::io::{file, ours};
use std::os::unix::fs::MetadataExt;

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap()
}

/// What another program has under the part file's name.
fn theirs(folder: &Path) -> PathBuf {
    let part = folder.join("f.part");
    std::fs::write(&part, "theirs").unwrap();
    part
}

fn write(output: &Output, bytes: &[u8], offset: u64) {
    let pool = Pool::new(1).unwrap();
    Driver::new(DriverKind::IoUring).unwrap().run(async {
        let mut lease = pool.lease().await;
        lease.append(bytes);
        output.write(lease.freeze(), offset).await.unwrap();
    });
}

#[test]
fn a_committed_file_has_its_name_and_size() {
    for policy in [DirectPolicy::Never, DirectPolicy::Auto, DirectPolicy::Always] {
        let folder = scratch();
        let target = folder.path().join("f");
        let reserved = Reserved::new(&target, false).unwrap();
        let output = reserved.allocate(Some(5000), policy).unwrap();
        assert_eq!(output.is_direct(), policy == DirectPolicy::Always, "{policy:?}");
        write(&output, &[1; 5000], 0);
        assert!(!target.exists(), "nothing stands at the final name before the end");
        assert_eq!(output.commit(5000, SyncPolicy::Always).unwrap(), target);
        assert_eq!(std::fs::read(&target).unwrap(), vec![1; 5000]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        let other = theirs(folder.path());
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode();
        assert_eq!(mode(&target), mode(&other), "the mark of a part file is gone");
    }
}

#[test]
fn a_part_file_is_known_as_ours_from_its_first_instant() {
    let folder = scratch();
    let (target, part) = (folder.path().join("f"), folder.path().join("f.part"));
    let is_marked = || ours::is_marked(&std::fs::metadata(&part).unwrap());
    // Whoever is killed leaves what stands at each step, without what a drop cleans up.
    for step in 0..4 {
        let reserved = Reserved::new(&target, false).unwrap();
        assert!(is_marked(), "it is made with the mark");
        let total = [None, Some(0), Some(5000), Some(5000)][step];
        let output = reserved.allocate(total, DirectPolicy::Never).unwrap();
        if step == 3 {
            write(&output, &[1; 5000], 0);
        }
        output.keep_part();
        drop((reserved, output));
        assert!(is_marked());
    }
    drop(Reserved::new(&target, false).unwrap());
    assert!(!part.exists());
}

#[test]
fn a_part_file_of_others_is_refused_untouched() {
    let folder = scratch();
    let target = folder.path().join("f");
    for bytes in ["theirs", ""] {
        let part = theirs(folder.path());
        std::fs::write(&part, bytes).unwrap();
        let before = std::fs::metadata(&part).unwrap();
        let error = Reserved::new(&target, false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TargetUnusable);
        for words in ["f.part is there, and nothing shows that ringhaul made it", "--force"] {
            assert!(error.to_string().contains(words), "{error}");
        }
        let after = std::fs::metadata(&part).unwrap();
        assert_eq!((before.ino(), before.mode()), (after.ino(), after.mode()));
        assert_eq!(std::fs::read_to_string(&part).unwrap(), bytes);
    }
}

#[test]
fn what_is_replaced_loses_its_name_and_nothing_else() {
    let folder = scratch();
    let (target, other) = (folder.path().join("f"), folder.path().join("other"));
    let victim = folder.path().join("victim");
    std::fs::write(&victim, "victim").unwrap();
    for is_link in [false, true] {
        let part = theirs(folder.path());
        if is_link {
            std::fs::remove_file(&part).unwrap();
            std::os::unix::fs::symlink(&victim, &part).unwrap();
        } else {
            std::fs::hard_link(&part, &other).unwrap();
        }
        let error = Reserved::new(&target, false).unwrap_err().to_string();
        let why = if is_link { "f.part is a symbolic link" } else { "f.part has 2 hard links" };
        assert!(error.contains(why), "{error}");
        let output = Reserved::new(&target, true).unwrap();
        let output = output.allocate(Some(3), DirectPolicy::Never).unwrap();
        write(&output, b"new", 0);
        output.commit(3, SyncPolicy::Always).unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"new");
        assert_eq!(std::fs::read(&victim).unwrap(), b"victim");
        assert_eq!(std::fs::read(&other).unwrap(), b"theirs");
        std::fs::remove_file(&target).unwrap();
    }
    std::fs::create_dir(folder.path().join("f.part")).unwrap();
    let error = Reserved::new(&target, true).unwrap_err();
    assert!(error.to_string().contains("f.part is a folder"), "{error}");
}

#[test]
fn what_somebody_writes_is_not_replaced() {
    let folder = scratch();
    let target = folder.path().join("f");
    let writer = std::fs::File::open(theirs(folder.path())).unwrap();
    writer.lock().unwrap();
    for is_linked in [false, true] {
        if is_linked {
            std::fs::hard_link(folder.path().join("f.part"), folder.path().join("g")).unwrap();
        }
        let error = Reserved::new(&target, true).unwrap_err();
        assert!(error.to_string().contains("another ringhaul is writing"), "{error}");
    }
    drop(writer);
    drop(Reserved::new(&target, true).unwrap());
}

#[test]
fn unknown_size_is_cut_to_what_came() {
    let folder = scratch();
    let target = folder.path().join("f");
    let output = Reserved::new(&target, false).unwrap();
    let output = output.allocate(None, DirectPolicy::Auto).unwrap();
    write(&output, &[2; 100], 0);
    output.commit(60, SyncPolicy::Always).unwrap();
    assert_eq!(std::fs::read(&target).unwrap(), vec![2; 60]);
}

#[test]
fn a_dropped_part_is_removed_unless_kept() {
    let folder = scratch();
    let target = folder.path().join("f");
    let part = folder.path().join("f.part");
    drop(Reserved::new(&target, false).unwrap());
    assert!(!part.exists());
    let reserved = Reserved::new(&target, false).unwrap();
    let output = reserved.allocate(Some(1), DirectPolicy::Never).unwrap();
    output.keep_part();
    drop((reserved, output));
    assert!(part.exists() && !target.exists());
    // Left over and locked by nobody: reused.
    drop(Reserved::new(&target, false).unwrap());
    assert!(!part.exists());
}

#[test]
fn bytes_that_are_there_stay() {
    let folder = scratch();
    let target = folder.path().join("f");
    for policy in [DirectPolicy::Never, DirectPolicy::Always] {
        let made = Reserved::new(&target, true).unwrap();
        let before = made.allocate(Some(9000), DirectPolicy::Never).unwrap();
        write(&before, &[7; 9000], 0);
        before.keep_part();
        drop((before, made));
        let reserved = Reserved::new(&target, true).unwrap();
        let first = reserved.allocate(Some(8500), policy).unwrap();
        // A second attempt, over what the first one wrote.
        write(&first, &[1; 4096], 0);
        drop(first);
        let second = reserved.allocate(Some(8500), policy).unwrap();
        second.commit(8500, SyncPolicy::Always).unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), [&[1; 4096][..], &[7; 4404]].concat());
    }
}

#[test]
fn what_was_cut_meanwhile_is_not_committed() {
    let folder = scratch();
    let target = folder.path().join("f");
    let reserved = Reserved::new(&target, false).unwrap();
    let output = reserved.allocate(Some(5000), DirectPolicy::Never).unwrap();
    write(&output, &[1; 5000], 0);
    std::fs::File::options().write(true).open(output.part_path()).unwrap().set_len(10).unwrap();
    let error = output.commit(5000, SyncPolicy::Always).unwrap_err();
    assert!(error.to_string().contains("f.part was truncated"), "{error}");
    assert!(!target.exists());
}

#[test]
fn what_was_cut_and_grew_again_is_not_committed() {
    cut_and_grow(&scratch());
}

#[test]
fn what_was_cut_and_grew_again_in_memory_is_not_committed() {
    let Ok(folder) = tempfile::tempdir_in("/dev/shm") else {
        return crate::skip::skipped("there is no /dev/shm");
    };
    cut_and_grow(&folder);
}

#[test]
fn ample_memory_is_not_reserved() {
    let Ok(folder) = tempfile::tempdir_in("/dev/shm") else {
        return crate::skip::skipped("there is no /dev/shm");
    };
    let reserved = Reserved::new(&folder.path().join("f"), false).unwrap();
    let output = reserved.allocate(Some(1 << 20), DirectPolicy::Never).unwrap();
    let part = output.part_path().metadata().unwrap();
    assert_eq!((part.len(), part.blocks()), (1 << 20, 0));
}

#[test]
fn a_file_in_memory_may_have_holes() {
    let Ok(folder) = tempfile::tempdir_in("/dev/shm") else {
        return crate::skip::skipped("there is no /dev/shm");
    };
    let target = folder.path().join("f");
    let reserved = Reserved::new(&target, false).unwrap();
    let output = reserved.allocate_sparse(1 << 20, DirectPolicy::Never).unwrap();
    write(&output, &[1; 5000], 8192);
    output.commit(1 << 20, SyncPolicy::Always).unwrap();
    assert!(target.exists());
}

fn cut_and_grow(folder: &tempfile::TempDir) {
    let target = folder.path().join("f");
    let reserved = Reserved::new(&target, false).unwrap();
    let output = reserved.allocate(Some(50_000), DirectPolicy::Never).unwrap();
    let part = std::fs::File::options().write(true).open(output.part_path()).unwrap();
    let file_system = file::file_system(&part);
    if !file_system.lasting {
        let name = file_system.name;
        return crate::skip::skipped(&format!("{name} may count fewer blocks by itself"));
    }
    write(&output, &[1; 40_960], 0);
    output.file().unwrap().place().check_part(50_000).unwrap();
    part.set_len(0).unwrap();
    write(&output, &[1; 9040], 40_960);
    let error = output.commit(50_000, SyncPolicy::Always).unwrap_err();
    assert!(error.to_string().contains("f.part was truncated"), "{error}");
    assert!(!target.exists());
}

#[test]
fn an_existing_target_is_refused_or_replaced() {
    let folder = scratch();
    let target = folder.path().join("f");
    std::fs::write(&target, "old").unwrap();
    let error = Reserved::new(&target, false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TargetExists);
    let output = Reserved::new(&target, true).unwrap();
    let output = output.allocate(Some(3), DirectPolicy::Never).unwrap();
    write(&output, b"new", 0);
    assert_eq!(std::fs::read(&target).unwrap(), b"old");
    output.commit(3, SyncPolicy::Always).unwrap();
    assert_eq!(std::fs::read(&target).unwrap(), b"new");
}

#[test]
fn a_target_that_appears_meanwhile_is_not_replaced() {
    let folder = scratch();
    let target = folder.path().join("f");
    let output = Reserved::new(&target, false).unwrap();
    let output = output.allocate(Some(3), DirectPolicy::Never).unwrap();
    write(&output, b"new", 0);
    std::fs::write(&target, "theirs").unwrap();
    assert_eq!(output.commit(3, SyncPolicy::Always).unwrap_err().kind(), ErrorKind::TargetExists);
    assert_eq!(std::fs::read(&target).unwrap(), b"theirs");
    assert_eq!(std::fs::read(folder.path().join("f.part")).unwrap(), b"new");
}

#[test]
fn one_writer_at_a_time() {
    let folder = scratch();
    let target = folder.path().join("f");
    let first = Reserved::new(&target, false).unwrap();
    let error = Reserved::new(&target, false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.to_string().contains("another ringhaul"), "{error}");
    drop(first);
    drop(Reserved::new(&target, false).unwrap());
}

#[test]
fn unusable_places_are_named() {
    let folder = scratch();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let link = folder.path().join("f.part");
    std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
    for target in [
        folder.path().join("missing/f"),
        file.join("f"),
        folder.path().to_owned(),
        folder.path().join("f"),
    ] {
        let error = Reserved::new(&target, false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TargetUnusable, "{error}");
    }
}

#[test]
fn too_large_a_file_is_refused_at_preallocation() {
    let folder = scratch();
    let reserved = Reserved::new(&folder.path().join("f"), false).unwrap();
    let error = reserved.allocate(Some(1 << 50), DirectPolicy::Auto).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::DiskFull, "{error}");
    drop(reserved);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_file_that_is_not_synced_has_its_name_all_the_same() {
    let folder = scratch();
    let target = folder.path().join("f");
    let reserved = Reserved::new(&target, false).unwrap();
    let output = reserved.allocate(Some(3), DirectPolicy::Never).unwrap();
    write(&output, b"new", 0);
    assert_eq!(output.commit(3, SyncPolicy::Never).unwrap(), target);
    assert_eq!(std::fs::read(&target).unwrap(), b"new");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
