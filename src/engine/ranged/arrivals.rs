//! What has arrived, told to the plan and credited to the sources that brought it.
//!
//! The caller holds the plan's lock, so that nothing is told behind the back of a report of the end
//! of a span.

use super::Ranged;
use super::roster::Roster;
use crate::base::Span;
use crate::engine::receive::claim::Claim;
use crate::io::tcp_info::TcpInfo;
use crate::plan::{Arrival, ConnectionId, Transfer};
use std::time::Duration;

impl Ranged {
    /// Tells the plan how far each connection has come.
    pub(super) fn report_positions(&self, plan: &mut Transfer) {
        let roster = self.roster();
        for (id, claim) in roster.claims() {
            if let Some((span, new_bytes)) = self.tell(plan, id, claim) {
                self.credit(&roster, id, span, new_bytes);
            }
            plan.on_progress(self.context.now(), id, claim.received_to());
        }
    }

    /// Tells the plan what the kernel knows of the connections: a system call for each.
    pub(super) fn report_arrivals(&self, plan: &mut Transfer) {
        let (now, roster) = (self.context.now(), self.roster());
        for (id, claim) in roster.claims() {
            if !claim.is_receiving() || roster.is_throttled(id) {
                plan.on_held_back(now, id);
            }
            if let Some(info) = roster.tcp_info(id) {
                let TcpInfo { received_bytes, unread_bytes, memory_bytes, out_of_order, .. } = info;
                if roster.has_stirred(id, received_bytes) {
                    self.context.stirred();
                }
                let round_trip = Duration::from_micros(info.receiver_rtt_us.into());
                let arrival = Arrival {
                    received_bytes,
                    unread_bytes,
                    memory_bytes,
                    out_of_order,
                    round_trip,
                };
                plan.on_arrival(now, id, arrival);
            }
        }
    }

    /// Tells the plan what it does not know yet of this claim.
    pub(super) fn tell_untold(&self, plan: &mut Transfer, id: ConnectionId, claim: &Claim) {
        if let Some((span, new_bytes)) = self.tell(plan, id, claim) {
            self.credit(&self.roster(), id, span, new_bytes);
        }
    }

    /// What was untold of the claim, and how much of it is new to the plan.
    fn tell(&self, plan: &mut Transfer, id: ConnectionId, claim: &Claim) -> Option<(Span, u64)> {
        let span = claim.take_untold()?;
        let new_bytes = plan.on_delivered(self.context.now(), id, span);
        claim.count_new(new_bytes);
        Some((span, new_bytes))
    }

    /// Notes on whose word these bytes rest, if there is more than one.
    fn credit(&self, roster: &Roster, id: ConnectionId, span: Span, new_bytes: u64) {
        if self.is_single() {
            return;
        }
        let present = roster.source(id).unwrap_or(self.first);
        self.source(present).tally.delivered(span, new_bytes);
        let former = roster.former_sources(id).iter();
        former.for_each(|former| self.source(*former).tally.delivered(span, 0));
    }
}
