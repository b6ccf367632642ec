//! What is said of the sources of a file before anything is known of them. Hints order them and
//! bound how each begins; what each brings decides from then on. Must not know how sources are
//! asked.

use crate::base::Url;

/// Hints of a file's sources; without any, their order and what is measured are all there is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceHints {
    /// Connections that servers are said to take, by the URL of the file there: no more are opened
    /// there until it is known what one of them brings.
    pub connections: Vec<(Url, u32)>,
    /// Country codes, in lower case: of servers that are named with one priority, those that are
    /// said to be there come first.
    pub locations: Vec<String>,
}

impl SourceHints {
    /// Connections that the source is said to take.
    pub(super) fn connections_of(&self, url: &Url) -> Option<u32> {
        self.connections.iter().find(|(hinted, _)| hinted == url).map(|(_, count)| *count)
    }

    /// Where a server with this location stands among those of one priority: the first is 0.
    pub(super) fn rank(&self, location: Option<&str>) -> usize {
        let is_there = |wanted: &String| location.is_some_and(|it| it.eq_ignore_ascii_case(wanted));
        self.locations.iter().position(is_there).unwrap_or(self.locations.len())
    }
}
