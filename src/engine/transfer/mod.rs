//! One transfer from its first request to the file under its final name.
//!
//! States: looking for what an earlier run has left, or what a file to be repaired has -> an
//! attempt (discovering -> receiving, ranged or as one stream -> verifying -> finishing) -> done,
//! or failed, or another attempt: with the new file if it has changed (the last time in one stream,
//! as parts may never agree), in one stream if the server has stopped serving ranges, or with what
//! turned out to be damaged fetched again. Runs as a task of one shard; others help it with a
//! ranged download.

mod attempt;
mod choice;
pub(super) mod expected_digest;
mod linked;
mod on_disk;
mod recheck;
mod records;
mod repair;
mod scope;
mod sliced;
mod stream;
mod task;

use super::context::Context;
use super::local::Local;
use super::options::OnChange;
use super::options::part::Part;
use super::ordered::Ordered;
use super::progress::{Level, Report};
use super::race::{First, race};
use super::receive::pieces::PieceLedger;
use super::trace::{Line, Trace, seconds};
use crate::base::limits::ATTEMPTS_MAX;
use crate::base::size::{format_bytes, format_wait};
use crate::base::{Error, ErrorKind, Result, Url};
use crate::digest::PieceHashes;
use crate::disk::journal::{Found, Identity};
use crate::disk::output::Reserved;
use crate::io::clock::process_cpu_time;
use attempt::Ended;
use choice::Choice;
use linked::Linked;
use on_disk::{OnDisk, part_of};
use repair::Begun;
use scope::Scope;
use std::cell::OnceCell;
use std::convert::Infallible;
use std::future::pending;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Time between two looks at a transfer whose time is over.
const TIME_LIMIT_TICK: Duration = Duration::from_millis(100);

/// What there is to do, and who does it.
pub(super) struct Transfer {
    local: Local,
    /// The number of the shard it runs on.
    lead: u32,
    /// Where the file can be had, best first; at least one.
    urls: Vec<Url>,
    reserved: Reserved,
    /// The name that the file has already, as its slices were joined before.
    standing: Option<PathBuf>,
    /// The memory of an output that takes bytes in order, if it is one.
    ordered: Option<Ordered>,
    /// CPU time that the process had used when the transfer began.
    cpu_before: Duration,
    trace: Option<Arc<Trace>>,
    /// What is known of the pieces, once their digests and the size of the file are.
    pieces: OnceCell<Arc<PieceLedger>>,
    /// The description that the server has named, once it was asked for; `None`: it is of no use.
    linked: OnceCell<Option<Linked>>,
}

impl Transfer {
    /// A transfer of `url` or its mirrors that begins on this shard, the one numbered `lead`.
    pub(super) fn new(local: Local, lead: u32, url: Url, reserved: Reserved) -> Result<Self> {
        let trace = local.context.options.trace.as_deref().map(Trace::create).transpose()?;
        local.context.set_home(url.origin());
        let mut urls = vec![url];
        for mirror in &local.context.options.mirrors {
            if !urls.contains(mirror) {
                urls.push(mirror.clone());
            }
        }
        let is_ordered = reserved.is_ordered();
        let ordered = is_ordered.then(|| Ordered::new(&local.context.options)).transpose()?;
        let (cpu_before, pieces, linked) = (process_cpu_time(), OnceCell::new(), OnceCell::new());
        let standing = None;
        Ok(Self {
            local,
            lead,
            urls,
            reserved,
            standing,
            ordered,
            cpu_before,
            trace,
            pieces,
            linked,
        })
    }

    /// If the file has this name already, it is only looked at.
    pub(super) fn of_standing(mut self, standing: Option<PathBuf>) -> Self {
        self.standing = standing;
        self
    }

    /// The description that the server has named, if it is of use.
    fn linked(&self) -> Option<&Linked> {
        self.linked.get()?.as_ref()
    }

    /// The digests of the pieces: the caller's, or else those of that description.
    fn piece_hashes(&self) -> Option<&Arc<PieceHashes>> {
        let described = || self.linked()?.pieces.as_ref();
        self.context().options.pieces.as_ref().or_else(described)
    }

    /// Runs it to the end; nothing of it is under way then.
    pub(super) async fn run(&self) -> Result<Report> {
        self.context().tell_of_fallback();
        let result = match race(self.attempts(), self.time_limit()).await {
            First::Left(result) => result,
            First::Right(never) => match never {},
        };
        self.end_trace(&result);
        result
    }

