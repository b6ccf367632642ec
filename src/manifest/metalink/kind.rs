//! How a Metalink is recognised: by its suffix, its content type, its first bytes. Must not know
//! who asks, or whether a user wants the Metalink itself.

/// Whether a file is called like a Metalink: `.meta4` or `.metalink`, in any case.
pub fn has_metalink_suffix(name: &str) -> bool {
    let suffix = name.rsplit_once('.').map(|(_, suffix)| suffix);
    suffix.is_some_and(|s| ["meta4", "metalink"].iter().any(|known| s.eq_ignore_ascii_case(known)))
}

/// Whether a content type, with or without parameters, is that of a Metalink (RFC 5854 section 8;
/// `application/metalink+xml` is that of version 3).
pub fn is_metalink_type(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    ["application/metalink4+xml", "application/metalink+xml"]
        .iter()
        .any(|known| essence.eq_ignore_ascii_case(known))
}

/// Whether a file that begins with `bytes` is XML whose outermost element is called `metalink`.
/// Declarations and comments in front of it have to be among `bytes`.
pub fn looks_like_metalink(bytes: &[u8]) -> bool {
    let mut rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    loop {
        rest = rest.trim_ascii_start();
        if let Some(comment) = rest.strip_prefix(b"<!--") {
            let Some(behind) = behind(comment, b"-->") else { return false };
            rest = behind;
        } else if let Some(instruction) = rest.strip_prefix(b"<?") {
            let Some(behind) = behind(instruction, b"?>") else { return false };
            rest = behind;
        } else {
            return begins_with_metalink(rest);
        }
    }
}

fn behind<'a>(bytes: &'a [u8], end: &[u8]) -> Option<&'a [u8]> {
    let at = bytes.windows(end.len()).position(|window| window == end)?;
    Some(&bytes[at + end.len()..])
}

/// `<metalink`, or with a prefix: `<m:metalink`.
fn begins_with_metalink(bytes: &[u8]) -> bool {
    let Some(tag) = bytes.strip_prefix(b"<") else { return false };
    let is_end = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'>');
    let Some(end) = tag.iter().position(is_end) else { return false };
    tag[..end].rsplit(|byte| *byte == b':').next() == Some(b"metalink".as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_and_types_in_any_case() {
        assert!(["a.meta4", "a.b.METALINK", ".meta4"].iter().all(|name| has_metalink_suffix(name)));
        let others = ["meta4", "a.meta", "a.meta4.sig", "a.metalink/x", "", "a.meta4 "];
        assert!(!others.iter().any(|name| has_metalink_suffix(name)));
        let types = ["application/metalink4+xml", "Application/Metalink+XML; charset=utf-8"];
        assert!(types.iter().all(|name| is_metalink_type(name)));
        let others = ["application/xml", "text/metalink+xml", "", "application/metalink5+xml"];
        assert!(!others.iter().any(|name| is_metalink_type(name)));
    }

    #[test]
    fn the_outermost_element_tells() {
        for text in [
            "<metalink>",
            "<metalink/>",
            "\u{feff}<?xml version=\"1.0\"?>\r\n<!-- <html> -->\n<?x y?><metalink xmlns=''>",
            "<m:metalink xmlns:m='urn:ietf:params:xml:ns:metalink'>",
            "  <!----><metalink\n",
        ] {
            assert!(looks_like_metalink(text.as_bytes()), "{text}");
        }
        for text in [
            "",
            "<metalink",
            "<metalinks>",
            "<html><metalink>",
            "metalink>",
            "<!-- <metalink> ",
            "<?xml <metalink>",
            "<!DOCTYPE metalink><metalink>",
            "<:>",
            "sha256 1024\n",
        ] {
            assert!(!looks_like_metalink(text.as_bytes()), "{text}");
        }
    }
}
