//! What a caller configures and runs: one download, and the handle on one that is under way.

use super::client::Client;
use super::context::{Context, EventListener};
use super::local::Local;
use super::options::Options;
use super::ordered;
use super::progress::{Event, Progress, Report};
use super::stop::StopHandle;
use super::transfer::Transfer;
use crate::base::{Error, ErrorKind, Result, Slice, Url};
use crate::disk::output::Reserved;
use crate::disk::slices::{self, Standing};
use crate::http::Request;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, TryRecvError};
use std::time::Duration;

/// Time between two progress reports.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Who hears of progress.
type ProgressListener = Box<dyn Fn(&Progress) + Send + Sync>;

/// Where the bytes go.
enum Target {
    File(PathBuf),
    /// The file is there and is repaired.
    Repair(PathBuf),
    /// If the file is there it is written where it stands.
    Inside(PathBuf),
    /// Bytes are passed on in order.
    Stream(OwnedFd),
    Nowhere,
}

/// One download, to be configured and then run.
///
/// # Example
///
/// ```
/// use ringhaul::{Download, ErrorKind};
///
/// let error = Download::new("ftp://example.org/file").err().expect("no http URL");
/// assert_eq!(error.kind(), ErrorKind::Usage);
///
/// let download = Download::new("https://example.org/file")?.output("file");
/// assert_eq!(download.url().to_string(), "https://example.org/file");
/// # Ok::<(), ringhaul::Error>(())
/// ```
#[must_use = "a download does nothing before run()"]
pub struct Download {
    url: Url,
    output: Option<Target>,
    /// What gets the same bytes as a stream.
    copy: Option<PathBuf>,
    options: Options,
    /// Most connections, until [`Running::limit_connections`] says otherwise.
    connections_limit: u32,
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
        Ok(Self::of(Url::parse(url)?))
    }

    /// A download of `url`.
    pub fn of(url: Url) -> Self {
        Self {
            url,
            output: None,
            copy: None,
            options: Options::default(),
            connections_limit: u32::MAX,
            stop: StopHandle::new(),
            on_progress: None,
            on_event: None,
        }
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

    /// The file that is there already and is to be repaired, in the place of
    /// [`Download::output`]: what differs in it from what the server has is found out, and only
    /// that is fetched. It stays as it is until the repaired file is complete, which replaces it.
    ///
    /// What differs is known from [`Options::pieces`], or from a journal beside the file. If
    /// neither is there and the file has not the digest that it should have, the repair is refused,
    /// as [`ErrorKind::Usage`].
    pub fn repair(mut self, path: impl Into<PathBuf>) -> Self {
        self.output = Some(Target::Repair(path.into()));
        self
    }

    /// The file of which a part is written, in the place of [`Download::output`]: of
    /// [`Options::part`], which has to be one at its place. A file that is there is written where
    /// it stands, if it has the size of the one on the server ([`ErrorKind::TargetExists`]
    /// otherwise), and the rest of it stays what it was; after a failure some of the part may have
    /// been written, and after [`ErrorKind::ChecksumMismatch`] all of it has. One that is not there
    /// is made with holes for what is not fetched, and has its name once the part is whole.
    pub fn output_in_place(mut self, path: impl Into<PathBuf>) -> Self {
        self.output = Some(Target::Inside(path.into()));
        self
    }

    /// Passes the bytes on in order to `descriptor`, a pipe, a FIFO, a socket or a file, from where
    /// it stands, in the place of [`Download::output`]. Connections run ahead of the reader in
    /// [`Options::memory_bytes`]; a slow reader slows the download down.
    ///
    /// There is nothing to resume, and bytes that have been passed on cannot be taken back: where
    /// the digest of the file is known, the last bytes are held back until it fits
    /// ([`ErrorKind::ChecksumMismatch`] otherwise). Without [`Options::checksum`] no mirror is
    /// asked. The process has to ignore SIGPIPE, as Rust programs do; a reader that closes its end
    /// is [`ErrorKind::DiskIo`] then.
    pub fn stream(mut self, descriptor: impl Into<OwnedFd>) -> Self {
        self.output = Some(Target::Stream(descriptor.into()));
        self
    }

    /// Writes what [`Download::stream`] passes on to the file `path`, too. It has its name when it
    /// is whole and its digest fits, if one is known; nothing of it stays after a failure, and a
    /// reader that closes its end is one.
    pub fn copy_to(mut self, path: impl Into<PathBuf>) -> Self {
        self.copy = Some(path.into());
        self
    }

    /// Receives and checks every byte, but keeps none: for measuring what is in front of the disk.
    /// Nothing can be resumed then. A digest of the whole file wants the bytes in order: they come
    /// in one stream if one is asked for.
    pub fn discard(mut self) -> Self {
        self.output = Some(Target::Nowhere);
        self
    }

    /// Settings other than the defaults.
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Most connections at first, at least one, below what the options allow:
    /// [`Running::limit_connections`] may change it later.
    pub fn limit_connections(mut self, connections: u32) -> Self {
        self.connections_limit = connections;
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
    /// checksum was given, verified, or until it is clear that it will not. The short form of
    /// [`Download::start`] with a client for this download alone.
    ///
    /// # Errors
    /// Every [`ErrorKind`]; nothing stands under the final name then that was not there before.
    pub fn run(self) -> Result<Report> {
        self.options.validate()?;
        let client = Client::for_one(&self.options)?;
        self.start(&client)?.wait()
    }

    /// Begins to download the file on `client`, beside whatever else runs there.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if a setting is wrong, and what is wrong with the output's place.
    pub fn start(self, client: &Client) -> Result<Running> {
        self.start_then(client, drop)
    }

    /// The same; `done` is called once with the outcome that [`Running::wait`] gives, so that one
    /// thread can look after any number of downloads. That happens on a thread of the client, which
    /// serves others meanwhile, or on the calling one before this returns if no thread could be
    /// started. `done` must neither block nor panic; it may drop the [`Running`].
    ///
    /// # Errors
    /// As for [`Download::start`]; `done` is not called then.
    pub fn start_then(
        mut self,
        client: &Client,
        done: impl FnOnce(Result<Report>) + Send + 'static,
    ) -> Result<Running> {
        self.options.validate()?;
        let target = self.output.ok_or_else(|| {
            Error::new(ErrorKind::Usage, "no output file is named").advise("call output()")
        })?;
        if self.copy.is_some() && !target.is_ordered() {
            let what = "only bytes that are passed on in order are copied to a file";
            return Err(Error::new(ErrorKind::Usage, what).advise("name that file as the output"));
        }
        check_headers(&self.url, &self.options)?;
        self.options.settle_size()?;
        self.options.settle_part();
        if target.is_ordered() {
            let connections_max = ordered::connections_max(&self.options);
            self.connections_limit = self.connections_limit.min(connections_max);
        }
        let (reserved, standing) = target.reserve(&mut self.options, self.copy.as_deref())?;
        let shared = client.shared();
        let context = Context::new(self.options, self.stop.clone(), self.on_event, shared);
        context.limit_connections(self.connections_limit);
        let (lead, url, own_context) = (shared.threads.next_lead(), self.url, context.clone());
        let work = async move |shard: Rc<_>| {
            let transfer = Transfer::new(Local::new(&own_context, &shard), lead, url, reserved)?;
            transfer.of_standing(standing).run().await
        };
        let (sender, outcome) = mpsc::channel();
        let end = End::new(move |result: Result<Report>| {
            // First, so that a handle dropped by `done` knows that there is nothing to stop. Nobody
            // hears of it if the handle was dropped before.
            _ = sender.send(result.clone());
            done(result);
        });
        shared.threads.spawn(lead, work, move |result| end.tell(result));
        let (client, on_progress) = (client.clone(), self.on_progress);
        Ok(Running {
            outcome,
            context,
            stop: self.stop,
            on_progress,
            _client: client,
            has_ended: false,
        })
    }
}

/// A download that is under way. It stops if this is dropped.
///
/// # Example
///
/// ```
/// # use ringhaul::{Client, ClientOptions, Download};
/// # fn main() -> ringhaul::Result<()> {
/// # let server = ringhaul::server::Server::start(ringhaul::server::Config::new(1, 300_000))?;
/// # let folder = tempfile::tempdir().expect("a scratch folder");
/// let client = Client::new(&ClientOptions::default())?;
/// let download = Download::new(&server.url("/file"))?.output(folder.path().join("file"));
/// let running = download.start(&client)?;
/// println!("{} bytes so far", running.progress().bytes_done);
/// assert_eq!(running.wait()?.bytes, 300_000);
/// # Ok(())
/// # }
/// ```
#[must_use = "a download stops when its handle is dropped"]
pub struct Running {
    outcome: mpsc::Receiver<Result<Report>>,
    context: Arc<Context>,
    stop: StopHandle,
    on_progress: Option<ProgressListener>,
    /// Its threads do the work.
    _client: Client,
    has_ended: bool,
}

impl Running {
    /// Where the download is.
    pub fn progress(&self) -> Progress {
        self.context.progress()
    }

    /// A handle that stops it.
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// The download may have no more than `connections` at once from now on, at least one; never
    /// more than its options allow. Those too many end with what they fetch at the moment. A number
    /// that was lowered may be raised again: an automatic count then grows as far as that pays. A
    /// server without range support gets one connection in any case.
    pub fn limit_connections(&self, connections: u32) {
        self.context.limit_connections(connections);
    }

    /// Blocks until the download has ended; [`Download::on_progress`] hears of it meanwhile.
    ///
    /// # Errors
    /// As for [`Download::run`].
    pub fn wait(mut self) -> Result<Report> {
        let ended = loop {
            match self.outcome.recv_timeout(PROGRESS_INTERVAL) {
                Err(RecvTimeoutError::Timeout) => {
                    self.report_progress();
                }
                ended => break ended,
            }
        };
        self.has_ended = true;
        self.report_progress();
        ended.unwrap_or_else(|_| Err(panicked()))
    }

    fn report_progress(&self) {
        if let Some(listener) = &self.on_progress {
            listener(&self.context.progress());
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The caller may look at the handle of one that has ended.
        let has_ended = || !matches!(self.outcome.try_recv(), Err(TryRecvError::Empty));
        if !self.has_ended && !has_ended() {
            self.stop.stop();
        }
    }
}

impl Target {
    /// Whether bytes are passed on in order.
    fn is_ordered(&self) -> bool {
        matches!(self, Self::Stream(_))
    }

    /// The output, which is copied to a file if `copy` names one, and the options as it needs them;
    /// with the name of the file if that stands
    /// already, as its slices were joined before.
    fn reserve(
        self,
        options: &mut Options,
        copy: Option<&Path>,
    ) -> Result<(Reserved, Option<PathBuf>)> {
        let reserved = match (self, options.slice) {
            (Self::File(path), Some(slice)) => return reserve_slice(path, slice, options),
            (_, Some(_)) => {
                let what = "a slice of a file needs a file that the others are written to as well";
                return Err(Error::new(ErrorKind::Usage, what).advise("name one with -o"));
            }
            (Self::File(path), None) => Reserved::new(&path, options.force)?,
            (Self::Repair(path), None) => {
                options.repair()?;
                Reserved::over(&path, options.force)?
            }
            (Self::Inside(path), None) => {
                options.write_inside()?;
                Reserved::inside(&path, options.force)?
            }
            (Self::Stream(descriptor), None) => {
                options.pass_on()?;
                let file = File::from(descriptor);
                match copy {
                    Some(path) => Reserved::stream_and_copy(file, path, options.force)?,
                    None => Reserved::stream(file),
                }
            }
            (Self::Nowhere, None) => {
                options.keep_nothing()?;
                Reserved::nowhere()
            }
        };
        Ok((reserved, None))
    }
}

/// The place of a slice.
fn reserve_slice(
    path: PathBuf,
    slice: Slice,
    options: &mut Options,
) -> Result<(Reserved, Option<PathBuf>)> {
    options.settle_slice(slice)?;
    let standing = if options.force { Standing::Unnamed } else { slices::standing(&path)? };
    match standing {
        Standing::Unnamed => Ok((Reserved::slice(&path, slice, !options.resume)?, None)),
        Standing::Named => Ok((Reserved::nowhere(), Some(path))),
        Standing::InTheWay => {
            let what = format!("{} exists, and slices of another file for it", path.display());
            Err(Error::new(ErrorKind::TargetExists, what))
        }
    }
}

/// Who hears of the outcome; dropped untold, as when the transfer panics, it tells that.
struct End<D: FnOnce(Result<Report>)> {
    done: Option<D>,
}

impl<D: FnOnce(Result<Report>)> End<D> {
    fn new(done: D) -> Self {
        Self { done: Some(done) }
    }

    fn tell(mut self, result: Result<Report>) {
        if let Some(done) = self.done.take() {
            done(result);
        }
    }
}

impl<D: FnOnce(Result<Report>)> Drop for End<D> {
    fn drop(&mut self) {
        if let Some(done) = self.done.take() {
            done(Err(panicked()));
        }
    }
}

fn panicked() -> Error {
    Error::new(ErrorKind::Internal, "the transfer panicked")
}

/// Header fields that cannot be sent are the caller's mistake, before anything is done.
fn check_headers(url: &Url, options: &Options) -> Result<()> {
    let mut request = Request::get(url);
    for (name, value) in &options.headers {
        request = request.header(name, value)?;
    }
    request.encode().map(drop)
}
