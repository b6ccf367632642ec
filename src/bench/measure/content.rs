//! What a file has to be, so that one that a run has left can be compared with it.
//!
//! Must not know which program left it, nor what follows from a difference.

use crate::base::limits::BLOCK_BYTES;
use crate::engine::stop::StopHandle;
use crate::server::content;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

/// What the file has to be.
pub(in crate::bench) enum Content {
    /// The built-in server's.
    Seed(u64),
    /// The same as this file, which came first.
    Reference(PathBuf),
    /// Nobody can tell: there is no file.
    Unknown,
}

impl Content {
    /// Where `file`, which has `bytes` of them, departs from it; a stop is the difference, too.
    pub(in crate::bench) fn first_difference(
        &self,
        file: &mut File,
        bytes: u64,
        stop: &StopHandle,
    ) -> io::Result<Option<u64>> {
        let mut reference = match self {
            Content::Seed(_) | Content::Unknown => None,
            Content::Reference(path) => Some(File::open(path)?),
        };
        let block_bytes = usize::try_from(bytes).unwrap_or(usize::MAX).min(BLOCK_BYTES);
        let (mut block, mut other) = (vec![0; block_bytes], vec![0; block_bytes]);
        let mut offset = 0;
        while offset < bytes {
            let left = usize::try_from(bytes - offset).unwrap_or(usize::MAX);
            let count = left.min(block_bytes);
            file.read_exact(&mut block[..count])?;
            match (self, &mut reference) {
                (Content::Seed(seed), _) => content::fill(*seed, offset, &mut other[..count]),
                (Content::Reference(_), Some(file)) => file.read_exact(&mut other[..count])?,
                (Content::Reference(_) | Content::Unknown, _) => unreachable!("opened above"),
            }
            if block[..count] != other[..count] || stop.is_stopped() {
                let same = block.iter().zip(&other).take_while(|(a, b)| a == b).count();
                return Ok(Some(offset + same as u64));
            }
            offset += count as u64;
        }
        Ok(None)
    }
}
