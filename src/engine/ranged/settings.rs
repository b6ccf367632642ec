//! What the options of a download and its file mean for the plan.

use super::File;
use crate::base::limits::{BLOCK_BYTES, HEDGE_BYTES_MAX, SPAN_ALIGN_BYTES, SPAN_BYTES_AUTO_MAX};
use crate::engine::context::{Context, jitter_seed};
use crate::engine::source::endpoint::Endpoint;
use crate::plan::{Fanout, RequestSize, Settings, SourceId};

/// Largest span in bytes while the file is hashed in order: the connections together run ahead of
/// the hash by one such span each.
const SPAN_BYTES_HASHED_MAX: u64 = 16 << 20;
/// Hedging may fetch one part in 50 of what is wanted twice.
const HEDGE_SHARE: u64 = 50;

/// The settings of a plan for `file`, which is first asked of `endpoint`.
pub(super) fn settings(
    context: &Context,
    file: &File,
    endpoint: &Endpoint,
    is_hashed: bool,
) -> Settings {
    let (options, learned) = (&context.options, &context.client.learned);
    Settings {
        request: request_size(context),
        fanout: match options.connections {
            Some(connections) => Fanout::Fixed(connections),
            None => Fanout::Auto { max: options.max_connections },
        },
        retries: options.retries,
        retry_wait: options.retry_wait,
        jitter_seed: jitter_seed(),
        block_bytes: BLOCK_BYTES as u64,
        align_bytes: SPAN_ALIGN_BYTES,
        request_ahead: options.request_ahead && learned.takes_ahead(endpoint.origin()),
        span_bytes_max: if is_hashed { SPAN_BYTES_HASHED_MAX } else { SPAN_BYTES_AUTO_MAX },
        addresses: endpoint.addresses(),
        connections_known: learned.connections(endpoint.origin()),
        hedge_bytes_max: (file.wanted_bytes / HEDGE_SHARE).min(HEDGE_BYTES_MAX),
        sources: 1,
        first_source: SourceId(0),
        mirror_policy: options.mirror_policy,
        // Blocks of a file go to their place in any order.
        ahead_bytes_max: file.ahead_bytes_max,
        rate_limit_bytes: context.rate_limit(endpoint.counted()).map(|(bytes, _)| bytes),
    }
}

/// The request size the options ask for.
pub(in crate::engine) fn request_size(context: &Context) -> RequestSize {
    context.options.chunk_bytes.map_or(RequestSize::Auto, RequestSize::Fixed)
}