    /// Ends whichever attempt is under way once the time is over.
    async fn time_limit(&self) -> Infallible {
        let context = self.context();
        let Some(limit) = context.options.max_time else { return pending().await };
        tokio::time::sleep(limit.saturating_sub(context.now())).await;
        loop {
            let what = format!("the download is not complete after {}", format_wait(limit));
            let late = Error::new(ErrorKind::TimedOut, what);
            context.fail(late.advise("allow more with --max-time"));
            // The next attempt may have begun since.
            tokio::time::sleep(TIME_LIMIT_TICK).await;
        }
    }

    async fn attempts(&self) -> Result<Report> {
        let (context, options) = (self.context(), &self.context().options);
        let (mut on_disk, repaired) = match self.begin().await? {
            Begun::With(on_disk, repaired) => (on_disk, repaired),
            Begun::Whole(report) => return Ok(*report),
        };
        context.set_resumed(self.wanted_bytes(&on_disk));
        // Bytes that are kept nowhere cannot be read back for a digest: they have to come in order.
        let is_hashed_only = matches!(self.reserved, Reserved::Nowhere) && options.wants_digest();
        let mut is_ranged = !is_hashed_only;
        let mut attempts = 0;
        let mut choice = Choice::new(&self.urls);
        loop {
            context.set_here(self.wanted_bytes(&on_disk));
            attempts += 1;
            let attempt = choice.attempt(self, is_ranged, on_disk);
            let Ended { error, is_corrupt, liar, again, is_plural, left } =
                // In a box: the types of futures within futures are too deep for the compiler.
                match Box::pin(attempt.run()).await {
                    Ok(report) => {
                        let ended = Box::pin(self.end_slice(repair::told(repaired, report)));
                        return ended.await.map_err(|error| self.explain(error));
                    }
                    Err(ended) => ended,
                };
            on_disk = left;
            if (liar.is_some() || again.is_some()) && context.check_stop().is_ok() {
                let Some(what_now) = choice.revise(liar, again) else {
                    return Err(self.explain(error));
                };
                // Each of these attempts has fewer sources, or is one of few at a piece.
                attempts -= 1;
                self.note(&error, &what_now);
                context.rearm();
                continue;
            }
            if attempts == ATTEMPTS_MAX || self.is_final(&error) {
                return Err(self.explain(error));
            }
            match error.kind() {
                ErrorKind::Changed if self.may_restart(repaired.is_some()) => {
                    // One answer is of one version, however much several may disagree.
                    is_ranged &= attempts + 1 < ATTEMPTS_MAX;
                    let how =
                        if is_ranged { "starting over" } else { "starting over in one stream" };
                    self.note(&error, how);
                    on_disk = self.start_over()?;
                }
                // Of a file that is whole nothing is left then.
                ErrorKind::ChecksumMismatch
                    if on_disk.is_empty() && context.resumed_bytes() > 0 =>
                {
                    self.note(&error, "starting over, as an earlier run may have left wrong bytes");
                    on_disk = self.start_over()?;
                }
                ErrorKind::ChecksumMismatch if is_plural => {
                    let url = choice.alone();
                    self.note(&error, &format!("starting over with {url} alone"));
                    on_disk = self.start_over()?;
                }
                ErrorKind::RangesIgnored => {
                    self.note(&error, "going on in one stream");
                    is_ranged = false;
                }
                _ if is_corrupt => self.note(&error, "fetching them again"),
                _ => return Err(self.explain(error)),
            }
            context.rearm();
        }
    }

    /// Whether another attempt would find no more than that.
    fn is_final(&self, error: &Error) -> bool {
        // All pieces are right, or one was fetched again as often as it may be.
        let has_pieces = self.piece_hashes().is_some();
        // What has been passed on in order cannot be fetched again.
        let is_last_word = has_pieces || self.ordered.is_some();
        (is_last_word && error.kind() == ErrorKind::ChecksumMismatch)
            || self.context().is_undecided()
            || self.context().check_stop().is_err()
    }

    /// Whether a new version of the file is fetched in the place of the one that was begun. It is
    /// none of the file that is to be repaired.
    fn may_restart(&self, is_repair: bool) -> bool {
        self.context().options.on_change == OnChange::Restart && !is_repair
    }

    /// What an earlier run has left; what is of no use of it is cleared away. What others have
    /// under our names was refused when these were taken, before anything was asked.
    fn look(&self) -> Result<OnDisk> {
        let options = &self.context().options;
        let is_resumable = options.resume && options.journal;
        let found = if is_resumable { self.reserved.find()? } else { Found::Nothing };
        match found {
            Found::Nothing => {}
            Found::Useless(why) => self.context().tell(Level::Note, None, why),
            Found::Resumable(saved) => {
                self.check_part(&saved.identity)?;
                if let Some(note) = &saved.note {
                    self.context().tell(Level::Note, None, note);
                }
                return Ok(OnDisk::saved(saved));
            }
        }
        self.reserved.discard()?;
        Ok(OnDisk::default())
    }

