//! What is drawn of a batch: a line for all files, and some below it for the largest that are
//! being fetched. Pure functions of a snapshot and the size of the terminal; knows no cursor.
//!
//! No line reaches the last column, where terminals differ in what comes next.

use crate::base::limits::BATCH_ACTIVE_MAX;
use crate::base::size::{format_bytes, format_rate};
use crate::batch::progress::{Active, Progress};
use crate::ui::parts::{BAR_COLUMNS_MIN, Content, GAP, Part, lay_out, push_bar};
use crate::ui::screen::Line;
use crate::ui::terminal::{Looks, Size};
use crate::ui::text::{clock, pause_words, short_name};
use crate::ui::width;
use std::time::Duration;

const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
/// Below this many columns waits are told in few words.
const COLUMNS_WORDY_MIN: usize = 80;
/// Below this many rows only the total is drawn.
const ROWS_FOR_FILES_MIN: usize = 6;
/// Columns of a name that are kept free before a bar comes into its line.
const NAME_COLUMNS_BEFORE_BAR: usize = 40;
/// Columns of `1023.99 MiB` and `999.99 MB/s`, and of two of the first with a slash.
const NUMBER_COLUMNS: usize = 11;
const AMOUNT_COLUMNS: usize = 2 * NUMBER_COLUMNS + 3;

/// The lines of `progress`, each with fewer columns than the terminal, and fewer lines than it has
/// rows.
pub(super) fn frame(progress: &Progress, size: Size, looks: Looks) -> Vec<Line> {
    let columns = size.columns.saturating_sub(1);
    let files_max = match size.rows {
        rows if rows < ROWS_FOR_FILES_MIN => 0,
        rows => (rows / 3).min(BATCH_ACTIVE_MAX),
    };
    let mut lines = vec![total(progress, columns)];
    lines.extend(progress.active.iter().take(files_max).map(|file| active(file, columns)));
    lines.into_iter().map(|line| looks.put(line)).collect()
}

/// `12/50+ files  3 failed  24 %  ━━━╸─────  1.20 GiB / 5.00 GiB+  812.30 MB/s  eta 0:03`, and more
/// where there is room.
fn total(progress: &Progress, columns: usize) -> Line {
    lay_out(parts(progress, wait_words(progress, columns >= COLUMNS_WORDY_MIN)), columns)
}

/// What all of it waits for, if that is worth a word.
pub(super) fn wait_words(progress: &Progress, is_wordy: bool) -> Option<String> {
    let is_ended = progress.is_list_read && progress.files_ended() >= progress.files_read;
    let silence = if is_ended { Duration::ZERO } else { progress.silence };
    let what = match (progress.connections, progress.files_landing) {
        (0, 0) => "connecting",
        (0, _) => "writing to disk",
        _ => "stalled",
    };
    pause_words(progress.waiting.as_ref(), what, silence, is_wordy)
}

/// All parts, in the order in which they stand.
fn parts(progress: &Progress, waits: Option<String>) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut text = |rank, text, style| {
        parts.push(Part { content: Content::Text(text, style), rank });
    };
    // What it waits for is told first.
    let (files_rank, failed_rank) = if waits.is_some() { (1, 2) } else { (0, 1) };
    text(files_rank, files(progress), "");
    if progress.files_failed > 0 {
        text(failed_rank, format!("{} failed", progress.files_failed), RED);
    }
    if progress.files_unchanged > 0 {
        text(7, format!("{} unchanged", progress.files_unchanged), "");
    }
    let share = progress.share();
    if let Some(share) = share {
        text(4, percent(share), "");
    }
    text(5, amount(progress), "");
    if let Some(words) = waits {
        text(0, words, YELLOW);
    } else {
        text(2, format_rate(progress.rate_bytes_per_second), "");
        if progress.files_per_second >= 0.05 {
            text(8, format!("{:.1} files/s", progress.files_per_second), "");
        }
        match progress.eta() {
            Some(left) => text(3, format!("eta {}", clock(Some(left))), ""),
            None => text(3, clock(Some(progress.elapsed)), ""),
        }
    }
    text(9, format!("{} conn", progress.connections), "");
    if let Some(share) = share {
        let amount = parts.iter().position(|part| part.rank == 5).expect("it is always there");
        parts.insert(amount, Part { content: Content::Bar(share), rank: 6 });
    }
    parts
}

