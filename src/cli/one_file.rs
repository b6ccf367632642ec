//! `--slice` where one file is named: what of the options for many files goes with it, and what is
//! done if something has the name of the file. Must not know how slices are fetched.

use super::args::{DownloadArgs, IfThere};
use super::resolve;
use crate::base::{Error, ErrorKind, Result, Url};
use crate::batch::naming;

/// Whether a slice of one file is asked for, not one of a list.
///
/// # Errors
/// Usage, if what is asked for besides is only told of many files.
pub(super) fn is_meant(args: &DownloadArgs) -> Result<bool> {
    let batch = &args.batch;
    let is_one = args.urls.len() == 1 && batch.input_file.is_empty();
    if args.slices.settled.is_none() || !is_one {
        return Ok(false);
    }
    let refused = [
        ("--results", batch.results.is_some()),
        ("--json", batch.json),
        ("--log-file", batch.log_file.is_some()),
        ("--state", batch.state.is_some()),
    ];
    match refused.iter().find(|(_, is_given)| *is_given) {
        None => Ok(true),
        Some((name, _)) => {
            let what = format!("{name} tells of many files, and --slice is of one here");
            Err(Error::new(ErrorKind::Usage, what).advise("leave it out, or name a list with -i"))
        }
    }
}

/// Whether nothing is to be done, as the file has its name and `--if-exists` is content with that.
/// Without it, the size that the server says decides.
///
/// # Errors
/// [`ErrorKind::TargetExists`] if it is to fail then.
pub(super) fn is_skipped(args: &DownloadArgs) -> Result<bool> {
    let is_content = match args.batch.if_exists {
        Some(IfThere::Skip) => true,
        Some(IfThere::Fail) => false,
        Some(IfThere::Replace | IfThere::Check) | None => return Ok(false),
    };
    let target = resolve::target(args, &naming::file_name(&Url::parse(&args.urls[0])?))?;
    let is_there = std::fs::symlink_metadata(&target).is_ok();
    if is_there && !is_content {
        let what = format!("{} exists", target.display());
        return Err(Error::new(ErrorKind::TargetExists, what));
    }
    Ok(is_there)
}

/// Whether a file that is there is replaced.
pub(super) fn replaces(args: &DownloadArgs) -> bool {
    args.slices.settled.is_some() && args.batch.if_exists == Some(IfThere::Replace)
}
