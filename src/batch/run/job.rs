//! An item on its way: everything that is known of it between the list and its result.

use crate::base::limits::REDIRECTS_MAX;
use crate::base::{Error, ErrorKind, Url};
use crate::batch::failure::{Permanence, permanence};
use crate::batch::result::{Asked, Outcome, Status};
use crate::batch::state::Source;
use crate::batch::validator::Validator;
use crate::engine::lane::Wanted;
use crate::engine::options::Checksum;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// An item between the list and its result.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) asked: Asked,
    /// Its path below the batch's folder.
    pub(super) target: PathBuf,
    /// What the journal, if there is one, says it comes from: its first URL, also if a mirror has
    /// it.
    pub(super) source: Option<Source>,
    /// Where it can be had; the one in use first.
    urls: Vec<Url>,
    /// How many of them, those behind the one in use, this pass has not asked.
    unasked: usize,
    /// Passes that have ended without the file: all URLs were asked.
    pub(super) passes: u32,
    /// The first failure of this pass that may pass.
    hope: Option<Error>,
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
    /// What was missing of it when its download began, once an answer has told its size.
    pub(super) learnt_bytes: Option<u64>,
    pub(super) digest: Option<Checksum>,
}

impl Job {
    /// `urls` has one at least.
    pub(super) fn new(asked: Asked, target: PathBuf, urls: Vec<Url>) -> Self {
        let (at, checksum) = (urls[0].clone(), asked.checksum.clone());
        Self {
            asked,
            target,
            source: None,
            unasked: urls.len() - 1,
            urls,
            passes: 0,
            hope: None,
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
            learnt_bytes: None,
            digest: checksum,
        }
    }

    /// Its size, if the list says it; what may be unchanged is asked about in a lane first.
    pub(super) fn size_hint(&self) -> Option<u64> {
        self.asked.size.filter(|_| self.validator.is_none())
    }

    /// The URL in use, before redirects.
    pub(super) fn url(&self) -> &Url {
        &self.urls[0]
    }

    /// One download asks the URL in use and all that this pass has not asked.
    pub(super) fn ask_all(&mut self) -> (Url, Vec<Url>) {
        let unasked = std::mem::take(&mut self.unasked);
        (self.urls[0].clone(), self.urls[1..=unasked].to_vec())
    }

    /// URLs that are still to be asked in this pass, besides the one in use.
    pub(super) fn unasked(&self) -> usize {
        self.unasked
    }

    /// The URL that follows the one in use.
    pub(super) fn next_url(&self) -> &Url {
        &self.urls[1 % self.urls.len()]
    }

    /// Goes on to the next URL, which was not asked in this pass, after this failure at the one in
    /// use.
    pub(super) fn go_on(&mut self, error: &Error) {
        self.unasked -= 1;
        self.hope = self.hope_after(error);
        self.urls.rotate_left(1);
        self.begin();
    }

    /// Asks the URL in use after all others of this pass.
    pub(super) fn postpone(&mut self) {
        self.urls[..=self.unasked].rotate_left(1);
        self.begin();
    }

    /// Why it has failed: after all URLs have, with `error` as the last one, what may pass counts.
    pub(super) fn failure(&mut self, error: Error) -> Error {
        let hope = self.hope_after(&error);
        self.hope = None;
        hope.unwrap_or(error)
    }

    fn hope_after(&mut self, error: &Error) -> Option<Error> {
        let may_pass = permanence(error.kind()) == Permanence::MayPass;
        self.hope.take().or_else(|| may_pass.then(|| error.clone()))
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
            bytes: self.asked.size_required,
            checksum: self.asked.checksum.clone(),
            pieces: self.asked.pieces.clone(),
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

    /// Begins another pass over all URLs: with the one after that which was asked last.
    pub(super) fn begin_pass(&mut self) {
        self.passes += 1;
        (self.unasked, self.hope) = (self.urls.len() - 1, None);
        self.urls.rotate_left(1);
        self.begin();
    }

    /// Begins at the first URL.
    fn begin(&mut self) {
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
