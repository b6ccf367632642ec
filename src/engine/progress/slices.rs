//! What is told of files that several machines fetch in slices.

use super::Verified;
use crate::base::{Slice, Url};
use std::path::PathBuf;
use std::time::Duration;

/// What has become of a slice of a file, all of which is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SliceReport {
    /// Which one.
    pub slice: Slice,
    /// How the others are.
    pub others: OtherSlices,
}

/// How the other slices of a file are when one is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OtherSlices {
    /// Those with these numbers are not complete.
    Missing(Vec<u32>),
    /// All are complete, and another process is at work on one, or joins them.
    InUse,
    /// All were complete: they were read back and joined, and the file has its name.
    Joined,
    /// They were joined before: the file has its name.
    JoinedBefore,
}

/// What has become of slices that were to be joined.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct JoinReport {
    /// Where the file is.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// The number of slices; `None`: the file has its name, as others have joined them before.
    pub slices: Option<u32>,
    /// Where the bytes came from, as far as is known.
    pub url: Option<Url>,
    /// The check of the digest, if one was known.
    pub verified: Option<Verified>,
    /// The digests asked for, as `sha256:HEX`.
    pub digests: Vec<String>,
    /// From the call to the file under its name.
    pub elapsed: Duration,
}
