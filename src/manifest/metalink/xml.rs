//! A Metalink as XML: elements, their attributes and their text, with places for messages.
//!
//! Owns the bounds of the document and what of XML is refused: other encodings than UTF-8, document
//! types, entities of the document's own, elements that are not closed. Must not know what the
//! elements mean.

use crate::base::limits::{METALINK_BYTES_MAX, METALINK_DEPTH_MAX};
use crate::base::size::format_bytes;
use crate::base::{Error, ErrorKind, Result};
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};
use quick_xml::{NsReader, XmlVersion};
use std::borrow::Cow;

/// Characters of what the parser says that a message repeats: it names elements, which may have
/// any length.
const FAULT_CHARS_MAX: usize = 200;

/// What comes next in the document.
#[derive(Debug)]
pub(super) enum Token<'a> {
    /// An element begins.
    Open(Element<'a>),
    /// A part of the text of the innermost element.
    Text(Cow<'a, str>),
    /// The innermost element ends.
    Close,
    /// The document ends; all its elements have ended.
    End,
}

/// The beginning of an element.
#[derive(Debug)]
pub(super) struct Element<'a> {
    tag: BytesStart<'a>,
    /// Its namespace.
    pub(super) space: Space,
    /// The number of its line, from 1.
    pub(super) line: u64,
}

/// Whose vocabulary an element belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Space {
    /// No namespace is named.
    None,
    /// That of Metalink 3.
    V3,
    /// That of Metalink 4.
    V4,
    /// Another one, as named.
    Other(String),
}

/// Reads a document token by token.
pub(super) struct Tokens<'a> {
    text: &'a str,
    reader: NsReader<&'a [u8]>,
    /// Elements that are open.
    depth: usize,
    /// Whether the outermost element has ended.
    has_ended: bool,
    place: Place,
}

/// A place in the document; only ever moves forward, so that lines are counted once.
#[derive(Debug, Clone, Copy)]
struct Place {
    byte: usize,
    line: u64,
}

impl<'a> Tokens<'a> {
    /// Starts to read; refuses what is too long or no UTF-8 text.
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self> {
        if bytes.len() as u64 > METALINK_BYTES_MAX {
            let (bytes, bound) =
                (format_bytes(bytes.len() as u64), format_bytes(METALINK_BYTES_MAX));
            return Err(refused(format!("it has {bytes}, more than {bound}")));
        }
        if let [0xff, 0xfe, ..] | [0xfe, 0xff, ..] = bytes {
            return Err(refused("it is UTF-16; only UTF-8 is read"));
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let text = str::from_utf8(bytes).map_err(|error| {
            let place = Place { byte: 0, line: 1 }.moved(bytes, error.valid_up_to());
            place.fault("it is no UTF-8 text")
        })?;
        let mut reader = NsReader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        let place = Place { byte: 0, line: 1 };
        Ok(Self { text, reader, depth: 0, has_ended: false, place })
    }

    /// The next token.
    pub(super) fn next(&mut self) -> Result<Token<'a>> {
        loop {
            self.go_to(self.reader.buffer_position());
            let event = match self.reader.read_resolved_event() {
                Ok((space, event)) => {
                    let space = matches!(event, Event::Start(_)).then(|| Space::of(space));
                    (space, event)
                }
                Err(error) => return Err(self.malformed(&error)),
            };
            match event {
                (Some(space), Event::Start(tag)) => return self.open(tag, space),
                (_, Event::End(_)) => {
                    self.depth -= 1;
                    self.has_ended = self.depth == 0;
                    return Ok(Token::Close);
                }
                (_, Event::Text(text)) => return self.text(text.xml10_content()),
                (_, Event::CData(text)) => return self.text(text.xml10_content()),
                (_, Event::GeneralRef(entity)) => return self.text(self.entity(&entity)?),
                (_, Event::DocType(_)) => {
                    return Err(self.fault("document types and their entities are not read"));
                }
                (_, Event::Eof) if !self.has_ended => {
                    return Err(self.fault("it ends before its last element does"));
                }
                (_, Event::Eof) => return Ok(Token::End),
                _ => {}
            }
        }
    }

    /// The number of the line that the last token began on, from 1.
    pub(super) fn line(&self) -> u64 {
        self.place.line
    }

    /// An error at the last token.
    pub(super) fn fault(&self, what: &str) -> Error {
        self.place.fault(what)
    }

