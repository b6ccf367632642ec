//! The trace: one JSON line per span, per decision, and for begin and end. Off by default.
//!
//! Times are seconds since the transfer began, sizes bytes. Lines:
//!
//! * `begin`: `url`, `bytes` (of the file), `addresses`, `engine` (`io_uring` or `epoll`)
//! * `span`: `connection`, `address`, `start` and `end` as received, `bytes` of them that were new,
//!   `ahead` (requested before the span before it had ended), `hedge` (fetched beside another
//!   connection), `requested`, `first_byte`, `last_byte` and `written` (the last block is in the
//!   file) where they were reached, `outcome` (`ok`, `cut`, `aborted`, or the error), and `tcp`,
//!   what the kernel knew of the connection then: `rtt_us`, `receiver_rtt_us`,
//!   `receive_space_bytes`, `send_window_segments`, `retransmits` (of ours), `out_of_order`
//!   (segments received; the sender's losses as seen from here)
//! * `decision`: `at`, `what`, `text` (target and reason)
//! * `end`: `at`, `bytes`, `outcome`, `limiter`
//!
//! The `bytes` of all `span` lines add up to the file.

use crate::base::{Error, ErrorKind, Result};
use crate::engine::context::Context;
use crate::io::socket::TcpInfo;
use crate::io::whole::open_stream;
use serde::Serialize;
use std::cell::RefCell;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// An open trace file, shared by all shards.
pub(super) struct Trace {
    file: Mutex<BufWriter<File>>,
}

/// One line.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Line<'a> {
    Begin { url: &'a str, bytes: u64, addresses: u32, engine: &'a str },
    Span(&'a SpanLine),
    Decision { at: f64, what: &'a str, text: &'a str },
    End { at: f64, bytes: u64, outcome: &'a str, limiter: &'a str },
}

/// The life of one span on one connection.
#[derive(Serialize, Default)]
pub(super) struct SpanLine {
    pub(super) connection: u32,
    pub(super) address: String,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) bytes: u64,
    pub(super) ahead: bool,
    pub(super) hedge: bool,
    pub(super) requested: Option<f64>,
    pub(super) first_byte: Option<f64>,
    pub(super) last_byte: Option<f64>,
    pub(super) written: Option<f64>,
    pub(super) outcome: String,
    pub(super) tcp: Option<TcpLine>,
}

/// What the kernel knew of the connection when the span ended.
#[derive(Serialize)]
pub(super) struct TcpLine {
    rtt_us: u32,
    receiver_rtt_us: u32,
    receive_space_bytes: u32,
    send_window_segments: u32,
    retransmits: u32,
    out_of_order: u32,
}

impl Trace {
    /// Makes the file, or empties it. It is no file that is replaced as a whole: people follow it
    /// while it grows, and it may be a pipe, or /dev/stderr.
    pub(super) fn create(path: &Path) -> Result<Arc<Self>> {
        let file = open_stream(path).map_err(|e| {
            let what = format!("cannot create the trace {}", path.display());
            Error::new(ErrorKind::Usage, what).caused_by(e).advise("check --trace")
        })?;
        Ok(Arc::new(Self { file: Mutex::new(BufWriter::new(file)) }))
    }

    /// Adds a line. The trace is a by-product: what cannot be written is lost.
    pub(super) fn write(&self, line: &Line<'_>) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if serde_json::to_writer(&mut *file, line).is_ok() {
            let _ = file.write_all(b"\n");
        }
    }

    /// Hands everything to the file.
    pub(super) fn flush(&self) {
        let _ = self.file.lock().unwrap_or_else(PoisonError::into_inner).flush();
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
