//! Which digest a file should have, by what a checksum file says. Where manifest and digest words
//! meet; must not know how the checksum file was read.

use crate::base::{Error, ErrorKind, Result};
use crate::engine::options::Checksum;
use crate::manifest;

/// The checksum that `text`, the content of the checksum file `file_name`, has for the first of
/// `names` that it names: what the file is saved as, then what it is called elsewhere.
///
/// # Errors
/// [`ErrorKind::Usage`] if it is no checksum file, names none of them, or has nothing usable to
/// say. The context leaves the checksum file's name to the caller.
///
/// ```
/// use ringhaul::internal::batch::checksum_lookup::checksum;
///
/// let text = format!("{}  disk.iso\n", "0".repeat(64));
/// let expected = checksum(text.as_bytes(), "SHA256SUMS", &["mine.iso", "disk.iso"])?;
/// assert_eq!(expected.to_string(), format!("sha256:{}", "0".repeat(64)));
/// # Ok::<(), ringhaul::Error>(())
/// ```
pub fn checksum(text: &[u8], file_name: &str, names: &[&str]) -> Result<Checksum> {
    let checksums = manifest::parse(text, Some(file_name))?;
    let named = names.iter().find(|name| checksums.names(name)).or(names.first());
    let name = named.ok_or_else(|| Error::new(ErrorKind::Usage, "no name to look up"))?;
    let entry = checksums.find(name)?;
    format!("{}:{}", entry.algorithm, entry.digits).parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(letter: char, name: &str) -> String {
        format!("{}  {name}\n", letter.to_string().repeat(64))
    }

    #[test]
    fn the_saved_name_counts_before_the_servers() {
        let text = format!("{}{}", line('a', "theirs"), line('b', "mine"));
        let digit = |names: &[&str]| {
            let expected = checksum(text.as_bytes(), "SHA256SUMS", names).unwrap();
            expected.expected[0] & 0xf
        };
        assert_eq!(digit(&["mine", "theirs"]), 0xb);
        assert_eq!(digit(&["other", "theirs"]), 0xa);
    }

    #[test]
    fn a_missing_name_is_that_of_the_saved_file() {
        for names in [&["mine", "theirs"][..], &["mine"]] {
            let error = checksum(line('a', "x").as_bytes(), "s", names).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert!(error.to_string().contains("no checksum for 'mine', but for 'x'"), "{error}");
        }
    }
}
