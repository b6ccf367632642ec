//! The journal's bytes: a header that never changes, and two slots that are written in turn.
//!
//! ```text
//! header  magic 16 | version u32 | header bytes u32 | id u64 | slot bytes u64
//!         total u64 | device u64 | inode u64 | url | validator | digest | cut | crc32c u32
//! cut     of a slice alone, version 3: index u32 | count u32 | start u64 | end u64 | modified u64
//! slot A  id u64 | seq u64 | count u32 | count x (start u64, end u64, crc32c u32) | crc32c u32
//! slot B  the same
//! ```
//!
//! `modified` is seconds since 1970; all ones: not known. Version 2 was without it.
//!
//! Numbers are little-endian; a text is its length (u32; all ones: there is none) and its bytes;
//! each part starts at a multiple of 4 KiB and its CRC covers all of it before the CRC. Slots carry
//! the header's id, so that those of another journal do not fit. The newest valid slot counts.
//! A pure codec: must not know files, nor the order in which things are written.

use super::{Cut, Identity};
use crate::base::limits::{
    JOURNAL_BYTES_MAX, JOURNAL_FRAGMENTS_MAX, JOURNAL_RUN_BYTES_MIN, JOURNAL_RUNS_MAX,
    JOURNAL_TEXT_BYTES_MAX, SPAN_ALIGN_BYTES,
};
use crate::base::{Error, ErrorKind, Result, Slice, Span};
use crate::digest::crc::{Run, crc32c};

/// The version of the journal of a file.
pub const VERSION: u32 = 1;
/// That of the journal of a slice, and the newest one that is read.
pub const VERSION_OF_SLICE: u32 = 3;

const MAGIC: [u8; 16] = *b"ringhaul-journal";
/// Bytes of a header whose texts are empty, its CRC included.
const HEADER_BYTES_MIN: usize = 16 + 4 + 4 + 5 * 8 + 3 * 4 + 4;
/// Bytes that the header of a slice has besides.
const CUT_BYTES: usize = 4 + 4 + 8 + 8 + 8;
/// Bytes of a slot without runs, its CRC included.
const SLOT_BYTES_MIN: u64 = 8 + 8 + 4 + 4;
/// Bytes of one run in a slot.
const RUN_BYTES: u64 = 8 + 8 + 4;
/// In the place of a text's length: there is no text.
const NO_TEXT: u32 = u32::MAX;
/// In the place of a time: there is none.
const NO_TIME: u64 = u64::MAX;

/// Both slots of the largest file and the longest header are below what is ever looked at.
const _: () = assert!(
    2 * (SLOT_BYTES_MIN + RUN_BYTES * (2 * JOURNAL_RUNS_MAX + JOURNAL_FRAGMENTS_MAX))
        + (HEADER_BYTES_MIN + CUT_BYTES) as u64
        + 3 * JOURNAL_TEXT_BYTES_MAX as u64
        + 4 * SPAN_ALIGN_BYTES
        <= JOURNAL_BYTES_MAX
);

/// Which file on this machine the journal speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartId {
    /// `st_dev`.
    pub device: u64,
    /// `st_ino`.
    pub inode: u64,
}

/// What a journal says of itself, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Tells journals of one name apart.
    pub id: u64,
    /// The transfer.
    pub identity: Identity,
    /// The part file.
    pub part: PartId,
    /// Bytes reserved for one slot.
    slot_bytes: u64,
}

/// What was durable at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Grows by one with each barrier, from 1.
    pub seq: u64,
    /// Sorted, disjoint, within the file, aligned.
    pub runs: Vec<Run>,
}

/// A journal that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// The header.
    pub header: Header,
    /// The newest valid slot.
    pub slot: Slot,
}

/// Why bytes are no journal that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// They are something else.
    Foreign,
    /// A journal of another version of the format.
    Version(u32),
    /// A journal once, but not as it was written.
    Damaged,
}

/// Longest run that neighbours are put together to, for a file of `total` bytes.
pub fn run_bytes_max(total: u64) -> u64 {
    total.div_ceil(JOURNAL_RUNS_MAX).next_power_of_two().max(JOURNAL_RUN_BYTES_MIN)
}

/// Whether `bytes` begin as a journal does, as far as they go.
pub fn is_ours(bytes: &[u8]) -> bool {
    let len = bytes.len().min(MAGIC.len());
    bytes[..len] == MAGIC[..len]
}

/// Reads a whole journal. Never panics, and allocates no more than `bytes` holds runs.
pub fn decode(bytes: &[u8]) -> Result<Decoded, Flaw> {
    let header = Header::decode(bytes)?;
    let [a, b] = [0, 1].map(|index| {
        let start = usize::try_from(header.slot_offset(index)).ok()?;
        let slot_bytes = usize::try_from(header.slot_bytes).ok()?;
        Slot::decode(bytes.get(start..start.checked_add(slot_bytes)?)?, &header)
    });
    let newest = match (a, b) {
        (Some(a), Some(b)) => Some(if a.seq > b.seq { a } else { b }),
        (a, b) => a.or(b),
    };
    newest.map(|slot| Decoded { header, slot }).ok_or(Flaw::Damaged)
}

