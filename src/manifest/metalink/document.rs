//! From the elements of a Metalink to the files it describes: which element means what, and where.
//!
//! Owns the tree of elements and the bounds of the whole document. Must not know what makes the
//! description of one file a good one.
//!
//! An element of another namespace, one that is not known, and all within it mean nothing here:
//! Fedora's `alternates`, which are older versions of the file, have sizes and hashes of their own.

use super::draft::{Draft, Hints, Leaf};
use super::notes::Notes;
use super::xml::{Element, Space, Token, Tokens, refused};
use super::{Metalink, MetalinkFile, MetalinkVersion};
use crate::base::Result;
use crate::base::limits::{METALINK_FILES_MAX, METALINK_TEXT_BYTES_MAX, METALINK_URLS_ALL_MAX};
use crate::manifest::checksums::shown;
use crate::manifest::metalink::BadFile;
use std::collections::BTreeMap;

/// Reads a whole document.
pub(super) fn read(bytes: &[u8]) -> Result<Metalink> {
    let mut tokens = Tokens::new(bytes)?;
    let mut walk = Walk::default();
    loop {
        match tokens.next()? {
            Token::Open(element) => walk.open(&tokens, &element)?,
            Token::Text(text) => walk.text(&text),
            Token::Close => walk.close(&tokens)?,
            Token::End => return walk.finish(),
        }
    }
}

/// What an element is, by its name and by the element around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Root,
    Files,
    File,
    Verification,
    Resources,
    Pieces,
    /// One whose text counts.
    Leaf,
    /// One that means nothing here, with all within it.
    Other,
}

/// What has been read so far.
#[derive(Debug, Default)]
struct Walk {
    version: Option<MetalinkVersion>,
    /// The elements that are open, the innermost one last.
    open: Vec<Kind>,
    /// The file that is being described.
    draft: Option<Draft>,
    /// The element whose text is being collected.
    leaf: Option<(Leaf, Text)>,
    files: Vec<MetalinkFile>,
    refused: Vec<BadFile>,
    /// The names of files, with the numbers of their lines.
    names: BTreeMap<String, u64>,
    /// URLs of all files that have ended.
    urls: usize,
    notes: Notes,
}

/// The text of an element: what stands in it, up to a bound.
#[derive(Debug, Default)]
struct Text {
    text: String,
    is_too_long: bool,
}

impl Walk {
    fn open(&mut self, tokens: &Tokens<'_>, element: &Element<'_>) -> Result<()> {
        let Some(&parent) = self.open.last() else {
            self.version = Some(version(tokens, element)?);
            self.open.push(Kind::Root);
            return Ok(());
        };
        let name = if element.space.is_ours() { element.name() } else { "" };
        let kind = match (parent, name) {
            (Kind::Root, "files") => Kind::Files,
            (Kind::Root | Kind::Files, "file") => {
                self.draft = Some(Draft::open(tokens, element, &mut self.notes)?);
                Kind::File
            }
            (Kind::File, "verification") => Kind::Verification,
            (Kind::File, "resources") => {
                let draft = self.draft.as_mut().expect("they stand in a file");
                draft.limit_connections(tokens, element, &mut self.notes)?;
                Kind::Resources
            }
            (Kind::File | Kind::Verification, "pieces") => {
                let draft = self.draft.as_mut().expect("they stand in a file");
                draft.open_pieces(tokens, element)?;
                Kind::Pieces
            }
            (Kind::File | Kind::Verification | Kind::Resources | Kind::Pieces, name) => {
                match leaf(tokens, element, parent, name)? {
                    Some(leaf) => {
                        self.leaf = Some((leaf, Text::default()));
                        Kind::Leaf
                    }
                    None => Kind::Other,
                }
            }
            _ => Kind::Other,
        };
        if kind == Kind::Other && parent == Kind::File && element.name() == "alternates" {
            let what = "alternates, which are other versions of the file, do not count";
            self.notes.add(element.line, what);
        }
        self.open.push(kind);
        Ok(())
    }

    fn text(&mut self, part: &str) {
        if let (Some(Kind::Leaf), Some((_, text))) = (self.open.last(), &mut self.leaf) {
            text.add(part);
        }
    }

