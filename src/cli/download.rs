//! `ringhaul URL`: one download with its face on the terminal and its ears open for signals.

use super::args::{DownloadArgs, MetalinkWish};
use super::signals::Watch;
use super::{Failure, checksum_file, metalink, piece_hashes, print, profile, resolve};
use crate::base::{Error, ErrorKind, Result, Url};
use crate::batch::description::Description;
use crate::batch::naming;
use crate::engine::Download;
use crate::engine::options::Options;
use crate::engine::progress::{Event, Level, Report};
use crate::ui::Ui;
use std::path::Path;
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
    if args.insecure {
        ui.on_event(&insecure_warning());
    }
    let report = transfer(download, &ui, &watch)?;
    ui.finish(&report);
    print::digests(&report)?;
    if is_described || report.discarded {
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
    let (download, target) = match &metalink {
        None => {
            let download = Download::new(&args.urls[0])?;
            let target = resolve::target(args, &naming::file_name(download.url()))?;
            (download, target)
        }
        Some(read) => {
            let one = read.only().expect("one file is described");
            (described(&mut options, args, read, one)?, resolve::target(args, &one.name)?)
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
    let notes = metalink.into_iter().flat_map(|read| read.described.notes);
    for text in said.into_iter().chain(notes) {
        ui.on_event(&Event { level: Level::Detail, connection: None, text });
    }
    let download = if target == Path::new(resolve::NOWHERE) {
        download.discard()
    } else {
        download.output(&target)
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
    let mirrors = urls.split_off(1);
    options.mirrors.splice(0..0, mirrors);
    options.expected_bytes = one.bytes;
    if options.checksum.is_none() && options.verify {
        options.checksum.clone_from(&one.checksum);
        options.checksum_source = one.checksum.as_ref().map(|_| read.name.clone());
    }
    if options.verify {
        options.pieces.clone_from(&one.pieces);
    }
    Ok(Download::of(urls.remove(0)))
}

pub(super) fn insecure_warning() -> Event {
    let text = "--insecure: certificates are not checked; anyone on the way can change the file";
    Event { level: Level::Warning, connection: None, text: text.to_owned() }
}

/// What to print and how to exit: an interruption carries the code of the signal behind it.
pub(super) fn failure(error: Error, watch: &Watch) -> Failure {
    let interrupted = error.kind() == ErrorKind::Interrupted;
    let mut failure = Failure::from(error);
    if let Some(code) = watch.exit_code().filter(|_| interrupted) {
        failure.exit_code = code;
    }
    failure
}
