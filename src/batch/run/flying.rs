//! An item on its way: everything that is known of it between the list and its result.

use crate::base::limits::REDIRECTS_MAX;
use crate::base::{Error, ErrorKind, Url};
use crate::batch::item::Item;
use crate::batch::result::{Asked, Outcome, Status};
use crate::batch::validator::Validator;
use crate::engine::lane::Wanted;
use crate::engine::options::Checksum;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// An item between the list and its result.
#[derive(Debug)]
pub(super) struct Flying {
    pub(super) asked: Asked,
    /// Its path below the batch's folder.
    pub(super) target: PathBuf,
    /// Where it can be had; the one in use first.
    urls: Vec<Url>,
    /// Where redirects have led.
    pub(super) at: Url,
    redirects: u32,
    /// Another origin's redirect led there.
    is_elsewhere: bool,
    pub(super) headers: Vec<(String, String)>,
    /// What has to be still the same for the file to be unchanged.
    pub(super) validator: Option<Validator>,
    /// What has the target's name may be replaced.
    pub(super) replace: bool,
    /// When its first request went out.
    pub(super) began: Option<Instant>,
    /// Failures so far that were retried.
    pub(super) retries: u32,
    /// Why it failed last.
    pub(super) error: Option<Error>,
    /// What it has brought once it is whole.
    pub(super) bytes: u64,
    pub(super) digest: Option<Checksum>,
}

impl Flying {
    /// `urls` has one at least.
    pub(super) fn new(item: Item, target: PathBuf, urls: Vec<Url>) -> Self {
        let (at, checksum) = (urls[0].clone(), item.asked.checksum.clone());
        Self {
            asked: item.asked,
            target,
            urls,
            at,
            redirects: 0,
            is_elsewhere: false,
            headers: Vec::new(),
            validator: None,
            replace: false,
            began: None,
            retries: 0,
            error: None,
            bytes: 0,
            digest: checksum,
        }
    }

    /// The URL in use, before redirects.
    pub(super) fn url(&self) -> &Url {
        &self.urls[0]
    }

    /// Indicates whether it can be had elsewhere too.
    pub(super) fn has_mirrors(&self) -> bool {
        self.urls.len() > 1
    }

    /// The URL that [`begin_again`](Self::begin_again) begins with.
    pub(super) fn next_url(&self) -> &Url {
        &self.urls[1 % self.urls.len()]
    }

    /// What a lane needs to know of it.
    pub(super) fn wanted(&mut self, id: u64) -> Wanted {
        self.began.get_or_insert_with(Instant::now);
        let condition = self.validator.as_ref().map(|validator| {
            let (name, value) = validator.condition();
            (name.to_owned(), value.to_owned())
        });
        Wanted {
            id,
            url: self.at.clone(),
            headers: self.headers.clone(),
            condition,
            checksum: self.asked.checksum.clone(),
            is_redirected: self.is_elsewhere,
        }
    }

    /// A redirect has led to `url`. An error if that was one too many.
    pub(super) fn follow(&mut self, url: Url, is_same_origin: bool) -> Result<(), Error> {
        self.redirects += 1;
        if self.redirects > REDIRECTS_MAX {
            let what = format!("{}: more than {REDIRECTS_MAX} redirects", self.url());
            return Err(Error::new(ErrorKind::Redirect, what));
        }
        self.is_elsewhere |= !is_same_origin;
        self.at = url;
        Ok(())
    }

    /// Begins again at the item's own URL, after a failure at the next of its mirrors.
    pub(super) fn begin_again(&mut self) {
        self.urls.rotate_left(1);
        (self.at, self.redirects, self.is_elsewhere) = (self.urls[0].clone(), 0, false);
    }

    /// Its result. `root` is the folder of the batch.
    pub(super) fn outcome(self, root: &Path, status: Status) -> Outcome {
        let elapsed = self.began.map_or(Duration::ZERO, |began| began.elapsed());
        // Until it is whole, the digest is the one that it is to have.
        let digest = self.digest.filter(|_| !matches!(status, Status::Failed(_)));
        Outcome {
            asked: self.asked,
            path: root.join(self.target),
            bytes: self.bytes,
            elapsed,
            status,
            digest,
            validator: self.validator,
            retries: self.retries,
        }
    }
}