    /// A part that was begun is not thrown away for another one, nor for the whole.
    fn check_part(&self, before: &Identity) -> Result<()> {
        let now = self.context().options.part.as_ref().and_then(Part::name);
        let before = part_of(before);
        if before == now.as_deref() {
            return Ok(());
        }
        let is = |part: Option<&str>| part.map_or("all of a file".to_owned(), str::to_owned);
        let (before, now) = (is(before), is(now.as_deref()));
        let what = format!("a download of {before} was begun under this name, not of {now}");
        Err(Error::new(ErrorKind::TargetUnusable, what)
            .advise("choose another name with -o, or start over with --no-resume"))
    }

    /// Those of the bytes on the disk that are wanted, as far as that is known.
    fn wanted_bytes(&self, on_disk: &OnDisk) -> u64 {
        let scope = |total| Scope::new(&self.context().options, total).ok();
        let scope = on_disk.total().and_then(scope);
        scope.map_or(on_disk.bytes(), |scope| scope.bytes_of(&on_disk.spans()))
    }

    /// Nothing of what is on the disk is of use.
    fn start_over(&self) -> Result<OnDisk> {
        self.reserved.discard()?;
        self.context().set_resumed(0);
        if let Some(pieces) = self.pieces.get() {
            pieces.start_over();
        }
        Ok(OnDisk::default())
    }

    fn note(&self, error: &Error, what_now: &str) {
        self.context().tell(Level::Note, None, format!("{}; {what_now}", error.context()));
    }

    /// Says what is kept for a later run, if it is.
    fn explain(&self, error: Error) -> Error {
        let is_refused = self.context().options.on_change == OnChange::Fail;
        if error.kind() == ErrorKind::Changed && is_refused {
            let kept = match self.reserved.kept_bytes() {
                0 => String::new(),
                bytes => format!("; {} of the old one are kept until then", format_bytes(bytes)),
            };
            let restart = format!("fetch the new one with --on-change restart{kept}");
            let own = error.advice();
            let is_specific = own != ErrorKind::Changed.advice();
            let advice = if is_specific { format!("{own}; or {restart}") } else { restart };
            return error.advise(advice);
        }
        let is_mismatch = error.kind() == ErrorKind::ChecksumMismatch;
        let advice = match (error.kind(), self.linked()) {
            (ErrorKind::Interrupted, _) => "run the same command again".to_owned(),
            (ErrorKind::ChecksumMismatch, Some(Linked { url, .. })) => {
                let advice = error.advice();
                format!("{advice}; --metalink off does without {url}, which the server has named")
            }
            _ => error.advice().to_owned(),
        };
        let kept = match (self.reserved.kept_bytes(), self.context().unkept()) {
            // What has the wrong digest is nothing to go on from, whyever.
            (0, Some(why)) if self.context().new_bytes() > 0 && !is_mismatch => {
                format!("nothing of it could be kept: {why}")
            }
            (0, _) => return error,
            (bytes, _) => {
                format!("{} are kept, and the next run goes on from there", format_bytes(bytes))
            }
        };
        let advice = format!("{advice}; {kept}");
        error.advise(advice)
    }

    /// The report of a file of `bytes` bytes at `path` of which nothing is fetched.
    fn untouched(&self, path: &Path, bytes: u64) -> Report {
        let context = self.context();
        context.set_here(bytes);
        context.set_resumed(bytes);
        Report {
            path: path.to_owned(),
            url: self.urls[0].clone(),
            validator: None,
            last_modified: None,
            content_type: None,
            bytes,
            resumed_bytes: bytes,
            elapsed: context.now(),
            connections: context.counts.open_max(),
            connects: context.counts.established(),
            engine: context.engine(),
            threads: 1,
            cpu: process_cpu_time().saturating_sub(self.cpu_before),
            discarded: false,
            is_ordered: false,
            direct: false,
            registered: false,
            lacks_locked_memory: false,
            ranges: true,
            retries: context.retries(),
            limiter: None,
            verified: None,
            pieces: None,
            digests: Vec::new(),
            repaired: None,
            slice: None,
            sources: Vec::new(),
            is_compared: false,
        }
    }

    fn end_trace(&self, result: &Result<Report>) {
        let Some(trace) = &self.trace else { return };
        let (bytes, outcome, limiter) = match result {
            Ok(report) => (report.bytes, "ok".to_owned(), report.limiter.as_deref()),
            Err(error) => (0, error.to_string(), None),
        };
        let (at, limiter) = (seconds(self.context().now()), limiter.unwrap_or_default());
        trace.end(&Line::End { at, bytes, outcome: &outcome, limiter });
    }

    fn context(&self) -> &Arc<Context> {
        &self.local.context
    }
}
