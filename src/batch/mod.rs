//! Rank 5: what lies around one transfer when files are many or have no name yet. Knows no sockets,
//! no disk and no terminal.
//!
//! `item` is what is asked, `lists` reads items from lists, `description` makes them of a Metalink,
//! `run` fetches many of them, `slices` divides them among machines (one has a `part`), `naming`
//! says where they go, `state` is the journal, `result` and `progress` are what is told.

pub mod checksum_lookup;
mod description;
pub mod failure;
pub mod item;
pub mod list_slice;
pub mod lists;
pub mod naming;
pub mod piece_lookup;
pub mod progress;
pub mod result;
pub mod run;
pub mod slices;
pub mod state;
pub mod validator;

pub use item::Item;
pub use run::{Batch, BatchOptions, Observer};
