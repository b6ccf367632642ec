//! Lists of URLs as aria2 has them: mirrors of one file on a line, its options on the next ones.

use super::item::ListItem;
use crate::base::Result;

/// The item of a line, which has no blanks around it.
pub(super) fn item(number: u64, text: &str) -> Result<ListItem> {
    let uris = text.split('\t').map(str::trim).filter(|uri| !uri.is_empty());
    ListItem::new(number, uris)
}

/// Key and value of an option line.
pub(super) fn option(text: &str) -> Option<(&str, &str)> {
    let (key, value) = text.split_once('=')?;
    let key = key.trim_end();
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let is_key = !key.is_empty() && key.chars().all(is_word);
    is_key.then_some((key, value.trim_start()))
}

/// Whether an indented line is meant as a URL: an option has no colon in front of its `=`.
pub(super) fn is_url(text: &str) -> bool {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|s| !s.is_empty() && s.chars().all(|c| c.is_ascii_alphabetic()))
}
