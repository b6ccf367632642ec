//! The config file: settings for every download, and for those from one origin.
//!
//! `place` finds and reads it, `file` says what stands in it and where, `layers` which of that
//! holds for a command line, and `show` prints it for `ringhaul config`. Must not know what an
//! option does.

mod file;
mod layers;
mod place;
mod show;
#[cfg(test)]
mod tests;

pub(super) use file::Entry;
pub(super) use layers::Holding;
pub(super) use show::run;

use super::habits::Words;
use crate::base::Result;
use clap::Command;

/// What the config file says for this command line, in which the command line and the variables do
/// not say it themselves.
pub(super) fn holding(words: &Words, grammar: &Command) -> Result<Holding> {
    let is_for_help = words.has("help") || words.has("version");
    if words.is_job || is_for_help {
        return Ok(Holding::default());
    }
    let Some(read) = place::read(words, &|name| std::env::var_os(name))? else {
        return Ok(Holding::default());
    };
    let file = file::parse(&read.text, &read.name, grammar)?;
    layers::holding(file, words, grammar)
}