    fn close(&mut self, tokens: &Tokens<'_>) -> Result<()> {
        match self.open.pop().expect("as many elements end as have begun") {
            Kind::Leaf => {
                let (leaf, text) = self.leaf.take().expect("the text of an element is collected");
                let draft = self.draft.as_mut().expect("it stands in a file");
                match text.whole() {
                    Some(text) => draft.take(leaf, text, tokens.line(), &mut self.notes),
                    None => draft.leave_out(&leaf, tokens.line(), &mut self.notes),
                }
            }
            Kind::Pieces => {
                let draft = self.draft.as_mut().expect("they stand in a file");
                draft.close_pieces(tokens.line(), &mut self.notes);
            }
            Kind::File => {
                let draft = self.draft.take().expect("a file is being described");
                self.add(draft, tokens)?;
            }
            Kind::Root | Kind::Files | Kind::Verification | Kind::Resources | Kind::Other => {}
        }
        Ok(())
    }

    /// Takes up a file whose description has ended.
    fn add(&mut self, draft: Draft, tokens: &Tokens<'_>) -> Result<()> {
        if self.files.len() + self.refused.len() == METALINK_FILES_MAX {
            return Err(tokens.fault(&format!("more than {METALINK_FILES_MAX} files")));
        }
        let line = draft.line();
        let file = draft.finish(&mut self.notes).and_then(|file| {
            match self.names.insert(file.name.clone(), line) {
                None => Ok(file),
                Some(first) => {
                    self.names.insert(file.name.clone(), first);
                    let name = shown(&file.name);
                    let what = format!("the name {name} is that of the file on line {first}, too");
                    Err(super::draft::bad(line, what))
                }
            }
        });
        match file {
            Ok(file) => {
                self.urls += file.urls.len();
                self.files.push(file);
            }
            Err(error) => self.refused.push(BadFile { line, error }),
        }
        if self.urls > METALINK_URLS_ALL_MAX {
            return Err(tokens.fault(&format!("more than {METALINK_URLS_ALL_MAX} URLs")));
        }
        Ok(())
    }

    fn finish(self) -> Result<Metalink> {
        if self.files.is_empty() && self.refused.is_empty() {
            return Err(refused("it describes no file"));
        }
        let version = self.version.expect("a document that has ended has begun");
        let Self { files, refused, notes, .. } = self;
        Ok(Metalink { version, files, refused, notes: notes.finish() })
    }
}

impl Text {
    fn add(&mut self, part: &str) {
        if self.text.len() + part.len() > METALINK_TEXT_BYTES_MAX {
            self.is_too_long = true;
        } else {
            self.text.push_str(part);
        }
    }

    /// All of it without blanks around it; `None` if it was too long to be kept.
    fn whole(&self) -> Option<&str> {
        (!self.is_too_long).then(|| self.text.trim())
    }
}

/// Of which version the document is, by its outermost element.
fn version(tokens: &Tokens<'_>, root: &Element<'_>) -> Result<MetalinkVersion> {
    if root.name() != "metalink" {
        let name = shown(root.name());
        return Err(tokens.fault(&format!("its outermost element is {name}, not 'metalink'")));
    }
    match &root.space {
        Space::V3 => Ok(MetalinkVersion::V3),
        Space::V4 => Ok(MetalinkVersion::V4),
        Space::None => {
            let version = tokens.attribute(root, "version")?;
            let is_3 = version.is_some_and(|version| version.trim().starts_with('3'));
            Ok(if is_3 { MetalinkVersion::V3 } else { MetalinkVersion::V4 })
        }
        Space::Other(space) => {
            let space = shown(space);
            Err(tokens.fault(&format!("its namespace {space} is not that of a Metalink")))
        }
    }
}

/// An element whose text counts, with what its attributes say.
fn leaf(
    tokens: &Tokens<'_>,
    element: &Element<'_>,
    parent: Kind,
    name: &str,
) -> Result<Option<Leaf>> {
    let text = |name| Ok(tokens.attribute(element, name)?.map(|value| value.trim().to_owned()));
    Ok(Some(match (parent, name) {
        (Kind::File, "size") => Leaf::Size,
        (Kind::Pieces, "hash") => Leaf::PieceHash { number: text("piece")? },
        (Kind::File | Kind::Verification, "hash") => {
            Leaf::Hash { kind: text("type")?.unwrap_or_default() }
        }
        (Kind::File | Kind::Resources, "url") => Leaf::Url(Hints {
            kind: text("type")?,
            priority: text("priority")?,
            preference: text("preference")?,
            location: text("location")?,
            connections_max: text("maxconnections")?,
        }),
        (Kind::File | Kind::Resources, "metaurl") => {
            Leaf::MetaUrl { kind: text("mediatype")?.unwrap_or_default() }
        }
        _ => return Ok(None),
    }))
}
