//! One answer in a lane: judged by its head, received whole, compared with its digest, written to
//! the staging folder. Must not know which request is next.

use super::{Common, End, Fetched, Wanted};
use crate::base::limits::{BLOCK_BYTES, SMALL_FILE_BYTES_MAX};
use crate::base::{Error, ErrorKind, Result, Span};
use crate::digest::{Checksum, PieceCheck, PieceHashes};
use crate::disk::staging::Staged;
use crate::engine::client::shard::{Allowance, Shard};
use crate::engine::context::Context;
use crate::engine::receive::pieces::mismatch;
use crate::engine::source::discover::check_size;
use crate::engine::source::endpoint::Endpoint;
use crate::engine::transfer::expected_digest::on_offer;
use crate::http::{
    Discovery, Exchange, Head, Rules, Sent, Want, discover, follow, http_date, retry_after,
    status_error, whole_file_digests,
};
use crate::io::buffers::{Block, Lease};
use crate::io::driver;
use crate::io::receive::Staging;
use crate::net::wire::Wire;
use std::cell::Cell;
use std::rc::Rc;
use std::time::SystemTime;

/// Bytes that are read ahead at most: several small answers with one system call. A body that fits
/// takes no block.
const READ_BYTES: usize = 128 * 1024;
/// The same for a head whose body will probably not fit: what is read of that has to be copied.
const READ_BYTES_OF_LARGE: usize = 4 * 1024;
/// Bodies that are thrown away are read to their end up to this size, as a new connection costs
/// more.
const DISCARDED_BYTES_MAX: u64 = 64 * 1024;

/// What every request of a lane asks for: the whole of a small file, and no more of a large one.
pub(super) fn asked() -> Span {
    Span::new(0, SMALL_FILE_BYTES_MAX)
}

/// Bytes that have arrived on a connection and are not used up.
#[derive(Default)]
pub(super) struct Arrived {
    bytes: Staging,
    /// Indicates whether the latest body went to a block, as the next one probably will.
    is_large: bool,
}

/// How a connection is left behind an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// The next answer may follow.
    GoesOn,
    /// Nothing more comes.
    Ended,
}

/// What the head of an answer means.
enum Judged {
    /// The body is the file, of this size if that is known.
    Small { total: Option<u64> },
    /// The body is of no use; without an end the file is to be asked for again.
    Discard(Option<End>),
}

/// A body that has come whole.
enum Body<'a> {
    /// Where its head was.
    Bytes(&'a [u8]),
    /// In a block.
    Block(Block),
}

/// What the connections of a lane receive with.
pub(super) struct Receiver<'a> {
    /// Whom it asks.
    pub(super) endpoint: &'a Endpoint,
    /// What the request was.
    pub(super) sent: Sent,
    pub(super) context: &'a Context,
    pub(super) common: &'a Common,
    pub(super) shard: &'a Rc<Shard>,
    pub(super) allowance: &'a Allowance,
    /// Set while it waits for memory or the disk, not for the peer.
    pub(super) is_held_back: &'a Cell<bool>,
}

impl Body<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Body::Bytes(bytes) => bytes,
            Body::Block(block) => block.as_ref(),
        }
    }
}

impl Arrived {
    fn rest(&self) -> &[u8] {
        self.bytes.filled()
    }

    /// Whether nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn take(&mut self, bytes: usize) {
        self.bytes.consume(bytes);
    }

    /// Receives more behind the rest, which leaves room; the number of bytes, 0 at the end of the
    /// stream.
    async fn more(&mut self, wire: &mut Wire) -> Result<usize> {
        self.at_most(READ_BYTES, wire).await
    }

    /// The same for a head and what is behind it.
    async fn more_of_head(&mut self, wire: &mut Wire) -> Result<usize> {
        self.at_most(if self.is_large { READ_BYTES_OF_LARGE } else { READ_BYTES }, wire).await
    }

    async fn at_most(&mut self, most: usize, wire: &mut Wire) -> Result<usize> {
        if self.is_empty() && self.bytes.room() == 0 {
            self.bytes = Staging::new(READ_BYTES);
        }
        wire.read_ahead(&mut self.bytes, most).await
    }
}

