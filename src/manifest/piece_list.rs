//! Lists of piece hashes, as `--piece-hashes` takes them. Must not know which digests can be
//! computed, or how large the file is.
//!
//! The format is text. Blank lines and those that begin with `#` do not count, CRLF and a byte
//! order mark do no harm. The first line that counts has the algorithm and the length of a piece in
//! bytes, or with K, M, G or T as units of 1024; each one behind it has the digest of one piece, in
//! hexadecimal digits and in the order of the file. The last piece may be shorter than the others.
//!
//! ```text
//! # 2,500,000 zeros
//! sha-256 1M
//! 30e14955ebf1352266dc2ff8067e68104607e750abb9d3b36582b8af909fcb58
//! 30e14955ebf1352266dc2ff8067e68104607e750abb9d3b36582b8af909fcb58
//! 96cffc4cfba9c89744e18a056f1954cb4c01a4feebd4839c00c74235e830c4ff
//! ```
//!
//! `(echo sha-256 1M; split -b 1M --filter='sha256sum | cut -c 1-64' FILE)` makes one. A Metalink
//! with `pieces` is taken in its place; its first bytes tell it apart.

use super::checksums::shown;
use super::line::Algorithm;
use super::metalink::{Metalink, looks_like_metalink};
use super::pieces::Pieces;
use crate::base::limits::PIECE_LIST_BYTES_MAX;
use crate::base::size::{format_bytes, parse_bytes};
use crate::base::{Error, ErrorKind, Result};

/// Reads the piece hashes of the file called `name`, a name without folders, from a list of them or
/// from a Metalink. A list has those of one file, and does not name it; of a Metalink with one file
/// the name does not matter either.
///
/// # Errors
/// [`ErrorKind::Usage`] if the text is neither, is malformed or too large, or has no piece hashes
/// of the file. The context leaves the text's own name to the caller.
///
/// ```
/// use ringhaul::internal::manifest::piece_hashes;
///
/// let pieces = piece_hashes(b"crc32c 64K\n00000000\nE3069283\n", "model.bin")?;
/// assert_eq!((pieces.algorithm, pieces.length_bytes), ("crc32c", 65_536));
/// assert_eq!(pieces.hashes[1], [0xe3, 0x06, 0x92, 0x83]);
/// # Ok::<(), ringhaul::Error>(())
/// ```
pub fn piece_hashes(text: &[u8], name: &str) -> Result<Pieces> {
    if looks_like_metalink(text) { from_metalink(text, name) } else { from_list(text) }
}

fn from_list(text: &[u8]) -> Result<Pieces> {
    if text.len() as u64 > PIECE_LIST_BYTES_MAX {
        let bound = format_bytes(PIECE_LIST_BYTES_MAX);
        return Err(unusable(format!("more than {bound}, too large for a list of piece hashes")));
    }
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let no_text = || unusable("not a list of piece hashes: it is no text");
    let text = str::from_utf8(text).ok().filter(|text| !text.contains('\0')).ok_or_else(no_text)?;
    let lines = (1..).zip(text.lines()).map(|(number, line)| (number, line.trim()));
    let mut lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let Some((number, line)) = lines.next() else {
        return Err(unusable("a list of piece hashes without a line"));
    };
    let mut pieces = header(line).map_err(|reason| bad_line(number, reason))?;
    for (number, line) in lines {
        pieces.add(line).map_err(|reason| bad_line(number, reason))?;
    }
    if pieces.hashes.is_empty() {
        return Err(unusable("a list of piece hashes without a hash"));
    }
    Ok(pieces)
}

/// The first line: `sha-256 1M`.
fn header(line: &str) -> Result<Pieces, String> {
    let words: Vec<&str> = line.split_whitespace().take(3).collect();
    let [kind, length] = words[..] else {
        let line = shown(line);
        return Err(format!("{line} is no algorithm with the length of a piece: 'sha-256 1M'"));
    };
    let algorithm =
        Algorithm::named(kind).ok_or_else(|| format!("the kind {} is not known", shown(kind)))?;
    let length_bytes = parse_bytes(length)
        .map_err(|_| format!("{} is no length in bytes, as 1048576 or 1M", shown(length)))?;
    Pieces::new(algorithm, length_bytes)
}

fn from_metalink(text: &[u8], name: &str) -> Result<Pieces> {
    let Metalink { mut files, mut refused, notes, .. } = Metalink::parse(text)?;
    let is_named = |written: &str| written.rsplit('/').next() == Some(name);
    let wanted = match files.iter().position(|file| is_named(&file.name)) {
        None if files.len() == 1 && refused.is_empty() => 0,
        None if files.is_empty() && refused.len() == 1 => return Err(refused.remove(0).error),
        None => return Err(unusable(format!("the Metalink does not describe {}", shown(name)))),
        Some(found) => found,
    };
    let file = files.swap_remove(wanted);
    file.pieces.ok_or_else(|| {
        let what = format!("the Metalink has no piece hashes of {}", shown(&file.name));
        // A note says why those that it has do not count.
        let of = format!("piece hashes of {}", shown(&file.name));
        let why = notes.into_iter().find(|note| note.contains(&of));
        unusable(why.map_or(what.clone(), |why| format!("{what}; {why}")))
    })
}

