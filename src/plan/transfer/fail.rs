//! What becomes of a span whose connection failed, and of the transfer. Owns the order in which a
//! failure is judged; must not know how long any kind of error waits.

use super::Transfer;
use crate::base::ErrorKind;
use crate::base::limits::{RANGES_IGNORED_MAX, RETRY_AFTER_MAX};
use crate::base::size::format_wait;
use crate::plan::decision::Choice;
use crate::plan::ledger::Assignment;
use crate::plan::retry::{self, Class, Terms};
use crate::plan::{AheadFault, ConnectionId, Verdict};
use std::time::Duration;

/// A connection that nothing has come on for this time does not speak for its source.
const SILENT: Duration = Duration::from_secs(1);

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
        let source = self.sources.of(connection);
        if self.sources.has_other(source) && retry::is_of_source(kind) {
            return self.fail_over(connection, kind, retry_after, while_connecting);
        }
        // Refused only because of the others: that ends when they do, and so needs no budget.
        let is_crowded = self.is_crowded(connection, kind, while_connecting);
        // The last source that was open has nothing any more, and another one may come back.
        let is_hopeful = retry::is_of_source(kind) && self.sources.has_hope(source);
        let class = match retry::class(kind) {
            Class::Never if is_crowded || is_hopeful => Class::Later,
            class => class,
        };
        if retry::is_of_source(kind) {
            self.sources.on_last_failed(source, class);
        }
        let terms = self.terms(connection, class, while_connecting && !is_crowded);
        let asked = retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
        let assignment = self.ledger.assignment(connection);
        let had_delivered = assignment.is_some_and(Assignment::has_delivered);
        let earlier = assignment.map_or(0, Assignment::failures);
        let owns = assignment.is_some();
        let was_pushed = self.look_for_push_back(connection, kind, is_crowded, while_connecting);
        self.sources.brake(self.now, self.sources.of(connection), kind, asked);
        self.look_for_ignored_ranges(kind);
        let delivered_bytes = self.ledger.delivered_bytes();
        self.sources.leave(connection);
        let worker = self.workers.entry(connection);
        let was_replaced = worker.take_replaced(self.now);
        let is_blameless = was_pushed || was_replaced;
        // A source that is being opened may have these bytes in a moment.
        let is_awaited = retry::is_of_source(kind) && self.sources.is_opening_other(source);
        let is_forgiven = is_crowded
            || is_awaited
            || (is_blameless && worker.forgive(delivered_bytes, self.settings.retries));
        worker.on_gone();
        if !had_delivered && !was_replaced {
            worker.set_back(self.now, class, terms, asked);
        }
        if !owns || (was_replaced && is_forgiven) {
            // A shadow or our own doing: the bytes themselves have not failed.
            self.ledger.release(connection, earlier, self.now);
            return self.verdict(self.now, earlier);
        }
        // What the server refuses because it serves the others is no failure of these bytes.
        let failures = if is_forgiven { earlier } else { earlier.saturating_add(1) };
        let wait = if is_awaited {
            retry::wait_after(Class::Later, failures.max(1), terms)
        } else if is_forgiven {
            Some(Duration::ZERO)
        } else if failures > self.settings.retries {
            None
        } else {
            retry::wait_after(class, failures, terms)
        };
        self.failed |= wait.is_none();
        let at = self.now.saturating_add(wait.unwrap_or_default().max(asked));
        self.ledger.release(connection, failures, at);
        self.verdict(at, failures)
    }

    /// The same while another source is open: these bytes go there at once, and nothing is counted
    /// against them. The source rests, unless that was an accident of one connection.
    fn fail_over(
        &mut self,
        connection: ConnectionId,
        kind: ErrorKind,
        retry_after: Option<Duration>,
        while_connecting: bool,
    ) -> Verdict {
        let source = self.sources.of(connection);
        let was_replaced = self.workers.entry(connection).take_replaced(self.now);
        let is_crowded = !was_replaced && self.is_crowded(connection, kind, while_connecting);
        let class = match was_replaced {
            true => self.class_of_replaced(connection),
            false => retry::class(kind),
        };
        self.terms(connection, class, while_connecting);
        let asked = retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
        let is_sibling = |other| self.sources.of(other) == source;
        let working = self.workers.connected_beside(connection, is_sibling);
        let is_pushed = matches!(kind, ErrorKind::Status(429 | 503)) || is_crowded;
        if is_pushed && working > 0 {
            let cap = self.sources.on_refusal(self.now, source, working, false);
            self.sources.brake(self.now, source, kind, asked);
            let text = |cap| format!("{cap}: {source} refuses more");
            self.note(cap.map(|cap| (Choice::Cap, text(cap))));
        } else {
            let rest = self.sources.on_failed(self.now, source, class, asked);
            let why = if was_replaced { "it is silent or slow".into() } else { kind.in_brief() };
            let text = |rest| format!("{source} is left out for {}: {why}", format_wait(rest));
            self.note(rest.map(|rest| (Choice::Source, text(rest))));
        }
        self.sources.leave(connection);
        self.workers.entry(connection).on_gone();
        let failures = self.ledger.assignment(connection).map_or(0, Assignment::failures);
        self.ledger.release(connection, failures, self.now);
        self.verdict(self.now, failures)
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
        let source = self.sources.at_mut(connection);
        if source.is_ahead_on {
            source.is_ahead_on = false;
            let why = match why {
                AheadFault::Closed => "the server closed the connection".into(),
                AheadFault::WrongAnswer(kind) => {
                    format!("the server answered wrongly: {}", kind.in_brief())
                }
            };
            self.log.note(self.now, Choice::AheadOff, format!("{connection}: {why}"));
        }
        self.ledger.release_ahead(connection);
        self.workers.entry(connection).on_gone();
        self.sources.leave(connection);
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
        self.sources.leave(connection);
    }

    /// How often the stretch that failed last has failed in a row.
    pub fn failures_in_a_row(&self) -> u32 {
        self.failures_in_a_row
    }

    fn verdict(&mut self, at: Duration, failures: u32) -> Verdict {
        self.failures_in_a_row = failures;
        if self.failed { Verdict::GiveUp } else { Verdict::Retry { at } }
    }

    /// Blames an address, the one that was tried if that was `while_connecting`, and says what a
    /// wait is made of now.
    fn terms(&mut self, connection: ConnectionId, class: Class, while_connecting: bool) -> Terms {
        let sends_elsewhere = class == Class::Elsewhere;
        let (now, addresses) = (self.now, &mut self.sources.at_mut(connection).addresses);
        let bad = addresses.on_failed(now, connection, while_connecting, sends_elsewhere);
        let has_elsewhere = addresses.has_elsewhere(now, connection);
        self.note_bad_address(bad);
        Terms { retry_wait: self.settings.retry_wait, has_elsewhere, share: self.jitter.share() }
    }

    /// One node may be confused; a server that has stopped to serve ranges is not asked for more.
    fn look_for_ignored_ranges(&mut self, kind: ErrorKind) {
        if kind == ErrorKind::RangesIgnored {
            self.ranges_ignored += 1;
            self.failed |= self.ranges_ignored >= RANGES_IGNORED_MAX;
        }
    }

    /// Whether the other connections are the reason: two kinds that are final by themselves pass
    /// then.
    fn is_crowded(
        &mut self,
        connection: ConnectionId,
        kind: ErrorKind,
        while_connecting: bool,
    ) -> bool {
        match kind {
            ErrorKind::Status(403) => {
                let (source, sources) = (self.sources.of(connection), &self.sources);
                let is_sibling = |other| sources.of(other) == source;
                self.workers.look_for_others_served(connection, is_sibling)
            }
            // Whoever holds a span holds a descriptor for its connection, or is about to.
            ErrorKind::ResourceLimit => while_connecting && self.busy_beside(connection) > 0,
            _ => false,
        }
    }

    /// A connection that was silent or slow is an accident where another one of its source flows;
    /// otherwise the source is what is silent.
    fn class_of_replaced(&self, connection: ConnectionId) -> Class {
        let source = self.sources.of(connection);
        let flows = self.workers.iter().any(|(id, worker)| {
            let silence = worker.meter.silence(self.now);
            let is_sibling = id != connection && self.sources.of(id) == source;
            is_sibling && worker.meter.is_flowing() && silence < SILENT
        });
        if flows { Class::AtOnce } else { Class::Elsewhere }
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
        // Whom we have given up before its first answer the server has not shut out.
        let is_ours = worker.is_being_replaced(self.now);
        let is_new = !is_ours && !worker.is_kept_alive && !worker.meter.is_flowing();
        let is_refused = matches!(kind, ErrorKind::Status(429 | 503)) || is_crowded;
        let is_shut_out = (kind == ErrorKind::Connect && while_connecting)
            || (kind == ErrorKind::ConnectionLost && is_new && !while_connecting);
        if !is_refused && !is_shut_out {
            return false;
        }
        let is_weak = is_shut_out || !is_new;
        let working = self.workers.connected_beside(connection, |_| true);
        let change = self.count.on_push_back(self.now, working, is_weak);
        self.note(change);
        self.count.is_auto() && working > 0
    }
}
