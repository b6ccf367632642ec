//! `ringhaul URL`: one download with its face on the terminal and its ears open for signals.

use super::args::DownloadArgs;
use super::signals::Watch;
use super::{Failure, checksum_file, print, profile, resolve};
use crate::base::{Error, ErrorKind, Result};
use crate::engine::Download;
use crate::engine::progress::{Event, Level, Report};
use crate::ui::Ui;
use std::path::Path;
use std::sync::Arc;

pub(super) fn run(args: &DownloadArgs) -> Result<(), Failure> {
    let watch = Watch::start()?;
    let (download, ui) = prepare(args, &watch)?;
    if args.insecure {
        ui.on_event(&insecure_warning());
    }
    let report = transfer(download, &ui, &watch)?;
    ui.finish(&report);
    print::digests(&report)?;
    Ok(())
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

fn prepare(args: &DownloadArgs, watch: &Watch) -> Result<(Download, Arc<Ui>), Failure> {
    let download = Download::new(&args.urls[0])?;
    let mut options = resolve::options(args)?;
    let said = profile::apply(&mut options, args, download.url())?;
    let target = resolve::target(args, download.url())?;
    if let Some(place) = &args.checksum_file {
        let stop = download.stop_handle();
        watch.guard(stop.clone());
        let applied = checksum_file::apply(&mut options, place, download.url(), &target, &stop);
        applied.map_err(|error| failure(error, watch))?;
    }
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let ui = Arc::new(Ui::new(&name, resolve::verbosity(args)));
    if let Some(text) = said {
        ui.on_event(&Event { level: Level::Detail, connection: None, text });
    }
    let download = if target == Path::new(resolve::NOWHERE) {
        download.discard()
    } else {
        download.output(&target)
    };
    Ok((download.options(options), ui))
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
