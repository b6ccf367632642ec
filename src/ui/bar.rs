//! The line of one transfer that is redrawn on a terminal: a bar when the size is known, a spinner
//! when it is not. Pure functions of a snapshot and the size of the terminal, and what is drawn.

use super::parts::{Content, Part, lay_out};
use super::screen::{Line, Screen};
use super::terminal::{Looks, Size, size, write};
use super::text::{self, clock};
use crate::base::limits::PROGRESS_DRAW_INTERVAL_MIN;
use crate::base::size::{format_bytes, format_rate};
use crate::engine::progress::{Phase, Progress};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Columns that the file name may take, by those of the window: with 80 of them this leaves a bar
/// worth looking at, and with 40 room for what follows.
const NAME_COLUMNS: [(usize, usize); 3] = [(100, 20), (60, 12), (0, 9)];
/// Columns below which a wait is told in fewer words.
const COLUMNS_WORDY_MIN: usize = 60;
/// What turns while the size is not known, one after another.
const SPINNER: [&str; 4] = ["|", "/", "-", "\\"];
/// Time of one of them.
const SPINNER_STEP: Duration = Duration::from_millis(100);
const CYAN: &str = "\x1b[36m";
const YELLOW: &str = "\x1b[33m";

/// The line on this process's terminal.
#[derive(Debug)]
pub(super) struct Bar(Mutex<Drawing>);

/// What stands there, and what of.
#[derive(Debug, Default)]
pub(super) struct Drawing {
    name: String,
    looks: Looks,
    screen: Screen,
    /// The snapshot that is drawn.
    shown: Option<Progress>,
    /// It has been taken off and does not come back.
    is_over: bool,
}

impl Bar {
    pub(super) fn new(name: &str, looks: Looks) -> Self {
        Self(Mutex::new(Drawing::new(name, looks)))
    }

    pub(super) fn show(&self, progress: &Progress) {
        write(&self.lock().show(progress, size()));
    }

    /// A line above the bar.
    pub(super) fn say(&self, line: &str) {
        write(&self.lock().say(line, size()));
    }

    /// Takes the bar off the terminal; it does not come back.
    pub(super) fn clear(&self) {
        write(&self.lock().clear(size()));
    }

    fn lock(&self) -> MutexGuard<'_, Drawing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drawing {
    pub(super) fn new(name: &str, looks: Looks) -> Self {
        Self { name: name.to_owned(), looks, ..Self::default() }
    }

    /// The bytes that show `progress`; none if the last drawing is too recent.
    pub(super) fn show(&mut self, progress: &Progress, size: Size) -> String {
        let age = |shown: &Progress| progress.elapsed.saturating_sub(shown.elapsed);
        let is_recent = |shown: &Progress| age(shown) < PROGRESS_DRAW_INTERVAL_MIN;
        if self.is_over || self.shown.as_ref().is_some_and(is_recent) {
            return String::new();
        }
        self.shown = Some(progress.clone());
        self.draw(size)
    }

    /// The bytes that put `line` above what is drawn.
    pub(super) fn say(&mut self, line: &str, size: Size) -> String {
        let line = self.looks.charset.line(line);
        self.screen.replace_by(&line, size.columns) + &self.draw(size)
    }

    fn draw(&mut self, size: Size) -> String {
        let Some(progress) = self.shown.as_ref().filter(|_| !self.is_over) else {
            return String::new();
        };
        let line = line(&self.name, progress, size.columns);
        let lines = [self.looks.put(line)];
        self.screen.draw(&lines, size.columns)
    }

    fn clear(&mut self, size: Size) -> String {
        self.is_over = true;
        if self.shown.take().is_none() {
            return String::new();
        }
        self.screen.replace_by("", size.columns)
    }
}

/// `x.iso   24 %  ━━━╸─────  1.20 GiB / 5.00 GiB  812.30 MB/s  eta 0:03  4 conn`, or less of it; no
/// line reaches the last column.
pub(super) fn line(name: &str, progress: &Progress, columns: usize) -> Line {
    let room = NAME_COLUMNS.iter().find(|(columns_min, _)| columns >= *columns_min);
    let (_, name_columns) = room.expect("the last one is for every window");
    let name = text::short_name(name, *name_columns);
    let words = text::wait_words(progress, columns >= COLUMNS_WORDY_MIN);
    lay_out(parts(name, progress, words), columns.saturating_sub(1))
}

