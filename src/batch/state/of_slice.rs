//! The states of slices: each slice has one of its own, since several machines write at the same
//! time, and takes over what the others have recorded of its files, since their number may be
//! another one each time. No lock is taken on the states of others, and none of them is changed.
//!
//! They lie in a folder beside the state of a run without slices:
//! `LIST.ringhaul-state.slices/3-of-8`.

use super::{Done, Earlier, Key, PURPOSE, Record, State};
use crate::base::{Error, ErrorKind, Result};
use crate::batch::list_slice::{ListSlice, SliceBy};
use crate::disk::record_log;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What the name of the folder ends in.
const FOLDER_SUFFIX: &str = ".slices";
/// What the names of states end in whose slices were made by bytes.
const BY_BYTES_SUFFIX: &str = ".bytes";
/// Records that are taken over between two times at which they are handed to the kernel.
const ADOPTED_RECORDS: u64 = 1000;

impl State {
    /// Opens the state of a `part`, or of the whole list, whose state is `path`; with what other
    /// parts have recorded of the files in this one.
    ///
    /// # Errors
    /// As those of [`State::open`]. States of others that cannot be read count as none: their files
    /// are fetched again, which is always right.
    pub fn open_with_others(path: &Path, part: Option<ListSlice>) -> Result<Self> {
        let folder = beside(path, FOLDER_SUFFIX);
        let Some(part) = part else {
            let mut state = Self::open(path)?;
            state.adopt_all(others_in(&folder, None), &|_| true)?;
            return Ok(state);
        };
        make_folder(&folder)?;
        let mut state = Self::open(&folder.join(part.name()))?;
        let has = |key: &Key| part.by == SliceBy::Bytes || part.slice.has(key.number());
        let others = others_in(&folder, Some(part)).into_iter();
        state.adopt_all(others.chain([path.to_owned()]).collect(), &has)?;
        Ok(state)
    }

    fn adopt_all(&mut self, others: Vec<PathBuf>, has: &dyn Fn(&Key) -> bool) -> Result<()> {
        others.iter().try_for_each(|other| self.adopt(other, has))
    }

    /// Takes over what `other` has recorded of the files that `has` is true for, unless this state
    /// knows of a later version.
    fn adopt(&mut self, other: &Path, has: &dyn Fn(&Key) -> bool) -> Result<()> {
        let mut found = Earlier::default();
        let looked = record_log::look(other, &PURPOSE, |at, payload| {
            found.add_of(at, payload, has);
        });
        if looked.is_err() || found.places.is_empty() {
            return Ok(());
        }
        let (mut adopted, mut failed) = (0, None);
        // What is cut short between the two looks is missing, as if it had never been recorded.
        let _ = record_log::look(other, &PURPOSE, |at, payload| {
            let Some((key, Record::Done(done))) = Record::decode(payload) else { return };
            if found.places.get(&key) != Some(&at) || !self.is_news(&key, &done) {
                return;
            }
            let place = self.log.append(payload);
            self.earlier.places.insert(key, place);
            self.earlier.records += 1;
            adopted += 1;
            if adopted % ADOPTED_RECORDS == 0
                && let Err(error) = self.log.flush()
            {
                failed.get_or_insert(error);
            }
        });
        failed.map_or_else(|| self.log.flush(), Err)
    }

    fn is_news(&self, key: &Key, done: &Done) -> bool {
        self.done(key).is_none_or(|known| known.modified < done.modified)
    }
}

impl ListSlice {
    /// The name of its state.
    fn name(self) -> String {
        let (index, count) = (self.slice.index(), self.slice.count());
        let suffix = if self.by == SliceBy::Bytes { BY_BYTES_SUFFIX } else { "" };
        format!("{index}-of-{count}{suffix}")
    }

    /// The part whose state has this name.
    fn of_name(name: &str) -> Option<Self> {
        let (name, by) = match name.strip_suffix(BY_BYTES_SUFFIX) {
            Some(name) => (name, SliceBy::Bytes),
            None => (name, SliceBy::Name),
        };
        let (index, count) = name.split_once("-of-")?;
        let part = Self { slice: format!("{index}/{count}").parse().ok()?, by };
        Some(part)
    }

    /// Indicates whether it has no file of `other`: the two are parts of one division by name.
    fn is_apart_from(self, other: Self) -> bool {
        let by_name = self.by == SliceBy::Name && other.by == SliceBy::Name;
        by_name && self.slice.count() == other.slice.count()
    }
}

/// The states in the folder that may have something of `part`, or of the whole list.
fn others_in(folder: &Path, part: Option<ListSlice>) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let is_other = |name: &String| {
        let named = ListSlice::of_name(name);
        named.is_some_and(|other| part.is_none_or(|p| p != other && !p.is_apart_from(other)))
    };
    let mut names: Vec<String> = names.filter(is_other).collect();
    names.sort_unstable();
    names.iter().map(|name| folder.join(name)).collect()
}

