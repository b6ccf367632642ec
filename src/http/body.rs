//! How a body ends (RFC 9112 section 6.3), and the chunked coding (section 7.1).
//!
//! Owns lengths and chunk framing. Must not know what the bytes are for.

use super::head::{Head, protocol, quoted, trim_ows};
use crate::base::Result;
use crate::base::limits::{CHUNK_LINE_BYTES_MAX, TRAILER_BYTES_MAX};

/// What ends the body of a response to GET.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// This number of bytes.
    Length(u64),
    /// The last chunk and its trailers.
    Chunked,
    /// The end of the connection.
    UntilClose,
    /// There is none: 1xx, 204 and 304.
    None,
}

impl Framing {
    /// The framing a head announces, by the order of RFC 9112 section 6.3.
    ///
    /// Stricter than it has to be where a lenient reader could be led to other body bytes than the
    /// next one: Transfer-Encoding beside Content-Length or in HTTP/1.0 (section 6.1), any transfer
    /// coding but `chunked` alone, and Content-Length values that differ or are no plain numbers
    /// are [`Protocol`](crate::base::ErrorKind::Protocol).
    pub fn of(head: &Head) -> Result<Self> {
        if matches!(head.status(), 100..=199 | 204 | 304) {
            return Ok(Framing::None);
        }
        let length = content_length(head)?;
        let coded = head.get("Transfer-Encoding").is_some();
        match length {
            Some(_) if coded => {
                Err(protocol("the answer has both Content-Length and Transfer-Encoding"))
            }
            Some(bytes) => Ok(Framing::Length(bytes)),
            None if !coded => Ok(Framing::UntilClose),
            None => chunked_only(head),
        }
    }
}

/// The value of Content-Length, a plain decimal number that may be repeated but not contradicted
/// (RFC 9110 section 8.6).
pub(super) fn content_length(head: &Head) -> Result<Option<u64>> {
    let mut known = None;
    for member in head.all("Content-Length").flat_map(|value| value.split(',')) {
        let Some(bytes) = decimal(trim_ows(member)) else {
            let shown = quoted(member);
            return Err(protocol(format!("the Content-Length '{shown}' is no length")));
        };
        if known.is_some_and(|earlier| earlier != bytes) {
            return Err(protocol("the answer has several different Content-Length values"));
        }
        known = Some(bytes);
    }
    Ok(known)
}

/// One or more digits and nothing else; `None` also for what exceeds 64 bits.
pub(super) fn decimal(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// What one call of a decoder did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Step {
    /// Bytes of the input that are dealt with.
    pub consumed: usize,
    /// Bytes of the body put at the start of the output.
    pub produced: usize,
    /// The body is over; what follows the consumed bytes belongs to the next response.
    pub done: bool,
}

/// Takes the chunked coding off a body. Lines end with CRLF only; extensions and trailers are read,
/// bounded and dropped.
#[derive(Debug, Default)]
pub struct ChunkedDecoder {
    state: State,
    /// Bytes of the current chunk's data still to come.
    left_bytes: u64,
    /// Bytes of the current size line or of the trailer section so far.
    line_bytes: usize,
}

/// Where in the grammar of RFC 9112 section 7.1 the next byte stands.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// First digit of a chunk size.
    #[default]
    SizeStart,
    /// Further digits of a chunk size.
    Size,
    /// Whitespace behind a chunk size.
    SizeSpace,
    /// Chunk extension.
    Extension,
    /// LF of the size line.
    SizeLf,
    /// Data of a chunk.
    Data,
    /// CR behind the data.
    DataCr,
    /// LF behind the data.
    DataLf,
    /// Start of a trailer line, or of the empty line that ends the body.
    TrailerStart,
    /// Inside a trailer line.
    Trailer,
    /// LF of a trailer line.
    TrailerLf,
    /// LF of the empty line.
    EndLf,
    /// The body is over.
    Done,
}

