//! `ringhaul URL URL…` and `ringhaul -i LIST`: many files, with their results and their log.
//!
//! `items` is what is fetched, `settings` how, `journal` where that is remembered, `audience` who
//! hears of it, and `sink` a file that some of it is written to.

mod audience;
mod items;
mod journal;
mod settings;
mod sink;

use super::args::DownloadArgs;
use super::signals::Watch;
use super::{Failure, download, exit_codes, metalink, trust};
use crate::base::Result;
use crate::batch::result::{Conclusion, Summary};
use crate::batch::state::IfExists;
use crate::batch::{Batch, BatchOptions, Item, Observer};
use crate::engine::progress::{Event, INSECURE_WARNING, Level};
use audience::Audience;
use items::Items;

/// Fetches the files of the URLs and lists, or those of a Metalink.
pub(super) fn run(args: &DownloadArgs, metalink: Option<metalink::Read>) -> Result<(), Failure> {
    let watch = Watch::start()?;
    let (described, notes) = metalink.map_or_else(Default::default, |read| {
        let metalink::Read { described, .. } = read;
        (Some(described.files), described.notes)
    });
    let items = Items::new(args, described)?;
    let mut options = settings::options(args, &items)?;
    let mut audience = Audience::new(args)?;
    let mut say = |level, text| audience.on_event(&Event { level, connection: None, text });
    args.notes.iter().for_each(|text| say(Level::Note, text.clone()));
    notes.into_iter().chain(trust::note(args)).for_each(|text| say(Level::Detail, text));
    if args.insecure && may_use_tls(args) {
        say(Level::Warning, INSECURE_WARNING.to_owned());
    }
    let mut summary = fetch(&options, items, &mut audience, &watch)?;
    while summary.failed > 0 && audience.wants_retry(&summary, &watch) {
        let again = audience.take_failed().into_iter().map(|asked| Ok(Item::of(asked)));
        let again: Vec<Result<Item>> = again.collect();
        options.if_exists = IfExists::Check;
        summary.retried(fetch(&options, again, &mut audience, &watch)?);
    }
    audience.finish(&summary)?;
    conclude(&summary)
}

fn fetch(
    options: &BatchOptions,
    items: impl IntoIterator<Item = Result<Item>, IntoIter: Send> + Send + 'static,
    audience: &mut Audience,
    watch: &Watch,
) -> Result<Summary, Failure> {
    let batch = Batch::new(options.clone())?;
    watch.guard(batch.stop_handle());
    let summary = batch.run(items, audience);
    audience.clear();
    summary.map_err(|error| download::failure(error, watch))
}

/// Whether a certificate may come up: all but URLs of http may lead to one.
fn may_use_tls(args: &DownloadArgs) -> bool {
    let is_plain = |url: &String| url.get(..5).is_some_and(|s| s.eq_ignore_ascii_case("http:"));
    args.urls.is_empty() || !args.batch.input_file.is_empty() || !args.urls.iter().all(is_plain)
}

/// The exit code, and the line that goes with it.
fn conclude(summary: &Summary) -> Result<(), Failure> {
    let (failed, files) = (summary.failed, summary.files());
    let exit_code = match summary.conclusion() {
        Conclusion::Complete => return Ok(()),
        Conclusion::AllFailedAlike(kind) => kind.exit_code(),
        // What may pass is worth another run, whatever else has failed.
        Conclusion::SomeFailed if summary.failed_may_pass > 0 => exit_codes::SOME_MAY_PASS,
        Conclusion::SomeFailed => exit_codes::SOME_FAILED,
    };
    let slice = summary.slice.map_or_else(String::new, |slice| format!(" of slice {slice}"));
    let line = format!("ringhaul: error: {failed} of {files} files{slice} failed");
    Err(Failure { line, exit_code })
}
