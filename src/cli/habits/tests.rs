//! Tests of the walk, of the table and of URLs without a scheme.

use super::table::{self, Deed};
use super::*;
use crate::cli::args;
use proptest::prelude::*;
use std::ffi::OsString;

/// The words in ours, or the line of the refusal.
fn ours(words: &str) -> Result<String, String> {
    let words = ["ringhaul"].into_iter().chain(words.split(' ')).map(OsString::from);
    let done = translate(words, &args::command()).map_err(|error| error.to_string())?;
    let texts: Vec<&str> = done.all.iter().skip(1).map(|word| word.to_str().unwrap()).collect();
    Ok(texts.join(" "))
}

#[test]
fn what_means_the_same_is_taken() {
    for (typed, meant) in [
        ("-LO URL", "URL"),
        ("-fsSLO http://h/x", "--quiet http://h/x"),
        ("-sv URL", "-v URL"),
        ("-Lo out URL", "-o out URL"),
        ("-Loout -kg URL", "-oout -k URL"),
        ("-# -C - URL", "URL"),
        ("-C- URL", "URL"),
        ("--continue-at=- URL", "URL"),
        ("--continue --max-tries=5 URL", "--retries 4 URL"),
        ("--continue=true --allow-overwrite=true URL", "--force URL"),
        ("--max-tries 0 URL", "--retries 1000 URL"),
        ("--tries=inf URL", "--retries 1000 URL"),
        ("--retry 3 --retry-delay 2 URL", "--retries 3 --retry-wait 2 URL"),
        ("--out=f -m 9 --url URL", "--output f --max-time 9 URL"),
        ("-m9 URL", "--max-time 9 URL"),
        ("--load-cookies=jar --save-cookies jar URL", "--cookie jar --cookie-jar jar URL"),
        ("--ca-directory d --inet4-only URL", "--ca-path d --ipv4 URL"),
        ("--all-proxy=http://p URL", "--proxy http://p URL"),
        ("--no-check-certificate -nv URL", "--insecure --quiet URL"),
        // What is ours stays as it stands, also behind options that take a word.
        ("-o -L -c 4 -H -s: URL", "-o -L -c 4 -H -s: URL"),
        ("--output -L -- -O -x16", "--output -L -- -O -x16"),
        ("--profile URL", "--profile URL"),
        ("-h -V --help --version", "-h -V --help --version"),
        ("doctor -O", "doctor -O"),
        ("help -O", "help -O"),
        ("--unknown -9 - URL", "--unknown -9 - URL"),
    ] {
        assert_eq!(ours(typed).as_deref(), Ok(meant), "{typed}");
    }
}

#[test]
fn what_means_something_else_is_refused_with_what_to_write() {
    for (typed, words) in [
        ("-x16 URL", "write -c 16"),
        ("-s16 URL", "write -c 16"),
        ("-x 16 URL", "write -c 16"),
        ("-s 8 URL", "write -c 8"),
        ("-n 4 URL", "write -c 4"),
        ("-n4 URL", "write -c 4"),
        ("-x300 URL", "write -c N"),
        ("-s 1000000 URL", "rate"),
        ("-k 1M URL", "--chunk-size"),
        ("-k1M URL", "--chunk-size"),
        ("-c http://h/x", "resuming is automatic"),
        ("-qc http://h/x", "resuming is automatic"),
        ("-chttps://h/x", "resuming is automatic"),
        ("-C 500 URL", "resuming is automatic"),
        ("-r http://h/", "folders are not followed"),
        ("-r 0-99 http://h/", "--range RANGES"),
        ("-i http://h/", "-v"),
        ("-d a=b http://h/", "only fetches"),
        ("-m http://h/", "not mirrored"),
        ("-O out http://h/x", "write -o FILE"),
        ("http://h/x -O out", "write -o FILE"),
        ("-nc URL", "--if-exists skip"),
        ("-XPOST URL", "only fetches"),
        ("-b http://h/x", "background"),
        ("-E http://h/x", "-o FILE"),
        ("--data=secret URL", "only fetches"),
        ("--continue=false URL", "--no-resume"),
        ("--ftp-user=secret URL", "http://"),
    ] {
        // A place alone is a name that wget's -O may have.
        let line = ours(typed).expect_err(typed);
        assert!(line.contains(words) && !line.contains("secret"), "{typed}: {line}");
    }
}

