//! What a batch fetches: the URLs of the command line and the items of lists, the files of a
//! Metalink, or one file that the command line describes. Must not know how it is fetched.

use crate::base::{Error, ErrorKind, Result, Url};
use crate::batch::Item;
use crate::batch::list_slice::{ListSlice, SliceBy};
use crate::batch::lists::{Lists, STANDARD_INPUT};
use crate::batch::naming;
use crate::batch::slices::Share;
use crate::cli::args::{Divisor, DownloadArgs, MetalinkWish, RemoteName};
use crate::cli::resolve;
use crate::engine::description::Description;
use std::path::{Path, PathBuf};

/// The files of a Metalink.
type Files = Vec<Result<Description>>;

/// All items of the slice that is meant, or simply all, one after another.
pub(super) struct Items {
    all: All,
    /// What falls to the slice.
    share: Option<Share>,
    part: Option<ListSlice>,
    folder: PathBuf,
    is_one: bool,
}

/// All items.
struct All {
    /// The one file that the command line describes, whose URL stands in the lists as well.
    one: Option<Item>,
    described: std::vec::IntoIter<Result<Description>>,
    lists: Lists,
}

impl Items {
    /// Opens the lists; or the files that a Metalink has `described` in their place.
    pub(super) fn new(args: &DownloadArgs, described: Option<Files>) -> Result<Self> {
        let batch = &args.batch;
        check_places(args, described.is_some())?;
        let urls = if described.is_some() { &[] } else { &args.urls[..] };
        let is_one = urls.len() == 1 && batch.input_file.is_empty();
        refuse_what_is_for_one(args, is_one)?;
        let (one, folder) = match is_one {
            true => {
                let (item, folder) = one(args)?;
                (Some(item), folder)
            }
            false => (None, args.dir.clone().unwrap_or_else(|| PathBuf::from("."))),
        };
        resolve::must_be_folder(&folder)?;
        let described = described.unwrap_or_default();
        let part = part(args);
        let share = part.map(|part| share(args, part, urls, &described)).transpose()?;
        let all = All { one, ..All::open(args, urls, described)? };
        Ok(Self { all, share, part, folder, is_one })
    }

    /// The slice that they are, if not all.
    pub(super) fn part(&self) -> Option<ListSlice> {
        self.part
    }

    /// Indicates whether it is the one file that the command line describes.
    pub(super) fn is_one(&self) -> bool {
        self.is_one
    }

    /// The folder that all of them go to.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Iterator for Items {
    type Item = Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        let Self { all, share, .. } = self;
        all.find(|item| share.as_ref().is_none_or(|share| share.has(item)))
    }
}

impl All {
    fn open(args: &DownloadArgs, urls: &[String], described: Files) -> Result<Self> {
        let batch = &args.batch;
        let lists = Lists::open(urls, &batch.input_file, batch.base_url.as_deref())?;
        Ok(Self { one: None, described: described.into_iter(), lists })
    }
}

impl Iterator for All {
    type Item = Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(one) = self.one.take() {
            let _ = self.lists.next();
            return Some(Ok(one));
        }
        let described = self.described.next().map(|file| file.map(Item::from));
        described.or_else(|| self.lists.next())
    }
}

/// The slice that is meant, and what divides the list.
fn part(args: &DownloadArgs) -> Option<ListSlice> {
    let by = match args.slices.slice_by {
        Divisor::Name => SliceBy::Name,
        Divisor::Bytes => SliceBy::Bytes,
    };
    args.slices.settled.map(|slice| ListSlice { slice, by })
}

/// What falls to the slice. By bytes, that takes a first look at the whole list.
fn share(
    args: &DownloadArgs,
    part: ListSlice,
    urls: &[String],
    described: &Files,
) -> Result<Share> {
    if part.by == SliceBy::Name {
        return Ok(Share::by_name(part.slice));
    }
    let is_file = |list: &PathBuf| {
        list.as_path() != Path::new(STANDARD_INPUT) && !list.metadata().is_ok_and(|m| !m.is_file())
    };
    if !args.batch.input_file.iter().all(is_file) {
        let what = "--slice-by bytes reads the list twice, and it is a stream";
        return Err(Error::new(ErrorKind::Usage, what)
            .advise("write it to a file first, or use --slice-by name"));
    }
    Share::by_bytes(part.slice, All::open(args, urls, described.clone())?)
}

/// What is fetched is named in one way: by URLs and lists, or by a Metalink.
fn check_places(args: &DownloadArgs, is_described: bool) -> Result<()> {
    let has_lists = !args.batch.input_file.is_empty();
    if !is_described && args.urls.is_empty() && !has_lists {
        return Err(Error::new(ErrorKind::Usage, "no URL, no list and no Metalink is named"));
    }
    let has_url = matches!(args.sources.metalink, MetalinkWish::From(_)) && !args.urls.is_empty();
    if is_described && (has_url || has_lists) {
        let what = "the Metalink describes several files, and other files are named beside it";
        return Err(Error::new(ErrorKind::Usage, what).advise("fetch them one after the other"));
    }
    Ok(())
}

/// The file that the command line describes, and its folder.
fn one(args: &DownloadArgs) -> Result<(Item, PathBuf)> {
    let target = resolve::target(args, &naming::file_name(&Url::parse(&args.urls[0])?))?;
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.map_or_else(|| PathBuf::from("."), Path::to_owned);
    let mut item = Item::new(args.urls[0].clone());
    item.asked.out = target.file_name().map(|name| name.to_string_lossy().into_owned());
    item.asked.checksum.clone_from(&args.checksum);
    item.asked.urls.extend_from_slice(&args.sources.mirror);
    Ok((item, folder))
}

/// Options that speak of one file.
fn refuse_what_is_for_one(args: &DownloadArgs, is_one: bool) -> Result<()> {
    if args.output.is_some() && !is_one {
        return Err(Error::new(ErrorKind::Usage, "-o names one file, and there are several")
            .advise("choose their folder with -d, or their names in a list (out=)"));
    }
    let given = [
        ("--checksum", args.checksum.is_some() && !is_one),
        ("--checksum-file", args.checksum_file.is_some()),
        ("--mirror", !args.sources.mirror.is_empty() && !is_one),
        ("--piece-hashes", args.sources.piece_hashes.is_some()),
        ("--print-digest", !args.print_digest.is_empty()),
        ("--trace", args.trace.is_some()),
        ("--profile", args.profile.is_some()),
        ("--remote-name", args.names.remote_name != RemoteName::Off),
    ];
    match given.into_iter().find(|(_, is_given)| *is_given) {
        None => Ok(()),
        Some((name, _)) => {
            Err(Error::new(ErrorKind::Usage, format!("{name} is for one file, not for a list"))
                .advise("leave it out; a list can name the digest of each file"))
        }
    }
}
