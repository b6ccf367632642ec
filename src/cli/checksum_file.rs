//! `--checksum-file`: brings in the checksum file, from disk or from a server, and takes our file's
//! digest from it. Must not know the formats.

use crate::base::limits::CHECKSUM_FILE_BYTES_MAX;
use crate::base::{Error, ErrorKind, Result, Url};
use crate::batch::{checksum_lookup, naming};
use crate::engine::options::Options;
use crate::engine::small_file::Small;
use crate::engine::stop::StopHandle;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A checksum file that was brought in.
struct Sums {
    text: Vec<u8>,
    /// For messages about it: without secrets.
    shown: String,
    /// Its own name.
    name: String,
}

/// Sets the checksum of `url`, which will be saved as `target`, to what the file at `place` says; a
/// path or a URL.
pub(super) fn apply(
    options: &mut Options,
    place: &Path,
    url: &Url,
    target: &Path,
    stop: &StopHandle,
) -> Result<()> {
    let text = place.to_string_lossy();
    let sums = if is_url(&text) { download(&text, url, options, stop)? } else { read(place)? };
    let saved_as = target.file_name().unwrap_or_default().to_string_lossy();
    let names = [&*saved_as, &*url.last_segment(), &*naming::file_name(url)];
    let checksum = checksum_lookup::checksum(&sums.text, &sums.name, &names);
    options.checksum = Some(checksum.map_err(|error| error.within(sums.shown))?);
    options.checksum_source = Some(sums.name);
    Ok(())
}

/// Indicates whether it is meant as a URL, valid or not: as a path it would be shown with its
/// password. A file of such a name is `./http:…`.
fn is_url(place: &str) -> bool {
    let has_scheme = |scheme: &str| {
        place.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    place.contains("://") || has_scheme("http:") || has_scheme("https:")
}

fn download(place: &str, beside: &Url, options: &Options, stop: &StopHandle) -> Result<Sums> {
    let fetch = || {
        let url = Url::parse(place)?;
        let small = Small { url: &url, beside, bytes_max: CHECKSUM_FILE_BYTES_MAX };
        let text = small.fetch(options, stop)?;
        Ok(Sums { text, shown: url.to_string(), name: naming::file_name(&url) })
    };
    fetch().map_err(|error: Error| error.within("the checksum file"))
}

/// One byte more than is allowed is enough to see that there are too many.
fn read(path: &Path) -> Result<Sums> {
    let mut text = Vec::new();
    let read = File::open(path)
        .and_then(|file| file.take(CHECKSUM_FILE_BYTES_MAX + 1).read_to_end(&mut text));
    let shown = path.display().to_string();
    if let Err(cause) = read {
        let context = format!("cannot read the checksum file '{shown}'");
        return Err(Error::new(ErrorKind::Usage, context)
            .caused_by(cause)
            .advise("name a file or a URL with --checksum-file"));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Sums { text, shown, name })
}
