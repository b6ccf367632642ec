//! Asks for a password. Must not know what it is for.

use super::printable;
use crate::base::limits::ANSWER_BYTES_MAX;
use crate::base::{Error, ErrorKind, Result};
use crate::io::terminal::{Unseen, read_unseen};

/// Asks for the password of `user` on the terminal, which does not show what is typed.
///
/// # Errors
/// [`ErrorKind::Usage`] where there is no terminal or no answer, [`ErrorKind::Interrupted`] after
/// Ctrl-C.
pub fn ask_password(user: &str) -> Result<Vec<u8>> {
    let bytes_max = usize::try_from(ANSWER_BYTES_MAX).expect("it is a line");
    let refused = |what: &str| {
        Error::new(ErrorKind::Usage, what)
            .advise("give it with --netrc or --netrc-file, or as NAME:PASSWORD with -u")
    };
    match read_unseen(&format!("Password of {}: ", printable(user)), bytes_max) {
        Ok(Unseen::Line(line)) => Ok(line),
        Ok(Unseen::Interrupted) => Err(Error::new(ErrorKind::Interrupted, "no password was given")),
        Ok(Unseen::End) => Err(refused("no password was given")),
        Err(cause) => {
            let what = "-u names no password, and there is no terminal to ask for it";
            Err(refused(what).caused_by(cause))
        }
    }
}
