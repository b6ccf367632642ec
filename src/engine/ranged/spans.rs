//! A span on its way: from the plan to a connection, which receives it, until it is delivered,
//! given back or lost; and the one that is requested ahead behind it.
//!
//! Whatever changes what the plan means to be under way happens under its lock. Must not know where
//! a connection leads, nor what follows from a failure.

use super::Ranged;
use crate::base::Span;
use crate::engine::progress::Level;
use crate::engine::receive::claim::Claim;
use crate::plan::{AheadFault, ConnectionId, Fetch, Next};
use std::sync::Arc;

impl Ranged {
    /// What the connection does next; steals are carried out on the way. All under one lock: a
    /// victim that ended in between could be cut in a span the plan does not mean.
    pub(super) fn next(&self, id: ConnectionId) -> Next {
        let mut steals = Vec::new();
        let mut plan = self.plan();
        self.report_positions(&mut plan);
        let mut next = plan.next(self.context.now(), id);
        while let Next::Steal { victim, at } = next {
            let outcome = self.claim_of(victim).map_or(Err(at), |claim| claim.cut(at));
            steals.push((victim, outcome));
            next = plan.on_steal(self.context.now(), id, victim, outcome);
        }
        if let Next::Hedge { victim, .. } = next
            && let Some(claim) = self.claim_of(victim)
        {
            claim.share();
            // What the victim flushed since the positions were read; from here on it asks first.
            self.tell_untold(&mut plan, victim, &claim);
        }
        drop(plan);
        for (victim, outcome) in steals {
            let text = match outcome {
                Ok(end) => format!("takes over the rest of connection {} from {end}", victim.0),
                Err(claimed) => format!("connection {} is already at {claimed}", victim.0),
            };
            self.context.tell(Level::Trace, Some(id.0), text);
        }
        next
    }

    /// The connection starts on a span.
    pub(super) fn open(&self, id: ConnectionId, span: Span, is_hedge: bool) -> Arc<Claim> {
        let claim = Arc::new(Claim::new(span));
        if is_hedge {
            claim.share();
        }
        self.roster().open(id, claim.clone());
        claim
    }

    /// One more span for the connection, whose present one is about to end.
    pub(super) fn ahead(&self, id: ConnectionId) -> Option<Fetch> {
        self.plan().ahead(self.context.now(), id)
    }

    /// The request for the span that starts at `start` is on the wire.
    pub(super) fn requested(&self, id: ConnectionId, start: u64) {
        self.plan().on_requested(self.context.now(), id, start);
    }

    /// Its answer has begun.
    pub(super) fn first_byte(&self, id: ConnectionId, start: u64) {
        self.plan().on_first_byte(self.context.now(), id, start);
    }

    /// An answer was completed and the connection stays open.
    pub(super) fn kept_alive(&self, id: ConnectionId) {
        self.plan().on_keep_alive(self.context.now(), id);
    }

    /// Tells the plan what of the claim has gone to the disk.
    pub(super) fn deliver(&self, id: ConnectionId, claim: &Claim) {
        self.tell_untold(&mut self.plan(), id, claim);
    }

    /// The next block of a shared claim is about to leave: the parts of it that no other connection
    /// has delivered, which count as delivered from here on.
    pub(super) fn deliver_new(&self, id: ConnectionId, claim: &Claim, block: Span) -> Vec<Span> {
        let mut plan = self.plan();
        // The blocks before it, which left before the claim was shared.
        self.tell_untold(&mut plan, id, claim);
        let new = plan.undelivered(block);
        claim.flushed(block.end());
        self.tell_untold(&mut plan, id, claim);
        new
    }

    /// The bytes of the answer `body` to what the claim stands for have to wait for its digest.
    /// From here on nobody cuts or doubles any span, so that each answer comes from its first to
    /// its last byte by one connection; `false` if that is too late for this one.
    pub(super) fn guard(&self, claim: &Claim, body: Span) -> bool {
        self.plan().on_guarded(self.context.now());
        !claim.is_shared() && body.end() <= claim.rest().end()
    }

    /// The connection's span has been delivered, all of it. The span ahead, if it has one.
    pub(super) fn finished(&self, id: ConnectionId) -> Option<Span> {
        let mut plan = self.plan();
        self.close(id);
        let ahead = plan.on_finished(self.context.now(), id);
        let is_complete = plan.is_complete();
        drop(plan);
        if is_complete {
            self.bell.notify_waiters();
        }
        ahead
    }

    /// A request sent ahead came to nothing.
    pub(super) fn ahead_refused(&self, id: ConnectionId, why: AheadFault) {
        let mut plan = self.plan();
        self.close(id);
        plan.on_ahead_refused(self.context.now(), id, why);
        drop(plan);
        self.bell.notify_waiters();
    }

    /// The connection ends behind the present answer, all of which is here, and so a request sent
    /// ahead came to nothing.
    pub(super) fn ahead_lost(&self, id: ConnectionId) {
        self.plan().on_ahead_lost(self.context.now(), id, AheadFault::Closed);
        self.bell.notify_waiters();
    }

    /// The connection gives its span back, without a failure of anybody: its answer cannot be
    /// proved as it is, or it gets no permit for a connection.
    pub(super) fn let_go(&self, id: ConnectionId) {
        let mut plan = self.plan();
        self.close(id);
        plan.on_let_go(self.context.now(), id);
        drop(plan);
        self.bell.notify_waiters();
    }

    /// The worker has handed over what it had of its span; nothing more comes of it.
    pub(super) fn left(&self, id: ConnectionId) {
        let _plan = self.plan();
        self.close(id);
    }

    fn claim_of(&self, id: ConnectionId) -> Option<Arc<Claim>> {
        self.roster().claim(id)
    }

    /// The connection receives nothing any more. To be called with the plan locked.
    pub(super) fn close(&self, id: ConnectionId) {
        self.roster().close(id);
    }
}
