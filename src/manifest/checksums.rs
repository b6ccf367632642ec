//! Checksum files, `SHA256SUMS` and its kin: all their lines, and what they say of one file.
//!
//! Must not know how digests are computed.

use super::armour::Armour;
use super::line::{Kind, Line};
use crate::base::limits::{
    CHECKSUM_FILE_BYTES_MAX, CHECKSUM_NAMES_SHOWN_MAX, NAME_SHOWN_CHARS_MAX,
};
use crate::base::size::format_bytes;
use crate::base::{Error, ErrorKind, Result};
use std::collections::BTreeMap;

/// The lines of a checksum file.
#[derive(Debug, Clone)]
pub struct Checksums {
    lines: Vec<Line>,
}

/// What a checksum file says of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `sha512`, `blake3`, `sha256`, `sha1`, `md5`, `crc64nvme`, `crc32c` or `crc32`.
    pub algorithm: &'static str,
    /// As many hexadecimal digits as the algorithm makes, in lower case.
    pub digits: String,
}

/// Reads a checksum file: lines of GNU coreutils and b3sum (`HEX  name`, `HEX *name`, escaped
/// names), BSD (`SHA256 (name) = HEX`), openssl (`SHA2-256(name)= HEX`), or a digest alone, which
/// is that of whatever file is asked for. Comments, PGP armour and prose are stepped over; a byte
/// order mark and CRLF do no harm.
///
/// A line without a tag is told by the length of its digest, and where that is not enough by
/// `hint`, the name of the checksum file: `B3SUMS`, `x.crc32c`.
///
/// # Errors
/// [`ErrorKind::Usage`] if it is too large, no text, or has no checksum at all. The context leaves
/// the file's name to the caller.
pub fn parse(text: &[u8], hint: Option<&str>) -> Result<Checksums> {
    if text.len() as u64 > CHECKSUM_FILE_BYTES_MAX {
        let bound = format_bytes(CHECKSUM_FILE_BYTES_MAX);
        return Err(unusable(format!("more than {bound}, too large for a checksum file")));
    }
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    if text.contains(&0) {
        return Err(unusable("not a checksum file: it is no text"));
    }
    // A name in another encoding must not cost the other lines.
    let text = String::from_utf8_lossy(text);
    let mut armour = Armour::default();
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let signed = lines.filter_map(|line| armour.text_of(line));
    let lines = signed.filter_map(|line| Line::parse(line, hint)).collect();
    let checksums = Checksums { lines };
    if checksums.lines.is_empty() {
        return Err(unusable("not a checksum file: no line of it has a checksum"));
    }
    Ok(checksums)
}

impl Checksums {
    /// What is said of the file called `name`, a name without folders. Named wholly counts first;
    /// then its last part does (`./pool/name`); a digest alone is the digest of any file. Of
    /// several algorithms it is the strongest.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if the file is not named, if digests contradict each other, or if none
    /// of them is one that can be used.
    pub fn find(&self, name: &str) -> Result<Entry> {
        let said = self.about(name);
        let strongest = said.iter().min_by_key(|line| line.kind.rank());
        let strongest = strongest.ok_or_else(|| self.not_named(name))?;
        let mut first_of_kind = BTreeMap::new();
        for line in &said {
            let first = first_of_kind.entry(words(&line.kind)).or_insert(&line.digits);
            if **first != line.digits {
                let kind = words(&line.kind);
                let what = shown(name);
                return Err(unusable(format!("several different {kind} digests for {what}"))
                    .advise("give the right one with --checksum"));
            }
        }
        usable(strongest, name)
    }

    /// Indicates whether the list has a line for the file called `name`.
    pub fn names(&self, name: &str) -> bool {
        !self.about(name).is_empty()
    }

    /// The lines about a file.
    fn about(&self, name: &str) -> Vec<&Line> {
        let written = |fits: &dyn Fn(&str) -> bool| -> Vec<&Line> {
            let fits = |line: &&Line| line.name.as_deref().is_some_and(fits);
            self.lines.iter().filter(fits).collect()
        };
        let wholly = written(&|written| written.trim_start_matches("./") == name.trim());
        if !wholly.is_empty() {
            return wholly;
        }
        let in_a_folder = written(&|written| last_part(written) == name.trim());
        // A digest alone beside named ones belongs to another file.
        let are_all_nameless = self.lines.iter().all(|line| line.name.is_none());
        if are_all_nameless { self.lines.iter().collect() } else { in_a_folder }
    }

    /// Says which names there are instead: those that begin and end most like the one sought.
    fn not_named(&self, name: &str) -> Error {
        let likeness = |other: &str| {
            let same = |(a, b): &(char, char)| a.eq_ignore_ascii_case(b);
            let head = other.chars().zip(name.chars()).take_while(same).count();
            head + other.chars().rev().zip(name.chars().rev()).take_while(same).count()
        };
        let names = self.lines.iter().filter_map(|line| line.name.as_deref()).map(last_part);
        let mut ranked: Vec<_> = names.map(|other| (likeness(other), other)).collect();
        ranked.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
        ranked.dedup();
        let near: Vec<String> =
            ranked.iter().take(CHECKSUM_NAMES_SHOWN_MAX).map(|(_, other)| shown(other)).collect();
        unusable(format!("no checksum for {}, but for {}", shown(name), near.join(", ")))
            .advise("save under the listed name with -o, or give the digest with --checksum")
    }
}

/// The entry of a line, if its digest can be used.
fn usable(line: &Line, name: &str) -> Result<Entry> {
    let Kind::Known(algorithm) = line.kind else {
        let what = shown(name);
        let kind = shown(words(&line.kind));
        return Err(unusable(format!(
            "no checksum for {what} is of a supported kind, but of {kind}"
        ))
        .advise("use a file with SHA-256 or SHA-512 digests"));
    };
    if !algorithm.fits(&line.digits) {
        let (kind, wanted) = (algorithm.name, algorithm.digits);
        return Err(unusable(format!(
            "the {kind} for {} is not {wanted} hexadecimal digits",
            shown(name)
        )));
    }
    Ok(Entry { algorithm: algorithm.name, digits: line.digits.clone() })
}

fn words(kind: &Kind) -> &str {
    match kind {
        Kind::Known(algorithm) => algorithm.name,
        Kind::Foreign(words) => words,
    }
}

fn last_part(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or(name)
}

/// A text of a list in a message.
pub(super) fn shown(name: &str) -> String {
    let mut short: String = name.chars().take(NAME_SHOWN_CHARS_MAX).collect();
    if short.len() < name.len() {
        short.push('…');
    }
    format!("'{short}'")
}

fn unusable(context: impl Into<String>) -> Error {
    Error::new(ErrorKind::Usage, context)
        .advise("check what --checksum-file names, or give the digest with --checksum")
}

#[cfg(test)]
mod tests;
