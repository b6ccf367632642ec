//! Numbers and events as words: pure functions from snapshots and reports to text. Knows no
//! terminal, and neither colours nor cursor movements.

use super::width;
use crate::base::limits::SILENCE_TOLD_MIN;
use crate::base::size::{KIB, MIB, format_bytes, format_duration, format_rate, format_wait};
use crate::base::text::printable;
use crate::engine::progress::{
    Engine, Event, Level, Phase, Progress, Repaired, Report, SourceReport, Verified, Waiting,
};
use std::time::Duration;

/// Fewer bytes are over before there is a rate, unless they take some time.
const RATE_BYTES_MIN: u64 = 64 * KIB;
const RATE_TIME_MIN: Duration = Duration::from_secs(1);
/// A countdown does not show less: nobody reads milliseconds.
const COUNTDOWN_MIN: Duration = Duration::from_millis(100);
/// Fewer bytes are over before anything limits them, if nothing fails.
const LIMITER_BYTES_MIN: u64 = MIB;

/// `name` in at most `columns_max` columns, as it may be shown.
pub(super) fn short_name(name: &str, columns_max: usize) -> String {
    width::shorten(&printable(name), columns_max)
}

/// What is waited for, if that is worth a word: `503, trying again in 4 s (2 of 5)`, or with fewer
/// words `503, again in 4 s (2/5)`; `stalled for 6 s`.
pub(super) fn wait_words(progress: &Progress, is_wordy: bool) -> Option<String> {
    let what = match progress.phase {
        Phase::Downloading => "stalled",
        Phase::Connecting if progress.connections == 0 => "connecting",
        Phase::Connecting => "no answer",
        Phase::Verifying | Phase::Finishing => "",
    };
    let silence = if what.is_empty() { Duration::ZERO } else { progress.silence };
    pause_words(progress.waiting.as_ref(), what, silence, is_wordy)
}

/// The wait before a retry or, without one, a `silence` that is worth a word, which `what` names.
pub(super) fn pause_words(
    waiting: Option<&Waiting>,
    what: &str,
    silence: Duration,
    is_wordy: bool,
) -> Option<String> {
    match waiting {
        Some(waiting) => Some(retry_words(waiting, is_wordy)),
        None if silence < SILENCE_TOLD_MIN => None,
        None => Some(format!("{what} for {} s", silence.as_secs())),
    }
}

fn retry_words(waiting: &Waiting, is_wordy: bool) -> String {
    let Waiting { kind, left, retry, retries_max, is_asked, .. } = waiting;
    let asked = if *is_asked { " as asked" } else { "" };
    let (why, left) = (kind.in_brief(), format_wait((*left).max(COUNTDOWN_MIN)));
    match is_wordy {
        true => format!("{why}, trying again in {left}{asked} ({retry} of {retries_max})"),
        false => format!("{why}, again in {left}{asked} ({retry}/{retries_max})"),
    }
}

/// Where there is no bar:
/// `x.iso: 60 % (1.20 GiB of 2.00 GiB), 812.30 MB/s, 0:03 left, 4 connections`.
pub(super) fn progress_line(name: &str, progress: &Progress) -> String {
    let rate = format_rate(progress.rate_bytes_per_second);
    let connections = counted(progress.connections, "connection");
    let done = format_bytes(progress.bytes_done);
    let checking = match progress.unchecked_bytes {
        0 => String::new(),
        bytes => format!(", {} of what was here still to be checked", format_bytes(bytes)),
    };
    match progress.bytes_total {
        Some(total) => {
            let (percent, of) = (percent(progress.bytes_done, total), format_bytes(total));
            let left = progress.eta().map(|left| format!("{} left, ", clock(Some(left))));
            let left = left.unwrap_or_default();
            format!("{name}: {percent} % ({done} of {of}), {rate}, {left}{connections}{checking}")
        }
        None => format!("{name}: {done}, {rate}, {connections}{checking}"),
    }
}

/// The first line where there is no bar.
pub(super) fn opening_line(name: &str, progress: &Progress) -> String {
    let here = format_bytes(progress.resumed_bytes);
    let size = match (progress.bytes_total, progress.resumed_bytes) {
        (Some(total), 0) => format_bytes(total),
        (Some(total), _) => format!("{}, {here} of it are here", format_bytes(total)),
        (None, 0) => "size unknown".to_owned(),
        (None, _) => format!("size unknown, {here} are here"),
    };
    let connections = match progress.connections {
        0 => String::new(),
        connections => format!(", {}", counted(connections, "connection")),
    };
    format!("{name}: downloading, {size}{connections}")
}

