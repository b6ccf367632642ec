//! What stands in a config file: options by their long names, and tables of them for origins. Each
//! value is checked as on the command line; what is wrong is said with line and column. Must not
//! know which of it holds.

use crate::base::url::Origin;
use crate::base::{Error, ErrorKind, Result, Url};
use crate::cli::complaint;
use crate::cli::nearest::nearest;
use clap::{Arg, ArgAction, Command};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// Options that say which file this is.
const NOT_HERE: [&str; 2] = ["config", "no-config"];

/// All that a config file says.
#[derive(Debug)]
pub(super) struct File {
    /// As messages call it.
    pub(super) name: String,
    pub(super) entries: Vec<Entry>,
    pub(super) tables: Vec<Table>,
}

/// What it says of one origin.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) origin: Origin,
    pub(super) entries: Vec<Entry>,
}

/// One option with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Entry {
    /// The option's id.
    pub(in crate::cli) id: String,
    /// Its long name.
    pub(in crate::cli) name: String,
    /// As on the command line; a switch has `true` or `false`.
    pub(in crate::cli) values: Vec<String>,
    /// Where its name stands, for messages: `FILE:LINE:COLUMN`.
    pub(in crate::cli) place: String,
}

impl Entry {
    /// Indicates whether it asks for something: a switch may be off.
    pub(super) fn is_wish(&self) -> bool {
        self.values.iter().any(|value| value != "false" && value != "0")
    }
}

/// Reads the text of the file that messages call `name`.
pub(super) fn parse(text: &str, name: &str, grammar: &Command) -> Result<File> {
    let reader = Reader { text, name, grammar };
    let parsed = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        reader.error(at, &error.message().replace('\n', ", ")).advise("write it as TOML has it")
    })?;
    let mut file = File { name: name.to_owned(), entries: Vec::new(), tables: Vec::new() };
    for (key, value) in in_order(parsed.get_ref()) {
        match value.get_ref() {
            DeValue::Table(table) => {
                let origin = reader.origin(key)?;
                if file.tables.iter().any(|other| other.origin == origin) {
                    let what = format!("{origin} has a table already");
                    return Err(reader.error(key.span().start, &what));
                }
                let mut entries = Vec::new();
                for (key, value) in in_order(table) {
                    reader.add(&mut entries, key, value)?;
                }
                file.tables.push(Table { origin, entries });
            }
            _ => reader.add(&mut file.entries, key, value)?,
        }
    }
    Ok(file)
}

/// What stands in a table, from its first line to its last.
fn in_order<'a, 'i>(
    table: &'a DeTable<'i>,
) -> Vec<(&'a Spanned<DeString<'i>>, &'a Spanned<DeValue<'i>>)> {
    let mut pairs: Vec<_> = table.iter().collect();
    pairs.sort_by_key(|(key, _)| key.span().start);
    pairs
}

struct Reader<'a> {
    text: &'a str,
    name: &'a str,
    grammar: &'a Command,
}

type Key<'a> = Spanned<DeString<'a>>;