impl Receiver<'_> {
    /// Receives the answer to the request for `wanted`, the next one on the connection; without an
    /// end the server wants to know who asks, and is to be asked again.
    ///
    /// # Errors
    /// Of the connection, or of the way the answer is put: the connection is of no use any more.
    pub(super) async fn receive(
        &self,
        wire: &mut Wire,
        arrived: &mut Arrived,
        wanted: &Wanted,
    ) -> Result<(Option<End>, After)> {
        wire.expect_head();
        let mut exchange = Exchange::new();
        self.read_head(wire, arrived, &mut exchange).await?;
        wire.expect_body();
        let head = exchange.head().expect("it has come");
        let judged = match self.judge(head, wanted) {
            Ok(judged) => judged,
            Err(error) => {
                let retry_after = retry_after(head);
                let (url, is_redirected) = (&wanted.url, wanted.is_redirected);
                let error = self.endpoint.explain_for(url, is_redirected, error).within(url);
                Judged::Discard(Some(End::Failed { error, retry_after }))
            }
        };
        let end = match judged {
            Judged::Small { total } => {
                Some(self.small(wire, arrived, &mut exchange, wanted, total).await?)
            }
            Judged::Discard(end) => {
                if self.discard(wire, arrived, &mut exchange).await? == After::Ended {
                    return Ok((end, After::Ended));
                }
                end
            }
        };
        let after = if exchange.reusable() { After::GoesOn } else { After::Ended };
        Ok((end, after))
    }

    async fn read_head(
        &self,
        wire: &mut Wire,
        arrived: &mut Arrived,
        exchange: &mut Exchange,
    ) -> Result<()> {
        loop {
            if arrived.is_empty() && arrived.more_of_head(wire).await? == 0 {
                exchange.on_eof()?;
            }
            let fed = arrived.rest().len();
            match exchange.on_head(arrived.rest())? {
                Some(surplus) => {
                    arrived.take(fed - surplus);
                    return Ok(());
                }
                None => arrived.take(fed),
            }
        }
    }

    fn judge(&self, head: &Head, wanted: &Wanted) -> Result<Judged> {
        let Self { endpoint, sent, .. } = *self;
        endpoint.hear_for(&wanted.url, wanted.is_redirected, head);
        if endpoint.learns_for(&wanted.url, wanted.is_redirected, head, sent) {
            return Ok(Judged::Discard(None));
        }
        let rules = Rules { allow_downgrade: self.context.options.allow_downgrade };
        if let Some(next) = follow(&wanted.url, head, &rules)? {
            let (url, is_same_origin) = (next.url, next.same_origin);
            return Ok(Judged::Discard(Some(End::Moved { url, is_same_origin })));
        }
        if head.status() == 304 {
            if wanted.condition.is_none() {
                return Err(status_error(head));
            }
            return Ok(Judged::Discard(Some(End::Unchanged)));
        }
        Ok(match discover(head, asked())? {
            Discovery::Ranged { known, body } if body == Span::new(0, known.total) => {
                Judged::Small { total: Some(known.total) }
            }
            Discovery::Ranged { known, .. } if known.total > SMALL_FILE_BYTES_MAX => {
                Judged::Discard(Some(End::Large(Some(known.total))))
            }
            Discovery::Whole { total, .. } if total.is_none_or(|t| t <= SMALL_FILE_BYTES_MAX) => {
                Judged::Small { total }
            }
            Discovery::Whole { total, .. } => Judged::Discard(Some(End::Large(total))),
            // The answer is an error page.
            Discovery::Empty { .. } | Discovery::Ranged { .. } | Discovery::AskWhole => {
                Judged::Discard(Some(End::Large(None)))
            }
        })
    }

    /// Receives a body that is the file.
    async fn small(
        &self,
        wire: &mut Wire,
        arrived: &mut Arrived,
        exchange: &mut Exchange,
        wanted: &Wanted,
        total: Option<u64>,
    ) -> Result<End> {
        if let Some(total) = total {
            exchange.expect_body(total);
        }
        let bytes = usize::try_from(total.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        let is_plain = matches!(exchange.want(), Want::Direct(_) | Want::Nothing);
        arrived.is_large = is_plain && bytes > READ_BYTES;
        if is_plain && !arrived.is_large {
            return self.beside_head(wire, arrived, exchange, wanted, bytes).await;
        }
        let mut lease = self.lease().await;
        while !exchange.is_complete() {
            match exchange.want() {
                Want::Framed => {
                    if arrived.is_empty() {
                        arrived.more(wire).await?;
                        self.check_eof(wire, arrived, exchange)?;
                    }
                    let step = exchange.on_framed(arrived.rest(), lease.spare_mut())?;
                    arrived.take(step.consumed);
                    lease.advance(step.produced);
                    wire.pay(step.produced);
                    self.context.received(step.produced as u64);
                    if step.consumed == 0 && step.produced == 0 {
                        return Ok(End::Large(None));
                    }
                }
                Want::Direct(_) | Want::UntilClose => {
                    match self.fill(wire, arrived, exchange, lease).await? {
                        Some(filled) => lease = filled,
                        None => return Ok(End::Large(None)),
                    }
                }
                Want::Nothing | Want::Head => unreachable!("a body is due"),
            }
        }
        let block = lease.freeze();
        let head = exchange.head().expect("it has come");
        Ok(self.store(Body::Block(block), head, wanted))
    }

    /// A block to fill; waits for one, and while too many are on their way to the disk.
    async fn lease(&self) -> Lease {
        self.is_held_back.set(true);
        self.shard.room().await;
        let lease = self.allowance.blocks.lease().await;
        self.is_held_back.set(false);
        lease
    }

    /// Receives a short body of known length to where its head was.
    async fn beside_head(
        &self,
        wire: &mut Wire,
        arrived: &mut Arrived,
        exchange: &mut Exchange,
        wanted: &Wanted,
        bytes: usize,
    ) -> Result<End> {
        let mut received = 0;
        loop {
            let here = arrived.rest().len().min(bytes);
            let new = here - received;
            exchange.on_direct(new as u64);
            wire.pay(new);
            self.context.received(new as u64);
            received = here;
            if received == bytes {
                break;
            }
            // What is behind it belongs to the next answers.
            if arrived.more(wire).await? == 0 {
                self.on_eof(wire, exchange)?;
            }
        }
        let head = exchange.head().expect("it has come");
        let end = self.store(Body::Bytes(&arrived.rest()[..bytes]), head, wanted);
        arrived.take(bytes);
        Ok(end)
    }

    /// More of a body that needs no decoding; `None` if the block is full before its end.
    async fn fill(
        &self,
        wire: &mut Wire,
        arrived: &mut Arrived,
        exchange: &mut Exchange,
        mut lease: Lease,
    ) -> Result<Option<Lease>> {
        let (wanted, is_known) = match exchange.want() {
            Want::Direct(left) => (usize::try_from(left).unwrap_or(usize::MAX), true),
            _ => (usize::MAX, false),
        };
        if lease.spare() == 0 {
            return Ok(None);
        }
        let before = lease.filled();
        if !arrived.is_empty() {
            let now = wanted.min(arrived.rest().len());
            let taken = lease.append(&arrived.rest()[..now]);
            arrived.take(taken);
            wire.pay(taken);
        } else {
            let room = lease.spare();
            let (filled, result) = if is_known {
                wire.fill(lease, wanted.min(room), 0).await
            } else {
                wire.fill_some(lease).await
            };
            lease = filled;
            result?;
            if lease.filled() == before {
                self.check_eof(wire, arrived, exchange)?;
            }
        }
        let received = (lease.filled() - before) as u64;
        exchange.on_direct(received);
        self.context.received(received);
        Ok(Some(lease))
    }

    /// Where nothing has arrived, the peer has ended the connection.
    fn check_eof(&self, wire: &Wire, arrived: &Arrived, exchange: &mut Exchange) -> Result<()> {
        if arrived.is_empty() { self.on_eof(wire, exchange) } else { Ok(()) }
    }

    /// The peer has ended the connection.
    fn on_eof(&self, wire: &Wire, exchange: &mut Exchange) -> Result<()> {
        if !wire.ended_cleanly() {
            let what = "the connection ended without TLS close_notify: the body may be cut short";
            return Err(Error::new(ErrorKind::Truncated, what));
        }
        exchange.on_eof()
    }

    /// Reads over a body that nobody wants, if it is short.
    async fn discard(
        &self,
        wire: &mut Wire,
        arrived: &mut Arrived,
        exchange: &mut Exchange,
    ) -> Result<After> {
        let mut decoded = vec![0; READ_BYTES];
        while !exchange.is_complete() {
            if exchange.received_bytes() > DISCARDED_BYTES_MAX {
                return Ok(After::Ended);
            }
            if arrived.is_empty() {
                arrived.more(wire).await?;
                self.check_eof(wire, arrived, exchange)?;
                continue;
            }
            let here = arrived.rest().len();
            let taken = match exchange.want() {
                Want::Framed => {
                    let step = exchange.on_framed(arrived.rest(), &mut decoded)?;
                    wire.pay(step.produced);
                    step.consumed
                }
                Want::Direct(left) if left > DISCARDED_BYTES_MAX => return Ok(After::Ended),
                Want::Direct(left) => {
                    let taken = usize::try_from(left).map_or(here, |left| left.min(here));
                    exchange.on_direct(taken as u64);
                    wire.pay(taken);
                    taken
                }
                Want::UntilClose => return Ok(After::Ended),
                Want::Nothing | Want::Head => unreachable!("a body is due"),
            };
            arrived.take(taken);
        }
        Ok(After::GoesOn)
    }

    /// Compares the bytes with the digest they must have, and writes them down.
    fn store(&self, body: Body, head: &Head, wanted: &Wanted) -> End {
        match self.try_store(body, head, wanted) {
            Ok(fetched) => End::Fetched(fetched),
            Err(error) => End::Failed { error: error.within(&wanted.url), retry_after: None },
        }
    }

    fn try_store(&self, body: Body, head: &Head, wanted: &Wanted) -> Result<Fetched> {
        let bytes = body.bytes();
        let total = bytes.len() as u64;
        check_size(total, wanted.bytes)?;
        if let Some(pieces) = wanted.pieces.as_ref().filter(|_| self.context.options.verify) {
            verify_pieces(bytes, pieces)?;
        }
        let digest = self.verify(bytes, head, wanted)?;
        let staged = self.write(body, self.modified(head))?;
        let field = |name: &str| head.get(name).map(str::to_owned);
        let (etag, last_modified) = (field("ETag"), field("Last-Modified"));
        Ok(Fetched { staged, bytes: total, etag, last_modified, digest })
    }

    /// Writes them down, or sees to it that they will be while the next answer comes.
    fn write(&self, body: Body, modified: Option<SystemTime>) -> Result<Staged> {
        let mut staged = self.common.landing.begin()?;
        match body {
            Body::Bytes(bytes) => {
                staged.write(bytes)?;
                staged.close(modified)?;
            }
            Body::Block(block) => {
                if let Some(writing) = staged.fill(block, modified)? {
                    let place = self.shard.begin_write();
                    driver::spawn(async move {
                        writing.await;
                        drop(place);
                    });
                }
            }
        }
        Ok(staged)
    }

    /// The digest that the bytes have and must have, if there is one.
    fn verify(&self, bytes: &[u8], head: &Head, wanted: &Wanted) -> Result<Option<Checksum>> {
        let expected = match &wanted.checksum {
            Some(checksum) => Some(checksum.clone()),
            None if self.context.options.verify => {
                on_offer(&whole_file_digests(head).digests)?.map(|expected| expected.checksum)
            }
            None => None,
        };
        let Some(expected) = expected else { return Ok(None) };
        let mut hasher = expected.algorithm.hasher();
        hasher.update(bytes);
        expected.verify(&hasher.finish())?;
        Ok(Some(expected))
    }

    fn modified(&self, head: &Head) -> Option<SystemTime> {
        let date = head.get("Last-Modified").filter(|_| self.context.options.remote_time)?;
        http_date(date)
    }
}

/// Compares the pieces of a whole file with their digests.
fn verify_pieces(bytes: &[u8], pieces: &PieceHashes) -> Result<()> {
    let other_size = |e: Error| Error::new(ErrorKind::ChecksumMismatch, e.context());
    let pieces = pieces.clone().of_size(bytes.len() as u64).map_err(other_size)?;
    let mut check = PieceCheck::new(pieces);
    check.on_bytes(0, bytes);
    while let Some(verdict) = check.next_verdict() {
        if !verdict.is_good {
            return Err(mismatch(check.hashes(), &verdict));
        }
    }
    Ok(())
}

const _: () = assert!(BLOCK_BYTES as u64 >= SMALL_FILE_BYTES_MAX, "a small file fits a block");
