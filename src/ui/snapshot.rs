//! All that the screen can say, in one file that a reviewer reads: `tests/messages/screen.txt`.

use super::bar;
use super::batch::{batch_lines, frame_lines};
use super::charset::Charset;
use super::lines::Lines;
use super::samples;
use super::terminal::Looks;
use super::text;
use crate::base::size::{GIB, MIB};
use crate::base::{Error, ErrorKind, Url};
use crate::batch::progress::{Active, Progress as BatchProgress};
use crate::engine::progress::{
    Algorithm, Engine, Event, Level, Phase, Progress, Repaired, Report, SourceReport, Verified,
    VerifiedPieces, Waiting,
};
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

const FILE: &str = "tests/messages/screen.txt";
/// Set to anything to write the file anew.
const VARIABLE: &str = "RINGHAUL_UPDATE_MESSAGES";
const NAME: &str = "debian-12.5.0-amd64-netinst.iso";

#[test]
fn the_screen_says_what_was_reviewed() {
    let said = bars() + &plain_lines() + &events() + &closings() + &batches();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    if std::env::var_os(VARIABLE).is_some() {
        return std::fs::write(&path, said).expect("the file is written");
    }
    let reviewed = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = reviewed.lines().zip(said.lines()).find(|(reviewed, said)| reviewed != said);
    assert!(
        reviewed == said,
        "the screen says something else than {FILE} has, first {differs:#?}; if that is meant, \
         write it anew with {VARIABLE}=1 and review it"
    );
}

fn progress() -> Progress {
    Progress {
        phase: Phase::Downloading,
        bytes_done: 512 * MIB,
        bytes_total: Some(2 * GIB),
        elapsed: Duration::from_millis(5_100),
        rate_bytes_per_second: 104.5e6,
        steady_rate_bytes_per_second: Some(100e6),
        connections: 4,
        ..Progress::default()
    }
}

fn waiting(kind: ErrorKind, left_ms: u64, is_asked: bool) -> Progress {
    let left = Duration::from_millis(left_ms);
    let waiting = Waiting { kind, left, retry: 2, retries_max: 5, is_asked };
    Progress { waiting: Some(waiting), ..progress() }
}

/// Every state of a transfer, with a word for it.
fn states() -> Vec<(&'static str, Progress)> {
    let connecting = |silence, connections| Progress {
        phase: Phase::Connecting,
        silence: Duration::from_secs(silence),
        connections,
        ..Progress::default()
    };
    let at = |phase, unchecked_bytes| Progress { phase, unchecked_bytes, ..progress() };
    vec![
        ("begins", connecting(0, 0)),
        ("connects for long", connecting(6, 0)),
        ("has no answer", connecting(7, 1)),
        (
            "asks again",
            Progress { phase: Phase::Connecting, ..waiting(ErrorKind::Status(503), 3_500, false) },
        ),
        ("flows", progress()),
        ("flows, first second", Progress { steady_rate_bytes_per_second: None, ..progress() }),
        ("flows, size unknown", Progress { bytes_total: None, ..progress() }),
        ("flows, kept bytes unchecked", at(Phase::Downloading, 3 * MIB)),
        ("stalls", Progress { silence: Duration::from_secs(6), ..progress() }),
        ("waits for a retry", waiting(ErrorKind::ConnectionLost, 400, false)),
        ("waits as the server asks", waiting(ErrorKind::Status(429), 119_000, true)),
        ("checks kept bytes", at(Phase::Verifying, 3 * MIB)),
        ("verifies", at(Phase::Verifying, 0)),
        ("finishes", at(Phase::Finishing, 0)),
    ]
}

fn bars() -> String {
    let mut text = String::new();
    for columns in [100, 80, 40, 20] {
        let _ = writeln!(text, "== The bar, {columns} columns");
        for (what, progress) in states() {
            let _ = writeln!(text, "{what:>30} | {}", bar::line(NAME, &progress, columns).plain);
        }
    }
    let looks = Looks { colours: false, charset: Charset::Ascii };
    let line = looks.put(bar::line("na\u{ef}ve-\u{65e5}\u{672c}.iso", &progress(), 100));
    let _ = writeln!(text, "== The bar in ASCII\n{}", line.plain);
    text
}

fn plain_lines() -> String {
    let mut text = "\n== Without a terminal\n".to_owned();
    for (what, progress) in states() {
        let lines = Lines::new(NAME);
        let first = lines.next(&progress);
        let later = Progress { elapsed: Duration::from_secs(99), ..progress };
        for line in [first, lines.next(&later)].into_iter().flatten() {
            let _ = writeln!(text, "{what:>30} | {line}");
        }
    }
    let kept = Progress { resumed_bytes: 3 * MIB, ..progress() };
    for progress in [kept.clone(), Progress { bytes_total: None, connections: 1, ..kept }] {
        let _ = writeln!(text, "{:>30} | {}", "resumes", text::opening_line(NAME, &progress));
    }
    text + "\n== Waits by reason\n" + &kinds(|kind| waiting(kind, 3_500, false))
}

/// The wait of each kind that is retried at all.
fn kinds(state: impl Fn(ErrorKind) -> Progress) -> String {
    let kinds = [
        ErrorKind::Resolve,
        ErrorKind::Connect,
        ErrorKind::ConnectionLost,
        ErrorKind::TimedOut,
        ErrorKind::Tls,
        ErrorKind::Status(503),
        ErrorKind::Protocol,
        ErrorKind::RangeMismatch,
        ErrorKind::RangesIgnored,
        ErrorKind::Truncated,
        ErrorKind::ResourceLimit,
    ];
    kinds.iter().filter_map(|kind| Some(text::wait_words(&state(*kind), true)? + "\n")).collect()
}

