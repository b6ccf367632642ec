//! A log of records: a file that only grows, in which each record is found whole or not at all
//! after a crash. One program writes it at a time; what is not such a log is never written to.
//!
//! States of a log: appended to -> flushed -> synced, and so on; or failed for good, once a sync
//! has failed. `format` is the codec, `opening` finds the file and takes its lock. Must not know
//! what a payload means.

pub mod format;
mod opening;
#[cfg(test)]
mod tests;

pub use format::Purpose;

use super::place::{disk_error, folder_of};
use crate::base::limits::{LOG_PIECE_BYTES, LOG_RECORD_BYTES_MAX, LOG_RESERVE_BYTES};
use crate::base::{Error, ErrorKind, Result};
use crate::io::file;
use crate::io::ours::fresh_path;
use crate::io::whole::{FILE_MODE, Nameless};
use format::{FRAME_BYTES, Frame, HEADER_BYTES, Scan};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// An open log, and its lock.
#[derive(Debug)]
pub struct RecordLog {
    purpose: &'static Purpose,
    path: PathBuf,
    file: File,
    /// Bytes that are in the file: all of them are the header and whole records.
    bytes: u64,
    /// Bytes up to which the disk has room reserved for the file; 0 before all of it was read.
    reserved: u64,
    /// Records that are not in the file yet.
    pending: Vec<u8>,
    /// Damaged bytes that were found behind the last whole record.
    cut_bytes: u64,
    sync_failed: Option<Error>,
}

impl RecordLog {
    /// Opens the log `path`, or makes it, durably and with its folder's entry. `each` gets the
    /// place and the payload of each record, in the order in which they were appended. What is
    /// torn behind the last whole record is cut off.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if the file is not such a log: it is left as it is then. So is a log of
    /// another version, or one whose header is damaged. [`ErrorKind::TargetUnusable`] if another
    /// program has it open, or if the folder cannot be used.
    pub fn open(
        path: &Path,
        purpose: &'static Purpose,
        each: impl FnMut(u64, &[u8]),
    ) -> Result<Self> {
        let file = opening::open(path, purpose)?;
        let mut log = Self {
            purpose,
            path: path.to_owned(),
            file,
            bytes: HEADER_BYTES as u64,
            reserved: 0,
            pending: Vec::new(),
            cut_bytes: 0,
            sync_failed: None,
        };
        log.bytes = log.scan(each)?;
        log.cut()?;
        log.reserve()?;
        Ok(log)
    }

    /// Damaged or torn bytes that [`open`](Self::open) has cut off.
    pub fn cut_bytes(&self) -> u64 {
        self.cut_bytes
    }

    /// Bytes of the header and of all records, those in memory too.
    pub fn bytes(&self) -> u64 {
        self.bytes + self.pending.len() as u64
    }

    /// Adds a record, in memory, and returns its place. The payload has 1 to
    /// [`LOG_RECORD_BYTES_MAX`] bytes.
    pub fn append(&mut self, payload: &[u8]) -> u64 {
        let at = self.bytes();
        format::encode(payload, &mut self.pending);
        at
    }

    /// Hands all records to the kernel: they survive the end of this program, and not that of the
    /// machine. After an error they are still pending, and a later call tries again.
    ///
    /// A disk that is full is found early, while there is still room for the records of what is
    /// being done: those of later calls, [`LOG_RESERVE_BYTES`] / 2 at least.
    ///
    /// # Errors
    /// What the disk answers.
    pub fn flush(&mut self) -> Result<()> {
        self.write()?;
        self.reserve()
    }

    /// Makes all records durable (blocking). After a failure the kernel may call pages clean that
    /// never reached the disk: it is not asked a second time, and the error stays.
    ///
    /// # Errors
    /// What the disk answers; [`ErrorKind::TargetUnusable`] if the name leads to another file now,
    /// or to none.
    pub fn sync(&mut self) -> Result<()> {
        if let Some(error) = &self.sync_failed {
            return Err(error.clone());
        }
        self.write()?;
        self.check_name()?;
        self.file.sync_data().map_err(|e| {
            let error = disk_error(e, "cannot sync", &self.path);
            self.sync_failed.insert(error).clone()
        })
    }

    /// Reads the payload of the record at `at`, a place that [`append`](Self::append) or
    /// [`open`](Self::open) has named; `None` if somebody has damaged it meanwhile.
    ///
    /// # Errors
    /// What the disk answers.
    pub fn read(&self, at: u64) -> Result<Option<Vec<u8>>> {
        let mut frame = vec![0; FRAME_BYTES + LOG_RECORD_BYTES_MAX];
        let read = match at.checked_sub(self.bytes) {
            Some(pending_at) => {
                let pending_at = usize::try_from(pending_at).unwrap_or(usize::MAX);
                let pending = self.pending.get(pending_at..).unwrap_or_default();
                let read = pending.len().min(frame.len());
                frame[..read].copy_from_slice(&pending[..read]);
                read
            }
            None => read_at_most(&self.file, &mut frame, at)
                .map_err(|e| disk_error(e, "cannot read", &self.path))?,
        };
        match format::decode(&frame[..read]) {
            Frame::Whole(payload) => Ok(Some(payload.to_owned())),
            Frame::Partial | Frame::Damaged => Ok(None),
        }
    }

    /// Calls `each` with the place and the payload of each record that is in the file; returns
    /// where the last whole one ends.
    ///
    /// # Errors
    /// What the disk answers.
    pub fn scan(&self, mut each: impl FnMut(u64, &[u8])) -> Result<u64> {
        let mut scan =
            Scan::new(At { file: &self.file, at: HEADER_BYTES as u64 }, HEADER_BYTES as u64);
        let failed = |e| disk_error(e, "cannot read", &self.path);
        while let Some((at, payload)) = scan.next_record().map_err(failed)? {
            each(at, payload);
        }
        Ok(scan.end())
    }