/// The last lines: what was done, how fast and by which means; what it was compared with; and what
/// limited it.
pub(super) fn closing_lines(report: &Report) -> Vec<String> {
    let untouched = report.repaired.as_ref().filter(|repaired| repaired.is_untouched);
    let path = printable(&report.path.display().to_string());
    let mut lines = vec![match untouched {
        Some(repaired) => untouched_line(report, repaired),
        None => closing_line(&path, report),
    }];
    lines.extend(evidence_lines(report));
    lines
}

/// What it was compared with, and what limited it.
pub(super) fn evidence_lines(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(report.verified.as_ref().map(verified_line));
    let retries = u64::from(report.retries);
    lines.extend(limiter_line(report.limiter.as_ref(), report.new_bytes(), retries));
    lines
}

/// What limited the transfer of these bytes, if it is worth a line.
pub(super) fn limiter_line(limiter: Option<&String>, bytes: u64, retries: u64) -> Option<String> {
    let limiter = limiter.filter(|_| bytes >= LIMITER_BYTES_MIN || retries > 0)?;
    Some(format!("limited by: {}", printable(limiter)))
}

/// What was done to what is called `name`, which may be shown.
pub(super) fn closing_line(name: &str, report: &Report) -> String {
    let (bytes, elapsed) = (format_bytes(report.bytes), format_duration(report.elapsed));
    let mut parts = vec![format!("{name}: {bytes} in {elapsed}")];
    let is_slow = report.elapsed >= RATE_TIME_MIN && report.new_bytes() >= KIB;
    if is_slow || report.new_bytes() >= RATE_BYTES_MIN {
        parts.push(format_rate(report.rate_bytes_per_second()));
    }
    parts.push(connections_words(report));
    if let Some(repaired) = &report.repaired {
        parts.push(repaired_words(repaired));
    } else if report.resumed_bytes > 0 {
        parts.push(format!("resumed {}", format_bytes(report.resumed_bytes)));
    }
    if report.retries > 0 {
        parts.push(counted_with(report.retries, "retry", "retries"));
    }
    parts.extend(report.cpu_seconds_per_gib().map(|cpu| format!("{cpu:.2} CPU s/GiB")));
    parts.extend(means(report));
    if let Some(pieces) = &report.pieces {
        let count = counted_with(pieces.count, "piece", "pieces");
        parts.push(format!("verified {count} ({})", pieces.algorithm.registered_name()));
    }
    parts.join(", ")
}

/// `4 connections`, or why there was one.
fn connections_words(report: &Report) -> String {
    let has_digest = report.verified.is_some() || !report.digests.is_empty();
    let why = match report.ranges {
        true => "",
        false if report.discarded && has_digest => {
            " (one stream: bytes that are not kept are hashed in order)"
        }
        false => " (one stream: the server offers no ranges)",
    };
    format!("{}{why}", counted(report.connections, "connection"))
}

/// By which means the bytes got to the disk, and from where.
fn means(report: &Report) -> Vec<String> {
    let mut means = Vec::new();
    let mut push = |word: &str| means.push(word.to_owned());
    match (report.discarded, report.direct) {
        (true, _) => push("discarded"),
        _ if report.is_ordered => push("in order"),
        (false, true) => push("direct"),
        (false, false) => push("buffered"),
    }
    match (report.registered, report.lacks_locked_memory) {
        _ if report.discarded || report.is_ordered => {}
        (true, _) => push("registered"),
        (false, true) => push("not registered (memlock limit)"),
        (false, false) => {}
    }
    if report.engine == Engine::Epoll {
        push("epoll");
    }
    let brought = report.sources.iter().filter(|source| source.bytes > 0).count();
    if brought > 1 || report.sources.len() > 1 {
        means.push(format!("{brought} of {} sources", report.sources.len()));
    }
    if report.is_compared {
        means.push("compared by samples".to_owned());
    }
    means
}

/// The last line of a repair that found nothing to do.
fn untouched_line(report: &Report, repaired: &Repaired) -> String {
    let path = printable(&report.path.display().to_string());
    let (bytes, elapsed) = (format_bytes(report.bytes), format_duration(report.elapsed));
    let pieces = match repaired.pieces {
        Some(1) => ", the piece is right".to_owned(),
        Some(count) => format!(", {count} pieces are right"),
        None => String::new(),
    };
    format!("{path}: nothing to repair, {bytes} read in {elapsed}{pieces}")
}

/// `repaired 2 of 400 pieces, 2.00 MiB fetched`.
fn repaired_words(repaired: &Repaired) -> String {
    let what = match repaired.pieces {
        Some(count) => format!("repaired {} of {count} pieces", repaired.bad_pieces),
        None => "repaired".to_owned(),
    };
    format!("{what}, {} fetched", format_bytes(repaired.fetched_bytes))
}

pub(super) fn verified_line(verified: &Verified) -> String {
    let (digest, against) = (printable(&verified.digest), printable(&verified.against));
    format!("verified {digest} ({against})")
}

