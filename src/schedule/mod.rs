//! Rank 1: pure decisions about many transfers. Owns which file is next, how many connections each
//! origin and each file gets, and what is tried again at the end. Must not know sockets, files,
//! URLs, the plan of one transfer or the clock.
//!
//! # The contract
//!
//! [`Scheduler`] is a state machine. Events and questions go in with `now`, the time since the
//! batch's start; nothing happens in between. The caller numbers items and origins. Its loop:
//!
//! 1. While [`Scheduler::wants_more`], it reads the list on and calls [`Scheduler::offer`], at the
//!    list's end [`Scheduler::end_of_list`].
//! 2. It carries out each [`Order`] of [`Scheduler::decide`]. A decision without a change costs
//!    nothing, so that it may ask after each event.
//! 3. It waits for an event, or until [`Scheduler::wake_at`], reports the event, and goes back to 1
//!    until [`Scheduler::is_done`]. Then [`Scheduler::start_last_round`] may begin once more with
//!    what has failed.
//!
//! # Two classes
//!
//! *Small* files have at most `SMALL_FILE_BYTES_MAX` bytes, or a size that is not known before
//! their first answer. They are fetched in *lanes*. A lane is one connection to one origin that
//! carries one small file after another, and may send requests ahead. [`Order::OpenLane`] creates
//! it. The caller asks [`Scheduler::next_for_lane`] when the lane is open, after each
//! [`LaneNext::Take`], and after each of its items has ended. It calls [`Scheduler::close_lane`]
//! when the connection is closed, on [`LaneNext::Close`] or because it was lost; what the lane
//! still held waits again. A caller that loses connections without end reports the items as failed
//! instead. Where the first item of a lane makes no progress, [`Scheduler::stuck`] lets those
//! behind it wait again, for other lanes.
//!
//! *Large* files are started by [`Order::StartLarge`] with a grant of connections, 1 or more, which
//! [`Order::Regrant`] changes. A larger grant is valid at once; a smaller one is a wish, and counts
//! when the caller says [`Scheduler::released`], after it has closed the connections.
//!
//! Every item handed out ends with one of [`Scheduler::finished`], [`Scheduler::put_back`],
//! [`Scheduler::turned_out_large`] or, by a redirect to another origin, [`Scheduler::moved`], which
//! may leave a large file running.
//!
//! # Invariants
//!
//! * Each lane and each connection of a large file's grant counts as a connection, from the order
//!   on until the caller says that it is closed. The counts never exceed
//!   [`Settings::connections_total_max`] and [`Settings::connections_per_origin_max`].
//! * Each lane and each running large file counts as one file; never more than
//!   [`Settings::parallel`].
//! * At most [`Settings::waiting_items_max`] items wait, besides those that came back from flight.
//! * Bounds of two or more leave room for a lane beside large files. With a bound of 1 the classes
//!   take turns: small files wait for one large one, a large one for one turn of a lane.
//! * Origins take turns where there is not room for a lane of each: the one that has waited
//!   longest is next.
//! * What no waiting item can use goes to the large files that run, in equal parts.
//!
//! Fairness is among the items that wait. An origin that fills all of the window keeps others from
//! being read from the list; so does one that pushed back.

mod ahead;
pub mod bucket;
mod budget;
mod failed;
mod lane_count;
mod origin;
mod push_back;
mod scheduler;
mod share;

pub use scheduler::Scheduler;

use crate::base::limits;

/// One file of the batch, by the caller's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ItemId(pub u64);

/// One origin, by the caller's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OriginId(pub u32);

/// One lane, numbered by the scheduler; numbers are not used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaneId(pub u64);

/// What is known of a file before it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// Its number; no other item that waits, is in flight or has failed has the same.
    pub id: ItemId,
    /// Whom to ask first.
    pub origin: OriginId,
    /// Size in bytes, if the list says it.
    pub size_hint: Option<u64>,
}

impl Item {
    fn is_large(&self) -> bool {
        self.size_hint.is_some_and(|bytes| bytes > limits::SMALL_FILE_BYTES_MAX)
    }
}

/// How many files are fetched at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parallel {
    /// Lanes of an origin as they pay, large files as there are connections for them.
    Auto,
    /// This number, at least 1, as far as there are connections for them.
    Fixed(u32),
}

/// What the caller fixed for a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Files at once.
    pub parallel: Parallel,
    /// Most connections in total, at least 1.
    pub connections_total_max: u32,
    /// Most connections to one origin, at least 1.
    pub connections_per_origin_max: u32,
    /// Most items that one lane holds, at least 1: the one being received and those asked for
    /// ahead.
    pub lane_items_max: u32,
    /// Most items that wait, at least 1.
    pub waiting_items_max: usize,
    /// Most failed items that are kept for the last round.
    pub failed_items_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            parallel: Parallel::Auto,
            connections_total_max: limits::CONNECTIONS_AUTO_MAX,
            connections_per_origin_max: limits::CONNECTIONS_AUTO_MAX,
            lane_items_max: limits::LANE_ITEMS_MAX,
            waiting_items_max: limits::WAITING_ITEMS_MAX,
            failed_items_max: limits::FAILED_ITEMS_MAX,
        }
    }
}

impl Settings {
    fn check(&self) {
        let files = match self.parallel {
            Parallel::Auto => 1,
            Parallel::Fixed(files) => files,
        };
        let least = self.connections_total_max.min(self.connections_per_origin_max);
        assert!(files.min(least).min(self.lane_items_max) >= 1, "bounds are at least 1");
        assert!(self.waiting_items_max >= 1, "an item may wait");
    }

    /// Most files at once.
    fn files_max(&self) -> u32 {
        match self.parallel {
            Parallel::Auto => self.connections_total_max,
            Parallel::Fixed(files) => files.min(self.connections_total_max),
        }
    }

    /// Connections that a large file gets before another one is started beside it.
    fn large_base(&self) -> u32 {
        match self.parallel {
            Parallel::Auto => limits::LARGE_FILE_CONNECTIONS,
            Parallel::Fixed(_) => {
                let each = self.connections_total_max / self.files_max();
                each.clamp(1, limits::LARGE_FILE_CONNECTIONS)
            }
        }
    }
}

/// What the caller does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Open a connection for small files.
    OpenLane {
        /// Its number from now on.
        lane: LaneId,
        /// To whom.
        origin: OriginId,
    },
    /// Fetch this large file.
    StartLarge {
        /// The file.
        item: ItemId,
        /// Most connections it may have.
        connections: u32,
    },
    /// Change the grant of a large file that runs.
    Regrant {
        /// The file.
        item: ItemId,
        /// Most connections it may have; if fewer than now, they are to be closed soon, and
        /// [`Scheduler::released`] is expected.
        connections: u32,
    },
}

/// What a lane does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaneNext {
    /// Ask for this item, after those that the lane holds.
    Take(ItemId),
    /// Nothing more before one of the items that the lane holds has ended.
    Wait,
    /// The lane holds nothing: close the connection, and call [`Scheduler::close_lane`].
    Close,
}

/// How a file that was handed out ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is whole.
    Done {
        /// Its size.
        bytes: u64,
    },
    /// It failed, and is kept for the last round.
    Failed,
    /// It failed for good, or was cancelled.
    Dropped,
}

/// What a redirect to another origin means for a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// It goes on with this grant at the new origin; 1 or more.
    Granted {
        /// Most connections it may have.
        connections: u32,
    },
    /// It has given its grant back and waits, before all others of the new origin, to be handed
    /// out again.
    Waits,
}
