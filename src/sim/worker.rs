//! One simulated worker: what it holds and what it waits for. Owns its states; must not know the
//! plan nor the network.
//!
//! States: off -> idle (asks the plan) -> connecting -> asked (a request is out) -> receiving ->
//! idle or, with a span ahead, asked ... -> off (retired, or nothing is left).

use super::world::{Dial, Reply};
use crate::base::span::Span;
use crate::plan::Fetch;
use std::time::Duration;

/// A worker and the spans it holds.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) state: State,
    /// The span being received or about to be.
    pub(super) job: Option<Job>,
    /// The span after it, whose request is out.
    pub(super) ahead: Option<(Job, Reply)>,
    /// Indicates whether the connection ends with the present answer.
    pub(super) closes: bool,
    /// The number of the server that its next connection goes to.
    pub(super) source: usize,
    /// The address that its connection leads to, and the time that it took to make it.
    pub(super) link: (u32, Duration),
    /// Indicates whether it is off and its connection, if that still stands, is not known to the
    /// plan.
    pub(super) is_parked: bool,
    /// When a byte or an answer came last, for the stall timeout; of an idle worker, since when it
    /// is idle.
    pub(super) quiet_since_s: f64,
    /// Packets and bytes as the kernel counted them last, and since when, in seconds.
    pub(super) heard: (u64, f64),
}

/// What a worker waits for.
#[derive(Debug, Clone, Copy)]
pub(super) enum State {
    /// Not started, or over.
    Off,
    /// Asks the plan again at this time, or when something happens.
    Idle { until_s: f64 },
    /// A connection is being made since then.
    Connecting { since_s: f64, dial: Dial },
    /// A request is out.
    Asked { reply: Reply },
    /// A body comes in.
    Receiving,
}

/// A span in the hands of a worker.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job {
    pub(super) start: u64,
    pub(super) end: u64,
    /// Bytes received, from `start` on.
    pub(super) received: f64,
    /// Delivered and reported up to here.
    pub(super) reported_to: u64,
    /// When the rest is as small as this, the next span is asked for; 0 once that is done.
    pub(super) lead_bytes: u64,
}

impl Job {
    pub(super) fn new(fetch: Fetch) -> Self {
        let Fetch { span, lead_bytes } = fetch;
        let (start, end) = (span.start(), span.end());
        Self { start, end, received: 0.0, reported_to: start, lead_bytes }
    }

    pub(super) fn span(&self) -> Span {
        Span::new(self.start, self.end)
    }

    /// Bytes still to come.
    pub(super) fn rest(&self) -> f64 {
        (self.end - self.start) as f64 - self.received
    }

    /// Everything below is received.
    pub(super) fn received_to(&self) -> u64 {
        #[allow(clippy::cast_possible_truncation, reason = "below the length of the span")]
        let received = (self.received + 1e-3) as u64;
        self.end.min(self.start + received)
    }

    /// A worker claims a piece of a block before it receives the first byte of it.
    pub(super) fn claimed_to(&self, piece_bytes: u64) -> u64 {
        let pieces = (self.received_to() - self.start).div_ceil(piece_bytes);
        self.end.min(self.start + pieces * piece_bytes)
    }

    /// Everything below is complete units of this size.
    pub(super) fn complete_to(&self, unit_bytes: u64) -> u64 {
        let received_to = self.received_to();
        if received_to == self.end {
            self.end
        } else {
            self.start + (received_to - self.start) / unit_bytes * unit_bytes
        }
    }

    /// Bytes until something is to be done: the next request, or the end.
    pub(super) fn bytes_to_event(&self) -> f64 {
        match self.lead_bytes {
            0 => self.rest(),
            lead_bytes => (self.rest() - lead_bytes as f64).max(0.0),
        }
    }
}

impl Worker {
    pub(super) fn off() -> Self {
        Self {
            state: State::Off,
            job: None,
            ahead: None,
            closes: false,
            source: 0,
            link: (0, Duration::ZERO),
            is_parked: false,
            quiet_since_s: 0.0,
            heard: (0, 0.0),
        }
    }

    pub(super) fn is_off(&self) -> bool {
        matches!(self.state, State::Off)
    }

    pub(super) fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_of_a_job() {
        let mut job = Job::new(Fetch { span: Span::new(4096, 4096 + 3000), lead_bytes: 500 });
        assert_eq!((job.claimed_to(1024), job.bytes_to_event()), (4096, 2500.0));
        job.received = 1025.5;
        assert_eq!(job.received_to(), 4096 + 1025);
        assert_eq!((job.claimed_to(1024), job.complete_to(1024)), (4096 + 2048, 4096 + 1024));
        job.received = 2600.0;
        assert_eq!((job.claimed_to(1024), job.bytes_to_event()), (7096, 0.0));
        job.lead_bytes = 0;
        assert_eq!(job.bytes_to_event(), 400.0);
        job.received = 3000.0;
        assert_eq!(job.complete_to(1024), 7096);
    }
}
