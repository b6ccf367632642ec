//! `ringhaul config`: what holds for a command line, and where each of it comes from, in the form
//! of a config file. Secrets are masked.

use super::Holding;
use crate::base::{Error, ErrorKind, Result, url};
use crate::cli::args::{self, ConfigArgs};
use crate::cli::{Failure, complaint, habits, print, variables};
use crate::ui::printable;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches};
use std::ffi::OsString;

/// Options whose values are shown as a mark: they hold passwords, tokens or cookies.
const SECRET: [&str; 7] =
    ["bearer", "cookie", "oauth2_bearer", "password", "proxy_header", "proxy_user", "user"];
const MASK: &str = "…";
/// Column at which the comments begin, where there is room.
const COMMENT_COLUMN: usize = 40;

/// Prints what holds for the words of a download.
pub(in crate::cli) fn run(args: &ConfigArgs) -> Result<(), Failure> {
    let grammar = args::command();
    let words = [OsString::from("ringhaul")].into_iter().chain(args.words.iter().cloned());
    let words = habits::translate(words, &grammar)?;
    if words.is_job {
        let what = "'ringhaul config' shows what holds for downloads, and for no other job";
        return Err(Error::new(ErrorKind::Usage, what).into());
    }
    let holding = super::holding(&words, &grammar)?;
    let notes = variables::unknown();
    let mut grammar = args::with_defaults(grammar, &holding.defaults());
    let matches = match grammar.try_get_matches_from_mut(words.all) {
        Ok(matches) => matches,
        Err(error) => return complaint::answer(&error),
    };
    let mut text = String::new();
    match &holding.file {
        Some(name) => text.push_str(&format!("# {}\n", printable(name))),
        None => text.push_str("# there is no config file\n"),
    }
    let notes = holding.notes.iter().chain(&notes);
    notes.for_each(|note| text.push_str(&format!("# {}\n", printable(note))));
    for arg in grammar.get_arguments() {
        if let Some(line) = line_of(arg, &matches, &holding) {
            text.push_str(&line);
        }
    }
    for (origin, entries) in &holding.by_origin {
        let lines = entries.iter().map(|entry| {
            let arg = grammar.get_arguments().find(|arg| arg.get_id() == entry.id.as_str());
            let values = entry.values.iter().map(|value| shown(&entry.id, value)).collect();
            commented(&entry.name, &written(arg, values), &entry.place)
        });
        text.push_str(&format!("\n[\"{origin}\"]\n{}", lines.collect::<String>()));
    }
    Ok(print::text(&text)?)
}

/// The line of an option, if it has a value.
fn line_of(arg: &Arg, matches: &ArgMatches, holding: &Holding) -> Option<String> {
    let (id, name) = (arg.get_id().as_str(), arg.get_long()?);
    let source = matches.value_source(id)?;
    let values = matches.get_raw(id)?;
    let values = values.map(|value| shown(id, &value.to_string_lossy())).collect();
    let origin = match source {
        ValueSource::CommandLine => "command line".to_owned(),
        ValueSource::EnvVariable => {
            let variable = arg.get_env().unwrap_or_default().to_string_lossy();
            format!("variable {variable}")
        }
        _ => {
            let entry = holding.entries.iter().find(|entry| entry.id == id);
            entry.map_or_else(|| "default".to_owned(), |entry| entry.place.clone())
        }
    };
    Some(commented(name, &written(Some(arg), values), &printable(&origin)))
}

/// `name = value`, and where it comes from.
fn commented(name: &str, value: &str, origin: &str) -> String {
    let setting = format!("{name} = {value}");
    format!("{setting:COMMENT_COLUMN$} # {origin}\n")
}

/// The value of an option as a config file has it.
fn written(arg: Option<&Arg>, values: Vec<String>) -> String {
    let action = arg.map_or(&ArgAction::Set, Arg::get_action);
    let quoted = || values.iter().map(|value| quoted(value));
    match action {
        ArgAction::Append => format!("[{}]", quoted().collect::<Vec<_>>().join(", ")),
        ArgAction::Set => quoted().collect(),
        _ => values.concat(),
    }
}

/// A basic string of TOML.
fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A value as it may be shown.
fn shown(id: &str, value: &str) -> String {
    let is_secret = SECRET.contains(&id);
    let value = match value.split_once(':') {
        _ if is_secret => MASK.to_owned(),
        Some((name, _)) if id == "header" => format!("{name}: {MASK}"),
        _ if id == "header" => MASK.to_owned(),
        _ if value.contains("://") || value.contains('@') => url::without_secrets(value),
        _ => value.to_owned(),
    };
    printable(&value)
}
