//! What is served where: the file behind a path and its validators.
//!
//! Must not know requests, ranges or faults.

use super::bytes::FileBytes;
use super::digests::Digests;
use super::folder::Folder;
use std::sync::Arc;

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
}

/// All files of a server.
#[derive(Debug)]
pub(in crate::server) struct Site {
    pub(in crate::server) seed: u64,
    pub(in crate::server) size_bytes: u64,
    /// In place of the file of that seed.
    pub(in crate::server) folder: Option<Folder>,
    pub(in crate::server) etag: EntityTag,
    pub(in crate::server) last_modified: Option<String>,
    pub(in crate::server) routes: Vec<Route>,
    /// Indicates whether `/signed/x` is another name of `/x`.
    pub(in crate::server) signs: bool,
    pub(in crate::server) digests: Digests,
}

impl Site {
    /// The file at `path`: its route's, else that of the folder, else the one that is everywhere.
    ///
    /// # Errors
    /// The status to answer with.
    pub(in crate::server) fn file(&self, path: &str) -> Result<File, u16> {
        let route = self.routes.iter().find(|route| route.path == path);
        match (route.map(|route| route.what), &self.folder) {
            (Some(Served::Missing), _) => Err(404),
            (Some(Served::File { seed, size_bytes }), _) => Ok(self.file_of(seed, size_bytes)),
            (None, Some(folder)) => self.file_in(folder, path),
            (None, None) => Ok(self.file_of(self.seed, self.size_bytes)),
        }
    }

    /// The file of this content, with what the server says of all its files.
    pub(in crate::server) fn file_of(&self, seed: u64, size_bytes: u64) -> File {
        File {
            bytes: FileBytes::Made { seed },
            size_bytes,
            etag: self.etag(|| format!("\"{seed:x}-{size_bytes:x}\"")),
            last_modified: self.last_modified.clone(),
        }
    }

    fn file_in(&self, folder: &Folder, path: &str) -> Result<File, u16> {
        let stored = folder.file(path)?;
        let version = stored.version;
        Ok(File {
            bytes: FileBytes::Stored(Arc::new(stored)),
            size_bytes: version.size_bytes,
            etag: self.etag(|| version.etag()),
            last_modified: self.last_modified.clone().or_else(|| Some(version.last_modified())),
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