    /// Replaces the log by one that holds only the records `keep` returns true for, as a whole: a
    /// crash leaves the one or the other, and the new one is durable before it has the name.
    /// Places change: [`scan`](Self::scan) tells the new ones. After an error nothing has changed.
    ///
    /// # Errors
    /// What the disk answers; [`ErrorKind::TargetUnusable`] if the name leads to another file now.
    pub fn rewrite(&mut self, mut keep: impl FnMut(u64, &[u8]) -> bool) -> Result<()> {
        self.write()?;
        self.check_name()?;
        let failed = |e| disk_error(e, "cannot rewrite", &self.path);
        let nameless = Nameless::create(&fresh_path(folder_of(&self.path)), FILE_MODE);
        let nameless = nameless.map_err(failed)?;
        let mut new = Writer { file: nameless.file(), at: 0, piece: Vec::new() };
        new.piece.extend(self.purpose.header());
        let mut written = Ok(());
        self.scan(|at, payload| {
            if written.is_ok() && keep(at, payload) {
                format::encode(payload, &mut new.piece);
                written = new.write_if_full();
            }
        })?;
        let bytes = written.and_then(|()| new.end()).map_err(failed)?;
        let permissions = self.file.metadata().map_err(failed)?.permissions();
        nameless.file().set_permissions(permissions).map_err(failed)?;
        nameless.file().sync_all().map_err(failed)?;
        // Before it has the name, so that nobody else takes it.
        opening::lock(nameless.file(), &self.path)?;
        let file = nameless.file().try_clone().map_err(failed)?;
        let named = nameless.name(&self.path, true);
        if let Err(e) = named
            && !file::is_named(&file, &self.path).map_err(failed)?
        {
            return Err(failed(e));
        }
        self.file = file;
        (self.bytes, self.reserved) = (bytes, 0);
        // From here on the places are the new ones: what fails now is for the next sync to tell.
        if let Err(e) = file::sync_folder(folder_of(&self.path)) {
            self.sync_failed = Some(disk_error(e, "cannot sync the folder of", &self.path));
        }
        Ok(())
    }

    fn write(&mut self) -> Result<()> {
        let written = self.file.write_all_at(&self.pending, self.bytes);
        written.map_err(|e| disk_error(e, "cannot write", &self.path))?;
        self.bytes += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Has room reserved for records to come.
    fn reserve(&mut self) -> Result<()> {
        if self.bytes + LOG_RESERVE_BYTES / 2 <= self.reserved {
            return Ok(());
        }
        let to = self.bytes + LOG_RESERVE_BYTES;
        let reserved = file::reserve_behind(&self.file, self.bytes, to);
        reserved.map_err(|e| disk_error(e, "cannot reserve", &self.path))?;
        self.reserved = to;
        Ok(())
    }

    /// Cuts off what is behind the last whole record.
    fn cut(&mut self) -> Result<()> {
        let meta = self.file.metadata().map_err(|e| disk_error(e, "cannot look at", &self.path))?;
        self.cut_bytes = meta.len().saturating_sub(self.bytes);
        if self.cut_bytes > 0 {
            let cut = self.file.set_len(self.bytes);
            cut.map_err(|e| disk_error(e, "cannot cut", &self.path))?;
        }
        Ok(())
    }

    fn check_name(&self) -> Result<()> {
        let is_named = file::is_named(&self.file, &self.path);
        if is_named.map_err(|e| disk_error(e, "cannot look at", &self.path))? {
            return Ok(());
        }
        let what = format!("{} was removed or replaced during the run", self.path.display());
        let error = Error::new(ErrorKind::TargetUnusable, what);
        Err(error.advise("see what else uses the folder, and run the same command again"))
    }
}

impl Drop for RecordLog {
    fn drop(&mut self) {
        if self.reserved > 0 {
            // Gives the reserved room back. Where that fails, the next run does it.
            let _ = self.file.set_len(self.bytes);
        }
    }
}

/// Calls `each` with the place and the payload of each whole record of the log `path`, which
/// another program may be writing: no lock is taken, and nothing is changed. The same place has the
/// same record in a later look, unless the log was replaced.
///
/// # Errors
/// What the disk answers, and [`io::ErrorKind::InvalidData`] for a file that is no such log.
pub fn look(path: &Path, purpose: &Purpose, mut each: impl FnMut(u64, &[u8])) -> io::Result<()> {
    let file = opening::open_to_look(path, purpose)?;
    let mut scan = Scan::new(At { file: &file, at: HEADER_BYTES as u64 }, HEADER_BYTES as u64);
    while let Some((at, payload)) = scan.next_record()? {
        each(at, payload);
    }
    Ok(())
}

/// A file as a stream that begins at an offset; its cursor stays where it is.
struct At<'a> {
    file: &'a File,
    at: u64,
}

impl Read for At<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(out, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// A new file, written in pieces.
struct Writer<'a> {
    file: &'a File,
    at: u64,
    piece: Vec<u8>,
}

impl Writer<'_> {
    fn write_if_full(&mut self) -> io::Result<()> {
        if self.piece.len() < LOG_PIECE_BYTES { Ok(()) } else { self.write() }
    }

    fn write(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.piece, self.at)?;
        self.at += self.piece.len() as u64;
        self.piece.clear();
        Ok(())
    }

    /// Writes what is left and returns the length of the file.
    fn end(mut self) -> io::Result<u64> {
        self.write()?;
        Ok(self.at)
    }
}

/// Fills `out` from the file as far as that goes; returns how far.
fn read_at_most(file: &File, out: &mut [u8], at: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < out.len() {
        match file.read_at(&mut out[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}
