//! What the faults of one request add up to: a plain record that the answer and its delivery read.
//!
//! Owns the one exhaustive table from faults to effects. Must not know requests or sockets.

use super::script::{Fault, Gate};
use std::ops::Range;
use std::time::Duration;

/// The sum of the faults that hit one request; the default is a faultless answer.
#[derive(Debug, Default)]
pub(in crate::server) struct Effects {
    /// Answered in place of the file.
    pub(in crate::server) instead: Option<Instead>,
    /// Where all requests are redirected to.
    pub(in crate::server) redirect_root: Option<String>,
    /// User and password the request must carry.
    pub(in crate::server) credentials: Option<(String, String)>,
    /// What the request must show, in this order.
    pub(in crate::server) gates: Vec<Gate>,
    pub(in crate::server) ignores_ranges: bool,
    pub(in crate::server) hides_ranges: bool,
    pub(in crate::server) ignores_conditions: bool,
    pub(in crate::server) hides_validators: bool,
    pub(in crate::server) range_shift: i64,
    pub(in crate::server) range_total: Option<u64>,
    pub(in crate::server) range_bytes_max: Option<u64>,
    pub(in crate::server) etag: Option<Said>,
    pub(in crate::server) last_modified: Option<Said>,
    pub(in crate::server) content_encoding: Option<String>,
    /// Another file's seed and size.
    pub(in crate::server) replacement: Option<(u64, u64)>,
    /// 416 for a range that is there.
    pub(in crate::server) unsatisfiable: Option<Unsatisfiable>,
    pub(in crate::server) forbids_head: bool,
    /// Header fields besides.
    pub(in crate::server) fields: Vec<(String, String)>,
    pub(in crate::server) has_wrong_digest: bool,
    pub(in crate::server) hides_digests: bool,
    /// Requests that each signed URL of a redirect is good for.
    pub(in crate::server) signs_for_requests: Option<u32>,
    /// Parts of the file whose bytes are wrong.
    pub(in crate::server) flips: Vec<Range<u64>>,
    pub(in crate::server) framing: Framing,
    pub(in crate::server) mangled_chunk: Option<MangledChunk>,
    /// Bytes behind the end of the body.
    pub(in crate::server) extra_bytes: u64,
    pub(in crate::server) head_bytes_min: usize,
    pub(in crate::server) interim_heads: u32,
    /// Sent in place of a whole answer.
    pub(in crate::server) garbage: Option<Vec<u8>>,
    pub(in crate::server) stalls_before_head: bool,
    pub(in crate::server) head_delay: Duration,
    pub(in crate::server) head_byte_delay: Option<Duration>,
    pub(in crate::server) drip: Option<Drip>,
    pub(in crate::server) trailer_byte_delay: Option<Duration>,
    pub(in crate::server) bytes_per_second: Option<u64>,
    pub(in crate::server) cut: Option<Cut>,
    pub(in crate::server) closing: Closing,
}

/// A scripted answer.
#[derive(Debug, Clone)]
pub(in crate::server) struct Instead {
    pub(in crate::server) status: u16,
    pub(in crate::server) headers: Vec<(String, String)>,
    pub(in crate::server) body: Vec<u8>,
}

impl Instead {
    /// A redirect with this status.
    pub(in crate::server) fn redirect(status: u16, location: String) -> Self {
        let headers = vec![("Location".to_owned(), location)];
        Self { status, headers, body: b"elsewhere\n".to_vec() }
    }
}

/// What the script has a field say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server) enum Said {
    This(String),
    /// The field is not there.
    Nothing,
}

/// A refused range.
#[derive(Debug, Clone, Copy)]
pub(in crate::server) struct Unsatisfiable {
    /// The size that `Content-Range` names.
    pub(in crate::server) total: Option<u64>,
}

/// A chunk whose size line is something else.
#[derive(Debug)]
pub(in crate::server) struct MangledChunk {
    pub(in crate::server) after_bytes: u64,
    pub(in crate::server) line: Vec<u8>,
}

/// A body that comes a little at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) struct Drip {
    /// Bytes that are sent together.
    pub(in crate::server) bytes: u64,
    /// What goes before each of them.
    pub(in crate::server) pause: Duration,
}

/// How a body says where it ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::server) enum Framing {
    #[default]
    Length,
    Chunked,
    UntilClose,
}

/// How the script has the connection end behind the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::server) enum Closing {
    #[default]
    AsAsked,
    Announced,
    Silent,
}

/// The body stops here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) struct Cut {
    pub(in crate::server) after_bytes: u64,
    pub(in crate::server) ending: Ending,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Ending {
    /// RST.
    Reset,
    /// FIN, in TLS with or without close_notify.
    Close { close_notify: bool },
    /// Silence until the client leaves or the server stops.
    Stall,
}

impl Said {
    /// The value of a field that has `before` without the script.
    pub(in crate::server) fn instead_of(
        this: Option<&Self>,
        before: Option<String>,
    ) -> Option<String> {
        match this {
            None => before,
            Some(Said::This(value)) => Some(value.clone()),
            Some(Said::Nothing) => None,
        }
    }
}

