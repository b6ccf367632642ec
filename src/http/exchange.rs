//! One response on a keep-alive connection, from the byte behind the request to its end.
//!
//! Owns progress and the keep-alive decision. Must not know whether the answer is the right one
//! (`discovery` and `combine` do), nor where bytes come from and go to.
//!
//! States: `Head` (status line and fields, interim responses skipped), then one of `Length`,
//! `Chunked` and `UntilClose` (body), then `Done`. Every state but `Done` reports an early end.

use super::body::{ChunkedDecoder, Framing, Step};
use super::head::{Head, HeadReader, protocol};
use crate::base::limits::INTERIM_RESPONSES_MAX;
use crate::base::{Error, ErrorKind, Result};

/// What the exchange needs next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Bytes of the head, for [`Exchange::on_head`].
    Head,
    /// Body bytes, at most this number and at least one; they need no decoding and may be received
    /// straight into place. Count them with [`Exchange::on_direct`].
    Direct(u64),
    /// Bytes of a coded body, for [`Exchange::on_framed`].
    Framed,
    /// Body bytes as they are until the connection ends; count them with [`Exchange::on_direct`].
    UntilClose,
    /// Nothing: the response is complete.
    Nothing,
}

/// One response being received.
#[derive(Debug)]
pub struct Exchange {
    state: State,
    head: Option<Head>,
    /// Interim responses skipped so far.
    interim: u32,
    /// Body bytes counted so far, without framing.
    received_bytes: u64,
    /// The length of the body that Content-Range promises.
    expected_bytes: Option<u64>,
    /// Whether the connection outlives this response, as far as its head and end tell.
    keep: bool,
}

#[derive(Debug)]
enum State {
    Head(HeadReader),
    Length { left_bytes: u64 },
    Chunked(ChunkedDecoder),
    UntilClose,
    Done,
}

impl Exchange {
    /// An exchange before the first byte of its response.
    pub fn new() -> Self {
        Self {
            state: State::Head(HeadReader::default()),
            head: None,
            interim: 0,
            received_bytes: 0,
            expected_bytes: None,
            keep: false,
        }
    }

    /// What to feed next.
    pub fn want(&self) -> Want {
        match &self.state {
            State::Head(_) => Want::Head,
            State::Length { left_bytes } => Want::Direct(*left_bytes),
            State::Chunked(_) => Want::Framed,
            State::UntilClose => Want::UntilClose,
            State::Done => Want::Nothing,
        }
    }

    /// Takes all bytes received since the last call. `None` asks for more; `Some(surplus)` says
    /// that the head is complete and that the last `surplus` bytes of `input` lie behind it: the
    /// start of the body, and what exceeds the body belongs to the next response.
    ///
    /// Interim responses are skipped (RFC 9110 section 15.2). Errors are those of
    /// [`parse`](super::parse) and [`Framing::of`], and 101, which nobody asked for.
    pub fn on_head(&mut self, input: &[u8]) -> Result<Option<usize>> {
        assert!(self.want() == Want::Head, "a head is fed only while one is wanted");
        let mut at = 0;
        while let State::Head(reader) = &mut self.state {
            let Some((head, taken)) = reader.feed(&input[at..])? else {
                return Ok(None);
            };
            at += taken;
            if (100..200).contains(&head.status()) {
                self.skip_interim(&head)?;
            } else {
                self.begin_body(head)?;
            }
        }
        Ok(Some(input.len() - at))
    }

    /// The final response's head, once it is complete.
    pub fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// Promises the length of the body found in Content-Range, in bytes. From here on also a body
    /// that is chunked or ends with the connection is held to it. To be called between head and
    /// body; a Content-Length has been compared by [`check_partial`](super::check_partial).
    pub fn expect_body(&mut self, bytes: u64) {
        assert!(self.head.is_some() && self.received_bytes == 0, "promised between head and body");
        if matches!(self.state, State::UntilClose) {
            self.state = State::Length { left_bytes: bytes };
        }
        self.expected_bytes = Some(bytes);
        self.end_length();
    }

    /// Counts `bytes` of the body that were received as they are. More than [`Want::Direct`] named
    /// is a bug of the caller and panics.
    pub fn on_direct(&mut self, bytes: u64) {
        match &mut self.state {
            State::Length { left_bytes } => {
                let left = left_bytes.checked_sub(bytes);
                *left_bytes = left.expect("no more bytes are counted than were wanted");
            }
            State::UntilClose => {}
            State::Head(_) | State::Chunked(_) | State::Done => {
                assert_eq!(bytes, 0, "direct bytes are counted only while they are wanted");
            }
        }
        self.received_bytes = self.received_bytes.saturating_add(bytes);
        self.end_length();
    }

