//! Where the bytes of a run go, so that the disk can be part of what is measured, or not.

use super::machine;
use super::peer::Peer;
use crate::base::{Error, ErrorKind, Result};
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The memory file system that glibc itself relies on.
const MEMORY_FOLDER: &str = "/dev/shm";
/// Where bytes go that are not kept.
const NOWHERE: &str = "/dev/null";

/// The end of a run's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sink {
    /// A file, written as ringhaul chooses; other tools know nothing else.
    Auto,
    /// Nowhere: the bytes are received, checked against what the server says of them, and counted.
    Null,
    /// A file in memory.
    Memory,
    /// A file, through the page cache.
    Buffered,
    /// A file, past the page cache.
    Direct,
}

/// All of them.
pub const SINKS: [Sink; 5] = [Sink::Auto, Sink::Null, Sink::Memory, Sink::Buffered, Sink::Direct];

impl Sink {
    /// Its word on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Sink::Auto => "auto",
            Sink::Null => "null",
            Sink::Memory => "memory",
            Sink::Buffered => "buffered",
            Sink::Direct => "direct",
        }
    }

    /// The folder for files, where `folder` was asked for.
    pub(in crate::bench) fn folder(self, folder: &Path) -> Result<PathBuf> {
        if self != Sink::Memory {
            return Ok(folder.to_owned());
        }
        let place = Path::new(MEMORY_FOLDER);
        if machine::file_system(place).starts_with("tmpfs ") {
            return Ok(place.to_owned());
        }
        let what = format!("there is no memory file system at {MEMORY_FOLDER}");
        Err(Error::new(ErrorKind::TargetUnusable, what)
            .advise("mount a tmpfs somewhere and name it with --dir, without --sink memory"))
    }

    /// Indicates whether bytes may reach a disk.
    pub(in crate::bench) fn is_on_disk(self) -> bool {
        matches!(self, Sink::Auto | Sink::Buffered | Sink::Direct)
    }

    /// What a tool is told to write, where it would be `file`.
    pub(in crate::bench) fn target(self, file: PathBuf) -> PathBuf {
        if self == Sink::Null { NOWHERE.into() } else { file }
    }

    /// ringhaul's options for it.
    pub(in crate::bench) fn options(self) -> Vec<OsString> {
        match self {
            Sink::Auto | Sink::Null | Sink::Memory => Vec::new(),
            Sink::Buffered => vec!["--direct=off".into()],
            Sink::Direct => vec!["--direct=on".into()],
        }
    }

    /// Indicates whether the tool can write there. Tools that split a file need a file; wget2 takes
    /// the name of the null device and never ends.
    pub(in crate::bench) fn suits(self, peer: Peer) -> bool {
        self != Sink::Null || peer.is_one_stream()
    }
}

impl fmt::Display for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Sink {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        SINKS.into_iter().find(|sink| sink.name() == text.trim()).ok_or_else(|| {
            let known = SINKS.map(Sink::name).join(", ");
            Error::new(ErrorKind::Usage, format!("bytes cannot go to '{text}'"))
                .advise(format!("choose from {known}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sinks_are_known_by_name_and_lead_somewhere() {
        for sink in SINKS {
            assert_eq!(sink.name().parse::<Sink>().unwrap(), sink);
        }
        assert!("tape".parse::<Sink>().unwrap_err().to_string().contains("memory"));
        let (folder, file) = (Path::new("/f"), PathBuf::from("/f/out"));
        assert_eq!(Sink::Null.target(file.clone()), Path::new("/dev/null"));
        assert_eq!(Sink::Direct.target(file.clone()), file);
        assert_eq!(Sink::Direct.folder(folder).unwrap(), folder);
        assert!(Sink::Direct.suits(Peer::Axel) && !Sink::Null.suits(Peer::Axel));
    }
}
