//! One item: what is asked of a batch. Owns the way from a line of a list to it, where the words of
//! lists and those of the engine meet.

use super::result::Asked;
use crate::base::{Error, ErrorKind, Result};
use crate::engine::options::Checksum;
use crate::manifest::{ListItem, OtherKey};

/// One file to fetch.
///
/// ```
/// use ringhaul::Item;
///
/// let item = Item::new("https://example.org/a/model-1.bin");
/// assert_eq!(item.asked.url(), "https://example.org/a/model-1.bin");
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Item {
    /// The number of its line in the list, for messages; 0 where there is none.
    pub line: u64,
    /// What is asked.
    pub asked: Asked,
    /// Notes on it for the user, such as a key that is not known.
    pub notes: Vec<String>,
    /// What may be wrong with it, for the user: it is fetched all the same.
    pub warnings: Vec<String>,
}

impl Item {
    /// The file at `url`, under the name that the URL has.
    pub fn new(url: impl Into<String>) -> Self {
        Self { asked: Asked { urls: vec![url.into()], ..Asked::default() }, ..Self::default() }
    }

    /// What was asked before.
    pub(crate) fn of(asked: Asked) -> Self {
        Self { asked, ..Self::default() }
    }

    /// What a line of a list asks for.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for a digest that cannot be computed.
    pub fn of_list(item: ListItem) -> Result<Self> {
        let checksum = item.checksum.map(|entry| -> Result<Checksum> {
            format!("{}:{}", entry.algorithm, entry.digits).parse()
        });
        let checksum = checksum.transpose()?;
        let unknown = |other: &OtherKey| {
            format!("line {}: '{}' means nothing here, and is ignored", other.line, other.key)
        };
        let left_out = item.left_out.iter().map(|why| format!("line {}: {why}", item.line));
        let notes = left_out.chain(item.other.iter().map(unknown)).collect();
        let other = item.other.into_iter().map(|other| (other.key, other.value)).collect();
        let asked = Asked {
            urls: item.uris,
            out: item.out,
            dir: item.dir,
            checksum,
            size: item.size,
            headers: item.headers,
            user_agent: item.user_agent,
            other,
        };
        Ok(Self { line: item.line, asked, notes, warnings: Vec::new() })
    }
}

impl Asked {
    /// The header fields of its own, name and value apart.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if one is none.
    pub(super) fn header_fields(&self) -> Result<Vec<(String, String)>> {
        let mut fields = Vec::new();
        for (number, text) in self.headers.iter().enumerate() {
            let field = text.split_once(':').map(|(name, value)| (name.trim(), value.trim()));
            let (name, value) = field.filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
                // Headers carry tokens: which one, not what it is.
                let what = format!("its header {} is no header field", number + 1);
                Error::new(ErrorKind::Usage, what).advise("write it as 'Name: value'")
            })?;
            fields.push((name.to_owned(), value.to_owned()));
        }
        if let Some(name) = &self.user_agent {
            fields.push(("User-Agent".to_owned(), name.clone()));
        }
        Ok(fields)
    }
}
