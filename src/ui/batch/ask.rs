//! The question at the end of a batch of which files failed: retry them, show why, or leave. Owns
//! the words and how an answer is read, pure over a reader and a writer, and the waiting for a
//! keyboard that a signal ends. Knows neither what retrying is nor signals.

use crate::base::limits::{ANSWER_BYTES_MAX, ANSWERS_MAX, FAILURES_SHOWN_MAX};
use crate::base::text::printable;
use crate::io::terminal::discard_typed;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// What the user wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The failed files once more.
    Retry,
    /// The end.
    Leave,
}

/// One file that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its target, or its URL.
    pub name: String,
    /// Why it failed, in one line without secrets.
    pub cause: String,
}

/// Whether somebody is there to be asked: standard input and standard error are terminals.
pub fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks what to do about `failed` files, of which `failures` are the first
/// [`FAILURES_SHOWN_MAX`]. What was typed before the question is no answer to it. Nobody there,
/// the end of the input and a signal, which `is_stopped` tells of, mean to leave. Nothing may be
/// drawn on the terminal meanwhile.
pub fn ask(failed: u64, failures: &[Failure], is_stopped: &dyn Fn() -> bool) -> Answer {
    if !can_ask() || is_stopped() {
        return Answer::Leave;
    }
    discard_typed();
    let mut keyboard = Keyboard { is_stopped, line: Vec::new(), taken: 0 };
    let answer = converse(&mut keyboard, &mut io::stderr(), failed, failures);
    // Where the terminal is gone nobody is there.
    answer.unwrap_or(Answer::Leave)
}

/// Asks until there is an answer.
fn converse(
    input: &mut impl BufRead,
    output: &mut impl Write,
    failed: u64,
    failures: &[Failure],
) -> io::Result<Answer> {
    let files = if failed == 1 { "file" } else { "files" };
    for _ in 0..ANSWERS_MAX {
        write!(output, "{failed} {files} failed: [r]etry, [s]how why, or [l]eave (Enter)? ")?;
        output.flush()?;
        let mut line = Vec::new();
        input.take(ANSWER_BYTES_MAX).read_until(b'\n', &mut line)?;
        let Some(said) = line.strip_suffix(b"\n") else {
            // The end of the input, maybe within a line. The cursor stands behind the question.
            writeln!(output)?;
            return Ok(Answer::Leave);
        };
        match String::from_utf8_lossy(said).trim().to_lowercase().as_str() {
            "r" | "retry" => return Ok(Answer::Retry),
            "l" | "leave" | "" => return Ok(Answer::Leave),
            "s" | "show" => show(output, failed, failures)?,
            _ => writeln!(output, "please answer r, s or l")?,
        }
    }
    Ok(Answer::Leave)
}

fn show(output: &mut impl Write, failed: u64, failures: &[Failure]) -> io::Result<()> {
    let shown = &failures[..failures.len().min(FAILURES_SHOWN_MAX)];
    for Failure { name, cause } in shown {
        writeln!(output, "  {}: {}", printable(name), printable(cause))?;
    }
    match failed.saturating_sub(shown.len() as u64) {
        0 => Ok(()),
        more => writeln!(output, "  and {more} more"),
    }
}

/// How often a signal is looked for while nothing is typed.
const STOP_CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// Standard input by lines; it ends when `is_stopped` says so.
struct Keyboard<'a> {
    is_stopped: &'a dyn Fn() -> bool,
    line: Vec<u8>,
    /// Bytes of `line` that were read.
    taken: usize,
}

impl Keyboard<'_> {
    /// The next line; empty at the end. A thread of its own waits for it, as a signal does not end
    /// a read; it reads no more than was asked for, so that the next question finds the rest.
    fn wait(&self) -> io::Result<Vec<u8>> {
        let (sender, lines) = mpsc::channel();
        // Nobody waits for it: after a signal it ends with the process.
        thread::Builder::new().name("keyboard".to_owned()).spawn(move || {
            let mut line = Vec::new();
            let read = io::stdin().lock().take(ANSWER_BYTES_MAX).read_until(b'\n', &mut line);
            // Nobody listens after a signal.
            let _ = sender.send(read.map(|_| line));
        })?;
        loop {
            let line = lines.recv_timeout(STOP_CHECK_INTERVAL);
            match line {
                _ if (self.is_stopped)() => return Ok(Vec::new()),
                Ok(line) => return line,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(Vec::new()),
            }
        }
    }
}

impl BufRead for Keyboard<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.taken == self.line.len() {
            (self.line, self.taken) = (self.wait()?, 0);
        }
        Ok(&self.line[self.taken..])
    }

    fn consume(&mut self, bytes: usize) {
        self.taken += bytes;
    }
}

impl Read for Keyboard<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?.read(buffer)?;
        self.consume(bytes);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: &str = "2 files failed: [r]etry, [s]how why, or [l]eave (Enter)? ";

    fn failures(count: usize) -> Vec<Failure> {
        let failure = |number| Failure { name: format!("{number}.bin"), cause: "refused".into() };
        (0..count).map(failure).collect()
    }

    /// The answer to what is typed, and all that is printed.
    fn answer(typed: &[u8], failed: u64, failures: &[Failure]) -> (Answer, String) {
        let mut printed = Vec::new();
        let answer = converse(&mut { typed }, &mut printed, failed, failures);
        (answer.expect("memory does not fail"), String::from_utf8(printed).expect("text"))
    }

    #[test]
    fn each_answer_has_its_words() {
        for (typed, expected) in [
            ("r\n", Answer::Retry),
            ("  Retry \r\n", Answer::Retry),
            ("l\n", Answer::Leave),
            ("LEAVE\n", Answer::Leave),
            ("\n", Answer::Leave),
        ] {
            assert_eq!(answer(typed.as_bytes(), 2, &[]), (expected, QUESTION.into()), "{typed:?}");
        }
    }

    #[test]
    fn the_end_of_the_input_leaves() {
        for typed in ["", "r", "retry"] {
            let said = format!("{QUESTION}\n");
            assert_eq!(answer(typed.as_bytes(), 2, &[]), (Answer::Leave, said), "{typed:?}");
        }
        let endless = [b'r'; 100_000];
        assert_eq!(answer(&endless, 2, &[]).0, Answer::Leave);
    }

    #[test]
    fn show_names_causes_and_asks_again() {
        let mut two = failures(2);
        two[1] = Failure { name: "\x1b[2Jevil".into(), cause: "a\nb".into() };
        let (chosen, said) = answer(b"s\nr\n", 2, &two);
        assert_eq!(chosen, Answer::Retry);
        let expected = format!("{QUESTION}  0.bin: refused\n  ?[2Jevil: a?b\n{QUESTION}");
        assert_eq!(said, expected);
    }

    #[test]
    fn what_is_shown_is_bounded_and_says_so() {
        let (_, said) = answer(b"show\n\n", 10_000, &failures(60));
        assert_eq!(said.lines().filter(|line| line.contains(".bin: ")).count(), FAILURES_SHOWN_MAX);
        assert!(said.contains("\n  and 9950 more\n"), "{said}");
    }

    #[test]
    fn other_answers_are_asked_again_but_not_for_ever() {
        let (chosen, said) = answer(b"what?\n\xff\nr\n", 1, &[]);
        assert_eq!((chosen, said.matches("please answer").count()), (Answer::Retry, 2));
        assert!(said.starts_with("1 file failed: "), "{said}");
        let held = "x\n".repeat(1000);
        assert_eq!(answer(held.as_bytes(), 1, &[]).0, Answer::Leave);
    }
}
