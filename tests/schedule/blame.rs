//! Which faults can be the cause of which error: the one exhaustive table.

use ringhaul::ErrorKind;
use ringhaul::server::Fault;

/// Whether a download that met `fault` may end with an error of this kind.
pub(super) fn may_cause(fault: &Fault, kind: ErrorKind) -> bool {
    match kind {
        ErrorKind::Status(status) => match fault {
            Fault::Status { code, .. } => *code == status,
            // A later answer that leads elsewhere, and a URL that expires again and again.
            Fault::Redirect { status: redirect, .. } => *redirect == status,
            Fault::ExpiringRedirect { .. } => matches!(status, 302 | 403),
            Fault::NotSatisfiable { .. } => status == 416,
            _ => changes_identity(fault) && status == 412,
        },
        ErrorKind::Changed => {
            let is_412 = matches!(fault, Fault::Status { code: 412, .. });
            changes_identity(fault) || denies_ranges(fault) || is_412
        }
        ErrorKind::RangesIgnored => changes_identity(fault) || denies_ranges(fault),
        ErrorKind::RangeMismatch => {
            changes_identity(fault)
                || denies_ranges(fault)
                || matches!(fault, Fault::WrongRange { .. } | Fault::LongBody(_))
        }
        ErrorKind::ContentEncoding => matches!(fault, Fault::ContentEncoding(_)),
        ErrorKind::Redirect => {
            matches!(fault, Fault::Redirect { .. } | Fault::ExpiringRedirect { .. })
        }
        ErrorKind::ChecksumMismatch => matches!(
            fault,
            // A body without length may end anywhere, and only its digest tells.
            Fault::FlipByte(_)
                | Fault::WrongDigest
                | Fault::NoDigests
                | Fault::Replaced { .. }
                | Fault::NoLength
        ),
        ErrorKind::Protocol => matches!(
            fault,
            Fault::Garbage(_)
                | Fault::MangledChunk { .. }
                | Fault::HugeHead(_)
                | Fault::LongBody(_)
                | Fault::Fields(_)
        ),
        ErrorKind::Connect | ErrorKind::ConnectionLost | ErrorKind::Truncated | ErrorKind::Tls => {
            ends_connection(fault)
        }
        ErrorKind::TimedOut => takes_time(fault),
        // The server has no part in these.
        ErrorKind::Usage
        | ErrorKind::TargetExists
        | ErrorKind::TargetUnusable
        | ErrorKind::Busy
        | ErrorKind::DiskFull
        | ErrorKind::DiskIo
        | ErrorKind::EngineUnavailable
        | ErrorKind::ResourceLimit
        | ErrorKind::Resolve
        | ErrorKind::Certificate
        | ErrorKind::Interrupted
        | ErrorKind::Internal => false,
        // The list has to be complete, though the compiler does not say so here.
        unknown => panic!("what may cause {unknown:?}?"),
    }
}

/// Whether answers with and without the fault seem to be about different files.
fn changes_identity(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::ETag(_)
            | Fault::NoETag
            | Fault::LastModified(_)
            | Fault::NoLastModified
            | Fault::Replaced { .. }
            | Fault::WrongTotal(_)
            | Fault::WrongDigest
            | Fault::NoDigests
            | Fault::Fields(_)
    )
}

fn denies_ranges(fault: &Fault) -> bool {
    matches!(fault, Fault::IgnoreRange | Fault::NoRangeSupport | Fault::NotSatisfiable { .. })
}

fn ends_connection(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::ResetAfter(_)
            | Fault::CloseAfter { .. }
            | Fault::CloseAfterReply { .. }
            | Fault::CloseOnAccept
            | Fault::ResetOnAccept
            | Fault::NoLength
            | Fault::MangledChunk { .. }
            | Fault::Garbage(_)
    )
}

fn takes_time(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::StallAfter(_)
            | Fault::StallBeforeHead
            | Fault::StallOnAccept
            | Fault::SlowHead(_)
            | Fault::DelayHead(_)
            | Fault::Rate(_)
            | Fault::DripBody { .. }
            | Fault::DripTrailer(_)
    )
}
