//! Response bodies into blocks, blocks to the disk: the inner loop of every download.
//!
//! An intake fills blocks in file order from one offset on, possibly from several responses one
//! after another. What has left it is the disk's; what has not can be asked for again. Where others
//! may have delivered the same bytes, only those that nobody has are written: a byte that counts is
//! never written again.

use super::claim::Claim;
use super::quarantine::Quarantine;
use super::sink::{Leaving, Sink, Written};
use crate::base::limits::{BARRIER_FIRST, BLOCK_BYTES, ORDERED_BLOCK_TIME_MAX, SPAN_ALIGN_BYTES};
use crate::base::{Error, ErrorKind, Result, Span};
use crate::engine::context::Context;
use crate::engine::source::exchange::Opening;
use crate::engine::trace::SpanTrace;
use crate::http::Want;
use crate::io::buffers::{Block, Lease};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Bytes of a coded body read at once.
const FRAMED_READ_BYTES: usize = 64 * 1024;
/// Bounds of one receive. Small on slow connections, so that progress is seen, silence is noticed
/// and the rest can be taken over; a whole block on fast ones.
const PIECE_BYTES_MIN: u64 = 64 * 1024;
const PIECE_BYTES_MAX: u64 = BLOCK_BYTES as u64;
/// A receive is to take about this long: twice it halves the next one, half of it doubles.
const PIECE_TIME: Duration = Duration::from_millis(100);
/// A block that has been filling for this part of the time between two barriers, which is about as
/// long as the transfer has run at first, goes to the disk as it is: on a slow connection a full
/// one would take longer than a crash may cost.
const BARRIER_SHARE: u32 = 4;

/// Fills blocks and sends them to the disk.
pub(in crate::engine) struct Intake<'a> {
    context: &'a Context,
    sink: &'a Rc<Sink>,
    claim: &'a Claim,
    lease: Option<Lease>,
    /// When bytes for it were waited for first.
    filling_since: Option<Instant>,
    /// Where the block being filled starts, or the next one will.
    block_start: u64,
    piece_bytes: u64,
    /// Says which bytes of a block are new while the claim is shared.
    delivery: Option<&'a dyn Delivery>,
    trace: Option<Rc<SpanTrace>>,
    /// Of the answer being received, if its bytes have to wait for its digest.
    quarantine: Option<Rc<Quarantine<Written>>>,
    /// Bytes at the start of the block being filled that came before the quarantine began.
    unwithheld: usize,
}

/// Decides which bytes are written where several bring the same ones.
pub(in crate::engine) trait Delivery {
    /// A block with these bytes is about to leave: the parts of it that nobody has delivered, which
    /// count as delivered from here on.
    fn deliver(&self, block: Span, bytes: &[u8]) -> Vec<Span>;
}

impl<'a> Intake<'a> {
    /// Starts at the claim's position.
    pub(in crate::engine) fn new(
        context: &'a Context,
        sink: &'a Rc<Sink>,
        claim: &'a Claim,
    ) -> Self {
        let block_start = claim.position();
        Self {
            context,
            sink,
            claim,
            lease: None,
            filling_since: None,
            block_start,
            piece_bytes: PIECE_BYTES_MIN,
            delivery: None,
            trace: None,
            quarantine: None,
            unwithheld: 0,
        }
    }

    /// While the claim is shared, only what `delivery` calls new is written.
    pub(in crate::engine) fn delivering(mut self, delivery: &'a dyn Delivery) -> Self {
        self.delivery = Some(delivery);
        self
    }

    /// Writes keep `trace` until they are through.
    pub(in crate::engine) fn traced(mut self, trace: Option<Rc<SpanTrace>>) -> Self {
        self.trace = trace;
        self
    }

    /// From here on bytes count only once the digest of the answer fits. The claim is not shared,
    /// and will not be.
    pub(in crate::engine) fn withhold(&mut self, quarantine: Rc<Quarantine<Written>>) {
        self.unwithheld = self.lease.as_ref().map_or(0, Lease::filled);
        self.quarantine = Some(quarantine);
    }

    /// The answer `span`, which may be in quarantine, has ended: its bytes count if its digest
    /// fits. If it is not whole, there is nothing to compare, and they count as they are.
    pub(in crate::engine) async fn release(&mut self, span: Span, is_whole: bool) -> Result<()> {
        if let Some(quarantine) = self.quarantine.take_if(|_| is_whole) {
            if let Some(lease) = &self.lease {
                quarantine.update(&lease.as_ref()[self.unwithheld..]);
            }
            match quarantine.close(span).await {
                Ok(written) => self.count_written(written),
                Err(error) => {
                    // What is left of the block belongs behind bytes that do not count.
                    self.lease = None;
                    self.context.lost(span.len());
                    return Err(error);
                }
            }
        }
        self.release_unproved();
        Ok(())
    }

