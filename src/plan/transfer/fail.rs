//! What becomes of a span whose connection failed, and of the transfer. Owns the order in which a
//! failure is judged; must not know how long any kind of error waits.

use super::Transfer;
use crate::base::ErrorKind;
use crate::base::limits::{RANGES_IGNORED_MAX, RETRY_AFTER_MAX};
use crate::plan::decision::Choice;
use crate::plan::ledger::Assignment;
use crate::plan::retry::{self, Class, Terms};
use crate::plan::{AheadFault, ConnectionId, Verdict};
use std::time::Duration;

impl Transfer {
    /// What the connection received ended with an error, and so does the connection. The
    /// undelivered rest is handed out again after a wait that depends on `kind`, on what the server
    /// asked for (`retry_after`), and on how often this stretch has failed in a row. What it had
    /// asked for ahead is free at once.
    ///
    /// [`ErrorKind::Status`] 403 while the server serves another connection, or has since it last
    /// said so, and [`ErrorKind::ResourceLimit`] while connecting beside others are push-back:
    /// fewer connections, and no failure of the bytes.
    ///
    /// The transfer also gives up when [`ErrorKind::RangesIgnored`] comes [`RANGES_IGNORED_MAX`]
    /// times, from whomever, without a byte delivered in between.
    pub fn on_failed(
        &mut self,
        now: Duration,
        connection: ConnectionId,
        kind: ErrorKind,
        retry_after: Option<Duration>,
        while_connecting: bool,
    ) -> Verdict {
        self.advance(now);
        let class = self.class(connection, kind, while_connecting);
        // Refused only because of the others: that ends when they do, and so needs no budget.
        let is_crowded = class != retry::class(kind);
        let terms = self.terms(connection, class, while_connecting && !is_crowded);
        let asked = retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
        let assignment = self.ledger.assignment(connection);
        let had_delivered = assignment.is_some_and(Assignment::has_delivered);
        let earlier = assignment.map_or(0, Assignment::failures);
        let owns = assignment.is_some();
        let was_pushed = self.look_for_push_back(connection, kind, is_crowded, while_connecting);
        self.brake(kind, asked);
        self.look_for_ignored_ranges(kind);
        let delivered_bytes = self.ledger.delivered_bytes();
        let worker = self.workers.entry(connection);
        let was_replaced = worker.take_replaced(self.now);
        let is_blameless = was_pushed || was_replaced;
        let is_forgiven =
            is_crowded || (is_blameless && worker.forgive(delivered_bytes, self.settings.retries));
        worker.on_gone();
        if !had_delivered && !was_replaced {
            worker.set_back(self.now, class, terms, asked);
        }
        if !owns || (was_replaced && is_forgiven) {
            // A shadow or our own doing: the bytes themselves have not failed.
            self.ledger.release(connection, earlier, self.now);
            return self.verdict(self.now);
        }
        // What the server refuses because it serves the others is no failure of these bytes.
        let failures = if is_forgiven { earlier } else { earlier.saturating_add(1) };
        let wait = if is_forgiven {
            Some(Duration::ZERO)
        } else if failures > self.settings.retries {
            None
        } else {
            retry::wait_after(class, failures, terms)
        };
        self.failed |= wait.is_none();
        let at = self.now.saturating_add(wait.unwrap_or_default().max(asked));
        self.ledger.release(connection, failures, at);
        self.verdict(at)
    }

    /// A request sent ahead came to nothing: no more are sent to this origin. The span is free
    /// again, without a penalty. If it was all the connection held, its worker asks for the next
    /// one; the connection is taken for closed.
    pub fn on_ahead_refused(&mut self, now: Duration, connection: ConnectionId, why: AheadFault) {
        let was_all = self.ledger.ahead(connection).is_none();
        self.on_ahead_lost(now, connection, why);
        if was_all {
            self.on_let_go(now, connection);
        }
    }

    /// The same, while the connection still has all of the present answer: its own span stays,
    /// also where the one ahead has been taken back meanwhile.
    pub fn on_ahead_lost(&mut self, now: Duration, connection: ConnectionId, why: AheadFault) {
        self.advance(now);
        if self.is_ahead_on {
            self.is_ahead_on = false;
            let why = match why {
                AheadFault::Closed => "the server closed the connection".into(),
                AheadFault::WrongAnswer(kind) => format!("the server answered wrongly: {kind:?}"),
            };
            self.log.note(self.now, Choice::AheadOff, format!("{connection}: {why}"));
        }
        self.ledger.release_ahead(connection);
        self.workers.entry(connection).on_gone();
        self.addresses.leave(connection);
    }

