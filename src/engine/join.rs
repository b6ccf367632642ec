//! The end of a file that several machines have fetched in slices: all bytes are read back and
//! compared with what was written, the digest of the whole with what it should be, and the file
//! gets its name. Asks no server.
//!
//! Several may try at once: one of them does it, the others are told so.

use super::context::EventListener;
use super::options::{Options, SyncMode};
use super::progress::{Algorithm, Event, JoinReport, Level, Phase, Progress, Verified};
use super::stop::StopHandle;
use crate::base::{Error, ErrorKind, Result, Url};
use crate::digest::{Checksum, Digest};
use crate::disk::output::SyncPolicy;
use crate::disk::slices::{self, Locked, Named, Slices, Standing};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// Time between two looks at slices that somebody else is at work on.
const TAKEN_INTERVAL: Duration = Duration::from_millis(200);
/// Time between two progress reports.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Who hears of progress.
type ProgressListener = Box<dyn Fn(&Progress) + Send + Sync>;

/// Hears of bytes that are through, and of how many there are; its error ends the work.
pub(super) type OnRead<'a> = &'a mut dyn FnMut(u64, u64) -> Result<()>;

/// Joins the slices of one file that were fetched with [`Options::slice`], to be configured and
/// then run.
///
/// # Example
///
/// ```
/// # fn main() -> ringhaul::Result<()> {
/// # let server = ringhaul::server::Server::start(ringhaul::server::Config::new(1, 3_000_000))?;
/// # let folder = tempfile::tempdir().expect("a scratch folder");
/// use ringhaul::{Download, ErrorKind, Join, Options, Slice};
///
/// let target = folder.path().join("big.bin");
/// let first = Options { slice: Some(Slice::new(1, 2)?), ..Options::default() };
/// Download::new(&server.url("/big.bin"))?.output(&target).options(first).run()?;
///
/// let error = Join::new(&target).run().err().expect("slice 2 is missing");
/// assert_eq!(error.kind(), ErrorKind::SlicesIncomplete);
/// # Ok(())
/// # }
/// ```
#[must_use = "slices are joined by run()"]
pub struct Join {
    target: PathBuf,
    options: Options,
    stop: StopHandle,
    on_progress: Option<ProgressListener>,
    on_event: Option<EventListener>,
}

/// How an attempt to join has ended.
pub(super) enum End {
    /// Somebody else is at work on a slice, or joins them.
    Taken,
    /// The file has its name: somebody else has joined them.
    JoinedBefore,
    /// The file has its name now.
    Joined(Box<Joined>),
}

/// What was joined.
pub(super) struct Joined {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    pub(super) url: Option<Url>,
    /// When it was last changed on the server, as far as that is known and wanted as its time.
    pub(super) modified: Option<SystemTime>,
    pub(super) verified: Option<Verified>,
    /// Those asked for.
    pub(super) digests: Vec<Digest>,
}

impl Join {
    /// The slices of the file that is to be called `target`.
    pub fn new(target: impl Into<PathBuf>) -> Self {
        let (options, stop) = (Options::default(), StopHandle::new());
        Self { target: target.into(), options, stop, on_progress: None, on_event: None }
    }

    /// Settings other than the defaults. Those that matter are `checksum`, or else `verify` if the
    /// slices know a digest, `digests`, `force`, `remote_time` and `sync`.
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Called about ten times a second while bytes are read.
    pub fn on_progress(mut self, listener: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.on_progress = Some(Box::new(listener));
        self
    }

    /// Called for each event.
    pub fn on_event(mut self, listener: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.on_event = Some(Box::new(listener));
        self
    }

