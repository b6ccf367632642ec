//! The house enforced: ranks, imports, circles, `unsafe`, lengths, leftovers, reasons, words,
//! lost files.
//!
//! Owns the tables of the house (`HOUSE`, `BANS`) and walks the tree; each test lists all places
//! that break its rule. Works on text with std alone, so it knows no types and expands no macro.
//! Test code (see `tidy/source.rs`) may import and name anything and may unwrap; lengths, `//!`,
//! leftovers and reasons bind it too.

#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/grants.rs"]
mod grants;
#[path = "tidy/lexer.rs"]
mod lexer;
#[path = "tidy/paths.rs"]
mod paths;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/snippets.rs"]
mod snippets;
#[path = "tidy/source.rs"]
mod source;

use rules::Rule;
use source::Source;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// One module of the house: what it may import of the crate, which other crates it may name.
struct Row {
    /// `io`, or a part of a module: `io::uring` adds to what `io` may do.
    module: &'static str,
    /// Modules, or parts of them: `engine::progress`.
    may_import: &'static [&'static str],
    may_name: &'static [&'static str],
}

const fn row(
    module: &'static str,
    may_import: &'static [&'static str],
    may_name: &'static [&'static str],
) -> Row {
    Row { module, may_import, may_name }
}

/// The table of the house, in the order of ranks: a module imports only from rows above its own.
/// `lib.rs` is the crate's map, re-exports from everywhere and has no row.
const HOUSE: &[Row] = &[
    row("base", &[], &["url", "percent_encoding"]),
    row("plan", &["base"], &[]),
    // The plan in virtual time, for tests and benches; nothing of the crate imports it.
    row("sim", &["base", "plan"], &[]),
    row("schedule", &["base"], &[]),
    // sha2 and md5: the hashes of Digest authentication.
    row(
        "http",
        &["base"],
        &["httparse", "httpdate", "base64", "percent_encoding", "psl", "sha2", "md5"],
    ),
    row("tls", &["base"], &["rustls", "webpki_roots", "base64"]),
    row("digest", &["base"], &["sha2", "sha1", "md5", "blake3", "crc_fast"]),
    // serde and serde_json read JSON Lines, quick_xml Metalinks.
    row("manifest", &["base"], &["serde", "serde_json", "quick_xml"]),
    row("io", &["base"], &["tokio", "rustix", "libc"]),
    row("io::uring", &[], &["tokio_uring", "io_uring"]),
    // libc above io: names of errors and flags. Its functions are unsafe, so they stay in io.
    // A part of http: what is said to proxies.
    row("net", &["base", "http::proxy", "tls", "io"], &["tokio", "libc"]),
    // tokio above io: tells a worker that its write has ended, from the thread of a stream.
    row("disk", &["base", "digest", "io"], &["tokio", "libc"]),
    // A part of schedule: what connections that share a limit of the rate may receive.
    row(
        "engine",
        &[
            "base",
            "plan",
            "schedule::bucket",
            "http",
            "tls",
            "digest",
            "manifest",
            "io",
            "net",
            "disk",
        ],
        // serde and serde_json write the trace; rustls_native_certs finds this machine's roots.
        &["tokio", "libc", "serde", "serde_json", "rustls_native_certs"],
    ),
    // Two parts of lower rooms: which failures are retried, and a log of any records.
    // serde and serde_json write results.
    row(
        "batch",
        &["base", "plan::retry", "schedule", "manifest", "disk::record_log", "engine"],
        &["serde", "serde_json"],
    ),
    // Its own codec, its own hash and sockets: an oracle that shares none of our code with the
    // client.
    row(
        "server",
        &["base"],
        &["rustls", "rcgen", "sha2", "sha1", "md5", "rustix", "percent_encoding", "mime_guess"],
    ),
    // serde and serde_json read the trace and write the summary.
    // Parts of io without sockets or rings: other programs and what they cost, what the machine
    // grants, files that are replaced as a whole.
    row(
        "bench",
        &["base", "io::child", "io::probe", "io::whole", "engine", "server"],
        &["hdrhistogram", "serde", "serde_json"],
    ),
    // A part of io without sockets or rings: what has been typed too early.
    row(
        "ui",
        &["base", "io::terminal", "engine::progress", "batch::progress", "batch::result"],
        &["console"],
    ),
    row(
        "cli",
        &["base", "io::probe", "io::whole", "engine", "batch", "server", "bench", "ui"],
        &["clap", "clap_complete", "clap_mangen", "signal_hook", "toml"],
    ),
    row("main", &["cli"], &[]),
];

