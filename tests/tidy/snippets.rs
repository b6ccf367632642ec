//! The checker checked: each rule finds its violation in a snippet, on the right line, and leaves
//! alone what only looks like one.

use super::circles::circles;
use super::grants::unused;
use super::lexer::{Kind, lex};
use super::row;
use super::rules::{self, Rule};
use super::source::Source;

/// `rule` finds something on exactly these lines of a file `path` with this text.
#[track_caller]
fn finds(rule: Rule, path: &str, text: &str, lines: &[usize]) {
    let findings = rule(&Source::parse(path, text, false));
    let found: Vec<usize> = findings.iter().map(|finding| finding.line).collect();
    assert_eq!(found, lines, "{path}: {findings:?}");
}

#[test]
fn lexer_tells_literals_comments_and_code_apart() {
    let text = r####"a "}\"{" '{' '\'' '\u{7d}' b'}' 'x: r#"}"{"# br"\" r#fn
        /* { /* } */ { */ 1.5 // }
        0..2 c"{" "two
lines" z"####;
    let lexed = lex(text);
    let of = |kind| {
        let tokens = lexed.tokens.iter().filter(move |token| token.kind == kind);
        tokens.map(|token| token.text.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(of(Kind::Mark), [":", ".", "."]);
    assert_eq!(of(Kind::Word), ["a", "fn", "z"]);
    let counts = [Kind::Text, Kind::Char, Kind::Lifetime, Kind::Number].map(|k| of(k).len());
    assert_eq!(counts, [5, 4, 1, 3]);
    assert_eq!(lexed.tokens.last().map(|token| token.line), Some(4));
    assert!(lexed.comments.keys().eq(&[2]));
}

#[test]
fn lexer_survives_whatever_is_cut_off() {
    let text = "fn f() { let x = r#\"a\"#; /* b */ 'c'; \"d\\\"\" }";
    for (end, _) in text.char_indices() {
        let _ = Source::parse("src/base/x.rs", &text[..end], false).functions();
    }
}

#[test]
fn imports_of_a_higher_or_sibling_module_are_found() {
    let rule: Rule = rules::imports_inside;
    let text = "use crate::base::Span;\nuse crate::http::Head;\nfn f() { crate::engine::run(); }\n";
    finds(rule, "src/plan/mod.rs", text, &[2, 3]);
    finds(rule, "src/engine/mod.rs", text, &[]);
    let nested = "use crate::{base::{Url, Span}, net::{self, dial::Dial as D}};";
    finds(rule, "src/disk/output.rs", nested, &[1, 1]);
    let up = "use super::head::Head;\nuse super::super::tls::Session;\nuse super::*;";
    finds(rule, "src/http/exchange.rs", up, &[2]);
    let inline = "mod a { mod b { use super::super::x; use super::super::super::plan::X; } }";
    finds(rule, "src/http/mod.rs", inline, &[1]);
    finds(rule, "src/http/x.rs", "use super::super::*;\nuse crate::Error;", &[1, 2]);
    finds(rule, "src/attic/mod.rs", "", &[1]);
    finds(rule, "src/main.rs", "fn main() { ringhaul::io::x(); }", &[1]);
}

#[test]
fn a_row_may_open_one_submodule_only() {
    let rule: Rule = rules::imports_inside;
    let text = "use crate::engine::progress::Progress;\nuse crate::engine::worker;\n";
    finds(rule, "src/ui/bar.rs", text, &[2]);
}

#[test]
fn crates_stay_at_their_address() {
    let rule: Rule = rules::imports_outside;
    let text = "use rustls::X;\nfn f() { ::io_uring::g(); tokio_uring::start(h) }\nuse std::fs;";
    finds(rule, "src/tls/mod.rs", text, &[2, 2]);
    finds(rule, "src/io/uring/mod.rs", text, &[1]);
    finds(rule, "src/io/probe.rs", text, &[1, 2, 2]);
    // A module of the same name is not the crate.
    finds(rule, "src/plan/a.rs", "use crate::base::url;\nfn f(u: url::Url) {}", &[]);
    finds(rule, "src/plan/a.rs", "fn f(u: url::Url) {}", &[1]);
    finds(rule, "src/plan/a.rs", "fn f() { x.url; T::url::<u8>::url(); }", &[]);
}

#[test]
fn test_code_may_import_anything() {
    let text = "#[cfg(test)]\nmod tests {\n use crate::server::Server;\n use rustls::X;\n}\n\
                #[cfg(not(test))]\nuse crate::server::Server;\n#[cfg(test)]\nuse rcgen::X;\n";
    finds(rules::imports_inside, "src/http/a.rs", text, &[7]);
    finds(rules::imports_outside, "src/http/a.rs", text, &[]);
    let whole = Source::parse("src/http/a/tests.rs", "use crate::server::Server;", true);
    assert!(rules::imports_inside(&whole).is_empty());
}

#[test]
fn clock_files_and_exit_have_their_modules() {
    let rule: Rule = rules::banned_words;
    let text = "use std::{fs, time::Instant};\nfn f() { std::time::Instant::now(); t.elapsed(); }";
    finds(rule, "src/plan/rate.rs", text, &[1, 2, 2]);
    finds(rule, "src/engine/mod.rs", text, &[]);
    let exit = "use std::process;\nfn f() { process::exit(1) }";
    finds(rule, "src/cli/mod.rs", exit, &[2]);
    finds(rule, "src/main.rs", exit, &[]);
}

#[test]
fn unsafe_needs_its_address_and_its_reason() {
    let rule: Rule = rules::unsafe_has_one_address;
    let bare = "fn f() {\n unsafe { g() }\n}\nunsafe impl Send for X {}\npub unsafe fn h() {}\n";
    finds(rule, "src/io/a.rs", bare, &[2, 4, 5]);
    finds(rule, "src/net/a.rs", bare, &[2, 4, 5]);
    let good = "fn f() {\n // SAFETY: ours\n // until then.\n #[rustfmt::skip]\n let x =\n  \
                unsafe { g() };\n}\n// SAFETY: no state.\nunsafe impl Send for X {}\n\
                /// # Safety\n/// own it\n#[inline]\npub unsafe fn h() {}\n";
    finds(rule, "src/io/a.rs", good, &[]);
    let stale = "// SAFETY: of another block\nlet x = 1;\nlet y = unsafe { g() };\n";
    finds(rule, "src/io/a.rs", stale, &[3]);
    finds(rule, "src/net/a.rs", "#![deny(unsafe_code)] // unsafe", &[]);
}

#[test]
fn lengths_are_counted() {
    let body =
        |count: usize| format!("fn f<T>(x: [T; 2])\nwhere T: X {{\n{}}}\n", "'{';\n".repeat(count));
    let rule: Rule = rules::function_length;
    finds(rule, "src/base/a.rs", &body(67), &[]);
    finds(rule, "src/base/a.rs", &body(68), &[1]);
    let in_tests = format!("mod tests {{\n fn g();\n{}}}", body(68));
    finds(rule, "tests/a.rs", &in_tests, &[3]);
    let rule: Rule = rules::line_length;
    let umlauts = "ä".repeat(100);
    finds(rule, "src/base/a.rs", &format!("{umlauts}\n{umlauts}x\n"), &[2]);
    finds(rules::opens_with_its_purpose, "src/base/a.rs", "// x\n//! y", &[1]);
}

#[test]
fn leftovers_and_bare_panics_are_found() {
    let text = "fn f() {\n todo!(); dbg!(x); // todo!()\n a.unwrap(); b.expect(\"\");\n \
                b.expect(\"named\"); \"x.unwrap()\"; unwrap(); c.unwrap_or(d) }\n\
                #[test]\nfn t() { a.unwrap() }\nfn u() { a\n.unwrap() }";
    finds(rules::no_leftovers, "src/base/a.rs", text, &[2, 2]);
    finds(rules::no_bare_unwrap, "src/base/a.rs", text, &[3, 3, 8]);
    finds(rules::no_bare_unwrap, "tests/a.rs", text, &[]);
}

#[test]
fn exceptions_without_reason_are_found() {
    let text = "#![allow(dead_code)]\n#[allow(a, reason = \"why\")]\n#[ignore]\n\
                #[ignore = \"slow\"]\n#[cfg_attr(x, allow(a))]\n#[expect(b, reason = \"\")]\n\
                #[derive(X)]\nfn allow(ignore: u8) {}";
    finds(rules::exceptions_have_reasons, "src/base/a.rs", text, &[1, 3, 5, 6]);
}

#[test]
fn riddles_are_found() {
    let rule: Rule = rules::no_riddles;
    let text = "/// So many bytes.\n/// As long as so\n/// long.\nlet x = 1; // (so much)\n\
                // So. Many words; some, the like of none.\n/* answers\n * whether */\n\
                // so\nlet so_many = \"so many\"; // many answers: whether\n";
    finds(rule, "tests/a.rs", text, &[1, 2, 4, 5, 6]);
}

#[test]
fn sleeps_without_reason_are_found() {
    let rule: Rule = rules::no_sleep_as_synchronisation;
    let text = "fn sleep() {}\nthread::sleep(x);\nsleep(y); // sleep: the peer is slow\n\
                sleep(z); // sleep:\n// sleep(w)\n// sleep: polls\nsleep(v);";
    finds(rule, "tests/a.rs", text, &[2, 4]);
    finds(rule, "src/server/a.rs", text, &[]);
    let unit = format!("sleep(u);\n#[cfg(test)]\nmod tests {{ fn f() {{\n{text}}} }}");
    finds(rule, "src/server/a.rs", &unit, &[5, 7]);
}

/// The circles of files with these paths and texts.
fn circles_of(files: &[(&str, &str)]) -> Vec<String> {
    let sources = files.iter().map(|(path, text)| Source::parse(path, text, false));
    circles(&sources.collect::<Vec<_>>())
}

#[test]
fn circles_of_siblings_are_found() {
    let two = [
        ("src/io/a.rs", "\nuse super::b::X;"),
        ("src/io/b/mod.rs", ""),
        ("src/io/b/c.rs", "use crate::io;\nfn f() { io::a::g() }"),
    ];
    let found = circles_of(&two);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("src/io/a.rs:2: `io::a` imports `io::b`"), "{found:?}");
    assert!(found[1].starts_with("src/io/b/c.rs:2: `io::b` imports `io::a`"), "{found:?}");
    let three = [
        ("src/io/a.rs", "use super::b::X;"),
        ("src/io/b.rs", "use super::c::Y;"),
        ("src/io/c.rs", "use super::{a::{Z, Z2}, d};"),
        ("src/io/d.rs", ""),
    ];
    let found = circles_of(&three);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(circles_of(&three[..2]).is_empty());
}

#[test]
fn circles_through_the_parent_are_found_and_the_parent_is_none() {
    let child = ("src/io/b.rs", "use super::X;\nuse super::Own;");
    let through = [
        ("src/io/mod.rs", "mod a; mod b;\npub use a::X;\npub use b::Y;\nstruct Own;"),
        ("src/io/a.rs", "use crate::io::Y;"),
        child,
    ];
    let relative =
        [("src/io/mod.rs", "pub use self::a::X;\npub use self::b::Y;"), through[1], child];
    // By `mod` and by `self`, the parent's re-exports lead to the same files.
    for files in [through, relative] {
        assert_eq!(circles_of(&files).len(), 2, "{files:?}");
    }
    let parent = [("src/io/mod.rs", "use self::b::Z; fn f() { b::g() }"), child];
    assert!(circles_of(&parent).is_empty());
    let in_test = "#[cfg(test)]\nmod tests { use super::super::b::X; }";
    assert!(
        circles_of(&[("src/io/a.rs", in_test), ("src/io/b.rs", "use super::a::Y;")]).is_empty()
    );
}

#[test]
fn unused_grants_are_found() {
    let house = [
        row("io", &["base", "plan::rate"], &["libc", "tokio"]),
        row("io::uring", &[], &["io_uring"]),
        row("main", &["io"], &["clap"]),
    ];
    let files = [
        ("src/io/a.rs", "use crate::base::Url;\nuse crate::plan::Plan;\nfn f() { libc::open() }"),
        ("src/io/b.rs", "#[cfg(test)]\nuse tokio::X;\nuse io_uring::Y;"),
        ("src/main.rs", "use ringhaul::io::X;"),
    ];
    let sources = files.map(|(path, text)| Source::parse(path, text, false));
    let expected = ["`io` is granted `plan::rate`", "`io` is granted `tokio`"];
    let more = ["`io::uring` is granted `io_uring`", "`main` is granted `clap`"];
    assert_eq!(unused(&sources, &house), [expected, more].concat());
}

#[test]
fn functions_know_whether_they_are_tests() {
    let source = Source::parse("src/io/a.rs", "fn f() {}\n#[test]\nfn t() {\n}", false);
    let found = source.functions();
    let found = found.iter().map(|it| (it.lines, source.in_test(it.token)));
    assert_eq!(found.collect::<Vec<_>>(), [(1, false), (2, true)]);
}

#[test]
fn mods_lead_to_files() {
    let text = "mod a;\nmod b { mod c; }\n#[cfg(test)]\nmod tests;\nmod d {}";
    let files = Source::parse("src/io/x.rs", text, false).module_files();
    let found: Vec<(&str, bool)> =
        files.iter().map(|file| (file.candidates[0].as_str(), file.test_only)).collect();
    let expected =
        [("src/io/x/a.rs", false), ("src/io/x/b/c.rs", false), ("src/io/x/tests.rs", true)];
    assert_eq!(found, expected);
}
