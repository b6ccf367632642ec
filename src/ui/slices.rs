//! The last lines of a slice of a file, and of slices that were joined. Pure functions from reports
//! to text.

use super::text::{closing_line, evidence_lines, verified_line};
use crate::base::size::{format_bytes, format_duration};
use crate::base::text::{listed, printable};
use crate::engine::progress::{JoinReport, OtherSlices, Report, SliceReport};

/// What was done for a slice, how the others are, what the whole was compared with, and what
/// limited it.
pub(super) fn slice_lines(report: &Report, of_slice: &SliceReport) -> Vec<String> {
    let path = printable(&report.path.display().to_string());
    let SliceReport { slice, others, .. } = of_slice;
    if *others == OtherSlices::JoinedBefore && report.new_bytes() == 0 {
        return vec![format!("{path}: complete, as its slices were joined before")];
    }
    let count = slice.count();
    let others = match others {
        OtherSlices::Missing(missing) if missing.len() == 1 => {
            format!("slice {} of {count} is not complete here yet", listed(missing))
        }
        OtherSlices::Missing(missing) => {
            format!("slices {} of {count} are not complete here yet", listed(missing))
        }
        OtherSlices::InUse => {
            format!("all {count} slices are complete, and another ringhaul has one of them")
        }
        OtherSlices::Joined => format!("joined {count} slices: {path} is complete"),
        OtherSlices::JoinedBefore => {
            format!("another ringhaul has joined the {count} slices: {path} is complete")
        }
    };
    let mut lines = vec![closing_line(&format!("{path}, slice {slice}"), report), others];
    lines.extend(evidence_lines(report));
    lines
}

/// What was joined.
pub(super) fn join_lines(report: &JoinReport) -> Vec<String> {
    let path = printable(&report.path.display().to_string());
    let (bytes, elapsed) = (format_bytes(report.bytes), format_duration(report.elapsed));
    let mut lines = vec![match report.slices {
        Some(count) => format!("{path}: joined {count} slices, {bytes} read in {elapsed}"),
        None => format!("{path}: complete, as its slices were joined before"),
    }];
    lines.extend(report.verified.as_ref().map(verified_line));
    lines
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use crate::base::size::GIB;
    use std::time::Duration;

    fn lines(others: OtherSlices, resumed_bytes: u64) -> Vec<String> {
        let slice = SliceReport { slice: "3/8".parse().unwrap(), others };
        slice_lines(&Report { resumed_bytes, ..samples::report() }, &slice)
    }

    #[test]
    fn a_slice_tells_of_the_others() {
        let missing = lines(OtherSlices::Missing(vec![1, 4, 5, 6]), 0);
        assert!(missing[0].starts_with("out/x.iso, slice 3 of 8: 2.00 GiB in "), "{missing:?}");
        assert_eq!(missing[1], "slices 1 and 4 to 6 of 8 are not complete here yet");
        let last = lines(OtherSlices::Missing(vec![8]), 0).remove(1);
        assert_eq!(last, "slice 8 of 8 is not complete here yet");
        let joined = lines(OtherSlices::Joined, 2 * GIB).remove(1);
        assert_eq!(joined, "joined 8 slices: out/x.iso is complete");
        assert_eq!(lines(OtherSlices::JoinedBefore, 0).len(), 2);
        let before = lines(OtherSlices::JoinedBefore, 2 * GIB);
        assert_eq!(before, ["out/x.iso: complete, as its slices were joined before"]);
        assert!(lines(OtherSlices::InUse, 0)[1].starts_with("all 8 slices are complete, and"));
    }

    #[test]
    fn who_joins_tells_how_many() {
        let mut report = JoinReport {
            path: "out/x.iso".into(),
            bytes: GIB,
            slices: Some(8),
            url: None,
            verified: None,
            digests: Vec::new(),
            elapsed: Duration::from_secs(2),
        };
        let line = join_lines(&report).remove(0);
        assert!(line.starts_with("out/x.iso: joined 8 slices, 1.00 GiB read in 2"), "{line}");
        report.slices = None;
        assert!(join_lines(&report)[0].ends_with("complete, as its slices were joined before"));
    }
}
