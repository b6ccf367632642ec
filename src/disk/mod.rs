//! Rank 3: the output. The part file, its way to the final name, and the digest of what it holds.
//! Knows neither the network nor the plan.

pub mod output;
pub mod verify;
