//! What is served where: the file behind a path and its validators.
//!
//! Must not know requests, ranges or faults.

use super::bytes::FileBytes;
use super::content;
use super::digests::Digests;
use super::folder::{self, Folder};
use super::metalink::{self, Describer, Version};
use super::numbered::{Lines, List, Numbered};
use crate::base::limits::SERVER_SUMS_BYTES_MAX;
use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// Path of the description of all numbered files, without its suffix.
const LIST: &str = "/list";
/// Path of the list of all numbered files' URLs.
const URLS_PATH: &str = "/list.txt";
/// Path of the list of their checksums.
const SUMS_PATH: &str = "/SHA256SUMS";

/// Where made-up files stand, and how they differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Paths {
    /// The same file at every path.
    #[default]
    Alike,
    /// At every path a file of its own: its seed is [`content::seed_at`] of the path.
    Distinct,
    /// This number of such files, at `/0001.bin` and on ([`Numbered`]); `/list.txt` has their URLs,
    /// with the `Host` of the request, and `/SHA256SUMS` their checksums if all of them together
    /// have no more than 1 GiB. All other paths are 404.
    Numbered(u64),
}

/// A path that differs from the rest of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The exact path, without query.
    pub path: String,
    /// What is there.
    pub what: Served,
}

/// What a route leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    /// A file of its own.
    File {
        /// Seed of its content.
        seed: u64,
        /// Its size.
        size_bytes: u64,
    },
    /// Nothing: 404.
    Missing,
}

/// The `ETag` of the files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum EntityTag {
    /// Strong, a different one for each content: `"seed-size"`, or of a stored file what tells it
    /// from its earlier states.
    #[default]
    FromContent,
    /// This text, with its quotes and, if weak, its `W/`.
    Fixed(String),
    /// None at all.
    Absent,
}

/// One file with what a server says about it.
#[derive(Debug, Clone)]
pub(in crate::server) struct File {
    pub(in crate::server) bytes: FileBytes,
    pub(in crate::server) size_bytes: u64,
    pub(in crate::server) etag: Option<String>,
    pub(in crate::server) last_modified: Option<String>,
    pub(in crate::server) media_type: Cow<'static, str>,
}

/// Of everything but descriptions, where browsers are not thought of.
const ANY_BYTES: Cow<'static, str> = Cow::Borrowed("application/octet-stream");
/// The file that stands for its folder.
const INDEX: &str = "index.html";

/// What a folder is to a browser.
#[derive(Debug)]
pub(in crate::server) enum Page {
    /// It has a slash at its end: this path.
    Moved(String),
    /// Its entries, as HTML.
    Listing(String),
}

impl File {
    /// Indicates whether it describes another file.
    pub(in crate::server) fn is_description(&self) -> bool {
        matches!(self.bytes, FileBytes::Text(_))
    }
}

/// All files of a server.
#[derive(Debug)]
pub(in crate::server) struct Site {
    pub(in crate::server) seed: u64,
    /// Sizes of the made-up files.
    pub(in crate::server) sizes: RangeInclusive<u64>,
    pub(in crate::server) paths: Paths,
    /// `http` or `https`, for the URLs of lists.
    pub(in crate::server) scheme: &'static str,
    /// In place of the made-up files.
    pub(in crate::server) folder: Option<Folder>,
    /// Indicates whether the folder is for browsers, too: it has pages, and its files have types.
    pub(in crate::server) is_browsable: bool,
    pub(in crate::server) etag: EntityTag,
    pub(in crate::server) last_modified: Option<String>,
    pub(in crate::server) routes: Vec<Route>,
    /// Indicates whether `/signed/x` is another name of `/x`.
    pub(in crate::server) signs: bool,
    pub(in crate::server) digests: Digests,
    /// Describes the files, if that is asked for.
    pub(in crate::server) describer: Option<Describer>,
}

impl Site {
    /// The file at `path`: its route's, else that of the folder, else the description of another
    /// one, else a made-up one. `host` is the name that the client has for the server.
    ///
    /// # Errors
    /// The status to answer with.
    pub(in crate::server) fn file(&self, path: &str, host: Option<&str>) -> Result<File, u16> {
        match self.description_at(path) {
            Some((describer, LIST, version)) if self.is_numbered() => {
                let files = self.all_described().ok_or(404_u16)?;
                let text = describer.describe_all(version, host, files).map_err(|_| 500_u16)?;
                Ok(self.description(text, version, self.last_modified.clone()))
            }
            Some((describer, of, version)) => {
                let file = self.file_itself(of, host)?;
                let text = describer.describe(of, version, host, &file.bytes, file.size_bytes);
                let text = text.map_err(|_| 500_u16)?;
                Ok(self.description(text, version, file.last_modified))
            }
            None => self.file_itself(path, host),
        }
    }

    /// What a browser gets at `path`, where no file is; `query` has the order of a listing.
    ///
    /// # Errors
    /// The status to answer with.
    pub(in crate::server) fn page(&self, path: &str, query: &str) -> Result<Page, u16> {
        let folder = self.folder.as_ref().filter(|_| self.is_browsable).ok_or(404_u16)?;
        let listing = folder.list(path)?;
        if !path.ends_with('/') {
            // Two slashes at the start would lead to another host.
            return Ok(Page::Moved(format!("/{}/", path.trim_start_matches('/'))));
        }
        let name = folder::decoded(path).ok_or(404_u16)?;
        Ok(Page::Listing(listing.page(&name, query)))
    }

    /// Indicates whether the description of another file is at `path`.
    pub(in crate::server) fn describes_at(&self, path: &str) -> bool {
        self.description_at(path).is_some()
    }

