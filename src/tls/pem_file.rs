//! The content of a PEM file and the name it has in messages; what else than PEM it may be.
//!
//! Owns the lines that tell how other formats become PEM. Must not know what the content is for,
//! nor where it was read.

use crate::base::{Error, ErrorKind};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use std::fmt;
use std::path::Path;

/// The content of a PEM file, and the name to use for it in messages.
#[derive(Clone)]
pub struct PemFile {
    /// How the user knows the file.
    pub name: String,
    /// What is in it: certificates, a private key; other sections are ignored.
    pub pem: Vec<u8>,
}

impl fmt::Debug for PemFile {
    /// The content may be a private key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.pem.len();
        f.debug_struct("PemFile").field("name", &self.name).field("bytes", &bytes).finish()
    }
}

impl PemFile {
    /// All certificates in it, in their order; an error if there are none.
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, Error> {
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(&self.pem)
            .collect::<Result<_, _>>()
            .map_err(|cause| self.unreadable(cause))?;
        if certificates.is_empty() {
            let none = format!("'{}' contains no certificate", self.name);
            return Err(self.foreign().unwrap_or_else(|| unusable(none)));
        }
        Ok(certificates)
    }

    /// The error for content that cannot be parsed.
    pub(super) fn unreadable(&self, cause: pem::Error) -> Error {
        let broken = format!("'{}' is not a valid PEM file", self.name);
        self.foreign().unwrap_or_else(|| unusable(broken).caused_by(cause))
    }

    /// The error for content in a format that openssl knows and ringhaul does not.
    pub(super) fn foreign(&self) -> Option<Error> {
        let name = &self.name;
        let input = quoted(name);
        let output = quoted(&Path::new(name).with_extension("pem").display().to_string());
        let (what, command) = match Format::of(&self.pem)? {
            Format::Encrypted => {
                let output = quoted(&format!("{name}.plain"));
                let what = format!("the private key in '{name}' is encrypted");
                (what, format!("decrypt it: openssl pkey -in {input} -out {output}"))
            }
            Format::Pkcs12 => {
                let command = format!("openssl pkcs12 -in {input} -out {output} -nodes");
                let what = format!("'{name}' is a PKCS#12 file, not PEM");
                (what, format!("convert it: {command}; then name {output} with --cert"))
            }
            Format::DerCertificate => {
                let command = format!("openssl x509 -inform DER -in {input} -out {output}");
                (format!("'{name}' is a DER file, not PEM"), format!("convert it: {command}"))
            }
            Format::DerKey => {
                let command = format!("openssl pkey -inform DER -in {input} -out {output}");
                (format!("'{name}' is a DER file, not PEM"), format!("convert it: {command}"))
            }
        };
        Some(Error::new(ErrorKind::Usage, what).advise(command))
    }
}

/// What a file may be instead of PEM without a password.
#[derive(Debug, PartialEq, Eq)]
enum Format {
    Encrypted,
    Pkcs12,
    DerCertificate,
    DerKey,
}

impl Format {
    fn of(bytes: &[u8]) -> Option<Self> {
        let says = |words: &[u8]| bytes.windows(words.len()).any(|window| window == words);
        // PKCS#8 (RFC 5958 3) and what OpenSSL wrote before (RFC 1421 4.6.1.1).
        if says(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || says(b"Proc-Type: 4,ENCRYPTED") {
            return Some(Format::Encrypted);
        }
        let (tag, rest) = bytes.split_first()?;
        if *tag != DER_SEQUENCE {
            return None;
        }
        // The length: one byte, or as many more as its low bits say; 0x80 leaves it open.
        let (length, rest) = rest.split_first()?;
        let more = if *length > 0x80 { usize::from(length & 0x7f) } else { 0 };
        match rest.get(more..)? {
            // PFX has version 3 (RFC 7292 4), private keys have 0 or 1.
            [DER_INTEGER, 1, 3, ..] => Some(Format::Pkcs12),
            [DER_INTEGER, 1, 0 | 1, ..] => Some(Format::DerKey),
            [DER_SEQUENCE, ..] => Some(Format::DerCertificate),
            _ => None,
        }
    }
}

const DER_INTEGER: u8 = 0x02;
const DER_SEQUENCE: u8 = 0x30;

/// The error for a file that gives no certificate.
pub(super) fn unusable(context: String) -> Error {
    Error::new(ErrorKind::Usage, context)
        .advise("give a PEM file with a certificate in it (BEGIN CERTIFICATE)")
}

/// A file name as a shell takes it.
fn quoted(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "./_-+=@%,".contains(c);
    if !name.starts_with('-') && name.chars().all(is_plain) {
        return name.to_owned();
    }
    let dash = if name.starts_with('-') { "./" } else { "" };
    format!("'{dash}{}'", name.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn foreign(pem: &[u8]) -> Option<String> {
        let file = PemFile { name: "it's.p12".into(), pem: pem.to_vec() };
        file.foreign().map(|error| error.to_string())
    }

    #[test]
    fn other_formats_come_with_the_line_that_converts_them() {
        for (content, words) in [
            (&b"\x30\x82\x09\x51\x02\x01\x03\x30"[..], "openssl pkcs12 -in 'it'\\''s.p12'"),
            (b"\x30\x80\x02\x01\x03\x30\x80", "openssl pkcs12"),
            (b"\x30\x82\x02\x5c\x02\x01\x00\x02", "openssl pkey -inform DER"),
            (b"\x30\x77\x02\x01\x01\x04", "openssl pkey -inform DER"),
            (b"\x30\x82\x02\x5c\x30\x82\x01", "openssl x509 -inform DER"),
            (b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA", "decrypt it: openssl pkey -in"),
            (b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n", "is encrypted"),
        ] {
            let line = foreign(content).unwrap();
            assert!(line.contains(words), "{line}");
        }
        for content in [&b""[..], b"\x30", b"\x30\x82", b"\x30\xff\x00", b"\x04\x01", b"----"] {
            assert_eq!(foreign(content), None);
        }
    }

    #[test]
    fn names_are_quoted_where_a_shell_would_split_them() {
        for (name, expected) in
            [("a/b.pem", "a/b.pem"), ("a b", "'a b'"), ("-x", "'./-x'"), ("$(x)", "'$(x)'")]
        {
            assert_eq!(quoted(name), expected);
        }
    }

    #[test]
    fn the_content_stays_out_of_debug_output() {
        let file = PemFile { name: "k".into(), pem: b"secret".to_vec() };
        assert_eq!(format!("{file:?}"), r#"PemFile { name: "k", bytes: 6 }"#);
    }
}
