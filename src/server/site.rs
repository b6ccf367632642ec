//! What is served where: the file behind a path and its validators.
//!
//! Must not know requests, ranges or faults.

use super::digests::Digests;

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
    /// `"seed-size"`, strong, a different one for each content.
    #[default]
    FromContent,
    /// This text, with its quotes and, if weak, its `W/`.
    Fixed(String),
    /// None at all.
    Absent,
}

/// One file with what a server says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    pub(super) seed: u64,
    pub(super) size_bytes: u64,
    pub(super) etag: Option<String>,
    pub(super) last_modified: Option<String>,
}

/// All files of a server.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) seed: u64,
    pub(super) size_bytes: u64,
    pub(super) etag: EntityTag,
    pub(super) last_modified: Option<String>,
    pub(super) routes: Vec<Route>,
    pub(super) digests: Digests,
}

impl Site {
    /// The file at `path`: its route's, else the one that is everywhere.
    pub(super) fn file(&self, path: &str) -> Option<File> {
        let route = self.routes.iter().find(|route| route.path == path);
        let (seed, size_bytes) = match route.map(|route| route.what) {
            Some(Served::Missing) => return None,
            Some(Served::File { seed, size_bytes }) => (seed, size_bytes),
            None => (self.seed, self.size_bytes),
        };
        Some(self.file_of(seed, size_bytes))
    }

    /// The file of this content, with what the server says of all its files.
    pub(super) fn file_of(&self, seed: u64, size_bytes: u64) -> File {
        let etag = match &self.etag {
            EntityTag::FromContent => Some(format!("\"{seed:x}-{size_bytes:x}\"")),
            EntityTag::Fixed(tag) => Some(tag.clone()),
            EntityTag::Absent => None,
        };
        File { seed, size_bytes, etag, last_modified: self.last_modified.clone() }
    }
}
