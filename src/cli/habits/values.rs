//! Values that no option of ours has, and which show that another tool's flag was meant: the URL
//! behind `-c`, the number in `-x16`. Must not repeat a value that may hold a secret.

use super::refusal;
use crate::base::limits::{CONNECTIONS_MAX, RETRIES_MAX};
use crate::base::{Error, ErrorKind};
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// Digits of a count of connections; what is longer is a rate.
const COUNT_DIGITS_MAX: usize = 3;

/// The refusal of a letter with a number behind it, in the same word (`attached`) or in the `next`
/// one: aria2c's `-x16` and `-s 16`, axel's `-n 4`, aria2c's `-k 1M`.
pub(super) fn number(letter: char, attached: &str, next: Option<&str>) -> Option<Error> {
    let (shown, number) = match (attached, next) {
        ("", Some(next)) => (format!("-{letter} {next}"), next),
        _ => (format!("-{letter}{attached}"), attached),
    };
    let digits = number.trim_end_matches(['k', 'K', 'm', 'M', 'g', 'G']);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let is_count = digits == number && digits.len() <= COUNT_DIGITS_MAX;
    let tools = if letter == 'n' { "axel" } else { "aria2c" };
    match letter {
        'x' | 's' | 'n' if is_count => Some(refusal(&shown, tools, &connections(digits))),
        's' => Some(refusal(&shown, "axel", &format!("write --limit-rate {number}"))),
        'k' => Some(refusal(&shown, "aria2c", "write --chunk-size SIZE; -k is --insecure here")),
        _ => None,
    }
}

fn connections(digits: &str) -> String {
    let count = digits.parse().ok().filter(|count| (1..=CONNECTIONS_MAX).contains(count));
    count
        .map_or_else(|| "write -c N, for N connections".into(), |count| format!("write -c {count}"))
}

/// The refusal of an option of ours, given by its letter, whose value only another tool's has.
pub(super) fn of_another_tool(id: &str, flag: &str, value: &str) -> Option<Error> {
    if flag.starts_with("--") {
        return None;
    }
    let is_url = value.contains("://");
    let (what, advice) = match id {
        "connections" if is_url => {
            ("is the number of connections here", "resuming is automatic: leave -c out")
        }
        "retries" if is_url => {
            ("is the number of retries here", "folders are not followed: name files or a list, -i")
        }
        "retries" if is_range(value) => {
            ("is the number of retries here", "parts of a file are fetched by --range RANGES")
        }
        "max_time" if is_url => {
            ("is the longest time here", "sites are not mirrored: name files or a list, -i")
        }
        "input_file" if is_url => {
            ("is a list of files here", "what the server answers is shown by -v")
        }
        "parallel" if is_url => ("is the number of files at once here", "write -j N, or leave it"),
        "cookie" if is_url => (
            "reads cookies here",
            "to go on in the background, let the shell do it: ringhaul ... &",
        ),
        "cert" if is_url => {
            ("is a client certificate here", "names are those of the URLs; -o FILE chooses another")
        }
        "dir" if is_body(value) => {
            ("is the folder to save in here", "ringhaul only fetches: it sends no data")
        }
        _ => return None,
    };
    Some(Error::new(ErrorKind::Usage, format!("'{flag}' {what}")).advise(advice))
}

/// `0-99`, `100-` or `-500`.
fn is_range(value: &str) -> bool {
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let ends = value.split_once('-').filter(|ends| *ends != ("", ""));
    ends.is_some_and(|(first, last)| is_digits(first) && is_digits(last))
}

/// What curl's `-d` sends, unless a folder is called so.
fn is_body(value: &str) -> bool {
    let is_one = value.contains('=') || value.starts_with(['{', '@']);
    is_one && !Path::new(value).is_dir()
}

/// wget's `-O FILE`.
pub(super) fn output_of_wget(flag: &str) -> Error {
    Error::new(ErrorKind::Usage, format!("'{flag}' with a name behind it is an option of wget"))
        .advise("write -o FILE")
}

/// Retries for a number of tries, of which 0 is any number, as aria2c and wget have it. What is no
/// number stays what it is, for the message.
pub(super) fn retries(tries: &OsStr) -> OsString {
    match tries.to_str().and_then(|text| text.parse::<u32>().ok()) {
        Some(0) => RETRIES_MAX.to_string().into(),
        Some(tries) => (tries - 1).to_string().into(),
        None if tries == "inf" => RETRIES_MAX.to_string().into(),
        None => tries.to_owned(),
    }
}
