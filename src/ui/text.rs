//! Numbers and events as words: pure functions from snapshots and reports to text. Knows no
//! terminal, and neither colours nor cursor movements.

use super::width;
use crate::base::size::{format_bytes, format_duration, format_rate};
use crate::base::text::printable;
use crate::engine::progress::{
    Engine, Event, Level, Phase, Progress, Repaired, Report, SourceReport, Verified,
};
use std::time::Duration;

/// `name` in at most `columns_max` columns, as it may be shown.
pub(super) fn short_name(name: &str, columns_max: usize) -> String {
    width::shorten(&printable(name), columns_max)
}

/// Behind the bar: `1.20 GiB / 2.00 GiB  812.30 MB/s  eta 0:03  4 conn`.
pub(super) fn bar_text(progress: &Progress) -> String {
    let amount = match progress.bytes_total {
        Some(total) => format!("{} / {}", format_bytes(progress.bytes_done), format_bytes(total)),
        None => format_bytes(progress.bytes_done),
    };
    match progress.phase {
        Phase::Connecting => "connecting".to_owned(),
        Phase::Verifying if progress.unchecked_bytes > 0 => {
            format!("{amount}  checking {} kept", format_bytes(progress.unchecked_bytes))
        }
        Phase::Verifying => format!("{amount}  verifying the checksum"),
        Phase::Finishing => format!("{amount}  syncing to disk"),
        Phase::Downloading => {
            let rate = format_rate(progress.rate_bytes_per_second);
            let eta = match progress.bytes_total {
                Some(_) => format!("  eta {}", clock(progress.eta())),
                None => format!("  {}", clock(Some(progress.elapsed))),
            };
            let checking = match progress.unchecked_bytes {
                0 => String::new(),
                bytes => format!("  checking {} kept", format_bytes(bytes)),
            };
            format!("{amount}  {rate}{eta}  {} conn{checking}", progress.connections)
        }
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
        Some(total) => format!(
            "{name}: {} % ({done} of {}), {rate}, {} left, {connections}{checking}",
            percent(progress.bytes_done, total),
            format_bytes(total),
            clock(progress.eta()),
        ),
        None => format!("{name}: {done}, {rate}, {connections}{checking}"),
    }
}

/// The first line where there is no bar.
pub(super) fn opening_line(name: &str, progress: &Progress) -> String {
    let size = match progress.bytes_total {
        Some(total) => format_bytes(total),
        None => "size unknown".to_owned(),
    };
    let here = match progress.resumed_bytes {
        0 => String::new(),
        bytes => format!(" of which {} are here", format_bytes(bytes)),
    };
    let connections = counted(progress.connections, "connection");
    format!("{name}: downloading, {size}{here}, {connections}")
}

/// The last line: what was done, how fast, and by which means.
pub(super) fn closing_line(report: &Report) -> String {
    if let Some(repaired) = report.repaired.as_ref().filter(|repaired| repaired.is_untouched) {
        return untouched_line(report, repaired);
    }
    let mut line = format!(
        "{}: {} in {}, {}, {}",
        printable(&report.path.display().to_string()),
        format_bytes(report.bytes),
        format_duration(report.elapsed),
        format_rate(report.rate_bytes_per_second()),
        counted(report.connections, "connection"),
    );
    if let Some(repaired) = &report.repaired {
        line.push_str(&format!(", {}", repaired_words(repaired)));
    } else if report.resumed_bytes > 0 {
        line.push_str(&format!(", resumed {}", format_bytes(report.resumed_bytes)));
    }
    if !report.ranges {
        line.push_str(" (one stream: the server offers no ranges)");
    }
    if report.retries > 0 {
        line.push_str(&format!(", {}", counted_with(report.retries, "retry", "retries")));
    }
    if let Some(cpu) = report.cpu_seconds_per_gib() {
        line.push_str(&format!(", {cpu:.2} CPU s/GiB"));
    }
    line.push_str(if report.discarded {
        ", discarded"
    } else if report.is_ordered {
        ", in order"
    } else if report.direct {
        ", direct"
    } else {
        ", buffered"
    });
    if !report.discarded && !report.is_ordered {
        line.push_str(if report.registered { ", registered" } else { ", not registered" });
    }
    if report.engine == Engine::Epoll {
        line.push_str(", epoll");
    }
    let brought = report.sources.iter().filter(|source| source.bytes > 0).count();
    if brought > 1 || report.sources.len() > 1 {
        line.push_str(&format!(", {brought} of {} sources", report.sources.len()));
    }
    if report.is_compared {
        line.push_str(", compared by samples");
    }
    if let Some(verified) = &report.verified {
        line.push_str(&verified_words(verified));
    }
    if let Some(pieces) = &report.pieces {
        let count = counted_with(pieces.count, "piece", "pieces");
        line.push_str(&format!(", verified {count} ({})", pieces.algorithm.registered_name()));
    }
    line
}