impl Reader<'_> {
    fn add(
        &self,
        entries: &mut Vec<Entry>,
        key: &Key<'_>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<()> {
        let at = key.span().start;
        let arg = self.option(key.get_ref(), at)?;
        let id = arg.get_id().as_str();
        let name = arg.get_long().expect("it was found by its long name");
        if entries.iter().any(|entry| entry.id == id) {
            return Err(self.error(at, &format!("'{name}' stands here twice")));
        }
        let values = values_of(arg, value.get_ref()).ok_or_else(|| {
            let what =
                format!("{name} wants {}, and this is {}", wanted_by(arg), called(value.get_ref()));
            self.error(value.span().start, &what)
        })?;
        check(arg, name, &values)
            .map_err(|error| complaint::of_value(&error, &self.place(value.span().start)))?;
        let entry =
            Entry { id: id.to_owned(), name: name.to_owned(), values, place: self.place(at) };
        entries.push(entry);
        Ok(())
    }

    /// The option of this long name.
    fn option(&self, name: &str, at: usize) -> Result<&Arg> {
        if NOT_HERE.contains(&name) {
            let what = format!("'{name}' belongs on the command line");
            return Err(self.error(at, &what));
        }
        let is_it = |arg: &&Arg| {
            arg.get_long() == Some(name)
                || arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&name))
        };
        self.grammar.get_arguments().find(is_it).ok_or_else(|| {
            let names = self.grammar.get_arguments().filter_map(Arg::get_long);
            let near = nearest(name, names.filter(|name| !NOT_HERE.contains(name)));
            let error = self.error(at, &format!("'{}' is no option", shortened(name)));
            match near {
                Some(near) => error.advise(format!("did you mean {near}?")),
                None => error.advise("write long options without their dashes"),
            }
        })
    }

    /// The origin that a table is for.
    fn origin(&self, key: &Key<'_>) -> Result<Origin> {
        let at = key.span().start;
        let url = Url::parse(key.get_ref()).ok();
        let is_bare = |url: &Url| url.request_target() == "/" && url.credentials().is_none();
        url.filter(is_bare).map(|url| url.origin()).ok_or_else(|| {
            self.error(at, "a table is for an origin, and this is the name of none")
                .advise("write scheme, host and port, such as [\"https://models.example.com\"]")
        })
    }

    fn error(&self, at: usize, what: &str) -> Error {
        Error::new(ErrorKind::Usage, format!("{}: {what}", self.place(at)))
            .advise("'ringhaul config' shows what holds; --no-config leaves the file out")
    }

    /// The file, the line and the column, which is in characters, of this byte.
    fn place(&self, at: usize) -> String {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = 1 + before.matches('\n').count();
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let column = 1 + before[start..].chars().count();
        format!("{}:{line}:{column}", self.name)
    }
}

/// The values of an option, as on the command line. `None`: the value is of a wrong type.
fn values_of(arg: &Arg, value: &DeValue<'_>) -> Option<Vec<String>> {
    match (arg.get_action(), value) {
        (ArgAction::SetTrue | ArgAction::SetFalse, value) => {
            value.as_bool().map(|is_set| vec![is_set.to_string()])
        }
        (ArgAction::Count, DeValue::Boolean(is_set)) => Some(vec![u8::from(*is_set).to_string()]),
        (ArgAction::Count, DeValue::Integer(_)) => scalar(value).map(|value| vec![value]),
        (ArgAction::Append, DeValue::Array(values)) if !values.is_empty() => {
            values.iter().map(|value| scalar(value.get_ref())).collect()
        }
        (ArgAction::Append | ArgAction::Set, value) => scalar(value).map(|value| vec![value]),
        _ => None,
    }
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) => (number.radix() == 10).then(|| number.as_str().to_owned()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        _ => None,
    }
}

fn wanted_by(arg: &Arg) -> &'static str {
    match arg.get_action() {
        ArgAction::SetTrue | ArgAction::SetFalse => "true or false",
        ArgAction::Count => "a decimal number",
        ArgAction::Append => "a string, or a list of strings",
        _ => "a string or a decimal number",
    }
}

fn called(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Has the option's own parser read the values. No value of a file reaches clap otherwise.
fn check(arg: &Arg, name: &str, values: &[String]) -> std::result::Result<(), clap::Error> {
    let action = match arg.get_action() {
        ArgAction::SetTrue | ArgAction::SetFalse => return Ok(()),
        ArgAction::Append => ArgAction::Append,
        _ => ArgAction::Set,
    };
    let mut probe = Arg::new(name.to_owned()).long(name.to_owned()).action(action);
    probe = probe.value_parser(arg.get_value_parser().clone());
    probe = probe.value_delimiter(arg.get_value_delimiter());
    let words = values.iter().map(|value| format!("--{name}={value}"));
    let command = Command::new("config").no_binary_name(true).disable_help_flag(true).arg(probe);
    command.try_get_matches_from(words).map(drop)
}

/// A name as messages repeat it.
fn shortened(name: &str) -> String {
    const CHARS_MAX: usize = 40;
    let is_short = name.chars().count() <= CHARS_MAX;
    if is_short { name.to_owned() } else { name.chars().take(CHARS_MAX).chain(['…']).collect() }
}
