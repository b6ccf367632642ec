//! Rank 4: from URL to file. The only place that sees plan and I/O together.
//!
//! `download` is what a caller configures and runs; `client` is what downloads have in common, and
//! runs each as a task. `transfer` leads from one attempt to the next, `source` asks servers,
//! `ranged` has the workers of a file that comes in spans, `receive` is their inner loop. `context`
//! is what all parts of one transfer share.
//!
//! Rooms import each other in this order only: client, source, receive, ranged, transfer, download.

pub mod client;
mod context;
mod counts;
mod download;
mod failure;
mod local;
pub mod options;
pub mod progress;
mod race;
mod ranged;
mod receive;
pub mod small_file;
mod source;
pub mod stop;
pub mod trace;
mod transfer;

pub use client::Client;
pub use download::{Download, Running};
