//! What a finished download puts on standard output: the digests that were asked for, in the form
//! that `sha256sum --check` reads.

use crate::base::{Error, ErrorKind, Result};
use crate::engine::progress::Report;
use std::io::Write;

/// Prints `HEX  NAME` for each digest of the report; to standard error if the file itself went to
/// standard output.
pub(super) fn digests(report: &Report, is_output_taken: bool) -> Result<()> {
    let name = report.path.as_os_str().as_encoded_bytes();
    let lines: Vec<u8> = report.digests.iter().flat_map(|digest| line(digest, name)).collect();
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

/// As GNU coreutils write it: a name with a line break or a backslash is escaped, which a backslash
/// at the start says. Other bytes stay as they are, whatever their encoding.
fn line(digest: &str, name: &[u8]) -> Vec<u8> {
    let digits = digest.split_once(':').map_or(digest, |(_, digits)| digits);
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
    [sign, digits.as_bytes(), b"  ", &escaped, b"\n"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_sha256sum() {
        assert_eq!(line("sha256:ab", b"out/x y"), b"ab  out/x y\n");
        assert_eq!(line("sha256:ab", b"a\nb\\c\rd"), b"\\ab  a\\nb\\\\c\\rd\n");
        assert_eq!(line("md5:ab", b"\xff"), b"ab  \xff\n");
    }
}