/// A word of std that only some modules may say.
struct Ban {
    /// Matched anywhere in a path.
    path: &'static str,
    bound: Bound,
    reason: &'static str,
}

/// Lines of the median function of `src/`, from `fn` to its closing brace.
const FUNCTION_LINES_MEDIAN_MAX: usize = 10;

/// Which modules a ban binds.
enum Bound {
    These(&'static [&'static str]),
    AllBut(&'static str),
}

impl Ban {
    fn applies(&self, module: &str) -> bool {
        match self.bound {
            Bound::These(modules) => modules.contains(&module),
            Bound::AllBut(exempt) => module != exempt,
        }
    }
}

/// Ranks 0 and 1 decide and parse; they run in virtual time, without a kernel.
const PURE: Bound =
    Bound::These(&["base", "plan", "schedule", "http", "tls", "digest", "manifest"]);

const BANS: &[Ban] = &[
    Ban { path: "Instant::now", bound: PURE, reason: "time is an argument here" },
    Ban { path: "SystemTime::now", bound: PURE, reason: "time is an argument here" },
    Ban { path: "std::fs", bound: PURE, reason: "no files here; take bytes" },
    Ban { path: "std::thread", bound: PURE, reason: "threads belong to the caller" },
    Ban { path: "TcpStream", bound: PURE, reason: "no sockets here; take bytes" },
    Ban { path: "UdpSocket", bound: PURE, reason: "no sockets here; take bytes" },
    Ban { path: "process::exit", bound: Bound::AllBut("main"), reason: "return; main.rs exits" },
];

#[test]
fn modules_import_lower_ranks_only() {
    enforce(rules::imports_inside);
}

#[test]
fn crates_are_named_at_their_address_only() {
    enforce(rules::imports_outside);
}

#[test]
fn clock_files_sockets_and_exit_have_their_modules() {
    enforce(rules::banned_words);
}

#[test]
fn unsafe_lives_in_io_with_its_reason() {
    enforce(rules::unsafe_has_one_address);
}

#[test]
fn files_open_with_their_purpose() {
    enforce(rules::opens_with_its_purpose);
}

#[test]
fn functions_are_short() {
    enforce(rules::function_length);
}

#[test]
fn most_functions_are_very_short() {
    let all = tree().sources.iter().filter(|source| source.path.starts_with("src/"));
    let functions = all.flat_map(|source| {
        let functions = source.functions().into_iter();
        functions.filter(|function| !source.in_test(function.token))
    });
    let mut lines: Vec<usize> = functions.map(|function| function.lines).collect();
    lines.sort_unstable();
    let median = lines[lines.len() / 2];
    println!("{} functions, median {median} lines", lines.len());
    assert!(median <= FUNCTION_LINES_MEDIAN_MAX, "the median function has {median} lines");
}

#[test]
fn lines_are_short() {
    enforce(rules::line_length);
}

#[test]
fn nothing_is_left_over() {
    enforce(rules::no_leftovers);
}

#[test]
fn panics_name_their_invariant() {
    enforce(rules::no_bare_unwrap);
}

#[test]
fn exceptions_carry_their_reason() {
    enforce(rules::exceptions_have_reasons);
}

#[test]
fn tests_wait_for_events() {
    enforce(rules::no_sleep_as_synchronisation);
}

#[test]
fn comments_are_plain() {
    enforce(rules::no_riddles);
}

#[test]
fn siblings_do_not_import_each_other_in_a_circle() {
    report(&circles::circles(&tree().sources));
}

#[test]
fn every_grant_is_used() {
    report(&grants::unused(&tree().sources, HOUSE));
}

#[test]
fn every_source_file_has_its_mod() {
    let lost: Vec<String> = tree().lost.iter().map(|path| format!("{path}:1: no `mod`")).collect();
    report(&lost);
}

