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
    let wanted = Wanted {
        place,
        what: "the checksum file",
        option: "--checksum-file",
        bytes_max: CHECKSUM_FILE_BYTES_MAX,
    };
    let sums = wanted.bring(Some(url), options, stop)?;
    let saved_as = target.file_name().unwrap_or_default().to_string_lossy();
    let names = [&*saved_as, &*url.last_segment(), &*naming::file_name(url)];
    let checksum = checksum_lookup::checksum(&sums.text, &sums.name, &names);
    options.checksum = Some(checksum.map_err(|error| error.within(sums.shown))?);
    options.checksum_source = Some(sums.name);
    Ok(())
}
