//! Metalinks on the command line: which argument is one, and what is to be fetched in its place.
//!
//! A Metalink is acted on where `--metalink` names it, where its name ends as one does, and where
//! the server says that it is one; `--metalink off` has it downloaded like any other file.

use super::args::{DownloadArgs, MetalinkWish};
use super::brought::{Brought, Wanted, is_url};
use super::resolve;
use crate::base::limits::METALINK_BYTES_MAX;
use crate::base::{Error, ErrorKind, Result, Url};
use crate::engine::description::{
    Described, Description, described, is_metalink_name, is_metalink_type,
};
use crate::engine::stop::StopHandle;
use std::path::{Path, PathBuf};

/// A Metalink that was read.
pub(super) struct Read {
    /// Its own name.
    pub(super) name: String,
    pub(super) described: Described,
}

/// Reads the Metalink that the arguments ask for, if they do.
pub(super) fn look(args: &DownloadArgs) -> Result<Option<Read>> {
    place(args).map(|place| read(args, &place)).transpose()
}

/// Reads the file at `path`, which was downloaded and is of `content_type`, if it is a Metalink and
/// is to be acted on.
pub(super) fn look_at(
    args: &DownloadArgs,
    path: &Path,
    content_type: Option<&str>,
) -> Result<Option<Read>> {
    let is_one = content_type.is_some_and(is_metalink_type);
    if !is_one || args.sources.metalink != MetalinkWish::Auto || names_metalink(args) {
        return Ok(None);
    }
    read(args, path).map(Some)
}

impl Read {
    /// The file that is to be fetched by one download: the only one it describes, unless that goes
    /// into a folder of its own; or the one that is to be repaired. `None`: it is a batch.
    pub(super) fn one(&self, args: &DownloadArgs) -> Result<Option<&Description>> {
        match (&self.described.files[..], &args.repair) {
            ([Ok(one)], Some(_)) => Ok(Some(one)),
            (_, Some(path)) => self.named_like(path).map(Some),
            ([Ok(one)], None) if !one.name.contains('/') => Ok(Some(one)),
            (_, None) => Ok(None),
        }
    }

    /// The one of several files that has the name of the file at `path`.
    fn named_like(&self, path: &Path) -> Result<&Description> {
        let is_it = |one: &&Description| Path::new(&one.name).file_name() == path.file_name();
        let mut found = self.described.files.iter().flatten().filter(is_it);
        if let (Some(one), None) = (found.next(), found.next()) {
            return Ok(one);
        }
        let (count, name) = (self.described.files.len(), path.file_name().unwrap_or_default());
        let name = name.display();
        let what = format!("of the {count} files of {} not just one is called {name}", self.name);
        let advice = "rename the file that is to be repaired as the Metalink calls it";
        Err(Error::new(ErrorKind::Usage, what).advise(advice))
    }
}

fn read(args: &DownloadArgs, place: &Path) -> Result<Read> {
    let wanted =
        Wanted { place, what: "the Metalink", option: "--metalink", bytes_max: METALINK_BYTES_MAX };
    // Nothing is to be kept of it: a signal may end the program.
    let brought = wanted.bring(None, &resolve::options(args)?, &StopHandle::new())?;
    let Brought { text, shown, name } = brought;
    let described =
        described(&text, &args.sources.metalink_location).map_err(|error| error.within(shown))?;
    Ok(Read { name, described })
}

fn place(args: &DownloadArgs) -> Option<PathBuf> {
    match &args.sources.metalink {
        MetalinkWish::Off => None,
        MetalinkWish::From(place) => Some(place.clone()),
        MetalinkWish::Auto => {
            let [one] = &args.urls[..] else { return None };
            let is_asked = is_metalink_place(one) && !names_metalink(args);
            (is_asked && args.batch.input_file.is_empty()).then(|| PathBuf::from(one))
        }
    }
}

/// Whether the output is named like a Metalink: then the Metalink itself is wanted.
fn names_metalink(args: &DownloadArgs) -> bool {
    let output = args.repair.as_deref().or(args.output.as_deref()).and_then(Path::file_name);
    output.is_some_and(|name| is_metalink_name(&name.to_string_lossy()))
}

/// Whether a path or URL ends like the name of a Metalink.
pub(super) fn is_metalink_place(place: &str) -> bool {
    if is_url(place) {
        return Url::parse(place).is_ok_and(|url| is_metalink_name(&url.last_segment()));
    }
    is_metalink_name(place) && Path::new(place).is_file()
}
