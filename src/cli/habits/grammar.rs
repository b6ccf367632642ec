//! The options that ringhaul has, as the walk through the command line needs them. Must not know
//! other tools.

use clap::{Arg, Command};

/// Our options, looked up by what is written in front of their values.
pub(super) struct Grammar<'a> {
    command: &'a Command,
}

/// Options that clap adds when it parses, with their ids: they take no value.
const ADDED: [(&str, &str); 4] =
    [("--help", "help"), ("-h", "help"), ("--version", "version"), ("-V", "version")];

impl<'a> Grammar<'a> {
    pub(super) fn new(command: &'a Command) -> Self {
        Self { command }
    }

    /// The option with this long name, or alias.
    pub(super) fn long(&self, name: &str) -> Option<&'a Arg> {
        let is_it = |arg: &&Arg| {
            arg.get_long() == Some(name)
                || arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&name))
        };
        self.command.get_arguments().find(is_it)
    }

    /// The option with this letter.
    pub(super) fn short(&self, letter: char) -> Option<&'a Arg> {
        let is_it = |arg: &&Arg| {
            arg.get_short() == Some(letter)
                || arg.get_all_short_aliases().is_some_and(|aliases| aliases.contains(&letter))
        };
        self.command.get_arguments().find(is_it)
    }

    /// Indicates whether this flag, with its dashes, is ours.
    pub(super) fn has(&self, flag: &str) -> bool {
        let is_known = match flag.strip_prefix("--") {
            Some(name) => self.long(name).is_some(),
            None => flag.chars().nth(1).is_some_and(|letter| self.short(letter).is_some()),
        };
        is_known || added(flag).is_some()
    }

    /// Indicates whether the word names another job.
    pub(super) fn is_job(&self, word: &str) -> bool {
        self.command.find_subcommand(word).is_some()
    }
}

/// Indicates whether the word behind this option is its value.
pub(super) fn takes_next(arg: &Arg) -> bool {
    takes_value(arg) && !arg.is_require_equals_set()
}

pub(super) fn takes_value(arg: &Arg) -> bool {
    arg.get_action().takes_values()
}

/// The id of the option that clap adds for this flag.
pub(super) fn added(flag: &str) -> Option<&'static str> {
    ADDED.iter().find(|(known, _)| *known == flag).map(|(_, id)| *id)
}
