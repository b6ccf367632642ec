//! From an item of the list to what is done about it: its URLs, its target, and whether what is
//! there already is enough. Reads the disk, asks no server.

use super::job::Job;
use crate::base::url::Origin;
use crate::base::{Error, ErrorKind, Result, Url};
use crate::batch::item::Item;
use crate::batch::naming::{Taken, target};
use crate::batch::result::{Asked, Outcome, Status};
use crate::batch::state::{
    Comparison, Decision, IfExists, Key, LocalFile, Source, State, Wanted, decide,
};
use crate::batch::validator::Validator;
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

/// What has the target's name.
enum Found {
    /// Another file, or none.
    Other,
    /// What is asked for, if this is still its validator.
    MaybeSame(Validator),
    /// What is asked for.
    Same {
        /// Its size.
        bytes: u64,
    },
}

/// Prepares the items of a batch, one after the other.
pub(super) struct Preparer {
    pub(super) root: PathBuf,
    pub(super) if_exists: IfExists,
    pub(super) state: Option<Arc<Mutex<State>>>,
    pub(super) taken: Arc<Mutex<Taken>>,
    pub(super) headers_by_origin: Vec<(Origin, Vec<(String, String)>)>,
}

impl Preparer {
    pub(super) fn prepare(&self, mut item: Item) -> Prepared {
        let line = item.line;
        match self.try_prepare(&mut item) {
            Ok(prepared) => prepared,
            Err(error) => {
                let error = if line > 0 { error.within(format!("line {line}")) } else { error };
                let asked = item.asked;
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

    /// What is asked is taken out of the item, unless there is an error.
    fn try_prepare(&self, item: &mut Item) -> Result<Prepared> {
        let urls = item.usable_urls()?;
        let target = target(item.asked.out.as_deref(), item.asked.dir.as_deref(), &urls[0])?;
        let mut headers = item.asked.header_fields()?;
        self.add_headers_of(&urls[0].origin(), &mut headers);
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).take(&target)?;
        let local = self.look(&target)?;
        let found = match local {
            Some(local) => self.compare(item, &urls[0], &target, local)?,
            None => Found::Other,
        };
        let mut job = Job::new(std::mem::take(&mut item.asked), target, urls);
        job.headers = headers;
        job.replace = local.is_some();
        job.source = self.state.as_ref().map(|_| Source::of(job.url()));
        match found {
            Found::Other => {}
            Found::MaybeSame(validator) => job.validator = Some(validator),
            Found::Same { bytes } => {
                job.bytes = bytes;
                let outcome = job.outcome(&self.root, Status::Unchanged);
                return Ok(Prepared::Ended(Box::new(outcome)));
            }
        }
        Ok(Prepared::Fetch(Box::new(job)))
    }

    /// Adds those fields of the origin that the item has not itself.
    fn add_headers_of(&self, origin: &Origin, headers: &mut Vec<(String, String)>) {
        let of_origin = self.headers_by_origin.iter().filter(|(known, _)| known == origin);
        let own: Vec<String> = headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        let fields = of_origin.flat_map(|(_, fields)| fields);
        let new = fields.filter(|(name, _)| !own.contains(&name.to_ascii_lowercase()));
        headers.extend(new.cloned());
    }

    /// Compares what has the target's name with what the item asks for.
    fn compare(&self, item: &Item, url: &Url, target: &Path, local: LocalFile) -> Result<Found> {
        let wanted = Wanted {
            source: Source::of(url),
            size: item.asked.size,
            digest: item.asked.checksum.clone(),
        };
        let recorded = self.state.as_ref().and_then(|state| {
            let state = state.lock().unwrap_or_else(PoisonError::into_inner);
            state.done(&Key::of(target))
        });
        let same = Found::Same { bytes: local.size };
        Ok(match decide(self.if_exists, Some(local), &wanted, recorded.as_ref()) {
            Decision::Fetch => Found::Other,
            Decision::Skip => same,
            Decision::Refuse => return Err(self.exists(target)),
            Decision::Compare(Comparison::Digest(checksum)) => {
                if has_digest(&self.root.join(target), &checksum)? { same } else { Found::Other }
            }
            Decision::Compare(Comparison::Validator(validator)) => Found::MaybeSame(validator),
        })
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
    let url = asked.parse_urls().ok()?.into_iter().next()?;
    target(asked.out.as_deref(), asked.dir.as_deref(), &url).ok()
}
