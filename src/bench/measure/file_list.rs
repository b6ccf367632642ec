//! A list of small files instead of one file: which they are, the lists that programs are given of
//! them, and whether all of them came.
//!
//! Must not know which programs there are, nor what follows from a file that is missing.

use super::content::Content;
use crate::engine::stop::StopHandle;
use crate::server::{Numbered, content};
use std::fmt::Write;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Files of a server that made no promise, which are fetched first and compared with every later
/// one; they are spread evenly over the list.
const SAMPLES_MAX: u64 = 16;

/// The files that every run fetches: those that `ringhaul serve --files` serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileList {
    /// How many.
    pub count: u64,
    /// Bytes of each.
    pub size_bytes: u64,
}

impl FileList {
    /// Bytes of all of them.
    pub(in crate::bench) fn bytes(self) -> u64 {
        self.count.saturating_mul(self.size_bytes)
    }

    pub(in crate::bench) fn names(self) -> Numbered {
        Numbered::new(self.count)
    }

    /// The names of some of them, the first one among them.
    pub(in crate::bench) fn samples(self) -> Vec<String> {
        let step = self.count.div_ceil(SAMPLES_MAX).max(1);
        let numbers = (1..=self.count).step_by(usize::try_from(step).unwrap_or(usize::MAX));
        numbers.map(|number| self.names().name(number)).collect()
    }
}

/// What is known of the bytes of these files.
pub(in crate::bench) enum Contents {
    /// They are the built-in server's, of this seed.
    Seed(u64),
    /// Some of them are to be as they were at first: their names, and where they are kept.
    Samples(Vec<(String, PathBuf)>),
}

/// The lists that programs are given, one file for each form.
pub(in crate::bench) struct Lists {
    /// One URL per line.
    pub(in crate::bench) urls: PathBuf,
    /// One name per line.
    pub(in crate::bench) names: PathBuf,
    /// curl's configuration: URLs, each with the file for it.
    pub(in crate::bench) curl: PathBuf,
    /// The same with nowhere for each.
    pub(in crate::bench) curl_null: PathBuf,
}

impl Lists {
    /// Where they are, in `folder`.
    pub(in crate::bench) fn of(folder: &Path) -> Self {
        let path = |name| folder.join(name);
        let (urls, names) = (path("urls.txt"), path("names.txt"));
        Self { urls, names, curl: path("curl.conf"), curl_null: path("curl-null.conf") }
    }

    /// Writes them for `files` at the URL `root`, which ends with a slash, and the folder `target`.
    pub(in crate::bench) fn write(
        &self,
        files: FileList,
        root: &str,
        target: &Path,
    ) -> io::Result<()> {
        let all = |line: &dyn Fn(&mut String, &str)| {
            let mut text = String::new();
            files.names().names().for_each(|name| line(&mut text, &name));
            text
        };
        let add = |text: &mut String, line: std::fmt::Arguments<'_>| {
            text.write_fmt(line).expect("a string takes any text");
        };
        let folder = quoted(&target.to_string_lossy());
        fs::write(&self.urls, all(&|text, name| add(text, format_args!("{root}{name}\n"))))?;
        fs::write(&self.names, all(&|text, name| add(text, format_args!("{name}\n"))))?;
        let curl = |text: &mut String, name: &str| {
            let file = format_args!("output = \"{folder}/{name}\"\n");
            add(text, format_args!("url = \"{root}{name}\"\n{file}"));
        };
        fs::write(&self.curl, all(&curl))?;
        let nowhere = |text: &mut String, name: &str| {
            add(text, format_args!("url = \"{root}{name}\"\noutput = \"/dev/null\"\n"));
        };
        fs::write(&self.curl_null, all(&nowhere))
    }
}

/// What a folder of fetched files came to.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::bench) enum Fetched {
    /// All files and no others, as far as that is known with the right bytes.
    Whole,
    /// Not that, in words.
    Incomplete(String),
    /// This file has other bytes from this offset on.
    Wrong(String, u64),
}

