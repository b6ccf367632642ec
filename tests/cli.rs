//! The command line as a user meets it before a byte is transferred: help, mistakes, variables.

mod common;

use common::{Ended, Place, Scene};
use std::fs::File;
use std::process::{Command, Stdio};

/// A URL nobody listens at, for runs that end before they connect.
const URL: &str = "http://127.0.0.1:9/file.bin";

#[test]
fn help_goes_to_standard_output() {
    for arguments in [&["--help"][..], &["-h"], &["help"]] {
        let ended = Scene::new().run(arguments);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
        for words in ["Usage: ringhaul [OPTIONS] [URL]...", "doctor", "Exit codes:", "Examples:"] {
            assert!(ended.stdout.contains(words), "{words}\n{}", ended.stdout);
        }
        for heading in ["Output:", "Integrity:", "Resume:", "Transfer:", "Messages:"] {
            assert!(ended.stdout.contains(&format!("\n{heading}\n")), "{heading}");
        }
    }
    let doctor = Scene::new().run(&["doctor", "--help"]);
    assert!(doctor.code == Some(0) && doctor.stdout.contains("[default: 512M]"), "{doctor:?}");
    assert!(Scene::new().run(&["help"]).stdout.contains("\n  serve "), "the list of commands");
}

#[test]
fn no_handshake_waits_for_the_jitter_of_the_processor() {
    // `.cargo/config.toml` tells the build of the TLS library, whose functions are looked for.
    let lines_with = |symbol: &str| {
        let program = env!("CARGO_BIN_EXE_ringhaul");
        let found = Command::new("grep").args(["-c", symbol, program]).output();
        let count = String::from_utf8(found.expect("grep is there").stdout).expect("a number");
        count.trim().parse::<u64>().expect("a number")
    };
    assert!(lines_with("SSL\\|RAND_bytes") > 0, "the program has its symbols");
    assert_eq!(lines_with("jent_read_entropy"), 0);
}

#[test]
fn help_shows_no_values_of_the_environment() {
    let secret = [("RINGHAUL_HEADER", "Authorization: secret")];
    let ended = Scene::new().run_with(&["--help"], &secret);
    assert!(ended.code == Some(0) && !ended.stdout.contains("secret"), "{ended:?}");
}

