//! What takes the blocks of a transfer: a part file on its way to its final name (`file`); a stream
//! that passes them on in order (`stream`); or nowhere, which takes every block and keeps none, for
//! measuring what is in front of the disk.
//!
//! Reserved before any server is asked, so that an output that cannot be used is known first;
//! allocated anew for each attempt. Must not know where blocks come from.

mod copy;
mod file;
mod stream;

pub use file::{DirectPolicy, FileOutput, ReservedFile, SyncPolicy};
pub use stream::{StreamOutput, StreamProof};

use copy::Copy;

use super::journal::{BarrierPace, Book, Found, Identity, Journal};
use super::salvage::Salvage;
use crate::base::{Error, ErrorKind, Result, Slice, Span};
use crate::digest::Digest;
use crate::io::buffers::Block;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

/// What bytes that are kept nowhere are said to be written to.
const NOWHERE: &str = "/dev/null";

/// An output that nobody else writes to, before anything is known of the file.
#[derive(Debug)]
pub enum Reserved {
    /// The target's name, and the part file that is ours alone.
    File(ReservedFile),
    /// The open descriptor that bytes are passed on to.
    Stream(Arc<StreamOutput>),
    /// Blocks are taken and thrown away.
    Nowhere,
}

/// What takes blocks.
pub enum Output {
    /// A part file takes each block at its offset.
    File(FileOutput),
    /// A descriptor takes all blocks in order, whenever they come.
    Stream(Arc<StreamOutput>),
    /// Blocks are taken and thrown away.
    Nowhere,
}

impl Reserved {
    /// Makes and locks `TARGET.part`. Refuses an existing target unless `replace`, and a part
    /// file that another process is writing. One that an earlier run has made is taken over as it
    /// is: [`find`](Self::find) what can be used of it, or [`discard`](Self::discard) it. Anything
    /// else under its name is refused untouched, or loses the name if `replace`.
    pub fn new(target: &Path, replace: bool) -> Result<Self> {
        ReservedFile::new(target, replace).map(Self::File)
    }

    /// The same, unless there is a file `target`, or a link to one: then that is written where it
    /// stands, keeps its size, which has to be that of the file, and stays whatever happens.
    pub fn inside(target: &Path, replace_part: bool) -> Result<Self> {
        ReservedFile::inside(target, replace_part).map(Self::File)
    }

    /// The same for a better version of the file that stands under the name `target`, which is
    /// replaced in the end and stays as it is until then; see [`salvage`](Self::salvage).
    /// `replace_part` is about the part file alone.
    pub fn over(target: &Path, replace_part: bool) -> Result<Self> {
        ReservedFile::over(target, replace_part).map(Self::File)
    }

    /// One slice of the file that is to be called `target`, while others write theirs to the same
    /// part file. Refuses one that another process is writing, and one of another count than those
    /// that are here, unless `is_fresh`, which does away with these. It gets its name by
    /// [`Slices`](super::slices::Slices), not by [`Output::commit`].
    pub fn slice(target: &Path, slice: Slice, is_fresh: bool) -> Result<Self> {
        ReservedFile::slice(target, slice, is_fresh).map(Self::File)
    }

    /// The final name of a file.
    pub fn target(&self) -> &Path {
        match self {
            Self::File(file) => &file.place().target,
            Self::Stream(_) => Path::new(stream::NAME),
            Self::Nowhere => Path::new(NOWHERE),
        }
    }

    /// The slice is complete: whoever joins all of them may have it.
    pub fn release(&self) {
        if let Self::File(file) = self {
            file.place().unlock();
        }
    }

    /// The file that is repaired, if one is.
    pub fn salvage(&self) -> Option<Salvage> {
        match self {
            Self::File(file) => Salvage::of(file.place()),
            Self::Stream(_) | Self::Nowhere => None,
        }
    }

    /// An output that writes the file in order to `file`, a pipe, a FIFO, a socket or an ordinary
    /// file, from where its descriptor stands, and closes it at the end. The process has to ignore
    /// SIGPIPE, as Rust programs do unless they change that.
    pub fn stream(file: File) -> Self {
        Self::Stream(Arc::new(StreamOutput::new(file)))
    }

    /// The same with a copy of all that it takes in a file `target`, which has that name once the
    /// stream is whole and judged. Refuses what [`new`](Self::new) refuses, and a name under which
    /// a download can be gone on with.
    pub fn stream_and_copy(file: File, target: &Path, replace: bool) -> Result<Self> {
        let copy = Copy::reserve(target, replace)?;
        Ok(Self::Stream(Arc::new(StreamOutput::with_copy(file, copy))))
    }

    /// An output that keeps nothing.
    pub fn nowhere() -> Self {
        Self::Nowhere
    }

