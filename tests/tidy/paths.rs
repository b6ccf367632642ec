//! Every path a file names, use trees flattened, resolved to a module of the crate or to another
//! crate.
//!
//! Resolution is by text, one file at a time: `crate`, `self` and `super` are exact; a first word
//! that the file itself declares or imports is local; any other first word names a crate.

use super::source::Source;
use std::collections::BTreeSet;

/// One path, as written.
pub(crate) struct PathUse {
    pub(crate) segments: Vec<String>,
    /// Index of its first token.
    pub(crate) token: usize,
    pub(crate) line: usize,
    /// The name a `use` gives it here.
    pub(crate) binds: Option<String>,
}

/// Where a path leads.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Into this crate; segments from its root.
    Crate(Vec<String>),
    /// To another crate, or a word of the language; segments as written.
    Outside(Vec<String>),
    /// To a name this file declares.
    Local,
}

/// The paths of `source`: every `use`, and every path of at least two segments elsewhere.
pub(crate) fn paths(source: &Source) -> Vec<PathUse> {
    let mut found = Vec::new();
    let mut index = 0;
    while index < source.tokens.len() {
        index = if source.is(index, "use") && !source.is(index + 1, "<") {
            use_tree(source, index + 1, &[], &mut found)
        } else {
            plain_path(source, index, &mut found)
        };
    }
    found
}

/// Names that hide a crate of the same name: modules declared and local items imported here.
pub(crate) fn local_names(source: &Source, paths: &[PathUse]) -> BTreeSet<String> {
    let modules = (0..source.tokens.len()).filter(|index| source.is(*index, "mod"));
    let modules = modules.filter_map(|index| source.word(index + 1)).map(str::to_owned);
    let relative =
        |path: &&PathUse| ["crate", "self", "super"].contains(&path.segments[0].as_str());
    let imports = paths.iter().filter(relative).filter_map(|path| path.binds.clone());
    modules.chain(imports).collect()
}

/// Where `path` leads from its place in `source`.
pub(crate) fn resolve(source: &Source, path: &PathUse, local: &BTreeSet<String>) -> Target {
    let first = path.segments[0].as_str();
    let mut module = source.module_at(path.token);
    match first {
        "crate" => Target::Crate(path.segments[1..].to_vec()),
        "self" | "super" => {
            let steps = path.segments.iter().take_while(|s| *s == "self" || *s == "super");
            let mut rest = 0;
            for step in steps {
                rest += 1;
                if step == "super" {
                    module.pop();
                }
            }
            module.extend_from_slice(&path.segments[rest..]);
            Target::Crate(module)
        }
        // The binary sees the library under its name.
        // The binary sees the library's modules through their one door.
        "ringhaul" if source.path == "src/main.rs" => {
            let below = path.segments[1..].to_vec();
            let is_behind_door = below.first().is_some_and(|first| *first == "internal");
            Target::Crate(if is_behind_door { below[1..].to_vec() } else { below })
        }
        _ if local.contains(first) => Target::Local,
        _ => Target::Outside(path.segments.clone()),
    }
}

/// Flattens one use tree; answers the index after it.
fn use_tree(source: &Source, start: usize, prefix: &[String], found: &mut Vec<PathUse>) -> usize {
    let mut segments = prefix.to_vec();
    let mut index = start + usize::from(source.is(start, "::"));
    loop {
        if source.is(index, "{") {
            return use_group(source, index, &segments, found);
        }
        let glob = source.is(index, "*");
        let Some(word) = (if glob { Some("*") } else { source.word(index) }) else {
            return index + 1;
        };
        // `{self}` is the path before the braces.
        if word != "self" || segments.is_empty() {
            segments.push(word.to_owned());
        }
        index += 1;
        if !source.is(index, "::") {
            break;
        }
        index += 1;
    }
    let mut binds = segments.last().filter(|last| *last != "*").cloned();
    if source.is(index, "as") {
        binds = source.word(index + 1).map(str::to_owned);
        index += 2;
    }
    let line = source.tokens[start].line;
    found.push(PathUse { segments, token: start, line, binds });
    index
}

fn use_group(source: &Source, open: usize, prefix: &[String], found: &mut Vec<PathUse>) -> usize {
    let close = source.closing(open);
    let mut index = open + 1;
    while index < close {
        index = use_tree(source, index, prefix, found);
        index += usize::from(source.is(index, ","));
    }
    close + 1
}

/// A path outside of `use`; answers the index after it.
fn plain_path(source: &Source, start: usize, found: &mut Vec<PathUse>) -> usize {
    if source.word(start).is_none() || continues_path(source, start) {
        return start + 1;
    }
    let mut segments = Vec::new();
    let mut index = start;
    while let Some(word) = source.word(index) {
        segments.push(word.to_owned());
        index += 1;
        if !source.is(index, "::") {
            break;
        }
        index += 1;
    }
    if segments.len() > 1 {
        let line = source.tokens[start].line;
        found.push(PathUse { segments, token: start, line, binds: None });
    }
    index
}

/// Whether the word at `index` is a later part: `.word`, `::<T>::word`; a leading `::` starts one.
fn continues_path(source: &Source, index: usize) -> bool {
    let Some(before) = index.checked_sub(1) else { return false };
    let leading = |mark: usize| {
        let end_of_path = |i: usize| source.word(i).is_some() || source.is(i, ">");
        !mark.checked_sub(1).is_some_and(end_of_path)
    };
    source.is(before, ".") || (source.is(before, "::") && !leading(before))
}
