//! What the locale of a terminal can show: all of Unicode, or ASCII, into which everything else is
//! put then. Knows no terminal.

use super::width;
use std::borrow::Cow;
use std::env;

/// The variables that name the locale of characters, the first one that is set counts (POSIX).
const VARIABLES: [&str; 3] = ["LC_ALL", "LC_CTYPE", "LANG"];

/// Which characters can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Charset {
    #[default]
    Utf8,
    Ascii,
}

impl Charset {
    /// That of this process's locale; without one it is that of C, which has ASCII.
    pub(super) fn of_locale() -> Self {
        let set = VARIABLES.iter().filter_map(env::var_os).find(|value| !value.is_empty());
        Self::of(&set.unwrap_or_default().to_string_lossy())
    }

    /// That of a locale such as `de_DE.UTF-8`.
    fn of(locale: &str) -> Self {
        let (_, codeset) = locale.split_once('.').unwrap_or_default();
        let codeset = codeset.split('@').next().unwrap_or_default().to_ascii_lowercase();
        if matches!(codeset.as_str(), "utf-8" | "utf8") { Self::Utf8 } else { Self::Ascii }
    }

    /// A line that stays, as long as it may become.
    pub(super) fn line(self, text: &str) -> Cow<'_, str> {
        self.put(text, "...")
    }

    /// A line that is drawn, which keeps its columns.
    pub(super) fn drawn(self, text: &str) -> Cow<'_, str> {
        self.put(text, "~")
    }

    fn put<'a>(self, text: &'a str, ellipsis: &str) -> Cow<'a, str> {
        if self == Self::Utf8 || text.is_ascii() {
            return Cow::Borrowed(text);
        }
        let mut put = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                '…' => put.push_str(ellipsis),
                '━' => put.push('='),
                '╸' | '─' => put.push('-'),
                c if c.is_ascii() => put.push(c),
                c => put.push_str(&"?".repeat(width::columns(c.encode_utf8(&mut [0; 4])))),
            }
        }
        Cow::Owned(put)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locales_name_their_characters() {
        for utf8 in ["C.UTF-8", "de_DE.utf8", "en_US.UTF-8@euro", "C.Utf-8"] {
            assert_eq!(Charset::of(utf8), Charset::Utf8, "{utf8}");
        }
        for ascii in ["", "C", "POSIX", "de_DE", "de_DE.ISO-8859-15@euro", "utf-8"] {
            assert_eq!(Charset::of(ascii), Charset::Ascii, "{ascii}");
        }
    }

    #[test]
    fn everything_becomes_ascii_and_what_is_drawn_keeps_its_columns() {
        let drawn = "日本…é  ━━╸──";
        assert_eq!(Charset::Ascii.drawn(drawn), "????~?  ==---");
        assert_eq!(Charset::Ascii.line("http://h/x?…"), "http://h/x?...");
        assert_eq!(Charset::Utf8.drawn(drawn), drawn);
        assert_eq!(width::columns(&Charset::Ascii.drawn(drawn)), width::columns(drawn));
    }
}
