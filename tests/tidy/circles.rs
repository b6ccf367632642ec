//! No two files of one folder import each other in a circle: whoever reads one of them must be able
//! to read it before the others.
//!
//! Sees all files at once, as a graph. Its nodes are siblings, the modules of one parent; what is
//! below a sibling counts as the sibling itself. A parent may import its children, and a child what
//! its parent's file declares; what the parent's file merely re-exports counts as an import of the
//! sibling where it is declared. A glob re-export is not looked into.

use super::paths::{Target, local_names, paths, resolve};
use super::source::Source;
use std::collections::{BTreeMap, BTreeSet};

/// Re-exports that are followed before an import counts as one of the module it has come to.
const HOPS_MAX: usize = 8;

type Module = Vec<String>;

/// The imports of all files: from which file to which module, and where.
struct Imports {
    files: BTreeSet<Module>,
    /// What a file's `use` makes of a name.
    bindings: BTreeMap<Module, BTreeMap<String, Module>>,
    /// Importing file, what it imports as written, and the place.
    found: Vec<(Module, Module, String)>,
}

/// The circles of the siblings in `sources`, one line each.
pub(crate) fn circles(sources: &[Source]) -> Vec<String> {
    let edges = sibling_edges(&Imports::of(sources));
    let mut broken = Vec::new();
    for (from, targets) in &edges {
        for (to, place) in targets {
            if let Some(way_back) = way(&edges, to, from) {
                broken.push(format!("{place}: `{from}` imports `{to}`, which imports {way_back}"));
            }
        }
    }
    broken
}

impl Imports {
    fn of(sources: &[Source]) -> Self {
        let library =
            |source: &&Source| source.path.starts_with("src/") && source.path != "src/main.rs";
        let mut imports =
            Self { files: BTreeSet::new(), bindings: BTreeMap::new(), found: Vec::new() };
        for source in sources.iter().filter(library) {
            imports.files.insert(source.module());
            imports.add(source);
        }
        imports
    }

    fn add(&mut self, source: &Source) {
        let all = paths(source);
        let local = local_names(source, &all);
        let bindings = self.bindings.entry(source.module()).or_default();
        for path in all.iter().filter(|path| !source.in_test(path.token)) {
            let mut target = match resolve(source, path, &local) {
                Target::Crate(target) => target,
                // A child, or what a `use` of this file binds.
                Target::Local => [source.module_at(path.token), path.segments.clone()].concat(),
                Target::Outside(_) => continue,
            };
            target.retain(|segment| segment != "*");
            if let Some(name) = &path.binds {
                bindings.insert(name.clone(), target.clone());
            }
            let place = format!("{}:{}", source.path, path.line);
            self.found.push((source.module(), target, place));
        }
    }

    /// The file that declares `target`, as far as re-exports tell.
    fn declared_in(&self, target: &[String]) -> Module {
        let mut target = target.to_vec();
        for _ in 0..HOPS_MAX {
            let depth = (0..=target.len()).rev().find(|end| self.files.contains(&target[..*end]));
            let depth = depth.unwrap_or_default();
            let (file, rest) = target.split_at(depth);
            let bound = rest.first().and_then(|name| self.bindings.get(file)?.get(name));
            match bound {
                Some(bound) => target = [bound, &rest[1..]].concat(),
                None => return file.to_vec(),
            }
        }
        target
    }
}

type Edges = BTreeMap<String, BTreeMap<String, String>>;

/// Which sibling imports which, and the first place where it does.
fn sibling_edges(imports: &Imports) -> Edges {
    let mut edges = Edges::new();
    for (from, target, place) in &imports.found {
        let to = imports.declared_in(target);
        let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
        // Otherwise one of the two is above the other.
        if common < from.len() && common < to.len() {
            let [from, to] = [from, &to].map(|module| module[..=common].join("::"));
            edges.entry(from).or_default().entry(to).or_insert_with(|| place.clone());
        }
    }
    edges
}

/// A way along the edges from `start` to `end`, for a message.
fn way(edges: &Edges, start: &str, end: &str) -> Option<String> {
    let mut ahead = vec![vec![start.to_owned()]];
    let mut seen = BTreeSet::new();
    while let Some(steps) = ahead.pop() {
        let Some(last) = steps.last().filter(|last| seen.insert((*last).clone())) else { continue };
        for (next, place) in edges.get(last).into_iter().flatten() {
            let steps = [&steps[..], std::slice::from_ref(next)].concat();
            if next == end {
                return Some(format!("`{}` (at {place})", steps[1..].join("`, which imports `")));
            }
            ahead.push(steps);
        }
    }
    None
}
