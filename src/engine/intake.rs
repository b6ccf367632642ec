//! Response bodies into blocks, blocks to the disk: the inner loop of every download.
//!
//! An intake fills blocks in file order from one offset on, possibly from several responses one
//! after another. What has left it is the disk's; what has not can be asked for again.

use super::ask::Opening;
use super::claim::Claim;
use super::gate::Gate;
use super::job::Job;
use super::shard::{Leaving, Shard, Sink};
use super::trace::SpanTrace;
use crate::base::limits::{BLOCK_BYTES, SPAN_ALIGN_BYTES};
use crate::base::{Error, ErrorKind, Result, Span};
use crate::http::Want;
use crate::io::buffers::Lease;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of a coded body read at once.
const FRAMED_READ_BYTES: usize = 64 * 1024;
/// Bounds of one receive. Small on slow connections, so that progress is seen, silence is noticed
/// and the rest can be taken over; a whole block on fast ones.
const PIECE_BYTES_MIN: u64 = 64 * 1024;
const PIECE_BYTES_MAX: u64 = BLOCK_BYTES as u64;
/// A receive is to take about this long: twice it halves the next one, half of it doubles.
const PIECE_TIME: Duration = Duration::from_millis(100);
/// A block that has been filling for this part of the time between two barriers goes to the disk
/// as it is: on a slow connection a full one would take longer than a crash may cost.
const BARRIER_SHARE: u32 = 4;

/// Fills blocks and sends them to the disk.
pub(super) struct Intake<'a> {
    job: &'a Arc<Job>,
    shard: &'a Rc<Shard>,
    sink: &'a Sink,
    claim: &'a Claim,
    lease: Option<Lease>,
    /// When bytes for it were waited for first.
    filling_since: Option<Instant>,
    /// Where the block being filled starts, or the next one will.
    block_start: u64,
    piece_bytes: u64,
    /// Told when a block of a shared claim goes to the disk; answers how much of it is new.
    deliver: Option<&'a dyn Fn() -> u64>,
    trace: Option<Rc<SpanTrace>>,
    /// Of the answer being received, if its bytes have to wait for its digest.
    gate: Option<Rc<Gate>>,
}

impl<'a> Intake<'a> {
    /// Starts at the claim's position.
    pub(super) fn new(
        job: &'a Arc<Job>,
        shard: &'a Rc<Shard>,
        sink: &'a Sink,
        claim: &'a Claim,
    ) -> Self {
        let block_start = claim.position();
        Self {
            job,
            shard,
            sink,
            claim,
            lease: None,
            filling_since: None,
            block_start,
            piece_bytes: PIECE_BYTES_MIN,
            deliver: None,
            trace: None,
            gate: None,
        }
    }

    /// While the claim is shared, `deliver` tells the plan what has been flushed and answers how
    /// many of the last block's bytes were new; blocks without new ones are dropped.
    pub(super) fn delivering(mut self, deliver: &'a dyn Fn() -> u64) -> Self {
        self.deliver = Some(deliver);
        self
    }

    /// Writes keep `trace` until they are through.
    pub(super) fn traced(mut self, trace: Option<Rc<SpanTrace>>) -> Self {
        self.trace = trace;
        self
    }

    /// From here on bytes count only once the gate opens. Not within a block, nor where a second
    /// connection delivers the same bytes.
    pub(super) fn close_gate(&mut self, gate: Rc<Gate>) {
        let is_fresh = self.lease.as_ref().is_none_or(|lease| lease.filled() == 0);
        self.gate = (is_fresh && !self.claim.is_shared()).then_some(gate);
    }

    /// The answer `span` behind the gate has ended: its bytes count if its digest fits. If it is
    /// not whole, there is nothing to compare, and they count as they are.
    pub(super) async fn open_gate(&mut self, span: Span, is_whole: bool) -> Result<()> {
        if self.gate.is_none() {
            return Ok(());
        }
        self.flush();
        if let Some(gate) = self.gate.take_if(|_| is_whole) {
            if let Err(error) = gate.close(span, self.sink).await {
                self.job.lost(span.len());
                return Err(error);
            }
            self.claim.flushed(self.block_start);
        }
        self.give_up_gate();
        Ok(())
    }

    /// Everything behind the gate counts, as it will not be compared.
    fn give_up_gate(&mut self) {
        if let Some(gate) = self.gate.take() {
            gate.open(self.sink);
            self.claim.flushed(self.block_start);
        }
    }

