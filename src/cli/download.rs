//! `ringhaul URL`: one download with its face on the terminal and its ears open for signals.

use super::args::{DownloadArgs, MetalinkWish};
use super::signals::Watch;
use super::{
    Failure, checksum_file, metalink, one_file, ordered_output, piece_hashes, print, profile,
    remote_name, resolve, trust,
};
use crate::base::{Error, ErrorKind, Result, Url};
use crate::batch::naming;
use crate::engine::Download;
use crate::engine::description::Description;
use crate::engine::options::Options;
use crate::engine::progress::{Level, Report};
use crate::ui::Ui;
use std::error::Error as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Downloads the file that the arguments name, or the only one of a Metalink. If the file turns out
/// to be a Metalink that is to be acted on, that.
pub(super) fn run(
    args: &DownloadArgs,
    metalink: Option<metalink::Read>,
) -> Result<Option<metalink::Read>, Failure> {
    let watch = Watch::start()?;
    let is_described = metalink.is_some();
    let (download, ui) = prepare(args, metalink, &watch)?;
    let report = transfer(download, &ui, &watch)?;
    ui.finish(&report);
    let is_output_taken = ordered_output::takes_standard_output(args);
    print::digests(&report.path, &report.digests, is_output_taken)?;
    let is_no_metalink = report.is_ordered
        || report.slice.is_some()
        || args.repair.is_some()
        || args.part.range.is_some();
    if is_described || report.discarded || is_no_metalink {
        return Ok(None);
    }
    Ok(metalink::look_at(args, &report.path, report.content_type.as_deref())?)
}

/// Runs `download` with `ui` looking on and frees the terminal. A signal ends it with the signal's
/// exit code.
pub(super) fn transfer(download: Download, ui: &Arc<Ui>, watch: &Watch) -> Result<Report, Failure> {
    watch.guard(download.stop_handle());
    let (for_progress, for_events) = (Arc::clone(ui), Arc::clone(ui));
    let result = download
        .on_progress(move |progress| for_progress.on_progress(progress))
        .on_event(move |event| for_events.on_event(event))
        .run();
    ui.clear();
    result.map_err(|error| failure(error, watch))
}

fn prepare(
    args: &DownloadArgs,
    metalink: Option<metalink::Read>,
    watch: &Watch,
) -> Result<(Download, Arc<Ui>), Failure> {
    let mut options = resolve::options(args)?;
    options.slice = args.slices.settled;
    options.force |= one_file::replaces(args);
    let stream = ordered_output::open(args)?;
    let is_ordered = stream.is_some();
    let copy = ordered_output::copy(args)?;
    let (download, target) = match &metalink {
        None => {
            let urls = args.urls.iter().map(|url| Url::parse(url)).collect::<Result<_>>()?;
            let download = first_of(urls, &mut options);
            let stop = download.stop_handle();
            watch.guard(stop.clone());
            let named = match is_ordered {
                true => Ok(None),
                false => remote_name::target(args, download.url(), &mut options, &stop),
            };
            let target = match named.map_err(|error| failure(error, watch))? {
                Some(target) => target,
                None => target(args, is_ordered, &naming::file_name(download.url()))?,
            };
            (download, target)
        }
        Some(read) => {
            let one = read.one(args)?.expect("one file is described");
            (described(&mut options, args, read, one)?, target(args, is_ordered, &one.name)?)
        }
    };
    let said = profile::apply(&mut options, args, download.url())?;
    if let Some(place) = &args.checksum_file {
        let stop = download.stop_handle();
        watch.guard(stop.clone());
        let applied = checksum_file::apply(&mut options, place, download.url(), &target, &stop);
        applied.map_err(|error| failure(error, watch))?;
    }
    if let Some(place) = &args.sources.piece_hashes {
        let stop = download.stop_handle();
        watch.guard(stop.clone());
        let applied = piece_hashes::apply(&mut options, place, download.url(), &stop);
        applied.map_err(|error| failure(error, watch))?;
    }
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let ui = Arc::new(Ui::new(&name, resolve::verbosity(args)));
    for text in &args.notes {
        ui.say(Level::Note, text);
    }
    let notes = metalink.into_iter().flat_map(|read| read.described.notes);
    for text in said.into_iter().chain(trust::note(args)).chain(notes) {
        ui.say(Level::Detail, &text);
    }
    let download = match target {
        _ if let Some(stream) = stream => download.stream(stream),
        _ if args.repair.is_some() => download.repair(target),
        _ if target == Path::new(resolve::NOWHERE) => download.discard(),
        _ if args.part.in_place => download.output_in_place(target),
        _ => download.output(target),
    };
    let download = match copy {
        Some(path) => download.copy_to(path),
        None => download,
    };
    Ok((download.options(options), ui))
}

/// The download of the file that a Metalink describes: of the URL that is named beside it, if there
/// is one, and of the sources that it has.
fn described(
    options: &mut Options,
    args: &DownloadArgs,
    read: &metalink::Read,
    one: &Description,
) -> Result<Download> {
    let mut urls = match args.sources.metalink {
        MetalinkWish::From(_) => {
            args.urls.iter().map(|url| Url::parse(url)).collect::<Result<_>>()?
        }
        MetalinkWish::Auto | MetalinkWish::Off => Vec::new(),
    };
    urls.extend(one.urls.iter().cloned());
    options.hints.connections.clone_from(&one.hints.connections);
    options.expected_bytes = one.bytes;
    let is_whole = args.part.range.is_none();
    if options.checksum.is_none() && options.verify && is_whole {
        options.checksum.clone_from(&one.checksum);
        options.checksum_source = one.checksum.as_ref().map(|_| read.name.clone());
    }
    if options.verify && (is_whole || args.part.in_place) {
        options.pieces.clone_from(&one.pieces);
    }
    Ok(first_of(urls, options))
}

/// The download of the first URL; the others are mirrors.
fn first_of(mut urls: Vec<Url>, options: &mut Options) -> Download {
    let mirrors = urls.split_off(1);
    options.mirrors.splice(0..0, mirrors);
    Download::of(urls.remove(0))
}

/// The file to write, or to repair; of bytes that are passed on, its name.
fn target(args: &DownloadArgs, is_ordered: bool, name: &str) -> Result<PathBuf> {
    match &args.repair {
        Some(path) => Ok(path.clone()),
        None if is_ordered => Ok(name.into()),
        None => resolve::target(args, name),
    }
}

/// What to print and how to exit: an interruption carries the code of the signal behind it.
pub(super) fn failure(error: Error, watch: &Watch) -> Failure {
    let interrupted = error.kind() == ErrorKind::Interrupted;
    let is_unread = is_reader_gone(&error);
    let mut failure = Failure::from(error);
    if let Some(code) = watch.exit_code().filter(|_| interrupted) {
        failure.exit_code = code;
    }
    if is_unread {
        // Whoever reads no more, as head does, has what he wants.
        failure.line.clear();
    }
    failure
}

/// Whether what the bytes were passed on to has been closed by its reader.
fn is_reader_gone(error: &Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<std::io::Error>());
    cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
        && error.kind() == ErrorKind::DiskIo
}
