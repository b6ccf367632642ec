//! `Content-Disposition`: the name that a server proposes for the file (RFC 6266; the extended
//! notation is RFC 8187).
//!
//! Owns the grammar. Must not know whether the name is wanted, nor what makes a name safe here:
//! what comes out is a stranger's text, of which only the folders in front are gone.
//!
//! What browsers take is taken: a field without a type, values without quotes that have blanks, and
//! the charset `UTF8`. A parameter that makes no sense counts as missing.

use super::head::Head;
use percent_encoding::percent_decode_str;

/// The name that an answer proposes for the file: `filename*` before `filename`, the first of
/// several. `None` if it proposes none, or several fields contradict each other.
pub fn proposed_name(head: &Head) -> Option<String> {
    let value = head.single("Content-Disposition").ok().flatten()?;
    let (mut plain, mut extended) = (None, None);
    let mut rest = value;
    while let Some(Parameter { name, value, behind }) = parameter(rest) {
        if name.eq_ignore_ascii_case("filename*") && extended.is_none() {
            extended = decoded(&value);
        } else if name.eq_ignore_ascii_case("filename") && plain.is_none() {
            plain = Some(value);
        }
        rest = behind;
    }
    [extended, plain].into_iter().flatten().find_map(|name| last_segment(&name))
}

/// One parameter, and what follows it.
struct Parameter<'h> {
    name: &'h str,
    value: String,
    behind: &'h str,
}

/// The first parameter of `text`; what is none, as the type in front, is skipped.
fn parameter(text: &str) -> Option<Parameter<'_>> {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ';']);
        if rest.is_empty() {
            return None;
        }
        let end = rest.find([';', '=']).unwrap_or(rest.len());
        let name = rest[..end].trim();
        let Some(value) = rest[end..].strip_prefix('=') else {
            rest = &rest[end..];
            continue;
        };
        let value = value.trim_start_matches([' ', '\t']);
        let (value, behind) = match value.strip_prefix('"') {
            Some(quoted) => unquoted(quoted),
            None => {
                let end = value.find(';').unwrap_or(value.len());
                (value[..end].trim().to_owned(), &value[end..])
            }
        };
        return Some(Parameter { name, value, behind });
    }
}

/// A quoted string without its quotes, and what follows it up to the next parameter. One that does
/// not end goes to the end of the field.
fn unquoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => {
                let behind = &text[at + 1..];
                return (value, &behind[behind.find(';').unwrap_or(behind.len())..]);
            }
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            c => value.push(c),
        }
    }
    (value, "")
}