#[test]
fn ranks_have_no_cycle() {
    let order = |module: &str| HOUSE.iter().position(|row| row.module == module);
    for (rank, row) in HOUSE.iter().enumerate() {
        for import in row.may_import {
            let top = import.split("::").next().unwrap_or_default();
            let lower = order(top).is_some_and(|other| other < rank);
            assert!(lower, "`{}` imports `{import}`, which stands not above it", row.module);
        }
    }
}

#[test]
fn every_dependency_has_an_address() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml is readable");
    let lines = manifest.lines().skip_while(|line| *line != "[dependencies]").skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    let names = lines.filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    let present: BTreeSet<String> = names.map(|(name, _)| name.trim().replace('-', "_")).collect();
    let addresses = HOUSE.iter().flat_map(|row| row.may_name).map(|name| (*name).to_owned());
    assert_eq!(present, addresses.collect(), "dependencies (left), crates in the table (right)");
}

/// Everything that is checked.
struct Tree {
    sources: Vec<Source>,
    /// Files under `src/` that no `mod` names. Nobody knows whether they are tests: not checked.
    lost: Vec<String>,
}

fn tree() -> &'static Tree {
    static TREE: OnceLock<Tree> = OnceLock::new();
    TREE.get_or_init(Tree::load)
}

impl Tree {
    fn load() -> Self {
        let mut walked = walk_modules();
        let present = rust_files("src").into_iter();
        let lost = present.filter(|path| !walked.contains_key(path)).collect();
        for path in rust_files("tests").into_iter().chain(rust_files("benches")) {
            let source = read(&path, true);
            walked.insert(path, source);
        }
        Self { sources: walked.into_values().collect(), lost }
    }
}

/// The files that `lib.rs` and `main.rs` reach through `mod`, by path.
fn walk_modules() -> BTreeMap<String, Source> {
    let mut walked: BTreeMap<String, Source> = BTreeMap::new();
    let mut ahead = vec![("src/lib.rs".to_owned(), false), ("src/main.rs".to_owned(), false)];
    while let Some((path, test_only)) = ahead.pop() {
        if walked.contains_key(&path) || !root().join(&path).is_file() {
            continue;
        }
        let source = read(&path, test_only);
        for file in source.module_files() {
            let below = file.candidates.into_iter();
            ahead.extend(below.map(|candidate| (candidate, test_only || file.test_only)));
        }
        walked.insert(path, source);
    }
    walked
}

fn read(path: &str, test_only: bool) -> Source {
    let text = fs::read_to_string(root().join(path))
        .unwrap_or_else(|error| panic!("cannot read {path}: {error}"));
    Source::parse(path, &text, test_only)
}

/// Cargo names the folder when it runs the test; a binary run by hand knows where it was built.
fn root() -> PathBuf {
    let built = || env!("CARGO_MANIFEST_DIR").into();
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(built))
}

/// Paths of all `.rs` files below `folder`, from the package's folder.
fn rust_files(folder: &str) -> Vec<String> {
    let mut files = Vec::new();
    let mut ahead = vec![folder.to_owned()];
    while let Some(folder) = ahead.pop() {
        let Ok(entries) = fs::read_dir(root().join(&folder)) else { continue };
        for entry in entries {
            let name = entry.expect("a folder's entry is readable").file_name();
            let path = format!("{folder}/{}", name.to_string_lossy());
            if root().join(&path).is_dir() {
                // What cargo-fuzz builds lies beside what it builds it from.
                if name != "target" {
                    ahead.push(path);
                }
            } else if Path::new(&path).extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}

fn enforce(rule: Rule) {
    let mut broken = Vec::new();
    for source in &tree().sources {
        let findings = rule(source).into_iter();
        broken.extend(findings.map(|f| format!("{}:{}: {}", source.path, f.line, f.what)));
    }
    assert!(tree().sources.len() > 5, "the tree was not found");
    report(&broken);
}

fn report(broken: &[String]) {
    assert!(broken.is_empty(), "{} places break this rule:\n{}", broken.len(), broken.join("\n"));
}
