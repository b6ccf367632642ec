//! One line of JSON Lines: an object whose keys say what the file is. A failed line of our own
//! results is one, too. Owns the bounds of what an object may hold; no message shows a value, which
//! may be a secret.

use super::item::{ListItem, Value, bad};
use crate::base::{Error, Result};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Keys of our own results that say nothing of what to fetch.
const RESULT_KEYS: [&str; 9] =
    ["slice", "path", "bytes", "seconds", "status", "digest", "validator", "retries", "error"];

/// The item of a line.
pub(super) fn item(number: u64, text: &str) -> Result<ListItem> {
    if !text.starts_with('{') {
        let advice = "this list is JSON Lines, by its first line: write {\"url\": …}";
        return Err(bad("the line is no JSON object").advise(advice));
    }
    let object: Object = serde_json::from_str(text).map_err(|error| malformed(&error))?;
    let Draft { url, urls, mut item, failed } = object.0;
    if let Some(error) = failed {
        return Err(error);
    }
    item.add_uris(url.iter().chain(&urls).map(String::as_str))?;
    item.line = number;
    item.other.iter_mut().for_each(|other| other.line = number);
    Ok(item)
}

/// serde_json counts lines of its own, of which there is one.
fn malformed(error: &serde_json::Error) -> Error {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or_default();
    bad(format!("malformed JSON at byte {}: {what}", error.column()))
}

/// What the keys have said.
#[derive(Default)]
struct Draft {
    url: Option<String>,
    urls: Vec<String>,
    /// The item yet without URLs and the number of its line.
    item: ListItem,
    /// The first value that cannot be used.
    failed: Option<Error>,
}

impl Draft {
    fn apply(&mut self, key: &str, value: Value) -> Result<()> {
        match (key, value) {
            ("url", Value::Text(url)) => match self.url.replace(url) {
                Some(_) => Err(bad("'url' is given twice")),
                None => Ok(()),
            },
            ("url", _) => Err(bad("'url' is no text")),
            ("urls", Value::Nothing) => Ok(()),
            ("urls", Value::Texts(urls)) if self.urls.is_empty() => {
                self.urls = urls;
                Ok(())
            }
            ("urls", Value::Texts(_)) => Err(bad("'urls' is given twice")),
            ("urls", _) => Err(bad("'urls' is no array of texts")),
            (key, value) => self.item.apply(key, value, 0),
        }
    }
}

struct Object(Draft);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut draft = Draft::default();
        while let Some(key) = map.next_key::<String>()? {
            if draft.failed.is_some() || RESULT_KEYS.contains(&key.as_str()) {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = map.next_value()?;
            draft.failed = draft.apply(&key, value).err();
        }
        Ok(Object(draft))
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nothing)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Other(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Other(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Other(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut texts = Vec::new();
        while let Some(element) = seq.next_element()? {
            let Value::Text(text) = element else {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(Value::Other("…".to_owned()));
            };
            texts.push(text);
        }
        Ok(Value::Texts(texts))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some((key, value)) = map.next_entry()? {
            let Value::Text(text) = value else {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                return Ok(Value::Other("…".to_owned()));
            };
            pairs.push((key, text));
        }
        Ok(Value::Pairs(pairs))
    }
}
