//! The origins of a batch by number, and which of them cannot be reached.

use super::job::Job;
use crate::base::url::Origin;
use crate::base::{Error, ErrorKind, Url};
use crate::schedule::{Item, ItemId, OriginId};
use std::collections::HashMap;
use std::time::Duration;

/// Lanes in a row that could not be opened before an origin counts as out of reach.
pub(super) const FAILURES_MAX: u32 = 4;
/// Wait after the first of them; doubles with each one.
const WAIT: Duration = Duration::from_millis(500);

/// The origins so far.
#[derive(Default)]
pub(super) struct Origins {
    numbers: HashMap<Origin, OriginId>,
    all: Vec<Known>,
}

/// What is known of one.
pub(super) struct Known {
    /// A URL of it.
    pub(super) url: Url,
    /// Lanes in a row that could not be opened.
    failures: u32,
    /// Why it is out of reach, if it is.
    pub(super) lost: Option<Error>,
}

impl Origins {
    /// The number of the origin of `url`.
    pub(super) fn number(&mut self, url: &Url) -> OriginId {
        let next = OriginId(u32::try_from(self.all.len()).expect("fewer origins than memory"));
        let number = *self.numbers.entry(url.origin()).or_insert(next);
        if number == next {
            self.all.push(Known { url: url.clone(), failures: 0, lost: None });
        }
        number
    }

    /// The item as the scheduler sees it, at the URL in use.
    pub(super) fn item(&mut self, id: ItemId, job: &Job) -> Item {
        Item { id, origin: self.number(&job.at), size_hint: job.size_hint() }
    }

    /// What is known of the origin.
    pub(super) fn get(&self, origin: OriginId) -> &Known {
        &self.all[origin.0 as usize]
    }

    /// A download could not reach it; lanes may.
    pub(super) fn suspect(&mut self, origin: OriginId) {
        let known = &mut self.all[origin.0 as usize];
        known.failures = known.failures.max(1);
    }

    /// Whether it could not be reached lately.
    pub(super) fn is_failing(&self, origin: OriginId) -> bool {
        self.get(origin).failures > 0
    }

    /// A last round begins: each origin that was out of reach is tried once more.
    pub(super) fn forgive(&mut self) {
        for known in self.all.iter_mut().filter(|known| known.lost.is_some()) {
            (known.failures, known.lost) = (FAILURES_MAX - 1, None);
        }
    }

    /// Something has come from there.
    pub(super) fn answered(&mut self, origin: OriginId) {
        let known = &mut self.all[origin.0 as usize];
        (known.failures, known.lost) = (0, None);
    }

    /// A lane could not be opened. The wait before the next one, and the number of that retry;
    /// `None` if the origin is out of reach from now on.
    pub(super) fn failed(&mut self, origin: OriginId, error: Error) -> Option<(Duration, u32)> {
        let known = &mut self.all[origin.0 as usize];
        known.failures += 1;
        let stays = matches!(error.kind(), ErrorKind::Certificate | ErrorKind::ProxyRefused);
        let is_final = stays || known.failures >= FAILURES_MAX;
        if is_final {
            known.lost = Some(error);
            return None;
        }
        Some((WAIT * (1 << (known.failures - 1)), known.failures))
    }
}
