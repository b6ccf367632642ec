//! Which faults made a difference to an answer: the one exhaustive table, so that a test whose
//! fault never happened can tell.
//!
//! Pure; judges the fault by the answer that was decided. Must not know sockets or the script.

use super::deliver::chunk_start_from;
use super::respond::{Answer, Body};
use crate::server::codec::request::Request;
use crate::server::faults::effects::Framing;
use crate::server::faults::script::{Fault, Gate};

/// Whether `fault`, which was chosen for `request`, shows in `answer` if all of it is read. Of
/// several that contradict each other each counts for itself.
pub(super) fn shows(fault: &Fault, request: &Request, answer: &Answer) -> bool {
    let has_body = !answer.is_head_only;
    let body_bytes = if has_body { answer.body.len() } else { 0 };
    let is_chunked = has_body && answer.framing == Framing::Chunked;
    match fault {
        // In place of the file.
        Fault::Status { code, .. } => answer.status == *code,
        Fault::Redirect { status, .. } => answer.status == *status,
        Fault::RedirectToRoot(_) => answer.status == 302,
        Fault::RequireBasicAuth { .. } | Fault::Gate(Gate::Digest(_) | Gate::Bearer(_)) => {
            answer.status == 401
        }
        Fault::Gate(Gate::Cookie) => answer.status == 302,
        Fault::ExpiringRedirect { .. } => matches!(answer.status, 302 | 403),
        Fault::NoHead => answer.status == 405,
        Fault::NotSatisfiable { .. } => answer.status == 416,
        // What is said of the file.
        Fault::ETag(_)
        | Fault::NoETag
        | Fault::LastModified(_)
        | Fault::NoLastModified
        | Fault::HideValidators
        | Fault::Replaced { .. }
        | Fault::Fields(_)
        | Fault::NoRangeSupport => answer.is_of_file,
        Fault::WrongDigest | Fault::NoDigests => answer.could_have_digests,
        Fault::IgnoreConditions => answer.is_of_file && request.has_condition(),
        Fault::IgnoreRange => answer.status == 200 && request.field("range").is_some(),
        Fault::WrongRange { .. } | Fault::WrongTotal(_) => answer.status == 206,
        Fault::ShorterRange(bytes) => answer.status == 206 && answer.body.len() == (*bytes).max(1),
        // The body and its framing.
        Fault::FlipByte(offset) => has_body && has_bytes(answer, *offset, *offset),
        Fault::FlipBytes(part) => {
            has_body && !part.is_empty() && has_bytes(answer, part.start, part.end - 1)
        }
        Fault::Chunked | Fault::DripTrailer(_) => is_chunked,
        Fault::MangledChunk { after_bytes, .. } => {
            is_chunked && chunk_start_from(*after_bytes) < body_bytes
        }
        Fault::NoLength => has_body && answer.framing == Framing::UntilClose,
        Fault::LongBody(bytes) => has_body && *bytes > 0,
        Fault::DripBody { .. } => body_bytes > 0,
        Fault::ResetAfter(bytes) | Fault::CloseAfter { bytes, .. } | Fault::StallAfter(bytes) => {
            *bytes <= body_bytes
        }
        // Every answer has a head, a rate and an end.
        Fault::ContentEncoding(_)
        | Fault::HugeHead(_)
        | Fault::Interim(_)
        | Fault::SlowHead(_)
        | Fault::DelayHead(_)
        | Fault::Rate(_)
        | Fault::CloseAfterReply { .. } => true,
        // With these there is no answer.
        Fault::Garbage(_)
        | Fault::StallBeforeHead
        | Fault::CloseOnAccept
        | Fault::ResetOnAccept
        | Fault::StallOnAccept
        | Fault::ServerGone
        | Fault::ServerSilent
        | Fault::ServerUnreachable => false,
    }
}

/// Indicates whether `answer` has bytes of a file from offset `first` to `last`.
fn has_bytes(answer: &Answer, first: u64, last: u64) -> bool {
    match &answer.body {
        Body::Content { span, .. } => {
            answer.is_of_file && span.start() <= last && first < span.end()
        }
        Body::Text(_) => false,
    }
}
