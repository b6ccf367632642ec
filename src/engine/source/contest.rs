//! The race of several sources for the first answer: all are asked for the same bytes, the first
//! one that serves them in ranges is where the transfer begins, and the answers of the others are
//! what they are held against later. Must not know what a transfer does with them.

use super::discover::{self, Discovered, Found};
use super::retry::after;
use crate::base::{Error, ErrorKind, Result, Span, Url};
use crate::engine::failure::Failure;
use crate::engine::local::Local;
use crate::engine::progress::Level;
use crate::engine::race::{First, race};
use crate::plan::SourceId;
use crate::plan::retry::{self, Class};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Most sources that are asked at a time.
const CONTESTANTS_MAX: usize = 8;
/// Where one source is asked at a time, the next one is asked as well after this time.
const PATIENCE: Duration = Duration::from_secs(3);
/// Once there is a source that serves the file in one stream only, one that serves ranges is waited
/// for no longer than this.
const RANGES_WAIT: Duration = Duration::from_secs(1);

/// Bytes that all but the first source are asked for.
const OTHERS_BYTES_MAX: u64 = 256 << 10;
/// Most sources whose causes an error names.
const CAUSES_MAX: usize = 10;

/// The answer of one source.
pub(in crate::engine) type Answer = (SourceId, Result<Box<Discovered>, Failure>);

/// A race that is under way.
pub(in crate::engine) struct Contest {
    local: Local,
    urls: Vec<Url>,
    range: Option<Span>,
    /// Sources that are asked.
    running: BTreeSet<SourceId>,
    /// Sources to be asked where one fails, best first.
    waiting: VecDeque<SourceId>,
    at_once: usize,
    /// How each source failed last.
    causes: BTreeMap<SourceId, Error>,
    answers: mpsc::UnboundedReceiver<Answer>,
    sender: mpsc::UnboundedSender<Answer>,
    tasks: JoinSet<()>,
}

impl Contest {
    /// Asks `urls`, at least one, best first and `at_once` of them at a time, for `range`, or for
    /// everything.
    pub(in crate::engine) fn start(
        local: &Local,
        urls: Vec<Url>,
        range: Option<Span>,
        at_once: usize,
    ) -> Self {
        let (sender, answers) = mpsc::unbounded_channel();
        let count = u32::try_from(urls.len()).expect("sources are numbered");
        let mut contest = Self {
            local: local.clone(),
            urls,
            range,
            running: BTreeSet::new(),
            waiting: (0..count).map(SourceId).collect(),
            at_once: at_once.clamp(1, CONTESTANTS_MAX),
            causes: BTreeMap::new(),
            answers,
            sender,
            tasks: JoinSet::new(),
        };
        contest.fill();
        contest
    }

    /// Whether the source is being asked.
    pub(in crate::engine) fn is_asking(&self, id: SourceId) -> bool {
        self.running.contains(&id)
    }

    /// How sources have failed so far.
    pub(in crate::engine) fn failed(&self) -> impl Iterator<Item = (SourceId, &Error)> {
        self.causes.iter().map(|(id, error)| (*id, error))
    }

    /// The next answer; never, once all are in.
    pub(in crate::engine) async fn next(&mut self) -> Answer {
        let answer = self.answers.recv().await.expect("the race holds a sender of its own");
        self.running.remove(&answer.0);
        answer
    }

