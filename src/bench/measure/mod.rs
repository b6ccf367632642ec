//! Runs: who is measured, in which order, how one run is made, and what it came to.
//!
//! Must not know what is concluded from the runs, nor how they are shown.

pub(super) mod content;
pub(super) mod entry;
pub(super) mod file_list;
pub(super) mod lineup;
pub(super) mod list_errand;
pub(super) mod load;
pub(super) mod machine;
pub(super) mod peer;
pub(super) mod record;
pub(super) mod runner;
pub(super) mod scratch;
pub(super) mod server_process;
pub(super) mod sink;
pub(super) mod sweep;
pub(super) mod warm_up;