fn parts(name: String, progress: &Progress, words: Option<String>) -> Vec<Part> {
    let part = |rank, content| Part { content, rank };
    let text = |rank, text| Part { content: Content::Text(text, ""), rank };
    let is_begun = progress.phase != Phase::Connecting;
    let total = progress.bytes_total.filter(|_| is_begun);
    let mut parts = Vec::new();
    if total.is_none() {
        parts.push(part(6, Content::Text(spinner(progress.elapsed).to_owned(), CYAN)));
    }
    parts.push(text(3, name));
    if let Some(total) = total {
        parts.push(text(1, format!("{:>3} %", text::percent(progress.bytes_done, total))));
        parts.push(part(7, Content::Bar(text::share(progress.bytes_done, total))));
    }
    if is_begun {
        parts.push(text(5, amount(progress, total)));
    }
    match (words, progress.phase) {
        (Some(words), _) => parts.push(part(0, Content::Text(words, YELLOW))),
        (None, Phase::Connecting) => parts.push(text(0, "connecting".into())),
        (None, Phase::Verifying) if progress.unchecked_bytes > 0 => {}
        (None, Phase::Verifying) => parts.push(text(0, "verifying the checksum".into())),
        (None, Phase::Finishing) => parts.push(text(0, "syncing to disk".into())),
        (None, Phase::Downloading) => {
            parts.push(text(0, format_rate(progress.rate_bytes_per_second)));
            parts.extend(time(progress, total).map(|time| text(2, time)));
            parts.push(text(8, format!("{} conn", progress.connections)));
        }
    }
    if progress.unchecked_bytes > 0 {
        let is_all = parts.iter().all(|part| part.rank > 0);
        let words = format!("checking {} kept", format_bytes(progress.unchecked_bytes));
        parts.push(text(if is_all { 0 } else { 9 }, words));
    }
    parts
}

fn spinner(elapsed: Duration) -> &'static str {
    let steps = elapsed.as_millis() / SPINNER_STEP.as_millis();
    SPINNER[usize::try_from(steps % 4).expect("less than four")]
}

/// `1.20 GiB / 5.00 GiB`.
fn amount(progress: &Progress, total: Option<u64>) -> String {
    let done = format_bytes(progress.bytes_done);
    total.map_or(done.clone(), |total| format!("{done} / {}", format_bytes(total)))
}

