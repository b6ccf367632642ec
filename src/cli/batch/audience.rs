//! Everybody who hears of a batch: the terminal, the file of results, the log, and whoever is asked
//! at its end. Must not know how a batch is run.

use super::sink::Sink;
use crate::base::limits::{FAILED_ITEMS_MAX, FAILURES_SHOWN_MAX};
use crate::base::{Error, Result, Slice};
use crate::batch::Observer;
use crate::batch::progress::Progress;
use crate::batch::result::{Asked, LogLine, Outcome, Status, Summary};
use crate::cli::args::{Ask, DownloadArgs};
use crate::cli::resolve;
use crate::cli::signals::Watch;
use crate::engine::progress::{Event, Level};
use crate::ui::{self, Answer, BatchUi, ask, can_ask};
use std::path::Path;
use std::time::{Duration, Instant};

/// Time between two lines of progress of `--json`: a program's bar moves as people expect it to.
const JSON_INTERVAL: Duration = Duration::from_millis(250);

/// Everybody who hears of a batch.
pub(super) struct Audience {
    ui: BatchUi,
    results: Option<Sink>,
    log: Option<Sink>,
    slice: Option<Slice>,
    is_json: bool,
    last_json: Option<Instant>,
    /// Progress since then, for the end.
    untold: Option<Progress>,
    /// There is somebody to be asked at the end.
    may_ask: bool,
    /// Those that failed, for that question.
    failed: Vec<Outcome>,
    /// Why results or log cannot be written.
    broken: Option<Error>,
}

impl Audience {
    pub(super) fn new(args: &DownloadArgs) -> Result<Self> {
        let batch = &args.batch;
        let results = match (&batch.results, batch.json) {
            (_, true) => Some(Sink::standard_output()),
            (Some(path), _) if path == Path::new("-") => Some(Sink::standard_output()),
            (Some(path), _) => Some(Sink::open(path, "results", false)?),
            (None, _) => None,
        };
        let log = batch.log_file.as_deref().map(|path| Sink::open(path, "log", true));
        Ok(Self {
            ui: BatchUi::new(resolve::verbosity(args)),
            results,
            log: log.transpose()?,
            slice: args.slices.settled,
            is_json: batch.json,
            last_json: None,
            untold: None,
            may_ask: batch.ask == Ask::Auto && can_ask(),
            failed: Vec::new(),
            broken: None,
        })
    }

    /// Asks, if there is somebody, whether what failed is to be tried again.
    pub(super) fn wants_retry(&self, summary: &Summary, watch: &Watch) -> bool {
        if !self.may_ask {
            return false;
        }
        let shown = |failed: &Outcome| {
            let Status::Failed(error) = &failed.status else { unreachable!("only failed ones") };
            let name = match failed.path.as_os_str().is_empty() {
                true => failed.asked.url().to_owned(),
                false => failed.path.display().to_string(),
            };
            ui::Failure { name, cause: error.to_string() }
        };
        let failures: Vec<_> = self.failed.iter().take(FAILURES_SHOWN_MAX).map(shown).collect();
        let is_stopped = || watch.exit_code().is_some();
        ask(summary.failed, &failures, &is_stopped) == Answer::Retry
    }

    /// What has failed, to be asked again.
    pub(super) fn take_failed(&mut self) -> Vec<Asked> {
        self.failed.drain(..).map(|failed| failed.asked).collect()
    }

    /// Takes what is drawn off the terminal.
    pub(super) fn clear(&self) {
        self.ui.clear();
    }

    /// Tells the end, and writes everything out. An error if some of it could not be written.
    pub(super) fn finish(mut self, summary: &Summary) -> Result<()> {
        self.ui.finish(summary);
        if self.is_json {
            let progress = self.untold.take();
            progress.iter().for_each(|last| self.write(&last.json_line(), false));
            self.write(&summary.json_line(), false);
        }
        for sink in [&mut self.results, &mut self.log].into_iter().flatten() {
            if let Err(error) = sink.flush() {
                self.broken.get_or_insert(error);
            }
        }
        self.broken.map_or(Ok(()), Err)
    }

    fn write(&mut self, line: &str, is_log: bool) {
        let sink = if is_log { &mut self.log } else { &mut self.results };
        if let Some(sink) = sink
            && let Err(error) = sink.write(line)
        {
            self.broken.get_or_insert(error);
        }
    }
}

impl Observer for Audience {
    fn on_result(&mut self, outcome: &Outcome) {
        if let Status::Failed(error) = &outcome.status {
            let name = outcome.path.display().to_string();
            let name = if name.is_empty() { String::new() } else { format!("{name}: ") };
            self.ui.say(Level::Warning, &format!("{name}{error}"));
            let is_kept = self.may_ask && self.failed.len() < FAILED_ITEMS_MAX;
            if is_kept && !outcome.asked.urls.is_empty() {
                self.failed.push(outcome.clone());
            }
        }
        if self.results.is_some() {
            self.write(outcome.json_line_in(self.slice).trim_end(), false);
        }
    }

    fn on_log(&mut self, line: &LogLine<'_>) {
        if self.log.is_some() {
            self.write(&line.to_string(), true);
        }
    }

    fn hears_log(&self) -> bool {
        self.log.is_some()
    }

    fn on_progress(&mut self, progress: &Progress) {
        self.ui.on_progress(progress);
        if !self.is_json {
            return;
        }
        if self.last_json.is_none_or(|at| at.elapsed() >= JSON_INTERVAL) {
            (self.last_json, self.untold) = (Some(Instant::now()), None);
            self.write(&progress.json_line(), false);
        } else {
            self.untold = Some(progress.clone());
        }
    }

    fn on_event(&mut self, event: &Event) {
        self.ui.on_event(event);
    }
}
