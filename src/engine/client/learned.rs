//! What transfers have learnt of origins, for those that ask the same ones later.

use crate::base::limits::ORIGINS_MAX;
use crate::base::url::Origin;
use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a client knows of the origins it has asked.
#[derive(Default)]
pub(in crate::engine) struct Learned {
    /// They do not take a request before the answer before it has ended.
    without_ahead: Mutex<HashSet<Origin>>,
}

impl Learned {
    /// Whether requests to `origin` may go out ahead, as far as is known.
    pub(in crate::engine) fn takes_ahead(&self, origin: &Origin) -> bool {
        !self.lock().contains(origin)
    }

    /// A request ahead came to nothing there.
    pub(in crate::engine) fn refuses_ahead(&self, origin: &Origin) {
        let mut origins = self.lock();
        if origins.len() < ORIGINS_MAX {
            origins.insert(origin.clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Origin>> {
        self.without_ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