impl ChunkedDecoder {
    /// A decoder before the first chunk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes from `input` into `output` until one of them is used up or the body is over.
    ///
    /// Progress needs input, and output wherever [`Self::pending`] is not 0. Broken framing, a
    /// chunk size above 64 bits and lines above their limits are
    /// [`Protocol`](crate::base::ErrorKind::Protocol).
    pub fn decode(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step> {
        let mut step = Step::default();
        while step.consumed < input.len() && self.state != State::Done {
            if self.state == State::Data {
                let moved = self.copy(&input[step.consumed..], &mut output[step.produced..]);
                if moved == 0 {
                    break;
                }
                step.consumed += moved;
                step.produced += moved;
            } else {
                self.state = self.next(input[step.consumed])?;
                step.consumed += 1;
            }
        }
        step.done = self.state == State::Done;
        Ok(step)
    }

    /// Bytes of data the current chunk still owes, as far as its size line has been read.
    pub fn pending(&self) -> u64 {
        if self.state == State::Data { self.left_bytes } else { 0 }
    }

    fn copy(&mut self, input: &[u8], output: &mut [u8]) -> usize {
        let room = input.len().min(output.len());
        let moved = usize::try_from(self.left_bytes).map_or(room, |left| left.min(room));
        output[..moved].copy_from_slice(&input[..moved]);
        self.left_bytes -= moved as u64;
        if self.left_bytes == 0 {
            self.state = State::DataCr;
        }
        moved
    }

    /// The state behind one byte of framing.
    fn next(&mut self, byte: u8) -> Result<State> {
        match (self.state, byte) {
            (State::SizeStart | State::Size, _) if byte.is_ascii_hexdigit() => self.digit(byte),
            (State::Size | State::SizeSpace, b' ' | b'\t') => self.count(State::SizeSpace),
            (State::Size | State::SizeSpace, b';') => self.count(State::Extension),
            (State::Size | State::SizeSpace | State::Extension, b'\r') => Ok(State::SizeLf),
            (State::Extension, _) if is_text(byte) => self.count(State::Extension),
            (State::SizeLf, b'\n') => {
                self.line_bytes = 0;
                Ok(if self.left_bytes == 0 { State::TrailerStart } else { State::Data })
            }
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::SizeStart),
            (State::TrailerStart, b'\r') => Ok(State::EndLf),
            (State::Trailer, b'\r') => Ok(State::TrailerLf),
            (State::TrailerStart | State::Trailer, _) if is_text(byte) => self.trailer(),
            (State::TrailerLf, b'\n') => Ok(State::TrailerStart),
            (State::EndLf, b'\n') => Ok(State::Done),
            (State::DataCr | State::DataLf, _) => {
                Err(protocol("a chunk of the body is longer than its size"))
            }
            (_, _) => Err(protocol("the chunked coding of the body is broken")),
        }
    }

    fn digit(&mut self, byte: u8) -> Result<State> {
        let digit = char::from(byte).to_digit(16).expect("the caller saw a hex digit");
        self.left_bytes = self
            .left_bytes
            .checked_mul(16)
            .map(|high| high | u64::from(digit))
            .ok_or_else(|| protocol("a chunk of the body claims more than 2^64 bytes"))?;
        self.count(State::Size)
    }

    /// One more byte of a size line.
    fn count(&mut self, next: State) -> Result<State> {
        self.line_bytes += 1;
        if self.line_bytes > CHUNK_LINE_BYTES_MAX {
            let max = CHUNK_LINE_BYTES_MAX;
            return Err(protocol(format!("a chunk size line is longer than {max} bytes")));
        }
        Ok(next)
    }

    /// One more byte of the trailer section.
    fn trailer(&mut self) -> Result<State> {
        self.line_bytes += 1;
        if self.line_bytes > TRAILER_BYTES_MAX {
            let max = TRAILER_BYTES_MAX;
            return Err(protocol(format!("the trailers of the body exceed {max} bytes")));
        }
        Ok(State::Trailer)
    }
}

/// RFC 9112 section 6.1: other codings would leave bytes that are not the file, and HTTP/1.0 has no
/// Transfer-Encoding.
fn chunked_only(head: &Head) -> Result<Framing> {
    if head.version_minor() == 0 {
        return Err(protocol("an HTTP/1.0 answer has a Transfer-Encoding"));
    }
    let mut codings = head.all("Transfer-Encoding");
    match (codings.next(), codings.next()) {
        (Some(only), None) if only.eq_ignore_ascii_case("chunked") => Ok(Framing::Chunked),
        (Some(first), None) => {
            let shown = quoted(first);
            Err(protocol(format!("the Transfer-Encoding '{shown}' is not supported")))
        }
        (_, _) => Err(protocol("the answer has several Transfer-Encoding fields")),
    }
}

/// What may stand in an extension or a trailer: tab, and no other control character.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || !byte.is_ascii_control()
}

#[cfg(test)]
mod tests;
