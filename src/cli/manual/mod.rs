//! What explains the program: `ringhaul help`, `ringhaul man` and `ringhaul completions`.
//!
//! `topics` are texts for terminal and manual page alike, `page` is the manual page. All of it goes
//! to standard output. Must not know what a download is.

mod page;
mod topics;

use super::args::{self, CompletionsArgs, HelpArgs, ManArgs};
use super::nearest::nearest;
use super::{Failure, complaint, print};
use crate::base::{Error, ErrorKind, Result};
use clap::Command;
use topics::Topic;

/// Prints the help of the program, of a command, or on a topic.
pub(super) fn help(args: &HelpArgs) -> Result<(), Failure> {
    let topic = args.word.as_deref().and_then(Topic::of);
    if let Some(topic) = topic {
        return Ok(print::text(&topic.for_terminal())?);
    }
    let command = args::command();
    if let Some(word) = args.word.as_ref().filter(|word| command.find_subcommand(word).is_none()) {
        return Err(unknown(word, &command, &topics::names()).into());
    }
    let words = ["ringhaul"].into_iter().chain(args.word.as_deref()).chain(["--help"]);
    match command.try_get_matches_from(words) {
        Ok(_) => Ok(()),
        Err(help) => complaint::answer(&help),
    }
}

/// Prints the manual page of the program or of a command.
pub(super) fn man(args: &ManArgs) -> Result<(), Failure> {
    let mut command = args::command();
    command.build();
    let page = match &args.command {
        None => page::whole(command),
        Some(word) => match command.find_subcommand(word) {
            Some(found) => page::of_command(found.clone()),
            None => return Err(unknown(word, &command, &[]).into()),
        },
    };
    Ok(print::text(&page)?)
}

/// Prints what has a shell complete words.
pub(super) fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut args::command(), "ringhaul", &mut text);
    Ok(print::text(&String::from_utf8_lossy(&text))?)
}

/// A word that is neither a command nor one of `topics`.
fn unknown(word: &str, command: &Command, topics: &[&str]) -> Error {
    let commands = command.get_subcommands().map(Command::get_name);
    let names: Vec<&str> = commands.chain(topics.iter().copied()).collect();
    let what = format!("there is no help on '{word}'");
    let error = Error::new(ErrorKind::Usage, what);
    match nearest(word, names.iter().copied()) {
        Some(near) => error.advise(format!("did you mean {near}?")),
        None => error.advise(format!("there is: {}", names.join(", "))),
    }
}