/// What each source brought, in a line each: `http://m/x.iso: 1.20 GiB, 98.30 MB/s, 2 connections`.
pub(super) fn source_lines(report: &Report) -> Vec<String> {
    let line = |source: &SourceReport| {
        let rate = source.bytes as f64 / report.elapsed.as_secs_f64().max(1e-9);
        let mut line = format!(
            "{}: {}, {}, {}",
            printable(&source.url.to_string()),
            format_bytes(source.bytes),
            format_rate(rate),
            counted_with(source.connects, "connection made", "connections made"),
        );
        if source.failures > 0 {
            line.push_str(&format!(", {}", counted(source.failures, "failure")));
        }
        if let Some(error) = &source.error {
            line.push_str(&format!(", the last: {}", printable(&error.context())));
        }
        line
    };
    report.sources.iter().map(line).collect()
}

/// `warning: ..`, or what connection 3 has to tell as `[3] ..`.
pub(super) fn event_line(event: &Event) -> String {
    let level = match event.level {
        Level::Warning => "warning: ",
        Level::Note | Level::Detail | Level::Trace => "",
    };
    let connection = event.connection.map_or(String::new(), |number| format!("[{number}] "));
    format!("{level}{connection}{}", printable(&event.text))
}

/// The part of `total` that is done, from 0 to 1.
pub(super) fn share(done: u64, total: u64) -> f64 {
    if total == 0 { 1.0 } else { (done as f64 / total as f64).min(1.0) }
}

/// Whole percent, rounded down: 100 means done.
pub(super) fn percent(done: u64, total: u64) -> u64 {
    if total == 0 {
        return 100;
    }
    let share = u128::from(done.min(total)) * 100 / u128::from(total);
    u64::try_from(share).expect("at most 100")
}

