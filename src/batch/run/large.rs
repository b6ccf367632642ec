//! The large files of a batch: each is a download of its own on the batch's client. Must not know
//! which of them is next, nor how many connections it may have.

use super::dispatcher::{Dispatcher, LargeDone, Start};
use crate::base::Result;
use crate::batch::progress::Active;
use crate::batch::validator::{Form, Validator};
use crate::engine::landing::Landing;
use crate::engine::options::Options;
use crate::engine::progress::{FileValidator, Phase, Progress, Report};
use crate::engine::{Client, Download, Running};
use crate::schedule::ItemId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The downloads that run.
pub(super) struct Large {
    client: Client,
    options: Options,
    landing: Arc<Landing>,
    dispatcher: Arc<Dispatcher>,
    running: BTreeMap<u64, One>,
    /// Those that have ended since, and the most connections that each had open at once, if that is
    /// known.
    ended: Arc<Mutex<Vec<(u64, u32)>>>,
    /// Bytes of those that have ended.
    bytes: u64,
    /// Most connections that one of those that have ended had open at once.
    connections_max: u32,
}

struct One {
    running: Running,
    name: String,
    /// Most connections it was told to have.
    connections: u32,
    /// Told to use fewer than before, which has to be reported once it does.
    is_shrinking: bool,
    /// What was missing of it when it began, once that is known.
    missing_bytes: Option<u64>,
}

impl Large {
    pub(super) fn new(
        client: &Client,
        options: Options,
        landing: Arc<Landing>,
        dispatcher: Arc<Dispatcher>,
    ) -> Self {
        Self {
            client: client.clone(),
            options,
            landing,
            dispatcher,
            running: BTreeMap::new(),
            ended: Arc::default(),
            bytes: 0,
            connections_max: 0,
        }
    }

    /// Starts the item with at most this number of connections.
    pub(super) fn start(&mut self, id: ItemId, connections: u32) {
        let start = self.dispatcher.start_large(id);
        let name = start.target.display().to_string();
        match self.try_start(id, start, connections) {
            Ok(running) => {
                let one =
                    One { running, name, connections, is_shrinking: false, missing_bytes: None };
                self.running.insert(id.0, one);
            }
            Err(error) => self.dispatcher.large_failed(id, error),
        }
    }

    fn try_start(&self, id: ItemId, start: Start, connections: u32) -> Result<Running> {
        let Start { url, mirrors, hints, target, headers, checksum, pieces, bytes, replace } =
            start;
        let folder = self.landing.folder_of(&target)?;
        let path = folder.join(target.file_name().unwrap_or_default());
        let mut options = self.options.clone();
        options
            .headers
            .retain(|(name, _)| !headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name)));
        options.headers.extend(headers);
        options.checksum = checksum.or(options.checksum);
        options.pieces = pieces.filter(|_| options.verify);
        (options.mirrors, options.expected_bytes) = (mirrors, bytes);
        options.hints.connections = hints.connections;
        options.force |= replace;
        let (dispatcher, ended, at) = (self.dispatcher.clone(), self.ended.clone(), path.clone());
        let done = move |result: Result<Report>| {
            lock(&ended).push((id.0, result.as_ref().map_or(0, |report| report.connections)));
            match result {
                Ok(report) => {
                    let meta = std::fs::metadata(&at).ok();
                    dispatcher.large_done(id, report.bytes, done_of(&report, meta));
                }
                Err(error) => dispatcher.large_failed(id, error),
            }
        };
        let download = Download::of(url);
        let download = download.output(path).options(options).limit_connections(connections);
        download.start_then(&self.client, done)
    }

    /// The item may have this number of connections from now on.
    pub(super) fn regrant(&mut self, id: ItemId, connections: u32) {
        if let Some(one) = self.running.get_mut(&id.0) {
            one.is_shrinking |= connections < one.connections;
            one.connections = connections;
            one.running.limit_connections(connections);
        }
    }

    /// Looks after them: forgets those that have ended, and reports those that have shrunk.
    pub(super) fn tend(&mut self) {
        for (id, connections) in std::mem::take(&mut *lock(&self.ended)) {
            self.connections_max = self.connections_max.max(connections);
            if let Some(one) = self.running.remove(&id) {
                self.bytes += new_bytes(&one.running.progress());
            }
        }
        for (id, one) in &mut self.running {
            if one.is_shrinking && one.running.progress().connections <= one.connections {
                one.is_shrinking = false;
                self.dispatcher.released(ItemId(*id), one.connections);
            }
        }
    }

    /// Stops all of them.
    pub(super) fn stop(&self) {
        self.running.values().for_each(|one| one.running.stop_handle().stop());
    }

    /// Most connections that one of those that have ended had open at once.
    pub(super) fn connections_max(&self) -> u32 {
        self.connections_max
    }

    /// Whether none runs.
    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// The running ones, for whoever looks on; their bytes and those of the ended ones, and their
    /// connections. What is seen of their sizes is passed on.
    pub(super) fn look(&mut self) -> (Vec<Active>, u64, u32) {
        let (mut active, mut bytes, mut connections) = (Vec::new(), self.bytes, 0);
        for (id, one) in &mut self.running {
            let progress = one.running.progress();
            let total = progress.bytes_total;
            let missing = total.map(|total| total.saturating_sub(progress.resumed_bytes));
            if let Some(bytes) = missing.filter(|_| missing != one.missing_bytes) {
                one.missing_bytes = missing;
                self.dispatcher.learn(ItemId(*id), bytes);
            }
            bytes += new_bytes(&progress);
            connections += progress.connections;
            active.push(Active {
                name: one.name.clone(),
                bytes_done: progress.bytes_done,
                bytes_total: progress.bytes_total,
                rate_bytes_per_second: progress.rate_bytes_per_second,
                waiting: progress.waiting,
                silence: match progress.phase {
                    Phase::Connecting | Phase::Downloading => progress.silence,
                    _ => Duration::ZERO,
                },
            });
        }
        (active, bytes, connections)
    }
}

/// Bytes that have arrived in this run.
fn new_bytes(progress: &Progress) -> u64 {
    progress.bytes_done.saturating_sub(progress.resumed_bytes)
}

fn done_of(report: &Report, meta: Option<std::fs::Metadata>) -> LargeDone {
    let digest = report.verified.as_ref().and_then(|verified| verified.digest.parse().ok());
    LargeDone {
        new_bytes: report.new_bytes(),
        retries: report.retries,
        digest,
        validator: validator_of(report),
        meta,
    }
}

fn validator_of(report: &Report) -> Option<Validator> {
    match report.validator.as_ref()? {
        FileValidator::Etag(tag) => Validator::new(Form::Etag, tag),
        FileValidator::LastModified(date) => Validator::new(Form::LastModified, date),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