fn events() -> String {
    let mut text = "\n== Events\n".to_owned();
    for level in [Level::Warning, Level::Note, Level::Detail, Level::Trace] {
        for connection in [None, Some(3)] {
            let event = Event { level, connection, text: "what happened".into() };
            let _ = writeln!(text, "{:>30} | {}", format!("{level:?}"), text::event_line(&event));
        }
    }
    text
}

/// With what limited it.
fn report() -> Report {
    let limiter = "the network path: 1.07 GB/s, and 8 connections brought +2 % against 4";
    Report { limiter: Some(limiter.into()), ..samples::report() }
}

fn verified() -> Option<Verified> {
    let (digest, against) = ("sha256:ab…".into(), "given with --checksum".into());
    Some(Verified { digest, against, read_back_bytes: 0 })
}

/// Reports of every way in which a download ends well.
fn reports() -> Vec<(&'static str, Report)> {
    let repaired = |is_untouched, pieces| {
        Some(Repaired { pieces, bad_pieces: 2, fetched_bytes: 2 * MIB, is_untouched })
    };
    let tiny = || Report {
        bytes: 3,
        elapsed: Duration::from_millis(10),
        connections: 1,
        direct: false,
        registered: false,
        limiter: Some("too short to say: 3 B in 0.0 s".into()),
        ..report()
    };
    let pieces = |count| {
        let algorithm = Algorithm::Sha256;
        Some(VerifiedPieces { count, algorithm, read_back_bytes: 0 })
    };
    vec![
        ("large", report()),
        ("of three bytes", tiny()),
        ("resumed", Report { resumed_bytes: GIB, retries: 3, ..report() }),
        ("verified", Report { verified: verified(), ..report() }),
        ("in pieces", Report { pieces: pieces(400), ..report() }),
        ("in one piece", Report { pieces: pieces(1), ..report() }),
        (
            "one stream",
            Report { ranges: false, limiter: None, connections: 1, retries: 1, ..report() },
        ),
        ("memlock limit", Report { registered: false, lacks_locked_memory: true, ..report() }),
        ("epoll", Report { registered: false, engine: Engine::Epoll, ..report() }),
        ("to /dev/null", Report { discarded: true, path: "/dev/null".into(), ..report() }),
        (
            "to /dev/null, hashed",
            Report {
                discarded: true,
                ranges: false,
                verified: verified(),
                connections: 1,
                ..report()
            },
        ),
        ("from mirrors", Report { sources: sources(), is_compared: true, ..report() }),
        ("repaired", Report { repaired: repaired(false, Some(400)), ..report() }),
        ("repaired by a journal", Report { repaired: repaired(false, None), ..report() }),
        ("nothing to repair", Report { repaired: repaired(true, Some(400)), ..report() }),
    ]
}

fn sources() -> Vec<SourceReport> {
    let source = |host: &str, bytes, failures| SourceReport {
        url: Url::parse(&format!("http://{host}/x.iso?token")).expect("a URL"),
        bytes,
        connects: 1,
        failures,
        error: (failures > 0).then(|| Error::new(ErrorKind::Connect, "cannot connect to b:80")),
    };
    vec![source("a", 2 * GIB, 0), source("b", 0, 1), source("c", MIB, 2)]
}

fn closings() -> String {
    let mut text = "\n== Closing lines\n".to_owned();
    for (what, report) in reports() {
        for line in text::closing_lines(&report) {
            let _ = writeln!(text, "{what:>30} | {line}");
        }
    }
    text.push_str("\n== Sources, with -v\n");
    let report = Report { sources: sources(), ..report() };
    text::source_lines(&report).iter().for_each(|line| _ = writeln!(text, "{line}"));
    text
}

fn batch() -> BatchProgress {
    let file = |name: &str, bytes_done, bytes_total| Active {
        name: name.to_owned(),
        bytes_done,
        bytes_total,
        rate_bytes_per_second: 100e6,
        ..Active::default()
    };
    BatchProgress {
        files_done: 1234,
        files_failed: 3,
        files_unchanged: 12,
        files_read: 5000,
        is_list_read: true,
        bytes_done: GIB,
        bytes_expected: Some(4 * GIB),
        elapsed: Duration::from_secs(30),
        rate_bytes_per_second: 512e6,
        files_per_second: 41.13,
        steady_rate_bytes_per_second: Some(512e6),
        steady_files_per_second: Some(41.13),
        connections: 50,
        active: vec![
            file("models/shard-00001.safetensors", GIB, Some(4 * GIB)),
            file("a", 5, None),
        ],
        ..BatchProgress::default()
    }
}

fn batches() -> String {
    let mut text = String::new();
    let reading = BatchProgress { is_list_read: false, connections: 1, ..batch() };
    let waiting = waiting(ErrorKind::Status(503), 3_500, true).waiting;
    let waits = BatchProgress { waiting, silence: Duration::from_secs(2), ..batch() };
    for columns in [120, 80, 40] {
        let _ = writeln!(text, "\n== A batch, {columns} columns");
        for progress in [&batch(), &reading, &waits] {
            frame_lines(progress, columns).iter().for_each(|line| _ = writeln!(text, "{line}"));
        }
    }
    let _ = writeln!(text, "\n== A batch without a terminal");
    for progress in [batch(), reading, BatchProgress::default()] {
        let _ = writeln!(text, "{}", batch_lines(&progress));
    }
    text
}
