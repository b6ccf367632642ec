//! The records of a state and their bytes.
//!
//! ```text
//! done    1 u8 | key 16 | address u64 | query u64 | bytes u64 | seconds i64 | nanoseconds u32
//!         form u8 (0 none, 1 ETag, 2 Last-Modified) | validator | digest
//! failed  2 u8 | key 16 | address u64 | query u64 | status u16 (0 none) | kind | target | text
//! ```
//!
//! Numbers are little-endian; a text is its length (u16) and its bytes. A pure codec; must not know
//! in which file records are, nor what is concluded from them.

use super::key::{KEY_BYTES, Key, Source};
use crate::base::ErrorKind;
use crate::base::limits::{LOG_RECORD_BYTES_MAX, STATE_TEXT_BYTES_MAX, STATE_VALIDATOR_BYTES_MAX};
use crate::batch::failure;
use crate::batch::validator::{Form, Validator};
use crate::engine::options::Checksum;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// The longest written form of a digest: that of a SHA-512.
const DIGEST_BYTES_MAX: usize = "sha512:".len() + 128;

const _: () = assert!(
    1 + KEY_BYTES + 5 * 8 + 3 * 2 + STATE_VALIDATOR_BYTES_MAX + DIGEST_BYTES_MAX
        <= LOG_RECORD_BYTES_MAX
);
const _: () =
    assert!(1 + KEY_BYTES + 2 * 8 + 4 * 2 + 32 + 2 * STATE_TEXT_BYTES_MAX <= LOG_RECORD_BYTES_MAX);

/// The time of a file's last change, as the file system keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileTime {
    /// Since 1970; negative before it.
    pub seconds: i64,
    /// 0..1,000,000,000.
    pub nanoseconds: u32,
}

/// A file that is whole, durable, and at its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Where it was fetched from.
    pub source: Source,
    /// Its size.
    pub bytes: u64,
    /// Its time as `stat` tells it after everything was done to the file, setting the time too.
    pub modified: FileTime,
    /// What the server said by which it can be asked again.
    pub validator: Option<Validator>,
    /// A digest of its bytes, if one was computed.
    pub digest: Option<Checksum>,
}

/// A file that could not be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Where it was to be fetched from.
    pub source: Source,
    /// Why.
    pub kind: ErrorKind,
    /// Which file, for people. Of this and the next text [`STATE_TEXT_BYTES_MAX`] bytes are
    /// recorded.
    pub target: String,
    /// Why, in words.
    pub text: String,
}

/// What is said of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// It was fetched.
    Done(Done),
    /// It was not.
    Failed(Failed),
}

/// Which of the two a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    /// [`Record::Done`].
    Done,
    /// [`Record::Failed`].
    Failed,
}

impl FileTime {
    /// The time of the file that `meta` describes.
    pub fn of(meta: &Metadata) -> Self {
        let nanoseconds = u32::try_from(meta.mtime_nsec()).unwrap_or_default();
        Self { seconds: meta.mtime(), nanoseconds }
    }
}

impl Record {
    /// Its bytes.
    pub fn encode(&self, key: &Key) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        match self {
            Record::Done(done) => {
                begin(&mut out, 1, key, done.source);
                out.extend(done.bytes.to_le_bytes());
                out.extend(done.modified.seconds.to_le_bytes());
                out.extend(done.modified.nanoseconds.to_le_bytes());
                let validator = done.validator.as_ref();
                out.push(validator.map_or(0, |validator| form_byte(validator.form())));
                put_text(&mut out, validator.map_or("", Validator::text));
                let digest = done.digest.as_ref().map(Checksum::to_string);
                put_text(&mut out, &digest.unwrap_or_default());
            }
            Record::Failed(failed) => {
                begin(&mut out, 2, key, failed.source);
                out.extend(failure::status(failed.kind).unwrap_or_default().to_le_bytes());
                put_text(&mut out, failure::name(failed.kind));
                for text in [&failed.target, &failed.text] {
                    put_text(&mut out, &text[..text.floor_char_boundary(STATE_TEXT_BYTES_MAX)]);
                }
            }
        }
        out
    }

    /// The record that is exactly `bytes`; `None` if they are none. Never panics.
    pub fn decode(bytes: &[u8]) -> Option<(Key, Self)> {
        let (tag, key) = peek(bytes)?;
        let mut rest = Rest(&bytes[1 + KEY_BYTES..]);
        let source = Source { address: rest.u64()?, query: rest.u64()? };
        let record = match tag {
            Tag::Done => Record::Done(rest.done(source)?),
            Tag::Failed => Record::Failed(rest.failed(source)?),
        };
        rest.0.is_empty().then_some((key, record))
    }
}

/// Which file a record speaks of, and how, without a look at the rest.
pub fn peek(bytes: &[u8]) -> Option<(Tag, Key)> {
    let (tag, rest) = bytes.split_first()?;
    let key = Key(*rest.first_chunk()?);
    match tag {
        1 => Some((Tag::Done, key)),
        2 => Some((Tag::Failed, key)),
        _ => None,
    }
}

