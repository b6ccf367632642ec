//! The check of what an earlier run has left, beside an attempt: starts it, tells how far it is,
//! and ends the attempt when bytes are found that have to be fetched again.

use super::on_disk::OnDisk;
use crate::base::size::format_bytes;
use crate::base::{Error, ErrorKind, Result, SpanSet};
use crate::disk::output::Output;
use crate::disk::recheck::Recheck;
use crate::engine::context::Context;
use crate::engine::progress::Level;
use std::sync::Arc;
use tokio::sync::oneshot;

/// A check that is under way.
pub(super) struct RecheckTask {
    _recheck: Recheck,
    ended: oneshot::Receiver<()>,
}

impl RecheckTask {
    /// Starts to read back what is `on_disk`, if nobody has since it was left.
    pub(super) fn start(
        context: &Arc<Context>,
        output: &Output,
        on_disk: &OnDisk,
    ) -> Result<Option<Self>> {
        if context.unchecked_bytes() == 0 {
            return Ok(None);
        }
        let (sender, ended) = oneshot::channel();
        let own_context = context.clone();
        let on_end = move |outcome: Result<SpanSet>| {
            own_context.set_unchecked(0);
            match outcome {
                Ok(wrong) if wrong.is_empty() => {
                    own_context.tell(Level::Detail, None, "what was here is as it was written");
                    // Nobody waits any more if the transfer has failed meanwhile.
                    _ = sender.send(());
                }
                Ok(wrong) => own_context.fail_corrupt(wrong),
                Err(error) => own_context.fail(error),
            }
        };
        let watching = context.clone();
        let on_checked = move |bytes| watching.checked(bytes);
        let recheck = Recheck::start(output, on_disk.runs(), on_checked, on_end)?;
        Ok(Some(Self { _recheck: recheck, ended }))
    }

    /// Waits until every byte that was here is known to be right. To be given up when the context
    /// fails.
    pub(super) async fn finished(self, context: &Context) -> Result<()> {
        let bytes = context.unchecked_bytes();
        if bytes > 0 {
            let text =
                format!("{} of what was here are still to be read back", format_bytes(bytes));
            context.tell(Level::Detail, None, text);
        }
        let ended = self.ended.await;
        ended.map_err(|_| Error::new(ErrorKind::Internal, "the check of kept bytes has no outcome"))
    }
}