impl Header {
    /// A header with room for all that a file of this size usually comes to in runs: twice the full
    /// ones, as of two neighbours that were not put together only the sum is longer than one, and
    /// fragments. An error if a text is too long.
    pub fn new(id: u64, identity: Identity, part: PartId) -> Result<Self> {
        let full = identity.total.div_ceil(run_bytes_max(identity.total));
        Self::with_places(id, identity, part, 2 * full + JOURNAL_FRAGMENTS_MAX)
    }

    pub(super) fn with_places(
        id: u64,
        identity: Identity,
        part: PartId,
        places: u64,
    ) -> Result<Self> {
        let texts = [Some(&identity.url), identity.validator.as_ref(), identity.digest.as_ref()];
        if texts.into_iter().flatten().any(|text| text.len() > JOURNAL_TEXT_BYTES_MAX) {
            let what = "the URL or the validator is too long for a journal";
            return Err(Error::new(ErrorKind::Usage, what).advise("use --no-journal"));
        }
        let slot_bytes = (SLOT_BYTES_MIN + RUN_BYTES * places).next_multiple_of(SPAN_ALIGN_BYTES);
        Ok(Self { id, identity, part, slot_bytes })
    }

    /// Where slot 0 or 1 begins.
    pub fn slot_offset(&self, index: u64) -> u64 {
        (self.bytes() as u64).next_multiple_of(SPAN_ALIGN_BYTES) + index * self.slot_bytes
    }

    /// A whole journal with `slot` as slot 0, and slot 1 empty.
    pub fn image(&self, slot: &Slot) -> Vec<u8> {
        let mut image = self.encode();
        let place = |offset| usize::try_from(offset).expect("below JOURNAL_BYTES_MAX");
        image.resize(place(self.slot_offset(0)), 0);
        image.extend(slot.encode(self.id));
        image.resize(place(self.slot_offset(2)), 0);
        image
    }

    /// Those of `runs` that a slot can hold: aligned ones, as many as there is room for. The rest
    /// is fetched again after a crash.
    pub fn fitting(&self, mut runs: Vec<Run>) -> Vec<Run> {
        runs.retain(|run| is_aligned(run.span, self.identity.total));
        runs.truncate(usize::try_from(self.places()).unwrap_or(usize::MAX));
        runs
    }

    fn places(&self) -> u64 {
        (self.slot_bytes - SLOT_BYTES_MIN) / RUN_BYTES
    }

    /// Length of the encoded header.
    fn bytes(&self) -> usize {
        let Identity { url, validator, digest, cut, .. } = &self.identity;
        let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let cut_bytes = if cut.is_some() { CUT_BYTES } else { 0 };
        HEADER_BYTES_MIN + url.len() + optional(validator) + optional(digest) + cut_bytes
    }

