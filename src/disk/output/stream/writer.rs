//! The thread of an ordered output: hashes the bytes whose turn it is, and writes them.
//!
//! While the file has to be proved, the block that came last is held back until the next one comes,
//! or until the file has been judged. Must not know which digests are right.

use super::super::copy::Copy;
use super::{Bytes, NAME, Shared, StreamProof, Turn};
use crate::base::{Error, ErrorKind};
use crate::digest::{Algorithm, Hasher};
use crate::disk::place::disk_error;
use crate::io::stream::Stream;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::thread;

/// What the thread owns.
pub(super) struct Writer {
    shared: Arc<Shared>,
    stream: Stream,
    /// The file that gets the same bytes, if one does.
    /// The stream owns it: what is dropped while this thread waits for a reader is gone at once.
    copy: Option<Weak<Copy>>,
    /// Bytes that have been written.
    position: u64,
    hashers: Vec<Hasher>,
    holds_back: bool,
    /// Bytes that count as written and are not.
    held: Option<Bytes>,
}

impl Writer {
    /// Writes to `file`, from where its descriptor stands, and to the copy.
    pub(super) fn new(
        shared: Arc<Shared>,
        file: File,
        copy: Option<Weak<Copy>>,
        proof: &StreamProof,
    ) -> Self {
        let hashers = proof.algorithms.iter().copied().map(Algorithm::hasher).collect();
        let (stream, holds_back) = (Stream::new(file), proof.holds_back);
        Self { shared, stream, copy, position: 0, hashers, holds_back, held: None }
    }

    /// Runs until the stream is closed or has failed.
    pub(super) fn write_in_order(mut self) {
        while let Some(turn) = self.shared.next() {
            let done = match turn {
                Turn::Write(bytes) => self.take(bytes),
                Turn::Judge(judge) => {
                    let hashers = std::mem::take(&mut self.hashers);
                    // Nobody listens any more if the transfer has been stopped.
                    _ = judge.send(Ok(hashers.into_iter().map(Hasher::finish).collect()));
                    continue;
                }
                Turn::Close => {
                    if let Err(error) = self.write_held() {
                        self.shared.fail(error);
                    }
                    return;
                }
            };
            match done {
                Ok(()) => self.shared.on_written(),
                Err(error) => return self.shared.fail(error),
            }
        }
    }

    /// The block goes home before anybody hears of the end, unless it is held back.
    fn take(&mut self, bytes: Bytes) -> Result<(), Error> {
        for hasher in &mut self.hashers {
            hasher.update(bytes.as_ref());
        }
        if !self.holds_back {
            return self.write(&bytes);
        }
        self.write_held()?;
        self.held = Some(bytes);
        Ok(())
    }

    fn write_held(&mut self) -> Result<(), Error> {
        self.held.take().map_or(Ok(()), |held| self.write(&held))
    }

    fn write(&mut self, bytes: &Bytes) -> Result<(), Error> {
        if let Some(copy) = self.copy.as_ref().and_then(Weak::upgrade) {
            // First, as the reader may take any time.
            copy.write(bytes.as_ref(), self.position)?;
        }
        self.position += bytes.as_ref().len() as u64;
        self.stream.write_all(bytes.as_ref()).map_err(write_error)
    }
}

impl Drop for Writer {
    /// Whoever waits for a write, or for all of them, waits no longer after a panic.
    fn drop(&mut self) {
        if thread::panicking() {
            let what = "the thread that writes the stream has panicked";
            self.shared.fail(Error::new(ErrorKind::Internal, what));
        }
    }
}

fn write_error(error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::BrokenPipe {
        let what = "the reader of the output has closed its end";
        return Error::new(ErrorKind::DiskIo, what)
            .caused_by(error)
            .advise("see why the program that reads the output has ended");
    }
    disk_error(error, "cannot write to the output", Path::new(NAME))
}
