//! Other programs and what they cost, for those who may not ask the kernel themselves.

pub use crate::io::child::{Ended, Usage, run};
