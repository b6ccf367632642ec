//! The face of a batch on a terminal: what the kernel says of its size, what is typed, and what a
//! program that looks on gets to see. The terminal is that of `script`, and this program again runs
//! in it, as a child.

mod common;

use common::child::{CHILD_DONE, CHILD_VARIABLE, child_of, limited};
use common::{bounded, tools};
use ringhaul::Level;
use ringhaul::Phase;
use ringhaul::internal::batch::progress::{Active, Progress};
use ringhaul::internal::batch::result::Summary;
use ringhaul::internal::ui::{Answer, BatchUi, Failure, Ui, Verbosity, ask};
use rustix::event::{PollFd, PollFlags, poll};
use std::cell::Cell;
use std::io::{Read, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

const DRAWS: &str = "a_batch_is_drawn_in_place_and_as_wide_as_the_terminal_is_now";
const BARS: &str = "a_transfer_is_drawn_in_one_line_of_ascii_where_the_locale_has_no_more";
const ASKS: &str = "failures_are_shown_and_retried_as_typed";
const EARLY: &str = "what_was_typed_before_the_question_is_no_answer";
const STOPS: &str = "a_signal_ends_the_question";
/// The end of the question.
const QUESTION: &str = "[l]eave (Enter)? ";

#[test]
fn a_batch_is_drawn_in_place_and_as_wide_as_the_terminal_is_now() {
    if child_of(DRAWS).is_some() {
        return draw();
    }
    let Some(seen) = on_terminal(DRAWS, &[]) else { return };
    let total = |start: &str| {
        let drawn = seen.split(['\r', '\n']).map(plain);
        let mut found = drawn.filter(|line| line.starts_with(start));
        found.next().unwrap_or_else(|| panic!("{start:?} is not drawn: {seen:?}"))
    };
    assert_eq!(total("1/9+ files"), "1/9+ files  0 B  1.00 MB/s  0:00");
    assert_eq!(total("  a-long"), "  a-long-name-of-…odel.bin         50 %");
    assert!(total("2/9+ files").ends_with("  3 conn"), "as wide as it is then: {seen:?}");
    assert!(seen.contains("\x1b[31m1 failed\x1b[0m"), "{seen:?}");
    // What was drawn gives its rows to the line, and comes again below it.
    let (_, after) = seen.split_once("\x1b[1A\x1b[Jwarning: careful").expect("the warning");
    assert!(after.contains("2/9+ files"), "{after:?}");
    assert!(after.contains("\r\x1b[1A\x1b[J9 files: 8 fetched, 1 failed"), "{after:?}");
}

/// Draws, becomes wider, draws and says something, and ends.
fn draw() {
    let ui = BatchUi::new(Verbosity::Normal);
    let mut progress = Progress::default();
    (progress.files_done, progress.files_read) = (1, 9);
    (progress.rate_bytes_per_second, progress.connections) = (1e6, 3);
    let mut file = Active::default();
    (file.bytes_done, file.bytes_total) = (1, Some(2));
    file.name = "a-long-name-of-a-part-of-some-model.bin".to_owned();
    progress.active.push(file);
    ui.on_progress(&progress);
    let status = Command::new("stty").args(["cols", "100"]).status().expect("stty can be started");
    assert!(status.success(), "the size is set");
    (progress.files_done, progress.files_failed) = (2, 1);
    progress.elapsed = Duration::from_millis(100);
    ui.on_progress(&progress);
    ui.say(Level::Warning, "careful");
    ui.say(Level::Detail, "not worth a line");
    let mut summary = Summary::default();
    summary.done = 8;
    summary.add_failure(ringhaul::ErrorKind::Connect);
    ui.finish(&summary);
    tell(CHILD_DONE);
}

#[test]
fn a_transfer_is_drawn_in_one_line_of_ascii_where_the_locale_has_no_more() {
    if child_of(BARS).is_some() {
        return draw_bar();
    }
    let Some(seen) = on_terminal_in("C", BARS, &[]) else { return };
    let drawn: Vec<String> = seen.split(['\r', '\n']).map(plain).collect();
    let is_there = |line: &str| drawn.iter().any(|drawn| drawn == line);
    assert!(is_there("a-lon~bin   50 %  1.00 MB/s  eta 0:01"), "40 columns: {drawn:#?}");
    assert!(drawn.iter().any(|line| line.contains("=======-----")), "100 columns: {drawn:#?}");
    assert!(drawn.iter().any(|line| line.len() == 99), "as wide as it is then: {drawn:#?}");
    assert!(is_there("http://h/x?... is slow"), "{drawn:#?}");
    let (_, after) = seen.split_once("is slow").expect("a line above the bar");
    assert!(after.contains("50 %"), "the bar is drawn again below: {after:?}");
    // Progress of the test program itself is ASCII, too.
    assert!(seen.is_ascii(), "{seen:?}");
}

/// Draws a bar, becomes wider, draws it again, says something, and ends.
fn draw_bar() {
    let ui = Ui::new("a-long-näme.bin", Verbosity::Normal);
    let mut progress = ringhaul::Progress::default();
    progress.phase = Phase::Downloading;
    (progress.bytes_done, progress.bytes_total) = (1_000_000, Some(2_000_000));
    progress.rate_bytes_per_second = 1e6;
    progress.steady_rate_bytes_per_second = Some(1e6);
    ui.on_progress(&progress);
    let status = Command::new("stty").args(["cols", "100"]).status().expect("stty can be started");
    assert!(status.success(), "the size is set");
    progress.elapsed = Duration::from_millis(100);
    ui.on_progress(&progress);
    ui.say(Level::Note, "http://h/x?… is slow");
    ui.clear();
    tell(CHILD_DONE);
}

#[test]
fn failures_are_shown_and_retried_as_typed() {
    if child_of(ASKS).is_some() {
        let failures = [Failure { name: "a.bin".into(), cause: "refused".into() }];
        let answers = [ask(1, &failures, &|| false), ask(1, &failures, &|| false)];
        assert_eq!(answers, [Answer::Retry, Answer::Leave]);
        return tell(CHILD_DONE);
    }
    let Some(seen) = on_terminal(ASKS, &[(QUESTION, "s\n"), (QUESTION, "r\n"), (QUESTION, "\n")])
    else {
        return;
    };
    assert_eq!(seen.matches("1 file failed: [r]etry, ").count(), 3, "{seen}");
    assert_eq!(seen.matches("  a.bin: refused").count(), 1, "{seen}");
}

#[test]
fn what_was_typed_before_the_question_is_no_answer() {
    if child_of(EARLY).is_some() {
        let keyboard = std::io::stdin();
        let mut typed = [PollFd::new(&keyboard, PollFlags::IN)];
        poll(&mut typed, None).expect("it is typed");
        assert_eq!(ask(1, &[], &|| false), Answer::Retry);
        return tell(CHILD_DONE);
    }
    on_terminal(EARLY, &[("", "\n"), (QUESTION, "r\n")]);
}

#[test]
fn a_signal_ends_the_question() {
    if child_of(STOPS).is_some() {
        let looks = Cell::new(0);
        let is_stopped = || looks.replace(looks.get() + 1) >= 2;
        assert_eq!(ask(1, &[], &is_stopped), Answer::Leave);
        return tell(CHILD_DONE);
    }
    on_terminal(STOPS, &[]);
}

/// Runs the child for `test` on a terminal of 40 columns; all that the terminal got to show. Each
/// text of `typed` is typed when the terminal has shown what stands with it, after the one before.
/// `None`, said loudly, where there is no `script`.
fn on_terminal(test: &str, typed: &'static [(&str, &str)]) -> Option<String> {
    on_terminal_in("C.UTF-8", test, typed)
}

/// The same in this locale.
fn on_terminal_in(locale: &str, test: &str, typed: &'static [(&str, &str)]) -> Option<String> {
    let program = tools::find_or_skip("script", false, "nothing is drawn on a terminal")?;
    let child = limited(test, "stty cols 40 rows 12 -echo");
    let words = child.get_args().map(|word| word.to_string_lossy().replace('\'', r"'\''"));
    let line: String = words.map(|word| format!(" '{word}'")).collect();
    let mut script = Command::new(program);
    script.args(["-q", "-e", "-c", &format!("sh{line}"), "/dev/null"]);
    script
        .env("LC_ALL", locale)
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .env(CHILD_VARIABLE, format!("{test}:"));
    script.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut running = script.spawn().expect("script can be started");
    let keyboard = running.stdin.take().expect("it is a pipe");
    let screen = running.stdout.take().expect("it is a pipe");
    let (seen, status) = bounded("the terminal", move || {
        let seen = watch(screen, &keyboard, typed);
        // Only then is the keyboard dropped: its end would be typed, too.
        let status = running.wait().expect("script ends");
        drop(keyboard);
        (seen, status)
    });
    assert!(status.success() && seen.contains(CHILD_DONE), "{status}: {seen}");
    Some(seen)
}

/// Reads what is shown to its end, and types.
fn watch(mut screen: ChildStdout, mut keyboard: &ChildStdin, typed: &[(&str, &str)]) -> String {
    let (mut seen, mut piece) = (Vec::new(), [0; 4096]);
    let (mut ahead, mut looked_at) = (typed.iter().peekable(), 0);
    loop {
        let shown = String::from_utf8_lossy(&seen[looked_at..]).into_owned();
        if let Some((_, text)) = ahead.next_if(|(mark, _)| shown.contains(mark)) {
            looked_at = seen.len();
            keyboard.write_all(text.as_bytes()).expect("script reads");
        }
        match screen.read(&mut piece).expect("script writes") {
            0 => return String::from_utf8_lossy(&seen).into_owned(),
            read => seen.extend_from_slice(&piece[..read]),
        }
    }
}

/// Without the sequences of colours and erasing.
fn plain(drawn: &str) -> String {
    let mut parts = drawn.split('\x1b');
    let first = parts.next().unwrap_or_default().to_owned();
    let after = |part: &str| part.split_once(char::is_alphabetic).map(|(_, text)| text.to_owned());
    parts.filter_map(after).fold(first, |line, text| line + &text)
}

#[allow(clippy::print_stdout, reason = "the parent looks for this line")]
fn tell(line: &str) {
    println!("{line}");
}
