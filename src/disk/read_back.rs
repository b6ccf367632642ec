//! Reads back what was written to the part file, for a hash. Owns the handle and the one block of
//! memory for it, had only once they are needed. Must not know what the bytes are for.

use super::output::Output;
use super::place::Place;
use crate::base::limits::{BLOCK_BYTES, SPAN_ALIGN_BYTES};
use crate::base::{Error, ErrorKind, Result, Span};
use crate::io::buffers::{Lease, Pool};
use crate::io::file;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The advice where the disk is not to blame.
const START_AGAIN: &str = "start again; another program removed or changed it meanwhile";

/// Reads all bytes of these spans, which are written, in the order given (blocking), and gives them
/// to `take`, whose error ends it.
///
/// # Errors
/// What the disk has to say; [`ErrorKind::Internal`] if the output is no file.
pub fn each_block(
    output: &Output,
    spans: &[Span],
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut reader = Reader::new(output);
    for &span in spans {
        let mut rest = span;
        while !rest.is_empty() {
            let bytes = reader.read(rest)?;
            take(bytes)?;
            rest = Span::new(rest.start() + bytes.len() as u64, rest.end());
        }
    }
    Ok(())
}

/// Reads written bytes back.
pub(super) struct Reader {
    /// Where the part file is; `None` if the output is no file.
    place: Option<Arc<Place>>,
    /// Whether reads bypass the page cache, as the writes did.
    direct: bool,
    /// `None` before the first read.
    open: Option<Open>,
}

/// An open file that is read block by block.
pub(super) struct Open {
    file: File,
    /// One block, which each read fills anew.
    memory: Lease,
}

impl Reader {
    /// Nothing is opened yet.
    pub(super) fn new(output: &Output) -> Self {
        let place = output.file().map(|file| file.place().clone());
        Self { place, direct: output.is_direct(), open: None }
    }

    /// The first bytes of `span`, at least one: up to a block, counted from the alignment before.
    /// An error of kind Internal if the output is no file.
    pub(super) fn read(&mut self, span: Span) -> Result<&[u8]> {
        let Some(place) = &self.place else {
            let what = format!("bytes {span} are in no file and cannot be read back");
            return Err(Error::new(ErrorKind::Internal, what));
        };
        let open = match self.open.take() {
            Some(open) => self.open.insert(open),
            None => self.open.insert(Open::new(&place.part, &place.file, self.direct)?),
        };
        open.read(&place.part, span)
    }
}

impl Open {
    /// Opens `file`, whose name is `path`, once more; past the page cache if `direct` says so.
    pub(super) fn new(path: &Path, file: &File, direct: bool) -> Result<Self> {
        let pool = Pool::new(1).map_err(|e| {
            let what = format!("no memory to read {} back", path.display());
            Error::new(ErrorKind::ResourceLimit, what).caused_by(e)
        })?;
        let memory = pool.try_lease().expect("a fresh pool has its block");
        let file = file::open_for_read_back(path, direct, file).map_err(|e| {
            // `Other` says that another file has the name now.
            let is_gone = matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::Other);
            let what = format!("cannot open {} to read it back", path.display());
            let error = Error::new(ErrorKind::DiskIo, what).caused_by(e);
            if is_gone { error.advise(START_AGAIN) } else { error }
        })?;
        Ok(Self { file, memory })
    }

    /// The first bytes of `span` of the file, which is called `path`, at least one: up to a block,
    /// counted from the alignment before.
    pub(super) fn read(&mut self, path: &Path, span: Span) -> Result<&[u8]> {
        // Direct reads start aligned, and an earlier run may have stopped anywhere.
        let before = span.start() % SPAN_ALIGN_BYTES;
        let block = Span::with_len(span.start() - before, BLOCK_BYTES as u64);
        let (wanted, _) = Span::new(block.start(), span.end()).split_at(block.end());
        let filled = file::read_span(&self.file, wanted, self.memory.spare_mut());
        filled.map_err(|e| read_error(e, path, wanted))?;
        let index = |bytes| usize::try_from(bytes).expect("within one block");
        Ok(&self.memory.spare_mut()[index(before)..index(wanted.len())])
    }
}

fn read_error(error: io::Error, path: &Path, wanted: Span) -> Error {
    let path = path.display();
    if error.kind() == io::ErrorKind::UnexpectedEof {
        let what = format!("{path} ends before byte {}, which was written", wanted.end() - 1);
        return Error::new(ErrorKind::DiskIo, what).advise(START_AGAIN);
    }
    let what = format!("cannot read {path} back at byte {}", wanted.start());
    Error::new(ErrorKind::DiskIo, what).caused_by(error)
}
