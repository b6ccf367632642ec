//! Lists of files to fetch, read as a stream: bytes go in, in pieces of any size, items come out.
//!
//! Owns the choice between the formats, which the first line that is an item decides, and what
//! belongs to an item from line to line. Holds one piece, one line and one item at a time, whatever
//! the number of lines. Must not know where the bytes come from, or what is done about an item.

mod item;
mod json;
mod lines;
mod sums;
mod uris;

pub use item::{BadLine, ListItem, OtherKey};

use super::armour::{self, Armour};
use super::line::Line;
use crate::base::limits::{LIST_LINE_BYTES_MAX, LIST_OPTIONS_BYTES_MAX};
use crate::base::size::format_bytes;
use crate::base::{Error, ErrorKind, Result};
use item::{Value, bad};
use lines::{Lines, Piece};
use std::collections::VecDeque;
use sums::Base;

/// What a list does not say itself.
#[derive(Debug, Clone, Default)]
pub struct ListOptions {
    /// The URL of the folder that a checksum list names files of: http or https. Its query, if it
    /// has one, is that of every file.
    pub base_url: Option<String>,
    /// The name of the list. It tells algorithms apart whose digests have one length (`B3SUMS`),
    /// and never decides the format.
    pub name: Option<String>,
}

/// Reads a list of files.
///
/// The formats, told apart by the first line that is an item of one of them:
/// - a URL on each line, or several separated by TAB: mirrors of one file. Following lines that
///   begin with a blank are options of that item, `key=value`, as aria2 has them;
/// - JSON Lines, an object on each line;
/// - checksums as in `SHA256SUMS`, in all forms that [`super::parse`] reads; they need
///   [`ListOptions::base_url`].
///
/// Blank lines and those that begin with `#` are stepped over; CRLF and a byte order mark do no
/// harm. A line that is no item is a [`BadLine`], and the next one counts again.
///
/// The iterator's `None` means that more bytes are needed, or, after [`ListReader::finish`], that
/// the list has ended. Take all items before the next piece is pushed: only then is the memory
/// bounded by a piece and a line.
///
/// ```
/// use ringhaul::internal::manifest::{ListOptions, ListReader};
///
/// let mut list = ListReader::new(ListOptions::default())?;
/// list.push(b"http://h/a\n  out=b\nnonsense\nhttp://h");
/// let first = list.next().expect("the next item has begun").expect("it is well-formed");
/// assert_eq!((first.line, first.out.as_deref()), (1, Some("b")));
/// assert_eq!(list.next().expect("a bad line").unwrap_err().line, 3);
/// assert!(list.next().is_none());
/// list.push(b"/c");
/// list.finish();
/// assert_eq!(list.next().expect("the last one").expect("well-formed").uris, ["http://h/c"]);
/// # Ok::<(), ringhaul::Error>(())
/// ```
#[derive(Debug)]
pub struct ListReader {
    lines: Lines,
    parser: Parser,
}

impl ListReader {
    /// A reader at the start of a list.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if the base URL is none.
    pub fn new(options: ListOptions) -> Result<Self> {
        let base = options.base_url.as_deref().map(Base::parse).transpose()?;
        Ok(Self { lines: Lines::default(), parser: Parser::new(base, options.name) })
    }

    /// Adds the next bytes of the list.
    pub fn push(&mut self, bytes: &[u8]) {
        if !self.parser.has_ended {
            self.lines.push(bytes);
        }
    }

    /// Says that the list has ended: its last line may lack an end.
    pub fn finish(&mut self) {
        self.lines.finish();
    }

    /// Indicates whether the list, which has ended and of which all items were taken, had neither
    /// items nor bad lines.
    pub fn is_empty(&self) -> bool {
        self.parser.entries == 0
    }

    /// The number of the last line, once that was read and if it has no end: where the list came
    /// through a pipe, the last item may have been cut.
    pub fn open_line(&self) -> Option<u64> {
        self.lines.open_line()
    }
}

impl Iterator for ListReader {
    type Item = Result<ListItem, BadLine>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.parser.ready.pop_front() {
                return Some(entry);
            }
            if self.parser.has_ended {
                return None;
            }
            if self.lines.are_over() {
                self.parser.end();
                continue;
            }
            let (number, piece) = self.lines.next()?;
            self.parser.take(number, piece);
        }
    }
}

/// What the lines are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// No line was an item yet.
    Unknown,
    /// URLs and options of theirs.
    Uris,
    Json,
    Sums,
}

/// What stands above a line.
#[derive(Debug)]
enum Above {
    /// Nothing that could have options.
    Nothing,
    /// An item that the next line may add an option to.
    Item(Box<ListItem>),
    /// A bad line, whose options go with it.
    BadLine,
}

/// Makes items of lines.
#[derive(Debug)]
struct Parser {
    format: Format,
    base: Option<Base>,
    name: Option<String>,
    armour: Armour,
    /// What the next option belongs to.
    above: Above,
    /// Bytes of the option lines of that item.
    options_bytes: usize,
    /// What is to be handed out: two entries at most.
    ready: VecDeque<Result<ListItem, BadLine>>,
    /// Whether no further line counts.
    has_ended: bool,
    /// Items and bad lines.
    entries: u64,
}

impl Parser {
    fn new(base: Option<Base>, name: Option<String>) -> Self {
        Self {
            format: Format::Unknown,
            base,
            name,
            armour: Armour::default(),
            above: Above::Nothing,
            options_bytes: 0,
            ready: VecDeque::new(),
            has_ended: false,
            entries: 0,
        }
    }

