//! A batch on its way: items in, results out.
//!
//! Three threads meet at the `dispatcher`: the `reader` takes items from the list, which `prepare`
//! makes jobs of; lanes and downloads (`large`) fetch them; and the batch's own thread, the
//! `event_loop`, carries out what the scheduler orders, has it recorded (`recorder`) and tells the
//! observer. An item on its way is a `job`; `origins` knows whom lanes lead to.

mod dispatcher;
mod event_loop;
mod job;
mod large;
mod observer;
mod options;
mod origins;
mod prepare;
mod rate;
mod reader;
mod recorder;

pub use observer::Observer;
pub use options::BatchOptions;

use super::item::Item;
use super::naming::Taken;
use super::result::Summary;
use super::state::State;
use crate::base::Result;
use crate::base::limits::LANE_ITEMS_MAX;
use crate::engine::Client;
use crate::engine::landing::Landing;
use crate::engine::lane::Lanes;
use crate::engine::limit_watch::LimitWatch;
use crate::engine::stop::StopHandle;
use dispatcher::{Dispatcher, Terms};
use event_loop::{Crew, EventLoop};
use large::Large;
use prepare::Preparer;
use recorder::Recorder;
use std::sync::{Arc, Mutex};

/// Many files, fetched together.
///
/// # Example
///
/// ```
/// use ringhaul::{Batch, BatchOptions, Item, server};
///
/// # fn main() -> ringhaul::Result<()> {
/// let server = server::Server::start(server::Config::new(1, 20_000))?;
/// let folder = tempfile::tempdir().expect("a scratch folder");
///
/// let options = BatchOptions { dir: folder.path().into(), ..BatchOptions::default() };
/// let urls: Vec<String> = (0..50).map(|n| server.url(&format!("/{n}.bin"))).collect();
/// let items = urls.into_iter().map(|url| Ok(Item::new(url)));
/// let summary = Batch::new(options)?.run(items, &mut ())?;
///
/// assert_eq!((summary.done, summary.failed), (50, 0));
/// assert_eq!(std::fs::metadata(folder.path().join("49.bin")).expect("it is there").len(), 20_000);
/// # Ok(())
/// # }
/// ```
#[must_use = "a batch does nothing before run()"]
pub struct Batch {
    options: BatchOptions,
    client: Client,
    state: Option<Arc<Mutex<State>>>,
    stop: StopHandle,
}

impl Batch {
    /// A batch with these settings. Takes the lock of its journal.
    ///
    /// # Errors
    /// [`Usage`](crate::ErrorKind::Usage) if a setting is wrong, and what the disk has to say of
    /// the journal.
    pub fn new(options: BatchOptions) -> Result<Self> {
        options.validate()?;
        let client = Client::new(&options.client_options())?;
        let state = options.state.as_deref();
        let state = state.map(|path| State::open_with_others(path, options.part)).transpose()?;
        let state = state.map(|state| Arc::new(Mutex::new(state)));
        Ok(Self { options, client, state, stop: StopHandle::new() })
    }

    /// A handle that stops it from another thread: what has come whole is kept and recorded.
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// Fetches all items; blocks until each of them has ended. An item that is an error counts as
    /// a failed file. The iterator runs on a thread of its own, a few hundred items ahead.
    ///
    /// # Errors
    /// What ends all of it: the folder is of no use, the disk is full, it was stopped
    /// ([`Interrupted`](crate::ErrorKind::Interrupted)), the iterator panicked
    /// ([`Internal`](crate::ErrorKind::Internal)), or with [`BatchOptions::fail_fast`] the first
    /// failure. That files failed is no error: the summary says it.
    pub fn run(
        self,
        items: impl IntoIterator<Item = Result<Item>, IntoIter: Send> + Send + 'static,
        observer: &mut dyn Observer,
    ) -> Result<Summary> {
        let terms = Terms {
            root: self.options.dir.clone(),
            fail_fast: self.options.fail_fast,
            tells_starts: observer.hears_log(),
            connections_by_origin: self.options.max_connections_by_origin.clone(),
        };
        let dispatcher = Dispatcher::new(self.options.schedule_settings(), terms);
        let crew = self.crew(&dispatcher)?;
        let taken = Arc::new(Mutex::new(Taken::new()));
        let preparer = Preparer {
            root: self.options.dir,
            if_exists: self.options.if_exists,
            state: self.state.clone(),
            taken: taken.clone(),
            headers_by_origin: self.options.headers_by_origin,
        };
        reader::start(items, preparer, dispatcher)?;
        let slice = self.options.part.map(|part| part.slice);
        EventLoop::new(crew, Recorder::new(self.state, taken), self.stop, observer).of(slice).run()
    }

    /// Those who do the work that the dispatcher hands out.
    fn crew(&self, dispatcher: &Arc<Dispatcher>) -> Result<Crew> {
        let Self { options, client, stop, .. } = self;
        let listener = dispatcher.clone();
        let listener = Box::new(move |landed| listener.on_landed(landed));
        let own = options.part.map_or(0, |part| part.slice.index());
        let (dir, direct) = (&options.dir, options.options.direct);
        let landing = Landing::new(dir, options.sync, options.create_dirs, own, direct, listener)?;
        let landing = Arc::new(landing);
        dispatcher.set_landing(landing.clone());
        let lanes = Lanes::new(
            client,
            options.lane_options(),
            stop.clone(),
            None,
            dispatcher.clone(),
            landing.clone(),
            LANE_ITEMS_MAX as usize,
        );
        let large =
            Large::new(client, options.large_options(), landing.clone(), dispatcher.clone());
        let limits = LimitWatch::new(client);
        Ok(Crew { dispatcher: dispatcher.clone(), lanes, large, landing, limits })
    }
}
