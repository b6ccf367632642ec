//! Many files by the binary and by the library, each test for its effect: on the folder, at the
//! server, in what is said.
//!
//! Every path of the servers has bytes of its own, so that files that were mixed up are found.

mod common;

#[path = "batch/budgets.rs"]
mod budgets;
#[path = "batch/farm.rs"]
mod farm;
#[path = "batch/faults.rs"]
mod faults;
#[path = "batch/library.rs"]
mod library;
#[path = "batch/lists.rs"]
mod lists;
#[path = "batch/mirrors.rs"]
mod mirrors;
#[path = "batch/past_cache.rs"]
mod past_cache;
#[path = "batch/python.rs"]
mod python;
#[path = "batch/rerun.rs"]
mod rerun;
#[path = "batch/results.rs"]
mod results;
#[path = "batch/storm.rs"]
mod storm;
#[path = "batch/stuck.rs"]
mod stuck;
