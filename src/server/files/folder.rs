//! Files of a folder: from the path of a request to an open file, and never out of the folder.
//!
//! The kernel keeps us inside (`openat2`, `RESOLVE_BENEATH`), so that links and renames under way
//! cannot be raced. Must not know requests or how bytes travel.

use super::listing::{Entry, Listing};
use crate::base::limits::SERVER_LISTING_ENTRIES_MAX;
use crate::base::{Error, ErrorKind, Result};
use crate::server::codec::date::http_date;
use percent_encoding::percent_decode_str;
use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A folder that is served, with all that is below it.
#[derive(Debug)]
pub(in crate::server) struct Folder {
    root: OwnedFd,
}

/// One open file of a folder.
#[derive(Debug)]
pub(in crate::server) struct Stored {
    pub(in crate::server) file: File,
    pub(in crate::server) version: FileVersion,
}

/// Tells the states of a stored file apart: where it lies, its size and when it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::server) struct FileVersion {
    device: u64,
    inode: u64,
    pub(in crate::server) size_bytes: u64,
    /// Seconds since the start of 1970; earlier times count as 0.
    modified_seconds: u64,
    modified_nanos: u64,
}

impl Folder {
    /// # Errors
    /// `Usage` if `path` is no folder that may be read.
    pub(in crate::server) fn open(path: &Path) -> Result<Self> {
        let refused = |e: Errno| {
            let context = format!("cannot serve the folder '{}'", path.display());
            Error::new(ErrorKind::Usage, context)
                .caused_by(io::Error::from(e))
                .advise("name a folder that you may read")
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty()).map_err(refused)?;
        let folder = Self { root };
        // A sandbox that forbids the call would make every file a missing one.
        folder.open_below(OsStr::new("."), OFlags::DIRECTORY).map_err(refused)?;
        Ok(folder)
    }

    /// The file at the path of a request, percent signs and all.
    ///
    /// # Errors
    /// The status to answer with.
    pub(in crate::server) fn file(&self, path: &str) -> std::result::Result<Stored, u16> {
        let name = decoded(path).filter(|name| is_harmless(name)).ok_or(404_u16)?;
        let start = name.iter().take_while(|byte| **byte == b'/').count();
        // A pipe must not keep us waiting for who writes into it.
        let opened = self.open_below(OsStr::from_bytes(&name[start..]), OFlags::NONBLOCK);
        let file = File::from(opened.map_err(status_of)?);
        let stat = rustix::fs::fstat(&file).map_err(status_of)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(404);
        }
        let version = FileVersion {
            device: stat.st_dev,
            inode: stat.st_ino,
            size_bytes: u64::try_from(stat.st_size).unwrap_or(0),
            modified_seconds: u64::try_from(stat.st_mtime).unwrap_or(0),
            modified_nanos: stat.st_mtime_nsec,
        };
        Ok(Stored { file, version })
    }

    /// What the folder at the path of a request holds and may be served. Hidden names are left out,
    /// as other servers have it.
    ///
    /// # Errors
    /// The status to answer with.
    pub(in crate::server) fn list(&self, path: &str) -> std::result::Result<Listing, u16> {
        let name = decoded(path).filter(|name| is_harmless(name)).ok_or(404_u16)?;
        let start = name.iter().take_while(|byte| **byte == b'/').count();
        let below = if name.len() == start { b"./" } else { &name[start..] };
        let opened = self.open_below(OsStr::from_bytes(below), OFlags::DIRECTORY);
        let entries = Dir::new(opened.map_err(status_of)?).map_err(status_of)?;
        let mut listing = Listing::default();
        for entry in entries {
            let name = entry.map_err(status_of)?.file_name().to_bytes().to_vec();
            if name.starts_with(b".") {
                continue;
            }
            listing.is_cut = listing.entries.len() == SERVER_LISTING_ENTRIES_MAX;
            if listing.is_cut {
                break;
            }
            listing.entries.extend(self.entry(below, name));
        }
        Ok(listing)
    }

    /// The entry of this name in the folder `below`; `None` if it leads out, or is neither a file
    /// nor a folder.
    fn entry(&self, below: &[u8], name: Vec<u8>) -> Option<Entry> {
        let path = [below, b"/", &name].concat();
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let path = OsStr::from_bytes(&path);
        let opened = rustix::fs::openat2(&self.root, path, flags, Mode::empty(), INSIDE).ok()?;
        let stat = rustix::fs::fstat(&opened).ok()?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        let is_folder = kind == FileType::Directory;
        (is_folder || kind == FileType::RegularFile).then(|| Entry {
            name,
            is_folder,
            size_bytes: u64::try_from(stat.st_size).unwrap_or(0),
            modified_seconds: u64::try_from(stat.st_mtime).unwrap_or(0),
        })
    }

    fn open_below(&self, name: &OsStr, flags: OFlags) -> std::result::Result<OwnedFd, Errno> {
        let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY;
        rustix::fs::openat2(&self.root, name, flags, Mode::empty(), INSIDE)
    }
}

/// Never out of the folder, whatever links say.
const INSIDE: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);

impl Stored {
    /// Fills `out` with the bytes from `offset` on.
    ///
    /// # Errors
    /// What reading gives; also if the file has become shorter than it was.
    pub(in crate::server) fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }
}

impl FileVersion {
    /// A strong validator (RFC 9110 8.8.1), as far as file systems tell times apart.
    pub(in crate::server) fn etag(&self) -> String {
        let Self { inode, size_bytes, modified_seconds, modified_nanos, .. } = self;
        format!("\"{inode:x}-{size_bytes:x}-{modified_seconds:x}.{modified_nanos:x}\"")
    }