    /// Reads the journal of an earlier run, if there is one. What cannot be read is an error, and
    /// nothing is deleted. After [`Found::Useless`] it is for the caller to discard it.
    pub fn find(&self) -> Result<Found> {
        match self {
            Self::File(file) => file.find(),
            Self::Stream(_) | Self::Nowhere => Ok(Found::Nothing),
        }
    }

    /// Bytes that a later run can go on from, as far as is known: the journal that stands vouches
    /// for them.
    pub fn kept_bytes(&self) -> u64 {
        match self {
            Self::File(file) => file.kept_bytes(),
            Self::Stream(_) | Self::Nowhere => 0,
        }
    }

    /// Starts over: removes the journal, durably, and empties the part file then. Any journal that
    /// was started before writes no more. A file under the journal's name that is none of ours is
    /// an error, and so is a stream of which bytes have gone out.
    pub fn discard(&self) -> Result<()> {
        match self {
            Self::File(file) => file.discard(),
            Self::Stream(stream) => stream.discard(),
            Self::Nowhere => Ok(()),
        }
    }

    /// Takes the file to its size, if it is known, and decides how blocks are written. The bytes
    /// that are there stay, and a stream goes on behind those that it has written.
    pub fn allocate(&self, total: Option<u64>, policy: DirectPolicy) -> Result<Output> {
        match self {
            Self::File(file) => file.allocate(total, policy).map(Output::File),
            Self::Stream(stream) => {
                stream.make_room(total)?;
                stream.open()?;
                Ok(Output::Stream(stream.clone()))
            }
            Self::Nowhere => Ok(Output::Nowhere),
        }
    }

    /// The same for a file of which only a part is written: what is not stays a hole, or as it is.
    pub fn allocate_sparse(&self, total: u64, policy: DirectPolicy) -> Result<Output> {
        match self {
            Self::File(file) => file.allocate_sparse(total, policy).map(Output::File),
            Self::Stream(_) | Self::Nowhere => self.allocate(Some(total), policy),
        }
    }

    /// The same for one slice, of which only `span` is written. What is there of a longer file
    /// stays.
    pub fn allocate_slice(&self, total: u64, span: Span, policy: DirectPolicy) -> Result<Output> {
        match self {
            Self::File(file) => file.allocate_slice(total, span, policy).map(Output::File),
            Self::Stream(_) | Self::Nowhere => self.allocate(Some(total), policy),
        }
    }

    /// Says what a stream finds out on the way, before it is allocated first; later it has no
    /// effect. That of a file is found out elsewhere.
    pub fn prove(&self, proof: StreamProof) {
        if let Self::Stream(stream) = self {
            stream.prove(proof);
        }
    }

    /// Whether blocks are passed on in order.
    pub fn is_ordered(&self) -> bool {
        matches!(self, Self::Stream(_))
    }
}

impl Output {
    /// Writes a block that belongs at `offset` of the file; ends when the kernel has taken all of
    /// it. That of a stream waits until all bytes before it have been written.
    pub async fn write(&self, block: Block, offset: u64) -> Result<()> {
        match self {
            Self::File(file) => file.write(block, offset).await,
            Self::Stream(stream) => stream.write(block, offset).await,
            Self::Nowhere => Ok(()),
        }
    }

    /// Reads bytes that are there (blocking); [`ErrorKind::DiskIo`] if they are not. From nowhere
    /// come zeros; to ask a stream is [`ErrorKind::Internal`].
    pub fn read(&self, span: Span) -> Result<Vec<u8>> {
        match self {
            Self::File(file) => file.read(span),
            Self::Stream(_) => {
                let what =
                    format!("bytes {span} have been passed on, and nothing can be read back");
                Err(Error::new(ErrorKind::Internal, what))
            }
            Self::Nowhere => {
                Ok(vec![0; usize::try_from(span.len()).expect("a sample fits the memory")])
            }
        }
    }

    /// Whether as many writes are on their way as are made at a time: those of a stream are made
    /// one by one.
    pub fn is_saturated(&self) -> bool {
        match self {
            Self::File(file) => file.is_saturated(),
            Self::Stream(stream) => stream.is_saturated(),
            Self::Nowhere => false,
        }
    }

    /// Whether blocks bypass the page cache.
    pub fn is_direct(&self) -> bool {
        self.file().is_some_and(FileOutput::is_direct)
    }

    /// Whether blocks are thrown away.
    pub fn is_nowhere(&self) -> bool {
        matches!(self, Self::Nowhere)
    }