    /// Decodes received bytes of a coded body to the start of `output`; see
    /// [`ChunkedDecoder::decode`]. With a promised length, a longer body is
    /// [`ErrorKind::Protocol`] before its first byte too many is put out, and a shorter one
    /// [`ErrorKind::Truncated`].
    pub fn on_framed(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step> {
        let State::Chunked(decoder) = &mut self.state else {
            panic!("framed bytes are fed only while they are wanted");
        };
        let allowed = self.expected_bytes.map_or(u64::MAX, |bytes| bytes - self.received_bytes);
        let room = usize::try_from(allowed).map_or(output.len(), |room| room.min(output.len()));
        let step = decoder.decode(input, &mut output[..room])?;
        self.received_bytes = self.received_bytes.saturating_add(step.produced as u64);
        if let Some(expected) = self.expected_bytes {
            if decoder.pending() > expected - self.received_bytes {
                return Err(Self::excess_error());
            }
            if step.done && self.received_bytes < expected {
                return Err(self.truncated());
            }
        }
        if step.done {
            self.state = State::Done;
        }
        Ok(step)
    }

    /// Whether nothing may be asked behind this response on its connection, as far as its head
    /// tells. A server that closes with a request unread resets the connection, and takes the end
    /// of this response along (RFC 9112 section 9.6).
    pub fn is_last(&self) -> bool {
        !self.keep
    }

    /// Takes note that the peer has closed the connection. Fine behind a complete response and
    /// where that is what ends the body; [`ErrorKind::ConnectionLost`] before the first byte of the
    /// response, which a fresh connection cures; else [`ErrorKind::Truncated`] (RFC 9112
    /// section 8).
    pub fn on_eof(&mut self) -> Result<()> {
        self.keep = false;
        match &self.state {
            State::Head(reader) if reader.is_empty() && self.interim == 0 => Err(Error::new(
                ErrorKind::ConnectionLost,
                "the server closed the connection instead of answering",
            )),
            State::Head(_) => Err(Error::new(
                ErrorKind::Truncated,
                "the server closed the connection within the head of its answer",
            )),
            State::Length { .. } | State::Chunked(_) => Err(self.truncated()),
            State::UntilClose => {
                self.state = State::Done;
                Ok(())
            }
            State::Done => Ok(()),
        }
    }

    /// Indicates whether head and body are complete.
    pub fn is_complete(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Whether the connection may carry another request (RFC 9112 section 9.3): the response is
    /// complete and told its own length, spoke HTTP/1.1, and nothing announced or brought an end.
    pub fn reusable(&self) -> bool {
        self.keep && self.is_complete()
    }

    /// Takes note of bytes behind the complete response though no further request is on the wire:
    /// the connection is not reusable. Whether that is an error too is the caller's choice, which
    /// [`Self::excess_error`] then words.
    pub fn on_excess(&mut self) {
        self.keep = false;
    }

    /// The error of a body longer than promised.
    pub fn excess_error() -> Error {
        protocol("the body of the answer is longer than its promised length")
    }

    /// Body bytes received so far, without framing.
    pub fn received_bytes(&self) -> u64 {
        self.received_bytes
    }

    fn skip_interim(&mut self, head: &Head) -> Result<()> {
        if head.status() == 101 {
            return Err(protocol("the server switched protocols (101) without being asked"));
        }
        self.interim += 1;
        if self.interim > INTERIM_RESPONSES_MAX {
            let max = INTERIM_RESPONSES_MAX;
            return Err(protocol(format!("the server sent more than {max} interim responses")));
        }
        self.state = State::Head(HeadReader::default());
        Ok(())
    }

    fn begin_body(&mut self, head: Head) -> Result<()> {
        let framing = Framing::of(&head)?;
        let is_close = |option: &str| option.eq_ignore_ascii_case("close");
        let close = head.list("Connection").any(is_close);
        self.keep = head.version_minor() == 1 && !close && framing != Framing::UntilClose;
        self.state = match framing {
            Framing::Length(bytes) => State::Length { left_bytes: bytes },
            Framing::Chunked => State::Chunked(ChunkedDecoder::new()),
            Framing::UntilClose => State::UntilClose,
            Framing::None => State::Done,
        };
        self.head = Some(head);
        self.end_length();
        Ok(())
    }

    fn end_length(&mut self) {
        if matches!(self.state, State::Length { left_bytes: 0 }) {
            self.state = State::Done;
        }
    }

    fn truncated(&self) -> Error {
        let received = self.received_bytes;
        let text = match (&self.state, self.expected_bytes) {
            (State::Length { left_bytes }, _) => {
                let promised = received.saturating_add(*left_bytes);
                format!("the body ended after {received} of {promised} bytes")
            }
            (_, Some(expected)) => {
                format!("the body ended after {received} of {expected} bytes")
            }
            (_, None) => format!("the chunked body broke off after {received} bytes"),
        };
        Error::new(ErrorKind::Truncated, text)
    }
}

impl Default for Exchange {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
