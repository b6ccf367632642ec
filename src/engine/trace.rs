//! The trace: one JSON line per span, per decision, and for begin and end. Off by default.
//!
//! Times are seconds since the transfer began, sizes bytes. [`Line`] is the schema: what is written
//! here, and what a reader of the file gets back. The `bytes` of all `span` lines add up to the
//! file.

use crate::base::{Error, ErrorKind, Result};
use crate::engine::context::Context;
use crate::io::tcp_info::TcpInfo;
use crate::io::whole::open_stream;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// An open trace file, shared by all shards.
pub(super) struct Trace {
    /// `None` behind the last line: what a transfer leaves when it fails may let go of its spans
    /// later.
    file: Mutex<Option<BufWriter<File>>>,
}

/// One line of the file. To be written it borrows its text and span; read back it owns them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Line<Text = String, Span = SpanLine> {
    /// The transfer begins.
    Begin {
        /// The URL, without secrets.
        url: Text,
        /// Size of the file.
        bytes: u64,
        /// Addresses of the server.
        addresses: u32,
        /// What moves the bytes: `io_uring` or `epoll`.
        engine: Text,
    },
    /// A connection is done with a span.
    Span(Span),
    /// The plan has decided something.
    Decision {
        /// When.
        at: f64,
        /// The kind of decision.
        what: Text,
        /// Target and reason.
        text: Text,
    },
    /// The transfer ends.
    End {
        /// When.
        at: f64,
        /// Bytes that are in the file.
        bytes: u64,
        /// `ok`, or the error.
        outcome: Text,
        /// What limited the rate; empty if that is not known.
        limiter: Text,
    },
}

/// A line as it is written.
type Written<'a> = Line<&'a str, &'a SpanLine>;

/// The life of one span on one connection.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct SpanLine {
    /// The number of the connection.
    pub connection: u32,
    /// The server's address and port; empty if no answer came.
    pub address: String,
    /// The URL of the source, without secrets; left out where there is only one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// The first byte received, as an offset in the file.
    pub start: u64,
    /// The end of what was received, as an offset in the file.
    pub end: u64,
    /// Received bytes that no other connection had delivered.
    pub bytes: u64,
    /// Indicates whether the request was sent before the span before it had ended.
    pub ahead: bool,
    /// Indicates whether the span was fetched beside another connection that had it already.
    pub hedge: bool,
    /// When the request was sent.
    pub requested: Option<f64>,
    /// When the first byte of the body came.
    pub first_byte: Option<f64>,
    /// When the last byte came, or the span ended without it.
    pub last_byte: Option<f64>,
    /// When the last block was in the file.
    pub written: Option<f64>,
    /// `ok`, `cut`, `aborted`, or the error.
    pub outcome: String,
    /// What the kernel knew of the connection when the span ended.
    pub tcp: Option<TcpLine>,
}

/// What the kernel knew of the connection when the span ended.
#[derive(Debug, Serialize, Deserialize)]
pub struct TcpLine {
    /// Smoothed round-trip time, in microseconds.
    pub rtt_us: u32,
    /// Round-trip time as the receiver estimates it, in microseconds.
    pub receiver_rtt_us: u32,
    /// Receive buffer in bytes, as the kernel has tuned it.
    pub receive_space_bytes: u32,
    /// Congestion window of what this machine sends, in segments.
    pub send_window_segments: u32,
    /// Segments that this machine sent again.
    pub retransmits: u32,
    /// Segments received out of order: the sender's losses as seen from here.
    pub out_of_order: u32,
}

impl Trace {
    /// Makes the file, or empties it. It is no file that is replaced as a whole: people follow it
    /// while it grows, and it may be a pipe, or /dev/stderr.
    pub(super) fn create(path: &Path) -> Result<Arc<Self>> {
        let file = open_stream(path).map_err(|e| {
            let what = format!("cannot create the trace {}", path.display());
            Error::new(ErrorKind::Usage, what).caused_by(e).advise("check --trace")
        })?;
        Ok(Arc::new(Self { file: Mutex::new(Some(BufWriter::new(file))) }))
    }

    /// Adds a line. The trace is a by-product: what cannot be written is lost.
    pub(super) fn write(&self, line: &Written<'_>) {
        if let Some(file) = &mut *self.lock()
            && serde_json::to_writer(&mut *file, line).is_ok()
        {
            let _ = file.write_all(b"\n");
        }
    }

    /// Adds the last line, and hands everything to the file.
    pub(super) fn end(&self, line: &Written<'_>) {
        self.write(line);
        if let Some(mut file) = self.lock().take() {
            let _ = file.flush();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<BufWriter<File>>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<TcpInfo> for TcpLine {
    fn from(info: TcpInfo) -> Self {
        Self {
            rtt_us: info.rtt_us,
            receiver_rtt_us: info.receiver_rtt_us,
            receive_space_bytes: info.receive_space_bytes,
            send_window_segments: info.send_window_segments,
            retransmits: info.retransmits,
            out_of_order: info.out_of_order,
        }
    }
}

/// A span's line while it grows. Shared with the span's writes; the last one to let go of it writes
/// it out.
pub(super) struct SpanTrace {
    context: Arc<Context>,
    trace: Arc<Trace>,
    line: RefCell<SpanLine>,
}

impl SpanTrace {
    /// A span that a connection starts on.
    pub(super) fn new(
        context: &Arc<Context>,
        trace: &Arc<Trace>,
        connection: u32,
        start: u64,
    ) -> Rc<Self> {
        let line = SpanLine { connection, start, end: start, ..SpanLine::default() };
        Rc::new(Self { context: context.clone(), trace: trace.clone(), line: RefCell::new(line) })
    }

    /// Fills in what became known.
    pub(super) fn note(&self, change: impl FnOnce(&mut SpanLine)) {
        change(&mut self.line.borrow_mut());
    }
}

impl Drop for SpanTrace {
    fn drop(&mut self) {
        let line = self.line.get_mut();
        line.written = Some(seconds(self.context.now())).filter(|_| line.bytes > 0);
        self.trace.write(&Line::Span(line));
    }
}

/// A time as the trace writes it, to the microsecond.
pub(super) fn seconds(at: Duration) -> f64 {
    (at.as_secs_f64() * 1e6).round() / 1e6
}