fn bad_line(number: u64, reason: String) -> Error {
    unusable(format!("line {number}: {reason}"))
}

fn unusable(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Usage, what).advise("check what --piece-hashes names")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::hex;
    use crate::base::limits::PIECES_MAX;
    use proptest::prelude::*;

    const MD5: &str = "d41d8cd98f00b204e9800998ecf8427e";

    fn read(text: &str) -> Result<Pieces> {
        piece_hashes(text.as_bytes(), "f")
    }

    #[test]
    fn a_line_for_each_piece() {
        let upper = MD5.to_uppercase();
        let text = format!("\u{feff}# f\r\n\r\n MD5\t 64KiB \r\n#\n{MD5}\r\n  {upper}  \n{MD5}");
        let pieces = read(&text).unwrap();
        assert_eq!((pieces.algorithm, pieces.length_bytes), ("md5", 65_536));
        assert_eq!(pieces.hashes, vec![hex::decode(MD5).unwrap(); 3]);
        for (length, bytes) in [("1048576", 1 << 20), ("1M", 1 << 20), ("2g", 2 << 30)] {
            assert_eq!(read(&format!("md5 {length}\n{MD5}")).unwrap().length_bytes, bytes);
        }
    }

    #[test]
    fn what_is_no_list_says_which_line() {
        let long = format!("md5 1M\n{}", "0".repeat(100_000));
        for (text, reason) in [
            ("", "without a line"),
            ("# only\n\n", "without a line"),
            ("md5 1M\n", "without a hash"),
            ("md5\n", "line 1: 'md5' is no algorithm with the length"),
            ("md5 1M x\n", "is no algorithm with the length"),
            ("\n#\nsha-384 1M\n", "line 3: the kind 'sha-384' is not known"),
            ("md5 1X\n", "line 1: '1X' is no length in bytes"),
            ("md5 -1\n", "is no length in bytes"),
            ("md5 0\n", "line 1: a piece of 0 bytes"),
            ("md5 99999999T\n", "line 1:"),
            ("md5 1M\n0\n", "line 2: the md5 of piece 1 is not 32 hexadecimal digits"),
            (&long, "line 2: the md5 of piece 1"),
            ("d41d8cd98f00b204e9800998ecf8427e  f\n", "line 1: the kind 'd41d8cd98f00b204e"),
            ("md5 1M\0", "it is no text"),
            ("<html>", "line 1: '<html>' is no algorithm"),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{text}");
            assert!(error.to_string().contains(reason), "{error}");
            assert!(error.to_string().len() < 300, "{error}");
        }
        assert!(piece_hashes(b"md5 1M\n\xff", "f").unwrap_err().to_string().contains("no text"));
    }

    #[test]
    fn lists_are_bounded() {
        let many = format!("crc32 1M\n{}", "00000000\n".repeat(PIECES_MAX + 1));
        assert!(read(&many).unwrap_err().to_string().contains("more than 1000000 pieces"));
        let large = vec![b'#'; 64 << 20 | 1];
        let error = piece_hashes(&large, "f").unwrap_err();
        assert!(error.to_string().contains("more than 64.00 MiB"), "{error}");
    }

    fn metalink(files: &str) -> String {
        format!("<metalink xmlns='urn:ietf:params:xml:ns:metalink'>{files}</metalink>")
    }

    #[test]
    fn a_metalink_does_as_well() {
        let described = |name: &str, length: u64| {
            format!(
                "<file name='{name}'><pieces type='md5' length='{length}'><hash>{MD5}</hash>\
                 </pieces></file>"
            )
        };
        let one = metalink(&described("d/other", 1024));
        assert_eq!(read(&one).unwrap().length_bytes, 1024, "one file needs no name");
        let two = metalink(&[described("a", 1024), described("d/f", 2048)].concat());
        assert_eq!(read(&two).unwrap().length_bytes, 2048);
        let error = piece_hashes(two.as_bytes(), "g").unwrap_err();
        assert!(error.to_string().contains("does not describe 'g'"), "{error}");
    }

    #[test]
    fn a_metalink_without_piece_hashes_says_why() {
        for (files, reason) in [
            ("<file name='f'/>", "the Metalink has no piece hashes of 'f' (your side)"),
            (
                "<file name='f'><pieces type='x' length='1'/></file>",
                "no piece hashes of 'f'; line 1: the piece hashes of 'f' do not count: the kind",
            ),
            ("<file name='../f'/>", "leaves the folder"),
            ("<file name='a'/><file name='../f'/>", "does not describe 'f'"),
            ("", "describes no file"),
        ] {
            let error = read(&metalink(files)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert!(error.to_string().contains(reason), "{error}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn what_is_written_is_read(
            hashes in prop::collection::vec(prop::collection::vec(any::<u8>(), 4), 1..20),
            length_bytes in 1024u64..1 << 40,
        ) {
            let lines: Vec<String> = hashes.iter().map(|hash| hex::encode(hash)).collect();
            let text = format!("crc32c {length_bytes}\n{}\n", lines.join("\n# x\n"));
            let pieces = Pieces { algorithm: "crc32c", length_bytes, hashes };
            prop_assert_eq!(read(&text).unwrap(), pieces);
        }
    }
}