fn make_folder(folder: &Path) -> Result<()> {
    match fs::create_dir(folder) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
            let what = format!("cannot make the folder {} for states", folder.display());
            let error = Error::new(ErrorKind::TargetUnusable, what).caused_by(e);
            Err(error.advise("name another place with --state, or keep none with --no-state"))
        }
        _ => Ok(()),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::super::{FileTime, Source};
    use super::*;

    fn part(slice: &str, by: SliceBy) -> Option<ListSlice> {
        Some(ListSlice { slice: slice.parse().unwrap(), by })
    }

    fn done(seconds: i64) -> Done {
        let modified = FileTime { seconds, nanoseconds: 0 };
        let source = Source { address: 1, query: 1 };
        Done { source, bytes: 10, modified, validator: None, digest: None }
    }

    fn key(number: u32) -> Key {
        Key::of(Path::new(&number.to_string()))
    }

    /// Records the files of a slice by name, as a run does.
    fn record(path: &Path, slice: &str, numbers: std::ops::Range<u32>, seconds: i64) {
        let part = part(slice, SliceBy::Name);
        let mut state = State::open_with_others(path, part).unwrap();
        for key in numbers.map(key).filter(|key| part.unwrap().slice.has(key.number())) {
            state.append(&key, &Record::Done(done(seconds)));
        }
        state.sync().unwrap();
    }

    /// How many of the files a state knows.
    fn known(path: &Path, part: Option<ListSlice>, numbers: std::ops::Range<u32>) -> usize {
        let state = State::open_with_others(path, part).unwrap();
        numbers.filter(|number| state.done(&key(*number)).is_some()).count()
    }

    #[test]
    fn what_any_slice_has_done_is_known_to_whoever_has_the_file_later() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.ringhaul-state");
        for slice in ["1/3", "2/3", "3/3"] {
            record(&path, slice, 0..100, 5);
        }
        assert!(!path.exists(), "nobody has run without slices");
        let by_name = [part("1/2", SliceBy::Name), part("2/2", SliceBy::Name)];
        assert_eq!(by_name.map(|part| known(&path, part, 0..100)).iter().sum::<usize>(), 100);
        assert_eq!(
            known(&path, part("5/7", SliceBy::Bytes), 0..100),
            100,
            "of whom it is, it sees"
        );
        assert_eq!(known(&path, None, 0..100), 100, "without slices");
        assert_eq!(known(&path, None, 0..100), 100);
        let records = std::fs::metadata(&path).unwrap().len();
        known(&path, None, 0..100);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), records, "taken over once");
        let fresh = folder.path().join("other.ringhaul-state");
        record(&fresh, "1/1", 0..10, 5);
        assert_eq!(known(&fresh, part("2/2", SliceBy::Name), 0..10), 5);
    }

    #[test]
    fn the_later_version_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        record(&path, "1/1", 0..2, 5);
        record(&path, "1/2", 0..20, 9);
        record(&path, "2/2", 0..20, 9);
        let whole = part("1/1", SliceBy::Name);
        let state = State::open_with_others(&path, whole).unwrap();
        assert_eq!(state.done(&key(1)).unwrap().modified.seconds, 9);
        drop(state);
        record(&path, "1/1", 0..2, 11);
        let state = State::open_with_others(&path, part("1/3", SliceBy::Bytes)).unwrap();
        assert_eq!(state.done(&key(1)).unwrap().modified.seconds, 11);
    }

    #[test]
    fn what_is_no_state_of_ours_does_no_harm_and_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        record(&path, "1/2", 0..20, 5);
        record(&path, "2/2", 0..20, 5);
        let states = folder.path().join("s.slices");
        std::fs::write(states.join("1-of-9"), "something else").unwrap();
        std::fs::create_dir(states.join("2-of-9")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", states.join("3-of-9")).unwrap();
        std::fs::write(states.join("0-of-9"), "no slice").unwrap();
        let torn = std::fs::read(states.join("2-of-2")).unwrap();
        std::fs::write(states.join("2-of-2"), &torn[..torn.len() - 7]).unwrap();
        let count = known(&path, None, 0..20);
        assert!((15..20).contains(&count), "{count} but the torn one");
        assert_eq!(std::fs::read(states.join("2-of-2")).unwrap().len(), torn.len() - 7);
    }

    #[test]
    fn two_runs_of_one_slice_are_refused_and_two_slices_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let _first = State::open_with_others(&path, part("1/2", SliceBy::Name)).unwrap();
        let _second = State::open_with_others(&path, part("2/2", SliceBy::Name)).unwrap();
        let _third = State::open_with_others(&path, part("1/2", SliceBy::Bytes)).unwrap();
        let error = State::open_with_others(&path, part("1/2", SliceBy::Name)).unwrap_err();
        assert!(error.to_string().contains("another ringhaul is using"), "{error}");
    }
}
