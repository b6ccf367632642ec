//! What a worker writes into the trace, and tells the plan of the moments it passes.

use super::{Ended, Reason, Response, SpanTask, Worker};
use crate::base::Span;
use crate::engine::source::exchange::Opening;
use crate::engine::trace::{SpanTrace, TcpLine, seconds};
use crate::plan::Fetch;
use std::rc::Rc;

impl Worker {
    pub(super) fn note_requested(&self, span: Span, trace: Option<&SpanTrace>) {
        self.ranged.requested(self.id, span.start());
        if let Some(trace) = trace {
            let now = seconds(self.local.context.now());
            trace.note(|line| _ = line.requested.get_or_insert(now));
        }
    }

    pub(super) fn note_first_byte(
        &self,
        span: Span,
        rest: Span,
        opening: &Opening,
        trace: Option<&SpanTrace>,
    ) {
        if rest.start() == span.start() {
            self.ranged.first_byte(self.id, span.start());
        }
        if let Some(trace) = trace {
            let now = seconds(self.local.context.now());
            let address = opening.connection.wire.peer().to_string();
            let is_single = self.ranged.is_single();
            let source = if is_single { String::new() } else { self.source.url().to_string() };
            trace.note(|line| {
                (line.address, line.source) = (address, source);
                line.first_byte.get_or_insert(now);
            });
        }
    }

    pub(super) fn new_trace(&self, task: &SpanTask) -> Option<Rc<SpanTrace>> {
        let trace = self.ranged.trace.as_ref()?;
        let start = task.fetch.span.start();
        let new = SpanTrace::new(&self.local.context, trace, self.id.0, start);
        new.note(|line| {
            line.ahead = matches!(task.response, Response::Pending(_));
            line.hedge = task.is_hedge;
            line.requested = task.requested.map(seconds);
        });
        Some(new)
    }

    pub(super) fn end_trace(
        &self,
        trace: Option<Rc<SpanTrace>>,
        fetch: &Fetch,
        received: Span,
        new_bytes: u64,
        ended: &Ended,
    ) {
        let Some(trace) = trace else { return };
        let now = seconds(self.local.context.now());
        let outcome = match ended {
            Ended::Whole if received == fetch.span => "ok".to_owned(),
            Ended::Whole => "cut".to_owned(),
            _ if self.ranged.is_aborted(self.id) => "aborted".to_owned(),
            Ended::Failed(failure) => failure.error.to_string(),
            Ended::LetGo(Reason::Unprovable) => {
                "asked again, to be proved by its digest".to_owned()
            }
            Ended::LetGo(Reason::NoConnection) => "no connection to spare".to_owned(),
        };
        let tcp = self.ranged.tcp_info(self.id).map(TcpLine::from);
        trace.note(|line| {
            line.tcp = tcp.filter(|_| line.first_byte.is_some());
            (line.end, line.bytes) = (received.end(), new_bytes);
            (line.last_byte, line.outcome) = (Some(now), outcome);
        });
    }
}
