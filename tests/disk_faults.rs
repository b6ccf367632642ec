//! Disks that fail and files that change under us: each ends in a clear line and the right exit
//! code, with nothing at the final name, and the next run ends well from what was durable.
//!
//! System calls fail through strace, file systems are small ones in a namespace of the test's own.
//! What this machine does not permit is skipped loudly; with `RINGHAUL_REQUIRE_SERVERS=1` strace
//! has to be there.

mod common;
#[path = "disk_faults/full.rs"]
mod full;
#[path = "disk_faults/ground.rs"]
mod ground;
#[path = "disk_faults/injected.rs"]
mod injected;
#[path = "disk_faults/journals.rs"]
mod journals;
#[path = "disk_faults/killed.rs"]
mod killed;
#[path = "disk_faults/memory.rs"]
mod memory;
#[path = "disk_faults/sweep.rs"]
mod sweep;
#[path = "disk_faults/theirs.rs"]
mod theirs;
#[path = "disk_faults/under_us.rs"]
mod under_us;
#[path = "disk_faults/unsynced.rs"]
mod unsynced;
