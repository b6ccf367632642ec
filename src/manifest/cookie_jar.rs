//! Cookie files in Netscape's format, as curl, wget and the extensions of browsers write them: a
//! line for each cookie, with seven fields between tabs: domain, whether it is for hosts below it,
//! path, whether it is for https only, end in seconds since 1970 (0: with the session), name and
//! value. `#HttpOnly_` before the domain is part of a line; other lines with `#` are comments.
//!
//! Must not know who may set a cookie, or whom it goes to: these lines are the user's own.

use crate::base::limits::COOKIES_MAX;
use crate::base::{Error, ErrorKind, Result};
use std::fmt;

/// One line.
#[derive(Clone, PartialEq, Eq)]
pub struct JarLine {
    /// Without a dot in front.
    pub domain: String,
    /// Indicates whether hosts below the domain get it, too.
    pub is_for_below: bool,
    /// Start of the paths that it is for.
    pub path: String,
    /// Indicates whether it is for https only.
    pub is_secure: bool,
    /// Indicates whether scripts of a page must not see it.
    pub is_http_only: bool,
    /// Seconds since 1970; `None` for a cookie that ends with its session.
    pub expires: Option<u64>,
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl fmt::Debug for JarLine {
    /// Its place; the value may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JarLine({} of {}{})", self.name, self.domain, self.path)
    }
}

const HTTP_ONLY: &str = "#HttpOnly_";

/// Reads a file. Errors name the line, and nothing of what it has.
pub fn parse_cookie_jar(text: &[u8]) -> Result<Vec<JarLine>> {
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let refused = |what: &str| {
            Error::new(ErrorKind::Usage, format!("line {number}: {what}"))
                .advise("give a cookie file in Netscape's format, as 'curl -c' writes it")
        };
        let line = std::str::from_utf8(line).map_err(|_| refused("no text"))?;
        let is_http_only = line.starts_with(HTTP_ONLY);
        let line = line.strip_prefix(HTTP_ONLY).unwrap_or(line);
        if line.trim().is_empty() || (line.starts_with('#') && !is_http_only) {
            continue;
        }
        let parsed = parse_line(line, is_http_only).map_err(refused)?;
        if lines.len() == COOKIES_MAX {
            return Err(refused(&format!("more than {COOKIES_MAX} cookies")));
        }
        lines.push(parsed);
    }
    Ok(lines)
}

/// What a file has that holds these lines.
pub fn write_cookie_jar(lines: impl Iterator<Item = JarLine>) -> String {
    let mut text = "# Netscape HTTP Cookie File\n# Written by ringhaul: whoever has it has your \
                    rights.\n\n"
        .to_owned();
    for line in lines {
        let word = |is: bool| if is { "TRUE" } else { "FALSE" };
        let start = if line.is_http_only { HTTP_ONLY } else { "" };
        let dot = if line.is_for_below { "." } else { "" };
        let JarLine { domain, path, name, value, .. } = &line;
        let (below, secure) = (word(line.is_for_below), word(line.is_secure));
        let expires = line.expires.unwrap_or(0);
        text += &format!("{start}{dot}{domain}\t{below}\t{path}\t{secure}\t{expires}\t{name}\t");
        text += value;
        text.push('\n');
    }
    text
}