/// The last line of a repair that found nothing to do.
fn untouched_line(report: &Report, repaired: &Repaired) -> String {
    let path = printable(&report.path.display().to_string());
    let (bytes, elapsed) = (format_bytes(report.bytes), format_duration(report.elapsed));
    let pieces = match repaired.pieces {
        Some(count) => format!(", {count} pieces are right"),
        None => String::new(),
    };
    let verified = report.verified.as_ref().map(verified_words).unwrap_or_default();
    format!("{path}: nothing to repair, {bytes} read in {elapsed}{pieces}{verified}")
}

/// `repaired 2 of 400 pieces, 2.00 MiB fetched`.
fn repaired_words(repaired: &Repaired) -> String {
    let what = match repaired.pieces {
        Some(count) => format!("repaired {} of {count} pieces", repaired.bad_pieces),
        None => "repaired".to_owned(),
    };
    format!("{what}, {} fetched", format_bytes(repaired.fetched_bytes))
}

fn verified_words(verified: &Verified) -> String {
    let (digest, against) = (printable(&verified.digest), printable(&verified.against));
    format!(", verified {digest} ({against})")
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

/// Whole percent, rounded down: 100 means done.
fn percent(done: u64, total: u64) -> u64 {
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
    use crate::base::Url;
    use crate::base::size::{GIB, MIB};
    use crate::engine::progress::Verified;

    fn progress() -> Progress {
        Progress {
            phase: Phase::Downloading,
            bytes_done: GIB,
            resumed_bytes: 0,
            unchecked_bytes: 0,
            bytes_total: Some(2 * GIB),
            elapsed: Duration::from_millis(61_500),
            rate_bytes_per_second: 512.0 * MIB as f64,
            connections: 4,
        }
    }

    fn report() -> Report {
        Report {
            path: "out/x.iso".into(),
            url: Url::parse("https://example.org/x.iso").expect("a URL"),
            validator: None,
            last_modified: None,
            content_type: None,
            bytes: 2 * GIB,
            resumed_bytes: 0,
            elapsed: Duration::from_secs(2),
            connections: 4,
            connects: 4,
            engine: Engine::IoUring,
            threads: 1,
            cpu: Duration::from_millis(420),
            discarded: false,
            is_ordered: false,
            direct: true,
            registered: true,
            ranges: true,
            retries: 0,
            limiter: None,
            verified: None,
            pieces: None,
            repaired: None,
            sources: Vec::new(),
            is_compared: false,
            digests: Vec::new(),
        }
    }

    #[test]
    fn the_bar_says_amount_rate_time_and_connections() {
        assert_eq!(bar_text(&progress()), "1.00 GiB / 2.00 GiB  536.87 MB/s  eta 0:02  4 conn");
        let unknown = Progress { bytes_total: None, ..progress() };
        assert_eq!(bar_text(&unknown), "1.00 GiB  536.87 MB/s  1:02  4 conn");
        let verifying = Progress { phase: Phase::Verifying, ..progress() };
        assert!(bar_text(&verifying).ends_with("verifying the checksum"));
        let checking = Progress { unchecked_bytes: 3 * MIB, ..progress() };
        assert!(bar_text(&checking).ends_with("4 conn  checking 3.00 MiB kept"));
        let line = progress_line("x", &checking);
        assert!(line.ends_with(", 3.00 MiB of what was here still to be checked"), "{line}");
        let checking = Progress { phase: Phase::Verifying, ..checking };
        assert!(bar_text(&checking).ends_with("checking 3.00 MiB kept"));
        let connecting = Progress { phase: Phase::Connecting, ..progress() };
        assert_eq!(bar_text(&connecting), "connecting");
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
            closing_line(&Report { repaired: Some(repaired.clone()), resumed_bytes, ..report() })
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
        let line = "x: downloading, 2.00 GiB of which 1.00 GiB are here, 4 connections";
        assert_eq!(opening_line("x", &resumed), line);
    }

    #[test]
    fn the_closing_line_names_the_means() {
        assert_eq!(
            closing_line(&report()),
            "out/x.iso: 2.00 GiB in 2.00 s, 1.07 GB/s, 4 connections, 0.21 CPU s/GiB, direct, \
             registered"
        );
        let discarded = Report { discarded: true, ..report() };
        assert!(closing_line(&discarded).ends_with("0.21 CPU s/GiB, discarded"));
        let verified = Verified {
            digest: "sha256:ab".into(),
            against: "given with --checksum".into(),
            read_back_bytes: 0,
        };
        let poor = Report {
            bytes: 7,
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
            closing_line(&poor),
            "out/x.iso: 7 B in 2.00 s, 4 B/s, 1 connection (one stream: the server offers no \
             ranges), 1 retry, buffered, not registered, epoll, verified sha256:ab (given with \
             --checksum)"
        );
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
