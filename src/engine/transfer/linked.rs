//! The description (Metalink) of the file that its server names with it (`Link` with
//! `rel=describedby`, RFC 6249): fetched once, and taken where it is that of the file. Owns when it
//! is. Must not know what is done with digests and mirrors.
//!
//! The digests of a description are the server's word, as its own digest fields are: it has to
//! come from the origin that has named it. One that is of no use is noted, and fails nothing.

use super::expected_digest::Expected;
use crate::base::limits::METALINK_BYTES_MAX;
use crate::base::url::Scheme;
use crate::base::{Error, ErrorKind, Result, Url};
use crate::digest::{Algorithm, Checksum, PieceHashes};
use crate::engine::aside::aside;
use crate::engine::context::Context;
use crate::engine::description::{Described, Description, described};
use crate::engine::failure::Failure;
use crate::engine::hints::SourceHints;
use crate::engine::local::Local;
use crate::engine::progress::Level;
use crate::engine::small_file::InMemory;
use crate::http::Offered;
use std::sync::Arc;
use std::time::Duration;

/// A description is waited for no longer than this, as the file waits meanwhile: ten round trips
/// on the longest way there is.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the description of the file says.
#[derive(Debug)]
pub(super) struct Linked {
    /// Where it came from.
    pub(super) url: Url,
    /// The digest of the file.
    pub(super) checksum: Option<Checksum>,
    /// The digests of its pieces, of its size.
    pub(super) pieces: Option<Arc<PieceHashes>>,
    /// Where else it can be had, best first.
    pub(super) mirrors: Vec<Url>,
    /// What is said of these.
    pub(super) hints: SourceHints,
}

/// What is known of the file without its description.
pub(super) struct Known<'a> {
    /// What the caller has named.
    pub(super) url: &'a Url,
    /// Its size in bytes.
    pub(super) total: u64,
    /// Digests that its server offers.
    pub(super) offers: &'a [Offered],
}

impl Linked {
    /// Fetches the description at `url` beside the connection there is; `None` if it is of no use.
    pub(super) async fn find(local: &Local, url: &Url, known: &Known<'_>) -> Option<Self> {
        let context = &local.context;
        let fetched = tokio::time::timeout(PATIENCE, fetch(local, url)).await;
        let late = |_| {
            let what = format!("it has not come within {PATIENCE:?}");
            Err(Error::new(ErrorKind::TimedOut, what))
        };
        let found = fetched.unwrap_or_else(late).and_then(|read| {
            let file = known.own(read.files)?;
            Self::of(context, url, file, known)
        });
        let text = match &found {
            Ok(linked) => format!("the server describes the file with {url}: {}", linked.words()),
            Err(error) => {
                format!("{url}, with which the server describes the file, is not used: {error}")
            }
        };
        context.tell(Level::Detail, None, text);
        found.ok()
    }

    /// What `file` says; an error if it contradicts what is known otherwise.
    fn of(context: &Context, url: &Url, file: Description, known: &Known<'_>) -> Result<Self> {
        let options = &context.options;
        let pieces = file.pieces.map(|pieces| (*pieces).clone().of_size(known.total)).transpose();
        let pieces = pieces.map_err(|error| contradiction(error.context()))?;
        if let Some(checksum) = &file.checksum {
            known.check(checksum, options.checksum.as_ref())?;
        }
        let is_plain = |mirror: &Url| mirror.scheme() == Scheme::Http;
        let is_safe = options.allow_downgrade || is_plain(known.url);
        let mut mirrors = file.urls;
        mirrors.retain(|mirror| is_safe || !is_plain(mirror));
        let is_wanted = options.verify;
        Ok(Self {
            url: url.clone(),
            checksum: file.checksum.filter(|_| is_wanted),
            pieces: pieces.filter(|_| is_wanted).map(Arc::new),
            mirrors,
            hints: file.hints,
        })
    }

    /// The digest that the file should have.
    pub(super) fn expected(&self) -> Option<Expected> {
        let checksum = self.checksum.clone()?;
        let against = format!("from {}", self.url);
        Some(Expected { checksum, against, is_servers: true })
    }

    fn words(&self) -> String {
        let digest = self.checksum.as_ref().map(|checksum| checksum.algorithm.to_string());
        let pieces = self.pieces.as_ref().map(|pieces| format!("{} pieces", pieces.count()));
        let mirrors = format!("{} URLs", self.mirrors.len());
        let parts: Vec<String> = digest.into_iter().chain(pieces).chain([mirrors]).collect();
        parts.join(", ")
    }
}

