//! PGP armour around a signed text (RFC 4880 section 7): what of it is the text. Signatures are
//! stepped over, not verified. Must not know what the text says.

/// The line that opens a signed text.
pub(super) const BEGIN: &str = "-----BEGIN PGP SIGNED MESSAGE-----";

/// Where in the armour the next line stands. Goes from line to line; without armour it stays at
/// `Outside`, where every line is text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Armour {
    /// No armour has begun, or its signature has ended.
    #[default]
    Outside,
    /// Behind the opening line, where `Hash:` names the signature's algorithm.
    Headers,
    /// In the text.
    Signed,
    /// In the signature.
    Signature,
}

impl Armour {
    /// What `line`, a line without its end and without blanks around it, has of the text; `None`
    /// if it belongs to the armour.
    pub(super) fn text_of<'a>(&mut self, line: &'a str) -> Option<&'a str> {
        match line {
            BEGIN => *self = Armour::Headers,
            "-----BEGIN PGP SIGNATURE-----" => *self = Armour::Signature,
            "-----END PGP SIGNATURE-----" => *self = Armour::Outside,
            _ => return self.inner(line),
        }
        None
    }

    fn inner<'a>(&mut self, line: &'a str) -> Option<&'a str> {
        match self {
            Armour::Outside => return Some(line),
            Armour::Signature => return None,
            Armour::Headers if line.starts_with("Hash:") => return None,
            Armour::Headers => *self = Armour::Signed,
            Armour::Signed => {}
        }
        // Section 7.1: a dash at the start of a signed line is escaped.
        Some(line.strip_prefix("- ").unwrap_or(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_the_text() {
        let mut armour = Armour::default();
        for (line, text) in [
            ("Hash: x", Some("Hash: x")),
            ("- x", Some("- x")),
            (BEGIN, None),
            ("Hash: SHA256", None),
            ("Hash: SHA512", None),
            ("", Some("")),
            ("Hash: x", Some("Hash: x")),
            ("- -----", Some("-----")),
            ("- - x", Some("- x")),
            ("-----BEGIN PGP SIGNATURE-----", None),
            ("iQIz", None),
            ("", None),
            ("-----END PGP SIGNATURE-----", None),
            ("- y", Some("- y")),
            (BEGIN, None),
            ("no header", Some("no header")),
        ] {
            assert_eq!(armour.text_of(line), text, "{line}");
        }
    }
}
