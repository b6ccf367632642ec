//! Which entries of a config file hold: the command line counts before variables, these before the
//! table of the origin, and that before the rest of the file. Must not know what an option does.

use super::file::{Entry, File};
use crate::base::url::Origin;
use crate::base::{Error, ErrorKind, Result, Url};
use crate::cli::args::Defaults;
use crate::cli::habits::{Words, with_scheme};
use clap::{Arg, Command};

/// Options of an origin's table that also hold for its files in lists.
const FOR_ITEMS: [&str; 8] = [
    "header",
    "referer",
    "user_agent",
    "user",
    "oauth2_bearer",
    "bearer_file",
    "limit_rate_per_host",
    "max_connections_per_host",
];
/// Options of which one at most holds, besides those that clap knows of.
const ALTERNATIVES: [&[&str]; 3] = [
    &["quiet", "verbose"],
    &["checksum", "checksum_file", "no_verify"],
    &["create_dirs", "no_create_dirs"],
];

/// What holds of a config file.
#[derive(Debug, Default)]
pub(in crate::cli) struct Holding {
    /// The file's name, if there is one.
    pub(in crate::cli) file: Option<String>,
    /// Each option at most once.
    pub(in crate::cli) entries: Vec<Entry>,
    /// What holds for the files of an origin, where there are several origins.
    pub(in crate::cli) by_origin: Vec<(Origin, Vec<Entry>)>,
    /// What is to be said about it.
    pub(in crate::cli) notes: Vec<String>,
}

impl Holding {
    /// For the parser of the command line.
    pub(in crate::cli) fn defaults(&self) -> Defaults {
        let pairs = self.entries.iter().map(|entry| (entry.id.clone(), entry.values.clone()));
        pairs.collect()
    }
}

/// What of `file` holds for this command line.
pub(super) fn holding(file: File, words: &Words, grammar: &Command) -> Result<Holding> {
    let File { name, entries, mut tables } = file;
    let layers = Layers { words, grammar };
    let mut holding = Holding { file: Some(name), ..Holding::default() };
    let has_lists = layers.is_given("input_file") || entries.iter().any(|e| e.id == "input_file");
    let origins = origins_of(words);
    let one = origins.first().filter(|first| !has_lists && origins.iter().all(|o| o == *first));
    match one {
        Some(one) => {
            let table = tables.iter().position(|table| table.origin == *one);
            let entries = table.map(|index| tables.swap_remove(index).entries);
            layers.add(&mut holding.entries, entries.unwrap_or_default())?;
        }
        None => {
            tables.retain(|table| has_lists || origins.contains(&table.origin));
            let mut left_out = Vec::new();
            for table in tables {
                let is_for_items = |entry: &Entry| FOR_ITEMS.contains(&entry.id.as_str());
                let (for_items, others): (Vec<_>, Vec<_>) =
                    table.entries.into_iter().partition(is_for_items);
                left_out.extend(others);
                let open = for_items.into_iter().filter(|entry| !layers.is_given(&entry.id));
                holding.by_origin.push((table.origin, open.collect()));
            }
            holding.notes.extend(said_of(&left_out));
        }
    }
    layers.add(&mut holding.entries, entries)?;
    Ok(holding)
}

struct Layers<'a> {
    words: &'a Words,
    grammar: &'a Command,
}

impl Layers<'_> {
    /// Adds those of a layer's entries that no higher layer has, or contradicts.
    fn add(&self, held: &mut Vec<Entry>, layer: Vec<Entry>) -> Result<()> {
        let higher = held.len();
        for entry in layer {
            let alternatives = self.alternatives(&entry.id);
            let is_alternative =
                |other: &Entry| other.is_wish() && alternatives.contains(&other.id.as_str());
            let is_said =
                |id: &str| self.is_given(id) || held[..higher].iter().any(|other| other.id == id);
            let is_overruled = entry.is_wish()
                && (alternatives.iter().any(|id| self.is_given(id))
                    || held[..higher].iter().any(is_alternative));
            if is_said(&entry.id) || is_overruled {
                continue;
            }
            if let Some(other) = held[higher..].iter().find(|other| is_alternative(other))
                && entry.is_wish()
            {
                let (place, one, other) = (&entry.place, &entry.name, &other.name);
                let what = format!("{place}: '{other}' and '{one}' cannot be used together");
                return Err(Error::new(ErrorKind::Usage, what).advise("leave one of them out"));
            }
            held.push(entry);
        }
        Ok(())
    }

    /// Indicates whether the command line or a variable has this option.
    fn is_given(&self, id: &str) -> bool {
        let arg = self.grammar.get_arguments().find(|arg| arg.get_id() == id);
        self.words.has(id) || arg.is_some_and(has_variable)
    }

    /// The options that exclude this one.
    fn alternatives(&self, id: &str) -> Vec<&str> {
        let groups = ALTERNATIVES.iter().filter(|group| group.contains(&id));
        let mut others: Vec<&str> = groups.flat_map(|group| group.iter().copied()).collect();
        for arg in self.grammar.get_arguments() {
            let conflicting = self.grammar.get_arg_conflicts_with(arg);
            if arg.get_id() == id {
                others.extend(conflicting.iter().map(|other| other.get_id().as_str()));
            } else if conflicting.iter().any(|other| other.get_id() == id) {
                others.push(arg.get_id().as_str());
            }
        }
        others.retain(|other| *other != id);
        others
    }
}

/// Indicates whether the option's variable is set; an empty one counts as absent.
fn has_variable(arg: &Arg) -> bool {
    let value = arg.get_env().and_then(std::env::var_os);
    value.is_some_and(|value| !value.is_empty())
}

/// The origins that the command line names.
fn origins_of(words: &Words) -> Vec<Origin> {
    let texts = words.places.iter().filter_map(|place| place.to_str());
    let completed = texts.map(|text| with_scheme(text).ok().flatten().unwrap_or(text.to_owned()));
    completed.filter_map(|text| Url::parse(&text).ok()).map(|url| url.origin()).collect()
}

/// A note about options of tables that do not hold, as there are several origins.
fn said_of(left_out: &[Entry]) -> Option<String> {
    let shown = left_out.iter().map(|entry| format!("{} ({})", entry.name, entry.place));
    let shown: Vec<String> = shown.collect();
    let hold = "for files of several origins, or of a list, the tables of the config file hold as \
                to header fields, credentials, limit-rate-per-host and max-connections-per-host \
                alone";
    (!shown.is_empty()).then(|| format!("{hold}; left out: {}", shown.join(", ")))
}
