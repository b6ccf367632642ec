//! Repeats what a server was to do, with waits between, as long as its failures may pass.

use crate::base::Result;
use crate::base::limits::RETRY_AFTER_MAX;
use crate::base::size::format_wait;
use crate::engine::context::Context;
use crate::engine::failure::Failure;
use crate::engine::progress::Level;
use std::time::Duration;

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
        let asked = retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
        let is_asked = asked > wait;
        let wait = wait.max(asked);
        context.retried_after(wait);
        context.wait_for_retry(error.kind(), wait, backoff.failures(), is_asked);
        let text = format!("{error}; trying again {}", after(wait));
        context.tell(Level::Detail, Some(0), text);
        tokio::time::sleep(wait).await;
    }
}

/// `in 4 s`, or `at once`.
pub(in crate::engine) fn after(wait: Duration) -> String {
    if wait.is_zero() { "at once".to_owned() } else { format!("in {}", format_wait(wait)) }
}
