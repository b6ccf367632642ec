//! The description of one file as it is read: what of it counts, what is noted, what makes it one
//! that cannot be used.
//!
//! A description that contradicts itself, or whose name, size or digest cannot be right, is
//! refused: nobody knows which part of it is wrong. Piece hashes and hints that cannot be right are
//! left out with a note, as the file can be checked and fetched without them.

use super::notes::Notes;
use super::xml::{Element, Tokens};
use super::{METALINK_PRIORITY_LAST, MetalinkFile, MirrorUrl, name};
use crate::base::limits::{METALINK_OTHER_KINDS_MAX, METALINK_URLS_MAX, PIECES_MAX};
use crate::base::{Error, ErrorKind, Result, Url};
use crate::manifest::checksums::{Entry, shown};
use crate::manifest::line::{Algorithm, Kind};
use crate::manifest::pieces::Pieces;
use std::collections::BTreeSet;

/// Bytes of a URL that a note may repeat.
const URL_SHOWN_BYTES_MAX: usize = 400;
/// The best `preference` of version 3.
const PREFERENCE_BEST: u64 = 100;

/// An element whose text counts. Attributes are as written, without blanks around them.
#[derive(Debug)]
pub(super) enum Leaf {
    /// The size of the file.
    Size,
    /// A digest of the file.
    Hash { kind: String },
    /// A digest of one piece.
    PieceHash { number: Option<String> },
    /// A URL of the file.
    Url(Hints),
    /// A URL of another description of the file.
    MetaUrl { kind: String },
}

/// What the attributes of a URL say.
#[derive(Debug, Default)]
pub(super) struct Hints {
    pub(super) kind: Option<String>,
    pub(super) priority: Option<String>,
    pub(super) preference: Option<String>,
    pub(super) location: Option<String>,
    pub(super) connections_max: Option<String>,
}

/// A file that is being described.
#[derive(Debug)]
pub(super) struct Draft {
    /// The number of the line it begins on.
    line: u64,
    file: MetalinkFile,
    /// The first thing that makes the description one that cannot be used.
    failed: Option<Error>,
    /// The pieces whose hashes are being read.
    pieces: Option<PiecesDraft>,
    /// URLs as written, so that each counts once.
    seen: BTreeSet<String>,
    /// URLs that found no room.
    urls_beyond: u64,
}

/// Piece hashes as they are read.
#[derive(Debug)]
struct PiecesDraft {
    /// The kind and the length of the pieces; or why their hashes cannot be used.
    pieces: Result<Pieces, String>,
    /// Their digests in hexadecimal digits, each with the number of its piece, from 0.
    hashes: Vec<(u64, String)>,
}

impl Draft {
    /// The beginning of a file's description.
    pub(super) fn open(
        tokens: &Tokens<'_>,
        element: &Element<'_>,
        notes: &mut Notes,
    ) -> Result<Self> {
        let line = element.line;
        let mut draft = Self {
            line,
            file: MetalinkFile::default(),
            failed: None,
            pieces: None,
            seen: BTreeSet::new(),
            urls_beyond: 0,
        };
        match tokens.attribute(element, "name")? {
            None => draft.fail("a file without a name".to_owned()),
            Some(name) => match name::safe(&name) {
                Ok(name) => draft.file.name = name,
                Err(reason) => draft.fail(format!("the name {} {reason}", shown(&name))),
            },
        }
        draft.limit_connections(tokens, element, notes)?;
        Ok(draft)
    }

    /// The number of the line it begins on.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Takes up the `maxconnections` of an element around the URLs; the least one counts.
    pub(super) fn limit_connections(
        &mut self,
        tokens: &Tokens<'_>,
        element: &Element<'_>,
        notes: &mut Notes,
    ) -> Result<()> {
        if let Some(text) = tokens.attribute(element, "maxconnections")? {
            let found = connections(&text, element.line, notes);
            self.file.connections_max = self.file.connections_max.into_iter().chain(found).min();
        }
        Ok(())
    }

    /// The beginning of piece hashes.
    pub(super) fn open_pieces(&mut self, tokens: &Tokens<'_>, element: &Element<'_>) -> Result<()> {
        let kind = tokens.attribute(element, "type")?.unwrap_or_default();
        let length = tokens.attribute(element, "length")?.unwrap_or_default();
        let pieces = match (Algorithm::named(kind.trim()), number(&length)) {
            (None, _) => Err(format!("the kind {} is not known", shown(&kind))),
            (_, None) => Err(format!("their length {} is no number of bytes", shown(&length))),
            (Some(algorithm), Some(length_bytes)) => Pieces::new(algorithm, length_bytes),
        };
        self.pieces = Some(PiecesDraft { pieces, hashes: Vec::new() });
        Ok(())
    }

