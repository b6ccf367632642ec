//! What a server says of its files as one of several mirrors: descriptions (Metalink) with their
//! hashes, and `Link` fields (RFC 6249).
//!
//! Owns which paths are descriptions, and what is hashed for them, once. How one is written is
//! `xml`'s. Must not know requests, faults or sockets.

mod xml;

use super::bytes::FileBytes;
use super::digests;
use super::folder::FileVersion;
use super::memo::Memo;
use crate::base::Span;
use crate::base::limits::{SERVER_DESCRIPTIONS_MAX, SERVER_PIECES_MAX};
use crate::server::codec::hex::hex;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::io;
use std::sync::Arc;

/// Has a server describe its files as one of several mirrors.
///
/// `/x.meta4` is then the description of `/x` (Metalink 4, RFC 5854), and `/x.metalink` the same in
/// version 3; where a folder or a route has a file of that name, this is served instead. Of
/// [`Paths::Numbered`](crate::server::Paths::Numbered) `/list.meta4` describes all, if they have no
/// more than 1 GiB together. Faults that change a file leave its description alone, which tells the
/// truth about what the server has without them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metalink {
    /// The servers of the files, this one among them.
    pub mirrors: Vec<Mirror>,
    /// Pieces that have hashes of their own, if there are to be any. They are left out where a file
    /// has more than 131,072 of them.
    pub pieces: Option<Pieces>,
    /// Which answers have `Link` fields: one `rel=duplicate` for each of the other mirrors and one
    /// `rel=describedby` for `/x.meta4`.
    pub links: LinksOn,
    /// Indicates whether the mirrors' hosts are written as the request's `Host` has this server's:
    /// for servers that listen at every address of their machine, and do not know by which of them
    /// they are reached.
    pub host_of_request: bool,
}

/// A server that has the same files at the same paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// Scheme and authority, without a slash behind them: `http://127.0.0.1:8080`.
    pub root: String,
    /// 1 to 999999, of which 1 is preferred most (RFC 5854 4.2.16.1, RFC 6249 3.1).
    pub priority: u32,
    /// Country code, two letters (RFC 5854 4.2.16.1, RFC 6249 3.2).
    pub location: Option<String>,
}

/// The pieces of a file that are hashed one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pieces {
    /// Length of each but the last; at least 1.
    pub bytes: u64,
    /// What they are hashed with.
    pub hash: PieceHash,
}

/// The hash of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PieceHash {
    /// SHA-1, as most Metalinks have it.
    Sha1,
    /// SHA-256.
    Sha256,
}

/// Which answers have `Link` fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinksOn {
    /// Those that have bytes of a file, or its head.
    pub files: bool,
    /// Redirects (mirrorbits has them there and nowhere else).
    pub redirects: bool,
}

impl Metalink {
    /// Pieces of 1 MiB with SHA-256; `Link` fields on files and redirects.
    pub fn new(mirrors: Vec<Mirror>) -> Self {
        let pieces = Pieces { bytes: 1 << 20, hash: PieceHash::Sha256 };
        let links = LinksOn { files: true, redirects: true };
        Self { mirrors, pieces: Some(pieces), links, host_of_request: false }
    }
}

/// Suffixes of descriptions, and the version each stands for.
const SUFFIXES: [(&str, Version); 2] = [(".meta4", Version::V4), (".metalink", Version::V3)];

/// The versions of Metalink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::server) enum Version {
    V3,
    V4,
}

impl Version {
    pub(in crate::server) fn media_type(self) -> &'static str {
        match self {
            Version::V3 => "application/metalink+xml",
            Version::V4 => "application/metalink4+xml",
        }
    }
}

/// The path of the file that `path` is the description of, if it is one by its name.
pub(in crate::server) fn described(path: &str) -> Option<(&str, Version)> {
    let stripped = |(suffix, version)| Some((path.strip_suffix(suffix)?, version));
    SUFFIXES.into_iter().find_map(stripped).filter(|(file, _)| !file.ends_with('/'))
}