    /// A handle that stops it from another thread.
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// Joins the slices; blocks until the file has its name. Waits for whoever else is at work on
    /// them. If the file has its name already, and no slices are there, nothing is done.
    ///
    /// # Errors
    /// [`ErrorKind::SlicesIncomplete`] with the numbers of those that are missing or damaged;
    /// [`ErrorKind::Changed`] if they are of different files; [`ErrorKind::ChecksumMismatch`];
    /// [`ErrorKind::TargetExists`], [`ErrorKind::TargetUnusable`] and what the disk has to say. All
    /// slices are kept then.
    pub fn run(self) -> Result<JoinReport> {
        let began = Instant::now();
        let mut is_told = false;
        loop {
            if slices::standing(&self.target)? == Standing::Named {
                return self.joined_before(began);
            }
            let name = self.target.display();
            let found = Slices::find(&self.target, None)?.ok_or_else(|| {
                let what = format!("there are no slices of {name} here");
                let advice = "name the file as it was named with -o, in the folder of its slices";
                Error::new(ErrorKind::TargetUnusable, what).advise(advice)
            })?;
            let count = found.count();
            let mut pace = Pace::new(&self, began);
            let mut on_read = |bytes, total| pace.on_read(bytes, total);
            match join(found, &self.options, None, &mut on_read)? {
                End::Joined(joined) => {
                    if self.options.remote_time && joined.modified.is_none() {
                        let text = "no slice knows when the file was changed on the server: it \
                                    keeps the time of its download";
                        self.tell(text.to_owned());
                    }
                    return Ok(joined.told(count, began));
                }
                End::JoinedBefore => return self.joined_before(began),
                End::Taken => {}
            }
            if !std::mem::replace(&mut is_told, true) {
                self.tell(format!("waiting, as another ringhaul is at work on slices of {name}"));
            }
            self.check_stop()?;
            thread::sleep(TAKEN_INTERVAL);
        }
    }

    fn joined_before(&self, began: Instant) -> Result<JoinReport> {
        let meta = std::fs::metadata(&self.target);
        let bytes = meta.map(|meta| meta.len()).map_err(|e| {
            let what = format!("cannot look at {}", self.target.display());
            Error::new(ErrorKind::DiskIo, what).caused_by(e)
        })?;
        let mut pace = Pace::new(self, began);
        let mut on_read = |bytes, total| pace.on_read(bytes, total);
        let Judged { verified, digests } =
            judge_standing(&self.target, &self.options, &mut on_read)?;
        let (path, digests, elapsed) = (self.target.clone(), written(&digests), began.elapsed());
        Ok(JoinReport { path, bytes, slices: None, url: None, verified, digests, elapsed })
    }

    fn tell(&self, text: String) {
        if let Some(listener) = &self.on_event {
            listener(&Event { level: Level::Note, connection: None, text });
        }
    }

    fn check_stop(&self) -> Result<()> {
        if self.stop.is_stopped() {
            let what = "stopped while the slices were joined";
            return Err(Error::new(ErrorKind::Interrupted, what));
        }
        Ok(())
    }
}

impl Joined {
    fn told(self, slices: u32, began: Instant) -> JoinReport {
        let Self { path, bytes, url, modified: _, verified, digests } = self;
        let (digests, slices, elapsed) = (written(&digests), Some(slices), began.elapsed());
        JoinReport { path, bytes, slices, url, verified, digests, elapsed }
    }
}

/// As reports have them.
pub(super) fn written(digests: &[Digest]) -> Vec<String> {
    digests.iter().map(|digest| format!("{}:{digest}", digest.algorithm)).collect()
}

/// When progress is told.
struct Pace<'a> {
    join: &'a Join,
    began: Instant,
    told: Instant,
    done_bytes: u64,
}

impl<'a> Pace<'a> {
    fn new(join: &'a Join, began: Instant) -> Self {
        Self { join, began, told: began, done_bytes: 0 }
    }

    fn on_read(&mut self, bytes: u64, total: u64) -> Result<()> {
        self.join.check_stop()?;
        self.done_bytes += bytes;
        let is_due = self.told.elapsed() >= PROGRESS_INTERVAL || self.done_bytes == total;
        if let Some(listener) = self.join.on_progress.as_ref().filter(|_| is_due) {
            self.told = Instant::now();
            listener(&Progress {
                phase: Phase::Verifying,
                bytes_done: total,
                resumed_bytes: total,
                unchecked_bytes: total - self.done_bytes,
                bytes_total: Some(total),
                elapsed: self.began.elapsed(),
                ..Progress::default()
            });
        }
        Ok(())
    }
}

