//! The words of the jobs that explain the program: help, man pages, completions.

use clap_complete::Shell;

/// `ringhaul help [WORD]`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct HelpArgs {
    /// A command, or a topic.
    #[arg(value_name = "COMMAND|TOPIC")]
    pub(in crate::cli) word: Option<String>,
}

/// `ringhaul man [COMMAND]`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ManArgs {
    /// The command whose page it is; default: that of the whole program.
    #[arg(value_name = "COMMAND")]
    pub(in crate::cli) command: Option<String>,
}

/// `ringhaul completions SHELL`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct CompletionsArgs {
    /// The shell that reads them.
    #[arg(value_name = "SHELL", value_enum)]
    pub(in crate::cli) shell: Shell,
}
