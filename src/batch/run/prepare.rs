//! From an item of the list to what is done about it: its URLs, its target, and whether what is
//! there already is enough. Reads the disk, asks no server.

use super::job::Job;
use crate::base::{Error, ErrorKind, Result, Url};
use crate::batch::item::Item;
use crate::batch::naming::{Taken, target};
use crate::batch::result::{Asked, Outcome, Status};
use crate::batch::state::{Comparison, Decision, IfExists, Key, LocalFile, State, Wanted, decide};
use crate::engine::lane::has_digest;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What is done about an item.
pub(super) enum Prepared {
    /// It is fetched.
    Fetch(Box<Job>),
    /// It has ended already.
    Ended(Box<Outcome>),
}

/// Prepares the items of a batch, one after the other.
pub(super) struct Preparer {
    pub(super) root: PathBuf,
    pub(super) if_exists: IfExists,
    pub(super) state: Option<Arc<Mutex<State>>>,
    pub(super) taken: Arc<Mutex<Taken>>,
}

impl Preparer {
    pub(super) fn prepare(&self, item: Item) -> Prepared {
        let (line, asked) = (item.line, item.asked.clone());
        match self.try_prepare(item) {
            Ok(prepared) => prepared,
            Err(error) => {
                let error = if line > 0 { error.within(format!("line {line}")) } else { error };
                let path = named(&asked).map(|target| self.root.join(target)).unwrap_or_default();
                let outcome = Outcome {
                    path,
                    asked,
                    bytes: 0,
                    elapsed: std::time::Duration::ZERO,
                    status: Status::Failed(error),
                    digest: None,
                    validator: None,
                    retries: 0,
                };
                Prepared::Ended(Box::new(outcome))
            }
        }
    }

    fn try_prepare(&self, item: Item) -> Result<Prepared> {
        let urls: Vec<Url> = usable(&item.asked.urls)?;
        let target = target(item.asked.out.as_deref(), item.asked.dir.as_deref(), &urls[0])?;
        let headers = item.asked.header_fields()?;
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).take(&target)?;
        let mut job = Job::new(item, target, urls);
        job.headers = headers;
        let local = self.look(&job.target)?;
        job.replace = local.is_some();
        let wanted =
            Wanted { source: job.source, size: job.asked.size, digest: job.asked.checksum.clone() };
        let recorded = self.state.as_ref().and_then(|state| {
            let state = state.lock().unwrap_or_else(PoisonError::into_inner);
            state.done(&Key::of(&job.target))
        });
        let is_there = match decide(self.if_exists, local, &wanted, recorded.as_ref()) {
            Decision::Fetch => false,
            Decision::Skip => true,
            Decision::Refuse => return Err(self.exists(&job.target)),
            Decision::Compare(Comparison::Digest(checksum)) => {
                has_digest(&self.root.join(&job.target), &checksum)?
            }
            Decision::Compare(Comparison::Validator(validator)) => {
                job.validator = Some(validator);
                false
            }
        };
        if is_there {
            job.bytes = local.map_or(0, |local| local.size);
            let outcome = job.outcome(&self.root, Status::Unchanged);
            return Ok(Prepared::Ended(Box::new(outcome)));
        }
        Ok(Prepared::Fetch(Box::new(job)))
    }

    /// What has the target's name.
    fn look(&self, target: &Path) -> Result<Option<LocalFile>> {
        let path = self.root.join(target);
        match std::fs::symlink_metadata(&path) {
            // One that leads nowhere has the name all the same.
            Ok(meta) if meta.is_symlink() => {
                Ok(Some(LocalFile::of(&std::fs::metadata(&path).unwrap_or(meta))))
            }
            Ok(meta) => Ok(Some(LocalFile::of(&meta))),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => {
                let what = format!("cannot look at {}", path.display());
                Err(Error::new(ErrorKind::TargetUnusable, what).caused_by(e))
            }
        }
    }

    fn exists(&self, target: &Path) -> Error {
        let what = format!("{} exists", self.root.join(target).display());
        Error::new(ErrorKind::TargetExists, what)
            .advise("choose what to do with --if-exists skip, replace or check")
    }
}

/// The target of an item, if it can have one.
fn named(asked: &Asked) -> Option<PathBuf> {
    let url = usable(&asked.urls).ok()?.into_iter().next()?;
    target(asked.out.as_deref(), asked.dir.as_deref(), &url).ok()
}

/// The URLs that can be used; an error if there is none.
fn usable(texts: &[String]) -> Result<Vec<Url>> {
    let mut first_error = None;
    let mut urls = Vec::new();
    for text in texts {
        match Url::parse(text) {
            Ok(url) => urls.push(url),
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    let none = || Error::new(ErrorKind::Usage, "an item without a URL");
    if urls.is_empty() { Err(first_error.unwrap_or_else(none)) } else { Ok(urls) }
}