    /// Whether what is written can be read back, by this run and by a later one: only what is in a
    /// file can.
    pub fn is_readable(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// Whether blocks are passed on in order, and can be taken back no more.
    pub fn is_ordered(&self) -> bool {
        matches!(self, Self::Stream(_))
    }

    /// Where the bytes begin that have not been passed on, if blocks are.
    pub fn passed_on(&self) -> Option<u64> {
        match self {
            Self::Stream(stream) => Some(stream.passed_on()),
            Self::File(_) | Self::Nowhere => None,
        }
    }

    /// The same, and for how long the output has waited for its next bytes so far.
    pub fn outlet(&self) -> Option<(u64, Duration)> {
        match self {
            Self::Stream(stream) => Some(stream.outlet()),
            Self::File(_) | Self::Nowhere => None,
        }
    }

    /// The digests of all bytes, which have come, as they were asked of a stream; none of anything
    /// else.
    pub async fn digests(&self) -> Result<Vec<Digest>> {
        match self {
            Self::Stream(stream) => stream.digests().await,
            Self::File(_) | Self::Nowhere => Ok(Vec::new()),
        }
    }

    /// Why blocks go through the page cache, if they do by decision.
    pub fn buffered_reason(&self) -> Option<&str> {
        self.file()?.buffered_reason()
    }

    /// The part file's name; that of a stream is `-`.
    pub fn part_path(&self) -> &Path {
        match self {
            Self::File(file) => &file.place().part,
            Self::Stream(_) => Path::new(stream::NAME),
            Self::Nowhere => Path::new(NOWHERE),
        }
    }

    /// Whether blocks are written into a file that was there before, where it stands.
    pub fn is_inside(&self) -> bool {
        self.file().is_some_and(|file| file.place().is_inside)
    }

    /// The part file stays when this value is dropped.
    pub fn keep_part(&self) {
        if let Self::File(file) = self {
            file.keep_part();
        }
    }

    /// The part file stays, and nothing of it counts any more: a later run starts over.
    pub fn disown(&self) {
        if let Self::File(file) = self {
            file.disown();
        }
    }

    /// Starts the journal of the part file: a thread that makes what `book` has durable. The book
    /// has what the standing journal vouches for, or what came after, or less of it. `on_failed` is
    /// called once, on that thread, when a barrier fails; it must not drop the journal.
    ///
    /// # Errors
    /// Usage, if a text of the identity is too long (64 KiB); ResourceLimit, if there is no thread.
    ///
    /// # Panics
    /// If the output is no file: no journal is kept of anything else.
    pub fn start_journal(
        &self,
        identity: Identity,
        book: &Arc<Book>,
        pace: BarrierPace,
        on_failed: impl FnOnce(Error) + Send + 'static,
    ) -> Result<Journal> {
        let file = self.file().expect("journals are of files");
        file.start_journal(identity, book, pace, on_failed)
    }

    /// Ends, with `error`, the writes that wait for bytes before theirs, as those may not come any
    /// more. Only a stream has any; call it before waiting for all writes of an attempt that has
    /// failed.
    pub fn cancel_waiting(&self, error: &Error) {
        if let Self::Stream(stream) = self {
            stream.cancel_waiting(error);
        }
    }

    /// Ends, with `error`, all writes that the reader of a stream lets wait, and all later ones:
    /// for a transfer that is stopped. Writes to a file end by themselves.
    pub fn cancel(&self, error: Error) {
        if let Self::Stream(stream) = self {
            stream.cancel(error);
        }
    }

    /// Sets when the file of `bytes` bytes, all of which are there, was last changed. To be called
    /// right before [`commit`](Self::commit), as each write sets the present time. What is no file
    /// has no time to set.
    pub fn set_modified(&self, bytes: u64, modified: SystemTime) -> Result<()> {
        self.file().map_or(Ok(()), |file| file.set_modified(bytes, modified))
    }

    /// Gives `bytes` bytes their final name and makes that durable, unless `sync` says otherwise:
    /// data, name and folder, in this order; then the journal has served its purpose. If someone
    /// has taken the name meanwhile, the part file stays. An error as well after any failed sync,
    /// as nobody knows what reached the disk then.
    ///
    /// A stream is written to its end and closed (blocking), and then its copy gets its name;
    /// [`ErrorKind::Internal`] if these were not `bytes` bytes.
    pub fn commit(&self, bytes: u64, sync: SyncPolicy) -> Result<PathBuf> {
        match self {
            Self::File(file) => file.commit(bytes, sync),
            Self::Stream(stream) => stream.commit(bytes, sync).map(|()| stream::NAME.into()),
            Self::Nowhere => Ok(NOWHERE.into()),
        }
    }

    /// The part file, if that is what takes the blocks.
    pub(super) fn file(&self) -> Option<&FileOutput> {
        match self {
            Self::File(file) => Some(file),
            Self::Stream(_) | Self::Nowhere => None,
        }
    }
}

#[cfg(test)]
mod tests;
