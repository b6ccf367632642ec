//! Tests of what a config file says, what of it holds, and which file it is.

use super::file::{self, File};
use super::layers::{self, Holding};
use super::place;
use crate::base::{ErrorKind, Result};
use crate::cli::args;
use crate::cli::habits::{Words, translate};
use proptest::prelude::*;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

fn parsed(text: &str) -> Result<File> {
    file::parse(text, "f.toml", &args::command())
}

fn words(text: &str) -> Words {
    let words = ["ringhaul"].into_iter().chain(text.split_whitespace()).map(OsString::from);
    translate(words, &args::command()).unwrap()
}

/// What of the file holds for these words.
fn held(text: &str, line: &str) -> Result<Holding> {
    layers::holding(parsed(text)?, &words(line), &args::command())
}

/// The same as `name=values`, sorted.
fn lines(text: &str, line: &str) -> Vec<String> {
    let entries = held(text, line).unwrap().entries;
    let shown = entries.iter().map(|entry| format!("{}={}", entry.name, entry.values.join("|")));
    let mut shown: Vec<String> = shown.collect();
    shown.sort();
    shown
}

#[test]
fn every_type_of_option_has_its_values() {
    let text = "connections = 8\nchunk-size = \"4M\"\ntimeout = 2.5\nforce = true\nquiet = false\n\
                verbose = 2\nheader = ['A: b', \"C: d\"]\nca-cert = \"x\"\nif-exists = 'skip'\n\
                print-digest = 'md5,sha1'\nprofile = 'p'\n";
    assert_eq!(
        lines(text, "http://h/"),
        [
            "ca-cert=x",
            "chunk-size=4M",
            "connections=8",
            "force=true",
            "header=A: b|C: d",
            "if-exists=skip",
            "print-digest=md5,sha1",
            "profile=p",
            "quiet=false",
            "timeout=2.5",
            "verbose=2",
        ]
    );
    assert_eq!(lines("verbose = true\ncacert = 'x'", "u"), ["ca-cert=x", "verbose=1"]);
}

#[test]
fn what_is_wrong_is_said_with_line_and_column() {
    for (text, words) in [
        (
            "\nconections = 8",
            "f.toml:2:1: 'conections' is no option (your side); did you mean conn",
        ),
        ("max_connections = 8", "did you mean max-connections?"),
        ("zzzzzzzz = 8", "without their dashes"),
        ("connections = true", "f.toml:1:15: connections wants a string or a decimal number, and"),
        ("force = 'yes'", "f.toml:1:9: force wants true or false, and this is a string"),
        ("header = 5.0\nconnections = []", "f.toml:2:15: "),
        ("header = []", "a list"),
        ("header = [['x']]", "f.toml:1:10: header wants a string, or a list of strings"),
        ("connections = 0x10", "decimal"),
        ("connections = 2024-01-01", "a date"),
        ("  connections = 300", "f.toml:1:17: neither 'auto' nor a number within 1 to 256"),
        ("direct = 'maybe'", "f.toml:1:10: "),
        ("direct = 'maybe'", "auto, on, off"),
        ("chunk-size = '8X'", "f.toml:1:14: '8X' is not a size"),
        ("checksum = 'md5:zz'", "f.toml:1:12: "),
        ("verbose = 900", "f.toml:1:11: "),
        ("dir = ''", "f.toml:1:7: "),
        ("config = 'x'", "f.toml:1:1: 'config' belongs on the command line"),
        ("no-config = true", "belongs on the command line"),
        ("urls = 'x'", "is no option"),
        ("force = true\nforce = true", "f.toml:2"),
        ("ca-cert = 'x'\ncacert = 'x'", "f.toml:2:1: 'ca-cert' stands here twice"),
        ("[transfer]\nconnections = 8", "f.toml:1:2: a table is for an origin"),
        ("['https://h/x']\n", "f.toml:1:2: a table is for an origin"),
        ("['https://u:secret@h/']\n", "f.toml:1:2: a table is for an origin"),
        ("['https://h']\n['https://h:443']\n", "f.toml:2:2: https://h has a table already"),
        ("['https://h']\nx.y = 1\n", "is no option"),
        ("quiet = true\nverbose = 1", "'quiet' and 'verbose' cannot be used together"),
        ("state = 's'\nno-state = true", "cannot be used together"),
        ("\u{e4} = 'secret' x", "f.toml:1:1"),
        ("a = ", "f.toml:1:"),
        ("\"\\u0000\" = 1", "is no option"),
    ] {
        let error = held(text, "http://h/").expect_err(text);
        let line = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Usage, "{line}");
        assert!(line.contains(words) && !line.contains("secret"), "{text}\n{line}");
    }
    let long = format!("{} = 1", "x".repeat(5000));
    assert!(parsed(&long).unwrap_err().to_string().len() < 300);
    assert!(parsed(&"[".repeat(100_000)).is_err());
    assert!(parsed(&format!("header = {}", "[".repeat(100_000))).is_err());
}

#[test]
fn secrets_of_values_stay_out_of_messages() {
    for text in [
        "connections = 'http://user:secret@h/'",
        "timeout = 'http://user:secret@h/?token=secret'",
        "direct = 'https://user:secret@h/'",
    ] {
        let line = held(text, "u").unwrap_err().to_string();
        assert!(!line.contains("secret"), "{line}");
    }
}