    /// The connection lets go of what it receives and has asked for, and is gone. Nothing has
    /// failed: what is not delivered is free at once.
    pub fn on_let_go(&mut self, now: Duration, connection: ConnectionId) {
        self.advance(now);
        if self.ledger.receiving(connection).is_some() {
            let failures = self.ledger.assignment(connection).map_or(0, Assignment::failures);
            self.ledger.release(connection, failures, self.now);
        }
        self.workers.entry(connection).on_gone();
        self.addresses.leave(connection);
    }

    fn verdict(&self, at: Duration) -> Verdict {
        if self.failed { Verdict::GiveUp } else { Verdict::Retry { at } }
    }

    /// Blames an address, the one that was tried if that was `while_connecting`, and says what a
    /// wait is made of now.
    fn terms(&mut self, connection: ConnectionId, class: Class, while_connecting: bool) -> Terms {
        let sends_elsewhere = class == Class::Elsewhere;
        let bad = self.addresses.on_failed(self.now, connection, while_connecting, sends_elsewhere);
        self.note_bad_address(bad);
        Terms {
            retry_wait: self.settings.retry_wait,
            has_elsewhere: self.addresses.has_elsewhere(self.now, connection),
            share: self.jitter.share(),
        }
    }

    /// One node may be confused; a server that has stopped to serve ranges is not asked for more.
    fn look_for_ignored_ranges(&mut self, kind: ErrorKind) {
        if kind == ErrorKind::RangesIgnored {
            self.ranges_ignored += 1;
            self.failed |= self.ranges_ignored >= RANGES_IGNORED_MAX;
        }
    }

    /// How the failure is retried. Two kinds that are final by themselves pass where the other
    /// connections are the reason.
    fn class(
        &mut self,
        connection: ConnectionId,
        kind: ErrorKind,
        while_connecting: bool,
    ) -> Class {
        let is_crowded = match kind {
            ErrorKind::Status(403) => self.workers.look_for_others_served(connection),
            // Whoever holds a span holds a descriptor for its connection, or is about to.
            ErrorKind::ResourceLimit => while_connecting && self.busy_beside(connection) > 0,
            _ => false,
        };
        if is_crowded { Class::Later } else { retry::class(kind) }
    }

    /// Workers other than `connection` that hold a span.
    fn busy_beside(&self, connection: ConnectionId) -> u32 {
        let others = self.ledger.assignments().filter(|(id, _)| *id != connection);
        u32::try_from(others.count()).expect("worker ids are 32 bits wide")
    }

    /// Whether the server, or this machine, refused this connection because of the others.
    fn look_for_push_back(
        &mut self,
        connection: ConnectionId,
        kind: ErrorKind,
        is_crowded: bool,
        while_connecting: bool,
    ) -> bool {
        if is_crowded && kind == ErrorKind::ResourceLimit {
            let change = self.count.on_shortage(self.busy_beside(connection));
            self.note(change);
            return true;
        }
        let worker = self.workers.entry(connection);
        let is_new = !worker.is_kept_alive && !worker.meter.is_flowing();
        let is_refused = matches!(kind, ErrorKind::Status(429 | 503)) || is_crowded;
        let is_shut_out = (kind == ErrorKind::Connect && while_connecting)
            || (kind == ErrorKind::ConnectionLost && is_new && !while_connecting);
        if !is_refused && !is_shut_out {
            return false;
        }
        let is_weak = is_shut_out || !is_new;
        let working = self.workers.connected_beside(connection);
        let change = self.count.on_push_back(self.now, working, is_weak);
        self.note(change);
        self.count.is_auto() && working > 0
    }

    /// The server asked to be left alone: no new connection, and no request on one that it has
    /// not served yet. If it counts requests (RFC 6585 4), none at all; otherwise those that it
    /// serves go on.
    fn brake(&mut self, kind: ErrorKind, wait: Duration) {
        if !wait.is_zero() {
            let was_total = self.is_brake_total && self.brake_until > self.now;
            self.is_brake_total = was_total || kind == ErrorKind::Status(429);
            self.brake_until = self.brake_until.max(self.now + wait);
        }
    }
}