#[test]
fn version_is_the_crates() {
    let ended = Scene::new().run(&["--version"]);
    assert_eq!(ended.stdout, format!("ringhaul {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(ended.code, Some(0));
}

#[test]
fn mistakes_are_one_line_and_exit_code_2() {
    for (arguments, words) in [
        (&[][..], "<URL>"),
        (&["--conections=4", URL], "'--connections'"),
        (&["-Z", URL], "'-Z'"),
        (&["-x16", URL], "-c 16"),
        (&["-x", "socks4://h", URL], "socks4a://"),
        (&["-x", "http://h:99999", URL], "--proxy: 'http://h:99999' names no proxy"),
        (&["-c", "0", URL], "1 to 256"),
        (&["-c", "257", URL], "1 to 256"),
        (&["-c", "many", URL], "--connections"),
        (&["--threads", "65", URL], "1..=64"),
        (&["--retries", "1001", URL], "0..=1000"),
        (&["--chunk-size", "8X", URL], "unknown unit"),
        (&["--chunk-size", "4095", URL], "4.00 KiB"),
        (&["--timeout", "soon", URL], "such as 30s"),
        (&["--connect-timeout", "0", URL], "zero"),
        (&["--direct", "maybe", URL], "auto, on, off"),
        (&["--checksum", "sha256:12", URL], "--checksum"),
        (&["--checksum", "crc:12", URL], "--checksum"),
        (&["-H", "no colon", URL], "header 1"),
        (&["--print-digest", "crc", URL], "--print-digest"),
        (&["--checksum-file=s", "--no-verify", URL], "cannot be used together"),
        (&["--journal-interval", "9ms", URL], "10ms to 3600s"),
        (&["--retry-wait", "0", URL], "1ms to 3600s"),
        (&["--max-time", "0", URL], "zero"),
        (&["--on-change", "ask", URL], "restart, fail"),
        (&["-q", "-v", URL], "cannot be used together"),
        (&["--memory", "1M", "-o", "-", URL], "not within 8.00 MiB"),
        (&["-o", "", URL], "--output"),
        (&["-o", "x", URL, URL], "-o names one file"),
        (&["--checksum-file", "s", URL, URL], "--checksum-file is for one file"),
        (&["--piece-hashes", "s", URL, URL], "--piece-hashes is for one file"),
        (&["-i", "no-such-list"], "cannot read the list no-such-list"),
        (&["-j", "0", URL], "1 to 256"),
        (&["--if-exists", "maybe", URL], "fail, skip, replace, check"),
        (&["doctor", "--size", "0"], "--size"),
    ] {
        let ended = Scene::new().run(arguments);
        let line = ended.one_error_line(2);
        assert!(line.contains(words) && line.contains("(your side); "), "{arguments:?}\n{line}");
    }
}

#[test]
fn bad_urls_are_told_apart() {
    for (url, words) in [
        ("no-scheme/x", "http://host/path"),
        ("ftp://h/x", "'ftp' is not supported"),
        ("file:///etc/passwd", "'file' is not supported"),
        ("http://", "URL"),
        ("http://h:99999/x", "port"),
        ("doctor/", "URL"),
    ] {
        let ended = Scene::new().run(&[url]);
        assert!(ended.one_error_line(2).contains(words), "{url}\n{ended:?}");
    }
}

#[test]
fn secrets_stay_out_of_mistakes() {
    for arguments in [
        &["http://user:secret@h:99999/x?token=secret"][..],
        &["doctor", URL, "http://user:secret@h/x?token=secret"],
        &["-H", "secret", URL],
        &["ftp://user:secret@h/"],
    ] {
        let ended = Scene::new().run(arguments);
        assert!(!ended.one_error_line(2).contains("secret"), "{ended:?}");
    }
}

#[test]
fn every_option_reads_its_variable() {
    for (name, bad) in [
        ("RINGHAUL_CONNECTIONS", "0"),
        ("RINGHAUL_THREADS", "0"),
        ("RINGHAUL_CHUNK_SIZE", "1"),
        ("RINGHAUL_RETRIES", "-1"),
        ("RINGHAUL_DIRECT", "maybe"),
        ("RINGHAUL_NO_REGISTER", "maybe"),
        ("RINGHAUL_FORCE", "maybe"),
        ("RINGHAUL_REMOTE_TIME", "maybe"),
        ("RINGHAUL_INSECURE", "maybe"),
        ("RINGHAUL_ALLOW_DOWNGRADE", "maybe"),
        ("RINGHAUL_CHECKSUM", "sha256:12"),
        ("RINGHAUL_NO_VERIFY", "maybe"),
        ("RINGHAUL_PRINT_DIGEST", "crc"),
        ("RINGHAUL_NO_RESUME", "maybe"),
        ("RINGHAUL_NO_JOURNAL", "maybe"),
        ("RINGHAUL_JOURNAL_INTERVAL", "soon"),
        ("RINGHAUL_ON_CHANGE", "ask"),
        ("RINGHAUL_RETRY_WAIT", "soon"),
        ("RINGHAUL_MAX_TIME", "soon"),
        ("RINGHAUL_CONNECT_TIMEOUT", "soon"),
        ("RINGHAUL_TIMEOUT", "soon"),
        ("RINGHAUL_VERBOSE", "much"),
        ("RINGHAUL_QUIET", "maybe"),
        ("RINGHAUL_PROXYTUNNEL", "maybe"),
        ("RINGHAUL_IPV4", "maybe"),
        ("RINGHAUL_IPV6", "maybe"),
        ("RINGHAUL_MPTCP", "maybe"),
        ("RINGHAUL_PROXY_COUNTS_AS_HOST", "maybe"),
    ] {
        let ended = Scene::new().run_with(&[URL], &[(name, bad)]);
        assert!(ended.one_error_line(2).contains(name), "{name}\n{ended:?}");
        let ended = Scene::new().run_with(&["-c", "many", URL], &[(name, "")]);
        assert!(ended.one_error_line(2).contains("--connections"), "empty {name}\n{ended:?}");
    }
    for (name, value, code, words) in [
        ("RINGHAUL_OUTPUT", "missing/x", 14, "mkdir -p 'missing'"),
        ("RINGHAUL_MEMORY", "1M", 2, "RINGHAUL_MEMORY"),
        ("RINGHAUL_DIR", "missing", 14, "mkdir -p 'missing'"),
        ("RINGHAUL_HEADER", "Good: 1\nbad", 2, "header 2"),
        ("RINGHAUL_USER_AGENT", "a\nb", 2, "--user-agent"),
        ("RINGHAUL_REFERER", "no-url", 2, "--referer"),
        ("RINGHAUL_CHECKSUM_FILE", "missing", 2, "'missing'"),
        ("RINGHAUL_INTERFACE", "eth0,a/b", 2, "--interface"),
        ("RINGHAUL_CONNECT_TO", "::h:1\nbad", 2, "--connect-to"),
        ("RINGHAUL_RESOLVE", "bad", 2, "--resolve"),
        ("RINGHAUL_PROXY", "ftp://h", 2, "'ftp' are not supported"),
    ] {
        let ended = Scene::new().run_with(&[URL], &[(name, value)]);
        assert!(ended.one_error_line(code).contains(words), "{name}\n{ended:?}");
    }
    let doctor = Scene::new().run_with(&["doctor"], &[("RINGHAUL_SIZE", "0")]);
    assert!(doctor.one_error_line(2).contains("RINGHAUL_SIZE"), "{doctor:?}");
}

#[test]
fn the_command_line_wins_over_variables() {
    for (arguments, name, value) in [
        (&["-q", "ftp://h/"][..], "RINGHAUL_VERBOSE", "2"),
        (&["-v", "ftp://h/"], "RINGHAUL_QUIET", "1"),
        (&["-c1", "ftp://h/"], "RINGHAUL_CONNECTIONS", "0"),
        (&["--direct=on", "ftp://h/"], "RINGHAUL_DIRECT", "maybe"),
        (&["--no-verify", "ftp://h/"], "RINGHAUL_CHECKSUM_FILE", "missing"),
        (&["--checksum-file=s", "ftp://h/"], "RINGHAUL_NO_VERIFY", "1"),
    ] {
        let ended = Scene::new().run_with(arguments, &[(name, value)]);
        assert!(ended.one_error_line(2).contains("'ftp' is not supported"), "{name}\n{ended:?}");
    }
    let both = [("RINGHAUL_QUIET", "yes"), ("RINGHAUL_VERBOSE", "1")];
    let ended = Scene::new().run_with(&[URL], &both);
    assert!(ended.one_error_line(2).contains("cannot be used together"), "{ended:?}");
}

#[test]
fn output_folders_are_not_made_up() {
    let scene = Scene::new();
    std::fs::write(scene.path().join("file"), "").expect("a file");
    for (arguments, words) in [
        (&["-d", "missing", URL][..], "mkdir -p 'missing'"),
        (&["-o", "missing/x", URL], "mkdir -p 'missing'"),
        (&["-o", "missing/", URL], "mkdir -p 'missing/'"),
        (&["-d", "file", URL], "'file' is not a folder"),
        (&["doctor", "missing"], "mkdir -p 'missing'"),
    ] {
        let ended = scene.run(arguments);
        assert!(ended.one_error_line(14).contains(words), "{arguments:?}\n{ended:?}");
    }
    assert_eq!(scene.names(), ["file"]);
}

#[test]
fn output_that_cannot_be_written_is_no_panic() {
    let full = || Stdio::from(File::options().write(true).open("/dev/full").expect("/dev/full"));
    let scene = Scene::new();
    let status = scene.command(&["ftp://h/"]).stderr(full()).status().expect("the binary runs");
    assert_eq!(status.code(), Some(2));
    for arguments in [&["--help"][..], &["doctor"]] {
        let output = scene.command(arguments).stdout(full()).output().expect("the binary runs");
        let ended = Ended::of(output);
        assert!(ended.one_error_line(16).contains("standard output"), "{ended:?}");
    }
    assert!(scene.names().is_empty());
}
