//! What an existing file has of the one that it should be: found out by the digests of its pieces
//! or the CRCs of a journal, and brought into the part file. The existing file is never written to.
//!
//! All of it blocks, and tells the caller of each step, who can end it with an error. Must not know
//! what the file should be, or who fetches the rest.

use super::journal::{self, Identity};
use super::place::{Place, disk_error};
use crate::base::limits::{BLOCK_BYTES, SPAN_ALIGN_BYTES};
use crate::base::size::KIB;
use crate::base::{Result, Span, SpanSet};
use crate::digest::crc::{Run, crc32c, crc32c_joined};
use crate::digest::{Algorithm, Digest, Hasher, PieceCheck, PieceHashes};
use crate::io::file;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

/// Bytes that have a CRC of their own while pieces are judged: few for memory, and pieces of most
/// files end where they do.
const LEAF_BYTES: u64 = 64 * KIB;
/// Bytes that are read, and copied within the kernel, at a time.
const STEP_BYTES: u64 = BLOCK_BYTES as u64;

/// Hears of bytes that have been read or copied; its error ends the work.
pub trait OnStep: FnMut(u64) -> Result<()> {}

impl<F: FnMut(u64) -> Result<()>> OnStep for F {}

/// A file that is repaired.
#[derive(Clone)]
pub struct Salvage {
    place: Arc<Place>,
}

/// What of the file is as it should be.
#[derive(Debug)]
pub struct Survey {
    /// Good bytes with their CRC: sorted, disjoint, and aligned as a journal asks for.
    pub good: Vec<Run>,
    /// The number of pieces that are bad or not there.
    pub bad_pieces: u64,
    /// The digests of the whole file.
    pub digests: Vec<Digest>,
}

/// How bytes got into the part file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// It shares them with the file until either is written to.
    Clone,
    /// The kernel has copied them.
    KernelCopy,
    /// They were read and written.
    Copy,
}

impl fmt::Display for Means {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clone => "cloned (copy-on-write)",
            Self::KernelCopy => "copied within the kernel",
            Self::Copy => "copied",
        })
    }
}

impl Salvage {
    /// The file that is repaired at this place, if one is.
    pub(super) fn of(place: &Arc<Place>) -> Option<Self> {
        place.old.as_ref().map(|_| Self { place: place.clone() })
    }

    /// The file's name.
    pub fn path(&self) -> &Path {
        &self.place.target
    }

    /// Its size now.
    pub fn bytes(&self) -> Result<u64> {
        let meta = self.old().metadata();
        Ok(meta.map_err(|e| self.failed(e, "cannot look at"))?.len())
    }

    /// Other names that lead to the same file, which keep it as it is.
    pub fn other_names(&self) -> u64 {
        self.old().metadata().map_or(0, |meta| meta.nlink().saturating_sub(1))
    }

    /// What the journal beside the file says, whatever file it was made for.
    pub fn recorded(&self) -> Result<Option<(Identity, Vec<Run>)>> {
        journal::recorded(&self.place.journal)
    }