    fn encode(&self) -> Vec<u8> {
        let Identity { url, total, validator, digest, cut } = &self.identity;
        let mut out = Vec::with_capacity(self.bytes());
        let short = |len: usize| u32::try_from(len).expect("texts are bounded").to_le_bytes();
        out.extend(MAGIC);
        let version = if cut.is_some() { VERSION_OF_SLICE } else { VERSION };
        out.extend(version.to_le_bytes());
        out.extend(short(self.bytes()));
        for number in [self.id, self.slot_bytes, *total, self.part.device, self.part.inode] {
            out.extend(number.to_le_bytes());
        }
        for text in [Some(url), validator.as_ref(), digest.as_ref()] {
            out.extend(text.map_or(NO_TEXT.to_le_bytes(), |text| short(text.len())));
            out.extend(text.map_or(&[][..], |text| text.as_bytes()));
        }
        if let Some(Cut { slice, span, modified_s }) = cut {
            out.extend(slice.index().to_le_bytes());
            out.extend(slice.count().to_le_bytes());
            out.extend(span.start().to_le_bytes());
            out.extend(span.end().to_le_bytes());
            out.extend(modified_s.unwrap_or(NO_TIME).to_le_bytes());
        }
        out.extend(crc32c(&out).to_le_bytes());
        assert_eq!(out.len(), self.bytes(), "the header has the length it states");
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, Flaw> {
        if !is_ours(bytes) {
            return Err(Flaw::Foreign);
        }
        let damaged = || Flaw::Damaged;
        let mut reader = Reader(bytes);
        reader.take(MAGIC.len()).ok_or_else(damaged)?;
        // Another version may have put everything else elsewhere.
        let is_slice = match reader.u32().ok_or_else(damaged)? {
            VERSION => false,
            VERSION_OF_SLICE => true,
            version => return Err(Flaw::Version(version)),
        };
        let header_bytes = reader.u32().and_then(|n| usize::try_from(n).ok());
        let header = header_bytes.and_then(|n| checked(bytes.get(..n)?)).ok_or_else(damaged)?;
        let decoded = Self::decode_fields(header, is_slice).ok_or_else(damaged)?;
        let file_bytes = decoded.slot_bytes.checked_mul(2);
        let file_bytes = file_bytes.and_then(|both| both.checked_add(decoded.slot_offset(0)));
        if file_bytes == Some(bytes.len() as u64) { Ok(decoded) } else { Err(Flaw::Damaged) }
    }

    /// `header` without its CRC, which has been checked.
    fn decode_fields(header: &[u8], is_slice: bool) -> Option<Self> {
        let mut reader = Reader(header);
        reader.take(MAGIC.len() + 4 + 4)?;
        let id = reader.u64()?;
        let slot_bytes = reader.u64()?;
        let total = reader.u64()?;
        let part = PartId { device: reader.u64()?, inode: reader.u64()? };
        let url = reader.text()??;
        let validator = reader.text()?;
        let digest = reader.text()?;
        let cut = if is_slice { Some(reader.cut(total)?) } else { None };
        let identity = Identity { url, total, validator, digest, cut };
        let fits = reader.0.is_empty() && slot_bytes >= SLOT_BYTES_MIN;
        fits.then_some(Self { id, identity, part, slot_bytes })
    }
}

impl Slot {
    /// The slot as it is written: its beginning, the rest of its place does not matter.
    pub fn encode(&self, id: u64) -> Vec<u8> {
        let count = u32::try_from(self.runs.len()).expect("a slot holds fewer");
        let mut out = Vec::new();
        out.extend(id.to_le_bytes());
        out.extend(self.seq.to_le_bytes());
        out.extend(count.to_le_bytes());
        for run in &self.runs {
            out.extend(run.span.start().to_le_bytes());
            out.extend(run.span.end().to_le_bytes());
            out.extend(run.crc32c.to_le_bytes());
        }
        out.extend(crc32c(&out).to_le_bytes());
        out
    }

    /// `None` if it is not as it was written, which is normal: the last write was cut short.
    fn decode(place: &[u8], header: &Header) -> Option<Self> {
        let mut reader = Reader(place);
        let id = reader.u64()?;
        let seq = reader.u64()?;
        let count = reader.u32()?;
        let runs_bytes = u64::from(count) * RUN_BYTES;
        let bytes = usize::try_from(SLOT_BYTES_MIN + runs_bytes).ok()?;
        // The place holds as many runs as are claimed: that bounds what is allocated for them.
        checked(place.get(..bytes)?)?;
        if id != header.id {
            return None;
        }
        let total = header.identity.total;
        let mut runs = Vec::with_capacity(usize::try_from(count).ok()?);
        let mut end_before = 0;
        for _ in 0..count {
            let span = Span::checked(reader.u64()?, reader.u64()?)?;
            let crc32c = reader.u32()?;
            if span.is_empty() || span.start() < end_before || !is_aligned(span, total) {
                return None;
            }
            end_before = span.end();
            runs.push(Run { span, crc32c });
        }
        Some(Self { seq, runs })
    }
}

/// Starts at a page, and ends at one or at the end of the file, not behind it.
fn is_aligned(span: Span, total: u64) -> bool {
    let ends = span.end().is_multiple_of(SPAN_ALIGN_BYTES) || span.end() == total;
    span.start().is_multiple_of(SPAN_ALIGN_BYTES) && ends && span.end() <= total
}

/// What stands before the CRC that ends `bytes`, if it is as the CRC says.
fn checked(bytes: &[u8]) -> Option<&[u8]> {
    let (body, crc) = bytes.split_last_chunk()?;
    (u32::from_le_bytes(*crc) == crc32c(body)).then_some(body)
}

/// Takes fields from the front, as long as there are any.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }

    /// A slice of a file of `total` bytes.
    fn cut(&mut self, total: u64) -> Option<Cut> {
        let slice = Slice::new(self.u32()?.into(), self.u32()?.into()).ok()?;
        let span = Span::checked(self.u64()?, self.u64()?)?;
        let modified_s = Some(self.u64()?).filter(|seconds| *seconds != NO_TIME);
        is_aligned(span, total).then_some(Cut { slice, span, modified_s })
    }

    /// The outer `None`: no text is there to be read; the inner one: there is none, it says.
    fn text(&mut self) -> Option<Option<String>> {
        let len = self.u32()?;
        if len == NO_TEXT {
            return Some(None);
        }
        let bytes = self.take(usize::try_from(len).ok()?)?;
        Some(Some(std::str::from_utf8(bytes).ok()?.to_owned()))
    }
}

#[cfg(test)]
mod tests;
