//! `ringhaul URL URL…` and `ringhaul -i LIST`: many files, with their results and their log.

use super::args::{Ask, DownloadArgs, IfThere, MetalinkWish, Sync};
use super::signals::Watch;
use super::{Failure, exit_codes, metalink, resolve};
use crate::base::limits::{FAILED_ITEMS_MAX, FAILURES_SHOWN_MAX};
use crate::base::{Error, ErrorKind, Result, Url};
use crate::batch::description::Description;
use crate::batch::lists::{Lists, STANDARD_INPUT};
use crate::batch::naming;
use crate::batch::progress::Progress;
use crate::batch::result::{Conclusion, LogLine, Outcome, Status, Summary};
use crate::batch::state::IfExists;
use crate::batch::{Batch, BatchOptions, Item, Observer};
use crate::engine::landing::Durability;
use crate::engine::options::{ClientOptions, Options};
use crate::engine::progress::{Event, Level};
use crate::ui::{self, Answer, BatchUi, ask, can_ask};
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What the name of a list's state ends in.
const STATE_SUFFIX: &str = ".ringhaul-state";
/// The state of many URLs of the command line, in their folder.
const STATE_NAME: &str = ".ringhaul-state";
/// URLs of the command line from which on a state is kept.
const STATE_URLS_MIN: usize = 3;
/// Time between two lines of progress of `--json`.
const JSON_INTERVAL: Duration = Duration::from_secs(1);

/// Everybody who hears of a batch.
struct Audience {
    ui: BatchUi,
    results: Option<Sink>,
    log: Option<Sink>,
    is_json: bool,
    last_json: Option<Instant>,
    /// There is somebody to be asked at the end.
    may_ask: bool,
    /// Those that failed, for that question.
    failed: Vec<Outcome>,
    /// Why results or log cannot be written.
    broken: Option<Error>,
}

/// A file of lines.
struct Sink {
    name: String,
    to: Box<dyn Write>,
}

/// Fetches the files of the URLs and lists, or those of a Metalink.
pub(super) fn run(args: &DownloadArgs, metalink: Option<metalink::Read>) -> Result<(), Failure> {
    let watch = Watch::start()?;
    let (described, notes) = metalink.map_or_else(Default::default, |read| {
        let metalink::Read { described, .. } = read;
        (Some(described.files), described.notes)
    });
    let (mut options, items) = prepare(args, described)?;
    let mut audience = Audience::new(args)?;
    for text in notes {
        audience.ui.on_event(&Event { level: Level::Detail, connection: None, text });
    }
    if args.insecure {
        audience.ui.on_event(&super::download::insecure_warning());
    }
    let mut summary = fetch(&options, items, &mut audience, &watch)?;
    while summary.failed > 0 && audience.may_ask && audience.asks(&summary, &watch) {
        let again: Vec<Result<Item>> =
            audience.failed.drain(..).map(|failed| Ok(Item::of(failed.asked))).collect();
        options.if_exists = IfExists::Check;
        summary.retried(fetch(&options, again, &mut audience, &watch)?);
    }
    audience.ui.finish(&summary);
    audience.end()?;
    conclude(&summary)
}

fn fetch(
    options: &BatchOptions,
    items: impl IntoIterator<Item = Result<Item>, IntoIter: Send> + Send + 'static,
    audience: &mut Audience,
    watch: &Watch,
) -> Result<Summary, Failure> {
    let batch = Batch::new(options.clone())?;
    watch.guard(batch.stop_handle());
    let summary = batch.run(items, audience);
    audience.ui.clear();
    summary.map_err(|error| super::download::failure(error, watch))
}

/// The exit code, and the line that goes with it.
fn conclude(summary: &Summary) -> Result<(), Failure> {
    let (failed, files) = (summary.failed, summary.files());
    let exit_code = match summary.conclusion() {
        Conclusion::Complete => return Ok(()),
        Conclusion::AllFailedAlike(kind) => kind.exit_code(),
        Conclusion::SomeFailed => exit_codes::SOME_FAILED,
    };
    let line = format!("ringhaul: error: {failed} of {files} files failed");
    Err(Failure { line, exit_code })
}

