//! One line of a checksum file: which file it names, and with which digest.
//!
//! Owns the three ways to write that down and the table of algorithms. Must not know other lines.

/// What one line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// The file, as written but unescaped; `None` for a digest that stands alone.
    pub(super) name: Option<String>,
    pub(super) kind: Kind,
    /// Lower case.
    pub(super) digits: String,
}

/// How the digest was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Known(&'static Algorithm),
    /// In the words of the line, and of the person who has to find another file.
    Foreign(String),
}

/// An algorithm that checksum files use.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Algorithm {
    /// As in `--checksum`.
    pub(super) name: &'static str,
    /// Hexadecimal digits of its digest.
    pub(super) digits: usize,
    /// Its other names, in lower case, as tags and in names of checksum files.
    aliases: &'static [&'static str],
    /// Whether this length alone says that it is this one.
    by_length: bool,
}

/// The strongest first.
const ALGORITHMS: [Algorithm; 8] = [
    Algorithm { name: "sha512", digits: 128, aliases: &["sha-512", "sha2-512"], by_length: true },
    Algorithm { name: "blake3", digits: 64, aliases: &["b3"], by_length: false },
    Algorithm { name: "sha256", digits: 64, aliases: &["sha-256", "sha2-256"], by_length: true },
    Algorithm { name: "sha1", digits: 40, aliases: &["sha-1"], by_length: true },
    Algorithm { name: "md5", digits: 32, aliases: &[], by_length: true },
    Algorithm { name: "crc64nvme", digits: 16, aliases: &[], by_length: false },
    Algorithm { name: "crc32c", digits: 8, aliases: &[], by_length: false },
    Algorithm { name: "crc32", digits: 8, aliases: &[], by_length: false },
];

/// What `b2sum` writes looks like SHA-512, but for the name of the file.
const BLAKE2B: (&[&str], usize) = (&["b2", "blake2b", "blake2"], 128);

/// Fewer digits are a word of prose.
const DIGITS_MIN: usize = 8;

impl Line {
    /// Reads a line without its end; `None` if it is none of the known forms. What the file that it
    /// stands in is called decides between algorithms whose digests have the same length.
    pub(super) fn parse(text: &str, hint: Option<&str>) -> Option<Self> {
        let (text, is_escaped) = match text.strip_prefix('\\') {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let (name, kind, digits) = plain(text, hint).or_else(|| tagged(text))?;
        let name = if is_escaped { unescaped(name)? } else { name.to_owned() };
        // What came through a pipe has no name.
        let name = Some(name).filter(|name| !matches!(name.as_str(), "" | "-" | "stdin"));
        Some(Self { name, kind, digits: digits.to_ascii_lowercase() })
    }
}

impl Kind {
    /// Known algorithms by strength, 0 is the strongest; foreign ones come last.
    pub(super) fn rank(&self) -> usize {
        let position =
            |known: &Algorithm| ALGORITHMS.iter().position(|algorithm| algorithm == known);
        match self {
            Kind::Known(algorithm) => position(algorithm).expect("it stands in the table"),
            Kind::Foreign(_) => ALGORITHMS.len(),
        }
    }

    fn of_tag(tag: &str) -> Self {
        Algorithm::named(tag).map_or_else(|| Kind::Foreign(tag.to_owned()), Kind::Known)
    }

    fn of_length(digits: usize, hint: Option<&str>) -> Self {
        let hinted = hint.into_iter().flat_map(words).find_map(|word| {
            let (aliases, their_digits) = BLAKE2B;
            if aliases.contains(&word.as_str()) {
                return Some((Kind::Foreign("blake2b".to_owned()), their_digits));
            }
            let known = ALGORITHMS.iter().find(|known| known.is_called(&word))?;
            Some((Kind::Known(known), known.digits))
        });
        if let Some((kind, _)) = hinted.filter(|(_, their_digits)| *their_digits == digits) {
            return kind;
        }
        let by_length = ALGORITHMS.iter().find(|known| known.by_length && known.digits == digits);
        by_length.map_or_else(|| Kind::Foreign(format!("{digits} digits")), Kind::Known)
    }
}

impl Algorithm {
    /// The algorithm of this name, in any case.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        let lower = name.to_ascii_lowercase();
        ALGORITHMS.iter().find(|known| known.is_called(&lower))
    }

    /// Indicates whether `digits` can be its digest.
    pub(super) fn fits(&self, digits: &str) -> bool {
        digits.len() == self.digits && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
    }

    fn is_called(&self, lower: &str) -> bool {
        self.name == lower || self.aliases.contains(&lower)
    }
}

/// `HEX  name`, `HEX *name` (GNU coreutils, b3sum), or `HEX` alone.
fn plain<'a>(text: &'a str, hint: Option<&str>) -> Option<(&'a str, Kind, &'a str)> {
    let end = text.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if digits.len() < DIGITS_MIN || !(rest.is_empty() || rest.starts_with([' ', '\t'])) {
        return None;
    }
    // A star straight behind the separator is GNU's mark of binary mode.
    let starred = rest.get(1..).and_then(|behind| behind.strip_prefix('*'));
    let name = starred.unwrap_or(rest).trim();
    Some((name, Kind::of_length(digits.len(), hint), digits))
}

