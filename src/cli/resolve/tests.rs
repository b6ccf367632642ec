//! Tests of the way from words to options and target.

use super::super::args;
use super::*;
use crate::base::size::MIB;
use crate::batch::naming;
use crate::engine::options::Engine;

fn parsed(arguments: &[&str]) -> DownloadArgs {
    let arguments = ["ringhaul"].iter().chain(arguments).map(Into::into);
    args::parse(arguments).expect("a good command line").download
}

fn options_of(arguments: &[&str]) -> Options {
    options_in(&parsed(arguments), |_| None).expect("good options")
}

fn target_of(arguments: &[&str]) -> Result<PathBuf> {
    let args = parsed(arguments);
    let url = Url::parse(&args.urls[0]).expect("a good URL");
    target(&args, &naming::file_name(&url))
}

#[test]
fn no_option_means_the_librarys_defaults() {
    let (ours, defaults) = (options_of(&["http://h/"]), Options::default());
    assert_eq!(format!("{ours:?}"), format!("{defaults:?}"));
    assert_eq!(verbosity(&parsed(&["http://h/"])), Verbosity::Normal);
}

#[test]
fn every_option_arrives() {
    let hex = "a".repeat(64);
    let options = options_of(&[
        "-c9",
        "--threads=3",
        "--chunk-size=1M",
        "-r0",
        "--direct=off",
        "--engine=epoll",
        "--no-register",
        "--force",
        "-R",
        "-HX-One: 1",
        "-H",
        "X-Two:a:b",
        "-A",
        "me/1",
        "--ca-cert=a.pem",
        "--cacert=b.pem",
        "-k",
        "--allow-downgrade",
        &format!("--checksum=sha256:{hex}"),
        "--connect-timeout=5",
        "--timeout=1500ms",
        "-Y",
        "2K",
        "-y",
        "7",
        "--print-digest=sha256,sha256",
        "--print-digest=sha256",
        "--no-resume",
        "--journal-interval=10ms",
        "--on-change=fail",
        "--retry-wait=3s",
        "--max-time=2h",
        "http://h/",
    ]);
    assert_eq!((options.connections, options.threads, options.retries), (Some(9), Some(3), 0));
    assert_eq!((options.chunk_bytes, options.direct), (Some(1 << 20), DirectMode::Off));
    assert_eq!(options.engine, Engine::Epoll);
    assert!(!options.register_buffers && options.force && options.insecure);
    assert!(options.remote_time);
    assert!(options.allow_downgrade && options.checksum.is_some());
    let fields = [("X-One", "1"), ("X-Two", "a:b"), ("User-Agent", "me/1")];
    assert_eq!(options.headers, fields.map(|(n, v)| (n.to_owned(), v.to_owned())));
    assert_eq!(options.ca_certs, [PathBuf::from("a.pem"), PathBuf::from("b.pem")]);
    assert_eq!(options.connect_timeout.as_secs(), 5);
    assert_eq!(options.stall_timeout.as_millis(), 1500);
    assert_eq!(options.speed_limit_bytes, Some(2000));
    assert_eq!(options.speed_time.map(|time| time.as_secs()), Some(7));
    assert_eq!(options.digests, [Algorithm::Sha256]);
    assert!(!options.resume && options.journal && options.verify);
    assert_eq!((options.journal_interval.as_millis(), options.on_change), (10, OnChange::Fail));
    assert_eq!(options.retry_wait.as_secs(), 3);
    assert_eq!(options.max_time.map(|time| time.as_secs()), Some(7200));
}

#[test]
fn without_a_journal_there_is_no_resume() {
    let options = options_of(&["--no-journal", "http://h/"]);
    assert!(!options.journal && !options.resume);
    assert!(!options_of(&["--no-verify", "http://h/"]).verify);
}

#[test]
fn the_volume_follows_v_and_q() {
    assert_eq!(verbosity(&parsed(&["-v", "http://h/"])), Verbosity::Detail);
    assert_eq!(verbosity(&parsed(&["-vvv", "http://h/"])), Verbosity::Trace);
    assert_eq!(verbosity(&parsed(&["-q", "http://h/"])), Verbosity::Quiet);
}

