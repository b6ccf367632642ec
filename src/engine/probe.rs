//! What the machine grants, for those who may not look at the kernel themselves.

pub use crate::io::probe::{Finding, FindingState, findings, free_bytes, settle};
