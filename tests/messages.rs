//! Every message of the program, in files that a reviewer reads: `tests/messages/all.txt` has the
//! texts of the sources by file, `errors.txt` what each kind of error says and leads to, and
//! `screen.txt`, which a test of `ui` compares, what a running and an ended transfer look like.
//!
//! A message is a text of the sources of two words or more, but for tests, the built-in server, the
//! bench and the help: that is a page of its own.

#![allow(dead_code, reason = "the lexer of the house rules can do more")]

#[path = "tidy/lexer.rs"]
mod lexer;
#[path = "tidy/source.rs"]
mod source;

use lexer::Kind;
use ringhaul::ErrorKind;
use ringhaul::internal::batch::failure::{KINDS, permanence};
use ringhaul::internal::plan::retry::class;
use source::Source;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// Set to anything to write the files anew.
const VARIABLE: &str = "RINGHAUL_UPDATE_MESSAGES";
/// What says nothing to a user of the program while it downloads.
const NOT_OURS: [&str; 4] = ["src/server", "src/sim", "src/bench", "src/cli/args"];
/// Whose text names an invariant, and is seen by nobody unless there is a bug.
const INVARIANTS: [&str; 7] =
    ["expect", "assert", "assert_eq", "assert_ne", "debug_assert", "unreachable", "panic"];

#[test]
fn every_message_was_reviewed() {
    let mut text = String::new();
    for path in sources() {
        let source = fs::read_to_string(root().join(&path)).expect("a source is readable");
        let messages = messages(&Source::parse(&path, &source, false));
        if !messages.is_empty() {
            let _ = writeln!(text, "== {path}");
            messages.iter().for_each(|message| _ = writeln!(text, "{message}"));
        }
    }
    compare("all.txt", &text);
}

#[test]
fn every_kind_of_error_was_reviewed() {
    let statuses = [401, 403, 404, 407, 410, 416, 429, 500, 503, 418].map(ErrorKind::Status);
    let mut text = String::new();
    for kind in KINDS.iter().copied().chain(statuses) {
        let (brief, side, code) = (kind.in_brief(), kind.side(), kind.exit_code());
        let (class, permanence) = (class(kind), permanence(kind));
        let _ = writeln!(text, "{brief} ({side}); {}", kind.advice());
        let _ = writeln!(text, "    {kind:?}: exit code {code}, {class:?}, {permanence:?}");
    }
    compare("errors.txt", &text);
}

/// The text is that of the file, which is written if that is asked for.
#[track_caller]
fn compare(file: &str, text: &str) {
    let path = root().join("tests/messages").join(file);
    if std::env::var_os(VARIABLE).is_some() {
        return fs::write(&path, text).expect("the file is written");
    }
    let reviewed = fs::read_to_string(&path).unwrap_or_default();
    let is_in = |text: &str, line: &str| text.lines().any(|other| other == line);
    let new: Vec<&str> = text.lines().filter(|line| !is_in(&reviewed, line)).collect();
    let gone: Vec<&str> = reviewed.lines().filter(|line| !is_in(text, line)).collect();
    assert!(
        reviewed == text,
        "the messages are not those of tests/messages/{file}: new {new:#?}, gone {gone:#?}; if \
         that is meant, write the file anew with {VARIABLE}=1 and review it"
    );
}

/// The messages of a file, each once, in their order.
fn messages(source: &Source) -> Vec<String> {
    let mut messages: Vec<String> = Vec::new();
    let mut index = 0;
    while let Some(token) = source.tokens.get(index) {
        let is_invariant = source.word(index).is_some_and(|word| INVARIANTS.contains(&word));
        if is_invariant {
            let open = (index + 1..=index + 2).find(|open| source.is(*open, "("));
            index = open.map_or(index, |open| source.closing(open));
        } else if token.kind == Kind::Text && !source.in_test(index) && !is_attribute(source, index)
        {
            let text = joined(&token.text);
            if is_message(&text) && !messages.contains(&text) {
                messages.push(text);
            }
        }
        index += 1;
    }
    messages
}

fn is_attribute(source: &Source, index: usize) -> bool {
    source.attributes().iter().any(|attribute| attribute.contains(&index))
}

/// Two words, of which one is not the name of something that is put in.
fn is_message(text: &str) -> bool {
    let mut depth = 0;
    let bare: String = text
        .chars()
        .filter(|c| {
            depth += i32::from(*c == '{');
            let is_outside = depth == 0;
            depth -= i32::from(*c == '}');
            is_outside
        })
        .collect();
    let words = bare.split(|c: char| !c.is_alphabetic());
    text.trim().contains(' ') && words.filter(|word| word.len() > 1).count() > 0
}

/// A literal without its quotes, and without the breaks within it.
fn joined(literal: &str) -> String {
    let inner = literal.trim_start_matches(['b', 'r', '#']).trim_end_matches('#');
    let inner = inner.strip_prefix('"').and_then(|inner| inner.strip_suffix('"'));
    let mut parts = inner.unwrap_or(literal).split("\\\n");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.trim_start())
}

/// Paths of the sources that speak to users, sorted.
fn sources() -> Vec<String> {
    let mut files = Vec::new();
    let mut ahead = vec!["src".to_owned()];
    while let Some(folder) = ahead.pop() {
        for entry in fs::read_dir(root().join(&folder)).expect("a folder of sources") {
            let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
            let path = format!("{folder}/{name}");
            if NOT_OURS.iter().any(|other| path.starts_with(other)) || is_of_tests(&path) {
                continue;
            }
            if root().join(&path).is_dir() {
                ahead.push(path);
            } else if Path::new(&path).extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// Files that only tests have: the house has them in folders and files of these names.
fn is_of_tests(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    ["tests", "tests.rs", "snapshot.rs", "crash.rs"].contains(&name)
}

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}
