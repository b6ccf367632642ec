//! What one item of a list says, in whichever format: its fields, and the keys that set them. Must
//! not know the formats.

use crate::base::limits::{HEAD_FIELDS_MAX, LIST_KEYS_MAX, LIST_URIS_MAX};
use crate::base::{Error, ErrorKind, Result, Url};
use crate::manifest::checksums::{Entry, shown};
use crate::manifest::line::{Algorithm, Kind};
use std::fmt;

/// Bytes of a URL that an error may repeat.
const URI_SHOWN_BYTES_MAX: usize = 400;

/// One file to fetch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListItem {
    /// Number of its first line, from 1.
    pub line: u64,
    /// URLs of the file as written, one at least; each is http or https.
    pub uris: Vec<String>,
    /// The same, parsed.
    pub urls: Vec<Url>,
    /// Why further URLs of the item cannot be used.
    pub left_out: Vec<String>,
    /// Where it goes, below the folder of the batch; may have folders.
    pub out: Option<String>,
    /// A folder for it, below that of the batch.
    pub dir: Option<String>,
    /// Its digest; of several the strongest.
    pub checksum: Option<Entry>,
    /// Its size in bytes.
    pub size: Option<u64>,
    /// Header fields to send, `Name: value`.
    pub headers: Vec<String>,
    /// Name of the client to send.
    pub user_agent: Option<String>,
    /// Keys that lists do not have, with their values: options of a download, or mistakes.
    pub other: Vec<OtherKey>,
}

/// A key whose meaning a list does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherKey {
    /// As written.
    pub key: String,
    /// As written; `…` for JSON's arrays and objects.
    pub value: String,
    /// Number of the line that has it, from 1.
    pub line: u64,
}

/// A line that is no item.
#[derive(Debug, Clone)]
pub struct BadLine {
    /// Its number, from 1.
    pub line: u64,
    /// What is wrong with it: [`ErrorKind::Usage`].
    pub error: Error,
    /// Whether nothing more of the list is read: it is no list.
    pub is_last: bool,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.error)
    }
}

/// What a key has.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// JSON's null: as if the key were missing.
    Nothing,
    Text(String),
    Number(u64),
    Texts(Vec<String>),
    /// Names and texts.
    Pairs(Vec<(String, String)>),
    /// Anything else, as it may be shown.
    Other(String),
}