impl Fetched {
    /// Looks at number and length of all files in `folder`, and at the bytes as far as they are
    /// known.
    pub(in crate::bench) fn look(
        folder: &Path,
        files: FileList,
        contents: &Contents,
        stop: &StopHandle,
    ) -> io::Result<Self> {
        let (mut whole, mut first_bad) = (0, None);
        for name in files.names().names() {
            let length = fs::metadata(folder.join(&name)).map(|meta| meta.len()).ok();
            if length == Some(files.size_bytes) {
                whole += 1;
            } else if first_bad.is_none() {
                let what = length.map_or("missing".to_owned(), |bytes| format!("{bytes} bytes"));
                first_bad = Some(format!("{name} is {what}"));
            }
        }
        if let Some(first_bad) = first_bad {
            let count = files.count;
            let what = format!("{whole} of {count} files came whole, and {first_bad}");
            return Ok(Self::Incomplete(what));
        }
        let present = fs::read_dir(folder)?.count() as u64;
        if present != files.count {
            let more = present - files.count;
            return Ok(Self::Incomplete(format!("{more} files stand there that nobody asked for")));
        }
        let different = |name: &str, content: &Content| {
            let mut file = File::open(folder.join(name))?;
            content.first_difference(&mut file, files.size_bytes, stop)
        };
        let wrong = match contents {
            Contents::Seed(seed) => first(files.names().names(), |name| {
                let seed = content::seed_at(*seed, &format!("/{name}"));
                Ok(different(name, &Content::Seed(seed))?.map(|at| (name.clone(), at)))
            }),
            Contents::Samples(samples) => first(samples.iter(), |(name, path)| {
                let content = Content::Reference(path.clone());
                Ok(different(name, &content)?.map(|at| (name.clone(), at)))
            }),
        };
        Ok(wrong?.map_or(Self::Whole, |(name, offset)| Self::Wrong(name, offset)))
    }
}

/// What `find` finds first.
fn first<T, U>(
    mut items: impl Iterator<Item = T>,
    mut find: impl FnMut(&T) -> io::Result<Option<U>>,
) -> io::Result<Option<U>> {
    items.find_map(|item| find(&item).transpose()).transpose()
}

/// As it stands between quotes in curl's configuration.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: FileList = FileList { count: 5, size_bytes: 100 };
    const SEED: u64 = 3;

    /// A folder with all files of the built-in server.
    fn fetched() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in FILES.names().names() {
            let mut bytes = vec![0; 100];
            content::fill(content::seed_at(SEED, &format!("/{name}")), 0, &mut bytes);
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        folder
    }

    fn look(folder: &Path, contents: &Contents) -> Fetched {
        Fetched::look(folder, FILES, contents, &StopHandle::new()).unwrap()
    }

    #[test]
    fn what_is_not_there_or_too_much_is_said() {
        let folder = fetched();
        let seen = || look(folder.path(), &Contents::Seed(SEED));
        assert_eq!(seen(), Fetched::Whole);
        fs::write(folder.path().join("0002.bin.part"), "").unwrap();
        let more = "1 files stand there that nobody asked for".to_owned();
        assert_eq!(seen(), Fetched::Incomplete(more));
        fs::write(folder.path().join("0003.bin"), "short").unwrap();
        fs::remove_file(folder.path().join("0005.bin")).unwrap();
        let missing = "3 of 5 files came whole, and 0003.bin is 5 bytes".to_owned();
        assert_eq!(seen(), Fetched::Incomplete(missing));
    }

    /// Both have the right length.
    #[test]
    fn files_that_were_mixed_up_are_found() {
        let folder = fetched();
        let path = |name| folder.path().join(name);
        let samples = tempfile::tempdir().unwrap();
        let kept = samples.path().join("kept");
        fs::copy(path("0004.bin"), &kept).unwrap();
        let known = Contents::Samples(vec![("0004.bin".to_owned(), kept)]);
        assert_eq!(look(folder.path(), &known), Fetched::Whole);
        fs::copy(path("0001.bin"), path("0004.bin")).unwrap();
        for contents in [known, Contents::Seed(SEED)] {
            let wrong = Fetched::Wrong("0004.bin".to_owned(), 0);
            assert_eq!(look(folder.path(), &contents), wrong);
        }
    }

    #[test]
    fn every_form_of_list_names_every_file() {
        let folder = tempfile::tempdir().unwrap();
        let lists = Lists::of(folder.path());
        let files = FileList { count: 2, ..FILES };
        lists.write(files, "http://h/d/", Path::new("/a \"b\"")).unwrap();
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        assert_eq!(read(&lists.urls), "http://h/d/0001.bin\nhttp://h/d/0002.bin\n");
        assert_eq!(read(&lists.names), "0001.bin\n0002.bin\n");
        let first = "url = \"http://h/d/0001.bin\"\noutput = \"/a \\\"b\\\"/0001.bin\"\n";
        assert!(read(&lists.curl).starts_with(first), "{}", read(&lists.curl));
        let nowhere = "url = \"http://h/d/0002.bin\"\noutput = \"/dev/null\"\n";
        assert!(read(&lists.curl_null).ends_with(nowhere));
    }

    #[test]
    fn samples_are_spread_and_few() {
        assert_eq!(FILES.samples().len(), 5);
        let many = FileList { count: 5000, ..FILES }.samples();
        assert_eq!((many.len(), many[0].as_str(), many[15].as_str()), (16, "0001.bin", "4696.bin"));
    }
}
