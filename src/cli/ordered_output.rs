//! `-o -` and outputs that are no ordinary files: what bytes are passed on to, in order. Opens it;
//! must not know how they get there.

use super::args::DownloadArgs;
use crate::base::{Error, ErrorKind, Result};
use std::ffi::OsStr;
use std::fs::{FileType, OpenOptions};
use std::io::{IsTerminal, stdout};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// Names of standard output. Opened by its name, a file would be written from its start.
const STANDARD_OUTPUT: [&str; 4] = ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];

/// The descriptor to pass bytes on to, if `--output` names no ordinary file. Opening a FIFO waits
/// for its reader.
pub(super) fn open(args: &DownloadArgs) -> Result<Option<OwnedFd>> {
    // A repair is of a file, whatever -o says.
    let output = args.output.as_deref().filter(|_| args.repair.is_none());
    let Some(output) = output else { return Ok(None) };
    if is_standard_output(output) {
        return standard_output(args.force).map(Some);
    }
    let path = args.dir.as_deref().unwrap_or(Path::new("")).join(output);
    let is_stream = path.metadata().is_ok_and(|meta| takes_bytes_in_order(meta.file_type()));
    if !is_stream || path == Path::new(super::resolve::NOWHERE) {
        return Ok(None);
    }
    let opened = OpenOptions::new().write(true).open(&path);
    let refused = |e| {
        let what = format!("cannot write to '{}'", path.display());
        Error::new(ErrorKind::TargetUnusable, what).caused_by(e)
    };
    opened.map(|file| Some(file.into())).map_err(refused)
}

/// The file that is to get the same bytes.
pub(super) fn copy(args: &DownloadArgs) -> Result<Option<PathBuf>> {
    let Some(file) = &args.copy.tee else { return Ok(None) };
    let path = args.dir.as_deref().unwrap_or(Path::new("")).join(file);
    super::resolve::must_be_file(&path)?;
    Ok(Some(path))
}

/// Whether bytes go where other lines of ours must not.
pub(super) fn takes_standard_output(args: &DownloadArgs) -> bool {
    args.output.as_deref().is_some_and(is_standard_output)
}

fn is_standard_output(output: &Path) -> bool {
    STANDARD_OUTPUT.iter().any(|name| output.as_os_str() == OsStr::new(name))
}

fn standard_output(force: bool) -> Result<OwnedFd> {
    if stdout().is_terminal() && !force {
        let what = "standard output is a terminal, and the file may be no text";
        return Err(Error::new(ErrorKind::Usage, what)
            .advise("pass it on to a program or a file, or do it all the same with --force"));
    }
    stdout().as_fd().try_clone_to_owned().map_err(|e| {
        Error::new(ErrorKind::TargetUnusable, "standard output cannot be used").caused_by(e)
    })
}

fn takes_bytes_in_order(kind: FileType) -> bool {
    kind.is_fifo() || kind.is_char_device() || kind.is_socket()
}
