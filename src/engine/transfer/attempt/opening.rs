//! The first answer of an attempt: what is asked for it, of whom, and whether it brings bytes that
//! are missing.

use super::Attempt;
use crate::base::limits::SPAN_ALIGN_BYTES;
use crate::base::{Error, ErrorKind, Result, Span};
use crate::engine::options::MirrorPolicy;
use crate::engine::ranged::settings::request_size;
use crate::engine::source::contest::Contest;
use crate::engine::source::discover::{self, Discovered, Found};
use crate::engine::transfer::scope::Scope;
use crate::engine::window::Window;
use crate::plan::{SourceId, first_request_bytes};

/// Answers that may come to nothing, as only they say what to ask for: the size of the file says
/// where a part of it lies. The size may be another one in each of them, but not for ever.
const QUESTIONS_MAX: u32 = 4;

/// An answer, of this source; and the others that have been asked, if there are any.
type First = (SourceId, Discovered, Option<Contest>);

impl Attempt<'_> {
    /// The first answer, of whichever source; with several, those that have not answered yet too.
    pub(super) async fn discover(&self) -> Result<First> {
        let context = self.context();
        let Some(part) = &context.options.part else {
            return self.ask_first(self.first_range()).await;
        };
        // Where bytes are here, they may be of a range that begins no one knows where yet.
        let window = part.first_window().filter(|_| self.on_disk.is_empty());
        let mut range = self.first_range();
        if part.is_packed() && window.is_none() && self.is_ranged {
            range = Some(Span::with_len(0, SPAN_ALIGN_BYTES));
        }
        context.set_window(window.unwrap_or_default());
        for _ in 0..QUESTIONS_MAX {
            let found = match self.ask_first(range).await {
                // It may begin behind the end of the file, whose size a request for its start says.
                Err(error) if error.kind() == ErrorKind::Changed && self.on_disk.is_empty() => {
                    let asked = range.replace(Span::with_len(0, SPAN_ALIGN_BYTES));
                    if asked.is_none_or(|asked| context.there(asked).start() == 0) {
                        return Err(error);
                    }
                    context.set_window(Window::All);
                    continue;
                }
                found => found?,
            };
            let (source, mut discovered, contest) = found;
            if let Found::Ranged { known, span, .. } = &mut discovered.found {
                let asked = context.there(*span).start();
                let window = part.window(known.total)?;
                let total = window.bytes(known.total);
                context.set_window(window);
                let wanted = self.wanted_first(&Scope::new(&context.options, total)?);
                let is_wanted = span.start() == wanted.start();
                if !is_wanted || context.there(*span).start() != asked {
                    range = Some(wanted);
                    continue;
                }
                *span = span.intersect(wanted);
            }
            return Ok((source, discovered, contest));
        }
        Err(Error::new(ErrorKind::Changed, "the size of the file is another one in each answer"))
    }

    async fn ask_first(&self, range: Option<Span>) -> Result<First> {
        let local = &self.transfer.local;
        if let [url] = &self.urls[..] {
            let discovered = discover::find(local, url, range).await?;
            discovered.check_size(local.context.options.expected_bytes)?;
            return Ok((SourceId(0), discovered, None));
        }
        let options = &local.context.options;
        let at_once = match options.mirror_policy {
            MirrorPolicy::Failover => 1,
            _ => options.connections.unwrap_or(options.max_connections) as usize,
        };
        let at_once = at_once.min(local.context.connections_limit() as usize);
        let mut contest = Contest::start(local, self.urls.clone(), range, at_once);
        let (winner, discovered) = contest.winner().await?;
        Ok((winner, *discovered, Some(contest)))
    }

    /// What to ask first; `None` for everything.
    fn first_range(&self) -> Option<Span> {
        if !self.is_ranged {
            return None;
        }
        let options = &self.context().options;
        let scope = |total| Scope::new(options, total).ok();
        if let Some(scope) = self.on_disk.total().and_then(scope) {
            return Some(self.wanted_first(&scope));
        }
        let start = Span::with_len(0, self.first_bytes());
        Some(match options.part.as_ref().filter(|part| !part.is_packed()) {
            None => start,
            Some(part) => match part.first() {
                Some(first) => first.split_at(first.start().saturating_add(start.len())).0,
                // Where it lies, an answer has to say.
                None => start.split_at(SPAN_ALIGN_BYTES).0,
            },
        })
    }

    fn wanted_first(&self, scope: &Scope) -> Span {
        scope.first_request(&self.on_disk, self.first_bytes())
    }

    /// Most bytes that are asked for first.
    fn first_bytes(&self) -> u64 {
        let bytes_max = first_request_bytes(request_size(self.context()));
        bytes_max.next_multiple_of(SPAN_ALIGN_BYTES)
    }
}
