//! Files that are replaced as a whole, for those who may not ask the kernel themselves.

pub use crate::io::whole::{FILE_MODE, check_replaceable, replace};