#[test]
fn numbers_are_what_ours_have() {
    for fine in ["-r 5 URL", "-c 4 URL", "-c auto URL", "-c16 URL", "-d . URL", "-j 9 URL"] {
        assert_eq!(ours(fine).as_deref(), Ok(fine));
    }
}

#[test]
fn each_word_is_heard_whatever_its_place() {
    let words = ["ringhaul", "-qc4", "u", "--dir=d", "--", "-v"].map(OsString::from);
    let words = translate(words, &args::command()).unwrap();
    assert_eq!(words.value("connections"), Some(&OsString::from("4")));
    assert_eq!(words.value("dir"), Some(&OsString::from("d")));
    assert!(words.has("quiet") && !words.has("verbose"));
    assert_eq!(words.places, ["u", "-v"]);
}

#[test]
fn the_table_is_in_order() {
    let command = args::command();
    let grammar = grammar::Grammar::new(&command);
    let mut seen = Vec::new();
    for habit in table::all() {
        for flag in habit.flags {
            assert!(!seen.contains(flag), "{flag} stands twice");
            seen.push(flag);
            assert!(flag.starts_with('-') && flag.len() > 1, "{flag}");
            // Two letters, such as -nv, are looked up before ours.
            let is_letters = !flag.starts_with("--") && flag.len() > 2;
            assert!(is_letters || !grammar.has(flag), "{flag} is ours: nobody looks it up here");
        }
        if let Deed::As(ours) = habit.deed {
            let arg = command.get_arguments().find(|arg| arg.get_long() == Some(&ours[2..]));
            let arg = arg.unwrap_or_else(|| panic!("{ours} is no option"));
            assert_eq!(arg.get_action().takes_values(), habit.has_value, "{ours}");
        }
    }
}

#[test]
fn advice_names_options_that_are_there() {
    let command = args::command();
    let grammar = grammar::Grammar::new(&command);
    for habit in table::all() {
        let Deed::Instead(advice) = habit.deed else { continue };
        for word in advice.split([' ', ',', ';', '(', ')', ':', '.']) {
            let is_flag = word.starts_with('-') && word.len() > 1;
            assert!(!is_flag || grammar.has(word), "{word} of {advice}");
        }
    }
}

#[test]
fn what_begins_like_a_host_is_a_url() {
    for (place, url) in [
        ("example.com/a", Some("https://example.com/a")),
        ("example.com", Some("https://example.com")),
        ("example.com:8443/a?b=c", Some("https://example.com:8443/a?b=c")),
        ("localhost:8080", Some("https://localhost:8080")),
        ("10.0.0.1/x", Some("https://10.0.0.1/x")),
        ("b\u{fc}cher.example/x", Some("https://b\u{fc}cher.example/x")),
        ("http://h/x", None),
        ("ftp://h/x", None),
        ("doctor/", None),
        ("doctr", None),
        ("mailto:x", None),
        ("user:pw@example.com/x", None),
        ("./list", None),
        ("../a.b/c", None),
        ("/etc/passwd", None),
        ("example.com:x/y", None),
        ("example.com:/y", None),
        ("...", None),
        ("a b.c", None),
        ("", None),
    ] {
        assert_eq!(with_scheme(place).unwrap().as_deref(), url, "{place}");
    }
    let error = with_scheme("Cargo.toml").unwrap_err();
    assert!(error.to_string().contains("-i"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None, ..ProptestConfig::with_cases(400)
    })]

    /// Whatever is typed, it becomes a command line in our words or a refusal.
    #[test]
    fn any_words_are_translated_or_refused(
        words in prop::collection::vec("-{0,2}[a-zA-Z#=]{0,4}[=0-9M/:. \u{e4}-]{0,4}", 0..6),
    ) {
        let words = ["ringhaul".to_owned()].into_iter().chain(words).map(OsString::from);
        if let Ok(done) = translate(words, &args::command()) {
            prop_assert_eq!(&done.all[0], "ringhaul");
        }
    }
}
