//! What the runs allow to be said: medians, intervals, the verdict, the best setting.
//!
//! Reads the records of `measure`; must not know how anything is drawn or written to files.

pub(super) mod comparison;
pub(super) mod figures;
pub(super) mod heat_map;
pub(super) mod profile;
pub(super) mod results;
pub mod statistics;
