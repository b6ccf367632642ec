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
//! Errors are typed: [`Error::kind`] says what happened, [`Error::side`] who has to act, and
//! [`Error::advice`] what to do. [`Download::stop_handle`] stops a download from another thread.
//!
//! # The house
//!
//! A module imports only modules of a lower rank; `tests/tidy.rs` enforces it.
//!
//! | rank | modules | what they do |
//! |---|---|---|
//! | 0 | [`base`] | words everybody shares: spans, errors, sizes, URLs, limits |
//! | 1 | [`plan`], [`http`], [`tls`], [`digest`], [`manifest`] | decisions and codecs without I/O |
//! | 2 | [`io`] | the kernel: arena, sockets, files, one ring (or epoll) per shard; all `unsafe` |
//! | 3 | [`net`], [`disk`] | getting connected; the part file, its journal, its digest |
//! | 4 | [`engine`] | one transfer: where plan and I/O meet |
//! | 5 | [`batch`] | naming files; many files later |
//! | 6 | [`ui`] | the progress bar and plain lines |
//! | 6 | [`mod@bench`] | sweeps of settings, comparison with peers, results to publish |
//! | 7 | [`cli`] | the command line |
//! | side | [`server`] | the built-in range server, an oracle that shares no code with the client |
//! | side | [`sim`] | the plan in virtual time: links, servers, faults, the best fixed setting |

pub mod base;
pub mod batch;
pub mod bench;
pub mod cli;
pub mod digest;
pub mod disk;
pub mod engine;
pub mod http;
pub mod io;
pub mod manifest;
pub mod net;
pub mod plan;
pub mod server;
pub mod sim;
pub mod tls;
pub mod ui;

#[cfg(test)]
#[path = "../tests/common/skip.rs"]
mod skip;

pub use base::error::{Error, ErrorKind, Result, Side};
pub use digest::Checksum;
pub use engine::Download;
pub use engine::options::{DirectMode, Engine, OnChange, Options};
pub use engine::progress::{Event, Level, Phase, Progress, Report};
pub use engine::stop::StopHandle;
