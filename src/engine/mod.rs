//! Rank 4: one transfer from URL to file. The only place that sees plan and I/O together.
//!
//! The caller's thread watches and reports progress; the transfer runs on threads of its own, one
//! per shard: `transfer` leads from one `attempt` to the next, `discover` asks first, `worker` and
//! `stream` receive, `intake` is their inner loop, `keep` and `here` are what outlives an attempt,
//! `job` is what all of them share.

mod client;
mod context;
pub mod options;
pub mod progress;
mod race;
mod ranged;
mod receive;
pub mod small_file;
mod source;
pub mod stop;
mod trace;
mod transfer;

use crate::base::{Error, ErrorKind, Result, Url};
use crate::disk::output::Reserved;
use crate::http::Request;
use context::{EventListener, Job};
use options::Options;
use progress::{Event, Progress, Report};
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;
use stop::StopHandle;

/// Time between two progress reports.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Who hears of progress.
type ProgressListener = Box<dyn Fn(&Progress) + Send + Sync>;

/// Where the bytes go.
enum Target {
    File(PathBuf),
    Nowhere,
}

/// One download, to be configured and then run.
#[must_use = "a download does nothing before run()"]
pub struct Download {
    url: Url,
    output: Option<Target>,
    options: Options,
    stop: StopHandle,
    on_progress: Option<ProgressListener>,
    on_event: Option<EventListener>,
}

impl Download {
    /// A download of `url`, an absolute http or https URL.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if it is none.
    pub fn new(url: &str) -> Result<Self> {
        Ok(Self {
            url: Url::parse(url)?,
            output: None,
            options: Options::default(),
            stop: StopHandle::new(),
            on_progress: None,
            on_event: None,
        })
    }

    /// The URL.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The file to write. Required, unless [`Download::discard`] is called; its folder must exist.
    pub fn output(mut self, path: impl Into<PathBuf>) -> Self {
        self.output = Some(Target::File(path.into()));
        self
    }

    /// Receives and checks every byte, but keeps none: for measuring what is in front of the disk.
    /// Nothing can be resumed or verified against a digest of the whole file then.
    pub fn discard(mut self) -> Self {
        self.output = Some(Target::Nowhere);
        self
    }

    /// Settings other than the defaults.
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Called about ten times a second, and once at the end, on the thread that called
    /// [`Download::run`].
    pub fn on_progress(mut self, listener: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.on_progress = Some(Box::new(listener));
        self
    }

    /// Called for each event, on any thread; must not block.
    pub fn on_event(mut self, listener: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.on_event = Some(Box::new(listener));
        self
    }

    /// A handle that stops the download from another thread.
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// Downloads the file; blocks until it stands under its name, complete, synced and, where a
    /// checksum was given, verified, or until it is clear that it will not.
    ///
    /// # Errors
    /// Every [`ErrorKind`]; nothing stands under the final name then that was not there before.
    pub fn run(mut self) -> Result<Report> {
        self.options.validate()?;
        let target = self.output.ok_or_else(|| {
            Error::new(ErrorKind::Usage, "no output file is named").advise("call output()")
        })?;
        check_headers(&self.url, &self.options)?;
        let reserved = match target {
            Target::File(path) => Reserved::new(&path, self.options.force)?,
            Target::Nowhere => {
                self.options.keep_nothing()?;
                Reserved::nowhere()
            }
        };
        let job = Job::new(self.options, self.stop, self.on_event);
        let (ended, end) = mpsc::channel::<()>();
        let (url, own_job) = (self.url, job.clone());
        let work = move || {
            // Dropped when the thread ends, in a panic too.
            let _ended = ended;
            transfer::run(own_job, &url, reserved)
        };
        let worker = thread::Builder::new().name("ringhaul-main".into()).spawn(work);
        let worker = worker.map_err(|e| {
            Error::new(ErrorKind::ResourceLimit, "cannot start the engine's thread").caused_by(e)
        })?;
        while end.recv_timeout(PROGRESS_INTERVAL) == Err(RecvTimeoutError::Timeout) {
            job.check_time();
            if let Some(listener) = &self.on_progress {
                listener(&job.progress());
            }
        }
        if let Some(listener) = &self.on_progress {
            listener(&job.progress());
        }
        worker.join().unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Internal, "the engine's thread panicked"))
        })
    }
}

/// Header fields that cannot be sent are the caller's mistake, before anything is done.
fn check_headers(url: &Url, options: &Options) -> Result<()> {
    let mut request = Request::get(url);
    for (name, value) in &options.headers {
        request = request.header(name, value)?;
    }
    request.encode().map(drop)
}
