//! The batch where it is hard: killed at any moment, endless lists, few descriptors, a full disk,
//! few connections. Each test has a short form here; environment variables give the long ones.
//!
//! `RINGHAUL_KILLS=100` kills that often during 20,000 files; `RINGHAUL_LIST_SECONDS=60` reads an
//! endless list for that time; `RINGHAUL_LATENCY_ROUNDS=7` measures latencies, and prints them.

#[path = "batch_hard/budgets.rs"]
mod budgets;
mod common;
#[path = "batch_hard/descriptors.rs"]
mod descriptors;
#[path = "batch_hard/endless.rs"]
mod endless;
#[path = "batch_hard/full.rs"]
mod full;
#[path = "batch_hard/ground.rs"]
mod ground;
#[path = "batch_hard/killed.rs"]
mod killed;
#[path = "batch_hard/latency.rs"]
mod latency;
#[path = "disk_faults/memory.rs"]
mod memory;
#[path = "batch_hard/ordinary.rs"]
mod ordinary;
