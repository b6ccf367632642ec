//! The scratch folder of a bench: where every run puts its file, and whether there is room for it.
//!
//! Must not know what is measured.

use crate::base::size::{MIB, format_bytes};
use crate::base::{Error, ErrorKind, Result};
use crate::io::probe;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Bytes that must stay free beside the files: others use this disk as well.
const SPARE_BYTES: u64 = 16 * MIB;

/// A folder of our own, removed with all that is in it.
pub(in crate::bench) struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    /// Below `folder`, which is where the target's file system is.
    pub(in crate::bench) fn create(folder: &Path) -> Result<Self> {
        let absolute = std::path::absolute(folder);
        let absolute =
            absolute.map_err(|cause| scratch_error("cannot use the folder", folder, cause))?;
        let own = absolute.join(format!(".ringhaul-bench-{}", std::process::id()));
        fs::create_dir(&own).map_err(|cause| scratch_error("cannot write into", folder, cause))?;
        Ok(Self { folder: own })
    }

    pub(in crate::bench) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(in crate::bench) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Best effort on the way out.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// # Errors
/// `DiskFull` if the file system of `folder` has no room for one more file of `bytes`.
pub(in crate::bench) fn must_have_room(folder: &Path, bytes: u64) -> Result<()> {
    let (free, wanted) = (probe::free_bytes(folder)?, bytes.saturating_add(SPARE_BYTES));
    if free >= wanted {
        return Ok(());
    }
    let (free, wanted) = (format_bytes(free), format_bytes(wanted));
    let what = format!("'{}' has {free} free, each run needs {wanted}", folder.display());
    Err(Error::new(ErrorKind::DiskFull, what).advise("choose another --dir or a smaller file"))
}

/// An error of the scratch folder or of a file in it.
pub(in crate::bench) fn scratch_error(what: &str, path: &Path, cause: io::Error) -> Error {
    let kind = match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::DiskFull,
        _ => ErrorKind::TargetUnusable,
    };
    Error::new(kind, format!("{what} '{}'", path.display()))
        .caused_by(cause)
        .advise("choose another folder with --dir")
}