    /// The end of piece hashes. Of several kinds the strongest one is kept.
    pub(super) fn close_pieces(&mut self, line: u64, notes: &mut Notes) {
        let draft = self.pieces.take().expect("they have begun");
        if self.failed.is_some() {
            return;
        }
        let of = shown(&self.file.name);
        let pieces = match draft.finish() {
            Ok(pieces) => pieces,
            Err(reason) => {
                return notes
                    .add(line, &format!("the piece hashes of {of} do not count: {reason}"));
            }
        };
        let present = self.file.pieces.as_ref();
        if present.is_none_or(|present| rank(pieces.algorithm) < rank(present.algorithm)) {
            self.file.pieces = Some(pieces);
        }
    }

    /// Takes up the text of an element that ends on the line of this number.
    pub(super) fn take(&mut self, leaf: Leaf, text: &str, line: u64, notes: &mut Notes) {
        if self.failed.is_some() {
            return;
        }
        match leaf {
            Leaf::Size => self.set_size(text),
            Leaf::Hash { kind } => self.add_hash(&kind, text, line, notes),
            Leaf::PieceHash { number: index } => {
                self.pieces.as_mut().expect("it stands in pieces").add(index.as_deref(), text);
            }
            Leaf::Url(hints) => self.add_url(&hints, text, line, notes),
            Leaf::MetaUrl { kind } => self.count_other(&kind),
        }
    }

    /// An element whose text is too long to mean anything.
    pub(super) fn leave_out(&mut self, leaf: &Leaf, line: u64, notes: &mut Notes) {
        let (file, what) = (shown(&self.file.name), "is too long");
        match leaf {
            Leaf::Size | Leaf::Hash { .. } => self.fail(format!("a size or hash of {file} {what}")),
            Leaf::PieceHash { .. } => {
                let draft = self.pieces.as_mut().expect("it stands in pieces");
                draft.pieces = Err(format!("one of them {what}"));
            }
            Leaf::Url(_) | Leaf::MetaUrl { .. } => {
                notes.add(line, &format!("a URL of {file} {what}"));
            }
        }
    }

    /// The file, or why its description cannot be used.
    pub(super) fn finish(mut self, notes: &mut Notes) -> Result<MetalinkFile> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let (line, name) = (self.line, shown(&self.file.name));
        if let Some(others) = self.file.left_out_in_words() {
            let what = format!("URLs of {name} that cannot be fetched: {others}");
            notes.add(line, &what);
        }
        if self.urls_beyond > 0 {
            let (beyond, kept) = (self.urls_beyond, METALINK_URLS_MAX);
            notes.add(line, &format!("the first {kept} URLs of {name} count, {beyond} do not"));
        }
        if let (Some(pieces), Some(size_bytes)) = (&self.file.pieces, self.file.size_bytes)
            && let Err(reason) = pieces.fit(size_bytes)
        {
            notes.add(line, &format!("the piece hashes of {name} do not count: {reason}"));
            self.file.pieces = None;
        }
        self.file.urls.sort_by_key(|mirror| mirror.priority);
        Ok(self.file)
    }

    fn set_size(&mut self, text: &str) {
        let name = shown(&self.file.name);
        let Some(size_bytes) = number(text) else {
            return self.fail(format!("the size {} of {name} is no number of bytes", shown(text)));
        };
        let before = self.file.size_bytes.replace(size_bytes);
        if before.is_some_and(|before| before != size_bytes) {
            self.fail(format!("two different sizes of {name}"));
        }
    }

    fn add_hash(&mut self, kind: &str, text: &str, line: u64, notes: &mut Notes) {
        let name = shown(&self.file.name);
        let Some(algorithm) = Algorithm::named(kind) else {
            let what =
                format!("a hash of {name} is of the kind {}, which is not known", shown(kind));
            return notes.add(line, &what);
        };
        if text.is_empty() {
            return notes.add(line, &format!("the {} of {name} is empty", algorithm.name));
        }
        if !algorithm.fits(text) {
            let (kind, digits) = (algorithm.name, algorithm.digits);
            return self.fail(format!("the {kind} of {name} is not {digits} hexadecimal digits"));
        }
        let entry = Entry { algorithm: algorithm.name, digits: text.to_ascii_lowercase() };
        let present = self.file.hashes.iter().find(|hash| hash.algorithm == entry.algorithm);
        match present {
            None => self.file.hashes.push(entry),
            Some(present) if *present == entry => {}
            Some(_) => self.fail(format!("two different {} digests of {name}", entry.algorithm)),
        }
    }

    fn add_url(&mut self, hints: &Hints, text: &str, line: u64, notes: &mut Notes) {
        let scheme = scheme(text);
        let is_http = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
        // Version 3 has the URLs of torrents among those of the file.
        let is_torrent = hints.kind.as_deref().is_some_and(|kind| {
            ["bittorrent", "torrent"].iter().any(|known| kind.eq_ignore_ascii_case(known))
        });
        if is_torrent || !is_http {
            return self.count_other(if is_torrent { "torrent" } else { scheme });
        }
        if self.file.urls.len() == METALINK_URLS_MAX {
            self.urls_beyond += 1;
            return;
        }
        let url = match Url::parse(text) {
            Ok(url) => url,
            Err(_) if text.len() > URL_SHOWN_BYTES_MAX => {
                let bytes = text.len();
                return notes.add(line, &format!("cannot parse a URL of {bytes} bytes"));
            }
            Err(error) => return notes.add(line, &error.to_string()),
        };
        if !self.seen.insert(text.to_owned()) {
            return notes.add(line, &format!("{url} stands there twice"));
        }
        self.file.urls.push(MirrorUrl {
            url,
            priority: priority(hints, line, notes),
            location: hints.location.as_deref().and_then(country),
            connections_max: {
                let text = hints.connections_max.as_deref();
                text.and_then(|text| connections(text, line, notes))
            },
        });
    }

    /// Counts a URL that cannot be fetched.
    fn count_other(&mut self, kind: &str) {
        const KIND_CHARS_MAX: usize = 16;
        const MANY: &str = "other kinds";
        let is_plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '/');
        let kind: String = kind.chars().filter(is_plain).take(KIND_CHARS_MAX).collect();
        let kind = if kind.is_empty() { "no scheme".to_owned() } else { kind.to_ascii_lowercase() };
        let left_out = &mut self.file.left_out;
        let is_full = left_out.len() >= METALINK_OTHER_KINDS_MAX;
        let known = left_out.iter().position(|(other, _)| *other == kind);
        let kind = if is_full && known.is_none() { MANY.to_owned() } else { kind };
        match left_out.iter_mut().find(|(other, _)| *other == kind) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => left_out.push((kind, 1)),
        }
    }

    /// The first failure is the one that is told.
    fn fail(&mut self, what: String) {
        let line = self.line;
        self.failed.get_or_insert_with(|| bad(line, what));
    }
}

