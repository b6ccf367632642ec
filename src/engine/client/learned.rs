//! What transfers have learnt of origins, for those that ask the same ones later.

use crate::base::limits::ORIGINS_MAX;
use crate::base::url::Origin;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Time for which a count of connections is the start of the next file: paths change.
const COUNT_TIME: Duration = Duration::from_secs(60);

/// What a client knows of the origins it has asked.
#[derive(Default)]
pub(in crate::engine) struct Learned {
    origins: Mutex<HashMap<Origin, Lesson>>,
}

/// What is known of one origin.
#[derive(Debug, Clone, Copy, Default)]
struct Lesson {
    /// It does not take a request before the answer before has ended.
    refuses_ahead: bool,
    /// The connections that a transfer settled on, and when it ended.
    connections: Option<(u32, Instant)>,
}

impl Learned {
    /// Whether requests to `origin` may go out ahead, as far as is known.
    pub(in crate::engine) fn takes_ahead(&self, origin: &Origin) -> bool {
        !self.lock().get(origin).is_some_and(|lesson| lesson.refuses_ahead)
    }

    /// A request ahead came to nothing there.
    pub(in crate::engine) fn refuses_ahead(&self, origin: &Origin) {
        self.learn(origin, |lesson| lesson.refuses_ahead = true);
    }

    /// The connections that were right there a moment ago.
    pub(in crate::engine) fn connections(&self, origin: &Origin) -> Option<u32> {
        let (connections, at) = self.lock().get(origin)?.connections?;
        (at.elapsed() < COUNT_TIME).then_some(connections)
    }

    /// A transfer has settled on this number of connections there.
    pub(in crate::engine) fn settles_on(&self, origin: &Origin, connections: u32) {
        self.learn(origin, |lesson| lesson.connections = Some((connections, Instant::now())));
    }

    fn learn(&self, origin: &Origin, what: impl FnOnce(&mut Lesson)) {
        let mut origins = self.lock();
        if origins.len() < ORIGINS_MAX || origins.contains_key(origin) {
            what(origins.entry(origin.clone()).or_default());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Origin, Lesson>> {
        self.origins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