/// `0:03`, `1:02:03`; unknown or beyond 99 hours is `-:--`.
pub(super) fn clock(time: Option<Duration>) -> String {
    let Some(time) = time.filter(|t| t.as_secs() < 360_000) else {
        return "-:--".to_owned();
    };
    // Rounded up: "0:00 left" with bytes missing would be wrong.
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

fn counted(count: u32, one: &str) -> String {
    counted_with(count, one, &format!("{one}s"))
}

fn counted_with(count: impl Into<u64>, one: &str, many: &str) -> String {
    let count = count.into();
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ErrorKind;
    use crate::base::size::GIB;
    use crate::engine::progress::Verified;
    use crate::ui::samples::{progress, report};

    #[test]
    fn waits_are_told_with_their_reason_and_number() {
        let waiting = Waiting {
            kind: ErrorKind::Status(503),
            left: Duration::from_millis(26_900),
            retry: 2,
            retries_max: 5,
            is_asked: true,
        };
        let waits = |waiting| wait_words(&Progress { waiting: Some(waiting), ..progress() }, true);
        let asked = waits(waiting.clone()).unwrap();
        assert_eq!(asked, "503, trying again in 27 s as asked (2 of 5)");
        let left = Duration::from_millis(300);
        let own = Waiting { kind: ErrorKind::Connect, is_asked: false, left, ..waiting };
        assert_eq!(waits(own).unwrap(), "no connection, trying again in 0.3 s (2 of 5)");
        let silent = |phase, connections, seconds| {
            let silence = Duration::from_secs_f64(seconds);
            wait_words(&Progress { phase, connections, silence, ..progress() }, true)
        };
        assert_eq!(silent(Phase::Downloading, 4, 4.9), None);
        assert_eq!(silent(Phase::Downloading, 4, 6.9).unwrap(), "stalled for 6 s");
        assert_eq!(silent(Phase::Connecting, 0, 5.0).unwrap(), "connecting for 5 s");
        assert_eq!(silent(Phase::Connecting, 1, 7.0).unwrap(), "no answer for 7 s");
        assert_eq!(silent(Phase::Finishing, 0, 99.0), None);
    }

    #[test]
    fn what_is_still_to_be_checked_is_told() {
        let checking = Progress { unchecked_bytes: 3 * MIB, ..progress() };
        let line = progress_line("x", &checking);
        assert!(line.ends_with(", 3.00 MiB of what was here still to be checked"), "{line}");
    }

    #[test]
    fn a_repair_says_what_was_bad_and_what_was_fetched() {
        let mut repaired = Repaired {
            pieces: Some(400),
            bad_pieces: 2,
            fetched_bytes: 2 * MIB,
            is_untouched: false,
        };
        let line = |repaired: &Repaired| {
            let resumed_bytes = 2 * GIB - repaired.fetched_bytes;
            let repaired = Some(repaired.clone());
            closing_lines(&Report { repaired, resumed_bytes, ..report() }).remove(0)
        };
        let told = line(&repaired);
        assert!(told.contains(", repaired 2 of 400 pieces, 2.00 MiB fetched,"), "{told}");
        assert!(!told.contains("resumed"), "{told}");
        (repaired.bad_pieces, repaired.is_untouched) = (0, true);
        let right = "out/x.iso: nothing to repair, 2.00 GiB read in 2.00 s, 400 pieces are right";
        assert_eq!(line(&repaired), right);
    }

    #[test]
    fn lines_say_the_same_in_words() {
        assert_eq!(
            progress_line("x", &progress()),
            "x: 50 % (1.00 GiB of 2.00 GiB), 536.87 MB/s, 0:02 left, 4 connections"
        );
        let unknown = Progress { bytes_total: None, connections: 1, ..progress() };
        assert_eq!(progress_line("x", &unknown), "x: 1.00 GiB, 536.87 MB/s, 1 connection");
        assert_eq!(opening_line("x", &unknown), "x: downloading, size unknown, 1 connection");
        let resumed = Progress { resumed_bytes: GIB, ..progress() };
        let line = "x: downloading, 2.00 GiB, 1.00 GiB of it are here, 4 connections";
        assert_eq!(opening_line("x", &resumed), line);
        let unknown = Progress { bytes_total: None, ..resumed };
        let line = "x: downloading, size unknown, 1.00 GiB are here, 4 connections";
        assert_eq!(opening_line("x", &unknown), line);
        let early = Progress { steady_rate_bytes_per_second: None, ..progress() };
        let line = "x: 50 % (1.00 GiB of 2.00 GiB), 536.87 MB/s, 4 connections";
        assert_eq!(progress_line("x", &early), line);
    }

    #[test]
    fn the_closing_line_names_the_means() {
        assert_eq!(
            closing_lines(&report()),
            ["out/x.iso: 2.00 GiB in 2.00 s, 1.07 GB/s, 4 connections, 0.21 CPU s/GiB, direct, \
              registered"]
        );
        let discarded = Report { discarded: true, ..report() };
        assert!(closing_line("x", &discarded).ends_with("0.21 CPU s/GiB, discarded"));
        let limiter = Some("the network path".into());
        let limited = Report { registered: false, lacks_locked_memory: true, limiter, ..report() };
        let lines = closing_lines(&limited);
        assert!(lines[0].ends_with(", direct, not registered (memlock limit)"), "{lines:?}");
        assert_eq!(lines[1], "limited by: the network path");
        let not_asked_for = Report { registered: false, ..report() };
        assert!(closing_line("x", &not_asked_for).ends_with("CPU s/GiB, direct"));
    }

    #[test]
    fn a_few_bytes_have_no_rate_and_a_digest_has_its_own_line() {
        let verified = Verified {
            digest: "sha256:ab".into(),
            against: "given with --checksum".into(),
            read_back_bytes: 0,
        };
        let poor = Report {
            bytes: 3,
            elapsed: Duration::from_millis(10),
            connections: 1,
            ranges: false,
            retries: 1,
            engine: Engine::Epoll,
            direct: false,
            registered: false,
            verified: Some(verified),
            ..report()
        };
        assert_eq!(
            closing_lines(&poor),
            [
                "out/x.iso: 3 B in 0.01 s, 1 connection (one stream: the server offers no \
                 ranges), 1 retry, buffered, epoll",
                "verified sha256:ab (given with --checksum)"
            ]
        );
        let hashed = closing_lines(&Report { discarded: true, ..poor }).remove(0);
        assert!(hashed.contains("(one stream: bytes that are not kept are hashed"), "{hashed}");
    }

    #[test]
    fn events_carry_level_and_connection_but_no_control_characters() {
        let event = |level, connection| Event { level, connection, text: "a\x1b[2Jb\n".into() };
        assert_eq!(event_line(&event(Level::Warning, None)), "warning: a?[2Jb?");
        assert_eq!(event_line(&event(Level::Detail, Some(3))), "[3] a?[2Jb?");
    }

    #[test]
    fn percent_and_clock_do_not_flatter() {
        assert_eq!(percent(999, 1000), 99);
        assert_eq!(percent(0, 0), 100);
        assert_eq!(percent(u64::MAX, u64::MAX), 100);
        assert_eq!(clock(Some(Duration::from_millis(1))), "0:01");
        assert_eq!(clock(Some(Duration::from_secs(3723))), "1:02:03");
        assert_eq!(clock(Some(Duration::MAX)), "-:--");
        assert_eq!(clock(None), "-:--");
    }

    #[test]
    fn names_are_short_and_printable() {
        assert_eq!(short_name("\x1b]0;x\x07\u{202e}", 20), "?]0;x??");
        assert_eq!(short_name("a-very-long-name-of-something.iso", 20), "a-very-long-n…ng.iso");
    }
}
