//! What the plan decided and why, for people and the trace. Owns the bounded log; must not know
//! how any decision is made.

use crate::base::limits::DECISIONS_MAX;
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// What was decided about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Choice {
    /// How much requests ask for.
    RequestSize,
    /// How many connections there should be.
    Connections,
    /// Requests are no longer sent ahead.
    AheadOff,
    /// A connection is given up for a new one: why, and about how much was on its way.
    Replace,
    /// Another connection is to give up the end of its span: who asks whom, and the time that is
    /// expected to be saved.
    Cut,
    /// Bytes are fetched a second time: the time that is expected to be saved, and their number.
    Hedge,
    /// A span ahead goes to somebody else.
    TakeBack,
    /// The server tolerates no more connections.
    Cap,
    /// The origin throttles.
    Collapse,
    /// An address is left out or tried again.
    Address,
    /// A source is used, left out or tried again.
    Source,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Choice::RequestSize => "request size",
            Choice::Connections => "connections",
            Choice::AheadOff => "request ahead off",
            Choice::Replace => "replace",
            Choice::Cut => "cut",
            Choice::Hedge => "hedge",
            Choice::TakeBack => "take back",
            Choice::Cap => "cap",
            Choice::Collapse => "collapse",
            Choice::Address => "address",
            Choice::Source => "source",
        })
    }
}

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Time since the transfer's start.
    pub at: Duration,
    /// What about.
    pub what: Choice,
    /// One line: target and reason.
    pub text: String,
}

/// Decisions nobody has drained yet; the oldest give way.
#[derive(Debug, Default)]
pub(super) struct Log {
    entries: VecDeque<Decision>,
}

impl Log {
    pub(super) fn note(&mut self, at: Duration, what: Choice, text: impl Into<String>) {
        if self.entries.len() == DECISIONS_MAX {
            self.entries.pop_front();
        }
        self.entries.push_back(Decision { at, what, text: text.into() });
    }

    pub(super) fn drain(&mut self) -> Vec<Decision> {
        self.entries.drain(..).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_keeps_the_newest_and_is_drained_once() {
        let mut log = Log::default();
        for n in 0..DECISIONS_MAX + 3 {
            log.note(Duration::ZERO, Choice::Connections, n.to_string());
        }
        let entries = log.drain();
        assert_eq!(entries.len(), DECISIONS_MAX);
        assert_eq!(entries[0].text, "3");
        assert!(log.drain().is_empty());
    }
}