/// Hashes of one file, in hexadecimal digits.
#[derive(Debug)]
struct Hashes {
    /// SHA-256.
    whole: String,
    /// Empty if there are none.
    pieces: Vec<String>,
}

/// Seed and size of a made-up file, and its pieces.
type Made = (u64, u64, Option<Pieces>);

/// What all servers of this process know of made-up files, which never change.
static MADE: Memo<Made, Arc<Hashes>> = Memo::new(SERVER_DESCRIPTIONS_MAX);

/// Describes the files of one server.
#[derive(Debug)]
pub(in crate::server) struct Describer {
    metalink: Metalink,
    /// This server among the mirrors.
    own_root: String,
    stored: Memo<FileVersion, Arc<Hashes>>,
    /// Descriptions of all files, by version and by the host that is written.
    all: Memo<(Version, Option<String>), Arc<[u8]>>,
}

impl Describer {
    pub(in crate::server) fn new(metalink: Metalink) -> Self {
        let stored = Memo::new(SERVER_DESCRIPTIONS_MAX);
        let all = Memo::new(SERVER_DESCRIPTIONS_MAX);
        Self { metalink, own_root: String::new(), stored, all }
    }

    /// The server is the mirror with this root.
    pub(in crate::server) fn is_at(&mut self, own_root: String) {
        self.own_root = own_root;
    }

    /// Computes ahead what the description of a made-up file needs.
    pub(in crate::server) fn prepare(&self, seed: u64, size_bytes: u64) {
        let hashes = self.hashes(&FileBytes::Made { seed }, size_bytes);
        hashes.expect("nothing is read of a made-up file");
    }

    /// The description of the file at `path`. `host` is what the request says.
    ///
    /// # Errors
    /// What reading a stored file gives.
    pub(in crate::server) fn describe(
        &self,
        path: &str,
        version: Version,
        host: Option<&str>,
        bytes: &FileBytes,
        size_bytes: u64,
    ) -> io::Result<Arc<[u8]>> {
        Ok(written(version, &[self.file(path, host, bytes, size_bytes)?]))
    }

    /// The description of all these files, each with its path and size, which never change.
    ///
    /// # Errors
    /// What reading a stored file gives.
    pub(in crate::server) fn describe_all(
        &self,
        version: Version,
        host: Option<&str>,
        files: impl Iterator<Item = (String, FileBytes, u64)>,
    ) -> io::Result<Arc<[u8]>> {
        let host_written = host.filter(|_| self.metalink.host_of_request).map(str::to_owned);
        self.all.get_or((version, host_written), || {
            let described =
                files.map(|(path, bytes, size_bytes)| self.file(&path, host, &bytes, size_bytes));
            Ok(written(version, &described.collect::<io::Result<Vec<_>>>()?))
        })
    }