fn parse_line(line: &str, is_http_only: bool) -> Result<JarLine, &'static str> {
    if line.contains(|c: char| c.is_control() && c != '\t') {
        return Err("control characters");
    }
    let mut fields = line.split('\t');
    let mut next = || fields.next();
    let seven = (next(), next(), next(), next(), next(), next());
    let (Some(domain), Some(below), Some(path), Some(secure), Some(expires), Some(name)) = seven
    else {
        return Err("fewer than seven fields between tabs");
    };
    // A line whose last field is empty may have lost its last tab in an editor.
    let value = fields.next().unwrap_or_default();
    if fields.next().is_some() {
        return Err("more than seven fields between tabs");
    }
    let flag = |word: &str| match word.to_ascii_uppercase().as_str() {
        "TRUE" => Ok(true),
        "FALSE" => Ok(false),
        _ => Err("neither TRUE nor FALSE in the second or fourth field"),
    };
    // Some extensions write fractions of a second, some -1 for the session.
    let whole = expires.split('.').next().unwrap_or_default();
    let seconds: i64 = whole.parse().map_err(|_| "no time in the fifth field")?;
    let name_is_bad = name.contains([';', '=']) || value.contains(';');
    if name_is_bad || (name.is_empty() && value.is_empty()) {
        return Err("name or value cannot be those of a cookie");
    }
    let domain = domain.trim_start_matches('.').to_ascii_lowercase();
    if domain.is_empty() {
        return Err("no domain in the first field");
    }
    let path = if path.starts_with('/') { path } else { "/" };
    Ok(JarLine {
        domain,
        is_for_below: flag(below)?,
        path: path.to_owned(),
        is_secure: flag(secure)?,
        is_http_only,
        expires: u64::try_from(seconds).ok().filter(|seconds| *seconds > 0),
        name: name.to_owned(),
        value: value.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_of_curl_and_of_browsers() {
        let text = "# Netscape HTTP Cookie File\r\n\n#HttpOnly_.Example.com\tTRUE\t/\tTRUE\t\
                    1700000000\tid\ta=b c\nh\tfalse\tx\tFALSE\t0\tempty\nh\tFALSE\t/a\tFALSE\t\
                    1700000000.25\tn\tv\r\nh\tFALSE\t/\tFALSE\t-1\tn\tv";
        let lines = parse_cookie_jar(text.as_bytes()).unwrap();
        let first = JarLine {
            domain: "example.com".into(),
            is_for_below: true,
            path: "/".into(),
            is_secure: true,
            is_http_only: true,
            expires: Some(1_700_000_000),
            name: "id".into(),
            value: "a=b c".into(),
        };
        assert_eq!(lines[0], first);
        assert_eq!((lines[1].path.as_str(), lines[1].value.as_str()), ("/", ""));
        assert_eq!((lines[2].expires, lines[3].expires), (Some(1_700_000_000), None));
        assert_eq!(lines.len(), 4);
        assert!(!format!("{lines:?}").contains("a=b c"));
        assert_eq!(parse_cookie_jar(b"").unwrap(), []);
    }

    #[test]
    fn what_is_none_is_named_by_line_without_secrets() {
        for (line, what) in [
            ("sesame", "fewer than seven"),
            ("h\tTRUE\t/\tTRUE\t0\tsesame\tsesame\tx", "more than seven"),
            ("h\tmaybe\t/\tTRUE\t0\tn\tsesame", "neither TRUE"),
            ("h\tTRUE\t/\tTRUE\tsoon\tn\tsesame", "no time"),
            ("h\tTRUE\t/\tTRUE\t0\tn\tsesame;x", "cannot be"),
            ("h\tTRUE\t/\tTRUE\t0\tn\tsesame\0", "control"),
            (".\tTRUE\t/\tTRUE\t0\tn\tsesame", "no domain"),
            ("HTTP/1.1 200 OK", "fewer than seven"),
        ] {
            let text = format!("# comment\n{line}\n");
            let error = parse_cookie_jar(text.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with("line 2: ") && error.contains(what), "{line:?}: {error}");
            assert!(!error.contains("sesame"), "{error}");
        }
        assert!(parse_cookie_jar(b"\x7fELF\x02\xff").unwrap_err().to_string().contains("no text"));
        let many = "h\tTRUE\t/\tTRUE\t0\tn\tv\n".repeat(COOKIES_MAX + 1);
        assert!(parse_cookie_jar(many.as_bytes()).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None, ..ProptestConfig::with_cases(1000)
        })]

        #[test]
        fn what_is_written_is_read(
            domain in "[a-z]{1,8}(\\.[a-z]{1,4})?", path in "/[a-z/]{0,8}",
            name in "[a-z#]{1,8}", value in "[ -:<-~\u{e4}]{0,12}",
            is_for_below: bool, is_secure: bool, is_http_only: bool,
            expires in prop::option::of(1..u64::from(u32::MAX)),
        ) {
            let line = JarLine {
                domain, is_for_below, path, is_secure, is_http_only, expires, name, value,
            };
            let text = write_cookie_jar([line.clone()].into_iter());
            prop_assert_eq!(parse_cookie_jar(text.as_bytes()).unwrap(), [line]);
        }

        #[test]
        fn any_bytes_are_lines_or_an_error(text in "[#a\t\nTRUE0-9\\.\0\u{e4};=]{0,80}") {
            if let Err(error) = parse_cookie_jar(text.as_bytes()) {
                prop_assert!(error.to_string().starts_with("line "), "{error}");
            }
        }
    }
}