    /// Receives the body of the opening until it ends, until the claim has no bytes left, as its
    /// end was taken away, or until no more than `lead_bytes` of both are missing; 0 is never.
    pub(super) async fn receive(&mut self, opening: &mut Opening, lead_bytes: u64) -> Result<()> {
        if !matches!(opening.exchange.want(), Want::Framed) {
            self.take_surplus(opening).await?;
        }
        loop {
            self.send_slow_block().await;
            let goes_on = match opening.exchange.want() {
                Want::Nothing => false,
                Want::Direct(left) if left <= lead_bytes => false,
                Want::Direct(left) => self.receive_direct(opening, left, lead_bytes).await?,
                Want::Framed => self.receive_framed(opening).await?,
                Want::UntilClose => self.receive_until_close(opening).await?,
                Want::Head => unreachable!("an opening has its head"),
            };
            if !goes_on {
                return Ok(());
            }
        }
    }

    /// Sends what is filled to the disk, whatever its length.
    pub(super) fn flush(&mut self) {
        self.filling_since = None;
        if self.claim.is_shared() {
            // Wrong bytes must not take the place of those the other connection has delivered.
            self.give_up_gate();
        }
        if let Some(lease) = self.lease.take().filter(|lease| lease.filled() > 0) {
            let span = Span::with_len(self.block_start, lease.filled() as u64);
            self.block_start = span.end();
            if self.is_wanted(span) {
                let (trace, gate) = (self.trace.clone(), self.gate.clone());
                let leaving = Leaving { block: lease.freeze(), offset: span.start(), trace, gate };
                self.shard.write(self.job, self.sink, leaving);
            }
        }
    }

    /// Whether the block, which now counts as flushed, has bytes that no other connection has
    /// delivered.
    fn is_wanted(&mut self, block: Span) -> bool {
        if self.gate.is_some() {
            return true;
        }
        let Some(deliver) = self.deliver.filter(|_| self.claim.is_shared()) else {
            self.claim.flushed(block.end());
            return true;
        };
        // What went before is told first, so that the answer is about this block.
        deliver();
        self.claim.flushed(block.end());
        let new_bytes = deliver();
        self.job.lost(block.len() - new_bytes);
        new_bytes > 0
    }

    /// After a failure: sends the aligned part of what is filled to the disk, so that the rest
    /// starts aligned again, and forgets the odd bytes.
    pub(super) fn salvage(&mut self) {
        self.salvage_block();
        // The answer broke off, so there is nothing to compare.
        self.give_up_gate();
    }

    fn salvage_block(&mut self) {
        let Some(lease) = &mut self.lease else { return };
        let end = self.block_start + lease.filled() as u64;
        let odd = end % SPAN_ALIGN_BYTES;
        let kept = (lease.filled() as u64).saturating_sub(odd);
        self.job.lost(lease.filled() as u64 - kept);
        lease.truncate(usize::try_from(kept).expect("at most one block"));
        self.flush();
    }

    /// Everything below this offset has gone to the disk.
    pub(super) fn position(&self) -> u64 {
        self.block_start
    }

    /// The body bytes that came with the head.
    async fn take_surplus(&mut self, opening: &mut Opening) -> Result<()> {
        let surplus = std::mem::take(&mut opening.surplus);
        let mut rest = &surplus[..];
        while !rest.is_empty() {
            let wanted = match opening.exchange.want() {
                Want::Direct(left) => left.min(rest.len() as u64),
                Want::UntilClose => rest.len() as u64,
                Want::Nothing => {
                    // The start of the next response, if one was asked for.
                    opening.surplus = rest.to_vec();
                    return Ok(());
                }
                Want::Head | Want::Framed => unreachable!("the body needs no decoding"),
            };
            let mut lease = self.lease().await;
            let granted = self.claim.take(wanted.min(lease.spare() as u64));
            if granted == 0 {
                self.lease = Some(lease);
                return Ok(());
            }
            let (now, later) = rest.split_at(usize::try_from(granted).expect("within the head"));
            lease.append(now);
            rest = later;
            self.claim.settle(0);
            self.count(opening, granted, lease);
        }
        Ok(())
    }

    /// One piece of a body of known length, from the socket into its place.
    async fn receive_direct(
        &mut self,
        opening: &mut Opening,
        left: u64,
        lead_bytes: u64,
    ) -> Result<bool> {
        let mut lease = self.lease().await;
        let until_lead = left - lead_bytes;
        let wanted = until_lead.min(self.piece_bytes).min(lease.spare() as u64);
        let granted = self.claim.take(wanted);
        if granted == 0 {
            self.lease = Some(lease);
            return Ok(false);
        }
        let (started, filled_before) = (Instant::now(), lease.filled());
        let target = filled_before + usize::try_from(granted).expect("at most one block");
        let mut result = Ok(());
        while lease.filled() < target && result.is_ok() {
            let (missing, before) = (target - lease.filled(), lease.filled());
            let more = left - granted;
            (lease, result) = opening.connection.wire.fill(lease, missing, more).await;
            if result.is_ok() && lease.filled() == before {
                result = Err(self.ended_early(opening));
            }
        }
        let received = (lease.filled() - filled_before) as u64;
        self.claim.settle(granted - received);
        self.count(opening, received, lease);
        self.adapt_piece(started.elapsed());
        result.map(|()| true)
    }

