//! One TLS client session as a pump: ciphertext in, plaintext out, nothing read or sent by itself.
//!
//! Owns the rustls connection and the bytes that wait on either side of it. Must not know sockets,
//! HTTP, or when to give up.
//!
//! States: handshaking (until both Finished messages) -> open -> closed (we sent close_notify);
//! failed, from anywhere, once the peer broke the protocol or is not trusted. That the peer sent
//! close_notify is no state of ours: it ends what it sends, not what we send.
//!
//! rustls is shown whole records only, one more each time it has nothing left to say about those
//! before. So it is known at every moment how many bytes it has seen and still holds: fragments of
//! a handshake message, which it puts together in the caller's buffer.

use super::fault::Fault;
use super::trust::TlsConfig;
use crate::base::limits::TLS_STAGING_BYTES_MIN;
use crate::base::{Error, ErrorKind, Result};
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::pki_types::ServerName;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic,
};
use rustls::{HandshakeKind, ProtocolVersion};
use std::fmt;

/// Type, version and length in front of every record (RFC 8446 5.1).
const RECORD_HEADER_BYTES: usize = 5;
/// Longest record body rustls takes: 2^14 bytes and just below 2048 of expansion (RFC 5246 6.2.3
/// allows one byte more, RFC 8446 5.2 far less).
const RECORD_BODY_BYTES_MAX: usize = 16_384 + 2_047;

/// A TLS session with one server, seen from the client.
///
/// The life of a session: [`pump`](Self::pump) with no input makes the first flight; send
/// [`take_outgoing`](Self::take_outgoing) after every pump, then read, then pump again, until
/// [`is_handshaking`](Self::is_handshaking) is over; then [`encrypt`](Self::encrypt) the request
/// and pump the response.
pub struct Session {
    conn: UnbufferedClientConnection,
    host: String,
    /// Made by rustls for the peer, not yet taken.
    outgoing: Vec<u8>,
    /// Plaintext that did not fit; what is before `pending_start` is delivered.
    pending: Vec<u8>,
    pending_start: usize,
    /// Bytes at the front of the caller's unconsumed input that rustls has seen and still needs.
    held_bytes: usize,
    /// A whole record has been accepted, so the peer does speak TLS.
    heard_tls: bool,
    peer_closed: bool,
    phase: Phase,
}

/// What one pump has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pump {
    /// Bytes at the front of `input` that are used up. The others, changed or not, must be the
    /// front of the next pump's input.
    pub consumed: usize,
    /// Bytes written to the front of `output`.
    pub produced: usize,
    /// Nothing more can be done before more ciphertext has been read. False once the peer has
    /// closed.
    pub needs_input: bool,
}

/// What was negotiated, for the curious (`-v`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// `TLS 1.2` or `TLS 1.3`.
    pub version: &'static str,
    /// IANA name of the cipher suite.
    pub cipher: String,
    /// The application protocol, if the server chose one (RFC 7301).
    pub alpn: Option<String>,
    /// Indicates whether an earlier session of the same [`TlsConfig`] spared the full handshake.
    pub resumed: bool,
}

impl Session {
    /// A session with `host`: a name, which is sent as SNI, or an IP literal without brackets.
    ///
    /// Fails with [`ErrorKind::Usage`] if `host` is neither.
    pub fn new(config: &TlsConfig, host: &str) -> Result<Self> {
        let name = ServerName::try_from(host.to_owned()).map_err(|e| {
            Error::new(ErrorKind::Usage, format!("'{host}' is no host name TLS can verify"))
                .caused_by(e)
                .advise("check the host name in the URL")
        })?;
        let conn = UnbufferedClientConnection::new(config.rustls(), name)
            .map_err(|e| Fault::from(e).into_error(host))?;
        Ok(Self {
            conn,
            host: host.to_owned(),
            outgoing: Vec::new(),
            pending: Vec::new(),
            pending_start: 0,
            held_bytes: 0,
            heard_tls: false,
            peer_closed: false,
            phase: Phase::Live,
        })
    }