    /// The first answer to work with: one that serves ranges, if one comes in time. Failures that
    /// may pass are retried once all sources have failed.
    ///
    /// # Errors
    /// One that names the cause of each source.
    pub(in crate::engine) async fn winner(&mut self) -> Result<(SourceId, Box<Discovered>)> {
        let mut backoff = self.local.context.backoff();
        let mut spare = None;
        loop {
            if self.running.is_empty() {
                if let Some(spare) = spare {
                    return Ok(spare);
                }
                let Some(wait) = self.cause().and_then(|cause| backoff.next(cause.kind())) else {
                    return Err(self.all_failed());
                };
                self.local.context.retried_after(wait);
                let error = self.all_failed();
                let (kind, number) = (error.kind(), backoff.failures());
                self.local.context.wait_for_retry(kind, wait, number, false);
                let text = format!("{error}; trying again {}", after(wait));
                self.local.context.tell(Level::Detail, Some(0), text);
                tokio::time::sleep(wait).await;
                self.waiting = self.causes.keys().copied().collect();
                self.fill();
                continue;
            }
            let wait = if spare.is_some() { RANGES_WAIT } else { PATIENCE };
            let answered = async {
                let (id, answer) = self.next().await;
                (id, answer.and_then(|found| self.check(found)))
            };
            match race(answered, tokio::time::sleep(wait)).await {
                First::Left((id, Ok(found))) if matches!(found.found, Found::Ranged { .. }) => {
                    return Ok((id, found));
                }
                First::Left((id, Ok(found))) => spare = spare.or(Some((id, found))),
                First::Left((id, Err(failure))) => {
                    let text = format!("{}: {}", self.urls[id.0 as usize], failure.error);
                    self.local.context.tell(Level::Detail, Some(0), text);
                    self.causes.insert(id, failure.error);
                    self.fill();
                }
                First::Right(()) => match spare {
                    Some(spare) => return Ok(spare),
                    None => {
                        self.at_once = (self.at_once + 1).min(CONTESTANTS_MAX);
                        self.fill();
                    }
                },
            }
        }
    }

    /// An error unless the answer may be that of the file which is wanted.
    fn check(&self, found: Box<Discovered>) -> Result<Box<Discovered>, Failure> {
        let options = &self.local.context.options;
        found.check_size(options.expected_bytes)?;
        found.check_offers(options.checksum.as_ref())?;
        Ok(found)
    }

    /// The cause that says whether trying again makes sense: one that may pass, if there is one.
    fn cause(&self) -> Option<&Error> {
        let passes = |error: &&Error| retry::class(error.kind()) != Class::Never;
        self.causes.values().find(passes).or_else(|| self.causes.values().next())
    }

    fn fill(&mut self) {
        while self.running.len() < self.at_once
            && let Some(id) = self.waiting.pop_front()
        {
            self.running.insert(id);
            let (local, url) = (self.local.clone(), self.urls[id.0 as usize].clone());
            let (range, sender) = (self.range_for(id), self.sender.clone());
            self.tasks.spawn_local(async move {
                let answer = discover::ask_once(&local, &url, range).await.map(Box::new);
                // Nobody listens any more once the transfer has ended.
                _ = sender.send((id, answer));
            });
        }
    }

    /// The first one is the most likely to win, and the answers of the others are compared and
    /// thrown away: these are asked for less.
    fn range_for(&self, id: SourceId) -> Option<Span> {
        let range = self.range?;
        let end = range.start().saturating_add(OTHERS_BYTES_MAX);
        Some(if id == SourceId(0) { range } else { range.split_at(end).0 })
    }

    fn all_failed(&self) -> Error {
        let causes = self.causes.iter().map(|(id, error)| (&self.urls[id.0 as usize], error));
        all_failed(causes.map(|(url, error)| (url.clone(), error.clone())))
    }
}

/// The error of a transfer all of whose sources have failed: that of the first one, with the causes
/// of all.
pub(in crate::engine) fn all_failed(causes: impl Iterator<Item = (Url, Error)>) -> Error {
    let causes: Vec<(Url, Error)> = causes.collect();
    let kind = causes.first().map_or(ErrorKind::Internal, |(_, error)| error.kind());
    let text = causes.iter().take(CAUSES_MAX).map(|(url, error)| {
        let (url, error) = (url.to_string(), error.context());
        if error.contains(&url) { error } else { format!("{url}: {error}") }
    });
    let mut text: Vec<String> = text.collect();
    if causes.len() > CAUSES_MAX {
        text.push(format!("and {} more", causes.len() - CAUSES_MAX));
    }
    let what = format!("no source serves the file: {}", text.join("; "));
    let advice = causes.first().map(|(_, error)| error.advice().to_owned());
    let error = Error::new(kind, what);
    match advice {
        Some(advice) => error.advise(advice),
        None => error,
    }
}
