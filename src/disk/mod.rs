//! Rank 3: the output. The part file, its way to the final name, the journal of what of it is
//! durable, and the digest of what it holds. Knows neither the network nor the plan.

pub mod journal;
pub mod output;
mod place;
mod read_back;
pub mod recheck;
pub mod verify;
