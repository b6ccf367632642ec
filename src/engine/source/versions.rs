//! Which version of the file a source serves: what its first answer taught, and what each later one
//! is held against.

use super::exchange::Opening;
use crate::base::{Result, Span};
use crate::engine::context::Context;
use crate::http::{Asked, Known, Part, Validator, check_partial};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What every answer of a source is held against, whichever connection it comes on.
pub(in crate::engine) struct Versions {
    known: Mutex<Known>,
}

impl Versions {
    /// What the first answer taught.
    pub(in crate::engine) fn new(known: Known) -> Self {
        Self { known: Mutex::new(known) }
    }

    /// Judges the head of an answer that was asked for the start of `span`, of the file that is
    /// made; see [`check_partial`]. The bytes that it has are those of that file, too.
    pub(in crate::engine) fn check(
        &self,
        context: &Context,
        opening: &Opening,
        span: Span,
    ) -> Result<Part> {
        let there = context.there(span);
        let asked = Asked { span: there, is_conditional: opening.sent.is_conditional };
        let here =
            |body: Span| Span::with_len(span.start() + (body.start() - there.start()), body.len());
        Ok(match check_partial(opening.head(), asked, &mut self.lock())? {
            Part::Usable(body) => Part::Usable(here(body)),
            Part::Unproved => Part::Unproved,
        })
    }

    /// What requests are to send as `If-Range`.
    pub(in crate::engine) fn condition(&self) -> Validator {
        self.lock().condition()
    }

    /// Taken once per answer and per request, and never while waiting.
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
