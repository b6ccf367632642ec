//! What clap says, said our way: help and version as they are, every mistake as one line that names
//! whose side it is on and what to do. Values that may hold secrets do not reach the line.

use super::Failure;
use super::args;
use crate::base::{Error, ErrorKind, url};
use crate::ui::printable;
use clap::error::{ContextKind, ContextValue};
use std::error::Error as _;

/// Prints help or version and succeeds, or turns a usage mistake into the failure to report.
pub(super) fn answer(error: &clap::Error) -> Result<(), Failure> {
    if !error.use_stderr() {
        return error.print().map_err(|cause| {
            let context = "cannot write to standard output";
            Error::new(ErrorKind::DiskIo, context).caused_by(cause).into()
        });
    }
    Err(Failure { line: usage_line(error), exit_code: ErrorKind::Usage.exit_code() })
}

fn usage_line(error: &clap::Error) -> String {
    let origin = environment_name(error).map_or(String::new(), |name| format!("{name}: "));
    // Our own value parsers have said it all; clap would wrap it in a second sentence.
    if let Some(own) = own(error) {
        let option = text_of(error, ContextKind::InvalidArg).unwrap_or_default();
        let own = without_secrets(error, &own.to_string());
        return format!("ringhaul: error: {origin}{option}: {own}");
    }
    let rendered = error.render().to_string();
    let mut paragraphs = rendered.split("\n\n");
    let message = message(error, paragraphs.next().unwrap_or_default());
    let tips = paragraphs.filter_map(|p| p.trim_start().strip_prefix("tip: ")).map(joined);
    let mut advice = tips.collect::<Vec<_>>().join("; ");
    if advice.is_empty() {
        advice = ErrorKind::Usage.advice().to_owned();
    }
    let own = Error::new(ErrorKind::Usage, format!("{origin}{message}")).advise(advice);
    format!("ringhaul: error: {own}")
}

/// What is wrong with a value that stands at `place` in a file.
pub(super) fn of_value(error: &clap::Error, place: &str) -> Error {
    let (what, advice) = match own(error) {
        Some(own) => (without_secrets(error, &own.context()), own.advice()),
        None => {
            let rendered = error.render().to_string();
            let first = rendered.split("\n\n").next().unwrap_or_default();
            (message(error, first), ErrorKind::Usage.advice())
        }
    };
    Error::new(ErrorKind::Usage, format!("{place}: {what}")).advise(advice)
}

/// What a value parser of ours has said.
fn own(error: &clap::Error) -> Option<&Error> {
    error.source().and_then(|source| source.downcast_ref())
}

/// The first paragraph of what clap says, on one line.
fn message(error: &clap::Error, paragraph: &str) -> String {
    without_secrets(error, joined(paragraph).trim_start_matches("error: "))
}

/// The variable a bad value came from, so that nobody searches the command line for it.
fn environment_name(error: &clap::Error) -> Option<String> {
    let option = text_of(error, ContextKind::InvalidArg)?;
    let value = text_of(error, ContextKind::InvalidValue)?;
    let mut command = args::command();
    command.build();
    let subcommands = command.get_subcommands().flat_map(|sub| sub.get_arguments());
    let known = command.get_arguments().chain(subcommands);
    // Options of one name are there with and without a variable.
    let name = known.filter(|arg| arg.to_string() == option).find_map(|arg| arg.get_env())?;
    let is_origin = std::env::var_os(name).is_some_and(|set| set.to_string_lossy() == value);
    is_origin.then(|| name.to_string_lossy().into_owned())
}

fn text_of(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        _ => None,
    }
}

/// A second URL, or one given to the wrong option, is quoted with its password, by clap and by our
/// own parsers. So is what was meant to be one.
fn without_secrets(error: &clap::Error, message: &str) -> String {
    let quoted = error.context().filter_map(|(kind, _)| text_of(error, kind));
    let is_url = |value: &String| {
        ["://", "@", "%40", "http:", "https:"].iter().any(|mark| value.contains(mark))
    };
    let mut message = message.to_owned();
    for value in quoted.filter(is_url) {
        let shown = url::without_secrets(&value);
        message = message.replace(&value, &shown).replace(&joined(&value), &shown);
    }
    printable(&message)
}

fn joined(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line_for(arguments: &[&str]) -> String {
        let arguments = ["ringhaul"].iter().chain(arguments).map(Into::into);
        let line = usage_line(&args::parse(arguments).expect_err("a mistake"));
        assert!(line.starts_with("ringhaul: error: "), "{line}");
        assert!(!line.contains('\n') && line.contains("(your side); "), "{line}");
        line
    }

    #[test]
    fn mistakes_become_one_line() {
        let line = line_for(&[]);
        assert!(line.contains("required arguments were not provided: <URL>"), "{line}");
        let line = line_for(&["-c", "0", "http://h/"]);
        assert!(
            line.contains("--connections <N|auto>: neither 'auto' nor a number within 1 to 256"),
            "{line}"
        );
        let line = line_for(&["--conections", "4", "http://h/"]);
        assert!(line.contains("'--conections'") && line.contains("'--connections'"), "{line}");
        let line = line_for(&["--direct", "maybe", "http://h/"]);
        assert!(line.contains("possible values: auto, on, off"), "{line}");
    }

    #[test]
    fn our_own_parsers_speak_for_themselves() {
        let line = line_for(&["--chunk-size", "8X", "http://h/"]);
        assert_eq!(
            line,
            "ringhaul: error: --chunk-size <SIZE|auto>: '8X' is not a size: unknown unit \
             (your side); write bytes, or a number with K, M, G or T, such as 8M"
        );
        assert!(line_for(&["--timeout", "0", "http://h/"]).contains("cannot be zero"));
        assert!(line_for(&["--chunk-size", "1K", "http://h/"]).contains("4.00 KiB to 1.00 TiB"));
    }

    #[test]
    fn quoted_urls_lose_their_secrets() {
        let secret = "http://user:secret@h/x?token=secret";
        for arguments in [
            &["-c", secret, "http://h/a"][..],
            &["--threads", "user:secret@h", "http://h/a"],
            &["--chunk-size", secret, "http://h/a"],
            &["--timeout", "https:/user:sec/secret@h:99999/", "http://h/a"],
            &["--threads", "http://user:secret%40h", "http://h/a"],
            &["--journal-interval", "http://us er:secret@h", "http://h/a"],
            &["doctor", "http://h/a", secret],
            &["doctor", "http://h/a", "http://user:sec/secret@h:99999/"],
        ] {
            let line = line_for(arguments);
            assert!(!line.contains("secret"), "{line}");
        }
        assert!(line_for(&["doctor", "http://h/a", secret]).contains("'http://h/x?…'"));
    }
}
