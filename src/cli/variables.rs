//! Variables that are named like ours and that no option reads: most likely misspelt. Looks at
//! names alone.

use super::args;
use super::nearest::nearest;
use crate::ui::printable;
use clap::{Arg, Command};

/// What the names of our variables begin with.
const PREFIX: &str = "RINGHAUL_";
/// Variables that the test suite reads.
const OF_TESTS: [&str; 2] = ["RINGHAUL_TEST_", "RINGHAUL_REQUIRE_"];
/// Notes about them; what is wrong with one is often wrong with all.
const NOTES_MAX: usize = 4;

/// What is to be said about variables of this process that mean nothing.
pub(super) fn unknown() -> Vec<String> {
    let set = std::env::vars_os().filter(|(_, value)| !value.is_empty());
    let names = set.map(|(name, _)| name.to_string_lossy().into_owned());
    notes(names.filter(|name| name.starts_with(PREFIX)))
}

fn notes(set: impl Iterator<Item = String>) -> Vec<String> {
    let mut set = set.peekable();
    if set.peek().is_none() {
        return Vec::new();
    }
    let grammar = args::command();
    let of_jobs = grammar.get_subcommands().flat_map(Command::get_arguments);
    let args = grammar.get_arguments().chain(of_jobs);
    let known: Vec<&str> = args.filter_map(Arg::get_env).filter_map(|name| name.to_str()).collect();
    let is_of_tests = |name: &str| OF_TESTS.iter().any(|prefix| name.starts_with(prefix));
    let unknown = set.filter(|name| !known.contains(&name.as_str()) && !is_of_tests(name));
    let note = |name: String| {
        let shown = printable(&name);
        let rests = known.iter().filter_map(|name| name.strip_prefix(PREFIX));
        let near = nearest(&name[PREFIX.len()..], rests);
        let near = near.map_or_else(String::new, |near| format!("; did you mean {PREFIX}{near}?"));
        format!("no option reads the variable {shown}{near}")
    };
    unknown.map(note).take(NOTES_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_variable_is_named_and_the_others_are_not() {
        let said = |names: &[&str]| notes(names.iter().map(|name| (*name).to_owned()));
        let [note] = &said(&["RINGHAUL_CONECTIONS"])[..] else { panic!("one note") };
        assert!(note.contains("variable RINGHAUL_CONECTIONS; did you mean RINGHAUL_CONNECTIONS?"));
        assert_eq!(said(&["RINGHAUL_X"]), ["no option reads the variable RINGHAUL_X"]);
        let known = ["RINGHAUL_DIR", "RINGHAUL_SERVE_SIZE", "RINGHAUL_SIZE", "RINGHAUL_TEST_CHILD"];
        assert!(said(&known).is_empty(), "{:?}", said(&known));
        assert_eq!(said(&["RINGHAUL_X"; 9]).len(), NOTES_MAX);
    }
}