/// `TAG (name) = HEX` (BSD, `--tag`), `TAG(name)= HEX` (openssl).
fn tagged(text: &str) -> Option<(&str, Kind, &str)> {
    let (tag, rest) = text.split_once('(')?;
    let (name, rest) = rest.rsplit_once(')')?;
    let (tag, digits) = (tag.trim(), rest.trim_start().strip_prefix('=')?.trim());
    let is_tag = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '/' | '_');
    if tag.is_empty() || !tag.chars().all(is_tag) || digits.is_empty() {
        return None;
    }
    Some((name.trim(), Kind::of_tag(tag), digits))
}

/// The name behind `\n`, `\r` and `\\`; `None` if there is another escape.
fn unescaped(name: &str) -> Option<String> {
    let mut out = String::with_capacity(name.len());
    let mut chars = name.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => match chars.next()? {
                'n' => '\n',
                'r' => '\r',
                '\\' => '\\',
                _ => return None,
            },
            other => other,
        });
    }
    Some(out)
}

/// The words of a file name that may say an algorithm, the last one first: `b3` of `B3SUMS` and of
/// `x.iso.b3`. Within a name two letters are more likely a version, as in `x-b3.txt`.
fn words(name: &str) -> impl Iterator<Item = String> {
    let parts = name.rsplit(|c: char| !c.is_ascii_alphanumeric()).enumerate();
    parts.filter_map(|(index, part)| {
        let lower = part.to_ascii_lowercase();
        match lower.strip_suffix("sums").or_else(|| lower.strip_suffix("sum")) {
            Some(word) => Some(word.to_owned()),
            None if index > 0 && lower.len() <= 2 => None,
            None => Some(lower),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str, hint: Option<&str>) -> Option<(String, String)> {
        let line = Line::parse(text, hint)?;
        let kind = match line.kind {
            Kind::Known(algorithm) => algorithm.name.to_owned(),
            Kind::Foreign(words) => format!("foreign {words}"),
        };
        Some((line.name.unwrap_or_default(), kind))
    }

    #[test]
    fn every_form_is_read() {
        let (md5, sha1, sha256) = ("a".repeat(32), "B".repeat(40), "c".repeat(64));
        for (text, name, kind) in [
            (format!("{md5}  x y.iso"), "x y.iso", "md5"),
            (format!("{md5} **x"), "*x", "md5"),
            (format!("{sha1} *x.iso"), "x.iso", "sha1"),
            (format!("{sha256} x.iso"), "x.iso", "sha256"),
            (format!("{sha256}\tx.iso"), "x.iso", "sha256"),
            (format!("{}  ./pool/x.iso", "0".repeat(128)), "./pool/x.iso", "sha512"),
            (sha256.clone(), "", "sha256"),
            (format!("{sha256}  -"), "", "sha256"),
            (format!("SHA256 (x (1).iso) = {sha256}"), "x (1).iso", "sha256"),
            (format!("SHA2-256(x.iso)= {sha256}"), "x.iso", "sha256"),
            (format!("SHA512(stdin)= {sha256}"), "", "sha512"),
            (format!("BLAKE3 (x) = {sha256}"), "x", "blake3"),
            (format!("MD5 (x) = {md5}"), "x", "md5"),
            (format!("SHA-256 (x) = {sha256}"), "x", "sha256"),
            ("CRC32 (x) = cbf43926".into(), "x", "crc32"),
            ("CRC64NVME (x) = ae8b14860a799888".into(), "x", "crc64nvme"),
            (format!("SHA384 (x) = {md5}"), "x", "foreign SHA384"),
            (format!("SHA512/256 (x) = {sha256}"), "x", "foreign SHA512/256"),
            (format!("\\{md5}  a\\nb\\\\c"), "a\nb\\c", "md5"),
            (format!("\\SHA1 (a\\nb) = {sha1}"), "a\nb", "sha1"),
            (format!("{}  x", "0".repeat(96)), "x", "foreign 96 digits"),
        ] {
            assert_eq!(parsed(&text, None), Some((name.into(), kind.into())), "{text}");
        }
    }

    #[test]
    fn other_text_is_no_line() {
        for text in [
            "",
            "hello",
            "<html>",
            "# SHA256",
            "Hash: SHA256",
            "facade  x",
            "0123456789abcdefg  x",
            "SHA256 (x) =",
            "(x) = abcdef0123",
            "a b (x) = abcdef0123",
            "SHA256 (x = abcdef0123",
            "\\0123456789abcdef  a\\tb",
        ] {
            assert_eq!(parsed(text, None), None, "{text}");
        }
    }

    #[test]
    fn the_files_name_decides_between_equal_lengths() {
        for (hint, digits, kind) in [
            ("B3SUMS", 64, "blake3"),
            ("x.iso.b3", 64, "blake3"),
            ("x.blake3.txt", 64, "blake3"),
            ("x-b3.txt", 64, "sha256"),
            ("b3sum.sha256", 64, "sha256"),
            ("SHA256SUMS", 64, "sha256"),
            ("B3SUMS", 128, "sha512"),
            ("crc32c.txt", 8, "crc32c"),
            ("CRC32CSUMS", 8, "crc32c"),
            ("x.crc32", 8, "crc32"),
            ("x.sfv", 8, "foreign 8 digits"),
            ("B2SUMS", 128, "foreign blake2b"),
            ("checksums.txt", 128, "sha512"),
        ] {
            let text = format!("{}  x", "0".repeat(digits));
            assert_eq!(parsed(&text, Some(hint)), Some(("x".into(), kind.into())), "{hint}");
        }
    }
}
