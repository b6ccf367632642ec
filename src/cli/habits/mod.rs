//! What people type out of habit: flags of curl, wget, aria2c and axel, and URLs without a scheme.
//!
//! `walk` goes through the words of the command line, `table` says what each flag of other tools
//! is here, `values` which values show that an option of ours was meant as another tool's, `urls`
//! what a URL without a scheme is, and `grammar` which options are ours. A flag that means the same
//! is taken; any other ends in one line that names ours. Must not know what a download is.

mod grammar;
mod table;
#[cfg(test)]
mod tests;
mod urls;
mod values;
mod walk;

pub(super) use urls::with_scheme;
pub(super) use walk::{Words, translate};

use crate::base::{Error, ErrorKind};

/// Indicates whether something is known of this flag of another tool.
#[cfg(test)]
pub(super) fn is_known(flag: &str) -> bool {
    table::find(flag).is_some()
}

/// The refusal of a flag that another tool has.
fn refusal(flag: &str, tools: &str, instead: &str) -> Error {
    let what = format!("'{flag}' is an option of {tools}, not of ringhaul");
    Error::new(ErrorKind::Usage, what).advise(instead)
}
