//! Metalinks: descriptions of files with their mirrors and digests, version 4 (RFC 5854, `.meta4`)
//! and version 3 (`.metalink`, as Fedora and openSUSE serve it), read into one type.
//!
//! Owns what both versions mean. Must not know where a document came from, which digests can be
//! computed, or who asks which mirror.
//!
//! Both versions are read by the same rules, since documents mix them: `files`, `verification` and
//! `resources` of version 3 are stepped into wherever they stand, and `preference` counts where
//! there is no `priority`.

mod document;
mod draft;
mod kind;
mod name;
mod notes;
mod xml;

pub use kind::{has_metalink_suffix, is_metalink_type, looks_like_metalink};

use super::checksums::{Entry, shown};
use super::pieces::Pieces;
use crate::base::{Error, ErrorKind, Result, Url};

/// The priority of a URL that names none: the last one that there is (RFC 5854 section 4.1.2.5).
pub const METALINK_PRIORITY_LAST: u32 = 999_999;

/// What a Metalink says.
#[derive(Debug, Clone)]
pub struct Metalink {
    /// As its namespace says, or else its attribute.
    pub version: MetalinkVersion,
    /// The files it describes, in its order; their names differ.
    pub files: Vec<MetalinkFile>,
    /// Files whose description cannot be used, in its order. `files` and this are not both empty.
    pub refused: Vec<BadFile>,
    /// What else of it is of no use here and why, one line each, as it may be shown.
    pub notes: Vec<String>,
}

/// Of which form a Metalink is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetalinkVersion {
    /// 3.0, that of metalinker.org.
    V3,
    /// 4, that of RFC 5854.
    V4,
}

/// One file of a Metalink.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetalinkFile {
    /// Where it goes: a relative path without `..`, `.` and doubled slashes.
    pub name: String,
    /// Its size in bytes.
    pub size_bytes: Option<u64>,
    /// Its digests, one at most of each algorithm.
    pub hashes: Vec<Entry>,
    /// The digests of its pieces. Their number fits `size_bytes`, if that is given.
    pub pieces: Option<Pieces>,
    /// Where it can be fetched from, the best priority first; each URL once. May be empty.
    pub urls: Vec<MirrorUrl>,
    /// Kinds of URLs that cannot be fetched, with their number: `("ftp", 3)`, `("torrent", 1)`.
    pub left_out: Vec<(String, u32)>,
    /// Connections that the publisher asks for in total.
    pub connections_max: Option<u32>,
}

/// A URL that serves a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorUrl {
    /// http or https.
    pub url: Url,
    /// From 1, which is the best, to [`METALINK_PRIORITY_LAST`]. A `preference` of version 3, from
    /// 100 down to 0, is 1 to 101.
    pub priority: u32,
    /// The country it stands in, in lower case (ISO 3166-1).
    pub location: Option<String>,
    /// Connections that this server takes.
    pub connections_max: Option<u32>,
}

/// A file whose description cannot be used.
#[derive(Debug, Clone)]
pub struct BadFile {
    /// The number of the line it begins on, from 1.
    pub line: u64,
    /// What is wrong with it: [`ErrorKind::Usage`]. Names the file as it is written.
    pub error: Error,
}

impl Metalink {
    /// Reads a Metalink of either version.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if it is none, is malformed or too large, has a document type
    /// (whose entities could expand to any size), or describes no file; says at which line and
    /// byte. The context leaves the document's name to the caller.
    ///
    /// ```
    /// use ringhaul::internal::manifest::Metalink;
    ///
    /// let text = r#"<metalink xmlns="urn:ietf:params:xml:ns:metalink"><file name="a.iso">
    ///     <size>7</size><url priority="2">http://b/a.iso</url>
    ///     <url priority="1" location="de">http://c/a.iso</url></file></metalink>"#;
    /// let file = &Metalink::parse(text.as_bytes())?.files[0];
    /// assert_eq!((file.name.as_str(), file.size_bytes), ("a.iso", Some(7)));
    /// assert_eq!(file.urls[0].location.as_deref(), Some("de"));
    /// # Ok::<(), ringhaul::Error>(())
    /// ```
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        document::read(bytes)
    }
}

impl MetalinkFile {
    /// Checks that there is a URL to fetch the file from; the error names what is there instead.
    pub fn require_url(&self) -> Result<()> {
        if !self.urls.is_empty() {
            return Ok(());
        }
        let name = shown(&self.name);
        let what = match self.left_out_in_words() {
            None => format!("the Metalink has no URL of {name}"),
            Some(others) => format!("the Metalink has no http URL of {name}, but {others}"),
        };
        Err(Error::new(ErrorKind::Usage, what).advise("ringhaul speaks http:// and https://"))
    }

    /// `3 of ftp and 1 of torrent`; `None` if nothing was left out.
    fn left_out_in_words(&self) -> Option<String> {
        let counts: Vec<String> =
            self.left_out.iter().map(|(kind, count)| format!("{count} of {kind}")).collect();
        let (last, others) = counts.split_last()?;
        Some(if others.is_empty() {
            last.clone()
        } else {
            format!("{} and {last}", others.join(", "))
        })
    }
}

#[cfg(test)]
mod tests;