/// Joins the slices, if they are complete, of one file, and nobody else's (blocking). `just_told`
/// is when the file was last changed, as the server has just said; else the slices may know.
pub(super) fn join(
    found: Slices,
    options: &Options,
    just_told: Option<SystemTime>,
    on_read: OnRead<'_>,
) -> Result<End> {
    // First, as the others may be long in coming.
    let agreed = found.agree(options.checksum.is_some())?;
    found.check_complete()?;
    let joining = match found.lock(agreed.total)? {
        Locked::Ours(joining) => joining,
        Locked::Taken => return Ok(End::Taken),
        Locked::Ended => return Ok(End::JoinedBefore),
    };
    let recorded = agreed.digest.filter(|_| options.verify);
    let expected = Expected::of(options, recorded);
    let total = agreed.total;
    let judged = judge(expected, &options.digests, |algorithms| {
        let digests = joining.verify(algorithms, |bytes| on_read(bytes, total))?;
        Ok((digests, total))
    });
    let Judged { verified, digests } = judged.map_err(|error| match error.kind() {
        ErrorKind::ChecksumMismatch => error.advise(
            "compare the digest with its source; each slice is what was written, and --no-resume \
             with each of them fetches the file anew",
        ),
        _ => error,
    })?;
    let sync = match options.sync {
        SyncMode::File => SyncPolicy::Always,
        SyncMode::None => SyncPolicy::Never,
    };
    let modified = just_told.or(agreed.modified).filter(|_| options.remote_time);
    let (path, named) = joining.name(options.force, modified, sync)?;
    Ok(match named {
        Named::ByAnother => End::JoinedBefore,
        Named::Now => {
            let url = Url::parse(&agreed.url).ok();
            let joined = Joined { path, bytes: total, url, modified, verified, digests };
            End::Joined(Box::new(joined))
        }
    })
}

/// The digest that the file should have.
struct Expected {
    checksum: Checksum,
    /// Where it came from, as the user reads it.
    against: String,
}

impl Expected {
    /// The caller's own, or the one that the slices have `recorded`.
    fn of(options: &Options, recorded: Option<Checksum>) -> Option<Self> {
        if let Some(checksum) = options.checksum.clone() {
            let from = options.checksum_source.as_ref().map(|place| format!("from {place}"));
            let against = from.unwrap_or_else(|| "given with --checksum".to_owned());
            return Some(Self { checksum, against });
        }
        let against = "as its slices were begun with".to_owned();
        recorded.map(|checksum| Self { checksum, against })
    }
}

/// What the digests of a file say.
pub(super) struct Judged {
    /// The check of the digest, if one was expected.
    pub(super) verified: Option<Verified>,
    /// Those asked for.
    pub(super) digests: Vec<Digest>,
}

/// The verdict on a file that has its name already, in so far as the options want its digest
/// (blocking).
pub(super) fn judge_standing(
    path: &Path,
    options: &Options,
    on_read: OnRead<'_>,
) -> Result<Judged> {
    judge(Expected::of(options, None), &options.digests, |algorithms| match algorithms {
        [] => Ok((Vec::new(), 0)),
        _ => slices::digests_of(path, algorithms, on_read),
    })
}

/// Has all that is needed computed by `read`, which tells how many bytes it has read for it as
/// well, and compares what is `expected`.
fn judge(
    expected: Option<Expected>,
    asked: &[Algorithm],
    read: impl FnOnce(&[Algorithm]) -> Result<(Vec<Digest>, u64)>,
) -> Result<Judged> {
    let mut algorithms = asked.to_vec();
    if let Some(Expected { checksum, .. }) = &expected
        && !algorithms.contains(&checksum.algorithm)
    {
        algorithms.push(checksum.algorithm);
    }
    let (mut digests, read_back_bytes) = read(&algorithms)?;
    let verified = expected.map(|Expected { checksum, against }| {
        let digest = digests.iter().find(|digest| digest.algorithm == checksum.algorithm);
        let digest = digest.expect("the expected digest is computed");
        checksum.verify(digest)?;
        let digest = format!("{}:{digest}", digest.algorithm);
        Ok(Verified { digest, against, read_back_bytes })
    });
    let verified = verified.transpose()?;
    digests.truncate(asked.len());
    Ok(Judged { verified, digests })
}
