//! What became of each file of a batch, and of all of them: for programs as JSON Lines, for people
//! as a log and a summary.
//!
//! `json` is the form of a result, `log` that of an event, `summary` counts and concludes. Must not
//! know where lines are written, nor exit codes of the whole.

mod json;
mod log;
mod summary;

pub use log::{Happening, LogLine};
pub use summary::{Conclusion, Summary};

use crate::base::Error;
use crate::batch::validator::Validator;
use crate::engine::options::{Checksum, PieceHashes, SourceHints};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What became of one file.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What the list asked for.
    pub asked: Asked,
    /// Where the file is, or was to be.
    pub path: PathBuf,
    /// Bytes of the file; of a failed one those that had arrived.
    pub bytes: u64,
    /// From its first request to its durable name, or to its failure.
    pub elapsed: Duration,
    /// How it ended.
    pub status: Status,
    /// A digest of its bytes, if one was computed.
    pub digest: Option<Checksum>,
    /// What the server said by which it can be asked again.
    pub validator: Option<Validator>,
    /// Failures that were retried.
    pub retries: u32,
}

impl Outcome {
    /// That of a line that is no item.
    pub(super) fn of_bad_item(error: Error) -> Self {
        Self {
            asked: Asked::default(),
            path: PathBuf::new(),
            bytes: 0,
            elapsed: Duration::ZERO,
            status: Status::Failed(error),
            digest: None,
            validator: None,
            retries: 0,
        }
    }
}

/// How a file ended.
#[derive(Debug, Clone)]
pub enum Status {
    /// It was fetched.
    Done,
    /// It was there already.
    Unchanged,
    /// It could not be fetched.
    Failed(Error),
}

/// One item of a list, as it was written: enough to write it again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// URLs of the file, the first one before its mirrors; at least one.
    pub urls: Vec<String>,
    /// Its target below the folder of the batch.
    pub out: Option<String>,
    /// The folder for it, below that of the batch.
    pub dir: Option<String>,
    /// Its digest.
    pub checksum: Option<Checksum>,
    /// Its size in bytes, which a list may be wrong about.
    pub size: Option<u64>,
    /// The size that it must have in bytes, as its publisher says. A line of JSON has it as `size`
    /// alone.
    pub size_required: Option<u64>,
    /// The digests of its pieces, which a line of JSON does not have.
    pub pieces: Option<Arc<PieceHashes>>,
    /// What is said of its URLs, which a line of JSON does not have.
    pub hints: SourceHints,
    /// Header fields to send, `Name: value`.
    pub headers: Vec<String>,
    /// Name of the client to send.
    pub user_agent: Option<String>,
    /// Further keys and their values: options of a download.
    pub other: Vec<(String, String)>,
}

impl Asked {
    /// Its first URL; empty for an item that has none.
    pub fn url(&self) -> &str {
        self.urls.first().map_or("", String::as_str)
    }
}
