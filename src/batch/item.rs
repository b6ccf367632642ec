//! One item: what is asked of a batch. Owns the way from a line of a list to it, where the words of
//! lists and those of the engine meet.

use super::naming;
use super::result::Asked;
use crate::base::{Error, ErrorKind, Result, Url};
use crate::engine::options::{Checksum, SourceHints};
use crate::manifest::{ListItem, OtherKey};
use std::path::PathBuf;

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
    /// URLs that were parsed already, with their texts.
    parsed: Vec<(String, Url)>,
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
        let parsed = item.uris.iter().cloned().zip(item.urls).collect();
        let asked = Asked {
            urls: item.uris,
            out: item.out,
            dir: item.dir,
            checksum,
            size: item.size,
            size_required: None,
            pieces: None,
            hints: SourceHints::default(),
            headers: item.headers,
            user_agent: item.user_agent,
            other,
        };
        Ok(Self { line: item.line, asked, notes, warnings: Vec::new(), parsed })
    }

    /// Its path below the folder of the batch.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if it cannot have one.
    pub(super) fn target(&self) -> Result<PathBuf> {
        let parsed;
        let url = match self.parsed.first() {
            Some((text, url)) if Some(text) == self.asked.urls.first() => url,
            _ => {
                parsed = self.asked.parse_urls()?;
                &parsed[0]
            }
        };
        naming::target(self.asked.out.as_deref(), self.asked.dir.as_deref(), url)
    }

    /// Those of its URLs that can be used, in their order.
    ///
    /// # Errors
    /// Of the first one, if there is none.
    pub(super) fn usable_urls(&mut self) -> Result<Vec<Url>> {
        // The caller may have changed the texts since.
        let parsed = std::mem::take(&mut self.parsed);
        if parsed.iter().map(|(text, _)| text).eq(&self.asked.urls) && !parsed.is_empty() {
            return Ok(parsed.into_iter().map(|(_, url)| url).collect());
        }
        self.asked.parse_urls()
    }
}

impl Asked {
    /// Those of its URLs that can be used, in their order.
    ///
    /// # Errors
    /// Of the first one, if there is none.
    pub(super) fn parse_urls(&self) -> Result<Vec<Url>> {
        let mut first_error = None;
        let mut urls = Vec::new();
        for text in &self.urls {
            match Url::parse(text) {
                Ok(url) => urls.push(url),
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
        }
        let none = || Error::new(ErrorKind::Usage, "an item without a URL");
        if urls.is_empty() { Err(first_error.unwrap_or_else(none)) } else { Ok(urls) }
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{ListOptions, ListReader};

    /// The one item of this list.
    fn item() -> Item {
        let mut reader = ListReader::new(ListOptions::default()).unwrap();
        reader.push(b"http://h/a\tftp://h/b\thttps://h/c\n");
        reader.finish();
        Item::of_list(reader.next().unwrap().unwrap()).unwrap()
    }

    #[test]
    fn urls_are_those_of_the_texts_also_if_these_were_changed() {
        let texts = |item: &mut Item| -> Vec<String> {
            item.usable_urls().unwrap().iter().map(ToString::to_string).collect()
        };
        assert_eq!(texts(&mut item()), ["http://h/a", "https://h/c"]);
        let mut changed = item();
        changed.asked.urls[1] = "http://h/d".into();
        assert_eq!(texts(&mut changed), ["http://h/a", "http://h/d"]);
        assert_eq!(texts(&mut Item::new("http://h/e")), ["http://h/e"]);
        assert!(Item::new("nonsense").usable_urls().is_err());
        assert!(Item::default().usable_urls().is_err());
    }
}