    /// The value of an attribute, with references replaced and without blanks around it.
    pub(super) fn attribute<'e>(
        &self,
        element: &'e Element<'a>,
        name: &str,
    ) -> Result<Option<Cow<'e, str>>> {
        let found = element.tag.try_get_attribute(name);
        let Some(attribute) = found.map_err(|error| self.malformed(&error.into()))? else {
            return Ok(None);
        };
        let value = attribute.normalized_value(XmlVersion::Implicit1_0);
        value.map(Some).map_err(|error| self.malformed(&error))
    }

    fn open(&mut self, tag: BytesStart<'a>, space: Space) -> Result<Token<'a>> {
        if self.has_ended {
            return Err(self.fault("a second document follows"));
        }
        self.depth += 1;
        if self.depth > METALINK_DEPTH_MAX {
            return Err(self.fault(&format!("more than {METALINK_DEPTH_MAX} nested elements")));
        }
        Ok(Token::Open(Element { tag, space, line: self.place.line }))
    }

    /// Outside of the outermost element there is nothing but blanks.
    fn text(&self, text: Cow<'a, str>) -> Result<Token<'a>> {
        if self.depth == 0 && text.contains(|c| !matches!(c, ' ' | '\t' | '\r' | '\n')) {
            return Err(self.fault("text outside of its elements"));
        }
        Ok(Token::Text(text))
    }

    /// A character, or one of the five names that XML has.
    fn entity(&self, entity: &BytesRef<'a>) -> Result<Cow<'a, str>> {
        match entity.resolve_char_ref() {
            Ok(Some(character)) => return Ok(Cow::Owned(character.to_string())),
            Ok(None) => {}
            Err(error) => return Err(self.malformed(&error)),
        }
        let known = resolve_predefined_entity(entity);
        known.map(Cow::Borrowed).ok_or_else(|| self.fault("an entity that XML does not have"))
    }

    fn malformed(&self, error: &quick_xml::Error) -> Error {
        let text = error.to_string();
        let mut short: String = text.chars().take(FAULT_CHARS_MAX).collect();
        if short.len() < text.len() {
            short.push('…');
        }
        self.place.fault(&format!("malformed XML: {short}"))
    }

    fn go_to(&mut self, byte: u64) {
        let byte = usize::try_from(byte).expect("within a text in memory");
        self.place = self.place.moved(self.text.as_bytes(), byte);
    }
}

impl Element<'_> {
    /// Its name without the prefix of its namespace.
    pub(super) fn name(&self) -> &str {
        self.tag.local_name().into_inner()
    }
}

impl Space {
    /// Slips that are in use: `https://` for `http://`, and a slash less.
    fn of(resolved: ResolveResult<'_>) -> Self {
        let name = match resolved {
            ResolveResult::Bound(Namespace(name)) => name,
            ResolveResult::Unbound => return Space::None,
            ResolveResult::Unknown(prefix) => return Space::Other(prefix),
        };
        let bare = name.trim().trim_end_matches('/');
        let is = |known: &str| bare.eq_ignore_ascii_case(known);
        if is("urn:ietf:params:xml:ns:metalink") {
            Space::V4
        } else if is("http://www.metalinker.org") || is("https://www.metalinker.org") {
            Space::V3
        } else {
            Space::Other(name.to_owned())
        }
    }

    /// Whether an element of it may be a Metalink's.
    pub(super) fn is_ours(&self) -> bool {
        !matches!(self, Space::Other(_))
    }
}

impl Place {
    /// The place `byte` bytes from the start of the document, which is not before this one.
    fn moved(self, bytes: &[u8], byte: usize) -> Self {
        let byte = byte.clamp(self.byte, bytes.len());
        let ends = bytes[self.byte..byte].iter().filter(|byte| **byte == b'\n').count();
        Self { byte, line: self.line + ends as u64 }
    }

    fn fault(self, what: &str) -> Error {
        let Place { byte, line } = self;
        refused(format!("line {line} (byte {byte}): {what}"))
    }
}

/// The document as a whole cannot be used.
pub(super) fn refused(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Usage, what)
        .within("this Metalink cannot be used")
        .advise("ask whoever made the Metalink, or give the file's own URL")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All tokens, in words.
    fn read(text: &str) -> Result<Vec<String>> {
        let mut tokens = Tokens::new(text.as_bytes())?;
        let mut words = Vec::new();
        loop {
            words.push(match tokens.next()? {
                Token::Open(element) => format!("{}@{}", element.name(), element.line),
                Token::Text(text) => format!("'{text}'"),
                Token::Close => "/".to_owned(),
                Token::End => return Ok(words),
            });
        }
    }

    #[test]
    fn elements_text_and_references() {
        let text = "\u{feff}<?xml version='1.0'?>\n<!-- <x> -->\n<a>b&amp;&#x63;\n\
                    <![CDATA[<d>]]><x:e y='1'/></a>\n";
        let words =
            ["'\n'", "'\n'", "a@3", "'b'", "'&'", "'c'", "'\n'", "'<d>'", "e@4", "/", "/", "'\n'"];
        assert_eq!(read(text).unwrap(), words);
    }

    #[test]
    fn attributes_are_found_by_name() {
        let text = "<a b='&lt;1&#9;' c=\"2\" d>";
        let mut tokens = Tokens::new(text.as_bytes()).unwrap();
        let Token::Open(element) = tokens.next().unwrap() else { panic!("an element") };
        assert_eq!(tokens.attribute(&element, "b").unwrap().as_deref(), Some("<1\t"));
        assert_eq!(tokens.attribute(&element, "c").unwrap().as_deref(), Some("2"));
        let error = tokens.attribute(&element, "x").unwrap_err();
        assert!(error.to_string().contains("line 1 (byte 0): malformed XML"), "{error}");
    }

    #[test]
    fn namespaces_are_told_apart_and_slips_tolerated() {
        let space = |text: &str| {
            let mut tokens = Tokens::new(text.as_bytes()).unwrap();
            let Token::Open(element) = tokens.next().unwrap() else { panic!("an element") };
            element.space
        };
        assert_eq!(space("<a xmlns='urn:ietf:params:xml:ns:metalink'/>"), Space::V4);
        assert_eq!(space("<m:a xmlns:m='urn:ietf:params:xml:ns:metalink'/>"), Space::V4);
        for name in ["http://www.metalinker.org/", "https://www.metalinker.org"] {
            assert_eq!(space(&format!("<a xmlns='{name}'/>")), Space::V3, "{name}");
        }
        assert_eq!(space("<a xmlns:m='urn:ietf:params:xml:ns:metalink'/>"), Space::None);
        assert_eq!(space("<a xmlns='urn:x'/>"), Space::Other("urn:x".to_owned()));
        assert!(!space("<m:a/>").is_ours());
    }

    #[test]
    fn what_is_refused_says_where() {
        let deep = "<a>".repeat(METALINK_DEPTH_MAX + 1);
        let long_name = "x".repeat(100_000);
        let mismatched = format!("<{long_name}></y>");
        for (text, what) in [
            ("", "line 1 (byte 0): it ends before"),
            ("<a>\n<b>", "line 2 (byte 7): it ends before"),
            ("<a>\n</b>", "line 2 (byte 4): malformed XML"),
            ("</a>", "malformed XML"),
            ("<a b", "malformed XML"),
            ("<a><![CDATA[", "malformed XML"),
            (&mismatched, "malformed XML"),
            (&deep, "more than 64 nested elements"),
            ("<a/><b/>", "a second document"),
            ("<!DOCTYPE a>\n<a/>", "line 1 (byte 0): document types"),
            ("<a>&x;</a>", "line 1 (byte 3): an entity"),
            ("<a>&#0;</a>", "malformed XML"),
            ("<a>&#x110000;</a>", "malformed XML"),
            ("<a>&#99999999999999999999;</a>", "malformed XML"),
            ("<a>& b</a>", "malformed XML"),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert!(error.to_string().contains(what), "{error}");
            assert!(error.to_string().chars().count() < 500, "{error}");
        }
    }

    #[test]
    fn entity_bombs_and_other_encodings_are_refused() {
        let bomb = "<!DOCTYPE l [<!ENTITY a \"x\"><!ENTITY b \"&a;&a;&a;\">]><l>&b;</l>";
        assert!(read(bomb).unwrap_err().to_string().contains("document types"));
        let external = "<!DOCTYPE l SYSTEM \"file:///etc/passwd\"><l/>";
        assert!(read(external).unwrap_err().to_string().contains("document types"));
        let refusal = |bytes: &[u8]| Tokens::new(bytes).err().unwrap().to_string();
        assert!(refusal(b"\xff\xfe<\0a\0").contains("UTF-16"));
        assert!(refusal(b"<a>\n\xe4</a>").contains("line 2 (byte 4): it is no UTF-8 text"));
        assert!(refusal(&vec![b' '; 64 << 20 | 1]).contains("more than 64.00 MiB"));
    }
}