    /// Decrypts from `input` to `output` until `output` is full or `input` has no whole record
    /// left. `input` is decrypted in place and must start with what the pump before left over; it
    /// needs room for [`TLS_STAGING_BYTES_MIN`]. `output` may be empty while handshaking.
    ///
    /// Fails with [`ErrorKind::Certificate`] or [`ErrorKind::Tls`]; the session is over then, what
    /// stands in `output` does not count, and [`take_outgoing`](Self::take_outgoing) has the alert
    /// that tells the peer.
    pub fn pump(&mut self, input: &mut [u8], output: &mut [u8]) -> Result<Pump> {
        match self.phase {
            Phase::Live => self.run(input, output).map_err(|fault| self.fail(fault)),
            // Nobody is interested in what still comes (RFC 8446 6.1).
            Phase::Closed => Ok(Pump { consumed: input.len(), produced: 0, needs_input: false }),
            Phase::Failed => Err(self.over()),
        }
    }

    /// Indicates whether the handshake is still going on.
    pub fn is_handshaking(&self) -> bool {
        self.conn.is_handshaking()
    }

    /// Appends `plaintext` to `out` as records, behind everything that has to go out before it,
    /// such as the answer to a key update. Only between handshake and
    /// [`close_notify`](Self::close_notify).
    ///
    /// Fails with [`ErrorKind::Tls`] if the session is over or its keys are used up.
    pub fn encrypt(&mut self, plaintext: &[u8], out: &mut Vec<u8>) -> Result<()> {
        if self.phase != Phase::Live {
            return Err(self.over());
        }
        assert!(!self.is_handshaking(), "nothing is encrypted before the handshake is over");
        self.write_with(|traffic, ready| {
            append_sized(ready, |room| traffic.encrypt(plaintext, room))
        })
        .map_err(|fault| self.fail(fault))?;
        out.append(&mut self.outgoing);
        Ok(())
    }

