//! ringhaul: HTTP downloads at the speed of the kernel.
//!
//! An io_uring engine streams ranges of a file over several connections straight into
//! registered buffers and from there to fixed offsets of the output, past the page cache where
//! that pays; where the kernel refuses io_uring, epoll does its work. Every byte is checked against
//! what the server promised before it counts, and nothing stands at the final name unless it is
//! whole.
//!
//! # Example
//!
//! Downloads a file from the built-in server, and shows what a caller hears meanwhile:
//!
//! ```
//! use ringhaul::{Download, Options, server};
//!
//! # fn main() -> ringhaul::Result<()> {
//! let server = server::Server::start(server::Config::new(1, 300_000))?;
//! let folder = tempfile::tempdir().expect("a scratch folder");
//!
//! let report = Download::new(&server.url("/model.bin"))?
//!     .output(folder.path().join("model.bin"))
//!     .options(Options { connections: Some(2), ..Options::default() })
//!     .on_progress(|p| println!("{} of {:?} bytes", p.bytes_done, p.bytes_total))
//!     .run()?;
//!
//! assert_eq!(report.bytes, 300_000);
//! println!("{:.0} MB/s", report.rate_bytes_per_second() / 1e6);
//! # Ok(())
//! # }
//! ```
//!
//! [`Download`] is one file; [`Client`] is what several of them share; [`Batch`] is any number of
//! files. Errors are typed: [`Error::kind`] says what happened, [`Error::side`] who has to act, and
//! [`Error::advice`] what to do. [`Download::stop_handle`] stops a download from another thread.
//! [`server`] is a server to try all of it on, and [`mod@bench`] measures.
//!
//! Until version 1.0 a minor version may change what is public here; a patch never does. What
//! stands under `internal` is for our own benches and fuzzers, and changes at any time.
//!
//! # The house
//!
//! A module imports only modules of a lower rank; `tests/tidy.rs` enforces it.
//!
//! | rank | modules | what they do |
//! |---|---|---|
//! | 0 | `base` | words everybody shares: spans, errors, sizes, URLs, limits |
//! | 1 | `plan`, `schedule`, `http`, `tls`, `digest`, `manifest` | decisions and codecs, no I/O |
//! | 2 | `io` | the kernel: arena, sockets, files, one ring (or epoll) per shard; all `unsafe` |
//! | 3 | `net`, `disk` | getting connected; outputs, the journal, reading back |
//! | 4 | `engine` | clients, sources, transfers: where decisions and I/O meet |
//! | 5 | `batch` | many files: items in, results out; names, journal, results |
//! | 6 | `ui` | progress on a terminal and in a log, questions |
//! | 6 | [`mod@bench`] | sweeps of settings, comparison with peers, results to publish |
//! | 7 | `cli` | the command line |
//! | side | [`server`] | the built-in range server, an oracle that shares no code with the client |
//! | side | `sim` | the plan in virtual time: paths, servers, faults; lists over a cluster |
//!
//! A proxy (`http/proxy/`, `net/tunnel.rs`, `engine/source/via.rs`) is a part of whom an idle
//! connection leads to (`Peer`). The connections of all files share one budget
//! (`engine/client/budget.rs`); limits of their rate stand beside it (`engine/client/rates.rs`,
//! decided in `schedule/bucket.rs`), and a socket asks them before each receive (`io/throttle.rs`).

mod base;
mod batch;
pub mod bench;
mod cli;
mod digest;
mod disk;
mod engine;
mod http;
mod io;
mod manifest;
mod net;
mod plan;
mod schedule;
pub mod server;
mod sim;
mod tls;
mod ui;

#[cfg(test)]
#[path = "../tests/common/skip.rs"]
mod skip;

pub use base::error::{Error, ErrorKind, Result, Side};
pub use base::url::Credentials;
pub use base::{Slice, Url};
pub use batch::list_slice::{ListSlice, SliceBy};
pub use batch::result::{Asked, Outcome, Status, Summary};
pub use batch::slices::Share;
pub use batch::state::IfExists;
pub use batch::{Batch, BatchOptions, Item, Observer};
pub use digest::{Algorithm, Checksum, PieceHashes};
pub use engine::landing::Durability;
pub use engine::options::login::{CookieJar, Login, Netrc, Token};
pub use engine::options::part::{ByteRange, ByteRanges, Part};
pub use engine::options::rate::RateLimit;
pub use engine::options::reach::{
    ConnectTo, Family, NoProxy, Protocol, Proxies, Proxy, Reach, Resolve, Route, Source, Wishes,
};
pub use engine::options::{
    ClientOptions, DirectMode, Engine, MirrorPolicy, OnChange, Options, Pins, Roots, SourceHints,
    SyncMode, TlsOptions, TlsVersion,
};
pub use engine::progress::{
    Event, FileValidator, JoinReport, Level, OtherSlices, Phase, Progress, Repaired, Report,
    SliceReport, SourceReport, Verified, VerifiedPieces, Waiting,
};
pub use engine::stop::StopHandle;
pub use engine::{Client, Download, Join, Running};

/// Everything else, for our own benches, fuzzers and command line. Changes at any time.
#[doc(hidden)]
pub mod internal {
    /// A private module cannot be exported itself, only what is in it.
    macro_rules! open {
        ($($module:ident)*) => { $(pub mod $module { pub use crate::$module::*; })* };
    }

    open!(base batch cli digest disk engine http io manifest net plan schedule sim tls ui);
}