#[test]
fn a_header_wins_over_the_client_name() {
    let options = options_of(&["-A", "a", "-H", "user-agent: b", "http://h/"]);
    assert_eq!(options.headers, [("user-agent".to_owned(), "b".to_owned())]);
}

#[test]
fn bad_headers_are_named_but_not_shown() {
    for bad in ["secret", ": secret", "a b: secret", "X: secret\r\nY: z", "X\n: secret"] {
        let error = options(&parsed(&["-H", "Ok: 1", "-H", bad, "http://h/"])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        let text = error.to_string();
        assert!(text.contains("header 2") && !text.contains("secret"), "{text}");
    }
    assert!(options(&parsed(&["-A", "a\nb: c", "http://h/"])).is_err());
}

#[test]
fn the_target_is_output_seen_from_dir() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    let inside = |name: &str| folder.path().join(name);
    let url = "http://h/a/b.iso";
    for (arguments, expected) in [
        (vec![url], PathBuf::from("b.iso")),
        (vec!["-o", "x", url], PathBuf::from("x")),
        (vec!["-d", dir, url], inside("b.iso")),
        (vec!["-d", dir, "-o", "x", url], inside("x")),
        (vec!["-d", dir, "-o", "sub", url], inside("sub/b.iso")),
        (vec!["-d", dir, "-o", "sub/", url], inside("sub/b.iso")),
        (vec!["-d", dir, "-o", "sub/x", url], inside("sub/x")),
        (vec!["-o", dir, url], inside("b.iso")),
        (vec!["-d", dir, "-o", "/tmp/x", url], PathBuf::from("/tmp/x")),
    ] {
        assert_eq!(target_of(&arguments).unwrap(), expected, "{arguments:?}");
    }
}

#[test]
fn unusable_targets_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let (missing, file) = (missing.to_str().unwrap(), file.to_str().unwrap());
    let url = "http://h/x";
    for (arguments, kind, words) in [
        (vec!["-d", missing, url], ErrorKind::TargetUnusable, "mkdir -p"),
        (vec!["-d", file, url], ErrorKind::TargetUnusable, "not a folder"),
        (vec!["-d", missing, "-o", "x", url], ErrorKind::TargetUnusable, "mkdir -p"),
        (vec!["-o", "/nowhere/at/all", url], ErrorKind::TargetUnusable, "mkdir -p '/nowhere/at'"),
        (vec!["-o", "/nowhere/", url], ErrorKind::TargetUnusable, "mkdir -p"),
    ] {
        let error = target_of(&arguments).unwrap_err();
        assert_eq!(error.kind(), kind, "{arguments:?}");
        assert!(error.to_string().contains(words), "{error}");
    }
    assert!(!Path::new(missing).exists(), "nothing was created");
}

#[test]
fn doctor_examines_this_folder_with_512_mib() {
    let doctor = args::parse(["ringhaul", "doctor"].map(Into::into)).unwrap();
    let Some(args::Command::Doctor(doctor)) = doctor.command else { panic!("not doctor") };
    assert_eq!(doctor.size, 512 * MIB);
    assert_eq!(doctor.dir, Path::new("."));
}

#[test]
fn of_contradicting_wishes_the_command_lines_counts() {
    let hex = format!("--checksum=sha256:{}", "a".repeat(64));
    for (pair, words) in [
        ([hex.as_str(), "--checksum-file=s"], "'--checksum' and '--checksum-file' cannot"),
        ([hex.as_str(), "--no-verify"], "'--checksum' and '--no-verify' cannot"),
        (["--checksum-file=s", "--no-verify"], "'--checksum-file' and '--no-verify' cannot"),
        (["-q", "-v"], "'--quiet' and '--verbose' cannot"),
    ] {
        let arguments = ["ringhaul"].iter().chain(&pair).chain(&["http://h/"]).map(Into::into);
        let error = args::parse(arguments).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}