    /// What has to be sent before waiting for input: handshake flights and alerts. Often empty.
    pub fn take_outgoing(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.outgoing)
    }

    /// Whether the peer said with close_notify that nothing follows. Bytes decrypted before it may
    /// still wait: see [`pending_plaintext`](Self::pending_plaintext).
    pub fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// Ends our side: appends what is still to be sent and close_notify to `out`. No effect but
    /// the former on a session that is failed, closed or still handshaking.
    pub fn close_notify(&mut self, out: &mut Vec<u8>) {
        if self.phase == Phase::Live {
            if !self.is_handshaking() {
                let queued = self.write_with(|traffic, ready| {
                    append_sized(ready, |room| traffic.queue_close_notify(room))
                });
                // A farewell that cannot be made is not worth an error: the socket is closed next.
                drop(queued);
            }
            self.phase = Phase::Closed;
        }
        out.append(&mut self.outgoing);
    }

    /// Decrypted bytes that wait for the next pump's `output`; one record at most (16 KiB).
    pub fn pending_plaintext(&self) -> usize {
        self.pending.len() - self.pending_start
    }

    /// What was negotiated; `None` while handshaking.
    pub fn info(&self) -> Option<SessionInfo> {
        if self.is_handshaking() {
            return None;
        }
        let version = match self.conn.protocol_version()? {
            ProtocolVersion::TLSv1_3 => "TLS 1.3",
            // The only other one that is switched on.
            _ => "TLS 1.2",
        };
        Some(SessionInfo {
            version,
            cipher: format!("{:?}", self.conn.negotiated_cipher_suite()?.suite()),
            alpn: self.conn.alpn_protocol().map(|p| String::from_utf8_lossy(p).into_owned()),
            resumed: self.conn.handshake_kind() == Some(HandshakeKind::Resumed),
        })
    }

    fn run(&mut self, input: &mut [u8], output: &mut [u8]) -> Result<Pump, Fault> {
        assert!(self.held_bytes <= input.len(), "the caller keeps what was not consumed");
        let mut produced = self.deliver_pending(output);
        let mut head = 0;
        let mut seen = self.held_bytes;
        let mut quiet = false;
        let starved = loop {
            let mut next_bytes = 0;
            if quiet {
                let frame = Frame::at(&input[head + seen..]);
                let full = produced > 0 && produced == output.len();
                if full || self.pending_plaintext() > 0 {
                    break matches!(frame, Frame::Partial) && self.pending_plaintext() == 0;
                }
                match frame {
                    Frame::Partial => break true,
                    Frame::Whole(bytes) => next_bytes = bytes,
                    Frame::Broken => return Err(self.refuse(&mut input[head..], seen)),
                }
            }
            seen += next_bytes;
            let (discard, event) =
                self.step(&mut input[head..head + seen], &mut output[produced..])?;
            self.heard_tls |= next_bytes > 0;
            head += discard;
            seen -= discard;
            quiet = match event {
                Event::Plaintext(bytes) => {
                    produced += bytes;
                    seen == 0
                }
                Event::Moved => false,
                Event::Quiet => true,
                Event::PeerClosed => break false,
            };
        };
        // What follows close_notify is ignored (RFC 8446 6.1).
        if self.peer_closed {
            (head, seen) = (input.len(), 0);
        }
        self.held_bytes = seen;
        if starved && head == 0 && input.len() >= TLS_STAGING_BYTES_MIN {
            return Err(Fault::HandshakeTooLarge);
        }
        Ok(Pump { consumed: head, produced, needs_input: starved && !self.peer_closed })
    }

    /// One step of rustls over `input`: whole records, the first of them perhaps seen before.
    /// Returns how many bytes at its front are done with.
    fn step(&mut self, input: &mut [u8], output: &mut [u8]) -> Result<(usize, Event), Fault> {
        let UnbufferedStatus { mut discard, state } = self.conn.process_tls_records(input);
        let event = match state? {
            ConnectionState::ReadTraffic(mut traffic) => {
                let mut produced = 0;
                while let Some(record) = traffic.next_record() {
                    let record = record?;
                    discard += record.discard;
                    let room = if self.pending.is_empty() { output.len() - produced } else { 0 };
                    let (fits, waits) = record.payload.split_at(record.payload.len().min(room));
                    output[produced..produced + fits.len()].copy_from_slice(fits);
                    produced += fits.len();
                    self.pending.extend_from_slice(waits);
                }
                Event::Plaintext(produced)
            }
            ConnectionState::EncodeTlsData(mut data) => {
                append_encoded(&mut data, &mut self.outgoing)?;
                Event::Moved
            }
            ConnectionState::TransmitTlsData(data) => {
                // Sent as far as rustls is concerned: `outgoing` keeps the order.
                data.done();
                Event::Moved
            }
            ConnectionState::PeerClosed | ConnectionState::Closed => {
                self.peer_closed = true;
                Event::PeerClosed
            }
            ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_) => Event::Quiet,
            other => return Err(unexpected(&other)),
        };
        Ok((discard, event))
    }

    /// Appends to `outgoing` what `write` makes of rustls's permission to send.
    fn write_with(
        &mut self,
        write: impl FnOnce(&mut Traffic<'_>, &mut Vec<u8>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        // The caller's buffer is not at hand, but rustls does not look at what it holds of it, only
        // behind it; with the true length there is nothing behind.
        let mut held = vec![0; self.held_bytes];
        while self.step(&mut held, &mut [])?.1 == Event::Moved {}
        match self.conn.process_tls_records(&mut held).state? {
            ConnectionState::WriteTraffic(mut traffic) => write(&mut traffic, &mut self.outgoing),
            other => Err(unexpected(&other)),
        }
    }

    /// The fault of a peer whose next record header, `seen` bytes into `input`, is none.
    fn refuse(&mut self, input: &mut [u8], seen: usize) -> Fault {
        if !self.heard_tls {
            return Fault::NotTls { http: input[seen..].starts_with(b"HTTP/") };
        }
        // rustls finds the words and makes the alert.
        let refused = self.step(&mut input[..seen + RECORD_HEADER_BYTES], &mut []).err();
        refused.unwrap_or_else(|| general("a broken record header"))
    }

    fn deliver_pending(&mut self, output: &mut [u8]) -> usize {
        let waiting = &self.pending[self.pending_start..];
        let bytes = waiting.len().min(output.len());
        output[..bytes].copy_from_slice(&waiting[..bytes]);
        self.pending_start += bytes;
        if self.pending_start == self.pending.len() {
            self.pending.clear();
            self.pending_start = 0;
        }
        bytes
    }

    /// Ends the session; the alert rustls has made for the peer goes to `outgoing`.
    fn fail(&mut self, fault: Fault) -> Error {
        self.phase = Phase::Failed;
        // While something waits to be encoded rustls does not look at records again.
        while self.conn.wants_write() {
            match self.conn.process_tls_records(&mut []).state {
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    if append_encoded(&mut data, &mut self.outgoing).is_err() {
                        break;
                    }
                }
                _ => break,
            }
        }
        fault.into_error(&self.host)
    }

    fn over(&self) -> Error {
        Error::new(ErrorKind::Tls, format!("the TLS session with {} is over", self.host))
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("host", &self.host)
            .field("phase", &self.phase)
            .field("handshaking", &self.is_handshaking())
            .field("pending_bytes", &self.pending_plaintext())
            .finish_non_exhaustive()
    }
}