    /// Reads bytes of the file, few enough for the memory.
    pub fn read(&self, span: Span) -> Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(span.len()).expect("a sample fits the memory")];
        let read = self.old().read_exact_at(&mut bytes, span.start());
        read.map_err(|e| self.failed(e, "cannot read"))?;
        Ok(bytes)
    }

    /// Reads the file and judges its pieces; also makes its digests, if all of it is read, which is
    /// so unless it has another size than its pieces.
    pub fn survey(
        &self,
        pieces: Option<&PieceHashes>,
        algorithms: &[Algorithm],
        mut on_step: impl OnStep,
    ) -> Result<Survey> {
        let bytes = self.bytes()?;
        let within = pieces.map_or(bytes, |pieces| pieces.total_bytes().min(bytes));
        let is_whole = pieces.is_none_or(|pieces| pieces.total_bytes() == bytes);
        let algorithms = if is_whole { algorithms } else { &[] };
        let mut hashers: Vec<Hasher> = algorithms.iter().map(|it| it.hasher()).collect();
        let mut judge = pieces.map(Judge::new);
        self.read_all(Span::new(0, within), |offset, block| {
            hashers.iter_mut().for_each(|hasher| hasher.update(block));
            judge.iter_mut().for_each(|judge| judge.on_bytes(offset, block));
            on_step(block.len() as u64)
        })?;
        Ok(Survey {
            bad_pieces: judge.as_ref().map_or(0, Judge::bad_pieces),
            good: judge.map(|judge| judge.good(within)).unwrap_or_default(),
            digests: hashers.into_iter().map(Hasher::finish).collect(),
        })
    }

    /// Those of `runs` that the file has.
    pub fn matching(&self, mut runs: Vec<Run>, mut on_step: impl OnStep) -> Result<Vec<Run>> {
        let bytes = self.bytes()?;
        runs.retain(|run| run.span.end() <= bytes);
        let mut matching = Vec::new();
        for run in runs {
            let mut crc = 0;
            self.read_all(run.span, |_, block| {
                crc = crc32c_joined(crc, crc32c(block), block.len() as u64);
                on_step(block.len() as u64)
            })?;
            if crc == run.crc32c {
                matching.push(run);
            }
        }
        Ok(matching)
    }

    /// Brings these bytes of the file into the part file, which will have `total` bytes. All others
    /// of it may be lost if it `is_empty`, in so far as nothing of it is of use.
    pub fn fill(
        &self,
        spans: &SpanSet,
        total: u64,
        is_empty: bool,
        mut on_step: impl OnStep,
    ) -> Result<Means> {
        let (old, part) = (self.old(), &self.place.file);
        if is_empty {
            part.set_len(0).map_err(|e| disk_error(e, "cannot empty", &self.place.part))?;
            if file::clone_whole(old, part).is_ok() {
                on_step(spans.covered())?;
                return Ok(Means::Clone);
            }
        }
        self.place.reserve_space(total)?;
        let mut means = Means::KernelCopy;
        for span in spans.iter() {
            let mut rest = span;
            while !rest.is_empty() {
                let (step, _) = rest.split_at(rest.start().saturating_add(STEP_BYTES));
                let copied = match means {
                    Means::KernelCopy => file::copy_range(old, part, step).ok(),
                    _ => Some(self.copy(step)?),
                };
                // What the kernel cannot copy can be read and written, or the error is told then.
                let Some(copied) = copied else {
                    means = Means::Copy;
                    continue;
                };
                on_step(copied)?;
                rest = Span::new(rest.start() + copied, rest.end());
            }
        }
        Ok(means)
    }

    fn copy(&self, span: Span) -> Result<u64> {
        let written = self.place.file.write_all_at(&self.read(span)?, span.start());
        written.map_err(|e| disk_error(e, "cannot write", &self.place.part))?;
        Ok(span.len())
    }

    /// Reads these bytes in order.
    fn read_all(
        &self,
        span: Span,
        mut on_bytes: impl FnMut(u64, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut memory = vec![0; BLOCK_BYTES];
        let mut rest = span;
        while !rest.is_empty() {
            let (step, later) = rest.split_at((rest.start() / STEP_BYTES + 1) * STEP_BYTES);
            let block = &mut memory[..usize::try_from(step.len()).expect("at most a block")];
            let read = self.old().read_exact_at(block, step.start());
            read.map_err(|e| self.failed(e, "cannot read"))?;
            on_bytes(step.start(), block)?;
            rest = later;
        }
        Ok(())
    }

    fn old(&self) -> &File {
        self.place.old.as_ref().expect("there is a file to be repaired")
    }

    fn failed(&self, error: io::Error, what: &str) -> crate::base::Error {
        disk_error(error, what, self.path())
    }
}

/// Judges the pieces of a file that is read from its start.
struct Judge {
    check: PieceCheck,
    leaf_bytes: u64,
    /// The CRCs of the leaves one behind the other.
    crcs: Vec<u32>,
}