impl ListItem {
    /// An item of nothing but its URLs.
    pub(super) fn new<'a>(line: u64, uris: impl Iterator<Item = &'a str>) -> Result<Self> {
        let mut item = Self { line, ..Self::default() };
        item.add_uris(uris)?;
        Ok(item)
    }

    /// Gives an item its URLs; those that cannot be used are left out while another one can be.
    pub(super) fn add_uris<'a>(&mut self, uris: impl Iterator<Item = &'a str>) -> Result<()> {
        let mut first_error = None;
        for uri in uris {
            if self.uris.len() + self.left_out.len() == LIST_URIS_MAX {
                return Err(bad(format!("more than {LIST_URIS_MAX} URLs of one file")));
            }
            match Url::parse(uri) {
                Ok(url) => {
                    self.uris.push(uri.to_owned());
                    self.urls.push(url);
                }
                Err(error) => {
                    let bytes = uri.len();
                    let is_short = bytes <= URI_SHOWN_BYTES_MAX;
                    let long = || bad(format!("cannot parse the URL, which has {bytes} bytes"));
                    let error = if is_short { error } else { long() };
                    self.left_out.push(error.to_string());
                    first_error.get_or_insert(error);
                }
            }
        }
        if !self.uris.is_empty() {
            return Ok(());
        }
        Err(first_error.unwrap_or_else(|| bad("the item has no URL")))
    }

    /// Takes up what `key`, on the line of this number, says.
    pub(super) fn apply(&mut self, key: &str, value: Value, line: u64) -> Result<()> {
        if value == Value::Nothing {
            return Ok(());
        }
        match key {
            "out" => set(&mut self.out, key, text(key, value)?),
            "dir" => set(&mut self.dir, key, text(key, value)?),
            "user-agent" | "user_agent" => set(&mut self.user_agent, key, text(key, value)?),
            "size" => set(&mut self.size, key, size(value)?),
            "header" | "headers" => self.add_headers(key, value),
            "checksum" => {
                let value = text(key, value)?;
                let (name, digits) = value
                    .split_once([':', '='])
                    .ok_or_else(|| bad("the checksum is not written as ALGORITHM:HEX"))?;
                let algorithm = Algorithm::named(name.trim()).ok_or_else(|| {
                    let what = shown(name);
                    bad(format!("checksums of the kind {what} are not supported"))
                })?;
                self.add_digest(algorithm, digits.trim())
            }
            _ => match Algorithm::named(key) {
                Some(algorithm) => self.add_digest(algorithm, text(key, value)?.trim()),
                None => self.add_other(key, value, line),
            },
        }
    }

    /// Takes up a digest: the strongest one counts.
    pub(super) fn add_digest(&mut self, algorithm: &'static Algorithm, digits: &str) -> Result<()> {
        let (kind, wanted) = (algorithm.name, algorithm.digits);
        if !algorithm.fits(digits) {
            return Err(bad(format!("the {kind} is not {wanted} hexadecimal digits")));
        }
        let entry = Entry { algorithm: kind, digits: digits.to_ascii_lowercase() };
        if let Some(present) = &self.checksum {
            if present.algorithm == kind && *present != entry {
                return Err(bad(format!("two different {kind} digests of one file")));
            }
            if rank(present.algorithm) <= rank(kind) {
                return Ok(());
            }
        }
        self.checksum = Some(entry);
        Ok(())
    }

    fn add_headers(&mut self, key: &str, value: Value) -> Result<()> {
        let fields = match value {
            Value::Text(field) => vec![field],
            Value::Texts(fields) => fields,
            Value::Pairs(fields) => {
                fields.into_iter().map(|(name, value)| format!("{name}: {value}")).collect()
            }
            _ => return Err(bad(format!("'{key}' is neither a text nor an array of texts"))),
        };
        self.headers.extend(fields);
        if self.headers.len() > HEAD_FIELDS_MAX {
            return Err(bad(format!("more than {HEAD_FIELDS_MAX} header fields")));
        }
        Ok(())
    }

    fn add_other(&mut self, key: &str, value: Value, line: u64) -> Result<()> {
        if self.other.len() == LIST_KEYS_MAX {
            return Err(bad(format!("more than {LIST_KEYS_MAX} keys that lists do not have")));
        }
        self.other.push(OtherKey { key: key.to_owned(), value: value.written(), line });
        Ok(())
    }
}

impl Value {
    fn written(self) -> String {
        match self {
            Value::Text(text) | Value::Other(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Nothing | Value::Texts(_) | Value::Pairs(_) => "…".to_owned(),
        }
    }
}

/// A line that cannot be used.
pub(super) fn bad(context: impl Into<String>) -> Error {
    Error::new(ErrorKind::Usage, context).advise("correct the line, or take it out of the list")
}

/// A second value is a mistake: nobody knows which one is meant.
fn set<T>(place: &mut Option<T>, key: &str, value: T) -> Result<()> {
    match place.replace(value) {
        Some(_) => Err(bad(format!("'{key}' is given twice"))),
        None => Ok(()),
    }
}

fn text(key: &str, value: Value) -> Result<String> {
    match value {
        Value::Text(text) => Ok(text),
        _ => Err(bad(format!("'{key}' is no text"))),
    }
}

/// Digits alone: `8M` might be a guess, and a size is compared to the byte.
fn size(value: Value) -> Result<u64> {
    let number = match value {
        Value::Number(number) => Some(number),
        Value::Text(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| bad("'size' is no whole number of bytes"))
}

fn rank(algorithm: &str) -> usize {
    Kind::Known(Algorithm::named(algorithm).expect("it was looked up there")).rank()
}
