//! Puts an answer onto the wire: pauses, interim heads, framing, and the point where it breaks.
//!
//! Owns how answers are framed and cut (RFC 9112 6 and 7). Must not know why.

use super::outlet::Outlet;
use super::respond::{Answer, Body};
use crate::server::codec::request::Request;
use crate::server::faults::effects::{Closing, Cut, Effects, Ending, Framing};
use std::io;
use std::ops::Range;
use std::time::Duration;

/// Sizes of chunks, in turn: tiny, odd, around powers of two, larger than any buffer line.
const CHUNK_BYTES: [u64; 7] = [1, 7, 255, 1021, 4097, 16_384, 65_521];

/// What becomes of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// The next request may come.
    Keep,
    /// It ends so.
    End(Ending),
}

/// An orderly end.
pub(super) const CLOSE: Ending = Ending::Close { close_notify: true };

/// Sends `answer` to `request`, and logs it however that ends.
pub(super) fn deliver(
    outlet: &mut Outlet<'_>,
    request: &Request,
    answer: &Answer,
    effects: &Effects,
) -> io::Result<Next> {
    let next = send(outlet, request, answer, effects);
    outlet.log(request, answer.status);
    next
}

fn send(
    outlet: &mut Outlet<'_>,
    request: &Request,
    answer: &Answer,
    effects: &Effects,
) -> io::Result<Next> {
    let keeps = request.keeps_alive()
        && answer.framing != Framing::UntilClose
        && effects.closing == Closing::AsAsked;
    for count in 0..effects.interim_heads {
        let interim = if count % 2 == 0 {
            "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
        } else {
            "HTTP/1.1 100 Continue\r\n\r\n"
        };
        outlet.put(interim.as_bytes())?;
    }
    let head = answer.head(keeps, effects, request.is_http_10);
    trickle(outlet, &head, effects.head_byte_delay)?;
    let body_bytes = if answer.is_head_only { 0 } else { answer.body.len() };
    let cut = effects.cut.filter(|cut| cut.after_bytes <= body_bytes);
    let end = cut.map_or(body_bytes, |cut: Cut| cut.after_bytes);
    if !answer.is_head_only {
        match answer.framing {
            Framing::Length | Framing::UntilClose => put(outlet, &answer.body, 0..end, effects)?,
            Framing::Chunked => {
                if put_chunks(outlet, &answer.body, end, effects)? == Chunks::Mangled {
                    outlet.flush()?;
                    return Ok(Next::End(CLOSE));
                }
            }
        }
    }
    if let Some(cut) = cut {
        outlet.flush()?;
        return Ok(Next::End(cut.ending));
    }
    if !answer.is_head_only {
        if answer.framing == Framing::Chunked {
            trickle(outlet, b"0\r\nX-Trailer: the end\r\n\r\n", effects.trailer_byte_delay)?;
        }
        for _ in 0..effects.extra_bytes {
            outlet.put_body(b"+")?;
        }
    }
    outlet.flush()?;
    outlet.note_whole();
    Ok(if keeps { Next::Keep } else { Next::End(CLOSE) })
}

/// Framing, with this pause before each of its bytes if there is one.
fn trickle(outlet: &mut Outlet<'_>, bytes: &[u8], pause: Option<Duration>) -> io::Result<()> {
    let Some(pause) = pause else {
        return outlet.put(bytes);
    };
    outlet.flush()?;
    for byte in bytes {
        outlet.pause(pause)?;
        outlet.put(std::slice::from_ref(byte))?;
        outlet.flush()?;
    }
    Ok(())
}

/// Bytes of the body, counted from its start, all at once or as the script has them.
fn put(
    outlet: &mut Outlet<'_>,
    body: &Body,
    mut part: Range<u64>,
    effects: &Effects,
) -> io::Result<()> {
    let Some(drip) = effects.drip else { return put_part(outlet, body, part) };
    while !part.is_empty() {
        outlet.flush()?;
        outlet.pause(drip.pause)?;
        let end = part.end.min(part.start.saturating_add(drip.bytes.max(1)));
        put_part(outlet, body, part.start..end)?;
        part.start = end;
    }
    outlet.flush()
}

fn put_part(outlet: &mut Outlet<'_>, body: &Body, part: Range<u64>) -> io::Result<()> {
    match body {
        Body::Content { bytes: file, span, flips } => {
            let bytes = part.end - part.start;
            outlet.put_content(file, span.start() + part.start, bytes, flips)
        }
        Body::Text(text) => {
            let index = |at: u64| usize::try_from(at).expect("a text is in memory");
            outlet.put_body(&text[index(part.start)..index(part.end)])
        }
    }
}

/// Where the first chunk begins that has `after_bytes` of the body before it, at least.
pub(super) fn chunk_start_from(after_bytes: u64) -> u64 {
    let cycle_bytes: u64 = CHUNK_BYTES.iter().sum();
    let mut start = after_bytes / cycle_bytes * cycle_bytes;
    for bytes in CHUNK_BYTES.iter().cycle() {
        if start >= after_bytes {
            break;
        }
        start += bytes;
    }
    start
}

/// What became of a body in chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chunks {
    /// All of it is out that was to go out.
    Sent,
    /// It is over, with bytes that begin no chunk.
    Mangled,
}

/// The body in chunks, the last of them broken off at `end` if that is not the body's own.
fn put_chunks(
    outlet: &mut Outlet<'_>,
    body: &Body,
    end: u64,
    effects: &Effects,
) -> io::Result<Chunks> {
    let mangled = effects.mangled_chunk.as_ref();
    let mut at = 0;
    for (count, bytes) in CHUNK_BYTES.iter().cycle().enumerate() {
        if at == end {
            break;
        }
        if let Some(mangled) = mangled.filter(|mangled| at >= mangled.after_bytes) {
            outlet.put(&mangled.line)?;
            return Ok(Chunks::Mangled);
        }
        let chunk_end = body.len().min(at + bytes);
        let extension = if count % 2 == 0 { "" } else { ";note=\"a; b\"" };
        outlet.put(format!("{:x}{extension}\r\n", chunk_end - at).as_bytes())?;
        put(outlet, body, at..chunk_end.min(end), effects)?;
        if chunk_end > end {
            break;
        }
        outlet.put(b"\r\n")?;
        at = chunk_end;
    }
    Ok(Chunks::Sent)
}
