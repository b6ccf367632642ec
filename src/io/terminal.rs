//! The terminal: what has been typed too early, and what is typed unseen. Knows nothing of what is
//! asked or shown there.

use rustix::termios::{
    LocalModes, OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcsetattr,
};
use std::fs::File;
use std::io::{self, Read, Write};

/// Discards what has been typed on standard input and not been read. Does nothing where that is
/// something else.
pub fn discard_typed() {
    // It fails for what is no terminal, and then there is nothing to discard.
    let _ = tcflush(io::stdin(), QueueSelector::IFlush);
}

/// What was typed unseen.
#[derive(Clone, PartialEq, Eq)]
pub enum Unseen {
    /// This line, without its end.
    Line(Vec<u8>),
    /// Ctrl-C.
    Interrupted,
    /// Ctrl-D, or the terminal is gone.
    End,
}

const CTRL_C: u8 = 3;
const CTRL_D: u8 = 4;
const BACKSPACE: u8 = 8;
const CTRL_U: u8 = 21;
const DELETE: u8 = 127;

/// Shows `prompt` on the terminal of this process, wherever its standard streams lead, and reads
/// one line of at most `bytes_max` bytes that is not shown. The terminal is then as before, after
/// Ctrl-C as well.
///
/// # Errors
/// Where there is no terminal.
pub fn read_unseen(prompt: &str, bytes_max: usize) -> io::Result<Unseen> {
    let terminal = File::options().read(true).write(true).open("/dev/tty")?;
    let quiet = Quiet::new(&terminal)?;
    (&terminal).write_all(prompt.as_bytes())?;
    let typed = read_line(&terminal, bytes_max);
    drop(quiet);
    (&terminal).write_all(b"\n")?;
    typed
}

/// Letter by letter: Ctrl-C as a signal would leave the terminal mute.
fn read_line(mut terminal: &File, bytes_max: usize) -> io::Result<Unseen> {
    let mut line = Vec::new();
    loop {
        let mut byte = [0];
        match terminal.read(&mut byte) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Ok(0) => return Ok(Unseen::End),
            read => read?,
        };
        match byte[0] {
            b'\n' | b'\r' => return Ok(Unseen::Line(line)),
            CTRL_C => return Ok(Unseen::Interrupted),
            CTRL_D if line.is_empty() => return Ok(Unseen::End),
            CTRL_U => line.clear(),
            BACKSPACE | DELETE => {
                // The bytes behind the first one of a letter.
                while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
            }
            byte if line.len() < bytes_max => line.push(byte),
            _ => {}
        }
    }
}

/// A terminal that shows nothing of what is typed, until this is dropped.
struct Quiet<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Quiet<'a> {
    fn new(terminal: &'a File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(terminal, OptionalActions::Flush, &quiet)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}
