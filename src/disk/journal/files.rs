//! The layer of a barrier as it is: the part file and the journal of one place. Owns the system
//! calls behind each step; must not know their order.

use super::barrier::Layer;
use super::load::{Part, check_ours};
use crate::base::{Error, ErrorKind, Result, Span};
use crate::disk::place::{Place, disk_error, look_for};
use crate::io::file;
use crate::io::whole::{self, FILE_MODE, Nameless};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// The files of a place, and the journal that this run has made, if any.
pub(super) struct Files {
    place: Arc<Place>,
    nameless: Option<Nameless>,
    journal: Option<File>,
}

impl Files {
    pub(super) fn new(place: Arc<Place>) -> Self {
        Self { place, nameless: None, journal: None }
    }

    /// Whichever of the two is newest.
    fn newest(&self) -> &File {
        let nameless = self.nameless.as_ref().map(Nameless::file);
        nameless.or(self.journal.as_ref()).expect("a journal was made")
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let written = self.newest().write_all_at(bytes, offset);
        written.map_err(|e| self.failed(e, "cannot write"))
    }

    fn failed(&self, error: io::Error, what: &str) -> Error {
        let error = disk_error(error, what, &self.place.journal);
        match error.kind() {
            // There are no slices without.
            _ if self.place.is_shared() => self.place.explain(error),
            ErrorKind::DiskFull => error.advise("free space, or do without it (--no-journal)"),
            _ => error,
        }
    }
}

impl Layer for Files {
    fn check_part(&mut self, bytes: u64) -> Result<()> {
        self.place.check_part(bytes)
    }

    fn sync_part(&mut self) -> Result<()> {
        self.place.sync_data()
    }

    fn sum_part(&mut self, span: Span) -> Result<u32> {
        let read = self.place.file.crc32c(span);
        read.map_err(|e| disk_error(e, "cannot read back", &self.place.part))
    }

    fn make_journal(&mut self, image: &[u8]) -> Result<()> {
        let in_making = self.place.journal_in_making();
        remove_own(&in_making)?;
        let made = Nameless::create(&in_making, FILE_MODE);
        self.nameless = Some(made.map_err(|e| self.failed(e, "cannot create"))?);
        self.write(0, image)
    }

    fn write_journal(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.write(offset, bytes)
    }

    fn sync_journal(&mut self) -> Result<()> {
        self.newest().sync_data().map_err(|e| self.failed(e, "cannot sync"))
    }

    fn name_journal(&mut self) -> Result<()> {
        let nameless = self.nameless.take().expect("a journal was made");
        if self.place.journal_stands() {
            // Since it was read somebody may have put another file there.
            check_ours(&self.place.journal)?;
        }
        let meta = nameless.file().metadata().map_err(|e| self.failed(e, "cannot look at"))?;
        let named = nameless.name(&self.place.journal, self.place.journal_stands());
        self.journal = Some(named.map_err(|e| self.failed(e, "cannot create"))?);
        self.place.on_journal_named(&meta);
        Ok(())
    }

    fn is_journal_named(&mut self) -> Result<bool> {
        let journal = self.newest();
        let path = &self.place.journal;
        let is_ours = file::is_named(journal, path);
        if is_ours.map_err(|e| self.failed(e, "cannot look at"))? {
            return Ok(true);
        }
        if look_for(path)? {
            let what = format!("{} was replaced during the download", path.display());
            return Err(
                Error::new(ErrorKind::TargetUnusable, what).advise("see what else uses the folder")
            );
        }
        self.place.on_journal_lost();
        Ok(false)
    }

    fn sync_folder(&mut self) -> Result<()> {
        // Whoever takes the folder away takes the part file along, and that says what happened.
        let synced = self.place.sync_folder();
        synced.map_err(|error| self.place.check_part(0).err().unwrap_or(error))
    }

    fn remove_journal(&mut self) -> Result<()> {
        remove_journal(&self.place)
    }

    fn empty_part(&mut self) -> Result<()> {
        if self.place.is_inside || self.place.is_shared() {
            // Its other bytes are not ours.
            return Ok(());
        }
        let emptied = self.place.file.set_len(0);
        emptied.map_err(|e| disk_error(e, "cannot empty", &self.place.part))
    }
}

/// Removes the journal of a place, which was found to be ours, and what one left that never took
/// its name.
pub(super) fn remove_journal(place: &Place) -> Result<()> {
    place.remove_journal()?;
    // What somebody else has there is in nobody's way now.
    remove_own(&place.journal_in_making()).or_else(|error| match error.kind() {
        ErrorKind::TargetUnusable => Ok(()),
        _ => Err(error),
    })
}

/// Removes a journal that never took its name; an error if it is none of ours.
fn remove_own(in_making: &Path) -> Result<()> {
    check_ours(in_making)?;
    whole::remove(in_making).map_err(|e| disk_error(e, "cannot remove", in_making))
}
