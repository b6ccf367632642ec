//! Rank 3: the output. A part file, its way to the final name, and the journal of what of it is
//! durable; or a stream that passes the file on in order. And the digests of what was written.
//! Knows neither the network nor the plan.
//!
//! From below: `folders` (of a batch), `staging` (of its small files), `place` (names and lock),
//! `journal`, `output` (what takes blocks), and what reads bytes back: `recheck`, `verify`,
//! `piece_verifier`. `salvage` takes over what an existing file has, `slices` joins what several
//! machines have fetched. `record_log` is for those above: a log of any records.

pub mod folders;
pub mod journal;
pub mod output;
pub mod piece_verifier;
mod place;
pub mod read_back;
pub mod recheck;
pub mod record_log;
pub mod salvage;
mod slice_names;
pub mod slices;
pub mod staging;
pub mod verify;
