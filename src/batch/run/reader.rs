//! The thread that reads the list: items in, jobs out to the dispatcher.

use super::dispatcher::Dispatcher;
use super::prepare::{Prepared, Preparer};
use crate::base::{Error, ErrorKind, Result};
use crate::batch::item::Item;
use crate::batch::result::Outcome;
use crate::engine::progress::Level;
use std::sync::Arc;
use std::thread;

/// Reads the list on a thread of its own. It is not waited for at the end: a pipe may say nothing
/// for ever.
pub(super) fn start(
    items: impl IntoIterator<Item = Result<Item>, IntoIter: Send> + Send + 'static,
    preparer: Preparer,
    dispatcher: Arc<Dispatcher>,
) -> Result<()> {
    let reader = thread::Builder::new().name("ringhaul-list".to_owned());
    let started = reader.spawn(move || {
        let _guard = PanicGuard { dispatcher: dispatcher.clone() };
        if items.into_iter().all(|item| read(item, &preparer, &dispatcher)) {
            dispatcher.end_of_list();
        }
    });
    started
        .map(drop)
        .map_err(|e| Error::new(ErrorKind::ResourceLimit, "cannot start a thread").caused_by(e))
}

/// Hands the item on; `false` if no more are wanted.
fn read(item: Result<Item>, preparer: &Preparer, dispatcher: &Dispatcher) -> bool {
    let mut item = match item {
        Ok(item) => item,
        Err(error) => return dispatcher.ended_unasked(Box::new(Outcome::of_bad_item(error))),
    };
    for text in std::mem::take(&mut item.warnings) {
        dispatcher.note(Level::Warning, text);
    }
    for text in std::mem::take(&mut item.notes) {
        dispatcher.note(Level::Note, text);
    }
    match preparer.prepare(item) {
        Prepared::Fetch(job) => dispatcher.offer(*job),
        Prepared::Ended(outcome) => dispatcher.ended_unasked(outcome),
    }
}

/// Ends the batch if its reader panics: nobody else would say that no more items come.
struct PanicGuard {
    dispatcher: Arc<Dispatcher>,
}

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if thread::panicking() {
            let error = Error::new(ErrorKind::Internal, "the iterator of the items panicked");
            self.dispatcher.abort(error.advise("the message of the panic says where"));
        }
    }
}