/// The text of `charset'language'percent-encoded`; `None` if it is none, or is in another charset
/// than those that RFC 8187 names.
fn decoded(value: &str) -> Option<String> {
    let mut parts = value.splitn(3, '\'');
    let (charset, _language, encoded) = (parts.next()?, parts.next()?, parts.next()?);
    let is_encoded = encoded.split('%').skip(1).all(|behind| {
        let digits = behind.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    if !is_encoded {
        return None;
    }
    let bytes: Vec<u8> = percent_decode_str(encoded).collect();
    match charset.trim().to_ascii_lowercase().as_str() {
        "utf-8" | "utf8" => String::from_utf8(bytes).ok(),
        "iso-8859-1" if encoded.is_ascii() => Some(bytes.into_iter().map(char::from).collect()),
        _ => None,
    }
}

/// The last part of a path of any system (RFC 6266 section 4.3), if it has one.
fn last_segment(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default().trim();
    (!last.is_empty()).then(|| last.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::head::tests::head;
    use proptest::prelude::*;

    fn name_of(value: &str) -> Option<String> {
        proposed_name(&head(200, &[("content-disposition", value)]))
    }

    #[test]
    fn every_notation_gives_the_name() {
        for (value, name) in [
            // RFC 6266 section 5.
            ("Attachment; filename=example.html", "example.html"),
            ("INLINE; FILENAME= \"an example.html\"", "an example.html"),
            ("attachment; filename*= UTF-8''%e2%82%ac%20rates", "\u{20ac} rates"),
            ("attachment; filename=\"EURO rates\"; filename*=utf-8''%e2%82%ac%20rates", "€ rates"),
            ("attachment; filename*=utf-8''%e2%82%ac; filename=\"EURO rates\"", "€"),
            // RFC 8187 section 3.2.
            ("attachment; filename*=iso-8859-1'en'%A3%20rates", "£ rates"),
            ("attachment; filename*=UTF-8'de'na%C3%AFve.txt", "naïve.txt"),
            // In the wild.
            ("attachment; filename*=UTF8''a%20b.iso", "a b.iso"),
            ("attachment; filename*=\"UTF-8''a%20b.iso\"", "a b.iso"),
            ("attachment; filename=a b.iso; size=5", "a b.iso"),
            ("attachment;filename=\"a;b=c.iso\"", "a;b=c.iso"),
            ("filename=bare.iso", "bare.iso"),
            ("; ; filename = spaced.iso ;", "spaced.iso"),
            ("attachment; filename=\"a \\\"quoted\\\" one.txt\"", "a \"quoted\" one.txt"),
            ("attachment; filename=\"never ends", "never ends"),
            ("attachment; filename=\"na\u{ef}ve.txt\"", "naïve.txt"),
            ("attachment; filename=\"a%20b.txt\"", "a%20b.txt"),
            ("attachment; filename=\"first\"; filename=\"second\"", "first"),
            ("attachment; xfilename=no; filename=yes", "yes"),
        ] {
            assert_eq!(name_of(value).as_deref(), Some(name), "{value}");
        }
    }

    #[test]
    fn only_the_last_part_of_a_path_counts() {
        for (value, name) in [
            ("attachment; filename=\"/etc/passwd\"", "passwd"),
            ("attachment; filename=\"..\\\\..\\\\boot.ini\"", "boot.ini"),
            ("attachment; filename*=UTF-8''..%2f..%2fetc%2fpasswd", "passwd"),
            ("attachment; filename*=UTF-8''a%2f; filename=b", "b"),
        ] {
            assert_eq!(name_of(value).as_deref(), Some(name), "{value}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_no_name() {
        for value in [
            "",
            "attachment",
            "inline;",
            "attachment; filename",
            "attachment; filename=",
            "attachment; filename=\"\"",
            "attachment; filename=\" \"",
            "attachment; filename=\"a/\"",
            "attachment; filename*=x.iso",
            "attachment; filename*=UTF-8'x.iso",
            "attachment; filename*=koi8-r''x.iso",
            "attachment; filename*=UTF-8''%ff",
            "attachment; filename*=iso-8859-1''\u{e9}",
            "attachment; filename*=UTF-8''100%",
            "attachment; filename*=UTF-8''%4g",
        ] {
            assert_eq!(name_of(value), None, "{value}");
        }
        let plain = "attachment; filename=b; filename*=koi8-r''a";
        assert_eq!(name_of(plain).as_deref(), Some("b"));
        let twice = [("Content-Disposition", "filename=a"), ("Content-Disposition", "filename=b")];
        assert_eq!(proposed_name(&head(200, &twice)), None, "nobody knows which one is meant");
        assert_eq!(proposed_name(&head(200, &[])), None);
    }

    #[test]
    fn long_fields_take_a_time_that_is_proportional_to_them() {
        for part in ["a;", "=", "\\\"", "filename=", "filename*=UTF-8''%41;", "filename=\"", "; "] {
            _ = name_of(&part.repeat(60_000 / part.len()));
        }
        let name = name_of(&format!("filename={}", "a".repeat(60_000)));
        assert_eq!(name.map(|name| name.len()), Some(60_000));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn any_field_is_read(
            value in "(attachment|;|=|\"|\\\\|filename|\\*|UTF-8''|%[0-9a-f]{2}|/| |\\PC){0,40}"
        ) {
            if let Some(name) = name_of(&value) {
                prop_assert!(!name.trim().is_empty() && !name.contains(['/', '\\']), "{name:?}");
            }
        }

        #[test]
        fn any_quoted_name_comes_back(name in "[^/\\\\\\x00-\\x1f\\x7f]{1,40}") {
            prop_assume!(!name.trim().is_empty());
            let quoted = name.replace('"', "\\\"");
            let found = name_of(&format!("attachment; filename=\"{quoted}\""));
            prop_assert_eq!(found.as_deref(), Some(name.trim()));
        }
    }
}