/// `1234/5000 files`, with a plus sign while more are being read, and the slice that they are.
fn files(progress: &Progress) -> String {
    let more = if progress.is_list_read { "" } else { "+" };
    let slice = progress.slice.map_or_else(String::new, |slice| format!(" of slice {slice}"));
    format!("{}/{}{more} files{slice}", progress.files_present(), progress.files_read)
}

/// `1.20 GiB / 5.00 GiB`, with a plus sign if sizes are missing.
fn amount(progress: &Progress) -> String {
    let done = format_bytes(progress.bytes_done);
    let is_all = progress.is_list_read && progress.files_unsized == 0;
    match progress.bytes_expected {
        Some(bytes) => format!("{done} / {}{}", format_bytes(bytes), if is_all { "" } else { "+" }),
        None => done,
    }
}

/// `  name   24 %  ━━━╸─────  1.20 GiB / 5.00 GiB  100.00 MB/s`, or less of it.
fn active(file: &Active, columns: usize) -> Line {
    let numbers = numbers(file, columns);
    let mut line = Line::default();
    let Some(left) = columns.checked_sub(GAP.len() + numbers.len() + GAP.len()) else {
        line.push(&short_name(&file.name, columns), "");
        return line;
    };
    line.push(GAP, "");
    let bar = left.saturating_sub(NAME_COLUMNS_BEFORE_BAR + GAP.len());
    let bar = if bar < BAR_COLUMNS_MIN { 0 } else { bar };
    let name_columns = if bar == 0 { left } else { NAME_COLUMNS_BEFORE_BAR };
    line.push(&width::pad(&short_name(&file.name, name_columns), name_columns), "");
    line.push(GAP, "");
    if bar > 0 {
        push_bar(&mut line, file.share().unwrap_or(0.0), bar);
        line.push(GAP, "");
    }
    line.push(&numbers, "");
    line
}

/// What is told of a file beside its name: in a table, so that nothing jumps.
fn numbers(file: &Active, columns: usize) -> String {
    let is_wordy = columns >= COLUMNS_WORDY_MIN;
    if let Some(words) = pause_words(file.waiting.as_ref(), "stalled", file.silence, is_wordy) {
        return words;
    }
    let done = format_bytes(file.bytes_done);
    let share = file.share().map(percent);
    let rate = format_rate(file.rate_bytes_per_second);
    match columns {
        0..50 => format!("{:>NUMBER_COLUMNS$}", share.unwrap_or(done)),
        50..75 => format!("{:>NUMBER_COLUMNS$}  {rate:>NUMBER_COLUMNS$}", share.unwrap_or(done)),
        _ => {
            let amount = match file.bytes_total {
                Some(total) => format!("{done} / {}", format_bytes(total)),
                None => done,
            };
            let share = share.unwrap_or_default();
            format!("{share:>5}  {amount:>AMOUNT_COLUMNS$}  {rate:>NUMBER_COLUMNS$}")
        }
    }
}