    /// Everything in quarantine counts, as it will not be compared.
    fn release_unproved(&mut self) {
        if let Some(quarantine) = self.quarantine.take() {
            self.count_written(quarantine.open());
        }
    }

    fn count_written(&self, written: Vec<Written>) {
        written.into_iter().for_each(|written| self.sink.report(written));
        self.claim.flushed(self.block_start);
    }

    /// Receives the body of the opening until it ends, until the claim has no bytes left, as its
    /// end was taken away, or until no more than `lead_bytes` of both are missing; 0 is never.
    pub(in crate::engine) async fn receive(
        &mut self,
        opening: &mut Opening,
        lead_bytes: u64,
    ) -> Result<()> {
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
    pub(in crate::engine) fn flush(&mut self) {
        self.filling_since = None;
        let unwithheld = std::mem::take(&mut self.unwithheld);
        let Some(lease) = self.lease.take().filter(|lease| lease.filled() > 0) else { return };
        let span = Span::with_len(self.block_start, lease.filled() as u64);
        self.block_start = span.end();
        let block = lease.freeze();
        if let Some(quarantine) = &self.quarantine {
            quarantine.update(block.as_ref().get(unwithheld..).unwrap_or_default());
            return self.write(block, span);
        }
        if self.claim.flushed_alone(span.end()) {
            return self.write(block, span);
        }
        let delivery = self.delivery.expect("who shares a claim says what is new");
        let new = delivery.deliver(span, block.as_ref());
        self.context.lost(span.len() - new.iter().map(|part| part.len()).sum::<u64>());
        let index = |at: u64| usize::try_from(at - span.start()).expect("within one block");
        for part in new {
            self.write(block.part(index(part.start()), index(part.end())), part);
        }
    }

    fn write(&self, block: Block, span: Span) {
        let (trace, quarantine) = (self.trace.clone(), self.quarantine.clone());
        self.sink.write(Leaving { block, offset: span.start(), trace, quarantine });
    }

    /// After a failure: sends the aligned part of what is filled to the disk, so that the rest
    /// starts aligned again, and forgets the odd bytes.
    pub(in crate::engine) fn salvage(&mut self) {
        self.salvage_block();
        // The answer broke off, so there is nothing to compare.
        self.release_unproved();
    }

    fn salvage_block(&mut self) {
        let Some(lease) = &mut self.lease else { return };
        let end = self.block_start + lease.filled() as u64;
        let odd = end % SPAN_ALIGN_BYTES;
        let kept = (lease.filled() as u64).saturating_sub(odd);
        self.context.lost(lease.filled() as u64 - kept);
        lease.truncate(usize::try_from(kept).expect("at most one block"));
        self.flush();
    }

    /// Everything below this offset has gone to the disk.
    pub(in crate::engine) fn position(&self) -> u64 {
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
                opening.surplus = rest.to_vec();
                return Ok(());
            }
            let (now, later) = rest.split_at(usize::try_from(granted).expect("within the head"));
            lease.append(now);
            rest = later;
            self.claim.settle(0);
            opening.connection.wire.pay(now.len());
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
            opening.connection.wire.pay(produced);
            self.context.received(produced as u64);
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
            None => {
                self.sink.turn(self.block_start).await;
                self.sink.lease().await
            }
        };
        self.filling_since.get_or_insert_with(Instant::now);
        lease
    }

    fn count(&mut self, opening: &mut Opening, received: u64, lease: Lease) {
        opening.exchange.on_direct(received);
        self.context.received(received);
        self.keep(lease);
    }

    /// Sends the aligned part of a block that fills slowly to the output, if that makes it durable
    /// or a reader waits for it. The odd bytes begin the next block.
    async fn send_slow_block(&mut self) {
        let is_ordered = self.sink.is_ordered();
        let interval = self.context.options.journal_interval;
        let time_max = match is_ordered {
            true => ORDERED_BLOCK_TIME_MAX,
            false => interval.min(self.context.now().max(BARRIER_FIRST)) / BARRIER_SHARE,
        };
        let is_slow = self.filling_since.is_some_and(|since| since.elapsed() >= time_max);
        let Some(lease) = self.lease.as_mut().filter(|_| is_slow) else { return };
        let end = self.block_start + lease.filled() as u64;
        let odd = usize::try_from(end % SPAN_ALIGN_BYTES).expect("less than a page");
        let kept = lease.filled().saturating_sub(odd);
        let is_wanted = match is_ordered {
            true => self.sink.is_its_turn(self.block_start),
            false => self.sink.is_journaled(),
        };
        if !is_wanted || kept == 0 || kept < self.unwithheld {
            return;
        }
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
