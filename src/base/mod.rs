//! Rank 0: the words everybody shares. No I/O, no async, no clock; imports nothing of the crate.

pub mod calendar;
pub mod error;
pub mod hex;
pub mod host;
pub mod limits;
pub mod rate;
pub mod rng;
pub mod size;
pub mod slice;
pub mod span;
pub mod text;
pub mod url;

pub use error::{Error, ErrorKind, Result, Side};
pub use slice::Slice;
pub use span::{Span, SpanSet};
pub use url::Url;
