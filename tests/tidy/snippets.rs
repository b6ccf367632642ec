//! The checker checked: each rule finds its violation in a snippet, on the right line, and leaves
//! alone what only looks like one.

use super::lexer::{Kind, lex};
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
fn sleeps_without_reason_are_found() {
    let rule: Rule = rules::no_sleep_as_synchronisation;
    let text = "fn sleep() {}\nthread::sleep(x);\nsleep(y); // sleep: the peer is slow\n\
                sleep(z); // sleep:\n// sleep(w)\n// sleep: polls\nsleep(v);";
    finds(rule, "tests/a.rs", text, &[2, 4]);
    finds(rule, "src/server/a.rs", text, &[]);
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