/// Time that is left, once that is known, or that has passed where the size is not known.
fn time(progress: &Progress, total: Option<u64>) -> Option<String> {
    match total {
        Some(_) => progress.eta().map(|left| format!("eta {}", clock(Some(left)))),
        None => Some(clock(Some(progress.elapsed))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::charset::Charset;
    use super::super::samples::progress;
    use super::super::width;
    use super::*;
    use crate::base::ErrorKind;
    use crate::base::size::MIB;
    use crate::engine::progress::Waiting;
    use proptest::prelude::*;

    const NAME: &str = "debian-12.5.0-amd64-netinst.iso";

    fn drawn(progress: &Progress, columns: usize) -> String {
        line(NAME, progress, columns).plain
    }

    fn waiting() -> Progress {
        let waiting = Some(Waiting {
            kind: ErrorKind::Status(503),
            left: Duration::from_millis(3_100),
            retry: 2,
            retries_max: 5,
            is_asked: false,
        });
        Progress { waiting, ..progress() }
    }

    #[test]
    fn eighty_columns_have_a_bar_and_forty_have_none() {
        let wide = "debian-12.5.0…st.iso   50 %  ━━━━━━━━━─────────  1.00 GiB / 2.00 GiB  \
                    536.87 MB/s  eta 0:02  4 conn";
        assert_eq!(drawn(&progress(), 100), wide);
        let narrower = "debian-….iso   50 %  ━━━━━━━───────  1.00 GiB / 2.00 GiB  536.87 MB/s  \
                        eta 0:02";
        assert_eq!(drawn(&progress(), 80), narrower);
        assert_eq!(drawn(&progress(), 40), "debia…iso   50 %  536.87 MB/s  eta 0:02");
    }

    #[test]
    fn each_phase_has_its_words() {
        let unknown = Progress { bytes_total: None, ..progress() };
        let line = drawn(&unknown, 80);
        assert_eq!(line, "\\  debian-….iso  1.00 GiB  536.87 MB/s  1:02  4 conn");
        let connecting = Progress { phase: Phase::Connecting, ..progress() };
        assert_eq!(drawn(&connecting, 80), "\\  debian-….iso  connecting");
        let verifying = Progress { phase: Phase::Verifying, ..progress() };
        assert!(drawn(&verifying, 80).ends_with("  verifying the checksum"));
        let checking = Progress { unchecked_bytes: 3 * MIB, ..verifying };
        assert!(drawn(&checking, 80).ends_with("  checking 3.00 MiB kept"));
        let finishing = Progress { phase: Phase::Finishing, ..progress() };
        assert!(drawn(&finishing, 80).ends_with("  syncing to disk"));
        let checking = Progress { unchecked_bytes: 3 * MIB, ..progress() };
        assert!(drawn(&checking, 120).ends_with("  4 conn  checking 3.00 MiB kept"));
    }

    #[test]
    fn waits_take_the_place_of_the_rate() {
        let words = "503, trying again in 4 s (2 of 5)";
        assert!(drawn(&waiting(), 100).ends_with(&format!("  1.00 GiB / 2.00 GiB  {words}")));
        let narrow = "debia…iso   50 %  503, again in 4 s (2/5)";
        assert_eq!(drawn(&waiting(), 42), narrow);
        let stalled = Progress { silence: Duration::from_millis(6_200), ..progress() };
        assert!(drawn(&stalled, 40).ends_with("  stalled for 6 s"), "{}", drawn(&stalled, 40));
    }

    #[test]
    fn ascii_keeps_the_columns() {
        let looks = Looks { colours: false, charset: Charset::Ascii };
        let line = looks.put(line("日本語.iso", &progress(), 100));
        assert!(line.styled.is_ascii() && line.styled.contains("==---"), "{line:?}");
        assert_eq!(width::columns(&line.plain), 99);
    }

    #[test]
    fn it_is_drawn_in_place_under_what_is_said_and_does_not_come_back() {
        let size = Size { rows: 24, columns: 40 };
        let mut drawing = Drawing::new(NAME, Looks::default());
        assert_eq!(drawing.say("first", size), "\r\x1b[Jfirst\n");
        assert!(drawing.show(&progress(), size).starts_with("\rdebia…iso   50 %"));
        assert_eq!(drawing.show(&progress(), size), "", "too recent");
        let said = drawing.say("second", size);
        assert!(said.starts_with("\r\x1b[Jsecond\n\rdebia…iso   50 %"), "{said:?}");
        assert_eq!(drawing.clear(size), "\r\x1b[J");
        let later = Progress { elapsed: Duration::from_secs(99), ..progress() };
        assert_eq!(drawing.show(&later, size) + &drawing.clear(size), "");
        assert_eq!(drawing.say("third", size), "\r\x1b[Jthird\n");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn every_line_fits(
            columns in 1usize..210,
            (phase, waits) in (0usize..4, any::<bool>()),
            (bytes_done, bytes_total) in any::<(u64, Option<u64>)>(),
            (rate, seconds, connections) in any::<(f64, u64, u32)>(),
            (unchecked_bytes, silence) in any::<(u64, u32)>(),
            name in "(\\PC|[\\x00-\\x20]){0,80}",
        ) {
            let phases =
                [Phase::Connecting, Phase::Downloading, Phase::Verifying, Phase::Finishing];
            let progress = Progress {
                phase: phases[phase],
                bytes_done,
                bytes_total,
                elapsed: Duration::from_secs(seconds),
                rate_bytes_per_second: rate,
                steady_rate_bytes_per_second: Some(rate),
                connections,
                unchecked_bytes,
                silence: Duration::from_secs(silence.into()),
                waiting: waiting().waiting.filter(|_| waits),
                ..Progress::default()
            };
            let line = line(&name, &progress, columns);
            prop_assert!(width::columns(&line.plain) < columns, "{:?}", line.plain);
            prop_assert!(!line.plain.contains(char::is_control), "{:?}", line.plain);
        }
    }
}