    fn file(
        &self,
        path: &str,
        host: Option<&str>,
        bytes: &FileBytes,
        size_bytes: u64,
    ) -> io::Result<xml::Description<'_>> {
        let name = path.rsplit('/').next().unwrap_or_default();
        let mirrors = self.metalink.mirrors.iter();
        let urls = mirrors.map(|mirror| (mirror, url(&self.root_of(mirror, host), path)));
        Ok(xml::Description {
            name: percent_decode_str(name).decode_utf8_lossy().into_owned(),
            size_bytes,
            hashes: self.hashes(bytes, size_bytes)?,
            pieces: self.metalink.pieces,
            urls: urls.collect(),
        })
    }

    /// The `Link` fields of an answer about the file at `path`; none where there are to be none.
    /// `host` is what the request says.
    pub(in crate::server) fn links(
        &self,
        path: &str,
        host: Option<&str>,
        is_redirect: bool,
    ) -> Vec<String> {
        let LinksOn { files, redirects } = self.metalink.links;
        if !(if is_redirect { redirects } else { files }) {
            return Vec::new();
        }
        let others = self.metalink.mirrors.iter().filter(|mirror| mirror.root != self.own_root);
        let duplicate = |mirror: &Mirror| {
            let place = mirror.location.as_ref().map(|place| format!("; geo={place}"));
            let (url, priority) = (url(&self.root_of(mirror, host), path), mirror.priority);
            format!("<{url}>; rel=duplicate; pri={priority}{}", place.unwrap_or_default())
        };
        let (description, media_type) = (url("", path), Version::V4.media_type());
        let described = format!("<{description}.meta4>; rel=describedby; type=\"{media_type}\"");
        others.map(duplicate).chain([described]).collect()
    }

    fn root_of<'a>(&self, mirror: &'a Mirror, host: Option<&str>) -> Cow<'a, str> {
        let host = host.filter(|_| self.metalink.host_of_request);
        let root = host.and_then(|host| with_host(&mirror.root, host));
        root.map_or(Cow::Borrowed(mirror.root.as_str()), Cow::Owned)
    }

    fn hashes(&self, bytes: &FileBytes, size_bytes: u64) -> io::Result<Arc<Hashes>> {
        let pieces = self.metalink.pieces.filter(|pieces| {
            let count = size_bytes.div_ceil(pieces.bytes.max(1));
            (1..=SERVER_PIECES_MAX).contains(&count)
        });
        let compute = || Hashes::of(bytes, size_bytes, pieces).map(Arc::new);
        match bytes {
            FileBytes::Made { seed } => MADE.get_or((*seed, size_bytes, pieces), compute),
            FileBytes::Stored(stored) => self.stored.get_or(stored.version, compute),
            FileBytes::List(_) | FileBytes::Text(_) => compute(),
        }
    }
}

impl Hashes {
    fn of(bytes: &FileBytes, size_bytes: u64, pieces: Option<Pieces>) -> io::Result<Self> {
        let whole = match bytes {
            FileBytes::Made { seed } => hex(&digests::sha256_of_made(*seed, size_bytes)?),
            _ => hash_of::<Sha256>(bytes, Span::new(0, size_bytes))?,
        };
        let pieces = match pieces {
            None => Vec::new(),
            Some(Pieces { bytes: piece_bytes, hash }) => {
                let piece = |number: u64| {
                    let start = number * piece_bytes;
                    let span = Span::new(start, start.saturating_add(piece_bytes).min(size_bytes));
                    match hash {
                        PieceHash::Sha1 => hash_of::<Sha1>(bytes, span),
                        PieceHash::Sha256 => hash_of::<Sha256>(bytes, span),
                    }
                };
                let count = size_bytes.div_ceil(piece_bytes.max(1));
                (0..count).map(piece).collect::<io::Result<_>>()?
            }
        };
        Ok(Self { whole, pieces })
    }
}

fn hash_of<H: Digest>(bytes: &FileBytes, span: Span) -> io::Result<String> {
    let mut hash = H::new();
    bytes.walk(span, |piece| hash.update(piece))?;
    Ok(hex(&hash.finalize()))
}

fn written(version: Version, files: &[xml::Description<'_>]) -> Arc<[u8]> {
    let text = match version {
        Version::V3 => xml::version_3(files),
        Version::V4 => xml::version_4(files),
    };
    text.into_bytes().into()
}

/// The root with the host of `authority` in place of its own, and its own port. `None` if that is
/// no host.
fn with_host(root: &str, authority: &str) -> Option<String> {
    let (scheme, own) = root.split_once("://")?;
    let port = own.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.ends_with(']'));
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => host,
        _ => authority,
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte);
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let is_host = !host.is_empty() && host.bytes().all(is_plain);
    is_host.then(|| format!("{scheme}://{host}{port}"))
}

/// What no URL has as it is (RFC 3986 2), but a request's target may have, as far as it is a line.
const UNSAFE: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'\\').add(b'^').add(b'`');

