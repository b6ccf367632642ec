//! `--checksum-file`: takes our file's digest from a checksum file. Must not know the formats.

use super::brought::Wanted;
use crate::base::limits::CHECKSUM_FILE_BYTES_MAX;
use crate::base::{Result, Url};
use crate::batch::{checksum_lookup, naming};
use crate::engine::options::Options;
use crate::engine::stop::StopHandle;
use std::path::Path;

/// Sets the checksum of `url`, which will be saved as `target`, to what the file at `place` says; a
/// path or a URL.
pub(super) fn apply(
    options: &mut Options,
    place: &Path,
    url: &Url,
    target: &Path,
    stop: &StopHandle,
) -> Result<()> {
    let names = [url.last_segment(), naming::file_name(url)];
    let names = names.each_ref().map(String::as_str);
    find(options, place, Some(url), target, &names, stop)
}

/// The same for a file that is joined, which has but the name `target`.
pub(super) fn apply_to_joined(
    options: &mut Options,
    place: &Path,
    target: &Path,
    stop: &StopHandle,
) -> Result<()> {
    find(options, place, None, target, &[], stop)
}

/// Sets what the file at `place` says of the one that is called `target`, or else has one of these
/// `names` elsewhere.
fn find(
    options: &mut Options,
    place: &Path,
    beside: Option<&Url>,
    target: &Path,
    names: &[&str],
    stop: &StopHandle,
) -> Result<()> {
    let wanted = Wanted {
        place,
        what: "the checksum file",
        option: "--checksum-file",
        bytes_max: CHECKSUM_FILE_BYTES_MAX,
    };
    let sums = wanted.bring(beside, options, stop)?;
    let saved_as = target.file_name().unwrap_or_default().to_string_lossy();
    let names: Vec<&str> = [&*saved_as].into_iter().chain(names.iter().copied()).collect();
    let checksum = checksum_lookup::checksum(&sums.text, &sums.name, &names);
    options.checksum = Some(checksum.map_err(|error| error.within(sums.shown))?);
    options.checksum_source = Some(sums.name);
    Ok(())
}
