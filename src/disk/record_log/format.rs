//! The bytes of a record log: a header, and records that each carry their length and a CRC.
//!
//! ```text
//! header  magic 16 | version u32 | crc32c u32
//! record  bytes u32 | crc32c u32 | payload
//! ```
//!
//! Numbers are little-endian. The header's CRC covers what stands before it, that of a record its
//! length and its payload. A record has at least 1 byte of payload, so that zeros, which a crash
//! may leave at the end of a file, are none. Must not know files, nor what a payload means.

use crate::base::limits::{LOG_PIECE_BYTES, LOG_RECORD_BYTES_MAX};
use crate::digest::crc::{crc32c, crc32c_joined};
use std::io::{self, Read};
use std::ops::Range;

/// Bytes of a header.
pub const HEADER_BYTES: usize = 16 + 4 + 4;
/// Bytes of a record before its payload.
pub const FRAME_BYTES: usize = 4 + 4;

/// What a log is for, and in which form its payloads are.
#[derive(Debug, PartialEq, Eq)]
pub struct Purpose {
    /// The first bytes of each log of this purpose, and of no other.
    pub magic: [u8; 16],
    /// Version of the payloads' format: the one written, and the only one read.
    pub version: u32,
    /// What such a log is called in messages: "the state of a batch".
    pub noun: &'static str,
    /// The advice where its name is another's.
    pub advice: &'static str,
}

/// What the first bytes of a file say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// A log of this purpose; its records follow.
    Ours,
    /// The beginning of a header, or nothing at all: there is no record yet.
    Torn,
    /// Something else.
    Foreign,
    /// A log of this purpose, with payloads of another version.
    Version(u32),
    /// It begins as a log of this purpose does, and its header is damaged.
    Damaged,
}

/// What bytes begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A record with this payload.
    Whole(&'a [u8]),
    /// A part of what may be a record.
    Partial,
    /// No record.
    Damaged,
}

impl Purpose {
    /// The header of a log.
    pub fn header(&self) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        header[..16].copy_from_slice(&self.magic);
        header[16..20].copy_from_slice(&self.version.to_le_bytes());
        let crc = crc32c(&header[..20]);
        header[20..].copy_from_slice(&crc.to_le_bytes());
        header
    }

    /// What a file that begins with `bytes` is; fewer than [`HEADER_BYTES`] are all of it.
    pub fn opening(&self, bytes: &[u8]) -> Opening {
        let header = self.header();
        if bytes.starts_with(&header) {
            return Opening::Ours;
        }
        let magic_bytes = bytes.len().min(self.magic.len());
        if bytes[..magic_bytes] != self.magic[..magic_bytes] {
            return Opening::Foreign;
        }
        let Some((covered, crc)) = bytes.get(..HEADER_BYTES).and_then(<[u8]>::split_last_chunk)
        else {
            let is_torn = header.starts_with(bytes);
            return if is_torn { Opening::Torn } else { Opening::Damaged };
        };
        let version = covered.last_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        let is_whole = u32::from_le_bytes(*crc) == crc32c(covered);
        if is_whole { Opening::Version(version) } else { Opening::Damaged }
    }
}

/// Appends the record with this payload to `out`.
pub fn encode(payload: &[u8], out: &mut Vec<u8>) {
    assert!((1..=LOG_RECORD_BYTES_MAX).contains(&payload.len()), "the bound of a record");
    let length = u32::try_from(payload.len()).expect("below the bound").to_le_bytes();
    out.extend(length);
    out.extend(crc_of(length, payload).to_le_bytes());
    out.extend(payload);
}

/// The record that `bytes` begin with. Never panics.
pub fn decode(bytes: &[u8]) -> Frame<'_> {
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else { return Frame::Partial };
    let payload_bytes = u32::from_le_bytes(*length) as usize;
    if !(1..=LOG_RECORD_BYTES_MAX).contains(&payload_bytes) {
        return Frame::Damaged;
    }
    let Some((crc, rest)) = rest.split_first_chunk::<4>() else { return Frame::Partial };
    let Some(payload) = rest.get(..payload_bytes) else { return Frame::Partial };
    let is_whole = u32::from_le_bytes(*crc) == crc_of(*length, payload);
    if is_whole { Frame::Whole(payload) } else { Frame::Damaged }
}

/// Reads records one after the other, up to the first one that is not whole. Holds one piece of the
/// log in memory.
pub struct Scan<R> {
    input: R,
    piece: Vec<u8>,
    /// What of the piece was read and is in no record yet.
    ahead: Range<usize>,
    /// Where the next record begins.
    at: u64,
}

impl<R: Read> Scan<R> {
    /// Reads `input`, whose first byte is the first of a record and stands at `at` in the log.
    pub fn new(input: R, at: u64) -> Self {
        Self { input, piece: vec![0; LOG_PIECE_BYTES], ahead: 0..0, at }
    }

    /// The next record: where it begins, and its payload. `None` at the end, or where no whole
    /// record follows.
    ///
    /// # Errors
    /// What the input answers.
    pub fn next_record(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        let payload_bytes = loop {
            match decode(&self.piece[self.ahead.clone()]) {
                Frame::Whole(payload) => break payload.len(),
                Frame::Partial => {}
                Frame::Damaged => return Ok(None),
            }
            if !self.fill()? {
                return Ok(None);
            }
        };
        let start = self.ahead.start + FRAME_BYTES;
        let at = self.at;
        self.ahead.start = start + payload_bytes;
        self.at += (FRAME_BYTES + payload_bytes) as u64;
        Ok(Some((at, &self.piece[start..start + payload_bytes])))
    }

    /// Where the last whole record ends.
    pub fn end(&self) -> u64 {
        self.at
    }

    /// Reads on; returns whether anything came.
    fn fill(&mut self) -> io::Result<bool> {
        self.piece.copy_within(self.ahead.clone(), 0);
        self.ahead = 0..self.ahead.len();
        assert!(self.ahead.end < self.piece.len(), "a piece holds the longest record");
        loop {
            match self.input.read(&mut self.piece[self.ahead.end..]) {
                Ok(read) => {
                    self.ahead.end += read;
                    return Ok(read > 0);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }
}

fn crc_of(length: [u8; 4], payload: &[u8]) -> u32 {
    crc32c_joined(crc32c(&length), crc32c(payload), payload.len() as u64)
}
