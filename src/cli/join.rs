//! `ringhaul --join FILE`: the end of a file that was fetched in slices.

use super::args::{DownloadArgs, MetalinkWish};
use super::signals::Watch;
use super::{Failure, checksum_file, download, print, resolve};
use crate::base::{Error, ErrorKind, Result};
use crate::engine::Join;
use crate::engine::progress::Level;
use crate::ui::Ui;
use std::path::Path;
use std::sync::Arc;

/// Joins the slices of the file `name`.
pub(super) fn run(args: &DownloadArgs, name: &Path) -> Result<(), Failure> {
    check(args)?;
    let watch = Watch::start()?;
    let mut options = resolve::options(args)?;
    if let Some(dir) = &args.dir {
        resolve::must_be_folder(dir)?;
    }
    let target = args.dir.as_deref().unwrap_or(Path::new("")).join(name);
    let shown = target.file_name().unwrap_or_default().to_string_lossy();
    let ui = Arc::new(Ui::new(&shown, resolve::verbosity(args)));
    args.notes.iter().for_each(|text| ui.say(Level::Note, text));
    let (for_progress, for_events) = (Arc::clone(&ui), Arc::clone(&ui));
    let join = Join::new(&target);
    watch.guard(join.stop_handle());
    if let Some(place) = &args.checksum_file {
        let stop = join.stop_handle();
        let applied = checksum_file::apply_to_joined(&mut options, place, &target, &stop);
        applied.map_err(|error| download::failure(error, &watch))?;
    }
    let join = join
        .options(options)
        .on_progress(move |progress| for_progress.on_progress(progress))
        .on_event(move |event| for_events.on_event(event));
    let joined = join.run();
    ui.clear();
    let report = joined.map_err(|error| download::failure(error, &watch))?;
    ui.finish_join(&report);
    Ok(print::digests(&report.path, &report.digests, false)?)
}

/// Nothing is fetched: what says what to fetch was meant otherwise.
fn check(args: &DownloadArgs) -> Result<()> {
    let is_metalink = matches!(args.sources.metalink, MetalinkWish::From(_));
    let refused = if !args.urls.is_empty() {
        "a URL"
    } else if !args.batch.input_file.is_empty() || is_metalink {
        "a list"
    } else if args.output.is_some() {
        "--output"
    } else if args.repair.is_some() {
        "--repair"
    } else {
        return Ok(());
    };
    let what = format!("'--join' fetches nothing, and {refused} is given besides");
    let advice = "name the file alone: ringhaul --join FILE, with --checksum where it is known";
    Err(Error::new(ErrorKind::Usage, what).advise(advice))
}
