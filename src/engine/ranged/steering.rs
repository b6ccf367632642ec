//! How the supervisors steer a ranged download: the workers they start, the tick, what happens to
//! connections that did not ask, and the end.

use super::Ranged;
use crate::base::limits::BARRIER_BYTES;
use crate::engine::progress::Level;
use crate::engine::trace::{Line, seconds};
use crate::plan::{Action, ConnectionId, Limiter, Pressure, SourceId, Totals};
use std::sync::atomic::Ordering;

impl Ranged {
    /// How many workers the plan wants, the first one included.
    pub(super) fn connections_wanted(&self) -> u32 {
        self.plan().connections_wanted(self.context.now()).max(1)
    }

    /// Workers that are to be started now, no more than have connections to hope for, be they new
    /// or one of `idle`; they count as running from here on.
    pub(super) fn to_start(&self, idle: u32) -> Vec<u32> {
        let wanted = self.plan().connections_wanted(self.context.now());
        let budget = &self.context.client.budget;
        let open = self.sources.iter().filter_map(|source| source.opened());
        let permits = open.fold(idle, |permits, open| {
            permits.saturating_add(budget.available(open.endpoint.counted()))
        });
        self.roster().enlist(wanted, permits)
    }

    /// Sources that are to be looked at now.
    pub(super) fn to_scout(&self) -> Vec<SourceId> {
        if self.is_single() { Vec::new() } else { self.plan().sources_to_open(self.context.now()) }
    }

    /// The worker has ended; its id may be started again.
    pub(super) fn retired(&self, id: ConnectionId) {
        self.roster().retire(id);
    }

    /// Whether the transfer has failed or was stopped.
    pub(super) fn is_halted(&self) -> bool {
        self.is_halted.load(Ordering::Relaxed)
    }

    /// Every byte has been delivered.
    pub(super) fn is_complete(&self) -> bool {
        self.plan().is_complete()
    }

    /// Whether a worker holds bytes that have arrived and have not gone to the disk.
    pub(super) fn holds_bytes(&self) -> bool {
        self.roster().claims().any(|(_, claim)| claim.holds_bytes())
    }

    /// Measures, decides, and acts on connections that did not ask.
    pub(super) fn tick(&self, pressure: Pressure) {
        let mut plan = self.plan();
        plan.set_connections_max(self.context.now(), self.context.connections_limit());
        self.report_positions(&mut plan);
        self.report_arrivals(&mut plan);
        // Carried out under the lock, or a worker could be in its next span by then.
        for action in plan.on_tick(self.context.now(), pressure) {
            self.act(action);
        }
        self.look_for_barrier(plan.remaining_bytes());
        drop(plan);
        self.judge_pieces(false);
        self.publish_decisions();
        self.bell.notify_waiters();
    }

    /// Once the transfer looks as if it lasted until the journal's first barrier, the blocks get
    /// the CRCs that the barrier needs; before that barrier they are not needed.
    fn look_for_barrier(&self, remaining_bytes: u64) {
        let book = &self.to.book;
        if !self.to.is_journaled || book.wants_sums() {
            return;
        }
        let elapsed = self.context.now();
        let rate = self.context.new_bytes() as f64 / elapsed.as_secs_f64();
        let left_s = remaining_bytes as f64 / rate.max(1.0);
        let interval = self.context.options.journal_interval;
        let is_long = elapsed.as_secs_f64() + left_s > interval.as_secs_f64();
        if is_long || remaining_bytes > BARRIER_BYTES {
            book.want_sums(true);
        }
    }

    /// Every byte has been delivered: ends what is still on its way, as a connection whose bytes
    /// another one has brought may be silent for long.
    pub(super) fn end_laggards(&self) {
        self.roster().abort_all();
    }

    /// Ends every connection: what has arrived on it comes out, and then its end.
    pub(super) fn halt(&self) {
        self.is_halted.store(true, Ordering::Relaxed);
        self.roster().shut_all();
        self.bell.notify_waiters();
    }

    /// Leaves what the plan has learnt of the origin to other transfers.
    pub(in crate::engine) fn teach(&self) {
        let learned = &self.context.client.learned;
        let plan = self.plan();
        for (id, source) in (0..).map(SourceId).zip(&self.sources) {
            let Some(open) = source.opened() else { continue };
            if self.context.options.request_ahead && !plan.takes_ahead(id) {
                learned.refuses_ahead(open.endpoint.origin());
            }
        }
        // What several sources want together says nothing of any of them.
        if let Some(connections) = plan.settled_connections().filter(|_| self.is_single()) {
            learned.settles_on(self.sources[0].endpoint().origin(), connections);
        }
    }

    /// What limited the transfer.
    pub(in crate::engine) fn limiter(&self, totals: Totals) -> Limiter {
        self.publish_decisions();
        self.plan().limiter(totals)
    }

    fn act(&self, action: Action) {
        match action {
            Action::Abort(id) => self.roster().abort(id),
            Action::Replace(id) => self.roster().replace(id),
            // Its worker hears of it when the present span is finished.
            Action::TakeBack(_) => {}
        }
    }

    fn publish_decisions(&self) {
        let decisions = self.plan().decisions();
        for decision in decisions {
            let what = decision.what.to_string();
            if let Some(trace) = &self.trace {
                let (at, text) = (seconds(decision.at), decision.text.as_str());
                trace.write(&Line::Decision { at, what: &what, text });
            }
            let at = decision.at.as_secs_f64();
            self.context.tell(Level::Detail, None, format!("{at:.2} s: {what}: {}", decision.text));
        }
    }
}
