//! The command line of the bench.

use std::path::PathBuf;

const HELP: &str = "\
Usage: cargo bench --bench uring -- [options]
  --rounds N    of each part (7)
  --only a,b    parts whose names have one of these in them
  --raw FILE    append every measurement to this file
  --disk DIR    write there (the build's folder)
  --floating    let sender and receiver move between processors
  --test        1 round, as small as it can be, with all bytes checked";

/// What the bench is asked for.
pub(crate) struct Args {
    pub(crate) rounds: usize,
    only: Vec<String>,
    pub(crate) raw: Option<PathBuf>,
    pub(crate) disk: PathBuf,
    /// Keeps the receiver away from the sender's processor.
    pub(crate) is_pinned: bool,
    pub(crate) is_smallest: bool,
}

impl Args {
    /// Reads the arguments; the error is text for the user.
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut args = Self {
            rounds: 7,
            only: Vec::new(),
            raw: None,
            disk: env!("CARGO_TARGET_TMPDIR").into(),
            is_pinned: true,
            is_smallest: false,
        };
        let mut words = words;
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value\n{HELP}"));
            match word.as_str() {
                // Cargo adds it.
                "--bench" => {}
                "--rounds" => {
                    let text = value()?;
                    let number = text.parse().map_err(|_| format!("'{text}' is no number"));
                    args.rounds = number?;
                }
                "--only" => args.only = value()?.split(',').map(str::to_owned).collect(),
                "--raw" => args.raw = Some(value()?.into()),
                "--disk" => args.disk = value()?.into(),
                "--floating" => args.is_pinned = false,
                "--test" => (args.is_smallest, args.rounds) = (true, 1),
                "--help" => return Err(HELP.to_owned()),
                other => return Err(format!("unknown argument {other}\n{HELP}")),
            }
        }
        Ok(args)
    }

    /// Indicates whether a part is wanted.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| name.contains(part.as_str()))
    }
}
