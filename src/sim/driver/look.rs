//! Looks at further sources beside the transfer, as the engine's scouts take them. Owns when one
//! starts and what is reported at its end; must not know what a server does meanwhile.

use super::Driver;
use crate::base::limits::TWIN_SAMPLE_BYTES;
use crate::plan::{SourceId, Unopened};

/// Samples that are compared in a look, beside its first answer.
const SAMPLES: u64 = 4;

impl Driver {
    /// All servers were asked for the first `bytes` at the beginning, and what the others say is
    /// compared with what the first one has sent.
    pub(super) fn start_looks(&mut self, bytes: u64) {
        self.look(0.0, bytes);
    }

    /// Has further sources looked at in the course of the transfer.
    pub(super) fn look_again(&mut self) {
        self.look(self.now_s, (1 + SAMPLES) * TWIN_SAMPLE_BYTES);
    }

    fn look(&mut self, since_s: f64, bytes: u64) {
        if self.settings.sources == 1 {
            return;
        }
        for id in self.plan.sources_to_open(self.now()) {
            let ends_s = self.world.look(since_s, id.0 as usize, bytes);
            self.looks.push((id, ends_s));
        }
    }

    /// Reports the looks that have ended.
    pub(super) fn end_looks(&mut self) {
        let now_s = self.now_s;
        for (id, _) in self.looks.extract_if(.., |(_, ends_s)| *ends_s <= now_s).collect::<Vec<_>>()
        {
            self.end_look(id);
        }
    }

    fn end_look(&mut self, id: SourceId) {
        let now = self.now();
        match self.world.seen(self.now_s, id.0 as usize) {
            Ok(addresses) => self.plan.on_source_opened(now, id, addresses),
            Err(why) => {
                self.book.left_out(id, why == Unopened::Useless);
                self.plan.on_source_unopened(now, id, why);
            }
        }
        self.bell = true;
    }
}
