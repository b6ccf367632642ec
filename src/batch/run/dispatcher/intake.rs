//! The side of the reader of the list: jobs come in as there is room for them.

use super::state::{Ended, Told};
use super::{BEHIND_MAX, Dispatcher};
use crate::batch::result::Outcome;
use crate::batch::run::job::Job;
use crate::engine::progress::Level;
use std::sync::PoisonError;

impl Dispatcher {
    /// One more job; waits while enough of them wait. `false` if no more are wanted.
    pub(in crate::batch::run) fn offer(&self, job: Job) -> bool {
        let mut state = self.lock();
        while !state.scheduler.wants_more() && state.fatal.is_none() {
            state.is_reader_waiting = true;
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.is_reader_waiting = false;
        if state.fatal.is_some() {
            return false;
        }
        state.add(job);
        // Who is at work looks by itself.
        let is_first = state.scheduler.waiting() == 1;
        let is_awaited = std::mem::take(&mut state.is_awaited) || is_first;
        drop(state);
        if is_awaited {
            self.ring();
        }
        true
    }

    /// An item that has ended before anything was asked. `false` if no more are wanted.
    pub(in crate::batch::run) fn ended_unasked(&self, outcome: Box<Outcome>) -> bool {
        let mut state = self.lock();
        state.known.read += 1;
        state.hand_out(Ended { outcome, meta: None, file: None });
        // A list of which everything is there must not outrun whoever writes the results.
        while state.ended.len() > BEHIND_MAX && state.fatal.is_none() {
            self.wake.notify_all();
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.fatal.is_none()
    }

    /// A note or a warning for the user.
    pub(in crate::batch::run) fn note(&self, level: Level, text: String) {
        self.lock().told.push(Told::Note(level, text));
    }

    /// The list has ended.
    pub(in crate::batch::run) fn end_of_list(&self) {
        let mut state = self.lock();
        state.scheduler.end_of_list();
        state.known.is_list_read = true;
        drop(state);
        self.ring();
    }
}
