//! What one connection has in hand: its span, how far it has got, who wants a part of it. Must not
//! know the rest of the file.

use crate::base::span::Span;
use crate::plan::ConnectionId;

/// A span in the hands of a connection.
#[derive(Debug)]
pub(in crate::plan) struct Assignment {
    pub(super) span: Span,
    /// First byte the connection has not taken into a buffer yet, as far as is known.
    pub(super) claimed_to: u64,
    /// Consecutive failures of this stretch without a delivered byte.
    pub(super) failures: u32,
    /// Indicates whether this connection has delivered a byte of it.
    pub(super) has_delivered: bool,
    /// Who has been told to ask for the upper part.
    pub(super) proposal: Option<Proposal>,
    /// Indicates whether its end was taken away: the connection's answer runs on behind it.
    pub(super) is_cut: bool,
    /// Indicates whether a shadow of it exists or existed: its bytes may arrive twice.
    pub(super) is_hedged: bool,
    /// Indicates whether its connection has been told that others delivered all of it.
    pub(super) is_aborted: bool,
}

/// Bytes of another connection's assignment that this one fetches too.
#[derive(Debug)]
pub(super) struct Shadow {
    /// Whose bytes they are; `None` once the victim has finished.
    pub(super) victim: Option<ConnectionId>,
    pub(super) span: Span,
    /// Indicates whether its connection has been told that others delivered all of it.
    pub(super) is_aborted: bool,
}

/// A steal under negotiation.
#[derive(Debug, Clone, Copy)]
pub(in crate::plan) struct Proposal {
    /// Who asks for the upper part.
    pub(in crate::plan) thief: ConnectionId,
    /// How many proposals the thief has made in a row, this one included.
    pub(in crate::plan) tries: u32,
}

impl Assignment {
    pub(in crate::plan) fn failures(&self) -> u32 {
        self.failures
    }

    pub(in crate::plan) fn has_delivered(&self) -> bool {
        self.has_delivered
    }

    pub(in crate::plan) fn proposal(&self) -> Option<Proposal> {
        self.proposal
    }

    pub(in crate::plan) fn span(&self) -> Span {
        self.span
    }

    /// Whether its bytes belong to this connection alone, to its end, and nobody negotiates for
    /// them.
    pub(in crate::plan) fn is_undisputed(&self) -> bool {
        self.proposal.is_none() && !self.is_hedged && !self.is_cut
    }

    /// Whether somebody else may take a part of it.
    pub(in crate::plan) fn is_divisible(&self) -> bool {
        self.proposal.is_none() && !self.is_hedged
    }

    /// What the connection could still give away.
    pub(in crate::plan) fn unclaimed(&self) -> Span {
        Span::new(self.claimed_to, self.span.end())
    }

    /// A position outside of the span is a sample of an earlier one, and a lower one is late.
    pub(super) fn claim(&mut self, to: u64) {
        if to <= self.span.end() {
            self.claimed_to = self.claimed_to.max(to);
        }
    }
}
