//! Writes a description: Metalink 4 (RFC 5854) and 3, the latter as MirrorManager does, which
//! Fedora's mirrors are found with.
//!
//! Owns the text and its escapes. Must not know where hashes and URLs come from.

use super::{Hashes, Mirror, PieceHash, Pieces};
use std::fmt::Write;
use std::sync::Arc;

/// What is written of one file.
pub(super) struct Description<'a> {
    pub(super) name: String,
    pub(super) size_bytes: u64,
    pub(super) hashes: Arc<Hashes>,
    pub(super) pieces: Option<Pieces>,
    /// The mirrors, and the URL of the file on each.
    pub(super) urls: Vec<(&'a Mirror, String)>,
}

const GENERATOR: &str = concat!("ringhaul/", env!("CARGO_PKG_VERSION"));

/// Metalink 4.
pub(super) fn version_4(files: &[Description<'_>]) -> String {
    let head = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <metalink xmlns=\"urn:ietf:params:xml:ns:metalink\">\n  \
         <generator>{GENERATOR}</generator>\n"
    );
    let files: String = files.iter().map(file_of_version_4).collect();
    head + &files + "</metalink>\n"
}

fn file_of_version_4(file: &Description<'_>) -> String {
    let mut text = format!(
        "  <file name=\"{}\">\n    \
         <size>{}</size>\n    \
         <hash type=\"sha-256\">{}</hash>\n",
        escaped(&file.name),
        file.size_bytes,
        file.hashes.whole,
    );
    if let Some((Pieces { bytes, hash }, hashes)) = file.pieces_hashed() {
        let kind = match hash {
            PieceHash::Sha1 => "sha-1",
            PieceHash::Sha256 => "sha-256",
        };
        push(&mut text, format_args!("    <pieces length=\"{bytes}\" type=\"{kind}\">\n"));
        for hash in hashes {
            push(&mut text, format_args!("      <hash>{hash}</hash>\n"));
        }
        text += "    </pieces>\n";
    }
    for (mirror, url) in &file.urls {
        let place =
            mirror.location.as_ref().map(|place| format!(" location=\"{}\"", escaped(place)));
        let (place, priority) = (place.unwrap_or_default(), mirror.priority);
        let url = escaped(url);
        push(&mut text, format_args!("    <url{place} priority=\"{priority}\">{url}</url>\n"));
    }
    text + "  </file>\n"
}

/// Metalink 3.
pub(super) fn version_3(files: &[Description<'_>]) -> String {
    let head = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <metalink version=\"3.0\" xmlns=\"http://www.metalinker.org/\" type=\"dynamic\" \
         pubdate=\"Thu, 01 Jan 1970 00:00:00 GMT\" generator=\"{GENERATOR}\" \
         xmlns:mm0=\"http://fedorahosted.org/mirrormanager\">\n \
         <files>\n"
    );
    let files: String = files.iter().map(file_of_version_3).collect();
    head + &files + " </files>\n</metalink>\n"
}

fn file_of_version_3(file: &Description<'_>) -> String {
    let mut text = format!(
        "  <file name=\"{}\">\n   \
         <mm0:timestamp>0</mm0:timestamp>\n   \
         <size>{}</size>\n   \
         <verification>\n    \
         <hash type=\"sha256\">{}</hash>\n",
        escaped(&file.name),
        file.size_bytes,
        file.hashes.whole,
    );
    if let Some((Pieces { bytes, hash }, hashes)) = file.pieces_hashed() {
        let kind = match hash {
            PieceHash::Sha1 => "sha1",
            PieceHash::Sha256 => "sha256",
        };
        push(&mut text, format_args!("    <pieces length=\"{bytes}\" type=\"{kind}\">\n"));
        for (piece, hash) in hashes.iter().enumerate() {
            push(&mut text, format_args!("     <hash piece=\"{piece}\">{hash}</hash>\n"));
        }
        text += "    </pieces>\n";
    }
    text += "   </verification>\n   <resources maxconnections=\"1\">\n";
    for (mirror, url) in &file.urls {
        let scheme = url.split(':').next().unwrap_or_default();
        let upper = |place: &String| escaped(place).to_ascii_uppercase();
        let place = mirror.location.as_ref().map(|place| format!(" location=\"{}\"", upper(place)));
        let (place, preference) = (place.unwrap_or_default(), preference(mirror.priority));
        let about = format!("protocol=\"{scheme}\" type=\"{scheme}\"{place}");
        let url = escaped(url);
        push(&mut text, format_args!("    <url {about} preference=\"{preference}\">{url}</url>\n"));
    }
    text + "   </resources>\n  </file>\n"
}