#[test]
fn the_command_line_counts_before_the_table_and_that_before_the_file() {
    let text = "connections = 8\ntimeout = 5\nheader = 'A: b'\nquiet = true\n\
                ['https://h']\nconnections = 4\nheader = 'C: d'\nverbose = 1\n";
    let file = ["connections=8", "header=A: b", "quiet=true", "timeout=5"];
    let table = ["connections=4", "header=C: d", "timeout=5", "verbose=1"];
    assert_eq!(lines(text, "http://h/"), file, "another scheme");
    assert_eq!(lines(text, "https://h:444/"), file, "another port");
    assert_eq!(lines(text, ""), file);
    assert_eq!(lines(text, "https://H:443/a?b"), table);
    assert_eq!(lines(text, "h.example"), file);
    assert_eq!(lines(text, "https://h/a https://h/b"), table, "one origin");
    let given = ["connections=4", "quiet=true"];
    assert_eq!(lines(text, "-H x:y --timeout 1 -q https://h/"), given[..1]);
    assert_eq!(lines(text, "-H x:y --timeout 1 -v https://h/"), given[..1]);
    assert_eq!(lines(text, "-H x:y --timeout 1 -v http://h/"), ["connections=8"]);
    assert_eq!(lines("no-verify = true", "--checksum md5:0 u"), [""; 0]);
    assert_eq!(lines("state = 's'", "--no-state u"), [""; 0]);
    assert_eq!(lines("no-state = true", "--state s u"), [""; 0]);
    assert_eq!(lines("no-state = false", "--state s u"), ["no-state=false"]);
    assert_eq!(lines("['https://a.b']\nforce = true", "a.b/x"), ["force=true"]);
}

#[test]
fn tables_of_several_origins_hold_as_to_what_each_item_may_have() {
    let text = "timeout = 5\n['https://h']\nconnections = 4\nheader = ['C: d']\n\
                ['http://other']\nuser-agent = 'x'\n['http://third']\nforce = true\n";
    for line in ["https://h/a http://other/b", "-i list", "-i list https://h/a"] {
        let holding = held(text, line).unwrap();
        assert_eq!(holding.entries.len(), 1, "{line}");
        let origins: Vec<String> =
            holding.by_origin.iter().map(|(origin, _)| origin.to_string()).collect();
        assert_eq!(origins[..2], ["https://h", "http://other"], "{line}");
        let [note] = &holding.notes[..] else { panic!("{:?}", holding.notes) };
        assert!(note.contains("connections (f.toml:3:1)"), "{note}");
        assert_eq!(note.contains("force"), line.contains("-i"), "{note}");
    }
    let holding = held(text, "-H a:b https://h/a http://other/b").unwrap();
    assert!(holding.by_origin[0].1.is_empty() && holding.by_origin[1].1.len() == 1);
    assert!(held("timeout = 5", "-i list").unwrap().notes.is_empty());
}

#[test]
fn the_file_is_that_named_or_the_usual_one() {
    let folder = tempfile::tempdir().unwrap();
    let usual = place::usual_below(folder.path());
    fs::create_dir(usual.parent().unwrap()).unwrap();
    let other = folder.path().join("other.toml");
    let read = |line: &str, pairs: &[(&str, &str)]| {
        let variable = |name: &str| {
            let own = (name == "XDG_CONFIG_HOME").then(|| folder.path().as_os_str().to_owned());
            let pair = pairs.iter().find(|(known, _)| *known == name);
            pair.map(|(_, value)| OsString::from(value)).or(own)
        };
        place::read(&words(line), &variable)
    };
    assert!(read("u", &[]).unwrap().is_none(), "there need not be one");
    fs::write(&usual, "a").unwrap();
    fs::write(&other, "b").unwrap();
    let named = other.to_str().unwrap();
    let text = |line: &str, pairs: &[(&str, &str)]| read(line, pairs).unwrap().map(|f| f.text);
    assert_eq!(text("u", &[]).as_deref(), Some("a"));
    assert_eq!(text("--no-config u", &[]), None);
    assert_eq!(text("u", &[("RINGHAUL_NO_CONFIG", "yes")]), None);
    assert_eq!(text("u", &[("RINGHAUL_NO_CONFIG", "No")]).as_deref(), Some("a"));
    assert_eq!(text("u", &[("RINGHAUL_CONFIG", named)]).as_deref(), Some("b"));
    assert_eq!(text("u", &[("RINGHAUL_CONFIG", "")]).as_deref(), Some("a"));
    let line = format!("--config {named} u");
    assert_eq!(text(&line, &[("RINGHAUL_NO_CONFIG", "1")]).as_deref(), Some("b"));
    assert_eq!(text("u", &[("XDG_CONFIG_HOME", "relative")]), None);
    for (line, mode, bytes, words) in [
        ("--config missing u", 0o600, &b""[..], "cannot read the config file 'missing'"),
        ("--config . u", 0o600, b"", "cannot read the config file '.'"),
        ("--config x --no-config u", 0o600, b"", "cannot be used together"),
        ("u", 0o666, b"", "chmod o-w"),
        ("u", 0o600, b"a\n\xff", ":2: the config file is not UTF-8"),
        ("u", 0o600, &[b'#'; 2 << 20], "larger than"),
    ] {
        fs::write(&usual, bytes).unwrap();
        fs::set_permissions(&usual, Permissions::from_mode(mode)).unwrap();
        let error = read(line, &[]).expect_err(line).to_string();
        assert!(error.contains(words), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None, ..ProptestConfig::with_cases(400)
    })]

    /// Whatever stands in the file, it is a config or an error, and that names the file.
    #[test]
    fn any_text_is_a_config_or_an_error(
        text in "(([a-z-]{1,9}|force|header|timeout) *= *['\"\\[\\]{}0-9a-z.,:/ \u{e4}-]{0,12}\n|\
                 \\[['\"a-z:/.]{0,16}\\]\n|[ -~\n\u{0}\u{e4}]{0,8}){0,5}",
    ) {
        if let Err(error) = held(&text, "https://h/ http://other/") {
            prop_assert!(error.to_string().contains("f.toml:"), "{}", error);
        }
    }
}
