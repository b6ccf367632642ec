//! What an earlier run left: reads its journal, and judges how much of the part file it vouches
//! for. Deletes nothing and writes nothing. Must not know whether the server's file is the same.

use super::format::{self, Decoded, Flaw, PartId, VERSION, VERSION_OF_SLICE};
use super::{Cut, Found, Identity, Saved};
use crate::base::limits::{IN_MAKING_SUFFIX, JOURNAL_BYTES_MAX};
use crate::base::size::{MIB, format_bytes};
use crate::base::{Error, ErrorKind, Result, Slice, Span};
use crate::digest::crc::{Run, crc32c, crc32c_joined};
use crate::disk::place::{Place, disk_error, folder_of};
use crate::disk::slice_names;
use crate::io::ours::Foreign;
use std::ffi::OsStr;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// The advice where the journal's name is another's.
const FOREIGN_ADVICE: &str = "rename it, or choose another name with -o";

/// The part file, as far as a journal can be held against it.
pub(super) trait Part {
    /// Which file it is, and its size in bytes.
    fn identify(&self) -> io::Result<(PartId, u64)>;
    /// The CRC-32C of what it holds there; an error if that is behind its end.
    fn crc32c(&self, span: Span) -> io::Result<u32>;
}

impl Part for File {
    fn identify(&self) -> io::Result<(PartId, u64)> {
        let meta = self.metadata()?;
        Ok((PartId { device: meta.dev(), inode: meta.ino() }, meta.len()))
    }

    fn crc32c(&self, span: Span) -> io::Result<u32> {
        let mut piece = vec![0; usize::try_from(span.len().min(MIB)).expect("at most a MiB")];
        let mut at = span.start();
        let mut crc = 0;
        while at < span.end() {
            let (head, _) = Span::new(at, span.end()).split_at(at + MIB);
            let piece = &mut piece[..usize::try_from(head.len()).expect("at most a MiB")];
            self.read_exact_at(piece, at)?;
            crc = crc32c_joined(crc, crc32c(piece), head.len());
            at = head.end();
        }
        Ok(crc)
    }
}

/// Reads the journal of a place and judges it.
pub(super) fn find(place: &Place) -> Result<Found> {
    let Some(bytes) = read(&place.journal)? else { return Ok(Found::Nothing) };
    let decoded = format::decode(&bytes).map_err(|flaw| refusal(flaw, &place.journal))?;
    check_slice(decoded.header.identity.cut, place.slice, &place.journal)?;
    judge(decoded, &place.file, &place.part)
}

/// An error if the journal, which was made for `cut`, has the name of another one.
fn check_slice(cut: Option<Cut>, slice: Option<Slice>, journal: &Path) -> Result<()> {
    let made_for = cut.map(|cut| cut.slice);
    if made_for == slice {
        return Ok(());
    }
    let of = |slice: Option<Slice>| match slice {
        Some(slice) => format!("of slice {slice}"),
        None => "of a whole file".to_owned(),
    };
    let (name, made_for, slice) = (journal.display(), of(made_for), of(slice));
    let what = format!("{name} is the journal {made_for}, and not {slice}");
    Err(Error::new(ErrorKind::TargetUnusable, what).advise(FOREIGN_ADVICE))
}

/// Whether the journal shows that `part`, which has not the mark of a part file of ours, is one: it
/// holds bytes that the journal describes. So it is after it was copied, and where a file system
/// keeps no marks. That the journal names this inode is no proof: it may have been given to
/// another program's file since.
pub(in crate::disk) fn vouches(part: &File, journal: &Path) -> Result<bool> {
    let Some(bytes) = read(journal)? else { return Ok(false) };
    let runs = format::decode(&bytes).map(|decoded| decoded.slot.runs).unwrap_or_default();
    Ok(runs.iter().any(|run| part.crc32c(run.span).is_ok_and(|crc| crc == run.crc32c)))
}

/// What the journal of a slice says; `None` if there is none, or it is damaged.
pub(in crate::disk) fn recorded_of(
    slice: Slice,
    journal: &Path,
) -> Result<Option<(Identity, Vec<Run>)>> {
    let Some((identity, runs)) = recorded(journal)? else { return Ok(None) };
    check_slice(identity.cut, Some(slice), journal)?;
    Ok(Some((identity, runs)))
}

/// What a journal says, whatever file it was made for; `None` if there is none that can be used.
pub(in crate::disk) fn recorded(journal: &Path) -> Result<Option<(Identity, Vec<Run>)>> {
    let decoded = read(journal)?.and_then(|bytes| format::decode(&bytes).ok());
    Ok(decoded.map(|Decoded { header, slot }| (header.identity, slot.runs)))
}

/// An error if what has the journal's name, or that of one in the making, is none of ours.
pub(super) fn check_ours(journal: &Path) -> Result<()> {
    let Some(file) = open(journal)? else { return Ok(()) };
    read_magic(&file, journal)
}

