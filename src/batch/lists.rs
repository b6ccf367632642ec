//! The items of a batch: URLs, then lists, read as they are needed. Owns the reading; must not know
//! the forms of lists.

use crate::base::{Error, ErrorKind, Result};
use crate::batch::Item;
use crate::manifest::{ListOptions, ListReader};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Bytes of a list that are read at once.
const READ_BYTES: usize = 64 * 1024;
/// The list that is standard input.
pub const STANDARD_INPUT: &str = "-";

/// All items, one after another.
pub struct Lists {
    urls: VecDeque<String>,
    lists: VecDeque<List>,
}

/// A list that is read.
struct List {
    /// As messages call it.
    name: String,
    source: Box<dyn Read + Send>,
    /// Whoever writes it may break off: it is no file.
    is_stream: bool,
    reader: ListReader,
    /// Indicates whether the source has ended.
    is_read: bool,
    /// Indicates whether nothing more comes of it.
    has_ended: bool,
}

impl Lists {
    /// Opens all `lists`, so that a name that is wrong is found at once; `-` is standard input.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if one cannot be read.
    pub fn open(urls: &[String], lists: &[PathBuf], base_url: Option<&str>) -> Result<Self> {
        let is_input = |list: &&PathBuf| list.as_path() == Path::new(STANDARD_INPUT);
        if lists.iter().filter(is_input).count() > 1 {
            return Err(Error::new(ErrorKind::Usage, "standard input is one list, not several"));
        }
        let lists = lists.iter().map(|path| List::open(path, base_url)).collect::<Result<_>>()?;
        Ok(Self { urls: urls.iter().cloned().collect(), lists })
    }
}

impl Iterator for Lists {
    type Item = Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(url) = self.urls.pop_front() {
            return Some(Ok(Item::new(url)));
        }
        loop {
            match self.lists.front_mut()?.next() {
                Some(item) => return Some(item),
                None => drop(self.lists.pop_front()),
            }
        }
    }
}

impl List {
    fn open(path: &Path, base_url: Option<&str>) -> Result<Self> {
        let failed = |e: io::Error| {
            Error::new(ErrorKind::Usage, format!("cannot read the list {}", path.display()))
                .caused_by(e)
                .advise("check the name behind -i")
        };
        let is_input = path == Path::new(STANDARD_INPUT);
        let (source, is_stream): (Box<dyn Read + Send>, _) = if is_input {
            // It may be a file, too; where nobody knows, it is none.
            let is_file = std::fs::metadata("/dev/stdin").is_ok_and(|meta| meta.is_file());
            (Box::new(io::stdin()), !is_file)
        } else {
            let file = File::open(path).map_err(failed)?;
            let meta = file.metadata().map_err(failed)?;
            if meta.is_dir() {
                let what = format!("the list {} is a folder", path.display());
                return Err(Error::new(ErrorKind::Usage, what).advise("name a file behind -i"));
            }
            (Box::new(file), !meta.is_file())
        };
        let name = if is_input { "standard input".into() } else { path.display().to_string() };
        let file_name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let options = ListOptions { base_url: base_url.map(str::to_owned), name: file_name };
        let reader = ListReader::new(options)?;
        Ok(Self { name, source, is_stream, reader, is_read: false, has_ended: false })
    }

    /// What is to be said of an item that was just read, if it is the last one of a stream that
    /// ended within a line. What is left of a URL is a URL, so that nothing else tells.
    fn cut(&self) -> Option<String> {
        let line = self.reader.open_line().filter(|_| self.is_stream)?;
        Some(format!("{} ended within line {line}: is it whole?", self.name))
    }

    fn next(&mut self) -> Option<Result<Item>> {
        loop {
            match self.reader.next() {
                Some(Ok(item)) => {
                    let line = item.line;
                    let item = Item::of_list(item).map(|mut item| {
                        item.warnings.extend(self.cut());
                        item
                    });
                    return Some(item.map_err(|e| e.within(format!("{}:{line}", self.name))));
                }
                Some(Err(bad)) => {
                    self.has_ended |= bad.is_last;
                    let error = match self.cut() {
                        Some(cut) => bad.error.advise(cut),
                        None => bad.error,
                    };
                    return Some(Err(error.within(format!("{}:{}", self.name, bad.line))));
                }
                None if self.has_ended => return None,
                None if self.is_read => {
                    self.has_ended = true;
                    let what = || format!("the list {} names nothing to fetch", self.name);
                    let is_empty = self.reader.is_empty();
                    return is_empty.then(|| Err(Error::new(ErrorKind::Usage, what())));
                }
                None => {}
            }
            let mut piece = vec![0; READ_BYTES];
            match self.source.read(&mut piece) {
                Ok(0) => {
                    self.reader.finish();
                    self.is_read = true;
                }
                Ok(read) => self.reader.push(&piece[..read]),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    self.has_ended = true;
                    let what = format!("cannot read the list {}", self.name);
                    return Some(Err(Error::new(ErrorKind::DiskIo, what).caused_by(e)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_come_first_and_lists_behind_them() {
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let list = folder.path().join("list");
        std::fs::write(&list, "http://h/b\nftp://h/c\n\n# no\nhttp://h/d\n").unwrap();
        let lists = Lists::open(&["http://h/a".into()], &[list.clone(), list], None).unwrap();
        let items: Vec<_> = lists
            .map(|item| match item {
                Ok(item) => item.asked.url().to_owned(),
                Err(error) => error.to_string(),
            })
            .collect();
        assert_eq!(items.len(), 7, "{items:?}");
        assert_eq!([&items[0], &items[1], &items[3]], ["http://h/a", "http://h/b", "http://h/d"]);
        assert!(items[2].contains("list:2") && items[5].contains("list:2"), "{items:?}");
    }

    #[test]
    fn what_is_no_list_is_one_error() {
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let open = |paths: &[PathBuf]| Lists::open(&[], paths, None).err();
        for path in [folder.path().to_owned(), folder.path().join("missing")] {
            let error = open(&[path]).unwrap();
            assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
        }
        assert!(open(&["-".into(), "-".into()]).is_some());
        let empty = folder.path().join("empty");
        std::fs::write(&empty, "# nothing\n").unwrap();
        let items: Vec<_> = Lists::open(&[], &[empty], None).unwrap().collect();
        assert!(matches!(&items[..], [Err(error)] if error.kind() == ErrorKind::Usage));
    }
}