/// Whole percent, rounded down: 100 means all of it.
fn percent(share: f64) -> String {
    format!("{:.0} %", (share * 100.0).floor())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ErrorKind;
    use crate::base::size::{GIB, MIB};
    use crate::engine::progress::Waiting;
    use proptest::prelude::*;

    fn looks(colours: bool) -> Looks {
        Looks { colours, ..Looks::default() }
    }

    fn progress() -> Progress {
        Progress {
            files_done: 1234,
            files_read: 5000,
            is_list_read: true,
            bytes_done: GIB,
            bytes_expected: Some(4 * GIB),
            elapsed: Duration::from_secs(30),
            rate_bytes_per_second: 512.0 * MIB as f64,
            files_per_second: 41.13,
            steady_rate_bytes_per_second: Some(512.0 * MIB as f64),
            steady_files_per_second: Some(41.13),
            connections: 50,
            active: vec![
                file("models/shard-00001-of-00040.safetensors", GIB, Some(4 * GIB)),
                file("a.iso", 5 * MIB, None),
            ],
            ..Progress::default()
        }
    }

    fn file(name: &str, bytes_done: u64, bytes_total: Option<u64>) -> Active {
        let name = name.to_owned();
        Active { name, bytes_done, bytes_total, rate_bytes_per_second: 100e6, ..Active::default() }
    }

    fn drawn(progress: &Progress, rows: usize, columns: usize) -> Vec<String> {
        let lines = frame(progress, Size { rows, columns }, looks(true));
        for line in &lines {
            assert_eq!(console::strip_ansi_codes(&line.styled), line.plain);
        }
        lines.into_iter().map(|line| line.plain).collect()
    }

    #[test]
    fn forty_columns_tell_files_rate_and_time() {
        let lines = drawn(&progress(), 24, 40);
        assert_eq!(
            lines,
            [
                "1234/5000 files  536.87 MB/s  eta 0:06",
                "  models/shard-00…etensors         25 %",
                "  a.iso                        5.00 MiB",
            ]
        );
    }

    #[test]
    fn eighty_columns_tell_amounts() {
        assert_eq!(
            drawn(&progress(), 24, 80),
            [
                "1234/5000 files  25 %  ━━━─────────  1.00 GiB / 4.00 GiB  536.87 MB/s  eta 0:06",
                "  models/shard-00001-…afetensors   25 %        1.00 GiB / 4.00 GiB  100.00 MB/s",
                "  a.iso                                                   5.00 MiB  100.00 MB/s",
            ]
        );
    }

    #[test]
    fn two_hundred_columns_tell_all() {
        let mut progress = progress();
        (progress.files_failed, progress.files_unchanged) = (3, 12);
        let lines = drawn(&progress, 24, 200);
        let total = "1246/5000 files  3 failed  12 unchanged  25 %  ━";
        assert!(lines[0].starts_with(total), "{}", lines[0]);
        let rest = "─  1.00 GiB / 4.00 GiB  536.87 MB/s  41.1 files/s  eta 0:06  50 conn";
        assert!(lines[0].ends_with(rest), "{}", lines[0]);
        assert!(lines[1].contains("safetensors   ━") || lines[1].contains("━╸─"), "{}", lines[1]);
        assert!(lines.iter().all(|line| width::columns(line) == 199), "{lines:#?}");
    }

    #[test]
    fn waits_stand_in_the_place_of_rates() {
        let (kind, left) = (ErrorKind::Status(503), Duration::from_secs(4));
        let waiting = Waiting { kind, left, retry: 1, retries_max: 8, is_asked: false };
        let mut progress = progress();
        progress.waiting = Some(waiting.clone());
        progress.silence = Duration::from_secs(2);
        progress.active[0].waiting = Some(waiting);
        progress.active[1].silence = Duration::from_secs(7);
        assert_eq!(
            drawn(&progress, 24, 80),
            [
                "1234/5000 files  25 %  ━━╸───────  1.00 GiB / 4.00 GiB  503, again in 4 s (1/8)",
                "  models/shard-00001-of-00040.safetensors   ━━╸───────  503, again in 4 s (1/8)",
                "  a.iso                                     ──────────────────  stalled for 7 s",
            ]
        );
        assert_eq!(drawn(&progress, 5, 41), ["1234/5000 files  503, again in 4 s (1/8)"]);
        progress.waiting = None;
        progress.silence = Duration::from_secs(6);
        let line = &drawn(&progress, 24, 120)[0];
        assert!(line.ends_with("  stalled for 6 s  50 conn"), "{line}");
        // All has come, and the disk is slow.
        (progress.connections, progress.files_landing) = (0, 30);
        let line = &drawn(&progress, 24, 120)[0];
        assert!(line.ends_with("  writing to disk for 6 s  0 conn"), "{line}");
        progress.files_landing = 0;
        let line = &drawn(&progress, 24, 120)[0];
        assert!(line.ends_with("  connecting for 6 s  0 conn"), "{line}");
    }

    #[test]
    fn unknown_things_are_marked_or_left_out() {
        let mut progress = progress();
        progress.is_list_read = false;
        let reading = "1234/5000+ files  1.00 GiB / 4.00 GiB+  536.87 MB/s  41.1 files/s  0:30";
        assert_eq!(drawn(&progress, 5, 80), [reading]);
        (progress.is_list_read, progress.bytes_expected) = (true, None);
        progress.files_unsized = 1;
        let line = drawn(&progress, 5, 80).concat();
        assert!(line.starts_with("1234/5000 files  24 %  ━"), "{line}");
        assert!(line.ends_with("─  1.00 GiB  536.87 MB/s  eta 1:32  50 conn"), "{line}");
        let nothing = drawn(&Progress::default(), 5, 80);
        assert_eq!(nothing, ["0/0+ files  0 B  0 B/s  0:00  0 conn"]);
    }

    #[test]
    fn failures_are_red_where_colours_are_allowed() {
        let mut progress = progress();
        progress.files_failed = 3;
        let size = Size { rows: 24, columns: 80 };
        assert!(
            frame(&progress, size, looks(true))[0].styled.contains("  \x1b[31m3 failed\x1b[0m  ")
        );
        let plain = frame(&progress, size, looks(false));
        assert!(plain.iter().all(|line| line.styled == line.plain));
        assert!(plain[0].plain.contains("  3 failed  "));
    }

    #[test]
    fn ten_digits_of_files_fit_forty_columns() {
        let mut progress = progress();
        progress.files_done = 9_999_999_998;
        progress.files_read = 9_999_999_999;
        progress.is_list_read = false;
        assert_eq!(drawn(&progress, 5, 40), ["9999999998/9999999999+ files  0:30"]);
    }

    #[test]
    fn few_rows_leave_the_total_only() {
        let mut progress = progress();
        progress.active = vec![file("a", 1, None); 20];
        for (rows, lines) in [(0, 1), (1, 1), (5, 1), (6, 3), (12, 5), (15, 6), (1000, 6)] {
            assert_eq!(drawn(&progress, rows, 80).len(), lines, "{rows} rows");
        }
    }

    #[test]
    fn names_cannot_move_the_cursor() {
        let mut progress = progress();
        progress.active = vec![file("\x1b[2J\r\n\u{202e}日本", 1, None)];
        assert!(drawn(&progress, 24, 80)[1].starts_with("  ?[2J???日本  "));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn every_line_fits(
            (rows, columns) in (0usize..60, 1usize..210),
            (done, failed, read) in any::<(u64, u64, u64)>(),
            (bytes, expected) in any::<(u64, Option<u64>)>(),
            (rate, files_per_second, seconds) in any::<(f64, f64, u64)>(),
            is_list_read: bool,
            names in prop::collection::vec("(\\PC|[\\x00-\\x20]){0,80}", 0..8),
        ) {
            let progress = Progress {
                files_done: done,
                files_failed: failed,
                files_read: read,
                is_list_read,
                bytes_done: bytes,
                bytes_expected: expected,
                elapsed: Duration::from_secs(seconds),
                rate_bytes_per_second: rate,
                files_per_second,
                active: names.iter().map(|name| file(name, bytes, expected)).collect(),
                ..Progress::default()
            };
            let lines = drawn(&progress, rows, columns);
            prop_assert!(lines.len() <= rows.max(1));
            for line in lines {
                prop_assert!(width::columns(&line) < columns, "{line:?}");
                prop_assert!(!line.contains(char::is_control), "{line:?}");
            }
        }
    }
}