/// The URL of the file at the path of a request.
fn url(root: &str, path: &str) -> String {
    format!("{root}{}", utf8_percent_encode(path, UNSAFE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn describer(links: LinksOn) -> Describer {
        let mirror = |number: u32, location: Option<&str>| Mirror {
            root: format!("http://h{number}"),
            priority: number,
            location: location.map(str::to_owned),
        };
        let mirrors = vec![mirror(1, None), mirror(2, Some("de")), mirror(3, None)];
        let mut describer = Describer::new(Metalink { links, ..Metalink::new(mirrors) });
        describer.is_at("http://h1".to_owned());
        describer
    }

    #[test]
    fn descriptions_are_known_by_their_names() {
        assert_eq!(described("/a/b.iso.meta4"), Some(("/a/b.iso", Version::V4)));
        assert_eq!(described("/a.metalink"), Some(("/a", Version::V3)));
        for path in ["/a", "/.meta4", "/a/.metalink", "/a.meta4/", "/a.META4"] {
            assert_eq!(described(path), None, "{path}");
        }
    }

    #[test]
    fn links_name_the_others() {
        let both = describer(LinksOn { files: true, redirects: true });
        let expected = [
            "<http://h2/a%3C%3Eb>; rel=duplicate; pri=2; geo=de",
            "<http://h3/a%3C%3Eb>; rel=duplicate; pri=3",
            "</a%3C%3Eb.meta4>; rel=describedby; type=\"application/metalink4+xml\"",
        ];
        assert_eq!(both.links("/a<>b", Some("h"), false), expected);
        assert_eq!(both.links("/a<>b", None, true), expected);
        let as_mirrorbits = describer(LinksOn { files: false, redirects: true });
        let counts =
            [false, true].map(|is_redirect| as_mirrorbits.links("/a", None, is_redirect).len());
        assert_eq!(counts, [0, 3]);
    }

    #[test]
    fn hosts_may_be_those_of_the_request() {
        for (root, host, expected) in [
            ("http://127.0.0.1:80", "me:9", Some("http://me:80")),
            ("https://[::1]:80", "me", Some("https://me:80")),
            ("http://127.0.0.1", "[fe80::1]:9", Some("http://[fe80::1]")),
            ("http://[::1]", "[fe80::1]", Some("http://[fe80::1]")),
            ("http://h:80", "", None),
            ("http://h:80", ":9", None),
            ("http://h:80", "a>b", None),
        ] {
            assert_eq!(with_host(root, host).as_deref(), expected, "{root} {host}");
        }
        let mut describer = describer(LinksOn { files: true, redirects: true });
        describer.metalink.host_of_request = true;
        assert!(describer.links("/a", Some("me"), false)[0].starts_with("<http://me/a>;"));
        assert!(describer.links("/a", None, false)[0].starts_with("<http://h2/a>;"));
    }

    #[test]
    fn pieces_are_hashed_to_the_last_byte() {
        let file = FileBytes::Made { seed: 7 };
        for (size_bytes, expected) in [(0, 0), (1, 1), (30, 3), (31, 4)] {
            for hash in [PieceHash::Sha1, PieceHash::Sha256] {
                let hashes = Hashes::of(&file, size_bytes, Some(Pieces { bytes: 10, hash }));
                let hashes = hashes.unwrap();
                assert_eq!(hashes.pieces.len(), expected, "{size_bytes}");
                let whole = crate::server::content::sha256(7, size_bytes);
                assert_eq!(hashes.whole, hex(&whole));
                let digits = if hash == PieceHash::Sha1 { 40 } else { 64 };
                assert!(hashes.pieces.iter().all(|piece| piece.len() == digits));
            }
        }
        let mut last = [0];
        file.read(30, &mut last).unwrap();
        let pieces = Some(Pieces { bytes: 10, hash: PieceHash::Sha1 });
        let hashes = Hashes::of(&file, 31, pieces).unwrap();
        assert_eq!(hashes.pieces[3], hex(&Sha1::digest(last)));
    }

    #[test]
    fn too_many_pieces_are_left_out() {
        let mut describer = describer(LinksOn { files: true, redirects: true });
        describer.metalink.pieces = Some(Pieces { bytes: 1, hash: PieceHash::Sha1 });
        let file = FileBytes::Made { seed: 7 };
        assert_eq!(describer.hashes(&file, 9).unwrap().pieces.len(), 9);
        assert_eq!(describer.hashes(&file, SERVER_PIECES_MAX + 1).unwrap().pieces.len(), 0);
    }
}
