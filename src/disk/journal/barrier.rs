//! The order of a barrier: data first, what is said about it afterwards.
//!
//! States: without a journal -> journal stands (slot 0 newest <-> slot 1 newest); without one again
//! when somebody has deleted it, which costs nothing but making another. Owns the order of
//! writes and syncs, over a small layer that a test can record and cut short anywhere. Must not
//! know threads, nor when a barrier is due.

use super::book::Snapshot;
use super::format::{Header, Slot};
use crate::base::{Result, Span};
use crate::digest::crc::Run;

/// What a barrier does to the disk. Each call returns when it is done; errors are final.
pub(super) trait Layer {
    /// The part file is still ours, under its name, and has at least `bytes` bytes.
    fn check_part(&mut self, bytes: u64) -> Result<()>;
    /// Every write to the part file that is complete now is durable afterwards.
    fn sync_part(&mut self) -> Result<()>;
    /// The CRC-32C of what the part file holds there.
    fn sum_part(&mut self, span: Span) -> Result<u32>;
    /// A new journal without a name, holding `image`; the one under the name, if any, stays.
    fn make_journal(&mut self, image: &[u8]) -> Result<()>;
    /// Overwrites a part of the newest journal.
    fn write_journal(&mut self, offset: u64, bytes: &[u8]) -> Result<()>;
    /// The newest journal is durable as it is now.
    fn sync_journal(&mut self) -> Result<()>;
    /// The newest journal takes its name, in the place of an older one.
    fn name_journal(&mut self) -> Result<()>;
    /// Whether the newest journal still has its name; an error if something else has it.
    fn is_journal_named(&mut self) -> Result<bool>;
    /// Names given and taken in the folder are durable.
    fn sync_folder(&mut self) -> Result<()>;
    /// Takes the journal's name away.
    fn remove_journal(&mut self) -> Result<()>;
    /// Takes all bytes out of the part file.
    fn empty_part(&mut self) -> Result<()>;
}

/// What a barrier has done.
pub(super) struct Recorded {
    /// Bytes of the file that are durable and in the journal.
    pub(super) durable_bytes: u64,
    /// Runs whose CRC was not known before, and was computed from what was read back.
    pub(super) summed: Vec<Run>,
}

/// The journal of one transfer, as it grows.
pub(super) struct Barrier<L> {
    layer: L,
    header: Header,
    /// Number of the newest slot, from 1; 0 before the journal is made.
    seq: u64,
}

impl<L: Layer> Barrier<L> {
    pub(super) fn new(layer: L, header: Header) -> Self {
        Self { layer, header, seq: 0 }
    }

    /// Makes what has been `written` durable and records it. All of it was complete before this
    /// call. After an error the journal is as it was, or torn in the one slot that did not count:
    /// no further barrier may be made, unless all that was missing is a descriptor
    /// ([`ResourceLimit`](crate::ErrorKind::ResourceLimit)), which only a journal in the making
    /// needs.
    pub(super) fn run(&mut self, written: Snapshot) -> Result<Recorded> {
        self.layer.check_part(self.header.identity.total)?;
        self.layer.sync_part()?;
        let summed = self.sum(&written.unsummed)?;
        if self.seq > 0 && !self.layer.is_journal_named()? {
            self.seq = 0;
        }
        let slot = Slot { seq: self.seq + 1, runs: self.header.fitting(written.with(&summed)) };
        if self.seq == 0 {
            self.layer.make_journal(&self.header.image(&slot))?;
            self.layer.sync_journal()?;
            self.layer.name_journal()?;
            // The part file's own entry becomes durable with it.
            self.layer.sync_folder()?;
        } else {
            // Slot 0 has the odd numbers: this is the one that does not hold the newest.
            let offset = self.header.slot_offset(self.seq % 2);
            self.layer.write_journal(offset, &slot.encode(self.header.id))?;
            self.layer.sync_journal()?;
        }
        self.seq = slot.seq;
        let durable_bytes = slot.runs.iter().map(|run| run.span.len()).sum();
        Ok(Recorded { durable_bytes, summed })
    }

    /// The CRCs of what was written without one.
    fn sum(&mut self, unsummed: &[Span]) -> Result<Vec<Run>> {
        let run = |&span| self.layer.sum_part(span).map(|crc32c| Run { span, crc32c });
        let summed: Vec<Run> = unsummed.iter().map(run).collect::<Result<_>>()?;
        if !summed.is_empty() {
            // These CRCs are of what was read, which is what was written only if nobody cut it.
            self.layer.check_part(self.header.identity.total)?;
        }
        Ok(summed)
    }
}

/// Starts over: no journal speaks of the part file any more when its bytes go.
pub(super) fn discard(layer: &mut impl Layer) -> Result<()> {
    layer.remove_journal()?;
    layer.sync_folder()?;
    layer.empty_part()
}
