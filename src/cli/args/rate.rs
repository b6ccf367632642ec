//! The words that bound the rate of a run.

use super::values::limit_rate;
use crate::base::url::Origin;
use crate::engine::options::rate::RateLimit;

/// Limits of the rate.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct RateArgs {
    /// Most bytes per second of all files together: 10M is 10 MB/s; 0: any. Kept within 2 % over
    /// any ten seconds, without bursts.
    #[arg(long, value_name = "RATE", env = "RINGHAUL_LIMIT_RATE", help_heading = "Transfer")]
    #[arg(value_parser = limit_rate)]
    pub(in crate::cli) limit_rate: Option<u64>,

    /// The same for what comes from one scheme, host and port.
    #[arg(long, value_name = "RATE", env = "RINGHAUL_LIMIT_RATE_PER_HOST")]
    #[arg(value_parser = limit_rate, help_heading = "Transfer")]
    pub(in crate::cli) limit_rate_per_host: Option<u64>,

    /// The same for what comes from these origins, of which 0 is any rate.
    #[arg(skip)]
    pub(in crate::cli) by_origin: Vec<(Origin, u64)>,
}

impl RateArgs {
    /// In the words of the engine, in which any rate is no number.
    pub(in crate::cli) fn limit(&self) -> RateLimit {
        let set = |bytes: Option<u64>| bytes.filter(|bytes| *bytes > 0);
        let by_origin = self.by_origin.iter().cloned();
        let any_is_most = |(origin, bytes)| (origin, if bytes == 0 { u64::MAX } else { bytes });
        RateLimit {
            total_bytes: set(self.limit_rate),
            per_host_bytes: set(self.limit_rate_per_host),
            by_origin: by_origin.map(any_is_most).collect(),
        }
    }
}
