//! Which part of a list a run has. Must not know which items that are.

use crate::base::Slice;

/// A slice of a list, and what divides the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListSlice {
    /// Which slice.
    pub slice: Slice,
    /// What divides the list.
    pub by: SliceBy,
}

/// What divides a list into slices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum SliceBy {
    /// A hash of the target.
    #[default]
    Name,
    /// The sizes that the list says, so that slices have about as many bytes; files without one go
    /// by name.
    Bytes,
}