    fn take(&mut self, number: u64, piece: Piece<'_>) {
        match piece {
            Piece::Binary([0xff, 0xfe, ..] | [0xfe, 0xff, ..]) if number == 1 => {
                self.abandon(number, no_list("it is UTF-16"));
            }
            Piece::Binary(_) => self.abandon(number, no_list("it is binary data")),
            Piece::TooLong => {
                let bound = format_bytes(LIST_LINE_BYTES_MAX as u64);
                self.add(number, Err(bad(format!("the line is longer than {bound}"))));
            }
            Piece::Text(bytes) => self.take_bytes(number, bytes),
        }
    }

    fn take_bytes(&mut self, number: u64, bytes: &[u8]) {
        let bytes = match bytes {
            [0xef, 0xbb, 0xbf, rest @ ..] if number == 1 => rest,
            _ => bytes,
        };
        match str::from_utf8(bytes) {
            Ok(text) => self.take_text(number, text),
            Err(_) if self.format == Format::Unknown => {
                self.abandon(number, no_list("it is no UTF-8 text"));
            }
            Err(_) => {
                let error = bad("the line is no UTF-8 text");
                if self.format == Format::Uris && matches!(bytes, [b' ' | b'\t', ..]) {
                    self.spoil(number, error);
                } else {
                    self.add(number, Err(error));
                }
            }
        }
    }

    fn take_text(&mut self, number: u64, line: &str) {
        let mut text = line.trim();
        if text.starts_with('#') {
            return;
        }
        if self.format == Format::Sums {
            match self.armour.text_of(text) {
                Some(inner) => text = inner,
                None => return,
            }
        }
        if text.is_empty() || text.starts_with('#') {
            return;
        }
        let is_indented = line.starts_with([' ', '\t']);
        match self.format {
            Format::Unknown => self.decide(number, text, is_indented),
            Format::Uris if is_indented && !uris::is_url(text) => self.option(number, text),
            Format::Uris => self.add(number, uris::item(number, text)),
            Format::Json => self.add(number, json::item(number, text)),
            Format::Sums => self.sum(number, text),
        }
    }

    /// The first line, or one behind lines that were no items.
    fn decide(&mut self, number: u64, text: &str, is_indented: bool) {
        let is_signed = text == armour::BEGIN;
        if text.starts_with('{') {
            self.format = Format::Json;
            self.add(number, json::item(number, text));
        } else if text.starts_with('[') {
            let advice = "write one JSON object on each line, without brackets around them";
            self.abandon(number, no_list("it begins with '['").advise(advice));
        } else if text.starts_with('<') {
            self.abandon(number, no_list("it looks like HTML or XML"));
        } else if is_signed || Line::parse(text, self.name.as_deref()).is_some() {
            self.format = Format::Sums;
            match self.armour.text_of(text) {
                Some(text) => self.sum(number, text),
                None if self.base.is_none() => self.abandon(number, sums::lacks_base()),
                None => {}
            }
        } else if is_indented && !uris::is_url(text) {
            self.option(number, text);
        } else {
            let item = uris::item(number, text);
            if item.is_ok() {
                self.format = Format::Uris;
            }
            self.add(number, item);
        }
    }

    fn sum(&mut self, number: u64, text: &str) {
        match &self.base {
            Some(base) => self.add(number, sums::item(number, text, base, self.name.as_deref())),
            None => self.abandon(number, sums::lacks_base()),
        }
    }

    /// An option of the item above.
    fn option(&mut self, number: u64, text: &str) {
        let applied = match &mut self.above {
            Above::BadLine => return,
            Above::Nothing => Err(bad("an option without a URL above it")),
            Above::Item(item) => {
                self.options_bytes += text.len();
                let is_within = self.options_bytes <= LIST_OPTIONS_BYTES_MAX;
                let bound = format_bytes(LIST_OPTIONS_BYTES_MAX as u64);
                let option = uris::option(text).filter(|_| is_within);
                match option {
                    _ if !is_within => Err(bad(format!("its options are longer than {bound}"))),
                    Some((key, value)) => item.apply(key, Value::Text(value.to_owned()), number),
                    None => Err(bad("neither an option ('key=value') nor a URL")),
                }
            }
        };
        if let Err(error) = applied {
            self.spoil(number, error);
        }
    }

    /// The item above, if there is one yet, is bad because of this line.
    fn spoil(&mut self, number: u64, error: Error) {
        if !matches!(self.above, Above::BadLine) {
            self.above = Above::BadLine;
            self.hand_out(Err(BadLine { line: number, error, is_last: false }));
        }
    }

    fn add(&mut self, number: u64, item: Result<ListItem>) {
        self.flush();
        match item {
            Ok(item) if self.format == Format::Uris => {
                (self.above, self.options_bytes) = (Above::Item(Box::new(item)), 0);
            }
            Ok(item) => self.hand_out(Ok(item)),
            Err(error) => self.spoil(number, error),
        }
    }

    /// This is no list, or none that can be read: nothing more of it counts.
    fn abandon(&mut self, number: u64, error: Error) {
        self.end();
        self.hand_out(Err(BadLine { line: number, error, is_last: true }));
    }

    fn end(&mut self) {
        self.flush();
        self.has_ended = true;
    }

    fn flush(&mut self) {
        if let Above::Item(item) = std::mem::replace(&mut self.above, Above::Nothing) {
            self.hand_out(Ok(*item));
        }
    }

    fn hand_out(&mut self, entry: Result<ListItem, BadLine>) {
        self.entries += 1;
        self.ready.push_back(entry);
    }
}

fn no_list(why: &str) -> Error {
    let advice = "give a text of URLs, JSON Lines or checksums";
    Error::new(ErrorKind::Usage, format!("this is no list: {why}")).advise(advice)
}

#[cfg(test)]
mod tests;