impl Judge {
    fn new(pieces: &PieceHashes) -> Self {
        let is_even = pieces.length_bytes().is_multiple_of(LEAF_BYTES);
        let leaf_bytes = if is_even { LEAF_BYTES } else { SPAN_ALIGN_BYTES };
        Self { check: PieceCheck::new(pieces.clone()), leaf_bytes, crcs: Vec::new() }
    }

    fn on_bytes(&mut self, offset: u64, block: &[u8]) {
        let leaf_bytes = usize::try_from(self.leaf_bytes).expect("less than a block");
        self.crcs.extend(block.chunks(leaf_bytes).map(crc32c));
        self.check.on_bytes(offset, block);
        while self.check.next_verdict().is_some() {}
    }

    fn bad_pieces(&self) -> u64 {
        let (hashes, good) = (self.check.hashes(), self.check.good());
        (0..hashes.count()).filter(|&piece| !good.covers(hashes.span(piece))).count() as u64
    }

    /// The leaves all of whose bytes are in good pieces, as runs; `within` bytes were read.
    fn good(&self, within: u64) -> Vec<Run> {
        let (good, total) = (self.check.good(), self.check.hashes().total_bytes());
        let mut runs: Vec<Run> = Vec::new();
        for (start, &crc) in (0..).step_by(usize_of(self.leaf_bytes)).zip(&self.crcs) {
            let span = Span::new(start, within.min(start + self.leaf_bytes));
            let is_aligned = span.end().is_multiple_of(SPAN_ALIGN_BYTES) || span.end() == total;
            if !is_aligned || !good.covers(span) {
                continue;
            }
            match runs.last_mut().filter(|run| run.span.end() == start) {
                Some(run) if !start.is_multiple_of(STEP_BYTES) => {
                    run.crc32c = crc32c_joined(run.crc32c, crc, span.len());
                    run.span = Span::new(run.span.start(), span.end());
                }
                _ => runs.push(Run { span, crc32c: crc }),
            }
        }
        runs
    }
}

