//! `--on N:OPTION=VALUE`: what one of several servers has for itself, in the words of the options
//! that all of them have. Owns that grammar; has no effects.

use super::faults::FaultArgs;
use super::mirrors::MirrorArgs;
use super::shape::ShapeArgs;
use super::values::address;
use crate::base::size::parse_bytes;
use crate::base::{Error, ErrorKind};
use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, FromArgMatches, Parser};
use std::error::Error as _;
use std::ffi::OsString;
use std::net::SocketAddr;

/// What one server is told.
#[derive(Debug, Clone, Default)]
pub(in crate::cli) struct PortArgs {
    /// Where it listens, if not at the port that follows from its number.
    pub(in crate::cli) listen: Option<SocketAddr>,
    pub(in crate::cli) seed: u64,
    pub(in crate::cli) size: Option<u64>,
    pub(in crate::cli) shape: ShapeArgs,
    pub(in crate::cli) faults: FaultArgs,
    pub(in crate::cli) mirror: MirrorArgs,
    /// Its words of `--on`, as they were given.
    pub(in crate::cli) own: Vec<String>,
}

/// The options that a server can have for itself.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
struct OwnArgs {
    #[arg(long, value_parser = address)]
    listen: Option<SocketAddr>,
    #[arg(long)]
    seed: Option<u64>,
    #[arg(long, value_parser = parse_bytes)]
    size: Option<u64>,
    #[command(flatten)]
    shape: ShapeArgs,
    #[command(flatten)]
    faults: FaultArgs,
    #[command(flatten)]
    mirror: MirrorArgs,
}

/// What each of `count` servers is told: `all`, except for what the words of `on` say. An error is
/// the text to show.
pub(super) fn each(all: &PortArgs, on: &[String], count: usize) -> Result<Vec<PortArgs>, String> {
    let mut ports = vec![all.clone(); count];
    for text in on.iter().flat_map(|lines| lines.lines()) {
        let (number, word) = addressed(text)?;
        let port = number.checked_sub(1).and_then(|index| ports.get_mut(index));
        let port = port.ok_or_else(|| {
            format!("'--on {text}': the servers have the numbers 1 to {count} (--ports)")
        })?;
        port.own.push(word.to_owned());
    }
    for (number, port) in (1..).zip(&mut ports).filter(|(_, port)| !port.own.is_empty()) {
        *port = told(all, port).map_err(|text| format!("'--on {number}:…': {text}"))?;
    }
    Ok(ports)
}

/// The number of the server, and the option with its value.
fn addressed(text: &str) -> Result<(usize, &str), String> {
    let split = text.split_once(':').filter(|(_, word)| word.contains('='));
    let split = split.and_then(|(number, word)| Some((number.trim().parse().ok()?, word)));
    split.ok_or_else(|| format!("'--on {text}': write N:OPTION=VALUE, such as 2:rate=5M"))
}

fn told(all: &PortArgs, port: &PortArgs) -> Result<PortArgs, String> {
    let name = |word: &str| word.split('=').next().unwrap_or_default().to_owned();
    let own_names: Vec<String> = port.own.iter().map(|word| format!("--{}", name(word))).collect();
    let inherited = all.shape.words().into_iter();
    let inherited = inherited.filter(|word| !own_names.contains(&name(&word.to_string_lossy())));
    let own_words = port.own.iter().map(|word| OsString::from(format!("--{word}")));
    let own = parse(inherited.chain(own_words))?;
    Ok(PortArgs {
        listen: own.listen,
        seed: own.seed.unwrap_or(all.seed),
        size: own.size.or(all.size),
        shape: own.shape,
        faults: own.faults.or(&all.faults),
        mirror: own.mirror.or(&all.mirror),
        own: port.own.clone(),
    })
}

fn parse(words: impl Iterator<Item = OsString>) -> Result<OwnArgs, String> {
    // The variables are those of all servers and have been read.
    let deaf = |arg: clap::Arg| arg.env(Resettable::Reset);
    let command = OwnArgs::command().mut_args(deaf);
    let matches = command.try_get_matches_from(words).map_err(|error| message(&error))?;
    OwnArgs::from_arg_matches(&matches).map_err(|error| message(&error))
}

/// What is wrong, without a second sentence by clap where our own parsers have said it.
fn message(error: &clap::Error) -> String {
    if let Some(own) = error.source().and_then(|source| source.downcast_ref::<Error>()) {
        let option = match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::String(option)) => format!("{option}: "),
            _ => String::new(),
        };
        let advice = own.advice();
        let has_advice = advice != ErrorKind::Usage.advice();
        let advice = if has_advice { format!("; {advice}") } else { String::new() };
        return format!("{option}{}{advice}", own.context());
    }
    let rendered = error.render().to_string();
    let first = rendered.split("\n\n").next().unwrap_or_default();
    let words: Vec<&str> = first.trim_start_matches("error: ").split_whitespace().collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Shape;

    fn all() -> PortArgs {
        let shape = parse(["--rate=9M", "--first-byte=5ms"].iter().map(OsString::from)).unwrap();
        PortArgs { seed: 7, size: Some(100), shape: shape.shape, ..PortArgs::default() }
    }

    fn each_of_three(on: &[&str]) -> Result<Vec<PortArgs>, String> {
        let on: Vec<String> = on.iter().map(|word| (*word).to_owned()).collect();
        each(&all(), &on, 3)
    }

    #[test]
    fn each_server_has_its_own_words_and_those_of_all() {
        let ports =
            each_of_three(&["2:rate=1M", "2:slow-every=2", "2:slow-rate=1K", "3:seed=9"]).unwrap();
        let shapes: Vec<Shape> = ports.iter().map(|port| port.shape.shape(0)).collect();
        let rates = [0, 1, 2].map(|index: usize| shapes[index].total_bytes_per_second);
        assert_eq!(rates, [Some(9_000_000), Some(1_000_000), Some(9_000_000)]);
        assert!(shapes.iter().all(|shape| shape.first_byte_delay.as_millis() == 5));
        assert!(shapes[1].slow_connections.is_some() && shapes[0].slow_connections.is_none());
        assert_eq!([0, 1, 2].map(|index: usize| ports[index].seed), [7, 7, 9]);
        // A variable has many, one a line.
        let ports = each_of_three(&["1:geo=DE\n1:fault=404\n1:fault=etag@5"]).unwrap();
        assert_eq!(ports[0].mirror.geo.as_deref(), Some("de"));
        assert_eq!(ports[0].faults.fault.len(), 2);
    }

    #[test]
    fn mistakes_are_told_with_the_server_they_are_for() {
        for (word, expected) in [
            ("rate=1M", "write N:OPTION=VALUE, such as 2:rate=5M"),
            ("2:rate", "write N:OPTION=VALUE"),
            ("0:rate=1M", "numbers 1 to 3"),
            ("4:rate=1M", "numbers 1 to 3"),
            ("2:rate=0", "'--on 2:…': --rate <RATE>: a rate cannot be zero"),
            ("2:speed=1", "'--on 2:…': unexpected argument '--speed' found"),
            ("2:listen=here", "'here' is no address to listen at"),
            ("2:files=9", "unexpected argument '--files'"),
            ("2:slow-every=2", "--slow-rate <RATE>"),
            ("2:fault=dead", "'dead' is no fault; write reset, silence"),
        ] {
            let error = each_of_three(&[word]).unwrap_err();
            assert!(error.contains(expected), "{word}: {error}");
        }
        let twice = each_of_three(&["2:rate=1M", "2:rate=2M"]).unwrap_err();
        assert!(twice.contains("cannot be used multiple times"), "{twice}");
    }
}
