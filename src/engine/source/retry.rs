//! Repeats what a server was to do, with waits between, as long as its failures may pass.

use crate::base::Result;
use crate::base::limits::RETRY_AFTER_MAX;
use crate::engine::context::Context;
use crate::engine::failure::Failure;
use crate::engine::progress::Level;

/// Repeats `attempt` until it succeeds; failures that may pass are retried.
pub(in crate::engine) async fn retrying<T>(
    context: &Context,
    attempt: impl AsyncFn() -> Result<T, Failure>,
) -> Result<T> {
    let mut backoff = context.backoff();
    loop {
        let Failure { error, retry_after, .. } = match attempt().await {
            Ok(value) => return Ok(value),
            Err(failure) => failure,
        };
        let Some(wait) = backoff.next(error.kind()) else { return Err(error) };
        let wait = wait.max(retry_after.unwrap_or_default().min(RETRY_AFTER_MAX));
        context.retried_after(wait);
        context.tell(Level::Detail, Some(0), format!("{error}; trying again in {wait:.1?}"));
        tokio::time::sleep(wait).await;
    }
}