/// What of the part file, called `name`, can be kept. That device, inode and size are as recorded
/// makes its runs worth keeping; what they hold has to be compared with their CRCs still. The part
/// file of slices has another device number on each machine, and whoever began with a longer file
/// may have made it longer.
pub(super) fn judge(decoded: Decoded, part: &impl Part, name: &Path) -> Result<Found> {
    let Decoded { header, slot } = decoded;
    let (id, bytes) = part.identify().map_err(|e| disk_error(e, "cannot look at", name))?;
    let name = name.display();
    let identity = header.identity;
    let mut runs = slot.runs;
    if bytes == 0 {
        return Ok(Found::Useless("the part file is gone: starting over".into()));
    }
    let is_shared = identity.cut.is_some();
    let cause = if id != header.part && !is_shared {
        Some(format!("{name} is not the file the journal was made for"))
    } else if bytes != identity.total && !(is_shared && bytes > identity.total) {
        Some(format!("{name} has not the size that the journal states"))
    } else {
        None
    };
    let note = cause.map(|cause| {
        let bytes_recorded = bytes_of(&runs);
        runs.retain(|run| part.crc32c(run.span).is_ok_and(|crc| crc == run.crc32c));
        let (kept, recorded) = (format_bytes(bytes_of(&runs)), format_bytes(bytes_recorded));
        format!("{cause}; {kept} of {recorded} checked out")
    });
    if runs.is_empty() {
        let why = note.unwrap_or_else(|| format!("nothing in {name} is known to be durable"));
        return Ok(Found::Useless(format!("{why}: starting over")));
    }
    Ok(Found::Resumable(Saved { identity, runs, note }))
}

fn bytes_of(runs: &[Run]) -> u64 {
    runs.iter().map(|run| run.span.len()).sum()
}

/// The journal's bytes; `None` if there is none.
fn read(journal: &Path) -> Result<Option<Vec<u8>>> {
    let Some(file) = open(journal)? else { return Ok(None) };
    // Before all of it is read: it may be anything, and any size.
    read_magic(&file, journal)?;
    let mut bytes = Vec::new();
    let read = (&file).take(JOURNAL_BYTES_MAX).read_to_end(&mut bytes);
    read.map_err(|e| disk_error(e, "cannot read", journal))?;
    Ok(Some(bytes))
}

/// Why what has the journal's name is none of ours; `None` if it may be. On file systems without
/// nameless files and RENAME_NOREPLACE, such as NFS, a journal has two names for a moment, which a
/// kill makes last; and other machines, which read the journals of slices, may go on to count two
/// for a minute.
fn foreign(meta: &Metadata, journal: &Path) -> Option<Foreign> {
    let folder = folder_of(journal);
    let is_being_named = || slice_names::is_journal(journal) || has_both_names(meta, journal);
    match Foreign::of(meta, folder) {
        Some(Foreign::HardLinks(2)) if is_being_named() => Foreign::of_read(meta, folder),
        foreign => foreign,
    }
}

/// Whether the other name of a journal, of that when it stands and that in the making, is the same
/// file's.
fn has_both_names(meta: &Metadata, journal: &Path) -> bool {
    let name = journal.as_os_str().as_bytes();
    let other = name.strip_suffix(IN_MAKING_SUFFIX.as_bytes());
    let other = other.map_or_else(|| [name, IN_MAKING_SUFFIX.as_bytes()].concat(), <[u8]>::to_vec);
    let named = std::fs::symlink_metadata(OsStr::from_bytes(&other));
    named.is_ok_and(|named| (named.dev(), named.ino()) == (meta.dev(), meta.ino()))
}

/// Opens the journal. A link, a folder or a pipe in its place is none, and neither is what another
/// user owns, or what has another name besides.
fn open(journal: &Path) -> Result<Option<File>> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let failed = |e| disk_error(e, "cannot read", journal);
    let foreign = match options.open(journal) {
        Ok(file) => {
            let meta = file.metadata().map_err(failed)?;
            match foreign(&meta, journal) {
                None => return Ok(Some(file)),
                Some(foreign) => foreign,
            }
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) if e.raw_os_error() == Some(libc::ELOOP) => Foreign::Link,
        Err(e) => return Err(failed(e)),
    };
    let what = format!("{} is not a journal of ringhaul's own: it {foreign}", journal.display());
    Err(Error::new(ErrorKind::TargetUnusable, what).advise(FOREIGN_ADVICE))
}

fn read_magic(file: &File, journal: &Path) -> Result<()> {
    let mut start = [0; 16];
    let read = file.read_at(&mut start, 0).map_err(|e| disk_error(e, "cannot read", journal))?;
    if format::is_ours(&start[..read]) { Ok(()) } else { Err(refusal(Flaw::Foreign, journal)) }
}

fn refusal(flaw: Flaw, journal: &Path) -> Error {
    let name = journal.display();
    let (what, advice) = match flaw {
        Flaw::Foreign => (format!("{name} is not a journal of ringhaul"), FOREIGN_ADVICE),
        Flaw::Version(version) => (
            format!(
                "{name} has version {version} of the format, and this ringhaul reads {VERSION} and \
                 {VERSION_OF_SLICE}"
            ),
            "use the ringhaul that made it, or start over with --no-resume",
        ),
        Flaw::Damaged => (format!("{name} is damaged"), "start over with --no-resume"),
    };
    Error::new(ErrorKind::TargetUnusable, what).advise(advice)
}
