//! The house rules, each a function from one file to its findings.
//!
//! A rule sees a file whole and decides by its path whether it applies. It knows no other file;
//! what needs the whole tree (files that no `mod` names) is in `tidy.rs`.

use super::lexer::Kind;
use super::paths::{Target, local_names, paths, resolve};
use super::source::Source;
use super::{BANS, HOUSE, Row};
use std::ops::Range;

/// Lines of one function, from `fn` to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;
/// Characters of one line.
const LINE_COLUMNS_MAX: usize = 100;

/// Phrases that leave open which number, time, amount or thing they mean.
const RIDDLES: [[&str; 2]; 5] =
    [["so", "many"], ["so", "long"], ["so", "much"], ["answers", "whether"], ["the", "like"]];

/// A place that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) line: usize,
    pub(crate) what: String,
}

/// A house rule.
pub(crate) type Rule = fn(&Source) -> Vec<Finding>;

fn finding(line: usize, what: impl Into<String>) -> Finding {
    Finding { line, what: what.into() }
}

/// The first column of the house's table: which modules of the crate a module imports.
pub(crate) fn imports_inside(source: &Source) -> Vec<Finding> {
    let Some(owner) = owner(source) else { return Vec::new() };
    let rows = rows_over(source);
    if rows.is_empty() {
        return vec![finding(1, format!("module `{owner}` has no row in the table of the house"))];
    }
    let mut findings = Vec::new();
    let paths = paths(source);
    let local = local_names(source, &paths);
    for path in paths.iter().filter(|path| !source.in_test(path.token)) {
        let Target::Crate(target) = resolve(source, path, &local) else { continue };
        let Some(first) = target.first().filter(|first| *first != "*") else {
            findings.push(finding(path.line, "imports the crate root; name a module"));
            continue;
        };
        let allowed = rows.iter().flat_map(|row| row.may_import);
        if *first == owner || allowed.into_iter().any(|allow| starts_with(&target, allow)) {
            continue;
        }
        let known = HOUSE.iter().any(|row| row.module == first);
        let what = if known {
            format!("`{owner}` may not import `{}`", target.join("::"))
        } else {
            format!("`crate::{first}` is no module of the house; name the item's module")
        };
        findings.push(finding(path.line, what));
    }
    findings
}

/// The second column of the table: which other crates a module names.
pub(crate) fn imports_outside(source: &Source) -> Vec<Finding> {
    let Some(owner) = owner(source) else { return Vec::new() };
    let rows = rows_over(source);
    let paths = paths(source);
    let local = local_names(source, &paths);
    let mut findings = Vec::new();
    for path in paths.iter().filter(|path| !source.in_test(path.token)) {
        let Target::Outside(target) = resolve(source, path, &local) else { continue };
        let name = target[0].as_str();
        let has_address = HOUSE.iter().any(|row| row.may_name.contains(&name));
        if has_address && !rows.iter().any(|row| row.may_name.contains(&name)) {
            findings.push(finding(path.line, format!("`{owner}` may not name `{name}`")));
        }
    }
    findings
}

/// Words of std that belong to some modules only: the clock, files, sockets, the exit.
pub(crate) fn banned_words(source: &Source) -> Vec<Finding> {
    let Some(owner) = owner(source) else { return Vec::new() };
    let mut findings = Vec::new();
    for path in paths(source).iter().filter(|path| !source.in_test(path.token)) {
        for ban in BANS.iter().filter(|ban| ban.applies(&owner)) {
            let words: Vec<&str> = ban.path.split("::").collect();
            if path.segments.windows(words.len()).any(|window| window == words) {
                findings.push(finding(path.line, format!("`{}`: {}", ban.path, ban.reason)));
            }
        }
    }
    let clockless = BANS.iter().any(|ban| ban.path == "Instant::now" && ban.applies(&owner));
    for index in (0..source.tokens.len()).filter(|index| clockless && !source.in_test(*index)) {
        if source.reads(index, &[".", "elapsed", "(", ")"]) {
            let line = source.tokens[index].line;
            findings.push(finding(line, "`.elapsed()` reads the clock; take `now` and subtract"));
        }
    }
    findings
}