type Traffic<'c> = WriteTraffic<'c, ClientConnectionData>;

/// Live covers handshaking and open, which rustls tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Live,
    Closed,
    Failed,
}

/// What a step of rustls came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    /// This many bytes of plaintext were written; others may be pending.
    Plaintext(usize),
    /// Something was queued for the peer; there may be more.
    Moved,
    /// Nothing left to say about the records seen.
    Quiet,
    /// close_notify was among them.
    PeerClosed,
}

/// What stands at the front of some ciphertext.
#[derive(Debug, PartialEq, Eq)]
enum Frame {
    /// The beginning of a record, or nothing.
    Partial,
    /// A record of this many bytes, header included.
    Whole(usize),
    /// No record header that could be one (RFC 8446 5.1).
    Broken,
}

impl Frame {
    fn at(input: &[u8]) -> Self {
        let [kind, major, _minor, high, low, ..] = *input else { return Frame::Partial };
        let body_bytes = usize::from(u16::from_be_bytes([high, low]));
        // change_cipher_spec, alert, handshake, application_data, heartbeat
        if !(20..=24).contains(&kind) || major != 3 || body_bytes > RECORD_BODY_BYTES_MAX {
            return Frame::Broken;
        }
        let bytes = RECORD_HEADER_BYTES + body_bytes;
        if bytes <= input.len() { Frame::Whole(bytes) } else { Frame::Partial }
    }
}

fn append_encoded(
    data: &mut EncodeTlsData<'_, ClientConnectionData>,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let start = out.len();
    if let Err(EncodeError::InsufficientSize(short)) = data.encode(&mut []) {
        out.resize(start + short.required_size, 0);
    }
    let bytes = data.encode(&mut out[start..]).map_err(|e| general(&e.to_string()))?;
    out.truncate(start + bytes);
    Ok(())
}

/// Lets `fill` write behind `out`, with as much room as it asks for.
fn append_sized(
    out: &mut Vec<u8>,
    mut fill: impl FnMut(&mut [u8]) -> Result<usize, EncryptError>,
) -> Result<(), Fault> {
    let start = out.len();
    let mut filled = fill(&mut []);
    if let Err(EncryptError::InsufficientSize(short)) = filled {
        out.resize(start + short.required_size, 0);
        filled = fill(&mut out[start..]);
    }
    out.truncate(start + *filled.as_ref().unwrap_or(&0));
    filled.map(|_| ()).map_err(|e| general(&e.to_string()))
}

fn unexpected(state: &ConnectionState<'_, '_, ClientConnectionData>) -> Fault {
    general(&format!("unexpected state {state:?}"))
}

fn general(what: &str) -> Fault {
    Fault::Tls(rustls::Error::General(what.to_owned()))
}

#[cfg(test)]
mod tests;