impl Known<'_> {
    /// The one of the files that has its size; of several that which has its name as well.
    fn own(&self, files: Vec<Result<Description>>) -> Result<Description> {
        let is_alone = files.len() == 1;
        let name = self.url.last_segment();
        let has_name =
            |file: &Description| file.name.rsplit('/').next().is_some_and(|last| last == name);
        let fits = |file: &Description| match file.bytes {
            Some(bytes) => bytes == self.total,
            None => is_alone || has_name(file),
        };
        let mut own: Vec<Description> = files.into_iter().flatten().filter(fits).collect();
        if own.len() > 1 {
            own.retain(has_name);
        }
        match (own.pop(), own.is_empty()) {
            (Some(file), true) => Ok(file),
            _ => Err(contradiction("it describes no file of this size and name alone".to_owned())),
        }
    }

    /// An error if the digest is another one than that which the caller has given, or the server.
    fn check(&self, described: &Checksum, given: Option<&Checksum>) -> Result<()> {
        let offered = self.offers.iter().filter_map(|offered| {
            let algorithm: Algorithm = offered.algorithm.parse().ok()?;
            Checksum::new(algorithm, offered.value.clone()).ok()
        });
        let contradicts = |other: &Checksum| {
            other.algorithm == described.algorithm && other.expected != described.expected
        };
        match given.cloned().into_iter().chain(offered).find(contradicts) {
            None => Ok(()),
            Some(other) => Err(contradiction(format!("it says {described}, and not {other}"))),
        }
    }
}

async fn fetch(local: &Local, url: &Url) -> Result<Described> {
    let wanted = InMemory { url: url.clone(), bytes_max: METALINK_BYTES_MAX };
    let fetched = wanted.attempt(&local.beside_connection()).await;
    let text = fetched.map_err(|Failure { error, .. }| error)?;
    parse(text, local.context.options.hints.locations.clone()).await
}

/// Reads it on a thread of its own: a large one would hold up whatever else the shard does.
async fn parse(text: Vec<u8>, locations: Vec<String>) -> Result<Described> {
    let read = aside("ringhaul-metalink", move || described(&text, &locations)).map_err(|e| {
        let what = "cannot start the thread that reads a description";
        Error::new(ErrorKind::ResourceLimit, what).caused_by(e)
    })?;
    read.await
}

fn contradiction(what: String) -> Error {
    Error::new(ErrorKind::ChecksumMismatch, what).advise("--metalink off does without it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::options::Options;

    const DIGITS: &str = "0123456789abcdef0123456789abcdef";

    fn file(name: &str, bytes: Option<u64>) -> Result<Description> {
        let urls = ["http://m/f", "https://m/f"].map(|url| Url::parse(url).unwrap()).to_vec();
        let checksum = Some(format!("md5:{DIGITS}").parse().unwrap());
        let hints = SourceHints::default();
        Ok(Description { name: name.into(), urls, hints, bytes, checksum, pieces: None })
    }

    fn known<'a>(url: &'a Url, offers: &'a [Offered]) -> Known<'a> {
        Known { url, total: 7, offers }
    }

    #[test]
    fn the_file_of_the_same_size_and_else_of_the_same_name_is_taken() {
        let url = Url::parse("http://h/a/f%20x").unwrap();
        let own = |files: Vec<Result<Description>>| {
            known(&url, &[]).own(files).map(|file| file.name).ok()
        };
        let bad = || Err(Error::new(ErrorKind::Usage, "no URL"));
        for (files, taken) in [
            (vec![file("x", Some(7))], Some("x")),
            (vec![file("x", None)], Some("x")),
            (vec![file("f x", Some(8))], None),
            (vec![file("x", Some(8)), file("y", Some(7)), bad()], Some("y")),
            (vec![file("x", Some(7)), file("d/f x", Some(7))], Some("d/f x")),
            (vec![file("x", Some(7)), file("y", Some(7))], None),
            (vec![file("d/f x", Some(7)), file("e/f x", Some(7))], None),
            (vec![file("x", None), file("f x", None)], Some("f x")),
            (vec![file("x", None), file("y", None)], None),
            (vec![bad()], None),
            (vec![], None),
        ] {
            assert_eq!(own(files).as_deref(), taken);
        }
    }

    #[test]
    fn what_it_says_counts_unless_it_contradicts_what_is_known() {
        let url = Url::parse("https://h/f").unwrap();
        let described = Url::parse("https://h/f.meta4").unwrap();
        let linked = |options: Options, offers: &[Offered]| {
            let file = file("f", Some(7)).unwrap();
            Linked::of(&Context::alone(options), &described, file, &known(&url, offers))
        };
        let plain = linked(Options::default(), &[]).unwrap();
        assert_eq!(plain.mirrors, [Url::parse("https://m/f").unwrap()], "no downgrade");
        let expected = plain.expected().unwrap();
        assert_eq!(expected.against, "from https://h/f.meta4");
        let given = |digits: &str| Options {
            checksum: Some(format!("md5:{digits}").parse().unwrap()),
            allow_downgrade: true,
            ..Options::default()
        };
        assert_eq!(linked(given(DIGITS), &[]).unwrap().mirrors.len(), 2);
        let other = DIGITS.replace('f', "e");
        let error = linked(given(&other), &[]).unwrap_err();
        assert!(error.to_string().contains(&other), "{error}");
        let offer =
            |value: u8| Offered { field: "Content-MD5", algorithm: "md5", value: vec![value; 16] };
        assert!(linked(Options::default(), &[offer(1)]).is_err());
        let unverified = Options { verify: false, ..Options::default() };
        assert!(linked(unverified, &[]).unwrap().expected().is_none());
    }
}
