//! What the bench asks of the kernel itself. All `unsafe` of the benches lives below here. Knows no
//! HTTP and no figures.

#![allow(unsafe_code, reason = "a prototype of what would live in io/, under the same rules")]

mod buffers;
mod process;
mod ring;

pub(crate) use process::{Usage, cached_bytes, kernel_threads_s, pin, usage};
pub(crate) use ring::{Completion, Event, Layout, Place, Ring};