fn usize_of(bytes: u64) -> usize {
    usize::try_from(bytes).expect("less than a block")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ErrorKind;
    use crate::disk::output::{DirectPolicy, Reserved, SyncPolicy};
    use std::os::unix::fs::PermissionsExt;

    const PIECE: u64 = 100_000;
    const TOTAL: u64 = 1_250_000;

    fn content() -> Vec<u8> {
        (0..TOTAL).map(|at| ((at * 31) >> 3).to_le_bytes()[0]).collect()
    }

    fn hashes(piece_bytes: u64) -> PieceHashes {
        let hash = |piece: &[u8]| {
            let mut hasher = Algorithm::Sha1.hasher();
            hasher.update(piece);
            hasher.finish().bytes
        };
        let hashes: Vec<Vec<u8>> = content().chunks(usize_of(piece_bytes)).map(hash).collect();
        PieceHashes::new(Algorithm::Sha1, piece_bytes, TOTAL, &hashes).unwrap()
    }

    fn with_old(bytes: &[u8], test: impl FnOnce(&Reserved, &Salvage, &Path)) {
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, bytes).unwrap();
        let reserved = Reserved::over(&path, false).unwrap();
        let salvage = reserved.salvage().expect("a file to be repaired");
        test(&reserved, &salvage, &path);
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "the file itself is as it was");
    }

    fn covered(runs: &[Run]) -> SpanSet {
        let mut covered = SpanSet::new();
        for run in runs {
            assert!(run.span.start().is_multiple_of(SPAN_ALIGN_BYTES), "{run:?}");
            assert!(run.span.end().is_multiple_of(SPAN_ALIGN_BYTES) || run.span.end() == TOTAL);
            let bytes = &content()[usize_of(run.span.start())..usize_of(run.span.end())];
            assert_eq!(crc32c(bytes), run.crc32c, "{run:?}");
            assert_eq!(covered.insert(run.span), run.span.len(), "disjoint");
        }
        covered
    }

    #[test]
    fn what_is_good_is_all_but_the_bad_pieces_and_what_shares_a_page_with_them() {
        for piece_bytes in [PIECE, 2 * LEAF_BYTES] {
            let mut bytes = content();
            bytes[usize_of(5 * piece_bytes + 77)] ^= 1;
            with_old(&bytes, |_, salvage, _| {
                let pieces = hashes(piece_bytes);
                let survey = salvage.survey(Some(&pieces), &[], |_| Ok(())).unwrap();
                assert_eq!(survey.bad_pieces, 1);
                let good = covered(&survey.good);
                assert!(!good.covers(Span::with_len(5 * piece_bytes + 77, 1)));
                let lost = TOTAL - good.covered() - piece_bytes;
                assert!(lost < 2 * SPAN_ALIGN_BYTES, "{lost}");
            });
        }
    }

    #[test]
    fn files_of_other_lengths_have_the_pieces_they_have() {
        let pieces = hashes(PIECE);
        for (bytes, bad_pieces) in
            [(0, 13), (1, 13), (PIECE, 12), (TOTAL - 1, 1), (TOTAL, 0), (TOTAL + 3_000_000, 0)]
        {
            let mut old = content();
            old.resize(usize_of(bytes), 7);
            with_old(&old, |_, salvage, _| {
                let survey = salvage.survey(Some(&pieces), &[Algorithm::Md5], |_| Ok(())).unwrap();
                assert_eq!(survey.bad_pieces, bad_pieces, "{bytes}");
                assert_eq!(survey.digests.len(), usize::from(bytes == TOTAL), "{bytes}");
                let good = covered(&survey.good);
                assert!(
                    good.covered() + SPAN_ALIGN_BYTES > 12_u64.saturating_sub(bad_pieces) * PIECE
                );
                assert_eq!(good.covered() == TOTAL, bad_pieces == 0);
            });
        }
    }

    #[test]
    fn the_part_file_gets_the_good_bytes_and_nobody_elses_rights() {
        with_old(&content(), |_, salvage, path| {
            let private = std::fs::Permissions::from_mode(0o640);
            std::fs::set_permissions(path, private).unwrap();
            let mut spans = SpanSet::new();
            spans.insert(Span::new(0, 8192));
            spans.insert(Span::new(40_960, TOTAL));
            let mut steps = 0;
            salvage
                .fill(&spans, TOTAL, true, |bytes| {
                    steps += bytes;
                    Ok(())
                })
                .unwrap();
            assert_eq!(steps, spans.covered());
            let part = std::fs::read(&salvage.place.part).unwrap();
            assert_eq!(part[..8192], content()[..8192]);
            assert_eq!(part[40_960..], content()[40_960..]);
            salvage.place.inherit().unwrap();
            let mode = std::fs::metadata(&salvage.place.part).unwrap().mode();
            assert_eq!(mode & 0o777, 0o640);
        });
    }

    #[test]
    fn a_file_that_took_the_name_meanwhile_keeps_it() {
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let (path, other) = (folder.path().join("f"), folder.path().join("other"));
        std::fs::write(&path, "old").unwrap();
        std::fs::write(&other, "another").unwrap();
        let reserved = Reserved::over(&path, false).unwrap();
        let output = reserved.allocate(Some(3), DirectPolicy::Never).unwrap();
        std::fs::rename(&other, &path).unwrap();
        let error = output.commit(3, SyncPolicy::Never).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TargetExists, "{error}");
        assert!(error.to_string().contains("the repaired file is kept as"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"another");
    }

    #[test]
    fn the_caller_can_end_it() {
        with_old(&content(), |_, salvage, _| {
            let stop = || Err(crate::base::Error::new(ErrorKind::Interrupted, "stopped"));
            let ended = salvage.survey(None, &[Algorithm::Md5], |_| stop()).unwrap_err();
            assert_eq!(ended.kind(), ErrorKind::Interrupted);
        });
    }

    #[test]
    fn what_is_no_file_cannot_be_repaired() {
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let missing = Reserved::over(&folder.path().join("missing"), false).unwrap_err();
        assert!(missing.to_string().contains("cannot repair"), "{missing}");
        let is_folder = Reserved::over(folder.path(), false).unwrap_err();
        assert!(is_folder.to_string().contains("not an ordinary file"), "{is_folder}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
