//! Rank 4: from URL to file. The only place that sees plan and I/O together.
//!
//! `download` is what a caller configures and runs; `client` is what downloads have in common, and
//! runs each as a task. `transfer` leads from one attempt to the next, `source` asks servers,
//! `ranged` has the workers of a file that comes in spans, `receive` is their inner loop. `context`
//! is what all parts of one transfer share. `lane` fetches small files one after another without
//! any of that; `landing` makes them durable and names them, many at a time. `join` makes a file of
//! its slices. `description` is what a Metalink says of a file, `hints` what is said of its
//! sources, `inspection` what its server says without a download.
//!
//! Rooms import each other in this order only: client, source, receive, ranged, transfer, download,
//! lane.

mod aside;
pub mod client;
mod context;
mod counts;
pub mod description;
mod download;
mod failure;
pub mod hints;
pub mod inspection;
mod jar;
mod join;
pub mod landing;
pub mod lane;
pub mod limit_watch;
mod local;
pub mod options;
mod ordered;
pub mod progress;
mod question;
mod race;
mod ranged;
mod receive;
pub mod remote_name;
pub mod small_file;
mod source;
pub mod stop;
pub mod trace;
mod transfer;
mod waits;
mod window;

pub use client::Client;
pub use download::{Download, Running};
pub use join::Join;