    pub(in crate::server) fn last_modified(&self) -> String {
        http_date(self.modified_seconds)
    }
}

fn status_of(errno: Errno) -> u16 {
    match errno {
        Errno::ACCESS | Errno::PERM => 403,
        // A rename under way, or too few descriptors: later it may work.
        Errno::AGAIN | Errno::MFILE | Errno::NFILE | Errno::NOMEM => 503,
        Errno::IO => 500,
        // Missing, a link that leads out or in circles, a name that no file can have.
        _ => 404,
    }
}

/// The bytes that `path` stands for (RFC 3986 2.1); `None` if two hexadecimal digits do not follow
/// each of its percent signs.
pub(super) fn decoded(path: &str) -> Option<Vec<u8>> {
    let begins_with_digits = |text: &str| {
        let digits = text.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let is_valid = path.split('%').skip(1).all(begins_with_digits);
    is_valid.then(|| percent_decode_str(path).collect())
}

/// A client has resolved its `..` already (RFC 3986 5.2.4), so one that is left means no good.
fn is_harmless(name: &[u8]) -> bool {
    !name.contains(&0) && name.split(|byte| *byte == b'/').all(|part| part != b"..")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A folder `in` with files and links, beside a `secret`.
    fn scene() -> (tempfile::TempDir, Folder) {
        let scratch = tempfile::tempdir().unwrap();
        let inside = scratch.path().join("in");
        std::fs::create_dir_all(inside.join("sub")).unwrap();
        std::fs::write(scratch.path().join("secret"), "secret").unwrap();
        std::fs::write(inside.join("a b?"), "odd").unwrap();
        std::fs::write(inside.join("sub/file"), "file").unwrap();
        symlink("sub/file", inside.join("link")).unwrap();
        symlink("../secret", inside.join("out")).unwrap();
        symlink(scratch.path().join("secret"), inside.join("absolute")).unwrap();
        symlink("..", inside.join("up")).unwrap();
        symlink("circle", inside.join("circle")).unwrap();
        let folder = Folder::open(&inside).unwrap();
        (scratch, folder)
    }

    #[test]
    fn files_and_links_inside_are_found() {
        let (_scratch, folder) = scene();
        for (path, size_bytes) in [
            ("/sub/file", 4),
            ("//sub/./file", 4),
            ("/link", 4),
            ("/a%20b%3F", 3),
            ("/%73ub/file", 4),
        ] {
            let stored = folder.file(path).unwrap();
            assert_eq!(stored.version.size_bytes, size_bytes, "{path}");
        }
        let mut bytes = [0; 2];
        folder.file("/link").unwrap().read(2, &mut bytes).unwrap();
        assert_eq!(&bytes, b"le");
        assert!(folder.file("/link").unwrap().read(3, &mut bytes).is_err());
    }

    #[test]
    fn nothing_leads_out() {
        let (_scratch, folder) = scene();
        for path in [
            "/../secret",
            "/%2e%2e/secret",
            "/%2E./secret",
            "/..%2fsecret",
            "/sub/../../secret",
            "/sub/../sub/file",
            "/out",
            "/absolute",
            "/up/secret",
            "/up/in/sub/file",
            "/circle",
            "//etc/passwd",
            "/%2fetc/passwd",
            "/sub",
            "/sub/",
            "/sub/file/",
            "/",
            "",
            "/missing",
            "/%",
            "/%2",
            "/%zz",
            "/sub/file%00",
        ] {
            assert_eq!(folder.file(path).map(|stored| stored.version).err(), Some(404), "{path}");
        }
        assert_eq!(folder.file(&format!("/{}", "n".repeat(300))).err(), Some(404));
    }

    #[test]
    fn folders_list_what_they_would_serve() {
        let (scratch, folder) = scene();
        let names = |path| {
            let mut entries = folder.list(path).unwrap().entries;
            entries.sort_by(|one, other| one.name.cmp(&other.name));
            let name = |entry: &Entry| String::from_utf8_lossy(&entry.name).into_owned();
            entries.iter().map(name).collect::<Vec<_>>()
        };
        std::fs::write(scratch.path().join("in/sub/.hidden"), "x").unwrap();
        std::fs::write(scratch.path().join("in/sub/more"), "1234567").unwrap();
        assert_eq!(names("/sub/"), ["file", "more"]);
        assert_eq!(names("//sub"), names("/sub"));
        let top = names("/");
        assert!(top.contains(&"link".to_owned()) && top.contains(&"sub".to_owned()), "{top:?}");
        for out in ["out", "absolute", "up", "circle"] {
            assert!(!top.contains(&out.to_owned()), "{out} leads out or nowhere");
        }
        let entries = folder.list("/sub/").unwrap().entries;
        let more = entries.iter().find(|entry| entry.name == b"more").unwrap();
        assert_eq!((more.size_bytes, more.is_folder), (7, false));
        for path in ["/sub/file", "/missing/", "/../", "/%2e%2e/", "/out/", "/up/", "/%00/"] {
            assert_eq!(folder.list(path).err(), Some(404), "{path}");
        }
    }

    #[test]
    fn only_folders_are_served() {
        let (scratch, _) = scene();
        for name in ["secret", "missing"] {
            let error = Folder::open(&scratch.path().join(name)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn a_changed_file_is_another_version() {
        let (scratch, folder) = scene();
        let before = folder.file("/sub/file").unwrap().version;
        assert_eq!(folder.file("/link").unwrap().version, before);
        std::fs::write(scratch.path().join("in/sub/file"), "other").unwrap();
        assert_ne!(folder.file("/sub/file").unwrap().version.etag(), before.etag());
    }
}
