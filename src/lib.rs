//! ringhaul: HTTP downloads at the speed of the kernel.

pub mod base;
