//! A small file that says something about what is to be downloaded, brought in from disk or from a
//! server. Must not know what it says.

use crate::base::{Error, ErrorKind, Result, Url};
use crate::batch::naming;
use crate::engine::options::Options;
use crate::engine::small_file::Small;
use crate::engine::stop::StopHandle;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A file that was brought in.
pub(super) struct Brought {
    pub(super) text: Vec<u8>,
    /// For messages about it: without secrets.
    pub(super) shown: String,
    /// Its own name.
    pub(super) name: String,
}

/// Which file it is.
pub(super) struct Wanted<'a> {
    /// A path or a URL.
    pub(super) place: &'a Path,
    /// What messages call it, with its article: `the checksum file`.
    pub(super) what: &'a str,
    /// The option that names it.
    pub(super) option: &'a str,
    /// Most bytes it may have.
    pub(super) bytes_max: u64,
}

impl Wanted<'_> {
    /// Brings it in. `beside` is the URL that secrets in header fields are meant for, if there is
    /// another one than its own.
    pub(super) fn bring(
        &self,
        beside: Option<&Url>,
        options: &Options,
        stop: &StopHandle,
    ) -> Result<Brought> {
        let text = self.place.to_string_lossy();
        if is_url(&text) {
            let brought = self.download(&text, beside, options, stop);
            return brought.map_err(|error| error.within(self.what));
        }
        self.read()
    }

    fn download(
        &self,
        place: &str,
        beside: Option<&Url>,
        options: &Options,
        stop: &StopHandle,
    ) -> Result<Brought> {
        let url = Url::parse(place)?;
        let beside = beside.unwrap_or(&url);
        let small = Small { url: &url, beside, bytes_max: self.bytes_max };
        let text = small.fetch(options, stop)?;
        Ok(Brought { text, shown: url.to_string(), name: naming::file_name(&url) })
    }

    /// One byte more than is allowed is enough to see that there are too many.
    fn read(&self) -> Result<Brought> {
        let mut text = Vec::new();
        let read = File::open(self.place)
            .and_then(|file| file.take(self.bytes_max + 1).read_to_end(&mut text));
        let shown = self.place.display().to_string();
        if let Err(cause) = read {
            let context = format!("cannot read {} '{shown}'", self.what);
            return Err(Error::new(ErrorKind::Usage, context)
                .caused_by(cause)
                .advise(format!("name a file or a URL with {}", self.option)));
        }
        let name = self.place.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Brought { text, shown, name })
    }
}

/// Indicates whether it is meant as a URL, valid or not: as a path it would be shown with its
/// password. A file of such a name is `./http:…`.
pub(super) fn is_url(place: &str) -> bool {
    let has_scheme = |scheme: &str| {
        place.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    place.contains("://") || has_scheme("http:") || has_scheme("https:")
}
