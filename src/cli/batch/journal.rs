//! Where a batch keeps its journal unless it is told.

use crate::batch::lists::STANDARD_INPUT;
use crate::cli::args::DownloadArgs;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What the name of a list's state ends in.
const STATE_SUFFIX: &str = ".ringhaul-state";
/// The state of many URLs of the command line, in their folder.
const STATE_NAME: &str = ".ringhaul-state";
/// URLs of the command line from which on a state is kept.
const STATE_URLS_MIN: usize = 3;

/// The journal of the batch, if it has one: beside the first list that is a file, or in the folder
/// that many URLs go to.
pub(super) fn path(args: &DownloadArgs, dir: &Path) -> Option<PathBuf> {
    let batch = &args.batch;
    if batch.no_state {
        return None;
    }
    if batch.state.is_some() {
        return batch.state.clone();
    }
    let is_file = |list: &&PathBuf| list.as_path() != Path::new(STANDARD_INPUT);
    if let Some(list) = batch.input_file.iter().find(is_file) {
        let mut name = OsString::from(list);
        name.push(STATE_SUFFIX);
        return Some(name.into());
    }
    let is_many = args.urls.len() >= STATE_URLS_MIN;
    is_many.then(|| dir.join(STATE_NAME))
}
