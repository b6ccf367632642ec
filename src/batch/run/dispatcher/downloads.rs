//! The side of large files: what a download is started with, and how it ended.

use super::Dispatcher;
use crate::base::{Error, Url};
use crate::batch::result::Status;
use crate::batch::validator::Validator;
use crate::engine::options::{Checksum, PieceHashes, SourceHints};
use crate::schedule::{ItemId, Outcome};
use std::fs::Metadata;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// A large file to start.
pub(in crate::batch::run) struct Start {
    pub(in crate::batch::run) url: Url,
    /// Where else it can be had.
    pub(in crate::batch::run) mirrors: Vec<Url>,
    /// Its path below the batch's folder.
    pub(in crate::batch::run) target: PathBuf,
    /// Header fields of its own.
    pub(in crate::batch::run) headers: Vec<(String, String)>,
    /// The digest it must have.
    pub(in crate::batch::run) checksum: Option<Checksum>,
    /// The digests its pieces must have.
    pub(in crate::batch::run) pieces: Option<Arc<PieceHashes>>,
    /// What is said of its URLs.
    pub(in crate::batch::run) hints: SourceHints,
    /// The size it must have.
    pub(in crate::batch::run) bytes: Option<u64>,
    /// What has the target's name may be replaced.
    pub(in crate::batch::run) replace: bool,
}

/// What a download has told of a large file.
pub(in crate::batch::run) struct LargeDone {
    /// Bytes of it that have arrived in this run.
    pub(in crate::batch::run) new_bytes: u64,
    pub(in crate::batch::run) retries: u32,
    pub(in crate::batch::run) digest: Option<Checksum>,
    pub(in crate::batch::run) validator: Option<Validator>,
    /// The file under its name.
    pub(in crate::batch::run) meta: Option<Metadata>,
}

impl Dispatcher {
    /// A large file is started.
    pub(in crate::batch::run) fn start_large(&self, id: ItemId) -> Start {
        let mut state = self.lock();
        state.tell_start(id);
        let job = state.jobs.get_mut(&id.0).expect("what is started is there");
        job.began.get_or_insert_with(Instant::now);
        let (url, mirrors) = job.ask_all();
        Start {
            url,
            mirrors,
            target: job.target.clone(),
            headers: job.headers.clone(),
            checksum: job.asked.checksum.clone(),
            pieces: job.asked.pieces.clone(),
            hints: job.asked.hints.clone(),
            bytes: job.asked.size_required,
            replace: job.replace,
        }
    }

    /// An answer has told what is missing of a large file.
    pub(in crate::batch::run) fn learn(&self, id: ItemId, bytes: u64) {
        self.lock().learn(id, bytes);
    }

    /// A large file has come.
    pub(in crate::batch::run) fn large_done(&self, id: ItemId, bytes: u64, done: LargeDone) {
        let mut state = self.lock();
        state.learn(id, done.new_bytes);
        let origin = state.origin_of(id);
        let Some(mut job) = state.jobs.remove(&id.0) else { return };
        let now = state.now();
        state.scheduler.finished(id, now, Outcome::Done { bytes });
        if let Some(origin) = origin {
            state.origins.answered(origin);
        }
        let LargeDone { retries, digest, validator, meta, .. } = done;
        job.bytes = bytes;
        job.retries += retries;
        (job.digest, job.validator) = (digest.or(job.digest), validator);
        state.end(job, Status::Done, meta);
        drop(state);
        self.ring();
    }

    /// A large file has failed.
    pub(in crate::batch::run) fn large_failed(&self, id: ItemId, error: Error) {
        let mut state = self.lock();
        if let Some(origin) = state.origin_of(id) {
            state.on_failed_download(origin, &error);
        }
        state.fail(id, error, true);
        drop(state);
        self.ring();
    }

    /// A large file that was to use fewer connections does.
    pub(in crate::batch::run) fn released(&self, id: ItemId, connections: u32) {
        self.lock().scheduler.released(id, connections);
        self.ring();
    }
}
