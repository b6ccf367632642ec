//! What goes to standard output: the digests that were asked for, in the form that
//! `sha256sum --check` reads, and texts.

use crate::base::{Error, ErrorKind, Result};
use std::io::Write;
use std::path::Path;

/// The algorithm whose lines do not name it.
const UNTAGGED: &str = "sha256";

/// Prints each digest of the file at `path`, in the order asked for: `HEX  NAME`, and what is no
/// SHA-256 with its name, as `MD5 (NAME) = HEX`. They go to standard error if the file itself went
/// to standard output.
pub(super) fn digests(path: &Path, digests: &[String], is_output_taken: bool) -> Result<()> {
    let name = path.as_os_str().as_encoded_bytes();
    let lines: Vec<u8> = digests.iter().flat_map(|digest| line(digest, name)).collect();
    if is_output_taken {
        // As with everything that is said there, nobody may be reading.
        _ = std::io::stderr().write_all(&lines);
        return Ok(());
    }
    let mut out = std::io::stdout().lock();
    out.write_all(&lines).and_then(|()| out.flush()).map_err(|cause| {
        Error::new(ErrorKind::DiskIo, "cannot write to standard output").caused_by(cause)
    })
}

/// Prints a text as it is.
pub(super) fn text(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|cause| {
        Error::new(ErrorKind::DiskIo, "cannot write to standard output").caused_by(cause)
    })
}

/// As GNU coreutils write it, with `--tag` or without: a name with a line break or a backslash is
/// escaped, which a backslash at the start says. Other bytes stay as they are, whatever their
/// encoding.
fn line(digest: &str, name: &[u8]) -> Vec<u8> {
    let (algorithm, digits) = digest.split_once(':').unwrap_or(("", digest));
    let mut escaped = Vec::with_capacity(name.len());
    for &byte in name {
        match byte {
            b'\n' => escaped.extend(b"\\n"),
            b'\r' => escaped.extend(b"\\r"),
            b'\\' => escaped.extend(b"\\\\"),
            other => escaped.push(other),
        }
    }
    let sign: &[u8] = if escaped == name { b"" } else { b"\\" };
    if algorithm == UNTAGGED {
        return [sign, digits.as_bytes(), b"  ", &escaped, b"\n"].concat();
    }
    let tag = algorithm.to_ascii_uppercase();
    [sign, tag.as_bytes(), b" (", &escaped, b") = ", digits.as_bytes(), b"\n"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_sha256sum_and_others_are_tagged() {
        assert_eq!(line("sha256:ab", b"out/x y"), b"ab  out/x y\n");
        assert_eq!(line("sha256:ab", b"a\nb\\c\rd"), b"\\ab  a\\nb\\\\c\\rd\n");
        assert_eq!(line("md5:ab", b"\xff"), b"MD5 (\xff) = ab\n");
        assert_eq!(line("sha512:ab", b"a\nb"), b"\\SHA512 (a\\nb) = ab\n");
    }
}
