//! The names of what is beside a file that several machines fetch in slices: one part file for all
//! of them, and a journal for each. Must not know what is in either.

use crate::base::Slice;
use crate::base::limits::{IN_MAKING_SUFFIX, JOURNAL_SUFFIX, PART_SUFFIX};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Before [`PART_SUFFIX`]: a run without slices has another part file, which it empties when there
/// is nothing to go on from.
const SHARED: &str = ".slices";
/// Before the number of a slice.
const SLICE: &str = ".slice-";
/// Between that and the count of slices.
const OF: &str = "-of-";

/// `big.bin.slices.part`.
pub(super) fn part(target: &Path) -> PathBuf {
    named(target, &format!("{SHARED}{PART_SUFFIX}"))
}

/// `big.bin.slice-3-of-8.ringhaul`.
pub(super) fn journal(target: &Path, slice: Slice) -> PathBuf {
    let (index, count) = (slice.index(), slice.count());
    named(target, &format!("{SLICE}{index}{OF}{count}{JOURNAL_SUFFIX}"))
}

/// The slices of `target` whose journals have their name in `folder`, which is that of `target`, by
/// count and number. What only looks like such a name is none.
pub(super) fn found(folder: &Path, target: &Path) -> io::Result<Vec<Slice>> {
    let mut slices = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        slices.extend(slice_of(target.file_name().unwrap_or_default(), &entry?.file_name()));
    }
    slices.sort_unstable_by_key(|slice: &Slice| (slice.count(), slice.index()));
    Ok(slices)
}

/// Whether this is the name of the journal of some slice, or of one in the making.
pub(super) fn is_journal(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_bytes();
    let name = name.strip_suffix(IN_MAKING_SUFFIX.as_bytes()).unwrap_or(name);
    let starts = name.windows(SLICE.len()).enumerate();
    let mut starts = starts.filter(|(_, part)| *part == SLICE.as_bytes()).map(|(at, _)| at);
    starts.any(|at| slice_of(OsStr::from_bytes(&name[..at]), OsStr::from_bytes(name)).is_some())
}

/// Which slice of `target` has a journal of this name.
fn slice_of(target: &OsStr, name: &OsStr) -> Option<Slice> {
    let numbers = name.as_bytes().strip_prefix(target.as_bytes())?;
    let numbers =
        numbers.strip_prefix(SLICE.as_bytes())?.strip_suffix(JOURNAL_SUFFIX.as_bytes())?;
    let (index, count) = std::str::from_utf8(numbers).ok()?.split_once(OF)?;
    let slice: Slice = format!("{index}/{count}").parse().ok()?;
    // Another name for the same numbers, as with a zero before them, is nobody's.
    (numbers == format!("{}{OF}{}", slice.index(), slice.count()).as_bytes()).then_some(slice)
}

fn named(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("big.bin");
        let slice = |text: &str| text.parse::<Slice>().unwrap();
        assert_eq!(part(&target), folder.path().join("big.bin.slices.part"));
        let third = folder.path().join("big.bin.slice-3-of-8.ringhaul");
        assert_eq!(journal(&target, slice("3/8")), third);
        for name in [
            "big.bin.slice-10-of-12.ringhaul",
            "big.bin.slice-2-of-12.ringhaul",
            "big.bin.slice-3-of-8.ringhaul",
            "big.bin.slice-3-of-8.ringhaul~",
            "big.bin.slice-03-of-8.ringhaul",
            "big.bin.slice-9-of-8.ringhaul",
            "big.bin.slice-x-of-8.ringhaul",
            "big.bin.slice-.ringhaul",
            "other.bin.slice-4-of-8.ringhaul",
            "big.bin.ringhaul",
            "big.bin.slices.part",
        ] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(found(folder.path(), &target).unwrap(), ["3/8", "2/12", "10/12"].map(slice));
        for (name, is_one) in [
            ("big.bin.slice-3-of-8.ringhaul", true),
            ("big.bin.slice-3-of-8.ringhaul~", true),
            ("a.slice-b.slice-1-of-1.ringhaul", true),
            ("big.bin.slice-03-of-8.ringhaul", false),
            ("big.bin.ringhaul", false),
            (".slice-", false),
        ] {
            assert_eq!(is_journal(&folder.path().join(name)), is_one, "{name}");
        }
        assert!(found(Path::new("/nowhere"), Path::new("/nowhere/f")).is_err());
    }
}