/// With the files that a Metalink has `described`, in the place of those of URLs and lists.
fn prepare(
    args: &DownloadArgs,
    described: Option<Vec<Result<Description>>>,
) -> Result<(BatchOptions, Items)> {
    let batch = &args.batch;
    let is_described = described.is_some();
    let urls = if is_described { &[] } else { &args.urls[..] };
    let lists = Lists::open(urls, &batch.input_file, batch.base_url.as_deref())?;
    let is_one = urls.len() == 1 && batch.input_file.is_empty();
    if urls.is_empty() && batch.input_file.is_empty() && !is_described {
        return Err(Error::new(ErrorKind::Usage, "no URL, no list and no Metalink is named"));
    }
    let is_beside = matches!(args.sources.metalink, MetalinkWish::From(_)) && !args.urls.is_empty();
    if is_described && (is_beside || !batch.input_file.is_empty()) {
        let what = "the Metalink describes several files, and other files are named beside it";
        return Err(Error::new(ErrorKind::Usage, what).advise("fetch them one after the other"));
    }
    if args.output.is_some() && !is_one {
        return Err(Error::new(ErrorKind::Usage, "-o names one file, and there are several")
            .advise("choose their folder with -d, or their names in a list (out=)"));
    }
    refuse_what_is_for_one(args, is_one)?;
    let mut dir = args.dir.clone().unwrap_or_else(|| PathBuf::from("."));
    let described = described.unwrap_or_default().into_iter();
    let mut items = Items { one: None, described, lists };
    if is_one {
        let url = Url::parse(&args.urls[0])?;
        let target = resolve::target(args, &naming::file_name(&url))?;
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
        dir = folder.map_or_else(|| PathBuf::from("."), Path::to_owned);
        let mut item = Item::new(args.urls[0].clone());
        item.asked.out = target.file_name().map(|name| name.to_string_lossy().into_owned());
        item.asked.checksum.clone_from(&args.checksum);
        item.asked.urls.extend_from_slice(&args.sources.mirror);
        items.one = Some(item);
    }
    resolve::must_be_folder(&dir)?;
    let if_exists = match batch.if_exists {
        Some(IfThere::Fail) => IfExists::Fail,
        Some(IfThere::Skip) => IfExists::Skip,
        Some(IfThere::Replace) => IfExists::Replace,
        Some(IfThere::Check) => IfExists::Check,
        None if args.force => IfExists::Replace,
        None if is_one => IfExists::Fail,
        None => IfExists::Check,
    };
    let sync = match batch.sync {
        Sync::File => Durability::File,
        Sync::Batch => Durability::Batch,
        Sync::None => Durability::None,
    };
    let options = resolve::options(args)?;
    let client = ClientOptions {
        engine: options.engine,
        threads: options.threads,
        register_buffers: options.register_buffers,
        ..ClientOptions::default()
    };
    let per_host = batch.max_connections_per_host.unwrap_or(args.max_connections);
    let options = BatchOptions {
        state: state(args, &dir),
        dir,
        parallel: batch.parallel.fixed(),
        max_connections: args.max_connections,
        max_connections_per_host: per_host,
        if_exists,
        create_dirs: batch.create_dirs || !batch.no_create_dirs,
        sync,
        remote_time: args.remote_time,
        fail_fast: batch.fail_fast,
        options: Options { checksum: None, ..options },
        client,
    };
    Ok((options, items))
}

/// Options that speak of one file.
fn refuse_what_is_for_one(args: &DownloadArgs, is_one: bool) -> Result<()> {
    let given = [
        ("--checksum", args.checksum.is_some() && !is_one),
        ("--checksum-file", args.checksum_file.is_some()),
        ("--mirror", !args.sources.mirror.is_empty() && !is_one),
        ("--print-digest", !args.print_digest.is_empty()),
        ("--trace", args.trace.is_some()),
        ("--profile", args.profile.is_some()),
    ];
    match given.into_iter().find(|(_, is_given)| *is_given) {
        None => Ok(()),
        Some((name, _)) => {
            Err(Error::new(ErrorKind::Usage, format!("{name} is for one file, not for a list"))
                .advise("leave it out; a list can name the digest of each file"))
        }
    }
}

