//! A file that is there and is written where it stands: it is target and part file at once, stays
//! whatever happens, and never changes its size. Only who asks for it explicitly gets that: after a
//! failure the file is neither what it was nor what it should become.

use super::{Place, disk_error, lock, look_for, named, resolved};
use crate::base::limits::JOURNAL_SUFFIX;
use crate::base::{Error, ErrorKind, Result};
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

impl Place {
    /// The ordinary file `target`, or what it leads to, locked; `None` if there is nothing.
    pub(in crate::disk) fn inside(target: &Path) -> Result<Option<Self>> {
        if !look_for(target)? {
            return Ok(None);
        }
        let target = resolved(target, "write in")?;
        let is_file = std::fs::metadata(&target).is_ok_and(|meta| meta.is_file());
        if !is_file {
            let what = format!("cannot write in {}: it is not an ordinary file", target.display());
            return Err(Error::new(ErrorKind::TargetUnusable, what));
        }
        let mut options = File::options();
        options.read(true).write(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let opened = options.open(&target);
        let file = opened.map_err(|e| disk_error(e, "cannot write in", &target))?;
        lock(&file, &target)?;
        let journal = named(&target, JOURNAL_SUFFIX);
        let journal_stands = look_for(&journal)?;
        let mut place = Self::of(file, &target, target.clone(), journal, journal_stands);
        place.replace = true;
        place.is_inside = true;
        place.keep_part();
        Ok(Some(place))
    }

    /// An error unless the file has the size that it is to have.
    pub(super) fn check_size(&self, total: u64) -> Result<()> {
        let failed = |e| disk_error(e, "cannot look at", &self.target);
        let bytes = self.file.metadata().map_err(failed)?.len();
        if bytes == total {
            return Ok(());
        }
        let what = format!("{} has {bytes} bytes and the file {total}", self.target.display());
        Err(Error::new(ErrorKind::TargetExists, what)
            .advise("only a file of that very size is written in place; choose another name"))
    }
}
