//! What a server says by which a later run can tell that a file is still the same. Owns which of
//! it is recorded and how it is asked about; knows no requests.

use crate::base::limits::STATE_VALIDATOR_BYTES_MAX;
use std::fmt;

/// The validator of a fetched file, in the server's own words (RFC 9110 8.8). It is of 1 to
/// [`STATE_VALIDATOR_BYTES_MAX`] bytes without control characters, so that it may stand in a
/// request, wherever it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validator {
    form: Form,
    text: String,
}

/// Which field a validator came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `ETag`, weak ones too: two files with one weak tag differ in nothing that matters to their
    /// server, which is what a rerun asks.
    Etag,
    /// `Last-Modified`.
    LastModified,
}

impl Validator {
    /// The validator `text`; `None` if it cannot be recorded.
    pub fn new(form: Form, text: &str) -> Option<Self> {
        let is_sound = (1..=STATE_VALIDATOR_BYTES_MAX).contains(&text.len())
            && !text.chars().any(char::is_control);
        is_sound.then(|| Self { form, text: text.to_owned() })
    }

    /// Which field it came in.
    pub fn form(&self) -> Form {
        self.form
    }

    /// The value of that field: `"abc"`, `W/"abc"`, or a date.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The request field that asks for the file unless it is still the same: its name and value. A
    /// server that knows the file answers 304 then.
    pub fn condition(&self) -> (&'static str, &str) {
        let name = match self.form {
            Form::Etag => "If-None-Match",
            Form::LastModified => "If-Modified-Since",
        };
        (name, &self.text)
    }
}

impl fmt::Display for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_break_a_request_is_none() {
        let long = "a".repeat(STATE_VALIDATOR_BYTES_MAX + 1);
        for text in ["", "\"a\"\r\nHost: evil", "\"a\0\"", "\u{7f}", &long] {
            assert_eq!(Validator::new(Form::Etag, text), None, "{text:?}");
        }
        let date = "Sat, 28 Nov 2026 06:00:00 GMT";
        let modified = Validator::new(Form::LastModified, date).unwrap();
        assert_eq!(modified.condition(), ("If-Modified-Since", date));
        let weak = Validator::new(Form::Etag, "W/\"a\u{e4}\"").unwrap();
        assert_eq!(weak.condition(), ("If-None-Match", "W/\"a\u{e4}\""));
        assert!(Validator::new(Form::Etag, &long[1..]).is_some());
    }
}