/// `unsafe` stands in `io/` only, each with its reason above.
pub(crate) fn unsafe_has_one_address(source: &Source) -> Vec<Finding> {
    if !source.path.starts_with("src/") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for index in (0..source.tokens.len()).filter(|index| source.is(*index, "unsafe")) {
        let line = source.tokens[index].line;
        let block_or_impl = source.is(index + 1, "{") || source.is(index + 1, "impl");
        let function = source.is(index + 1, "fn") && source.word(index + 2).is_some();
        if !source.path.starts_with("src/io/") {
            findings.push(finding(line, "`unsafe` outside of io/"));
        } else if block_or_impl && !comment_above(source, line).contains("SAFETY:") {
            findings.push(finding(line, "`unsafe` without `// SAFETY:` above it"));
        } else if function {
            let comment = comment_above(source, line);
            if !comment.contains("# Safety") && !comment.contains("SAFETY:") {
                findings.push(finding(line, "`unsafe fn` without `# Safety` in its documentation"));
            }
        }
    }
    findings
}

/// Every file opens by saying what it owns.
pub(crate) fn opens_with_its_purpose(source: &Source) -> Vec<Finding> {
    let opens = source.text.starts_with("//!");
    if opens { Vec::new() } else { vec![finding(1, "does not open with `//!`")] }
}

/// Functions fit on a screen.
pub(crate) fn function_length(source: &Source) -> Vec<Finding> {
    let functions = source.functions().into_iter();
    let long = functions.filter(|function| function.lines > FUNCTION_LINES_MAX);
    long.map(|function| {
        let what = format!("`{}` has {} lines", function.name, function.lines);
        finding(function.line, what)
    })
    .collect()
}

/// Lines fit beside each other.
pub(crate) fn line_length(source: &Source) -> Vec<Finding> {
    let lines = source.text.lines().map(|line| line.chars().count()).enumerate();
    let long = lines.filter(|(_, columns)| *columns > LINE_COLUMNS_MAX);
    long.map(|(index, columns)| finding(index + 1, format!("{columns} columns"))).collect()
}

/// Nothing is left over from development.
pub(crate) fn no_leftovers(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, token) in source.tokens.iter().enumerate() {
        for word in ["todo", "unimplemented", "dbg"] {
            if token.is(word) && source.is(index + 1, "!") {
                findings.push(finding(token.line, format!("`{word}!`")));
            }
        }
    }
    findings
}

/// A panic names the invariant that does not hold.
pub(crate) fn no_bare_unwrap(source: &Source) -> Vec<Finding> {
    if !source.path.starts_with("src/") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for index in (0..source.tokens.len()).filter(|index| !source.in_test(*index)) {
        let line = source.tokens[index].line;
        if source.reads(index, &[".", "unwrap", "(", ")"]) {
            findings.push(finding(line, "`.unwrap()` outside of tests"));
        }
        let message = source.tokens.get(index + 3).filter(|token| token.kind == Kind::Text);
        if source.reads(index, &[".", "expect", "("]) && message.is_some_and(|m| m.text == "\"\"") {
            findings.push(finding(line, "`.expect(\"\")` names no invariant"));
        }
    }
    findings
}

/// An ignored test or a silenced lint says why.
pub(crate) fn exceptions_have_reasons(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for attribute in source.attributes() {
        let name = source.word(attribute.start).unwrap_or_default();
        if !["ignore", "allow", "expect", "cfg_attr"].contains(&name) {
            continue;
        }
        for index in attribute.clone() {
            let line = source.tokens[index].line;
            if source.is(index, "ignore") && !says_something(source, index + 1) {
                findings.push(finding(line, "`#[ignore]` without `= \"reason\"`"));
            }
            let lint = source.is(index, "allow") || source.is(index, "expect");
            if lint && source.is(index + 1, "(") {
                let mut inside = index + 2..source.closing(index + 1);
                let reason = |i| source.is(i, "reason") && says_something(source, i + 1);
                if !inside.any(reason) {
                    let word = &source.tokens[index].text;
                    findings.push(finding(line, format!("`{word}(..)` without `reason = \"..\"`")));
                }
            }
        }
    }
    findings
}

