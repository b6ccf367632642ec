//! Where the bytes of a file come from: made from a seed, stored in a folder, a list of
//! files, or the description of one.
//!
//! Must not know requests or how bytes travel.

use super::content;
use super::folder::Stored;
use super::numbered::List;
use crate::base::Span;
use std::io;
use std::sync::Arc;

/// Bytes read at a time, of what is not made from a seed, where they are only looked at.
const READ_BYTES: usize = 64 * 1024;

/// The bytes of one file.
#[derive(Debug, Clone)]
pub(in crate::server) enum FileBytes {
    /// The content of this seed.
    Made { seed: u64 },
    /// What is in this open file.
    Stored(Arc<Stored>),
    /// The lines of this list.
    List(Arc<List>),
    /// A description of another file.
    Text(Arc<[u8]>),
}

impl FileBytes {
    /// Fills `out` with the bytes from `offset` on.
    pub(in crate::server) fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match self {
            Self::Made { seed } => {
                content::fill(*seed, offset, out);
                Ok(())
            }
            Self::Stored(stored) => stored.read(offset, out),
            Self::List(list) => {
                list.read(offset, out);
                Ok(())
            }
            Self::Text(text) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let bytes = text.get(start..).and_then(|rest| rest.get(..out.len()));
                out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
                Ok(())
            }
        }
    }

    /// Hands the bytes of `span` to `each`, in order and in pieces.
    pub(in crate::server) fn walk(
        &self,
        span: Span,
        mut each: impl FnMut(&[u8]),
    ) -> io::Result<()> {
        if let Self::Made { seed } = self {
            content::walk(*seed, span, each);
            return Ok(());
        }
        let mut piece = vec![0; READ_BYTES];
        let mut at = span.start();
        while at < span.end() {
            let bytes = usize::try_from(span.end() - at).unwrap_or(READ_BYTES).min(READ_BYTES);
            self.read(at, &mut piece[..bytes])?;
            each(&piece[..bytes]);
            at += bytes as u64;
        }
        Ok(())
    }
}
