//! `--piece-hashes`: takes the digests of our file's pieces from a list or a Metalink. Must not
//! know the formats.

use super::brought::Wanted;
use crate::base::limits::PIECE_LIST_BYTES_MAX;
use crate::base::{Result, Url};
use crate::batch::{naming, piece_lookup};
use crate::engine::options::Options;
use crate::engine::stop::StopHandle;
use std::path::Path;
use std::sync::Arc;

/// Sets the piece hashes of `url` to what the file at `place` says; a path or a URL.
pub(super) fn apply(
    options: &mut Options,
    place: &Path,
    url: &Url,
    stop: &StopHandle,
) -> Result<()> {
    let wanted = Wanted {
        place,
        what: "the list of piece hashes",
        option: "--piece-hashes",
        bytes_max: PIECE_LIST_BYTES_MAX,
    };
    let list = wanted.bring(Some(url), options, stop)?;
    let pieces = piece_lookup::piece_hashes(&list.text, &naming::file_name(url));
    options.pieces = Some(Arc::new(pieces.map_err(|error| error.within(list.shown))?));
    Ok(())
}
