//! A file that lines are written to: results, or a log. Must not know what the lines say.

use crate::base::{Error, ErrorKind, Result};
use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A file of lines.
pub(super) struct Sink {
    name: String,
    to: Box<dyn Write>,
}

impl Sink {
    pub(super) fn standard_output() -> Self {
        Self { name: "standard output".into(), to: Box::new(io::stdout()) }
    }

    /// A file, which may get the list's secrets: for its owner alone if it is new.
    pub(super) fn open(path: &Path, what: &str, appends: bool) -> Result<Self> {
        let mut options = OpenOptions::new();
        options.create(true).write(true).mode(0o600);
        let opened = if appends { options.append(true) } else { options.truncate(true) };
        let file = opened.open(path).map_err(|e| {
            let what = format!("cannot write the {what} {}", path.display());
            Error::new(ErrorKind::TargetUnusable, what).caused_by(e)
        })?;
        Ok(Self { name: path.display().to_string(), to: Box::new(BufWriter::new(file)) })
    }

    pub(super) fn write(&mut self, line: &str) -> Result<()> {
        writeln!(self.to, "{line}").map_err(|e| self.failed(e))
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        self.to.flush().map_err(|e| self.failed(e))
    }

    fn failed(&self, error: io::Error) -> Error {
        let what = format!("cannot write to {}", self.name);
        Error::new(ErrorKind::DiskIo, what).caused_by(error)
    }
}