impl Description<'_> {
    /// The hashes of the pieces, where there are any.
    fn pieces_hashed(&self) -> Option<(Pieces, &[String])> {
        self.pieces.filter(|_| !self.hashes.pieces.is_empty()).zip(Some(&self.hashes.pieces[..]))
    }
}

/// Of version 3: 100 is preferred most, 1 least.
fn preference(priority: u32) -> u32 {
    101_u32.saturating_sub(priority).clamp(1, 100)
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("a string takes any text");
}

/// What stands for `text` in content and in quotes (XML 1.0, 2.2 and 2.4).
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&apos;",
            // No document has these, however they are written.
            control if control < ' ' => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_two_mirrors(write: fn(&[Description<'_>]) -> String, pieces: Option<Pieces>) -> String {
        let mirror = |priority, location: Option<&str>| Mirror {
            root: String::new(),
            priority,
            location: location.map(str::to_owned),
        };
        let (near, far) = (mirror(1, Some("de")), mirror(200, None));
        let pieces_hashed = pieces.map(|_| vec!["0a".to_owned(), "0b".to_owned()]);
        let hashes = Hashes { whole: "ff".into(), pieces: pieces_hashed.unwrap_or_default() };
        write(&[Description {
            name: "<a> & \"b\"\u{1}".into(),
            size_bytes: 31,
            hashes: Arc::new(hashes),
            pieces,
            urls: vec![(&near, "https://h1/x?a&b".into()), (&far, "http://h2/x".into())],
        }])
    }

    #[test]
    fn version_4_as_the_rfc_has_it() {
        let pieces = Pieces { bytes: 16, hash: PieceHash::Sha1 };
        let text = with_two_mirrors(version_4, Some(pieces));
        let (head, rest) = text.split_once("</generator>\n").unwrap();
        assert!(head.contains("<metalink xmlns=\"urn:ietf:params:xml:ns:metalink\">"), "{head}");
        let expected = r#"  <file name="&lt;a&gt; &amp; &quot;b&quot;�">
    <size>31</size>
    <hash type="sha-256">ff</hash>
    <pieces length="16" type="sha-1">
      <hash>0a</hash>
      <hash>0b</hash>
    </pieces>
    <url location="de" priority="1">https://h1/x?a&amp;b</url>
    <url priority="200">http://h2/x</url>
  </file>
</metalink>
"#;
        assert_eq!(rest, expected);
        assert!(!with_two_mirrors(version_4, None).contains("pieces"));
    }

    #[test]
    fn version_3_as_fedora_has_it() {
        let pieces = Pieces { bytes: 16, hash: PieceHash::Sha256 };
        let text = with_two_mirrors(version_3, Some(pieces));
        let (head, rest) = text.split_once("<files>\n").unwrap();
        assert!(head.contains(" xmlns=\"http://www.metalinker.org/\" type=\"dynamic\""), "{head}");
        let expected = r#"  <file name="&lt;a&gt; &amp; &quot;b&quot;�">
   <mm0:timestamp>0</mm0:timestamp>
   <size>31</size>
   <verification>
    <hash type="sha256">ff</hash>
    <pieces length="16" type="sha256">
     <hash piece="0">0a</hash>
     <hash piece="1">0b</hash>
    </pieces>
   </verification>
   <resources maxconnections="1">
    <url protocol="https" type="https" location="DE" preference="100">https://h1/x?a&amp;b</url>
    <url protocol="http" type="http" preference="1">http://h2/x</url>
   </resources>
  </file>
 </files>
</metalink>
"#;
        assert_eq!(rest, expected);
    }
}