/// What of a record is still to be decoded.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn done(&mut self, source: Source) -> Option<Done> {
        let bytes = self.u64()?;
        let seconds = i64::from_le_bytes(self.chunk()?);
        let nanoseconds = u32::from_le_bytes(self.chunk()?);
        let [form] = self.chunk()?;
        let validator = match (form, self.text()?) {
            (0, "") => None,
            (1, text) => Some(Validator::new(Form::Etag, text)?),
            (2, text) => Some(Validator::new(Form::LastModified, text)?),
            _ => return None,
        };
        let digest = match self.text()? {
            "" => None,
            text => Some(text.parse::<Checksum>().ok()?),
        };
        Some(Done { source, bytes, modified: FileTime { seconds, nanoseconds }, validator, digest })
    }

    fn failed(&mut self, source: Source) -> Option<Failed> {
        let status = Some(u16::from_le_bytes(self.chunk()?)).filter(|code| *code != 0);
        let name = self.text()?;
        let status = if name == "status" { status.or(Some(0)) } else { status };
        let kind = failure::kind(name, status)?;
        let mut text = || {
            let text = self.text().filter(|text| text.len() <= STATE_TEXT_BYTES_MAX);
            text.map(str::to_owned)
        };
        Some(Failed { source, kind, target: text()?, text: text()? })
    }

    fn u64(&mut self) -> Option<u64> {
        self.chunk().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        let bytes = usize::from(u16::from_le_bytes(self.chunk()?));
        let (text, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        str::from_utf8(text).ok()
    }

    fn chunk<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (chunk, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*chunk)
    }
}

fn begin(out: &mut Vec<u8>, tag: u8, key: &Key, source: Source) {
    out.push(tag);
    out.extend(key.0);
    out.extend(source.address.to_le_bytes());
    out.extend(source.query.to_le_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    let bytes = u16::try_from(text.len()).expect("every text of a record is bounded");
    out.extend(bytes.to_le_bytes());
    out.extend(text.as_bytes());
}

fn form_byte(form: Form) -> u8 {
    match form {
        Form::Etag => 1,
        Form::LastModified => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::failure::tests::all;
    use proptest::prelude::*;

    const KEY: Key = Key(*b"sixteen bytes ..");
    const SOURCE: Source = Source { address: 7, query: u64::MAX };

    fn done() -> Done {
        Done {
            source: SOURCE,
            bytes: 1 << 40,
            modified: FileTime { seconds: -5, nanoseconds: 999_999_999 },
            validator: Validator::new(Form::Etag, "W/\"a\u{e4}\""),
            digest: Some(format!("sha512:{}", "ab".repeat(64)).parse().unwrap()),
        }
    }

    fn failed(kind: ErrorKind, text: &str) -> Record {
        Record::Failed(Failed { source: SOURCE, kind, target: "a/b".into(), text: text.into() })
    }

    fn all_records() -> Vec<Record> {
        let modified = Validator::new(Form::LastModified, "Sat, 28 Nov 2026 06:00:00 GMT");
        let longest = Validator::new(Form::Etag, &"e".repeat(STATE_VALIDATOR_BYTES_MAX));
        let records = [
            Record::Done(done()),
            Record::Done(Done { validator: modified, digest: None, ..done() }),
            Record::Done(Done { validator: None, bytes: 0, ..done() }),
            Record::Done(Done { validator: longest, ..done() }),
        ];
        records.into_iter().chain(all().map(|kind| failed(kind, "why \u{1f980}"))).collect()
    }

    #[test]
    fn records_come_back_and_nothing_shorter_or_longer_does() {
        for record in all_records() {
            let mut bytes = record.encode(&KEY);
            assert!(bytes.len() <= LOG_RECORD_BYTES_MAX);
            assert_eq!(Record::decode(&bytes), Some((KEY, record.clone())), "{record:?}");
            for end in 0..bytes.len() {
                assert_eq!(Record::decode(&bytes[..end]), None, "{record:?} cut at {end}");
            }
            bytes.push(0);
            assert_eq!(Record::decode(&bytes), None, "{record:?}");
        }
    }

    #[test]
    fn the_text_of_a_failure_is_cut_at_its_bound_and_within_no_character() {
        let text = "\u{e4}".repeat(STATE_TEXT_BYTES_MAX);
        let bytes = failed(ErrorKind::Connect, &format!("a{text}")).encode(&KEY);
        let Some((_, Record::Failed(failed))) = Record::decode(&bytes) else { panic!("a failure") };
        assert_eq!(failed.text.len(), STATE_TEXT_BYTES_MAX - 1);
    }

    #[test]
    fn what_could_not_have_been_recorded_is_none() {
        let etag = |text: &str| {
            let mut bytes = Record::Done(Done { validator: None, digest: None, ..done() });
            let mut bytes =
                std::mem::replace(&mut bytes, failed(ErrorKind::Usage, "")).encode(&KEY);
            let form_at = bytes.len() - 5;
            bytes.truncate(form_at);
            bytes.push(1);
            put_text(&mut bytes, text);
            put_text(&mut bytes, "");
            Record::decode(&bytes)
        };
        assert!(etag("\"a\"").is_some());
        for text in ["", "\"a\"\r\nHost: evil", "\0"] {
            assert_eq!(etag(text), None, "{text:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn any_change_of_one_byte_is_another_record_or_none(
            which in 0..28usize, at: prop::sample::Index, xor in 1..=255u8) {
            let records = all_records();
            let record = &records[which % records.len()];
            let mut bytes = record.encode(&KEY);
            let at = at.index(bytes.len());
            bytes[at] ^= xor;
            let decoded = Record::decode(&bytes);
            if let Some((key, decoded)) = decoded {
                prop_assert!((key, &decoded) != (KEY, record) || at > 0);
                prop_assert!(decoded.encode(&key).len() <= LOG_RECORD_BYTES_MAX);
                let again = Record::decode(&decoded.encode(&key));
                prop_assert_eq!(again, Some((key, decoded)));
            }
        }
    }
}
