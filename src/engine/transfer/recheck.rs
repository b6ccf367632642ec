//! The check of what an earlier run has left, beside an attempt: starts it, tells how far it is,
//! and ends the attempt when bytes are found that have to be fetched again.

use crate::base::size::format_bytes;
use crate::base::{Error, ErrorKind, Result, SpanSet};
use crate::disk::output::Output;
use crate::disk::recheck::Recheck;
use crate::engine::context::Job;
use crate::engine::progress::Level;
use crate::engine::transfer::on_disk::Here;
use std::sync::Arc;
use tokio::sync::oneshot;

/// A check that is under way.
pub(in crate::engine) struct Rechecking {
    _recheck: Recheck,
    ended: oneshot::Receiver<()>,
}

impl Rechecking {
    /// Starts to read back what is `here`, if nobody has since it was left.
    pub(in crate::engine) fn start(
        job: &Arc<Job>,
        output: &Output,
        here: &Here,
    ) -> Result<Option<Self>> {
        if job.unchecked_bytes() == 0 {
            return Ok(None);
        }
        let (sender, ended) = oneshot::channel();
        let own_job = job.clone();
        let on_end = move |outcome: Result<SpanSet>| {
            own_job.set_unchecked(0);
            match outcome {
                Ok(wrong) if wrong.is_empty() => {
                    own_job.tell(Level::Detail, None, "what was here is as it was written");
                    // Nobody waits any more if the transfer has failed meanwhile.
                    _ = sender.send(());
                }
                Ok(wrong) => own_job.fail_corrupt(wrong),
                Err(error) => own_job.fail(error),
            }
        };
        let watching = job.clone();
        let on_checked = move |bytes| watching.checked(bytes);
        let recheck = Recheck::start(output, here.runs(), on_checked, on_end)?;
        Ok(Some(Self { _recheck: recheck, ended }))
    }

    /// Waits until every byte that was here is known to be right. To be given up when the job
    /// fails.
    pub(in crate::engine) async fn finished(self, job: &Job) -> Result<()> {
        let bytes = job.unchecked_bytes();
        if bytes > 0 {
            let text =
                format!("{} of what was here are still to be read back", format_bytes(bytes));
            job.tell(Level::Detail, None, text);
        }
        let ended = self.ended.await;
        ended.map_err(|_| Error::new(ErrorKind::Internal, "the check of kept bytes has no outcome"))
    }
}