/// Where the batch's journal is, if it has one.
fn state(args: &DownloadArgs, dir: &Path) -> Option<PathBuf> {
    let batch = &args.batch;
    if batch.no_state {
        return None;
    }
    if batch.state.is_some() {
        return batch.state.clone();
    }
    let is_file = |list: &&PathBuf| list.as_path() != Path::new(STANDARD_INPUT);
    if let Some(list) = batch.input_file.iter().find(is_file) {
        let mut name = OsString::from(list);
        name.push(STATE_SUFFIX);
        return Some(name.into());
    }
    let is_many = args.urls.len() >= STATE_URLS_MIN;
    is_many.then(|| dir.join(STATE_NAME))
}

/// The items: one that the command line describes, those of a Metalink, or those of the lists.
struct Items {
    one: Option<Item>,
    described: std::vec::IntoIter<Result<Description>>,
    lists: Lists,
}

impl Iterator for Items {
    type Item = Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(one) = self.one.take() {
            // Its URL stands in the lists as well.
            let _ = self.lists.next();
            return Some(Ok(one));
        }
        let described = self.described.next().map(|file| file.map(Description::item));
        described.or_else(|| self.lists.next())
    }
}

impl Audience {
    fn new(args: &DownloadArgs) -> Result<Self> {
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
            is_json: batch.json,
            last_json: None,
            may_ask: batch.ask == Ask::Auto && can_ask(),
            failed: Vec::new(),
            broken: None,
        })
    }

    /// Whether the user wants what failed tried again.
    fn asks(&self, summary: &Summary, watch: &Watch) -> bool {
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

    fn write(&mut self, line: &str, is_log: bool) {
        let sink = if is_log { &mut self.log } else { &mut self.results };
        if let Some(sink) = sink
            && let Err(error) = sink.write(line)
        {
            self.broken.get_or_insert(error);
        }
    }

    /// Writes everything out. An error if some of it could not be written.
    fn end(mut self) -> Result<()> {
        for sink in [&mut self.results, &mut self.log].into_iter().flatten() {
            if let Err(error) = sink.flush() {
                self.broken.get_or_insert(error);
            }
        }
        self.broken.map_or(Ok(()), Err)
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
            self.write(outcome.json_line().trim_end(), false);
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
        let is_due = self.last_json.is_none_or(|at| at.elapsed() >= JSON_INTERVAL);
        if self.is_json && is_due {
            self.last_json = Some(Instant::now());
            self.write(&progress.json_line(), false);
        }
    }

    fn on_event(&mut self, event: &Event) {
        self.ui.on_event(event);
    }
}

impl Sink {
    fn standard_output() -> Self {
        Self { name: "standard output".into(), to: Box::new(io::stdout()) }
    }

    /// A file, which may get the list's secrets: for its owner alone if it is new.
    fn open(path: &Path, what: &str, appends: bool) -> Result<Self> {
        use std::os::unix::fs::OpenOptionsExt;
        let mut options = OpenOptions::new();
        options.create(true).write(true).mode(0o600);
        let opened = if appends { options.append(true) } else { options.truncate(true) };
        let file = opened.open(path).map_err(|e| {
            let what = format!("cannot write the {what} {}", path.display());
            Error::new(ErrorKind::TargetUnusable, what).caused_by(e)
        })?;
        Ok(Self { name: path.display().to_string(), to: Box::new(BufWriter::new(file)) })
    }

    fn write(&mut self, line: &str) -> Result<()> {
        writeln!(self.to, "{line}").map_err(|e| self.failed(e))
    }

    fn flush(&mut self) -> Result<()> {
        self.to.flush().map_err(|e| self.failed(e))
    }

    fn failed(&self, error: io::Error) -> Error {
        let what = format!("cannot write to {}", self.name);
        Error::new(ErrorKind::DiskIo, what).caused_by(error)
    }
}