/// Tests wait for events; a sleep only stands where its line, or the one above, says why. The
/// tests of `src/` are bound, too.
pub(crate) fn no_sleep_as_synchronisation(source: &Source) -> Vec<Finding> {
    if source.path.starts_with("benches/") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (index, token) in source.tokens.iter().enumerate() {
        let declared = index > 0 && source.is(index - 1, "fn");
        let is_test = source.path.starts_with("tests/") || source.in_test(index);
        if !is_test || !token.is("sleep") || !source.is(index + 1, "(") || declared {
            continue;
        }
        let comment = comment_above(source, token.line);
        let reason = comment.split_once("// sleep:").map(|(_, reason)| reason.trim());
        if reason.is_none_or(str::is_empty) {
            findings.push(finding(token.line, "`sleep(` without `// sleep: reason`"));
        }
    }
    findings
}

/// Comments name what they speak of: a parameter, a count, a unit. A phrase may run over lines.
pub(crate) fn no_riddles(source: &Source) -> Vec<Finding> {
    let mut words: Vec<(usize, String)> = Vec::new();
    for (line, comment) in &source.comments {
        let is_next = words.last().is_some_and(|(last, _)| last + 1 == *line);
        if !is_next || !tokens_on(source, *line).is_empty() {
            // Nothing runs on across code.
            words.push((*line, String::new()));
        }
        let marks = ['/', '!', '*', ' '];
        let text = comment.trim_start_matches(marks).to_lowercase();
        words.extend(text.split_whitespace().map(|word| (*line, word.to_owned())));
    }
    let mut findings = Vec::new();
    for pair in words.windows(2) {
        let last = pair[1].1.trim_end_matches(|mark: char| !mark.is_alphanumeric());
        let first = pair[0].1.trim_start_matches(|mark: char| !mark.is_alphanumeric());
        if let Some(riddle) = RIDDLES.iter().find(|riddle| **riddle == [first, last]) {
            findings.push(finding(pair[0].0, format!("\"{}\": say what", riddle.join(" "))));
        }
    }
    findings
}

/// The top-level module a file belongs to. The library root only re-exports and has no row.
fn owner(source: &Source) -> Option<String> {
    let owner = match source.path.as_str() {
        "src/lib.rs" => return None,
        "src/main.rs" => "main".to_owned(),
        path if path.starts_with("src/") => source.module().first()?.clone(),
        _ => return None,
    };
    Some(owner)
}

/// The rows that hold for a file: its module's and those of the modules around it.
fn rows_over(source: &Source) -> Vec<&'static Row> {
    let mut module = source.module();
    if source.path == "src/main.rs" {
        module.push("main".to_owned());
    }
    HOUSE.iter().filter(|row| starts_with(&module, row.module)).collect()
}

fn starts_with(segments: &[String], prefix: &str) -> bool {
    let prefix: Vec<&str> = prefix.split("::").collect();
    segments.len() >= prefix.len() && segments.iter().zip(prefix).all(|(have, want)| have == want)
}

/// `= "text"` at `index`, with some text in it.
fn says_something(source: &Source, index: usize) -> bool {
    let text = source.tokens.get(index + 1).filter(|token| token.kind == Kind::Text);
    source.is(index, "=") && text.is_some_and(|token| token.text.len() > 2)
}

/// The comments on `line` and above it, across attributes and the lines its statement began on.
fn comment_above(source: &Source, line: usize) -> String {
    let mut comment = source.comments.get(&line).cloned().unwrap_or_default();
    for above in (1..line).rev() {
        let tokens = tokens_on(source, above);
        if tokens.is_empty() {
            let Some(text) = source.comments.get(&above) else { break };
            comment.push_str(text);
            continue;
        }
        let in_attribute = source.attributes().iter().any(|a| a.contains(&(tokens.end - 1)));
        let last = &source.tokens[tokens.end - 1];
        let statement_ends = [";", "{", "}", ","].iter().any(|mark| last.is(mark));
        let attribute_ends = source.attributes().iter().any(|a| a.end == tokens.end - 1);
        if statement_ends && !in_attribute && !attribute_ends {
            break;
        }
    }
    comment
}

fn tokens_on(source: &Source, line: usize) -> Range<usize> {
    let start = source.tokens.partition_point(|token| token.line < line);
    let end = source.tokens.partition_point(|token| token.line <= line);
    start..end
}