impl PiecesDraft {
    /// Takes up a digest; version 3 says of which piece.
    fn add(&mut self, index: Option<&str>, digits: &str) {
        let index = match index {
            None => Some(self.hashes.len() as u64),
            Some(text) => number(text),
        };
        match index {
            // One more than there may be is an error in the end.
            Some(index) if self.hashes.len() <= PIECES_MAX => {
                self.hashes.push((index, digits.to_owned()));
            }
            Some(_) => {}
            None => self.pieces = Err("the number of a piece is none".to_owned()),
        }
    }

    fn finish(self) -> Result<Pieces, String> {
        let Self { pieces, mut hashes } = self;
        let mut pieces = pieces?;
        if hashes.is_empty() {
            return Err("there are none".to_owned());
        }
        hashes.sort_by_key(|(index, _)| *index);
        if (0..).zip(&hashes).any(|(expected, (index, _))| expected != *index) {
            return Err("a piece is missing or stands there twice".to_owned());
        }
        hashes.iter().try_for_each(|(_, digits)| pieces.add(digits))?;
        Ok(pieces)
    }
}

/// A file whose description cannot be used.
pub(super) fn bad(line: u64, what: String) -> Error {
    Error::new(ErrorKind::Usage, format!("line {line}: {what}"))
        .advise("ask whoever made the Metalink, or give the file's own URL")
}

/// 1 is the best. Version 4 says so itself (RFC 5854 section 4.2.11.2); version 3 counts down from
/// [`PREFERENCE_BEST`].
fn priority(hints: &Hints, line: u64, notes: &mut Notes) -> u32 {
    let last = METALINK_PRIORITY_LAST;
    let given = hints.priority.as_deref().and_then(|text| {
        let found = number(text).and_then(|n| u32::try_from(n).ok());
        found.filter(|n| (1..=last).contains(n)).or_else(|| {
            notes.add(line, &format!("the priority {} is none", shown(text)));
            None
        })
    });
    let preferred = || {
        let text = hints.preference.as_deref()?;
        let found = number(text).and_then(|n| PREFERENCE_BEST.checked_sub(n));
        if found.is_none() {
            notes.add(line, &format!("the preference {} is none", shown(text)));
        }
        u32::try_from(found? + 1).ok()
    };
    given.or_else(preferred).unwrap_or(last)
}

/// A limit of connections; one of 0 or without a number is none.
fn connections(text: &str, line: u64, notes: &mut Notes) -> Option<u32> {
    let found = number(text).filter(|count| *count > 0);
    if found.is_none() {
        notes.add(line, &format!("the limit of {} connections is none", shown(text)));
    }
    found.map(|count| u32::try_from(count).unwrap_or(u32::MAX))
}

/// Two letters are a country; anything else says nothing.
fn country(text: &str) -> Option<String> {
    let is_code = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_code.then(|| text.to_ascii_lowercase())
}

/// Digits alone, up to 2^64.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// What stands in front of the first colon; empty if that can be no scheme.
fn scheme(text: &str) -> &str {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let scheme = text.split_once(':').map(|(scheme, _)| scheme);
    scheme.filter(|scheme| scheme.chars().all(is_word)).unwrap_or_default()
}

fn rank(algorithm: &str) -> usize {
    Kind::Known(Algorithm::named(algorithm).expect("it was looked up there")).rank()
}
