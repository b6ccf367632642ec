//! The settings of a batch, and what they mean for those who do the work. Must not know that work.

use crate::base::url::Origin;
use crate::base::{Error, ErrorKind, Result};
use crate::batch::list_slice::ListSlice;
use crate::batch::state::IfExists;
use crate::engine::landing::Durability;
use crate::engine::options::{ClientOptions, Options, SyncMode};
use crate::schedule::{Parallel, Settings};
use std::path::PathBuf;

/// Settings of a batch; `BatchOptions::default()` is a good start.
#[derive(Debug, Clone)]
pub struct BatchOptions {
    /// The folder that all files go to; it must exist.
    pub dir: PathBuf,
    /// Files at once; `None` for as many as pay.
    pub parallel: Option<u32>,
    /// Most connections of all files at once, at least 1.
    pub max_connections: u32,
    /// Most connections to one origin at once, at least 1.
    pub max_connections_per_host: u32,
    /// The same for single origins, in its place.
    pub max_connections_by_origin: Vec<(Origin, u32)>,
    /// What is done about targets that are there.
    pub if_exists: IfExists,
    /// Folders below [`dir`](Self::dir) that items name are made.
    pub create_dirs: bool,
    /// When files are durable.
    pub sync: Durability,
    /// Files have the time at which the server says that they were changed.
    pub remote_time: bool,
    /// The journal of the batch: what it has done a later run does not do again.
    pub state: Option<PathBuf>,
    /// The slice that the items are, and what divided the list: it has a journal of its own, beside
    /// [`state`](Self::state), and knows what those of others say. The items of others are left out
    /// by whoever hands over the items, as [`Share`](crate::batch::slices::Share) says.
    pub part: Option<ListSlice>,
    /// The first failure ends the batch.
    pub fail_fast: bool,
    /// Header fields for the files of these origins, unless an item has its own of that name.
    pub headers_by_origin: Vec<(Origin, Vec<(String, String)>)>,
    /// Settings of each file. Its checksum, output and trace are not used.
    pub options: Options,
    /// Settings of the client that fetches them all.
    pub client: ClientOptions,
}

impl Default for BatchOptions {
    fn default() -> Self {
        let options = Options::default();
        Self {
            dir: PathBuf::from("."),
            parallel: None,
            max_connections: options.max_connections,
            max_connections_per_host: options.max_connections,
            max_connections_by_origin: Vec::new(),
            if_exists: IfExists::default(),
            create_dirs: true,
            sync: Durability::default(),
            remote_time: false,
            state: None,
            part: None,
            fail_fast: false,
            headers_by_origin: Vec::new(),
            options,
            client: ClientOptions::default(),
        }
    }
}

impl BatchOptions {
    /// An error if a setting is wrong.
    pub(super) fn validate(&self) -> Result<()> {
        if self.options.part.is_some() {
            let what = "a part is asked for of many files, and it can be of one only";
            return Err(Error::new(ErrorKind::Usage, what).advise("start a download for each"));
        }
        self.options.validate()?;
        self.client.rate.validate()
    }

    /// Of the client that fetches all files.
    pub(super) fn client_options(&self) -> ClientOptions {
        ClientOptions {
            max_connections: Some(self.max_connections),
            max_connections_per_host: Some(self.max_connections_per_host),
            max_connections_by_origin: self.max_connections_by_origin.clone(),
            ..self.client.clone()
        }
    }

    /// Of the scheduler.
    pub(super) fn schedule_settings(&self) -> Settings {
        Settings {
            parallel: self.parallel.map_or(Parallel::Auto, Parallel::Fixed),
            connections_total_max: self.max_connections,
            connections_per_origin_max: self.max_connections_per_host,
            ..Settings::default()
        }
    }

    /// Of lanes, whose files are made durable where they land.
    pub(super) fn lane_options(&self) -> Options {
        let remote_time = self.remote_time;
        Options { checksum: None, trace: None, remote_time, ..self.options.clone() }
    }

    /// Of each download of a large file.
    pub(super) fn large_options(&self) -> Options {
        let sync = match self.sync {
            Durability::None => SyncMode::None,
            Durability::File | Durability::Batch => SyncMode::File,
        };
        Options { trace: None, sync, remote_time: self.remote_time, ..self.options.clone() }
    }
}