impl Effects {
    /// Adds up `faults`; where two contradict each other the first in the script wins.
    pub(in crate::server) fn of<'a>(faults: impl DoubleEndedIterator<Item = &'a Fault>) -> Self {
        let mut sum = Self::default();
        for fault in faults.rev() {
            sum.add(fault.clone());
        }
        sum
    }

    fn add(&mut self, fault: Fault) {
        match fault {
            Fault::Status { code, headers, body } => {
                self.instead = Some(Instead { status: code, headers, body });
            }
            Fault::Redirect { status, location } => {
                self.instead = Some(Instead::redirect(status, location));
            }
            Fault::RedirectToRoot(root) => self.redirect_root = Some(root),
            Fault::RequireBasicAuth { user, password } => {
                self.credentials = Some((user, password));
            }
            Fault::Gate(gate) => self.gates.insert(0, gate),
            Fault::Garbage(bytes) => self.garbage = Some(bytes),
            Fault::IgnoreRange => self.ignores_ranges = true,
            Fault::NoRangeSupport => (self.ignores_ranges, self.hides_ranges) = (true, true),
            Fault::WrongRange { shift } => self.range_shift = shift,
            Fault::WrongTotal(total) => self.range_total = Some(total),
            Fault::ShorterRange(bytes) => self.range_bytes_max = Some(bytes),
            Fault::ETag(tag) => self.etag = Some(Said::This(tag)),
            Fault::NoETag => self.etag = Some(Said::Nothing),
            Fault::LastModified(date) => self.last_modified = Some(Said::This(date)),
            Fault::NoLastModified => self.last_modified = Some(Said::Nothing),
            Fault::IgnoreConditions => self.ignores_conditions = true,
            Fault::HideValidators => self.hides_validators = true,
            Fault::FlipByte(offset) => self.flips.push(offset..offset.saturating_add(1)),
            Fault::FlipBytes(part) => self.flips.push(part),
            Fault::Replaced { seed, size_bytes } => self.replacement = Some((seed, size_bytes)),
            Fault::NotSatisfiable { total } => self.unsatisfiable = Some(Unsatisfiable { total }),
            Fault::NoHead => self.forbids_head = true,
            Fault::Fields(fields) => drop(self.fields.splice(0..0, fields)),
            Fault::WrongDigest => self.has_wrong_digest = true,
            Fault::NoDigests => self.hides_digests = true,
            Fault::ExpiringRedirect { requests } => self.signs_for_requests = Some(requests),
            Fault::Chunked => self.framing = Framing::Chunked,
            Fault::MangledChunk { after_bytes, line } => {
                self.framing = Framing::Chunked;
                self.mangled_chunk = Some(MangledChunk { after_bytes, line });
            }
            Fault::NoLength => self.framing = Framing::UntilClose,
            Fault::LongBody(bytes) => self.extra_bytes = bytes,
            Fault::ContentEncoding(coding) => self.content_encoding = Some(coding),
            Fault::HugeHead(bytes) => self.head_bytes_min = bytes,
            Fault::Interim(count) => self.interim_heads = count,
            Fault::ResetAfter(bytes) => self.cut(bytes, Ending::Reset),
            Fault::CloseAfter { bytes, close_notify } => {
                self.cut(bytes, Ending::Close { close_notify });
            }
            Fault::StallAfter(bytes) => self.cut(bytes, Ending::Stall),
            Fault::StallBeforeHead => self.stalls_before_head = true,
            Fault::SlowHead(pause) => self.head_byte_delay = Some(pause),
            Fault::DelayHead(pause) => self.head_delay = pause,
            Fault::DripBody { bytes, pause } => self.drip = Some(Drip { bytes, pause }),
            Fault::DripTrailer(pause) => {
                self.framing = Framing::Chunked;
                self.trailer_byte_delay = Some(pause);
            }
            Fault::Rate(rate) => self.bytes_per_second = Some(rate),
            Fault::CloseAfterReply { announce: true } => self.closing = Closing::Announced,
            Fault::CloseAfterReply { announce: false } => self.closing = Closing::Silent,
            Fault::CloseOnAccept | Fault::ResetOnAccept | Fault::StallOnAccept => {
                unreachable!("the script gives these to connections only")
            }
            Fault::ServerGone | Fault::ServerSilent | Fault::ServerUnreachable => {
                unreachable!("the script gives these to the server only")
            }
        }
    }

    fn cut(&mut self, after_bytes: u64, ending: Ending) {
        self.cut = Some(Cut { after_bytes, ending });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_two_contradicting_faults_wins() {
        let faults = [
            Fault::StallAfter(5),
            Fault::ResetAfter(1),
            Fault::FlipByte(1),
            Fault::FlipBytes(2..9),
            Fault::NoLength,
            Fault::Chunked,
        ];
        let effects = Effects::of(faults.iter());
        assert_eq!(effects.cut, Some(Cut { after_bytes: 5, ending: Ending::Stall }));
        assert_eq!(effects.framing, Framing::UntilClose);
        assert_eq!(effects.flips, [2..9, 1..2]);
    }
}
