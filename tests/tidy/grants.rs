//! A grant of the house's table that nobody uses: it would let in what was thrown out.
//!
//! Sees all files at once. Test code does not count as use.

use super::Row;
use super::paths::{Target, local_names, paths, resolve};
use super::source::Source;

/// What the rows of `house` grant and no file of theirs uses, one line each.
pub(crate) fn unused(sources: &[Source], house: &[Row]) -> Vec<String> {
    let mut lines = Vec::new();
    for row in house {
        let used = used_by(sources, row.module);
        let is_unused = |grant: &&&str| {
            let grant: Vec<&str> = grant.split("::").collect();
            !used.iter().any(|path| path.len() >= grant.len() && path[..grant.len()] == grant)
        };
        let grants = row.may_import.iter().chain(row.may_name);
        let unused = grants.filter(is_unused);
        lines.extend(unused.map(|grant| format!("`{}` is granted `{grant}`", row.module)));
    }
    lines
}

/// The paths that the files of `module` name: of the crate from its root, of others as written.
fn used_by(sources: &[Source], module: &str) -> Vec<Vec<String>> {
    let module: Vec<&str> = module.split("::").collect();
    let is_main = |source: &Source| module == ["main"] && source.path == "src/main.rs";
    let is_below = |source: &Source| {
        let path = source.module();
        source.path.starts_with("src/")
            && path.len() >= module.len()
            && path[..module.len()] == module
    };
    let mut used = Vec::new();
    for source in sources.iter().filter(|source| is_main(source) || is_below(source)) {
        let all = paths(source);
        let local = local_names(source, &all);
        for path in all.iter().filter(|path| !source.in_test(path.token)) {
            match resolve(source, path, &local) {
                Target::Crate(target) | Target::Outside(target) => used.push(target),
                Target::Local => {}
            }
        }
    }
    used
}