    /// Some bytes of a chunked body, decoded into their place.
    async fn receive_framed(&mut self, opening: &mut Opening) -> Result<bool> {
        let mut bytes = std::mem::take(&mut opening.surplus);
        if bytes.is_empty() {
            bytes = opening.connection.wire.read_some(FRAMED_READ_BYTES).await?;
        }
        if bytes.is_empty() {
            return Err(self.ended_early(opening));
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() && !opening.exchange.is_complete() {
            let mut lease = self.lease().await;
            let granted = self.claim.take(lease.spare() as u64);
            let room = usize::try_from(granted).expect("at most one block");
            let step = opening.exchange.on_framed(rest, &mut lease.spare_mut()[..room]);
            let produced = step.as_ref().map_or(0, |step| step.produced);
            self.claim.settle(granted - produced as u64);
            lease.advance(produced);
            self.job.received(produced as u64);
            self.keep(lease);
            let step = step?;
            rest = &rest[step.consumed..];
            if step.consumed == 0 && step.produced == 0 {
                assert_eq!(granted, 0, "a decoder with room makes progress");
                return Ok(false);
            }
        }
        opening.surplus = rest.to_vec();
        Ok(true)
    }

    /// Some bytes of a body that ends with the connection.
    async fn receive_until_close(&mut self, opening: &mut Opening) -> Result<bool> {
        let lease = self.lease().await;
        let before = lease.filled();
        let (lease, result) = opening.connection.wire.fill_some(lease).await;
        let received = (lease.filled() - before) as u64;
        if self.claim.take(received) < received {
            return Err(Error::new(ErrorKind::Protocol, "the body exceeds every possible file"));
        }
        self.claim.settle(0);
        self.count(opening, received, lease);
        result?;
        if received == 0 {
            opening.on_eof()?;
        }
        Ok(true)
    }

    /// The error of a body that ended before it was complete.
    fn ended_early(&self, opening: &mut Opening) -> Error {
        match opening.on_eof() {
            Err(error) => error,
            Ok(()) => Error::new(ErrorKind::Internal, "an incomplete body counts as complete"),
        }
    }

    async fn lease(&mut self) -> Lease {
        let lease = match self.lease.take() {
            Some(lease) => lease,
            None => self.shard.lease().await,
        };
        self.filling_since.get_or_insert_with(Instant::now);
        lease
    }

    fn count(&mut self, opening: &mut Opening, received: u64, lease: Lease) {
        opening.exchange.on_direct(received);
        self.job.received(received);
        self.keep(lease);
    }

    /// Sends the aligned part of a block that fills slowly to the disk, if that makes it durable.
    /// The odd bytes begin the next block.
    async fn send_slow_block(&mut self) {
        let time_max = self.job.options.journal_interval / BARRIER_SHARE;
        let is_slow = self.filling_since.is_some_and(|since| since.elapsed() >= time_max);
        let Some(lease) = self.lease.as_mut().filter(|_| is_slow) else { return };
        let end = self.block_start + lease.filled() as u64;
        let odd = usize::try_from(end % SPAN_ALIGN_BYTES).expect("less than a page");
        if self.sink.book.is_none() || lease.filled() <= odd {
            return;
        }
        let kept = lease.filled() - odd;
        lease.truncate(kept);
        let rest = lease.spare_mut()[..odd].to_vec();
        self.flush();
        if !rest.is_empty() {
            let mut next = self.lease().await;
            next.append(&rest);
            self.keep(next);
        }
    }

    /// Goes on with `lease`, or sends it off if it is full.
    fn keep(&mut self, lease: Lease) {
        let is_full = lease.spare() == 0;
        self.lease = Some(lease);
        if is_full {
            self.flush();
        }
    }

    fn adapt_piece(&mut self, took: Duration) {
        if took > 2 * PIECE_TIME {
            self.piece_bytes = (self.piece_bytes / 2).max(PIECE_BYTES_MIN);
        } else if took < PIECE_TIME / 2 {
            self.piece_bytes = (self.piece_bytes * 2).min(PIECE_BYTES_MAX);
        }
    }
}
