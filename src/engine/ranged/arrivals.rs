//! What has arrived, told to the plan and credited to the sources that brought it.
//!
//! The plan is locked by the caller, so that nothing is told behind the back of what it decides.

use super::{Ranged, WorkerState};
use crate::base::Span;
use crate::engine::receive::claim::Claim;
use crate::io::socket::{SocketHandle, TcpInfo};
use crate::plan::{Arrival, ConnectionId, Transfer};

impl Ranged {
    /// Tells the plan how far each connection has come.
    pub(super) fn report_positions(&self, plan: &mut Transfer) {
        for (&id, state) in &*self.workers() {
            if let Some(claim) = &state.claim {
                if let Some((span, new_bytes)) = self.tell(plan, id, claim)
                    && !self.is_single()
                {
                    self.credit(state, span, new_bytes);
                }
                plan.on_progress(self.context.now(), id, claim.received_to());
            }
        }
    }

    /// Tells the plan what the kernel knows of the connections: a system call for each.
    pub(super) fn report_arrivals(&self, plan: &mut Transfer) {
        let now = self.context.now();
        for (&id, state) in &*self.workers() {
            let Some(claim) = &state.claim else { continue };
            if !claim.is_receiving() {
                plan.on_held_back(now, id);
            }
            if let Some(tcp) = state.socket.as_ref().and_then(SocketHandle::tcp_info) {
                let TcpInfo { received_bytes, out_of_order, .. } = tcp;
                plan.on_arrival(now, id, Arrival { received_bytes, out_of_order });
            }
        }
    }

    /// Under the plan's lock, so that nothing is told behind the back of a report of its end.
    pub(super) fn tell_untold(&self, plan: &mut Transfer, id: ConnectionId, claim: &Claim) {
        if let Some((span, new_bytes)) = self.tell(plan, id, claim)
            && !self.is_single()
            && let Some(state) = self.workers().get(&id)
        {
            self.credit(state, span, new_bytes);
        }
    }

    /// What was untold of the claim, and how much of it is new to the plan.
    fn tell(&self, plan: &mut Transfer, id: ConnectionId, claim: &Claim) -> Option<(Span, u64)> {
        let span = claim.take_untold()?;
        let new_bytes = plan.on_delivered(self.context.now(), id, span);
        claim.count_new(new_bytes);
        Some((span, new_bytes))
    }

    /// Notes on whose word these bytes rest.
    fn credit(&self, state: &WorkerState, span: Span, new_bytes: u64) {
        self.source(state.source.unwrap_or(self.first)).tally.delivered(span, new_bytes);
        state.former.iter().for_each(|former| self.source(*former).tally.delivered(span, 0));
    }
}