    /// What describes the file whose description is at `path`, the path of that file, and how it is
    /// described.
    fn description_at<'a>(&self, path: &'a str) -> Option<(&Describer, &'a str, Version)> {
        let describer = self.describer.as_ref()?;
        let (of, version) = metalink::described(path)?;
        let is_file = self.routes.iter().any(|route| route.path == path)
            || self.folder.as_ref().is_some_and(|folder| folder.file(path).is_ok());
        (!is_file).then_some((describer, of, version))
    }

    fn is_numbered(&self) -> bool {
        self.folder.is_none() && matches!(self.paths, Paths::Numbered(_))
    }

    /// Path, bytes and size of all numbered files; `None` where they are none or too many.
    fn all_described(&self) -> Option<impl Iterator<Item = (String, FileBytes, u64)>> {
        let Paths::Numbered(count) = self.paths else { return None };
        let names = self.summed(Numbered::new(count))?;
        Some(names.names().map(|name| {
            let path = format!("/{name}");
            let file = self.file_at(&path);
            (path, file.bytes, file.size_bytes)
        }))
    }

    /// These names, if their files together are not too many bytes to hash for one request.
    fn summed(&self, names: Numbered) -> Option<Numbered> {
        let bytes_max = names.count().checked_mul(*self.sizes.end());
        bytes_max.is_some_and(|bytes| bytes <= SERVER_SUMS_BYTES_MAX).then_some(names)
    }

    fn description(
        &self,
        text: Arc<[u8]>,
        version: Version,
        last_modified: Option<String>,
    ) -> File {
        let tag = content::seed_of(&text);
        File {
            size_bytes: text.len() as u64,
            etag: self.etag(|| format!("\"{tag:x}\"")),
            last_modified,
            media_type: version.media_type().into(),
            bytes: FileBytes::Text(text),
        }
    }

    fn file_itself(&self, path: &str, host: Option<&str>) -> Result<File, u16> {
        let route = self.routes.iter().find(|route| route.path == path);
        match (route.map(|route| route.what), &self.folder) {
            (Some(Served::Missing), _) => Err(404),
            (Some(Served::File { seed, size_bytes }), _) => Ok(self.file_of(seed, size_bytes)),
            (None, Some(folder)) => self.file_in(folder, path),
            (None, None) => self.made_up(path, host),
        }
    }

    fn made_up(&self, path: &str, host: Option<&str>) -> Result<File, u16> {
        match self.paths {
            Paths::Alike => Ok(self.file_of(self.seed, *self.sizes.start())),
            Paths::Distinct => Ok(self.file_at(path)),
            Paths::Numbered(count) => {
                let names = Numbered::new(count);
                if names.has(path) { Ok(self.file_at(path)) } else { self.list(names, path, host) }
            }
        }
    }

    /// The file that only this path has.
    fn file_at(&self, path: &str) -> File {
        let size_bytes = content::size_at(self.seed, path, self.sizes.clone());
        self.file_of(content::seed_at(self.seed, path), size_bytes)
    }

    fn list(&self, names: Numbered, path: &str, host: Option<&str>) -> Result<File, u16> {
        let lines = match path {
            URLS_PATH => {
                let host = host.ok_or(400u16)?;
                Lines::Urls { root: format!("{}://{host}/", self.scheme) }
            }
            SUMS_PATH => {
                self.summed(names).ok_or(404u16)?;
                Lines::Sums { seed: self.seed, sizes: self.sizes.clone() }
            }
            _ => return Err(404),
        };
        let told = match &lines {
            Lines::Urls { root } => root.as_str(),
            Lines::Sums { .. } => path,
        };
        let tag = content::seed_at(self.seed, told);
        let list = List { names, lines };
        let size_bytes = list.size_bytes();
        Ok(File {
            bytes: FileBytes::List(Arc::new(list)),
            size_bytes,
            // Nothing of it changes while the server runs.
            etag: self.etag(|| format!("\"{tag:x}-{size_bytes:x}\"")),
            last_modified: self.last_modified.clone(),
            media_type: ANY_BYTES,
        })
    }

    /// The file of this content, with what the server says of all its files.
    pub(in crate::server) fn file_of(&self, seed: u64, size_bytes: u64) -> File {
        File {
            bytes: FileBytes::Made { seed },
            size_bytes,
            etag: self.etag(|| format!("\"{seed:x}-{size_bytes:x}\"")),
            last_modified: self.last_modified.clone(),
            media_type: ANY_BYTES,
        }
    }

    fn file_in(&self, folder: &Folder, path: &str) -> Result<File, u16> {
        let index = format!("{path}{INDEX}");
        let (stored, path) = match folder.file(path) {
            Err(404) if self.is_browsable && path.ends_with('/') => (folder.file(&index)?, &*index),
            found => (found?, path),
        };
        let version = stored.version;
        Ok(File {
            bytes: FileBytes::Stored(Arc::new(stored)),
            size_bytes: version.size_bytes,
            etag: self.etag(|| version.etag()),
            last_modified: self.last_modified.clone().or_else(|| Some(version.last_modified())),
            media_type: if self.is_browsable { media_type(path) } else { ANY_BYTES },
        })
    }

    fn etag(&self, from_content: impl FnOnce() -> String) -> Option<String> {
        match &self.etag {
            EntityTag::FromContent => Some(from_content()),
            EntityTag::Fixed(tag) => Some(tag.clone()),
            EntityTag::Absent => None,
        }
    }
}

/// By the suffix. Text is taken for UTF-8, as nearly all of it is, and browsers would guess.
fn media_type(path: &str) -> Cow<'static, str> {
    match mime_guess::from_path(path).first_raw() {
        None => ANY_BYTES,
        Some(text) if text.starts_with("text/") => format!("{text}; charset=utf-8").into(),
        Some(other) => other.into(),
    }
}
